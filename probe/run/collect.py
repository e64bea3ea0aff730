"""One address -> its evidence: which question, which mail host, when, and when it is enough.

This is the only place that decides about time. It asks what `route` names, starts the mail hosts in the
order that a mail server would ask them, and stops when the answer is definite, when nothing is left, or when
the overall limit or the user ends it. Whatever happens, it hands back what was seen.

A host is started when no earlier one holds it up any longer: one that has not connected holds it up for
`stagger` seconds (RFC 8305; the first a little longer), one that has for `patience` seconds, one that has
failed not at all. So a dead host costs a fraction of a second and a slow one is still heard out.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from probe.core.model import (
    EVIDENCE_SCHEMA,
    Address,
    Cause,
    DnsAnswer,
    Evidence,
    Skip,
    Stage,
)
from probe.core.route import Route, Target, route
from probe.run.host import HostProbe, host_evidence
from probe.run.lookout import Call, Lookout, Search, Trail
from probe.run.question import callout_plan, options_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine
    from contextlib import AbstractAsyncContextManager

    from probe.core.chain import Question
    from probe.core.conversation import Plan
    from probe.core.model import Canary, Options
    from probe.core.search import Aim
    from probe.settings import Settings

LOOKUP_GRACE = 1.0
"""How long the first known mail host waits for look-ups that may yet name a more preferred one."""
SILENCE = 1.05
"""A host that is still connecting when another one has given the answer is watched until its first SYN has
gone unanswered for this long: the kernel repeats it after one second, so "silent" then means two packets."""


class Resolver(Protocol):
    """Looks one question up. A failure is a value."""

    async def ask(self, name: str, rdtype: str) -> DnsAnswer:
        """Ask for the records of `rdtype` ("MX", "A", "AAAA") at `name`."""

    def answers(self) -> tuple[DnsAnswer, ...]:
        """Give every question so far, in the order asked; an unfinished one is `cut-short`."""


class Backends(Struct, frozen=True):
    """What the collection works with: the network, or a replay of it.

    `search` begins a search of the path to a host, going on from what is known of it, and `search_turn` waits
    until the routers may be asked again over an address family (false: not in time); both are None for a source
    that has no network to search. `canary` calls a mail host that is known to be up over one address family (4 or
    6), other than the names and IPs it is given.
    """

    resolver: Resolver
    call: Callable[[Target, Plan], Call]
    clock: Callable[[], float]
    turn: Callable[[str], AbstractAsyncContextManager[None]]
    search: Callable[[Target, Aim, Trail], Search] | None = None
    search_turn: Callable[[int], Awaitable[bool]] | None = None
    canary: Callable[[int, tuple[str, ...]], Coroutine[None, None, Canary]] | None = None


class Collection:
    """The live state of one collection."""

    def __init__(
        self, address: Address, settings: Settings, backends: Backends, *, helo: str | None, seed: int
    ) -> None:
        self.address = address
        self.settings = settings
        self.backends = backends
        self.clock = backends.clock
        self._helo = helo
        self._seed = seed
        self._answers: list[DnsAnswer] = []
        self._asking: dict[Question, asyncio.Task[DnsAnswer]] = {}
        self._probes: dict[str, HostProbe] = {}
        self._first_target: float | None = None
        self._interrupted = False
        self._cut_short = False
        self._news = asyncio.Event()
        self._canary: asyncio.Task[Canary] | None = None
        self._limit: asyncio.Timeout | None = None
        self._left = 0.0
        self._queued = 0

    async def run(self, began: str) -> Evidence:
        """Collect until it is enough. Being cancelled ends it early, and the evidence says so."""
        try:
            async with asyncio.timeout(max(0.0, self.settings.timeout - self.clock())) as self._limit:
                await self._work()
        except TimeoutError:
            self._cut_short = True
        except asyncio.CancelledError:
            self._interrupted = True
            if (task := asyncio.current_task()) is not None:
                task.uncancel()  # what follows is short, and its own time-outs must work
        finally:
            for question in self._asking.values():
                question.cancel()
            if self._canary is not None:
                self._canary.cancel()
            await self._stop(tuple(self._probes.values()))
        self._answers = list(self.backends.resolver.answers())
        return self._evidence(began)

    def hold_clock(self) -> None:
        """Stop the overall limit while a host waits for its turn: that is our own queue, and not the peer."""
        self._queued += 1
        if self._queued == 1 and self._limit is not None and (ends := self._limit.when()) is not None:
            self._left = ends - asyncio.get_running_loop().time()
            self._limit.reschedule(None)

    def resume_clock(self) -> None:
        """Let the overall limit run on once nobody waits for a turn."""
        self._queued -= 1
        if self._queued == 0 and self._limit is not None:
            self._limit.reschedule(asyncio.get_running_loop().time() + self._left)

    def lookout(self, target: Target) -> Lookout | None:
        """Give what searches the path to one host; None where that is not wanted or not possible."""
        search, turn = self.backends.search, self.backends.search_turn
        if search is None or turn is None or not self.settings.trace:
            return None
        return Lookout(
            lambda aim, trail: search(target, aim, trail),
            lambda: turn(6 if ":" in target.ip else 4),
            clock=self.clock,
            fast=self.settings.fast,
            silent=lambda: self._call_canary(target),
        )

    def look_again(self) -> None:
        """Wake the collection: a host has come to the end of its conversation."""
        self._news.set()

    def _call_canary(self, silent: Target) -> asyncio.Task[Canary] | None:
        """Call the canary once, unless another host has shown already that the port is open for us."""
        if self.backends.canary is None or any(
            probe.connected and (":" in probe.target.ip) == (":" in silent.ip)
            for probe in self._probes.values()
        ):
            return None
        if self._canary is None:
            asked = tuple(
                word for probe in self._probes.values() for word in (probe.target.name, probe.target.ip)
            )
            self._canary = asyncio.create_task(self.backends.canary(6 if ":" in silent.ip else 4, asked))
        return self._canary

    async def _work(self) -> None:
        while True:
            self._news.clear()
            self._take_answers()
            self._raise_bugs()
            way = self._route()
            for question in way.questions:
                if question not in self._asking:
                    ask = self.backends.resolver.ask(question.name, question.type)
                    self._asking[question] = asyncio.create_task(ask)
            if await self._definite():
                return
            wake = self._start_next(way.targets)
            running: set[asyncio.Task[None] | asyncio.Task[DnsAnswer]] = {
                probe.task for probe in self._probes.values() if not probe.task.done()
            }
            running |= set(self._asking.values())
            if not running and wake is None:
                return
            limit = None if wake is None else max(0.0, wake - self.clock())
            if running:
                await self._wait(running, limit)
            elif limit:
                await asyncio.sleep(limit)

    async def _wait(
        self, running: set[asyncio.Task[None] | asyncio.Task[DnsAnswer]], limit: float | None
    ) -> None:
        """Wait until something ends, a host has news, or the time to start the next one comes."""
        news = asyncio.create_task(self._news.wait())
        try:
            await asyncio.wait({*running, news}, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
        finally:
            news.cancel()

    def _raise_bugs(self) -> None:
        """Fail loudly where a conversation failed by a fault of ours: no verdict may be built on that."""
        for probe in self._probes.values():
            if probe.task.done() and not probe.task.cancelled() and (bug := probe.task.exception()):
                raise RuntimeError(f"the conversation with {probe.target.ip} failed inside") from bug

    def _take_answers(self) -> None:
        for question, task in tuple(self._asking.items()):
            if task.done():
                del self._asking[question]
                self._answers.append(task.result())

    def _route(self) -> Route:
        return route(
            self.address,
            tuple(self._answers),
            seed=self._seed,
            families=self.settings.families,
            allow_private=self.settings.allow_private,
        )

    def _start_next(self, targets: tuple[Target, ...]) -> float | None:
        """Start the host whose turn it is; give the time at which to look again, None when none is left."""
        waiting = [t for t in targets if t.skipped is None and t.ip not in self._probes]
        if not waiting:
            return None
        now = self.clock()
        if self._first_target is None:
            self._first_target = now
        hold = max((probe.holds_until() for probe in self._probes.values()), default=0.0)
        if self._asking and not self._probes:
            hold = max(hold, self._first_target + LOOKUP_GRACE)
        if now < hold:
            return hold
        stagger = self.settings.stagger_next if self._probes else self.settings.stagger
        self._probes[waiting[0].ip] = HostProbe(waiting[0], self, stagger)
        return now if len(waiting) > 1 else None

    async def _definite(self) -> bool:
        """Whether the answer is known; then the other hosts are heard out or stopped as they deserve."""
        if self.settings.all_hosts or all(probe.talking for probe in self._probes.values()):
            return False
        # The rules are not needed before a host has answered, and are loaded meanwhile (engine.py).
        from probe.core.fold import definite

        options = self._options()
        for probe in self._probes.values():
            if probe.talking:
                continue
            found = definite(probe.evidence(), options)
            if found is None:
                continue
            others = [other for other in self._probes.values() if other.talking]
            if found is Cause.MISSING_SENDER and any(other.outranks(probe) for other in others):
                return False  # a better host that is already talking may know better than this one
            for other in self._probes.values():
                other.leave()
            await self._watch_silent(others)
            for other in others:
                other.stopped = Skip.DEFINITE
            await self._stop(tuple(self._probes.values()))
            return True
        return False

    async def _watch_silent(self, others: list[HostProbe]) -> None:
        silent = [other for other in others if not other.connected]
        if not silent:
            return
        until = max(other.started for other in silent) + SILENCE
        if (left := until - self.clock()) > 0:
            await asyncio.wait([other.task for other in silent], timeout=left)

    @staticmethod
    async def _stop(probes: tuple[HostProbe, ...]) -> None:
        tasks = [probe.task for probe in probes if not probe.task.done()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def plan(self) -> Plan:
        """Give the callout that every host of this address gets."""
        return callout_plan(self.address, self.settings, helo=self._helo, seed=self._seed)

    def _options(self) -> Options:
        return options_of(self.settings, helo=self._helo)

    def status(self) -> str:
        """Say what is waited for, for a person who waits too. It may quote the DNS: not yet safe to show."""
        asked = next((probe for probe in self._probes.values() if not probe.task.done()), None)
        if asked is None:
            names = ", ".join(f"{question.name} {question.type}" for question in self._asking)
            return f"looking up {names or self.address.domain}"
        host = f"{asked.target.name} [{asked.target.ip}]"
        sessions = asked.evidence().sessions
        if not sessions or not sessions[-1].exchanges:
            return f"connecting to {host}"
        stage = sessions[-1].exchanges[-1].stage
        if stage is Stage.BANNER:
            return f"waiting for the greeting of {host}"
        return f"waiting for {host} to answer {stage.partition('-')[0].upper()}"

    def _evidence(self, began: str) -> Evidence:
        from probe.core.classify import TOOL

        hosts = []
        ended_early = Skip.CUT_SHORT if self._cut_short or self._interrupted else Skip.DEFINITE
        for target in self._route().targets:
            probe = self._probes.get(target.ip)
            if probe is not None:
                hosts.append(probe.evidence())
            else:
                hosts.append(host_evidence(target, self.settings.port, target.skipped or ended_early, ()))
        return Evidence(
            schema=EVIDENCE_SCHEMA,
            tool=TOOL,
            began=began,
            seed=self._seed,
            address=self.address,
            options=self._options(),
            dns=tuple(self._answers),
            hosts=tuple(hosts),
            ended=self.clock(),
            interrupted=self._interrupted,
            cut_short=self._cut_short,
            canary=self._canary_record(),
        )

    def _canary_record(self) -> Canary | None:
        task = self._canary
        if task is None or not task.done() or task.cancelled():
            return None
        return task.result()
