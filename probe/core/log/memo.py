"""`line.parse` for the lines of one log, where most say what another has said.

A relay that is turned away comes again, and Exim writes the same lines with another stamp, process and port. So
what a line says apart from these three is remembered, and only they are read anew. The result is that of `parse`,
at about a tenth of its time; lines in any other form than that of Exim's own log are left to it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec.structs import replace

from probe.core.date import read_log_stamp
from probe.core.log.line import parse

if TYPE_CHECKING:
    from probe.core.log.event import LogEvent

LIMIT = 10_000
"""Lines that are remembered; beyond that all are forgotten, and it begins again."""
_LONGEST = 1024
"""Characters of a line that is worth remembering."""
_DAYS = 100

_LINE = re.compile(
    r"(([0-9]{4}-[0-9]{2}-[0-9]{2}) ([01][0-9]|2[0-3]):([0-5][0-9]):([0-5][0-9]))(?: \[([0-9]{1,9})\])?"
    r" (H=[^\[]*\[[^\]\s]*\])(?::([0-9]{1,5}))?(?![0-9])(.*)",
    re.DOTALL,
)

_Said = tuple[str, str, bool, bool]
"""A line without its stamp, process id and port, and whether it has the latter two."""


class Memo:
    """Reads lines, and remembers what they say."""

    def __init__(self) -> None:
        self._said: dict[_Said, LogEvent] = {}
        self._midnights: dict[str, float | None] = {}
        self._stamp = ""
        self._at: float | None = None

    def parse(self, line: str, year: int | None = None) -> LogEvent | None:
        """Read one line as `line.parse` does."""
        found = _LINE.match(line) if len(line) <= _LONGEST else None
        if found is None:
            return parse(line, year)
        stamp, day, hour, minute, second, pid, host, port, rest = found.groups()
        key = (host, rest, pid is None, port is None)
        known = self._said.get(key)
        if known is None:
            event = parse(line, year)
            # Only where the three were read as they stand here may others stand in their places.
            if event is not None and (event.when, event.pid, event.relay_port) == (
                stamp,
                _number(pid),
                _number(port),
            ):
                if len(self._said) >= LIMIT:
                    self._said.clear()
                self._said[key] = event
            return event
        if stamp != self._stamp:  # lines come in twos and threes
            midnight = self._midnight(day)
            self._stamp = stamp
            self._at = (
                None if midnight is None else midnight + 3600 * int(hour) + 60 * int(minute) + int(second)
            )
        return replace(known, when=stamp, at=self._at, pid=pid and int(pid), relay_port=port and int(port))

    def _midnight(self, day: str) -> float | None:
        if day not in self._midnights:
            if len(self._midnights) >= _DAYS:
                self._midnights.clear()
            self._midnights[day] = read_log_stamp(f"{day} 00:00:00")
        return self._midnights[day]


def _number(digits: str | None) -> int | None:
    return None if digits is None else int(digits)
