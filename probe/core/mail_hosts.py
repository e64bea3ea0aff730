"""The mail hosts of a domain as a mail server goes through them: shared by the predictions of Exim and Postfix."""

from __future__ import annotations

from typing import TYPE_CHECKING

from probe.core.chain import Question, canonical, follow
from probe.core.model import Skip

if TYPE_CHECKING:
    from probe.core.chain import Found
    from probe.core.fold import Judged
    from probe.core.model import DnsAnswer, Evidence


def asked(judged: tuple[Judged, ...]) -> tuple[Judged, ...]:
    """List the hosts that a mail server would ask, in its order."""
    return tuple(
        item for item in judged if item.host.skipped not in {Skip.NOT_PUBLIC, Skip.FAMILY, Skip.LIMIT}
    )


def spelt(name: str, evidence: Evidence) -> str:
    """Write the name of a mail host with the capitals that the DNS gives it, as mail servers log it."""
    for answer in evidence.dns:
        for record in answer.records:
            written = record.data.rpartition(" ")[2]
            if record.target == name and canonical(written) == name:
                return written.removesuffix(".")
    return name


def addresses_of(name: str, rdtype: str, evidence: Evidence) -> Found:
    """Give what the look-ups of a host led to, its aliases followed."""
    known: dict[Question, DnsAnswer] = {}
    for answer in evidence.dns:
        known.setdefault(Question(canonical(answer.name), answer.type), answer)
    return follow(known, canonical(name), rdtype)
