"""What all tests share: the rule that in CI a skipped test is a failed one."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from collections.abc import Generator

# One profile for all: no wall-clock deadline, because a busy machine is not a bug.
settings.register_profile("default", deadline=None)
settings.load_profile("default")

IN_CI = os.environ.get("CI", "").lower() not in {"", "0", "false"}


def _not_skipped(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Turn a skip into a failure where everything that a test needs has to be there."""
    if IN_CI and report.skipped:
        report.longrepr = f"skipped in CI, where nothing may be missing: {report.longrepr}"
        report.outcome = "failed"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Look at every test."""
    report = yield
    _not_skipped(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Look at every module, which may skip itself whole."""
    report = yield
    _not_skipped(report)
    return report
