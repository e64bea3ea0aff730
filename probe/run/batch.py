"""Many addresses: from the spool, domain after domain, through the DNS and the mail hosts, to one evidence each.

A fixed number of workers take whatever can be done next, in this order: conclude what needs no connection, visit a
mail host whose turn it is, open the next domain. Nothing is queued without a bound: addresses wait in the spool on
disk, and domains are opened only as fast as their mail hosts take them. A domain whose provider has enough
waiting already is parked there again, so that one slow provider does not fill the memory and hold up the rest.

What is learned once serves all: an answer of the DNS for its TTL (`Lookups`), a mail host that nobody can reach, or
that refuses everybody, for `NOT_KEPT` seconds, the answer to the random mailbox of --catch-all for its domain.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING

from probe.net.store import StoreError
from probe.run.agenda import Agenda, Look, Work
from probe.run.domains import Domains
from probe.run.lane import SEARCHES
from probe.run.visits import Visits
from probe.run.workers import Workers

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from probe.core.politeness import Limits
    from probe.net.ledger import Ledger
    from probe.net.spool import Spool
    from probe.run.agenda import Place
    from probe.run.engine import Engine
    from probe.run.memory import Memory
    from probe.run.visits import Deliver

LEAST_WAITING = 64
"""Domains that wait for their mail host before no further one is opened: as many as there are workers, and so many at
least."""
SHARE = 16
"""Of them that many a part may wait for one provider; further ones wait on disk."""
RENEW = 30.0
"""Seconds between two signs of life to the ledger, which believes one for two minutes."""
TICK = 0.5
"""Seconds between two writes to the store, at least: what a process that is killed asks again."""
PAUSE = 0.3
"""Seconds without more input after which domains are opened whose addresses may not all be there yet."""
LONGEST_INPUT = 10.0
"""Seconds after which they are opened although the input has not paused."""
GRANTS = 64
"""Mail hosts that the ledger is asked about at once."""


class Batch:
    """The live state of one batch. `run` may be called once; `more` and `ended` tell of the input meanwhile."""

    def __init__(
        self,
        engine: Engine,
        spool: Spool,
        deliver: Deliver,
        *,
        limits: Limits,
        ledger: Ledger,
        memory: Memory | None,
        per_connection: int,
        concurrency: int,
        searches: int = SEARCHES,
        seed: int,
        zero: float,
    ) -> None:
        self._spool = spool
        self._memory = memory
        self._ledger = ledger
        self._agenda = Agenda(ledger, limits, time.time)
        self._most_waiting = max(LEAST_WAITING, concurrency)
        self._park_above = self._most_waiting // SHARE
        self._started = zero
        self.domains = Domains(
            engine,
            spool,
            memory,
            deliver.report,
            clock=self._clock,
            per_connection=per_connection,
            seed=seed,
        )
        self._granted: deque[tuple[Place, Work]] = deque()
        self._waiting: deque[str] = deque()
        self._parked: set[str] = set()
        self._workers = Workers(
            concurrency,
            self._job,
            more=lambda: bool(self._granted or self._concluding or self._waiting),
            done=lambda: self._ended and not self._agenda.waiting and not self._parked,
        )
        self._visits = Visits(
            engine,
            self._agenda,
            ledger,
            self.domains,
            memory,
            deliver,
            clock=self._clock,
            started=zero,
            wake=self._workers.wake,
            searches=searches,
            seed=seed,
        )
        self._concluding = self._visits.concluding
        self._ended = False
        self._timer: asyncio.TimerHandle | None = None
        self._ticker: asyncio.TimerHandle | None = None
        self._renewed = 0.0
        self._opens_at: float | None = None
        self._opens_by = 0.0

    def _clock(self) -> float:
        """Return seconds since the start of the batch: the clock of everything that is shared."""
        return time.monotonic() - self._started

    # --- the run -------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Ask until every address has its result. What `deliver`, the store or the spool raises comes out here."""
        self._tick()
        try:
            await self._workers.run()
        finally:
            for handle in (self._timer, self._ticker):
                if handle is not None:
                    handle.cancel()
            await self.domains.aclose()
            self._agenda.flush()
            if self._memory is not None:
                self._memory.write()

    def more(self) -> None:
        """Note that the spool has more addresses.

        A domain that is opened while its addresses still come in would be asked about over many connections.
        """
        now = self._clock()
        if self._opens_at is None:
            self._opens_by = now + LONGEST_INPUT
        self._opens_at = min(now + PAUSE, self._opens_by)
        self._workers.wake()

    def ended(self) -> None:
        """Note that the spool gets no more."""
        self._ended = True
        self._opens_at = None
        self._workers.wake()

    def _set_timer(self) -> None:
        due = self._agenda.due()
        delays = [] if due is None else [max(0.0, due - time.time())]
        if self._opens_at is not None:
            delays.append(max(0.0, self._opens_at - self._clock()))
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if delays:
            self._timer = asyncio.get_running_loop().call_later(min(delays), self._workers.wake)

    def _tick(self) -> None:
        """Do what has to be done now and then, whatever happens."""
        now = self._clock()
        try:
            if now >= self._renewed + RENEW:
                self._renewed = now
                self._ledger.renew()
            if self._memory is not None:
                self._memory.write()
        except (
            StoreError
        ) as error:  # it can no longer be used, and here, in the loop, nobody would hear of it
            self._workers.fail(error)
            return
        self._ticker = asyncio.get_running_loop().call_later(TICK, self._tick)

    # --- what to do next -----------------------------------------------------------------------------

    def _job(self) -> Coroutine[None, None, None] | None:
        if not self._granted:
            self._granted.extend(self._agenda.take(min(GRANTS, self._workers.free + 1)))
            while self._agenda.held_back:
                self._visits.hold_back(self._agenda.held_back.popleft())
        if self._concluding:
            return self._visits.conclude(*self._concluding.popleft())
        if self._granted:
            place, work = self._granted.popleft()
            return self._visits.visit(place, work)
        if self._agenda.waiting < self._most_waiting:
            if not self._waiting:
                self._waiting.extend(self._unparked() or self._ready())
            if self._waiting:
                return self._open(self._waiting.popleft())
        self._set_timer()
        return None

    def _ready(self) -> list[str]:
        """Give domains that may be opened; none while the input comes in quickly."""
        if self._opens_at is not None:
            if self._clock() < self._opens_at:
                return []
            found = self._spool.domains(GRANTS)
            if not found:
                self._opens_at = None
            return found
        return self._spool.domains(GRANTS)

    def _unparked(self) -> list[str]:
        """Fetch parked domains of a provider that has room again."""
        for provider in self._parked:
            if self._agenda.waiting_of(provider) < self._park_above // 2:
                found = self._spool.parked(provider, self._park_above // 2)
                if not found:
                    self._parked.discard(provider)
                return found
        return []

    # --- a domain ------------------------------------------------------------------------------------

    async def _open(self, domain: str) -> None:
        """Take up a domain: answer from the store, look it up, and let it wait for its first mail host."""
        chunk = self.domains.chunk(domain)
        if not chunk:
            return
        opened = self._clock()
        answers, way = await self.domains.look_up(chunk[0])
        targets = tuple([target for target in way.targets if target.skipped is None])
        work = Work(
            domain=domain,
            look=Look(answers, opened),
            all_targets=way.targets,
            targets=targets,
            chunk=chunk,
            stream=True,
        )
        if targets:
            provider = self.domains.provider(targets[0].name)
            if self._agenda.waiting_of(provider) >= self._park_above:
                self.domains.park(domain, provider, chunk)
                self._parked.add(provider)
                return
            self._visits.begin(work)
        else:
            await self._visits.deliver_all(work, None)
