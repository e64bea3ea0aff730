"""Alarms for thousands of calls, on one timer of the event loop.

A timer of the loop is a handle, a context, and a place in a heap, and a call takes nearly each of its timers back.
Here it is a place in a set, that of all who are to be woken in the same fiftieth of a second: so an alarm comes up
to `TICK` late, and never early.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import asyncio

TICK = 0.02
"""Seconds from one waking to the next, at least."""


class Sleeper(Protocol):
    """Who can be woken. It may have one alarm at a time."""

    def wake(self) -> None:
        """Take note that it is time."""


def wake(loop: asyncio.AbstractEventLoop, sleeper: Sleeper, seconds: float) -> int:
    """Have somebody woken once in so many seconds; gives the name of the alarm, for `let_sleep`."""
    alarms = _ALARMS.get(loop)
    if alarms is None:
        alarms = _ALARMS[loop] = _Alarms(loop)
    return alarms.add(sleeper, seconds)


def let_sleep(loop: asyncio.AbstractEventLoop, sleeper: Sleeper, name: int) -> None:
    """Have somebody not woken after all; nothing happens where it has been."""
    alarms = _ALARMS.get(loop)
    if alarms is not None:
        alarms.drop(sleeper, name)


class _Alarms:
    """All alarms of one loop, as long as there is one. A tick is named by its number since the clock's zero."""

    __slots__ = ("_due", "_loop", "_sleepers", "_timer")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._sleepers: dict[int, set[Sleeper]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0  # the tick at which the timer fires

    def add(self, sleeper: Sleeper, seconds: float) -> int:
        tick = int((monotonic() + seconds) / TICK) + 1
        sleepers = self._sleepers.get(tick)
        if sleepers is None:
            self._sleepers[tick] = {sleeper}
            if self._timer is None or tick < self._due:
                self._fire_at(tick)
        else:
            sleepers.add(sleeper)
        return tick

    def drop(self, sleeper: Sleeper, tick: int) -> None:
        sleepers = self._sleepers.get(tick)
        if sleepers is not None:
            sleepers.discard(sleeper)
            if not sleepers:
                del self._sleepers[tick]
                self._retire()

    def _fire_at(self, tick: int) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._due = tick
        self._timer = self._loop.call_later(max(0.0, tick * TICK - monotonic()), self._fire)

    def _fire(self) -> None:
        self._timer = None
        now = int(monotonic() / TICK)
        try:
            for tick in sorted([tick for tick in self._sleepers if tick <= now]):
                while sleepers := self._sleepers.get(tick):
                    sleepers.pop().wake()
                self._sleepers.pop(tick, None)
        finally:  # also where one of them fails, which the loop is told: the others are woken in its next turn
            if self._sleepers:
                self._fire_at(min(self._sleepers))
            self._retire()

    def _retire(self) -> None:
        if self._sleepers:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if _ALARMS.get(self._loop) is self:  # not a later one, of who was woken last
            del _ALARMS[self._loop]


_ALARMS: dict[asyncio.AbstractEventLoop, _Alarms] = {}
"""Each from its first alarm until there is none."""
