"""The store beside a diagnosis, `history`, `explain --all` and `log --probe`; and all the ways in which it fails."""

from __future__ import annotations

import json
import os
import resource
import signal
import sqlite3
import stat
import time
from argparse import Namespace
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from probe.cli import keeping, main
from probe.cli.keeping import TOLD, open_store
from probe.net.store import Kept, Store, StoreError
from tests.cli.program import CLEAN, run, start
from tests.conftest import STORE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.cli.program import World

GOOD = "a@good.example"
GONE = "a@gone.example"
HOUR = 3600.0


@pytest.fixture
def ask(world: World, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Give a function that probes and gives what was printed; nothing is to be said beside it."""

    def asked(*arguments: str) -> str:
        main(world.arguments(*arguments))
        out, err = capsys.readouterr()
        assert err == ""
        return out

    return asked


def rewrite(change: Callable[[Kept], Kept | None]) -> None:
    """Replace what the store has."""
    with closing(Store.open(str(STORE))) as store:
        rows = list(store.everything())
    with closing(sqlite3.connect(STORE)) as connection:
        connection.execute("DELETE FROM evidence")
        connection.commit()
    with closing(Store.open(str(STORE))) as store:
        store.record([row for row in map(change, rows) if row is not None])


def later(seconds: float) -> None:
    """Let time pass: what the store has was seen so much earlier."""
    rewrite(lambda row: Kept(row.mailbox, row.domain, row.key, row.seen - seconds, row.data))


def rows() -> list[Kept]:
    with closing(Store.open(str(STORE))) as store:
        return list(store.everything())


# --- a diagnosis -------------------------------------------------------------------------------------


def test_the_second_probe_asks_again_and_says_that_nothing_has_changed(
    ask: Callable[..., str], world: World
) -> None:
    before = world.connections("127.0.0.2")
    assert "Before" not in ask(GOOD)
    later(2400)
    assert "\n  Before      As 40 minutes ago.\n" in ask(GOOD)
    assert "\n- Before: As " in ask("--format", "markdown", GOOD)
    assert world.connections("127.0.0.2") == before + 3


def test_a_change_is_told_by_the_rules_of_today(ask: Callable[..., str]) -> None:
    ask(GOOD)
    later(3.5 * HOUR)
    rewrite(lambda row: Kept(row.mailbox, row.domain, row.key, row.seen, _refused(row.data)))
    report = json.loads(ask("--json", GOOD))
    earlier = report["earlier"]
    assert (report["cause"], report["stored"]) == ("sender-exists", None)
    assert (earlier["cause"], earlier["reason"]) == ("missing-sender", "rcpt.user-unknown")
    assert 3.5 * HOUR <= earlier["age"] < 3.5 * HOUR + 60
    later(3.5 * HOUR)
    rewrite(lambda row: Kept(row.mailbox, row.domain, row.key, row.seen, _refused(row.data)))
    assert "Changed: 3 hours ago it was missing-sender (rcpt.user-unknown)." in ask(GOOD)


def renamed(data: bytes, mailbox: str) -> bytes:
    """Let evidence be about another address, at the same hosts."""
    document = json.loads(data)
    local, _, domain = mailbox.partition("@")
    document["address"] |= {
        "given": mailbox, "mailbox": mailbox, "local": local, "domain": domain, "unicode_domain": domain
    }  # fmt: skip
    return json.dumps(document).encode()


def _refused(data: bytes) -> bytes:
    """Let the evidence of an accepted address be that of a refused one."""
    document = json.loads(data)
    for host in document["hosts"]:
        for session in host["sessions"]:
            for exchange in session["exchanges"]:
                if exchange["stage"] == "rcpt":
                    exchange["reply"] |= {"code": 550, "lines": ["550 5.1.1 User unknown"]}
    return json.dumps(document).encode()


def test_other_options_are_another_question(ask: Callable[..., str], world: World) -> None:
    ask(GOOD)
    assert json.loads(ask("--json", "--tls=never", GOOD))["earlier"] is None
    assert json.loads(ask("--json", "--timeout=50", GOOD))["earlier"] is not None
    assert world.lab.port


def test_several_addresses_each_have_their_own(ask: Callable[..., str]) -> None:
    ask(GOOD)
    first, second = map(json.loads, ask("--json", GONE, GOOD).splitlines())
    assert first["earlier"] is None
    assert second["earlier"]["cause"] == "sender-exists"
    assert {row.mailbox for row in rows()} == {GOOD, GONE}


@pytest.mark.parametrize("form", [["-q"], ["--format", "csv"], ["--save", "-"], ["--letter", "support"]])
def test_other_forms_stay_as_they_are_and_are_recorded(ask: Callable[..., str], form: list[str]) -> None:
    first = ask(*form, GOOD)
    assert [row.mailbox for row in rows()] == [GOOD]
    second = ask(*form, GOOD)
    assert ("earlier" in first, "Before" in second) == (False, False)


def test_without_a_store_none_is_made(ask: Callable[..., str]) -> None:
    ask("--no-store", GOOD)
    assert not STORE.exists()
    ask(GOOD)
    assert "Before" not in ask("--no-store", GOOD)
    assert len(rows()) == 1


def test_the_store_that_is_named_is_taken(ask: Callable[..., str], tmp_path: Path) -> None:
    named = tmp_path / "deep" / "er" / "store"
    ask("--store", str(named), GOOD)
    assert not STORE.exists()
    assert stat.S_IMODE(named.stat().st_mode) == 0o600
    assert stat.S_IMODE(named.parent.stat().st_mode) == 0o700
    assert "Before" in ask(f"--store={named}", GOOD)


def test_a_tilde_that_no_shell_has_seen_is_the_home(
    ask: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    ask("--store=~/named", GOOD)
    monkeypatch.setenv("PROBE_SENDER_STORE", "~/of-the-environment")
    ask(GOOD)
    found = {path.name for path in (tmp_path / "home").iterdir()}
    assert {"named", "of-the-environment"} <= found
    assert not (tmp_path / "~").exists()
    ask("--store=./~named", GOOD)
    assert (tmp_path / "~named").is_file()


def test_a_store_of_the_environment_is_the_same_in_every_directory(
    world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PROBE_SENDER_STORE", "store")
    assert main(["history", GOOD]) == 2
    says = "probe-sender: PROBE_SENDER_STORE: 'store' would be another store in each directory;"
    assert capsys.readouterr().err.startswith(says)
    done = run(*world.arguments(GOOD), env=CLEAN | {"PROBE_SENDER_STORE": "store"})
    assert (done.returncode, done.stderr.count("\n")) == (0, 1)
    assert "nothing is remembered of this: PROBE_SENDER_STORE" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_an_empty_variable_names_no_store(world: World, tmp_path: Path) -> None:
    run(*world.arguments(GOOD), env=CLEAN | {"PROBE_SENDER_STORE": "", "XDG_STATE_HOME": str(tmp_path)})
    assert (tmp_path / "probe-sender" / "store.sqlite3").is_file()


def test_an_interrupted_probe_is_not_recorded(world: World) -> None:
    before = world.connections("127.0.0.3")
    process = start(*world.arguments(GOOD, "a@silent.example"))
    limit = time.monotonic() + 10
    while world.connections("127.0.0.3") == before:
        assert time.monotonic() < limit
        time.sleep(0.01)
    assert process.stdout is not None
    process.stdout.readline()  # the other one is finished
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=10)
    assert process.returncode == 130
    assert [row.mailbox for row in rows()] == [GOOD]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--store=", GOOD], "--store: the name is empty"),
        (["history", "--store=", GOOD], "--store: the name is empty"),
        (["explain", "--all", "--store="], "--store: the name is empty"),
        (["history", "--store=~nobody.here/x", GOOD], "--store: '~nobody.here/x': nobody's home is known"),
        (["--store=x", "--no-store", GOOD], "--no-store: not together with"),
        (["log", "--fresh", "x"], "they are for --probe"),
        (["log", "--probe", "--fresh", "--no-store", "x"], "--fresh: without a store"),
        (["explain", "--store=x", "temporary"], "--store: it is for --all"),
        (["explain", "--all", "temporary"], "--all: not together with"),
        (["explain", "--all", "-v"], "--all: one line for each address"),
        (["explain", "--all", "--format=markdown"], "--all: one line for each address"),
        (["explain", "--all"], "there is no store"),
        (["history", "nobody"], "has no @"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert says in err
    assert not STORE.exists()


# --- a store that cannot be used ---------------------------------------------------------------------


def no_directory(folder: Path) -> Path:
    (folder / "file").write_text("")
    return folder / "file" / "store"


def damaged(folder: Path) -> Path:
    path = folder / "store"
    with closing(Store.open(str(path))) as store:
        store.record([Kept("b@good.example", "good.example", "k", time.time(), b"{}" * 5000)])
    data = bytearray(path.read_bytes())
    data[100:4000] = os.urandom(3900)
    path.write_bytes(data)
    return path


def foreign(folder: Path) -> Path:
    path = folder / "store"
    path.write_text("no database at all, but long enough to be looked at\n" * 100)
    return path


def of_a_later_version(folder: Path) -> Path:
    path = folder / "store"
    Store.open(str(path)).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 999")
    return path


UNUSABLE = [no_directory, damaged, foreign, of_a_later_version]


@pytest.mark.parametrize("make", UNUSABLE)
def test_an_unusable_store_costs_a_diagnosis_one_line(
    make: Callable[[Path], Path], world: World, tmp_path: Path
) -> None:
    path = make(tmp_path)
    before = path.read_bytes() if path.is_file() else b""
    done = run(*world.arguments("--store", str(path), "--json", GONE, GOOD))
    assert [json.loads(line)["cause"] for line in done.stdout.splitlines()] == [
        "missing-sender",
        "sender-exists",
    ]
    assert done.returncode == 1
    assert done.stderr.startswith(f"probe-sender: nothing is remembered of this: store {path}: ")
    assert done.stderr.count("\n") == 1
    assert (path.read_bytes() if path.is_file() else b"") == before


@pytest.mark.parametrize("make", UNUSABLE[1:])
@pytest.mark.parametrize("command", [["history", GOOD], ["explain", "--all"]])
def test_what_only_reads_refuses_it(make: Callable[[Path], Path], command: list[str], tmp_path: Path) -> None:
    done = run(*command, "--store", str(make(tmp_path)))
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)


@pytest.mark.parametrize("command", [["history", GOOD], ["explain", "--all"]])
def test_what_only_reads_tells_when_every_table_is_damaged(command: list[str], tmp_path: Path) -> None:
    path = damaged(tmp_path)
    with closing(Store.open(str(tmp_path / "whole"))) as store:
        store.record([Kept(GOOD, "good.example", "k", time.time(), b"{}" * 5000)])
    content = (tmp_path / "whole").read_bytes()
    path.write_bytes(content[:4096] + bytes(len(content) - 4096))
    done = run(*command, "--store", str(path))
    assert (done.returncode, done.stdout) == (2, "")
    assert f"store {path}: it is damaged" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("command", [["history", GOOD], ["explain", "--all"]])
def test_a_store_that_nobody_can_look_for_is_not_said_to_be_absent(
    command: list[str], tmp_path: Path
) -> None:
    done = run(*command, "--store", str(tmp_path / ("x" * 300)))
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "it cannot be opened (File name too long)" in done.stderr


def test_a_full_disk_costs_one_line(world: World, tmp_path: Path) -> None:
    path = tmp_path / "store"

    def full() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    with closing(Store.open(str(path))) as store:
        # The log beside the file is larger than that, and the next one appends to it.
        store.record([Kept("b@good.example", "good.example", "k", time.time(), b"{}" * 100_000)])
        done = run(*world.arguments("--store", str(path), GOOD), preexec_fn=full)
        assert [row.mailbox for row in store.everything()] == ["b@good.example"]
    assert (done.returncode, done.stderr.count("\n")) == (0, 1)
    assert done.stdout.startswith(f"{GOOD}: sender-exists")
    assert "nothing is remembered" in done.stderr


def test_a_store_that_another_process_holds_delays_no_verdict(world: World) -> None:
    run(*world.arguments(GOOD))
    with closing(sqlite3.connect(STORE, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        process = start(*world.arguments(GOOD))
        assert process.stdout is not None
        assert process.stdout.readline().startswith(f"{GOOD}: sender-exists")
        other.execute("ROLLBACK")
        _, err = process.communicate(timeout=15)
    assert (process.returncode, err) == (0, "")


NOWHERE = {name: value for name, value in CLEAN.items() if name != "PROBE_SENDER_STORE"} | {
    "XDG_STATE_HOME": "/dev/null/state"
}


def test_a_home_that_cannot_hold_a_store_is_not_worth_a_word(world: World) -> None:
    done = run(*world.arguments(GOOD), env=NOWHERE)
    assert (done.returncode, done.stderr) == (0, "")
    done = run(*world.arguments("-v", GOOD), env=NOWHERE)
    assert (done.returncode, done.stderr.count("\n")) == (0, 1)
    assert "there is no place for '/dev/null/state/probe-sender/store.sqlite3'" in done.stderr


def test_without_a_home_nothing_is_made_where_we_stand(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A `~` that nobody can tell is no directory."""
    monkeypatch.delenv("PROBE_SENDER_STORE")
    monkeypatch.setattr("probe.net.store.default_path", lambda: "~/.local/state/probe-sender/store.sqlite3")
    monkeypatch.chdir(tmp_path)
    assert main(["history", GOOD]) == 2
    assert "no home directory is known" in capsys.readouterr().err
    assert open_store(Namespace(no_store=False, store=None, verbose=False)) is None
    assert capsys.readouterr().err == ""
    assert list(tmp_path.iterdir()) == []


def test_the_default_place_is_the_directory_for_state(world: World, tmp_path: Path) -> None:
    run(*world.arguments(GOOD), env=NOWHERE | {"XDG_STATE_HOME": str(tmp_path)})
    assert (tmp_path / "probe-sender" / "store.sqlite3").is_file()
    assert not STORE.exists()


# --- history -----------------------------------------------------------------------------------------


@pytest.fixture
def past(ask: Callable[..., str]) -> None:
    """Let an address have been refused four hours ago, and accepted twice since."""
    ask(GOOD)
    kept = rows()[0]
    now = time.time()
    with closing(Store.open(str(STORE))) as store:
        store.record(
            [
                Kept(GOOD, "good.example", kept.key, now - 4 * HOUR, _refused(kept.data)),
                Kept(GOOD, "good.example", kept.key, now - 2400, kept.data),
                Kept(GOOD, "good.example", "another question", now - 1200, kept.data),
                Kept(GONE, "gone.example", kept.key, now, renamed(kept.data, GONE)),
            ]
        )


@pytest.mark.usefixtures("past")
def test_history_is_newest_first_and_says_what_changed(
    capsys: pytest.CaptureFixture[str], world: World
) -> None:
    before = world.connections("127.0.0.2")
    assert main(["history", f"<{GOOD}>"]) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert (lines[0], err) == (f"{GOOD} was asked 4 times:", "")
    told = [line for line in lines if " ago: " in line]
    assert [line.partition(" UTC, ")[2] for line in told[1:]] == [
        "20 minutes ago: sender-exists (certain), rcpt.accepted",
        "40 minutes ago: sender-exists (certain), rcpt.accepted",
        "4 hours ago: missing-sender (certain), rcpt.user-unknown",
    ]
    assert [line for line in lines if "Changed" in line] == [
        "    Changed: 4 hours ago it was missing-sender (rcpt.user-unknown)."
    ]
    assert lines[lines.index(told[2]) + 2].startswith("    Changed")
    assert world.connections("127.0.0.2") == before


@pytest.mark.usefixtures("past")
def test_history_for_machines(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["history", "--json", GOOD]) == 0
    reports = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [report["cause"] for report in reports] == ["sender-exists"] * 3 + ["missing-sender"]
    assert [report["earlier"] and report["earlier"]["cause"] for report in reports] == [
        "sender-exists",
        "sender-exists",
        "missing-sender",
        None,
    ]
    assert [round(report["stored"]["age"] / 60) for report in reports[1:]] == [20, 40, 240]
    assert main(["history", "--format=csv", GOOD]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 5


@pytest.mark.parametrize("known", [False, True])
def test_history_of_nobody(known: bool, ask: Callable[..., str], capsys: pytest.CaptureFixture[str]) -> None:
    if known:
        ask(GONE)
    assert main(["history", GOOD]) == 1
    out, err = capsys.readouterr()
    assert (out, err) == ("", f"probe-sender: nothing is kept of '{GOOD}'; probe-sender {GOOD} asks\n")
    assert STORE.exists() is known


# --- explain --all -----------------------------------------------------------------------------------


@pytest.mark.usefixtures("past")
def test_all_is_judged_again(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "--all"]) == 0
    out, err = capsys.readouterr()
    assert [line.split("\t")[:3] for line in out.splitlines()] == [
        [GONE, "sender-exists", "rcpt.accepted"],
        [GOOD, "sender-exists", "rcpt.accepted"],
    ]
    assert err == ""
    assert main(["explain", "--all", "--json"]) == 0
    documents = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [document["stored"]["asked"] for document in documents] == [GONE, GOOD]
    assert main(["explain", "--all", "--format", "csv"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_a_reader_that_leaves_ends_it(ask: Callable[..., str]) -> None:
    ask(GOOD)
    kept = rows()[0]
    with closing(Store.open(str(STORE))) as store:
        store.record(
            [Kept(f"{number}@good.example", *_rest(kept)) for number in range(2000)],
        )
    process = start("explain", "--all", "--json")
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(timeout=10) == 0
    assert process.stderr is not None
    assert process.stderr.read() == ""
    process.stderr.close()


def _rest(kept: Kept) -> tuple[str, str, float, bytes]:
    return kept.domain, kept.key, kept.seen, kept.data


# --- rows that cannot be read ------------------------------------------------------------------------


def newer(data: bytes) -> bytes:
    document = json.loads(data)
    document["schema"] = 999
    return json.dumps(document).encode()


BAD: dict[str, Callable[[bytes], bytes]] = {
    "cut short": lambda data: data[: len(data) // 2],
    "empty": lambda _: b"",
    "bytes": lambda _: b"\xff\x00\x1b[2J",
    "another document": lambda _: b'{"hello": "\\u001b[2J"}',
    "a later schema": newer,
}


@pytest.fixture(params=[*BAD, "bits of it turned"])
def one_bad_row(request: pytest.FixtureRequest, ask: Callable[..., str]) -> None:
    """Let the store have an evidence between others that nobody can read."""
    ask(GOOD)
    kept = rows()[0]
    names = ("a@bad.example", "b@bad.example", "c@bad.example")
    bad = BAD[request.param](kept.data) if request.param in BAD else kept.data
    with closing(Store.open(str(STORE))) as store:
        for name in names:
            data = bad if name == names[1] else renamed(kept.data, name)
            store.record([Kept(name, "bad.example", kept.key, time.time(), data)])
        store.record([Kept(GOOD, "good.example", kept.key, time.time(), bad)])
    if request.param not in BAD:
        with closing(sqlite3.connect(STORE)) as connection:
            connection.execute("UPDATE evidence SET crc = crc + 1 WHERE mailbox = 'b@bad.example'")
            connection.execute("UPDATE evidence SET crc = crc + 1 WHERE id = (SELECT max(id) FROM evidence)")
            connection.commit()


def lines_of(err: str) -> list[str]:
    assert err.replace("\n", "").isprintable()
    assert all(line.startswith("probe-sender: ") for line in err.splitlines())
    return err.splitlines()


@pytest.mark.parametrize(("more", "says"), [(1, "1 more that is damaged"), (2, "2 more that are damaged")])
def test_the_rest_of_what_is_damaged_is_counted(
    more: int, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    class Damaged:
        left = TOLD + more

        def __next__(self) -> Kept:
            if not self.left:
                raise StopIteration
            self.left -= 1
            raise StoreError("damaged")

        def __iter__(self) -> Iterator[Kept]:
            return self

    assert list(keeping.kept(Damaged())) == [None] * (TOLD + more)
    assert lines_of(capsys.readouterr().err)[TOLD:] == [f"probe-sender: left out: {says}"]


@pytest.mark.usefixtures("one_bad_row")
def test_all_but_the_bad_one_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "--all"]) == 2
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 2
    assert len(lines_of(err)) == 2
    assert main(["history", GOOD]) == 2
    out, err = capsys.readouterr()
    assert out.startswith(f"{GOOD} was asked 1 time:\n")
    assert len(lines_of(err)) == 1
    assert main(["history", "b@bad.example"]) == 2
    out, err = capsys.readouterr()
    assert (out, len(lines_of(err))) == ("", 1)


def test_a_store_that_is_damaged_everywhere_does_not_flood_the_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with closing(Store.open(str(STORE))) as store:
        store.record([Kept(f"u{n}@a.example", "a.example", "k", time.time(), b"{}") for n in range(50)])
    with closing(sqlite3.connect(STORE)) as connection:
        connection.execute("UPDATE evidence SET crc = crc + 1")
        connection.commit()
    assert main(["explain", "--all"]) == 2
    out, err = capsys.readouterr()
    assert (out, len(lines_of(err))) == ("", 21)
    assert lines_of(err)[-1] == "probe-sender: left out: 30 more that are damaged"


@pytest.mark.usefixtures("one_bad_row")
def test_a_diagnosis_does_without_it(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(world.arguments("--json", GOOD)) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["earlier"] is None
    assert len(lines_of(err)) == 1
    assert main(world.arguments("--json", GOOD)) == 0  # and what it saw is kept beside it
    out, err = capsys.readouterr()
    assert (json.loads(out)["earlier"]["cause"], err) == ("sender-exists", "")


@pytest.mark.usefixtures("one_bad_row")
def test_the_probes_of_a_log_do_without_it(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (group,) = probed(world, tmp_path, capsys, failed=2 * HOUR)
    assert (group["now"], group["report"]["stored"]) == ("fixed-since", None)


# --- log --probe -------------------------------------------------------------------------------------


def probed(
    world: World,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    *more: str,
    sender: str = GOOD,
    failed: float,
    said: int = 0,
) -> list[Any]:
    """Probe the sender of a log whose failure is so many seconds old; give the groups."""
    stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(time.time() - failed))
    (folder / "mainlog").write_text(
        f"{stamp} H=relay.example.net [203.0.113.77] sender verify defer for <{sender}>: Could not complete sender"
        f" verify callout: mx.example [192.0.2.1] : Connection timed out\n{stamp} H=relay.example.net"
        f" [203.0.113.77] F=<{sender}> temporarily rejected RCPT <bob@local.example>: Could not complete sender"
        " verify callout\n"
    )
    assert main(["log", "--json", *world.arguments("--probe", *more, str(folder / "mainlog"))]) == 1
    out, err = capsys.readouterr()
    assert len(lines_of(err)) == said
    groups: list[Any] = json.loads(out)["groups"]
    return groups


def test_the_store_answers_what_is_newer_than_the_failure(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = world.connections("127.0.0.2")
    (group,) = probed(world, tmp_path, capsys, failed=2 * HOUR)
    assert (group["now"], group["report"]["stored"]) == ("fixed-since", None)
    later(HOUR)
    (group,) = probed(world, tmp_path, capsys, failed=2 * HOUR)
    assert group["now"] == "fixed-since"
    assert HOUR <= group["report"]["stored"]["age"] < HOUR + 60
    assert world.connections("127.0.0.2") == before + 1


def test_its_age_is_told(world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    probed(world, tmp_path, capsys, failed=2 * HOUR)
    later(2400)
    arguments = world.arguments("--probe", str(tmp_path / "mainlog"))
    assert main(["log", *arguments]) == 1
    page = " ".join(capsys.readouterr().out.split())
    assert "fixed since: sender-exists (certain)." in page
    assert "Asked 40 minutes ago; this is out of the store." in page
    assert main(["log", "--format=csv", *arguments]) == 1
    assert [line.rsplit(",", 1)[1] for line in capsys.readouterr().out.splitlines()] == ["age", "2400"]


@pytest.mark.parametrize(
    ("aged", "failed", "more"),
    [
        (HOUR, 60.0, []),  # it was accepted before it failed
        (25 * HOUR, 30 * HOUR, []),  # Exim does not believe it any longer
        (60.0, HOUR, ["--fresh"]),
        (60.0, HOUR, ["--no-store"]),
        (60.0, HOUR, ["--tls=never"]),
    ],
)
def test_what_cannot_answer_is_asked_anew(
    aged: float,
    failed: float,
    more: list[str],
    world: World,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    probed(world, tmp_path, capsys, failed=failed)
    later(aged)
    before = world.connections("127.0.0.2")
    (group,) = probed(world, tmp_path, capsys, *more, failed=failed)
    assert (group["now"], group["report"]["stored"]) == ("fixed-since", None)
    assert world.connections("127.0.0.2") == before + 1
    with closing(Store.open(str(STORE))) as store:
        assert len(list(store.history(GOOD))) == (1 if "--no-store" in more else 2)


def test_what_is_still_so_is_believed_though_it_is_older(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A log that goes on showing the same failure is no reason to ask about it again and again."""
    silent = ["--reply-timeout=0.3", "--no-trace", "--no-canary"]
    (group,) = probed(world, tmp_path, capsys, *silent, sender="a@silent.example", failed=200.0)
    assert group["now"] == "still-so"
    later(100)
    before = world.connections("127.0.0.3")
    (group,) = probed(world, tmp_path, capsys, *silent, sender="a@silent.example", failed=0.0)
    assert (group["now"], group["report"]["stored"] is not None) == ("still-so", True)
    later(250)
    probed(world, tmp_path, capsys, *silent, sender="a@silent.example", failed=0.0)
    assert world.connections("127.0.0.3") == before + 1


@pytest.mark.parametrize("make", UNUSABLE)
def test_the_probes_of_a_log_do_without_a_store(
    make: Callable[[Path], Path], world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "s").mkdir()
    path = str(make(tmp_path / "s"))
    (group,) = probed(world, tmp_path, capsys, "--store", path, failed=HOUR, said=1)
    assert group["now"] == "fixed-since"
