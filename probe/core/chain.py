"""Chains of aliases: from a name, through the answers so far, to the records of a type or the next question."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from msgspec import Struct

from probe.core.model import DnsOutcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from probe.core.model import DnsAnswer, DnsRecord

MAX_CNAMES = 8
"""Further questions that one CNAME chain may cost; resolvers follow chains themselves, and few do not."""


_ANSWER = DnsOutcome.ANSWER


class Question(Struct, frozen=True):
    """One question to the DNS: a lower-case name without trailing dot, and a record type."""

    name: str
    type: str


class Found(Struct, frozen=True):
    """Where a chain of aliases led: to an outcome with the records of its last owner, or to a question.

    While the question is open the outcome is `cut-short`.
    """

    outcome: DnsOutcome
    owner: str
    records: tuple[DnsRecord, ...] = ()
    question: Question | None = None


def index(answers: Iterable[DnsAnswer]) -> dict[Question, DnsAnswer]:
    """Sort answers by their questions; of several to one question the first counts."""
    known: dict[Question, DnsAnswer] = {}
    for answer in answers:
        known.setdefault(Question(canonical(answer.name), answer.type), answer)
    return known


def follow(known: Mapping[Question, DnsAnswer], name: str, rdtype: str) -> Found:
    """Follow CNAMEs from `name`, through one answer or several, to the records of a type.

    An answer that says ANSWER and holds nothing for the name is malformed. NXDOMAIN and NODATA speak of the
    end of the chain in their answer (RFC 2308 2.1, RFC 6604 3).
    """
    owner = name
    seen = {name}
    for _ in range(1 + MAX_CNAMES):
        question = Question(owner, rdtype)
        answer = known.get(question)
        if answer is None:
            return Found(DnsOutcome.CUT_SHORT, owner, question=question)
        wanted: dict[str, list[DnsRecord]] = {}
        aliases: dict[str, str] = {}
        for record in answer.records:
            if record.type == rdtype:
                wanted.setdefault(canonical(record.name), []).append(record)
            elif record.type == "CNAME":
                aliases.setdefault(canonical(record.name), canonical(record.target or record.data))
        while owner not in wanted and owner in aliases:
            owner = aliases[owner]
            if owner in seen:
                return Found(DnsOutcome.CNAME_LOOP, owner)
            seen.add(owner)
        outcome = answer.outcome
        if outcome is not _ANSWER:
            return Found(outcome, owner)
        if owner in wanted:
            return Found(outcome, owner, tuple(wanted[owner]))
        if owner == question.name:
            return Found(DnsOutcome.MALFORMED, owner)
    return Found(DnsOutcome.CNAME_LOOP, owner)


@lru_cache(maxsize=1024)  # the few names of a domain are folded thirty times in each judgement
def canonical(name: str) -> str:
    """Fold case and drop the root's dot; a dot that is escaped belongs to its label."""
    folded = name.lower()
    folded = folded if folded.endswith("\\.") else folded.removesuffix(".")
    return name if name == folded else folded  # no second copy: the evidence of thousands is kept
