r"""JSON in and out: evidence and reports, and the JSON Schema of every document.

Reading trusts nothing: a saved file may be cut short, edited by hand, from a newer version or from another
program, and what passes here must never make the core raise. So after the types are right, the values are
checked that the types leave open. Every refusal is one printable line that says where.

JSON lets DEL, the C1 controls and the characters that reorder text stand in a string as they are, and a
terminal obeys them. They are written as `\uXXXX` here, so a document may be shown as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache, partial
from typing import Any, TypeVar, get_args, get_origin

import msgspec

from probe.core.model import (
    EVIDENCE_SCHEMA,
    REPORT_SCHEMA,
    Address,
    AddressKind,
    Connect,
    DnsRecord,
    Evidence,
    Exchange,
    HostEvidence,
    Options,
    Reply,
    Report,
    Session,
    Tape,
)
from probe.core.rebase import TIMES
from probe.core.scope import read_ip

SIZE_LIMIT = 64 * 1024 * 1024
"""Octets of one document. A mail host address leaves some KiB and at most a MiB, so no run comes near it."""

_TOOL_NAME = "probe-sender"

_T = TypeVar("_T")


class EvidenceError(ValueError):
    """A document that cannot be used; the message is one printable line: where, what is wrong, the mend."""


# --- out -------------------------------------------------------------------------------------------

_OBEYED = re.compile(
    "[\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0001-\U000e007f]"
)
"""What JSON does not escape by itself and a terminal, an editor or an eye falls for."""


def encode(document: msgspec.Struct) -> bytes:
    """Write a document as one line of UTF-8, without its line end."""
    data = msgspec.json.encode(document)
    # Nearly all are plain ASCII, where DEL is all that a terminal would obey; the pattern costs five times as much
    # as the encoder.
    if data.isascii() and b"\x7f" not in data:
        return data
    return _escape(data.decode()).encode()


def pretty(document: msgspec.Struct) -> str:
    """Write a document for people: the same JSON, indented by two."""
    return _escape(msgspec.json.format(msgspec.json.encode(document), indent=2).decode())


def _escape(text: str) -> str:
    # Outside strings JSON has none of these characters, so replacing them everywhere is safe.
    return _OBEYED.sub(_as_escape, text)


def _as_escape(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


def schema(
    document: type[msgspec.Struct] = Report, number: int | None = REPORT_SCHEMA, title: str = "report"
) -> dict[str, object]:
    """Give the JSON Schema (2020-12) of a document, by default of the report, which holds that of the evidence.

    `number` is its schema number, None where it has none. Every key is required, because absence is `null` and never
    a missing key. Keys that are not listed are allowed: a later version may add some without a new schema number.
    """
    numbers = {"Report": REPORT_SCHEMA, "Evidence": EVIDENCE_SCHEMA, document.__name__: number}
    described = msgspec.json.schema(document)
    for name, definition in described["$defs"].items():
        if "properties" not in definition:
            continue
        definition["required"] = list(definition["properties"])
        for described_key in definition["properties"].values():
            described_key.pop("default", None)
        if const := numbers.get(name):
            definition["properties"]["schema"] = {"const": const}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"{_TOOL_NAME} {title}",
        **described,
    }


# --- in --------------------------------------------------------------------------------------------

_MEND = "save it anew or correct it there"
_FOREIGN = f"give a file that {_TOOL_NAME} wrote with --save or --json"


class _Stamp(msgspec.Struct):
    """What tells a document of ours from any other, whatever its version."""

    schema: object = msgspec.UNSET
    tool: object = msgspec.UNSET


class _Head(_Stamp):
    """The stamp of a document, and of the evidence inside when it is a report."""

    evidence: _Stamp | msgspec.UnsetType = msgspec.UNSET


class _ReportEvidence(msgspec.Struct):
    """The one key of a report that is read back; the rest is judged anew."""

    evidence: Evidence


def decode_evidence(data: bytes, where: str) -> Evidence:
    """Read an evidence document, or the evidence inside a report; `where` names the file in an error.

    Raises `EvidenceError` for whatever the core could not judge.
    """
    return _Document(data, where).evidence()


def decode_many(data: bytes, where: str) -> list[Evidence]:
    """Read JSON Lines of such documents; one document that is spread over lines will do as well.

    Raises `EvidenceError`, which names the line, for the first that cannot be used.
    """
    lines = [(number, line) for number, line in enumerate(data.splitlines(), 1) if line.strip()]
    if len(lines) < 2 or not lines[0][1].rstrip().endswith(b"}"):
        return [decode_evidence(data, where)]
    return [_Document(line, where, number).evidence() for number, line in lines]


class _Document:
    """One document on its way in, with what an error has to say about its place."""

    def __init__(self, data: bytes, where: str, line: int | None = None) -> None:
        """`line` is that of the whole document in a file of JSON Lines, `None` in a file of its own."""
        self.data = data.removeprefix(b"\xef\xbb\xbf")  # a byte order mark, as Windows editors write it
        self.where = where
        self.line = line

    def evidence(self) -> Evidence:
        """Check from the outside in: size, text, JSON, whose it is, version, types, values."""
        if len(self.data) > SIZE_LIMIT:
            raise self._refusal(f"more than {SIZE_LIMIT >> 20} MiB, no evidence is that large; {_FOREIGN}")
        if not self.data.strip():
            raise self._refusal(f"there is nothing in it; {_FOREIGN}")
        try:
            self.data.decode()
        except UnicodeDecodeError as error:
            octet = self.data[error.start]
            raise self._refusal(f"byte 0x{octet:02X} is not UTF-8; save it as UTF-8", error.start) from None
        head = self._read(_Head)
        self._check_stamp(head, "$", EVIDENCE_SCHEMA if head.evidence is msgspec.UNSET else REPORT_SCHEMA)
        if head.evidence is msgspec.UNSET:
            evidence, path = self._read(Evidence), "$"
        else:
            self._check_stamp(head.evidence, "$.evidence", EVIDENCE_SCHEMA)
            evidence, path = self._read(_ReportEvidence).evidence, "$.evidence"
        if fault := _fault(evidence) or _contradiction(evidence):
            raise self._refusal(f"{path}{fault}; {_MEND}")
        return evidence

    def _check_stamp(self, stamp: _Stamp, path: str, reads: int) -> None:
        if not isinstance(stamp.tool, dict) or stamp.tool.get("name") != _TOOL_NAME:
            what = "it" if path == "$" else path
            raise self._refusal(f"{what} is no evidence and no report of {_TOOL_NAME}; {_FOREIGN}")
        number = stamp.schema
        if number is msgspec.UNSET:
            raise self._refusal(f"{path}.schema is missing; {_MEND}")
        if not isinstance(number, int) or isinstance(number, bool) or number < 1:
            raise self._refusal(f"{path}.schema is no schema number; {_MEND}")
        if number > reads:
            raise self._refusal(
                f"written by a newer {_TOOL_NAME}, schema {number}; this one reads {reads}: upgrade it"
            )

    def _read(self, kind: type[_T]) -> _T:
        """Decode as `kind`, and put what msgspec objects to into our words."""
        try:
            return msgspec.json.decode(self.data, type=kind)
        except msgspec.ValidationError as error:
            what, _, path = str(error).partition(" - at `")
            if not path and what.startswith("Expected `object`"):
                raise self._refusal(f"it holds no JSON object; {_FOREIGN}") from None
            path = path.removesuffix("`") or "$"
            if missing := re.fullmatch("Object missing required field `(.*)`", what):
                raise self._refusal(f"{path}.{missing[1]} is missing; {_MEND}") from None
            raise self._refusal(f"{path}: {what[:1].lower()}{what[1:]}; {_MEND}") from None
        except msgspec.DecodeError as error:
            raise self._syntax(str(error)) from None
        except RecursionError:
            raise self._refusal(f"it is nested deeper than any evidence; {_FOREIGN}") from None

    def _syntax(self, message: str) -> EvidenceError:
        """Say what is wrong with the JSON; msgspec names the byte, a person wants line and column."""
        found = re.fullmatch(r"JSON is malformed: (.*) \(byte (\d+)\)", message)
        if found is None:
            end = len(self.data.rstrip())
            return self._refusal("the JSON ends too soon, the file was cut short; save it anew", end)
        at = int(found[2]) - (found[1] == "trailing characters")  # for these it names the second byte
        if word := re.compile(rb"-?(?:NaN|Infinity)").match(self.data, at - (self.data[at - 1 : at] == b"-")):
            return self._refusal(f"{word[0].decode()} is not JSON; write a number or null", word.start())
        return self._refusal(f"broken JSON, {found[1]}; {_MEND}", at)

    def _refusal(self, what: str, at: int | None = None) -> EvidenceError:
        """Build the error: one printable line, bounded whatever the file and its name hold."""
        place = "" if self.line is None else f" line {self.line}:"
        if at is not None:
            begin = self.data.rfind(b"\n", 0, at) + 1
            line = (self.line or 1) + self.data.count(b"\n", 0, at)
            column = len(self.data[begin:at].decode(errors="replace")) + 1
            place = f" line {line}, column {column}:"
        return EvidenceError(f"{_printable(self.where)}:{place} {_printable(what)}")


def _printable(text: str, limit: int = 240) -> str:
    shown = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text[:limit])
    return shown if len(text) <= limit else f"{shown}…"


# --- what the types leave open ---------------------------------------------------------------------

_Slot = tuple[type[msgspec.Struct], str]

_NUMBER_LIMIT = 2**64 - 1
"""JSON knows no largest number; every count, time and seed of ours is far below."""
_RANGES: dict[_Slot, int] = {
    (DnsRecord, "preference"): 65535,
    (HostEvidence, "port"): 65535,
    (HostEvidence, "preference"): 65535,
    (Options, "port"): 65535,
    (Reply, "code"): 999,
}
_COUNTS: dict[_Slot, int] = {
    (Evidence, "dns"): 1024,
    (Evidence, "hosts"): 256,
    (HostEvidence, "sessions"): 16,
    (Session, "exchanges"): 4096,
}
"""Several times what the limits of a run allow, so that no file can make the judgement slow."""
_OCTETS: frozenset[_Slot] = frozenset(
    {(Exchange, "command"), (Exchange, "detail"), (Reply, "lines"), (Tape, "data")}
)
"""Bytes that crossed the wire, kept as latin-1."""
_IPS: frozenset[_Slot] = frozenset({(Address, "ip"), (Connect, "local_ip"), (HostEvidence, "ip")})


_Check = Callable[[Any], str | None]
"""Says what is wrong with a value, behind the path from there to the fault; None where nothing is."""


def _fault(value: msgspec.Struct) -> str | None:
    """Find the first value that has the right type and still means nothing: its path, and what is wrong."""
    for field, check in _checks(type(value)):
        inner = getattr(value, field)
        if inner is not None and (fault := check(inner)):
            return f".{field}{fault}"
    return None


@cache
def _checks(kind: type[msgspec.Struct]) -> tuple[tuple[str, _Check], ...]:
    """List the fields of a record that can be wrong, with their checks; most text and every enum cannot be.

    Kept for each of the kinds that an `Evidence` is made of, because asking each value for its kind took longer
    than to read the JSON.
    """
    fields = msgspec.structs.fields(kind)
    found = ((field.name, _check_of(field.type, (kind, field.name))) for field in fields)
    return tuple((name, check) for name, check in found if check is not None)


def _check_of(kind: Any, slot: _Slot) -> _Check | None:  # noqa: ANN401 - an annotation: a class, a union, a tuple
    """Give the check for values of one type in one place; None where each of them means something."""
    of = get_args(kind)
    if get_origin(kind) is tuple:
        return _check_of_items(_check_of(of[0], slot), _COUNTS.get(slot))
    if of:  # a union with None
        return next((check for each in of if (check := _check_of(each, slot))), None)
    if issubclass(kind, msgspec.Struct):
        return _fault
    if kind is str:
        return _octets_fault if slot in _OCTETS else _ip_fault if slot in _IPS else None
    if kind in {int, float}:
        # What was learned for another address of a batch happened before the evidence began.
        least = -_NUMBER_LIMIT if slot[1] in TIMES.get(slot[0], ()) else 0
        return partial(_range_fault, least, _RANGES.get(slot, _NUMBER_LIMIT))
    return None


def _check_of_items(check: _Check | None, most: int | None) -> _Check | None:
    return None if check is None and most is None else partial(_items_fault, check, most)


def _items_fault(check: _Check | None, most: int | None, items: tuple[Any, ...]) -> str | None:
    if most is not None and len(items) > most:
        return f" has {len(items)} entries, the limit is {most}"
    if check is not None:
        for index, item in enumerate(items):
            if fault := check(item):
                return f"[{index}]{fault}"
    return None


def _octets_fault(text: str) -> str | None:
    if not text.isascii() and (wide := re.search("[^\x00-\xff]", text)):
        return f" holds U+{ord(wide[0]):04X}, bytes are kept as U+0000 to U+00FF"
    return None


def _ip_fault(text: str) -> str | None:
    return " is not an IP address" if read_ip(text) is None else None


def _range_fault(least: int, limit: int, number: float) -> str | None:
    if least <= number <= limit:
        return None
    return f" is {'below 0' if number < 0 else f'above {limit}'}"


def _contradiction(evidence: Evidence) -> str | None:
    """Find values that are right alone and impossible together."""
    address = evidence.address
    if address.mailbox != f"{address.local}@{address.domain}":
        return ".address.mailbox is not its local and domain, joined by @"
    if (address.kind is AddressKind.LITERAL) != (address.ip is not None):
        return ".address.ip belongs to an address literal, and only to one"
    if not evidence.options.families or not {4, 6}.issuperset(evidence.options.families):
        return ".options.families names other IP versions than 4 and 6"
    return None
