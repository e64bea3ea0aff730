"""`doctor` behind real firewalls, as a user without privileges: is port 25 open, over each family."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest

from probe.lab.peer import Peer
from probe.lab.world import LabThread
from tests.full.command import Run, run
from tests.support.netns import CLIENT, Chain, NamespaceLab, need, server_ip

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.full

CANARY = 25
ZONE = f"""\
.                   300 NS a.root-servers.example.
probe.example.net.  300 A {CLIENT[4]}
probe.example.net.  300 AAAA {CLIENT[6]}
mx.up.example.      300 A {server_ip(4, CANARY)}
mx.up.example.      300 AAAA {server_ip(6, CANARY)}
"""


@pytest.fixture(scope="module")
def whole_chain() -> Iterator[Chain]:
    need("nft")
    with Chain((CANARY,)) as chain:
        yield chain


@pytest.fixture
def chain(whole_chain: Chain) -> Chain:
    whole_chain.open()
    return whole_chain


def examine(chain: Chain, *options: str) -> tuple[Run, dict[str, dict[str, Any]], list[Peer]]:
    """Examine the client, with a name server of its own and a canary at the server."""
    peers = [Peer("S: 220 mx ESMTP", ip=server_ip(family, CANARY)) for family in (4, 6)]
    with contextlib.ExitStack() as stack:
        stack.enter_context(LabThread(NamespaceLab(chain.client, ZONE, {})))
        stack.enter_context(LabThread(NamespaceLab(chain.server, "", {peer.ip: peer for peer in peers})))
        ended = run(
            *("doctor", "--json", "--helo=probe.example.net", "--canary=mx.up.example", *options),
            inside=chain.client,
            nobody=True,
        )
    assert ended.errors == b""
    assert [complaint for peer in peers for complaint in peer.complaints] == []
    return ended, {check["id"]: check for check in ended.report["checks"]}, peers


def results(checks: dict[str, dict[str, Any]]) -> list[str]:
    return [checks[f"outbound-ipv{family}"]["result"] for family in (4, 6)]


def test_open_it_costs_one_connection_for_each_family(chain: Chain) -> None:
    ended, checks, peers = examine(chain)
    assert (ended.code, results(checks)) == (0, ["ok", "ok"])
    assert [[seen.commands for seen in peer.connections] for peer in peers] == [[["QUIT"]]] * 2
    assert checks["resolver-answers"]["says"].startswith("127.0.0.1:53 answers within")
    assert checks["address-ipv4"]["says"].startswith(CLIENT[4])
    assert checks["address-ipv6"]["says"].startswith(CLIENT[6])


@pytest.mark.parametrize("where", ["client", "router"])
def test_a_blocked_port(chain: Chain, where: str) -> None:
    getattr(chain, where).filter("output" if where == "client" else "forward", "tcp dport 25 drop")
    ended, checks, _ = examine(chain, "--timeout=3")
    assert (ended.code, results(checks)) == (3, ["fail", "fail"])
    assert "mx.up.example [203.0.113.25] does not answer within" in checks["outbound-ipv4"]["says"]
    assert ended.seconds < 5


def test_a_port_that_a_router_prohibits(chain: Chain) -> None:
    chain.router.filter("forward", "tcp dport 25 reject with icmpx type admin-prohibited")
    ended, checks, _ = examine(chain)
    assert (ended.code, results(checks)) == (3, ["fail", "fail"])
    assert "from 198.51.100.1" in checks["outbound-ipv4"]["says"]
    assert "from 2001:db8:1::1" in checks["outbound-ipv6"]["says"]


def test_no_route_to_ipv6_is_no_fault(chain: Chain) -> None:
    chain.client.ip("route delete default via 2001:db8:1::1")
    try:
        ended, checks, peers = examine(chain)
    finally:
        chain.client.ip("route add default via 2001:db8:1::1")
    assert (ended.code, results(checks)) == (0, ["ok", "untested"])
    assert checks["address-ipv6"]["result"] == "ok"
    assert "could not be tried: ENETUNREACH" in checks["outbound-ipv6"]["says"]
    assert len(peers[0].connections) == 1
