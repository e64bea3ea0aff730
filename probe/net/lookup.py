"""The DNS of a batch: thousands of questions at once, each asked once while its TTL lasts.

`Lookups.ask` means what `probe.net.resolve.Resolver.ask` means, with the same tries and the same evidence; the rounds
are the same code. What differs is what a question costs. A task, a socket and a registration in the loop for each are
most of it, so there is no task: the answer's datagram itself takes the question a step further, and wakes who waits.
Questions to a server on this host share a socket (`probe.net.udp` says why only those). A try after a silent one has
its own: what such a server sends, garbage included, can then be told to be for this question.
"""

from __future__ import annotations

import asyncio
from collections import deque
from ipaddress import ip_address
from itertools import islice
from typing import TYPE_CHECKING, Protocol

from probe.core.expiry import dns_ttl
from probe.core.model import DnsOutcome
from probe.net.dns_meaning import Response
from probe.net.dns_question import question_of
from probe.net.dns_rounds import Inquiry, Rounds, folded
from probe.net.resolve import draw_id, over_tcp, unreachable
from probe.net.udp import OwnSocket, SharedSocket

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from probe.core.model import DnsAnswer
    from probe.net.dns_question import Question
    from probe.net.dns_rounds import Attempt, Server
    from probe.net.udp import Exchange

    Key = tuple[str, str]

AT_ONCE = 100
"""Questions that are under way at a time; each has one socket at most. A burst of more may overflow the receive buffer
of a name server that leaves it as it is, and is slow to read (Linux: 208 KiB), and what is lost there costs a try."""
REMEMBERED = 20_000
"""Answers that are kept in memory, the ones used last: some 20 MiB of usual ones. Most are asked for once; those of the
mail hosts that many domains share are few."""


class Remember(Protocol):
    """What knows answers of earlier runs, and is told those of this one. Times are those of this run's clock."""

    def recall(self, name: str, rdtype: str) -> DnsAnswer | None:
        """Give the answer to a question, from before this run: its times are negative, or just passed."""

    def keep(self, answer: DnsAnswer) -> None:
        """Take note of an answer that the network gave."""


class Lookups:
    """Asks name servers for a batch.

    `servers`, `clock`, `timeout`, `try_timeout` and `tries` are those of `Resolver`. `at_once` bounds the questions
    under way, and with them the sockets; others wait in line, where their time does not run yet. `remember` is asked
    before the network; what it raises comes out of `ask`. `remembered` bounds the answers in memory. `is_local` tells
    of a server's IP whether it is on this host.
    """

    def __init__(
        self,
        servers: tuple[Server, ...],
        *,
        clock: Callable[[], float],
        timeout: float,
        try_timeout: float,
        tries: int,
        at_once: int = AT_ONCE,
        remember: Remember | None = None,
        remembered: int = REMEMBERED,
        is_local: Callable[[str], bool] | None = None,
    ) -> None:
        self._rounds = Rounds(servers, clock=clock, timeout=timeout, try_timeout=try_timeout, tries=tries)
        self._clock = clock
        self._free = at_once
        self._remember = remember
        self._remembered = remembered
        local = is_local or on_loopback
        self._local = frozenset(server for server in servers if local(server[0]))
        self._answers: dict[Key, DnsAnswer] = {}
        """The one used longest ago comes first."""
        self._asking: dict[Key, _Asking] = {}
        self._line: deque[_Asking] = deque()
        self._shared: dict[Server, SharedSocket] = {}
        self._closed = False

    def ask(self, name: str, rdtype: str) -> asyncio.Future[DnsAnswer]:
        """Ask for the records of a type. A failure is a value; only CancelledError passes, and what `remember` raises.

        Not a coroutine, because several that are asked together would each take a task to run. Whoever asks the same
        while it is under way, or while the answer holds, gets the same object; how long that is
        `probe.core.expiry.dns_ttl` says. One who gives up takes nothing from the others: the question is asked to its
        end. A name that cannot be written into a DNS message is `malformed`, without any try.
        """
        key = (folded(name), rdtype)
        asking = self._asking.get(key)
        if asking is not None:
            return asking.wait()
        answer = self._known(key)
        if answer is None:
            answer = self._cut_short(key) if self._closed else self._recalled(key)
        if answer is not None:
            known: asyncio.Future[DnsAnswer] = asyncio.get_running_loop().create_future()
            known.set_result(answer)
            return known
        asking = self._asking[key] = _Asking(Inquiry(*key, self._clock()))
        waiter = asking.wait()
        if self._free and not self._line:
            self._begin(asking)
        else:
            self._line.append(asking)
        return waiter

    async def aclose(self) -> None:
        """Give up what is under way and close every socket; who still waits is told what was tried, `cut-short`."""
        self._closed = True
        self._line.clear()
        tasks = []
        now = self._clock()
        for asking in list(self._asking.values()):
            if isinstance(asking.running, asyncio.Task):
                tasks.append(asking.running)
            if asking.running is not None:
                asking.running.cancel()
            asking.deliver(asking.inquiry.cut_short(now))
        self._asking.clear()
        for shared in self._shared.values():
            shared.close()
        self._shared.clear()
        await asyncio.gather(*tasks, return_exceptions=True)

    # --- what is known ---------------------------------------------------------------------------------

    def _known(self, key: Key) -> DnsAnswer | None:
        answer = self._answers.pop(key, None)
        if answer is None or self._clock() >= answer.ended + dns_ttl(answer):
            return None
        self._answers[key] = answer  # as the last one
        return answer

    def _cut_short(self, key: Key) -> DnsAnswer:
        now = self._clock()
        return Inquiry(*key, now).cut_short(now)

    def _recalled(self, key: Key) -> DnsAnswer | None:
        answer = self._remember.recall(*key) if self._remember is not None else None
        if answer is not None:
            self._keep(key, answer)
        return answer

    def _keep(self, key: Key, answer: DnsAnswer) -> None:
        if answer.ended + dns_ttl(answer) > self._clock():
            self._answers[key] = answer
            if len(self._answers) > self._remembered:
                # Many together: a dictionary finds its first key behind the places of all that were deleted there.
                for old in list(islice(self._answers, self._remembered // 8 + 1)):
                    del self._answers[old]

    # --- from try to try -------------------------------------------------------------------------------

    def _begin(self, asking: _Asking) -> None:
        self._free -= 1
        inquiry = asking.inquiry
        inquiry.asked = self._clock()
        question = question_of(inquiry.name, inquiry.type)
        if question is None:
            inquiry.best = Response(DnsOutcome.MALFORMED)
            self._conclude(asking)
            return
        asking.question = question
        asking.attempts = self._rounds.ask(inquiry)
        self._go_on(asking, None)

    def _go_on(self, asking: _Asking, response: Response | None) -> None:
        """Make the next try, or conclude. With a response the try before has ended."""
        if self._closed:  # it was told what there was; a TCP connection came to its end just then
            return
        asking.running = None
        while True:
            try:
                attempt = asking.attempts.send(response)  # type: ignore[arg-type]  # None begins it
            except StopIteration:
                self._conclude(asking)
                return
            response = self._try(asking, attempt)
            if response is None:
                return

    def _try(self, asking: _Asking, attempt: Attempt) -> Response | None:
        """Begin a try; give what came of it when that is known at once."""
        if attempt.transport == "tcp":
            task = asyncio.get_running_loop().create_task(_ask_over_tcp(asking.question, attempt))
            task.add_done_callback(
                lambda done: None if done.cancelled() else self._go_on(asking, done.result())
            )
            asking.running = task
            return None
        try:
            asking.running = self._socket(attempt).ask(
                asking.question,
                lambda response: self._go_on(asking, response),
                edns=attempt.edns,
                limit=attempt.limit,
            )
        except OSError as error:
            return unreachable(error)
        return None

    def _socket(self, attempt: Attempt) -> SharedSocket | OwnSocket:
        loop = asyncio.get_running_loop()
        server = attempt.server
        if attempt.again or server not in self._local:
            return OwnSocket(loop, server)
        shared = self._shared.get(server)
        if shared is None:
            shared = self._shared[server] = SharedSocket(loop, server)
        return shared

    def _conclude(self, asking: _Asking) -> None:
        inquiry = asking.inquiry
        answer = inquiry.conclude(self._clock())
        key = (inquiry.name, inquiry.type)
        del self._asking[key]
        self._keep(key, answer)
        self._free += 1
        try:
            if self._remember is not None:
                self._remember.keep(answer)
        except Exception as error:  # noqa: BLE001  # it is for who asked; here, in the loop, nobody would hear of it
            asking.fail(error)
        else:
            asking.deliver(answer)
        if self._line:
            # Not here: a whole line whose servers cannot be reached would be one call within the other.
            asyncio.get_running_loop().call_soon(self._begin_next)

    def _begin_next(self) -> None:
        while self._line and self._free:
            self._begin(self._line.popleft())


class _Asking:
    """One question, who waits for it, and the try that it waits for itself.

    `question` and `attempts` are set when it begins, after its time in line.
    """

    __slots__ = ("_waiting", "attempts", "inquiry", "question", "running")

    question: Question
    attempts: Generator[Attempt, Response, None]

    def __init__(self, inquiry: Inquiry) -> None:
        self.inquiry = inquiry
        self.running: Exchange | asyncio.Task[Response] | None = None
        self._waiting: list[asyncio.Future[DnsAnswer]] = []

    def wait(self) -> asyncio.Future[DnsAnswer]:
        """Give what will hold the answer."""
        waiter: asyncio.Future[DnsAnswer] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        return waiter

    def deliver(self, answer: DnsAnswer) -> None:
        """Give the answer to all who still wait."""
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_result(answer)

    def fail(self, error: Exception) -> None:
        """Tell all who still wait that the answer could not be kept."""
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_exception(error)


async def _ask_over_tcp(question: Question, attempt: Attempt) -> Response:
    number = draw_id()
    query = question.query(number, edns=attempt.edns)
    try:
        return await over_tcp(question, number, query, attempt.server, attempt.limit)
    except TimeoutError:
        return Response(DnsOutcome.TIMEOUT)
    except OSError as error:
        return unreachable(error)


def on_loopback(ip: str) -> bool:
    """Whether a server's IP is one of this host's loopback addresses (127.0.0.0/8, ::1)."""
    try:
        return ip_address(ip).is_loopback
    except ValueError:  # whoever sends to it is told
        return False
