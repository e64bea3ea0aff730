"""What is observed of this host, and what is said of it: every row of the table, by expectations written first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from probe.core import health
from probe.core.chain import Found
from probe.core.checks import CHECKS, FINDINGS, ROWS, Result
from probe.core.health import judge
from probe.core.model import Canary, CanaryOutcome, DnsOutcome, DnsTry, HeloSource, Scope
from probe.core.observations import Check, End, Observations, Server
from probe.core.scope import scope
from tests.support import make
from tests.support.every import every

if TYPE_CHECKING:
    from probe.core.scope import IP

OK, WARN, FAIL, UNTESTED = Result.OK, Result.WARN, Result.FAIL, Result.UNTESTED
NXDOMAIN, SERVFAIL, TIMEOUT = DnsOutcome.NXDOMAIN, DnsOutcome.SERVFAIL, DnsOutcome.TIMEOUT
NAME = "mail.example.com"
IPS = {4: "192.0.2.25", 6: "2001:db8::25"}
BEGAN = "2026-12-01T12:00:00.250+00:00"


@pytest.fixture(autouse=True)
def _documentation_is_public(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the addresses of documents stand for public ones, so that no real host is named here."""

    def judged(ip: IP) -> Scope:
        return Scope.PUBLIC if scope(ip) is Scope.DOCUMENTATION else scope(ip)

    monkeypatch.setattr(health, "scope", judged)


# --- a host that is well, and how it may differ ------------------------------------------------------


def server(number: int = 53, **changes: Any) -> Server:
    well = Server(
        f"192.0.2.{number}:53",
        root=make.answer(".", "NS", "a.root-servers.net.", "b.root-servers.net."),
        invalid=make.answer("9f3c.invalid", "A", outcome=NXDOMAIN),
        tcp=make.answer(".", "NS", "a.root-servers.net."),
    )
    return replace(well, **changes)


def failing(outcome: DnsOutcome) -> dict[str, Any]:
    return {"root": make.answer(".", "NS", outcome=outcome)}


def slow(seconds: float) -> Server:
    tried = (
        DnsTry("192.0.2.53:53", "udp", 0.0, 2.5, TIMEOUT),
        DnsTry("192.0.2.53:53", "udp", 2.5, 2.5 + seconds, DnsOutcome.ANSWER),
    )
    return server(root=make.answer(".", "NS", "a.root-servers.net.", tries=tried))


def found(rdtype: str, *data: str, outcome: DnsOutcome | None = None) -> Found:
    end = outcome or (DnsOutcome.ANSWER if data else DnsOutcome.NODATA)
    return Found(end, NAME, tuple(make.record(NAME, rdtype, each) for each in data))


def canary(outcome: CanaryOutcome = CanaryOutcome.ANSWERED, **changes: Any) -> Canary:
    well = Canary("mx.example.net", 25, 4, outcome, "198.51.100.25", 0.1, 0.12, "220 mx.example.net ESMTP")
    return replace(well, **changes)


def end(family: int, **changes: Any) -> End:
    ip = IPS[family]
    rdtype = "A" if family == 4 else "AAAA"
    well = End(family, ip, found("PTR", f"{NAME}."), (found(rdtype, ip),), canary(family=family))
    return replace(well, **changes)


def seen(**changes: Any) -> Observations:
    well = Observations(
        began=BEGAN,
        servers=(server(),),
        host_name=NAME,
        ends=(end(4), end(6)),
        helo=NAME,
        helo_source=HeloSource.HOST,
        helo_addresses=(found("A", IPS[4]), found("AAAA")),
        icmp_errors=True,
        tcp_info=True,
        ping=True,
    )
    return replace(well, **changes)


def check(name: str, observations: Observations) -> Check:
    return next(each for each in judge(observations).checks if each.id == name)


def over(family: int, **changes: Any) -> Observations:
    """Give a host that is well, but for what is said of one family."""
    return seen(ends=tuple(end(each, **(changes if each == family else {})) for each in (4, 6)))


def dated(date: str, **changes: Any) -> Observations:
    return seen(ends=(end(4, canary=canary(banner=f"220 mx.example.net ESMTP Exim {date}")),), **changes)


CASES: list[tuple[str, str, Observations, Result, list[str]]] = [
    # The name servers.
    ("resolver-answers", "all", seen(), OK, ["192.0.2.53:53 answers within 20 ms"]),
    ("resolver-answers", "slow", seen(servers=(slow(1.2),)), WARN, ["1.2 s", "slow", "--dns-server"]),
    ("resolver-answers", "all", seen(servers=(slow(0.2),)), OK, ["within 200 ms"]),
    (
        "resolver-answers",
        "some",
        seen(servers=(server(), server(54, **failing(TIMEOUT)))),
        WARN,
        ["192.0.2.53:53 answers", "no answer from 192.0.2.54:53", "/etc/resolv.conf"],
    ),
    (
        "resolver-answers",
        "none",
        seen(servers=(server(**failing(TIMEOUT)), server(54, **failing(DnsOutcome.UNREACHABLE)))),
        FAIL,
        ["no answer from 192.0.2.53:53, 192.0.2.54:53", "port 53"],
    ),
    ("resolver-answers", "none", seen(servers=(server(**failing(DnsOutcome.MALFORMED)),)), FAIL, ["port 53"]),
    ("resolver-answers", "all", seen(servers=(server(**failing(SERVFAIL)),)), OK, ["20 ms"]),
    ("resolver-root", "known", seen(), OK, ["known to 192.0.2.53:53"]),
    ("resolver-root", "unknown", seen(servers=(server(**failing(NXDOMAIN)),)), FAIL, ["answers nxdomain"]),
    ("resolver-root", "unknown", seen(servers=(server(**failing(SERVFAIL)),)), FAIL, ["recurse"]),
    ("resolver-root", "known", seen(servers=(server(), server(54, **failing(TIMEOUT)))), OK, ["192.0.2.53"]),
    ("resolver-root", "silent", seen(servers=(server(**failing(TIMEOUT)),)), UNTESTED, ["resolver-answers"]),
    ("resolver-nxdomain", "honest", seen(), OK, ["NXDOMAIN"]),
    (
        "resolver-nxdomain",
        "lies",
        seen(
            servers=(server(invalid=make.answer("9f3c.invalid", "A", *[f"203.0.113.{n}" for n in range(9)])),)
        ),
        FAIL,
        ["192.0.2.53:53 gives 203.0.113.0, 203.0.113.1, 203.0.113.2 and 6 more", "redirection"],
    ),
    (
        "resolver-nxdomain",
        "odd",
        seen(servers=(server(invalid=make.answer("9f3c.invalid", "A")),)),
        WARN,
        ["answers nodata instead of NXDOMAIN"],
    ),
    ("resolver-nxdomain", "silent", seen(servers=(server(**failing(TIMEOUT)),)), UNTESTED, []),
    ("resolver-tcp", "answers", seen(), OK, ["192.0.2.53:53"]),
    (
        "resolver-tcp",
        "fails",
        seen(servers=(server(tcp=make.answer(".", "NS", outcome=TIMEOUT)),)),
        WARN,
        ["gives no answer (timeout)", "TCP port 53"],
    ),
    ("resolver-tcp", "silent", seen(servers=(server(**failing(TIMEOUT)),)), UNTESTED, []),
    # Our name.
    ("helo-name", "host", seen(), OK, ["mail.example.com, the name of this host"]),
    ("helo-name", "given", seen(helo_source=HeloSource.OPTION), OK, ["--helo"]),
    ("helo-name", "literal", seen(helo="[192.0.2.25]"), WARN, ["[192.0.2.25] is an address literal"]),
    (
        "helo-name",
        "unqualified",
        seen(helo=None, helo_source=HeloSource.LITERAL, host_name="localhost"),
        FAIL,
        ["'localhost'", "hostnamectl"],
    ),
    ("helo-generic", "own", seen(), OK, []),
    (
        "helo-generic",
        "generic",
        seen(helo="host-192-0-2-25.example.net"),
        WARN,
        ["it spells", "--helo"],
    ),
    ("helo-generic", "no-name", seen(helo="[192.0.2.25]"), UNTESTED, ["helo-name"]),
    ("helo-address", "ours", seen(), OK, ["192.0.2.25"]),
    (
        "helo-address",
        "ours",
        seen(helo_addresses=(found("A"), found("AAAA", "2001:0DB8:0::25"))),
        OK,
        ["2001:0DB8"],
    ),
    (
        "helo-address",
        "another",
        seen(helo_addresses=(found("A", "198.51.100.7"), found("AAAA"))),
        WARN,
        ["198.51.100.7", "192.0.2.25, 2001:db8::25"],
    ),
    (
        "helo-address",
        "hidden",
        seen(helo_addresses=(found("A", "198.51.100.7"),), ends=(end(4, ip="10.0.0.5"),)),
        OK,
        ["cannot be told"],
    ),
    (
        "helo-address",
        "none",
        seen(helo_addresses=(found("A", outcome=NXDOMAIN), found("AAAA", outcome=NXDOMAIN))),
        FAIL,
        ["(nxdomain)", "publish"],
    ),
    (
        "helo-address",
        "failed",
        seen(helo_addresses=(found("A", outcome=SERVFAIL), found("AAAA"))),
        UNTESTED,
        ["servfail"],
    ),
    ("helo-address", "no-name", seen(helo=None), UNTESTED, ["helo-name"]),
    # Our addresses.
    ("address-ipv4", "public", seen(), OK, ["192.0.2.25, public"]),
    ("address-ipv6", "public", seen(), OK, ["2001:db8::25, public"]),
    ("address-ipv4", "not-public", over(4, ip="10.0.0.5"), WARN, ["10.0.0.5", "(private)", "NAT"]),
    ("address-ipv4", "not-public", over(4, ip="100.64.0.5"), WARN, ["(shared)"]),
    ("address-ipv6", "no-ipv6", over(6, ip=None), OK, ["over IPv4"]),
    ("address-ipv4", "no-ipv4", over(4, ip=None), WARN, ["no route to IPv4"]),
    ("address-ipv6", "none", seen(ends=(end(6, ip=None),)), FAIL, ["no route to IPv6", "ip route"]),
    ("address-ipv6", "excluded", seen(ends=(end(4),)), UNTESTED, ["leave -4 or --source away"]),
    ("ptr-ipv4", "confirmed", seen(), OK, ["192.0.2.25 is mail.example.com, which leads back"]),
    ("ptr-ipv6", "confirmed", seen(), OK, ["2001:db8::25 is mail.example.com"]),
    (
        "ptr-ipv4",
        "confirmed",
        over(
            4,
            names=found("PTR", "dsl-7.pool.example.net.", "mail.example.com."),
            addresses=(found("A", IPS[4]), found("A", IPS[4])),
        ),
        OK,  # one name of its own is enough
        ["mail.example.com"],
    ),
    (
        "ptr-ipv4",
        "generic",
        over(4, names=found("PTR", "ip-192-0-2-25.example.net.")),
        WARN,
        ["ip-192-0-2-25.example.net", "it spells the address", "ask the provider of 192.0.2.25"],
    ),
    (
        "ptr-ipv4",
        "unconfirmed",
        over(4, addresses=(found("A", "198.51.100.7"),)),
        FAIL,
        ["has 198.51.100.7", "publish 192.0.2.25 for mail.example.com"],
    ),
    ("ptr-ipv4", "unconfirmed", over(4, addresses=(found("A"),)), FAIL, ["has no address"]),
    (
        "ptr-ipv4",
        "missing",
        over(4, names=found("PTR", outcome=NXDOMAIN)),
        FAIL,
        ["no PTR record (nxdomain)"],
    ),
    ("ptr-ipv4", "missing", over(4, names=found("PTR")), FAIL, ["no PTR record (nodata)"]),
    ("ptr-ipv4", "broken", over(4, names=found("PTR", outcome=SERVFAIL)), WARN, ["servfail", "reverse zone"]),
    ("ptr-ipv4", "failed", over(4, names=found("PTR", outcome=TIMEOUT)), UNTESTED, ["timeout"]),
    ("ptr-ipv4", "failed", over(4, addresses=(found("A", outcome=TIMEOUT),)), UNTESTED, ["timeout"]),
    ("ptr-ipv4", "not-public", over(4, ip="10.0.0.5"), UNTESTED, ["not public"]),
    ("ptr-ipv4", "no-address", over(4, ip=None), UNTESTED, ["address-ipv4"]),
    # The way out.
    ("outbound-ipv4", "answered", seen(), OK, ["mx.example.net [198.51.100.25] answers after 20 ms"]),
    (
        "outbound-ipv4",
        "silent",
        over(4, canary=canary(CanaryOutcome.SILENT, ended=5.1)),
        FAIL,
        ["within 5.0 s", "outgoing port 25 is blocked", "--canary"],
    ),
    (
        "outbound-ipv4",
        "silent",
        over(4, canary=canary(CanaryOutcome.SILENT, port=26, ended=5.1)),
        FAIL,
        ["outgoing port 26 is blocked", "open TCP port 26"],
    ),
    (
        "outbound-ipv6",
        "refused",
        over(6, canary=canary(CanaryOutcome.REFUSED, detail="EACCES from 192.0.2.1")),
        FAIL,
        ["EACCES from 192.0.2.1", "provider"],
    ),
    (
        "outbound-ipv4",
        "untested",
        over(
            4, canary=canary(CanaryOutcome.UNTESTED, ip=None, detail="no canary has an address (x: timeout)")
        ),
        UNTESTED,
        ["nobody could be called: no canary has an address (x: timeout)", "--canary"],
    ),
    (
        "outbound-ipv6",
        "untried",
        over(6, canary=canary(CanaryOutcome.UNTESTED, detail="ENETUNREACH")),
        UNTESTED,
        ["mx.example.net [198.51.100.25] could not be tried: ENETUNREACH; see address-ipv6"],
    ),
    (
        "outbound-ipv4",
        "turned-away",
        over(4, canary=canary(banner="554 5.7.1 your IP is listed")),
        WARN,
        ["turns us away", '"554 5.7.1 your IP is listed"'],
    ),
    ("outbound-ipv4", "inspected", over(4, canary=canary(banner="220 ******************")), WARN, ["fixup"]),
    ("outbound-ipv4", "odd", over(4, canary=canary(banner="SSH-2.0-x")), WARN, ['"SSH-2.0-x"']),
    ("outbound-ipv4", "mute", over(4, canary=canary(banner=None)), WARN, ["never greets"]),
    ("outbound-ipv4", "unwanted", seen(canary_wanted=False), UNTESTED, ["--no-canary"]),
    ("outbound-ipv6", "no-address", seen(ends=(end(4),)), UNTESTED, ["address-ipv6"]),
    # The system.
    ("icmp-errors", "told", seen(), OK, []),
    ("icmp-errors", "hidden", seen(icmp_errors=False), WARN, ["Linux"]),
    ("tcp-info", "told", seen(), OK, []),
    ("tcp-info", "hidden", seen(tcp_info=False), WARN, ["Linux"]),
    ("ping", "permitted", seen(), OK, []),
    ("ping", "denied", seen(ping=False), WARN, ["not permitted", "ping_group_range"]),
    ("clock", "alone", seen(), UNTESTED, ["2026-12-01T12:00:00Z is plausible"]),
    ("clock", "agrees", dated("Tue, 01 Dec 2026 12:00:02 +0000"), OK, ["agrees to 2 s"]),
    ("clock", "agrees", dated("Tue, 01 Dec 2026 13:04:59 +0100"), OK, ["agrees to 299 s"]),
    (
        "clock",
        "differs",
        dated("Tue, 01 Dec 2026 12:00:02 +0100"),
        WARN,
        ["differs by 3598 s", "timedatectl"],
    ),
    ("clock", "early", seen(began="1970-01-01T00:03:00.000+00:00"), FAIL, ["1970-01-01T00:03:00Z is before"]),
]


@every(
    ("name", "state", "observed", "result", "words"),
    CASES,
    ids=lambda case: f"{case[0]}:{case[1]}:{CASES.index(case)}",
)
def test_what_is_said(
    name: str, state: str, observed: Observations, result: Result, words: list[str]
) -> None:
    row = ROWS[name.partition("-ipv")[0], state]
    said = check(name, observed)
    assert (said.result, row.result) == (result, result)
    assert (said.mend is None) is (row.mend is None)
    if result is OK:
        assert said.mend is None
    if result in {WARN, FAIL}:
        assert said.mend is not None
    for word in words:
        assert word in f"{said.says} | {said.mend}"
    assert "{" not in f"{said.says}{said.mend}"


def test_every_row_of_the_table_has_its_case() -> None:
    assert {(name.partition("-ipv")[0], state) for name, state, *_ in CASES} == set(ROWS)
    assert len(ROWS) == len(FINDINGS)


def test_a_host_that_is_well() -> None:
    report = judge(seen())
    assert [each.id for each in report.checks] == list(CHECKS)
    assert report.sound
    assert {each.result for each in report.checks} == {OK, UNTESTED}  # nothing to hold the clock against


def test_a_warning_leaves_it_sound_and_a_failure_does_not() -> None:
    assert judge(seen(ping=False)).sound
    assert not judge(seen(helo=None)).sound


def test_what_was_not_observed_in_time_is_untested_and_never_well() -> None:
    nothing = Observations(BEGAN, (Server("192.0.2.53:53"),), NAME, (End(4, IPS[4]), End(6, IPS[6])))
    results = {each.id: (each.result, each.says) for each in judge(nothing).checks}
    addresses = {"address-ipv4", "address-ipv6"}
    assert {name for name, (result, _) in results.items() if result is not UNTESTED} == addresses
    late = {name for name, (_, says) in results.items() if says == "our time was up"}
    assert late == set(CHECKS) - addresses - {"clock"}
    partly = seen(
        servers=(server(), Server("192.0.2.54:53")), helo_addresses=(), ends=(end(4, addresses=()),)
    )
    for name in (
        "resolver-answers",
        "resolver-root",
        "resolver-nxdomain",
        "resolver-tcp",
        "helo-address",
        "ptr-ipv4",
    ):
        assert check(name, partly).says == "our time was up"


# --- hostile answers ---------------------------------------------------------------------------------

texts = st.text(max_size=300) | st.sampled_from(["", ".", "\x1b[31m", "{ip}", "{", "%s", "a." * 120])
outcomes = st.sampled_from(list(DnsOutcome))


@given(outcomes, st.lists(texts, max_size=8), texts)
def test_no_answer_makes_it_fail(outcome: DnsOutcome, data: list[str], text: str) -> None:
    answer = make.answer(".", "NS", *data, outcome=outcome)
    thing = found("PTR", *data, outcome=outcome)
    report = judge(
        seen(
            servers=(Server(text, answer, answer, answer),),
            ends=(end(4, names=thing, addresses=(thing,) * 3, canary=canary(banner=text, detail=text)),),
            helo=text,
            helo_addresses=(thing, thing),
            host_name=text,
            began=text,
        )
    )
    assert [each.id for each in report.checks] == list(CHECKS)
    assert all(len(each.says) < 2500 for each in report.checks)
