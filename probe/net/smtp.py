"""One connection to a mail host: a socket, aiosmtplib's protocol over it, and the conversation that leads.

The library carries the connection and upgrades it to TLS. It does not read replies for us: it drops what
comes unasked, joins what should stay apart, and would hide what we want to see. So every byte goes to the
conversation first; the library gets to see only the reply to STARTTLS, after the conversation has read it as
a 220, because its `start_tls` waits for one. Nothing but public names of the library is used.

One timer serves the conversation's deadline; it is moved lazily, so that a peer that sends byte by byte does
not cost a timer a byte. A second one fires when the peer has been silent for a second, and then each second:
it looks what the kernel knows of the silence (`watch`).
"""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING, ParamSpec, cast

from probe.core.conversation import Action, Close, Conversation, Send
from probe.core.failures import errno_name, tls_error
from probe.core.model import Purpose, Stage
from probe.net import reach, tcp
from probe.net.watch import Watch

if TYPE_CHECKING:
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
    """One session with one mail host address, from the first SYN to the last FIN.

    Times are seconds of `clock`. `connected` is set when the TCP connection stands, and never if it fails.
    `server_name` is the host name for TLS (SNI), None if none is known. The purpose `SMALL_SEGMENTS` of the
    plan is carried out here. `run` may be called once.
    """

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
    ) -> None:
        self.connected = asyncio.Event()
        self._ip = ip
        self._clock = clock
        self._server_name = server_name
        self._conversation = Conversation(plan)
        small = plan.purpose is Purpose.SMALL_SEGMENTS
        self._attempt = reach.Attempt(
            ip,
            port,
            timeout=connect_timeout,
            source=source,
            clock=clock,
            mss=tcp.SMALL_MSS[tcp.family_of(ip)] if small else None,
        )
        self._wire: Wire | None = None
        self._ended: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due = 0.0
        self._upgrade: asyncio.Task[None] | None = None
        self._unread = bytearray()  # of the reply to STARTTLS, as long as it may not be a 220
        self._negotiating_since = 0.0
        self._watch: Watch | None = None
        self._look: asyncio.TimerHandle | None = None
        self._stirred = 0.0  # when the peer was last heard
        self._tcp: TcpInfo | None = None  # at the end

    async def run(self) -> Session:
        """Connect and converse; return the finished session. Only cancellation, and a bug of ours, raises.

        Cancelled, it says QUIT where the peer can read it, closes, and leaves `session` cut short.
        """
        _, sock = await self._attempt.run()
        if sock is None:
            return self.session()
        self.connected.set()
        self._watch = Watch(sock)
        loop = asyncio.get_running_loop()
        self._ended = loop.create_future()
        # Loaded only now: the greeting takes a round trip to come, and the library about as long to load.
        from probe.net.wire import Wire  # noqa: PLC0415

        wire = self._wire = Wire(
            loop,
            made=self._guarded(self._made),
            received=self._guarded(self._received),
            lost=self._guarded(self._lost),
        )
        try:
            await loop.create_connection(lambda: wire, sock=sock)
            await self._ended
        except OSError as error:  # the peer was gone before there was a transport
            self._lost(error)
            sock.close()
        except asyncio.CancelledError:
            self._perform(self._conversation.interrupted(self._clock()))
            raise
        finally:
            for timer in (self._timer, self._look):
                if timer is not None:
                    timer.cancel()
        return self.session()

    def give_up(self) -> None:
        """Wait no longer for the connection: if it does not stand yet, it has timed out."""
        self._attempt.give_up()

    def session(self) -> Session:
        """Return what is known at this moment."""
        now = self._clock()
        connect = self._attempt.so_far()
        if self._watch is None:
            return self._conversation.session(connect, now)
        info = self._watch.tcp_info(now) if self._tcp is None else self._tcp
        return self._conversation.session(connect, now, tcp=info, soft_error=self._watch.soft_error)

    # --- events, from the wire ---------------------------------------------------------------------

    def _guarded(self, callback: Callable[P, None]) -> Callable[P, None]:
        """Let a bug of ours end the call as one.

        asyncio would log it and close the connection, and the evidence would blame the peer for that.
        """

        def guarded(*args: P.args, **kwargs: P.kwargs) -> None:
            try:
                callback(*args, **kwargs)
            except Exception as bug:  # noqa: BLE001  # whatever it is, it goes to whoever awaits `run`
                if self._ended is not None and not self._ended.done():
                    self._ended.set_exception(bug)
                self._hang_up(abort=True)

        return guarded

    def _made(self) -> None:
        self._stirred = self._clock()
        local_ip = self._attempt.so_far().local_ip
        self._perform(self._conversation.connected(self._stirred, local_ip or self._ip))
        self._look_in(SILENCE)

    def _received(self, data: bytes) -> None:
        talk = self._conversation
        asked = talk.awaiting is Stage.STARTTLS
        self._stirred = self._clock()
        actions = talk.received(data, self._stirred)
        if asked and self._wire is not None:
            self._unread += data
            if talk.awaiting is Stage.TLS:
                self._negotiating_since = self._clock()
                self._wire.hand_over(bytes(self._unread))
                self._unread.clear()
            elif talk.awaiting is not Stage.STARTTLS:
                self._stop_upgrade()
        self._perform(actions)

    def _lost(self, error: Exception | None) -> None:
        reset = isinstance(error, ConnectionError)
        detail: str | None = None
        if isinstance(error, ssl.SSLError):
            detail = tls_error(error.reason, str(error))
        elif isinstance(error, OSError):
            detail = errno_name(error.errno)
        self._perform(self._conversation.closed(self._clock(), reset=reset, detail=detail))

    def _on_timer(self) -> None:
        self._timer = None
        self._perform(self._conversation.timed_out(self._clock()))

    def _on_look(self) -> None:
        now = self._clock()
        left = self._stirred + SILENCE - now
        if self._watch is None or self._conversation.finished or left > 0:
            self._look_in(left)
            return
        self._look_in(SILENCE)
        why = self._watch.look(now)
        if self._watch.ended_by is not None:
            self._lost(self._watch.ended_by)
        elif why is not None:
            self._perform(self._conversation.given_up(now, why))

    def _look_in(self, seconds: float) -> None:
        if not self._conversation.finished:
            loop = asyncio.get_running_loop()
            self._look = loop.call_later(seconds, self._guarded(self._on_look))

    # --- actions -----------------------------------------------------------------------------------

    def _perform(self, actions: tuple[Action, ...]) -> None:
        for action in actions:
            if isinstance(action, Send):
                self._write(action.line)
            elif isinstance(action, Close):
                self._hang_up(abort=action.abort)
            else:
                self._unread.clear()
                self._upgrade = asyncio.get_running_loop().create_task(self._negotiate())
        self._set_timer()

    def _write(self, line: bytes) -> None:
        if self._wire is not None:
            self._wire.send(line)

    def _hang_up(self, *, abort: bool) -> None:
        self._stop_upgrade()
        if self._watch is not None and self._tcp is None:
            self._tcp = self._watch.tcp_info(self._clock())
        transport = self._wire.transport if self._wire is not None else None
        if transport is not None:
            if not abort:
                transport.close()
            # Also after `close`: with TLS that would wait half a minute for the peer's close_notify. One turn
            # of the loop is enough for what was written, which uvloop sends only at the end of a turn.
            stream = cast("asyncio.Transport", transport)
            asyncio.get_running_loop().call_soon(stream.abort)
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(None)

    def _stop_upgrade(self) -> None:
        if self._upgrade is not None:
            self._upgrade.cancel()
            self._upgrade = None

    def _set_timer(self) -> None:
        deadline = self._conversation.deadline
        if self._timer is not None:
            if deadline is not None and self._timer_due <= deadline:
                return  # it fires early, finds nothing due, and is set again
            self._timer.cancel()
            self._timer = None
        if deadline is not None:
            delay = max(0.0, deadline - self._clock())
            self._timer = asyncio.get_running_loop().call_later(delay, self._guarded(self._on_timer))
            self._timer_due = deadline

    # --- TLS ---------------------------------------------------------------------------------------

    async def _negotiate(self) -> None:
        """Carry out `StartTls`. A failure before the handshake is the conversation's to notice."""
        wire = self._wire
        if wire is None:
            return
        limit = self._conversation.plan.reply_timeout + LIBRARY_GRACE
        error = await wire.upgrade(self._server_name, limit)
        self._upgrade = None
        tls = wire.handshake(self._negotiating_since, self._clock(), error)
        self._guarded(self._tls_done)(tls)

    def _tls_done(self, tls: Tls) -> None:
        self._perform(self._conversation.tls_done(tls))
