"""What a connection said when it was to go on to one more address, and did not. Pure.

That address was not asked, so no session tells of it; but what the host said to its RSET or MAIL is on the tape of the
last one that was.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from probe.core.model import Direction
from probe.core.politeness import Displeasure, Sign

if TYPE_CHECKING:
    from probe.core.model import Session


def after_reset(session: Session) -> str:
    """Give what came after the last RSET of a session; "" where nothing did."""
    heard: list[str] = []
    for entry in reversed(session.tape):
        if entry.direction is Direction.RECEIVED:
            heard.append(entry.data)
        elif entry.direction is Direction.SENT and entry.data.startswith("RSET"):
            break
        elif entry.direction is Direction.SENT:
            heard.clear()  # it answers another command
    return "".join(reversed(heard))


def went_out_of_step(session: Session) -> bool:
    """Whether RSET was refused: RFC 5321 4.1.1.5 allows no other answer than 250, so it is that to something else."""
    return after_reset(session)[:1] in {"4", "5"} and not after_reset(session).startswith("421")


def displeased_by_the_next(session: Session) -> Displeasure:
    """Say what the host meant by not hearing one more address over the connection of this session."""
    return Displeasure(Sign.RATE if after_reset(session).startswith("421") else Sign.LATER)
