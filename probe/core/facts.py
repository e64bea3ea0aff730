"""The evidence of one mail host address -> one flat row of small enums.

The decision table in `rules.py` sees nothing but these columns. Whatever was observed has a word for "was not
tested", so a source that knows less than a probe (a log line, an old file) fills the same row. Beside the row,
`Grounds` says where in the evidence it was read, for the sentences and JSON pointers of a report.

Two sessions of a host tell most: the one that got furthest fills the row, and the second try with a real
sender, in the same session or in one of its own, fills the column `real`.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from probe.core import network_facts, phrases
from probe.core.conversation import in_step
from probe.core.model import (
    About,
    Basis,
    Connect,
    ConnectOutcome,
    Evidence,
    Exchange,
    ExchangeOutcome,
    HostEvidence,
    Options,
    Purpose,
    Reading,
    Reply,
    Session,
    Stage,
    TlsMode,
)
from probe.core.network import Columns, Elsewhere, Path
from probe.core.reply import codes_of, keywords
from probe.core.scope import read_ip


class Got(StrEnum):
    """How far the conversation got: the stage at which it was decided."""

    NOTHING = "nothing"
    CONNECT = "connect"
    BANNER = "banner"
    HELO = "helo"
    TLS = "tls"
    MAIL = "mail"
    RCPT = "rcpt"


class Ended(StrEnum):
    """What happened at that stage."""

    UNTESTED = "untested"
    ACCEPTED = "accepted"
    NOT_VERIFIED = "not-verified"
    REFUSED = "refused"
    DEFERRED = "deferred"
    ODD_CODE = "odd-code"
    MALFORMED = "malformed"
    TIMEOUT = "timeout"
    CLOSED = "closed"
    RESET = "reset"
    ENDLESS = "endless"
    TLS_FAILED = "tls-failed"
    NO_SMTPUTF8 = "no-smtputf8"
    NO_STARTTLS = "no-starttls"
    CUT_SHORT = "cut-short"
    SILENT = "silent-so-far"
    PORT_CLOSED = "port-closed"
    HOST_UNREACHABLE = "host-unreachable"
    NET_UNREACHABLE = "net-unreachable"
    PROHIBITED = "prohibited"
    NO_ROUTE = "no-route"
    LOCAL = "local-error"


class Grip(StrEnum):
    """How firmly the decisive reply could be read; `vague` are words that do not say whom they refuse."""

    UNTESTED = "untested"
    WORDS = "words"
    VAGUE = "vague"
    ENHANCED = "enhanced-code"
    LOOSE = "loose"


class Real(StrEnum):
    """What the second try with a real sender showed."""

    UNTESTED = "untested"
    ACCEPTED = "accepted"
    MAIL_ACCEPTED = "mail-accepted"
    MAIL_REFUSED = "mail-refused"
    RCPT_MISSING = "rcpt-missing"
    RCPT_MISSING_BY_CODE = "rcpt-missing-by-code"
    RCPT_BLOCKED = "rcpt-blocked"
    RCPT_REFUSED = "rcpt-refused"
    UNCLEAR = "unclear"


class Step(StrEnum):
    """Whether replies and commands can be paired."""

    UNTESTED = "untested"
    IN_STEP = "in-step"
    OUT_OF_STEP = "out-of-step"


class Codes(StrEnum):
    """Whether the lines of the decisive reply carry codes of one class."""

    UNTESTED = "untested"
    ONE_CLASS = "one-class"
    CONTRADICT = "contradict"


class Sender(StrEnum):
    """The sender that we chose, which a refusal of the sender then means."""

    NULL = "null"
    REAL = "real"


class Facts(Columns, frozen=True):
    """One row: how it went, what we had chosen, and what more was seen. `about` is None without a refusal.

    The columns that it inherits are what the packets showed.
    """

    got: Got
    ended: Ended
    sender: Sender
    tls: TlsMode
    about: About | None = None
    grip: Grip = Grip.UNTESTED
    real: Real = Real.UNTESTED
    step: Step = Step.UNTESTED
    codes: Codes = Codes.UNTESTED


class Grounds(Struct, frozen=True, kw_only=True):
    """Where a row was read: indexes into the host's sessions and exchanges, and the decisive reading.

    `seconds` is how long the decisive step took; `detail` an errno name, or what the TLS library said; `path`
    holds the hops and addresses that the packets showed.
    """

    session: int | None = None
    exchange: int | None = None
    stage: Stage | None = None
    reply: Reply | None = None
    reading: Reading | None = None
    connect: Connect | None = None
    seconds: float = 0.0
    real_session: int | None = None
    real_exchange: int | None = None
    detail: str | None = None
    path: Path = Path()


SILENT_AFTER = 1.0
"""Seconds after which a connection attempt that we gave up counts as unanswered: the first SYN has been
repeated by then (Linux, BSD and Windows all wait one second, RFC 6298 2), so two packets had no answer."""

_CONNECT: dict[ConnectOutcome, Ended] = {
    ConnectOutcome.TIMEOUT: Ended.TIMEOUT,
    ConnectOutcome.REFUSED: Ended.PORT_CLOSED,
    ConnectOutcome.HOST_UNREACHABLE: Ended.HOST_UNREACHABLE,
    ConnectOutcome.NET_UNREACHABLE: Ended.NET_UNREACHABLE,
    ConnectOutcome.PROHIBITED: Ended.PROHIBITED,
    ConnectOutcome.RESET: Ended.RESET,
    ConnectOutcome.NO_ROUTE: Ended.NO_ROUTE,
    ConnectOutcome.LOCAL: Ended.LOCAL,
    ConnectOutcome.CUT_SHORT: Ended.CUT_SHORT,
}

_BROKEN: dict[ExchangeOutcome, Ended] = {
    ExchangeOutcome.TIMEOUT: Ended.TIMEOUT,
    ExchangeOutcome.CLOSED: Ended.CLOSED,
    ExchangeOutcome.RESET: Ended.RESET,
    ExchangeOutcome.OVERFLOW: Ended.ENDLESS,
    ExchangeOutcome.TLS_FAILED: Ended.TLS_FAILED,
    ExchangeOutcome.CUT_SHORT: Ended.CUT_SHORT,
}

_GOT: dict[Stage, Got] = {
    Stage.BANNER: Got.BANNER,
    Stage.EHLO: Got.HELO,
    Stage.HELO: Got.HELO,
    Stage.STARTTLS: Got.TLS,
    Stage.TLS: Got.TLS,
    Stage.MAIL: Got.MAIL,
    Stage.RCPT: Got.RCPT,
}
"""Stages of the callout itself; the others (QUIT, catch-all, real sender) do not decide by themselves."""

_DEPTH = list(Got)


def depth(facts: Facts) -> int:
    """How far the conversation got, as a number to compare by."""
    return _DEPTH.index(facts.got)


ALONE = Elsewhere()
"""Nothing is known of other mail hosts."""
_BESIDE = frozenset({Purpose.REAL_SENDER, Purpose.SMALL_SEGMENTS, Purpose.AUDIT})
"""Sessions that answer a question about another one: a mail server does not hold them."""


def host_facts(host: HostEvidence, options: Options, elsewhere: Elsewhere = ALONE) -> tuple[Facts, Grounds]:
    """Read one host address into its row. Total: any evidence gives a row.

    `elsewhere` is what other mail hosts showed; without it the row says nothing about our own network.
    """
    best: tuple[Facts, Grounds] | None = None
    for index, session in enumerate(host.sessions):
        if session.purpose in _BESIDE:
            continue
        row = _session_row(index, session, host, options, elsewhere)
        if best is None or depth(row[0]) >= depth(best[0]):
            best = row
    return best or (Facts(Got.NOTHING, Ended.UNTESTED, _sender(options), options.tls), Grounds())


def _sender(options: Options) -> Sender:
    return Sender.REAL if options.mail_from else Sender.NULL


def _session_row(
    index: int, session: Session, host: HostEvidence, options: Options, elsewhere: Elsewhere
) -> tuple[Facts, Grounds]:
    connect = session.connect
    path = network_facts.read(host, session, elsewhere)
    main = [(n, e) for n, e in enumerate(session.exchanges) if e.stage in _GOT]
    if connect.outcome is not ConnectOutcome.CONNECTED or not main:
        seconds = connect.ended - connect.started
        ended = _CONNECT.get(connect.outcome, Ended.CUT_SHORT)
        if connect.outcome is ConnectOutcome.CUT_SHORT and seconds >= SILENT_AFTER:
            ended = Ended.SILENT
        # A refused SYN gives ECONNREFUSED. ECONNRESET means that the connection stood and was reset at once,
        # before we could look; a moment later it would have been seen as a reset instead of the greeting.
        got = Got.BANNER if ended is Ended.RESET else Got.CONNECT
        facts = Facts(
            got,
            ended,
            _sender(options),
            options.tls,
            **network_facts.columns(path),
        )
        return facts, Grounds(
            session=index,
            stage=Stage.CONNECT,
            connect=connect,
            seconds=seconds,
            detail=connect.errno_name,
            path=path,
        )

    number, last = main[-1]
    reading = _reading(last, session, options)
    ended = _ended(last, session, options)
    real, where = _real(host, index, options)
    facts = Facts(
        got=_GOT[last.stage],
        ended=ended,
        sender=_sender(options),
        tls=options.tls,
        about=reading.about if reading else None,
        grip=_grip(reading),
        real=real,
        step=_step(session),
        codes=_codes(last.reply),
        **network_facts.columns(path),
    )
    grounds = Grounds(
        session=index,
        exchange=number,
        stage=last.stage,
        reply=last.reply,
        reading=reading,
        connect=connect,
        seconds=last.ended - last.sent,
        real_session=where[0],
        real_exchange=where[1],
        detail=last.detail,
        path=path,
    )
    return facts, grounds


def _ended(last: Exchange, session: Session, options: Options) -> Ended:
    if last.outcome is not ExchangeOutcome.REPLY or last.reply is None:
        return _BROKEN.get(last.outcome, Ended.CUT_SHORT)
    ended = code_class(last.reply)
    if ended is not Ended.ACCEPTED or last.stage is Stage.RCPT:
        return ended
    # A positive reply and nothing after it: we stopped by ourselves, and only for one of these reasons.
    if last.stage is Stage.STARTTLS and last.reply.code != 220:
        return Ended.ODD_CODE  # 220 alone begins a handshake (RFC 3207 4)
    if options.tls is TlsMode.REQUIRE and session.tls is None:
        return Ended.NO_STARTTLS
    if last.stage in {Stage.EHLO, Stage.HELO} and "SMTPUTF8" not in keywords(last.reply):
        return Ended.NO_SMTPUTF8
    return Ended.CUT_SHORT


_CLASSES = {2: Ended.ACCEPTED, 4: Ended.DEFERRED, 5: Ended.REFUSED}
_NEGATIVE = frozenset({Ended.REFUSED, Ended.DEFERRED})
_SECOND_TRY = frozenset({Stage.MAIL_REAL, Stage.RCPT_REAL})


def code_class(reply: Reply) -> Ended:
    """Class of a reply by its first digit (RFC 5321 4.2.1); 251 and 252 accept without a promise."""
    code = reply.code
    if code is None:
        return Ended.MALFORMED
    if code in {251, 252}:
        return Ended.NOT_VERIFIED
    return _CLASSES.get(code // 100, Ended.ODD_CODE)


def _reading(exchange: Exchange, session: Session, options: Options) -> Reading | None:
    reply = exchange.reply
    if reply is None or code_class(reply) not in _NEGATIVE:
        return None
    names = (session.connect.local_ip, options.helo, options.source, options.mail_from)
    ours = (*(name.lower() for name in names if name), *_as_they_see_us(session))
    return phrases.read(reply, exchange.stage, ours)


def _as_they_see_us(session: Session) -> tuple[str, ...]:
    """Read our address behind NAT off the greeting to EHLO, where many hosts name it."""
    for exchange in session.exchanges:
        if exchange.stage is Stage.EHLO and exchange.reply is not None and exchange.reply.lines:
            words = (word.strip("[]().,;") for word in exchange.reply.lines[0][4:].split())
            return tuple(word.lower() for word in words if read_ip(word) is not None)
    return ()


def _grip(reading: Reading | None) -> Grip:
    if reading is None:
        return Grip.UNTESTED
    if reading.basis in {Basis.WORDS, Basis.KEY}:
        return Grip.VAGUE if reading.row == phrases.VAGUE else Grip.WORDS
    return Grip.ENHANCED if reading.basis is Basis.ENHANCED else Grip.LOOSE


def _step(session: Session) -> Step:
    told = in_step(session)
    if told is None:
        return Step.UNTESTED
    return Step.IN_STEP if told else Step.OUT_OF_STEP


def _codes(reply: Reply | None) -> Codes:
    if reply is None or reply.code is None:
        return Codes.UNTESTED
    return Codes.CONTRADICT if len({code // 100 for code in codes_of(reply)}) > 1 else Codes.ONE_CLASS


_MISSING = frozenset({About.MISSING_MAILBOX, About.DISABLED})
"""Readings that say that the mailbox takes no mail."""
_BLOCKED = frozenset({About.BLOCKLIST, About.POLICY, About.RATE, About.RDNS, About.HELO, About.AUTH})
"""Readings that say that it is us who are refused, whichever sender we name."""


def _real(host: HostEvidence, index: int, options: Options) -> tuple[Real, tuple[int | None, int | None]]:
    """Find the second try with a real sender: in this session, or better in one of its own.

    A session of its own is made because the first one broke off, so what it shows replaces what the first
    one left unclear.
    """
    found = Real.UNTESTED
    where: tuple[int | None, int | None] = (None, None)
    for number, session in enumerate(host.sessions):
        if number != index and session.purpose is not Purpose.REAL_SENDER:
            continue
        for n, exchange in enumerate(session.exchanges):
            if exchange.stage in _SECOND_TRY:
                # Out of step, the answer may be that to MAIL of a sender which names us and nobody else.
                told = in_step(session) is not False
                found = _real_step(exchange, session, options) if told else Real.UNCLEAR
                where = (number, n)
    return found, where


def _real_step(exchange: Exchange, session: Session, options: Options) -> Real:
    if exchange.reply is None or exchange.outcome is not ExchangeOutcome.REPLY:
        return Real.MAIL_ACCEPTED if exchange.stage is Stage.RCPT_REAL else Real.UNCLEAR
    ended = code_class(exchange.reply)
    if exchange.stage is Stage.MAIL_REAL:
        return {Ended.REFUSED: Real.MAIL_REFUSED, Ended.ACCEPTED: Real.MAIL_ACCEPTED}.get(ended, Real.UNCLEAR)
    if ended in {Ended.ACCEPTED, Ended.NOT_VERIFIED}:
        return Real.ACCEPTED
    if ended is not Ended.REFUSED:
        return Real.MAIL_ACCEPTED
    reading = _reading(exchange, session, options)
    grip = _grip(reading)
    if reading is None or grip is Grip.LOOSE:
        return Real.RCPT_REFUSED
    if reading.about in _MISSING:
        return Real.RCPT_MISSING if grip is Grip.WORDS else Real.RCPT_MISSING_BY_CODE
    return Real.RCPT_BLOCKED if reading.about in _BLOCKED else Real.RCPT_REFUSED


_RCPT_RANDOM = Stage.RCPT_RANDOM


def catch_all(evidence: Evidence) -> bool | None:
    """Whether a random local part was accepted too; None when that was not tested or not told."""
    for host in evidence.hosts:
        for session in host.sessions:
            for exchange in reversed(session.exchanges):
                if exchange.stage is _RCPT_RANDOM and exchange.reply is not None:
                    if in_step(session) is False:
                        return None
                    ended = code_class(exchange.reply)
                    if ended in {Ended.ACCEPTED, Ended.NOT_VERIFIED}:
                        return True
                    reading = _reading(exchange, session, evidence.options)
                    if ended is Ended.REFUSED and reading and reading.about in _MISSING | {About.OTHER}:
                        return False
    return None
