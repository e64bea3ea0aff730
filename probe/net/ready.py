"""Which sockets are ready: one epoll of our own beneath the event loop, for thousands of short connections.

An event loop keeps a record for each descriptor and makes objects and a turn of its own for each event. That costs
more than a callout does with the event, and what epoll knows of an error is lost on the way. So the sockets of
all callouts are registered with an epoll(7) of ours, whose own descriptor is the only one that the loop watches: an
epoll is readable when one of its sockets is ready. Where there is no epoll the loop's `add_reader` and `add_writer`
do the same, and an error may then stand behind every `WRITE`.

Errors are told whether they were asked for or not (`EPOLLERR`, `EPOLLHUP`), as `ERROR` together with what
was asked for, so that whoever reads or writes next meets them.

What is to be written is best written `afterwards`, when all events that came together have been told: a mail host that
serves many of our connections is then woken once for all of them, and does not take turns with us over each line.
"""

from __future__ import annotations

import select
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

READ, WRITE, ERROR = 1, 4, 8
"""As <sys/epoll.h> numbers EPOLLIN, EPOLLOUT and EPOLLERR."""

EPOLL = hasattr(select, "epoll")
"""Whether the system has it."""

AT_ONCE = 64
"""Events that are taken from the kernel at once; the rest come in the loop's next turn. What is written `afterwards`
waits for all of them: some two milliseconds at most."""


class Readiness(Protocol):
    """Tells of descriptors when they are ready, with the events that are so, until they are dropped."""

    def add(self, descriptor: int, events: int, tell: Callable[[int], None]) -> None:
        """Watch a descriptor that is not watched."""

    def change(self, descriptor: int, events: int) -> None:
        """Watch one that is watched for other events."""

    def hand_over(self, descriptor: int, events: int, tell: Callable[[int], None]) -> None:
        """Watch one that is watched for other events, and for somebody else."""

    def drop(self, descriptor: int) -> None:
        """Watch it no longer. To be called before it is closed."""

    def afterwards(self, callback: Callable[[], None]) -> None:
        """Call when all who are being told have been told; at once where nobody is."""


def of(loop: asyncio.AbstractEventLoop) -> Readiness:
    """Return that of a running loop."""
    if not EPOLL:
        return _ByLoop(loop)
    found = _EPOLLS.get(loop)
    if found is None:
        found = _EPOLLS[loop] = _Epoll(loop)
    return found


class _Epoll:
    """One epoll, as long as it has a descriptor to watch."""

    __slots__ = ("_afterwards", "_epoll", "_loop", "_tell")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._epoll = select.epoll()
        self._tell: dict[int, Callable[[int], None]] = {}
        self._afterwards: list[Callable[[], None]] | None = None  # only while somebody is being told
        loop.add_reader(self._epoll.fileno(), self._ready)

    def add(self, descriptor: int, events: int, tell: Callable[[int], None]) -> None:
        self._epoll.register(descriptor, events)
        self._tell[descriptor] = tell

    def change(self, descriptor: int, events: int) -> None:
        self._epoll.modify(descriptor, events)

    def hand_over(self, descriptor: int, events: int, tell: Callable[[int], None]) -> None:
        self._epoll.modify(descriptor, events)
        self._tell[descriptor] = tell

    def drop(self, descriptor: int) -> None:
        del self._tell[descriptor]
        self._epoll.unregister(descriptor)
        if not self._tell:
            self._loop.call_soon(self._retire)  # not at once: the next one may come in this turn

    def afterwards(self, callback: Callable[[], None]) -> None:
        if self._afterwards is None:
            callback()
        else:
            self._afterwards.append(callback)

    def _retire(self) -> None:
        if not self._tell and not self._epoll.closed:
            self._loop.remove_reader(self._epoll.fileno())
            self._epoll.close()
            del _EPOLLS[self._loop]

    def _ready(self) -> None:
        found = self._epoll.poll(0, AT_ONCE)
        # All looked up before the first is told: it may close others, whose numbers new sockets get.
        told = [(descriptor, events, self._tell.get(descriptor)) for descriptor, events in found]
        afterwards = self._afterwards = []
        for descriptor, events, tell in told:
            if tell is not None and self._tell.get(descriptor) is tell:
                try:
                    tell(events)
                except Exception as bug:  # noqa: BLE001  # as the loop does with a callback of its own
                    self._failed(bug)
        self._afterwards = None
        for callback in afterwards:
            try:
                callback()
            except Exception as bug:  # noqa: BLE001  # as above
                self._failed(bug)

    def _failed(self, bug: Exception) -> None:
        self._loop.call_exception_handler({"message": "a socket's callback", "exception": bug})


class _ByLoop:
    """The same without an epoll: for each event a callback of the loop."""

    __slots__ = ("_loop", "_tell")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._tell: dict[int, Callable[[int], None]] = {}

    def add(self, descriptor: int, events: int, tell: Callable[[int], None]) -> None:
        self._tell[descriptor] = tell
        self.change(descriptor, events)

    hand_over = add

    def change(self, descriptor: int, events: int) -> None:
        tell = self._tell[descriptor]
        if events & READ:
            self._loop.add_reader(descriptor, tell, READ)
        else:
            self._loop.remove_reader(descriptor)
        if events & WRITE:
            self._loop.add_writer(descriptor, tell, WRITE | ERROR)
        else:
            self._loop.remove_writer(descriptor)

    def drop(self, descriptor: int) -> None:
        self._tell.pop(descriptor, None)  # added to another object for the same loop, perhaps
        self._loop.remove_reader(descriptor)
        self._loop.remove_writer(descriptor)

    def afterwards(self, callback: Callable[[], None]) -> None:
        callback()


_EPOLLS: dict[asyncio.AbstractEventLoop, _Epoll] = {}
"""Each from its first descriptor to the turn of the loop after its last."""
