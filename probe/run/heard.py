"""What a connection tells of each address that was asked over it, once it has ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from probe.core import phrases
from probe.core.address import is_role
from probe.core.dropped import cannot_go_on, closed_politely, displeased_by_the_next, is_proven, is_shifted
from probe.core.everybody import for_everybody
from probe.core.fold import cause_of
from probe.core.model import AddressForm, Cause, ConnectOutcome, Direction, ExchangeOutcome, Stage, Tape
from probe.core.politeness import Displeasure, Sign, displeased

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from probe.core.model import Canary, HostEvidence, Options, Session
    from probe.run.agenda import Asked

SETTLED = frozenset({Cause.SENDER_EXISTS, Cause.MISSING_SENDER})
"""The causes that leave nothing to ask."""
_WITNESS = "an address that had been taken was asked for once more, and taken"


class Heard(Struct):
    """What a visit heard about one address.

    `broken` says that it has to be asked again: it may be so only because others were asked before it over the same
    connection, or the host has told us to come more slowly. `unvouched`: nobody was taken behind it.
    """

    asked: Asked
    host: HostEvidence
    cut_short: bool = False
    broken: bool = False
    unvouched: bool = False


class Visit(Struct):
    """What came of a visit. `unasked` are the addresses that it did not come to; `canary` was called beside it.

    `for_all` is the host as every address meets it, where the visit came to an end before any address was named:
    nobody can connect, nobody is greeted, the null sender is taken from nobody. `out_of_step`: the host cannot be asked
    about several addresses over one connection. `vouched`: whether the control was taken; None where it was not
    answered, or not asked.
    """

    heard: list[Heard]
    unasked: list[Asked]
    displeased: Displeasure | None
    for_all: HostEvidence | None
    canary: Canary | None
    out_of_step: bool = False
    vouched: bool | None = None


def hear(
    asked: Sequence[Asked],
    told: Sequence[tuple[Session, ...]],
    host_of: Callable[..., HostEvidence],
    options: Options,
    *,
    dropped: bool,
    half: bool,
    cut_short: bool,
    control: Session | None = None,
    controls: bool = False,
    canary: Canary | None = None,
) -> Visit:
    """Sort what was `told` of the first of the addresses that were to be asked: the sessions of each.

    `host_of` makes the evidence of the host from such sessions. `dropped`: the connection was to go on to one more
    address, and did not; `half`: one that would tell more could not be made in time. `controls`: behind them came the
    question about an address that the host had taken before, and `control` is what was heard of that.
    """
    last = len(told) - 1
    final = told[-1][-1]
    several = last > 0 or controls
    shifted = (dropped or several) and is_shifted(final)
    # Behind a handshake that failed the others were asked over a second connection.
    end = final if len(told[0]) > 1 else told[-1][0]
    proven = not several or is_proven(end)
    unproven = not proven and not closed_politely(end)
    vouched = None if control is None or shifted or unproven else _vouches(control)
    witness = control if vouched else None
    tail = _tail(asked, told)
    signs = [displeased(session) for session in told[-1]]
    rate = any(sign is not None and sign.sign is Sign.RATE for sign in signs)
    if controls and not vouched:
        signs.append(_at_the_control(control, vouched=vouched))
    elif dropped:
        signs.append(displeased_by_the_next(final))
    judged: dict[tuple[object, ...], bool] = {}
    heard = []
    for number, sessions in enumerate(told):
        if witness is not None and number > last - tail:
            host = host_of(*_vouched_for(sessions, witness))
        else:
            host = host_of(*sessions)
        broken = shifted or (number == last and half)
        broken = broken or ((last > 0 or rate) and _is_unsettled(sessions[-1], host, options, judged))
        if number and not proven:
            # Replies that come late stand beside the questions of others, up to a whole transaction too early.
            broken = broken or unproven or not accepted(sessions[-1])
        unvouched = number > last - tail and not vouched
        heard.append(Heard(asked[number], host, cut_short and number == last, broken, unvouched))
    if tail and several and not vouched:
        _doubt(heard[-tail:], alone=tail == len(heard) and not controls, first=heard[0])
    return Visit(
        heard=heard,
        unasked=list(asked[len(told) :]),
        displeased=max(filter(None, signs), key=_weight, default=None),
        for_all=None if half or last else _for_all(heard[0], options, cut_short=cut_short),
        canary=canary,
        out_of_step=shifted
        or vouched is False
        or (last > 0 and unproven and not cut_short)
        or (not cut_short and cannot_go_on([each[-1] for each in told[:3]], dropped=dropped)),
        vouched=vouched,
    )


def _tail(asked: Sequence[Asked], told: Sequence[tuple[Session, ...]]) -> int:
    """Count the addresses at the end of a connection behind which none was taken that vouches for anything."""
    for behind, sessions in enumerate(reversed(told)):
        if accepted(sessions[-1]) and not is_role(asked[len(told) - 1 - behind].address.mailbox):
            return behind
    return len(told)


def _doubt(tail: list[Heard], *, alone: bool, first: Heard) -> None:
    """Mark the refusals at the end of a connection for which nothing vouches.

    Some hosts refuse whoever comes after too many, or everybody once they take us for a harvester, in the words of an
    unknown user. What was taken behind a refusal vouches for it, and so does the control. Where nobody was taken
    (`alone`), the `first` is as good as one that is asked alone.
    """
    for one in tail:
        if not accepted(one.host.sessions[-1]):
            one.broken = one.broken or not alone or one is not first


def _vouched_for(sessions: tuple[Session, ...], control: Session) -> tuple[Session, ...]:
    """Say on the tape of an address that one which had been taken before was taken again behind it."""
    session = sessions[-1]
    tape = session.tape
    at = next(exchange.ended for exchange in control.exchanges if exchange.stage is Stage.RCPT)
    note = Tape(at, at, Direction.NOTE, _WITNESS, tape[-1].secure)
    # What follows it is the farewell, or what else ended the connection.
    later = (n for n, entry in enumerate(tape) if entry.t >= at and entry.direction is not Direction.RECEIVED)
    place = next(later, len(tape))
    return (*sessions[:-1], replace(session, tape=(*tape[:place], note, *tape[place:])))


def _vouches(control: Session) -> bool | None:
    """Whether an address that had been taken was taken again; None where it was refused in other words than unknown.

    Who says that we ask too many is honest, and what he said of those before may be so too: they are asked again alone.
    """
    if accepted(control):
        return True
    reply = next((exchange.reply for exchange in control.exchanges if exchange.stage is Stage.RCPT), None)
    if reply is None or reply.code is None or reply.code < 500:
        return None
    return False if phrases.read(reply, Stage.RCPT).about in phrases.ABOUT_MAILBOX else None


def _at_the_control(control: Session | None, *, vouched: bool | None) -> Displeasure:
    """Say how long a host is left alone that did not take the control again.

    To be asked for it was our wish and not the host's fault, so this does not add up; but what it asks for it gets, and
    one that does not stand by what it said is no better than displeased.
    """
    sign = displeased(control) if control is not None else None
    if sign is not None and sign.delay:
        return sign
    return Displeasure(Sign.LATER if vouched is False else Sign.STRANGER)


def _is_unsettled(
    session: Session, host: HostEvidence, options: Options, judged: dict[tuple[object, ...], bool]
) -> bool:
    """Whether the answer to one of several addresses settles nothing.

    The rules are asked once for the same words: they cost more than the whole conversation about an address.
    """
    said = _said(session) if len(host.sessions) == 1 else None
    unsettled = None if said is None else judged.get(said)
    if unsettled is None:
        unsettled = cause_of(host, options) not in SETTLED
        if said is not None:
            judged[said] = unsettled
    return unsettled


def _for_all(first: Heard, options: Options, *, cut_short: bool) -> HostEvidence | None:
    if AddressForm.UTF8 in first.asked.address.forms:
        return None
    if cut_short and first.host.sessions[0].connect.outcome is ConnectOutcome.CONNECTED:
        return None  # what was cut off may have been about this address
    return for_everybody(first.host, options)


def _weight(displeasure: Displeasure) -> tuple[bool, float]:
    return displeasure.sign is Sign.RATE, displeasure.delay


def accepted(session: Session) -> bool:
    """Whether the address was taken."""
    for exchange in session.exchanges:
        if exchange.stage is Stage.RCPT:
            reply = exchange.reply
            return reply is not None and reply.code is not None and reply.code // 100 == 2
    return False


def leaves_nothing_open(session: Session) -> bool:
    """Whether the address was taken over a sound connection: then nothing ever follows, and most end like this."""
    sound = session.tls is None or session.tls.ok
    return sound and accepted(session) and session.exchanges[-1].outcome is ExchangeOutcome.REPLY


def _said(session: Session) -> tuple[object, ...] | None:
    """Give what the rules look at in one of the conversations over a connection; None where it may be more."""
    said: list[object] = []
    for exchange in session.exchanges:
        reply = exchange.reply
        if reply is None or reply.oddities or exchange.outcome is not ExchangeOutcome.REPLY:
            return None
        said += (exchange.stage, reply.lines)
    return tuple(said)
