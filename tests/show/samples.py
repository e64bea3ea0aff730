"""Reports made by hand, one for each shape that a view has to cope with."""

from __future__ import annotations

from msgspec.structs import replace

from probe.core.model import (
    Answer,
    CanaryOutcome,
    Cause,
    Confidence,
    ConnectOutcome,
    Direction,
    DnsOutcome,
    DnsTry,
    Earlier,
    ExchangeOutcome,
    MtaOutcome,
    Notice,
    NoticeOrigin,
    Oddity,
    Protocol,
    Purpose,
    Report,
    Side,
    Skip,
    Stage,
    Stored,
    Tape,
    Tls,
    Who,
)
from tests.support import make


def firewall() -> Report:
    return make.report(
        make.host_report(cause=Cause.FIREWALL_TIMEOUT, reason="connect.timeout", stage=Stage.CONNECT),
        cause=Cause.FIREWALL_TIMEOUT,
        reason="connect.timeout",
        confidence=Confidence.PROBABLE,
        side=Side.PATH,
        summary="mx1.customer.example.com [203.0.113.15] did not answer on port 25 within 10 s.",
        because=("Every SYN to 203.0.113.15 stayed unanswered for 10 s.",),
        next_steps=(make.step("Try the same from another network.", Who.OUR_ADMIN),),
        mta=make.mta(
            MtaOutcome.DEFER,
            exim="451 Could not complete sender verify callout",
            postfix="450 4.1.7 Sender address rejected: unverified address",
        ),
        rule="connect-silent",
        seconds=10.2,
    )


def filtered() -> Report:
    """Make the report of a port that a router between hop 2 and hop 3 of four drops."""
    passed, silent = Answer.TIME_EXCEEDED, make.connect(ConnectOutcome.TIMEOUT, ended=3.44)
    first, second, third = make.ROUTERS
    probes = (
        make.path_probe(1, passed, sender=first, ended=1.0003),
        make.path_probe(2, passed, sender=second),
        make.path_probe(3),
        make.path_probe(3, passed, protocol=Protocol.UDP, port=33437, sender=third, ended=1.009),
        make.path_probe(4),
    )
    place = f"between hop 2 ({second}) and hop 3 ({third})"
    return make.report(
        make.host_report(
            cause=Cause.FIREWALL_TIMEOUT,
            reason="connect.port-filtered",
            stage=Stage.CONNECT,
            network=make.network(),
        ),
        cause=Cause.FIREWALL_TIMEOUT,
        reason="connect.port-filtered",
        confidence=Confidence.PROBABLE,
        side=Side.PATH,
        summary=f"Port 25 of mx1.customer.example.com [203.0.113.15] is filtered {place}.",
        because=("Hop 3 answers UDP, and stays silent for port 25.",),
        rule="connect-port-filtered",
        seconds=3.5,
        observed=make.evidence(
            make.host(make.session(connected=silent), probes=probes),
            called=make.canary(),
            ended=3.5,
        ),
    )


def missing() -> Report:
    return make.report(
        make.host_report(
            cause=Cause.MISSING_SENDER,
            reason="rcpt.user-unknown",
            reply="550 5.1.1 <administrator@customer.example.com>: Recipient address rejected",
        ),
        cause=Cause.MISSING_SENDER,
        reason="rcpt.user-unknown",
        side=Side.THEIRS,
        summary="mx1.customer.example.com says that there is no such mailbox.",
        because=("It refused RCPT with 550 5.1.1, which means an unknown mailbox (RFC 3463 3.2).",),
        next_steps=(
            make.step("Use an envelope sender that exists.", Who.SENDER),
            make.step("Do not whitelist the relay for this."),
        ),
        mta=make.mta(
            MtaOutcome.REJECT,
            exim="550 Sender verify failed",
            postfix="550 5.1.7 Sender address rejected: undeliverable address",
        ),
        rule="rcpt-user-unknown",
    )


def second_host_accepts() -> Report:
    return make.report(
        make.host_report(cause=Cause.FIREWALL_TIMEOUT, reason="connect.timeout", stage=Stage.CONNECT),
        make.host_report("mx2.customer.example.com", "203.0.113.16", preference=20, reply="250 2.1.5 Ok"),
        summary="mx2.customer.example.com accepts the address; mx1 does not answer.",
        because=("mx2 answered RCPT with 250.", "mx1 did not answer the connection attempt."),
        mta=make.mta(MtaOutcome.ACCEPT),
        catch_all=True,
    )


def null_sender_refused() -> Report:
    return make.report(
        make.host_report(
            cause=Cause.RFC_NONCOMPLIANT, reason="mail.null-sender-refused", reply="554 No null sender here"
        ),
        cause=Cause.RFC_NONCOMPLIANT,
        reason="mail.null-sender-refused",
        side=Side.THEIRS,
        summary="mx1.customer.example.com refuses the null sender.",
        because=("It refused MAIL FROM:<> and took a real sender.",),
        violations=(make.violation(),),
        rule="null-sender",
        seconds=2.46,
    )


def dns_failure() -> Report:
    answer = make.answer(
        outcome=DnsOutcome.SERVFAIL,
        rcode="SERVFAIL",
        ended=5.04,
        tries=(
            DnsTry(make.NAME_SERVER, "udp", 0.0, 2.5, DnsOutcome.TIMEOUT),
            DnsTry("192.0.2.54:53", "tcp", 2.5, 5.04, DnsOutcome.SERVFAIL, "SERVFAIL"),
        ),
    )
    return make.report(
        cause=Cause.DNS_FAILURE,
        reason="dns.servfail",
        side=Side.DNS,
        summary="The name servers of customer.example.com answer SERVFAIL.",
        because=("The question for its MX was answered SERVFAIL.",),
        rule="dns-servfail",
        seconds=5.04,
        observed=make.evidence(dns=(answer,)),
    )


def international() -> Report:
    return make.report(
        make.host_report(cause=Cause.INCONCLUSIVE, reason="rcpt.unattributed", reply="550 \x1b[31mgo away"),
        given="info@bücher.example",
        cause=Cause.INCONCLUSIVE,
        reason="rcpt.unattributed",
        confidence=Confidence.UNCERTAIN,
        summary='It said "550 \x1b[31mgo away" to RCPT, which may mean anything.',
        because=("Its words name no mailbox: d\xc3\xa9sol\xc3\xa9.",),
        notes=("The reply holds a control character.",),
        rule="rcpt-unattributed",
        observed=make.evidence(
            to=make.address(
                "info@bücher.example",
                mailbox="info@xn--bcher-kva.example",
                unicode_domain="bücher.example",
            )
        ),
    )


def greylisted() -> Report:
    said = "451 4.7.1 Greylisted, come back in 5 minutes"
    return make.report(
        make.host_report(cause=Cause.TEMPORARY, reason="rcpt.greylisted", reply=said),
        cause=Cause.TEMPORARY,
        reason="rcpt.greylisted",
        side=Side.THEIRS,
        summary="mx1.customer.example.com greylists us.",
        because=("It answered RCPT with 451 and the word Greylisted.",),
        rule="rcpt-greylisted",
        observed=make.evidence(make.host(make.session(*make.conversation(said)))),
    )


def one_not_asked() -> Report:
    return make.report(
        make.host_report(reply="250 2.1.5 Ok"),
        observed=make.evidence(
            make.host(make.session(*make.conversation())),
            make.host(
                name="mx2.customer.example.com", ip="203.0.113.16", preference=20, skipped=Skip.DEFINITE
            ),
        ),
    )


def everything() -> Report:
    """Make a report in which no part is left out: every kind of record, and every optional field."""
    plain = make.session(
        make.exchange(Stage.BANNER, None, "220-one", *["220-more"] * 20, "220 last", sent=0.06, ended=0.1),
        make.exchange(
            Stage.EHLO, "EHLO probe.example.net", sent=0.1, ended=30.1, outcome=ExchangeOutcome.TIMEOUT
        ),
        make.exchange(Stage.EXTRA, None, "421 bye", sent=30.1, ended=30.2, oddities=(Oddity.BARE_LF,)),
        make.exchange(
            Stage.RCPT, "RCPT TO:<a@example.com>", outcome=ExchangeOutcome.CLOSED, detail="end of file"
        ),
        tls=Tls(started=0.1, ended=0.2, ok=False, error="handshake failure"),
        tape=(Tape(t=0.3, until=0.3, direction=Direction.NOTE, data="something happened"),),
        dropped=3,
    )
    plain = replace(plain, soft_error="EHOSTUNREACH")
    notice = Notice(t=0.05, origin=NoticeOrigin.ICMP6, type=1, code=1, sender="2001:db8::1")
    secure = make.session(
        *make.conversation(),
        purpose=Purpose.CLEAR,
        tls=Tls(started=0.05, ended=0.06, ok=True, version="TLSv1.3", cipher="AES", certificate="PEM"),
    )
    refused = make.session(
        connected=replace(
            make.connect(ConnectOutcome.REFUSED, errno=111, errno_name="ECONNREFUSED"), notices=(notice,)
        )
    )
    probes = (
        make.path_probe(3, Answer.PROHIBITED, sender="2001:db8::1", notice=notice, arrived_ttl=62),
        make.path_probe(None, Answer.ECHO, protocol=Protocol.ICMP, port=None, sender="2001:db8::25"),
    )
    skipped = make.host(name="mx3.example.com", ip="10.0.0.1", skipped=Skip.NOT_PUBLIC)
    return make.report(
        make.host_report(reply="250 Ok"),
        make.host_report(
            "mx2.example.com",
            "2001:db8::25",
            preference=None,
            reply="550 no",
            network=make.network(
                make.hop(3, "2001:db8::1", Answer.PROHIBITED, Answer.TIME_EXCEEDED),
                make.hop(4, None, None, Answer.CONNECTED, control="tcp/443"),
                lacking=("icmp-errors", "ping", "tcp-info", "something new"),
            ),
        ),
        next_steps=(make.step("Wait."), make.step("Ask them.", Who.THEIR_ADMIN)),
        side=Side.THEIRS,
        mta=make.mta(MtaOutcome.REJECT, exim="550 no", postfix="550 no"),
        catch_all=False,
        violations=(make.violation(), make.violation(host=None)),
        notes=("A note.", "Another."),
        observed=make.evidence(
            make.host(plain, secure),
            make.host(refused, ip="2001:db8::25", probes=probes),
            skipped,
            dns=(*dns_failure().evidence.dns, make.answer("www.example.com", "A", "192.0.2.1", "192.0.2.2")),
            called=make.canary(CanaryOutcome.UNTESTED, ip=None, detail="it has no address"),
        ),
    )


def remembered() -> Report:
    earlier = Earlier(
        "2026-11-22T10:00:00.000+00:00", 12000.0, Cause.TEMPORARY, "rcpt.greylisted", "Come back later."
    )
    stored = Stored(2400.0, "other@customer.example.com")
    return replace(missing(), stored=stored, earlier=earlier)


ALL = (
    firewall,
    filtered,
    missing,
    second_host_accepts,
    null_sender_refused,
    dns_failure,
    international,
    greylisted,
    one_not_asked,
    everything,
    remembered,
)
