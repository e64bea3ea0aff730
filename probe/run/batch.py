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
from typing import TYPE_CHECKING, Protocol

from msgspec.structs import replace

from probe.core.fold import cause_of, definite
from probe.core.model import AddressForm, Cause, Evidence, Skip
from probe.core.politeness import Sign
from probe.core.rebase import shift
from probe.net.spool import SpoolError
from probe.net.store import StoreError
from probe.run.agenda import Agenda, Asked, Look, Seen, Suspect, Work
from probe.run.assemble import Assembly
from probe.run.domains import Domains
from probe.run.host import host_evidence
from probe.run.lane import SEARCHES, Lanes
from probe.run.learned import Hosts, Learned, RandomMailboxes
from probe.run.question import options_of
from probe.run.workers import Workers

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from probe.core.model import Canary, HostEvidence, Report
    from probe.core.politeness import Displeasure, Limits
    from probe.core.route import Target
    from probe.net.ledger import Ledger
    from probe.net.spool import Entry, Spool
    from probe.run.agenda import Place
    from probe.run.engine import Engine
    from probe.run.lane import Heard, Visit
    from probe.run.memory import Memory

RETRIES = 2
"""Visits after the first, each after the back-off that the one before has cost: of an address, because others were
asked before it over the connection, and of a host that turns everybody away because we come too often."""
DNS_AGE = 5.0
"""Seconds between the look-ups of a domain and the visit of its host up to which both count as one run."""
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


class DeliveryError(Exception):
    """What is finished cannot be handed over, so nothing more needs to be asked; the text is one line."""


class Deliver(Protocol):
    """Takes what is finished. `DeliveryError` ends the batch."""

    def evidence(self, entry: Entry, evidence: Evidence) -> None:
        """Take the evidence of an address that was asked now."""

    def report(self, entry: Entry, report: Report) -> None:
        """Take the report of an address that the store answers."""

    def failed(self, entry: Entry, bug: Exception) -> None:
        """Take an address whose probe failed by a fault of ours: it has no result."""


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
        settings = engine.settings
        self._engine = engine
        self._settings = settings
        self._spool = spool
        self._deliver = deliver
        self._memory = memory
        self._ledger = ledger
        self._agenda = Agenda(ledger, limits, time.time)
        self._most_waiting = max(LEAST_WAITING, concurrency)
        self._park_above = self._most_waiting // SHARE
        self._started = zero
        self._options = options_of(settings, helo=engine.own_name())
        self._lanes = Lanes(engine, self._options, seed=seed, searches=searches)
        self.domains = Domains(
            engine,
            spool,
            memory,
            deliver.report,
            clock=self._clock,
            per_connection=per_connection,
            seed=seed,
        )
        self._assembly = Assembly(self._options, self._clock, seed=seed)
        self._hosts = Hosts()
        self._random = RandomMailboxes(memory, wanted=settings.catch_all)
        self._concluding: deque[tuple[Work, Learned]] = deque()
        self._granted: deque[tuple[Place, Work]] = deque()
        self._waiting: deque[tuple[str, int]] = deque()
        self._parked: set[str] = set()
        self._workers = Workers(
            concurrency,
            self._job,
            more=lambda: bool(self._granted or self._concluding or self._waiting),
            done=lambda: self._ended and not self._agenda.waiting and not self._parked,
        )
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
            self._granted.extend(self._agenda.take(min(GRANTS, self._workers.idle + 1)))
            while self._agenda.held_back:
                self._hold_back(self._agenda.held_back.popleft())
        if self._concluding:
            return self._conclude(*self._concluding.popleft())
        if self._granted:
            place, work = self._granted.popleft()
            return self._visit(place, work)
        if self._agenda.waiting < self._most_waiting:
            if not self._waiting:
                self._waiting.extend(self._unparked() or self._ready())
            if self._waiting:
                return self._open(self._waiting.popleft()[0])
        self._set_timer()
        return None

    def _ready(self) -> list[tuple[str, int]]:
        """Give domains that may be opened; none while the input comes in quickly."""
        if self._opens_at is not None:
            if self._clock() < self._opens_at:
                return []
            found = self._spool.domains(GRANTS)
            if not found:
                self._opens_at = None
            return found
        return self._spool.domains(GRANTS)

    def _unparked(self) -> list[tuple[str, int]]:
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
        self._random.recall(domain)
        if targets:
            provider = self.domains.provider(targets[0].name)
            if self._agenda.waiting_of(provider) >= self._park_above:
                self.domains.park(domain, provider, chunk)
                self._parked.add(provider)
                return
            self._queue(work)
        else:
            await self._deliver_all(work, None)

    def _queue(self, work: Work) -> None:
        """Let work wait for its next mail host, unless that is known already."""
        learned = self._hosts.known(work.target.ip, self._clock())
        if learned is not None:
            self._concluding.append((work, learned))
        else:
            provider = self.domains.provider(work.target.name)
            self._agenda.add(work, provider)
        self._workers.wake()

    # --- a visit -------------------------------------------------------------------------------------

    async def _visit(self, place: Place, work: Work) -> None:
        displeasure: Displeasure | None = None
        turn = _Turn(place, self._ledger)
        chunk: list[Asked] = []
        try:
            learned = self._hosts.known(place.ip, self._clock())
            if learned is not None:
                self._concluding.append((work, learned))
                return
            await self._agenda.mind_the_gap(place)
            chunk = self._split(work)
            zero = work.look.opened if self._clock() - work.look.opened < DNS_AGE else self._clock()
            started = self._started + zero
            visit = await self._lanes.visit(
                work.target,
                chunk,
                lambda: time.monotonic() - started,
                with_random=self._random.asks(work.domain),
                again=turn.again,
                rescue=lambda finished: self._rescue(work, finished, zero),
            )
            displeasure = visit.displeased
            self._hear(work, visit, zero, displeasure)
        except (StoreError, SpoolError, DeliveryError):
            raise
        except Exception as bug:  # noqa: BLE001  # it is told, and must not cost the others their results
            for asked in (*chunk, *(suspect.asked for suspect in work.suspects)):
                self._deliver.failed(asked.entry, bug)
        finally:
            self._agenda.leave(place, displeasure, returned=not turn.held)

    def _rescue(self, work: Work, finished: list[Heard], zero: float) -> None:
        """Deliver what a visit that is cut off knows already, where it settles an address."""
        for heard in finished:
            if not self._goes_on(work, heard.host):
                self._settle(work, Suspect(heard.asked, zero, heard.host), None, cut_short=False)

    def _split(self, work: Work) -> list[Asked]:
        """Give the addresses of one visit; what they leave of the work waits again."""
        chunk = work.chunk
        if work.stream and not work.alone:
            following = self.domains.chunk(work.domain)
            if following:
                self._queue(work.part(following, turn=work.turn, stream=True))
            work.stream = False
        singles = work.alone or self._hosts.asked_singly(work.target.ip)
        singles = singles or AddressForm.UTF8 in chunk[0].address.forms
        here = chunk[:1] if singles else [a for a in chunk if AddressForm.UTF8 not in a.address.forms]
        rest = chunk[1:] if singles else [a for a in chunk if AddressForm.UTF8 in a.address.forms]
        if rest:
            self._queue(work.part(rest, turn=work.turn, alone=work.alone))
        return here

    def _hear(self, work: Work, visit: Visit, zero: float, displeasure: Displeasure | None) -> None:
        """Sort what a visit brought: results, addresses that are asked again, and what holds for all."""
        rate = displeasure is not None and displeasure.sign is Sign.RATE
        if visit.for_all is not None:
            if rate and self._hosts.rebuffed(work.target.ip) <= RETRIES:
                chunk = [heard.asked for heard in visit.heard] + visit.unasked
                self._queue(work.part(chunk, turn=work.turn, alone=work.alone, suspects=work.suspects))
                return
            cut_short = visit.heard[0].cut_short
            self._learn(work.target, Learned(zero, self._clock(), visit.for_all, visit.canary, cut_short))
        if visit.out_of_step:
            self._hosts.ask_singly(work.target.ip)
        again, further = [], []
        suspects = _suspects(visit, zero)
        for heard in visit.heard[: len(visit.heard) - len(suspects)]:
            asked = heard.asked
            host = self._random.noted(work.domain, heard.host, zero)
            if heard.broken and asked.tries < RETRIES:
                asked.tries += 1
                again.append(asked)
            else:
                one = Suspect(asked, zero, host)
                further += self._settle(work, one, visit.canary, cut_short=heard.cut_short)
        if suspects:
            *others, witness = suspects
            part = work.part([witness.asked], turn=work.turn, alone=True, suspects=tuple(others))
            self._queue(part)
        elif work.suspects and not again:
            settled, doubted = self._resolve(work, visit)
            further += settled
            again = doubted
        for chunk, turn, alone in (
            (again, work.turn, True),
            (visit.unasked, work.turn, work.alone),
            (further, work.turn + 1, False),
        ):
            if chunk:
                kept = work.suspects if chunk is again else ()
                self._queue(work.part(chunk, turn=turn, alone=alone, suspects=kept))

    def _resolve(self, work: Work, visit: Visit) -> tuple[list[Asked], list[Asked]]:
        """Conclude for those whose refusal hangs on that of the address of this visit, which has its answer.

        Gives who has to hear the next mail host, and who is asked again.
        """
        suspects, work.suspects = work.suspects, ()
        if cause_of(visit.heard[0].host, self._options) is not Cause.MISSING_SENDER:
            self._hosts.ask_singly(work.target.ip)
            return [], [suspect.asked for suspect in suspects]
        further = []
        for suspect in suspects:
            further += self._settle(work, suspect, visit.canary, cut_short=False)
        return further, []

    def _settle(self, work: Work, heard: Suspect, canary: Canary | None, *, cut_short: bool) -> list[Asked]:
        """Deliver an address; or give it, where it has to hear the next mail host."""
        asked, seen = heard.asked, Seen(heard.zero, heard.host)
        if self._goes_on(work, heard.host):
            asked.seen = (*asked.seen, seen)
            asked.tries = 0
            return [asked]
        evidence = self._assembly.evidence(
            work, asked, (*work.seen, *asked.seen, seen), heard.zero, canary, cut_short=cut_short
        )
        self._deliver.evidence(asked.entry, evidence)
        return []

    def _goes_on(self, work: Work, host: HostEvidence) -> bool:
        """Whether an address has to hear its next mail host, because this one has not settled it."""
        if work.turn + 1 >= len(work.targets):
            return False
        return self._settings.all_hosts or definite(host, self._options) is None

    def _learn(self, target: Target, learned: Learned) -> None:
        """Remember a host that is the same for everybody, and conclude what waits for it."""
        self._hosts.learn(target.ip, learned)
        for work in self._agenda.drain(target.ip):
            self._concluding.append((work, learned))

    def _hold_back(self, work: Work) -> None:
        """Go on without a host that may not be asked again today."""
        left_alone = host_evidence(work.target, self._settings.port, Skip.HELD_BACK, ())
        self._concluding.append((work, Learned(0.0, self._clock(), left_alone, None)))

    async def _conclude(self, work: Work, learned: Learned) -> None:
        """Go on with work whose mail host need not be asked: to its next one, or to the end."""
        work.chunk += [suspect.asked for suspect in work.suspects]
        work.suspects = ()
        # The same address may be the mail host of another domain by another name.
        met = replace(
            learned.host,
            name=work.target.name,
            preference=work.target.preference,
            origin=work.target.origin,
            scope=work.target.scope,
        )
        work.seen = (*work.seen, Seen(learned.zero, met))
        if work.turn + 1 < len(work.targets):
            work.turn += 1
            self._queue(work)
        else:
            await self._deliver_all(work, learned)

    # --- results -------------------------------------------------------------------------------------

    async def _deliver_all(self, work: Work, learned: Learned | None) -> None:
        """Deliver every address of a domain whose hosts are known, or that has none."""
        chunk = work.chunk
        zero = work.look.opened
        while chunk:
            for asked in chunk:
                canary = None
                if learned is not None and learned.canary is not None:
                    canary = shift(learned.canary, learned.zero - zero)
                seen = (*work.seen, *asked.seen)
                cut_short = learned is not None and learned.cut_short
                evidence = self._assembly.evidence(work, asked, seen, zero, canary, cut_short=cut_short)
                self._deliver.evidence(asked.entry, evidence)
            chunk = self.domains.chunk(work.domain) if work.stream else []
            await asyncio.sleep(0)


def _suspects(visit: Visit, zero: float) -> list[Suspect]:
    """Give the addresses at the end of a connection that were all refused, where there are several."""
    found: list[Suspect] = []
    for heard in reversed(visit.heard):
        if not heard.refused or heard.cut_short:
            break
        found.append(Suspect(heard.asked, zero, heard.host))
    return found[::-1] if len(found) > 1 else []


class _Turn:
    """The leave to talk to one mail host. `held` says whether it is to be given back."""

    def __init__(self, place: Place, ledger: Ledger) -> None:
        self.held = True
        self._place = place
        self._ledger = ledger

    async def again(self) -> bool:
        """Wait until the host may be connected to once more; false when that is not soon."""
        place = self._place
        self.held = False
        self._ledger.give_back([(place.ip, place.provider, None)])
        until = time.time() + DNS_AGE
        while (when := self._ledger.take([(place.ip, place.provider)])[0]) > 0.0:
            if when > until:
                return False
            await asyncio.sleep(max(0.01, when - time.time()))
        self.held = True
        return True
