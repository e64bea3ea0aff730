"""The installed command, started as a user starts it."""

from __future__ import annotations

import json
import subprocess
import sysconfig
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

if TYPE_CHECKING:
    from tests.support.netns import Namespace

PROGRAM = str(Path(sysconfig.get_path("scripts"), "probe-sender"))
LIMIT = 40
"""Seconds for one run: below the limit of a test, so that the test can say what it was doing."""


NOBODY = (
    "setpriv",
    *("--reuid", "65534", "--regid", "65534", "--clear-groups"),
    *(f"--{which}=-all,+dac_read_search" for which in ("inh-caps", "ambient-caps", "bounding-set")),
)
"""Makes a command run as `nobody`, whose one capability is to read files: the program may stand in a folder that
is closed to others, as a checkout below /root is. Of the network it may do what any user may."""


class Run(Struct, frozen=True):
    """How one run ended: exit code, both outputs, and wall time with the start of the interpreter."""

    code: int
    output: bytes
    errors: bytes
    seconds: float

    @property
    def report(self) -> dict[str, Any]:
        """The one JSON document on standard output."""
        document: dict[str, Any] = json.loads(self.output)
        return document


def run(*arguments: str, inside: Namespace | None = None, nobody: bool = False) -> Run:
    """Run the command, in a namespace if one is given, and as a user without privileges for `nobody`."""
    words = [*(NOBODY if nobody else ()), PROGRAM, *arguments]
    began = time.monotonic()
    done = subprocess.run(
        inside.command(*words) if inside else words, capture_output=True, check=False, timeout=LIMIT
    )
    return Run(done.returncode, done.stdout, done.stderr, time.monotonic() - began)


def run_over_each_family(*arguments: str, inside: Namespace, nobody: bool = True) -> dict[int, Run]:
    """Run the command with -4 and with -6 at the same time; routers count the ICMP errors of each apart."""
    with ThreadPoolExecutor(2) as both:
        started = {
            family: both.submit(run, f"-{family}", *arguments, inside=inside, nobody=nobody)
            for family in (4, 6)
        }
        return {family: running.result() for family, running in started.items()}
