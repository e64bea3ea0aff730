"""Politeness: whatever happens in whatever order, the limits hold; and what is read as displeasure."""

from __future__ import annotations

import math
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.core.model import ConnectOutcome, ExchangeOutcome, Stage
from probe.core.politeness import (
    DAY,
    FIRST,
    GIVEN_UP,
    LONGEST,
    Displeasure,
    Limits,
    Sign,
    Slate,
    ask,
    displeased,
    give_back,
    settle,
    take,
)
from tests.support import make

NOON = 20000 * DAY + DAY / 2
RATE, LATER = Displeasure(Sign.RATE), Displeasure(Sign.LATER)

# --- turns -----------------------------------------------------------------------------------------

_LIMITS = st.builds(
    Limits,
    per_host=st.integers(1, 3),
    gap=st.sampled_from((0.0, 0.5, 7.0)),
    per_provider=st.integers(1, 4),
    per_day=st.integers(1, 12),
)
_DISPLEASURES = st.none() | st.builds(
    Displeasure, sign=st.sampled_from(Sign), delay=st.sampled_from((0.0, 30.0, 300.0, 7200.0))
)


class Step(NamedTuple):
    """Time passes, the clock may be set, and somebody asks or gives back."""

    passed: float
    clock_set: float
    asks: bool
    took_it: Displeasure | None


_STEPS = st.lists(
    st.builds(
        Step,
        passed=st.sampled_from((0.0, 0.1, 0.5, 3.0, 61.0, 4000.0, DAY / 3)),
        clock_set=st.sampled_from((0.0,) * 6 + (-0.2, -3600.0, -2 * DAY, 50.0)),
        asks=st.booleans(),
        took_it=_DISPLEASURES,
    ),
    max_size=60,
)


@given(limits=_LIMITS, steps=_STEPS, others=st.integers(0, 4))
def test_the_limits_hold_in_any_order_of_events(limits: Limits, steps: list[Step], others: int) -> None:
    slate, true, clock, held = Slate(), 0.0, NOON, -math.inf
    grants: list[float] = []
    days: dict[int, int] = {}
    forward = False  # a clock that is set forward shortens what is to come; set back, it never does
    for step in steps:
        true += step.passed
        clock += step.passed + step.clock_set
        forward = forward or step.clock_set > 0
        slate = settle(slate, clock)
        if step.asks:
            answer = ask(slate, slate.open + others, limits, clock)
            assert answer == 0.0 or answer > clock
            if answer == 0.0:
                assert forward or not grants or true - grants[-1] >= limits.gap - 1e-4
                assert forward or true >= held - 1e-4
                slate = take(slate, limits, clock)
                assert slate.open <= limits.per_host
                assert slate.open + others <= limits.per_provider
                grants.append(true)
                days[slate.day] = days.get(slate.day, 0) + 1
                if step.clock_set == 0.0 and all(each.clock_set == 0.0 for each in steps):
                    assert days[slate.day] <= limits.per_day
        elif slate.open:
            slate = give_back(slate, clock, step.took_it)
            if step.took_it is not None:
                first = FIRST[step.took_it.sign]
                held = max(held, true + first)
                if step.took_it.sign is Sign.RATE:
                    held = max(held, true + step.took_it.delay)
        assert slate.open >= 0


@given(st.lists(st.sampled_from([Sign.RATE, Sign.LATER]), min_size=1, max_size=30))
def test_the_back_off_never_gets_shorter(signs: list[Sign]) -> None:
    slate, until = Slate(), 0.0
    lengths: dict[Sign, float] = {}
    for sign in signs:
        slate = give_back(slate, NOON, Displeasure(sign))
        assert slate.held_until >= until
        until = slate.held_until
        alone = give_back(Slate(in_a_row=slate.in_a_row - 1, day=int(NOON // DAY)), NOON, Displeasure(sign))
        length = alone.held_until - NOON
        assert lengths.get(sign, FIRST[sign]) <= length <= LONGEST[sign]
        lengths[sign] = length


@pytest.mark.parametrize(
    ("sign", "lengths"), [(Sign.RATE, (60, 120, 240, 480, 960)), (Sign.LATER, (5, 10, 20, 40, 60))]
)
def test_the_back_off_doubles(sign: Sign, lengths: tuple[int, ...]) -> None:
    slate, now = Slate(), NOON
    for length in lengths:
        assert ask(slate, 0, Limits(), now) == 0.0
        slate = give_back(take(slate, Limits(), now), now, Displeasure(sign))
        assert ask(slate, 0, Limits(), now) == now + length
        now += length


def test_a_host_that_names_a_longer_time_gets_it() -> None:
    asked = give_back(Slate(), NOON, Displeasure(Sign.RATE, 900.0))
    assert ask(asked, 0, Limits(), NOON) == NOON + 900
    shorter = give_back(Slate(), NOON, Displeasure(Sign.RATE, 3.0))
    assert ask(shorter, 0, Limits(), NOON) == NOON + 60


def test_who_is_given_up_is_left_alone_until_the_next_day() -> None:
    slate = Slate()
    for _ in range(GIVEN_UP):
        slate = give_back(slate, NOON, LATER)
    assert ask(slate, 0, Limits(), NOON + 4000) == math.inf
    assert ask(slate, 0, Limits(), NOON + DAY / 2) == 0.0
    assert ask(give_back(slate, NOON, None), 0, Limits(), NOON + 4000) == 0.0


def test_a_contented_conversation_ends_the_row_and_keeps_the_back_off() -> None:
    slate = give_back(Slate(open=2), NOON, RATE)
    slate = give_back(slate, NOON + 1, None)
    assert ask(slate, 0, Limits(), NOON + 1) == NOON + 60
    assert give_back(slate, NOON + 100, RATE).held_until == NOON + 160


def test_the_budget_is_whole_again_at_midnight() -> None:
    limits, slate = Limits(per_day=3, per_host=9), Slate()
    for n in range(3):
        assert ask(slate, 0, limits, NOON + n) == 0.0
        slate = take(slate, limits, NOON + n)
    assert ask(slate, 0, limits, NOON + DAY / 2 - 1) == math.inf
    assert ask(slate, 0, limits, NOON + DAY / 2) == 0.0


def test_a_clock_set_back_makes_nobody_wait_for_it_nor_jump_the_gap() -> None:
    limits = Limits(gap=5.0)
    slate = settle(take(Slate(), limits, NOON), NOON - 3600)
    assert ask(slate, 0, limits, NOON - 3600) == NOON - 3595
    assert ask(slate, 0, limits, NOON - 3595) == 0.0


def test_greylisting_holds_a_host_back_and_never_gives_it_up() -> None:
    slate = Slate()
    for n in range(3 * GIVEN_UP):
        slate = give_back(take(slate, Limits(), NOON + n), NOON + n, Displeasure(Sign.STRANGER))
        assert slate.held_until == NOON + n + 5.0
    assert ask(slate, 0, Limits(), NOON + 100) == 0.0


# --- displeasure -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "read"),
    [
        ("250 2.1.5 Ok", None),
        ("550 5.1.1 User unknown", None),
        ("550 No such user here", None),
        ("554 5.7.1 Service unavailable; client host blocked", None),
        ("452 4.2.2 Mailbox full", None),
        ("450 4.2.0 Greylisted, try again in 300 seconds", Displeasure(Sign.STRANGER)),
        ("451 4.3.0 Temporary server error", LATER),
        ("421 4.3.2 Service shutting down", RATE),
        ("421 4.7.0 Too many connections, try again in 10 minutes", Displeasure(Sign.RATE, 600.0)),
        ("451 4.7.1 Rate limit exceeded, please try again in 15 minutes", Displeasure(Sign.RATE, 900.0)),
        ("550 5.7.1 Too many connections from your host", RATE),
    ],
)
def test_the_reply_to_rcpt(reply: str, read: Displeasure | None) -> None:
    assert displeased(make.session(*make.conversation(reply))) == read


@pytest.mark.parametrize("stage", [Stage.BANNER, Stage.MAIL, Stage.RSET, Stage.EXTRA, Stage.QUIT])
def test_421_anywhere(stage: Stage) -> None:
    said = (*make.conversation(), make.exchange(stage, None, "421 4.4.2 Bye"))
    assert displeased(make.session(*said)) == RATE


def test_the_longest_named_time_counts_and_rate_outweighs_later() -> None:
    said = (
        make.exchange(Stage.BANNER, None, "220 mx ESMTP"),
        make.exchange(Stage.MAIL, "MAIL FROM:<>", "451 4.3.0 Try again later"),
        make.exchange(Stage.EXTRA, None, "421 Too many connections, retry in 300 seconds"),
        make.exchange(Stage.EXTRA, None, "421 Too many connections, retry in 200 seconds"),
    )
    assert displeased(make.session(*said)) == Displeasure(Sign.RATE, 300.0)


@pytest.mark.parametrize(
    ("outcome", "read"),
    [
        (ConnectOutcome.REFUSED, LATER),
        (ConnectOutcome.RESET, LATER),
        (ConnectOutcome.TIMEOUT, None),
        (ConnectOutcome.NO_ROUTE, None),
        (ConnectOutcome.LOCAL, None),
    ],
)
def test_the_connection(outcome: ConnectOutcome, read: Displeasure | None) -> None:
    assert displeased(make.session(connected=make.connect(outcome))) == read


@pytest.mark.parametrize(
    ("stage", "outcome", "read"),
    [
        (Stage.BANNER, ExchangeOutcome.CLOSED, LATER),
        (Stage.RCPT, ExchangeOutcome.RESET, LATER),
        (Stage.QUIT, ExchangeOutcome.CLOSED, None),
        (Stage.RCPT, ExchangeOutcome.TIMEOUT, None),
        (Stage.RCPT, ExchangeOutcome.CUT_SHORT, None),
    ],
)
def test_the_end_of_a_conversation(stage: Stage, outcome: ExchangeOutcome, read: Displeasure | None) -> None:
    assert displeased(make.session(make.exchange(stage, None, outcome=outcome))) == read


def test_what_a_host_says_of_its_own_tls_is_not_about_us() -> None:
    refused = make.exchange(Stage.STARTTLS, "STARTTLS", "454 4.7.0 TLS not available due to temporary reason")
    assert displeased(make.session(refused, *make.conversation())) is None


@given(st.integers(200, 599), st.text(max_size=80), st.sampled_from(Stage))
def test_any_reply_can_be_read(code: int, text: str, stage: Stage) -> None:
    line = f"{code} {text}".encode().decode("latin-1")
    read = displeased(make.session(make.exchange(stage, None, line)))
    assert read is None or read.delay >= 0.0
