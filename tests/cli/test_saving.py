"""`--save`: one whole document, or the file that was there before."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from probe.cli import UsageError
from probe.cli.saving import Saver
from probe.codec import decode_many
from tests.support import make

if TYPE_CHECKING:
    from pathlib import Path


def save(file: Path, count: int = 1) -> None:
    saver = Saver(str(file))
    for _ in range(count):
        saver.save(make.evidence())
    saver.finish()


def test_a_file_holds_a_document_a_line(tmp_path: Path) -> None:
    file = tmp_path / "e.jsonl"
    save(file, 3)
    assert decode_many(file.read_bytes(), "e.jsonl") == [make.evidence()] * 3
    assert list(tmp_path.iterdir()) == [file]


def test_an_old_file_is_replaced_and_keeps_its_mode_and_its_link(tmp_path: Path) -> None:
    file, link = tmp_path / "e.json", tmp_path / "latest"
    file.write_text("old")
    file.chmod(0o640)
    link.symlink_to(file)
    save(link)
    assert link.is_symlink()
    assert file.stat().st_mode & 0o777 == 0o640
    assert decode_many(file.read_bytes(), "e.json") == [make.evidence()]


def test_a_new_file_obeys_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        save(tmp_path / "e.json")
    finally:
        os.umask(before)
    assert (tmp_path / "e.json").stat().st_mode & 0o777 == 0o600


def test_nothing_finished_leaves_the_old_file(tmp_path: Path) -> None:
    file = tmp_path / "e.json"
    file.write_text("old")
    save(file, 0)
    assert file.read_text() == "old"


def test_a_disk_that_fills_up_leaves_the_old_file_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    file = tmp_path / "e.json"
    file.write_text("old")
    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(UsageError, match="No space left on device; the result is complete"):
        save(file)
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_a_device_is_written_as_it_is(tmp_path: Path) -> None:
    save(tmp_path.__class__("/dev/null"))
    with pytest.raises(UsageError, match="No space left on device"):
        save(tmp_path.__class__("/dev/full"))
