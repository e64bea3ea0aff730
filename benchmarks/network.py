"""Who dropped it, and how soon that is known: `python -m benchmarks.network [ROUNDS]`, as root.

On the road of `tests/support/road.py` (client, three routers, mail host; IPv4), wall time from the start of the
process to its verdict: ours, by default and with `--fast`, against `nmap -sT`, `swaks --quit-after RCPT` and the
sender callout of Exim, whose limits are its own default (swaks) and the 30 s of a stock configuration (Exim).
Ours and nmap run as `nobody`, in interleaved rounds; the table shows medians. Swaks and Exim wait for half a
minute in silence, so both run once, at the same time. Prints Markdown: the times, then what each of them said.
"""

from __future__ import annotations

import compileall
import json
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

import probe
from benchmarks.measure import PROBE, environment
from tests.full.command import NOBODY
from tests.support.exim import CONFIGURATION, PROGRAM
from tests.support.netns import tool
from tests.support.road import ABSENT, CANARY, TARGET, Road

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.netns import Namespace

EXIM = tool(PROGRAM) or PROGRAM
BEHIND_NMAP = 1.7
"""Seconds that we may take longer than nmap to call a port filtered, for which we also name the place."""
FASTER = 8.0
"""How much sooner than swaks and Exim we are to know it."""
LIMIT = 150
"""Seconds after which a program has failed: Exim may take four times its limit."""
NAMES = ("probe-sender", "probe-sender --fast", "nmap -sT", "swaks", "Exim callout")


class Obstacle(Struct, frozen=True):
    """What is in the way of port 25; `silent` when nobody says so."""

    title: str
    rules: tuple[str, ...]
    silent: bool
    domain: str = "d.example"
    ip: str = TARGET[4]


OBSTACLES = (
    Obstacle("dropped at the mail host", ("target input: tcp dport 25 drop",), silent=True),
    Obstacle("dropped at a router", ("r2 forward: tcp dport 25 drop",), silent=True),
    Obstacle("dropped by our own firewall", ("client output: tcp dport 25 drop",), silent=True),
    Obstacle("mail host down", (), silent=False, domain="absent.example", ip=ABSENT[4]),
    Obstacle(
        "prohibited at a router",
        ("r2 forward: tcp dport 25 reject with icmpx admin-prohibited",),
        silent=False,
    ),
)


class Ran(Struct, frozen=True):
    """One run of one program: wall time in seconds, and what it said in a few words."""

    seconds: float
    said: str


class Programs:
    """The programs that are compared, started inside the client of a road."""

    def __init__(self, client: Namespace, exim_configuration: Path) -> None:
        self._client = client
        self._exim_configuration = exim_configuration

    def ours(self, obstacle: Obstacle, *options: str) -> Ran:
        """Probe the address; says the reason, and where the path ends."""
        seconds, done = self._run(
            *NOBODY, *PROBE, "-4", "--json", "--allow-private", "--helo", "probe.example.net",
            "--canary", f"{CANARY}:25", *options, f"user@{obstacle.domain}",
        )  # fmt: skip
        if not done.stdout:
            sys.exit(done.stderr)
        report = json.loads(done.stdout)
        return Ran(seconds, f"{report['reason']}, {report['hosts'][0]['network']['ends']}")

    def nmap(self, obstacle: Obstacle) -> Ran:
        """Scan the one port; says its state and the reason for it."""
        seconds, done = self._run(*NOBODY, "nmap", "-sT", "-Pn", "-n", "-p25", "--reason", obstacle.ip)
        return Ran(seconds, _found(r"25/tcp +(\w+) +smtp +(.+)", done.stdout))

    def swaks(self, obstacle: Obstacle) -> Ran:
        """Ask the mail host as far as RCPT; says its complaint."""
        seconds, done = self._run(
            *NOBODY, "swaks", "--server", obstacle.ip, "--quit-after", "RCPT", "--from", "<>",
            "--to", f"user@{obstacle.domain}", "--helo", "probe.example.net",
        )  # fmt: skip
        return Ran(seconds, _found(r"\*\*\*\s+IO::Socket::\w+: (.+)", done.stdout + done.stderr))

    def exim(self, obstacle: Obstacle) -> Ran:
        """Let the address be the sender of a message; says what Exim logs of the callout."""
        dialogue = (
            f"EHLO relay.example.net\r\nMAIL FROM:<user@{obstacle.domain}>\r\n"
            "RCPT TO:<bob@example.org>\r\nQUIT\r\n"
        )
        seconds, done = self._run(
            EXIM, "-C", str(self._exim_configuration), "-bhc", "203.0.113.77", given=dialogue
        )
        return Ran(seconds, _found(r"LOG: .*sender verify \w+ for \S+: (.+)", done.stderr))

    def _run(self, *words: str, given: str | None = None) -> tuple[float, subprocess.CompletedProcess[str]]:
        began = time.perf_counter()
        done = subprocess.run(
            self._client.command(*words),
            input=given,
            capture_output=True,
            encoding="latin-1",
            check=False,
            timeout=LIMIT,
            env=environment(),
        )
        return time.perf_counter() - began, done


def _found(pattern: str, output: str) -> str:
    found = re.search(pattern, output)
    if found is None:
        sys.exit(f"an unexpected answer:\n{output}")
    return " ".join(" ".join(found.groups()).split())


@contextmanager
def _exim_configuration() -> Iterator[Path]:
    """Write the configuration of the tests, with the limit of a stock Exim and over IPv4 alone."""
    with tempfile.TemporaryDirectory(prefix="exim-") as spool:
        path = Path(spool, "exim.conf")
        # Spoken to through a pipe, all at once; and Fast Open would cost it the limit twice.
        text = CONFIGURATION.format(spool=spool, callout="callout=30s,no_cache")
        text = f"smtp_enforce_sync = false\n{text}  hosts_try_fastopen =\n"
        path.write_text(f"disable_ipv6 = true\n{text}", encoding="ascii")
        said = subprocess.run(
            [EXIM, "-C", path, "-bP", "exim_user"], capture_output=True, text=True, check=True
        )
        shutil.chown(spool, said.stdout.split()[-1])
        yield path


def _measure(road: Road, programs: Programs, obstacle: Obstacle, rounds: int) -> dict[str, list[Ran]]:
    quick: dict[str, Callable[[], Ran]] = {
        NAMES[0]: lambda: programs.ours(obstacle),
        NAMES[1]: lambda: programs.ours(obstacle, "--fast"),
        NAMES[2]: lambda: programs.nmap(obstacle),
    }
    runs: dict[str, list[Ran]] = {name: [] for name in NAMES}
    with road.serving("target", "*good"), road.serving("other", "*good"), road.obstructed(*obstacle.rules):
        for _ in range(rounds):
            for name, program in quick.items():
                _forget(road)
                runs[name].append(program())
        _forget(road)
        with ThreadPoolExecutor(2) as both:
            swaks, exim = both.submit(programs.swaks, obstacle), both.submit(programs.exim, obstacle)
            runs[NAMES[3]].append(swaks.result())
            runs[NAMES[4]].append(exim.result())
    return runs


def _forget(road: Road) -> None:
    """Let no program profit or suffer from the one before it."""
    road.new_client()  # to whom no router has answered anything yet
    # Nor has the last router begun to look for a host that is down: that it gives up takes three seconds.
    road.hosts["r3"].ip("neighbour flush dev target")


def _median(runs: list[Ran]) -> float:
    return statistics.median(run.seconds for run in runs)


def _held(title: str, runs: dict[str, list[Ran]]) -> bool:
    """Hold the times of a silent drop against the goals."""
    ours, _, nmap, swaks, exim = (runs[name] for name in NAMES)
    behind = statistics.median(a.seconds - b.seconds for a, b in zip(ours, nmap, strict=True))
    faster = min(_median(swaks), _median(exim)) / _median(ours)
    held = behind <= BEHIND_NMAP and faster >= FASTER
    print(
        f"{title}: {behind:.2f} s after nmap (goal {BEHIND_NMAP:g} s), {faster:.1f} times as fast as the faster"
        f" of swaks and Exim (goal {FASTER:g})  {'ok' if held else 'MISSED'}"
    )
    return held


def main() -> int:
    """Measure and print; exit code 1 when a goal is missed."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    needed = ("ip", "nft", "setpriv", "nmap", "swaks", EXIM)
    if missing := [name for name in needed if tool(name) is None]:
        print(f"needs {', '.join(missing)}")
        return 1
    compileall.compile_dir(Path(probe.__file__).parent, quiet=1)  # `nobody` could not keep it
    with ExitStack() as stack:
        configuration = stack.enter_context(_exim_configuration())
        road = stack.enter_context(Road())
        programs = Programs(road.client, configuration)
        results = [(obstacle, _measure(road, programs, obstacle, rounds)) for obstacle in OBSTACLES]
    print(f"Seconds to the verdict; median of {rounds} interleaved rounds, swaks and Exim once.\n")
    print(f"| port 25 is | {' | '.join(NAMES)} |")
    print(f"|---|{'---:|' * len(NAMES)}")
    for obstacle, runs in results:
        print(f"| {obstacle.title} | {' | '.join(f'{_median(runs[name]):.2f}' for name in NAMES)} |")
    print(f"\n| port 25 is | {' | '.join(NAMES)} |")
    print(f"|---|{'---|' * len(NAMES)}")
    for obstacle, runs in results:
        print(f"| {obstacle.title} | {' | '.join(_said(runs[name]) for name in NAMES)} |")
    print()
    met = [_held(obstacle.title, runs) for obstacle, runs in results if obstacle.silent]
    return 0 if all(met) else 1


def _said(runs: list[Ran]) -> str:
    """Give what was said, every answer once where the rounds differ."""
    return "; or: ".join(dict.fromkeys(run.said for run in runs))


if __name__ == "__main__":
    sys.exit(main())
