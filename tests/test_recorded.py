"""Recorded runs are judged and shown as they were: `tests.support.record` says how to rewrite them."""

from __future__ import annotations

import io
import sys

import pytest

from probe.cli import main
from probe.codec import decode_evidence
from probe.core.reasons import CAUSES
from tests.support import cases, record


@pytest.mark.parametrize("name", record.WORLDS)
def test_the_verdict_is_the_same(name: str) -> None:
    assert record.verdict(record.judged(name)) == (record.RECORDED / name / "verdict.json").read_text("utf-8")


@pytest.mark.parametrize("name", record.WORLDS)
def test_the_report_is_the_same(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = record.RECORDED / name
    shown = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(shown, encoding="utf-8"))
    code = main(["explain", str(folder / "evidence.json")])
    assert shown.getvalue().decode() == (folder / "report.txt").read_text("utf-8")
    assert code == CAUSES[record.judged(name).cause][0]


@pytest.mark.parametrize("name", record.WORLDS)
def test_the_verdict_is_that_of_the_case(name: str) -> None:
    expected, report = cases.load(record.WORLDS[name]).expect, record.judged(name)
    assert (report.cause, report.reason, report.confidence) == (
        expected.cause,
        expected.reason,
        expected.confidence,
    )


def test_there_is_nothing_but_what_the_list_names() -> None:
    assert sorted(folder.name for folder in record.RECORDED.iterdir()) == sorted(record.WORLDS)


def test_recording_writes_what_it_reads(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path_factory.mktemp("recorded")
    monkeypatch.setattr(record, "RECORDED", folder)
    monkeypatch.setattr(record, "WORLDS", {"greylisted": "said-greylisted"})
    record.main(["greylisted"])
    assert sorted(file.name for file in (folder / "greylisted").iterdir()) == [
        "evidence.json",
        "report.txt",
        "verdict.json",
    ]
    evidence = decode_evidence((folder / "greylisted" / "evidence.json").read_bytes(), "evidence.json")
    assert evidence.address.mailbox == "user@d.example"
