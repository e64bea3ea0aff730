"""Lines of a log put together: tries, messages, fates, groups; in bounded memory."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from probe.core.classify import TOOL
from probe.core.log import fates, triage
from probe.core.log import join as logjoin
from probe.core.log.fates import span
from probe.core.log.line import parse
from probe.core.log.memo import Memo
from probe.core.log.recheck import compare
from probe.core.log.report import Group, LogReport, Now
from probe.core.log.triage import Triage, Wanted
from probe.core.model import Cause, Confidence, MtaOutcome
from tests.support import make

LOGS = Path(__file__).parents[2] / "fixtures" / "logs"
RELAY = "H=relay.example.net [203.0.113.77]"
TIMED_OUT = "Could not complete sender verify callout: mx.d.example [192.0.2.1] : Connection timed out"
UNKNOWN = (
    "mx.d.example [192.0.2.1] : SMTP error from remote mail server after RCPT TO:<{0}>:"
    " 550 5.1.1 <{0}>: User unknown"
)


def stamp(minutes: float) -> str:
    seconds = round(minutes * 60)
    day, second = divmod(seconds, 86400)
    return f"2026-11-{1 + day:02d} {second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}"


def deferred(
    minutes: float, sender: str = "a@d.example", to: str = "bob@local.example", relay: str = RELAY
) -> list[str]:
    """Give the two lines of a try that was deferred."""
    told = f"temporarily rejected RCPT <{to}>: Could not complete sender verify callout"
    return [
        f"{stamp(minutes)} {relay} sender verify defer for <{sender}>: {TIMED_OUT}",
        f"{stamp(minutes)} {relay} F=<{sender}> {told}",
    ]


def refused(minutes: float, sender: str = "a@d.example", to: str = "bob@local.example") -> list[str]:
    """Give the two lines of a try that was refused for good."""
    return [
        f"{stamp(minutes)} {RELAY} sender verify fail for <{sender}>: {UNKNOWN.format(sender)}",
        f"{stamp(minutes)} {RELAY} F=<{sender}> rejected RCPT <{to}>: Sender verify failed",
    ]


def taken(minutes: float, sender: str = "a@d.example", to: str | None = "bob@local.example") -> str:
    tail = f" for {to}" if to else ""
    return f"{stamp(minutes)} 1xV2MN-00069O-18 <= {sender} {RELAY} P=esmtp S=123{tail}"


def run(*lines: str, wanted: Wanted | None = None, until: float | None = None) -> LogReport:
    """Put lines together; `until` is how many minutes the log goes on."""
    made = Triage(wanted)
    for line in lines:
        event = parse(line, 2026)
        if event is not None:
            made.add(event)
    if until is not None:
        end = parse(taken(until))
        assert end is not None
        assert end.at is not None
        made.reached(end.at)
    return made.report(lines=len(lines), not_understood=0, samples=(), limit=None, tool=TOOL)


def only(report: LogReport) -> Group:
    assert len(report.groups) == 1
    return report.groups[0]


# --- tries -------------------------------------------------------------------------------------------


def test_the_story() -> None:
    report = run(*(LOGS / "story.log").read_text().splitlines())
    group = only(report)
    assert (group.sender, group.relay_ip, group.called_ip) == (
        "administrator@customer.example.com",
        "67.26.151.59",
        "163.112.75.15",
    )
    assert (group.outcome, group.cause, group.reason) == (
        MtaOutcome.DEFER,
        Cause.FIREWALL_TIMEOUT,
        "connect.timeout",
    )
    assert group.confidence is Confidence.PROBABLE
    assert (group.count, group.messages, group.incomplete) == (1, 1, 1)
    assert group.recipients == ("raam@mydomain.com",)
    assert (report.understood, report.first) == (3, "2008-11-17 15:02:27")


def test_a_verify_line_and_its_rejection_are_one_try() -> None:
    group = only(run(*deferred(0)))
    assert (group.count, group.messages, group.recipients) == (1, 1, ("bob@local.example",))


def test_a_callout_for_each_recipient_is_a_try_for_each() -> None:
    group = only(run(*deferred(0), *deferred(0, to="eve@local.example")))
    assert (group.count, group.messages) == (2, 2)
    assert group.recipients == ("bob@local.example", "eve@local.example")


def test_without_a_callout_one_line_answers_for_all_recipients() -> None:
    verify, reject = refused(0)
    second = reject.replace("bob@", "eve@")
    group = only(run(verify, reject, second))
    assert (group.count, group.reason) == (2, "rcpt.user-unknown")


def test_interleaved_conversations_are_told_apart_by_sender() -> None:
    first, second = deferred(0, "a@d.example"), refused(0, "b@d.example", to="eve@local.example")
    groups = {group.sender: group for group in run(first[0], second[0], first[1], second[1]).groups}
    assert groups["a@d.example"].recipients == ("bob@local.example",)
    assert groups["b@d.example"].recipients == ("eve@local.example",)
    assert [group.count for group in groups.values()] == [1, 1]


def test_and_by_port_and_process() -> None:
    head = "2026-11-01 00:00:00 [{pid}] H=relay.example.net [203.0.113.77]:{port}"
    lines = []
    for index in (0, 1):
        for pid, port in ((1, 1111), (2, 2222)):
            lines.append(
                deferred(0, to=f"{pid}@local.example", relay="RELAY")[index].replace(
                    f"{stamp(0)} RELAY", head.format(pid=pid, port=port)
                )
            )
    group = only(run(*lines))
    assert (group.count, sorted(group.recipients)) == (2, ["1@local.example", "2@local.example"])


def test_what_a_page_has_eaten_comes_from_the_partner_line() -> None:
    lines = [line.replace("for <a@d.example>", "for ") for line in deferred(0)]
    group = only(run(*lines))
    assert (group.sender, group.domain, group.count) == ("a@d.example", "d.example", 1)


def test_a_verify_line_alone_counts_without_a_recipient() -> None:
    group = only(run(deferred(0)[0]))
    assert (group.count, group.messages, group.recipients) == (1, 1, ())


def test_a_rejection_alone_says_that_it_failed_and_not_why() -> None:
    group = only(run(refused(0)[1]))
    assert (group.cause, group.count) == (Cause.INCONCLUSIVE, 1)


def test_a_bare_line_counts_for_the_failure_on_record() -> None:
    bare = f"{stamp(30)} {RELAY} sender verify fail for <a@d.example>"
    again = refused(30)[1]
    group = only(run(*refused(0), bare, again))
    assert (group.count, group.cached, group.reason) == (2, 1, "rcpt.user-unknown")


def test_but_not_after_the_cache_has_forgotten_it() -> None:
    bare = f"{stamp(200)} {RELAY} sender verify fail for <a@d.example>"
    report = run(*refused(0), bare)
    assert sorted(group.cached for group in report.groups) == [0, 1]
    assert {group.reason for group in report.groups} > {"rcpt.user-unknown"}


def test_a_refused_null_sender_is_on_record_for_the_whole_domain() -> None:
    why = 'mx.d.example [192.0.2.1] : response to "MAIL FROM:<>" was: 550 5.7.1 null sender refused'
    verify = f"{stamp(0)} {RELAY} sender verify fail for <a@d.example>: {why}"
    bare = f"{stamp(9)} {RELAY} sender verify fail for <b@d.example>"
    group = only(run(verify, bare))
    assert (group.reason, group.count, group.cached) == ("mail.null-sender-refused", 2, 1)
    assert [sender.address for sender in group.senders] == ["a@d.example", "b@d.example"]


def test_a_warning_is_in_no_group() -> None:
    report = run(f"{stamp(0)} {RELAY} Warning: sender verify failed: {UNKNOWN.format('a@d.example')}")
    assert (report.groups, report.understood) == ((), 1)
    assert "without a consequence" in report.notes[0]


def test_postfix_waits_for_its_probe() -> None:
    head = "Nov  1 00:00:{:02d} mx postfix/"
    reject = (
        "smtpd[1]: NOQUEUE: reject: RCPT from relay.example.net[203.0.113.77]: 450 4.1.7 <u@d.example>:"
        " Sender address rejected: unverified address: Address verification in progress;"
        " from=<u@d.example> to=<bob@local.example> proto=ESMTP helo=<relay.example.net>"
    )
    probe = (
        "smtp[2]: 4BzXyz1: to=<u@d.example>, relay=mx.d.example[192.0.2.9]:25, delay=0.4, delays=0/0/0/0,"
        " dsn=5.1.1, status=undeliverable (host mx.d.example[192.0.2.9] said: 550 5.1.1 User unknown"
        " (in reply to RCPT TO command))"
    )
    for order in ([(1, reject), (2, probe)], [(1, probe), (2, reject)]):
        group = only(run(*(head.format(second) + text for second, text in order)))
        assert (group.reason, group.relay_ip, group.recipients) == (
            "rcpt.user-unknown",
            "203.0.113.77",
            ("bob@local.example",),
        )
    alone = only(run(head.format(1) + reject))
    assert alone.cause in {Cause.TEMPORARY, Cause.INCONCLUSIVE}


# --- messages and their fates ------------------------------------------------------------------------


def test_tries_of_one_message_are_counted_once() -> None:
    group = only(run(*deferred(0), *deferred(30), *deferred(90)))
    assert (group.count, group.messages) == (3, 1)
    assert (group.first, group.last) == (stamp(0), stamp(90))


def test_accepted_later_is_delayed() -> None:
    group = only(run(*deferred(0), *deferred(30), taken(45)))
    assert (group.fate.delayed, group.fate.lost, group.fate.unknown, group.fate.minutes) == (1, 0, 0, 45.0)
    assert group.fate.says == "accepted later, delayed by 45 minutes"


@pytest.mark.parametrize(
    "other",
    [
        taken(45, sender="b@d.example"),
        taken(45, to="eve@local.example"),
        taken(45).replace("203.0.113.77", "203.0.113.78"),
        taken(-0.0).replace("2026-11-01", "2026-10-31"),
    ],
)
def test_the_mail_of_others_says_nothing(other: str) -> None:
    assert only(run(*deferred(0), other)).fate.unknown == 1


def test_where_the_log_names_no_recipients_sender_and_relay_are_enough() -> None:
    assert only(run(*deferred(0), taken(45, to=None))).fate.delayed == 1


def test_a_message_after_the_accepted_one_is_another() -> None:
    group = only(run(*deferred(0), taken(20), *deferred(40)))
    assert (group.messages, group.fate.delayed, group.fate.unknown) == (2, 1, 1)


def test_lost_when_a_day_of_log_shows_nothing_more() -> None:
    group = only(run(*deferred(0), until=1500))
    assert (group.fate.lost, group.fate.unknown) == (1, 0)
    assert "probably lost" in group.fate.says


def test_not_known_where_the_log_does_not_reach_far_enough() -> None:
    group = only(run(*deferred(0), until=180))
    assert (group.fate.lost, group.fate.unknown) == (0, 1)
    assert group.fate.says == "not known: the log ends 3 hours after the last try"


def test_a_try_a_day_later_is_another_message_and_the_first_is_lost() -> None:
    group = only(run(*deferred(0), *deferred(1500)))
    assert (group.messages, group.fate.lost, group.fate.unknown) == (2, 1, 1)


@pytest.mark.parametrize(
    "later",
    [
        deferred(60, relay="H=relay.example.net [203.0.113.78]"),
        [line.replace(TIMED_OUT, "Could not complete sender verify callout") for line in deferred(60)],
        refused(60),
        [taken(60).replace("203.0.113.77", "203.0.113.78")],
        [taken(60, to=None).replace("203.0.113.77", "203.0.113.78")],
    ],
)
def test_not_lost_where_the_sender_came_again_another_way(later: list[str]) -> None:
    """Large senders try again from another address, and the second refusal often reads otherwise."""
    report = run(*deferred(0), *later, until=1600)
    first = next(group for group in report.groups if group.first == stamp(0))
    assert (first.messages, first.fate.lost, first.fate.unknown) == (1, 0, 1)
    assert first.fate.says == "not known: these lines do not show it"


def test_nothing_is_lost_where_the_log_names_no_mail_or_misses_days() -> None:
    made = Triage()
    for line in (*deferred(0), *deferred(1500), *deferred(3000)):
        event = parse(line)
        assert event is not None
        made.add(event)
    report = made.report(lines=6, not_understood=0, samples=(), limit=None, tool=TOOL, shows_mail=False)
    assert (only(report).messages, only(report).fate.lost, only(report).fate.unknown) == (3, 0, 3)
    made = Triage()
    for number, line in enumerate((*deferred(0), *deferred(3000))):
        event = parse(line)
        assert event is not None
        assert event.at is not None
        if number == 2:
            made.misses(event.at - 3000 * 60)
        made.add(event)
    report = made.report(lines=4, not_understood=0, samples=(), limit=None, tool=TOOL)
    assert (only(report).messages, only(report).fate.lost, only(report).fate.unknown) == (2, 0, 2)


def test_the_mail_of_a_busy_sender_takes_no_longer() -> None:
    ledger, tally = fates.Ledger(), fates.Tally()
    for number in range(20_000):
        ledger.tried("a@d.example", ("203.0.113.77", f"{number}@local.example", tally), 0.0, final=False)
    for number in range(20_000):  # looking at all that waits each time took minutes
        ledger.received("a@d.example", "203.0.113.77", (f"other{number}@local.example",), 60.0)
        ledger.received("a@d.example", "203.0.113.78", (), 60.0)
    ledger.received("a@d.example", "203.0.113.77", (), 60.0)
    assert (tally.messages, tally.delayed) == (20_000, 20_000)
    assert not ledger.watched


def test_a_5xx_is_final() -> None:
    group = only(run(*refused(0), taken(45)))
    assert (group.messages, group.fate.lost, group.fate.delayed) == (1, 1, 0)
    assert "returned it to its sender" in group.fate.says


def test_the_same_refusal_within_minutes_is_the_same_message() -> None:
    group = only(run(*refused(0), *refused(1), *refused(60)))
    assert (group.count, group.messages) == (3, 2)


def test_postfix_tells_in_pieces_what_it_took() -> None:
    head = "Nov  1 00:{:02d}:00 mx postfix/"
    lines = [
        head.format(1)
        + "smtpd[1]: NOQUEUE: reject: RCPT from relay.example.net[203.0.113.77]: 450 4.1.7 <u@d.example>:"
        " Sender address rejected: unverified address: connect to mx.d.example[192.0.2.9]:25: Connection timed out;"
        " from=<u@d.example> to=<bob@local.example> proto=ESMTP helo=<relay.example.net>",
        head.format(31) + "smtpd[1]: 4BzXyz5: client=relay.example.net[203.0.113.77]",
        head.format(31) + "qmgr[3]: 4BzXyz5: from=<u@d.example>, size=1234, nrcpt=1 (queue active)",
    ]
    assert only(run(*lines)).fate.minutes == 30.0


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 seconds"),
        (1, "1 second"),
        (59, "59 seconds"),
        (60, "1 minute"),
        (5400, "90 minutes"),
        (7200, "2 hours"),
        (172800, "2 days"),
    ],
)
def test_spans(seconds: float, said: str) -> None:
    assert span(seconds) == said


# --- groups ------------------------------------------------------------------------------------------


def test_a_dead_host_makes_one_group_of_all_senders_of_a_domain() -> None:
    lines = deferred(0) + deferred(1, "b@d.example") + deferred(2, "b@d.example", "eve@local.example")
    group = only(run(*lines))
    assert (group.sender, group.domain, group.count) == ("b@d.example", "d.example", 3)
    assert [(sender.address, sender.count) for sender in group.senders] == [
        ("b@d.example", 2),
        ("a@d.example", 1),
    ]


def test_missing_mailboxes_are_a_group_each() -> None:
    assert len(run(*refused(0), *refused(1, "b@d.example")).groups) == 2


def test_relays_and_readings_are_told_apart() -> None:
    other = deferred(0, relay="H=b.example.net [203.0.113.78]")
    report = run(*deferred(0), *other, *refused(0))
    assert len({(group.relay_ip, group.reason) for group in report.groups}) == 3


def test_the_ones_with_the_most_messages_come_first() -> None:
    lines = refused(0, "few@d.example")
    for number in range(3):
        lines += refused(number, "many@d.example", f"{number}@local.example")
    senders = [group.sender for group in run(*lines).groups]
    assert senders == ["many@d.example", "few@d.example"]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Wanted(sender="a@d.example"), {"a@d.example"}),
        (Wanted(relay="203.0.113.78"), {"A@E.example"}),
        (Wanted(domain="e.example"), {"A@E.example"}),
        (Wanted(domain="f.example"), set()),
    ],
)
def test_what_was_asked_for(wanted: Wanted, expected: set[str]) -> None:
    lines = deferred(0) + deferred(0, "A@E.example", relay="H=b.example.net [203.0.113.78]")
    report = run(*lines, wanted=wanted)
    assert {group.sender for group in report.groups} == expected
    assert report.understood == 4


def test_the_sentences_name_the_sender_of_the_group() -> None:
    report = run(*refused(0), *refused(1, "b@d.example"))
    for group in report.groups:
        assert group.sender is not None
        assert group.sender in group.says
        assert "somebody@" not in group.says + group.proves + group.said


def test_a_new_sender_is_told_once() -> None:
    made = Triage(telling=True)
    told = []
    for line in [*deferred(0), *deferred(1), *deferred(2, "b@d.example"), *deferred(3, "b@d.example")]:
        event = parse(line)
        assert event is not None
        made.add(event)
        told += [group.sender for group in made.fresh()]
    assert told == ["a@d.example", "b@d.example"]
    made.settle()
    assert made.fresh() == []


# --- bounds ------------------------------------------------------------------------------------------


def test_too_many_groups_leave_out_those_with_the_fewest_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(triage, "GROUPS", 8)
    lines = refused(0, "often@d.example") + refused(20, "often@d.example")
    for number in range(40):
        lines += refused(21 + number, f"{number}@d.example")
    report = run(*lines)
    assert len(report.groups) <= 8
    assert report.groups[0].sender == "often@d.example"
    assert "left out" in report.notes[-1]


def test_too_many_messages_are_forgotten_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fates, "LIMIT", 20)
    monkeypatch.setattr(fates, "_FORGOTTEN", 5)
    lines = [line for number in range(60) for line in deferred(number, to=f"{number}@local.example")]
    report = run(*lines)
    group = only(report)
    assert (group.messages, group.fate.unknown) == (60, 60)
    assert "more messages than are remembered" in report.notes[-1]


def test_names_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logjoin, "OPEN", 16)
    lines = [
        line
        for number in range(100)
        for line in deferred(number, sender=f"{number}@d.example", to=f"{number}@local.example")
    ]
    made = Triage()
    for line in lines:
        event = parse(line)
        assert event is not None
        made.add(event)
    assert len(made._join._open) <= 16
    report = made.report(lines=0, not_understood=0, samples=(), limit=None, tool=TOOL)
    group = only(report)
    assert (group.count, len(group.senders), len(group.recipients)) == (100, triage.NAMES, triage.NAMES)
    assert group.more_senders == group.more_recipients == 100 - triage.NAMES


REAL = [line for path in sorted(LOGS.glob("*log")) for line in path.read_text("latin-1").splitlines()]


@given(st.lists(st.sampled_from(REAL), max_size=60))
def test_any_order_of_real_lines_adds_up(lines: list[str]) -> None:
    report = run(*lines)
    for group in report.groups:
        assert group.fate.delayed + group.fate.lost + group.fate.unknown == group.messages <= group.count
        assert min(group.fate.delayed, group.fate.lost, group.fate.unknown) >= 0
        assert group.confidence is not Confidence.CERTAIN
    assert sum(group.count for group in report.groups) <= report.understood <= len(lines)


# --- the memo ----------------------------------------------------------------------------------------


@given(
    st.lists(
        st.tuples(st.sampled_from(REAL), st.integers(0, 99999), st.integers(0, 59), st.booleans()),
        max_size=40,
    )
)
def test_what_is_remembered_is_what_would_be_read(drawn: list[tuple[str, int, int, bool]]) -> None:
    memo = Memo()
    for line, port, second, shifted in drawn:
        if shifted:
            line = f"2026-11-22 07:00:{second:02d} [{port}]{line[19:]}".replace("] F=", f"]:{port} F=", 1)  # noqa: PLW2901
        assert memo.parse(line, 2026) == parse(line, 2026)
        assert memo.parse(line, 2026) == parse(line, 2026)


def test_the_memo_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("probe.core.log.memo.LIMIT", 10)
    memo = Memo()
    for number in range(100):
        for line in deferred(number, f"{number}@d.example"):
            assert memo.parse(line) == parse(line)
    assert len(memo._said) <= 10


# --- what a probe says today -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("then", "now", "word"),
    [
        (Cause.FIREWALL_TIMEOUT, Cause.SENDER_EXISTS, Now.FIXED),
        (Cause.FIREWALL_TIMEOUT, Cause.FIREWALL_TIMEOUT, Now.STILL_SO),
        (Cause.FIREWALL_TIMEOUT, Cause.MISSING_SENDER, Now.DIFFERENT),
        (Cause.FIREWALL_TIMEOUT, Cause.INCONCLUSIVE, Now.UNTOLD),
        (Cause.INCONCLUSIVE, Cause.MISSING_SENDER, Now.STILL_SO),
    ],
)
def test_then_and_now(then: Cause, now: Cause, word: Now) -> None:
    group = only(run(*deferred(0)))
    assert compare(replace(group, cause=then), make.report(cause=now)) is word
