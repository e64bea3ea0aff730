"""The table of mail hosts, drawn by tabulate.

tabulate takes longer to import than the rest of a view takes to run, so a view imports this module only
when it has more than one host to show.
"""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, NamedTuple

# tabulate is banned elsewhere by ruff's banned-api: this is the one place.
from tabulate import tabulate  # noqa: TID251

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
_SAID = 120
"""Characters of a reply that a row shows; the transcript has all of it."""
_VERDICT_WIDTH = 28
"""Columns that the verdict keeps when names and addresses are long."""
_ADDRESS_WIDTH = 45
"""The longest text of an IPv6 address (RFC 4291 2.2); longer is no address."""
_GAPS = 6 + 3 * 2
"""The column of the preference, which tabulate makes two wider than its title, and two spaces between
columns."""


def hosts(report: Report, *, width: int) -> str:
    """Draw the hosts of a report for a terminal of `width` columns, in the order of the report.

    A long verdict is wrapped inside its column. Host names are cut only when nothing else fits.
    """
    rows = _rows(report)
    addresses = max((len(safe(row.ip, width=_ADDRESS_WIDTH)) for row in rows), default=0)
    names = max((len(safe(row.name)) for row in rows), default=0)
    names = min(names, max(width - _GAPS - addresses - _VERDICT_WIDTH, 16))
    room = max(width - _GAPS - names - addresses, _VERDICT_WIDTH)
    body = [
        (
            row.preference,
            safe(row.name, width=names),
            safe(row.ip, width=_ADDRESS_WIDTH),
            textwrap.fill(_joined(safe, row), room, break_on_hyphens=False),
        )
        for row in rows
    ]
    return _drawn(body, "simple")


def markdown(report: Report) -> str:
    r"""Draw the hosts of a report as a Markdown table.

    Renderers disagree on an escaped pipe inside code inside a table, so a pipe is shown as `\x7c`.
    """
    body = [
        tuple(
            text.replace("|", r"\x7c")
            for text in (row.preference, inline(row.name), inline(row.ip), _joined(inline, row))
        )
        for row in _rows(report)
    ]
    return _drawn(body, "pipe")


def _drawn(body: Sequence[Sequence[str]], style: str) -> str:
    # Without disable_numparse a preference or a reply that is a number would be rewritten.
    return tabulate(
        body, _HEADERS, tablefmt=style, disable_numparse=True, colalign=("right", "left", "left", "left")
    )


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
