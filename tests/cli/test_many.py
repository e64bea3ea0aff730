"""Many addresses: uvloop carries them where it is installed, asyncio where not; the result is the same."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any

import pytest

from probe.cli import main
from probe.cli.diagnose import AT_ONCE, FAST_ABOVE

if TYPE_CHECKING:
    from tests.cli.program import World

MANY = [f"{number}@{domain}.example" for number in range(7) for domain in ("good", "silent", "gone")]


@pytest.fixture
def loops(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collect the kinds of event loop that are run."""
    seen: list[str] = []
    right = asyncio.Runner.run

    def run(self: asyncio.Runner, coroutine: Any, **options: Any) -> Any:
        seen.append(type(self.get_loop()).__module__.partition(".")[0])
        return right(self, coroutine, **options)

    monkeypatch.setattr(asyncio.Runner, "run", run)
    return seen


def probe(world: World, capsys: pytest.CaptureFixture[str], *addresses: str) -> list[list[str]]:
    """Give address and reason of every line."""
    assert main(world.arguments("-q", "--reply-timeout=0.2", *addresses)) == 5
    out, err = capsys.readouterr()
    assert err == ""
    return [line.split("\t")[:3:2] for line in out.splitlines()]


def expected(*addresses: str) -> list[list[str]]:
    reasons = {"good": "rcpt.accepted", "silent": "banner.timeout", "gone": "rcpt.user-unknown"}
    return [[address, reasons[address.split("@")[1].split(".")[0]]] for address in addresses]


def test_the_addresses_are_enough() -> None:
    assert len(MANY) > FAST_ABOVE > AT_ONCE


def test_many_run_on_uvloop(world: World, capsys: pytest.CaptureFixture[str], loops: list[str]) -> None:
    pytest.importorskip("uvloop")
    assert probe(world, capsys, *MANY) == expected(*MANY)
    assert loops == ["uvloop"]


def test_many_run_on_asyncio_where_uvloop_is_missing(
    world: World, capsys: pytest.CaptureFixture[str], loops: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)
    assert probe(world, capsys, *MANY) == expected(*MANY)
    assert loops == ["asyncio"]


def test_a_few_do_not_pay_for_it(world: World, capsys: pytest.CaptureFixture[str], loops: list[str]) -> None:
    assert probe(world, capsys, *MANY[:3]) == expected(*MANY[:3])
    assert loops == ["asyncio"]


def test_a_line_stands_between_two_letters(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(world.arguments("--letter=support", "0@good.example", "0@gone.example")) == 1
    first, second = capsys.readouterr().out.split("=" * 72 + "\n")
    assert first.startswith("Subject: Sender verification of 0@good.example")
    assert second.startswith("Subject: Sender verification of 0@gone.example")


def test_no_host_complains_of_any_of_them(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    probe(world, capsys, *MANY)
    for peer in world.lab.peers.values():
        assert [
            each.complaints for each in peer.connections if any("DATA" in said for said in each.complaints)
        ] == []
