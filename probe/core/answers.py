"""The packets of a path search and their answers, sorted by what they can be compared for.

Planning (`packets`, `search`) and judging (`seen`, `network_facts`) read the same packets; what each of them
shows is decided here, once. A packet to the mail port is compared with the controls: those to other ports, by
UDP and by ping.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from probe.core.model import Answer, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from probe.core.model import PathProbe

MAX_TTL = 30
"""Hop limit at which a search ends, as traceroute's does: no host of the Internet is further."""
LIKE_HOST = frozenset({Answer.CONNECTED, Answer.RESET})
"""Answers of TCP, which only the host gives, or who poses as it."""
NO_REMOTE = frozenset({Answer.SILENT, Answer.TIME_EXCEEDED, Answer.LOCAL})
"""Answers that no far end has given."""


class Answers:
    """The packets towards `port` of `ip`, and the controls beside them."""

    def __init__(self, probes: Sequence[PathProbe], ip: str, port: int) -> None:
        self.ip = ip
        self.probes = probes
        self.on_port = [p for p in probes if p.protocol is Protocol.TCP and p.port == port]
        self.controls = [p for p in probes if p.protocol is not Protocol.TCP or p.port != port]

    def from_host(self, control: PathProbe) -> bool:
        """Whether the host itself answered this control.

        "Time exceeded" is a router's answer even with the host's address: that of a gateway which passes the
        mail port on to the machine behind it.
        """
        if control.answer in LIKE_HOST or control.answer is Answer.ECHO:
            return True
        return control.answer not in NO_REMOTE and control.sender == self.ip

    def answered(self, ttl: int) -> bool:
        """Whether a control with this hop limit was answered, by a router or by the host."""
        return any(
            p.ttl == ttl and (p.answer is Answer.TIME_EXCEEDED or self.from_host(p)) for p in self.controls
        )

    @property
    def distance(self) -> int | None:
        """Smallest hop limit with which the host answered a control."""
        return min((p.ttl for p in self.controls if p.ttl and self.from_host(p)), default=None)

    @property
    def estimate(self) -> int | None:
        """Hops to the host, as the hop limits of its answers tell: a guess, for they may take another way."""
        arrived = (p.arrived_ttl for p in self.controls if p.arrived_ttl and self.from_host(p))
        return min((hops for ttl in arrived if (hops := estimate(ttl)) <= MAX_TTL), default=None)


def furthest(probes: Iterable[PathProbe]) -> int:
    """Return the last hop whose router answered one of these; 0 for none."""
    return max((p.ttl for p in probes if p.ttl and p.answer is Answer.TIME_EXCEEDED), default=0)


def estimate(arrived_ttl: int) -> int:
    """Estimate the hops back from a hop limit as it arrived: systems send with 64, 128 or 255."""
    return next(start for start in (64, 128, 255) if start >= min(arrived_ttl, 255)) - arrived_ttl + 1
