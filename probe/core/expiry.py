"""For how long what was learned is believed: the times of Exim's callout cache and of the DNS. Pure.

An address that was accepted or refused is believed as long as Exim believes it (`callout_positive_expire`,
`callout_negative_expire`), a domain that refuses `MAIL FROM:<>` as long as Exim keeps that of the domain
(`callout_domain_negative_expire`), the test for a catch-all as long as its record (`callout_domain_positive_expire`).
What Exim does not keep at all, such as a deferral, a time-out or a failure of the DNS, is believed for five minutes:
RFC 2308 7.1 has the same bound for the failure of a name server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from probe.core.callout import DOMAIN_NEGATIVE, DOMAIN_POSITIVE, NEGATIVE, POSITIVE
from probe.core.model import Cause, DnsOutcome, Stage

if TYPE_CHECKING:
    from probe.core.model import DnsAnswer, HostReport, Options, Report

NOT_KEPT = 300.0
"""Seconds for everything that Exim does not keep."""
LONGEST_TTL = 86400.0
"""Seconds that a DNS answer is kept at most, whatever its TTL says; name servers bound it likewise (RFC 8767 4)."""
LONGEST_NEGATIVE_TTL = 10800.0
"""Seconds that the absence of a name or a type is kept at most (RFC 2308 5)."""

HELD_BACK = "host.held-back"
"""The reason of an address whose mail host was not to be asked more often that day: it has no answer."""
_NULL_SENDER_REFUSED = frozenset({"mail.null-sender-refused", "rcpt.null-sender-refused"})
_ANSWERED = frozenset({Cause.SENDER_EXISTS, Cause.MISSING_SENDER, Cause.POLICY_REFUSAL, Cause.INCONCLUSIVE})
"""The causes that a reply to RCPT may lead to; with any other one its reply is not the answer."""


def key(options: Options) -> str:
    """Give a short name for what shapes an answer: evidence under another name answers another question.

    That are the port, our sender, address families, source address, HELO name, TLS mode, what else is asked of the
    hosts, and the name servers; not the time-outs, the trace, nor --fast.
    """
    from hashlib import blake2b  # noqa: PLC0415  # a single probe needs it after the answer only

    shaped_by = (
        options.port,
        options.mail_from,
        sorted(options.families),
        options.source,
        options.helo,
        options.tls.value,
        options.catch_all,
        options.all_hosts,
        options.allow_private,
        list(options.dns_servers),
        options.audit,
    )
    return blake2b(repr(shaped_by).encode(errors="backslashreplace"), digest_size=8).hexdigest()


def lasts(report: Report) -> float:
    """Give for how many seconds from its end the evidence answers for its address; 0.0 is not at all."""
    if report.reason == HELD_BACK:
        return 0.0
    if _refuses_null_sender(report):
        return DOMAIN_NEGATIVE
    if report.cause not in _ANSWERED or not any(_said(host) for host in _decisive(report)):
        return NOT_KEPT
    # One host refuses and another accepts: which of them Exim asks first may change, so the shorter time holds.
    return NEGATIVE if any(_said(host) == "5" for host in report.hosts) else POSITIVE


def _decisive(report: Report) -> tuple[HostReport, ...]:
    return tuple(host for host in report.hosts if (host.cause, host.reason) == (report.cause, report.reason))


def _refuses_null_sender(report: Report) -> bool:
    """Tell whether a host refuses the null sender for good; nobody keeps a 4xx."""
    return report.reason in _NULL_SENDER_REFUSED and not any(
        (host.reply or "").startswith("4") for host in _decisive(report)
    )


def _said(host: HostReport) -> str | None:
    """Give the class of a host's reply to RCPT, where that can be told; None where there is no lasting one."""
    if host.stage is not Stage.RCPT or host.reply is None or not host.transcript_ok:
        return None
    return host.reply[0] if host.reply[:1] in {"2", "5"} else None


def for_domain(report: Report) -> float:
    """Give for how many seconds it says something of every address of the domain; 0.0 where it does not.

    That is a host that refuses the null sender, and the test for a catch-all where it came to a result.
    """
    if _refuses_null_sender(report):
        return DOMAIN_NEGATIVE
    if report.evidence.options.catch_all and report.catch_all is not None:
        return DOMAIN_POSITIVE
    return 0.0


def dns_ttl(answer: DnsAnswer) -> float:
    """Give for how many seconds from `answer.ended` the answer holds; 0.0 is not at all.

    An answer holds as long as the shortest TTL in its chain (RFC 2181 8: one with the top bit set is 0), the absence
    of a name or a type as long as its SOA says (RFC 2308 5), and without one not at all.
    """
    if answer.outcome is DnsOutcome.ANSWER:
        ttls = (record.ttl if 0 <= record.ttl < 1 << 31 else 0 for record in answer.records)
        return min(float(min(ttls, default=0)), LONGEST_TTL)
    if answer.outcome in {DnsOutcome.NXDOMAIN, DnsOutcome.NODATA}:
        minimum = answer.soa_minimum or 0
        return min(float(minimum), LONGEST_NEGATIVE_TTL) if 0 <= minimum < 1 << 31 else 0.0
    return 0.0 if answer.outcome is DnsOutcome.CUT_SHORT else NOT_KEPT
