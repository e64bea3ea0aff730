"""What the extra connection of --audit shows broken: the steps that no callout takes.

A refusal counts only where it can be nothing else: not where its words are about us, nor where an ordinary
address was refused in the same way.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from probe.core.model import About, Basis, Exchange, Reply, Stage
from probe.core.reply import enhanced_code, text_of
from probe.core.rfc.talk import closed, last, positive, refused, said

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from probe.core.rfc.talk import Finding, Talk

_HUNG_UP: dict[Stage, str] = {
    Stage.HELO: "helo",
    Stage.NOOP: "noop",
    Stage.NOOP_AGAIN: "noop",
    Stage.RSET: "rset",
    Stage.VRFY: "vrfy",
    Stage.UNKNOWN: "unknown-stays",
}
"""Commands that must be answered. The others of an audit may have met a limit on connections or recipients."""


def hang_ups(talk: Talk) -> Iterator[Finding]:
    """List what the end of an audit shows broken: no verdict rests on it, so it never defeats a verification."""
    for exchange in talk.hung_up():
        if exchange.stage in _HUNG_UP:
            yield _HUNG_UP[exchange.stage], closed(exchange)


def of(talk: Talk, exchange: Exchange, reply: Reply) -> Iterable[Finding]:
    """List what one answer of an audit shows broken."""
    finder = _FINDERS.get(exchange.stage)
    return () if finder is None else finder(talk, exchange, reply)


def _first(talk: Talk, stage: Stage) -> tuple[Exchange, Reply] | None:
    """Give the exchange at a stage and its answer."""
    return next(((exchange, reply) for exchange, reply in talk.answers if exchange.stage is stage), None)


def _noop(_talk: Talk, exchange: Exchange, reply: Reply) -> Iterator[Finding]:
    # A refusal of `NoOp` is judged by what follows it.
    if positive(reply) and reply.code != 250:
        yield "noop", said(exchange, last(reply))


def _noop_again(talk: Talk, exchange: Exchange, reply: Reply) -> Iterator[Finding]:
    if positive(reply):
        before = _first(talk, Stage.NOOP)
        if before is not None:
            yield "verb-case", said(before[0], last(before[1]))
    elif reply.code in {500, 501, 502, 503, 504}:
        yield "noop", said(exchange, last(reply))


def _postmaster_again(talk: Talk, exchange: Exchange, reply: Reply) -> Iterator[Finding]:
    before = _first(talk, Stage.RCPT_POSTMASTER)
    if positive(reply):
        if before is not None:
            yield "postmaster-case", said(before[0], last(before[1]))
    elif refused(reply):
        reading = talk.reading(exchange, reply)
        named = reading.about in {About.MISSING_MAILBOX, About.DISABLED} and reading.basis is not Basis.NONE
        # Words that say nothing are about postmaster where another mailbox of this host was taken from us.
        if named or (reading.about is About.OTHER and talk.takes_mail):
            yield "postmaster", said(exchange, last(reply))


_TOO_LONG = re.compile(r"too long|length|longer than|exceeds? \d+ (?:char|octet|byte)", re.IGNORECASE)


def _long(talk: Talk, exchange: Exchange, reply: Reply) -> Iterator[Finding]:
    """Look for a local part that is refused for its length or its syntax, and not because it is unknown."""
    if not refused(reply):
        return
    about = talk.reading(exchange, reply).about
    ordinary = [
        talk.reading(other, answer).about
        for other, answer in talk.before(exchange)
        if other.stage in {Stage.RCPT_POSTMASTER, Stage.RCPT_POSTMASTER_AGAIN} and refused(answer)
    ]
    syntax = about is About.PROTOCOL or (about is About.OTHER and enhanced_code(reply) == "5.1.3")
    if _TOO_LONG.search(text_of(reply)) or (syntax and about not in ordinary):
        yield "long-local-part", said(exchange, last(reply))


_OFF = re.compile(
    r"disab|disallow|not allow|not permit|prohibit|polic|admin|denied|turned off", re.IGNORECASE
)


def _vrfy(talk: Talk, exchange: Exchange, reply: Reply) -> Iterator[Finding]:
    """Tell a VRFY that is not known from one that is switched off; both have 252 as their answer.

    A 550 may be an honest answer, but not where RCPT takes the same postmaster. 551 and 553 (RFC 5321 3.5.1)
    are answers, 501 and 503 are about our way to ask.
    """
    taken = positive(talk.answer(Stage.RCPT_POSTMASTER, Stage.RCPT_POSTMASTER_AGAIN))
    if reply.code in {500, 502, 504} and not _OFF.search(text_of(reply)):
        yield "vrfy", said(exchange, last(reply))
    elif reply.code in {500, 502, 504, 554} or (reply.code == 550 and taken):
        yield "vrfy-disabled", said(exchange, last(reply))


def _unknown(_talk: Talk, exchange: Exchange, reply: Reply) -> Iterator[Finding]:
    if reply.code not in {421, 500}:
        yield "unknown-command", said(exchange, last(reply))


_FINDERS: dict[Stage, Callable[[Talk, Exchange, Reply], Iterator[Finding]]] = {
    Stage.NOOP: _noop,
    Stage.NOOP_AGAIN: _noop_again,
    Stage.RCPT_POSTMASTER_AGAIN: _postmaster_again,
    Stage.RCPT_LONG: _long,
    Stage.VRFY: _vrfy,
    Stage.UNKNOWN: _unknown,
}
