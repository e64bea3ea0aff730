"""Ways to run the program: in this process, or as a process of its own where streams and signals matter."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from probe.lab.world import Lab

PROBE = (sys.executable, "-m", "probe")
CLEAN = {
    name: value
    for name, value in os.environ.items()
    if name
    not in {"NO_COLOR", "TERM", "LANG", "LC_ALL", "PYTHONIOENCODING", "PYTHONUTF8", "PROBE_SENDER_DEBUG"}
}
"""The environment without what changes how the program shows things."""


class World:
    """A lab, and the arguments with which the program asks it."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab

    def arguments(self, *more: str) -> list[str]:
        """Give a command line that reaches the lab and nothing else."""
        return [
            f"--dns-server=127.0.0.1:{self.lab.dns_port}", f"--port={self.lab.port}", "--allow-private",
            "--helo=probe.example.net", *more,
        ]  # fmt: skip

    def connections(self, ip: str) -> int:
        """Count the connections that a scripted host has had."""
        return len(self.lab.peers[ip].connections)


def run(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run the program to its end; `options` are those of `subprocess.run`."""
    given: dict[str, Any] = {
        "stdin": subprocess.DEVNULL,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
        "env": CLEAN,
    }
    return subprocess.run(
        [*PROBE, *arguments],
        check=False,
        encoding="utf-8",
        errors="surrogateescape",
        timeout=30,
        **given | options,
    )


def start(*arguments: str, **options: Any) -> subprocess.Popen[str]:
    """Start the program; `options` are those of `subprocess.Popen`."""
    given: dict[str, Any] = {
        "stdin": subprocess.DEVNULL,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
        "env": CLEAN,
    }
    return subprocess.Popen([*PROBE, *arguments], encoding="utf-8", **given | options)
