"""Measuring whole commands side by side: interleaved rounds, medians, ratios of the same round."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
from pathlib import Path

PYTHON = sys.executable
PROBE = [str(Path(PYTHON).with_name("probe-sender"))]
"""The installed command, beside the interpreter that runs the benchmark."""


_STATE = tempfile.TemporaryDirectory(prefix="probe-sender-benchmarks-")
os.environ["PROBE_SENDER_STORE"] = str(Path(_STATE.name, "store.sqlite3"))  # never that of whoever measures
os.environ["XDG_STATE_HOME"] = _STATE.name


def environment() -> dict[str, str]:
    """Give our environment to a command, but let it keep bytecode: an installed program has it too."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def wall(command: Sequence[str], allowed: frozenset[int] = frozenset({0})) -> float:
    """Run a command and give its wall time in seconds; an exit code that is not allowed ends the benchmark."""
    began = time.perf_counter()
    done = subprocess.run(command, capture_output=True, check=False, env=environment())
    took = time.perf_counter() - began
    if done.returncode not in allowed:
        sys.exit(
            f"{' '.join(command)}: exit code {done.returncode}\n{done.stderr.decode()}{done.stdout.decode()}"
        )
    return took


def compare(
    base: Sequence[str],
    others: dict[str, Sequence[str]],
    rounds: int,
    allowed: frozenset[int] = frozenset({0}),
) -> dict[str, tuple[float, float, float]]:
    """Interleave the commands; give for each name: median seconds, median of the base, median ratio."""
    wall(base, allowed)
    for command in others.values():
        wall(command, allowed)
    times: dict[str, list[float]] = {name: [] for name in others}
    bases: list[float] = []
    for _ in range(rounds):
        bases.append(wall(base, allowed))
        for name, command in others.items():
            times[name].append(wall(command, allowed))
    return {
        name: (
            statistics.median(taken),
            statistics.median(bases),
            statistics.median(t / b for t, b in zip(taken, bases, strict=True)),
        )
        for name, taken in times.items()
    }


def line(name: str, figures: tuple[float, float, float], goal: float) -> bool:
    """Print one result against its goal; True when it is met."""
    own, base, ratio = figures
    met = ratio <= goal
    figure = f"{own * 1000:8.1f} ms  base {base * 1000:7.1f} ms  ratio {ratio:5.2f}"
    print(f"{name:44} {figure}  goal {goal:g}  {'ok' if met else 'MISSED'}")
    return met
