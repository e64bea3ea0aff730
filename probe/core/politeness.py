"""When a mail host may be called again, and what counts as its displeasure. Pure: the time is an argument.

Of each mail host address a slate is kept. `ask` reads it, `take` notes a connection that begins, `give_back` one
that has ended. Whoever keeps the slates (`probe.net.ledger`) brings one to the clock of now (`settle`), asks and takes
in one step, so that nobody comes between. Four things hold back: the gap since the last connection, a back-off after
displeasure, the connections that are open, and the budget of the day.

A back-off begins with `FIRST` seconds, doubles with each displeasure in a row and ends at `LONGEST`; a host that
limits our rate and names a longer time gets what it asks for. After `GIVEN_UP` in a row the host is left alone for
the rest of the day. A conversation that contented it ends the row, and never shortens a back-off.

The clock is the wall clock, because the slates outlive a process and a boot. When it is set back, a slate was
written in the future: what was to come is then as far away as it was when that was written, at most.
"""

from __future__ import annotations

import math
from enum import StrEnum
from typing import TYPE_CHECKING

from msgspec import Struct

from probe.core import phrases
from probe.core.model import About, ConnectOutcome, ExchangeOutcome, Stage
from probe.core.reply import enhanced_code

if TYPE_CHECKING:
    from probe.core.model import Exchange, Session

DAY = 86400.0
"""Seconds of the day of the budget; it begins at midnight UTC."""
GIVEN_UP = 6
"""Displeasures in a row after which a host is not asked again that day."""
RECHECK = 0.5
"""Seconds after which to ask again where others have to give back first, and nobody knows when they will."""


class Limits(Struct, frozen=True):
    """What we allow ourselves.

    Connections at once to one host address (`per_host`) and to all hosts of a provider (`per_provider`), seconds
    between the beginnings of two connections to one host address (`gap`), and connections to it in a day.
    """

    per_host: int = 2
    gap: float = 0.5
    per_provider: int = 10
    per_day: int = 1000


class Sign(StrEnum):
    """How a host said that it has had enough of us for now."""

    RATE = "rate"
    LATER = "later"
    STRANGER = "stranger"
    """Greylisted, as every stranger is once: it holds for one sender and one recipient, so it does not add up."""


FIRST = {Sign.RATE: 60.0, Sign.LATER: 5.0, Sign.STRANGER: 5.0}
"""Seconds of back-off after the first displeasure."""
LONGEST = {Sign.RATE: 3600.0, Sign.LATER: 60.0, Sign.STRANGER: 5.0}
"""Seconds of back-off at most, unless the host names more."""


class Displeasure(Struct, frozen=True):
    """A sign of displeasure. `delay` is the seconds that the host asked us to wait, 0.0 where it named no time."""

    sign: Sign
    delay: float = 0.0


class Slate(Struct, frozen=True):
    """What is remembered of one mail host address. Times are epoch seconds.

    `open` are the connections that stand, `next_start` is the earliest beginning of the next one, `held_until` the
    end of the back-off, `in_a_row` the displeasures without a contented conversation between them, `used` the
    connections begun on the UTC day of number `day`, and `written` when all this was noted.
    """

    open: int = 0
    next_start: float = 0.0
    held_until: float = 0.0
    in_a_row: int = 0
    day: int = 0
    used: int = 0
    written: float = 0.0


# --- turns -----------------------------------------------------------------------------------------


def settle(slate: Slate, now: float) -> Slate:
    """Read a slate by the clock of now: on a new day the budget is whole, and who was given up gets a chance.

    One that was written in the future has to be written anew like this: read later, it would be as far ahead again.
    """
    today = int(now // DAY)
    if slate.written <= now and slate.day == today:
        return slate  # nothing has changed but the time, which whoever writes notes
    ahead = max(slate.written - now, 0.0)  # by so much was the clock set back
    same = slate.day >= today
    return Slate(
        open=slate.open,
        next_start=slate.next_start - ahead,
        held_until=slate.held_until - ahead,
        in_a_row=slate.in_a_row if same or slate.in_a_row < GIVEN_UP else 0,
        day=today,
        used=slate.used if same else 0,
        written=now,
    )


def ask(slate: Slate, provider_open: int, limits: Limits, now: float) -> float:
    """Say whether to connect: 0.0 now; else epoch seconds of when to ask again; `inf` not today.

    `provider_open` counts the connections to all hosts of the provider.
    """
    slate = settle(slate, now)
    if slate.in_a_row >= GIVEN_UP or slate.used >= limits.per_day:
        return math.inf
    earliest = max(slate.next_start, slate.held_until)
    if now < earliest:
        return earliest
    if slate.open >= limits.per_host or provider_open >= limits.per_provider:
        return now + max(limits.gap, RECHECK)
    return 0.0


def take(slate: Slate, limits: Limits, now: float) -> Slate:
    """Note a connection that begins now."""
    slate = settle(slate, now)
    return Slate(
        slate.open + 1,
        now + limits.gap,
        slate.held_until,
        slate.in_a_row,
        slate.day,
        slate.used + 1,
        now,
    )


def give_back(slate: Slate, now: float, displeasure: Displeasure | None) -> Slate:
    """Note that a connection has ended, and how the host took it."""
    slate = settle(slate, now)
    left = max(slate.open - 1, 0)
    if displeasure is None:
        return Slate(left, slate.next_start, slate.held_until, 0, slate.day, slate.used, now)
    sign = displeasure.sign
    doubled = FIRST[sign] * 2.0 ** min(slate.in_a_row, 2 * GIVEN_UP)  # a bound, against overflow alone
    hold = min(doubled, LONGEST[sign])
    if sign is Sign.RATE:
        hold = max(hold, displeasure.delay)
    in_a_row = slate.in_a_row + (sign is not Sign.STRANGER)
    held_until = max(slate.held_until, now + hold)
    return Slate(left, slate.next_start, held_until, in_a_row, slate.day, slate.used, now)


# --- displeasure -----------------------------------------------------------------------------------

_TURNED_AWAY = frozenset({ConnectOutcome.REFUSED, ConnectOutcome.RESET})
_HUNG_UP = frozenset({ExchangeOutcome.CLOSED, ExchangeOutcome.RESET})


def displeased(session: Session) -> Displeasure | None:
    """Read in a finished session whether the host has had enough of us; None if it was content.

    421 (RFC 5321 3.8, 4.2.3: it closes the channel) at whatever stage, and a refusal that is read as a rate limit,
    are `RATE`, with the longest time that such a reply names. Any other 4xx, and a connection that is refused or
    dropped before QUIT, are `LATER`, where it is not greylisting, which is `STRANGER`. Content is also the host that
    says by a 4xx something of the mailbox (full, not known for now) or of its own TLS, and the one that refuses a
    mailbox or us for good: waiting changes nothing there. Silence is no displeasure either: whoever is silent is
    not asked so often.
    """
    if session.connect.outcome in _TURNED_AWAY:
        return Displeasure(Sign.LATER)
    signs, delays = set(), []
    for exchange in session.exchanges:
        if exchange.outcome in _HUNG_UP and exchange.stage is not Stage.QUIT:
            signs.add(Sign.LATER)
        code = exchange.reply.code if exchange.reply is not None else None
        if code is None or not 400 <= code < 600:
            continue
        sign, delay = _sign(exchange, session)
        if sign is not None:
            signs.add(sign)
        if sign is Sign.RATE:
            delays.append(delay)
    if delays:
        return Displeasure(Sign.RATE, max(delays))
    return next((Displeasure(sign) for sign in (Sign.LATER, Sign.STRANGER) if sign in signs), None)


def _sign(exchange: Exchange, session: Session) -> tuple[Sign | None, float]:
    """Read a refusal, and the seconds to wait that it names."""
    reply = exchange.reply
    if reply is None or reply.code is None:
        return None, 0.0
    if reply.code >= 500 and (enhanced_code(reply) or "").startswith("5.1."):
        # The refusal that is met most, of an address (RFC 3463 3.2), is not worth reading twice.
        return None, 0.0
    reading = phrases.read(reply, exchange.stage, _ours(session))
    if reply.code == 421 or reading.about is About.RATE:
        return Sign.RATE, reading.delay or 0.0
    if reply.code >= 500 or reading.about in phrases.ABOUT_MAILBOX or exchange.stage is Stage.STARTTLS:
        return None, 0.0
    return (Sign.STRANGER if reading.about is About.GREYLIST else Sign.LATER), 0.0


def _ours(session: Session) -> tuple[str, ...]:
    """Give our address and HELO name, in lower case, as the words by which a text names us."""
    greetings = (e.command for e in session.exchanges if e.stage in {Stage.EHLO, Stage.HELO} and e.command)
    names = [session.connect.local_ip, *(greeting.partition(" ")[2] for greeting in greetings)]
    return tuple(dict.fromkeys(name.lower() for name in names if name))
