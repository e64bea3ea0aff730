"""Whether the replies of a session can be told apart, and stand beside the commands that they answer.

Replies are paired with commands by order alone (`conversation`), so one reply too many shifts all that follow. What
shows it is how the session ended.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from probe.core.model import Stage

if TYPE_CHECKING:
    from probe.core.model import Exchange, Session

_EXTRA, _QUIT = Stage.EXTRA, Stage.QUIT  # by the class, each access costs 0.1 us (Python 3.11)
_TRANSACTION = frozenset(
    {Stage.MAIL, Stage.RCPT, Stage.MAIL_REAL, Stage.RCPT_REAL, Stage.MAIL_AGAIN, Stage.RCPT_RANDOM}
)


def in_step(session: Session) -> bool | None:
    """Tell whether every reply belongs to the command it stands beside; None when nothing shows it.

    False: QUIT was answered as QUIT never is, or answered twice, so at least one earlier answer came a
    command too late; or two replies of different class stood together where one was asked for (a command
    generates exactly one, RFC 5321 4.2), so which of them is the answer is a guess. True: QUIT was answered
    by 221 and nothing else came. Extra replies of the same class that were put aside in time, and a 421,
    which may come unasked (RFC 5321 3.8), before QUIT or in answer to it, take nothing away from that.
    None: no 221, and nothing amiss.
    """
    answered: Exchange | None = None
    for exchange in session.exchanges:
        if exchange.stage is not _EXTRA:
            answered = exchange
        elif answered is not None and _contests(exchange, answered):
            return False
    if answered is None or answered.stage is not _QUIT or answered.reply is None:
        return None
    code = answered.reply.code
    if code is None or code // 100 == 2 or code == 421:
        return True if code == 221 else None
    return False


def _contests(extra: Exchange, answered: Exchange) -> bool:
    """Whether an unsolicited reply may be the true answer to the command before it."""
    code = extra.reply.code if extra.reply is not None else None
    if code is None:
        return False
    if answered.stage is Stage.QUIT:
        return True
    if answered.stage not in _TRANSACTION or answered.reply is None or answered.reply.code is None:
        return False
    return code != 421 and code // 100 != answered.reply.code // 100
