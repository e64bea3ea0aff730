"""How Exim reads what a mail host answers (smtp_out.c, smtp_read_response), from our recording of it.

A line must begin with three digits and then a space, a hyphen or nothing; only the first digit of the first
line counts; a reply has 4 KiB; and one time limit covers it whole. Whole lines that had come when the connection
closed still count, so half a refusal is a refusal.
"""

from __future__ import annotations

import re
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING

from msgspec import Struct

from probe.core.model import Direction, ExchangeOutcome, Oddity, Stage

if TYPE_CHECKING:
    from probe.core.model import Exchange, Session

BUFFER = 4096
"""Octets of Exim's buffer for one reply; three of them stay free (read_response_line)."""
_SPACE = " \t\n\v\f\r"
# In C a NUL ends the line that was read.
_LINE = re.compile(r"\d{3}(?:[- \0]|$)", re.ASCII)


class Fate(StrEnum):
    """How Exim's wait for one reply ended."""

    POSITIVE = "positive"
    REFUSED = "refused"
    OTHER = "other"
    MALFORMED = "malformed"
    TIMEOUT = "timeout"
    CLOSED = "closed"
    RESET = "reset"
    UNTOLD = "untold"


class Heard(Struct, frozen=True):
    """One reply as Exim has it: `text` is its buffer, lines joined by LF; `seconds` what the wait took.

    `OTHER` is any reply that neither accepts nor refuses for good. `late` says that the reply did come, after
    Exim had given up; `early` that we gave up before Exim would have.
    """

    fate: Fate
    text: str = ""
    seconds: float = 0.0
    late: bool = False
    early: bool = False


UNTOLD = Heard(Fate.UNTOLD)
_UNTOLD = frozenset({ExchangeOutcome.CUT_SHORT, ExchangeOutcome.TLS_FAILED})
_FATES = {"2": Fate.POSITIVE, "5": Fate.REFUSED}
_OTHER, _EXTRA, _REPLY = Fate.OTHER, Stage.EXTRA, ExchangeOutcome.REPLY
"""Looked at for each exchange: by the class, each access costs 0.1 us (Python 3.11)."""


def hear(exchange: Exchange | None, session: Session, patience: float, room: int = BUFFER) -> Heard:
    """Read one exchange as Exim would that waits `patience` seconds for the whole reply and has `room` for it."""
    if exchange is None or exchange.outcome in _UNTOLD:
        return UNTOLD
    reply = exchange.reply
    lapse = max(0.0, (reply.ended if reply is not None else exchange.ended) - exchange.sent)
    if reply is not None and not reply.oddities and exchange.outcome is _REPLY:
        rows, end = reply.lines, "\r"
    else:
        bare = reply is not None and Oddity.BARE_LF in reply.oddities
        rows, end = _rows(exchange, session), "" if bare else "\r"
    whole, text = _buffer(rows, end, room)
    if whole and lapse <= patience:
        return Heard(_FATES.get(text[:1], _OTHER), text, lapse)
    if exchange.outcome is ExchangeOutcome.TIMEOUT and whole is None:
        return Heard(Fate.TIMEOUT, seconds=patience, early=lapse < patience - 0.5)
    if whole is False and exchange.outcome is not ExchangeOutcome.REPLY:
        return Heard(Fate.MALFORMED, text)  # a line that we went on from, at a time that is not known
    if lapse > patience:
        return Heard(Fate.TIMEOUT, seconds=patience, late=True)
    if whole is False:
        return Heard(Fate.MALFORMED, text, lapse)
    if exchange.outcome is ExchangeOutcome.CLOSED:
        # Lines that were complete are still in the buffer, and no errno says that the reply is not.
        fate = Fate.CLOSED if not text else Fate.REFUSED if text[0] == "5" else Fate.OTHER
        return Heard(fate, text, lapse)
    if exchange.outcome is ExchangeOutcome.RESET:
        return Heard(Fate.RESET, text, lapse)
    return Heard(Fate.MALFORMED, text)  # a flood: more of it fills Exim's buffer too


def _rows(exchange: Exchange, session: Session) -> tuple[str, ...]:
    """Give the lines of a reply, without the last where that never came to its end; the tape tells."""
    reply = exchange.reply
    if reply is None:
        return ()
    if exchange.outcome is ExchangeOutcome.OVERFLOW:
        return _flood(session) or reply.lines
    if Oddity.UNTERMINATED not in reply.oddities:
        return reply.lines
    received = [entry.data for entry in session.tape if entry.direction is Direction.RECEIVED]
    ended = received[-1].endswith("\n") if received else reply.lines[-1][3:4] == "-"
    return reply.lines if ended else reply.lines[:-1]


def _flood(session: Session) -> tuple[str, ...]:
    """Give the lines of a reply without end from the tape, which has more of them than we read."""
    flood: list[str] = []
    for entry in reversed(session.tape):
        if entry.direction is Direction.SENT:
            break
        if entry.direction is Direction.RECEIVED:
            flood.append(entry.data)
    return tuple(line.removesuffix("\r") for line in "".join(reversed(flood))[: 2 * BUFFER].split("\n"))


def _buffer(rows: tuple[str, ...], end: str, room: int) -> tuple[bool | None, str]:
    """Fill the buffer: True for a whole reply, False for a malformed one, None where more had to come.

    `end` is what stood before the LF of each line, which takes room too.
    """
    text = ""
    for line in rows:
        if len(line) + len(end) >= room - 3:
            return False, _c_string(text + (line + end)[: room - 3])
        row = line.rstrip(_SPACE)
        if not _LINE.match(row):
            return False, _c_string(text + row)
        text += row
        if row[3:4] != "-":
            return True, _c_string(text)
        text += "\n"
        room -= len(row) + 1
    return None, _c_string(text)


def _c_string(text: str) -> str:
    return text.partition("\0")[0]


_HEARD = frozenset(
    {Stage.BANNER, Stage.EHLO, Stage.HELO, Stage.STARTTLS, Stage.MAIL, Stage.RCPT, Stage.EXTRA, Stage.QUIT}
)
"""Stages whose replies Exim may take for its own; the second try and the random mailbox are ours alone."""


class Replies:
    """The exchanges of a session in the order in which Exim takes their replies.

    Each command has its own, unless the host answered more than it was asked (`shifted`): then the next reply is
    simply the next that came. `over` says that the host has hung up, although its last words count.
    """

    def __init__(self, session: Session) -> None:
        # What was left of a reply when the connection ended is no reply to anything.
        self._left = [
            item
            for item in session.exchanges
            if item.stage in _HEARD and (item.stage is not _EXTRA or item.outcome is _REPLY)
        ]
        self.shifted = _EXTRA in [item.stage for item in self._left]
        self.over = False

    def has(self, stage: Stage) -> bool:
        """Whether an exchange of this stage is still to come."""
        return stage in [item.stage for item in self._left]

    def next(self, stage: Stage) -> Exchange | None:
        """Take the exchange that answers the command of this stage."""
        if not self.shifted:
            while self._left and self._left[0].stage is not stage:
                del self._left[0]
        item = self._left.pop(0) if self._left else None
        self.over = item is not None and item.outcome is ExchangeOutcome.CLOSED
        return item

    @property
    def ahead(self) -> bool:
        """Whether the next reply was there before anything asked for it."""
        return bool(self._left) and self._left[0].stage is _EXTRA

    @property
    def left_at_once(self) -> bool:
        """Whether the host hung up where we said QUIT, so that it would have on any other command."""
        item = self._left[0] if self._left else None
        gone = {ExchangeOutcome.CLOSED, ExchangeOutcome.RESET}
        return item is not None and item.stage is Stage.QUIT and item.reply is None and item.outcome in gone


def room_after(ehlo: str) -> int:
    """Say how much room the reply to HELO has: a short one to EHLO stays in the buffer before it."""
    return BUFFER if len(ehlo) >= BUFFER // 2 else BUFFER - len(ehlo) - 1


def after_helo(ehlo: str, helo: str) -> str:
    """Give the buffer after HELO was refused where EHLO had been: the new text over the old one.

    Exim 4.89 to 4.96 keeps both in one buffer and moves the second to the front without its terminating NUL,
    so that the rest of what stood there is read on (seen in its log and in what the relay is told).
    """
    if room_after(ehlo) == BUFFER:
        return helo
    return (helo + f"{ehlo}\0{helo}\0"[len(helo) :]).partition("\0")[0]


_ESCAPES = {"\n": r"\n", "\r": r"\r", "\b": r"\b", "\v": r"\v", "\f": r"\f"}


def printing(text: str) -> str:
    """Write a reply as Exim's log does (string_printing): one line, and bytes it cannot show in octal."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if " " <= c <= "~" or c == "\t" else _ESCAPES.get(c) or f"\\{ord(c):03o}" for c in text)


def offers(text: str, keyword: str) -> bool:
    """Whether a reply to EHLO offers an extension: a line of its own, code 250, letter for letter."""
    return keyword in text and _line_of(keyword).search(text) is not None


@cache  # for three keywords
def _line_of(keyword: str) -> re.Pattern[str]:
    return re.compile(rf"\n250[\s-]{keyword}(?:\s|$)")
