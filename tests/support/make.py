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
    Answer,
    Canary,
    CanaryOutcome,
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
    Hop,
    HostEvidence,
    HostReport,
    Level,
    Mta,
    MtaOutcome,
    MtaView,
    Network,
    NextStep,
    Notice,
    Oddity,
    Options,
    Origin,
    PathEvidence,
    PathProbe,
    Protocol,
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
ROUTERS = ("192.0.2.1", "198.51.100.1", "198.51.100.9")
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
    probes: tuple[PathProbe, ...] | None = None,
) -> HostEvidence:
    """Make a mail host address and what was tried with it; `probes` are the packets of a path search."""
    return HostEvidence(
        name=name,
        ip=ip,
        port=port,
        preference=preference,
        origin=origin,
        scope=scope,
        skipped=skipped,
        sessions=sessions,
        path=None if probes is None else path(*probes),
    )


def path_probe(
    ttl: int | None = None,
    reply: Answer = Answer.SILENT,
    *,
    protocol: Protocol = Protocol.TCP,
    port: int | None = 25,
    sent: float = 1.0,
    ended: float | None = None,
    sender: str | None = None,
    notice: Notice | None = None,
    arrived_ttl: int | None = None,
) -> PathProbe:
    """Make a packet of a path search: answered after 8 ms, given up after 2.4 s when silent, unless told."""
    if ended is None:
        ended = sent + (2.4 if reply is Answer.SILENT else 0.008)
    return PathProbe(
        protocol=protocol,
        port=port,
        ttl=ttl,
        sent=sent,
        ended=ended,
        answer=reply,
        sender=sender,
        notice=notice,
        arrived_ttl=arrived_ttl,
    )


def path(*probes: PathProbe, lacking: tuple[str, ...] = ()) -> PathEvidence:
    """Make a path search of the packets given; it lasts from the first of them to the last answer."""
    return PathEvidence(
        started=min((probe.sent for probe in probes), default=1.0),
        ended=max((probe.ended for probe in probes), default=1.0),
        probes=probes,
        lacking=lacking,
    )


def canary(
    outcome: CanaryOutcome = CanaryOutcome.ANSWERED,
    *,
    name: str = "mx.example.net",
    ip: str | None = "198.51.100.25",
    family: int = 4,
    started: float = 1.0,
    ended: float = 1.03,
    banner: str | None = None,
    detail: str | None = None,
) -> Canary:
    """Make the call to a mail host known to be up."""
    return Canary(
        name=name,
        port=25,
        family=family,
        outcome=outcome,
        ip=ip,
        started=started,
        ended=ended,
        banner=banner,
        detail=detail,
    )


def evidence(
    *hosts: HostEvidence,
    to: Address | None = None,
    dns: tuple[DnsAnswer, ...] | None = None,
    chosen: Options | None = None,
    ended: float = 0.5,
    interrupted: bool = False,
    cut_short: bool = False,
    called: Canary | None = None,
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
        canary=called,
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
    network: Network | None = None,
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
        network=network,
    )


def hop(
    number: int,
    router: str | None = None,
    on_port: Answer | None = Answer.SILENT,
    on_control: Answer | None = Answer.SILENT,
    *,
    control: str | None = "udp",
    lapse: float = 0.008,
) -> Hop:
    """Make a hop of a picture; nobody answers unless told, and every answer takes the same time."""
    return Hop(
        hop=number,
        router=router,
        port_answer=on_port,
        port_lapse=None if on_port in {None, Answer.SILENT} else lapse,
        control=None if on_control is None else control,
        control_answer=on_control,
        control_lapse=None if on_control in {None, Answer.SILENT} else lapse,
    )


def network(
    *hops: Hop,
    ends: str | None = f"between hop 2 ({ROUTERS[1]}) and hop 3 ({ROUTERS[2]})",
    lacking: tuple[str, ...] = (),
) -> Network:
    """Make a path; without hops it is that of a port that a router drops between hop 2 and hop 3 of four."""
    if not hops:
        passed = Answer.TIME_EXCEEDED
        hops = (
            hop(1, ROUTERS[0], passed, passed, lapse=0.0003),
            hop(2, ROUTERS[1], passed, passed),
            hop(3, ROUTERS[2], Answer.SILENT, passed, lapse=0.009),
            hop(4, MX_IP, Answer.SILENT, Answer.PORT_UNREACHABLE, lapse=0.0101),
        )
    return Network(
        distance=4, reached=2, ends=ends, control="udp", hops=hops, packets=len(hops), lacking=lacking
    )


def step(do: str, who: Who = Who.SUPPORT) -> NextStep:
    """Make one next step."""
    return NextStep(who=who, do=do)


def mta(outcome: MtaOutcome, *, exim: str | None = None, postfix: str | None = None) -> Mta:
    """Make what Exim and Postfix do, both the same, each with its reply to the relay."""
    return Mta(
        exim=MtaView(outcome, exim, "4.96", "callout=30s"),
        postfix=MtaView(outcome, postfix, "3.7", "reject_unverified_sender"),
    )


def violation(
    saw: str = "554 No null sender here",
    *,
    word: str = "null-sender-refused",
    host: str | None = MX,
    severity: Severity = Severity.DEFEATS,
) -> Violation:
    """Make a broken requirement: by default the refusal of the null sender."""
    return Violation(
        id=word,
        section_2821="3.7",
        section_5321="4.5.5",
        severity=severity,
        host=host,
        saw=saw,
        level=Level.MUST,
        says="The null sender <> must be accepted.",
        mend="Accept MAIL FROM:<>.",
    )


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
