"""Numbers and names as a person says them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.core import model
from probe.show import wording
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
        (model.MtaOutcome, wording.DOES),
    ],
)
def test_every_word_of_the_model_has_a_name(words: type[StrEnum], names: dict[StrEnum, str]) -> None:
    assert set(names) == set(words)


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
