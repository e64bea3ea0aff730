"""What is done for one piece of work whose turn has come: the visit of its mail host, and what follows from it.

A visit leaves results, addresses that are asked again or have to hear the next mail host, and what holds for
everybody: then the work that waits for that host is concluded without a connection.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from time import monotonic
from typing import TYPE_CHECKING, Protocol

from msgspec.structs import replace

from probe.core.fold import cause_of, definite
from probe.core.model import AddressForm, Cause, Skip
from probe.core.politeness import Sign
from probe.core.rebase import shift
from probe.net.spool import SpoolError
from probe.net.store import StoreError
from probe.run.agenda import Seen
from probe.run.assemble import Assembly
from probe.run.host import host_evidence
from probe.run.lane import Lanes
from probe.run.learned import Hosts, Learned, RandomMailboxes
from probe.run.question import options_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from probe.core.model import Canary, Evidence, HostEvidence, Report
    from probe.core.politeness import Displeasure
    from probe.net.ledger import Ledger
    from probe.net.spool import Entry
    from probe.run.agenda import Agenda, Asked, Place, Work
    from probe.run.domains import Domains
    from probe.run.engine import Engine
    from probe.run.heard import Heard, Visit
    from probe.run.memory import Memory

RETRIES = 2
"""Visits after the first, each after the back-off that the one before has cost: of an address, because others were
asked before it over the connection, and of a host that turns everybody away because we come too often."""
DNS_AGE = 5.0
"""Seconds between the look-ups of a domain and the visit of its host up to which both count as one run."""
SOON = 5.0
"""Seconds within which a host has to be free again for a further connection of the same visit."""


class Deliver(Protocol):
    """Takes what is finished. `StoreError` and `SpoolError` of it end the batch."""

    def evidence(self, entry: Entry, evidence: Evidence) -> None:
        """Take the evidence of an address that was asked now."""

    def report(self, entry: Entry, report: Report) -> None:
        """Take the report of an address that the store answers."""

    def failed(self, entry: Entry, bug: Exception) -> None:
        """Take an address whose probe failed by a fault of ours: it has no result."""


class Visits:
    """What the visits of a batch share.

    `clock` counts from `started`, in seconds of `time.monotonic`, and `wake` says that there is something to do.
    """

    def __init__(
        self,
        engine: Engine,
        agenda: Agenda,
        ledger: Ledger,
        domains: Domains,
        memory: Memory | None,
        deliver: Deliver,
        *,
        clock: Callable[[], float],
        started: float,
        wake: Callable[[], None],
        searches: int,
        seed: int,
    ) -> None:
        self.concluding: deque[tuple[Work, Learned]] = deque()
        """Work whose mail host need not be asked, and what is known of that."""
        self._settings = settings = engine.settings
        self._agenda = agenda
        self._ledger = ledger
        self._domains = domains
        self._deliver = deliver
        self._clock = clock
        self._started = started
        self._wake = wake
        self._options = options_of(settings, helo=engine.own_name())
        self._lanes = Lanes(engine, self._options, seed=seed, searches=searches)
        self._assembly = Assembly(self._options, clock, seed=seed)
        self._hosts = Hosts()
        self._taken = domains.taken
        self._random = RandomMailboxes(memory, wanted=settings.catch_all)

    def begin(self, work: Work) -> None:
        """Let the work of a domain that is new wait for its first mail host."""
        self._random.recall(work.domain)
        self._queue(work)

    def _queue(self, work: Work) -> None:
        """Let work wait for its next mail host, unless that is known already."""
        target = work.target
        learned = self._hosts.known(target, self._clock())
        if learned is not None:
            self.concluding.append((work, learned))
        else:
            self._agenda.add(work, self._domains.provider(target.name))
        self._wake()

    async def visit(self, place: Place, work: Work) -> None:
        """Visit a mail host that the agenda has given out, and sort what it said."""
        displeasure: Displeasure | None = None
        turn = _Turn(place, self._ledger)
        chunk: list[Asked] = []
        try:
            learned = self._hosts.known(work.target, self._clock())
            if learned is not None:
                self.concluding.append((work, learned))
                return
            wait = self._agenda.begin(place)
            if wait > 0.0:
                await asyncio.sleep(wait)
            chunk = self._split(work)
            now = self._clock()
            zero = work.look.opened if now - work.look.opened < DNS_AGE else now
            started = self._started + zero
            lane = self._lanes.visit(
                work.target,
                chunk,
                lambda: monotonic() - started,
                with_random=self._random.asks(work.domain),
                taken=self._taken.of(work.domain, place.ip),
                doubted=self._hosts.doubted(place.ip, work.domain),
                leave=turn,
            )
            try:
                visit = await lane.run()
            except asyncio.CancelledError:
                self._rescue(work, lane.finished(), zero)
                raise
            displeasure = visit.displeased
            self._hear(work, visit, zero, displeasure)
        except (StoreError, SpoolError):
            raise
        except Exception as bug:  # noqa: BLE001  # it is told, and must not cost the others their results
            for asked in chunk:
                self._deliver.failed(asked.entry, bug)
        finally:
            self._agenda.leave(place, displeasure, returned=not turn.held)

    def _rescue(self, work: Work, finished: Heard | None, zero: float) -> None:
        """Deliver what a visit that is cut off knows already, where it settles an address."""
        if finished is None or self._goes_on(work, finished.host):
            return
        if not (self._hosts.doubted(work.target.ip, work.domain) and self._is_missing(finished.host)):
            self._settle(work, finished.asked, Seen(zero, finished.host), None, cut_short=False)

    def _split(self, work: Work) -> list[Asked]:
        """Give the addresses of one visit; what they leave of the work waits again."""
        chunk = work.chunk
        if work.stream and not work.alone:
            following = self._domains.chunk(work.domain)
            if following:
                self._queue(work.part(following, turn=work.turn, stream=True))
            work.stream = False
        if len(chunk) == 1:
            return chunk
        ip = work.target.ip
        singles = work.alone or self._hosts.asked_singly(ip)
        singles = singles or (
            self._hosts.refused_all(ip, work.domain) and not self._taken.by(work.domain, ip)
        )
        singles = singles or AddressForm.UTF8 in chunk[0].address.forms
        here = chunk[:1] if singles else [a for a in chunk if AddressForm.UTF8 not in a.address.forms]
        rest = chunk[1:] if singles else [a for a in chunk if AddressForm.UTF8 in a.address.forms]
        if rest:
            self._queue(work.part(rest, turn=work.turn, alone=work.alone))
        return here

    def _hear(self, work: Work, visit: Visit, zero: float, displeasure: Displeasure | None) -> None:
        """Sort what a visit brought: results, addresses that are asked again, and what holds for all."""
        ip, domain = work.target.ip, work.domain
        rate = displeasure is not None and displeasure.sign is Sign.RATE
        if visit.for_all is not None:
            if rate and self._hosts.rebuffed(ip) <= RETRIES:
                chunk = [heard.asked for heard in visit.heard] + visit.unasked
                self._queue(work.part(chunk, turn=work.turn, alone=work.alone))
                return
            cut_short, tls = visit.heard[0].cut_short, any(session.tls for session in visit.for_all.sessions)
            name = work.target.name if tls else None
            self._learn(ip, Learned(zero, self._clock(), visit.for_all, visit.canary, cut_short, name))
        if visit.out_of_step:
            self._hosts.ask_singly(ip)
        self._taken.note(domain, ip, visit.heard)
        if visit.vouched is False:
            # Who was taken in an earlier run, or by another host, may be gone: that says nothing of other domains.
            self._hosts.doubt(ip, None if self._taken.by(domain, ip) else domain)
        if len(visit.heard) > 1 and all(heard.unvouched for heard in visit.heard):
            self._hosts.refuse_all(ip, domain)
        doubted = self._hosts.doubted(ip, domain)
        again, further = [], []
        for heard in visit.heard:
            asked = heard.asked
            host = self._random.noted(domain, heard.host, zero)
            if heard.broken and asked.tries < RETRIES:
                asked.tries += 1
                asked.denied = asked.denied or self._is_missing(heard.host)
                again.append(asked)
            elif doubted and heard.unvouched and self._is_missing(heard.host):
                # The host tells nothing about it: it refuses also whom it has taken before.
                further += self._settle(
                    work, asked, Seen(zero, self._left_alone(work)), None, cut_short=False
                )
            else:
                if asked.denied and not self._is_missing(heard.host):
                    self._hosts.ask_singly(ip)  # what it says behind others is not to be believed
                cut_short = heard.cut_short
                further += self._settle(work, asked, Seen(zero, host), visit.canary, cut_short=cut_short)
        for chunk, turn, alone in (
            (again, work.turn, True),
            (visit.unasked, work.turn, work.alone),
            (further, work.turn + 1, False),
        ):
            if chunk:
                self._queue(work.part(chunk, turn=turn, alone=alone))

    def _settle(
        self, work: Work, asked: Asked, seen: Seen, canary: Canary | None, *, cut_short: bool
    ) -> list[Asked]:
        """Deliver an address; or give it, where it has to hear the next mail host."""
        if self._goes_on(work, seen.host):
            asked.seen = (*asked.seen, seen)
            asked.tries = 0
            asked.denied = False
            return [asked]
        evidence = self._assembly.evidence(
            work, asked, (*work.seen, *asked.seen, seen), seen.zero, canary, cut_short=cut_short
        )
        self._deliver.evidence(asked.entry, evidence)
        return []

    def _goes_on(self, work: Work, host: HostEvidence) -> bool:
        """Whether an address has to hear its next mail host, because this one has not settled it."""
        if work.turn + 1 >= len(work.targets):
            return False
        if host.skipped is Skip.HELD_BACK and work.targets[work.turn + 1].preference != host.preference:
            return False  # what a backup says does not count (see `probe.core.fold`)
        return self._settings.all_hosts or definite(host, self._options) is None

    def _learn(self, ip: str, learned: Learned) -> None:
        """Remember a host that is the same for everybody, and conclude what waits for it."""
        self._hosts.learn(ip, learned)
        for work in self._agenda.drain(ip):
            self._queue(work)

    def _is_missing(self, host: HostEvidence) -> bool:
        return cause_of(host, self._options) is Cause.MISSING_SENDER

    def _left_alone(self, work: Work) -> HostEvidence:
        return host_evidence(work.target, self._settings.port, Skip.HELD_BACK, ())

    def hold_back(self, work: Work) -> None:
        """Conclude work without its mail host, which may not be asked again today."""
        self.concluding.append((work, Learned(0.0, self._clock(), self._left_alone(work), None)))

    async def conclude(self, work: Work, learned: Learned) -> None:
        """Go on with work whose mail host need not be asked: to its next one, or to the end."""
        # The same address may be the mail host of another domain by another name.
        met = replace(
            learned.host,
            name=work.target.name,
            preference=work.target.preference,
            origin=work.target.origin,
            scope=work.target.scope,
        )
        work.seen = (*work.seen, Seen(learned.zero, met))
        if self._goes_on(work, met):
            work.turn += 1
            self._queue(work)
        else:
            await self.deliver_all(work, learned)

    # --- results -------------------------------------------------------------------------------------

    async def deliver_all(self, work: Work, learned: Learned | None) -> None:
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
            chunk = self._domains.chunk(work.domain) if work.stream else []
            await asyncio.sleep(0)


class _Turn:
    """The leave to talk to one mail host. `held` says whether it is to be given back."""

    __slots__ = ("_ledger", "_place", "held")

    def __init__(self, place: Place, ledger: Ledger) -> None:
        self.held = True
        self._place = place
        self._ledger = ledger

    async def again(self) -> bool:
        """Wait until the host may be connected to once more; false when that is not soon."""
        place = self._place
        self.held = False
        self._ledger.give_back([(place.ip, place.provider, None)])
        until = time.time() + SOON
        while (when := self._ledger.take([(place.ip, place.provider)])[0]) > 0.0:
            if when > until:
                return False
            await asyncio.sleep(max(0.01, when - time.time()))
        self.held = True
        return True
