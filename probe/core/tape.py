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
_NOTE, _SENT, _RECEIVED = Direction.NOTE, Direction.SENT, Direction.RECEIVED
"""Looked at for each line: by the class, each access costs 0.1 us (Python 3.11)."""


class Recorder:
    """Collects the entries; the last one is still growing.

    The limits hold for one session. Where a connection serves several, `renew` begins the next one.
    """

    __slots__ = (
        "_bytes",
        "_direction",
        "_entries",
        "_first",
        "_kept",
        "_secure",
        "_t",
        "_until",
        "dropped",
    )

    def __init__(self) -> None:
        self.dropped = 0
        """Peer bytes beyond `BYTES_KEPT`."""
        self._kept = 0
        self._entries: list[Tape] = []
        self._first = 0  # the entry with which the session began
        self._bytes: bytes | bytearray = b""  # of the entry that may still grow; a bytearray once it has
        self._direction = _NOTE
        self._secure = False
        self._t = 0.0
        self._until = 0.0

    def sent(self, data: bytes, now: float, secure: bool) -> None:
        """Record our own bytes."""
        self._add(_SENT, data, now, secure)

    def received(self, data: bytes, now: float, secure: bool) -> bytes:
        """Record the peer's bytes and return those that were kept: all, until the limit is reached."""
        size = len(data)
        room = BYTES_KEPT - self._kept
        if size > room:
            self.dropped += size - room
            data, size = data[:room], room
        self._kept += size
        self._add(_RECEIVED, data, now, secure)
        return data

    def note(self, text: str, now: float, *, secure: bool) -> None:
        """Record an event without bytes of its own, such as the peer's closing."""
        self._settle()
        self._entries.append(Tape(now, now, _NOTE, text, secure))

    def entries(self, start: int = 0, stop: int | None = None) -> tuple[Tape, ...]:
        """Return the tape so far, or a part of it between two marks."""
        if stop is None and self._bytes:
            return (*self._entries[start:], self._last())
        return tuple(self._entries[start:stop])

    def mark(self) -> int:
        """Return the place behind the last entry; what comes next has an entry of its own."""
        self._settle()
        return len(self._entries)

    def renew(self) -> None:
        """Count for another session; what the sessions of one connection share counts once."""
        self._kept = 0
        self._first = len(self._entries)

    def _add(self, direction: Direction, data: bytes, now: float, secure: bool) -> None:
        if not data:
            return
        if self._bytes:
            if (
                direction is self._direction
                and secure == self._secure
                and (now - self._until <= GAP or len(self._entries) - self._first >= ENTRIES_APART)
            ):
                if isinstance(self._bytes, bytes):
                    self._bytes = bytearray(self._bytes)
                self._bytes += data
                self._until = now
                return
            self._entries.append(self._last())
        self._bytes = data  # most entries are one read or one write, and are never copied
        self._direction, self._secure, self._t, self._until = direction, secure, now, now

    def _settle(self) -> None:
        if self._bytes:
            self._entries.append(self._last())
            self._bytes = b""

    def _last(self) -> Tape:
        return Tape(self._t, self._until, self._direction, self._bytes.decode("latin-1"), self._secure)
