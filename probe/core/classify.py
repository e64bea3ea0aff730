"""Evidence in, report out: the table per host, then the fold over hosts. Pure and total.

The fold lives the domain as a mail server would:

1. A domain that cannot have a mail host (DNS states) is decided without one.
2. A host that accepts the address makes the sender exist. Where another host names the mailbox missing the
   confidence is `uncertain` and a note says that they disagree: it may be a backup that takes everything.
3. A host that names the mailbox missing makes it missing.
4. "Not my domain" and "I never take mail" count only when every host that was tried says so: a backup
   that refuses while the real mail host is down says nothing about the sender.
5. Otherwise the host that let us come furthest tells most; the first in order among equals. What failed on
   our own side (no route, a local error) speaks only when nothing else does.
"""

from __future__ import annotations

from msgspec import Struct

from probe.core import advice, mta, violations
from probe.core.facts import Codes, Facts, Got, Grounds, Step, catch_all, host_facts
from probe.core.model import (
    REPORT_SCHEMA,
    AddressForm,
    Cause,
    Confidence,
    DnsOutcome,
    Evidence,
    HeloSource,
    HostEvidence,
    HostReport,
    Options,
    Purpose,
    Reason,
    Report,
    Skip,
    Timing,
    Tool,
)
from probe.core.reasons import ABOUT_SAYS, REASONS, ReasonRow
from probe.core.route import Route, RouteState, route
from probe.core.rules import RULES_VERSION, Rule, decide
from probe.core.sentences import MAX_QUOTE, fill, quote, seconds_text, values
from probe.version import __version__

TOOL = Tool("probe-sender", __version__, RULES_VERSION)
"""Who judges."""


class Judged(Struct, frozen=True):
    """One host address with its row, its ground in the evidence and the rule that won."""

    index: int
    host: HostEvidence
    facts: Facts
    grounds: Grounds
    rule: Rule
    fired: tuple[str, ...]
    says: str

    @property
    def row(self) -> ReasonRow:
        """The reason of the winning rule."""
        return REASONS[self.rule.reason]

    @property
    def tried(self) -> bool:
        """Whether a connection was attempted and not cut short before it told anything."""
        return self.facts.got is not Got.NOTHING and self.rule.reason != "run.cut-short"


class Verdict(Struct, frozen=True):
    """What the fold concluded: the reason, how sure, and the host it rests on (None: the DNS decided)."""

    rule: str
    reason: str
    confidence: Confidence
    says: str
    decisive: Judged | None
    pointers: tuple[str, ...] = ()


_DOMAIN: dict[RouteState, tuple[str, Confidence, str]] = {
    RouteState.NXDOMAIN: ("domain.nxdomain", Confidence.CERTAIN, "The domain {domain} does not exist."),
    RouteState.NO_MAIL_HOST: (
        "domain.no-mail-host",
        Confidence.CERTAIN,
        "The domain {domain} has neither an MX record nor an address.",
    ),
    RouteState.NULL_MX: (
        "domain.null-mx",
        Confidence.CERTAIN,
        "The domain {domain} publishes a null MX: it takes no mail.",
    ),
    RouteState.DANGLING: (
        "domain.mx-dangling",
        Confidence.CERTAIN,
        "No mail host that the MX records of {domain} name has an address.",
    ),
    RouteState.MX_IS_ADDRESS: (
        "domain.mx-is-address",
        Confidence.CERTAIN,
        "The MX record of {domain} names an IP address instead of a host.",
    ),
    RouteState.ONLY_PRIVATE: (
        "domain.only-private",
        Confidence.CERTAIN,
        "The mail hosts of {domain} have no public address.",
    ),
    RouteState.FAMILY_EXCLUDED: (
        "domain.family-excluded",
        Confidence.CERTAIN,
        "The mail hosts of {domain} have no address of the family that was asked for.",
    ),
    RouteState.SERVFAIL: ("dns.servfail", Confidence.CERTAIN, "The look-up of {domain} failed: SERVFAIL."),
    RouteState.REFUSED: ("dns.refused", Confidence.CERTAIN, "The resolver refused the look-up of {domain}."),
    RouteState.TIMEOUT: (
        "dns.timeout",
        Confidence.CERTAIN,
        "No resolver answered the look-up of {domain} in time.",
    ),
    RouteState.MALFORMED: (
        "dns.malformed",
        Confidence.CERTAIN,
        "The answer to the look-up of {domain} cannot be read.",
    ),
    RouteState.LAME: (
        "dns.lame",
        Confidence.PROBABLE,
        "The name server that was asked for {domain} does not know the domain.",
    ),
    RouteState.OTHER_RCODE: (
        "dns.other-rcode",
        Confidence.CERTAIN,
        "The look-up of {domain} ended with an error code.",
    ),
    RouteState.CNAME_LOOP: ("dns.cname-loop", Confidence.CERTAIN, "The alias of {domain} leads in a circle."),
    RouteState.UNREACHABLE: (
        "dns.unreachable",
        Confidence.CERTAIN,
        "No resolver could be reached to look up {domain}.",
    ),
    RouteState.CUT_OFF: (
        "dns.cut-off",
        Confidence.PROBABLE,
        "The resolver says that {domain} does not exist, and that the root of the DNS does not either.",
    ),
    RouteState.EXCHANGES_FAILED: (
        "dns.exchanges-failed",
        Confidence.CERTAIN,
        "The addresses of the mail hosts of {domain} could not be looked up.",
    ),
}
"""Domain states that decide without a mail host; the rest is ASKING, READY and CUT_SHORT."""

_HOST_WIDE = frozenset({"rcpt.domain-not-served", "banner.host-takes-no-mail"})
"""Reasons that speak of one host, and of the domain only when every host agrees."""

_OURS = frozenset({"connect.no-route", "connect.local-error", "run.cut-short", "evidence.unexpected"})
"""Reasons that say nothing of the peer, so any other outranks them."""

_DEPTH = list(Got)


def judge(evidence: Evidence) -> Report:
    """Judge the evidence of one address. Total: every document that decodes gives a report."""
    options = evidence.options
    way = route(
        evidence.address,
        evidence.dns,
        seed=evidence.seed,
        families=options.families,
        allow_private=options.allow_private,
    )
    judged = tuple(_judge_host(n, host, evidence) for n, host in enumerate(evidence.hosts))
    verdict = _fold(judged, way, evidence)
    row = REASONS[verdict.reason]
    accepts_all = catch_all(evidence)
    return Report(
        schema=REPORT_SCHEMA,
        address=evidence.address.given,
        cause=row.cause,
        reason=verdict.reason,
        confidence=verdict.confidence,
        side=row.side,
        summary=verdict.says,
        because=_because(verdict, judged, row, accepts_all=accepts_all),
        next_steps=advice.next_steps(row, _values_of(verdict.decisive, evidence)),
        mta=mta.predict(evidence, way, tuple((item.host, item.facts, item.grounds) for item in judged)),
        catch_all=accepts_all,
        hosts=tuple(_host_report(item) for item in judged),
        timing=_timing(evidence),
        violations=violations.find(evidence, way),
        notes=_notes(evidence, way, judged),
        rule=verdict.rule,
        evidence=evidence,
        tool=TOOL,
    )


def definite(host: HostEvidence, options: Options) -> Cause | None:
    """Say whether this host alone settles the matter: it accepts the address, or names it missing."""
    rule, _ = decide(host_facts(host, options)[0])
    cause = REASONS[rule.reason].cause
    if rule.reason in _HOST_WIDE or cause not in {Cause.SENDER_EXISTS, Cause.MISSING_SENDER}:
        return None
    return cause


def _values_of(item: Judged | None, evidence: Evidence) -> dict[str, str]:
    return values(evidence, item.host if item else None, item.grounds if item else None)


def _judge_host(index: int, host: HostEvidence, evidence: Evidence) -> Judged:
    facts, grounds = host_facts(host, evidence.options)
    rule, fired = decide(facts)
    says = fill(rule.says, values(evidence, host, grounds))
    return Judged(index, host, facts, grounds, rule, fired, says)


# --- the fold --------------------------------------------------------------------------------------


def _fold(judged: tuple[Judged, ...], way: Route, evidence: Evidence) -> Verdict:
    tried = tuple(item for item in judged if item.tried)
    accepting = [item for item in tried if item.row.cause is Cause.SENDER_EXISTS]
    missing = [
        item
        for item in tried
        if item.row.cause is Cause.MISSING_SENDER and item.rule.reason not in _HOST_WIDE
    ]
    if accepting or missing:
        return _definite(accepting, missing)
    if tried and all(item.rule.reason in _HOST_WIDE for item in tried) and not _untried(judged):
        return _rests_on(tried[0])
    if _stopped(evidence) and (_untried(judged) or not tried):
        return _unfinished(evidence, tried)
    telling = [item for item in tried if item.rule.reason not in _HOST_WIDE] or list(tried)
    if telling:
        best = max(telling, key=lambda item: (item.rule.reason not in _OURS, _DEPTH.index(item.facts.got)))
        verdict = _rests_on(best)
        if best.rule.reason in _HOST_WIDE:  # some other host was not asked, so it is not the whole domain
            return _weaken(verdict, Confidence.UNCERTAIN)
        return verdict
    return _without_host(way, evidence)


def _definite(accepting: list[Judged], missing: list[Judged]) -> Verdict:
    """Decide where some host gave a definite answer; hosts are in the order a mail server asks them."""
    if not missing:
        return _rests_on(accepting[0])
    if not accepting:
        firmest = min(missing, key=lambda item: list(Confidence).index(item.rule.confidence))
        return _rests_on(firmest)
    return _weaken(_rests_on(accepting[0]), Confidence.UNCERTAIN)


def _untried(judged: tuple[Judged, ...]) -> bool:
    """Whether a host that a mail server would ask was not asked to the end."""
    return any(not item.tried and item.host.skipped not in {Skip.NOT_PUBLIC, Skip.FAMILY} for item in judged)


def _stopped(evidence: Evidence) -> bool:
    return evidence.cut_short or evidence.interrupted


def _unfinished(evidence: Evidence, tried: tuple[Judged, ...]) -> Verdict:
    reason = "run.interrupted" if evidence.interrupted else "run.cut-short"
    known = f" So far: {tried[0].says}" if tried else ""
    says = (
        f"The probe of {evidence.address.mailbox} was interrupted after {seconds_text(evidence.ended)} s."
        if evidence.interrupted
        else f"The limit of {seconds_text(evidence.options.timeout)} s ended the probe of"
        f" {evidence.address.mailbox} before it was done."
    )
    return Verdict(reason.replace(".", "-"), reason, Confidence.UNCERTAIN, says + known, None)


def _rests_on(item: Judged) -> Verdict:
    return Verdict(item.rule.id, item.rule.reason, item.rule.confidence, item.says, item)


def _weaken(verdict: Verdict, at_most: Confidence) -> Verdict:
    order = list(Confidence)
    weaker = max(verdict.confidence, at_most, key=order.index)
    return Verdict(verdict.rule, verdict.reason, weaker, verdict.says, verdict.decisive)


def _without_host(way: Route, evidence: Evidence) -> Verdict:
    found = _DOMAIN.get(way.state)
    if found is None:
        return _unfinished(evidence, ())
    reason, confidence, says = found
    pointers = tuple(
        f"/dns/{n}" for n, answer in enumerate(evidence.dns) if answer.outcome is not DnsOutcome.ANSWER
    )
    says = fill(says, values(evidence, None, None))
    return Verdict(reason.replace(".", "-"), reason, confidence, says, None, pointers[:4])


# --- the argument ----------------------------------------------------------------------------------


def _because(
    verdict: Verdict, judged: tuple[Judged, ...], row: ReasonRow, *, accepts_all: bool | None
) -> tuple[Reason, ...]:
    """Argue: the decisive fact first, then how its words were read, then what the other hosts did."""
    item = verdict.decisive
    if item is None:
        return (Reason(verdict.says, verdict.pointers), Reason(f"{row.means} ({row.ref})", ()))
    reasons = [Reason(item.says, _pointers(item))]
    reading = item.grounds.reading
    if reading is not None and reading.words:
        reasons.append(
            Reason(
                f'Its words "{quote(reading.words)}" are read as {ABOUT_SAYS[reading.about]}.',
                _pointers(item),
            )
        )
    reasons.append(Reason(f"{row.means} ({row.ref})", ()))
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
    )


def _notes(evidence: Evidence, way: Route, judged: tuple[Judged, ...]) -> tuple[str, ...]:
    notes = [_FORMS[form] for form in evidence.address.forms if form in _FORMS]
    if evidence.options.helo_source is HeloSource.LITERAL and judged:
        notes.append(
            "This host has no fully qualified name, so its address was given as HELO; some mail hosts refuse that."
            " Use --helo with the name that your mail server uses."
        )
    if way.cname_at_domain:
        notes.append("The domain is an alias (CNAME); its target's mail hosts were asked.")
    if any(session.purpose is Purpose.CLEAR for item in judged for session in item.host.sessions):
        notes.append("The TLS handshake failed with a host; it was asked again without TLS, as Exim does.")
    causes = {item.row.cause for item in judged if item.tried}
    if {Cause.SENDER_EXISTS, Cause.MISSING_SENDER} <= causes:
        notes.append("The mail hosts disagree about the address: some accept it and some name it missing.")
    if _stopped(evidence):
        notes.append("The run ended early; what is missing from the evidence was not seen.")
    return tuple(notes)


_FORMS: dict[AddressForm, str] = {
    AddressForm.BATV: "The address is signed with BATV (prvs=): it is valid for about a week, and mail hosts that use"
    " BATV refuse bounces to the unsigned address.",
    AddressForm.SRS: "The address is rewritten by SRS: a forwarder made it, and it stops working after some weeks.",
    AddressForm.VERP: "The address is a VERP return path: it names one recipient of a mailing and may be short-lived.",
    AddressForm.NULL_LIKE: "A no-reply address without a mailbox is the classic cause of a failed sender verification.",
}


# --- times -----------------------------------------------------------------------------------------


def _timing(evidence: Evidence) -> Timing:
    """Sum up; overlapping waits count once, so no figure exceeds the total."""
    dns = [(answer.asked, answer.ended) for answer in evidence.dns]
    sessions = [session for host in evidence.hosts for session in host.sessions]
    connects = [(session.connect.started, session.connect.ended) for session in sessions]
    talks = [
        (session.connect.ended, session.exchanges[-1].ended) for session in sessions if session.exchanges
    ]
    return Timing(
        dns=_covered(dns),
        connect=_covered(connects),
        conversation=_covered(talks),
        network=_covered([*dns, *connects, *talks]),
        total=evidence.ended,
    )


def _covered(spans: list[tuple[float, float]]) -> float:
    total, reach = 0.0, 0.0
    for start, end in sorted(spans):
        if end > reach:
            total += end - max(start, reach)
            reach = end
    return round(total, 6)
