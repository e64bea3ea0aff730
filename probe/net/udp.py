"""Queries over UDP without a task each: a socket that many share, or one for each query.

A datagram is taken from the socket in the loop's reader callback, up to `DRAINED` of them at a wake-up. asyncio's own
transport takes one at a wake-up, into a new buffer of 256 KiB, and both cost more than reading the answer does.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from probe.core.model import DnsOutcome
from probe.net.dns_meaning import Response
from probe.net.early import connected_udp
from probe.net.resolve import MAX_STRAYS, draw_id, only_strays, unreachable

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from probe.net.dns_question import Question
    from probe.net.dns_rounds import Server

    Done = Callable[[Response], None]

DRAINED = 64
"""Datagrams that are taken at a wake-up before others have their turn."""

_RECEIVE = 65535
"""Octets of the largest datagram; up to 128 KiB the C library has such a buffer at hand."""
_WAITING = 1 << 20
"""Octets of answers that may wait in the kernel (SO_RCVBUF of socket(7), which grants no more than rmem_max): the
answers to five hundred queries may come at once, and its usual buffer holds 250."""


class Exchange:
    """One query that is under way. `done` is called once with what came of it, unless it is cancelled before."""

    __slots__ = ("_drop", "done", "number", "question", "strays", "timer")

    def __init__(self, question: Question, number: int, done: Done, drop: Callable[[Exchange], None]) -> None:
        self.question = question
        self.number = number
        self.done = done
        self.strays = 0
        self.timer: asyncio.TimerHandle | None = None
        self._drop = drop

    def wait(self, loop: asyncio.AbstractEventLoop, limit: float) -> None:
        """End it as a time-out after so many seconds."""
        self.timer = loop.call_later(limit, self._expire)

    def take(self, wire: bytes) -> None:
        """Take a datagram with this id; one that does not answer the query is passed over, within bounds."""
        response = self.question.read(self.number, wire)
        if response is not None:
            self.end(response)
        else:
            self.stray()

    def stray(self) -> None:
        """Count a datagram that does not answer the query."""
        self.strays += 1
        if self.strays >= MAX_STRAYS:
            self.end(only_strays(self.strays))

    def end(self, response: Response) -> None:
        """Tell what came of it."""
        self.cancel()
        self.done(response)

    def cancel(self) -> None:
        """Give it up."""
        if self.timer is not None:
            self.timer.cancel()
        self._drop(self)

    def _expire(self) -> None:
        # A server that speaks, but not DNS with us, is not silent.
        self.end(only_strays(self.strays) if self.strays else Response(DnsOutcome.TIMEOUT))


class SharedSocket:
    """One socket for all queries to a server on this host.

    Connected, so that the kernel drops what others send; the answers are told apart by id and question. The ids are
    random and unique among those under way. Towards another host that would be too little: one port and sixteen bits
    can be guessed from afar (RFC 5452 7), where a process of this host has easier ways.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, server: Server) -> None:
        """Open it; raises OSError."""
        self._loop = loop
        self._sock = connected_udp(server)
        self._exchanges: dict[int, Exchange] = {}
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _WAITING)
        loop.add_reader(self._sock, self._drain)

    def ask(self, question: Question, done: Done, *, edns: bool, limit: float) -> Exchange:
        """Send a query, and wait for the answer for so many seconds; raises OSError when it cannot be sent."""
        number = draw_id()
        while number in self._exchanges:
            number = draw_id()
        try:
            self._sock.send(question.query(number, edns=edns))
        except ConnectionRefusedError as error:
            # It belongs to a query before this one: the system tells it to whoever uses the socket next.
            self._loop.call_soon(self._fail, list(self._exchanges.values()), error)
            raise
        exchange = Exchange(question, number, done, self._forget)
        self._exchanges[number] = exchange
        exchange.wait(self._loop, limit)
        return exchange

    def close(self) -> None:
        """Give up everything that is under way."""
        self._loop.remove_reader(self._sock)
        self._sock.close()
        for exchange in list(self._exchanges.values()):
            exchange.cancel()

    def _drain(self) -> None:
        for _ in range(DRAINED):
            try:
                wire = self._sock.recv(_RECEIVE)
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                self._fail(list(self._exchanges.values()), error)
                return
            # What has no id of ours is the late answer to a query that was given up, or nothing at all.
            exchange = self._exchanges.get(int.from_bytes(wire[:2]))
            if exchange is not None:
                exchange.take(wire)

    def _fail(self, exchanges: list[Exchange], error: OSError) -> None:
        for exchange in exchanges:
            if self._exchanges.get(exchange.number) is exchange:
                exchange.end(unreachable(error))

    def _forget(self, exchange: Exchange) -> None:
        self._exchanges.pop(exchange.number, None)


class OwnSocket:
    """A socket for one query, from a port that the kernel draws, connected (RFC 5452 9.2)."""

    __slots__ = ("_exchange", "_loop", "_sock")

    def __init__(self, loop: asyncio.AbstractEventLoop, server: Server) -> None:
        """Open it; raises OSError."""
        self._loop = loop
        self._sock = connected_udp(server)
        self._exchange: Exchange | None = None

    def ask(self, question: Question, done: Done, *, edns: bool, limit: float) -> Exchange:
        """Send the query, and wait for the answer for so many seconds; raises OSError when it cannot be sent."""
        number = draw_id()
        try:
            self._sock.send(question.query(number, edns=edns))
        except OSError:
            self._sock.close()
            raise
        self._exchange = exchange = Exchange(question, number, done, self._close)
        exchange.wait(self._loop, limit)
        self._loop.add_reader(self._sock, self._drain)
        return exchange

    def _drain(self) -> None:
        exchange = self._exchange
        for _ in range(DRAINED):
            if exchange is None or self._sock.fileno() < 0:
                return
            try:
                wire = self._sock.recv(_RECEIVE)
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                exchange.end(unreachable(error))
                return
            exchange.take(wire)

    def _close(self, _: Exchange) -> None:
        if self._sock.fileno() >= 0:
            self._loop.remove_reader(self._sock)
            self._sock.close()
