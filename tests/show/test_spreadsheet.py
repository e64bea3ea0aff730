"""CSV: the columns, the quoting, and what a spreadsheet must not run."""

from __future__ import annotations

import csv

import pytest
from msgspec.structs import replace

from probe.core.model import Stored
from probe.show import spreadsheet
from tests.show import samples
from tests.support import make


def fields(line: str, delimiter: str = ",") -> list[str]:
    (row,) = csv.reader([line], delimiter=delimiter)
    return row


def test_the_header_names_the_columns() -> None:
    assert spreadsheet.header() == (
        "address,cause,reason,confidence,side,summary,next_step,host,ip,reply,catch_all,seconds,age\n"
    )


def test_a_row_has_the_first_step_and_the_host_that_decided() -> None:
    assert fields(spreadsheet.row(samples.missing())) == [
        "administrator@customer.example.com",
        "missing-sender",
        "rcpt.user-unknown",
        "certain",
        "theirs",
        "mx1.customer.example.com says that there is no such mailbox.",
        "the sender: Use an envelope sender that exists.",
        "mx1.customer.example.com",
        "203.0.113.15",
        "550 5.1.1 <administrator@customer.example.com>: Recipient address rejected",
        "",
        "0.500",
        "",
    ]


def test_the_host_that_decided_is_not_merely_the_first() -> None:
    assert fields(spreadsheet.row(samples.second_host_accepts()))[7:11] == [
        "mx2.customer.example.com",
        "203.0.113.16",
        "250 2.1.5 Ok",
        "true",
    ]


def test_what_is_not_known_is_empty() -> None:
    assert fields(spreadsheet.row(samples.dns_failure()))[6:] == ["", "", "", "", "", "5.040", ""]


def test_what_is_out_of_the_store_has_its_age() -> None:
    report = replace(samples.missing(), stored=Stored(2400.4, "administrator@customer.example.com"))
    assert fields(spreadsheet.row(report))[-1] == "2400"


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_no_field_becomes_a_formula_whatever_separator_is_guessed(delimiter: str) -> None:
    line = spreadsheet.row(make.report(given="=1@example.com", summary='a";=1+1;"-b; ""+c'))
    assert not any(field.lstrip(' "')[:1] in tuple("=+-@") for field in fields(line, delimiter))


def test_a_field_with_a_comma_or_a_quote_is_quoted() -> None:
    assert ',"a, ""b""",' in spreadsheet.row(make.report(summary='a, "b"'))
