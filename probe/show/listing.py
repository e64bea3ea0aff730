"""What `probe-sender audit` says of a list, for a terminal and for a ticket. All of it passes through `printable`."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from probe.core.exemption.listing import Finding
from probe.show.printable import code, inline, safe
from probe.show.wording import count

if TYPE_CHECKING:
    from probe.core.exemption.listing import ListEntry, ListReport

_NEEDED = {True: "needed", False: "not needed", None: "not known"}
_COLOURS = {True: "32", False: "33", None: "2"}
_COLUMN = max(map(len, _NEEDED.values())) + 2
_FINDING = max(map(len, Finding)) + 2
_NARROWEST = 60
_SENTENCE = 600
_ENTRY = 120
"""Characters of an entry that are shown; one of a list that is read as such has fewer."""


def render(report: ListReport, *, color: bool = False, width: int = 80) -> str:
    """Show every entry with what was found, and what it comes to in the last line."""
    width = max(width, _NARROWEST)
    lines: list[str] = []
    for entry in report.entries:
        needed = f"{_NEEDED[entry.needed]:<{_COLUMN}}"
        if color:
            needed = f"\x1b[{_COLOURS[entry.needed]}m{needed}\x1b[0m"
        lines.append(
            f"{needed}{entry.finding:<{_FINDING}}line {entry.line}: {safe(entry.entry, width=_ENTRY)}"
        )
        if entry.says:
            lines += textwrap.wrap(
                safe(entry.says, width=_SENTENCE),
                width,
                initial_indent="    ",
                subsequent_indent="    ",
                break_on_hyphens=False,
            )
    lines += [""] * bool(lines) + [summary(report)]
    return "".join(f"{line}\n" for line in lines)


def quiet(report: ListReport) -> str:
    """Show one line for each entry that something is to be done about: line, entry, finding, needed."""
    return "".join(
        "\t".join((str(entry.line), safe(entry.entry, width=_ENTRY), entry.finding, _NEEDED[entry.needed]))
        + "\n"
        for entry in report.entries
        if _is_remarkable(entry)
    )


def markdown(report: ListReport) -> str:
    """Show the list for a ticket, as CommonMark."""
    blocks = [f"## {inline(summary(report))}"]
    items = [
        f"- line {entry.line}, {code(entry.entry, width=_ENTRY)}: **{_NEEDED[entry.needed]}**, {code(entry.finding)}"
        + (f": {inline(entry.says, width=_SENTENCE)}" if entry.says else "")
        for entry in report.entries
    ]
    return "\n\n".join([*blocks, *(["\n".join(items)] if items else [])]) + "\n"


def summary(report: ListReport) -> str:
    """Say in one line what the list comes to."""
    total = len(report.entries)
    if not total:
        return "the list holds no entry"
    needed = [entry.needed for entry in report.entries]
    told = ", ".join(f"{needed.count(value)} {word}" for value, word in _NEEDED.items())
    remarkable = sum(map(_is_remarkable, report.entries))
    return f"{count(total, 'entry', 'entries')}: {told}; {remarkable} to look at"


def _is_remarkable(entry: ListEntry) -> bool:
    return entry.needed is False or entry.finding not in {Finding.OK, Finding.UNSEEN, Finding.NEGATED}
