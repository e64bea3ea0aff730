"""What evidence is like: all that its report depends on, but the names in it and the times.

Two kinds of likeness are told apart. Of the addresses of one domain any that came to nothing unusual are alike. And
where a mail host took the mailbox, as most do, so are those of different domains: then nobody reads words, and the
names of the domain and of the mail host, and its address, are only handed on into sentences.

Why that is exact. Only evidence counts as alike in which nothing can depend on the mailbox and the times but these:

* One mail host, one connection that came about at once, in clear, and to every command a reply without any oddity.
  Then the tape, the state of the connection and its end are looked at by nobody.
* Every wait is below the limits that something is concluded from: `REPEATED_AFTER` for the connection, Exim's time
  for each reply less the second in which it counts whole ones, the first poll of Postfix for all together. Then the
  times themselves stand in three places only: the `timing`, the seconds of Exim, and the sentences that name
  `{seconds}`; a rule or reason with one of those is judged plainly.
* What is not a yes is quoted, and Postfix quotes it beside the mailbox: so it is short (`WORDS_LIMIT`).
* The mailbox is of letters, digits and a few signs that no shell, log or format means something by, so that it is
  written as it is, and short enough that no quotation is cut off for it. Nothing compares it with what a peer
  says: a reply that names it is like no other, and is read anew.

For two domains also:

* One MX record, which names a host other than the domain, and one address of that: there is no order to draw, and
  no alias. Names are of lower-case letters, digits and hyphens, as the DNS gave them, and the address is of a usual
  kind (`looked_up.IPS`), which is all that is looked at of it.
* Every reply has the code that says yes, that to RCPT among them, so no reading, no quotation of what came before and
  no `ours` comes into it.
* What the host says may differ in its own name, where that is the first word of a greeting, of the answer to EHLO or
  of a farewell: there it is only looked at for being a name. Any other word is compared as it is.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec.structs import replace

from probe.core.looked_up import IPS, usual
from probe.core.model import (
    AddressKind,
    ConnectOutcome,
    ExchangeOutcome,
    Origin,
    Purpose,
    Stage,
)
from probe.core.network import REPEATED_AFTER
from probe.core.postfix import POLLS
from probe.core.postfix.client import served_others

if TYPE_CHECKING:
    from probe.core.looked_up import LookedUp, LookUps
    from probe.core.model import DnsAnswer, DnsRecord, Evidence, Exchange, HostEvidence, PathEvidence, Session

    Names = dict[str, str]
    """What a name is of -> the name: always `mailbox`, and `domain`, `host` and `ip` where these may differ too."""

MAILBOX_LIMIT = 64
"""Octets of a mailbox that fits into every quotation whole; the tightest is a command in a violation (100)."""
WORDS_LIMIT = 150
"""Octets of the answers to MAIL and RCPT, and of a refusal: with a name of `NAME_LIMIT` and a mailbox they fit into one
line of Postfix's reply (510) whole."""
GREETING_LIMIT = 2000
"""Octets of a reply with a name in it that fits into Exim's buffer (4096) whatever the name."""
NAME_LIMIT = 100
"""Octets of the name of a mail host."""
COUNTED = 9
"""Exchanges of the model at most: the longest of its waits, half a second, is still a short one."""
UNIT = 0.001
"""Seconds of the shortest wait of the model; Exim's seconds are told to the millisecond."""

MODEL = "zq--a-mailbox-that-nobody-has--qz"
MODEL_DOMAIN = "zq--a-domain-that-nobody-has--qz.example"
MODEL_HOST = "zq--a-mail-host-that-nobody-has--qz.example"
_PLAIN = re.compile(r"[A-Za-z0-9_+=-]+(?:\.[A-Za-z0-9_+=-]+)*", re.ASCII)
_QUOTED = frozenset({Stage.MAIL, Stage.RCPT})
_NAMING = frozenset({Stage.BANNER, Stage.EHLO, Stage.QUIT})
_YES = {
    Stage.BANNER: 220,
    Stage.EHLO: 250,
    Stage.MAIL: 250,
    Stage.RCPT: 250,
    Stage.RSET: 250,
    Stage.QUIT: 221,
}
_STAGES = frozenset({*_YES, Stage.HELO})
_RCPT, _QUIT, _REPLY = Stage.RCPT, Stage.QUIT, ExchangeOutcome.REPLY
"""Looked at for each exchange: by the class, each access costs 0.1 us (Python 3.11)."""
_POLLED = POLLS[0] - 0.1
"""Seconds within which Postfix surely has its answer before it looks; the rest is for rounding."""


def likeness(evidence: Evidence, patience: float, look_ups: LookUps) -> tuple[object, Names, LookedUp] | None:
    """Give what the report depends on beside the names and the times, and the names; None where none is like it.

    `patience` is how many seconds of a wait for a reply Exim takes for short. With it comes what `look_ups` made of
    the answers of the DNS.
    """
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
    agreed = _agreed(session, patience)
    if agreed is None:
        return None
    about = (
        evidence.options,
        address.forms,
        (host.port, host.preference, host.origin, host.scope),
        session.connect.local_ip,
        session.before > 0,
    )
    looked_up = look_ups.of(evidence.dns, address.domain, host.name, host.ip)
    taken = _taken(evidence, host, session) if agreed and looked_up.plain is not None else None
    if taken is not None:
        said, names = taken
        return (about, said, looked_up.plain), names, looked_up
    words = _said(session, mailbox)
    if words is None:
        return None
    key = (
        about,
        words,
        evidence.seed,
        address.domain,
        address.unicode_domain,
        looked_up.told,
        (host.name, host.ip),
        session.connect.ended < 0.0,
        None if host.path is None else _path_of(host.path),
    )
    return key, {"mailbox": mailbox}, looked_up


def _agreed(session: Session, patience: float) -> bool | None:
    """Whether every reply says yes, and one is about the mailbox; None where more matters, or a wait was long."""
    connect = session.connect
    if (
        session.purpose is not Purpose.CALLOUT
        or session.tls is not None
        or session.soft_error is not None
        or connect.outcome is not ConnectOutcome.CONNECTED
        or connect.notices
        or not 0.0 <= connect.ended - connect.started < REPEATED_AFTER
        or not 0 < len(session.exchanges) <= COUNTED
    ):
        return None
    agreed = True
    asked = _RCPT in [exchange.stage for exchange in session.exchanges]
    due = connect.started + served_others(session) + _POLLED
    for exchange in session.exchanges:
        reply = exchange.reply
        if (
            reply is None
            or reply.oddities
            or exchange.outcome is not _REPLY
            or not 0.0 <= reply.ended - exchange.sent <= patience
            or (exchange.ended > due and not (asked and exchange.stage is _QUIT))
        ):
            return None
        if reply.code is None or reply.code != _YES.get(exchange.stage):
            agreed = False
    return agreed and asked


def _said(session: Session, mailbox: str) -> tuple[object, ...] | None:
    """Give what was said over a connection, but for the mailbox."""
    said: list[object] = []
    for exchange in session.exchanges:
        reply, stage, command = exchange.reply, exchange.stage, exchange.command
        if reply is None or stage not in _STAGES:
            return None
        if (stage in _QUOTED or reply.code != _YES.get(stage)) and len("".join(reply.lines)) > WORDS_LIMIT:
            return None
        if stage is _RCPT:
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


# --- what is alike in different domains ------------------------------------------------------------


def _taken(
    evidence: Evidence, host: HostEvidence, session: Session
) -> tuple[tuple[object, ...], Names] | None:
    """Give what was said without any name, and the names; None where more than that matters."""
    address = evidence.address
    name = host.name
    if (
        host.path is not None
        or host.origin is not Origin.MX
        or session.connect.ended < 0.0  # learned for another address, and a note says so
        or address.domain != address.unicode_domain
    ):
        return None
    said: list[object] = []
    for exchange in session.exchanges:
        reply, stage, command = exchange.reply, exchange.stage, exchange.command
        if reply is None or not reply.lines:
            return None
        lines: tuple[object, ...] = reply.lines
        if stage in _NAMING:
            if len("".join(reply.lines)) > GREETING_LIMIT:
                return None
            if _begins_with(name, reply.lines):
                # No line of a peer is a pair, so nothing that it says can pass for this.
                lines = ((reply.lines[0][:4], reply.lines[0][4 + len(name) :]), *reply.lines[1:])
        elif len("".join(reply.lines)) > WORDS_LIMIT:
            return None
        elif stage is _RCPT:
            if command != f"RCPT TO:<{address.mailbox}>":
                return None
            command = None
        said += (stage, command, lines, exchange.detail)
    return tuple(said), {"mailbox": address.mailbox, "domain": address.domain, "host": name, "ip": host.ip}


def _begins_with(name: str, lines: tuple[str, ...]) -> bool:
    """Whether the first word of a reply is this name."""
    return lines[0].startswith(name, 4) and lines[0][4 + len(name) : 5 + len(name)] in {"", " "}


# --- the model -------------------------------------------------------------------------------------


def marks_of(names: Names) -> Names:
    """Give the names of the model; the mailbox comes first, because its domain may be one of the others."""
    if "domain" not in names:
        return {"mailbox": f"{MODEL}@{names['mailbox'].partition('@')[2]}"}
    kind = usual(names["domain"], names["host"], names["ip"])
    ip = names["ip"] if kind is None else IPS[kind]
    return {"mailbox": f"{MODEL}@{MODEL_DOMAIN}", "domain": MODEL_DOMAIN, "host": MODEL_HOST, "ip": ip}


def model(evidence: Evidence, names: Names) -> Evidence:
    """Give evidence of the same shape: its names are nobody's, each wait is half of the next, and the DNS at hand."""
    modelled = marks_of(names)
    mailbox = modelled["mailbox"]
    marks = {names[of]: mark for of, mark in modelled.items() if of != "mailbox"}
    host = evidence.hosts[0]
    session = host.sessions[0]
    address = evidence.address
    now = UNIT
    exchanges = []
    for number, exchange in enumerate(session.exchanges, 1):
        sent, now = now, now + UNIT * (1 << number)
        command = f"RCPT TO:<{mailbox}>" if exchange.stage is Stage.RCPT else exchange.command
        reply = exchange.reply and replace(
            exchange.reply,
            lines=_renamed_lines(exchange, host.name, marks.get(host.name)),
            started=now,
            ended=now,
        )
        exchanges.append(replace(exchange, command=command, sent=sent, ended=now, reply=reply))
    since = -2 * UNIT if session.connect.ended < 0.0 else 0.0  # learned for another address: a note says so
    connect = replace(session.connect, started=since, ended=since + UNIT)
    talk = replace(session, connect=connect, exchanges=tuple(exchanges))
    return replace(
        evidence,
        address=replace(
            address,
            given=mailbox,
            mailbox=mailbox,
            local=MODEL,
            domain=marks.get(address.domain, address.domain),
            unicode_domain=marks.get(address.unicode_domain, address.unicode_domain),
        ),
        dns=tuple([_renamed_answer(answer, marks) for answer in evidence.dns]),
        hosts=(
            replace(
                host,
                name=marks.get(host.name, host.name),
                ip=marks.get(host.ip, host.ip),
                sessions=(talk,),
            ),
        ),
    )


def _renamed_lines(exchange: Exchange, name: str, mark: str | None) -> tuple[str, ...]:
    lines = exchange.reply.lines if exchange.reply is not None else ()
    if mark is None or exchange.stage not in _NAMING or not _begins_with(name, lines):
        return lines
    return (f"{lines[0][:4]}{mark}{lines[0][4 + len(name) :]}", *lines[1:])


def _renamed_answer(answer: DnsAnswer, marks: dict[str, str]) -> DnsAnswer:
    return replace(
        answer,
        name=marks.get(answer.name, answer.name),
        asked=0.0,
        ended=0.0,
        records=tuple([_renamed_record(record, marks) for record in answer.records]),
    )


def _renamed_record(record: DnsRecord, marks: dict[str, str]) -> DnsRecord:
    mark = marks.get(record.target or "")
    return replace(
        record,
        name=marks.get(record.name, record.name),
        data=marks.get(record.data, record.data) if mark is None else f"{record.preference} {mark}.",
        target=record.target if mark is None else mark,
    )
