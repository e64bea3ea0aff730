"""One mail host address while it is talked to: its conversations in turn, and what is asked beside them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from probe.core.audit import audit
from probe.core.conversation import follow_up
from probe.core.model import ConnectOutcome, HostEvidence

if TYPE_CHECKING:
    from probe.core.conversation import Plan
    from probe.core.model import PathEvidence, Session, Skip
    from probe.core.route import Target
    from probe.run.collect import Collection
    from probe.run.lookout import Call

MAX_SESSIONS = 3
"""Connections to one mail host address: the callout, in clear after a failed handshake, and one more with a real
sender or with small segments. --audit adds one."""


class HostProbe:
    """One mail host address while it is being talked to."""

    def __init__(self, target: Target, collection: Collection, stagger: float) -> None:
        self.target = target
        self.started = collection.clock()
        self._stagger = stagger
        self.sessions: list[Session] = []
        self.stopped: Skip | None = None
        self._collection = collection
        self.talking = True
        self._call: Call | None = None
        self._connected_at: float | None = None
        self._lookout = collection.lookout(target)
        self.task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        callout = self._collection.plan()
        plan: Plan | None = callout
        self._collection.hold_clock()
        async with self._collection.backends.turn(self.target.ip):
            self._collection.resume_clock()
            self.started = self._collection.clock()
            while plan is not None and len(self.sessions) < MAX_SESSIONS:
                call = self._call = self._collection.backends.call(self.target, plan)
                if self._lookout is None:
                    session = await call.run()
                else:
                    session = await self._lookout.accompany(call, self.evidence)
                self._call = None
                self.sessions.append(session)
                plan = follow_up(plan, session)
            last = self.sessions[-1]
            if self._collection.settings.audit:
                await self._audit(callout)
        self.talking = False
        self._collection.look_again()
        if self._lookout is not None:
            await self._lookout.afterwards(last)

    async def _audit(self, callout: Plan) -> None:
        """Ask more of the RFCs, over a connection of its own, of a host that has heard out the callout."""
        plan = audit(callout, tuple(self.sessions))
        if plan is not None:
            self._call = self._collection.backends.call(self.target, plan)
            session = await self._call.run()
            self._call = None
            self.sessions.append(session)

    def leave(self) -> None:
        """Ask the network nothing more: the answer is known."""
        if self._lookout is not None:
            self._lookout.leave()

    @property
    def connected(self) -> bool:
        """Whether a connection stands or stood."""
        stood = any(session.connect.outcome is ConnectOutcome.CONNECTED for session in self.sessions)
        return stood or (self._call is not None and self._call.connected.is_set())

    def outranks(self, other: HostProbe) -> bool:
        """Whether a mail server would believe this host, which is talking already, rather than the other."""
        return self.connected and (self.target.preference or 0) <= (other.target.preference or 0)

    def holds_until(self) -> float:
        """Give the time until which this host holds up the next one."""
        if not self.talking:
            return 0.0
        if not self.connected:
            return self.started + self._stagger
        if self._connected_at is None:
            self._connected_at = self._collection.clock()
        return self._connected_at + self._collection.settings.patience

    def evidence(self) -> HostEvidence:
        """Give what was seen of this host, finished or not."""
        sessions = tuple(self.sessions)
        if self._call is not None:
            sessions += (self._call.session(),)
        path = self._lookout.evidence() if self._lookout is not None else None
        return host_evidence(self.target, self._collection.settings.port, self.stopped, sessions, path)


def host_evidence(
    target: Target,
    port: int,
    skipped: Skip | None,
    sessions: tuple[Session, ...],
    path: PathEvidence | None = None,
) -> HostEvidence:
    """Make the record of a host, talked to or `skipped`."""
    return HostEvidence(
        name=target.name,
        ip=target.ip,
        port=port,
        preference=target.preference,
        origin=target.origin,
        scope=target.scope,
        skipped=skipped,
        sessions=sessions,
        path=path,
    )
