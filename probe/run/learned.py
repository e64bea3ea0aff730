"""What one visit of a batch has learned, and later ones need not ask.

Mail hosts that are the same for everybody, addresses that were taken, and the random mailbox of --catch-all. Each is of
a bounded size.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from probe.core.address import is_role
from probe.core.expiry import NOT_KEPT
from probe.core.model import AddressForm, Stage
from probe.core.rebase import shift
from probe.core.recent import Recent
from probe.run.heard import accepted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from probe.core.model import Address, Canary, Exchange, HostEvidence
    from probe.core.route import Target
    from probe.run.heard import Heard
    from probe.run.memory import Memory

LEARNED = 1000
"""Mail hosts that are remembered as being the same for everybody; of each the search of its path is kept."""
DOMAINS = 1000
"""Domains whose random mailbox is remembered, or an address that was taken."""


class Learned(Struct, frozen=True):
    """A mail host as everybody meets it, in seconds since `zero` of the batch's clock, seen at `at`.

    `name`: it was met so by this name, and may be another by another one (server name indication, RFC 6066 3).
    """

    zero: float
    at: float
    host: HostEvidence
    canary: Canary | None
    cut_short: bool = False
    name: str | None = None


class Hosts:
    """Mail host addresses that are the same for everybody, believed for `NOT_KEPT` seconds, and how others behave."""

    def __init__(self) -> None:
        self._learned: Recent[Learned] = Recent(LEARNED)
        self._rebuffs: Recent[int] = Recent(LEARNED)
        self._single: Recent[bool] = Recent(LEARNED)
        self._doubted: Recent[bool] = Recent(LEARNED)
        self._refusing: Recent[bool] = Recent(DOMAINS)

    def known(self, target: Target, now: float) -> Learned | None:
        """Give what is known of a host and may still be believed."""
        learned = self._learned.get((target.ip, None)) or self._learned.get((target.ip, target.name))
        return learned if learned is not None and now - learned.at < NOT_KEPT else None

    def learn(self, ip: str, learned: Learned) -> None:
        """Remember a host."""
        self._learned.put((ip, learned.name), learned)

    def ask_singly(self, ip: str) -> None:
        """Ask this host about one address a connection from now on."""
        self._single.put(ip, True)

    def asked_singly(self, ip: str) -> bool:
        """Whether this host is to be asked about one address a connection."""
        return self._single.get(ip) is not None

    def doubt(self, ip: str, domain: str | None) -> None:
        """Believe no refusal of this host from now on for which nothing vouches: in a domain, in all for None."""
        self._doubted.put((ip, domain), True)

    def doubted(self, ip: str, domain: str) -> bool:
        """Whether this host has refused an address that was taken before."""
        return self._doubted.get((ip, None)) is not None or self._doubted.get((ip, domain)) is not None

    def refuse_all(self, ip: str, domain: str) -> None:
        """Note that everybody of a domain over a connection was refused."""
        self._refusing.put((ip, domain), True)

    def refused_all(self, ip: str, domain: str) -> bool:
        """Whether that was so; then who is asked behind others has to be asked again alone, whatever is said."""
        return self._refusing.get((ip, domain)) is not None

    def rebuffed(self, ip: str) -> int:
        """Count how often a host has turned everybody away because we come too often."""
        times = (self._rebuffs.get(ip) or 0) + 1
        self._rebuffs.put(ip, times)
        return times


class Taken:
    """An address of each domain that a mail host has taken; asked again, it vouches for the refusals before it.

    `earlier` knows those of a domain that were taken in an earlier run, by whichever of its hosts.
    """

    def __init__(self, earlier: Callable[[str], str | None]) -> None:
        self._earlier = earlier
        self._mailboxes: Recent[str] = Recent(DOMAINS)

    def of(self, domain: str, ip: str) -> str | None:
        """Give it, None where there is none yet."""
        return self._mailboxes.get((domain, ip)) or self._mailboxes.get(domain) or self._earlier(domain)

    def by(self, domain: str, ip: str) -> bool:
        """Whether this host has taken one in this run."""
        return self._mailboxes.get((domain, ip)) is not None

    def note(self, domain: str, ip: str, heard: Sequence[Heard]) -> None:
        """Remember the last of them that was taken, that any host can be asked for, and that tells of others."""
        for one in reversed(heard):
            if not one.broken and accepted(one.host.sessions[-1]) and _tells(one.asked.address):
                self._mailboxes.put((domain, ip), one.asked.address.mailbox)
                break

    def remember(self, address: Address) -> None:
        """Remember one that was taken in an earlier run, if it tells of others."""
        if _tells(address):
            self._mailboxes.put(address.domain, address.mailbox)


def _tells(address: Address) -> bool:
    """Whether any host can be asked for an address, and does not take it before it looks at anything."""
    return AddressForm.UTF8 not in address.forms and not is_role(address.mailbox)


class RandomMailboxes:
    """The answers to the random mailboxes of --catch-all, one for each domain; `wanted` is that option."""

    def __init__(self, memory: Memory | None, *, wanted: bool) -> None:
        self._memory = memory
        self._wanted = wanted
        self._answers: Recent[tuple[float, Exchange | None]] = Recent(DOMAINS)
        """With the zero of their times; no answer where the question is asked only now, or was in vain."""

    def recall(self, domain: str) -> None:
        """Take what the store knows of a domain that is opened."""
        if self._wanted and self._memory is not None and self._answers.get(domain) is None:
            known = self._memory.random(domain)
            if known is not None:
                self._answers.put(domain, known)

    def asks(self, domain: str) -> bool:
        """Whether this visit asks for the random mailbox; from now on no other one does."""
        if not self._wanted or self._answers.get(domain) is not None:
            return False
        self._answers.put(domain, (0.0, None))
        return True

    def noted(self, domain: str, host: HostEvidence, zero: float) -> HostEvidence:
        """Note the answer to the random mailbox, or add it to an address that was taken without it."""
        if not self._wanted:
            return host
        session = host.sessions[-1]
        found = next((ex for ex in session.exchanges if ex.stage is Stage.RCPT_RANDOM), None)
        if found is not None:
            self._answers.put(domain, (zero, found if found.reply is not None else None))
            return host
        then, known = self._answers.get(domain) or (0.0, None)
        if known is None or not accepted(session):
            return host
        answer = shift(known, then - zero)
        place = next(n for n, ex in enumerate(session.exchanges) if ex.stage is Stage.RCPT) + 1
        exchanges = (*session.exchanges[:place], answer, *session.exchanges[place:])
        return replace(host, sessions=(*host.sessions[:-1], replace(session, exchanges=exchanges)))
