"""What Exim does with mail from this sender now, where it verifies senders by a callout (verify.c, do_callout).

It walks the hosts in order. The first 5xx at any stage ends it as a failure, also when the next host would
accept; a 4xx, a time-out or a broken connection moves on; a 2xx to RCPT accepts. It starts no further host
once `maxwait`, four times the callout time, has passed, so four dead hosts of 30 s end it.

One host is followed in `host`; what is said of it stands in `words`, what is kept in `cache`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from probe.core.exim import cache as exim_cache
from probe.core.exim.host import meet
from probe.core.exim.met import Learnt, Left, Met, place
from probe.core.exim.reply import printing
from probe.core.exim.words import INCOMPLETE, Told, deferred, explain, refused
from probe.core.heard import Way, asked, way_of
from probe.core.model import AddressKind, AskedHost, DnsOutcome, HostEvidence, MtaOutcome, MtaView
from probe.core.route import RouteState

if TYPE_CHECKING:
    from probe.core.callout import Callout
    from probe.core.fold import Judged
    from probe.core.model import Evidence
    from probe.core.route import Route


def predict(evidence: Evidence, way: Route, judged: tuple[Judged, ...], callout: Callout) -> MtaView | None:
    """Predict Exim; None when what was seen does not tell (cut short, nothing tried)."""
    told = way_of(way, judged)
    if told is Way.UNTOLD:
        return None
    if told is not Way.HOSTS:
        return _routed(evidence, way, callout)
    hosts = tuple(item.host for item in asked(judged))
    walk = _walk(hosts, evidence, callout)
    if walk is None:
        return None
    return _called(hosts, walk, evidence, callout)


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
    found = _NO_HOSTS.get(way.state)
    if found is None:
        words = deferred(mailbox, "host lookup did not complete", routing=True)
        if way.state is RouteState.CNAME_LOOP:
            looping = f"CNAME loop for {evidence.address.domain} encountered"
            words = replace(words, log=(looping, *words.log))
        return _view(MtaOutcome.DEFER, words, callout, seconds=_dns_seconds(evidence))
    says, explained = found
    lines = tuple(line.format(domain=evidence.address.domain) for line in explained)
    words = refused(mailbox, says, lines)
    return _view(MtaOutcome.REJECT, words, callout, seconds=_dns_seconds(evidence))


def _dns_seconds(evidence: Evidence) -> float | None:
    """Say how long the look-ups take; None where one was given up, because resolvers have limits of their own."""
    answers = evidence.dns
    if any(answer.outcome in _UNHEARD for answer in answers):
        return None
    return max((a.ended for a in answers), default=0.0) - min((a.asked for a in answers), default=0.0)


def _view(outcome: MtaOutcome, words: Told, callout: Callout, *, seconds: float | None) -> MtaView:
    return MtaView(
        outcome,
        words.reply[-1] if words.reply else None,
        callout.version_text,
        callout.text,
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


def _walk(hosts: tuple[HostEvidence, ...], evidence: Evidence, callout: Callout) -> _Walk | None:
    """Ask one host after the other; None where one of them is not told."""
    left, learnt, spent = Left(), Learnt(), 0.0
    met: list[tuple[HostEvidence, Met]] = []
    notes: list[str] = []
    for host in hosts:
        if met and spent >= callout.maxwait_seconds:
            notes.append(
                f"After {spent:.0f} s Exim asks no further host (maxwait), so it never gets to {place(host)}."
            )
            break
        one = meet(host, evidence, callout, left)
        if one.outcome is None:
            return None
        met.append((host, one))
        notes += one.notes
        spent += one.seconds
        learnt = _added(learnt, one.learnt)
        if one.outcome is not MtaOutcome.DEFER:
            return _Walk(tuple(met), one.outcome, learnt, spent, tuple(notes))
        left = Left(_detail(host, one, callout), one.pipelining)
    return _Walk(tuple(met), MtaOutcome.DEFER, learnt, spent, tuple(notes)) if met else None


def _added(before: Learnt, now: Learnt) -> Learnt:
    """Join what two hosts taught: the later counts where it says something."""
    return Learnt(
        domain=now.domain or before.domain,
        address=now.address,
        random=before.random if now.random is None else now.random,
        postmaster=before.postmaster if now.postmaster is None else now.postmaster,
    )


def _detail(host: HostEvidence, met: Met, callout: Callout) -> str | None:
    """Give the message that a host leaves behind, None where Exim has none."""
    if not callout.shares_transport:
        return met.message
    return f"{place(host)} : {met.message or 'NULL'}"


def _called(hosts: tuple[HostEvidence, ...], walk: _Walk, evidence: Evidence, callout: Callout) -> MtaView:
    mailbox = evidence.address.mailbox
    host, last = walk.met[-1]
    detail = _detail(host, last, callout)
    outcome = walk.outcome
    notes = [*walk.notes, *_notes(hosts, walk, evidence, callout)]
    if outcome is MtaOutcome.ACCEPT:
        words = Told()
    elif outcome is MtaOutcome.REJECT:
        sent = explain(host.ip, last.sent, last.response, callout)
        words = refused(mailbox, detail or "", sent, last.blame)
    elif callout.defer_ok:
        outcome, words = MtaOutcome.ACCEPT, Told()
        notes.insert(0, "The callout is not completed; defer_ok makes Exim accept all the same.")
    else:
        words = deferred(mailbox, _deferred(hosts, detail, callout))
    extra = tuple(line for _, met in walk.met for line in met.log)
    words = replace(words, log=(*extra, *words.log))
    learnt = walk.learnt if walk.outcome is not MtaOutcome.DEFER else replace(walk.learnt, address=None)
    kept = exim_cache.records(evidence.address, learnt, callout)
    view = _view(outcome, words, callout, seconds=_add(_dns_seconds(evidence), walk.seconds))
    return replace(
        view,
        asked=tuple(_alone(host, evidence, callout) for host, _ in walk.met),
        cache=kept,
        clear=exim_cache.clear(kept, callout),
        notes=tuple(dict.fromkeys(notes)),
    )


def _deferred(hosts: tuple[HostEvidence, ...], detail: str | None, callout: Callout) -> str:
    """Give the message of the log: a reason only where the domain has one mail host address."""
    if len(hosts) > 1 or detail is None:
        return INCOMPLETE
    return f"{INCOMPLETE}: {detail}" if callout.shares_transport else detail


def _add(dns: float | None, spent: float) -> float | None:
    return None if dns is None else round(dns + spent, 3)


def _alone(host: HostEvidence, evidence: Evidence, callout: Callout) -> AskedHost:
    """Say what this host would lead to if it were the only one, and why, in Exim's words."""
    met = meet(host, evidence, callout, Left())
    outcome = met.outcome or MtaOutcome.DEFER
    if outcome is MtaOutcome.ACCEPT:
        why = printing(met.response)
    else:
        why = met.message or ("NULL" if callout.shares_transport else INCOMPLETE)
    return AskedHost(host.name, host.ip, outcome, why)


# --- what the reader should know beside ------------------------------------------------------------


def _notes(hosts: tuple[HostEvidence, ...], walk: _Walk, evidence: Evidence, callout: Callout) -> list[str]:
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
    if walk.outcome is MtaOutcome.DEFER and len(hosts) > 1:
        notes.append("The domain has several mail hosts, so Exim's log gives no reason for the deferral.")
    elif walk.outcome is MtaOutcome.DEFER and walk.last.message is None and callout.shares_transport:
        notes.append("Exim loses why MAIL or RCPT had no good answer; its log says NULL.")
    notes += _other_orders(hosts, walk, evidence, callout)
    return notes


_ORDERS = 8
"""Other orders of equal hosts that are looked at; more would say the same."""


def _other_orders(
    hosts: tuple[HostEvidence, ...], walk: _Walk, evidence: Evidence, callout: Callout
) -> list[str]:
    """Say where another order of hosts of equal preference, which Exim draws each time, would end otherwise."""
    notes = []
    for number, host in enumerate(hosts[:_ORDERS]):
        first = next(n for n, other in enumerate(hosts) if _equal(other, host))
        if first == number or first >= len(walk.met):
            continue
        order = (*hosts[:first], host, *hosts[first:number], *hosts[number + 1 :])
        other = _walk(order, evidence, callout)
        if other is not None and other.outcome is not walk.outcome:
            notes.append(
                "Exim draws the order of hosts of equal preference anew each time; where it asks"
                f" {place(host)} first, the outcome is {other.outcome}."
            )
    return notes


def _equal(one: HostEvidence, other: HostEvidence) -> bool:
    """Whether two addresses change places at random: of one preference, and of one family (IPv6 comes first)."""
    return one.preference == other.preference and (":" in one.ip) == (":" in other.ip)
