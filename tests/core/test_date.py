"""Dates in greetings and stamps of our own, held against the standard library's reading of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.core.date import find_mail_date, read_stamp

moments = st.datetimes(min_value=datetime(1, 1, 3), max_value=datetime(9999, 12, 29)).map(  # noqa: DTZ001 - zones are put on next
    lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000)
)
zones = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(moments, zones, st.sampled_from(["220 mx ESMTP Exim 4.96 {}", "{}", "220-a\n220 b; {} ready"]))
def test_the_date_of_a_greeting(moment: datetime, zone: timezone, greeting: str) -> None:
    moment = moment.replace(tzinfo=zone, microsecond=0)
    assert find_mail_date(greeting.format(format_datetime(moment))) == moment.timestamp()


@given(moments)
def test_our_own_stamp(moment: datetime) -> None:
    moment = moment.replace(tzinfo=UTC)
    read = read_stamp(moment.isoformat(timespec="milliseconds"))
    assert read == pytest.approx(moment.timestamp(), abs=0.0005)
    assert (
        read_stamp(moment.strftime("%Y-%m-%dT%H:%M:%SZ").zfill(20))
        == moment.replace(microsecond=0).timestamp()
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "220 mx ESMTP",
        "31 Feb 2026 12:00:00 +0000",
        "29 Feb 2026 12:00:00 +0000",
        "1 Foo 2026 12:00:00 +0000",
        "1 Dec 2026 24:00:00 +0000",
        "1 Dec 2026 12:60:00 +0000",
        "1 Dec 2026 12:00:00 +0060",
        "1 Dec 2026 12:00:00 GMT",
        "0 Dec 2026 12:00:00 +0000",
        "٣ Dec 2026 12:00:00 +0000",
    ],
)
def test_no_date(text: str) -> None:
    assert find_mail_date(text) is None
    assert read_stamp(text) is None


def test_a_leap_day_and_no_seconds() -> None:
    assert find_mail_date("29 Feb 2028 12:00 +0000") == datetime(2028, 2, 29, 12, tzinfo=UTC).timestamp()


@given(st.text(max_size=200))
def test_no_text_makes_it_fail(text: str) -> None:
    find_mail_date(text)
    read_stamp(text)
