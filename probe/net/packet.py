"""One packet of the path search: a socket that sends it and reads what comes back. No privilege is needed.

On Linux an ICMP error finds the socket whose packet it answers, and with IP_RECVERR the error queue tells its
type, code and sender, for UDP, echo requests and a TCP connect alike (ip(7), ipv6(7); TCP since Linux 5.8, and
before that by errno alone). With IP_RECVTTL it also tells the hop limit with which the error arrived.

A socket serves for one packet, so that every answer has its question, and each has a source port of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import struct
from functools import cache
from itertools import count
from typing import TYPE_CHECKING

from msgspec.structs import replace

from probe.core.failures import icmp_answer
from probe.core.model import Answer, PathProbe, Protocol
from probe.net import tcp

if TYPE_CHECKING:
    from collections.abc import Callable

    from probe.core.model import Notice
    from probe.core.packets import Wanted

SELF_TEST = 0.1
"""Seconds for an ICMP error over loopback, which takes microseconds."""

_NOTHING = b"\0" * 8
"""What the UDP packets carry. It asks for nothing, should anybody listen after all."""
_RESET_AT_CLOSE = struct.pack("ii", 1, 0)
_ECHO = struct.Struct("!BBHHH")  # type, code, checksum, identifier, sequence number (RFC 792, RFC 4443 4.1)
_ECHO_TYPES = {socket.AF_INET: (8, 0), socket.AF_INET6: (128, 129)}  # request, reply
_LOOPBACK = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}
_READS = 64  # datagrams read in one go; a raw socket is given those of other pings to the same host too
_WAKES = 64  # times a socket may wake us for nothing, which should be never: no loop may spin for ever
_NUMBERS = count()

_BY_ERRNO: dict[int, Answer] = {
    errno.ECONNREFUSED: Answer.RESET,
    errno.ECONNRESET: Answer.CONNECTED,  # a RST in SYN_SENT is ECONNREFUSED: this connection stood, and fell
    errno.EPIPE: Answer.CONNECTED,
    errno.ENETUNREACH: Answer.NET_UNREACHABLE,
    errno.EACCES: Answer.PROHIBITED,
    errno.ENOPROTOOPT: Answer.PROHIBITED,
}
"""What an errno of TCP means that came a round trip later, without an entry in the error queue."""


class Packet:
    """A packet towards `ip`, and its socket while an answer may still come.

    `probe` is what is known of it. Whatever the system or the network does is an answer; nothing raises.
    """

    def __init__(self, wanted: Wanted, ip: str, source: str | None, clock: Callable[[], float]) -> None:
        now = clock()
        self.probe = PathProbe(wanted.protocol, wanted.port, wanted.ttl, now, now, Answer.SILENT)
        self.sock: socket.socket | None = None
        self._ip = ip
        self._family = tcp.family_of(ip)
        self._clock = clock
        self._woken = 0
        self._identifier = (os.getpid() + next(_NUMBERS)) & 0xFFFF
        try:
            self._send(source)
        except OSError as error:
            self._failed(error.errno or errno.EIO, at_once=True)
        if self.probe.answer is not Answer.SILENT:
            self.close()

    @property
    def waits_to_write(self) -> bool:
        """Whether its answer shows as "can be written to" (TCP), and not as "can be read"."""
        return self.probe.protocol is Protocol.TCP

    def read(self) -> None:
        """Take what woke the socket, and close it when that is the answer."""
        if self.sock is None:
            return
        self._woken += 1
        try:
            if self.probe.protocol is Protocol.TCP:
                self._read_tcp(self.sock)
            elif not self._read_errors(self.sock):
                self._read_datagrams(self.sock)
        except OSError as error:
            self._failed(error.errno or errno.EIO, at_once=False)
        if self.probe.answer is not Answer.SILENT or self._woken == _WAKES:
            self.close()

    def close(self) -> None:
        """Wait no longer. A connection that stands is reset, so that it costs no exchange of FINs."""
        if self.sock is not None:
            self.sock.close()
            self.sock = None
            if self.probe.answer is Answer.SILENT:
                self.probe = replace(self.probe, ended=self._clock())

    # --- sending --------------------------------------------------------------------------------------

    def _send(self, source: str | None) -> None:
        probe = self.probe
        sock = self.sock = self._socket()
        sock.setblocking(False)
        tcp.report_errors(sock, self._family, True)
        # Where that is not to be had, the distance comes from the hop limits that we send with.
        tcp.report_hop_limits(sock, self._family)
        if probe.ttl is not None:
            level, option = _hop_limit_option(self._family)
            sock.setsockopt(level, option, probe.ttl)
        if source is not None:
            sock.bind((source, 0))
        if probe.protocol is Protocol.TCP:
            with contextlib.suppress(OSError):  # Windows lays this out otherwise, and is polite instead
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)
            number = sock.connect_ex((self._ip, probe.port or 0))
            if number == 0:
                self._answered(Answer.CONNECTED, self._ip)
            elif number not in {errno.EINPROGRESS, errno.EWOULDBLOCK}:
                self._failed(number, at_once=True)
            return
        sock.connect((self._ip, probe.port or 0))
        sock.send(_NOTHING if probe.protocol is Protocol.UDP else self._echo_request())

    def _socket(self) -> socket.socket:
        if self.probe.protocol is Protocol.TCP:
            return socket.socket(self._family, socket.SOCK_STREAM)
        if self.probe.protocol is Protocol.UDP:
            return socket.socket(self._family, socket.SOCK_DGRAM)
        kind = ping_kind(self._family)
        if kind is None:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return socket.socket(self._family, kind, _icmp(self._family))

    def _echo_request(self) -> bytes:
        kind = _ECHO_TYPES[self._family][0]
        blank = _ECHO.pack(kind, 0, 0, self._identifier, 1) + _NOTHING
        # The kernel fills in the checksum of ICMPv6 always, that of ICMP on a datagram socket only.
        return _ECHO.pack(kind, 0, _checksum(blank), self._identifier, 1) + _NOTHING

    # --- reading --------------------------------------------------------------------------------------

    def _read_tcp(self, sock: socket.socket) -> None:
        number = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)  # before the queue: see `probe.net.tcp`
        if self._read_errors(sock):
            return
        if number:
            self._failed(number, at_once=False)
            return
        try:
            sock.getpeername()
        except OSError:
            return  # still in SYN_SENT: what came said nothing about this packet
        self._answered(Answer.CONNECTED, self._ip)

    def _read_errors(self, sock: socket.socket) -> bool:
        """Take the first ICMP error that says something about this packet; false when there is none."""
        for notice, arrived, data in tcp.error_queue(sock, self._clock()):
            answer = icmp_answer(notice)
            if answer is not None and self._is_ours(data, sock):
                self._answered(answer, notice.sender, notice, arrived)
                return True
        return False

    def _read_datagrams(self, sock: socket.socket) -> None:
        for _ in range(_READS):
            try:
                data, ancillary, _, _ = sock.recvmsg(2048, 512)
            except BlockingIOError:
                return
            arrived = tcp.arrived_ttl(ancillary)
            if sock.type == socket.SOCK_RAW and self._family == socket.AF_INET:
                arrived, data = (data[8], data[(data[0] & 15) * 4 :]) if len(data) >= 20 else (None, b"")
            # A UDP service that answers is an answer of the host as good as an echo.
            if self.probe.protocol is Protocol.UDP or self._is_echo_reply(data, sock):
                self._answered(Answer.ECHO, self._ip, arrived=arrived)
                return

    def _is_echo_reply(self, data: bytes, sock: socket.socket) -> bool:
        return (
            len(data) >= _ECHO.size and data[0] == _ECHO_TYPES[self._family][1] and self._is_ours(data, sock)
        )

    def _is_ours(self, data: bytes, sock: socket.socket) -> bool:
        """Whether a raw socket's message is about this packet; the kernel knows it of all other sockets."""
        if sock.type != socket.SOCK_RAW:
            return True
        return len(data) >= _ECHO.size and _ECHO.unpack_from(data)[3] == self._identifier

    # --- the result -----------------------------------------------------------------------------------

    def _failed(self, number: int, *, at_once: bool) -> None:
        """Take an errno. One that a call returns at once is this host's own, except for a RST over loopback."""
        if number == errno.ETIMEDOUT:
            self.close()  # the kernel has given up: silence
        elif at_once and number != errno.ECONNREFUSED:
            self._answered(Answer.LOCAL, None)
        elif number == errno.EHOSTUNREACH:
            # Linux before 5.8 does not say which: with a small hop limit it is hardly anything else.
            limited = self.probe.ttl is not None
            self._answered(Answer.TIME_EXCEEDED if limited else Answer.HOST_UNREACHABLE, None)
        else:
            answer = _BY_ERRNO.get(number, Answer.LOCAL)
            self._answered(answer, self._ip if answer in {Answer.CONNECTED, Answer.RESET} else None)

    def _answered(
        self, answer: Answer, sender: str | None, notice: Notice | None = None, arrived: int | None = None
    ) -> None:
        self.probe = replace(
            self.probe,
            ended=self._clock(),
            answer=answer,
            sender=sender,
            notice=notice,
            arrived_ttl=arrived,
        )


def _hop_limit_option(family: int) -> tuple[int, int]:
    if family == socket.AF_INET6:
        return socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS
    return socket.IPPROTO_IP, socket.IP_TTL


def _icmp(family: int) -> int:
    return socket.IPPROTO_ICMPV6 if family == socket.AF_INET6 else socket.IPPROTO_ICMP


def _checksum(data: bytes) -> int:
    """Return the Internet checksum (RFC 1071) of an even number of octets."""
    total = sum(int.from_bytes(data[at : at + 2]) for at in range(0, len(data), 2))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


# --- what this system can do ------------------------------------------------------------------------


@cache
def ping_kind(family: socket.AddressFamily) -> socket.SocketKind | None:
    """Return the kind of socket that may send echo requests; None where that is not permitted.

    A datagram socket needs a group within the sysctl `ping_group_range`, a raw one root or CAP_NET_RAW.
    """
    for kind in (socket.SOCK_DGRAM, socket.SOCK_RAW):
        try:
            socket.socket(family, kind, _icmp(family)).close()
        except OSError:
            continue
        return kind
    return None


@cache
def has_tcp_info() -> bool:
    """Whether the system tells the state of a TCP socket."""
    try:
        with socket.socket() as sock:
            return tcp.tcp_info(sock, 0.0) is not None
    except OSError:
        return False


_REPORTS: dict[socket.AddressFamily, bool] = {}


async def reports_errors(family: socket.AddressFamily) -> bool:
    """Whether the error queue works here; tried once per process and family, with one packet over loopback.

    A datagram to a port where nobody listens has to come back as "port unreachable" from the loopback address.
    Containers and emulations of Linux accept the option and queue nothing. Where there is no loopback to try
    it on, the option's word is taken.
    """
    if family not in _REPORTS:
        _REPORTS[family] = await _self_test(family)
    return _REPORTS[family]


async def _self_test(family: socket.AddressFamily) -> bool:
    loopback = _LOOPBACK[family]
    try:
        with (
            socket.socket(family, socket.SOCK_DGRAM) as closed,
            socket.socket(family, socket.SOCK_DGRAM) as sock,
        ):
            if not tcp.report_errors(sock, family, True):
                return False
            closed.bind((loopback, 0))
            port = closed.getsockname()[1]
            closed.connect((loopback, port))  # it hears only itself: the port is taken, and closed to others
            sock.setblocking(False)
            sock.connect((loopback, port))
            sock.send(_NOTHING)
            await _readable(sock, SELF_TEST)
            return any(
                icmp_answer(notice) is Answer.PORT_UNREACHABLE and notice.sender == loopback
                for notice, _, _ in tcp.error_queue(sock, 0.0)
            )
    except OSError:
        return tcp.LINUX


async def _readable(sock: socket.socket, limit: float) -> None:
    loop = asyncio.get_running_loop()
    woken = asyncio.Event()
    loop.add_reader(sock, woken.set)
    try:
        async with asyncio.timeout(limit):
            await woken.wait()
    except TimeoutError:
        return
    finally:
        loop.remove_reader(sock)
