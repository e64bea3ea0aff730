"""What a probe costs others: every packet that leaves the client is counted."""

from __future__ import annotations

import contextlib
import ipaddress
import select
import socket
import struct
import threading
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from msgspec import Struct

from tests.full.command import run_over_each_family
from tests.support.netns import need
from tests.support.road import CANARY, HOPS, OTHER, TARGET, Road

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.full

OPTIONS = ("--json", "--allow-private", "--helo", "probe.example.net")
WITH_CANARY = ("--canary", f"{CANARY}:25")
DROP = "target input: tcp dport 25 drop"
TOTAL = 40
"""Packets towards a mail host whose port is silent."""
PER_ROUTER = 5
"""Packets that may end at one router: Linux answers 6 of them at once, then one a second."""
PROXY_CHECK = 3
"""Packets that a probe without trouble may send to see whether it is the mail host who answered."""

_ETH_P_ALL = 0x0003
_PACKET_OUTGOING = 4
_TCP, _UDP = 6, 17


class Packet(Struct, frozen=True):
    """One packet as it left: destination, hop limit, protocol number, and the ports of TCP and UDP."""

    to: str
    ttl: int
    protocol: int
    source_port: int
    port: int

    @property
    def flow(self) -> tuple[str, int, int, int]:
        """The conversation it belongs to."""
        return self.to, self.protocol, self.source_port, self.port


@pytest.fixture(scope="module")
def whole_road() -> Iterator[Road]:
    need("nft", "setpriv")
    with Road() as road:
        yield road


@pytest.fixture
def road(whole_road: Road) -> Road:
    whole_road.new_client()
    return whole_road


def test_silent_target_costs_few_packets(road: Road) -> None:
    with road.serving("target", "*good"), road.serving("other", "*good") as other, road.obstructed(DROP):
        sent = _sent(road, *WITH_CANARY)
    for family, hops in HOPS.items():
        to_target = [packet for packet in sent if packet.to == TARGET[family]]
        assert 2 <= len(to_target) <= TOTAL, Counter((p.protocol, p.port, p.ttl) for p in to_target)
        # What the canary's packets use up at the first hops counts too; none of them is short-lived.
        ended = Counter(packet.ttl for packet in sent if packet.to in {TARGET[family], OTHER[family]})
        for hop in range(1, len(hops)):
            assert 1 <= ended[hop] <= PER_ROUTER, f"IPv{family}, hop {hop}"
    for ip, peer in other.peers.items():
        assert [seen.commands for seen in peer.connections] == [["QUIT"]], ip
        assert not peer.complaints


def test_search_stops_at_the_target(road: Road) -> None:
    """The farthest packet may pass it by two hops: they are under way when the answer comes."""
    with road.serving("target", "*good"), road.serving("other", "*good"), road.obstructed(DROP):
        sent = _sent(road, *WITH_CANARY)
    assert max(packet.ttl for packet in sent if packet.ttl < 32) <= 6


def test_healthy_probe_sends_its_conversation_only(road: Road) -> None:
    with road.serving("target", "*good") as target, road.serving("other", "*good") as other:
        sent = _sent(road, *WITH_CANARY)
    for ip in TARGET.values():
        talk = _callout(sent, ip)
        beside = [packet for packet in sent if packet.to == ip and packet.flow != talk]
        assert len(beside) <= PROXY_CHECK, beside
    assert all(len(peer.connections) == 1 for peer in target.peers.values())
    assert not any(packet.to in OTHER.values() for packet in sent)
    assert not any(peer.connections for peer in other.peers.values())


@pytest.mark.parametrize("obstacles", [(), (DROP,)], ids=["open", "silent"])
def test_without_trace_nothing_but_the_callout_is_sent(road: Road, obstacles: tuple[str, ...]) -> None:
    with road.serving("target", "*good"), road.serving("other", "*good"), road.obstructed(*obstacles):
        sent = _sent(road, "--no-trace", "--no-canary", "--connect-timeout", "3")
    for ip in TARGET.values():
        assert {packet.flow for packet in sent if packet.to == ip} == {_callout(sent, ip)}
    assert not any(packet.to in OTHER.values() for packet in sent)


def _callout(sent: list[Packet], ip: str) -> tuple[str, int, int, int]:
    """Give the conversation of the first packet to a mail host."""
    first = next(packet for packet in sent if packet.to == ip)
    assert (first.protocol, first.port) == (_TCP, 25)
    return first.flow


def _sent(road: Road, *options: str) -> list[Packet]:
    """Probe over both families, and give every packet that leaves the client meanwhile."""
    with road.client.entered():
        # Of all protocols, and without the Ethernet header: packet(7).
        wire = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ETH_P_ALL))
    with wire, _recorded(wire) as packets:
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        run_over_each_family(*OPTIONS, *options, "user@d.example", inside=road.client)
    return packets


@contextlib.contextmanager
def _recorded(wire: socket.socket) -> Iterator[list[Packet]]:
    packets: list[Packet] = []
    over = threading.Event()

    def record() -> None:
        while True:
            ended = over.is_set()
            readable, _, _ = select.select([wire], [], [], 0.05)
            if not readable:
                if ended:
                    return
                continue
            data, (device, _, kind, *_) = wire.recvfrom(65535)
            packet = _read(data)
            if kind == _PACKET_OUTGOING and device != "lo" and packet is not None:
                packets.append(packet)

    thread = threading.Thread(target=record, name="packets")
    thread.start()
    try:
        yield packets
    finally:
        over.set()
        thread.join()


def _read(data: bytes) -> Packet | None:
    """Read an IPv4 or IPv6 packet without options; None for ARP, neighbour discovery and the like."""
    if data[:1] == b"\x45":
        ttl, protocol, to, rest = data[8], data[9], data[16:20], data[20:]
    elif data and data[0] >> 4 == 6 and len(data) >= 40:
        ttl, protocol, to, rest = data[7], data[6], data[24:40], data[40:]
    else:
        return None
    address = str(ipaddress.ip_address(to))
    if address not in {*TARGET.values(), *OTHER.values()}:
        return None
    ports = struct.unpack_from("!HH", rest) if protocol in {_TCP, _UDP} else (0, 0)
    return Packet(address, ttl, protocol, *ports)
