"""The document of `probe-sender log`: types, and nothing else.

Stamps are text as the log has them: most logs name no zone, so to turn them into UTC would be a guess.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from probe.core.log.event import LogProgram  # noqa: TC001  # msgspec reads the types of the fields
from probe.core.model import Cause, Confidence, MtaOutcome, Report, Tool  # noqa: TC001  # as above

LOG_SCHEMA = 1


class Now(StrEnum):
    """What a probe says of a failing sender today, beside what the log said."""

    STILL_SO = "still-so"
    FIXED = "fixed-since"
    DIFFERENT = "different-now"
    UNTOLD = "cannot-tell"


class Fate(Struct, frozen=True, kw_only=True):
    """What became of the messages of a group, as far as the log shows it.

    `delayed` were accepted later, after `minutes` at the most (None when none was); `lost` are those that were
    refused for good, or whose relay stopped trying; of `unknown` the log shows no more. They add up to the
    messages of the group. `says` is that as a sentence.
    """

    delayed: int
    lost: int
    unknown: int
    minutes: float | None
    says: str


class Counted(Struct, frozen=True):
    """An address, and how many tries it had a part in."""

    address: str
    count: int


class Group(Struct, frozen=True, kw_only=True):
    """Senders that failed in the same way at the same mail host, coming through the same relay.

    A failure of the mailbox groups by address, one of the mail host or the domain by domain: `sender` is then
    the one with the most tries, and `senders` holds the others too. `count` are the tries (recipients that the
    relay named and that were turned away for it), `messages` how many messages these were at least; `cached` how
    many tries the mail server answered from an earlier verification, and `incomplete` how many transactions the
    log shows to have ended without a message.

    `relay_ip` is the address that an exemption names, `called_ip` the one that the callout called. `first` and
    `last` are stamps as the log has them. `recipients` and `senders` are bounded, most tries first;
    `more_recipients` and `more_senders` count tries beyond them. `said` is what the log says of the failure;
    `proves` and `leaves_open` are what that shows and what it cannot tell. With --probe, `report` is the diagnosis
    of `sender` now and `now` what that means for what the log said.
    """

    sender: str | None
    domain: str | None
    relay_ip: str | None
    relay_name: str | None
    helo: str | None
    called_host: str | None
    called_ip: str | None
    outcome: MtaOutcome
    cause: Cause
    reason: str
    confidence: Confidence
    count: int
    messages: int
    first: str
    last: str
    recipients: tuple[str, ...]
    fate: Fate
    said: str
    report: Report | None
    program: LogProgram
    rule: str
    says: str
    proves: str
    leaves_open: str | None
    senders: tuple[Counted, ...]
    more_senders: int
    more_recipients: int
    cached: int
    incomplete: int
    now: Now | None


class LogReport(Struct, frozen=True, kw_only=True):
    """What the log shows about sender verification.

    `lines` were read; `understood` of them are about sender verification and were read, `not_understood` are
    about it as well but in no form that is known (`samples` holds some). `groups` come in the order of messages,
    most first, at most --limit of them out of `failing`. `first` and `last` are the stamps of the first and
    last line that was understood. `notes` say what had to be left out.
    """

    schema: int
    lines: int
    understood: int
    not_understood: int
    groups: tuple[Group, ...]
    failing: int
    first: str | None
    last: str | None
    notes: tuple[str, ...]
    samples: tuple[str, ...]
    tool: Tool
