"""Letters: for every reader and every cause, complete, polite and safe."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from probe.core.model import Cause, MtaOutcome, Report, Severity, Side, Stage, Who
from probe.core.reasons import REASONS, TYPICAL
from probe.show import letter
from probe.show.letter import WIDTH, Matter, Redaction
from probe.show.letters import Reader
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
    assert "Your mail host" in said


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
