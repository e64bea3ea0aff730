"""One line of a log: real ones counted, built ones of other versions held against what was written down by hand."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.core.date import read_log_stamp
from probe.core.log.event import LogEvent, LogFault, LogKind, LogProgram
from probe.core.log.line import LINE_LIMIT, MARKS, TRAFFIC_MARKS, mentions, parse
from probe.core.log.prefix import join_records
from probe.core.model import MtaOutcome, Stage
from tests.support.every import every

LOGS = Path(__file__).parents[2] / "fixtures" / "logs"
REAL = sorted(path for path in LOGS.rglob("*log") if path.is_file() and not path.name.startswith("built-"))
BUILT = sorted(LOGS.glob("built-*.log"))
YEAR = 2026
ABOUT = (
    "sender verify",
    "Sender verify",
    "Sender address rejected",
    "status=undeliverable",
    "status=deliverable",
)
"""The words of Exim and of Postfix."""


def lines_of(path: Path) -> list[str]:
    return path.read_text("latin-1").splitlines()


REAL_LINES = [line for path in REAL for line in lines_of(path)]
BUILT_LINES = [line for path in BUILT for line in lines_of(path)]


# --- real lines --------------------------------------------------------------------------------------


@every("path", REAL, ids=lambda path: path.name)
def test_every_line_about_verification_is_understood(path: Path) -> None:
    """As many as a plain search for the words finds, whichever Exim wrote them."""
    about = [line for line in lines_of(path) if any(words in line for words in ABOUT)]
    events = [event for line in about if (event := parse(line, YEAR)) is not None]
    kinds = {event.kind for event in events}
    assert len(events) == len(about)
    assert kinds <= {LogKind.VERIFY, LogKind.REJECTED, LogKind.REMARK, LogKind.PROBE}


def test_a_real_log_names_who_and_why() -> None:
    """No verify line of the real Exim is read without its sender, its relay and a known fault."""
    events = [event for line in REAL_LINES if (event := parse(line, YEAR)) and event.kind is LogKind.VERIFY]
    exim = [event for event in events if event.program is LogProgram.EXIM]
    assert len(exim) > 100
    postfix = [event for event in events if event.program is LogProgram.POSTFIX]
    for event in postfix:
        assert event.relay_ip
        assert event.sender
        assert event.recipient
        assert event.outcome is MtaOutcome.DEFER
    for event in exim:
        assert event.relay_ip
        assert event.outcome
        assert event.fault not in {None, LogFault.UNKNOWN}, event.text
    assert sum(event.sender is None for event in exim) == 1, "the line of 2008, as its page has it"


def test_the_kinds_of_a_cpanel_log() -> None:
    events = [parse(line) for line in lines_of(LOGS / "exim-4.96-E-cpanel-like.mainlog")]
    kinds = [event.kind for event in events if event]
    assert kinds.count(LogKind.VERIFY) == 10
    assert kinds.count(LogKind.REJECTED) == 10
    assert kinds.count(LogKind.INCOMPLETE) == 11
    assert len(kinds) == 31


def test_the_marks_find_whatever_is_read() -> None:
    for line in [*REAL_LINES, *BUILT_LINES]:
        event = parse(line, YEAR)
        if event is None:
            continue
        assert any(mark in line for mark in MARKS + TRAFFIC_MARKS), line
        if event.kind in {LogKind.VERIFY, LogKind.REJECTED, LogKind.PROBE}:
            assert mentions(line), line
        if event.kind in {LogKind.RECEIVED, LogKind.LOST, LogKind.INCOMPLETE}:
            assert not mentions(line), line


# --- built lines -------------------------------------------------------------------------------------

_NO_TEXT = {"text", "when"}


def expected_of(path: Path) -> list[dict[str, Any] | None]:
    return [json.loads(row) for row in path.with_suffix(".jsonl").read_text("utf-8").splitlines()]


def as_told(event: LogEvent) -> dict[str, Any]:
    """Give the fields that an event has, as the fixtures write them."""
    told: dict[str, Any] = {}
    for name in event.__struct_fields__:
        value = getattr(event, name)
        if name in _NO_TEXT or value is None or value == () or (name == "cut" and not value):
            continue
        told[name] = list(value) if isinstance(value, tuple) else value
    return told


@every(
    ("line", "expected"),
    [row for path in BUILT for row in zip(lines_of(path), expected_of(path), strict=True)],
    ids=lambda row: row[0],
)
def test_a_built_line(line: str, expected: dict[str, Any] | None) -> None:
    event = parse(line, 2010 if line.startswith("Feb") else YEAR)
    if expected is None:
        assert event is None
        return
    assert event is not None
    at = expected.get("at")
    wanted = expected | (
        {"at": pytest.approx(datetime.fromisoformat(at).timestamp(), abs=1e-5)} if at else {}
    )
    told = as_told(event)
    told.setdefault("at", None)
    wanted.setdefault("at", None)
    assert told == wanted


def test_sixty_and_more_are_built() -> None:
    assert len(BUILT_LINES) >= 60
    assert sum("sender verify" in line.lower() for line in BUILT_LINES) >= 60


# --- the story ---------------------------------------------------------------------------------------


def test_the_three_lines_of_the_story() -> None:
    verify, rejected, incomplete = (parse(line) for line in lines_of(LOGS / "story.log"))
    assert verify is not None
    assert rejected is not None
    assert incomplete is not None
    assert (verify.sender, verify.relay_ip, verify.host_ip, verify.fault, verify.outcome) == (
        "administrator@customer.example.com",
        "67.26.151.59",
        "163.112.75.15",
        LogFault.TIMEOUT,
        MtaOutcome.DEFER,
    )
    assert (rejected.sender, rejected.recipient, rejected.pid, rejected.relay_port) == (
        verify.sender,
        "raam@mydomain.com",
        verify.pid,
        verify.relay_port,
    )
    assert (incomplete.kind, incomplete.sender) == (LogKind.INCOMPLETE, verify.sender)


def test_the_lines_of_the_readme() -> None:
    """Shortened by hand, without a stamp, with dots for what was left out."""
    event = parse(
        "H=relay1.example.com (qsv-spam1.example.com) [67.26.151.59]:36752 ... sender verify defer for"
        " <administrator@customer.example.com>: could not connect to customer.example.com [163.112.75.15]:"
        " Connection timed out"
    )
    assert event is not None
    assert (event.relay_ip, event.host_ip, event.fault) == ("67.26.151.59", "163.112.75.15", LogFault.TIMEOUT)


# --- what pages and clients do to a line -------------------------------------------------------------

_HEAD = "2026-11-22 07:47:14 H=relay.example.net [203.0.113.77]"


def test_the_sender_comes_from_the_command_where_a_page_ate_it() -> None:
    event = parse(
        f'{_HEAD} sender verify fail for : response to "RCPT TO:<u@d.example>" from mx [192.0.2.9] was: 550 no'
    )
    assert event is not None
    assert (event.sender, event.stage) == ("u@d.example", Stage.RCPT)
    event = parse(
        f'{_HEAD} sender verify fail for : response to "RCPT TO:<postmaster@d.example>" from mx [] was: 550 no'
    )
    assert event is not None
    assert (event.sender, event.stage) == (None, Stage.RCPT_POSTMASTER)


def test_the_postmaster_as_sender_is_the_sender() -> None:
    event = parse(
        f"{_HEAD} sender verify fail for <Postmaster@d.example>: mx.d.example [192.0.2.9] : SMTP error from remote"
        " mail server after RCPT TO:<postmaster@d.example>: 550 no"
    )
    assert event is not None
    assert event.stage is Stage.RCPT


@pytest.mark.parametrize(
    "rest",
    [
        " sender verify defer for : could not connect to mx.example.com []: Connection timed out",
        " F= temporarily rejected RCPT : Could not complete sender verify callout",
        " incomplete transaction (RSET) from ",
        " sender verify fail for ",
    ],
)
def test_a_page_that_ate_the_brackets(rest: str) -> None:
    event = parse(_HEAD + rest)
    assert event is not None
    assert event.sender is None


@pytest.mark.parametrize(
    "fields",
    [
        "",
        ":36752 I=[192.0.2.25]:25",
        " U=root",
        " U=an answer with blanks",
        " Ci=4242",
        " NEW=thing",
        ' X=TLS1.3:X:256 CV=no DN="CN=a \\"b\\" F=<x@y>"',
        " U=x sender verified",
    ],
)
def test_fields_between_the_client_and_the_text(fields: str) -> None:
    event = parse(f"{_HEAD}{fields} sender verify fail for <u@d.example>: Unrouteable address")
    assert event is not None
    assert (event.relay_ip, event.sender, event.fault) == ("203.0.113.77", "u@d.example", LogFault.NXDOMAIN)


@pytest.mark.parametrize(
    "helo",
    [
        "[203.0.113.78]", "a(b)c", "two words", "\\303\\244", "", "sender verify fail for <a@b>",
        "x) [192.0.2.1", "x) [192.0.2.1]", "x) [192.0.2.1]:25",
    ],
)  # fmt: skip
def test_whatever_a_client_calls_itself(helo: str) -> None:
    """The address that an exemption would name is never one that the client wrote."""
    event = parse(
        f"2026-11-22 07:47:14 H=({helo}) [203.0.113.77] sender verify fail for <u@d.example>: Unrouteable address"
    )
    assert event is not None
    assert (event.sender, event.relay_ip) == ("u@d.example", "203.0.113.77")


@given(
    st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=60)
    | st.text("x()[] 19.:=U<>", max_size=40)
)
def test_no_name_forges_the_address(helo: str) -> None:
    for name in (f"({helo})", f"a.example ({helo})", f"(x) [192.0.2.1] U={helo})"):
        event = parse(
            f"2026-11-22 07:47:14 H={name} [203.0.113.77]:25 sender verify fail for <u@d.example>: Unrouteable address"
        )
        assert event is None or event.relay_ip == "203.0.113.77"


@pytest.mark.parametrize(
    "line",
    [
        (
            "H=(x) [192.0.2.66] sender verify fail for <victim@d.example>: Unrouteable address) [203.0.113.77]:25"
            " F=<u@d.example> rejected RCPT <bob@local.example>: Sender verify failed"
        ),
        (
            "H=(x) [192.0.2.66]:25 F=<victim@d.example> rejected RCPT <bob@local.example>: Sender verify failed)"
            " [203.0.113.77]:25 I=[203.0.113.1]:25 sender verify fail for <u@d.example>: Unrouteable address"
        ),
        "1xV2MN-00069O-18 <= u@d.example H=(x) [192.0.2.66] P=esmtp) [203.0.113.77]:25 P=esmtp S=123",
    ],
)
def test_a_name_that_is_a_whole_line_is_not_believed(line: str) -> None:
    """With helo_accept_junk_hosts the client writes what it likes, and then no reading of the line is sure."""
    assert parse(f"2026-11-22 07:47:14 {line}") is None


def test_no_name_forges_the_sender_of_postfix() -> None:
    event = parse(
        "Nov 22 10:00:00 mx postfix/smtpd[5]: NOQUEUE: reject: RCPT from r.example.net[203.0.113.5]: 450 4.1.7"
        " <u@d.example>: Sender address rejected: unverified address: connect to mx.d.example[192.0.2.1]:25:"
        " Connection timed out; from=<u@d.example> to=<bob@local.example> proto=SMTP"
        " helo=<x>; from=<victim@e.example> to=<eve@local.example> proto=ESMTP helo=<y>",
        2026,
    )
    assert event is not None
    assert (event.sender, event.recipient) == ("u@d.example", "bob@local.example")


def test_a_text_of_the_administrator() -> None:
    event = parse(
        f"{_HEAD} F=<u@d.example> rejected RCPT <a@b.example>: we could not verify your sender address, sorry"
    )
    assert event is not None
    assert (event.kind, event.sender, event.recipient) == (LogKind.REJECTED, "u@d.example", "a@b.example")


@pytest.mark.parametrize(
    "line",
    [
        "",
        " ",
        "2026-11-22 07:47:14",
        f"{_HEAD} F=<u@d.example> rejected RCPT <a@b.example>: relay not permitted",
        f"{_HEAD} F=<u@d.example> rejected RCPT <a@b.example>: Could not complete recipient verify callout",
        "2026-11-22 08:10:10 SMTP connection from relay.example.net [203.0.113.77] closed by QUIT",
        "2026-11-22 07:49:40 1xV2MN-00069O-18 => bob <bob@example.com> R=local T=maildir",
        "2026-11-22 07:49:40 1xV2MN-00069O-18 ** bob@example.com R=dnslookup T=remote_smtp: 550 sender verify fail",
        "P Received: from relay.example.net",
        "Envelope-from: <u@d.example>",
        "Dear support, our sender verify fails",
    ],
)
def test_lines_about_something_else(line: str) -> None:
    assert parse(line) is None


# --- syslog ------------------------------------------------------------------------------------------

_SYSLOG = "Nov 22 07:52:58 mx exim[28198]: "


def test_records_that_syslog_cut_are_joined() -> None:
    whole = f"{_HEAD} sender verify fail for <u@d.example>: mx.d.example [192.0.2.9] : SMTP error from remote mail"
    parts = [f"{whole} server after RCPT TO:<u@d.exam", "ple>: 550-5.1.1 one", "550 5.1.1 two"]
    lines = [
        f"{_SYSLOG}[1/3] {parts[0]}",
        "Nov 22 07:52:58 mx exim[1]: [1/2] other ",
        f"{_SYSLOG}[2\\3] {parts[1]}",
        "a line between",
        f"{_SYSLOG}[3/3] {parts[2]}",
        "Nov 22 07:52:58 mx exim[1]: [2/2] record",
    ]
    joined = list(join_records(lines))
    assert joined == [
        "a line between",
        f"{_SYSLOG}{parts[0]}{parts[1]}\\n{parts[2]}",
        "Nov 22 07:52:58 mx exim[1]: other record",
    ]
    event = parse(joined[1], YEAR)
    assert event is not None
    assert (event.said, event.cut) == ("550-5.1.1 one\n550 5.1.1 two", False)
    first = parse(lines[0], YEAR)
    assert first is not None
    assert first.cut


def test_parts_whose_others_never_come_are_kept() -> None:
    lines = [f"{_SYSLOG}[1/2] a", f"{_SYSLOG}[1/3] b", f"{_SYSLOG}[3/3] d", "x [1/2] y"]
    assert sorted(join_records(lines)) == sorted(lines)
    many = [f"Nov 22 07:52:58 mx exim[{n}]: [1/2] a" for n in range(1000)]
    assert sorted(join_records(many)) == sorted(many)


@given(
    st.lists(
        st.sampled_from([f"{_SYSLOG}[{n}/{m}] {n}" for n in (1, 2, 3) for m in (2, 3)] + ["x"]), max_size=12
    )
)
def test_no_text_is_lost_in_joining(lines: list[str]) -> None:
    def letters(texts: list[str]) -> list[str]:
        return sorted("".join(text.rpartition("] ")[2].rpartition(": ")[2] for text in texts))

    assert letters(list(join_records(lines))) == letters(lines)


moments = st.datetimes(min_value=datetime(1971, 1, 1), max_value=datetime(2100, 1, 1)).map(  # noqa: DTZ001 - zones are put on next
    lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000)
)


@given(moments, st.integers(-14 * 60, 14 * 60))
def test_stamps_of_every_log(moment: datetime, minutes: int) -> None:
    moment = moment.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    at, whole = moment.timestamp(), moment.replace(microsecond=0)
    utc = whole.replace(tzinfo=UTC).timestamp()
    millis = moment.strftime("%Y-%m-%d %H:%M:%S.") + f"{moment.microsecond // 1000:03}"
    assert read_log_stamp(millis + moment.strftime(" %z")) == pytest.approx(at, abs=1e-5)
    assert read_log_stamp(moment.isoformat(timespec="milliseconds")) == pytest.approx(at, abs=1e-5)
    assert read_log_stamp(whole.strftime("%Y-%m-%d %H:%M:%S")) == utc
    assert read_log_stamp(whole.strftime("%b %e %H:%M:%S"), whole.year) == utc
    assert read_log_stamp(whole.strftime("%b %e %H:%M:%S")) is None


# --- hostile lines -----------------------------------------------------------------------------------


@given(st.text(st.characters(exclude_categories=()), max_size=300), st.none() | st.integers())
def test_no_text_makes_it_fail(text: str, year: int | None) -> None:
    parse(text, year)
    parse(f"{_HEAD} sender verify fail for {text}", year)
    parse(f"{_HEAD} sender verify defer for <a@b.example>: {text}", year)
    parse(f"Nov 22 07:52:58 mx postfix/smtpd[1]: {text}", year)


@given(st.binary(max_size=300))
def test_no_bytes_make_it_fail(data: bytes) -> None:
    parse(data.decode("latin-1"))


@given(st.sampled_from([*REAL_LINES, *BUILT_LINES]), st.data())
def test_mutated_lines(line: str, data: st.DataObject) -> None:
    """Cut anywhere, with anything put in, or two halves of different lines."""
    at = data.draw(st.integers(0, len(line)))
    other = data.draw(st.sampled_from(REAL_LINES) | st.text(max_size=20))
    event = parse(line[:at] + other[data.draw(st.integers(0, len(other))) :], YEAR)
    if event is not None and event.kind is LogKind.VERIFY:
        assert event.fault is not None
    parse(line[:at] + other + line[at:], YEAR)


_POSTFIX = "Nov 22 09:00:01 mx postfix/smtpd[1]:"
_UNVERIFIED = "Sender address rejected: unverified address:"
HOSTILE = (
    ("", " H=( [", ""),
    ("2026-11-22 07:47:14 H=", "(a) [", ""),
    ("2026-11-22 07:47:14 H=", "a", ""),
    (_HEAD, " U=x", ""),
    (_HEAD, ' DN="', ""),
    (_HEAD, " F=<", ""),
    (_HEAD, " sender verify fail for <", ""),
    (f"{_HEAD} sender verify fail for <", "a@b>", ": x"),
    (f"{_HEAD} sender verify fail for <a@b>: ", 'response to "', ""),
    (f"{_HEAD} sender verify fail for <a@b>: ", "Could not complete sender verify callout: ", ""),
    (f"{_HEAD} sender verify fail for <a@b>: mx [1] : ", "SMTP error from remote mail server after : ", ""),
    (f"{_HEAD} sender verify fail for <a@b>: mx [1] : ", "Remote host closed connection in response to ", ""),
    (
        f"{_HEAD} sender verify fail for <a@b>: mx [1] : SMTP error from remote mail server after RCPT TO:<a@b>: ",
        "550\\n",
        "",
    ),
    (f"{_HEAD} F=<a@b> rejected RCPT ", "<a: ", ""),
    (f"{_HEAD} F=<a@b> rejected RCPT <a@b>: ", "sender ", ""),
    (f"{_HEAD} incomplete transaction (QUIT) from <", " for ", ""),
    (f"{_HEAD} Warning: ", "verif sender", "x"),
    ("2026-11-22 07:47:14 ", ": callout unencrypted to ", ""),
    ("2026-11-22 07:47:14 1xV2MN-00069O-18 <= ", '"\\', ""),
    ("2026-11-22 07:47:14 1xV2MN-00069O-18 <= a@b H=x", " H=(", " for x"),
    (f"{_POSTFIX} NOQUEUE: reject: RCPT from ", "[", ": Sender address rejected: "),
    (
        f"{_POSTFIX} NOQUEUE: reject: RCPT from a[1]: 450 4.1.7 <a>: {_UNVERIFIED} host a[1] said: 550",
        " (in reply to ; from=<",
        "",
    ),
    ("Nov 22 09:00:01 mx postfix/smtp[1]: ABCD: to=<", "a>, status=", ""),
)


@pytest.mark.parametrize(("head", "part", "tail"), HOSTILE)
def test_time_grows_with_the_line_and_no_faster(head: str, part: str, tail: str) -> None:
    def cost(size: int) -> float:
        line = head + part * ((size - len(head)) // len(part)) + tail
        best = float("inf")
        for _ in range(7):
            began = perf_counter()
            parse(line, YEAR)
            best = min(best, perf_counter() - began)
        return best

    small, large = cost(LINE_LIMIT // 4), cost(LINE_LIMIT)
    assert large < 12 * small + 0.1, "four times the line, about four times the work"
    assert large < 0.5


def test_a_line_without_end_is_cut() -> None:
    line = f"{_HEAD} sender verify fail for <u@d.example>: mx [192.0.2.9] : " + "x" * 10_000_000
    event = parse(line)
    assert event is not None
    assert len(event.text) < LINE_LIMIT
