"""Look at this host: what `probe-sender doctor` judges by. All look-ups and calls at once, under one limit."""

from __future__ import annotations

import asyncio
import secrets
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from msgspec.structs import replace

from probe.core.health import pointed_names
from probe.core.model import HeloSource, Scope
from probe.core.observations import End, Observations, Server
from probe.core.scope import read_ip, scope
from probe.net import local, packet
from probe.net.canary import Canaries
from probe.net.early import system_servers
from probe.net.hostname import own_name
from probe.net.resolve import Resolver, look_up
from probe.settings import DNS_TRIES, parse_server

if TYPE_CHECKING:
    from probe.core.chain import Found
    from probe.core.model import Canary, DnsAnswer
    from probe.settings import Settings

CANARY_SHARE = 0.9
"""Part of --timeout that the canary has, so that what is known of it arrives before all is over."""
_RDTYPES = {4: "A", 6: "AAAA"}


async def observe(settings: Settings) -> Observations:
    """Look at everything that `probe.core.health` judges, within `settings.timeout` seconds.

    What is not known by then is None in the observations. One canary connection is made for each address family.
    """
    examination = _Examination(settings)
    try:
        async with asyncio.timeout(settings.timeout):
            await examination.run()
    except TimeoutError:
        pass  # what is known by now is what there is
    finally:
        await examination.aclose()
    return examination.seen


class _Examination:
    """The observations while they are made: `seen` holds them, and every look replaces its part."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._zero = time.monotonic()
        self._servers = tuple(map(parse_server, settings.dns_servers)) or system_servers()
        self._alone = {
            (server, transport): self._resolver((server,), transport)
            for server in self._servers
            for transport in ("udp", "tcp")
        }
        self._names = self._resolver(self._servers, "udp")
        self._canaries: list[Canaries] = []
        self._family = local.FAMILIES[settings.families[0]]
        self.seen = Observations(
            began=datetime.now(UTC).isoformat(timespec="milliseconds"),
            servers=tuple(
                Server(f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}") for ip, port in self._servers
            ),
            host_name=local.host_name(),
            ends=tuple(
                End(family, local.source_address(family, settings.source)) for family in settings.families
            ),
            canary_wanted=settings.canaries != (),
            tcp_info=packet.has_tcp_info(),
            ping=packet.ping_kind(self._family) is not None,
        )

    async def run(self) -> None:
        """Look at all that takes time, at once."""
        # A name that no resolver has in its cache, and that cannot exist (RFC 6761 6.4).
        impossible = f"{secrets.token_hex(8)}.invalid"
        await asyncio.gather(
            *(self._look_at_server(at, impossible) for at in range(len(self._servers))),
            self._look_at_helo(),
            self._look_at_errors(),
            *(self._look_at_names(at) for at in range(len(self.seen.ends))),
            *(self._call(at) for at in range(len(self.seen.ends)) if self.seen.canary_wanted),
        )

    async def aclose(self) -> None:
        """Close every socket."""
        await asyncio.gather(*(canaries.aclose() for canaries in self._canaries))
        await asyncio.gather(*(resolver.aclose() for resolver in (self._names, *self._alone.values())))

    def _clock(self) -> float:
        return time.monotonic() - self._zero

    def _resolver(self, servers: tuple[tuple[str, int], ...], transport: str) -> Resolver:
        return Resolver(
            servers,
            clock=self._clock,
            timeout=self._settings.dns_timeout,
            try_timeout=self._settings.dns_try_timeout,
            tries=DNS_TRIES,
            transport=transport,
        )

    async def _look_at_server(self, at: int, impossible: str) -> None:
        udp, tcp = (self._alone[self._servers[at], transport] for transport in ("udp", "tcp"))

        async def ask(field: str, resolver: Resolver, name: str, rdtype: str) -> None:
            answer: DnsAnswer = await resolver.ask(name, rdtype)
            servers = list(self.seen.servers)
            servers[at] = replace(servers[at], **{field: answer})
            self.seen = replace(self.seen, servers=tuple(servers))

        await asyncio.gather(
            ask("root", udp, ".", "NS"), ask("invalid", udp, impossible, "A"), ask("tcp", tcp, ".", "NS")
        )

    async def _look_at_errors(self) -> None:
        self.seen = replace(self.seen, icmp_errors=await packet.reports_errors(self._family))

    async def _look_at_helo(self) -> None:
        helo, source = self._settings.helo, HeloSource.OPTION
        if helo is None:
            helo = await asyncio.to_thread(own_name)
            source = HeloSource.HOST if helo is not None else HeloSource.LITERAL
        self.seen = replace(self.seen, helo=helo, helo_source=source)
        if helo is not None and not helo.startswith("["):
            found = await asyncio.gather(
                *(look_up(self._names, helo, rdtype) for rdtype in _RDTYPES.values())
            )
            self.seen = replace(self.seen, helo_addresses=tuple(found))

    async def _look_at_names(self, at: int) -> None:
        """Look up the names of our address, and the addresses of these names (forward-confirmed reverse DNS)."""
        end = self.seen.ends[at]
        ip = read_ip(end.ip or "")
        if ip is None or scope(ip) is not Scope.PUBLIC:
            return
        names = await look_up(self._names, ip.reverse_pointer, "PTR")
        self._note_end(at, names=names)
        found = await asyncio.gather(
            *(look_up(self._names, name, _RDTYPES[end.family]) for name in pointed_names(names))
        )
        self._note_end(at, addresses=tuple(found))

    async def _call(self, at: int) -> None:
        settings = self._settings
        canaries = Canaries(
            settings.canaries,
            self._servers,
            source=settings.source,
            seed=secrets.randbits(32) if settings.seed is None else settings.seed,
            port=settings.port,
        )
        self._canaries.append(canaries)
        family = self.seen.ends[at].family
        limit = settings.timeout * CANARY_SHARE
        self._note_end(at, canary=await canaries.call(family, clock=self._clock, timeout=limit))

    def _note_end(self, at: int, **changes: Found | tuple[Found, ...] | Canary) -> None:
        ends = list(self.seen.ends)
        ends[at] = replace(ends[at], **changes)
        self.seen = replace(self.seen, ends=tuple(ends))
