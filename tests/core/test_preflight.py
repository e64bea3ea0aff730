"""May a relay be exempted: the cases that have to hold, every state of every check, and the table of decisions."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from msgspec.structs import replace

from probe.core.exemption import preflight
from probe.core.exemption.preflight_rules import RULES, Facts, Need, decide
from probe.core.exemption.providers import PROVIDERS, provider_of
from probe.core.exemption.relay import Advice, Asked, Listing, Preflight, RelaySeen, Result
from probe.core.exemption.relay_checks import CHECKS, FINDINGS, ROWS
from probe.core.model import AddressKind, Cause, DnsOutcome, MtaOutcome, Scope, Side
from probe.core.scope import IP, scope
from probe.core.spf.record import SpfResult
from tests.support import make
from tests.support import preflight as samples

FAIL, PASS, WARN, UNTESTED = Result.FAIL, Result.PASS, Result.WARN, Result.UNTESTED


def results(report: Preflight) -> dict[str, Result]:
    return {check.id: check.result for check in report.checks}


def says(report: Preflight, name: str) -> str:
    return next(check.says for check in report.checks if check.id == name)


# --- the cases of the issue ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cause", "reason", "advice", "rule"),
    [
        (Cause.FIREWALL_TIMEOUT, "connect.timeout", Advice.JUSTIFIED, "justified"),
        (Cause.UNREACHABLE, "connect.refused", Advice.JUSTIFIED, "justified"),
        (Cause.RFC_NONCOMPLIANT, "mail.null-sender-refused", Advice.JUSTIFIED, "justified"),
        (Cause.POLICY_REFUSAL, "rcpt.blocklisted", Advice.JUSTIFIED, "refuses-us"),
        (Cause.MISSING_SENDER, "rcpt.user-unknown", Advice.USELESS, "sender-missing"),
        (Cause.SENDER_EXISTS, "rcpt.accepted", Advice.NOT_NEEDED, "callouts-work"),
        (Cause.TEMPORARY, "rcpt.greylisted", Advice.CANNOT_TELL, "sender-temporary"),
        (Cause.DNS_FAILURE, "dns.servfail", Advice.CANNOT_TELL, "sender-dns-fails"),
        (Cause.INCONCLUSIVE, "rcpt.unattributed", Advice.CANNOT_TELL, "diagnosis-unclear"),
    ],
)
def test_what_the_diagnosis_decides(cause: Cause, reason: str, advice: Advice, rule: str) -> None:
    report = samples.preflight(samples.diagnosis(cause, reason))
    assert (report.advice, report.rule) == (advice, rule)
    assert any(f"mx1 says {cause}" in sentence for sentence in report.because)
    assert bool(report.exemptions) == (advice is Advice.JUSTIFIED or cause is Cause.TEMPORARY)
    assert bool(report.avoid) == (advice is Advice.JUSTIFIED)


def test_a_relay_that_spf_forbids_is_dangerous_whatever_the_diagnosis() -> None:
    for cause in Cause:
        report = samples.preflight(
            samples.diagnosis(cause), samples.relay(said=samples.spf(SpfResult.FAIL, "-all"))
        )
        assert (report.advice, report.rule) == (Advice.DANGEROUS, "spf-forbids")
        assert "Do not exempt 192.0.2.59" in report.because[0]
        assert report.exemptions == ()


def test_the_address_of_the_mail_host_is_the_wrong_one() -> None:
    seen = samples.relay(ip=make.MX_IP)
    report = samples.preflight(seen=seen)
    assert (report.advice, report.rule) == (Advice.USELESS, "wrong-address")
    assert "wrong address" in report.because[0]
    assert "after H= in your log" in report.because[0]
    assert results(report)["relay-is-not-the-called-mx"] is FAIL
    both = samples.preflight(seen=seen, asked=Asked(allow_private=True, is_relay=True))
    assert both.advice is Advice.JUSTIFIED
    assert results(both)["relay-is-not-the-called-mx"] is WARN


def test_a_shared_relay_is_dangerous_and_the_narrow_ways_are_shown() -> None:
    name = "mail-a.outbound.protection.outlook.com"
    said = samples.spf(domain="spf.protection.outlook.com")
    report = samples.preflight(seen=samples.relay(name, said=said))
    assert (report.advice, report.rule) == (Advice.DANGEROUS, "shared-relay")
    assert "Microsoft 365" in report.because[0]
    assert any("every customer" in sentence for sentence in report.because)
    assert [way.file.rpartition("/")[2] for way in report.exemptions][:1] == ["sender_verify_pairs"]
    assert not [way for way in report.exemptions if way.file.startswith("/etc/senderverify")]
    # Where callouts work nothing is to be exempted, but who else sends from it is said all the same.
    well = samples.preflight(samples.diagnosis(Cause.SENDER_EXISTS), samples.relay(name, said=said))
    assert well.advice is Advice.NOT_NEEDED
    assert any("every customer" in sentence for sentence in well.because)


def test_an_own_network_is_no_relay() -> None:
    for ip in ("10.1.2.3", "127.0.0.1", "::1", "203.0.113.5", "100.64.0.1"):
        report = samples.preflight(seen=samples.relay(ip=ip), asked=Asked())
        assert (report.advice, report.rule) == (Advice.USELESS, "relay-not-public"), ip


def test_a_public_relay(monkeypatch: pytest.MonkeyPatch) -> None:
    def judged(ip: IP) -> Scope:
        return Scope.PUBLIC if scope(ip) is Scope.DOCUMENTATION else scope(ip)

    monkeypatch.setattr(preflight, "scope", judged)
    report = samples.preflight(asked=Asked())
    assert results(report)["relay-address"] is PASS
    assert report.advice is Advice.JUSTIFIED


# --- the checks ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seen", "result", "word"),
    [
        (samples.relay(), PASS, "leads back to it"),
        (replace(samples.relay(), addresses=(samples.found("192.0.2.1"),)), WARN, "does not lead back"),
        (replace(samples.relay(), addresses=(samples.failed(DnsOutcome.NXDOMAIN),)), WARN, "no address"),
        (replace(samples.relay(), addresses=(samples.failed(DnsOutcome.SERVFAIL),)), UNTESTED, "servfail"),
        (replace(samples.relay(), addresses=()), UNTESTED, "our time was up"),
        (RelaySeen(ip=samples.RELAY, names=samples.failed(DnsOutcome.NXDOMAIN)), WARN, "no name"),
        (RelaySeen(ip=samples.RELAY, names=samples.failed(DnsOutcome.TIMEOUT)), UNTESTED, "timeout"),
        (RelaySeen(ip=samples.RELAY), UNTESTED, "our time was up"),
        (samples.relay("host-192-0-2-59.dyn.example.com"), WARN, "looks like"),
    ],
)
def test_reverse_dns(seen: RelaySeen, result: Result, word: str) -> None:
    report = samples.preflight(seen=seen)
    assert results(report)["reverse-dns"] is result
    assert word in says(report, "reverse-dns")


@pytest.mark.parametrize(
    ("result", "term", "check"),
    [
        (SpfResult.PASS, "ip4:192.0.2.59", PASS),
        (SpfResult.PASS, "+all", WARN),
        (SpfResult.PASS, "all", WARN),
        (SpfResult.PASS, "ip4:128.0.0.0/1", WARN),
        (SpfResult.PASS, "ip4:192.0.2.0/24", PASS),
        (SpfResult.SOFTFAIL, "~all", WARN),
        (SpfResult.NEUTRAL, None, WARN),
        (SpfResult.NONE, None, WARN),
        (SpfResult.PERMERROR, None, WARN),
        (SpfResult.TEMPERROR, None, UNTESTED),
        (SpfResult.FAIL, "-all", FAIL),
    ],
)
def test_spf(result: SpfResult, term: str | None, check: Result) -> None:
    report = samples.preflight(seen=samples.relay(said=samples.spf(result, term)))
    assert results(report)["spf"] is check


def test_spf_that_cannot_be_told_may_forbid() -> None:
    for said in (samples.spf(SpfResult.TEMPERROR, None), None):
        report = samples.preflight(seen=replace(samples.relay(), spf=said))
        assert (report.advice, report.rule) == (Advice.CANNOT_TELL, "spf-unknown")


def test_an_address_literal_has_no_spf() -> None:
    to = make.address("a@[203.0.113.15]", kind=AddressKind.LITERAL, ip="203.0.113.15")
    diagnosis = replace(
        samples.diagnosis(Cause.FIREWALL_TIMEOUT), evidence=make.evidence(make.host(name=to.domain), to=to)
    )
    report = samples.preflight(diagnosis, replace(samples.relay(), spf=None))
    assert results(report)["spf"] is UNTESTED
    assert report.rule == "relay-unrelated"


OWN = samples.spf(SpfResult.NONE, None)


@pytest.mark.parametrize(
    ("seen", "related", "rule"),
    [
        (samples.relay(), PASS, "justified"),
        (samples.relay("out.hoster.example.net"), FAIL, "relay-unrelated"),
        (samples.relay("out.hoster.example.net", said=samples.spf()), PASS, "justified"),
        (samples.relay("mail-a.outbound.protection.outlook.com"), FAIL, "shared-relay"),
        (samples.relay("host-192-0-2-59.dyn.example.com"), FAIL, "relay-unrelated"),
        # A name that is a public suffix belongs to nobody in particular.
        (samples.relay("com"), FAIL, "relay-unrelated"),
        (replace(samples.relay(), addresses=(samples.found("192.0.2.1"),)), FAIL, "relay-unrelated"),
        (
            RelaySeen(ip=samples.RELAY, names=samples.failed(DnsOutcome.TIMEOUT), spf=OWN),
            UNTESTED,
            "relay-unknown",
        ),
        (samples.relay("out.hoster.example.net", said=samples.spf(term="+all")), FAIL, "relay-unrelated"),
    ],
)
def test_relation(seen: RelaySeen, related: Result, rule: str) -> None:
    report = samples.preflight(seen=seen)
    assert results(report)["relation"] is related, says(report, "relation")
    assert report.rule == rule


def test_the_organisation_of_the_mail_host() -> None:
    host = make.host(name="mx.hoster.example.net")
    diagnosis = replace(samples.diagnosis(Cause.FIREWALL_TIMEOUT), evidence=make.evidence(host))
    report = samples.preflight(diagnosis, samples.relay("out.hoster.example.net"))
    assert (report.rule, results(report)["relation"]) == ("justified-hosted", PASS)
    assert "for that domain only" in report.because[0]
    assert results(report)["shared-provider"] is WARN
    assert any("other customers" in sentence for sentence in report.because)


def test_the_mail_host_of_a_provider_ties_nothing() -> None:
    """A relay of Microsoft is not the sender's because the sender's mail host is of Microsoft too."""
    host = make.host(name="customer-example-com.mail.protection.outlook.com")
    organisations = samples.ORGANISATIONS | {host.name: "outlook.com"}
    diagnosis = replace(samples.diagnosis(Cause.FIREWALL_TIMEOUT), evidence=make.evidence(host))
    seen = replace(samples.relay("mail-a.outbound.protection.outlook.com"), organisations=organisations)
    report = samples.preflight(diagnosis, seen)
    assert results(report)["relation"] is FAIL
    assert report.advice is Advice.DANGEROUS


def test_spf_through_another_organisation_is_said() -> None:
    report = samples.preflight(seen=samples.relay(said=samples.spf(domain="spf.example.org")))
    assert results(report)["shared-provider"] is WARN
    assert (report.advice, report.rule) == (Advice.JUSTIFIED, "justified-hosted")
    named = RelaySeen(
        ip=samples.RELAY,
        names=samples.failed(DnsOutcome.NXDOMAIN),
        spf=samples.spf(domain="spf.protection.outlook.com"),
        organisations=samples.ORGANISATIONS,
    )
    assert samples.preflight(seen=named).rule == "shared-relay"


@pytest.mark.parametrize(
    ("answer", "result", "word"),
    [
        (samples.failed(DnsOutcome.NXDOMAIN), PASS, "is not on"),
        (samples.found("127.0.0.2", "127.0.0.4"), FAIL, "127.0.0.2, 127.0.0.4"),
        (samples.found("127.255.255.254"), UNTESTED, "no listing"),
        (samples.found("127.0.0.2", "127.255.255.252"), UNTESTED, "no listing"),
        (samples.found("203.0.113.9"), UNTESTED, "no blocklist does"),
        (samples.found(), UNTESTED, "no blocklist does"),
        (samples.failed(DnsOutcome.SERVFAIL), UNTESTED, "servfail"),
    ],
)
def test_blocklists(answer: object, result: Result, word: str) -> None:
    listing = Listing("bl.example.org", answer)  # type: ignore[arg-type]  # parametrize loses it
    asked = Asked(allow_private=True, zones=("bl.example.org",))
    report = samples.preflight(
        seen=samples.relay("relay1.example.com", samples.RELAY, None, listing), asked=asked
    )
    assert results(report)["dnsbl"] is result
    assert word in says(report, "dnsbl")
    assert report.rule == ("relay-listed" if result is FAIL else "justified")


def test_every_blocklist_has_its_line() -> None:
    asked = Asked(allow_private=True, zones=("bl.example.org", "other.example.org"))
    listing = Listing("bl.example.org", samples.failed(DnsOutcome.NXDOMAIN))
    report = samples.preflight(
        seen=samples.relay("relay1.example.com", samples.RELAY, None, listing), asked=asked
    )
    assert [check.result for check in report.checks if check.id == "dnsbl"] == [PASS, UNTESTED]
    assert "no blocklist" in says(samples.preflight(), "dnsbl")


# --- the need ------------------------------------------------------------------------------------------


def test_a_sender_that_exists_may_be_refused_all_the_same() -> None:
    report = replace(samples.diagnosis(Cause.SENDER_EXISTS), mta=make.mta(MtaOutcome.REJECT))
    assert preflight.need(report) is Need.FAILS
    assert preflight.need(replace(report, mta=None)) is Need.WORKS


def test_a_fault_of_ours_is_no_ground() -> None:
    for cause in (Cause.FIREWALL_TIMEOUT, Cause.INCONCLUSIVE, Cause.UNREACHABLE):
        report = samples.preflight(samples.diagnosis(cause, side=Side.OURS))
        assert (report.advice, report.rule) == (Advice.CANNOT_TELL, "fault-is-ours")
    assert preflight.need(samples.diagnosis(Cause.POLICY_REFUSAL, side=Side.OURS)) is Need.REFUSES_US


def test_a_refusal_is_not_cured_by_letting_deferrals_pass() -> None:
    report = replace(samples.diagnosis(Cause.RFC_NONCOMPLIANT), mta=make.mta(MtaOutcome.REJECT))
    assert not [way for way in samples.preflight(report).exemptions if "defer" in way.line]
    assert [way for way in samples.preflight().exemptions if "defer_ok" in way.line]


# --- the tables ----------------------------------------------------------------------------------------

STATES: dict[str, list[Any]] = {
    "diagnosis": list(Need),
    "address": ["public", "allowed", "not-public"],
    "mx": ["other", "same", "both", "unknown"],
    "spf": [*SpfResult, "open", "literal", "time-up"],
    "relation": ["own", "mail-host", "authorised", "provider", "none", "nameless", "unknown"],
    "shared": ["own", "listed", "authorised", "hosted", "unknown"],
    "listed": [False, True],
}


def test_every_combination_is_decided_and_every_row_decides_somewhere() -> None:
    won = set()
    for values in itertools.product(*STATES.values()):
        facts = Facts(*values)
        rule = decide(facts)
        won.add(rule.id)
        if rule.advice is Advice.JUSTIFIED:
            assert facts.spf not in {"fail", "temperror", "time-up"}
            assert facts.relation in {"own", "mail-host", "authorised"}
            assert facts.shared != "listed"
            assert not facts.listed
            assert facts.diagnosis in {Need.FAILS, Need.REFUSES_US}
            assert (facts.address, facts.mx) != ("not-public", "same")
    assert won == {rule.id for rule in RULES}


def test_every_state_of_the_columns_has_its_sentence() -> None:
    names = {
        "diagnosis": "diagnosis", "address": "relay-address", "mx": "relay-is-not-the-called-mx", "spf": "spf",
        "relation": "relation", "shared": "shared-provider",
    }  # fmt: skip
    for column, name in names.items():
        assert {(name, str(state)) for state in STATES[column]} == {key for key in ROWS if key[0] == name}
    assert len(ROWS) == len(FINDINGS)
    assert {finding.check for finding in FINDINGS} == set(CHECKS)


def test_providers() -> None:
    assert provider_of("mail-a.outbound.protection.outlook.com") == "Microsoft 365 and Outlook.com"
    assert provider_of("outlook.com") is not None
    assert provider_of("notoutlook.com") is None
    assert provider_of("") is None
    assert all(name == name.lower() and "." in name for name in PROVIDERS)
