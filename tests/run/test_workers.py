"""The tasks of a batch: how many look for something to do, and when the run is over."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from probe.run.workers import Workers

if TYPE_CHECKING:
    from collections.abc import Coroutine


def test_who_is_back_first_asks_for_all_that_end_in_the_same_turn_of_the_loop() -> None:
    async def run() -> list[tuple[int, int]]:
        gate = asyncio.get_running_loop().create_future()
        rounds = [0, 0]
        seen: list[tuple[int, int]] = []

        async def first() -> None:
            if rounds[0] == 3:
                gate.set_result(None)
            await gate

        async def second() -> None:
            pass

        def job() -> Coroutine[None, None, None] | None:
            if rounds[0] < 3:
                rounds[0] += 1
                return first()
            if rounds[1] < 3:
                seen.append((workers.free, rounds[1]))
                rounds[1] += 1
                return second()
            return None

        workers = Workers(3, job, more=lambda: rounds[0] < 3, done=lambda: rounds[1] == 3)
        async with asyncio.timeout(5):
            await workers.run()
        return seen

    seen = asyncio.run(run())
    # The third worker has opened the gate, for itself and the others: all three are back before one of them looks.
    assert [free for free, _ in seen[:1]] == [2]
    assert [number for _, number in seen] == [0, 1, 2]


def test_what_a_job_raises_ends_the_run() -> None:
    async def fails() -> None:
        raise OSError("no room")

    workers = Workers(2, fails, more=lambda: True, done=lambda: False)
    with pytest.raises(OSError, match="no room"):
        asyncio.run(workers.run())
