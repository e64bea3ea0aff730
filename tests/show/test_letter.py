"""Letters: for every reader and every cause, complete, polite and safe."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from probe.core.exemption.relay import Advice, Exemption, Preflight
from probe.core.log.event import LogProgram
from probe.core.log.report import Fate, Group
from probe.core.model import Cause, Confidence, MtaOutcome, Report, Severity, Side, Stage, Who
from probe.core.reasons import REASONS, TYPICAL
from probe.show import letter
from probe.show.letter import WIDTH, Matter
from probe.show.letters import Reader
from probe.show.redaction import Redaction
from tests.show import samples
from tests.support import make

ASKED = make.exchange(Stage.MAIL, "MAIL FROM:<>", "550 5.7.1 no bounces here")
SENDER = "administrator@customer.example.com"


def report(cause: Cause, side: Side = Side.THEIRS) -> Report:
    """Make the report of a cause: its typical reason, one step for each reader, a broken rule."""
    row = REASONS[TYPICAL[cause]]
    return make.report(
        make.host_report(cause=cause, reason=row.word, reply="550 5.7.1 no bounces here"),
        cause=cause,
        reason=row.word,
        side=side,
        summary="mx1.customer.example.com [203.0.113.15] did what it did.",
        because=("It did so.",),
        next_steps=tuple(make.step(f"Step of {who}.", who) for who in Who),
        mta=make.mta(MtaOutcome.DEFER, exim="451 Could not complete sender verify callout"),
        violations=(make.violation(severity=Severity.DEFEATS),),
    )


@pytest.mark.parametrize("reader", Reader)
@pytest.mark.parametrize("cause", Cause)
def test_every_reader_gets_a_complete_letter_for_every_cause(cause: Cause, reader: Reader) -> None:
    said = letter.render(report(cause), reader)
    assert said.startswith("Subject: ")
    assert "{" not in said
    assert SENDER in said.replace("\n", " ")
    assert "2026-" in said
    assert "UTC" in said
    assert "203.0.113.15" in said
    assert max(map(len, said.splitlines())) <= WIDTH
    assert said.endswith("\n")
    assert not said.endswith("\n\n")


@pytest.mark.parametrize("cause", Cause)
def test_each_reader_is_told_what_he_can_do(cause: Cause) -> None:
    support, customer, postmaster = (letter.render(report(cause), reader) for reader in Reader)
    assert all(f"Step of {who}." in support for who in Who)
    assert "Step of their-admin." in postmaster
    assert "Step of our-admin." not in postmaster
    assert "Step of" not in customer
    assert "defeats" not in customer
    assert "RFC 5321 4.5.5" in postmaster


@pytest.mark.parametrize("reader", Reader)
def test_where_the_fault_is_ours_nobody_else_is_asked_for_anything(reader: Reader) -> None:
    said = letter.render(report(Cause.INCONCLUSIVE, Side.OURS), reader)
    assert "our side" in said
    if reader is not Reader.SUPPORT:
        assert "Step of" not in said
        assert "How to test" not in said


def test_the_dialogue_shows_what_decided() -> None:
    observed = make.evidence(make.host(make.session(ASKED)))
    pointed = structs.replace(report(Cause.RFC_NONCOMPLIANT), evidence=observed)
    because = (structs.replace(pointed.because[0], points_to=("/hosts/0/sessions/0/exchanges/0",)),)
    said = letter.render(structs.replace(pointed, because=because), Reader.POSTMASTER)
    assert "  > MAIL FROM:<>\n  < 550 5.7.1 no bounces here\n" in said


@pytest.mark.parametrize(
    "pointer", ["/hosts/9/sessions/0/exchanges/0", "/dns/0", "", "/hosts/0/sessions/0/exchanges/99"]
)
def test_a_pointer_into_nothing_is_no_dialogue(pointer: str) -> None:
    told = report(Cause.RFC_NONCOMPLIANT)
    because = (structs.replace(told.because[0], points_to=(pointer,)),)
    assert "Dialogue" not in letter.render(structs.replace(told, because=because), Reader.POSTMASTER)


def test_without_a_host_the_domain_is_named() -> None:
    said = letter.render(samples.dns_failure(), Reader.POSTMASTER)
    assert "at\n customer.example.com\n" in said
    assert "Mail host" not in said


@pytest.mark.parametrize("reader", Reader)
def test_a_long_subject_is_folded_as_a_header_is(reader: Reader) -> None:
    head, _, _ = letter.render(report(Cause.FIREWALL_TIMEOUT), reader).partition("\n\n")
    assert all(line.startswith(("Subject: ", " ")) for line in head.splitlines())


def test_a_sender_that_exists_and_is_refused_is_no_success() -> None:
    full = structs.replace(
        report(Cause.SENDER_EXISTS),
        reason="rcpt.mailbox-full",
        next_steps=(make.step("Make room.", Who.SENDER),),
        mta=make.mta(MtaOutcome.REJECT),
    )
    customer, postmaster = (letter.render(full, each) for each in (Reader.CUSTOMER, Reader.POSTMASTER))
    assert "in order now" not in customer
    assert "nothing to mend" not in postmaster
    assert "Make room." in postmaster
    assert "rejected by us" in postmaster


def test_a_sender_that_is_accepted_is_not_said_to_fail() -> None:
    well = structs.replace(report(Cause.SENDER_EXISTS), next_steps=())
    assert "As long as it fails" not in letter.render(well, Reader.POSTMASTER)


@pytest.mark.parametrize("cause", Cause)
def test_without_a_step_the_letter_announces_none(cause: Cause) -> None:
    bare = structs.replace(report(cause), next_steps=())
    said = letter.render(bare, Reader.POSTMASTER)
    assert "these" not in said.partition("What we saw")[2]


# --- redaction ---


def test_the_same_is_replaced_by_the_same() -> None:
    redact = Redaction("administrator@customer.example.com")
    assert redact("<administrator@customer.example.com> and <raam@example.net>") == (
        "<user1@customer.example.com> and <user2@example.net>"
    )
    assert redact("550 raam@example.net: Administrator unknown") == "550 user2@example.net: user1 unknown"
    assert redact("10.0.0.7 asked 192.0.2.25 for fileserver.corp") == (
        "internal-ip1 asked 192.0.2.25 for internal-host1"
    )
    assert redact("[10.0.0.7]:25, ::1, fd00::1 and fileserver.corp again") == (
        "[internal-ip1]:25, internal-ip2, internal-ip3 and internal-host1 again"
    )


def test_a_postmaster_is_no_person() -> None:
    assert Redaction("postmaster@example.com")("Postmaster@example.com") == "Postmaster@example.com"


def test_short_local_parts_are_words_elsewhere() -> None:
    assert (
        Redaction("no@example.com")("<no@example.com>: no such user") == "<user1@example.com>: no such user"
    )


@pytest.mark.parametrize("reader", Reader)
@pytest.mark.parametrize("cause", Cause)
def test_no_local_part_is_left(cause: Cause, reader: Reader) -> None:
    said = letter.render(report(cause), reader, redact=True)
    assert "administrator@" not in said
    assert "user1@customer.example.com" in said.replace("\n", " ")


@given(st.text(max_size=200))
def test_redaction_takes_any_text(text: str) -> None:
    redact = Redaction("administrator@customer.example.com")
    once = redact(text)
    assert "administrator@" not in once
    assert redact(once) == once or "@" in once


def test_redaction_knows_an_address_in_every_dress() -> None:
    redact = Redaction("Bob.Smith@example.org")
    for said in ("BOB.SMITH@", '"bob.smith"@', "bob.smith%40", "bob.smith&#64;"):
        assert redact(f"<{said}example.org>").startswith("<user1")
    assert redact("550 unknown user bob.smith. bounce-bob.smith, x+bob.smith+y") == (
        "550 unknown user user1. bounce-user1, x+user1+y"
    )
    assert "alice" not in redact("alice%40example.org alice&#64;example.org " + "alice" * 20 + "@example.org")
    for ip in ("10.0.0.1", "::ffff:10.0.0.1", "64:ff9b::10.0.0.1", "fd00::1", "IPv6:fd00::1"):
        for said in (ip, f"[{ip}]:25", f"client {ip}: blocked", f"at {ip}."):
            assert ip.removeprefix("IPv6:") not in redact(said), said
    assert redact("client:10.0.0.1:25") == "client:internal-ip1:25"
    # A company's mailbox may be called as its domain.
    assert Redaction("example@example.com")("<example@example.com> at mx.example.com") == (
        "<user1@example.com> at mx.example.com"
    )


def test_redaction_is_linear() -> None:
    redact = Redaction("a@example.com")
    for text in ("a" * 50_000, "a.b" * 20_000, "1.2.3." * 10_000, ":" * 50_000, "a@" * 20_000):
        redact(text)


def test_every_text_names_only_fields_that_exist() -> None:
    facts = Matter(
        mailbox="",
        domain="",
        cause="",
        side=Side.THEIRS,
        summary="",
        when="",
        host="",
        ip="",
        port="",
        our_ip="",
        helo="",
    )
    for reader in Reader:
        for cause in Cause:
            assert letter.write(facts, cause, reader)


# --- senders in a log, and a preflight ---


def group(report: Report | None = None) -> Group:
    """Make the group of the story: one try through a relay, and a called host that did not answer."""
    return Group(
        sender=SENDER,
        domain="customer.example.com",
        relay_ip="192.0.2.59",
        relay_name="relay1.example.com",
        helo="qsv-spam1.example.com",
        called_host="customer.example.com",
        called_ip="203.0.113.15",
        outcome=MtaOutcome.DEFER,
        cause=Cause.FIREWALL_TIMEOUT,
        reason="connect.timeout",
        confidence=Confidence.PROBABLE,
        count=3,
        messages=1,
        first="2008-11-17 15:02:27",
        last="2008-11-17 16:02:27",
        recipients=("raam@example.net",),
        fate=Fate(
            delayed=0, lost=0, unknown=1, minutes=None, says="not known: the log ends with the last try"
        ),
        said="could not connect to customer.example.com [203.0.113.15]: Connection timed out",
        report=report,
        program=LogProgram.EXIM,
        rule="connect-timeout",
        says="The mail server could not connect to customer.example.com [203.0.113.15]: timed out.",
        proves="It neither took nor refused the connection.",
        leaves_open=None,
        senders=(),
        more_senders=0,
        more_recipients=0,
        cached=0,
        incomplete=0,
        now=None,
    )


@pytest.mark.parametrize("reader", Reader)
def test_a_letter_from_a_log_says_that_it_is_one(reader: Reader) -> None:
    said = letter.render(group(), reader).replace("\n", " ")
    assert "log" in said
    assert "by hand" not in said
    assert "2008-11-17 15:02:27 to 2008-11-17 16:02:27" in " ".join(said.split())


def test_a_postmaster_gets_the_words_of_the_log_and_is_told_what_it_does_not_name() -> None:
    said = " ".join(letter.render(group(), Reader.POSTMASTER).split())
    assert "Our log could not connect to customer.example.com [203.0.113.15]: Connection timed out" in said
    assert "Our server (to be filled in" in said
    assert "192.0.2.59" not in said


def test_a_colleague_is_told_the_relay_and_what_became_of_the_mail() -> None:
    said = " ".join(letter.render(group(), Reader.SUPPORT).split())
    assert "Relay 192.0.2.59 relay1.example.com" in said
    assert "3 tries" in said
    assert "not known: the log ends with the last try" in said


def test_a_probe_of_today_counts_for_more_than_the_log() -> None:
    said = letter.render(group(report(Cause.MISSING_SENDER)), Reader.POSTMASTER)
    assert "by hand" in said.replace("\n", " ")
    assert "missing-sender" in said


def test_a_preflight_is_told_with_its_narrowest_exemption() -> None:
    way = Exemption("Exim", "/etc/exim4/exempt", "", "192.0.2.59", "", "", "", "2027-02-20")
    about = Preflight(
        1,
        Advice.JUSTIFIED,
        "192.0.2.59",
        SENDER,
        ("It may be exempted.",),
        (),
        (way,),
        (),
        "x",
        report(Cause.FIREWALL_TIMEOUT),
    )
    said = " ".join(letter.render(about, Reader.SUPPORT).split())
    assert "justified: It may be exempted." in said
    assert "/etc/exim4/exempt: 192.0.2.59" in said
    assert "exempt: 192" not in letter.render(about, Reader.POSTMASTER)
