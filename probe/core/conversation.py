"""The callout, sans-io: events in, actions out, exchanges and tape recorded.

A driver tells what happened (`connected`, `received`, `closed`, `timed_out`, `given_up`, `tls_done`,
`interrupted`), each with its time, and carries out the actions that come back, in order. `deadline` says until
when to wait for the next event. The conversation ends with exactly one `Close`; events after it change nothing.
What is said, and what follows which answer, stands in `script` (and `audit`); here is when it is said, and
which answer is whose.

Replies are paired with commands by order alone, so one reply too many shifts all that follow, and a refusal
can pass for an acceptance. Three things guard against it. Whatever complete reply is already there when a
command has been answered is put aside as `Stage.EXTRA` before the next command goes out. A peer that has sent
such a reply is given a short silence before each further command. What comes later still shows at QUIT, whose
answer is then not 221: we read on until the peer closes, and `in_step` looks at what came.

With `following`, one connection serves several mailboxes: after a clean answer for one (`Script.contented`), from a
peer that said nothing unasked, it is asked for the next. RSET, MAIL and RCPT then go out in one write where the peer
offers PIPELINING (`group`), otherwise one by one. For the first one they always go one by one: some hosts offer it
and cannot do it, and they answer the first at least as they answer a diagnosis. Each mailbox has a session of its
own (`turns`). A reply too many may have shifted any of them, so it stands behind QUIT in all, where `in_step`
counts it.

QUIT ends every conversation that had a greeting, whatever went wrong, with three exceptions: after a time-out
nobody listens (Exim sends none either), a flood leaves nothing to wait for, and after a handshake that failed
neither side knows what the other reads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from probe.core.actions import Action, Close, Send, StartTls
from probe.core.audit import AuditScript
from probe.core.group import Group, written
from probe.core.model import Exchange, ExchangeOutcome, Purpose, Session, Stage, Tls
from probe.core.plan import Plan, follow_up
from probe.core.reply import ReplyReader
from probe.core.script import Script
from probe.core.step import in_step
from probe.core.surplus import Surplus, excess
from probe.core.tape import Recorder
from probe.core.turns import Around, Turns

if TYPE_CHECKING:
    from collections.abc import Callable

    from probe.core.model import Connect, Reply, TcpInfo

__all__ = ["Action", "Close", "Conversation", "Plan", "Send", "StartTls", "follow_up", "in_step"]

SETTLE = 0.25
"""Seconds of silence before the next command, once a peer has answered more than it was asked: the segments
of one answer rarely lie further apart, and seven commands still cost less than two seconds."""
SLICE = 1024
"""Octets that are read between two looks at the limits of `surplus`: of empty lines, each octet is a reply."""

_CLOSE: tuple[Action, ...] = (Close(abort=False),)
_AUDIT, _REPLY = Purpose.AUDIT, ExchangeOutcome.REPLY
_BANNER, _STARTTLS, _TLS, _MAIL, _QUIT, _EXTRA = (
    Stage.BANNER,
    Stage.STARTTLS,
    Stage.TLS,
    Stage.MAIL,
    Stage.QUIT,
    Stage.EXTRA,
)
"""Looked at for each reply: by the class, each access costs 0.1 us (Python 3.11)."""


class Conversation:
    """One callout over one connection. Times are seconds of one clock that never goes back.

    `following` hears whether the present mailbox was taken, and names the next one to ask for over the same connection,
    None when there is none; without it the connection serves the mailbox of the plan alone. `plan` is always that of
    the present mailbox.
    """

    __slots__ = (
        "_chatty",
        "_command",
        "_deadline",
        "_exchanges",
        "_following",
        "_group",
        "_local_ip",
        "_next",
        "_quiet",
        "_reader",
        "_script",
        "_secure",
        "_sent",
        "_surplus",
        "_tape",
        "_tls",
        "_turning",
        "_turns",
        "awaiting",
        "finished",
        "plan",
        "unasked",
    )

    def __init__(self, plan: Plan, following: Callable[[bool], str | None] | None = None) -> None:
        self.plan = plan
        self.finished = False
        self.awaiting: Stage | None = None
        """The state: the stage whose reply (or handshake) is waited for; None while between two commands."""
        self.unasked: str | None = None
        """The mailbox that `following` gave and that was not asked for after all: MAIL for it was never answered."""
        self._following = following
        self._local_ip: str
        self._script: Script | AuditScript  # from the greeting on
        self._reader = ReplyReader()
        self._tape = Recorder()
        self._exchanges: list[Exchange] = []
        self._tls: Tls | None = None
        self._secure = False
        self._command: str | None = None  # what `awaiting` answers
        self._sent = 0.0
        self._next: Stage | None = None  # decided, and held back until the peer is quiet
        self._deadline: float | None = None
        self._quiet = 0.0  # end of the silence that a chatty peer is given
        self._chatty = False
        self._surplus: Surplus | None = None
        self._turns: Turns | None = None  # from the first transaction on, where another may follow
        self._turning = False  # the reply to the RSET between two mailboxes is waited for
        self._group: Group | None = None  # from the first one on

    @property
    def deadline(self) -> float | None:
        """When to call `timed_out` if no other event comes first; None when nothing is waited for."""
        if self.finished or self._deadline is None:
            return None
        if self._next is None or self._held_up():
            return self._deadline
        return min(self._quiet, self._deadline)

    # --- events ------------------------------------------------------------------------------------

    def connected(self, now: float, local_ip: str) -> tuple[Action, ...]:
        """Begin: the TCP connection stands, and `local_ip` is our end of it."""
        if not self.finished:
            self._local_ip = local_ip
            self._await(_BANNER, now, self.plan.banner_timeout)
        return ()

    def received(self, data: bytes, now: float) -> tuple[Action, ...]:
        """Take bytes of the peer, in clear or as TLS decrypted them."""
        if self.finished:
            self._tape.dropped += len(data)
            return ()
        for start in range(0, len(data), SLICE):
            piece = data[start : start + SLICE]
            kept = self._tape.received(piece, now, self._secure)
            for reply in self._reader.feed(kept, now):
                self._take(reply)
            whole = len(kept) == len(piece)
            if self._surplus is not None or self._reader.overflowed or not whole:
                why = excess(self._surplus, self._reader, whole=whole)
                if why is not None:
                    self._tape.dropped += max(0, len(data) - start - SLICE)
                    return self._flooded(why, now)
        return self._proceed(now)

    def closed(self, now: float, *, reset: bool, detail: str | None = None) -> tuple[Action, ...]:
        """Take the end of the connection by the peer: FIN, or RST with `reset`; `detail` is an errno name."""
        if self.finished:
            return ()
        self._note("reset by the peer" if reset else "closed by the peer", now, detail)
        return self._break_off(ExchangeOutcome.RESET if reset else ExchangeOutcome.CLOSED, now, detail)

    def timed_out(self, now: float) -> tuple[Action, ...]:
        """Look at the clock; nothing happens before `deadline`."""
        deadline = self.deadline
        if deadline is None or now < deadline:
            return ()
        if self._next is not None and not self._held_up():
            if now >= self._quiet:
                return self._send(self._next, now)
            return self._flooded("never quiet enough for the next command", now)
        if self.awaiting is not None or self._next is not None:
            self._note("time-out", now)  # otherwise QUIT was answered, and the peer keeps the connection open
        return self._break_off(ExchangeOutcome.TIMEOUT, now)

    def given_up(self, now: float, why: str) -> tuple[Action, ...]:
        """Stop waiting before the deadline: the driver has seen that no answer can come, and says why."""
        if self.finished:
            return ()
        if self.awaiting is not None or self._next is not None:
            self._note("given up", now, why)
        return self._break_off(ExchangeOutcome.TIMEOUT, now, why)

    def tls_done(self, tls: Tls) -> tuple[Action, ...]:
        """Take the end of the handshake that `StartTls` began."""
        if self.awaiting is not _TLS:
            return ()
        self._tls = tls
        if not tls.ok:
            self._note("TLS failed", tls.ended, tls.error)
            return self._break_off(ExchangeOutcome.TLS_FAILED, tls.ended, tls.error, abort=True)
        self._secure = True
        self._note("TLS on", tls.ended, tls.version)
        self._reader.discard()
        self.awaiting = None
        self._decide(self._script.secured(), tls.ended)
        return self._proceed(tls.ended)

    def interrupted(self, now: float) -> tuple[Action, ...]:
        """Stop now, with a farewell where it can be read."""
        if self.finished:
            return ()
        stages = {exchange.stage for exchange in self._exchanges}
        # Between STARTTLS and the handshake's end the peer would read our QUIT as a broken TLS record.
        polite = Stage.BANNER in stages and self.awaiting not in {_STARTTLS, _TLS, _QUIT}
        polite = polite and _QUIT not in stages
        self._note("interrupted", now)
        end = self._break_off(ExchangeOutcome.CUT_SHORT, now)
        if not polite:
            return end
        self._sent = now
        farewell = self._write(_QUIT, now)
        self._record(_QUIT, self._command, now, now, ExchangeOutcome.CUT_SHORT)
        return (farewell, *end)

    def session(
        self, connect: Connect, now: float, *, tcp: TcpInfo | None = None, soft_error: str | None = None
    ) -> Session:
        """Return what is recorded; what is still going on at `now` counts as cut short.

        `tcp` and `soft_error` are the driver's to see.
        """
        return self.sessions(connect, now, tcp=tcp, soft_error=soft_error)[0][1]

    def sessions(
        self, connect: Connect, now: float, *, tcp: TcpInfo | None = None, soft_error: str | None = None
    ) -> tuple[tuple[str, Session], ...]:
        """Return each mailbox that was asked for with its session, as `session` does for the first of them."""
        exchanges = tuple(self._exchanges)
        if self.awaiting is not None:
            cut = Exchange(self.awaiting, self._command, self._sent, now, ExchangeOutcome.CUT_SHORT)
            exchanges = (*exchanges, cut)
        elif self._next is not None:
            exchanges = (*exchanges, Exchange(self._next, None, now, now, ExchangeOutcome.CUT_SHORT))
        if not self._turns:
            tape, dropped = self._tape.entries(), self._tape.dropped
            alone = Session(self.plan.purpose, connect, exchanges, self._tls, tape, dropped, tcp, soft_error)
            return ((self.plan.rcpt, alone),)
        around = Around(self.plan.purpose, connect, self._tls, tcp, soft_error)
        present = self.plan.rcpt if self.unasked != self.plan.rcpt else None
        return self._turns.sessions(around, present, exchanges)

    # --- pairing and pacing ------------------------------------------------------------------------

    def _take(self, reply: Reply) -> None:
        """Pair a reply with the command that waits for one, or put it aside."""
        if self._group is not None and self._group.passes_over(reply):
            return  # the tape has it
        stage = self.awaiting
        if stage is not None and stage is not _TLS:
            self._answered(stage, reply)
            return
        self._chatty = True
        if reply.code == 421 and self._next is not None and self._next not in {_TLS, _QUIT}:
            # RFC 5321 4.2.3: 421 "may be a reply to any command", so it answers the one that is held back.
            self._record(self._next, None, reply.started, reply.ended, reply=reply)
            self._decide(_QUIT, reply.ended)
            return
        self._record(_EXTRA, None, reply.started, reply.ended, reply=reply)
        if self._surplus is None:
            self._surplus = Surplus()
        self._surplus.add(reply)

    def _answered(self, stage: Stage, reply: Reply) -> None:
        if self._turning:
            self._turning = False  # of no mailbox, then; the tape has it
        else:
            answered = Exchange(stage, self._command, self._sent, reply.ended, _REPLY, reply)
            self._exchanges.append(answered)
        if stage is _MAIL:
            self.unasked = None
        self.awaiting = None
        if stage is _BANNER:  # only now: thousands wait for theirs at a time
            walk = AuditScript if self.plan.purpose is _AUDIT else Script
            self._script = walk(self.plan, self._local_ip)
        after = self._script.follows(stage, reply)
        if self._group is not None and self._group.ahead:
            command = self._group.follow(after, reply)
            if command is not None:
                self.awaiting, self._command = after, command
                self._deadline = reply.ended + self.plan.reply_timeout
                return
        if after is not None:
            self._decide(after, reply.ended)

    def _held_up(self) -> bool:
        """Whether more has to come before the next command can go out, however quiet the peer is."""
        return self._reader.pending or (self._group is not None and self._group.unread > 0)

    def _decide(self, stage: Stage, now: float) -> None:
        self._next = stage
        self._deadline = now + self.plan.reply_timeout  # for what the peer may still be saying

    def _proceed(self, now: float) -> tuple[Action, ...]:
        """Do what was decided, unless the peer may still be speaking."""
        if self._next is None:
            return self._farewell()
        if self._group is not None and self._group.unread:
            return ()
        if self._next is _TLS:
            # RFC 3207 4.2 again: what came in clear behind the 220 may be an attacker's. The tape has it.
            self._reader.discard()
            self._await(_TLS, now, self.plan.reply_timeout)
            return ()
        if self._chatty or self._reader.pending:
            self._chatty = True
            self._quiet = now + SETTLE
            return ()
        if self._next is _QUIT and self._following is not None:
            return self._turn(self._following, now)
        return self._send(self._next, now)

    def _turn(self, following: Callable[[bool], str | None], now: float) -> tuple[Action, ...]:
        """Ask for the next mailbox, if there is one and this peer may be asked; else say QUIT."""
        script = self._script
        if self._turns is None or not isinstance(script, Script) or not script.contented():
            return self._send(_QUIT, now)
        mailbox = following(script.taken)
        if mailbox is None:
            return self._send(_QUIT, now)
        self.unasked = mailbox
        plan = script.next_mailbox(mailbox)
        if plan is None:
            return self._send(_QUIT, now)
        self._turns.turn(self.plan.rcpt, self._exchanges)
        self._turning = True
        self.plan = plan
        self._await(Stage.RSET, now, plan.reply_timeout)
        return self._say(_NEXT if script.pipelines else _NEXT[:1], now)

    def _farewell(self) -> tuple[Action, ...]:
        """Hang up once QUIT has its 221: after that nothing can be out of step, and waiting costs a second."""
        if self.awaiting is not None or not self._exchanges or self._reader.pending:
            return ()
        last = self._exchanges[-1]
        if last.stage is not _QUIT or last.reply is None or last.reply.code != 221:
            return ()
        self.finished = True
        return _CLOSE

    def _send(self, stage: Stage, now: float) -> tuple[Action, ...]:
        if self._turns is not None and stage is _QUIT:
            self._turns.part()
        elif self._turns is None and self._following is not None and stage in _FIRST:
            self._turns = Turns(self._tape, self._exchanges)
        self._await(stage, now, self.plan.quit_timeout if stage is _QUIT else self.plan.reply_timeout)
        return (self._write(stage, now),)

    def _say(self, stages: tuple[Stage, ...], now: float) -> tuple[Action, ...]:
        """Write the commands of these stages at once, the first of which is the one that is awaited."""
        together, self._command = written(self._script.command(stages[0]))
        group = self._group = self._group or Group()
        for stage in stages[1:]:
            line, command = written(self._script.command(stage))
            together += line
            group.add(stage, command)
        self._tape.sent(together, now, self._secure)
        return (Send(together),)

    def _await(self, stage: Stage, now: float, limit: float) -> None:
        self.awaiting, self._next, self._command = stage, None, None
        self._sent = now
        # One limit for the whole reply, as Exim has it: a peer that sends a byte now and then wins nothing.
        self._deadline = now + limit

    def _write(self, stage: Stage, now: float) -> Action:
        line, self._command = written(self._script.command(stage))
        self._tape.sent(line, now, self._secure)
        return StartTls() if stage is _STARTTLS else Send(line)

    def _break_off(
        self, outcome: ExchangeOutcome, now: float, detail: str | None = None, *, abort: bool = False
    ) -> tuple[Action, ...]:
        """End the conversation where it stands."""
        rest = self._reader.flush(now)
        stage = self.awaiting
        if stage is _TLS and self._tls is None and outcome is not ExchangeOutcome.CUT_SHORT:
            self._tls = Tls(self._sent, now, ok=False, error=detail or outcome.value)
        if rest is not None and (stage is None or stage is _TLS):
            self._record(_EXTRA, None, rest.started, now, outcome, rest, detail)
            rest = None
        if stage is not None:
            self._record(stage, self._command, self._sent, now, outcome, rest, detail)
        elif self._next is not None:
            # Held back and now never sent: it has no text, but its stage is where the conversation ended.
            self._record(self._next, None, now, now, outcome, None, detail)
        self.finished = True
        self.awaiting = self._next = None
        return (Close(abort),)

    def _flooded(self, why: str, now: float) -> tuple[Action, ...]:
        self._note("overflow", now, why)
        return self._break_off(ExchangeOutcome.OVERFLOW, now, why, abort=True)

    def _record(
        self,
        stage: Stage,
        command: str | None,
        sent: float,
        ended: float,
        outcome: ExchangeOutcome = ExchangeOutcome.REPLY,
        reply: Reply | None = None,
        detail: str | None = None,
    ) -> None:
        self._exchanges.append(Exchange(stage, command, sent, ended, outcome, reply, detail))

    def _note(self, text: str, now: float, detail: str | None = None) -> None:
        if self._turns is not None:
            self._turns.part()
        self._tape.note(f"{text}: {detail}" if detail else text, now, secure=self._secure)


_NEXT = (Stage.RSET, _MAIL, Stage.RCPT)
"""The way to the next mailbox. RFC 2920 3.1: all three may stand anywhere in a group of commands."""
_FIRST = frozenset({_MAIL, Stage.MAIL_REAL})
