"""Readiness by an epoll of our own, and by the event loop alone: the same events, and nothing left behind."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from probe.net import ready
from probe.net.ready import ERROR, READ, WRITE
from tests.net.test_smtp import loop_factory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Factory = Callable[[], asyncio.AbstractEventLoop]

__all__ = ["loop_factory"]


@pytest.fixture(params=["epoll", "loop"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "loop":
        monkeypatch.setattr(ready, "EPOLL", False)
    return str(request.param)


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    near, far = socket.socketpair()
    near.setblocking(False)
    with near, far:
        yield near, far


def descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


@pytest.mark.usefixtures("way")
def test_told_what_was_asked_for_until_dropped(
    loop_factory: Factory, pair: tuple[socket.socket, socket.socket]
) -> None:
    near, far = pair
    told: list[int] = []

    async def main() -> None:
        before = descriptors()
        watch = ready.of(asyncio.get_running_loop())

        def tell(events: int) -> None:
            told.append(events & ~ERROR)
            if events & READ:
                near.recv(100)
            else:
                watch.change(near.fileno(), READ)

        watch.add(near.fileno(), WRITE, tell)
        await asyncio.sleep(0.02)
        far.send(b"x")
        await asyncio.sleep(0.02)
        watch.change(near.fileno(), READ | WRITE)
        await asyncio.sleep(0.02)
        watch.drop(near.fileno())
        far.send(b"y")
        await asyncio.sleep(0.02)
        assert descriptors() == before

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(main())
    assert told == [WRITE, READ, WRITE]


@pytest.mark.usefixtures("way")
def test_one_that_fails_keeps_nobody_else_from_being_told(
    loop_factory: Factory, pair: tuple[socket.socket, socket.socket]
) -> None:
    near, far = pair
    told: list[str] = []
    seen: list[str] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _loop, context: seen.append(str(context["exception"])))
        watch = ready.of(loop)

        def fails(_events: int) -> None:
            watch.drop(near.fileno())
            raise ValueError("a bug")

        def works(_events: int) -> None:
            watch.drop(far.fileno())
            told.append("works")

        watch.add(near.fileno(), WRITE, fails)
        watch.add(far.fileno(), WRITE, works)
        await asyncio.sleep(0.02)

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(main())
    assert (told, seen) == (["works"], ["a bug"])


@pytest.mark.usefixtures("way")
def test_dropped_by_the_one_told_before(
    loop_factory: Factory, pair: tuple[socket.socket, socket.socket]
) -> None:
    """Both are ready in the same turn, and whoever is told first closes the other."""
    told: list[int] = []

    async def main() -> None:
        watch = ready.of(asyncio.get_running_loop())
        left = {end.fileno(): end for end in pair}

        def tell(_events: int) -> None:
            told.append(len(left))
            for descriptor, end in left.items():
                watch.drop(descriptor)
                end.close()
            left.clear()

        for descriptor in left:
            watch.add(descriptor, WRITE, tell)
        await asyncio.sleep(0.02)

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(main())
    assert told == [2]


@pytest.mark.parametrize("fails", [True, False])
def test_afterwards_is_when_all_have_been_told(
    loop_factory: Factory, pair: tuple[socket.socket, socket.socket], *, fails: bool
) -> None:
    happened: list[str] = []
    bugs: list[object] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _loop, context: bugs.append(context["exception"]))
        watch = ready.of(loop)

        def write() -> None:
            happened.append("written")
            if fails:
                raise ValueError("a bug")

        def tell(descriptor: int) -> Callable[[int], None]:
            def told(_events: int) -> None:
                watch.drop(descriptor)
                happened.append("told")
                watch.afterwards(write)

            return told

        for end in pair:
            watch.add(end.fileno(), WRITE, tell(end.fileno()))
        await asyncio.sleep(0.02)
        happened.append("nobody is told")
        if not fails:
            watch.afterwards(write)

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(main())
    assert happened == ["told", "told", "written", "written", "nobody is told", *(["written"] * (not fails))]
    assert len(bugs) == 2 * fails


@pytest.mark.usefixtures("way")
def test_handed_over(loop_factory: Factory, pair: tuple[socket.socket, socket.socket]) -> None:
    """As `reach` does to `line`: from then on only the new owner is told."""
    near, far = pair
    told: list[str] = []

    async def main() -> None:
        watch = ready.of(asyncio.get_running_loop())

        def stands(_events: int) -> None:
            told.append("stands")
            watch.hand_over(near.fileno(), READ, came)

        def came(_events: int) -> None:
            told.append(near.recv(100).decode())

        watch.add(near.fileno(), WRITE, stands)
        await asyncio.sleep(0.02)
        far.send(b"hello")
        await asyncio.sleep(0.02)
        watch.drop(near.fileno())
        far.send(b"nobody")
        await asyncio.sleep(0.02)

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(main())
    assert told == ["stands", "hello"]
