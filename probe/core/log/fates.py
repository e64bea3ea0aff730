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
    """Counts the messages of one group; `unseen` are those whose fate the log would show, were it whole."""

    __slots__ = ("delayed", "longest", "lost", "messages", "unseen")

    def __init__(self) -> None:
        self.messages = 0
        self.delayed = 0
        self.lost = self.unseen = 0
        self.longest: float | None = None


class _Message:
    """A message that a relay still has, in seconds of the log's clock.

    `elsewhere` is whether the sender was heard of again in another way: another relay of a pool, or a refusal
    that reads otherwise. Then it is not lost because this relay never came back.
    """

    __slots__ = ("elsewhere", "first", "last")

    def __init__(self, at: float) -> None:
        self.first = self.last = at
        self.elsewhere = False


class _Thread:
    """The messages from one sender to one recipient, and the one that was tried last."""

    __slots__ = ("last", "messages")

    def __init__(self) -> None:
        self.messages: dict[Key, _Message] = {}
        self.last: _Message | None = None

    def went_on(self, at: float, message: _Message | None = None) -> None:
        """Note that this sender and recipient were met again, in `message` where that is what waits now."""
        last = self.last
        if last is not None and last is not message and last.last <= at <= last.last + QUIET:
            last.elsewhere = True
        self.last = message or last


class _Sender:
    """What waits of one sender: by recipient, and how much through which relay.

    `accepted` is when a message of his was last taken for recipients that the log does not name.
    """

    __slots__ = ("accepted", "relays", "threads")

    def __init__(self) -> None:
        self.threads: dict[str | None, _Thread] = {}
        self.relays: dict[str | None, int] = {}
        self.accepted = float("-inf")


class Ledger:
    """Holds every message that was turned away until it is known what became of it.

    `watched` are the senders (bytes, as in the log) of which later messages matter.
    """

    def __init__(self) -> None:
        self.watched: set[bytes] = set()
        self.overflowed = False
        self._deferred: dict[str, _Sender] = {}
        self._refused: dict[tuple[str, Key], float] = {}
        self._size = 0

    def tried(self, sender: str, key: Key, at: float, *, final: bool) -> None:
        """Note that a message was turned away, for now or (`final`) for good."""
        tally = key[2]
        waiting = self._deferred.get(sender)
        if final:
            known = self._refused.get((sender, key))
            if known is None or at - known > AGAIN:
                tally.messages += 1
                tally.lost += 1
                if len(self._refused) >= LIMIT:
                    self._refused.clear()  # at worst a message of the last minutes is counted once more
            self._refused[sender, key] = at
            if waiting is not None and (thread := waiting.threads.get(key[1])) is not None:
                thread.went_on(at)
            return
        if waiting is None:
            waiting = self._deferred[sender] = _Sender()
            self.watched.add(sender.encode("latin-1", "replace"))
        thread = waiting.threads.get(key[1])
        if thread is None:
            thread = waiting.threads[key[1]] = _Thread()
        message = thread.messages.get(key)
        if message is not None and at - message.last <= QUIET:
            message.last = max(message.last, at)
        else:
            tally.messages += 1
            if message is not None:
                self._settle(waiting, thread, key)
            message = thread.messages[key] = _Message(at)
            waiting.threads[key[1]] = thread  # settling the only message of a thread takes it out
            waiting.relays[key[0]] = waiting.relays.get(key[0], 0) + 1
            self._size += 1
        thread.went_on(at, message)
        if self._size > LIMIT:
            self._make_room(at)

    def received(self, sender: str, relay: str | None, recipients: tuple[str, ...], at: float) -> None:
        """Note that a message was taken. Without `recipients`, which many logs leave out, it is for all."""
        waiting = self._deferred.get(sender)
        if waiting is None:
            return
        if not recipients:
            waiting.accepted = max(waiting.accepted, at)
        threads = [waiting.threads[to] for to in (*recipients, None) if to in waiting.threads]
        for thread in threads:
            thread.went_on(at)
        if relay not in waiting.relays:
            return
        for thread in threads if recipients else list(waiting.threads.values()):
            for key, message in list(thread.messages.items()):
                if key[0] != relay or at < message.last:
                    continue
                if at <= message.last + QUIET:
                    tally = key[2]
                    tally.delayed += 1
                    tally.longest = max(tally.longest or 0.0, at - message.first)
                    self._drop(waiting, thread, key)
                else:
                    self._settle(waiting, thread, key)
        self._drop_empty(sender, waiting)

    def forget(self, until: float) -> None:
        """Learn that the log misses what came after `until`: of what waits then the fate stays unknown."""
        self.close(until)
        for waiting in self._deferred.values():
            for thread in waiting.threads.values():
                for _, _, tally in thread.messages:
                    tally.unseen += 1
        self._deferred.clear()
        self.watched.clear()
        self._size = 0

    def close(self, until: float) -> None:
        """Settle what can be settled at the end of the log; what is left is in the counts of nobody."""
        for sender, waiting in list(self._deferred.items()):
            for thread in list(waiting.threads.values()):
                for key, message in list(thread.messages.items()):
                    if until - message.last > QUIET:
                        self._settle(waiting, thread, key)
            self._drop_empty(sender, waiting)

    def _settle(self, waiting: _Sender, thread: _Thread, key: Key) -> None:
        """Let go of a message that its relay has not tried for a day: lost, unless it may have come another way."""
        message = thread.messages[key]
        if message.elsewhere or waiting.accepted >= message.last:
            key[2].unseen += 1
        else:
            key[2].lost += 1
        self._drop(waiting, thread, key)

    def _drop(self, waiting: _Sender, thread: _Thread, key: Key) -> None:
        relay, recipient, _ = key
        del thread.messages[key]
        if not thread.messages:
            waiting.threads.pop(recipient, None)
        waiting.relays[relay] -= 1
        if not waiting.relays[relay]:
            del waiting.relays[relay]
        self._size -= 1

    def _drop_empty(self, sender: str, waiting: _Sender) -> None:
        if not waiting.threads:
            self._deferred.pop(sender, None)
            self.watched.discard(sender.encode("latin-1", "replace"))

    def _make_room(self, now: float) -> None:
        self.close(now)
        if self._size <= LIMIT - _FORGOTTEN:
            return
        self.overflowed = True  # the oldest stay unknown
        oldest = sorted(
            (
                (message.last, sender, key)
                for sender, waiting in self._deferred.items()
                for thread in waiting.threads.values()
                for key, message in thread.messages.items()
            ),
            key=lambda entry: entry[0],
        )
        for _, sender, key in oldest[:_FORGOTTEN]:
            waiting = self._deferred[sender]
            self._drop(waiting, waiting.threads[key[1]], key)
            self._drop_empty(sender, waiting)


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
        why = "these lines do not show it" if tally.unseen else f"the log ends {end} the last try"
        parts.append(f"{what}: {why}")
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
