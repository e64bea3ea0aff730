"""Log files as blocks of whole lines: every kind of file, every kind of trouble, and the search for the few lines."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import threading
from functools import partial
from typing import TYPE_CHECKING

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from probe.net import logfile, sift
from probe.net.follow import Follower
from probe.net.logfile import BLOCK, LINE_LIMIT, LogFileError, blocks, in_order
from probe.net.sift import Watch, spans, taken, whole_lines

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

STAMP = b"2026-11-22 07:47:14 "
VERIFY = (
    STAMP + b"H=relay.example.net [203.0.113.77] sender verify fail for <a@b.example>: Unrouteable address"
)
TAKEN = STAMP + b"1xV2MN-00069O-18 <= a@b.example H=relay.example.net [203.0.113.77] P=esmtp S=123"
OTHER = STAMP + b"SMTP connection from [203.0.113.77] (TCP/IP connection count = 1)"
LOG = b"".join(line + b"\n" for line in (OTHER, VERIFY, OTHER, TAKEN, OTHER))


def read(name: str) -> tuple[bytes, list[str]]:
    """Give all lines of a source, put together, and what was complained of."""
    said: list[str] = []
    return b"".join(each.data[each.begin : each.end] for each in blocks(name, said.append)), said


def refusal(name: str) -> str:
    with pytest.raises(LogFileError) as caught:
        read(name)
    text = str(caught.value)
    assert "\n" not in text
    return text


# --- kinds of files ----------------------------------------------------------------------------------


def identity(data: bytes) -> bytes:
    return data


# The quickest way to pack is as good as any.
quick_gzip = partial(gzip.compress, compresslevel=1)
quick_bz2 = partial(bz2.compress, compresslevel=1)
quick_lzma = partial(lzma.compress, preset=0)


@pytest.mark.parametrize(
    "pack", [identity, quick_gzip, quick_bz2, quick_lzma, zstandard.ZstdCompressor().compress]
)
def test_what_is_packed_is_told_by_its_first_octets(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    log = LOG * (2 * BLOCK // len(LOG))
    (tmp_path / "mainlog").write_bytes(pack(log))
    assert read(str(tmp_path / "mainlog")) == (log, [])


def test_gzip_files_may_be_joined(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(gzip.compress(LOG) + gzip.compress(LOG))
    assert read(str(tmp_path / "x")) == (LOG * 2, [])


@pytest.mark.parametrize("pack", [quick_gzip, quick_bz2, quick_lzma])
def test_of_a_truncated_file_what_came_before_is_read(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    whole = LOG + b"".join(os.urandom(50).hex().encode() + b"\n" for _ in range(25_000))
    (tmp_path / "x").write_bytes(pack(whole)[:-2000])
    data, said = read(str(tmp_path / "x"))
    assert data.startswith(LOG)
    assert said[-1].endswith("x: the compressed data ends too soon; what came before was read")


def test_damaged_data_ends_a_file(tmp_path: Path) -> None:
    noise = b"".join(os.urandom(50).hex().encode() + b"\n" for _ in range(6000))
    packed = bytearray(gzip.compress(LOG + noise))
    packed[len(packed) // 2] ^= 0xFF
    packed[len(packed) // 2 + 9] ^= 0xFF
    (tmp_path / "x").write_bytes(packed)
    data, said = read(str(tmp_path / "x"))
    assert data.startswith(LOG)
    assert "damaged" in said[-1]


def test_zstd_without_its_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "zstandard", None)
    (tmp_path / "x").write_bytes(zstandard.ZstdCompressor().compress(LOG))
    assert "install probe-sender[zstd]" in refusal(str(tmp_path / "x"))


def test_the_last_line_may_lack_its_line_feed(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(LOG + VERIFY)
    assert read(str(tmp_path / "x"))[0] == LOG + VERIFY + b"\n"


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(LOG)))
    assert read("-") == (LOG, [])


def test_a_pipe_that_ends_early(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")

    def write() -> None:
        (tmp_path / "pipe").write_bytes(LOG[:-9])

    writer = threading.Thread(target=write)
    writer.start()
    assert read(str(tmp_path / "pipe"))[0] == LOG[:-9] + b"\n"
    writer.join()


# --- trouble -----------------------------------------------------------------------------------------


def test_a_directory(tmp_path: Path) -> None:
    assert "is a directory" in refusal(str(tmp_path))


def test_no_such_file(tmp_path: Path) -> None:
    assert "No such file" in refusal(str(tmp_path / "x\x1b[2J"))
    assert "\x1b" not in refusal(str(tmp_path / "x\x1b[2J"))
    assert "no file can have that name" in refusal("a\0b")


def test_closed_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)
    assert "closed" in refusal("-")


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"", "empty"),
        (gzip.compress(b"", mtime=0), "empty"),
        (b"\x1f\x8b\x08\x00", "ends too soon"),
        (b"\x1f\x8bnonsense, and more of it", "damaged"),
        (bytes(range(256)) * 40, "binary"),
        ("log\n".encode("utf-16"), "UTF-16"),
        (gzip.compress(bytes(5000), mtime=0), "binary"),
    ],
)
def test_what_is_no_log(tmp_path: Path, data: bytes, word: str) -> None:
    (tmp_path / "x").write_bytes(data)
    assert word in refusal(str(tmp_path / "x"))


def test_nuls_of_a_crash_are_no_reason_to_refuse(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(LOG * 20 + bytes(200) + LOG)
    assert read(str(tmp_path / "x"))[0].count(VERIFY) == 21


def test_a_monstrous_line_is_cut_and_the_rest_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logfile, "BLOCK", 10_000)
    (tmp_path / "x").write_bytes(LOG + b"x" * 1_000_000 + b"\n" + LOG)
    data, said = read(str(tmp_path / "x"))
    assert data.startswith(LOG)
    assert data.endswith(b"x\n" + LOG)
    assert len(data) <= 2 * len(LOG) + LINE_LIMIT + 10_001
    assert len(said) == 1
    assert "a line of more than 64 KiB" in said[0]


@given(st.lists(st.binary(max_size=40), max_size=30), st.integers(1, 60))
def test_any_size_of_block_gives_the_same_lines(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], size: int
) -> None:
    text = STAMP + b"\n" + b"\n".join(line.translate(None, bytes(range(32))) for line in lines)
    path = tmp_path_factory.mktemp("x") / "log"
    path.write_bytes(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(logfile, "BLOCK", size)
        counted = 0
        got = b""
        for each in blocks(str(path), lambda _: None):
            counted += each.total
            got += each.data[each.begin : each.end]
            assert got.endswith(b"\n")
    expected = text if text.endswith(b"\n") else text + b"\n"
    assert (got, counted) == (expected, expected.count(b"\n"))


# --- order -------------------------------------------------------------------------------------------


def test_dated_files_are_read_in_the_order_of_their_stamps(tmp_path: Path) -> None:
    stamps = {"mainlog": b"2026-11-22", "mainlog.1": b"2026-11-21", "mainlog.2.gz": b"2026-11-20"}
    for name, day in stamps.items():
        data = day + b" 07:47:14 x\n"
        (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith("gz") else data)
    names = [str(tmp_path / name) for name in stamps]
    assert in_order(names) == names[::-1]


def test_others_by_the_numbers_that_rotation_gives(tmp_path: Path) -> None:
    names = [
        "mail.log.2.gz",
        "mail.log.10.gz",
        "mail.log",
        "mail.log.1",
        "mail.log-20261121",
        "mail.log-20261120.gz",
    ]
    for name in names:
        data = b"Nov 22 07:47:14 mx postfix/smtpd[1]: x\n"
        (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith("gz") else data)
    assert [os.path.basename(name) for name in in_order([str(tmp_path / name) for name in names])] == [  # noqa: PTH119
        "mail.log-20261120.gz", "mail.log-20261121", "mail.log.10.gz", "mail.log.2.gz", "mail.log.1", "mail.log",
    ]  # fmt: skip


def test_where_one_cannot_be_looked_into_the_order_is_the_users(tmp_path: Path) -> None:
    (tmp_path / "a.1").write_bytes(LOG)
    assert in_order(["-", str(tmp_path / "a.1")]) == ["-", str(tmp_path / "a.1")]


def test_the_year_of_a_file_is_that_of_its_last_line(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(LOG)
    os.utime(tmp_path / "x", (1e9, 1e9))
    assert logfile.written_until(str(tmp_path / "x")) == 1e9 + 86400
    assert logfile.written_until("-") > 1.7e9


# --- the few lines -----------------------------------------------------------------------------------


def found(data: bytes, *senders: bytes) -> list[bytes]:
    lines = whole_lines(data)
    both = spans(lines) | taken(lines, Watch(senders))
    return [data[start:end] for start, end in sorted(both.items())]


def test_the_lines_about_verification_are_found() -> None:
    assert found(LOG) == [VERIFY]
    assert found(VERIFY + b"\n" + VERIFY + b"\n") == [VERIFY, VERIFY]


def test_and_those_of_a_sender_that_is_watched() -> None:
    assert found(LOG, b"a@b.example") == [VERIFY, TAKEN]
    assert found(LOG, b"a@b.example.org", b"aa@b.example", b"a@") == [VERIFY]


def test_in_syslog_those_of_postfix_too() -> None:
    head = b"Nov 22 09:00:01 mx postfix/"
    lines = [
        head + b"smtpd[1]: 4BzXyz5: client=relay.example.net[203.0.113.77]",
        head + b"smtpd[1]: 4BzXyz6: client=other.example.net[203.0.113.78]",
        head + b"qmgr[1]: 4BzXyz5: from=<a@b.example>, size=1234, nrcpt=1 (queue active)",
        head
        + b"smtpd[1]: NOQUEUE: reject: RCPT from x[192.0.2.1]: 450 4.1.7 <u@d.example>: Sender address rejected:"
        b" unverified address: Address verification in progress; from=<u@d.example> to=<b@c.example>",
        head + b"smtp[1]: 4BzXyz1: to=<u@d.example>, relay=none, delay=30, status=undeliverable (x)",
    ]
    data = b"".join(line + b"\n" for line in lines)
    assert found(data, b"a@b.example") == [lines[0], *lines[2:]]
    assert found(data) == lines[3:]


@given(
    st.lists(st.sampled_from([OTHER, VERIFY, TAKEN, b"verif", b" <= ", b"", b"]: [1/2] x"]), min_size=1),
    st.data(),
)
def test_both_ways_of_searching_find_the_same(lines: list[bytes], data: st.DataObject) -> None:
    text = b"".join(line + b"\n" for line in lines)
    begin = text.find(b"\n") + 1 if data.draw(st.booleans()) and len(lines) > 1 else 0
    given_lines = whole_lines(text, begin)
    watch = Watch([b"a@b.example"])
    fast = (spans(given_lines), taken(given_lines, watch), given_lines.total)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sift, "find", bytes.find)
        patch.setattr(sift, "tally", bytes.count)
        patch.setattr(sift, "split", bytes.split)
        patch.setattr(sift, "piece_of", bytes)
        watch = Watch([b"a@b.example"])
        assert (spans(given_lines), taken(given_lines, watch), given_lines.total) == fast
    assert given_lines.total == text[begin:].count(b"\n")


def test_without_the_library_the_search_is_that_of_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "stringzilla", None)
    assert sift._search_functions() == (bytes.find, bytes.count, bytes.split, bytes)


# --- a log that grows --------------------------------------------------------------------------------


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "mainlog"
    path.write_bytes(b"2026-11-22 07:00:00 old\n")
    return path


def test_only_what_is_new_is_given(log: Path) -> None:
    follower = Follower(str(log), from_start=False)
    assert follower.poll() == b""
    append(log, b"2026-11-22 07:00:01 new\nhalf")
    assert follower.poll() == b"2026-11-22 07:00:01 new\n"
    append(log, b" a line\n")
    assert follower.poll() == b"half a line\n"
    follower.close()


def test_from_the_start(log: Path) -> None:
    follower = Follower(str(log), from_start=True)
    assert follower.poll() == b"2026-11-22 07:00:00 old\n"
    follower.close()


def test_half_a_line_at_the_end_is_not_taken_for_one(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"begun before")
    follower = Follower(str(path), from_start=False)
    append(path, b" we came\nnew\n")
    assert follower.poll() == b"new\n"
    follower.close()


def test_a_rename_is_followed_after_the_old_file_is_read(log: Path) -> None:
    follower = Follower(str(log), from_start=False)
    log.rename(log.with_suffix(".1"))
    append(log.with_suffix(".1"), b"last of the old\n")
    assert follower.poll() == b"last of the old\n"
    assert follower.poll() == b""  # there is no new one yet
    append(log, b"first of the new\n")
    assert follower.poll() == b""
    assert follower.poll() == b"first of the new\n"
    follower.close()


def test_the_end_of_the_old_file_without_a_line_feed(log: Path) -> None:
    follower = Follower(str(log), from_start=False)
    append(log, b"no end")
    assert follower.poll() == b""
    log.rename(log.with_suffix(".1"))
    append(log, b"new\n")
    assert follower.poll() == b"no end\n"
    assert follower.poll() == b"new\n"
    follower.close()


@pytest.mark.parametrize("more", [b"", b"x" * 100])
def test_copytruncate_is_seen_even_when_the_file_is_longer_by_then(log: Path, more: bytes) -> None:
    follower = Follower(str(log), from_start=False)
    append(log, b"copied away\n")
    assert follower.poll() == b"copied away\n"
    os.truncate(log, 0)
    append(log, b"2026-11-22 08:00:00 after" + more + b"\n")
    assert follower.poll() == b"2026-11-22 08:00:00 after" + more + b"\n"
    follower.close()


def test_a_monstrous_line_does_not_fill_the_memory(log: Path) -> None:
    follower = Follower(str(log), from_start=False)
    append(log, b"x" * (LINE_LIMIT + 5))
    assert follower.poll() == b"x" * LINE_LIMIT + b"\n"
    append(log, b"x" * 50 + b"\nnext\n")
    assert follower.poll() == b"next\n"
    follower.close()


def test_what_cannot_be_followed(tmp_path: Path) -> None:
    with pytest.raises(LogFileError):
        Follower(str(tmp_path / "none"), from_start=False)
