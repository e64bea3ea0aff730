"""The check of the checks: in CI a skip fails, and the README's test command is the one that CI runs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

SKIPS = {
    "test": "import pytest\n\ndef test_it() -> None:\n    pytest.skip('no reason')\n",
    "mark": "import pytest\n\n@pytest.mark.skip(reason='none')\ndef test_it() -> None:\n    pass\n",
    "module": "import pytest\n\npytest.skip('no reason', allow_module_level=True)\n",
    "library": "import pytest\n\npytest.importorskip('no_such_library')\n",
}


@pytest.mark.parametrize(
    ("in_ci", "code", "said"), [("true", 1, {"FAILED", "ERROR"}), ("", 0, {"SKIPPED"})], ids=["ci", "laptop"]
)
def test_a_skip_fails_in_ci_and_nowhere_else(tmp_path: Path, in_ci: str, code: int, said: set[str]) -> None:
    (tmp_path / "conftest.py").write_text((ROOT / "tests" / "conftest.py").read_text())
    (tmp_path / "test_passes.py").write_text("def test_it() -> None:\n    pass\n")
    for what, text in SKIPS.items():
        (tmp_path / f"test_{what}.py").write_text(text)
    command = [
        *(sys.executable, "-m", "pytest", "-rfEs", "-p", "no:cacheprovider"),
        *("--continue-on-collection-errors", f"--rootdir={tmp_path}", str(tmp_path)),
    ]
    done = subprocess.run(
        command, env=os.environ | {"CI": in_ci}, cwd=tmp_path, capture_output=True, check=False
    )
    shown = done.stdout.decode()
    found = re.findall(r"^(FAILED|ERROR|SKIPPED) (?:\[1\] )?test_(\w+)\.py", shown, re.MULTILINE)
    assert sorted(what for _, what in found) == sorted(SKIPS), shown
    assert {word for word, _ in found} == said, shown
    assert min(done.returncode, 1) == code, shown


def test_ci_runs_the_test_command_of_the_readme() -> None:
    script = (ROOT / ".ci" / "run").read_text()
    (line,) = [line for line in script.splitlines() if line.startswith("test_command=")]
    command = line.removeprefix('test_command="').removesuffix('"')
    assert f"\n{command}\n" in (ROOT / "README.md").read_text()
