"""The mail world of the benchmark: its domains and mail hosts, and lists of senders there."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FIRST_HOST = "127.16.0.1"
_FIRST = int(ipaddress.IPv4Address(FIRST_HOST))


class World(Struct, frozen=True):
    """So many addresses, spread over domains, whose mail is taken by so many hosts.

    The domains take turns in the list, so that whoever wants the addresses of one together has to look for them.
    Every `missing`th address, of each domain, is refused by the sink; none for 0.
    """

    addresses: int
    domains: int
    hosts: int
    missing: int = 0

    def address(self, number: int) -> str:
        """Give one address of the list."""
        turn, domain = divmod(number, self.domains)
        kind = "missing" if self.missing and (turn + domain) % self.missing == 0 else "u"
        return f"{kind}{number}@d{domain}.example"

    def host(self, domain: int) -> str:
        """Give the IP address of a domain's mail host."""
        return str(ipaddress.IPv4Address(_FIRST + domain % self.hosts))

    def zone(self) -> Iterator[str]:
        """Give the records, each mail host under an organisational domain of its own."""
        for number in range(self.domains):
            yield f"d{number}.example. 3600 MX 10 mx.h{number % self.hosts}.example."
        for number in range(min(self.hosts, self.domains)):
            yield f"mx.h{number}.example. 3600 A {self.host(number)}"

    def expected(self) -> Iterator[tuple[str, str]]:
        """Give every address with the cause that is to be found."""
        for number in range(self.addresses):
            address = self.address(number)
            yield address, "missing-sender" if address.startswith("missing") else "sender-exists"

    def write(self, path: Path) -> Path:
        """Write the list, an address a line; returns the path."""
        with path.open("w", encoding="ascii") as lines:
            lines.writelines(f"{self.address(number)}\n" for number in range(self.addresses))
        return path
