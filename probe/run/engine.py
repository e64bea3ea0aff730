"""The network behind `collect`: the real resolver, the real connections, one clock."""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

from probe.core.endpoint import SMTP_PORT
from probe.net.early import system_servers
from probe.net.hostname import own_name
from probe.net.resolve import Resolver
from probe.net.smtp import Call as SmtpCall
from probe.run.budget import RouterBudget
from probe.run.collect import Backends, Collection
from probe.run.lookout import SLOW
from probe.settings import DNS_TRIES, Settings, parse_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from probe.core.conversation import Plan
    from probe.core.model import Address, Canary, Evidence, Report
    from probe.core.route import Target
    from probe.core.search import Aim
    from probe.net.canary import Canaries
    from probe.net.early import EarlyQuery
    from probe.run.lookout import Search, Trail

PER_HOST = 2
"""Connections to one mail host address at once, over all addresses of a run: more looks like an attack."""

WARM_AFTER = 0.02
"""Seconds after the first connection, so that those begun together with it need not wait for Python's lock."""


class Engine:
    """What the probes of one run share: settings, our name, and the turns at each mail host.

    `later` names modules that are needed at the end: they are loaded while the first mail host lets us wait.
    """

    def __init__(self, settings: Settings, *, later: tuple[str, ...] = ("probe.show.text",)) -> None:
        self.settings = settings
        self.servers = (
            tuple(parse_server(text) for text in settings.dns_servers)
            if settings.dns_servers
            else system_servers()
        )
        self._later = later
        self._helo = settings.helo
        self._turns: dict[str, asyncio.Semaphore] = {}
        self._asked_name = settings.helo is not None
        self._running: list[Collection] = []
        self._began = False
        self._canaries: Canaries | None = None
        self._first_hops: dict[int, dict[int, str]] = {4: {}, 6: {}}
        self._budgets = {4: RouterBudget(), 6: RouterBudget()}

    async def aclose(self) -> None:
        """Give up what outlives a single collection: the call of the canary."""
        if self._canaries is not None:
            await self._canaries.aclose()

    def status(self) -> str:
        """Say what the oldest of the probes that run waits for; see `Collection.status`."""
        if self._running:
            return self._running[0].status()
        return "judging" if self._began else "starting"

    async def collect(
        self, address: Address, *, seed: int, started: float | None = None, early: EarlyQuery | None = None
    ) -> Evidence:
        """Collect the evidence of one address; `started` is the monotonic time that counts as 0.0."""
        zero = time.monotonic() if started is None else started

        def clock() -> float:
            return time.monotonic() - zero

        began = (datetime.now(UTC) - timedelta(seconds=clock())).isoformat(timespec="milliseconds")

        settings = self.settings
        resolver = Resolver(
            self.servers,
            clock=clock,
            timeout=settings.dns_timeout,
            try_timeout=settings.dns_try_timeout,
            tries=DNS_TRIES,
            early=early,
        )
        backends = Backends(
            resolver,
            lambda target, plan: self.call(target, plan, clock),
            clock,
            self._turn,
            search=lambda target, aim, trail: self.search(target, aim, trail, clock),
            search_turn=self.search_turn,
            canary=(lambda family, besides: self.canary(family, besides, clock, seed=seed))
            if self.has_canary()
            else None,
        )
        try:
            helo = self.own_name()
            collection = Collection(address, settings, backends, helo=helo, seed=seed)
            self._running.append(collection)
            self._began = True
            try:
                return await collection.run(began)
            finally:
                self._running.remove(collection)
        finally:
            await resolver.aclose()

    def call(
        self,
        target: Target,
        plan: Plan,
        clock: Callable[[], float],
        following: Callable[[bool], str | None] | None = None,
    ) -> SmtpCall:
        """Make the connection to a mail host; `following` names the next mailbox to ask over it."""
        _warm(self._later)
        settings = self.settings
        return SmtpCall(
            target.ip,
            settings.port,
            plan,
            connect_timeout=settings.connect_timeout,
            source=settings.source,
            clock=clock,
            server_name=target.name,
            following=following,
        )

    def search(self, target: Target, aim: Aim, trail: Trail, clock: Callable[[], float]) -> Search:
        """Make a search of the path to a mail host."""
        from probe.net.path import PathSearch

        return PathSearch(
            target.ip,
            self.settings.port,
            aim,
            source=self.settings.source,
            clock=clock,
            first_hops=self._first_hops[6 if ":" in target.ip else 4],
            rtt=trail.rtt,
            first=trail.first,
            notice=trail.notice,
            routers=trail.routers,
        )

    async def search_turn(self, family: int) -> bool:
        """Wait until the routers may be asked again over an address family; false: not in time."""
        return await self._budgets[family].turn()

    def has_canary(self) -> bool:
        """Whether there is one to call; those of our list are known to be up on port 25 only."""
        chosen = self.settings.canaries
        return bool(chosen) if chosen is not None else self.settings.port == SMTP_PORT

    async def canary(
        self, family: int, besides: tuple[str, ...], clock: Callable[[], float], *, seed: int
    ) -> Canary:
        """Call the canary of this run, or hear what came of its call; `seed` chooses it."""
        from probe.core.network import FAST_VERDICT, FULL_VERDICT

        limit = (FAST_VERDICT if self.settings.fast else FULL_VERDICT) - SLOW
        return await self._canary(seed).call(family, clock=clock, timeout=limit, besides=besides)

    def _canary(self, seed: int) -> Canaries:
        if self._canaries is None:
            from probe.net.canary import Canaries

            settings = self.settings
            self._canaries = Canaries(
                settings.canaries, self.servers, source=settings.source, seed=seed, port=settings.port
            )
        return self._canaries

    def own_name(self) -> str | None:
        """Give our HELO name; None where this host has none."""
        if not self._asked_name:
            self._asked_name = True
            self._helo = own_name()
        return self._helo

    @asynccontextmanager
    async def _turn(self, ip: str) -> AsyncIterator[None]:
        async with self._turns.setdefault(ip, asyncio.Semaphore(PER_HOST)):
            yield


@cache
def _warm(later: tuple[str, ...]) -> None:
    """Load what is needed later, once, while the first mail host takes its time to answer."""

    def load() -> None:
        for name in ("probe.net.wire", "probe.core.classify", *later):
            import_module(name)

    timer = threading.Timer(WARM_AFTER, load)
    timer.daemon = True
    timer.start()


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
    engine = Engine(chosen)
    try:
        evidence = await engine.collect(parse(address), seed=seed)
    finally:
        await engine.aclose()
    if evidence.interrupted:
        raise asyncio.CancelledError
    return judge(evidence)
