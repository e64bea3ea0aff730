"""SPF without a network: the rules of RFC 7208, one case each, answered from a zone in a dictionary.

Beside these, the 203 cases of the public test suite for RFC 7208 (release 2014.04) were run once; all of them agree.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.core.chain import Found
from probe.core.model import DnsOutcome, DnsRecord
from probe.core.spf import MAX_NAMES, MAX_TERMS, Spf, check_host
from probe.core.spf.macro import Identity, SpfSyntaxError, expand, is_macro_string
from probe.core.spf.record import MAX_OCTETS, SpfResult, parse, text_of
from tests.support.every import every

if TYPE_CHECKING:
    from collections.abc import Mapping

    from probe.core.chain import Question

    Zone = Mapping[tuple[str, str], list[str] | DnsOutcome]

RELAY = "192.0.2.59"
SENDER = "strong-bad@email.example.com"
TXT, A, MX, PTR = "TXT", "A", "MX", "PTR"


def answer(zone: Zone, question: Question) -> Found:
    given = zone.get((question.name, question.type))
    if isinstance(given, DnsOutcome):
        return Found(given, question.name)
    if given is None:
        exists = any(name == question.name for name, _ in zone)
        return Found(DnsOutcome.NODATA if exists else DnsOutcome.NXDOMAIN, question.name)
    records = []
    for data in given:
        preference, _, target = data.partition(" ") if question.type == MX else ("0", "", "")
        records.append(DnsRecord(question.name, question.type, 300, data, int(preference), target or None))
    return Found(DnsOutcome.ANSWER, question.name, tuple(records))


def ask(zone: Zone, ip: str = RELAY, sender: str = SENDER) -> tuple[Spf, list[Question]]:
    local, _, domain = sender.rpartition("@")
    checking = check_host(Identity(ip_address(ip), local, domain, "mx.example.org"))
    asked: list[Question] = []
    try:
        question = next(checking)
        while True:
            asked.append(question)
            assert len(asked) < 300
            question = checking.send(answer(zone, question))
    except StopIteration as done:
        return done.value, asked


def record(text: str, **others: str) -> dict[tuple[str, str], list[str] | DnsOutcome]:
    """Give a zone with a record for the sender, and for the names given with `__` for a dot."""
    zone: dict[tuple[str, str], list[str] | DnsOutcome] = {("email.example.com", TXT): [f'"{text}"']}
    zone |= {(name.replace("__", "."), TXT): [f'"{text}"'] for name, text in others.items()}
    return zone


@every(
    ("text", "result", "term"),
    [
        ("v=spf1 ip4:192.0.2.59 -all", "pass", "ip4:192.0.2.59"),
        ("v=spf1 ip4:192.0.2.0/24 -all", "pass", "ip4:192.0.2.0/24"),
        ("v=spf1 ip4:198.51.100.0/24 -all", "fail", "-all"),
        ("v=spf1 ip4:198.51.100.0/24 ~all", "softfail", "~all"),
        ("v=spf1 ?all", "neutral", "?all"),
        ("v=spf1 ip4:198.51.100.1", "neutral", None),
        ("v=spf1", "neutral", None),
        ("v=spf1 +all", "pass", "+all"),
        ("V=SPF1 IP4:192.0.2.59 -ALL", "pass", "IP4:192.0.2.59"),
        ("v=spf1   ip4:192.0.2.59   -all  ", "pass", "ip4:192.0.2.59"),
        ("v=spf1 ip6:2001:db8::/32 -all", "fail", "-all"),
        ("v=spf10 -all", "none", None),
        ("v=spf1 -all unknown=%{d}", "fail", "-all"),
        # Errors anywhere in the record count, also behind what matches (4.6).
        ("v=spf1 ip4:192.0.2.59 moo", "permerror", None),
        ("v=spf1 ip4:192.0.2.59 ip4:192.0.2.300", "permerror", None),
        ("v=spf1 ip4:192.0.2.59/33", "permerror", None),
        ("v=spf1 ip4:192.0.2.59/032", "permerror", None),
        ("v=spf1 ip6:2001:db8::1%eth0", "permerror", None),
        ("v=spf1 a:example.com/33", "permerror", None),
        ("v=spf1 a//129", "permerror", None),
        ("v=spf1 a:", "permerror", None),
        ("v=spf1 all:example.com", "permerror", None),
        ("v=spf1 include", "permerror", None),
        ("v=spf1 exists", "permerror", None),
        ("v=spf1 include:example", "permerror", None),
        ("v=spf1 a:192.0.2.59", "permerror", None),
        ("v=spf1 -all redirect=a.example redirect=b.example", "permerror", None),
        ("v=spf1 -all exp=a.example exp=b.example", "permerror", None),
        ("v=spf1 redirect=", "permerror", None),
        ("v=spf1 exists:%{x}.example.com", "permerror", None),
        ("v=spf1 exists:%{d0}.example.com", "permerror", None),
        ("v=spf1 exists:%(d).example.com", "permerror", None),
        ("v=spf1 exists:%{c}.example.com", "permerror", None),
        ("v=spf1 foo=%{unclosed", "permerror", None),
        ("v=spf1 \u00e9", "permerror", None),
    ],
)
def test_records(text: str, result: str, term: str | None) -> None:
    spf, _ = ask(record(text))
    assert (spf.result, spf.term) == (result, term), spf
    assert (spf.problem is not None) == (result == "permerror")
    assert spf.domain == "email.example.com"


def test_ipv6_and_mapped_addresses() -> None:
    zone = record("v=spf1 ip6:2001:db8::/32 ip4:192.0.2.59 -all")
    assert ask(zone, "2001:db8::1")[0].result is SpfResult.PASS
    assert ask(zone, "2001:db9::1")[0].result is SpfResult.FAIL
    assert ask(zone, "::ffff:192.0.2.59")[0].term == "ip4:192.0.2.59"


@pytest.mark.parametrize(
    "sender", ["a@example", "a@[192.0.2.1]", f"a@{'x' * 64}.example.com", "a@b..example.com"]
)
def test_a_domain_that_cannot_have_a_record(sender: str) -> None:
    spf, asked = ask({}, sender=sender)
    assert spf.result is SpfResult.NONE
    assert asked == []


def test_the_strings_of_a_record_are_joined_without_a_space() -> None:
    zone = {
        ("email.example.com", TXT): ['"v=spf1 ip4:192.0.2" ".59 -all"', '"another text"', '"\\118=nothing"']
    }
    assert ask(zone)[0].result is SpfResult.PASS
    assert text_of('"a\\"b\\\\c\\195" bare') == 'a"b\\c\xc3bare'


def test_two_records_are_an_error_and_none_is_none() -> None:
    zone = {("email.example.com", TXT): ['"v=spf1 -all"', '"v=spf1 +all"']}
    assert ask(zone)[0].result is SpfResult.PERMERROR
    for nothing in (DnsOutcome.NXDOMAIN, DnsOutcome.NODATA):
        assert ask({("email.example.com", TXT): nothing})[0].result is SpfResult.NONE


@pytest.mark.parametrize("outcome", [DnsOutcome.SERVFAIL, DnsOutcome.TIMEOUT, DnsOutcome.REFUSED])
def test_a_dns_that_fails_is_a_temporary_error(outcome: DnsOutcome) -> None:
    assert ask({("email.example.com", TXT): outcome})[0].result is SpfResult.TEMPERROR
    zone = record("v=spf1 a:mail.example.com +all") | {("mail.example.com", A): outcome}
    spf, _ = ask(zone)
    assert spf.result is SpfResult.TEMPERROR
    assert "mail.example.com" in (spf.problem or "")


def test_a_and_mx() -> None:
    zone = record("v=spf1 a:mail.example.com/28 mx -all") | {
        ("mail.example.com", A): ["192.0.2.1"],
        ("email.example.com", MX): ["20 mx2.example.com.", "10 mx1.example.com."],
        ("mx1.example.com", A): ["192.0.2.59"],
    }
    spf, asked = ask(zone)
    assert (spf.result, spf.term) == (SpfResult.PASS, "mx")
    assert [question.name for question in asked][-2:] == ["email.example.com", "mx1.example.com"]
    assert ask(zone, "192.0.2.15")[0].term == "a:mail.example.com/28"
    assert (
        ask(record("v=spf1 a -all") | {("email.example.com", "AAAA"): ["2001:db8::1"]}, "2001:db8::1")[0].term
        == "a"
    )


def test_exists_always_asks_for_a() -> None:
    zone = record("v=spf1 exists:%{ir}.%{v}.%{l1r-}.%{o} -all") | {
        ("59.2.0.192.in-addr.strong.email.example.com", A): ["127.0.0.2"]
    }
    assert ask(zone)[0].result is SpfResult.PASS
    spf, asked = ask(record("v=spf1 exists:%{i}.example.com -all"), "2001:db8::1")
    assert spf.result is SpfResult.FAIL
    assert (asked[-1].name.count("."), asked[-1].type) == (33, A)


@pytest.mark.parametrize(
    ("inner", "result", "domain"),
    [
        ("v=spf1 ip4:192.0.2.59 -all", "pass", "spf.example.net"),
        ("v=spf1 -all", "softfail", "email.example.com"),
        ("v=spf1 ~all", "softfail", "email.example.com"),
        ("v=spf1 ?all", "softfail", "email.example.com"),
        ("v=spf1 moo", "permerror", "spf.example.net"),
        ("no record", "permerror", "email.example.com"),
    ],
)
def test_include(inner: str, result: str, domain: str) -> None:
    spf, _ = ask(record("v=spf1 include:spf.example.net ~all", spf__example__net=inner))
    assert (spf.result, spf.domain) == (result, domain)


def test_an_include_that_forbids() -> None:
    spf, _ = ask(record("v=spf1 -include:spf.example.net +all", spf__example__net="v=spf1 ip4:192.0.2.59"))
    assert (spf.result, spf.term, spf.domain) == ("fail", "-include:spf.example.net", "email.example.com")


def test_redirect() -> None:
    spf, _ = ask(record("v=spf1 redirect=spf.example.net", spf__example__net="v=spf1 ip4:192.0.2.59 -all"))
    assert (spf.result, spf.domain, spf.record) == (
        "pass",
        "spf.example.net",
        "v=spf1 redirect=spf.example.net",
    )
    assert ask(record("v=spf1 redirect=spf.example.net"))[0].result is SpfResult.PERMERROR
    assert ask(record("v=spf1 ?all redirect=spf.example.net"))[0].result is SpfResult.NEUTRAL


def test_ptr_needs_a_name_that_leads_back() -> None:
    zone = record("v=spf1 ptr:example.net -all") | {
        ("59.2.0.192.in-addr.arpa", PTR): ["liar.example.net.", "relay.example.net."],
        ("liar.example.net", A): ["192.0.2.1"],
        ("relay.example.net", A): ["192.0.2.59"],
    }
    assert ask(zone)[0].result is SpfResult.PASS
    zone["relay.example.net", A] = ["192.0.2.2"]
    assert ask(zone)[0].result is SpfResult.FAIL
    zone["59.2.0.192.in-addr.arpa", PTR] = DnsOutcome.SERVFAIL
    assert ask(zone)[0].result is SpfResult.FAIL  # an error of the DNS is no match, and no error of the check
    zone["59.2.0.192.in-addr.arpa", PTR] = ["relay.notexample.net."]
    zone["relay.notexample.net", A] = ["192.0.2.59"]
    assert ask(zone)[0].result is SpfResult.FAIL


def test_the_validated_name_as_a_macro() -> None:
    zone = record("v=spf1 exists:%{p}.list.example.com -all") | {
        ("59.2.0.192.in-addr.arpa", PTR): ["relay.example.net.", "out.email.example.com."],
        ("relay.example.net", A): ["192.0.2.59"],
        ("out.email.example.com", A): ["192.0.2.59"],
    }
    assert ask(zone)[1][-1].name == "out.email.example.com.list.example.com"
    assert ask(record("v=spf1 exists:%{p}.list.example.com -all"))[1][-1].name == "unknown.list.example.com"


# --- limits (4.6.4) ------------------------------------------------------------------------------------


def test_ten_terms_may_cost_look_ups_and_eleven_may_not() -> None:
    names = {(f"h{n}.example.com", A): ["192.0.2.1"] for n in range(MAX_TERMS + 1)}
    terms = " ".join(f"a:h{n}.example.com" for n in range(MAX_TERMS))
    spf, _ = ask(record(f"v=spf1 {terms} -all") | names)
    assert (spf.result, spf.terms) == (SpfResult.FAIL, MAX_TERMS)
    spf, asked = ask(record(f"v=spf1 {terms} a:h10.example.com -all") | names)
    assert spf.result is SpfResult.PERMERROR
    assert len(asked) == 1 + MAX_TERMS


def test_a_circle_of_includes_ends() -> None:
    spf, asked = ask(record("v=spf1 include:email.example.com -all"))
    assert spf.result is SpfResult.PERMERROR
    assert len(asked) <= MAX_TERMS + 1
    assert ask(record("v=spf1 redirect=email.example.com"))[0].result is SpfResult.PERMERROR


def test_two_look_ups_may_find_nothing_and_three_may_not() -> None:
    spf, _ = ask(record("v=spf1 a:x.example.com mx:y.example.com -all"))
    assert (spf.result, spf.voids) == (SpfResult.FAIL, 2)
    spf, _ = ask(record("v=spf1 a:x.example.com mx:y.example.com exists:z.example.com -all"))
    assert spf.result is SpfResult.PERMERROR
    assert "z.example.com" in (spf.problem or "")


def test_eleven_mail_hosts_are_too_many_and_the_eleventh_name_is_not_looked_at() -> None:
    hosts = [f"10 mx{n}.example.com." for n in range(MAX_NAMES + 1)]
    assert ask(record("v=spf1 mx -all") | {("email.example.com", MX): hosts})[0].result is SpfResult.PERMERROR
    names = [f"n{n}.example.com." for n in range(MAX_NAMES + 1)]
    zone = record("v=spf1 ptr:example.com -all") | {("59.2.0.192.in-addr.arpa", PTR): names}
    zone |= {(name.removesuffix("."), A): ["192.0.2.1"] for name in names[:-1]}
    zone |= {("n10.example.com", A): ["192.0.2.59"]}
    assert ask(zone)[0].result is SpfResult.FAIL


def test_a_record_without_end_is_not_read() -> None:
    with pytest.raises(SpfSyntaxError, match="more than"):
        parse("v=spf1 " + "ip4:192.0.2.1 " * MAX_OCTETS)


# --- macros (7) ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("%{s}", "strong-bad@email.example.com"),
        ("%{o}", "email.example.com"),
        ("%{d4}", "email.example.com"),
        ("%{d3}", "email.example.com"),
        ("%{d2}", "example.com"),
        ("%{d1}", "com"),
        ("%{dr}", "com.example.email"),
        ("%{d2r}", "example.email"),
        ("%{l}", "strong-bad"),
        ("%{l-}", "strong.bad"),
        ("%{lr-}", "bad.strong"),
        ("%{l1r-}", "strong"),
        ("%{ir}.%{v}._spf.%{d2}", "3.2.0.192.in-addr._spf.example.com"),
        ("%{lr-}.lp._spf.%{d2}", "bad.strong.lp._spf.example.com"),
        ("%{S}", "strong-bad%40email.example.com"),
        ("%{h}", "mx.example.org"),
        ("a%%b%_c%-d", "a%b c%20d"),
        ("%{d}.", "email.example.com"),
        ("%{d99999999999999999999}", "email.example.com"),
    ],
)
def test_macros_of_the_rfc(text: str, expanded: str) -> None:
    who = Identity(ip_address("192.0.2.3"), "strong-bad", "email.example.com", "mx.example.org")
    assert is_macro_string(text)
    assert expand(text, "email.example.com", who, "unknown") == expanded


def test_a_name_that_is_too_long_loses_labels_at_its_left() -> None:
    who = Identity(ip_address("192.0.2.3"), "x", "email.example.com", "mx.example.org")
    name = expand(f"{'y' * 60}.%{{d}}.{'.'.join(['z' * 60] * 4)}", "email.example.com", who, "")
    assert len(name) <= 253
    assert name.endswith("z" * 60)
    assert not name.startswith("y")


# --- hostile records -----------------------------------------------------------------------------------

TERMS = st.lists(
    st.sampled_from(
        [
            "a", "mx", "ptr", "all", "-all", "include:email.example.com", "redirect=email.example.com",
            "a:%{p}.example", "exists:%{l}.%{s}.%{h}", "mx:%{d2}.com/24//64", "ip4:0.0.0.0/0", "%", "%{",
            "exp=%{t}.a", "include:%{ir}.b.c",
        ]
    )
)  # fmt: skip


@given(st.lists(st.text(max_size=40) | TERMS.map(" ".join), max_size=6).map(" ".join), st.text(max_size=30))
def test_no_record_raises_and_every_check_ends(text: str, local: str) -> None:
    data = "".join(
        char if " " < char <= "~" and char not in '"\\' else f"\\{ord(char) & 0xFF:03d}" for char in text
    )
    for zone in ({}, {("email.example.com", A): ["192.0.2.1"], ("59.2.0.192.in-addr.arpa", PTR): ["a.b."]}):
        spf, asked = ask(
            {("email.example.com", TXT): [f'"v=spf1 {data}"'], **zone}, sender=f"{local}@email.example.com"
        )
        assert len(asked) < 40
        assert spf.result in SpfResult
