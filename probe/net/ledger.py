"""Whose turn it is at a mail host: the rules of `probe.core.politeness`, with a memory.

One process keeps its slates itself (`MemoryLedger`); all processes with the same store share those in its file
(`StoreLedger`), where asking and taking are one transaction. Times are epoch seconds of the clock that is given.

A connection that was granted is a lease, so that others count it. A process that is killed gives nothing back:
its leases go when somebody finds it gone. Which process an owner is says its number and when that was started, so
another process that got the same number is not taken for it. Where that cannot be looked up (another boot, another
container, no /proc), an owner is gone when it has not renewed for `EXPIRY` seconds.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from probe.core.politeness import Slate, ask, give_back, settle, take
from probe.net.database import Database

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence

    from probe.core.politeness import Displeasure, Limits
    from probe.net.store import Store

EXPIRY = 120.0
RENEW_EVERY = 30.0
LOOK_EVERY = 1.0
"""Seconds between two looks at whether the other owners still live."""
FORGOTTEN = 8 * 86400.0
"""Seconds after which a slate says nothing any more; the longest back-off that a host can name is seven days."""


class Ledger(Protocol):
    """Who may connect to which mail host address, and when."""

    def take(self, asks: Sequence[tuple[str, str]]) -> list[float]:
        """Ask for one connection each to (host address, provider), in this order.

        Each answer is 0.0: granted, connect at once and give it back afterwards; or epoch seconds of when to ask
        again; or `math.inf`: not today. Asking again sooner is allowed, as when one was given back.
        """

    def give_back(self, given: Sequence[tuple[str, str, Displeasure | None]]) -> None:
        """Return granted connections (host address, provider) that are closed, with how the host took it."""

    def renew(self) -> None:
        """Say that we still live; to be called about every 30 s while anything is granted."""

    def close(self) -> None:
        """Return everything that is still granted."""


class MemoryLedger:
    """The ledger of one process. It remembers each host address that it was asked about, some 250 octets of it."""

    def __init__(self, limits: Limits, now: Callable[[], float] = time.time) -> None:
        self._limits = limits
        self._now = now
        self._slates: dict[str, Slate] = {}
        self._providers: Counter[str] = Counter()

    def take(self, asks: Sequence[tuple[str, str]]) -> list[float]:
        """Ask for connections; see `Ledger`."""
        now = self._now()
        answers = []
        for ip, provider in asks:
            slate = self._slates.get(ip, _UNKNOWN)
            if slate.written > now:
                slate = self._slates[ip] = settle(slate, now)
            answer = ask(slate, self._providers[provider], self._limits, now)
            if not answer:
                self._slates[ip] = take(slate, self._limits, now)
                self._providers[provider] += 1
            answers.append(answer)
        return answers

    def give_back(self, given: Sequence[tuple[str, str, Displeasure | None]]) -> None:
        """Return connections; see `Ledger`."""
        now = self._now()
        for ip, provider, displeasure in given:
            self._slates[ip] = give_back(self._slates.get(ip, _UNKNOWN), now, displeasure)
            self._providers[provider] = max(self._providers[provider] - 1, 0)

    def renew(self) -> None:
        """Do nothing: nobody else counts our connections."""

    def close(self) -> None:
        """Forget everything."""
        self._slates.clear()
        self._providers.clear()


_UNKNOWN = Slate()

_SLATE = """SELECT
    (SELECT sum(open) FROM lease WHERE ip = ?1), (SELECT sum(open) FROM lease WHERE provider = ?2),
    next_start, held_until, in_a_row, day, used, written
FROM (SELECT 1) LEFT JOIN slate ON ip = ?1"""


class StoreLedger:
    """The ledger that all processes with the same store share.

    It has its own connection to the file of the store, so it may be used in one thread while another records. Each
    method may raise StoreError, and then nothing was granted or returned.
    """

    def __init__(self, store: Store, limits: Limits, now: Callable[[], float] = time.time) -> None:
        self._limits = limits
        self._now = now
        self._granted: Counter[tuple[str, str]] = Counter()
        self._owner = os.urandom(8).hex()
        self._place = _place()
        self._renewed = 0.0
        self._looked = 0.0
        self._closed = False
        self._database = Database(store.path)
        try:
            with self._database.transaction() as connection:
                connection.execute("DELETE FROM slate WHERE written < ?", (now() - FORGOTTEN,))
                self._keep_up(connection)
        except BaseException:
            self._database.close()
            raise

    def take(self, asks: Sequence[tuple[str, str]]) -> list[float]:
        """Ask for connections; see `Ledger`."""
        granted: Counter[tuple[str, str]] = Counter()
        with self._database.transaction() as connection:
            # Only now, because the wait for the file may have been long, and others wrote meanwhile.
            now = self._now()
            self._keep_up(connection)
            answers = []
            for ip, provider in asks:
                slate, provider_open = _read(connection, ip, provider)
                if slate.written > now:
                    slate = settle(slate, now)
                    _write(connection, ip, slate)
                answer = ask(slate, provider_open, self._limits, now)
                if not answer:
                    _write(connection, ip, take(slate, self._limits, now))
                    self._lease(connection, ip, provider, 1)
                    granted[ip, provider] += 1
                answers.append(answer)
        self._granted += granted
        return answers

    def give_back(self, given: Sequence[tuple[str, str, Displeasure | None]]) -> None:
        """Return connections; see `Ledger`."""
        with self._database.transaction() as connection:
            now = self._now()
            for ip, provider, displeasure in given:
                slate, _ = _read(connection, ip, provider)
                _write(connection, ip, give_back(slate, now, displeasure))
                connection.execute(
                    "UPDATE lease SET open = open - 1 WHERE ip = ? AND owner = ? AND provider = ?",
                    (ip, self._owner, provider),
                )
            connection.execute("DELETE FROM lease WHERE owner = ? AND open <= 0", (self._owner,))
        # A Counter drops on subtraction what is not positive.
        self._granted -= Counter((ip, provider) for ip, provider, _ in given)

    def renew(self) -> None:
        """Say that we still live; `take` does it too when it is due."""
        with self._database.transaction() as connection:
            self._renew(connection)

    def close(self) -> None:
        """Return everything that is still granted; a second time does nothing."""
        if self._closed:
            return
        self._closed = True
        try:
            with self._database.transaction() as connection:
                connection.execute("DELETE FROM lease WHERE owner = ?", (self._owner,))
                connection.execute("DELETE FROM owner WHERE id = ?", (self._owner,))
        finally:
            self._database.close()

    # --- who lives ---------------------------------------------------------------------------------

    def _keep_up(self, connection: sqlite3.Connection) -> None:
        """Renew our own leases and look after those of the others, when it is time for either."""
        passed = time.monotonic()
        if passed - self._renewed >= RENEW_EVERY or not self._renewed:
            self._renew(connection)
        if passed - self._looked >= LOOK_EVERY or not self._looked:
            self._looked = passed
            self._bury(connection)

    def _renew(self, connection: sqlite3.Connection) -> None:
        """Put off the end of our leases; make them anew if somebody had to think that we were gone."""
        place, pid, started = self._place
        renewed = connection.execute(
            "UPDATE owner SET expires = ? WHERE id = ?", (self._now() + EXPIRY, self._owner)
        ).rowcount
        if not renewed:
            connection.execute(
                "INSERT INTO owner(id, place, pid, started, expires) VALUES (?, ?, ?, ?, ?)",
                (self._owner, place, pid, started, self._now() + EXPIRY),
            )
            for (ip, provider), count in self._granted.items():
                self._lease(connection, ip, provider, count)
        self._renewed = time.monotonic()

    def _lease(self, connection: sqlite3.Connection, ip: str, provider: str, count: int) -> None:
        connection.execute(
            "INSERT INTO lease(ip, owner, provider, open) VALUES (?, ?, ?, ?)"
            " ON CONFLICT DO UPDATE SET open = open + excluded.open",
            (ip, self._owner, provider, count),
        )

    def _bury(self, connection: sqlite3.Connection) -> None:
        """Clear the leases of owners that are gone."""
        now = self._now()
        owners = connection.execute(
            "SELECT id, place, pid, started, expires FROM owner WHERE id != ?", (self._owner,)
        ).fetchall()
        gone = []
        for owner, place, pid, started, expires in owners:
            lives = _lives(pid, started) if place and place == self._place[0] else None
            if lives is None:
                # Nobody renews for longer than this: beyond it, the clock was set back since.
                lives = now < expires <= now + 2 * EXPIRY
            if not lives:
                gone.append((owner,))
        if gone:
            connection.executemany("DELETE FROM owner WHERE id = ?", gone)
            connection.executemany("DELETE FROM lease WHERE owner = ?", gone)


def _read(connection: sqlite3.Connection, ip: str, provider: str) -> tuple[Slate, int]:
    """Give the slate of a host address, and how many connections its provider has."""
    host_open, provider_open, *rest = connection.execute(_SLATE, (ip, provider)).fetchone()
    slate = Slate(host_open or 0) if rest[-1] is None else Slate(host_open or 0, *rest)
    return slate, provider_open or 0


def _write(connection: sqlite3.Connection, ip: str, slate: Slate) -> None:
    connection.execute(
        "INSERT OR REPLACE INTO slate(ip, next_start, held_until, in_a_row, day, used, written)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (ip, slate.next_start, slate.held_until, slate.in_a_row, slate.day, slate.used, slate.written),
    )


# --- processes -------------------------------------------------------------------------------------

_PROC = Path("/proc")


def _place() -> tuple[str, int, int]:
    """Say where process numbers mean what they mean for us ("" if unknown), ours, and when we were started."""
    pid = os.getpid()
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text("ascii").strip()
        namespace = (_PROC / "self/ns/pid").stat().st_ino
    except OSError:
        return "", pid, 0
    started = _started(pid)
    return ("", pid, 0) if started is None else (f"{boot}/{namespace}", pid, started)


def _lives(pid: int, started: int) -> bool | None:
    """Tell whether the process still is there; None where we may not know."""
    found = _started(pid)
    if found is not None:
        return found == started
    try:
        os.kill(pid, 0)  # signal 0 is none: it only asks
    except PermissionError:  # there is somebody, and /proc hides those of others (hidepid)
        return None
    except OSError:
        return False
    return False  # a zombie


def _started(pid: int) -> int | None:
    """Give when a process was started, in clock ticks since boot (proc(5), stat, field 22); None if it has ended.

    A zombie has ended: its connections are closed.
    """
    try:
        text = (_PROC / str(pid) / "stat").read_text("latin-1")
    except OSError:
        return None
    # The name of the program, in parentheses, may hold blanks and parentheses itself.
    state, *fields = text.rpartition(")")[2].split()
    return None if state in {"Z", "X"} else int(fields[18])
