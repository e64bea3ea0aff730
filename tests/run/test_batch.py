"""Many addresses: every one gets one result, mail hosts are asked politely, and what is known is not asked again."""

from __future__ import annotations

import asyncio
import functools
import gc
import time
from collections import Counter
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, ParamSpec

import pytest

from probe.core.address import parse
from probe.core.classify import judge
from probe.core.model import Cause, Evidence, Report, Skip
from probe.core.politeness import FIRST, Limits, Sign
from probe.lab.world import DeadHost, Lab
from probe.net.ledger import MemoryLedger
from probe.net.spool import OPEN, Entry, Spool, Waiting
from probe.run.batch import Batch
from probe.run.engine import Engine
from probe.run.lane import _Lane
from probe.run.lookout import Lookout
from probe.settings import Settings
from tests.support.counting import CountingHost

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Mapping

    from probe.net.ledger import Ledger
    from probe.run.memory import Memory

for _module in ("probe.net.wire", "probe.net.path", "probe.core.network_facts"):
    import_module(_module)  # loaded in the middle of a test, they would hold up the hosts in the same loop

P = ParamSpec("P")
UNKNOWN = "550 5.1.1 No such user here"


class Results:
    """Takes what a batch delivers, and judges it."""

    def __init__(self) -> None:
        self.reports: dict[str, Report] = {}
        self.order: list[str] = []
        self.stored: set[str] = set()

    def evidence(self, entry: Entry, evidence: Evidence) -> None:
        assert evidence.address.given == entry.given
        self._take(entry, judge(evidence))

    def report(self, entry: Entry, report: Report) -> None:
        self.stored.add(entry.mailbox)
        self._take(entry, report)

    def failed(self, entry: Entry, bug: Exception) -> None:
        raise AssertionError(entry.mailbox) from bug

    def _take(self, entry: Entry, report: Report) -> None:
        assert entry.mailbox not in self.reports
        assert report.address == entry.given
        self.reports[entry.mailbox] = report
        self.order.append(entry.mailbox)

    @property
    def reasons(self) -> dict[str, str]:
        return {mailbox: report.reason for mailbox, report in self.reports.items()}


def settings(lab: Lab, **more: object) -> Settings:
    return Settings(
        port=lab.port,
        helo="probe.example.net",
        families=(4,),
        dns_servers=(f"127.0.0.1:{lab.dns_port}",),
        allow_private=True,
        **more,  # type: ignore[arg-type]  # whatever a test changes
    )


async def run(
    lab: Lab,
    addresses: Iterable[str],
    *,
    limits: Limits | None = None,
    per_connection: int = 50,
    concurrency: int = 20,
    chosen: Settings | None = None,
    ledger: Ledger | None = None,
    memory: Callable[[Engine], Memory] | None = None,
    known: Mapping[str, int] | None = None,
) -> Results:
    limits = limits or Limits(gap=0.0)
    engine = Engine(chosen or settings(lab))
    spool, results = Spool(), Results()
    read = [parse(text) for text in addresses]
    if known:
        spool.know(known.items())
    spool.add([Waiting(address.given, address.mailbox, address.domain) for address in read])
    batch = Batch(
        engine,
        spool,
        results,
        limits=limits,
        ledger=ledger or MemoryLedger(limits),
        memory=None if memory is None else memory(engine),
        per_connection=per_connection,
        concurrency=concurrency,
        seed=1,
        zero=time.monotonic(),
    )
    batch.ended()
    async with asyncio.timeout(40):
        await batch.run()
    await engine.aclose()
    answered = {mailbox for mailbox, answer in (known or {}).items() if answer != OPEN}
    assert set(results.reports) == {address.mailbox for address in read} - answered
    return results


def zone(domains: int, hosts: int) -> str:
    """Make d1.example ... with one mail host each, of the hosts 127.0.0.2 ... in turn."""
    lines = [f"d{n}.example. 300 MX 10 mx{n % hosts}.h{n % hosts}.example." for n in range(domains)]
    lines += [f"mx{n}.h{n}.example. 300 A 127.0.0.{n + 2}" for n in range(hosts)]
    return "\n".join(lines)


def runs(test: Callable[P, Coroutine[None, None, None]]) -> Callable[P, None]:
    """Run a test that is a coroutine."""

    @functools.wraps(test)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        asyncio.run(test(*args, **kwargs))

    return wrapped


def users(number: int, domain: str = "d0.example") -> list[str]:
    return [f"u{n}@{domain}" for n in range(number)]


def everybody(ip: str, **answers: str) -> CountingHost:
    """Make a host that answers RCPT of some local parts in its own way."""

    def answer(_number: int, line: str) -> str | None:
        for local, reply in answers.items():
            if line.startswith(f"RCPT TO:<{local}@"):
                return reply
        return None

    return CountingHost(ip, answer)


# --- one connection, many addresses -----------------------------------------------------------------


@pytest.mark.parametrize("pipelining", [True, False])
@runs
async def test_the_addresses_of_a_domain_share_one_connection(pipelining: bool) -> None:
    host = CountingHost(
        "127.0.0.2", lambda _, line: UNKNOWN if "<u3@" in line else None, pipelining=pipelining
    )
    async with Lab(zone(1, 1), {host.ip: host}) as lab:
        results = await run(lab, users(50))
    assert [len(visit.asked) for visit in host.visits] == [50]
    assert host.visits[0].said_quit
    assert not any(line.upper().startswith("DATA") for visit in host.visits for line in visit.commands)
    assert Counter(results.reasons.values()) == {"rcpt.accepted": 49, "rcpt.user-unknown": 1}
    assert results.reasons["u3@d0.example"] == "rcpt.user-unknown"
    third = results.reports["u2@d0.example"].evidence.hosts[0].sessions
    assert [session.before for session in third] == [2]


@runs
async def test_a_visit_leaves_nothing_for_the_search_for_cycles() -> None:
    # Else all sessions of a connection lie about until then, which in a batch is late. Refused, it was searched.
    host = everybody("127.0.0.2", u1=UNKNOWN)
    gc.collect()
    gc.disable()
    try:
        async with Lab(zone(1, 1), {host.ip: host}) as lab:
            await run(lab, users(3))
        assert not [each for each in gc.get_objects() if isinstance(each, (_Lane, Lookout))]
    finally:
        gc.enable()


@runs
async def test_no_more_addresses_over_a_connection_than_allowed() -> None:
    host = everybody("127.0.0.2")
    async with Lab(zone(1, 1), {host.ip: host}) as lab:
        await run(lab, users(25), per_connection=10)
    assert sorted(len(visit.asked) for visit in host.visits) == [5, 10, 10]
    assert all(visit.said_quit for visit in host.visits)


@runs
async def test_a_host_is_called_twice_at_once_at_most_and_with_a_gap() -> None:
    host = everybody("127.0.0.2")
    async with Lab(zone(6, 1), {host.ip: host}) as lab:
        await run(lab, [f"u@d{n}.example" for n in range(6)], limits=Limits(gap=0.2))
    assert len(host.visits) == 6
    assert host.most_at_once <= 2
    assert host.least_gap >= 0.12  # of 0.2: the host shares our loop, and takes notice late


# --- what is known is not asked again ---------------------------------------------------------------


@runs
async def test_a_dead_host_is_learned_once_for_all_its_domains() -> None:
    dead = DeadHost("127.0.0.2")
    async with Lab(zone(8, 1), {dead.ip: dead}) as lab:
        began = time.monotonic()
        results = await run(lab, [f"u{n}@d{n % 8}.example" for n in range(40)])
        took = time.monotonic() - began
    assert {report.cause for report in results.reports.values()} == {Cause.FIREWALL_TIMEOUT}
    assert took < 6.0  # one verdict takes 3.4 s
    learned = [report.evidence.hosts[0].sessions[0].connect for report in results.reports.values()]
    assert len({round(connect.ended - connect.started, 6) for connect in learned}) <= 2


@runs
async def test_who_refuses_everybody_is_asked_once() -> None:
    host = CountingHost(
        "127.0.0.2", lambda _, line: "554 5.7.1 Your IP is listed at bl.example.org" if not line else None
    )
    async with Lab(zone(3, 1), {host.ip: host}) as lab:
        results = await run(lab, [f"u{n}@d{n % 3}.example" for n in range(30)])
    assert set(results.reasons.values()) == {"banner.blocklisted"}
    assert len(host.visits) <= 2


@runs
async def test_who_refuses_the_null_sender_is_asked_once() -> None:
    host = CountingHost(
        "127.0.0.2", lambda _, line: "550 5.7.1 Null sender refused" if line == "MAIL FROM:<>" else None
    )
    async with Lab(zone(1, 1), {host.ip: host}) as lab:
        results = await run(lab, users(30))
    assert set(results.reasons.values()) == {"mail.null-sender-refused"}
    assert len(host.visits) == 1
    assert sum(len(visit.asked) for visit in host.visits) <= 1


@runs
async def test_a_domain_that_the_dns_decides_costs_no_connection() -> None:
    async with Lab("d0.example. 300 MX 0 .", {}) as lab:
        results = await run(lab, users(120))
    assert set(results.reasons.values()) == {"domain.null-mx"}


# --- displeasure ------------------------------------------------------------------------------------


@runs
async def test_an_answer_that_came_after_others_and_settles_nothing_is_asked_again_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(FIRST, Sign.LATER, 0.2)
    host = CountingHost(
        "127.0.0.2", lambda number, line: "451 4.3.2 Later" if number == 1 and "<u5@" in line else None
    )
    async with Lab(zone(1, 1), {host.ip: host}) as lab:
        results = await run(lab, users(10))
    assert set(results.reasons.values()) == {"rcpt.accepted"}
    first = host.visits[0]
    assert first.asked[-1] == "u5@d0.example"
    assert first.said_quit
    assert ["u5@d0.example"] in [visit.asked for visit in host.visits[1:]]
    assert sum(len(visit.asked) for visit in host.visits) == 11


@runs
async def test_421_ends_the_connection_and_the_rest_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FIRST, Sign.RATE, 0.8)
    host = CountingHost(
        "127.0.0.2",
        lambda number, line: "421 4.7.0 Too many requests" if number == 1 and "<u2@" in line else None,
    )
    async with Lab(zone(1, 1), {host.ip: host}) as lab:
        results = await run(lab, users(8))
    assert set(results.reasons.values()) == {"rcpt.accepted"}
    began = sorted(visit.began for visit in host.visits)
    assert began[1] - began[0] >= 0.8


@runs
async def test_who_says_421_to_everybody_is_left_alone_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FIRST, Sign.RATE, 0.05)
    host = CountingHost("127.0.0.2", lambda _, line: "421 4.7.0 Too many connections" if not line else None)
    async with Lab(zone(2, 1), {host.ip: host}) as lab:
        results = await run(lab, [*users(5), *users(5, "d1.example")])
    assert {report.cause for report in results.reports.values()} == {Cause.TEMPORARY}
    assert len(host.visits) <= 6


@runs
async def test_the_budget_of_a_day_is_kept_and_said() -> None:
    host = everybody("127.0.0.2")
    async with Lab(zone(5, 1), {host.ip: host}) as lab:
        results = await run(lab, [f"u@d{n}.example" for n in range(5)], limits=Limits(gap=0.0, per_day=3))
    assert len(host.visits) == 3
    assert Counter(results.reasons.values()) == {"rcpt.accepted": 3, "host.held-back": 2}
    held = next(report for report in results.reports.values() if report.reason == "host.held-back")
    assert held.evidence.hosts[0].skipped is Skip.HELD_BACK


class Forgetful:
    """Says to everybody after the third recipient of a connection that he is unknown, and of `unknown` always."""

    def __init__(self, *unknown: str, knows: int = 3) -> None:
        self.heard: dict[int, int] = {}
        self._knows = knows
        self._unknown = tuple(f"RCPT TO:<{local}@" for local in unknown)

    def __call__(self, number: int, line: str) -> str | None:
        if not line.startswith("RCPT"):
            return None
        self.heard[number] = self.heard.get(number, 0) + 1
        return UNKNOWN if self.heard[number] > self._knows or line.startswith(self._unknown) else None


@runs
async def test_several_refusals_at_the_end_are_held_against_one_more_question() -> None:
    host = CountingHost("127.0.0.2", lambda _, line: UNKNOWN if "<u3@" in line or "<u4@" in line else None)
    async with Lab(zone(1, 1), {host.ip: host}) as lab:
        results = await run(lab, users(5))
    assert Counter(results.reasons.values()) == {"rcpt.accepted": 3, "rcpt.user-unknown": 2}
    assert [visit.asked for visit in host.visits] == [[*users(5), "u2@d0.example"]]


@runs
async def test_a_host_that_refuses_rset_is_asked_about_one_address_a_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(FIRST, Sign.LATER, 0.05)
    host = CountingHost("127.0.0.2", lambda _, line: "502 5.5.1 No RSET here" if line == "RSET" else None)
    async with Lab(zone(1, 1), {host.ip: host}) as lab:
        results = await run(lab, users(5))
    assert set(results.reasons.values()) == {"rcpt.accepted"}
    assert sum("RSET" in visit.commands for visit in host.visits) <= 1


@runs
async def test_a_learned_host_has_the_name_that_each_domain_gives_it() -> None:
    names = "d0.example. 300 MX 10 a.example.\nd1.example. 300 MX 20 b.example.\n"
    names += "a.example. 300 A 127.0.0.2\nb.example. 300 A 127.0.0.2"
    refuses = "554 5.7.1 Your IP is listed at bl.example.org"
    host = CountingHost("127.0.0.2", lambda _, line: refuses if not line else None)
    async with Lab(names, {host.ip: host}) as lab:
        results = await run(lab, ["u@d0.example", "u@d1.example"])
    met = {mailbox: report.evidence.hosts[0] for mailbox, report in results.reports.items()}
    assert (met["u@d0.example"].name, met["u@d0.example"].preference) == ("a.example", 10)
    assert (met["u@d1.example"].name, met["u@d1.example"].preference) == ("b.example", 20)


@runs
async def test_a_short_limit_goes_on_to_the_next_mail_host() -> None:
    two = "d0.example. 300 MX 10 mx1.example.\nd0.example. 300 MX 20 mx2.example.\n"
    two += "mx1.example. 300 A 127.0.0.2\nmx2.example. 300 A 127.0.0.3"
    dead, alive = DeadHost("127.0.0.2"), everybody("127.0.0.3")
    async with Lab(two, {dead.ip: dead, alive.ip: alive}) as lab:
        results = await run(lab, users(4), chosen=settings(lab, timeout=1.5))
    assert set(results.reasons.values()) == {"rcpt.accepted"}


# --- several mail hosts -----------------------------------------------------------------------------


@runs
async def test_who_is_not_settled_by_the_first_mail_host_hears_the_second(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(FIRST, Sign.LATER, 0.2)
    two = "d0.example. 300 MX 10 mx1.example.\nd0.example. 300 MX 20 mx2.example.\n"
    two += "mx1.example. 300 A 127.0.0.2\nmx2.example. 300 A 127.0.0.3"
    first = everybody("127.0.0.2", u1="451 4.3.0 Try again later", u2=UNKNOWN)
    second = everybody("127.0.0.3")
    async with Lab(two, {first.ip: first, second.ip: second}) as lab:
        results = await run(lab, users(4))
    assert results.reasons == {
        "u0@d0.example": "rcpt.accepted",
        "u1@d0.example": "rcpt.accepted",
        "u2@d0.example": "rcpt.user-unknown",
        "u3@d0.example": "rcpt.accepted",
    }
    assert [visit.asked for visit in second.visits] == [["u1@d0.example"]]
    assert [host.name for host in results.reports["u1@d0.example"].hosts] == ["mx1.example", "mx2.example"]


@runs
async def test_a_slow_provider_does_not_hold_up_the_rest() -> None:
    slow = everybody("127.0.0.2")
    quick = everybody("127.0.0.3")
    async with Lab(zone(200, 2), {slow.ip: slow, quick.ip: quick}) as lab:
        addresses = [f"u@d{n}.example" for n in range(0, 200, 2)] + ["u@d1.example"]
        results = await run(lab, addresses, limits=Limits(gap=0.05), concurrency=4)
    assert results.order.index("u@d1.example") < 10


# --- a run that is held up, or ended -----------------------------------------------------------------


@runs
async def test_a_stop_of_ours_is_nobody_elses_time_out() -> None:
    host = CountingHost("127.0.0.2", delay=0.1)
    async with Lab(zone(1, 1), {host.ip: host}) as lab:
        # The whole process stands still, as it does when it is stopped or the machine sleeps.
        asyncio.get_running_loop().call_later(0.4, time.sleep, 2.5)
        results = await run(lab, users(3), chosen=settings(lab, timeout=2.0, reply_timeout=10.0))
    assert set(results.reasons.values()) == {"rcpt.accepted"}


@runs
async def test_of_a_connection_that_is_ended_the_first_answer_is_delivered() -> None:
    """That of another one may belong to the question before, which only the end of the connection shows."""
    host = CountingHost("127.0.0.2", delay=0.1, pipelining=False)
    async with Lab(zone(1, 1), {host.ip: host}) as lab:
        engine, spool, results, limits = Engine(settings(lab)), Spool(), Results(), Limits(gap=0.0)
        read = [parse(text) for text in users(30)]
        spool.add([Waiting(address.given, address.mailbox, address.domain) for address in read])
        batch = Batch(
            engine,
            spool,
            results,
            limits=limits,
            ledger=MemoryLedger(limits),
            memory=None,
            per_connection=50,
            concurrency=4,
            seed=1,
            zero=time.monotonic(),
        )
        batch.ended()
        running = asyncio.create_task(batch.run())
        await asyncio.sleep(2.2)
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        await engine.aclose()
    assert len(host.visits[0].asked) > 3
    assert results.reasons == {"u0@d0.example": "rcpt.accepted"}


# --- the random mailbox -----------------------------------------------------------------------------


@runs
async def test_one_random_mailbox_for_a_domain() -> None:
    host = everybody("127.0.0.2")
    async with Lab(zone(1, 1), {host.ip: host}) as lab:
        results = await run(lab, users(12), per_connection=5, chosen=settings(lab, catch_all=True))
    randoms = [name for visit in host.visits for name in visit.asked if name.startswith("probe-")]
    assert len(randoms) == 1
    told = Counter(report.catch_all for report in results.reports.values())
    assert told[True] >= 5
    assert set(told) <= {True, None}
