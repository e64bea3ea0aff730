"""What the steps of a callout show broken: a greeting, EHLO, HELO, STARTTLS, MAIL, RCPT, RSET and QUIT.

The same steps of an audit are looked at too; what only an audit asks is in `audit_findings`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from probe.core import phrases
from probe.core.model import About, Basis, Exchange, ExchangeOutcome, Reply, Stage
from probe.core.reply import enhanced_code, keywords, text_of, texts_of
from probe.core.rfc.talk import argument, closed, first, is_host_name, last, positive, refused, said, words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from probe.core.rfc.talk import Finding, Talk

NOT_KNOWN = frozenset({500, 502})
"""Codes that say so of a command, whatever its argument (RFC 5321 4.2.2)."""
_FIRM = frozenset({Basis.WORDS, Basis.KEY})


def of(talk: Talk, exchange: Exchange, reply: Reply) -> Iterator[Finding]:
    """List what one answer of a conversation in step shows broken."""
    refusal = reply.code is not None and reply.code >= 400
    for finder in (_FINDERS if refusal else _OF_ANY_REPLY).get(exchange.stage, ()):
        yield from finder(talk, exchange, reply)


# --- the connection ------------------------------------------------------------------------------------

_HUNG_UP_AT = {Stage.BANNER: "before the greeting", Stage.TLS: "during the TLS handshake"}


def hang_ups(talk: Talk) -> Iterator[Finding]:
    """List what the ends of a connection show broken, where nothing says that the path ended it."""
    for exchange in talk.hung_up():
        if exchange.stage is Stage.QUIT:
            yield from _quit_unanswered(talk, exchange)
        elif exchange.stage is not Stage.EXTRA:
            where = _HUNG_UP_AT.get(exchange.stage)
            yield "stays-open", f"{exchange.outcome.value} {where}" if where else closed(exchange)
        if exchange.stage is Stage.RSET:
            yield "rset", closed(exchange)
        if exchange.stage is Stage.HELO:
            yield from _ehlo_state(talk, exchange)
    if talk.tls is not None and not talk.tls.ok and _is_their_handshake(talk):
        yield "starttls-works", words(talk.tls.error or "the handshake failed")


def _quit_unanswered(talk: Talk, exchange: Exchange) -> Iterator[Finding]:
    """Look at a close instead of 221; after 421 it is due, and after 521 (RFC 7504) nobody waits."""
    greeting = talk.answer(Stage.BANNER)
    told = any(reply.code == 421 for _, reply in talk.before(exchange))
    if exchange.outcome is not ExchangeOutcome.CLOSED or greeting is None or told:
        return
    if greeting.code == 554:
        yield "refusal-waits", f"{words(last(greeting))}, then closed"
    elif greeting.code == 220:
        yield "quit-reply", "closed after QUIT, without a reply"


def _is_their_handshake(talk: Talk) -> bool:
    """Whether the handshake was not ended by our clock or our own library."""
    ended = [exchange.outcome for exchange in talk.exchanges if exchange.stage is Stage.TLS]
    error = (talk.tls.error or "") if talk.tls else ""
    ours = error.startswith("our own") or "timed out" in error.lower()
    return not ours and not {ExchangeOutcome.TIMEOUT, ExchangeOutcome.CUT_SHORT}.intersection(ended)


# --- the greeting, EHLO, HELO --------------------------------------------------------------------------


def _greeting(_talk: Talk, _exchange: Exchange, reply: Reply) -> Iterator[Finding]:
    if reply.code == 220 and not _begins_with_name(reply):
        yield "greeting-name", f"greeting {words(first(reply))}"


def _ehlo(talk: Talk, exchange: Exchange, reply: Reply) -> Iterator[Finding]:
    if positive(reply):
        if not _begins_with_name(reply):
            yield "ehlo-name", said(exchange, first(reply))
        if _is_within_tls(talk, exchange) and "STARTTLS" in keywords(reply):
            line = next(line for line in reply.lines[1:] if "STARTTLS" in line.upper())
            yield "starttls-again", said(exchange, line)
        return
    if _is_ehlo_unknown(talk, exchange, reply):
        yield "ehlo", said(exchange, last(reply))
    if refused(reply) and reply.code not in {500, 501, 502, 504, 550}:
        yield "ehlo-code", said(exchange, last(reply))


def _is_ehlo_unknown(talk: Talk, exchange: Exchange, reply: Reply) -> bool:
    """Whether it is EHLO that is refused: by its code, or because HELO with the same name passes."""
    return _is_unknown(talk, exchange, reply) or (
        reply.code in {501, 503, 504} and positive(talk.answer(Stage.HELO))
    )


def _is_unknown(talk: Talk, exchange: Exchange, reply: Reply) -> bool:
    """Whether a command is refused as such, and not us by a code that means the command."""
    if reply.code not in NOT_KNOWN:
        return False
    reading = talk.reading(exchange, reply)
    return reading.about in {About.PROTOCOL, About.HELO, About.OTHER} or reading.basis not in _FIRM


def _ehlo_state(talk: Talk, exchange: Exchange) -> Iterator[Finding]:
    """Look at a HELO that is not answered, or by 503, after an EHLO that was not known."""
    for ehlo, reply in talk.before(exchange):
        if ehlo.stage is Stage.EHLO and _is_unknown(talk, ehlo, reply):
            then = "closed" if exchange.reply is None else str(exchange.reply.code)
            yield "ehlo-state", f"{said(ehlo, last(reply))}, then {then} after HELO"


def _helo(talk: Talk, exchange: Exchange, reply: Reply) -> Iterator[Finding]:
    if reply.code == 503:
        yield from _ehlo_state(talk, exchange)
    if _is_unknown(talk, exchange, reply):
        yield "helo", said(exchange, last(reply))
    for line, text in zip(reply.lines, texts_of(reply), strict=True):
        if positive(reply) and text.partition(" ")[0].upper() in _EXTENSIONS:
            yield "helo-plain", said(exchange, line)


_EXTENSIONS = frozenset(
    {
        "8BITMIME", "AUTH", "BINARYMIME", "CHUNKING", "DSN", "ENHANCEDSTATUSCODES", "ETRN", "LIMITS",
        "PIPELINING", "SIZE", "SMTPUTF8", "STARTTLS",
    }
)  # fmt: skip
"""Extensions that real hosts list, by their keywords."""


def _begins_with_name(reply: Reply) -> bool:
    """Whether a greeting begins with a full host name or an address literal."""
    word = first(reply)[3:].lstrip("- ").partition(" ")[0]
    return is_host_name(word) or (word.startswith("[") and word.endswith("]"))


def _is_within_tls(talk: Talk, exchange: Exchange) -> bool:
    begun = any(other.stage is Stage.STARTTLS for other, _ in talk.before(exchange))
    return begun and talk.tls is not None and talk.tls.ok


_MATCH = re.compile(r"match|verif|correspond|belong", re.IGNORECASE)


def _helo_match(talk: Talk, exchange: Exchange, reply: Reply) -> Iterator[Finding]:
    """Look for a refusal of our HELO name because it is not our address's (RFC 5321 4.1.4)."""
    if reply.code is None or reply.code < 400 or not _MATCH.search(text_of(reply)):
        return
    reading = talk.reading(exchange, reply)
    greetings = [other for other in talk.exchanges if other.stage in {Stage.EHLO, Stage.HELO}]
    if reading.about is About.HELO and greetings and is_host_name(argument(greetings[0])):
        yield "helo-match", said(exchange, last(reply))


# --- STARTTLS ------------------------------------------------------------------------------------------


def _starttls(talk: Talk, exchange: Exchange, reply: Reply) -> Iterator[Finding]:
    # It is sent only where it was offered. A refusal of us is none of STARTTLS.
    if refused(reply) and not _is_about_us(talk, exchange, reply):
        yield "starttls-refused", said(exchange, last(reply))


# --- MAIL and RCPT -------------------------------------------------------------------------------------


def _command_unknown(talk: Talk, exchange: Exchange, reply: Reply) -> Iterator[Finding]:
    """Look for a MAIL that no sender passes, or a RCPT, that is refused as no command at all.

    A refusal of `MAIL FROM:<>` alone may be one of the null sender, whatever its code.
    """
    of_null = exchange.stage is not Stage.RCPT and argument(exchange).startswith("FROM:<>")
    unknown = reply.code in NOT_KNOWN and talk.reading(exchange, reply).about is About.PROTOCOL
    if unknown and not of_null:
        yield "transaction-commands", said(exchange, last(reply))


def _enhanced(talk: Talk, exchange: Exchange, reply: Reply) -> Iterator[Finding]:
    """Hold the enhanced code against RFC 2034, where it was offered."""
    if reply.code is None or reply.code // 100 == 3 or reply.code == 421:
        return
    enhanced = enhanced_code(reply)
    if enhanced is not None and enhanced[0] == str(reply.code)[0]:
        return
    if "ENHANCEDSTATUSCODES" in talk.offered(exchange):
        yield "enhanced-missing" if enhanced is None else "enhanced-class", said(exchange, last(reply))


_BY_POLICY = frozenset({About.BLOCKLIST, About.POLICY, About.RDNS})
_OWN_CODES = frozenset({530, 534, 535, 538, 550})
"""550, and the codes by which RFC 3207 and RFC 4954 ask for TLS and for a login."""


def _is_about_us(talk: Talk, exchange: Exchange, reply: Reply) -> bool:
    """Whether the words of a refusal name us, our address or its standing."""
    reading = talk.reading(exchange, reply)
    return reading.about in _BY_POLICY and reading.basis in _FIRM and reading.row != phrases.VAGUE


def _policy_code(talk: Talk, exchange: Exchange, reply: Reply) -> Iterator[Finding]:
    if refused(reply) and reply.code not in _OWN_CODES and _is_about_us(talk, exchange, reply):
        yield "policy-code", said(exchange, last(reply))


def _unknown_user(talk: Talk, exchange: Exchange, reply: Reply) -> Iterator[Finding]:
    if refused(reply) and reply.code not in {550, 551, 553}:
        reading = talk.reading(exchange, reply)
        if reading.about is About.MISSING_MAILBOX and reading.basis in _FIRM:
            yield "unknown-user-code", said(exchange, last(reply))


_OF_BOUNCES = re.compile(r"<>|null|bounce|empty", re.IGNORECASE)


def _too_many(talk: Talk, exchange: Exchange, reply: Reply) -> Iterator[Finding]:
    """Look for a second recipient that is one too many. A site's own limit may be a 5yz (RFC 5321 4.5.3.1.10)."""
    if reply.code is None or not (reply.code // 100 == 4 or reply.code == 552):
        return
    text = text_of(reply)
    named = "too many recipients" in text.lower() or (enhanced_code(reply) or "")[1:] == ".5.3"
    if not named or _OF_BOUNCES.search(text):  # a bounce has one recipient, and a limit for it another reason
        return
    taken = False
    for other, answer in talk.before(exchange):
        taken = positive(answer) and (taken or other.stage in _RECIPIENTS)
    if taken:
        yield "recipients", said(exchange, last(reply))


_RECIPIENTS = frozenset(
    {
        Stage.RCPT,
        Stage.RCPT_REAL,
        Stage.RCPT_RANDOM,
        Stage.RCPT_POSTMASTER,
        Stage.RCPT_POSTMASTER_AGAIN,
        Stage.RCPT_LONG,
    }
)


# --- RSET and QUIT -------------------------------------------------------------------------------------


def _rset(_talk: Talk, exchange: Exchange, reply: Reply) -> Iterator[Finding]:
    if reply.code is not None and reply.code != 250 and reply.code // 100 in {2, 5}:
        yield "rset", said(exchange, last(reply))


def _quit(_talk: Talk, exchange: Exchange, reply: Reply) -> Iterator[Finding]:
    if reply.code not in {221, 421}:
        yield "quit-reply", said(exchange, last(reply))


_MAIL = (_command_unknown, _enhanced, _policy_code, _helo_match)
_RCPT = (_command_unknown, _enhanced, _policy_code, _helo_match, _unknown_user, _too_many)

_FINDERS: dict[Stage, tuple[Callable[[Talk, Exchange, Reply], Iterator[Finding]], ...]] = {
    Stage.BANNER: (_greeting,),
    Stage.EHLO: (_ehlo, _helo_match),
    Stage.HELO: (_helo, _helo_match),
    Stage.STARTTLS: (_starttls,),
    Stage.MAIL: _MAIL,
    Stage.MAIL_REAL: _MAIL,
    Stage.MAIL_AGAIN: _MAIL,
    Stage.RCPT: _RCPT,
    Stage.RCPT_REAL: _RCPT,
    Stage.RCPT_RANDOM: _RCPT,
    Stage.RCPT_POSTMASTER: (_policy_code, _too_many),
    Stage.RCPT_LONG: (_policy_code, _unknown_user, _too_many),
    Stage.RSET: (_rset,),
    Stage.QUIT: (_quit,),
}
_OF_REFUSALS = frozenset({_helo_match, _starttls, _command_unknown, _policy_code, _unknown_user, _too_many})
"""Those that look at nothing else, so that the many replies that accept need not be shown to them."""
_OF_ANY_REPLY = {
    stage: tuple(finder for finder in finders if finder not in _OF_REFUSALS)
    for stage, finders in _FINDERS.items()
}
