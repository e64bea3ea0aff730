"""The requirements of RFC 2821 and 5321: what each asks, how it is tested, what breaking it looks like and costs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from probe.core.model import Severity
from probe.core.rfc.requirements import REQUIREMENTS
from probe.show.glossary.entry import Entry, Group, Kind, Listing
from probe.show.wording import SEVERITIES

if TYPE_CHECKING:
    from probe.core.rfc.requirements import Requirement

_COSTS = {
    Severity.DEFEATS: "defeats verification: it can make the cause rfc-noncompliant",
    Severity.RISKY: "risky: it does not fail this callout, but may fail others",
    Severity.COSMETIC: "harmless: mail servers put up with it",
}
_ASKED = {
    False: "by every probe that gets so far",
    True: "with --audit only",
}


def requirement(row: Requirement) -> Entry:
    """Explain a requirement."""
    return Entry(
        kind=Kind.REQUIREMENT,
        word=row.id,
        heading="requirement",
        means=row.says,
        example=row.example,
        facts=(
            ("Sections", _sections(row)),
            ("Level", row.level),
            ("Costs", _COSTS[row.severity]),
            ("Test", row.test),
            ("Tested", _ASKED[row.audit]),
            ("Mend", row.mend),
        ),
        brief=(f"{row.level}, {_sections(row)}{' [--audit]' if row.audit else ''}", row.says),
        fields={
            "requirement": row.id,
            "section_2821": row.section_2821,
            "section_5321": row.section_5321,
            "level": row.level,
            "severity": row.severity,
            "test": row.test,
            "audit": row.audit,
            "mend": row.mend,
        },
    )


def listing() -> Listing:
    """List the requirements, the costly ones first."""
    groups = []
    for severity in Severity:
        rows = tuple(requirement(row) for row in REQUIREMENTS.values() if row.severity is severity)
        groups.append(Group(f"{SEVERITIES[severity].capitalize()} ({len(rows)})", rows))
    return Listing(
        title="Requirements that are audited",
        about="What RFC 2821 and 5321, and the RFCs that they rest on, require of a mail host, as far as a callout can"
        " see it. `violations` of a report names what a mail host breaks. What is marked [--audit] is tested with"
        " that option only. `probe-sender explain ID` says how each is tested, and its mend.",
        groups=tuple(group for group in groups if group.entries),
    )


def _sections(row: Requirement) -> str:
    """Name the sections of both RFCs, once where they have not moved."""
    new, old = row.section_5321, row.section_2821
    if new and new == old:
        return _named("2821 and 5321", new)
    return "; ".join(_named(rfc, section) for rfc, section in (("5321", new), ("2821", old)) if section)


def _named(rfc: str, section: str) -> str:
    """Name the RFC in front of a section of it; what another RFC requires names that itself."""
    return section if section.startswith("RFC") else f"RFC {rfc} {section}"
