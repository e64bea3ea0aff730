"""The ledgers: one process or several, the rules hold, and whoever dies gives back what it had."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from itertools import pairwise
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probe.core.politeness import Displeasure, Limits, Sign
from probe.net import ledger as module
from probe.net.ledger import MemoryLedger, StoreLedger
from probe.net.store import Store, StoreError
from tests.support.arbitrary import examples

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from probe.net.ledger import Ledger

NOON = 20000 * 86400.0 + 43200
HOST, OTHER, THIRD = "192.0.2.1", "192.0.2.2", "2001:db8::3"
PROVIDER = "example.com"
NO_GAP = Limits(gap=0.0)


class Clock:
    """A clock that is set by hand; it is also the one by which a ledger looks after others."""

    def __init__(self) -> None:
        self.now = NOON
        self.monotonic = 1000.0

    def __call__(self) -> float:
        return self.now

    def pass_by(self, seconds: float) -> None:
        self.now += seconds
        self.monotonic += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", lambda: clock.monotonic)
    return clock


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(Store.open(str(tmp_path / "store"))) as held:
        yield held


@pytest.fixture(params=["memory", "store"])
def ledger(request: pytest.FixtureRequest, store: Store, clock: Clock) -> Iterator[Ledger]:
    made = MemoryLedger(NO_GAP, clock) if request.param == "memory" else StoreLedger(store, NO_GAP, clock)
    with closing(made):
        yield made


# --- one process -----------------------------------------------------------------------------------


def test_as_many_at_once_as_the_limits_allow(ledger: Ledger) -> None:
    assert ledger.take([(HOST, PROVIDER)] * 3) == [0.0, 0.0, NOON + 0.5]
    ledger.give_back([(HOST, PROVIDER, None)])
    assert ledger.take([(HOST, PROVIDER), (OTHER, PROVIDER)]) == [0.0, 0.0]


def test_a_provider_with_many_hosts(ledger: Ledger) -> None:
    asks = [(f"192.0.2.{n}", PROVIDER) for n in range(12)]
    assert ledger.take(asks) == [0.0] * 10 + [NOON + 0.5] * 2
    assert ledger.take([(OTHER, "example.net")]) == [0.0]
    ledger.give_back([(*asks[0], None)])
    assert ledger.take(asks[10:]) == [0.0, NOON + 0.5]


def test_a_host_that_is_displeased_is_left_alone(ledger: Ledger, clock: Clock) -> None:
    assert ledger.take([(HOST, PROVIDER)]) == [0.0]
    ledger.give_back([(HOST, PROVIDER, Displeasure(Sign.RATE, 90.0))])
    assert ledger.take([(HOST, PROVIDER), (OTHER, PROVIDER)]) == [NOON + 90, 0.0]
    clock.pass_by(90)
    assert ledger.take([(HOST, PROVIDER)]) == [0.0]


def test_a_host_that_is_given_up(ledger: Ledger) -> None:
    ledger.give_back([(HOST, PROVIDER, Displeasure(Sign.LATER))] * 6)
    assert ledger.take([(HOST, PROVIDER)]) == [math.inf]


def test_a_clock_that_is_set_back_holds_nobody_up(ledger: Ledger, clock: Clock) -> None:
    assert ledger.take([(HOST, PROVIDER)]) == [0.0]
    ledger.give_back([(HOST, PROVIDER, Displeasure(Sign.LATER))])
    clock.now -= 7200
    assert ledger.take([(HOST, PROVIDER)]) == [NOON - 7200 + 5]
    clock.pass_by(5)
    assert ledger.take([(HOST, PROVIDER)]) == [0.0]


def test_more_is_given_back_than_was_taken(ledger: Ledger) -> None:
    ledger.give_back([(HOST, PROVIDER, None)] * 3)
    assert ledger.take([(HOST, PROVIDER)] * 3) == [0.0, 0.0, NOON + 0.5]
    ledger.renew()


@given(
    st.lists(
        st.tuples(
            st.sampled_from((0.0, 0.3, 2.0, 70.0, 40000.0, -100.0)),
            st.lists(st.tuples(st.sampled_from((HOST, OTHER, THIRD)), st.sampled_from("pq")), max_size=4),
            st.none() | st.builds(Displeasure, st.sampled_from(Sign), st.sampled_from((0.0, 100.0))),
            st.integers(0, 4),
        ),
        max_size=15,
    )
)
@settings(max_examples=examples(0.5), deadline=None)
def test_both_ledgers_say_the_same(
    steps: list[tuple[float, list[tuple[str, str]], Displeasure | None, int]],
) -> None:
    limits, clock = Limits(per_provider=3, per_day=9), Clock()
    with (
        TemporaryDirectory() as folder,
        closing(Store.open(f"{folder}/store")) as store,
        closing(StoreLedger(store, limits, clock)) as shared,
    ):
        own, granted = MemoryLedger(limits, clock), list[tuple[str, str]]()
        for passed, asks, displeasure, returned in steps:
            clock.now += passed
            answers = own.take(asks)
            assert shared.take(asks) == answers
            granted += [one for one, answer in zip(asks, answers, strict=True) if not answer]
            back = [(ip, provider, displeasure) for ip, provider in granted[:returned]]
            del granted[:returned]
            own.give_back(back)
            shared.give_back(back)


# --- several owners --------------------------------------------------------------------------------


def test_two_ledgers_share_the_turns(store: Store, clock: Clock) -> None:
    with (
        closing(StoreLedger(store, Limits(), clock)) as one,
        closing(StoreLedger(store, Limits(), clock)) as two,
    ):
        assert one.take([(HOST, PROVIDER)]) == [0.0]
        assert two.take([(HOST, PROVIDER)]) == [NOON + 0.5]  # the gap
        clock.pass_by(0.5)
        assert two.take([(HOST, PROVIDER)]) == [0.0]
        clock.pass_by(0.5)
        assert one.take([(HOST, PROVIDER)]) == [NOON + 1.5]  # two at once
        two.close()
        assert one.take([(HOST, PROVIDER)]) == [0.0]


def test_what_is_remembered_outlives_the_owners(store: Store, clock: Clock) -> None:
    for _ in range(6):
        with closing(StoreLedger(store, NO_GAP, clock)) as ledger:
            ledger.give_back([(HOST, PROVIDER, Displeasure(Sign.LATER))])
    with closing(StoreLedger(store, NO_GAP, clock)) as ledger:
        assert ledger.take([(HOST, PROVIDER), (OTHER, PROVIDER)]) == [math.inf, 0.0]
    clock.pass_by(9 * 86400)
    with closing(StoreLedger(store, NO_GAP, clock)):
        assert store._database.connection.execute("SELECT count(*) FROM slate").fetchone() == (0,)


def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Be in a container, or on a host without /proc, whose processes cannot be looked up."""
    monkeypatch.setattr(module, "_place", lambda: ("", os.getpid(), 0))


def test_an_owner_elsewhere_is_believed_while_it_renews(
    store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(StoreLedger(store, NO_GAP, clock)) as ours, monkeypatch.context() as there:
        elsewhere(there)
        with closing(StoreLedger(store, NO_GAP, clock)) as theirs:
            assert theirs.take([(HOST, PROVIDER)] * 2) == [0.0, 0.0]
            clock.pass_by(100)
            assert ours.take([(HOST, PROVIDER)]) != [0.0]
            theirs.renew()
            clock.pass_by(100)
            assert ours.take([(HOST, PROVIDER)]) != [0.0]
            clock.pass_by(30)
            assert ours.take([(HOST, PROVIDER)]) == [0.0]
            # It was only asleep: what it has still counts.
            assert theirs.take([(HOST, PROVIDER)]) != [0.0]
            ours.give_back([(HOST, PROVIDER, None)])
            assert ours.take([(HOST, PROVIDER)]) != [0.0]
            theirs.give_back([(HOST, PROVIDER, None)])
            assert ours.take([(HOST, PROVIDER)]) == [0.0]


def test_an_owner_that_asks_keeps_its_leases(
    store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere(monkeypatch)
    with (
        closing(StoreLedger(store, NO_GAP, clock)) as ours,
        closing(StoreLedger(store, NO_GAP, clock)) as theirs,
    ):
        assert theirs.take([(HOST, PROVIDER)] * 2) == [0.0, 0.0]
        for _ in range(10):
            clock.pass_by(50)
            theirs.take([(OTHER, "example.net")])
            assert ours.take([(HOST, PROVIDER)]) != [0.0]


def test_another_process_with_the_same_number_is_not_taken_for_the_owner(
    store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, pid, started = module._place()
    assert place
    assert started > 0
    with closing(StoreLedger(store, NO_GAP, clock)) as ours, monkeypatch.context() as there:
        there.setattr(module, "_place", lambda: (place, pid, started - 1))
        theirs = StoreLedger(store, NO_GAP, clock)
        assert theirs.take([(HOST, PROVIDER)] * 2) == [0.0, 0.0]
        clock.pass_by(1)
        assert ours.take([(HOST, PROVIDER)]) == [0.0]
        theirs._database.close()


def test_a_process_that_we_may_not_look_at(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(module, "_PROC", tmp_path)  # as with hidepid

    def not_ours(_pid: int, _signal: int) -> None:
        raise PermissionError

    assert module._lives(os.getpid(), 7) is False  # it can be signalled, and still is not there: a zombie
    monkeypatch.setattr(os, "kill", not_ours)
    assert module._lives(os.getpid(), 7) is None
    assert module._place() == ("", os.getpid(), 0)


def test_a_name_with_parentheses(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(module, "_PROC", tmp_path)
    (tmp_path / "7").mkdir()
    fields = "S 1 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4711 0 0"
    (tmp_path / "7" / "stat").write_text(f"7 (a) R (b c) {fields}\n")
    assert module._started(7) == 4711
    (tmp_path / "7" / "stat").write_text(f"7 (gone) Z{fields[1:]}\n")
    assert module._started(7) is None


def test_nothing_is_granted_when_the_store_fails(store: Store, clock: Clock) -> None:
    with closing(StoreLedger(store, NO_GAP, clock)) as ledger:
        store._database.connection.execute("DROP TABLE lease")
        with pytest.raises(StoreError, match="no such table: lease"):
            ledger.take([(HOST, PROVIDER)])
        assert not ledger._granted
        store._database.connection.execute(
            "CREATE TABLE lease(ip, owner, provider, open, PRIMARY KEY (ip, owner, provider))"
        )


# --- real processes --------------------------------------------------------------------------------

_HAMMER = """
import sys, time
from probe.core.politeness import Limits
from probe.net.ledger import StoreLedger
from probe.net.store import Store
path, seconds = sys.argv[1], float(sys.argv[2])
last = 0.0
def now():
    global last
    last = time.time()
    return last
store = Store.open(path)
ledger = StoreLedger(store, Limits(gap=0.02), now)
ask, held, until = [("192.0.2.1", "example.com")], [], time.time() + seconds
while time.time() < until:
    if ledger.take(ask) == [0.0]:
        held.append(time.time() + 0.07)
        print("take", repr(last))
    while held and held[0] < time.time():
        ledger.give_back([(*ask[0], None)])
        held.pop(0)
        print("give", repr(last))
    time.sleep(0.001)
for _ in held:
    ledger.give_back([(*ask[0], None)])
    print("give", repr(last))
ledger.close()
store.close()
"""


def test_two_processes_that_hammer_one_host(store: Store) -> None:
    started = [
        subprocess.Popen([sys.executable, "-c", _HAMMER, store.path, "2"], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = [process.communicate()[0].splitlines() for process in started]
    assert [process.returncode for process in started] == [0, 0]
    events = sorted(
        (float(at), what == "take", who)
        for who, lines in enumerate(said)
        for what, at in map(str.split, lines)
    )
    standing = 0
    for _, takes, _ in events:
        standing += 1 if takes else -1
        assert 0 <= standing <= 2
    grants = [(at, who) for at, takes, who in events if takes]
    assert all(later - earlier >= 0.02 - 1e-6 for (earlier, _), (later, _) in pairwise(grants))
    assert len(grants) > 10
    assert {who for _, who in grants} == {0, 1}


_HOLDER = """
import sys, time
from probe.core.politeness import Limits
from probe.net.ledger import StoreLedger
from probe.net.store import Store
ledger = StoreLedger(Store.open(sys.argv[1]), Limits(gap=0.0))
print(ledger.take([("192.0.2.1", "example.com")] * 2), flush=True)
time.sleep(60)
"""


def test_who_is_killed_gives_back_and_who_is_only_stopped_does_not(store: Store, clock: Clock) -> None:
    with (
        closing(StoreLedger(store, NO_GAP, clock)) as ledger,
        subprocess.Popen(
            [sys.executable, "-c", _HOLDER, store.path], stdout=subprocess.PIPE, text=True
        ) as holder,
    ):
        assert holder.stdout is not None
        assert holder.stdout.readline() == "[0.0, 0.0]\n"
        holder.send_signal(signal.SIGSTOP)
        clock.now += 1e9  # however late it is, its connections stand
        clock.pass_by(3600)
        assert ledger.take([(HOST, PROVIDER)]) != [0.0]
        holder.kill()
        os.waitid(os.P_PID, holder.pid, os.WEXITED | os.WNOWAIT)  # it is a zombie, nobody has fetched its end
        assert ledger.take([(HOST, PROVIDER)]) != [0.0]  # nobody has looked again yet
        clock.pass_by(1)
        assert ledger.take([(HOST, PROVIDER)]) == [0.0]


def test_who_was_killed_is_met_when_opening(store: Store, clock: Clock) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _HOLDER, store.path], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "[0.0, 0.0]\n"
        holder.kill()
    with closing(StoreLedger(store, NO_GAP, clock)) as ledger:
        clock.now = 4e9
        assert ledger.take([(HOST, PROVIDER)]) == [0.0]
