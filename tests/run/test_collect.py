"""When which host is asked, and when it is enough: in virtual time, without a socket."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from probe.core.classify import judge
from probe.core.model import (
    Cause,
    Confidence,
    Connect,
    ConnectOutcome,
    DnsAnswer,
    DnsOutcome,
    Evidence,
    ExchangeOutcome,
    Session,
    Skip,
    Stage,
)
from probe.run.collect import Backends, Collection
from probe.settings import Settings
from tests.support import make
from tests.support.clock import run

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from probe.core.conversation import Plan
    from probe.core.route import Target

UNKNOWN = "550 5.1.1 No such user here"
PATIENT = Settings(timeout=300.0)


class Names:
    """A resolver with ready answers; `slow` names take that many seconds."""

    def __init__(self, *answers: DnsAnswer, slow: dict[str, float] | None = None) -> None:
        self.known = {(item.name, item.type): item for item in answers}
        self.slow = slow or {}
        self.asked: list[tuple[str, str]] = []
        self.done: list[DnsAnswer] = []

    async def ask(self, name: str, rdtype: str) -> DnsAnswer:
        self.asked.append((name, rdtype))
        await asyncio.sleep(self.slow.get(name, 0.01))
        self.done.append(self.known.get((name, rdtype), make.answer(name, rdtype)))
        return self.done[-1]

    def answers(self) -> tuple[DnsAnswer, ...]:
        waiting = [pair for pair in self.asked if pair not in {(item.name, item.type) for item in self.done}]
        return (*self.done, *(make.answer(*pair, outcome=DnsOutcome.CUT_SHORT) for pair in waiting))


class Mailhost:
    """How one address behaves: connects after `connect` seconds (None: never), then answers after `reply`."""

    def __init__(
        self,
        rcpt: str = "250 2.1.5 Ok",
        *,
        connect: float | None = 0.05,
        reply: float = 0.1,
        bug: bool = False,
    ) -> None:
        self.rcpt = rcpt
        self.connect = connect
        self.reply = reply
        self.bug = bug


class FakeCall:
    """A call to a `Mailhost`, in the time of the loop."""

    def __init__(self, host: Mailhost, limit: float) -> None:
        self.connected = asyncio.Event()
        self._host = host
        self._limit = limit
        self._began = asyncio.get_running_loop().time()
        self._finished: Session | None = None

    async def run(self) -> Session:
        if self._host.bug:
            raise ZeroDivisionError("a bug")
        if self._host.connect is None or self._host.connect > self._limit:
            await asyncio.sleep(self._limit)
            self._finished = make.session(connected=self._attempt(ConnectOutcome.TIMEOUT))
            return self._finished
        await asyncio.sleep(self._host.connect)
        self.connected.set()
        await asyncio.sleep(self._host.reply)
        self._finished = make.session(
            *make.conversation(self._host.rcpt),
            make.exchange(Stage.QUIT, "QUIT", "221 bye"),
            connected=self._attempt(ConnectOutcome.CONNECTED),
        )
        return self._finished

    def give_up(self) -> None:
        raise AssertionError("nobody searched the path, so nobody knows enough to give up")

    def session(self) -> Session:
        if self._finished is not None:
            return self._finished
        if not self.connected.is_set():
            return make.session(connected=self._attempt(ConnectOutcome.CUT_SHORT))
        cut = make.exchange(Stage.BANNER, None, outcome=ExchangeOutcome.CUT_SHORT)
        return make.session(cut, connected=self._attempt(ConnectOutcome.CONNECTED))

    def _attempt(self, outcome: ConnectOutcome) -> Connect:
        now = asyncio.get_running_loop().time()
        return make.connect(outcome, started=self._began, ended=now)


class World:
    """Mail hosts mx1, mx2 ... of customer.example.com, by preference, and who was called when."""

    def __init__(self, *hosts: Mailhost, slow: dict[str, float] | None = None, flat: bool = False) -> None:
        data = [f"{10 if flat else 10 * n} mx{n}.example.net." for n in range(1, len(hosts) + 1)]
        self.names = Names(
            make.answer("customer.example.com", "MX", *data),
            *(make.answer(f"mx{n}.example.net", "A", f"203.0.113.{n}") for n in range(1, len(hosts) + 1)),
            slow=slow,
        )
        self.hosts = {f"203.0.113.{n}": host for n, host in enumerate(hosts, 1)}
        self.called: dict[str, float] = {}

    def collect(self, settings: Settings = PATIENT, *, interrupt_after: float | None = None) -> Evidence:
        return run(self._collect(settings, interrupt_after))

    async def _collect(self, settings: Settings, interrupt_after: float | None) -> Evidence:
        loop = asyncio.get_running_loop()

        def call(target: Target, _plan: Plan) -> FakeCall:
            self.called[target.ip] = loop.time()
            return FakeCall(self.hosts[target.ip], settings.connect_timeout)

        @asynccontextmanager
        async def turn(_ip: str) -> AsyncIterator[None]:
            yield

        backends = Backends(self.names, call, loop.time, turn)
        chosen = replace(settings, allow_private=True, families=(4,))
        collection = Collection(make.address(), chosen, backends, helo="probe.example.net", seed=1)
        task = asyncio.create_task(collection.run("2026-01-01T00:00:00+00:00"))
        if interrupt_after is not None:
            loop.call_later(interrupt_after, task.cancel)
        return await task


def by_ip(evidence: Evidence) -> dict[str, Skip | None]:
    return {host.ip: host.skipped for host in evidence.hosts}


def test_a_definite_answer_ends_it_and_the_others_are_not_called() -> None:
    world = World(Mailhost(), Mailhost(), Mailhost())
    evidence = world.collect()
    assert list(world.called) == ["203.0.113.1"]
    assert by_ip(evidence) == {
        "203.0.113.1": None,
        "203.0.113.2": Skip.DEFINITE,
        "203.0.113.3": Skip.DEFINITE,
    }
    assert judge(evidence).cause is Cause.SENDER_EXISTS


def test_a_dead_first_host_costs_about_a_second_and_is_named() -> None:
    world = World(Mailhost(connect=None), Mailhost())
    evidence = world.collect()
    report = judge(evidence)
    assert evidence.ended < 1.3
    assert (report.cause, report.hosts[0].reason) == (Cause.SENDER_EXISTS, "connect.timeout")
    assert report.hosts[0].confidence is Confidence.UNCERTAIN


def test_seven_dead_hosts_and_a_good_one() -> None:
    world = World(*(Mailhost(connect=None) for _ in range(7)), Mailhost())
    evidence = world.collect()
    assert evidence.ended < 2.5
    assert [round(at, 2) for at in world.called.values()] == [0.02, 0.27, 0.42, 0.57, 0.72, 0.87, 1.02, 1.17]


def test_eight_dead_hosts_take_one_time_out_and_the_head_starts() -> None:
    evidence = World(*(Mailhost(connect=None) for _ in range(8))).collect()
    assert evidence.ended == pytest.approx(11.17, abs=0.05)
    assert judge(evidence).cause is Cause.FIREWALL_TIMEOUT


def test_a_host_that_fails_hands_over_at_once() -> None:
    world = World(Mailhost("450 4.2.0 try again later"), Mailhost())
    world.collect()
    assert world.called["203.0.113.2"] == pytest.approx(world.called["203.0.113.1"] + 0.15, abs=0.01)


def test_a_slow_host_is_heard_out_and_does_not_hold_up_the_next() -> None:
    world = World(Mailhost(reply=20.0), Mailhost("450 4.2.0 try again later"))
    evidence = world.collect()
    assert 5.0 < world.called["203.0.113.2"] < 5.4
    assert judge(evidence).cause is Cause.SENDER_EXISTS
    assert evidence.ended > 20


def test_a_better_host_that_is_talking_is_believed_rather_than_a_backup_that_says_unknown() -> None:
    world = World(Mailhost(reply=8.0), Mailhost(UNKNOWN))
    evidence = world.collect()
    assert judge(evidence).cause is Cause.SENDER_EXISTS
    assert evidence.hosts[0].skipped is None


def test_a_better_host_that_is_silent_does_not_hold_up_unknown() -> None:
    evidence = World(Mailhost(connect=None), Mailhost(UNKNOWN)).collect()
    assert judge(evidence).cause is Cause.MISSING_SENDER
    assert evidence.ended < 1.3


def test_all_hosts_hears_everybody() -> None:
    world = World(Mailhost(), Mailhost(UNKNOWN), Mailhost(connect=None))
    report = judge(world.collect(replace(PATIENT, all_hosts=True)))
    assert [host.reason for host in report.hosts] == ["rcpt.accepted", "rcpt.user-unknown", "connect.timeout"]
    assert (report.cause, report.confidence) == (Cause.SENDER_EXISTS, Confidence.UNCERTAIN)
    assert any("disagree" in note for note in report.notes)


def test_a_look_up_that_hangs_delays_the_known_host_by_a_second_only() -> None:
    world = World(Mailhost(), Mailhost(), slow={"mx1.example.net": 30.0})
    world.collect()
    assert list(world.called) == ["203.0.113.2"]
    assert world.called["203.0.113.2"] == pytest.approx(1.02, abs=0.02)


def test_a_late_look_up_of_a_better_host_still_comes_first() -> None:
    world = World(Mailhost(), Mailhost(), slow={"mx1.example.net": 0.5})
    world.collect()
    assert list(world.called) == ["203.0.113.1"]


@pytest.mark.parametrize("limit", [0.001, 0.015, 0.03, 0.1])
def test_cut_short_before_an_answer_is_inconclusive(limit: float) -> None:
    report = judge(World(Mailhost(UNKNOWN, reply=1.0)).collect(Settings(timeout=limit)))
    assert (report.cause, report.reason) == (Cause.INCONCLUSIVE, "run.cut-short")
    assert report.evidence.cut_short


@pytest.mark.parametrize("after", [0.0, 0.005, 0.03, 0.1])
def test_interrupted_before_an_answer_is_inconclusive(after: float) -> None:
    report = judge(World(Mailhost(UNKNOWN, reply=1.0)).collect(interrupt_after=after))
    assert (report.cause, report.reason) == (Cause.INCONCLUSIVE, "run.interrupted")
    assert report.evidence.interrupted


def test_a_bug_in_a_conversation_is_no_evidence_against_the_peer() -> None:
    with pytest.raises(RuntimeError, match="failed inside"):
        World(Mailhost(bug=True), Mailhost()).collect()
