"""What a batch would do: which mail hosts, how many addresses and connections each, and about how long.

Only the DNS and the store are asked. The times are of a mail host like most: what it takes for real is its own affair.
"""

from __future__ import annotations

import asyncio
from math import ceil
from typing import TYPE_CHECKING

from msgspec import Struct

from probe.run.agenda import Asked
from probe.run.domains import FETCH, address_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from probe.core.politeness import Limits
    from probe.core.route import Target
    from probe.run.domains import Domains

OPENING = 1.5
"""Seconds from the SYN to the answer to EHLO, and for QUIT: nine round trips of 0.1 s with TLS, and a slow greeting."""
EACH = 0.3
"""Seconds for RSET, MAIL and RCPT at that distance."""
AT_ONCE = 200
"""Domains that are looked up at once."""


class HostPlan(Struct):
    """What one mail host address would be asked, and for about how many seconds."""

    provider: str
    name: str
    ip: str
    addresses: int = 0
    connections: int = 0
    seconds: float = 0.0


class Forecast(Struct):
    """The plan of a batch. `stored` addresses are answered by the store, `undeliverable` ones by the DNS alone."""

    hosts: list[HostPlan]
    stored: int
    undeliverable: int
    seconds: float


async def forecast(domains: Domains, limits: Limits, *, per_connection: int, concurrency: int) -> Forecast:
    """Look up every domain that waits in the spool, and plan its first mail host; its addresses are used up."""
    try:
        return await _forecast(domains, limits, per_connection, concurrency)
    finally:
        await domains.aclose()


class _Prospect(Struct):
    """What a domain would cost: its first mail host, the addresses to ask, and those that the store answers."""

    target: Target | None = None
    provider: str = ""
    addresses: int = 0
    stored: int = 0


async def _prospect(domains: Domains, domain: str) -> _Prospect:
    found = _Prospect()
    first: Asked | None = None
    while entries := domains.spool.addresses(domain, FETCH):
        chunk = [Asked(entry, address_of(entry)) for entry in entries]
        addresses = [asked.address for asked in chunk]
        known = domains.memory.reports(addresses) if domains.memory is not None else {}
        found.stored += len(known)
        found.addresses += len(chunk) - len(known)
        first = first or next((asked for asked in chunk if asked.address.mailbox not in known), None)
    if first is not None:
        _, way = await domains.look_up(first)
        found.target = next((target for target in way.targets if target.skipped is None), None)
        found.provider = domains.provider(found.target.name) if found.target is not None else ""
    return found


async def _forecast(domains: Domains, limits: Limits, per_connection: int, concurrency: int) -> Forecast:
    hosts: dict[str, HostPlan] = {}
    plan = Forecast([], 0, 0, 0.0)
    running: set[asyncio.Task[None]] = set()

    async def one(domain: str) -> None:
        found = await _prospect(domains, domain)
        plan.stored += found.stored
        if found.target is None:
            plan.undeliverable += found.addresses
            return
        host = hosts.setdefault(found.target.ip, HostPlan(found.provider, found.target.name, found.target.ip))
        host.addresses += found.addresses
        host.connections += ceil(found.addresses / per_connection)

    for domain in domains.waiting():
        if len(running) >= AT_ONCE:
            done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        running.add(asyncio.create_task(one(domain)))
    for task in running:
        await task
    for host in hosts.values():
        host.seconds = _duration(host, limits)
    plan.hosts = sorted(hosts.values(), key=lambda host: -host.addresses)
    plan.seconds = _together(plan.hosts, limits, concurrency)
    return plan


def _duration(host: HostPlan, limits: Limits) -> float:
    """Give the seconds from the first to the last connection with a host."""
    talking = (host.connections * OPENING + host.addresses * EACH) / min(
        limits.per_host, max(1, host.connections)
    )
    days = (host.connections - 1) // limits.per_day
    return max(talking, (host.connections - 1) * limits.gap) + days * 86400.0


def _together(hosts: Iterable[HostPlan], limits: Limits, concurrency: int) -> float:
    """Give the seconds for all: of the slowest host or provider, or of our own connections."""
    talking: dict[str, float] = {}
    slowest = 0.0
    for host in hosts:
        slowest = max(slowest, host.seconds)
        talk = host.connections * OPENING + host.addresses * EACH
        talking[host.provider] = talking.get(host.provider, 0.0) + talk
    providers = max(talking.values(), default=0.0) / limits.per_provider
    return max(slowest, providers, sum(talking.values()) / concurrency)
