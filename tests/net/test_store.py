"""The store: what goes in comes out, two processes share it, and every failure is one line with its mend."""

from __future__ import annotations

import os
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from contextlib import closing, contextmanager
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest

from probe.net import database, migrations, store
from probe.net.store import Kept, KeptAnswer, Store, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator

NOW = 1_800_000_000.0
DAY = 86400.0
KEY = "0123456789abcdef"


def kept(mailbox: str = "user@example.com", seen: float = NOW, key: str = KEY, data: bytes = b"{}") -> Kept:
    return Kept(mailbox, mailbox.rpartition("@")[2], key, seen, data)


def answer(name: str = "example.com", *, expires: float = NOW + 60, data: bytes = b"{}") -> KeptAnswer:
    return KeptAnswer("192.0.2.53:53", name, "MX", NOW, expires, data)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "probe-sender" / "store.sqlite3"


@contextmanager
def opened(path: Path, now: float = NOW) -> Iterator[Store]:
    with closing(Store.open(str(path), now=lambda: now)) as held:
        yield held


def refusal(path: Path) -> str:
    """Give the line that opening is refused with."""
    with pytest.raises(StoreError) as refused:
        Store.open(str(path))
    return one_line(refused.value, path)


def one_line(error: StoreError, path: Path) -> str:
    text = str(error)
    assert text.isprintable()
    assert text.startswith(f"store {path}: ")
    return text


def raw(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, isolation_level=None)


# --- in and out ------------------------------------------------------------------------------------


def test_the_newest_of_an_address_and_of_a_domain(path: Path) -> None:
    with opened(path) as held:
        held.record([kept(seen=NOW - 5, data=b"old"), kept(seen=NOW - 1, data=b"new")])
        held.record([kept("other@example.com", NOW - 3), kept(seen=NOW, key="another", data=b"other key")])
    with opened(path) as held:
        assert held.latest("user@example.com", KEY) == kept(seen=NOW - 1, data=b"new")
        assert held.latest("nobody@example.com", KEY) is None
        assert held.latest_of_domain("example.com", "another") == kept(
            seen=NOW, key="another", data=b"other key"
        )
        assert held.latest_of_domain("example.com", KEY) == kept(seen=NOW - 1, data=b"new")
        assert held.latest_of_domain("example.net", KEY) is None
        assert held.latest_many(("other@example.com", "nobody@example.com", "user@example.com"), KEY) == {
            "other@example.com": kept("other@example.com", NOW - 3),
            "user@example.com": kept(seen=NOW - 1, data=b"new"),
        }
        assert [each.data for each in held.history("user@example.com")] == [b"other key", b"new", b"old"]


def test_bytes_come_back_as_they_were(path: Path) -> None:
    data = bytes(range(256)) * 300
    with opened(path) as held:
        held.record([kept("jörg@example.com", data=data), kept("empty@example.com", data=b"")])
        found = held.latest_many(("jörg@example.com", "empty@example.com"), KEY)
    assert [each.data for each in found.values()] == [data, b""]


def test_a_row_given_twice_is_kept_once(path: Path) -> None:
    with opened(path) as held:
        held.record([kept(), kept()])
        held.record([kept()])
        assert list(held.history("user@example.com")) == [kept()]


def test_everything_is_the_newest_of_each_address_however_many(path: Path) -> None:
    names = sorted(f"u{n}@example.com" for n in range(2 * store.PAGE + 7))
    with opened(path) as held:
        held.record([kept(name, NOW - 9) for name in names])
        held.record([kept(name, NOW - 1, "another") for name in names[::2]])
        found = list(held.everything())
    assert [each.mailbox for each in found] == names
    assert [each.seen for each in found[:4]] == [NOW - 1, NOW - 9, NOW - 1, NOW - 9]


def test_it_can_be_written_while_everything_is_read(path: Path) -> None:
    with opened(path) as held, opened(path) as other:
        held.record([kept(f"u{n}@example.com") for n in range(2 * store.PAGE)])
        for number, _ in enumerate(held.everything()):
            if number % 100 == 0:
                held.record([kept("a@example.com", NOW + number)])
                other.record([kept("b@example.com", NOW + number)])
        assert number >= 2 * store.PAGE - 1


def test_dns_answers_hold_until_they_expire(path: Path) -> None:
    with opened(path) as held:
        held.put_answers([answer(data=b"first"), answer("example.net", expires=NOW + 9)])
        held.put_answers([answer(data=b"second")])
        assert held.answer("192.0.2.53:53", "example.com", "MX") == answer(data=b"second")
        assert held.answer("192.0.2.53:53", "example.com", "A") is None
        assert held.answer("198.51.100.53:53", "example.com", "MX") is None
    with opened(path, NOW + 10) as held:
        assert held.answer("192.0.2.53:53", "example.net", "MX") is None
        held.put_answers([answer("example.org")])
    with closing(raw(path)) as connection:
        assert connection.execute("SELECT name FROM answer ORDER BY name").fetchall() == [
            ("example.com",),
            ("example.org",),
        ]


def test_an_answer_from_the_future_does_not_hold(path: Path) -> None:
    with opened(path, NOW + DAY) as held:
        held.put_answers([KeptAnswer("s", "example.com", "MX", NOW + DAY, NOW + 2 * DAY, b"{}")])
    with opened(path) as held:  # the clock was set back
        assert held.answer("s", "example.com", "MX") is None


def test_evidence_from_the_future_does_not_hold_and_goes(path: Path) -> None:
    later = NOW + 30 * DAY
    with opened(path, later) as held:
        held.record([kept(seen=later), kept("other@example.com", later)])
    with opened(path) as held:  # the clock was set right
        assert held.latest("user@example.com", KEY) is None
        held.record([kept(seen=NOW)])
        assert held.latest("user@example.com", KEY) == kept(seen=NOW)
        assert held.latest_of_domain("example.com", KEY) == kept(seen=NOW)
    with opened(path, later + 60) as held:  # it has come there
        assert held.latest("user@example.com", KEY) == kept(seen=NOW)
        assert held.latest("other@example.com", KEY) is None


# --- what is kept ----------------------------------------------------------------------------------


def test_an_address_keeps_its_newest_twenty_of_ninety_days(path: Path) -> None:
    with opened(path) as held:
        held.record([kept(seen=NOW - n) for n in range(30)])
        held.record([kept("old@example.com", NOW - 91 * DAY), kept("old@example.com", NOW - 89 * DAY)])
        seen = [each.seen for each in held.history("user@example.com")]
        assert seen == [NOW - n for n in range(store.PER_ADDRESS)]
        assert [each.seen for each in held.history("old@example.com")] == [NOW - 89 * DAY]
    with closing(raw(path)) as connection:
        assert connection.execute("SELECT count(*) FROM evidence").fetchone() == (store.PER_ADDRESS + 1,)


def test_what_is_too_old_is_not_found_by_any_way(path: Path) -> None:
    with opened(path) as held:
        held.record([kept(seen=NOW - 91 * DAY)])
        assert held.latest("user@example.com", KEY) is None
        assert held.latest_of_domain("example.com", KEY) is None
        assert list(held.everything()) == []


def test_the_sweep_goes_round_the_whole_file_a_little_at_a_time(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "SWEPT_AT_LEAST", 5)
    with opened(path) as held:
        held.record([kept(f"u{n:03}@example.com", NOW - 91 * DAY) for n in range(100)])
        held._unswept = 0
    counts = []
    for n in range(15):
        with opened(path) as held:
            held.record([kept("z@example.com", NOW + n)])
        with closing(raw(path)) as connection:
            counts.append(connection.execute("SELECT count(*) FROM evidence").fetchone()[0])
    assert all(before - after <= 8 for before, after in pairwise(counts))
    assert counts[-1] == 15


def test_a_long_run_sweeps_too(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "SWEEP_AFTER", 10)
    with opened(path) as held:
        for n in range(40):
            held.record([kept(seen=NOW + n)])
        with closing(raw(path)) as connection:
            (count,) = connection.execute("SELECT count(*) FROM evidence").fetchone()
        assert count <= store.PER_ADDRESS


# --- the file --------------------------------------------------------------------------------------


def test_it_is_the_users_alone(path: Path) -> None:
    with opened(path) as held:
        held.record([kept()])
        for each in (path, Path(f"{path}-wal"), Path(f"{path}-shm")):
            assert stat.S_IMODE(each.stat().st_mode) == 0o600
    for each in (path.parent, path.parent.parent):
        assert stat.S_IMODE(each.stat().st_mode) == 0o700


def test_a_relative_path_and_odd_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in (":memory:", "file:x?mode=memory", "a b#?%41", "\udcff", "-x"):
        with closing(Store.open(name)) as held:
            held.record([kept()])
            assert held.path == str(tmp_path / name)
        assert (tmp_path / name).is_file()


def test_closing_twice(path: Path) -> None:
    held = Store.open(str(path))
    held.close()
    held.close()


def test_it_may_move_from_thread_to_thread(path: Path) -> None:
    with opened(path) as held:
        thread = threading.Thread(target=held.record, args=([kept()],))
        thread.start()
        thread.join()
        assert held.latest("user@example.com", KEY) == kept()


def test_the_default_is_in_the_state_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/nowhere/state")
    assert store.default_path() == "/nowhere/state/probe-sender/store.sqlite3"


def test_the_log_is_synced_about_once_a_second(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    monkeypatch.setattr(
        os, "fdatasync", lambda fd: synced.append(str(Path(f"/proc/self/fd/{fd}").readlink()))
    )
    clock = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    with opened(path) as held:
        for n in range(25):
            held.record([kept(seen=NOW + n)])
            clock[0] += 0.1
        assert synced == [f"{path}-wal"] * 2
        held.sync()
        held.sync()
        assert len(synced) == 3


# --- versions --------------------------------------------------------------------------------------


def version(path: Path) -> tuple[int, int, int]:
    with closing(raw(path)) as connection:
        return (
            connection.execute("PRAGMA user_version").fetchone()[0],
            connection.execute("PRAGMA application_id").fetchone()[0],
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0],
        )


def test_an_older_file_is_brought_up_to_date_and_keeps_what_it_has(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(path) as held:
        held.record([kept()])
    step = ("ALTER TABLE evidence ADD COLUMN more TEXT", "CREATE INDEX more ON evidence(more)")
    monkeypatch.setattr(migrations, "STEPS", (*migrations.STEPS, step))
    monkeypatch.setattr(migrations, "VERSION", migrations.VERSION + 1)
    with opened(path) as held:
        assert held.latest("user@example.com", KEY) == kept()
    assert version(path)[0] == migrations.VERSION
    with closing(raw(path)) as connection:
        assert connection.execute("SELECT more FROM evidence").fetchall() == [(None,)]


def test_a_migration_that_fails_leaves_the_old_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(path) as held:
        held.record([kept()])
    before = version(path)
    with monkeypatch.context() as patched:
        step = ("CREATE TABLE more(x)", "CREATE TABLE evidence(x)")
        patched.setattr(migrations, "STEPS", (*migrations.STEPS, step))
        patched.setattr(migrations, "VERSION", migrations.VERSION + 1)
        assert "evidence already exists" in refusal(path)
    assert version(path) == before
    with opened(path) as held:
        assert held.latest("user@example.com", KEY) == kept()


_KILLED_IN_MIGRATION = """
import os, signal, sys
from probe.net import migrations
from probe.net.store import Store
class Steps(tuple):
    def __getitem__(self, part):
        for step in super().__getitem__(part):
            yield step
        os.kill(os.getpid(), signal.SIGKILL)
migrations.STEPS = Steps(migrations.STEPS)
Store.open(sys.argv[1])
"""


def test_a_migration_that_is_killed_is_harmless(path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", _KILLED_IN_MIGRATION, str(path)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert version(path) == (0, 0, 0)
    with opened(path) as held:
        held.record([kept()])
        assert held.latest("user@example.com", KEY) == kept()


def test_a_later_version_is_refused_and_left_alone(path: Path) -> None:
    with opened(path) as held:
        held.record([kept()])
    with closing(raw(path)) as connection:
        connection.execute(f"PRAGMA user_version = {migrations.VERSION + 1}")
    before = path.read_bytes()
    assert f"a later version of this program made it (store version {migrations.VERSION + 1}" in refusal(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("sql", ["CREATE TABLE bookmarks(url)", "PRAGMA user_version = 1"])
def test_the_database_of_another_program_is_refused_and_left_alone(tmp_path: Path, sql: str) -> None:
    path = tmp_path / "places.sqlite"
    with closing(raw(path)) as connection:
        connection.execute(sql)
    before = path.read_bytes()
    assert "it is the database of another program" in refusal(path)
    assert path.read_bytes() == before


def test_an_old_sqlite_makes_the_same_tables_without_strictness(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrations, "STRICT", False)
    with opened(path) as held:
        held.record([kept()])
    with closing(raw(path)) as connection:
        made = [sql for (sql,) in connection.execute("SELECT sql FROM sqlite_master WHERE sql NOTNULL")]
    assert not any("STRICT" in sql for sql in made)
    assert any(sql.endswith("WITHOUT ROWID") for sql in made)


# --- failures --------------------------------------------------------------------------------------


@contextmanager
def nobody() -> Iterator[None]:
    """Run without root's leave to write everywhere."""
    if os.geteuid():
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_file_that_cannot_be_written() -> None:
    with TemporaryDirectory() as folder:  # pytest's own directories are closed to others
        path = Path(folder) / "store.sqlite3"
        with opened(path) as held:
            held.record([kept()])
        path.parent.chmod(0o755)
        path.chmod(0o444)
        with nobody():
            assert "it cannot be written" in refusal(path)
        path.chmod(0o666)
        path.parent.chmod(0o555)
        with nobody():
            assert "its directory cannot be written" in refusal(path)
            assert "it cannot be opened (Permission denied)" in refusal(path.with_name("new"))
        path.parent.chmod(0o700)
        with opened(path) as held:
            assert held.latest("user@example.com", KEY) == kept()


def test_a_disk_without_space_keeps_what_was_recorded(path: Path) -> None:
    with opened(path) as held:
        held.record([kept("first@example.com")])
        pages = held._database.connection.execute("PRAGMA page_count").fetchone()[0]
        held._database.connection.execute(f"PRAGMA max_page_count = {pages + 10}")
        with pytest.raises(StoreError) as refused:
            held.record([kept(data=b"x"), kept("big@example.com", data=bytes(11 * database.PAGE_OCTETS))])
        assert "there is no space left for it" in one_line(refused.value, path)
        assert [each.mailbox for each in held.everything()] == ["first@example.com"]
        held.record([kept("small@example.com")])  # the room that there is can be used
        assert [each.mailbox for each in held.everything()] == ["first@example.com", "small@example.com"]


@pytest.mark.full
def test_a_full_file_system(tmp_path: Path) -> None:
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", tmp_path], capture_output=True, check=False
    ).returncode:
        pytest.skip("needs leave to mount a tmpfs")
    path, recorded = tmp_path / "store.sqlite3", 0
    try:
        with opened(path) as held:
            with pytest.raises(StoreError) as refused:  # noqa: PT012  # which of them fails is the disk's to say
                for recorded in range(1000):
                    held.record([kept(f"u{recorded:04}@example.com", data=os.urandom(5000))])
            assert "there is no space left for it" in one_line(refused.value, path)
        with opened(path) as held:
            assert len(list(held.everything())) == recorded > 20
    finally:
        subprocess.run(["umount", tmp_path], check=True)


@pytest.mark.full
def test_a_file_system_that_is_mounted_read_only(tmp_path: Path) -> None:
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", tmp_path], capture_output=True, check=False
    ).returncode:
        pytest.skip("needs leave to mount a tmpfs")
    try:
        with opened(tmp_path / "store.sqlite3") as held:
            held.record([kept()])
        subprocess.run(["mount", "-o", "remount,ro", tmp_path], check=True)
        assert "it cannot be written" in refusal(tmp_path / "store.sqlite3")
        assert "it cannot be opened (Read-only file system)" in refusal(tmp_path / "new.sqlite3")
    finally:
        subprocess.run(["umount", tmp_path], check=True)


def test_a_file_keeps_the_size_of_its_pages(path: Path) -> None:
    path.parent.mkdir(parents=True)
    with closing(raw(path)) as other:  # as the first versions made it
        other.execute("PRAGMA page_size = 4096")
        other.execute("PRAGMA journal_mode = WAL")
        other.execute("BEGIN")
        migrations.migrate(other)
        other.execute("COMMIT")
    new = path.with_name("new")
    for place, size in ((path, 4096), (new, database.PAGE_OCTETS)):
        with opened(place) as held:
            held.record([kept()])
        with opened(place) as held:
            assert [each.mailbox for each in held.everything()] == [kept().mailbox]
        with closing(raw(place)) as other:
            assert other.execute("PRAGMA page_size").fetchone() == (size,)


def test_what_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "letter.txt"
    path.write_text("Dear Sir or Madam,\n" * 100)
    assert "this is no store" in refusal(path)
    assert path.read_text().startswith("Dear Sir")


def test_what_is_no_file(tmp_path: Path) -> None:
    assert "it is a directory" in refusal(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    assert "it is no regular file" in refusal(tmp_path / "pipe")
    (tmp_path / "file").write_bytes(b"")
    assert "it cannot be opened (Not a directory)" in refusal(tmp_path / "file" / "store")
    assert "it cannot be opened (File name too long)" in refusal(tmp_path / ("x" * 300))


def test_links(tmp_path: Path) -> None:
    (tmp_path / "nowhere").symlink_to(tmp_path / "gone" / "store")
    assert f"it is a symbolic link to {tmp_path / 'gone' / 'store'}, which does not" in refusal(
        tmp_path / "nowhere"
    )
    assert not (tmp_path / "gone").exists()
    (tmp_path / "here").symlink_to(tmp_path / "store")
    with opened(tmp_path / "store") as held, opened(tmp_path / "here") as same:
        held.record([kept()])
        assert same.latest("user@example.com", KEY) == kept()


def test_a_name_that_cannot_be_printed(tmp_path: Path) -> None:
    path = tmp_path / "a\x1b[31m\nb"
    path.mkdir()
    with pytest.raises(StoreError, match=r"\\x1b\[31m\\nb': it is a directory"):
        Store.open(str(path))


@pytest.mark.parametrize("where", range(0, 40, 3))
def test_a_file_that_was_overwritten_in_the_middle(path: Path, where: int) -> None:
    """Every damage is found, or the row that is read is whole."""
    rows = [kept(f"u{n:03}@example.com", data=f"{n:03}".encode() * 1000) for n in range(60)]
    with opened(path) as held:
        held.record(rows)
        held._unswept = 0
    content = bytearray(path.read_bytes())
    at = len(content) * where // 40
    content[at : at + 2000] = os.urandom(2000)
    path.write_bytes(content)
    try:
        with opened(path) as held:
            said = [reading(held, row) for row in rows]
    except StoreError as error:  # the damage is such that it cannot be opened at all
        said = [str(error)]
    assert all(not each or (each.isprintable() and str(path) in each) for each in said)


def reading(held: Store, row: Kept) -> str:
    """Read a row, which is absent or whole, or give what is said instead."""
    try:
        found = held.latest(row.mailbox, row.key)
    except StoreError as error:
        return str(error)
    assert found in {None, row}
    return ""


def test_a_row_whose_bytes_have_changed(path: Path) -> None:
    with opened(path) as held:
        held.record([kept(data=b'{"cause": "sender-exists"}')])
        held.put_answers([answer(data=b"answer")])
        for table in ("evidence", "answer"):
            held._database.connection.execute(f"UPDATE {table} SET data = x'00'")  # noqa: S608  # two names
        for read in (
            lambda: held.latest("user@example.com", KEY),
            lambda: held.latest_of_domain("example.com", KEY),
            lambda: list(held.history("user@example.com")),
            lambda: list(held.everything()),
            lambda: held.answer("192.0.2.53:53", "example.com", "MX"),
        ):
            with pytest.raises(StoreError) as refused:
                read()
            assert "in it is damaged" in one_line(refused.value, path)


def test_a_damaged_page_costs_what_lies_in_it_and_no_more(path: Path) -> None:
    names = [f"user{number:03}@example.com" for number in range(2 * store.PAGE + 50)]
    with opened(path) as held:
        held.record([kept(mailbox=name, data=name.encode() * 1800) for name in names])
    mark = names[store.PAGE + 7].encode() * 20
    content = path.read_bytes()
    size = database.PAGE_OCTETS
    # Its pages hold on to each other by their first four octets: the one that leads to the last shall lead outside.
    (at,) = [
        at
        for at in range(0, len(content), size)
        if mark in content[at : at + size] and 0 < int.from_bytes(content[at : at + 4]) < len(content) // size
    ]
    path.write_bytes(content[:at] + b"\x7f\xff\xff\xff" + content[at + 4 :])
    found, said = [], []
    with opened(path) as held:
        rows = held.everything()
        while True:
            try:
                found.append(next(rows).mailbox)
            except StopIteration:
                break
            except StoreError as error:
                said.append(one_line(error, path))
    assert len(said) == 1
    assert "it is damaged" in said[0]
    assert names[store.PAGE + 7] in said[0]
    assert found == [name for name in names if name != names[store.PAGE + 7]]


def test_locked_for_too_long(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "PATIENCE", 0.1)
    with opened(path) as held, closing(raw(path)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError) as refused:
            held.record([kept()])
        assert "another process has kept it locked" in one_line(refused.value, path)
        other.execute("ROLLBACK")
        held.record([kept()])


def test_a_failure_of_the_disk_when_syncing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(_: int) -> None:
        raise OSError(5, "Input/output error")

    with opened(path) as held:
        held.record([kept()])
        with monkeypatch.context() as patched:
            patched.setattr(os, "fdatasync", failing)
            with pytest.raises(StoreError) as refused:
                held.sync()
        assert "it cannot be synced (Input/output error)" in one_line(refused.value, path)


# --- two processes ---------------------------------------------------------------------------------

_WRITER = """
import sys
from probe.net.store import Kept, Store
path, name, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3])
held = Store.open(path, now=lambda: 1.8e9 + 2e5)
print("open", flush=True)
for n in range(rounds):
    held.record([Kept(f"{name}{n}-{m}@example.com", "example.com", "k", 1.8e9 + n, b"x" * 3000) for m in range(5)])
    if n % 10 == 0:
        print(n, flush=True)
held.close()
"""


def test_processes_that_write_at_once(path: Path) -> None:
    writers = [
        subprocess.Popen([sys.executable, "-c", _WRITER, path, name, "100"], stdout=subprocess.DEVNULL)
        for name in ("a", "b", "c")  # all make the new file at once, too
    ]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    with opened(path) as held:
        assert sum(1 for _ in held.everything()) == 3 * 500
    with closing(raw(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_killed_writer_loses_no_committed_row(path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _WRITER, path, "a", "100000"], stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        last = 0
        for line in writer.stdout:
            last = int(line) if line.strip().isdigit() else 0
            if last >= 50:
                writer.kill()
                break
    with opened(path) as held:
        found = {each.mailbox for each in held.everything()}
    assert {f"a{n}-{m}@example.com" for n in range(last + 1) for m in range(5)} <= found
    assert len(found) % 5 == 0  # a batch is whole or absent
