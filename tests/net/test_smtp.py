"""The driver on real loopback sockets, under asyncio's own loop and, where it is installed, under uvloop."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import importlib.util
import socket
import ssl
import struct
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
import trustme

from probe.core.conversation import Plan, follow_up, in_step
from probe.core.model import (
    ConnectOutcome,
    Direction,
    ExchangeOutcome,
    Purpose,
    Stage,
    TlsMode,
)
from probe.lab.world import DeadHost
from probe.net import smtp, tcp, wire
from probe.net.smtp import Call
from probe.net.watch import Watch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from probe.core.model import Session

    Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

SENDER = "administrator@customer.example.com"
LIMIT = 0.2
LOOPS = ["asyncio", *(["uvloop"] if importlib.util.find_spec("uvloop") else [])]


@pytest.fixture(params=LOOPS)
def loop_factory(request: pytest.FixtureRequest) -> Callable[[], asyncio.AbstractEventLoop]:
    if request.param == "asyncio":
        return asyncio.new_event_loop
    import uvloop

    return uvloop.new_event_loop


def plan(
    *,
    limit: float = 5.0,
    quit_limit: float = 1.0,
    tls: TlsMode = TlsMode.AUTO,
    purpose: Purpose = Purpose.CALLOUT,
) -> Plan:
    return Plan(
        purpose=purpose,
        rcpt=SENDER,
        helo="probe.example.com",
        tls=tls,
        banner_timeout=limit,
        reply_timeout=limit,
        quit_timeout=quit_limit,
    )


class Host:
    """A mail host on loopback: a handler per connection, and every line that it was sent."""

    def __init__(self, handler: Handler) -> None:
        self.lines: list[bytes] = []
        self.port = 0
        self._handler = handler
        self._tasks: set[asyncio.Task[None]] = set()

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[Host]:
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            await asyncio.wait_for(asyncio.gather(*self._tasks), 5)
        assert not any(line.upper().startswith(b"DATA") for line in self.lines)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                await self._handler(reader, writer)
        finally:
            writer.close()

    async def heard(self, verb: bytes) -> None:
        """Wait until a line with this command has come."""
        async with asyncio.timeout(2):
            while not (self.lines and self.lines[-1].startswith(verb)):  # noqa: ASYNC110 - a test's wait
                await asyncio.sleep(0.005)

    def call(self, the_plan: Plan, *, server_name: str | None = None) -> Call:
        return Call(
            "127.0.0.1",
            self.port,
            the_plan,
            connect_timeout=2.0,
            source=None,
            clock=time.monotonic,
            server_name=server_name,
        )


def host(*turns: bytes, end: str = "close") -> Host:
    """Build a host that sends a turn, reads a line, and so on; then `end`: close, reset or stay."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for turn in turns:
            writer.write(turn)
            if turn.startswith(b"221"):
                break
            me.lines.append(await reader.readline())
        if end == "stay":
            while line := await reader.readline():
                me.lines.append(line)
        if end == "reset":
            sock = writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

    me = Host(handler)
    return me


def converse(
    the_host: Host,
    the_plan: Plan,
    factory: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop,
    *,
    server_name: str | None = None,
) -> Session:
    async def main() -> Session:
        async with the_host.open():
            return await the_host.call(the_plan, server_name=server_name).run()

    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(main())


def replies(session: Session) -> dict[Stage, int | None]:
    return {e.stage: e.reply.code for e in session.exchanges if e.reply is not None}


GOOD = (b"220 hi\r\n", b"250 mx.example.com\r\n", b"250 ok\r\n", b"250 ok\r\n", b"221 bye\r\n")


def test_whole_callout(loop_factory: Callable[[], asyncio.AbstractEventLoop]) -> None:
    the_host = host(*GOOD)
    session = converse(the_host, plan(), loop_factory)
    assert replies(session) == {
        Stage.BANNER: 220,
        Stage.EHLO: 250,
        Stage.MAIL: 250,
        Stage.RCPT: 250,
        Stage.QUIT: 221,
    }
    assert the_host.lines[:4] == [
        b"EHLO probe.example.com\r\n",
        b"MAIL FROM:<>\r\n",
        f"RCPT TO:<{SENDER}>\r\n".encode(),
        b"QUIT\r\n",
    ]
    assert in_step(session) is True
    assert session.connect.outcome is ConnectOutcome.CONNECTED
    assert session.connect.local_ip == "127.0.0.1"
    assert (session.tcp is not None) == tcp.LINUX
    assert session.soft_error is None


STAGES = [Stage.BANNER, Stage.EHLO, Stage.MAIL, Stage.RCPT, Stage.QUIT]


@pytest.mark.parametrize(
    ("end", "outcome"),
    [
        ("close", ExchangeOutcome.CLOSED),
        ("reset", ExchangeOutcome.RESET),
        ("stay", ExchangeOutcome.TIMEOUT),
    ],
)
@pytest.mark.parametrize("number", range(5))
def test_every_stage_broken(
    number: int, end: str, outcome: ExchangeOutcome, loop_factory: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    turns = GOOD[:number]
    limit = LIMIT if end == "stay" else 5.0
    the_host = host(*turns, end=end)
    session = converse(the_host, plan(limit=limit, quit_limit=limit), loop_factory)
    last = session.exchanges[-1]
    assert (last.stage, last.outcome) == (STAGES[number], outcome)
    if outcome is ExchangeOutcome.RESET:
        assert last.detail == "ECONNRESET"
    assert session.tape[-1].direction is Direction.NOTE
    assert (session.tcp is not None) == tcp.LINUX  # read before the socket was closed


def test_nobody_listens() -> None:
    async def main() -> tuple[Call, Session]:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
        call = Call("127.0.0.1", port, plan(), connect_timeout=1, source=None, clock=time.monotonic)
        return call, await call.run()

    call, session = asyncio.run(main())
    assert session.connect.outcome is ConnectOutcome.REFUSED
    assert session.exchanges == ()
    assert not call.connected.is_set()
    assert session.tcp is None
    assert (session.connect.tcp is not None) == tcp.LINUX


# --- how replies come -------------------------------------------------------------------------------


def test_two_replies_in_one_segment() -> None:
    the_host = host(
        b"220 hi\r\n", b"250 a\r\n250 b\r\n", b"250 ok\r\n", b"550 5.1.1 User unknown\r\n", b"221 x\r\n"
    )
    session = converse(the_host, plan())
    assert replies(session)[Stage.RCPT] == 550
    assert in_step(session) is True


def test_last_words_before_a_reset_are_kept() -> None:
    session = converse(host(b"220 hi\r\n", b"421 4.7.0 too many connections\r\n", end="reset"), plan())
    assert replies(session)[Stage.EHLO] == 421


def test_who_looks_late_reads_first_what_came_in_time(
    loop_factory: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    """A host says half a greeting and closes while this process is held up: it was closed, and nobody was silent."""
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as beside:

        def serve() -> None:
            peer, _ = listener.accept()
            with peer:
                time.sleep(0.1)  # until we are held up
                peer.sendall(b"220-mx1.example.com\r\n")

        async def held_up() -> Session:
            asyncio.get_running_loop().call_later(0.05, time.sleep, 0.4)
            port, patience = listener.getsockname()[1], plan(limit=LIMIT)
            call = Call("127.0.0.1", port, patience, connect_timeout=1, source=None, clock=time.monotonic)
            return await call.run()

        served = beside.submit(serve)
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            session = runner.run(held_up())
        served.result()
    assert session.exchanges[0].outcome is ExchangeOutcome.CLOSED


def test_one_byte_at_a_time_within_the_limit() -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for turn in GOOD:
            for byte in turn:
                writer.write(bytes([byte]))
                await asyncio.sleep(0.002)
            if not turn.startswith(b"221"):
                await reader.readline()

    session = converse(Host(handler), plan())
    assert replies(session)[Stage.QUIT] == 221


def test_one_byte_at_a_time_beyond_the_limit() -> None:
    async def handler(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while not writer.is_closing():
            writer.write(b"2")
            await writer.drain()
            await asyncio.sleep(0.01)

    started = time.monotonic()
    session = converse(Host(handler), plan(limit=LIMIT))
    assert time.monotonic() - started < 1.5
    assert (session.exchanges[0].stage, session.exchanges[0].outcome) == (
        Stage.BANNER,
        ExchangeOutcome.TIMEOUT,
    )
    assert session.exchanges[0].reply is not None


@pytest.mark.parametrize("chunk", [b"220-" + b"x" * 60 + b"\r\n", b"220 hi\r\n", b"x" * 65536])
def test_flood_costs_little_memory(
    chunk: bytes, loop_factory: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    async def handler(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(64):
            writer.write(chunk * (65536 // len(chunk)))
            await writer.drain()

    tracemalloc.start()
    try:
        session = converse(Host(handler), plan(), loop_factory)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert session.exchanges[-1].outcome is ExchangeOutcome.OVERFLOW
    assert sum(len(t.data) for t in session.tape) < 300_000
    assert kept < 8_000_000  # what the loop itself still holds is in it


# --- TLS --------------------------------------------------------------------------------------------

OFFER = b"250-mx.example.com\r\n250 STARTTLS\r\n"


def tls_host(*, after: bytes = b"220 go\r\n") -> Host:
    authority = trustme.CA()
    certificate = authority.issue_cert("mx.example.com")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for turn in (b"220 hi\r\n", OFFER, after):
            writer.write(turn)
            if turn is not after:
                me.lines.append(await reader.readline())
        await writer.start_tls(context)
        for turn in GOOD[1:]:
            me.lines.append(await reader.readline())
            writer.write(turn)
        await writer.drain()

    me = Host(handler)
    return me


def test_starttls(loop_factory: Callable[[], asyncio.AbstractEventLoop]) -> None:
    the_host = tls_host()
    session = converse(the_host, plan(), loop_factory, server_name="mx.example.com")
    assert session.tls is not None
    assert session.tls.ok
    assert (session.tls.version or "").startswith("TLSv1")
    assert session.tls.cipher
    assert (session.tls.certificate or "").startswith("-----BEGIN CERTIFICATE-----")
    assert session.tls.started <= session.tls.ended
    assert [e.stage for e in session.exchanges] == [
        Stage.BANNER,
        Stage.EHLO,
        Stage.STARTTLS,
        Stage.EHLO,
        Stage.MAIL,
        Stage.RCPT,
        Stage.QUIT,
    ]
    assert in_step(session) is True
    assert the_host.lines[1:3] == [b"STARTTLS\r\n", b"EHLO probe.example.com\r\n"]
    assert all(t.secure for t in session.tape if t.data.startswith("MAIL"))


def test_clear_text_behind_the_220_is_not_read() -> None:
    session = converse(tls_host(after=b"220 go\r\n250 injected\r\n"), plan())
    assert session.tls is not None
    assert session.tls.ok
    assert replies(session)[Stage.QUIT] == 221


def test_refused_starttls_goes_on_in_clear() -> None:
    turns = (
        b"220 hi\r\n",
        OFFER,
        b"454 4.7.0 not now\r\n",
        b"250 ok\r\n",
        b"550 no such user\r\n",
        b"221 x\r\n",
    )
    session = converse(host(*turns), plan())
    assert replies(session)[Stage.STARTTLS] == 454
    assert replies(session)[Stage.RCPT] == 550
    session = converse(host(*turns[:3], b"221 x\r\n"), plan(tls=TlsMode.REQUIRE))
    assert Stage.MAIL not in replies(session)


def test_garbage_instead_of_a_handshake(loop_factory: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for turn in (b"220 hi\r\n", OFFER, b"220 go\r\n"):
            writer.write(turn)
            await reader.readline() if turn != b"220 go\r\n" else await reader.read(1000)
        writer.write(b"220 this is no TLS at all\r\n")
        await writer.drain()
        await reader.read()

    session = converse(Host(handler), plan(), loop_factory)
    assert session.tls is not None
    assert not session.tls.ok
    assert "not TLS" in (session.tls.error or "")
    assert (session.exchanges[-1].stage, session.exchanges[-1].outcome) == (
        Stage.TLS,
        ExchangeOutcome.TLS_FAILED,
    )
    again = follow_up(plan(), session)
    assert again is not None
    assert again.purpose is Purpose.CLEAR


@pytest.mark.parametrize(
    ("end", "outcome"), [("close", ExchangeOutcome.TLS_FAILED), ("stay", ExchangeOutcome.TIMEOUT)]
)
def test_handshake_that_is_cut_or_never_comes(
    end: str, outcome: ExchangeOutcome, loop_factory: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for turn in (b"220 hi\r\n", OFFER, b"220 go\r\n"):
            writer.write(turn)
            await reader.readline() if turn != b"220 go\r\n" else await reader.read(5)
        if end == "stay":
            await reader.read()

    session = converse(Host(handler), plan(limit=LIMIT if end == "stay" else 5.0), loop_factory)
    assert session.tls is not None
    assert not session.tls.ok
    assert (session.exchanges[-1].stage, session.exchanges[-1].outcome) == (Stage.TLS, outcome)


@pytest.mark.parametrize("end", ["close", "reset", "stay"])
def test_starttls_without_an_answer(end: str) -> None:
    limit = LIMIT if end == "stay" else 5.0
    session = converse(host(b"220 hi\r\n", OFFER, end=end), plan(limit=limit))
    assert session.exchanges[-1].stage is Stage.STARTTLS
    assert session.tls is None


def test_unusable_server_names_are_left_out() -> None:
    for name in (
        None,
        "",
        ".",
        "192.0.2.1",
        "[192.0.2.1]",
        "2001:db8::1",
        "a" * 64 + ".example",
        "mx..example",
    ):
        assert wire._sni(name) is None
    assert wire._sni("mx.example.com.") == "mx.example.com"


# --- being cancelled --------------------------------------------------------------------------------


def test_cancelled_says_quit(loop_factory: Callable[[], asyncio.AbstractEventLoop]) -> None:
    the_host = host(b"220 hi\r\n", b"250 mx\r\n", end="stay")

    async def main() -> Session:
        async with the_host.open():
            call = the_host.call(plan())
            task = asyncio.create_task(call.run())
            await asyncio.wait_for(call.connected.wait(), 2)
            await the_host.heard(b"MAIL")
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            return call.session()

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        session = runner.run(main())
    assert the_host.lines[-1] == b"QUIT\r\n"
    assert [(e.stage, e.outcome) for e in session.exchanges[-2:]] == [
        (Stage.MAIL, ExchangeOutcome.CUT_SHORT),
        (Stage.QUIT, ExchangeOutcome.CUT_SHORT),
    ]


@pytest.mark.parametrize("delay", [0.0, 0.001, 0.02])
def test_cancelled_at_any_moment(delay: float, loop_factory: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def main() -> None:
        the_host = tls_host()
        async with the_host.open():
            for turns in range(8):
                task = asyncio.create_task(the_host.call(plan()).run())
                for _ in range(turns):
                    await asyncio.sleep(delay)
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(main())


def test_snapshot_while_it_runs() -> None:
    async def main() -> tuple[Session, Session]:
        the_host = host(end="stay")
        async with the_host.open():
            call = the_host.call(plan(limit=LIMIT))
            before = call.session()
            task = asyncio.create_task(call.run())
            await call.connected.wait()
            await asyncio.sleep(0.05)
            during = call.session()
            await task
            return before, during

    before, during = asyncio.run(main())
    assert before.connect.outcome is ConnectOutcome.CUT_SHORT
    assert before.exchanges == ()
    assert during.connect.outcome is ConnectOutcome.CONNECTED
    assert [(e.stage, e.outcome) for e in during.exchanges] == [(Stage.BANNER, ExchangeOutcome.CUT_SHORT)]


# --- the connection beneath ---------------------------------------------------------------------------


@pytest.mark.parametrize("when", ["before", "while", "after"])
def test_giving_up_the_connection(when: str, loop_factory: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def main() -> Session:
        dead = DeadHost("127.0.0.1")
        port = await dead.start()
        try:
            call = Call("127.0.0.1", port, plan(), connect_timeout=5, source=None, clock=time.monotonic)
            if when == "before":
                call.give_up()
            task = asyncio.create_task(call.run())
            await asyncio.sleep(0.05)
            call.give_up()
            call.give_up()
            return await task
        finally:
            await dead.stop()

    async def established() -> Session:
        the_host = host(*GOOD)
        async with the_host.open():
            call = the_host.call(plan())
            task = asyncio.create_task(call.run())
            await call.connected.wait()
            call.give_up()
            return await task

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        session = runner.run(established() if when == "after" else main())
    if when == "after":
        assert replies(session)[Stage.RCPT] == 250
        return
    assert session.connect.outcome is ConnectOutcome.TIMEOUT
    assert session.connect.ended - session.connect.started < 1
    assert session.exchanges == ()
    if tcp.LINUX:
        assert session.connect.tcp is not None
        assert session.connect.tcp.state == tcp.SYN_SENT


@pytest.mark.skipif(not tcp.LINUX, reason="TCP_INFO tells")
def test_the_plan_may_ask_for_small_segments() -> None:
    large = converse(host(*GOOD), plan())
    small = converse(host(*GOOD), plan(purpose=Purpose.SMALL_SEGMENTS))
    assert large.tcp is not None
    assert small.tcp is not None
    assert small.tcp.mss <= 536 < large.tcp.mss
    assert small.purpose is Purpose.SMALL_SEGMENTS


@pytest.mark.skipif(not tcp.LINUX, reason="TCP_INFO tells")
def test_a_silent_peer_whose_tcp_is_alive(loop_factory: Callable[[], asyncio.AbstractEventLoop]) -> None:
    """The only test that has to wait: the kernel asks no sooner than after a second."""
    session = converse(host(end="stay"), plan(limit=2.3), loop_factory)
    assert session.exchanges[-1].outcome is ExchangeOutcome.TIMEOUT
    assert session.tcp is not None
    assert session.tcp.last_data > 2
    assert session.tcp.last_ack < 1.8
    assert follow_up(plan(limit=2.3), session) is None


def test_a_wait_in_vain_is_ended(
    monkeypatch: pytest.MonkeyPatch, loop_factory: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    monkeypatch.setattr(smtp, "SILENCE", 0.05)
    monkeypatch.setattr(Watch, "look", lambda *_: "nobody is there")
    the_host = host(b"220 hi\r\n", b"250 mx\r\n", end="stay")
    session = converse(the_host, plan(), loop_factory)
    last = session.exchanges[-1]
    assert (last.stage, last.outcome, last.detail) == (
        Stage.MAIL,
        ExchangeOutcome.TIMEOUT,
        "nobody is there",
    )
    assert last.ended - last.sent < 1
    assert the_host.lines[-1] == b"MAIL FROM:<>\r\n"  # and no QUIT


def test_a_reset_that_the_watch_has_read_is_a_reset(monkeypatch: pytest.MonkeyPatch) -> None:
    def look(watch: Watch, _: float) -> None:
        watch.ended_by = ConnectionResetError(errno.ECONNRESET, "ECONNRESET")

    monkeypatch.setattr(smtp, "SILENCE", 0.05)
    monkeypatch.setattr(Watch, "look", look)
    session = converse(host(b"220 hi\r\n", end="stay"), plan())
    assert (session.exchanges[-1].stage, session.exchanges[-1].outcome) == (Stage.EHLO, ExchangeOutcome.RESET)
    assert session.exchanges[-1].detail == "ECONNRESET"


def test_a_quick_peer_is_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smtp, "SILENCE", 0.3)
    looked: list[float] = []
    monkeypatch.setattr(Watch, "look", lambda _, now: looked.append(now))

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for turn in GOOD:
            await asyncio.sleep(0.1)
            writer.write(turn)
            if not turn.startswith(b"221"):
                await reader.readline()

    session = converse(Host(handler), plan())
    assert replies(session)[Stage.QUIT] == 221
    assert looked == []
