"""Reports to standard output, in the format that was asked for."""

from __future__ import annotations

import io
import os
import sys
from typing import TYPE_CHECKING

from probe.cli import say

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterable

    from probe.core.model import Report


def wants_color(choice: str) -> bool:
    """Whether to colour: --color decides, then NO_COLOR, then whether it is a terminal that can."""
    if choice != "auto":
        return choice == "always"
    return not os.environ.get("NO_COLOR") and sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


class Printer:
    """Prints one report after the other, as they come.

    A reader that goes away (`| head -1`) is no error: `unread` is set, and what follows is not printed.
    """

    def __init__(self, args: Namespace, *, several: bool, machine: bool = False) -> None:
        """`machine` says that what is printed is JSON, whatever the format of the reports."""
        self.unread = False
        self._format = "jsonl" if args.format == "json" and several else args.format
        self._args = args
        self._count = 0
        if isinstance(sys.stdout, io.TextIOWrapper):
            # JSON is UTF-8 (RFC 8259 8.1) whatever the locale; for people, what it cannot show is escaped.
            encoding = "utf-8" if machine or self._format in {"json", "jsonl"} else None
            sys.stdout.reconfigure(encoding=encoding, errors="backslashreplace")

    def show(self, report: Report) -> None:
        """Print one report and flush it, so that nothing finished is lost. Raises as `write` does."""
        self.write("".join(self._pieces(report)))
        self._count += 1

    def write(self, text: str) -> None:
        """Print text and flush it. Raises `UsageError` when the disk or device behind it takes no more."""
        if self.unread:
            return
        try:
            say(text)
        except BrokenPipeError:
            self.unread = True

    def _pieces(self, report: Report) -> Iterable[str]:
        if self._format == "json":
            from probe.codec import pretty

            yield pretty(report) + "\n"
        elif self._format == "jsonl":
            from probe.codec import encode

            yield encode(report).decode() + "\n"
        elif self._format == "csv":
            from probe.show import spreadsheet

            if self._count == 0:
                yield spreadsheet.header()
            yield spreadsheet.row(report)
        elif self._format == "markdown":
            from probe.show import markdown

            yield ("\n" if self._count else "") + markdown.render(report)
        elif self._args.letter:
            from probe.show import letter
            from probe.show.letters import Reader

            yield letter.BETWEEN if self._count else ""
            yield letter.render(report, Reader(self._args.letter), redact=self._args.redact)
        elif self._args.quiet:
            from probe.show.text import quiet

            yield quiet(report)
        else:
            from probe.show.text import render

            if self._count:
                yield "\n"
            yield render(
                report, verbose=self._args.verbose, color=wants_color(self._args.color), width=width()
            )


def width() -> int:
    """Columns of the terminal, between 60 and 100; 80 when it is none."""
    if not sys.stdout.isatty():
        return 80
    try:
        return max(60, min(100, os.get_terminal_size(sys.stdout.fileno()).columns))
    except OSError:
        return 80
