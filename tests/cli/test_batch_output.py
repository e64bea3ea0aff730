"""The file of -o: what an earlier run left is read, a torn end is cut off, and what is not ours is left alone."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import pytest

from probe.cli import UsageError
from probe.cli.resume import OutputFile
from probe.cli.writer import LineWriter
from probe.codec import encode
from probe.core.classify import judge
from probe.net.spool import Waiting
from probe.show.tally import csv_header, csv_row
from tests.support import make

if TYPE_CHECKING:
    from pathlib import Path

    from probe.core.model import Report


def result(address: str, mailbox: str | None = None) -> Report:
    return judge(make.evidence(make.host(), to=make.address(address, mailbox=mailbox)))


def line(report: Report, form: str) -> bytes:
    return encode(report) + b"\n" if form == "jsonl" else csv_row(report).encode()


def start(form: str) -> bytes:
    return b"" if form == "jsonl" else csv_header().encode()


def resumed(path: Path, form: str = "jsonl") -> list[str]:
    output = OutputFile(str(path), form)
    try:
        return [earlier.key for earlier in output.earlier()]
    finally:
        output.close()


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_a_line_torn_anywhere_is_cut_off_and_the_others_stay(tmp_path: Path, form: str) -> None:
    path = tmp_path / "out"
    whole = start(form) + line(result("a@example.com"), form)
    last = line(result("b@example.com"), form)
    for end in (*range(0, len(last), 97), len(last) - 1):
        path.write_bytes(whole + last[:end])
        assert resumed(path, form) == ["a@example.com"]
        assert path.read_bytes() == whole
    path.write_bytes(whole + last)
    assert resumed(path, form) == ["a@example.com", "b@example.com"]
    assert path.read_bytes() == whole + last


def test_what_a_power_loss_leaves(tmp_path: Path) -> None:
    path = tmp_path / "out"
    whole = line(result("a@example.com"), "jsonl")
    for rest in (b"\0" * 4096, whole[:100] + b"\0" * 500):
        path.write_bytes(whole + rest)
        assert resumed(path) == ["a@example.com"]
        assert path.read_bytes() == whole


@pytest.mark.parametrize("torn", [0, 1, 20])
def test_a_header_that_is_missing_or_torn(tmp_path: Path, torn: int) -> None:
    path = tmp_path / "out"
    path.write_bytes(csv_header().encode()[:torn])
    output = OutputFile(str(path), "csv")
    assert list(output.earlier()) == []
    assert output.is_empty
    output.close()
    assert path.read_bytes() == b""


@pytest.mark.parametrize(
    ("form", "data", "number"),
    [
        ("jsonl", b"my letters\n", 1),
        ("jsonl", b"my letters", 1),
        ("jsonl", b'{"address":"a@example.com"}\n', 1),
        ("jsonl", b"[1,2]\n", 1),
        ("csv", b"address,cause\na@example.com,x\n", 1),
        ("csv", csv_header().encode() + b"a@example.com,good,x\n", 2),
        ("csv", csv_header().encode() + b"\xff\n", 2),
        ("csv", b"{", 1),
    ],
)
def test_a_file_that_is_not_ours_is_refused_and_not_touched(
    tmp_path: Path, form: str, data: bytes, number: int
) -> None:
    path = tmp_path / "out"
    path.write_bytes(data)
    with pytest.raises(UsageError, match=rf"-o: line {number} of .* is no result"):
        resumed(path, form)
    assert path.read_bytes() == data


def test_the_results_of_the_other_format_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "out"
    for form, other in (("jsonl", "csv"), ("csv", "jsonl")):
        path.write_bytes(start(form) + line(result("a@example.com"), form))
        with pytest.raises(UsageError, match="line 1"):
            resumed(path, other)


def test_two_runs_at_once_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "out"
    first = OutputFile(str(path), "jsonl")
    with pytest.raises(UsageError, match="another run is writing"):
        OutputFile(str(path), "jsonl")
    first.close()
    assert resumed(path) == []


@pytest.mark.parametrize("name", ["", "no/such/folder", ".", "/dev/null", "a\0b"])
def test_what_cannot_be_appended_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=r"^-o: "):
        OutputFile(name, "jsonl")


@pytest.mark.parametrize(
    ("given", "mailbox"),
    [("-a@example.com", None), ("Ann <a@example.com>", "a@example.com"), ("'=b@example.com", None)],
)
def test_an_address_is_found_again_whatever_a_spreadsheet_would_make_of_it(
    tmp_path: Path, given: str, mailbox: str | None
) -> None:
    for form in ("jsonl", "csv"):
        path = tmp_path / form
        path.write_bytes(start(form) + line(result(given, mailbox), form))
        output = OutputFile(str(path), form)
        row = Waiting(given, mailbox or given, "example.com")
        assert [earlier.key for earlier in output.earlier()] == [output.key(row)]
        output.close()


def _never(error: OSError) -> None:
    raise error


# --- the writer ------------------------------------------------------------------------------------------


def test_it_writes_everything_and_syncs_at_the_end(tmp_path: Path) -> None:
    with (tmp_path / "out").open("wb") as file:
        writer = LineWriter(file.fileno(), durable=True, failed=_never)
        writer.start()
        for number in range(1000):
            writer.write(b"%d\n" % number)
        writer.close()
        assert writer.backlog == 0
    assert (tmp_path / "out").read_bytes() == b"".join(b"%d\n" % number for number in range(1000))


def test_syncs_are_a_second_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    with (tmp_path / "out").open("wb") as file:
        writer = LineWriter(file.fileno(), durable=True, failed=_never)
        writer.start()
        for _ in range(100):
            writer.write(b"x\n")
            writer.wait(0)
        writer.close()
    assert len(synced) <= 2


def test_a_line_for_which_there_was_no_room_is_taken_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = 25
    real_write = os.write

    def write(descriptor: int, data: memoryview) -> int:
        nonlocal room
        if not room:
            raise OSError(28, "No space left on device")
        done = real_write(descriptor, data[: min(room, 7)])
        room -= done
        return done

    errors: list[OSError] = []
    told = threading.Event()

    def failed(error: OSError) -> None:
        errors.append(error)
        told.set()

    with (tmp_path / "out").open("ab") as file:
        monkeypatch.setattr(os, "write", write)
        writer = LineWriter(file.fileno(), durable=True, failed=failed)
        writer.start()
        writer.write(b"0123456789\n0123456789\n0123456789\n")
        assert told.wait(10)
        writer.write(b"dropped\n")
        writer.close()
    assert [error.errno for error in errors] == [28]
    assert (tmp_path / "out").read_bytes() == b"0123456789\n0123456789\n"
