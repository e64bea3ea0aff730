"""What mail hosts see of batches: two processes that share a store, and the same batch once more."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from probe.lab.world import Lab, LabThread
from tests.cli.program import run, start
from tests.support.counting import CountingHost

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOSTS = 3
GAP = 0.2


class Town:
    """Three mail hosts that count, and what their mailboxes answer."""

    def __init__(self) -> None:
        self.answers: dict[str, str] = {}
        self.hosts = [CountingHost(f"127.0.2.{n + 1}", self._answer, delay=0.005) for n in range(HOSTS)]
        zone = [f"d{n}.example. 300 MX 10 mx.h{n % HOSTS}.example." for n in range(30)]
        zone += [f"mx.h{n}.example. 300 A 127.0.2.{n + 1}" for n in range(HOSTS)]
        self.lab = Lab("\n".join(zone), {host.ip: host for host in self.hosts})

    def _answer(self, _number: int, line: str) -> str | None:
        return self.answers.get(line.removeprefix("RCPT TO:<").removesuffix(">"))

    @property
    def visits(self) -> int:
        return sum(len(host.visits) for host in self.hosts)

    def command(self, *more: str) -> list[str]:
        port, names = str(self.lab.port), f"127.0.0.1:{self.lab.dns_port}"
        return [
            *("--port", port, "--dns-server", names, "-4", "--allow-private", "--helo", "probe.example.net"),
            *more,
        ]

    def batch(self, file: Path, store: Path, *more: str) -> list[str]:
        return ["batch", str(file), *self.command("--store", str(store), "--gap", str(GAP), "-q", *more)]


@pytest.fixture
def town() -> Iterator[Town]:
    town = Town()
    with LabThread(town.lab):
        yield town


def _write(path: Path, addresses: list[str]) -> Path:
    path.write_text("\n".join(addresses))
    return path


def _reports(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_two_processes_on_one_store_are_polite_together(town: Town, tmp_path: Path) -> None:
    store = tmp_path / "store.db"
    mine = _write(tmp_path / "mine.txt", [f"a@d{n}.example" for n in range(18)])
    yours = _write(tmp_path / "yours.txt", [f"b@d{n}.example" for n in range(18)])
    with start(*town.batch(mine, store)) as one, start(*town.batch(yours, store)) as two:
        first, _ = one.communicate(timeout=50)
        second, _ = two.communicate(timeout=50)
    assert (one.returncode, two.returncode) == (0, 0)
    assert {row["cause"] for row in _reports(first) + _reports(second)} == {"sender-exists"}
    assert sorted(name for host in town.hosts for visit in host.visits for name in visit.asked) == sorted(
        [f"a@d{n}.example" for n in range(18)] + [f"b@d{n}.example" for n in range(18)]
    )
    for host in town.hosts:
        assert host.most_at_once <= 2
        assert all(visit.said_quit for visit in host.visits)
        # What is measured is when the host took notice, which a busy machine lets be late.
        assert host.least_gap >= GAP * 0.6


def test_the_same_batch_again_asks_nobody_and_says_how_old_its_answers_are(
    town: Town, tmp_path: Path
) -> None:
    town.answers["gone@d1.example"] = "550 5.1.1 No such user here"
    town.answers["later@d2.example"] = "451 4.3.0 Try again later"
    senders = ["user@d0.example", "gone@d1.example", "later@d2.example", "user@nowhere.example"]
    file = _write(tmp_path / "senders.txt", senders)
    store = tmp_path / "store.db"
    first = _reports(run(*town.batch(file, store)).stdout)
    visits = town.visits
    assert visits > 0
    again = _reports(run(*town.batch(file, store)).stdout)
    assert town.visits == visits
    assert {row["address"]: row["reason"] for row in again} == {
        row["address"]: row["reason"] for row in first
    }
    assert [row["stored"] for row in first] == [None] * 4
    for row in again:
        assert 0.0 <= row["stored"]["age"] < 60.0
        assert row["stored"]["asked"] == row["address"]
    fresh = _reports(run(*town.batch(file, store, "--fresh")).stdout)
    assert town.visits > visits
    assert [row["stored"] for row in fresh] == [None] * 4


def test_a_single_probe_asks_anew_and_says_what_has_changed(town: Town, tmp_path: Path) -> None:
    store = tmp_path / "store.db"
    file = _write(tmp_path / "senders.txt", ["user@d0.example"])
    run(*town.batch(file, store))
    visits = town.visits
    same = run("user@d0.example", *town.command("--store", str(store)))
    assert town.visits == visits + 1
    assert same.returncode == 0
    assert "As " in same.stdout
    assert " ago" in same.stdout
    town.answers["user@d0.example"] = "550 5.1.1 No such user here"
    changed = run("user@d0.example", *town.command("--store", str(store), "--json"))
    assert changed.returncode == 1
    earlier = json.loads(changed.stdout)["earlier"]
    assert (earlier["cause"], earlier["reason"]) == ("sender-exists", "rcpt.accepted")
    said = run("user@d0.example", *town.command("--store", str(store)))
    assert "Changed" not in said.stdout
