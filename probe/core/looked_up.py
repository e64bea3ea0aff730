"""What the DNS said of a domain, made out once for all addresses that were given the same answers.

The addresses of a connection have one and the same tuple of answers in their evidence, so that tuple is looked for
by its identity. What is made of it is a function of it and of the names, and the same for whoever asks.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from msgspec import Struct

from probe.core.classify import covered
from probe.core.exim import dns_seconds
from probe.core.model import DnsOutcome, Scope
from probe.core.recent import Recent
from probe.core.scope import read_ip, scope

if TYPE_CHECKING:
    from probe.core.model import DnsAnswer, DnsRecord

REMEMBERED = 512
"""Answers that are remembered: those of the connections that a batch holds at a time."""

IPS = {
    (Scope.PUBLIC, 4): "223.255.255.253",
    (Scope.PRIVATE, 4): "10.253.251.239",
    (Scope.LOOPBACK, 4): "127.253.251.239",
    (Scope.PUBLIC, 6): "2bff:fffd::fdfb:efe9",
}
"""Addresses of the model, one of each kind that mail hosts have: no address of documentation is a public one."""

_LDH = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_NAME = re.compile(rf"(?:{_LDH}\.)+(?=[a-z]){_LDH}", re.ASCII)
_TOLD = frozenset({DnsOutcome.ANSWER, DnsOutcome.NODATA})


class LookedUp(Struct, frozen=True):
    """What the answers come to for one mail host of the domain."""

    answers: tuple[DnsAnswer, ...]
    told: tuple[object, ...]
    """All that a report depends on but the times."""
    plain: tuple[object, ...] | None
    """The same without any name; None where more matters than that the domain has this host, of a usual kind."""
    spent: float
    """Seconds of waiting, those that overlap counted once."""
    latest: float
    """The last of the moments in it, and not before the start."""
    seconds: float | None
    """What they take of Exim's time (`dns_seconds`)."""


class LookUps:
    """Remembers what was made of the answers."""

    def __init__(self) -> None:
        self._recent = Recent[LookedUp](REMEMBERED)

    def of(self, answers: tuple[DnsAnswer, ...], domain: str, host: str, ip: str) -> LookedUp:
        """Make out what these answers come to for a mail host."""
        # Whoever is remembered is alive, so nobody else has that identity.
        key = id(answers), domain, host, ip
        found = self._recent.get(key)
        if found is None:
            spans = [(answer.asked, answer.ended) for answer in answers]
            found = LookedUp(
                answers,
                tuple(
                    [(each.name, each.type, each.outcome, each.records, each.soa_minimum) for each in answers]
                ),
                _plain(answers, domain, host, ip),
                covered(spans),
                max([0.0, *(moment for span in spans for moment in span)]),
                dns_seconds(answers),
            )
            self._recent.put(key, found)
        return found


def _plain(answers: tuple[DnsAnswer, ...], domain: str, host: str, ip: str) -> tuple[object, ...] | None:
    kind = usual(domain, host, ip)
    if kind is None:
        return None
    said: list[object] = [kind]
    for answer in answers:
        at_domain = answer.name == domain
        if answer.outcome not in _TOLD or not (at_domain or answer.name == host):
            return None
        said += (at_domain, answer.type, answer.outcome, answer.soa_minimum is None)
        for record in answer.records:
            if not _is_plain_record(record, domain, host, ip):
                return None
            said += (record.type, record.preference)
    return tuple(said)


def _is_plain_record(record: DnsRecord, domain: str, host: str, ip: str) -> bool:
    """Whether a record leads from the domain to the host, or from there to its address."""
    if record.type == "MX":
        named = record.name == domain and record.target == host
        return named and record.data == f"{record.preference} {host}."
    return record.type in {"A", "AAAA"} and record.name == host and record.data == ip


@lru_cache(maxsize=1024)  # the mail hosts that a batch talks with at a time
def usual(domain: str, host: str, text: str) -> tuple[Scope, int] | None:
    """Give all that is looked at of the address of a host; None where it or a name is an unusual one."""
    ip = read_ip(text)
    if (
        domain == host
        or _NAME.fullmatch(domain) is None
        or _NAME.fullmatch(host) is None
        or ip is None
        or str(ip) != text
    ):
        return None
    kind = scope(ip), ip.version
    return kind if kind in IPS else None
