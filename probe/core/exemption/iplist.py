"""Lists of relays that are exempted, as mail servers read them: text in, entries out.

Three forms are known, told apart line by line: a bare address or network (WHM's lists, a host list of Exim in a
file), a key with data behind it (Exim's iplsearch: `192.0.2.59: example.com`, IPv6 in quotes), and a pattern with
an action (Postfix's cidr_table(5): `192.0.2.59 OK`). No text makes this raise.
"""

from __future__ import annotations

import re
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from probe.core.exemption import Remark, read_comment
from probe.core.exemption.ways import Style

if TYPE_CHECKING:
    from collections.abc import Iterator

Network = IPv4Network | IPv6Network

MAX_TEXT = 16 * 1024 * 1024
"""Characters of a list; one of a hundred thousand relays has three million."""
_MAX_LINE = 4096


class Form(StrEnum):
    """How a line is written."""

    BARE = "bare"
    KEYED = "keyed"
    CIDR = "cidr"
    NAME = "name"
    UNREADABLE = "unreadable"


class Entry(Struct, frozen=True, kw_only=True):
    """One entry. `line` counts from 1, `text` is the line as written, `key` its address, network or name.

    `network` is None where the key is none; `host_bits` whether the address is not the first one of its network;
    `quoted` whether the key stands in quotes; `negated` whether it begins with `!`; `value` what stands behind
    the key; `conditional` whether it stands between Postfix's `if` and `endif`. `remark` is the comment above it.
    """

    line: int
    text: str
    form: Form
    key: str
    network: Network | None = None
    host_bits: bool = False
    quoted: bool = False
    negated: bool = False
    value: str | None = None
    conditional: bool = False
    remark: Remark | None = None


_QUOTED = re.compile(r'"([^"]*)"\s*:?\s*(.*)', re.DOTALL)
_ACTION = re.compile(
    r"(?:OK|PERMIT|RELAY|DUNNO|REJECT|DEFER|DEFER_IF_PERMIT|DEFER_IF_REJECT|DISCARD|HOLD|WARN|INFO|FILTER|PREPEND|BCC"
    r"|REDIRECT|[0-9]+|[a-z_]+)(?:\s.*)?",
    re.DOTALL,
)
"""What access(5) knows, and the restrictions and classes that may be named there."""
_NAME = re.compile(r"(?:\*?\.)?[a-z0-9_-]+(?:\.[a-z0-9_-]+)+\.?", re.IGNORECASE | re.ASCII)
_EXEMPTING = re.compile(r"(?:OK|PERMIT|RELAY|[0-9]+)(?:\s.*)?", re.IGNORECASE | re.DOTALL)
"""Actions of access(5) that let mail pass: OK, RELAY, and a number that is no reply code."""
_REPLY = re.compile(r"[45][0-9]{2}(?:\s|$)")


def parse(text: str) -> tuple[Entry, ...]:
    """Read a list. Blank lines and comments are no entries; a remark of ours belongs to the entry below it."""
    entries: list[Entry] = []
    remark: Remark | None = None
    depth = 0
    for number, line in enumerate(text.split("\n"), 1):
        stripped = line[:_MAX_LINE].strip()
        if not stripped:
            remark = None
        elif stripped.startswith("#"):
            remark = _merged(remark, read_comment(stripped))
        elif stripped.lower() == "endif":
            depth = max(0, depth - 1)
        elif stripped[:3].lower() in {"if ", "if!"}:
            depth += 1
        else:
            entry = _entry(number, line[:_MAX_LINE].rstrip(), conditional=depth > 0)
            if remark is not None and remark.key in {None, entry.key}:
                entry = replace(entry, remark=remark)
            entries.append(entry)
            remark = None
    return tuple(entries)


HOST_LISTS = frozenset({"host_local_deny_exceptions", "local_host_whitelist", "local_host_blacklist"})
"""Files of Debian's exim4 that are host lists."""


def style_of(entries: tuple[Entry, ...], name: str) -> Style:
    """Say how the list is read, by its entries and its name; what would do for several counts as iplsearch."""
    if any(entry.form is Form.CIDR for entry in entries):
        return Style.CIDR
    if entries and all(map(_has_domains, entries)):
        return Style.PAIRS
    return Style.HOSTS if name.rpartition("/")[2] in HOST_LISTS else Style.IPLSEARCH


def _has_domains(entry: Entry) -> bool:
    domains = [domain.strip() for domain in (entry.value or "").split(":")]
    return entry.form is Form.KEYED and all(map(_is_name, domains))


def is_exempting(entry: Entry) -> bool:
    """Whether the action of a Postfix entry lets mail pass; DUNNO does not, and REJECT does the contrary."""
    if entry.form is not Form.CIDR:
        return True
    value = entry.value or ""
    return _EXEMPTING.fullmatch(value) is not None and _REPLY.match(value) is None


class Index:
    """The entries of a list by network, to find which of them covers an address or a network."""

    def __init__(self, entries: tuple[Entry, ...]) -> None:
        self._first: dict[tuple[int, int, int], Entry] = {}
        for entry in entries:
            if entry.network is not None:
                self._first.setdefault(_cell(entry.network, entry.network.prefixlen), entry)
        self._lengths = sorted({(version, length) for version, length, _ in self._first}, reverse=True)

    def covering(self, network: Network) -> Iterator[Entry]:
        """Give the first entry for each network that covers this one, the narrowest first, itself included."""
        for version, length in self._lengths:
            if version == network.version and length <= network.prefixlen:
                entry = self._first.get(_cell(network, length))
                if entry is not None:
                    yield entry


def _cell(network: Network, length: int) -> tuple[int, int, int]:
    return network.version, length, int(network.network_address) >> (network.max_prefixlen - length)


def _entry(number: int, line: str, *, conditional: bool) -> Entry:
    text = line.strip()
    made = Entry(line=number, text=text, form=Form.UNREADABLE, key=text[:64], conditional=conditional)
    if line[:1].isspace():
        return made  # every program reads it as a part of the line above
    negated = text.startswith("!")
    rest = text.removeprefix("!").lstrip()
    made = replace(made, negated=negated)
    if quoted := _QUOTED.fullmatch(rest):
        key, value = quoted[1], quoted[2].strip()
        made = replace(made, key=f'"{key}"'[:66], quoted=True, value=value or None)
        return _with_network(made, key, Form.KEYED if value else Form.BARE)
    key, _, value = rest.partition(" ") if "\t" not in rest else _split(rest)
    value = value.strip()
    if _network(key.removesuffix(":")) is None and ":" in key:
        key, _, data = rest.partition(":")
        value = data.strip()
    elif key.endswith(":"):
        key = key.removesuffix(":")
    elif value and _ACTION.fullmatch(value):
        return _with_network(replace(made, key=key[:64], value=value), key, Form.CIDR)
    made = replace(made, key=key[:64], value=value or None)
    return _with_network(made, key, Form.KEYED if value else Form.BARE)


def _split(text: str) -> tuple[str, str, str]:
    key, *value = text.split(None, 1)
    return key, "", value[0] if value else ""


def _with_network(entry: Entry, key: str, form: Form) -> Entry:
    network = _network(key)
    if network is not None:
        return replace(entry, form=form, network=network, host_bits=_has_host_bits(key, network))
    return replace(entry, form=Form.NAME) if _is_name(key) else entry


def _is_name(key: str) -> bool:
    return len(key) <= 255 and _NAME.fullmatch(key) is not None and not key.replace(".", "").isdigit()


def _network(key: str) -> Network | None:
    if "%" in key or len(key) > 64:
        return None
    try:
        return ip_network(key, strict=False)
    except ValueError:
        return None


def _has_host_bits(key: str, network: Network) -> bool:
    address = _network(key.partition("/")[0])
    return address is not None and address.network_address != network.network_address


def _merged(before: Remark | None, found: Remark | None) -> Remark | None:
    """Put the fields of several comment lines together; the later one wins, an entry's own remark begins anew."""
    if found is None or before is None or found.key is not None:
        return found or before
    fields = {name: getattr(found, name) or getattr(before, name) for name in found.__struct_fields__}
    return Remark(**fields)
