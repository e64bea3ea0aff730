"""What is kept of one address, for a terminal: newest first, and where it changed.

    user@example.com was asked 3 times:
      2026-11-22 19:04 UTC, 40 minutes ago: firewall-timeout (probable), connect.timeout
        mx1.example.com [203.0.113.15] did not answer on port 25 within 10 s.
        Changed: 3 hours ago it was sender-exists (rcpt.accepted).

Every string of a report passes `printable` before it is wrapped.
"""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from probe.show import wording
from probe.show.printable import safe, visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from probe.core.model import Report

_SENTENCE = 1000
"""Characters of one sentence that are shown."""


def render(reports: Sequence[Report], *, width: int = 80) -> str:
    """Show the reports of one address, of which there is at least one, in lines of about `width` columns."""
    address = visible(reports[0].evidence.address.mailbox)
    lines = [f"{address} was asked {wording.count(len(reports), 'time')}:"]
    for report in reports:
        lines += _wrapped(f"{_when(report)}: {report.cause} ({report.confidence}), {report.reason}", 2, width)
        lines += _wrapped(report.summary, 4, width)
        if changed := wording.changed(report):
            lines += _wrapped(changed, 4, width)
    return "".join(f"{line}\n" for line in lines)


def _when(report: Report) -> str:
    began = report.evidence.began[:16].replace("T", " ")
    return f"{began} UTC, {wording.age(report.stored.age)} ago" if report.stored else f"{began} UTC"


def _wrapped(text: str, indent: int, width: int) -> list[str]:
    margin = " " * indent
    return textwrap.wrap(
        safe(text, width=_SENTENCE),
        width,
        initial_indent=margin,
        subsequent_indent=margin + "  ",
        break_on_hyphens=False,
    )
