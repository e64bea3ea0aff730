"""The connection in clear: a connected socket on the event loop, and nothing between it and its owner.

asyncio's own transports cost more than the whole conversation: each takes a quarter of a megabyte to read twenty
bytes, and half a dozen objects and turns of the loop to begin and to end. A callout sends lines that always fit the
socket's buffer and reads answers that fit one segment, so to know when it is `ready`, `recv` and `send` are all it
needs. What must be encrypted goes on with aiosmtplib (`wire`), to which the socket is released.

An error that `send` meets is kept until everything that came before it has been read: a peer's last words are often
why it hung up. The socket is closed at once, because what was sent is the kernel's already.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from probe.net import ready
from probe.net.ready import READ, WRITE

if TYPE_CHECKING:
    import asyncio
    import socket

CHUNK = 16384
"""Octets that are read at once. A reply has some hundred; larger buffers cost the kernel's time to map them."""

READS = 64
"""Times that this is done to catch up: a peer that sends faster than we read is no silent one."""


class Owner(Protocol):
    """Whom a line tells."""

    def received(self, data: bytes) -> None:
        """Take what came."""

    def lost(self, error: OSError | None) -> None:
        """Take it that the connection has ended: None for a FIN, and the error for anything else."""


class Line:
    """One socket, telling its owner what came and, once, that it ended.

    The socket comes from `reach`, watched. It is the owner's again after `release`, and closed after `close`; from
    either on nothing more is told.
    """

    __slots__ = ("_error", "_fd", "_full", "_owner", "_ready", "_sock", "_unsent")

    def __init__(self, loop: asyncio.AbstractEventLoop, sock: socket.socket, owner: Owner) -> None:
        self._ready = ready.of(loop)
        self._sock = sock
        self._fd = sock.fileno()
        self._owner = owner
        self._unsent = b""
        self._full = False  # the kernel, when it was last asked
        self._error: OSError | None = None  # of a `send`
        self._ready.hand_over(self._fd, READ, self._told)

    def send(self, data: bytes) -> None:
        """Write `afterwards` (see `ready`), and what the kernel has no room for when it has."""
        if self._fd < 0 or self._error is not None:
            return
        if self._unsent:  # it goes the way of what is there
            self._unsent += data
        else:
            self._unsent = data
            self._ready.afterwards(self._write)

    def release(self) -> bytes:
        """Let go of the socket, and return what could not be sent yet; what has come is still to be read from it."""
        if self._fd >= 0:
            self._ready.drop(self._fd)
            self._fd = -1
        return self._unsent

    def close(self) -> None:
        """Close; what was not sent yet gets one last chance."""
        if self._fd >= 0:
            rest = self.release()
            if rest:
                self._sent(rest)
            self._sock.close()

    def catch_up(self) -> None:
        """Read all that has come: who looks at the clock late must not blame the peer for what it said in time."""
        for _ in range(READS):
            if self._fd < 0 or not self._read():
                return

    def _told(self, events: int) -> None:
        if events & WRITE and self._full:
            self._write()
        if events & ~WRITE:
            self._read()

    def _read(self) -> bool:
        """Read once, and return whether there was something: bytes, the end, or an error."""
        try:
            data = self._sock.recv(CHUNK)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError as error:
            self._end(error)
            return True
        if data:
            self._owner.received(data)
        else:
            self._end(self._error)
        return True

    def _write(self) -> None:
        if self._fd < 0:
            return
        self._unsent = self._unsent[self._sent(self._unsent) :]
        if bool(self._unsent) is not self._full:
            self._full = not self._full
            self._ready.change(self._fd, READ | WRITE if self._full else READ)

    def _sent(self, data: bytes) -> int:
        """Send what the kernel takes and return how much that was."""
        try:
            return self._sock.send(data)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError as error:  # the peer has gone; reading tells, after its last words
            self._error = error
            return len(data)

    def _end(self, error: OSError | None) -> None:
        self.release()
        self._owner.lost(error)
        self._sock.close()
