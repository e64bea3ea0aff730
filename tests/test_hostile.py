"""Hostile and broken mail hosts, name servers and files: never a missing sender without a word that says so.

The worst error of this program is to call a sender missing when in truth we were blocked, timed out, or never
got to RCPT; the next worst is to call one existing who was refused. Here is what was tried to make it err,
first against the pure part with an oracle that is slow and obviously right, then on real sockets.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probe import codec
from probe.core.classify import judge
from probe.core.conversation import Close, Conversation, Plan, StartTls, follow_up
from probe.core.model import (
    About,
    Basis,
    Cause,
    Connect,
    ConnectOutcome,
    Evidence,
    ExchangeOutcome,
    Purpose,
    Reply,
    Stage,
)
from probe.core.phrases import FINAL, TEXT_LIMIT, read
from tests.support import make
from tests.support.arbitrary import examples
from tests.support.cases import Case, Expectation, HostSetup, play, transcript
from tests.support.every import every

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from probe.core.conversation import Action
    from probe.core.model import Session

# --- the oracle -----------------------------------------------------------------------------------------

ABOUT_US = (
    "blocked using zen.spamhaus.org",
    "Client host rejected: Access denied",
    f"your IP {make.OUR_IP} is not welcome",
    "Sender address rejected",
    "rejected by policy",
    "Helo command rejected",
    "too many connections from your host",
    "greylisted, come back later",
    "Sender verify failed",
    "authentication required",
    "poor reputation",
    "Must issue a STARTTLS command first",
    "cannot find your reverse hostname",
    f"<postmaster@{make.OUR_HELO}>",
    "SPF check failed",
    "the client is unknown",
    "IP frequency limited",
    "spam is not accepted",
    "directory harvest attack detected",
    "Absender unbekannt",
    "this mailbox does not accept mail from you",
    "your domain is unknown",
    "temporary lookup failure",
)
"""Whatever else stands beside one of these, the mailbox is not what was refused, or nobody can tell."""
ABOUT_MAILBOX = (
    "User unknown",
    "No such user here",
    "mailbox does not exist",
    "User unknown in local recipient table",
    "unknown or illegal alias",
    "Unrouteable address",
    "sorry, no mailbox here by that name",
    "Empfänger unbekannt",
    "this account has been disabled",
)
NEUTRAL = (
    "Sorry",
    "Requested action not taken",
    "see https://d.example/help?id=9",
    "<user@d.example>",
    "#77",
    "",
)
CODES_OF_MAILBOXES = ("5.1.1", "5.1.2", "5.1.10", "5.2.1")
OTHER_CODES = ("", "5.7.1", "5.1.8", "5.7.606", "5.0.0", "5.4.1")


class Refusal(NamedTuple):
    """A reply that was put together, and whether anything in it can mean the mailbox."""

    text: str
    may_be_missing: bool


@st.composite
def refusals(draw: st.DrawFn) -> Refusal:
    """Put a refusal together from fragments whose meaning is known, on one line or several."""
    us = draw(st.lists(st.sampled_from(ABOUT_US), max_size=1))
    mailbox = draw(st.lists(st.sampled_from(ABOUT_MAILBOX), max_size=2))
    fragments = draw(st.permutations([*us, *mailbox, draw(st.sampled_from(NEUTRAL))]))
    code = draw(st.sampled_from(["550", "554", "553", "450"]))
    enhanced = draw(st.sampled_from(CODES_OF_MAILBOXES + OTHER_CODES))
    glue = draw(st.sampled_from(["; ", ", ", ". ", ": ", " - ", "\n", "\r\n"]))
    lines = glue.join(fragments).replace("\r\n", "\n").split("\n")
    lines = [f"{code}-{enhanced} {line}".rstrip() for line in lines]
    lines[-1] = f"{code} {lines[-1][4:]}"
    named = bool(mailbox) or enhanced in CODES_OF_MAILBOXES
    return Refusal("\r\n".join(lines) + "\r\n", named and not us and code[0] == "5")


def reply(text: str) -> Reply:
    """Make the reply of a refusal, its bytes kept as the program keeps them."""
    lines = text.encode().decode("latin-1").splitlines()
    return Reply(int(lines[-1][:3]), tuple(lines), (), 0.0, 0.0)


@settings(max_examples=examples(4))
@given(refusals())
def test_words_about_anybody_else_leave_no_mailbox(refusal: Refusal) -> None:
    reading = read(reply(refusal.text), Stage.RCPT, (make.OUR_IP, make.OUR_HELO))
    firm = reading.basis is not Basis.BASIC or reading.about in {About.FULL, About.NO_MAIL_DOMAIN}
    if reading.about in FINAL and firm and refusal.text[0] == "5":
        assert refusal.may_be_missing, reading


def test_a_reply_that_is_not_read_to_its_end_names_no_mailbox() -> None:
    filling = "\n550-".join(["and more"] * (TEXT_LIMIT // 9 + 9))
    reading = read(reply(f"550-5.1.1 User unknown\n550-{filling}\n550 blocked using bl.example"), Stage.RCPT)
    assert (reading.about, reading.row, reading.runner_up) == (About.OTHER, "cut", About.MISSING_MAILBOX)


# --- whole conversations, without a socket --------------------------------------------------------------

CLOSE, RESET, SILENCE = "close", "reset", "silence"
Said = str | tuple[float, str]
"""What a peer does about one command: text, at once or after so many seconds, or one of the words above."""


def plan(mailbox: str = "user@d.example") -> Plan:
    """Make the callout that every host gets."""
    return Plan(rcpt=mailbox, helo=make.OUR_HELO, banner_timeout=5.0, reply_timeout=5.0, quit_timeout=1.0)


def hold(what: Plan, peer: Callable[[str], tuple[Said, ...]]) -> Session:
    """Hold a conversation in virtual time; `peer` says what follows a command (empty: the connection)."""
    talk, now = Conversation(what), 1.0
    connect = Connect(0.5, 1.0, ConnectOutcome.CONNECTED, local_ip=make.OUR_IP)
    talk.connected(now, make.OUR_IP)
    coming: list[tuple[float, str]] = []  # in the order said, each with the earliest time
    new: tuple[Said, ...] = peer("")
    while not talk.finished:
        for said in new:
            delay, text = said if isinstance(said, tuple) else (0.01, said)
            coming.append((max(now, coming[-1][0] if coming else 0.0) + delay, text))
        deadline = talk.deadline
        assert deadline is not None
        actions: tuple[Action, ...]
        if not coming or coming[0][1] == SILENCE or coming[0][0] > deadline:
            now = deadline
            actions = talk.timed_out(now)
        else:
            now, text = coming.pop(0)
            if text in {CLOSE, RESET}:
                actions = talk.closed(now, reset=text == RESET)
            else:
                actions = talk.received(text.encode(), now)
        new = ()
        for action in actions:
            assert not isinstance(action, StartTls)
            if not isinstance(action, Close):
                new += peer(action.line.decode().removesuffix("\r\n"))
    return talk.session(connect, now)


def callout(*peers: Callable[[str], tuple[Said, ...]]) -> Evidence:
    """Hold the callout and what follows it with one host, the last peer serving all further connections."""
    sessions: list[Session] = []
    following: Plan | None = plan()
    while following is not None and len(sessions) < 3:
        sessions.append(hold(following, peers[min(len(sessions), len(peers) - 1)]))
        following = follow_up(following, sessions[-1])
    return make.evidence(make.host(*sessions), to=make.address("user@d.example"))


class Peer:
    """A host that answers each command once, whatever it says, and remembers how it answered RCPT."""

    def __init__(self, behaviour: dict[str, tuple[Said, ...] | Refusal]) -> None:
        self.behaviour = behaviour
        self.null = False
        self.accepted = False
        self.missing = False

    def __call__(self, command: str) -> tuple[Said, ...]:
        verb = command[:4] or "BANNER"
        if verb == "MAIL":
            self.null = command.startswith("MAIL FROM:<>")
        key = f"{verb}<>" if self.null and verb in {"MAIL", "RCPT"} else verb
        said = self.behaviour.get(key, GOOD[verb])
        if isinstance(said, Refusal):
            self.missing |= verb == "RCPT" and said.may_be_missing
            return (said.text,)
        self.accepted |= verb == "RCPT" and said == GOOD["RCPT"]
        return said


GOOD: dict[str, tuple[Said, ...]] = {
    "BANNER": ("220 mx.d.example ESMTP\r\n",),
    "EHLO": ("250-mx.d.example\r\n", "250 SIZE\r\n"),
    "HELO": ("250 mx.d.example\r\n",),
    "MAIL": ("250 2.1.0 Ok\r\n",),
    "RCPT": ("250 2.1.5 Ok\r\n",),
    "RSET": ("250 2.0.0 Ok\r\n",),
    "QUIT": ("221 2.0.0 Bye\r\n",),
}
BROKEN: tuple[tuple[Said, ...], ...] = (
    (CLOSE,),
    (RESET,),
    (SILENCE,),
    ("550 5.1.1 User unkn", CLOSE),
    ("550-5.1.1 User unknown\r\n", SILENCE),
    ("5501 5.1.1 User unknown\r\n",),
    ("User unknown\r\n",),
    ("421 4.1.1 User unknown\r\n", CLOSE),
    ((6.0, "550 5.1.1 User unknown\r\n"),),
    ("55", (0.5, "0 5.7.1 bl"), (0.5, "ocked\r\n")),
)
KEYS = ("BANNER", "EHLO", "HELO", "MAIL<>", "MAIL", "RCPT<>", "RCPT", "RSET", "QUIT")


@st.composite
def behaviours(draw: st.DrawFn) -> dict[str, tuple[Said, ...] | Refusal]:
    """Draw how a host answers: well but for a few commands, at each of which it refuses or breaks."""
    keys = draw(st.sets(st.sampled_from(KEYS), max_size=3)) | draw(
        st.sets(st.sampled_from(("RCPT<>", "MAIL<>")))
    )
    return {key: draw(st.one_of(refusals(), st.sampled_from(BROKEN))) for key in sorted(keys)}


@settings(max_examples=examples(3))
@given(behaviours(), behaviours())
def test_no_word_of_the_mailbox_no_missing_sender(
    first: dict[str, tuple[Said, ...] | Refusal], second: dict[str, tuple[Said, ...] | Refusal]
) -> None:
    peers = Peer(first), Peer(second)
    report = judge(callout(*peers))
    if report.cause is Cause.MISSING_SENDER:
        assert any(peer.missing for peer in peers), report.summary
    if report.cause is Cause.SENDER_EXISTS:
        assert any(peer.accepted for peer in peers), report.summary


BLOCKED = Refusal("550 5.7.1 Your IP is blocked\r\n", may_be_missing=False)


@every("delay", [0.0, 0.1, 0.2])
@every("surplus", ["220 mx\r\n", "250 Ok\r\n", "250-a\r\n250 b\r\n", "502 What?\r\n", "421 x\r\n"])
@every("key", ["BANNER", "EHLO", "MAIL<>"])
def test_a_surplus_reply_hides_no_refusal(key: str, surplus: str, delay: float) -> None:
    good = GOOD[key.removesuffix("<>")]
    peer = Peer({key: (*good, (delay, surplus)), "RCPT<>": BLOCKED})
    report = judge(callout(peer))
    assert report.cause not in {Cause.SENDER_EXISTS, Cause.MISSING_SENDER}, report.summary


# --- whole runs, on real sockets ------------------------------------------------------------------------

ONE = "d.example. 300 MX 10 mx1.d.example.\nmx1.d.example. 300 A 127.0.0.2\n"
BACKUP = "d.example. 300 MX 20 mx2.d.example.\nmx2.d.example. 300 A 127.0.0.3\n"
TO_MX1 = "d.example. 300 MX 10 mx1.d.example.\n"
NO_RELAY = "*good RCPT=554 5.7.1 <user@d.example>: Relay access denied"
UNKNOWN = "*good RCPT=550 5.1.1 User unknown"
UP_TO_MAIL = "S: 220 mx\nC: EHLO\nS: 250 mx\nC: MAIL\nS: 250 Ok\n"
REFUSES_NULL = "S: 220 mx\nC: EHLO\nS: 250 mx\nC: MAIL\nS: 501 5.1.7 No\n"
HANGS_UP = f"{REFUSES_NULL}*close\n=== connection 2\n"


class Attack(msgspec.Struct, frozen=True):
    """A world in which a hasty program calls the sender missing (or existing), and what may be said of it."""

    causes: set[str]
    zone: str
    scripts: dict[str, str]
    dns: dict[str, str] = {}
    options: tuple[str, ...] = ()


ATTACKS = {
    "a blocklist beside words about the mailbox": Attack(
        {"policy-refusal"},
        ONE,
        {"127.0.0.2": "*good RCPT=550 5.1.1 User unknown; blocked using bl.example.net"},
    ),
    "first line about us, last about the mailbox": Attack(
        {"inconclusive", "policy-refusal"},
        ONE,
        {"127.0.0.2": f"{UP_TO_MAIL}C: RCPT\nS: 550-Your IP 127.0.0.1 is refused\nS: 550 No such user here"},
    ),
    "first line about the mailbox, last about us": Attack(
        {"inconclusive", "policy-refusal"},
        ONE,
        {"127.0.0.2": "*good RCPT=550-5.1.1 No such user here\\r\\n550 5.7.1 rejected by policy"},
    ),
    "a sender callout that quotes an unknown user": Attack(
        {"policy-refusal", "rfc-noncompliant", "inconclusive"},
        ONE,
        {
            "127.0.0.2": "*good RCPT=550-Verification failed for <postmaster@probe.example.net>\\r\\n"
            "550-Called: 192.0.2.9\\r\\n550-Response: 550 5.1.1 User unknown\\r\\n550 Sender verify failed"
        },
    ),
    "the code of an unknown mailbox, and a policy": Attack(
        {"policy-refusal"}, ONE, {"127.0.0.2": "*good RCPT=550 5.1.1 <user@d.example>: rejected by policy"}
    ),
    "a refusal that names our second sender": Attack(
        {"rfc-noncompliant", "inconclusive"},
        ONE,
        {
            "127.0.0.2": "*reply MAIL<> 550 no\n*good RCPT=550 5.1.1 <postmaster@probe.example.net> User unknown"
        },
    ),
    "521 with a reason that nobody knows": Attack(
        {"policy-refusal"}, ONE, {"127.0.0.2": "S: 521 Go and see your administrator"}
    ),
    "521 for now": Attack(
        {"policy-refusal"}, ONE, {"127.0.0.2": "S: 521 Server not accepting mail at this time"}
    ),
    "556 that asks to come back": Attack(
        {"inconclusive"}, ONE, {"127.0.0.2": "*good RCPT=556 Please try again later"}
    ),
    "plaintext behind 220 to STARTTLS": Attack(
        {"policy-refusal"},
        ONE,
        {
            "127.0.0.2": "S: 220 mx\nC: EHLO\nS: 250-mx\nS: 250 STARTTLS\nC: STARTTLS\n"
            "S> 220 go\\r\\n250 mx\\r\\n250 Ok\\r\\n550 5.1.1 User unknown\\r\\n\n*tls\n*good RCPT=550 5.7.1 blocked"
        },
    ),
    "421 between MAIL and RCPT": Attack(
        {"temporary"},
        ONE,
        {"127.0.0.2": f"{UP_TO_MAIL.removesuffix('S: 250 Ok')}S> 421 4.1.1 User unknown\\r\\n\n*close"},
    ),
    "half a refusal": Attack(
        {"rfc-noncompliant"}, ONE, {"127.0.0.2": f"{UP_TO_MAIL}C: RCPT\nS> 550 5.1.1 User unknown\n*close"}
    ),
    "the primary is dead and the backup denies relay": Attack(
        {"unreachable"}, ONE + BACKUP, {"127.0.0.2": "closed", "127.0.0.3": NO_RELAY}
    ),
    "the primary greylists and the backup denies relay": Attack(
        {"temporary"}, ONE + BACKUP, {"127.0.0.2": "*good RCPT=450 greylisted", "127.0.0.3": NO_RELAY}
    ),
    "the primary is closed and the backup never takes mail": Attack(
        {"unreachable"}, ONE + BACKUP, {"127.0.0.2": "closed", "127.0.0.3": "S: 521 mx2 does not accept mail"}
    ),
    "time is up while the primary is silent": Attack(
        {"inconclusive"},
        ONE + BACKUP,
        {"127.0.0.2": "*sleep 3\n*good", "127.0.0.3": UNKNOWN},
        options=("--timeout", "0.6"),
    ),
    "a resolver that says no to everything": Attack({"dns-failure"}, ONE, {}, {"*": "nxdomain"}),
    "a resolver that has nothing at all": Attack({"dns-failure"}, ONE, {}, {"*": "empty"}),
    "a null MX beside an exchange that cannot be looked up": Attack(
        {"dns-failure"}, f"d.example. 300 MX 0 .\n{TO_MX1}", {}, {"mx1.d.example.": "servfail"}
    ),
    "an exchange of the other family": Attack(
        {"inconclusive"}, f"{TO_MX1}mx1.d.example. 300 AAAA ::1\n", {}, options=("-4",)
    ),
}
HIDDEN_HOSTS = {
    "its look-up fails": Attack(
        {"inconclusive", "dns-failure"},
        TO_MX1 + BACKUP,
        {"127.0.0.3": NO_RELAY},
        {"mx1.d.example.": "servfail"},
    ),
    "its look-up is still running": Attack(
        {"inconclusive", "dns-failure"},
        ONE + BACKUP,
        {"127.0.0.3": NO_RELAY},
        {"mx1.d.example.": "slow:0.5"},
        ("--timeout", "0.3"),
    ),
    "it is of the other family": Attack(
        {"inconclusive"},
        f"{TO_MX1}mx1.d.example. 300 AAAA ::1\n{BACKUP}",
        {"127.0.0.3": NO_RELAY},
        options=("-4",),
    ),
    "it is not public": Attack(
        {"inconclusive"}, f"{TO_MX1}mx1.d.example. 300 A 224.0.0.9\n{BACKUP}", {"127.0.0.3": NO_RELAY}
    ),
    "it is one too many": Attack(
        {"inconclusive"},
        "".join(
            f"d.example. 300 MX {n} m{n}.d.example.\nm{n}.d.example. 300 A 127.0.0.{3 if n < 21 else 2}\n"
            for n in range(1, 22)
        ),
        {"127.0.0.3": NO_RELAY, "127.0.0.2": "*good"},
    ),
    "the resolver hid it": Attack(
        {"dns-failure", "inconclusive"},
        "d.example. 300 A 127.0.0.3\n",
        {"127.0.0.3": NO_RELAY},
        {"d.example. MX": "empty", ". NS": "empty"},
    ),
}
SHIFTED = {
    "RCPT is refused and accepted at once": Attack(
        {"inconclusive"},
        ONE,
        {"127.0.0.2": f"{UP_TO_MAIL}C: RCPT\nS> 550 5.1.1 User unknown\\r\\n250 Ok\\r\\n\nC: QUIT\nS: 221 x"},
    ),
    "the second connection answers one command late": Attack(
        {"inconclusive", "rfc-noncompliant", "policy-refusal"},
        ONE,
        {
            "127.0.0.2": f"{HANGS_UP}S: 220 mx\nC: EHLO\nS: 250 mx\nC: MAIL\nS: 250 mx\nC: RCPT\n"
            "S: 550 5.1.1 User unknown\nC: QUIT\nS: 503 5.5.1 MAIL first\n*close"
        },
    ),
}


def fought(attack: Attack) -> None:
    """Run the program in this world and see that it says nothing else than it may."""
    peers = {
        ip: HostSetup(state="closed")
        if script == "closed"
        else HostSetup(script=script, tls="*tls" in script)
        for ip, script in attack.scripts.items()
    }
    case = Case(
        title="",
        why="",
        address="user@d.example",
        options=list(attack.options),
        zone=attack.zone,
        expect=Expectation(cause="", reason="", exit=0),
        dns=attack.dns,
        peers=peers,
    )
    outcome = play(case)
    assert not outcome.errors
    assert outcome.report["cause"] in attack.causes, transcript(outcome)


@pytest.mark.parametrize("name", ATTACKS)
def test_a_hostile_world_makes_nobody_missing(name: str) -> None:
    fought(ATTACKS[name])


@pytest.mark.parametrize("name", HIDDEN_HOSTS)
def test_a_backup_that_denies_relay_does_not_speak_for_a_host_that_was_not_asked_because(name: str) -> None:
    fought(HIDDEN_HOSTS[name])


@pytest.mark.parametrize("name", SHIFTED)
def test_a_reply_that_may_answer_something_else_makes_nobody_missing(name: str) -> None:
    fought(SHIFTED[name])


# --- evidence from a file -------------------------------------------------------------------------------

LEAF = st.sampled_from(
    [
        None,
        True,
        0,
        -1,
        550,
        1e308,
        2**63,
        "",
        ".",
        "550 5.1.1 User unknown",
        "250 Ok",
        "9" * 400,
        "192.0.2.1",
    ]
    + [str(word) for kind in (Stage, Purpose, ConnectOutcome, ExchangeOutcome) for word in kind]
)


def blocked() -> dict[str, object]:
    """Give the evidence of two hosts that refuse us, as a file has it."""
    hosts = [
        make.host(make.session(*make.conversation(f"550 5.7.1 {text}")), ip=ip)
        for text, ip in (("blocked", make.MX_IP), ("Client host rejected", "203.0.113.16"))
    ]
    document: dict[str, object] = json.loads(codec.encode(make.evidence(*hosts)))
    return document


def leaves(value: object) -> Iterator[tuple[dict[str, object] | list[object], str | int]]:
    """Give every place of a document that holds a value, as container and key."""
    if isinstance(value, dict | list):
        items = list(value.items() if isinstance(value, dict) else enumerate(value))
        for key, item in items:
            yield value, key
            yield from leaves(item)


@settings(max_examples=examples(4))
@given(st.data())
def test_a_file_that_was_tampered_with_raises_nothing_and_makes_nobody_missing(data: st.DataObject) -> None:
    document = blocked()
    for _ in range(data.draw(st.integers(1, 3))):
        places = list(leaves(document["hosts"])) + list(leaves(document["options"]))
        container, key = data.draw(st.sampled_from(places))
        container[key] = data.draw(LEAF)  # type: ignore[index]
    text = json.dumps(document)
    try:
        evidence = codec.decode_evidence(text.encode(), "a file")
    except codec.EvidenceError:
        return
    report = judge(evidence)
    assert report.cause is not Cause.MISSING_SENDER or "5.1.1 User unknown" in text


def heard(*rcpt: str, then: str | None = "221 Bye") -> Evidence:
    """Make the evidence of one host that answered RCPT so, and QUIT with a reply or not at all."""
    said = make.conversation(*rcpt)
    lines = () if then is None else (then,)
    outcome = ExchangeOutcome.REPLY if lines else ExchangeOutcome.TIMEOUT
    return make.evidence(
        make.host(make.session(*said, make.exchange(Stage.QUIT, "QUIT", *lines, outcome=outcome)))
    )


def test_one_host_that_knows_the_mailbox_is_believed() -> None:
    assert judge(heard("550 5.1.1 User unknown")).cause is Cause.MISSING_SENDER
    assert judge(heard("250 Ok")).confidence == "certain"


def test_a_reply_without_lines_is_judged() -> None:
    silent = msgspec.structs.replace(make.conversation()[1], reply=Reply(550, (), (), 0.0, 0.0))
    banner, _, *rest = make.conversation()
    judge(make.evidence(make.host(make.session(banner, silent, *rest))))


def test_a_refusal_that_names_the_sender_of_the_user_is_about_that_sender() -> None:
    evidence = heard("550 5.1.1 <probe@example.org>: User unknown")
    chosen = msgspec.structs.replace(evidence.options, mail_from="probe@example.org")
    report = judge(msgspec.structs.replace(evidence, options=chosen))
    assert report.cause is not Cause.MISSING_SENDER


def test_an_acceptance_that_nothing_confirms_is_not_certain() -> None:
    # The 250 may be a surplus reply to MAIL, and the true answer to RCPT was still to come.
    assert judge(heard("250 2.1.0 Ok", then=None)).confidence != "certain"


def test_a_code_alone_is_not_certain_in_the_second_try_either() -> None:
    banner, ehlo, _, _ = make.conversation()
    talk = (
        make.exchange(Stage.MAIL, "MAIL FROM:<>", "501 No"),
        make.exchange(Stage.MAIL_REAL, "MAIL FROM:<postmaster@probe.example.net>", "250 Ok"),
        make.exchange(Stage.RCPT_REAL, "RCPT TO:<administrator@customer.example.com>", "550 5.1.1 Sorry"),
        make.exchange(Stage.QUIT, "QUIT", "221 Bye"),
    )
    report = judge(make.evidence(make.host(make.session(banner, ehlo, *talk))))
    assert (report.cause, report.confidence) == (Cause.MISSING_SENDER, "probable")
