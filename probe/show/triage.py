"""What `probe-sender log` found, for a terminal, a ticket and a spreadsheet.

    administrator@customer.example.com: firewall-timeout (probable), connect.timeout
      The mail server could not connect to mx.customer.example.com [192.0.2.15]: timed out.
      Relay     203.0.113.59 relay1.example.net is the IP that an exemption would name, and
                not 192.0.2.15, the mail host that was called
      Effect    deferred (451), not rejected: 12 tries for 3 messages to raam@example.net
      Fate      2 of 3 accepted later, delayed by 40 minutes at the most; ...
      Shows     ...
      Not told  ...
      Next      probe-sender administrator@customer.example.com
                probe-sender preflight 203.0.113.59 administrator@customer.example.com

Every string passes `printable` before it is wrapped; colours are laid over it after that.
"""

from __future__ import annotations

import csv
import io
import shlex
import textwrap
from typing import TYPE_CHECKING

from probe.core.log.event import LogProgram
from probe.core.log.report import Now
from probe.core.model import Cause, MtaOutcome
from probe.show.printable import cell, code, fence, inline, safe
from probe.show.spreadsheet import age_cell
from probe.show.wording import before, count

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from probe.core.log.report import Group, LogReport

_LABEL = 10
_INDENT = "  "
_NARROWEST = 60
_SENTENCE = 600
"""Characters of one sentence that are shown."""
_NAMED = 3
"""Senders or recipients of one line."""
_QUOTED = 40
"""Characters by which a quoted reply is found again in the summary."""
_BOLD, _DIM = "1", "2"

_CODES = {
    (LogProgram.EXIM, MtaOutcome.DEFER): 451,
    (LogProgram.EXIM, MtaOutcome.REJECT): 550,
    (LogProgram.POSTFIX, MtaOutcome.DEFER): 450,
    (LogProgram.POSTFIX, MtaOutcome.REJECT): 550,
}
"""What each mail server answers unless it is told otherwise."""

NOW = {
    Now.STILL_SO: "still so",
    Now.FIXED: "fixed since",
    Now.DIFFERENT: "different now",
    Now.UNTOLD: "cannot be told",
}

COLUMNS = (
    "sender",
    "domain",
    "relay_ip",
    "relay_name",
    "helo",
    "called_host",
    "called_ip",
    "outcome",
    "cause",
    "reason",
    "confidence",
    "count",
    "messages",
    "first",
    "last",
    "recipients",
    "delayed",
    "lost",
    "unknown",
    "said",
    "now",
    "age",
)


def render(report: LogReport, *, verbose: bool = False, color: bool = False, width: int = 80) -> str:
    """Show the groups in lines of at most `width` columns; `verbose` adds what was not understood."""
    page = _Page(max(width, _NARROWEST), verbose=verbose, color=color)
    page.put(summary(report), "")
    for each in report.groups:
        page.lines.append("")
        page.group(each)
    if closing := list(_closing(report, verbose=verbose)):
        page.lines.append("")
        for sentence in closing:
            page.put(sentence, "")
    return "".join(f"{line}\n" for line in page.lines)


def group(told: Group, *, verbose: bool = False, color: bool = False, width: int = 80) -> str:
    """Show one group alone, as it is found in a log that grows."""
    page = _Page(max(width, _NARROWEST), verbose=verbose, color=color)
    page.group(told)
    return "".join(f"{line}\n" for line in page.lines)


def summary(report: LogReport) -> str:
    """Say in one sentence how much was read and how much fails (not yet safe)."""
    read = f"{count(report.lines, 'line')} read, {report.understood} about sender verification"
    if report.first is not None and report.last is not None:
        read += f", {report.first} to {report.last}" if report.first != report.last else f", {report.first}"
    if not report.failing:
        return f"no sender fails: {read}"
    return f"{count(report.failing, 'group')} of failing senders: {read}"


def _closing(report: LogReport, *, verbose: bool) -> Iterator[str]:
    if hidden := report.failing - len(report.groups):
        yield f"{count(hidden, 'more group')} with --limit {report.failing}"
    yield from report.notes
    if report.not_understood:
        more = "" if verbose else "; -v shows some"
        what = count(report.not_understood, "line")
        yield f"{what} about sender verification in no form that is known{more}"
        if verbose:
            yield from (f"{_INDENT}{sample}" for sample in report.samples)


class _Page:
    """Lines so far. What its methods are given need not be safe; what they keep is."""

    def __init__(self, width: int, *, verbose: bool, color: bool) -> None:
        self.lines: list[str] = []
        self._verbose = verbose
        self._width = width
        self._color = color

    def put(self, text: str, indent: str) -> None:
        """Put a sentence on lines of its own."""
        self.lines += self._wrap(text, indent, indent)

    def group(self, told: Group) -> None:
        """Put a group: who, why, through whom, at whom, how often, what became of it, what next."""
        first, *rest = self._wrap(_heading(told), "", _INDENT)
        self.lines += [self._paint(first, _BOLD), *rest]
        self.put(told.says, _INDENT)
        for label, sentence in _facts(told, verbose=self._verbose):
            self._beside(label, [sentence])
        self._beside("Next", commands(told), whole=True)

    def _beside(self, label: str, sentences: Iterable[str], *, whole: bool = False) -> None:
        start = f"{_INDENT}{label:<{_LABEL}}"
        margin = " " * len(start)
        for sentence in sentences:
            # A command stays on its line, to be copied.
            lines = [start + safe(sentence)] if whole else self._wrap(sentence, start, margin)
            head = lines[0][len(start) :]
            shown = start if start == margin else _INDENT + self._paint(f"{label:<{_LABEL}}", _DIM)
            self.lines += [shown + head, *lines[1:]]
            start = margin

    def _wrap(self, text: str, first: str, rest: str) -> list[str]:
        # Host names and reasons hold hyphens: breaking there would spoil them for copying.
        return textwrap.wrap(
            safe(text, width=_SENTENCE),
            self._width,
            initial_indent=first,
            subsequent_indent=rest,
            break_on_hyphens=False,
        ) or [first]

    def _paint(self, text: str, sgr: str) -> str:
        return f"\x1b[{sgr}m{text}\x1b[0m" if self._color else text


# --- sentences, not yet safe -------------------------------------------------------------------------


def _heading(told: Group) -> str:
    more = len(told.senders) - 1
    others = f" and {count(more, 'other')} of {told.domain}" if more > 0 else ""
    sender = told.sender or "a sender that the lines do not name"
    return f"{sender}{others}: {told.cause} ({told.confidence}), {told.reason}"


def _facts(told: Group, *, verbose: bool) -> Iterator[tuple[str, str]]:
    """Give label and sentence of each line; what the summary quotes already is left to `verbose`."""
    yield "Relay", _relay(told)
    if verbose and told.helo:
        yield "HELO", told.helo
    if verbose and told.said:
        yield "Log says", told.said
    yield "Effect", _effect(told)
    yield "Fate", told.fate.says
    if verbose or told.said.partition("\n")[0][:_QUOTED] not in told.says:
        yield "Shows", told.proves
    if told.leaves_open:
        yield "Not told", told.leaves_open
    if verbose and len(told.senders) > 1:
        yield "Senders", _counted(told)
    if told.now is not None and told.report is not None:
        now = f"{NOW[told.now]}: {told.report.cause} ({told.report.confidence}). {told.report.summary}"
        yield "Now", " ".join([now, *before(told.report)])


def _relay(told: Group) -> str:
    called = f", and not {told.called_ip}, the mail host that was called" if told.called_ip else ""
    if told.relay_ip is None:
        return f"not in these lines: an exemption would name the IP in brackets after H={called}"
    name = f" {told.relay_name}" if told.relay_name else f" (calls itself {told.helo})" if told.helo else ""
    return f"{told.relay_ip}{name} is the IP that an exemption would name{called}"


def _counted(told: Group) -> str:
    named = ", ".join(f"{sender.address} ({sender.count})" for sender in told.senders)
    return f"{named}, and others" if told.more_senders else named


def _effect(told: Group) -> str:
    digits = _CODES[told.program, told.outcome]
    effect = (
        f"rejected ({digits})" if told.outcome is MtaOutcome.REJECT else f"deferred ({digits}), not rejected"
    )
    tries = f"{count(told.count, 'try', 'tries')} for {count(told.messages, 'message')}"
    to = f" to {_names(told.recipients, told.more_recipients)}" if told.recipients else ""
    when = f" from {told.first} to {told.last}" if told.first != told.last else f" at {told.first}"
    cached = f"; {told.cached} answered from the cache" if told.cached else ""
    ended = f"; {count(told.incomplete, 'transaction')} ended without a message" if told.incomplete else ""
    return f"{effect}: {tries}{to}{when if told.first else ''}{cached}{ended}"


def _names(names: Sequence[str], more: int) -> str:
    shown = ", ".join(names[:_NAMED])
    left = len(names) - _NAMED
    if left <= 0:
        return shown
    return f"{shown} and {f'{left} or more others' if more else count(left, 'other')}"


def commands(told: Group) -> list[str]:
    """Give the commands that tell more, ready to be copied into a shell once they are safe."""
    if told.sender is None:
        return ["probe-sender log -    (with the whole lines, which name the sender)"]
    address = shlex.quote(told.sender)
    # What begins with a hyphen would be taken for an option.
    ends = "-- " if address.startswith("-") else ""
    told_next = [f"probe-sender {ends}{address}"]
    # What is missing stays missing, and what is fixed needs nothing: an exemption is no cure for either.
    curable = told.cause is not Cause.MISSING_SENDER and told.now is not Now.FIXED
    if told.relay_ip is not None and curable:
        told_next.append(f"probe-sender preflight {ends}{told.relay_ip} {address}")
    return told_next


# --- other forms -------------------------------------------------------------------------------------


def markdown(report: LogReport, *, verbose: bool = False) -> str:
    """Show the groups in Markdown, for a ticket; nothing of a peer's is linked, loaded or mentioned."""
    blocks = [f"## {inline(summary(report), width=_SENTENCE)}"]
    blocks += (markdown_group(each, verbose=verbose) for each in report.groups)
    closing = list(_closing(report, verbose=False))
    if closing:
        blocks.append("\n".join(f"- {inline(sentence, width=_SENTENCE)}" for sentence in closing))
    if verbose and report.samples:
        blocks.append("\n".join(fence([safe(sample, width=_SENTENCE) for sample in report.samples])))
    return "\n\n".join(blocks) + "\n"


def markdown_group(told: Group, *, verbose: bool = False) -> str:
    """Show one group alone in Markdown, without a line end."""
    items = [
        f"- **{label}:** {inline(sentence, width=_SENTENCE)}"
        for label, sentence in _facts(told, verbose=verbose)
    ]
    items.append("- **Next:** " + ", ".join(map(code, commands(told))))
    heading, says = (inline(text, width=_SENTENCE) for text in (_heading(told), told.says))
    return "\n".join([f"### {heading}", "", says, "", *items])


def header() -> str:
    """Give the first line of the CSV form: its columns, which are added to and never renamed."""
    return _row(COLUMNS)


def row(told: Group) -> str:
    """Give the line of a group; what is not known is an empty field."""
    fate = told.fate
    now = told.now if told.now is not None else ""
    return _row(
        (
            told.sender or "",
            told.domain or "",
            told.relay_ip or "",
            told.relay_name or "",
            told.helo or "",
            told.called_host or "",
            told.called_ip or "",
            told.outcome,
            told.cause,
            told.reason,
            told.confidence,
            str(told.count),
            str(told.messages),
            told.first,
            told.last,
            " ".join(told.recipients),
            str(fate.delayed),
            str(fate.lost),
            str(fate.unknown),
            told.said,
            now,
            age_cell(told.report),
        )
    )


def _row(fields: Sequence[str]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow([cell(field) for field in fields])
    return line.getvalue()
