"""Memory of a probe whose peer sends without end, against a quiet peer: `python -m benchmarks.flood [ROUNDS]`."""

from __future__ import annotations

import statistics
import subprocess
import sys

from benchmarks.measure import PYTHON, environment
from probe.lab.world import Lab, LabThread

ZONE = "d.example. 300 MX 10 mx.d.example.\nmx.d.example. 300 A 127.0.0.1"
PEERS = {
    "quiet": "*good",
    "endless line at the greeting": "*flood 220-x",
    "endless reply to EHLO": "S: 220 mx.d.example ESMTP\nC: EHLO\n*flood 250-" + "x" * 400,
    "endless NUL": "S: 220 mx.d.example ESMTP\nC: EHLO\n*flood " + "\\x00" * 400,
    "999 lines": "S: 220 mx.d.example ESMTP\nC: EHLO\n" + "S: 250-x\n" * 999 + "S: 250 x\n*good",
    "endless replies": "S: 220 mx.d.example ESMTP\nC: EHLO\n*flood 250 ok",
}
GOAL = 1024.0
"""KiB more than the quiet peer costs."""


CHILD = """
import sys
from probe.cli import main
main(sys.argv[1:])
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(peak.split()[1], file=sys.stderr)
"""
"""The probe tells its own peak: what the system keeps for a child counts its parent before exec, too."""


def peak(lab: Lab, *options: str) -> int:
    """Give the peak resident set of one probe, in KiB (proc(5), VmHWM)."""
    command = [PYTHON, "-c", CHILD, "--dns-server", f"127.0.0.1:{lab.dns_port}", "--port", str(lab.port),
               "--allow-private", "--reply-timeout", "2", "--helo", "probe.example.net", "-4", *options,
               "user@d.example"]  # fmt: skip
    done = subprocess.run(command, capture_output=True, check=True, env=environment())
    return int(done.stderr.split()[-1])


def main() -> int:
    """Measure and print; exit code 1 when a goal is missed."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    worst = 0.0
    for options in ((), ("--json",)):
        print("as JSON" if options else "as text")
        quiet = 0.0
        for name, script in PEERS.items():
            with LabThread(Lab(ZONE, {"127.0.0.1": script})) as lab:
                figure = statistics.median(peak(lab, *options) for _ in range(rounds))
            quiet = quiet or figure
            worst = max(worst, figure - quiet)
            print(f"  {name:32} {figure:8.0f} KiB  {figure - quiet:+7.0f}  goal +{GOAL:g}")
    return 0 if worst <= GOAL else 1


if __name__ == "__main__":
    sys.exit(main())
