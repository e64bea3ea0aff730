"""What a connection of several addresses said when it was to go on to one more, and when it was left. Pure.

An address that was not asked after all has no session; but what the host said to its RSET or MAIL is on the tape of the
last one that was.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from probe.core.model import Direction, ExchangeOutcome, Stage
from probe.core.politeness import Displeasure, Sign
from probe.core.step import in_step

if TYPE_CHECKING:
    from collections.abc import Sequence

    from probe.core.model import Session

_UNANSWERED = frozenset({ExchangeOutcome.TIMEOUT, ExchangeOutcome.CLOSED, ExchangeOutcome.RESET})


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


def is_shifted(session: Session) -> bool:
    """Whether the last session of a connection shows that answers may belong to other commands than they stand beside.

    RSET was refused: RFC 5321 4.1.1.5 allows no other answer than 250, so it is that to something else. Or QUIT had an
    answer, and that was not 221: of one address that may be a habit, behind commands in one write it is more likely the
    answer to one of these.
    """
    said = after_reset(session)
    if said[:1] in {"4", "5"} and not said.startswith("421"):
        return True
    goodbye = next((each.reply for each in session.exchanges if each.stage is Stage.QUIT), None)
    return in_step(session) is False or (goodbye is not None and goodbye.code != 221)


def is_proven(session: Session) -> bool:
    """Whether the end of a connection shows that the answers over it belong to their questions: QUIT had a 221."""
    return in_step(session) is True


def closed_politely(session: Session) -> bool:
    """Whether the connection of a last session ended by a 421, which may come at any time (RFC 5321 3.8)."""
    said = next((each.reply for each in reversed(session.exchanges) if each.reply is not None), None)
    return (said is not None and said.code == 421) or after_reset(session).startswith("421")


def cannot_go_on(sessions: Sequence[Session], *, dropped: bool) -> bool:
    """Whether a host failed at the first address behind the first, of which these are the sessions (three suffice).

    Some offer PIPELINING, or have it offered in their name by a firewall in front of them, and lose a command that
    comes with others; some serve one transaction. Each further attempt would cost a time-out. 421 is no such sign.
    """
    if dropped:
        return len(sessions) == 1 and not after_reset(sessions[0]).startswith("421")
    if len(sessions) != 2:
        return False
    return any(each.outcome in _UNANSWERED and each.stage is not Stage.QUIT for each in sessions[1].exchanges)


def displeased_by_the_next(session: Session) -> Displeasure:
    """Say what the host meant by not hearing one more address over the connection of this session."""
    return Displeasure(Sign.RATE if after_reset(session).startswith("421") else Sign.LATER)
