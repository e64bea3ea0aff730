"""Wall time of what needs no network, as a ratio to `python -c pass`: `python -m benchmarks.startup [ROUNDS]`."""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.measure import PROBE, PYTHON, compare, line


def main() -> int:
    """Measure and print; exit code 1 when a goal is missed."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    evidence = (
        Path(__file__).resolve().parent.parent / "fixtures" / "recorded" / "two-hosts" / "evidence.json"
    )
    base = [PYTHON, "-c", "pass"]
    light = compare(base, {"--help": [*PROBE, "--help"], "--version": [*PROBE, "--version"]}, rounds)
    exits = frozenset(range(10))
    heavy = compare(
        base,
        {
            "explain FILE": [*PROBE, "explain", str(evidence)],
            "explain WORD": [*PROBE, "explain", "rcpt.greylisted"],
            "schema": [*PROBE, "schema"],
        },
        rounds,
        exits,
    )
    met = [line(name, figures, 3.0) for name, figures in light.items()]
    met += [line(name, figures, 8.0) for name, figures in heavy.items()]
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
