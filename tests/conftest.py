"""What all tests share: a store of their own, and the rule that in CI a skipped test is a failed one."""

from __future__ import annotations

import gc
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

IN_CI = os.environ.get("CI", "").lower() not in {"", "0", "false"}

# No wall-clock deadline, because a busy machine is not a bug. A quarter of the examples at a desk, where a run is
# soon followed by another one with other examples; CI, where it is the last one, takes them all. By hand:
# `--hypothesis-profile full`. A test that wants more or fewer than others says how many times as many
# (`examples()` of tests/support/arbitrary.py).
settings.register_profile("full", deadline=None, max_examples=100)
settings.register_profile("fast", deadline=None, max_examples=25)
settings.load_profile("full" if IN_CI else "fast")


# No test touches the store of whoever runs it, in this process or one that it starts: they all find this one. The
# other variable is for the default place of the store.
_STATE = tempfile.TemporaryDirectory(prefix="probe-sender-tests-")
STORE = Path(_STATE.name, "store.sqlite3")
os.environ["PROBE_SENDER_STORE"] = str(STORE)
os.environ["XDG_STATE_HOME"] = _STATE.name
Path(_STATE.name).chmod(0o777)  # some tests run the program as nobody

# The program is started hundreds of times, and six workers read the same tests: none of them compiles again what
# another one has compiled, whatever the environment says of files of bytecode.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False


@pytest.fixture(autouse=True)
def _no_memory() -> Iterator[None]:
    """Begin each test with nothing known: what another one has asked is no business of this one."""
    yield
    for name in (STORE, Path(f"{STORE}-wal"), Path(f"{STORE}-shm")):
        name.unlink(missing_ok=True)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Look for no garbage among what is collected: all of it stays, and the looking takes as long as the rest."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


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
