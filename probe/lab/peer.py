"""Scripted mail hosts on real sockets, for `probe-sender demo` and for the tests.

What a host does is written in the language of `probe.lab.script`; a script that runs out answers QUIT and
expects nothing else. A host also watches its client and writes a complaint for whatever no callout may do:
DATA or BDAT, bytes before the greeting, bytes in clear behind STARTTLS, a command that the script did not
expect, hanging up without QUIT while the host was waiting for a command.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections import deque
from typing import TYPE_CHECKING

from probe.lab.script import Act, Override, Script, ScriptError, Step, parse_script

if TYPE_CHECKING:
    import ssl

__all__ = ["HUNG_UP", "Peer", "Script", "ScriptError", "Seen", "parse_script"]

GRACE = 0.5
"""Seconds that a stopping host gives its connections to end by themselves: what the client has already
sent (its QUIT, its FIN) is still on its way through the event loop."""
HUNG_UP = "hung up without QUIT"
"""The complaint about a client that left while the host was waiting for a command."""
TLS_LIMIT = 5.0
"""Seconds for a TLS handshake; on loopback it takes a few milliseconds, so only a stuck client meets it."""


class Seen:
    """What one connection brought: the bytes, the command lines among them, and what was wrong."""

    def __init__(self) -> None:
        self.received = b""
        self.commands: list[str] = []
        self.complaints: list[str] = []

    @property
    def said_quit(self) -> bool:
        """Whether the client ended the conversation as RFC 5321 4.1.1.10 asks."""
        return any(command.upper().startswith("QUIT") for command in self.commands)


class _Over(Exception):  # noqa: N818 - no error: the way out of a script
    """The script has come to its end."""


class _Gone(_Over):
    """The client has left."""


_ANSWERS = {
    "EHLO": b"250 mail.example\r\n",
    "HELO": b"250 mail.example\r\n",
    "MAIL": b"250 2.1.0 Ok\r\n",
    "RCPT": b"250 2.1.5 Ok\r\n",
    "RSET": b"250 2.0.0 Ok\r\n",
    "NOOP": b"250 2.0.0 Ok\r\n",
    "VRFY": b"252 2.5.0 Send it and see\r\n",
    "STARTTLS": b"502 5.5.1 TLS is not available\r\n",
    "QUIT": b"221 2.0.0 Bye\r\n",
}
_OFFER = b"250-mail.example\r\n250 STARTTLS\r\n"
_READY = b"220 2.0.0 Ready to start TLS\r\n"
_OUT_OF_ORDER = b"503 5.5.1 Bad sequence of commands\r\n"
_UNKNOWN = b"500 5.5.2 Command not recognised\r\n"
_UNEXPECTED = b"500 5.5.1 unexpected\r\n"
_GARBAGE = b"I do not speak TLS\r\n"


class _Connection(asyncio.Protocol):
    """Runs one section of a script on one connection and watches what the client does meanwhile."""

    def __init__(self, steps: tuple[Step, ...], tls: ssl.SSLContext | None, seen: Seen) -> None:
        self.steps = steps
        self.tls = tls
        self.seen = seen
        self.task: asyncio.Task[None] | None = None
        self._transport: asyncio.Transport
        self._lines: deque[str] = deque()
        self._buffer = b""
        self._stir = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()
        self._gone = False
        self._greeted = False
        self._opaque = False
        self._secure = False
        self._overrides: list[Override] = []
        self._sender: str | None = None

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - narrows the type; TCP gives no other
        self._transport = transport
        self.task = asyncio.get_running_loop().create_task(self._run())

    def data_received(self, data: bytes) -> None:
        self.seen.received += data
        if not self._greeted:
            self._complain(f"talked before the greeting: {data[:40]!r}")
        if not self._opaque:
            *lines, self._buffer = (self._buffer + data).split(b"\n")
            for line in lines:
                self._take(line.removesuffix(b"\r").decode(errors="backslashreplace"))
        self._stir.set()

    def eof_received(self) -> None:
        self._leave()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the signature is asyncio's
        self._leave()

    def abort(self) -> None:
        """Drop the socket at once; a TLS transport would wait half a minute for the other's close_notify."""
        self._transport.abort()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def _leave(self) -> None:
        self._gone = True
        self._stir.set()
        self._writable.set()

    def _take(self, line: str) -> None:
        self.seen.commands.append(line)
        self._lines.append(line)
        if line[:4].upper() in {"DATA", "BDAT"}:
            self._complain(f"{line[:4].upper()} was sent; a callout never sends mail")

    def _complain(self, text: str) -> None:
        self.seen.complaints.append(text)

    # The script.

    async def _run(self) -> None:
        try:
            for step in self.steps:
                await self._perform(step)
            await self._expect("QUIT")
            self._send(_ANSWERS["QUIT"])
        except _Over:
            pass
        except asyncio.CancelledError:
            self._complain("the connection was still open when the host was stopped")
            self._transport.abort()
            raise
        finally:
            self._transport.close()

    async def _perform(self, step: Step) -> None:
        match step.act:
            case Act.SEND:
                self._send(step.data)
            case Act.EXPECT:
                await self._expect(step.prefix)
            case Act.SLEEP:
                await self._sleep(step.seconds)
            case Act.DRIP:
                await self._drip(step.data, step.seconds)
            case Act.FLOOD:
                await self._flood(step.data)
            case Act.TLS:
                await self._handshake()
            case Act.TLS_GARBAGE:
                await self._refuse_handshake()
            case Act.CLOSE:
                raise _Over
            case Act.RESET:
                self._reset()
            case Act.SILENCE:
                await self._until_gone()
            case Act.REPLY | Act.GOOD:
                if step.override:
                    self._overrides.append(step.override)
                if step.act is Act.GOOD:
                    await self._behave()

    def _send(self, data: bytes) -> None:
        # Greeted first: the client may answer as soon as the bytes are out.
        self._greeted = True
        if self._transport.is_closing():
            raise _Gone
        self._transport.write(data)

    async def _command(self) -> str:
        while not self._lines:
            if self._gone:
                if not self.seen.said_quit:
                    self._complain(HUNG_UP)
                raise _Gone
            await self._wait()
        return self._lines.popleft()

    async def _wait(self) -> None:
        self._stir.clear()
        await self._stir.wait()

    async def _until_gone(self) -> None:
        while not self._gone:
            await self._wait()
        raise _Gone

    async def _sleep(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._until_gone()

    async def _expect(self, prefix: str) -> None:
        command = await self._command()
        if not command.upper().startswith(prefix):
            self._complain(f"expected {prefix}, got {command}")
            self._send(_ANSWERS["QUIT"] if command.upper().startswith("QUIT") else _UNEXPECTED)
            raise _Over

    async def _drip(self, data: bytes, interval: float) -> None:
        # Not `_send` but for the last byte: a client that talks before it does not wait for the greeting.
        for octet in data[:-1]:
            self._transport.write(bytes([octet]))
            await self._sleep(interval)
        self._send(data[-1:])

    async def _flood(self, data: bytes) -> None:
        burst = data * (1 + 4096 // len(data))
        while not (self._gone or self._transport.is_closing()):
            self._transport.write(burst)
            await self._writable.wait()
            # A client that reads as fast as this writes must not keep the loop from serving the others.
            await asyncio.sleep(0)
        raise _Gone

    def _reset(self) -> None:
        # A zero linger time makes close(2) send RST instead of FIN (socket(7)).
        self._transport.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )
        self._transport.abort()
        raise _Over

    async def _handshake(self) -> None:
        if self.tls is None:
            self._complain("the script asks for TLS, but the host was given no context")
            raise _Over
        if self._lines or self._buffer:
            # RFC 3207 4.2: nothing may be said between STARTTLS and the handshake.
            self._complain(f"sent {[*self._lines, self._buffer]!r} in clear behind STARTTLS")
            self._lines.clear()
            self._buffer = b""
        loop = asyncio.get_running_loop()
        try:
            secure = await loop.start_tls(
                self._transport, self, self.tls, server_side=True, ssl_handshake_timeout=TLS_LIMIT
            )
        except OSError as error:  # ssl.SSLError and every reset are among these
            self._complain(f"the TLS handshake failed: {error}")
            raise _Over from None
        if secure is None:
            raise _Gone
        self._transport = secure
        self._secure = True

    async def _refuse_handshake(self) -> None:
        self._opaque = True
        before = len(self.seen.received)
        while len(self.seen.received) == before and not self._gone:
            await self._wait()
        self._send(_GARBAGE)
        raise _Over

    # The well-behaved server.

    async def _behave(self) -> None:
        if not self._greeted:
            self._send(b"220 mail.example ESMTP\r\n")
        # Order is watched only by a server that saw the whole conversation, not half a script of it.
        strict = not self.seen.commands
        while True:
            command = await self._command()
            verb, argument = _split(command)
            reply = self._answer(verb, argument, strict=strict)
            self._send(reply)
            if verb == "QUIT" or reply.startswith(b"421"):
                raise _Over
            accepted = reply.startswith(b"2")
            if verb == "MAIL" and accepted:
                self._sender = argument
            elif verb in {"RSET", "EHLO", "HELO"}:
                self._sender = None
            elif verb == "STARTTLS" and reply == _READY:
                await self._handshake()

    def _answer(self, verb: str, argument: str, *, strict: bool) -> bytes:
        # RFC 5321 4.1.4: no RCPT outside a mail transaction, no MAIL inside one.
        if strict and (
            self._sender is None if verb == "RCPT" else verb == "MAIL" and self._sender is not None
        ):
            return _OUT_OF_ORDER
        fitting = [each for each in self._overrides if each.fits(verb, argument, self._sender)]
        if fitting:
            # The one that says most about when it holds.
            return max(fitting, key=lambda each: (each.argument is not None, each.sender is not None)).reply
        if self.tls is not None and not self._secure:
            if verb == "EHLO":
                return _OFFER
            if verb == "STARTTLS":
                return _READY
        return _ANSWERS.get(verb, _UNKNOWN)


def _split(command: str) -> tuple[str, str]:
    """Verb in upper case, and the path inside `<...>`, or else what follows the verb."""
    verb, _, rest = command.partition(" ")
    start, end = rest.find("<"), rest.rfind(">")
    return verb.upper(), rest[start + 1 : end] if 0 <= start < end else rest.strip()


class Peer:
    """A mail host at `ip` that follows a script; `connections` tells what its clients did, in order."""

    def __init__(
        self, script: str | Script, *, ip: str = "127.0.0.1", tls: ssl.SSLContext | None = None
    ) -> None:
        self.script = parse_script(script) if isinstance(script, str) else script
        self.ip = ip
        self.tls = tls
        self.connections: list[Seen] = []
        self._live: list[_Connection] = []
        self._server: asyncio.Server | None = None

    @property
    def complaints(self) -> list[str]:
        """Everything that was wrong on any connection."""
        return [text for seen in self.connections for text in seen.complaints]

    async def start(self, port: int = 0) -> int:
        """Listen; returns the port (a free one for 0). Raises `OSError` when the port is taken."""
        self._server = await asyncio.get_running_loop().create_server(self._accept, self.ip, port)
        bound: int = self._server.sockets[0].getsockname()[1]
        return bound

    def _accept(self) -> _Connection:
        seen = Seen()
        self.connections.append(seen)
        sections = self.script.sections
        connection = _Connection(sections[min(len(self.connections), len(sections)) - 1], self.tls, seen)
        self._live.append(connection)
        return connection

    async def stop(self) -> None:
        """Stop listening, let what is under way end for a moment, and end the rest."""
        if self._server is None:
            return
        # What is accepted comes to life within three turns of the loop: accept, protocol, connection_made.
        for _ in range(3):
            await asyncio.sleep(0)
        self._server.close()
        tasks = [connection.task for connection in self._live if connection.task is not None]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=GRACE)
            for task in late:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for connection in self._live:
            connection.abort()
        await self._server.wait_closed()
        # One more turn of the loop lets the transports close their sockets.
        await asyncio.sleep(0)
        self._server = None
