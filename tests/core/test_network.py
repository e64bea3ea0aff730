"""The decision table of the network, case by case: the packets of a path in, the reason out.

The path of every case is the same: hop 1 is 192.0.2.1, hop 2 192.0.2.2, hop 3 192.0.2.3, and the mail host is
hop 4. What follows was written down from the measured table before the rules were run on it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from msgspec.structs import replace

from probe.core.answers import estimate
from probe.core.classify import judge
from probe.core.model import (
    Answer,
    Canary,
    CanaryOutcome,
    Cause,
    Confidence,
    Connect,
    ConnectOutcome,
    ExchangeOutcome,
    HostEvidence,
    Notice,
    NoticeOrigin,
    PathEvidence,
    PathProbe,
    Protocol,
    Purpose,
    Report,
    Session,
    Side,
    Stage,
    TcpInfo,
)
from probe.core.network import FULL_VERDICT, SLOW_VERDICT, Elsewhere
from probe.core.network_facts import patience, read
from tests.support import make
from tests.support.arbitrary import struct
from tests.support.every import every

if TYPE_CHECKING:
    from collections.abc import Iterable

HOST = make.MX_IP
ROUTERS = {1: "192.0.2.1", 2: "192.0.2.2", 3: "192.0.2.3"}
TCP, UDP = Protocol.TCP, Protocol.UDP


# --- packets ---------------------------------------------------------------------------------------


def packet(
    protocol: Protocol,
    port: int | None,
    ttl: int | None,
    answer: Answer,
    sender: str | None = None,
    arrived_ttl: int | None = None,
) -> PathProbe:
    return PathProbe(protocol, port, ttl, 1.0, 1.02, answer, sender, None, arrived_ttl)


def upto(
    last: int, *, port: int | None = 25, host: Answer | None = None, silent: Iterable[int] = ()
) -> list[PathProbe]:
    """Send hop limits 1 to 4 to a TCP port (None: UDP): routers answer as far as `last`, then `host` or nobody.

    What is silent on the mail port is asked there again, as the search does where the answers end.
    """
    protocol = UDP if port is None else TCP
    probes = []
    for ttl in range(1, 5):
        if ttl in silent or (ttl > last and not (ttl == 4 and host)):
            probes += (2 if port == 25 else 1) * [packet(protocol, port, ttl, Answer.SILENT)]
        elif ttl == 4:
            probes.append(packet(protocol, port, ttl, host or Answer.SILENT, HOST))
        else:
            probes.append(packet(protocol, port, ttl, Answer.TIME_EXCEEDED, ROUTERS[ttl]))
    return probes


def rejected(port: int, answer: Answer, sender: str, ttl: int | None = None) -> PathProbe:
    return packet(TCP, port, ttl, answer, sender)


ONE_LOST = {ttl: [packet(TCP, 25, ttl, Answer.SILENT)] for ttl in (1, 2, 3)}
"""A hop that was asked once on the mail port, in vain."""
WHOLE_UDP = upto(3, port=None, host=Answer.PORT_UNREACHABLE)
LOCATED = packet(UDP, 33434, None, Answer.PORT_UNREACHABLE, HOST, 61)
"""The answer of the host at hop 4 to a packet without a hop limit of ours."""
OPEN_443 = packet(TCP, 443, None, Answer.CONNECTED, HOST)


def kernel(**columns: float) -> TcpInfo:
    """Give the state of a SYN that was repeated twice on its way, unless told."""
    base: dict[str, float] = {
        "t": 3.4, "state": 2, "retransmits": 2, "retrans": 1, "total_retrans": 2, "segs_out": 3, "segs_in": 0,
        "out_of_order": 0, "last_ack": 3.4, "last_data": 3.4, "rtt": 0.0, "mss": 536,
    }  # fmt: skip
    return TcpInfo(**(base | columns))  # type: ignore[arg-type]  # the columns are checked by the callers' names


def silent(seconds: float = 3.4, tcp: TcpInfo | None = None) -> Connect:
    return Connect(0.0, seconds, ConnectOutcome.TIMEOUT, local_ip=make.OUR_IP, tcp=tcp or kernel())


def refused(outcome: ConnectOutcome, *notice: str | int, at: float = 0.02) -> Connect:
    """Refuse a connection: by a RST, or by an ICMP error given as type, code, sender."""
    notices: tuple[Notice, ...] = ()
    if notice:
        kind, code, sender = notice
        notices = (Notice(at, NoticeOrigin.ICMP, int(kind), int(code), str(sender)),)
    return Connect(0.0, at, outcome, 111, "ECONNREFUSED", make.OUR_IP, notices)


def canary(outcome: CanaryOutcome) -> Canary:
    return Canary("mail.example.org", 25, 4, outcome, "198.51.100.25")


def judged(
    connect: Connect | Session,
    probes: list[PathProbe],
    known: CanaryOutcome | None = None,
    *more: Session,
) -> Report:
    session = connect if isinstance(connect, Session) else make.session(connected=connect)
    host = replace(make.host(session, *more), path=PathEvidence(1.0, 3.4, tuple(probes)))
    evidence = make.evidence(host)
    return judge(replace(evidence, canary=canary(known) if known else None))


# --- silence ---------------------------------------------------------------------------------------

CANARY_OPEN, CANARY_SILENT = CanaryOutcome.ANSWERED, CanaryOutcome.SILENT

SILENCE = {
    # name: (packets, canary, reason, confidence, side, words of the summary)
    "far end": (
        [*upto(3), *WHOLE_UDP, OPEN_443],
        CANARY_OPEN,
        ("connect.port-filtered", Confidence.PROBABLE, Side.THEIRS),
        ("far end", "hop 3 (192.0.2.3)", "port 443 of the same host answers", "cannot be told apart"),
    ),
    "far end or the way back": (
        [*upto(3), *WHOLE_UDP, OPEN_443],
        CANARY_SILENT,
        ("connect.port-filtered", Confidence.UNCERTAIN, Side.UNKNOWN),
        ("cannot be told apart", "way back"),
    ),
    "between 2 and 3": (
        [*upto(2), *WHOLE_UDP, OPEN_443],
        None,
        ("connect.port-filtered", Confidence.CERTAIN, Side.PATH),
        ("between hop 2 (192.0.2.2) and hop 3 (192.0.2.3)",),
    ),
    "between 2 and 3, canary silent": (
        [*upto(2), *WHOLE_UDP],
        CANARY_SILENT,
        ("connect.port-filtered", Confidence.CERTAIN, Side.PATH),
        (
            "between hop 2 (192.0.2.2) and hop 3 (192.0.2.3)",
            "mail.example.org, another mail host, is silent too",
        ),
    ),
    "between 2 and the host, hop 3 never answers": (
        [*upto(2), *upto(2, port=None, host=Answer.PORT_UNREACHABLE)],
        CANARY_OPEN,
        ("connect.port-filtered", Confidence.PROBABLE, Side.PATH),
        ("between hop 2 (192.0.2.2) and hop 4", "this path only"),
    ),
    "between 2 and the host, and one packet to hop 3 may be lost": (
        [*upto(2)[:2], *ONE_LOST[3], *upto(2)[4:], *WHOLE_UDP, OPEN_443],
        None,
        ("connect.port-filtered", Confidence.PROBABLE, Side.PATH),
        ("between hop 2 (192.0.2.2) and hop 4",),
    ),
    "between 2 and the host or on the way back": (
        [*upto(2), *upto(2, port=None, host=Answer.PORT_UNREACHABLE)],
        CANARY_SILENT,
        ("connect.port-filtered", Confidence.UNCERTAIN, Side.UNKNOWN),
        ("come as far as hop 2 (192.0.2.2), perhaps further", "hop 4", "cannot be told apart"),
    ),
    "between 3 and a host that answers from an unknown hop": (
        [*upto(3), *upto(3, port=None), OPEN_443],
        None,
        ("connect.port-filtered", Confidence.PROBABLE, Side.PATH),
        ("between hop 3 (192.0.2.3) and the host",),
    ),
    "between 1 and 3, and one packet to hop 2 may be lost": (
        [*upto(1)[:1], *ONE_LOST[2], *upto(1)[3:], *WHOLE_UDP, OPEN_443],
        CANARY_SILENT,
        ("connect.port-filtered", Confidence.PROBABLE, Side.PATH),
        ("between hop 1 (192.0.2.1) and hop 3 (192.0.2.3)",),
    ),
    "egress": (
        [*upto(1), *WHOLE_UDP, OPEN_443],
        CANARY_SILENT,
        ("connect.egress-filtered", Confidence.CERTAIN, Side.OURS),
        ("between hop 1 (192.0.2.1) and hop 2 (192.0.2.2)", "mail.example.org"),
    ),
    "at the first router": (
        [*upto(0), *WHOLE_UDP, OPEN_443],
        CANARY_SILENT,
        ("connect.egress-filtered", Confidence.CERTAIN, Side.OURS),
        ("between this host and hop 1 (192.0.2.1)",),
    ),
    "near us, this path only": (
        [*upto(1), *WHOLE_UDP, OPEN_443],
        CANARY_OPEN,
        ("connect.port-filtered", Confidence.CERTAIN, Side.PATH),
        ("between hop 1 (192.0.2.1) and hop 2 (192.0.2.2)", "this path only"),
    ),
    "near us, no canary": (
        [*upto(1), *WHOLE_UDP, OPEN_443],
        CanaryOutcome.UNTESTED,
        ("connect.egress-filtered", Confidence.PROBABLE, Side.OURS),
        ("no other mail host was tested",),
    ),
    "near us, hop 2 never answers": (
        [*upto(1), *upto(3, port=None, host=Answer.PORT_UNREACHABLE, silent=(2,))],
        CANARY_SILENT,
        ("connect.egress-filtered", Confidence.PROBABLE, Side.OURS),
        ("between hop 1 (192.0.2.1) and hop 3 (192.0.2.3)",),
    ),
    "no router says anything": (
        [*upto(0), OPEN_443, *upto(0, port=443, host=Answer.CONNECTED)],
        CANARY_SILENT,
        ("connect.port-filtered", Confidence.UNCERTAIN, Side.PATH),
        ("place is not known",),
    ),
    "nothing of the host answers": (
        [*upto(3), *upto(3, port=None)],
        CANARY_OPEN,
        ("connect.host-silent", Confidence.PROBABLE, Side.UNKNOWN),
        ("hop 3 (192.0.2.3)", "cannot be told apart"),
    ),
    "nothing of the host answers, and one packet to hop 3 may be lost": (
        [*upto(2)[:2], *ONE_LOST[3], *upto(3, port=None)],
        CANARY_OPEN,
        ("connect.host-silent", Confidence.PROBABLE, Side.UNKNOWN),
        ("hop 2 (192.0.2.2)",),
    ),
    "nothing at all": (
        [*upto(0), *upto(0, port=None)],
        None,
        ("connect.timeout", Confidence.PROBABLE, Side.PATH),
        ("did not answer on port 25 within 3.4 s",),
    ),
    "nothing at all, not even the canary": (
        [*upto(0), *upto(0, port=None)],
        CANARY_SILENT,
        ("connect.offline", Confidence.UNCERTAIN, Side.OURS),
        ("mail.example.org",),
    ),
    "a router calls the host unreachable, but not to the SYN": (
        [*upto(1)[:1], rejected(25, Answer.HOST_UNREACHABLE, ROUTERS[2], 2), *upto(1, port=None)],
        CANARY_OPEN,
        ("connect.host-unreachable", Confidence.PROBABLE, Side.THEIRS),
        ("hop 2 (192.0.2.2)", "cannot be reached", "heard nothing for 3.4 s", "only so many"),
    ),
    "a router calls the host unreachable, to packets for other ports": (
        [*upto(1), *upto(1, port=None), rejected(443, Answer.HOST_UNREACHABLE, ROUTERS[2])],
        None,
        ("connect.host-unreachable", Confidence.PROBABLE, Side.THEIRS),
        ("192.0.2.2",),
    ),
    "a router knows no way to the network": (
        [*upto(0), rejected(25, Answer.NET_UNREACHABLE, ROUTERS[1], 1)],
        CANARY_SILENT,
        ("connect.net-unreachable", Confidence.PROBABLE, Side.PATH),
        ("hop 1 (192.0.2.1)", "no way to the network"),
    ),
    "a router prohibits the port now and then": (
        [*upto(1)[:1], rejected(25, Answer.PROHIBITED, ROUTERS[2], 2), *WHOLE_UDP, OPEN_443],
        None,
        ("connect.prohibited", Confidence.PROBABLE, Side.PATH),
        ("hop 2 (192.0.2.2)", "prohibited"),
    ),
    "a router calls the host unreachable now and then, and for this port only": (
        [*upto(1)[:1], rejected(25, Answer.HOST_UNREACHABLE, ROUTERS[2], 2), *WHOLE_UDP, OPEN_443],
        None,
        ("connect.prohibited", Confidence.PROBABLE, Side.PATH),
        ("hop 2 (192.0.2.2)", "prohibited"),
    ),
    "a router calls the port unreachable now and then": (
        [*upto(1)[:1], rejected(25, Answer.PORT_UNREACHABLE, ROUTERS[2], 2), *upto(1, port=None)],
        None,
        ("connect.refused-by-middlebox", Confidence.PROBABLE, Side.PATH),
        ("hop 2 (192.0.2.2)",),
    ),
    "a router prohibits another port, which says nothing of this one": (
        [*upto(3), *upto(3, port=None), rejected(443, Answer.PROHIBITED, ROUTERS[3])],
        CANARY_OPEN,
        ("connect.host-silent", Confidence.PROBABLE, Side.UNKNOWN),
        (),
    ),
    "a router calls the host unreachable for one port, and the host answers another": (
        [*upto(2), *WHOLE_UDP, OPEN_443, rejected(587, Answer.HOST_UNREACHABLE, ROUTERS[2])],
        None,
        ("connect.port-filtered", Confidence.CERTAIN, Side.PATH),
        ("between hop 2 (192.0.2.2) and hop 3 (192.0.2.3)",),
    ),
    "a router that the port's packets pass calls the host unreachable": (
        [*upto(3), *upto(3, port=None), packet(TCP, 443, 2, Answer.HOST_UNREACHABLE, ROUTERS[2])],
        CANARY_OPEN,
        ("connect.host-silent", Confidence.PROBABLE, Side.UNKNOWN),
        ("hop 3 (192.0.2.3)",),
    ),
    "another packet is taken, whatever a router says": (
        [*upto(3, host=Answer.CONNECTED), rejected(25, Answer.HOST_UNREACHABLE, ROUTERS[2])],
        CANARY_OPEN,
        ("connect.lossy", Confidence.UNCERTAIN, Side.PATH),
        ("not filtered",),
    ),
    "another packet to the port connects": (
        [*upto(3, host=Answer.CONNECTED), *WHOLE_UDP],
        CANARY_OPEN,
        ("connect.lossy", Confidence.UNCERTAIN, Side.PATH),
        ("not filtered",),
    ),
}


@every("name", SILENCE)
def test_silence(name: str) -> None:
    probes, known, expected, words = SILENCE[name]
    report = judged(silent(), probes, known)
    assert (report.reason, report.confidence, report.side) == expected
    assert [word for word in words if word not in report.summary] == []


def test_an_error_of_our_own_firewall_is_no_routers() -> None:
    notice = Notice(1.0, NoticeOrigin.ICMP, 3, 1, make.OUR_IP, ours=True)
    ours = replace(rejected(25, Answer.HOST_UNREACHABLE, make.OUR_IP, 1), notice=notice)
    assert judged(silent(), [*upto(0), ours]).reason == "connect.timeout"


def test_two_syns_are_not_enough_for_filtered() -> None:
    report = judged(silent(1.5), [*upto(2), *WHOLE_UDP, OPEN_443])
    assert report.reason == "connect.timeout"


def test_own_output_firewall_is_known_from_this_host_alone() -> None:
    report = judged(silent(tcp=kernel(retrans=0)), [*upto(0), *WHOLE_UDP, OPEN_443], CANARY_SILENT)
    assert (report.cause, report.reason, report.side) == (
        Cause.INCONCLUSIVE,
        "connect.own-firewall",
        Side.OURS,
    )


def test_syn_that_waits_for_arp() -> None:
    report = judged(silent(tcp=kernel(retrans=0, total_retrans=0)), [])
    assert (report.cause, report.reason, report.side) == (
        Cause.UNREACHABLE,
        "connect.own-link",
        Side.OURS,
    )


def test_a_canary_of_the_other_family_says_nothing() -> None:
    probes = [*upto(1), *WHOLE_UDP, OPEN_443]
    session = make.session(connected=silent())
    host = replace(make.host(session), path=PathEvidence(1.0, 3.4, tuple(probes)))
    report = judge(replace(make.evidence(host), canary=replace(canary(CANARY_SILENT), family=6)))
    assert report.confidence is Confidence.PROBABLE


def test_another_mail_host_of_the_domain_that_connects_is_as_good_as_a_canary() -> None:
    first = replace(
        make.host(make.session(connected=silent())),
        path=PathEvidence(1.0, 3.4, (*upto(1), *WHOLE_UDP, OPEN_443)),
    )
    busy = make.session(make.exchange(Stage.BANNER, None, "421 busy"))
    second = replace(make.host(busy), name="mx2.customer.example.com", ip="203.0.113.16")
    report = judge(make.evidence(first, second))
    assert report.hosts[0].reason == "connect.port-filtered"
    assert "mx2.customer.example.com" in report.hosts[0].says


# --- refusals --------------------------------------------------------------------------------------

UNREACHABLE, NET, PROHIBITED, REFUSED = (
    ConnectOutcome.HOST_UNREACHABLE,
    ConnectOutcome.NET_UNREACHABLE,
    ConnectOutcome.PROHIBITED,
    ConnectOutcome.REFUSED,
)


REFUSALS = {
    # name: (connection, packets, cause, reason, side, words of the summary)
    "by the host": (
        refused(REFUSED),
        [LOCATED, *upto(3)[2:3]],
        (Cause.UNREACHABLE, "connect.refused", Side.THEIRS),
        (),
    ),
    "by a forged RST between 2 and 3": (
        refused(REFUSED),
        [*upto(2), packet(TCP, 25, 3, Answer.RESET, HOST), *WHOLE_UDP],
        (Cause.UNREACHABLE, "connect.refused-by-middlebox", Side.PATH),
        ("between hop 2 (192.0.2.2) and hop 3 (192.0.2.3)", "at hop 4"),
    ),
    "by a RST from nearer than the host, and nobody tells who is there": (
        refused(REFUSED),
        [*upto(2)[:2], packet(TCP, 25, 3, Answer.RESET, HOST), LOCATED],
        (Cause.UNREACHABLE, "connect.refused", Side.UNKNOWN),
        ("was not seen", "at hop 4"),
    ),
    "by a RST, and the one packet that would show whose may be lost": (
        refused(REFUSED),
        [*ONE_LOST[3], LOCATED],
        (Cause.UNREACHABLE, "connect.refused", Side.UNKNOWN),
        ("was not seen",),
    ),
    "by a RST, and no packet that ends before the host is answered with one": (
        refused(REFUSED),
        [*2 * ONE_LOST[3], LOCATED],
        (Cause.UNREACHABLE, "connect.refused", Side.THEIRS),
        (),
    ),
    "by a RST before the first hop": (
        refused(REFUSED),
        [packet(TCP, 25, 1, Answer.RESET, HOST), *WHOLE_UDP],
        (Cause.INCONCLUSIVE, "connect.own-firewall", Side.OURS),
        ("before the first hop",),
    ),
    "port unreachable by a router": (
        refused(REFUSED, 3, 3, ROUTERS[2]),
        [*upto(2), OPEN_443],
        (Cause.UNREACHABLE, "connect.refused-by-middlebox", Side.PATH),
        ("hop 2 (192.0.2.2)",),
    ),
    "port unreachable by this host": (
        refused(REFUSED, 3, 3, make.OUR_IP),
        [],
        (Cause.INCONCLUSIVE, "connect.own-firewall", Side.OURS),
        (),
    ),
    "prohibited by this host": (
        refused(PROHIBITED, 3, 13, make.OUR_IP),
        [],
        (Cause.INCONCLUSIVE, "connect.own-firewall", Side.OURS),
        (),
    ),
    "no answer to ARP on our link": (
        refused(UNREACHABLE, 3, 1, make.OUR_IP, at=3.06),
        [],
        (Cause.UNREACHABLE, "connect.own-link", Side.OURS),
        ("ARP",),
    ),
    "prohibited by a router, this port only": (
        refused(PROHIBITED, 3, 13, ROUTERS[2]),
        [*upto(2), OPEN_443],
        (Cause.UNREACHABLE, "connect.prohibited", Side.PATH),
        ("hop 2 (192.0.2.2)", "port 443"),
    ),
    "prohibited by a router that has no error left for its own hop": (
        refused(PROHIBITED, 3, 13, ROUTERS[1]),
        [*ONE_LOST[1], packet(TCP, 25, 2, Answer.PROHIBITED, ROUTERS[1], 64), OPEN_443],
        (Cause.UNREACHABLE, "connect.prohibited", Side.PATH),
        ("hop 1 (192.0.2.1)",),
    ),
    "prohibited by a router at a hop that is not known": (
        refused(PROHIBITED, 3, 13, ROUTERS[2]),
        [*upto(1)[:1], *ONE_LOST[2], packet(TCP, 25, 3, Answer.PROHIBITED, ROUTERS[2]), OPEN_443],
        (Cause.UNREACHABLE, "connect.prohibited", Side.PATH),
        ("The router at 192.0.2.2 rejects",),
    ),
    "prohibited by a router, every port": (
        refused(PROHIBITED, 3, 13, ROUTERS[3]),
        [*upto(3), rejected(443, Answer.PROHIBITED, ROUTERS[3])],
        (Cause.UNREACHABLE, "connect.prohibited", Side.PATH),
        ("hop 3 (192.0.2.3)", "every port"),
    ),
    "host unreachable for this port only": (
        refused(UNREACHABLE, 3, 1, ROUTERS[2]),
        [*upto(2), OPEN_443],
        (Cause.UNREACHABLE, "connect.prohibited", Side.PATH),
        ("hop 2 (192.0.2.2)", "filter rule"),
    ),
    "host unreachable for every port": (
        refused(UNREACHABLE, 3, 1, ROUTERS[3], at=3.06),
        [*upto(3), rejected(443, Answer.HOST_UNREACHABLE, ROUTERS[3])],
        (Cause.UNREACHABLE, "connect.host-unreachable", Side.THEIRS),
        ("hop 3 (192.0.2.3)",),
    ),
    "no route at a router": (
        refused(NET, 3, 0, ROUTERS[3]),
        [*upto(3), rejected(443, Answer.NET_UNREACHABLE, ROUTERS[3])],
        (Cause.UNREACHABLE, "connect.net-unreachable", Side.PATH),
        ("hop 3 (192.0.2.3)",),
    ),
    "prohibited by the host itself": (
        refused(PROHIBITED, 3, 13, HOST),
        [*upto(3), OPEN_443],
        (Cause.UNREACHABLE, "connect.prohibited", Side.THEIRS),
        ("itself",),
    ),
    "a loop, and the answer of one router is lost": (
        refused(UNREACHABLE, 11, 0, ROUTERS[1]),
        [packet(TCP, 25, ttl, Answer.TIME_EXCEEDED, ROUTERS[1 + (ttl + 1) % 2]) for ttl in (1, 2, 4)],
        (Cause.UNREACHABLE, "connect.routing-loop", Side.PATH),
        ("between 192.0.2.2 and an unknown router",),
    ),
    "a loop, and no router on the way answers": (
        refused(UNREACHABLE, 11, 0, ROUTERS[1]),
        [],
        (Cause.UNREACHABLE, "connect.routing-loop", Side.PATH),
        ("between 192.0.2.1 and an unknown router",),
    ),
    "a loop": (
        refused(UNREACHABLE, 11, 0, ROUTERS[1]),
        [packet(TCP, 25, ttl, Answer.TIME_EXCEEDED, ROUTERS[1 + (ttl + 1) % 2]) for ttl in range(1, 6)],
        (Cause.UNREACHABLE, "connect.routing-loop", Side.PATH),
        ("192.0.2.1", "192.0.2.2"),
    ),
}


@every("name", REFUSALS)
def test_refusal(name: str) -> None:
    connect, probes, expected, words = REFUSALS[name]
    report = judged(connect, probes)
    assert (report.cause, report.reason, report.side) == expected
    assert [word for word in words if word not in report.summary] == []


# --- after the connection --------------------------------------------------------------------------


def stalled(stage: Stage, seconds: float = 8.0, *, soft_error: str | None = None, **tcp: float) -> Session:
    waits = make.exchange(stage, None, sent=0.1, ended=0.1 + seconds, outcome=ExchangeOutcome.TIMEOUT)
    first = [] if stage is Stage.BANNER else [make.exchange(Stage.BANNER, None, "220 mx ESMTP")]
    session = make.session(*first, waits)
    return replace(session, tcp=kernel(state=1, **tcp), soft_error=soft_error)


PROXY = [
    packet(TCP, 25, 1, Answer.TIME_EXCEEDED, ROUTERS[1]),
    packet(TCP, 25, 2, Answer.CONNECTED, HOST),
    packet(TCP, 25, 3, Answer.CONNECTED, HOST),
    packet(UDP, 33437, 3, Answer.TIME_EXCEEDED, ROUTERS[3]),
    LOCATED,
]


def test_greeting_that_never_comes_from_a_living_host() -> None:
    report = judged(stalled(Stage.BANNER, last_ack=0.4), [])
    assert (report.cause, report.reason, report.side) == (Cause.FIREWALL_TIMEOUT, "banner.timeout", Side.PATH)
    assert "its TCP answers" in report.summary


def test_path_that_dies_after_the_handshake() -> None:
    report = judged(stalled(Stage.BANNER, last_ack=8.0), [])
    assert (report.cause, report.reason) == (Cause.FIREWALL_TIMEOUT, "banner.path-dead")


def test_path_that_dies_in_mid_conversation() -> None:
    report = judged(stalled(Stage.EHLO, last_ack=8.0), [])
    assert (report.cause, report.reason) == (Cause.FIREWALL_TIMEOUT, "reply.path-dead")


def test_silence_without_the_kernels_word_is_a_plain_time_out() -> None:
    session = replace(stalled(Stage.BANNER), tcp=None)
    assert judged(session, []).rule == "banner-timeout"


LONG = tuple(f"250-X{number} {'x' * 70}" for number in range(9))
"""Lines of a reply that is longer than one small segment of either family would be."""


def retried(*lines: str) -> Session:
    ehlo = make.exchange(Stage.EHLO, "EHLO probe.example.net", *lines)
    session = make.session(make.exchange(Stage.BANNER, None, "220 mx ESMTP"), ehlo)
    return replace(session, purpose=Purpose.SMALL_SEGMENTS)


@pytest.mark.parametrize(("behind_gap", "confidence"), [(3, Confidence.CERTAIN), (0, Confidence.PROBABLE)])
def test_pmtu_black_hole(behind_gap: int, confidence: Confidence) -> None:
    small = retried(*LONG, "250 SIZE")
    report = judged(stalled(Stage.EHLO, last_ack=0.2, out_of_order=behind_gap), [], None, small)
    assert (report.cause, report.reason) == (Cause.FIREWALL_TIMEOUT, "reply.pmtu-blackhole")
    assert report.confidence is confidence


def test_short_reply_at_the_second_try_is_no_black_hole() -> None:
    """It would have fit the segments of the first connection just as well."""
    report = judged(
        stalled(Stage.EHLO, last_ack=0.2, out_of_order=3), [], None, retried("250 mx.example.com")
    )
    assert report.reason == "helo.timeout"


def test_small_segments_that_do_not_help_prove_nothing() -> None:
    small = replace(stalled(Stage.EHLO, 5.0), purpose=Purpose.SMALL_SEGMENTS)
    report = judged(stalled(Stage.EHLO, last_ack=0.2), [], None, small)
    assert report.reason == "helo.timeout"


def test_router_that_begins_to_reject() -> None:
    fresh = packet(TCP, 25, None, Answer.PROHIBITED, ROUTERS[2])
    report = judged(stalled(Stage.RCPT, soft_error="EHOSTUNREACH", last_ack=8.0), [fresh])
    assert (report.cause, report.reason) == (Cause.UNREACHABLE, "reply.rejected-midway")
    assert ROUTERS[2] in report.summary


@pytest.mark.parametrize("answer", ["250 ok", "550 5.1.1 no such user", "554 blocked by a blocklist"])
def test_what_a_proxy_says_is_not_the_word_of_the_host(answer: str) -> None:
    report = judged(make.session(*make.conversation(answer)), PROXY)
    assert (report.cause, report.reason, report.side) == (
        Cause.INCONCLUSIVE,
        "connect.intercepted",
        Side.PATH,
    )
    assert "hop 2" in report.summary
    assert "at hop 4" in report.summary


def test_one_lost_packet_does_not_move_a_proxy_to_the_door_of_the_host() -> None:
    report = judged(make.session(*make.conversation("250 ok")), [PROXY[0], *ONE_LOST[2], *PROXY[2:]])
    assert (report.cause, report.reason) == (Cause.INCONCLUSIVE, "connect.intercepted")
    assert "one of the hops 2 to 3" in report.summary
    network = report.hosts[0].network
    assert network is not None
    assert network.ends == "answered at one of the hops 2 to 3, in the name of the host"


def test_proxy_without_a_greeting() -> None:
    report = judged(stalled(Stage.BANNER, last_ack=0.1), PROXY)
    assert (report.cause, report.reason) == (Cause.FIREWALL_TIMEOUT, "banner.intercepted")


def test_front_end_on_their_half_of_the_way_may_be_their_own() -> None:
    """A load balancer before the machine that answers UDP is no stranger; a note tells of it."""
    probes = [packet(TCP, 25, 3, Answer.CONNECTED, HOST), *WHOLE_UDP]
    report = judged(make.session(*make.conversation("250 ok")), probes)
    assert report.cause is Cause.SENDER_EXISTS
    assert any("at hop 3" in note for note in report.notes)


def test_connection_that_opens_at_a_repetition_is_told_of() -> None:
    late = Connect(0.0, 1.03, ConnectOutcome.CONNECTED, local_ip=make.OUR_IP)
    report = judged(make.session(*make.conversation("250 ok"), connected=late), [])
    assert report.cause is Cause.SENDER_EXISTS
    assert any("opened only after 1 s" in note for note in report.notes)


# --- when ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("probes", "fast", "seconds"),
    [
        ([*upto(2), *WHOLE_UDP, OPEN_443], False, FULL_VERDICT),
        ([*upto(2), *WHOLE_UDP, OPEN_443], True, 2.1),
        ([*upto(2), *upto(3, port=None, host=Answer.PORT_UNREACHABLE, silent=(3,))], False, SLOW_VERDICT),
        ([*upto(2), *2 * upto(3, port=None, host=Answer.PORT_UNREACHABLE, silent=(3,))], False, FULL_VERDICT),
        ([*upto(3), *upto(3, port=None)], False, FULL_VERDICT),
        ([*upto(0), rejected(25, Answer.HOST_UNREACHABLE, ROUTERS[1])], False, FULL_VERDICT),
        ([*upto(0), *upto(0, port=None)], False, None),
        ([*upto(3, host=Answer.CONNECTED), *WHOLE_UDP], False, None),
        ([], False, None),
    ],
)
def test_patience(probes: list[PathProbe], fast: bool, seconds: float | None) -> None:
    host = replace(make.host(), path=PathEvidence(1.0, 2.0, tuple(probes)))
    assert patience(host, silent(2.0), fast=fast) == seconds


@pytest.mark.parametrize(("arrived", "hops"), [(64, 1), (61, 4), (126, 3), (255, 1), (250, 6), (1, 64)])
def test_estimate(arrived: int, hops: int) -> None:
    assert estimate(arrived) == hops


@given(struct(HostEvidence), struct(Session), struct(Elsewhere))
def test_any_evidence_gives_a_path(host: HostEvidence, session: Session, elsewhere: Elsewhere) -> None:
    read(host, session, elsewhere)
    patience(host, session.connect, fast=True)


def test_own_firewall_needs_no_answer_of_anybody() -> None:
    assert patience(make.host(), silent(2.1, kernel(retrans=0)), fast=False) == 2.1
