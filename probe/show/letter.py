"""A letter about a case: to a colleague, to the customer, or to the postmaster of the other side.

What it says stands in `letters`, one module a language; here are the facts that go into it, and the layout of a
plain-text mail. It is made of a report alone, so it can be written again from saved evidence.
"""

from __future__ import annotations

import re
import textwrap
from typing import TYPE_CHECKING

from msgspec import Struct, structs

from probe.core.exemption.relay import Preflight
from probe.core.log.report import Group
from probe.core.model import Cause, MtaOutcome, Severity, Side, Stage, Who
from probe.core.reasons import REASONS
from probe.core.sentences import fill
from probe.show import servers, wording
from probe.show.glossary.causes import GENERAL
from probe.show.letters import Reader
from probe.show.letters.en import TEXTS
from probe.show.printable import safe
from probe.show.redaction import Redaction

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from probe.core.model import Exchange, Report, Violation
    from probe.show.letters import Texts

WIDTH = 72
"""Columns of a letter: what mail programs can quote twice without wrapping it."""
BETWEEN = "=" * WIDTH + "\n"
"""Stands between two letters."""
_LINE = 300
"""Characters of one line of the dialogue that are quoted."""
_LINES = 12
"""Lines of the dialogue that are quoted; a letter that quotes more is not read."""
_LABEL = 12
"""Columns of a label of the facts and the space after it."""


class Matter(Struct, frozen=True, kw_only=True):
    """The facts of one case. Every text may quote a peer and is not yet safe.

    `effect` is the worst that mail servers do with the sender now, None where it is not known; `dialogue` what
    was said, `rules` the requirements that were broken, `steps` who has to do what, `effects` what Exim and
    Postfix do. `more` are further facts for a colleague, and of them the log's words for a postmaster, each under a
    label of the texts; `of_log` says that nothing was tested, and a log is all there is. `host` is empty where none
    was called.
    """

    mailbox: str
    domain: str
    cause: str
    side: Side
    summary: str
    when: str
    host: str
    ip: str
    port: str
    our_ip: str
    helo: str
    effect: MtaOutcome | None = None
    dialogue: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    steps: tuple[tuple[Who, str], ...] = ()
    effects: tuple[str, ...] = ()
    more: tuple[tuple[str, str], ...] = ()
    of_log: bool = False


def matter(report: Report) -> Matter:
    """Take the facts of a case from its report."""
    evidence, told = report.evidence, wording.decisive(report)
    local_ips = [
        session.connect.local_ip
        for host in evidence.hosts
        if told is None or (host.name, host.ip) == (told.name, told.ip)
        for session in host.sessions
        if session.connect.local_ip
    ]
    our_ip = next(iter(local_ips), evidence.options.source or "")
    predicted = [view.outcome for _, view in servers.predicted(report.mta)] if report.mta else []
    return Matter(
        mailbox=evidence.address.mailbox,
        domain=evidence.address.unicode_domain,
        cause=f"{report.cause}, {report.reason} ({report.confidence})",
        side=report.side,
        summary=report.summary,
        when=_utc(evidence.began),
        host=told.name if told else "",
        ip=told.ip if told else "",
        port=str(evidence.options.port),
        our_ip=our_ip,
        helo=evidence.options.helo or (f"[{our_ip}]" if our_ip else ""),
        effect=max(predicted, key=_WORSE.index, default=None),
        dialogue=tuple(_dialogue(report)),
        rules=tuple(dict.fromkeys(map(_rule, _fatal(report)))),
        steps=tuple((step.who, step.do) for step in report.next_steps),
        effects=(servers.brief(report.mta),) if report.mta else (),
    )


def of_preflight(preflight: Preflight) -> Matter:
    """Take the facts of a preflight: those of its diagnosis, the relay, and the narrowest exemption."""
    ways = [f"{way.file}: {way.line}" for way in preflight.exemptions[:1]]
    more = [
        ("relay", preflight.relay_ip),
        ("advice", f"{preflight.advice}: {' '.join(preflight.because[:1])}"),
    ]
    return structs.replace(matter(preflight.report), more=(*more, *(("exemption", way) for way in ways)))


def of_group(group: Group) -> Matter:
    """Take the facts of senders that a log shows to fail; with a probe of today those count, beside the log's."""
    relay = f"{group.relay_ip or ''} {group.relay_name or ''}".strip()
    more = (
        *((("relay", relay),) if relay else ()),
        ("log", f"{group.said} ({wording.count(group.count, 'try', 'tries')}, {_span(group)})"),
        ("fate", group.fate.says),
    )
    if group.report is not None:
        return structs.replace(matter(group.report), more=more)
    row = REASONS[group.reason]
    mailbox, domain = group.sender or group.domain or "", group.domain or ""
    fields = {
        **GENERAL,
        "mailbox": mailbox,
        "domain": domain,
        "host": group.called_host or GENERAL["host"],
        "ip": group.called_ip or GENERAL["ip"],
    }
    return Matter(
        mailbox=mailbox,
        domain=domain,
        cause=f"{group.cause}, {group.reason} ({group.confidence})",
        side=row.side,
        summary=group.says,
        when=_span(group),
        host=group.called_host or "",
        ip=group.called_ip or "",
        port="25",
        our_ip="",
        helo="",
        effect=group.outcome,
        steps=tuple((who, fill(what, fields)) for who, what in row.steps),
        more=more,
        of_log=True,
    )


def _span(group: Group) -> str:
    return group.first if group.first == group.last else f"{group.first} to {group.last}"


_WORSE = (MtaOutcome.ACCEPT, MtaOutcome.DEFER, MtaOutcome.REJECT)
_STAMP = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:\.\d+)?(?:Z|\+00:00)", re.ASCII)


def _utc(began: str) -> str:
    """Write the time of the evidence for people; another form of it stays as it is."""
    found = _STAMP.fullmatch(began)
    return f"{found[1]} {found[2]} UTC" if found else began


def _fatal(report: Report) -> list[Violation]:
    return [violation for violation in report.violations if violation.severity is Severity.DEFEATS]


def _rule(violation: Violation) -> str:
    sections, _, _ = wording.terms(violation).rpartition(", ")
    return f"{violation.says} ({sections}, {violation.level})"


def _dialogue(report: Report) -> Iterator[str]:
    """Give the commands and replies that decided, as the JSON pointers of the argument name them."""
    for exchange in _decisive(report):
        if exchange.command is not None:
            yield f"> {exchange.command}"
        yield from (f"< {line}" for line in (exchange.reply.lines if exchange.reply else ()))
        if exchange.reply is None:
            yield f"({exchange.outcome})"


_RECIPIENTS = frozenset({Stage.RCPT, Stage.RCPT_REAL})
_POINTER = re.compile(r"/hosts/(\d{1,6})/sessions/(\d{1,3})/exchanges/(\d{1,4})", re.ASCII)


def _decisive(report: Report) -> Iterator[Exchange]:
    hosts = report.evidence.hosts
    pointers = dict.fromkeys(pointer for reason in report.because[:1] for pointer in reason.points_to)
    for pointer in pointers:
        if found := _POINTER.fullmatch(pointer):
            at, session, number = (int(part) for part in found.groups())
            if at < len(hosts) and session < len(hosts[at].sessions):
                talk = hosts[at].sessions[session].exchanges[: number + 1]
                # A recipient means little without the sender that was named before it.
                yield from talk[-2:] if talk and talk[-1].stage in _RECIPIENTS else talk[-1:]


# --- redaction -----------------------------------------------------------------------------------------


def redacted(facts: Matter) -> Matter:
    """Take local parts and internal hosts out of a case."""
    redact: Callable[[str], str] = Redaction(facts.mailbox)
    texts = {
        name: redact(value)
        for name in facts.__struct_fields__
        if isinstance(value := getattr(facts, name), str) and name not in {"port", "side"}
    }
    return structs.replace(
        facts,
        **texts,
        dialogue=tuple(map(redact, facts.dialogue)),
        rules=tuple(map(redact, facts.rules)),
        steps=tuple((who, redact(what)) for who, what in facts.steps),
        effects=tuple(map(redact, facts.effects)),
        more=tuple((label, redact(text)) for label, text in facts.more),
    )


# --- layout --------------------------------------------------------------------------------------------


def render(about: Report | Preflight | Group, reader: Reader, *, redact: bool = False) -> str:
    """Write the letter about a report, a preflight or senders in a log.

    `redact` takes local parts and internal hosts out of it.
    """
    if isinstance(about, Preflight):
        facts, cause = of_preflight(about), about.report.cause
    elif isinstance(about, Group):
        facts, cause = of_group(about), about.cause if about.report is None else about.report.cause
    else:
        facts, cause = matter(about), about.cause
    return write(redacted(facts) if redact else facts, cause, reader)


def write(facts: Matter, cause: Cause, reader: Reader, texts: Texts = TEXTS) -> str:
    """Lay a letter out: the subject, then paragraphs of at most `WIDTH` columns, with the facts as a table."""
    fields = _fields(facts, texts)
    labels = texts.labels
    # Folded as a header is (RFC 5322 2.2.3), should the letter be handed to a mail program as it stands.
    lines = _wrapped(f"{labels['subject']}: {texts.subject[reader].format_map(fields)}", "", " ")
    parts = [
        _wrapped(texts.greeting[reader].format_map(fields)),
        _wrapped((texts.opening_log if facts.of_log else texts.opening)[reader].format_map(fields)),
    ]
    refused = cause is Cause.SENDER_EXISTS and bool(_theirs(facts))
    asked = texts.refused_asking[reader] if refused else texts.asking[reader][cause]
    asking = _asking(facts, reader, asked.format_map(fields))
    if facts.side is Side.OURS:
        meaning = _wrapped(texts.ours[reader])
        asking = asking if reader is Reader.SUPPORT else []
    else:
        means = texts.refused_meaning[reader] if refused else texts.meaning[reader][cause]
        meaning = _wrapped(means.format_map(fields))
        fails = refused or cause is not Cause.SENDER_EXISTS
        if reader is Reader.POSTMASTER and fails and facts.effect not in {MtaOutcome.ACCEPT, None}:
            meaning += _wrapped(texts.trouble.format_map(fields))
    seen = [_titled(labels["facts"], _table(facts, reader, labels))]
    if reader is not Reader.CUSTOMER:
        seen += [_titled(labels["dialogue"], [_line(said) for said in facts.dialogue[:_LINES]])]
        seen += [_titled(labels["rules"], _list(facts.rules))]
    parts += [meaning, asking, *seen] if reader is Reader.CUSTOMER else [*seen, meaning, asking]
    if reader is Reader.POSTMASTER and cause in texts.testing and facts.side is not Side.OURS:
        parts.append(_titled(labels["testing"], _wrapped(texts.testing[cause].format_map(fields), "  ")))
    parts += [_wrapped(paragraph) for paragraph in texts.closing[reader].format_map(fields).split("\n\n")]
    return "\n".join(["\n".join(lines), *("\n" + "\n".join(part) for part in parts if part)]) + "\n"


def _fields(facts: Matter, texts: Texts) -> dict[str, str]:
    """Give what the texts may name, safe to show."""
    names = ("mailbox", "domain", "cause", "summary", "host", "ip", "port", "our_ip")
    fields = {name: safe(getattr(facts, name)) for name in names}
    fields["effect"] = texts.effect[facts.effect or MtaOutcome.DEFER]
    fields["host"] = fields["host"] or fields["domain"]
    fields["ip"] = fields["ip"] or fields["host"]
    fields["our_ip"] = fields["our_ip"] or texts.labels["we"]
    return fields


def _table(facts: Matter, reader: Reader, labels: dict[str, str]) -> list[str]:
    helo = f", {labels['helo']} {facts.helo}" if facts.helo else ""
    they = facts.host + (f" [{facts.ip}], port {facts.port}" if facts.ip else "")
    told_by_log = facts.of_log and reader is Reader.POSTMASTER
    public = "log" if told_by_log else None
    we = f"{facts.our_ip}{helo}" if facts.our_ip else labels["we_unknown"] if told_by_log and they else ""
    rows = [
        ("time", [f"{facts.when} ({labels['clock']})" if facts.of_log else facts.when]),
        ("sender", [facts.mailbox]),
        ("we", [we] if we else []),
        ("they", [they] if they else []),
        ("cause", [facts.summary if reader is Reader.CUSTOMER else f"{facts.cause}: {facts.summary}"]),
        ("servers", list(facts.effects) if reader is Reader.SUPPORT else []),
        *((label, [text]) for label, text in facts.more if reader is Reader.SUPPORT or label == public),
    ]
    lines = []
    for label, texts in rows:
        for text in texts:
            lines += _wrapped(safe(text, width=_LINE * 2), f"  {labels[label]:<{_LABEL}}", " " * (_LABEL + 2))
    return lines


def _theirs(facts: Matter) -> tuple[tuple[Who, str], ...]:
    """Give the steps of the other side's postmaster; where he has none, those of his user."""
    for theirs in (Who.THEIR_ADMIN, Who.SENDER):
        if steps := tuple((who, what) for who, what in facts.steps if who is theirs):
            return steps
    return ()


def _asking(facts: Matter, reader: Reader, text: str) -> list[str]:
    """Say what the reader is asked to do; a colleague gets every step, the postmaster those of his side."""
    of = {Reader.SUPPORT: facts.steps, Reader.POSTMASTER: _theirs(facts)}
    steps = of.get(reader, ())
    if not steps:
        return _wrapped(text.removesuffix(":") + "." if text.endswith(":") else text)
    several = reader is Reader.SUPPORT
    return _wrapped(text) + _list(f"{wording.WHO[who]}: {what}" if several else what for who, what in steps)


def _list(texts: Iterable[str]) -> list[str]:
    return [line for text in texts for line in _wrapped(safe(text, width=_LINE * 2), "  - ", "    ")]


def _titled(title: str, lines: list[str]) -> list[str]:
    return [f"{title}:", *lines] if lines else []


def _line(said: str) -> str:
    # Not wrapped: what was said is copied into searches and logs as it stands.
    return f"  {safe(said, width=_LINE)}"


def _wrapped(text: str, first: str = "", rest: str | None = None) -> list[str]:
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=first,
        subsequent_indent=first if rest is None else rest,
        break_on_hyphens=False,
        break_long_words=False,
    ) or [first.rstrip()]
