"""What Exim does with mail from this sender now, where it verifies senders by a callout (verify.c, do_callout).

It walks the hosts in order. The first 5xx at any stage ends it as a failure, also when the next host would
accept; a 4xx, a time-out or a broken connection moves on; a 2xx to RCPT accepts. It starts no further host
once `maxwait`, four times the callout time, has passed, so four dead hosts of 30 s end it.

One host is followed in `host`; what is said of it stands in `words`, what is kept in `cache`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import astuple, replace

from probe.core.exim import cache as exim_cache
from probe.core.exim.host import meet
from probe.core.exim.met import Learnt, Left, Met, place
from probe.core.exim.reply import printing
from probe.core.exim.words import INCOMPLETE, Told, deferred, explain, refused
from probe.core.mail_hosts import asked, spelt
from probe.core.model import AddressKind, AskedHost, DnsOutcome, HostEvidence, MtaOutcome, MtaView
from probe.core.route import ExchangeKind, RouteState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from probe.core.callout import Callout
    from probe.core.fold import Judged
    from probe.core.model import DnsAnswer, Evidence
    from probe.core.route import Route


def predict(evidence: Evidence, way: Route, judged: tuple[Judged, ...], callout: Callout) -> MtaView | None:
    """Predict Exim; None when what was seen does not tell (cut short, nothing tried)."""
    hosts = tuple(item.host for item in asked(judged))
    if way.state is not RouteState.READY and not hosts:
        return None if way.state in _UNTOLD else _routed(evidence, way, callout)
    meetings = _Meetings(evidence, callout)
    walk = _walk(hosts, meetings)
    if walk is None:
        return None
    return _called(hosts, way, walk, meetings)


_UNTOLD = frozenset(
    {
        RouteState.ASKING,
        RouteState.CUT_SHORT,
        RouteState.ONLY_PRIVATE,
        RouteState.FAMILY_EXCLUDED,
        RouteState.UNREACHABLE,
        RouteState.CUT_OFF,
    }
)
"""Where nobody can be connected to for a reason that is ours, and not Exim's."""

# --- the DNS ---------------------------------------------------------------------------------------

_UNROUTEABLE = "Unrouteable address"
_MX_IS_ADDRESS = (
    "It appears that the DNS operator for {domain}",
    "has installed an invalid MX record with an IP address",
    "instead of a domain name on the right hand side.",
)
_NO_HOSTS = {
    RouteState.NXDOMAIN: (_UNROUTEABLE, (_UNROUTEABLE,)),
    RouteState.NO_MAIL_HOST: (_UNROUTEABLE, (_UNROUTEABLE,)),
    RouteState.NULL_MX: ("an MX or SRV record indicated no SMTP service", ()),
    RouteState.DANGLING: ("all relevant MX records point to non-existent hosts", ()),
    RouteState.MX_IS_ADDRESS: (
        "all relevant MX records point to non-existent hosts or (invalidly) to IP addresses",
        _MX_IS_ADDRESS,
    ),
}
"""What the log and the relay are told where the DNS gives no host (route.c, routers/dnslookup.c, host.c)."""
_UNHEARD = frozenset({DnsOutcome.TIMEOUT, DnsOutcome.UNREACHABLE, DnsOutcome.CUT_SHORT})


def _routed(evidence: Evidence, way: Route, callout: Callout) -> MtaView:
    mailbox = evidence.address.mailbox
    found = _NO_HOSTS.get(_state(way))
    if found is None:
        words = deferred(mailbox, "host lookup did not complete", routing=True)
        words = replace(words, log=(*_loops(evidence, way), *words.log))
        return _view(MtaOutcome.DEFER, words, callout, seconds=dns_seconds(evidence.dns))
    says, explained = found
    lines = tuple(line.format(domain=evidence.address.domain) for line in explained)
    words = refused(mailbox, says, lines)
    return _view(MtaOutcome.REJECT, words, callout, seconds=dns_seconds(evidence.dns))


def _state(way: Route) -> RouteState:
    """Give the state as Exim words it: of an address in an MX record only where that record comes first."""
    if way.state is RouteState.MX_IS_ADDRESS and way.exchanges[0].kind is not ExchangeKind.LITERAL:
        return RouteState.DANGLING
    return way.state


def _loops(evidence: Evidence, way: Route) -> tuple[str, ...]:
    """Give the line that each look-up of an alias leaves which leads in a circle."""
    looping = [evidence.address.domain] if way.state is RouteState.CNAME_LOOP else []
    for exchange in way.exchanges:
        ended = (exchange.ipv6, exchange.ipv4)
        looping += [spelt(exchange.name, evidence)] * ended.count(DnsOutcome.CNAME_LOOP)
    return tuple(f"CNAME loop for {name} encountered" for name in looping)


def dns_seconds(answers: Sequence[DnsAnswer]) -> float | None:
    """Say how long the look-ups take; None where one was given up, because resolvers have limits of their own."""
    if not answers:
        return 0.0
    asked, ended = answers[0].asked, answers[0].ended
    for answer in answers:
        if answer.outcome in _UNHEARD:
            return None
        asked, ended = min(asked, answer.asked), max(ended, answer.ended)
    return ended - asked


@lru_cache(maxsize=16)  # one callout serves a whole batch
def _named(callout: Callout) -> tuple[str, str]:
    return callout.version_text, callout.text


def _view(outcome: MtaOutcome, words: Told, callout: Callout, *, seconds: float | None) -> MtaView:
    return MtaView(
        outcome,
        words.reply[-1] if words.reply else None,
        *_named(callout),
        reply_lines=words.reply,
        log=words.log,
        seconds=seconds,
    )


# --- the hosts -------------------------------------------------------------------------------------


class _Walk(Struct, frozen=True):
    """How the walk over the hosts ended: what each of them came to, and how long all took."""

    met: tuple[tuple[HostEvidence, Met], ...]
    outcome: MtaOutcome
    learnt: Learnt
    seconds: float
    notes: tuple[str, ...]

    @property
    def last(self) -> Met:
        """The host that was asked last; where the outcome is not to defer, the one that decided."""
        return self.met[-1][1]


class _Meetings:
    """The callouts to single hosts, each followed once: it is asked for by the walk, for itself, and by other walks."""

    def __init__(self, evidence: Evidence, callout: Callout) -> None:
        self.evidence = evidence
        self.callout = callout
        self._known: dict[tuple[int, Left], Met] = {}

    def meet(self, host: HostEvidence, left: Left) -> Met:
        key = (id(host), left)  # the evidence holds the host for as long
        met = self._known.get(key)
        if met is None:
            met = self._known[key] = meet(host, self.evidence, self.callout, left)
        return met


def _walk(hosts: tuple[HostEvidence, ...], meetings: _Meetings) -> _Walk | None:
    """Ask one host after the other; None where one of them is not told."""
    evidence, callout = meetings.evidence, meetings.callout
    left, learnt, spent = Left(), Learnt(), 0.0
    met: list[tuple[HostEvidence, Met]] = []
    notes: list[str] = []
    for host in hosts:
        if met and spent >= callout.maxwait_seconds:
            notes.append(
                f"After {spent:.0f} s Exim asks no further host (maxwait), so it never gets to {place(host, evidence)}."
            )
            break
        one = meetings.meet(host, left)
        if one.outcome is None:
            return None
        met.append((host, one))
        notes += one.notes
        spent += one.seconds
        learnt = _added(learnt, one.learnt)
        if one.outcome is not MtaOutcome.DEFER:
            return _Walk(tuple(met), one.outcome, learnt, spent, tuple(notes))
        left = Left(_detail(host, one, evidence, callout), one.pipelining)
    return _Walk(tuple(met), MtaOutcome.DEFER, learnt, spent, tuple(notes)) if met else None


_NOTHING = Learnt()


def _added(before: Learnt, now: Learnt) -> Learnt:
    """Join what two hosts taught: the later counts where it says something."""
    if before == _NOTHING:
        return now
    return Learnt(
        *(old if new is None else new for old, new in zip(astuple(before), astuple(now), strict=True))
    )


def _detail(host: HostEvidence, met: Met, evidence: Evidence, callout: Callout) -> str | None:
    """Give the message that a host leaves behind, None where Exim has none."""
    if not callout.shares_transport:
        return met.message
    return f"{place(host, evidence)} : {met.message or 'NULL'}"


def _called(hosts: tuple[HostEvidence, ...], way: Route, walk: _Walk, meetings: _Meetings) -> MtaView:
    evidence, callout = meetings.evidence, meetings.callout
    mailbox = evidence.address.mailbox
    host, last = walk.met[-1]
    outcome = walk.outcome
    alone = outcome is MtaOutcome.DEFER and _is_alone(hosts, way)
    notes = [*walk.notes, *_notes(hosts, walk, meetings, alone=alone)]
    if outcome is MtaOutcome.ACCEPT:
        words = Told()
    elif outcome is MtaOutcome.REJECT:
        sent = explain(host.ip, last.sent, last.response, callout)
        words = refused(mailbox, _detail(host, last, evidence, callout) or "", sent, last.blame)
    elif callout.defer_ok:
        outcome, words = MtaOutcome.ACCEPT, Told()
        notes.insert(0, "The callout is not completed; defer_ok makes Exim accept all the same.")
    else:
        detail = _detail(host, last, evidence, callout)
        words = deferred(mailbox, _deferred(detail, callout, alone=alone))
    extra = [line for _, met in walk.met for line in met.log]
    words = Told(words.reply, (*_loops(evidence, way), *extra, *words.log))
    learnt = walk.learnt if walk.outcome is not MtaOutcome.DEFER else replace(walk.learnt, address=None)
    kept = exim_cache.records(evidence.address, learnt, callout)
    return MtaView(
        outcome,
        words.reply[-1] if words.reply else None,
        *_named(callout),
        reply_lines=words.reply,
        log=words.log,
        seconds=_add(dns_seconds(evidence.dns), walk.seconds),
        asked=tuple([_alone(host, meetings) for host, _ in walk.met]),
        cache=kept,
        clear=exim_cache.clear(kept, callout),
        notes=tuple(dict.fromkeys(notes)),
    )


def _is_alone(hosts: tuple[HostEvidence, ...], way: Route) -> bool:
    """Whether it is the only one of the domain; a host without an address is on Exim's list too."""
    return len(hosts) == 1 and all(DnsOutcome.ANSWER in {each.ipv4, each.ipv6} for each in way.exchanges)


def _deferred(detail: str | None, callout: Callout, *, alone: bool) -> str:
    """Give the message of the log: a reason only where the domain has one mail host address."""
    if not alone or detail is None:
        return INCOMPLETE
    return f"{INCOMPLETE}: {detail}" if callout.shares_transport else detail


def _add(dns: float | None, spent: float) -> float | None:
    return None if dns is None else round(dns + spent, 3)


def _alone(host: HostEvidence, meetings: _Meetings) -> AskedHost:
    """Say what this host would lead to if it were the only one, and why, in Exim's words."""
    met = meetings.meet(host, Left())
    outcome = met.outcome or MtaOutcome.DEFER
    if outcome is MtaOutcome.ACCEPT:
        why = printing(met.response)
    else:
        why = met.message or ("NULL" if meetings.callout.shares_transport else INCOMPLETE)
    return AskedHost(host.name, host.ip, outcome, why)


# --- what the reader should know beside ------------------------------------------------------------


def _notes(hosts: tuple[HostEvidence, ...], walk: _Walk, meetings: _Meetings, *, alone: bool) -> list[str]:
    evidence, callout = meetings.evidence, meetings.callout
    notes = []
    if evidence.options.mail_from:
        notes.append(
            f"We gave <{evidence.options.mail_from}> as the sender and Exim gives <>; a host that tells them apart"
            " answers Exim otherwise."
        )
    if evidence.address.kind is AddressKind.LITERAL:
        notes.append(
            "A stock Exim refuses a sender with an address literal at MAIL; this is one with allow_domain_literals."
        )
    if walk.outcome is MtaOutcome.DEFER and not alone:
        notes.append("The domain has several mail hosts, so Exim's log gives no reason for the deferral.")
    elif walk.outcome is MtaOutcome.DEFER and walk.last.message is None and callout.shares_transport:
        notes.append("Exim loses why MAIL or RCPT had no good answer; its log says NULL.")
    if len(hosts) > 1:
        notes += _other_orders(hosts, walk, meetings)
    return notes


_ORDERS = 8
"""Other orders of equal hosts that are looked at; more would say the same."""


def _other_orders(hosts: tuple[HostEvidence, ...], walk: _Walk, meetings: _Meetings) -> list[str]:
    """Say where another order of hosts of equal preference, which Exim draws each time, would end otherwise."""
    notes = []
    for number, host in enumerate(hosts[:_ORDERS]):
        first = next(n for n, other in enumerate(hosts) if _equal(other, host))
        if first == number or first >= len(walk.met):
            continue
        order = (*hosts[:first], host, *hosts[first:number], *hosts[number + 1 :])
        other = _walk(order, meetings)
        if other is not None and other.outcome is not walk.outcome:
            notes.append(
                "Exim draws the order of hosts of equal preference anew each time; where it asks"
                f" {place(host, meetings.evidence)} first, the outcome is {other.outcome}."
            )
    return notes


def _equal(one: HostEvidence, other: HostEvidence) -> bool:
    """Whether two addresses change places at random: of one preference, and of one family (IPv6 comes first)."""
    return one.preference == other.preference and (":" in one.ip) == (":" in other.ip)
