from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from typing import TYPE_CHECKING

import dns.flags
import dns.message
import dns.rrset
import pytest
from msgspec.structs import replace

from probe.core.model import DnsAnswer, DnsOutcome, DnsRecord
from probe.lab.nameserver import NameServer
from probe.net.lookup import Lookups, on_loopback
from probe.net.resolve import MAX_STRAYS, Resolver

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from probe.net.lookup import Remember

NAME = "customer.example.com"
ZONE = f"""
{NAME}. 300 MX 10 Mx1.{NAME}.
{NAME}. 300 MX 20 mx2.{NAME}.
mx1.{NAME}. 60 A 192.0.2.1
mx1.{NAME}. 60 AAAA 2001:db8::1
www.{NAME}. 60 CNAME mx1.{NAME}.
round.example. 60 CNAME about.example.
about.example. 60 CNAME round.example.
"""
ANSWER, NODATA, NXDOMAIN = DnsOutcome.ANSWER, DnsOutcome.NODATA, DnsOutcome.NXDOMAIN
TIMEOUT, MALFORMED, UNREACHABLE = DnsOutcome.TIMEOUT, DnsOutcome.MALFORMED, DnsOutcome.UNREACHABLE
CUT_SHORT = DnsOutcome.CUT_SHORT
WAYS = pytest.mark.parametrize("local", [True, False], ids=["shared socket", "own sockets"])


class Clock:
    """The monotonic clock from now on, and by as much further as a test says."""

    def __init__(self) -> None:
        self.ahead = -time.monotonic()

    def __call__(self) -> float:
        return time.monotonic() + self.ahead


def lookups(
    *ports: int,
    clock: Callable[[], float] | None = None,
    tries: int = 1,
    try_timeout: float = 2.0,
    at_once: int = 500,
    remember: Remember | None = None,
    remembered: int = 100,
    local: bool = True,
) -> Lookups:
    return Lookups(
        tuple(("127.0.0.1", port) for port in ports),
        clock=clock or Clock(),
        timeout=4 * try_timeout,
        try_timeout=try_timeout,
        tries=tries,
        at_once=at_once,
        remember=remember,
        remembered=remembered,
        is_local=lambda _: local,
    )


@contextlib.asynccontextmanager
async def serving(
    zone: str = ZONE, behaviours: Mapping[str, str] | None = None
) -> AsyncIterator[tuple[NameServer, int]]:
    server = NameServer(zone, behaviours)
    try:
        yield server, await server.start()
    finally:
        await server.stop()


@contextlib.asynccontextmanager
async def scripted(
    serve: Callable[[bytes, Callable[[bytes], None]], None],
) -> AsyncIterator[tuple[int, list[tuple[str, int]]]]:
    """Serve UDP on loopback with a function of each datagram and of what sends one back; give the port and peers."""
    peers: list[tuple[str, int]] = []

    class Server(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
            peers.append(addr)
            serve(data, lambda wire: transport.sendto(wire, addr))

    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(Server, ("127.0.0.1", 0))
    try:
        yield transport.get_extra_info("sockname")[1], peers
    finally:
        transport.close()


def right(wire: bytes) -> bytes:
    """Give the right answer to a query: one address."""
    query = dns.message.from_wire(wire)
    response = dns.message.make_response(query, recursion_available=True)
    response.answer.append(dns.rrset.from_text(query.question[0].name, 60, "IN", "A", "192.0.2.9"))
    return response.to_wire()


def closed_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def steps(answer: DnsAnswer) -> list[tuple[str, DnsOutcome, str | None]]:
    return [(one.transport, one.outcome, one.detail) for one in answer.tries]


def timeless(answer: DnsAnswer) -> DnsAnswer:
    tries = tuple(replace(one, sent=0.0, ended=0.0) for one in answer.tries)
    return replace(answer, asked=0.0, ended=0.0, tries=tries)


# --- it means what the resolver of a single probe means ----------------------------------------------


QUESTIONS = (f"{NAME} MX", f"www.{NAME} A", f"{NAME} A", "no.example A", "round.example A")
PROMPT = ("", "servfail", "refused", "formerr", "notimp", "nxdomain", "empty", "lame", "cname-only", "formerr-edns",
          "truncate", "compression-loop", "bad-rdata")  # fmt: skip
WAITED_FOR = ("drop-edns", "garbage", "wrong-id", "wrong-question")


@WAYS
@pytest.mark.parametrize(
    ("behaviour", "question"),
    [(behaviour, question) for behaviour in PROMPT for question in QUESTIONS]
    + [(behaviour, QUESTIONS[0]) for behaviour in WAITED_FOR],
)
def test_the_answer_is_that_of_the_resolver(behaviour: str, question: str, local: bool) -> None:
    patience = 0.4 if behaviour in WAITED_FOR else 1.0

    async def run() -> tuple[DnsAnswer, DnsAnswer]:
        async with serving(ZONE, {"*": behaviour} if behaviour else {}) as (_, port):
            ours = lookups(port, tries=2, try_timeout=patience, local=local)
            theirs = Resolver(
                (("127.0.0.1", port),), clock=Clock(), timeout=4 * patience, try_timeout=patience, tries=2
            )
            name, rdtype = question.split()
            both = await asyncio.gather(ours.ask(name, rdtype), theirs.ask(name, rdtype))
            await ours.aclose()
            await theirs.aclose()
            return both

    found, expected = map(timeless, asyncio.run(run()))
    if local and behaviour in {"garbage", "wrong-id"}:
        # On the socket that all share nobody can tell for whom it was; the second try has its own.
        assert [one.outcome for one in found.tries] == [TIMEOUT, MALFORMED]
        found = replace(found, tries=expected.tries)
    assert found == expected


@WAYS
@pytest.mark.parametrize("first", ["servfail", "refused", "lame", "drop", "bad-rdata", "closed"])
def test_a_definite_answer_of_any_server_wins(first: str, local: bool) -> None:
    async def run() -> DnsAnswer:
        async with (
            serving(ZONE, {"*": "drop" if first == "closed" else first}) as (_, one),
            serving() as (_, two),
        ):
            ours = lookups(closed_port() if first == "closed" else one, two, try_timeout=0.1, local=local)
            answer = await ours.ask(NAME, "MX")
            await ours.aclose()
            return answer

    answer = asyncio.run(run())
    assert (answer.outcome, len(answer.tries)) == (ANSWER, 2)
    assert 0 <= answer.asked <= answer.tries[0].sent <= answer.tries[0].ended <= answer.ended


@WAYS
def test_a_silent_server_is_asked_last_from_then_on(local: bool) -> None:
    async def run() -> list[int]:
        async with serving(ZONE, {"*": "drop"}) as (_, silent), serving() as (_, good):
            ours = lookups(silent, good, try_timeout=0.1, local=local)
            tries = [len((await ours.ask(f"mx{n}.{NAME}", "A")).tries) for n in (1, 2, 3)]
            await ours.aclose()
            return tries

    assert asyncio.run(run()) == [2, 1, 1]


@WAYS
@pytest.mark.parametrize(("count", "tries"), [(1, 1), (2, 1), (50, 2)])
def test_a_closed_port_is_told_at_once_to_all_who_ask_there(count: int, tries: int, local: bool) -> None:
    async def run() -> tuple[list[DnsAnswer], float]:
        ours = lookups(closed_port(), try_timeout=5.0, tries=tries, local=local)
        began = time.monotonic()
        answers = await asyncio.gather(*(ours.ask(f"d{n}.example", "MX") for n in range(count)))
        took = time.monotonic() - began
        await ours.aclose()
        return answers, took

    answers, took = asyncio.run(run())
    assert {one.outcome for one in answers} == {UNREACHABLE}
    assert {one.detail for answer in answers for one in answer.tries} == {"ECONNREFUSED"}
    assert took < 2.0


def test_a_name_that_no_message_can_hold_and_no_server() -> None:
    async def run() -> tuple[DnsAnswer, DnsAnswer]:
        return await lookups(1).ask("a..example", "MX"), await lookups().ask(NAME, "MX")

    malformed, unreachable = asyncio.run(run())
    assert (malformed.outcome, malformed.tries) == (MALFORMED, ())
    assert (unreachable.outcome, unreachable.tries) == (UNREACHABLE, ())


def test_a_long_line_of_questions_that_fail_at_once() -> None:
    async def run() -> set[DnsOutcome]:
        async with serving(ZONE, {"*": "slow:0.05"}) as (_, port):
            ours = lookups(port, at_once=1)
            first, *others = await asyncio.gather(
                ours.ask(NAME, "MX"), *(ours.ask(f"a..{n}.example", "MX") for n in range(3000))
            )
            assert first.outcome is ANSWER
            await ours.aclose()
            return {answer.outcome for answer in others}

    assert asyncio.run(run()) == {MALFORMED}


# --- once while the TTL lasts ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("question", "behaviour", "lasts"),
    [
        (f"{NAME} MX", "", 300.0),
        (f"www.{NAME} AAAA", "", 60.0),
        ("no.example MX", "", 60.0),
        (f"{NAME} A", "", 60.0),
        (f"{NAME} MX", "servfail", 300.0),
        (f"{NAME} MX", "nxdomain", 0.0),  # without SOA it may not be kept (RFC 2308 5)
    ],
)
def test_a_question_is_asked_once_while_its_ttl_lasts(question: str, behaviour: str, lasts: float) -> None:
    async def run() -> list[int]:
        async with serving(ZONE, {"*": behaviour} if behaviour else {}) as (server, port):
            clock = Clock()
            ours = lookups(port, clock=clock)
            name, rdtype = question.split()
            counts = []
            first = await ours.ask(name, rdtype)
            for ahead in (0.0, lasts - 2.0, 4.0):
                clock.ahead += max(0.0, ahead)
                again = await ours.ask(f"{name.upper()}.", rdtype)
                assert (again is first) == (len(server.queries) == 1)
                counts.append(len(server.queries))
            await ours.aclose()
            return counts

    assert asyncio.run(run()) == ([1, 1, 2] if lasts else [2, 3, 4])


@WAYS
def test_who_asks_meanwhile_gets_the_same_answer(local: bool) -> None:
    async def run() -> tuple[set[int], int]:
        async with serving(ZONE, {"*": "slow:0.05"}) as (server, port):
            ours = lookups(port, local=local)
            answers = await asyncio.gather(*(ours.ask(NAME, "MX") for _ in range(20)))
            await ours.aclose()
            return set(map(id, answers)), len(server.queries)

    assert tuple(map(len, [asyncio.run(run())[0]])) == (1,)
    assert asyncio.run(run())[1] == 1


def test_memory_is_bounded_and_keeps_what_was_used_last() -> None:
    async def run() -> list[str]:
        async with serving() as (server, port):
            ours = lookups(port, remembered=2)
            for name in ("a", "b", "a", "c", "a", "b"):
                await ours.ask(f"{name}.example", "MX")
            await ours.aclose()
            return [name for name, *_ in server.queries]

    assert asyncio.run(run()) == ["a.example", "b.example", "c.example", "b.example"]


class Book:
    """Remembers answers; raises on request."""

    def __init__(self, *answers: DnsAnswer) -> None:
        self.answers = {(answer.name, answer.type): answer for answer in answers}
        self.kept: list[DnsAnswer] = []
        self.recalled = 0
        self.broken: str | None = None

    def recall(self, name: str, rdtype: str) -> DnsAnswer | None:
        self.recalled += 1
        if self.broken == "recall":
            raise OSError("the disk is gone")
        return self.answers.get((name, rdtype))

    def keep(self, answer: DnsAnswer) -> None:
        if self.broken == "keep":
            raise OSError("the disk is full")
        self.kept.append(answer)


OLD = DnsAnswer(
    "old.example", "A", -100.0, -99.5, ANSWER, "NOERROR", False,
    (DnsRecord("old.example", "A", 300, "192.0.2.7"),), None, (),
)  # fmt: skip


def test_what_earlier_runs_know_is_asked_before_the_network() -> None:
    async def run() -> None:
        async with serving() as (server, port):
            clock, book = Clock(), Book(OLD)
            ours = lookups(port, clock=clock, remember=book)
            assert await ours.ask("Old.example", "A") is OLD
            assert await ours.ask("old.example", "A") is OLD
            assert (server.queries, book.kept, book.recalled) == ([], [], 1)
            new = await ours.ask(NAME, "MX")
            assert book.kept == [new]
            book.answers.clear()
            clock.ahead += 201.0  # its TTL is over
            assert (await ours.ask("old.example", "A")).outcome is NXDOMAIN
            await ours.aclose()

    asyncio.run(run())


@pytest.mark.parametrize("broken", ["recall", "keep"])
def test_what_the_memory_raises_reaches_who_asked(broken: str) -> None:
    async def run() -> None:
        async with serving() as (_, port):
            book = Book()
            book.broken = broken
            ours = lookups(port, remember=book)
            for name in (NAME, "a..example"):
                with pytest.raises(OSError, match="the disk is"):
                    await ours.ask(name, "MX")
            await ours.aclose()

    asyncio.run(run())


# --- what the network may do -------------------------------------------------------------------------


@WAYS
def test_a_truncated_answer_is_fetched_over_tcp(local: bool) -> None:
    async def run() -> DnsAnswer:
        zone = "".join(f"many.example 60 MX 10 host{number}.many.example.\n" for number in range(400))
        async with serving(zone) as (_, port):
            ours = lookups(port, try_timeout=5.0, local=local)
            answer = await ours.ask("many.example", "MX")
            await ours.aclose()
            return answer

    answer = asyncio.run(run())
    assert steps(answer) == [("udp", ANSWER, "truncated"), ("tcp", ANSWER, None)]
    assert len(answer.records) == 400


@WAYS
@pytest.mark.parametrize("tcp", ["truncate-tcp-drop", "tcp-trickle"])
def test_tcp_that_does_not_answer(tcp: str, local: bool) -> None:
    async def run() -> DnsAnswer:
        async with serving(ZONE, {"*": tcp}) as (_, port):
            ours = lookups(port, try_timeout=0.25, local=local)
            answer = await ours.ask(NAME, "MX")
            await ours.aclose()
            return answer

    answer = asyncio.run(run())
    assert steps(answer) == [("udp", ANSWER, "truncated"), ("tcp", TIMEOUT, None)]


@WAYS
def test_strays_before_the_answer_are_passed_over(local: bool) -> None:
    def serve(wire: bytes, send: Callable[[bytes], None]) -> None:
        good = right(wire)
        other = bytearray(good)
        other[13] ^= 1  # a letter of the question
        for stray in (b"", b"\0", wire, good[:12], bytes((good[0] ^ 1,)) + good[1:], bytes(other)):
            send(stray)
        send(good)

    async def run() -> DnsAnswer:
        async with scripted(serve) as (port, _):
            ours = lookups(port, local=local)
            answer = await ours.ask(NAME, "A")
            await ours.aclose()
            return answer

    answer = asyncio.run(run())
    assert (steps(answer), answer.records[0].data) == ([("udp", ANSWER, None)], "192.0.2.9")


@WAYS
def test_another_socket_cannot_answer(local: bool) -> None:
    def serve(wire: bytes, _: Callable[[bytes], None]) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.sendto(right(wire), peers[-1])

    peers: list[tuple[str, int]] = []

    async def run() -> DnsAnswer:
        nonlocal peers
        async with scripted(serve) as (port, peers):
            ours = lookups(port, try_timeout=0.25, local=local)
            answer = await ours.ask(NAME, "A")
            await ours.aclose()
            return answer

    assert steps(asyncio.run(run())) == [("udp", TIMEOUT, None)]


@WAYS
def test_a_flood_of_strays_is_bounded(local: bool) -> None:
    def serve(wire: bytes, send: Callable[[bytes], None]) -> None:
        for _ in range(3 * MAX_STRAYS):
            send(wire)  # with the id and the question, but no response

    async def run() -> DnsAnswer:
        async with scripted(serve) as (port, _):
            ours = lookups(port, try_timeout=5.0, local=local)
            answer = await ours.ask(NAME, "A")
            await ours.aclose()
            return answer

    answer = asyncio.run(run())
    detail = f"{MAX_STRAYS} datagrams, none of them an answer to the query"
    assert steps(answer) == [("udp", MALFORMED, detail)]


def test_a_flood_of_foreign_ids_holds_nothing_up() -> None:
    async def run() -> float:
        async with scripted(lambda *_: None) as (port, peers):
            ours = lookups(port, try_timeout=0.3)
            asking = asyncio.ensure_future(ours.ask(NAME, "A"))
            began = time.monotonic()
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as flood:
                while not asking.done() and time.monotonic() < began + 3:
                    if peers:
                        flood.sendto(b"x" * 60, peers[0])
                    await asyncio.sleep(0)
            assert (await asking).outcome is TIMEOUT
            await ours.aclose()
            return time.monotonic() - began

    assert asyncio.run(run()) < 1.0


def test_late_answers_disturb_nobody() -> None:
    async def run() -> list[DnsOutcome]:
        async with serving(ZONE, {f"mx1.{NAME}": "slow:0.2"}) as (_, port):
            ours = lookups(port, try_timeout=0.1)
            outcomes = [(await ours.ask(f"mx1.{NAME}", "A")).outcome]
            for n in range(5):
                outcomes.append((await ours.ask(f"www{n}.{NAME}", "A")).outcome)
                await asyncio.sleep(0.04)
            await ours.aclose()
            return outcomes

    assert asyncio.run(run()) == [TIMEOUT] + [NXDOMAIN] * 5


# --- sockets -----------------------------------------------------------------------------------------


def ask_many(count: int, *, local: bool, at_once: int) -> tuple[list[tuple[str, int]], int]:
    """Give from where each query came, and the most sockets that waited at once."""
    waiting: list[tuple[bytes, Callable[[bytes], None]]] = []
    most = 0

    def serve(wire: bytes, send: Callable[[bytes], None]) -> None:
        nonlocal most
        waiting.append((wire, send))
        most = max(most, len(waiting))

    async def answer_late() -> None:
        while True:
            await asyncio.sleep(0.02)
            for wire, send in waiting:
                send(right(wire))
            waiting.clear()

    async def run() -> list[tuple[str, int]]:
        async with scripted(serve) as (port, peers):
            answering = asyncio.create_task(answer_late())
            ours = lookups(port, local=local, at_once=at_once, try_timeout=5.0)
            answers = await asyncio.gather(*(ours.ask(f"d{n}.example", "A") for n in range(count)))
            assert {answer.outcome for answer in answers} == {ANSWER}
            assert [answer.name for answer in answers] == [f"d{n}.example" for n in range(count)]
            answering.cancel()
            await ours.aclose()
            return peers

    return asyncio.run(run()), most


def test_towards_this_host_all_share_a_socket() -> None:
    peers, most = ask_many(100, local=True, at_once=30)
    assert len(set(peers)) == 1
    assert (len(peers), most) == (100, 30)


def test_towards_others_each_query_has_a_port_of_its_own() -> None:
    peers, most = ask_many(100, local=False, at_once=30)
    # The kernel may draw a port again once it is free.
    assert len(set(peers)) > 80
    assert (len(peers), most) == (100, 30)


def test_ids_are_unique_among_those_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = iter([7] * 3 + [8, 7, 8, 9])
    monkeypatch.setattr("probe.net.udp.draw_id", lambda: next(drawn))
    queries: list[bytes] = []

    async def run() -> None:
        async with scripted(lambda wire, _: queries.append(wire)) as (port, _):
            ours = lookups(port, try_timeout=0.1)
            await asyncio.gather(*(ours.ask(f"d{n}.example", "A") for n in range(3)))
            await ours.aclose()

    asyncio.run(run())
    assert [int.from_bytes(wire[:2]) for wire in queries] == [7, 8, 9]


@pytest.mark.parametrize(
    ("ip", "local"),
    [("127.0.0.1", True), ("127.0.0.53", True), ("::1", True), ("192.0.2.1", False), ("2001:db8::1", False),
     ("fe80::1%lo", False), ("0.0.0.0", False), ("localhost", False)],
)  # fmt: skip
def test_what_is_on_this_host(ip: str, local: bool) -> None:
    assert on_loopback(ip) is local


# --- giving up ---------------------------------------------------------------------------------------


@WAYS
def test_one_who_gives_up_does_not_take_the_answer_from_others(local: bool) -> None:
    async def run() -> tuple[DnsOutcome, int]:
        async with serving(ZONE, {"*": "slow:0.08"}) as (server, port):
            ours = lookups(port, local=local)
            other = asyncio.ensure_future(ours.ask(NAME, "MX"))
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(ours.ask(NAME, "MX"), 0.02)
            answer = await other
            assert await ours.ask(NAME, "MX") is answer
            await ours.aclose()
            return answer.outcome, len(server.queries)

    assert asyncio.run(run()) == (ANSWER, 1)


@WAYS
@pytest.mark.parametrize("behaviour", ["drop", "truncate-tcp-drop"])
def test_the_end_ends_everything(behaviour: str, local: bool) -> None:
    async def run() -> list[DnsAnswer]:
        async with serving(ZONE, {"*": behaviour}) as (server, port):
            ours = lookups(port, local=local, at_once=2, try_timeout=30.0)
            asking = [asyncio.ensure_future(ours.ask(f"mx{n}.{NAME}", "A")) for n in (1, 2, 3)]
            while len(server.queries) < (4 if "tcp" in behaviour else 2):  # noqa: ASYNC110  # it tells nobody
                await asyncio.sleep(0.005)
            open_before = _sockets()
            await ours.aclose()
            await ours.aclose()
            assert _sockets() < open_before
            answers = await asyncio.gather(*asking)
            assert (await ours.ask("later.example", "A")).outcome is CUT_SHORT
            assert not [task for task in asyncio.all_tasks() if "ask_over_tcp" in repr(task)]
            return answers

    answers = asyncio.run(run())
    assert {answer.outcome for answer in answers} == {CUT_SHORT}
    assert [[one.outcome for one in answer.tries][-1:] for answer in answers] == [
        [CUT_SHORT],
        [CUT_SHORT],
        [],
    ]


def _sockets() -> int:
    from pathlib import Path

    return sum(
        "socket" in str(link.readlink()) for link in Path("/proc/self/fd").iterdir() if link.is_symlink()
    )
