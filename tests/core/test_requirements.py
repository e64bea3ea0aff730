"""The table of requirements is complete, and each row has a golden case that breaks it and one that keeps it."""

from __future__ import annotations

import re
from functools import cache

from msgspec import structs

from probe.core.model import Level
from probe.core.rfc.requirements import REQUIREMENTS, Requirement
from tests.support import cases
from tests.support.every import every

ROWS = list(REQUIREMENTS.values())
SECTION = r"\d+(?:\.\d+)*"
SECTIONS = re.compile(
    rf"(?:RFC \d{{4}} )?{SECTION}(?:, {SECTION})*(?: \(RFC \d{{4}} {SECTION}(?:, RFC \d{{4}} {SECTION})*\))?"
)


@cache
def golden() -> dict[str, cases.Case]:
    return {name: cases.load(name) for name in cases.names()}


@every("row", ROWS, ids=lambda row: row.id)
def test_a_case_breaks_it_and_a_case_keeps_it(row: Requirement) -> None:
    breaking = [name for name, case in golden().items() if row.id in case.expect.violations]
    keeping = [
        name
        for name, case in golden().items()
        if row.id in case.expect.keeps and (not row.audit or "--audit" in case.options)
    ]
    assert breaking, f"no golden case breaks {row.id}"
    assert keeping, f"no golden case keeps {row.id}, having been put to the test"


def test_cases_name_requirements_that_there_are() -> None:
    for name, case in golden().items():
        unknown = {*case.expect.violations, *case.expect.keeps} - REQUIREMENTS.keys()
        assert not unknown, f"{name} names {unknown}"
        assert not set(case.expect.violations) & set(case.expect.keeps), name


def test_a_violation_that_must_not_be_reported_is_noticed() -> None:
    case = golden()["rfc-names-missing"]
    wrong = cases.Expectation(
        cause=case.expect.cause, reason=case.expect.reason, exit=0, keeps=["greeting-name", "greeting"]
    )
    said = list(cases.disagreements(structs.replace(case, expect=wrong), cases.play(case)))
    assert said == ["violation greeting-name is reported"]


@every("row", ROWS, ids=lambda row: row.id)
def test_a_row_says_everything(row: Requirement) -> None:
    assert re.fullmatch(r"[a-z]+(?:-[a-z0-9]+)*", row.id)
    for section in (row.section_2821, row.section_5321):
        assert section is not None
        assert SECTIONS.fullmatch(section), section
    for sentence in (row.says, row.test, row.mend):
        assert sentence[0].isupper()
        assert sentence.endswith(".")
        assert not sentence.endswith("..")
    assert row.example
    assert row.level in Level


def test_a_row_of_another_rfc_names_it_on_both_sides() -> None:
    for row in ROWS:
        first, second = row.section_2821 or "", row.section_5321 or ""
        assert first.startswith("RFC") == second.startswith("RFC"), row.id


def test_no_sentence_comes_twice() -> None:
    for texts in ([row.says for row in ROWS], [row.test for row in ROWS], [row.mend for row in ROWS]):
        assert len(set(texts)) == len(texts)


def test_the_null_sender_is_named_as_the_issue_wants_it() -> None:
    row = REQUIREMENTS["null-sender"]
    for section in (row.section_2821, row.section_5321):
        assert section is not None
        assert section.startswith("4.5.5, 6.1")
        assert "RFC 1123 5.2.9" in section
