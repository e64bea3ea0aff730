"""The checks for a terminal: aligned, within the width, and nothing in them that a terminal would obey."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from probe.core.checks import CHECKS, Result
from probe.core.observations import HEALTH_SCHEMA, Check, Health
from probe.show.health import render

REPORT = Health(
    HEALTH_SCHEMA,
    (
        Check("resolver-tcp", Result.OK, "TCP is answered by 192.0.2.53:53", None),
        Check(
            "ptr-ipv4",
            Result.FAIL,
            "192.0.2.25 has no PTR record (nxdomain); many mail hosts refuse such a client",
            "ask the provider of 192.0.2.25 to set its PTR record",
        ),
        Check("ping", Result.WARN, "not permitted", "allow it"),
        Check("helo-generic", Result.UNTESTED, "there is no name to look at, see helo-name", None),
    ),
)
PAGE = """\
ok        resolver-tcp       TCP is answered by 192.0.2.53:53
fail      ptr-ipv4           192.0.2.25 has no PTR record (nxdomain); many mail
                             hosts refuse such a client
                             -> ask the provider of 192.0.2.25 to set its PTR
                             record
warn      ping               not permitted
                             -> allow it
untested  helo-generic       there is no name to look at, see helo-name

1 thing of ours to mend; 1 ok, 1 to look at, 1 untested
"""
texts = st.text(max_size=200) | st.just("\x1b[2J\r\n\x9b1m\u202e" * 20)


def test_a_page() -> None:
    assert render(REPORT) == PAGE


def test_colour_changes_nothing_else() -> None:
    painted = render(REPORT, color=True)
    assert "\x1b[1;31mfail      \x1b[0m" in painted
    assert re.sub(r"\x1b\[[0-9;]*m", "", painted) == PAGE


def test_all_well() -> None:
    assert render(Health(1, REPORT.checks[:1])).endswith(
        "nothing of ours is wrong; 1 ok, 0 to look at, 0 untested\n"
    )


@given(
    st.lists(st.tuples(st.sampled_from(list(Result)), texts, st.none() | texts), max_size=4),
    st.integers(0, 120),
)
def test_whatever_was_said_it_is_safe_and_fits(
    rows: list[tuple[Result, str, str | None]], width: int
) -> None:
    names = list(CHECKS)
    checks = tuple(Check(names[at], *row) for at, row in enumerate(rows))
    page = render(Health(1, checks), width=width)
    assert page.replace("\n", "").isprintable()
    assert all(len(line) <= max(width, 60) for line in page.splitlines() if line.isascii())
    assert sum(line[:1] != " " for line in page.splitlines()[: -2 or None]) == len(checks)
