"""The store, written from a thread of its own.

A commit may wait for another process, and once a second for the disk. In the loop of a batch either would stop every
timer, and delay every connection that has just been granted to a mail host.
"""

from __future__ import annotations

import threading
from functools import partial
from queue import Empty, Queue
from typing import TYPE_CHECKING

from probe.net.store import Kept, KeptAnswer, Store, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SYNC = 1.0
"""Seconds without anything new after which what was written is brought to the disk."""
BACKLOG = 64
"""Batches of rows that may wait; whoever writes more waits for the disk."""
_ROWS = 256
"""Rows of one commit: other processes wait for it, for their turn at a mail host too."""


class StoreWriter:
    """Writes to the store at `path`, in the order given. `failed` is called once, in the thread, when it cannot."""

    def __init__(self, path: str, failed: Callable[[StoreError], None]) -> None:
        """Open the store; raises StoreError."""
        self._store = Store.open(path)
        self._failed = failed
        self._error: StoreError | None = None
        self._queue: Queue[Sequence[Kept] | Sequence[KeptAnswer] | None] = Queue(BACKLOG)
        self._thread = threading.Thread(target=self._run, name="store", daemon=True)
        self._thread.start()

    def write(self, rows: Sequence[Kept] | Sequence[KeptAnswer]) -> None:
        """Take rows of one kind. Raises StoreError when earlier ones could not be written."""
        if self._error is not None:
            raise self._error
        self._queue.put(rows)

    def close(self) -> None:
        """Wait until everything is on the disk. Raises StoreError when something could not be written."""
        self._queue.put(None)
        self._thread.join()
        self._store.close()
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        new = False
        while True:
            try:
                rows = self._queue.get(timeout=SYNC if new else None)
            except Empty:
                new = self._attempt(self._store.sync)
                continue
            if rows is None:
                return
            for start in range(0, len(rows), _ROWS):
                self._attempt(partial(self._record, rows[start : start + _ROWS]))
            new = True

    def _attempt(self, work: Callable[[], None]) -> bool:
        """Do it unless something has failed before; what was taken after a failure is dropped. Always False."""
        if self._error is None:
            try:
                work()
            except StoreError as error:
                self._error = error
                self._failed(error)
        return False

    def _record(self, rows: Sequence[Kept] | Sequence[KeptAnswer]) -> None:
        if isinstance(rows[0], Kept):
            self._store.record(rows)  # type: ignore[arg-type]  # rows are of one kind
        else:
            self._store.put_answers(rows)  # type: ignore[arg-type]  # as above
