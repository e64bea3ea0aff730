"""What is waited for, on standard error: one line, rewritten in place, for a person at a terminal only."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable

PATIENCE = 1.0
"""Most answers are there within a second; a line that flashes up and vanishes only disturbs."""
INTERVAL = 0.25
"""Between two looks: quick enough for a person, nothing for the machine."""
_ERASE = "\r\x1b[K"
"""Back to the first column, and erase to the end of the line (ECMA-48 8.3.41)."""


def wanted(args: Namespace) -> bool:
    """Whether somebody watches: standard error is a terminal, and the result is for a person."""
    return (
        sys.stderr.isatty()
        and os.environ.get("TERM") != "dumb"
        and not args.quiet
        and args.format in {"text", "markdown"}
        and args.save != "-"
    )


class Progress:
    """The status line of a run. `status` gives its words, which need not be safe to show."""

    def __init__(self, status: Callable[[], str]) -> None:
        self._status = status
        self._began = time.monotonic()
        self._shown = False
        self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        await asyncio.sleep(PATIENCE)
        while True:
            self._show()
            await asyncio.sleep(INTERVAL)

    def _show(self) -> None:
        from probe.show.printable import safe

        lapse = f" {time.monotonic() - self._began:.0f} s"
        text = safe(self._status(), width=max(_columns() - len(lapse) - 1, 20))
        self._write(f"{_ERASE}{text}{lapse}")
        self._shown = True

    def clear(self) -> None:
        """Take the line away, so that a result can be printed in its place."""
        if self._shown:
            self._write(_ERASE)
            self._shown = False

    def stop(self) -> None:
        """Take the line away for good."""
        self._task.cancel()
        self.clear()

    def _write(self, text: str) -> None:
        try:
            sys.stderr.write(text)
            sys.stderr.flush()
        except OSError:
            self._task.cancel()  # the terminal is gone


def _columns() -> int:
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or 80
    except OSError:
        return 80
