"""Find out for whom the entries of a list of exempted relays are, and call those senders again."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections import Counter
from contextlib import aclosing
from ipaddress import IPv4Network, ip_network
from typing import TYPE_CHECKING

from probe.core.address import AddressError, parse
from probe.core.classify import judge
from probe.core.exemption.iplist import Index
from probe.core.exemption.listing import Sender
from probe.core.exemption.preflight import need
from probe.core.log.line import parse as parse_line
from probe.core.scope import read_ip
from probe.run.engine import Engine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from probe.core.exemption.iplist import Entry
    from probe.core.log.event import LogEvent
    from probe.core.model import Address, Evidence
    from probe.settings import Settings

AT_ONCE = 4
"""Senders that are probed at the same time: nobody waits for this, and their mail hosts are not to notice."""
PER_ENTRY = 3
"""Senders of one entry that are probed: those whose mail comes most often stand for the rest."""
_ALTERNATIVES = 300
"""Addresses that a pattern may name before it looks at their first two octets only, and so at more lines."""
_REMEMBERED = 1000
"""Different senders of one entry that are counted: a mailing has a new one for every recipient."""


class LogView:
    """Which relays of a list the log names, and with which senders. Fed with events, in bounded memory."""

    def __init__(self, entries: tuple[Entry, ...]) -> None:
        self._index = Index(entries)
        self._naming = _naming(entries)
        self._lines = [entry.line for entry in entries if entry.network is not None]
        self._senders: dict[int, Counter[str]] = {}
        self.seen: set[int] = set()

    def read(self, data: bytes, begin: int, end: int) -> None:
        """Read whole lines of a log. Only those are parsed that name an address like those of the list."""
        at = begin
        while (found := self._naming.search(data, at, end)) is not None:
            start = data.rfind(b"\n", at, found.start()) + 1 or at
            at = data.find(b"\n", found.end(), end)
            at = end if at < 0 else at
            event = parse_line(data[start:at].decode("utf-8", "surrogateescape"))
            if event is not None:
                self.take(event)

    def take(self, event: LogEvent) -> None:
        """Note the sender of one line of the log for every entry that covers its relay."""
        ip = read_ip(event.relay_ip or "")
        if ip is None:
            return
        for entry in self._index.covering(ip_network(ip)):
            self.seen.add(entry.line)
            counts = self._senders.setdefault(entry.line, Counter())
            if event.sender and (event.sender in counts or len(counts) < _REMEMBERED):
                counts[event.sender] += 1

    def senders(self) -> dict[int, tuple[str, ...]]:
        """Give the senders of each line that most mail came from."""
        return {
            line: tuple(sender for sender, _ in counts.most_common(PER_ENTRY))
            for line, counts in self._senders.items()
        }

    def unseen(self) -> frozenset[int]:
        """Give the lines whose relays the log does not name."""
        return frozenset(self._lines) - self.seen


def _naming(entries: tuple[Entry, ...]) -> re.Pattern[bytes]:
    """Make a pattern for the addresses that a log writes in brackets: by their whole octets, IPv6 by its form."""
    octets: set[tuple[str, ...]] = set()
    forms = set()
    for entry in entries:
        if isinstance(entry.network, IPv4Network):
            octets.add(tuple(str(entry.network.network_address).split(".")[: entry.network.prefixlen // 8]))
        elif entry.network is not None:
            forms.add("[0-9A-Fa-f]{0,4}:")
    if len(octets) > _ALTERNATIVES:
        octets = {each[:2] for each in octets}
    forms |= {"".join(f"{octet}[].]" for octet in each) for each in octets}
    # An empty list names nothing; a network that begins at 0 names every address.
    return re.compile(rf"\[(?:{'|'.join(sorted(forms))})".encode() if forms else rb"(?!)")


def known_senders(
    entries: tuple[Entry, ...], log: Mapping[int, tuple[str, ...]]
) -> tuple[dict[int, tuple[str, ...]], list[Address]]:
    """Put the senders of the comments and of the log together, by line; and each that can be called once.

    What is no address is left out: a comment was perhaps edited, and a log may hold anything.
    """
    by_line: dict[int, tuple[str, ...]] = {}
    addresses: dict[str, Address] = {}
    for entry in entries:
        noted = [entry.remark.sender] if entry.remark is not None and entry.remark.sender else []
        mailboxes: list[str] = []
        for text in (*noted, *log.get(entry.line, ())):
            try:
                address = parse(text)
            except AddressError:
                continue
            addresses.setdefault(address.mailbox, address)
            mailboxes.append(address.mailbox)
        if mailboxes:
            by_line[entry.line] = tuple(dict.fromkeys(mailboxes))[:PER_ENTRY]
    wanted = {mailbox for mailboxes in by_line.values() for mailbox in mailboxes}
    return by_line, [address for mailbox, address in addresses.items() if mailbox in wanted]


async def probe(
    addresses: Iterable[Address],
    settings: Settings,
    *,
    keep: Callable[[Evidence], None] | None = None,
    watch: Callable[[Callable[[], str]], None] | None = None,
) -> dict[str, Sender]:
    """Call every sender, `AT_ONCE` at a time, and say what that means for an exemption.

    `keep` is given the evidence of each; `watch` a function that says what is waited for.
    """
    waiting = list(addresses)
    found: dict[str, Sender] = {}
    gate = asyncio.Semaphore(AT_ONCE)
    async with aclosing(Engine(settings)) as engine:
        if watch is not None:
            watch(lambda: f"{len(found)} of {len(waiting)} senders probed, {engine.status()}")

        async def one(address: Address) -> None:
            async with gate:
                seed = secrets.randbits(32) if settings.seed is None else settings.seed
                evidence = await engine.collect(address, seed=seed)
            if evidence.interrupted:
                raise asyncio.CancelledError
            if keep is not None:
                keep(evidence)
            report = judge(evidence)
            found[address.mailbox] = Sender(address.mailbox, need(report), report.summary)

        async with asyncio.TaskGroup() as tasks:
            for address in waiting:
                tasks.create_task(one(address))
    return found
