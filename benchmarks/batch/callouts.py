"""CPU of one callout (a, b, c): ours, a bare aiosmtplib loop, and the C client, in interleaved rounds.

There are few domains for many addresses, and each name is looked up once: what is measured is SMTP, and all that is
recorded, judged and written of it.
"""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

import msgspec

from benchmarks.batch.bench import Failed, Row, loops, note
from benchmarks.batch.naive import Took
from benchmarks.batch.programs import Sink, build
from benchmarks.batch.world import FIRST_HOST, World
from benchmarks.measure import PYTHON
from benchmarks.nsd import nsd

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.batch.bench import Bench

HOSTS = 200
ALONE = World(addresses=20_000, domains=200, hosts=HOSTS)
"""For one connection per address; 400 domains of 50 addresses share the connections of the other one."""
TOGETHER = World(addresses=20_000, domains=400, hosts=HOSTS)
NAIVE = World(addresses=10_000, domains=200, hosts=HOSTS)
CLIENT = 40_000
"""Callouts of the C client, which is so fast that fewer would be over before they can be measured."""
AT_ONCE = 200
UNHURRIED = ("--gap", "0", "--per-host", "50", "--per-provider", "1000", "--per-day", "1000000", "--no-store")
"""No politeness: it is not what is measured here."""
EACH, OVER_ONE = "one connection each", "50 over one connection"
MOST = {
    (EACH, "asyncio"): 5.0,
    (EACH, "uvloop"): 3.5,
    (OVER_ONE, "asyncio"): 1.5,
    (OVER_ONE, "uvloop"): 1.5,
}
"""Goals: CPU of an address, as a ratio to the sequential C client's of the same round."""
CHEAPER = 2.0
"""Goal: how many times our CPU the bare aiosmtplib loop takes, on the same event loop."""


def callouts(bench: Bench, parts: frozenset[str]) -> list[Row]:
    """Measure the parts that are wanted; gives a row for each goal."""
    shared: list[int] = []
    with Sink(bench.folder) as sink, nsd(TOGETHER.zone()) as dns_port:
        variants = _variants(bench, sink, dns_port, parts)
        spent: dict[str, list[float]] = {name: [] for name in variants}
        for number in range(bench.rounds):
            note(f"callouts: round {number + 1} of {bench.rounds}")
            for name, variant in variants.items():
                before = sink.total().connections
                spent[name].append(variant())
                if name.startswith(OVER_ONE):
                    shared.append(sink.total().connections - before)
    base = spent["C client, sequential"]
    rows = [
        _row("a", f"C client, {mode}", "none", spent[f"C client, {mode}"], base, most=None)
        for mode in ("sequential", "pipelined", "reuse")
    ]
    for (how, loop), most in MOST.items():
        if times := spent.get(f"{how}, {loop}"):
            part = "a" if how == EACH else "b"
            rows.append(_row(part, f"{how}, {loop}", f"at most {most:g} C clients", times, base, most))
    if shared:
        most_seen, met = max(shared), max(shared) == TOGETHER.domains
        rows.append(Row("b", "connections, one for a domain", str(TOGETHER.domains), f"{most_seen:,}", met))
    if bare := spent.get("aiosmtplib"):
        own = spent[f"{EACH}, asyncio"]
        times_ours = statistics.median(other / ours for other, ours in zip(bare, own, strict=True))
        goal = f"at least {CHEAPER:g} times ours"
        measured = f"{_microseconds(bare)}, {times_ours:.2f} times ours"
        rows.append(Row("c", "bare aiosmtplib loop, asyncio", goal, measured, times_ours >= CHEAPER))
    return rows


def _variants(
    bench: Bench, sink: Sink, dns_port: int, parts: frozenset[str]
) -> dict[str, Callable[[], float]]:
    """Give what is run in each round: by its name, a function that gives the CPU seconds of one callout."""
    variants: dict[str, Callable[[], float]] = {
        f"C client, {mode}": _client(bench, mode, sink.port) for mode in ("sequential", "pipelined", "reuse")
    }
    for loop in loops():
        if "a" in parts or ("c" in parts and loop == "asyncio"):
            options = (*UNHURRIED, "--per-connection", "1")
            command = bench.batch(ALONE, sink.port, dns_port, *options)
            variants[f"{EACH}, {loop}"] = _batch(bench, ALONE, command, loop)
        if "b" in parts:
            command = bench.batch(TOGETHER, sink.port, dns_port, *UNHURRIED)
            variants[f"{OVER_ONE}, {loop}"] = _batch(bench, TOGETHER, command, loop)
    if "c" in parts:
        variants["aiosmtplib"] = _naive(bench, sink.port)
    return variants


def _client(bench: Bench, mode: str, port: int) -> Callable[[], float]:
    program = str(build("client", bench.folder))
    command = [program, mode, str(port), FIRST_HOST, str(HOSTS), str(CLIENT), str(AT_ONCE)]
    return lambda: bench.run(command).cpu / CLIENT


def _batch(bench: Bench, world: World, command: list[str], loop: str) -> Callable[[], float]:
    return lambda: bench.run_batch(world, command, loop).cpu / world.addresses


def _naive(bench: Bench, port: int) -> Callable[[], float]:
    numbers = (port, NAIVE.domains, NAIVE.hosts, NAIVE.addresses)
    command = [PYTHON, "-m", "benchmarks.batch.naive", "smtp", *map(str, numbers)]

    def one() -> float:
        took = msgspec.json.decode(bench.run(command).output.read_bytes(), type=Took)
        if took.failed:
            raise Failed(f"{took.failed} callouts of the bare aiosmtplib loop failed")
        return took.cpu / NAIVE.addresses

    return one


def _row(part: str, what: str, goal: str, times: list[float], base: list[float], most: float | None) -> Row:
    ratio = statistics.median(own / other for own, other in zip(times, base, strict=True))
    measured = f"{_microseconds(times)}, {ratio:.2f} C clients"
    return Row(part, what, goal, measured, met=most is None or ratio <= most)


def _microseconds(times: list[float]) -> str:
    low, median, high = min(times), statistics.median(times), max(times)
    return f"{median * 1e6:.0f} us [{low * 1e6:.0f}-{high * 1e6:.0f}]"
