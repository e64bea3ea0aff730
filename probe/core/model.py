"""Every type that is written as JSON, and its enums; nothing else.

Two documents are built from these types. `Evidence` is all that the shell hands to the core: what was
asked, sent and seen, and nothing that was concluded. `Report` is what the core makes of it. Both carry a
schema number; within one number a key never changes its type and is never left out (absence is `null`).

Bytes from a peer are kept as latin-1 text, each byte one character, so that none is lost; a view decodes
UTF-8 where it is valid. Times are seconds since the start of the run, as floats. What can be derived from
other fields (a duration, "is this a firewall") is not stored.

`gc=False` are those that a batch holds by the hundred thousand: made of values, they never lead back to themselves, so
Python's search for cycles need not visit them, and each is smaller by the 16 octets that this takes.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

EVIDENCE_SCHEMA = 1
REPORT_SCHEMA = 1


# --- words -----------------------------------------------------------------------------------------


class Cause(StrEnum):
    """What is true of the sender, in one word. Each has its exit code; users script against both."""

    SENDER_EXISTS = "sender-exists"
    MISSING_SENDER = "missing-sender"
    INCONCLUSIVE = "inconclusive"
    TEMPORARY = "temporary"
    FIREWALL_TIMEOUT = "firewall-timeout"
    UNREACHABLE = "unreachable"
    RFC_NONCOMPLIANT = "rfc-noncompliant"
    POLICY_REFUSAL = "policy-refusal"
    DNS_FAILURE = "dns-failure"


class Confidence(StrEnum):
    """How far the evidence carries the cause."""

    CERTAIN = "certain"
    PROBABLE = "probable"
    UNCERTAIN = "uncertain"


class Side(StrEnum):
    """Who has to act."""

    THEIRS = "theirs"
    OURS = "ours"
    PATH = "path"
    DNS = "dns"
    UNKNOWN = "unknown"


class Who(StrEnum):
    """To whom a next step is addressed."""

    SUPPORT = "support"
    OUR_ADMIN = "our-admin"
    THEIR_ADMIN = "their-admin"
    SENDER = "sender"


class Severity(StrEnum):
    """What a broken RFC requirement costs."""

    DEFEATS = "defeats-verification"
    RISKY = "risky"
    COSMETIC = "cosmetic"


class MtaOutcome(StrEnum):
    """What a real mail server does with mail from this sender now."""

    ACCEPT = "accept"
    REJECT = "reject"
    DEFER = "defer"


class Covers(StrEnum):
    """For whom a record of a mail server's cache answers."""

    ADDRESS = "address"
    DOMAIN = "domain"


class Level(StrEnum):
    """How strongly an RFC requires something (RFC 2119)."""

    MUST = "MUST"
    SHOULD = "SHOULD"


class AddressKind(StrEnum):
    """How the right-hand side of the address names its mail host."""

    DOMAIN = "domain"
    LITERAL = "literal"


class AddressForm(StrEnum):
    """Shapes of a local part that carry a meaning of their own. They are said, and never rewritten."""

    BATV = "batv"
    SRS = "srs"
    VERP = "verp"
    SUBADDRESS = "subaddress"
    QUOTED = "quoted"
    UTF8 = "utf8"
    IDN = "idn"
    NULL_LIKE = "noreply"


class DnsOutcome(StrEnum):
    """How one question to the DNS ended."""

    ANSWER = "answer"
    NODATA = "nodata"
    NXDOMAIN = "nxdomain"
    SERVFAIL = "servfail"
    REFUSED = "refused"
    TIMEOUT = "timeout"
    MALFORMED = "malformed"
    LAME = "lame"
    OTHER_RCODE = "other-rcode"
    CNAME_LOOP = "cname-loop"
    UNREACHABLE = "unreachable"
    CUT_SHORT = "cut-short"


class Scope(StrEnum):
    """What kind of address an IP is. Only `public` is connected to without --allow-private."""

    PUBLIC = "public"
    LOOPBACK = "loopback"
    PRIVATE = "private"
    SHARED = "shared"
    LINK_LOCAL = "link-local"
    DOCUMENTATION = "documentation"
    MULTICAST = "multicast"
    UNSPECIFIED = "unspecified"
    RESERVED = "reserved"


class Origin(StrEnum):
    """Why a host is a mail host of the domain."""

    MX = "mx"
    IMPLICIT = "implicit"
    LITERAL = "literal"


class Skip(StrEnum):
    """Why a mail host address was not talked to."""

    NOT_PUBLIC = "not-public"
    FAMILY = "family"
    DEFINITE = "definite-answer"
    LIMIT = "limit"
    CUT_SHORT = "cut-short"
    HELD_BACK = "held-back"


class Stage(StrEnum):
    """The steps of a callout and of the audit, about in the order they are reached."""

    CONNECT = "connect"
    BANNER = "banner"
    EHLO = "ehlo"
    HELO = "helo"
    STARTTLS = "starttls"
    TLS = "tls"
    MAIL = "mail"
    RCPT = "rcpt"
    RSET = "rset"
    MAIL_REAL = "mail-real"
    RCPT_REAL = "rcpt-real"
    MAIL_AGAIN = "mail-again"
    RCPT_RANDOM = "rcpt-random"
    NOOP = "noop"
    NOOP_AGAIN = "noop-again"
    RCPT_POSTMASTER = "rcpt-postmaster"
    RCPT_POSTMASTER_AGAIN = "rcpt-postmaster-again"
    RCPT_LONG = "rcpt-long"
    VRFY = "vrfy"
    UNKNOWN = "unknown-command"
    QUIT = "quit"
    EXTRA = "extra"


class ConnectOutcome(StrEnum):
    """How an attempt to open a TCP connection ended."""

    CONNECTED = "connected"
    TIMEOUT = "timeout"
    REFUSED = "refused"
    HOST_UNREACHABLE = "host-unreachable"
    NET_UNREACHABLE = "net-unreachable"
    PROHIBITED = "prohibited"
    RESET = "reset"
    NO_ROUTE = "no-route"
    LOCAL = "local-error"
    CUT_SHORT = "cut-short"


class ExchangeOutcome(StrEnum):
    """How one command (or the wait for the banner) ended."""

    REPLY = "reply"
    TIMEOUT = "timeout"
    CLOSED = "closed"
    RESET = "reset"
    OVERFLOW = "overflow"
    TLS_FAILED = "tls-failed"
    CUT_SHORT = "cut-short"


class Oddity(StrEnum):
    """What was unusual about the bytes of a reply. Recorded, never raised."""

    BARE_LF = "bare-lf"
    NO_CODE = "no-code"
    NO_SEPARATOR = "no-separator"
    NO_TEXT = "no-text"
    MIXED_CODES = "mixed-codes"
    BAD_CODE = "bad-code"
    LONG_LINE = "long-line"
    EIGHT_BIT = "eight-bit"
    CONTROL = "control"
    UNTERMINATED = "unterminated"
    MASKED = "masked"
    TOO_LONG = "too-long"


class Direction(StrEnum):
    """Which way the bytes of a tape entry went; `note` is an event without bytes."""

    SENT = "sent"
    RECEIVED = "received"
    NOTE = "note"


class Purpose(StrEnum):
    """Why a connection to a mail host was made."""

    CALLOUT = "callout"
    CLEAR = "clear"
    REAL_SENDER = "real-sender"
    SMALL_SEGMENTS = "small-segments"
    AUDIT = "audit"


class Protocol(StrEnum):
    """What a packet of the path search is made of; `icmp` is an echo request (ping)."""

    TCP = "tcp"
    UDP = "udp"
    ICMP = "icmp"


class Answer(StrEnum):
    """What came back to a packet of the path search: from the host itself, or as an ICMP error."""

    CONNECTED = "connected"
    RESET = "reset"
    ECHO = "echo"
    TIME_EXCEEDED = "time-exceeded"
    PORT_UNREACHABLE = "port-unreachable"
    HOST_UNREACHABLE = "host-unreachable"
    NET_UNREACHABLE = "net-unreachable"
    PROHIBITED = "prohibited"
    LOCAL = "local-error"
    SILENT = "silent"


class NoticeOrigin(StrEnum):
    """Who put an entry into the error queue of a socket (`ee_origin` of Linux)."""

    LOCAL = "local"
    ICMP = "icmp"
    ICMP6 = "icmp6"


class CanaryOutcome(StrEnum):
    """What a mail host that is known to be up did when we called it. `untested` says nothing about us."""

    ANSWERED = "answered"
    SILENT = "silent"
    REFUSED = "refused"
    UNTESTED = "untested"


class TlsMode(StrEnum):
    """The --tls setting."""

    AUTO = "auto"
    NEVER = "never"
    REQUIRE = "require"


class HeloSource(StrEnum):
    """Where our HELO name came from."""

    OPTION = "option"
    HOST = "host"
    LITERAL = "literal"


# --- evidence --------------------------------------------------------------------------------------


class Address(Struct, frozen=True, gc=False):
    """One mailbox (RFC 5321 4.1.2), as it will be sent.

    `given` is what the user typed or pasted; `mailbox` is the canonical `local@domain` that goes on the
    wire; `local` keeps its case and quoting; `domain` is the A-label form (RFC 5891) without a trailing
    dot, or the address literal with its brackets; `unicode_domain` is what a person reads; `ip` is the
    address inside a literal.
    """

    given: str
    mailbox: str
    local: str
    domain: str
    unicode_domain: str
    kind: AddressKind
    ip: str | None
    forms: tuple[AddressForm, ...]


class Options(Struct, frozen=True):
    """The settings that shaped what was observed. Times in seconds.

    `helo` is null where this host has no name, and each connection gave the address literal of its own end.
    """

    timeout: float
    connect_timeout: float
    reply_timeout: float
    quit_timeout: float
    dns_timeout: float
    stagger: float
    port: int
    helo: str | None
    helo_source: HeloSource
    mail_from: str
    families: tuple[int, ...]
    source: str | None
    tls: TlsMode
    catch_all: bool
    all_hosts: bool
    allow_private: bool
    dns_servers: tuple[str, ...]
    trace: bool = True
    fast: bool = False
    audit: bool = False


class DnsRecord(Struct, frozen=True, gc=False):
    """One resource record. `data` is its presentation form; `target` and `preference` are set for MX."""

    name: str
    type: str
    ttl: int
    data: str
    preference: int | None = None
    target: str | None = None


class DnsTry(Struct, frozen=True, gc=False):
    """One datagram or TCP query to one server. `detail` is an rcode, an errno name or a parse error."""

    server: str
    transport: str
    sent: float
    ended: float
    outcome: DnsOutcome
    detail: str | None = None


class DnsAnswer(Struct, frozen=True, gc=False):
    """One question and how it ended, with every try that led there, in the order they were made.

    `records` holds the whole answer section, CNAMEs included, in the order received; `soa_minimum` the
    negative TTL of RFC 2308 when there was one.
    """

    name: str
    type: str
    asked: float
    ended: float
    outcome: DnsOutcome
    rcode: str | None
    authenticated: bool
    records: tuple[DnsRecord, ...]
    soa_minimum: int | None
    tries: tuple[DnsTry, ...]


class Notice(Struct, frozen=True, gc=False):
    """One entry of a socket's error queue: an ICMP error that reached it, with its sender.

    `type` and `code` are those of ICMP (RFC 792) or ICMPv6 (RFC 4443) as `origin` says; `sender` is the
    address that sent the error (`SO_EE_OFFENDER` of ip(7)), None where the system does not tell, and `ours`
    whether it is an address of this host.
    """

    t: float
    origin: NoticeOrigin
    type: int
    code: int
    sender: str | None
    ours: bool = False


class TcpInfo(Struct, frozen=True, gc=False):
    """What the kernel knew of a TCP connection at time `t` (tcp(7) TCP_INFO of Linux); None before it was read.

    `retransmits` counts the time-outs since the last answer, `total_retrans` every retransmission that was
    attempted, `retrans` those of them that are in flight, so 0 beside a positive total means that they never
    left this host. `last_ack` and `last_data` are seconds since the peer's last ACK and last data, `rtt` the
    smoothed round-trip time in seconds, `out_of_order` the segments that came behind a gap (`rcv_ooopack`).
    Where nothing ever came (`segs_in` is 0) both times are 0.
    """

    t: float
    state: int
    retransmits: int
    retrans: int
    total_retrans: int
    segs_out: int
    segs_in: int
    out_of_order: int
    last_ack: float
    last_data: float
    rtt: float
    mss: int


class Connect(Struct, frozen=True, gc=False):
    """One TCP connection attempt; `errno` by number and name when the system gave one.

    `notices` are the ICMP errors that answered it, `tcp` the state of the connection when the attempt ended.
    """

    started: float
    ended: float
    outcome: ConnectOutcome
    errno: int | None = None
    errno_name: str | None = None
    local_ip: str | None = None
    notices: tuple[Notice, ...] = ()
    tcp: TcpInfo | None = None


class Reply(Struct, frozen=True, gc=False):
    """One SMTP reply as it came (RFC 5321 4.2).

    `code` is that of the last line, `None` when no line had one; `lines` are the raw lines without their
    line ends; `started` and `ended` the arrival of the first and the last byte.
    """

    code: int | None
    lines: tuple[str, ...]
    oddities: tuple[Oddity, ...]
    started: float
    ended: float


class Exchange(Struct, frozen=True, gc=False):
    """One command and what came back; the banner and unsolicited replies have no command."""

    stage: Stage
    command: str | None
    sent: float
    ended: float
    outcome: ExchangeOutcome
    reply: Reply | None = None
    detail: str | None = None


class Tape(Struct, frozen=True, gc=False):
    """Bytes in the order they crossed the wire, `t` the first and `until` the last of the entry."""

    t: float
    until: float
    direction: Direction
    data: str
    secure: bool = False


class Tls(Struct, frozen=True, gc=False):
    """What the TLS handshake showed. The certificate is recorded (PEM, as sent) and not enforced."""

    started: float
    ended: float
    ok: bool
    version: str | None = None
    cipher: str | None = None
    certificate: str | None = None
    error: str | None = None


class Session(Struct, frozen=True, gc=False):
    """One connection to a mail host address. `dropped` counts peer bytes beyond what the tape keeps.

    `tcp` is the state of the connection at its end, None where it never stood; `soft_error` the name of the
    errno that an ICMP error left on it without ending it (such as EHOSTUNREACH). `before` counts the addresses
    that were asked over the same connection before this one; their exchanges are not repeated here.
    """

    purpose: Purpose
    connect: Connect
    exchanges: tuple[Exchange, ...]
    tls: Tls | None
    tape: tuple[Tape, ...]
    dropped: int
    tcp: TcpInfo | None = None
    soft_error: str | None = None
    before: int = 0


class PathProbe(Struct, frozen=True):
    """One packet of the path search (with the kernel's repetitions of it) and what came back.

    `ttl` is the hop limit that it was sent with, None for the system's own; `port` is the destination port,
    None for an echo request. `sender` is who answered: a router for `time-exceeded` and the like, the host
    itself otherwise. `arrived_ttl` is the hop limit of the answer as it arrived, where the system tells.
    `ended` is when the answer came, or when a silent one was given up.
    """

    protocol: Protocol
    port: int | None
    ttl: int | None
    sent: float
    ended: float
    answer: Answer
    sender: str | None = None
    notice: Notice | None = None
    arrived_ttl: int | None = None


class PathEvidence(Struct, frozen=True):
    """Every packet of the path search towards one mail host address, in the order sent.

    `lacking` names what could not be used: `icmp-errors` (this system has no error queue for TCP), `ping` (not
    permitted), `tcp-info`, `routers` (other searches of the run had asked them as much as they answer).
    """

    started: float
    ended: float
    probes: tuple[PathProbe, ...]
    lacking: tuple[str, ...] = ()


class Canary(Struct, frozen=True):
    """The mail host known to be up that was called after a failure, to tell their fault from ours.

    `family` is 4 or 6; `ip` is None when the name did not resolve, and `detail` then says why.
    """

    name: str
    port: int
    family: int
    outcome: CanaryOutcome
    ip: str | None = None
    started: float = 0.0
    ended: float = 0.0
    banner: str | None = None
    detail: str | None = None


class HostEvidence(Struct, frozen=True):
    """One mail host address: why it is one, and every session with it (none when it was skipped)."""

    name: str
    ip: str
    port: int
    preference: int | None
    origin: Origin
    scope: Scope
    skipped: Skip | None
    sessions: tuple[Session, ...]
    path: PathEvidence | None = None


class Tool(Struct, frozen=True):
    """Which program observed or judged."""

    name: str
    version: str
    rules_version: int


class Evidence(Struct, frozen=True):
    """Everything that was observed of one address, and nothing that was concluded.

    `began` is the wall clock (UTC, RFC 3339) at time 0.0. What was learned before, for another address of the same
    batch, has negative times. `seed` is the number that orders hosts of equal preference; `interrupted` is true when
    the user stopped the run, `cut_short` when --timeout did.
    """

    schema: int
    tool: Tool
    began: str
    seed: int
    address: Address
    options: Options
    dns: tuple[DnsAnswer, ...]
    hosts: tuple[HostEvidence, ...]
    ended: float
    interrupted: bool
    cut_short: bool
    canary: Canary | None = None


# --- report ----------------------------------------------------------------------------------------


class Reason(Struct, frozen=True):
    """One sentence of the argument, with JSON pointers (RFC 6901) into the evidence it stands on."""

    says: str
    points_to: tuple[str, ...]


class NextStep(Struct, frozen=True):
    """Who should do what."""

    who: Who
    do: str


class AskedHost(Struct, frozen=True):
    """One mail host that a mail server asks: what that host's answer alone leads to, in the server's words."""

    name: str
    ip: str
    outcome: MtaOutcome
    why: str


class CacheRecord(Struct, frozen=True):
    """What a mail server remembers of the verification, for `seconds`, under the `key` of its database.

    A record about the `domain` answers for every address of it, one about the `address` for that address only;
    `holds` is the result in the words of the server's own tools. `cpanel_seconds` is for how long a server that
    cPanel set up keeps it, None where that is not another one.
    """

    covers: Covers
    key: str
    holds: str
    seconds: float
    cpanel_seconds: float | None = None


class MtaView(Struct, frozen=True):
    """What one mail server program does with this sender now, while `version` and `settings` are as they say.

    `reply` is the last line of what the relay is told and `reply_lines` all of it, None and empty where the
    sender is accepted. `log` are the lines that the server writes, each from behind its time stamp and host.
    `asked` are the mail hosts in the order it asks them, up to the one that ends it. `cache` is what it then
    remembers, `clear` the command that makes it forget. `seconds` is how long the relay waits for the reply,
    None where that cannot be told. `notes` say where our probe saw what the server would not.
    """

    outcome: MtaOutcome
    reply: str | None
    version: str
    settings: str
    reply_lines: tuple[str, ...] = ()
    log: tuple[str, ...] = ()
    asked: tuple[AskedHost, ...] = ()
    cache: tuple[CacheRecord, ...] = ()
    clear: str | None = None
    seconds: float | None = None
    notes: tuple[str, ...] = ()


class Mta(Struct, frozen=True):
    """The two mail servers that we predict; one is None where the evidence does not tell what it does."""

    exim: MtaView | None
    postfix: MtaView | None


class Basis(StrEnum):
    """What part of a reply carried its reading, from the firmest to none."""

    WORDS = "words"
    KEY = "key"
    ENHANCED = "enhanced-code"
    BASIC = "basic-code"
    NONE = "none"


class About(StrEnum):
    """What a refusal is about."""

    MISSING_MAILBOX = "missing-mailbox"
    MISSING_DOMAIN = "missing-domain"
    DISABLED = "mailbox-disabled"
    FULL = "mailbox-full"
    POLICY = "policy-block"
    BLOCKLIST = "blocklist"
    RATE = "rate-limit"
    GREYLIST = "greylist"
    NULL_SENDER = "null-sender"
    RELAY = "relay-denied"
    TLS = "tls-required"
    AUTH = "auth-required"
    HELO = "helo-rejected"
    RDNS = "rdns-required"
    OUR_SENDER = "our-sender"
    TEMPORARY = "temporary"
    PROTOCOL = "protocol-error"
    CONTENT = "content-or-size"
    NO_MAIL_HOST = "host-takes-no-mail"
    NO_MAIL_DOMAIN = "domain-takes-no-mail"
    OTHER = "other"


class Reading(Struct, frozen=True):
    """How the decisive reply of a host was read: the class, the row that said so, its words, the next best.

    `delay` is how many seconds the reply asks us to wait, where it names a time.
    """

    about: About
    basis: Basis
    row: str
    words: str | None
    runner_up: About | None
    delay: float | None = None


class Hop(Struct, frozen=True):
    """One hop of the path picture: who answers there, and after how many seconds, on the port and on a control.

    `port_answer` and `control_answer` are None where no packet was sent with that hop limit; `control` says
    what the control was, such as `udp` or `tcp/443`.
    """

    hop: int
    router: str | None
    port_answer: Answer | None
    port_lapse: float | None
    control: str | None
    control_answer: Answer | None
    control_lapse: float | None


class Network(Struct, frozen=True):
    """The path to one mail host address as the packets showed it.

    `reached` is the last hop that the port's packets reached, `distance` the hop of the host itself, `ends`
    the sentence about where it ends; `control` is a port or protocol on which the host did answer; `packets`
    counts what was sent beside the callout, `lacking` is what this system could not tell.
    """

    distance: int | None
    reached: int | None
    ends: str | None
    control: str | None
    hops: tuple[Hop, ...]
    packets: int
    lacking: tuple[str, ...]


class HostReport(Struct, frozen=True):
    """The verdict on one mail host address. `rule` won; `fired` lists every rule that matched."""

    name: str
    ip: str
    preference: int | None
    cause: Cause
    reason: str
    confidence: Confidence
    rule: str
    fired: tuple[str, ...]
    says: str
    stage: Stage | None
    reply: str | None
    reading: Reading | None
    transcript_ok: bool
    network: Network | None = None


class Violation(Struct, frozen=True):
    """An RFC requirement that the peer broke, fatal or not: what is required, what we saw, how to mend it."""

    id: str
    section_2821: str | None
    section_5321: str | None
    severity: Severity
    host: str | None
    saw: str
    level: Level
    says: str
    mend: str


class Timing(Struct, frozen=True):
    """Seconds spent; `network` is the time during which we waited for somebody else."""

    dns: float
    connect: float
    conversation: float
    network: float
    total: float


class Stored(Struct, frozen=True):
    """The evidence was kept from an earlier run: `age` seconds ago, when `asked` was the address that was asked."""

    age: float
    asked: str


class Earlier(Struct, frozen=True):
    """What the same address showed when it was last probed, by the rules of today; `age` in seconds."""

    began: str
    age: float
    cause: Cause
    reason: str
    summary: str


class Report(Struct, frozen=True):
    """The answer to one address.

    `stored` tells that nobody was asked now, `earlier` what the probe before this one showed.
    """

    schema: int
    address: str
    cause: Cause
    reason: str
    confidence: Confidence
    side: Side
    summary: str
    because: tuple[Reason, ...]
    next_steps: tuple[NextStep, ...]
    mta: Mta | None
    catch_all: bool | None
    hosts: tuple[HostReport, ...]
    timing: Timing
    violations: tuple[Violation, ...]
    notes: tuple[str, ...]
    rule: str
    evidence: Evidence
    tool: Tool
    stored: Stored | None = None
    earlier: Earlier | None = None
