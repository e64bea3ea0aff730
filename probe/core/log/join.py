"""The lines of a log that belong together -> tries: why a sender failed, and whom that turned away.

Exim writes what the callout found on one line and the recipient it turned away on the next, with those of other
connections in between; without a callout one `verify` line answers for all recipients of a message. Postfix says both
on one line, but first puts the relay off while its probe is on the way, and tells what that found later.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeVar

from probe.core.log.event import LogFault, LogKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from probe.core.log.event import LogEvent

    Count = Callable[[LogEvent, LogEvent], None]

CONVERSATION = 60.0
"""Seconds within which the lines of one SMTP transaction follow each other."""
PROBING = 1000.0
"""Seconds after which Postfix counts a probe as lost (PROBE_TTL of verify.c)."""
OPEN = 2048
"""Conversations, senders and probes that are kept to be joined."""
_PATIENT = 50
"""Tries of one sender that wait for Postfix's probe."""

_K = TypeVar("_K")
_V = TypeVar("_V")


class _Case:
    """A `verify` line that waits for its partner, and whether it has been counted."""

    __slots__ = ("at", "counted", "event")

    def __init__(self, event: LogEvent, at: float) -> None:
        self.event = event
        self.at = at
        self.counted = False


class _Recent(NamedTuple):
    """The last `verify` line of a sender that turned somebody away."""

    at: float
    relay: str | None
    event: LogEvent


class Join:
    """Takes the lines in turn, and calls `count` for each try with the line that says why, and the one that says who.

    They are the same line where there is only one. `at` is when a line was written.
    """

    def __init__(self, count: Count) -> None:
        self._count = count
        self._open: dict[tuple[object, ...], _Case] = {}
        self._recent: dict[str, _Recent] = {}
        self._probes: dict[str, tuple[float, LogEvent]] = {}
        self._waiting: dict[str, list[LogEvent]] = {}

    def verified(self, event: LogEvent, at: float) -> None:
        """Take a line that says how a verification ended."""
        if event.recipient is not None:  # Postfix says both on one line
            self._postfix_verified(event, at)
            return
        key = (*_connection(event), event.sender)
        case = self._open.get(key)
        if case is not None and not case.counted:
            self._count(case.event, case.event)
        elif case is None and len(self._open) >= OPEN:
            self._expire(at)
        self._open[key] = _Case(event, at)

    def rejected(self, event: LogEvent, at: float) -> None:
        """Take a line that says whom a relay could not reach."""
        case = self._case_of(event, at)
        if case is not None:
            case.counted = True
            self._count(case.event, event)
            sender = event.sender or case.event.sender
            if sender:
                remember(self._recent, sender, _Recent(at, event.relay_ip, case.event))
            return
        recent = self._recent.get(event.sender or "")
        is_next = (
            recent is not None
            and event.fault is LogFault.UNKNOWN
            and recent.relay == event.relay_ip
            and at - recent.at <= CONVERSATION
        )
        # The next recipient of a message whose `verify` line has been overwritten by another connection's.
        self._count(recent.event if recent is not None and is_next else event, event)

    def probed(self, event: LogEvent, at: float) -> None:
        """Take a line that says what Postfix's probe found."""
        sender = event.sender or ""
        waiting = self._waiting.pop(sender, ())
        if event.fault is None:  # deliverable: the relay's next try succeeds
            self._probes.pop(sender, None)
        else:
            remember(self._probes, sender, (at, event))
        for each in waiting:
            self._count(each if event.fault is None else event, each)

    def settle(self, *, probes: bool) -> None:
        """Count what still waits for a partner: for now none comes. `probes` says that no probe will end either."""
        for case in self._open.values():
            if not case.counted:
                self._count(case.event, case.event)
                case.counted = True
        while probes and self._waiting:
            self._give_up(next(iter(self._waiting)))

    def _case_of(self, event: LogEvent, at: float) -> _Case | None:
        """Find the `verify` line that a `rejected` line belongs to. Pages eat either's sender."""
        connection = _connection(event)
        case = self._open.get((*connection, event.sender)) or self._open.get((*connection, None))
        if case is None and event.sender is None:
            case = next((case for key, case in self._open.items() if key[:-1] == connection), None)
        return None if case is None or abs(at - case.at) > CONVERSATION else case

    def _expire(self, now: float) -> None:
        for key, case in list(self._open.items()):
            if now - case.at > CONVERSATION or len(self._open) >= OPEN:
                if not case.counted:
                    self._count(case.event, case.event)
                del self._open[key]

    def _postfix_verified(self, event: LogEvent, at: float) -> None:
        sender = event.sender or ""
        if event.fault is not LogFault.IN_PROGRESS:
            self._count(event, event)
            return
        probe = self._probes.get(sender)
        if probe is not None and at - probe[0] <= PROBING:
            self._count(probe[1], event)
            return
        self._waiting.setdefault(sender, []).append(event)
        if len(self._waiting[sender]) > _PATIENT:
            self._give_up(sender)
        elif len(self._waiting) > OPEN:
            self._give_up(next(iter(self._waiting)))

    def _give_up(self, sender: str) -> None:
        for event in self._waiting.pop(sender):
            self._count(event, event)


def partner(told: LogEvent, turned_away: LogEvent) -> LogEvent | None:
    """Give the line that is judged together with `told`: what Postfix's probe found stands for itself."""
    return None if turned_away is told or told.kind is LogKind.PROBE else turned_away


def _connection(event: LogEvent) -> tuple[object, ...]:
    """Give what tells one SMTP connection from another, as far as the line names it."""
    return (event.relay_ip or event.relay_name or event.helo, event.relay_port, event.pid)


def remember(table: dict[_K, _V], key: _K, value: _V, limit: int = OPEN) -> None:
    """Keep a value, and let the oldest go when there are too many."""
    table.pop(key, None)
    if len(table) >= limit:
        del table[next(iter(table))]
    table[key] = value
