"""What a callout says, and what follows each answer: the decisions of the conversation, without its timing.

A state is named by the stage whose reply is waited for:

    BANNER       The server speaks first; we are silent until it has (RFC 5321 4.3.1).
    EHLO, HELO   EHLO, and HELO to whoever refuses EHLO with any code: old servers, and firewalls that rewrite
                 commands, know no better. Exim does the same.
    STARTTLS     When it was offered and the plan wants it. A refusal is no obstacle for --tls auto.
    TLS          The handshake. Nothing that was said in clear counts afterwards, and EHLO comes again.
    MAIL, RCPT   The question itself.
    RCPT_RANDOM  After an accepted RCPT, when the plan has a random mailbox: a host that takes it takes all.
    MAIL_REAL,   The second try, when the null sender was refused, or the recipient in words that leave open
    RCPT_REAL    which of the two was meant.
    RSET, MAIL_AGAIN   The way into a second transaction, where the second try cannot go without.
    QUIT         The end of every conversation that had a greeting (RFC 5321 4.1.1.10).

A host that has answered for one mailbox without a sign of displeasure may be asked for another over the same
connection: RSET, then MAIL and RCPT again. `contented` says when, `next_mailbox` does it.

`Script.FOLLOWS` is that walk, `COMMANDS` every command that can be sent. There is no DATA in either.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import structs

from probe.core import phrases
from probe.core.model import Purpose, Stage, TlsMode
from probe.core.plan import helo_argument, opens, ours, real_sender, spares_us
from probe.core.reply import keywords, text_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import ClassVar

    from probe.core.model import Reading, Reply
    from probe.core.plan import Plan

COMMANDS: dict[Stage, str] = {
    Stage.EHLO: "EHLO %(helo)s",
    Stage.HELO: "HELO %(helo)s",
    Stage.STARTTLS: "STARTTLS",
    Stage.MAIL: "MAIL FROM:<%(sender)s>%(utf8)s",
    Stage.RCPT: "RCPT TO:<%(rcpt)s>",
    Stage.RCPT_RANDOM: "RCPT TO:<%(random)s>",
    Stage.RSET: "RSET",
    Stage.MAIL_AGAIN: "MAIL FROM:<%(sender)s>%(utf8)s",
    Stage.MAIL_REAL: "MAIL FROM:<%(real)s>%(utf8)s",
    Stage.RCPT_REAL: "RCPT TO:<%(rcpt)s>",
    Stage.QUIT: "QUIT",
}

_EHLO, _MAIL, _RCPT, _RSET, _QUIT = Stage.EHLO, Stage.MAIL, Stage.RCPT, Stage.RSET, Stage.QUIT
_NEVER, _REAL_SENDER = TlsMode.NEVER, Purpose.REAL_SENDER
"""Looked at in every conversation: by the class, each access costs 0.1 us (Python 3.11)."""


class Script:
    """The walk of one connection, for a plan and our own address on it (None when it is not known)."""

    __slots__ = (
        "_after_rset",
        "_answer",
        "_local_ip",
        "_offered",
        "_parts",
        "_plan",
        "_random_retried",
        "_secure",
        "taken",
    )

    def __init__(self, plan: Plan, local_ip: str | None) -> None:
        self.taken = False
        """Whether the mailbox was taken, once its RCPT has been answered."""
        self._plan = plan
        self._local_ip = local_ip
        self._answer: Reply | None = None  # about the mailbox, when it ended the question
        self._offered: dict[str, str] = {}
        self._secure = False
        self._after_rset = _QUIT
        self._random_retried = False
        again = plan.purpose is _REAL_SENDER  # then `mail_from` is the real sender already
        self._parts = {
            "helo": helo_argument(plan, local_ip),
            "sender": plan.mail_from,
            "real": plan.mail_from if again else real_sender(plan, local_ip),
            "rcpt": plan.rcpt,
            "random": plan.random_rcpt,
            "utf8": " SMTPUTF8" if plan.utf8 else "",  # RFC 6531 3.4; without the offer no MAIL is sent
        }

    def command(self, stage: Stage) -> str:
        """Return the command line that asks for the reply of a stage, without CRLF."""
        return COMMANDS[stage] % self._parts

    def contented(self) -> bool:
        """Whether the last answer was a clean one about the mailbox, so that another may be asked for."""
        if self._answer is None:
            return False
        return _positive(self._answer) or spares_us(self._read(self._answer, _RCPT))

    @property
    def pipelines(self) -> bool:
        """Whether the peer takes several commands at once (RFC 2920)."""
        return "PIPELINING" in self._offered

    def next_mailbox(self, mailbox: str) -> Plan | None:
        """Turn to another mailbox, whose transaction RSET begins; None where this host cannot be asked for it."""
        self._answer = None
        utf8 = not mailbox.isascii()
        if utf8 and "SMTPUTF8" not in self._offered:
            return None
        self._after_rset = _MAIL
        # Once is enough: whether a host takes any local part is true of the domain.
        self._plan = structs.replace(self._plan, rcpt=mailbox, random_rcpt=None, utf8=utf8)
        self._parts["rcpt"], self._parts["utf8"] = mailbox, " SMTPUTF8" if utf8 else ""
        return self._plan

    def follows(self, stage: Stage, reply: Reply) -> Stage | None:
        """Return what comes after a reply: the stage of a command, the handshake, or None after QUIT."""
        # RFC 5321 4.2: a code begins with 2 to 5. Whoever sends another, or none, is not understood; and
        # after 421 (3.8) the server closes whatever we say.
        odd = reply.code is None or not 200 <= reply.code < 600
        self._answer = None
        if (odd or reply.code == 421) and stage is not _QUIT:
            return _QUIT
        return self.FOLLOWS[stage](self, reply)

    def secured(self) -> Stage:
        """Take the success of the handshake; return what follows it."""
        # RFC 3207 4.2: "The client MUST discard any knowledge obtained from the server, such as the list of
        # SMTP service extensions, which was not obtained from the TLS negotiation itself."
        self._offered = {}
        self._secure = True
        return _EHLO

    def _banner(self, reply: Reply) -> Stage:
        # RFC 5321 3.1: a server that opens with 554 "MUST still wait for the client to send a QUIT".
        return _EHLO if _positive(reply) else _QUIT

    def _ehlo(self, reply: Reply) -> Stage:
        if not _positive(reply):
            # RFC 5321 3.2: HELO where EHLO "is not recognized"; which code says so varies too much to ask.
            return Stage.HELO
        self._offered = keywords(reply)
        return self._greeted()

    def _helo(self, reply: Reply) -> Stage:
        return self._greeted() if _positive(reply) else _QUIT

    def _greeted(self) -> Stage:
        plan = self._plan
        if not self._secure:
            wanted = plan.offer_tls and plan.tls is not _NEVER
            if wanted and "STARTTLS" in self._offered:
                return Stage.STARTTLS
            if plan.tls is TlsMode.REQUIRE:
                return _QUIT
        return self._transaction()

    def _transaction(self) -> Stage:
        # RFC 6531 3.2: a mailbox with UTF-8 goes only to a server that offers SMTPUTF8.
        if self._plan.utf8 and "SMTPUTF8" not in self._offered:
            return _QUIT
        return Stage.MAIL_REAL if self._plan.purpose is _REAL_SENDER else _MAIL

    def _starttls(self, reply: Reply) -> Stage:
        if reply.code == 220:
            return Stage.TLS
        # After any other 2xx or 3xx the peer may expect a handshake or a command: better neither.
        refused = reply.code is not None and reply.code >= 400
        return self._transaction() if refused and self._plan.tls is TlsMode.AUTO else _QUIT

    def _mail(self, reply: Reply) -> Stage:
        if _positive(reply):
            return _RCPT
        return Stage.MAIL_REAL if self._asks_again(_MAIL, reply) else _QUIT

    def _rcpt(self, reply: Reply) -> Stage:
        if self._asks_again(_RCPT, reply):
            self._after_rset = Stage.MAIL_REAL
            return _RSET
        self._answer = reply
        self.taken = _positive(reply)
        return Stage.RCPT_RANDOM if self.taken and self._plan.random_rcpt is not None else _QUIT

    def _asks_again(self, stage: Stage, reply: Reply) -> bool:
        # Only a refusal is read for it: an acceptance pays for no phrase.
        if reply.code is None or reply.code < 500 or self._plan.mail_from:
            return False
        return opens(self._read(reply, stage), stage)

    def _read(self, reply: Reply, stage: Stage) -> Reading:
        return phrases.read(reply, stage, ours(self._plan, self._local_ip))

    def _rcpt_random(self, reply: Reply) -> Stage:
        # RFC 5321 4.5.3.1.10: 452 says that one transaction has too many recipients. Then, once, another.
        too_many = reply.code in {452, 503} or "too many" in text_of(reply).lower()
        if too_many and not _positive(reply) and not self._random_retried:
            self._random_retried = True
            self._after_rset = Stage.MAIL_AGAIN
            return _RSET
        if not self._random_retried:  # who takes one recipient at a time would rather not be asked more
            self._answer = reply
        return _QUIT

    def _rset(self, reply: Reply) -> Stage:
        return self._after_rset if _positive(reply) else _QUIT

    def _mail_again(self, reply: Reply) -> Stage:
        return Stage.RCPT_RANDOM if _positive(reply) else _QUIT

    def _mail_real(self, reply: Reply) -> Stage:
        return Stage.RCPT_REAL if _positive(reply) else _QUIT

    def _rcpt_real(self, _reply: Reply) -> Stage:
        return _QUIT

    def _quit(self, _reply: Reply) -> None:
        return None

    FOLLOWS: ClassVar[dict[Stage, Callable[[Script, Reply], Stage | None]]] = {
        Stage.BANNER: _banner,
        Stage.EHLO: _ehlo,
        Stage.HELO: _helo,
        Stage.STARTTLS: _starttls,
        Stage.MAIL: _mail,
        Stage.RCPT: _rcpt,
        Stage.RCPT_RANDOM: _rcpt_random,
        Stage.RSET: _rset,
        Stage.MAIL_AGAIN: _mail_again,
        Stage.MAIL_REAL: _mail_real,
        Stage.RCPT_REAL: _rcpt_real,
        Stage.QUIT: _quit,
    }


def _positive(reply: Reply) -> bool:
    # RFC 5321 4.3.2: the first digit decides, so that codes nobody has heard of work too.
    return reply.code is not None and reply.code // 100 == 2
