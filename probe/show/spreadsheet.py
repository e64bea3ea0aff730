"""Reports as CSV (RFC 4180), one row each.

Lines end with a line feed and not with CR LF, as the other tools of a pipeline expect; spreadsheets take
both. A spreadsheet runs none of it: see `printable.cell`.
"""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

from probe.show.printable import cell
from probe.show.wording import WHO, decisive

if TYPE_CHECKING:
    from collections.abc import Sequence

    from probe.core.model import Report

COLUMNS = (
    "address",
    "cause",
    "reason",
    "confidence",
    "side",
    "summary",
    "next_step",
    "host",
    "ip",
    "reply",
    "catch_all",
    "seconds",
    "age",
)


def header() -> str:
    """Give the first line: the names of the columns, which are added to and never renamed."""
    return _line(COLUMNS)


def row(report: Report) -> str:
    """Give the line of a report. What is not known is an empty field; `catch_all` is `true` or `false`."""
    host = decisive(report)
    step = report.next_steps[0] if report.next_steps else None
    return _line(
        (
            report.address,
            report.cause,
            report.reason,
            report.confidence,
            report.side,
            report.summary,
            f"{WHO[step.who]}: {step.do}" if step else "",
            host.name if host else "",
            host.ip if host else "",
            (host.reply or "") if host else "",
            "" if report.catch_all is None else str(report.catch_all).lower(),
            f"{report.timing.total:.3f}",
            age_cell(report),
        )
    )


def age_cell(report: Report | None) -> str:
    """Give for how many seconds nobody was asked, where the answer is out of the store; else an empty field."""
    return "" if report is None or report.stored is None else f"{report.stored.age:.0f}"


def _line(fields: Sequence[str]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow([cell(field) for field in fields])
    return line.getvalue()
