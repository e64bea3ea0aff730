"""One connection to a mail host as the finders of broken requirements look at it.

It leaves out what proves nothing: an exchange that we broke off, a reply that may belong to another command.
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import takewhile
from typing import TYPE_CHECKING

from probe.core import phrases
from probe.core.conversation import in_step
from probe.core.model import Exchange, ExchangeOutcome, Reading, Reply, Session, Stage
from probe.core.reply import keywords
from probe.core.sentences import quote

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Finding = tuple[str, str]
"""The id of a requirement, and what we saw that breaks it."""

MAX_SAW = 120
"""Characters of a peer's words that a finding quotes: it is one line of a list."""
MAX_COMMAND = 100
"""Characters of our own command before them: the longest of an audit, at a short domain."""

_NAME = re.compile(
    r"(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?\.)+(?=[a-z0-9-]*[a-z])[a-z0-9-]{1,63}\.?",
    re.ASCII | re.IGNORECASE,
)
_HUNG_UP = frozenset({ExchangeOutcome.CLOSED, ExchangeOutcome.RESET})
_HELLOS = frozenset({Stage.EHLO, Stage.HELO})
_REPLY, _EXTRA, _QUIT = ExchangeOutcome.REPLY, Stage.EXTRA, Stage.QUIT
"""Looked at for each exchange: by the class, each access costs 0.1 us (Python 3.11)."""


class Talk:
    """One session; `takes_mail` says that some session with this host had a recipient accepted."""

    def __init__(self, session: Session, *, takes_mail: bool = False) -> None:
        self.exchanges = session.exchanges
        self.purpose = session.purpose
        self.tls = session.tls
        self.takes_mail = takes_mail
        self.answers = _answered(session.exchanges)
        """Every exchange with a reply that came to its end and has a code."""
        told = in_step(session) is not False
        self.surplus = _surplus(session, told=told)
        """Whether more replies came than commands were sent."""
        self.paired = told and not self.surplus
        """Whether nothing shows that a reply stands beside another's command."""
        self._local_ip = session.connect.local_ip

    def answer(self, *stages: Stage) -> Reply | None:
        """Give the last answer at one of these stages."""
        return next((reply for exchange, reply in reversed(self.answers) if exchange.stage in stages), None)

    def hung_up(self) -> Iterator[Exchange]:
        """List the exchanges at which the peer closed the connection."""
        return (exchange for exchange in self.exchanges if exchange.outcome in _HUNG_UP)

    def before(self, exchange: Exchange) -> tuple[tuple[Exchange, Reply], ...]:
        """Give the answers that came before this exchange."""
        return _answered(takewhile(lambda each: each is not exchange, self.exchanges))

    def offered(self, exchange: Exchange) -> dict[str, str]:
        """Give the extensions that were offered when the command of this exchange was sent."""
        greetings = [reply for other, reply in self.before(exchange) if other.stage in _HELLOS]
        return keywords(greetings[-1]) if greetings else {}

    def reading(self, exchange: Exchange, reply: Reply) -> Reading:
        """Read what a refusal is about."""
        names = {argument(other) for other in self.exchanges if other.stage in _HELLOS}
        ours = (self._local_ip, *sorted(names))
        words = tuple(word.lower() for word in ours if word)
        return phrases.read(reply, exchange.stage, words)


def _answered(exchanges: Iterable[Exchange]) -> tuple[tuple[Exchange, Reply], ...]:
    return tuple(
        [
            (each, each.reply)
            for each in exchanges
            if each.outcome is _REPLY and each.reply is not None and each.reply.code is not None
        ]
    )


def _surplus(session: Session, *, told: bool) -> bool:
    """Whether more replies came than commands, besides a 421, which may come unasked (RFC 5321 3.8).

    Lines without a code are another fault, and another protocol mostly. Where not `told`, some answer seems to
    have come too late (see `in_step`), because QUIT was not answered by 2xx; but 500 and 502 with nothing behind
    them say that QUIT is not known to this peer.
    """
    quits = set()
    for each in session.exchanges:
        if each.reply is None:
            continue
        if each.stage is _EXTRA and each.reply.code not in {None, 421}:
            return True
        if each.stage is _QUIT:
            quits.add(each.reply.code)
    return not told and not quits <= {500, 502}


def refused(reply: Reply) -> bool:
    """Whether this is a refusal for good."""
    return reply.code is not None and reply.code // 100 == 5


def positive(reply: Reply | None) -> bool:
    """Whether this is a positive completion."""
    return reply is not None and reply.code is not None and reply.code // 100 == 2


def argument(exchange: Exchange) -> str:
    """Give what follows the verb of a command."""
    return (exchange.command or "").partition(" ")[2]


def is_host_name(word: str) -> bool:
    """Whether this is a fully qualified host name (RFC 5321 2.3.5); an underscore in it passes, an IP does not."""
    return len(word) <= 255 and _known_name(word)


@lru_cache(maxsize=256)  # a mail host names itself twice in each conversation
def _known_name(word: str) -> bool:
    return _NAME.fullmatch(word) is not None


def said(exchange: Exchange, line: str) -> str:
    """Quote a command and a line of its reply."""
    command = quote(exchange.command, MAX_COMMAND) if exchange.command else exchange.stage.value
    return f"{command} -> {words(line)}"


def last(reply: Reply) -> str:
    """Give the last line of a reply, which carries its code."""
    return reply.lines[-1] if reply.lines else "nothing"


def first(reply: Reply) -> str:
    """Give the first line of a reply, where a host names itself."""
    return reply.lines[0] if reply.lines else ""


def words(line: str) -> str:
    """Quote a line of a peer."""
    return quote(line, MAX_SAW)


def closed(exchange: Exchange) -> str:
    """Say how and after what the peer hung up; its verb as we spelt it."""
    verb = (exchange.command or exchange.stage.value.partition("-")[0].upper()).partition(" ")[0]
    return f"{exchange.outcome.value} after {verb}"
