"""What to do next: the steps of a reason with the values of this case filled in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from probe.core.model import NextStep
from probe.core.sentences import fill

if TYPE_CHECKING:
    from probe.core.reasons import ReasonRow


def next_steps(row: ReasonRow, fields: dict[str, str]) -> tuple[NextStep, ...]:
    """Give the steps in the order they should be taken."""
    return tuple(NextStep(who, fill(what, fields)) for who, what in row.steps)
