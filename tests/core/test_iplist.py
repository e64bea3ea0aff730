"""Lists of relays as Exim, WHM and Postfix read them, line by line, and whatever else stands in such files."""

from __future__ import annotations

import time
from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.core.exemption.iplist import Entry, Form, Index, is_exempting, parse, style_of
from probe.core.exemption.ways import Style
from tests.support.every import every

BARE, KEYED, CIDR, NAME, UNREADABLE = Form


def one(line: str) -> Entry:
    (entry,) = parse(line)
    return entry


@every(
    ("line", "form", "network", "value"),
    [
        ("192.0.2.59", BARE, "192.0.2.59/32", None),
        ("192.0.2.0/24", BARE, "192.0.2.0/24", None),
        ("192.0.2.59   ", BARE, "192.0.2.59/32", None),
        ("2001:db8::1", BARE, "2001:db8::1/128", None),
        ('"2001:db8::1"', BARE, "2001:db8::1/128", None),
        ('"2001:db8::/32": a.example', KEYED, "2001:db8::/32", "a.example"),
        ('"192.0.2.59" a.example', KEYED, "192.0.2.59/32", "a.example"),
        ("192.0.2.59: a.example : b.example", KEYED, "192.0.2.59/32", "a.example : b.example"),
        ("192.0.2.59:a.example", KEYED, "192.0.2.59/32", "a.example"),
        ("192.0.2.59:", BARE, "192.0.2.59/32", None),
        ("192.0.2.59 # of joe", KEYED, "192.0.2.59/32", "# of joe"),
        ("192.0.2.59 OK", CIDR, "192.0.2.59/32", "OK"),
        ("192.0.2.59\tOK", CIDR, "192.0.2.59/32", "OK"),
        ("192.0.2.59/32  \t permit", CIDR, "192.0.2.59/32", "permit"),
        ("2001:db8::/32 OK", CIDR, "2001:db8::/32", "OK"),
        ("192.0.2.59 REJECT 5.7.1 go away", CIDR, "192.0.2.59/32", "REJECT 5.7.1 go away"),
        ("mail.example.com", NAME, None, None),
        ("*.example.com", NAME, None, None),
        (".example.com", NAME, None, None),
        ("192.0.2", UNREADABLE, None, None),
        ("192.0.2.300", UNREADABLE, None, None),
        ("192.0.2.059", UNREADABLE, None, None),
        ("192.0.2.59/33", UNREADABLE, None, None),
        ("192.0.2.*", UNREADABLE, None, None),
        ("fe80::1%eth0", UNREADABLE, None, None),
        ('"2001:db8::1', UNREADABLE, None, None),
        ("  192.0.2.59", UNREADABLE, None, None),
        ("\u202e192.0.2.59", UNREADABLE, None, None),
    ],
)
def test_a_line(line: str, form: Form, network: str | None, value: str | None) -> None:
    entry = one(line)
    assert entry.form is form
    assert entry.network == (None if network is None else ip_network(network))
    assert form is UNREADABLE or entry.value == value


def test_what_is_no_entry() -> None:
    assert parse("") == parse("\n \n# comment\n\t\n#\n") == ()


def test_host_bits_quotes_and_negation() -> None:
    assert one("192.0.2.59/24").host_bits
    assert not one("192.0.2.0/24").host_bits
    assert one('"2001:db8::1"').quoted
    assert one("!192.0.2.59").negated
    assert one("! 192.0.2.59 OK").network == ip_network("192.0.2.59")


def test_what_stands_in_a_condition_is_marked() -> None:
    entries = parse(
        "192.0.2.1 OK\nif 198.51.100.0/24\n198.51.100.1 OK\nendif\n192.0.2.2 OK\nendif\nif !10.0.0.0/8\n8.8.8.8 OK"
    )
    assert [entry.conditional for entry in entries] == [False, True, False, True]


@pytest.mark.parametrize(
    ("action", "exempts"),
    [
        ("OK", True), ("ok", True), ("permit", True), ("RELAY", True), ("250", True), ("DUNNO", False),
        ("REJECT", False), ("450 later", False), ("554", False), ("DEFER", False), ("sav_class", False),
    ],
)  # fmt: skip
def test_actions(action: str, exempts: bool) -> None:
    assert is_exempting(one(f"192.0.2.59 {action}")) is exempts


def test_how_a_list_is_read_is_told_by_its_lines_and_its_name() -> None:
    assert style_of(parse("192.0.2.59"), "/etc/senderverifybypasshosts") is Style.IPLSEARCH
    assert style_of(parse("192.0.2.59"), "/etc/exim4/host_local_deny_exceptions") is Style.HOSTS
    assert style_of(parse("192.0.2.1\n192.0.2.59 OK"), "x") is Style.CIDR
    assert style_of(parse("192.0.2.59: a.example : b.example\n"), "x") is Style.PAIRS
    assert style_of(parse("192.0.2.59: a.example\n192.0.2.60"), "x") is Style.IPLSEARCH
    assert style_of(parse("192.0.2.59 # joe"), "x") is Style.IPLSEARCH
    assert style_of((), "x") is Style.IPLSEARCH


def test_a_remark_belongs_to_the_entry_below_it_and_to_no_other() -> None:
    entries = parse(
        "# probe-sender 192.0.2.1 sender=<a@b.example> until=2026-01-01\n192.0.2.1\n192.0.2.2\n"
        "# probe-sender 192.0.2.9 sender=<x@y.example>\n192.0.2.3\n"
        "# sender=<c@d.example>\n# until=2027-01-01 and so on\n192.0.2.4\n"
        "# until=2027-01-01\n\n192.0.2.5\n"
    )
    remarks = [entry.remark for entry in entries]
    assert [remark and (remark.sender, remark.until) for remark in remarks] == [
        ("a@b.example", "2026-01-01"),
        None,
        None,  # the comment names another relay: somebody has taken the line between them away
        ("c@d.example", "2027-01-01"),
        None,
    ]


def test_who_covers_whom() -> None:
    entries = parse("192.0.2.0/24\n192.0.2.59\n192.0.2.59\n0.0.0.0/0\n2001:db8::/32\nx.example")
    index = Index(entries)
    assert [entry.line for entry in index.covering(ip_network("192.0.2.59"))] == [2, 1, 4]
    assert [entry.line for entry in index.covering(ip_network("2001:db8::1"))] == [5]
    assert [entry.line for entry in index.covering(ip_network("2001:db9::1"))] == []
    assert [entry.line for entry in index.covering(ip_network("192.0.2.0/25"))] == [1, 4]


lines = st.text(max_size=60) | st.sampled_from(
    [
        "192.0.2.1",
        "192.0.2.0/24 OK",
        "if x",
        "endif",
        '"2001:db8::1": x',
        "!",
        '"',
        "# probe-sender x until=2026-01-01",
        ":",
    ]
)


@given(st.lists(lines, max_size=12).map("\n".join))
def test_no_text_raises(text: str) -> None:
    entries = parse(text)
    assert len(entries) <= text.count("\n") + 1
    style_of(entries, text)
    for entry in entries:
        is_exempting(entry)


def test_a_long_list_takes_no_long_time() -> None:
    began = time.process_time()
    index = Index(
        parse("\n".join(f"10.{n >> 8}.{n & 255}.0/24" for n in range(20000)) + "\n" + "x" * 1_000_000)
    )
    for number in range(20000):
        assert list(index.covering(ip_network((0x0A000001 + (number << 8), 32))))
    assert time.process_time() - began < 10
