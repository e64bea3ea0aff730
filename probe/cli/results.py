"""The results of a batch: judged, counted, and written as they are finished, or in the order given.

Nothing here waits. A finished line goes to the writer's thread; when that cannot keep up (a disk that syncs, a
reader that dawdles), or when a line before it is not finished yet (--ordered), it waits in the spool, on disk.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from typing import TYPE_CHECKING

from probe.cli import UsageError, report_bug
from probe.cli.writer import LineWriter
from probe.codec import encode
from probe.core.alike import Judge, Line
from probe.core.expiry import HELD_BACK
from probe.core.tally import Failing, is_failing
from probe.show.tally import csv_header, csv_row

if TYPE_CHECKING:
    from collections.abc import Callable

    from probe.cli.resume import OutputFile
    from probe.core.callout import Callout
    from probe.core.model import Evidence, Report
    from probe.core.tally import Tally
    from probe.net.spool import Entry, Spool

EVERY = 0.2
"""Seconds that a finished line waits at most before it is handed to the writer."""
CHUNK = 256 * 1024
"""Octets that are handed over at once, however soon: each time the threads take turns with the interpreter."""
BACKLOG = 4 * 1024 * 1024
"""Octets that wait in memory for a slow disk or reader; more wait in the spool."""

TOLD = 20
"""Faults of ours that are told one by one; the rest is counted."""


class Results:
    """Takes what a batch delivers. `keep` gets the evidence of each address that was asked, and its encoded form.

    When results can no longer be written, `stop` is called once, and `close` raises what is to be said.
    """

    def __init__(
        self,
        spool: Spool,
        callout: Callout,
        tally: Tally,
        *,
        form: str,
        ordered: bool,
        output: OutputFile | None,
        keep: Callable[[Evidence, bytes], None] | None,
        stop: Callable[[], None],
    ) -> None:
        """`form` is `jsonl` or `csv`, or `markdown`: then nothing is written, and only counted."""
        self.lost = 0
        """Addresses without a result, through a fault of ours."""
        self._spool = spool
        self._judge = Judge(callout, encode)
        self._tally = tally
        self._form = form
        self._ordered = ordered
        self._output = output
        self._keep = keep
        self._stop = stop
        self._error: OSError | None = None
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._lines: list[bytes] = []
        self._size = 0
        self._numbered = 0
        self._next = 1
        self._held = 0
        descriptor = sys.stdout.fileno() if output is None else output.descriptor
        self._writer = LineWriter(descriptor, durable=output is not None, failed=self._unwritable)

    def begin(self) -> None:
        """Write what stands before the first result. Whoever begins has to close."""
        self._writer.start()
        if self._form == "csv" and (self._output is None or self._output.is_empty):
            self._write(csv_header().encode())

    @property
    def written(self) -> int:
        """Octets that are in the output file by now, beside what was there before."""
        return self._writer.written

    # --- what a batch delivers ---------------------------------------------------------------------------

    def evidence(self, entry: Entry, evidence: Evidence) -> None:
        """Take the evidence of an address that was asked now."""
        data = encode(evidence)
        try:
            # Of a table or a summary the report itself is needed.
            shared = self._judge
            made = shared.line(evidence, data) if self._form == "jsonl" else shared.judge(evidence)
        except Exception as bug:  # noqa: BLE001  # it is told, and must not cost the others their results
            self.failed(entry, bug)
            return
        if self._keep is not None:
            self._keep(evidence, data)
        if isinstance(made, Line):
            self._tally.add(made.cause, made.reason)
            self._finish(entry, made.data + b"\n", made.reason)
        else:
            self._take(entry, made)

    def report(self, entry: Entry, report: Report) -> None:
        """Take the report of an address that the store answers."""
        self._tally.recalled += 1
        self._take(entry, report)

    def failed(self, entry: Entry, bug: Exception) -> None:
        """Take an address whose probe failed by a fault of ours: it has no result."""
        self.lost += 1
        if self.lost <= TOLD:
            report_bug(bug, f"{ascii(entry.mailbox)[1:-1]}: ")
        self._finish(entry, b"", "")

    def _take(self, entry: Entry, report: Report) -> None:
        self._tally.add(report.cause, report.reason)
        if self._form == "markdown":
            if is_failing(report.cause):
                self._spool.fail(entry.domain, report.cause)
                self._tally.name(Failing(report.address, report.cause, report.reason, report.summary))
        elif self._form == "csv":
            self._finish(entry, csv_row(report).encode(), report.reason)
        else:
            self._finish(entry, encode(report) + b"\n", report.reason)

    def _finish(self, entry: Entry, line: bytes, reason: str) -> None:
        """Write a line when it is its turn and there is room; else it is held on disk."""
        if reason == HELD_BACK and self._spool.is_asked_again(entry):
            line = b""  # the output file says so already
        self._numbered += 1
        if self._held and not self._ordered:
            self._release()  # what is held is all that is between this line and its turn
        number = entry.position if self._ordered else self._numbered
        if number == self._next and self._has_room():
            self._next += 1
            self._write(line)
            if self._held:
                self._release()
        else:
            self._held += 1
            self._spool.hold(number, line)
            self._tick_later()

    def _release(self) -> None:
        """Write what is held and has its turn now, as far as there is room; else look again later."""
        while self._held:
            if not self._has_room():
                self._tick_later()
                return
            lines = self._spool.release(self._next)
            if not lines:
                return
            self._held -= len(lines)
            self._next += len(lines)
            for line in lines:
                self._write(line)

    # --- to the writer -----------------------------------------------------------------------------------

    def _has_room(self) -> bool:
        return self._size + self._writer.backlog < BACKLOG

    def _write(self, line: bytes) -> None:
        self._lines.append(line)
        self._size += len(line)
        if self._size >= CHUNK:
            self._hand_over()
        else:
            self._tick_later()

    def _hand_over(self) -> None:
        if self._lines:
            self._writer.write(b"".join(self._lines))
            self._lines.clear()
            self._size = 0

    def _tick_later(self) -> None:
        if self._timer is None:
            self._timer = self._loop.call_later(EVERY, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self._hand_over()
        self._release()

    def _unwritable(self, error: OSError) -> None:
        """Remember that nothing can be written any more; called in the writer's thread."""
        self._error = error
        with contextlib.suppress(RuntimeError):  # the loop has ended: whoever closes is told
            self._loop.call_soon_threadsafe(self._stop)

    # --- the end -----------------------------------------------------------------------------------------

    def close(self) -> None:
        """Write the rest; what is held goes out in its order, whatever is missing in between.

        Raises `UsageError` when something could not be written.
        """
        if self._timer is not None:
            self._timer.cancel()
        self._hand_over()
        while self._held and self._error is None and (lines := self._spool.drain()):
            self._held -= len(lines)
            self._writer.wait(BACKLOG)
            self._writer.write(b"".join(lines))
        self._writer.close()
        if self._error is None:
            return
        why = self._error.strerror
        if self._output is not None:
            raise UsageError(
                f"-o: {self._output.name!a} could not be written: {why}; what is in it is whole:"
                " make room, and the same command goes on from there"
            )
        silence()
        if isinstance(self._error, BrokenPipeError):
            return  # the reader has seen enough
        raise UsageError(f"standard output could not be written: {why}; print to another place")


def silence() -> None:
    """Let what is still printed vanish, as `probe.cli.say` does."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
