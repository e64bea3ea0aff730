"""Hosts that do not answer, and a whole lab on one port."""

from __future__ import annotations

import asyncio
import socket
import time

import pytest

from probe.lab.peer import Peer
from probe.lab.world import ClosedHost, DeadHost, Lab, LabThread

ZONE = "d.example. 300 MX 10 mx1.d.example."


def connect(ip: str, port: int, limit: float) -> str:
    with socket.socket(socket.AF_INET6 if ":" in ip else socket.AF_INET) as client:
        client.settimeout(limit)
        try:
            client.connect((ip, port))
        except TimeoutError:
            return "timeout"
        except ConnectionRefusedError:
            return "refused"
        return "connected"


def test_a_dead_host_swallows_every_syn_until_it_is_stopped() -> None:
    async def watch() -> list[str]:
        host = DeadHost("127.0.0.2")
        port = await host.start()
        seen = [await asyncio.to_thread(connect, host.ip, port, 0.2) for _ in range(3)]
        await host.stop()
        return [*seen, await asyncio.to_thread(connect, host.ip, port, 0.2)]

    assert asyncio.run(watch()) == ["timeout", "timeout", "timeout", "refused"]


def test_a_closed_host_refuses_and_keeps_its_port() -> None:
    async def watch() -> str:
        host = ClosedHost("127.0.0.2")
        port = await host.start()
        seen = await asyncio.to_thread(connect, host.ip, port, 1.0)
        with pytest.raises(OSError, match="in use"):
            await ClosedHost("127.0.0.2").start(port)
        await host.stop()
        return seen

    assert asyncio.run(watch()) == "refused"


def test_all_hosts_of_a_lab_share_a_port_and_its_end_frees_everything() -> None:
    lab = Lab(
        ZONE, {"127.0.0.2": "*good", "127.0.0.3": DeadHost("127.0.0.3"), "127.0.0.4": ClosedHost("127.0.0.4")}
    )
    with LabThread(lab) as world:
        assert [connect(ip, world.port, 0.2) for ip in world.hosts] == ["connected", "timeout", "refused"]
        assert world.dns_port
    assert list(lab.peers) == ["127.0.0.2"]
    assert lab.peers["127.0.0.2"].complaints == ["hung up without QUIT"]
    assert [connect(ip, lab.port, 0.2) for ip in lab.hosts] == ["refused"] * 3


def test_a_lab_looks_for_a_port_that_is_free_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[int] = []
    start = ClosedHost.start

    async def taken_at_first(self: ClosedHost, port: int = 0) -> int:
        tried.append(port)
        if len(tried) == 1:
            raise OSError(98, "Address already in use")
        return await start(self, port)

    monkeypatch.setattr(ClosedHost, "start", taken_at_first)
    with LabThread(
        Lab(ZONE, {"127.0.0.2": Peer("*good", ip="127.0.0.2"), "127.0.0.3": ClosedHost("127.0.0.3")})
    ) as lab:
        assert lab.port == tried[-1]
        assert connect("127.0.0.2", lab.port, 0.5) == "connected"


def test_a_lab_without_hosts_has_a_port_that_refuses() -> None:
    with LabThread(Lab(ZONE, {})) as lab:
        assert connect("127.0.0.1", lab.port, 0.5) == "refused"


def test_what_keeps_a_lab_from_starting_is_told_to_its_user() -> None:
    began = time.monotonic()
    with pytest.raises(ValueError, match="nonsense"), LabThread(Lab(ZONE, {}, {"*": "nonsense"})):
        pass
    with (
        pytest.raises(OSError, match=r"annot assign|could not bind"),
        LabThread(Lab(ZONE, {"192.0.2.99": "*good"})),
    ):
        pass
    assert time.monotonic() - began < 5
