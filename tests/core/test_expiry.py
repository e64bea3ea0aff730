"""For how long evidence and DNS answers are believed, held against what Exim is predicted to keep."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import asdict, replace

from probe.core import expiry
from probe.core.callout import DOMAIN_NEGATIVE, DOMAIN_POSITIVE, NEGATIVE, POSITIVE
from probe.core.classify import judge
from probe.core.model import (
    Cause,
    ConnectOutcome,
    Covers,
    DnsOutcome,
    ExchangeOutcome,
    HeloSource,
    Report,
    Skip,
    Stage,
    TlsMode,
)
from tests.support import make, record

# --- the key ---------------------------------------------------------------------------------------

_SHAPES = {
    "port": 2525,
    "mail_from": "probe@example.net",
    "families": (4,),
    "source": "192.0.2.77",
    "helo": "other.example.net",
    "tls": TlsMode.NEVER,
    "catch_all": True,
    "all_hosts": True,
    "allow_private": True,
    "dns_servers": ("198.51.100.53:53",),
    "audit": True,
}
_DOES_NOT = {
    "timeout": 1.0,
    "connect_timeout": 1.0,
    "reply_timeout": 1.0,
    "quit_timeout": 9.0,
    "dns_timeout": 1.0,
    "stagger": 1.0,
    "helo_source": HeloSource.HOST,
    "trace": False,
    "fast": True,
}


def test_every_option_shapes_the_answer_or_does_not() -> None:
    assert {*_SHAPES, *_DOES_NOT} == set(asdict(make.options()))


@pytest.mark.parametrize("name", _SHAPES)
def test_what_shapes_the_answer_is_in_the_key(name: str) -> None:
    chosen = make.options()
    assert expiry.key(replace(chosen, **{name: _SHAPES[name]})) != expiry.key(chosen)


@pytest.mark.parametrize("name", _DOES_NOT)
def test_what_does_not_is_not(name: str) -> None:
    chosen = make.options()
    assert expiry.key(replace(chosen, **{name: _DOES_NOT[name]})) == expiry.key(chosen)


def test_the_key_is_the_same_tomorrow() -> None:
    """It lies on disks: whoever changes it makes all that is kept unanswerable."""
    assert expiry.key(make.options()) == "c60b91d4f87b01b6"
    assert expiry.key(make.options(families=(6, 4))) == expiry.key(make.options())
    assert expiry.key(replace(make.options(), helo=None)) != expiry.key(make.options(helo="None"))
    assert len(expiry.key(make.options(helo="\udcff"))) == 16


# --- evidence --------------------------------------------------------------------------------------


def _kept_by_exim(report: Report) -> float:
    """Give the seconds that Exim is predicted to keep the address, else the bound for what it does not keep."""
    assert report.mta is not None
    assert report.mta.exim is not None
    return max(
        (each.seconds for each in report.mta.exim.cache if each.covers is Covers.ADDRESS),
        default=expiry.NOT_KEPT,
    )


@pytest.mark.parametrize(
    ("reply", "seconds"),
    [
        ("250 2.1.5 Ok", POSITIVE),
        ("251 User not local; will forward", POSITIVE),
        ("252 Cannot VRFY user", POSITIVE),
        ("550 5.1.1 User unknown", NEGATIVE),
        ("550 Denied", NEGATIVE),
        ("552 5.2.2 Mailbox full", NEGATIVE),
        ("554 5.7.1 Service unavailable; client [192.0.2.10] blocked using bl.example.org", NEGATIVE),
        ("550 5.7.1 Relaying denied", NEGATIVE),
        ("452 4.2.2 Mailbox full", expiry.NOT_KEPT),
        ("450 4.2.0 Greylisted, try again later", expiry.NOT_KEPT),
        ("451 4.3.0 Temporary failure", expiry.NOT_KEPT),
        ("421 Too many connections", expiry.NOT_KEPT),
        ("354 Go ahead", expiry.NOT_KEPT),
    ],
)
def test_a_reply_to_rcpt_is_believed_as_long_as_exim_does(reply: str, seconds: float) -> None:
    report = judge(make.evidence(make.host(make.session(*make.conversation(reply)))))
    assert expiry.lasts(report) == seconds == _kept_by_exim(report)
    assert expiry.for_domain(report) == 0.0


def test_what_is_not_an_answer_of_rcpt_is_not_kept() -> None:
    before = make.conversation(stages=(Stage.BANNER, Stage.EHLO, Stage.MAIL))
    silent = make.session(*before, make.exchange(Stage.RCPT, "RCPT TO:<x>", outcome=ExchangeOutcome.TIMEOUT))
    closed = make.session(
        *before, make.exchange(Stage.RCPT, "RCPT TO:<x>", "550 5.1", outcome=ExchangeOutcome.CLOSED)
    )
    greeted = make.session(make.exchange(Stage.BANNER, None, "554 5.7.1 We do not like you"))
    dead = make.session(connected=make.connect(ConnectOutcome.TIMEOUT))
    for session in (silent, closed, greeted, dead):
        report = judge(make.evidence(make.host(session)))
        assert expiry.lasts(report) == expiry.NOT_KEPT
        assert expiry.for_domain(report) == 0.0


def test_one_that_is_not_there_by_the_dns_is_for_the_dns_to_forget() -> None:
    gone = replace(make.answer("customer.example.com", "MX", outcome=DnsOutcome.NXDOMAIN), soa_minimum=300)
    report = judge(make.evidence(dns=(gone,)))
    assert report.cause is Cause.MISSING_SENDER
    assert expiry.lasts(report) == expiry.NOT_KEPT


def test_hosts_that_disagree_are_believed_for_the_shorter_time() -> None:
    accepts = make.host(make.session(*make.conversation()))
    refuses = make.host(make.session(*make.conversation("550 5.1.1 User unknown")), ip="203.0.113.16")
    for hosts in ((accepts, refuses), (refuses, accepts)):
        assert expiry.lasts(judge(make.evidence(*hosts))) in {NEGATIVE, expiry.NOT_KEPT}


def test_a_null_sender_that_is_refused_is_so_for_the_whole_domain() -> None:
    begun = make.conversation(stages=(Stage.BANNER, Stage.EHLO))
    refused = make.exchange(Stage.MAIL, "MAIL FROM:<>", "550 5.7.1 Null sender not accepted here")
    report = judge(make.evidence(make.host(make.session(*begun, refused))))
    assert report.reason == "mail.null-sender-refused"
    assert expiry.lasts(report) == expiry.for_domain(report) == DOMAIN_NEGATIVE
    assert report.mta is not None
    assert report.mta.exim is not None
    assert [each.seconds for each in report.mta.exim.cache] == [DOMAIN_NEGATIVE]


def test_who_was_not_asked_has_no_answer() -> None:
    report = judge(make.evidence(make.host(skipped=Skip.HELD_BACK)))
    assert (report.reason, expiry.lasts(report), expiry.for_domain(report)) == (expiry.HELD_BACK, 0.0, 0.0)


@pytest.mark.parametrize("reason", ["mail.null-sender-refused", "rcpt.null-sender-refused"])
def test_a_null_sender_that_is_put_off_is_not(reason: str) -> None:
    later = make.host_report(
        cause=Cause.RFC_NONCOMPLIANT, reason=reason, reply="450 4.7.1 Null sender deferred"
    )
    report = make.report(later, cause=Cause.RFC_NONCOMPLIANT, reason=reason)
    assert (expiry.lasts(report), expiry.for_domain(report)) == (expiry.NOT_KEPT, 0.0)


@pytest.mark.parametrize(("reply", "found"), [("250 Ok", True), ("550 5.1.1 User unknown", False)])
def test_the_test_for_a_catch_all_says_something_of_the_domain(reply: str, found: bool) -> None:
    said = (*make.conversation(), make.exchange(Stage.RCPT_RANDOM, "RCPT TO:<r@customer.example.com>", reply))
    seen = make.evidence(make.host(make.session(*said)), chosen=make.options(catch_all=True))
    report = judge(seen)
    assert report.catch_all is found
    assert expiry.for_domain(report) == DOMAIN_POSITIVE
    untold = judge(
        make.evidence(make.host(make.session(*make.conversation())), chosen=make.options(catch_all=True))
    )
    assert expiry.for_domain(untold) == 0.0


@pytest.mark.parametrize("name", record.WORLDS)
def test_recorded_runs(name: str) -> None:
    report = record.judged(name)
    if expiry.for_domain(report):
        assert report.reason == "mail.null-sender-refused"
    else:
        assert expiry.lasts(report) == _kept_by_exim(report)


# --- the DNS ---------------------------------------------------------------------------------------


def test_an_answer_holds_as_long_as_its_shortest_ttl() -> None:
    chain = (
        make.record("www.example.com", "CNAME", "example.com.", ttl=600),
        make.record("example.com", "A", "192.0.2.1", ttl=30),
    )
    answer = replace(make.answer("www.example.com", "A", "192.0.2.1"), records=chain)
    assert expiry.dns_ttl(answer) == 30.0
    assert expiry.dns_ttl(replace(answer, records=(replace(chain[0], ttl=1 << 31),))) == 0.0
    assert expiry.dns_ttl(replace(answer, records=(replace(chain[0], ttl=604800),))) == 86400.0
    assert expiry.dns_ttl(replace(answer, records=())) == 0.0


@pytest.mark.parametrize("outcome", [DnsOutcome.NXDOMAIN, DnsOutcome.NODATA])
@pytest.mark.parametrize(
    ("minimum", "seconds"), [(None, 0.0), (0, 0.0), (900, 900.0), (86400, 10800.0), (1 << 31, 0.0)]
)
def test_absence_holds_as_long_as_its_soa_says(
    outcome: DnsOutcome, minimum: int | None, seconds: float
) -> None:
    answer = replace(make.answer("example.com", "MX", outcome=outcome), soa_minimum=minimum)
    assert expiry.dns_ttl(answer) == seconds


@given(st.sampled_from(DnsOutcome), st.lists(st.integers(-5, 1 << 33)), st.none() | st.integers(-5, 1 << 33))
def test_no_answer_holds_for_long(outcome: DnsOutcome, ttls: list[int], minimum: int | None) -> None:
    answer = replace(
        make.answer("example.com", "MX", outcome=outcome),
        records=tuple(make.record("example.com", "A", "192.0.2.1", ttl=ttl) for ttl in ttls),
        soa_minimum=minimum,
    )
    held = expiry.dns_ttl(answer)
    assert 0.0 <= held <= 86400.0
    if outcome not in {DnsOutcome.ANSWER, DnsOutcome.NXDOMAIN, DnsOutcome.NODATA}:
        assert held == (0.0 if outcome is DnsOutcome.CUT_SHORT else 300.0)
