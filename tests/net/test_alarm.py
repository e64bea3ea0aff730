"""Alarms: late by a tick at most, never early, each once, and nothing left behind."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from probe.net import alarm
from probe.net.alarm import TICK
from tests.net.test_smtp import loop_factory

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    Factory = Callable[[], asyncio.AbstractEventLoop]

__all__ = ["loop_factory"]

BUSY = 0.2
"""Seconds by which a busy machine may come late on top."""


class Sleeper:
    def __init__(self, then: Callable[[], object] = lambda: None) -> None:
        self.woken: list[float] = []
        self._then = then

    def wake(self) -> None:
        self.woken.append(time.monotonic())
        self._then()


def run(factory: Factory, main: Coroutine[None, None, None]) -> None:
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main)
        assert runner.get_loop() not in alarm._ALARMS  # nobody else can tell


def test_each_is_woken_once_and_never_early(loop_factory: Factory) -> None:
    waits = [0.0, 0.005, 0.019, 0.02, 0.021, 0.06, 0.1]
    sleepers = [Sleeper() for _ in waits]

    async def main() -> None:
        began = time.monotonic()
        loop = asyncio.get_running_loop()
        for sleeper, wait in reversed(list(zip(sleepers, waits, strict=True))):
            alarm.wake(loop, sleeper, wait)
        await asyncio.sleep(0.1 + TICK + BUSY)
        for sleeper, wait in zip(sleepers, waits, strict=True):
            assert [began + wait <= woken <= began + wait + TICK + BUSY for woken in sleeper.woken] == [True]

    run(loop_factory, main())


def test_who_took_it_back_sleeps_on(loop_factory: Factory) -> None:
    kept, left = Sleeper(), Sleeper()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        alarm.wake(loop, kept, 0.03)
        alarm.let_sleep(loop, left, alarm.wake(loop, left, 0.03))
        await asyncio.sleep(0.03 + TICK + BUSY)
        assert len(kept.woken) == 1
        assert not left.woken
        tick = alarm.wake(loop, left, 0.03)
        alarm.let_sleep(loop, left, tick)
        alarm.let_sleep(loop, left, tick)

    run(loop_factory, main())


def test_one_who_is_woken_may_take_back_and_set_others(loop_factory: Factory) -> None:
    """The second of two with the same tick is not woken by the first's leave; one that is set is, later."""
    ticks: dict[Sleeper, int] = {}
    further = Sleeper()

    async def main() -> None:
        loop = asyncio.get_running_loop()

        def leave() -> None:
            for other in pair:
                if not other.woken:
                    alarm.let_sleep(loop, other, ticks[other])
            alarm.wake(loop, further, 0.0)

        pair = [Sleeper(leave), Sleeper(leave)]
        while len(set(ticks.values())) != 1:  # the clock may come to another tick between them
            for sleeper, tick in ticks.items():
                alarm.let_sleep(loop, sleeper, tick)
            ticks.update({sleeper: alarm.wake(loop, sleeper, 0.03) for sleeper in pair})
        await asyncio.sleep(0.03 + 2 * TICK + BUSY)
        assert sorted(len(sleeper.woken) for sleeper in pair) == [0, 1]
        assert len(further.woken) == 1

    run(loop_factory, main())


def test_one_that_fails_keeps_nobody_else_asleep(loop_factory: Factory) -> None:
    sleepers = [Sleeper(lambda: 1 / 0) for _ in range(3)]
    told: list[object] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: told.append(context["exception"]))
        for sleeper in sleepers:
            alarm.wake(loop, sleeper, 0.01)
        await asyncio.sleep(0.01 + TICK + BUSY)
        assert [len(sleeper.woken) for sleeper in sleepers] == [1, 1, 1]
        assert [type(bug) for bug in told] == [ZeroDivisionError] * 3

    run(loop_factory, main())
