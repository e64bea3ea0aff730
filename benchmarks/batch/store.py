"""The store (h): what it costs to keep a result."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from benchmarks.batch.bench import Row, note
from benchmarks.batch.callouts import TOGETHER
from benchmarks.batch.programs import Sink
from benchmarks.nsd import nsd

if TYPE_CHECKING:
    from benchmarks.batch.bench import Bench

MOST = 45.0
"""Goal: microseconds of CPU for one result."""


def store(bench: Bench, _: frozenset[str]) -> list[Row]:
    """Measure with a new store and without one, in interleaved rounds; many addresses share each connection."""
    differences = []
    with Sink(bench.folder) as sink, nsd(TOGETHER.zone()) as dns_port:
        for number in range(bench.rounds):
            note(f"store: round {number + 1} of {bench.rounds}")
            # Not in `UNHURRIED`: whether there is a store is what differs here.
            options = ("--gap", "0", "--per-day", "1000000")
            kept = ("--store", str(bench.folder / f"store-{number}"))
            without = bench.batch(TOGETHER, sink.port, dns_port, *options, "--no-store")
            with_it = bench.batch(TOGETHER, sink.port, dns_port, *options, *kept)
            base = bench.run_batch(TOGETHER, without).cpu
            differences.append((bench.run_batch(TOGETHER, with_it).cpu - base) / TOGETHER.addresses * 1e6)
            for file in bench.folder.glob(f"store-{number}*"):
                file.unlink()
    middle = statistics.median(differences)
    measured = f"{middle:.0f} us [{min(differences):.0f}-{max(differences):.0f}]"
    return [Row("h", "CPU of the store for one result", f"at most {MOST:g} us", measured, middle <= MOST)]
