"""The file of the store: opened, shared between processes and threads, and every failure of it in one line.

What a power loss costs. The file is kept in WAL mode with `synchronous=NORMAL`: a commit is written to the log
beside the file and not waited for. A killed program loses nothing by that, the system has the bytes. When the power
goes, the commits since the log was last synced are gone, and no half of one is left, because each frame of the log
has a checksum. So `written` syncs the log when a second has passed since the last time, and `sync` does it at any
moment: at most the last second is lost.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
import time
from pathlib import Path
from typing import TYPE_CHECKING

from probe.net import migrations

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE = 10.0
"""Seconds to wait for another process that writes. A batch holds the file for some milliseconds at a time."""
SYNC_EVERY = 1.0
"""Seconds of work that a power loss may cost."""
PAGE_OCTETS = 16384
"""Of a page in a new file. An evidence has some five thousand: three lie in one of these, where each had two of
SQLite's usual 4096 almost to itself, and a row costs a fifth more."""
LOG_PAGES = 1000
"""Pages of the log before they are moved into the file, 16 MiB. With a quarter of it a row costs a third more: the
pages of the indexes are written in random order, and each of them once per such move."""

_ELSEWHERE = "or name another file with --store, or leave it out with --no-store"


class StoreError(Exception):
    """The store cannot be used. The message is one printable line: which file, what is wrong, the mend."""


_TOLD = {
    sqlite3.SQLITE_FULL: "there is no space left for it: free some and run the same command again,"
    f" {_ELSEWHERE}; what was recorded before is kept",
    sqlite3.SQLITE_READONLY: f"it cannot be written: make it and its directory writable for us, {_ELSEWHERE}",
    sqlite3.SQLITE_PERM: f"it cannot be written: make it and its directory writable for us, {_ELSEWHERE}",
    sqlite3.SQLITE_CORRUPT: "it is damaged: move it away, and a new one is begun; until then use --no-store",
    sqlite3.SQLITE_NOTADB: f"this is no store: move the file away, {_ELSEWHERE}",
    sqlite3.SQLITE_CANTOPEN: f"it cannot be opened: make its directory accessible for us, {_ELSEWHERE}",
}
_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL})


class Database:
    """One connection to the file. Used from one thread at a time, which may be another one each time."""

    def __init__(self, path: str) -> None:
        # An absolute path, so that it holds wherever we go, and is neither `:memory:` nor a `file:` URI.
        self.path = str(Path(path).absolute())
        self._unsynced = False
        self._synced = time.monotonic()
        self._prepare()
        with self._translated():
            self.connection = sqlite3.connect(
                self.path, timeout=PATIENCE, isolation_level=None, check_same_thread=False
            )
        try:
            with self._translated():
                self._begin()
        except BaseException:
            self.connection.close()
            raise

    # --- opening -----------------------------------------------------------------------------------

    def _prepare(self) -> None:
        """Make directory and file where they are missing, and refuse what can be no store.

        The file holds addresses and who refuses them, so it is the user's alone. It is never opened by ourselves
        once it is there: closing any descriptor of a file drops all locks that this process holds on it (POSIX), and
        with them those of another connection to it.
        """
        path = Path(self.path)
        try:
            _make_private(path.parent)
            if path.is_symlink() and not path.exists():
                raise self.error(
                    f"it is a symbolic link to {_shown(str(path.readlink()))}, which does not exist:"
                    f" remove the link or make its target, {_ELSEWHERE}"
                )
            with contextlib.suppress(FileExistsError):
                os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
            kind = path.stat().st_mode
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            raise self.error(f"it cannot be opened ({why}): correct that, {_ELSEWHERE}") from error
        if not stat.S_ISREG(kind):
            what = "a directory" if stat.S_ISDIR(kind) else "no regular file"
            raise self.error(f"it is {what}: name a file with --store, or leave it out with --no-store")
        for place, called, need in (
            (path, "it", os.R_OK | os.W_OK),
            (path.parent, "its directory", os.W_OK | os.X_OK),
        ):
            if not os.access(place, need, effective_ids=True):
                raise self.error(f"{called} cannot be written: make it writable for us, {_ELSEWHERE}")

    def _begin(self) -> None:
        """Bring the file to our version, if it is one of ours or new; nothing is written to any other."""
        execute = self.connection.execute
        with self.reading():  # or another process might make it ours between two looks
            version = self._version()
        execute(f"PRAGMA page_size = {PAGE_OCTETS}")  # says nothing to a file that has pages already
        self._use_log()
        execute("PRAGMA synchronous = NORMAL")
        execute(f"PRAGMA wal_autocheckpoint = {LOG_PAGES}")
        if version < migrations.VERSION:
            with self.transaction():
                self._version()  # again: another process may have been faster, and of a later version
                migrations.migrate(self.connection)
            self._sync_folder()

    def _version(self) -> int:
        execute = self.connection.execute
        application: int = execute("PRAGMA application_id").fetchone()[0]
        version: int = execute("PRAGMA user_version").fetchone()[0]
        if application != migrations.APPLICATION_ID and (
            application or version or execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()
        ):
            raise self.error(f"it is the database of another program: {_ELSEWHERE.removeprefix('or ')}")
        if version > migrations.VERSION:
            raise self.error(
                f"a later version of this program made it (store version {version}, this one knows"
                f" {migrations.VERSION}): use that one, {_ELSEWHERE}"
            )
        return version

    def _use_log(self) -> None:
        """Switch to WAL mode. SQLite does not wait for its turn here, so we do."""
        until = time.monotonic() + PATIENCE
        mode = ""
        while not mode:
            try:
                mode = self.connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
            except sqlite3.OperationalError as error:
                if _code(error) not in _BUSY or time.monotonic() > until:
                    raise
                time.sleep(0.01)
        if mode != "wal":
            raise self.error(
                f"its file system cannot share it between processes: use a local disk, {_ELSEWHERE}"
            )

    # --- use ---------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Read at one moment of the file, whoever writes meanwhile."""
        with self._translated():
            self.connection.execute("BEGIN")
            try:
                yield self.connection
            finally:
                self._roll_back()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Write all that is executed inside, or nothing if anything raises."""
        with self._translated():
            # IMMEDIATE waits for its turn at the beginning; a transaction that began by reading could not.
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield self.connection
                self.connection.execute("COMMIT")
            except BaseException:
                self._roll_back()
                raise

    def _roll_back(self) -> None:
        if self.connection.in_transaction:  # SQLite has rolled back by itself after some errors
            self.connection.execute("ROLLBACK")

    def written(self) -> None:
        """Note that something worth keeping was committed; see the top for what it is worth."""
        self._unsynced = True
        if time.monotonic() - self._synced >= SYNC_EVERY:
            self.sync()

    def sync(self) -> None:
        """Wait until all that was committed is on the disk; free when nothing is new."""
        if not self._unsynced:
            return
        try:
            log = os.open(f"{self.path}-wal", os.O_RDONLY)
            try:
                os.fdatasync(log)
            finally:
                os.close(log)
        except FileNotFoundError:
            pass  # see `close`
        except OSError as error:
            raise self.error(
                f"it cannot be synced ({error.strerror}): look at its disk, {_ELSEWHERE}"
            ) from error
        self._unsynced = False
        self._synced = time.monotonic()

    def _sync_folder(self) -> None:
        """Make sure that the names of a new file and its log outlive a power loss too."""
        with contextlib.suppress(OSError):  # some file systems have no such thing
            folder = os.open(Path(self.path).parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def close(self) -> None:
        """Close the connection, with everything on the disk; a second time does nothing."""
        with self._translated():
            self.connection.close()
        self.sync()  # whoever closes last has moved the log into the file, synced that, and removed the log

    # --- failures ----------------------------------------------------------------------------------

    def error(self, says: str) -> StoreError:
        """Make the error that says what is wrong with this file."""
        return StoreError(f"store {_shown(self.path)}: {says}")

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise self._told(error) from error

    def _told(self, error: sqlite3.Error) -> StoreError:
        code = _code(error)
        if code in _BUSY:
            return self.error(
                f"another process has kept it locked for {PATIENCE:.0f} s: end that one, {_ELSEWHERE}"
            )
        return self.error(_TOLD.get(code) or f"{_shown(str(error))}: look at its disk, {_ELSEWHERE}")


def _code(error: sqlite3.Error) -> int:
    """Give the primary result code of SQLite (its low byte); 0 where the Python module itself complains."""
    code: int = getattr(error, "sqlite_errorcode", 0)
    return code & 0xFF


def _shown(text: str) -> str:
    return text if text.isprintable() else ascii(text)


def _make_private(folder: Path) -> None:
    """Make a directory and those above it that are missing, each for the user alone."""
    if not folder.exists():
        if folder != folder.parent:
            _make_private(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
