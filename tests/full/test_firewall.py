"""Real firewalls and routers on a short path: what each of them makes of a probe of both families at once.

The expectations come from the ICMP error that each rule sends, and were written down before the run. Where on
the path it is said is the matter of `test_network.py`. The tests that take longest come first, so that no
worker waits for them at the end.
"""

from __future__ import annotations

import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from probe.lab.world import LabThread
from tests.full.command import LIMIT, PROGRAM, Run, run
from tests.support.netns import Chain, NamespaceLab, need, server_ip

if TYPE_CHECKING:
    from collections.abc import Iterator

    from probe.lab.world import Lab
    from tests.support.netns import Namespace

pytestmark = pytest.mark.full

MAIL = 25
"""The number of the mail host of most tests."""
NOBODY = 99
"""An address on the server's link that no machine has."""
EIGHT = (11, 12, 13, 14)
"""Four mail hosts with an address of each family."""
OPTIONS = ("--json", "--allow-private", "--helo", "probe.example.net")

Outcome = tuple[str, str, int]
"""Cause, reason and exit code."""
ACCEPTED = ("sender-exists", "rcpt.accepted", 0)
TIMEOUT = ("firewall-timeout", "connect.timeout", 5)
REFUSED = ("unreachable", "connect.refused", 6)
HOST = ("unreachable", "connect.host-unreachable", 6)
NET = ("unreachable", "connect.net-unreachable", 6)
PROHIBITED = ("unreachable", "connect.prohibited", 6)
MIDDLEBOX = ("unreachable", "connect.refused-by-middlebox", 6)
FILTERED = ("firewall-timeout", "connect.port-filtered", 5)
OWN_FIREWALL = ("inconclusive", "connect.own-firewall", 3)
NO_ROUTE = ("inconclusive", "connect.no-route", 3)
OWN = ("inconclusive", "connect.local-error", 3)

RULES = {
    # id: (whose firewall, hook, verdict, what follows over IPv4, over IPv6)
    "server-drops": ("server", "input", "drop", TIMEOUT, TIMEOUT),
    "router-drops": ("router", "forward", "drop", TIMEOUT, TIMEOUT),
    "own-drops": ("client", "output", "drop", TIMEOUT, TIMEOUT),
    "server-resets": ("server", "input", "reject with tcp reset", REFUSED, REFUSED),
    "router-resets": ("router", "forward", "reject with tcp reset", REFUSED, REFUSED),
    "own-resets": ("client", "output", "reject with tcp reset", OWN_FIREWALL, OWN_FIREWALL),
    # Of this port only: then it is a rule, whatever the words.
    "router-host-unreachable": (
        "router",
        "forward",
        "reject with icmpx type host-unreachable",
        PROHIBITED,
        PROHIBITED,
    ),
    "router-net-unreachable": (
        "router",
        "forward",
        "reject with icmpx type no-route",
        PROHIBITED,
        PROHIBITED,
    ),
    "router-prohibits": (
        "router",
        "forward",
        "reject with icmpx type admin-prohibited",
        PROHIBITED,
        PROHIBITED,
    ),
    "server-prohibits": (
        "server",
        "input",
        "reject with icmpx type admin-prohibited",
        PROHIBITED,
        PROHIBITED,
    ),
    "router-port-unreachable": (
        "router",
        "forward",
        "reject with icmpx type port-unreachable",
        MIDDLEBOX,
        MIDDLEBOX,
    ),
    "own-port-unreachable": (
        "client",
        "output",
        "reject with icmpx type port-unreachable",
        OWN_FIREWALL,
        OWN_FIREWALL,
    ),
    "own-prohibits": (
        "client",
        "output",
        "reject with icmpx type admin-prohibited",
        OWN_FIREWALL,
        OWN_FIREWALL,
    ),
}

ROUTES = {
    # id: (whose routing table, kind of route, what follows over IPv4, over IPv6)
    "router-unreachable": ("router", "unreachable", HOST, NET),
    "router-prohibit": ("router", "prohibit", PROHIBITED, PROHIBITED),
    "own-unreachable": ("client", "unreachable", NO_ROUTE, NO_ROUTE),
    "own-prohibit": ("client", "prohibit", OWN, OWN),
    "own-blackhole": ("client", "blackhole", OWN, OWN),
}

STAGES = {
    # The first four octets that no longer pass, and the stage that then has no answer.
    "220 ": "banner.timeout",
    "EHLO": "helo.timeout",
    "MAIL": "mail.timeout",
    "RCPT": "rcpt.timeout",
}


@pytest.fixture(scope="module")
def whole_chain() -> Iterator[Chain]:
    need("nft")
    with Chain((MAIL, *EIGHT)) as chain:
        yield chain


@pytest.fixture
def chain(whole_chain: Chain) -> Chain:
    whole_chain.open()
    return whole_chain


def test_all_eight_addresses_are_silent(chain: Chain) -> None:
    ended = _probe_eight(chain, silent=_eight_addresses())
    assert _outcome(ended) == FILTERED
    assert ended.seconds < 15  # benchmarks.deadhosts holds the goal; here a busy machine must not fail


def test_seven_of_eight_addresses_are_silent(chain: Chain) -> None:
    addresses = _eight_addresses()
    ended = _probe_eight(chain, silent=addresses[:-1])
    assert _outcome(ended) == ACCEPTED
    assert [host["ip"] for host in ended.report["hosts"]] == addresses
    *dead, last = [(host["cause"], host["reason"]) for host in ended.report["hosts"]]
    assert set(dead) <= {TIMEOUT[:2], FILTERED[:2]}  # the first ones may be silent for long enough
    assert last == ACCEPTED[:2]
    assert ended.seconds < 6  # benchmarks.deadhosts holds the goal; here a busy machine must not fail


def test_open_path(chain: Chain) -> None:
    _check(_probe(chain), ACCEPTED, ACCEPTED)


@pytest.mark.parametrize("name", RULES)
def test_firewall_rule(chain: Chain, name: str) -> None:
    where, hook, verdict, over_4, over_6 = RULES[name]
    getattr(chain, where).filter(hook, f"tcp dport 25 {verdict}")
    ended = _probe(chain, "--connect-timeout", "0.5" if verdict == "drop" else "3")
    _check(ended, over_4, over_6)
    if verdict == "drop":
        assert ended.report["confidence"] != "certain"


@pytest.mark.parametrize("name", ROUTES)
def test_route(chain: Chain, name: str) -> None:
    where, kind, over_4, over_6 = ROUTES[name]
    routes = [f"{kind} {server_ip(family, MAIL)}" for family in (4, 6)]
    ended = _probe_rerouted(getattr(chain, where), chain, "add", "delete", *routes)
    _check(ended, over_4, over_6)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [("", HOST), ("tcp dport 25 ", PROHIBITED)],
    ids=["the-host", "the-port"],
)
def test_router_whose_error_for_the_connection_is_lost(chain: Chain, rule: str, expected: Outcome) -> None:
    """Routers send only so many errors. Here it is those about packets of a full hop limit that do not come."""
    nobody = [
        f"{'ip6' if ':' in ip else 'ip'} daddr {ip} " for ip in (server_ip(4, MAIL), server_ip(6, MAIL))
    ]
    chain.router.filters(
        {
            "forward": [f"{ip}{rule}reject with icmpx type host-unreachable" for ip in nobody],
            "output": [
                # The hop limit of the packet that the error quotes: octet 8 of IPv4's header, octet 7 of IPv6's.
                "icmp type destination-unreachable @th,128,8 > 32 drop",
                "icmpv6 type destination-unreachable @th,120,8 > 32 drop",
            ],
        }
    )
    _check(_probe(chain), expected, expected)


def test_no_route_at_all(chain: Chain) -> None:
    gateways = ("default via 198.51.100.1", "default via 2001:db8:1::1")
    _check(_probe_rerouted(chain.client, chain, "delete", "add", *gateways), NO_ROUTE, NO_ROUTE)


def test_host_that_is_down(chain: Chain) -> None:
    """Its router asks for it three times, a second apart, and then says so."""
    _check(_probe(chain, host=NOBODY), HOST, HOST)


@pytest.mark.parametrize("octets", STAGES)
def test_conversation_cut(chain: Chain, octets: str) -> None:
    chain.router.filter("forward", f"@ih,0,32 0x{octets.encode().hex()} drop")
    ended = _probe(chain, "-4", "--reply-timeout", "0.5")
    assert _outcome(ended) == ("firewall-timeout", STAGES[octets], 5)


def test_rule_that_drops_inserted_after_the_greeting(chain: Chain) -> None:
    ended = _probe_interfered(chain, "tcp dport 25 drop", "tcp sport 25 drop")
    assert _outcome(ended) == ("firewall-timeout", "helo.timeout", 5)


def test_rule_that_rejects_inserted_after_the_greeting(chain: Chain) -> None:
    """ICMP does not end a connection that stands, but the kernel remembers it; a fresh SYN tells the router."""
    ended = _probe_interfered(chain, "tcp dport 25 reject with icmpx type admin-prohibited")
    assert _outcome(ended) == ("unreachable", "reply.rejected-midway", 6)
    assert "198.51.100.1" in ended.report["summary"]


def _probe_interfered(chain: Chain, *rules: str) -> Run:
    """Probe while rules come into force on the router, after the greeting and before the answer to EHLO."""
    script = "S: 220 mail.example ESMTP\nC: EHLO\n*sleep 1\nS: 250 mail.example\n*silence"
    arguments = (PROGRAM, *OPTIONS, "-4", "--reply-timeout", "2.5", "user@d.example")
    with (
        LabThread(_names(chain, _zone("mx.d.example", MAIL))),
        LabThread(NamespaceLab(chain.server, "", {server_ip(4, MAIL): script})) as lab,
        subprocess.Popen(chain.client.command(*arguments), stdout=subprocess.PIPE) as probe,
    ):
        (peer,) = lab.peers.values()
        end = time.monotonic() + LIMIT
        while time.monotonic() < end and not (peer.connections and peer.connections[0].commands):
            time.sleep(0.01)
        chain.router.filter("forward", *rules)
        output, _ = probe.communicate(timeout=LIMIT)
    return Run(probe.returncode, output, b"", 0.0)


def _zone(name: str, number: int, preference: int = 10) -> str:
    return (
        f"d.example. 300 MX {preference} {name}.\n"
        f"{name}. 300 A {server_ip(4, number)}\n"
        f"{name}. 300 AAAA {server_ip(6, number)}\n"
    )


def _names(chain: Chain, zone: str) -> Lab:
    return NamespaceLab(chain.client, zone, {})


def _probe(chain: Chain, *options: str, host: int = MAIL) -> Run:
    """Probe both addresses of the domain's one mail host."""
    with (
        LabThread(_names(chain, _zone("mx.d.example", host))),
        LabThread(NamespaceLab(chain.server, "", {server_ip(family, MAIL): "*good" for family in (4, 6)})),
    ):
        return run(*OPTIONS, "--all-hosts", *options, "user@d.example", inside=chain.client)


def _probe_rerouted(namespace: Namespace, chain: Chain, first: str, then: str, *routes: str) -> Run:
    """Probe while routes are added (`first`) and deleted again (`then`), or the other way round."""
    namespace.ip(*(f"route {first} {route}" for route in routes))
    try:
        return _probe(chain)
    finally:
        namespace.ip(*(f"route {then} {route}" for route in routes))


def _eight_addresses() -> list[str]:
    """Give them in the order in which Exim asks them: by preference, of one host IPv6 first."""
    return [server_ip(family, number) for number in EIGHT for family in (6, 4)]


def _probe_eight(chain: Chain, *, silent: list[str]) -> Run:
    drops = (f"{'ip6' if ':' in ip else 'ip'} daddr {ip} tcp dport 25 drop" for ip in silent)
    chain.router.filter("forward", *drops)
    zone = "".join(_zone(f"mx{number}.d.example", number, number) for number in EIGHT)
    with (
        LabThread(_names(chain, zone)),
        LabThread(NamespaceLab(chain.server, "", dict.fromkeys(_eight_addresses(), "*good"))),
    ):
        return run(*OPTIONS, "user@d.example", inside=chain.client)


def _check(ended: Run, over_4: Outcome, over_6: Outcome) -> None:
    """Hold each address against what follows over its family, and the whole against one of the two."""
    assert {":" in host["ip"]: (host["cause"], host["reason"]) for host in ended.report["hosts"]} == {
        True: over_6[:2],
        False: over_4[:2],
    }
    assert _outcome(ended) in {over_4, over_6}


def _outcome(ended: Run) -> Outcome:
    return ended.report["cause"], ended.report["reason"], ended.code
