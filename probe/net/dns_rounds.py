"""How the tries of a question are made, without any socket: which server next, over what, and when it is enough.

The servers in order, some rounds, each try with its own limit inside that of the question. EDNS first; a server that
answers it with FORMERR, NOTIMP or BADVERS is asked again without, and so is one that stayed silent, in the next
round; later questions go to that one last. A truncated answer is fetched over TCP from the same server. The first
definite answer (records, NODATA, NXDOMAIN) ends it. When there is none, the failure that tells most is reported: see
`_TELLING`. Search domains are never applied.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from probe.core.model import DnsAnswer, DnsOutcome, DnsTry
from probe.net.dns_meaning import DEFINITE, Response

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    Server = tuple[str, int]

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


class Attempt(Struct, frozen=True):
    """One try that is to be made: at which server, over which transport, and for how many seconds at most.

    `again` says that a try before it had no answer.
    """

    server: Server
    transport: str
    edns: bool
    limit: float
    again: bool


class Rounds:
    """What the questions to the same servers share: the limits, and what was learned of the servers.

    `timeout` limits a question with all its tries, `try_timeout` one try (both in seconds of `clock`); `tries` is
    the number of rounds over the servers. `transport` is `udp`, from which a truncated answer leads to TCP by
    itself, or `tcp` to ask so at once.
    """

    def __init__(
        self,
        servers: tuple[Server, ...],
        *,
        clock: Callable[[], float],
        timeout: float,
        try_timeout: float,
        tries: int,
        transport: str = "udp",
    ) -> None:
        self.servers = servers
        self._endpoints = {server: endpoint_of(server) for server in servers}
        self._clock = clock
        self._timeout = timeout
        self._try_timeout = try_timeout
        self._tries = tries
        self._transport = transport
        self._plain: set[Server] = set()
        self._mute: set[Server] = set()
        """Servers whose last try had no answer. Later questions go to them last: a dead first server costs
        its try limit once, and not at every step from MX to address."""

    def ask(self, inquiry: Inquiry, *, sent: float | None = None) -> Generator[Attempt, Response, None]:
        """Name the tries of a question one after another, each sent what came of it; all is noted in the inquiry.

        With `sent` the first try is under way since then.
        """
        deadline = inquiry.asked + self._timeout
        silent: set[Server] = set()
        for server in sorted(self.servers, key=self._mute.__contains__) * self._tries:
            if inquiry.tries and self._clock() >= deadline:
                return
            edns = server not in self._plain and server not in silent
            again = bool(silent)
            response = yield from self._try(inquiry, server, self._transport, deadline, edns, again, sent)
            sent = None
            if edns and response.refuses_edns:
                edns = False
                response = yield from self._try(inquiry, server, self._transport, deadline, edns, again)
            if response.truncated:
                response = yield from self._try(inquiry, server, "tcp", deadline, edns, again)
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

    def _try(
        self,
        inquiry: Inquiry,
        server: Server,
        transport: str,
        deadline: float,
        edns: bool,
        again: bool,
        sent: float | None = None,
    ) -> Generator[Attempt, Response, Response]:
        now = self._clock()
        sent = now if sent is None else sent
        endpoint = self._endpoints[server]
        inquiry.pending = (endpoint, transport, sent)
        limit = min(sent + self._try_timeout, deadline) - now
        response = yield Attempt(server, transport, edns, limit, again)
        inquiry.pending = None
        inquiry.tries.append(
            DnsTry(endpoint, transport, sent, self._clock(), response.outcome, response.detail)
        )
        return response


class Inquiry:
    """One question while it is asked: what was tried, what is under way, and the best that came of it."""

    __slots__ = ("answer", "asked", "best", "name", "pending", "tries", "type")

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

    def conclude(self, ended: float) -> DnsAnswer:
        """Turn what came of it into the answer."""
        best = self.best
        self.answer = DnsAnswer(
            self.name,
            self.type,
            self.asked,
            ended,
            best.outcome,
            best.rcode,
            best.authenticated,
            best.records,
            best.soa_minimum,
            tuple(self.tries),
        )
        return self.answer

    def cut_short(self, now: float) -> DnsAnswer:
        """Tell what was tried until now, the try under way included."""
        tries = self.tries
        if self.pending is not None:
            tries = [*tries, DnsTry(*self.pending, now, DnsOutcome.CUT_SHORT)]
        return DnsAnswer(
            self.name, self.type, self.asked, now, DnsOutcome.CUT_SHORT, None, False, (), None, tuple(tries)
        )


def folded(name: str) -> str:
    """Write a name as every question has it: in lower case, without the root's dot."""
    low = name.lower().removesuffix(".") or "."
    return name if name == low else low  # not a second copy of what is kept with thousands of answers


def endpoint_of(server: Server) -> str:
    """Write a server down as the evidence names it."""
    host, port = server
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
