"""Requirements of RFC 2821 and 5321 that the peer broke in what we saw.

The pure functions that find what broke the requirements of `requirements` in the hosts as they were judged.
What defeats verification mostly shows as the cause too, the rest is listed for the other postmaster.

Nobody is accused of what may not be his. What a middlebox may have rewritten, or answered in a host's name, is
passed over whole; a hang-up counts only where nothing says that the path ended it; what we cut off counts for
nothing; and where replies and commands are out of step, only the surplus and the form of the replies count.
Every session of a host is looked at, the audit's too, but for the hang-ups of two: an audit is an extra, so its
hang-ups have rows of their own, and `small-segments` is made because the path is in doubt.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from probe.core.facts import Got, Real
from probe.core.model import (
    About,
    ExchangeOutcome,
    HostEvidence,
    Oddity,
    Purpose,
    Session,
    Side,
    Stage,
    Violation,
)
from probe.core.reply import codes_of
from probe.core.rfc import audit_findings, callout_findings
from probe.core.rfc.requirements import REQUIREMENTS
from probe.core.rfc.talk import Finding, Talk, first, last, positive, said, words
from probe.core.route import ExchangeKind, Route

if TYPE_CHECKING:
    from collections.abc import Iterator

    from probe.core.fold import Judged
    from probe.core.model import Reply

_BANNER, _RCPT = Stage.BANNER, Stage.RCPT
_TIMEOUT, _CUT_SHORT = ExchangeOutcome.TIMEOUT, ExchangeOutcome.CUT_SHORT
"""Looked at for each exchange: by the class, each access costs 0.1 us (Python 3.11)."""


def find(judged: tuple[Judged, ...], route: Route) -> tuple[Violation, ...]:
    """List what was broken, each once per host name and requirement, in the order it was seen."""
    found: dict[tuple[str, str | None], Violation] = {}
    for identifier, host, saw in (*_domain(route), *_hosts(judged)):
        row = REQUIREMENTS[identifier]
        found.setdefault(
            (identifier, host),
            Violation(
                row.id,
                row.section_2821,
                row.section_5321,
                row.severity,
                host,
                saw,
                row.level,
                row.says,
                row.mend,
            ),
        )
    return tuple(found.values())


# --- the domain ----------------------------------------------------------------------------------------


def _domain(route: Route) -> Iterator[tuple[str, str | None, str]]:
    if route.null_mx_beside_others:
        yield "null-mx-alone", None, "a null MX beside other MX records"
    for exchange in route.exchanges:
        if exchange.kind is ExchangeKind.LITERAL:
            yield "mx-is-name", exchange.name, f"MX data {exchange.name}"
        if exchange.cname is not None:
            yield "mx-not-alias", exchange.name, f"{exchange.name} is an alias of {exchange.cname}"
        if exchange.dangling:
            yield "mx-resolves", exchange.name, f"{exchange.name} has no address"


# --- a host --------------------------------------------------------------------------------------------

_NOT_THEIRS = frozenset({"connect.intercepted", "banner.intercepted"})
"""Reasons by which somebody on the way spoke in the name of the mail host."""


def _hosts(judged: tuple[Judged, ...]) -> Iterator[tuple[str, str | None, str]]:
    for item in judged:
        if item.rule.reason not in _NOT_THEIRS:
            yield from ((identifier, item.host.name, saw) for identifier, saw in _host(item))


def _host(item: Judged) -> Iterator[Finding]:
    if not _inspected(item.host):
        takes_mail = any(_takes_mail(session) for session in item.host.sessions)
        for session in item.host.sessions:
            yield from _form(session)
            talk = Talk(session, takes_mail=takes_mail)
            if item.side is not Side.PATH and session.soft_error is None:
                yield from _hang_ups(talk)
            yield from _conversation(talk)
    yield from _decided(item)


def _takes_mail(session: Session) -> bool:
    return any(exchange.stage is _RCPT and positive(exchange.reply) for exchange in session.exchanges)


_CROSSED_OUT = re.compile(r"(?:^|\W)X{4,}[A-Z]?\b")
"""What a firewall makes of an extension in the answer to EHLO (XXXXXXXA), or of a command, which comes back so."""


def _inspected(host: HostEvidence) -> bool:
    """Whether a firewall rewrites what is said: then what else it did to the conversation cannot be told."""
    for session in host.sessions:
        for exchange in session.exchanges:
            reply = exchange.reply
            if reply is None:
                continue
            if reply.oddities and Oddity.MASKED in reply.oddities and exchange.stage is Stage.BANNER:
                return True
            for line in reply.lines:
                if "XXXX" in line and _CROSSED_OUT.search(line):
                    return True
    return False


def _decided(item: Judged) -> Iterator[Finding]:
    """Find what shows only in the verdict: whether a refusal is about the null sender, or about TLS."""
    facts, grounds = item.facts, item.grounds
    if grounds.session is None or grounds.exchange is None or grounds.reply is None:
        return
    saw = said(item.host.sessions[grounds.session].exchanges[grounds.exchange], last(grounds.reply))
    missing = facts.got is Got.MAIL and facts.real in {Real.RCPT_MISSING, Real.RCPT_MISSING_BY_CODE}
    if missing or item.rule.reason in {"mail.null-sender-refused", "rcpt.null-sender-refused"}:
        yield "null-sender", saw
    if facts.about is About.TLS and facts.got in {Got.MAIL, Got.RCPT}:
        yield "tls-optional", saw


# --- the form of replies -------------------------------------------------------------------------------

_ODDITIES: dict[Oddity, str] = {
    Oddity.NO_CODE: "reply-form",
    Oddity.NO_SEPARATOR: "reply-form",
    Oddity.UNTERMINATED: "reply-form",
    Oddity.TOO_LONG: "reply-form",
    Oddity.MIXED_CODES: "reply-codes",
    Oddity.BAD_CODE: "reply-digits",
    Oddity.BARE_LF: "crlf",
    Oddity.LONG_LINE: "line-length",
    Oddity.EIGHT_BIT: "ascii",
    Oddity.CONTROL: "ascii",
    Oddity.NO_TEXT: "reply-text",
}
_UNFINISHED = frozenset({Oddity.UNTERMINATED, Oddity.NO_CODE})
"""What a line may be only because our patience ended before it did."""
_GREETINGS = frozenset({220, 421, 450, 521, 554})
"""220, and 554 (RFC 5321 3.1), 521 (RFC 7504), 421 to anything (3.8); 450 is how postscreen asks to come back."""


def _form(session: Session) -> Iterator[Finding]:
    for exchange in session.exchanges:
        reply = exchange.reply
        if reply is None or exchange.outcome is _CUT_SHORT:
            continue
        slow = exchange.outcome is _TIMEOUT
        codes = {reply.code or 0}
        if reply.oddities:
            yield from _odd(reply, session, slow=slow)
            if Oddity.MIXED_CODES in reply.oddities:
                codes = codes_of(reply)
        for code in codes:
            if 200 <= code < 600 and code // 10 % 10 > 5:
                yield "reply-second-digit", f"{code} in {words(last(reply))}"
        if exchange.stage is _BANNER and not slow and reply.code not in _GREETINGS:
            spoken = reply.code is not None and reply.code // 100 in {2, 4, 5}
            yield "greeting-code" if spoken else "greeting", f"greeting {words(first(reply))}"


def _odd(reply: Reply, session: Session, *, slow: bool) -> Iterator[Finding]:
    utf8 = any((exchange.command or "").endswith(" SMTPUTF8") for exchange in session.exchanges)
    for oddity in reply.oddities:
        # RFC 6531: who was given SMTPUTF8 may answer in UTF-8.
        excused = (slow and oddity in _UNFINISHED) or (utf8 and oddity is Oddity.EIGHT_BIT)
        if oddity in _ODDITIES and not excused:
            yield _ODDITIES[oddity], f"{oddity.value} in {words(last(reply))}"


# --- the conversation ----------------------------------------------------------------------------------


def _hang_ups(talk: Talk) -> Iterator[Finding]:
    if talk.purpose is Purpose.AUDIT:
        yield from audit_findings.hang_ups(talk)
    elif talk.purpose is not Purpose.SMALL_SEGMENTS:
        yield from callout_findings.hang_ups(talk)


def _conversation(talk: Talk) -> Iterator[Finding]:
    if talk.surplus:
        yield "one-reply", "more replies than commands"
    for exchange, reply in talk.answers:
        # What stands beside a command proves nothing where it may be the answer to another.
        if talk.paired:
            yield from callout_findings.of(talk, exchange, reply)
            yield from audit_findings.of(talk, exchange, reply)
        elif exchange.stage is Stage.QUIT and not talk.surplus:
            yield from callout_findings.of(talk, exchange, reply)
