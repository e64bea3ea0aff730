"""A bounded number of tasks that take whatever can be done next, until all is done."""

from __future__ import annotations

import asyncio
from contextvars import copy_context
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine


class Workers:
    """At most `most` tasks. `job` gives what is next, None where nothing can be done now.

    `more` says whether a further task would find something too; `done` is asked when one finds nothing, and true ends
    the run unless others are still busy. A job that raises ends it at once.
    """

    def __init__(
        self,
        most: int,
        job: Callable[[], Coroutine[None, None, None] | None],
        *,
        more: Callable[[], bool],
        done: Callable[[], bool],
    ) -> None:
        self._most = most
        self._job = job
        self._more = more
        self._done = done
        self._tasks: list[asyncio.Task[None]] = []
        self._idle: list[asyncio.Future[None]] = []
        self._busy = 0
        self._returning = 0
        self._over: asyncio.Future[None] | None = None
        self._context = copy_context()

    @property
    def free(self) -> int:
        """How many would take a job now, beside the one that asks."""
        return len(self._idle) + self._returning

    async def run(self) -> None:
        """Work until all is done; what a job raises comes out here."""
        self._over = asyncio.get_running_loop().create_future()
        self.wake()
        try:
            await self._over
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def wake(self) -> None:
        """Have one more worker look for something to do; nothing before the run, and after it."""
        if self._over is None or self._over.done():
            return
        if self._idle:
            self._idle.pop().set_result(None)
        elif len(self._tasks) < self._most:
            # One name and one context for all: as the task's own they take 130 octets.
            self._tasks.append(asyncio.create_task(self._work(), name="worker", context=self._context))

    def fail(self, error: BaseException) -> None:
        """End the run with an error."""
        if self._over is not None and not self._over.done():
            self._over.set_exception(error)

    async def _work(self) -> None:
        try:
            while True:
                job = self._job()
                if job is None:
                    await self._rest()
                    continue
                self._busy += 1
                if self._more():
                    self.wake()
                try:
                    await job
                finally:
                    self._busy -= 1
                # Several visits end in one turn of the loop. By the next turn all of them are back, and the first to
                # look for something asks for all: to ask the agenda and its ledger for one costs nearly as much.
                self._returning += 1
                await asyncio.sleep(0)
                self._returning -= 1
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001  # whoever awaits `run` gets it
            self.fail(error)

    async def _rest(self) -> None:
        """Wait for something to do; the last to come here knows that all is done."""
        if not self._busy and self._over is not None and not self._over.done() and self._done():
            self._over.set_result(None)
        idle = asyncio.get_running_loop().create_future()
        self._idle.append(idle)
        await idle
