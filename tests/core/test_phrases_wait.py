"""How long a reply asks us to wait."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.core.model import About, Reply, Stage
from probe.core.phrases import read
from probe.core.wait import LONGEST, SHORTEST, named_wait
from tests.support.every import every

NAMED = [
    ("try again in 300 seconds", 300),
    ("Please try again in 5 minutes", 300),
    ("Greylisted for 5 minutes", 300),
    ("Greylisted, please try again in 900 seconds", 900),
    ("Greylisted by example 0.4.0, try again in 30 seconds. See https://example.org/", 30),
    ("Gray-listed for 59 seconds", 59),
    ("greylisted (300 seconds)", 300),
    ("You have been greylisted for 4 minutes and 59 seconds", 299),
    ("Deferred for greylisting; retry in 00:04:59", 299),
    ("retry in 01:00:00", 3600),
    ("try again in 1 hour", 3600),
    ("please retry after one hour", 3600),
    ("come back in an hour", 3600),
    ("wait 10 minutes", 600),
    ("Please wait at least 5 minutes before you try again", 300),
    ("try later in 1h30m", 5400),
    ("Try again in 5min", 300),
    ("try again in 300s", 300),
    ("try again in 5-10 minutes", 600),
    ("temporarily deferred, wait 2 hours", 7200),
    ("retry-after: 120", 120),
    ("too many connections, retry after 60 seconds", 60),
    ("Blocked for 15 minutes", 900),
    ("retry in 2 days", 172800),
    ("300 seconds remaining", 300),
    ("Bitte in 5 Minuten erneut versuchen", 300),
    ("Bitte warten Sie 10 Minuten", 600),
    ("Veuillez réessayer dans 5 minutes", 300),
    ("Intente de nuevo en 5 minutos", 300),
    ("Tente novamente em 10 minutos", 600),
    ("Riprova tra 5 minuti", 300),
    ("Повторите через 10 минут", 600),
    ("请在5分钟后重试", 300),
    ("5分後に再試行してください", 300),
]
NOT_NAMED = [
    "Greylisted, please try again later",
    "Too many messages in the last 60 minutes",
    "You may send 10 messages per 60 seconds, slow down",
    "More than 100 recipients in 1 hour; try again later",
    "timed out after 30 seconds",
    "Error: timeout exceeded (300 seconds)",
    "try again in 0 seconds",
    "try again in 999999 days",
    "try again in a few minutes",
    "try again tomorrow",
    "see https://example.com/wait-5-minutes",
    "retry 5",
    "[192.0.2.1] try again, session 12:30:45",
    "queue id 5m, please retry",
    "",
]


@every(("text", "seconds"), NAMED)
def test_a_named_time_is_told(text: str, seconds: float) -> None:
    assert named_wait(text) == seconds


@pytest.mark.parametrize("text", NOT_NAMED)
def test_a_time_that_is_not_one_to_wait_is_not_told(text: str) -> None:
    assert named_wait(text) is None


def test_of_several_times_the_longest_is_told() -> None:
    assert named_wait("Greylisted for 5 minutes. Try again in 300 s, or wait 10 minutes.") == 600


@pytest.mark.parametrize(
    ("line", "stage", "about", "delay"),
    [
        ("451 4.7.1 Greylisted, try again in 300 seconds", Stage.RCPT, About.GREYLIST, 300.0),
        ("421 4.7.0 Too many connections, retry in 60 seconds", Stage.BANNER, About.RATE, 60.0),
        ("450 4.2.0 Please wait 5 minutes and try again", Stage.RCPT, About.GREYLIST, 300.0),
        ("451 请在5分钟后重试", Stage.RCPT, About.TEMPORARY, 300.0),
        ("451 4.7.1 Greylisted", Stage.RCPT, About.GREYLIST, None),
        ("550 5.7.1 Blocked for 15 minutes", Stage.RCPT, About.POLICY, None),
    ],
)
def test_a_reading_of_a_temporary_reply_has_the_delay(
    line: str, stage: Stage, about: About, delay: float | None
) -> None:
    reading = read(Reply(int(line[:3]), (line.encode().decode("latin-1"),), (), 0.0, 0.0), stage)
    assert (reading.about, reading.delay) == (about, delay)


def test_the_lines_of_a_reply_are_read_as_one() -> None:
    lines = ("451-You have been greylisted. Please try again", "451 in 300 seconds")
    assert read(Reply(451, lines, (), 0.0, 0.0), Stage.RCPT).delay == 300


@given(st.text(max_size=200))
def test_a_wait_is_bounded_whatever_the_text(text: str) -> None:
    assert (seconds := named_wait(text)) is None or SHORTEST <= seconds <= LONGEST


@given(
    st.integers(0, 10**7),
    st.sampled_from([("seconds", 1), ("minutes", 60), ("hours", 3600), ("days", 86400)]),
    st.sampled_from(["try again in", "Greylisted for", "please wait", "retry after"]),
)
def test_a_time_within_the_bounds_is_told_exactly(number: int, unit: tuple[str, int], asks: str) -> None:
    seconds = number * unit[1]
    inside = SHORTEST <= seconds <= LONGEST
    assert named_wait(f"{asks} {number} {unit[0]}") == (seconds if inside else None)


@given(st.integers(0, 99), st.integers(0, 59), st.integers(0, 59))
def test_a_clock_is_told_exactly(hours: int, minutes: int, seconds: int) -> None:
    total = 3600 * hours + 60 * minutes + seconds
    assert named_wait(f"retry in {hours:02}:{minutes:02}:{seconds:02}") == (total or None)
