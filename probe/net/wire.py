"""The connection as aiosmtplib carries it: the upgrade to TLS, and everything after it.

A module of its own because the library takes a while to load: `smtp` imports it when a peer offers STARTTLS, and a
front end that has time while the greeting is on its way loads it before.
"""

from __future__ import annotations

import contextlib
import functools
import re
import ssl
from typing import TYPE_CHECKING

from aiosmtplib.errors import SMTPException, SMTPServerDisconnected
from aiosmtplib.protocol import SMTPProtocol

from probe.core.failures import tls_error
from probe.core.model import Tls

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

_LABEL = re.compile(r"[A-Za-z0-9_-]{1,63}")


class Wire(SMTPProtocol):
    """The library's protocol, telling its owner every event of the transport.

    `received` and `lost` are called for what asyncio tells a protocol; `lost` perhaps more than once.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        received: Callable[[bytes], None],
        lost: Callable[[Exception | None], None],
    ) -> None:
        super().__init__(loop=loop)
        self._received = received
        self._lost = lost

    def data_received(self, data: bytes) -> None:
        self._received(data)

    def hand_over(self, data: bytes) -> None:
        """Let the library read the reply to its STARTTLS."""
        super().data_received(data)

    def send(self, line: bytes) -> None:
        """Write; a transport that is closing tells so by itself, a moment later and with the reason.

        (That of uvloop raises RuntimeError when it is cancelled while it opens.)
        """
        with contextlib.suppress(SMTPServerDisconnected, RuntimeError):
            self.write(line)

    async def upgrade(self, server_name: str | None, limit: float) -> Exception | None:
        """Send STARTTLS and negotiate, within `limit` seconds; return what went wrong, None if nothing."""
        try:
            await self.start_tls(_tls_context(), server_hostname=_sni(server_name), timeout=limit)
        except (SMTPException, OSError, ValueError, RuntimeError) as error:
            return error
        return None

    def handshake(self, started: float, ended: float, error: Exception | None) -> Tls:
        """Describe the handshake that `upgrade` ended; times are the owner's."""
        if error is not None:
            return Tls(started, ended, ok=False, error=_tls_failure(error))
        session: ssl.SSLObject | None = (
            self.transport.get_extra_info("ssl_object") if self.transport else None
        )
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

    def eof_received(self) -> bool:
        self._lost(None)
        return super().eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._lost(exc)


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
