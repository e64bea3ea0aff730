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
from collections import OrderedDict, deque
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol
from zlib import crc32

from msgspec import Struct
from msgspec.structs import replace

from probe.core.address import parse
from probe.core.classify import TOOL
from probe.core.expiry import NOT_KEPT
from probe.core.fold import definite
from probe.core.model import EVIDENCE_SCHEMA, AddressForm, Evidence, Skip, Stage
from probe.core.politeness import Sign
from probe.core.rebase import shift
from probe.core.route import route
from probe.net.lookup import Lookups
from probe.net.organisation import organisational_domains
from probe.net.store import StoreError
from probe.run.agenda import Agenda, Asked, Look, Seen, Work
from probe.run.host import host_evidence
from probe.run.lane import Lanes, accepted
from probe.run.question import options_of
from probe.settings import DNS_TRIES

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator

    from probe.core.chain import Question
    from probe.core.model import Canary, DnsAnswer, Exchange, HostEvidence, Report
    from probe.core.politeness import Displeasure, Limits
    from probe.core.route import Route, Target
    from probe.net.ledger import Ledger
    from probe.net.spool import Entry, Spool
    from probe.run.agenda import Place
    from probe.run.engine import Engine
    from probe.run.lane import Visit
    from probe.run.memory import Memory

RETRIES = 2
"""Visits after the first, each after the back-off that the one before has cost: of an address, because others were
asked before it over the connection, and of a host that turns everybody away because we come too often."""
DNS_AGE = 5.0
"""Seconds between the look-ups of a domain and the visit of its host up to which both count as one run."""
WAITING = 4
"""Domains that wait for their mail host, for each worker, before no further one is opened."""
PARK_ABOVE = 64
"""Domains of one provider that wait in memory; further ones wait on disk."""
LEARNED = 1000
"""Mail hosts that are remembered as being the same for everybody; of each the search of its path is kept."""
RENEW = 30.0
"""Seconds between two signs of life to the ledger, which believes one for two minutes."""
TICK = 0.5
"""Seconds between two writes to the store, at least: what a process that is killed asks again."""
FETCH = 50
"""Addresses of a domain that are taken from the spool at once, at least."""
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


class _Learned(Struct, frozen=True):
    """A mail host as everybody meets it, in seconds since `zero` of the batch's clock, seen at `at`."""

    zero: float
    at: float
    host: HostEvidence
    canary: Canary | None


class Prospect(Struct):
    """What a domain would cost: its first mail host, the addresses to ask, and those that the store answers."""

    target: Target | None = None
    provider: str = ""
    addresses: int = 0
    stored: int = 0


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
        self._per_connection = per_connection
        self._concurrency = concurrency
        self._seed = seed
        self._started = zero
        self._options = options_of(settings, helo=engine.own_name())
        self._lanes = Lanes(engine, self._options, seed=seed)
        self._lookups = Lookups(
            engine.servers,
            clock=self._clock,
            timeout=settings.dns_timeout,
            try_timeout=settings.dns_try_timeout,
            tries=DNS_TRIES,
            remember=memory,
        )
        self._learned: OrderedDict[str, _Learned] = OrderedDict()
        self._rebuffs: OrderedDict[str, int] = OrderedDict()
        self._random: OrderedDict[str, tuple[float, Exchange] | None] = OrderedDict()
        self._concluding: deque[tuple[Work, _Learned]] = deque()
        self._granted: deque[tuple[Place, Work]] = deque()
        self._domains: deque[tuple[str, int]] = deque()
        self._fetched: dict[str, list[Asked]] = {}
        self._parked: set[str] = set()
        self._providers: dict[str, str] = {}
        self._workers: list[asyncio.Task[None]] = []
        self._idle: list[asyncio.Future[None]] = []
        self._busy = 0
        self._ended = False
        self._over: asyncio.Future[None] | None = None
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
        loop = asyncio.get_running_loop()
        self._over = loop.create_future()
        self._tick()
        self._wake()
        try:
            await self._over
        finally:
            for handle in (self._timer, self._ticker):
                if handle is not None:
                    handle.cancel()
            for worker in self._workers:
                worker.cancel()
            await asyncio.gather(*self._workers, return_exceptions=True)
            await self._lookups.aclose()
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
        self._wake()

    def ended(self) -> None:
        """Note that the spool gets no more."""
        self._ended = True
        self._opens_at = None
        self._wake()

    def _wake(self) -> None:
        """Have one more worker look for something to do."""
        if self._over is None or self._over.done():
            return
        if self._idle:
            self._idle.pop().set_result(None)
        elif len(self._workers) < self._concurrency:
            self._workers.append(asyncio.create_task(self._work()))

    async def _work(self) -> None:
        try:
            while True:
                job = self._job()
                if job is None:
                    await self._rest()
                    continue
                self._busy += 1
                if self._granted or self._concluding or self._domains:
                    self._wake()
                try:
                    await job
                finally:
                    self._busy -= 1
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001  # whoever awaits `run` gets it
            self._finish(error)

    async def _rest(self) -> None:
        """Wait for something to do; the last to come here knows that all is done."""
        if self._is_done():
            self._finish(None)
        idle = asyncio.get_running_loop().create_future()
        self._idle.append(idle)
        await idle

    def _is_done(self) -> bool:
        return self._ended and not self._busy and not self._agenda.waiting and not self._parked

    def _finish(self, error: BaseException | None) -> None:
        if self._over is not None and not self._over.done():
            if error is None:
                self._over.set_result(None)
            else:
                self._over.set_exception(error)

    def _set_timer(self) -> None:
        due = self._agenda.due()
        delays = [] if due is None else [max(0.0, due - time.time())]
        if self._opens_at is not None:
            delays.append(max(0.0, self._opens_at - self._clock()))
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if delays:
            self._timer = asyncio.get_running_loop().call_later(min(delays), self._wake)

    def _tick(self) -> None:
        """Do what has to be done now and then, whatever happens."""
        now = self._clock()
        if now >= self._renewed + RENEW:
            self._renewed = now
            self._ledger.renew()
        if self._memory is not None:
            self._memory.write()
        self._ticker = asyncio.get_running_loop().call_later(TICK, self._tick)

    # --- what to do next -----------------------------------------------------------------------------

    def _job(self) -> Coroutine[None, None, None] | None:
        if not self._granted:
            self._granted.extend(self._agenda.take(min(GRANTS, len(self._idle) + 1)))
            while self._agenda.held_back:
                self._hold_back(self._agenda.held_back.popleft())
        if self._concluding:
            return self._conclude(*self._concluding.popleft())
        if self._granted:
            place, work = self._granted.popleft()
            return self._visit(place, work)
        if self._agenda.waiting < WAITING * self._concurrency:
            if not self._domains:
                self._domains.extend(self._unparked() or self._ready())
            if self._domains:
                return self._open(self._domains.popleft()[0])
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
            if self._agenda.waiting_of(provider) < PARK_ABOVE // 2:
                found = self._spool.parked(provider, PARK_ABOVE // 2)
                if not found:
                    self._parked.discard(provider)
                return found
        return []

    # --- a domain ------------------------------------------------------------------------------------

    async def _open(self, domain: str) -> None:
        """Take up a domain: answer from the store, look it up, and let it wait for its first mail host."""
        chunk = self._chunk(domain)
        if not chunk:
            return
        opened = self._clock()
        answers, way = await self._look_up(chunk[0])
        targets = tuple([target for target in way.targets if target.skipped is None])
        work = Work(
            domain=domain,
            look=Look(answers, opened),
            all_targets=way.targets,
            targets=targets,
            chunk=chunk,
            stream=True,
        )
        if self._settings.catch_all and self._memory is not None and domain not in self._random:
            self._remember_random(domain, self._memory.random(domain))
        if targets:
            provider = self._provider(targets[0].name)
            if self._agenda.waiting_of(provider) >= PARK_ABOVE:
                chunk += self._fetched.pop(domain, [])
                self._spool.give_back([asked.entry for asked in chunk])
                self._spool.park(domain, provider)
                self._parked.add(provider)
                return
            self._queue(work)
        else:
            await self._deliver_all(work, None)

    # --- a dry run -----------------------------------------------------------------------------------

    def waiting_domains(self) -> Iterator[str]:
        """Give every domain that waits in the spool, once."""
        while domains := self._spool.domains(GRANTS):
            for domain, _ in domains:
                yield domain

    async def prospect(self, domain: str) -> Prospect:
        """Say what a domain would cost, without asking its mail hosts; its addresses are used up."""
        found = Prospect()
        first: Asked | None = None
        while entries := self._spool.addresses(domain, self._per_connection):
            chunk = [Asked(entry, parse(entry.mailbox)) for entry in entries]
            known = (
                self._memory.reports([asked.address for asked in chunk]) if self._memory is not None else {}
            )
            found.stored += len(known)
            found.addresses += len(chunk) - len(known)
            first = first or next((asked for asked in chunk if asked.address.mailbox not in known), None)
        if first is not None:
            _, way = await self._look_up(first)
            found.target = next((target for target in way.targets if target.skipped is None), None)
            found.provider = self._provider(found.target.name) if found.target is not None else ""
        return found

    async def aclose(self) -> None:
        """Close what a dry run has opened."""
        await self._lookups.aclose()

    def _chunk(self, domain: str) -> list[Asked]:
        """Take the next addresses of a domain that the store does not answer; none when there are no more."""
        waiting = self._fetched.pop(domain, None) or self._fetch(domain)
        chunk, rest = waiting[: self._per_connection], waiting[self._per_connection :]
        if rest:
            self._fetched[domain] = rest
        return chunk

    def _fetch(self, domain: str) -> list[Asked]:
        """Take addresses from the spool, enough to be worth the look; deliver those that the store answers."""
        while entries := self._spool.addresses(domain, max(FETCH, self._per_connection)):
            fetched = [Asked(entry, replace(parse(entry.mailbox), given=entry.given)) for entry in entries]
            if self._memory is None:
                return fetched
            known = self._memory.reports([asked.address for asked in fetched])
            rest = []
            for asked in fetched:
                report = known.get(asked.address.mailbox)
                if report is None:
                    rest.append(asked)
                else:
                    self._deliver.report(asked.entry, report)
            if rest:
                return rest
        return []

    async def _look_up(self, asked: Asked) -> tuple[tuple[DnsAnswer, ...], Route]:
        """Ask the DNS until it names the mail hosts, or why there are none; each question once."""
        known: dict[Question, DnsAnswer] = {}
        address, settings = asked.address, self._settings
        while True:
            way = route(
                address,
                known.values(),
                seed=self._seed ^ crc32(address.domain.encode()),
                families=settings.families,
                allow_private=settings.allow_private,
            )
            new = [question for question in way.questions if question not in known]
            if not new:
                return tuple(known.values()), way
            if len(new) == 1:
                known[new[0]] = await self._lookups.ask(new[0].name, new[0].type)
            else:
                asks = [self._lookups.ask(question.name, question.type) for question in new]
                known.update(zip(new, await asyncio.gather(*asks), strict=True))

    def _provider(self, name: str) -> str:
        """Give the organisation to which a mail host belongs; a name without one is its own."""
        found = self._providers.get(name)
        if found is None:
            if len(self._providers) >= LEARNED:
                self._providers.clear()
            found = self._providers[name] = organisational_domains([name]).get(name, name)
        return found

    def _queue(self, work: Work) -> None:
        """Let work wait for its next mail host, unless that is known already."""
        learned = self._learned.get(work.target.ip)
        if learned is not None and self._clock() - learned.at < NOT_KEPT:
            self._concluding.append((work, learned))
        else:
            provider = self._provider(work.target.name)
            self._agenda.add(work, provider)
        self._wake()

    # --- a visit -------------------------------------------------------------------------------------

    async def _visit(self, place: Place, work: Work) -> None:
        displeasure: Displeasure | None = None
        returned = False
        chunk: list[Asked] = []

        async def again() -> bool:
            nonlocal returned
            returned = not await self._again(place)
            return not returned

        try:
            learned = self._learned.get(place.ip)
            if learned is not None and self._clock() - learned.at < NOT_KEPT:
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
                with_random=self._asks_random(work.domain),
                again=again,
            )
            displeasure = visit.displeased
            self._hear(work, visit, zero, displeasure)
        except (StoreError, DeliveryError):
            raise
        except Exception as bug:  # noqa: BLE001  # it is told, and must not cost the others their results
            for asked in chunk:
                self._deliver.failed(asked.entry, bug)
        finally:
            self._agenda.leave(place, displeasure, returned=returned)

    def _split(self, work: Work) -> list[Asked]:
        """Give the addresses of one visit; what they leave of the work waits again."""
        chunk = work.chunk
        if work.stream and not work.alone:
            following = self._chunk(work.domain)
            if following:
                self._queue(work.part(following, turn=work.turn, stream=True))
            work.stream = False
        singles = work.alone or AddressForm.UTF8 in chunk[0].address.forms
        here = chunk[:1] if singles else [a for a in chunk if AddressForm.UTF8 not in a.address.forms]
        rest = chunk[1:] if singles else [a for a in chunk if AddressForm.UTF8 in a.address.forms]
        if rest:
            self._queue(work.part(rest, turn=work.turn, alone=work.alone))
        return here

    async def _again(self, place: Place) -> bool:
        """Wait until the host of a visit may be connected to once more; false when that is not soon."""
        self._ledger.give_back([(place.ip, place.provider, None)])
        until = time.time() + DNS_AGE
        while (when := self._ledger.take([(place.ip, place.provider)])[0]) > 0.0:
            if when > until:
                return False
            await asyncio.sleep(max(0.01, when - time.time()))
        return True

    def _hear(self, work: Work, visit: Visit, zero: float, displeasure: Displeasure | None) -> None:
        """Sort what a visit brought: results, addresses that are asked again, and what holds for all."""
        rate = displeasure is not None and displeasure.sign is Sign.RATE
        if visit.for_all is not None:
            if rate and self._rebuffed(work.target.ip) <= RETRIES:
                chunk = [heard.asked for heard in visit.heard] + visit.unasked
                self._queue(work.part(chunk, turn=work.turn, alone=work.alone))
                return
            self._learn(work.target, _Learned(zero, self._clock(), visit.for_all, visit.canary))
        again, further = [], []
        for heard in visit.heard:
            asked = heard.asked
            told_to_wait = rate and heard is visit.heard[-1]
            host = self._with_random(work.domain, heard.host, zero)
            if (heard.broken or told_to_wait) and asked.tries < RETRIES:
                asked.tries += 1
                again.append(asked)
            elif self._goes_on(work, host) and not heard.cut_short:
                asked.seen = (*asked.seen, Seen(zero, host))
                asked.tries = 0
                further.append(asked)
            else:
                seen = (*work.seen, *asked.seen, Seen(zero, host))
                self._deliver_one(work, asked, seen, zero, visit.canary, cut_short=heard.cut_short)
        for chunk, turn, alone in (
            (again, work.turn, True),
            (visit.unasked, work.turn, work.alone),
            (further, work.turn + 1, False),
        ):
            if chunk:
                self._queue(work.part(chunk, turn=turn, alone=alone))

    def _rebuffed(self, ip: str) -> int:
        """Count how often a host has turned everybody away because we come too often."""
        times = self._rebuffs.pop(ip, 0) + 1
        self._rebuffs[ip] = times
        if len(self._rebuffs) > LEARNED:
            self._rebuffs.popitem(last=False)
        return times

    def _goes_on(self, work: Work, host: HostEvidence) -> bool:
        """Whether an address has to hear its next mail host, because this one has not settled it."""
        if work.turn + 1 >= len(work.targets):
            return False
        return self._settings.all_hosts or definite(host, self._options) is None

    def _learn(self, target: Target, learned: _Learned) -> None:
        """Remember a host that is the same for everybody, and conclude what waits for it."""
        self._learned[target.ip] = learned
        if len(self._learned) > LEARNED:
            self._learned.popitem(last=False)
        for work in self._agenda.drain(target.ip):
            self._concluding.append((work, learned))

    def _hold_back(self, work: Work) -> None:
        """Go on without a host that may not be asked again today."""
        left_alone = host_evidence(work.target, self._settings.port, Skip.HELD_BACK, ())
        self._concluding.append((work, _Learned(0.0, self._clock(), left_alone, None)))

    async def _conclude(self, work: Work, learned: _Learned) -> None:
        """Go on with work whose mail host need not be asked: to its next one, or to the end."""
        work.seen = (*work.seen, Seen(learned.zero, learned.host))
        if work.turn + 1 < len(work.targets):
            work.turn += 1
            self._queue(work)
        else:
            await self._deliver_all(work, learned)

    # --- results -------------------------------------------------------------------------------------

    async def _deliver_all(self, work: Work, learned: _Learned | None) -> None:
        """Deliver every address of a domain whose hosts are known, or that has none."""
        chunk = work.chunk
        zero = work.look.opened
        while chunk:
            for asked in chunk:
                canary = None
                if learned is not None and learned.canary is not None:
                    canary = shift(learned.canary, learned.zero - zero)
                self._deliver_one(work, asked, (*work.seen, *asked.seen), zero, canary, cut_short=False)
            chunk = self._chunk(work.domain) if work.stream else []
            await asyncio.sleep(0)

    def _deliver_one(
        self,
        work: Work,
        asked: Asked,
        seen: tuple[Seen, ...],
        zero: float,
        canary: Canary | None,
        *,
        cut_short: bool,
    ) -> None:
        hosts = {
            item.host.ip: item.host if item.zero == zero else shift(item.host, item.zero - zero)
            for item in seen
        }
        port = self._settings.port
        evidence = Evidence(
            schema=EVIDENCE_SCHEMA,
            tool=TOOL,
            began=datetime.fromtimestamp(time.time() - self._clock() + zero, UTC).isoformat(
                timespec="milliseconds"
            ),
            seed=self._seed ^ crc32(asked.address.domain.encode()),
            address=asked.address,
            options=self._options,
            dns=work.look.since(zero),
            hosts=tuple(
                [
                    hosts.get(target.ip) or host_evidence(target, port, target.skipped or Skip.DEFINITE, ())
                    for target in work.all_targets
                ]
            ),
            ended=self._clock() - zero,
            interrupted=False,
            cut_short=cut_short,
            canary=canary,
        )
        self._deliver.evidence(asked.entry, evidence)

    # --- the random mailbox of --catch-all, once a domain ---------------------------------------------

    def _asks_random(self, domain: str) -> bool:
        """Whether this visit asks for the random mailbox; from now on no other one does."""
        if not self._settings.catch_all or domain in self._random:
            return False
        self._remember_random(domain, None)
        return True

    def _remember_random(self, domain: str, answer: tuple[float, Exchange] | None) -> None:
        self._random[domain] = answer
        if len(self._random) > LEARNED:
            self._random.popitem(last=False)

    def _with_random(self, domain: str, host: HostEvidence, zero: float) -> HostEvidence:
        """Note the answer to the random mailbox, or add it to an address that was taken without it."""
        if not self._settings.catch_all:
            return host
        session = host.sessions[-1]
        found = next((ex for ex in session.exchanges if ex.stage is Stage.RCPT_RANDOM), None)
        if found is not None:
            self._remember_random(domain, (zero, found) if found.reply is not None else None)
            return host
        known = self._random.get(domain)
        if known is None or not accepted(session):
            return host
        answer = shift(known[1], known[0] - zero)
        place = next(n for n, ex in enumerate(session.exchanges) if ex.stage is Stage.RCPT) + 1
        exchanges = (*session.exchanges[:place], answer, *session.exchanges[place:])
        return replace(host, sessions=(*host.sessions[:-1], replace(session, exchanges=exchanges)))
