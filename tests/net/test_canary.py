"""The canary on loopback: what it does is what is said of it, one connection a run, and no word but QUIT."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from probe.core.model import CanaryOutcome, Connect, ConnectOutcome, Notice, NoticeOrigin
from probe.lab.peer import Peer
from probe.lab.world import ClosedHost, DeadHost, Lab
from probe.net import canary, reach
from probe.net.canary import Canaries, known_hosts
from probe.settings import parse_canary

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator, Mapping

    from probe.core.model import Canary
    from probe.lab.world import Host

ZONE = """\
mx.up.example.     300 A 127.0.0.2
mx.twin.example.   300 A 127.0.0.3
mx.alias.example.  300 CNAME mx.up.example.
mx.round.example.  300 CNAME mx.round.example.
mx.mixed.example.  300 A 224.0.0.1
mx.mixed.example.  300 A 127.0.0.2
"""
PATIENT = 5.0


class World:
    """A lab, and canaries that know nothing but it."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.made: list[Canaries] = []

    def canaries(self, *names: str, source: str | None = None) -> Canaries:
        texts = tuple(f"{name}:{self.lab.port}" for name in names)
        servers = (("127.0.0.1", self.lab.dns_port),)
        self.made.append(Canaries(texts, servers, source=source, seed=0))
        return self.made[-1]

    def commands(self, ip: str = "127.0.0.2") -> list[list[str]]:
        return [seen.commands for seen in self.lab.peers[ip].connections]


@asynccontextmanager
async def world(
    script: Host | str = "*good", behaviours: Mapping[str, str] | None = None
) -> AsyncIterator[World]:
    hosts: dict[str, Host | str] = {"127.0.0.2": script, "127.0.0.3": "*good"}
    async with Lab(ZONE, hosts, behaviours) as lab:
        given = World(lab)
        try:
            yield given
        finally:
            for made in given.made:
                await made.aclose()
        for peer in lab.peers.values():
            assert peer.complaints == []


async def call(canaries: Canaries, family: int = 4, *, limit: float = PATIENT) -> Canary:
    return await canaries.call(family, clock=time.monotonic, timeout=limit)


async def farewell(canaries: Canaries) -> None:
    """Wait for what is done after the record is there."""
    task = canaries._calls[4]._task
    assert task is not None
    await task


# --- what is said of it ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["mx.up.example", "mx.alias.example", "MX.Up.Example.", "127.0.0.2"])
@pytest.mark.parametrize("behaviour", ["", "cname-only"])
def test_one_that_answers_hears_quit_and_nothing_else(name: str, behaviour: str) -> None:
    async def run() -> None:
        async with world(
            "S: 220-mx ready\nS: 220 when you are", {"*": behaviour} if behaviour else {}
        ) as lab:
            before = time.monotonic()
            record = await call(lab.canaries(name))
            assert record.outcome is CanaryOutcome.ANSWERED
            assert (record.ip, record.port, record.family) == ("127.0.0.2", lab.lab.port, 4)
            assert record.banner == "220-mx ready\n220 when you are"
            assert before <= record.started <= record.ended <= time.monotonic()
            assert record.detail is None
            await farewell(lab.made[0])
            assert lab.commands() == [["QUIT"]]

    asyncio.run(run())


@pytest.mark.parametrize(
    ("script", "banner"),
    [
        ("*close", None),
        ("S> 220 half a line\n*close", "220 half a line"),
        ("*silence", None),
        ("*flood 220-more", "220-more"),
    ],
)
def test_one_that_never_greets_has_answered_all_the_same(
    script: str, banner: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(canary, "GREETING_TIMEOUT", 0.2)

    async def run() -> None:
        async with world(script) as lab:
            record = await call(lab.canaries("mx.up.example"))
            assert record.outcome is CanaryOutcome.ANSWERED
            assert (record.banner or "").partition("\n")[0] == (banner or "")
            assert len(record.banner or "") <= canary.GREETING_LIMIT
            assert lab.commands() == [[]]  # not a word before a greeting

    asyncio.run(run())


def test_one_that_refuses() -> None:
    async def run() -> None:
        async with world(ClosedHost("127.0.0.2")) as lab:
            record = await call(lab.canaries("mx.up.example"))
            assert record.outcome is CanaryOutcome.REFUSED
            assert record.detail is not None
            assert record.detail.startswith("ECONNREFUSED")

    asyncio.run(run())


def test_silence_needs_its_time() -> None:
    async def run() -> None:
        async with world(DeadHost("127.0.0.2")) as lab:
            canaries = lab.canaries("mx.up.example")
            hasty = await call(canaries, limit=0.2)
            assert hasty.outcome is CanaryOutcome.UNTESTED
            assert hasty.detail is not None
            assert hasty.detail.startswith("only 0.")
            silent = await call(canaries, limit=1.2)
            assert (silent.outcome, silent.ip) == (CanaryOutcome.SILENT, "127.0.0.2")
            assert silent.ended - silent.started >= canary.LEAST_SILENCE

    asyncio.run(run())


@pytest.mark.parametrize(
    ("outcome", "notices", "said", "detail"),
    [
        (ConnectOutcome.RESET, False, CanaryOutcome.ANSWERED, "E"),  # the handshake was complete
        (ConnectOutcome.PROHIBITED, True, CanaryOutcome.REFUSED, "E from 192.0.2.1"),
        (ConnectOutcome.NET_UNREACHABLE, False, CanaryOutcome.REFUSED, "E"),
        (ConnectOutcome.TIMEOUT, False, CanaryOutcome.SILENT, "E"),
        (ConnectOutcome.LOCAL, False, CanaryOutcome.UNTESTED, "E"),
    ],
)
def test_what_the_system_says_of_the_attempt(
    outcome: ConnectOutcome,
    notices: bool,
    said: CanaryOutcome,
    detail: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def connect(*_: object, **__: object) -> tuple[Connect, None]:
        now = time.monotonic()
        heard = (Notice(now, NoticeOrigin.ICMP, 3, 13, "192.0.2.1"),) if notices else ()
        return Connect(now, now, outcome, 1, "E", notices=heard), None

    monkeypatch.setattr(reach, "connect", connect)
    record = asyncio.run(call(Canaries(("192.0.2.25",), (), source=None, seed=0)))
    assert (record.outcome, record.detail, record.banner) == (said, detail, None)


# --- which one is called -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "names",
    [
        ("mx.none.example", "mx.up.example"),
        ("mx.round.example", "mx.up.example"),
        ("mx.mixed.example",),  # not at its first address, which is that of a group
        ("192.0.2.1.example", "mx.up.example", "mx.twin.example"),
    ],
)
def test_the_first_that_has_an_address(names: tuple[str, ...]) -> None:
    async def run() -> None:
        async with world() as lab:
            record = await call(lab.canaries(*names))
            assert (record.outcome, record.ip) == (CanaryOutcome.ANSWERED, "127.0.0.2")
            assert lab.lab.peers["127.0.0.3"].connections == []

    asyncio.run(run())


def test_a_literal_of_the_other_family_is_passed_over() -> None:
    async def run() -> None:
        async with world() as lab:
            record = await call(lab.canaries("[::1]", "127.0.0.2"))
            assert record.ip == "127.0.0.2"
            alone = await call(lab.canaries("[::1]"))
            assert (alone.outcome, alone.ip) == (CanaryOutcome.UNTESTED, None)
            assert alone.detail == "no canary has a usable IPv4 address (::1: it is IPv6)"

    asyncio.run(run())


def test_what_does_not_resolve_proves_nothing() -> None:
    async def run() -> None:
        names = [f"mx.{letter}.example" for letter in "abcde"]
        async with world(behaviours={"mx.b.example": "servfail"}) as lab:
            record = await call(lab.canaries(*names))
            assert (record.outcome, record.ip) == (CanaryOutcome.UNTESTED, None)
            assert record.detail == (
                "no canary has a usable IPv4 address"
                " (mx.a.example: nxdomain, mx.b.example: servfail, mx.c.example: nxdomain, and 2 more)"
            )

    asyncio.run(run())


def test_a_dead_resolver_is_given_up_together_with_all_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canary, "NAMES_TIMEOUT", 0.3)

    async def run() -> None:
        async with world(behaviours={"*": "drop"}) as lab:
            began = time.monotonic()
            record = await call(lab.canaries("mx.a.example", "mx.b.example"))
            assert record.outcome is CanaryOutcome.UNTESTED
            assert record.detail in {
                "no address of a canary was found within 0.3 s",
                "no canary has a usable IPv4 address (mx.a.example: timeout, mx.b.example: timeout)",
            }
            assert time.monotonic() - began < 1.0

    asyncio.run(run())


def test_our_time_may_be_up_before_the_name_is_known() -> None:
    async def run() -> None:
        async with world(behaviours={"*": "slow:0.3"}) as lab:
            canaries = lab.canaries("mx.up.example")
            record = await call(canaries, limit=0.1)
            assert record.detail == "our time was up before it could be called"
            assert (await call(canaries)).outcome is CanaryOutcome.ANSWERED

    asyncio.run(run())


def test_our_own_list_stands_for_public_addresses_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canary, "known_hosts", lambda: ("mx.up.example", "mx.twin.example"))

    async def run() -> None:
        async with world() as lab:
            lab.made.append(Canaries(None, (("127.0.0.1", lab.lab.dns_port),), source=None, seed=1))
            record = await call(lab.made[0])
            assert record.outcome is CanaryOutcome.UNTESTED
            assert record.detail is not None
            # The seed says where the list begins.
            assert "(mx.twin.example: no address that may be called, mx.up.example" in record.detail
            assert lab.commands() == []

    asyncio.run(run())


def test_no_canary_at_all() -> None:
    record = asyncio.run(call(Canaries((), (), source=None, seed=3)))
    assert (record.outcome, record.detail) == (CanaryOutcome.UNTESTED, "there is no canary to call")


def test_what_is_asked_about_is_no_canary() -> None:
    async def run() -> None:
        async with world() as lab:
            canaries = lab.canaries("mx.up.example", "127.0.0.2", "mx.twin.example")
            record = await canaries.call(
                4, clock=time.monotonic, timeout=PATIENT, besides={"MX.up.example", "127.0.0.2"}
            )
            assert record.name == "mx.twin.example"
            later = await canaries.call(4, clock=time.monotonic, timeout=PATIENT, besides={"127.0.0.3"})
            assert (later.outcome, later.detail) == (
                CanaryOutcome.UNTESTED,
                "mx.twin.example is what is asked about",
            )

    asyncio.run(run())


def test_the_list_is_one_of_names_that_an_option_could_give() -> None:
    names = known_hosts()
    assert 6 <= len(set(names)) == len(names) <= 8
    assert [parse_canary(name) for name in names] == [(name, 25) for name in names]
    text = Path(canary.__file__).with_name("canaries.txt").read_text("ascii")
    assert "one connection a run" in text


# --- one for all -------------------------------------------------------------------------------------


def test_all_who_ask_share_one_connection_and_one_may_give_up() -> None:
    async def run() -> None:
        async with world("*sleep 0.2\nS: 220 mx") as lab:
            canaries = lab.canaries("mx.up.example")
            first, *others = [asyncio.create_task(call(canaries)) for _ in range(4)]
            await asyncio.sleep(0.05)
            first.cancel()
            records = await asyncio.gather(*others)
            assert {record.banner for record in records} == {"220 mx"}
            assert (await call(canaries)).banner == "220 mx"
            assert len(lab.commands()) == 1

    asyncio.run(run())


def test_a_greeting_still_awaited_does_not_hold_up_the_finding() -> None:
    async def run() -> None:
        async with world("*sleep 0.4\nS: 220 mx") as lab:
            canaries = lab.canaries("mx.up.example")
            early = await call(canaries, limit=0.2)
            assert (early.outcome, early.banner) == (CanaryOutcome.ANSWERED, None)
            assert (await call(canaries)).banner == "220 mx"

    asyncio.run(run())


def test_times_are_those_of_the_caller() -> None:
    async def run() -> None:
        async with world() as lab:
            canaries = lab.canaries("mx.up.example")
            zero = time.monotonic() - 1000.0
            record = await canaries.call(4, clock=lambda: time.monotonic() - zero, timeout=PATIENT)
            assert 1000.0 <= record.started <= record.ended < 1010.0
            assert (await call(canaries)).started == pytest.approx(record.started + zero, abs=0.01)

    asyncio.run(run())


def test_the_other_family_has_no_call_of_its_own() -> None:
    async def run() -> None:
        async with world() as lab:
            canaries = lab.canaries("127.0.0.2", "[::1]")
            records = await asyncio.gather(call(canaries, 4), call(canaries, 6))
            assert [record.outcome for record in records] == [CanaryOutcome.ANSWERED, CanaryOutcome.UNTESTED]
            assert records[1].detail == "the one canary of this run was called over IPv4"

    asyncio.run(run())


def test_a_family_that_cannot_be_tried_leaves_the_call_to_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        async with world() as lab:
            assert (await call(lab.canaries("mx.up.example"), 6)).outcome is CanaryOutcome.UNTESTED
            assert (await call(lab.made[0], 4)).outcome is CanaryOutcome.ANSWERED
            connect = reach.connect

            async def no_route(
                ip: str, *rest: int, **options: object
            ) -> tuple[Connect, socket.socket | None]:
                if ":" in ip:
                    now = time.monotonic()
                    return Connect(now, now, ConnectOutcome.NO_ROUTE, 101, "ENETUNREACH"), None
                return await connect(ip, *rest, **options)  # type: ignore[arg-type]  # as it was called

            monkeypatch.setattr(reach, "connect", no_route)
            canaries = lab.canaries("[2001:db8::25]", "127.0.0.2")
            without = await call(canaries, 6)
            assert (without.outcome, without.detail) == (CanaryOutcome.UNTESTED, "ENETUNREACH")
            assert (await call(canaries, 4)).outcome is CanaryOutcome.ANSWERED

    asyncio.run(run())


def test_from_a_chosen_source_only_its_family() -> None:
    async def run() -> None:
        async with world() as lab:
            canaries = lab.canaries("127.0.0.2", source="127.0.0.9")
            assert (await call(canaries, 4)).outcome is CanaryOutcome.ANSWERED
            other = await call(lab.canaries("127.0.0.2", source="127.0.0.9"), 6)
            assert other.detail == "127.0.0.9, from which we connect, is no IPv6 address"

    asyncio.run(run())


# --- the end of a run --------------------------------------------------------------------------------


@pytest.mark.parametrize("host", [DeadHost("127.0.0.2"), Peer("*silence", ip="127.0.0.2")])
def test_closing_in_the_middle_leaves_nothing_open(host: Host) -> None:
    async def run() -> None:
        async with world(host) as lab:
            canaries = lab.canaries("mx.up.example")
            waiting = asyncio.create_task(call(canaries))
            await asyncio.sleep(0.1)
            before = descriptors()
            await canaries.aclose()
            record = await waiting
            assert record.outcome in {CanaryOutcome.UNTESTED, CanaryOutcome.ANSWERED}
            assert descriptors() < before  # the peer may have closed its end, too

    asyncio.run(run())


def test_a_bug_is_not_taken_for_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(reach, "connect", broken)
    with pytest.raises(ZeroDivisionError):
        asyncio.run(call(Canaries(("192.0.2.25",), (), source=None, seed=0)))


def descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())
