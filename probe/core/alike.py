"""Judging the addresses of one connection: what two of them have in common is judged once.

Fifty addresses that are asked over one connection differ in their mailbox, in the times and seldom in anything
else. `Judge` compares the rest by value, and where a third one is met it fills the mailbox and the times into the
report that the plain judgement gave. Whoever is in doubt is judged plainly, so the report is always that of `judge`.

Why that is exact. Only evidence counts as alike in which nothing can depend on the mailbox and the times but these:

* One mail host, one connection that came about at once, in clear, and to every command a reply without any oddity.
  Then the tape, the state of the connection and its end are looked at by nobody.
* Every wait is below the limits that something is concluded from: `REPEATED_AFTER` for the connection, Exim's time
  for each reply less the second in which it counts whole ones, the first poll of Postfix for all together. Then the
  times themselves stand in three places only: the `timing`, the seconds of Exim, and the sentences that name
  `{seconds}`; a rule or reason with one of those is judged plainly.
* The mailbox is of letters, digits and a few signs that no shell, log or format means something by, so that it is
  written as it is, and short enough that no quotation is cut off for it. Nothing compares it with what a peer
  says: a reply that names it is like no other, and is read anew.

`line` goes one step further: of a report that is alike all but the mailbox, the times and the evidence is encoded
once, and the line is joined from the pieces.

To learn where the mailbox stands and which waits Exim counts, the plain judgement is asked about a model of the
evidence: with a mailbox that nobody has, and with waits that are powers of two.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from probe.core import network_facts, picture
from probe.core.callout import Callout
from probe.core.classify import judge, timing
from probe.core.exim import dns_seconds
from probe.core.exim.talk import QUIT_WAIT
from probe.core.model import (
    AddressKind,
    Cause,
    ConnectOutcome,
    Evidence,
    ExchangeOutcome,
    Mta,
    Purpose,
    Report,
    Stage,
)
from probe.core.network import REPEATED_AFTER
from probe.core.postfix import POLLS
from probe.core.postfix.client import served_others
from probe.core.reasons import REASONS
from probe.core.rules import HOST_RULES

if TYPE_CHECKING:
    from collections.abc import Callable

    from probe.core.model import PathEvidence, Session

SHAPES = 256
"""Likenesses that are remembered, of some KiB each: those of the connections that a batch holds at a time."""
MAILBOX_LIMIT = 64
"""Octets of a mailbox that fits into every quotation whole; the tightest is a command in a violation (100)."""
WORDS_LIMIT = 150
"""Octets of the answers to MAIL and RCPT: with a name of `NAME_LIMIT` and a mailbox they fit into one line of
Postfix's reply (510) whole."""
NAME_LIMIT = 100
"""Octets of the name of a mail host."""

_PLAIN = re.compile(r"[A-Za-z0-9_+=-]+(?:\.[A-Za-z0-9_+=-]+)*", re.ASCII)
_STAGES = frozenset({Stage.BANNER, Stage.EHLO, Stage.HELO, Stage.MAIL, Stage.RCPT, Stage.RSET, Stage.QUIT})
_QUOTED = frozenset({Stage.MAIL, Stage.RCPT})
_POLLED = POLLS[0] - 0.1
"""Seconds within which Postfix surely has its answer before it looks; the rest is for rounding."""
MODEL = "zq--a-mailbox-that-nobody-has--qz"
_UNIT = 0.001
"""Seconds of the shortest wait of the model; Exim's seconds are told to the millisecond."""
_TIMES = re.compile(rb'"zq--(?:seconds|timing|evidence)--qz"')
_SECONDS, _TIMING, _EVIDENCE = (
    msgspec.Raw(b'"zq--%b--qz"' % name) for name in (b"seconds", b"timing", b"evidence")
)
"""What stands in an encoded model where the next address has something of its own, in this order."""
_COUNTED = 9
"""Exchanges of the model at most: the longest of its waits, half a second, is still a short one."""


class Line(Struct, frozen=True):
    """A report, encoded, and the two words of it that are counted."""

    cause: Cause
    reason: str
    data: bytes


class Judge:
    """`judge` for many, with the memory of what was alike; `callout` is as there, `encode` is that of `codec`."""

    def __init__(
        self, callout: Callout | None = None, encode: Callable[[Struct], bytes] = msgspec.json.encode
    ) -> None:
        self._encode = encode
        self._callout = Callout() if callout is None else callout
        self._shapes: dict[object, _Shape | None] = {}
        self._patience = self._callout.seconds - 1.0
        # Shorter limits than any wait that counts as short, or more questions: not worth an argument.
        self._plain_only = (
            self._callout.seconds < 2.0
            or self._callout.connect_seconds < REPEATED_AFTER
            or self._callout.random
            or self._callout.asks_postmaster
        )

    def judge(self, evidence: Evidence) -> Report:
        """Judge the evidence of one address, as `classify.judge` does."""
        shape = self._shape(evidence)
        return judge(evidence, self._callout) if shape is None else shape.report(evidence)

    def line(self, evidence: Evidence, data: bytes) -> Line:
        """Judge the evidence of one address, and encode the report; `data` is the encoded evidence."""
        shape = self._shape(evidence)
        line = None if shape is None else shape.line(evidence, data, self._encode)
        if line is None:
            report = judge(evidence, self._callout) if shape is None else shape.report(evidence)
            line = self.encoded(report, data)
        return line

    def encoded(self, report: Report, data: bytes) -> Line:
        """Encode a report; its evidence, which is most of it, is encoded already."""
        whole = replace(report, evidence=msgspec.Raw(data))
        return Line(report.cause, report.reason, self._encode(whole))

    def _shape(self, evidence: Evidence) -> _Shape | None:
        """Give what the evidence is like; None where it is to be judged plainly."""
        likeness = None if self._plain_only else _likeness(evidence, self._patience)
        if likeness is None:
            return None
        shapes = self._shapes
        if likeness not in shapes:
            # Most are met once, and pay for nothing but the key.
            while len(shapes) >= SHAPES:
                del shapes[next(iter(shapes))]
            shapes[likeness] = None
            return None
        shape = shapes.pop(likeness)  # and to the end with it: the oldest go first
        if shape is None:
            shape = _Shape(evidence, self._callout)
        shapes[likeness] = shape
        return shape if shape.fits else None


# --- what is alike ---------------------------------------------------------------------------------


def _likeness(evidence: Evidence, patience: float) -> object | None:
    """Give all that the report depends on but the mailbox and the times; None where that cannot be told apart."""
    address = evidence.address
    mailbox = address.mailbox
    if (
        len(evidence.hosts) != 1
        or evidence.canary is not None
        or evidence.cut_short
        or evidence.interrupted
        or address.kind is not AddressKind.DOMAIN
        or len(mailbox) > MAILBOX_LIMIT
        or mailbox != f"{address.local}@{address.domain}"
        or _PLAIN.fullmatch(address.local) is None
    ):
        return None
    host = evidence.hosts[0]
    if len(host.sessions) != 1 or host.skipped is not None or len(host.name) > NAME_LIMIT:
        return None
    session = host.sessions[0]
    said = _said(session, mailbox, patience)
    if said is None:
        return None
    return (
        evidence.seed,
        evidence.options,
        address.domain,
        address.unicode_domain,
        address.forms,
        tuple(
            [(each.name, each.type, each.outcome, each.records, each.soa_minimum) for each in evidence.dns]
        ),
        (host.name, host.ip, host.port, host.preference, host.origin, host.scope),
        session.connect.local_ip,
        session.before > 0,
        session.connect.ended < 0.0,
        said,
        None if host.path is None else _path_of(host.path),
    )


def _said(session: Session, mailbox: str, patience: float) -> tuple[object, ...] | None:
    """Give what was said over a connection of which nothing but that matters, with short waits only."""
    connect = session.connect
    if (
        session.purpose is not Purpose.CALLOUT
        or session.tls is not None
        or session.soft_error is not None
        or connect.outcome is not ConnectOutcome.CONNECTED
        or connect.notices
        or not 0.0 <= connect.ended - connect.started < REPEATED_AFTER
        or not 0 < len(session.exchanges) <= _COUNTED
    ):
        return None
    due = connect.started + served_others(session) + _POLLED
    said: list[object] = []
    for exchange in session.exchanges:
        reply, stage, command = exchange.reply, exchange.stage, exchange.command
        if (
            reply is None
            or reply.oddities
            or exchange.outcome is not ExchangeOutcome.REPLY
            or stage not in _STAGES
            or not 0.0 <= reply.ended - exchange.sent <= patience
            or (exchange.ended > due and stage is not Stage.QUIT)
        ):
            return None
        if stage in _QUOTED and sum(map(len, reply.lines)) > WORDS_LIMIT:
            return None
        if stage is Stage.RCPT:
            if command != f"RCPT TO:<{mailbox}>":
                return None
            command = None
        said += (stage, command, reply.code, reply.lines, exchange.detail)
    return tuple(said)


def _path_of(path: PathEvidence) -> tuple[object, ...]:
    """Give what the packets of a search showed, without their times; these stand in its picture only."""
    return (
        path.lacking,
        *((p.protocol, p.port, p.ttl, p.answer, p.sender, p.arrived_ttl) for p in path.probes),
    )


# --- what is made of it ----------------------------------------------------------------------------


class _Shape:
    """The report of a likeness, with places for the mailbox and the times. `fits`: there are no others."""

    def __init__(self, evidence: Evidence, callout: Callout) -> None:
        model = _model(evidence)
        mailbox = model.address.mailbox
        report = judge(model, callout)
        self.fits = MODEL.encode() not in msgspec.json.encode(evidence) and not _tells_seconds(report)
        host = evidence.hosts[0]
        self._path = network_facts.read(host, host.sessions[0], network_facts.elsewhere(evidence, host))
        self._report = _Record(report, mailbox, frozenset({"mta", "hosts", "evidence"}))
        self._host = _Record(report.hosts[0], mailbox)
        self._views: tuple[_Record | None, _Record | None] = (None, None)
        self._counted: tuple[int, ...] = ()
        self._verdict = (report.cause, report.reason)
        self._pieces: tuple[list[bytes], ...] | None = None
        if report.mta is not None:
            exim, postfix = report.mta.exim, report.mta.postfix
            self._views = (
                None if exim is None else _Record(exim, mailbox),
                None if postfix is None else _Record(postfix, mailbox),
            )
            waits = round((exim.seconds or 0.0) / _UNIT) if exim is not None else 0
            self._counted = tuple(n for n in range(_COUNTED + 1) if waits >> n & 1)

    def report(self, evidence: Evidence) -> Report:
        """Fill in the mailbox and the times."""
        address, host = evidence.address, evidence.hosts[0]
        drawn = {} if host.path is None else {"network": picture.draw(host, self._path)}
        seconds = self._exim_seconds(evidence) if self._views[0] is not None else None
        live = {"address": address.given, "timing": timing(evidence), "evidence": evidence}
        return self._filled(address.mailbox, live, drawn, seconds)

    def _filled(self, mailbox: str, live: dict[str, Any], drawn: dict[str, Any], seconds: object) -> Report:
        exim, postfix = self._views
        views = None
        if exim is not None or postfix is not None:
            views = Mta(
                exim.filled(mailbox, {"seconds": seconds}) if exim is not None else None,
                postfix.filled(mailbox, {}) if postfix is not None else None,
            )
        live |= {"mta": views, "hosts": (self._host.filled(mailbox, drawn),)}
        report: Report = self._report.filled(mailbox, live)
        return report

    def line(self, evidence: Evidence, data: bytes, encode: Callable[[Struct], bytes]) -> Line | None:
        """Join the encoded report from its pieces; None where it has to be encoded as a whole."""
        address = evidence.address
        if address.given != address.mailbox or evidence.hosts[0].path is not None:
            return None
        if self._pieces is None:
            self._pieces = self._encoded(address.domain, encode)
        if not self._pieces:
            return None
        mailbox = address.mailbox.encode()
        joined = [mailbox.join(piece) for piece in self._pieces]
        whole = [joined[0]]
        if self._views[0] is not None:
            whole += (_number(self._exim_seconds(evidence)), joined[1])
        whole += (_number(timing(evidence)), joined[-2], data, joined[-1])
        return Line(self._verdict[0], self._verdict[1], b"".join(whole))

    def _encoded(self, domain: str, encode: Callable[[Struct], bytes]) -> tuple[list[bytes], ...]:
        """Encode the model, and cut it where something is to be filled in; nothing where that is not clear."""
        mailbox = f"{MODEL}@{domain}"
        live = {"address": mailbox, "timing": _TIMING, "evidence": _EVIDENCE}
        model = encode(self._filled(mailbox, live, {}, _SECONDS))
        plain = mailbox.encode()
        pieces = _TIMES.split(model)
        exim = self._views[0] is not None
        if len(pieces) != 3 + exim or msgspec.json.encode(mailbox) != b'"%b"' % plain or not plain.isascii():
            return ()
        return tuple([piece.split(plain) for piece in pieces])

    def _exim_seconds(self, evidence: Evidence) -> float | None:
        """Add up the waits that Exim counts, in the order in which it does (`exim.talk`)."""
        asking = dns_seconds(evidence)
        if asking is None:
            return None
        session = evidence.hosts[0].sessions[0]
        spent = 0.0
        for number in self._counted:
            if number == 0:
                spent += session.connect.ended - session.connect.started
                continue
            exchange = session.exchanges[number - 1]
            if exchange.stage is Stage.QUIT:
                spent += min(QUIT_WAIT, max(0.0, exchange.ended - exchange.sent))
            elif exchange.reply is not None:
                spent += exchange.reply.ended - exchange.sent
        return round(asking + spent, 3)


def _model(evidence: Evidence) -> Evidence:
    """Give evidence of the same shape: its mailbox is nobody's, each wait half of the next, and the DNS at hand."""
    host = evidence.hosts[0]
    session = host.sessions[0]
    now = _UNIT
    exchanges = []
    for number, exchange in enumerate(session.exchanges, 1):
        sent, now = now, now + _UNIT * (1 << number)
        reply = exchange.reply and replace(exchange.reply, started=now, ended=now)
        command = (
            f"RCPT TO:<{MODEL}@{evidence.address.domain}>"
            if exchange.stage is Stage.RCPT
            else exchange.command
        )
        exchanges.append(replace(exchange, command=command, sent=sent, ended=now, reply=reply))
    connect = replace(session.connect, started=0.0, ended=_UNIT)
    talk = replace(session, connect=connect, exchanges=tuple(exchanges))
    mailbox = f"{MODEL}@{evidence.address.domain}"
    return replace(
        evidence,
        address=replace(evidence.address, given=mailbox, mailbox=mailbox, local=MODEL),
        dns=tuple(replace(answer, asked=0.0, ended=0.0) for answer in evidence.dns),
        hosts=(replace(host, sessions=(talk,)),),
    )


def _tells_seconds(report: Report) -> bool:
    """Whether a sentence of it may name how long something took."""
    rules = {report.rule, *(host.rule for host in report.hosts)}
    row = REASONS[report.reason]
    sentences = [row.means, *(what for _, what in row.steps)]
    sentences += [rule.says for rule in HOST_RULES if rule.id in rules]
    return any("{seconds}" in sentence for sentence in sentences)


_number = msgspec.json.Encoder().encode
"""Encodes what has no text in it, so that nothing is to be escaped."""


class _Record:
    """A record of the report, with places where its strings held the mailbox."""

    def __init__(self, record: Struct, mailbox: str, but: frozenset[str] = frozenset()) -> None:
        self._kind = type(record)
        names = record.__struct_fields__
        self._at = {name: n for n, name in enumerate(names)}
        self._fields = [getattr(record, name) for name in names]
        filling = (
            (n, None if name in but else _filling(self._fields[n], mailbox)) for name, n in self._at.items()
        )
        self._places = tuple((n, fill) for n, fill in filling if fill is not None)
        self.has_places = bool(self._places)

    def filled(self, mailbox: str, live: dict[str, Any]) -> Any:  # noqa: ANN401 - of the kind it was made from
        """Give the record for a mailbox, with some fields as they are now."""
        fields = self._fields.copy()
        for n, fill in self._places:
            fields[n] = fill(mailbox)
        for name, value in live.items():
            fields[self._at[name]] = value
        return self._kind(*fields)


def _filling(value: object, mailbox: str) -> Callable[[str], Any] | None:
    """Give what makes such a value for another mailbox; None where it holds none."""
    match value:
        case str() if mailbox in value:
            parts = value.split(mailbox)
            return lambda other: other.join(parts)
        case tuple():
            items = [(item, _filling(item, mailbox)) for item in value]
            if any(fill for _, fill in items):
                return lambda other: tuple([fill(other) if fill else item for item, fill in items])
        case Struct():
            record = _Record(value, mailbox)
            if record.has_places:
                return lambda other: record.filled(other, {})
        case _:
            pass
    return None
