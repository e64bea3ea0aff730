"""The table of causes, the summary, rows of CSV and the plan, with names that try to break out."""

from __future__ import annotations

import csv
import io

import pytest
from msgspec import Struct
from msgspec.structs import replace

from probe.core.classify import judge
from probe.core.model import Stored
from probe.core.tally import SHOWN, Failing, Share, Tally, Trouble
from probe.show import spreadsheet, tally
from tests.support import make


def counted(**causes: int) -> Tally:
    made = Tally()
    for cause, count in causes.items():
        for number in range(count):
            made.add(cause.replace("_", "-"), "rcpt.rare" if number == 0 else "rcpt.usual")
    return made


def test_the_causes_are_counted_the_most_frequent_first() -> None:
    made = counted(sender_exists=3, missing_sender=4, temporary=1)
    assert made.shares() == [
        Share("missing-sender", 4, "rcpt.usual"),
        Share("sender-exists", 3, "rcpt.usual"),
        Share("temporary", 1, "rcpt.rare"),
    ]
    assert (made.done, made.failed) == (8, 5)


def test_the_table() -> None:
    lines = tally.causes(counted(sender_exists=1500, temporary=500)).splitlines()
    assert lines[2].split() == ["sender-exists", "1,500", "75.0%", "rcpt.usual"]
    assert lines[3].split() == ["temporary", "500", "25.0%", "rcpt.usual"]
    assert tally.causes(Tally()) == ""


def test_the_summary_is_short_however_many_fail() -> None:
    made = counted(missing_sender=3 * SHOWN)
    for number in range(3 * SHOWN):
        made.name(Failing(f"{number}@example.com", "missing-sender", "rcpt.user-unknown", "Nobody."))
    text = tally.markdown(made, [Trouble("example.com", 300, "missing-sender")], ["300 addresses in 1 s"])
    assert text.count("@example.com") == SHOWN
    assert "200 more are not named here" in text
    assert "- 300 addresses in 1 s" in text
    assert "| `example.com` |" in text


@pytest.mark.parametrize(
    ("left", "says"), [(1, "1 more is not named here"), (2, "2 more are not named here")]
)
def test_what_the_summary_leaves_out_is_counted(left: int, says: str) -> None:
    made = counted(missing_sender=SHOWN + left)
    for number in range(SHOWN + left):
        made.name(Failing(f"{number}@example.com", "missing-sender", "rcpt.user-unknown", "Nobody."))
    assert says in tally.markdown(made, [], [])


def test_how_many_have_a_reason() -> None:
    made = counted(missing_sender=2, temporary=3)
    assert (made.having("rcpt.usual"), made.having("rcpt.other")) == (3, 0)


def test_a_summary_of_one() -> None:
    assert tally.markdown(counted(sender_exists=1), [], []).startswith("## Sender verification: 1 result\n")


def test_a_summary_of_nothing() -> None:
    assert tally.markdown(Tally(), [], []) == "## Sender verification: 0 results\n"


def test_nothing_of_a_peer_gets_out_of_its_cell() -> None:
    made = counted(missing_sender=1)
    made.name(
        Failing(
            "a|b@example.com", "missing-sender", "x", "550 | @everyone\r\n| \x1b[31m ![](http://x.example)"
        )
    )
    text = tally.markdown(made, [], [])
    row = next(line for line in text.splitlines() if "example.com" in line)
    assert row.count("|") == 5
    assert "\x1b" not in text
    assert "`\\x7c @everyone" in text


def test_a_row_is_that_of_every_other_csv_each_column_once() -> None:
    report = judge(make.evidence(make.host()))
    (names, now) = csv.reader(io.StringIO(tally.csv_header() + tally.csv_row(report)))
    assert names == [*spreadsheet.COLUMNS]
    assert len(names) == len(set(names))
    assert dict(zip(names, now, strict=True))["age"] == ""
    stored = replace(report, stored=Stored(61.4, "a@example.com"))
    (row,) = csv.reader(io.StringIO(tally.csv_row(stored)))
    assert dict(zip(names, row, strict=True))["age"] == "61"


class Host(Struct):
    provider: str
    name: str
    ip: str
    addresses: int
    connections: int
    seconds: float


class Plan(Struct):
    hosts: list[Host]
    stored: int
    undeliverable: int
    seconds: float


def test_a_plan_shows_what_takes_longest_first() -> None:
    hosts = [Host("p.example", f"mx{n}.p.example", "192.0.2.1", 50, 1, float(n)) for n in range(60)]
    lines = tally.plan(Plan(hosts, 3, 4, 7300.0)).splitlines()
    assert lines[2].split() == ["p.example", "50", "1", "59", "s", "mx59.p.example", "[192.0.2.1]"]
    assert lines[-4:] == [
        "... and 10 quicker ones; --json has all of them",
        "addresses: 3,000, mail hosts: 60, connections: 60, about 3 h in all",
        "answered by the store: 3",
        "without a mail host to ask: 4",
    ]
    assert "... and 1 quicker one; --json has all of them" in tally.plan(Plan(hosts[:51], 0, 0, 1.0))
    assert (
        tally.plan(Plan([], 0, 0, 0.0)) == "addresses: 0, mail hosts: 0, connections: 0, about 0 s in all\n"
    )


def test_times_that_are_only_a_guess() -> None:
    assert [tally._about(lapse) for lapse in (0.2, 119, 121, 7200, 200000)] == [
        "1 s",
        "119 s",
        "3 min",
        "2 h",
        "3 days",
    ]
