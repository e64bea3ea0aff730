"""The walk of an audit: what is asked, in which order, and what is left out. No socket, no clock."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.core.audit import COMMANDS, LONG_LOCAL_PART, MAX_COMMANDS, REPLY_TIMEOUT, AuditScript, audit
from probe.core.model import ExchangeOutcome, Purpose, Stage
from probe.core.plan import Plan
from tests.support import make

PLAN = Plan(
    helo="probe.example.net",
    rcpt="user@d.example",
    banner_timeout=30.0,
    reply_timeout=30.0,
    quit_timeout=1.0,
    random_rcpt="probe-1@d.example",
)


def walk(answers: dict[str, str]) -> list[str]:
    """Give the commands of an audit of a host that answers so, and 250 to everything else."""
    script = AuditScript(PLAN, "192.0.2.1")
    said = []
    stage: Stage | None = script.follows(Stage.BANNER, make.reply(answers.get("", "220 mx.d.example")))
    while stage is not None:
        command = script.command(stage)
        said.append(command)
        stage = script.follows(stage, make.reply(answers.get(command, "250 ok")))
    return said


HELO, MAIL, LONG = (
    "HELO probe.example.net",
    "MAIL FROM:<>",
    f"RCPT TO:<{LONG_LOCAL_PART}@d.example>",
)
POSTMASTER, POSTMASTER_AGAIN = "RCPT TO:<Postmaster@d.example>", "RCPT TO:<postmaster@d.example>"
VRFY, UNKNOWN = "VRFY postmaster", "XPROBE"


def test_a_model_host_is_asked_each_thing_once() -> None:
    assert walk({}) == [HELO, "NoOp", MAIL, POSTMASTER, LONG, "RSET", VRFY, UNKNOWN, "QUIT"]


def test_what_a_refusal_was_about_is_asked_again() -> None:
    said = walk({"NoOp": "500 what?"})
    assert said == [HELO, "NoOp", "NOOP", MAIL, POSTMASTER, LONG, "RSET", VRFY, UNKNOWN, "QUIT"]
    said = walk({POSTMASTER: "550 no such user"})
    assert said[3:6] == [POSTMASTER, POSTMASTER_AGAIN, LONG]


def test_second_looks_take_the_place_of_lesser_ones() -> None:
    said = walk({"NoOp": "500 what?", POSTMASTER: "550 no"})
    assert LONG not in said
    assert len(said) == MAX_COMMANDS
    said = walk({HELO: "502 no", "NoOp": "500 what?", POSTMASTER: "550 no"})
    assert said[:2] == [HELO, "EHLO probe.example.net"]
    assert VRFY not in said
    assert len(said) == MAX_COMMANDS


def test_without_a_sender_no_recipient_is_named() -> None:
    assert walk({MAIL: "550 no bounces"}) == [HELO, "NoOp", MAIL, "RSET", VRFY, UNKNOWN, "QUIT"]


@pytest.mark.parametrize("banner", ["554 go away", "421 later", "hello", "199 odd"])
def test_who_does_not_greet_is_asked_nothing(banner: str) -> None:
    assert walk({"": banner}) == ["QUIT"]


@pytest.mark.parametrize("answer", ["421 later", "what?", "650 odd"])
def test_who_says_goodbye_or_is_not_understood_is_asked_nothing_more(answer: str) -> None:
    assert walk({POSTMASTER: answer}) == [HELO, "NoOp", MAIL, POSTMASTER, "QUIT"]


def test_who_takes_neither_greeting_is_left() -> None:
    assert walk({HELO: "502 no", "EHLO probe.example.net": "502 no"}) == [
        HELO,
        "EHLO probe.example.net",
        "QUIT",
    ]
    assert walk({HELO: "450 later"}) == [HELO, "QUIT"]


def test_a_deferred_postmaster_is_not_asked_again() -> None:
    assert POSTMASTER_AGAIN not in walk({POSTMASTER: "450 greylisted"})


@given(st.lists(st.sampled_from(["250 a", "450 b", "500 c", "550 d", "421 e", "x", "354 f"]), max_size=20))
def test_never_more_than_ten_commands_and_quit_at_the_end(answers: list[str]) -> None:
    script = AuditScript(PLAN, None)
    stage: Stage | None = script.follows(Stage.BANNER, make.reply("220 mx"))
    given_answers = iter(answers)
    said = []
    while stage is not None:
        said.append(stage)
        stage = script.follows(stage, make.reply(next(given_answers, "250 ok")))
    assert len(said) <= MAX_COMMANDS
    assert said[-1] is Stage.QUIT
    assert said.count(Stage.QUIT) == 1
    assert len(set(said)) == len(said)


def test_there_is_no_data_and_the_long_local_part_is_legal() -> None:
    assert not any(command.startswith("DATA") for command in COMMANDS.values())
    assert len(LONG_LOCAL_PART) == 64  # RFC 5321 4.5.3.1.1


def test_who_answered_mail_is_audited_in_clear_and_with_the_null_sender() -> None:
    session = make.session(make.exchange(Stage.MAIL, MAIL, "550 no"))
    plan = audit(PLAN, (session,))
    assert plan is not None
    assert plan.purpose is Purpose.AUDIT
    assert (plan.mail_from, plan.random_rcpt, plan.offer_tls) == ("", None, False)
    assert plan.reply_timeout == REPLY_TIMEOUT


def test_who_did_not_hear_us_out_is_not_audited() -> None:
    silent = make.session(make.exchange(Stage.MAIL, MAIL, outcome=ExchangeOutcome.TIMEOUT))
    refused = make.session(make.exchange(Stage.BANNER, None, "554 no"))
    assert audit(PLAN, (silent, refused)) is None
