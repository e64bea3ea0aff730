"""Numbers and names as a person says them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from probe.core import model
from probe.core.reasons import REASONS
from probe.show import servers, wording
from tests.show import samples
from tests.support import make

if TYPE_CHECKING:
    from enum import StrEnum


@pytest.mark.parametrize(
    ("lapse", "said"),
    [
        (0.0, "0 s"),
        (-1.0, "0 s"),
        (0.0004, "0 s"),
        (0.0006, "1 ms"),
        (0.0204, "20 ms"),
        (0.9994, "999 ms"),
        (0.9996, "1 s"),
        (1.04, "1 s"),
        (2.46, "2.5 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (123.7, "124 s"),
        (1e300, "1e+300 s"),
    ],
)
def test_seconds(lapse: float, said: str) -> None:
    assert wording.seconds(lapse) == said


@given(st.floats())
def test_any_lapse_has_a_short_form(lapse: float) -> None:
    assert len(wording.seconds(lapse)) <= 16


@pytest.mark.parametrize(
    ("lapse", "said"),
    [
        (-1.0, "0.0 ms"),
        (0.00034, "0.3 ms"),
        (0.00094, "0.9 ms"),
        (0.00096, "1 ms"),
        (0.0082, "8 ms"),
        (2.4, "2.4 s"),
    ],
)
def test_round_trip(lapse: float, said: str) -> None:
    assert wording.round_trip(lapse) == said


@given(st.floats())
def test_any_round_trip_has_a_short_form(lapse: float) -> None:
    assert len(wording.round_trip(lapse)) <= 16


def test_count() -> None:
    assert [wording.count(number, "host") for number in (0, 1, 2)] == ["0 hosts", "1 host", "2 hosts"]
    assert wording.count(2, "address", "addresses") == "2 addresses"


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (model.Side, wording.SIDES),
        (model.Who, wording.WHO),
        (model.Severity, wording.SEVERITIES),
        (model.Skip, wording.SKIPS),
        (model.ConnectOutcome, wording.CONNECTS),
        (model.Answer, wording.ANSWERS),
        (model.MtaOutcome, servers.DOES),
    ],
)
def test_every_word_of_the_model_has_a_name(words: type[StrEnum], names: dict[StrEnum, str]) -> None:
    assert set(names) == set(words)


def test_the_short_argument_is_what_was_seen() -> None:
    report = make.report(because=("It said so.", "Its words are read so."), summary="It said so.")
    meaning = model.Reason("In general that means much. (RFC 5321 3.3)", ())
    assert wording.short_arguments(structs.replace(report, because=(*report.because, meaning))) == [
        "Its words are read so."
    ]


def test_what_it_means_in_general_is_said_where_nothing_else_is_left_and_without_references() -> None:
    row = REASONS["connect.timeout"]
    said = model.Reason("mx1 is silent.", ("/hosts/0",))
    report = make.report(summary="mx1 is silent.", reason=row.word)
    report = structs.replace(report, because=(said, model.Reason(f"{row.means} ({row.ref})", ())))
    assert wording.short_arguments(report) == [row.means]


def test_the_table_speaks_for_the_hosts_that_did_not_decide() -> None:
    report = make.report(
        make.host_report(says="mx1 accepts."),
        make.host_report("mx2.customer.example.com", "203.0.113.16", says="mx2 is silent."),
        summary="mx1 accepts.",
        because=("mx1 accepts.", "Its words say so.", "mx2 is silent."),
    )
    assert wording.short_arguments(report) == ["Its words say so."]


def test_a_violation_in_brief_is_named_once_with_its_section() -> None:
    report = make.report(
        violations=(
            make.violation(host="a.example"),
            make.violation(host="b.example"),
            make.violation(word="x", severity=model.Severity.COSMETIC),
            structs.replace(make.violation(word="y", severity=model.Severity.RISKY), section_5321=None),
        )
    )
    assert wording.brief_violations(report) == [
        "null-sender-refused (RFC 5321 4.5.5), defeats verification",
        "y (RFC 2821 3.7, risky)",
    ]


def test_an_address_that_was_typed_as_it_is_sent_has_no_other_form() -> None:
    assert wording.other_forms(samples.firewall()) == ()


@pytest.mark.parametrize(
    ("given_as", "others"),
    [
        ("info@bücher.example", ("info@xn--bcher-kva.example",)),
        ("info@xn--bcher-kva.example", ("info@bücher.example",)),
        ("INFO@XN--BCHER-KVA.EXAMPLE", ("info@bücher.example",)),
        ("Info <info@bücher.example>", ("info@xn--bcher-kva.example", "info@bücher.example")),
    ],
)
def test_other_forms(given_as: str, others: tuple[str, ...]) -> None:
    parsed = make.address(given_as, mailbox="info@xn--bcher-kva.example", unicode_domain="bücher.example")
    assert wording.other_forms(make.report(given=given_as, observed=make.evidence(to=parsed))) == others


def test_a_unicode_form_that_hides_something_is_not_shown() -> None:
    parsed = make.address("a@xn--x.example", unicode_domain="x\u200d.example")
    assert wording.other_forms(make.report(given="a@xn--x.example", observed=make.evidence(to=parsed))) == ()


def test_the_decisive_host_shares_the_verdict() -> None:
    decided = wording.decisive(samples.second_host_accepts())
    assert decided is not None
    assert decided.name == "mx2.customer.example.com"
    assert wording.decisive(samples.dns_failure()) is None


@pytest.mark.parametrize(
    ("lapse", "said"),
    [
        (-5.0, "1 second"),
        (0.2, "1 second"),
        (1.9, "1 second"),
        (2.0, "2 seconds"),
        (119.9, "119 seconds"),
        (120.0, "2 minutes"),
        (2400.0, "40 minutes"),
        (7199.0, "119 minutes"),
        (7200.0, "2 hours"),
        (12000.0, "3 hours"),
        (172799.0, "47 hours"),
        (172800.0, "2 days"),
        (90 * 86400.0, "90 days"),
    ],
)
def test_age(lapse: float, said: str) -> None:
    assert wording.age(lapse) == said


@given(st.floats())
def test_any_age_has_a_short_form(lapse: float) -> None:
    assert re.fullmatch(r"[0-9]{1,8} (second|minute|hour|day)s?", wording.age(lapse))


def test_what_was_before() -> None:
    asked = "administrator@customer.example.com"
    now = samples.missing()
    same = model.Earlier("2026-11-22T10:00:00Z", 2400.0, now.cause, now.reason, now.summary)
    other = structs.replace(same, age=12000.0, cause=model.Cause.TEMPORARY, reason="rcpt.greylisted")

    def said(**changes: object) -> list[str]:
        return wording.before(structs.replace(now, **changes))

    assert said() == []
    assert said(earlier=same) == ["As 40 minutes ago."]
    assert said(earlier=other) == ["Changed: 3 hours ago it was temporary (rcpt.greylisted)."]
    assert said(stored=model.Stored(60.0, asked)) == ["Asked 60 seconds ago; this is out of the store."]
    assert said(stored=model.Stored(86400.0, "x@customer.example.com")) == [
        "Asked about x@customer.example.com 24 hours ago; this is out of the store."
    ]
