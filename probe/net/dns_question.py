"""A question to the DNS as it goes over the wire, and what comes back for it.

dnspython is loaded for what is not plain only: that takes longer than any look-up, and most runs never need it.
"""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING

from probe.net.dns_plain import MAX_LABELS, read_plain
from probe.net.early import PAYLOAD

if TYPE_CHECKING:
    from probe.net.dns_meaning import Response

_HEADER = struct.Struct("!6H")
_TAIL = struct.Struct("!HH")
_FLAGS = 0x0120
"""RD, and AD to be told whether the resolver validated (RFC 6840 5.7)."""
_NUMBERS = {"A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28}
"""Types that are asked for (RFC 1035 3.2.2, RFC 3596 2.1); dnspython knows the others."""
_IN = 1
_OPT = struct.pack("!BHHIH", 0, 41, PAYLOAD, 0, 0)
"""EDNS 0 (RFC 6891 6.1.2): root owner, type, UDP size as class, version 0 without flags, no options."""
_PLAIN = re.compile(rf"[a-z0-9_-]{{1,63}}(?:\.[a-z0-9_-]{{1,63}}){{0,{MAX_LABELS - 1}}}", re.ASCII)
_LONGEST = 253


class Question:
    """A name in lower case without the root's dot, and a record type. `section` is its question section."""

    __slots__ = ("_plain", "_rdtype", "name", "section", "type")

    def __init__(self, name: str, rdtype: str, number: int, section: bytes, *, plain: bool) -> None:
        self.name = name
        self.type = rdtype
        self.section = section
        self._rdtype = number
        self._plain = plain

    def query(self, number: int, *, edns: bool) -> bytes:
        """Write the query with this id, with EDNS 0 or in the plain form of RFC 1035."""
        if edns:
            return _HEADER.pack(number, _FLAGS, 1, 0, 0, 1) + self.section + _OPT
        return _HEADER.pack(number, _FLAGS, 1, 0, 0, 0) + self.section

    def read(self, number: int, wire: bytes) -> Response | None:
        """Read what a server sent; None when it is no answer to the query with this id. No octets make it raise."""
        if int.from_bytes(wire[:2]) != number:
            return None
        if self._plain:
            response = read_plain(wire, self.name, self._rdtype, self.section)
            if response is not None:
                return response
        return self.read_fully(number, wire)

    def read_fully(self, number: int, wire: bytes) -> Response | None:
        """Read it with dnspython, as `read` does when it is not plain."""
        from probe.net.dns_message import make_query, make_question, read_response  # noqa: PLC0415  # see above

        question = make_question(self.name, self.type)
        return None if question is None else read_response(make_query(question, number, edns=True), wire)


def question_of(name: str, rdtype: str) -> Question | None:
    """Write a question down; None when no DNS message can hold the name, or there is no such type."""
    number = _NUMBERS.get(rdtype)
    if number is not None and _PLAIN.fullmatch(name) and len(name) <= _LONGEST:
        owner = b"".join([len(label).to_bytes(1) + label.encode() for label in name.split(".")]) + b"\0"
        return Question(name, rdtype, number, owner + _TAIL.pack(number, _IN), plain=True)
    from probe.net.dns_message import make_question  # noqa: PLC0415  # see above

    question = make_question(name, rdtype)
    if question is None:
        return None
    owner, number = question[0].to_wire() or b"", int(question[1])
    return Question(name, rdtype, number, owner + _TAIL.pack(number, _IN), plain=False)
