"""One connection to a mail host: a socket, the conversation that leads, and what carries its bytes.

In clear that is a thin `Line`. Once the conversation asks for TLS it is aiosmtplib's protocol (`wire`), which takes
the socket over, sends STARTTLS, upgrades, and carries the rest. The library does not read replies for us: it drops
what comes unasked, joins what should stay apart, and would hide what we want to see. So every byte goes to the
conversation first; the library gets to see only the reply to STARTTLS, after the conversation has read it as
a 220, because its `start_tls` waits for one. Nothing but public names of the library is used.

One alarm serves the attempt to connect, the conversation's deadline, and the looks at a silent peer: when a peer has
been silent for a second, and then each second, we ask what the kernel knows of the silence (`watch`). The alarm is
moved lazily: a connection that stands, a byte, or a whole answer does not touch it; it comes at its time, finds
nothing due, and is set again. So most calls set one alarm, and take it back.
"""

from __future__ import annotations

import asyncio
import ssl
from math import inf
from typing import TYPE_CHECKING, ParamSpec, cast

from probe.core.conversation import Action, Close, Conversation, Send
from probe.core.failures import errno_name, tls_error
from probe.core.model import Connect, Purpose, Stage
from probe.net import alarm, reach, tcp
from probe.net.line import Line
from probe.net.watch import Watch

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from probe.core.conversation import Plan
    from probe.core.model import Session, TcpInfo, Tls
    from probe.net.wire import Wire

P = ParamSpec("P")

SILENCE = 1.0
"""Seconds without a byte after which a peer counts as silent, and between two looks at one that is. Healthy mail
hosts answer sooner, and cost none of this."""

LIBRARY_GRACE = 1.0
"""Seconds by which the library's own timer comes later than ours, so that it is ours that ends the wait."""


class Call:
    """One connection to one mail host address, from the first SYN to the last FIN.

    Times are seconds of `clock`. `connected` is set when the TCP connection stands, and never if it fails.
    `server_name` is the host name for TLS (SNI), None if none is known. The purpose `SMALL_SEGMENTS` of the
    plan is carried out here. `following` names the next mailbox to ask for over the same connection, None when there
    is none; it is asked only while the peer shows no displeasure. `run` may be called once.
    """

    __slots__ = (
        "_alarm",
        "_alarm_due",
        "_clock",
        "_connected",
        "_conversation",
        "_ended",
        "_ip",
        "_line",
        "_look_due",
        "_loop",
        "_negotiating_since",
        "_reach",
        "_server_name",
        "_sessions",
        "_sock",
        "_stands",
        "_stirred",
        "_tcp",
        "_unread",
        "_upgrade",
        "_watch",
        "_wire",
    )

    def __init__(
        self,
        ip: str,
        port: int,
        plan: Plan,
        *,
        connect_timeout: float,
        source: str | None,
        clock: Callable[[], float],
        server_name: str | None = None,
        following: Callable[[bool], str | None] | None = None,
    ) -> None:
        self._ip = ip
        self._clock = clock
        self._server_name = server_name
        self._conversation = Conversation(plan, following)
        small = plan.purpose is Purpose.SMALL_SEGMENTS
        self._reach: reach.Attempt | Connect = reach.Attempt(
            ip,
            port,
            timeout=connect_timeout,
            source=source,
            clock=clock,
            mss=tcp.SMALL_MSS[tcp.family_of(ip)] if small else None,
        )
        self._stands = False
        self._connected: asyncio.Event | None = None  # made when somebody asks for it
        self._loop: asyncio.AbstractEventLoop
        self._sock: socket.socket | None = None
        self._line: Line | None = None
        self._wire: Wire | None = None
        self._ended: asyncio.Future[None] | None = None
        self._alarm: int | None = None  # as long as there is one
        self._alarm_due = inf
        self._look_due = 0.0
        self._upgrade: asyncio.Task[None] | None = None
        self._unread = b""  # of the reply to STARTTLS, as long as it may not be a 220
        self._negotiating_since = 0.0
        self._watch: Watch | None = None  # made at the first silence
        self._stirred = 0.0  # when the peer was last heard
        self._tcp: TcpInfo | None = None  # at the end
        self._sessions: tuple[tuple[str, Session], ...] | None = None  # likewise

    @property
    def connected(self) -> asyncio.Event:
        """Set when the TCP connection stands."""
        if self._connected is None:
            self._connected = asyncio.Event()
            if self._stands:
                self._connected.set()
        return self._connected

    @property
    def stands(self) -> bool:
        """Whether the TCP connection has been made."""
        return self._stands

    async def run(self) -> Session:
        """Connect and converse; return the finished session. Only cancellation, and a bug of ours, raises.

        It is that of the first mailbox; `sessions` has all of them. Cancelled, it says QUIT where the peer can read
        it, closes, and leaves `session` cut short.
        """
        self._loop = asyncio.get_running_loop()
        self._ended = self._loop.create_future()
        try:
            self._begin(cast("reach.Attempt", self._reach))
            await self._ended
        except asyncio.CancelledError:
            if self._stands:
                self._perform(self._conversation.interrupted(self._clock()))
            raise
        finally:
            if not isinstance(self._reach, Connect):
                self._reach.abandon()
            self._take_alarm_back()
        self._sessions = self.sessions()
        return self._sessions[0][1]

    def _begin(self, attempt: reach.Attempt) -> None:
        now = self._clock()
        self._set_alarm(min(attempt.due, now + SILENCE), now)
        attempt.begin(self._loop, self._reached)

    def give_up(self) -> None:
        """Wait no longer for the connection: if it does not stand yet, it has timed out."""
        if not isinstance(self._reach, Connect):
            self._reach.give_up()

    def session(self) -> Session:
        """Return what is known at this moment of the first mailbox."""
        return self.sessions()[0][1]

    def sessions(self) -> tuple[tuple[str, Session], ...]:
        """Return what is known at this moment of each mailbox that was asked for, in that order."""
        if self._sessions is not None:
            return self._sessions
        now = self._clock()
        connect = self._reach if isinstance(self._reach, Connect) else self._reach.so_far()
        if self._sock is None:
            return self._conversation.sessions(connect, now)
        info = tcp.tcp_info(self._sock, now) if self._tcp is None else self._tcp
        soft_error = self._watch.soft_error if self._watch is not None else None
        return self._conversation.sessions(connect, now, tcp=info, soft_error=soft_error)

    @property
    def unasked(self) -> str | None:
        """The mailbox that `following` gave and that was not asked for after all, because the connection ended."""
        return self._conversation.unasked

    # --- events ------------------------------------------------------------------------------------

    def _reached(self, record: Connect, sock: socket.socket | None) -> None:
        """Begin the conversation, or end the call where nobody could be reached."""
        self._reach = record  # the attempt is not kept: thousands wait at a time
        if sock is None:
            if self._ended is not None and not self._ended.done():
                self._ended.set_result(None)
            return
        try:
            self._sock = sock
            self._stands = True
            if self._connected is not None:
                self._connected.set()
            self._line = Line(self._loop, sock, self)
            self._stirred = self._clock()
            self._perform(self._conversation.connected(self._stirred, record.local_ip or self._ip))
        except Exception as bug:  # noqa: BLE001  # whatever it is, it goes to whoever awaits `run`
            self._failed(bug)

    def _failed(self, bug: Exception) -> None:
        """Let a bug of ours end the call as one.

        asyncio would log it, and the evidence would blame the peer for the silence after it.
        """
        if self._ended is not None and not self._ended.done():
            self._ended.set_exception(bug)
        self._hang_up(abort=True)

    def _guarded(self, callback: Callable[P, None]) -> Callable[P, None]:
        def guarded(*args: P.args, **kwargs: P.kwargs) -> None:
            try:
                callback(*args, **kwargs)
            except Exception as bug:  # noqa: BLE001  # whatever it is, it goes to whoever awaits `run`
                self._failed(bug)

        return guarded

    def received(self, data: bytes) -> None:
        """Take what came in clear: the path of nearly every byte."""
        try:
            self._stirred = self._clock()
            self._perform(self._conversation.received(data, self._stirred))
        except Exception as bug:  # noqa: BLE001  # as above
            self._failed(bug)

    def _received_by_wire(self, data: bytes) -> None:
        """Take what came over the wire, the reply to STARTTLS first."""
        talk = self._conversation
        asked = talk.awaiting is Stage.STARTTLS
        self._stirred = self._clock()
        actions = talk.received(data, self._stirred)
        if asked and self._wire is not None:
            self._unread += data
            if talk.awaiting is Stage.TLS:
                self._negotiating_since = self._clock()
                self._wire.hand_over(self._unread)
                self._unread = b""
            elif talk.awaiting is not Stage.STARTTLS:
                self._stop_upgrade()
        self._perform(actions)

    def lost(self, error: Exception | None) -> None:
        """Take the end of the connection, by the peer or by an error."""
        reset = isinstance(error, ConnectionError)
        detail: str | None = None
        if isinstance(error, ssl.SSLError):
            detail = tls_error(error.reason, str(error))
        elif isinstance(error, OSError):
            detail = errno_name(error.errno)
        try:
            self._perform(self._conversation.closed(self._clock(), reset=reset, detail=detail))
        except Exception as bug:  # noqa: BLE001  # as above
            self._failed(bug)

    def wake(self) -> None:
        """Look whether the time of anything is up (see `alarm`)."""
        self._alarm, self._alarm_due = None, inf
        if not isinstance(self._reach, Connect):
            self._wait_to_connect(self._reach)
            return
        try:
            if self._line is not None:
                self._line.catch_up()
            self._perform(self._conversation.timed_out(self._clock()))
            if not self._conversation.finished:
                self._look()
        except Exception as bug:  # noqa: BLE001  # as above
            self._failed(bug)

    def _wait_to_connect(self, attempt: reach.Attempt) -> None:
        now = self._clock()
        if attempt.due > now:
            self._set_alarm(attempt.due, now)
        else:
            attempt.give_up()

    def _look(self) -> None:
        """Look at a peer that has been silent for a while, at most once a second."""
        now = self._clock()
        self._look_due = max(self._look_due, self._stirred + SILENCE)
        if now >= self._look_due and self._sock is not None:
            self._look_due = now + SILENCE
            if self._watch is None:
                self._watch = Watch(self._sock)
            why = self._watch.look(now)
            if self._watch.ended_by is not None:
                self.lost(self._watch.ended_by)
            elif why is not None:
                self._perform(self._conversation.given_up(now, why))
        self._keep_awake()

    # --- actions -----------------------------------------------------------------------------------

    def _perform(self, actions: tuple[Action, ...]) -> None:
        for action in actions:
            if isinstance(action, Send):
                if self._wire is not None:
                    self._wire.send(action.line)
                elif self._line is not None:
                    self._line.send(action.line)
            elif isinstance(action, Close):
                self._hang_up(abort=action.abort)
            else:
                self._unread = b""
                self._upgrade = self._loop.create_task(self._negotiate())
        self._keep_awake()

    def _hang_up(self, *, abort: bool) -> None:
        if self._sock is not None and self._tcp is None:
            self._tcp = tcp.tcp_info(self._sock, self._clock())
        self._stop_upgrade()
        if self._line is not None:
            self._line.close()
            self._line = None
        transport = self._wire.transport if self._wire is not None else None
        if transport is not None:
            if not abort:
                transport.close()
            # Also after `close`: with TLS that would wait half a minute for the peer's close_notify. One turn
            # of the loop is enough for what was written, which uvloop sends only at the end of a turn.
            stream = cast("asyncio.Transport", transport)
            self._loop.call_soon(stream.abort)
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(None)

    def _stop_upgrade(self) -> None:
        if self._upgrade is not None:
            self._upgrade.cancel()
            self._upgrade = None

    def _keep_awake(self) -> None:
        """See to it that an alarm comes before the next thing that is due."""
        deadline = self._conversation.deadline
        if deadline is None:
            self._take_alarm_back()
            return
        if self._alarm_due <= deadline and self._alarm_due <= self._stirred + SILENCE:
            return  # as nearly always: it comes early, finds nothing due, and is set again
        due = min(deadline, max(self._look_due, self._stirred + SILENCE))
        if self._alarm_due > due:
            self._take_alarm_back()
            self._set_alarm(due, self._clock())

    def _set_alarm(self, due: float, now: float) -> None:
        self._alarm = alarm.wake(self._loop, self, max(0.0, due - now))
        self._alarm_due = due

    def _take_alarm_back(self) -> None:
        if self._alarm is not None:
            alarm.let_sleep(self._loop, self, self._alarm)
            self._alarm, self._alarm_due = None, inf

    # --- TLS ---------------------------------------------------------------------------------------

    async def _negotiate(self) -> None:
        """Carry out `StartTls`. A failure before the handshake is the conversation's to notice."""
        line, sock = self._line, self._sock
        if line is None or sock is None:  # hung up before this task began
            return
        # Only now: most of the time it is loaded already, and where nobody offers TLS it is not needed.
        from probe.net.wire import Wire  # noqa: PLC0415

        unsent = line.release()
        self._line = None
        wire = self._wire = Wire(
            self._loop, received=self._guarded(self._received_by_wire), lost=self._guarded(self.lost)
        )
        try:
            await self._loop.create_connection(lambda: wire, sock=sock)
        except OSError as error:  # the peer was gone before there was a transport
            sock.close()
            self.lost(error)
            return
        except BaseException:  # cancelled meanwhile: nobody else would close it
            if wire.transport is None:
                sock.close()
            raise
        if unsent:
            wire.send(unsent)
        limit = self._conversation.plan.reply_timeout + LIBRARY_GRACE
        failure = await wire.upgrade(self._server_name, limit)
        self._upgrade = None
        tls = wire.handshake(self._negotiating_since, self._clock(), failure)
        self._guarded(self._tls_done)(tls)

    def _tls_done(self, tls: Tls) -> None:
        self._perform(self._conversation.tls_done(tls))
