"""What a message of the DNS means for the question.

It is decided cautiously: only a server that has looked, or is the authority, may say that something does not exist.
Nothing of dnspython is needed for that, and most runs never load it (`dns_question`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from probe.core.model import DnsOutcome, DnsRecord

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from typing import TypeVar

    from dns.name import Name

    Owner = TypeVar("Owner", Name, str)

DEFINITE = frozenset({DnsOutcome.ANSWER, DnsOutcome.NODATA, DnsOutcome.NXDOMAIN})
"""Outcomes that end the asking: the DNS has spoken about the name."""

_AA, _RA = 0x0400, 0x0080
_NOERROR, _NXDOMAIN = 0, 3
_FAILURES = {2: DnsOutcome.SERVFAIL, 5: DnsOutcome.REFUSED}
_NS, _SOA = 2, 6
"""Numbers of the protocol (RFC 1035 4.1.1 and 3.2.2)."""


class Response(Struct, frozen=True):
    """What one message, or the lack of one, says; `detail` is an rcode, an errno name or a parse error."""

    outcome: DnsOutcome
    detail: str | None = None
    rcode: str | None = None
    authenticated: bool = False
    truncated: bool = False
    records: tuple[DnsRecord, ...] = ()
    soa_minimum: int | None = None

    @property
    def refuses_edns(self) -> bool:
        """The rcode is one that servers give to EDNS when they do not know it (RFC 6891 7 and 6.1.3)."""
        return self.rcode in {"FORMERR", "NOTIMP", "BADVERS"}


def meaning(
    rcode: int,
    flags: int,
    asked: Owner,
    wanted: Collection[Owner],
    aliases: Mapping[Owner, Owner],
    authority: Collection[int],
    *,
    strange: bool,
) -> tuple[DnsOutcome, str | None]:
    """Say what a message means for the name that was asked about, with a word about what is odd in it.

    `wanted` are the owners of records of the type, `aliases` those of CNAMEs with where they lead, `authority` the
    types in that section; `strange` says that the answer section holds records at all.
    """
    if rcode not in {_NOERROR, _NXDOMAIN}:
        return _FAILURES.get(rcode, DnsOutcome.OTHER_RCODE), None
    owner = asked
    seen = {owner}
    while owner not in wanted and owner in aliases:
        owner = aliases[owner]
        if owner in seen:
            return DnsOutcome.CNAME_LOOP, "the aliases lead in a circle"
        seen.add(owner)
    if rcode == _NXDOMAIN:
        if owner in wanted:
            return DnsOutcome.MALFORMED, "NXDOMAIN with records"
        return DnsOutcome.NXDOMAIN, None
    if owner in wanted:
        return DnsOutcome.ANSWER, None
    if _SOA in authority:
        return DnsOutcome.NODATA, None
    if owner != asked:
        # An alias that this server did not follow: whoever asked has to.
        return DnsOutcome.ANSWER, None
    if strange:
        return DnsOutcome.MALFORMED, "records of another name"
    # Without SOA an empty answer is weak (RFC 2308 2.2, type 3). It counts from a server that recurses or is
    # the authority; from any other, and with a referral, nobody has looked for the records.
    if _NS in authority and not flags & _AA:
        return DnsOutcome.LAME, "a referral"
    if not flags & (_RA | _AA):
        return DnsOutcome.LAME, "neither recursion nor authority"
    return DnsOutcome.NODATA, None
