"""One rule of the decision table, and the words it is written in."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from msgspec import Struct

from probe.core.model import Confidence

if TYPE_CHECKING:
    from probe.core.facts import Codes, Ended, Facts, Got, Grip, Real, Sender, Step
    from probe.core.model import About, Side, TlsMode
    from probe.core.network import After, Nearer, Ports, Refuser, Silence, Us

T = TypeVar("T")
CERTAIN, PROBABLE, UNCERTAIN = Confidence.CERTAIN, Confidence.PROBABLE, Confidence.UNCERTAIN


class Rule(Struct, frozen=True):
    """One row. Each column is a set of allowed words, or None for "any"; `says` is its sentence.

    `side` is who has to act where the columns tell it better than the reason alone does.
    """

    id: str
    reason: str
    confidence: Confidence
    says: str
    got: frozenset[Got] | None = None
    ended: frozenset[Ended] | None = None
    about: frozenset[About] | None = None
    grip: frozenset[Grip] | None = None
    real: frozenset[Real] | None = None
    step: frozenset[Step] | None = None
    codes: frozenset[Codes] | None = None
    sender: frozenset[Sender] | None = None
    tls: frozenset[TlsMode] | None = None
    silence: frozenset[Silence] | None = None
    refuser: frozenset[Refuser] | None = None
    ports: frozenset[Ports] | None = None
    us: frozenset[Us] | None = None
    after: frozenset[After] | None = None
    nearer: frozenset[Nearer] | None = None
    side: Side | None = None

    def matches(self, facts: Facts) -> bool:
        """Whether every named column holds."""
        return (
            (self.got is None or facts.got in self.got)
            and (self.ended is None or facts.ended in self.ended)
            and (self.about is None or facts.about in self.about)
            and (self.grip is None or facts.grip in self.grip)
            and (self.real is None or facts.real in self.real)
            and (self.step is None or facts.step in self.step)
            and (self.codes is None or facts.codes in self.codes)
            and (self.sender is None or facts.sender in self.sender)
            and (self.tls is None or facts.tls in self.tls)
            and (self.silence is None or facts.silence in self.silence)
            and (self.refuser is None or facts.refuser in self.refuser)
            and (self.ports is None or facts.ports in self.ports)
            and (self.us is None or facts.us in self.us)
            and (self.after is None or facts.after in self.after)
            and (self.nearer is None or facts.nearer in self.nearer)
        )


def any_of(*words: T) -> frozenset[T]:
    """Give the words that a column may hold."""
    return frozenset(words)
