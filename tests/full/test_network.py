"""Who dropped it, and where: everything that can stand between us and a mail host, on real packets.

Every row of `tests.support.scenarios` is played over IPv4 and IPv6 at once, as a user without privileges, and
some of them as root too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from probe.lab.world import DeadHost
from tests.full.command import run, run_over_each_family
from tests.support import record_network
from tests.support.netns import need
from tests.support.road import OTHER, TARGET, Road
from tests.support.scenarios import (
    ALONE,
    DROP,
    EXIT,
    FAR_END,
    OPTIONS,
    SCENARIOS,
    Expected,
    Scenario,
    between,
    no_icmp,
    played,
    verdict,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.full.command import Run

pytestmark = pytest.mark.full

AS_ROOT = (
    "open",
    "t_drop",
    "t_drop_all",
    "r2_drop",
    "r1_drop_ingress",
    "noicmp_r2_drop",
    "c_out_drop",
    "r2_adminprohib",
    "r2_rst",
    "loop",
    "pmtu_bh",
    "r2_proxy",
)


@pytest.fixture(scope="module")
def whole_road() -> Iterator[Road]:
    need("nft", "setpriv")
    with Road() as road:
        yield road


@pytest.fixture
def road(whole_road: Road) -> Road:
    whole_road.new_client()
    return whole_road


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenario(road: Road, name: str) -> None:
    _check(road, SCENARIOS[name], nobody=True)


@pytest.mark.parametrize("name", AS_ROOT)
def test_scenario_as_root(road: Road, name: str) -> None:
    _check(road, SCENARIOS[name], nobody=False)


def test_fixup_is_noted(road: Road) -> None:
    with played(road, SCENARIOS["fixup"]):
        report = run("--json", *OPTIONS, "user@d.example", inside=road.client, nobody=True).report
    assert any("rewrites the dialogue" in note for note in report["notes"])


def test_own_firewall_rejects_what_comes_from_a_second_address(road: Road) -> None:
    """Linux then writes its first address into the ICMP error, which is none that the probe has used."""
    second = "198.51.100.200"
    road.client.ip(f"address add {second}/24 dev r1")
    scenario = SCENARIOS["c_out_reject"]
    arguments = ("--json", *OPTIONS, "--source", second, scenario.address)
    with played(road, scenario):
        ended = run(*arguments, inside=road.client, nobody=True)
    road.client.ip(f"address delete {second}/24 dev r1")
    assert not list(_disagreements(scenario, 4, ended, road.client_ips[4]))


def test_recording_that_disagrees_is_not_written(
    road: Road, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record_network, "RECORDED", tmp_path)
    monkeypatch.setitem(SCENARIOS, "open", replace(SCENARIOS["open"], target=None))
    assert any("connect.refused" in text for text in record_network.record(road, "open"))
    assert not list(tmp_path.iterdir())
    monkeypatch.setitem(SCENARIOS, "open", SCENARIOS["rst"])
    assert record_network.record(road, "open") == []
    assert sorted(file.name for file in tmp_path.iterdir()) == ["open-4.json", "open-6.json"]


def test_first_router_drops_for_this_target_only(road: Road) -> None:
    drops = tuple(
        f"r1 forward: {'ip' if family == 4 else 'ip6'} daddr {TARGET[family]} {DROP}" for family in (4, 6)
    )
    this_path = Expected(
        "firewall-timeout connect.port-filtered path certain",
        reached=1,
        distance=4,
        named=(1, 2),
        says=between("hop 1", "hop 2"),
    )
    _check(road, Scenario("Hop 1 drops it, and lets the canary pass.", drops, this_path), nobody=True)


def test_full_accept_queue_looks_like_a_drop() -> None:
    need("nft", "setpriv")
    # A road of its own: `DeadHost` cannot listen where connections have ended within the last minute.
    with Road() as road, road.serving("target", DeadHost), road.serving("other", "*good"):
        _check_runs(road, Scenario("The target's accept queue is full.", (), FAR_END), nobody=True)


def test_short_reply_that_comes_at_the_second_try_is_no_black_hole(road: Road) -> None:
    """A reply that fits the smallest segment cannot be too large for the path: it was lost, or held back."""
    script = "S: 220 mail.example ESMTP\nC: EHLO\n*silence\n=== connection 2\n*good"
    late = Expected("firewall-timeout helo.timeout path")
    options = ("--reply-timeout", "4")
    _check(
        road,
        Scenario("The first connection gets no reply.", (), late, target=script, options=options),
        nobody=True,
    )


def test_without_any_evidence_nothing_is_called_filtered(road: Road) -> None:
    options = ("--no-canary", "--connect-timeout", "5")
    with road.obstructed("target input: drop", *no_icmp("r1", "r2", "r3")):
        runs = run_over_each_family("--json", *ALONE, *options, "user@d.example", inside=road.client)
    for ended in runs.values():
        assert verdict(ended.report)[:2] == ["firewall-timeout", "connect.timeout"]
        assert "filtered" not in ended.report["summary"]
        assert _silence(ended.report) == pytest.approx(5, abs=0.3)


def test_default_waits_for_the_third_second(road: Road) -> None:
    assert _silence(_silent_target(road).report) == pytest.approx(3.4, abs=0.3)


def test_fast_says_it_sooner(road: Road) -> None:
    report = _silent_target(road, "--fast").report
    assert _silence(report) == pytest.approx(2.1, abs=0.3)
    assert report["reason"] == "connect.port-filtered"
    assert report["hosts"][0]["network"]["reached"] == 3


def test_firewalled_first_host_does_not_hold_up_the_second(road: Road) -> None:
    ended = _silent_target(road, domain="two.example")
    assert verdict(ended.report)[:2] == ["sender-exists", "rcpt.accepted"]
    assert ended.seconds < 3
    assert [host["ip"] for host in ended.report["hosts"]] == [TARGET[4], OTHER[4]]
    assert ended.report["hosts"][0]["cause"] == "firewall-timeout"


def test_all_hosts_waits_for_the_evidence_of_the_first(road: Road) -> None:
    report = _silent_target(road, "--all-hosts", domain="two.example").report
    assert (report["cause"], report["reason"]) == ("sender-exists", "rcpt.accepted")
    assert report["timing"]["total"] < 8  # about 3.5 on a quiet machine, and far from --connect-timeout
    assert report["hosts"][0]["reason"] == "connect.port-filtered"
    assert (report["hosts"][0]["network"]["reached"], report["hosts"][0]["network"]["distance"]) == (3, 4)


def _silent_target(road: Road, *options: str, domain: str = "d.example") -> Run:
    with played(road, SCENARIOS["t_drop"]):
        return run("--json", *OPTIONS, "-4", *options, f"user@{domain}", inside=road.client, nobody=True)


def _check(road: Road, scenario: Scenario, *, nobody: bool) -> None:
    with played(road, scenario):
        _check_runs(road, scenario, nobody=nobody)


def _check_runs(road: Road, scenario: Scenario, *, nobody: bool) -> None:
    """Run it over each family and hold the reports against the scenario, which somebody else has to play."""
    arguments = ("--json", *OPTIONS, *scenario.options, scenario.address)
    runs = run_over_each_family(*arguments, inside=road.client, nobody=nobody)
    wrong = []
    for family, ended in runs.items():
        found = _disagreements(scenario, family, ended, road.client_ips[family])
        wrong += [f"IPv{family}: {text}" for text in found]
    assert not wrong, "\n".join([scenario.what, *wrong])


def _disagreements(scenario: Scenario, family: int, ended: Run, client: str) -> Iterator[str]:
    if not ended.output or ended.errors:
        yield f"exit {ended.code}: {ended.errors.decode()}"
        return
    wanted = EXIT[scenario.over(family).verdict.split()[0]]
    if ended.code != wanted:
        yield f"exit {ended.code}, not {wanted}"
    yield from scenario.disagreements(family, ended.report, client)


def _silence(report: dict[str, Any]) -> float:
    """Give the seconds that the first connection was waited for."""
    connect = report["evidence"]["hosts"][0]["sessions"][0]["connect"]
    seconds: float = connect["ended"] - connect["started"]
    return seconds
