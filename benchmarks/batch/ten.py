"""Ten addresses (g): a batch of ten has to be as quick as one address on the command line."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from benchmarks.batch.bench import Row, note
from benchmarks.batch.programs import Sink
from benchmarks.batch.world import World
from benchmarks.measure import PROBE
from benchmarks.nsd import nsd

if TYPE_CHECKING:
    from benchmarks.batch.bench import Bench

TEN = World(addresses=10, domains=10, hosts=10)
DELAY = "50"
"""Milliseconds of the mail hosts for each answer, as over a network."""
LATER = 0.1
"""Goal: seconds that ten may take longer than one."""
TIMES = 3
"""How often a round is made for one of the others: it takes a second."""


def ten(bench: Bench, _: frozenset[str]) -> list[Row]:
    """Measure both in interleaved rounds, both with their store."""
    later, singles = [], []
    note("a batch of ten")
    with Sink(bench.folder, "--delay", DELAY) as sink, nsd(TEN.zone()) as dns_port:
        single = [*PROBE, "--json", *bench.where(sink.port, dns_port), TEN.address(0)]
        batch = bench.batch(TEN, sink.port, dns_port, "--fresh")
        for _round in range(TIMES * bench.rounds):
            singles.append(bench.run(single).wall)
            later.append(bench.run_batch(TEN, batch).wall - singles[-1])
    middle = statistics.median(later)
    measured = f"{middle * 1000:+.0f} ms to {statistics.median(singles) * 1000:.0f} ms"
    what = "a batch of ten / one address"
    return [Row("g", what, f"at most {LATER * 1000:+.0f} ms", measured, middle <= LATER)]
