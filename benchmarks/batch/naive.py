"""What one would write oneself, which records nothing: `python -m benchmarks.batch.naive smtp|resolve ...`.

    smtp PORT DOMAINS HOSTS ADDRESSES
        aiosmtplib, each address at the IP address of its mail host
    resolve PORT DNS-PORT DOMAINS HOSTS ADDRESSES
        dnspython's asynchronous resolver for MX, A and AAAA, and then aiosmtplib

200 at once. Prints JSON: wall time and CPU in seconds from the first address to the last (the imports and the start
of the interpreter are left out, in favour of this side), and how many callouts failed.
"""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec
from aiosmtplib import SMTP, SMTPException  # noqa: TID251  # the library itself is what is measured
from dns.asyncresolver import Resolver  # noqa: TID251  # as above
from dns.resolver import NoAnswer  # noqa: TID251  # as above

from benchmarks.batch.world import World

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

AT_ONCE = 200
TIMEOUT = 30.0


class Took(msgspec.Struct, frozen=True):
    """Seconds of wall time and of CPU for all callouts, and how many of them failed."""

    wall: float
    cpu: float
    failed: int


async def callout(ip: str, port: int, address: str) -> bool:
    """Ask one mail host for one address; True when it is accepted."""
    client = SMTP(
        hostname=ip, port=port, timeout=TIMEOUT, start_tls=False, local_hostname="probe.example.net"
    )
    await client.connect()
    await client.ehlo()
    await client.mail("")
    code, _ = await client.rcpt(address)
    await client.quit()
    return code == 250


async def resolved(resolver: Resolver, domain: str) -> str:
    """Look up MX, A and AAAA; gives the first IPv4 address of the best mail host."""
    exchanges = await resolver.resolve(domain, "MX")
    best = min(exchanges, key=lambda exchange: exchange.preference).exchange
    addresses = await resolver.resolve(best, "A")
    with suppress(NoAnswer):  # it has none here, and one would ask
        await resolver.resolve(best, "AAAA")
    return str(addresses[0].address)


async def all_of(world: World, one: Callable[[int], Awaitable[bool]]) -> Took:
    """Ask for every address of a world, `AT_ONCE` at a time."""
    failed = 0

    async def work(numbers: Iterator[int]) -> None:
        nonlocal failed
        for number in numbers:
            try:
                failed += not await one(number)
            except (SMTPException, OSError):
                failed += 1

    numbers = iter(range(world.addresses))
    began, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(work(numbers) for _ in range(AT_ONCE)))
    return Took(time.perf_counter() - began, time.process_time() - cpu, failed)


def main() -> None:
    """Ask, and print what it took."""
    what, port, *numbers = sys.argv[1], *map(int, sys.argv[2:])
    dns_port = numbers.pop(0) if what == "resolve" else 0
    domains, hosts, addresses = numbers
    world = World(addresses, domains, hosts)

    async def told(number: int) -> bool:
        return await callout(world.host(number % domains), port, world.address(number))

    async def asked(number: int) -> bool:
        ip = await resolved(resolver, f"d{number % domains}.example.")
        return await callout(ip, port, world.address(number))

    resolver = Resolver(configure=False)
    resolver.nameservers, resolver.port = ["127.0.0.1"], dns_port
    print(msgspec.json.encode(asyncio.run(all_of(world, asked if what == "resolve" else told))).decode())


if __name__ == "__main__":
    main()
