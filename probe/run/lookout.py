"""What is asked of the network beside one mail host's conversation, and when.

Four occasions, each with its own question (see `probe.core.search.Aim`):

* The connection stands: is it the host that answers, or something nearer? A few packets beside the
  conversation, which never hold it up for long.
* It does not stand after a second: how far do the packets come, and what else of the host answers? The search
  runs beside the SYN that still waits, and when what it showed is enough the wait is ended.
* It was refused: by the host, or on the way?
* It stood, and then the path died under it: who began to reject it?

Searches that ask every router take turns (`Backends.search_turn`), because a router answers only so many, and one
whose turn does not come in time asks the host alone. The others are a few packets that end near the host.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct
from msgspec.structs import replace

from probe.core.failures import telling
from probe.core.model import Answer, ConnectOutcome, ExchangeOutcome

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from probe.core.model import Canary, HostEvidence, Notice, PathEvidence, Session
    from probe.core.search import Aim

SLOW = 1.0
"""Seconds without an answer to the SYN after which the search begins: the kernel repeats it then. Sooner would
meet hosts that are merely far away."""
CHECK_GRACE = 0.25
"""Seconds for which the end of a conversation waits for the check that it was held with the host itself."""
SUSPICION = 1.5
"""Seconds more for that check where something did answer in the host's place: the host may be far away, and its
substitute near and quick."""
LEAST_SEARCH = 0.8
"""Seconds that a search gets before silence is judged: a round trip, and the time to be sure of the silent."""
CANARY_GRACE = 0.3
"""Seconds for which a verdict waits for the canary, which was called at the same time."""


class Trail(Struct, frozen=True):
    """What a search goes on from: the packets of the one before it, the ICMP error that refused us, the round trip.

    `rtt` is in seconds. Each is None where it is not known. `routers` is whether the routers may be asked.
    """

    first: PathEvidence | None = None
    notice: Notice | None = None
    rtt: float | None = None
    routers: bool = True


class Search(Protocol):
    """One search of the path to a host."""

    async def run(self) -> None:
        """Send until nothing more is to be learned; keep what may still answer open until cancelled."""

    def evidence(self) -> PathEvidence:
        """Give what was seen so far, at any moment; the packets of the search before it come first."""


class Call(Protocol):
    """What the lookout needs of a connection."""

    @property
    def connected(self) -> asyncio.Event:
        """Set once the TCP connection stands."""

    async def run(self) -> Session:
        """Hold the conversation to its end."""

    def session(self) -> Session:
        """Give what is known so far."""

    def give_up(self) -> None:
        """End the wait for the connection."""


class Lookout:
    """The searches beside the conversations with one mail host address."""

    def __init__(
        self,
        search: Callable[[Aim, Trail], Search],
        turn: Callable[[], Awaitable[bool]],
        *,
        clock: Callable[[], float],
        fast: bool,
        silent: Callable[[], asyncio.Task[Canary] | None],
    ) -> None:
        self._search = search
        self._turn = turn
        self._clock = clock
        self._fast = fast
        self._silent = silent
        self._latest: Search | None = None
        self._wanted = True

    def evidence(self) -> PathEvidence | None:
        """Give the packets of all searches; None when there was none."""
        return None if self._latest is None else self._latest.evidence()

    def leave(self) -> None:
        """Begin no further search: the answer is known from another host."""
        self._wanted = False

    async def accompany(self, call: Call, host: Callable[[], HostEvidence]) -> Session:
        """Hold the conversation, with the search that belongs beside it; `host` gives the evidence so far."""
        beside = asyncio.create_task(self._beside(call, host))
        try:
            session = await call.run()
            if session.connect.outcome is ConnectOutcome.CONNECTED:
                await asyncio.wait({beside}, timeout=CHECK_GRACE)
                if self.suspects(host().port):
                    await asyncio.wait({beside}, timeout=SUSPICION)
        finally:
            await _end(beside)
        return session

    def suspects(self, port: int) -> bool:
        """Whether the port has answered a packet that was to expire before the host."""
        path = self.evidence()
        return path is not None and any(
            p.answer is Answer.CONNECTED and p.ttl is not None and p.port == port for p in path.probes
        )

    async def _beside(self, call: Call, host: Callable[[], HostEvidence]) -> None:
        started = self._clock()
        with suppress(TimeoutError):
            async with asyncio.timeout(SLOW):
                await call.connected.wait()
        if not self._wanted:
            return
        if call.connected.is_set():
            await self.check(rtt=self._clock() - started)
        else:
            await self.in_silence(call, host, started)

    async def check(self, *, rtt: float) -> None:
        """Ask whether it is the host itself that answers; `rtt` is the time in seconds that its SYN-ACK took."""
        from probe.core.search import Aim  # not before the first packet is on its way

        await self._run(Aim.CONNECTED, rtt=rtt)

    async def in_silence(self, call: Call, host: Callable[[], HostEvidence], started: float) -> None:
        """Search beside a SYN that has had no answer since `started`; end the wait when that shows enough."""
        from probe.core.network import FAST_VERDICT, FULL_VERDICT, SLOW_VERDICT
        from probe.core.network_facts import patience
        from probe.core.search import Aim

        canary = self._silent()
        routers = await self._turn()
        if call.connected.is_set() or not self._wanted:
            return
        searching = asyncio.create_task(self._run(Aim.SILENT, routers=routers))
        begun = self._clock()
        try:
            for due in (FAST_VERDICT, FULL_VERDICT, SLOW_VERDICT):
                until = max(started + due, begun + LEAST_SEARCH)
                with suppress(TimeoutError):
                    async with asyncio.timeout(max(0.0, until - self._clock())):
                        await call.connected.wait()
                        return
                connect = replace(call.session().connect, outcome=ConnectOutcome.TIMEOUT)
                enough = patience(host(), connect, fast=self._fast)
                if enough is not None and enough <= due:
                    if canary is not None:
                        await asyncio.wait({canary}, timeout=CANARY_GRACE)
                    call.give_up()
                    return
            await call.connected.wait()
        finally:
            await _end(searching)

    async def afterwards(self, session: Session) -> None:
        """Ask what the end of the last session leaves open."""
        from probe.core.search import Aim

        aim, notice = _question(session)
        if aim is not None and self._wanted:
            routers = aim is not Aim.REJECTED or await self._turn()
            rtt = session.connect.ended - session.connect.started
            await self._run(aim, notice=notice, rtt=rtt, routers=routers)

    async def _run(
        self, aim: Aim, *, notice: Notice | None = None, rtt: float | None = None, routers: bool = True
    ) -> None:
        self._latest = self._search(aim, Trail(self.evidence(), notice, rtt, routers))
        await self._latest.run()


def _died(session: Session) -> bool:
    """Whether the path itself went dead under a conversation; a host whose TCP still answers is only slow."""
    if not session.exchanges or session.exchanges[-1].outcome is not ExchangeOutcome.TIMEOUT:
        return False
    from probe.core.network import ALIVE_WITHIN

    silent = session.tcp is not None and session.tcp.last_ack >= ALIVE_WITHIN
    return silent or session.soft_error is not None


async def _end(task: asyncio.Task[None]) -> None:
    """Cancel a task and wait for its end; a bug in it is raised, its being cancelled is not."""
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled() and (bug := task.exception()) is not None:
        raise bug


def _question(session: Session) -> tuple[Aim | None, Notice | None]:
    """Say which search tells more about how a session ended, None where none does."""
    from probe.core.network_facts import said_by_us
    from probe.core.search import Aim

    connect = session.connect
    if connect.outcome is ConnectOutcome.CONNECTED:
        return (Aim.DIED if _died(session) else None), None
    notice = telling(connect.notices)
    if notice is not None:
        return (None if said_by_us(connect, notice) else Aim.REJECTED), notice
    return (Aim.REFUSED if connect.outcome is ConnectOutcome.REFUSED else None), None
