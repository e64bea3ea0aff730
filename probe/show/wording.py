"""Words and numbers that the views share: who has to act, what an outcome is called, how long it took."""

from __future__ import annotations

from typing import TYPE_CHECKING

from probe.core.model import Answer, Cause, ConnectOutcome, Severity, Side, Skip, Who
from probe.core.reasons import REASONS
from probe.show.printable import visible

if TYPE_CHECKING:
    from probe.core.model import HostEvidence, HostReport, Report, Violation

SIDES = {
    Side.THEIRS: "theirs (their mail host, or its policy)",
    Side.OURS: "ours (our address, HELO name, network or settings)",
    Side.PATH: "the path (a firewall or a network between us and them)",
    Side.DNS: "the DNS (the domain's name servers, or our resolver)",
    Side.UNKNOWN: "not known yet",
}

WHO = {
    Who.SUPPORT: "support",
    Who.OUR_ADMIN: "our admin",
    Who.THEIR_ADMIN: "their admin",
    Who.SENDER: "the sender",
}

SEVERITIES = {
    Severity.DEFEATS: "defeats verification",
    Severity.RISKY: "risky",
    Severity.COSMETIC: "harmless",
}

CATCH_ALL = {
    True: "yes, the host accepts any address of the domain, so acceptance proves no mailbox",
    False: "no, the host refuses an address that was made up, so acceptance means something",
}

SKIPS = {
    Skip.NOT_PUBLIC: "its address is not public",
    Skip.FAMILY: "its address family was excluded",
    Skip.DEFINITE: "another host had given a definite answer",
    Skip.LIMIT: "more hosts than are tried",
    Skip.CUT_SHORT: "the time was up",
    Skip.HELD_BACK: "it is not to be asked more often now",
}

CONNECTS = {
    ConnectOutcome.CONNECTED: "connected",
    ConnectOutcome.TIMEOUT: "no answer to the connection attempt",
    ConnectOutcome.REFUSED: "connection refused",
    ConnectOutcome.HOST_UNREACHABLE: "host unreachable",
    ConnectOutcome.NET_UNREACHABLE: "network unreachable",
    ConnectOutcome.PROHIBITED: "connection prohibited by a router or firewall",
    ConnectOutcome.RESET: "connection reset",
    ConnectOutcome.NO_ROUTE: "no route from this host",
    ConnectOutcome.LOCAL: "this host could not open the connection",
    ConnectOutcome.CUT_SHORT: "the run ended before an answer",
}

ANSWERS = {
    Answer.CONNECTED: "connected",
    Answer.RESET: "refused",
    Answer.ECHO: "echo",
    Answer.TIME_EXCEEDED: "time exceeded",
    Answer.PORT_UNREACHABLE: "port unreachable",
    Answer.HOST_UNREACHABLE: "host unreachable",
    Answer.NET_UNREACHABLE: "net unreachable",
    Answer.PROHIBITED: "prohibited",
    Answer.LOCAL: "not sent",
    Answer.SILENT: "no answer",
}


def terms(violation: Violation) -> str:
    """Say which sections a violation breaks and what that costs: `RFC 5321 4.5.5, risky` (not yet safe)."""
    sections = ((5321, violation.section_5321), (2821, violation.section_2821))
    parts = dict.fromkeys(_section(rfc, section) for rfc, section in sections if section)
    return ", ".join([*parts, SEVERITIES[violation.severity]])


def _section(rfc: int, section: str) -> str:
    """Name the RFC in front of a section of it; what another RFC requires names that itself."""
    return section if section.startswith("RFC") else f"RFC {rfc} {section}"


def brief_violations(report: Report) -> list[str]:
    """Name the violations that cost something, each once: `null-sender (RFC 5321 4.5.5), risky`."""
    named = (
        f"{each.id} ({_section(5321, each.section_5321)}), {SEVERITIES[each.severity]}"
        if each.section_5321
        else f"{each.id} ({terms(each)})"
        for each in report.violations
        if each.severity is not Severity.COSMETIC
    )
    return list(dict.fromkeys(named))


def seconds(lapse: float) -> str:
    """Give a lapse in seconds as a person would say it: `20 ms`, `2.5 s`, `10 s`."""
    if lapse < 0.0005:
        return "0 s"
    if lapse < 0.9995:
        return f"{lapse * 1000:.0f} ms"
    if lapse < 9.95:
        return f"{lapse:.1f}".removesuffix(".0") + " s"
    return f"{lapse:.0f} s" if lapse < 1e6 else f"{lapse:g} s"


def age(lapse: float) -> str:
    """Give how old something is, rounded down as a person would say it: `40 minutes`, `3 hours`, `2 days`."""
    if not lapse >= 1:  # nor is what is no number
        return "1 second"
    for size, unit in _AGES:
        if lapse >= 2 * size:
            return f"{min(lapse, _OLDEST) // size:.0f} {unit}s"
    return count(int(lapse), "second")


_AGES = ((86400.0, "day"), (3600.0, "hour"), (60.0, "minute"))
"""From two of a unit on it is counted in it: 90 minutes are not said to be an hour."""
_OLDEST = 1e12
"""Seconds since before there was any mail; more is no age."""


def before(report: Report) -> list[str]:
    """Say that the answer is kept from an earlier time, and what the probe before it showed (not yet safe)."""
    said = []
    if (stored := report.stored) is not None:
        who = "" if stored.asked == report.evidence.address.mailbox else f" about {stored.asked}"
        said.append(f"Asked{who} {age(stored.age)} ago; this is out of the store.")
    if (earlier := report.earlier) is not None:
        said.append(changed(report) or f"As {age(earlier.age)} ago.")
    return said


def changed(report: Report) -> str | None:
    """Say what the probe before showed, where that is something else (not yet safe)."""
    earlier = report.earlier
    if earlier is None or (earlier.cause, earlier.reason) == (report.cause, report.reason):
        return None
    return f"Changed: {age(earlier.age)} ago it was {earlier.cause} ({earlier.reason})."


def round_trip(lapse: float) -> str:
    """Give a lapse as `seconds` does, and below a millisecond, as in a local network, in tenths of one."""
    return f"{max(lapse, 0.0) * 1000:.1f} ms" if lapse < 0.00095 else seconds(lapse)


def count(number: int, one: str, many: str | None = None) -> str:
    """Give a number with its noun, in the plural where it belongs: `1 host`, `2 addresses`."""
    if number == 1:
        return f"1 {one}"
    return f"{number} {one + 's' if many is None else many}"


def other_forms(report: Report) -> tuple[str, ...]:
    """Give the address in the forms that were not given: as it is sent, and as a person reads its domain.

    The second is left out when it holds anything that would have to be escaped. Both forms together are
    what makes a look-alike domain visible.
    """
    sent = report.evidence.address
    forms: list[str] = []
    for form in (sent.mailbox, f"{sent.local}@{sent.unicode_domain}"):
        known = [report.address.casefold(), *(known.casefold() for known in forms)]
        if form.casefold() not in known and visible(form) == form:
            forms.append(form)
    return tuple(forms)


def decisive(report: Report) -> HostReport | None:
    """Give the host whose verdict became that of the report; None when no single host carried it."""
    for host in report.hosts:
        if host.cause is report.cause and host.reason == report.reason:
            return host
    return None


def is_untold(report: Report, host: HostEvidence) -> bool:
    """Tell whether the report has no verdict of its own on a mail host address."""
    return all((told.name, told.ip) != (host.name, host.ip) for told in report.hosts)


def arguments(report: Report) -> list[str]:
    """Give the sentences of the argument but the one that the summary repeats (not yet safe)."""
    return [reason.says for reason in report.because if reason.says != report.summary]


def short_arguments(report: Report) -> list[str]:
    """Give the sentences that a person needs first (not yet safe): what was seen, before what it means.

    A sentence that points to no evidence says what the reason means in general. It is given only where no
    other is left, without its references. The sentence of a host that did not decide is left to the table.
    """
    others = {host.says for host in report.hosts} if len(report.hosts) > 1 else set()
    left = [reason for reason in report.because if reason.says not in {report.summary, *others}]
    seen = [reason.says for reason in left if reason.points_to]
    if seen:
        return seen
    row = REASONS.get(report.reason)
    references = f" ({row.ref})" if row else ""
    return [reason.says.removesuffix(references) for reason in left]


def needs_action(report: Report) -> bool:
    """Tell whether anybody has to act at all: a sender that verifies is nobody's move."""
    return report.cause is not Cause.SENDER_EXISTS or report.side is not Side.UNKNOWN
