"""Several mailboxes over one connection, on real loopback sockets, under both loops."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from probe.core.conversation import Plan, in_step
from probe.core.model import ExchangeOutcome, Stage
from probe.net.line import Line
from probe.net.smtp import Call
from tests.net.test_smtp import GOOD, Host, converse, host, loop_factory, plan, replies, tls_host

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from probe.core.model import Session

    Factory = Callable[[], asyncio.AbstractEventLoop]

__all__ = ["loop_factory"]

NAMES = [f"user{n}@customer.example.com" for n in range(50)]


class Answering:
    """A mail host that answers what it is told to, and counts connections and writes of the client."""

    def __init__(self, *, pipelining: bool, closes_at: int | None = None) -> None:
        self.connections = 0
        self.reads: list[bytes] = []
        self._pipelining = pipelining
        self._closes_at = closes_at
        self.host = Host(self._serve)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        writer.write(b"220 mx.example.com\r\n")
        asked = 0
        while data := await reader.read(4096):
            self.reads.append(data)
            answers = b""
            for line in data.splitlines(keepends=True):
                self.host.lines.append(line)
                if line.startswith(b"EHLO"):
                    answers += b"250-mx\r\n250 PIPELINING\r\n" if self._pipelining else b"250 mx\r\n"
                elif line.startswith(b"RCPT"):
                    asked += 1
                    if asked == self._closes_at:
                        writer.write(answers)
                        return
                    answers += b"250 2.1.5 ok\r\n" if asked % 2 else b"452 4.2.2 mailbox full\r\n"
                elif line.startswith(b"QUIT"):
                    writer.write(answers + b"221 bye\r\n")
                    return
                else:
                    answers += b"250 ok\r\n"
            writer.write(answers)


def ask(
    the_host: Host, names: list[str], factory: Factory, the_plan: Plan | None = None
) -> tuple[list[tuple[str, Session]], str | None]:
    further = iter(names)

    async def main() -> tuple[list[tuple[str, Session]], str | None]:
        async with the_host.open():
            call = Call(
                "127.0.0.1",
                the_host.port,
                the_plan or plan(),
                connect_timeout=2.0,
                source=None,
                clock=time.monotonic,
                following=lambda _: next(further, None),
            )
            first = await call.run()
            found = list(call.sessions())
            assert found[0][1] == first
            return found, call.unasked

    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(main())


@pytest.mark.parametrize("pipelining", [True, False])
def test_ten_mailboxes_over_one_connection(loop_factory: Factory, *, pipelining: bool) -> None:
    peer = Answering(pipelining=pipelining)
    found, unasked = ask(peer.host, NAMES[:9], loop_factory)
    assert (peer.connections, len(found), unasked) == (1, 10, None)
    assert [mailbox for mailbox, _ in found][1:] == NAMES[:9]
    for number, (mailbox, session) in enumerate(found):
        said = next(e.command for e in session.exchanges if e.stage is Stage.RCPT)
        assert said == f"RCPT TO:<{mailbox}>"
        assert replies(session)[Stage.RCPT] == (452 if number % 2 else 250)
        assert (session.before, in_step(session)) == (number, True)
    assert peer.host.lines[-1] == b"QUIT\r\n"
    assert peer.host.lines.count(b"QUIT\r\n") == 1
    groups = [data for data in peer.reads if data.startswith(b"RSET")]
    assert all((b"RCPT" in data) is pipelining for data in groups)


@pytest.mark.parametrize("pipelining", [True, False])
def test_a_host_that_leaves_at_the_fourth(loop_factory: Factory, *, pipelining: bool) -> None:
    peer = Answering(pipelining=pipelining, closes_at=4)
    found, unasked = ask(peer.host, NAMES[:9], loop_factory)
    assert (len(found), unasked) == (4, None)
    last = found[-1][1].exchanges[-1]
    assert (last.stage, last.outcome) == (Stage.RCPT, ExchangeOutcome.CLOSED)
    assert [replies(session).get(Stage.RCPT) for _, session in found] == [250, 452, 250, None]


def test_a_series_behind_starttls(loop_factory: Factory) -> None:
    """The scripted host takes the second mailbox's RSET for the end, and leaves."""
    found, unasked = ask(tls_host(), NAMES[:1], loop_factory)
    assert len(found) == 1
    assert found[0][1].tls is not None
    assert found[0][1].tls.ok
    assert unasked == NAMES[0]


# --- the line beneath ------------------------------------------------------------------------------------


class Choked:
    """A socket that takes three octets at a time and then nothing until it is asked again."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._full = False

    def send(self, data: bytes) -> int:
        self._full = not self._full
        if not self._full:
            raise BlockingIOError
        return self._sock.send(data[:3])

    def __getattr__(self, name: str) -> object:
        return getattr(self._sock, name)


def test_what_the_kernel_does_not_take_is_sent_later(
    monkeypatch: pytest.MonkeyPatch,
    loop_factory: Factory,
) -> None:
    begin = Line.__init__

    def choked(line: Line, loop: object, sock: socket.socket, *rest: object) -> None:
        begin(line, loop, Choked(sock), *rest)  # type: ignore[arg-type]  # as good as a socket

    monkeypatch.setattr(Line, "__init__", choked)
    the_host = host(*GOOD)
    session = converse(the_host, plan(), loop_factory)
    assert replies(session)[Stage.QUIT] == 221
    assert the_host.lines[:2] == [b"EHLO probe.example.com\r\n", b"MAIL FROM:<>\r\n"]


def test_a_bug_of_ours_ends_the_call(
    monkeypatch: pytest.MonkeyPatch,
    loop_factory: Factory,
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("probe.core.conversation.Conversation.received", broken)
    with pytest.raises(ZeroDivisionError):
        converse(host(*GOOD), plan(), loop_factory)
