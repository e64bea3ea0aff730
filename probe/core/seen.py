"""The packets of one path search, sorted by what they can be compared for.

Only comparisons decide. A hop that does not answer proves nothing by itself, because routers may keep silent
or have spent their ICMP budget. But where a hop answers a control (UDP, or another port) with the same hop
limit, and stays silent for the mail port, the port's packets do not get there. So every place is named by
the last hop that the port reached and the next one that only the control reached.

An answer counts as the host's own when it is a SYN-ACK, a RST to a control, an echo reply or an ICMP error
with the host's address. Distances are hop limits: the smallest one with which the host answers.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from probe.core.answers import MAX_TTL, Answers, estimate
from probe.core.model import Answer, NoticeOrigin, Protocol
from probe.core.network import REPEATED_AFTER

if TYPE_CHECKING:
    from probe.core.model import PathEvidence, PathProbe


class Seen(Answers):
    """The answers of one path search, sorted by what they can be compared for."""

    def __init__(self, path: PathEvidence | None, ip: str, port: int) -> None:
        # No search sends other hop limits; evidence of another hand would make every comparison of hops endless.
        probes = path.probes if path is not None else ()
        super().__init__([p for p in probes if p.ttl is None or 1 <= p.ttl <= MAX_TTL], ip, port)
        self.fresh = [p for p in self.on_port if p.ttl is None]

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

    @cached_property
    def distance(self) -> int | None:
        """Smallest hop limit with which the host answers a control; else an estimate from a full-length answer.

        The estimate takes the hop limit of the answer as it arrived: it was sent with 64, 128 or 255.
        """
        return super().distance or self.estimate

    @cached_property
    def control(self) -> str | None:
        """Name what of the host answered, the plainest first."""
        found = {_name(p): None for p in self.controls if self.from_host(p)}
        for name in ("port 443", "port 587", "port 80", "UDP", "ping"):
            if name in found:
                return name
        return next(iter(found), None)

    @cached_property
    def reached(self) -> int | None:
        """Last hop that answered on the port; 0 where only controls were answered, None where nothing was."""
        said = [p.ttl for p in self.on_port if p.ttl is not None and p.answer is Answer.TIME_EXCEEDED]
        if said:
            return max(said)
        asked = {p.ttl for p in self.on_port}
        nearest = next(iter(self._answered_hops()), None)
        return 0 if nearest in asked and (self.some_router or nearest == 1) else None

    @cached_property
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

    @cached_property
    def rejected(self) -> PathProbe | None:
        """The first packet for the host that a router answered with an error that the connection waits for in vain.

        Routers limit how many errors they send (RFC 1812 4.3.2.8; Linux sends one a second to each address, after five
        in a row: net.ipv4.route.error_cost), and the packets of a search take their share. Of other ports only what
        is said of the host or its network counts, where the host itself answers none of them.
        """
        said = [p for p in self.on_port if p.answer in _REJECTIONS]
        if not self.control:
            said += [p for p in self.controls if p.answer in _OF_HOST and not self._went_past(p.sender)]
        return next((p for p in said if p.sender not in {None, self.ip} and not _is_ours(p)), None)

    def _went_past(self, sender: str | None) -> bool:
        """Whether packets to the port came further than to this router."""
        return (self.reached or 0) > (self.hop_of(sender) or MAX_TTL)

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

    def opened_here(self, hop: int) -> bool:
        """Whether another port opened with so small a hop limit: then what is here ends every TCP, for good or ill."""
        return any(
            p.protocol is Protocol.TCP and p.ttl is not None and p.ttl <= hop and p.answer is Answer.CONNECTED
            for p in self.controls
        )

    @property
    def forks(self) -> bool:
        """Whether packets went different ways (ECMP): two routers at one hop, or one where others met the host."""
        hops = {p.ttl for p in (*self.on_port, *self.controls) if p.ttl is not None}
        ends = min(
            (p.ttl for p in self.controls if p.ttl is not None and self.from_host(p)),
            default=max(hops, default=0) + 1,
        )
        return any(len(self.routers(hop)) > 1 or (hop >= ends and self.routers(hop)) for hop in hops)

    def singled_out(self, hop: int) -> bool:
        """Whether TCP to another port, that was to end at this hop or later, still ended at a router."""
        return any(
            p.protocol is Protocol.TCP
            and p.ttl is not None
            and p.ttl >= hop
            and p.answer is Answer.TIME_EXCEEDED
            for p in self.controls
        )


_OF_HOST = frozenset({Answer.HOST_UNREACHABLE, Answer.NET_UNREACHABLE})
_REJECTIONS = _OF_HOST | {Answer.PORT_UNREACHABLE, Answer.PROHIBITED}


def _is_ours(probe: PathProbe) -> bool:
    """Whether this host itself wrote the error."""
    notice = probe.notice
    return notice is not None and (notice.ours or notice.origin is NoticeOrigin.LOCAL)


def _name(probe: PathProbe) -> str:
    if probe.protocol is Protocol.TCP:
        return f"port {probe.port}"
    return "UDP" if probe.protocol is Protocol.UDP else "ping"
