"""What a batch would do: which mail hosts, how many addresses and connections each, and about how long.

Only the DNS and the store are asked. The times are of a mail host like most: what it takes for real is its own affair.
"""

from __future__ import annotations

import asyncio
from math import ceil
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterable

    from probe.core.politeness import Limits
    from probe.run.batch import Batch

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


async def forecast(batch: Batch, limits: Limits, *, per_connection: int, concurrency: int) -> Forecast:
    """Look up every domain that waits in the batch's spool, and plan its first mail host."""
    hosts: dict[str, HostPlan] = {}
    plan = Forecast([], 0, 0, 0.0)
    domains = batch.waiting_domains()
    running: set[asyncio.Task[None]] = set()

    async def one(domain: str) -> None:
        found = await batch.prospect(domain)
        plan.stored += found.stored
        if found.target is None:
            plan.undeliverable += found.addresses
            return
        host = hosts.setdefault(found.target.ip, HostPlan(found.provider, found.target.name, found.target.ip))
        host.addresses += found.addresses
        host.connections += ceil(found.addresses / per_connection)

    for domain in domains:
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
