"""Many addresses at once by the Python interface: `python -m benchmarks.atonce SERVER CANARY ADDRESS...`.

Started by `benchmarks.deadmemory` as a process of its own, so that what it uses is its own. Prints JSON, and its
peak resident memory in KiB (proc(5), VmHWM) to standard error.
"""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from probe.core.address import parse
from probe.core.classify import judge
from probe.run.engine import Engine
from probe.settings import Settings

if TYPE_CHECKING:
    from probe.core.model import Report

SAMPLE = 0.05
"""Seconds between two looks at the open descriptors."""


class AtOnce(msgspec.Struct, frozen=True):
    """What probing all of them at once showed: how often each verdict, and when.

    `last` and `median` are the seconds after which a verdict was known, `open` the most descriptors at a time
    and `left` those at the end, both beyond the ones that were open before.
    """

    verdicts: dict[str, int]
    median: float
    last: float
    open: int
    left: int


async def _probe(server: str, canary: str, texts: list[str]) -> AtOnce:
    settings = Settings(
        dns_servers=(server,),
        canaries=(canary,),
        families=(4,),
        allow_private=True,
        helo="probe.example.net",
    )
    before = _descriptors()
    seen = [0]
    watching = asyncio.create_task(_watch(seen))
    loop = asyncio.get_running_loop()
    began = loop.time()

    async def one(text: str) -> tuple[float, str]:
        evidence = await engine.collect(parse(text), seed=1)
        took = loop.time() - began
        return took, verdict(judge(evidence))

    async with aclosing(Engine(settings)) as engine:
        found = await asyncio.gather(*(one(text) for text in texts))
    watching.cancel()
    await asyncio.wait([watching])
    times = sorted(took for took, _ in found)
    return AtOnce(
        dict(Counter(words for _, words in found)),
        times[len(times) // 2],
        times[-1],
        max(seen) - before,
        _descriptors() - before,
    )


def verdict(report: Report) -> str:
    """Say in a line what was found, and where the path ends as far as that is known."""
    network = report.hosts[0].network
    where = "" if network is None or network.ends is None else f", {network.ends}"
    return f"{report.reason}, {report.confidence}{where}"


async def _watch(seen: list[int]) -> None:
    while True:
        seen.append(_descriptors())
        await asyncio.sleep(SAMPLE)


def _descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def main() -> None:
    """Probe and print."""
    shown = asyncio.run(_probe(sys.argv[1], sys.argv[2], sys.argv[3:]))
    print(msgspec.json.encode(shown).decode())
    status = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    print(next(line for line in status if line.startswith("VmHWM")).split()[1], file=sys.stderr)


if __name__ == "__main__":
    main()
