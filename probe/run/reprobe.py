"""Many senders of a log, probed again: few at a time, and never two of one domain at once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from probe.core.address import AddressError, parse
from probe.core.classify import judge

if TYPE_CHECKING:
    from collections.abc import Iterable

    from probe.core.callout import Callout
    from probe.core.model import Address, Report
    from probe.run.engine import Engine

AT_ONCE = 8
"""Senders that are probed at the same time; those of one domain, who share their mail hosts, one by one."""


class Reprobe:
    """The probes of one run. `reports` takes those that are finished, by the sender as it was given."""

    def __init__(self, engine: Engine, callout: Callout, reports: dict[str, Report], *, seed: int) -> None:
        self.reports = reports
        self.total = 0
        self._engine = engine
        self._callout = callout
        self._seed = seed
        self._gate = asyncio.Semaphore(AT_ONCE)
        self._domains: dict[str, asyncio.Lock] = {}

    def status(self) -> str:
        """Say how far it is, and what the oldest probe waits for."""
        return f"{len(self.reports)} of {self.total} probed, {self._engine.status()}"

    async def run(self, senders: Iterable[str]) -> None:
        """Probe these senders, in this order; what is no address that can be probed is left out."""
        addresses = {sender: address for sender in senders if (address := _address(sender)) is not None}
        self.total = len(addresses)
        tasks = [asyncio.create_task(self._one(sender, address)) for sender, address in addresses.items()]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _one(self, sender: str, address: Address) -> None:
        # The domain first: waiting for it must not take one of the few places.
        async with self._domains.setdefault(address.domain, asyncio.Lock()), self._gate:
            evidence = await self._engine.collect(address, seed=self._seed)
        if not evidence.interrupted:
            self.reports[sender] = judge(evidence, self._callout)


def _address(sender: str) -> Address | None:
    try:
        return parse(sender)
    except AddressError:
        return None
