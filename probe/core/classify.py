"""Evidence in, report out: the verdict with its argument, next steps, and what the mail servers do. Pure and total."""

from __future__ import annotations

from probe.core import advice, mta, picture
from probe.core.callout import Callout
from probe.core.facts import Codes, Ended, Got, Step, catch_all
from probe.core.fold import Judged, Verdict, fold, judge_host, stopped
from probe.core.model import (
    REPORT_SCHEMA,
    AddressForm,
    Basis,
    Cause,
    ConnectOutcome,
    Evidence,
    HeloSource,
    HostReport,
    Oddity,
    Purpose,
    Reason,
    Report,
    Side,
    Stage,
    Timing,
    Tool,
)
from probe.core.network import REPEATED_AFTER, Nearer
from probe.core.network_rules import NETWORK_RULES
from probe.core.reasons import ABOUT_SAYS, REASONS, ReasonRow
from probe.core.rfc import violations
from probe.core.route import Route, route
from probe.core.rules import RULES_VERSION
from probe.core.sentences import MAX_QUOTE, fill, quote, refuser_text, seconds_text, values
from probe.version import __version__

TOOL = Tool("probe-sender", __version__, RULES_VERSION)
"""Who judges."""
PLACES = 6
"""Decimal places of the seconds in a `Timing`."""
_CALLOUT = Callout()
"""Exim's own defaults."""


def judge(evidence: Evidence, callout: Callout = _CALLOUT) -> Report:
    """Judge the evidence of one address. Total: every document that decodes gives a report.

    `callout` is how the Exim verifies that `mta.exim` predicts; nothing else depends on it.
    """
    options = evidence.options
    way = route(
        evidence.address,
        evidence.dns,
        seed=evidence.seed,
        families=options.families,
        allow_private=options.allow_private,
    )
    judged = tuple(judge_host(n, host, evidence) for n, host in enumerate(evidence.hosts))
    verdict = fold(judged, way, evidence)
    row = REASONS[verdict.reason]
    accepts_all = catch_all(evidence)
    servers = mta.predict(evidence, way, judged, callout)
    fields = _values_of(verdict.decisive, evidence)
    return Report(
        schema=REPORT_SCHEMA,
        address=evidence.address.given,
        cause=row.cause,
        reason=verdict.reason,
        confidence=verdict.confidence,
        side=verdict.side,
        summary=verdict.says,
        because=_because(verdict, judged, row, fields, accepts_all=accepts_all),
        next_steps=advice.next_steps(row, fields, servers, on_the_way=_is_on_the_way(verdict.decisive)),
        mta=servers,
        catch_all=accepts_all,
        hosts=tuple(_host_report(item) for item in judged),
        timing=timing(evidence),
        violations=violations.find(judged, way),
        notes=_notes(evidence, way, judged, verdict),
        rule=verdict.rule,
        evidence=evidence,
        tool=TOOL,
    )


def _values_of(item: Judged | None, evidence: Evidence) -> dict[str, str]:
    return values(evidence, item.host if item else None, item.grounds if item else None)


def _is_on_the_way(item: Judged | None) -> bool:
    """Whether what stands in the way was seen to stand between us and them."""
    if item is None or item.side is not Side.PATH:
        return False
    path = item.grounds.path
    return path.refuser_hop is not None or path.beyond is not None


# --- the argument ----------------------------------------------------------------------------------


def _because(
    verdict: Verdict,
    judged: tuple[Judged, ...],
    row: ReasonRow,
    fields: dict[str, str],
    *,
    accepts_all: bool | None,
) -> tuple[Reason, ...]:
    """Argue: the decisive fact first, then how its words were read, then what the other hosts did."""
    item = verdict.decisive
    means = fill(row.means, fields)
    if item is None:
        return (Reason(verdict.says, verdict.pointers), Reason(f"{means} ({row.ref})", ()))
    reasons = [Reason(item.says, _pointers(item))]
    reading = item.grounds.reading
    # Where the second try with a real sender decided, what the first reply seemed to say is beside the point.
    if reading is not None and reading.words and item.rule.about is not None:
        by_words = reading.basis in {Basis.WORDS, Basis.KEY}
        what = f'words "{quote(reading.words)}" are' if by_words else f"code {reading.words} is"
        reasons.append(Reason(f"Its {what} read as: {ABOUT_SAYS[reading.about]}.", _pointers(item)))
    reasons.append(Reason(f"{means} ({row.ref})", ()))
    if accepts_all is not None:
        says = (
            "A random address of the domain is accepted too, so the acceptance does not show that the mailbox exists."
            if accepts_all
            else "A random address of the domain is refused, so the mail host does tell mailboxes apart."
        )
        reasons.append(Reason(says, _pointers(item)))
    reasons.extend(
        Reason(other.says, _pointers(other)) for other in judged if other.index != item.index and other.tried
    )
    return tuple(reasons)


def _pointers(item: Judged) -> tuple[str, ...]:
    """JSON pointers (RFC 6901) into the evidence for what decided a host."""
    grounds = item.grounds
    if grounds.session is None:
        return (f"/hosts/{item.index}",)
    base = f"/hosts/{item.index}/sessions"
    if grounds.exchange is None:
        found = [f"{base}/{grounds.session}/connect"]
    else:
        found = [f"{base}/{grounds.session}/exchanges/{grounds.exchange}"]
    if grounds.real_session is not None and grounds.real_exchange is not None:
        found.append(f"{base}/{grounds.real_session}/exchanges/{grounds.real_exchange}")
    if item.host.path is not None and item.rule.id in NETWORK_RULES:
        found.append(f"/hosts/{item.index}/path")
    if item.rule.us is not None:
        found.append("/canary")
    return tuple(found)


def _host_report(item: Judged) -> HostReport:
    grounds = item.grounds
    reply = grounds.reply
    left_out = (
        REASONS[f"skipped.{item.host.skipped}"] if item.host.skipped and not item.host.sessions else None
    )
    return HostReport(
        name=item.host.name,
        ip=item.host.ip,
        preference=item.host.preference,
        cause=item.row.cause,
        reason=left_out.word if left_out else item.rule.reason,
        confidence=item.rule.confidence,
        rule=item.rule.id,
        fired=item.fired,
        says=left_out.means if left_out else item.says,
        stage=grounds.stage,
        reply=" ".join(reply.lines)[:MAX_QUOTE] if reply else None,
        reading=grounds.reading,
        transcript_ok=item.facts.step is not Step.OUT_OF_STEP and item.facts.codes is not Codes.CONTRADICT,
        network=picture.draw(item.host, grounds.path),
    )


def _notes(evidence: Evidence, way: Route, judged: tuple[Judged, ...], verdict: Verdict) -> tuple[str, ...]:
    notes = [_FORMS[form] for form in evidence.address.forms if form in _FORMS]
    if evidence.options.helo_source is HeloSource.LITERAL and judged:
        notes.append(
            "This host has no fully qualified name, so its address was given as HELO; some mail hosts refuse that."
            " Use --helo with the name that your mail server uses."
        )
    if way.cname_at_domain:
        notes.append("The domain is an alias (CNAME); its target's mail hosts were asked.")
    sessions = [session for item in judged for session in item.host.sessions]
    if Purpose.CLEAR in [session.purpose for session in sessions]:
        notes.append("The TLS handshake failed with a host; it was asked again without TLS, as Exim does.")
    if {item.row.cause for item in judged if item.tried} >= _DISAGREEING:
        notes.append("The mail hosts disagree about the address: some accept it and some name it missing.")
    if (first := _refused_before(verdict.decisive, judged)) is not None:
        where = f"{first.host.name} [{first.host.ip}]"
        notes.append(
            f"Exim asks {where} first, takes its refusal as final and never gets to the host that accepts."
        )
    if any(map(_inspected, judged)):
        notes.append(
            "The greeting is masked with asterisks: a firewall with SMTP inspection ('fixup') rewrites the dialogue"
            " and hides what it does not know, such as EHLO."
        )
    notes.extend(
        f"The connection to {item.host.name} [{item.host.ip}] opened only after {seconds_text(late)} s, at a repetition"
        " of the SYN: packets are lost on the way, or its accept queue is full at times."
        for item in judged
        if (late := _opened_late(item)) is not None
    )
    notes.extend(
        f"Port {item.host.port} of {item.host.name} is answered at {refuser_text(item.grounds.path)}, nearer than the"
        " machine that answers UDP: a gateway or load balancer of theirs, or a proxy at their end."
        for item in judged
        if item.facts.nearer is Nearer.AT_ITS_DOOR
    )
    notes.extend(
        f"Another mail host address has another fault, and ours: {item.says}"
        for item in judged
        if item.rule.id in NETWORK_RULES
        and item.tried
        and item.side is Side.OURS
        and verdict.side is not Side.OURS
    )
    if any(session.before for session in sessions):
        notes.append("It was asked after other addresses of its domain, over the same connection.")
    learned = [item for item in judged if item.host.sessions and item.host.sessions[0].connect.ended < 0.0]
    notes.extend(
        f"{item.host.name} [{item.host.ip}] was not called for this address:"
        " it is told as another one of the same batch has met it, for it meets all alike."
        for item in learned
    )
    if stopped(evidence):
        notes.append("The run ended early; what is missing from the evidence was not seen.")
    return tuple(notes)


_DISAGREEING = frozenset({Cause.SENDER_EXISTS, Cause.MISSING_SENDER})


def _opened_late(item: Judged) -> float | None:
    connect = item.grounds.connect
    if connect is None or connect.outcome is not ConnectOutcome.CONNECTED:
        return None
    lapse = connect.ended - connect.started
    return lapse if lapse >= REPEATED_AFTER else None


def _inspected(item: Judged) -> bool:
    for session in item.host.sessions:
        for exchange in session.exchanges:
            reply = exchange.reply
            masked = reply is not None and reply.oddities and Oddity.MASKED in reply.oddities
            if masked and exchange.stage is Stage.BANNER:
                return True
    return False


def _refused_before(item: Judged | None, judged: tuple[Judged, ...]) -> Judged | None:
    """Find the host whose refusal keeps Exim from the one that accepts (verify.c: the first 5xx ends it)."""
    if item is None or item.row.cause is not Cause.SENDER_EXISTS:
        return None
    before = (other for other in judged[: item.index] if other.facts.got is not Got.TLS)
    return next((other for other in before if other.facts.ended is Ended.REFUSED), None)


_FORMS: dict[AddressForm, str] = {
    AddressForm.BATV: "The address is signed with BATV (prvs=): it is valid for about a week, and mail hosts that use"
    " BATV refuse bounces to the unsigned address.",
    AddressForm.SRS: "The address is rewritten by SRS: a forwarder made it, and it stops working after some weeks.",
    AddressForm.VERP: "The address is a VERP return path: it names one recipient of a mailing and may be short-lived.",
    AddressForm.NULL_LIKE: "A no-reply address without a mailbox is the classic cause of a failed sender verification.",
}


# --- times -----------------------------------------------------------------------------------------


def timing(evidence: Evidence) -> Timing:
    """Sum up; overlapping waits count once, so no figure exceeds the total."""
    dns = [(answer.asked, answer.ended) for answer in evidence.dns]
    sessions = [session for host in evidence.hosts for session in host.sessions]
    connects = [(session.connect.started, session.connect.ended) for session in sessions]
    talks = [
        (session.connect.ended, session.exchanges[-1].ended) for session in sessions if session.exchanges
    ]
    return Timing(
        dns=round(covered(dns), PLACES),
        connect=round(covered(connects), PLACES),
        conversation=round(covered(talks), PLACES),
        network=round(covered([*dns, *connects, *talks]), PLACES),
        total=evidence.ended,
    )


def covered(spans: list[tuple[float, float]]) -> float:
    """Add up spans of time, from the start on; what overlaps counts once."""
    total, reach = 0.0, 0.0
    if len(spans) > 1:
        spans.sort()
    for start, end in spans:
        if end > reach:
            total += end - max(start, reach)
            reach = end
    return total
