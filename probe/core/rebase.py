"""The times of evidence, counted from another moment. Pure.

Evidence counts in seconds from its own start. What was learned for one address and serves another (an answer of
the DNS, a mail host that nobody can reach) keeps the moment at which it happened: before the start of that other
evidence, and so at a negative time.
"""

from __future__ import annotations

from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace

from probe.core.model import (
    Canary,
    Connect,
    DnsAnswer,
    DnsTry,
    Exchange,
    HostEvidence,
    Notice,
    PathEvidence,
    PathProbe,
    Reply,
    Session,
    Tape,
    TcpInfo,
    Tls,
)

Record = TypeVar("Record", bound=Struct)

TIMES: dict[type[Struct], tuple[str, ...]] = {
    Canary: ("started", "ended"),
    Connect: ("started", "ended"),
    DnsAnswer: ("asked", "ended"),
    DnsTry: ("sent", "ended"),
    Exchange: ("sent", "ended"),
    HostEvidence: (),
    Notice: ("t",),
    PathEvidence: ("started", "ended"),
    PathProbe: ("sent", "ended"),
    Reply: ("started", "ended"),
    Session: (),
    Tape: ("t", "until"),
    TcpInfo: ("t",),
    Tls: ("started", "ended"),
}
"""The moments in each kind of record; every other number of theirs is a duration or a count."""
PARTS: dict[type[Struct], tuple[str, ...]] = {
    Connect: ("notices", "tcp"),
    DnsAnswer: ("tries",),
    Exchange: ("reply",),
    HostEvidence: ("sessions", "path"),
    PathEvidence: ("probes",),
    PathProbe: ("notice",),
    Session: ("connect", "exchanges", "tls", "tape", "tcp"),
}
"""The records within each kind of record."""


def shift(record: Record, by: float) -> Record:
    """Return the record with every moment in it, at whatever depth, `by` seconds later."""
    kind = type(record)
    changed: dict[str, object] = {name: getattr(record, name) + by for name in TIMES[kind]}
    for name in PARTS.get(kind, ()):
        part = getattr(record, name)
        if isinstance(part, tuple):
            changed[name] = tuple([shift(item, by) for item in part])
        elif part is not None:
            changed[name] = shift(part, by)
    return replace(record, **changed)
