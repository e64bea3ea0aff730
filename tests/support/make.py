"""Builders of records for tests: each takes what a test is about and fills in the rest.

The defaults tell the story of the README: `administrator@customer.example.com`, whose mail host
`mx1.customer.example.com` [203.0.113.15] is asked by us, `probe.example.net` [192.0.2.10], and accepts.
What no builder takes is changed with `msgspec.structs.replace`.
"""

from __future__ import annotations

from probe.core.model import (
    EVIDENCE_SCHEMA,
    REPORT_SCHEMA,
    Address,
    AddressForm,
    AddressKind,
    Cause,
    Confidence,
    Connect,
    ConnectOutcome,
    Direction,
    DnsAnswer,
    DnsOutcome,
    DnsRecord,
    DnsTry,
    Evidence,
    Exchange,
    ExchangeOutcome,
    HeloSource,
    HostEvidence,
    HostReport,
    Mta,
    MtaOutcome,
    MtaView,
    NextStep,
    Oddity,
    Options,
    Origin,
    Purpose,
    Reading,
    Reason,
    Reply,
    Report,
    Scope,
    Session,
    Severity,
    Side,
    Skip,
    Stage,
    Tape,
    Timing,
    Tls,
    TlsMode,
    Tool,
    Violation,
    Who,
)

SENDER = "administrator@customer.example.com"
MX = "mx1.customer.example.com"
MX_IP = "203.0.113.15"
OUR_IP = "192.0.2.10"
OUR_HELO = "probe.example.net"
NAME_SERVER = "192.0.2.53:53"
BEGAN = "2026-01-15T09:30:00Z"
TOOL = Tool(name="probe-sender", version="0.1.0", rules_version=1)


# --- evidence --------------------------------------------------------------------------------------


def address(
    given: str = SENDER,
    *,
    mailbox: str | None = None,
    unicode_domain: str | None = None,
    kind: AddressKind = AddressKind.DOMAIN,
    ip: str | None = None,
    forms: tuple[AddressForm, ...] = (),
) -> Address:
    """Make an address as `parse` would give it; `mailbox` only where it differs from what was given."""
    mailbox = given if mailbox is None else mailbox
    local, _, domain = mailbox.rpartition("@")
    return Address(
        given=given,
        mailbox=mailbox,
        local=local,
        domain=domain,
        unicode_domain=domain if unicode_domain is None else unicode_domain,
        kind=kind,
        ip=ip,
        forms=forms,
    )


def options(
    *,
    timeout: float = 60.0,
    connect_timeout: float = 10.0,
    reply_timeout: float = 30.0,
    port: int = 25,
    helo: str = OUR_HELO,
    mail_from: str = "",
    families: tuple[int, ...] = (4, 6),
    source: str | None = None,
    tls: TlsMode = TlsMode.AUTO,
    catch_all: bool = False,
    all_hosts: bool = False,
    allow_private: bool = False,
    dns_servers: tuple[str, ...] = (NAME_SERVER,),
) -> Options:
    """Make the settings of a run, the program's defaults unless told."""
    return Options(
        timeout=timeout,
        connect_timeout=connect_timeout,
        reply_timeout=reply_timeout,
        quit_timeout=1.0,
        dns_timeout=10.0,
        stagger=0.2,
        port=port,
        helo=helo,
        helo_source=HeloSource.OPTION,
        mail_from=mail_from,
        families=families,
        source=source,
        tls=tls,
        catch_all=catch_all,
        all_hosts=all_hosts,
        allow_private=allow_private,
        dns_servers=dns_servers,
    )


def record(name: str, rdtype: str, data: str, *, ttl: int = 300) -> DnsRecord:
    """Make a resource record from its presentation form; an MX gets its preference and target from it."""
    preference, target = None, None
    if rdtype == "MX":
        number, _, exchange = data.partition(" ")
        preference, target = int(number), exchange.rstrip(".") or "."
    return DnsRecord(name=name, type=rdtype, ttl=ttl, data=data, preference=preference, target=target)


def answer(
    name: str = "customer.example.com",
    rdtype: str = "MX",
    *data: str,
    outcome: DnsOutcome | None = None,
    rcode: str | None = None,
    asked: float = 0.0,
    ended: float = 0.02,
    tries: tuple[DnsTry, ...] | None = None,
) -> DnsAnswer:
    """Make one question: an ANSWER when there is data, else NODATA, unless told; by one try over UDP."""
    if outcome is None:
        outcome = DnsOutcome.ANSWER if data else DnsOutcome.NODATA
    if tries is None:
        tries = (DnsTry(server=NAME_SERVER, transport="udp", sent=asked, ended=ended, outcome=outcome),)
    if rcode is None and outcome in {DnsOutcome.ANSWER, DnsOutcome.NODATA}:
        rcode = "NOERROR"
    return DnsAnswer(
        name=name,
        type=rdtype,
        asked=asked,
        ended=ended,
        outcome=outcome,
        rcode=rcode,
        authenticated=False,
        records=tuple(record(name, rdtype, item) for item in data),
        soa_minimum=None,
        tries=tries,
    )


def reply(
    *lines: str,
    code: int | None = None,
    started: float = 0.0,
    ended: float = 0.0,
    oddities: tuple[Oddity, ...] = (),
) -> Reply:
    """Make a reply from its raw lines; the code is read from the last one unless told."""
    if code is None and lines and lines[-1][:3].isdigit():
        code = int(lines[-1][:3])
    return Reply(code=code, lines=lines, oddities=oddities, started=started, ended=ended)


def exchange(
    stage: Stage,
    command: str | None,
    *lines: str,
    sent: float = 0.0,
    ended: float = 0.0,
    outcome: ExchangeOutcome = ExchangeOutcome.REPLY,
    oddities: tuple[Oddity, ...] = (),
    detail: str | None = None,
) -> Exchange:
    """Make a command and its reply; without lines there was no reply."""
    came = reply(*lines, started=ended, ended=ended, oddities=oddities) if lines else None
    return Exchange(
        stage=stage, command=command, sent=sent, ended=ended, outcome=outcome, reply=came, detail=detail
    )


def connect(
    outcome: ConnectOutcome = ConnectOutcome.CONNECTED,
    *,
    started: float = 0.04,
    ended: float = 0.06,
    errno: int | None = None,
    errno_name: str | None = None,
) -> Connect:
    """Make a connection attempt; ours is the local address when it came about."""
    local_ip = OUR_IP if outcome is ConnectOutcome.CONNECTED else None
    return Connect(
        started=started, ended=ended, outcome=outcome, errno=errno, errno_name=errno_name, local_ip=local_ip
    )


def session(
    *exchanges: Exchange,
    purpose: Purpose = Purpose.CALLOUT,
    connected: Connect | None = None,
    tls: Tls | None = None,
    tape: tuple[Tape, ...] | None = None,
    dropped: int = 0,
) -> Session:
    """Make a connection and what was said over it; the tape is made of the exchanges unless told."""
    if tape is None:
        tape = tuple(entry for item in exchanges for entry in _tape(item))
    return Session(
        purpose=purpose,
        connect=connect() if connected is None else connected,
        exchanges=exchanges,
        tls=tls,
        tape=tape,
        dropped=dropped,
    )


def _tape(item: Exchange) -> list[Tape]:
    entries = []
    if item.command is not None:
        entries.append(
            Tape(t=item.sent, until=item.sent, direction=Direction.SENT, data=f"{item.command}\r\n")
        )
    if item.reply is not None:
        data = "".join(f"{line}\r\n" for line in item.reply.lines)
        entries.append(
            Tape(t=item.reply.started, until=item.reply.ended, direction=Direction.RECEIVED, data=data)
        )
    return entries


def conversation(
    *rcpt: str,
    sender: str = SENDER,
    stages: tuple[Stage, ...] = (Stage.BANNER, Stage.EHLO, Stage.MAIL, Stage.RCPT),
) -> tuple[Exchange, ...]:
    """Make a clean callout: the usual replies, and `rcpt` as the one to RCPT; only the given stages."""
    said = {
        Stage.BANNER: (None, (f"220 {MX} ESMTP",)),
        Stage.EHLO: (f"EHLO {OUR_HELO}", (f"250-{MX}", "250-PIPELINING", "250 SIZE 52428800")),
        Stage.MAIL: ("MAIL FROM:<>", ("250 2.1.0 Ok",)),
        Stage.RCPT: (f"RCPT TO:<{sender}>", rcpt or ("250 2.1.5 Ok",)),
    }
    items = []
    for number, stage in enumerate(stages):
        command, lines = said[stage]
        sent = round(0.06 + 0.1 * number, 3)
        items.append(exchange(stage, command, *lines, sent=sent, ended=round(sent + 0.1, 3)))
    return tuple(items)


def host(
    *sessions: Session,
    name: str = MX,
    ip: str = MX_IP,
    port: int = 25,
    preference: int | None = 10,
    origin: Origin = Origin.MX,
    scope: Scope = Scope.PUBLIC,
    skipped: Skip | None = None,
) -> HostEvidence:
    """Make a mail host address and what was tried with it."""
    return HostEvidence(
        name=name,
        ip=ip,
        port=port,
        preference=preference,
        origin=origin,
        scope=scope,
        skipped=skipped,
        sessions=sessions,
    )


def evidence(
    *hosts: HostEvidence,
    to: Address | None = None,
    dns: tuple[DnsAnswer, ...] | None = None,
    chosen: Options | None = None,
    ended: float = 0.5,
    interrupted: bool = False,
    cut_short: bool = False,
) -> Evidence:
    """Make a run: by default one MX, one address, and whatever hosts are given."""
    if dns is None:
        dns = (
            answer("customer.example.com", "MX", f"10 {MX}."),
            answer(MX, "A", MX_IP, asked=0.02, ended=0.04),
            answer(MX, "AAAA", asked=0.02, ended=0.04),
        )
    return Evidence(
        schema=EVIDENCE_SCHEMA,
        tool=TOOL,
        began=BEGAN,
        seed=7,
        address=address() if to is None else to,
        options=options() if chosen is None else chosen,
        dns=dns,
        hosts=hosts,
        ended=ended,
        interrupted=interrupted,
        cut_short=cut_short,
    )


# --- report ----------------------------------------------------------------------------------------


def host_report(
    name: str = MX,
    ip: str = MX_IP,
    *,
    preference: int | None = 10,
    cause: Cause = Cause.SENDER_EXISTS,
    reason: str = "rcpt.accepted",
    confidence: Confidence = Confidence.CERTAIN,
    rule: str = "rcpt-accepted",
    says: str = "The mail host accepted the address.",
    stage: Stage | None = Stage.RCPT,
    reply: str | None = None,
    reading: Reading | None = None,
) -> HostReport:
    """Make the verdict on one mail host address."""
    return HostReport(
        name=name,
        ip=ip,
        preference=preference,
        cause=cause,
        reason=reason,
        confidence=confidence,
        rule=rule,
        fired=(rule,),
        says=says,
        stage=stage,
        reply=reply,
        reading=reading,
        transcript_ok=True,
    )


def step(do: str, who: Who = Who.SUPPORT) -> NextStep:
    """Make one next step."""
    return NextStep(who=who, do=do)


def mta(outcome: MtaOutcome, *, exim: str | None = None, postfix: str | None = None) -> Mta:
    """Make what Exim and Postfix do, both the same, each with its reply to the relay."""
    return Mta(exim=MtaView(outcome=outcome, reply=exim), postfix=MtaView(outcome=outcome, reply=postfix))


def violation(
    saw: str = "554 No null sender here",
    *,
    word: str = "null-sender-refused",
    host: str | None = MX,
    severity: Severity = Severity.DEFEATS,
) -> Violation:
    """Make a broken requirement: by default the refusal of the null sender."""
    return Violation(id=word, section_2821="3.7", section_5321="4.5.5", severity=severity, host=host, saw=saw)


def report(
    *hosts: HostReport,
    given: str = SENDER,
    cause: Cause = Cause.SENDER_EXISTS,
    reason: str = "rcpt.accepted",
    confidence: Confidence = Confidence.CERTAIN,
    side: Side = Side.UNKNOWN,
    summary: str = "The mail host accepted the address.",
    because: tuple[str, ...] = ("It answered RCPT with 250.",),
    next_steps: tuple[NextStep, ...] = (),
    mta: Mta | None = None,
    catch_all: bool | None = None,
    violations: tuple[Violation, ...] = (),
    notes: tuple[str, ...] = (),
    rule: str = "rcpt-accepted",
    seconds: float = 0.5,
    observed: Evidence | None = None,
) -> Report:
    """Make a report; `because` are the sentences, which all point to the first host of the evidence."""
    return Report(
        schema=REPORT_SCHEMA,
        address=given,
        cause=cause,
        reason=reason,
        confidence=confidence,
        side=side,
        summary=summary,
        because=tuple(Reason(says=says, points_to=("/hosts/0",)) for says in because),
        next_steps=next_steps,
        mta=mta,
        catch_all=catch_all,
        hosts=hosts,
        timing=Timing(dns=0.04, connect=0.02, conversation=0.4, network=0.46, total=seconds),
        violations=violations,
        notes=notes,
        rule=rule,
        evidence=evidence(to=address(given)) if observed is None else observed,
        tool=TOOL,
    )
