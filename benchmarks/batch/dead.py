"""Dead mail hosts (f): 1,000 addresses whose 200 hosts drop what comes to port 25, against the single command.

As root, on the road of `tests/support/road.py`: client, three routers, mail hosts.
"""

from __future__ import annotations

import compileall
import os
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import probe
from benchmarks.batch.bench import Failed, Row, check, note
from benchmarks.batch.world import World
from benchmarks.measure import PROBE
from probe.lab.world import Lab, LabThread
from tests.full.command import NOBODY
from tests.support.netns import tool
from tests.support.road import CANARY, OTHER, TARGET, Road

if TYPE_CHECKING:
    from benchmarks.batch.bench import Bench

SLOWER = 1.3
"""Goal: the time of all as a ratio to that of the slowest single verdict."""
SINGLES = 3
WORLD = World(addresses=1_000, domains=500, hosts=200)
NETWORK = "198.18.0"
"""For benchmarks (RFC 2544): a documentation network has no room for 200 mail hosts beside the road's own."""
SILENT = "target input: tcp dport 25 drop"
CAUSE, CODE = "firewall-timeout", 5
"""What is to be found, and the exit code of the single command for it."""


def dead_hosts(bench: Bench, _: frozenset[str]) -> list[Row]:
    """Measure both once, each as a client that no router has answered yet."""
    if os.geteuid() != 0 or tool("nft") is None:
        raise Failed("needs root, and nft")
    compileall.compile_dir(Path(probe.__file__).parent, quiet=1)  # `nobody` could not keep it
    with ExitStack() as stack:
        road = stack.enter_context(Road())
        for name, to in (("r2", "192.0.2.18"), ("r3", TARGET[4])):
            road.hosts[name].ip(f"route add {NETWORK}.0/24 via {to}")
        road.hosts["target"].ip(f"route add local {NETWORK}.0/24 dev lo")
        stack.enter_context(road.serving("other", "*good"))
        stack.enter_context(road.obstructed(SILENT))
        with road.client.entered():
            names = stack.enter_context(LabThread(Lab("\n".join(_zone()), {})))
        where = (
            *("--dns-server", f"127.0.0.1:{names.dns_port}", "--canary", f"{CANARY}:25"),
            *("--allow-private", "-4", "--helo", "probe.example.net"),
        )
        singles = []
        for number in range(SINGLES):
            note(f"dead hosts: single {number + 1} of {SINGLES}")
            road.new_client()
            command = road.client.command(*NOBODY, *PROBE, "--json", *where, WORLD.address(number))
            singles.append(bench.run(command, allowed=CODE).wall)
        note("dead hosts: all of them")
        road.new_client()
        listed = str(WORLD.write(bench.folder / "dead"))
        whole = bench.run(road.client.command(*NOBODY, *PROBE, "batch", listed, *where, "--no-store"))
    check({WORLD.address(number): CAUSE for number in range(WORLD.addresses)}, whole.output)
    slowest = max(singles)
    what = f"{WORLD.addresses:,} addresses over {WORLD.hosts} dead mail hosts / slowest single verdict"
    measured = f"{whole.wall:.2f} s / {slowest:.2f} s, {whole.wall / slowest:.2f} times"
    return [Row("f", what, f"at most {SLOWER:g} times as long", measured, whole.wall <= SLOWER * slowest)]


def _zone() -> list[str]:
    hosts = [f"mx.h{n}.example. 300 A {NETWORK}.{n + 1}" for n in range(WORLD.hosts)]
    domains = [f"d{n}.example. 300 MX 10 mx.h{n % WORLD.hosts}.example." for n in range(WORLD.domains)]
    return [*hosts, *domains, f"{CANARY}. 300 A {OTHER[4]}"]
