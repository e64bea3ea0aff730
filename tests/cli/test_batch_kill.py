"""A batch that is killed, again and again: in the end each address has exactly one result."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from probe.lab.world import Lab, LabThread
from tests.cli.program import PROBE
from tests.support.counting import CountingHost

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.full  # they need nothing, but half a minute

HOSTS = 20
DOMAINS = 60
EACH = 12
MOMENTS = (0.71, 0.93, 1.38, 0.35, 1.17, 0.84, 1.56, 0.62, 1.02, 1.27)
"""Seconds after which a run is killed: some while it starts, most in the middle."""


def _answer(_number: int, line: str) -> str | None:
    return "550 5.1.1 No such user here" if line.startswith("RCPT TO:<missing") else None


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    zone = [f"d{n}.example. 300 MX 10 mx.h{n % HOSTS}.example." for n in range(DOMAINS)]
    zone += [f"mx.h{n}.example. 300 A 127.0.1.{n + 1}" for n in range(HOSTS)]
    hosts = {f"127.0.1.{n + 1}": CountingHost(f"127.0.1.{n + 1}", _answer, delay=0.01) for n in range(HOSTS)}
    with LabThread(Lab("\n".join(zone), hosts)) as lab:
        yield lab


def _addresses() -> list[str]:
    return [
        f"{'missing' if n % 5 == 0 else 'user'}{n}@d{d}.example" for n in range(EACH) for d in range(DOMAINS)
    ]


def _command(lab: Lab, folder: Path, *more: str) -> list[str]:
    return [
        *PROBE,
        *(
            "batch",
            str(folder / "senders.txt"),
            "--port",
            str(lab.port),
            "-4",
            "--allow-private",
            "--gap",
            "0",
        ),
        *("--dns-server", f"127.0.0.1:{lab.dns_port}", "--helo", "probe.example.net", "-q"),
        *("--concurrency", "40", "--per-connection", "5"),
        *more,
    ]


def _results(text: bytes) -> dict[str, str]:
    rows = [json.loads(line) for line in text.splitlines()]
    found = {row["address"]: row["reason"] for row in rows}
    assert len(found) == len(rows), "an address has two results"
    return found


def _expected() -> dict[str, str]:
    return {
        address: "rcpt.user-unknown" if address.startswith("missing") else "rcpt.accepted"
        for address in _addresses()
    }


def _killed(command: list[str], after: float) -> bool:
    """Run a command and kill it after so many seconds; tell whether it was still running."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            process.wait(after)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            return True
    return False


@pytest.mark.parametrize("store", [(), ("--no-store",)], ids=["store", "no store"])
def test_ten_kills_lose_nothing_and_double_nothing(lab: Lab, tmp_path: Path, store: tuple[str, ...]) -> None:
    (tmp_path / "senders.txt").write_text("\n".join(_addresses()))
    output = tmp_path / "results.jsonl"
    where = store or ("--store", str(tmp_path / "store.db"))
    command = _command(lab, tmp_path, "-o", str(output), *where)
    kills = sum(_killed(command, moment) for moment in MOMENTS)
    assert kills >= 2, "the run is too short to be killed"
    done = subprocess.run(command, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert _results(output.read_bytes()) == _expected()


def test_what_was_printed_is_printed_again_from_the_store(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "senders.txt").write_text("\n".join(_addresses()))
    command = _command(lab, tmp_path, "--store", str(tmp_path / "store.db"))
    for host in lab.hosts.values():
        assert isinstance(host, CountingHost)
        host.visits.clear()
    _killed(command, 1.2)
    first = Counter(name for host in lab.hosts.values() for visit in host.visits for name in visit.asked)  # type: ignore[attr-defined]  # they are counting ones
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == 0
    assert _results(done.stdout) == _expected()
    asked = Counter(name for host in lab.hosts.values() for visit in host.visits for name in visit.asked)  # type: ignore[attr-defined]  # as above
    assert set(asked) == set(_expected())
    again = sum(times - 1 for times in asked.values())
    assert again <= max(400, len(first)), "more than the last second was asked again"


def test_an_interrupt_ends_it_in_good_order(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "senders.txt").write_text("\n".join(_addresses()))
    output = tmp_path / "results.jsonl"
    command = _command(lab, tmp_path, "-o", str(output), "--no-store")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        time.sleep(1.2)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=20)
    if process.returncode != 0:  # else it was faster than we
        assert process.returncode == 130
        assert b"goes on with the others" in said.splitlines()[-1]
    finished = _results(output.read_bytes())
    assert finished.items() <= _expected().items()
    again = subprocess.run(command, capture_output=True, check=False)
    assert again.returncode == 0
    assert _results(output.read_bytes()) == _expected()
