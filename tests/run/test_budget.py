"""Turns at the routers near us, in virtual time."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from probe.run.budget import RouterBudget
from tests.support.clock import run

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(autouse=True)
def virtual_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "monotonic", lambda: asyncio.get_running_loop().time())


def turns(count: int, after: float = 0.0) -> list[tuple[bool, float]]:
    """Ask for turns all at once, `after` seconds from the start of the run; tell how each ended, and when."""

    async def one(budget: RouterBudget, now: Callable[[], float]) -> tuple[bool, float]:
        return await budget.turn(), round(now(), 3)

    async def main() -> list[tuple[bool, float]]:
        budget = RouterBudget()
        await asyncio.sleep(after)
        return await asyncio.gather(*(one(budget, asyncio.get_running_loop().time) for _ in range(count)))

    return run(main())


def test_two_at_once_a_third_after_a_second_and_the_others_go_without() -> None:
    assert turns(5) == [(True, 0.0), (True, 0.0), (True, 1.0), (False, 0.0), (False, 0.0)]


def test_what_was_not_used_is_not_saved_up() -> None:
    assert turns(4, after=1000.0) == [(True, 1000.0), (True, 1000.0), (True, 1001.0), (False, 1000.0)]


def test_a_router_is_never_asked_for_more_than_it_answers() -> None:
    """Six packets at once and then one a second is what Linux answers; each search sends two."""

    async def main() -> list[float]:
        budget, loop, begun = RouterBudget(), asyncio.get_running_loop(), []

        async def search(at: float) -> None:
            await asyncio.sleep(at)
            if await budget.turn():
                begun.append(loop.time())

        await asyncio.gather(*(search(n * 0.3) for n in range(60)))
        return begun

    begun = run(main())
    assert len(begun) > 9
    for first in begun:
        for last in begun:
            if last >= first:
                sent = 2 * sum(first <= t <= last for t in begun)
                assert sent <= 6 + (last - first) + 1e-6
