"""When the path is searched, and when silence gets its name: in virtual time, without a socket."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from probe.core.classify import judge
from probe.core.model import (
    Answer,
    Canary,
    CanaryOutcome,
    ConnectOutcome,
    ExchangeOutcome,
    Notice,
    NoticeOrigin,
    PathEvidence,
    PathProbe,
    Protocol,
    Stage,
)
from probe.core.search import Aim
from probe.run.collect import Backends, Collection
from probe.settings import Settings
from tests.run.test_collect import Names
from tests.support import make
from tests.support.clock import run

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from probe.core.conversation import Plan
    from probe.core.model import Connect, Evidence, Session
    from probe.core.route import Target
    from probe.run.lookout import Trail

SETTINGS = Settings(allow_private=True, families=(4,))
DAY = 86_400.0


def now() -> float:
    return asyncio.get_running_loop().time()


class Attempt:
    """A connection that stands after `opens` seconds (None: never), and is talked over for `talks`."""

    def __init__(
        self, opens: float | None, talks: float = 0.2, *, limit: float = 10.0, ends: Session | None = None
    ) -> None:
        self.connected = asyncio.Event()
        self._opens = opens
        self._talks = talks
        self._limit = limit
        self._ends = ends
        self._began = now()
        self._gave_up = asyncio.Event()

    async def run(self) -> Session:
        if self._ends is not None:
            await asyncio.sleep(self._opens or 0.0)
            return replace(self._ends, connect=replace(self._ends.connect, started=self._began, ended=now()))
        if self._opens is None:
            try:
                async with asyncio.timeout(self._limit):
                    await self._gave_up.wait()
            except TimeoutError:
                pass
            return make.session(connected=self._record(ConnectOutcome.TIMEOUT))
        await asyncio.sleep(self._opens)
        self.connected.set()
        await asyncio.sleep(self._talks)
        quits = make.exchange(Stage.QUIT, "QUIT", "221 bye")
        talk = make.conversation("250 2.1.5 Ok")
        return make.session(*talk, quits, connected=self._record(ConnectOutcome.CONNECTED))

    def session(self) -> Session:
        return make.session(connected=self._record(ConnectOutcome.CUT_SHORT))

    def give_up(self) -> None:
        self._gave_up.set()

    def _record(self, outcome: ConnectOutcome) -> Connect:
        return make.connect(outcome, started=self._began, ended=now())


class Packets:
    """A search whose packets are known beforehand, and which lasts `lasts` seconds."""

    def __init__(self, probes: tuple[PathProbe, ...], lasts: float) -> None:
        self.begun = now()
        self._probes = probes
        self._lasts = lasts

    async def run(self) -> None:
        await asyncio.sleep(self._lasts)

    def evidence(self) -> PathEvidence:
        return PathEvidence(self.begun, now(), self._probes)


class Net:
    """Mail hosts 203.0.113.1 and so on, each with its attempts in order, and what a search of their path sees."""

    def __init__(
        self,
        *attempts: Mapping[str, object],
        probes: tuple[PathProbe, ...] = (),
        canary: float = 0.05,
        lasts: float = DAY,
    ) -> None:
        self.attempts = list(attempts)
        self.searches: list[tuple[str, Aim, float]] = []
        self.canaries: list[tuple[int, float]] = []
        self._probes = probes
        self._canary = canary
        self._lasts = lasts

    def collect(self, settings: Settings = SETTINGS) -> Evidence:
        return run(self._collect(settings))

    async def _collect(self, settings: Settings) -> Evidence:
        @asynccontextmanager
        async def turn(_ip: str) -> AsyncIterator[None]:
            yield

        def call(target: Target, _plan: Plan) -> Attempt:
            return Attempt(**self.attempts[int(target.ip[-1]) - 1])  # type: ignore[arg-type]  # as each test wrote it

        def search(target: Target, aim: Aim, _trail: Trail) -> Packets:
            self.searches.append((target.ip, aim, now()))
            return Packets(self._probes, self._lasts)

        async def search_turn(_family: int) -> bool:
            await asyncio.sleep(0)
            return True

        async def canary(family: int, _besides: tuple[str, ...]) -> Canary:
            self.canaries.append((family, now()))
            await asyncio.sleep(self._canary)
            return Canary("mail.example.org", 25, family, CanaryOutcome.ANSWERED)

        hosts = range(1, len(self.attempts) + 1)
        names = Names(
            make.answer("customer.example.com", "MX", *(f"{n} mx{n}.example.net." for n in hosts)),
            *(make.answer(f"mx{n}.example.net", "A", f"203.0.113.{n}") for n in hosts),
        )
        loop = asyncio.get_running_loop()
        backends = Backends(
            names, call, loop.time, turn, search=search, search_turn=search_turn, canary=canary
        )
        collection = Collection(make.address(), settings, backends, helo="probe.example.net", seed=1)
        return await collection.run("2026-01-01T00:00:00+00:00")


def limited(protocol: Protocol, port: int, ttl: int | None, answer: Answer, sender: str | None) -> PathProbe:
    return PathProbe(protocol, port, ttl, 1.0, 1.01, answer, sender)


FILTERED = (
    limited(Protocol.TCP, 25, 1, Answer.TIME_EXCEEDED, "192.0.2.1"),
    limited(Protocol.TCP, 25, 2, Answer.TIME_EXCEEDED, "192.0.2.2"),
    limited(Protocol.TCP, 25, 3, Answer.SILENT, None),
    limited(Protocol.UDP, 33437, 3, Answer.TIME_EXCEEDED, "192.0.2.3"),
    limited(Protocol.TCP, 443, None, Answer.CONNECTED, "203.0.113.1"),
)
SILENT = {"opens": None}


def test_a_connection_that_stands_is_checked_beside_the_conversation() -> None:
    net = Net({"opens": 0.05}, lasts=0.1)
    evidence = net.collect()
    assert [aim for _, aim, _ in net.searches] == [Aim.CONNECTED]
    assert evidence.ended < 0.35  # the look-ups, 0.05 s for the connection and 0.2 s of talk
    assert net.canaries == []


def test_the_check_holds_the_answer_up_for_a_quarter_of_a_second_at_most() -> None:
    evidence = Net({"opens": 0.05}, lasts=DAY).collect()
    assert evidence.ended == pytest.approx(0.02 + 0.05 + 0.2 + 0.25, abs=0.02)


def test_the_check_is_waited_for_where_something_nearer_has_answered() -> None:
    suspicious = (limited(Protocol.TCP, 25, 3, Answer.CONNECTED, "203.0.113.1"),)
    evidence = Net({"opens": 0.05}, probes=suspicious, lasts=0.9).collect()
    assert evidence.ended == pytest.approx(0.02 + 0.05 + 0.9, abs=0.02)


def test_silence_is_searched_after_a_second_and_named_after_three_point_four() -> None:
    net = Net(SILENT, probes=FILTERED)
    evidence = net.collect()
    ((_, aim, begun),) = net.searches
    assert aim is Aim.SILENT
    assert begun == pytest.approx(1.02, abs=0.01)
    assert evidence.ended == pytest.approx(3.42, abs=0.02)
    assert judge(evidence).reason == "connect.port-filtered"
    assert evidence.canary is not None
    assert net.canaries == [(4, begun)]


def test_fast_names_it_after_two_point_one() -> None:
    evidence = Net(SILENT, probes=FILTERED).collect(replace(SETTINGS, fast=True))
    assert evidence.ended == pytest.approx(2.12, abs=0.02)
    assert judge(evidence).reason == "connect.port-filtered"


def test_lost_controls_are_waited_for() -> None:
    lost = limited(Protocol.UDP, 33437, 3, Answer.SILENT, None)
    beyond = (
        limited(Protocol.TCP, 25, 4, Answer.SILENT, None),
        limited(Protocol.UDP, 33438, 4, Answer.PORT_UNREACHABLE, "203.0.113.1"),
    )
    evidence = Net(SILENT, probes=(*FILTERED[:3], lost, *beyond)).collect()
    assert evidence.ended == pytest.approx(7.02, abs=0.02)


def test_without_any_evidence_the_whole_time_is_waited_and_nothing_is_called_filtered() -> None:
    evidence = Net(SILENT).collect()
    assert evidence.ended == pytest.approx(10.02, abs=0.02)
    assert judge(evidence).reason == "connect.timeout"


def test_the_limit_for_a_connection_ends_it_sooner() -> None:
    evidence = Net({"opens": None, "limit": 2.5}, probes=FILTERED).collect()
    assert evidence.ended == pytest.approx(2.52, abs=0.02)


def test_no_trace_asks_nothing_and_nobody() -> None:
    net = Net(SILENT, probes=FILTERED)
    evidence = net.collect(replace(SETTINGS, trace=False))
    assert (net.searches, net.canaries, evidence.hosts[0].path) == ([], [], None)
    assert judge(evidence).reason == "connect.timeout"


def test_a_slow_host_that_answers_after_all_is_heard_out() -> None:
    net = Net({"opens": 2.0}, probes=FILTERED)
    evidence = net.collect()
    assert judge(evidence).reason == "rcpt.accepted"
    assert evidence.ended < 2.3


def test_a_canary_that_is_late_does_not_hold_the_verdict() -> None:
    evidence = Net(SILENT, probes=FILTERED, canary=DAY).collect()
    assert evidence.ended == pytest.approx(3.72, abs=0.02)
    assert evidence.canary is None


def test_no_canary_is_called_where_another_mail_host_has_connected() -> None:
    net = Net(SILENT, {"opens": 0.05, "talks": 3.0}, probes=FILTERED)
    evidence = net.collect()
    assert net.canaries == []
    assert judge(evidence).reason == "rcpt.accepted"


def test_a_definite_answer_elsewhere_begins_no_search() -> None:
    net = Net(SILENT, {"opens": 0.05}, probes=FILTERED, lasts=0.1)
    evidence = net.collect()
    assert [aim for _, aim, _ in net.searches] == [Aim.CONNECTED]
    assert evidence.ended < 1.3


def test_with_all_hosts_the_silent_one_is_searched_to_the_end() -> None:
    evidence = Net(SILENT, {"opens": 0.05}, probes=FILTERED, lasts=0.1).collect(
        replace(SETTINGS, all_hosts=True)
    )
    report = judge(evidence)
    assert [host.reason for host in report.hosts] == ["connect.port-filtered", "rcpt.accepted"]
    assert evidence.ended < 4


REFUSED = make.session(connected=make.connect(ConnectOutcome.REFUSED))
ICMP = Notice(0.0, NoticeOrigin.ICMP, 3, 13, "192.0.2.2")
SLOW = make.session(make.exchange(Stage.BANNER, None, outcome=ExchangeOutcome.TIMEOUT))
REJECTED_MIDWAY = replace(SLOW, soft_error="EHOSTUNREACH")


def rejected(notice: Notice) -> Session:
    refused = replace(
        REFUSED.connect, outcome=ConnectOutcome.PROHIBITED, notices=(notice,), local_ip=make.OUR_IP
    )
    return replace(REFUSED, connect=refused)


@pytest.mark.parametrize(
    ("ends", "aims"),
    [
        (REFUSED, [Aim.REFUSED]),
        (rejected(ICMP), [Aim.REJECTED]),
        (rejected(replace(ICMP, sender=make.OUR_IP)), []),
        (SLOW, []),
        (REJECTED_MIDWAY, [Aim.DIED]),
    ],
    ids=["by a RST", "by ICMP", "by ourselves", "slow", "rejected midway"],
)
def test_what_the_end_leaves_open_is_asked(ends: Session, aims: list[Aim]) -> None:
    net = Net({"opens": 0.1, "ends": ends}, lasts=1.5)
    evidence = net.collect()
    assert [aim for _, aim, _ in net.searches] == aims
    assert evidence.ended < 2.5


def test_a_host_that_has_ended_does_not_hold_up_the_next_while_its_end_is_asked_about() -> None:
    net = Net({"opens": 0.1, "ends": REFUSED}, {"opens": 0.05}, lasts=0.1)
    assert judge(net.collect()).reason == "rcpt.accepted"


def test_a_refused_mail_host_is_no_canary() -> None:
    net = Net({"opens": 0.1, "ends": REFUSED}, SILENT, probes=FILTERED, lasts=0.1)
    net.collect()
    assert len(net.canaries) == 1
