"""What Postfix does with mail from this sender now, where it has `reject_unverified_sender` (smtpd_check.c, verify(8)).

It probes with `double-bounce@...` and not with the null sender, tries the next host also after a 5xx greeting,
and answers 450 by default to what it could not verify and to what was refused alike.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from probe.core.facts import Ended, Facts, Got, Grounds, Real
from probe.core.heard import Way, asked, is_untold, way_of
from probe.core.model import HostEvidence, MtaOutcome, MtaView, Stage
from probe.core.sentences import quote

if TYPE_CHECKING:
    from probe.core.fold import Judged
    from probe.core.model import Evidence
    from probe.core.route import Route

VERSION = "3.7"
"""The version whose behaviour was checked against the running program."""

_TOLD = frozenset({Ended.ACCEPTED, Ended.NOT_VERIFIED, Ended.REFUSED, Ended.DEFERRED, Ended.ODD_CODE})


def predict(evidence: Evidence, way: Route, judged: tuple[Judged, ...]) -> MtaView | None:
    """Predict Postfix; None when what was seen does not tell (cut short, nothing tried)."""
    told = way_of(way, judged)
    if told is Way.UNTOLD:
        return None
    if told is Way.NO_HOSTS:
        why: str | MtaOutcome | None = "Host or domain name not found"
    elif told is Way.BROKEN:
        why = "Name service error: Host not found, try again"
    else:
        why = _walk(asked(judged))
    if why is None:
        return None
    if why is MtaOutcome.ACCEPT:
        return MtaView(MtaOutcome.ACCEPT, None, VERSION, "reject_unverified_sender")
    return MtaView(MtaOutcome.DEFER, _reply(evidence, why), VERSION, "reject_unverified_sender")


def _walk(judged: tuple[Judged, ...]) -> str | MtaOutcome | None:
    """Give why it defers, ACCEPT, or None where that is not told."""
    last = "Address verification in progress"
    for item in judged:
        facts = item.facts
        if is_untold(facts):
            return None
        accepted = facts.got is Got.RCPT and facts.ended in {Ended.ACCEPTED, Ended.NOT_VERIFIED}
        if accepted or facts.real is Real.ACCEPTED:  # its probe sender is not the null sender
            return MtaOutcome.ACCEPT
        last = _reason(item.host, facts, item.grounds)
        if facts.ended is Ended.REFUSED and facts.got in {Got.MAIL, Got.RCPT}:
            break
    return last


def _reason(host: HostEvidence, facts: Facts, grounds: Grounds) -> str:
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


def _reply(evidence: Evidence, why: str) -> str:
    return f"450 4.1.7 <{evidence.address.mailbox}>: Sender address rejected: unverified address: {why}"
