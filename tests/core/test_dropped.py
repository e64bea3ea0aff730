"""What the end of a connection of several addresses shows."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from probe.core.dropped import cannot_go_on, is_shifted
from probe.core.model import Direction, ExchangeOutcome, Session, Stage, Tape
from tests.support import make

SENT, RECEIVED = Direction.SENT, Direction.RECEIVED


def left_with(*answer: str, code_of: Stage = Stage.QUIT) -> Session:
    """Make a session whose last command was answered so; not at all without words."""
    outcome = ExchangeOutcome.REPLY if answer else ExchangeOutcome.CLOSED
    last = make.exchange(code_of, "QUIT", *answer, sent=0.5, ended=0.6, outcome=outcome)
    return make.session(*make.conversation("250 2.1.5 Ok"), last)


def after(session: Session, *said: str) -> Session:
    """Let RSET stand at the end of the tape, with what was said to it."""
    tape = [Tape(1.0, 1.0, SENT, "RSET\r\n"), *(Tape(1.1, 1.1, RECEIVED, text) for text in said)]
    return replace(session, tape=(*session.tape, *tape))


@pytest.mark.parametrize(
    ("session", "shifted"),
    [
        (left_with("221 2.0.0 Bye"), False),
        (left_with("421 4.3.2 Shutting down"), True),
        (left_with(), False),
        (left_with("250 2.0.0 Ok"), True),
        (left_with("250 2.1.5 Ok"), True),
        (left_with("550 5.1.1 User unknown"), True),
        (after(left_with("221 2.0.0 Bye"), "250 Ok\r\n"), False),
        (after(left_with(), "421 Too many\r\n"), False),
        (after(left_with("221 2.0.0 Bye"), "550 5.1.1 User unknown\r\n"), True),
    ],
)
def test_answers_that_came_a_command_late(session: Session, shifted: bool) -> None:
    assert is_shifted(session) is shifted


def test_who_fails_at_the_first_address_behind_the_first_cannot_go_on() -> None:
    fine = left_with("221 2.0.0 Bye")
    silent = make.session(
        *make.conversation("250 Ok")[:3],
        make.exchange(Stage.RCPT, "RCPT TO:<u@example.com>", outcome=ExchangeOutcome.TIMEOUT),
    )
    assert cannot_go_on([after(fine)], dropped=True)
    assert cannot_go_on([after(fine, "250 Ok\r\n")], dropped=True)
    assert not cannot_go_on([after(fine, "421 Too many\r\n")], dropped=True)
    assert not cannot_go_on([fine, fine], dropped=True)
    assert cannot_go_on([fine, silent], dropped=False)
    assert not cannot_go_on([fine, left_with()], dropped=False)  # it hung up at QUIT, which is no failure
    assert not cannot_go_on([fine, fine, silent], dropped=False)
    assert not cannot_go_on([fine], dropped=False)
