"""Several mailboxes over one connection, as a playbook: who is asked next, when it stops, whose evidence it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.core.conversation import SETTLE, Conversation, Plan, Send, in_step
from probe.core.model import Connect, ConnectOutcome, Direction, ExchangeOutcome, Purpose, Stage
from probe.core.tape import BYTES_KEPT
from tests.core.test_conversation import Play, plan

if TYPE_CHECKING:
    from probe.core.model import Session

NAMES = [f"user{n}@customer.example.com" for n in range(60)]
MAIL = "MAIL FROM:<>"
MISSING = "550 5.1.1 User unknown"
CONNECT = Connect(0.9, 1.0, ConnectOutcome.CONNECTED, local_ip="192.0.2.1")


class Series(Play):
    """A play with a list of further mailboxes; `left` are those that were not taken from it."""

    def __init__(self, the_plan: Plan, further: list[str]) -> None:
        super().__init__(the_plan)
        self.left = list(further)
        self.taken: list[bool] = []
        self.talk = Conversation(the_plan, self._next)
        self._actions = list(self.talk.connected(self.now, "192.0.2.1"))

    def _next(self, taken: bool) -> str | None:
        self.taken.append(taken)
        return self.left.pop(0) if self.left else None

    def sends_at_once(self, *lines: str) -> Series:
        """We send these lines in one write."""
        action = self._actions.pop(0)
        assert isinstance(action, Send)
        assert action.line.decode() == "".join(line + "\r\n" for line in lines)
        return self

    def talk_bytes(self, data: bytes) -> None:
        """Let the peer send these bytes, at the same moment as those before."""
        self._actions += self.talk.received(data, self.now)

    def take_lines(self) -> list[str]:
        """Return what we have said since."""
        said = b"".join(action.line for action in self._actions if isinstance(action, Send))
        self._actions.clear()
        return said.decode().splitlines()

    def sessions(self) -> list[Session]:
        return [session for _, session in self.talk.sessions(CONNECT, self.now)]

    def asked(self) -> list[str]:
        return [mailbox for mailbox, _ in self.talk.sessions(CONNECT, self.now)]


def series(
    number: int = 3, *, pipelining: bool = True, the_plan: Plan | None = None, first: str = "250 2.1.5 ok"
) -> Series:
    """Play to the point where the first mailbox has been answered."""
    s = Series(the_plan or plan(rcpt=NAMES[0]), NAMES[1:number])
    s.peer("220 mx.example.com").sends("EHLO probe.example.com")
    s.peer("250-mx.example.com", "250 PIPELINING" if pipelining else "250 DSN").sends(MAIL)
    s.peer("250 ok").sends(f"RCPT TO:<{NAMES[0]}>").peer(first)
    return s


def batch(name: str) -> tuple[str, str, str]:
    return "RSET", MAIL, f"RCPT TO:<{name}>"


def codes(session: Session) -> list[tuple[Stage, int | None]]:
    return [(e.stage, e.reply.code if e.reply else None) for e in session.exchanges]


OPENING = [(Stage.BANNER, 220), (Stage.EHLO, 250)]


def text(session: Session) -> str:
    marks = {Direction.SENT: ">", Direction.RECEIVED: "<", Direction.NOTE: "*"}
    return "".join(f"{marks[t.direction]}{t.data.strip()}\n" for t in session.tape)


@pytest.mark.parametrize("pipelining", [True, False])
def test_three_mailboxes_over_one_connection(*, pipelining: bool) -> None:
    s = series(pipelining=pipelining)
    for name, answer in ((NAMES[1], MISSING), (NAMES[2], "250 ok")):
        if pipelining:
            s.sends_at_once(*batch(name)).peer("250 reset", "250 ok", answer)
        else:
            for line, reply in zip(batch(name), ("250 reset", "250 ok", answer), strict=True):
                s.sends(line).peer(reply)
    s.sends("QUIT").peer("221 bye").ends()
    assert s.asked() == NAMES[:3]
    assert s.talk.unasked is None
    for number, (session, code) in enumerate(zip(s.sessions(), (250, 550, 250), strict=True)):
        assert codes(session) == [*OPENING, (Stage.MAIL, 250), (Stage.RCPT, code), (Stage.QUIT, 221)]
        assert session.exchanges[3].command == f"RCPT TO:<{NAMES[number]}>"
        assert session.before == number
        assert in_step(session) is True
        assert all(a is b for a, b in zip(session.exchanges[:2], s.sessions()[0].exchanges[:2], strict=True))
    first, second, third = (text(session) for session in s.sessions())
    assert "*after" not in first
    assert "*after 1 other address\n>RSET" in second
    assert "*after 2 other addresses\n>RSET" in third
    assert NAMES[0] not in second
    assert "<250 reset" in second
    assert NAMES[1] in second
    assert all(t.startswith("<220 mx") and t.endswith(">QUIT\n<221 bye\n") for t in (first, second, third))
    assert s.talk.session(CONNECT, s.now) == s.sessions()[0]


def test_nobody_else_to_ask() -> None:
    s = series(1).sends("QUIT").peer("221 bye").ends()
    assert isinstance(s, Series)
    assert [session.before for session in s.sessions()] == [0]


@pytest.mark.parametrize(
    "answer",
    [
        "450 4.2.0 greylisted",
        "452 4.5.3 too many recipients",
        "421 bye",
        "554 5.7.1 blocked using zen.dnsbl.example",
        "354 odd",
        "hello",
    ],
)
def test_displeasure_ends_it(answer: str) -> None:
    s = series(first=answer).sends("QUIT")
    assert isinstance(s, Series)
    assert s.left == NAMES[1:3]
    s = series().sends_at_once(*batch(NAMES[1])).peer("250 ok", "250 ok", answer)
    s.sends("QUIT")
    assert isinstance(s, Series)
    assert s.left == NAMES[2:3]
    assert s.asked() == NAMES[:2]


@pytest.mark.parametrize(
    "answer", [MISSING, "550 5.7.1 relaying denied", "452 4.2.2 mailbox full", "550 5.2.1 account disabled"]
)
def test_an_answer_about_the_mailbox_does_not(answer: str) -> None:
    series(first=answer).sends_at_once(*batch(NAMES[1]))


def test_a_second_try_ends_it() -> None:
    s = series().sends_at_once(*batch(NAMES[1])).peer("250 ok", "250 ok", "550 no")
    s.sends("RSET").peer("250 ok").sends("MAIL FROM:<postmaster@probe.example.com>").peer("250 ok")
    s.sends(f"RCPT TO:<{NAMES[1]}>").peer("250 ok").sends("QUIT")
    assert isinstance(s, Series)
    assert s.left == NAMES[2:3]
    last = [stage for stage, _ in codes(s.sessions()[1])]
    assert last[2:] == [Stage.MAIL, Stage.RCPT, Stage.RSET, Stage.MAIL_REAL, Stage.RCPT_REAL, Stage.QUIT]


def test_who_names_the_next_hears_whether_the_last_was_taken() -> None:
    s = series(4, first=MISSING).sends_at_once(*batch(NAMES[1])).peer("250 ok", "250 ok", "250 2.1.5 ok")
    s.sends_at_once(*batch(NAMES[2])).peer("250 ok", "250 ok", "452 4.2.2 mailbox full")
    s.sends_at_once(*batch(NAMES[3])).peer("250 ok", "250 ok", "451 4.3.2 later").sends("QUIT")
    assert isinstance(s, Series)
    assert s.taken == [False, True, False]


def test_the_answer_to_the_random_mailbox_is_none_about_the_mailbox() -> None:
    the_plan = plan(rcpt=NAMES[0], random_rcpt="probe-1@customer.example.com")
    s = Series(the_plan, NAMES[1:3])
    s.peer("220 mx.example.com").sends("EHLO probe.example.com").peer("250 mx.example.com").sends(MAIL)
    s.peer("250 ok").sends(f"RCPT TO:<{NAMES[0]}>").peer("250 ok")
    s.sends("RCPT TO:<probe-1@customer.example.com>").peer(MISSING).sends("RSET")
    assert s.taken == [True]


def test_mail_refused_in_a_batch() -> None:
    """What is said to RCPT then answers no question; the second try follows when it has come."""
    s = series().sends_at_once(*batch(NAMES[1])).peer("250 ok", "550 no bounces").silence()
    s.peer("503 no sender").sends("MAIL FROM:<postmaster@probe.example.com>").peer("250 ok")
    s.sends(f"RCPT TO:<{NAMES[1]}>").peer("250 ok").sends("QUIT").peer("221 x").ends()
    assert isinstance(s, Series)
    assert codes(s.sessions()[1])[2:] == [
        (Stage.MAIL, 550),
        (Stage.MAIL_REAL, 250),
        (Stage.RCPT_REAL, 250),
        (Stage.QUIT, 221),
    ]
    assert "503 no sender" in text(s.sessions()[1])


@pytest.mark.parametrize("pipelining", [True, False])
def test_rset_refused_leaves_the_next_unasked(*, pipelining: bool) -> None:
    s = series(pipelining=pipelining)
    if pipelining:
        s.sends_at_once(*batch(NAMES[1])).peer("502 what").silence().peer("250 ok", "250 ok")
    else:
        s.sends("RSET").peer("502 what")
    s.sends("QUIT").peer("221 bye").ends()
    assert (s.asked(), s.talk.unasked, s.left) == (NAMES[:1], NAMES[1], NAMES[2:3])
    assert codes(s.sessions()[0]) == [*OPENING, (Stage.MAIL, 250), (Stage.RCPT, 250), (Stage.QUIT, 221)]
    assert "<502 what" in text(s.sessions()[0])
    assert in_step(s.sessions()[0]) is True


@pytest.mark.parametrize("reset", [True, False])
def test_the_end_at_rset(*, reset: bool) -> None:
    s = series().sends_at_once(*batch(NAMES[1])).closes(reset=reset).ends()
    assert isinstance(s, Series)
    assert (s.asked(), s.talk.unasked) == (NAMES[:1], NAMES[1])
    assert codes(s.sessions()[0])[-1] == (Stage.RCPT, 250)
    assert "*reset" in text(s.sessions()[0]) or "*closed" in text(s.sessions()[0])


def test_silence_after_a_refused_rset_is_waited_out() -> None:
    s = series().sends_at_once(*batch(NAMES[1])).peer("502 no").waits(19).silence().waits(1.1).ends()
    assert isinstance(s, Series)
    assert (s.asked(), s.talk.unasked) == (NAMES[:1], NAMES[1])


@pytest.mark.parametrize("before", [(), ("502 no",)])
@pytest.mark.parametrize("rest", [(), ("503 what",), ("421 bye", "421 bye")])
@pytest.mark.parametrize("says_goodbye", [True, False])
def test_421_among_the_rest_is_the_last_word(
    before: tuple[str, ...], rest: tuple[str, ...], *, says_goodbye: bool
) -> None:
    """RFC 5321 3.8: QUIT at once, whether the host answers the other commands or not."""
    s = series().sends_at_once(*batch(NAMES[1])).peer(*before, "421 too many").sends("QUIT")
    for line in rest[: 2 - len(before)]:
        s.peer(line).silence()
    s = s.peer("221 bye").ends() if says_goodbye else s.closes().ends()
    assert isinstance(s, Series)
    assert (s.asked(), s.talk.unasked) == (NAMES[:1], NAMES[1])
    (alone,) = s.sessions()
    assert codes(alone)[3:] == [(Stage.RCPT, 250), (Stage.QUIT, 221 if says_goodbye else None)]
    assert in_step(alone) is (True if says_goodbye else None)


@pytest.mark.parametrize(
    ("what", "outcome"), [("closed", ExchangeOutcome.CLOSED), ("silent", ExchangeOutcome.TIMEOUT)]
)
def test_the_end_at_the_second(what: str, outcome: ExchangeOutcome) -> None:
    s = series().sends_at_once(*batch(NAMES[1])).peer("250 ok", "250 ok")
    s = s.closes() if what == "closed" else s.waits(20.1)
    s.ends()
    assert isinstance(s, Series)
    first, second = s.sessions()
    assert s.talk.unasked is None
    assert codes(first) == [*OPENING, (Stage.MAIL, 250), (Stage.RCPT, 250)]
    assert (second.exchanges[-1].stage, second.exchanges[-1].outcome) == (Stage.RCPT, outcome)
    assert first.tape[-1] == second.tape[-1]
    assert in_step(first) is None


def test_421_at_the_second() -> None:
    s = series().sends_at_once(*batch(NAMES[1])).peer("250 ok", "250 ok", "421 bye").sends("QUIT").closes()
    s.ends()
    assert isinstance(s, Series)
    first, second = s.sessions()
    assert codes(first)[3:] == [(Stage.RCPT, 250), (Stage.QUIT, None)]
    assert codes(second)[3:] == [(Stage.RCPT, 421), (Stage.QUIT, None)]


def test_interrupted_and_looked_at_meanwhile() -> None:
    s = series().sends_at_once(*batch(NAMES[1]))
    assert isinstance(s, Series)
    assert s.asked() == NAMES[:1]
    s.peer("250 ok", "250 ok")
    assert s.asked() == NAMES[:2]
    assert s.sessions()[1].exchanges[-1].outcome is ExchangeOutcome.CUT_SHORT
    s.interrupted().sends("QUIT").ends()
    assert [session.exchanges[-1].stage for session in s.sessions()] == [Stage.QUIT, Stage.QUIT]


# --- in step -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("extra", ["250 ok", MISSING])
def test_a_reply_too_many_puts_all_out_of_step(extra: str) -> None:
    s = series().sends_at_once(*batch(NAMES[1])).peer("250 ok", "250 ok", "250 ok", extra).silence()
    s.waits(SETTLE).sends("QUIT").peer("221 bye").closes().ends()
    assert isinstance(s, Series)
    assert [in_step(session) for session in s.sessions()] == [False, False]
    assert s.left == NAMES[2:3]


@pytest.mark.parametrize("pipelining", [True, False])
def test_a_shift_by_one_puts_all_out_of_step(*, pipelining: bool) -> None:
    """The answer to EHLO comes twice, the second time so late that it passes for that to MAIL."""
    s = series(2, pipelining=pipelining)  # the 250 to RCPT was that to MAIL
    if pipelining:
        s.sends_at_once(*batch(NAMES[1])).peer("250 rcpt of the first", "250 reset", "250 ok")
    else:
        for line, reply in zip(
            batch(NAMES[1]), ("250 rcpt of the first", "250 reset", "250 ok"), strict=True
        ):
            s.sends(line).peer(reply)
    s.sends("QUIT").peer(MISSING).peer("221 bye").closes().ends()
    assert [in_step(session) for session in s.sessions()] == [False, False]


def test_an_unasked_goodbye_takes_nothing_away() -> None:
    s = series().sends_at_once(*batch(NAMES[1])).peer("250 ok", "250 ok", MISSING, "421 bye")
    s.waits(SETTLE).sends("QUIT").peer("221 bye").ends()
    assert isinstance(s, Series)
    assert [in_step(session) for session in s.sessions()] == [True, True]


def test_a_chatty_peer_is_asked_for_one_only() -> None:
    s = series(first="250 ok\r\n250 ok").waits(SETTLE).sends("QUIT")
    assert isinstance(s, Series)
    assert s.left == NAMES[1:3]


# --- what else goes with it ----------------------------------------------------------------------------


def test_the_random_mailbox_is_asked_for_once() -> None:
    s = series(the_plan=plan(rcpt=NAMES[0], random_rcpt="q7x2@customer.example.com"))
    s.sends("RCPT TO:<q7x2@customer.example.com>").peer(MISSING)
    s.sends_at_once(*batch(NAMES[1])).peer("250 ok", "250 ok", "250 ok").sends_at_once(*batch(NAMES[2]))
    assert [Stage.RCPT_RANDOM in [e.stage for e in session.exchanges] for session in s.sessions()] == [
        True,
        False,
    ]


def test_a_mailbox_that_this_host_cannot_take_is_not_asked_for() -> None:
    s = Series(plan(rcpt=NAMES[0]), ["grün@customer.example.com"])
    s.peer("220 hi").sends("EHLO probe.example.com").peer("250-mx", "250 PIPELINING").sends(MAIL)
    s.peer("250 ok").sends(f"RCPT TO:<{NAMES[0]}>").peer("250 ok").sends("QUIT").peer("221 bye").ends()
    assert (s.asked(), s.talk.unasked) == (NAMES[:1], "grün@customer.example.com")
    s = Series(plan(rcpt=NAMES[0]), ["grün@customer.example.com"])
    s.peer("220 hi").sends("EHLO probe.example.com").peer("250-mx", "250 SMTPUTF8").sends(MAIL)
    s.peer("250 ok").sends(f"RCPT TO:<{NAMES[0]}>").peer("250 ok").sends("RSET").peer("250 ok")
    s.sends("MAIL FROM:<> SMTPUTF8")


def test_a_control_character_is_a_bug_of_the_caller() -> None:
    s = Series(plan(rcpt=NAMES[0]), ["a\r\nDATA@customer.example.com"])
    s.peer("220 hi").sends("EHLO probe.example.com").peer("250 mx").sends(MAIL).peer("250 ok")
    s.sends(f"RCPT TO:<{NAMES[0]}>")
    with pytest.raises(ValueError, match="control character"):
        s.peer("250 ok")


def test_an_audit_is_of_one_host_and_no_series() -> None:
    s = Series(plan(purpose=Purpose.AUDIT, rcpt=NAMES[0]), NAMES[1:3])
    s.peer("554 no").sends("QUIT")
    assert s.left == NAMES[1:3]


def test_limits_hold_for_each_and_fifty_do_not_add_up() -> None:
    long = "250-" + "x" * 480
    many = [*[long] * 8, "250 ok"]
    s = series(50)
    for name in NAMES[1:50]:
        s.sends_at_once(*batch(name)).peer("250 ok", "250 ok", *many)
    s.sends("QUIT").peer("221 bye").ends()
    sessions = s.sessions()
    assert len(sessions) == 50
    assert sum(len(t.data) for t in sessions[0].tape) + 49 * 8 * 480 > BYTES_KEPT
    assert all(session.dropped == 0 and len(session.tape) < 15 for session in sessions)
    assert all(sum(len(t.data) for t in session.tape) < 6000 for session in sessions)


ANSWERS = st.sampled_from(["250 ok", MISSING, "450 later", "550 no", "421 bye", "452 4.2.2 mailbox full"])


@given(st.lists(ANSWERS, min_size=1, max_size=6), st.booleans(), st.data())
def test_any_split_of_the_replies_gives_the_same(
    answers: list[str], pipelining: bool, data: st.DataObject
) -> None:
    def sessions(cut: bool) -> list[tuple[str, list[tuple[Stage, int | None]], str]]:
        s = Series(plan(rcpt=NAMES[0]), NAMES[1 : len(answers)])
        given_answers = iter(answers)
        pending = ["220 hi"]
        while not s.talk.finished:
            stream = "".join(line + "\r\n" for line in pending).encode()
            cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=4))) if cut else []
            for start, stop in zip([0, *cuts], [*cuts, len(stream)], strict=True):
                s.talk_bytes(stream[start:stop])
            pending = []
            for line in s.take_lines():
                if line.startswith("EHLO"):
                    pending += ["250-mx", "250 PIPELINING"] if pipelining else ["250 mx"]
                elif line.startswith("RCPT"):
                    pending.append(next(given_answers, "250 ok"))
                else:
                    pending.append("221 bye" if line == "QUIT" else "250 ok")
        found = s.talk.sessions(CONNECT, 2.0)
        return [(mailbox, codes(session), text(session)) for mailbox, session in found]

    assert sessions(cut=True) == sessions(cut=False)
