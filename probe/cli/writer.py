"""Lines to a file or to standard output, from a thread of their own.

A disk that syncs and a reader that dawdles may stop a write for seconds. In the loop of a batch that would stop
every timer, and a mail host that answered in time would be told as one that did not.
"""

from __future__ import annotations

import os
import stat
import threading
import time
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

SYNC = 1.0
"""Seconds between two fsync: what a power loss may cost, and no more than a disk can stand."""
PAUSE = 0.01
"""Seconds between two looks at what is left to write, when everything else is done."""


class LineWriter:
    """Writes whole lines to a descriptor. What it is given after an error is dropped."""

    def __init__(self, descriptor: int, *, durable: bool, failed: Callable[[OSError], None]) -> None:
        """`durable`: fsync, and cut off a line that could only be written in part. `failed` comes from the thread."""
        self._descriptor = descriptor
        self._durable = durable
        self._failed = failed
        self._given = 0
        self._taken = 0
        self._broken = False
        self._unsynced = False
        self._synced = time.monotonic()
        self._queue: SimpleQueue[bytes | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="results", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    @property
    def backlog(self) -> int:
        """Octets that are not written yet."""
        return self._given - self._taken

    @property
    def written(self) -> int:
        """Octets that are written, as long as nothing has failed."""
        return self._taken

    def write(self, lines: bytes) -> None:
        """Take whole lines."""
        self._given += len(lines)
        self._queue.put(lines)

    def wait(self, backlog: int) -> None:
        """Wait until no more octets than these are left to write."""
        while self.backlog > backlog:
            time.sleep(PAUSE)

    def close(self) -> None:
        """Wait until everything is written, and on the disk where that is wanted; the descriptor stays open."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        try:
            while (lines := self._next()) is not None:
                if lines and not self._broken:
                    self._write(lines)
                    self._unsynced = self._durable
                self._taken += len(lines)
                if self._unsynced and time.monotonic() - self._synced >= SYNC:
                    self._sync()
            if self._unsynced:
                self._sync()
        except BaseException:
            self._broken = True
            raise

    def _next(self) -> bytes | None:
        """Wait for lines, and take all that are there; none are given when it is time to sync. None is the end.

        The loop may be so busy that this thread comes to its turn only every few milliseconds.
        """
        wait = max(0.0, self._synced + SYNC - time.monotonic()) if self._unsynced else None
        try:
            lines = self._queue.get(timeout=wait)
        except Empty:
            return b""
        if lines is None or self._queue.empty():
            return lines
        pieces = [lines]
        while not self._queue.empty():
            lines = self._queue.get()
            if lines is None:
                self._queue.put(None)
                break
            pieces.append(lines)
        return b"".join(pieces)

    def _write(self, lines: bytes) -> None:
        done = 0
        try:
            while done < len(lines):
                done += os.write(self._descriptor, memoryview(lines)[done:])
        except OSError as error:
            if self._durable:
                self._cut(done - (lines.rfind(b"\n", 0, done) + 1))
            self._fail(error)

    def _cut(self, torn: int) -> None:
        """Take the torn end of the last line away; a run that is killed before that leaves it to the next one."""
        if torn and stat.S_ISREG(os.fstat(self._descriptor).st_mode):
            os.ftruncate(self._descriptor, os.fstat(self._descriptor).st_size - torn)

    def _sync(self) -> None:
        self._unsynced = False
        self._synced = time.monotonic()
        try:
            os.fsync(self._descriptor)
        except OSError as error:
            self._fail(error)

    def _fail(self, error: OSError) -> None:
        if not self._broken:
            self._broken = True
            self._failed(error)
