"""Preflights and lists as pages: within the width, nothing in them that a terminal or a ticket would obey."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from msgspec.structs import replace

from probe.core.exemption.listing import LIST_SCHEMA, Finding, ListEntry, ListReport
from probe.core.exemption.preflight_rules import RULES
from probe.core.exemption.relay import Asked, Exemption, Result
from probe.core.model import Cause
from probe.core.spf.record import SpfResult
from probe.show import listing, preflight
from tests.show.test_hostile import CODE, FENCE, SGR
from tests.support import preflight as samples
from tests.support.arbitrary import HOSTILE

if TYPE_CHECKING:
    from collections.abc import Callable

    from probe.core.exemption.relay import Preflight

VIEWS: dict[str, Callable[[Preflight], str]] = {
    "text": preflight.render,
    "verbose": lambda report: preflight.render(report, verbose=True),
    "colour": lambda report: SGR.sub("", preflight.render(report, color=True)),
    "quiet": lambda report: preflight.quiet(report).replace("\t", ""),
    "markdown": preflight.markdown,
}


def test_a_page() -> None:
    page = preflight.render(samples.preflight())
    assert page.startswith(
        "justified: 192.0.2.59 for administrator@customer.example.com\n\n  192.0.2.59 may be"
    )
    assert "pass      reverse-dns                 192.0.2.59 is relay1.example.com, which\n" in page
    assert "\n2. cpanel: /etc/senderverifybypasshosts\n" in page
    assert "\n   line      192.0.2.59\n" in page
    assert "\nNot these lists:\n  /etc/skipsmtpcheckhosts: WHM" in page


@pytest.mark.parametrize("width", [20, 60, 80, 100])
def test_only_what_is_copied_is_wider(width: int) -> None:
    copied = {way.line for way in samples.preflight().exemptions}
    copied |= {line for way in samples.preflight().exemptions for line in (*way.setup, way.undo)}
    for line in preflight.render(samples.preflight(), width=width).splitlines():
        assert len(line) <= max(width, 60) or line[13:] in copied or line.startswith("justified:")


def test_what_is_copied_is_whole() -> None:
    report = samples.preflight()
    for page in (preflight.render(report, width=60), preflight.markdown(report)):
        for way in report.exemptions:
            for text in (way.line, way.undo, *way.setup):
                assert text in page


def test_no_way_is_shown_where_none_is_given() -> None:
    page = preflight.render(samples.preflight(samples.diagnosis(Cause.MISSING_SENDER)))
    assert "Ways to exempt" not in page
    assert "Not these lists" not in page


def test_colour_changes_nothing_else() -> None:
    report = samples.preflight(seen=samples.relay(said=samples.spf(SpfResult.FAIL, "-all")))
    painted = preflight.render(report, color=True)
    assert "\x1b[1;31mdangerous: " in painted
    assert "\x1b[1;31mfail      \x1b[0mspf" in painted
    assert SGR.sub("", painted) == preflight.render(report)


def test_quiet_is_one_line() -> None:
    for cause in Cause:
        line = preflight.quiet(samples.preflight(samples.diagnosis(cause)))
        assert (line.count("\n"), line.count("\t")) == (1, 4)


def hostile(text: str) -> Preflight:
    report = samples.preflight()
    names = [name for name in Exemption.__struct_fields__ if name != "setup"]
    way = Exemption(**dict.fromkeys(names, text), setup=(text,))
    return replace(
        report,
        address=text,
        because=(text, text),
        checks=tuple(replace(check, says=text) for check in report.checks),
        exemptions=(way,),
        report=replace(report.report, summary=text, address=text),
    )


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(HOSTILE)
def test_nothing_is_obeyed(text: str) -> None:
    report = hostile(text)
    for name, view in VIEWS.items():
        page = view(report)
        assert page.replace("\n", "").isprintable(), name
    assert preflight.quiet(report).count("\t") == 4
    outside = CODE.sub("", FENCE.sub("", preflight.markdown(report)))
    assert not set(outside) & set("`<>[]{}_~\\&@$^")
    assert all(re.match(r"#{2,3} ", line) for line in outside.splitlines() if "#" in line)


@given(HOSTILE)
def test_a_hostile_record_is_data(text: str) -> None:
    """What a domain publishes goes through the sentences of the checks, braces and all."""
    said = replace(samples.spf(), term=text, domain=text, problem=text)
    for result in SpfResult:
        report = samples.preflight(seen=samples.relay(said=replace(said, result=result)), asked=Asked())
        assert preflight.render(report).replace("\n", "").isprintable()
        assert {check.result for check in report.checks} <= set(Result)
        assert report.rule in {rule.id for rule in RULES}


# --- lists ---------------------------------------------------------------------------------------------

LIST = ListReport(
    LIST_SCHEMA,
    (
        ListEntry("192.0.2.0/24", 2, Finding.OK, True, "a callout to a@b.example still fails", (), ("a@b.example",)),
        ListEntry(
            "192.0.2.59", 4, Finding.COVERED, False, "line 2 (192.0.2.0/24) covers it already", (Finding.COVERED,), ()
        ),
        ListEntry("203.0.113.9", 5, Finding.UNSEEN, None, "", (Finding.UNSEEN,), ()),
    ),
)  # fmt: skip
LIST_PAGE = """\
needed      ok           line 2: 192.0.2.0/24
    a callout to a@b.example still fails
not needed  covered      line 4: 192.0.2.59
    line 2 (192.0.2.0/24) covers it already
not known   unseen       line 5: 203.0.113.9

3 entries: 1 needed, 1 not needed, 1 not known; 1 to look at
"""


def test_a_list() -> None:
    assert listing.render(LIST) == LIST_PAGE
    painted = listing.render(LIST, color=True)
    assert "\x1b[33mnot needed" in painted
    assert SGR.sub("", painted) == LIST_PAGE
    assert listing.quiet(LIST) == "4\t192.0.2.59\tcovered\tnot needed\n"
    assert "**not needed**, `covered`" in listing.markdown(LIST)


@given(HOSTILE)
def test_no_list_is_obeyed(text: str) -> None:
    report = ListReport(LIST_SCHEMA, (ListEntry(text, 1, Finding.DEAD, False, text, (), (text,)),))
    for page in (
        listing.render(report),
        listing.markdown(report),
        SGR.sub("", listing.render(report, color=True)),
    ):
        assert page.replace("\n", "").isprintable()
    assert listing.quiet(report).count("\t") == 3
    assert not set(CODE.sub("", listing.markdown(report))) & set("`<>[]{}_~\\&@$^")
