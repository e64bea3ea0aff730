"""What is wrong in a list, and which of its entries are still needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from probe.core.exemption.iplist import parse, style_of
from probe.core.exemption.listing import Finding, ListEntry, Sender, conclude, examine
from probe.core.exemption.preflight_rules import Need
from probe.core.exemption.ways import Style

if TYPE_CHECKING:
    from collections.abc import Mapping

TODAY = "2026-11-22"
SENDER = "administrator@customer.example.com"


def entries(
    text: str,
    senders: Mapping[int, tuple[str, ...]] | None = None,
    *probed: Sender,
    style: Style | None = None,
    unseen: frozenset[int] = frozenset(),
) -> list[ListEntry]:
    parsed = parse(text)
    drafts = examine(parsed, style or style_of(parsed, "list"), TODAY)
    report = conclude(drafts, senders or {}, {sender.mailbox: sender for sender in probed}, unseen=unseen)
    return list(report.entries)


def only(text: str, *others: object, **more: object) -> ListEntry:
    (entry,) = entries(text, *others, **more)  # type: ignore[arg-type]  # passed on
    return entry


def well(text: str) -> bool:
    parsed = parse(text)
    return conclude(examine(parsed, style_of(parsed, "list"), TODAY), {}, {}).in_order


@pytest.mark.parametrize(
    ("line", "style", "word"),
    [
        ("192.0.2", Style.IPLSEARCH, "neither an address nor a network"),
        ("mail.example.com", Style.IPLSEARCH, "host name"),
        ("2001:db8::1", Style.IPLSEARCH, "double quotes"),
        ("2001:db8::1: a.example", Style.PAIRS, "double quotes"),
        ("8.8.8.8", Style.PAIRS, "names no domain"),
        ('"2001:db8::1"', Style.HOSTS, "no quotes"),
        ("8.8.8.8", Style.CIDR, "no action"),
        ("8.8.8.9/24 OK", Style.CIDR, "not the first"),
        ("8.8.8.8 DUNNO", Style.CIDR, "exempts nobody"),
        ('"2001:db8::1" OK', Style.CIDR, "no action"),
    ],
)
def test_dead_entries(line: str, style: Style, word: str) -> None:
    entry = only(line, style=style)
    assert (entry.finding, entry.needed) == (Finding.DEAD, False)
    assert word in entry.says


def test_what_is_alive() -> None:
    for line, style in (
        ("8.8.8.8", Style.IPLSEARCH), ('"2001:4860::1"', Style.IPLSEARCH), ("2001:4860::1", Style.HOSTS),
        ("mail.example.com", Style.HOSTS), ("8.8.8.8 OK", Style.CIDR), ("8.8.8.8: a.example", Style.PAIRS),
        ("8.8.8.9/24", Style.IPLSEARCH),
    ):  # fmt: skip
        entry = only(line, style=style)
        assert (entry.finding, entry.needed, entry.findings) == (Finding.OK, None, ()), line


def test_duplicates_and_covered_entries() -> None:
    found = entries("8.8.8.0/24\n8.8.8.8\n8.8.4.4\n8.8.4.4\n")
    assert [(entry.finding, entry.needed) for entry in found] == [
        (Finding.OK, None), (Finding.COVERED, False), (Finding.OK, None), (Finding.DUPLICATE, False),
    ]  # fmt: skip
    assert "line 1 (8.8.8.0/24)" in found[1].says
    assert "line 3" in found[3].says


def test_a_narrower_entry_that_says_something_else_is_not_covered() -> None:
    assert [entry.finding for entry in entries("8.8.8.8 REJECT\n8.8.8.0/24 OK\n")] == [
        Finding.DEAD,
        Finding.OK,
    ]
    assert [entry.finding for entry in entries("!8.8.8.8\n8.8.8.0/24\n")] == [Finding.NEGATED, Finding.OK]
    assert [entry.finding for entry in entries("8.8.8.0/24: a.example\n8.8.8.8: b.example\n")] == [
        Finding.OK
    ] * 2
    conditional = "if 8.0.0.0/8\n8.8.8.8 OK\nendif\n8.8.8.8 OK\n"
    assert [entry.finding for entry in entries(conditional)] == [Finding.OK] * 2


@pytest.mark.parametrize(
    ("line", "finding"),
    [
        ("0.0.0.0/0", Finding.TOO_BROAD),
        ("8.8.0.0/16", Finding.TOO_BROAD),
        ("8.8.8.0/23", Finding.TOO_BROAD),
        ("8.8.8.0/24", Finding.OK),
        ('"2a00::/63"', Finding.TOO_BROAD),
        ('"2a00::/64"', Finding.OK),
        ("10.1.2.3", Finding.PRIVATE),
        ("127.0.0.1", Finding.PRIVATE),
        ('"::1"', Finding.PRIVATE),
        ("192.0.2.59", Finding.PRIVATE),
        ("240.0.0.1", Finding.PRIVATE),
        ("100.64.0.0/24", Finding.PRIVATE),
    ],
)
def test_networks(line: str, finding: Finding) -> None:
    entry = only(line)
    assert entry.finding is finding
    assert entry.needed is None
    assert well(line) is (finding is Finding.OK)


def test_the_gravest_finding_comes_first_and_all_are_said() -> None:
    entry = only("# until=2026-01-01\n10.0.0.0/8")
    assert entry.findings == (Finding.TOO_BROAD, Finding.PRIVATE, Finding.PAST_REVIEW)
    assert "2026-01-01" in entry.says
    assert "16777216" in entry.says


def test_the_review_is_due_on_the_day_after() -> None:
    assert only(f"# until={TODAY}\n8.8.8.8").finding is Finding.OK
    assert only("# until=2026-11-21\n8.8.8.8").finding is Finding.PAST_REVIEW


@pytest.mark.parametrize(
    ("need", "needed", "finding"),
    [
        (Need.FAILS, True, Finding.OK),
        (Need.REFUSES_US, True, Finding.OK),
        (Need.WORKS, False, Finding.NOT_NEEDED),
        (Need.MISSING, False, Finding.NOT_NEEDED),
        (Need.WAIT, None, Finding.OK),
        (Need.OURS, None, Finding.OK),
        (Need.DNS, None, Finding.OK),
        (Need.UNCLEAR, None, Finding.OK),
    ],
)
def test_what_a_callout_says_of_an_entry(need: Need, needed: bool | None, finding: Finding) -> None:
    entry = only("8.8.8.8", {1: (SENDER,)}, Sender(SENDER, need, "mx1 said so."))
    assert (entry.needed, entry.finding, entry.senders) == (needed, finding, (SENDER,))
    assert SENDER in entry.says


def test_one_failing_sender_is_enough_and_one_unknown_one_leaves_it_open() -> None:
    works, fails, waits = (
        Sender(f"{need}@example.com", need, "said") for need in (Need.WORKS, Need.FAILS, Need.WAIT)
    )
    senders = {1: (works.mailbox, fails.mailbox)}
    assert only("8.8.8.8", senders, works, fails).needed is True
    assert only("8.8.8.8", {1: (works.mailbox, waits.mailbox)}, works, waits).needed is None
    assert only("8.8.8.8", senders, works).needed is None  # the other one was not probed
    assert only("8.8.8.8", senders).needed is None
    assert only("8.8.8.8", {}).needed is None


def test_an_entry_without_effect_is_not_needed_though_its_sender_fails() -> None:
    found = entries("8.8.8.8\n8.8.8.8", {2: (SENDER,)}, Sender(SENDER, Need.FAILS, "said"))
    assert [(entry.needed, entry.finding) for entry in found] == [
        (None, Finding.OK),
        (False, Finding.DUPLICATE),
    ]


def test_a_relay_that_the_log_does_not_name() -> None:
    entry = only("8.8.8.8", unseen=frozenset({1}))
    assert (entry.finding, entry.needed) == (Finding.UNSEEN, None)
