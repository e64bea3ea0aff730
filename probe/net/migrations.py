"""How the tables of the store came to be: each step leads from one version of the file to the next.

The version is the file's `user_version`, 0 in one that SQLite has just made. A step is never changed once it was
released: what it made lies on somebody's disk. All steps that a file lacks, and its new version, are one
transaction, so that whatever ends the program leaves the old file or the new one.
"""

from __future__ import annotations

import sqlite3

APPLICATION_ID = 0x50524F42
"""The `application_id` of our files ("PROB"): by it, no other program's database is taken for a store."""

STEPS: tuple[tuple[str, ...], ...] = (
    (
        # Evidence comes in the order of time and is large: a rowid appends it to the end of the file, and the two
        # small indexes alone are written in random places. (mailbox, seen) serves the newest under a key too,
        # because an address has few; a domain may have very many, so there the key stands first.
        """CREATE TABLE evidence(
            id INTEGER PRIMARY KEY, mailbox TEXT NOT NULL, domain TEXT NOT NULL, key TEXT NOT NULL,
            seen REAL NOT NULL, crc INTEGER NOT NULL, data BLOB NOT NULL) STRICT""",
        "CREATE UNIQUE INDEX evidence_of_mailbox ON evidence(mailbox, seen, key)",
        "CREATE INDEX evidence_of_domain ON evidence(domain, key, seen)",
        """CREATE TABLE answer(
            id INTEGER PRIMARY KEY, servers TEXT NOT NULL, name TEXT NOT NULL, type TEXT NOT NULL,
            seen REAL NOT NULL, expires REAL NOT NULL, crc INTEGER NOT NULL, data BLOB NOT NULL) STRICT""",
        "CREATE UNIQUE INDEX answer_to ON answer(name, type, servers)",
        "CREATE INDEX answer_until ON answer(expires)",
        "CREATE TABLE swept(id INTEGER PRIMARY KEY CHECK (id = 0), mailbox TEXT NOT NULL) STRICT",
        # The ledger (probe.net.ledger): one slate per mail host address, who is alive, who holds what.
        """CREATE TABLE slate(
            ip TEXT PRIMARY KEY, next_start REAL NOT NULL, held_until REAL NOT NULL, in_a_row INTEGER NOT NULL,
            day INTEGER NOT NULL, used INTEGER NOT NULL, written REAL NOT NULL) WITHOUT ROWID, STRICT""",
        """CREATE TABLE owner(
            id TEXT PRIMARY KEY, place TEXT NOT NULL, pid INTEGER NOT NULL, started INTEGER NOT NULL,
            expires REAL NOT NULL) WITHOUT ROWID, STRICT""",
        """CREATE TABLE lease(
            ip TEXT NOT NULL, owner TEXT NOT NULL, provider TEXT NOT NULL, open INTEGER NOT NULL,
            PRIMARY KEY (ip, owner, provider)) WITHOUT ROWID, STRICT""",
        "CREATE INDEX lease_of_provider ON lease(provider, open)",
    ),
)

VERSION = len(STEPS)
"""The version that this program writes."""


STRICT = sqlite3.sqlite_version_info >= (3, 37)
"""Whether this SQLite can hold a column to its type. We write no other types, so a file is the same without it."""


def migrate(connection: sqlite3.Connection) -> None:
    """Run the steps that a file lacks; to be called inside a write transaction."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    for step in STEPS[version:]:
        for statement in step:
            connection.execute(statement if STRICT else statement.removesuffix("STRICT").rstrip(" ,"))
    # A PRAGMA takes no parameters; both are part of the file's header, and so of the transaction.
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {len(STEPS)}")
