"""What was seen for one address, as far as it holds for every address of the host or the domain. Pure.

A conversation names the address only in RCPT. What ends it before that (nobody can connect, nobody is greeted,
the null sender is taken from nobody) would have ended it for every address, so it need not be asked again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from probe.core.fold import reason_of
from probe.core.model import AddressForm, Direction, Skip, Stage

if TYPE_CHECKING:
    from probe.core.model import Address, Evidence, Exchange, HostEvidence, Options, Session, Tape

_OF_A_RECIPIENT = frozenset({Stage.RCPT_REAL, Stage.RCPT_RANDOM})


def for_everybody(host: HostEvidence, options: Options) -> HostEvidence | None:
    """Give the host as every address meets it; None where what it said depends on the address.

    The second try with a real sender names the address; it is left out, and what remains must show the same.
    """
    if any(exchange.stage is Stage.RCPT for session in host.sessions for exchange in session.exchanges):
        return None
    rest = replace(host, sessions=tuple(map(_without_recipient, host.sessions)))
    return rest if reason_of(rest, options) == reason_of(host, options) else None


def for_another(evidence: Evidence, address: Address) -> Evidence | None:
    """Give the evidence as another address of the same domain meets it; None where it says nothing of that."""
    if AddressForm.UTF8 in {*evidence.address.forms, *address.forms}:
        return None  # what the host offers to such an address, it need not offer to others
    hosts = []
    for host in evidence.hosts:
        everybody = host if host.skipped is not None else for_everybody(host, evidence.options)
        if everybody is None or everybody.skipped in {Skip.DEFINITE, Skip.CUT_SHORT, Skip.HELD_BACK}:
            return None
        hosts.append(everybody)
    return replace(evidence, address=address, hosts=tuple(hosts))


def random_exchange(evidence: Evidence) -> Exchange | None:
    """Give the answer to the random mailbox of --catch-all, which speaks of the whole domain."""
    for host in evidence.hosts:
        for session in host.sessions:
            for exchange in session.exchanges:
                if exchange.stage is Stage.RCPT_RANDOM and exchange.reply is not None:
                    return exchange
    return None


def _without_recipient(session: Session) -> Session:
    exchanges = tuple(ex for ex in session.exchanges if ex.stage not in _OF_A_RECIPIENT)
    if len(exchanges) == len(session.exchanges):
        return session
    said: list[Tape] = []
    for entry in session.tape:
        if entry.direction is Direction.SENT and entry.data.upper().startswith("RCPT"):
            break
        said.append(entry)
    return replace(session, exchanges=exchanges, tape=tuple(said))
