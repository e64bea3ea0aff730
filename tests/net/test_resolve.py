from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.core.model import DnsAnswer, DnsOutcome, DnsRecord
from probe.lab.nameserver import NameServer
from probe.net.dns_message import make_query, make_question, read_response
from probe.net.early import EarlyQuery, fire, system_servers
from probe.net.resolve import MAX_STRAYS, Resolver

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path

    from probe.net.dns_meaning import Response

NAME = "customer.example.com"
ZONE = """
customer.example.com 300 MX 10 Mx1.customer.example.com.
customer.example.com 300 MX 20 mx2.customer.example.com.
mx1.customer.example.com 60 A 192.0.2.1
mx1.customer.example.com 60 AAAA 2001:db8::1
www.customer.example.com 60 CNAME mx1.customer.example.com.
round.example 60 CNAME about.example.
about.example 60 CNAME round.example.
null.example 60 MX 0 .
many.example 60 MX 10 m.example.
"""
ANSWER, NODATA, NXDOMAIN = DnsOutcome.ANSWER, DnsOutcome.NODATA, DnsOutcome.NXDOMAIN
SERVFAIL, REFUSED, LAME = DnsOutcome.SERVFAIL, DnsOutcome.REFUSED, DnsOutcome.LAME
TIMEOUT, MALFORMED, UNREACHABLE = DnsOutcome.TIMEOUT, DnsOutcome.MALFORMED, DnsOutcome.UNREACHABLE
OTHER = DnsOutcome.OTHER_RCODE


def resolver(
    *ports: int, tries: int = 1, try_timeout: float = 0.25, early: EarlyQuery | None = None
) -> Resolver:
    began = time.monotonic() if early is None else early.sent - 1.0
    return Resolver(
        tuple(("127.0.0.1", port) for port in ports),
        clock=lambda: time.monotonic() - began,
        timeout=4 * try_timeout,
        try_timeout=try_timeout,
        tries=tries,
        early=early,
    )


def closed_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def ask(
    *behaviours: str,
    question: str = f"{NAME} MX",
    tries: int = 1,
    try_timeout: float = 0.25,
    zone: str = ZONE,
) -> tuple[DnsAnswer, list[list[tuple[str, str, str]]]]:
    """Ask servers that behave so, in this order, `closed` being none at all; give what each was asked too."""

    async def run() -> tuple[DnsAnswer, list[list[tuple[str, str, str]]]]:
        servers = [NameServer(zone, {"*": word} if word else {}) for word in behaviours if word != "closed"]
        started = iter([await server.start() for server in servers])
        ports = [closed_port() if word == "closed" else next(started) for word in behaviours]
        asking = resolver(*ports, tries=tries, try_timeout=try_timeout)
        try:
            name, rdtype = question.split()
            return await asking.ask(name, rdtype), [server.queries for server in servers]
        finally:
            await asking.aclose()
            for server in servers:
                await server.stop()

    return asyncio.run(run())


def steps(answer: DnsAnswer) -> list[tuple[str, DnsOutcome, str | None]]:
    return [(one.transport, one.outcome, one.detail) for one in answer.tries]


# --- what an answer says -----------------------------------------------------------------------------


def test_an_answer_with_its_records_in_order_and_its_try() -> None:
    answer, _ = ask("", question="Customer.EXAMPLE.com. MX")
    assert (answer.name, answer.type, answer.outcome, answer.rcode) == (NAME, "MX", ANSWER, "NOERROR")
    assert answer.records == (
        DnsRecord(NAME, "MX", 300, "10 Mx1.customer.example.com.", 10, "mx1.customer.example.com"),
        DnsRecord(NAME, "MX", 300, "20 mx2.customer.example.com.", 20, "mx2.customer.example.com"),
    )
    (one,) = answer.tries
    assert (one.transport, one.outcome, one.detail) == ("udp", ANSWER, None)
    assert one.server.startswith("127.0.0.1:")
    assert 0 <= answer.asked <= one.sent <= one.ended <= answer.ended


def test_absence_comes_with_its_negative_ttl() -> None:
    nodata, _ = ask("", question=f"{NAME} A")
    nxdomain, _ = ask("", question="no.such.example A")
    assert (nodata.outcome, nodata.rcode, nodata.soa_minimum) == (NODATA, "NOERROR", 60)
    assert (nxdomain.outcome, nxdomain.rcode, nxdomain.records) == (NXDOMAIN, "NXDOMAIN", ())


def test_aliases_are_in_the_answer() -> None:
    answer, _ = ask("", question="www.customer.example.com A")
    assert [(r.type, r.target or r.data) for r in answer.records] == [
        ("CNAME", "mx1.customer.example.com"),
        ("A", "192.0.2.1"),
    ]
    unfollowed, _ = ask("cname-only", question="www.customer.example.com A")
    assert (unfollowed.outcome, [r.type for r in unfollowed.records]) == (ANSWER, ["CNAME"])
    assert ask("", question="round.example A")[0].outcome is DnsOutcome.CNAME_LOOP


def test_the_root_as_exchange_is_a_dot() -> None:
    assert ask("", question="null.example MX")[0].records[0].target == "."


def test_a_name_that_no_message_can_hold() -> None:
    for name in ("a" * 64 + ".example", "a..example", "bücher.example", ".".join(["a" * 60] * 5)):
        answer, _ = ask("", question=f"{name} MX")
        assert (answer.outcome, answer.tries) == (MALFORMED, ())


def test_without_servers_there_is_nobody_to_reach() -> None:
    assert ask()[0].outcome is UNREACHABLE


# --- one server that misbehaves ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("behaviour", "outcome", "rcode"),
    [
        ("servfail", SERVFAIL, "SERVFAIL"),
        ("refused", REFUSED, "REFUSED"),
        ("formerr", OTHER, "FORMERR"),
        ("notimp", OTHER, "NOTIMP"),
        ("nxdomain", NXDOMAIN, "NXDOMAIN"),
        ("empty", NODATA, "NOERROR"),
        ("lame", LAME, "NOERROR"),
        ("drop", TIMEOUT, None),
        ("drop-edns", TIMEOUT, None),
        ("slow:0.4", TIMEOUT, None),
        ("truncate-tcp-drop", TIMEOUT, None),
        ("tcp-trickle", TIMEOUT, None),
        ("garbage", MALFORMED, None),
        ("wrong-id", MALFORMED, None),
        ("wrong-question", MALFORMED, None),
        ("compression-loop", MALFORMED, None),
        ("bad-rdata", MALFORMED, None),
        ("closed", UNREACHABLE, None),
    ],
)
def test_failures_are_values(behaviour: str, outcome: DnsOutcome, rcode: str | None) -> None:
    answer, _ = ask(behaviour)
    assert (answer.outcome, answer.rcode) == (outcome, rcode)
    assert answer.tries[-1].outcome is outcome
    assert answer.ended - answer.asked < 0.9


def test_a_closed_port_is_told_at_once_by_its_errno() -> None:
    answer, _ = ask("closed")
    assert steps(answer) == [("udp", UNREACHABLE, "ECONNREFUSED")]
    assert answer.ended - answer.asked < 0.25


def test_a_truncated_answer_is_fetched_over_tcp_from_the_same_server() -> None:
    answer, (queries,) = ask("truncate")
    assert steps(answer) == [("udp", ANSWER, "truncated"), ("tcp", ANSWER, None)]
    assert [transport for *_, transport in queries] == ["udp", "tcp"]
    assert len(answer.records) == 2


def test_hundreds_of_exchanges_come_over_tcp() -> None:
    zone = "".join(f"many.example 60 MX 10 host{number}.many.example.\n" for number in range(400))
    answer, _ = ask("", question="many.example MX", zone=zone, try_timeout=5.0)
    assert (len(answer.records), answer.tries[-1].transport) == (400, "tcp")


def test_thousands_of_exchanges_are_refused() -> None:
    zone = "".join(f"many.example 60 MX 10 host{number}.many.example.\n" for number in range(600))
    answer, _ = ask("", question="many.example MX", zone=zone, try_timeout=5.0)
    assert (answer.outcome, answer.records) == (MALFORMED, ())


def test_a_silent_server_is_asked_last_from_then_on() -> None:
    async def run() -> tuple[list[int], list[int]]:
        silent, good = NameServer(ZONE, {"*": "drop"}), NameServer(ZONE)
        asking = resolver(await silent.start(), await good.start(), try_timeout=0.1)
        names = (f"mx1.{NAME}", f"mx2.{NAME}", f"www.{NAME}")
        tries = [len((await asking.ask(name, "A")).tries) for name in names]
        await asking.aclose()
        await silent.stop()
        await good.stop()
        return tries, [len(silent.queries), len(good.queries)]

    assert asyncio.run(run()) == ([2, 1, 1], [1, 3])


def test_a_server_that_refuses_edns_is_asked_without_at_once() -> None:
    answer, _ = ask("formerr-edns")
    assert steps(answer) == [("udp", OTHER, "FORMERR"), ("udp", ANSWER, None)]


def test_a_server_that_drops_edns_is_asked_without_in_the_next_round() -> None:
    answer, _ = ask("drop-edns", tries=2)
    assert steps(answer) == [("udp", TIMEOUT, None), ("udp", ANSWER, None)]


# --- several servers ---------------------------------------------------------------------------------


@pytest.mark.parametrize("first", ["servfail", "refused", "lame", "drop", "garbage", "bad-rdata", "closed"])
def test_a_definite_answer_of_any_server_wins(first: str) -> None:
    answer, _ = ask(first, "")
    assert (answer.outcome, len(answer.tries)) == (ANSWER, 2)
    assert len({one.server for one in answer.tries}) == 2


def test_a_definite_answer_ends_the_asking() -> None:
    _, (_, second) = ask("nxdomain", "")
    assert second == []


@pytest.mark.parametrize(
    ("servers", "outcome"),
    [
        (("closed", "drop"), TIMEOUT),
        (("drop", "refused", "closed"), REFUSED),
        (("refused", "servfail"), SERVFAIL),
        (("servfail", "bad-rdata", "lame"), SERVFAIL),
        (("lame", "bad-rdata"), MALFORMED),
    ],
)
def test_the_most_telling_failure_is_reported(servers: tuple[str, ...], outcome: DnsOutcome) -> None:
    assert ask(*servers)[0].outcome is outcome


def test_rounds() -> None:
    answer, (queries,) = ask("servfail", "closed", tries=2)
    assert [one.outcome for one in answer.tries] == [SERVFAIL, UNREACHABLE] * 2
    assert len(queries) == 2


def test_the_limit_of_the_question_ends_the_rounds() -> None:
    answer, _ = ask("drop", "drop", "drop", tries=9, try_timeout=0.1)
    assert answer.outcome is TIMEOUT
    assert 0.39 < answer.ended - answer.asked < 0.8


# --- hostile servers ---------------------------------------------------------------------------------


@contextlib.contextmanager
def udp_server() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.setblocking(False)
        yield sock


def against(serve: Callable[[socket.socket], Awaitable[None]]) -> DnsAnswer:
    """Ask a server on a UDP socket that does whatever `serve` does."""

    async def run(sock: socket.socket) -> DnsAnswer:
        asking = resolver(sock.getsockname()[1])
        async with asyncio.TaskGroup() as group:
            task = group.create_task(_serve(serve, sock))
            answer = await asking.ask(NAME, "MX")
            task.cancel()
        await asking.aclose()
        return answer

    with udp_server() as sock:
        return asyncio.run(run(sock))


async def _serve(serve: Callable[[socket.socket], Awaitable[None]], sock: socket.socket) -> None:
    await serve(sock)


def test_a_flood_of_foreign_ids_is_bounded() -> None:
    async def flood(sock: socket.socket) -> None:
        _, peer = await asyncio.get_running_loop().sock_recvfrom(sock, 512)
        while True:
            with contextlib.suppress(OSError):
                sock.sendto(bytes(40), peer)
            await asyncio.sleep(0)

    answer = against(flood)
    assert answer.outcome is MALFORMED
    assert answer.tries[0].detail == f"{MAX_STRAYS} datagrams, none of them an answer to the query"
    assert answer.ended - answer.asked < 0.6


def test_strays_before_the_answer_are_passed_over() -> None:
    async def late(sock: socket.socket) -> None:
        wire, peer = await asyncio.get_running_loop().sock_recvfrom(sock, 512)
        query = dns.message.from_wire(wire)
        response = dns.message.make_response(query, recursion_available=True)
        response.answer.append(dns.rrset.from_text(f"{NAME}.", 60, "IN", "MX", "10 mx1.example."))
        right = response.to_wire()
        for stray in (b"", b"\0", wire, right[:12], bytes((right[0] ^ 1,)) + right[1:]):
            sock.sendto(stray, peer)
        sock.sendto(right, peer)

    answer = against(late)
    assert (answer.outcome, len(answer.tries)) == (ANSWER, 1)


def test_another_socket_cannot_answer() -> None:
    async def from_elsewhere(sock: socket.socket) -> None:
        wire, peer = await asyncio.get_running_loop().sock_recvfrom(sock, 512)
        query = dns.message.from_wire(wire)
        with udp_server() as other:
            other.sendto(dns.message.make_response(query, recursion_available=True).to_wire(), peer)

    assert against(from_elsewhere).outcome is TIMEOUT


@pytest.mark.parametrize(
    ("sent", "detail"),
    [
        (b"", "closed after 0 of 0 octets"),
        (b"\x3f\xff" + b"x" * 90, "closed after 90 of 16383 octets"),
        (b"\xff\xff", "65535 octets, which no honest answer has"),
        (b"\x00\x00", "closed after 0 of 0 octets"),
        (b"\x00\x05hello", "no whole answer to the query"),
    ],
)
def test_tcp_that_lies_about_its_length(sent: bytes, detail: str) -> None:
    async def run() -> DnsAnswer:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(2)
            await reader.read(100)
            writer.write(sent)
            writer.close()

        udp = NameServer(ZONE, {"*": "truncate"})
        port = await udp.start()
        assert udp._streams is not None
        udp._streams.close()
        await udp._streams.wait_closed()
        tcp = await asyncio.start_server(serve, "127.0.0.1", port)
        asking = resolver(port)
        answer = await asking.ask(NAME, "MX")
        await asking.aclose()
        await udp.stop()
        tcp.close()
        return answer

    answer = asyncio.run(run())
    assert steps(answer) == [("udp", ANSWER, "truncated"), ("tcp", MALFORMED, detail)]


# --- reading -----------------------------------------------------------------------------------------


def query(number: int) -> dns.message.Message:
    question = make_question(NAME, "MX")
    assert question is not None
    return make_query(question, number, edns=True)


QUERY = query(4711)


def reading(
    *answers: str,
    rcode: dns.rcode.Rcode = dns.rcode.NOERROR,
    authority: str | None = None,
    flags: int = dns.flags.QR | dns.flags.RA,
) -> Response:
    """Read a response with records `owner TYPE data`."""
    message = dns.message.make_response(QUERY)
    message.flags = dns.flags.Flag(flags)
    message.set_rcode(rcode)
    for line in answers:
        owner, rdtype, data = line.split(" ", 2)
        message.answer.append(dns.rrset.from_text(owner, 60, "IN", rdtype, data))
    if authority:
        owner, rdtype, data = authority.split(" ", 2)
        message.authority.append(dns.rrset.from_text(owner, 60, "IN", rdtype, data))
    response = read_response(QUERY, message.to_wire())
    assert response is not None
    return response


def test_records_of_others_do_not_answer() -> None:
    # Half an answer, or somebody else's: nobody may be called missing for it.
    assert reading("other.example. MX 10 mx.example.").outcome is DnsOutcome.MALFORMED
    assert reading(f"{NAME}. A 192.0.2.1").outcome is DnsOutcome.MALFORMED
    soa = "example.com. SOA ns.example.com. host.example.com. 1 2 3 4 30"
    found = reading("other.example. MX 10 mx.example.", authority=soa)
    assert (found.outcome, found.soa_minimum, len(found.records)) == (NODATA, 30, 1)


def test_records_of_another_class_are_ignored() -> None:
    message = dns.message.make_response(QUERY, recursion_available=True)
    message.answer.append(dns.rrset.from_text(f"{NAME}.", 60, "CH", "TXT", "x"))
    response = read_response(QUERY, message.to_wire())
    assert response is not None
    assert (response.outcome, response.records) == (NODATA, ())


def test_who_may_say_that_there_is_nothing() -> None:
    referral = "com. NS ns.example."
    assert reading().outcome is NODATA
    assert reading(flags=dns.flags.QR | dns.flags.AA).outcome is NODATA
    assert reading(flags=dns.flags.QR).outcome is LAME
    assert reading(authority=referral).outcome is LAME
    assert reading(authority=referral, flags=dns.flags.QR | dns.flags.AA).outcome is NODATA


def test_nxdomain_with_records_is_a_contradiction() -> None:
    assert reading(f"{NAME}. MX 10 mx.example.", rcode=dns.rcode.NXDOMAIN).outcome is MALFORMED
    alias = reading(f"{NAME}. CNAME gone.example.", rcode=dns.rcode.NXDOMAIN)
    assert (alias.outcome, len(alias.records)) == (NXDOMAIN, 1)


def test_the_authenticated_flag() -> None:
    assert reading(flags=dns.flags.QR | dns.flags.RA | dns.flags.AD).authenticated
    assert not reading().authenticated


def test_arbitrary_octets_in_names_and_data_stay_printable() -> None:
    found = reading(f"{NAME}. MX 10 \\000\\255\\027[31m\\.x.example.", f'{NAME}. TXT "\\007\\200"')
    assert found.records[0].target == r"\000\255\027[31m\.x.example"
    found = reading(f"{NAME}. MX 10 mx.example.", f"{NAME}. TYPE65280 \\# 3 1b5b6d")
    assert found.records[1].data == r"\# 3 1b5b6d"
    found = reading(f'{NAME}. HINFO "\\027" "x"')
    assert all(" " <= letter <= "~" for letter in found.records[0].data)


GOOD = dns.message.make_response(QUERY, recursion_available=True)
GOOD.answer.append(dns.rrset.from_text(f"{NAME}.", 60, "IN", "MX", "10 mx1.example.", "20 mx2.example."))
GOOD.answer.append(dns.rrset.from_text("www.example.", 60, "IN", "CNAME", "mx1.example."))
GOOD_WIRE = GOOD.to_wire()


@given(
    st.lists(st.tuples(st.integers(2, len(GOOD_WIRE) - 1), st.integers(0, 255)), max_size=6),
    st.integers(0, 200),
)
def test_no_damage_raises(changes: list[tuple[int, int]], size: int) -> None:
    wire = bytearray(GOOD_WIRE)
    for at, octet in changes:
        wire[at] = octet
    for damaged in (bytes(wire), bytes(wire[:size])):
        response = read_response(QUERY, damaged)
        for record in response.records if response else ():
            text = f"{record.name}{record.type}{record.data}{record.target or ''}"
            assert all(" " <= letter <= "~" for letter in text)


@given(st.binary(max_size=300))
def test_no_octets_raise(tail: bytes) -> None:
    for head in (b"", GOOD_WIRE[:2], GOOD_WIRE[:4], GOOD_WIRE[:12], GOOD_WIRE[:42]):
        read_response(QUERY, head + tail)


# --- sharing and ending ------------------------------------------------------------------------------


def test_the_same_question_is_asked_once() -> None:
    async def run() -> list[tuple[str, str, str]]:
        server = NameServer(ZONE, {"*": "slow:0.05"})
        asking = resolver(await server.start())
        first, second = await asyncio.gather(asking.ask(NAME, "MX"), asking.ask(NAME.upper() + ".", "MX"))
        assert first is second is await asking.ask(NAME, "MX")
        await asking.ask(NAME, "A")
        assert [answer.type for answer in asking.answers()] == ["MX", "A"]
        await asking.aclose()
        await server.stop()
        return server.queries

    assert asyncio.run(run()) == [(NAME, "MX", "udp"), (NAME, "A", "udp")]


def test_one_who_gives_up_does_not_take_the_answer_from_others() -> None:
    async def run() -> DnsOutcome:
        server = NameServer(ZONE, {"*": "slow:0.05"})
        asking = resolver(await server.start())
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asking.ask(NAME, "MX"), 0.01)
        answer = await asking.ask(NAME, "MX")
        await asking.aclose()
        await server.stop()
        return answer.outcome

    assert asyncio.run(run()) is ANSWER


def test_what_is_cut_short_still_tells_its_tries() -> None:
    async def run() -> tuple[DnsAnswer, ...]:
        server = NameServer(ZONE, {"*": "drop"})
        asking = resolver(closed_port(), await server.start())
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asking.ask(NAME, "MX"), 0.05)
        await asking.aclose()
        await server.stop()
        return asking.answers()

    (answer,) = asyncio.run(run())
    assert answer.outcome is DnsOutcome.CUT_SHORT
    assert [one.outcome for one in answer.tries] == [UNREACHABLE, DnsOutcome.CUT_SHORT]


# --- the early query ---------------------------------------------------------------------------------


def fired(port: int, name: str = NAME) -> EarlyQuery:
    early = fire(name, ("127.0.0.1", port))
    assert early is not None
    return early


def test_the_early_query_is_what_the_resolver_would_have_sent() -> None:
    with udp_server() as sock:
        early = fired(sock.getsockname()[1], "Customer.Example.COM.")
        early.close()
        assert sock.recv(512) == early.wire == query(early.id).to_wire()


def test_the_resolver_takes_the_early_query_over_with_its_true_time() -> None:
    async def run() -> tuple[DnsAnswer, list[tuple[str, str, str]]]:
        server = NameServer(ZONE)
        port = await server.start()
        early = fired(port)
        await asyncio.sleep(0.3)  # longer than a try: the answer waits in the socket's buffer
        asking = resolver(port, early=early)
        answer = await asking.ask(NAME, "MX")
        await asking.aclose()
        await server.stop()
        assert early.sock.fileno() == -1
        return answer, server.queries

    answer, queries = asyncio.run(run())
    assert (answer.outcome, len(answer.tries), len(queries)) == (ANSWER, 1, 1)
    assert answer.asked == answer.tries[0].sent == pytest.approx(1.0, abs=0.05)
    assert answer.ended > 1.29


@pytest.mark.parametrize("question", ["other.example MX", f"{NAME} A"])
def test_an_early_query_that_does_not_fit_is_closed(question: str) -> None:
    async def run() -> list[tuple[str, str, str]]:
        server = NameServer(ZONE)
        port = await server.start()
        early = fired(closed_port())
        asking = resolver(port, early=early)
        name, rdtype = question.split()
        await asking.ask(name, rdtype)
        assert early.sock.fileno() == -1
        await asking.aclose()
        await server.stop()
        return server.queries

    assert len(asyncio.run(run())) == 1


def test_an_early_query_that_nobody_takes_is_closed_at_the_end() -> None:
    early = fired(closed_port())
    asyncio.run(resolver(1, early=early).aclose())
    assert early.sock.fileno() == -1


@pytest.mark.parametrize(
    "domain",
    ["", ".", "a..example", "-a.example", "a-.example", "bücher.example", "a_b.example", "a b", "a" * 64],
)
def test_no_early_query_for_a_doubtful_domain(domain: str) -> None:
    assert fire(domain, ("127.0.0.1", 53)) is None


def test_no_early_query_to_a_doubtful_server() -> None:
    assert fire(NAME, ("localhost", 53)) is None
    assert fire(NAME, ("fe80::1%no-such-interface", 53)) is None
    assert fire(".".join(["a" * 60] * 5), ("127.0.0.1", 53)) is None


def test_firing_imports_nothing_heavy() -> None:
    script = (
        "import sys; from probe.net.early import fire, system_servers; system_servers();"
        "fire('customer.example.com', ('127.0.0.1', 9)).close();"
        "print(sorted({'asyncio', 'dns', 'msgspec', 'encodings.idna', 'logging'} & set(sys.modules)))"
    )
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=30
    )
    assert run.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("text", "servers"),
    [
        ("", ["127.0.0.1"]),
        ("nameserver 192.0.2.53\n", ["192.0.2.53"]),
        (
            "# nameserver 192.0.2.1\n;x\nsearch example.com\n nameserver\t2001:db8::53 # ours\r\n",
            ["2001:db8::53"],
        ),
        ("nameserver fe80::1%eth0\nnameserver\nnameserver ns.example.com\n", ["fe80::1%eth0"]),
        ("nameserver 192.0.2.1\n" * 2 + "nameserver 192.0.2.2", ["192.0.2.1", "192.0.2.2"]),
        ("".join(f"nameserver 192.0.2.{n}\n" for n in range(9)), ["192.0.2.0", "192.0.2.1", "192.0.2.2"]),
        ("\x00\xff\xfe nameserver", ["127.0.0.1"]),
    ],
)
def test_system_servers(tmp_path: Path, text: str, servers: list[str]) -> None:
    path = tmp_path / "resolv.conf"
    path.write_text(text, encoding="latin-1", newline="")
    assert system_servers(str(path)) == tuple((server, 53) for server in servers)


def test_without_the_file_the_server_is_on_this_host(tmp_path: Path) -> None:
    assert system_servers(str(tmp_path / "none")) == system_servers(str(tmp_path)) == (("127.0.0.1", 53),)
