"""Requirements of RFC 2821 and 5321 that a callout can see broken: a table, one row each."""

from __future__ import annotations

from msgspec import Struct

from probe.core.model import Level, Severity


class Requirement(Struct, frozen=True):
    """One requirement: its sections in RFC 2821 and 5321 (or the RFC that holds it) and what breaking it costs.

    `says` is the requirement in a sentence, `test` what we look at, `mend` what their admin has to do. `audit`
    says that only --audit asks for it. `example` is what breaks it, as the report quotes it.
    """

    id: str
    section_2821: str | None
    section_5321: str | None
    level: Level
    severity: Severity
    says: str
    test: str
    mend: str
    example: str
    audit: bool = False


_MUST, _SHOULD = Level.MUST, Level.SHOULD
_DEFEATS, _RISKY, _COSMETIC = Severity.DEFEATS, Severity.RISKY, Severity.COSMETIC

REQUIREMENTS: dict[str, Requirement] = {
    row.id: row
    for row in (
        Requirement("null-sender", "4.1.1.2, 6.1 (RFC 1123 5.2.9)", "4.5.5, 6.1", _MUST, _DEFEATS, "The null sender <> must be accepted.", "", "", ""),
        Requirement("greeting", "3.1, 4.3.2", "3.1, 4.3.2", _MUST, _DEFEATS, "A server opens with 220, or refuses with 554.", "", "", ""),
        Requirement("reply-form", "4.2, 4.2.1", "4.2, 4.2.1", _MUST, _DEFEATS, "A reply is three digits, a space or hyphen, and text.", "", "", ""),
        Requirement("reply-codes", "4.2.1", "4.2.1", _MUST, _RISKY, "Every line of a reply carries the same code.", "", "", ""),
        Requirement("reply-digits", "4.2.1, 4.3.2", "4.2, 4.2.1", _MUST, _RISKY, "The first digit of a reply code is 2 to 5.", "", "", ""),
        Requirement("one-reply", "4.2", "4.2", _MUST, _RISKY, "Every command has exactly one reply.", "", "", ""),
        Requirement("stays-open", "3.9", "3.8", _MUST, _DEFEATS, "A server closes only after QUIT, or after it said 421.", "", "", ""),
        Requirement("crlf", "2.3.7", "2.3.8", _MUST, _COSMETIC, "Lines end with CR LF and nothing else.", "", "", ""),
        Requirement("line-length", "4.5.3.1", "4.5.3.1.5", _MUST, _COSMETIC, "A reply line has at most 512 octets.", "", "", ""),
        Requirement("ascii", "4.2", "4.2", _MUST, _COSMETIC, "Reply text is printable ASCII.", "", "", ""),
        Requirement("ehlo", "4.5.1, 4.1.1.1", "4.5.1, 4.1.1.1", _MUST, _COSMETIC, "EHLO must be supported.", "", "", ""),
        Requirement("tls-optional", "RFC 3207 4", "RFC 3207 4", _MUST, _DEFEATS, "A public mail host must not require STARTTLS.", "", "", ""),
        Requirement("starttls-works", "RFC 3207 4.1", "RFC 3207 4.1", _MUST, _RISKY, "STARTTLS that is offered works.", "", "", ""),
        Requirement("quit-reply", "4.1.1.10", "4.1.1.10", _MUST, _COSMETIC, "QUIT is answered with 221.", "", "", ""),
        Requirement("mx-is-name", "5, 3.6", "5.1", _MUST, _DEFEATS, "MX data is a host name, never an IP address.", "", "", ""),
        Requirement("mx-not-alias", "3.6, 5 (RFC 2181 10.3)", "5.1", _MUST, _COSMETIC, "The host that an MX record names is no alias (CNAME).", "", "", ""),
        Requirement("mx-resolves", "5", "5.1", _MUST, _RISKY, "The host that an MX record names has an address.", "", "", ""),
        Requirement("null-mx-alone", "RFC 7505 3", "RFC 7505 3", _MUST, _RISKY, "A null MX stands alone.", "", "", ""),
    )
}  # fmt: skip
"""Every requirement that the normal conversation can show, by its id."""
