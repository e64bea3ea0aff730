"""End to end (d): every address of another domain and mail host, against dnspython's resolver with aiosmtplib."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

import msgspec

from benchmarks.batch.bench import Failed, Row, note
from benchmarks.batch.naive import Took
from benchmarks.batch.programs import Sink
from benchmarks.batch.world import World
from benchmarks.measure import PYTHON
from benchmarks.nsd import nsd

if TYPE_CHECKING:
    from benchmarks.batch.bench import Bench

OURS = World(addresses=20_000, domains=20_000, hosts=20_000)
NAIVE = World(addresses=5_000, domains=20_000, hosts=20_000)
"""The first quarter of the same list: its rate is the same, and all of it would take minutes."""
FASTER = 3.5
"""Goal: our rate as a ratio to the other's of the same round."""


def end_to_end(bench: Bench, _: frozenset[str]) -> list[Row]:
    """Measure both in interleaved rounds."""
    rates: list[float] = []
    cheaper: list[float] = []
    ratios: list[float] = []
    with Sink(bench.folder) as sink, nsd(OURS.zone()) as dns_port:
        command = bench.batch(OURS, sink.port, dns_port, "--no-store")
        for number in range(bench.rounds):
            note(f"end to end: round {number + 1} of {bench.rounds}")
            other = _naive(bench, sink.port, dns_port)
            own = bench.run_batch(OURS, command)
            rates.append(OURS.addresses / own.wall)
            ratios.append(rates[-1] / (NAIVE.addresses / other.wall))
            cheaper.append((other.cpu / NAIVE.addresses) / (own.cpu / OURS.addresses))
    ratio = statistics.median(ratios)
    measured = (
        f"{ratio:.2f} times [{min(ratios):.2f}-{max(ratios):.2f}], {statistics.median(rates):.0f}/s,"
        f" {statistics.median(cheaper):.2f} times less CPU"
    )
    what = "end to end, 20,000 domains / resolver and aiosmtplib"
    return [Row("d", what, f"at least {FASTER:g} times the rate", measured, ratio >= FASTER)]


def _naive(bench: Bench, port: int, dns_port: int) -> Took:
    numbers = (port, dns_port, NAIVE.domains, NAIVE.hosts, NAIVE.addresses)
    command = [PYTHON, "-m", "benchmarks.batch.naive", "resolve", *map(str, numbers)]
    took = msgspec.json.decode(bench.run(command).output.read_bytes(), type=Took)
    if took.failed:
        raise Failed(f"{took.failed} callouts of the resolver and aiosmtplib failed")
    return took
