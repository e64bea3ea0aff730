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

from probe.core.model import ConnectOutcome
from probe.net import reach

if TYPE_CHECKING:
    from collections.abc import Iterator

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
    ip: str, port: int, *, limit: float = 5.0, source: str | None = None
) -> tuple[Connect, socket.socket | None]:
    return asyncio.run(reach.connect(ip, port, timeout=limit, source=source, clock=time.monotonic))


def test_connected(listener: socket.socket) -> None:
    record, sock = try_connect("127.0.0.1", listener.getsockname()[1])
    assert sock is not None
    with sock:
        assert record.outcome is ConnectOutcome.CONNECTED
        assert record.local_ip == "127.0.0.1"
        assert record.errno is None
        assert record.started <= record.ended
        assert not sock.getblocking()


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


def test_silence(deaf: int) -> None:
    before = descriptors()
    record, sock = try_connect("127.0.0.1", deaf, limit=0.2)
    assert sock is None
    assert record.outcome is ConnectOutcome.TIMEOUT
    assert record.errno is None  # the limit was ours, the system has not given up
    assert 0.2 <= record.ended - record.started < 1.0
    assert descriptors() == before


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
        connecting = reach.connect("127.0.0.1", deaf, timeout=5, source=None, clock=time.monotonic)
        task = asyncio.create_task(connecting)
        await asyncio.sleep(0.05)
        before = descriptors()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert descriptors() == before - 1

    asyncio.run(attempt())
