"""The path search: which packets to send next, given what has come back. Pure; time is an argument.

A port that stays silent says nothing about where its packets end. A packet whose hop limit (TTL) runs out at
router n makes that router say "time exceeded" (RFC 792, RFC 4443 3.3): so connects to the port with small hop
limits show how far its packets come, and the same hop limits on a control (UDP to a port where nobody listens,
or another port of the same host) show which routers would have answered. Where they part, packets are dropped;
where the port answers nearer than the controls do, somebody answers in the host's place.

Every call of `plan` looks at all packets so far, and names those that are still wanting. So there is no state
beside the evidence, answers may come late or never, and a search can go on where an earlier one left off.

What may be sent at all is the business of `packets`; here each packet has to earn its place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from probe.core.answers import LIKE_HOST, MAX_TTL, NO_REMOTE, estimate, furthest
from probe.core.failures import icmp_answer
from probe.core.model import Answer, Protocol
from probe.core.packets import SLACK, Aim, Moment, Search, Step, Wanted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from probe.core.model import PathProbe

__all__ = ["Aim", "Search", "Step", "Wanted", "plan"]

TRACE_PORT = 33434
"""UDP port of traceroute: nobody listens there, and many firewalls let it pass; the hop limit is added."""
CONTROL_PORTS = (443, 587, 80)
"""Ports on which mail hosts often answer, if only with a RST: web mail, submission, certificate renewal."""
HEAD_START = 0.15
"""Seconds that the locator has to tell the distance before packets are sent without knowing it."""
NEAR_PATH = 6
"""Distance up to which the controls need not wait for the port's trace: they cost no more than its gaps."""
FIRST_HOPS = 3
"""Hops that are asked by UDP where nobody has answered anything: if they keep silent too, all do."""
WINDOW, GAP, BEYOND = 5, 4, 2
"""Hops tried on a path of unknown length; silent ones after which it ends; hops tried beyond the host's own."""
WAY_BACK = 8
"""Hops by which the way back may be longer than the way there, before a look at both is given up."""
TRIES = 3
"""Packets for one hop whose answer decides the place: three lost ones in a row are no accident any more."""
SENDING_ENDS = 6.0
"""Seconds after which a search for silence sends nothing more: the last verdict comes after seven."""
LISTENING_ENDS = 30.0
"""Seconds after which it stops listening as well, whatever its owner does."""
BRIEF, LONGEST, TRIPS = 0.5, 1.5, 5
"""Seconds for any other search, with so many round trips on top, and in all: its verdict is known already."""


def plan(search: Search, seen: Sequence[PathProbe], now: float) -> Step:
    """Say what to do at time `now`. `seen` is every packet so far in the order sent, unanswered ones as silent.

    Never raises. Ask again after each answer and at `wake`; the search is over when `done` is true.
    """
    return _Plan(search, seen, now).step()


class _Plan(Moment):
    """The rules: each asks for packets, and goes on with those that are answered or given up."""

    def step(self) -> Step:
        """Follow the rule of the aim."""
        search = self.search
        silent = search.aim is Aim.SILENT
        # A time and not an age: what is given as `wake` has to be over when it has come, to the last bit.
        ends = search.started + (LISTENING_ENDS if silent else min(LONGEST, BRIEF + TRIPS * self.trip))
        if self.now >= ends or (silent and any(p.answer in LIKE_HOST for p in self.on_port)):
            return Step((), self.given_up, None, done=True)
        if not search.icmp_errors:
            if search.aim is not Aim.CONNECTED:
                self.ports()
        elif not silent or self.now < search.started + SENDING_ENDS:
            _RULES[search.aim](self)
        send = self.paced()
        if not (send or self.wakes or silent):
            return Step((), self.given_up, None, done=True)
        return Step(send, self.given_up, min((*self.wakes, *self.closings, ends)), done=False)

    def on(self, ttl: int | None, tries: int = 1) -> PathProbe | None:
        """Ask on the mail port."""
        return self.ask(Protocol.TCP, self.search.port, ttl, tries)

    def udp(self, ttl: int | None, tries: int = 1) -> PathProbe | None:
        """Ask by UDP; without a hop limit this is the locator, whose answer tells the distance."""
        return self.ask(Protocol.UDP, TRACE_PORT + (ttl or 0), ttl, tries)

    def ports(self) -> list[PathProbe | None]:
        """Ask the control ports, and by ping where that is permitted."""
        if self.search.ping:
            self.ask(Protocol.ICMP, None)
        return [self.ask(Protocol.TCP, p, None) for p in CONTROL_PORTS if p != self.search.port]

    # --- the rules ------------------------------------------------------------------------------------

    def silent(self) -> None:
        """Find the last hop that the packets to a silent port reach, and what is beyond it."""
        self.udp(None, tries=2)
        self.ports()
        if self.bound is None and not self.after(self.search.started + HEAD_START):
            return
        traced = self._trace_port()
        if self._trace_udp(traced):
            self._trace_control()
        self._repeat_at_the_edge()

    def _trace_port(self) -> bool:
        """Trace the mail port; true when every packet of it is answered or given up."""
        bound, reached = self.bound, self.reached
        near = max(WINDOW, reached + GAP)
        top = near if bound is None else bound + BEYOND
        known = self.search.first_hops if bound is not None and bound > WINDOW else frozenset[int]()
        hops = [ttl for ttl in range(1, min(top, MAX_TTL) + 1) if ttl not in known]
        if self.estimate is None:
            # Slow going, and only a control knows the distance: no packet for the silent hops before the host.
            hops = [ttl for ttl in hops if ttl <= near or ttl >= (bound or 0)]
        settled = None not in [self.on(ttl) for ttl in hops]
        if settled and not reached:
            settled = None not in [self.on(ttl) for ttl in sorted(known)]
        return settled

    def _trace_udp(self, traced: bool) -> bool:
        """Ask the hops around the last one that the port reached by UDP; true when that is settled."""
        bound, reached = self.bound, self.reached
        first = max(1, reached - (1 if self.estimate is None else 2))
        last = min(reached + (GAP if bound is None else WINDOW), bound or MAX_TTL)
        if self.estimate is None and not furthest(self.seen):
            last = min(last, FIRST_HOPS)
        if self.estimate is not None and bound is not None and bound <= NEAR_PATH:
            first, last = 1, bound
        elif not traced:
            return False
        return None not in [self.udp(ttl) for ttl in range(first, last + 1)]

    def _trace_control(self) -> None:
        """Where UDP does not get through to the host, look for it with the port that does."""
        control = self.control
        if self.distance is not None or control is None:
            return
        base = furthest(self.on_port + [p for p in self.controls if p.protocol is Protocol.UDP])
        limit = min(self.bound or MAX_TTL, base + WINDOW if base else MAX_TTL)
        # One hop behind the last router is where the host mostly is. Without any router it is anywhere.
        edge = base + 1 if base else NEAR_PATH
        while True:
            probes = [self.ask(Protocol.TCP, control, ttl) for ttl in range(base + 1, min(edge, limit) + 1)]
            if None in probes or edge >= limit:
                return
            edge += WINDOW

    def _repeat_at_the_edge(self) -> None:
        """Repeat what a single lost packet could have decided."""
        bound, reached = self.bound, self.reached
        hops = range(reached + 1, min(reached + WINDOW, bound or MAX_TTL) + 1)
        beyond = next((ttl for ttl in hops if self.answered(ttl)), None)
        if beyond is not None:
            if self.distance is None or beyond < self.distance:
                self.on(beyond, TRIES)
            if furthest(self.seen):
                for ttl in hops[: beyond - reached - 1][:2]:
                    self.udp(ttl, TRIES)
        locator = self.udp(None)
        if bound in hops and self.distance is None and locator is not None and self.from_host(locator):
            self.udp(bound, TRIES)

    def refused(self) -> None:
        """Find whether the RST comes from nearer than the host."""
        self.udp(None)
        if self.search.ping:
            self.ask(Protocol.ICMP, None)
        top = self.estimate
        if top is None:
            if not self.after(self.search.started + max(HEAD_START, 1.5 * self.trip)):
                return
            self.ports()
            self._compare(self._nearest(MAX_TTL))
        elif top > 1:
            probe = self.on(top - 1, tries=2)
            if probe is not None and probe.answer in LIKE_HOST:
                self._compare(self._nearest(top - 1))

    def rejected(self) -> None:
        """Find the hop of the router that refuses, and whether it refuses other ports too."""
        notice = self.search.notice
        looping = notice is not None and icmp_answer(notice) is Answer.TIME_EXCEEDED
        by = None if notice is None or looping else notice.sender
        # One port at first: a router that refuses everything would spend its budget of ICMP on saying so.
        first = self.ask(Protocol.TCP, next(p for p in CONTROL_PORTS if p != self.search.port))
        if (stands := self._stands_at(by)) is None or stands:
            return
        # Its refusal would tell where it stands: until then, only what costs it little.
        if self._climb(by, MAX_TTL if first is not None else 2) and first is not None:
            if first.answer is Answer.SILENT:
                self.ports()
            if first.answer in LIKE_HOST or first.sender != by:
                self.udp(None)

    def _stands_at(self, router: str | None) -> bool | None:
        """Whether `router` is at the hop that the hop limit of its own errors points to; None while open.

        It may have no error left for the packet that ends there. Then the hop before it has to be another's.
        """
        arrived = [p.arrived_ttl for p in self.controls if p.arrived_ttl and p.sender == router]
        hop = estimate(arrived[0]) if arrived and router != self.search.ip else MAX_TTL + 1
        if hop > MAX_TTL:
            return False
        there = self.on(hop)
        before = self.on(hop - 1) if hop > 1 else None
        if there is None or (before is None and hop > 1):
            return None
        if there.sender != router and there.answer is not Answer.SILENT:
            return False
        return before is None or (before.answer is Answer.TIME_EXCEEDED and before.sender != router)

    def connected(self) -> None:
        """Find whether something nearer than the host answers the port in its place: a transparent proxy."""
        self.udp(None)
        far = self.estimate
        if far is None and not self.after(self.search.started + max(SLACK, 1.5 * self.trip)):
            return
        # With the distance unknown three hops must do: a host of the Internet is further.
        top, tries = (3, 1) if far is None else (far - 1, 2)
        for ttl in range(top, max(0, top - WAY_BACK), -1):
            # By UDP first: where the host itself answers it is nearer than its answers made us think, and a
            # connection would only be one more that it sees lost.
            beside = self.udp(ttl)
            if beside is None:
                return
            if not self.from_host(beside):
                probe = self.on(ttl, tries)
                if probe is not None and probe.answer is Answer.CONNECTED:
                    self._compare(self._nearest(ttl))
                return

    def died(self) -> None:
        """Find whether the port of a connection that went silent still opens, and who opens it."""
        fresh = self.on(None)
        if fresh is not None and fresh.answer not in LIKE_HOST | NO_REMOTE:
            self._climb(fresh.sender)
        self.connected()
        if self.search.ping:
            self.ask(Protocol.ICMP, None)
        if self.estimate is None and self.after(self.search.started + HEAD_START):
            self.ports()
            if self.control is not None and fresh is not None and fresh.answer is Answer.CONNECTED:
                self._compare(self._nearest(MAX_TTL))

    def _nearest(self, top: int) -> int | None:
        """Find the smallest hop limit with which the port answers as its host would; None while that is open.

        With `top` it does. What is silent counts as not reached; the last one of those is asked twice.
        """
        low = 0
        while top - low > 1:
            middle = (low + top) // 2
            probe = self.on(middle, tries=2 if middle == top - 1 else 1)
            if probe is None:
                return None
            low, top = (low, middle) if probe.answer in LIKE_HOST else (middle, top)
        if top > 1:
            probe = self.on(top - 1, tries=2)
            if probe is None:
                return None
            if probe.answer in LIKE_HOST:
                return self._nearest(top - 1)
        return top

    def _compare(self, hop: int | None) -> None:
        """Ask the controls with the smallest hop limit with which the port answers, and who is before it."""
        if hop is None:
            return
        self.udp(hop, tries=2)
        # What answers TCP to any port here (a VPN, the network of a container) does not single out the mail port.
        another = self.control or next(p for p in CONTROL_PORTS if p != self.search.port)
        self.ask(Protocol.TCP, another, hop, tries=2)
        before = self.past.get(Wanted(Protocol.TCP, self.search.port, hop - 1), ())
        if hop > 1 and all(p.answer is not Answer.TIME_EXCEEDED for p in before):
            self.udp(hop - 1)

    def _climb(self, by: str | None, top: int = MAX_TTL) -> bool:
        """Go up the path, two packets at a time, to the hop of `by` or to where its refusal comes from.

        Without `by` (a routing loop) until two addresses come again. True when that is finished.
        """
        routers: list[str] = []
        again = waiting = silent = 0
        for ttl in range(1, top + 1):
            probe = self.on(ttl)
            if probe is None:
                waiting += 1
                if waiting == 2:
                    return False
                continue
            silent = silent + 1 if probe.answer is Answer.SILENT else 0
            if probe.answer not in {Answer.SILENT, Answer.TIME_EXCEEDED} or silent == GAP:
                break
            if probe.sender is not None:
                again += probe.sender in routers
                routers.append(probe.sender)
                if probe.sender == by or again == 2:
                    break
        return not waiting


_RULES = {
    Aim.SILENT: _Plan.silent,
    Aim.REFUSED: _Plan.refused,
    Aim.REJECTED: _Plan.rejected,
    Aim.CONNECTED: _Plan.connected,
    Aim.DIED: _Plan.died,
}
