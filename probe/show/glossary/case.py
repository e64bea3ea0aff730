"""A made-up case for every rule, so that its sentence can be shown as a report would say it.

The evidence is given the shape that the rule's columns ask for, and read as any other evidence is. What a second
try with a real sender showed is left out, as no sentence quotes it, and where the packets went is stated outright.
The addresses are those for documentation (RFC 5737).
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from msgspec.structs import replace

from probe.core.facts import Ended, Facts, Got, Grounds, Sender, host_facts
from probe.core.model import (
    EVIDENCE_SCHEMA,
    Address,
    AddressKind,
    Connect,
    ConnectOutcome,
    Evidence,
    Exchange,
    ExchangeOutcome,
    HeloSource,
    HostEvidence,
    Options,
    Origin,
    Purpose,
    Scope,
    Session,
    Stage,
    TlsMode,
    Tool,
)
from probe.core.network import Nearer, Path, Silence
from probe.core.phrasebook import BASIC, ENHANCED, TABLE
from probe.core.rules import decide
from probe.core.sentences import fill, values
from probe.show.glossary import phrases, readings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from probe.core.rule import Rule

OPTIONS = Options(
    timeout=60.0,
    connect_timeout=10.0,
    reply_timeout=30.0,
    quit_timeout=1.0,
    dns_timeout=10.0,
    stagger=0.2,
    port=25,
    helo="mail.example.net",
    helo_source=HeloSource.HOST,
    mail_from="",
    families=(4, 6),
    source=None,
    tls=TlsMode.AUTO,
    catch_all=False,
    all_hosts=False,
    allow_private=False,
    dns_servers=(),
)
EVIDENCE = Evidence(
    schema=EVIDENCE_SCHEMA,
    tool=Tool("probe-sender", "example", 0),
    began="2026-01-01T00:00:00Z",
    seed=0,
    address=Address(
        given="user@example.com",
        mailbox="user@example.com",
        local="user",
        domain="example.com",
        unicode_domain="example.com",
        kind=AddressKind.DOMAIN,
        ip=None,
        forms=(),
    ),
    options=OPTIONS,
    dns=(),
    hosts=(),
    ended=60.0,
    interrupted=False,
    cut_short=False,
)
_PLACES = Path(
    reached=6,
    reached_router="203.0.113.6",
    beyond=7,
    beyond_router="203.0.113.7",
    distance=9,
    control="UDP",
    refuser_ip="203.0.113.6",
    refuser_hop=6,
    loop=("203.0.113.5", "203.0.113.6"),
    canary="mx.example.org",
)
"""A port that ends between hops 6 and 7 of 9."""
_NEAR = replace(
    _PLACES,
    reached=1,
    reached_router="203.0.113.1",
    beyond=2,
    beyond_router="203.0.113.2",
    refuser_ip="203.0.113.2",
    refuser_hop=2,
)
"""One that ends, or is answered, next to us."""

_STAGES = {
    Got.RCPT: (Stage.RCPT, "RCPT TO:<user@example.com>"),
    Got.MAIL: (Stage.MAIL, "MAIL FROM:<>"),
    Got.BANNER: (Stage.BANNER, None),
    Got.HELO: (Stage.EHLO, "EHLO mail.example.net"),
    Got.TLS: (Stage.STARTTLS, "STARTTLS"),
}
"""The stages at which a reply may decide, the most telling first."""
_CONNECTS = {
    Ended.TIMEOUT: (ConnectOutcome.TIMEOUT, None),
    Ended.SILENT: (ConnectOutcome.CUT_SHORT, None),
    Ended.CUT_SHORT: (ConnectOutcome.CUT_SHORT, None),
    Ended.PORT_CLOSED: (ConnectOutcome.REFUSED, "ECONNREFUSED"),
    Ended.HOST_UNREACHABLE: (ConnectOutcome.HOST_UNREACHABLE, "EHOSTUNREACH"),
    Ended.NET_UNREACHABLE: (ConnectOutcome.NET_UNREACHABLE, "ENETUNREACH"),
    Ended.PROHIBITED: (ConnectOutcome.PROHIBITED, "EACCES"),
    Ended.NO_ROUTE: (ConnectOutcome.NO_ROUTE, "ENETUNREACH"),
    Ended.LOCAL: (ConnectOutcome.LOCAL, "EADDRNOTAVAIL"),
}
_SILENT = {
    Ended.TIMEOUT: (ExchangeOutcome.TIMEOUT, None),
    Ended.CLOSED: (ExchangeOutcome.CLOSED, None),
    Ended.RESET: (ExchangeOutcome.RESET, None),
    Ended.ENDLESS: (ExchangeOutcome.OVERFLOW, None),
    Ended.TLS_FAILED: (ExchangeOutcome.TLS_FAILED, "handshake failure"),
    Ended.CUT_SHORT: (ExchangeOutcome.CUT_SHORT, None),
}
"""How a command ends to which there is no reply."""

_LOOSE = (
    "250 2.1.5 Ok",
    "252 2.0.0 Cannot verify the user, but will take mail for it",
    "550 5.0.0 Rejected",
    "451 4.3.0 Temporary local problem",
    "354 Go ahead",
    "SSH-2.0-OpenSSH_9.2",
    "250-2.1.5 Ok\n550 5.1.1 User unknown",
)
"""Replies for rules that read no words."""


def sentence(rule: Rule) -> str:
    """Give the sentence of a rule, filled in with the values of a case that it is for."""
    shown, options, grounds = _case(rule)
    evidence = replace(EVIDENCE, options=options, hosts=(shown,))
    return fill(rule.says, values(evidence, shown, replace(grounds, path=_places(rule))))


def host(rule: Rule) -> HostEvidence:
    """Give the mail host of the case, as far as SMTP and the connection show it."""
    return _case(rule)[0]


def facts(rule: Rule) -> Facts:
    """Give the row of facts of the case, without what the second try and the packets showed."""
    shown, options, _ = _case(rule)
    return host_facts(shown, options)[0]


def _case(rule: Rule) -> tuple[HostEvidence, Options, Grounds]:
    options = replace(
        OPTIONS,
        mail_from="probe@example.net" if rule.sender and Sender.NULL not in rule.sender else "",
        tls=_tls(rule),
    )
    beside = ("real", "step", "silence", "refuser", "ports", "us", "after", "nearer")
    wanted = replace(rule, **dict.fromkeys(beside))
    found: tuple[HostEvidence, Options, Grounds] | None = None
    for shown in _hosts(rule, options):
        row, grounds = host_facts(shown, options)
        if wanted.matches(row):
            found = found or (shown, options, grounds)
            if decide(row)[0].id == rule.id:
                return shown, options, grounds
    return found or (_host(_connected(Ended.CUT_SHORT)), options, Grounds())


def _tls(rule: Rule) -> TlsMode:
    if rule.tls:
        return min(rule.tls)
    return TlsMode.REQUIRE if rule.ended and Ended.NO_STARTTLS in rule.ended else TlsMode.AUTO


def _hosts(rule: Rule, options: Options) -> Iterator[HostEvidence]:
    """Give hosts that may be what the rule asks for, the likeliest first."""
    for ended in Ended:
        if rule.ended is not None and ended not in rule.ended:
            continue
        if ended in _CONNECTS and (rule.got is None or Got.CONNECT in rule.got):
            yield _host(_connected(ended))
        for got, (stage, verb) in _STAGES.items():
            if rule.got is not None and got not in rule.got:
                continue
            command = f"MAIL FROM:<{options.mail_from}>" if stage is Stage.MAIL else verb
            if ended in _SILENT:
                outcome, detail = _SILENT[ended]
                yield _host(_answered(Exchange(stage, command, 0.1, 30.1, outcome, None, detail)))
            else:
                for reply in _replies() if rule.about else _LOOSE:
                    yield _host(_answered(_reply(stage, command, reply)))


@cache
def _replies() -> tuple[str, ...]:
    """Give replies of every class: typical ones, all of the phrasebook, such as say something by their codes only."""
    return (
        *readings.REPLIES,
        *(row.example for row in TABLE),
        *(f"{digit}50 {digit}.{detail} Sorry" for digit in "54" for detail in ENHANCED),
        *(f"{code} Sorry" for code in BASIC),
    )


def _reply(stage: Stage, command: str | None, text: str) -> Exchange:
    return Exchange(stage, command, 0.1, 0.2, ExchangeOutcome.REPLY, phrases.as_received(text))


def _connected(ended: Ended) -> Session:
    outcome, errno_name = _CONNECTS[ended]
    seconds = 0.5 if ended is Ended.CUT_SHORT else 10.0
    connect = Connect(0.0, seconds, outcome, None, errno_name, "198.51.100.7")
    return Session(Purpose.CALLOUT, connect, (), None, (), 0)


def _answered(exchange: Exchange) -> Session:
    connect = Connect(0.0, 0.1, ConnectOutcome.CONNECTED, None, None, "198.51.100.7")
    return Session(Purpose.CALLOUT, connect, (exchange,), None, (), 0)


def _host(session: Session) -> HostEvidence:
    return HostEvidence("mx.example.com", "192.0.2.25", 25, 10, Origin.MX, Scope.PUBLIC, None, (session,))


def _places(rule: Rule) -> Path:
    """Say where on the way the rule's case happens."""
    near = rule.silence is not None and Silence.NEAR in rule.silence
    return _NEAR if near or (rule.nearer is not None and Nearer.NO not in rule.nearer) else _PLACES
