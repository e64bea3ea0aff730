"""The callout as a playbook: what the peer says, and what we say to that. No socket, no clock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from probe.core.address import AddressError, parse
from probe.core.conversation import (
    SETTLE,
    Close,
    Conversation,
    Plan,
    Send,
    StartTls,
    follow_up,
    in_step,
)
from probe.core.model import (
    Connect,
    ConnectOutcome,
    Direction,
    Exchange,
    ExchangeOutcome,
    Purpose,
    Stage,
    TcpInfo,
    Tls,
    TlsMode,
)
from probe.core.plan import SHORTEST_PATIENCE, SMALL_REPLY_TIMEOUT
from probe.core.reply import REPLY_LIMIT
from probe.core.script import COMMANDS, Script
from probe.core.surplus import EXTRA_REPLIES
from probe.core.tape import BYTES_KEPT, ENTRIES_APART

if TYPE_CHECKING:
    from collections.abc import Iterable

    from probe.core.conversation import Action
    from probe.core.model import Session

LOCAL_IP = "192.0.2.1"
SENDER = "administrator@customer.example.com"
UNKNOWN = "550 5.1.1 <administrator@customer.example.com>: Recipient address rejected: User unknown"
UNCLEAR = "550 Requested action not taken"
EXTENSIONS = "250-mx.example.com\r\n250-STARTTLS\r\n250 SMTPUTF8"


def plan(
    *,
    purpose: Purpose = Purpose.CALLOUT,
    helo: str | None = "probe.example.com",
    mail_from: str = "",
    rcpt: str = SENDER,
    random_rcpt: str | None = None,
    tls: TlsMode = TlsMode.AUTO,
    offer_tls: bool = True,
    utf8: bool = False,
) -> Plan:
    return Plan(
        purpose=purpose,
        helo=helo,
        mail_from=mail_from,
        rcpt=rcpt,
        random_rcpt=random_rcpt,
        tls=tls,
        offer_tls=offer_tls,
        utf8=utf8,
        banner_timeout=30.0,
        reply_timeout=20.0,
        quit_timeout=1.0,
    )


class Play:
    """A conversation with a scripted peer. A wrong line shows the whole transcript."""

    def __init__(self, the_plan: Plan) -> None:
        self.talk = Conversation(the_plan)
        self.now = 1.0
        self._actions: list[Action] = list(self.talk.connected(self.now, LOCAL_IP))

    def peer(self, *lines: str, end: str = "\r\n") -> Self:
        """Let the peer send these lines in one segment, a moment later."""
        return self.bytes("".join(line + end for line in lines).encode())

    def bytes(self, data: bytes) -> Self:
        self.now += 0.01
        self._actions += self.talk.received(data, self.now)
        return self

    def sends(self, line: str) -> Self:
        """We send this line, and nothing else before it."""
        assert self._actions, self._story(f"nothing was sent, expected {line!r}")
        action = self._actions.pop(0)
        said = action.line.decode().removesuffix("\r\n") if isinstance(action, Send) else str(action)
        assert said == line, self._story(f"{said!r} was sent, expected {line!r}")
        return self

    def starts_tls(self) -> Self:
        action = self._actions.pop(0) if self._actions else None
        assert isinstance(action, StartTls), self._story(f"{action} instead of StartTls")
        return self

    def silence(self) -> Self:
        """We have nothing to say."""
        assert not self._actions, self._story(f"{self._actions} instead of silence")
        return self

    def waits(self, seconds: float) -> Self:
        """Let time pass without a byte."""
        end = self.now + seconds
        while (due := self.talk.deadline) is not None and due <= end:
            self.now = due
            self._actions += self.talk.timed_out(due)
        self.now = end
        return self

    def closes(self, *, reset: bool = False) -> Self:
        self.now += 0.01
        self._actions += self.talk.closed(self.now, reset=reset, detail="ECONNRESET" if reset else None)
        return self

    def tls(self, error: str | None = None) -> Self:
        self.now += 0.01
        done = Tls(self.now - 0.01, self.now, ok=error is None, version="TLSv1.3", error=error)
        self._actions += self.talk.tls_done(done)
        return self

    def given_up(self, why: str = "in vain") -> Self:
        self.now += 0.01
        self._actions += self.talk.given_up(self.now, why)
        return self

    def interrupted(self) -> Self:
        self._actions += self.talk.interrupted(self.now)
        return self

    def ends(self, *, abort: bool = False) -> Self:
        assert self._actions == [Close(abort)], self._story(f"{self._actions} instead of the end")
        self._actions.clear()
        assert self.talk.finished
        assert self.talk.deadline is None
        return self

    def session(self, tcp: TcpInfo | None = None) -> Session:
        connect = Connect(0.9, 1.0, ConnectOutcome.CONNECTED, local_ip=LOCAL_IP)
        return self.talk.session(connect, self.now, tcp=tcp)

    def stages(self) -> list[Stage]:
        return [exchange.stage for exchange in self.session().exchanges]

    def last(self) -> Exchange:
        return self.session().exchanges[-1]

    def _story(self, problem: str) -> str:
        marks = {Direction.SENT: ">", Direction.RECEIVED: "<", Direction.NOTE: "*"}
        lines = [f"{t.t:8.3f} {marks[t.direction]} {t.data!r}" for t in self.session().tape]
        return "\n".join([problem, *lines])


def play(the_plan: Plan | None = None) -> Play:
    return Play(the_plan or plan())


def greeted(the_plan: Plan | None = None) -> Play:
    """Play to the point where MAIL has been sent."""
    p = play(the_plan).peer("220 mx.example.com ESMTP").sends("EHLO probe.example.com")
    return p.peer("250 mx.example.com").sends("MAIL FROM:<>")


def asked(the_plan: Plan | None = None) -> Play:
    """Play to the point where RCPT has been sent."""
    return greeted(the_plan).peer("250 ok").sends(f"RCPT TO:<{SENDER}>")


# --- the plain walk -----------------------------------------------------------------------------------


def test_accepted_sender() -> None:
    p = asked().peer("250 2.1.5 ok").sends("QUIT").peer("221 bye").ends()
    session = p.session()
    assert [e.stage for e in session.exchanges] == [
        Stage.BANNER,
        Stage.EHLO,
        Stage.MAIL,
        Stage.RCPT,
        Stage.QUIT,
    ]
    assert all(e.outcome is ExchangeOutcome.REPLY for e in session.exchanges)
    assert session.exchanges[0].command is None
    assert in_step(session) is True
    assert follow_up(p.talk.plan, session) is None


def test_we_never_talk_first() -> None:
    p = play().silence().waits(29.9).silence().waits(0.2).ends()
    assert p.last().outcome is ExchangeOutcome.TIMEOUT
    assert p.last().stage is Stage.BANNER
    assert in_step(p.session()) is None


def test_unknown_user_needs_no_second_try() -> None:
    p = asked().peer(UNKNOWN).sends("QUIT").peer("221 bye").closes().ends()
    assert Stage.MAIL_REAL not in p.stages()


@pytest.mark.parametrize(
    "banner", ["554 no", "421 busy", "450 later", "521 no mail", "354 go", "SSH-2.0-x", "199 x"]
)
def test_without_a_good_banner_only_quit(banner: str) -> None:
    play().peer(banner).sends("QUIT").silence().waits(1.0).ends()


@pytest.mark.parametrize("refusal", ["500 what", "502 5.5.1 no", "550 no", "450 not now", "354 hm"])
def test_helo_when_ehlo_is_refused(refusal: str) -> None:
    p = play().peer("220 hi").sends("EHLO probe.example.com").peer(refusal).sends("HELO probe.example.com")
    p.peer("250 hello").sends("MAIL FROM:<>")


@pytest.mark.parametrize("answer", ["421 closing", "hello", "150 x", "999 x"])
def test_no_helo_after_what_is_no_refusal(answer: str) -> None:
    play().peer("220 hi").sends("EHLO probe.example.com").peer(answer).sends("QUIT")


@pytest.mark.parametrize("answer", ["450 4.2.0 greylisted", "451 later", "354 odd", "OK", "421 bye"])
def test_mail_and_rcpt_end_at_what_is_no_clear_answer(answer: str) -> None:
    greeted().peer(answer).sends("QUIT")
    asked().peer(answer).sends("QUIT")


@pytest.mark.parametrize(
    ("ip", "literal"),
    [("192.0.2.1", "[192.0.2.1]"), ("2001:db8::1", "[IPv6:2001:db8::1]"), ("fe80::1%eth0", "[IPv6:fe80::1]")],
)
def test_address_literal_without_a_name(ip: str, literal: str) -> None:
    talk = Conversation(plan(helo=None))
    talk.connected(0.0, ip)
    assert talk.received(b"220 hi\r\n", 0.1) == (Send(f"EHLO {literal}\r\n".encode()),)


# --- time and silence ---------------------------------------------------------------------------------


def test_one_limit_for_a_whole_reply() -> None:
    p = greeted()
    for _ in range(19):
        p.waits(1.0).bytes(b"2").silence()
    p.waits(1.1).ends()
    assert p.last().outcome is ExchangeOutcome.TIMEOUT
    assert p.last().reply is not None  # what came is kept


def test_no_quit_after_a_time_out() -> None:
    p = asked().waits(20.1).ends()
    assert p.stages()[-1] is Stage.RCPT
    assert follow_up(p.talk.plan, p.session()) is None


def test_the_reply_to_quit_has_its_own_limit() -> None:
    p = asked().peer("250 ok").sends("QUIT").waits(1.0).ends()
    assert (p.last().stage, p.last().outcome) == (Stage.QUIT, ExchangeOutcome.TIMEOUT)
    assert in_step(p.session()) is None


def test_421_in_answer_to_quit_takes_nothing_away_and_550_does() -> None:
    p = asked().peer(UNKNOWN).sends("QUIT").peer("421 4.7.0 Enough").closes().ends()
    assert in_step(p.session()) is None
    assert in_step(asked().peer("250 ok").sends("QUIT").peer(UNKNOWN).closes().ends().session()) is False


def test_after_221_we_leave_without_waiting_for_the_peer() -> None:
    p = asked().peer("250 ok").sends("QUIT").peer("221 bye").ends()
    assert (p.last().stage, p.last().outcome) == (Stage.QUIT, ExchangeOutcome.REPLY)
    assert in_step(p.session()) is True


def test_the_clock_does_nothing_before_the_deadline() -> None:
    talk = Conversation(plan())
    talk.connected(0.0, LOCAL_IP)
    assert talk.timed_out(29.9) == ()
    assert talk.deadline == 30.0


# --- the peer leaves ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reset", "outcome"), [(False, ExchangeOutcome.CLOSED), (True, ExchangeOutcome.RESET)]
)
def test_close_and_reset_at_each_stage(reset: bool, outcome: ExchangeOutcome) -> None:
    for p, stage in (
        (play(), Stage.BANNER),
        (play().peer("220 hi").sends("EHLO probe.example.com"), Stage.EHLO),
        (greeted(), Stage.MAIL),
        (asked(), Stage.RCPT),
        (asked().peer("250 ok").sends("QUIT"), Stage.QUIT),
    ):
        p.closes(reset=reset).ends()
        assert (p.last().stage, p.last().outcome) == (stage, outcome)


def test_unfinished_reply_is_kept_at_the_close() -> None:
    p = asked().bytes(b"550 no such us").closes().ends()
    assert p.last().outcome is ExchangeOutcome.CLOSED
    rest = p.last().reply
    assert rest is not None
    assert rest.lines == ("550 no such us",)


def test_events_after_the_end_change_nothing() -> None:
    p = play().closes().ends()
    p.peer("220 hi").closes().waits(99).tls().interrupted().silence()
    assert p.session().dropped == len("220 hi\r\n")


def test_close_while_a_command_is_held_back() -> None:
    p = play().peer("220 a", "220 b").silence().closes().ends()
    assert (p.last().stage, p.last().command, p.last().outcome) == (Stage.EHLO, None, ExchangeOutcome.CLOSED)


# --- TLS ----------------------------------------------------------------------------------------------


def offered(the_plan: Plan | None = None) -> Play:
    return play(the_plan).peer("220 hi").sends("EHLO probe.example.com").bytes(EXTENSIONS.encode() + b"\r\n")


def test_starttls_and_ehlo_again() -> None:
    p = offered().starts_tls().peer("220 go").silence().tls()
    p.sends("EHLO probe.example.com").peer("250-mx", "250 STARTTLS").sends("MAIL FROM:<>")
    session = p.session()
    assert session.tls is not None
    assert [e.stage for e in session.exchanges][-2:] == [Stage.EHLO, Stage.MAIL]
    assert {t.secure for t in session.tape if t.data.startswith("MAIL")} == {True}
    assert {t.secure for t in session.tape if t.data.startswith("220 hi")} == {False}


def test_keywords_from_before_tls_are_forgotten() -> None:
    utf8 = plan(rcpt="grün@customer.example.com", utf8=True)
    p = offered(utf8).starts_tls().peer("220 go").tls().sends("EHLO probe.example.com")
    p.peer("250 mx").sends("QUIT")  # no SMTPUTF8 in the second list


def test_clear_text_behind_the_220_is_not_acted_on() -> None:
    p = offered().starts_tls().bytes(b"220 go\r\n250 injected\r\n25").silence().tls().silence()
    p.waits(SETTLE).sends("EHLO probe.example.com").peer("250 mx").waits(SETTLE).sends("MAIL FROM:<>")


@pytest.mark.parametrize("refusal", ["454 4.7.0 no TLS now", "500 what", "501 no"])
def test_refused_starttls(refusal: str) -> None:
    offered().starts_tls().peer(refusal).sends("MAIL FROM:<>")
    offered(plan(tls=TlsMode.REQUIRE)).starts_tls().peer(refusal).sends("QUIT")


@pytest.mark.parametrize("answer", ["250 ok", "421 no", "hm", "354 go"])
def test_odd_answer_to_starttls(answer: str) -> None:
    offered().starts_tls().peer(answer).sends("QUIT")


def test_tls_never_and_require() -> None:
    offered(plan(tls=TlsMode.NEVER)).sends("MAIL FROM:<>")
    offered(plan(offer_tls=False)).sends("MAIL FROM:<>")
    p = (
        play(plan(tls=TlsMode.REQUIRE))
        .peer("220 hi")
        .sends("EHLO probe.example.com")
        .peer("250 mx")
        .sends("QUIT")
    )
    assert Stage.MAIL not in p.stages()


def test_failed_handshake_is_followed_in_clear_once() -> None:
    p = offered().starts_tls().peer("220 go").tls(error="not TLS").ends(abort=True)
    assert (p.last().stage, p.last().outcome, p.last().detail) == (
        Stage.TLS,
        ExchangeOutcome.TLS_FAILED,
        "not TLS",
    )
    clear = follow_up(p.talk.plan, p.session())
    assert clear is not None
    assert (clear.purpose, clear.offer_tls) == (Purpose.CLEAR, False)
    offered(clear).sends("MAIL FROM:<>")
    assert follow_up(clear, p.session()) is None
    assert follow_up(plan(tls=TlsMode.REQUIRE), p.session()) is None


def test_handshake_that_never_ends_or_is_cut() -> None:
    p = offered().starts_tls().peer("220 go").waits(20.1).ends()
    session = p.session()
    assert (p.last().stage, p.last().outcome) == (Stage.TLS, ExchangeOutcome.TIMEOUT)
    assert session.tls is not None
    assert not session.tls.ok
    p = offered().starts_tls().peer("220 go").closes(reset=True).ends()
    assert (p.last().stage, p.last().outcome) == (Stage.TLS, ExchangeOutcome.RESET)
    assert follow_up(p.talk.plan, p.session()) is not None


# --- SMTPUTF8 -----------------------------------------------------------------------------------------


def test_smtputf8() -> None:
    utf8 = plan(rcpt="grün@customer.example.com", utf8=True, offer_tls=False)
    offered(utf8).sends("MAIL FROM:<> SMTPUTF8").peer("250 ok").sends("RCPT TO:<grün@customer.example.com>")
    p = play(utf8).peer("220 hi").sends("EHLO probe.example.com").peer("250 mx").sends("QUIT")
    assert Stage.MAIL not in p.stages()


# --- the second try with a real sender ----------------------------------------------------------------


def test_refused_null_sender_is_tried_again_with_a_real_one() -> None:
    p = greeted().peer("550 5.7.1 no bounces here").sends("MAIL FROM:<postmaster@probe.example.com>")
    p.peer("250 ok").sends(f"RCPT TO:<{SENDER}>").peer("250 ok").sends("QUIT").peer("221 x").closes().ends()
    assert p.stages()[-3:] == [Stage.MAIL_REAL, Stage.RCPT_REAL, Stage.QUIT]
    assert follow_up(p.talk.plan, p.session()) is None


def test_recipient_refused_in_open_words() -> None:
    p = asked().peer(UNCLEAR).sends("RSET").peer("250 ok").sends("MAIL FROM:<postmaster@probe.example.com>")
    p.peer("550 no").sends("QUIT")
    assert p.stages()[-3:] == [Stage.RSET, Stage.MAIL_REAL, Stage.QUIT]


def test_no_second_try_when_the_sender_was_not_null() -> None:
    p = play(plan(mail_from="a@example.com")).peer("220 hi").sends("EHLO probe.example.com").peer("250 mx")
    p.sends("MAIL FROM:<a@example.com>").peer("550 no").sends("QUIT")


@pytest.mark.parametrize(
    "words", ["550 blocked using zen.dnsbl.example", "550 5.1.1 user unknown", "451 later"]
)
def test_words_that_settle_it_need_no_second_try(words: str) -> None:
    asked().peer(words).sends("QUIT")


def test_peer_that_hangs_up_gets_one_more_connection() -> None:
    hung_up = [
        greeted().peer("550 no bounces").sends("MAIL FROM:<postmaster@probe.example.com>").closes().ends(),
        greeted()
        .peer("550 no")
        .sends("MAIL FROM:<postmaster@probe.example.com>")
        .peer("421 x")
        .sends("QUIT"),
        asked().peer(UNCLEAR).sends("RSET").closes(reset=True).ends(),
        asked().peer(UNCLEAR).sends("RSET").peer("502 no").sends("QUIT"),
        greeted().peer("550 no", "421 bye").silence().waits(SETTLE).sends("QUIT"),
    ]
    for p in hung_up:
        again = follow_up(p.talk.plan, p.session())
        assert again is not None, p.stages()
        assert again.purpose is Purpose.REAL_SENDER
        assert again.mail_from == "postmaster@probe.example.com"
        assert follow_up(again, p.session()) is None


def test_the_connection_for_the_real_sender() -> None:
    again = plan(purpose=Purpose.REAL_SENDER, mail_from="postmaster@probe.example.com")
    q = play(again).peer("220 hi").sends("EHLO probe.example.com").peer("250 mx")
    q.sends("MAIL FROM:<postmaster@probe.example.com>").peer("250 ok").sends(f"RCPT TO:<{SENDER}>")
    q.peer("550 no").sends("QUIT")
    assert q.stages()[-3:] == [Stage.MAIL_REAL, Stage.RCPT_REAL, Stage.QUIT]


def test_silence_in_the_second_try_is_not_asked_again() -> None:
    p = greeted().peer("550 no").sends("MAIL FROM:<postmaster@probe.example.com>").waits(20.1).ends()
    assert follow_up(p.talk.plan, p.session()) is None


# --- small segments -----------------------------------------------------------------------------------


def tcp(*, last_ack: float = 0.7, out_of_order: int = 0) -> TcpInfo:
    return TcpInfo(
        t=20.0,
        state=1,
        retransmits=0,
        retrans=0,
        total_retrans=0,
        segs_out=20,
        segs_in=20,
        out_of_order=out_of_order,
        last_ack=last_ack,
        last_data=20.0,
        rtt=0.02,
        mss=1448,
    )


ALIVE = tcp()
DEAD = tcp(last_ack=20.0)
GAP = tcp(last_ack=20.0, out_of_order=1)


@pytest.mark.parametrize(
    ("silent", "info", "retried"),
    [
        (play().peer("220 hi"), ALIVE, True),
        (play().peer("220 hi"), GAP, True),
        (play().peer("220 hi"), DEAD, False),
        (play().peer("220 hi"), None, False),  # this system does not tell
        (play().peer("220 hi").peer("502 no"), ALIVE, True),  # HELO
        (
            play().peer("220 hi").peer(EXTENSIONS),
            ALIVE,
            False,
        ),  # STARTTLS: the reply is one line, as those to
        (greeted(), ALIVE, False),  # MAIL
        (asked(), ALIVE, False),  # and RCPT
        (asked(), GAP, True),
        (asked().peer("250 ok"), ALIVE, False),  # QUIT: the answer is there
        (greeted().peer("550 no"), ALIVE, False),  # and so it is in the second try
        (play(), ALIVE, False),  # no greeting at all is something else
        (play(), GAP, True),
        (play().bytes(b"220-mx.example.com"), ALIVE, True),
        (play().bytes(b"220-mx.example.com"), DEAD, False),
    ],
)
def test_stuck_reply_is_asked_for_in_small_segments(
    silent: Play, info: TcpInfo | None, *, retried: bool
) -> None:
    silent.waits(31.0)
    session = silent.session(info)
    assert session.exchanges[-1].outcome is ExchangeOutcome.TIMEOUT
    again = follow_up(silent.talk.plan, session)
    if not retried:
        assert again is None or again.purpose is not Purpose.SMALL_SEGMENTS
        return
    assert again is not None
    assert again.purpose is Purpose.SMALL_SEGMENTS
    assert again.reply_timeout == SMALL_REPLY_TIMEOUT
    assert again.rcpt == silent.talk.plan.rcpt
    assert follow_up(again, session) is None


def test_certificate_that_does_not_fit_the_path() -> None:
    p = offered().starts_tls().peer("220 go").given_up().ends()
    small = follow_up(p.talk.plan, p.session(GAP))
    assert small is not None
    assert small.purpose is Purpose.SMALL_SEGMENTS
    assert small.offer_tls
    clear = follow_up(p.talk.plan, p.session(ALIVE))
    assert clear is not None
    assert clear.purpose is Purpose.CLEAR


def test_small_segments_wait_for_a_slow_greeting_again() -> None:
    p = play().waits(12.0).peer("220 hi").waits(20.1)
    again = follow_up(p.talk.plan, p.session(ALIVE))
    assert again is not None
    assert 12.0 + SMALL_REPLY_TIMEOUT < again.banner_timeout < 12.1 + SMALL_REPLY_TIMEOUT


def test_an_impatient_setting_is_no_sign_of_a_stuck_reply() -> None:
    p = play(structs.replace(plan(), reply_timeout=SHORTEST_PATIENCE - 0.1)).peer("220 hi").waits(3.0)
    assert p.last().outcome is ExchangeOutcome.TIMEOUT
    assert follow_up(p.talk.plan, p.session(ALIVE)) is None


def test_given_up_ends_it_like_a_time_out() -> None:
    p = asked().given_up("8 segments got no answer").ends()  # and no QUIT
    assert (p.last().stage, p.last().outcome) == (Stage.RCPT, ExchangeOutcome.TIMEOUT)
    assert p.last().detail == "8 segments got no answer"
    assert p.session().tape[-1].data == "given up: 8 segments got no answer"
    p.given_up().silence()
    q = play().bytes(b"220-mx").given_up().ends()
    assert q.last().reply is not None  # what came is kept
    asked().peer("250 ok").sends("QUIT").peer("221 x").ends().given_up().silence()


# --- catch-all ----------------------------------------------------------------------------------------

RANDOM = "q7x2k9@customer.example.com"


def test_random_mailbox_in_the_same_transaction() -> None:
    p = asked(plan(random_rcpt=RANDOM)).peer("250 ok").sends(f"RCPT TO:<{RANDOM}>")
    p.peer("550 unknown").sends("QUIT")
    assert p.stages()[-2:] == [Stage.RCPT_RANDOM, Stage.QUIT]


def test_random_mailbox_only_after_an_accepted_one() -> None:
    asked(plan(random_rcpt=RANDOM)).peer(UNKNOWN).sends("QUIT")


@pytest.mark.parametrize(
    "answer", ["452 4.5.3 too many recipients", "503 one at a time", "550 Too many recipients"]
)
def test_one_recipient_a_transaction(answer: str) -> None:
    p = asked(plan(random_rcpt=RANDOM)).peer("250 ok").sends(f"RCPT TO:<{RANDOM}>").peer(answer).sends("RSET")
    p.peer("250 ok").sends("MAIL FROM:<>").peer("250 ok").sends(f"RCPT TO:<{RANDOM}>")
    p.peer(answer).sends("QUIT")  # bounded
    assert p.stages().count(Stage.MAIL_AGAIN) == 1


def test_refused_rset_ends_it() -> None:
    p = (
        asked(plan(random_rcpt=RANDOM))
        .peer("250 ok")
        .sends(f"RCPT TO:<{RANDOM}>")
        .peer("452 x")
        .sends("RSET")
    )
    p.peer("500 what").sends("QUIT")


# --- replies and commands in step ---------------------------------------------------------------------


def test_two_replies_in_one_segment() -> None:
    p = play().peer("220 hi").sends("EHLO probe.example.com").peer("250 a", "250 b").silence()
    p.waits(SETTLE).sends("MAIL FROM:<>").peer("250 ok").waits(SETTLE).sends(f"RCPT TO:<{SENDER}>")
    p.peer(UNKNOWN).waits(SETTLE).sends("QUIT").peer("221 bye").closes().ends()
    said = {e.stage: e.reply.code for e in p.session().exchanges if e.reply}
    assert said[Stage.RCPT] == 550
    assert in_step(p.session()) is True


def test_late_second_reply_of_a_peer_known_to_be_chatty() -> None:
    p = play().peer("220 a", "220 b").waits(SETTLE).sends("EHLO probe.example.com")
    p.peer("250 a").waits(0.2).peer("250 b").silence().waits(0.2).silence().waits(0.05).sends("MAIL FROM:<>")
    assert p.stages().count(Stage.EXTRA) == 2


def test_shifted_answers_show_at_quit() -> None:
    p = play().peer("220 hi").sends("EHLO probe.example.com").peer("250 a").sends("MAIL FROM:<>")
    p.peer("250 b").sends(f"RCPT TO:<{SENDER}>")  # the second reply to EHLO, 30 ms late
    p.peer("250 sender ok").sends("QUIT")  # MAIL's answer, which seems to accept the recipient
    p.peer(UNKNOWN).peer("221 bye").closes().ends()
    assert p.stages()[-2:] == [Stage.QUIT, Stage.EXTRA]
    assert in_step(p.session()) is False


def test_shift_that_no_221_reveals() -> None:
    p = asked().peer("250 ok").sends("QUIT").peer(UNKNOWN).closes().ends()
    assert in_step(p.session()) is False
    p = asked().peer("250 ok").sends("QUIT").peer("250 closing").closes().ends()
    assert in_step(p.session()) is None


def test_two_answers_of_different_class_to_rcpt() -> None:
    p = asked().peer("250 ok", UNKNOWN).waits(SETTLE).sends("QUIT").peer("221 bye").closes().ends()
    assert in_step(p.session()) is False


def test_unasked_421_is_the_answer_to_what_was_not_sent() -> None:
    p = greeted().peer("250 ok", "421 shutting down").waits(SETTLE).sends("QUIT").closes().ends()
    rcpt = next(e for e in p.session().exchanges if e.stage is Stage.RCPT)
    assert rcpt.command is None
    assert rcpt.reply is not None
    assert rcpt.reply.code == 421


def test_421_after_the_answer_takes_nothing_away() -> None:
    p = asked().peer(UNKNOWN, "421 bye").waits(SETTLE).sends("QUIT").peer("221 bye").closes().ends()
    assert in_step(p.session()) is True


def test_unfinished_extra_reply_is_waited_for() -> None:
    p = play().peer("220 hi").sends("EHLO probe.example.com").bytes(b"250 a\r\n250-b").silence().waits(5)
    p.silence().bytes(b"\r\n250 c\r\n").waits(SETTLE).sends("MAIL FROM:<>")
    p = play().peer("220 hi").sends("EHLO probe.example.com").bytes(b"250 a\r\n250-b").waits(20.1).ends()
    assert p.stages()[-2:] == [Stage.EXTRA, Stage.MAIL]
    assert p.last().outcome is ExchangeOutcome.TIMEOUT


# --- floods -------------------------------------------------------------------------------------------


def test_reply_without_end() -> None:
    p = greeted().bytes(b"250-" + b"x" * 70000).ends(abort=True)
    assert p.last().outcome is ExchangeOutcome.OVERFLOW
    assert p.last().stage is Stage.MAIL


def test_replies_without_end() -> None:
    p = play().bytes(b"220 hi\r\n" * (EXTRA_REPLIES + 2)).ends(abort=True)
    assert p.last().outcome is ExchangeOutcome.OVERFLOW
    p = play().peer("220 a", "220 b")
    for _ in range(21):
        p.bytes(b"220 " + b"x" * 3000 + b"\r\n").silence()
    p.bytes(b"220 " + b"x" * 3000 + b"\r\n").ends(abort=True)


def test_flood_of_empty_lines_leaves_few_exchanges() -> None:
    p = play().bytes(b"\n" * 200_000).ends(abort=True)
    assert p.last().outcome is ExchangeOutcome.OVERFLOW
    assert len(p.session().exchanges) < 1200


def test_peer_that_is_never_quiet() -> None:
    p = play().peer("220 a", "220 b")
    for _ in range(99):
        p.waits(0.21).peer("220 c")
        if p.talk.finished:
            break
    p.ends(abort=True)
    assert p.last().outcome is ExchangeOutcome.OVERFLOW


def test_bytes_beyond_the_limit_are_counted_and_dropped() -> None:
    p = play().bytes(b"x" * (BYTES_KEPT + 5000)).ends(abort=True)
    session = p.session()
    kept = sum(len(t.data) for t in session.tape if t.direction is Direction.RECEIVED)
    assert REPLY_LIMIT <= kept <= BYTES_KEPT
    assert kept + session.dropped == BYTES_KEPT + 5000


def test_a_byte_a_millisecond_is_one_entry_of_the_tape() -> None:
    talk = Conversation(plan())
    talk.connected(0.0, LOCAL_IP)
    for n in range(5000):
        talk.received(b"2", n / 1000)
    session = talk.session(Connect(0, 0, ConnectOutcome.CONNECTED), 5.0)
    assert len(session.tape) == 1
    assert (session.tape[0].t, session.tape[0].until) == (0.0, 4.999)


def test_slow_bytes_cost_a_bounded_number_of_entries() -> None:
    talk = Conversation(plan())
    talk.connected(0.0, LOCAL_IP)
    for n in range(2000):
        talk.received(b"2", n * 0.1)
    session = talk.session(Connect(0, 0, ConnectOutcome.CONNECTED), 5.0)
    assert len(session.tape) == ENTRIES_APART + 1
    assert sum(len(entry.data) for entry in session.tape) == 2000


# --- interruption and snapshots -----------------------------------------------------------------------


def test_interrupted_says_goodbye_where_it_can_be_read() -> None:
    p = asked().interrupted().sends("QUIT").ends()
    assert [(e.stage, e.outcome) for e in p.session().exchanges[-2:]] == [
        (Stage.RCPT, ExchangeOutcome.CUT_SHORT),
        (Stage.QUIT, ExchangeOutcome.CUT_SHORT),
    ]
    play().interrupted().ends()  # no banner, no QUIT
    offered().starts_tls().peer("220 go").interrupted().ends()  # half-made TLS
    asked().peer("250 ok").sends("QUIT").interrupted().ends()


def test_snapshot_in_the_middle() -> None:
    p = asked()
    assert (p.last().stage, p.last().outcome) == (Stage.RCPT, ExchangeOutcome.CUT_SHORT)
    p.peer("250 ok").sends("QUIT")
    assert p.stages()[-2:] == [Stage.RCPT, Stage.QUIT]
    held = play().peer("220 a", "220 b")
    assert (held.last().stage, held.last().outcome) == (Stage.EHLO, ExchangeOutcome.CUT_SHORT)


# --- what can never happen ----------------------------------------------------------------------------


def test_the_commands_are_these() -> None:
    verbs = {text.partition(" ")[0] for text in COMMANDS.values()}
    assert verbs == {"EHLO", "HELO", "STARTTLS", "MAIL", "RCPT", "RSET", "QUIT"}
    assert set(Script.FOLLOWS) == set(COMMANDS) | {Stage.BANNER}


@pytest.mark.parametrize("text", ["a\r\nDATA", "a\n", "a\x00b", "a\x7fb"])
def test_control_characters_are_a_bug_of_the_caller(text: str) -> None:
    with pytest.raises(ValueError, match="control character"):
        plan(rcpt=text)
    with pytest.raises(ValueError, match="control character"):
        plan(helo=text)


@given(st.text(max_size=40), st.sampled_from(["", "@example.com", "@[192.0.2.9]"]))
def test_no_parsed_address_has_control_characters(local: str, rest: str) -> None:
    try:
        address = parse(local + rest)
    except AddressError:
        return
    plan(rcpt=address.mailbox)


REPLIES = st.sampled_from(
    [
        "220 hi",
        "250 ok",
        "250-mx\r\n250 STARTTLS",
        "250 mx",
        UNKNOWN,
        UNCLEAR,
        "421 bye",
        "450 later",
        "452 too many",
        "354 go",
        "hello",
        "250",
        "250-",
        "",
        "221 bye",
    ]
).map(lambda text: text.encode() + b"\r\n")
EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("bytes"), st.one_of(REPLIES, REPLIES, st.binary(max_size=30))),
        st.tuples(st.just("wait"), st.sampled_from([0.0, 0.1, 0.3, 2.0, 40.0])),
        st.tuples(
            st.sampled_from(["close", "reset", "interrupt", "tls", "tls-failed", "given-up"]), st.none()
        ),
    ),
    max_size=40,
)
PLANS = st.builds(
    plan,
    purpose=st.sampled_from(Purpose),
    mail_from=st.sampled_from(["", "a@example.com"]),
    random_rcpt=st.sampled_from([None, RANDOM]),
    tls=st.sampled_from(TlsMode),
    offer_tls=st.booleans(),
    utf8=st.booleans(),
)


def _event(talk: Conversation, kind: str, value: object, now: float) -> Iterable[Action]:
    match kind:
        case "bytes":
            assert isinstance(value, bytes)
            return talk.received(value, now)
        case "wait":
            return talk.timed_out(now)
        case "close" | "reset":
            return talk.closed(now, reset=kind == "reset")
        case "given-up":
            return talk.given_up(now, "in vain")
        case "interrupt":
            return talk.interrupted(now)
        case _:
            return talk.tls_done(Tls(now, now, ok=kind == "tls"))


@given(PLANS, EVENTS, st.sampled_from([None, ALIVE, DEAD, GAP]))
def test_any_peer_at_any_time(the_plan: Plan, events: list[tuple[str, object]], info: TcpInfo | None) -> None:
    talk = Conversation(the_plan)
    actions = list(talk.connected(0.0, LOCAL_IP))
    now = 0.0
    aborting = False
    for kind, value in events:
        now += value if isinstance(value, float) else 0.001
        aborting |= kind in {"close", "reset", "interrupt", "tls-failed", "given-up"} and not talk.finished
        actions += _event(talk, kind, value, now)
    while (deadline := talk.deadline) is not None:  # it always ends
        actions += talk.timed_out(deadline)
        now = max(now, deadline)
    assert talk.finished
    assert len(actions) <= 25
    assert [a for a in actions if isinstance(a, Close)] == [actions[-1]]
    lines = [a.line for a in actions if isinstance(a, Send)]
    assert all(line.endswith(b"\r\n") and line.count(b"\n") == 1 for line in lines)
    assert not any(line.upper().startswith(b"DATA") for line in lines)
    assert lines.count(b"QUIT\r\n") <= 1

    connect = Connect(0.0, 0.0, ConnectOutcome.CONNECTED, local_ip=LOCAL_IP)
    session = talk.session(connect, now, tcp=info)
    if lines:
        assert session.exchanges[0].stage is Stage.BANNER
        assert session.exchanges[0].outcome is ExchangeOutcome.REPLY
    broken = {
        e.stage
        for e in session.exchanges
        if e.outcome not in {ExchangeOutcome.REPLY, ExchangeOutcome.CUT_SHORT}
    }
    if lines and not broken - {Stage.QUIT} and not aborting:
        assert lines[-1] == b"QUIT\r\n"
    purposes = set()
    step: Plan | None = the_plan
    while step is not None:
        assert step.purpose not in purposes
        purposes.add(step.purpose)
        step = follow_up(step, session)
    in_step(session)


@given(st.lists(REPLIES, max_size=8).map(b"".join), st.data())
def test_every_byte_is_on_the_tape_however_it_is_cut(stream: bytes, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=5)))
    whole = Conversation(plan())
    whole.connected(0.0, LOCAL_IP)
    whole.received(stream, 1.0)
    parts = Conversation(plan())
    parts.connected(0.0, LOCAL_IP)
    for start, stop in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        parts.received(stream[start:stop], 1.0)
    connect = Connect(0.0, 0.0, ConnectOutcome.CONNECTED)

    def received(talk: Conversation) -> str:
        tape = talk.session(connect, 2.0).tape
        return "".join(t.data for t in tape if t.direction is Direction.RECEIVED)

    assert received(whole) == received(parts) == stream.decode("latin-1")


def test_the_bytes_of_a_utf8_command_are_kept_as_bytes() -> None:
    talk = Conversation(plan(rcpt="用户@customer.example.com", utf8=True))
    talk.connected(0.0, LOCAL_IP)
    talk.received(b"220 hi\r\n", 0.1)
    talk.received(b"250-mx\r\n250 SMTPUTF8\r\n", 0.2)
    talk.received(b"250 ok\r\n", 0.3)
    sent = talk.session(Connect(0.0, 0.0, ConnectOutcome.CONNECTED), 0.4).exchanges[-1].command
    assert sent == "RCPT TO:<用户@customer.example.com>".encode().decode("latin-1")
