"""What a callout of Exim to one mail host comes to: the records that its parts hand on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from probe.core.mail_hosts import addresses_of, spelt
from probe.core.model import Origin

if TYPE_CHECKING:
    from probe.core.exim.words import Blame
    from probe.core.model import Evidence, HostEvidence, MtaOutcome


class Left(Struct, frozen=True):
    """What earlier hosts of the same callout left behind: the last message, and whether one had PIPELINING."""

    message: str | None = None
    pipelining: bool = False


class Learnt(Struct, frozen=True):
    """What the cache would learn; None for what it would not. `domain` is in the words of `CacheRecord.holds`."""

    domain: str | None = None
    address: bool | None = None
    random: bool | None = None
    postmaster: bool | None = None


class Met(Struct, frozen=True, kw_only=True):
    """What became of one host; `outcome` None where the evidence does not tell.

    `message` is Exim's own, without the name of the host before it; `sent` and `response` are what the relay is
    told of a refusal. `seconds` is how long it took, `log` what stands in the log besides.
    """

    outcome: MtaOutcome | None
    message: str | None
    sent: str
    response: str
    blame: Blame
    seconds: float
    learnt: Learnt
    pipelining: bool
    log: tuple[str, ...]
    notes: tuple[str, ...]


def place(host: HostEvidence, evidence: Evidence) -> str:
    """Name a host as Exim's log does: an alias by where it leads (host.c, set_address_from_dns).

    An address literal is a name too, in lower case.
    """
    name = host.name.lower()
    if host.origin is not Origin.LITERAL:
        name = spelt(addresses_of(name, "AAAA" if ":" in host.ip else "A", evidence).owner, evidence)
    return f"{name} [{host.ip}]"


class Ended(Exception):  # noqa: N818 - no error: the way out of a conversation
    """The callout to this host is over."""

    def __init__(self, met: Met) -> None:
        self.met = met
