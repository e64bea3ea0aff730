"""The check of the checks: in CI a skip fails, and the README's test command is the one that CI runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

SKIPS = {
    "a test": "import pytest\n\ndef test_it() -> None:\n    pytest.skip('no reason')\n",
    "a mark": "import pytest\n\n@pytest.mark.skip(reason='none')\ndef test_it() -> None:\n    pass\n",
    "a module": "import pytest\n\npytest.skip('no reason', allow_module_level=True)\n",
    "a library": "import pytest\n\npytest.importorskip('no_such_library')\n",
}


@pytest.mark.parametrize("what", SKIPS)
@pytest.mark.parametrize(("in_ci", "code"), [("true", 1), ("", 0)])
def test_a_skip_fails_in_ci_and_nowhere_else(tmp_path: Path, what: str, in_ci: str, code: int) -> None:
    (tmp_path / "conftest.py").write_text((ROOT / "tests" / "conftest.py").read_text())
    (tmp_path / "test_skips.py").write_text(SKIPS[what])
    (tmp_path / "test_passes.py").write_text("def test_it() -> None:\n    pass\n")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(tmp_path),
        str(tmp_path),
    ]
    done = subprocess.run(
        command, env=os.environ | {"CI": in_ci}, cwd=tmp_path, capture_output=True, check=False
    )
    assert min(done.returncode, 1) == code, done.stdout.decode()


def test_ci_runs_the_test_command_of_the_readme() -> None:
    script = (ROOT / ".ci" / "run").read_text()
    (line,) = [line for line in script.splitlines() if line.startswith("test_command=")]
    command = line.removeprefix('test_command="').removesuffix('"')
    assert f"\n{command}\n" in (ROOT / "README.md").read_text()
