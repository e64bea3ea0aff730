"""The path search over loopback, one hop away: what is recorded, and that no descriptor is left behind."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import struct
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import uvloop
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from probe.core.model import Answer, PathProbe, Protocol
from probe.core.packets import Wanted
from probe.core.search import Aim
from probe.lab.peer import Peer
from probe.lab.world import ClosedHost, DeadHost
from probe.net import packet, tcp
from probe.net.packet import Packet
from probe.net.path import PathSearch

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from probe.core.model import PathEvidence
    from probe.lab.world import Host

HOST = "127.0.0.7"
RUNNERS: dict[str, Callable[[Coroutine[Any, Any, Any]], Any]] = {"asyncio": asyncio.run, "uvloop": uvloop.run}
TE = Answer.TIME_EXCEEDED


def descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


@pytest.fixture(scope="module", autouse=True)
def signals() -> None:
    """Have uvloop open the pipe that a process keeps for signals."""
    uvloop.run(asyncio.sleep(0))


@pytest.fixture(autouse=True)
def nothing_left_open(signals: None) -> Iterator[None]:  # noqa: ARG001 - it comes first
    before = descriptors()
    yield
    assert descriptors() <= before


def search(
    port: int, aim: Aim, *, ip: str = HOST, source: str | None = None, first: PathEvidence | None = None
) -> PathSearch:
    return PathSearch(
        ip, port, aim, source=source, clock=time.monotonic, first_hops={}, rtt=0.001, first=first
    )


async def against(host: Host, aim: Aim, *, limit: float = 5.0) -> PathEvidence:
    """Search towards a host of the lab until it is over, or for `limit` seconds."""
    port = await host.start()
    try:
        before = descriptors()
        path = search(port, aim, ip=host.ip)
        task = asyncio.create_task(path.run())
        await asyncio.wait({task}, timeout=limit)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert descriptors() == before
        return path.evidence()
    finally:
        await host.stop()


def told(path: PathEvidence) -> list[tuple[str, int | None, str]]:
    """Protocol, hop limit and answer of each packet."""
    return [(probe.protocol.value, probe.ttl, probe.answer.value) for probe in path.probes]


@pytest.mark.parametrize("runner", RUNNERS)
def test_a_connection_to_the_next_hop_costs_one_datagram(runner: str) -> None:
    path = RUNNERS[runner](against(Peer("*good", ip=HOST), Aim.CONNECTED))
    assert told(path) == [("udp", None, "port-unreachable")]
    (probe,) = path.probes
    assert (probe.sender, probe.arrived_ttl) == (HOST, 64)
    assert probe.notice is not None
    assert (probe.notice.type, probe.notice.code, probe.notice.sender) == (3, 3, HOST)
    assert path.started <= probe.sent <= probe.ended <= path.ended


@pytest.mark.parametrize("runner", RUNNERS)
def test_a_silent_port_is_watched_until_the_search_is_cancelled(runner: str) -> None:
    path = RUNNERS[runner](against(DeadHost(HOST), Aim.SILENT, limit=0.3))
    seen = told(path)
    assert ("udp", 1, "port-unreachable") in seen
    assert [row for row in seen if row[0] == "tcp" and row[1]] == [("tcp", n, "silent") for n in (1, 2, 3)]
    assert [row for row in seen if row[:2] == ("tcp", None)] == [("tcp", None, "reset")] * 3
    assert all(p.ended > p.sent + 0.1 for p in path.probes if p.answer is Answer.SILENT)
    assert path.ended - path.started < 2


def test_a_port_that_opens_after_all_ends_the_search() -> None:
    peer = Peer("*good", ip=HOST)
    path = asyncio.run(against(peer, Aim.SILENT))
    assert Answer.CONNECTED in {p.answer for p in path.probes if p.ttl}
    assert path.ended - path.started < 1


def test_a_refusal_by_the_next_hop_needs_no_packet_to_the_port() -> None:
    path = asyncio.run(against(ClosedHost(HOST), Aim.REFUSED))
    assert {p.protocol for p in path.probes} <= {Protocol.UDP, Protocol.ICMP}


def test_a_conversation_that_died_is_tried_afresh_and_reset() -> None:
    peer = Peer("*good", ip=HOST)
    path = asyncio.run(against(peer, Aim.DIED))
    assert told(path)[0] == ("tcp", None, "connected")
    assert path.probes[0].sender == HOST


def test_a_refusal_on_the_way_is_looked_for() -> None:
    path = asyncio.run(against(ClosedHost(HOST), Aim.REJECTED))
    assert ("tcp", 1, "reset") in told(path)


def test_ipv6() -> None:
    async def run() -> PathEvidence:
        with socket.create_server(("::1", 0), family=socket.AF_INET6) as server:
            path = search(server.getsockname()[1], Aim.SILENT, ip="0:0:0:0:0:0:0:1")
            await path.run()
            return path.evidence()

    try:
        path = asyncio.run(run())
    except OSError:
        pytest.skip("no IPv6 here")
    datagram = next(p for p in path.probes if p.protocol is Protocol.UDP)
    assert (datagram.answer, datagram.sender) == (Answer.PORT_UNREACHABLE, "::1")
    assert datagram.arrived_ttl == 64
    assert Answer.CONNECTED in {p.answer for p in path.probes if p.ttl}


def test_every_packet_comes_from_the_chosen_address() -> None:
    with socket.create_server((HOST, 0)) as server:
        asyncio.run(search(server.getsockname()[1], Aim.SILENT, source="127.0.0.9").run())
        connection, (ip, _) = server.accept()
        connection.close()
    assert ip == "127.0.0.9"


@pytest.mark.parametrize(("source", "packets"), [("2001:db8::1", 0), ("192.0.2.1", 1)])
def test_an_unusable_source_sends_nothing(source: str, packets: int) -> None:
    path = search(25, Aim.CONNECTED, source=source)
    asyncio.run(path.run())
    probes = path.evidence().probes
    assert len(probes) >= packets
    assert {p.answer for p in probes} <= {Answer.LOCAL}


def test_without_descriptors_every_packet_is_a_local_error(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> PathEvidence:
        await packet.reports_errors(socket.AF_INET)
        packet.has_tcp_info()
        packet.ping_kind(socket.AF_INET)

        def exhausted(*_: object) -> socket.socket:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

        path = search(25, Aim.REFUSED)
        with monkeypatch.context() as patch:
            patch.setattr(socket, "socket", exhausted)
            await path.run()
        return path.evidence()

    path = asyncio.run(run())
    assert path.probes
    assert {p.answer for p in path.probes} == {Answer.LOCAL}


def test_an_earlier_search_is_gone_on_with() -> None:
    with socket.create_server((HOST, 0)) as server:
        port = server.getsockname()[1]
        one = search(port, Aim.CONNECTED)
        asyncio.run(one.run())
        first = one.evidence()
        two = search(port, Aim.DIED, first=first)
        asyncio.run(two.run())
    path = two.evidence()
    assert path.started == first.started
    assert path.probes[: len(first.probes)] == first.probes
    assert told(path)[1:2] == [("tcp", None, "connected")]
    assert [p.protocol for p in path.probes].count(Protocol.UDP) == 1


def test_a_system_without_an_error_queue_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tcp, "LINUX", False)
    monkeypatch.setattr(packet, "_REPORTS", {})
    packet.has_tcp_info.cache_clear()
    try:
        path = asyncio.run(against(DeadHost(HOST), Aim.SILENT, limit=0.2))
    finally:
        packet.has_tcp_info.cache_clear()
    assert {"icmp-errors", "tcp-info"} <= set(path.lacking)
    assert {(p.protocol, p.ttl) for p in path.probes} <= {(Protocol.TCP, None), (Protocol.ICMP, None)}


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_the_error_queue_is_tried_out_over_loopback(family: socket.AddressFamily) -> None:
    assert asyncio.run(packet._self_test(family))


def test_an_error_queue_that_stays_empty_fails_the_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tcp, "error_queue", lambda *_: [])
    assert not asyncio.run(packet._self_test(socket.AF_INET))


def test_what_this_system_lacks_is_told() -> None:
    path = search(25, Aim.CONNECTED)
    asyncio.run(path.run())
    able = packet.ping_kind(socket.AF_INET) is not None
    assert path.evidence().lacking == (() if able else ("ping",))


def test_pings_are_answered() -> None:
    for family, ip in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        if packet.ping_kind(family) is None:
            continue  # not permitted here; the bytes are tested below

        async def run(ip: str = ip) -> PathProbe:
            sent = Packet(Wanted(Protocol.ICMP, None), ip, None, time.monotonic)
            assert sent.sock is not None
            await packet._readable(sent.sock, 1.0)
            sent.read()
            sent.close()
            return sent.probe

        probe = asyncio.run(run())
        assert (probe.answer, probe.sender, probe.arrived_ttl) == (Answer.ECHO, ip, 64)


def test_first_hops_are_added_to_and_used() -> None:
    hops: dict[int, str] = {}
    path = PathSearch(HOST, 25, Aim.SILENT, source=None, clock=time.monotonic, first_hops=hops)
    for ttl, answer in ((1, TE), (3, TE), (4, TE), (2, Answer.PROHIBITED)):
        probe = PathProbe(Protocol.UDP, 33434, ttl, 0.0, 0.1, answer, sender=f"192.0.2.{ttl}")
        path._woken(Answered(probe))
    assert hops == {1: "192.0.2.1", 3: "192.0.2.3"}
    again = PathSearch(HOST, 25, Aim.SILENT, source=None, clock=time.monotonic, first_hops=hops)
    assert again._search.first_hops == {1, 3}


class Answered(Packet):
    """A packet that has its answer."""

    def __init__(self, probe: PathProbe) -> None:
        self.probe = probe
        self.sock = None


# --- what a socket may say -------------------------------------------------------------------------


class FakeSocket:
    """A socket that says what a test tells it to."""

    def __init__(
        self,
        *,
        kind: int = socket.SOCK_STREAM,
        number: int = 0,
        stands: bool = True,
        errors: list[Any] | None = None,
        datagrams: list[Any] | None = None,
    ) -> None:
        self.type, self.number, self.stands = kind, number, stands
        self.errors, self.datagrams = errors or [], datagrams or []
        self.closed = False

    def getsockopt(self, *_: int) -> int:
        return self.number

    def getpeername(self) -> None:
        if not self.stands:
            raise OSError(errno.ENOTCONN, "not connected")

    def recvmsg(self, _size: int, _ancillary: int, flags: int = 0) -> tuple[bytes, Any, int, None]:
        queue = self.errors if flags & tcp.MSG_ERRQUEUE else self.datagrams
        if not queue:
            raise BlockingIOError
        data, ancillary = queue.pop(0)
        return data, ancillary, 0, None

    def close(self) -> None:
        self.closed = True


def woken(wanted: Wanted, fake: FakeSocket, ip: str = "192.0.2.9") -> PathProbe:
    """Give the probe after a packet's socket woke it once."""
    sent = Packet.__new__(Packet)
    sent.probe = PathProbe(wanted.protocol, wanted.port, wanted.ttl, 1.0, 1.0, Answer.SILENT)
    sent._ip, sent._family, sent._clock, sent._identifier = ip, tcp.family_of(ip), lambda: 2.0, 77
    sent._woken = 0
    sent.sock = fake  # type: ignore[assignment]
    sent.read()
    assert fake.closed == (sent.sock is None)
    return sent.probe


def icmp_error(kind: int, code: int, sender: str = "192.0.2.3", ttl: int = 62) -> Any:
    name = struct.pack("=HH4s8x", socket.AF_INET, 0, socket.inet_aton(sender))
    return [
        (socket.IPPROTO_IP, tcp.IP_TTL, struct.pack("i", ttl)),
        (socket.IPPROTO_IP, tcp.IP_RECVERR, struct.pack("=IBBBBII", 113, 2, kind, code, 0, 0, 0) + name),
    ]


TCP_3 = Wanted(Protocol.TCP, 25, 3)
TCP_FULL = Wanted(Protocol.TCP, 25)


@pytest.mark.parametrize(
    ("wanted", "number", "answer"),
    [
        (TCP_3, 0, Answer.CONNECTED),
        (TCP_3, errno.ECONNREFUSED, Answer.RESET),
        (TCP_3, errno.ECONNRESET, Answer.CONNECTED),  # accepted, then reset
        (TCP_3, errno.EHOSTUNREACH, TE),  # an old kernel, which says no more
        (TCP_FULL, errno.EHOSTUNREACH, Answer.HOST_UNREACHABLE),
        (TCP_FULL, errno.ENETUNREACH, Answer.NET_UNREACHABLE),
        (TCP_FULL, errno.EACCES, Answer.PROHIBITED),
        (TCP_FULL, errno.ETIMEDOUT, Answer.SILENT),
        (TCP_FULL, errno.EPERM, Answer.LOCAL),
    ],
)
def test_errno_without_an_entry_in_the_queue(wanted: Wanted, number: int, answer: Answer) -> None:
    probe = woken(wanted, FakeSocket(number=number))
    assert (probe.answer, probe.notice, probe.ended) == (answer, None, 2.0)
    assert probe.sender == ("192.0.2.9" if answer in {Answer.CONNECTED, Answer.RESET} else None)


def test_the_queue_outranks_the_errno() -> None:
    fake = FakeSocket(number=errno.ECONNREFUSED, errors=[(b"", icmp_error(3, 3))])
    probe = woken(TCP_3, fake)
    assert (probe.answer, probe.sender, probe.arrived_ttl) == (Answer.PORT_UNREACHABLE, "192.0.2.3", 62)


def test_an_entry_that_came_while_the_socket_stays_in_syn_sent_is_the_answer() -> None:
    probe = woken(TCP_3, FakeSocket(stands=False, errors=[(b"", icmp_error(11, 0))]))
    assert probe.answer is TE


def test_what_says_nothing_about_the_packet_is_passed_over() -> None:
    fake = FakeSocket(stands=False, errors=[(b"", icmp_error(3, 4))])  # fragmentation needed
    assert woken(TCP_3, fake).answer is Answer.SILENT
    assert not fake.closed


PING = Wanted(Protocol.ICMP, None)
REPLY = struct.pack("!BBHHH", 0, 0, 0, 77, 1)
HEADER = bytes((0x46, 0, 0, 0, 0, 0, 0, 0, 57, 1)) + bytes(14)


@pytest.mark.parametrize(
    ("kind", "data", "answer", "arrived"),
    [
        (socket.SOCK_DGRAM, REPLY, Answer.ECHO, None),
        (socket.SOCK_RAW, HEADER + REPLY, Answer.ECHO, 57),
        (socket.SOCK_RAW, HEADER + struct.pack("!BBHHH", 0, 0, 0, 78, 1), Answer.SILENT, None),  # another's
        (socket.SOCK_RAW, HEADER + struct.pack("!BBHHH", 8, 0, 0, 77, 1), Answer.SILENT, None),  # our own
        (socket.SOCK_RAW, HEADER, Answer.SILENT, None),
        (socket.SOCK_RAW, b"", Answer.SILENT, None),
        (socket.SOCK_DGRAM, b"\0", Answer.SILENT, None),
    ],
)
def test_echo_replies(kind: int, data: bytes, answer: Answer, arrived: int | None) -> None:
    probe = woken(PING, FakeSocket(kind=kind, datagrams=[(data, [])]))
    assert (probe.answer, probe.arrived_ttl) == (answer, arrived)


def test_an_error_about_another_ping_is_passed_over() -> None:
    ours, other = (struct.pack("!BBHHH", 8, 0, 0, number, 1) for number in (77, 78))
    queue = [(other, icmp_error(3, 1)), (ours, icmp_error(11, 0))]
    probe = woken(PING, FakeSocket(kind=socket.SOCK_RAW, errors=queue))
    assert probe.answer is TE


def test_a_socket_that_wakes_for_nothing_is_closed_in_the_end() -> None:
    sent = Packet.__new__(Packet)
    sent.probe = replace(PathProbe(Protocol.UDP, 33434, 1, 1.0, 1.0, Answer.SILENT))
    sent._ip, sent._family, sent._clock, sent._woken = "192.0.2.9", socket.AF_INET, lambda: 2.0, 0
    fake = FakeSocket(kind=socket.SOCK_DGRAM)
    sent.sock = fake  # type: ignore[assignment]
    for _ in range(100):
        sent.read()
    assert fake.closed
    assert sent.probe.answer is Answer.SILENT


def test_the_checksum_is_that_of_rfc_1071() -> None:
    assert packet._checksum(bytes.fromhex("0001f203f4f5f6f7")) == 0x220D


_ANCILLARY = st.lists(
    st.tuples(st.sampled_from([0, 1, 41]), st.sampled_from([2, 11, 25, 52]), st.binary(max_size=40)),
    max_size=3,
)
_QUEUE = st.lists(st.tuples(st.binary(max_size=60), _ANCILLARY), max_size=4)


@given(
    st.sampled_from(Protocol),
    st.sampled_from([socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW]),
    st.sampled_from(["192.0.2.9", "2001:db8::9"]),
    _QUEUE,
    _QUEUE,
    st.sampled_from([0, *errno.errorcode]),
)
def test_no_bytes_raise(
    protocol: Protocol, kind: int, ip: str, errors: list[Any], datagrams: list[Any], number: int
) -> None:
    fake = FakeSocket(kind=kind, number=number, errors=errors, datagrams=datagrams)
    woken(Wanted(protocol, 25, 3), fake, ip)
