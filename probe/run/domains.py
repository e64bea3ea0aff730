"""The domains of a batch: their addresses from the spool, what the store knows of them, and what the DNS says."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from zlib import crc32

from msgspec.structs import replace

from probe.core.address import parse
from probe.core.model import Cause
from probe.core.route import route
from probe.net.lookup import Lookups
from probe.net.organisation import organisational_domains
from probe.run.agenda import Asked
from probe.run.learned import Taken
from probe.settings import DNS_TRIES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from probe.core.chain import Question
    from probe.core.model import Address, DnsAnswer, Report
    from probe.core.route import Route
    from probe.net.spool import Entry, Spool
    from probe.run.engine import Engine
    from probe.run.memory import Memory

FETCH = 50
"""Addresses of a domain that are taken from the spool at once, at least."""
AT_ONCE = 64
"""Domains that are taken from the spool at once."""
PROVIDERS = 1000
"""Names of mail hosts whose organisation is remembered."""


class Domains:
    """What is known of the domains of a batch, before any mail host is asked.

    `answered` takes an address that the store answers, and its report. `per_connection` addresses are a chunk.
    """

    def __init__(
        self,
        engine: Engine,
        spool: Spool,
        memory: Memory | None,
        answered: Callable[[Entry, Report], None],
        *,
        clock: Callable[[], float],
        per_connection: int,
        seed: int,
    ) -> None:
        self.spool = spool
        self.memory = memory
        self._settings = settings = engine.settings
        self._answered = answered
        self._per_connection = per_connection
        self._seed = seed
        self.taken = Taken(spool.taken)
        self._fetched: dict[str, list[Asked]] = {}
        self._providers: dict[str, str] = {}
        self._suffixes: asyncio.Task[dict[str, str]] | None = None
        self._lookups = Lookups(
            engine.servers,
            clock=clock,
            timeout=settings.dns_timeout,
            try_timeout=settings.dns_try_timeout,
            tries=DNS_TRIES,
            remember=memory,
        )

    async def aclose(self) -> None:
        """Give up what is being looked up."""
        await self._lookups.aclose()

    # --- addresses -----------------------------------------------------------------------------------

    def waiting(self) -> Iterator[str]:
        """Give every domain that waits in the spool, once."""
        while domains := self.spool.domains(AT_ONCE):
            yield from domains

    def chunk(self, domain: str) -> list[Asked]:
        """Take the next addresses of a domain that the store does not answer; none when there are no more."""
        waiting = self._fetched.pop(domain, None) or self._fetch(domain)
        chunk, rest = waiting[: self._per_connection], waiting[self._per_connection :]
        if rest:
            self._fetched[domain] = rest
        return chunk

    def park(self, domain: str, provider: str, chunk: list[Asked]) -> None:
        """Put a domain aside on disk, with a chunk that was taken, until its provider has room."""
        chunk += self._fetched.pop(domain, [])
        self.spool.give_back([asked.entry for asked in chunk])
        self.spool.park(domain, provider)

    def _fetch(self, domain: str) -> list[Asked]:
        """Take addresses from the spool, enough to be worth the look; deliver those that the store answers."""
        while entries := self.spool.addresses(domain, max(FETCH, self._per_connection)):
            fetched = [Asked(entry, address_of(entry)) for entry in entries]
            if self.memory is None:
                return fetched
            known = self.memory.reports([asked.address for asked in fetched])
            rest = []
            for asked in fetched:
                report = known.get(asked.address.mailbox)
                if report is None:
                    rest.append(asked)
                    continue
                if report.cause is Cause.SENDER_EXISTS:
                    self.taken.remember(asked.address)
                self._answered(asked.entry, report)
            if rest:
                return rest
        return []

    # --- the DNS -------------------------------------------------------------------------------------

    async def look_up(self, asked: Asked) -> tuple[tuple[DnsAnswer, ...], Route]:
        """Ask the DNS until it names the mail hosts, or why there are none; each question once."""
        if self._suffixes is None:
            # What `provider` reads takes a tenth of a second: beside the first questions, and not in their loop.
            self._suffixes = asyncio.create_task(asyncio.to_thread(organisational_domains, ("example.com",)))
        known: dict[Question, DnsAnswer] = {}
        address, settings = asked.address, self._settings
        while True:
            way = route(
                address,
                known.values(),
                seed=seed_of(self._seed, address.domain),
                families=settings.families,
                allow_private=settings.allow_private,
            )
            new = [question for question in way.questions if question not in known]
            if not new:
                if not self._suffixes.done():
                    await asyncio.wait({self._suffixes})
                return tuple(known.values()), way
            if len(new) == 1:
                known[new[0]] = await self._lookups.ask(new[0].name, new[0].type)
            else:
                asks = [self._lookups.ask(question.name, question.type) for question in new]
                known.update(zip(new, await asyncio.gather(*asks), strict=True))

    def provider(self, name: str) -> str:
        """Give the organisation to which a mail host belongs; a name without one is its own."""
        found = self._providers.get(name)
        if found is None:
            if len(self._providers) >= PROVIDERS:
                self._providers.clear()
            found = self._providers[name] = organisational_domains([name]).get(name, name)
        return found


def address_of(entry: Entry) -> Address:
    """Read an address of the spool, as it was given."""
    address = parse(entry.mailbox)
    return address if entry.given == address.given else replace(address, given=entry.given)


def seed_of(seed: int, domain: str) -> int:
    """Give the number that orders the mail hosts of a domain, from that of the batch."""
    return seed ^ crc32(domain.encode())
