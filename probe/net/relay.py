"""What the DNS says of a sending relay: its names, the sender's SPF record, blocklists. All at once, one resolver."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from msgspec.structs import replace

from probe.core.exemption.preflight import pointed_names
from probe.core.exemption.relay import Listing, RelaySeen
from probe.core.spf import TIME_LIMIT, Spf, check_host
from probe.core.spf.macro import Identity
from probe.core.spf.record import SpfResult
from probe.net.resolve import look_up

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from probe.core.model import Address
    from probe.core.scope import IP
    from probe.net.resolve import Resolver

UNKNOWN_HELO = "unknown"
"""What %{h} of an SPF record stands for: what the relay called itself is in the log, and not known here."""


class RelayLook:
    """The look-ups about one relay while they are made: `seen` holds what is known so far."""

    def __init__(self, resolver: Resolver, ip: IP, sender: Address, zones: tuple[str, ...]) -> None:
        self._resolver = resolver
        self._ip = ip
        self._sender = sender
        self._zones = zones
        self.seen = RelaySeen(ip=str(ip))

    async def run(self) -> None:
        """Look at everything at once; only CancelledError passes, and `seen` then holds what was learned."""
        looks: list[Coroutine[object, object, None]] = [self._look_at_names()]
        if self._sender.ip is None:
            looks.append(self._look_at_spf())
        looks += [self._look_at_list(zone) for zone in self._zones]
        await asyncio.gather(*looks)

    async def _look_at_names(self) -> None:
        names = await look_up(self._resolver, self._ip.reverse_pointer, "PTR")
        self.seen = replace(self.seen, names=names)
        rdtype = "A" if self._ip.version == 4 else "AAAA"
        addresses = await asyncio.gather(
            *(look_up(self._resolver, name, rdtype) for name in pointed_names(names))
        )
        self.seen = replace(self.seen, addresses=tuple(addresses))

    async def _look_at_spf(self) -> None:
        sender = self._sender
        who = Identity(self._ip, _unquoted(sender.local), sender.domain, UNKNOWN_HELO)
        try:
            async with asyncio.timeout(TIME_LIMIT):
                spf = await evaluate(self._resolver, who)
        except TimeoutError:
            spf = Spf(
                result=SpfResult.TEMPERROR,
                domain=sender.domain,
                problem=f"it takes longer than {TIME_LIMIT:.0f} s (RFC 7208 4.6.4)",
            )
        self.seen = replace(self.seen, spf=spf)

    async def _look_at_list(self, zone: str) -> None:
        pointer = self._ip.reverse_pointer
        reverse = pointer.removesuffix(".in-addr.arpa").removesuffix(".ip6.arpa")
        found = await look_up(self._resolver, f"{reverse}.{zone}", "A")
        self.seen = replace(self.seen, listings=(*self.seen.listings, Listing(zone, found)))


async def evaluate(resolver: Resolver, who: Identity) -> Spf:
    """Evaluate SPF with this resolver; how long that takes is bounded by the limits of RFC 7208 4.6.4 and of it."""
    checking = check_host(who)
    try:
        question = next(checking)
        while True:
            question = checking.send(await look_up(resolver, question.name, question.type))
    except StopIteration as done:
        result: Spf = done.value
        return result


def _unquoted(local: str) -> str:
    """Give the local part as %{l} has it: what a quoted string stands for (RFC 5321 4.1.2)."""
    if not local.startswith('"'):
        return local
    return local[1:-1].replace("\\\\", "\0").replace("\\", "").replace("\0", "\\")
