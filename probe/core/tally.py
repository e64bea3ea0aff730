"""What came of many addresses, counted. Pure, and of a bounded size."""

from __future__ import annotations

from collections import Counter

from msgspec import Struct

from probe.core.model import Cause

SHOWN = 100
"""Failing addresses that a summary names; all of them are in the results."""


class Failing(Struct, frozen=True):
    """A failing address, for the summary."""

    address: str
    cause: str
    reason: str
    says: str


class Trouble(Struct, frozen=True):
    """A domain with failing addresses: how many, and the cause of most of them."""

    domain: str
    failing: int
    cause: str


class Share(Struct, frozen=True):
    """The addresses with one cause: how many, and the reason that most of them have."""

    cause: str
    count: int
    reason: str


class Tally:
    """Counts results as they come. `earlier` are those of them that a previous run had written."""

    def __init__(self) -> None:
        self.done = 0
        self.earlier = 0
        self.recalled = 0
        """Answered by the store, without a packet."""
        self.failing: list[Failing] = []
        self._reasons: Counter[tuple[str, str]] = Counter()

    def add(self, cause: str, reason: str) -> None:
        """Count a result."""
        self.done += 1
        self._reasons[cause, reason] += 1

    def name(self, failing: Failing) -> None:
        """Keep a failing address for the summary, while there is room."""
        if len(self.failing) < SHOWN:
            self.failing.append(failing)

    @property
    def failed(self) -> int:
        """How many addresses cannot be verified."""
        return sum(count for (cause, _), count in self._reasons.items() if is_failing(cause))

    def having(self, reason: str) -> int:
        """How many addresses have this reason."""
        return sum(count for (_, of), count in self._reasons.items() if of == reason)

    def shares(self) -> list[Share]:
        """Give the causes, the most frequent first."""
        causes: dict[str, list[tuple[int, str]]] = {}
        for (cause, reason), count in self._reasons.items():
            causes.setdefault(cause, []).append((count, reason))
        shares = [
            Share(
                cause, sum(count for count, _ in found), min((-count, reason) for count, reason in found)[1]
            )
            for cause, found in causes.items()
        ]
        return sorted(shares, key=lambda share: (-share.count, share.cause))


def is_failing(cause: str) -> bool:
    """Whether a callout to an address with this cause would not be accepted."""
    return cause != Cause.SENDER_EXISTS
