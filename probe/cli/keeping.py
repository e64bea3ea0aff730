"""The store, opened for a command: which file it is, and what is said where it cannot be used.

Who only keeps what was seen goes on without a store, with one line on standard error and its own exit code. Nothing
at all is said where there is no place for the default one, as in a container whose home is read-only: nobody has asked
for a store there. With -v that is said too.
"""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from probe.cli import UsageError, complain
from probe.cli.probing import STORE

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

    from probe.core.callout import Callout
    from probe.core.model import Address, Earlier, Evidence, Options, Report
    from probe.net.store import Kept, Store, StoreError

PATIENCE = 0.1
"""Seconds that a finished report waits for what the store has to say of before. By then the network was waited for
longer than that as a rule; only an answer out of a cache next door can be faster than SQLite is loaded."""
TOLD = 20
"""Damaged evidences that are told one by one."""


def path_of(args: Namespace) -> str:
    """Give the path of the store: that of --store, else of the environment, else in the user's directory for state."""
    return _named(args) or _default()


def open_store(args: Namespace, warn: Callable[[str], None] = complain) -> Store | None:
    """Open the store of a command that can do without; `warn` is told why where it has to.

    None with --no-store, too.
    """
    if args.no_store:
        return None
    from probe.net.store import Store, StoreError

    try:
        path = _named(args)
        if path is None:
            path = _default()
            if not _can_be(path):
                raise _no_place(path)
        return Store.open(path)
    except (StoreError, UsageError) as error:
        if args.verbose or not isinstance(error, _NoPlaceError):
            warn(not_kept(error))
    return None


def open_existing(args: Namespace) -> Store | None:
    """Open the store of a command that only reads it; None where there is none yet, for none is made.

    Raises `UsageError` when it cannot be used, also where nobody can tell whether there is one.
    """
    from probe.net.store import Store, StoreError

    path = path_of(args)
    try:
        os.lstat(path)
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        pass  # opening it fails as well, and says why
    try:
        return Store.open(path)
    except StoreError as error:
        raise UsageError(str(error)) from None


class Watched:
    """An open file by its name, so that it is noticed when that name leads to no file or to another one.

    Whoever has a file open writes on after it was deleted, and what he writes is gone with him.
    """

    def __init__(self, name: str, seen: os.stat_result) -> None:
        """`seen` is what the system says of the open file."""
        self._name = name
        self._file = seen.st_dev, seen.st_ino

    def is_there(self) -> bool:
        """Whether the name still leads to the file; also where nobody can tell."""
        try:
            now = os.stat(self._name)
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError:
            return True
        return (now.st_dev, now.st_ino) == self._file


def closing_quietly(store: Store) -> None:
    """Close the store of a command that can do without, and say what went wrong at the last moment."""
    from probe.net.store import StoreError

    try:
        store.close()
    except StoreError as error:
        complain(not_kept(error))


def not_kept(error: Exception) -> str:
    """Say that a command goes on without the store."""
    return f"nothing is remembered of this: {error}"


class _NoPlaceError(UsageError):
    """There is no default store, and none can be made."""


def _no_place(path: str) -> _NoPlaceError:
    return _NoPlaceError(f"there is no place for {path!a}; name another file with --store, or use --no-store")


def _named(args: Namespace) -> str | None:
    """Give the path that --store or the environment names; a variable that is empty names none, as one not set."""
    where = "--store" if args.store is not None else STORE
    name: str | None = os.environ.get(STORE) or None if args.store is None else args.store
    if name is None:
        return None
    if not name:
        raise UsageError("--store: the name is empty; give the name of a file")
    # In `--store=~/x` no shell does that, and in a variable that cron or systemd sets nobody.
    path = os.path.expanduser(name)
    if path.startswith("~"):
        raise UsageError(
            f"{where}: {name!a}: nobody's home is known by that; give the whole path, or ./~NAME"
        )
    if where == STORE and not os.path.isabs(path):
        raise UsageError(
            f"{STORE}: {name!a} would be another store in each directory; give the whole path, from / on"
        )
    return path


def _default() -> str:
    from probe.net.store import default_path

    path = default_path()
    if not os.path.isabs(path):  # it begins with a `~` that nobody could tell
        raise _NoPlaceError("no home directory is known to keep a store in; name a file with --store")
    return path


def _can_be(path: str) -> bool:
    """Whether the file is there, in whatever state, or could be made."""
    if os.path.lexists(path):
        return True
    folder = os.path.dirname(path)
    while not os.path.lexists(folder):
        folder = os.path.dirname(folder)
    return os.path.isdir(folder) and os.access(folder, os.W_OK | os.X_OK)


# --- what a store has --------------------------------------------------------------------------------


def report_of(
    row: Kept, store: str, callout: Callout, warn: Callable[[str], None] = complain
) -> Report | None:
    """Judge kept evidence by the rules of today; None, and `warn` is told why, where it cannot be read.

    It may be damaged, or come from a later version of this program that shared the store.
    """
    from msgspec.structs import replace

    from probe.codec import EvidenceError, decode_evidence
    from probe.core.classify import judge
    from probe.core.model import Stored

    try:
        evidence = decode_evidence(row.data, f"evidence of {row.mailbox}")
    except EvidenceError as error:
        warn(f"store {ascii(store)[1:-1]}: left out: {error}")
        return None
    # A clock that was set back makes nothing younger than now.
    age = max(0.0, time.time() - row.seen)
    return replace(judge(evidence, callout), stored=Stored(age, row.mailbox))


def kept(rows: Iterator[Kept]) -> Iterator[Kept | None]:
    """Give what a store has, one after the other; None for what is damaged.

    That is said in one line each, and where there is more than `TOLD` the rest is counted in another one. After damage
    that ends the reading altogether nothing follows.
    """
    from probe.net.store import StoreError

    lost = 0
    while True:
        try:
            yield next(rows)
        except StopIteration:
            if lost > TOLD:
                more = lost - TOLD
                complain(f"left out: {more:,} more that {'is' if more == 1 else 'are'} damaged")
            return
        except StoreError as error:
            lost += 1
            if lost <= TOLD:
                complain(f"left out: {error}")
            yield None


def earlier_of(report: Report) -> Earlier:
    """Give what a report out of the store says, for one that came after it."""
    from probe.core.model import Earlier

    age = report.stored.age if report.stored else 0.0
    return Earlier(report.evidence.began, age, report.cause, report.reason, report.summary)


def row_of(evidence: Evidence) -> Kept:
    """Make of evidence what the store keeps."""
    from datetime import datetime

    from probe.codec import encode
    from probe.core.expiry import key
    from probe.net.store import Kept

    address = evidence.address
    seen = datetime.fromisoformat(evidence.began).timestamp() + evidence.ended
    return Kept(address.mailbox, address.domain, key(evidence.options), seen, encode(evidence))


# --- beside a diagnosis ------------------------------------------------------------------------------


class Keeper:
    """The store of a diagnosis, in a thread of its own: loaded, opened and asked while the network is waited for.

    A store that cannot be used costs no result: that is said in one line at the end.
    """

    def __init__(self, args: Namespace, callout: Callout) -> None:
        self._args = args
        self._callout = callout
        self._store: Store | None = None
        self._opened = False
        self._failed = False
        self._remarks: dict[str, str] = {}
        self._asked: dict[str, Future[Earlier | None]] = {}
        self._recorded: list[Future[None]] = []
        # Of one thread, because a store is for one at a time, and all happens in the order in which it was begun.
        self._thread = ThreadPoolExecutor(1)

    def begin(self) -> None:
        """Begin to load and open it."""
        self._thread.submit(self._open)

    def ask(self, address: Address, options: Options) -> None:
        """Begin to look up what an address showed when it was last asked with the same options."""
        if address.mailbox not in self._asked:
            self._asked[address.mailbox] = self._thread.submit(self._look_up, address.mailbox, options)

    async def earlier(self, evidence: Evidence) -> Earlier | None:
        """Give what the probe before this one showed; None also where that is not known in time."""
        import asyncio

        self.ask(evidence.address, evidence.options)
        future = asyncio.wrap_future(self._asked[evidence.address.mailbox])
        try:
            done, _ = await asyncio.wait({future}, timeout=PATIENCE)
        except asyncio.CancelledError:
            return None  # interrupted: the probe itself is complete, and shown
        return future.result() if done else None

    def record(self, evidence: Evidence) -> None:
        """Begin to keep evidence."""
        self._recorded.append(self._thread.submit(self._record, evidence))

    def finish(self) -> None:
        """Wait until all is kept, and say what went wrong."""
        closed = self._thread.submit(self._close)
        self._thread.shutdown()
        for remark in self._remarks.values():
            complain(remark)
        for job in (*self._recorded, closed):
            job.result()  # a bug of ours is not lost

    # --- in the thread -----------------------------------------------------------------------------------

    def _open(self) -> Store | None:
        if not self._opened:
            self._opened = True
            self._store = open_store(self._args, self._remark)
        return None if self._failed else self._store

    def _look_up(self, mailbox: str, options: Options) -> Earlier | None:
        if (store := self._open()) is None:
            return None
        from probe.core.expiry import key
        from probe.net.store import StoreError

        try:
            row = store.latest(mailbox, key(options))
        except StoreError as error:
            # One evidence may be damaged and the rest sound; what is worse shows when this one is to be kept.
            self._remarks[str(error)] = f"left out: {error}"
            return None
        if row is None:
            return None
        report = report_of(row, store.path, self._callout, self._remark)
        return earlier_of(report) if report else None

    def _record(self, evidence: Evidence) -> None:
        if (store := self._open()) is None:
            return
        from probe.net.store import StoreError

        try:
            store.record([row_of(evidence)])
        except StoreError as error:
            self._give_up(error)

    def _close(self) -> None:
        if self._store is None:
            return
        from probe.net.store import StoreError

        try:
            self._store.close()
        except StoreError as error:
            self._give_up(error)

    def _give_up(self, error: StoreError) -> None:
        self._failed = True
        self._remarks[str(error)] = not_kept(error)

    def _remark(self, text: str) -> None:
        self._remarks[text] = text
