"""Requirements of RFC 2821 and 5321 that the peer broke in what we saw.

The pure functions that find what broke the requirements of `requirements` in the hosts as they were judged.
What defeats verification mostly shows as the cause too, the rest is listed for the other postmaster.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from probe.core.conversation import in_step
from probe.core.facts import Got, Real
from probe.core.model import (
    About,
    Exchange,
    ExchangeOutcome,
    Oddity,
    Reply,
    Session,
    Stage,
    Violation,
)
from probe.core.requirements import REQUIREMENTS
from probe.core.route import ExchangeKind, Route
from probe.core.sentences import quote

if TYPE_CHECKING:
    from collections.abc import Iterator

    from probe.core.fold import Judged


MAX_SAW = 120
"""Characters of a peer's words that a violation quotes: it is one line of a list."""


_ODDITIES: tuple[tuple[Oddity, str], ...] = (
    (Oddity.NO_CODE, "reply-form"),
    (Oddity.NO_SEPARATOR, "reply-form"),
    (Oddity.UNTERMINATED, "reply-form"),
    (Oddity.TOO_LONG, "reply-form"),
    (Oddity.MIXED_CODES, "reply-codes"),
    (Oddity.BAD_CODE, "reply-digits"),
    (Oddity.BARE_LF, "crlf"),
    (Oddity.LONG_LINE, "line-length"),
    (Oddity.EIGHT_BIT, "ascii"),
    (Oddity.CONTROL, "ascii"),
)


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


def _hosts(judged: tuple[Judged, ...]) -> Iterator[tuple[str, str | None, str]]:
    for item in judged:
        for session in item.host.sessions:
            for identifier, saw in _session(session):
                yield identifier, item.host.name, saw
        yield from ((identifier, item.host.name, saw) for identifier, saw in _decided(item))


def _decided(item: Judged) -> Iterator[tuple[str, str]]:
    facts, grounds = item.facts, item.grounds
    saw = _last(grounds.reply) if grounds.reply else ""
    at_mail = facts.got is Got.MAIL
    named_missing = at_mail and facts.real in {Real.RCPT_MISSING, Real.RCPT_MISSING_BY_CODE}
    if named_missing or item.rule.reason in {"mail.null-sender-refused", "rcpt.null-sender-refused"}:
        yield "null-sender", f"{saw} to MAIL FROM:<>" if at_mail else saw
    if facts.about is About.TLS and facts.got in {Got.MAIL, Got.RCPT}:
        yield "tls-optional", saw


def _session(session: Session) -> Iterator[tuple[str, str]]:
    for exchange in session.exchanges:
        yield from _exchange(exchange)
    if in_step(session) is False or any(_is_extra_reply(exchange) for exchange in session.exchanges):
        yield "one-reply", "more replies than commands"
    if session.tls is not None and not session.tls.ok:
        yield "starttls-works", _quote(session.tls.error or "the handshake failed")


def _is_extra_reply(exchange: Exchange) -> bool:
    """Whether this is a reply too many. Lines without a code are another fault, and another protocol mostly."""
    return exchange.stage is Stage.EXTRA and exchange.reply is not None and exchange.reply.code is not None


_NOT_SUPPORTED = frozenset({500, 501, 502, 503, 504})
"""Codes that say so of a command (RFC 5321 4.2.2); any other refusal of EHLO is about us."""


def _exchange(exchange: Exchange) -> Iterator[tuple[str, str]]:
    reply = exchange.reply
    if (
        reply is not None and exchange.outcome is not ExchangeOutcome.CUT_SHORT
    ):  # what we cut off is no fault of theirs
        for oddity, identifier in _ODDITIES:
            if oddity in reply.oddities:
                yield identifier, f"{oddity.value} in {_last(reply)}"
        if exchange.stage is Stage.BANNER and reply.code not in {220, 421, 450, 521, 554}:
            yield "greeting", f"greeting {_quote(reply.lines[0] if reply.lines else '')}"
        if exchange.stage is Stage.EHLO and reply.code in _NOT_SUPPORTED:
            yield "ehlo", _last(reply)
        if exchange.stage is Stage.QUIT and exchange.outcome is ExchangeOutcome.REPLY and reply.code != 221:
            yield "quit-reply", _last(reply)
    hung_up = exchange.outcome in {ExchangeOutcome.CLOSED, ExchangeOutcome.RESET}
    if hung_up and exchange.stage not in {Stage.QUIT, Stage.EXTRA}:
        at = _HUNG_UP_AT.get(exchange.stage) or f"after {exchange.stage.value.partition('-')[0].upper()}"
        yield "stays-open", f"{exchange.outcome.value} {at}"


_HUNG_UP_AT = {Stage.BANNER: "before the greeting", Stage.TLS: "during the TLS handshake"}


def _last(reply: Reply) -> str:
    return _quote(reply.lines[-1]) if reply.lines else "nothing"


def _quote(text: str) -> str:
    return quote(text, MAX_SAW)
