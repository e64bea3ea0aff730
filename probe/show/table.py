"""The tables that tabulate draws: of mail hosts, and of a path in Markdown.

tabulate takes longer to import than the rest of a view takes to run, so a view imports this module only
when it has such a table to show.
"""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, NamedTuple

# Banned everywhere else, see pyproject.toml: this is the one place.
from tabulate import tabulate

from probe.show import wording
from probe.show.printable import inline, safe

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from probe.core.model import Report


class _Row(NamedTuple):
    """One mail host address; all but the preference is as the report has it, not yet safe."""

    preference: str
    name: str
    ip: str
    verdict: str
    said: str | None


_HEADERS = ("Pref", "Host", "Address", "Verdict")
_STACKED = ("Pref", "Host", "Verdict")
_SAID = 120
"""Characters of a reply that a row shows; the transcript has all of it."""
_VERDICT_WIDTH = 28
"""Columns that the verdict keeps when names and addresses are long."""
_ADDRESS_WIDTH = 45
"""The longest text of an IPv6 address (RFC 4291 2.2); longer is no address."""
_PREFERENCE = 6
"""Columns of the preference, which tabulate makes two wider than its title."""
_GAP = 2
"""Spaces between columns."""


def hosts(report: Report, *, width: int) -> str:
    """Draw the hosts of a report for a terminal of `width` columns, in the order of the report.

    A long verdict is wrapped inside its column. Where name and address do not fit side by side, as with
    IPv6, the address stands under the name. Names are cut only when nothing else fits.
    """
    rows = _rows(report)
    addresses = max((len(safe(row.ip, width=_ADDRESS_WIDTH)) for row in rows), default=0)
    names = max((len(safe(row.name)) for row in rows), default=0)
    room = width - _PREFERENCE - 3 * _GAP - names - addresses
    if room >= _VERDICT_WIDTH:
        body = [
            (row.preference, safe(row.name), safe(row.ip, width=_ADDRESS_WIDTH), _filled(row, room))
            for row in rows
        ]
        return _drawn(body, _HEADERS, "simple")
    room = width - _PREFERENCE - 2 * _GAP
    column = max(addresses, min(names, room - _VERDICT_WIDTH))
    stacked = [
        (
            row.preference,
            f"{safe(row.name, width=column)}\n{safe(row.ip, width=_ADDRESS_WIDTH)}",
            _filled(row, max(room - column, _NARROWEST)),
        )
        for row in rows
    ]
    return _drawn(stacked, _STACKED, "simple")


_NARROWEST = 12
"""Columns of a verdict below which wrapping only makes things worse."""


def _filled(row: _Row, room: int) -> str:
    return textwrap.fill(_joined(safe, row), room, break_on_hyphens=False)


def markdown(report: Report) -> str:
    r"""Draw the hosts of a report as a Markdown table.

    Renderers disagree on an escaped pipe inside code inside a table, so a pipe is shown as `\x7c`.
    """
    body = [
        _unpiped(row.preference, inline(row.name), inline(row.ip), _joined(inline, row))
        for row in _rows(report)
    ]
    return _drawn(body, _HEADERS, "pipe")


def path(rows: Sequence[Sequence[str]]) -> str:
    """Draw a path as a Markdown table, as `markdown` does; the first row is the title, none is safe yet."""
    title, *body = (_unpiped(*(inline(text, width=_ADDRESS_WIDTH) for text in row)) for row in rows)
    return _drawn(body, title, "pipe")


def listing(
    headers: Sequence[str], rows: Sequence[Sequence[str]], *, right: int = 0, style: str = "simple"
) -> str:
    """Draw rows of safe cells, the first column left and the `right` next ones right aligned; or as a `pipe` table."""
    align = ["left", *["right"] * right, *["left"] * (len(headers) - 1 - right)]
    body = [_unpiped(*row) for row in rows] if style == "pipe" else rows
    return tabulate(body, headers, tablefmt=style, disable_numparse=True, colalign=align if rows else None)


def _unpiped(*cells: str) -> tuple[str, ...]:
    return tuple(cell.replace("|", r"\x7c") for cell in cells)


def _drawn(body: Sequence[Sequence[str]], headers: Sequence[str], style: str) -> str:
    align = ("right", *["left"] * (len(headers) - 1))
    # Without disable_numparse a preference or a reply that is a number would be rewritten.
    return tabulate(body, headers, tablefmt=style, disable_numparse=True, colalign=align)


def _joined(show: Callable[..., str], row: _Row) -> str:
    verdict = show(row.verdict)
    return f"{verdict}: {show(row.said, width=_SAID)}" if row.said else verdict


def _rows(report: Report) -> list[_Row]:
    told = [
        _Row(_preference(host.preference), host.name, host.ip, f"{host.cause}, {host.reason}", host.reply)
        for host in report.hosts
    ]
    skipped = [
        _Row(
            _preference(host.preference),
            host.name,
            host.ip,
            f"not asked: {wording.SKIPS[host.skipped]}",
            None,
        )
        for host in report.evidence.hosts
        if host.skipped is not None and wording.is_untold(report, host)
    ]
    return told + skipped


def _preference(number: int | None) -> str:
    return "-" if number is None else str(number)
