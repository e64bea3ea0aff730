"""A whole mail world on loopback: one name server, and mail hosts on 127.0.0.x that share one SMTP port.

Linux answers on the whole of 127.0.0.0/8, so every host has an address of its own without root; and a
domain's mail hosts differ by address only, so all of them must listen on the same port.
"""

from __future__ import annotations

import asyncio
import errno
import select
import socket
import threading
from typing import TYPE_CHECKING, Protocol, Self

from probe.lab.nameserver import NameServer
from probe.lab.peer import Peer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType


PORT_TRIES = 20
"""Free ports that are tried until one is free on every address of a lab."""


class Host(Protocol):
    """What stands at one address of a lab: a `Peer`, a `DeadHost`, a `ClosedHost`."""

    @property
    def ip(self) -> str:
        """The address it stands at."""

    async def start(self, port: int = 0) -> int:
        """Take the port (any free one for 0) and return it; `OSError` when it is taken."""

    async def stop(self) -> None:
        """Give the port back and end what is under way."""


class DeadHost:
    """A host whose SYNs vanish, as behind a firewall that drops: connecting to it times out.

    Linux drops a SYN to a listening socket whose accept queue is full (tcp_conn_request in
    net/ipv4/tcp_input.c). With a backlog of 0 one connection that nobody accepts fills the queue (seen on
    6.18), yet that is tried here, not assumed: connections are added until one stays in progress.
    """

    ENOUGH = 64
    """Connections after which the queue ought to be full on any kernel."""
    PROOF = 20
    """Milliseconds without an answer that show that the SYN was dropped; loopback answers within one."""

    def __init__(self, ip: str) -> None:
        self.ip = ip
        self._sockets: list[socket.socket] = []

    async def start(self, port: int = 0) -> int:
        """Fill the accept queue; returns the port. `OSError` when that is taken or the queue has no end."""
        try:
            return self._fill(port)
        except OSError:
            await self.stop()
            raise

    def _fill(self, port: int) -> int:
        listener = _socket(self.ip, self._sockets)
        listener.bind((self.ip, port))
        listener.listen(0)
        address = listener.getsockname()
        for _ in range(self.ENOUGH):
            client = _socket(self.ip, self._sockets)
            client.setblocking(False)
            client.connect_ex(address)
            if not _answered(client, self.PROOF):
                bound: int = address[1]
                return bound
        raise OSError(f"this kernel goes on answering for {self.ip}: a silent host cannot be shown here")

    async def stop(self) -> None:
        """Close every socket; whoever connects from now on is refused."""
        while self._sockets:
            self._sockets.pop().close()


class ClosedHost:
    """A host where nothing listens: connecting to it is refused.

    The port is bound and not listened on, so that no other program of this machine can take it meanwhile.
    """

    def __init__(self, ip: str) -> None:
        self.ip = ip
        self._sockets: list[socket.socket] = []

    async def start(self, port: int = 0) -> int:
        """Reserve the port and return it; `OSError` when it is taken."""
        try:
            reserved = _socket(self.ip, self._sockets)
            reserved.bind((self.ip, port))
        except OSError:
            await self.stop()
            raise
        bound: int = reserved.getsockname()[1]
        return bound

    async def stop(self) -> None:
        """Give the port back."""
        while self._sockets:
            self._sockets.pop().close()


def _socket(ip: str, kept: list[socket.socket]) -> socket.socket:
    made = socket.socket(socket.AF_INET6 if ":" in ip else socket.AF_INET, socket.SOCK_STREAM)
    kept.append(made)
    return made


def _answered(client: socket.socket, milliseconds: int) -> bool:
    """Tell whether a connection attempt has ended, one way or the other."""
    waiting = select.poll()
    waiting.register(client, select.POLLOUT)
    return bool(waiting.poll(milliseconds))


class Lab:
    """The name server and every mail host of one story, as an async context manager.

    `zone` and `behaviours` are those of `NameServer`; `hosts` maps an address to what stands there, a
    script being short for a `Peer`. Inside the context `dns_port` and `port` tell where they listen.
    """

    def __init__(
        self,
        zone: str,
        hosts: Mapping[str, Host | str],
        behaviours: Mapping[str, str] | None = None,
    ) -> None:
        self.hosts: dict[str, Host] = {
            ip: Peer(host, ip=ip) if isinstance(host, str) else host for ip, host in hosts.items()
        }
        self.dns_port = 0
        self.port = 0
        self._names = NameServer(zone, behaviours)

    @property
    def peers(self) -> dict[str, Peer]:
        """The scripted hosts, which have something to tell about their clients."""
        return {ip: host for ip, host in self.hosts.items() if isinstance(host, Peer)}

    async def __aenter__(self) -> Self:
        try:
            self.dns_port = await self._names.start("127.0.0.1", 0)
            self.port = await self._start_hosts()
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stop()

    async def _start_hosts(self) -> int:
        """Start every host on one port: one that is free at the first address may be taken at another."""
        for _ in range(PORT_TRIES):
            port = 0
            try:
                for host in self.hosts.values():
                    port = await host.start(port)
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
                await self._stop_hosts()
            else:
                return port or await _closed_port()
        raise OSError(errno.EADDRINUSE, "no port is free on every address of the lab")

    async def _stop_hosts(self) -> None:
        await asyncio.gather(*(host.stop() for host in self.hosts.values()))

    async def _stop(self) -> None:
        await self._stop_hosts()
        await self._names.stop()


async def _closed_port() -> int:
    """Return a port for a lab without hosts; whoever connects to it is refused."""
    host = ClosedHost("127.0.0.1")
    port = await host.start()
    await host.stop()
    return port


class LabThread:
    """A `Lab` that runs in a thread of its own, as a sync context manager: for code that blocks."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._over: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._main, name="lab", daemon=True)

    def __enter__(self) -> Lab:
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            self._thread.join()
            raise self._failure
        return self.lab

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._loop is not None and self._over is not None:
            self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()
        if error is None and self._failure is not None:
            raise self._failure

    def _main(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as failure:  # noqa: BLE001 - handed to the thread that waits for it
            self._failure = failure
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._over = asyncio.Event()
        async with self.lab:
            self._ready.set()
            await self._over.wait()
