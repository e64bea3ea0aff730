"""The judgement as a whole: pure, total, and every word of it can be given."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from probe.core.classify import judge
from probe.core.fold import _DOMAIN
from probe.core.model import (
    Cause,
    Confidence,
    Evidence,
    Exchange,
    ExchangeOutcome,
    HostEvidence,
    Oddity,
    Purpose,
    Reply,
    Session,
    Skip,
    Stage,
    TlsMode,
)
from probe.core.reasons import REASONS
from probe.core.rules import HOST_RULES
from tests.support import arbitrary, make
from tests.support.arbitrary import examples

BY_THE_FOLD = {
    "rcpt.some-hosts-deny",
    "run.cut-short",
    "run.interrupted",
    "evidence.unexpected",
    "host.held-back",
}
"""What no rule and no domain state says; `test_fold.py` has a case of each."""
BYE = make.exchange(Stage.QUIT, "QUIT", "221 bye")


def test_every_reason_can_be_given_and_no_other() -> None:
    by_rules = {rule.reason for rule in HOST_RULES}
    by_domain = {reason for reason, _, _ in _DOMAIN.values()}
    left_out = {f"skipped.{skip}" for skip in Skip}
    by_a_log = {"log.untold"}
    assert by_rules | by_domain | left_out | by_a_log | BY_THE_FOLD == set(REASONS)


def test_judging_loads_no_network() -> None:
    """The core is pure, seen from outside: nothing that it imports, imports any of these."""
    script = "import sys, probe.core.classify; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    loaded = set(ran.stdout.split())
    assert "probe.core.rules" in loaded
    assert not loaded & {"socket", "asyncio", "ssl", "dns", "aiosmtplib", "tabulate", "random", "logging"}


# --- nothing raises --------------------------------------------------------------------------------

TIMES = st.floats(0, 1e6)
IPS = st.sampled_from(("192.0.2.1", "203.0.113.15", "2001:db8::15", "::1"))
LINES = st.one_of(
    arbitrary.HOSTILE.map(lambda text: text.encode("utf-8", "replace").decode("latin-1")),
    st.from_regex(
        r"[0-9]{0,4}[ -]?(5\.[0-9]\.[0-9])? ?(user unknown|blocked|null sender|TLS)?", fullmatch=True
    ),
    st.sampled_from(
        ("550 5.1.1 user unknown", "250 ok", "550 5.7.1 refused", "221 bye", "250-STARTTLS", "999")
    ),
)
REPLIES = st.builds(
    Reply,
    code=st.one_of(st.none(), st.sampled_from((220, 221, 250, 251, 354, 421, 450, 550, 556)), st.integers(0, 999)),
    lines=st.lists(LINES, max_size=3).map(tuple),
    oddities=st.lists(st.sampled_from(Oddity), max_size=2).map(tuple),
    started=TIMES,
    ended=TIMES,
)  # fmt: skip
EXCHANGES = st.builds(
    Exchange,
    stage=st.sampled_from(Stage),
    command=st.one_of(st.none(), LINES),
    sent=TIMES,
    ended=TIMES,
    outcome=st.one_of(st.just(ExchangeOutcome.REPLY), st.sampled_from(ExchangeOutcome)),
    reply=st.one_of(st.none(), REPLIES),
    detail=st.one_of(st.none(), LINES),
)
SESSIONS = arbitrary.struct(Session, exchanges=st.lists(EXCHANGES, max_size=6).map(tuple))
HOSTS = arbitrary.struct(HostEvidence, ip=IPS, sessions=st.lists(SESSIONS, max_size=3).map(tuple))
RUNS = arbitrary.struct(Evidence, hosts=st.lists(HOSTS, max_size=3).map(tuple))


@given(RUNS)
@settings(deadline=None, suppress_health_check=list(HealthCheck))
def test_any_evidence_gives_a_report(evidence: Evidence) -> None:
    report = judge(evidence)
    assert REASONS[report.reason].cause is report.cause
    assert len(report.hosts) == len(evidence.hosts)


@given(st.lists(st.lists(EXCHANGES, max_size=6), max_size=3), st.sampled_from(TlsMode), st.booleans())
@settings(max_examples=examples(3), deadline=None)
def test_without_a_refused_rcpt_nothing_is_missing(
    talks: list[list[Exchange]], tls: TlsMode, null_sender: bool
) -> None:
    """The worst error, over everything a host can do but refuse RCPT (or greet with 521) by a 5xx."""
    rcpt = {Stage.RCPT, Stage.RCPT_REAL, Stage.BANNER}
    harmless = [[each for each in talk if each.stage not in rcpt] for talk in talks]
    hosts = (make.host(*(make.session(*talk) for talk in harmless)),)
    chosen = make.options(tls=tls, mail_from="" if null_sender else "check@example.net")
    assert judge(make.evidence(*hosts, chosen=chosen)).cause is not Cause.MISSING_SENDER


# --- what we chose shapes what a refusal means -------------------------------------------------------


def refused(
    reply: str, stage: Stage, *, mail_from: str, tls: TlsMode = TlsMode.AUTO
) -> tuple[str, Confidence]:
    """Judge a host that refuses at a stage, and say whom it refuses."""
    stages = (Stage.BANNER, Stage.EHLO, Stage.MAIL)
    before = make.conversation(stages=stages[: 2 if stage is Stage.MAIL else 3])
    talk = make.session(*before, make.exchange(stage, "...", reply), BYE)
    report = judge(make.evidence(make.host(talk), chosen=make.options(mail_from=mail_from, tls=tls)))
    return report.reason, report.confidence


@pytest.mark.parametrize("tls", TlsMode)
@pytest.mark.parametrize("words", ["Sender address rejected", "no null senders", "Sorry"])
@pytest.mark.parametrize("stage", [Stage.MAIL, Stage.RCPT])
def test_a_real_sender_that_is_refused_is_not_the_null_sender(tls: TlsMode, words: str, stage: Stage) -> None:
    """Whatever --tls says: with --mail-from nobody has refused `<>`."""
    reason, _ = refused(f"550 5.1.8 {words}", stage, mail_from="check@example.net", tls=tls)
    assert "null" not in reason
    assert reason != "mail.unattributed"


def test_a_policy_in_words_that_name_nobody_is_believed_less() -> None:
    assert refused("550 5.7.1 Access denied", Stage.RCPT, mail_from="") == (
        "rcpt.refused",
        Confidence.PROBABLE,
    )
    assert refused("550 5.7.1 Rejected by local policy", Stage.RCPT, mail_from="") == (
        "rcpt.refused",
        Confidence.CERTAIN,
    )


@pytest.mark.parametrize(("real", "rule"), [
    ("250 Ok", "rcpt-null-refused-real-accepted"),
    ("550 5.1.1 No such user here", "rcpt-real-says-missing"),
    ("550 5.7.1 Your IP is blocked", "rcpt-real-blocked"),
])  # fmt: skip
def test_the_second_try_outweighs_vague_words(real: str, rule: str) -> None:
    first = make.session(*make.conversation("550 5.7.1 Refused"), BYE)
    second = make.session(
        make.exchange(Stage.MAIL_REAL, "MAIL FROM:<postmaster@probe.example.net>", "250 Ok"),
        make.exchange(Stage.RCPT_REAL, f"RCPT TO:<{make.SENDER}>", real),
        BYE,
        purpose=Purpose.REAL_SENDER,
    )
    report = judge(make.evidence(make.host(first, second)))
    assert report.rule == rule
    assert not any("are read as" in reason.says for reason in report.because), "it is not the argument"


def test_two_refusals_that_say_nothing_stay_open() -> None:
    first = make.session(*make.conversation("550 Sorry"), make.exchange(Stage.RSET, "RSET", "250 Ok"))
    second = make.exchange(Stage.MAIL_REAL, "MAIL FROM:<postmaster@probe.example.net>", "550 Sorry")
    talk = replace(first, exchanges=(*first.exchanges, second, BYE))
    report = judge(make.evidence(make.host(talk)))
    assert (report.reason, report.rule) == ("rcpt.unattributed", "rcpt-refused-to-real-sender-too")


def test_starttls_that_gets_another_2xx_is_no_end_of_the_run() -> None:
    talk = make.session(
        *make.conversation(stages=(Stage.BANNER, Stage.EHLO)),
        make.exchange(Stage.STARTTLS, "STARTTLS", "250 go on"),
        BYE,
    )
    report = judge(make.evidence(make.host(talk)))
    assert report.reason == "tls.failed"
    assert "250 go on" in report.summary


# --- violations ----------------------------------------------------------------------------------------


def broken(*exchanges: Exchange) -> set[str]:
    return {each.id for each in judge(make.evidence(make.host(make.session(*exchanges)))).violations}


def test_a_sender_that_is_refused_as_well_clears_the_null_sender() -> None:
    talk = make.conversation("550 Null sender not welcome")
    rset = make.exchange(Stage.RSET, "RSET", "250 Ok")
    mail = make.exchange(Stage.MAIL_REAL, "MAIL FROM:<postmaster@probe.example.net>", "250 Ok")
    again = make.exchange(Stage.RCPT_REAL, f"RCPT TO:<{make.SENDER}>", "550 Sorry")
    assert broken(*talk, rset, mail, again, BYE) == set()
    taken = make.exchange(Stage.RCPT_REAL, f"RCPT TO:<{make.SENDER}>", "250 Ok")
    assert broken(*talk, rset, mail, taken, BYE) == {"null-sender"}


def test_who_refuses_our_name_supports_ehlo() -> None:
    def greeted(reply: str) -> set[str]:
        banner = make.exchange(Stage.BANNER, None, f"220 {make.MX} ESMTP")
        helo = make.exchange(Stage.HELO, "HELO probe.example.net", reply)
        return broken(banner, make.exchange(Stage.EHLO, "EHLO probe.example.net", reply), helo, BYE)

    assert greeted("550 Invalid HELO name") == set()
    assert greeted("502 Not implemented") == {"ehlo", "helo"}


def test_lines_of_another_protocol_are_no_replies_too_many() -> None:
    http = make.exchange(Stage.BANNER, None, "HTTP/1.1 400 Bad Request", oddities=(Oddity.NO_CODE,))
    more = make.exchange(Stage.EXTRA, None, "Server: example", oddities=(Oddity.NO_CODE,))
    assert broken(http, more, BYE) == {"reply-form", "greeting"}
    assert "one-reply" in broken(*make.conversation(), make.exchange(Stage.EXTRA, None, "250 Ok"), BYE)


@pytest.mark.parametrize(("stage", "saw"), [
    (Stage.BANNER, "closed before the greeting"),
    (Stage.RCPT_REAL, "closed after RCPT"),
    (Stage.TLS, "closed during the TLS handshake"),
])  # fmt: skip
def test_hanging_up(stage: Stage, saw: str) -> None:
    talk = make.session(make.exchange(stage, None, outcome=ExchangeOutcome.CLOSED))
    report = judge(make.evidence(make.host(talk)))
    assert [each.saw for each in report.violations if each.id == "stays-open"] == [saw]
