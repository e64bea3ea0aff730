"""The path to a mail host as a small picture: who answers the mail port at each hop, and who a control.

    hop  router        port 25    udp
      1  192.0.2.1     0.3 ms     0.3 ms
      2  198.51.100.1  8 ms       8 ms
      3  198.51.100.9  no answer  9 ms
      4  203.0.113.15  no answer  10 ms
    ends: between hop 2 (198.51.100.1) and hop 3 (198.51.100.9)

A time stands for what a trace hopes for: "time exceeded" of a router, an echo, or the "port unreachable" with
which the host ends a trace by UDP. Any other answer is named. `-` is a hop that was not asked, `?` one whose
router nobody saw. Neighbouring hops that keep the same silence share a line (`5-9`).
"""

from __future__ import annotations

import textwrap
from collections import Counter
from itertools import zip_longest
from typing import TYPE_CHECKING, NamedTuple

from probe.core.model import Answer, CanaryOutcome, Protocol
from probe.show.printable import safe
from probe.show.wording import ANSWERS, round_trip, seconds

if TYPE_CHECKING:
    from probe.core.model import Canary, Hop, HostReport, Network, Report

_SHORT = 2
"""Pictures of the short form: more would push the verdict off the screen, and mostly show the same network."""
_SENTENCE = 1000
"""Characters of a sentence that are shown."""
_GREETING = 100
"""Characters of the greeting of the host that was called to compare."""
_ADDRESS = 45
"""The longest text of an IPv6 address (RFC 4291 2.2); longer is no address."""
_CONTROL = 12
"""Characters of the name of a control that are shown."""
_WORD = 11
"""Columns of an answer where there is no room for more: the longest word, `unreachable`."""
_GAP = 2
"""Spaces between columns."""

_PASSED = frozenset({Answer.TIME_EXCEEDED, Answer.ECHO})
"""Answers that say no more than that the packet got so far: only the time is shown."""

_ABOUT_PATH = {"path-dead", "pmtu-blackhole", "rejected-midway", "intercepted"}
"""Ends of the reasons that are about the path although the connection stood, whatever their stage."""

_NO_PLACE = frozenset({"icmp-errors", "routers"})
"""What is missed so much that the short form says so: without the others there is one comparison less."""
_LACKING = {
    "icmp-errors": (
        "This system does not report ICMP errors to unprivileged programs, so no router tells where packets end."
    ),
    "routers": (
        "Other searches of this run had asked the routers as much as they answer; probe this address alone to know"
        " the place."
    ),
    "ping": "This system does not let unprivileged programs ping, so there is no ping to compare with.",
    "tcp-info": (
        "This system does not tell the state of a TCP connection, so a firewall on this host is not seen."
    ),
}


class Row(NamedTuple):
    """The cells of one line of the picture: which hop or hops, who is there, what came back (not yet safe)."""

    hop: str
    router: str
    port: str
    control: str


# --- what there is to show -------------------------------------------------------------------------


def shown(report: Report, *, verbose: bool = False) -> list[tuple[HostReport, Network]]:
    """Give the hosts whose path is drawn: with `verbose` all that have one, else two that it decided about."""
    return _drawable(report) if verbose else _decided(report)[:_SHORT]


def left_out(report: Report) -> int:
    """Count the hosts that the path decided about and whose picture the short form leaves to the long one."""
    return len(_decided(report)[_SHORT:])


def remarks(report: Report, *, verbose: bool = False) -> list[str]:
    """Say what belongs to no single picture (not yet safe): the host called to compare, and what is not told.

    What this system cannot tell is said once, however many paths it touches.
    """
    called = report.evidence.canary
    said = [] if called is None else [_compared(called)]
    lacking = dict.fromkeys(
        word
        for host in report.hosts
        if host.network is not None and (verbose or _is_about_path(host))
        for word in host.network.lacking
        if verbose or word in _NO_PLACE
    )
    return said + [_LACKING.get(word, f"This system does not tell: {word}.") for word in lacking]


def _drawable(report: Report) -> list[tuple[HostReport, Network]]:
    return [(host, host.network) for host in report.hosts if host.network is not None and host.network.hops]


def _decided(report: Report) -> list[tuple[HostReport, Network]]:
    return [(host, network) for host, network in _drawable(report) if _is_about_path(host)]


def _is_about_path(host: HostReport) -> bool:
    """Tell whether the verdict on a host is about the network, so that its path explains it."""
    stage, _, what = host.reason.partition(".")
    return stage == "connect" or what in _ABOUT_PATH or host.reason == "banner.timeout"


def _compared(canary: Canary) -> str:
    if canary.outcome is CanaryOutcome.UNTESTED:
        why = f": {canary.detail}" if canary.detail else ""
        return f"No other mail host could be called to compare{why}."
    lapse = seconds(canary.ended - canary.started)
    said = {
        CanaryOutcome.ANSWERED: f"answered on port {canary.port} after {round_trip(canary.ended - canary.started)}",
        CanaryOutcome.SILENT: f"did not answer on port {canary.port} within {lapse}",
        CanaryOutcome.REFUSED: f"refused port {canary.port}",
    }[canary.outcome]
    greeting, _, _ = (canary.banner or "").partition("\n")
    detail = greeting[:_GREETING] or canary.detail
    place = f"{canary.name} [{canary.ip}]" if canary.ip not in {None, canary.name} else canary.name
    return f"Called to compare: {place} {said}" + (f" ({detail})." if detail else ".")


# --- the picture -----------------------------------------------------------------------------------


def table(network: Network, port: int) -> list[Row]:
    """Give the title and the lines of a picture, each of four cells (not yet safe)."""
    # A boundary may be tried with a second control: the commonest is the title, the others are named beside.
    controls = Counter(hop.control for hop in network.hops if hop.control is not None)
    control = next((name for name, _ in controls.most_common(1)), "control")
    rows = [Row("hop", "router", f"port {port}", _plainly(control))]
    first = last = None
    for hop in network.hops:
        if first is not None and last is not None and _goes_on(last, hop):
            rows[-1] = rows[-1]._replace(hop=f"{first.hop}-{hop.hop}")
        else:
            first = hop
            rows.append(_row(hop, control))
        last = hop
    return rows


def ending(network: Network) -> list[str]:
    """Say where the path ends for the port, where that is known (not yet safe)."""
    return [f"ends: {network.ends}"] if network.ends else []


def picture(network: Network, port: int, *, width: int) -> list[str]:
    """Draw a path in safe lines of at most `width` columns, and below it where it ends.

    Where an IPv6 path needs more room, answers and then addresses are broken inside their column.
    """
    rows = [
        Row(safe(hop), safe(router, width=_ADDRESS), safe(answer), safe(control))
        for hop, router, answer, control in table(network, port)
    ]
    wide = [max(map(len, column)) for column in zip(*rows, strict=True)]
    if sum(wide) + 3 * _GAP > width:
        wide[2:] = [min(columns, _WORD) for columns in wide[2:]]
        wide[1] = max(min(wide[1], width - wide[0] - sum(wide[2:]) - 3 * _GAP), len("router"))
    drawn = []
    for row in rows:
        cells = [_broken(cell, columns) for cell, columns in zip(row, wide, strict=True)]
        for hop, *others in zip_longest(*cells, fillvalue=""):
            texts = [f"{hop:>{wide[0]}}", *map(str.ljust, others, wide[1:])]
            drawn.append((" " * _GAP).join(texts).rstrip())
    return drawn + [line for said in ending(network) for line in _broken(safe(said, width=_SENTENCE), width)]


def _broken(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, break_on_hyphens=False)


def _row(hop: Hop, control: str) -> Row:
    beside = "" if hop.control is None or hop.control == control else f" ({_plainly(hop.control)})"
    return Row(
        str(hop.hop),
        hop.router or "?",
        _said(hop.port_answer, hop.port_lapse, expected=_PASSED),
        _said(hop.control_answer, hop.control_lapse, expected=_PASSED | _ends_trace(hop.control)) + beside,
    )


def _said(answer: Answer | None, lapse: float | None, *, expected: frozenset[Answer]) -> str:
    if answer is None:
        return "-"
    return round_trip(lapse) if answer in expected and lapse is not None else ANSWERS[answer]


def _ends_trace(control: str | None) -> frozenset[Answer]:
    """Give what the host itself is hoped to answer: only to UDP is "port unreachable" no refusal."""
    return frozenset({Answer.PORT_UNREACHABLE} if control == Protocol.UDP else ())


def _plainly(control: str) -> str:
    """Name a control as the mail port is named: `tcp/443` is `port 443`."""
    protocol, _, port = control.partition("/")
    return (f"port {port}" if protocol == Protocol.TCP and port else control)[:_CONTROL]


def _goes_on(last: Hop, hop: Hop) -> bool:
    """Tell whether a hop keeps the same silence as the one before it."""
    answers = (hop.port_answer, hop.control_answer)
    same = (last.port_answer, last.control_answer, last.control) == (*answers, hop.control)
    silent = last.router is None and hop.router is None and set(answers) <= {None, Answer.SILENT}
    return same and silent and hop.hop == last.hop + 1
