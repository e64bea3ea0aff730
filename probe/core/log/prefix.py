r"""What stands before the text of a log line: syslog's prefix, the stamp, the process, the id of a message.

Every mail server, and every way to its log, leaves another part of it out: Exim writes no process id unless asked
(`log_selector = +pid`), no stamp to syslog with `syslog_timestamp = false`; Postfix has syslog's prefix in its own
log file too (postlogd(8)); journald's short form is that of syslog.

Syslog takes no long records: Exim cuts them, at a line end or after 870 characters, and numbers the parts
(log.c, write_syslog): `[1/3] ...`, `[2\3] ...`, the backslash where it was a line end. `join_records` puts them
together again.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

STAMP = r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{3,6})?(?: [+-][0-9]{4})?"
"""Exim's own stamp, with the selectors `millisec` and `log_timezone`."""
SYSLOG_STAMP = (
    r"(?:[A-Z][a-z]{2} {1,2}[0-9]{1,2} [0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?"
    r"|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:[.,][0-9]{1,9})?(?:Z|[+-][0-9]{2}:?[0-9]{2})?)"
)
"""The stamp of syslog (RFC 3164 4.1.2), and RFC 3339 as rsyslog, postlogd and journald write it."""
MESSAGE = r"[0-9A-Za-z]{6}-[0-9A-Za-z]{6}-[0-9A-Za-z]{2}|[0-9A-Za-z]{6}-[0-9A-Za-z]{11}-[0-9A-Za-z]{4}"
"""Exim's id of a message, up to 4.96 and since 4.97."""

_DAEMON = r"[^\s\[:/]{1,60}/[^\s\[:]{1,60}(?=\[[0-9])"
"""A tag that is known without the stamp before it, such as `postfix/smtpd[2201]`."""
_PREFIX = re.compile(
    rf"(?:(?:(?:<[0-9]{{1,3}}>)?({SYSLOG_STAMP}) (\S{{1,255}}) ([^\s\[:]{{1,100}})|({_DAEMON}))"
    r"(?:\[([0-9]{1,10})\])?: (?:\[([0-9]{1,4})([\\/])([0-9]{1,4})\] )?)?"
    rf"(?:({STAMP})(?: |$))?(?:\[([0-9]{{1,10}})\](?: |$))?(?:({MESSAGE})(?: |$))?"
)


class Prefix(NamedTuple):
    """What stands before the text, which begins at `end`; each field is None where the line lacks it.

    `program` is syslog's tag, such as `exim` or `postfix/smtpd`. `part` is 1 for the first part of a record that
    goes on in another line, more for those lines, and 0 for a whole one.
    """

    stamp: str
    server: str | None
    program: str | None
    pid: int | None
    message: str | None
    part: int
    end: int


def read_prefix(line: str) -> Prefix:
    """Read the prefix of a line; an empty one where there is none."""
    found = _PREFIX.match(line)
    if found is None:  # every part of it may be missing, so this cannot be
        return Prefix("", None, None, None, None, 0, 0)
    logged, server, program, daemon, logger_pid, part, _, parts, stamp, pid, message = found.groups()
    number = pid or logger_pid
    return Prefix(
        stamp or logged or "",
        server,
        program or daemon,
        int(number) if number else None,
        message,
        int(part) if part and parts != "1" else 0,
        found.end(),
    )


_PENDING = 256
"""Records whose parts are waited for at a time: a process writes the parts of a record in one go."""
_PART = re.compile(
    rf"((?:<[0-9]{{1,3}}>)?{SYSLOG_STAMP}) (\S{{1,255}} [^\s\[:]{{1,100}}(?:\[[0-9]{{1,10}}\])?: )"
    r"\[([0-9]{1,4})([\\/])([0-9]{1,4})\] ?"
)


class _Record:
    """A record that is being put together: its head, and what of it has come."""

    def __init__(self, head: str, parts: int, text: str, joint: str) -> None:
        self.head = head
        self.parts = parts
        self.due = 2
        self.text = text
        self.joint = joint

    def __str__(self) -> str:
        return f"{self.head}{self.text}"

    @property
    def unfinished(self) -> str:
        """The line again, marked as what it is: the first part of a longer record."""
        return f"{self.head}[1/{self.parts}] {self.text}"


def join_records(lines: Iterable[str]) -> Iterator[str]:
    """Put the parts of records that syslog could not take whole together; everything else passes as it is.

    A record comes out where its last part came in. One whose rest never comes is given out as its first part
    still says, once others need the room or the lines end.
    """
    pending: dict[str, _Record] = {}
    for line in lines:
        found = _PART.match(line) if "] " in line else None
        if found is None:
            yield line
            continue
        who, part, parts = found[2], int(found[3]), int(found[5])
        joint = "\\n" if found[4] == "\\" else ""
        text = line[found.end() :].rstrip("\r\n")
        record = pending.get(who)
        if part == 1:
            if record is not None:
                yield pending.pop(who).unfinished
            pending[who] = _Record(f"{found[1]} {who}", parts, text, joint)
            if len(pending) > _PENDING:
                yield pending.pop(next(iter(pending))).unfinished
        elif record is None or part != record.due or parts != record.parts:
            yield line
        else:
            record.text += record.joint + text
            record.joint = joint
            record.due += 1
            if part == parts:
                yield str(pending.pop(who))
    for record in pending.values():
        yield record.unfinished
