"""One question to the DNS, one answer; a failure is a value and never an exception.

dnspython reads the messages. The asking is done here, because the evidence has to hold what a stock resolver
hides: every try, at which server, over which transport, and how it ended; `probe.net.dns_rounds` says which
tries are made. Each has its own socket and so its own source port, connected, so that the kernel drops what
others send (RFC 5452).
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import time
from typing import TYPE_CHECKING

from probe.core.chain import canonical, follow
from probe.core.model import DnsOutcome
from probe.net.dns_cost import MAX_OCTETS
from probe.net.dns_meaning import Response
from probe.net.dns_question import question_of
from probe.net.dns_rounds import Inquiry, Rounds, folded
from probe.net.early import connected_udp, numeric

if TYPE_CHECKING:
    from collections.abc import Callable

    from probe.core.chain import Found
    from probe.core.chain import Question as Name
    from probe.core.model import DnsAnswer
    from probe.net.dns_question import Question
    from probe.net.dns_rounds import Attempt, Server
    from probe.net.early import EarlyQuery

MAX_STRAYS = 100
"""Datagrams that do not answer the query before a try is given up. A new try has a new port and id, so this
also bounds what an attacker who guesses ids can win on one of them (RFC 5452 9.3)."""

_RECEIVE = 65535


class Resolver:
    """Asks name servers, each question once a run.

    `servers` are (IP, port) in the order of trust; `clock` gives seconds since the start of the run and must
    run with `time.monotonic`; `timeout` limits a question with all its tries, `try_timeout` one try (both in
    seconds); `tries` is the number of rounds over the servers. `early` is an MX query that is already under
    way: the first question takes it over when it is that question to the first server, else closes it.
    `transport` is `udp`, from which a truncated answer leads to TCP by itself, or `tcp` to ask so at once.
    """

    def __init__(
        self,
        servers: tuple[Server, ...],
        *,
        clock: Callable[[], float],
        timeout: float,
        try_timeout: float,
        tries: int,
        early: EarlyQuery | None = None,
        transport: str = "udp",
    ) -> None:
        self._rounds = Rounds(
            servers,
            clock=clock,
            timeout=timeout,
            try_timeout=try_timeout,
            tries=tries,
            transport=transport,
        )
        self._clock = clock
        self._early = early
        self._asked: dict[tuple[str, str], tuple[Inquiry, asyncio.Task[DnsAnswer]]] = {}

    async def ask(self, name: str, rdtype: str) -> DnsAnswer:
        """Ask for the records of a type; only CancelledError passes.

        Whoever asks the same again, now or later in the run, gets the same answer. A name that cannot be
        written into a DNS message is `malformed`, without any try.
        """
        key = (folded(name), rdtype)
        if key not in self._asked:
            inquiry = Inquiry(*key, self._clock())
            self._asked[key] = inquiry, asyncio.get_running_loop().create_task(self._inquire(inquiry))
        # One who gives up must not take the answer from the others.
        return await asyncio.shield(self._asked[key][1])

    def answers(self) -> tuple[DnsAnswer, ...]:
        """Give every question so far in the order asked; an unfinished one is `cut-short`, with its tries."""
        now = self._clock()
        return tuple(inquiry.answer or inquiry.cut_short(now) for inquiry, _ in self._asked.values())

    async def aclose(self) -> None:
        """Give up what is under way and close every socket; `answers` still tells what was learned."""
        tasks = [task for _, task in self._asked.values() if not task.done()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._early is not None:
            self._early.close()
            self._early = None

    async def _inquire(self, inquiry: Inquiry) -> DnsAnswer:
        early = self._take_early(inquiry)
        question = question_of(inquiry.name, inquiry.type)
        if question is None:
            inquiry.best = Response(DnsOutcome.MALFORMED)
            return inquiry.conclude(self._clock())
        attempts = self._rounds.ask(inquiry, sent=None if early is None else inquiry.asked)
        attempt = next(attempts, None)
        while attempt is not None:
            response = await _try(question, attempt, early)
            early = None
            try:
                attempt = attempts.send(response)
            except StopIteration:
                attempt = None
        return inquiry.conclude(self._clock())

    def _take_early(self, inquiry: Inquiry) -> EarlyQuery | None:
        early, self._early = self._early, None
        if early is None:
            return None
        if (early.name, "MX", (early.server,)) != (inquiry.name, inquiry.type, self._rounds.servers[:1]):
            early.close()
            return None
        inquiry.asked = self._clock() - (time.monotonic() - early.sent)
        return early


async def look_up(resolver: Resolver, name: str, rdtype: str) -> Found:
    """Ask for the records of a name in whatever spelling, also behind aliases that the server did not follow."""
    start = canonical(name)
    known: dict[Name, DnsAnswer] = {}
    found = follow(known, start, rdtype)
    while found.question is not None:  # `follow` bounds the chain
        known[found.question] = await resolver.ask(found.question.name, found.question.type)
        found = follow(known, start, rdtype)
    return found


# --- transports --------------------------------------------------------------------------------------


async def _try(question: Question, attempt: Attempt, early: EarlyQuery | None) -> Response:
    """Make one try; what goes wrong is its outcome."""
    number = draw_id() if early is None else early.id
    query = question.query(number, edns=attempt.edns)
    try:
        if attempt.transport == "tcp":
            return await over_tcp(question, number, query, attempt.server, attempt.limit)
        sock = connected_udp(attempt.server) if early is None else early.sock
        with sock:
            if early is None:
                sock.send(query)
            return await _over_udp(question, number, sock, attempt.limit)
    except TimeoutError:
        return Response(DnsOutcome.TIMEOUT)
    except OSError as error:
        return unreachable(error)


async def _over_udp(question: Question, number: int, sock: socket.socket, limit: float) -> Response:
    """Wait for the answer to a datagram; raises TimeoutError when nothing at all came, and OSError.

    A datagram that does not answer the query is passed over. When only such came the server speaks, but not
    DNS with us, which is not silence.
    """
    loop = asyncio.get_running_loop()
    strays = 0
    try:
        # A limit that has passed already still takes what lies in the buffer: `sock_recv` looks there
        # first. So an early query is not lost to slow imports.
        async with asyncio.timeout(limit):
            while strays < MAX_STRAYS:
                response = question.read(number, await loop.sock_recv(sock, _RECEIVE))
                if response is not None:
                    return response
                strays += 1
                # In a flood `sock_recv` never waits; the limit needs a turn of the loop to strike.
                await asyncio.sleep(0)
    except TimeoutError:
        if not strays:
            raise
    return only_strays(strays)


async def over_tcp(question: Question, number: int, query: bytes, server: Server, limit: float) -> Response:
    """Ask over TCP (RFC 7766), where a message is framed by two octets of length and so below 64 KiB.

    Raises TimeoutError and OSError.
    """
    loop = asyncio.get_running_loop()
    family, address = numeric(server)
    with socket.socket(family, socket.SOCK_STREAM) as sock:
        sock.setblocking(False)
        async with asyncio.timeout(limit):
            await loop.sock_connect(sock, address)
            await loop.sock_sendall(sock, len(query).to_bytes(2) + query)
            size = int.from_bytes(await _receive(sock, 2))
            if size > MAX_OCTETS:
                return Response(DnsOutcome.MALFORMED, f"{size} octets, which no honest answer has")
            wire = await _receive(sock, size)
    if len(wire) < size or not size:
        return Response(DnsOutcome.MALFORMED, f"closed after {len(wire)} of {size} octets")
    response = question.read(number, wire)
    if response is None or response.truncated:
        return Response(DnsOutcome.MALFORMED, "no whole answer to the query")
    return response


async def _receive(sock: socket.socket, size: int) -> bytes:
    """Read so many octets, or fewer when the stream ends before."""
    loop = asyncio.get_running_loop()
    data = bytearray()
    while len(data) < size and (more := await loop.sock_recv(sock, size - len(data))):
        data += more
    return bytes(data)


def only_strays(count: int) -> Response:
    """Say that a server spoke, but not as an answer to us."""
    return Response(DnsOutcome.MALFORMED, f"{count} datagrams, none of them an answer to the query")


def unreachable(error: OSError) -> Response:
    """Say that the system could not reach a server."""
    return Response(DnsOutcome.UNREACHABLE, errno.errorcode.get(error.errno or 0, str(error)))


def draw_id() -> int:
    """Draw the id of a query."""
    return int.from_bytes(os.urandom(2))
