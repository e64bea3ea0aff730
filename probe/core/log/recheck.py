"""What a probe of today says about a failure that a log shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from probe.core.log.report import Now
from probe.core.model import Cause

if TYPE_CHECKING:
    from probe.core.log.report import Group
    from probe.core.model import Report


def compare(group: Group, report: Report) -> Now:
    """Tell whether it is still so. What the log left open and the probe names is the same failure, told better."""
    if report.cause is Cause.SENDER_EXISTS:
        return Now.FIXED
    if report.cause is Cause.INCONCLUSIVE:
        return Now.UNTOLD
    if report.cause is group.cause or group.cause is Cause.INCONCLUSIVE:
        return Now.STILL_SO
    return Now.DIFFERENT
