"""What a log line proves: the causes of every kind of line by hand, and never more than it says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import convert
from msgspec.structs import replace

from probe.core import fold
from probe.core.classify import judge
from probe.core.log.event import LogEvent, LogFault, LogKind, LogProgram, LogVerdict
from probe.core.log.line import parse
from probe.core.log.sentences import AFTERWARDS
from probe.core.log.verdict import AMBIGUOUS, ONE_HOST, judge_event
from probe.core.model import About, Cause, Confidence, Evidence, MtaOutcome, Stage
from probe.core.reasons import REASONS
from tests.support.arbitrary import HOSTILE
from tests.support.every import every

LOGS = Path(__file__).parents[2] / "fixtures" / "logs"
_HEAD = "2026-11-22 07:47:14 H=relay.example.net [203.0.113.77] sender verify"
_NOT_NOW = "defer for <u@d.example>: Could not complete sender verify callout: mx.d.example [192.0.2.9] : "
_NO = "fail for <u@d.example>: mx.d.example [192.0.2.9] : "
_ERROR = "SMTP error from remote mail server after "
_RCPT = f"{_NO}{_ERROR}RCPT TO:<u@d.example>: "
_NO_MX = "all relevant MX records point to non-existent hosts"


def judged(line: str) -> LogVerdict:
    event = parse(line)
    assert event is not None, line
    return judge_event(event)


# Written before the first run. The reason names the cause; no confidence stands for the rule's own.
EXIM: dict[tuple[str, str | None], tuple[str, ...]] = {
    ("rcpt.user-unknown", "probable"): (f"{_RCPT}550 5.1.1 User unknown", f"{_RCPT}550 5.1.1 no"),
    ("rcpt.unattributed", "uncertain"): (
        f"{_RCPT}550 no",
        "fail for <u@d.example>",
        f"{_NO}{_ERROR}RCPT TO:<postmaster@d.example>: 550 5.1.1 User unknown",
        f'{_NO}response to "RSET" was: 502 no',
    ),
    ("rcpt.mailbox-full", "probable"): (f"{_RCPT}552 5.2.2 mailbox full",),
    ("rcpt.blocklisted", "probable"): (
        f"{_RCPT}550 5.7.1 Client host [198.51.100.2] blocked using zen.example",
    ),
    ("rcpt.null-sender-refused", "probable"): (f"{_RCPT}550 5.7.1 Mail from the null sender is refused",),
    ("rcpt.mixed-reply", "uncertain"): (f"{_RCPT}550-5.1.1 User unknown\\n250 ok",),
    ("rcpt.some-hosts-deny", "uncertain"): (
        f"{_RCPT}554 5.7.1 Relay access denied",
        f"{_NO}{_ERROR}initial connection: 521 5.3.2 no mail here",
    ),
    ("banner.refused", None): (f"{_NO}{_ERROR}initial connection: 554 5.7.1 go away",),
    ("helo.helo-rejected", "probable"): (f"{_NO}{_ERROR}HELO mail.example.net: 550 5.7.1 bad HELO",),
    ("mail.null-sender-refused", "probable"): (
        f'{_NO}response to "MAIL FROM:<>" was: 550 5.7.1 null sender not accepted',
    ),
    ("mail.unattributed", "uncertain"): (f'{_NO}response to "MAIL FROM:<>" was: 550 5.1.1 User unknown',),
    ("mail.tls-required", "probable"): (
        f'{_NO}response to "MAIL FROM:<>" was: 530 5.7.0 Must issue a STARTTLS command first',
    ),
    ("rcpt.greylisted", "probable"): (f"{_NOT_NOW}{_ERROR}RCPT TO:<u@d.example>: 451 4.7.1 Greylisted",),
    ("rcpt.unknown-for-now", "probable"): (
        f"{_NOT_NOW}{_ERROR}RCPT TO:<u@d.example>: 450 4.1.1 User unknown",
    ),
    ("rcpt.odd-code", "probable"): (f"{_NOT_NOW}{_ERROR}RCPT TO:<u@d.example>: 354 go",),
    ("rcpt.deferred", "probable"): (
        f"{_NOT_NOW}{_ERROR}RCPT TO:<h-1-testing@d.example>: 452 4.2.2 mailbox full",
    ),
    ("banner.busy", None): (f"{_NOT_NOW}{_ERROR}initial connection: 421 4.7.0 busy",),
    ("connect.timeout", "probable"): (f"{_NOT_NOW}Connection timed out",),
    ("banner.timeout", "uncertain"): (f"{_NOT_NOW}SMTP timeout after initial connection",),
    ("helo.timeout", None): (f"{_NOT_NOW}SMTP timeout after EHLO mail.example.net",),
    ("rcpt.timeout", None): (f"{_NOT_NOW}SMTP timeout after RCPT TO:<u@d.example>",),
    ("connect.refused", "probable"): (f"{_NOT_NOW}Connection refused",),
    ("connect.host-unreachable", "probable"): (f"{_NOT_NOW}No route to host",),
    ("connect.host-unreachable", "uncertain"): (f"{_NOT_NOW}mx.d.example [192.0.2.9]",),
    ("connect.net-unreachable", "uncertain"): (f"{_NOT_NOW}Network is unreachable",),
    ("banner.reset", "uncertain"): (f"{_NOT_NOW}Connection reset by peer",),
    ("connect.local-error", "probable"): (
        f"{_NOT_NOW}Cannot assign requested address",
        f"{_NOT_NOW}Permission denied",
        "defer for <u@d.example>: lowest numbered MX record points to local host",
    ),
    ("mail.deferred", "uncertain"): (f"{_NOT_NOW}NULL",),
    ("banner.not-smtp", "probable"): (
        f"{_NOT_NOW}Malformed SMTP reply in response to initial connection: SSH-2.0",
    ),
    ("helo.closed", "probable"): (
        f"{_NOT_NOW}Remote host closed connection in response to EHLO mail.example.net",
    ),
    ("tls.failed", "probable"): (f"{_NOT_NOW}TLS session: (gnutls_handshake): Error in the pull function.",),
    ("tls.not-available", "probable"): (
        f"{_NOT_NOW}a TLS session is required, but an attempt to start TLS failed",
    ),
    ("domain.no-mail-host", "probable"): ("fail for <u@d.example>: Unrouteable address",),
    ("domain.null-mx", "probable"): (
        "fail for <u@d.example>: an MX or SRV record indicated no SMTP service",
    ),
    ("domain.mx-dangling", "probable"): (f"fail for <u@d.example>: {_NO_MX}",),
    ("domain.mx-is-address", "probable"): (
        f"fail for <u@d.example>: {_NO_MX} or (invalidly) to IP addresses",
    ),
    ("dns.servfail", "probable"): ("defer for <u@d.example>: host lookup did not complete",),
}


@every(
    ("line", "reason", "confidence"),
    [(line, *key) for key, lines in EXIM.items() for line in lines],
)
def test_what_exim_writes(line: str, reason: str, confidence: str | None) -> None:
    verdict = judged(f"{_HEAD} {line}")
    assert verdict.reason == reason
    assert verdict.confidence == (confidence or verdict.confidence)
    assert verdict.cause == REASONS[verdict.reason].cause


@pytest.mark.parametrize(
    "line", [f"{_NOT_NOW}something new", "defer for <u@d.example>: Could not complete sender verify callout"]
)
def test_what_tells_nothing_is_inconclusive(line: str) -> None:
    verdict = judged(f"{_HEAD} {line}")
    assert (verdict.cause, verdict.confidence) == (Cause.INCONCLUSIVE, Confidence.UNCERTAIN)


def test_nobody_is_missing_before_rcpt() -> None:
    assert (
        judged(f"{_HEAD} {_NO}{_ERROR}initial connection: 550 5.1.1 User unknown").cause
        is Cause.POLICY_REFUSAL
    )


_POSTFIX = (
    "Nov 22 09:00:01 mx postfix/smtpd[1]: NOQUEUE: reject: RCPT from a.example[203.0.113.77]: 450 4.1.7 <u@d.example>:"
    " Sender address rejected: unverified address: {}; from=<u@d.example> to=<b@l.example> proto=ESMTP helo=<a>"
)
_AT_RCPT = "(in reply to RCPT TO command)"
_NAME = "Host or domain name not found. Name service error for name=d.example type=MX: Host not found"
POSTFIX = {
    f"host mx[192.0.2.9] said: 550 5.1.1 User unknown {_AT_RCPT}": "rcpt.user-unknown",
    f"host mx[192.0.2.9] said: 550 5.7.1 blocked using zen.example {_AT_RCPT}": "rcpt.blocklisted",
    "host mx[192.0.2.9] said: 550 no (in reply to MAIL FROM command)": "mail.sender-refused",
    "host mx[192.0.2.9] refused to talk to me: 554 5.7.1 go away": "banner.refused",
    "connect to mx[192.0.2.9]:25: Connection timed out": "connect.timeout",
    "conversation with mx[192.0.2.9] timed out while receiving the initial server greeting": "banner.timeout",
    "lost connection with mx[192.0.2.9] while sending RCPT TO": "rcpt.closed",
    _NAME: "domain.no-mail-host",
    f"{_NAME}, try again": "dns.servfail",
    "Domain d.example does not accept mail (nullMX)": "domain.null-mx",
}


@pytest.mark.parametrize(("why", "reason"), POSTFIX.items(), ids=list(POSTFIX.values()))
def test_what_postfix_writes(why: str, reason: str) -> None:
    assert judged(_POSTFIX.format(why)).reason == reason


def test_postfix_takes_one_null_mx_for_all() -> None:
    verdict = judged(_POSTFIX.format("Domain d.example does not accept mail (nullMX)"))
    assert (verdict.cause, verdict.confidence) == (Cause.MISSING_SENDER, Confidence.UNCERTAIN)


def test_a_probe_on_its_way_tells_nothing() -> None:
    assert judged(_POSTFIX.format("Address verification in progress")).cause is Cause.INCONCLUSIVE


def test_a_probe_that_was_taken() -> None:
    verdict = judged(
        "Nov 22 09:00:01 mx postfix/smtp[1]: ABCDE: to=<u@d.example>, relay=mx[192.0.2.9]:25, delay=1, delays=0/0/0/1,"
        " dsn=2.1.5, status=deliverable (250 2.1.5 ok)"
    )
    assert (verdict.cause, verdict.reason) == (Cause.SENDER_EXISTS, "rcpt.accepted")


def test_silence_is_said_to_be_ambiguous() -> None:
    verdict = judged(f"{_HEAD} {_NOT_NOW}SMTP timeout after initial connection")
    assert verdict.leaves_open is not None
    assert "look the same in Exim's log" in verdict.leaves_open


def test_the_story() -> None:
    verify, rejected, _ = (parse(line) for line in (LOGS / "story.log").read_text("utf-8").splitlines())
    assert verify is not None
    assert rejected is not None
    verdict = judge_event(verify, rejected)
    assert (verdict.cause, verdict.reason, verdict.confidence) == (
        Cause.FIREWALL_TIMEOUT,
        "connect.timeout",
        Confidence.PROBABLE,
    )
    assert "163.112.75.15" in verdict.says
    assert judge_event(rejected, verify) == verdict


def test_the_partner_names_the_sender_that_a_page_ate() -> None:
    verify, rejected, _ = (parse(line) for line in (LOGS / "seed-2008.log").read_text("utf-8").splitlines())
    assert verify is not None
    bare = replace(verify, fault=LogFault.CACHED)
    assert "administrator@customer.example.com" in judge_event(bare, rejected).says
    assert "administrator@customer.example.com" not in judge_event(bare).says


def test_the_probe_of_postfix_says_what_its_rejection_does_not() -> None:
    head = "Nov 22 09:00:02 mx postfix/smtp[2]: ABCDE: to=<u@d.example>, relay=mx[192.0.2.9]:25, delay=1, dsn=5.1.1,"
    probe = parse(f"{head} status=undeliverable (host mx[192.0.2.9] said: 550 5.1.1 User unknown {_AT_RCPT})")
    assert probe is not None
    for why in ("Address verification in progress", "host mx[192.0.2.9] said: 550 5.1.1 User unkn"):
        rejected = parse(_POSTFIX.format(why))
        assert rejected is not None
        assert judge_event(rejected, probe) == judge_event(probe, rejected)
        assert judge_event(rejected, probe).cause is Cause.MISSING_SENDER
        assert judge_event(rejected).cause is Cause.INCONCLUSIVE


def test_a_rejection_alone_proves_little() -> None:
    head = "2026-11-22 07:47:14 H=a.example [203.0.113.77] F=<u@d.example>"
    for line in (
        f"{head} rejected RCPT <a@b.example>: Sender verify failed",
        f"{head} temporarily rejected RCPT <a@b.example>: Could not complete sender verify callout",
        f"{head} temporarily rejected RCPT <a@b.example>: Could not complete sender verify",
        f"{head} rejected after DATA: there is no valid sender in any header line",
    ):
        verdict = judged(line)
        assert verdict.confidence is Confidence.UNCERTAIN
        assert verdict.cause in {Cause.INCONCLUSIVE, Cause.DNS_FAILURE}


def test_tls_that_failed_and_was_gone_without() -> None:
    verdict = judged(
        "2026-11-22 07:47:39 TLS session: (gnutls_handshake): An unexpected TLS packet was received.: callout"
        " unencrypted to mx.d.example [192.0.2.34] (not in hosts_require_tls)"
    )
    assert "in clear" in verdict.says


def test_a_reply_that_the_log_cut_off_names_nobody_missing() -> None:
    event = parse(f"{_HEAD} {_RCPT}550 5.1.1 User unknown")
    assert event is not None
    cut = judge_event(replace(event, cut=True))
    assert judge_event(event).cause is Cause.MISSING_SENDER
    assert (cut.cause, cut.reason) == (Cause.INCONCLUSIVE, "rcpt.unattributed")


def test_postfix_quotes_250_characters_and_not_the_command() -> None:
    """Its log of the rejection cuts the reason, so it may have been MAIL, and the end may be about us."""
    event = parse(_POSTFIX.format("host mx[192.0.2.9] said: 550 5.1.1 User unknown and so on and on"))
    assert event is not None
    assert (event.stage, event.cut) == (None, True)
    assert judge_event(event).cause is Cause.INCONCLUSIVE
    event = parse(
        _POSTFIX.format("host mx[192.0.2.9] said: 550 5.7.1 blocked using zen.example, see http://zen.ex")
    )
    assert event is not None
    verdict = judge_event(event)
    assert (verdict.cause, verdict.confidence) == (Cause.POLICY_REFUSAL, Confidence.UNCERTAIN)


def test_lines_of_two_minds_accept_nobody() -> None:
    """Postfix goes by the last line, and logs them all in one."""
    for said in ("250-Ok 550 5.1.1 No such user here", "250-Ok", "250 Ok"):
        verdict = judged(_POSTFIX.format(f"host mx[192.0.2.9] said: {said} {_AT_RCPT}"))
        assert verdict.cause is Cause.INCONCLUSIVE
    verdict = judged(
        _POSTFIX.format(
            f"host mx[192.0.2.9] said: 550-5.1.1 not in 300 years 550 5.1.1 unknown user {_AT_RCPT}"
        )
    )
    assert verdict.reason == "rcpt.user-unknown"


def test_what_speaks_for_all_hosts_is_that_of_the_fold() -> None:
    assert ONE_HOST == fold._HOST_WIDE


# --- what no line may do -----------------------------------------------------------------------------

_DOMAIN_FAULTS = {LogFault.NXDOMAIN, LogFault.NULL_MX, LogFault.DANGLING}
_WORD = st.none() | HOSTILE


def _event(**fields: Any) -> LogEvent:
    """Build an event without its annotations, which name types that are there for a type checker only."""
    return LogEvent(**fields)


EVENTS = st.builds(
    _event,
    program=st.sampled_from(LogProgram),
    kind=st.sampled_from(LogKind),
    sender=_WORD,
    outcome=st.none() | st.sampled_from(MtaOutcome),
    fault=st.none() | st.sampled_from(LogFault),
    host=_WORD,
    host_ip=_WORD | st.sampled_from(["192.0.2.9", "2001:db8::9"]),
    stage=st.none() | st.sampled_from(Stage),
    said=_WORD,
    text=HOSTILE,
    cut=st.booleans(),
)
REPLIES = st.builds(
    "{}{}{}{}{}".format,
    st.sampled_from(["2", "3", "4", "5"]),
    st.sampled_from(["50", "21", "56"]),
    st.sampled_from([" ", "-", " 5.1.1 ", " 5.7.1 ", "\n", ""]),
    st.sampled_from(
        ["User unknown", "no such user", "blocked", "your IP is listed", "null sender", "Relay denied", ""]
    )
    | HOSTILE,
    st.sampled_from(["", "\n550 5.1.1 User unknown", "\n250 ok"]),
)


@given(EVENTS, st.none() | EVENTS)
def test_any_event_has_a_verdict(event: LogEvent, given_event: LogEvent | None) -> None:
    verdict = judge_event(event, given_event)
    assert verdict.confidence is not Confidence.CERTAIN
    assert verdict.cause == REASONS[verdict.reason].cause
    assert verdict.says
    assert verdict.proves


@given(
    st.sampled_from(list(LogFault)),
    st.sampled_from(list(Stage)) | st.none(),
    REPLIES,
    st.booleans(),
    st.sampled_from(list(LogProgram)),
)
def test_a_sender_is_missing_only_where_it_was_asked_for(
    fault: LogFault, stage: Stage | None, said: str, cut: bool, program: LogProgram
) -> None:
    event = LogEvent(
        program=program,
        kind=LogKind.VERIFY,
        sender="u@d.example",
        outcome=MtaOutcome.REJECT,
        fault=fault,
        stage=stage,
        said=said,
        cut=cut,
    )
    verdict = judge_event(event)
    if verdict.cause is Cause.MISSING_SENDER and fault not in _DOMAIN_FAULTS:
        assert fault is LogFault.SAID
        assert stage is Stage.RCPT
        assert said.startswith("5")
        assert not cut
        assert verdict.reading is not None
        assert verdict.reading.about in {About.MISSING_MAILBOX, About.DISABLED, About.NO_MAIL_DOMAIN}
    if verdict.cause is Cause.SENDER_EXISTS:  # a full mailbox
        assert stage is Stage.RCPT
        assert said[0] in "45"
    if fault in AMBIGUOUS or stage in AFTERWARDS:
        assert verdict.confidence is Confidence.UNCERTAIN


def test_every_fault_has_its_sentences() -> None:
    for fault in LogFault:
        verdict = judge_event(
            LogEvent(
                program=LogProgram.EXIM, kind=LogKind.VERIFY, fault=fault, stage=Stage.MAIL, said="550 no"
            )
        )
        assert verdict.says.endswith((".", '".'))
        assert "{" not in verdict.says + verdict.proves + (verdict.leaves_open or "")


PLAYS = [
    json.loads(row)
    for path in sorted(LOGS.glob("exim-*.jsonl"))
    for row in path.read_text("utf-8").splitlines()
]
DISAGREE = frozenset({"hosts-disagree", "mx-dangling-and-address"})
"""Mail hosts that contradict each other, where Exim stops at the first that refuses; and an address in an MX record
that is not the first, of which Exim says nothing."""


@every("play", PLAYS, ids=lambda play: f"{play['play']['name']}-{play['play']['callout']}")
def test_the_log_of_a_real_exim_against_a_probe_of_the_same_hosts(play: dict[str, Any]) -> None:
    """The log knows less. Where it names the sender missing, or there, the probe that saw everything agrees."""
    events = [
        parse(f"2026-11-22 07:47:14 {line}") for line in play["answer"]["log"] if "ender verify" in line
    ]
    assert None not in events
    for event in events:
        assert event is not None
        told = judge_event(event).cause
        if told in {Cause.MISSING_SENDER, Cause.SENDER_EXISTS} and play["play"]["name"] not in DISAGREE:
            assert told is judge(convert(play["evidence"], Evidence)).cause


def test_there_are_such_logs() -> None:
    assert len(PLAYS) > 100


def test_real_lines_are_all_judged() -> None:
    for path in sorted(path for path in LOGS.rglob("*log") if path.is_file()):
        for line in path.read_text("latin-1").splitlines():
            event = parse(line)
            if event is not None:
                assert judge_event(event).confidence is not Confidence.CERTAIN
