"""The canary: a mail host known to be up, called after somebody else's has failed, to tell their fault from ours.

A canary that is silent too says that our own network blocks the port; one that answers says that it does not.
The list that comes with the program is `canaries.txt`, which also states the rule of politeness: one connection
a run, the greeting is read, QUIT is said, nothing else. What could not be tried is `untested` and proves nothing.

The call is a task of its own. Whoever waits for it is told what is known when his time is up, and one who gives
up takes nothing from the others.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from probe.core.chain import canonical
from probe.core.endpoint import SMTP_PORT
from probe.core.failures import telling
from probe.core.model import Canary, CanaryOutcome, ConnectOutcome, Scope
from probe.core.reply import ReplyReader
from probe.core.scope import may_be_connected_to, read_ip, scope
from probe.net import reach
from probe.net.resolve import Resolver, look_up
from probe.settings import QUIT_TIMEOUT, parse_canary

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Collection, Coroutine

    from probe.core.model import Connect

    Server = tuple[str, int]

NAMES_TIMEOUT = 4.0
"""Seconds for the look-ups of all candidates together: a resolver that needs longer is a finding of its own."""
NAME_TRY_TIMEOUT = 1.5
"""Seconds for one try; these names are in the cache of every resolver that serves a mail host."""
NAME_TRIES = 2
CONNECT_TIMEOUT = 5.0
"""Seconds for the connection: by then Linux has sent the SYN five times (at 0, 1, 2, 3 and 4 s)."""
LEAST_SILENCE = 1.0
"""Seconds that a SYN must have gone unanswered to count as silence: the time after which the kernel repeats it."""
GREETING_TIMEOUT = 5.0
"""Seconds for the greeting. It only adorns the finding: that the connection opened is what counts."""
GREETING_LIMIT = 4096
"""Octets of a greeting; RFC 5321 4.5.3.1.5 allows 512 for a line of it."""
_NAMED = 3
"""Candidates whose trouble is told one by one."""

_OUTCOMES = {
    ConnectOutcome.CONNECTED: CanaryOutcome.ANSWERED,
    ConnectOutcome.RESET: CanaryOutcome.ANSWERED,  # ECONNRESET comes after the handshake; before, it is REFUSED
    ConnectOutcome.TIMEOUT: CanaryOutcome.SILENT,
    ConnectOutcome.REFUSED: CanaryOutcome.REFUSED,
    ConnectOutcome.HOST_UNREACHABLE: CanaryOutcome.REFUSED,
    ConnectOutcome.NET_UNREACHABLE: CanaryOutcome.REFUSED,
    ConnectOutcome.PROHIBITED: CanaryOutcome.REFUSED,
}
"""What an attempt to connect says about the way out; any other could not be made, and says nothing."""


class _Candidate(Struct, frozen=True):
    """A mail host that may be called; `trusted` is one that the user named, wherever it stands."""

    name: str
    port: int
    trusted: bool

    def may_be(self, ip: str) -> bool:
        """Tell whether this can be its address: a name of our list stands for a public one or for none."""
        read = read_ip(ip)
        if read is None or not may_be_connected_to(read):
            return False
        return self.trusted or scope(read) is Scope.PUBLIC


class Canaries:
    """The canary of one run: whoever asks, one connection is made at the most.

    `canaries` are those of `Settings`: HOST or HOST:PORT in the order of trust, None for the list that comes
    with the program, from a place that `seed` chooses; `port` is that of those that have none of their own.
    `servers` are the name servers (IP, port), `source` is the local address to connect from.
    """

    def __init__(
        self,
        canaries: tuple[str, ...] | None,
        servers: tuple[Server, ...],
        *,
        source: str | None,
        seed: int,
        port: int = SMTP_PORT,
    ) -> None:
        self._candidates = _candidates(canaries, seed, port)
        self._source = source
        self._resolver = Resolver(
            servers,
            clock=time.monotonic,
            timeout=NAMES_TIMEOUT,
            try_timeout=NAME_TRY_TIMEOUT,
            tries=NAME_TRIES,
        )
        self._choosing = asyncio.Lock()
        self._spent: int | None = None
        self._calls: dict[int, _Call] = {}

    async def call(
        self,
        family: int,
        *,
        clock: Callable[[], float],
        timeout: float,  # noqa: ASYNC109 - its end is an outcome here, which a caller's cancellation is not
        besides: Collection[str] = (),
    ) -> Canary:
        """Call a canary over IPv4 or IPv6 (`family` 4 or 6), or wait for the call that is under way.

        Returns what is known after `timeout` seconds at the latest, in the time of `clock`: `started` is when
        the connection was begun, `ended` when it was answered or given up. Silence is claimed only after
        `LEAST_SILENCE` seconds of it. The one connection of a run goes over the family that can be tried
        first; the other one is `untested` then. `besides` are names and IPs that can be no canary for this
        caller, because they are what it asks about.
        """
        call = self._calls.get(family)
        if call is None:
            call = self._calls[family] = _Call(family)
            call.follow(self._run(call, frozenset(map(canonical, besides))))
        record = await call.known(timeout)
        if {record.name, record.ip}.intersection(map(canonical, besides)):
            record = _untested(record, f"{record.name} is what is asked about")
        shift = clock() - time.monotonic()
        return replace(record, started=record.started + shift, ended=record.ended + shift)

    async def aclose(self) -> None:
        """Give up what is under way and close its sockets."""
        await asyncio.gather(*(call.give_up() for call in self._calls.values()))
        await self._resolver.aclose()

    async def _run(self, call: _Call, besides: frozenset[str]) -> None:
        found = await self._choose(call.family, besides)
        if isinstance(found, str):
            call.end(_untested(call.record, found))
            return
        candidate, ip = found
        call.begin(candidate, ip)
        connect, sock = await reach.connect(
            ip, candidate.port, timeout=CONNECT_TIMEOUT, source=self._source, clock=time.monotonic
        )
        record = _judged(call.record, connect)
        if record.outcome is CanaryOutcome.UNTESTED:
            self._spent = None  # no packet has left this host, so the other family may be tried
        if sock is None:
            call.end(record)
            return
        with sock:
            call.record = record
            banner, complete = await _greeting(sock)
            call.end(replace(record, banner=banner))
            if complete:
                await _quit(sock)

    async def _choose(self, family: int, besides: frozenset[str]) -> tuple[_Candidate, str] | str:
        """Give the candidate to call over this family and its IP, or say why there is none."""
        if self._source is not None and (":" in self._source) is not (family == 6):
            return f"{self._source}, from which we connect, is no IPv{family} address"
        async with self._choosing:  # each family waits until it is known whether the other one can be tried
            if self._spent is not None:
                return f"the one canary of this run was called over IPv{self._spent}"
            troubles: list[str] = []
            try:
                async with asyncio.timeout(NAMES_TIMEOUT):
                    for candidate in self._candidates:
                        if candidate.name in besides:
                            continue
                        addresses, trouble = await self._addresses(candidate.name, family)
                        for ip in addresses:
                            if ip not in besides and candidate.may_be(ip):
                                self._spent = family
                                return candidate, ip
                        troubles.append(f"{candidate.name}: {trouble or 'no address that may be called'}")
            except TimeoutError:
                return f"no address of a canary was found within {NAMES_TIMEOUT:g} s"
        if not troubles:
            asked = "every canary is itself one of the mail hosts that are asked about"
            return asked if self._candidates else "there is no canary to call"
        more = f", and {len(troubles) - _NAMED} more" if len(troubles) > _NAMED else ""
        return f"no canary has a usable IPv{family} address ({', '.join(troubles[:_NAMED])}{more})"

    async def _addresses(self, name: str, family: int) -> tuple[list[str], str | None]:
        """Give the addresses of one family that a name has, or the outcome that tells why there are none."""
        if (literal := read_ip(name)) is not None:
            return (
                ([str(literal)], None) if literal.version == family else ([], f"it is IPv{literal.version}")
            )
        found = await look_up(self._resolver, name, "A" if family == 4 else "AAAA")
        addresses = [record.data for record in found.records]
        return addresses, None if addresses else found.outcome


class _Call:
    """The call over one family: what is known of it so far, in monotonic time, and the task that goes on."""

    def __init__(self, family: int) -> None:
        self.family = family
        now = time.monotonic()
        self.record = Canary("", SMTP_PORT, family, CanaryOutcome.UNTESTED, started=now, ended=now)
        self._connecting = False
        self._ended = False
        self._known = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def follow(self, work: Coroutine[None, None, None]) -> None:
        """Let the call go on by itself, whoever waits for it."""
        self._task = asyncio.create_task(work)
        self._task.add_done_callback(lambda _: self._known.set())

    def begin(self, candidate: _Candidate, ip: str) -> None:
        """Note that a connection is being made."""
        now = time.monotonic()
        self.record = Canary(
            candidate.name, candidate.port, self.family, CanaryOutcome.UNTESTED, ip, started=now, ended=now
        )
        self._connecting = True

    def end(self, record: Canary) -> None:
        """Note what is known in the end; what may still follow is a farewell."""
        self.record = record
        self._ended = True
        self._known.set()

    async def known(self, limit: float) -> Canary:
        """Give what is known as soon as that is all, or after `limit` seconds. A bug of ours raises."""
        with suppress(TimeoutError):
            async with asyncio.timeout(limit):
                await self._known.wait()
        if self._task is not None and self._task.done() and not self._task.cancelled():
            self._task.result()
        return self._so_far()

    async def give_up(self) -> None:
        """End the call, whatever it is at; what is known stays."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def _so_far(self) -> Canary:
        if self._ended or self.record.outcome is not CanaryOutcome.UNTESTED:
            return self.record
        if not self._connecting:
            return _untested(self.record, "our time was up before it could be called")
        now = time.monotonic()
        waited = now - self.record.started
        if waited < LEAST_SILENCE:
            return _untested(replace(self.record, ended=now), f"only {waited:.1f} s were left to wait for it")
        return replace(self.record, outcome=CanaryOutcome.SILENT, ended=now)


def _untested(record: Canary, detail: str) -> Canary:
    return replace(record, outcome=CanaryOutcome.UNTESTED, banner=None, detail=detail)


def _judged(record: Canary, connect: Connect) -> Canary:
    """Say what the attempt to connect means, with what the system said about it."""
    outcome = _OUTCOMES.get(connect.outcome, CanaryOutcome.UNTESTED)
    detail = connect.errno_name
    if (notice := telling(connect.notices)) is not None and (sender := notice.sender) is not None:
        detail = f"{detail or 'ICMP'} from {sender}"
    if outcome is CanaryOutcome.UNTESTED:
        detail = detail or connect.outcome
    return replace(record, outcome=outcome, started=connect.started, ended=connect.ended, detail=detail)


async def _greeting(sock: socket.socket) -> tuple[str | None, bool]:
    """Read the first reply, with the line feeds between its lines; and whether it has come to its end."""
    reader = ReplyReader(GREETING_LIMIT)
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(GREETING_TIMEOUT):
            while not reader.overflowed:
                data = await loop.sock_recv(sock, GREETING_LIMIT)
                for reply in reader.feed(data, time.monotonic()):
                    return "\n".join(reply.lines), True
                if not data:
                    break
    except (TimeoutError, OSError):
        pass  # that the connection opened is what counts
    rest = reader.flush(time.monotonic())
    return ("\n".join(rest.lines) if rest is not None else None), False


async def _quit(sock: socket.socket) -> None:
    """Take leave as RFC 5321 4.1.1.10 asks: wait for the reply before closing, but not for long."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(QUIT_TIMEOUT):
            await loop.sock_sendall(sock, b"QUIT\r\n")
            await loop.sock_recv(sock, GREETING_LIMIT)
    except (TimeoutError, OSError):
        pass  # it has gone, or will not say good-bye


def _candidates(canaries: tuple[str, ...] | None, seed: int, port: int) -> tuple[_Candidate, ...]:
    if canaries is not None:
        endpoints = (parse_canary(text, port) for text in canaries)
        return tuple(_Candidate(canonical(host), own, trusted=True) for host, own in endpoints)
    names = known_hosts()
    start = seed % len(names)
    return tuple(_Candidate(name, port, trusted=False) for name in names[start:] + names[:start])


@cache
def known_hosts() -> tuple[str, ...]:
    """Give the names of the list that comes with the program."""
    lines = Path(__file__).with_name("canaries.txt").read_text("ascii").splitlines()
    return tuple(line for line in lines if line and not line.startswith("#"))
