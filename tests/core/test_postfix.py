"""What is predicted of Postfix, held against what a real one logged, and the corners that no recording shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from probe.core import postfix
from probe.core.address import parse
from probe.core.classify import judge
from probe.core.model import ConnectOutcome, Covers, MtaOutcome, MtaView
from probe.core.postfix.client import Result, printable
from tests.support import postfix as real
from tests.support import postfix_cases
from tests.support.every import every

if TYPE_CHECKING:
    from probe.core.model import Evidence


def _seen(name: str) -> Evidence:
    return postfix_cases.recording(name)[1]


def _view(seen: Evidence) -> MtaView:
    mta = judge(seen).mta
    assert mta is not None
    assert mta.postfix is not None
    return mta.postfix


@every("name", postfix_cases.RECORDED)
def test_prediction_is_what_postfix_logged(name: str) -> None:
    log, seen = postfix_cases.recording(name)
    assert real.predicted(seen) == real.told(log)


def test_nothing_is_kept_that_is_not_read() -> None:
    logs = {path.stem for path in postfix_cases.FOLDER.glob("*.log")}
    assert logs == set(postfix_cases.RECORDED) == set(postfix_cases.recorded())


# --- the view --------------------------------------------------------------------------------------


def test_an_accepted_sender() -> None:
    view = _view(_seen("rcpt-accepted"))
    assert (view.outcome, view.reply, view.reply_lines, view.seconds) == (MtaOutcome.ACCEPT, None, (), 3.0)
    assert [(host.ip, host.outcome, host.why) for host in view.asked] == [
        ("127.0.0.2", MtaOutcome.ACCEPT, "250 2.1.5 Ok")
    ]
    (record,) = view.cache
    assert (record.covers, record.key, record.holds) == (Covers.ADDRESS, "user@d.example", "deliverable")
    assert record.seconds == 7 * 86400
    (note,) = view.notes
    assert note.startswith("Postfix asks as double-bounce@ its own domain, and we asked as <>;")


def test_an_unknown_sender_gets_450_and_is_kept_for_three_hours() -> None:
    view = _view(_seen("said-unknown-postfix"))
    assert view.outcome is MtaOutcome.DEFER
    assert view.reply is not None
    assert view.reply.startswith(
        "450 4.1.7 <user@d.example>: Sender address rejected: unverified address: host "
    )
    assert view.reply_lines == (view.reply,)
    assert [line.split("[", 1)[0] for line in view.log] == ["postfix/smtp", "postfix/smtpd"]
    assert view.log[1].startswith(
        f"postfix/smtpd[<pid>]: NOQUEUE: reject: RCPT from <relay>: {view.reply}; from=<"
    )
    assert [(record.holds, record.seconds) for record in view.cache] == [("undeliverable", 3 * 3600)]
    assert view.clear == "postfix reload && postmap -fd 'user@d.example' btree:/var/lib/postfix/verify_cache"
    note = view.notes[0]
    assert "550 5.1.7 <user@d.example>: Sender address rejected: undeliverable address: host " in note


def test_a_silent_host_keeps_the_relay_in_suspense() -> None:
    view = _view(_seen("connect-dead"))
    assert view.reply is not None
    assert view.reply.endswith(": unverified address: Address verification in progress")
    assert view.seconds == 6.0
    assert [line.split("[", 1)[0] for line in view.log] == ["postfix/smtpd", "postfix/smtp", "postfix/smtp"]
    late, patience = view.notes
    assert "about 30 s" in late
    assert late.endswith("unverified address: connect to mx1.d.example[127.0.0.2]:25: Connection timed out.")
    assert patience.endswith("to take the connection; Postfix waits 30 s.")


def test_a_sender_that_is_verified_too_late_is_deferred_first() -> None:
    view = _view(_seen("connect-dead-then-good"))
    assert view.outcome is MtaOutcome.DEFER
    assert [host.outcome for host in view.asked] == [MtaOutcome.DEFER, MtaOutcome.ACCEPT]
    assert [record.holds for record in view.cache] == ["deliverable"]
    assert view.notes[0].endswith("when it comes again afterwards, it is accepted.")


def test_a_probe_that_never_ends_is_not_remembered() -> None:
    view = _view(_seen("rcpt-endless"))
    assert (view.outcome, view.cache, view.seconds) == (MtaOutcome.DEFER, (), 6.0)
    assert len(view.log) == 1
    assert "does not end" in view.notes[0]


def test_five_hosts_at_most_are_asked_and_two_that_answer() -> None:
    dead = _view(_seen("connect-seven-dead-one-good"))
    assert [host.ip for host in dead.asked] == [f"127.0.0.{number}" for number in range(2, 7)]
    busy = _view(_seen("more-three-hosts-4xx"))
    assert [host.ip for host in busy.asked] == ["127.0.0.2", "127.0.0.3"]


def test_the_limit_of_addresses_leaves_room_for_both_families() -> None:
    seen = _seen("connect-seven-dead-one-good")
    six = [replace(host, ip=f"2001:db8::{number}") for number, host in enumerate(seen.hosts)]

    def kept(*hosts: object) -> list[str]:
        both = replace(seen, hosts=hosts)
        return [host.ip for host in _view(both).asked]

    assert kept(*six[:6], *seen.hosts[:1]) == [*(f"2001:db8::{number}" for number in range(4)), "127.0.0.2"]
    assert kept(*seen.hosts[:6], *six[:1]) == [
        *(f"127.0.0.{number}" for number in range(2, 6)),
        "2001:db8::0",
    ]
    assert kept(*seen.hosts[:4], *six[:4]) == [
        "127.0.0.2",
        "127.0.0.3",
        "127.0.0.4",
        "2001:db8::0",
        "2001:db8::1",
    ]


def test_what_our_own_sender_heard_stands_for_postfix_s() -> None:
    view = _view(_seen("more-batv"))
    assert view.outcome is MtaOutcome.ACCEPT
    assert any("null sender" in note for note in view.notes)


def test_a_refused_null_sender_alone_tells_nothing() -> None:
    seen = _seen("more-batv")
    (host,) = seen.hosts
    (session,) = host.sessions
    alone = tuple(step for step in session.exchanges if not step.stage.endswith("-real"))
    host = replace(host, sessions=(replace(session, exchanges=alone),))
    mta = judge(replace(seen, hosts=(host,))).mta
    assert mta is None or mta.postfix is None


def test_no_route_of_ours_is_said() -> None:
    seen = _seen("connect-refused-then-good")
    first, *others = seen.hosts
    (session,) = first.sessions
    connect = replace(session.connect, outcome=ConnectOutcome.NO_ROUTE, errno_name="ENETUNREACH")
    first = replace(first, sessions=(replace(session, connect=connect),))
    view = _view(replace(seen, hosts=(first, *others)))
    assert view.asked[0].why == "connect to mx1.d.example[127.0.0.2]:25: Network is unreachable"
    assert any("no route" in note for note in view.notes)


def test_tls_is_said() -> None:
    note = _view(_seen("tls-good")).notes[0]
    assert "smtp_tls_security_level" in note


def test_equal_hosts_that_disagree_are_said() -> None:
    seen = _seen("hosts-4xx-then-250")
    same = tuple(replace(host, preference=10) for host in seen.hosts)
    assert any("draws their order" in note for note in _view(replace(seen, hosts=same)).notes)
    assert not any("draws their order" in note for note in _view(seen).notes)


def test_our_patience_is_said_where_postfix_has_more() -> None:
    (note,) = (note for note in _view(_seen("rcpt-timeout")).notes if note.startswith("We waited"))
    assert note.endswith("to answer RCPT; Postfix waits 300 s.")


@pytest.mark.parametrize(
    ("given", "internal", "external"),
    [
        ("user@example.com", "user@example.com", "user@example.com"),
        ('"a b"@example.com', "a b@example.com", '"a b"@example.com'),
        (r'"a\"b\\c"@example.com', r'a"b\c@example.com', r'"a\"b\\c"@example.com'),
        ("User.Name+tag@example.com", "User.Name+tag@example.com", "User.Name+tag@example.com"),
    ],
)
def test_addresses_as_postfix_writes_them(given: str, internal: str, external: str) -> None:
    address = parse(given)
    found = postfix.Probe(result=Result.HARD, why="no", seconds=0.0, log=())
    reply = postfix.answer(address, found)
    assert reply == f"450 4.1.7 <{internal}>: Sender address rejected: unverified address: no"
    assert f"; from=<{external}> " in postfix.rejected(address, reply)


@given(st.text(st.characters(max_codepoint=255)))
def test_printable_leaves_ascii_and_what_looks_like_utf_8(text: str) -> None:
    clean = printable(text, "?")
    assert all(" " <= char <= "~" or char >= "\x80" for char in clean)
    assert printable(clean, "?") == clean
    assert printable("é→ü".encode().decode("latin-1"), "?").encode("latin-1").decode() == "é→ü"


@given(st.text(st.characters(max_codepoint=255), max_size=2000))
def test_replies_are_one_line_of_at_most_512_octets(why: str) -> None:
    reply = postfix.answer(
        parse("user@example.com"), postfix.Probe(result=Result.SOFT, why=why, seconds=0.0, log=())
    )
    assert reply is not None
    assert len(reply) <= 510
    assert all(" " <= char <= "~" or char >= "\x80" for char in reply)
