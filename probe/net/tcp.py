"""What Linux tells about a socket beyond its errno: TCP_INFO, the error queue, soft errors, hop limits.

None of it needs a privilege. Nothing here raises: a system without an option (macOS, Windows), or with half of
it (gVisor, old kernels), gives None, an empty tuple or False, and whoever asks goes on with the errno alone.
Numbers that Python 3.11's `socket` lacks are written out, as <linux/in.h>, <linux/in6.h> and <linux/tcp.h> have
them. Three readings take away what they read: the error queue, SO_ERROR, and with it the soft error. So a
socket has one owner, who reads SO_ERROR before the queue: the kernel clears SO_ERROR as it empties the queue.
"""

from __future__ import annotations

import errno
import socket
import struct
import sys

from probe.core.failures import errno_name
from probe.core.model import Notice, NoticeOrigin, TcpInfo
from probe.core.network import SMALL_SEGMENT

LINUX = sys.platform == "linux"

IP_TTL, IP_RECVERR, IP_RECVTTL = 2, 11, 12
IPV6_RECVERR, IPV6_RECVHOPLIMIT, IPV6_HOPLIMIT = 25, 51, 52
MSG_ERRQUEUE = 0x2000
TCP_MAXSEG = 2
TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT = 4, 5, 6
TCP_INFO = 11
SO_MEMINFO = 55

ESTABLISHED, SYN_SENT, CLOSE = 1, 2, 7
"""States of `TcpInfo.state`, as <linux/tcp_states.h> numbers them."""

SMALL_MSS = {socket.AF_INET: SMALL_SEGMENT[4], socket.AF_INET6: SMALL_SEGMENT[6]}

QUEUE_LIMIT = 64
"""Entries of an error queue that are read in one go. A SYN draws one ICMP error or two; more are a flood."""

_INFO_SIZE = 280  # struct tcp_info of Linux 6.18; older kernels give less, newer ones more
_INFO = struct.Struct(
    "=BxB13xI16xI12xII8xI28xI32xII80xI"
)  # the fields at 0, 2, 16, 36, 52, 56, 68, 100, 136, 140, 224
_ORIGINS = {1: NoticeOrigin.LOCAL, 2: NoticeOrigin.ICMP, 3: NoticeOrigin.ICMP6}
_EXTENDED_ERR = struct.Struct("=IBBBBII")  # errno, origin, type, code, pad, info, data
_LINUX_AF_INET, _LINUX_AF_INET6 = 2, 10
_MEMINFO_SIZE = 36  # nine counters; the first is SK_MEMINFO_RMEM_ALLOC
_KEEPCNT_MAX = 127


def family_of(ip: str) -> socket.AddressFamily:
    """Return the address family of an IP literal."""
    return socket.AF_INET6 if ":" in ip else socket.AF_INET


# --- TCP_INFO ---------------------------------------------------------------------------------------


def tcp_info(sock: socket.socket, t: float) -> TcpInfo | None:
    """Read the state of a TCP socket at time `t`, also when an error has closed it; None where it cannot be.

    (Linux, tcp(7) TCP_INFO.)
    """
    if not LINUX:
        return None
    try:
        return parse_tcp_info(sock.getsockopt(socket.IPPROTO_TCP, TCP_INFO, _INFO_SIZE), t)
    except OSError:  # no TCP socket, a closed one, or a kernel that does not know the option
        return None


def parse_tcp_info(data: bytes, t: float) -> TcpInfo | None:
    """Read `struct tcp_info`; fields that an older kernel did not send are 0, and no byte at all is None."""
    if not data:
        return None
    (
        state,
        retransmits,
        mss,
        retrans,
        last_data,
        last_ack,
        rtt,
        total_retrans,
        segs_out,
        segs_in,
        out_of_order,
    ) = _INFO.unpack_from(data if len(data) >= _INFO_SIZE else data.ljust(_INFO_SIZE, b"\0"))
    if not segs_in:  # before anything came the kernel counts both times from its start
        last_ack = last_data = 0
    # By position, as `TcpInfo` has them: two of these go with every connection.
    return TcpInfo(
        t,
        state,
        retransmits,
        retrans,
        total_retrans,
        segs_out,
        segs_in,
        out_of_order,
        last_ack / 1e3,
        last_data / 1e3,
        rtt / 1e6,
        mss,
    )


def holds_back(sock: socket.socket) -> bool:
    """Whether bytes lie in the kernel that it cannot hand over, because earlier ones are missing.

    To be asked when everything that can be read has been: what is still charged to the receive buffer
    (SO_MEMINFO, Linux 4.12) then stands behind a gap. `TcpInfo.out_of_order` counts gaps that were filled too.
    """
    if not LINUX:
        return False
    try:
        data = sock.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, _MEMINFO_SIZE)
    except OSError:
        return False
    return int.from_bytes(data[:4], sys.byteorder) > 0


# --- errors -----------------------------------------------------------------------------------------


def report_errors(sock: socket.socket, family: int, on: bool) -> bool:
    """Have ICMP errors put into the error queue, or no longer; tell whether the system can (ip(7), ipv6(7)).

    To be switched on before `connect` and off once TCP is established: from then on it would turn every ICMP
    error into the end of the connection, which RFC 1122 4.2.3.9 forbids, and would queue none.
    """
    if not LINUX:
        return False
    if family == socket.AF_INET6:
        return _set(sock, socket.IPPROTO_IPV6, IPV6_RECVERR, int(on))
    return _set(sock, socket.IPPROTO_IP, IP_RECVERR, int(on))


def notices(sock: socket.socket, t: float) -> tuple[Notice, ...]:
    """Empty the error queue and return its errors alone; see `error_queue`."""
    return tuple(notice for notice, _, _ in error_queue(sock, t))


def error_queue(sock: socket.socket, t: float) -> list[tuple[Notice, int | None, bytes]]:
    """Empty the error queue: each error, its hop limit as it arrived, and what it quotes of our packet.

    They are in the order they came; what is quoted begins behind the IP header. An entry that stays would wake
    the event loop for ever. SO_ERROR has to be read before (see above).
    """
    found: list[tuple[Notice, int | None, bytes]] = []
    if not LINUX:
        return found
    for _ in range(QUEUE_LIMIT):
        try:
            data, ancillary, _, _ = sock.recvmsg(512, 512, MSG_ERRQUEUE | socket.MSG_DONTWAIT)
        except OSError:  # the queue is empty (EAGAIN), the socket closed, or there is no such queue
            break
        errors = (parse_notice(level, kind, value, t) for level, kind, value in ancillary)
        found += [(notice, arrived_ttl(ancillary), data) for notice in errors if notice is not None]
    return found


def parse_notice(level: int, kind: int, data: bytes, t: float) -> Notice | None:
    """Read one control message of the error queue; None when it is no error, or not whole.

    It is a `struct sock_extended_err` with the socket address of whoever sent the error behind it.
    """
    if (level, kind) not in {(socket.IPPROTO_IP, IP_RECVERR), (socket.IPPROTO_IPV6, IPV6_RECVERR)}:
        return None
    if len(data) < _EXTENDED_ERR.size:
        return None
    _, origin, icmp_type, code, _, _, _ = _EXTENDED_ERR.unpack_from(data)
    if origin not in _ORIGINS:
        return None  # time stamps and the like use the same queue
    return Notice(t, _ORIGINS[origin], icmp_type, code, _address(data[_EXTENDED_ERR.size :]))


def _address(sockaddr: bytes) -> str | None:
    """Read the address in a `sockaddr_in` or `sockaddr_in6` of Linux, None for any other or a short one."""
    family = int.from_bytes(sockaddr[:2], sys.byteorder)
    if family == _LINUX_AF_INET and len(sockaddr) >= 8:
        return socket.inet_ntop(socket.AF_INET, sockaddr[4:8])
    if family == _LINUX_AF_INET6 and len(sockaddr) >= 24:
        return socket.inet_ntop(socket.AF_INET6, sockaddr[8:24])
    return None


def soft_error(sock: socket.socket) -> str | None:
    """Take the error that an ICMP message left on a living connection, by name such as EHOSTUNREACH.

    SO_ERROR gives it (socket(7)), once. Of a connection that has ended it gives why, and takes that from
    whoever would read it later: look at `TcpInfo.state` as well.
    """
    try:
        return errno_name(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) or None)
    except OSError as error:
        return None if error.errno == errno.EBADF else errno_name(error.errno)


# --- hop limits -------------------------------------------------------------------------------------


def report_hop_limits(sock: socket.socket, family: int) -> bool:
    """Have it told with which hop limit a datagram or an ICMP error arrived; tell whether the system can."""
    if not LINUX:
        return False
    if family == socket.AF_INET6:
        return _set(sock, socket.IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1)
    return _set(sock, socket.IPPROTO_IP, IP_RECVTTL, 1)


def arrived_ttl(ancillary: list[tuple[int, int, bytes]]) -> int | None:
    """Read the hop limit with which a message arrived, None where the system did not tell it."""
    for level, kind, data in ancillary:
        if (level, kind) in {(socket.IPPROTO_IP, IP_TTL), (socket.IPPROTO_IPV6, IPV6_HOPLIMIT)} and data:
            return int.from_bytes(data[:4], sys.byteorder)
    return None


# --- options ----------------------------------------------------------------------------------------


def small_segments(sock: socket.socket, mss: int) -> bool:
    """Ask for segments of at most `mss` octets, both ways; before `connect`. Tell whether the system can."""
    return _set(sock, socket.IPPROTO_TCP, TCP_MAXSEG, mss)


def keep_alive(sock: socket.socket) -> bool:
    """Have the kernel ask the peer's TCP each second whether it is there (RFC 9293 3.8.4), at once if silent.

    It is for `TcpInfo.last_ack`, never to end the connection: the count is the largest one there is, and
    every answer starts it anew. Tell whether the system can.
    """
    if not LINUX:
        return False
    return (
        _set(sock, socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        and _set(sock, socket.IPPROTO_TCP, TCP_KEEPCNT, _KEEPCNT_MAX)
        and _set(sock, socket.IPPROTO_TCP, TCP_KEEPINTVL, 1)
        # Last: with keep-alive on, this starts the timer anew, reckoned from the last segment that came.
        and _set(sock, socket.IPPROTO_TCP, TCP_KEEPIDLE, 1)
    )


def _set(sock: socket.socket, level: int, option: int, value: int) -> bool:
    try:
        sock.setsockopt(level, option, value)
    except OSError:
        return False
    return True


def is_ours(ip: str) -> bool:
    """Whether this host owns the address: only then can a socket be bound to it."""
    try:
        with socket.socket(family_of(ip), socket.SOCK_DGRAM) as sock:
            sock.bind((ip, 0))
    except OSError:
        return False
    return True
