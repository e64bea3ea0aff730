"""What Exim and Postfix do with mail from this sender now, from the same evidence.

The cause says what is true; this says what it costs. The models are Exim 4.96 with
`verify = sender/callout=30s` (verify.c:do_callout) and Postfix 3.x with `reject_unverified_sender` and its
defaults (smtpd_check.c, verify(8)).

Exim walks the hosts in order. The first 5xx at any stage ends it as a failure, also when the next host would
accept; a 4xx, a time-out or a broken connection moves on; a 2xx to RCPT accepts. It starts no further host
once `maxwait`, four times the callout time, has passed, so four dead hosts of 30 s end it.

Postfix probes with `double-bounce@...` and not with the null sender, tries the next host also after a 5xx
greeting, and answers 450 by default to what it could not verify and to what was refused alike.
"""

from __future__ import annotations

from probe.core.facts import Ended, Facts, Got, Grounds, Real
from probe.core.model import (
    Evidence,
    HostEvidence,
    Mta,
    MtaOutcome,
    MtaView,
    Oddity,
    Reply,
    Session,
    Skip,
    Stage,
)
from probe.core.route import Route, RouteState
from probe.core.sentences import quote

CALLOUT_SECONDS = 30.0
"""Exim's default for each reply of a callout (acl.c), and for the connection."""
MAXWAIT_SECONDS = 4 * CALLOUT_SECONDS
"""Exim starts no further host after this (verify.c)."""

Row = tuple[HostEvidence, Facts, Grounds]

_EXIM_DEFER = "451 Could not complete sender verify callout"
_EXIM_FAIL = "550 Sender verify failed"
_EXIM_DNS = "451 Temporary local problem - please try later"

_NO_ROUTE_STATES = frozenset(
    {
        RouteState.NXDOMAIN,
        RouteState.NO_MAIL_HOST,
        RouteState.NULL_MX,
        RouteState.DANGLING,
        RouteState.MX_IS_ADDRESS,
    }
)
_UNKNOWN_STATES = frozenset(
    {
        RouteState.ASKING,
        RouteState.CUT_SHORT,
        RouteState.ONLY_PRIVATE,
        RouteState.FAMILY_EXCLUDED,
        RouteState.UNREACHABLE,
        RouteState.CUT_OFF,
    }
)
_SLOW = frozenset({Ended.TIMEOUT, Ended.SILENT, Ended.ENDLESS})
_TOLD = frozenset({Ended.ACCEPTED, Ended.NOT_VERIFIED, Ended.REFUSED, Ended.DEFERRED, Ended.ODD_CODE})


def predict(evidence: Evidence, way: Route, rows: tuple[Row, ...]) -> Mta | None:
    """Predict both servers; None when what was seen does not tell (cut short, nothing tried)."""
    if way.state in _NO_ROUTE_STATES:
        return Mta(
            MtaView(MtaOutcome.REJECT, _EXIM_FAIL),
            MtaView(MtaOutcome.DEFER, _postfix_reply(evidence, "Host or domain name not found")),
        )
    asked = tuple(row for row in rows if row[0].skipped not in {Skip.NOT_PUBLIC, Skip.FAMILY, Skip.LIMIT})
    if way.state is not RouteState.READY and not asked:
        if way.state in _UNKNOWN_STATES:
            return None
        return Mta(
            MtaView(MtaOutcome.DEFER, _EXIM_DNS),
            MtaView(
                MtaOutcome.DEFER, _postfix_reply(evidence, "Name service error: Host not found, try again")
            ),
        )
    exim, postfix = _exim(asked), _postfix(evidence, asked)
    return Mta(exim, postfix) if exim and postfix else None


def _exim(rows: tuple[Row, ...]) -> MtaView | None:
    spent = 0.0
    for host, facts, grounds in rows:
        if spent >= MAXWAIT_SECONDS:
            break
        if _unknown(facts):
            return None
        ended = (
            facts.ended if grounds.session is None else _as_exim_reads(host.sessions[grounds.session], facts)
        )
        if ended in {Ended.ACCEPTED, Ended.NOT_VERIFIED}:
            return MtaView(MtaOutcome.ACCEPT, None)
        if ended is Ended.REFUSED and facts.got is not Got.TLS:
            return MtaView(MtaOutcome.REJECT, _EXIM_FAIL)
        spent += CALLOUT_SECONDS if ended in _SLOW else grounds.seconds
    return MtaView(MtaOutcome.DEFER, _EXIM_DEFER)


def _unknown(facts: Facts) -> bool:
    """Whether we did not ask what a mail server would have asked."""
    return facts.got is Got.NOTHING or facts.ended in {Ended.CUT_SHORT, Ended.NO_SMTPUTF8, Ended.NO_STARTTLS}


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


def _postfix(evidence: Evidence, rows: tuple[Row, ...]) -> MtaView | None:
    last = "Address verification in progress"
    for host, facts, grounds in rows:
        if _unknown(facts):
            return None
        accepted = facts.got is Got.RCPT and facts.ended in {Ended.ACCEPTED, Ended.NOT_VERIFIED}
        if accepted or facts.real is Real.ACCEPTED:  # its probe sender is not the null sender
            return MtaView(MtaOutcome.ACCEPT, None)
        last = _postfix_reason(host, facts, grounds)
        if facts.ended is Ended.REFUSED and facts.got in {Got.MAIL, Got.RCPT}:
            break
    return MtaView(MtaOutcome.DEFER, _postfix_reply(evidence, last))


def _postfix_reason(host: HostEvidence, facts: Facts, grounds: Grounds) -> str:
    where = f"{host.name}[{host.ip}]"
    if facts.got is Got.CONNECT:
        return f"connect to {where}:{host.port}: {_STRERROR.get(facts.ended, 'Connection refused')}"
    if facts.ended in _TOLD and grounds.reply is not None:
        words = quote(" ".join(grounds.reply.lines))
        if facts.got is Got.BANNER:
            return f"host {where} refused to talk to me: {words}"
        command = {Stage.MAIL: "MAIL FROM", Stage.RCPT: "RCPT TO"}.get(grounds.stage or Stage.EXTRA, "EHLO")
        return f"host {where} said: {words} (in reply to {command} command)"
    if facts.ended is Ended.TIMEOUT:
        return f"conversation with {where} timed out"
    return f"lost connection with {where}"


_STRERROR = {
    Ended.TIMEOUT: "Connection timed out",
    Ended.SILENT: "Connection timed out",
    Ended.PORT_CLOSED: "Connection refused",
    Ended.HOST_UNREACHABLE: "No route to host",
    Ended.NET_UNREACHABLE: "Network is unreachable",
    Ended.NO_ROUTE: "Network is unreachable",
    Ended.PROHIBITED: "Permission denied",
    Ended.RESET: "Connection reset by peer",
}


def _postfix_reply(evidence: Evidence, why: str) -> str:
    return f"450 4.1.7 <{evidence.address.mailbox}>: Sender address rejected: unverified address: {why}"
