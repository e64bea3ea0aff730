"""Connecting over loopback: what the system says is what is recorded, and no descriptor is left behind."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from probe.core.model import ConnectOutcome, Notice, NoticeOrigin
from probe.net import reach, ready, tcp
from probe.net.ready import ERROR

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from probe.core.model import Connect


def descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


@pytest.fixture
def deaf() -> Iterator[int]:
    """Yield a port whose accept queue is full: the kernel drops every further SYN."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        port = server.getsockname()[1]
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        yield port


def try_connect(
    ip: str, port: int, *, limit: float = 5.0, source: str | None = None, mss: int | None = None
) -> tuple[Connect, socket.socket | None]:
    return asyncio.run(reach.connect(ip, port, timeout=limit, source=source, clock=time.monotonic, mss=mss))


def test_connected(listener: socket.socket) -> None:
    record, sock = try_connect("127.0.0.1", listener.getsockname()[1])
    assert sock is not None
    with sock:
        assert record.outcome is ConnectOutcome.CONNECTED
        assert record.local_ip == "127.0.0.1"
        assert record.errno is None
        assert record.started <= record.ended
        assert not sock.getblocking()
        if tcp.LINUX:  # an established connection must not die of an ICMP error
            assert not sock.getsockopt(socket.IPPROTO_IP, tcp.IP_RECVERR)
        assert (record.notices, record.tcp) == ((), None)


def test_from_a_chosen_source(listener: socket.socket) -> None:
    record, sock = try_connect("127.0.0.1", listener.getsockname()[1], source="127.0.0.9")
    assert sock is not None
    sock.close()
    assert record.local_ip == "127.0.0.9"


def test_ipv6() -> None:
    try:
        server = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        record, _ = try_connect("::1", 25)
        assert record.outcome in {ConnectOutcome.NO_ROUTE, ConnectOutcome.LOCAL}
        return
    with server:
        record, sock = try_connect("::1", server.getsockname()[1])
        assert sock is not None
        sock.close()
        assert (record.outcome, record.local_ip) == (ConnectOutcome.CONNECTED, "::1")


def test_refused(listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    listener.close()
    record, sock = try_connect("127.0.0.1", port)
    assert sock is None
    assert (record.outcome, record.errno, record.errno_name) == (
        ConnectOutcome.REFUSED,
        errno.ECONNREFUSED,
        "ECONNREFUSED",
    )
    assert record.notices == ()  # a reset, and no ICMP
    if tcp.LINUX:
        assert record.tcp is not None
        assert record.tcp.state == tcp.CLOSE


def test_silence(deaf: int) -> None:
    before = descriptors()
    record, sock = try_connect("127.0.0.1", deaf, limit=0.2)
    assert sock is None
    assert record.outcome is ConnectOutcome.TIMEOUT
    assert record.errno is None  # the limit was ours, the system has not given up
    assert 0.2 <= record.ended - record.started < 1.0
    assert descriptors() == before
    if tcp.LINUX:
        assert record.tcp is not None
        assert (record.tcp.state, record.tcp.segs_in) == (tcp.SYN_SENT, 0)
    assert record.local_ip == "127.0.0.1"


@pytest.mark.parametrize(
    ("source", "outcome", "name"),
    [
        ("192.0.2.1", ConnectOutcome.LOCAL, "EADDRNOTAVAIL"),  # not ours
        ("2001:db8::1", ConnectOutcome.NO_ROUTE, "EAFNOSUPPORT"),  # of the other family
    ],
)
def test_unusable_source(source: str, outcome: ConnectOutcome, name: str) -> None:
    before = descriptors()
    record, sock = try_connect("127.0.0.1", 25, source=source)
    assert sock is None
    assert (record.outcome, record.errno_name) == (outcome, name)
    assert descriptors() == before


def test_no_descriptor_left(monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(*_: object) -> socket.socket:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    async def attempt() -> tuple[Connect, socket.socket | None]:
        with monkeypatch.context() as patch:
            patch.setattr(socket, "socket", exhausted)
            return await reach.connect("127.0.0.1", 25, timeout=1, source=None, clock=time.monotonic)

    record, sock = asyncio.run(attempt())
    assert sock is None
    assert (record.outcome, record.errno_name) == (ConnectOutcome.LOCAL, "EMFILE")


def test_cancelled_leaves_nothing_open(deaf: int) -> None:
    async def attempt() -> None:
        before = descriptors()
        connecting = reach.connect("127.0.0.1", deaf, timeout=5, source=None, clock=time.monotonic)
        task = asyncio.create_task(connecting)
        await asyncio.sleep(0.05)
        assert descriptors() > before
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(0)
        assert descriptors() == before

    asyncio.run(attempt())


@pytest.mark.parametrize("before", [True, False])
def test_given_up(deaf: int, *, before: bool) -> None:
    async def give_up() -> tuple[Connect, socket.socket | None]:
        attempt = reach.Attempt("127.0.0.1", deaf, timeout=5, source=None, clock=time.monotonic)
        if before:
            attempt.give_up()
        else:
            asyncio.get_running_loop().call_later(0.05, attempt.give_up)
        return await attempt.run()

    opened = descriptors()
    record, sock = asyncio.run(give_up())
    assert sock is None
    assert (record.outcome, record.errno) == (ConnectOutcome.TIMEOUT, None)
    assert record.ended - record.started < 1.0
    assert descriptors() == opened


def test_the_state_while_it_waits(deaf: int) -> None:
    async def look() -> tuple[Connect, Connect, Connect]:
        attempt = reach.Attempt("127.0.0.1", deaf, timeout=5, source=None, clock=time.monotonic)
        before = attempt.so_far()
        task = asyncio.create_task(attempt.run())
        await asyncio.sleep(0.05)
        during = attempt.so_far()
        task.cancel()
        await asyncio.wait({task})
        return before, during, attempt.so_far()

    before, during, after = asyncio.run(look())
    assert {record.outcome for record in (before, during, after)} == {ConnectOutcome.CUT_SHORT}
    assert (before.tcp, before.local_ip) == (None, None)
    assert during.local_ip == after.local_ip == "127.0.0.1"
    if tcp.LINUX:
        assert during.tcp is not None
        assert after.tcp is not None  # read before the socket was closed
        assert (during.tcp.state, after.tcp.state) == (tcp.SYN_SENT, tcp.SYN_SENT)


@pytest.mark.skipif(not tcp.LINUX, reason="TCP_INFO tells")
@pytest.mark.parametrize("ip", ["127.0.0.1", "::1"])
def test_small_segments(ip: str) -> None:
    family = tcp.family_of(ip)
    try:
        server = socket.create_server((ip, 0), family=family)
    except OSError:
        pytest.skip("this machine has no IPv6")
    with server:
        small = tcp.SMALL_MSS[family]
        _, sock = try_connect(ip, server.getsockname()[1], mss=small)
        assert sock is not None
        theirs, _ = server.accept()
        with sock, theirs:
            for end in (sock, theirs):
                info = tcp.tcp_info(end, 0.0)
                assert info is not None
                assert info.mss <= small


# --- ICMP errors, on a kernel that goes on in SYN_SENT: queued, and nothing else told ------------------


def notice(kind: int, code: int) -> Notice:
    return Notice(0.1, NoticeOrigin.ICMP, kind, code, "192.0.2.254")


class InTurn:
    """Readiness that tells each of these events once, whatever the sockets do."""

    def __init__(self, *events: int) -> None:
        self._events = events

    def add(self, descriptor: int, _events: int, tell: Callable[[int], None]) -> None:
        assert descriptor >= 0
        for events in self._events:
            asyncio.get_running_loop().call_soon(tell, events)

    def drop(self, descriptor: int) -> None:
        assert descriptor >= 0


@pytest.mark.parametrize(("code", "outcome"), [(13, ConnectOutcome.PROHIBITED), (3, ConnectOutcome.REFUSED)])
def test_an_entry_of_the_queue_is_a_result(
    deaf: int, monkeypatch: pytest.MonkeyPatch, code: int, outcome: ConnectOutcome
) -> None:
    monkeypatch.setattr(ready, "of", lambda _: InTurn(ERROR))
    monkeypatch.setattr(tcp, "notices", lambda *_: (notice(3, code),))
    before = descriptors()
    record, sock = try_connect("127.0.0.1", deaf)
    assert sock is None
    assert (record.outcome, record.errno) == (outcome, None)
    assert record.notices == (notice(3, code),)
    assert descriptors() == before


def test_an_entry_that_says_nothing_ends_nothing(deaf: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ready, "of", lambda _: InTurn(ERROR, ERROR))
    monkeypatch.setattr(tcp, "notices", lambda *_: (notice(3, 4),))
    record, _ = try_connect("127.0.0.1", deaf, limit=0.05)
    assert record.outcome is ConnectOutcome.TIMEOUT
    assert len(record.notices) == 3


@pytest.fixture
def with_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every answer come with an error, as epoll tells it where one is queued or set."""
    told = reach.Attempt._told
    monkeypatch.setattr(reach.Attempt, "_told", lambda attempt, events: told(attempt, events | ERROR))


@pytest.mark.usefixtures("with_error")
def test_an_entry_beside_an_established_connection(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tcp, "notices", lambda *_: (notice(11, 0),))
    record, sock = try_connect("127.0.0.1", listener.getsockname()[1])
    assert sock is not None
    sock.close()
    assert (record.outcome, record.notices) == (ConnectOutcome.CONNECTED, (notice(11, 0),))


@pytest.mark.usefixtures("with_error")
def test_an_error_that_came_after_the_handshake_ends_nothing(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A router that rejects the ACK: the kernel sets SO_ERROR, queues nothing, and leaves the connection alone."""

    class Struck(socket.socket):
        def getsockopt(self, level: int, option: int, *size: int) -> int | bytes:  # type: ignore[override]
            known = super().getsockopt(level, option, *size)
            return errno.EHOSTUNREACH if option == socket.SO_ERROR else known

    monkeypatch.setattr(socket, "socket", Struck)
    record, sock = try_connect("127.0.0.1", listener.getsockname()[1])
    assert sock is not None
    sock.close()
    assert (record.outcome, record.errno) == (ConnectOutcome.CONNECTED, None)


def test_a_system_without_any_of_it(
    listener: socket.socket, deaf: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tcp, "LINUX", False)
    monkeypatch.setattr(ready, "EPOLL", False)
    monkeypatch.setattr(reach, "NONBLOCK", 0)
    record, sock = try_connect("127.0.0.1", listener.getsockname()[1])
    assert sock is not None
    sock.close()
    assert record.outcome is ConnectOutcome.CONNECTED
    record, _ = try_connect("127.0.0.1", deaf, limit=0.1)
    assert (record.outcome, record.notices, record.tcp) == (ConnectOutcome.TIMEOUT, (), None)
