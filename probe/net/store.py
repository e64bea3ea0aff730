"""What is remembered from one run to the next: evidence and DNS answers, in one SQLite file.

Evidence is kept as it was encoded, and read back undecoded: verdicts are never stored, so that later rules judge it
anew. A checksum tells whether the bytes are still those; SQLite itself notices damage to its structure alone.

An address keeps its newest `PER_ADDRESS` evidences of the last `KEPT_FOR` seconds. That holds for whoever reads, at
once; the file is swept a little at a time, some addresses for each that is recorded, and the sweep goes on where the
last one ended, in whatever process.
"""

from __future__ import annotations

import contextlib
import itertools
import time
import zlib
from typing import TYPE_CHECKING

from msgspec import Struct

from probe.net.database import Database, StoreError

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["DamagedRowError", "Kept", "KeptAnswer", "Store", "StoreError", "default_path"]

PER_ADDRESS = 20
KEPT_FOR = 90 * 86400.0
SWEEP_AFTER = 1000
"""Rows recorded after which the file is swept; also when it is closed."""
SWEPT_PER_ROW = 2
"""Rows looked at for each that was recorded, so that the whole file is swept before it has grown by half."""
SWEPT_AT_LEAST = 64
PAGE = 200
"""Evidences that are read at once. No reading lasts, because the log cannot begin anew while anybody reads."""
FUTURE = 60.0
"""Seconds by which an answer may have been seen in the future before the clock must have been set back."""


class DamagedRowError(StoreError):
    """What was kept in one row is damaged; the others may be sound."""


class Kept(Struct, frozen=True):
    """One evidence as it is kept: `seen` is when it was complete (epoch seconds), `data` its encoded form."""

    mailbox: str
    domain: str
    key: str
    seen: float
    data: bytes


class KeptAnswer(Struct, frozen=True):
    """One DNS answer as it is kept.

    `servers` names who was asked, `seen` is when the answer came and `expires` until when it holds (epoch seconds),
    `data` its encoded form.
    """

    servers: str
    name: str
    type: str
    seen: float
    expires: float
    data: bytes


def default_path() -> str:
    """Give where the store is without --store: in the user's directory for state (`~/.local/state` on Linux)."""
    from platformdirs import user_state_path  # noqa: PLC0415  # only who stores needs it

    return str(user_state_path("probe-sender", appauthor=False) / "store.sqlite3")


_SELECT = "SELECT mailbox, domain, key, seen, data, crc FROM evidence"
_OF_MAILBOX = f"{_SELECT} WHERE mailbox = ? AND key = ? AND seen BETWEEN ? AND ? ORDER BY seen DESC LIMIT 1"
_OF_DOMAIN = f"{_SELECT} WHERE domain = ? AND key = ? AND seen BETWEEN ? AND ? ORDER BY seen DESC LIMIT 1"
_HISTORY = f"{_SELECT} WHERE mailbox = ? AND seen >= ? ORDER BY seen DESC LIMIT ?"
_NEWEST = f"{_SELECT} WHERE mailbox = ? AND seen >= ? ORDER BY seen DESC LIMIT 1"
# Answered by the index alone, whatever is damaged in the table.
_MAILBOXES = "SELECT DISTINCT mailbox FROM evidence WHERE mailbox > ? AND seen >= ? ORDER BY mailbox LIMIT ?"
# A bare column beside max() is that of the row with the maximum, which SQLite documents.
_NEWEST_OF_EACH = (
    f"{_SELECT} JOIN (SELECT id, max(seen) FROM evidence WHERE mailbox > ? AND seen >= ?"  # noqa: S608  # no values
    " GROUP BY mailbox ORDER BY mailbox LIMIT ?) USING (id) ORDER BY mailbox"
)
# Most stretches have nothing to delete, and this tells at a third of what the ranks cost.
_UNTIDY = """SELECT 1 FROM evidence WHERE mailbox > ?1 AND (?2 IS NULL OR mailbox <= ?2)
    GROUP BY mailbox HAVING count(*) > ?3 OR min(seen) < ?4 OR max(seen) > ?5 LIMIT 1"""
_SWEEP = """DELETE FROM evidence WHERE id IN (
    SELECT id FROM (
        SELECT id, seen, row_number() OVER (PARTITION BY mailbox ORDER BY seen DESC) AS rank
        FROM evidence WHERE mailbox > ?1 AND (?2 IS NULL OR mailbox <= ?2)
    ) WHERE rank > ?3 OR seen < ?4 OR seen > ?5
)"""


class Store:
    """An open store. Used from one thread at a time, which may be another one each time.

    Every method may raise StoreError, and leaves the file then as it was.
    """

    def __init__(self, database: Database, now: Callable[[], float]) -> None:
        self._database = database
        self._now = now
        self._unswept = 0
        self._closed = False

    @classmethod
    def open(cls, path: str, *, now: Callable[[], float] = time.time) -> Store:
        """Open a store, making file and directory where they are missing."""
        return cls(Database(path), now)

    @property
    def path(self) -> str:
        """The absolute path of the file."""
        return self._database.path

    # --- evidence ----------------------------------------------------------------------------------

    def record(self, rows: Sequence[Kept]) -> None:
        """Keep evidence: all rows or, if it raises, none. A row that is there already is not doubled."""
        with self._database.transaction() as connection:
            connection.executemany(
                "INSERT INTO evidence(mailbox, domain, key, seen, crc, data) VALUES (?, ?, ?, ?, ?, ?)"
                " ON CONFLICT (mailbox, seen, key) DO NOTHING",
                (
                    (row.mailbox, row.domain, row.key, row.seen, zlib.crc32(row.data), row.data)
                    for row in rows
                ),
            )
        self._database.written()
        self._unswept += len(rows)
        if self._unswept >= SWEEP_AFTER:
            self._sweep()

    def sync(self) -> None:
        """Wait until all that was recorded is on the disk; free when nothing is new.

        `record` does it about once a second. Who then records nothing for a while calls this.
        """
        self._database.sync()

    def latest(self, mailbox: str, key: str) -> Kept | None:
        """Give the newest evidence of an address under a key."""
        return self.latest_many((mailbox,), key).get(mailbox)

    def latest_many(self, mailboxes: Sequence[str], key: str) -> dict[str, Kept]:
        """Give the newest evidence of each of many addresses; who has none is left out."""
        found, believed = {}, self._believed()
        with self._database.reading() as connection:
            for mailbox in mailboxes:
                row = connection.execute(_OF_MAILBOX, (mailbox, key, *believed)).fetchone()
                if row is not None:
                    found[mailbox] = self._kept(row)
        return found

    def latest_of_domain(self, domain: str, key: str) -> Kept | None:
        """Give the newest evidence of any address of a domain under a key."""
        with self._database.reading() as connection:
            row = connection.execute(_OF_DOMAIN, (domain, key, *self._believed())).fetchone()
        return None if row is None else self._kept(row)

    def history(self, mailbox: str) -> Iterator[Kept]:
        """Give all evidence of an address, under whatever key, newest first."""
        with self._database.reading() as connection:
            rows = connection.execute(_HISTORY, (mailbox, self._oldest(), PER_ADDRESS)).fetchall()
        return map(self._kept, rows)

    def everything(self) -> Iterator[Kept]:
        """Give the newest evidence of each address, under whatever key, in the order of the addresses.

        What is recorded meanwhile may be among them or not. A damaged one raises StoreError in its turn, as in
        `history`, and whoever then asks for the next one gets it. Only damage to the index of addresses is the end.
        """
        # Not a generator: it would be at its end after the first error.
        return itertools.chain.from_iterable(self._pages())

    def _pages(self) -> Iterator[Iterator[Kept]]:
        after = ""
        while True:
            try:
                with self._database.reading() as connection:
                    rows = connection.execute(_NEWEST_OF_EACH, (after, self._oldest(), PAGE)).fetchall()
            except StoreError:  # SQLite gives none of many rows when one of them lies in a damaged page
                mailboxes = self._mailboxes(after)
                after = mailboxes[-1] if mailboxes else ""
                for mailbox in mailboxes:
                    yield filter(None, map(self._newest, (mailbox,)))
            else:
                after = rows[-1][0] if rows else ""
                yield map(self._kept, rows)
            if not after:
                return

    def _mailboxes(self, after: str) -> list[str]:
        with self._database.reading() as connection:
            return [each for (each,) in connection.execute(_MAILBOXES, (after, self._oldest(), PAGE))]

    def _newest(self, mailbox: str) -> Kept | None:
        """Give the newest evidence of an address alone; None where it was swept out meanwhile."""
        try:
            with self._database.reading() as connection:
                row = connection.execute(_NEWEST, (mailbox, self._oldest())).fetchone()
        except StoreError as error:
            raise DamagedRowError(f"{error} (evidence of {mailbox!a})") from error
        return None if row is None else self._kept(row)

    def _oldest(self) -> float:
        return self._now() - KEPT_FOR

    def _believed(self) -> tuple[float, float]:
        """Give the times between which an answer may have come; a later one was noted by a clock that was ahead."""
        now = self._now()
        return now - KEPT_FOR, now + FUTURE

    def _kept(self, row: tuple[str, str, str, float, bytes, int]) -> Kept:
        mailbox, domain, key, seen, data, crc = row
        self._intact(data, crc, f"the evidence of {mailbox!a}")
        return Kept(mailbox, domain, key, seen, data)

    def _intact(self, data: bytes, crc: int, what: str) -> None:
        if zlib.crc32(data) != crc:
            says = f"{what} in it is damaged: move the file away, and a new one is begun; until then use --no-store"
            raise DamagedRowError(str(self._database.error(says)))

    # --- DNS answers -------------------------------------------------------------------------------

    def put_answers(self, rows: Sequence[KeptAnswer]) -> None:
        """Keep DNS answers, each in place of an older one to the same question."""
        with self._database.transaction() as connection:
            connection.executemany(
                "INSERT INTO answer(servers, name, type, seen, expires, crc, data) VALUES (?, ?, ?, ?, ?, ?, ?)"
                " ON CONFLICT (name, type, servers) DO UPDATE SET"
                " seen = excluded.seen, expires = excluded.expires, crc = excluded.crc, data = excluded.data",
                (
                    (row.servers, row.name, row.type, row.seen, row.expires, zlib.crc32(row.data), row.data)
                    for row in rows
                ),
            )
            connection.execute(
                "DELETE FROM answer WHERE id IN (SELECT id FROM answer WHERE expires <= ? LIMIT ?)",
                (self._now(), SWEPT_PER_ROW * len(rows)),
            )

    def answer(self, servers: str, name: str, rdtype: str) -> KeptAnswer | None:
        """Give the kept answer to a question while it holds."""
        with self._database.reading() as connection:
            row = connection.execute(
                "SELECT servers, name, type, seen, expires, data, crc FROM answer"
                " WHERE name = ? AND type = ? AND servers = ?",
                (name, rdtype, servers),
            ).fetchone()
        if row is None:
            return None
        *fields, crc = row
        kept = KeptAnswer(*fields)
        if not kept.seen - FUTURE <= self._now() < kept.expires:
            return None
        self._intact(kept.data, crc, f"the answer about {kept.name!a}")
        return kept

    # --- the end -----------------------------------------------------------------------------------

    def _sweep(self) -> None:
        """Look at the next addresses of the file, and delete what they have too much, too old or in the future."""
        rows = SWEPT_AT_LEAST + SWEPT_PER_ROW * self._unswept
        self._unswept = 0
        with self._database.transaction() as connection:
            begin, end = _stretch(connection, rows)
            limits = (begin, end, PER_ADDRESS, *self._believed())
            if connection.execute(_UNTIDY, limits).fetchone():
                connection.execute(_SWEEP, limits)
            connection.execute("INSERT OR REPLACE INTO swept(id, mailbox) VALUES (0, ?)", (end or "",))

    def close(self) -> None:
        """Close it, with everything on the disk; a second time does nothing."""
        if self._closed:
            return
        self._closed = True
        try:
            if self._unswept:
                with contextlib.suppress(StoreError):  # there is time for that another day
                    self._sweep()
        finally:
            self._database.close()


def _stretch(connection: sqlite3.Connection, rows: int) -> tuple[str, str | None]:
    """Give the addresses between which about so many rows lie, from where the last sweep ended; None is the end."""
    found = connection.execute("SELECT mailbox FROM swept").fetchone()
    begin = "" if found is None else found[0]
    last = connection.execute(
        "SELECT mailbox FROM evidence WHERE mailbox > ? ORDER BY mailbox LIMIT 1 OFFSET ?", (begin, rows)
    ).fetchone()
    return begin, None if last is None else last[0]
