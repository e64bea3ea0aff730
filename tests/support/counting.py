"""A mail host that counts: when its connections begin and end, what each of them says, how many are open at once."""

from __future__ import annotations

import asyncio
import time
from itertools import pairwise
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable


class Visit:
    """One connection: monotonic times, and the command lines in order."""

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.ended: float | None = None
        self.commands: list[str] = []

    @property
    def asked(self) -> list[str]:
        """The mailboxes of its RCPT commands."""
        return [line[9:].strip("<>") for line in self.commands if line.upper().startswith("RCPT TO:")]

    @property
    def said_quit(self) -> bool:
        """Whether its last word was QUIT."""
        return bool(self.commands) and self.commands[-1].upper() == "QUIT"


class CountingHost:
    """A mail host on one loopback address that accepts everything, except what `answer` says otherwise.

    `answer` gets the number of the connection (from 1) and a command line, "" for the greeting; what it returns is
    sent instead of the usual reply, None leaves that as it is. A reply 421 ends the connection. `delay` is the seconds
    before each reply, or gives them for the number and the line.
    """

    def __init__(
        self,
        ip: str,
        answer: Callable[[int, str], str | None] | None = None,
        *,
        pipelining: bool = True,
        delay: float | Callable[[int, str], float] = 0.0,
    ) -> None:
        self.ip = ip
        self.visits: list[Visit] = []
        self.most_at_once = 0
        self._answer = answer or (lambda _number, _line: None)
        self._offer = b"250-mail.example\r\n250 PIPELINING\r\n" if pipelining else b"250 mail.example\r\n"
        self._delay = delay
        self._open = 0
        self._server: asyncio.Server

    async def start(self, port: int = 0) -> int:
        """Take the port (any free one for 0) and return it."""
        self._server = await asyncio.start_server(self._serve, self.ip, port)
        found: int = self._server.sockets[0].getsockname()[1]
        return found

    async def stop(self) -> None:
        """Give the port back."""
        self._server.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def least_gap(self) -> float:
        """The shortest time between the beginnings of two connections, in seconds."""
        began = sorted(visit.began for visit in self.visits)
        return min((after - before for before, after in pairwise(began)), default=float("inf"))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        visit = Visit()
        self.visits.append(visit)
        number = len(self.visits)
        self._open += 1
        self.most_at_once = max(self.most_at_once, self._open)
        try:
            line = ""
            while True:
                delay = self._delay
                await asyncio.sleep(delay(number, line) if callable(delay) else delay)
                reply = self._answer(number, line)
                text = f"{reply}\r\n".encode() if reply is not None else self._usual(line)
                writer.write(text)
                await writer.drain()
                if line.upper() == "QUIT" or text.startswith(b"421"):
                    break
                received = await reader.readline()
                if not received:
                    break
                line = received.decode("latin-1").rstrip("\r\n")
                visit.commands.append(line)
        except ConnectionError:
            pass
        finally:
            self._open -= 1
            visit.ended = time.monotonic()
            writer.close()

    def _usual(self, line: str) -> bytes:
        verb = line.upper()[:4]
        if not verb:
            return b"220 mail.example ESMTP\r\n"
        if verb == "EHLO":
            return self._offer
        if verb == "QUIT":
            return b"221 2.0.0 Bye\r\n"
        return b"250 2.1.5 Ok\r\n" if verb in {"MAIL", "RCPT", "RSET"} else b"500 5.5.2 What?\r\n"
