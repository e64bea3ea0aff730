"""What a DNS message costs to parse, found out before it is parsed.

A name of 127 labels takes two octets where a compression pointer stands for it, and dnspython's work on the
name grows with the square of its labels: 4 KiB of hostile MX records held the event loop, and with it every
limit of the run, for a second, and 64 KiB for a quarter of a minute. So names are followed here first, without
making anything of them, and `is_costly` says when to leave a message alone.
"""

from __future__ import annotations

import struct

MAX_OCTETS = 16384
"""Octets of one message. UDP answers have 1232; the largest honest ones over TCP have a few KiB."""
MAX_RECORDS = 500
"""Records of one message, all sections. No more than 32 addresses of 20 exchanges are ever used."""
MAX_COST = 100_000
"""Labels squared, summed over the names, each about a quarter of a microsecond: six names of 127 labels, or
thousands of usual ones."""

_HEADER = struct.Struct("!4x4H")
_RECORD = struct.Struct("!H6xH")
_NAMES_AT = {2: (0,), 5: (0,), 6: (0, 0), 12: (0,), 15: (2,), 39: (0,), 46: (18,)}
"""RR type -> octets to skip before each name in its data: NS, CNAME, SOA, PTR, MX, DNAME, RRSIG."""
_NAMELESS = frozenset({1, 16, 28, 41})
"""A, TXT, AAAA, OPT."""
_LABELS_MOST = 127
_POINTER = 0xC0


def is_costly(wire: bytes) -> bool:
    """Whether parsing the message would take longer than an answer is worth (a tenth of a second).

    No octets make it raise. One that cannot be followed is not costly: the parser stops there too.
    """
    if len(wire) > MAX_OCTETS or len(wire) < 12:
        return len(wire) > MAX_OCTETS
    questions, *sections = _HEADER.unpack_from(wire)
    if questions + sum(sections) > MAX_RECORDS:
        return True
    try:
        return _cost(wire, questions, sum(sections)) > MAX_COST
    except (IndexError, struct.error):
        return False


def _cost(wire: bytes, questions: int, records: int) -> int:
    """Add up the squares of the numbers of labels; stops soon after `MAX_COST`."""
    cost, at = 0, 12
    for _ in range(questions):
        labels, at = _follow(wire, at)
        cost += labels * labels
        at += 4
    for _ in range(records):
        labels, at = _follow(wire, at)
        rdtype, size = _RECORD.unpack_from(wire, at)
        at += 10
        cost += labels * labels + _data_cost(wire, rdtype, at, size)
        if cost > MAX_COST:
            break
        at += size
    return cost


def _data_cost(wire: bytes, rdtype: int, at: int, size: int) -> int:
    if rdtype in _NAMELESS:
        return 0
    if rdtype not in _NAMES_AT:
        # Nobody asked for such a record, and who knows where it has names: every octet may begin a pointer.
        pointers = (at + i for i, octet in enumerate(wire[at : at + size]) if octet >= _POINTER)
        return size * _LABELS_MOST // 2 + sum(_follow(wire, pointer)[0] ** 2 for pointer in pointers)
    cost = 0
    for skip in _NAMES_AT[rdtype]:
        labels, at = _follow(wire, at + skip)
        cost += labels * labels
    return cost


def _follow(wire: bytes, at: int) -> tuple[int, int]:
    """Count the labels of the name at an offset, pointers followed; give the count and where it ends here."""
    labels, end = 0, 0
    while labels < _LABELS_MOST and (octet := wire[at]):
        if octet >= _POINTER:
            end = end or at + 2
            target = (octet & ~_POINTER) << 8 | wire[at + 1]
            if target >= at:
                break  # forward, or a loop: the parser refuses it
            at = target
        else:
            labels += 1
            at += 1 + octet
    return labels, end or at + 1
