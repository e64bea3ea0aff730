"""One visit of a mail host: a connection, as many addresses over it as are given, and what is asked beside it.

It is `HostProbe` without its tasks: a host that answers costs one connection and one timer. Only one that does not is
given the searches of `Lookout`, and then the visit takes as long as the diagnosis of one address does. The search
that a healthy connection gets in a diagnosis (is it the host itself that answers?) is made where an answer is not an
acceptance, and for the first few hosts of a batch: what intercepts port 25 near us does so for every host. When one
of those shows something, every host is searched.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from probe.core.conversation import follow_up
from probe.core.everybody import for_everybody
from probe.core.fold import cause_of
from probe.core.model import AddressForm, Cause, ConnectOutcome, Stage
from probe.core.politeness import displeased
from probe.run.host import MAX_SESSIONS, host_evidence
from probe.run.lookout import CHECK_GRACE, SLOW, SUSPICION, Lookout
from probe.run.question import callout_plan

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from probe.core.conversation import Plan
    from probe.core.model import Canary, HostEvidence, Options, Session
    from probe.core.politeness import Displeasure
    from probe.core.route import Target
    from probe.net.smtp import Call
    from probe.run.agenda import Asked
    from probe.run.engine import Engine

WATCHED = 3
"""Mail hosts whose acceptances are searched in every batch."""

_SETTLED = frozenset({Cause.SENDER_EXISTS, Cause.MISSING_SENDER})


class Heard(Struct):
    """What a visit heard about one address.

    `broken` says that it may be so only because others were asked before it over the same connection.
    """

    asked: Asked
    host: HostEvidence
    cut_short: bool = False
    broken: bool = False


class Visit(Struct):
    """What came of a visit. `unasked` are the addresses that it did not come to; `canary` was called beside it.

    `for_all` is the host as every address meets it, where the visit came to an end before any address was named:
    nobody can connect, nobody is greeted, the null sender is taken from nobody.
    """

    heard: list[Heard]
    unasked: list[Asked]
    displeased: Displeasure | None
    for_all: HostEvidence | None
    canary: Canary | None


class Lanes:
    """What the visits of a batch share; `seed` chooses the canary and names the random mailbox."""

    def __init__(self, engine: Engine, options: Options, *, seed: int) -> None:
        self.engine = engine
        self.options = options
        self.seed = seed
        self._watched = 0
        self._suspicious = False

    def wants_search(self, *, accepted: bool) -> bool:
        """Whether the way to a host that has answered is searched."""
        if accepted and not self._suspicious:
            self._watched += 1
            return self._watched <= WATCHED
        return True

    def suspect(self) -> None:
        """Note that something answered in a host's place."""
        self._suspicious = True

    async def visit(
        self,
        target: Target,
        asked: list[Asked],
        clock: Callable[[], float],
        *,
        with_random: bool,
        again: Callable[[], Awaitable[bool]],
    ) -> Visit:
        """Ask a mail host about these addresses, over one connection; only cancellation raises.

        `again` waits until the same host may be connected to once more, false if that cannot be soon.
        """
        return await _Lane(self, target, asked, clock, again).run(with_random=with_random)


class _Lane:
    """The live state of one visit."""

    def __init__(
        self,
        lanes: Lanes,
        target: Target,
        asked: list[Asked],
        clock: Callable[[], float],
        again: Callable[[], Awaitable[bool]],
    ) -> None:
        self._lanes = lanes
        self._engine = lanes.engine
        self._settings = lanes.engine.settings
        self._target = target
        self._asked = asked
        self._named = 1  # how many of them the connection has come to
        self._clock = clock
        self._again = again
        self._enough = clock() + self._settings.timeout / 2
        self._call: Call | None = None
        self._sessions: tuple[Session, ...] = ()
        self._lookout: Lookout | None = None
        self._beside: asyncio.Task[None] | None = None
        self._canary: asyncio.Task[Canary] | None = None

    async def run(self, *, with_random: bool) -> Visit:
        """Make the visit."""
        first = self._asked[0]
        plan = self._plan(first)
        if not with_random:
            plan = replace(plan, random_rcpt=None)
        cut_short = False
        try:
            async with asyncio.timeout(self._settings.timeout):
                await self._talk(plan)
                extra = await self._follow_up()
        except TimeoutError:
            cut_short, extra = True, ()
        finally:
            if self._canary is not None:
                self._canary.cancel()
        return self._visit(extra, cut_short=cut_short)

    def _plan(self, asked: Asked) -> Plan:
        return callout_plan(
            asked.address, self._settings, helo=self._engine.own_name(), seed=self._lanes.seed
        )

    # --- the connection ------------------------------------------------------------------------------

    async def _talk(self, plan: Plan) -> None:
        call = self._call = self._engine.call(self._target, plan, self._clock, self._following)
        loop = asyncio.get_running_loop()
        timer = loop.call_later(SLOW, self._look_out, call, self._clock()) if self._settings.trace else None
        try:
            await call.run()
        finally:
            if timer is not None:
                timer.cancel()
            self._sessions = tuple([session for _, session in call.sessions()])
            await self._end_beside()
        if self._settings.trace:
            await self._search(self._sessions[0])

    def _following(self) -> str | None:
        if self._named == len(self._asked) or self._clock() > self._enough:
            return None
        self._named += 1
        return self._asked[self._named - 1].address.mailbox

    def _look_out(self, call: Call, started: float) -> None:
        """Begin to search beside a SYN that nobody has answered for a second."""
        if not call.connected.is_set():
            lookout = self._lookout = self._make_lookout()
            self._beside = asyncio.create_task(lookout.in_silence(call, lambda: self._so_far(call), started))

    def _make_lookout(self) -> Lookout:
        engine, family = self._engine, 6 if ":" in self._target.ip else 4
        return Lookout(
            lambda aim, trail: engine.search(self._target, aim, trail, self._clock),
            lambda: engine.search_turn(family),
            clock=self._clock,
            fast=self._settings.fast,
            silent=lambda: self._call_canary(family),
        )

    def _call_canary(self, family: int) -> asyncio.Task[Canary] | None:
        if self._canary is None and self._engine.has_canary():
            besides = (self._target.name, self._target.ip)
            call = self._engine.canary(family, besides, self._clock, seed=self._lanes.seed)
            self._canary = asyncio.create_task(call)
        return self._canary

    async def _end_beside(self) -> None:
        if self._beside is not None:
            self._beside.cancel()
            await asyncio.wait({self._beside})
            if not self._beside.cancelled() and (bug := self._beside.exception()) is not None:
                raise bug
            self._beside = None

    async def _search(self, session: Session) -> None:
        """Ask the network what the end of the conversation leaves open."""
        if session.connect.outcome is not ConnectOutcome.CONNECTED:
            self._lookout = self._lookout or self._make_lookout()
            await self._lookout.afterwards(session)
            return
        if not self._lanes.wants_search(accepted=all(map(accepted, self._sessions))):
            return
        lookout = self._lookout = self._make_lookout()
        rtt = session.connect.ended - session.connect.started
        beside = self._beside = asyncio.create_task(lookout.check(rtt=rtt))
        await asyncio.wait({beside}, timeout=CHECK_GRACE)
        if lookout.suspects(self._settings.port):
            self._lanes.suspect()
            await asyncio.wait({beside}, timeout=SUSPICION)
        await self._end_beside()
        await lookout.afterwards(session)

    async def _follow_up(self) -> tuple[Session, ...]:
        """Connect again where another connection tells more about the last address that was asked."""
        plan: Plan | None = self._plan(self._asked[len(self._sessions) - 1])
        sessions = [self._sessions[-1]]
        while plan is not None and len(sessions) < MAX_SESSIONS:
            plan = follow_up(plan, sessions[-1])
            if plan is None or not await self._again():
                break
            call = self._call = self._engine.call(self._target, plan, self._clock)
            sessions.append(await call.run())
        return tuple(sessions[1:])

    # --- what it says --------------------------------------------------------------------------------

    def _so_far(self, call: Call) -> HostEvidence:
        return self._host(call.session())

    def _host(self, *sessions: Session) -> HostEvidence:
        path = self._lookout.evidence() if self._lookout is not None else None
        return host_evidence(self._target, self._settings.port, None, sessions, path)

    def _visit(self, extra: tuple[Session, ...], *, cut_short: bool) -> Visit:
        heard = []
        last = len(self._sessions) - 1
        for number, session in enumerate(self._sessions):
            host = self._host(session, *extra) if number == last else self._host(session)
            broken = number > 0 and cause_of(host, self._lanes.options) not in _SETTLED
            heard.append(Heard(self._asked[number], host, cut_short and number == last, broken))
        canary = self._canary
        known = canary is not None and canary.done() and not canary.cancelled()
        return Visit(
            heard=heard,
            unasked=self._asked[len(self._sessions) :],
            displeased=displeased(self._sessions[-1]),
            for_all=None if cut_short else self._for_all(heard[0]),
            canary=canary.result() if canary is not None and known else None,
        )

    def _for_all(self, first: Heard) -> HostEvidence | None:
        if len(self._sessions) > 1 or AddressForm.UTF8 in first.asked.address.forms:
            return None
        return for_everybody(first.host, self._lanes.options)


def accepted(session: Session) -> bool:
    """Whether the address was taken."""
    reply = next((ex.reply for ex in session.exchanges if ex.stage is Stage.RCPT), None)
    return reply is not None and reply.code is not None and reply.code // 100 == 2
