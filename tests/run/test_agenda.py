"""The rotation over mail hosts: whose turn it is, in which order, and what waits where."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from probe.core.address import parse
from probe.core.model import Origin, Scope
from probe.core.politeness import Limits
from probe.core.route import Target
from probe.net.spool import Entry
from probe.run.agenda import Agenda, Asked, Look, Work

if TYPE_CHECKING:
    from collections.abc import Sequence

    from probe.core.politeness import Displeasure


class Grants:
    """A ledger that grants all but what it was told to refuse until a time."""

    def __init__(self) -> None:
        self.until: dict[str, float] = {}
        self.taken: list[str] = []
        self.returned: list[str] = []

    def take(self, asks: Sequence[tuple[str, str]]) -> list[float]:
        self.taken += [ip for ip, _ in asks]
        return [self.until.get(ip, 0.0) for ip, _ in asks]

    def give_back(self, given: Sequence[tuple[str, str, Displeasure | None]]) -> None:
        self.returned += [ip for ip, _, _ in given]

    def renew(self) -> None:
        """Nothing to renew."""

    def close(self) -> None:
        """Nothing to close."""


class World:
    """An agenda with a ledger and a clock that is set by hand."""

    def __init__(self, **limits: float) -> None:
        self.now = 1000.0
        self.ledger = Grants()
        chosen = Limits(**{"per_host": 2, "gap": 1.0, "per_provider": 10, "per_day": 100, **limits})  # type: ignore[arg-type]  # numbers of either kind
        self.agenda = Agenda(self.ledger, chosen, lambda: self.now)

    def wait(self, number: int, times: int = 1, provider: str = "example.com") -> None:
        for n in range(times):
            self.agenda.add(work(number, n), provider)

    def meet(self, *numbers: int) -> None:
        """Let a first visit of each of these hosts pass, so that it may have several at once."""
        for number in numbers:
            self.wait(number)
            ((place, _),) = self.agenda.take(1)
            self.wait(number)  # or it would be forgotten
            self.agenda.leave(place, None)
        self.now += 10.0
        self.ledger.returned.clear()

    def turn(self, room: int = 8) -> list[str]:
        self.taken = self.agenda.take(room)
        return [place.ip for place, _ in self.taken]


def work(number: int, n: int = 0) -> Work:
    ip = f"192.0.2.{number}"
    target = Target(f"mx{number}.example.com", ip, 10, Origin.MX, Scope.PUBLIC, None)
    address = parse(f"user{n}@d{number}.example")
    entry = Entry(address.given, address.mailbox, address.domain, n)
    return Work(
        domain=address.domain,
        look=Look((), 0.0),
        all_targets=(target,),
        targets=(target,),
        chunk=[Asked(entry, address)],
    )


def test_until_a_host_is_met_one_connection_finds_out_for_all() -> None:
    world = World(gap=0.0)
    world.wait(1, 4)
    assert world.turn() == ["192.0.2.1"]
    first = world.taken[0][0]
    assert world.turn() == []
    world.agenda.leave(first, None)
    assert world.turn() == ["192.0.2.1"]
    assert world.turn() == ["192.0.2.1"]
    assert world.turn() == []


def test_each_host_gets_one_turn_before_any_gets_a_second() -> None:
    world = World(gap=0.0)
    world.meet(1)
    world.wait(1, 4)
    world.wait(2, 1)
    world.wait(3, 1)
    assert world.turn(3) == ["192.0.2.1", "192.0.2.2", "192.0.2.3"]
    assert world.turn(3) == ["192.0.2.1"]
    assert world.agenda.waiting == 3


def test_a_host_has_two_connections_at_most_and_a_gap_between_their_starts() -> None:
    world = World()
    world.meet(1)
    world.wait(1, 3)
    assert world.turn() == ["192.0.2.1"]
    first = world.taken[0][0]
    assert world.turn() == []
    assert world.agenda.due() == 1011.0
    world.now = 1011.0
    assert world.turn() == ["192.0.2.1"]
    world.now = 1020.0
    assert world.turn() == []
    assert world.agenda.due() is None
    world.agenda.leave(first, None)
    assert world.turn() == ["192.0.2.1"]
    assert world.ledger.returned == ["192.0.2.1", "192.0.2.1"]  # of the meeting too


def test_a_provider_is_not_given_more_than_its_share() -> None:
    world = World(per_provider=2)
    for number in (1, 2, 3):
        world.wait(number)
    world.wait(9, provider="example.net")
    assert world.turn() == ["192.0.2.1", "192.0.2.2", "192.0.2.9"]
    assert world.agenda.waiting_of("example.com") == 1
    world.agenda.leave(world.taken[0][0], None)
    assert world.turn() == ["192.0.2.3"]


def test_what_the_ledger_refuses_is_asked_again_at_its_time() -> None:
    world = World()
    world.ledger.until["192.0.2.1"] = 1005.0
    world.wait(1)
    assert world.turn() == []
    assert world.agenda.due() == 1005.0
    world.ledger.until.clear()
    world.now = 1004.0
    assert world.turn() == []
    world.now = 1005.0
    assert world.turn() == ["192.0.2.1"]


def test_what_may_not_be_asked_today_is_handed_over() -> None:
    world = World()
    world.ledger.until["192.0.2.1"] = math.inf
    world.wait(1, 3)
    assert world.turn() == []
    assert len(world.agenda.held_back) == 3
    assert world.agenda.waiting == 0
    assert world.agenda.due() is None


def test_what_need_not_be_asked_is_taken_away() -> None:
    world = World()
    world.wait(1, 3)
    world.wait(2)
    assert len(world.agenda.drain("192.0.2.1")) == 3
    assert world.agenda.drain("192.0.2.7") == []
    assert world.turn() == ["192.0.2.2"]
    assert world.agenda.waiting == 0


def test_a_connection_that_begins_late_leaves_its_gap_to_the_next() -> None:
    world = World(gap=1.0)
    world.meet(1)
    world.wait(1, 2)
    world.now += 5.0
    ((place, _),) = world.agenda.take(1)
    assert world.agenda.begin(place) == 0.0
    world.now += 0.25
    assert world.agenda.begin(place) == 0.75
    assert world.agenda.begin(place) == 1.0  # behind the one that waits; never more than the gap
    world.now -= 3600.0  # the clock was set back
    assert world.agenda.begin(place) == 1.0
