"""The reading of plain answers, which nearly all are, at a tenth of what dnspython's objects cost.

Plain is an answer in one datagram with the question as it was sent, and below it nothing but A, AAAA, MX, CNAME, NS
and SOA records of class IN where they belong, and an OPT without options, under names of letters, digits, hyphens
and underscores. Of anything else `read_plain` says nothing, and `probe.net.dns_message.read_response` reads it: a
doubt costs time, and never the meaning. What both read, they read alike; a property test holds them together.

The limits below keep a plain answer far from those of `probe.net.dns_cost`, so that it is not looked at twice.
"""

from __future__ import annotations

import socket
import struct

from probe.core.model import DnsRecord
from probe.net.dns_meaning import DEFINITE, Response, meaning
from probe.net.early import PAYLOAD

MAX_LABELS = 16
"""Labels of a plain name."""
_MAX_RECORDS = 64
_MAX_NAME = 255
"""Octets of a name (RFC 1035 2.3.4)."""
_MAX_HOPS = 4
"""Pointers behind one another that are followed here."""

_HEADER = struct.Struct("!2x5H")
_RECORD = struct.Struct("!HHIH")
_SOA_TIMES = struct.Struct("!16xI")
_QUESTION = 12
"""Where the first question stands, behind the header."""
_CHECKED = 0xFA00
"""QR, opcode and TC."""
_RESPONSE = 0x8000
_AD = 0x0020
_RCODE = 0x000F
_RCODES = {0: "NOERROR", 3: "NXDOMAIN"}
_POINTER = 0xC0
_A, _NS, _CNAME, _SOA, _MX, _AAAA, _OPT = 1, 2, 5, 6, 15, 28, 41
_TYPES = {_A: "A", _CNAME: "CNAME", _MX: "MX", _AAAA: "AAAA"}
_IN = 1
_TTL_MOST = 0x7FFFFFFF
_LETTERS = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
_EMBEDDED = bytes(8)
"""How an IPv6 address begins that may be written with an IPv4 address in it."""

_Name = tuple[str, str, int, int, int]
"""A name that was read: its text as it came, with the root's dot; in lower case and without; the octet behind it; its
octets and labels."""


class _NotPlainError(Exception):
    """There is something in the message that is read elsewhere."""


def read_plain(wire: bytes, name: str, rdtype: int, section: bytes) -> Response | None:
    """Read the answer to a question; None when it is not plain. No octets make it raise.

    `name` is the plain name that was asked about, in lower case without the root's dot, and `section` the question
    section that was sent. The id is not looked at.
    """
    at = _QUESTION + len(section)
    if len(wire) > PAYLOAD or wire[_QUESTION:at] != section:
        return None
    flags, questions, answers, authorities, additionals = _HEADER.unpack_from(wire)
    if flags & _CHECKED != _RESPONSE or questions != 1 or answers + authorities + additionals > _MAX_RECORDS:
        return None
    rcode = _RCODES.get(flags & _RCODE)
    if rcode is None:
        return None
    # Most owners point there.
    names = {_QUESTION: (f"{name}.", name, at - 4, len(section) - 4, name.count(".") + 1)}
    try:
        records, aliases, at = _answers(wire, at, answers, names)
        authority, soa_minimum, at = _authorities(wire, at, authorities, names)
        _check_additionals(wire, at, additionals, names)
    except (_NotPlainError, IndexError, struct.error):
        return None
    asked = _TYPES.get(rdtype)
    outcome, detail = meaning(
        flags & _RCODE,
        flags,
        name,
        {record.name for record in records if record.type == asked},
        aliases,
        authority,
        strange=bool(records),
    )
    return Response(
        outcome,
        detail or (None if outcome in DEFINITE else rcode),
        rcode,
        bool(flags & _AD),
        records=tuple(records),
        soa_minimum=soa_minimum,
    )


def _answers(
    wire: bytes, at: int, count: int, names: dict[int, _Name]
) -> tuple[list[DnsRecord], dict[str, str], int]:
    """Read the answer section; give its records, the aliases among them, and where it ends."""
    records = []
    aliases = {}
    for _ in range(count):
        owner, rdtype, ttl, at, end = _record(wire, at, names)
        if rdtype == _A and end - at == 4:
            records.append(DnsRecord(owner, "A", ttl, socket.inet_ntoa(wire[at:end])))
        elif rdtype == _AAAA and end - at == 16 and wire[at : at + 8] != _EMBEDDED:
            records.append(DnsRecord(owner, "AAAA", ttl, socket.inet_ntop(socket.AF_INET6, wire[at:end])))
        elif rdtype == _MX:
            exchange, target = _data_name(wire, at + 2, end, names)
            preference = wire[at] << 8 | wire[at + 1]
            records.append(DnsRecord(owner, "MX", ttl, f"{preference} {exchange}", preference, target))
        elif rdtype == _CNAME:
            alias, target = _data_name(wire, at, end, names)
            aliases[owner] = target
            records.append(DnsRecord(owner, "CNAME", ttl, alias, None, target))
        else:
            raise _NotPlainError
        at = end
    return records, aliases, at


def _authorities(
    wire: bytes, at: int, count: int, names: dict[int, _Name]
) -> tuple[set[int], int | None, int]:
    """Read the authority section; give its types, the negative TTL of its first SOA, and where it ends."""
    types: set[int] = set()
    minimum: int | None = None
    for _ in range(count):
        _, rdtype, ttl, at, end = _record(wire, at, names)
        if rdtype == _NS:
            _data_name(wire, at, end, names)
        elif rdtype == _SOA:
            at = _name(wire, at, names)[2]
            at = _name(wire, at, names)[2]
            if end - at != _SOA_TIMES.size:
                raise _NotPlainError
            if minimum is None:
                minimum = min(ttl, _SOA_TIMES.unpack_from(wire, at)[0])
        else:
            raise _NotPlainError
        types.add(rdtype)
        at = end
    return types, minimum, at


def _check_additionals(wire: bytes, at: int, count: int, names: dict[int, _Name]) -> None:
    """Pass over addresses that nobody asked for and one OPT: they only have to be whole."""
    edns = False
    for _ in range(count):
        if wire[at : at + 3] == b"\0\0\x29":  # OPT belongs to the root (RFC 6891 6.1.2)
            _, _, extended, size = _RECORD.unpack_from(wire, at + 1)
            at += 11
            if edns or size or extended >> 24:  # options, or the upper bits of another rcode
                raise _NotPlainError
            edns = True
        else:
            _, rdtype, _, at, end = _record(wire, at, names)
            if (rdtype, end - at) not in {(_A, 4), (_AAAA, 16)}:
                raise _NotPlainError
            at = end


def _record(wire: bytes, at: int, names: dict[int, _Name]) -> tuple[str, int, int, int, int]:
    """Read the head of a record; give its owner, type and TTL, and from where to where its data is."""
    _, owner, at, _, _ = _name(wire, at, names)
    rdtype, rdclass, ttl, size = _RECORD.unpack_from(wire, at)
    at += _RECORD.size
    if rdclass != _IN or ttl > _TTL_MOST or at + size > len(wire):
        raise _NotPlainError
    return owner, rdtype, ttl, at, at + size


def _data_name(wire: bytes, at: int, end: int, names: dict[int, _Name]) -> tuple[str, str]:
    """Read the name that is the rest of a record's data; give it as it came, and in lower case."""
    text, low, behind, _, _ = _name(wire, at, names)
    if behind != end:
        raise _NotPlainError
    return text, low


def _name(wire: bytes, start: int, names: dict[int, _Name], hops: int = 0) -> _Name:
    """Read the name at an offset, or take it from those that were read already.

    A pointer has to lead to a name before this one that ends before it begins: no part of the message is read as
    two names at once, so there are no loops (RFC 1035 4.1.4 says "a prior occurrence").
    """
    known = names.get(start)
    if known is not None:
        return known
    labels = []
    at, octets, count, text, low = start, 1, 0, ".", "."
    while size := wire[at]:
        if size >= _POINTER:
            target = (size & ~_POINTER) << 8 | wire[at + 1]
            if not _QUESTION <= target < start or hops == _MAX_HOPS:
                raise _NotPlainError
            text, low, end, octets_there, count_there = _name(wire, target, names, hops + 1)
            if end > start:
                raise _NotPlainError
            octets += octets_there - 1
            count += count_there
            at += 1
            break
        if size >= 64:
            raise _NotPlainError
        labels.append(wire[at + 1 : at + 1 + size])
        at += 1 + size
        octets += 1 + size
        count += 1
    own = b"".join(labels)
    if count > MAX_LABELS or octets > _MAX_NAME or own.translate(None, _LETTERS):
        raise _NotPlainError
    if labels:
        joined = b".".join(labels).decode()
        text = f"{joined}." if text == "." else f"{joined}.{text}"
        low = text[:-1].lower()
    names[start] = found = (text, low, at + 1, octets, count)
    return found
