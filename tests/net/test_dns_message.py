"""Plain answers are read as dnspython reads them, or not at all."""

from __future__ import annotations

import struct
import time

import dns.edns
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from probe.core.model import DnsOutcome, DnsRecord
from probe.net.dns_meaning import Response
from probe.net.dns_message import make_query, make_question, read_response
from probe.net.dns_plain import read_plain
from probe.net.dns_question import Question, question_of
from tests.support.arbitrary import examples

ID = 4711
NAME = "customer.example.com"
SOA = "example.com. SOA ns.example.com. Hostmaster.example.com. 1 3600 600 86400 60"
QR, AA, TC, RD, RA, AD = (
    dns.flags.QR,
    dns.flags.AA,
    dns.flags.TC,
    dns.flags.RD,
    dns.flags.RA,
    dns.flags.AD,
)
RECORDS = (
    f"{NAME}. MX 10 Mx1.customer.EXAMPLE.com.",
    f"{NAME}. MX 0 .",
    f"{NAME}. A 192.0.2.1",
    f"{NAME}. AAAA 2001:db8::1",
    f"{NAME}. CNAME www.example.net.",
    f"{NAME}. CNAME {NAME}.",
    "Customer.Example.COM. MX 20 mx2.example.",
    "www.example.net. CNAME customer.example.com.",
    "www.example.net. MX 5 mx1.customer.example.com.",
    "www.example.net. A 255.0.0.255",
    "mx1.customer.example.com. A 0.0.0.0",
    "mx1.customer.example.com. AAAA ::ffff:192.0.2.1",
    "mx1.customer.example.com. AAAA ::192.0.2.1",
    "mx1.customer.example.com. AAAA ::1",
    "mx2.example. AAAA 2001:0:0:1::",
    ". A 192.0.2.1",
    "com. NS ns.example.",
    "example.com. NS a.gtld-servers.net.",
    SOA,
    "com. SOA . . 1 2 3 4 4294967295",
    f'{NAME}. TXT "v=spf1 -all"',
    f"{NAME}. MX 10 \\000\\255\\.x.example.",
    f"a\\.b.{NAME}. A 192.0.2.1",
    f"_dmarc.{NAME}. CNAME -x-.{NAME}.",
    f"{'a.' * 40}example. A 192.0.2.1",
    f"{'a.' * 13}{NAME}. A 192.0.2.1",
    f"{'a' * 63}.{'b' * 63}.{'c' * 63}.{'d' * 40}.{NAME}. A 192.0.2.1",
    f"{NAME}. TYPE65280 \\# 3 1b5b6d",
    f"{NAME}. RRSIG MX 13 2 60 20300101000000 20250101000000 1 d.example. qrvMqrs=",
)


def asked(name: str = NAME, rdtype: str = "MX") -> Question:
    question = question_of(name, rdtype)
    assert question is not None
    return question


def message(
    rdtype: str,
    *sections: list[str],
    flags: int = QR | RA,
    rcode: int = 0,
    edns: int = 0,
    options: tuple[dns.edns.Option, ...] = (),
    ttl: int = 60,
    rdclass: str = "IN",
) -> bytes:
    """Write a response with records `owner TYPE data` in its three sections."""
    parsed = make_question(NAME, rdtype)
    assert parsed is not None
    response = dns.message.make_response(make_query(parsed, ID, edns=True))
    response.flags = dns.flags.Flag(flags)
    response.use_edns(edns, options=list(options)) if edns >= 0 else response.use_edns(False)
    response.set_rcode(dns.rcode.Rcode(rcode))
    for section, lines in zip(
        (response.answer, response.authority, response.additional), sections, strict=False
    ):
        for line in lines:
            owner, kind, data = line.split(" ", 2)
            section.append(dns.rrset.from_text(owner, ttl, rdclass, kind, data))
    return response.to_wire(max_size=65535)


def plainly(wire: bytes, rdtype: str = "MX") -> Response | None:
    question = asked(rdtype=rdtype)
    return read_plain(wire, NAME, int(dns.rdatatype.from_text(rdtype)), question.section)


def fully(wire: bytes, rdtype: str = "MX") -> Response | None:
    parsed = make_question(NAME, rdtype)
    assert parsed is not None
    return read_response(make_query(parsed, ID, edns=True), wire)


PLAIN = [line for line in RECORDS if line.split()[1] in {"A", "AAAA", "MX", "CNAME"} and "\\" not in line]
anything = st.lists(st.sampled_from(RECORDS), max_size=3)
"""Records that are seldom plain, and do not stand where they belong."""
answers = st.one_of(st.lists(st.sampled_from(PLAIN), max_size=4), anything)
authorities = st.one_of(st.lists(st.sampled_from((SOA, *RECORDS[16:20])), max_size=2), anything)
additionals = st.one_of(
    st.lists(st.sampled_from((RECORDS[2], RECORDS[3], RECORDS[10])), max_size=3), anything
)
usual = st.sampled_from((QR, QR | RA, QR | AA, QR | RD | RA | AD, QR | RD | AA))
unusual = st.sampled_from((QR | TC | RA, RA, QR | RA | 0x0800, QR | 0x0050))
rdtypes = st.sampled_from(("MX", "A", "AAAA", "CNAME", "TXT"))
damages: st.SearchStrategy[list[tuple[int, int]]] = st.one_of(
    st.just([]), st.lists(st.tuples(st.integers(2, 300), st.integers(0, 255)), min_size=1, max_size=3)
)


@settings(max_examples=examples(4))
@given(
    rdtypes, answers, authorities, additionals, st.one_of(usual, usual, unusual),
    st.sampled_from((0, 0, 0, 3, 3, 2, 5, 16)),
    st.sampled_from((-1, 0, 0, 1)),
    st.sampled_from((0, 60, 0x7FFFFFFF)),
    damages,
    st.integers(0, 200),
)  # fmt: skip
def test_what_both_read_they_read_alike(
    rdtype: str,
    answer: list[str],
    authority: list[str],
    additional: list[str],
    bits: int,
    rcode: int,
    edns: int,
    ttl: int,
    damage: list[tuple[int, int]],
    size: int,
) -> None:
    wire = bytearray(
        message(rdtype, answer, authority, additional, flags=bits, rcode=rcode, edns=edns, ttl=ttl)
        if rcode < 16 or edns >= 0
        else message(rdtype, answer)
    )
    for at, octet in damage:
        wire[at % len(wire)] = octet
    wire[:2] = ID.to_bytes(2)
    for octets in (bytes(wire), bytes(wire[:size])):
        found = plainly(octets, rdtype)
        if found is not None:
            assert found == fully(octets, rdtype)


HEAD = struct.Struct("!6H")
LABELS = st.sampled_from((b"\1a", b"\3MX1", b"\7example", b"\x2d" + b"x" * 45, b"\x30x", b"\x3f"))
IN_QUESTION = (12, 21, 29, 33)
"""Where the labels of the question's name begin."""
ends = st.one_of(
    st.just(b"\0"),
    st.one_of(st.sampled_from(IN_QUESTION), st.integers(36, 90), st.integers(0, 400)).map(
        lambda at: (0xC000 | at).to_bytes(2)
    ),
)
names = st.tuples(st.lists(LABELS, max_size=3).map(b"".join), ends).map(b"".join)


@settings(max_examples=examples(4))
@given(
    st.lists(
        st.tuples(
            names, st.sampled_from((1, 2, 5, 6, 15, 28)), st.one_of(st.none(), st.integers(0, 24)), names
        ),
        min_size=1,
        max_size=4,
    ),
    st.integers(0, 1),
)
@example([(b"\xc0\x0c", 15, None, b"\xc0\x0c")], 0)
@example([(b"\xc0\x0c", 15, None, b"\1a\xc0\x26")], 0)  # to itself
@example([(b"\xc0\x0c", 15, None, b"\1a\0"), (b"\xc0\x34", 15, None, b"\xc0\x34")], 0)
# A name that begins with the second octet of the pointer which ends the name that it leads to.
@example(
    [
        (b"\xc0\x0c", 15, None, b"\1a\xc0\x0c"),
        (b"9" + b"x" * 11 + b"-" + b"y" * 45 + b"\xc0\x34", 1, None, b""),
        (b"\xc0\x37", 1, None, b""),
    ],
    0,
)
def test_pointers_wherever_they_lead_are_read_alike(
    parts: list[tuple[bytes, int, int | None, bytes]], below: int
) -> None:
    above = max(0, len(parts) - below)
    wire = HEAD.pack(ID, 0x8180, 1, above, len(parts) - above, 0) + asked().section
    for owner, rdtype, size, name in parts:
        data = {1: b"\xc0\0\2\1", 28: b"\x20\1" + bytes(14), 6: name + name + bytes(20), 15: b"\0\x0a" + name}
        octets = data.get(rdtype, name)
        length = len(octets) if size is None else size
        wire += owner + struct.pack("!HHIH", rdtype, 1, 60, length) + octets
    found = plainly(wire)
    if found is not None:
        assert found == fully(wire)


@given(st.binary(max_size=200), st.integers(0, 20))
def test_no_octets_raise(tail: bytes, size: int) -> None:
    question = asked()
    wire = message("MX", list(RECORDS[:2]))
    for head in (b"", wire[:size], HEAD.pack(ID, 0x8180, 1, 3, 3, 3) + question.section):
        question.read(ID, head + tail)
        found = plainly(head + tail)
        assert found is None or found == fully(ID.to_bytes(2) + (head + tail)[2:])


@pytest.mark.parametrize(
    ("rdtype", "sections", "rcode"),
    [
        (
            "MX",
            ([RECORDS[0], RECORDS[6]], ["example.com. NS ns.example.com."], [RECORDS[10], RECORDS[14]]),
            0,
        ),
        ("MX", ([RECORDS[1]],), 0),
        ("A", ([f"{NAME}. CNAME www.example.net.", "www.example.net. A 192.0.2.1"],), 0),
        ("AAAA", ([RECORDS[3]],), 0),
        ("AAAA", ([], [SOA]), 0),
        ("MX", ([], [SOA]), 3),
        ("MX", ([],), 0),
    ],
)
@pytest.mark.parametrize("edns", [-1, 0])
def test_what_honest_servers_send_is_plain(
    rdtype: str, sections: tuple[list[str], ...], rcode: int, edns: int
) -> None:
    wire = message(rdtype, *sections, rcode=rcode, edns=edns)
    found = plainly(wire, rdtype)
    assert found is not None
    assert found == fully(wire, rdtype) == asked(rdtype=rdtype).read(ID, wire)


@pytest.mark.parametrize(
    ("rdtype", "wire"),
    [
        ("MX", message("MX", [RECORDS[0]], flags=QR | TC)),
        ("MX", message("MX", [RECORDS[0]], flags=RA)),
        ("MX", message("MX", [], rcode=2)),
        ("MX", message("MX", [], rcode=16)),
        ("MX", message("MX", [], options=(dns.edns.GenericOption(dns.edns.OptionType.COOKIE, b"12345678"),))),
        ("MX", message("MX", [f"{NAME}. MX 10 mx.example."], rdclass="CH")),
        ("A", message("A", [RECORDS[2]] * 65)),
        ("TXT", message("TXT", [f'{NAME}. TXT "x"'])),
        ("MX", message("MX", [f"{NAME}. MX 10 \\000\\255.example."])),
        ("A", message("A", [f"{NAME}. CNAME {'a.' * 40}example."])),
        ("AAAA", message("AAAA", [f"{NAME}. AAAA ::ffff:192.0.2.1"])),
        ("MX", message("A", [RECORDS[2]])),
        ("A", message("A", [RECORDS[2]], edns=-1)[:-1]),
    ],
    ids=[
        "truncated", "query", "SERVFAIL", "BADVERS", "option", "class", "many", "TXT", "octets", "deep", "embedded",
        "question", "cut",
    ],
)  # fmt: skip
def test_what_is_odd_is_left_to_the_full_reading(rdtype: str, wire: bytes) -> None:
    assert plainly(wire, rdtype) is None
    assert asked(rdtype=rdtype).read(ID, wire) == fully(wire, rdtype)


def test_an_id_of_another_is_no_answer() -> None:
    wire = message("MX", [RECORDS[0]])
    assert asked().read(ID, wire) is not None
    assert asked().read(ID ^ 1, wire) is None
    assert asked("other.example").read(ID, wire) is None
    assert asked(rdtype="A").read(ID, wire) is None
    assert asked().read(ID, b"") is None


def test_a_plain_answer_in_full() -> None:
    wire = message("MX", [f"{NAME}. MX 10 Mx1.Example.NET."], flags=QR | RA | AD)
    assert plainly(wire) == Response(
        DnsOutcome.ANSWER,
        None,
        "NOERROR",
        authenticated=True,
        records=(DnsRecord(NAME, "MX", 60, "10 Mx1.Example.NET.", 10, "mx1.example.net"),),
    )


def test_the_dearest_datagram_takes_a_moment() -> None:
    section = asked().section
    deep = b"".join(b"\1a" for _ in range(11)) + b"\xc0\x0c"
    record = b"%b" + struct.pack("!HHIH", 15, 1, 60, 2 + len(deep)) + b"\0\x0a" + deep
    count = (1232 - 12 - len(section)) // len(record % deep)
    wire = HEAD.pack(ID, 0x8180, 1, count, 0, 0) + section + (record % deep) * count
    began = time.process_time()
    for _ in range(20):
        plainly(wire)
    assert time.process_time() - began < 20 * 0.005


# --- the query -----------------------------------------------------------------------------------------


@given(
    st.one_of(
        st.text("aZ09-_.\\@$ ü", max_size=30),
        st.sampled_from(
            ("", ".", "@", "a" * 64, ".".join(["a" * 63] * 4), ".".join(["a"] * 127), r"a\.b", r"\065.c")
        ),
    ),
    st.sampled_from(("MX", "A", "TXT", "TYPE65280", "no type")),
    st.integers(0, 0xFFFF),
    st.booleans(),
)
def test_the_query_is_the_one_that_dnspython_writes(name: str, rdtype: str, number: int, edns: bool) -> None:
    name = name.lower().removesuffix(".") or "."
    question, parsed = question_of(name, rdtype), make_question(name, rdtype)
    assert (question is None) == (parsed is None)
    if question is not None and parsed is not None:
        assert question.query(number, edns=edns) == make_query(parsed, number, edns=edns).to_wire()
