"""200 silent mail hosts against 200 that answer: `python -m benchmarks.deadmemory [ADDRESSES]`, as root.

Each address has a domain and a mail host address of its own, all of them behind the road of
`tests/support/road.py`, whose last host serves port 25 or drops it. First the command, with all addresses on its
command line; then the Python interface, with all of them at once. Prints the peak of the resident memory, the
wall time, and how often what was said: the truth about the silent ones is "beyond hop 3, at the far end". For the
Python interface also when a verdict was known, and the descriptors: most of them at a time, those left at the end.
"""

from __future__ import annotations

import compileall
import subprocess
import sys
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import msgspec

import probe
from benchmarks.atonce import AtOnce, verdict
from benchmarks.flood import CHILD
from benchmarks.measure import PYTHON, environment
from probe.core.model import Report
from probe.lab.world import Lab, LabThread
from tests.full.command import NOBODY
from tests.support.netns import NamespaceLab
from tests.support.road import CANARY, OTHER, TARGET, Road

MORE = 60.0
"""Mebibytes that the silent ones may need on top of what the live ones do."""
NETWORK = "198.18.0.0/24"
"""For benchmarks (RFC 2544): a documentation network has no room for 200 mail hosts beside the road's own."""
SILENT = "target input: tcp dport 25 drop"


class Usage(msgspec.Struct, frozen=True):
    """What one run took: wall time in seconds, peak resident memory in MiB, and what it printed."""

    seconds: float
    memory: float
    output: bytes


def _run(road: Road, *words: str) -> Usage:
    began = time.perf_counter()
    done = subprocess.run(
        road.client.command(*NOBODY, *words), capture_output=True, check=False, env=environment()
    )
    if not done.stderr.strip().isdigit():
        sys.exit(done.stderr.decode())
    return Usage(time.perf_counter() - began, int(done.stderr) / 1024, done.stdout)


def _measure(road: Road, count: int, *, silent: bool) -> tuple[float, float]:
    """Run both against hosts that are silent, or not; print, and give the peak memory of each."""
    numbers = range(1, count + 1)
    ips = {number: f"{NETWORK.removesuffix('0/24')}{number}" for number in numbers}
    zone = "\n".join(
        f"d{n}.example. 300 MX 10 mx.d{n}.example.\nmx.d{n}.example. 300 A {ip}" for n, ip in ips.items()
    )
    addresses = [f"user@d{number}.example" for number in numbers]
    road.new_client()  # to whom no router has answered anything yet
    with ExitStack() as stack:
        stack.enter_context(road.serving("other", "*good"))
        stack.enter_context(
            LabThread(NamespaceLab(road.hosts["target"], "", dict.fromkeys(ips.values(), "*good")))
        )
        stack.enter_context(road.obstructed(*([SILENT] if silent else [])))
        with road.client.entered():
            names = stack.enter_context(LabThread(Lab(f"{zone}\n{CANARY}. 300 A {OTHER[4]}", {})))
        server, canary = f"127.0.0.1:{names.dns_port}", f"{CANARY}:25"
        command = _run(
            road, PYTHON, "-c", CHILD, "--json", "-4", "--dns-server", server, "--canary", canary,
            "--allow-private", "--helo", "probe.example.net", *addresses,
        )  # fmt: skip
        road.new_client()
        at_once = _run(road, PYTHON, "-m", "benchmarks.atonce", server, canary, *addresses)
    title = f"{count} {'silent' if silent else 'live'} mail hosts"
    said = Counter(verdict(msgspec.json.decode(line, type=Report)) for line in command.output.splitlines())
    print(f"{title}, one command: {command.memory:6.1f} MiB {command.seconds:7.1f} s")
    _show(said)
    found = msgspec.json.decode(at_once.output, type=AtOnce)
    print(f"{title}, all at once: {at_once.memory:6.1f} MiB {at_once.seconds:7.1f} s")
    print(f"    verdicts after {found.median:.1f} s (median) and {found.last:.1f} s (last)", end="; ")
    print(f"descriptors: {found.open} at most, {found.left} left")
    _show(found.verdicts)
    return command.memory, at_once.memory


def _show(verdicts: dict[str, int]) -> None:
    for words, count in sorted(verdicts.items(), key=lambda item: -item[1]):
        print(f"    {count:4} {words}")


def main() -> int:
    """Measure and print; exit code 1 when the goal is missed."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    compileall.compile_dir(Path(probe.__file__).parent, quiet=1)  # `nobody` could not keep it
    with Road() as road:
        for name, to in (("r2", "192.0.2.18"), ("r3", TARGET[4])):
            road.hosts[name].ip(f"route add {NETWORK} via {to}")
        road.hosts["target"].ip(f"route add local {NETWORK} dev lo")
        live = _measure(road, count, silent=False)
        silent = _measure(road, count, silent=True)
    more = [after - before for before, after in zip(live, silent, strict=True)]
    met = max(more) <= MORE
    figures = " and ".join(f"{figure:+.1f}" for figure in more)
    print(f"the silent ones take {figures} MiB  goal {MORE:+g}  {'ok' if met else 'MISSED'}")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
