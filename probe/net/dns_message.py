"""DNS messages as dnspython writes and parses them; what a parsed one means is decided in `dns_meaning`."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype

from probe.core.model import DnsOutcome, DnsRecord
from probe.net.dns_cost import is_costly
from probe.net.dns_meaning import DEFINITE, Response, meaning
from probe.net.early import PAYLOAD

if TYPE_CHECKING:
    from dns.message import Message
    from dns.name import Name
    from dns.rdatatype import RdataType
    from dns.rrset import RRset

_FLAGS = dns.flags.RD | dns.flags.AD
"""AD asks to be told whether the resolver validated, without fetching the signatures (RFC 6840 5.7)."""
_HEADER = struct.Struct("!HHH")
_READABLE = frozenset(
    map(dns.rdatatype.from_text, ("A", "AAAA", "CNAME", "DNAME", "MX", "NS", "PTR", "SOA", "TXT"))
)
"""Types whose presentation form is known to be printable ASCII whatever their octets are; others are given in
the generic form of RFC 3597."""


def make_question(name: str, rdtype: str) -> tuple[Name, RdataType] | None:
    """Read a name in presentation form and a type; None when no DNS message can hold the name."""
    try:
        return dns.name.from_text(name.encode("ascii")), dns.rdatatype.from_text(rdtype)
    except (UnicodeError, dns.exception.DNSException):
        return None


def make_query(question: tuple[Name, RdataType], number: int, *, edns: bool) -> Message:
    """Make the query with this id, with EDNS 0 or in the plain form of RFC 1035."""
    name, rdtype = question
    return dns.message.make_query(
        name,
        rdtype,
        use_edns=0 if edns else False,
        payload=PAYLOAD if edns else None,
        id=number,
        flags=_FLAGS,
    )


def read_response(query: Message, wire: bytes) -> Response | None:
    """Read what a server sent; None when it is no answer to this query. No octets make it raise.

    Id and question have to be those of the query (RFC 5452 9.1). Beyond that the message must parse as a
    whole, or it is malformed: half an answer could make a mail host disappear. So is one that would hold up
    everything else while it is parsed.
    """
    if len(wire) < _HEADER.size:
        return None
    number, flags, questions = _HEADER.unpack_from(wire)
    if number != query.id or not flags & dns.flags.QR or dns.opcode.from_flags(flags) != dns.opcode.QUERY:
        return None
    if questions > 1:  # ours has one; thousands would take their time
        return None
    try:
        if not query.is_response(dns.message.from_wire(wire, question_only=True)):
            return None
    except dns.exception.DNSException:
        return None
    if flags & dns.flags.TC:
        return Response(DnsOutcome.ANSWER, "truncated", truncated=True)
    if is_costly(wire):
        return Response(DnsOutcome.MALFORMED, f"{len(wire)} octets with more in them than is read")
    try:
        message = dns.message.from_wire(wire, one_rr_per_rrset=True, ignore_trailing=True)
    except dns.exception.DNSException as error:
        return Response(DnsOutcome.MALFORMED, str(error) or type(error).__name__)
    rcode = dns.rcode.to_text(message.rcode())
    outcome, detail = _outcome(message, query.question[0])
    soa = next((rrset for rrset in message.authority if rrset.rdtype == dns.rdatatype.SOA), None)
    return Response(
        outcome,
        detail or (None if outcome in DEFINITE else rcode),
        rcode,
        authenticated=bool(flags & dns.flags.AD),
        records=tuple(_record(rrset) for rrset in message.answer if rrset.rdclass == dns.rdataclass.IN),
        soa_minimum=None if soa is None else min(soa.ttl, soa[0].minimum),
    )


def _outcome(message: Message, question: RRset) -> tuple[DnsOutcome, str | None]:
    """Say what a whole message means for the question, with a word about what is odd in it."""
    ours = [rrset for rrset in message.answer if rrset.rdclass == dns.rdataclass.IN]
    return meaning(
        message.rcode(),
        int(message.flags),
        question.name,
        {rrset.name for rrset in ours if rrset.rdtype == question.rdtype},
        {rrset.name: rrset[0].target for rrset in ours if rrset.rdtype == dns.rdatatype.CNAME},
        {rrset.rdtype for rrset in message.authority},
        strange=bool(ours),
    )


def _record(rrset: RRset) -> DnsRecord:
    """Write one record down; dnspython was told to keep one in each set, so that their order survives."""
    rdata = rrset[0]
    preference, target = None, None
    if rrset.rdtype == dns.rdatatype.MX:
        preference, target = rdata.preference, _text(rdata.exchange)
    elif rrset.rdtype == dns.rdatatype.CNAME:
        target = _text(rdata.target)
    shown = rdata if rrset.rdtype in _READABLE else rdata.to_generic()
    return DnsRecord(
        name=_text(rrset.name),
        type=dns.rdatatype.to_text(rrset.rdtype),
        ttl=rrset.ttl,
        data=shown.to_text(),
        preference=preference,
        target=target,
    )


def _text(name: Name) -> str:
    """Write a name in lower case without trailing dot; octets that are not printable ASCII are escaped."""
    return name.to_text(omit_final_dot=True).lower()
