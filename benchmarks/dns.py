"""Look-ups of a batch beside dnspython's asynchronous resolver: `python -m benchmarks.dns [ROUNDS]`, default 5.

A local NSD serves 20,000 domains with MX, A and AAAA. Each round every way looks up the same thousand domains, each of
them for the first time: the MX, then both addresses of the mail host, two hundred domains at a time. Printed are the
medians of CPU time (ours, not NSD's) and of the rate, and the medians of the ratios within a round. `dnspython reads`
is our own asking with every answer read by dnspython, as it is read when it is not plain. Exit code 1 when a goal is
missed, 2 without NSD.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from typing import TYPE_CHECKING
from unittest.mock import patch

import dns.asyncresolver  # noqa: TID251  # what we are compared with
from msgspec import Struct

from benchmarks.nsd import NsdError, nsd
from probe.net.lookup import Lookups

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    Ask = Callable[[str, str], Awaitable[list[str]]]

DOMAINS = 20_000
EACH = 1_000
"""Domains of a round."""
AT_ONCE = 200
CPU = 200.0
"""Microseconds of CPU that a look-up may take: 5,000 a second and core."""
FASTER = 3.5
"""How many times less CPU than dnspython's resolver."""
DOMAIN = 500.0
"""Microseconds for the three look-ups of a domain."""


class Taken(Struct, frozen=True):
    """What one way took for the domains of a round: microseconds of CPU for a look-up, and look-ups per second."""

    cpu: float
    rate: float


def zone() -> Iterator[str]:
    """Give the records of all domains."""
    for number in range(DOMAINS):
        host = f"mx{number}.example."
        yield f"d{number}.example. 300 MX 10 {host}"
        yield f"{host} 300 A 198.18.{number >> 8 & 255}.{number & 255}"
        yield f"{host} 300 AAAA 2001:db8::1:{number:x}"


async def _look_up_all(ask: Ask, domains: range) -> None:
    left = iter(domains)

    async def worker() -> None:
        for number in left:
            (host,) = await ask(f"d{number}.example", "MX")
            found = [*await ask(host, "A"), *await ask(host, "AAAA")]
            if len(found) != 2:
                sys.exit(f"{host} has the addresses {found}")

    await asyncio.gather(*(worker() for _ in range(AT_ONCE)))


async def ours(port: int, domains: range) -> None:
    """Look up as a batch does."""
    lookups = Lookups(
        (("127.0.0.1", port),), clock=time.monotonic, timeout=10.0, try_timeout=3.0, tries=2, at_once=AT_ONCE
    )

    async def ask(name: str, rdtype: str) -> list[str]:
        answer = await lookups.ask(name, rdtype)
        return [record.target or record.data for record in answer.records]

    await _look_up_all(ask, domains)
    await lookups.aclose()


async def by_dnspython(port: int, domains: range) -> None:
    """Look up as `ours` does, with dnspython's reading of every answer."""
    with patch("probe.net.dns_question.read_plain", lambda *_: None):
        await ours(port, domains)


async def resolver(port: int, domains: range) -> None:
    """Look up with dnspython's resolver, without its cache."""
    stock = dns.asyncresolver.Resolver(configure=False)
    stock.nameservers = ["127.0.0.1"]
    stock.port = port

    async def ask(name: str, rdtype: str) -> list[str]:
        answer = await stock.resolve(name, rdtype, search=False)
        return [str(getattr(record, "exchange", record)) for record in answer]

    await _look_up_all(ask, domains)


def measure(way: Callable[[int, range], Awaitable[None]], port: int, domains: range) -> Taken:
    """Run one way in a loop of its own."""

    async def run() -> None:
        await way(port, domains)

    cpu, wall = time.process_time(), time.perf_counter()
    asyncio.run(run())
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    lookups = 3 * len(domains)
    return Taken(cpu / lookups * 1e6, lookups / wall)


def main() -> int:
    """Measure and print; exit code 1 when a goal is missed."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    ways = {"ours": ours, "ours, dnspython reads": by_dnspython, "dnspython's resolver": resolver}
    taken: dict[str, list[Taken]] = {name: [] for name in ways}
    try:
        with nsd(zone()) as port:
            for number in range(-1, rounds):
                first = (number + 1) % (DOMAINS // EACH) * EACH
                for name, way in ways.items():
                    one = measure(way, port, range(first, first + (EACH if number >= 0 else EACH // 10)))
                    if number >= 0:  # the round before the first one only warms up
                        taken[name].append(one)
    except NsdError as error:
        print(error, file=sys.stderr)
        return 2
    base = taken["dnspython's resolver"]
    for name, rows in taken.items():
        cpu = statistics.median(row.cpu for row in rows)
        rate = statistics.median(row.rate for row in rows)
        ratio = statistics.median(b.cpu / row.cpu for row, b in zip(rows, base, strict=True))
        print(
            f"{name:24} {cpu:7.1f} us of CPU a look-up  {rate:8.0f} look-ups/s  {ratio:5.1f} x less than the resolver"
        )
    cpu = statistics.median(row.cpu for row in taken["ours"])
    ratio = statistics.median(b.cpu / row.cpu for row, b in zip(taken["ours"], base, strict=True))
    met = [
        _goal("a look-up", cpu, "us", CPU, at_most=True),
        _goal("MX, A and AAAA of a domain", 3 * cpu, "us", DOMAIN, at_most=True),
        _goal("less CPU than dnspython's resolver", ratio, "times", FASTER, at_most=False),
    ]
    return 0 if all(met) else 1


def _goal(what: str, figure: float, unit: str, goal: float, *, at_most: bool) -> bool:
    met = figure <= goal if at_most else figure >= goal
    print(
        f"{what:36} {figure:7.1f} {unit:6} goal {'<=' if at_most else '>='} {goal:g}  {'ok' if met else 'MISSED'}"
    )
    return met


if __name__ == "__main__":
    sys.exit(main())
