"""The addresses of a batch that wait for their turn, on disk, so that a million of them take no memory.

A private temporary SQLite database: `connect("")` makes a file that has no name and that the system removes with
the process. It is never the truth (the output file and the store are), so nothing in it is worth an fsync or a
journal. When the disk for temporary files is full, `SpoolError` says so.

A domain is in one of four states. It is *ready* when addresses of it wait and nobody has it; `domains` gives it
*out*; whoever has it asks `addresses` until there are none, and with that it is *idle*, and ready again as soon as
more of them are added or given back. `park` puts it aside until `parked` gives it out again.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from msgspec import Struct

from probe.core.address import is_role
from probe.core.tally import Trouble

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from types import TracebackType

CACHE = 4 * 1024
"""KiB of pages that stay in memory; the rest is on disk."""

OPEN, FINAL, TAKEN = 0, 1, 2
"""What an earlier run has found of an address: it is asked again; its answer stands; and that is that it exists."""


class SpoolError(Exception):
    """Waiting addresses cannot be kept. The text is one line with the mend."""


class Waiting(Struct, frozen=True):
    """An address to be asked: as it was given, its mailbox as in an envelope, and its domain in lower case."""

    given: str
    mailbox: str
    domain: str


class Entry(Waiting, frozen=True):
    """An address in the spool. `position` is its number, from 1, among the distinct ones that are to be asked."""

    position: int = 0


class Counts(Struct, frozen=True):
    """What went into the spool. `known` are those that an earlier run has answered, which nobody asks again."""

    distinct: int
    duplicates: int
    known: int
    waiting: int


_IDLE, _READY, _OUT, _PARKED = range(4)

_TABLES = """
CREATE TABLE address (position INTEGER PRIMARY KEY, mailbox TEXT UNIQUE, given TEXT);
CREATE TABLE domain (id INTEGER PRIMARY KEY, name TEXT UNIQUE, state INTEGER);
CREATE TABLE waiting (domain INTEGER, position INTEGER, PRIMARY KEY (domain, position)) WITHOUT ROWID;
CREATE TABLE ready (turn INTEGER PRIMARY KEY, domain INTEGER);
CREATE TRIGGER new AFTER INSERT ON domain BEGIN INSERT INTO ready (domain) VALUES (new.id); END;
CREATE TRIGGER woken AFTER UPDATE ON domain WHEN new.state = 1 BEGIN INSERT INTO ready (domain) VALUES (new.id); END;
CREATE TABLE parked (provider TEXT, turn INTEGER, domain INTEGER, PRIMARY KEY (provider, turn)) WITHOUT ROWID;
CREATE TABLE known (key TEXT PRIMARY KEY, answer INTEGER) WITHOUT ROWID;
CREATE TABLE taken (domain TEXT PRIMARY KEY, mailbox TEXT) WITHOUT ROWID;
CREATE TABLE held (position INTEGER PRIMARY KEY, line BLOB);
CREATE TABLE trouble (domain TEXT, cause TEXT, failing INTEGER, PRIMARY KEY (domain, cause)) WITHOUT ROWID;
"""
_WAKE = f"""
INSERT INTO domain (name, state) VALUES (?, {_READY})
ON CONFLICT (name) DO UPDATE SET state = {_READY} WHERE state = {_IDLE}
"""  # noqa: S608  # constants
"""Makes a domain ready that is new or idle, and with that (by the triggers) gives it its turn."""


def _mailbox(row: Waiting) -> str:
    return row.mailbox


class Spool:
    """Addresses that wait, those of a domain in the order given. For one thread."""

    def __init__(self, key: Callable[[Waiting], str] = _mailbox) -> None:
        """`key` is that by which `know` tells which addresses have been answered already."""
        self._key = key
        self._position = 0
        self._turn = 0
        self._duplicates = 0
        self._known = 0
        self._waiting = 0
        self._knows_some = False
        self._exhausted: set[str] = set()
        """Domains that are out, and of which no address waits any more: who asks for more is answered from here."""
        with _told:
            # Autocommit, because with neither a journal nor other readers a transaction only defers the writing.
            self._db = sqlite3.connect("", isolation_level=None, cached_statements=64)
            for pragma in ("journal_mode=OFF", "synchronous=OFF", f"cache_size=-{CACHE}"):
                self._db.execute(f"PRAGMA {pragma}")
            self._db.executescript(_TABLES)

    def close(self) -> None:
        """Remove it from the disk."""
        self._db.close()

    def counts(self) -> Counts:
        """Say what went in so far."""
        return Counts(self._position + self._known, self._duplicates, self._known, self._waiting)

    # --- in ---------------------------------------------------------------------------------------------

    def know(self, answers: Iterable[tuple[str, int]]) -> None:
        """Take the keys of addresses that an earlier run has answered; to be called before `add`.

        Beside each stands the answer: `OPEN`, `FINAL` or `TAKEN`. The last of a key counts.
        """
        with _told:
            self._db.execute("BEGIN")
            self._db.executemany(
                "INSERT INTO known VALUES (?, ?) ON CONFLICT DO UPDATE SET answer = excluded.answer", answers
            )
            self._db.execute("COMMIT")
            self._knows_some = True

    def add(self, rows: Sequence[Waiting]) -> int:
        """Take addresses; how many of them are new, and so wait from now on. The others are counted."""
        execute = self._db.execute
        new: list[tuple[int, str]] = []
        with _told:
            execute("BEGIN")
            for row in rows:
                # Of one that is known the mailbox is remembered too, so that another spelling is a duplicate.
                answer = self._answer(row) if self._knows_some else None
                known = answer in {FINAL, TAKEN}
                position = -self._known - 1 if known else self._position + 1
                given = None if row.given == row.mailbox else row.given
                taken = execute(
                    "INSERT OR IGNORE INTO address VALUES (?, ?, ?)", (position, row.mailbox, given)
                ).rowcount
                if not taken:
                    self._duplicates += 1
                elif known:
                    self._known += 1
                    if answer == TAKEN and row.mailbox.isascii() and not is_role(row.mailbox):
                        execute("INSERT OR IGNORE INTO taken VALUES (?, ?)", (row.domain, row.mailbox))
                else:
                    self._position = position
                    new.append((position, row.domain))
            self._wait(new)
            execute("COMMIT")
        return len(new)

    def give_back(self, entries: Sequence[Entry]) -> None:
        """Let addresses that were taken wait again."""
        with _told:
            self._wait([(entry.position, entry.domain) for entry in entries])

    def is_asked_again(self, row: Waiting) -> bool:
        """Whether an earlier run has given this address an answer that is not final."""
        with _told:
            return self._knows_some and self._answer(row) == OPEN

    def taken(self, domain: str) -> str | None:
        """Give an address of a domain that was taken in an earlier run; None where none is among those that came in."""
        if not self._knows_some:
            return None
        with _told:
            found = self._db.execute("SELECT mailbox FROM taken WHERE domain = ?", (domain,)).fetchone()
            return None if found is None else str(found[0])

    def _answer(self, row: Waiting) -> int | None:
        found = self._db.execute("SELECT answer FROM known WHERE key = ?", (self._key(row),)).fetchone()
        return None if found is None else int(found[0])

    def _wait(self, rows: list[tuple[int, str]]) -> None:
        """Let these positions wait, each with its domain, which is ready then when it was idle or new.

        All rows at once, because most of the time that one takes is the way into SQLite and back.
        """
        run = self._db.executemany
        domains = dict.fromkeys([domain for _, domain in rows])
        run(_WAKE, [(domain,) for domain in domains])
        run("INSERT INTO waiting SELECT id, ? FROM domain WHERE name = ?", rows)
        self._waiting += len(rows)
        self._exhausted.difference_update(domains)

    # --- out --------------------------------------------------------------------------------------------

    def domains(self, limit: int) -> list[str]:
        """Give out the next ready domains, in order of appearance."""
        with _told:
            found = self._db.execute(
                "SELECT turn, id, name FROM ready JOIN domain ON id = domain ORDER BY turn LIMIT ?",
                (limit,),
            ).fetchall()
            if found:
                self._db.execute("DELETE FROM ready WHERE turn <= ?", (found[-1][0],))
            return self._out(found)

    def addresses(self, domain: str, limit: int) -> list[Entry]:
        """Take the next waiting addresses of a domain; none means that the domain is idle from now on."""
        with _told:
            if domain in self._exhausted:
                self._exhausted.discard(domain)
                self._db.execute("UPDATE domain SET state = ? WHERE name = ?", (_IDLE, domain))
                return []
            found = self._db.execute(
                "SELECT coalesce(given, mailbox), mailbox, name, position, id FROM domain"
                " JOIN waiting ON waiting.domain = id JOIN address USING (position)"
                " WHERE name = ? ORDER BY position LIMIT ?",
                (domain, limit),
            ).fetchall()
            if not found:
                self._db.execute("UPDATE domain SET state = ? WHERE name = ?", (_IDLE, domain))
                return []
            last, number = found[-1][3:]
            # What was taken are the lowest positions of this domain: everything up to the last.
            self._db.execute("DELETE FROM waiting WHERE domain = ? AND position <= ?", (number, last))
            self._waiting -= len(found)
            if len(found) < limit:
                self._exhausted.add(domain)
            return [Entry(*row[:4]) for row in found]

    def park(self, domain: str, provider: str) -> None:
        """Put a domain that was given out aside, because its provider is busy."""
        with _told:
            self._turn += 1
            self._db.execute(
                "INSERT INTO parked SELECT ?, ?, id FROM domain WHERE name = ?",
                (provider, self._turn, domain),
            )
            self._db.execute("UPDATE domain SET state = ? WHERE name = ?", (_PARKED, domain))

    def parked(self, provider: str, limit: int) -> list[str]:
        """Give out domains of a provider that were put aside, as `domains` does; the longest parked first."""
        with _told:
            found = self._db.execute(
                "SELECT turn, id, name FROM parked JOIN domain ON id = domain"
                " WHERE provider = ? ORDER BY turn LIMIT ?",
                (provider, limit),
            ).fetchall()
            if found:
                self._db.execute(
                    "DELETE FROM parked WHERE provider = ? AND turn <= ?", (provider, found[-1][0])
                )
            return self._out(found)

    def _out(self, found: list[tuple[int, int, str]]) -> list[str]:
        self._db.executemany(
            "UPDATE domain SET state = ? WHERE id = ?", [(_OUT, number) for _, number, _ in found]
        )
        return [name for _, _, name in found]

    # --- finished lines ---------------------------------------------------------------------------------

    def hold(self, position: int, line: bytes) -> None:
        """Keep a finished line until those before it are finished, or until there is room for it."""
        with _told:
            self._db.execute("INSERT INTO held VALUES (?, ?)", (position, line))

    def release(self, position: int, limit: int = 64) -> list[bytes]:
        """Take the lines that follow without a gap, from this position on; at most so many."""
        with _told:
            found = self._db.execute(
                "SELECT position, line FROM held WHERE position >= ? ORDER BY position LIMIT ?",
                (position, limit),
            ).fetchall()
            lines = [line for number, (at, line) in enumerate(found, position) if at == number]
            if lines:
                self._db.execute("DELETE FROM held WHERE position < ?", (position + len(lines),))
            return lines

    def drain(self, limit: int = 64) -> list[bytes]:
        """Take the lines that are held, whatever is missing between them; at most so many."""
        with _told:
            found = self._db.execute("SELECT position, line FROM held ORDER BY position LIMIT ?", (limit,))
            rows = found.fetchall()
            if rows:
                self._db.execute("DELETE FROM held WHERE position <= ?", (rows[-1][0],))
            return [line for _, line in rows]

    def fail(self, domain: str, cause: str) -> None:
        """Count an address of a domain as failing, for `worst`."""
        with _told:
            self._db.execute(
                "INSERT INTO trouble VALUES (?, ?, 1) ON CONFLICT DO UPDATE SET failing = failing + 1",
                (domain, cause),
            )

    def worst(self, limit: int) -> list[Trouble]:
        """Name the domains with the most failing addresses."""
        with _told:
            # Of a bare column SQLite takes the value from the row that holds the maximum.
            found = self._db.execute(
                "SELECT domain, sum(failing) AS total, cause, max(failing) FROM trouble"
                " GROUP BY domain ORDER BY total DESC, domain LIMIT ?",
                (limit,),
            )
            return [Trouble(domain, total, cause) for domain, total, cause, _ in found]


class _Told:
    """Turns what SQLite raises into `SpoolError`."""

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if isinstance(error, sqlite3.DatabaseError):
            raise SpoolError(
                f"the waiting addresses cannot be kept in a temporary file: {error};"
                " free some space there, or name another directory: TMPDIR=/var/tmp"
            ) from None


_told = _Told()
