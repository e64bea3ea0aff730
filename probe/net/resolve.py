"""One question to the DNS, one answer; a failure is a value and never an exception.

dnspython writes and reads the messages. The asking is done here, because the evidence has to hold what a
stock resolver hides: every try, at which server, over which transport, and how it ended. Each try has its
own socket and so its own source port, connected, so that the kernel drops what others send (RFC 5452).

How the tries are made: the servers in order, `tries` rounds, each try with its own limit inside that of the
question. EDNS first; a server that answers it with FORMERR, NOTIMP or BADVERS is asked again without, and so
is one that stayed silent, in the next round; later questions go to that one last. A truncated answer is
fetched over TCP from the same server. The first definite answer (records, NODATA, NXDOMAIN) ends it. When
there is none, the failure that tells most is reported: see `_TELLING`. Search domains are never applied.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import time
from typing import TYPE_CHECKING

from probe.core.chain import canonical, follow
from probe.core.model import DnsAnswer, DnsOutcome, DnsTry
from probe.net.dns_cost import MAX_OCTETS
from probe.net.dns_message import DEFINITE, Response, make_query, make_question, read_response
from probe.net.early import connected_udp, numeric

if TYPE_CHECKING:
    from collections.abc import Callable

    from dns.message import Message

    from probe.core.chain import Found
    from probe.core.chain import Question as Name
    from probe.net.dns_message import Question
    from probe.net.early import EarlyQuery

    Server = tuple[str, int]

MAX_STRAYS = 100
"""Datagrams that do not answer the query before a try is given up. A new try has a new port and id, so this
also bounds what an attacker who guesses ids can win on one of them (RFC 5452 9.3)."""

_RECEIVE = 65535
_TELLING = (
    # What is wrong with the name,
    DnsOutcome.CNAME_LOOP,
    DnsOutcome.SERVFAIL,
    DnsOutcome.MALFORMED,
    DnsOutcome.OTHER_RCODE,
    # then what is wrong with the server or with us in its eyes,
    DnsOutcome.REFUSED,
    DnsOutcome.LAME,
    # then that nobody answered.
    DnsOutcome.TIMEOUT,
    DnsOutcome.UNREACHABLE,
)
"""Failures, the most telling first."""


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
        self._servers = servers
        self._transport = transport
        self._clock = clock
        self._timeout = timeout
        self._try_timeout = try_timeout
        self._tries = tries
        self._early = early
        self._plain: set[Server] = set()
        self._mute: set[Server] = set()
        """Servers whose last try had no answer. Later questions go to them last: a dead first server costs
        its try limit once a run, and not at every step from MX to address."""
        self._asked: dict[tuple[str, str], tuple[_Inquiry, asyncio.Task[DnsAnswer]]] = {}

    async def ask(self, name: str, rdtype: str) -> DnsAnswer:
        """Ask for the records of a type; only CancelledError passes.

        Whoever asks the same again, now or later in the run, gets the same answer. A name that cannot be
        written into a DNS message is `malformed`, without any try.
        """
        key = (_folded(name), rdtype)
        if key not in self._asked:
            inquiry = _Inquiry(*key, self._clock())
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

    async def _inquire(self, inquiry: _Inquiry) -> DnsAnswer:
        early = self._take_early(inquiry)
        question = make_question(inquiry.name, inquiry.type)
        if question is None:
            inquiry.best = Response(DnsOutcome.MALFORMED)
        else:
            await self._go_round(inquiry, question, early)
        inquiry.answer = inquiry.concluded(self._clock())
        return inquiry.answer

    def _take_early(self, inquiry: _Inquiry) -> EarlyQuery | None:
        early, self._early = self._early, None
        if early is None:
            return None
        if (early.name, "MX", (early.server,)) != (inquiry.name, inquiry.type, self._servers[:1]):
            early.close()
            return None
        inquiry.asked = self._clock() - (time.monotonic() - early.sent)
        return early

    async def _go_round(self, inquiry: _Inquiry, question: Question, early: EarlyQuery | None) -> None:
        deadline = inquiry.asked + self._timeout
        silent: set[Server] = set()
        for server in sorted(self._servers, key=self._mute.__contains__) * self._tries:
            if inquiry.tries and self._clock() >= deadline:
                return
            edns = server not in self._plain | silent
            query = make_query(question, _draw_id() if early is None else early.id, edns=edns)
            response = await self._try(inquiry, server, query, self._transport, deadline, early)
            early = None
            if edns and response.refuses_edns:
                edns = False
                query = make_query(question, _draw_id(), edns=edns)
                response = await self._try(inquiry, server, query, self._transport, deadline)
            if response.truncated:
                response = await self._try(inquiry, server, query, "tcp", deadline)
            if response.outcome is DnsOutcome.TIMEOUT:
                silent.add(server)
                self._mute.add(server)
            else:
                self._mute.discard(server)
            inquiry.consider(response)
            if response.outcome in DEFINITE:
                if not edns:
                    self._plain.add(server)
                return

    async def _try(
        self,
        inquiry: _Inquiry,
        server: Server,
        query: Message,
        transport: str,
        deadline: float,
        early: EarlyQuery | None = None,
    ) -> Response:
        sent = inquiry.asked if early is not None else self._clock()
        limit = min(sent + self._try_timeout, deadline) - self._clock()
        inquiry.pending = (_endpoint(server), transport, sent)
        try:
            if transport == "tcp":
                response = await _over_tcp(query, server, limit)
            else:
                response = await _over_udp(query, server, limit, early)
        except TimeoutError:
            response = Response(DnsOutcome.TIMEOUT)
        except OSError as error:
            response = Response(DnsOutcome.UNREACHABLE, errno.errorcode.get(error.errno or 0, str(error)))
        inquiry.pending = None
        inquiry.tries.append(
            DnsTry(_endpoint(server), transport, sent, self._clock(), response.outcome, response.detail)
        )
        return response


async def look_up(resolver: Resolver, name: str, rdtype: str) -> Found:
    """Ask for the records of a name in whatever spelling, also behind aliases that the server did not follow."""
    start = canonical(name)
    known: dict[Name, DnsAnswer] = {}
    found = follow(known, start, rdtype)
    while found.question is not None:  # `follow` bounds the chain
        known[found.question] = await resolver.ask(found.question.name, found.question.type)
        found = follow(known, start, rdtype)
    return found


class _Inquiry:
    """One question while it is asked: what was tried, what is under way, and the best that came of it."""

    def __init__(self, name: str, rdtype: str, asked: float) -> None:
        self.name = name
        self.type = rdtype
        self.asked = asked
        self.tries: list[DnsTry] = []
        self.pending: tuple[str, str, float] | None = None
        # With no server to ask this is all there is to say.
        self.best = Response(DnsOutcome.UNREACHABLE)
        self.answer: DnsAnswer | None = None

    def consider(self, response: Response) -> None:
        """Keep the response when it tells more than what there is."""
        if response.outcome in DEFINITE:
            self.best = response
        else:
            self.best = min(response, self.best, key=lambda one: _TELLING.index(one.outcome))

    def concluded(self, ended: float) -> DnsAnswer:
        """Turn what came of it into the answer."""
        return DnsAnswer(
            name=self.name,
            type=self.type,
            asked=self.asked,
            ended=ended,
            outcome=self.best.outcome,
            rcode=self.best.rcode,
            authenticated=self.best.authenticated,
            records=self.best.records,
            soa_minimum=self.best.soa_minimum,
            tries=tuple(self.tries),
        )

    def cut_short(self, now: float) -> DnsAnswer:
        """Tell what was tried until now, the try under way included."""
        tries = self.tries
        if self.pending is not None:
            tries = [*tries, DnsTry(*self.pending, now, DnsOutcome.CUT_SHORT)]
        return DnsAnswer(
            self.name, self.type, self.asked, now, DnsOutcome.CUT_SHORT, None, False, (), None, tuple(tries)
        )


# --- transports --------------------------------------------------------------------------------------


async def _over_udp(query: Message, server: Server, limit: float, early: EarlyQuery | None) -> Response:
    """Send one datagram and wait for its answer; raises TimeoutError when nothing at all came, and OSError.

    A datagram that does not answer the query is passed over. When only such came the server speaks, but not
    DNS with us, which is not silence.
    """
    loop = asyncio.get_running_loop()
    strays = 0
    with early.sock if early is not None else connected_udp(server) as sock:
        if early is None:
            sock.send(query.to_wire())
        try:
            # A limit that has passed already still takes what lies in the buffer: `sock_recv` looks there
            # first. So an early query is not lost to slow imports.
            async with asyncio.timeout(limit):
                while strays < MAX_STRAYS:
                    response = read_response(query, await loop.sock_recv(sock, _RECEIVE))
                    if response is not None:
                        return response
                    strays += 1
                    # In a flood `sock_recv` never waits; the limit needs a turn of the loop to strike.
                    await asyncio.sleep(0)
        except TimeoutError:
            if not strays:
                raise
    return Response(DnsOutcome.MALFORMED, f"{strays} datagrams, none of them an answer to the query")


async def _over_tcp(query: Message, server: Server, limit: float) -> Response:
    """Ask over TCP (RFC 7766), where a message is framed by two octets of length and so below 64 KiB."""
    loop = asyncio.get_running_loop()
    family, address = numeric(server)
    with socket.socket(family, socket.SOCK_STREAM) as sock:
        sock.setblocking(False)
        async with asyncio.timeout(limit):
            await loop.sock_connect(sock, address)
            wire = query.to_wire()
            await loop.sock_sendall(sock, len(wire).to_bytes(2) + wire)
            size = int.from_bytes(await _receive(sock, 2))
            if size > MAX_OCTETS:
                return Response(DnsOutcome.MALFORMED, f"{size} octets, which no honest answer has")
            wire = await _receive(sock, size)
    if len(wire) < size or not size:
        return Response(DnsOutcome.MALFORMED, f"closed after {len(wire)} of {size} octets")
    response = read_response(query, wire)
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


def _folded(name: str) -> str:
    return name.lower().removesuffix(".") or "."


def _draw_id() -> int:
    return int.from_bytes(os.urandom(2))


def _endpoint(server: Server) -> str:
    host, port = server
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
