"""Memory (e): of probes that wait for a greeting that never comes, and of how many addresses there are."""

from __future__ import annotations

import subprocess
import time
from typing import TYPE_CHECKING

from benchmarks.batch.bench import Failed, Row, loops, note, resident
from benchmarks.batch.programs import Sink
from benchmarks.batch.world import World
from benchmarks.nsd import nsd

if TYPE_CHECKING:
    from benchmarks.batch.bench import Bench

WAITING = (5_000, 10_000)
EACH = 8.0
"""Goal: KiB for each waiting probe, at the smaller number."""
WHOLE = 120.0
"""Goal: MiB for the whole process, at the larger number."""
FEW, MANY = World(50_000, 1_000, 1_000), World(100_000, 2_000, 2_000)
MORE = 5.0
"""Goal: MiB that the larger number of addresses may take beyond the smaller, which is 64 octets each."""
PATIENT = ("--timeout", "600", "--reply-timeout", "600", "--gap", "0", "--no-store")
NO_MORE = 15.0
"""Seconds without a further connection after which no more are to come."""
LOOK = 0.2
SETTLE = 1.0
"""Seconds after the last connection, in which whoever is still at work comes to rest."""


def memory(bench: Bench, _: frozenset[str]) -> list[Row]:
    """Measure all of it once: memory hardly differs from run to run."""
    return [*_of_waiting(bench), _of_addresses(bench)]


def _of_waiting(bench: Bench) -> list[Row]:
    rows = []
    for loop in loops():
        _, alone = _waiting(bench, 1, loop)
        for count in WAITING:
            waiting, whole = _waiting(bench, count, loop)
            each = (whole - alone) * 1024 / waiting
            met = each <= EACH if count == min(WAITING) else whole <= WHOLE
            goal = f"at most {EACH:g} KiB each" if count == min(WAITING) else f"under {WHOLE:g} MiB"
            measured = f"{each:.2f} KiB each, {whole:.0f} MiB in all ({alone:.0f} for one)"
            if waiting < count:
                measured += f", but only {waiting:,} wait: it may not open enough files, or is too slow"
            rows.append(Row("e", f"{count:,} waiting, {loop}", goal, measured, met and waiting == count))
    return rows


def _waiting(bench: Bench, count: int, loop: str) -> tuple[int, float]:
    """Let so many probes wait for a greeting; gives how many do, and the resident memory then, in MiB."""
    note(f"memory: {count:,} waiting on {loop}")
    world = World(count, count, count)
    # All are given as many places, so that one and many differ by the probes alone.
    options = (*PATIENT, "--concurrency", str(max(WAITING)))
    with (
        Sink(bench.folder, "--mute") as sink,
        nsd(world.zone()) as dns_port,
        (bench.folder / "errors").open("wb") as errors,
        subprocess.Popen(
            bench.batch(world, sink.port, dns_port, *options),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            env=bench.environment(loop),
        ) as process,
    ):
        try:
            waiting = _most_that_wait(sink, count)
            time.sleep(SETTLE)
            if not waiting or not (memory := resident(process.pid)):
                said = (bench.folder / "errors").read_text(encoding="utf-8", errors="replace")[-500:]
                raise Failed(f"{waiting} of {count} probes wait: {said}")
            return waiting, memory
        finally:
            process.kill()


def _most_that_wait(sink: Sink, count: int) -> int:
    """Wait until so many connections are open, or no more come; gives how many are."""
    most, since = 0, time.monotonic()
    while most < count and time.monotonic() - since < NO_MORE:
        if (seen := sink.total().open) > most:
            most, since = seen, time.monotonic()
        time.sleep(LOOK)
    return most


def _of_addresses(bench: Bench) -> Row:
    with Sink(bench.folder) as sink, nsd(MANY.zone()) as dns_port:
        peaks = []
        for world in (FEW, MANY):
            note(f"memory: {world.addresses:,} addresses")
            command = bench.batch(world, sink.port, dns_port, "--gap", "0", "--no-store")
            peaks.append(bench.run_batch(world, command).peak)
    few, many = peaks
    what = f"peak at {MANY.addresses:,} addresses / at {FEW.addresses:,}"
    return Row("e", what, f"at most {MORE:g} MiB more", f"{few:.1f} and {many:.1f} MiB", many - few <= MORE)
