"""The text view against pages that were written by hand before it was run."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from probe.core.model import Cause, Confidence, Mta, MtaOutcome, Severity, Side, Who
from probe.show import text
from tests.show import samples
from tests.support import make
from tests.support.every import every

if TYPE_CHECKING:
    from collections.abc import Callable

    from probe.core.model import Report

ROOT = Path(__file__).parents[2]


def page(expected: str) -> str:
    return dedent(expected).removeprefix("\n")


def test_a_firewall_is_told_in_about_ten_lines() -> None:
    assert text.render(samples.firewall()) == page("""
        administrator@customer.example.com: firewall-timeout (probable)
          mx1.customer.example.com [203.0.113.15] did not answer on port 25 within 10 s.
          Why         Every SYN to 203.0.113.15 stayed unanswered for 10 s.
          Whose move  the path (a firewall or a network between us and them)
          Next        our admin: Try the same from another network.
          Effect now  Exim defers (451 Could not complete sender verify callout),
                      Postfix defers (450)
          took 10 s; more: probe-sender explain connect.timeout
    """)


def test_a_missing_sender_shows_the_reply_and_numbers_the_steps() -> None:
    assert text.render(samples.missing()) == page("""
        administrator@customer.example.com: missing-sender (certain)
          mx1.customer.example.com says that there is no such mailbox.
          Why         It refused RCPT with 550 5.1.1, which means an unknown mailbox
                      (RFC 3463 3.2).
          Whose move  theirs (their mail host, or its policy)
          Next        1. the sender: Use an envelope sender that exists.
                      2. support: Do not whitelist the relay for this.
          Effect now  Exim rejects (550 Sender verify failed), Postfix rejects (550)
          Mail host   mx1.customer.example.com [203.0.113.15] said: 550 5.1.1
                      <administrator@customer.example.com>: Recipient address rejected
          took 500 ms; more: probe-sender explain rcpt.user-unknown
    """)


def test_several_hosts_are_a_table_and_a_catch_all_is_explained() -> None:
    assert text.render(samples.second_host_accepts()) == page("""
        administrator@customer.example.com: sender-exists (certain)
          mx2.customer.example.com accepts the address; mx1 does not answer.
          Why         mx2 answered RCPT with 250.
                      mx1 did not answer the connection attempt.
          Effect now  Exim and Postfix accept it

            Pref  Host                      Address       Verdict
          ------  ------------------------  ------------  -----------------------------
              10  mx1.customer.example.com  203.0.113.15  firewall-timeout,
                                                          connect.timeout
              20  mx2.customer.example.com  203.0.113.16  sender-exists, rcpt.accepted:
                                                          250 2.1.5 Ok

          took 500 ms; more: probe-sender explain rcpt.accepted
    """)


def test_a_violation_names_its_sections_and_its_cost() -> None:
    assert text.render(samples.null_sender_refused()) == page("""
        administrator@customer.example.com: rfc-noncompliant (certain)
          mx1.customer.example.com refuses the null sender.
          Why         It refused MAIL FROM:<> and took a real sender.
          Whose move  theirs (their mail host, or its policy)
          Violations  null-sender-refused (RFC 5321 4.5.5), defeats verification
          Mail host   mx1.customer.example.com [203.0.113.15] said: 554 No null sender
                      here
          took 2.5 s; more: probe-sender explain mail.null-sender-refused
    """)


def test_who_has_to_write_to_the_other_side_is_told_how() -> None:
    told = samples.null_sender_refused()
    steps = (make.step("Accept it.", Who.THEIR_ADMIN),)
    assert "to write to them: --letter postmaster;" in text.render(replace(told, next_steps=steps))
    assert "--letter" not in text.render(replace(told, next_steps=steps, side=Side.OURS))


def test_a_command_is_never_wrapped() -> None:
    exim = make.mta(MtaOutcome.REJECT).exim
    assert exim is not None
    clear = "printf 'customer.example.com\\nd\\n' | exim_fixdb /var/spool/exim4-of-a-long-name callout"
    told = replace(samples.null_sender_refused(), mta=Mta(replace(exim, clear=clear), None))
    assert f"    forgets   {clear}\n" in text.render(told, verbose=True)


def test_a_dns_failure_has_no_host_and_its_tries_are_in_the_verbose_page() -> None:
    assert text.render(samples.dns_failure(), verbose=True) == page("""
        administrator@customer.example.com: dns-failure (certain)
          The name servers of customer.example.com answer SERVFAIL.
          Why         The question for its MX was answered SERVFAIL.
          Whose move  the DNS (the domain's name servers, or our resolver)

          DNS look-ups
           0.000  customer.example.com MX: servfail, 5 s, 192.0.2.54:53 tcp
                  try of 192.0.2.53:53 udp: timeout, 2.5 s
                  try of 192.0.2.54:53 tcp: servfail, 2.5 s

          (> sent, < received, = happened; s: over TLS; seconds since the start)
          DNS 40 ms, connecting 20 ms, conversation 400 ms
          took 5 s; rule dns-servfail; more: probe-sender explain dns.servfail
    """)


def test_an_international_domain_is_shown_both_ways_and_bytes_are_escaped() -> None:
    assert text.render(samples.international()) == page(r"""
        info@bücher.example: inconclusive (uncertain)
          that is info@xn--bcher-kva.example
          It said "550 \x1b[31mgo away" to RCPT, which may mean anything.
          Why         Its words name no mailbox: désolé.
          Whose move  not known yet
          Notes       The reply holds a control character.
          took 500 ms; more: probe-sender explain rcpt.unattributed
    """)


def test_verbose_shows_look_ups_and_the_lapse_of_each_reply() -> None:
    assert text.render(samples.greylisted(), verbose=True) == page("""
        administrator@customer.example.com: temporary (certain)
          mx1.customer.example.com greylists us.
          Why         It answered RCPT with 451 and the word Greylisted.
          Whose move  theirs (their mail host, or its policy)
          Mail host   mx1.customer.example.com [203.0.113.15] said: 451 4.7.1
                      Greylisted, come back in 5 minutes

          DNS look-ups
           0.000  customer.example.com MX: answer, 20 ms, 192.0.2.53:53 udp
                  MX 10 mx1.customer.example.com., TTL 300
           0.020  mx1.customer.example.com A: answer, 20 ms, 192.0.2.53:53 udp
                  A 203.0.113.15, TTL 300
           0.020  mx1.customer.example.com AAAA: nodata, 20 ms, 192.0.2.53:53 udp

          mx1.customer.example.com [203.0.113.15] port 25, callout
           0.060    +0.020   = connected from 192.0.2.10
           0.160    +0.100   < 220 mx1.customer.example.com ESMTP
           0.160             > EHLO probe.example.net
           0.260    +0.100   < 250-mx1.customer.example.com
                             < 250-PIPELINING
                             < 250 SIZE 52428800
           0.260             > MAIL FROM:<>
           0.360    +0.100   < 250 2.1.0 Ok
           0.360             > RCPT TO:<administrator@customer.example.com>
           0.460    +0.100   < 451 4.7.1 Greylisted, come back in 5 minutes

          (> sent, < received, = happened; s: over TLS; seconds since the start)
          DNS 40 ms, connecting 20 ms, conversation 400 ms
          took 500 ms; rule rcpt-greylisted; more: probe-sender explain rcpt.greylisted
    """)


def test_a_host_that_was_not_asked_says_why() -> None:
    assert text.render(samples.one_not_asked()) == page("""
        administrator@customer.example.com: sender-exists (certain)
          The mail host accepted the address.
          Why         It answered RCPT with 250.

            Pref  Host                      Address       Verdict
          ------  ------------------------  ------------  -----------------------------
              10  mx1.customer.example.com  203.0.113.15  sender-exists, rcpt.accepted:
                                                          250 2.1.5 Ok
              20  mx2.customer.example.com  203.0.113.16  not asked: another host had
                                                          given a definite answer

          took 500 ms; more: probe-sender explain rcpt.accepted
    """)


def test_a_long_address_stands_under_its_name() -> None:
    long = "2001:db8:1234:5678:9abc:def0:1234:5678"
    report = make.report(
        make.host_report("mx1.customer.example.com", long, reply="250 2.1.5 Ok"),
        make.host_report("mx2.customer.example.com", "203.0.113.16", preference=20, reply="250 2.1.5 Ok"),
    )
    table = text.render(report).split("\n\n")[1]
    assert dedent(table) + "\n" == page("""
          Pref  Host                                    Verdict
        ------  --------------------------------------  -----------------------------
            10  mx1.customer.example.com                sender-exists, rcpt.accepted:
                2001:db8:1234:5678:9abc:def0:1234:5678  250 2.1.5 Ok
            20  mx2.customer.example.com                sender-exists, rcpt.accepted:
                203.0.113.16                            250 2.1.5 Ok
    """)


def test_colour_lies_on_the_cause_the_labels_and_the_footer() -> None:
    report = make.report(
        cause=Cause.MISSING_SENDER, reason="domain.null-mx", side=Side.THEIRS, rule="null-mx", summary="No."
    )
    assert text.render(report, color=True) == (
        "\x1b[1madministrator@customer.example.com\x1b[0m: \x1b[1;31mmissing-sender\x1b[0m (certain)\n"
        "  No.\n"
        "  \x1b[2mWhy         \x1b[0mIt answered RCPT with 250.\n"
        "  \x1b[2mWhose move  \x1b[0mtheirs (their mail host, or its policy)\n"
        "  \x1b[2mtook 500 ms; more: probe-sender explain domain.null-mx\x1b[0m\n"
    )


@pytest.mark.parametrize("sample", samples.ALL)
@pytest.mark.parametrize("verbose", [False, True])
def test_colour_changes_nothing_but_colour(sample: Callable[[], Report], verbose: bool) -> None:
    report = sample()
    coloured = text.render(report, verbose=verbose, color=True)
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == text.render(report, verbose=verbose)


@every("sample", samples.ALL)
@every("width", [72, 80, 100, 140])
def test_no_line_is_wider_than_the_terminal(sample: Callable[[], Report], width: int) -> None:
    lines = text.render(sample(), verbose=True, width=width).splitlines()
    assert max(map(len, lines)) <= width


def test_the_verbose_page_has_what_the_short_one_leaves_out() -> None:
    long = text.render(samples.firewall(), verbose=True, width=140)
    assert "  Postfix     3.7 with reject_unverified_sender defers it\n" in long
    assert "    answers   450 4.1.7 Sender address rejected: unverified address\n" in long
    assert "took 10 s; rule connect-silent; more:" in long
    broken = text.render(samples.null_sender_refused(), verbose=True, width=140)
    assert "RFC 5321 4.5.5, RFC 2821 3.7, defeats verification) at mx1.customer" in broken
    steps = make.report(next_steps=tuple(make.step(f"Step {number}.") for number in range(5)))
    assert "Step 4." in text.render(steps, verbose=True)
    assert "Step 3." not in text.render(steps)
    assert "; 2 more steps with -v; " in text.render(steps)


def test_a_harmless_violation_is_left_to_the_verbose_page() -> None:
    report = make.report(violations=(make.violation(severity=Severity.COSMETIC),))
    assert "null-sender-refused" not in text.render(report)
    assert "null-sender-refused" in text.render(report, verbose=True)


def test_what_the_summary_says_is_not_said_again() -> None:
    summary = 'mx1 says "550 5.1.1 unknown".'
    report = make.report(
        make.host_report(reply="550 5.1.1 unknown"), summary=summary, because=(summary, "That is plain.")
    )
    assert text.render(report) == page("""
        administrator@customer.example.com: sender-exists (certain)
          mx1 says "550 5.1.1 unknown".
          Why         That is plain.
          took 500 ms; more: probe-sender explain rcpt.accepted
    """)


def test_a_number_keeps_its_unit_and_the_command_stays_whole() -> None:
    report = make.report(
        summary="It did not answer on port 25, which is open elsewhere, not even within 10 s.",
        because=(),
        mta=make.mta(MtaOutcome.ACCEPT),
        next_steps=(make.step("One."), make.step("Two."), make.step("Three."), make.step("Four.")),
        reason="mail.null-sender-refused",
    )
    assert text.render(report, width=77) == page("""
        administrator@customer.example.com: sender-exists (certain)
          It did not answer on port 25, which is open elsewhere, not even within
          10 s.
          Next        1. support: One.
                      2. support: Two.
                      3. support: Three.
          Effect now  Exim and Postfix accept it
          took 500 ms; 1 more step with -v; more:
          probe-sender explain mail.null-sender-refused
    """)


def test_a_quoted_reply_cannot_scroll_the_verdict_away() -> None:
    report = make.report(summary="x " * 50_000, notes=("y" * 100_000,))
    assert len(text.render(report).splitlines()) < 50


def test_quiet_is_one_line_of_five_fields() -> None:
    assert text.quiet(samples.missing()) == (
        "administrator@customer.example.com\tmissing-sender\trcpt.user-unknown\tcertain\t"
        "mx1.customer.example.com says that there is no such mailbox.\n"
    )


def test_quiet_keeps_its_fields_when_the_summary_holds_tabs_and_line_ends() -> None:
    report = make.report(summary="one\ttwo\r\nthree", confidence=Confidence.UNCERTAIN)
    assert text.quiet(report).count("\t") == 4
    assert text.quiet(report).endswith("uncertain\tone\\x09two\\x0d\\x0athree\n")


def test_the_everyday_page_needs_neither_tabulate_nor_the_network() -> None:
    script = (
        "import sys, probe.show.text as view\n"
        "from tests.show import samples\n"
        "view.render(samples.firewall()); view.quiet(samples.firewall())\n"
        "print({'tabulate', 'socket', 'asyncio', 'ssl', 'dns', 'aiosmtplib', 'csv'} & set(sys.modules))\n"
    )
    ran = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True, cwd=ROOT)
    assert ran.stdout == "set()\n"


def test_what_was_before_stands_under_the_summary() -> None:
    lines = text.render(samples.remembered(), width=100).splitlines()
    assert lines[2:4] == [
        "  Before      Asked about other@customer.example.com 40 minutes ago; this is out of the store.",
        "              Changed: 3 hours ago it was temporary (rcpt.greylisted).",
    ]
