"""Relays as a look at the DNS would show them, and preflights made of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from probe.core.chain import Found
from probe.core.exemption.preflight import judge
from probe.core.exemption.relay import Asked, Listing, RelaySeen
from probe.core.model import Cause, DnsOutcome, MtaOutcome, Side
from probe.core.spf import Spf
from probe.core.spf.record import SpfResult
from tests.support import make

if TYPE_CHECKING:
    from probe.core.exemption.relay import Preflight
    from probe.core.model import Report

RELAY, RELAY_NAME = "192.0.2.59", "relay1.example.com"
DOMAIN = "customer.example.com"
UNTIL = "2027-02-20"
PRIVATE = Asked(allow_private=True)
"""Relays of the examples have addresses of documents."""
ORGANISATIONS = {
    DOMAIN: "example.com",
    RELAY_NAME: "example.com",
    make.MX: "example.com",
    "out.hoster.example.net": "example.net",
    "mx.hoster.example.net": "example.net",
    "mail-a.outbound.protection.outlook.com": "outlook.com",
    "spf.protection.outlook.com": "outlook.com",
    "spf.example.org": "example.org",
}


def found(*data: str, outcome: DnsOutcome = DnsOutcome.ANSWER, rdtype: str = "A") -> Found:
    records = tuple(make.record("x.example.com", rdtype, each) for each in data)
    return Found(outcome, "x.example.com", records)


def failed(outcome: DnsOutcome) -> Found:
    return Found(outcome, "x.example.com")


def spf(result: SpfResult = SpfResult.PASS, term: str | None = "ip4:192.0.2.59", domain: str = DOMAIN) -> Spf:
    problem = "it is broken" if result in {SpfResult.PERMERROR, SpfResult.TEMPERROR} else None
    return Spf(result=result, domain=domain, term=term, record="v=spf1 -all", problem=problem)


def relay(name: str = RELAY_NAME, ip: str = RELAY, said: Spf | None = None, *lists: Listing) -> RelaySeen:
    """Make a relay whose name leads back to it; `said` is the sender's SPF result, by default that there is none."""
    return RelaySeen(
        ip=ip,
        names=found(f"{name}.", rdtype="PTR"),
        addresses=(found(ip),),
        spf=spf(SpfResult.NONE, None) if said is None else said,
        listings=lists,
        organisations=ORGANISATIONS,
    )


def diagnosis(cause: Cause, reason: str = "connect.timeout", side: Side = Side.PATH) -> Report:
    """Make the diagnosis of a sender with one mail host."""
    outcomes = {Cause.SENDER_EXISTS: MtaOutcome.ACCEPT, Cause.MISSING_SENDER: MtaOutcome.REJECT}
    report = make.report(
        make.host_report(cause=cause, reason=reason),
        cause=cause,
        reason=reason,
        side=side,
        summary=f"mx1 says {cause}.",
        mta=make.mta(outcomes.get(cause, MtaOutcome.DEFER)),
    )
    return replace(report, evidence=make.evidence(make.host()))


def preflight(
    report: Report | None = None, seen: RelaySeen | None = None, asked: Asked = PRIVATE
) -> Preflight:
    """Judge a relay; by default a sender behind a firewall, and a relay of its own organisation."""
    return judge(
        diagnosis(Cause.FIREWALL_TIMEOUT) if report is None else report,
        relay() if seen is None else seen,
        asked,
        UNTIL,
    )
