"""TCP connect to an IP literal, with what the system and the network said about it.

Our own sockets and our own timer: `create_connection` closes a socket that fails, and the reason with it. An error,
or an entry in the error queue, wakes whoever waits for the socket to be `ready`, and is told: only then is
there something to read. SO_ERROR is read once for each time, because reading it clears it, and before the queue,
because emptying that clears it as well.

An ICMP error is a result even where the kernel goes on: one that comes back while `connect` still holds the
socket (from a firewall of this host, or the first router) is queued, and the socket stays in SYN_SENT. And some
kernels do not end an attempt for ICMP at all.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from typing import TYPE_CHECKING

from msgspec.structs import replace

from probe.core.failures import connect_outcome, errno_name, notice_outcome
from probe.core.model import Connect, ConnectOutcome
from probe.net import ready, tcp
from probe.net.ready import WRITE

if TYPE_CHECKING:
    from collections.abc import Callable

    from probe.core.model import Notice


NONBLOCK = getattr(socket, "SOCK_NONBLOCK", 0)
"""Makes the socket what it must be without another system call (Linux, BSD)."""


async def connect(
    ip: str,
    port: int,
    *,
    timeout: float,  # noqa: ASYNC109 - its end is an outcome here, which a caller's cancellation is not
    source: str | None,
    clock: Callable[[], float],
    mss: int | None = None,
) -> tuple[Connect, socket.socket | None]:
    """Make one `Attempt`."""
    return await Attempt(ip, port, timeout=timeout, source=source, clock=clock, mss=mss).run()


class Attempt:
    """One attempt to open a connection to `ip`, from `source` if given, within `timeout` seconds of `clock`.

    `mss` asks for segments of at most that many octets. `run` may be called once. Who has a timer of its own sets
    `timed` False, and calls `give_up` at `due`.
    """

    __slots__ = (
        "_answered",
        "_clock",
        "_gave_up",
        "_ip",
        "_local_ip",
        "_mss",
        "_notices",
        "_port",
        "_record",
        "_sock",
        "_source",
        "_started",
        "_timed",
        "_timeout",
    )

    def __init__(
        self,
        ip: str,
        port: int,
        *,
        timeout: float,
        source: str | None,
        clock: Callable[[], float],
        mss: int | None = None,
        timed: bool = True,
    ) -> None:
        self._ip = ip
        self._port = port
        self._timeout = timeout
        self._source = source
        self._clock = clock
        self._mss = mss
        self._timed = timed
        self._started = clock()
        self._sock: socket.socket | None = None
        self._local_ip: str | None = None
        self._notices: tuple[Notice, ...] = ()
        self._answered: asyncio.Future[int] | None = None
        self._gave_up = False
        self._record: Connect | None = None

    async def run(self) -> tuple[Connect, socket.socket | None]:
        """Return the record and, only with `ConnectOutcome.CONNECTED`, a non-blocking socket, now the caller's.

        Whatever the system or the network does is an outcome; nothing but cancellation raises.
        """
        self._started = self._clock()
        family = tcp.family_of(self._ip)
        if self._source is not None and tcp.family_of(self._source) != family:
            return self._ended(ConnectOutcome.NO_ROUTE, errno.EAFNOSUPPORT), None
        at_once = True
        try:
            sock = self._sock = socket.socket(family, socket.SOCK_STREAM | NONBLOCK)
            if not NONBLOCK:
                sock.setblocking(False)
            if self._source is not None:
                sock.bind((self._source, 0))
            if self._mss is not None:
                tcp.small_segments(sock, self._mss)
            # Before connect: IPv6 queues nothing without it, and learns of such an error a second late.
            reporting = tcp.report_errors(sock, family, True)
            number: int | None = sock.connect_ex((self._ip, self._port))
            at_once = number != errno.EINPROGRESS
            number = await self._answer(sock, number)
            if number == 0:
                if reporting:  # this also empties the queue of what came since it was looked at
                    tcp.report_errors(sock, family, False)
                self._sock = None
                return self._ended(ConnectOutcome.CONNECTED, None), sock
        except OSError as error:  # no descriptor left, no IPv6 in this kernel, a source that is not ours
            number = error.errno or errno.EIO
        except BaseException:
            self._record = self.so_far()
            self._close()
            raise
        # A firewall of this host may write another of its addresses into the error than the one we used.
        self._notices = tuple(
            replace(notice, ours=notice.sender is not None and tcp.is_ours(notice.sender))
            for notice in self._notices
        )
        outcome = notice_outcome(self._notices)
        if number == errno.EADDRNOTAVAIL and self._source is None and family == socket.AF_INET6:
            outcome = ConnectOutcome.NO_ROUTE  # this host has no IPv6 address at all
        if outcome is None:
            outcome = ConnectOutcome.TIMEOUT if number is None else connect_outcome(number, at_once=at_once)
        record = self._ended(outcome, number)
        self._close()
        return record, None

    @property
    def due(self) -> float:
        """When the time is up."""
        return self._started + self._timeout

    def give_up(self) -> None:
        """End the wait as if the time were up."""
        self._gave_up = True
        self._settle(0)

    def so_far(self) -> Connect:
        """Return what is known at this moment: the end, or that there is none yet."""
        return self._record or self._describe(ConnectOutcome.CUT_SHORT, None)

    def _ended(self, outcome: ConnectOutcome, number: int | None) -> Connect:
        self._record = self._describe(outcome, number)
        return self._record

    def _describe(self, outcome: ConnectOutcome, number: int | None) -> Connect:
        now = self._clock()
        info = None if self._sock is None else tcp.tcp_info(self._sock, now)
        name = errno_name(number)
        return Connect(self._started, now, outcome, number, name, self._local_ip, self._notices, info)

    def _close(self) -> None:
        if self._sock is not None:
            self._sock.close()
            self._sock = None

    async def _answer(self, sock: socket.socket, number: int | None) -> int | None:
        """Return the errno with which the attempt ended, 0 for success, None if only an ICMP error tells."""
        self._local_ip = _local_ip(sock)
        if number != errno.EINPROGRESS:
            self._notices = tcp.notices(sock, self._clock())
        while number == errno.EINPROGRESS:
            events = await self._wait(sock)
            if events == WRITE:
                return 0
            number = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) if events else None
            self._notices += tcp.notices(sock, self._clock())
            if number and _stands(sock):
                number = 0  # the error is about a packet after the SYN, and TCP lives on (RFC 1122 4.2.3.9)
            if number == 0 and self._notices and not _stands(sock):
                # Still in SYN_SENT: either the entry is the answer, or there is none yet.
                number = errno.EINPROGRESS if notice_outcome(self._notices) is None else None
        return number

    async def _wait(self, sock: socket.socket) -> int:
        """Wait until there is an answer to the SYN; return the events, 0 when the time is up or we give up."""
        loop = asyncio.get_running_loop()
        self._answered = loop.create_future()
        timer = loop.call_later(max(0.0, self.due - self._clock()), self._settle, 0) if self._timed else None
        descriptor = sock.fileno()
        watched = ready.of(loop)
        watched.add(descriptor, WRITE, self._settle)
        if self._gave_up:
            self._settle(0)
        try:
            return await self._answered
        finally:
            if timer is not None:
                timer.cancel()
            self._answered = None  # the attempt is kept as long as its connection
            watched.drop(descriptor)

    def _settle(self, events: int) -> None:
        if self._answered is not None and not self._answered.done():
            self._answered.set_result(events)


def _stands(sock: socket.socket) -> bool:
    """Whether the connection is established, although an ICMP error came for it too."""
    try:
        sock.getpeername()
    except OSError:
        return False
    return True


def _local_ip(sock: socket.socket) -> str | None:
    ip: str = sock.getsockname()[0]
    return None if ip in {"0.0.0.0", "::"} else ip  # noqa: S104 - compared, not bound: the kernel chose none
