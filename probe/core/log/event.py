"""What one line of a mail server's log says about sender verification: the types, and nothing else."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from probe.core.model import Cause, Confidence, MtaOutcome, Reading, Stage


class LogProgram(StrEnum):
    """Which mail server wrote the line."""

    EXIM = "exim"
    POSTFIX = "postfix"


class LogKind(StrEnum):
    """What a line is.

    `verify` tells how a verification ended, `rejected` what the relay was told for it, `incomplete` that the
    transaction came to nothing, `received` that a message was taken (Exim `<=`, Postfix `status=sent` and the
    like), `lost` that the relay went away in mid-conversation, `probe` what Postfix's own probe found, `remark`
    another line about a callout (in clear, own host).
    """

    VERIFY = "verify"
    REJECTED = "rejected"
    INCOMPLETE = "incomplete"
    RECEIVED = "received"
    LOST = "lost"
    PROBE = "probe"
    REMARK = "remark"


class LogFault(StrEnum):
    """What went wrong, where the line says it in words of the mail server and not of the peer."""

    TIMEOUT = "timeout"
    """No connection within the limit ("Connection timed out")."""
    SILENT = "silent"
    """No banner, or with TCP Fast Open no connection ("SMTP timeout after initial connection"): not told apart."""
    REPLY_TIMEOUT = "reply-timeout"
    REFUSED = "refused"
    NO_ROUTE = "no-route"
    NET_UNREACHABLE = "net-unreachable"
    PROHIBITED = "prohibited"
    RESET = "reset"
    LOCAL = "local"
    UNREACHABLE = "unreachable"
    """`H [I] : H [I]`: Exim lost the errno (TCP Fast Open)."""
    CLOSED = "closed"
    MALFORMED = "malformed"
    TLS = "tls"
    SMTPUTF8 = "smtputf8"
    """The address is not ASCII, and the host does not offer SMTPUTF8."""
    NULL = "null"
    """`NULL`: a 4xx, a time-out or an unreadable reply; Exim kept none of it."""
    SAID = "said"
    """The peer's own reply: `said` holds it."""
    CACHED = "cached"
    """Nothing behind the address: an earlier result was reused, or several hosts failed."""
    SEVERAL = "several"
    """Several hosts were asked and none decided; the log does not say why."""
    NXDOMAIN = "nxdomain"
    """`Unrouteable address`: the domain has no mail host."""
    NULL_MX = "null-mx"
    DANGLING = "dangling"
    MX_IS_ADDRESS = "mx-is-address"
    DNS = "dns"
    """`host lookup did not complete`."""
    SELF = "self"
    """The MX record points back at the verifying server."""
    HEADER = "header"
    """An address of a header line was verified; the line names neither it nor what went wrong."""
    IN_PROGRESS = "in-progress"
    """Postfix: the probe had not come back."""
    UNKNOWN = "unknown"


class LogEvent(Struct, frozen=True, kw_only=True):
    """One line that was understood. Absent fields are those that the line does not name.

    `when` is the stamp as the line has it, `at` that stamp as seconds since 1970 (read as UTC where it names no
    zone; None where it cannot be read). `outcome` is what the mail server made of it: `defer` or `reject`; None
    for lines that tell no outcome. `relay_name` is the verified name of the client, `helo` what it called itself.
    `host` and `host_ip` are the mail host that was called, `stage` what the callout waited for, `said` the
    peer's reply as the log quotes it (lines joined with a line feed). `message` is the id of a message that was
    taken, or refused after its data, or of Postfix's probe. `text` is what the line says of it, in its own words.

    A `verify` line of Exim names no recipient, its `rejected` partner does; Postfix says both in one `verify` line.
    `sender` is the address that was verified, for `probe` lines also where it was a recipient's: Postfix verifies
    both alike. `recipients` are those that a `received` line names. `connection` is Exim's id of the connection,
    `server` the host that the syslog line comes from. `cut` says that the record goes on where the line ends.
    """

    program: LogProgram
    kind: LogKind
    when: str = ""
    at: float | None = None
    pid: int | None = None
    relay_ip: str | None = None
    relay_port: int | None = None
    relay_name: str | None = None
    helo: str | None = None
    sender: str | None = None
    recipient: str | None = None
    outcome: MtaOutcome | None = None
    fault: LogFault | None = None
    host: str | None = None
    host_ip: str | None = None
    stage: Stage | None = None
    said: str | None = None
    message: str | None = None
    text: str = ""
    recipients: tuple[str, ...] = ()
    connection: str | None = None
    server: str | None = None
    cut: bool = False


class LogVerdict(Struct, frozen=True, kw_only=True):
    """What a line proves, judged by the same rules as a probe; never `certain`, because it is second-hand.

    `proves` and `leaves_open` are sentences: what the line shows, and what it cannot tell (None where nothing is
    left open). `rule` is the rule of the decision table that decided.
    """

    cause: Cause
    reason: str
    confidence: Confidence
    rule: str
    says: str
    proves: str
    leaves_open: str | None = None
    reading: Reading | None = None
