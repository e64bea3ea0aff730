"""Many senders of a log, probed again: few at a time, and never two of one domain at once.

What the store still knows is not asked again, where that can tell something of the failures in the log: it is no
older than they are, or it shows the same. An older success does not show that a failure is over.
"""

from __future__ import annotations

import asyncio
import re
import time
from typing import TYPE_CHECKING

from probe.codec import encode
from probe.core.address import AddressError, parse
from probe.core.classify import judge
from probe.core.date import read_log_stamp
from probe.net.store import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from probe.core.callout import Callout
    from probe.core.model import Address, Evidence, Report
    from probe.run.engine import Engine
    from probe.run.memory import Memory

AT_ONCE = 8
"""Senders that are probed at the same time; those of one domain, who share their mail hosts, one by one."""


class Reprobe:
    """The probes of one run. `reports` takes those that are finished, by the sender as it was given."""

    def __init__(
        self,
        engine: Engine,
        callout: Callout,
        reports: dict[str, Report],
        *,
        seed: int,
        memory: Memory | None = None,
        tells: Callable[[str, Report], bool] = lambda _sender, _report: True,
    ) -> None:
        """`memory` is closed at the end, and without it all are asked; `tells` says whether a report out of it answers.

        `remarks` then hold what went wrong with it, a line for each error.
        """
        self.reports = reports
        self.total = 0
        self.remarks: dict[str, str] = {}
        self._engine = engine
        self._callout = callout
        self._seed = seed
        self._memory = memory
        self._given_up = False
        self._tells = tells
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
            self._close()

    async def _one(self, sender: str, address: Address) -> None:
        # The domain first: waiting for it must not take one of the few places.
        async with self._domains.setdefault(address.domain, asyncio.Lock()), self._gate:
            if (known := self._recall(address)) is not None and self._tells(sender, known):
                self.reports[sender] = known
                return
            evidence = await self._engine.collect(address, seed=self._seed)
        if not evidence.interrupted:
            self.reports[sender] = judge(evidence, self._callout)
            self._remember(evidence)

    # --- the store: it spares questions, and costs none where it cannot be used ------------------------------

    def _recall(self, address: Address) -> Report | None:
        if self._memory is None or self._given_up:
            return None
        try:
            return self._memory.reports([address]).get(address.mailbox)
        except StoreError as error:
            self._give_up(error)
        return None

    def _remember(self, evidence: Evidence) -> None:
        if self._memory is None or self._given_up:
            return
        try:
            self._memory.record(evidence, encode(evidence))
        except StoreError as error:
            self._give_up(error)

    def _close(self) -> None:
        if self._memory is None:
            return
        try:
            self._memory.close()
        except StoreError as error:
            self._give_up(error)

    def _give_up(self, error: StoreError) -> None:
        if not self._given_up:
            self._given_up = True
            self.remarks[str(error)] = f"nothing more is remembered of this: {error}"


_ZONE = re.compile(r"(?:Z|[+-][0-9]{2}:?[0-9]{2})$")


def stamped_at(stamp: str, *, now: float, offset: float) -> float | None:
    """Read the stamp of a log as epoch seconds; None where it is none.

    A stamp without a zone is in our local time, `offset` seconds ahead of UTC; one without a year is not in the
    future.
    """
    year = time.gmtime(now + offset).tm_year
    zone = 0.0 if _ZONE.search(stamp) else offset
    at = read_log_stamp(stamp, year)
    if at is not None and at - zone > now:
        at = read_log_stamp(stamp, year - 1)
    return None if at is None else at - zone


def _address(sender: str) -> Address | None:
    try:
        return parse(sender)
    except AddressError:
        return None
