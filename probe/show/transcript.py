"""What crossed the wire, for `-v` and for tickets: DNS look-ups, every session, every packet of a path search.

       time     lapse
      0.360             > RCPT TO:<administrator@customer.example.com>
      0.460    +0.100   < 550 5.1.1 unknown user

`>` was sent by us, `<` received, `=` happened; an `s` before the mark says that it went over TLS. Times
are seconds since the start of the run; a lapse runs from the command to the last byte of its reply.

A packet of a path search is told in one line: when it was sent, after how long the answer came or was given
up, protocol and port, hop limit, the answer and who gave it.

      1.003      8 ms  tcp/25     ttl 2    time exceeded from 198.51.100.1

A session is drawn from the exchanges and not from the tape: they know which reply belongs to which command. All
bytes, in the order they came, are in the JSON.
"""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, NamedTuple

from probe.core.model import (
    Answer,
    ConnectOutcome,
    Direction,
    DnsOutcome,
    ExchangeOutcome,
    NoticeOrigin,
    Stage,
)
from probe.show.printable import safe
from probe.show.wording import ANSWERS, CONNECTS, SKIPS, count, round_trip, seconds

if TYPE_CHECKING:
    from probe.core.model import (
        Connect,
        DnsAnswer,
        Evidence,
        Exchange,
        HostEvidence,
        Notice,
        PathProbe,
        Session,
        Tls,
    )

LEGEND = "> sent, < received, = happened; s: over TLS; seconds since the start"

_LINE = 512
"""Characters of one line that are shown: what RFC 5321 4.5.3.1.5 allows a reply line."""
_HEAD = 10
"""Lines of a long reply that are shown before its last one; the rest is counted."""
_RECORDS = 20
"""Records of one DNS answer that are shown; a hostile zone may hold thousands."""

_ENDINGS = {
    ExchangeOutcome.REPLY: "replied",
    ExchangeOutcome.TIMEOUT: "no complete reply",
    ExchangeOutcome.CLOSED: "the peer closed the connection",
    ExchangeOutcome.RESET: "the peer reset the connection",
    ExchangeOutcome.OVERFLOW: "the reply had no end and was given up",
    ExchangeOutcome.TLS_FAILED: "the TLS handshake failed",
    ExchangeOutcome.CUT_SHORT: "cut short by the end of the run",
}

_ORIGINS = {NoticeOrigin.LOCAL: "local error", NoticeOrigin.ICMP: "ICMP", NoticeOrigin.ICMP6: "ICMPv6"}


class _Event(NamedTuple):
    """One command, reply or happening before it is laid out; `lines` are safe."""

    time: float
    lapse: float | None
    mark: str
    lines: tuple[str, ...]


# --- DNS -------------------------------------------------------------------------------------------


def lookups(evidence: Evidence, *, width: int) -> list[str]:
    """Give every DNS question with its answer: records with TTL, the server, the lapse, failed tries."""
    return [line for answer in evidence.dns for line in _lookup(answer, width)]


def _lookup(answer: DnsAnswer, width: int) -> list[str]:
    question = f"{safe(answer.name)} {safe(answer.type)}"
    parts = [_outcome(answer.outcome, answer.rcode), seconds(answer.ended - answer.asked)]
    if answer.tries:
        last = answer.tries[-1]
        parts.append(f"{safe(last.server)} {safe(last.transport)}")
    lines = _wrapped(f"{_clock(answer.asked):>8}  {question}: {', '.join(parts)}", 12, width)
    for record in answer.records[:_RECORDS]:
        # The owner is told only where it is another name: after a CNAME.
        owner = "" if record.name == answer.name else f"{safe(record.name)} "
        text = f"{owner}{safe(record.type)} {safe(record.data, width=_LINE)}, TTL {record.ttl}"
        lines += _wrapped(f"{'':10}{text}", 12, width)
    if len(answer.records) > _RECORDS:
        lines.append(f"{'':10}... {count(len(answer.records) - _RECORDS, 'more record')}")
    if len(answer.tries) > 1:
        for item in answer.tries:
            ended = f"{_outcome(item.outcome, item.detail)}, {seconds(item.ended - item.sent)}"
            text = f"try of {safe(item.server)} {safe(item.transport)}: {ended}"
            lines += _wrapped(f"{'':10}{text}", 12, width)
    return lines


def _outcome(outcome: DnsOutcome, detail: str | None) -> str:
    """Say how a question ended, with the rcode or error where it tells more than the outcome does."""
    said = safe(detail or "")
    if not said or said.lower() in {outcome, "noerror"}:
        return str(outcome)
    return f"{outcome} ({said})"


# --- SMTP ------------------------------------------------------------------------------------------


def sessions(evidence: Evidence, *, width: int) -> list[tuple[str, list[str]]]:
    """Give a title and the lines of every session and path search; a title alone for a host not asked."""
    talks: list[tuple[str, list[str]]] = []
    for host in evidence.hosts:
        if host.skipped is not None:
            what = "given up" if host.sessions else "not asked"
            talks.append((f"{_place(host)}, {what}: {SKIPS[host.skipped]}", []))
        talks.extend((f"{_place(host)}, {item.purpose}", _talk(item, width)) for item in host.sessions)
        if host.path is not None and host.path.probes:
            packets = [line for probe in host.path.probes for line in _packet(probe, width)]
            talks.append((f"{_place(host)}, path: {count(len(host.path.probes), 'packet')}", packets))
    return talks


def _place(host: HostEvidence) -> str:
    return f"{safe(host.name)} [{safe(host.ip)}] port {host.port}"


def _talk(session: Session, width: int) -> list[str]:
    events = [*_noticed(session.connect), _connected(session.connect)]
    if session.tls is not None:
        events.append(_handshake(session.tls))
    for exchange in session.exchanges:
        if exchange.stage is Stage.TLS and session.tls is not None:
            continue  # the handshake, told already
        events += _exchanged(exchange, secure=_is_secure(exchange, session.tls))
    # What an exchange or the handshake says of an instant, a note of that instant says in other words.
    told = {event.time for event in events if event.mark == "="}
    events += [
        _Event(entry.t, None, "=", (safe(entry.data, width=_LINE),))
        for entry in session.tape
        if entry.direction is Direction.NOTE and entry.t not in told
    ]
    events.sort(key=_when)
    end = events[-1].time
    if session.soft_error:
        noticed = f"an ICMP error had come and not ended the connection ({safe(session.soft_error)})"
        events.append(_Event(end, None, "=", (noticed,)))
    if session.dropped:
        dropped = f"{count(session.dropped, 'more byte')} of the peer were counted and not kept"
        events.append(_Event(end, None, "=", (dropped,)))
    return [line for event in events for line in _laid_out(event, width)]


def _when(event: _Event) -> float:
    return event.time


def _noticed(connect: Connect) -> list[_Event]:
    """Tell the first ICMP errors that came instead of a connection: anybody may send more of them."""
    events = []
    for notice in connect.notices[:_HEAD]:
        sender = f" from {safe(notice.sender, width=_LINE)}" if notice.sender else ""
        events.append(_Event(notice.t, None, "=", (f"{_kind(notice)}{sender}",)))
    if (more := len(connect.notices) - _HEAD) > 0:
        cut = f"... {count(more, 'more ICMP error')}"
        events.append(_Event(connect.notices[_HEAD].t, None, "=", (cut,)))
    return events


def _kind(notice: Notice) -> str:
    return f"{_ORIGINS[notice.origin]} {notice.type}/{notice.code}"


def _connected(connect: Connect) -> _Event:
    text = CONNECTS[connect.outcome]
    if connect.outcome is ConnectOutcome.CONNECTED:
        text += f" from {safe(connect.local_ip)}" if connect.local_ip else ""
    elif connect.errno_name:
        text += f" ({safe(connect.errno_name)})"
    return _Event(connect.ended, connect.ended - connect.started, "=", (text,))


def _handshake(tls: Tls) -> _Event:
    if tls.ok:
        parts = [safe(part) for part in (tls.version, tls.cipher) if part]
        text = ", ".join(["TLS established", *parts, "certificate not checked"])
    else:
        text = f"TLS failed: {safe(tls.error or 'no reason given', width=_LINE)}"
    return _Event(tls.ended, tls.ended - tls.started, "=", (text,))


def _is_secure(exchange: Exchange, tls: Tls | None) -> bool:
    return tls is not None and tls.ok and exchange.sent >= tls.ended


def _exchanged(exchange: Exchange, *, secure: bool) -> list[_Event]:
    over = "s" if secure else ""
    events = []
    if exchange.command is not None:
        events.append(_Event(exchange.sent, None, f"{over}>", (safe(exchange.command, width=_LINE),)))
    if exchange.reply is not None:
        reply = exchange.reply
        # What the peer said unasked belongs to no command, so there is nothing to measure from.
        waited = None if exchange.stage is Stage.EXTRA else reply.ended - exchange.sent
        events.append(_Event(reply.ended, waited, f"{over}<", _abridged(reply.lines)))
        if reply.oddities:
            events.append(_Event(reply.ended, None, "=", (f"unusual: {', '.join(reply.oddities)}",)))
    if exchange.outcome is not ExchangeOutcome.REPLY:
        lapse = exchange.ended - exchange.sent
        text = f"{exchange.stage}: {_ENDINGS[exchange.outcome]}"
        # A command that was decided on and never sent took no time.
        text += f" after {seconds(lapse)}" if lapse >= 0.0005 else ""
        text += f" ({safe(exchange.detail, width=_LINE)})" if exchange.detail else ""
        events.append(_Event(exchange.ended, lapse, "=", (text,)))
    return events


def _abridged(lines: tuple[str, ...]) -> tuple[str, ...]:
    """Give the lines of a reply; of a long one the head, how much was left out, and the line that ends it."""
    left_out = len(lines) - _HEAD - 1
    if left_out < 2:
        return tuple(safe(line, width=_LINE) for line in lines)
    *head, last = (safe(line, width=_LINE) for line in (*lines[:_HEAD], lines[-1]))
    return (*head, f"... {count(left_out, 'more line')} ...", last)


def _laid_out(event: _Event, width: int) -> list[str]:
    lapse = "" if event.lapse is None else f"+{_clock(event.lapse)}"
    when = f"{_clock(event.time):>8}  {lapse:>8}"
    laid = []
    for line in event.lines:
        laid += _wrapped(f"{when:18}  {event.mark:>2} {line}", 25, width)
        when = ""
    return laid


# --- path ------------------------------------------------------------------------------------------


def _packet(probe: PathProbe, width: int) -> list[str]:
    """Tell one packet of a path search; the ICMP type and code only where they say more than the answer."""
    sort = str(probe.protocol) if probe.port is None else f"{probe.protocol}/{probe.port}"
    ttl = "" if probe.ttl is None else f"ttl {probe.ttl}"
    said = ANSWERS[probe.answer]
    if probe.sender:
        said += f" from {safe(probe.sender, width=_LINE)}"
    if probe.notice is not None and probe.answer is not Answer.TIME_EXCEEDED:
        said += f" ({_kind(probe.notice)})"
    if probe.arrived_ttl is not None:
        said += f", arrived with ttl {probe.arrived_ttl}"
    lapse = round_trip(probe.ended - probe.sent)
    return _wrapped(f"{_clock(probe.sent):>8}  {lapse:>8}  {sort:<9}  {ttl:<7}  {said}", 40, width)


# --- layout ----------------------------------------------------------------------------------------


def _clock(time: float) -> str:
    return f"{time:.3f}" if abs(time) < 1e6 else f"{time:g}"


def _wrapped(line: str, indent: int, width: int) -> list[str]:
    """Break a line at `width`, its continuations set in by `indent` columns."""
    return textwrap.wrap(
        line, max(width, indent + 20), subsequent_indent=" " * indent, break_on_hyphens=False
    ) or [""]
