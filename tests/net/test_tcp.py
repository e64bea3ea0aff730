"""What Linux tells about a socket: on real loopback sockets, and any bytes for the parsers."""

from __future__ import annotations

import errno
import select
import socket
import struct
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.core.model import NoticeOrigin
from probe.net import tcp

if TYPE_CHECKING:
    from collections.abc import Iterator

linux = pytest.mark.skipif(not tcp.LINUX, reason="only Linux has these options")


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Give both ends of a connection, ours first and non-blocking."""
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as ours,
    ):
        theirs, _ = server.accept()
        with theirs:
            ours.setblocking(False)
            yield ours, theirs


def readable(sock: socket.socket) -> None:
    assert select.select([sock], [], [], 2)[0]


# --- TCP_INFO ---------------------------------------------------------------------------------------


@linux
def test_state_of_a_connection(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    theirs.sendall(b"220 hi\r\n")
    readable(ours)
    info = tcp.tcp_info(ours, 7.5)
    assert info is not None
    assert (info.t, info.state) == (7.5, tcp.ESTABLISHED)
    assert (info.retransmits, info.retrans, info.total_retrans, info.out_of_order) == (0, 0, 0, 0)
    assert info.segs_in >= 1
    assert info.segs_out >= 1
    assert info.last_data < 2
    assert info.last_ack < 2
    assert 0 < info.rtt < 1
    assert info.mss >= 536


@linux
def test_no_state_where_there_is_none() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagram:
        assert tcp.tcp_info(datagram, 0.0) is None
    closed = socket.socket()
    closed.close()
    assert tcp.tcp_info(closed, 0.0) is None
    assert tcp.parse_tcp_info(b"", 0.0) is None


def test_an_old_kernel_sends_less() -> None:
    data = bytes([1, 0, 3]).ljust(24, b"\0")
    info = tcp.parse_tcp_info(data, 1.0)
    assert info is not None
    assert (info.state, info.retransmits, info.total_retrans, info.out_of_order) == (1, 3, 0, 0)


def test_fields_of_tcp_info() -> None:
    data = bytearray(280)
    data[0], data[2] = 2, 1
    offsets = {16: 1448, 36: 4, 52: 2500, 56: 1500, 68: 30_000, 100: 5, 136: 6, 140: 7, 224: 8}
    for offset, value in offsets.items():
        struct.pack_into("=I", data, offset, value)
    info = tcp.parse_tcp_info(bytes(data), 0.0)
    assert info is not None
    assert (info.state, info.retransmits, info.mss, info.retrans, info.total_retrans) == (2, 1, 1448, 4, 5)
    assert (info.segs_out, info.segs_in, info.out_of_order) == (6, 7, 8)
    assert (info.last_data, info.last_ack, info.rtt) == (2.5, 1.5, 0.03)


@given(st.binary(max_size=400))
def test_any_bytes_are_a_state(data: bytes) -> None:
    assert (tcp.parse_tcp_info(data, 0.0) is None) == (not data)


@linux
def test_what_has_been_read_is_not_held_back(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    assert not tcp.holds_back(ours)
    theirs.sendall(b"x" * 5000)
    readable(ours)
    assert tcp.holds_back(ours)
    while len(ours.recv(65536, socket.MSG_PEEK)) < 5000:
        readable(ours)
    ours.recv(65536)
    assert not tcp.holds_back(ours)


# --- the error queue --------------------------------------------------------------------------------


@linux
@pytest.mark.parametrize(
    ("ip", "origin", "kind", "code"),
    [("127.0.0.1", NoticeOrigin.ICMP, 3, 3), ("::1", NoticeOrigin.ICMP6, 1, 4)],
)
def test_port_unreachable_with_its_sender(ip: str, origin: NoticeOrigin, kind: int, code: int) -> None:
    family = tcp.family_of(ip)
    with socket.socket(family, socket.SOCK_DGRAM) as closed, socket.socket(family, socket.SOCK_DGRAM) as sock:
        try:
            closed.bind((ip, 0))
        except OSError:
            pytest.skip("this machine has no IPv6")
        port = closed.getsockname()[1]
        closed.close()
        sock.setblocking(False)
        assert tcp.report_errors(sock, family, True)
        sock.connect((ip, port))
        assert tcp.notices(sock, 0.0) == ()
        sock.send(b"x")
        waiting = select.poll()
        waiting.register(sock, 0)
        assert waiting.poll(2000)
        assert tcp.soft_error(sock) == "ECONNREFUSED"
        (notice,) = tcp.notices(sock, 3.5)
        assert (notice.t, notice.origin, notice.type, notice.code, notice.sender) == (
            3.5,
            origin,
            kind,
            code,
            ip,
        )
        assert tcp.notices(sock, 4.0) == ()
        assert tcp.soft_error(sock) is None


def entry(origin: int, kind: int, code: int, sockaddr: bytes) -> bytes:
    return struct.pack("=IBBBBII", errno.EHOSTUNREACH, origin, kind, code, 0, 0, 0) + sockaddr


V4 = struct.pack("=HH4s8x", 2, 0, bytes([192, 0, 2, 254]))
V6 = struct.pack("=HHI16sI", 10, 0, 0, bytes.fromhex("20010db8" + "00" * 11 + "fe"), 0)


@pytest.mark.parametrize(
    ("level", "kind", "data", "expected"),
    [
        (0, 11, entry(2, 3, 13, V4), (NoticeOrigin.ICMP, 3, 13, "192.0.2.254")),
        (41, 25, entry(3, 1, 1, V6), (NoticeOrigin.ICMP6, 1, 1, "2001:db8::fe")),
        (0, 11, entry(1, 0, 0, struct.pack("=H14x", 0)), (NoticeOrigin.LOCAL, 0, 0, None)),
        (0, 11, entry(2, 11, 0, b""), (NoticeOrigin.ICMP, 11, 0, None)),
        (41, 25, entry(3, 1, 1, V6[:20]), (NoticeOrigin.ICMP6, 1, 1, None)),
        (0, 11, entry(4, 0, 0, V4), None),  # a time stamp
        (0, 11, entry(2, 3, 13, V4)[:12], None),
        (0, 2, entry(2, 3, 13, V4), None),  # the hop limit of a packet, if asked for
        (41, 11, entry(2, 3, 13, V4), None),
    ],
)
def test_entries(
    level: int, kind: int, data: bytes, expected: tuple[NoticeOrigin, int, int, str | None] | None
) -> None:
    notice = tcp.parse_notice(level, kind, data, 1.0)
    found = None if notice is None else (notice.origin, notice.type, notice.code, notice.sender)
    assert found == expected


LEVELS = st.sampled_from([(0, 11), (41, 25), (0, 2), (6, 11)])


@given(LEVELS, st.one_of(st.binary(max_size=80), st.binary(max_size=60).map(lambda b: entry(2, 3, 1, b))))
def test_any_bytes_are_an_entry_or_none(where: tuple[int, int], data: bytes) -> None:
    notice = tcp.parse_notice(*where, data, 1.0)
    if notice is not None:
        assert 0 <= notice.type < 256
        assert notice.sender is None or notice.sender


# --- options ----------------------------------------------------------------------------------------


@linux
def test_keep_alive_is_for_asking_and_never_for_ending(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, _ = pair
    assert tcp.keep_alive(ours)
    assert ours.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    options = {
        number: ours.getsockopt(socket.IPPROTO_TCP, number)
        for number in (tcp.TCP_KEEPIDLE, tcp.TCP_KEEPINTVL, tcp.TCP_KEEPCNT)
    }
    assert options == {tcp.TCP_KEEPIDLE: 1, tcp.TCP_KEEPINTVL: 1, tcp.TCP_KEEPCNT: 127}


def test_a_closed_socket_raises_nothing() -> None:
    sock = socket.socket()
    sock.close()
    assert not tcp.report_errors(sock, socket.AF_INET, True)
    assert not tcp.report_errors(sock, socket.AF_INET6, True)
    assert tcp.notices(sock, 0.0) == ()
    assert not tcp.small_segments(sock, 536)
    assert not tcp.keep_alive(sock)
    assert not tcp.holds_back(sock)
    assert tcp.soft_error(sock) is None


def test_another_system_tells_nothing(
    pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, _ = pair
    monkeypatch.setattr(tcp, "LINUX", False)
    assert tcp.tcp_info(ours, 0.0) is None
    assert tcp.notices(ours, 0.0) == ()
    assert not tcp.report_errors(ours, socket.AF_INET, True)
    assert not tcp.keep_alive(ours)
    assert not tcp.holds_back(ours)
