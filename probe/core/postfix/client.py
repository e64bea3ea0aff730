"""What Postfix's SMTP client makes of a conversation that we had with a mail host (smtp_proto.c, smtp_chat.c).

It reads the same lines otherwise than we do. A reply ends with the first line of three digits and a space or
nothing; the code of that line counts, whatever the lines before it said, and a line without a code is taken for
one more line of the reply that is still to come. So the lines are read here once more, in the order they came,
and none before Postfix would have sent the command that it answers.

Its limits are five minutes for each reply. A 4xx, a broken connection and a 5xx greeting let it try the next
host; any other 5xx ends the probe, and so does a code that begins with 1, 3 or above 5.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from probe.core.facts import Ended, Got
from probe.core.mail_hosts import spelt
from probe.core.model import ConnectOutcome, Exchange, ExchangeOutcome, Oddity, Origin, Session, Stage
from probe.core.plan import leaves_open
from probe.core.reply import keywords, text_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from probe.core.fold import Judged
    from probe.core.model import Evidence, HostEvidence, Reply

CONNECT_SECONDS = 30.0
"""`smtp_connect_timeout`."""
REPLY_SECONDS = 300.0
"""`smtp_helo_timeout`, `smtp_mail_timeout` and `smtp_rcpt_timeout`, each for what comes next."""
LINE_LIMIT = 2048
"""`line_length_limit`: octets of a line that are kept, and of a reply after which no further line is."""


class Result(StrEnum):
    """What one mail host's answer is to the probe."""

    TAKEN = "taken"
    SOFT = "soft"
    """The next host is tried."""
    HARD = "hard"


class Talk(Struct, frozen=True, kw_only=True):
    """How one connection ends: `why` and `dsn` as they stand in the log, text as latin-1 like all of a peer.

    `seconds` is how long it takes Postfix, infinite where the host never stops sending. `connected` is whether
    the connection stood, `greeted` whether it counts for `smtp_mx_session_limit`: the host took EHLO or HELO.
    `silent` names what Postfix would wait for longer than we did, `unrouted` says that we had no route. `real`
    says that the answer was given to our own sender, after the null sender had been refused, `secure` that it was
    given over TLS, `masked` that our EHLO stands for the HELO that Postfix says to such a greeting.
    `hung_up` says that the host refused MAIL and was gone when the RCPT behind it (PIPELINING) had its turn.
    """

    result: Result
    dsn: str
    why: str
    seconds: float
    connected: bool = True
    greeted: bool = False
    silent: Stage | None = None
    unrouted: bool = False
    real: bool = False
    secure: bool = False
    masked: bool = False
    hung_up: bool = False


def talk(item: Judged, evidence: Evidence) -> Talk | None:
    """Say what Postfix hears of this host; None where our conversation does not tell.

    It does not where it was cut short, where a second try with a sender of our own is missing (a refusal of the
    null sender says nothing about another one), and where it ended over TLS, which Postfix would go without.
    """
    facts, grounds, host = item.facts, item.grounds, item.host
    if grounds.session is None or facts.got in {Got.NOTHING, Got.TLS} or facts.ended is Ended.NO_STARTTLS:
        return None
    session = host.sessions[grounds.session]
    if facts.got is Got.CONNECT:
        return _no_connection(item, evidence)
    if session.connect.outcome is ConnectOutcome.RESET:  # it stood for a moment
        return _Ear(host, evidence, session).lost()
    real = grounds.real_session is not None
    if real and grounds.real_session is not None:
        session = host.sessions[grounds.real_session]
    elif _needs_another_sender(item, session, evidence):
        return None
    return _Ear(host, evidence, session, real=real).hear()


def _needs_another_sender(item: Judged, session: Session, evidence: Evidence) -> bool:
    if evidence.options.mail_from or item.facts.ended is not Ended.REFUSED or item.grounds.reply is None:
        return False
    names = (session.connect.local_ip, evidence.options.helo)
    words = tuple(name.lower() for name in names if name)
    stage, reply = item.grounds.stage, item.grounds.reply
    if stage not in {Stage.MAIL, Stage.RCPT}:
        return False
    return leaves_open(reply, stage, words) or _BOUNCES in text_of(reply).lower()


_BOUNCES = "backscatter"
"""Lists of those who send bounces or callouts, such as ips.backscatterer.org, are asked for the null sender only."""


def named(host: HostEvidence, evidence: Evidence) -> str:
    """Name a host as Postfix does: of an address literal it knows the address only."""
    return f"{host.ip if host.origin is Origin.LITERAL else spelt(host.name, evidence)}[{host.ip}]"


# --- no conversation -------------------------------------------------------------------------------


def _no_connection(item: Judged, evidence: Evidence) -> Talk | None:
    facts, grounds, host = item.facts, item.grounds, item.host
    dead = facts.ended in {Ended.TIMEOUT, Ended.SILENT}
    said = _STRERROR.get(grounds.detail or "") or _ENDS.get(facts.ended)
    if said is None:
        return None
    return Talk(
        result=Result.SOFT,
        dsn="4.4.1",
        why=f"connect to {named(host, evidence)}:{host.port}: {said}",
        seconds=CONNECT_SECONDS if dead else grounds.seconds,
        connected=False,
        silent=Stage.CONNECT if dead and grounds.seconds < CONNECT_SECONDS else None,
        unrouted=facts.ended is Ended.NO_ROUTE,
    )


_STRERROR = {
    "ECONNREFUSED": "Connection refused",
    "ETIMEDOUT": "Connection timed out",
    "EHOSTUNREACH": "No route to host",
    "EHOSTDOWN": "Host is down",
    "ENETUNREACH": "Network is unreachable",
    "ENETDOWN": "Network is down",
    "EACCES": "Permission denied",
    "EPERM": "Operation not permitted",
    "EADDRNOTAVAIL": "Cannot assign requested address",
    "ENOPROTOOPT": "Protocol not available",
    "EPROTO": "Protocol error",
}
"""Words of the GNU C library, which Postfix prints as they are."""
_ENDS = {
    Ended.TIMEOUT: "Connection timed out",
    Ended.SILENT: "Connection timed out",
    Ended.PORT_CLOSED: "Connection refused",
    Ended.HOST_UNREACHABLE: "No route to host",
    Ended.NET_UNREACHABLE: "Network is unreachable",
    Ended.NO_ROUTE: "Network is unreachable",
    Ended.PROHIBITED: "No route to host",  # Linux makes EHOSTUNREACH of ICMP's "prohibited"
}
"""For what the system gave no errno; what failed on our own side is not told."""

# --- the conversation ------------------------------------------------------------------------------

_DOING = {
    Stage.BANNER: "receiving the initial server greeting",
    Stage.EHLO: "performing the EHLO handshake",
    Stage.HELO: "performing the HELO handshake",
    Stage.MAIL: "sending MAIL FROM",
    Stage.RCPT: "sending RCPT TO",
}
_UNASKED = frozenset({Stage.BANNER, Stage.EXTRA})
_ASIDE = frozenset({Stage.STARTTLS, Stage.TLS, Stage.RSET})
_OURS = _ASIDE | {Stage.EXTRA, Stage.MAIL_REAL, Stage.RCPT_REAL}
"""Stages that Postfix's conversation has not, or has elsewhere."""
_BANNER, _EHLO, _HELO, _MAIL, _RCPT = Stage.BANNER, Stage.EHLO, Stage.HELO, Stage.MAIL, Stage.RCPT
_REPLY = ExchangeOutcome.REPLY
"""Looked at for each exchange: by the class, each access costs 0.1 us (Python 3.11)."""
_COMMAND = {Stage.MAIL: "MAIL FROM", Stage.RCPT: "RCPT TO"}
_BROKEN = frozenset({ExchangeOutcome.CLOSED, ExchangeOutcome.RESET})


class _Ear:
    """Reads the lines of one session as Postfix would have."""

    def __init__(
        self, host: HostEvidence, evidence: Evidence, session: Session, *, real: bool = False
    ) -> None:
        self._where = named(host, evidence)
        self._utf8 = not evidence.address.mailbox.isascii()
        self._session = session
        self._real = real
        self._stage = _BANNER
        self._commands = 0  # that Postfix has sent
        self._masked = False
        self._hello: Reply | None = None  # the answer to EHLO or HELO
        self._since = session.connect.ended  # the beginning of its wait

    def hear(self) -> Talk | None:
        """Read until the probe of this host is decided."""
        lines: list[str] = []
        asked = 0  # commands that we have sent
        for exchange in _as_asked(self._session):
            if exchange.stage not in _UNASKED:
                asked += 1
            if asked > self._commands:
                # We went on where Postfix still waits for the end of a reply.
                return self._unanswered(exchange)
            for line in _whole_lines(exchange):
                lines.append(line)
                if _ends_reply(line):
                    found = self._decide(lines, exchange)
                    if found is not None:
                        return found
                    lines, self._since = [], exchange.ended
            if exchange.outcome is not _REPLY:
                # Where a reply too many shifted the rest, it has said by then what we never did.
                return self._broken(exchange.outcome, in_step=asked == self._commands)
        return None

    def lost(self) -> Talk:
        """Take it that the peer has hung up."""
        why = f"lost connection with {self._where} while {_DOING[self._stage]}"
        return self._talk(Result.SOFT, "4.4.2", why, self._since)

    def _left_behind(self) -> bool:
        last = self._session.exchanges[-1]
        return last.reply is None and last.outcome in _BROKEN

    def _unanswered(self, following: Exchange) -> Talk | None:
        """Say how the wait ends, by what became of the command that Postfix would not have sent."""
        if following.outcome in _BROKEN:
            return self.lost()
        # By PIPELINING it has sent what comes next, and takes the answer to that for the end of this one.
        ahead = self._stage in _COMMAND and self._offers("PIPELINING")
        return None if ahead or following.outcome is ExchangeOutcome.CUT_SHORT else self._timed_out()

    def _offers(self, keyword: str) -> bool:
        return self._hello is not None and keyword in keywords(self._hello)

    def _broken(self, outcome: ExchangeOutcome, *, in_step: bool) -> Talk | None:
        if outcome in _BROKEN:
            return self.lost()
        if outcome is ExchangeOutcome.TIMEOUT and in_step:
            return self._timed_out()
        if outcome is ExchangeOutcome.OVERFLOW:
            return self._talk(Result.SOFT, "4.4.2", "", float("inf"))
        return None

    def _timed_out(self) -> Talk:
        why = f"conversation with {self._where} timed out while {_DOING[self._stage]}"
        return self._talk(Result.SOFT, "4.4.2", why, self._since + REPLY_SECONDS, silent=self._stage)

    def _decide(self, lines: list[str], exchange: Exchange) -> Talk | None:
        """Take a whole reply: the end of the probe of this host, or None and the next stage."""
        last = lines[-1]
        code = int(last[:3])
        stage, dsn = self._stage, _status(last)
        if code // 100 == 2:
            if stage is _RCPT:
                return self._talk(Result.TAKEN, dsn, _text(lines), exchange.ended)
            return self._go_on(stage, exchange)
        if stage is _EHLO and code != 421:
            self._stage = _HELO
            self._commands += 1
            return None
        if stage is _BANNER and code // 100 == 5:
            dsn = f"4{dsn[1:]}"  # smtp_skip_5xx_greeting
        text = _text(lines)
        if stage in _COMMAND:
            why = f"host {self._where} said: {text} (in reply to {_COMMAND[stage]} command)"
        else:
            why = f"host {self._where} refused to talk to me: {text}"
        return self._talk(Result.SOFT if dsn[0] == "4" else Result.HARD, dsn, why, exchange.ended)

    def _go_on(self, stage: Stage, exchange: Exchange) -> Talk | None:
        self._commands += 1
        if stage is _BANNER:
            masked = _is_masked(exchange)
            self._stage = _HELO if masked else _EHLO
            self._masked = masked and all(each.stage is not _HELO for each in self._session.exchanges)
        elif stage is _MAIL:
            self._stage = _RCPT
        else:
            self._stage = _MAIL
            self._hello = exchange.reply
            if self._utf8 and not self._offers("SMTPUTF8"):
                why = f"SMTPUTF8 is required, but was not offered by host {self._where}"
                return self._talk(Result.HARD, "5.6.7", why, exchange.ended)
        return None

    def _talk(self, result: Result, dsn: str, why: str, until: float, *, silent: Stage | None = None) -> Talk:
        return Talk(
            result=result,
            dsn=dsn,
            why=why,
            seconds=until - self._session.connect.started - served_others(self._session),
            greeted=self._stage in _COMMAND,
            silent=silent,
            real=self._real,
            secure=self._session.tls is not None and self._session.tls.ok,
            masked=self._masked,
            hung_up=self._stage is _MAIL and self._left_behind() and self._offers("PIPELINING"),
        )


def served_others(session: Session) -> float:
    """Give the seconds in which the connection served other addresses: Postfix's own would not have."""
    if not session.before:
        return 0.0
    spent, ready = 0.0, session.connect.ended
    for exchange in session.exchanges:
        if exchange.sent > ready:
            spent += exchange.sent - ready
        ready = exchange.ended
    return spent


def _as_asked(session: Session) -> Iterable[Exchange]:
    """Give the exchanges that Postfix would have had, and one more behind them.

    It goes in clear, so what was said before and for TLS is left out; and it names one sender, so where ours was
    tried after the null sender, only that try is left.
    """
    if _OURS.isdisjoint([exchange.stage for exchange in session.exchanges]):
        return _as_greeted(session.exchanges)
    kept: list[Exchange] = []
    secure = session.tls is not None and session.tls.ok
    aside = False  # extra replies here belong to an exchange that is left out
    for exchange in session.exchanges:
        stage = exchange.stage
        if stage is Stage.EXTRA:
            if not aside:
                kept.append(exchange)
            continue
        aside = stage in _ASIDE
        if stage is Stage.STARTTLS and secure:
            kept = kept[: _first(kept, Stage.EHLO)]
        elif stage is Stage.MAIL_REAL:
            kept = [*kept[: _first(kept, Stage.MAIL)], replace(exchange, stage=Stage.MAIL)]
        elif stage is Stage.RCPT_REAL:
            kept.append(replace(exchange, stage=Stage.RCPT))
        elif not aside:
            kept.append(exchange)
    return _as_greeted(kept)


def _as_greeted(kept: Sequence[Exchange]) -> Iterable[Exchange]:
    """Leave EHLO out where the greeting makes Postfix say HELO, and we said it too."""
    if kept and _is_masked(kept[0]) and _first(kept, Stage.HELO) < len(kept):
        return [exchange for exchange in kept if exchange.stage is not Stage.EHLO]
    return kept


def _first(kept: Sequence[Exchange], stage: Stage) -> int:
    return next((n for n, exchange in enumerate(kept) if exchange.stage is stage), len(kept))


def _is_masked(greeting: Exchange) -> bool:
    """Whether this is what an old PIX firewall leaves of a greeting: Postfix then says HELO (smtp_pix_workarounds)."""
    return greeting.reply is not None and _MASKED.fullmatch("\n".join(greeting.reply.lines)) is not None


_MASKED = re.compile(r"[20 *\t\n]*")


def _whole_lines(exchange: Exchange) -> tuple[str, ...]:
    reply = exchange.reply
    if reply is None:
        return ()
    # Of a reply that broke off, the last line had no end. A line is a C string, which ends with a NUL.
    lines = reply.lines[:-1] if reply.oddities and Oddity.UNTERMINATED in reply.oddities else reply.lines
    return tuple(
        [line.partition("\0")[0].rstrip("\r") if "\0" in line or "\r" in line else line for line in lines]
    )


# --- one reply -------------------------------------------------------------------------------------

_LAST = re.compile(r"[0-9]{3}(?: |$)")
# A tab behind it is none any more: the line is made printable first.
_ENHANCED = re.compile(r"[245]\.[0-9]{1,3}\.[0-9]{1,3}(?= |$)")
_UNPRINTABLE = re.compile(r"([\xc2-\xfe][\x80-\xbf]+)|[^ -~]", re.DOTALL)


def _ends_reply(line: str) -> bool:
    return line[3:4] != "-" and _LAST.match(line) is not None


def _status(line: str) -> str:
    """Give the enhanced code of a line that ends a reply, made up where it has none that fits (smtp_chat.c)."""
    digit = line[0]
    if digit not in "245":
        return "5.5.0"
    found = _ENHANCED.match(line[4:].lstrip(" "))
    return found[0] if found is not None and found[0][0] == digit else f"{digit}.0.0"


def _text(lines: list[str]) -> str:
    text = ""
    for line in lines:
        if len(text) < LINE_LIMIT:
            text += (" " if text else "") + printable(line[:LINE_LIMIT], "?")
    return text


def printable(text: str, replacement: str) -> str:
    """Replace what cannot be printed; UTF-8 is spared, as far as it looks like that (printable.c)."""
    if text.isascii() and text.isprintable():
        return text
    return _UNPRINTABLE.sub(lambda found: found[1] or replacement, text)
