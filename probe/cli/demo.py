"""`probe-sender demo`: a newcomer's first minute, every cause on real sockets and without a network."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from probe.cli import UsageError, say
from probe.cli.options import color_option
from probe.cli.output import wants_color
from probe.cli.parsers import plain
from probe.core.address import parse
from probe.core.classify import judge
from probe.lab.stories import STORIES
from probe.run.engine import Engine
from probe.settings import Settings
from probe.show.text import render

if TYPE_CHECKING:
    from probe.core.model import Report
    from probe.lab.stories import Story

SEED = 1
"""The order of equal hosts is the same in every demonstration."""


def demo(argv: list[str]) -> int:
    """Tell every story and show its report. Exit code 0 when each gave the cause that it stands for."""
    parser = plain(
        "demo", "Show every cause on loopback: our own name server, scripted mail hosts, no network."
    )
    parser.add_argument("-v", "--verbose", action="store_true", help="with the look-ups and the transcripts")
    color_option(parser)
    args = parser.parse_args(argv)
    wrong = 0
    for number, story in enumerate(STORIES, 1):
        say(f"--- {number} of {len(STORIES)}: {story.title}\n$ probe-sender {story.address}\n")
        try:
            report = asyncio.run(_tell(story))
        except OSError as error:
            raise UsageError(
                f"demo: this system does not let us listen on loopback ({error}); it needs 127.0.0.0/8 and free ports"
            ) from None
        say(render(report, verbose=args.verbose, color=wants_color(args.color)) + "\n")
        wrong += report.cause is not story.cause
    causes = len({story.cause for story in STORIES})
    say(
        f"{len(STORIES)} stories, {causes} causes. Each report above came from real sockets on 127.0.0.0/8;"
        " nothing left this host.\n"
    )
    return 3 if wrong else 0


async def _tell(story: Story) -> Report:
    async with story.lab() as lab:
        settings = Settings(
            connect_timeout=4.0,
            reply_timeout=3.0,
            port=lab.port,
            helo="mail.example.net",
            families=(4,),
            dns_servers=(f"127.0.0.1:{lab.dns_port}",),
            allow_private=True,
            canaries=(),
        )
        evidence = await Engine(settings).collect(parse(story.address), seed=SEED)
    return judge(evidence)
