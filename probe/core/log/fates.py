"""What became of the messages that were turned away: told from what a log shows later.

A relay that is deferred keeps the message and tries again, after half an hour at the latest at first, later more
seldom (RFC 5321 4.5.4.1); Exim comes back within 6 hours, Postfix within 67 minutes, qmail within 20 hours. So
a day of log without another try means that it gave up. A relay that is refused for good returns the message at
once, and does not come again.
"""

from __future__ import annotations

from probe.core.log.report import Fate

DAY = 86400.0
QUIET = DAY
"""Seconds after which a deferred message that is not tried again counts as given up."""
AGAIN = 600.0
"""Seconds within which the same refusal is the same message: relays ask the other mail hosts of a domain at once."""
LIMIT = 40_000
"""Messages in memory."""
_FORGOTTEN = LIMIT // 4

Key = tuple[str | None, str | None, "Tally"]
"""Relay, recipient and group of a message; the sender is the key of the level above."""


class Tally:
    """Counts the messages of one group."""

    __slots__ = ("delayed", "longest", "lost", "messages")

    def __init__(self) -> None:
        self.messages = 0
        self.delayed = 0
        self.lost = 0
        self.longest: float | None = None


class _Message:
    """A message that a relay still has, in seconds of the log's clock."""

    __slots__ = ("first", "last")

    def __init__(self, at: float) -> None:
        self.first = self.last = at


class Ledger:
    """Holds every message that was turned away until it is known what became of it.

    `watched` are the senders (bytes, as in the log) of which later messages matter.
    """

    def __init__(self) -> None:
        self.watched: set[bytes] = set()
        self.overflowed = False
        self._deferred: dict[str, dict[Key, _Message]] = {}
        self._refused: dict[tuple[str, Key], float] = {}
        self._size = 0

    def tried(self, sender: str, key: Key, at: float, *, final: bool) -> None:
        """Note that a message was turned away, for now or (`final`) for good."""
        tally = key[2]
        if final:
            known = self._refused.get((sender, key))
            if known is None or at - known > AGAIN:
                tally.messages += 1
                tally.lost += 1
                if len(self._refused) >= LIMIT:
                    self._refused.clear()  # at worst a message of the last minutes is counted once more
            self._refused[sender, key] = at
            return
        messages = self._deferred.get(sender)
        if messages is None:
            messages = self._deferred[sender] = {}
            self.watched.add(sender.encode("latin-1", "replace"))
        message = messages.get(key)
        if message is not None and at - message.last <= QUIET:
            message.last = max(message.last, at)
            return
        tally.messages += 1
        if message is not None:
            tally.lost += 1
        else:
            self._size += 1
        messages[key] = _Message(at)
        if self._size > LIMIT:
            self._make_room(at)

    def received(self, sender: str, relay: str | None, recipients: tuple[str, ...], at: float) -> None:
        """Note that a message was taken. Without `recipients`, which many logs leave out, it is for all."""
        messages = self._deferred.get(sender)
        if messages is None:
            return
        for key, message in list(messages.items()):
            whence, recipient, tally = key
            if whence != relay or not message.last <= at <= message.last + QUIET:
                continue
            if recipients and recipient is not None and recipient not in recipients:
                continue
            tally.delayed += 1
            tally.longest = max(tally.longest or 0.0, at - message.first)
            del messages[key]
            self._size -= 1
        self._drop_empty(sender)

    def close(self, until: float) -> None:
        """Settle what can be settled at the end of the log; what is left is in the counts of nobody."""
        for sender in list(self._deferred):
            messages = self._deferred[sender]
            for key, message in list(messages.items()):
                if until - message.last > QUIET:
                    key[2].lost += 1
                    del messages[key]
                    self._size -= 1
            self._drop_empty(sender)

    def _drop_empty(self, sender: str) -> None:
        if not self._deferred[sender]:
            del self._deferred[sender]
            self.watched.discard(sender.encode("latin-1", "replace"))

    def _make_room(self, now: float) -> None:
        self.close(now)
        if self._size <= LIMIT - _FORGOTTEN:
            return
        self.overflowed = True  # the oldest stay unknown
        oldest = sorted(
            (
                (message.last, sender, key)
                for sender, of in self._deferred.items()
                for key, message in of.items()
            ),
            key=lambda entry: entry[0],
        )
        for _, sender, key in oldest[:_FORGOTTEN]:
            del self._deferred[sender][key]
            self._size -= 1
            self._drop_empty(sender)


def fate(tally: Tally, *, final: bool, last: float, until: float) -> Fate:
    """Say what became of the messages of a group whose last try was at `last`, in a log that ends at `until`."""
    unknown = tally.messages - tally.delayed - tally.lost
    minutes = None if tally.longest is None else round(tally.longest / 60, 1)
    parts: list[str] = []
    if tally.delayed:
        most = " at the most" if tally.delayed > 1 else ""
        share = _share(tally.delayed, tally.messages)
        parts.append(f"{share}accepted later, delayed by {span(tally.longest or 0.0)}{most}")
    if tally.lost:
        share = _share(tally.lost, tally.messages)
        parts.append(
            f"{share}refused for good, so the relay has returned it to its sender"
            if final
            else f"{share}probably lost: the relay did not come back within a day"
        )
    if unknown:
        lapse = until - last
        end = f"{span(lapse)} after" if lapse >= 1 else "with"
        what = "not known" if unknown == tally.messages else f"of {unknown} it is not known"
        parts.append(f"{what}: the log ends {end} the last try")
    return Fate(
        delayed=tally.delayed,
        lost=tally.lost,
        unknown=unknown,
        minutes=minutes,
        says="; ".join(parts) or "not known",
    )


def _share(part: int, whole: int) -> str:
    if whole == 1:
        return ""
    return f"all {whole} " if part == whole else f"{part} of {whole} "


def span(seconds: float) -> str:
    """Give a lapse in the unit in which a person would say it: `40 seconds`, `25 minutes`, `3 hours`, `2 days`."""
    for unit, size in (("day", DAY), ("hour", 3600.0), ("minute", 60.0)):
        if seconds >= 2 * size or (seconds >= size and unit == "minute"):
            return _counted(round(seconds / size), unit)
    return _counted(max(round(seconds), 0), "second")


def _counted(number: int, unit: str) -> str:
    return f"{number} {unit}" if number == 1 else f"{number} {unit}s"
