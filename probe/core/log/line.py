"""One line of a mail server's log -> what it says about sender verification, or None.

`parse` takes any text: it never raises, looks at no more than LINE_LIMIT characters, and needs time in proportion to
them. What a line does not say is None in the event; nothing is guessed here, and nothing is joined: the partner lines
of one attempt are joined by whoever reads the whole log.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from probe.core.date import read_log_stamp
from probe.core.log.exim_line import read_exim
from probe.core.log.postfix_line import read_postfix
from probe.core.log.prefix import read_prefix

if TYPE_CHECKING:
    from probe.core.log.event import LogEvent

LINE_LIMIT = 65536
"""Characters of a line that are read. Exim's records end at 8 KiB, syslog's at 64 KiB (RFC 5425 4.3.1 asks for 8)."""

MARKS = (
    "ender verify",
    "ender address rejected: un",
    "ender address rejected: address verif",
    "erify a sender in a header line",
    "valid sender in any header line",
    "callout unencrypted to",
    "(making callout connection)",
    "(making calloout connection)",
    "(while verifying <",
    "status=deliverable",
    "status=undeliverable",
)
"""Every line about sender verification holds one of these; so may others, and a wording of an administrator's own
(`log_message`) is not among them."""
TRAFFIC_MARKS = (
    " <= ",
    "incomplete transaction",
    "unexpected disconnection while",
    "SMTP command timeout",
    "SMTP data timeout",
    " lost",
    "client=",
    "from=<",
    "status=sent",
    "connect to ",
    ": host ",
    ": conversation with ",
    "timeout after ",
)
"""Every other line that `parse` reads, of what became of mail, holds one of these; most lines of a log do."""


def mentions(line: str) -> bool:
    """Whether a line speaks of sender verification, so that it is worth a word if `parse` does not read it."""
    return any(mark in line for mark in MARKS)


def parse(line: str, year: int | None = None) -> LogEvent | None:
    """Read one line; None where it is neither about verification nor about what became of a mail.

    `year` is for stamps of syslog, which name none. The text may be latin-1 or decoded UTF-8.
    """
    line = line[:LINE_LIMIT].rstrip("\r\n")
    prefix = read_prefix(line)
    if prefix.part > 1:
        return None
    at = read_log_stamp(prefix.stamp, year) if prefix.stamp else None
    program = prefix.program
    if program is None:
        return read_exim(line, prefix, at) or read_postfix(line, prefix, at)
    return read_postfix(line, prefix, at) if "/" in program else read_exim(line, prefix, at)
