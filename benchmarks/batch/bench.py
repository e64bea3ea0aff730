"""What all parts of the benchmark share: a folder, the commands, how they are run, and the rows of the table."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from benchmarks.measure import PROBE, environment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.batch.world import World

LOOPS = ("asyncio", "uvloop")
LIMIT = 900.0
"""Seconds after which a command has failed, whatever it does."""
SAMPLE = 0.1
"""Seconds between two looks at the memory of a command."""


class Row(msgspec.Struct, frozen=True):
    """One goal, and what was measured; both in words."""

    part: str
    what: str
    goal: str
    measured: str
    met: bool


class Usage(msgspec.Struct, frozen=True):
    """What one run took: CPU (user and system) and wall time in seconds, resident memory in MiB over time."""

    cpu: float
    wall: float
    resident: tuple[tuple[float, float], ...]
    output: Path

    @property
    def peak(self) -> float:
        """The most resident memory in MiB, as the samples show it."""
        return max((memory for _, memory in self.resident), default=0.0)


class Line(msgspec.Struct, frozen=True):
    """What is looked at in a line of JSON of a batch."""

    address: str
    cause: str


class Failed(Exception):  # noqa: N818  # a part that cannot be measured is a row of the table
    """A part could not be measured; the text says why, in a line."""

    def __init__(self, why: str) -> None:
        super().__init__(" ".join(why.split()))


class Bench:
    """A place to work in, as long as its folder is there, and how many rounds are made."""

    def __init__(self, folder: Path, rounds: int) -> None:
        self.folder = folder
        self.rounds = rounds
        self._state = folder / "state"
        self._state.mkdir()
        self._state.chmod(0o777)  # also for a command that runs as `nobody`

    def batch(self, world: World, port: int, dns_port: int, *options: str) -> list[str]:
        """Give the command that probes the addresses of a world with default options, and these."""
        listed = world.write(self.folder / f"list-{world.addresses}-{world.domains}")
        return [*PROBE, "batch", str(listed), *self.where(port, dns_port), *options]

    @staticmethod
    def where(port: int, dns_port: int) -> list[str]:
        """Give the options by which a probe finds the sink and the name server."""
        return [
            *("--port", str(port), "--dns-server", f"127.0.0.1:{dns_port}"),
            *("--allow-private", "-4", "--helo", "probe.example.net"),
        ]

    def environment(self, loop: str | None = None) -> dict[str, str]:
        """Give our environment to a command, but a state folder of its own, and the event loop if one is named."""
        given = environment() | {"XDG_STATE_HOME": str(self._state)}
        return given | ({"PROBE_SENDER_LOOP": loop} if loop else {})

    def run(self, command: Sequence[str], loop: str | None = None, allowed: int = 0) -> Usage:
        """Run a command to its end; `Failed` when that is another exit code."""
        output, errors = self.folder / "output", self.folder / "errors"
        began = time.monotonic()
        with output.open("wb") as out, errors.open("wb") as err:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=self.environment(loop)
            )
            watch = _Watch(process.pid, began)
            watch.start()
            # The kernel counts the CPU of this one child, and tells it only to whom waits this way (wait4(2)).
            _, status, used = os.wait4(process.pid, 0)
            wall = time.monotonic() - began
            process.returncode = os.waitstatus_to_exitcode(status)
            watch.ended.set()
            watch.join()
        if process.returncode != allowed:
            said = errors.read_text(encoding="utf-8", errors="replace")[-500:]
            raise Failed(f"exit code {process.returncode} of {' '.join(command)}: {said}")
        return Usage(used.ru_utime + used.ru_stime, wall, tuple(watch.seen), output)

    def run_batch(self, world: World, command: Sequence[str], loop: str | None = None) -> Usage:
        """Run a command that gives every address of a world its line; `Failed` when one is lost, doubled or wrong."""
        usage = self.run(command, loop)
        check(dict(world.expected()), usage.output)
        return usage


class _Watch(threading.Thread):
    """Looks at the memory of a process until it has `ended`, and ends it when it takes too long."""

    def __init__(self, pid: int, began: float) -> None:
        super().__init__(name="watch", daemon=True)
        self.ended = threading.Event()
        self.seen: list[tuple[float, float]] = []
        self._pid, self._began = pid, began

    def run(self) -> None:
        while not self.ended.wait(SAMPLE):
            lapse = time.monotonic() - self._began
            if memory := resident(self._pid):
                self.seen.append((lapse, memory))
            if lapse > LIMIT:
                os.kill(self._pid, 9)
                return


def resident(pid: int) -> float:
    """Give the resident memory of a process in MiB (proc(5), VmRSS); 0 when it has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return next(
        (int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmRSS")), 0.0
    )


def check(expected: dict[str, str], output: Path) -> None:
    """Compare the lines of a batch with the causes of all addresses; `Failed` says what is lost, doubled, wrong."""
    decode = msgspec.json.Decoder(Line).decode
    found: dict[str, str] = {}
    doubled = 0
    with output.open("rb") as lines:
        for line in lines:
            said = decode(line)
            doubled += said.address in found
            found[said.address] = said.cause
    lost = expected.keys() - found.keys()
    wrong = [f"{address}: {cause}" for address, cause in found.items() if expected.get(address) != cause]
    if lost or doubled or wrong:
        raise Failed(
            f"{len(lost)} lost, {doubled} doubled, {len(wrong)} wrong of {len(expected)}: {wrong[:3]}"
        )


def loops() -> tuple[str, ...]:
    """Give the event loops that are measured; `Failed` where the second cannot be."""
    if importlib.util.find_spec("uvloop") is None:
        raise Failed("needs uvloop: pip install 'probe-sender[fast]'")
    return LOOPS


def note(text: str) -> None:
    """Tell a person who waits what is being done."""
    print(text, file=sys.stderr, flush=True)
