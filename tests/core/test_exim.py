"""What Exim would do: against recorded answers of the real one, and by the book for versions that cannot be run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from probe.core.callout import NEWEST, OLDEST, Callout, Version
from probe.core.classify import judge
from probe.core.exim.reply import BUFFER, after_helo, offers, printing
from probe.core.exim.words import RANDOM
from probe.core.model import (
    AddressKind,
    ConnectOutcome,
    Covers,
    DnsOutcome,
    Evidence,
    Exchange,
    ExchangeOutcome,
    HostEvidence,
    MtaOutcome,
    MtaView,
    Origin,
    Purpose,
    Stage,
    Tls,
    TlsMode,
)
from tests.support import arbitrary, exim, make
from tests.support.arbitrary import examples
from tests.support.every import every
from tests.support.exim_scenarios import INEXACT, PLAYS
from tests.support.record_exim import RECORDED, load

if TYPE_CHECKING:
    from tests.support.record_exim import Recording

RECORDINGS = load()
SIZE_LIMIT = 2_000_000
"""Octets of all recordings together."""
STORY = Path(__file__).parents[2] / "fixtures" / "logs" / "story.log"
CLASSIC: Version = (4, 88)
WHERE = f"{make.MX} [{make.MX_IP}]"
SENDER = make.SENDER
OK, REJECT, DEFER = MtaOutcome.ACCEPT, MtaOutcome.REJECT, MtaOutcome.DEFER
BYE = make.exchange(Stage.QUIT, "QUIT", "221 bye", sent=1.0, ended=1.0)


# --- a real Exim, recorded -------------------------------------------------------------------------


@every("recording", RECORDINGS, ids=lambda recording: str(recording.play))
def test_prediction_is_what_exim_did(recording: Recording) -> None:
    view = exim.predict(recording.seen(), recording.play.callout)
    inexact = INEXACT.get(recording.play.name, "")
    found = [
        text
        for text in exim.disagreements(view, recording.answer, recording.cache)
        if not inexact.startswith(text.split("\n")[0])
    ]
    assert not found, "\n".join(found)


def test_every_comparison_is_recorded_and_the_file_stays_small() -> None:
    assert [recording.play for recording in RECORDINGS] == PLAYS
    assert RECORDED.stat().st_size < SIZE_LIMIT


VERSIONS: tuple[Version, ...] = ((4, 69), (4, 82), (4, 86), (4, 88), (4, 89), (4, 93), (4, 98))


def test_other_versions_say_it_otherwise_and_do_the_same() -> None:
    differ = set()
    for recording in RECORDINGS:
        if recording.play.callout != "callout=1s":
            continue
        evidence = recording.seen()
        known = _view(evidence, Callout(seconds=1.0))
        for version in VERSIONS:
            view = _view(evidence, Callout(seconds=1.0, version=version))
            if view is None or known is None or view.outcome is not known.outcome:
                differ.add(recording.play.name)
                continue
            assert view.version == f"4.{version[1]}"
            assert (view.reply or "250")[0] == {OK: "2", DEFER: "4", REJECT: "5"}[view.outcome]
            said = [line for line in view.log if "unencrypted" not in line and "CNAME loop" not in line]
            assert bool(said) is (view.outcome is not OK)
    # Where STARTTLS fails an Exim that does not say it is not told; and HELO alone is refused at once, and has
    # the whole buffer for its reply.
    assert differ == {
        *("starttls-closed", "starttls-malformed", "starttls-silent"),
        *("unfinished-ehlo-550", "ehlo-then-helo-4085"),
    }


# --- builders --------------------------------------------------------------------------------------


def _view(evidence: Evidence, callout: Callout | None = None) -> MtaView | None:
    servers = judge(evidence, callout or Callout()).mta
    return servers.exim if servers is not None else None


def view(*hosts: HostEvidence, **options: object) -> MtaView:
    """Predict for these mail hosts, with fields of `Callout`."""
    found = _view(make.evidence(*hosts), Callout(**options))  # type: ignore[arg-type]
    assert found is not None
    return found


def talks(*exchanges: Exchange, number: int = 1, **fields: object) -> HostEvidence:
    """Make mail host `mxN` with one session."""
    session = make.session(*exchanges)
    if number == 1:
        return make.host(session, **fields)  # type: ignore[arg-type]
    return make.host(
        session,
        name=f"mx{number}.customer.example.com",
        ip=f"203.0.113.{14 + number}",
        preference=10 * number,
        **fields,  # type: ignore[arg-type]
    )


def says(rcpt: str, **fields: object) -> HostEvidence:
    """Make a mail host that answers RCPT so."""
    return talks(*make.conversation(rcpt), BYE, **fields)  # type: ignore[arg-type]


def stops(stage: Stage, *lines: str, outcome: ExchangeOutcome = ExchangeOutcome.REPLY) -> HostEvidence:
    """Make a mail host whose conversation ends at a stage."""
    before = [Stage.BANNER, Stage.EHLO, Stage.MAIL, Stage.RCPT]
    stages = tuple(before[: before.index(stage)])
    command = {Stage.EHLO: f"EHLO {make.OUR_HELO}", Stage.MAIL: "MAIL FROM:<>"}.get(stage)
    last = make.exchange(stage, command, *lines, sent=1.0, ended=1.1, outcome=outcome)
    return talks(*make.conversation(stages=stages), last)


def unconnected(outcome: ConnectOutcome, errno: str | None = None, **fields: object) -> HostEvidence:
    """Make a mail host that cannot be connected to, after a second (ten for a time-out)."""
    ended = 10.04 if outcome is ConnectOutcome.TIMEOUT else 1.04
    failed = make.connect(outcome, ended=ended, errno_name=errno)
    return make.host(make.session(connected=failed), **fields)  # type: ignore[arg-type]


def delayed(seconds: float) -> HostEvidence:
    """Make a mail host that accepts after so many seconds at RCPT."""
    first = make.conversation(stages=(Stage.BANNER, Stage.EHLO, Stage.MAIL))
    late = make.exchange(Stage.RCPT, f"RCPT TO:<{SENDER}>", "250 ok", sent=1.0, ended=1.0 + seconds)
    return talks(*first, late)


def audited(host: HostEvidence, *exchanges: Exchange) -> HostEvidence:
    """Add an audit to a mail host."""
    return replace(host, sessions=(*host.sessions, make.session(*exchanges, purpose=Purpose.AUDIT)))


# --- the versions of 2008 and after ----------------------------------------------------------------


def test_the_story_of_2008_in_its_own_words() -> None:
    # The whole point: the two lines that an admin found in his log, from the evidence of a dead port.
    lines = [line.partition("]:25 ")[2] for line in STORY.read_text("ascii").splitlines()[:2]]
    ip = re.findall(r"\[([\d.]+)\]", lines[0])[0]
    host = unconnected(
        ConnectOutcome.TIMEOUT, name="customer.example.com", ip=ip, preference=None, origin=Origin.IMPLICIT
    )
    found = view(host, version=OLDEST)
    assert list(found.log) == [re.sub("RCPT <.*?>", "RCPT <recipient>", line) for line in lines]
    assert found.reply_lines == ("451 Could not complete sender verify callout",)
    assert found.cache == ()
    assert found.clear is None


@pytest.mark.parametrize(
    ("host", "outcome", "says"),
    [
        (
            says("550 5.1.1 User unknown"),
            REJECT,
            f'response to "RCPT TO:<{SENDER}>" from {WHERE} was: 550 5.1.1 User unknown',
        ),
        (
            stops(Stage.MAIL, "553 5.1.7 null sender not accepted"),
            REJECT,
            f'response to "MAIL FROM:<>" from {WHERE} was: 553 5.1.7 null sender not accepted',
        ),
        (
            stops(Stage.BANNER, "554 5.7.1 Access denied"),
            REJECT,
            f'response to "initial connection" from {WHERE} was: 554 5.7.1 Access denied',
        ),
        (
            says("450 4.2.0 Greylisted"),
            DEFER,
            f'response to "RCPT TO:<{SENDER}>" from {WHERE} was: 450 4.2.0 Greylisted',
        ),
        (
            unconnected(ConnectOutcome.REFUSED, "ECONNREFUSED"),
            DEFER,
            f"could not connect to {WHERE}: Connection refused",
        ),
        (
            stops(Stage.MAIL, outcome=ExchangeOutcome.CLOSED),
            DEFER,
            f'response to "MAIL FROM:<>" from {WHERE} was: connection dropped',
        ),
        # Time-outs, resets and what is no reply leave no message.
        (
            stops(Stage.BANNER, outcome=ExchangeOutcome.TIMEOUT),
            DEFER,
            "Could not complete sender verify callout",
        ),
        (stops(Stage.MAIL, outcome=ExchangeOutcome.RESET), DEFER, "Could not complete sender verify callout"),
        (stops(Stage.BANNER, "hello there"), DEFER, "Could not complete sender verify callout"),
    ],
)
def test_one_host_up_to_4_88(host: HostEvidence, outcome: MtaOutcome, says: str) -> None:
    found = view(host, version=CLASSIC)
    kind, temporarily, log = (
        ("fail", "", "Sender verify failed")
        if outcome is REJECT
        else ("defer", "temporarily ", "Could not complete sender verify callout")
    )
    assert found.outcome is outcome
    assert found.log == (
        f"sender verify {kind} for <{SENDER}>: {says}",
        f"F=<{SENDER}> {temporarily}rejected RCPT <recipient>: {log}",
    )


@pytest.mark.parametrize("version", [OLDEST, CLASSIC])
def test_a_refused_greeting_blocked_the_whole_domain_up_to_4_88(version: Version) -> None:
    host = stops(Stage.BANNER, "554 5.7.1 Access denied")
    old, new = view(host, version=version), view(host)
    assert old.reply_lines == (
        f"550-Callback setup failed while verifying <{SENDER}>",
        f"550-Called:   {make.MX_IP}",
        "550-Sent:     initial connection",
        "550-Response: 554 5.7.1 Access denied",
        "550-The initial connection, or a HELO or MAIL FROM:<> command was",
        "550-rejected. Refusing MAIL FROM:<> does not help fight spam, disregards",
        "550-RFC requirements, and stops you from receiving standard bounce",
        "550-messages. This host does not accept mail from domains whose servers",
        "550-refuse bounces.",
        "550 Sender verify failed",
    )
    assert [(record.covers, record.key) for record in old.cache] == [(Covers.DOMAIN, "customer.example.com")]
    assert new.reply_lines[0] == f"550-Verification failed for <{SENDER}>"
    assert new.reply_lines[2] == "550-Sent:     QUIT"
    assert new.cache == ()


def test_helo_is_all_that_is_said_before_4_82() -> None:
    refused = make.exchange(Stage.EHLO, f"EHLO {make.OUR_HELO}", "502 what", sent=1.0, ended=1.1)
    helo = make.exchange(Stage.HELO, f"HELO {make.OUR_HELO}", "550 your name", sent=1.1, ended=1.2)
    host = talks(*make.conversation(stages=(Stage.BANNER,)), refused, helo, BYE)
    for version in (OLDEST, (4, 82)):
        found = view(host, version=version)
        assert found.outcome is REJECT
        assert f'response to "HELO {make.OUR_HELO}" from {WHERE} was: 550 your name' in found.log[0]
    assert any("says HELO" in note for note in view(says("250 ok"), version=OLDEST).notes)
    assert not view(says("250 ok"), version=(4, 82)).notes


def test_several_hosts_leave_no_reason_for_a_deferral() -> None:
    hosts = (says("451 later"), says("450 later", number=2))
    for version in (OLDEST, NEWEST):
        found = view(*hosts, version=version)
        assert found.outcome is DEFER
        assert found.log[0] == f"sender verify defer for <{SENDER}>: Could not complete sender verify callout"
        assert [asked.name for asked in found.asked] == [make.MX, "mx2.customer.example.com"]
        assert "451 later" in found.asked[0].why
        assert "450 later" in found.asked[1].why


def test_what_an_old_exim_knew_of_tls() -> None:
    ehlo = make.exchange(Stage.EHLO, f"EHLO {make.OUR_HELO}", "250-mx", "250 STARTTLS", sent=0.1, ended=0.2)
    starttls = make.exchange(Stage.STARTTLS, "STARTTLS", "220 go", sent=0.2, ended=0.3)
    failed = make.exchange(Stage.TLS, None, sent=0.3, ended=0.4, outcome=ExchangeOutcome.TLS_FAILED)
    banner = make.conversation(stages=(Stage.BANNER,))
    first = make.session(*banner, ehlo, starttls, failed, tls=Tls(0.3, 0.4, ok=False, error="bad record"))
    clear = make.session(*make.conversation("550 5.1.1 unknown"), BYE, purpose=Purpose.CLEAR)
    host = make.host(first, clear)
    lines = {version: view(host, version=version).log[0] for version in ((4, 85), (4, 88), (4, 96))}
    assert lines[4, 85].startswith("sender verify fail")
    assert (
        lines[4, 88] == f"TLS session failure: delivering unencrypted to {WHERE} (not in hosts_require_tls)"
    )
    assert lines[4, 96].endswith(f": callout unencrypted to {WHERE} (not in hosts_require_tls)")


# --- the connection --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outcome", "errno", "without", "fast"),
    [
        (ConnectOutcome.TIMEOUT, None, "Connection timed out", "SMTP timeout after initial connection"),
        (ConnectOutcome.REFUSED, "ECONNREFUSED", "Connection refused", "Connection refused"),
        (ConnectOutcome.HOST_UNREACHABLE, "EHOSTUNREACH", "No route to host", WHERE),
        (ConnectOutcome.PROHIBITED, "EHOSTUNREACH", "No route to host", WHERE),
        (ConnectOutcome.PROHIBITED, None, "Permission denied", WHERE),
        (ConnectOutcome.NO_ROUTE, "ENETUNREACH", "Network is unreachable", "Network is unreachable"),
    ],
)
def test_fast_open_hides_what_became_of_the_connection(
    outcome: ConnectOutcome, errno: str | None, without: str, fast: str
) -> None:
    host = unconnected(outcome, errno)
    for version, said in (((4, 92), without), ((4, 93), fast)):
        found = view(host, version=version)
        start = f"sender verify defer for <{SENDER}>: Could not complete sender verify callout: {WHERE} : "
        assert found.log[0] == f"{start}{said}"
        assert found.asked[0].why == said
        assert any("TCP Fast Open" in note for note in found.notes) is (
            fast != without and version == (4, 93)
        )


def test_newer_versions_log_an_error_of_this_host_once_more() -> None:
    host = unconnected(ConnectOutcome.NO_ROUTE, "ENETUNREACH")
    assert len(view(host, version=(4, 97)).log) == 2
    assert view(host, version=(4, 99)).log[0] == (
        "recipient verify defer (making callout connection): T=remote_smtp Network is unreachable"
    )
    assert "calloout" in view(host, version=(4, 98)).log[0]


def test_a_connection_that_takes_its_time() -> None:
    slow = make.connect(started=0.0, ended=8.0)
    host = make.host(make.session(*make.conversation(), BYE, connected=slow))
    assert view(host).outcome is OK
    assert view(host, connect=5.0).outcome is OK, "not looked at with Fast Open"
    assert view(host, connect=5.0, version=(4, 92)).outcome is DEFER
    assert view(host, seconds=5.0).outcome is DEFER, "the greeting is waited for from the first second on"


# --- time ------------------------------------------------------------------------------------------


def test_exim_does_not_wait_as_long_as_we_do() -> None:
    host = delayed(31.0)
    found = view(host)
    assert found.outcome is DEFER
    assert f"SMTP timeout after RCPT TO:<{SENDER}>" in found.log[0]
    assert any("only after the 30 s" in note for note in found.notes)
    assert found.seconds == pytest.approx(30, abs=1)
    cpanel = view(host, seconds=60.0, cpanel=True)
    assert (cpanel.outcome, cpanel.notes) == (OK, ())
    assert cpanel.seconds == pytest.approx(31, abs=1)


def test_exim_may_wait_longer_than_we_did() -> None:
    host = stops(Stage.BANNER, outcome=ExchangeOutcome.TIMEOUT)
    found = view(host, seconds=60.0)
    assert found.outcome is DEFER
    assert found.seconds == pytest.approx(60, abs=1)
    assert any("longer than we did" in note for note in found.notes)


def test_exim_stops_before_the_fifth_silent_host() -> None:
    dead = [
        unconnected(ConnectOutcome.TIMEOUT, name=f"mx{n}.example.com", ip=f"203.0.113.{n}", preference=n)
        for n in range(1, 6)
    ]
    found = view(*dead, says("250 ok", number=9))
    assert found.outcome is DEFER
    assert len(found.asked) == 4
    assert found.seconds == pytest.approx(4 * 31, abs=1)
    assert any("maxwait" in note for note in found.notes)
    assert view(*dead, says("250 ok", number=9), maxwait=600.0).outcome is OK
    assert len(view(*dead, maxwait=30.0).asked) == 1


# --- hosts -----------------------------------------------------------------------------------------


def test_the_first_refusal_ends_it() -> None:
    found = view(stops(Stage.BANNER, "554 no"), says("250 ok", number=2))
    assert found.outcome is REJECT
    assert [(asked.outcome, asked.why) for asked in found.asked] == [
        (REJECT, "SMTP error from remote mail server after initial connection: 554 no")
    ]


def test_a_later_host_may_accept() -> None:
    found = view(says("451 later"), says("250 2.1.5 ok", number=2))
    assert found.outcome is OK
    assert (found.reply, found.reply_lines, found.log) == (None, (), ())
    assert [asked.outcome for asked in found.asked] == [DEFER, OK]
    assert found.asked[1].why == "250 2.1.5 ok"


def test_equal_hosts_are_asked_in_any_order() -> None:
    one, other = says("550 5.1.1 unknown"), says("250 ok", number=2)
    assert not any("order" in note for note in view(one, other).notes)
    found = view(one, replace(other, preference=10))
    assert any("first, the outcome is accept" in note for note in found.notes)
    over_6 = replace(other, preference=10, ip="2001:db8::25")
    assert not any("order" in note for note in view(one, over_6).notes), "IPv6 comes before IPv4"


def test_what_was_not_heard_is_not_guessed() -> None:
    cut = stops(Stage.RCPT, outcome=ExchangeOutcome.CUT_SHORT)
    assert _view(make.evidence(cut)) is None
    assert _view(make.evidence(says("451 later"), replace(make.host(), name="mx2"))) is None
    never = make.options(tls=TlsMode.NEVER)
    ehlo = make.exchange(Stage.EHLO, f"EHLO {make.OUR_HELO}", "250-mx", "250 STARTTLS", sent=0.1, ended=0.2)
    banner = make.conversation(stages=(Stage.BANNER,))
    mail = make.exchange(Stage.MAIL, "MAIL FROM:<>", "530 Must issue a STARTTLS command first", sent=1.0)
    assert _view(make.evidence(talks(*banner, ehlo, mail, BYE), chosen=never)) is None
    mail = make.exchange(Stage.MAIL, "MAIL FROM:<>", "550 5.7.1 listed", sent=1.0, ended=1.1)
    told = _view(make.evidence(talks(*banner, ehlo, mail, BYE), chosen=never))
    assert told is not None
    assert told.outcome is REJECT
    assert any("STARTTLS" in note for note in told.notes)


def test_our_own_sender_is_not_the_null_sender() -> None:
    found = _view(make.evidence(says("250 ok"), chosen=make.options(mail_from="probe@example.net")))
    assert found is not None
    assert any("<probe@example.net>" in note for note in found.notes)


def test_an_address_literal_is_refused_by_a_stock_exim() -> None:
    literal = make.address("user@[IPv6:2001:DB8::25]", kind=AddressKind.LITERAL, ip="2001:db8::25")
    host = says("550 no", name=literal.domain, ip="2001:db8::25", preference=None, origin=Origin.LITERAL)
    found = _view(make.evidence(host, to=literal, dns=()))
    assert found is not None
    assert "[ipv6:2001:db8::25] [2001:db8::25] : " in found.log[0]
    assert found.cache[0].key == "[ipv6:2001:db8::25]"
    assert any("literal" in note for note in found.notes)


# --- the DNS ---------------------------------------------------------------------------------------


def test_a_resolver_that_keeps_silent_has_limits_of_its_own() -> None:
    silent = make.answer(outcome=DnsOutcome.TIMEOUT)
    found = _view(make.evidence(dns=(silent,)))
    assert found is not None
    assert (found.outcome, found.reply) == (DEFER, "451 Temporary local problem - please try later")
    assert found.seconds is None
    failed = _view(make.evidence(dns=(make.answer(outcome=DnsOutcome.SERVFAIL),)))
    assert failed is not None
    assert failed.seconds == pytest.approx(0.02)


def test_defer_ok_does_not_soften_the_dns() -> None:
    found = _view(make.evidence(dns=(make.answer(outcome=DnsOutcome.SERVFAIL),)), Callout(defer_ok=True))
    assert found is not None
    assert found.outcome is DEFER
    softened = view(says("451 later"), defer_ok=True)
    assert (softened.outcome, softened.reply, softened.log) == (OK, None, ())
    assert "defer_ok" in softened.notes[0]
    assert view(says("550 no"), defer_ok=True).outcome is REJECT


# --- options ---------------------------------------------------------------------------------------


def test_a_random_mailbox_decides_before_the_real_one() -> None:
    def answered(lines: str) -> HostEvidence:
        asked = make.exchange(Stage.RCPT_RANDOM, "RCPT TO:<probe-7@d>", lines, sent=0.6, ended=0.7)
        return talks(*make.conversation("250 ok"), asked, BYE)

    everybody = view(answered("250 ok"), random=True)
    assert everybody.outcome is OK
    assert [(record.covers, record.holds) for record in everybody.cache] == [
        (Covers.DOMAIN, "accept random=accept")
    ]
    nobody = view(answered("550 unknown"), random=True)
    assert nobody.outcome is OK
    assert [record.holds for record in nobody.cache] == ["accept random=reject", "accept"]
    deferred = view(answered("451 later"), random=True)
    assert deferred.outcome is DEFER
    assert f"after RCPT TO:<{RANDOM}@customer.example.com>: 451 later" in deferred.log[0]
    assert view(answered("451 later"), random=True, version=CLASSIC).outcome is OK
    unknown = view(answered("452 too many recipients"), random=True)
    assert unknown.outcome is OK
    assert any("random mailbox" in note for note in unknown.notes)


def test_a_null_sender_refused_is_not_blamed_where_a_random_mailbox_was_to_be_asked() -> None:
    host = stops(Stage.MAIL, "550 no")
    assert view(host, random=True).reply_lines[0] == f"550-Verification failed for <{SENDER}>"
    assert [record.holds for record in view(host, random=True).cache] == ["accept"]
    assert view(host).reply_lines[0] == f"550-Callback setup failed while verifying <{SENDER}>"
    assert [record.holds for record in view(host).cache] == ["reject_mfnull"]


def test_the_postmaster_is_asked_of_the_audit() -> None:
    reset = make.exchange(Stage.RSET, "RSET", "250 ok", sent=1.0, ended=1.0)

    def postmaster(*replies: str) -> HostEvidence:
        stages = (Stage.RCPT_POSTMASTER, Stage.RCPT_POSTMASTER_AGAIN)
        asked = [
            make.exchange(stage, "RCPT", reply, sent=1.0, ended=1.0)
            for stage, reply in zip(stages, replies, strict=False)
        ]
        return audited(says("250 ok"), *asked, reset)

    assert view(postmaster("250 ok"), postmaster=True).outcome is OK
    assert view(postmaster("550 what", "250 ok"), postmaster=True).outcome is OK, "Exim asks in lower case"
    for version in (NEWEST, CLASSIC):
        refused = view(postmaster("550 what", "550 who"), postmaster=True, version=version)
        assert refused.outcome is REJECT
        assert refused.reply_lines[0] == f"550-Postmaster verification failed while checking <{SENDER}>"
        assert "RCPT TO:<postmaster@customer.example.com>" in refused.log[0]
        assert [(record.holds, record.seconds) for record in refused.cache] == [
            ("accept postmaster=reject", 10800),
            ("accept", 86400),
        ]
    assert view(postmaster("450 later"), postmaster=True).outcome is DEFER
    assert _view(make.evidence(says("250 ok")), Callout(postmaster=True)) is None
    assert _view(make.evidence(says("550 no")), Callout(postmaster=True)) is None, "its answer would decide"
    assert _view(make.evidence(says("550 no")), Callout(postmaster=True, version=CLASSIC)) is not None
    assert _view(make.evidence(postmaster("550 what", "550 who")), Callout(fullpostmaster=True)) is None
    assert view(says("451 later"), postmaster=True).outcome is DEFER


def test_what_the_audit_heard_of_a_long_mailbox_stands_for_the_random_one() -> None:
    def heard(reply: str, *more: Exchange) -> HostEvidence:
        asked = make.exchange(Stage.RCPT_LONG, "RCPT TO:<long@d>", reply, sent=1.0, ended=1.0)
        return audited(says("550 no"), asked, *more)

    assert view(heard("250 ok"), random=True).outcome is OK
    refused = view(heard("550 no"), random=True)
    assert [record.holds for record in refused.cache] == ["accept random=reject", "reject"]
    assert refused.notes == ()
    spare = make.exchange(Stage.EXTRA, None, "250 spare", sent=1.0, ended=1.0)
    out_of_step = view(heard("250 ok", spare), random=True)
    assert out_of_step.outcome is REJECT
    assert any("random mailbox" in note for note in out_of_step.notes)


def test_nothing_is_predicted_where_tls_begins_with_an_address_literal() -> None:
    exchanges = make.conversation("250 ok")
    offer = make.exchange(Stage.EHLO, "EHLO x", "250-mx", "250 STARTTLS", sent=0.2, ended=0.2)
    ready = make.exchange(Stage.STARTTLS, "STARTTLS", "220 go", sent=0.3, ended=0.3)
    secure = (exchanges[0], offer, ready, *exchanges[1:])
    session = make.session(*secure, tls=Tls(0.3, 0.3, ok=True))
    assert view(make.host(session)).outcome is OK
    assert _view(make.evidence(make.host(session, origin=Origin.LITERAL))) is None


def test_what_was_lost_with_a_reset_connection_is_named() -> None:
    found = view(unconnected(ConnectOutcome.RESET, "ECONNRESET"))
    assert found.outcome is DEFER
    assert any("had a refusal come first" in note for note in found.notes)


def test_a_reply_in_pieces_near_the_limit_is_named() -> None:
    first = make.conversation(stages=(Stage.BANNER, Stage.EHLO, Stage.MAIL))
    late = make.exchange(Stage.RCPT, f"RCPT TO:<{SENDER}>", "250 ok", sent=1.0, ended=30.5)
    assert late.reply is not None
    in_pieces = replace(late, reply=replace(late.reply, started=20.0))
    assert not view(talks(*first, late)).notes
    assert any("in pieces" in note for note in view(talks(*first, in_pieces)).notes)


# --- the cache -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "kept", "at_cpanel"),
    [
        (says("250 ok"), [("accept", 604800), ("accept", 86400)], [604800, 86400]),
        (says("550 no"), [("accept", 604800), ("reject", 7200)], [604800, 3600]),
        (says("451 later"), [("accept", 604800)], [604800]),
        (stops(Stage.MAIL, "550 no"), [("reject_mfnull", 10800)], [3600]),
        (stops(Stage.MAIL, "451 later"), [("accept", 604800)], [604800]),
        (stops(Stage.BANNER, "554 no"), [], []),
        (unconnected(ConnectOutcome.TIMEOUT), [], []),
    ],
)
def test_what_is_remembered(
    host: HostEvidence, kept: list[tuple[str, float]], at_cpanel: list[float]
) -> None:
    found = view(host)
    assert [(record.holds, record.seconds) for record in found.cache] == kept
    assert [record.key for record in found.cache] == ["customer.example.com", SENDER][: len(kept)]
    assert bool(found.clear) is bool(kept)
    cpanel = view(host, cpanel=True)
    assert [record.seconds for record in cpanel.cache] == at_cpanel
    told = [record.cpanel_seconds or record.seconds for record in found.cache]
    assert told == at_cpanel, "said also to whoever does not ask for cPanel"
    assert cpanel.clear is None or cpanel.clear.endswith("| exim_fixdb /var/spool/exim callout")
    assert view(host, no_cache=True).cache == ()


def test_an_old_exim_kept_nothing_of_a_deferred_mail() -> None:
    assert view(stops(Stage.MAIL, "451 later"), version=CLASSIC).cache == ()


@pytest.mark.parametrize(
    ("mailbox", "command"),
    [
        ("a@d.example", r"printf 'd.example\nd\na@d.example\nd\n' | exim_fixdb /var/spool/exim4 callout"),
        (
            "o'b%s@d.example",
            r"printf 'd.example\nd\no'\''b%%s@d.example\nd\n' | exim_fixdb /var/spool/exim4 callout",
        ),
        ('"a b"@d.example', "exim_tidydb -t 0s /var/spool/exim4 callout"),
    ],
)
def test_the_command_names_the_records(mailbox: str, command: str) -> None:
    found = _view(make.evidence(says("550 no"), to=make.address(mailbox)))
    assert found is not None
    assert found.clear == command


# --- replies ---------------------------------------------------------------------------------------


def test_replies_are_cut_for_the_relay_and_escaped_for_the_log() -> None:
    host = says("550 caf\xe9 \x1b[31m")
    found = view(host)
    assert found.log[0].endswith(r"550 caf\351 \033[31m")
    assert "550-Response: 550 caf(truncated)" in found.reply_lines
    assert "550-Response: 550 caf\xe9 \x1b[31m" in view(host, version=(4, 92)).reply_lines


def test_helo_leaves_the_rest_of_what_was_said_to_ehlo() -> None:
    assert after_helo("550 first one", "554 no") == "554 no"[:6] + "rst one"
    assert after_helo("502 5.5.1 no", "502 5.5.1 no") == "502 5.5.1 no"
    assert after_helo("502", "450 4.3.2 later") == "450 4.3.2 later" + "450 4.3.2 later"[11:]
    assert after_helo("5" * BUFFER, "554 no") == "554 no"


def test_what_counts_as_an_offer() -> None:
    assert offers("250-mx\n250-SIZE 1\n250 STARTTLS", "STARTTLS")
    assert offers("250-mx\n250-STARTTLS\n250 HELP", "STARTTLS")
    assert not offers("250-mx\n250 starttls", "STARTTLS")
    assert not offers("250 STARTTLS", "STARTTLS"), "the first line is the host's name"
    assert not offers("250-mx\n250 STARTTLSX", "STARTTLS")


@given(st.text(st.characters(max_codepoint=255)))
def test_a_log_line_is_one_line_of_printable_characters(text: str) -> None:
    assert re.fullmatch(r"[\t -~]*", printing(text))


VERSION = st.sampled_from((OLDEST, (4, 82), CLASSIC, (4, 89), NEWEST, (4, 98)))


@given(
    evidence=arbitrary.struct(Evidence),
    callout=st.builds(
        Callout,
        version=VERSION,
        random=st.booleans(),
        postmaster=st.booleans(),
        fullpostmaster=st.booleans(),
        defer_ok=st.booleans(),
        cpanel=st.booleans(),
    ),
)
@settings(max_examples=examples(0.6), suppress_health_check=list(HealthCheck))
def test_any_evidence_is_predicted_or_not(evidence: Evidence, callout: Callout) -> None:
    judge(evidence, callout)


@given(
    number=st.integers(0, len(RECORDINGS) - 1),
    version=VERSION,
    drop=st.sampled_from(("", "tape", "last", "clear", "dns")),
    seconds=st.sampled_from((0.001, 1.0, 30.0)),
)
@settings(max_examples=examples(1.5))
def test_less_evidence_never_breaks_it(number: int, version: Version, drop: str, seconds: float) -> None:
    evidence = RECORDINGS[number].seen()
    hosts = evidence.hosts
    if drop == "tape":
        hosts = tuple(
            replace(host, sessions=tuple(replace(session, tape=()) for session in host.sessions))
            for host in hosts
        )
    elif drop == "last":
        hosts = tuple(
            replace(
                host,
                sessions=tuple(replace(s, exchanges=s.exchanges[:-1]) for s in host.sessions),
            )
            for host in hosts
        )
    elif drop == "clear":
        hosts = tuple(replace(host, sessions=host.sessions[:1]) for host in hosts)
    dns = () if drop == "dns" else evidence.dns
    found = _view(replace(evidence, hosts=hosts, dns=dns), Callout(version=version, seconds=seconds))
    assert found is None or (found.outcome is OK) is (found.reply is None)
