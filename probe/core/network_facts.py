"""The evidence of the network -> its columns: one host's path search, its connection, and what other hosts showed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from probe.core.answers import MAX_TTL, furthest
from probe.core.failures import icmp_answer, telling
from probe.core.model import (
    Answer,
    CanaryOutcome,
    ConnectOutcome,
    ExchangeOutcome,
    NoticeOrigin,
    Purpose,
    Stage,
)
from probe.core.network import (
    ALIVE_WITHIN,
    ARP_GIVES_UP,
    DEAD_AFTER,
    FAST_VERDICT,
    FULL_VERDICT,
    OWN_EDGE,
    SILENT_ENOUGH,
    SLOW_VERDICT,
    SMALL_SEGMENT,
    After,
    Columns,
    Elsewhere,
    Nearer,
    Path,
    Ports,
    Refuser,
    Silence,
    Us,
)
from probe.core.seen import Seen

if TYPE_CHECKING:
    from probe.core.model import Connect, Evidence, Exchange, HostEvidence, Notice, Session


def read(host: HostEvidence, session: Session, elsewhere: Elsewhere) -> Path:
    """Read what the network did to one session with a host. Total: any evidence gives a `Path`."""
    connect = session.connect
    if host.path is None and connect.outcome is ConnectOutcome.CONNECTED:
        # Most hosts of a batch: no packet was sent beside the callout, so only the connection tells anything.
        return Path(us=elsewhere.us, canary=elsewhere.name, after=_after(host, session))
    seen = Seen(host.path, host.ip, host.port)
    known = Path(
        us=elsewhere.us,
        distance=seen.distance,
        reached=seen.reached,
        reached_router=seen.router(seen.reached),
        beyond=seen.beyond,
        beyond_router=seen.router(seen.beyond),
        control=seen.control,
        canary=elsewhere.name,
    )
    if connect.outcome is ConnectOutcome.CONNECTED:
        return _connected(known, seen, host, session)
    if connect.outcome in {ConnectOutcome.TIMEOUT, ConnectOutcome.CUT_SHORT}:
        silence = _silence(seen, connect, elsewhere.us)
        rejected = seen.rejected if silence in _REJECTED else None
        if rejected is None:
            return replace(known, silence=silence)
        hop = seen.hop_of(rejected.sender)
        return replace(
            known, silence=silence, refuser=Refuser.ROUTER, refuser_ip=rejected.sender, refuser_hop=hop
        )
    return _refused(known, seen, connect)


def columns(path: Path) -> dict[str, Any]:
    """Give what of a path goes into the row of the decision table."""
    return {name: getattr(path, name) for name in Columns.__struct_fields__}


def elsewhere(evidence: Evidence, host: HostEvidence) -> Elsewhere:
    """Say whether another mail host of the same address family answered on the port: of this domain, or the canary.

    A mail host of the domain that took a connection shows as well as a canary does that the port is open for us.
    """
    for other in evidence.hosts:
        if other.ip == host.ip or (":" in other.ip) != (":" in host.ip) or other.port != host.port:
            continue
        if any(session.connect.outcome is ConnectOutcome.CONNECTED for session in other.sessions):
            return Elsewhere(Us.OPEN, other.name)
    canary = evidence.canary
    if canary is None or canary.family != (6 if ":" in host.ip else 4) or canary.port != host.port:
        return Elsewhere()
    us = {CanaryOutcome.ANSWERED: Us.OPEN, CanaryOutcome.SILENT: Us.SILENT}.get(canary.outcome)
    return Elsewhere() if us is None else Elsewhere(us, canary.name)


def _silence(seen: Seen, connect: Connect, us: Us) -> Silence:
    tcp = connect.tcp
    if tcp is not None and tcp.retransmits and not tcp.retrans:
        # Every retransmission was refused by this host's own stack, or there was none because the first SYN
        # still waits for the link-layer address of the next hop.
        return Silence.OWN_OUTPUT if tcp.total_retrans else Silence.OWN_LINK
    if connect.ended - connect.started < SILENT_ENOUGH:
        return Silence.UNTESTED
    return _place(seen, us)


def _place(seen: Seen, us: Us) -> Silence:
    """Compare how far the port's packets and the controls came."""
    if any(p.answer in {Answer.CONNECTED, Answer.RESET} for p in seen.on_port):
        return Silence.LOSSY
    if seen.rejected is not None:
        # Where the host answers other packets, it is a rule about the port, whatever words it uses.
        return Silence.PROHIBITED if seen.control else _SAID[seen.rejected.answer]
    reached, beyond = seen.reached, seen.beyond
    if seen.ip in seen.routers(reached or 0):
        # A gateway with the host's own address passes the port on: what is behind it is theirs.
        return Silence.FAR_END
    if reached is not None and beyond is not None:
        if beyond == seen.distance and beyond == reached + 1:
            return Silence.FAR_END
        near = seen.furthest_possible <= OWN_EDGE
        if beyond == reached + 1 and seen.control and not seen.forks:
            return Silence.NEAR if near else Silence.BETWEEN
        if near:
            return Silence.NEAR_LOOSELY
        return Silence.UP_TO_HOST if beyond == seen.distance else Silence.BETWEEN_LOOSELY
    if seen.control:
        return Silence.UP_TO_HOST if reached else Silence.SOMEWHERE
    if seen.some_router:
        cut_off = us is Us.SILENT and (reached or 0) <= OWN_EDGE
        return Silence.ALL_SILENT if cut_off else Silence.HOST_SILENT
    return Silence.ALL_SILENT if us is Us.SILENT else Silence.UNTESTED


_SAID = {
    Answer.PORT_UNREACHABLE: Silence.PORT_UNREACHABLE,
    Answer.HOST_UNREACHABLE: Silence.HOST_UNREACHABLE,
    Answer.NET_UNREACHABLE: Silence.NET_UNREACHABLE,
    Answer.PROHIBITED: Silence.PROHIBITED,
}
_REJECTED = frozenset(_SAID.values())


def patience(host: HostEvidence, connect: Connect, *, fast: bool) -> float | None:
    """Say how many seconds after the first SYN silence may be called by its name; None: there is no name yet.

    A verdict stands as soon as the SYN was repeated often enough, which takes longer where other packets were
    lost too. A packet of the search that connects says that nothing is filtered.
    """
    soon = FAST_VERDICT if fast else FULL_VERDICT
    seen = Seen(host.path, host.ip, host.port)
    place = _silence(seen, replace(connect, ended=connect.started + soon), Us.UNTESTED)
    if place is Silence.OWN_OUTPUT:
        return FAST_VERDICT  # no answer of anybody is needed for it
    if place is Silence.UNTESTED and _not_our_turn(host, seen):
        return soon
    if place in {Silence.UNTESTED, Silence.LOSSY}:
        return None
    return SLOW_VERDICT if seen.lossy else soon


def _not_our_turn(host: HostEvidence, seen: Seen) -> bool:
    """Whether all that was asked is silent, and the routers only were not because others had just asked them.

    Those others wait no longer for a host of which nothing answers, and know no more of it.
    """
    lacking = host.path.lacking if host.path is not None else ()
    return (
        "routers" in lacking and bool(seen.controls) and all(p.answer is Answer.SILENT for p in seen.controls)
    )


def _refused(known: Path, seen: Seen, connect: Connect) -> Path:
    notice = telling(connect.notices)
    if notice is None:
        return _reset(known, seen) if connect.outcome is ConnectOutcome.REFUSED else known
    known = replace(
        known,
        refuser_ip=notice.sender,
        refuser_hop=seen.hop_of(notice.sender),
        ports=_ports(seen, notice.sender),
    )
    if said_by_us(connect, notice):
        late = (
            connect.outcome is ConnectOutcome.HOST_UNREACHABLE and notice.t - connect.started >= ARP_GIVES_UP
        )
        return replace(known, refuser=Refuser.OWN_LINK if late else Refuser.OURSELVES)
    if icmp_answer(notice) is Answer.TIME_EXCEEDED:
        circle = _circle([seen.router(hop) for hop in range(1, MAX_TTL + 1)])
        # One router that sends back everything for the port is no circle: where the host answers other ports,
        # two of them have to hand the packets to each other.
        if len({*circle} - {_UNKNOWN}) > 1 or not seen.control:
            return replace(known, refuser=Refuser.LOOP, loop=circle or _circle([notice.sender] * 2))
    if seen.nearest(Answer.CONNECTED) is not None:
        return replace(known, refuser=Refuser.DOUBTFUL)  # another packet to the same port was taken
    return replace(known, refuser=Refuser.HOST if notice.sender == seen.ip else Refuser.ROUTER)


def said_by_us(connect: Connect, notice: Notice) -> bool:
    """Whether this host itself wrote the ICMP error: its firewall, or its own search for the next hop."""
    return notice.ours or notice.origin is NoticeOrigin.LOCAL or notice.sender in {connect.local_ip, None}


def _circle(routers: list[str | None]) -> tuple[str, ...]:
    """Name the routers from one appearance of an address on the path to its next: two at least, or none."""
    for n, name in enumerate(routers):
        if name and name in routers[:n]:
            found = dict.fromkeys(router or _UNKNOWN for router in routers[routers.index(name) : n])
            return (*found, _UNKNOWN)[: max(2, len(found))]
    return ()


_UNKNOWN = "an unknown router"


def _ports(seen: Seen, sender: str | None) -> Ports:
    """Say whether the same refuser turned away the packets to other ports too."""
    if seen.control:
        return Ports.THIS_ONE
    same = any(
        p.sender == sender and p.answer not in {Answer.SILENT, Answer.TIME_EXCEEDED} for p in seen.controls
    )
    return Ports.EVERY if same else Ports.UNTESTED


def _reset(known: Path, seen: Seen) -> Path:
    """Tell a RST of the host from one that was sent on the way."""
    hop = seen.nearest(Answer.RESET)
    if hop is not None and seen.passed(hop) and not seen.opened_here(hop):
        before = seen.router(hop - 1)
        return replace(
            known,
            refuser=Refuser.FIRST_HOP if hop == 1 else Refuser.MIDDLEBOX,
            refuser_hop=hop,
            reached=hop - 1,
            reached_router=before,
            beyond=hop,
            beyond_router=seen.router(hop),
        )
    away = seen.distance
    if away is None:
        return known
    if away == 1 or seen.reached == away - 1:
        return replace(known, refuser=Refuser.HOST)
    from_nearer = hop is not None and hop < away
    doubtful = from_nearer or seen.asked_once_in_vain(away - 1)
    return replace(known, refuser=Refuser.DOUBTFUL if doubtful else Refuser.UNTESTED)


def _connected(known: Path, seen: Seen, host: HostEvidence, session: Session) -> Path:
    after = _after(host, session)
    refuser = next((p.sender for p in seen.fresh if p.answer is not Answer.CONNECTED), None)
    known = replace(known, after=after, refuser_ip=refuser if after is After.REJECTED else None)
    hop = seen.nearest(Answer.CONNECTED)
    if hop is None:
        return replace(known, nearer=Nearer.NO if seen.on_port else Nearer.UNTESTED)
    if not seen.passed(hop) or seen.forks:
        return known
    if seen.opened_here(hop):
        # What is here ends every TCP: a VPN, the network of a container, an accelerator. It speaks for the host.
        return replace(known, nearer=Nearer.NO)
    first = hop
    while first > 1 and seen.asked_once_in_vain(first - 1):
        first -= 1  # one lost packet must not make a stranger seem to stand at the host's door
    away = known.distance or furthest(seen.controls) + 1
    if 2 * first > away:
        return replace(known, nearer=Nearer.AT_ITS_DOOR, refuser_hop=hop)
    nearer = Nearer.YES if seen.singled_out(hop) else Nearer.PROBABLY
    if first < hop:
        return replace(known, nearer=nearer, reached=first - 1, beyond=hop)
    return replace(known, nearer=nearer, refuser_hop=hop)


_TIMEOUT = ExchangeOutcome.TIMEOUT
_AFTER_UNTESTED = After.UNTESTED


def _after(host: HostEvidence, session: Session) -> After:
    if _TIMEOUT not in [exchange.outcome for exchange in session.exchanges]:
        return _AFTER_UNTESTED
    last = next(e for e in reversed(session.exchanges) if e.outcome is _TIMEOUT)
    if any(_came_in_small(last, other, host.ip) for other in host.sessions):
        behind_gap = session.tcp is not None and session.tcp.out_of_order > 0
        return After.SMALL_PROVED if behind_gap else After.SMALL_HELPED
    if session.soft_error is not None:
        return After.REJECTED
    waited = last.ended - last.sent
    if session.tcp is None or waited < ALIVE_WITHIN:
        return After.UNTESTED
    if session.tcp.last_ack <= ALIVE_WITHIN:
        return After.ALIVE
    return After.DEAD if min(session.tcp.last_ack, waited) >= DEAD_AFTER else After.UNTESTED


def _came_in_small(missing: Exchange, other: Session, ip: str) -> bool:
    """Whether a session with small segments brought what was missing, and it would not have fit one of them.

    A reply that does fit one is as small on any connection: that it came now is chance, or a slow host.
    """
    if other.purpose is not Purpose.SMALL_SEGMENTS:
        return False
    came = [e for e in other.exchanges if e.stage is missing.stage and e.outcome is ExchangeOutcome.REPLY]
    octets = sum(len(line) + 2 for e in came if e.reply is not None for line in e.reply.lines)
    shook_hands = missing.stage is Stage.TLS and other.tls is not None and other.tls.ok
    return shook_hands or octets > SMALL_SEGMENT[6 if ":" in ip else 4]
