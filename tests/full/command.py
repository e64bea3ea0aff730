"""The installed command, started as a user starts it."""

from __future__ import annotations

import json
import subprocess
import sysconfig
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

if TYPE_CHECKING:
    from tests.support.netns import Namespace

PROGRAM = str(Path(sysconfig.get_path("scripts"), "probe-sender"))
LIMIT = 40
"""Seconds for one run: below the limit of a test, so that the test can say what it was doing."""


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


def run(*arguments: str, inside: Namespace | None = None) -> Run:
    """Run the command, in a namespace if one is given."""
    words = [PROGRAM, *arguments]
    began = time.monotonic()
    done = subprocess.run(
        inside.command(*words) if inside else words, capture_output=True, check=False, timeout=LIMIT
    )
    return Run(done.returncode, done.stdout, done.stderr, time.monotonic() - began)
