"""What breaks each requirement in a conversation, how it is quoted, and whom nobody may accuse. No socket."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from probe.core.classify import judge
from probe.core.model import (
    ConnectOutcome,
    Evidence,
    Exchange,
    ExchangeOutcome,
    Oddity,
    Purpose,
    Session,
    Stage,
    Tls,
    Violation,
)
from probe.core.rfc.requirements import REQUIREMENTS
from tests.support import arbitrary, make
from tests.support.every import every

RCPT_TO = f"RCPT TO:<{make.SENDER}>"
LONG = "RCPT TO:<this-local-part-has-64-octets-as-RFC-5321-allows-by-probe-sender@customer.example.com>"
CLOSED, RESET, TIMEOUT = ExchangeOutcome.CLOSED, ExchangeOutcome.RESET, ExchangeOutcome.TIMEOUT
COMMANDS: dict[Stage, str | None] = {
    Stage.BANNER: None,
    Stage.EHLO: "EHLO probe.example.net",
    Stage.HELO: "HELO probe.example.net",
    Stage.STARTTLS: "STARTTLS",
    Stage.TLS: None,
    Stage.MAIL: "MAIL FROM:<>",
    Stage.RCPT: RCPT_TO,
    Stage.RCPT_RANDOM: "RCPT TO:<probe-1@customer.example.com>",
    Stage.MAIL_REAL: "MAIL FROM:<postmaster@probe.example.net>",
    Stage.RCPT_REAL: RCPT_TO,
    Stage.NOOP: "NoOp",
    Stage.NOOP_AGAIN: "NOOP",
    Stage.RCPT_POSTMASTER: "RCPT TO:<Postmaster@customer.example.com>",
    Stage.RCPT_POSTMASTER_AGAIN: "RCPT TO:<postmaster@customer.example.com>",
    Stage.RCPT_LONG: LONG,
    Stage.RSET: "RSET",
    Stage.VRFY: "VRFY postmaster",
    Stage.UNKNOWN: "XPROBE",
    Stage.QUIT: "QUIT",
    Stage.EXTRA: None,
}
USUAL: dict[Stage, str] = {
    Stage.BANNER: f"220 {make.MX} ESMTP",
    Stage.EHLO: f"250 {make.MX}",
    Stage.HELO: f"250 {make.MX}",
    Stage.MAIL: "250 2.1.0 Ok",
    Stage.RCPT: "250 2.1.5 Ok",
    Stage.NOOP: "250 2.0.0 Ok",
    Stage.RCPT_POSTMASTER: "250 2.1.5 Ok",
    Stage.RCPT_LONG: "250 2.1.5 Ok",
    Stage.RSET: "250 2.0.0 Ok",
    Stage.VRFY: "252 2.5.0 Perhaps",
    Stage.UNKNOWN: "500 5.5.2 What?",
    Stage.QUIT: "221 2.0.0 Bye",
}
CALLOUT = (Stage.BANNER, Stage.EHLO, Stage.MAIL, Stage.RCPT, Stage.QUIT)
UNKNOWN_EHLO = (Stage.BANNER, Stage.EHLO, Stage.HELO, Stage.MAIL, Stage.RCPT, Stage.QUIT)
AUDIT = (
    Stage.BANNER,
    Stage.HELO,
    Stage.NOOP,
    Stage.MAIL,
    Stage.RCPT_POSTMASTER,
    Stage.RCPT_LONG,
    Stage.RSET,
    Stage.VRFY,
    Stage.UNKNOWN,
    Stage.QUIT,
)

Said = str | tuple[str, ...] | ExchangeOutcome


def step(stage: Stage, said: Said, *oddities: Oddity) -> Exchange:
    """Make one exchange: a line, several, or an end without any."""
    if isinstance(said, ExchangeOutcome):
        return make.exchange(stage, COMMANDS[stage], outcome=said)
    lines = (said,) if isinstance(said, str) else said
    return make.exchange(stage, COMMANDS[stage], *lines, oddities=oddities)


def talk(
    said: dict[Stage, Said] | None = None,
    stages: tuple[Stage, ...] = CALLOUT,
    oddity: Oddity | None = None,
    purpose: Purpose = Purpose.CALLOUT,
    tls: Tls | None = None,
) -> Session:
    """Make a conversation up to the first hang-up; `oddity` is one of every reply that `said` has."""
    exchanges = []
    for stage in stages:
        line: Said = (said or {}).get(stage, USUAL.get(stage, "250 Ok"))
        odd = (oddity,) if oddity is not None and said is not None and stage in said else ()
        exchanges.append(step(stage, line, *odd))
        if isinstance(line, ExchangeOutcome):
            break
    return make.session(*exchanges, purpose=purpose, tls=tls)


def audit(said: dict[Stage, Said], stages: tuple[Stage, ...] = AUDIT) -> tuple[Session, Session]:
    """Make a callout that is accepted, and the audit behind it."""
    return talk(), talk(said, stages, purpose=Purpose.AUDIT)


def found(*sessions: Session, evidence: Evidence | None = None) -> tuple[Violation, ...]:
    return judge(evidence or make.evidence(make.host(*sessions))).violations


def ids(*sessions: Session) -> set[str]:
    return {each.id for each in found(*sessions)}


def after(stage: Stage, *more: Stage, of: tuple[Stage, ...] = AUDIT) -> tuple[Stage, ...]:
    """Put further stages behind one."""
    at = of.index(stage) + 1
    return (*of[:at], *more, *of[at:])


FAILED = Tls(0.2, 0.3, ok=False, error="the peer closed the connection during the handshake")
SECURE = Tls(0.2, 0.3, ok=True, version="TLSv1.3")
OFFER = (f"250-{make.MX}", "250 STARTTLS")
ENHANCED = (f"250-{make.MX}", "250 ENHANCEDSTATUSCODES")
WITH_TLS = (Stage.BANNER, Stage.EHLO, Stage.STARTTLS, Stage.EHLO, Stage.MAIL, Stage.RCPT, Stage.QUIT)
REFUSED = (Stage.BANNER, Stage.QUIT)
UNKNOWN = "550 5.1.1 No such user here"

BREAKS: dict[str, tuple[Session, ...]] = {
    "greeting": (talk({Stage.BANNER: "SSH-2.0-OpenSSH_9.2"}, REFUSED),),
    "greeting-code": (talk({Stage.BANNER: "250 mx.example.com"}),),
    "greeting-name": (talk({Stage.BANNER: "220 ready"}),),
    "refusal-waits": (talk({Stage.BANNER: "554 No SMTP service here", Stage.QUIT: CLOSED}, REFUSED),),
    "reply-form": (talk({Stage.MAIL: "go ahead"}, oddity=Oddity.NO_CODE),),
    "reply-codes": (talk({Stage.RCPT: ("550-Wait", "250 2.1.5 Ok")}, oddity=Oddity.MIXED_CODES),),
    "reply-digits": (talk({Stage.RCPT: "650 2.1.5 Ok"}, oddity=Oddity.BAD_CODE),),
    "reply-second-digit": (talk({Stage.RCPT: "577 5.7.1 Go away"}),),
    "reply-text": (talk({Stage.RCPT: "550"}, oddity=Oddity.NO_TEXT),),
    "one-reply": (talk(stages=(Stage.BANNER, Stage.EHLO, Stage.EXTRA, Stage.MAIL, Stage.RCPT, Stage.QUIT)),),
    "crlf": (talk({Stage.RCPT: "250 2.1.5 Ok"}, oddity=Oddity.BARE_LF),),
    "line-length": (talk({Stage.RCPT: "550 5.1.1 xxxxxxxx"}, oddity=Oddity.LONG_LINE),),
    "ascii": (talk({Stage.RCPT: "550 5.1.1 Boîte inconnue"}, oddity=Oddity.EIGHT_BIT),),
    "stays-open": (talk({Stage.MAIL: CLOSED}),),
    "quit-reply": (talk({Stage.QUIT: CLOSED}),),
    "ehlo": (talk({Stage.EHLO: "502 5.5.1 Not implemented"}, UNKNOWN_EHLO),),
    "ehlo-code": (talk({Stage.EHLO: "554 5.7.1 Not you"}, UNKNOWN_EHLO),),
    "ehlo-state": (talk({Stage.EHLO: "500 What?", Stage.HELO: CLOSED}, UNKNOWN_EHLO),),
    "ehlo-name": (talk({Stage.EHLO: ("250-Hello probe.example.net", "250 SIZE 0")}),),
    "helo": audit({Stage.HELO: "502 5.5.1 Use EHLO"}),
    "helo-plain": audit({Stage.HELO: (f"250-{make.MX}", "250-PIPELINING", "250 HELP")}),
    "helo-match": (
        talk({Stage.EHLO: "550 HELO does not match your IP address"}, (Stage.BANNER, Stage.EHLO, Stage.QUIT)),
    ),
    "tls-optional": (
        talk(
            {Stage.MAIL: "530 5.7.0 Must issue a STARTTLS command first"},
            (Stage.BANNER, Stage.EHLO, Stage.MAIL, Stage.QUIT),
        ),
    ),
    "starttls-refused": (
        talk({Stage.EHLO: OFFER, Stage.STARTTLS: "502 5.5.1 Command not implemented"}, WITH_TLS),
    ),
    "starttls-works": (
        talk(
            {Stage.EHLO: OFFER, Stage.STARTTLS: "220 Go", Stage.TLS: ExchangeOutcome.TLS_FAILED},
            (Stage.BANNER, Stage.EHLO, Stage.STARTTLS, Stage.TLS),
            tls=FAILED,
        ),
    ),
    "starttls-again": (talk({Stage.EHLO: OFFER, Stage.STARTTLS: "220 Go"}, WITH_TLS, tls=SECURE),),
    "null-sender": (
        talk(
            {Stage.MAIL: "550 5.7.1 Null sender is not accepted here"},
            (Stage.BANNER, Stage.EHLO, Stage.MAIL, Stage.MAIL_REAL, Stage.RCPT_REAL, Stage.QUIT),
        ),
    ),
    "transaction-commands": (
        talk(
            dict.fromkeys((Stage.MAIL, Stage.MAIL_REAL), "502 5.5.1 Command not implemented"),
            (Stage.BANNER, Stage.EHLO, Stage.MAIL, Stage.MAIL_REAL, Stage.QUIT),
        ),
    ),
    "recipients": (
        talk(
            {Stage.RCPT_RANDOM: "452 4.5.3 Too many recipients"},
            after(Stage.RCPT, Stage.RCPT_RANDOM, of=CALLOUT),
        ),
    ),
    "unknown-user-code": (talk({Stage.RCPT: "554 5.1.1 No such user here"}),),
    "policy-code": (talk({Stage.RCPT: "554 5.7.1 192.0.2.10 is listed at zen.spamhaus.org"}),),
    "enhanced-class": (talk({Stage.EHLO: ENHANCED, Stage.RCPT: "450 5.1.1 No such user here"}),),
    "enhanced-missing": (talk({Stage.EHLO: ENHANCED, Stage.RCPT: "550 No"}),),
    "rset": audit({Stage.RSET: "502 5.5.1 Not implemented"}),
    "postmaster": audit(
        dict.fromkeys((Stage.RCPT_POSTMASTER, Stage.RCPT_POSTMASTER_AGAIN), UNKNOWN),
        after(Stage.RCPT_POSTMASTER, Stage.RCPT_POSTMASTER_AGAIN),
    ),
    "postmaster-case": audit(
        {Stage.RCPT_POSTMASTER: UNKNOWN}, after(Stage.RCPT_POSTMASTER, Stage.RCPT_POSTMASTER_AGAIN)
    ),
    "long-local-part": audit({Stage.RCPT_LONG: "501 5.1.3 Too long"}),
    "verb-case": audit({Stage.NOOP: "500 5.5.2 Unknown command"}, after(Stage.NOOP, Stage.NOOP_AGAIN)),
    "noop": audit(
        dict.fromkeys((Stage.NOOP, Stage.NOOP_AGAIN), "502 5.5.1 Not implemented"),
        after(Stage.NOOP, Stage.NOOP_AGAIN),
    ),
    "vrfy": audit({Stage.VRFY: "500 5.5.2 Unknown command"}),
    "vrfy-disabled": audit({Stage.VRFY: "502 5.5.1 VRFY command is disabled"}),
    "unknown-command": audit({Stage.UNKNOWN: "250 2.0.0 Ok"}),
    "unknown-stays": audit({Stage.UNKNOWN: CLOSED}),
}
OF_THE_DOMAIN = {"mx-is-name", "mx-not-alias", "mx-resolves", "null-mx-alone"}


# --- what breaks a requirement -------------------------------------------------------------------------


def test_every_requirement_of_a_host_is_here() -> None:
    assert BREAKS.keys() | OF_THE_DOMAIN == REQUIREMENTS.keys()


@every("word", BREAKS)
def test_it_is_found_and_quoted_as_the_table_says(word: str) -> None:
    row = REQUIREMENTS[word]
    violation = next((each for each in found(*BREAKS[word]) if each.id == word), None)
    assert violation is not None, f"{word} is not among {ids(*BREAKS[word])}"
    assert violation.saw == row.example
    assert violation.host == make.MX
    assert (violation.section_2821, violation.section_5321) == (row.section_2821, row.section_5321)
    assert (violation.level, violation.severity) == (row.level, row.severity)
    assert (violation.says, violation.mend) == (row.says, row.mend)


@pytest.mark.parametrize(("word", "data"), [
    ("mx-is-name", ("10 192.0.2.25.",)),
    ("mx-resolves", ("10 old.example.com.", f"20 {make.MX}.")),
    ("null-mx-alone", ("0 .", f"10 {make.MX}.")),
    ("mx-not-alias", ("10 mx.example.com.",)),
])  # fmt: skip
def test_the_domain_is_looked_at_too(word: str, data: tuple[str, ...]) -> None:
    alias = make.answer("mx.example.com", "A", make.MX_IP)
    alias = structs.replace(
        alias,
        records=(
            make.record("mx.example.com", "CNAME", "host.example.net."),
            make.record("host.example.net", "A", make.MX_IP),
        ),
    )
    dns = (
        make.answer("customer.example.com", "MX", *data),
        make.answer(make.MX, "A", make.MX_IP),
        make.answer(make.MX, "AAAA"),
        make.answer("old.example.com", "A"),
        make.answer("old.example.com", "AAAA"),
        alias,
        make.answer("mx.example.com", "AAAA"),
    )
    seen = {each.id: each.saw for each in found(evidence=make.evidence(dns=dns))}
    assert seen == {word: REQUIREMENTS[word].example}


def test_a_requirement_is_named_once_for_each_host_name() -> None:
    hosts = (
        make.host(talk({Stage.BANNER: "220 ready"}), talk({Stage.BANNER: "220 again"})),
        make.host(talk({Stage.BANNER: "220 ready"}), ip="203.0.113.16"),
        make.host(talk({Stage.BANNER: "220 ready"}), name="mx2.customer.example.com", ip="203.0.113.17"),
    )
    seen = [(each.id, each.host, each.saw) for each in found(evidence=make.evidence(*hosts))]
    assert seen == [
        ("greeting-name", make.MX, "greeting 220 ready"),
        ("greeting-name", "mx2.customer.example.com", "greeting 220 ready"),
    ]


# --- what breaks nothing -------------------------------------------------------------------------------


def test_a_model_host_breaks_nothing() -> None:
    assert ids(*audit({})) == set()


INNOCENT: dict[str, tuple[Session, ...]] = {
    "a name in brackets": (talk({Stage.BANNER: "220 [203.0.113.15] hi", Stage.EHLO: "250 [203.0.113.15]"}),),
    "an underscore in a name": (talk({Stage.BANNER: "220 mx_1.example.com hi"}),),
    "postscreen": (talk({Stage.BANNER: "450 4.3.2 Service currently unavailable"}, REFUSED),),
    "521 and a close": (talk({Stage.BANNER: "521 No mail here", Stage.QUIT: CLOSED}, REFUSED),),
    "421 and a close": (
        talk(
            {Stage.MAIL: "421 4.3.2 Bye", Stage.QUIT: CLOSED},
            (Stage.BANNER, Stage.EHLO, Stage.MAIL, Stage.QUIT),
        ),
    ),
    "421 out of turn": (
        make.session(
            *talk().exchanges[:-1], step(Stage.EXTRA, "421 4.4.2 Timeout"), step(Stage.QUIT, CLOSED)
        ),
    ),
    "a slow QUIT": (talk({Stage.QUIT: TIMEOUT}),),
    "a reset at QUIT": (talk({Stage.QUIT: RESET}),),
    "a time-out": (talk({Stage.RCPT: TIMEOUT}),),
    "our own stop": (talk({Stage.RCPT: ExchangeOutcome.CUT_SHORT}),),
    "a HELO name that they refuse": (
        talk(
            dict.fromkeys(
                (Stage.EHLO, Stage.HELO), "504 5.5.2 <probe>: Helo command rejected: need a full name"
            ),
            (Stage.BANNER, Stage.EHLO, Stage.HELO, Stage.QUIT),
        ),
    ),
    "STARTTLS not now": (talk({Stage.EHLO: OFFER, Stage.STARTTLS: "454 4.7.0 TLS not available"}, WITH_TLS),),
    "a handshake that we gave up": (
        talk(
            {Stage.EHLO: OFFER, Stage.STARTTLS: "220 Go", Stage.TLS: TIMEOUT},
            (Stage.BANNER, Stage.EHLO, Stage.STARTTLS, Stage.TLS),
            tls=Tls(0.2, 30.2, ok=False, error="timeout"),
        ),
    ),
    "a TLS library of ours without ciphers": (
        talk(
            {Stage.EHLO: OFFER, Stage.STARTTLS: "220 Go", Stage.TLS: ExchangeOutcome.TLS_FAILED},
            (Stage.BANNER, Stage.EHLO, Stage.STARTTLS, Stage.TLS),
            tls=Tls(0.2, 0.3, ok=False, error="our own TLS library has no cipher left to offer: NO_CIPHERS"),
        ),
    ),
    "enhanced codes that nobody promised": (talk({Stage.RCPT: "450 5.1.1 No such user here"}),),
    "a login": (talk({Stage.RCPT: "530 5.7.0 Authentication required"}),),
    "one recipient for a bounce": (
        talk(
            {Stage.RCPT_RANDOM: "452 4.5.3 Too many recipients for a bounce"},
            after(Stage.RCPT, Stage.RCPT_RANDOM, of=CALLOUT),
        ),
    ),
    "too many recipients in an hour": (
        talk(
            {Stage.RCPT_RANDOM: "452 4.3.1 Too many invalid recipients, come back later"},
            after(Stage.RCPT, Stage.RCPT_RANDOM, of=CALLOUT),
        ),
    ),
    "postmaster refused to us": audit(
        dict.fromkeys(
            (Stage.RCPT_POSTMASTER, Stage.RCPT_POSTMASTER_AGAIN), "550 5.7.1 192.0.2.10 is on our blocklist"
        ),
        after(Stage.RCPT_POSTMASTER, Stage.RCPT_POSTMASTER_AGAIN),
    ),
    "postmaster of a domain that is not theirs": audit(
        dict.fromkeys((Stage.RCPT_POSTMASTER, Stage.RCPT_POSTMASTER_AGAIN), "550 5.7.1 Relaying denied"),
        after(Stage.RCPT_POSTMASTER, Stage.RCPT_POSTMASTER_AGAIN),
    ),
    "postmaster greylisted": audit(
        {Stage.RCPT_POSTMASTER: "450 4.2.0 Greylisted", Stage.RCPT_LONG: "450 4.2.0 Wait"}
    ),
    "a long local part that is unknown": audit({Stage.RCPT_LONG: UNKNOWN}),
    "every recipient a syntax error": audit(
        dict.fromkeys(
            (Stage.RCPT_POSTMASTER, Stage.RCPT_POSTMASTER_AGAIN, Stage.RCPT_LONG), "501 5.5.4 Syntax: RCPT TO"
        ),
        after(Stage.RCPT_POSTMASTER, Stage.RCPT_POSTMASTER_AGAIN),
    ),
    "VRFY of one who is known": audit({Stage.VRFY: f"250 2.1.5 <postmaster@{make.MX}>"}),
    "VRFY of several": audit({Stage.VRFY: "553 User ambiguous"}),
    "a limit on connections": audit({Stage.BANNER: CLOSED}),
    "a limit on recipients": audit({Stage.RCPT_LONG: CLOSED}),
    "an audit that 421 ends": audit(
        {Stage.RSET: "421 4.7.0 Too many errors", Stage.QUIT: CLOSED}, (*AUDIT[:7], Stage.QUIT)
    ),
    "a masked greeting": (
        make.session(
            step(Stage.BANNER, "220 ****************", Oddity.MASKED),
            *talk({Stage.EHLO: "500 What?"}, UNKNOWN_EHLO).exchanges[1:],
        ),
    ),
    "an extension crossed out": (talk({Stage.EHLO: ("250-hi", "250 XXXXXXXA")}),),
    "a command crossed out": audit(
        {Stage.NOOP: '500 5.5.1 Command unrecognized: "XXXX"', Stage.RSET: "500 XXXX"}
    ),
}


@every("what", INNOCENT)
def test_nobody_is_accused_for(what: str) -> None:
    assert ids(*INNOCENT[what]) == set()


def test_a_reply_that_stands_beside_another_command_proves_nothing() -> None:
    late = talk(
        {
            Stage.EHLO: ENHANCED,
            Stage.EXTRA: "250 Ok",
            Stage.RCPT: "250 Ok",
            Stage.QUIT: "550 5.1.1 No such user",
        },
        (Stage.BANNER, Stage.EHLO, Stage.EXTRA, Stage.MAIL, Stage.RCPT, Stage.QUIT),
    )
    assert ids(late) == {"one-reply"}


def test_a_quit_that_is_not_known_is_no_reply_too_many() -> None:
    assert ids(talk({Stage.QUIT: "502 5.5.1 Command not implemented"})) == {"quit-reply"}


def test_what_the_path_did_is_not_theirs() -> None:
    dropped = talk({Stage.RCPT: RESET})
    assert ids(dropped) == {"stays-open"}
    assert ids(structs.replace(dropped, soft_error="EHOSTUNREACH")) == set()
    again = structs.replace(dropped, purpose=Purpose.SMALL_SEGMENTS)
    assert ids(talk(), again) == set()


def test_a_line_that_we_did_not_wait_for_is_not_malformed() -> None:
    half = make.exchange(
        Stage.BANNER, None, "22", outcome=TIMEOUT, oddities=(Oddity.NO_CODE, Oddity.UNTERMINATED)
    )
    assert ids(make.session(half)) == set()
    ended = structs.replace(half, outcome=CLOSED)
    assert ids(make.session(ended)) == {"reply-form", "greeting", "stays-open"}


def test_utf8_may_be_answered_where_it_was_agreed_on() -> None:
    said = talk({Stage.RCPT: "550 5.1.1 Boîte inconnue"}, oddity=Oddity.EIGHT_BIT)
    assert ids(said) == {"ascii"}
    exchanges = (
        structs.replace(each, command="MAIL FROM:<> SMTPUTF8") if each.stage is Stage.MAIL else each
        for each in said.exchanges
    )
    assert ids(structs.replace(said, exchanges=tuple(exchanges))) == set()


def test_nothing_is_said_of_a_host_that_was_not_reached() -> None:
    assert ids(make.session(connected=make.connect(ConnectOutcome.REFUSED))) == set()


# --- words of a refusal --------------------------------------------------------------------------------


@pytest.mark.parametrize(("said", "broken"), [
    ("550 5.1.1 User unknown", set()),
    ("553 sorry, no mailbox here by that name", set()),
    ("554 5.7.1 This account has been disabled", set()),
    ("511 5.1.1 User unknown", {"unknown-user-code"}),
    ("553 5.7.1 Your IP is listed at bl.spamcop.net", {"policy-code"}),
    ("554 5.0.0 Denied", set()),
    ("500 5.5.1 Command unrecognized", {"transaction-commands"}),
    ("450 4.2.0 Greylisted", set()),
])  # fmt: skip
def test_a_code_is_held_against_the_words_beside_it(said: str, broken: set[str]) -> None:
    assert ids(talk({Stage.RCPT: said})) == broken


@pytest.mark.parametrize(("said", "broken"), [
    ("550 2.1.5 Not known here", "vrfy-disabled"),
    ("554 5.7.1 Not for you", "vrfy-disabled"),
    ("502 5.3.3 Not implemented", "vrfy"),
    (CLOSED, "vrfy"),
])  # fmt: skip
def test_vrfy_has_one_way_to_say_nothing(said: Said, broken: str) -> None:
    assert ids(*audit({Stage.VRFY: said})) == {broken}


def test_a_vrfy_that_denies_a_postmaster_whom_rcpt_denies_too_is_honest() -> None:
    stages = after(Stage.RCPT_POSTMASTER, Stage.RCPT_POSTMASTER_AGAIN)
    said: dict[Stage, Said] = dict.fromkeys(
        (Stage.RCPT_POSTMASTER, Stage.RCPT_POSTMASTER_AGAIN, Stage.VRFY), UNKNOWN
    )
    assert ids(*audit(said, stages)) == {"postmaster"}


def test_a_bare_refusal_of_postmaster_counts_where_another_mailbox_was_taken() -> None:
    stages = after(Stage.RCPT_POSTMASTER, Stage.RCPT_POSTMASTER_AGAIN)
    said: dict[Stage, Said] = dict.fromkeys((Stage.RCPT_POSTMASTER, Stage.RCPT_POSTMASTER_AGAIN), "550 Sorry")
    _, asked = audit(said, stages)
    assert ids(talk(), asked) == {"postmaster"}
    assert "postmaster" not in ids(talk({Stage.RCPT: "550 Sorry"}), asked)


# --- total ---------------------------------------------------------------------------------------------


LINES = st.sampled_from(
    sorted({*USUAL.values(), *(row.example.rpartition("-> ")[2] for row in REQUIREMENTS.values())})
)
REPLIES = st.lists(LINES, min_size=1, max_size=3).map(tuple)
STEPS = st.builds(step, st.sampled_from(list(COMMANDS)), REPLIES | st.sampled_from(ExchangeOutcome))
SESSIONS = st.builds(
    lambda steps, purpose, tls: make.session(*steps, purpose=purpose, tls=tls),
    st.lists(STEPS, max_size=8),
    st.sampled_from(Purpose),
    st.sampled_from([None, FAILED, SECURE]),
)


@given(st.lists(SESSIONS, max_size=3))
def test_any_conversation_can_be_looked_at(sessions: list[Session]) -> None:
    for violation in found(*sessions):
        assert violation.id in REQUIREMENTS
        assert violation.saw


@given(arbitrary.struct(Evidence))
def test_any_evidence_can_be_looked_at(evidence: Evidence) -> None:
    assert all(each.id in REQUIREMENTS for each in found(evidence=evidence))
