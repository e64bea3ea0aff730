"""The path picture of a host: hop by hop, what answered the port and what answered a control."""

from __future__ import annotations

from typing import TYPE_CHECKING

from probe.core.model import Answer, Hop, Network, Protocol
from probe.core.network import Nearer, Path, Refuser, Silence
from probe.core.sentences import beyond_text, hop_text, refuser_text

if TYPE_CHECKING:
    from probe.core.model import HostEvidence, PathProbe

MAX_HOPS = 40
"""Rows of a picture; a search asks for 30 hops at most, and a file that was edited must not ask for more."""

_SILENCE_ENDS = {
    Silence.OWN_OUTPUT: "in this host's own firewall",
    Silence.OWN_LINK: "on this host's own link",
    Silence.NEAR: "between {after} and {before}",
    Silence.NEAR_LOOSELY: "between {after} and {before}",
    Silence.BETWEEN: "between {after} and {before}",
    Silence.BETWEEN_LOOSELY: "between {after} and {before}",
    Silence.UP_TO_HOST: "between {after} and {before}",
    Silence.FAR_END: "beyond {after}, at the far end",
    Silence.SOMEWHERE: "somewhere before the host; no router tells where",
    Silence.HOST_SILENT: "after {after}, for every protocol",
}
_REFUSER_ENDS = {
    Refuser.OURSELVES: "in this host's own firewall",
    Refuser.OWN_LINK: "on this host's own link",
    Refuser.FIRST_HOP: "before hop 1",
    Refuser.MIDDLEBOX: "between {after} and {before}",
    Refuser.ROUTER: "at {refuser}",
    Refuser.HOST: "at the host itself",
    Refuser.LOOP: "in a loop between {loop}",
}


def draw(host: HostEvidence, path: Path) -> Network | None:
    """Draw the path to a host; None when no packet was sent to search it."""
    if host.path is None:
        return None
    probes = host.path.probes
    left_us = path.silence is not Silence.OWN_OUTPUT
    on_port = _by_hop([p for p in probes if left_us and p.protocol is Protocol.TCP and p.port == host.port])
    controls = _by_hop([p for p in probes if p.protocol is not Protocol.TCP or p.port != host.port])
    answered = [
        hop for rows in (on_port, controls) for hop, p in rows.items() if p.answer is not Answer.SILENT
    ]
    last = max((*answered, path.distance or 0, path.beyond or 0, path.refuser_hop or 0), default=0)
    return Network(
        distance=path.distance,
        reached=path.reached,
        ends=_ends(path),
        control=path.control,
        hops=tuple(
            _hop(number, on_port.get(number), controls.get(number), path, host.ip)
            for number in range(1, min(last, MAX_HOPS) + 1)
        ),
        packets=len(probes),
        lacking=host.path.lacking,
    )


def _by_hop(probes: list[PathProbe]) -> dict[int, PathProbe]:
    """Choose one packet for each hop limit: the first that was answered, else the first."""
    chosen: dict[int, PathProbe] = {}
    for probe in probes:
        if probe.ttl is None:
            continue
        known = chosen.get(probe.ttl)
        if known is None or (known.answer is Answer.SILENT and probe.answer is not Answer.SILENT):
            chosen[probe.ttl] = probe
    return chosen


def _hop(number: int, on_port: PathProbe | None, control: PathProbe | None, path: Path, ip: str) -> Hop:
    # Only "time exceeded" tells who is at a hop. Any other answer may come from further away, or from nearer.
    routers = [p.sender for p in (on_port, control) if p is not None and p.answer is Answer.TIME_EXCEEDED]
    known = {path.refuser_hop: path.refuser_ip, path.distance: ip}
    name = None
    if control is not None:
        name = (
            f"{control.protocol}/{control.port}"
            if control.protocol is Protocol.TCP
            else str(control.protocol)
        )
    return Hop(
        hop=number,
        router=next(iter(routers), known.get(number)),
        port_answer=on_port.answer if on_port else None,
        port_lapse=_lapse(on_port),
        control=name,
        control_answer=control.answer if control else None,
        control_lapse=_lapse(control),
    )


def _lapse(probe: PathProbe | None) -> float | None:
    if probe is None or probe.answer is Answer.SILENT:
        return None
    return round(probe.ended - probe.sent, 6)


def _ends(path: Path) -> str | None:
    if path.nearer in {Nearer.YES, Nearer.PROBABLY}:
        return f"answered at {refuser_text(path)}, in the name of the host"
    says = _SILENCE_ENDS.get(path.silence) or _REFUSER_ENDS.get(path.refuser)
    if says is None:
        return None
    refuser = path.refuser_ip or "an unknown router"
    return says.format(
        after=hop_text(path.reached, path.reached_router),
        before=beyond_text(path),
        refuser=refuser if path.refuser_hop is None else hop_text(path.refuser_hop, path.refuser_ip),
        loop=" and ".join(path.loop),
    )
