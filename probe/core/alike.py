"""Judging the addresses of a batch: what two of them have in common is judged once.

Fifty addresses that are asked over one connection differ in their mailbox, in the times and seldom in anything
else; and most mail hosts of a batch take the mailbox in words that others say too. `Judge` compares the rest by
value (`likeness`, which says why that is exact), and where a third one is met it fills the names and the times into
the report that the plain judgement gave. Whoever is in doubt is judged plainly, so the report is always that of
`judge`.

`line` goes one step further: of a report that is alike all but the names, the times and the evidence is encoded
once, and the line is joined from the pieces.

To learn where the names stand and which waits Exim counts, the plain judgement is asked about a model of the
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
from probe.core.classify import PLACES, judge, timing
from probe.core.exim import talk
from probe.core.likeness import COUNTED, MODEL, UNIT, likeness, marks_of, model
from probe.core.looked_up import LookUps
from probe.core.model import Cause, Evidence, Mta, Report, Stage, Timing
from probe.core.network import REPEATED_AFTER
from probe.core.reasons import REASONS
from probe.core.recent import Recent
from probe.core.rules import HOST_RULES

if TYPE_CHECKING:
    from collections.abc import Callable

    from probe.core.likeness import Names
    from probe.core.looked_up import LookedUp

SHAPES = 256
"""Likenesses that are remembered, of some KiB each: those of the connections that a batch holds at a time."""

_QUIT = Stage.QUIT


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
        self._shapes = Recent[_Shape | _Met](SHAPES)
        self._look_ups = LookUps()
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
        alike = self._shape(evidence)
        return judge(evidence, self._callout) if alike is None else alike[0].report(evidence, *alike[1:])

    def line(self, evidence: Evidence, data: bytes) -> Line:
        """Judge the evidence of one address, and encode the report; `data` is the encoded evidence."""
        alike = self._shape(evidence)
        if alike is None:
            return self.encoded(judge(evidence, self._callout), data)
        shape, names, looked_up = alike
        line = shape.line(evidence, names, looked_up, data, self._encode)
        return self.encoded(shape.report(evidence, names, looked_up), data) if line is None else line

    def encoded(self, report: Report, data: bytes) -> Line:
        """Encode a report; its evidence, which is most of it, is encoded already."""
        whole = replace(report, evidence=msgspec.Raw(data))
        return Line(report.cause, report.reason, self._encode(whole))

    def _shape(self, evidence: Evidence) -> tuple[_Shape, Names, LookedUp] | None:
        """Give what the evidence is like, its names and look-ups; None where it is to be judged plainly."""
        like = None if self._plain_only else likeness(evidence, self._patience, self._look_ups)
        if like is None:
            return None
        key, names, looked_up = like
        shape = self._shapes.get(key)
        if shape is None:
            # Most are met once, and pay for nothing but the key.
            self._shapes.put(key, _Met())
            return None
        if isinstance(shape, _Met):
            shape = _Shape(evidence, names, self._callout)
            self._shapes.put(key, shape)
        return (shape, names, looked_up) if shape.fits else None


# --- what is made of it ----------------------------------------------------------------------------


class _Met:
    """Stands for a likeness that one address had so far."""


class _Shape:
    """The report of a likeness, with places for the names and the times. `fits`: there are no others."""

    def __init__(self, evidence: Evidence, names: Names, callout: Callout) -> None:
        report = judge(model(evidence, names), callout)
        self._marks = marks_of(names)
        self._places = _Places(self._marks)
        self.fits = not self._is_said(evidence, report) and not _tells_seconds(report)
        host = evidence.hosts[0]
        self._path = network_facts.read(host, host.sessions[0], network_facts.elsewhere(evidence, host))
        self._report = _Record(report, self._places, frozenset({"mta", "hosts", "evidence"}))
        self._host = _Record(report.hosts[0], self._places)
        self._views: tuple[_Record | None, _Record | None] = (None, None)
        self._counted: tuple[int, ...] = ()
        self._verdict = (report.cause, report.reason)
        self._line: bytes | None = None
        if report.mta is not None:
            exim, postfix = report.mta.exim, report.mta.postfix
            # Of one that asks twice, or after waits for the DNS, the sum of the waits is bounded by nobody.
            self.fits = self.fits and (postfix is None or len(postfix.asked) == 1)
            self._views = (
                None if exim is None else _Record(exim, self._places),
                None if postfix is None else _Record(postfix, self._places),
            )
            waits = round((exim.seconds or 0.0) / UNIT) if exim is not None else 0
            self._counted = tuple(n for n in range(COUNTED + 1) if waits >> n & 1)

    def _is_said(self, evidence: Evidence, report: Report) -> bool:
        """Whether a name of the model stands in the evidence, or a part of one by itself in the report."""
        said = msgspec.json.encode(evidence).decode()
        if MODEL in said or any(mark in said for mark in self._marks.values()):
            return True
        written = msgspec.json.encode(replace(report, evidence=None)).decode()
        for mark in self._marks.values():
            written = written.replace(mark, "")
        return "zq--" in written.lower()

    def report(self, evidence: Evidence, names: Names, looked_up: LookedUp) -> Report:
        """Fill in the names and the times."""
        host = evidence.hosts[0]
        drawn = {} if host.path is None else {"network": picture.draw(host, self._path)}
        seconds = self._exim_seconds(evidence, looked_up) if self._views[0] is not None else None
        spent = _timing(evidence, looked_up)
        live = {"address": evidence.address.given, "timing": spent, "evidence": evidence}
        return self._filled(names, live, drawn, seconds)

    def _filled(self, names: Names, live: dict[str, Any], drawn: dict[str, Any], seconds: object) -> Report:
        exim, postfix = self._views
        views = None
        if exim is not None or postfix is not None:
            views = Mta(
                exim.filled(names, {"seconds": seconds}) if exim is not None else None,
                postfix.filled(names, {}) if postfix is not None else None,
            )
        live |= {"mta": views, "hosts": (self._host.filled(names, drawn),)}
        report: Report = self._report.filled(names, live)
        return report

    def line(
        self,
        evidence: Evidence,
        names: Names,
        looked_up: LookedUp,
        data: bytes,
        encode: Callable[[Struct], bytes],
    ) -> Line | None:
        """Fill in the encoded report; None where it has to be encoded as a whole."""
        address = evidence.address
        if address.given != address.mailbox or evidence.hosts[0].path is not None:
            return None
        if self._line is None:
            self._line = self._encoded(encode)
        if not self._line:
            return None
        # The names are of characters that JSON writes as they are.
        live = {of.encode(): name.encode() for of, name in names.items()}
        live[b"timing"] = _number(_timing(evidence, looked_up))
        live[b"evidence"] = data
        if self._views[0] is not None:
            live[b"seconds"] = _number(self._exim_seconds(evidence, looked_up))
        return Line(*self._verdict, self._line % live)

    def _encoded(self, encode: Callable[[Struct], bytes]) -> bytes:
        """Encode the model, as a format with the places to be filled in; empty where these are not clear."""
        mailbox = self._marks["mailbox"]
        if msgspec.json.encode(mailbox) != b'"%b"' % mailbox.encode() or not mailbox.isascii():
            return b""
        times = {
            "timing": '"zq--timing--qz"',
            "evidence": '"zq--evidence--qz"',
            "seconds": '"zq--seconds--qz"',
        }
        timing, evidence, seconds = (msgspec.Raw(mark.encode()) for mark in times.values())
        live = {"address": mailbox, "timing": timing, "evidence": evidence}
        written = encode(self._filled(self._marks, live, {}, seconds)).decode()
        if self._views[0] is None:
            del times["seconds"]
        if any(written.count(mark) != 1 for mark in times.values()):
            return b""
        return (_Places(times | self._marks).of(written) or "").encode()

    def _exim_seconds(self, evidence: Evidence, looked_up: LookedUp) -> float | None:
        """Add up the waits that Exim counts, in the order in which it does (`exim.talk`)."""
        asking = looked_up.seconds
        if asking is None:
            return None
        session = evidence.hosts[0].sessions[0]
        spent = 0.0
        for number in self._counted:
            if number == 0:
                spent += session.connect.ended - session.connect.started
                continue
            exchange = session.exchanges[number - 1]
            if exchange.stage is _QUIT:
                spent += min(talk.QUIT_WAIT, max(0.0, exchange.ended - exchange.sent))
            elif exchange.reply is not None:
                spent += exchange.reply.ended - exchange.sent
        return round(asking + spent, 3)


def _timing(evidence: Evidence, looked_up: LookedUp) -> Timing:
    """Sum up as `classify.timing` does; where one thing came after the other, nothing overlaps."""
    session = evidence.hosts[0].sessions[0]
    called, opened, ended = session.connect.started, session.connect.ended, session.exchanges[-1].ended
    if not looked_up.latest <= called <= opened <= ended:
        return timing(evidence)
    dns, connect, talk = looked_up.spent, opened - called, ended - opened
    return Timing(
        round(dns, PLACES),
        round(connect, PLACES),
        round(talk, PLACES),
        round(dns + connect + talk, PLACES),
        evidence.ended,
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


class _Places:
    """Where the names of the model stand in a text."""

    def __init__(self, marks: dict[str, str]) -> None:
        self._of = {mark: of for of, mark in marks.items()}
        self._marks = re.compile(f"({'|'.join(map(re.escape, self._of))})")

    def of(self, text: str) -> str | None:
        """Give the text as a format with places for other names; None where none is in it."""
        parts = self._marks.split(text)
        if len(parts) == 1:
            return None
        return "".join(
            [f"%({self._of[part]})s" if n % 2 else part.replace("%", "%%") for n, part in enumerate(parts)]
        )


class _Record:
    """A record of the report, with places where its strings held a name of the model."""

    def __init__(self, record: Struct, places: _Places, but: frozenset[str] = frozenset()) -> None:
        self._kind = type(record)
        names = record.__struct_fields__
        self._at = {name: n for n, name in enumerate(names)}
        self._fields = [getattr(record, name) for name in names]
        filling = (
            (n, None if name in but else _filling(self._fields[n], places)) for name, n in self._at.items()
        )
        self._places = tuple((n, fill) for n, fill in filling if fill is not None)
        self.has_places = bool(self._places)

    def filled(self, names: Names, live: dict[str, Any]) -> Any:  # noqa: ANN401 - of the kind it was made from
        """Give the record for other names, with some fields as they are now."""
        fields = self._fields.copy()
        for n, fill in self._places:
            fields[n] = fill(names)
        for name, value in live.items():
            fields[self._at[name]] = value
        return self._kind(*fields)


def _filling(value: object, places: _Places) -> Callable[[Names], Any] | None:
    """Give what makes such a value for other names; None where it holds none."""
    match value:
        case str():
            text = places.of(value)
            return None if text is None else text.__mod__
        case tuple():
            items = [(item, _filling(item, places)) for item in value]
            if any(fill for _, fill in items):
                return lambda names: tuple([fill(names) if fill else item for item, fill in items])
        case Struct():
            record = _Record(value, places)
            if record.has_places:
                return lambda names: record.filled(names, {})
        case _:
            pass
    return None
