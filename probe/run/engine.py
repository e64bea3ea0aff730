"""The network behind `collect`: the real resolver, the real connections, one clock."""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

from probe.net.early import system_servers
from probe.net.hostname import own_name
from probe.net.resolve import Resolver
from probe.net.smtp import Call as SmtpCall
from probe.run.collect import Backends, Collection
from probe.settings import DNS_TRIES, Settings, parse_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from probe.core.conversation import Plan
    from probe.core.model import Address, Evidence, Report
    from probe.core.route import Target
    from probe.net.early import EarlyQuery
    from probe.run.collect import Call

PER_HOST = 2
"""Connections to one mail host address at once, over all addresses of a run: more looks like an attack."""


class Engine:
    """What the probes of one run share: settings, our name, and the turns at each mail host."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.servers = (
            tuple(parse_server(text) for text in settings.dns_servers)
            if settings.dns_servers
            else system_servers()
        )
        self._helo = settings.helo
        self._turns: dict[str, asyncio.Semaphore] = {}
        self._asked_name = settings.helo is not None
        self._running: list[Collection] = []

    def status(self) -> str:
        """Say what the oldest of the probes that run waits for; see `Collection.status`."""
        return self._running[0].status() if self._running else "starting"

    async def collect(
        self, address: Address, *, seed: int, started: float | None = None, early: EarlyQuery | None = None
    ) -> Evidence:
        """Collect the evidence of one address; `started` is the monotonic time that counts as 0.0."""
        zero = time.monotonic() if started is None else started
        began = datetime.now(UTC).isoformat(timespec="milliseconds")

        def clock() -> float:
            return time.monotonic() - zero

        settings = self.settings
        resolver = Resolver(
            self.servers,
            clock=clock,
            timeout=settings.dns_timeout,
            try_timeout=settings.dns_try_timeout,
            tries=DNS_TRIES,
            early=early,
        )

        def call(target: Target, plan: Plan) -> Call:
            _warm()
            return SmtpCall(
                target.ip,
                settings.port,
                plan,
                connect_timeout=settings.connect_timeout,
                source=settings.source,
                clock=clock,
                server_name=target.name,
            )

        try:
            helo = self._own_name()
            collection = Collection(
                address, settings, Backends(resolver, call, clock, self._turn), helo=helo, seed=seed
            )
            self._running.append(collection)
            try:
                return await collection.run(began)
            finally:
                self._running.remove(collection)
        finally:
            await resolver.aclose()

    def _own_name(self) -> str | None:
        if not self._asked_name:
            self._asked_name = True
            self._helo = own_name()
        return self._helo

    @asynccontextmanager
    async def _turn(self, ip: str) -> AsyncIterator[None]:
        async with self._turns.setdefault(ip, asyncio.Semaphore(PER_HOST)):
            yield


@cache
def _warm() -> None:
    """Load what is needed later, once, while the first mail host takes its time to answer."""

    def load() -> None:
        for name in ("probe.net.wire", "probe.core.classify", "probe.show.text"):
            import_module(name)

    threading.Thread(target=load, daemon=True).start()


async def probe_sender(address: str, settings: Settings | None = None) -> Report:
    """Diagnose one address: the same engine as the command, for use from Python.

    Raises `probe.core.address.AddressError` for what is no address; nothing that a peer or a network does
    raises. Being cancelled ends the probe at once and raises `asyncio.CancelledError` as usual.
    """
    import secrets

    from probe.core.address import parse
    from probe.core.classify import judge

    chosen = settings or Settings()
    seed = chosen.seed if chosen.seed is not None else secrets.randbits(32)
    evidence = await Engine(chosen).collect(parse(address), seed=seed)
    if evidence.interrupted:
        raise asyncio.CancelledError
    return judge(evidence)
