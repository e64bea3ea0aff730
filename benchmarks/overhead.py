"""What a verdict costs beyond the network: `python -m benchmarks.overhead [ROUNDS]`.

In one process, once everything is loaded: look-ups, conversation, judgement and the rendered report, for a mail
host whose answers take 350 ms in all, less these 350 ms.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time

from benchmarks.oneshot import SLOW, ZONE
from probe.core.address import parse
from probe.core.classify import judge
from probe.lab.world import Lab
from probe.run.engine import Engine
from probe.settings import Settings
from probe.show.text import render

NETWORK = 0.35
"""Seconds that the script of the mail host waits in all."""
GOAL = 0.05


async def _rounds(rounds: int) -> list[float]:
    async with Lab(ZONE, {"127.0.0.1": SLOW}) as lab:
        settings = Settings(
            port=lab.port,
            helo="probe.example.net",
            families=(4,),
            dns_servers=(f"127.0.0.1:{lab.dns_port}",),
            allow_private=True,
        )
        taken = []
        for _ in range(rounds + 1):
            began = time.perf_counter()
            evidence = await Engine(settings).collect(parse("user@d.example"), seed=1)
            render(judge(evidence))
            taken.append(time.perf_counter() - began - NETWORK)
        return taken[1:]


def main() -> int:
    """Measure and print; exit code 1 when the goal is missed."""
    taken = asyncio.run(_rounds(int(sys.argv[1]) if len(sys.argv) > 1 else 9))
    median = statistics.median(taken)
    print(
        f"beyond 350 ms of network: median {median * 1000:.1f} ms, worst {max(taken) * 1000:.1f} ms,", end=" "
    )
    print(f"goal {GOAL * 1000:g} ms  {'ok' if median < GOAL else 'MISSED'}")
    return 0 if median < GOAL else 1


if __name__ == "__main__":
    sys.exit(main())
