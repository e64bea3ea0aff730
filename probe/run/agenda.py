"""Whose turn it is: the mail hosts of a batch in rotation, and what waits for each of them.

A mail host address is in one place at a time: *ready* (something waits for it and it may be asked as far as we
know), in the *calendar* (not before a certain time), *blocked* (its provider has as many connections as we allow
ourselves), or nowhere (nothing waits, or it has its connections). The ledger has the last word, because other
processes ask the same hosts. The rotation goes over hosts and not over addresses, so a host with a hundred
thousand addresses gets one visit where a host with one gets one.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from itertools import count
from typing import TYPE_CHECKING

from msgspec import Struct

from probe.core.rebase import shift

if TYPE_CHECKING:
    from collections.abc import Callable

    from probe.core.model import Address, DnsAnswer, HostEvidence
    from probe.core.politeness import Displeasure, Limits
    from probe.core.route import Target
    from probe.net.ledger import Ledger
    from probe.net.spool import Entry


class Seen(Struct, frozen=True):
    """A mail host as it was seen by an earlier visit, in seconds since `zero` of the batch's clock."""

    zero: float
    host: HostEvidence


class Asked(Struct):
    """An address that waits for a mail host. `seen` are the hosts that have not settled it, `tries` its visits.

    `denied`: the host called it unknown behind others, and it is asked for again.
    """

    entry: Entry
    address: Address
    seen: tuple[Seen, ...] = ()
    tries: int = 0
    denied: bool = False


class Look:
    """What the DNS said of a domain, in the batch's clock, when it was `opened`."""

    __slots__ = ("_shifted", "answers", "opened")

    def __init__(self, answers: tuple[DnsAnswer, ...], opened: float) -> None:
        self.answers = answers
        self.opened = opened
        self._shifted: tuple[float, tuple[DnsAnswer, ...]] | None = None

    def since(self, zero: float) -> tuple[DnsAnswer, ...]:
        """Give it in seconds since `zero`: the same object for the same zero, as long as no other one is wanted."""
        if self._shifted is None or self._shifted[0] != zero:
            self._shifted = zero, tuple([shift(answer, -zero) for answer in self.answers])
        return self._shifted[1]


class Work(Struct, kw_only=True):
    """Addresses of one domain that wait for one of its mail hosts.

    `targets` are the hosts that may be asked, in order, and `turn` the one that is next. `chunk` are the addresses;
    with `stream` the spool may have more of the domain. `alone`: each address wants a connection of its own. `seen`
    belongs to every address.
    """

    domain: str
    look: Look
    all_targets: tuple[Target, ...]
    targets: tuple[Target, ...]
    turn: int = 0
    chunk: list[Asked]
    stream: bool = False
    alone: bool = False
    seen: tuple[Seen, ...] = ()

    @property
    def target(self) -> Target:
        """The mail host that is next."""
        return self.targets[self.turn]

    def part(self, chunk: list[Asked], *, turn: int, alone: bool = False, stream: bool = False) -> Work:
        """Give work on other addresses of the same domain."""
        return Work(
            domain=self.domain,
            look=self.look,
            all_targets=self.all_targets,
            targets=self.targets,
            turn=turn,
            chunk=chunk,
            stream=stream,
            alone=alone,
            seen=self.seen,
        )


class Place:
    """One mail host address, and the work that waits for it."""

    __slots__ = ("began", "ip", "met", "open", "placed", "provider", "works")

    def __init__(self, ip: str, provider: str) -> None:
        self.ip = ip
        self.provider = provider
        self.works: list[Work] = []  # not a deque: that takes 700 octets, and few wait for one host
        self.open = 0
        self.placed = False
        """Whether it is ready, in the calendar or blocked."""
        self.began = 0.0
        """When the last connection began."""
        self.met = False
        """Whether a visit has ended. Until then there is one alone: others would wait for a dead host as well."""

    def has_room(self, per_host: int) -> bool:
        """Whether one more connection may be opened, as far as this host is concerned."""
        return self.open < (per_host if self.met else 1)


class Agenda:
    """The work of a batch by mail host. Times are epoch seconds, as the ledger's are."""

    def __init__(self, ledger: Ledger, limits: Limits, now: Callable[[], float]) -> None:
        self.held_back: deque[Work] = deque()
        """Work whose mail host may not be asked again today."""
        self._ledger = ledger
        self._limits = limits
        self._now = now
        self._places: dict[str, Place] = {}
        self._ready: deque[Place] = deque()
        self._calendar: list[tuple[float, int, Place]] = []
        self._order = count()
        self._blocked: dict[str, deque[Place]] = {}
        self._open: dict[str, int] = {}
        self._returned: list[tuple[str, str, Displeasure | None]] = []
        self.waiting = 0
        """Pieces of work that wait."""
        self._waiting_of: dict[str, int] = {}

    def waiting_of(self, provider: str) -> int:
        """Count the pieces of work that wait for mail hosts of a provider."""
        return self._waiting_of.get(provider, 0)

    def _count(self, provider: str, by: int) -> None:
        self.waiting += by
        left = self._waiting_of.get(provider, 0) + by
        if left:
            self._waiting_of[provider] = left
        else:
            self._waiting_of.pop(provider, None)

    def add(self, work: Work, provider: str) -> None:
        """Let work wait for its mail host."""
        place = self._places.get(work.target.ip)
        if place is None:
            place = self._places[work.target.ip] = Place(work.target.ip, provider)
        place.works.append(work)
        self._count(place.provider, 1)
        self._settle(place)

    def take(self, room: int) -> list[tuple[Place, Work]]:
        """Give up to `room` pieces of work whose mail host is to be visited now."""
        now = self._now()
        while self._calendar and self._calendar[0][0] <= now:
            self._ready.append(heapq.heappop(self._calendar)[2])
        asking: list[Place] = []
        while self._ready and len(asking) < room:
            place = self._ready.popleft()
            place.placed = False
            if not place.works:
                self._forget(place)
            elif place.has_room(self._limits.per_host):
                if self._open.get(place.provider, 0) >= self._limits.per_provider:
                    place.placed = True
                    self._blocked.setdefault(place.provider, deque()).append(place)
                else:
                    # Counted before it is granted, so that one provider is not asked for more than it may have.
                    self._open[place.provider] = self._open.get(place.provider, 0) + 1
                    asking.append(place)
        self.flush()
        if not asking:
            return []
        answers = self._ledger.take([(place.ip, place.provider) for place in asking])
        return [
            (place, self._grant(place, now))
            for place, when in zip(asking, answers, strict=True)
            if self._granted(place, when)
        ]

    def _granted(self, place: Place, when: float) -> bool:
        if when <= 0.0:
            return True
        self._let_go(place.provider)
        if when == math.inf:
            self._count(place.provider, -len(place.works))
            self.held_back.extend(place.works)
            place.works.clear()
            self._forget(place)
        else:
            self._enter(place, when)
        return False

    def _grant(self, place: Place, now: float) -> Work:
        work = place.works.pop(0)
        self._count(place.provider, -1)
        place.open += 1
        if place.works and place.has_room(self._limits.per_host):
            self._enter(place, now + self._limits.gap)
        return work

    def begin(self, place: Place) -> float:
        """Note the beginning of a connection; the seconds to wait before it.

        They are what is left of the gap: a busy loop may have begun the connection before this one late.
        """
        now = self._now()
        # A clock that was set back must not make us wait for longer than the gap.
        wait = min(max(0.0, place.began + self._limits.gap - now), self._limits.gap)
        place.began = now + wait
        return wait

    def leave(self, place: Place, displeased: Displeasure | None, *, returned: bool = False) -> None:
        """Note the end of a visit, and what the host was displeased with; `returned`: the ledger knows already."""
        place.open -= 1
        place.met = True
        if not returned:
            self._returned.append((place.ip, place.provider, displeased))
        self._let_go(place.provider)
        self._settle(place)
        self._forget(place)

    def drain(self, ip: str) -> list[Work]:
        """Take away all that waits for a mail host: it need not be asked."""
        place = self._places.get(ip)
        if place is None:
            return []
        works = list(place.works)
        place.works.clear()
        self._count(place.provider, -len(works))
        return works

    def due(self) -> float | None:
        """When to look again, None if only the end of a visit can change anything."""
        if self._ready:
            return self._now()
        return self._calendar[0][0] if self._calendar else None

    def flush(self) -> None:
        """Tell the ledger which visits have ended."""
        if self._returned:
            returned, self._returned = self._returned, []
            self._ledger.give_back(returned)

    def _enter(self, place: Place, when: float) -> None:
        if not place.placed:
            place.placed = True
            heapq.heappush(self._calendar, (when, next(self._order), place))

    def _settle(self, place: Place) -> None:
        if place.works and not place.placed and place.has_room(self._limits.per_host):
            place.placed = True
            self._ready.append(place)

    def _let_go(self, provider: str) -> None:
        left = self._open.get(provider, 0) - 1
        if left > 0:
            self._open[provider] = left
        else:
            self._open.pop(provider, None)
        blocked = self._blocked.get(provider)
        if blocked:
            self._ready.append(blocked.popleft())
            if not blocked:
                del self._blocked[provider]

    def _forget(self, place: Place) -> None:
        """Keep no place for which nothing waits: a batch may meet a million of them."""
        if not place.works and not place.open and not place.placed:
            self._places.pop(place.ip, None)
