"""A report for a ticket, as CommonMark with pipe tables.

A ticket system renders what it is given, so every string of the report is written as prose that has no
meaning in Markdown or as code; see `printable.inline`. Nothing of a peer's is linked, loaded or mentioned.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from probe.show import path, servers, transcript, wording
from probe.show.printable import code, fence, inline

if TYPE_CHECKING:
    from collections.abc import Iterable

    from probe.core.model import Mta, Report, Violation

_SENTENCE = 1000
"""Characters of one sentence that are shown."""
_COLUMNS = 100
"""Where a transcript is wrapped: a code block does not wrap by itself."""


def render(report: Report) -> str:
    """Show a report in Markdown: verdict, argument, next steps, hosts and the transcript."""
    blocks = [_verdict(report)]
    blocks += _list("Why", (_prose(says) for says in wording.arguments(report)))
    blocks += _list(
        "Next steps",
        (f"**{wording.WHO[step.who]}:** {_prose(step.do)}" for step in report.next_steps),
        numbered=True,
    )
    if report.mta is not None:
        blocks += _list("What mail servers do with this sender now", _effects(report.mta))
    blocks += _list("RFC violations", (_broken(violation) for violation in report.violations))
    blocks += _list("Notes", (_prose(note) for note in [*report.notes, *path.remarks(report, verbose=True)]))
    if report.hosts or report.evidence.hosts:
        # tabulate is slow to import: only when there is a table to draw.
        from probe.show import table  # noqa: PLC0415

        blocks += ["### Mail hosts", table.markdown(report)]
        for host, network in path.shown(report, verbose=True):
            title = inline(f"{host.name} [{host.ip}]", width=_SENTENCE)
            drawn = table.path(path.table(network, report.evidence.options.port))
            blocks += [f"### Path to {title}", drawn, *map(_prose, path.ending(network))]
    blocks += ["### Transcript", "\n".join(fence(_evidence(report)))]
    blocks.append(_origin(report))
    return "\n\n".join(blocks) + "\n"


def _verdict(report: Report) -> str:
    lines = [f"## {code(report.address)}: {report.cause} ({report.confidence})", ""]
    lines += [_prose(report.summary), ""]
    lines += [f"- That is {code(form)}" for form in wording.other_forms(report)]
    lines.append(f"- Reason: {code(report.reason)}")
    lines += [f"- Before: {_prose(says)}" for says in wording.before(report)]
    if wording.needs_action(report):
        lines.append(f"- Whose move: {wording.SIDES[report.side]}")
    if report.catch_all is not None:
        lines.append(f"- Catch-all: {wording.CATCH_ALL[report.catch_all]}")
    return "\n".join(lines)


def _list(title: str, items: Iterable[str], *, numbered: bool = False) -> list[str]:
    """Give a title and a list under it; nothing when there are no items."""
    marked = [f"{number}. {item}" if numbered else f"- {item}" for number, item in enumerate(items, 1)]
    return [f"### {title}", "\n".join(marked)] if marked else []


def _effects(mta: Mta) -> Iterable[str]:
    """Give what each server does, with all that is known of it as a list below."""
    item = ""
    for label, lines in servers.full(mta):
        if label.startswith(" "):
            shown = [code(line, width=_SENTENCE) for line in lines]
            several = "".join(f"\n    - {line}" for line in shown)
            item += f"\n  - {label.strip()}:" + (several if len(shown) > 1 else f" {shown[0]}")
            continue
        if item:
            yield item
        item = f"**{label}** {_prose(lines[0])}"
    yield item


def _broken(violation: Violation) -> str:
    host = f" at {code(violation.host)}" if violation.host else ""
    saw = code(violation.saw, width=_SENTENCE)
    return f"{code(violation.id)} ({inline(wording.terms(violation))}){host}: {saw}"


def _evidence(report: Report) -> list[str]:
    lines = transcript.lookups(report.evidence, width=_COLUMNS)
    for title, talk in transcript.sessions(report.evidence, width=_COLUMNS):
        lines += ["", title, *talk]
    return [*lines, "", f"({transcript.LEGEND})"]


def _origin(report: Report) -> str:
    tool = f"{report.tool.name} {report.tool.version}"
    return (
        f"{code(tool)}, rules {report.tool.rules_version}, rule {code(report.rule)};"
        f" observed {code(report.evidence.began)}, took {wording.seconds(report.timing.total)}"
    )


def _prose(text: str) -> str:
    return inline(text, width=_SENTENCE)
