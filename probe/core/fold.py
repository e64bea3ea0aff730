"""From evidence to a verdict: the table for each host, then the fold over hosts. Pure and total.

The fold lives the domain as a mail server would:

1. A domain that cannot have a mail host (DNS states) is decided without one.
2. A host that accepts the address makes the sender exist. Where another host names the mailbox missing the
   confidence is `uncertain` and a note says that they disagree: it may be a backup that takes everything.
3. A host that names the mailbox missing makes it missing; where it is not the first that was asked the
   confidence is `probable` at most, because a backup may have an old list of mailboxes.
4. "Not my domain" and "I never take mail" count only when every host of the domain was asked and says so:
   a backup that refuses while the real mail host is down, or could not be looked up, says nothing.
5. Otherwise the host that let us come furthest tells most; the first in order among equals. What failed on
   our own side (no route, a local error) speaks only when nothing else does.
6. A host that politeness kept us from asking says nothing, and takes the certainty from what an equal one says; what
   those behind it say does not count, because it can be asked tomorrow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from probe.core.facts import Facts, Got, Grounds, depth, host_facts
from probe.core.model import Cause, Confidence, DnsOutcome, Evidence, HostEvidence, Options, Side, Skip
from probe.core.network_facts import elsewhere
from probe.core.reasons import REASONS, ReasonRow
from probe.core.route import ExchangeKind, Route, RouteState
from probe.core.rules import decide
from probe.core.sentences import fill, seconds_text, values

if TYPE_CHECKING:
    from probe.core.rule import Rule


_NOTHING = Got.NOTHING


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
    def side(self) -> Side:
        """Who has to act: the rule may know it better than the reason."""
        return self.rule.side or self.row.side

    @property
    def tried(self) -> bool:
        """Whether a connection was attempted and not cut short before it told anything."""
        return self.facts.got is not _NOTHING and self.rule.reason != "run.cut-short"


class Verdict(Struct, frozen=True):
    """What the fold concluded: the reason, how sure, and the host it rests on (None: the DNS decided)."""

    rule: str
    reason: str
    confidence: Confidence
    says: str
    decisive: Judged | None
    pointers: tuple[str, ...] = ()

    @property
    def side(self) -> Side:
        """Who has to act."""
        return (
            self.decisive.side
            if self.decisive and self.decisive.rule.reason == self.reason
            else REASONS[self.reason].side
        )


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

_UNEXPECTED = (
    "evidence.unexpected",
    Confidence.UNCERTAIN,
    "The evidence about {domain} ends before any mail host was asked, and does not say why.",
)
"""A run that nothing stopped asks somebody or knows why not; a file that was edited may say otherwise."""

_HOST_WIDE = frozenset({"rcpt.domain-not-served", "banner.host-takes-no-mail"})
"""Reasons that speak of one host, and of the domain only when every host agrees."""

_OURS = frozenset(
    {
        "connect.no-route",
        "connect.local-error",
        "connect.own-firewall",
        "connect.offline",
        "connect.intercepted",
        "evidence.unexpected",
    }
)
"""Reasons that say nothing of the peer, so any other outranks them."""


def judge_host(index: int, host: HostEvidence, evidence: Evidence) -> Judged:
    """Decide one host address by the table."""
    facts, grounds = host_facts(host, evidence.options, elsewhere(evidence, host))
    rule, fired = decide(facts)
    says = fill(rule.says, values(evidence, host, grounds))
    return Judged(index, host, facts, grounds, rule, fired, says)


def definite(host: HostEvidence, options: Options) -> Cause | None:
    """Say whether this host alone settles the matter: it accepts the address, or names it missing."""
    reason = reason_of(host, options)
    cause = REASONS[reason].cause
    if reason in _HOST_WIDE or cause not in {Cause.SENDER_EXISTS, Cause.MISSING_SENDER}:
        return None
    return cause


def reason_of(host: HostEvidence, options: Options) -> str:
    """Say what this host alone shows: the word of a reason."""
    rule, _ = decide(host_facts(host, options)[0])
    return rule.reason


def cause_of(host: HostEvidence, options: Options) -> Cause:
    """Say what this host alone shows: the cause."""
    return REASONS[reason_of(host, options)].cause


def fold(judged: tuple[Judged, ...], way: Route, evidence: Evidence) -> Verdict:
    """Conclude from all hosts, in the order in which a mail server asks them."""
    tried = tuple(item for item in judged if item.tried)
    accepting = [item for item in tried if item.row.cause is Cause.SENDER_EXISTS]
    missing = [
        item
        for item in tried
        if item.row.cause is Cause.MISSING_SENDER and item.rule.reason not in _HOST_WIDE
    ]
    waiting = next((item for item in judged if item.host.skipped is Skip.HELD_BACK), None)
    if waiting is not None and _knows_better(waiting, accepting, missing, judged):
        return _held_back(waiting, evidence)
    if accepting or missing:
        return _definite(accepting, missing, tried, held_back=waiting is not None)
    if stopped(evidence) and (len(tried) < len(_asked(judged)) or not tried):
        return _unfinished(evidence, tried or tuple(item for item in judged if item.host.sessions))
    telling = [item for item in tried if item.rule.reason not in _HOST_WIDE]
    if telling:
        best = max(telling, key=lambda item: (item.rule.reason not in _OURS, depth(item.facts)))
        return _rests_on(best)
    if tried:
        return _rests_on(tried[0]) if _everybody_was_asked(judged, way, evidence) else _partly(tried[0])
    return _without_host(way, evidence) if waiting is None else _held_back(waiting, evidence)


def _knows_better(
    waiting: Judged, accepting: list[Judged], missing: list[Judged], judged: tuple[Judged, ...]
) -> bool:
    """Whether a host that can be asked tomorrow knows better than those that have said yes or no.

    A "no" counts only where no host comes before it. A "yes" counts among equals too, but not that of a backup, which
    may take whatever the first one would refuse.
    """
    if accepting:
        return all(_preference(item) > _preference(waiting) for item in accepting)
    return bool(missing) and judged.index(waiting) < judged.index(missing[0])


def _preference(item: Judged) -> int:
    return item.host.preference or 0


def _definite(
    accepting: list[Judged], missing: list[Judged], tried: tuple[Judged, ...], *, held_back: bool
) -> Verdict:
    """Decide where some host gave a definite answer; hosts are in the order a mail server asks them."""
    if accepting:
        verdict = _rests_on(accepting[0])
        if missing:
            return _weaken(verdict, Confidence.UNCERTAIN)
        return _weaken(verdict, Confidence.PROBABLE) if held_back else verdict
    firmest = min(missing, key=lambda item: list(Confidence).index(item.rule.confidence))
    verdict = _rests_on(firmest)
    first = firmest is tried[0] and not held_back
    return verdict if first else _weaken(verdict, Confidence.PROBABLE)


def _asked(judged: tuple[Judged, ...]) -> list[Judged]:
    """List the hosts that are asked in a run that comes to its end."""
    return [item for item in judged if item.host.skipped not in {Skip.NOT_PUBLIC, Skip.FAMILY, Skip.LIMIT}]


_KNOWN = frozenset({DnsOutcome.ANSWER, DnsOutcome.NODATA, DnsOutcome.NXDOMAIN})


def _everybody_was_asked(judged: tuple[Judged, ...], way: Route, evidence: Evidence) -> bool:
    """Whether the hosts that were tried are all that the domain has, so that together they speak for it."""
    return (
        all(item.tried for item in judged)
        and all(answer.outcome in _KNOWN for answer in evidence.dns)
        and {4, 6} <= set(evidence.options.families)
        and not any(exchange.kind is ExchangeKind.OVER_LIMIT for exchange in way.exchanges)
    )


def _partly(item: Judged) -> Verdict:
    """Conclude nothing about the domain from some of its hosts."""
    says = f"{item.says} Not every mail host of the domain could be asked, so that does not speak for it."
    return Verdict("some-hosts-deny", "rcpt.some-hosts-deny", Confidence.UNCERTAIN, says, item)


def stopped(evidence: Evidence) -> bool:
    """Whether the run ended before it was done."""
    return evidence.cut_short or evidence.interrupted


def _unfinished(evidence: Evidence, known: tuple[Judged, ...]) -> Verdict:
    reason = "run.interrupted" if evidence.interrupted else "run.cut-short"
    so_far = f" So far: {known[0].says}" if known else ""
    says = (
        f"The probe of {evidence.address.mailbox} was interrupted after {seconds_text(evidence.ended)} s."
        if evidence.interrupted
        else f"The limit of {seconds_text(evidence.options.timeout)} s ended the probe of"
        f" {evidence.address.mailbox} before it was done."
    )
    return Verdict(reason.replace(".", "-"), reason, Confidence.UNCERTAIN, says + so_far, None)


def _held_back(item: Judged, evidence: Evidence) -> Verdict:
    says = f"{item.host.name} [{item.host.ip}] was not asked about {evidence.address.mailbox}, out of politeness."
    pointers = (f"/hosts/{item.index}",)
    return Verdict("host-held-back", "host.held-back", Confidence.CERTAIN, says, None, pointers)


def _rests_on(item: Judged) -> Verdict:
    return Verdict(item.rule.id, item.rule.reason, item.rule.confidence, item.says, item)


def _weaken(verdict: Verdict, at_most: Confidence) -> Verdict:
    order = list(Confidence)
    weaker = max(verdict.confidence, at_most, key=order.index)
    return Verdict(verdict.rule, verdict.reason, weaker, verdict.says, verdict.decisive)


def _without_host(way: Route, evidence: Evidence) -> Verdict:
    found = _DOMAIN.get(way.state)
    if found is None and stopped(evidence):
        return _unfinished(evidence, ())
    reason, confidence, says = found or _UNEXPECTED
    pointers = tuple(
        f"/dns/{n}" for n, answer in enumerate(evidence.dns) if answer.outcome is not DnsOutcome.ANSWER
    )
    says = fill(says, values(evidence, None, None))
    return Verdict(reason.replace(".", "-"), reason, confidence, says, None, pointers[:4])
