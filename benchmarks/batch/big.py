"""The big run (i): 100,000 addresses over 5,000 domains, each with its own mail host, politely, with a store.

As root it stands in a network namespace, so that the datagrams of others are not taken for its look-ups.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.batch.bench import Row, note
from benchmarks.batch.programs import Sink
from benchmarks.batch.world import World
from benchmarks.nsd import nsd
from tests.support.netns import Namespace, tool

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from benchmarks.batch.bench import Bench, Usage
    from benchmarks.batch.programs import Counts

WORLD = World(addresses=100_000, domains=5_000, hosts=5_000, missing=10)
MORE = 5.0
"""Goal: MiB that the second half of the run may take beyond the first."""
PER_HOST = 2
"""The default of --per-host."""
GAP = 500.0
"""The default of --gap, in milliseconds."""
SLACK = 20.0
"""Milliseconds by which the sink may take notice of one connection later than of the next."""


def big(bench: Bench, _: frozenset[str]) -> list[Row]:
    """Run it once, and ask the sink what it saw."""
    note("the big run")
    with _alone(), Sink(bench.folder) as sink, nsd(WORLD.zone()) as dns_port:
        command = bench.batch(WORLD, sink.port, dns_port, "--store", str(bench.folder / "store"))
        before = _datagrams()
        usage = bench.run_batch(WORLD, command)
        look_ups = (_datagrams() - before) // 2
        seen = sink.counts()
    total = seen.pop(None)
    return [
        _all_there(usage),
        _asked_once(total),
        _looked_up_once(look_ups),
        _memory(usage),
        *_politeness(total, seen.values()),
    ]


@contextmanager
def _alone() -> Iterator[None]:
    """Keep to a network of our own, in which nobody else sends datagrams; as root only."""
    if os.geteuid() != 0 or tool("ip") is None:
        yield
        return
    with Namespace() as network:
        network.ip("link set lo up")
        with network.entered():
            yield


def _datagrams() -> int:
    """Give how many UDP datagrams this network has received: on loopback, a question and an answer each time."""
    # Which network it is, the kernel decides by the thread that opens it.
    text = Path("/proc/thread-self/net/snmp").read_text(encoding="ascii")
    names, values = (line.split() for line in text.splitlines() if line.startswith("Udp:"))
    return int(values[names.index("InDatagrams")])


def _all_there(usage: Usage) -> Row:
    each = usage.cpu / WORLD.addresses * 1e6
    measured = (
        f"all there; {usage.wall:.0f} s, {WORLD.addresses / usage.wall:.0f}/s, {each:.0f} us of CPU each"
    )
    return Row("i", "100,000 addresses over 5,000 domains", "none lost, doubled or wrong", measured, met=True)


def _asked_once(total: Counts) -> Row:
    # Behind a refusal that is the last word over a connection, one that was taken is asked for once more.
    ends = range(WORLD.addresses - WORLD.domains, WORLD.addresses)
    once_more = sum(WORLD.address(number).startswith("missing") for number in ends)
    goal = WORLD.addresses + once_more
    what = "RCPT commands that the sink saw"
    return Row("i", what, f"{goal:,} ({once_more} vouch)", f"{total.rcpts:,}", total.rcpts == goal)


def _looked_up_once(look_ups: int) -> Row:
    most = WORLD.domains + WORLD.hosts
    return Row(
        "i",
        "look-ups: MX of a domain, A of a host",
        f"at most {most:,.0f}",
        f"{look_ups:,}",
        look_ups <= most,
    )


def _memory(usage: Usage) -> Row:
    half = usage.wall / 2
    first = max(memory for lapse, memory in usage.resident if lapse <= half)
    second = max(memory for lapse, memory in usage.resident if lapse > half)
    course = " ".join(f"{memory:.0f}" for _, memory in usage.resident[:: max(1, len(usage.resident) // 8)])
    measured = f"{first:.1f} and {second:.1f} MiB; over time {course}"
    what = "resident memory in the two halves of the run"
    return Row("i", what, f"at most {MORE:g} MiB more", measured, second - first <= MORE)


def _politeness(total: Counts, hosts: Collection[Counts]) -> list[Row]:
    few = f"{total.connections:,}, with up to {total.rcpts_per_connection} RCPT"
    at_once = max(host.at_once for host in hosts)
    gap = f"{total.gap_ms:.0f} ms apart" if total.gap_ms else "each host called once"
    polite = at_once <= PER_HOST and (total.gap_ms is None or total.gap_ms >= GAP - SLACK)
    rude = (total.without_quit, total.early, total.data)
    goal = f"{PER_HOST} at once, {GAP:.0f} ms apart"
    return [
        Row(
            "i",
            "connections, one for a domain",
            f"{WORLD.domains:,}",
            few,
            total.connections == WORLD.domains,
        ),
        Row("i", "connections to one mail host", goal, f"{at_once} at once, {gap}", polite),
        Row(
            "i",
            "connections without QUIT, early talk, DATA",
            "0, 0, 0",
            f"{rude[0]}, {rude[1]}, {rude[2]}",
            not any(rude),
        ),
    ]
