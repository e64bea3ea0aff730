"""`probe-sender doctor`: is it us? Our resolver, our name, our address, our way out."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from probe.cli.diagnose import families_of, usable
from probe.cli.output import Printer, wants_color, width
from probe.cli.parsers import doctor as options
from probe.codec import pretty
from probe.core.health import judge
from probe.run.doctor import observe
from probe.settings import DNS_TIMEOUT, DNS_TRIES, DNS_TRY_TIMEOUT, Settings
from probe.show.health import render

if TYPE_CHECKING:
    from argparse import Namespace

EXIT_OURS = 3
"""Something of ours is wrong, as with `inconclusive` whose fault is ours."""


def doctor(argv: list[str]) -> int:
    """Examine this host and print what was found. Exit code 0 when nothing failed, 3 otherwise."""
    args = options().parse_args(argv)
    health = judge(asyncio.run(observe(_settings(args))))
    printer = Printer(args, several=False)
    if args.format == "json":
        printer.write(pretty(health) + "\n")
    else:
        printer.write(render(health, color=wants_color(args.color), width=width()))
    return 0 if health.sound else EXIT_OURS


def _settings(args: Namespace) -> Settings:
    # A third for one question: a name of ours takes two of them, one after the other.
    dns_timeout = min(DNS_TIMEOUT, args.timeout / 3)
    return usable(
        lambda: Settings(
            timeout=args.timeout,
            dns_timeout=dns_timeout,
            dns_try_timeout=min(DNS_TRY_TIMEOUT, dns_timeout / DNS_TRIES),
            helo=args.helo,
            port=args.port,
            families=args.family or families_of(args.source),
            source=args.source,
            dns_servers=tuple(args.dns_server),
            canaries=None if args.canaries is None else tuple(args.canaries),
        )
    )
