"""Look at a sender and at its relay at the same time, under the limits of one run."""

from __future__ import annotations

import asyncio
import secrets
import time
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from msgspec.structs import replace

from probe.core.classify import judge as judge_sender
from probe.core.exemption.preflight import judge, pointed_names
from probe.net.organisation import organisational_domains
from probe.net.relay import RelayLook
from probe.net.resolve import Resolver
from probe.run.engine import Engine
from probe.settings import DNS_TRIES

if TYPE_CHECKING:
    from collections.abc import Callable

    from probe.core.callout import Callout
    from probe.core.exemption.relay import Asked, Preflight, RelaySeen
    from probe.core.model import Address, Evidence
    from probe.core.scope import IP
    from probe.settings import Settings

REVIEW_DAYS = 90
"""Days after which an exemption is to be looked at again: long enough for the other side to mend it."""


def review_date(days: int = REVIEW_DAYS) -> str:
    """Give the date (UTC, ISO 8601) so many days from now."""
    return (datetime.now(UTC) + timedelta(days=days)).date().isoformat()


def today() -> str:
    """Give the date (UTC, ISO 8601)."""
    return review_date(0)


async def examine(
    ip: IP,
    address: Address,
    settings: Settings,
    callout: Callout,
    asked: Asked,
    *,
    review_after: str,
    watch: Callable[[Engine], None] | None = None,
) -> Preflight:
    """Probe the sender, look its relay up beside that, and judge; within `settings.timeout` seconds.

    `watch` is given the engine, whose `status` says what is waited for. Being cancelled ends it as usual.
    """
    async with aclosing(Engine(settings)) as engine:
        if watch is not None:
            watch(engine)
        zero = time.monotonic()
        resolver = Resolver(
            engine.servers,
            clock=lambda: time.monotonic() - zero,
            timeout=settings.dns_timeout,
            try_timeout=settings.dns_try_timeout,
            tries=DNS_TRIES,
        )
        look = RelayLook(resolver, ip, address, asked.zones)
        looking = asyncio.create_task(_within(look, settings.timeout))
        try:
            evidence = await engine.collect(
                address, seed=secrets.randbits(32) if settings.seed is None else settings.seed
            )
            if evidence.interrupted:
                raise asyncio.CancelledError
            await looking
        finally:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)
            await resolver.aclose()
    seen = replace(look.seen, organisations=organisational_domains(_names(look.seen, evidence)))
    return judge(judge_sender(evidence, callout), seen, asked, review_after)


async def _within(look: RelayLook, limit: float) -> None:
    try:
        async with asyncio.timeout(limit):
            await look.run()
    except TimeoutError:
        pass  # what is known by now is what there is


def _names(seen: RelaySeen, evidence: Evidence) -> list[str]:
    """Give every name whose organisation matters."""
    names = [evidence.address.domain, *(host.name for host in evidence.hosts)]
    if seen.names is not None:
        names += pointed_names(seen.names)
    if seen.spf is not None:
        names.append(seen.spf.domain)
    return names
