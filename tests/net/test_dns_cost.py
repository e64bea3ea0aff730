"""Messages that are dear to parse are left alone; what honest servers send is not."""

from __future__ import annotations

import struct
import time

import dns.message
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.core.model import DnsOutcome
from probe.net.dns_cost import MAX_OCTETS, MAX_RECORDS, is_costly
from probe.net.dns_message import make_query, make_question, read_response

QUESTION = make_question("d.example", "MX")
assert QUESTION is not None
QUERY = make_query(QUESTION, 4711, edns=True)
HEAD = b"\x01d\x07example\0" + struct.pack("!HH", 15, 1)
DEEP = b"\x01a" * 125 + b"\0"
"""A name of 126 labels, the root's included."""
FIRST = struct.pack("!HHHIHH", 0xC00C, 15, 1, 60, 2 + len(DEEP), 10) + DEEP
TO_DEEP = 0xC000 | (12 + len(HEAD) + len(FIRST) - len(DEEP))


def message(*records: bytes, questions: int = 1) -> bytes:
    head = struct.pack("!6H", QUERY.id, 0x8180, questions, len(records), 0, 0)
    return head + HEAD + b"".join(records)


def record(rdtype: int, data: bytes, owner: int = 0xC00C) -> bytes:
    return struct.pack("!HHHIH", owner, rdtype, 1, 60, len(data)) + data


MX_DEEP = record(15, struct.pack("!HH", 10, TO_DEEP))
DEAR = {
    "pointers to a deep name, one datagram": message(FIRST, *[MX_DEEP] * 56),
    "4 KiB of them": message(FIRST, *[MX_DEEP] * 238),
    "64 KiB of them": message(FIRST, *[MX_DEEP] * 4000),
    "deep owners": message(FIRST, *[record(1, b"\xc0\0\2\1", TO_DEEP)] * 300),
    "aliases": message(FIRST, *[record(5, struct.pack("!H", TO_DEEP))] * 300),
    "a type with many names": message(FIRST, record(55, b"\1\1\0\1ab" + struct.pack("!H", TO_DEEP) * 4000)),
    "names in a type nobody asked for": message(*[record(33, b"\0" * 6 + DEEP)] * 50),
    "many records": message(*[record(1, b"\xc0\0\2\1")] * (MAX_RECORDS + 1)),
    "one large record": message(record(16, b"\0" * MAX_OCTETS)),
}


@pytest.mark.parametrize("wire", DEAR.values(), ids=DEAR.keys())
def test_what_would_hold_up_the_run_is_malformed_at_once(wire: bytes) -> None:
    started = time.process_time()
    response = read_response(QUERY, wire)
    assert time.process_time() - started < 0.1
    assert response is not None
    assert (response.outcome, response.records) == (DnsOutcome.MALFORMED, ())
    assert response.detail is not None
    assert response.detail.endswith("octets with more in them than is read")


def test_the_dearest_message_that_is_read_takes_a_moment() -> None:
    allowed = message(FIRST, *[MX_DEEP] * 4)
    assert not is_costly(allowed)
    assert is_costly(message(FIRST, *[MX_DEEP] * 8))
    started = time.process_time()
    response = read_response(QUERY, allowed)
    assert time.process_time() - started < 0.2
    assert response is not None
    assert len(response.records) == 5


@pytest.mark.parametrize(
    "lines",
    [
        [f"d.example. MX {n} mail-in{n}.eu-central.mx.customer.example.com." for n in range(100)],
        [f"d.example. A 192.0.2.{n % 250}" for n in range(200)],
        ["d.example. CNAME e.example.", "e.example. MX 10 mx.e.example.", 'e.example. TXT "v=spf1 -all"'],
        [
            f"{'1.' * 30}ip6.arpa. PTR mail.example.com.",
            "d.example. SOA ns.d.example. root.d.example. 1 2 3 4 5",
        ],
        ["d.example. RRSIG MX 13 2 60 20300101000000 20250101000000 1 d.example. " + "qrvM" * 21 + "qrs="],
    ],
    ids=["MX", "A", "alias", "deep", "signature"],
)
def test_honest_messages_are_cheap(lines: list[str]) -> None:
    response = dns.message.make_response(QUERY, recursion_available=True)
    for line in lines:
        owner, rdtype, data = line.split(" ", 2)
        response.answer.append(dns.rrset.from_text(owner, 60, "IN", rdtype, data))
    assert not is_costly(response.to_wire(max_size=65535))


def test_many_questions_are_no_answer() -> None:
    assert read_response(QUERY, message(questions=9000) + HEAD * 8999) is None


@given(st.binary(max_size=200))
def test_no_octets_raise(tail: bytes) -> None:
    for head in (b"", message(FIRST, MX_DEEP), message(FIRST, MX_DEEP)[:40]):
        is_costly(head + tail)
