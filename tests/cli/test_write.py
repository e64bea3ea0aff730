"""`--write`: one line more in the file that was named, or nothing at all and one line that says why."""

from __future__ import annotations

import fcntl
import os
import stat
import threading
import time
from ipaddress import ip_address
from typing import TYPE_CHECKING

import pytest

from probe.cli import UsageError, main
from probe.cli.listfile import Appender, read
from probe.core.exemption import Remark
from probe.core.exemption.iplist import MAX_TEXT, parse
from probe.core.exemption.ways import Style

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.program import World

RELAY = ip_address("192.0.2.59")
DOMAIN = "customer.example.com"
SAID = Remark(sender="a@b.example", by="joe", added="2026-11-22", until="2027-02-20", why="ticket 4711")
COMMENT = "# probe-sender 192.0.2.59 sender=<a@b.example> by=joe added=2026-11-22 until=2027-02-20 why=ticket 4711\n"


def append(file: Path, style: Style | None = None, ip: str = "192.0.2.59") -> tuple[int, str]:
    return Appender(str(file), ip_address(ip), DOMAIN, style).append(SAID)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", f"{COMMENT}192.0.2.59\n"),
        ("192.0.2.5\n", f"192.0.2.5\n{COMMENT}192.0.2.59\n"),
        ("192.0.2.5", f"192.0.2.5\n{COMMENT}192.0.2.59\n"),
        ("192.0.2.5 OK\n", f"192.0.2.5 OK\n{COMMENT}192.0.2.59 OK\n"),
        ("192.0.2.5: a.example\n", f"192.0.2.5: a.example\n{COMMENT}192.0.2.59: customer.example.com\n"),
        ("# caf\xe9 \udcff\n192.0.2.5\n", f"# caf\xe9 \udcff\n192.0.2.5\n{COMMENT}192.0.2.59\n"),
    ],
)
def test_the_line_has_the_form_of_the_others(before: str, after: str, tmp_path: Path) -> None:
    file = tmp_path / "list"
    file.write_bytes(before.encode("utf-8", "surrogateescape"))
    number, line = append(file)
    text = file.read_bytes().decode("utf-8", "surrogateescape")
    assert text == after
    assert text.splitlines()[number - 1] == line
    assert parse(text)[-1].remark is not None
    assert [each.name for each in tmp_path.iterdir()] == ["list"]


def test_a_file_that_is_not_there_yet(tmp_path: Path) -> None:
    append(tmp_path / "new", Style.CIDR)
    assert (tmp_path / "new").read_text() == f"{COMMENT}192.0.2.59 OK\n"
    append(tmp_path / "host_local_deny_exceptions", ip="2001:db8::1")
    assert (tmp_path / "host_local_deny_exceptions").read_text().endswith("\n2001:db8::1\n")
    append(tmp_path / "senderverifybypasshosts", ip="2001:db8::1")
    assert (tmp_path / "senderverifybypasshosts").read_text().endswith('\n"2001:db8::1"\n')


def test_owner_and_mode_are_kept(tmp_path: Path) -> None:
    file = tmp_path / "list"
    file.touch()
    file.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(file, 12345, 12346)
    before = file.stat()
    append(file)
    after = file.stat()
    assert stat.S_IMODE(after.st_mode) == 0o640
    assert (before.st_uid, before.st_gid) == (after.st_uid, after.st_gid)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("192.0.2.59\n", "line 1 of .* has 192.0.2.59 already"),
        ("# x\n192.0.2.59 OK\n", "line 2 of .* has"),
        ("192.0.2.59: a.example\n", "has 192.0.2.59 already"),
        ("192.0.2.0/24\n", "exempts 192.0.2.0/24 and so"),
        ("0.0.0.0/0 OK", "exempts 0.0.0.0/0"),
    ],
)
def test_what_is_there_already_is_refused(text: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "list"
    file.write_text(text)
    with pytest.raises(UsageError, match=said):
        append(file)
    assert file.read_text() == text


def test_an_entry_that_exempts_nobody_is_no_duplicate(tmp_path: Path) -> None:
    file = tmp_path / "list"
    file.write_text("192.0.2.58 OK\nif 192.0.2.0/24\n192.0.2.59 REJECT\nendif\n")
    append(file)
    assert file.read_text().endswith("192.0.2.59 OK\n")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("192.0.2.58 OK\n192.0.2.0/24 REJECT\n", "sav_clients"),
        ("192.0.2.58 OK\n192.0.2.59 DUNNO\n", "sav_clients"),
        ("!192.0.2.59\n", "host_local_deny_exceptions"),
    ],
)
def test_a_line_above_that_decides_first_is_said(text: str, name: str, tmp_path: Path) -> None:
    file = tmp_path / name
    file.write_text(text)
    with pytest.raises(UsageError, match="before a line at the end"):
        append(file)
    assert file.read_text() == text


def test_only_regular_files(tmp_path: Path) -> None:
    file = tmp_path / "list"
    file.write_text("192.0.2.1\n")
    (tmp_path / "link").symlink_to(file)
    (tmp_path / "dangling").symlink_to(tmp_path / "nothing")
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "binary").write_bytes(b"\0\1")
    for name, said in (
        ("link", "symbolic link; name the file itself"),
        ("dangling", "symbolic link"),
        ("fifo", "no regular file"),
        (".", "is a directory"),
        ("none/list", "there is no directory"),
        ("list/x", "Not a directory"),
        ("binary", "no text"),
    ):
        with pytest.raises(UsageError, match=said):
            append(tmp_path / name)
    os.link(file, tmp_path / "second")
    with pytest.raises(UsageError, match="hard link"):
        append(file)
    assert file.read_text() == "192.0.2.1\n"


def test_a_read_only_file_stays_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "list"
    file.touch(0o444)
    with pytest.raises(UsageError, match="read-only"):
        append(file)


def test_a_file_that_is_too_long(tmp_path: Path) -> None:
    file = tmp_path / "list"
    with file.open("wb") as long:
        long.truncate(MAX_TEXT + 1)
    with pytest.raises(UsageError, match="16 MiB"):
        append(file)
    with pytest.raises(UsageError, match="is a directory"):
        read(str(tmp_path), "audit")


def test_a_disk_that_is_full_leaves_the_list_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "list"
    file.write_text("192.0.2.1\n")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UsageError, match="No space left"):
        append(file)
    assert file.read_text() == "192.0.2.1\n"
    assert [each.name for each in tmp_path.iterdir()] == ["list"]


def test_two_at_once_lose_nothing_and_write_nothing_twice(tmp_path: Path) -> None:
    file = tmp_path / "list"
    file.touch()
    refused: list[str] = []

    # Each of ten relays is asked for twice, by appenders that saw the file while it was empty.
    appenders = [Appender(str(file), ip_address(f"192.0.2.{n % 10}"), DOMAIN, None) for n in range(20)]
    threads = [threading.Thread(target=_try, args=(each, refused)) for each in appenders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(entry.key for entry in parse(file.read_text())) == [f"192.0.2.{n}" for n in range(10)]
    assert len(refused) == 10


def _try(appender: Appender, refused: list[str]) -> None:
    try:
        appender.append(SAID)
    except UsageError as error:
        refused.append(str(error))


def test_it_waits_for_another_writer(tmp_path: Path) -> None:
    file = tmp_path / "list"
    folder = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    writer = threading.Thread(target=append, args=(file,))
    writer.start()
    time.sleep(0.1)
    assert not file.exists()
    os.close(folder)
    writer.join()
    assert file.exists()


# --- through the command -------------------------------------------------------------------------------


def preflight(world: World, *more: str) -> int:
    return main(["preflight", *world.arguments("--no-trace", "--no-canary", "-q", *more)])


def test_nothing_is_written_unless_it_is_justified(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "list"
    assert preflight(world, f"--write={file}", "192.0.2.59", "a@good.example") == 1
    out, err = capsys.readouterr()
    assert out.startswith("not-needed\t")
    assert err == "probe-sender: --write: nothing was written, because the advice is not-needed\n"
    assert not file.exists()


def test_a_bad_file_is_refused_before_anybody_is_called(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = world.connections("127.0.0.2")
    assert preflight(world, f"--write={tmp_path}", "192.0.2.59", "a@good.example") == 2
    assert world.connections("127.0.0.2") == before
    assert capsys.readouterr().out == ""
