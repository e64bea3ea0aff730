"""What a log line proves about a sender: the same facts and rules as for a probe, with what a log cannot know untested.

A reply that the log quotes goes the way of a reply that a probe heard: it becomes an exchange of a session, is read
by `phrases`, and the decision table says what follows. A fault that the mail server names in its own words fills the
row of facts by itself. The texts of its router are what `fold` concludes without a mail host.

Two things set it apart. It is second-hand: `probable` at the most, and `uncertain` where one text stands for several
things. And it tells of one mail host of one attempt: what speaks for a domain
only where all its hosts say so, does not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace

from probe.core.facts import Ended, Facts, Got, Grip, Sender
from probe.core.fold import judge_host
from probe.core.log.event import LogEvent, LogFault, LogKind, LogProgram, LogVerdict
from probe.core.log.sentences import AFTERWARDS, of_one_host, sentences, tls_was_tried
from probe.core.model import (
    EVIDENCE_SCHEMA,
    About,
    Address,
    AddressKind,
    Cause,
    Confidence,
    Connect,
    ConnectOutcome,
    Evidence,
    Exchange,
    ExchangeOutcome,
    HeloSource,
    HostEvidence,
    MtaOutcome,
    Options,
    Origin,
    Purpose,
    Reply,
    Scope,
    Session,
    Stage,
    TlsMode,
    Tool,
)
from probe.core.reasons import REASONS
from probe.core.reply import ReplyReader
from probe.core.rules import RULES_VERSION, decide
from probe.core.scope import read_ip, scope
from probe.core.sentences import fill, values
from probe.version import __version__

if TYPE_CHECKING:
    from probe.core.model import Reading

PROBER = "double-bounce"
"""Local part of the sender that Postfix probes with, unless address_verify_sender says otherwise."""

ONE_HOST = frozenset({"rcpt.domain-not-served", "banner.host-takes-no-mail"})
"""Reasons that count only where every mail host of the domain says so (see `fold`), and a log tells of one."""

AMBIGUOUS = frozenset(
    {
        LogFault.SILENT,
        LogFault.NET_UNREACHABLE,
        LogFault.UNREACHABLE,
        LogFault.NULL,
        LogFault.CACHED,
        LogFault.SEVERAL,
        LogFault.HEADER,
        LogFault.IN_PROGRESS,
        LogFault.UNKNOWN,
    }
)
"""Faults whose words stand for several things."""

_DOMAIN = {
    LogFault.NXDOMAIN: "domain.no-mail-host",  # NXDOMAIN is worded like it, and this is true of both
    LogFault.NULL_MX: "domain.null-mx",
    LogFault.DANGLING: "domain.mx-dangling",
    LogFault.MX_IS_ADDRESS: "domain.mx-is-address",
    LogFault.DNS: "dns.servfail",  # worded alike: SERVFAIL, REFUSED, no answer
}
"""What the routers of a mail server say of a domain, in the words of `fold`."""

_AT_ONCE: dict[LogFault, tuple[Got, Ended]] = {
    LogFault.TIMEOUT: (Got.CONNECT, Ended.TIMEOUT),
    LogFault.SILENT: (Got.BANNER, Ended.TIMEOUT),
    LogFault.REFUSED: (Got.CONNECT, Ended.PORT_CLOSED),
    LogFault.NO_ROUTE: (Got.CONNECT, Ended.HOST_UNREACHABLE),
    LogFault.UNREACHABLE: (Got.CONNECT, Ended.HOST_UNREACHABLE),
    LogFault.RESET: (Got.BANNER, Ended.RESET),
    LogFault.LOCAL: (Got.CONNECT, Ended.LOCAL),
    LogFault.SELF: (Got.CONNECT, Ended.LOCAL),
    LogFault.TLS: (Got.TLS, Ended.TLS_FAILED),
    LogFault.SMTPUTF8: (Got.HELO, Ended.NO_SMTPUTF8),
    LogFault.NULL: (Got.MAIL, Ended.DEFERRED),
}
"""Faults that need nothing else of the line."""

_LATER: dict[LogFault, Ended] = {
    LogFault.REPLY_TIMEOUT: Ended.TIMEOUT,
    LogFault.CLOSED: Ended.CLOSED,
    LogFault.MALFORMED: Ended.MALFORMED,
}
"""Faults of the stage that the line names."""

_GOT = {
    Stage.BANNER: Got.BANNER,
    Stage.EHLO: Got.HELO,
    Stage.HELO: Got.HELO,
    Stage.STARTTLS: Got.TLS,
    Stage.TLS: Got.TLS,
    Stage.MAIL: Got.MAIL,
    Stage.RCPT: Got.RCPT,
    Stage.RCPT_RANDOM: Got.RCPT,
}


class _Told(NamedTuple):
    """What the table makes of an event."""

    rule: str
    reason: str
    confidence: Confidence
    says: str | None = None
    reading: Reading | None = None


_UNTOLD = _Told("log-untold", "log.untold", Confidence.UNCERTAIN)
"""What there is to say of a line that names no cause."""


def judge_event(event: LogEvent, given: LogEvent | None = None) -> LogVerdict:
    """Judge a line, and its partner where there is one: the line that says more decides. Total."""
    event = _telling(event, given)
    told = _decided(event)
    reason, rule, confidence = told.reason, told.rule, _capped(told.confidence, event)
    if reason in ONE_HOST:
        reason, rule, confidence = "rcpt.some-hosts-deny", "some-hosts-deny", Confidence.UNCERTAIN
    cause = REASONS[reason].cause
    texts = sentences(event, told.says, cause)
    if reason != told.reason:
        texts = of_one_host(texts)
    return LogVerdict(
        cause=cause,
        reason=reason,
        confidence=confidence,
        rule=rule,
        says=texts.says,
        proves=texts.proves,
        leaves_open=texts.leaves_open,
        reading=told.reading,
    )


def _telling(event: LogEvent, given: LogEvent | None) -> LogEvent:
    """Take the line that says more, and from the other what the first one lost."""
    if given is None:
        return event
    first, second = (event, given) if _weight(event) >= _weight(given) else (given, event)
    return replace(first, sender=first.sender or second.sender, outcome=first.outcome or second.outcome)


_SAY_LITTLE = frozenset(
    {LogFault.UNKNOWN, LogFault.HEADER, LogFault.IN_PROGRESS, LogFault.CACHED, LogFault.SEVERAL}
)


def _weight(event: LogEvent) -> tuple[bool, bool, bool]:
    """Weigh how much a line tells of why: Postfix's probe has the whole reply, its rejection 250 characters of it."""
    tells = event.kind is LogKind.PROBE if event.fault is None else event.fault not in _SAY_LITTLE
    return tells, not event.cut, event.kind is LogKind.VERIFY


def _capped(confidence: Confidence, event: LogEvent) -> Confidence:
    """Weaken what is second-hand; a rejection alone says even less than the line of its verification."""
    vague = (
        event.fault in AMBIGUOUS
        or (event.fault is LogFault.NULL_MX and _is_postfix(event))  # one beside others is enough for it
        or event.stage in AFTERWARDS
        or event.kind is LogKind.REJECTED
        or _is_of_no_stage(event)
    )
    at_most = Confidence.UNCERTAIN if vague else Confidence.PROBABLE
    return max(confidence, at_most, key=list(Confidence).index)


# --- facts -----------------------------------------------------------------------------------------


def _decided(event: LogEvent) -> _Told:
    word = _DOMAIN.get(event.fault or LogFault.UNKNOWN)
    if word is not None:
        return _Told(word.replace(".", "-"), word, Confidence.PROBABLE)
    if event.kind is LogKind.PROBE and event.fault is None:
        return _by_table(_row(event, Got.RCPT, Ended.ACCEPTED))
    if event.stage in AFTERWARDS:
        # Exim asks for the postmaster whatever it was told of the sender, and only the last answer is logged.
        ended = Ended.DEFERRED if event.outcome is MtaOutcome.DEFER else Ended.REFUSED
        return _by_table(replace(_row(event, Got.RCPT, ended), about=About.OTHER, grip=Grip.LOOSE))
    if event.fault is LogFault.SAID and event.said and (event.stage in _GOT or _is_of_no_stage(event)):
        return _by_reply(event, event.said)
    facts = _row_of(event)
    # The last row of the table speaks of a probe that was ended early.
    return _UNTOLD if facts.got is Got.NOTHING else _by_table(facts)


def _by_table(facts: Facts) -> _Told:
    rule, _ = decide(facts)
    return _Told(rule.id, rule.reason, rule.confidence)


def _row(event: LogEvent, got: Got, ended: Ended) -> Facts:
    # Where TLS fails a callout goes on in clear, unless it must not. The error of the TLS library alone may be what
    # is left of a connection before the one that decided.
    tls = TlsMode.REQUIRE if event.fault is LogFault.TLS and not tls_was_tried(event) else TlsMode.AUTO
    return Facts(got, ended, Sender.REAL if _is_postfix(event) else Sender.NULL, tls)


def _row_of(event: LogEvent) -> Facts:
    """Fill the row of a fault that the mail server names; what it does not tell is untested."""
    fault = event.fault or LogFault.UNKNOWN
    got, ended = _AT_ONCE.get(fault, (Got.NOTHING, Ended.UNTESTED))
    if fault is LogFault.NET_UNREACHABLE:
        # Without IPv6 on this host every such address ends so, and at once.
        got, ended = Got.CONNECT, Ended.NO_ROUTE if _is_ipv6(event) else Ended.NET_UNREACHABLE
    elif fault is LogFault.PROHIBITED:
        # ICMPv6 "prohibited" becomes EACCES, that of IPv4 does not: there it is a rule of this host.
        got, ended = Got.CONNECT, Ended.PROHIBITED if _is_ipv6(event) else Ended.LOCAL
    elif fault in _LATER and event.stage in _GOT:
        got, ended = _GOT[event.stage], _LATER[fault]
    elif fault is LogFault.CACHED and event.outcome is MtaOutcome.REJECT:
        # There was a refusal, in words that are not given any more.
        facts = _row(event, Got.RCPT, Ended.REFUSED)
        return replace(facts, about=About.OTHER, grip=Grip.LOOSE)
    return _row(event, got, ended)


def _is_of_no_stage(event: LogEvent) -> bool:
    """Whether the line quotes a reply and not what it answers; only after MAIL and RCPT does that happen."""
    return event.fault is LogFault.SAID and event.stage is None


def _is_postfix(event: LogEvent) -> bool:
    return event.program is LogProgram.POSTFIX


def _is_ipv6(event: LogEvent) -> bool:
    return ":" in (event.host_ip or "")


# --- a reply in the log ----------------------------------------------------------------------------


def _by_reply(event: LogEvent, said: str) -> _Told:
    """Hand a reply that the log quotes to those who read what a probe hears."""
    host = _host(event, _read(said))
    evidence = _evidence(event, host)
    judged = judge_host(0, host, evidence)
    rule, says = judged.rule, judged.says
    definite = judged.row.cause in {Cause.MISSING_SENDER, Cause.SENDER_EXISTS}
    facts = judged.facts
    refused = facts.ended in {Ended.REFUSED, Ended.DEFERRED}
    if definite and (event.cut or event.stage in {None, Stage.RCPT_RANDOM} or not refused):
        # What is cut off may be about us, a random address is not the sender, and what the mail server did not
        # take for a yes is none: the code alone counts.
        ended = facts.ended if refused else Ended.ODD_CODE
        rule, _ = decide(replace(facts, ended=ended, about=About.OTHER, grip=Grip.LOOSE))
        says = fill(rule.says, values(evidence, host, judged.grounds))
    return _Told(rule.id, rule.reason, rule.confidence, says, judged.grounds.reading)


def _host(event: LogEvent, reply: Reply) -> HostEvidence:
    stage = Stage.RCPT if event.stage is Stage.RCPT_RANDOM else event.stage or Stage.RCPT
    exchange = Exchange(stage, None, 0.0, 0.0, ExchangeOutcome.REPLY, reply)
    connect = Connect(0.0, 0.0, ConnectOutcome.CONNECTED)
    ip = read_ip(event.host_ip or "")
    return HostEvidence(
        name=event.host or "",
        ip=event.host_ip or "address not in the log",
        port=25,
        preference=None,
        origin=Origin.MX if event.host else Origin.LITERAL,  # one without a name is "the mail host"
        scope=scope(ip) if ip is not None else Scope.UNSPECIFIED,
        skipped=None,
        sessions=(Session(Purpose.CALLOUT, connect, (exchange,), None, (), 0),),
    )


def _read(said: str) -> Reply:
    """Read the lines of a reply as if they came from the wire."""
    try:
        raw = said.encode("latin-1")
    except UnicodeEncodeError:  # the log was decoded as UTF-8
        raw = said.encode("utf-8", "surrogatepass")
    reader = ReplyReader()
    replies = reader.feed(raw.replace(b"\n", b"\r\n") + b"\r\n", 0.0)
    last = reader.flush(0.0)
    replies += [last] if last is not None else []
    return replies[0] if replies else Reply(None, (said,), (), 0.0, 0.0)


def _evidence(event: LogEvent, host: HostEvidence) -> Evidence:
    """Write down what the line tells as a probe would have; settings that it does not tell are Exim's own."""
    sender = event.sender or "the sender"
    local, _, domain = sender.rpartition("@")
    domain = domain if local else "the domain"
    return Evidence(
        schema=EVIDENCE_SCHEMA,
        tool=Tool("probe-sender", __version__, RULES_VERSION),
        began=event.when,
        seed=0,
        address=Address(sender, sender, local, domain, domain, AddressKind.DOMAIN, None, ()),
        options=Options(
            timeout=0.0,
            connect_timeout=0.0,
            reply_timeout=0.0,
            quit_timeout=0.0,
            dns_timeout=0.0,
            stagger=0.0,
            port=25,
            helo=None,
            helo_source=HeloSource.HOST,
            mail_from=PROBER if _is_postfix(event) else "",
            families=(4, 6),
            source=None,
            tls=TlsMode.AUTO,
            catch_all=False,
            all_hosts=False,
            allow_private=False,
            dns_servers=(),
        ),
        dns=(),
        hosts=(host,),
        ended=0.0,
        interrupted=False,
        cut_short=False,
    )
