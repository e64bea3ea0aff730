"""The packets of a path search: what came back so far, and which further ones it may still send.

The budget stands here. Routers answer about six packets at once and then one a second (Linux `icmp_ratelimit`),
networks count what we send, and a silent connect is repeated by the kernel each second unless it is closed.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from msgspec import Struct

from probe.core.answers import MAX_TTL, Answers, furthest
from probe.core.model import Answer, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from probe.core.model import Notice, PathProbe

PER_ROUTER = 5
"""Packets with one hop limit: below the six that a Linux router answers in one go."""
MAX_PACKETS = 60
"""Packets of one search, whatever the path: two for each hop that there may be."""
MAX_OPEN = 48
"""Packets that are waited for at a time, each with its socket."""
MAX_OPENED = 4
"""Connections that a search may open to a port that works: mail hosts log, and some count, lost ones."""
BURST, PACE = 5, 0.005
"""Packets that are sent at once, and seconds until the next: thirty are out in 25 ms, without a volley."""
GIVE_UP = 0.8
"""Seconds after which a silent connect is closed: the kernel would repeat it after one."""
KEPT = 3
"""Silent connects that stay open, those that come furthest: their repetitions show loss, if it was that."""
SLACK = 0.1
"""Seconds that an answer may take beyond the round trip: routers write ICMP when they find the time."""
UNKNOWN_PATIENCE = 0.25
"""Seconds for an answer while the round-trip time is not known: that of another continent."""
MAX_TRIP = 0.45
"""Longest lapse that counts as a round trip. What takes longer is mostly the answer to a repetition, or a
router that asked for its neighbour first."""


class Aim(StrEnum):
    """What is to be found out, after what the mail port did."""

    SILENT = "silent"
    REFUSED = "refused"
    REJECTED = "rejected"
    CONNECTED = "connected"
    DIED = "died"


class Search(Struct, frozen=True, kw_only=True):
    """One search. `ip` is written as the system writes it, `rtt` the round trip in seconds where it is known.

    `first_hops` are the hops whose routers this run knows already; `notice` the ICMP error that refused the
    connection (for `Aim.REJECTED`). `ping` and `icmp_errors` say what this system can do.
    """

    ip: str
    port: int
    aim: Aim
    started: float
    first_hops: frozenset[int] = frozenset()
    rtt: float | None = None
    notice: Notice | None = None
    ping: bool = False
    icmp_errors: bool = True


class Wanted(Struct, frozen=True):
    """A packet to be sent; `port` is None for an echo request, `ttl` for the hop limit of the system."""

    protocol: Protocol
    port: int | None
    ttl: int | None = None


class Step(Struct, frozen=True):
    """What to do now: packets to send, packets (by their index) to give up, and when to ask again."""

    send: tuple[Wanted, ...]
    close: tuple[int, ...]
    wake: float | None
    done: bool


class Moment(Answers):
    """What is known at one moment, and what is wanting.

    A rule asks for packets and goes on with those that are answered or given up. Whatever it has to wait for
    puts a time into `wakes`: where there is none, and nothing to send, nothing more will be learned.
    """

    def __init__(self, search: Search, seen: Sequence[PathProbe], now: float) -> None:
        super().__init__(seen, search.ip, search.port)
        self.search = search
        self.seen = seen
        self.now = now
        self.wanted: list[Wanted] = []
        self.wakes: list[float] = []
        self.closings: list[float] = []
        self.past: dict[Wanted, list[PathProbe]] = {}
        for probe in seen:
            self.past.setdefault(Wanted(probe.protocol, probe.port, probe.ttl), []).append(probe)
        self.patience, self.trip = self._patience()
        self.given_up = self._given_up()

    # --- what is known --------------------------------------------------------------------------------

    @property
    def bound(self) -> int | None:
        """Where the path ends as far as is known: a router that answers proves a low guess wrong."""
        if self.distance is not None:
            return self.distance
        guess = self.estimate
        return None if guess is None else min(MAX_TTL, max(guess, furthest(self.seen) + 1))

    @property
    def reached(self) -> int:
        """Last hop that answered on the port."""
        return furthest(self.on_port)

    @property
    def control(self) -> int | None:
        """A port on which the host answered, an open one first: a RST may be a firewall's."""
        for answer in (Answer.CONNECTED, Answer.RESET):
            for probe in self.controls:
                if probe.protocol is Protocol.TCP and probe.ttl is None and probe.answer is answer:
                    return probe.port
        return None

    def _patience(self) -> tuple[float, float]:
        """Return how long an answer is waited for, and the round trip that this comes from."""
        known = self.search.rtt is not None
        trips = [self.search.rtt or 0.0]
        for probe in self.seen:
            lapse = probe.ended - probe.sent
            if probe.answer not in {Answer.SILENT, Answer.LOCAL} and lapse <= MAX_TRIP:
                trips.append(lapse)
                known = known or self.from_host(probe)
        trip = min(max(trips), MAX_TRIP)
        wait = SLACK + 1.5 * trip
        # As long as only routers have answered, the host may be much further than they are.
        return (wait if known else max(wait, UNKNOWN_PATIENCE)), trip

    # --- packets --------------------------------------------------------------------------------------

    def after(self, t: float) -> bool:
        """Whether it is `t` already; if not, it will be a time to look again."""
        if self.now < t:
            self.wakes.append(t)
        return self.now >= t

    def ask(
        self, protocol: Protocol, port: int | None, ttl: int | None = None, tries: int = 1
    ) -> PathProbe | None:
        """Give the packet that was answered, or the last of `tries` silent ones; None while that is open."""
        wanted = Wanted(protocol, port, ttl)
        past = self.past.get(wanted, ())
        for probe in past:
            if probe.answer is not Answer.SILENT:
                return probe
        if past and not self.after(past[-1].sent + self.patience):
            return None
        if len(past) < tries and self._allowed(wanted):
            self.wanted.append(wanted)
            self.wakes.append(self.now + self.patience)
            return None
        return past[-1] if past else None

    def _allowed(self, wanted: Wanted) -> bool:
        if wanted in self.wanted or len(self.seen) + len(self.wanted) >= MAX_PACKETS:
            return False
        if wanted.ttl is not None:
            spent = sum(len(probes) for past, probes in self.past.items() if past.ttl == wanted.ttl)
            if spent + sum(w.ttl == wanted.ttl for w in self.wanted) >= PER_ROUTER:
                return False
            opened = sum(p.ttl is not None and p.answer is Answer.CONNECTED for p in self.on_port)
            if wanted.port == self.search.port and opened >= MAX_OPENED:
                return False
        waiting = sum(p.answer is Answer.SILENT for p in self.seen) - len(self.given_up)
        return waiting + len(self.wanted) < MAX_OPEN

    def _given_up(self) -> tuple[int, ...]:
        """Close silent connects before the kernel repeats them, except those that are to be repeated."""
        silent = [
            (index, probe)
            for index, probe in enumerate(self.seen)
            if probe.protocol is Protocol.TCP and probe.ttl is not None and probe.answer is Answer.SILENT
        ]
        kept: set[int] = set()
        if self.search.aim is Aim.SILENT:
            on_port = {p.ttl or 0: index for index, p in reversed(silent) if p.port == self.search.port}
            kept = {on_port[ttl] for ttl in sorted(on_port)[-KEPT:]}
        ends = {index: probe.sent + GIVE_UP for index, probe in silent if index not in kept}
        self.closings = [t for t in ends.values() if t > self.now]
        return tuple(index for index, t in ends.items() if t <= self.now)

    def paced(self) -> tuple[Wanted, ...]:
        """Return what of the wanted packets may go out now."""
        recent = [p.sent for p in self.seen if p.sent + PACE > self.now]
        room = max(0, BURST - len(recent))
        if len(self.wanted) > room:
            self.wakes.append(max(recent, default=self.now) + PACE)
        return tuple(self.wanted[:room])
