"""Four MX of two addresses each whose SYNs are dropped: `python -m benchmarks.deadhosts`.

On loopback, with listening sockets whose accept queue is full (the kernel drops the SYN). Prints the wall
time of the whole command when the last address accepts, and when all eight are dead. Exim 4.96 takes 124 s
for either and never asks the last one (`shared` measurements of the project; the figure is not made here).
"""

from __future__ import annotations

import sys

from benchmarks.measure import PROBE, wall
from probe.lab.world import DeadHost, Host, Lab, LabThread

ADDRESSES = [f"127.0.0.{n}" for n in range(2, 10)]
ZONE = "\n".join(
    [f"d.example. 300 MX {10 * n} mx{n}.d.example." for n in range(1, 5)]
    + [f"mx{1 + n // 2}.d.example. 300 A {ip}" for n, ip in enumerate(ADDRESSES)]
)


def main() -> int:
    """Measure and print; exit code 1 when a goal is missed."""
    met = []
    for title, alive, goal, code in (
        ("seven dead, the last accepts", True, 3.0, 0),
        ("all eight dead", False, 12.0, 5),
    ):
        hosts: dict[str, Host | str] = {ip: DeadHost(ip) for ip in ADDRESSES}
        if alive:
            hosts[ADDRESSES[-1]] = "*good"
        with LabThread(Lab(ZONE, hosts)) as lab:
            took = wall(
                [*PROBE, "--dns-server", f"127.0.0.1:{lab.dns_port}", "--port", str(lab.port),
                 "--allow-private", "--helo", "probe.example.net", "-4", "user@d.example"],
                frozenset({code}),
            )  # fmt: skip
        met.append(took < goal)
        print(f"{title:32} {took:6.2f} s  goal {goal:g} s  {'ok' if took < goal else 'MISSED'}")
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
