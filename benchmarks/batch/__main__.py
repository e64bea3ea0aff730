"""How much `probe-sender batch` costs: `python -m benchmarks.batch [ROUNDS] [--only a,b,...]`, with root for f.

On loopback, against a mail sink of our own and NSD, in interleaved rounds (5), of which medians count:

    a  CPU of a callout with a connection of its own, against a C client
    b  the same with 50 addresses over one connection
    c  the same of a bare aiosmtplib loop, against ours
    d  20,000 domains end to end, against dnspython's resolver with aiosmtplib
    e  memory: of waiting probes, and of many addresses
    f  dead mail hosts are learned once (as root: it builds network namespaces)
    g  a batch of ten is as quick as one address
    h  what the store costs
    i  100,000 addresses: none lost, none doubled, memory flat, politeness kept

Prints the table of the goals; exit code 1 when one is missed, or could not be measured.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.batch.bench import Bench, Failed, Row
from benchmarks.batch.big import big
from benchmarks.batch.callouts import callouts
from benchmarks.batch.dead import dead_hosts
from benchmarks.batch.endtoend import end_to_end
from benchmarks.batch.memory import memory
from benchmarks.batch.programs import NoCompiler
from benchmarks.batch.store import store
from benchmarks.batch.ten import ten
from benchmarks.nsd import NsdError

if TYPE_CHECKING:
    from collections.abc import Callable

PARTS: dict[str, Callable[[Bench, frozenset[str]], list[Row]]] = {
    "abc": callouts,
    "d": end_to_end,
    "e": memory,
    "f": dead_hosts,
    "g": ten,
    "h": store,
    "i": big,
}


def main() -> int:
    """Measure what is wanted, and print; exit code 1 when a goal is missed."""
    assert __doc__
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.batch",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "rounds", nargs="?", type=int, default=5, metavar="ROUNDS", help="how many (default 5)"
    )
    parser.add_argument("--only", default="".join(PARTS), metavar="a,b,...", help="these parts alone")
    args = parser.parse_args()
    wanted = frozenset(args.only.replace(",", ""))
    if unknown := wanted - frozenset("".join(PARTS)):
        parser.error(f"--only: there is no part {', '.join(sorted(unknown))}")
    if args.rounds < 1:
        parser.error("ROUNDS: at least one")
    rows = []
    with tempfile.TemporaryDirectory(prefix="probe-batch-") as folder:
        bench = Bench(Path(folder), args.rounds)
        for letters, measure in PARTS.items():
            if parts := wanted & frozenset(letters):
                try:
                    rows += measure(bench, parts)
                except (Failed, NoCompiler, NsdError) as why:
                    rows.append(
                        Row(",".join(sorted(parts)), measure.__name__, "", f"not measured: {why}", met=False)
                    )
    return _print(rows)


def _print(rows: list[Row]) -> int:
    head = Row("", "what", "goal", "measured", met=True)
    what, goal = (
        max(len(text) for text in column)
        for column in zip(*((row.what, row.goal) for row in [head, *rows]), strict=True)
    )
    print(f"{'':15}{head.what:{what}}  {head.goal:{goal}}  {head.measured}")
    for row in rows:
        verdict = "ok" if row.met else "MISSED"
        print(f"{row.part:5}  {verdict:6}  {row.what:{what}}  {row.goal:{goal}}  {row.measured}")
    return 0 if all(row.met for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
