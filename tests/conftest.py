"""What all tests share: the rule that in CI a skipped test is a failed one."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from collections.abc import Iterator

# One profile for all: no wall-clock deadline, because a busy machine is not a bug.
settings.register_profile("default", deadline=None)
settings.load_profile("default")

IN_CI = os.environ.get("CI", "").lower() not in {"", "0", "false"}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Iterator[None]:
    """Turn a skip into a failure where everything that a test needs has to be there."""
    report: pytest.TestReport = yield  # type: ignore[assignment]  # pluggy sends the result of the inner hooks
    if IN_CI and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped in CI, where nothing may be missing: {report.longrepr}"
    return report  # type: ignore[return-value]  # as above
