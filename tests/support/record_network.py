"""Recorded evidence of every scenario of the network: golden cases for the rules, without a network.

    fixtures/network/NAME-FAMILY.json   what `--save` wrote; nothing in it was changed by hand

    python -m tests.support.record_network             play every scenario anew (as root, about five minutes)
    python -m tests.support.record_network NAME ...    play these

Every run is that of `tests/full/test_network.py`: over IPv4 and IPv6 at once, without privileges. What is written
has other times, ports and client addresses each time and means the same. A run whose report is not what the
scenario expects is not written, so no recording is ever the measure of itself.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from probe.codec import decode_evidence
from probe.core.classify import judge
from tests.full.command import run_over_each_family
from tests.support.road import Road
from tests.support.scenarios import FAMILIES, OPTIONS, SCENARIOS, played

if TYPE_CHECKING:
    from collections.abc import Iterator

    from probe.core.model import Evidence
    from tests.full.command import Run

RECORDED = Path(__file__).parents[2] / "fixtures" / "network"
RECORDINGS = [(name, family) for name in SCENARIOS for family in FAMILIES]


def file_of(name: str, family: int) -> Path:
    """Say where a recording is."""
    return RECORDED / f"{name}-{family}.json"


def load(name: str, family: int) -> Evidence:
    """Read a recording."""
    file = file_of(name, family)
    return decode_evidence(file.read_bytes(), file.name)


def disagreements(name: str, family: int, evidence: Evidence) -> Iterator[str]:
    """Judge evidence, and say where that is not what the scenario expects."""
    client = evidence.hosts[0].sessions[0].connect.local_ip or ""
    return SCENARIOS[name].disagreements(family, msgspec.to_builtins(judge(evidence)), client)


def record(road: Road, name: str) -> list[str]:
    """Play a scenario and write what agrees with it; returns what does not."""
    scenario = SCENARIOS[name]
    road.new_client()
    with played(road, scenario):
        runs = run_over_each_family(
            "--save", "-", *OPTIONS, *scenario.options, scenario.address, inside=road.client
        )
    wrong = []
    for family, ended in runs.items():
        found = list(_wrong(name, family, ended))
        if not found:
            file_of(name, family).write_bytes(ended.output)
        wrong += [f"{name} over IPv{family}: {text}" for text in found]
    return wrong


def _wrong(name: str, family: int, ended: Run) -> Iterator[str]:
    if ended.errors or not ended.output:
        yield f"exit {ended.code}: {ended.errors.decode()}"
        return
    yield from disagreements(name, family, decode_evidence(ended.output, "standard output"))


def main(names: list[str]) -> None:
    """Record the scenarios that are named, or all; exit 1 when one of them went otherwise than expected."""
    RECORDED.mkdir(parents=True, exist_ok=True)
    with Road() as road:
        wrong = [text for name in names or SCENARIOS for text in record(road, name)]
    if wrong:
        sys.exit("\n".join(wrong))


if __name__ == "__main__":
    main(sys.argv[1:])
