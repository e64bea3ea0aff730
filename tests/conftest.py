"""What all tests share: a store of their own, and the rule that in CI a skipped test is a failed one."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

# One profile for all: no wall-clock deadline, because a busy machine is not a bug.
settings.register_profile("default", deadline=None)
settings.load_profile("default")

# No test touches the store of whoever runs it, in this process or one that it starts: they all find this one. The
# other variable is for the default place of the store.
_STATE = tempfile.TemporaryDirectory(prefix="probe-sender-tests-")
STORE = Path(_STATE.name, "store.sqlite3")
os.environ["PROBE_SENDER_STORE"] = str(STORE)
os.environ["XDG_STATE_HOME"] = _STATE.name
Path(_STATE.name).chmod(0o777)  # some tests run the program as nobody


@pytest.fixture(autouse=True)
def _no_memory() -> Iterator[None]:
    """Begin each test with nothing known: what another one has asked is no business of this one."""
    yield
    for name in (STORE, Path(f"{STORE}-wal"), Path(f"{STORE}-shm")):
        name.unlink(missing_ok=True)


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
