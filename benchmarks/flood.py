"""Memory of a probe whose peer sends without end, against a quiet peer: `python -m benchmarks.flood [ROUNDS]`."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys

from benchmarks.measure import PROBE, environment
from probe.lab.world import Lab, LabThread

ZONE = "d.example. 300 MX 10 mx.d.example.\nmx.d.example. 300 A 127.0.0.1"
PEERS = {
    "quiet": "*good",
    "endless line at the greeting": "*flood 220-x",
    "endless reply to EHLO": "S: 220 mx.d.example ESMTP\nC: EHLO\n*flood 250-" + "x" * 400,
    "endless replies": "S: 220 mx.d.example ESMTP\nC: EHLO\n*flood 250 ok",
}
GOAL = 1024.0
"""KiB more than the quiet peer costs."""


def peak(lab: Lab) -> int:
    """Give the peak resident set of one probe, in KiB."""
    command = [*PROBE, "--dns-server", f"127.0.0.1:{lab.dns_port}", "--port", str(lab.port), "--allow-private",
               "--reply-timeout", "2", "--helo", "probe.example.net", "-4", "user@d.example"]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment())
    _, _, usage = os.wait4(process.pid, 0)
    process.returncode = 0
    return usage.ru_maxrss


def main() -> int:
    """Measure and print; exit code 1 when a goal is missed."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    figures: dict[str, float] = {}
    for name, script in PEERS.items():
        with LabThread(Lab(ZONE, {"127.0.0.1": script})) as lab:
            figures[name] = statistics.median(peak(lab) for _ in range(rounds))
    quiet = figures.pop("quiet")
    print(f"{'quiet':32} {quiet:8.0f} KiB")
    worst = 0.0
    for name, figure in figures.items():
        worst = max(worst, figure - quiet)
        print(f"{name:32} {figure:8.0f} KiB  {figure - quiet:+7.0f}  goal +{GOAL:g}")
    return 0 if worst <= GOAL else 1


if __name__ == "__main__":
    sys.exit(main())
