"""Exim's conversation with one mail host, followed along the replies that ours had: up to MAIL.

Our conversation asks what a callout asks, in the same order. Each reply is taken for the command that Exim would
have sent, read as Exim reads it (`reply`), and the conversation stops where Exim stops, or where it would go
on to something that we did not ask: then nothing is told. What comes of MAIL and RCPT, and all the words, differ
between two generations of Exim: `transport` and `classic`.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from msgspec.structs import replace

from probe.core.exim.errors import TIMED_OUT, error_of
from probe.core.exim.met import Ended, Learnt, Left, Met, place
from probe.core.exim.reply import BUFFER, UNTOLD, Fate, Heard, Replies, hear, offers, room_after
from probe.core.exim.words import LIBRARY, Blame
from probe.core.facts import SILENT_AFTER
from probe.core.model import (
    AddressForm,
    ConnectOutcome,
    Direction,
    ExchangeOutcome,
    HostEvidence,
    MtaOutcome,
    Origin,
    Purpose,
    Session,
    Stage,
)

if TYPE_CHECKING:
    from typing import NoReturn

    from probe.core.callout import Callout
    from probe.core.model import Evidence


_BY_ICMP = frozenset(
    {ConnectOutcome.HOST_UNREACHABLE, ConnectOutcome.NET_UNREACHABLE, ConnectOutcome.PROHIBITED}
)
_LOCAL = frozenset({ConnectOutcome.NO_ROUTE, ConnectOutcome.LOCAL})
_POLL = 1.0
"""Seconds that Exim lets a Fast Open connection come about before its limit for the greeting begins."""
QUIT_WAIT = 1.0
"""Seconds that Exim waits for the reply to QUIT, before the relay is told anything."""
_REPLY_TO = {stage: f"the reply to {stage.value.upper()}" for stage in Stage} | {Stage.BANNER: "the greeting"}
_BROKEN = ("recv", "send")
"""What fails in TLS on a connection that was reset: the read, and then the QUIT."""
_NEED_TLS = re.compile(r"530|.*\bSTARTTLS\b", re.IGNORECASE)


class Talk(ABC):
    """The live state of one host's callout."""

    def __init__(self, host: HostEvidence, evidence: Evidence, callout: Callout, left: Left) -> None:
        self.host = host
        self.where = place(host, evidence)
        self.mailbox = evidence.address.mailbox
        self.domain = evidence.address.domain
        self.callout = callout
        self.message = left.message
        self.pipelining = left.pipelining
        self.learnt = Learnt()
        self.log: list[str] = []
        self.notes: list[str] = []
        self.session: Session
        self._utf8 = AddressForm.UTF8 in evidence.address.forms
        self._helo = _helo(host, evidence)
        self._seconds = 0.0
        self._replies: Replies
        self._kept_clear = False
        self._secure = False

    def met(self) -> Met:
        """Hold the conversation."""
        try:
            self._begin()
        except Ended as end:
            return end.met

    # --- what differs between the generations --------------------------------------------------------

    @abstractmethod
    def not_connected(self, error: str) -> NoReturn:
        """End where the connection failed with this error."""

    @abstractmethod
    def not_greeted(self, command: str, heard: Heard) -> NoReturn:
        """End before MAIL, at the reply to this command."""

    @abstractmethod
    def not_greeted_twice(self, command: str, heard: Heard, ehlo: str) -> NoReturn:
        """End at HELO, after EHLO was refused with the given reply."""

    @abstractmethod
    def without_tls(self) -> None:
        """Take note that TLS failed and that the host is asked again in clear."""

    @abstractmethod
    def transact(self, ehlo: str) -> NoReturn:
        """Say MAIL and RCPT; `ehlo` is what the host offered, empty after HELO."""

    # --- the end -----------------------------------------------------------------------------------

    def end(
        self,
        outcome: MtaOutcome | None,
        *,
        sent: str = "",
        response: str = "",
        blame: Blame = Blame.ADDRESS,
    ) -> NoReturn:
        """End the callout to this host."""
        raise Ended(
            Met(
                outcome=outcome,
                message=self.message,
                sent=sent,
                response=response,
                blame=blame,
                seconds=self._seconds,
                learnt=self.learnt,
                pipelining=self.pipelining,
                log=tuple(self.log),
                notes=tuple(dict.fromkeys(self.notes)),
            )
        )

    def failed(self, sent: str, heard: Heard, blame: Blame = Blame.ADDRESS) -> NoReturn:
        """End by the rule that all versions share: a 5xx ends the callout, anything else only this host."""
        if heard.fate is Fate.UNTOLD or (self._kept_clear and _NEED_TLS.match(heard.text)):
            self.end(None)
        if sent != "QUIT" and heard.fate in {Fate.REFUSED, Fate.OTHER, Fate.MALFORMED}:
            self._say_goodbye()
        if heard.fate is Fate.RESET and self._secure and self.callout.shares_transport:
            self.log += [f"H={self.where} TLS error on connection ({doing}): {LIBRARY}" for doing in _BROKEN]
        if heard.fate is Fate.REFUSED:
            self.end(MtaOutcome.REJECT, sent=sent, response=heard.text, blame=blame)
        self.end(MtaOutcome.DEFER)

    def accepted(self, sent: str, response: str) -> NoReturn:
        """End with a verified sender."""
        self._say_goodbye()
        self.end(MtaOutcome.ACCEPT, sent=sent, response=response)

    def _say_goodbye(self) -> None:
        """Count the wait for the reply to QUIT, which the old callout did not have; a spare one is there at once."""
        if not self.callout.shares_transport or self._replies.ahead:
            return
        last = self.session.exchanges[-1]
        if last.stage is Stage.QUIT:
            self._seconds += min(QUIT_WAIT, max(0.0, last.ended - last.sent))
        elif last.outcome is ExchangeOutcome.TIMEOUT:
            self._seconds += QUIT_WAIT

    # --- replies -----------------------------------------------------------------------------------

    def take(self, stage: Stage, patience: float | None = None, room: int = BUFFER) -> Heard:
        """Read the reply that Exim takes for that of `stage`: its own, or simply the next after one too many."""
        limit = self.callout.seconds if patience is None else patience
        if self._replies.over:
            return Heard(Fate.CLOSED)
        item = self._replies.next(stage)
        heard = hear(item, self.session, limit, room)
        self._seconds += heard.seconds
        if heard.late:
            name = _REPLY_TO[stage]
            self.notes.append(f"{self.where}: {name} came, but only after the {limit:.0f} s that Exim waits.")
        reply = item.reply if item is not None else None
        if reply is not None and reply.started < reply.ended and limit - 1.0 < heard.seconds < limit:
            name = _REPLY_TO[stage]
            self.notes.append(
                f"{self.where}: {name} came in pieces, the last of them in the last second of the {limit:.0f} s that"
                " Exim waits; it counts whole seconds then, so another try may end as a time-out."
            )
        if heard.early:
            name = _REPLY_TO[stage]
            self.notes.append(
                f"{self.where}: this Exim waits {limit:.0f} s for {name}, longer than we did; what comes in between"
                " would change the outcome."
            )
        if item is not None and item.stage is Stage.EXTRA:
            self.notes.append(
                f"{self.where} answers more than it is asked, and Exim takes a reply too many for that to its next"
                " command."
            )
        return heard

    def mail_command(self, ehlo: str) -> str:
        """Give the command that opens the transaction."""
        return "MAIL FROM:<>" + (" SMTPUTF8" if self._utf8 and offers(ehlo, "SMTPUTF8") else "")

    def learn(self, **changes: str | bool | None) -> None:
        """Note what the cache would learn."""
        self.learnt = replace(self.learnt, **changes)

    def audited(self, *stages: Stage) -> Heard:
        """Read what the audit of the host heard at the last of these stages that it came to."""
        heard = self._last_of(_first(self.host, Purpose.AUDIT), *stages)
        if heard.fate is Fate.UNTOLD:
            self.notes.append(f"{self.where}: Exim asks for the postmaster too, which only --audit does.")
        self._seconds += heard.seconds
        return heard

    def _last_of(self, session: Session | None, *stages: Stage) -> Heard:
        """Read the last answer that a session had at one of these stages.

        A host that answers more than it is asked is out of step with Exim somewhere else.
        """
        exchanges = session.exchanges if session is not None else ()
        found = [item for item in exchanges if item.stage in stages]
        if session is None or not found or any(item.stage is Stage.EXTRA for item in exchanges):
            return UNTOLD
        return hear(found[-1], session, self.callout.seconds)

    def reset(self) -> Heard:
        """Read the answer to RSET: that of the callout itself where it had one, else that of the audit."""
        if self._replies.over:
            return Heard(Fate.CLOSED)
        if self._replies.ahead:
            return self.take(Stage.RSET)
        own = next((item for item in self.session.exchanges if item.stage is Stage.RSET), None)
        return self.audited(Stage.RSET) if own is None else hear(own, self.session, self.callout.seconds)

    def random(self) -> Heard:
        """Read what the host said of a mailbox that cannot exist: to --catch-all, or else to --audit."""
        heard = self._last_of(self.session, Stage.RCPT_RANDOM)
        if heard.fate is Fate.UNTOLD:
            # A local part of 64 octets is as good as a random one.
            heard = self._last_of(_first(self.host, Purpose.AUDIT), Stage.RCPT_LONG)
        # As the second recipient of one transaction it may be refused for that alone (RFC 5321 4.5.3.1.10).
        alone = heard.text.startswith(("452", "503")) or "too many" in heard.text.lower()
        told = heard.fate in {Fate.REFUSED, Fate.OTHER} and not alone
        if heard.fate is not Fate.POSITIVE and not told:
            self.notes.append(
                f"{self.where}: Exim asks for a random mailbox first, and what that is answered is not known"
                " (--catch-all asks, once the mailbox itself is accepted, and --audit too). Were it accepted, Exim"
                " would accept, and were it deferred, defer."
            )
            return UNTOLD
        return heard

    def _follow(self, session: Session) -> None:
        self.session = session
        self._replies = Replies(session)

    # --- the connection ----------------------------------------------------------------------------

    def _begin(self) -> NoReturn:
        session = _first(self.host, Purpose.CALLOUT)
        in_clear = _first(self.host, Purpose.CLEAR)
        if in_clear is not None and not self.callout.starts_tls:
            session = in_clear
        if session is None:
            self.end(None)
        self._connect(session)

    def _connect(self, session: Session) -> NoReturn:
        connect, fast = session.connect, self.callout.fast_open
        lapse = connect.ended - connect.started
        silent = connect.outcome is ConnectOutcome.TIMEOUT or (
            connect.outcome is ConnectOutcome.CUT_SHORT and lapse >= SILENT_AFTER
        )
        if silent or (not fast and lapse > self.callout.connect_seconds):
            self._silent(lapse)
        if connect.outcome is ConnectOutcome.CONNECTED:
            self._seconds += min(lapse, _POLL) if fast else lapse
            self._follow(session)
            # What is left of a slow connection counts as waiting for the greeting.
            self._greet(self.callout.seconds - (max(0.0, lapse - _POLL) if fast else 0.0))
        if connect.outcome is ConnectOutcome.CUT_SHORT:
            self.end(None)
        self._seconds += lapse
        self._unconnected(session)

    def _silent(self, lapse: float) -> NoReturn:
        """End where the SYN is not answered in time."""
        fast = self.callout.fast_open
        limit = _POLL + self.callout.seconds if fast else self.callout.connect_seconds
        self._seconds += limit
        if lapse < limit - _POLL:
            self.notes.append(
                f"{self.where}: this Exim waits {limit:.0f} s for a connection, longer than we did; one that comes"
                " about in between would change the outcome."
            )
        if not fast:
            self.not_connected(TIMED_OUT)
        self.notes.append(
            f"{self.where}: Exim connects by TCP Fast Open, which hides that no connection came about; its log blames"
            " the greeting."
        )
        self.not_greeted("initial connection", Heard(Fate.TIMEOUT))

    def _unconnected(self, session: Session) -> NoReturn:
        """End where the connection failed at once, with an errno or an ICMP error."""
        connect = session.connect
        error = error_of(connect)
        if connect.outcome is ConnectOutcome.RESET and self.callout.shares_transport:
            # The connection stood and was reset before we could look; Exim hears of it at its first read.
            self.notes.append(
                f"{self.where}: the connection was reset before we could read from it; had a refusal come first, Exim"
                " would reject."
            )
            self.not_greeted("initial connection", Heard(Fate.RESET))
        if self.callout.fast_open and connect.outcome in _BY_ICMP:
            error = self.where
            self.notes.append(
                f"{self.where}: Exim connects by TCP Fast Open and loses the ICMP error, so its log names the host"
                " twice and no reason."
            )
        if self.callout.logs_connection_errors and connect.outcome in _LOCAL:
            word = "calloout" if self.callout.version == (4, 98) else "callout"
            self.log.append(f"recipient verify defer (making {word} connection): T=remote_smtp {error}")
        self.not_connected(error)

    # --- greeting, HELO and TLS --------------------------------------------------------------------

    def _greet(self, patience: float) -> NoReturn:
        heard = self.take(Stage.BANNER, patience)
        if heard.fate is not Fate.POSITIVE:
            self.not_greeted("initial connection", heard)
        if not self.callout.says_ehlo:
            self._say_helo_alone()
        heard = self.take(Stage.EHLO)
        if heard.fate is Fate.POSITIVE:
            self._offered(heard.text)
        if heard.fate in {Fate.REFUSED, Fate.OTHER}:
            self._say_helo(heard.text)
        self.not_greeted(f"EHLO {self._helo}", heard)

    def _say_helo(self, ehlo: str) -> NoReturn:
        """Say HELO to whoever refuses EHLO, as Exim does after any code."""
        replies = self._replies
        if replies.left_at_once:
            heard = Heard(Fate.CLOSED)
        elif replies.over or replies.shifted or replies.has(Stage.HELO):
            heard = self.take(Stage.HELO, room=room_after(ehlo) if self.callout.shares_transport else BUFFER)
        else:
            self.end(None)
        if heard.fate is Fate.POSITIVE:
            self.transact("")
        self.not_greeted_twice(f"HELO {self._helo}", heard, ehlo)

    def _say_helo_alone(self) -> NoReturn:
        """Say HELO as Exim did before 4.82; what we heard of EHLO stands for it, unless we said HELO too."""
        if self._replies.has(Stage.HELO):
            heard = self.take(Stage.HELO)
        else:
            heard = self.take(Stage.EHLO)
            self.notes.append(
                f"{self.where}: we said EHLO and Exim {self.callout.version_text} says HELO; the answer to one is"
                " taken for the other's."
            )
        if heard.fate is not Fate.POSITIVE:
            self.not_greeted(f"HELO {self._helo}", heard)
        self._stay_in_clear()
        self.transact("")

    def _stay_in_clear(self) -> None:
        tls = self.session.tls
        if tls is not None and tls.ok:
            self.notes.append(
                f"{self.where}: we spoke with it in TLS, and Exim {self.callout.version_text} does not start that for"
                " a callout; a host that demands TLS refuses it."
            )

    def _offered(self, ehlo: str) -> NoReturn:
        """Go on after a good reply to EHLO in clear."""
        if not self.callout.starts_tls:
            self._stay_in_clear()
            self.transact(ehlo)
        if self.session.purpose is Purpose.CLEAR:
            self.transact(ehlo)
        if not offers(ehlo, "STARTTLS"):
            if self._replies.has(Stage.STARTTLS) and not (self.session.tls and self.session.tls.ok):
                self.end(None)  # the offer was not to Exim's letter, and took us another way
            self.transact(ehlo)
        if not self._replies.has(Stage.STARTTLS):
            self._kept_clear = True
            self.notes.append(f"{self.where} offers STARTTLS, which Exim takes and we were told not to.")
            self.transact(ehlo)
        heard = self.take(Stage.STARTTLS)
        if heard.fate in {Fate.REFUSED, Fate.OTHER}:
            self.transact(ehlo)
        if heard.fate is not Fate.POSITIVE:
            self.not_greeted("STARTTLS", heard)
        self._shake_hands()

    def _shake_hands(self) -> NoReturn:
        tls = self.session.tls
        # With an address literal 4.96 breaks down where TLS begins (seen): the relay is told nothing at all.
        if tls is None or _injected(self.session) or self.host.origin is Origin.LITERAL:
            self.end(None)
        self._seconds += tls.ended - tls.started
        if not tls.ok:
            self.without_tls()
            session = _first(self.host, Purpose.CLEAR)
            if session is None:
                self.end(None)
            self._connect(session)
        heard = self.take(Stage.EHLO)
        if heard.fate is not Fate.POSITIVE:
            self.end(None)  # Exim says MAIL at once, or starts over in clear
        self._secure = True
        self.transact(heard.text)


def _first(host: HostEvidence, purpose: Purpose) -> Session | None:
    return next((session for session in host.sessions if session.purpose is purpose), None)


def _helo(host: HostEvidence, evidence: Evidence) -> str:
    """Give the name that is said in HELO: ours, which stands for that of the mail server."""
    if evidence.options.helo is not None:
        return evidence.options.helo
    commands = (item.command for session in host.sessions for item in session.exchanges)
    said = (re.match(r"(?:EHLO|HELO) (.+)", command) for command in commands if command)
    return next((found[1] for found in said if found), "<name of the mail server>")


def _injected(session: Session) -> bool:
    """Whether something came in clear behind the answer to STARTTLS, which Exim takes for a broken handshake."""
    lines, asked = 0, False
    for entry in session.tape:
        if entry.secure:
            break
        if entry.direction is Direction.SENT:
            asked = entry.data.startswith("STARTTLS")
        elif entry.direction is Direction.RECEIVED and asked:
            lines += entry.data.count("\n")
    return lines > 1
