"""One address, the whole process: `python -m benchmarks.oneshot [ROUNDS]`.

Name server and mail host stand on loopback in this process. First without any delay, against the time that
Python needs to import the two network libraries; then with a mail host whose answers take 350 ms in all
(greeting 150 ms, four replies of 50 ms), against `swaks --quit-after RCPT` doing its own MX look-up.
"""

from __future__ import annotations

import os
import shutil
import sys

from benchmarks.measure import PROBE, PYTHON, compare, line
from probe.lab.world import Lab, LabThread

ZONE = "d.example. 300 MX 10 localhost.\nlocalhost. 300 A 127.0.0.1"
"""The mail host is called localhost because swaks asks our name server for the MX only, and the system for
its address."""
QUICK = "*good"
SLOW = """\
*sleep 0.15
S: 220 mx.d.example ESMTP
C: EHLO
*sleep 0.05
S: 250 mx.d.example
C: MAIL FROM
*sleep 0.05
S: 250 2.1.0 Ok
C: RCPT TO
*sleep 0.05
S: 250 2.1.5 Ok
C: QUIT
*sleep 0.05
S: 221 2.0.0 Bye
*close
"""


def main() -> int:
    """Measure and print; exit code 1 when a goal is missed."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    met = []
    with LabThread(Lab(ZONE, {"127.0.0.1": QUICK})) as lab:
        figures = compare(
            [PYTHON, "-c", "import dns.asyncresolver, aiosmtplib"], {"whole probe": _probe(lab)}, rounds
        )
        met.append(line("one address, no delay / the two imports", figures["whole probe"], 1.6))
    if shutil.which("swaks") is None:
        print("swaks is not installed: the second comparison needs it (Debian: swaks, libnet-dns-perl)")
        return 1
    with LabThread(Lab(ZONE, {"127.0.0.1": SLOW})) as lab:
        os.environ["RES_NAMESERVERS"] = "127.0.0.1"
        os.environ["RES_OPTIONS"] = f"port:{lab.dns_port}"
        swaks = ["swaks", "-4", "--quit-after", "RCPT", "--to", "user@d.example", "--from", "<>",
                 "--helo", "probe.example.net", "--port", str(lab.port)]  # fmt: skip
        figures = compare(swaks, {"whole probe": _probe(lab)}, rounds)
        met.append(line("one address, 350 ms of answers / swaks", figures["whole probe"], 1.15))
    return 0 if all(met) else 1


def _probe(lab: Lab) -> list[str]:
    return [*PROBE, "--dns-server", f"127.0.0.1:{lab.dns_port}", "--port", str(lab.port), "--allow-private",
            "--helo", "probe.example.net", "-4", "user@d.example"]  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
