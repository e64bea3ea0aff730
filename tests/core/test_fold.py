"""From several hosts to one verdict: as a mail server would live it, and never "missing" by half of the hosts."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from probe.core.classify import judge
from probe.core.model import (
    Address,
    AddressKind,
    Cause,
    Confidence,
    ConnectOutcome,
    DnsAnswer,
    DnsOutcome,
    Evidence,
    ExchangeOutcome,
    HostEvidence,
    Report,
    Skip,
    Stage,
)
from probe.core.reasons import REASONS
from tests.support import make

UNKNOWN = "550 5.1.1 No such user here"
UNKNOWN_BY_CODE = "550 5.1.1 No"
RELAY = "550 5.7.1 Relaying denied"
LATER = "451 4.3.0 Try again later"
BLOCKED = "550 5.7.1 Your IP is listed at bl.example.org"
BYE = make.exchange(Stage.QUIT, "QUIT", "221 bye")


def says(rcpt: str, number: int = 1, **fields: object) -> HostEvidence:
    """Make mail host mxN, which answers RCPT so; with equal numbers, another address of the same."""
    return _host(number, make.session(*make.conversation(rcpt), BYE), **fields)


def fails(outcome: ConnectOutcome, number: int = 1, *, ip: str | None = None) -> HostEvidence:
    """Make mail host mxN, to which no connection came about."""
    attempt = make.connect(outcome, started=0.0, ended=10.0 if outcome is ConnectOutcome.TIMEOUT else 0.1)
    made = _host(number, make.session(connected=attempt))
    return made if ip is None else replace(made, ip=ip)


def greets(banner: str, number: int = 1) -> HostEvidence:
    """Make mail host mxN, which greets so and is left."""
    return _host(number, make.session(make.exchange(Stage.BANNER, None, banner), BYE))


def left_out(skip: Skip, number: int = 1) -> HostEvidence:
    """Make mail host mxN, which was not talked to."""
    return replace(_host(number), skipped=skip)


def _host(number: int, *sessions: object, **fields: object) -> HostEvidence:
    made = make.host(
        *sessions,  # type: ignore[arg-type]  # sessions, made by the callers above
        name=f"mx{number}.customer.example.com",
        ip=f"203.0.113.{10 + number}",
        preference=10 * number,
    )
    return replace(made, **fields)


def run(*hosts: HostEvidence, **fields: object) -> Evidence:
    """Make a run over these hosts, whose domain has exactly them."""
    names = {item.name: item for item in hosts}
    dns = [make.answer("customer.example.com", "MX", *(f"{h.preference} {n}." for n, h in names.items()))]
    for name in names:
        v4 = [item.ip for item in hosts if item.name == name and ":" not in item.ip]
        v6 = [item.ip for item in hosts if item.name == name and ":" in item.ip]
        dns += [make.answer(name, "A", *v4), make.answer(name, "AAAA", *v6)]
    return replace(make.evidence(*hosts, dns=tuple(dns)), **fields)


def verdict(*hosts: HostEvidence, **fields: object) -> tuple[str, str]:
    report = judge(run(*hosts, **fields))
    return report.reason, report.confidence.value


def test_one_host_that_accepts_is_enough_and_the_dead_one_is_named() -> None:
    report = judge(run(fails(ConnectOutcome.TIMEOUT, 1), says("250 Ok", 2)))
    assert (report.cause, report.confidence) == (Cause.SENDER_EXISTS, Confidence.CERTAIN)
    assert "mx2" in report.summary
    assert any("mx1" in reason.says for reason in report.because)
    assert report.notes == ()


@pytest.mark.parametrize("order", [(UNKNOWN, "250 Ok"), ("250 Ok", UNKNOWN)])
def test_hosts_that_disagree(order: tuple[str, str]) -> None:
    """One of them may be a backup that takes everything."""
    report = judge(run(says(order[0], 1), says(order[1], 2)))
    assert (report.cause, report.confidence) == (Cause.SENDER_EXISTS, Confidence.UNCERTAIN)
    assert any("disagree" in note for note in report.notes)


def test_exim_stops_at_the_refusal_of_an_earlier_host() -> None:
    report = judge(run(says(BLOCKED, 1), says("250 Ok", 2)))
    assert report.cause is Cause.SENDER_EXISTS
    assert report.mta is not None
    assert report.mta.exim is not None
    assert report.mta.exim.outcome == "reject"
    assert any("mx1" in note and "final" in note for note in report.notes)
    assert judge(run(says("250 Ok", 1), says(BLOCKED, 2))).notes == ()


def test_a_backup_is_believed_less() -> None:
    assert verdict(says(UNKNOWN, 1), fails(ConnectOutcome.TIMEOUT, 2)) == ("rcpt.user-unknown", "certain")
    assert verdict(fails(ConnectOutcome.TIMEOUT, 1), says(UNKNOWN, 2)) == ("rcpt.user-unknown", "probable")


def test_of_two_that_name_it_missing_the_firmer_one_speaks() -> None:
    report = judge(run(says(UNKNOWN_BY_CODE, 1), says(UNKNOWN, 2)))
    assert (report.reason, report.confidence) == ("rcpt.user-unknown", Confidence.PROBABLE)
    assert "mx2" in report.summary


def test_who_let_us_come_furthest_tells_most() -> None:
    assert verdict(fails(ConnectOutcome.REFUSED, 1), greets("421 busy", 2), says(LATER, 3)) == (
        "rcpt.deferred",
        "certain",
    )


def test_among_equals_the_first_in_order_speaks() -> None:
    report = judge(run(fails(ConnectOutcome.TIMEOUT, 1), fails(ConnectOutcome.REFUSED, 2)))
    assert report.reason == "connect.timeout"
    report = judge(run(fails(ConnectOutcome.REFUSED, 1), fails(ConnectOutcome.TIMEOUT, 2)))
    assert report.reason == "connect.refused"


def test_no_route_says_nothing_beside_a_host_that_is_silent() -> None:
    """A host without IPv6 has no route to the AAAA; the firewall before the A is the cause."""
    no_route = fails(ConnectOutcome.NO_ROUTE, 1, ip="2001:db8::15")
    assert verdict(no_route, fails(ConnectOutcome.TIMEOUT, 1)) == ("connect.timeout", "probable")
    assert verdict(no_route) == ("connect.no-route", "certain")


@pytest.mark.parametrize(("outcome", "reason"), [
    (ConnectOutcome.NO_ROUTE, "connect.no-route"),
    (ConnectOutcome.LOCAL, "connect.local-error"),
])  # fmt: skip
def test_a_fault_of_ours_speaks_when_nothing_else_does(outcome: ConnectOutcome, reason: str) -> None:
    assert verdict(fails(outcome, 1), fails(outcome, 2))[0] == reason
    assert verdict(fails(outcome, 1), says(LATER, 2))[0] == "rcpt.deferred"


# --- what speaks of one host, and of the domain only when every host says it ---------------------------


@pytest.mark.parametrize(("host", "reason"), [
    (says(RELAY, 1), "rcpt.domain-not-served"),
    (greets("521 mx1.customer.example.com does not accept mail", 1), "banner.host-takes-no-mail"),
])  # fmt: skip
def test_host_wide_reasons(host: HostEvidence, reason: str) -> None:
    assert verdict(host)[0] == reason
    assert verdict(host, says(RELAY, 2))[0] == reason
    # Any host that says something else, or cannot be heard, keeps it from being the domain's.
    assert verdict(host, fails(ConnectOutcome.TIMEOUT, 2))[0] == "connect.timeout"
    assert verdict(host, says(LATER, 2))[0] == "rcpt.deferred"
    assert verdict(host, says(UNKNOWN, 2)) == ("rcpt.user-unknown", "probable")
    for skip in (Skip.FAMILY, Skip.NOT_PUBLIC, Skip.LIMIT):
        assert verdict(host, left_out(skip, 2)) == ("rcpt.some-hosts-deny", "uncertain")


def test_host_wide_reasons_need_every_address_of_the_domain() -> None:
    whole = run(says(RELAY, 1))
    assert judge(whole).reason == "rcpt.domain-not-served"
    one_family = replace(whole, options=make.options(families=(4,)))
    assert judge(one_family).reason == "rcpt.some-hosts-deny"
    failed = make.answer("mx1.customer.example.com", "AAAA", outcome=DnsOutcome.SERVFAIL)
    assert judge(replace(whole, dns=(*whole.dns[:2], failed))).reason == "rcpt.some-hosts-deny"


# --- runs that ended early -----------------------------------------------------------------------------


@pytest.mark.parametrize(("field", "reason"), [
    ("cut_short", "run.cut-short"),
    ("interrupted", "run.interrupted"),
])  # fmt: skip
def test_a_run_that_ended_early(field: str, reason: str) -> None:
    early = {field: True}
    waiting = left_out(Skip.CUT_SHORT, 2)
    report = judge(run(says(LATER, 1), waiting, **early))
    assert report.reason == reason
    assert "So far:" in report.summary
    assert LATER in report.summary
    assert judge(run(left_out(Skip.CUT_SHORT, 1), waiting, **early)).reason == reason
    # What is definite stays so, and what all hosts said was not cut off.
    assert verdict(says("250 Ok", 1), waiting, **early)[0] == "rcpt.accepted"
    assert verdict(says(UNKNOWN, 1), waiting, **early) == ("rcpt.user-unknown", "certain")
    assert verdict(says(LATER, 1), **early)[0] == "rcpt.deferred"
    assert verdict(says(LATER, 1), left_out(Skip.LIMIT, 2), **early)[0] == "rcpt.deferred"


def test_a_conversation_that_was_cut_off_tells_nothing() -> None:
    cut = make.exchange(Stage.BANNER, None, outcome=ExchangeOutcome.CUT_SHORT)
    assert verdict(_host(1, make.session(cut)), cut_short=True)[0] == "run.cut-short"


def test_a_run_that_nothing_stopped_and_that_asked_nobody() -> None:
    """No honest run leaves this; the report must not invent a time-out for it."""
    chosen = make.options(allow_private=True)  # the addresses are those of documentation
    assert judge(make.evidence(chosen=chosen)).reason == "evidence.unexpected"
    assert judge(make.evidence(chosen=chosen, cut_short=True)).reason == "run.cut-short"


# --- hosts that politeness kept us from asking ----------------------------------------------------------


def test_a_host_that_was_held_back_says_nothing() -> None:
    waiting = left_out(Skip.HELD_BACK, 1)
    equal = replace(says("250 Ok", 3), preference=waiting.preference)
    assert verdict(waiting) == ("host.held-back", "certain")
    assert judge(run(waiting)).cause is Cause.INCONCLUSIVE
    assert verdict(waiting, says(LATER, 2))[0] == "rcpt.deferred"
    assert verdict(waiting, says("250 Ok", 2)) == ("host.held-back", "certain")
    assert verdict(waiting, says("250 Ok", 2), equal) == ("rcpt.accepted", "probable")
    assert verdict(says("250 Ok", 1), left_out(Skip.HELD_BACK, 2)) == ("rcpt.accepted", "probable")


def test_a_denial_does_not_count_behind_a_host_that_was_held_back() -> None:
    assert verdict(left_out(Skip.HELD_BACK, 1), says(UNKNOWN, 2)) == ("host.held-back", "certain")
    assert verdict(says(UNKNOWN, 1), left_out(Skip.HELD_BACK, 2)) == ("rcpt.user-unknown", "probable")
    assert verdict(left_out(Skip.HELD_BACK, 1), says(RELAY, 2))[0] == "rcpt.some-hosts-deny"


# --- no host: the DNS decides --------------------------------------------------------------------------


def dns_only(*answers: DnsAnswer, to: Address | None = None) -> Report:
    return judge(make.evidence(dns=answers, to=to))


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [(outcome, f"dns.{outcome}") for outcome in DnsOutcome if f"dns.{outcome}" in REASONS],
)
def test_a_failed_look_up_is_never_a_missing_sender(outcome: DnsOutcome, reason: str) -> None:
    report = dns_only(make.answer("customer.example.com", "MX", outcome=outcome))
    assert (report.cause, report.reason) == (Cause.DNS_FAILURE, reason)
    assert report.because[0].points_to == ("/dns/0",)


def test_a_domain_that_does_not_exist() -> None:
    denied = replace(make.answer("customer.example.com", "MX", outcome=DnsOutcome.NXDOMAIN), soa_minimum=300)
    assert dns_only(denied).reason == "domain.nxdomain"


def test_an_address_literal_that_must_not_be_asked() -> None:
    given = make.address("a@[10.0.0.1]", kind=AddressKind.LITERAL, ip="10.0.0.1")
    assert dns_only(to=given).reason == "domain.only-private"
