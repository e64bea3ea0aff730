"""A port that is open behind a path that loses packets: loss must never be taken for a filter."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tests.full.command import run
from tests.support.netns import need
from tests.support.relay import TUN, Relay
from tests.support.road import CANARY, Road

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.full.command import Run

pytestmark = pytest.mark.full

DELAY = 0.02
"""Seconds one way, on one link: a round trip of 40 ms, as across a country."""
AT_ONCE = 10
OPTIONS = (
    *("--json", "--allow-private", "--helo", "probe.example.net", "--canary", f"{CANARY}:25"),
    *("--reply-timeout", "10", "--timeout", "25"),
)
HONEST = {
    "rcpt.accepted",
    "connect.lossy",
    "connect.timeout",
    *(f"{stage}.timeout" for stage in ("banner", "helo", "mail", "rcpt")),
    "run.cut-short",
}
"""What may be said: the truth, or that something did not come."""
HONEST_IN_HEAVY_LOSS = {*HONEST, "banner.path-dead", "reply.path-dead"}
"""Where half of all round trips fail, six keepalives in a row may well stay without an answer."""


@pytest.fixture(scope="module")
def road() -> Iterator[Road]:
    need("nft", "setpriv")
    if not TUN.exists():
        pytest.skip(f"needs {TUN}")
    with Road(Relay(DELAY)) as road:
        yield road


@pytest.mark.parametrize("family", [4, 6])
def test_one_packet_in_ten(road: Road, family: int) -> None:
    """One round trip in five fails, so hardly any run may end without an answer."""
    reasons = _reasons(_probe(road, f"-{family}", count=30, loss=10))
    assert reasons.keys() <= HONEST
    assert reasons["rcpt.accepted"] >= 28


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("speed", [(), ("--fast",)], ids=["default", "fast"])
def test_three_packets_in_ten(road: Road, speed: tuple[str, ...], family: int) -> None:
    """Half of all round trips fail, so one connection in four takes more than two SYNs."""
    reasons = _reasons(_probe(road, f"-{family}", *speed, count=10, loss=30))
    # What --fast has after 2.1 s can all have been lost by chance, about once in some hundreds of runs.
    by_chance = {"connect.port-filtered"} if speed and reasons["connect.port-filtered"] <= 1 else set()
    assert reasons.keys() <= HONEST_IN_HEAVY_LOSS | by_chance
    assert reasons["rcpt.accepted"] >= 4


def _probe(road: Road, *options: str, count: int, loss: int) -> list[Run]:
    """Probe while `loss` percent of the packets are lost each way."""

    def one(_: int) -> Run:
        return run(*OPTIONS, *options, "user@d.example", inside=road.client, nobody=True)

    runs: list[Run] = []
    with (
        road.serving("target", "*good"),
        road.serving("other", "*good"),
        road.obstructed(f"r2 forward: numgen random mod 100 < {loss} drop"),
        ThreadPoolExecutor(AT_ONCE) as pool,
    ):
        for _ in range(count // AT_ONCE):
            road.new_client()
            runs += pool.map(one, range(AT_ONCE))
    return runs


def _reasons(runs: list[Run]) -> Counter[str]:
    return Counter(ended.report["reason"] for ended in runs)
