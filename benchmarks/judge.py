"""CPU of what is pure in a callout: `python -m benchmarks.judge [SECONDS]`.

Microseconds per judgement, per JSON line out and in, and per address read, for evidence of two real runs against the
lab and for the recorded ones. "alone" is `classify.judge`, "alike" the second to fiftieth address of one
connection by `alike.Judge`, "another domain" one whose mail host takes it in the same words, met for the first time;
`route` is that part of the first which the resolving asks for, too. Each figure is the best of many short slices of
process time: whatever else the machine does only makes a slice longer.
"""

from __future__ import annotations

import asyncio
import sys
import time
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from probe import codec
from probe.core.address import parse
from probe.core.alike import Judge
from probe.core.classify import judge
from probe.core.model import Stage
from probe.core.route import route
from probe.lab.peer import Peer
from probe.lab.world import Lab
from probe.run.engine import Engine
from probe.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from probe.core.model import Evidence, Exchange

RECORDED = Path(__file__).resolve().parent.parent / "fixtures" / "recorded"
ZONE = """
d.example.      300 MX 10 mx1.d.example.
mx1.d.example.  300 A 127.0.0.2
"""
SCRIPT = """
S: 220 mx1.d.example ESMTP
C: EHLO
S: 250-mx1.d.example
S: 250-PIPELINING
S: 250-SIZE 52428800
S: 250-ENHANCEDSTATUSCODES
S: 250 8BITMIME
C: MAIL
S: 250 2.1.0 Ok
C: RCPT
S: {}
C: QUIT
S: 221 2.0.0 Bye
"""
RUNS = {"accepted": "250 2.1.5 Ok", "user unknown": "550 5.1.1 user unknown"}
ALONE_GOAL = 120.0
"""Microseconds of a judgement of one of `RUNS`."""
ALIKE_GOAL = 45.0
"""Microseconds of a judgement of the next address and of its line."""
DOMAINS = 5000
"""Domains that are met, each once."""
PARSE_GOAL = 10.0
SLICE = 10
"""Calls of one slice."""


async def _run(rcpt: str) -> Evidence:
    async with Lab(ZONE, {"127.0.0.2": Peer(SCRIPT.format(rcpt), ip="127.0.0.2")}) as lab:
        settings = Settings(
            port=lab.port,
            helo="probe.example.net",
            families=(4,),
            dns_servers=(f"127.0.0.1:{lab.dns_port}",),
            allow_private=True,
            trace=False,
        )
        return await Engine(settings).collect(parse("user@d.example"), seed=1)


def _following(evidence: Evidence, number: int) -> Evidence:
    """Give the evidence of another address that was asked over the same connection, a little later."""
    host = evidence.hosts[0]
    session = host.sessions[0]
    address = parse(f"user{number}@d.example")
    late = 0.001 * number

    def later(exchange: Exchange) -> Exchange:
        reply = exchange.reply
        if reply is None or exchange.stage in {Stage.BANNER, Stage.EHLO}:
            return exchange
        return replace(
            exchange,
            command=(exchange.command or "").replace("user@d.example", address.mailbox),
            sent=exchange.sent + late,
            ended=exchange.ended + late,
            reply=replace(reply, started=reply.started + late, ended=reply.ended + late),
        )

    talk = replace(session, exchanges=tuple(map(later, session.exchanges)), before=number)
    return replace(evidence, address=address, hosts=(replace(host, sessions=(talk,), path=None),))


def microseconds(act: Callable[[], object], seconds: float) -> float:
    """Time something: the best slice of process time within so many seconds, per call."""
    for _ in range(SLICE):
        act()
    best = float("inf")
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        began = time.process_time()
        for _ in range(SLICE):
            act()
        best = min(best, (time.process_time() - began) / SLICE)
    return best * 1e6


def main() -> int:
    """Measure and print; exit code 1 when a goal is missed."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 0.5
    made = {name: asyncio.run(_run(rcpt)) for name, rcpt in RUNS.items()}
    # As most hosts of a batch are seen: without packets beside the connection.
    made = {name: replace(each, hosts=(replace(each.hosts[0], path=None),)) for name, each in made.items()}
    recorded = {
        folder.name: codec.decode_evidence((folder / "evidence.json").read_bytes(), folder.name)
        for folder in sorted(RECORDED.iterdir())
    }
    print(f"{'':22}{'judge alone':>12}{'route':>8}{'encode':>8}{'decode':>8}")
    met = True
    for name, evidence in (made | recorded).items():
        figures = _alone(evidence, seconds)
        good = name not in made or figures[0] <= ALONE_GOAL
        met = met and good
        print(f"{name:22}{figures[0]:12.1f}{figures[1]:8.1f}{figures[2]:8.1f}{figures[3]:8.1f}", end="")
        print("" if name not in made else f"  goal {ALONE_GOAL:g}  {'ok' if good else 'MISSED'}")
    for name, evidence in made.items():
        took = _alike(evidence, seconds)
        good = took <= ALIKE_GOAL
        met = met and good
        print(
            f"{name}, next alike, judge and encode {took:.1f}  goal {ALIKE_GOAL:g}  {'ok' if good else 'MISSED'}"
        )
    took = _elsewhere(made["accepted"])
    met = met and took <= ALIKE_GOAL
    verdict = "ok" if took <= ALIKE_GOAL else "MISSED"
    print(f"accepted, another domain, its line {took:.1f}  goal {ALIKE_GOAL:g}  {verdict}")
    took = microseconds(lambda: parse("first.last@mail.example.com"), seconds)
    print(f"parse an address {took:.1f}  goal {PARSE_GOAL:g}  {'ok' if took <= PARSE_GOAL else 'MISSED'}")
    return 0 if met and took <= PARSE_GOAL else 1


def _alike(evidence: Evidence, seconds: float) -> float:
    shared = Judge()
    following = cycle([_following(evidence, number) for number in range(1, 50)])
    for _ in range(49):
        shared.judge(next(following))
    return microseconds(lambda: codec.encode(shared.judge(next(following))), seconds)


def _elsewhere(evidence: Evidence) -> float:
    """Time the lines of domains that are met for the first time: the best of slices, per domain."""
    document = codec.encode(evidence).decode()

    def of(number: int) -> Evidence:
        renamed = document.replace("d.example", f"d{number}.example")
        renamed = renamed.replace('"127.0.0.2"', f'"127.0.{number >> 8}.{number & 255}"')
        return codec.decode_evidence(renamed.encode(), "evidence")

    shared = Judge(None, codec.encode)
    best = float("inf")
    for start in range(0, DOMAINS, SLICE):
        slice_ = [(each, codec.encode(each)) for each in map(of, range(start, start + SLICE))]
        began = time.process_time()
        for each, data in slice_:
            shared.line(each, data)
        best = min(best, (time.process_time() - began) / SLICE)
    return best * 1e6


def _alone(evidence: Evidence, seconds: float) -> tuple[float, float, float, float]:
    options = evidence.options
    report = judge(evidence)
    document = codec.encode(evidence)
    return (
        microseconds(lambda: judge(evidence), seconds),
        microseconds(
            lambda: route(
                evidence.address,
                evidence.dns,
                seed=evidence.seed,
                families=options.families,
                allow_private=options.allow_private,
            ),
            seconds,
        ),
        microseconds(lambda: codec.encode(report), seconds),
        microseconds(lambda: codec.decode_evidence(document, "evidence"), seconds),
    )


if __name__ == "__main__":
    sys.exit(main())
