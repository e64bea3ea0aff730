"""What `probe-sender preflight` looks at besides the sender, and the report that it makes: types only."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from msgspec import Struct

from probe.core.model import Report  # noqa: TC001  # msgspec reads the types of the fields

if TYPE_CHECKING:
    from probe.core.chain import Found
    from probe.core.spf import Spf

PREFLIGHT_SCHEMA = 1


class Result(StrEnum):
    """What a check came to: whether it speaks for the exemption, or against it."""

    PASS = "pass"  # noqa: S105  # no password
    WARN = "warn"
    FAIL = "fail"
    UNTESTED = "untested"


class Advice(StrEnum):
    """Whether the relay may be exempted from sender verification."""

    NOT_NEEDED = "not-needed"
    USELESS = "useless"
    JUSTIFIED = "justified"
    DANGEROUS = "dangerous"
    CANNOT_TELL = "cannot-tell"


class Listing(Struct, frozen=True):
    """What a blocklist (DNSBL, RFC 5782) answered about the relay."""

    zone: str
    found: Found


class RelaySeen(Struct, frozen=True, kw_only=True):
    """Everything that was looked up about a relay; what is None was not, or the time was up before.

    `names` is what the PTR look-up found, `addresses` what the look-up of each of these names found; `spf` what
    the sender's domain says of the relay. `organisations` gives, of the names that matter here, the
    organisational domain (RFC 7489 3.2): the label below a public suffix and that suffix. A name that is itself
    a public suffix has none.
    """

    ip: str
    names: Found | None = None
    addresses: tuple[Found, ...] = ()
    spf: Spf | None = None
    listings: tuple[Listing, ...] = ()
    organisations: dict[str, str] = {}  # msgspec copies it


class Asked(Struct, frozen=True, kw_only=True):
    """What the user said.

    `allow_private` is that the relay may have an address that is not public; `is_relay` that
    the log names it after H=, although it is a mail host of the domain too; `zones` are the DNSBLs to ask.
    """

    allow_private: bool = False
    is_relay: bool = False
    zones: tuple[str, ...] = ()


class RelayCheck(Struct, frozen=True):
    """One check: its result, and the sentence about it."""

    id: str
    result: Result
    says: str


class Exemption(Struct, frozen=True):
    """One way to exempt, and what it costs.

    `line` goes into `file`; `setup` is the configuration that makes the server read it, needed once, empty where
    it does so already. `undo` is the command that takes the line out again. `review_after` is a date (ISO 8601).
    """

    mta: str
    file: str
    where: str
    line: str
    bypasses: str
    risk: str
    undo: str
    review_after: str
    setup: tuple[str, ...] = ()


class Avoid(Struct, frozen=True):
    """A list that other guides recommend, and why it is the wrong one."""

    file: str
    why: str


class Preflight(Struct, frozen=True):
    """The report of `probe-sender preflight`. `rule` names the row that decided."""

    schema: int
    advice: Advice
    relay_ip: str
    address: str
    because: tuple[str, ...]
    checks: tuple[RelayCheck, ...]
    exemptions: tuple[Exemption, ...]
    avoid: tuple[Avoid, ...]
    rule: str
    report: Report
