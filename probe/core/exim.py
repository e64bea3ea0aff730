"""What Exim does with mail from this sender now, where it verifies senders by a callout (verify.c, do_callout).

It walks the hosts in order. The first 5xx at any stage ends it as a failure, also when the next host would
accept; a 4xx, a time-out or a broken connection moves on; a 2xx to RCPT accepts. It starts no further host
once `maxwait`, four times the callout time, has passed, so four dead hosts of 30 s end it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from probe.core.facts import Ended, Facts, Got
from probe.core.heard import SLOW, Way, asked, is_untold, way_of
from probe.core.model import MtaOutcome, MtaView, Oddity, Reply, Session, Stage

if TYPE_CHECKING:
    from probe.core.callout import Callout
    from probe.core.fold import Judged
    from probe.core.model import Evidence
    from probe.core.route import Route

_DEFER = "451 Could not complete sender verify callout"
_FAIL = "550 Sender verify failed"
_DNS = "451 Temporary local problem - please try later"


def predict(_evidence: Evidence, way: Route, judged: tuple[Judged, ...], callout: Callout) -> MtaView | None:
    """Predict Exim; None when what was seen does not tell (cut short, nothing tried)."""
    told = way_of(way, judged)
    if told is Way.UNTOLD:
        return None
    reply: str | None
    if told is Way.NO_HOSTS:
        outcome, reply = MtaOutcome.REJECT, _FAIL
    elif told is Way.BROKEN:
        outcome, reply = MtaOutcome.DEFER, _DNS
    elif (found := _walk(asked(judged), callout)) is not None:
        outcome = found
        reply = {MtaOutcome.REJECT: _FAIL, MtaOutcome.DEFER: _DEFER}.get(found)
    else:
        return None
    return MtaView(outcome, reply, callout.version_text, callout.text)


def _walk(judged: tuple[Judged, ...], callout: Callout) -> MtaOutcome | None:
    spent = 0.0
    for item in judged:
        facts, grounds = item.facts, item.grounds
        if spent >= callout.maxwait_seconds:
            break
        if is_untold(facts):
            return None
        ended = (
            facts.ended
            if grounds.session is None
            else _as_exim_reads(item.host.sessions[grounds.session], facts)
        )
        if ended in {Ended.ACCEPTED, Ended.NOT_VERIFIED}:
            return MtaOutcome.ACCEPT
        if ended is Ended.REFUSED and facts.got is not Got.TLS:
            return MtaOutcome.REJECT
        spent += callout.seconds if ended in SLOW else grounds.seconds
    return MtaOutcome.DEFER


_ASKED = frozenset({Stage.BANNER, Stage.EHLO, Stage.HELO, Stage.MAIL})


def _as_exim_reads(session: Session, facts: Facts) -> Ended:
    """Read the replies as Exim does (smtp_out.c, smtp_read_response), where that differs from ours.

    It takes them in the order they come, so a reply too many shifts all that follow; it goes by the first digit
    of the first line; and a line whose code is not followed by a space, a hyphen or its end is no reply.
    """
    replies = [exchange.reply for exchange in session.exchanges if exchange.reply is not None]
    stages = [exchange.stage for exchange in session.exchanges if exchange.stage is not Stage.EXTRA]
    shifted = len(stages) < len(session.exchanges)
    if not shifted and not any(_reads_otherwise(reply) for reply in replies):
        return facts.ended
    for stage, reply in zip(stages, replies, strict=False):
        read = _first_digit(reply)
        if stage is Stage.RCPT or (stage in _ASKED and read is Ended.MALFORMED):
            return read
        if stage in _ASKED and stage is not Stage.EHLO and read is not Ended.ACCEPTED:
            return read
    return facts.ended


def _reads_otherwise(reply: Reply) -> bool:
    return Oddity.NO_SEPARATOR in reply.oddities or Oddity.MIXED_CODES in reply.oddities


def _first_digit(reply: Reply) -> Ended:
    if Oddity.NO_SEPARATOR in reply.oddities or reply.code is None:
        return Ended.MALFORMED
    digit = reply.lines[0][:1] if reply.lines else ""
    return {"2": Ended.ACCEPTED, "4": Ended.DEFERRED, "5": Ended.REFUSED}.get(digit, Ended.ODD_CODE)
