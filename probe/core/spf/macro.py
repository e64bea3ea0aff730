"""The macros of SPF (RFC 7208 7): their syntax, and their expansion in the names that are looked up.

The letters c, r and t stand only in the text that `exp=` leads to, which is not read here: what it says is for the
one who is refused.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from probe.core.scope import IP

_MAX_NAME = 253
"""Characters of a name; what is longer loses labels at its left (RFC 7208 7.3)."""
_ALL_PARTS = 128
"""Labels that a name can have: whoever asks for more gets them all (RFC 7208 7.3)."""

_MACRO = re.compile(
    r"%\{(?P<letter>[a-z])(?P<digits>[0-9]*)(?P<reverse>r?)(?P<delimiters>[-.+,/_=]*)\}", re.IGNORECASE
)
_TOKEN = re.compile(r"%\{[^{}]*\}|%.|[\x21-\x24\x26-\x7e]", re.DOTALL)
_PLAIN = {"%%": "%", "%_": " ", "%-": "%20"}
_LETTERS = frozenset("slodipvh")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


class SpfSyntaxError(ValueError):
    """A record that cannot be read: `permerror`. The text says what is wrong, and may quote the record."""


class Identity(Struct, frozen=True):
    """Who is checked: the client's address, the sender's two halves, and the name of HELO."""

    ip: IP
    local: str
    domain: str
    helo: str


def tokens(text: str) -> list[str]:
    """Cut a macro-string into single characters and macros; what is neither is left out."""
    return _TOKEN.findall(text)


def is_macro_string(text: str) -> bool:
    """Whether the text keeps the syntax of macros, and names only those that a domain may hold."""
    parts = tokens(text)
    return sum(map(len, parts)) == len(text) and all(
        _is_known(part) for part in parts if part.startswith("%")
    )


def _is_known(part: str) -> bool:
    if part in _PLAIN:
        return True
    found = _MACRO.fullmatch(part)
    # The number of labels to keep must not be 0 (RFC 7208 7.1).
    return (
        found is not None
        and found["letter"].lower() in _LETTERS
        and (not found["digits"] or found["digits"].strip("0") != "")
    )


def asks_for_name(text: str) -> bool:
    """Whether %{p} is among the macros, for which the client's name has to be known."""
    return any(part[:3].lower() == "%{p" for part in tokens(text))


def expand(text: str, domain: str, who: Identity, name: str) -> str:
    """Expand a domain-spec. `domain` is the current one (%{d}), `name` the validated name of the client (%{p})."""
    values = {
        "s": f"{who.local}@{who.domain}",
        "l": who.local,
        "o": who.domain,
        "d": domain,
        "i": _dotted(who.ip),
        "p": name,
        "v": "in-addr" if who.ip.version == 4 else "ip6",
        "h": who.helo,
    }
    expanded = "".join(_value(part, values) for part in tokens(text)).removesuffix(".")
    while len(expanded) > _MAX_NAME and "." in expanded:
        expanded = expanded.partition(".")[2]
    return expanded


def _value(part: str, values: dict[str, str]) -> str:
    if not part.startswith("%"):
        return part
    found = _MACRO.fullmatch(part)
    if found is None:
        return _PLAIN[part]
    letter = found["letter"]
    pieces = re.split(f"[{re.escape(found['delimiters'] or '.')}]", values[letter.lower()])
    if found["reverse"]:
        pieces.reverse()
    digits = found["digits"].lstrip("0")
    kept = pieces[-int(digits) :] if 0 < len(digits) < len(str(_ALL_PARTS)) + 1 else pieces
    value = ".".join(kept)
    return _url_escaped(value) if letter.isupper() else value


def _dotted(ip: IP) -> str:
    """Write the address as %{i} has it: dotted, and IPv6 in nibbles (RFC 7208 7.3)."""
    return str(ip) if ip.version == 4 else ".".join(f"{int(ip):032X}")


def _url_escaped(text: str) -> str:
    return "".join(
        char if char in _UNRESERVED else "".join(f"%{octet:02X}" for octet in char.encode()) for char in text
    )
