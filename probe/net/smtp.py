"""One connection to a mail host: a socket, aiosmtplib's protocol over it, and the conversation that leads.

The library carries the connection and upgrades it to TLS. It does not read replies for us: it drops what
comes unasked, joins what should stay apart, and would hide what we want to see. So every byte goes to the
conversation first; the library gets to see only the reply to STARTTLS, after the conversation has read it as
a 220, because its `start_tls` waits for one. Nothing but public names of the library is used.

One timer serves the conversation's deadline; it is moved lazily, so that a peer that sends byte by byte does
not cost a timer a byte.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import re
import ssl
from typing import TYPE_CHECKING, cast

from aiosmtplib.errors import SMTPException, SMTPServerDisconnected
from aiosmtplib.protocol import SMTPProtocol

from probe.core.conversation import Action, Close, Conversation, Send
from probe.core.failures import errno_name, tls_error
from probe.core.model import Connect, ConnectOutcome, Stage, Tls
from probe.net import reach

if TYPE_CHECKING:
    from collections.abc import Callable

    from probe.core.conversation import Plan
    from probe.core.model import Session

LIBRARY_GRACE = 1.0
"""Seconds by which the library's own timer comes later than ours, so that it is ours that ends the wait."""


_LABEL = re.compile(r"[A-Za-z0-9_-]{1,63}")


class Call:
    """One session with one mail host address, from the first SYN to the last FIN.

    Times are seconds of `clock`. `connected` is set when the TCP connection stands, and never if it fails.
    `server_name` is the host name for TLS (SNI), None if none is known. `run` may be called once.
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
        self._port = port
        self._connect_timeout = connect_timeout
        self._source = source
        self._clock = clock
        self._server_name = server_name
        self._conversation = Conversation(plan)
        self._connect: Connect | None = None
        self._started = clock()
        self._wire: _Wire | None = None
        self._ended: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due = 0.0
        self._upgrade: asyncio.Task[None] | None = None
        self._unread = bytearray()  # of the reply to STARTTLS, as long as it may not be a 220
        self._negotiating_since = 0.0

    async def run(self) -> Session:
        """Connect and converse; return the finished session. Only cancellation raises.

        Cancelled, it says QUIT where the peer can read it, closes, and leaves `session` cut short.
        """
        self._started = self._clock()
        try:
            self._connect, sock = await reach.connect(
                self._ip, self._port, timeout=self._connect_timeout, source=self._source, clock=self._clock
            )
        except asyncio.CancelledError:
            self._connect = self._so_far()
            raise
        if sock is None:
            return self.session()
        self.connected.set()
        loop = asyncio.get_running_loop()
        self._ended = loop.create_future()
        wire = self._wire = _Wire(loop, made=self._made, received=self._received, lost=self._lost)
        try:
            await loop.create_connection(lambda: wire, sock=sock)
            await self._ended
        except OSError as error:  # the peer was gone before there was a transport
            sock.close()
            self._lost(error)
        except asyncio.CancelledError:
            self._perform(self._conversation.interrupted(self._clock()))
            raise
        finally:
            if self._timer is not None:
                self._timer.cancel()
        return self.session()

    def session(self) -> Session:
        """Return what is known at this moment."""
        connect = self._connect or self._so_far()
        return self._conversation.session(connect, self._clock())

    def _so_far(self) -> Connect:
        return Connect(self._started, self._clock(), ConnectOutcome.CUT_SHORT)

    # --- events, from the wire ---------------------------------------------------------------------

    def _made(self) -> None:
        local_ip = self._connect.local_ip if self._connect is not None else None
        self._perform(self._conversation.connected(self._clock(), local_ip or self._ip))

    def _received(self, data: bytes) -> None:
        talk = self._conversation
        asked = talk.awaiting is Stage.STARTTLS
        actions = talk.received(data, self._clock())
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
        # A transport that is closing tells so by itself, a moment later and with the reason. (That of uvloop
        # raises RuntimeError when it is cancelled while it opens.)
        if self._wire is not None:
            with contextlib.suppress(SMTPServerDisconnected, RuntimeError):
                self._wire.write(line)

    def _hang_up(self, *, abort: bool) -> None:
        self._stop_upgrade()
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
            self._timer = asyncio.get_running_loop().call_later(delay, self._on_timer)
            self._timer_due = deadline

    # --- TLS ---------------------------------------------------------------------------------------

    async def _negotiate(self) -> None:
        """Carry out `StartTls`. A failure before the handshake is the conversation's to notice."""
        wire = self._wire
        if wire is None:
            return
        limit = self._conversation.plan.reply_timeout + LIBRARY_GRACE
        try:
            await wire.start_tls(_tls_context(), server_hostname=_sni(self._server_name), timeout=limit)
        except (SMTPException, OSError, ValueError, RuntimeError) as error:
            tls = Tls(self._negotiating_since, self._clock(), ok=False, error=_tls_failure(error))
        else:
            tls = _tls_success(wire, self._negotiating_since, self._clock())
        self._upgrade = None
        self._perform(self._conversation.tls_done(tls))


class _Wire(SMTPProtocol):
    """The library's protocol, telling its owner every event of the transport."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        made: Callable[[], None],
        received: Callable[[bytes], None],
        lost: Callable[[Exception | None], None],
    ) -> None:
        super().__init__(loop=loop)
        self._made = made
        self._received = received
        self._lost = lost

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._made()

    def data_received(self, data: bytes) -> None:
        self._received(data)

    def hand_over(self, data: bytes) -> None:
        """Let the library read the reply to its STARTTLS."""
        super().data_received(data)

    def eof_received(self) -> bool:
        self._lost(None)
        return super().eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._lost(exc)


def _tls_success(wire: _Wire, started: float, ended: float) -> Tls:
    transport = wire.transport
    session: ssl.SSLObject | None = transport.get_extra_info("ssl_object") if transport else None
    if session is None:
        return Tls(started, ended, ok=False, error="the connection was closed after the handshake")
    der = session.getpeercert(binary_form=True)
    cipher = session.cipher()
    return Tls(
        started,
        ended,
        ok=True,
        version=session.version(),
        cipher=cipher[0] if cipher else None,
        certificate=ssl.DER_cert_to_PEM_cert(der) if der else None,
    )


def _tls_failure(error: Exception) -> str:
    cause: BaseException = error.__cause__ or error  # the library wraps what the network did
    if isinstance(cause, ssl.SSLError):
        return tls_error(cause.reason, cause.strerror or str(cause))
    if isinstance(cause, ConnectionResetError):
        return "the peer closed the connection during the handshake"
    return str(cause) or type(cause).__name__


@functools.cache
def _tls_context() -> ssl.SSLContext:
    """Return the context of an opportunistic client (RFC 7435): any peer that encrypts at all is welcome.

    A mail host that mail servers can talk to must not fail here: Exim verifies no certificate by default, and
    old hosts have TLS 1.0, small keys or no secure renegotiation. What was agreed on is in the evidence.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    # Not `TLSv1` by name, which is deprecated; SSL 2 and 3 stay off by OP_NO_SSLv3, Python's default.
    with contextlib.suppress(ValueError, ssl.SSLError):  # a distribution may forbid it
        context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    with contextlib.suppress(ssl.SSLError):  # OpenSSL calls it a security level, LibreSSL has none
        context.set_ciphers("ALL:!aNULL:!eNULL:@SECLEVEL=0")
    context.options |= getattr(ssl, "OP_LEGACY_SERVER_CONNECT", 0x4)  # named since Python 3.12
    return context


def _sni(name: str | None) -> str | None:
    """Return the host name for SNI (RFC 6066 3), or None: going without it is better than failing over it."""
    name = (name or "").rstrip(".")
    labels = name.split(".")
    usable = all(_LABEL.fullmatch(label) for label in labels) and not labels[-1].isdigit()
    return name if usable else None
