"""The examination of this host in a lab: what is asked of whom, and that it ends in time whatever they answer."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from probe.core import health
from probe.core.checks import CHECKS, Result
from probe.core.model import Scope
from probe.core.scope import scope
from probe.lab.nameserver import BEHAVIOURS
from probe.lab.world import DeadHost, Lab
from probe.net import local
from probe.run import doctor
from probe.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from probe.core.observations import Check
    from probe.core.scope import IP
    from probe.lab.world import Host

OUR_IP = "192.0.2.25"
POINTER = "25.2.0.192.in-addr.arpa"
ZONE = f"""\
.                     300 NS a.root-servers.example.
mail.example.com.     300 A {OUR_IP}
alias.example.com.    300 CNAME mail.example.com.
{POINTER}.            300 PTR mail.example.com.
mx.up.example.        300 A 127.0.0.2
"""
OK, WARN, FAIL, UNTESTED = Result.OK, Result.WARN, Result.FAIL, Result.UNTESTED


@pytest.fixture(autouse=True)
def _our_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give this host the address of a document, and have such addresses count as public."""

    def judged(ip: IP) -> Scope:
        return Scope.PUBLIC if scope(ip) is Scope.DOCUMENTATION else scope(ip)

    monkeypatch.setattr(health, "scope", judged)
    monkeypatch.setattr(doctor, "scope", judged)
    monkeypatch.setattr(local, "source_address", lambda family, _: OUR_IP if family == 4 else None)


class World:
    """What the examination found, and what it cost."""

    def __init__(self) -> None:
        self.checks: dict[str, Check] = {}
        self.queries: list[tuple[str, str, str]] = []
        self.commands: list[list[str]] = []
        self.complaints: list[str] = []
        self.lapse = 0.0


def examine(
    zone: str = ZONE,
    *,
    host: Host | str = "S: 220 mx ESMTP",
    behaviours: Mapping[str, str] | None = None,
    **settings: Any,
) -> World:
    """Examine this host with the lab as its world; the canary is mx.up.example [127.0.0.2]."""

    async def run() -> World:
        world = World()
        async with Lab(zone, {"127.0.0.2": host}, behaviours) as lab:
            given: dict[str, Any] = {
                "timeout": 8.0,
                "dns_timeout": 1.0,
                "dns_try_timeout": 0.5,
                "helo": "mail.example.com",
                "dns_servers": (f"127.0.0.1:{lab.dns_port}",),
                "canaries": ("mx.up.example",),
                "port": lab.port,
            }
            began = time.monotonic()
            seen = await doctor.observe(Settings(**given | settings))
            world.lapse = time.monotonic() - began
            world.queries = lab._names.queries
        for peer in lab.peers.values():
            world.commands += [each.commands for each in peer.connections]
            world.complaints += peer.complaints
        world.checks = {check.id: check for check in health.judge(seen).checks}
        return world

    return asyncio.run(run())


def descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_a_host_that_is_well() -> None:
    world = examine()
    results = {name: check.result for name, check in world.checks.items()}
    system = {"icmp-errors", "tcp-info", "ping"}  # these are those of this machine
    assert {name for name in results if results[name] is not OK} - system == {
        "ptr-ipv6",
        "outbound-ipv6",
        "clock",
    }
    assert world.checks["ptr-ipv4"].says == f"{OUR_IP} is mail.example.com, which leads back to it"
    assert world.checks["outbound-ipv4"].says.startswith("mx.up.example [127.0.0.2] answers after ")
    assert world.checks["outbound-ipv6"].says == (
        "nobody could be called: no canary has a usable IPv6 address (mx.up.example: nodata)"
    )
    assert len(world.commands) == 1
    assert (".", "NS", "tcp") in world.queries
    assert len(world.queries) == len(set(world.queries)) < 12


def test_the_canary_hears_quit_once_and_nothing_before_its_greeting() -> None:
    world = examine(host="*sleep 0.1\nS: 220 mx ESMTP Tue, 01 Dec 2026 12:00:02 +0000")
    assert [commands for commands in world.commands if commands] in (
        [["QUIT"]],
        [],
    )  # it may be on its way still
    assert world.checks["clock"].result in {OK, WARN}


def test_without_a_canary_nobody_is_called() -> None:
    world = examine(canaries=())
    assert world.commands == []
    assert world.checks["outbound-ipv4"].says == "no canary was to be called"
    assert not [query for query in world.queries if query[0] == "mx.up.example"]


def test_a_blocked_port() -> None:
    world = examine(host=DeadHost("127.0.0.2"), timeout=1.5)
    assert world.checks["outbound-ipv4"].result is FAIL
    assert "does not answer within" in world.checks["outbound-ipv4"].says
    assert world.lapse < 1.8


def test_a_name_behind_an_alias_and_an_address_without_a_name() -> None:
    world = examine(helo="alias.example.com", behaviours={POINTER: "nxdomain", "*": "cname-only"})
    assert world.checks["helo-address"].result is OK
    assert world.checks["ptr-ipv4"].says.startswith(f"{OUR_IP} has no PTR record (nxdomain)")


def test_our_own_name_is_looked_for_where_none_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "own_name", lambda: None)
    world = examine(helo=None)
    assert world.checks["helo-name"].result is FAIL
    monkeypatch.setattr(doctor, "own_name", lambda: "mail.example.com")
    assert examine(helo=None).checks["helo-name"].says == "mail.example.com, the name of this host"


def test_one_family_only() -> None:
    world = examine(families=(4,))
    assert world.checks["address-ipv6"].result is UNTESTED
    assert not [query for query in world.queries if query[:2] == ("mx.up.example", "AAAA")]


# --- hostile and broken name servers -----------------------------------------------------------------


@pytest.mark.parametrize("behaviour", sorted(BEHAVIOURS))
def test_whatever_the_name_server_does(behaviour: str) -> None:
    world = examine(behaviours={"*": behaviour}, timeout=1.0, dns_timeout=0.2, dns_try_timeout=0.1)
    assert list(world.checks) == list(CHECKS)
    assert world.lapse < 1.3


def test_a_resolver_that_lies() -> None:
    world = examine(
        zone="\n".join(f". 60 A 203.0.113.{n}" for n in range(4)),
        behaviours={"*": "wrong-question"},
        canaries=(),
        dns_timeout=0.2,
        dns_try_timeout=0.1,
    )
    assert world.checks["resolver-answers"].result is FAIL


def test_thousands_of_names_are_not_all_looked_up() -> None:
    names = "\n".join(f"{POINTER}. 60 PTR n{number}.{'x' * 40}.example." for number in range(300))
    world = examine(zone=names, canaries=())
    asked = [name for name, rdtype, _ in world.queries if name.startswith("n") and rdtype == "A"]
    assert len(set(asked)) <= health.SHOWN
    assert world.checks["ptr-ipv4"].result in {FAIL, UNTESTED}


def test_time_is_up() -> None:
    world = examine(behaviours={"*": "drop"}, timeout=0.5, dns_timeout=5.0, dns_try_timeout=2.5)
    assert world.lapse < 0.8
    assert world.checks["resolver-answers"].says == "our time was up"
    assert world.checks["outbound-ipv4"].result is UNTESTED


def test_interrupted_it_leaves_nothing_open() -> None:
    async def run() -> None:
        async with Lab("", {}, {"*": "drop"}) as lab:
            settings = Settings(dns_servers=(f"127.0.0.1:{lab.dns_port}",), canaries=("192.0.2.25",))
            before = descriptors()
            task = asyncio.create_task(doctor.observe(settings))
            await asyncio.sleep(0.1)
            assert descriptors() > before
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await asyncio.sleep(0.05)  # the lab's name server closes its ends when ours are
            assert descriptors() == before

    asyncio.run(run())
