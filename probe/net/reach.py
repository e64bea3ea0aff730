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
import sys
from typing import TYPE_CHECKING

from msgspec.structs import replace

from probe.core.failures import connect_outcome, errno_name, notice_outcome
from probe.core.model import Connect, ConnectOutcome
from probe.net import ready, tcp
from probe.net.ready import WRITE

if TYPE_CHECKING:
    from collections.abc import Callable

    from probe.core.model import Notice
    from probe.net.ready import Readiness


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

    `mss` asks for segments of at most that many octets. Either `run` or `begin` may be called, once.
    """

    __slots__ = (
        "_at_once",
        "_clock",
        "_done",
        "_gave_up",
        "_ip",
        "_local_ip",
        "_mss",
        "_notices",
        "_port",
        "_record",
        "_reporting",
        "_sock",
        "_source",
        "_started",
        "_timeout",
        "_watched",
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
    ) -> None:
        self._ip = ip
        self._port = port
        self._timeout = timeout
        self._source = source
        self._clock = clock
        self._mss = mss
        self._started = clock()
        self._done: Callable[[Connect, socket.socket | None], None] | None = None
        self._sock: socket.socket | None = None
        self._watched: Readiness | None = None  # as long as it watches the socket for us
        self._reporting = False
        self._at_once = True
        self._local_ip: str | None = None
        self._notices: tuple[Notice, ...] = ()
        self._gave_up = False
        self._record: Connect | None = None

    async def run(self) -> tuple[Connect, socket.socket | None]:
        """Return the record and, only with `ConnectOutcome.CONNECTED`, a non-blocking socket, now the caller's.

        Whatever the system or the network does is an outcome; nothing but cancellation raises.
        """
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[tuple[Connect, socket.socket | None]] = loop.create_future()

        def done(record: Connect, sock: socket.socket | None) -> None:
            if sock is not None:
                ready.of(loop).drop(sock.fileno())
            if not ended.done():
                ended.set_result((record, sock))
            elif sock is not None:  # cancelled in this moment
                sock.close()

        self.begin(loop, done)
        timer = loop.call_later(max(0.0, self.due - self._clock()), self.give_up)
        try:
            return await ended
        except BaseException:
            self.abandon()
            raise
        finally:
            timer.cancel()

    def begin(
        self, loop: asyncio.AbstractEventLoop, done: Callable[[Connect, socket.socket | None], None]
    ) -> None:
        """Begin without a timer: `give_up` is to be called at `due`.

        `done` gets what `run` returns, perhaps at once, and a socket that `ready` still watches for writing.
        """
        self._done = done
        self._started = self._clock()
        family = tcp.family_of(self._ip)
        if self._source is not None and tcp.family_of(self._source) != family:
            self._end(errno.EAFNOSUPPORT, ConnectOutcome.NO_ROUTE)
            return
        try:
            sock = self._sock = socket.socket(family, socket.SOCK_STREAM | NONBLOCK)
            if not NONBLOCK:
                sock.setblocking(False)
            if self._source is not None:
                sock.bind((self._source, 0))
            if self._mss is not None:
                tcp.small_segments(sock, self._mss)
            # Before connect: IPv6 queues nothing without it, and learns of such an error a second late.
            self._reporting = tcp.report_errors(sock, family, True)
            number = sock.connect_ex((self._ip, self._port))
            self._local_ip = _local_ip(sock)
        except OSError as error:  # no descriptor left, no IPv6 in this kernel, a source that is not ours
            self._end(error.errno or errno.EIO)
            return
        if number not in {0, errno.EINPROGRESS}:
            self._notices = tcp.notices(sock, self._clock())
            self._end(number)
            return
        self._at_once = False
        self._watched = ready.of(loop)
        self._watched.add(sock.fileno(), WRITE, self._told)
        if self._gave_up:
            self.give_up()

    @property
    def due(self) -> float:
        """When the time is up."""
        return self._started + self._timeout

    def give_up(self) -> None:
        """End the wait as if the time were up."""
        self._gave_up = True
        if self._watched is not None and self._sock is not None:
            self._notices += tcp.notices(self._sock, self._clock())
            self._end(None)

    def abandon(self) -> None:
        """Leave it where it is, without a word to `done`; where it has ended already nothing happens."""
        self._record = self.so_far()
        self._done = None
        self._close()

    def so_far(self) -> Connect:
        """Return what is known at this moment: the end, or that there is none yet."""
        return self._record or self._describe(ConnectOutcome.CUT_SHORT, None)

    def _told(self, events: int) -> None:
        """Take an event of the socket: WRITE alone says that the connection stands."""
        sock = self._sock
        if sock is None:
            return
        number = 0
        if events != WRITE:
            number = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            self._notices += tcp.notices(sock, self._clock())
            stands = _stands(sock)
            if number and stands:
                number = 0  # the error is about a packet after the SYN, and TCP lives on (RFC 1122 4.2.3.9)
            elif not number and self._notices and not stands:
                # Still in SYN_SENT: either the entry is the answer, or there is none yet.
                if notice_outcome(self._notices) is not None:
                    self._end(None)
                return
        if number:
            self._end(number)
            return
        if self._reporting:  # this also empties the queue of what came since it was looked at
            tcp.report_errors(sock, tcp.family_of(self._ip), False)
        self._sock = self._watched = None
        self._tell(self._describe(ConnectOutcome.CONNECTED, None), sock)

    def _end(self, number: int | None, outcome: ConnectOutcome | None = None) -> None:
        """Tell that there is no connection, for an errno; None if there was none to be had."""
        # A firewall of this host may write another of its addresses into the error than the one we used.
        self._notices = tuple(
            replace(notice, ours=notice.sender is not None and tcp.is_ours(notice.sender))
            for notice in self._notices
        )
        outcome = outcome or notice_outcome(self._notices)
        if number == errno.EADDRNOTAVAIL and self._source is None and ":" in self._ip:
            outcome = ConnectOutcome.NO_ROUTE  # this host has no IPv6 address at all
        if outcome is None:
            outcome = (
                ConnectOutcome.TIMEOUT if number is None else connect_outcome(number, at_once=self._at_once)
            )
        record = self._describe(outcome, number)
        self._close()
        self._tell(record, None)

    def _tell(self, record: Connect, sock: socket.socket | None) -> None:
        done, self._done = self._done, None  # it knows whoever keeps this: no work for the garbage collection
        self._record = record
        if done is not None:
            done(record, sock)

    def _describe(self, outcome: ConnectOutcome, number: int | None) -> Connect:
        now = self._clock()
        info = None if self._sock is None else tcp.tcp_info(self._sock, now)
        name = errno_name(number)
        return Connect(self._started, now, outcome, number, name, self._local_ip, self._notices, info)

    def _close(self) -> None:
        if self._sock is not None:
            if self._watched is not None:
                self._watched.drop(self._sock.fileno())
                self._watched = None
            self._sock.close()
            self._sock = None


def _stands(sock: socket.socket) -> bool:
    """Whether the connection is established, although an ICMP error came for it too."""
    try:
        sock.getpeername()
    except OSError:
        return False
    return True


def _local_ip(sock: socket.socket) -> str | None:
    ip = sys.intern(sock.getsockname()[0])  # thousands of connections have the same
    return None if ip in {"0.0.0.0", "::"} else ip  # noqa: S104 - compared, not bound: the kernel chose none
