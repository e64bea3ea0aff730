"""What `--audit` asks: one more connection to a mail host, of ten commands at most, and never DATA.

The callout shows what defeats a verification. A postmaster who mends his server wants to know the rest too, so
a polite walk through what RFC 5321 demands of every server follows it, in clear:

    HELO              Must be supported beside EHLO (4.5.1), and not be answered in the manner of EHLO (3.2).
    NOOP              As `NoOp`, because verbs know no case (2.4); only who refuses that is asked `NOOP`.
    MAIL FROM:<>
    RCPT_POSTMASTER   As `Postmaster`, in any case an address of every domain (2.3.5, 4.5.1); then `postmaster`.
    RCPT_LONG         A local part of 64 octets, as long as the RFC allows (4.5.3.1.1). It need not exist.
    RSET
    VRFY              Of the postmaster, which harvests nothing (3.5.3).
    UNKNOWN           A command that nobody knows, answered with 500, and the connection stays (4.1.1.11, 4.2.4).
    QUIT

Second looks at what was refused cost the walk its less telling steps, so that ten commands are never passed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import structs

from probe.core.model import ExchangeOutcome, Purpose, Stage
from probe.core.plan import helo_argument

if TYPE_CHECKING:
    from probe.core.model import Reply, Session
    from probe.core.plan import Plan

MAX_COMMANDS = 10
"""Commands of an audit, QUIT included: about as many as a callout with its second try, so no burden."""
REPLY_TIMEOUT = 10.0
"""Seconds for each reply. No verdict waits for an audit; what is slower is left unasked."""
LONG_LOCAL_PART = "this-local-part-has-64-octets-as-RFC-5321-allows-by-probe-sender"
"""A local part that says to whoever reads the log of the mail host what it is there for (RFC 5321 4.5.3.1.1)."""

COMMANDS: dict[Stage, str] = {
    Stage.HELO: "HELO {helo}",
    Stage.EHLO: "EHLO {helo}",
    Stage.NOOP: "NoOp",
    Stage.NOOP_AGAIN: "NOOP",
    Stage.MAIL: "MAIL FROM:<>",
    Stage.RCPT_POSTMASTER: "RCPT TO:<Postmaster@{domain}>",
    Stage.RCPT_POSTMASTER_AGAIN: "RCPT TO:<postmaster@{domain}>",
    Stage.RCPT_LONG: "RCPT TO:<{long}@{domain}>",
    Stage.RSET: "RSET",
    Stage.VRFY: "VRFY postmaster",
    Stage.UNKNOWN: "XPROBE",
    Stage.QUIT: "QUIT",
}

_WALK = (
    Stage.HELO,
    Stage.NOOP,
    Stage.MAIL,
    Stage.RCPT_POSTMASTER,
    Stage.RCPT_LONG,
    Stage.RSET,
    Stage.VRFY,
    Stage.UNKNOWN,
)
_SPARE = (Stage.RCPT_LONG, Stage.VRFY)
"""What is left out first when second looks take its place."""
_RECIPIENTS = frozenset({Stage.RCPT_POSTMASTER, Stage.RCPT_LONG})


class AuditScript:
    """The walk of one audit, for a plan and our own address on the connection (None when it is not known)."""

    __slots__ = ("_left", "_parts", "_sent")

    def __init__(self, plan: Plan, local_ip: str | None) -> None:
        self._left = list(_WALK)
        self._sent = 0
        self._parts = {
            "helo": helo_argument(plan, local_ip),
            "domain": plan.rcpt.rpartition("@")[2],
            "long": LONG_LOCAL_PART,
        }

    def command(self, stage: Stage) -> str:
        """Return the command line that asks for the reply of a stage, without CRLF."""
        return COMMANDS[stage].format_map(self._parts)

    def follows(self, stage: Stage, reply: Reply) -> Stage | None:
        """Return what comes after a reply: the stage of a command, or None after QUIT."""
        if stage is Stage.QUIT:
            return None
        # As in a callout: who is not understood, or says 421, is told goodbye.
        if reply.code is None or not 200 <= reply.code < 600 or reply.code == 421:
            return Stage.QUIT
        positive = reply.code // 100 == 2
        if stage is Stage.BANNER and not positive:
            return Stage.QUIT
        if reply.code >= 500 and stage in _SECOND_LOOK:
            self._left.insert(0, _SECOND_LOOK[stage])
        elif not positive and stage in {Stage.HELO, Stage.EHLO}:
            return Stage.QUIT
        elif not positive and stage is Stage.MAIL:
            self._left = [step for step in self._left if step not in _RECIPIENTS]
        return self._next()

    def secured(self) -> Stage:
        """Take the success of a handshake, which an audit never begins."""
        return Stage.QUIT

    def _next(self) -> Stage:
        for spare in _SPARE:
            if self._sent + len(self._left) + 1 > MAX_COMMANDS and spare in self._left:
                self._left.remove(spare)
        self._sent += 1
        return self._left.pop(0) if self._left else Stage.QUIT


_SECOND_LOOK = {
    Stage.HELO: Stage.EHLO,
    Stage.NOOP: Stage.NOOP_AGAIN,
    Stage.RCPT_POSTMASTER: Stage.RCPT_POSTMASTER_AGAIN,
}
"""What a refusal may have been about besides the command itself."""


def audit(plan: Plan, sessions: tuple[Session, ...]) -> Plan | None:
    """Plan the audit of a host whose callout was held; None where that host would not hear us out.

    A host that has not answered MAIL refuses us, or everybody, and is asked nothing more.
    """
    for session in sessions:
        for exchange in session.exchanges:
            asked = exchange.stage in {Stage.MAIL, Stage.MAIL_REAL}
            if asked and exchange.outcome is ExchangeOutcome.REPLY and exchange.reply is not None:
                return structs.replace(
                    plan,
                    purpose=Purpose.AUDIT,
                    mail_from="",
                    random_rcpt=None,
                    offer_tls=False,
                    reply_timeout=min(plan.reply_timeout, REPLY_TIMEOUT),
                )
    return None
