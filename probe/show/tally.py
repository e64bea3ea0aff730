"""What came of many addresses: the table of causes, the summary in Markdown, rows of CSV, the plan of a batch."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Protocol

from probe.show import spreadsheet
from probe.show.printable import code, inline, safe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from probe.core.model import Report
    from probe.core.tally import Tally, Trouble

_SAYS = 160
"""Characters of a sentence in a table."""
_NAME = 40
"""Characters of a name in a plan."""
_PLANNED = 50
"""Mail hosts that a plan shows; JSON has all of them."""


# --- CSV -------------------------------------------------------------------------------------------------


def csv_header() -> str:
    """Give the first line: the columns of `spreadsheet`."""
    return spreadsheet.header()


def csv_row(report: Report) -> str:
    """Give the line of a result; `age` is how many seconds ago it was observed, empty for one of this run."""
    return spreadsheet.row(report)


# --- the table of causes -----------------------------------------------------------------------------------


def causes(tally: Tally) -> str:
    """Draw the causes for a terminal; empty when there is no result."""
    from probe.show import table  # noqa: PLC0415  # tabulate is slow to import

    return table.listing(_CAUSES, _shares(tally), right=2) + "\n" if tally.done else ""


_CAUSES = ("cause", "addresses", "share", "most frequent reason")


def _shares(tally: Tally) -> list[tuple[str, ...]]:
    return [
        (share.cause, f"{share.count:,}", f"{share.count / tally.done:.1%}", share.reason)
        for share in tally.shares()
    ]


# --- the summary as a document -----------------------------------------------------------------------------


def markdown(tally: Tally, worst: Sequence[Trouble], remarks: Sequence[str]) -> str:
    """Sum up in Markdown: causes, the domains that fail most, the failing addresses as far as they are named.

    `remarks` are plain sentences about the run.
    """
    from probe.show import table  # noqa: PLC0415

    blocks = [
        f"## Sender verification: {tally.done:,} result{'' if tally.done == 1 else 's'}",
        "\n".join(f"- {text}" for text in remarks),
    ]
    if tally.done:
        blocks.append(table.listing(_CAUSES, _shares(tally), right=2, style="pipe"))
    if worst:
        rows = [(code(row.domain), f"{row.failing:,}", row.cause) for row in worst]
        drawn = table.listing(("domain", "failing", "mostly"), rows, right=1, style="pipe")
        blocks += ["### Domains that fail most", drawn]
    if tally.failing:
        shown = [
            (code(row.address), row.cause, code(row.reason), inline(row.says, width=_SAYS))
            for row in tally.failing
        ]
        drawn = table.listing(("address", "cause", "reason", "what is known"), shown, style="pipe")
        rest = tally.failed - len(shown)
        says = "more is" if rest == 1 else "more are"
        more = (
            [f"{rest:,} {says} not named here; the results (`--format csv`) have them all."]
            if rest > 0
            else []
        )
        blocks += ["### Failing addresses", drawn, *more]
    return "\n\n".join(block for block in blocks if block) + "\n"


# --- the plan ----------------------------------------------------------------------------------------------


class _Host(Protocol):
    """One mail host address of a plan; `seconds` from the first to the last connection."""

    provider: str
    name: str
    ip: str
    addresses: int
    connections: int
    seconds: float


class _Plan(Protocol):
    """What a batch would do: see `probe.run.forecast`."""

    @property
    def hosts(self) -> Sequence[_Host]: ...
    @property
    def stored(self) -> int: ...
    @property
    def undeliverable(self) -> int: ...
    @property
    def seconds(self) -> float: ...


def plan(found: _Plan) -> str:
    """Draw what a batch would do, the mail hosts that take longest first."""
    from probe.show import table  # noqa: PLC0415

    longest = sorted(found.hosts, key=lambda host: (-host.seconds, host.name, host.ip))
    body = [
        (
            safe(host.provider, width=_NAME),
            f"{host.addresses:,}",
            f"{host.connections:,}",
            _about(host.seconds),
            f"{safe(host.name, width=_NAME)} [{safe(host.ip)}]",
        )
        for host in longest[:_PLANNED]
    ]
    headers = ("provider", "addresses", "connections", "about", "first mail host")
    lines = [table.listing(headers, body, right=3)] if body else []
    if len(longest) > _PLANNED:
        more = len(longest) - _PLANNED
        lines.append(f"... and {more:,} quicker {'one' if more == 1 else 'ones'}; --json has all of them")
    asked = sum(host.addresses for host in longest)
    connections = sum(host.connections for host in longest)
    lines.append(
        f"addresses: {asked:,}, mail hosts: {len(longest):,}, connections: {connections:,},"
        f" about {_about(found.seconds)} in all"
    )
    if found.stored:
        lines.append(f"answered by the store: {found.stored:,}")
    if found.undeliverable:
        lines.append(f"without a mail host to ask: {found.undeliverable:,}")
    return "\n".join(lines) + "\n"


def _about(lapse: float) -> str:
    """Give a time that is only a guess: `8 s`, `12 min`, `3 h`, `2 days`."""
    for limit, unit, name in ((120, 1, "s"), (7200, 60, "min"), (172800, 3600, "h")):
        if lapse < limit:
            return f"{math.ceil(lapse / unit)} {name}"
    return f"{math.ceil(lapse / 86400)} days"
