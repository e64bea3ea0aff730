"""The path search against simulated paths, in virtual time: what it sends, and what can be told from it."""

from __future__ import annotations

import heapq
import random
from collections import Counter
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct
from msgspec.structs import replace

from probe.core.answers import estimate
from probe.core.model import Answer, Notice, NoticeOrigin, PathProbe, Protocol
from probe.core.packets import BURST, MAX_OPEN, MAX_OPENED, MAX_PACKETS, PACE, PER_ROUTER
from probe.core.search import Aim, Search, Wanted, plan
from tests.support.every import every

HOST = "203.0.113.25"
PORT = 25
BEGAN = 1.0
VERDICT = 3.4
PROHIBITED = Notice(0.0, NoticeOrigin.ICMP, 3, 13, "192.0.2.2")
EXPIRED = Notice(0.0, NoticeOrigin.ICMP, 11, 0, "192.0.2.1")
NONE: frozenset[int] = frozenset()
SUMMARY = {Answer.TIME_EXCEEDED: "te", Answer.SILENT: "-", Answer.CONNECTED: "open", Answer.RESET: "rst"}


def router(hop: int) -> str:
    return f"192.0.2.{hop}"


class Path(Struct, frozen=True, kw_only=True):
    """A path: `hops` to the host, `lapse` seconds of round trip for each of them.

    `drops` and `resets` are the routers that do so to the mail port when they forward, `proxy` the one that
    answers it, `rejects` the one that sends back an ICMP error (for every port with `rejects_all`).
    """

    hops: int = 4
    lapse: float = 0.01
    back: int | None = None
    mute: frozenset[int] = frozenset()
    drops: int | None = None
    resets: int | None = None
    proxy: int | None = None
    rejects: int | None = None
    rejects_all: bool = False
    loop: bool = False
    mail: Answer = Answer.CONNECTED
    open: frozenset[int] = frozenset({443})
    closed: frozenset[int] = frozenset({587})
    udp: bool = True
    ping: bool = True
    loss: float = 0.0

    def answer(self, wanted: Wanted) -> tuple[Answer, str, int | None, float] | None:
        """Answer, sender, hop limit of the answer as it arrives, and lapse; None for silence."""
        ttl = wanted.ttl or 64
        mail = wanted.protocol is Protocol.TCP and wanted.port == PORT
        for hop in range(1, self.hops):
            if mail and self.proxy == hop:
                return Answer.CONNECTED, HOST, None, hop * self.lapse
            if ttl == hop:
                return self._expired(router(hop), hop)
            if mail and self.drops == hop:
                return None
            if mail and self.resets == hop:
                return Answer.RESET, HOST, None, hop * self.lapse
            if self.rejects == hop and (mail or self.rejects_all):
                return Answer.PROHIBITED, router(hop), 65 - hop, hop * self.lapse
            if self.loop and hop == 2:
                last = ttl % 2 or 2
                return self._expired(router(last), ttl)
        return self._host(wanted, mail)

    def _expired(self, sender: str, hop: int) -> tuple[Answer, str, int | None, float] | None:
        if hop in self.mute or 0 in self.mute:
            return None
        return Answer.TIME_EXCEEDED, sender, 65 - hop, hop * self.lapse

    def _host(self, wanted: Wanted, mail: bool) -> tuple[Answer, str, int | None, float] | None:
        arrived = 65 - (self.back or self.hops)
        lapse = self.hops * self.lapse
        if wanted.protocol is Protocol.TCP:
            answer = self.mail
            if not mail:
                shut = Answer.RESET if wanted.port in self.closed else Answer.SILENT
                answer = Answer.CONNECTED if wanted.port in self.open else shut
            return None if answer is Answer.SILENT else (answer, HOST, None, lapse)
        if wanted.protocol is Protocol.ICMP:
            return (Answer.ECHO, HOST, arrived, lapse) if self.ping else None
        return (Answer.PORT_UNREACHABLE, HOST, arrived, lapse) if self.udp else None


class Outcome(Struct, frozen=True):
    """What a simulated search sent, and when it was over."""

    probes: tuple[PathProbe, ...]
    ended: float
    wire: int
    last_sent: float

    def on(self, port: int | None, *, protocol: Protocol = Protocol.TCP) -> dict[int, str]:
        """Hop limit -> what came back in the end, of TCP to `port`, or of UDP to any."""
        found: dict[int, str] = {}
        for probe in self.probes:
            if probe.protocol is protocol and probe.ttl and (port is None or probe.port == port):
                word = SUMMARY.get(probe.answer, probe.answer.value)
                if found.get(probe.ttl, "-") == "-":
                    found[probe.ttl] = word
        return dict(sorted(found.items()))

    @property
    def udp(self) -> dict[int, str]:
        return self.on(None, protocol=Protocol.UDP)

    @property
    def full(self) -> list[str]:
        """The packets with a full hop limit, in the order sent."""
        return [f"{p.protocol}/{p.port}" for p in self.probes if p.ttl is None]


class Simulation:
    """A driver without sockets: virtual time, one path, and the kernel's repetitions of a silent SYN."""

    def __init__(self, search: Search, path: Path, seed: int = 0) -> None:
        self.search, self.path, self.now = search, path, search.started
        self.probes: list[PathProbe] = []
        self.closed: set[int] = set()
        self.wire = 0
        self.last_sent = search.started
        self.steps = 0
        self._order = count()
        self._events: list[tuple[float, int, int, PathProbe | None]] = []
        self._random = random.Random(seed)  # noqa: S311 - a loss that can be repeated

    def run(self, until: float = 60.0) -> Outcome:
        while True:
            self.steps += 1
            assert self.steps < 3000
            step = plan(self.search, tuple(self.probes), self.now)
            self.closed.update(step.close)
            for wanted in step.send:
                self._send(wanted)
            waiting = sum(
                p.answer is Answer.SILENT and i not in self.closed for i, p in enumerate(self.probes)
            )
            assert waiting <= MAX_OPEN
            if step.done:
                return self._outcome()
            assert step.wake is None or step.wake > self.now or step.send
            ahead = [t for t in (step.wake, self._events[0][0] if self._events else None) if t is not None]
            if not ahead or min(ahead) > until:
                return self._outcome()
            self.now = max(self.now, min(ahead))
            self._deliver()

    def _outcome(self) -> Outcome:
        return Outcome(tuple(self.probes), self.now, self.wire, self.last_sent)

    def _send(self, wanted: Wanted) -> None:
        self.probes.append(
            PathProbe(wanted.protocol, wanted.port, wanted.ttl, self.now, self.now, Answer.SILENT)
        )
        self.last_sent = self.now
        index = len(self.probes) - 1
        # Linux repeats a SYN after 1, 2, 3 and 4 s (tcp_syn_linear_timeouts).
        for again in range(5 if wanted.protocol is Protocol.TCP else 1):
            heapq.heappush(self._events, (self.now + again, next(self._order), index, None))
        self._deliver()

    def _deliver(self) -> None:
        while self._events and self._events[0][0] <= self.now:
            t, _, index, answered = heapq.heappop(self._events)
            if index in self.closed or self.probes[index].answer is not Answer.SILENT:
                continue
            if answered is not None:
                self.probes[index] = answered
                self.wire += 2 * (answered.answer is Answer.CONNECTED)  # ACK and RST
                continue
            self.wire += 1
            probe = self.probes[index]
            reply = self.path.answer(Wanted(probe.protocol, probe.port, probe.ttl))
            if reply is None or self._random.random() < self.path.loss:
                continue
            answer, sender, arrived, lapse = reply
            done = replace(
                probe, ended=probe.sent + lapse + t - probe.sent, answer=answer, sender=sender,
                arrived_ttl=arrived,
            )  # fmt: skip
            heapq.heappush(self._events, (t + lapse, next(self._order), index, done))


def search(aim: Aim, path: Path, **more: object) -> Search:
    trip = path.hops * path.lapse
    known = aim is not Aim.SILENT
    made = Search(ip=HOST, port=PORT, aim=aim, started=BEGAN, rtt=trip if known else None)
    return replace(made, **more)


def run(aim: Aim, path: Path, *, seed: int = 0, until: float = VERDICT, **more: object) -> Outcome:
    outcome = Simulation(search(aim, path, **more), path, seed).run(until)
    spent = Counter(p.ttl for p in outcome.probes if p.ttl is not None)
    assert all(packets <= PER_ROUTER for packets in spent.values())
    assert len(outcome.probes) <= MAX_PACKETS
    return outcome


def distance(outcome: Outcome) -> int | None:
    found = [
        p.ttl
        for p in outcome.probes
        if p.ttl and p.port != PORT and p.sender == HOST and p.answer is not Answer.SILENT
    ]
    return min(found, default=None)


# --- silence ---------------------------------------------------------------------------------------


@every(
    ("hops", "where"),
    [
        (hops, where)
        for hops in (1, 2, 3, 4, 6, 7, 12, 20, 28)
        for where in (1, 2, 3, 6, 11, 19, None)
        if where is None or where < hops
    ],
)
@every("udp", [True, False])
def test_the_place_of_a_drop(hops: int, where: int | None, udp: bool) -> None:
    """Every hop up to the drop answers on the port, and the next one answers a control."""
    path = Path(hops=hops, drops=where, mail=Answer.SILENT, udp=udp, ping=udp, lapse=0.08 / hops)
    outcome = run(Aim.SILENT, path)
    last = hops - 1 if where is None else where
    mail = outcome.on(PORT)
    assert [ttl for ttl, word in mail.items() if word == "te"][-1:] == [last][: last > 0]
    beyond = {**outcome.on(443), **{t: w for t, w in outcome.udp.items() if w != "-"}}.get(last + 1)
    assert beyond == ("te" if last + 1 < hops else "port-unreachable" if udp else "open")
    assert mail[last + 1] == "-"
    if udp or hops - last <= 6:
        assert distance(outcome) in {hops, None}
    assert outcome.last_sent < (2.1 if udp else 2.4)  # in time for --fast, or nearly
    if hops == 4:
        assert outcome.wire <= 36  # with the four SYNs of the callout at most 40


def test_what_a_drop_at_the_host_costs() -> None:
    outcome = run(Aim.SILENT, Path(mail=Answer.SILENT))
    assert outcome.on(PORT) == {1: "te", 2: "te", 3: "te", 4: "-", 5: "-", 6: "-"}
    assert outcome.udp == {1: "te", 2: "te", 3: "te", 4: "port-unreachable"}
    assert outcome.full == ["udp/33434", "tcp/443", "tcp/587", "tcp/80"]
    assert len(outcome.probes) == 14


def test_thirty_hops_in_a_round_trip_and_50_ms() -> None:
    path = Path(hops=28, lapse=0.005, mail=Answer.SILENT)
    outcome = run(Aim.SILENT, path)
    trace = [p for p in outcome.probes if p.port == PORT and p.ttl and p.ttl <= 28]
    told = next(p.ended for p in outcome.probes if p.ttl is None and p.answer is not Answer.SILENT)
    assert max(p.sent for p in trace) - told < 0.05
    assert max(p.ended for p in trace) - told < 28 * 0.005 + 0.05


def test_bursts_are_paced() -> None:
    outcome = run(Aim.SILENT, Path(hops=25, mail=Answer.SILENT))
    times = [p.sent for p in outcome.probes]
    assert all(sum(t <= other < t + PACE * 0.99 for other in times) <= BURST for t in times)


def test_a_host_that_answers_nothing_at_all() -> None:
    path = Path(mail=Answer.SILENT, open=NONE, closed=NONE, udp=False, ping=False)
    outcome = run(Aim.SILENT, path)
    assert outcome.on(PORT) == {1: "te", 2: "te", 3: "te", 4: "-", 5: "-", 6: "-", 7: "-"}
    assert outcome.udp == {2: "te", 3: "te", 4: "-", 5: "-", 6: "-", 7: "-"}
    assert outcome.wire <= 36


def test_no_router_answers() -> None:
    """The distance comes from the control port alone; nothing tells the place."""
    outcome = run(Aim.SILENT, Path(mute=frozenset({0}), drops=2, udp=False, ping=False))
    assert outcome.on(443) == {1: "-", 2: "-", 3: "-", 4: "open", 5: "open", 6: "open"}
    assert set(outcome.on(PORT).values()) | set(outcome.udp.values()) == {"-"}
    far = run(Aim.SILENT, Path(hops=15, mute=frozenset({0}), drops=2, udp=False, ping=False))
    assert distance(far) == 15
    assert set(far.on(PORT)) == {1, 2, 3, 4, 5, 15, 16, 17}


def test_no_icmp_at_all_and_nobody_there() -> None:
    path = Path(mute=frozenset({0}), mail=Answer.SILENT, open=NONE, closed=NONE, udp=False)
    outcome = run(Aim.SILENT, path)
    assert len(outcome.probes) <= 14
    assert outcome.wire <= 30


@pytest.mark.parametrize("mute", [{1}, {2}, {3}, {1, 2}, {2, 3}])
@pytest.mark.parametrize("drops", [1, 2, 3, None])
def test_routers_that_never_answer(mute: set[int], drops: int | None) -> None:
    """A silent hop is bridged: the next one that answers a control is found, and the silent one asked again."""
    path = Path(hops=6, mute=frozenset(mute), drops=drops, mail=Answer.SILENT)
    outcome = run(Aim.SILENT, path)
    last = max([n for n in range(1, (drops or 5) + 1) if n not in mute], default=0)
    assert max([ttl for ttl, word in outcome.on(PORT).items() if word == "te"], default=0) == last
    assert outcome.udp == {
        n: "port-unreachable" if n == 6 else "-" if n in mute else "te" for n in range(1, 7)
    }


def test_first_hops_that_are_known_are_spared() -> None:
    path = Path(hops=10, mail=Answer.SILENT)
    outcome = run(Aim.SILENT, path, first_hops=frozenset({1, 2, 3}))
    assert min(outcome.on(PORT)) == 4
    near = run(Aim.SILENT, replace(path, drops=2), first_hops=frozenset({1, 2, 3}))
    assert near.on(PORT)[2] == "te"
    assert near.on(PORT)[3] == "-"
    assert near.udp[3] == "te"


@every("seed", range(40))
def test_single_losses_do_not_move_the_place(seed: int) -> None:
    """With one packet in seven lost the edge is asked again, and is one hop off at most rarely."""
    path = Path(hops=6, drops=3, loss=0.15)
    outcome = run(Aim.SILENT, path, seed=seed)
    mail, udp = outcome.on(PORT), outcome.udp
    assert max(ttl for ttl, word in mail.items() if word == "te") in {2, 3}
    assert "te" in {udp.get(4), udp.get(5), outcome.on(443).get(4), outcome.on(443).get(5)}


def test_the_place_survives_loss_mostly() -> None:
    right = 0
    for seed in range(100):
        outcome = run(Aim.SILENT, Path(hops=6, drops=3, loss=0.15), seed=seed)
        mail = outcome.on(PORT)
        right += max(ttl for ttl, word in mail.items() if word == "te") == 3 and outcome.udp.get(4) == "te"
    assert right >= 97


@pytest.mark.parametrize("answer", [Answer.CONNECTED, Answer.RESET])
def test_an_answer_on_the_port_ends_the_search(answer: Answer) -> None:
    outcome = run(Aim.SILENT, Path(mail=answer), until=60.0)
    assert outcome.ended < 1.2
    assert "open" in outcome.on(PORT).values() or "rst" in outcome.on(PORT).values()


@pytest.mark.parametrize("back", [2, 3, 5, 9])
def test_a_way_back_of_another_length(back: int) -> None:
    outcome = run(Aim.SILENT, Path(hops=6, back=back, mail=Answer.SILENT, lapse=0.001))
    assert distance(outcome) == 6
    assert outcome.on(PORT)[5] == "te"
    assert outcome.on(PORT)[6] == "-"


def test_silent_connects_are_closed_before_the_kernel_repeats_them() -> None:
    path = Path(hops=12, drops=2, mail=Answer.SILENT)
    simulation = Simulation(search(Aim.SILENT, path), path)
    simulation.run(until=2.5)
    silent = {
        p.ttl: index
        for index, p in reversed([*enumerate(simulation.probes)])
        if p.port == PORT and p.ttl and p.answer is Answer.SILENT
    }
    assert {ttl for ttl, index in silent.items() if index not in simulation.closed} == {12, 13, 14}


def test_without_icmp_errors_only_the_control_ports_are_asked() -> None:
    outcome = run(Aim.SILENT, Path(mail=Answer.SILENT), icmp_errors=False)
    assert outcome.full == ["tcp/443", "tcp/587", "tcp/80"]
    assert len(outcome.probes) == 3


def test_the_port_itself_is_no_control() -> None:
    path = Path(mail=Answer.SILENT)
    outcome = Simulation(replace(search(Aim.SILENT, path), port=587, ping=True), path).run(VERDICT)
    assert outcome.full == ["udp/33434", "icmp/None", "tcp/443", "tcp/80"]


# --- a refusal -------------------------------------------------------------------------------------


def test_refused_by_the_host() -> None:
    outcome = run(Aim.REFUSED, Path(mail=Answer.RESET))
    assert outcome.on(PORT) == {3: "te"}
    assert outcome.full == ["udp/33434"]
    assert outcome.ended < 1.2


@pytest.mark.parametrize("hops", [2, 4, 9, 16])
@pytest.mark.parametrize("back", [0, 1, 2])
def test_refused_by_the_host_while_the_distance_looks_longer(hops: int, back: int) -> None:
    """The host itself answers UDP with the hop limit that its RST takes: nothing is nearer."""
    outcome = run(Aim.REFUSED, Path(hops=hops, back=hops + back, mail=Answer.RESET))
    nearest = min([ttl for ttl, word in outcome.on(PORT).items() if word == "rst"], default=None)
    assert nearest in {None, hops}
    if nearest is not None:
        assert outcome.udp[hops] == "port-unreachable"


@pytest.mark.parametrize("udp", [True, False])
@pytest.mark.parametrize(("hops", "where"), [(3, 1), (4, 1), (4, 2), (9, 1), (9, 7), (16, 2), (16, 7)])
def test_a_forged_reset(hops: int, where: int, udp: bool) -> None:
    outcome = run(Aim.REFUSED, Path(hops=hops, resets=where, udp=udp, lapse=0.002))
    mail = outcome.on(PORT)
    assert min(ttl for ttl, word in mail.items() if word == "rst") == where + 1
    assert mail[where] == "te"
    assert outcome.udp[where + 1] == "te"
    assert outcome.ended < BEGAN + 1.5


def test_a_reset_forged_by_the_last_router_looks_like_the_host() -> None:
    outcome = run(Aim.REFUSED, Path(resets=3))
    assert outcome.on(PORT) == {3: "te"}


def test_refused_next_door() -> None:
    outcome = run(Aim.REFUSED, Path(hops=1, mail=Answer.RESET))
    assert len(outcome.probes) == 1


@pytest.mark.parametrize("where", [1, 2, 3])
def test_the_hop_of_a_router_that_rejects(where: int) -> None:
    path = Path(hops=5, rejects=where)
    notice = replace(PROHIBITED, sender=router(where))
    outcome = run(Aim.REJECTED, path, notice=notice)
    assert outcome.on(PORT)[where] == "te"
    assert max(outcome.on(PORT)) <= where + 1
    assert "tcp/443" in outcome.full
    assert "udp/33434" in outcome.full  # the host answers it: only the mail port is shut
    assert outcome.ended < BEGAN + 1.0


def test_a_router_that_rejects_everything_is_asked_little() -> None:
    path = Path(hops=5, rejects=3, rejects_all=True)
    outcome = run(Aim.REJECTED, path, notice=replace(PROHIBITED, sender=router(3)))
    assert outcome.on(PORT)[3] == "te"
    loud = [p for p in outcome.probes if p.answer is Answer.PROHIBITED]
    assert len(loud) <= 2


def test_a_router_without_a_route_is_found_by_the_hop_limit_of_its_errors() -> None:
    """It refuses before it looks at the hop limit, and soon has no error left: no "time exceeded" names it."""

    class NoRoute(Path, frozen=True, kw_only=True):
        def answer(self, wanted: Wanted) -> tuple[Answer, str, int | None, float] | None:
            if (wanted.ttl or 64) < 9:
                return super().answer(wanted)
            return None if wanted.ttl else (Answer.HOST_UNREACHABLE, router(9), 56, 0.09)

    outcome = run(Aim.REJECTED, NoRoute(hops=20), notice=replace(PROHIBITED, sender=router(9)))
    assert outcome.on(PORT) == {1: "te", 2: "te", 8: "te", 9: "-"}
    assert outcome.full == ["tcp/443"]


def test_the_host_rejects() -> None:
    path = Path(mail=Answer.PROHIBITED)
    outcome = run(Aim.REJECTED, path, notice=replace(PROHIBITED, sender=HOST))
    mail = outcome.on(PORT)
    assert [mail[ttl] for ttl in (1, 2, 3, 4)] == ["te", "te", "te", "prohibited"]
    assert len(mail) <= 5  # two at a time: one may be on its way


def test_a_routing_loop_stops_when_two_routers_came_again() -> None:
    outcome = run(Aim.REJECTED, Path(loop=True, hops=9), notice=EXPIRED)
    assert set(outcome.on(PORT)) - {5} == {1, 2, 3, 4}


def test_a_rejection_behind_silent_routers_ends() -> None:
    path = Path(hops=20, mute=frozenset(range(1, 20)), rejects=15)
    outcome = run(Aim.REJECTED, path, notice=replace(PROHIBITED, sender=router(15)))
    assert len(outcome.on(PORT)) <= 5


# --- a connection ----------------------------------------------------------------------------------


@pytest.mark.parametrize("hops", [2, 4, 12])
def test_a_healthy_host_costs_three_packets(hops: int) -> None:
    outcome = run(Aim.CONNECTED, Path(hops=hops, lapse=0.001))
    assert outcome.on(PORT) == {hops - 1: "te"}
    assert len(outcome.probes) == 3


def test_a_healthy_host_that_answers_no_udp_costs_three_packets() -> None:
    outcome = run(Aim.CONNECTED, Path(hops=8, udp=False))
    assert outcome.on(PORT) == {3: "te"}
    assert len(outcome.probes) == 3


def test_a_healthy_host_behind_a_silent_router_costs_four_packets() -> None:
    assert len(run(Aim.CONNECTED, Path(mute=frozenset({3}))).probes) == 4


def test_a_healthy_host_next_door_costs_one_packet() -> None:
    assert len(run(Aim.CONNECTED, Path(hops=1)).probes) == 1


@pytest.mark.parametrize(
    ("hops", "where", "udp"),
    [(hops, where, True) for hops in (4, 9, 16) for where in (1, 2, 3, 7) if where < hops]
    + [(hops, where, False) for hops in (4, 9, 16) for where in (1, 2, 3)],
)
def test_a_transparent_proxy(hops: int, where: int, udp: bool) -> None:
    """Found where the distance is known, and without that when it is within three hops."""
    outcome = run(Aim.CONNECTED, Path(hops=hops, proxy=where, udp=udp, lapse=0.002))
    mail = outcome.on(PORT)
    assert min(ttl for ttl, word in mail.items() if word == "open") == where
    assert "te" in {word for ttl, word in outcome.udp.items() if ttl >= where}
    assert list(mail.values()).count("open") <= MAX_OPENED


def test_a_longer_way_back_is_no_proxy_and_opens_no_connection() -> None:
    outcome = run(Aim.CONNECTED, Path(hops=5, back=7))
    assert outcome.on(PORT) == {4: "te"}
    assert outcome.udp == {4: "te", 5: "port-unreachable", 6: "port-unreachable"}


def test_a_dead_conversation_asks_the_port_once_more() -> None:
    outcome = run(Aim.DIED, Path())
    assert outcome.full == ["tcp/25", "udp/33434"]
    assert outcome.on(PORT) == {3: "te"}


def test_a_dead_conversation_through_a_far_proxy_without_udp() -> None:
    outcome = run(Aim.DIED, Path(hops=12, proxy=6, udp=False, lapse=0.002))
    assert min(ttl for ttl, word in outcome.on(PORT).items() if word == "open") == 6
    assert outcome.udp[6] == "te"
    assert outcome.on(443) == {6: "te"}


def test_a_conversation_that_is_rejected_by_now() -> None:
    outcome = run(Aim.DIED, Path(hops=5, rejects=2))
    assert outcome.probes[0].answer is Answer.PROHIBITED
    assert outcome.on(PORT)[2] == "te"


def test_an_earlier_search_is_continued() -> None:
    path = Path()
    first = run(Aim.CONNECTED, path)
    simulation = Simulation(replace(search(Aim.DIED, path), started=9.0), path)
    simulation.probes = list(first.probes)
    assert simulation.run().full == ["udp/33434", "tcp/25"]


# --- anything --------------------------------------------------------------------------------------


class Chaos(Path, frozen=True, kw_only=True):
    """A path that answers anything."""

    dice: random.Random

    def answer(self, wanted: Wanted) -> tuple[Answer, str, int | None, float] | None:
        dice = self.dice
        answer = dice.choice(list(Answer))
        if answer is Answer.SILENT:
            return None
        sender = dice.choice([HOST, router(1), router(2), router(wanted.ttl or 9)])
        arrived = dice.choice([None, -3, 0, 1, 60, 64, 65, 128, 250, 255, 256, 1000])
        return answer, sender, arrived, dice.choice([0.0, 0.0001, 0.01, 0.3, 2.5])


@given(
    st.sampled_from(Aim),
    st.randoms(use_true_random=False),
    st.frozensets(st.integers(1, 3)),
    st.sampled_from([None, 0.0, 0.2, 5.0]),
    st.sampled_from([None, PROHIBITED, EXPIRED]),
    st.booleans(),
)
def test_no_answer_raises_and_every_search_ends(
    aim: Aim, dice: random.Random, hops: frozenset[int], rtt: float | None, notice: Notice | None, ping: bool
) -> None:
    path = Chaos(dice=dice)
    outcome = run(aim, path, until=60, first_hops=hops, rtt=rtt, notice=notice, ping=ping)
    assert outcome.ended <= BEGAN + (30.01 if aim is Aim.SILENT else 1.51)
    assert outcome.last_sent <= BEGAN + 6.0


@given(
    st.builds(
        Path,
        hops=st.integers(1, 30),
        lapse=st.sampled_from([0.0, 0.001, 0.03]),
        mute=st.frozensets(st.integers(0, 29)),
        drops=st.none() | st.integers(1, 29),
        resets=st.none() | st.integers(1, 29),
        proxy=st.none() | st.integers(1, 29),
        rejects=st.none() | st.integers(1, 29),
        rejects_all=st.booleans(),
        loop=st.booleans(),
        mail=st.sampled_from([Answer.CONNECTED, Answer.RESET, Answer.SILENT]),
        udp=st.booleans(),
        loss=st.sampled_from([0.0, 0.1, 0.5]),
    ),
    st.sampled_from(Aim),
)
def test_any_path_keeps_the_budget(path: Path, aim: Aim) -> None:
    outcome = run(aim, path, until=60)
    assert outcome.last_sent <= BEGAN + 6.0
    opened = [p for p in outcome.probes if p.port == PORT and p.ttl and p.answer is Answer.CONNECTED]
    assert aim is Aim.SILENT or len(opened) <= MAX_OPENED + 1  # one may be on its way


def test_the_estimate_is_that_of_the_reading() -> None:
    """One rule for planning and for reading, so that both see one distance."""
    assert [estimate(ttl) for ttl in (64, 61, 128, 250)] == [1, 4, 1, 6]
