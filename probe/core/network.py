"""The packets of a path search -> a few small enums: where the port's packets end, who refuses, who answers.

Only comparisons decide. A hop that does not answer proves nothing by itself, because routers may keep silent
or have spent their ICMP budget. But where a hop answers a control (UDP, or another port) with the same hop
limit, and stays silent for the mail port, the port's packets do not get there. So every place is named by
the last hop that the port reached and the next one that only the control reached.

An answer counts as the host's own when it is a SYN-ACK, a RST to a control, an echo reply or an ICMP error
with the host's address. Distances are hop limits: the smallest one with which the host answers.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from probe.core.model import (
    Answer,
    CanaryOutcome,
    ConnectOutcome,
    ExchangeOutcome,
    NoticeOrigin,
    Protocol,
    Purpose,
    Stage,
)

if TYPE_CHECKING:
    from probe.core.model import (
        Connect,
        Evidence,
        Exchange,
        HostEvidence,
        PathEvidence,
        PathProbe,
        Session,
    )

FAST_VERDICT = 2.1
"""Seconds after the first SYN at which --fast says "filtered": Linux has repeated it after 1 and 2 s."""
FULL_VERDICT = 3.4
"""Seconds after the first SYN at which "filtered" is said. A router that gets no answer to ARP or ND from the
host says so after 3.05 s (three requests, a second apart): nobody is called filtered who is down."""
SLOW_VERDICT = 7.0
"""Seconds that are waited where controls were lost: two more repetitions of the SYN, after 4 and 5 s."""
REPEATED_AFTER = 0.9
"""Seconds after which an answer to a connect is one to its repetition: the kernel waits for one."""
SILENT_ENOUGH = 2.0
"""Seconds of silence below which nothing is concluded from it: fewer than three SYNs were on their way."""
ALIVE_WITHIN = 3.0
"""A peer whose TCP answered within this many seconds is alive: keepalives go out every second."""
DEAD_AFTER = 6.0
"""A peer whose TCP has not answered for so long, to a keepalive each second, is no longer reached."""
SMALL_SEGMENT = {4: 536, 6: 1220}
"""Octets of a segment that passes any path: what IPv4 takes without asking (RFC 9293 3.7.1), and what is left of
the 1280 of every IPv6 link (RFC 8200 5)."""
OWN_EDGE = 1
"""The last hop that counts as our own network: a port that ends there ends for every mail host alike."""
ARP_GIVES_UP = 2.5
"""Seconds after which "host unreachable" from our own address comes from ARP or ND, and not from a firewall."""


class Silence(StrEnum):
    """Where the packets of a port without any answer end.

    `loosely` is a place with hops in it that say nothing; `up-to-host` such a one that goes on to the host itself.
    """

    UNTESTED = "untested"
    OWN_OUTPUT = "own-output"
    OWN_LINK = "own-link"
    NEAR = "near"
    NEAR_LOOSELY = "near-loosely"
    BETWEEN = "between"
    BETWEEN_LOOSELY = "between-loosely"
    UP_TO_HOST = "up-to-host"
    FAR_END = "far-end"
    SOMEWHERE = "somewhere"
    HOST_SILENT = "host-silent"
    ALL_SILENT = "all-silent"
    LOSSY = "lossy"


class Refuser(StrEnum):
    """Who refused the connection; `doubtful` is a RST that may come from nearer than the host."""

    UNTESTED = "untested"
    OURSELVES = "ourselves"
    OWN_LINK = "own-link"
    FIRST_HOP = "first-hop"
    MIDDLEBOX = "middlebox"
    ROUTER = "router"
    HOST = "host"
    DOUBTFUL = "doubtful"
    LOOP = "loop"


class Ports(StrEnum):
    """Whether a refusal meets the mail port only."""

    UNTESTED = "untested"
    THIS_ONE = "this-one"
    EVERY = "every"


class Us(StrEnum):
    """Whether another mail host, known to be up, can be reached from here."""

    UNTESTED = "untested"
    OPEN = "open"
    SILENT = "silent"


class After(StrEnum):
    """What the connection itself did while the peer's SMTP was silent.

    `small-segments-helped` is a second connection with small segments that got the missing reply;
    `small-segments-proved` the same where the first one had seen segments arrive behind a gap.
    """

    UNTESTED = "untested"
    ALIVE = "alive"
    DEAD = "dead"
    REJECTED = "rejected"
    SMALL_HELPED = "small-segments-helped"
    SMALL_PROVED = "small-segments-proved"


class Nearer(StrEnum):
    """Whether something answers the mail port that is nearer than the host.

    On our half of the way it is a stranger to the mail host. On the other half it may well be its own: a gateway
    or load balancer that takes the mail, and lets other packets pass to the machine behind it.
    """

    UNTESTED = "untested"
    NO = "no"
    AT_ITS_DOOR = "at-its-door"
    YES = "yes"


class Elsewhere(Struct, frozen=True):
    """Whether the port is open for us at another mail host, and which one says so."""

    us: Us = Us.UNTESTED
    name: str | None = None


class Path(Struct, frozen=True, kw_only=True):
    """The columns of `Facts` that come from the network, and the hops and addresses that sentences name.

    `reached` is the last hop that the port's packets reached (0: none, they end at this host's door), `beyond`
    the next one that a control reached; `distance` the hop of the host itself. `control` is what of the host
    did answer, `refuser` who refused and `refuser_hop` where that is.
    """

    silence: Silence = Silence.UNTESTED
    refuser: Refuser = Refuser.UNTESTED
    ports: Ports = Ports.UNTESTED
    us: Us = Us.UNTESTED
    after: After = After.UNTESTED
    nearer: Nearer = Nearer.UNTESTED
    reached: int | None = None
    reached_router: str | None = None
    beyond: int | None = None
    beyond_router: str | None = None
    distance: int | None = None
    control: str | None = None
    refuser_ip: str | None = None
    refuser_hop: int | None = None
    loop: tuple[str, ...] = ()
    canary: str | None = None


class _Search:
    """The answers of one path search, sorted by what they can be compared for."""

    def __init__(self, path: PathEvidence | None, ip: str, port: int) -> None:
        self.ip = ip
        probes = path.probes if path is not None else ()
        self.on_port = [p for p in probes if p.protocol is Protocol.TCP and p.port == port]
        self.controls = [p for p in probes if p not in self.on_port]
        self.fresh = [p for p in self.on_port if p.ttl is None]

    def from_host(self, probe: PathProbe) -> bool:
        """Whether the host itself answered this control."""
        if probe.answer in {Answer.CONNECTED, Answer.RESET, Answer.ECHO}:
            return True
        return probe.answer is not Answer.SILENT and probe.sender == self.ip

    def routers(self, hop: int) -> set[str]:
        """Every address that said "time exceeded" at this hop."""
        return {
            p.sender
            for p in (*self.on_port, *self.controls)
            if p.ttl == hop and p.answer is Answer.TIME_EXCEEDED and p.sender
        }

    def router(self, hop: int | None) -> str | None:
        """One of them, None where nobody said so."""
        return min(self.routers(hop), default=None) if hop is not None else None

    def hop_of(self, sender: str | None) -> int | None:
        """Find the smallest hop limit with which this router answered anything; else estimate it.

        Both count only right behind a hop that another router was seen at: a router refuses with every hop
        limit that brings a packet as far as its rules, and says "time exceeded" at its own hop only.
        """
        said = [p for p in (*self.on_port, *self.controls) if p.sender and p.sender == sender]
        ends = [p.ttl for p in said if p.ttl is not None and p.answer is Answer.TIME_EXCEEDED]
        if ends:
            return min(ends)
        refused = min((p.ttl for p in said if p.ttl is not None), default=None)
        if refused is not None and (refused == 1 or self.routers(refused - 1)):
            return refused
        back = (estimate(p.arrived_ttl) for p in said if p.arrived_ttl is not None)
        return next((hop for hop in back if hop == 1 or self.routers(hop - 1)), None)

    def answered(self, hop: int) -> bool:
        """Whether a control with this hop limit was answered, by a router or the host."""
        return any(
            p.ttl == hop and (p.answer is Answer.TIME_EXCEEDED or self.from_host(p)) for p in self.controls
        )

    @property
    def distance(self) -> int | None:
        """Smallest hop limit with which the host answers a control; else an estimate from a full-length answer.

        The estimate takes the hop limit of the answer as it arrived: it was sent with 64, 128 or 255.
        """
        limited = [p.ttl for p in self.controls if p.ttl is not None and self.from_host(p)]
        if limited:
            return min(limited)
        arrived = [p.arrived_ttl for p in self.controls if p.arrived_ttl is not None and self.from_host(p)]
        return min((estimate(ttl) for ttl in arrived), default=None)

    @property
    def control(self) -> str | None:
        """Name what of the host answered, the plainest first."""
        found = {_name(p): None for p in self.controls if self.from_host(p)}
        for name in ("port 443", "port 587", "port 80", "UDP", "ping"):
            if name in found:
                return name
        return next(iter(found), None)

    @property
    def reached(self) -> int | None:
        """Last hop that answered on the port; 0 where only controls were answered, None where nothing was."""
        said = [p.ttl for p in self.on_port if p.ttl is not None and p.answer is Answer.TIME_EXCEEDED]
        if said:
            return max(said)
        asked = {p.ttl for p in self.on_port}
        nearest = next(iter(self._answered_hops()), None)
        return 0 if nearest in asked and (self.some_router or nearest == 1) else None

    @property
    def beyond(self) -> int | None:
        """Next hop after `reached` that a control reached, and the port did not."""
        return next((hop for hop in self._missed if not self._may_be_loss(hop)), None)

    @property
    def furthest_possible(self) -> int:
        """Last hop that the port may have reached, were the packets lost whose loss is nobody's doing."""
        doubtful = [hop for hop in self._missed if hop < (self.beyond or 0) and self._may_be_loss(hop)]
        return max((self.reached or 0, *doubtful))

    @property
    def _missed(self) -> list[int]:
        """Hops after `reached` that answer a control and not the port."""
        after = self.reached
        if after is None:
            return []
        asked = {p.ttl for p in self.on_port if p.answer is Answer.SILENT}
        return [hop for hop in self._answered_hops() if hop > after and hop in asked]

    def _may_be_loss(self, hop: int) -> bool:
        """Whether the port is silent at this hop for one lost packet only.

        At the host itself it is not: the connection was silent too, with all its repetitions.
        """
        at_host = any(p.ttl == hop and self.from_host(p) for p in self.controls)
        return not at_host and self.asked_once_in_vain(hop)

    def asked_once_in_vain(self, hop: int) -> bool:
        """Whether one packet to the port is all that was sent for this hop, and it was not answered."""
        return [p.answer for p in self.on_port if p.ttl == hop] == [Answer.SILENT]

    def _answered_hops(self) -> list[int]:
        hops = {p.ttl for p in self.controls if p.ttl is not None}
        return sorted(hop for hop in hops if self.answered(hop))

    def passed(self, hop: int) -> bool:
        """Whether a control that was to end at this hop or later still ended at a router."""
        return any(
            p.ttl is not None and p.ttl >= hop and p.answer is Answer.TIME_EXCEEDED and p.sender != self.ip
            for p in self.controls
        )

    def nearest(self, answer: Answer) -> int | None:
        """Smallest hop limit with which the port gave this answer."""
        return min((p.ttl for p in self.on_port if p.ttl is not None and p.answer is answer), default=None)

    @property
    def furthest_router(self) -> int:
        """Last hop at which a router answered a control; 0 for none."""
        hops = (p.ttl for p in self.controls if p.ttl is not None and p.answer is Answer.TIME_EXCEEDED)
        return max(hops, default=0)

    @property
    def some_router(self) -> bool:
        """Whether any router said anything."""
        return any(p.answer is Answer.TIME_EXCEEDED for p in (*self.on_port, *self.controls))

    @property
    def lossy(self) -> bool:
        """Whether packets were lost that nobody filters: then more repetitions are needed for the same certainty.

        One packet of several alike was answered; a connect needed the kernel's repetition; a hop is silent on the
        port that answers the control, although the port gets further; or a hop near the end was asked only once.
        """
        alike: dict[tuple[Protocol, int | None, int | None], set[bool]] = {}
        for p in self.controls:
            alike.setdefault((p.protocol, p.port, p.ttl), set()).add(p.answer is Answer.SILENT)
        if any(len(silent) > 1 for silent in alike.values()):
            return True
        if any(p.answer is not Answer.SILENT and p.ended - p.sent >= REPEATED_AFTER for p in self.controls):
            return True
        after, upto = self.reached or 0, self.beyond or 0
        skipped = (
            p.ttl for p in self.on_port if p.answer is Answer.SILENT and p.ttl is not None and p.ttl < after
        )
        if any(self.answered(hop) for hop in skipped):
            return True
        asked = [p.ttl for p in self.controls if p.answer is Answer.SILENT]
        return any(asked.count(hop) == 1 and not self.answered(hop) for hop in range(after + 1, upto + 1))

    def firm(self, hop: int) -> bool:
        """Whether every packet for this hop found the same router there: not so on paths that fork (ECMP)."""
        return len(self.routers(hop)) < 2


def estimate(arrived_ttl: int) -> int:
    """Estimate the hops back from a hop limit as it arrived: systems send with 64, 128 or 255."""
    return next(start for start in (64, 128, 255) if start >= min(arrived_ttl, 255)) - arrived_ttl + 1


def _name(probe: PathProbe) -> str:
    if probe.protocol is Protocol.TCP:
        return f"port {probe.port}"
    return "UDP" if probe.protocol is Protocol.UDP else "ping"


# --- reading ---------------------------------------------------------------------------------------


def read(host: HostEvidence, session: Session, elsewhere: Elsewhere) -> Path:
    """Read what the network did to one session with a host. Total: any evidence gives a `Path`."""
    search = _Search(host.path, host.ip, host.port)
    connect = session.connect
    known = Path(
        us=elsewhere.us,
        distance=search.distance,
        reached=search.reached,
        reached_router=search.router(search.reached),
        beyond=search.beyond,
        beyond_router=search.router(search.beyond),
        control=search.control,
        canary=elsewhere.name,
    )
    if connect.outcome is ConnectOutcome.CONNECTED:
        return _connected(known, search, host, session)
    if connect.outcome in {ConnectOutcome.TIMEOUT, ConnectOutcome.CUT_SHORT}:
        return replace(known, silence=_silence(search, connect, elsewhere.us))
    return _refused(known, search, connect)


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


def _silence(search: _Search, connect: Connect, us: Us) -> Silence:
    tcp = connect.tcp
    if tcp is not None and tcp.retransmits and not tcp.retrans:
        # Every retransmission was refused by this host's own stack, or there was none because the first SYN
        # still waits for the link-layer address of the next hop.
        return Silence.OWN_OUTPUT if tcp.total_retrans else Silence.OWN_LINK
    if connect.ended - connect.started < SILENT_ENOUGH:
        return Silence.UNTESTED
    return _place(search, us)


def _place(search: _Search, us: Us) -> Silence:
    """Compare how far the port's packets and the controls came."""
    if any(p.answer in {Answer.CONNECTED, Answer.RESET} for p in search.on_port):
        return Silence.LOSSY
    reached, beyond = search.reached, search.beyond
    if reached is not None and beyond is not None:
        if beyond == search.distance and beyond == reached + 1:
            return Silence.FAR_END
        near = search.furthest_possible <= OWN_EDGE
        if beyond == reached + 1 and search.control and search.firm(beyond):
            return Silence.NEAR if near else Silence.BETWEEN
        if near:
            return Silence.NEAR_LOOSELY
        return Silence.UP_TO_HOST if beyond == search.distance else Silence.BETWEEN_LOOSELY
    if search.control:
        return Silence.UP_TO_HOST if reached else Silence.SOMEWHERE
    if search.some_router:
        cut_off = us is Us.SILENT and (reached or 0) <= OWN_EDGE
        return Silence.ALL_SILENT if cut_off else Silence.HOST_SILENT
    return Silence.ALL_SILENT if us is Us.SILENT else Silence.UNTESTED


def patience(host: HostEvidence, connect: Connect, *, fast: bool) -> float | None:
    """Say how many seconds after the first SYN silence may be called by its name; None: there is no name yet.

    A verdict stands as soon as the SYN was repeated often enough, which takes longer where other packets were
    lost too. A packet of the search that connects says that nothing is filtered.
    """
    soon = FAST_VERDICT if fast else FULL_VERDICT
    search = _Search(host.path, host.ip, host.port)
    place = _silence(search, replace(connect, ended=connect.started + soon), Us.UNTESTED)
    if place is Silence.OWN_OUTPUT:
        return FAST_VERDICT  # no answer of anybody is needed for it
    if place in {Silence.UNTESTED, Silence.LOSSY}:
        return None
    return SLOW_VERDICT if search.lossy else soon


def _refused(known: Path, search: _Search, connect: Connect) -> Path:
    if not connect.notices:
        return _reset(known, search) if connect.outcome is ConnectOutcome.REFUSED else known
    notice = connect.notices[0]
    seen = [search.router(hop) for hop in range(1, 31)]
    known = replace(
        known,
        refuser_ip=notice.sender,
        refuser_hop=search.hop_of(notice.sender),
        ports=_ports(search, notice.sender),
    )
    if notice.ours or notice.origin is NoticeOrigin.LOCAL or notice.sender in {connect.local_ip, None}:
        late = (
            connect.outcome is ConnectOutcome.HOST_UNREACHABLE and notice.t - connect.started >= ARP_GIVES_UP
        )
        return replace(known, refuser=Refuser.OWN_LINK if late else Refuser.OURSELVES)
    if notice.type == (11 if notice.origin is NoticeOrigin.ICMP else 3):
        return replace(known, refuser=Refuser.LOOP, loop=_circle(seen) or _circle([notice.sender] * 2))
    return replace(known, refuser=Refuser.HOST if notice.sender == search.ip else Refuser.ROUTER)


def _circle(seen: list[str | None]) -> tuple[str, ...]:
    """Name the routers from one appearance of an address on the path to its next: two at least, or none."""
    for n, name in enumerate(seen):
        if name and name in seen[:n]:
            found = dict.fromkeys(router or _UNKNOWN for router in seen[seen.index(name) : n])
            return (*found, _UNKNOWN)[: max(2, len(found))]
    return ()


_UNKNOWN = "an unknown router"


def _ports(search: _Search, sender: str | None) -> Ports:
    """Say whether the same refuser turned away the packets to other ports too."""
    if search.control:
        return Ports.THIS_ONE
    same = any(
        p.sender == sender and p.answer not in {Answer.SILENT, Answer.TIME_EXCEEDED} for p in search.controls
    )
    return Ports.EVERY if same else Ports.UNTESTED


def _reset(known: Path, search: _Search) -> Path:
    """Tell a RST of the host from one that was sent on the way."""
    hop = search.nearest(Answer.RESET)
    if hop is not None and search.passed(hop):
        before = search.router(hop - 1)
        return replace(
            known,
            refuser=Refuser.FIRST_HOP if hop == 1 else Refuser.MIDDLEBOX,
            refuser_hop=hop,
            reached=hop - 1,
            reached_router=before,
            beyond=hop,
            beyond_router=search.router(hop),
        )
    away = search.distance
    if away is None:
        return known
    if away == 1 or search.reached == away - 1:
        return replace(known, refuser=Refuser.HOST)
    from_nearer = hop is not None and hop < away
    doubtful = from_nearer or search.asked_once_in_vain(away - 1)
    return replace(known, refuser=Refuser.DOUBTFUL if doubtful else Refuser.UNTESTED)


def _connected(known: Path, search: _Search, host: HostEvidence, session: Session) -> Path:
    first = hop = search.nearest(Answer.CONNECTED)
    nearer = Nearer.UNTESTED
    if first is not None and hop is not None and search.passed(hop):
        while first > 1 and search.asked_once_in_vain(first - 1):
            first -= 1  # one lost packet must not make a stranger seem to stand at the host's door
        away = known.distance or search.furthest_router + 1
        nearer = Nearer.YES if 2 * first <= away else Nearer.AT_ITS_DOOR
        if first < hop:
            known = replace(known, reached=first - 1, beyond=hop)
    elif search.on_port and hop is None:
        nearer = Nearer.NO
    after = _after(host, session)
    refuser = next((p.sender for p in search.fresh if p.answer is not Answer.CONNECTED), None)
    return replace(
        known,
        after=after,
        nearer=nearer,
        refuser_ip=refuser if after is After.REJECTED else None,
        refuser_hop=hop if first == hop and nearer in {Nearer.YES, Nearer.AT_ITS_DOOR} else None,
    )


def _after(host: HostEvidence, session: Session) -> After:
    last = next((e for e in reversed(session.exchanges) if e.outcome is ExchangeOutcome.TIMEOUT), None)
    if last is None:
        return After.UNTESTED
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
