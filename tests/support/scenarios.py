"""Everything that can stand between us and a mail host, and what the report has to make of each.

Each row of `SCENARIOS` puts something in the way of the road of `tests.support.road` (client, three routers,
target; the canary hangs on the second router). The expectations were written by hand, from what each firewall
rule does to a packet, before the program could be run. They are held against real packets by
`tests/full/test_network.py`, and against the evidence of such runs by `tests/core/test_recorded_network.py`.
"""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from tests.support.road import ABSENT, CANARY, HOPS, NEAR, TARGET

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import EllipsisType

    from tests.support.road import Road

ALONE = ("--allow-private", "--helo", "probe.example.net")
OPTIONS = (*ALONE, "--canary", f"{CANARY}:25")
"""How the command is called in every scenario; an output and an address come to it."""
EXIT = {
    "sender-exists": 0,
    "inconclusive": 3,
    "firewall-timeout": 5,
    "unreachable": 6,
    "rfc-noncompliant": 7,
}
FAMILIES = (4, 6)

_ASKED = {"d.example": TARGET, "absent.example": ABSENT, "near.example": NEAR}
"""The address of the one mail host of each domain."""


class Expected(Struct, frozen=True):
    """What the report has to say; `...` leaves it open.

    `verdict` is "cause reason", or with the side, or with the side and the confidence. `reached` and `distance`
    are those of `network`, `named` the hops whose router stands in its table, `told_by` the hop of whoever
    answered the SYN with an ICMP error (0: the client itself), and `says` a pattern that the summary matches.
    """

    verdict: str
    reached: int | EllipsisType | None = ...
    distance: int | EllipsisType | None = ...
    named: tuple[int, ...] = ()
    told_by: int | None = None
    says: str = ""


class Scenario(Struct, frozen=True):
    """One row: what it is, what is in the way, what follows (over IPv6 too, unless `over_6` differs).

    `target` is what the mail host does on port 25 (nothing listens there for None), `proxy` what the second
    router does with connections that are redirected to it.
    """

    what: str
    obstacles: tuple[str, ...]
    expected: Expected
    over_6: Expected | None = None
    target: str | None = "*good"
    proxy: str | None = None
    domain: str = "d.example"
    options: tuple[str, ...] = ()

    @property
    def address(self) -> str:
        """Who is asked about."""
        return f"user@{self.domain}"

    def over(self, family: int) -> Expected:
        """Give what follows over one family."""
        return self.over_6 if family == 6 and self.over_6 else self.expected

    def disagreements(self, family: int, report: dict[str, Any], client: str) -> Iterator[str]:
        """Say where the report of a client is not what is expected."""
        way = (client, *HOPS[family])
        return disagreements(self.over(family), report, _ASKED[self.domain][family], way)


def between(here: str, there: str) -> str:
    """Give the pattern of a sentence that names the two ends of a place; each may have its address behind it."""
    return rf"between {here}\b.* and {there}\b"


def to_target(host: str, kind: str) -> tuple[str, ...]:
    """Give a route of some kind to the target, over both families."""
    return tuple(f"{host} route: {kind} {ip}" for ip in TARGET.values())


def no_icmp(*hosts: str) -> tuple[str, ...]:
    """Let routers be silent about packets that they drop."""
    errors = "{ destination-unreachable, time-exceeded }"
    return tuple(f"{host} output: {icmp} type {errors} drop" for host in hosts for icmp in ("icmp", "icmpv6"))


DROP = "tcp dport 25 drop"
RESET = "tcp dport 25 reject with tcp reset"
PROHIBIT = "tcp dport 25 reject with icmpx type admin-prohibited"
LONG_EHLO = "S: 220 mail.example ESMTP\nC: EHLO\nS> {}250 SIZE\\r\\n\n*good".format(
    "".join(rf"250-X-KEYWORD-{number} {'x' * 60}\r\n" for number in range(60))
)
"""A server whose reply to EHLO fills three segments and begins a fourth."""
FIXUP = f"S: 220 {'*' * 40}\n*reply EHLO 502 5.5.2 Command not recognised\n*good"
"""A server behind (or in) a firewall that masks the greeting and knows HELO only."""

ACCEPTED = Expected("sender-exists rcpt.accepted")
FAR_END = Expected(
    "firewall-timeout connect.port-filtered theirs probable", 3, 4, (3,), says=r"hop 3\b.*accept queue"
)
NOTHING_ANSWERS = Expected(
    "firewall-timeout connect.host-silent unknown probable", 3, None, (3,), says=r"hop 3\b"
)
BLACK_HOLE = Expected("firewall-timeout connect.host-silent unknown probable", 2, None, (2,), says=r"hop 2\b")
EGRESS = Expected(
    "firewall-timeout connect.egress-filtered ours certain", 1, 4, (1, 2), says=between("hop 1", "hop 2")
)
REJECTED_HERE = Expected("inconclusive connect.own-firewall ours certain", told_by=0)
NET_UNREACHABLE = Expected(
    "unreachable connect.net-unreachable path certain", named=(3,), told_by=3, says=r"hop 3\b"
)
HOST_UNREACHABLE = Expected(
    "unreachable connect.host-unreachable theirs certain", named=(3,), told_by=3, says=r"hop 3\b"
)
# That the peer's TCP is alive tells a slow server, and whoever eats its data, from a dead path; not from each other.
NO_BANNER = Expected("firewall-timeout banner.timeout path probable", says=r"its TCP answers")
INTERCEPTED = Expected(
    "inconclusive connect.intercepted path probable", distance=4, says=r"hop 2\b.*\bhop 4\b"
)

SCENARIOS = {
    # --- nothing is wrong, or nothing that matters
    "open": Scenario("Nothing is in the way.", (), ACCEPTED),
    "noicmp_open": Scenario("No router sends ICMP errors.", no_icmp("r1", "r2", "r3"), ACCEPTED),
    "pmtu_ok": Scenario(
        "The reply to EHLO does not fit the link from hop 3 to hop 2, which says so.",
        ("r3 mtu: r2 1400",),
        ACCEPTED,
        target=LONG_EHLO,
    ),
    "loss30": Scenario(
        # Not drawn by lot, and no bare ACK: where that of the handshake is lost, the greeting may take half a minute.
        "Of ten SYNs and segments with data each way three are lost, the first SYN among them.",
        tuple(
            f'r2 forward: iifname "{end}" tcp flags & (syn | psh) != 0'
            " numgen inc mod 10 vmap { 0 : drop, 3 : drop, 6 : drop }"
            for end in ("r1", "r3")
        ),
        ACCEPTED,
    ),
    "v6_broken": Scenario(
        "Hop 3 loses whatever goes to the target over IPv6.",
        (f"r3 route: blackhole {TARGET[6]}",),
        ACCEPTED,
        BLACK_HOLE,
    ),
    # --- silence: at the target
    "t_drop": Scenario("The target drops what comes to port 25.", (f"target input: {DROP}",), FAR_END),
    "t_drop_most": Scenario(
        "The target drops what comes to any TCP port but 443.",
        ("target input: tcp dport != 443 tcp flags & (syn | ack) == syn drop",),
        FAR_END,
    ),
    "t_drop_all": Scenario("The target drops everything.", ("target input: drop",), NOTHING_ANSWERS),
    "r3_drop": Scenario("The last router drops what goes to port 25.", (f"r3 forward: {DROP}",), FAR_END),
    "silent_r2_drop_t": Scenario(
        "The target drops what comes to port 25, and hop 2 sends no ICMP errors.",
        (f"target input: {DROP}", *no_icmp("r2")),
        FAR_END,
    ),
    # --- silence: on the way
    "r2_drop": Scenario(
        "Hop 2 drops what goes to port 25, also of the canary.",
        (f"r2 forward: {DROP}",),
        Expected(
            "firewall-timeout connect.port-filtered path certain",
            reached=2,
            distance=4,
            named=(2, 3),
            says=between("hop 2", "hop 3"),
        ),
    ),
    "r2_drop_return": Scenario(
        "Hop 2 drops what comes back from port 25, also of the canary.",
        ("r2 forward: tcp sport 25 drop",),
        Expected(
            "firewall-timeout connect.port-filtered unknown uncertain",
            reached=3,
            distance=4,
            named=(3,),
            says=r"hop 3\b.*cannot be told apart",
        ),
    ),
    "noicmp_r2_drop": Scenario(
        "Hop 2 drops what goes to port 25, and no router sends ICMP errors.",
        (f"r2 forward: {DROP}", *no_icmp("r1", "r2", "r3")),
        Expected(
            "firewall-timeout connect.port-filtered path uncertain",
            reached=None,
            distance=4,
            says=r"place is not known",
        ),
    ),
    "r3_blackhole": Scenario(
        "Hop 3 loses whatever goes to the target, and says nothing.", to_target("r3", "blackhole"), BLACK_HOLE
    ),
    # --- silence: close to us
    "r2_drop_ingress": Scenario(
        "Hop 2 drops what comes in for port 25.", (f"r2 prerouting: {DROP}",), EGRESS
    ),
    "r1_drop": Scenario("Hop 1 drops what goes to port 25.", (f"r1 forward: {DROP}",), EGRESS),
    "r1_drop_ingress": Scenario(
        "Hop 1 drops what comes in for port 25.",
        (f"r1 prerouting: {DROP}",),
        Expected(
            "firewall-timeout connect.egress-filtered ours certain",
            reached=0,
            distance=4,
            named=(1,),
            says=between("this host", "hop 1"),
        ),
    ),
    "silent_r2_drop_r2": Scenario(
        "Hop 2 drops what goes to port 25, and sends no ICMP errors.",
        (f"r2 forward: {DROP}", *no_icmp("r2")),
        Expected(
            "firewall-timeout connect.egress-filtered ours probable",
            reached=1,
            distance=4,
            named=(1, 3),
            says=between("hop 1", "hop 3"),
        ),
    ),
    # --- refusals
    "rst": Scenario(
        "Nothing listens on port 25.",
        (),
        Expected("unreachable connect.refused theirs certain", distance=4),
        target=None,
    ),
    "r2_rst": Scenario(
        "Hop 2 resets the connection in the name of the target.",
        (f"r2 forward: {RESET}",),
        Expected(
            "unreachable connect.refused-by-middlebox path probable",
            distance=4,
            named=(2,),
            says=between("hop 2", "hop 3"),
        ),
    ),
    "r2_portunreach": Scenario(
        "Hop 2 answers that the port is unreachable.",
        ("r2 forward: tcp dport 25 reject with icmpx type port-unreachable",),
        Expected(
            "unreachable connect.refused-by-middlebox path certain", named=(2,), told_by=2, says=r"hop 2\b"
        ),
    ),
    "r1_adminprohib": Scenario(
        "Hop 1 answers that it is prohibited.",
        (f"r1 forward: {PROHIBIT}",),
        Expected("unreachable connect.prohibited path certain", named=(1,), told_by=1, says=r"hop 1\b"),
    ),
    "r2_adminprohib": Scenario(
        "Hop 2 answers that it is prohibited.",
        (f"r2 forward: {PROHIBIT}",),
        Expected("unreachable connect.prohibited path certain", named=(2,), told_by=2, says=r"hop 2\b"),
    ),
    "r2_hostunreach": Scenario(
        "Hop 2 answers for port 25, and no other, that the host is unreachable: a filter that pretends.",
        ("r2 forward: tcp dport 25 reject with icmpx type host-unreachable",),
        Expected("unreachable connect.prohibited path certain", named=(2,), told_by=2, says=r"hop 2\b"),
    ),
    "t_adminprohib": Scenario(
        "The target itself answers that it is prohibited.",
        (f"target input: {PROHIBIT}",),
        Expected("unreachable connect.prohibited theirs certain", told_by=4, says=r"itself"),
    ),
    "r3_unreachable": Scenario(
        # IPv6 has no such route: what Linux calls one answers "no route" (RFC 4443 3.1, code 0).
        "Hop 3 has a route that says the target is unreachable.",
        to_target("r3", "unreachable"),
        HOST_UNREACHABLE,
        NET_UNREACHABLE,
    ),
    "r3_prohibit": Scenario(
        "Hop 3 has a route that says the target is prohibited.",
        to_target("r3", "prohibit"),
        Expected("unreachable connect.prohibited path certain", named=(3,), told_by=3, says=r"hop 3\b"),
    ),
    "r3_noroute": Scenario("Hop 3 has no route to the target.", to_target("r3", "throw"), NET_UNREACHABLE),
    "t_down": Scenario(
        "The target is down: hop 3 asks for it by ARP or ND for three seconds, then says so.",
        (),
        HOST_UNREACHABLE,
        domain="absent.example",
    ),
    "loop": Scenario(
        "Hop 2 sends what goes to the target back to hop 1.",
        (f"r2 route: {TARGET[4]} via 192.0.2.1", f"r2 route: {TARGET[6]} via 2001:db8:12::1"),
        Expected("unreachable connect.routing-loop path certain", named=(1, 2)),
    ),
    # --- this host itself
    "c_onlink_noarp": Scenario(
        "The target would be on our own link, and does not answer ARP or ND.",
        (),
        Expected("unreachable connect.own-link ours certain", told_by=0),
        domain="near.example",
    ),
    "c_noroute": Scenario(
        "This host has no route to the target.",
        to_target("client", "throw"),
        Expected("inconclusive connect.no-route ours certain"),
    ),
    "c_out_drop": Scenario(
        "The firewall of this host drops it on its way out.",
        (f"client output: {DROP}",),
        Expected("inconclusive connect.own-firewall ours certain"),
    ),
    "c_out_reject": Scenario(
        "The firewall of this host rejects it (port unreachable).",
        ("client output: tcp dport 25 reject with icmpx type port-unreachable",),
        REJECTED_HERE,
    ),
    "c_out_reject_admin": Scenario(
        "The firewall of this host rejects it (prohibited).",
        (f"client output: {PROHIBIT}",),
        REJECTED_HERE,
    ),
    "c_out_reject_rst": Scenario(
        # The first router could do the same at its door, so the confidence is left open.
        "The firewall of this host resets it.",
        (f"client output: {RESET}",),
        Expected("inconclusive connect.own-firewall ours"),
    ),
    # --- it connects, and then
    "nobanner": Scenario(
        "The target takes the connection and says nothing.",
        (),
        NO_BANNER,
        target="*silence",
        options=("--reply-timeout", "4"),
    ),
    "dpi_eats_data": Scenario(
        "Hop 2 drops every packet from port 25 that carries data.",
        ("r2 forward: tcp sport 25 tcp flags & psh == psh drop",),
        NO_BANNER,
        options=("--reply-timeout", "4"),
    ),
    "dead_after_handshake": Scenario(
        "Hop 2 lets the three packets of the handshake pass and drops everything after.",
        (
            "r2 forward: tcp sport 25 tcp flags & syn == 0 drop",
            "r2 forward: tcp dport 25 tcp flags & syn == 0 ct mark 1 drop",
            "r2 forward: tcp dport 25 tcp flags & syn == 0 ct mark set 1",
        ),
        Expected("firewall-timeout banner.path-dead path probable"),
        options=("--reply-timeout", "8"),
    ),
    "accept_rst": Scenario(
        "The target takes the connection and resets it.",
        (),
        Expected("rfc-noncompliant banner.reset theirs"),
        target="*reset",
    ),
    "accept_close": Scenario(
        "The target takes the connection and closes it.",
        (),
        Expected("rfc-noncompliant banner.closed theirs"),
        target="*close",
    ),
    "fixup": Scenario("A firewall at the target rewrites the dialogue.", (), ACCEPTED, target=FIXUP),
    "pmtu_bh": Scenario(
        "The reply to EHLO does not fit the link from hop 3 to hop 2, and nobody is told.",
        (
            "r3 mtu: r2 1400",
            "r3 output: icmp type destination-unreachable drop",
            "r3 output: icmpv6 type packet-too-big drop",
        ),
        Expected("firewall-timeout reply.pmtu-blackhole path certain"),
        target=LONG_EHLO,
        options=("--reply-timeout", "6"),
    ),
    # --- somebody else answers
    "r2_proxy": Scenario(
        "Hop 2 turns port 25 to a mail server of its own.",
        ("r2 redirect: tcp dport 25 redirect",),
        INTERCEPTED,
        proxy="*good",
    ),
    "r2_proxy_fixup": Scenario(
        "Hop 2 turns port 25 to a proxy that masks the greeting.",
        ("r2 redirect: tcp dport 25 redirect",),
        INTERCEPTED,
        proxy=FIXUP,
    ),
    "r2_proxy_nobanner": Scenario(
        "Hop 2 turns port 25 to something that says nothing.",
        ("r2 redirect: tcp dport 25 redirect",),
        Expected("firewall-timeout banner.intercepted path probable", distance=4, says=r"hop 2\b"),
        proxy="*silence",
        options=("--reply-timeout", "4"),
    ),
}


@contextlib.contextmanager
def played(road: Road, scenario: Scenario) -> Iterator[None]:
    """Let everybody on the road do what the scenario says."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(road.serving("other", "*good"))
        if scenario.target is not None:
            stack.enter_context(road.serving("target", scenario.target))
        if scenario.proxy is not None:
            stack.enter_context(road.serving("r2", scenario.proxy))
        stack.enter_context(road.obstructed(*scenario.obstacles))
        yield


def verdict(report: dict[str, Any]) -> list[str]:
    """Give what an expected verdict may name."""
    return [report[key] for key in ("cause", "reason", "side", "confidence")]


def disagreements(expected: Expected, report: dict[str, Any], ip: str, way: tuple[str, ...]) -> Iterator[str]:
    """Say, one by one, where a report is not what is expected; `way` are the addresses of hop 0, 1, 2 ..."""
    wanted = expected.verdict.split()
    if verdict(report)[: len(wanted)] != wanted:
        yield f"{' '.join(verdict(report))}, not {expected.verdict}"
    if not re.search(expected.says, report["summary"]):
        yield f"the summary does not match {expected.says!r}: {report['summary']}"
    host = next(host for host in report["hosts"] if host["ip"] == ip)
    if (host["cause"], host["reason"]) != (report["cause"], report["reason"]):
        yield f"of the host: {host['cause']} {host['reason']}"
    yield from _wrong_place(expected, host["network"] or {}, way)
    if expected.told_by is not None:
        seen = next(host for host in report["evidence"]["hosts"] if host["ip"] == ip)
        senders = [notice["sender"] for notice in seen["sessions"][0]["connect"]["notices"]]
        if way[expected.told_by] not in senders:
            yield f"ICMP errors came from {senders}, not from {way[expected.told_by]}"


def _wrong_place(expected: Expected, network: dict[str, Any], way: tuple[str, ...]) -> Iterator[str]:
    for key in ("reached", "distance"):
        wanted = getattr(expected, key)
        if wanted is not ... and network.get(key, ...) != wanted:
            yield f"{key} is {network.get(key, 'not said')}, not {wanted}"
    routers = {hop["hop"]: hop["router"] for hop in network.get("hops", ())}
    for hop in expected.named:
        if routers.get(hop) != way[hop]:
            yield f"at hop {hop} stands {routers.get(hop)}, not {way[hop]}"
