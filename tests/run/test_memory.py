"""What one row of the store may and may not do to a batch."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from probe.codec import encode
from probe.core.address import parse
from probe.core.classify import judge
from probe.core.expiry import key
from probe.net.store import Kept, KeptAnswer, Store, StoreError
from probe.net.store_writer import StoreWriter
from probe.run.memory import Memory
from tests.support import make

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SERVERS = (("192.0.2.53", 53),)
SOUND, DAMAGED, FOREIGN = (f"{name}@example.com" for name in ("sound", "damaged", "foreign"))
OPTIONS = make.options()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Give a store with three addresses of one domain, two of which cannot be read, and two such answers."""
    path = tmp_path / "store.sqlite3"
    now = time.time()
    rows = [
        Kept(
            mailbox,
            "example.com",
            key(OPTIONS),
            now - 9.0 + number,
            encode(make.evidence(make.host(), to=make.address(mailbox), chosen=OPTIONS)),
        )
        for number, mailbox in enumerate((SOUND, DAMAGED))
    ]
    rows.append(Kept(FOREIGN, "example.com", key(OPTIONS), now - 2.0, b'{"schema":1}'))
    answers = [
        KeptAnswer("192.0.2.53:53", name, "MX", now - 1.0, now + 60.0, b'{"name":1}')
        for name in ("damaged.example", "foreign.example")
    ]
    with closing(Store.open(str(path))) as store:
        store.record(rows)
        store.put_answers(answers)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(
            "UPDATE evidence SET data = CAST(data || ' ' AS BLOB) WHERE mailbox = ?", (DAMAGED,)
        )
        connection.execute(
            "UPDATE answer SET data = CAST(data || ' ' AS BLOB) WHERE name = 'damaged.example'"
        )
    return path


@pytest.fixture
def memory(path: Path) -> Iterator[Memory]:
    with closing(Store.open(str(path))) as store:
        writer = StoreWriter(str(path), lambda _: None)
        opened = Memory(store, writer, OPTIONS, SERVERS, judge, now=time.time, zero=time.time())
        with closing(opened):
            yield opened


def test_a_row_that_cannot_be_read_is_not_known_and_costs_no_other(memory: Memory) -> None:
    found = memory.reports([parse(mailbox) for mailbox in (DAMAGED, FOREIGN, SOUND)])
    assert set(found) == {SOUND}


def test_nothing_is_learned_of_a_domain_from_such_a_row(memory: Memory, path: Path) -> None:
    assert memory.random("example.com") is None  # the newest one is foreign
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("DELETE FROM evidence WHERE mailbox = ?", (FOREIGN,))
    assert memory.random("example.com") is None  # and now it is the damaged one
    assert memory.reports([parse("other@example.com")]) == {}


@pytest.mark.parametrize("name", ["damaged.example", "foreign.example"])
def test_an_answer_that_cannot_be_read_is_asked_for_again(memory: Memory, name: str) -> None:
    assert memory.recall(name, "MX") is None


def test_a_store_that_cannot_be_used_is_an_error(memory: Memory, path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("DROP TABLE evidence")
        connection.execute("DROP TABLE answer")
    for ask in (
        lambda: memory.reports([parse(SOUND)]),
        lambda: memory.random("example.com"),
        lambda: memory.recall("example.com", "MX"),
    ):
        with pytest.raises(StoreError):
            ask()
