"""The progress of a batch: a bar on standard error, for a person at a terminal only."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING, NoReturn

from probe.cli import complain

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable

    from tqdm import tqdm

    from probe.core.tally import Tally

INTERVAL = 0.25
"""Seconds between two looks, as `probe.cli.progress`."""


def wanted(args: Namespace) -> bool:
    """Whether somebody watches, and the results do not go to the same terminal."""
    return (
        sys.stderr.isatty()
        and os.environ.get("TERM") != "dumb"
        and not args.quiet
        and (args.output is not None or args.format == "markdown" or not sys.stdout.isatty())
    )


class Bar:
    """Shows how many of `total` are done; `ended` says that the input is read, and so the total final."""

    def __init__(self, tally: Tally, total: Callable[[], int], ended: Callable[[], bool]) -> None:
        from tqdm import tqdm

        tqdm.monitor_interval = 0  # it needs no thread that watches it: we look often enough
        self._tally = tally
        self._total = total
        self._ended = ended
        self._bar: tqdm[NoReturn] = tqdm(
            total=None,
            initial=tally.earlier,
            unit=" addresses",
            file=sys.stderr,
            leave=False,
            dynamic_ncols=True,
            mininterval=0.0,
            smoothing=0.1,
        )
        self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        while True:
            self._show()
            await asyncio.sleep(INTERVAL)

    def _show(self) -> None:
        bar = self._bar
        shares = ", ".join(f"{share.cause} {share.count:,}" for share in self._tally.shares()[:3])
        # Without a total the count stands before it: `1 address [00:01, ...`.
        bar.unit = " address" if self._tally.done == 1 and not self._ended() else " addresses"
        if self._ended():
            bar.total = self._total()
        else:
            shares = ", ".join(text for text in (f"of {self._total():,} so far", shares) if text)
        bar.set_postfix_str(shares, refresh=False)
        try:
            bar.update(self._tally.done - bar.n)
            bar.refresh()
        except OSError:
            self._task.cancel()  # the terminal is gone

    def say(self, text: str) -> None:
        """Say one line above the bar."""
        self._bar.clear()
        complain(text)

    def stop(self) -> None:
        """Take the bar away for good."""
        self._task.cancel()
        self._bar.close()
