"""The mail hosts of a domain as a mail server goes through them: shared by the predictions of Exim and Postfix."""

from __future__ import annotations

from typing import TYPE_CHECKING

from probe.core.chain import canonical, follow, index
from probe.core.model import Skip

if TYPE_CHECKING:
    from probe.core.chain import Found, Question
    from probe.core.fold import Judged
    from probe.core.model import DnsAnswer, Evidence


def asked(judged: tuple[Judged, ...]) -> tuple[Judged, ...]:
    """List the hosts that a mail server would ask, in its order."""
    return tuple([item for item in judged if item.host.skipped not in _PASSED_OVER])


_PASSED_OVER = frozenset({Skip.NOT_PUBLIC, Skip.FAMILY, Skip.LIMIT})


def spelt(name: str, evidence: Evidence) -> str:
    """Write the name of a mail host with the capitals that the DNS gives it, as mail servers log it."""
    return _zone(evidence.dns).spelt(name)


def addresses_of(name: str, rdtype: str, evidence: Evidence) -> Found:
    """Give what the look-ups of a host led to, its aliases followed."""
    return _zone(evidence.dns).addresses_of(canonical(name), rdtype)


class _Zone:
    """What the answers of one run say, each thing worked out once: every sentence that names a host asks again."""

    def __init__(self, dns: tuple[DnsAnswer, ...]) -> None:
        self.dns = dns
        self._known: dict[Question, DnsAnswer] | None = None
        self._found: dict[tuple[str, str], Found] = {}
        self._spelt: dict[str, str] = {}

    def addresses_of(self, name: str, rdtype: str) -> Found:
        found = self._found.get((name, rdtype))
        if found is None:
            if self._known is None:
                self._known = index(self.dns)
            found = self._found[name, rdtype] = follow(self._known, name, rdtype)
        return found

    def spelt(self, name: str) -> str:
        spelt = self._spelt.get(name)
        if spelt is None:
            spelt = self._spelt[name] = self._look_for(name)
        return spelt

    def _look_for(self, name: str) -> str:
        for answer in self.dns:
            for record in answer.records:
                written = record.data.rpartition(" ")[2]
                if record.target == name and canonical(written) == name:
                    return written.removesuffix(".")
        return name


_LATEST = [_Zone(())]
"""The zone of the latest run that was asked about, and no other: it is bounded by one judgement's hosts. The answers
are known by identity, which holds because the zone keeps them."""


def _zone(dns: tuple[DnsAnswer, ...]) -> _Zone:
    zone = _LATEST[0]
    if zone.dns is not dns:
        zone = _LATEST[0] = _Zone(dns)
    return zone
