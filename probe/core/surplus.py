"""How much a peer may say that nobody asked for, before it is called endless."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from probe.core.model import Reply
    from probe.core.reply import ReplyReader

EXTRA_REPLIES = 100
"""Unsolicited replies that are put aside."""
EXTRA_OCTETS = 65536
"""Octets of them."""


class Surplus:
    """The unsolicited replies of one connection."""

    __slots__ = ("_octets", "_replies")

    def __init__(self) -> None:
        self._replies = 0
        self._octets = 0

    def add(self, reply: Reply) -> None:
        """Count one more."""
        self._replies += 1
        self._octets += sum(len(line) + 2 for line in reply.lines)

    @property
    def endless(self) -> bool:
        """Whether there are too many."""
        return self._replies > EXTRA_REPLIES or self._octets > EXTRA_OCTETS


def excess(surplus: Surplus | None, reader: ReplyReader, *, whole: bool) -> str | None:
    """Say which limit the peer has passed, if any; `whole`: the tape took all of its bytes."""
    if reader.overflowed:
        return "one reply without end"
    if surplus is not None and surplus.endless:
        return "replies without end that nobody asked for"
    return None if whole else "more than a conversation can need"
