"""Dates as mail hosts and we write them -> seconds since 1970, without a clock and without a time zone of ours."""

from __future__ import annotations

import re
from functools import lru_cache

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
# RFC 5322 3.3 without comments and obsolete forms: `Sun, 22 Nov 2026 13:27:52 +0000`.
_MAIL = re.compile(
    r"\b([0-9]{1,2}) ([A-Z][a-z]{2}) ([0-9]{4}) ([0-9]{2}):([0-9]{2})(?::([0-9]{2}))? ([+-])([0-9]{2})([0-9]{2})\b",
    re.ASCII,
)
# RFC 3339 in UTC, as `Evidence.began` has it.
_STAMP = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})(\.[0-9]{1,9})?(?:Z|\+00:00)", re.ASCII
)

# What mail servers write into their logs: Exim, rsyslog's RFC 3339, and syslog of old without a year or a zone.
_DATED = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[ T]([0-9]{2}):([0-9]{2}):([0-9]{2})([.,][0-9]{1,9})?"
    r" ?(?:(Z)|([+-])([0-9]{2}):?([0-9]{2}))?",
    re.ASCII,
)
_UNDATED = re.compile(
    r"([A-Z][a-z]{2}) {1,2}([0-9]{1,2}) ([0-9]{2}):([0-9]{2}):([0-9]{2})(\.[0-9]{1,9})?", re.ASCII
)


def find_mail_date(text: str) -> int | None:
    """Find the first date in the form of RFC 5322 3.3, which many greetings carry; seconds since 1970, or None."""
    found = _MAIL.search(text)
    if found is None or found[2].lower() not in _MONTHS:
        return None
    day, year, hour, minute = (int(found[group]) for group in (1, 3, 4, 5))
    second = int(found[6] or 0)
    offset = (int(found[8]) * 60 + int(found[9])) * 60
    if int(found[9]) > 59:
        return None
    at = _seconds(year, _MONTHS.index(found[2].lower()) + 1, day, hour, minute, second)
    return None if at is None else at - offset if found[7] == "+" else at + offset


def read_stamp(text: str) -> float | None:
    """Read a time of RFC 3339 in UTC; seconds since 1970, or None when it is none."""
    found = _STAMP.fullmatch(text)
    if found is None:
        return None
    year, month, day, hour, minute, second = (int(found[group]) for group in range(1, 7))
    at = _seconds(year, month, day, hour, minute, second)
    return None if at is None else at + float(found[7] or 0)


@lru_cache(maxsize=1024)
def read_log_stamp(text: str, year: int | None = None) -> float | None:
    """Read the stamp of a log line; seconds since 1970, or None when it is none.

    A stamp without a zone is read as UTC. One without a year (syslog) needs `year`. Lines of one second share
    their stamp, so the last ones are remembered.
    """
    found = _DATED.fullmatch(text)
    if found is not None:
        date = (int(found[group]) for group in range(1, 7))
        at = _seconds(*date)
        hours, minutes = int(found[10] or 0), int(found[11] or 0)
        if at is None or minutes > 59:
            return None
        offset = (hours * 60 + minutes) * 60
        return at + _fraction(found[7]) + (offset if found[9] == "-" else -offset)
    found = _UNDATED.fullmatch(text)
    if found is None or year is None or found[1].lower() not in _MONTHS:
        return None
    day, hour, minute, second = (int(found[group]) for group in range(2, 6))
    at = _seconds(year, _MONTHS.index(found[1].lower()) + 1, day, hour, minute, second)
    return None if at is None else at + _fraction(found[6])


def _fraction(text: str | None) -> float:
    return float("0." + text[1:]) if text else 0.0


def _seconds(year: int, month: int, day: int, hour: int, minute: int, second: int) -> int | None:
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    lengths = (31, 29 if leap else 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
    if not (
        1 <= month <= 12 and 1 <= day <= lengths[month - 1] and hour < 24 and minute < 60 and second <= 60
    ):
        return None
    before = year - 1
    # Days of the Gregorian calendar before this year, less those before 1970.
    days = before * 365 + before // 4 - before // 100 + before // 400 - 719162
    days += sum(lengths[: month - 1]) + day - 1
    return ((days * 24 + hour) * 60 + minute) * 60 + second
