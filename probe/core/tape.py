"""The tape of a session: every byte in both directions with its time, in bounded memory.

Bytes that follow closely in one direction share an entry, so that a peer that sends one byte a millisecond
costs no more than one that sends the same text at once; beyond a number of entries they share it at any
distance. What passes the limit of peer bytes is counted and dropped.
"""

from __future__ import annotations

from probe.core.model import Direction, Tape

BYTES_KEPT = 98304
"""Peer bytes of one session that are kept: the largest reply that is read, and half as much again. A callout
has about two KiB; a flood shows long before."""
ENTRIES_APART = 400
"""Entries after which bytes of one direction always share one. A normal session has about twenty."""
GAP = 0.05
"""Seconds between bytes that still count as one entry: the pace of one text, not of two."""


class Recorder:
    """Collects the entries; the last one is still growing."""

    def __init__(self) -> None:
        self.dropped = 0
        """Peer bytes beyond `BYTES_KEPT`."""
        self._kept = 0
        self._entries: list[Tape] = []
        self._bytes = bytearray()
        self._direction = Direction.NOTE
        self._secure = False
        self._t = 0.0
        self._until = 0.0

    def sent(self, data: bytes, now: float, *, secure: bool) -> None:
        """Record our own bytes."""
        self._add(Direction.SENT, data, now, secure)

    def received(self, data: bytes, now: float, *, secure: bool) -> bytes:
        """Record the peer's bytes and return those that were kept: all, until the limit is reached."""
        kept = data[: BYTES_KEPT - self._kept]
        self._kept += len(kept)
        self.dropped += len(data) - len(kept)
        self._add(Direction.RECEIVED, kept, now, secure)
        return kept

    def note(self, text: str, now: float, *, secure: bool) -> None:
        """Record an event without bytes of its own, such as the peer's closing."""
        self._settle()
        self._entries.append(Tape(now, now, Direction.NOTE, text, secure))

    def entries(self) -> tuple[Tape, ...]:
        """Return the tape so far."""
        return (*self._entries, self._last()) if self._bytes else tuple(self._entries)

    def _add(self, direction: Direction, data: bytes, now: float, secure: bool) -> None:
        if not data:
            return
        near = now - self._until <= GAP or len(self._entries) >= ENTRIES_APART
        if not (self._bytes and near and direction is self._direction and secure == self._secure):
            self._settle()
            self._direction, self._secure, self._t = direction, secure, now
        self._bytes += data
        self._until = now

    def _settle(self) -> None:
        if self._bytes:
            self._entries.append(self._last())
            self._bytes.clear()

    def _last(self) -> Tape:
        return Tape(self._t, self._until, self._direction, self._bytes.decode("latin-1"), self._secure)
