"""What Postfix concludes from the DNS alone, in its words (smtp_addr.c, dns_lookup.c).

It looks for an address also where the MX look-up says that the domain does not exist, so every "not found" speaks
of the type that was asked last. A null MX counts beside other MX records too. An MX record that holds an IP address
is a host like any other for Postfix, which is why such a domain is not decided here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from probe.core.mail_hosts import addresses_of, spelt
from probe.core.model import DnsOutcome
from probe.core.route import ExchangeKind, Route, RouteState

if TYPE_CHECKING:
    from probe.core.model import Evidence


class Nowhere(Struct, frozen=True):
    """No host can be tried: why, its enhanced code, and what the log says beside."""

    why: str
    dsn: str
    warnings: tuple[str, ...] = ()


def without_host(evidence: Evidence, way: Route) -> Nowhere | None:
    """Say why Postfix has no host to try; None where it has one, or where that was not seen."""
    domain = evidence.address.domain
    if any(exchange.kind is ExchangeKind.NULL for exchange in way.exchanges):
        return Nowhere(f"Domain {domain} does not accept mail (nullMX)", "5.1.0")
    if way.state in _BY_MX:
        why, failed = _says(_BY_MX[way.state], domain, "MX")
        return Nowhere(why, "4.4.3" if failed else "5.4.4")
    if way.state is RouteState.NXDOMAIN:
        return Nowhere(_says(DnsOutcome.NXDOMAIN, domain, "AAAA")[0], "5.4.4")
    if way.state is RouteState.CNAME_LOOP:
        why = _says(DnsOutcome.CNAME_LOOP, domain, "MX")[0]
        return Nowhere(why, "5.4.4", (_looping(domain),) * 3)  # for MX, A and AAAA
    if way.state not in _BY_HOSTS or way.targets:
        return None
    if not way.exchanges:
        return _addresses(evidence, (domain,))
    if any(exchange.kind is not ExchangeKind.HOST for exchange in way.exchanges):
        return None
    found = _addresses(evidence, tuple(exchange.name for exchange in way.exchanges))
    warning = f"no MX host for {domain} has a valid address record"
    return None if found is None else replace(found, warnings=(*loops(evidence, way), warning))


def loops(evidence: Evidence, way: Route) -> tuple[str, ...]:
    """Give the warning that each look-up of a mail host leaves whose aliases lead in a circle."""
    return tuple(
        _looping(spelt(exchange.name, evidence))
        for exchange in way.exchanges
        for outcome in (exchange.ipv4, exchange.ipv6)
        if outcome is DnsOutcome.CNAME_LOOP
    )


def _looping(name: str) -> str:
    return f"dns_lookup: {_says(DnsOutcome.CNAME_LOOP, name, 'A')[0]}"


_BY_MX = {
    RouteState.SERVFAIL: DnsOutcome.SERVFAIL,
    RouteState.REFUSED: DnsOutcome.REFUSED,
    RouteState.TIMEOUT: DnsOutcome.TIMEOUT,
    RouteState.LAME: DnsOutcome.LAME,
    RouteState.OTHER_RCODE: DnsOutcome.OTHER_RCODE,
    RouteState.MALFORMED: DnsOutcome.MALFORMED,
}
_BY_HOSTS = frozenset({RouteState.NO_MAIL_HOST, RouteState.DANGLING, RouteState.EXCHANGES_FAILED})


def _addresses(evidence: Evidence, names: tuple[str, ...]) -> Nowhere | None:
    """Tell of hosts without an address: the last look-up speaks, but of one host a failure speaks first.

    One failure among them makes the whole temporary. None where a look-up was not made (-4, -6).
    """
    why, dsn, soft = "", "5.4.4", False
    for name in names:
        failed_here = False
        for kind in ("A", "AAAA"):
            found = addresses_of(name, kind, evidence)
            if found.question is not None:
                return None
            says, failed = _says(found.outcome, spelt(found.owner, evidence), kind)
            if failed or not failed_here:
                why = says
            failed_here = failed_here or failed
        soft = soft or failed_here
        dsn = "4.4.3" if failed_here else "4.4.4" if soft else "5.4.4"
    return Nowhere(why, dsn)


def _says(outcome: DnsOutcome, name: str, kind: str) -> tuple[str, bool]:
    """Word a look-up without a result; and whether it failed, so that trying again may help.

    The C library has one word for all failures of a name server (netdb.h, TRY_AGAIN).
    """
    error = f"Name service error for name={name} type={kind}: "
    if outcome is DnsOutcome.NXDOMAIN:
        return f"{_NONE}{error}Host not found", False
    if outcome is DnsOutcome.NODATA:
        return f"{_NONE}{error}Host found but no data record of requested type", False
    if outcome is DnsOutcome.CNAME_LOOP:
        return f"Name server loop for {name}", False
    if outcome is DnsOutcome.MALFORMED:
        return f"{error}Malformed or unexpected name server reply", True
    return f"{_NONE}{error}Host not found, try again", True


_NONE = "Host or domain name not found. "
