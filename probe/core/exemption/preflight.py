"""May this relay be exempted from sender verification? The diagnosis of the sender, and what was looked up -> advice.

Each check has a function here that works out its state; the sentences are the table in `relay_checks.py`. What the
states come to is the decision table, `preflight_rules.py`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from probe.core.chain import canonical
from probe.core.exemption import exemptions, general_cures
from probe.core.exemption.preflight_rules import Facts, Need, decide
from probe.core.exemption.providers import provider_of
from probe.core.exemption.relay import PREFLIGHT_SCHEMA, Advice, Preflight, RelayCheck, Result
from probe.core.exemption.relay_checks import ROWS
from probe.core.exemption.ways import AVOID
from probe.core.generic import why_generic
from probe.core.model import AddressKind, Cause, DnsOutcome, MtaOutcome, Scope, Side
from probe.core.scope import read_ip, scope
from probe.core.spf.record import SpfResult

if TYPE_CHECKING:
    from probe.core.chain import Found
    from probe.core.exemption.preflight_rules import Rule
    from probe.core.exemption.relay import Asked, Exemption, Listing, RelaySeen
    from probe.core.model import Report
    from probe.core.scope import IP

SHOWN = 3
"""Names, addresses or codes of one sentence."""

_ABSENT = frozenset({DnsOutcome.NXDOMAIN, DnsOutcome.NODATA})

_OPEN = re.compile(r"\+?(?:all|.*/[0-9])", re.IGNORECASE)
"""Mechanisms that nearly every host matches: `all`, and networks above /10."""

State = tuple[str, dict[str, str]]
"""A state of a check, as `relay_checks.py` names it, and the values of its sentence."""


def judge(report: Report, seen: RelaySeen, asked: Asked, review_after: str) -> Preflight:
    """Make the report of a preflight; `review_after` is the date (ISO 8601) until which an exemption is to stand."""
    case = _Case(report, seen, asked)
    checks = case.checks()
    facts = Facts(
        diagnosis=case.states["diagnosis"][0],
        address=case.states["relay-address"][0],
        mx=case.states["relay-is-not-the-called-mx"][0],
        spf=case.states["spf"][0],
        relation=case.states["relation"][0],
        shared=case.states["shared-provider"][0],
        listed=any(check.id == "dnsbl" and check.result is Result.FAIL for check in checks),
    )
    rule = decide(facts)
    spoken = [rule.says.format_map(case.values())]
    # What speaks against it is said whatever was decided, and what speaks for it where it is advised.
    told = {Result.FAIL, Result.WARN} | ({Result.PASS} if rule.advice is Advice.JUSTIFIED else set())
    spoken += [_sentence(check.says) for check in checks if check.id == "diagnosis" or check.result in told]
    return Preflight(
        schema=PREFLIGHT_SCHEMA,
        advice=rule.advice,
        relay_ip=seen.ip,
        address=report.address,
        because=tuple(spoken),
        checks=checks,
        exemptions=_ways(rule, report, case.ip, review_after),
        avoid=AVOID if rule.advice is Advice.JUSTIFIED else (),
        rule=rule.id,
        report=report,
    )


def need(report: Report) -> Need:
    """Say what a diagnosis means for an exemption of the relay."""
    if report.cause is Cause.SENDER_EXISTS:
        # Another mail host may be the one that Exim listens to, or the mailbox is full: then mail is lost all the same.
        return Need.FAILS if _worst(report) not in {MtaOutcome.ACCEPT, None} else Need.WORKS
    if report.side is Side.OURS and report.cause is not Cause.POLICY_REFUSAL:
        return Need.OURS
    return _NEEDS.get(report.cause, Need.UNCLEAR)


_NEEDS = {
    Cause.MISSING_SENDER: Need.MISSING,
    Cause.FIREWALL_TIMEOUT: Need.FAILS,
    Cause.UNREACHABLE: Need.FAILS,
    Cause.RFC_NONCOMPLIANT: Need.FAILS,
    Cause.POLICY_REFUSAL: Need.REFUSES_US,
    Cause.TEMPORARY: Need.WAIT,
    Cause.DNS_FAILURE: Need.DNS,
}


def _worst(report: Report) -> MtaOutcome | None:
    """Say what Exim does with the sender, or Postfix where Exim is not predicted."""
    views = (report.mta.exim, report.mta.postfix) if report.mta is not None else ()
    return next((view.outcome for view in views if view is not None), None)


def _deferring(report: Report) -> list[str]:
    if report.mta is None:
        return []
    views = {"exim": report.mta.exim, "postfix": report.mta.postfix}
    return [name for name, view in views.items() if view is not None and view.outcome is MtaOutcome.DEFER]


def _ways(rule: Rule, report: Report, ip: IP, review_after: str) -> tuple[Exemption, ...]:
    domain = report.evidence.address.domain
    deferred = _deferring(report)
    if rule.advice is Advice.JUSTIFIED:
        return exemptions(ip, domain, review_after, everybody=True, deferred=deferred)
    if rule.id == "shared-relay":
        return exemptions(ip, domain, review_after, everybody=False, deferred=deferred)
    if rule.id == "sender-temporary":
        return general_cures(ip, domain, review_after, deferred)
    return ()


class _Case:
    """One relay and sender: the states of the checks, worked out in their order."""

    def __init__(self, report: Report, seen: RelaySeen, asked: Asked) -> None:
        ip = read_ip(seen.ip)
        if ip is None:
            raise ValueError(f"{seen.ip!r} is no IP address")
        self.ip = ip
        self._report = report
        self._seen = seen
        self._asked = asked
        self._address = report.evidence.address
        self.states: dict[str, State] = {}

    def checks(self) -> tuple[RelayCheck, ...]:
        """Make every check; the blocklists have one each."""
        self.states["diagnosis"] = (need(self._report), {})
        self.states["relay-address"] = (self._relay_address(), {})
        self.states["relay-is-not-the-called-mx"] = (self._mail_host(), {})
        self.states["reverse-dns"] = self._reverse_dns()
        self.states["spf"] = self._spf()
        self.states["relation"] = self._relation()
        self.states["shared-provider"] = self._shared()
        made = [self._check(name, state) for name, state in self.states.items()]
        lists = [_listing(listing) for listing in self._seen.listings]
        asked = {listing.zone for listing in self._seen.listings}
        lists += [
            ("failed", {"zone": zone, "outcome": "our time was up"})
            for zone in self._asked.zones
            if zone not in asked
        ]
        made += [self._check("dnsbl", state) for state in lists or [("not-asked", {})]]
        return tuple(made)

    def values(self) -> dict[str, str]:
        """Give what the sentences may name."""
        report = self._report
        return {
            "ip": self._seen.ip,
            "scope": scope(self.ip),
            "mailbox": self._address.mailbox,
            "domain": self._address.domain,
            "cause": report.cause,
            "reason": report.reason,
            "confidence": report.confidence,
            "summary": report.summary,
            "host": self._called() or "",
            "provider": self._provider() or "its provider",
        }

    def _check(self, name: str, state: State) -> RelayCheck:
        row = ROWS[name, state[0]]
        return RelayCheck(name, row.result, row.says.format_map(self.values() | state[1]))

    # --- the checks ------------------------------------------------------------------------------------

    def _relay_address(self) -> str:
        if scope(self.ip) is Scope.PUBLIC:
            return "public"
        return "allowed" if self._asked.allow_private else "not-public"

    def _called(self) -> str | None:
        """Name the mail host that has the relay's address, None where none has."""
        hosts = self._report.evidence.hosts
        return next((f"{host.name} [{host.ip}]" for host in hosts if read_ip(host.ip) == self.ip), None)

    def _mail_host(self) -> str:
        if self._called() is not None:
            return "both" if self._asked.is_relay else "same"
        # Without a mail host there is none that could have been taken for the relay, unless the DNS failed.
        known = self._report.evidence.hosts or self._report.cause is Cause.MISSING_SENDER
        return "other" if known else "unknown"

    def _reverse_dns(self) -> State:
        names = self._seen.names
        if names is None:
            return "time-up", {}
        values = {"outcome": str(names.outcome)}
        if names.outcome in _ABSENT:
            return "missing", values
        if names.outcome is not DnsOutcome.ANSWER:
            return "failed", values
        confirmed = self._confirmed()
        if confirmed:
            why = why_generic(confirmed[0], self._seen.ip)
            values = {"name": confirmed[0], "why": why or ""}
            return ("confirmed" if why is None else "generic"), values
        undecided = [
            found for found in self._seen.addresses if found.outcome not in {*_ABSENT, DnsOutcome.ANSWER}
        ]
        if undecided or len(self._seen.addresses) < len(pointed_names(names)):
            return "failed", {"outcome": undecided[0].outcome if undecided else "our time was up"}
        addresses = _some([record.data for found in self._seen.addresses for record in found.records])
        return "unconfirmed", {"name": _some(pointed_names(names)), "addresses": addresses or "no address"}

    def _confirmed(self) -> list[str]:
        """Give the names of the relay that lead back to it, those of its own before what looks like a provider's."""
        names = self._seen.names
        if names is None:
            return []
        found = [
            name
            for name, addresses in zip(pointed_names(names), self._seen.addresses, strict=False)
            if self.ip in {read_ip(record.data) for record in addresses.records}
        ]
        return sorted(found, key=lambda name: why_generic(name, self._seen.ip) is not None)

    def _spf(self) -> State:
        spf = self._seen.spf
        if self._address.kind is AddressKind.LITERAL:
            return "literal", {}
        if spf is None:
            return "time-up", {}
        values = {"term": spf.term or "", "by": spf.domain, "problem": spf.problem or ""}
        if spf.result is SpfResult.PASS and _OPEN.fullmatch(spf.term or ""):
            return "open", values
        return spf.result, values

    def _relation(self) -> State:
        names = [name for name in self._confirmed() if why_generic(name, self._seen.ip) is None]
        sender = self._organisation(self._address.domain)
        for name in names:
            organisation = self._organisation(name)
            if organisation is not None and organisation == sender:
                return "own", {"name": name, "organisation": organisation}
        for name in names:
            organisation = self._organisation(name)
            host = self._mail_host_of(organisation)
            if host is not None and provider_of(name) is None:
                return "mail-host", {"name": name, "organisation": organisation or "", "host": host}
        if self.states["spf"][0] == "pass":
            return "authorised", {}
        if self.states["spf"][0] in {"temperror", "time-up"} or self.states["reverse-dns"][0] in {
            "failed",
            "time-up",
        }:
            return "unknown", {}
        confirmed = self._confirmed()
        if not confirmed:
            return "nameless", {}
        name = confirmed[0]
        if (provider := provider_of(name)) is not None:
            return "provider", {"name": name, "provider": provider}
        return "none", {"name": name, "organisation": self._organisation(name) or "nobody in particular"}

    def _shared(self) -> State:
        for name in self._confirmed():
            if (provider := provider_of(name)) is not None:
                return "listed", {"name": name, "provider": provider}
        spf, (relation, values) = self._seen.spf, self.states["relation"]
        if self.states["spf"][0] == "pass" and spf is not None:
            by, sender = self._organisation(spf.domain), self._organisation(self._address.domain)
            if by != sender:
                provider = provider_of(canonical(spf.domain))
                if provider is not None:
                    return "listed", {
                        "name": f"{self._seen.ip} (SPF record of {spf.domain})",
                        "provider": provider,
                    }
                return "authorised", {"by": spf.domain}
        if relation == "mail-host" and values["organisation"] != self._organisation(self._address.domain):
            return "hosted", values
        if relation == "unknown":
            return "unknown", {}
        return "own", {}

    def _provider(self) -> str | None:
        state, values = self.states.get("shared-provider", ("", {}))
        return values["provider"] if state == "listed" else None

    def _organisation(self, name: str) -> str | None:
        return self._seen.organisations.get(canonical(name))

    def _mail_host_of(self, organisation: str | None) -> str | None:
        if organisation is None:
            return None
        names = (host.name for host in self._report.evidence.hosts)
        return next((name for name in names if self._organisation(name) == organisation), None)


def pointed_names(found: Found) -> list[str]:
    """Give the names that a PTR look-up found and that are looked at: the first few."""
    return [canonical(record.data) for record in found.records[:SHOWN]]


def _listing(listing: Listing) -> State:
    """Read what a blocklist answered: A records in 127.0.0.0/8 are listings (RFC 5782 2.1), but for 127.255.255.x.

    That is what the large lists answer to a resolver that they do not serve, and it has been taken for a listing
    of the whole Internet more than once.
    """
    found = listing.found
    codes = [record.data for record in found.records]
    values = {"zone": listing.zone, "codes": _some(codes), "outcome": str(found.outcome)}
    if found.outcome in _ABSENT:
        return "clean", values
    if found.outcome is not DnsOutcome.ANSWER:
        return "failed", values
    if any(code.startswith("127.255.255.") for code in codes):
        return "refused", values
    if not codes or not all(code.startswith("127.") for code in codes):
        return "odd", values
    return "listed", values


def _some(items: list[str]) -> str:
    more = f" and {len(items) - SHOWN} more" if len(items) > SHOWN else ""
    return ", ".join(items[:SHOWN]) + more


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")
