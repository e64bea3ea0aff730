"""The entries of the glossary: no column, class or row is left out, and the examples are true."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path

import pytest
from msgspec import structs

from probe.codec import decode_many
from probe.core import facts, model, network, phrases
from probe.core.classify import judge
from probe.core.facts import host_facts
from probe.core.model import About, Cause, Side, Stage
from probe.core.network import Columns
from probe.core.phrasebook import TABLE
from probe.core.reasons import CAUSES, REASONS, TYPICAL
from probe.core.rfc.requirements import REQUIREMENTS, Requirement
from probe.core.rule import Rule
from probe.core.rules import HOST_RULES, decide
from probe.show.glossary import case, causes, columns, entry, readings, requirements, rules
from probe.show.glossary import phrases as rows
from probe.show.glossary.entry import Entry, Group, Item, Kind, Listing, Section
from tests.support import make
from tests.support.every import every

STAGES = {
    "connection": Stage.BANNER,
    "EHLO": Stage.EHLO,
    "STARTTLS": Stage.STARTTLS,
    "MAIL": Stage.MAIL,
    "RCPT": Stage.RCPT,
}
ONE_REPLY = re.compile(
    r"(?P<command>connection|EHLO \S+|MAIL FROM:<>|RCPT TO:<\S+>) -> (?P<reply>[2-5][0-9]{2}[ -].*)"
)
MORE_THAN_ITS_REPLY = {
    "mail.unattributed",
    "mail.tls-required",
    "rcpt.domain-not-served",
    "rcpt.out-of-step",
    "rcpt.smtputf8-not-offered",
    "rcpt.some-hosts-deny",
    "reply.pmtu-blackhole",
    "tls.needed-but-off",
    "tls.not-available",
}
"""Reasons whose example needs more to be seen than one reply."""


def answered(example: str) -> tuple[Stage, tuple[str, ...]]:
    """Give the stage and the lines of the reply of an example."""
    command, _, said = example.partition(" -> ")
    return STAGES[command.split()[0]], tuple(said.split(" / "))


# --- nothing is left out -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "column",
    [name for name in structs.fields(facts.Facts) if name.name != "side"],
    ids=lambda field: field.name,
)
def test_every_column_of_the_facts_has_words_for_all_its_values(column: structs.FieldInfo) -> None:
    _, meanings = columns.COLUMNS[column.name]
    enums = {**vars(model), **vars(network), **vars(facts)}
    name = str(facts.Facts.__annotations__.get(column.name) or Columns.__annotations__[column.name])
    values = list(enums[name.removesuffix(" | None")])
    assert list(meanings) == values
    assert len(set(meanings.values())) == len(values)


def test_every_column_of_a_rule_is_one_of_the_facts() -> None:
    assert set(Rule.__struct_fields__) == {"id", "reason", "confidence", "says", "side", *columns.COLUMNS}


def test_what_the_reader_names_without_the_table_is_known() -> None:
    tree = ast.parse(inspect.getsource(phrases))
    named = {
        call.args[2].value
        for call in ast.walk(tree)
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Name)
        and call.func.id in {"Candidate", "Reading"}
        and isinstance(call.args[2], ast.Constant)
    }
    assert "none" in named
    assert named <= set(rows.words())


def test_every_cause_has_a_typical_reason_of_its_own() -> None:
    assert list(TYPICAL) == list(Cause)
    assert all(REASONS[word].cause is cause for cause, word in TYPICAL.items())


@every("row", REQUIREMENTS.values(), ids=lambda row: row.id)
def test_every_requirement_is_filled_in(row: Requirement) -> None:
    told = requirements.requirement(row)
    assert all(says for _, says in told.facts)
    assert told.example


def test_the_listings_hold_every_row() -> None:
    assert {each.word for each in causes.listing().entries} == {*Cause, *REASONS}
    assert {each.word for each in readings.listing().entries} >= {*About, *(row.id for row in TABLE)}
    assert {each.word for each in requirements.listing().entries} == set(REQUIREMENTS)
    assert [each.word for each in rules.listing().entries][: len(HOST_RULES)] == [
        rule.id for rule in HOST_RULES
    ]


def test_every_reason_is_given_by_a_rule_or_says_why_a_host_was_skipped() -> None:
    given = {each.fields["reason"] for each in rules.listing().entries}
    assert {word for word in REASONS if not word.startswith("skipped.")} == given


@pytest.mark.parametrize("file", sorted(Path("fixtures/recorded").glob("*/evidence.json")), ids=str)
def test_what_a_report_names_is_known(file: Path) -> None:
    (evidence,) = decode_many(file.read_bytes(), str(file))
    report = judge(evidence)
    assert rules.rule(report.rule)
    for host in report.hosts:
        assert all(map(rules.rule, host.fired))
        assert host.reading is None or host.reading.row in rows.words()
    assert all(violation.id in REQUIREMENTS for violation in report.violations)


def test_what_is_said_in_our_own_words_is_ascii() -> None:
    for listing in (causes.listing(), readings.listing(), requirements.listing(), rules.listing()):
        for told in listing.entries:
            assert "".join((told.word, told.heading, told.means, *(says for _, says in told.facts))).isascii()


# --- the examples are true -----------------------------------------------------------------------------


@every(
    "word",
    [
        word
        for word, row in REASONS.items()
        if ONE_REPLY.fullmatch(row.example) and word not in MORE_THAN_ITS_REPLY
    ],
)
def test_the_example_of_a_reason_leads_to_it(word: str) -> None:
    stage, lines = answered(REASONS[word].example)
    options = make.options(helo="mail.example.net")
    asked = make.session(make.exchange(stage, None, *lines))
    rule, _ = decide(host_facts(make.host(asked), options)[0])
    # An acceptance that QUIT does not confirm is the same reason, by another rule.
    assert rule.reason == word


@pytest.mark.parametrize("about", About)
def test_the_example_of_a_class_is_read_as_it(about: About) -> None:
    stage, lines = answered(readings.reading(about).example)
    assert phrases.read(make.reply(*lines), stage).about is about


@every("word", [word for word in rows.words() if word not in {row.id for row in TABLE}])
def test_the_example_of_what_is_no_row_of_the_table_is_read_as_it(word: str) -> None:
    told = rows.computed(word)
    assert told is not None
    if word == "cut":
        assert "(5" in told.example  # it is longer than would be shown
        return
    stage, lines = answered(told.example)
    reading = rows.read("\n".join(lines), stage)
    assert (reading.row, reading.about) == (word, told.fields["reads_as"])


@every("rule", HOST_RULES, ids=lambda rule: rule.id)
def test_the_case_of_a_rule_has_what_the_rule_asks_of_it(rule: Rule) -> None:
    beside = ("real", "step", "silence", "refuser", "ports", "us", "after", "nearer")
    shown = structs.replace(rule, **dict.fromkeys(beside))
    assert shown.matches(case.facts(rule))
    if shown == rule:
        assert decide(case.facts(rule))[0] is rule
    assert not re.search(r"\{|\bNone\b|no detail|an unknown hop", case.sentence(rule))


def test_only_documentation_addresses_are_shown() -> None:
    everything = [*causes.listing().entries, *rules.listing().entries, *requirements.listing().entries]
    for each in everything:
        for ip in re.findall(r"\b[0-9]{1,3}(?:\.[0-9]{1,3}){3}\b", each.example):
            assert ip.startswith(("192.0.2.", "198.51.100.", "203.0.113.")), (each.word, ip)


# --- how an entry is shown -----------------------------------------------------------------------------

ENTRY = Entry(
    kind=Kind.ROW,
    word="w",
    heading="a heading",
    means="What it means.",
    example="MAIL FROM:<> -> 550 \x1b[31mred",
    facts=(("Label", "a fact"),),
    sections=(
        Section("Steps:", (Item("support", ("Do this.",)), Item("our admin", ("Do that.",))), numbered=True),
        Section("Members:", (Item("short", ("one", "two")), Item("longer", ("three",)))),
        Section("Names:", (Item("alone"),), apart=True),
    ),
    brief=("in brief",),
    fields={"row": "w"},
)


def test_text() -> None:
    assert entry.as_text([ENTRY]).splitlines() == [
        "w (a heading)",
        "",
        "  What it means.",
        "",
        "Label      a fact",
        r"Example    MAIL FROM:<> -> 550 \x1b[31mred",
        "",
        "Steps:",
        "  1. support: Do this.",
        "  2. our admin: Do that.",
        "",
        "Members:",
        "  short   one",
        "          two",
        "  longer  three",
        "",
        "Names:",
        "  alone",
    ]


def test_several_meanings_stand_under_headings_of_their_own() -> None:
    page = entry.as_text([ENTRY, structs.replace(ENTRY, heading="another")])
    assert page.index("w (a heading)\n") < page.index("\n\nw (another)\n")


def test_markdown() -> None:
    page = entry.as_markdown([ENTRY]).splitlines()
    assert page[:2] == ["## `w` (a heading)", ""]
    assert r"* Example: `MAIL FROM:<> -> 550 \x1b[31mred`" in page
    assert "2. **our admin**: Do that." in page
    assert "* `short`: one two" in page
    assert "* `alone`" in page


def test_a_page_leaves_out_the_lists_of_words_that_stand_on_it() -> None:
    listing = Listing(
        title="T", about="About.", groups=(Group("G", (ENTRY,), ENTRY), Group("Others", (ENTRY,)))
    )
    page = entry.listing_as_markdown(listing)
    assert "Names:" not in page
    assert page.startswith("# T\n\nAbout.\n\n## `w` (a heading)\n")
    assert "\n### `w` (a heading)\n" in page
    assert "\n## Others\n" in page


def test_a_list() -> None:
    listing = Listing(title="T", about="About.", groups=(Group("G", (ENTRY,)),))
    assert entry.listing_as_text(listing) == "About.\n\nG\n  w  in brief\n"
    assert entry.listing_as_objects(listing) == [
        {"kind": "row", "word": "w", "row": "w", "means": "What it means.", "example": ENTRY.example}
    ]


def test_json() -> None:
    assert entry.as_object([ENTRY, ENTRY]) == {
        "kind": "row",
        "word": "w",
        "row": "w",
        "means": "What it means.",
        "example": ENTRY.example,
        "also": [
            {"kind": "row", "word": "w", "row": "w", "means": "What it means.", "example": ENTRY.example}
        ],
    }


def test_every_side_and_exit_code_of_a_rule_is_that_of_its_reason_or_its_own() -> None:
    by_id = {rule.id: rule for rule in HOST_RULES}
    for each in rules.listing().entries:
        row = REASONS[str(each.fields["reason"])]
        assert each.fields["exit"] == CAUSES[row.cause][0]
        own = by_id[each.word].side if each.word in by_id else None
        assert each.fields["side"] == (own or row.side)
        assert each.fields["side"] in set(Side)
