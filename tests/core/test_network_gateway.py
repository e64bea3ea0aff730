"""Paths on which the host's own address is a gateway's, or one router only sends back packets; evidence past reason."""

from __future__ import annotations

import time

from msgspec.structs import replace

from probe.core.classify import judge
from probe.core.model import Answer, CanaryOutcome, Cause, ConnectOutcome, PathEvidence, Side
from probe.core.network import FULL_VERDICT
from probe.core.network_facts import patience
from tests.core.test_network import HOST, ROUTERS, TCP, UDP, judged, packet, refused, silent, upto
from tests.support import make

GATEWAY = [
    *upto(2),
    packet(TCP, 25, 3, Answer.TIME_EXCEEDED, HOST),
    *2 * [packet(TCP, 25, 4, Answer.SILENT)],
    packet(UDP, 33434, None, Answer.PORT_UNREACHABLE, HOST, 62),
    packet(UDP, 33437, 3, Answer.PORT_UNREACHABLE, HOST),
    packet(UDP, 33438, 4, Answer.PORT_UNREACHABLE, HOST),
    packet(TCP, 443, None, Answer.RESET, HOST),
]
"""Hop 3 has the host's address, and passes port 25 on to a machine behind it."""


def test_silence_behind_their_own_gateway_is_theirs() -> None:
    report = judged(silent(), GATEWAY, CanaryOutcome.ANSWERED)
    assert (report.reason, report.side) == ("connect.port-filtered", Side.THEIRS)


def test_a_gateway_that_misses_the_machine_behind_it_prohibits_nothing() -> None:
    report = judged(refused(ConnectOutcome.HOST_UNREACHABLE, 3, 1, HOST, at=3.1), [])
    assert (report.reason, report.side) == ("connect.host-unreachable", Side.THEIRS)


def test_one_router_that_sends_back_the_port_is_no_circle() -> None:
    probes = [
        packet(TCP, 25, 1, Answer.TIME_EXCEEDED, ROUTERS[1]),
        *(packet(TCP, 25, ttl, Answer.TIME_EXCEEDED, ROUTERS[2]) for ttl in (2, 3, 4)),
        packet(TCP, 443, None, Answer.CONNECTED, HOST),
    ]
    report = judged(refused(ConnectOutcome.HOST_UNREACHABLE, 11, 0, ROUTERS[2]), probes)
    assert report.reason != "connect.routing-loop"


def test_a_host_whose_turn_at_the_routers_never_came_is_not_waited_for() -> None:
    probes = [packet(TCP, port, None, Answer.SILENT) for port in (443, 587, 80)]
    host = replace(make.host(make.session(connected=silent())), path=PathEvidence(1.0, 3.4, tuple(probes)))
    assert patience(host, silent(), fast=False) is None
    assert host.path is not None
    host = replace(host, path=replace(host.path, lacking=("routers",)))
    assert patience(host, silent(), fast=False) == FULL_VERDICT


def test_hop_limits_past_reason_are_judged_in_no_time() -> None:
    probes = [
        each
        for ttl in range(10_000)
        for each in (
            packet(TCP, 25, ttl, Answer.SILENT),
            packet(UDP, 33434, ttl, Answer.TIME_EXCEEDED, "192.0.2.9"),
        )
    ]
    host = replace(make.host(make.session(connected=silent())), path=PathEvidence(1.0, 3.4, tuple(probes)))
    began = time.process_time()
    assert judge(make.evidence(host)).cause is Cause.FIREWALL_TIMEOUT
    assert time.process_time() - began < 5.0  # it was 35
