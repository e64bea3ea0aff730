"""One visit of a mail host: a connection, as many addresses over it as are given, and what is asked beside it.

It is `HostProbe` without its tasks and without timers of its own: all visits that are under way share one, which
looks at the oldest of them. Only a host that does not answer is given the searches of `Lookout`, and then the visit
takes as long as the diagnosis of one address does. The search that a healthy connection gets in a diagnosis (is it
the host itself that answers?) is made where an answer is not an acceptance, and for the first few hosts of a batch:
what intercepts port 25 near us does so for every host. When one of those shows something, every host is searched.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from msgspec.structs import replace

from probe.core.address import is_role
from probe.core.conversation import follow_up
from probe.core.fold import cause_of
from probe.core.model import ConnectOutcome, Purpose
from probe.run.heard import SETTLED, Heard, Visit, accepted, hear, leaves_nothing_open
from probe.run.host import MAX_SESSIONS, host_evidence
from probe.run.lookout import CHECK_GRACE, SLOW, SUSPICION, Lookout
from probe.run.question import callout_plan

if TYPE_CHECKING:
    from collections.abc import Callable

    from probe.core.conversation import Plan
    from probe.core.model import Canary, HostEvidence, Options, Session
    from probe.core.route import Target
    from probe.net.smtp import Call
    from probe.run.agenda import Asked
    from probe.run.engine import Engine

SEARCHES = 200
"""Searches of paths at a time."""
WATCHED = 3
"""Mail hosts whose acceptances are searched in every batch."""
LOOK_EVERY = 0.1
"""Seconds between two looks at the visits under way, at least: by so much may a limit of theirs be overrun."""
LATE = 1.0
"""Seconds by which such a look comes late only where this process was stopped, or the machine was asleep."""
REFUSALS = 5
"""Addresses refused over one connection after which no other is asked: hosts count them (Postfix answers more slowly
from the tenth error on, and hangs up at the twentieth: smtpd_soft_error_limit, smtpd_hard_error_limit)."""
SERIES = 15.0
"""Seconds after which a connection goes on to no further address: its results are known when it ends, and whoever is
killed before asks for them again."""


class Lanes:
    """What the visits of a batch share; `seed` chooses the canary and names the random mailbox.

    `searches` bounds the searches of paths at a time, and with them the descriptors.
    """

    def __init__(self, engine: Engine, options: Options, *, seed: int, searches: int = SEARCHES) -> None:
        self.searching = asyncio.Semaphore(searches)
        self.engine = engine
        self.options = options
        self.seed = seed
        self._watched = 0
        self._suspicious = False
        # Both in the order in which they began, so that a look ends with the first that is young enough.
        self._limited: dict[_Lane, float] = {}
        self._unanswered: dict[_Lane, float] = {}
        self._looker: asyncio.TimerHandle | None = None
        self._due = 0.0

    # --- the time of the visits ----------------------------------------------------------------------

    def enter(self, lane: _Lane) -> None:
        """Hold a visit to its time from now on."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        self._limited[lane] = now + self.engine.settings.timeout
        if self.engine.settings.trace:
            self._unanswered[lane] = now + SLOW
        if self._looker is None:
            self._looker = loop.call_later(LOOK_EVERY, self._look)
            self._due = now + LOOK_EVERY

    def connected(self, lane: _Lane) -> None:
        """Note that the connection of a visit has come to its end, whichever."""
        self._unanswered.pop(lane, None)

    def leave(self, lane: _Lane) -> None:
        """Note the end of a visit."""
        del self._limited[lane]

    def _look(self) -> None:
        """Search beside those that nobody has answered for a second, and end those whose time is up."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        late = now - self._due
        if late > LATE:
            # It was we who did not look, stopped or starved: nobody's time has passed meanwhile.
            self._limited = {lane: ends + late for lane, ends in self._limited.items()}
            self._unanswered = {lane: ends + late for lane, ends in self._unanswered.items()}
        while self._unanswered and (first := next(iter(self._unanswered.items())))[1] <= now:
            del self._unanswered[first[0]]
            first[0].look_out()
        for lane, ends in self._limited.items():
            if ends > now:
                break
            lane.expire()
        self._looker = loop.call_later(LOOK_EVERY, self._look) if self._limited else None
        self._due = now + LOOK_EVERY

    # --- what they have learned of the way ------------------------------------------------------------

    def wants_search(self, *, accepted: bool) -> bool:
        """Whether the way to a host that has answered is searched."""
        if accepted and not self._suspicious:
            self._watched += 1
            return self._watched <= WATCHED
        return True

    def suspect(self) -> None:
        """Note that something answered in a host's place."""
        self._suspicious = True

    def visit(
        self,
        target: Target,
        asked: list[Asked],
        clock: Callable[[], float],
        *,
        with_random: bool,
        taken: str | None,
        doubted: bool,
        leave: Leave,
    ) -> _Lane:
        """Give the visit that asks a mail host about these addresses, over one connection, when it is `run`.

        `taken` is a mailbox of the domain that the host has taken before; where it is `doubted`, it is asked for that
        again also behind the refusal of a single address.
        """
        lane = _Lane(self, target, asked, clock, leave, with_random=with_random)
        lane.vouch(taken, doubted=doubted)
        return lane


class Leave(Protocol):
    """The leave to talk to one mail host."""

    async def again(self) -> bool:
        """Wait until the host may be connected to once more; false if that cannot be soon."""


class _Lane:
    """The live state of one visit, of which thousands wait at a time: hence the slots, and how little `run` awaits."""

    __slots__ = (
        "_asked",
        "_began",
        "_behind",
        "_beside",
        "_call",
        "_canary",
        "_clock",
        "_control",
        "_controls",
        "_doubted",
        "_dropped",
        "_engine",
        "_enough",
        "_expired",
        "_half",
        "_lanes",
        "_leave",
        "_lookout",
        "_named",
        "_refusals",
        "_sessions",
        "_settings",
        "_taken",
        "_target",
        "_task",
        "_with_random",
    )

    def __init__(
        self,
        lanes: Lanes,
        target: Target,
        asked: list[Asked],
        clock: Callable[[], float],
        leave: Leave,
        *,
        with_random: bool,
    ) -> None:
        self._lanes = lanes
        self._engine = lanes.engine
        self._settings = lanes.engine.settings
        self._target = target
        self._asked = asked
        self._with_random = with_random
        self._named = 1  # how many of them the connection has come to
        self._taken: str | None = None
        self._doubted = False
        self._refusals = 0
        self._controls = False
        """Whether the last question over the connection is the one about an address that was taken before."""
        self._control: Session | None = None
        """That question, once its MAIL has been answered."""
        self._clock = clock
        self._leave = leave
        self._enough = clock() + min(self._settings.timeout / 2, SERIES)
        self._call: Call | None = None
        self._began = 0.0
        self._task: asyncio.Task[object] | None = None
        self._expired = False
        self._sessions: tuple[Session, ...] = ()
        self._behind: tuple[Session, ...] = ()
        """The sessions of further addresses over the connection in clear."""
        self._dropped = False
        """Whether the connection was to go on to one more address, and did not."""
        self._half = False
        """Whether a connection that would tell more could not be made in time."""
        self._lookout: Lookout | None = None
        self._beside: asyncio.Task[None] | None = None
        self._canary: asyncio.Task[Canary] | None = None

    def vouch(self, taken: str | None, *, doubted: bool) -> None:
        """Take what may vouch for a refusal, and whether also a single one needs it."""
        self._taken = taken
        self._doubted = doubted

    async def run(self) -> Visit:
        """Make the visit; only cancellation raises, and then some of it may be `finished`."""
        task = self._task = asyncio.current_task()
        cancelled = 0 if task is None else task.cancelling()
        extra: tuple[Session, ...] = ()
        self._lanes.enter(self)
        try:
            try:
                call = self._begin()
                try:
                    await call.run()
                finally:
                    self._note(call)
                    await self._end_beside()
                if self._settings.trace and self._wants_search():
                    await self._search()
                if not leaves_nothing_open(self._sessions[-1]):
                    extra = await self._follow_up()
            except asyncio.CancelledError:
                # Ours, or also that of somebody else: the same question as in `asyncio.Timeout`.
                if task is None or not self._expired or task.uncancel() > cancelled:
                    raise
            return self._visit(extra, cut_short=self._expired)
        finally:
            self._lanes.leave(self)
            if self._canary is not None:
                self._canary.cancel()
            # Both know this visit. In a cycle all of its sessions would lie until Python looks for garbage.
            self._call = self._lookout = None

    def finished(self) -> Heard | None:
        """Give the first address, where it has its answer although the connection had to be left before its end.

        Of those behind it the end would have told what their answers are worth.
        """
        if len(self._sessions) == 1:
            return None
        host = self._host(self._sessions[0])
        return Heard(self._asked[0], host) if cause_of(host, self._lanes.options) in SETTLED else None

    def expire(self) -> None:
        """End it: its time is up. What is known by then is the result."""
        if not self._expired and self._task is not None:
            self._expired = True
            self._task.cancel()

    def _plan(self, number: int) -> Plan:
        """Give the callout of one of the addresses; only the first one may come with the random mailbox."""
        address = self._asked[number].address
        plan = callout_plan(address, self._settings, helo=self._engine.own_name(), seed=self._lanes.seed)
        if plan.random_rcpt is not None and (number or not self._with_random):
            plan = replace(plan, random_rcpt=None)
        return plan

    # --- the connection ------------------------------------------------------------------------------

    def _begin(self) -> Call:
        self._began = self._clock()
        call = self._call = self._engine.call(self._target, self._plan(0), self._clock, self._following)
        return call

    def _note(self, call: Call) -> None:
        """Take down what a connection brought that has come to its end, whichever."""
        self._lanes.connected(self)
        self._sessions = tuple(self._sessions_of(call))
        self._dropped = call.unasked is not None

    def _sessions_of(self, call: Call) -> list[Session]:
        """Give the sessions of the addresses that were asked; that of the control is none of them."""
        sessions = [session for _, session in call.sessions()]
        if self._controls and call.unasked is None:
            self._control = sessions.pop()
        return sessions

    def _following(self, taken: bool) -> str | None:
        """Name the next address. Behind the last, where that was refused, it is one that was taken before."""
        if self._controls:
            return None
        present = self._asked[self._named - 1].address.mailbox
        if taken:
            self._taken = self._taken if is_role(present) else present
        else:
            self._refusals += 1
        enough = self._refusals >= REFUSALS or self._clock() > self._enough
        if self._named < len(self._asked) and not enough:
            self._named += 1
            return self._asked[self._named - 1].address.mailbox
        several = self._named > 1 or self._doubted
        self._controls = not taken and several and self._taken is not None
        return self._taken if self._controls else None

    def look_out(self) -> None:
        """Begin to search beside a SYN that nobody has answered for a second."""
        call = self._call
        if call is not None and not call.stands:
            lookout = self._lookout = self._make_lookout()
            self._beside = asyncio.create_task(self._in_silence(lookout, call))

    async def _in_silence(self, lookout: Lookout, call: Call) -> None:
        async with self._lanes.searching:
            await lookout.in_silence(call, lambda: self._host(call.session()), self._began)

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

    def _wants_search(self) -> bool:
        """Whether the network is asked what the end of the conversation leaves open."""
        connected = self._sessions[0].connect.outcome is ConnectOutcome.CONNECTED
        return not connected or self._lanes.wants_search(accepted=all(map(accepted, self._sessions)))

    async def _search(self) -> None:
        session = self._sessions[0]
        async with self._lanes.searching:
            if session.connect.outcome is ConnectOutcome.CONNECTED:
                await self._check(session)
            self._lookout = self._lookout or self._make_lookout()
            await self._lookout.afterwards(session)

    async def _check(self, session: Session) -> None:
        """Ask whether it was the host itself that answered."""
        lookout = self._lookout = self._make_lookout()
        rtt = session.connect.ended - session.connect.started
        beside = self._beside = asyncio.create_task(lookout.check(rtt=rtt))
        await asyncio.wait({beside}, timeout=CHECK_GRACE)
        if lookout.suspects(self._settings.port):
            self._lanes.suspect()
            await asyncio.wait({beside}, timeout=SUSPICION)
        await self._end_beside()

    async def _follow_up(self) -> tuple[Session, ...]:
        """Connect again where another connection tells more about the last address that was asked.

        In clear after a handshake that failed, that connection goes on to further addresses as the first would have.
        """
        plan: Plan | None = self._plan(len(self._sessions) - 1)
        sessions = [self._sessions[-1]]
        while plan is not None and len(sessions) < MAX_SESSIONS and not self._behind:
            plan = follow_up(plan, sessions[-1])
            if plan is None:
                break
            if not await self._leave.again():
                self._half = True
                break
            goes_on = self._following if plan.purpose is Purpose.CLEAR else None
            call = self._call = self._engine.call(self._target, plan, self._clock, goes_on)
            sessions.append(await call.run())
            self._behind = tuple(self._sessions_of(call)[1:]) if goes_on is not None else ()
            self._dropped = self._dropped or call.unasked is not None
        return tuple(sessions[1:])

    # --- what it says --------------------------------------------------------------------------------

    def _host(self, *sessions: Session) -> HostEvidence:
        path = self._lookout.evidence() if self._lookout is not None else None
        return host_evidence(self._target, self._settings.port, None, sessions, path)

    def _visit(self, extra: tuple[Session, ...], *, cut_short: bool) -> Visit:
        *before, opened = self._sessions
        told = [*((session,) for session in before), (opened, *extra)]
        told += [(opened, session) for session in self._behind]
        canary = self._canary
        known = canary is not None and canary.done() and not canary.cancelled()
        return hear(
            self._asked,
            told,
            self._host,
            self._lanes.options,
            dropped=self._dropped,
            half=self._half,
            cut_short=cut_short,
            control=self._control,
            controls=self._controls,
            canary=canary.result() if canary is not None and known else None,
        )
