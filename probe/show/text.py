"""A report for a terminal: the verdict in about ten lines, and with `verbose` all that led to it.

    administrator@customer.example.com: firewall-timeout (probable)
      mx1.customer.example.com [203.0.113.15] did not answer on port 25 within 10 s.
      Why         ...
      Whose move  the path (a firewall or a network between us and them)
      Next        1. support: ...
      Effect now  Exim defers (451 ...), Postfix defers (450)
      took 10 s; 1 more step with -v; more: probe-sender explain connect.timeout

What the short form leaves out is general knowledge, what the table of hosts says, further steps, the reply of
Postfix, harmless violations and the rule: all of that is in the long one.

Every string of the report passes `printable` before it is wrapped; colours are laid over it after that.
So an escape sequence in the output is always one of ours. Only ASCII is our own, for any locale.
"""

from __future__ import annotations

import re
import textwrap
from typing import TYPE_CHECKING

from probe.core.model import Cause, Side, Who
from probe.show import path, servers, wording
from probe.show.printable import safe, visible

if TYPE_CHECKING:
    from collections.abc import Iterable

    from probe.core.model import Report, Violation

_NARROWEST = 40
"""Below this many columns wrapping only makes things worse."""
_INDENT = "  "
_LABEL = 12
"""Columns of the longest label and the space after it."""
_MARGIN = _INDENT + " " * _LABEL
_SENTENCE = 1000
"""Characters of one sentence that are shown, so that no quoted reply scrolls the verdict away."""
_STEPS = 3
"""Next steps of the short form: who has taken them asks again."""
_UNIT = re.compile(r"(?<=[0-9]) (?=(?:s|ms|h)\b)")
_GLUE = "\xa0"
"""Stands for a space at which no line is broken. It is free for that: `safe` lets none through."""

_BOLD, _DIM = "1", "2"
_GREEN, _RED, _YELLOW, _MAGENTA, _CYAN = "32", "31", "33", "35", "36"

_COLOURS = {
    Cause.SENDER_EXISTS: _GREEN,
    Cause.MISSING_SENDER: _RED,
    Cause.INCONCLUSIVE: _YELLOW,
    Cause.TEMPORARY: _YELLOW,
    # The network or the DNS stood in the way ...
    Cause.FIREWALL_TIMEOUT: _MAGENTA,
    Cause.UNREACHABLE: _MAGENTA,
    Cause.DNS_FAILURE: _MAGENTA,
    # ... or the peer did.
    Cause.RFC_NONCOMPLIANT: _CYAN,
    Cause.POLICY_REFUSAL: _CYAN,
}


def render(report: Report, *, verbose: bool = False, color: bool = False, width: int = 80) -> str:
    """Show a report to a person, in lines of at most `width` columns, each ended by a line feed.

    `verbose` adds the DNS look-ups and the transcript of every session. `color` adds SGR sequences
    (ECMA-48 8.3.117) and changes nothing else.
    """
    page = _Page(max(width, _NARROWEST), color=color)
    page.heading(report)
    page.section("Before", wording.before(report))
    page.section("Why", wording.arguments(report) if verbose else wording.short_arguments(report))
    if wording.needs_action(report):
        page.section("Whose move", [wording.SIDES[report.side]])
    steps = report.next_steps if verbose else report.next_steps[:_STEPS]
    page.section("Next", _numbered([f"{wording.WHO[step.who]}: {step.do}" for step in steps]))
    if report.mta is not None:
        effects = servers.full(report.mta) if verbose else [("Effect now", [servers.brief(report.mta)])]
        for label, lines in effects:
            page.section(label, lines, hang=_INDENT if verbose else "", whole=label == servers.FORGETS)
    broken = [_broken(violation) for violation in report.violations]
    page.section("Violations", broken if verbose else wording.brief_violations(report))
    page.section("Notes", [*report.notes, *path.remarks(report, verbose=verbose)])
    page.hosts(report)
    page.paths(report, verbose=verbose)
    if verbose:
        page.evidence(report)
    page.footer(report, verbose=verbose)
    return "".join(f"{line}\n" for line in page.lines)


def quiet(report: Report) -> str:
    """Give the one line of `-q`: address, cause, reason, confidence and summary, separated by tabs."""
    fields = (
        visible(report.address),
        report.cause,
        safe(report.reason),
        report.confidence,
        safe(report.summary, width=_SENTENCE),
    )
    return "\t".join(fields) + "\n"


class _Page:
    """The lines of a report so far. What its methods are given need not be safe; what they keep is."""

    def __init__(self, width: int, *, color: bool) -> None:
        self.lines: list[str] = []
        self._width = width
        self._color = color

    def heading(self, report: Report) -> None:
        """Put the address and the cause on top, other forms of the address and the summary under it."""
        address = visible(report.address)
        first, *rest = self._wrap(f"{address}: {report.cause} ({report.confidence})", "", _INDENT)
        # A heading that had to be wrapped stays plain: colours are never laid over part of a word.
        head, found, tail = first.rpartition(f": {report.cause} (")
        if found:
            cause = self._paint(report.cause, f"{_BOLD};{_COLOURS[report.cause]}")
            first = f"{self._paint(head, _BOLD)}: {cause} ({tail}"
        self.lines += [first, *rest]
        for form in wording.other_forms(report):
            self._put(f"that is {visible(form)}")
        self._put(safe(report.summary, width=_SENTENCE))

    def section(self, label: str, sentences: Iterable[str], *, hang: str = "", whole: bool = False) -> None:
        """Put sentences beside a label, each from a line of its own; nothing when there is none.

        `hang` sets the continuation of a line in, where it has to be told from a line of its own. `whole` is for
        commands: they are copied into a shell, where a line that is wrapped would be two commands.
        """
        beside = f"{_INDENT}{self._paint(f'{label:<{_LABEL}}', _DIM)}"
        for sentence in sentences:
            shown = safe(sentence, width=_SENTENCE)
            first, *rest = [_MARGIN + shown] if whole else self._wrap(shown, _MARGIN, _MARGIN + hang)
            self.lines += [beside + first[len(_MARGIN) :], *rest]
            beside = _MARGIN

    def hosts(self, report: Report) -> None:
        """Put the mail hosts: a table of several; of one what it said, unless the summary quotes it."""
        skipped = [host for host in report.evidence.hosts if host.skipped is not None]
        others = sum(wording.is_untold(report, host) for host in skipped)
        if len(report.hosts) == 1 and not others:
            host = report.hosts[0]
            if host.reply and host.reply not in report.summary:
                self.section("Mail host", [f"{host.name} [{host.ip}] said: {host.reply}"])
        elif report.hosts or others:
            # tabulate costs more than everything else here: only now.
            from probe.show import table  # noqa: PLC0415

            drawn = table.hosts(report, width=self._width - len(_INDENT))
            self.lines += ["", *(f"{_INDENT}{line}".rstrip() for line in drawn.splitlines()), ""]

    def paths(self, report: Report, *, verbose: bool) -> None:
        """Put a picture of the path to each host that is worth one."""
        port = report.evidence.options.port
        for host, network in path.shown(report, verbose=verbose):
            self.section("Path", [f"to {host.name} [{host.ip}]"])
            drawn = path.picture(network, port, width=self._width - len(_MARGIN))
            self.lines += [_MARGIN + line for line in drawn]

    def evidence(self, report: Report) -> None:
        """Put the DNS look-ups, the transcripts and the packets of the path searches."""
        # Not needed by most runs, so not loaded by them.
        from probe.show import transcript  # noqa: PLC0415

        self._title("DNS look-ups")
        self.lines += transcript.lookups(report.evidence, width=self._width) or [f"{_INDENT}none"]
        for title, lines in transcript.sessions(report.evidence, width=self._width):
            self._title(title)
            self.lines += lines
        self._gap()
        self._put(f"({transcript.LEGEND})", _DIM)

    def footer(self, report: Report, *, verbose: bool) -> None:
        """Put the time it took and where more is to be read; in the long form also the rule that decided."""
        parts = [f"took {wording.seconds(report.timing.total)}"]
        if verbose:
            spent = report.timing
            laps = (("DNS", spent.dns), ("connecting", spent.connect), ("conversation", spent.conversation))
            self._put(", ".join(f"{name} {wording.seconds(lapse)}" for name, lapse in laps), _DIM)
            parts.append(f"rule {safe(report.rule)}")
        else:
            left = (("more step", len(report.next_steps) - _STEPS), ("more path", path.left_out(report)))
            if hidden := [wording.count(number, what) for what, number in left if number > 0]:
                parts.append(f"{' and '.join(hidden)} with -v")
        if report.side is Side.THEIRS and any(step.who is Who.THEIR_ADMIN for step in report.next_steps):
            parts.append("to write to them: " + "--letter postmaster".replace(" ", _GLUE))
        # Kept on one line, to be copied.
        parts.append("more: " + f"probe-sender explain {safe(report.reason)}".replace(" ", _GLUE))
        self._put("; ".join(parts), _DIM)

    def _title(self, text: str) -> None:
        self._gap()
        self._put(text, _BOLD)

    def _gap(self) -> None:
        if self.lines[-1]:
            self.lines.append("")

    def _put(self, text: str, sgr: str = "") -> None:
        for line in self._wrap(text, _INDENT, _INDENT):
            self.lines.append(_INDENT + self._paint(line[len(_INDENT) :], sgr))

    def _wrap(self, text: str, first: str, rest: str) -> list[str]:
        # Host names and reasons hold hyphens: breaking there would spoil them for copying.
        lines = textwrap.wrap(
            _UNIT.sub(_GLUE, text),
            self._width,
            initial_indent=first,
            subsequent_indent=rest,
            break_on_hyphens=False,
        )
        return [line.replace(_GLUE, " ") for line in lines] or [first]

    def _paint(self, text: str, sgr: str) -> str:
        return f"\x1b[{sgr}m{text}\x1b[0m" if self._color and sgr and text else text


def _numbered(sentences: list[str]) -> list[str]:
    if len(sentences) < 2:
        return sentences
    return [f"{number}. {sentence}" for number, sentence in enumerate(sentences, 1)]


def _broken(violation: Violation) -> str:
    host = f" at {violation.host}" if violation.host else ""
    return f"{violation.id} ({wording.terms(violation)}){host}: {violation.saw}"
