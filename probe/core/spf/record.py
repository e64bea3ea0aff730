"""SPF records as they are published (RFC 7208 4.5, 4.6 and 12): text in, terms out. Nothing is looked up here."""

from __future__ import annotations

import re
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network

from msgspec import Struct

from probe.core.spf.macro import SpfSyntaxError, is_macro_string, tokens


class SpfResult(StrEnum):
    """What `check_host` comes to (RFC 7208 2.6)."""

    PASS = "pass"  # noqa: S105  # no password
    FAIL = "fail"
    SOFTFAIL = "softfail"
    NEUTRAL = "neutral"
    NONE = "none"
    PERMERROR = "permerror"
    TEMPERROR = "temperror"


class Mechanism(Struct, frozen=True):
    """One mechanism: `text` as written, what a match of it means, its name, and what it names.

    `domain` is the domain-spec before its macros are expanded, None where there is none; `network` is that of
    `ip4` and `ip6`; `bits4` and `bits6` are the prefix lengths behind `a` and `mx`.
    """

    text: str
    means: SpfResult
    name: str
    domain: str | None = None
    network: IPv4Network | IPv6Network | None = None
    bits4: int = 32
    bits6: int = 128


class Record(Struct, frozen=True):
    """A record: its mechanisms in order, and the domain-spec of `redirect=`."""

    mechanisms: tuple[Mechanism, ...]
    redirect: str | None


MAX_OCTETS = 16384
"""Characters of one record that are read. RFC 7208 3.4 advises 450; a DNS message could hold 64 KiB of them."""

_MEANS = {
    "": SpfResult.PASS,
    "+": SpfResult.PASS,
    "-": SpfResult.FAIL,
    "~": SpfResult.SOFTFAIL,
    "?": SpfResult.NEUTRAL,
}
_MODIFIER = re.compile(r"([a-z][a-z0-9_.-]*)=(.*)", re.IGNORECASE | re.ASCII)
_MECHANISM = re.compile(
    r"(?P<qualifier>[-+?~]?)(?P<name>all|include|a|mx|ptr|ip4|ip6|exists)(?P<rest>[:/].*)?",
    re.IGNORECASE | re.ASCII,
)
_DUAL_CIDR = re.compile(r"(?P<head>.*?)(?:/(?P<bits4>0|[1-9][0-9]?))?(?://(?P<bits6>0|[1-9][0-9]{0,2}))?")
# A top-level domain is never all digits (RFC 7208 7.1, `toplabel`).
_TOP_LABEL = re.compile(r"(?![0-9]+$)[0-9a-z](?:[0-9a-z-]{0,61}[0-9a-z])?", re.IGNORECASE | re.ASCII)
_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"|([^\s"]+)')
_ESCAPE = re.compile(r"\\([0-9]{3}|.)")


def text_of(data: str) -> str:
    """Join the strings of a TXT record, given in presentation form, without anything between (RFC 7208 3.3)."""
    return "".join(_ESCAPE.sub(_unescape, quoted or bare) for quoted, bare in _STRING.findall(data))


def _unescape(found: re.Match[str]) -> str:
    digits = found[1]
    return chr(int(digits) & 0xFF) if len(digits) == 3 else digits


def is_spf(text: str) -> bool:
    """Whether a TXT record is an SPF record, of whatever worth (RFC 7208 4.5)."""
    return text[:7].lower() in {"v=spf1", "v=spf1 "}


def parse(text: str) -> Record:
    """Read a whole record; a syntax error anywhere in it raises `SpfSyntaxError` (RFC 7208 4.6)."""
    if len(text) > MAX_OCTETS:
        raise SpfSyntaxError(f"the record has more than {MAX_OCTETS} characters")
    if not text.isascii():
        raise SpfSyntaxError("the record is not ASCII")
    mechanisms: list[Mechanism] = []
    modifiers: dict[str, str] = {}
    for term in filter(None, text[6:].split(" ")):
        if modifier := _MODIFIER.fullmatch(term):
            name = modifier[1].lower()
            _check_modifier(name, modifier[2], modifiers)
            modifiers[name] = modifier[2]
        else:
            mechanisms.append(_mechanism(term))
    return Record(tuple(mechanisms), modifiers.get("redirect"))


def _check_modifier(name: str, value: str, before: dict[str, str]) -> None:
    if name in {"redirect", "exp"}:
        if name in before:
            raise SpfSyntaxError(f"{name}= stands there twice")
        _domain_spec(value, f"{name}={value}")
    elif not is_macro_string(value):
        raise SpfSyntaxError(f"{name}={value} has a macro that does not exist")


def _mechanism(term: str) -> Mechanism:
    found = _MECHANISM.fullmatch(term)
    if found is None:
        raise SpfSyntaxError(f"{term} is no mechanism")
    name, rest = found["name"].lower(), found["rest"] or ""
    means = _MEANS[found["qualifier"]]
    if name in {"ip4", "ip6"}:
        return Mechanism(term, means, name, network=_network(name, rest, term))
    if name in {"a", "mx"}:
        return _with_prefix(term, means, name, rest)
    if name == "all" and rest:
        raise SpfSyntaxError(f"{term} takes no argument")
    if not rest:
        if name in {"include", "exists"}:
            raise SpfSyntaxError(f"{term} names no domain")
        return Mechanism(term, means, name)
    return Mechanism(term, means, name, _argument(rest, term))


def _with_prefix(term: str, means: SpfResult, name: str, rest: str) -> Mechanism:
    split = _DUAL_CIDR.fullmatch(rest)
    if split is None:  # the pattern fits any text without a line end
        raise SpfSyntaxError(f"{term} is not one line")
    domain = _argument(split["head"], term) if split["head"] else None
    bits4, bits6 = int(split["bits4"] or 32), int(split["bits6"] or 128)
    if bits4 > 32 or bits6 > 128:
        raise SpfSyntaxError(f"{term} has a prefix length that does not exist")
    return Mechanism(term, means, name, domain, bits4=bits4, bits6=bits6)


def _argument(rest: str, term: str) -> str:
    if not rest.startswith(":"):
        raise SpfSyntaxError(f"{term} has a prefix length that does not exist, or that it does not take")
    return _domain_spec(rest[1:], term)


def _domain_spec(text: str, term: str) -> str:
    """Check a domain-spec (RFC 7208 7.1): a macro-string that ends in a top-level domain or a macro."""
    if not is_macro_string(text):
        raise SpfSyntaxError(f"{term} has a macro that does not exist")
    parts = tokens(text)
    if parts and parts[-1].startswith("%"):
        return text
    _, dot, top = text.removesuffix(".").rpartition(".")
    if not dot or not _TOP_LABEL.fullmatch(top):
        raise SpfSyntaxError(f"{term} names no domain")
    return text


_PREFIX = re.compile(r"0|[1-9][0-9]{0,2}", re.ASCII)


def _network(name: str, rest: str, term: str) -> IPv4Network | IPv6Network:
    address, slash, bits = rest[1:].partition("/")
    if not rest.startswith(":") or "%" in address or (slash and not _PREFIX.fullmatch(bits)):
        raise SpfSyntaxError(f"{term} is no network")
    kind = IPv4Network if name == "ip4" else IPv6Network
    try:
        return kind(f"{address}/{bits}" if slash else address, strict=False)
    except ValueError:
        raise SpfSyntaxError(f"{term} is no network") from None
