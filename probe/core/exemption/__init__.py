"""The exemption itself: the ways of `ways.py` with one relay and sender filled in, and the comment on a line."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec import Struct

from probe.core.exemption.relay import Exemption
from probe.core.exemption.ways import WAYS, Style

if TYPE_CHECKING:
    from collections.abc import Iterable

    from probe.core.exemption.ways import Way
    from probe.core.scope import IP


def exemptions(
    ip: IP, domain: str, review_after: str, *, everybody: bool, deferred: Iterable[str]
) -> tuple[Exemption, ...]:
    """Give the ways to exempt, the narrowest first.

    `everybody` is whether those may be among them that cover every sender from the relay; `deferred` the mail
    servers (`exim`, `postfix`) that defer the sender, for which letting deferrals pass is a cure.
    """
    may_defer = set(deferred)
    named = not domain.startswith("[")  # no list of domains holds an address literal
    return tuple(
        _filled(way, ip, domain, review_after)
        for way in WAYS
        if (everybody or not way.everybody)
        and (not way.cures_deferrals or way.mta in may_defer)
        and (named or "{domain}" not in way.line)
    )


def general_cures(ip: IP, domain: str, review_after: str, deferred: Iterable[str]) -> tuple[Exemption, ...]:
    """Give only those ways that name no relay: they let deferrals pass."""
    may_defer = set(deferred)
    return tuple(
        _filled(way, ip, domain, review_after) for way in WAYS if way.cures_deferrals and way.mta in may_defer
    )


def key_of(ip: IP, style: Style) -> str:
    """Write an address as the key of a line."""
    return f'"{ip}"' if ip.version == 6 and style in {Style.IPLSEARCH, Style.PAIRS} else str(ip)


def line_of(ip: IP, domain: str, style: Style) -> str:
    """Write the line that exempts an address, for mail of this domain where the file can say so."""
    behind = {Style.CIDR: " OK", Style.PAIRS: f": {domain}"}
    return key_of(ip, style) + behind.get(style, "")


def _filled(way: Way, ip: IP, domain: str, review_after: str) -> Exemption:
    key = key_of(ip, way.style)
    values = {
        "ip": str(ip),
        "key": key,
        "pattern": _pattern(key),
        "domain": domain,
        "domain_pattern": _pattern(domain),
    }
    return Exemption(
        mta=way.mta,
        file=way.file,
        where=way.where.format_map(values),
        line=way.line.format_map(values),
        bypasses=way.bypasses.format_map(values),
        risk=way.risk.format_map(values),
        undo=way.undo.format_map(values),
        review_after=review_after,
        setup=tuple(line.format_map(values) for line in way.setup),
    )


def _pattern(text: str) -> str:
    """Write a key or a domain as a basic regular expression between slashes and single quotes."""
    return re.sub(r"[^A-Za-z0-9_:\"-]", lambda found: f"\\{found[0]}", text)


# --- the comment on a line -----------------------------------------------------------------------------


class Remark(Struct, frozen=True, kw_only=True):
    """Who exempted a relay, for which sender, why, and until when (dates in the form of ISO 8601).

    `key` is the relay as the entry below has it, None in a remark that a person wrote.
    """

    key: str | None = None
    sender: str | None = None
    by: str | None = None
    added: str | None = None
    until: str | None = None
    why: str | None = None


_KEY = re.compile(r"probe-sender (\S{1,64})", re.ASCII)
_WHY = re.compile(r"(?:^| )why=(.*)")
_SENDER = re.compile(r'(?:^| )sender=<((?:"(?:[^"\\]|\\.){0,128}"|[^">]){1,400})>')
_FIELDS = {
    "by": re.compile(r"(?:^| )by=(\S{1,64})"),
    "added": re.compile(r"(?:^| )added=(\d{4}-\d\d-\d\d)(?= |$)", re.ASCII),
    "until": re.compile(r"(?:^| )until=(\d{4}-\d\d-\d\d)(?= |$)", re.ASCII),
}
_MAX_LINE = 1024
"""Characters of a remark that are read; one that we write has fewer."""


def comment(remark: Remark) -> str:
    """Write a remark as the comment line above its entry."""
    parts = [
        f"# probe-sender {remark.key}",
        None if remark.sender is None else f"sender=<{remark.sender}>",
        None if remark.by is None else f"by={remark.by}",
        None if remark.added is None else f"added={remark.added}",
        None if remark.until is None else f"until={remark.until}",
        # Last, because it is free text.
        None if remark.why is None else f"why={remark.why}",
    ]
    return " ".join(filter(None, parts))


def read_comment(line: str) -> Remark | None:
    """Read a comment line, ours or one in which a person wrote the same fields; None where there is none of them.

    No text makes it raise.
    """
    text = line[:_MAX_LINE].lstrip("# \t").rstrip()
    key = _KEY.match(text)
    values = {"key": None if key is None else key[1]}
    sender = _SENDER.search(text)
    if sender is not None and _WHY.search(text, 0, sender.start()) is None:
        values["sender"] = sender[1]
        # A quoted local part may hold whatever the other fields look like.
        text = f"{text[: sender.start()]} {text[sender.end() :]}"
    free = _WHY.search(text)
    if free is not None:
        values["why"] = free[1]
        text = text[: free.start()]
    for name, pattern in _FIELDS.items():
        field = pattern.search(text)
        values[name] = None if field is None else field[1]
    return Remark(**values) if any(values.values()) else None
