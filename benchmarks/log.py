"""`probe-sender log` beside grep and exigrep: `python -m benchmarks.log [SIZE [ROUNDS]]`, default 1G and 5.

The file is that of `make_log`, one line in a hundred about sender verification. Each round runs every command once
on the same file, read into the page cache before; printed are medians, our peak memory, and the ratios of the medians
against the goals. exigrep, of which a round takes long, runs once. Exit code 1 when a goal is missed.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from benchmarks import make_log
from benchmarks.measure import PROBE, environment

if TYPE_CHECKING:
    from collections.abc import Sequence

WORDS = "sender verify"
MEMORY_GOAL = 150.0
"""MiB."""
GREP_GOAL = 2.0
"""At most so many times the time of `grep -c` (and of gzip, where the file is compressed)."""
EXIGREP_GOAL = 10.0
"""At least so many times as fast as exigrep."""


class Run(NamedTuple):
    """Wall time in seconds, peak memory in MiB."""

    seconds: float
    memory: float


def measured(command: Sequence[str]) -> Run:
    """Run a command; exit codes 0 and 1 are results (grep and we both have them).

    Its output is read and thrown away: grep stops at the first line when it sees that it goes to /dev/null.
    """
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment())
    assert process.stdout is not None
    while process.stdout.read(1 << 20):
        pass
    _, status, usage = os.wait4(process.pid, 0)
    taken = time.perf_counter() - began
    process.stdout.close()
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in {0, 1}:
        sys.exit(f"{' '.join(command)}: exit code {process.returncode}")
    return Run(taken, usage.ru_maxrss / 1024)


def rounds_of(commands: dict[str, Sequence[str]], rounds: int) -> dict[str, Run]:
    """Interleave the commands; the medians of each."""
    runs: dict[str, list[Run]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            runs[name].append(measured(command))
    return {
        name: Run(statistics.median(run.seconds for run in done), max(run.memory for run in done))
        for name, done in runs.items()
    }


def told(name: str, run: Run) -> None:
    """Print a time."""
    print(f"{name:46} {run.seconds:8.2f} s  {run.memory:7.1f} MiB")


def verdict(what: str, figure: float, goal: float, *, most: bool) -> bool:
    """Print a figure against its goal; whether it is met."""
    met = figure <= goal if most else figure >= goal
    print(
        f"{what:46} {figure:8.2f}    goal {'at most' if most else 'at least'} {goal:g}  {'ok' if met else 'MISSED'}"
    )
    return met


def main(argv: list[str]) -> int:
    """Make the file, run the commands, print."""
    size, rounds = (argv[0] if argv else "1G"), (int(argv[1]) if len(argv) > 1 else 5)
    with tempfile.TemporaryDirectory() as folder:
        plain = str(Path(folder, "mainlog"))
        if code := make_log.main([plain, size]):
            return code
        with Path(f"{plain}.gz").open("wb") as packed:
            subprocess.run(["gzip", "-c", plain], stdout=packed, check=True)
        lines = Path(plain).stat().st_size
        print(f"{lines / 2**20:.0f} MiB, {Path(f'{plain}.gz').stat().st_size / 2**20:.0f} MiB with gzip")
        ours = [*PROBE, "log"]
        runs = rounds_of(
            {
                "probe-sender log FILE": [*ours, plain],
                f"grep -c '{WORDS}' FILE": ["grep", "-c", WORDS, plain],
                "probe-sender log FILE.gz": [*ours, f"{plain}.gz"],
                f"gzip -dc FILE.gz | grep -c '{WORDS}'": [
                    "sh",
                    "-c",
                    f"gzip -dc {plain}.gz | grep -c '{WORDS}'",
                ],
            },
            rounds,
        )
        for name, run in runs.items():
            told(name, run)
        own, grep, own_gz, grep_gz = (run.seconds for run in runs.values())
        memory = max(run.memory for name, run in runs.items() if name.startswith("probe-sender"))
        met = [
            verdict("time / time of grep", own / grep, GREP_GOAL, most=True),
            verdict("time / time of gzip and grep, compressed", own_gz / grep_gz, GREP_GOAL, most=True),
            verdict("peak memory, MiB", memory, MEMORY_GOAL, most=True),
        ]
        if shutil.which("exigrep"):
            exigrep = measured(["exigrep", WORDS, plain])
            told(f"exigrep '{WORDS}' FILE", exigrep)
            met.append(verdict("times as fast as exigrep", exigrep.seconds / own, EXIGREP_GOAL, most=False))
        else:
            print("exigrep is not installed (Debian: exim4-base), and was not measured")
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
