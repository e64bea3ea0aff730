from __future__ import annotations

import time
from ipaddress import ip_address
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.core.chain import MAX_CNAMES, Question
from probe.core.model import Address, AddressKind, DnsAnswer, DnsOutcome, DnsRecord, Origin, Scope, Skip
from probe.core.route import (
    MAX_EXCHANGES,
    MAX_TARGETS,
    ExchangeKind,
    Route,
    RouteState,
    route,
)
from probe.core.scope import may_be_connected_to, read_ip, scope
from tests.support.every import every

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from random import Random

DOMAIN = "customer.example.com"
SERVFAIL, NXDOMAIN, NODATA = DnsOutcome.SERVFAIL, DnsOutcome.NXDOMAIN, DnsOutcome.NODATA


def address(domain: str = DOMAIN, ip: str | None = None) -> Address:
    kind = AddressKind.DOMAIN if ip is None else AddressKind.LITERAL
    return Address(f"a@{domain}", f"a@{domain}", "a", domain, domain, kind, ip, ())


def record(line: str) -> DnsRecord:
    name, rdtype, data = line.split(" ", 2)
    if rdtype != "MX":
        return DnsRecord(name, rdtype, 300, data)
    preference, target = data.split(" ")
    return DnsRecord(name, rdtype, 300, data, int(preference), target)


def says(question: str, *lines: str, outcome: DnsOutcome | None = None, soa: int | None = 300) -> DnsAnswer:
    """Answer `name TYPE` with records `owner TYPE data`; with NODATA when there are none, unless told."""
    name, rdtype = question.split(" ")
    outcome = outcome or (DnsOutcome.ANSWER if lines else NODATA)
    records = tuple(record(line) for line in lines)
    return DnsAnswer(name, rdtype, 0.0, 0.1, outcome, None, False, records, soa, ())


def mx(*data: str, domain: str = DOMAIN) -> DnsAnswer:
    return says(f"{domain} MX", *(f"{domain} MX {item}" for item in data))


def hosts(**addresses: str | DnsOutcome) -> list[DnsAnswer]:
    """Answer A and AAAA of `LABEL.example.net` with its one address; the other family has none."""
    found = []
    for label, value in addresses.items():
        name = f"{label}.example.net"
        for rdtype in ("A", "AAAA"):
            if isinstance(value, DnsOutcome):
                found.append(says(f"{name} {rdtype}", outcome=value))
            elif (":" in value) is (rdtype == "AAAA"):
                found.append(says(f"{name} {rdtype}", f"{name} {rdtype} {value}"))
            else:
                found.append(says(f"{name} {rdtype}"))
    return found


def go(
    *answers: DnsAnswer,
    to: Address | None = None,
    seed: int = 1,
    families: tuple[int, ...] = (4, 6),
    allow_private: bool = True,
) -> Route:
    """Route with documentation addresses allowed, because no other may stand in a test."""
    return route(to or address(), answers, seed=seed, families=families, allow_private=allow_private)


def ips(found: Route) -> list[str]:
    return [target.ip for target in found.targets]


def asked(found: Route) -> list[str]:
    return [f"{question.name} {question.type}" for question in found.questions]


# --- asking ------------------------------------------------------------------------------------------


def test_the_mx_is_asked_first_and_alone() -> None:
    found = go()
    assert (found.state, asked(found)) == (RouteState.ASKING, [f"{DOMAIN} MX"])


def test_both_families_of_every_exchange_are_asked_at_once() -> None:
    found = go(mx("10 A.example.net.", "20 b.example.net"))
    assert asked(found) == ["a.example.net AAAA", "a.example.net A", "b.example.net AAAA", "b.example.net A"]
    assert found.state is RouteState.ASKING


def test_an_excluded_family_is_not_asked() -> None:
    assert asked(go(mx("10 a.example.net"), families=(4,))) == ["a.example.net A"]
    assert asked(go(says(f"{DOMAIN} MX"), families=(6,))) == [f"{DOMAIN} AAAA"]


def test_a_target_makes_it_ready_while_questions_are_open() -> None:
    found = go(mx("10 a.example.net", "20 b.example.net"), *hosts(b="192.0.2.2"))
    assert found.state is RouteState.READY
    assert asked(found) == ["a.example.net AAAA", "a.example.net A"]


def test_case_and_trailing_dots_do_not_matter() -> None:
    found = go(
        says("CUSTOMER.example.com. MX", "Customer.Example.COM. MX 10 Mail.Example.NET."),
        says("MAIL.example.net A", "mail.EXAMPLE.net. A 192.0.2.1"),
        says("mail.example.net. AAAA"),
        to=address("Customer.Example.Com."),
    )
    assert (found.state, ips(found), found.questions) == (RouteState.READY, ["192.0.2.1"], ())


# --- order -------------------------------------------------------------------------------------------


def test_preference_first_then_ipv6_before_ipv4_of_all_hosts_of_one_preference() -> None:
    answers = [
        mx("20 last.example.net", "10 a.example.net", "10 b.example.net"),
        *hosts(last="2001:db8::9"),
        *(says(f"{n}.example.net A", f"{n}.example.net A 192.0.2.{i}") for n, i in (("a", 1), ("b", 2))),
        *(
            says(f"{n}.example.net AAAA", f"{n}.example.net AAAA 2001:db8::{i}")
            for n, i in (("a", 1), ("b", 2))
        ),
    ]
    for seed in range(8):
        found = go(*answers, seed=seed)
        assert [target.preference for target in found.targets] == [10, 10, 10, 10, 20]
        assert [":" in ip for ip in ips(found)] == [True, True, False, False, True]
        assert [ip[-1] for ip in ips(found)[:2]] == [ip[-1] for ip in ips(found)[2:4]]


def test_the_seed_spreads_equal_preferences() -> None:
    names = "abcd"
    answers = [
        mx(*(f"10 {n}.example.net" for n in names)),
        *hosts(**{n: f"192.0.2.{i}" for i, n in enumerate(names)}),
    ]
    first = [go(*answers, seed=seed).targets[0].name for seed in range(400)]
    assert all(60 < first.count(f"{n}.example.net") < 140 for n in names)
    assert go(*answers, seed=7) == go(*answers, seed=7)


def test_names_and_addresses_that_repeat_are_dropped() -> None:
    found = go(
        mx("20 a.example.net", "10 b.example.net", "5 A.example.net."), *hosts(a="192.0.2.1", b="192.0.2.1")
    )
    assert [(host.name, host.preference) for host in found.exchanges] == [
        ("a.example.net", 5),
        ("b.example.net", 10),
    ]
    assert [(target.name, target.ip) for target in found.targets] == [("a.example.net", "192.0.2.1")]


# --- no exchange -------------------------------------------------------------------------------------


def test_the_domain_itself_is_the_host_when_there_is_no_mx() -> None:
    found = go(says(f"{DOMAIN} MX"), says(f"{DOMAIN} A", f"{DOMAIN} A 192.0.2.1"), says(f"{DOMAIN} AAAA"))
    (target,) = found.targets
    assert (target.name, target.preference, target.origin) == (DOMAIN, None, Origin.IMPLICIT)
    assert (found.state, found.exchanges) == (RouteState.READY, ())


def test_no_mx_and_no_address_is_no_mail_host() -> None:
    found = go(says(f"{DOMAIN} MX"), says(f"{DOMAIN} A"), says(f"{DOMAIN} AAAA"))
    assert found == Route(RouteState.NO_MAIL_HOST)


@pytest.mark.parametrize("outcome", [o for o in DnsOutcome if o not in {DnsOutcome.ANSWER, NODATA}])
def test_only_nodata_makes_an_implicit_mx(outcome: DnsOutcome) -> None:
    found = go(
        says(f"{DOMAIN} MX", outcome=outcome),
        says(f"{DOMAIN} A", f"{DOMAIN} A 192.0.2.1"),
        says(f"{DOMAIN} AAAA"),
    )
    assert (found.state.value, found.targets) == (outcome.value, ())


def test_a_failing_address_look_up_of_the_domain_is_no_missing_host() -> None:
    found = go(says(f"{DOMAIN} MX"), says(f"{DOMAIN} A", outcome=SERVFAIL), says(f"{DOMAIN} AAAA"))
    assert found.state is RouteState.EXCHANGES_FAILED


def test_null_mx() -> None:
    for null in ("0 .", "10 ."):
        found = go(mx(null))
        assert (found.state, found.questions) == (RouteState.NULL_MX, ())
        assert not found.null_mx_beside_others
        assert found.exchanges[0].kind is ExchangeKind.NULL


def test_null_mx_beside_others_is_only_unusable() -> None:
    found = go(mx("0 .", "10 a.example.net"), *hosts(a="192.0.2.1"))
    assert (found.state, found.null_mx_beside_others) == (RouteState.READY, True)
    assert go(mx("0 .", "10 a.example.net"), *hosts(a=NXDOMAIN)).state is RouteState.DANGLING


def test_every_exchange_dangling() -> None:
    found = go(mx("10 a.example.net", "20 b.example.net"), *hosts(a=NXDOMAIN, b=NODATA))
    assert found.state is RouteState.DANGLING
    assert all(exchange.dangling for exchange in found.exchanges)


@pytest.mark.parametrize("failure", [SERVFAIL, DnsOutcome.TIMEOUT, DnsOutcome.CUT_SHORT, DnsOutcome.LAME])
def test_dangling_and_failing_together_is_a_failure(failure: DnsOutcome) -> None:
    found = go(mx("10 a.example.net", "20 b.example.net"), *hosts(a=NXDOMAIN, b=failure))
    assert found.state is RouteState.EXCHANGES_FAILED
    assert [exchange.dangling for exchange in found.exchanges] == [True, False]
    assert found.exchanges[1].ipv4 is failure


def test_one_usable_exchange_outweighs_failing_ones() -> None:
    found = go(mx("10 a.example.net", "20 b.example.net"), *hosts(a=SERVFAIL, b="192.0.2.1"))
    assert (found.state, ips(found)) == (RouteState.READY, ["192.0.2.1"])


@pytest.mark.parametrize("text", ["192.0.2.1", "192.0.2.1.", "[192.0.2.1]", "2001:db8::1", r"192\.0\.2\.1"])
def test_an_address_as_exchange_is_not_looked_up(text: str) -> None:
    found = go(mx(f"10 {text}"))
    assert (found.state, found.questions) == (RouteState.MX_IS_ADDRESS, ())
    assert found.exchanges[0].kind is ExchangeKind.LITERAL


def test_an_address_as_exchange_beside_others() -> None:
    both = mx("10 192.0.2.1", "20 a.example.net")
    assert go(both, *hosts(a="192.0.2.2")).state is RouteState.READY
    assert go(both, *hosts(a=NXDOMAIN)).state is RouteState.MX_IS_ADDRESS
    assert go(both, *hosts(a=SERVFAIL)).state is RouteState.EXCHANGES_FAILED


def test_garbage_names_survive() -> None:
    found = go(mx(r"10 \255\000x.example", "20 bücher.example", "30 a..b"))
    assert [question.name for question in found.questions][::2] == [
        r"\255\000x.example",
        "bücher.example",
        "a..b",
    ]


def test_an_answer_without_anything_for_the_name_is_malformed() -> None:
    stray = says(f"{DOMAIN} MX", "other.example MX 10 a.example.net")
    assert go(stray).state is RouteState.MALFORMED
    bad = says("a.example.net A", "a.example.net A not-an-address")
    found = go(mx("10 a.example.net"), bad, says("a.example.net AAAA"))
    assert found.state is RouteState.EXCHANGES_FAILED
    assert found.exchanges[0].ipv4 is DnsOutcome.MALFORMED


# --- aliases -----------------------------------------------------------------------------------------


def test_an_alias_as_domain_takes_the_mx_of_its_target() -> None:
    found = go(
        says(f"{DOMAIN} MX", f"{DOMAIN} CNAME real.example.net.", "real.example.net MX 10 a.example.net"),
        *hosts(a="192.0.2.1"),
    )
    assert (found.state, found.cname_at_domain) == (RouteState.READY, True)


def test_an_alias_as_exchange_is_followed_and_noted() -> None:
    found = go(
        mx("10 a.example.net"),
        says("a.example.net A", "a.example.net CNAME b.example.net.", "b.example.net A 192.0.2.1"),
        says("a.example.net AAAA", "a.example.net CNAME b.example.net."),
    )
    assert (found.state, found.exchanges[0].cname) == (RouteState.READY, "b.example.net")
    assert asked(found) == ["b.example.net AAAA"]
    assert found.targets[0].name == "a.example.net"


def test_an_alias_to_nowhere_dangles() -> None:
    answers = [
        says(f"a.example.net {t}", "a.example.net CNAME gone.example.net", outcome=NXDOMAIN)
        for t in ("A", "AAAA")
    ]
    found = go(mx("10 a.example.net"), *answers)
    assert (found.state, found.exchanges[0].cname) == (RouteState.DANGLING, "gone.example.net")


def test_loops_end() -> None:
    assert go(says(f"{DOMAIN} MX", f"{DOMAIN} CNAME {DOMAIN}.")).state is RouteState.CNAME_LOOP
    circle = says(f"{DOMAIN} MX", f"{DOMAIN} CNAME b.example.", f"b.example CNAME {DOMAIN}.")
    assert go(circle).state is RouteState.CNAME_LOOP
    across = [
        says(f"{DOMAIN} MX", f"{DOMAIN} CNAME b.example."),
        says("b.example MX", f"b.example CNAME {DOMAIN}."),
    ]
    assert go(*across).state is RouteState.CNAME_LOOP


def test_an_endless_chain_costs_few_questions() -> None:
    answers: list[DnsAnswer] = []
    found = go()
    while found.questions:
        (question,) = found.questions
        number = len(answers)
        answers.append(says(f"{question.name} MX", f"{question.name} CNAME c{number}.example."))
        found = go(*answers)
    assert (found.state, len(answers)) == (RouteState.CNAME_LOOP, 1 + MAX_CNAMES)


# --- whom to believe ----------------------------------------------------------------------------------


def test_a_denial_without_soa_is_checked_at_the_root() -> None:
    found = go(says(f"{DOMAIN} MX", outcome=NXDOMAIN, soa=None))
    assert (found.state, found.questions) == (RouteState.ASKING, (Question(".", "NS"),))


def test_a_resolver_that_knows_the_root_is_believed() -> None:
    root = says(". NS", ". NS a.root-servers.example.")
    assert go(says(f"{DOMAIN} MX", outcome=NXDOMAIN, soa=None), root).state is RouteState.NXDOMAIN


@pytest.mark.parametrize("outcome", [NXDOMAIN, NODATA, SERVFAIL, DnsOutcome.TIMEOUT, DnsOutcome.REFUSED])
@pytest.mark.parametrize(
    "denials",
    [
        [says(f"{DOMAIN} MX", outcome=NXDOMAIN, soa=None)],
        [says(f"{DOMAIN} MX", soa=None), says(f"{DOMAIN} A"), says(f"{DOMAIN} AAAA")],
        [
            mx("10 a.example.net"),
            *[says(f"a.example.net {t}", outcome=NXDOMAIN, soa=None) for t in ("A", "AAAA")],
        ],
    ],
    ids=["domain", "no-mail-host", "dangling"],
)
def test_a_resolver_that_denies_the_root_makes_nobody_missing(
    denials: list[DnsAnswer], outcome: DnsOutcome
) -> None:
    found = go(*denials, says(". NS", outcome=outcome, soa=None))
    assert (found.state, found.questions) == (RouteState.CUT_OFF, ())


def test_where_an_mx_is_found_the_root_is_not_asked() -> None:
    found = go(mx("10 a.example.net"), *hosts(a="192.0.2.1"))
    assert (found.state, found.questions) == (RouteState.READY, ())


def test_an_implicit_mx_needs_a_resolver_that_can_be_believed() -> None:
    portal = (
        says(f"{DOMAIN} MX", soa=None),
        says(f"{DOMAIN} A", f"{DOMAIN} A 192.0.2.1"),
        says(f"{DOMAIN} AAAA"),
    )
    assert (go(*portal).state, ips(go(*portal))) == (RouteState.ASKING, [])
    assert go(*portal, says(". NS", outcome=NXDOMAIN, soa=None)).state is RouteState.CUT_OFF
    believed = go(*portal, says(". NS", ". NS a.root-servers.example."))
    assert (believed.state, ips(believed)) == (RouteState.READY, ["192.0.2.1"])


# --- families and scopes -----------------------------------------------------------------------------


def test_an_excluded_family_never_makes_a_sender_missing() -> None:
    only_a = [says("a.example.net A")]
    assert go(mx("10 a.example.net"), *only_a, families=(4,)).state is RouteState.FAMILY_EXCLUDED
    assert go(says(f"{DOMAIN} MX"), says(f"{DOMAIN} A"), families=(4,)).state is RouteState.FAMILY_EXCLUDED
    assert go(says(f"{DOMAIN} MX"), families=()).state is RouteState.FAMILY_EXCLUDED


def test_nxdomain_of_one_family_does_not_speak_for_the_excluded_one() -> None:
    gone = says("a.example.net A", outcome=NXDOMAIN)
    assert go(mx("10 a.example.net"), gone, families=(4,)).state is RouteState.FAMILY_EXCLUDED


def test_private_targets_are_listed_and_left_alone() -> None:
    answers = (mx("10 a.example.net"), *hosts(a="10.0.0.1"))
    found = go(*answers, allow_private=False)
    assert (found.state, found.targets[0].skipped) == (RouteState.ONLY_PRIVATE, Skip.NOT_PUBLIC)
    assert found.targets[0].scope is Scope.PRIVATE
    assert go(*answers).state is RouteState.READY


@pytest.mark.parametrize("ip", ["224.0.0.1", "0.0.0.0", "255.255.255.255", "ff02::1", "::", "::ffff:0.0.0.0"])
def test_groups_and_nobody_are_never_connected_to(ip: str) -> None:
    found = go(mx("10 a.example.net"), *hosts(a=ip))
    assert (found.state, found.targets[0].skipped) == (RouteState.ONLY_PRIVATE, Skip.NOT_PUBLIC)


def test_private_beside_failing_is_a_failure() -> None:
    found = go(
        mx("10 a.example.net", "20 b.example.net"), *hosts(a="10.0.0.1", b=SERVFAIL), allow_private=False
    )
    assert found.state is RouteState.EXCHANGES_FAILED


def test_an_address_literal_needs_no_dns() -> None:
    to = address("[192.0.2.1]", "192.0.2.1")
    found = go(to=to)
    assert (found.state, found.targets[0].origin, found.questions) == (RouteState.READY, Origin.LITERAL, ())
    assert go(to=to, families=(6,)).state is RouteState.FAMILY_EXCLUDED
    assert go(to=to, allow_private=False).state is RouteState.ONLY_PRIVATE


@every(
    ("ip", "kind"),
    [
        ("0.0.0.0", "unspecified"),
        ("0.1.2.3", "reserved"),
        ("10.255.255.255", "private"),
        ("11.0.0.0", "public"),
        ("100.63.255.255", "public"),
        ("100.64.0.0", "shared"),
        ("127.9.9.9", "loopback"),
        ("169.254.1.1", "link-local"),
        ("172.15.255.255", "public"),
        ("172.31.255.255", "private"),
        ("192.0.2.1", "documentation"),
        ("192.168.1.1", "private"),
        ("198.19.0.1", "reserved"),
        ("239.1.1.1", "multicast"),
        ("255.255.255.255", "reserved"),
        ("::", "unspecified"),
        ("::1", "loopback"),
        ("::ffff:10.0.0.1", "private"),
        ("::ffff:11.0.0.1", "public"),
        ("::127.0.0.1", "loopback"),
        ("::11.0.0.1", "reserved"),
        ("2002:a00:1::1", "private"),
        ("2002:b00:1::1", "public"),
        ("64:ff9b::10.0.0.1", "private"),
        ("64:ff9b::11.0.0.1", "public"),
        ("64:ff9b:1::1", "private"),
        ("100::1", "reserved"),
        ("2001::1", "reserved"),
        ("2001:db8::1", "documentation"),
        ("3fff::1", "documentation"),
        ("2600::1", "public"),
        ("4000::1", "reserved"),
        ("fd00::1", "private"),
        ("fe80::1", "link-local"),
        ("fec0::1", "private"),
        ("ff05::1", "multicast"),
    ],
)
def test_scopes(ip: str, kind: str) -> None:
    assert scope(ip_address(ip)).value == kind


@given(st.ip_addresses())
def test_what_is_public_agrees_with_the_standard_library(ip: object) -> None:
    text = str(ip)
    parsed = read_ip(text)
    assert parsed is not None
    if parsed.version == 4 and scope(parsed) is Scope.PUBLIC:
        assert parsed.is_global
        assert may_be_connected_to(parsed)


# --- limits ------------------------------------------------------------------------------------------


def test_exchanges_beyond_the_limit_are_not_asked_and_never_called_dangling() -> None:
    names = [f"h{number}" for number in range(MAX_EXCHANGES + 3)]
    listing = mx(*(f"10 {name}.example.net" for name in names))
    assert len(go(listing).questions) == 2 * MAX_EXCHANGES
    found = go(listing, *hosts(**dict.fromkeys(names, NXDOMAIN)))
    assert found.state is RouteState.EXCHANGES_FAILED
    assert sum(exchange.kind is ExchangeKind.OVER_LIMIT for exchange in found.exchanges) == 3


def test_targets_beyond_the_limit_are_skipped() -> None:
    names = [f"h{number}" for number in range(3)]
    answers = [mx(*(f"10 {name}.example.net" for name in names))]
    for host, name in enumerate(names):
        lines = [f"{name}.example.net A 192.0.2.{host * 80 + number}" for number in range(80)]
        answers += [says(f"{name}.example.net A", *lines), says(f"{name}.example.net AAAA")]
    found = go(*answers)
    assert len(found.targets) == 3 * MAX_TARGETS
    assert [target.skipped for target in found.targets].count(None) == MAX_TARGETS
    assert {target.skipped for target in found.targets[MAX_TARGETS:]} == {Skip.LIMIT}


def test_a_hostile_zone_costs_little() -> None:
    listing = mx(*(f"10 h{number}.example.net" for number in range(4000)))
    answers = [listing]
    for exchange in go(listing).exchanges[:MAX_EXCHANGES]:
        for rdtype, ip in (("A", "192.0.2.{}"), ("AAAA", "2001:db8::{}")):
            lines = [f"{exchange.name} {rdtype} {ip.format(number % 250)}" for number in range(2000)]
            answers.append(says(f"{exchange.name} {rdtype}", *lines))
    began = time.process_time()
    found = go(*answers)
    assert time.process_time() - began < 1.0
    assert found.state is RouteState.READY


# --- properties --------------------------------------------------------------------------------------

NAMES = st.sampled_from([DOMAIN, "a.example.net", "b.example.net", "c.example.net", "", "192.0.2.7", "x.y"])
ADDRESSES = st.sampled_from(["192.0.2.1", "10.0.0.1", "2001:db8::1", "::1", "junk"])
TYPES = st.sampled_from(["MX", "A", "AAAA"])
RECORDS = st.one_of(
    st.builds(
        lambda name, preference, target: DnsRecord(name, "MX", 60, "", preference, target),
        NAMES,
        st.none() | st.integers(0, 3),
        st.none() | NAMES,
    ),
    st.builds(lambda name, data: DnsRecord(name, "CNAME", 60, data), NAMES, NAMES),
    st.builds(lambda name, rdtype, data: DnsRecord(name, rdtype, 60, data), NAMES, TYPES, ADDRESSES),
)
ANSWERS = st.builds(
    lambda name, rdtype, outcome, records: DnsAnswer(
        name, rdtype, 0.0, 0.1, outcome, None, False, tuple(records), None, ()
    ),
    NAMES,
    TYPES,
    st.sampled_from(DnsOutcome) | st.just(DnsOutcome.ANSWER),
    st.lists(RECORDS, max_size=6),
)
WORLDS = st.lists(ANSWERS, max_size=16, unique_by=lambda answer: (answer.name, answer.type))
FAMILIES = st.sampled_from([(4, 6), (4,), (6,)])
MISSING = {
    RouteState.NXDOMAIN,
    RouteState.NO_MAIL_HOST,
    RouteState.NULL_MX,
    RouteState.DANGLING,
}


def check(found: Route, answers: Sequence[DnsAnswer]) -> None:
    connectable = any(target.skipped is None for target in found.targets)
    assert (found.state is RouteState.READY) is connectable
    if found.state is not RouteState.READY:
        assert (found.state is RouteState.ASKING) is bool(found.questions)
    known = {Question(answer.name, answer.type) for answer in answers}
    assert not known & set(found.questions)
    assert len(set(found.questions)) == len(found.questions)
    if any(target.origin is Origin.IMPLICIT for target in found.targets):
        assert any(a.type == "MX" and a.outcome is NODATA for a in answers)


@given(WORLDS, st.integers(0, 3), FAMILIES, st.booleans(), st.randoms())
def test_any_arrival_order_ends_in_the_same_route(
    world: list[DnsAnswer], seed: int, families: tuple[int, ...], allow_private: bool, random: Random
) -> None:
    shuffled = random.sample(world, len(world))
    for count in range(len(shuffled) + 1):
        so_far = shuffled[:count]
        check(go(*so_far, seed=seed, families=families, allow_private=allow_private), so_far)
    first = go(*world, seed=seed, families=families, allow_private=allow_private)
    assert first == go(*shuffled, seed=seed, families=families, allow_private=allow_private)


@given(WORLDS, FAMILIES)
def test_missing_is_never_said_over_a_failure(world: list[DnsAnswer], families: tuple[int, ...]) -> None:
    found = go(*world, families=families)
    if found.state in MISSING:
        # A failure that was consulted would now be an open question.
        definite = [a for a in world if a.outcome in {DnsOutcome.ANSWER, NODATA, NXDOMAIN}]
        assert go(*definite, families=families) == found


@given(st.lists(st.tuples(st.text(), st.text(), st.sampled_from(DnsOutcome), st.text(), st.text())))
def test_no_text_raises(rows: Iterable[tuple[str, str, DnsOutcome, str, str]]) -> None:
    listing = mx(domain=DOMAIN)
    answers = [
        DnsAnswer(
            name,
            "A",
            0.0,
            0.0,
            outcome,
            None,
            False,
            (DnsRecord(owner, "A", 0, data), DnsRecord(name, "CNAME", 0, data)),
            None,
            (),
        )
        for name, owner, outcome, data, _ in rows
    ]
    records = tuple(DnsRecord(DOMAIN, "MX", 0, "", 10, target) for *_, target in rows)
    listing = DnsAnswer(DOMAIN, "MX", 0.0, 0.0, DnsOutcome.ANSWER, None, False, records, None, ())
    check(go(listing, *answers), ())
