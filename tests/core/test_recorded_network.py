"""The scenarios of the network without a network: their recorded evidence, whole and with something taken away.

`tests.support.record_network` says how the recordings are made. Whole, each gives what was written down for its
scenario. With something taken away a report may know less; it must not know something else.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from probe.codec import decode_evidence
from probe.core.classify import judge
from probe.core.model import Answer, Cause, Confidence, ConnectOutcome, PathProbe, Protocol, Report
from probe.core.network_facts import elsewhere, read
from tests.support.every import every
from tests.support.record_network import RECORDED, RECORDINGS, disagreements, file_of, load
from tests.support.road import HOPS
from tests.support.scenarios import SCENARIOS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from probe.core.model import Evidence
    from probe.core.network import Path

SIZE_LIMIT = 1_500_000
"""Octets of all recordings together."""
FIRM = list(Confidence)
"""From the firmest to the weakest."""

_evidence = functools.cache(load)


def _reason(recording: tuple[str, int]) -> str:
    name, family = recording
    return SCENARIOS[name].over(family).verdict.split()[1]


FILTERED = ("connect.port-filtered", "connect.egress-filtered")
SILENT = (*FILTERED, "connect.host-silent")
INTERCEPTED = ("connect.intercepted", "banner.intercepted")
SILENT_RECORDINGS = [recording for recording in RECORDINGS if _reason(recording) in SILENT]
PLAIN = {
    "connect.intercepted": "rcpt.accepted",
    "banner.intercepted": "banner.timeout",
    "banner.path-dead": "banner.timeout",
    "reply.pmtu-blackhole": "helo.timeout",
}
"""What is said of a connection without the packets beside it, where that is something else."""
PLAIN_OUTCOME = {
    ConnectOutcome.TIMEOUT: "connect.timeout",
    ConnectOutcome.REFUSED: "connect.refused",
    ConnectOutcome.PROHIBITED: "connect.prohibited",
    ConnectOutcome.HOST_UNREACHABLE: "connect.host-unreachable",
}
"""What is said of a connection that never stood."""


# --- whole -----------------------------------------------------------------------------------------


@every(("name", "family"), RECORDINGS)
def test_recording_is_judged_as_its_scenario_expects(name: str, family: int) -> None:
    assert list(disagreements(name, family, _evidence(name, family))) == []


def test_every_scenario_is_recorded_and_nothing_else_and_all_is_small() -> None:
    assert sorted(RECORDED.iterdir()) == sorted(file_of(*recording) for recording in RECORDINGS)
    assert sum(file.stat().st_size for file in RECORDED.iterdir()) < SIZE_LIMIT


# --- one answer less -------------------------------------------------------------------------------


class Said(Struct, frozen=True):
    """What a report says, and the place that it names: from one hop to another, as wide as it is not known."""

    report: Report
    first: float
    last: float

    @classmethod
    def of(cls, evidence: Evidence) -> Said:
        host, report = evidence.hosts[0], judge(evidence)
        path = read(host, host.sessions[0], elsewhere(evidence, host))
        return cls(report, *_place(report.reason, path))

    def wrong(self, whole: Said) -> Iterator[str]:
        """Say what this claims that the whole evidence does not."""
        report, before = self.report, whole.report
        if report.cause is not before.cause and report.cause in {Cause.SENDER_EXISTS, Cause.MISSING_SENDER}:
            yield f"{report.cause}"
        if self.first > whole.first or self.last < whole.last:
            yield f"hops {self.first} to {self.last}, not {whole.first} to {whole.last}"
        if FIRM.index(report.confidence) < FIRM.index(before.confidence):
            yield f"{report.confidence}, not {before.confidence}"
        if report.side is not before.side and report.confidence is Confidence.CERTAIN:
            yield f"{report.side} for certain, not {before.side}"


def _place(reason: str, path: Path) -> tuple[float, float]:
    """Give the hops that a reason stands for: those that packets passed, and the one that they did not reach."""
    first, last = path.reached or 0, float("inf") if path.beyond is None else path.beyond
    if reason == "connect.host-silent":
        return first, float("inf")
    if path.refuser_hop is not None and not path.loop:
        return path.refuser_hop, path.refuser_hop
    if reason in FILTERED or reason in INTERCEPTED or reason == "connect.refused-by-middlebox":
        return (first, last) if path.refuser_ip is None else (0, float("inf"))
    return 0, float("inf")


@every(("name", "family"), RECORDINGS)
def test_a_lost_answer_widens_the_place_and_never_moves_it(name: str, family: int) -> None:
    evidence = _evidence(name, family)
    whole = Said.of(evidence)
    wrong = {}
    for lost, less in _each_with_one_answer_lost(evidence):
        said = Said.of(less)
        found = [*said.wrong(whole), *_misplaced(said.report, family)]
        if found:
            wrong[f"{lost.protocol} {lost.port}, hop limit {lost.ttl}: {lost.answer}"] = (
                found,
                said.report.summary,
            )
    assert not wrong


def _each_with_one_answer_lost(evidence: Evidence) -> Iterator[tuple[PathProbe, Evidence]]:
    path = evidence.hosts[0].path
    for number, probe in enumerate(path.probes if path else ()):
        if path is not None and probe.answer is not Answer.SILENT:
            lost = PathProbe(probe.protocol, probe.port, probe.ttl, probe.sent, path.ended, Answer.SILENT)
            yield (
                probe,
                _with_probes(evidence, (*path.probes[:number], lost, *path.probes[number + 1 :])),
            )


def _with_probes(evidence: Evidence, probes: tuple[PathProbe, ...]) -> Evidence:
    host = evidence.hosts[0]
    assert host.path is not None
    return replace(evidence, hosts=(replace(host, path=replace(host.path, probes=probes)),))


def _misplaced(report: Report, family: int) -> list[str]:
    """Find the routers that the summary puts at a hop where they do not stand."""
    named = re.findall(r"hop (\d+) \(([^)]+)\)", report.summary)
    return [f"{router} at hop {hop}" for hop, router in named if HOPS[family][int(hop) - 1] != router]


# --- other evidence less, or more ------------------------------------------------------------------


@every("outcome", [ConnectOutcome.TIMEOUT, ConnectOutcome.CUT_SHORT])
@every(("name", "family"), SILENT_RECORDINGS)
def test_less_than_two_seconds_of_silence_are_no_filter(
    name: str, family: int, outcome: ConnectOutcome
) -> None:
    evidence = _evidence(name, family)
    host = evidence.hosts[0]
    session = host.sessions[0]
    ended = replace(session.connect, ended=session.connect.started + 1.99, outcome=outcome)
    host = replace(host, sessions=(replace(session, connect=ended),))
    assert judge(replace(evidence, hosts=(host,))).reason == "connect.timeout"


@every("ttl", [*range(1, 6), None])
@every(("name", "family"), SILENT_RECORDINGS)
def test_a_packet_that_connects_vetoes_filtered(name: str, family: int, ttl: int | None) -> None:
    evidence = _evidence(name, family)
    path = evidence.hosts[0].path
    assert path is not None
    opened = PathProbe(Protocol.TCP, 25, ttl, path.started, path.ended, Answer.CONNECTED, HOPS[family][-1])
    assert judge(_with_probes(evidence, (*path.probes, opened))).reason == "connect.lossy"


@every(("name", "family"), RECORDINGS)
def test_without_a_canary_nothing_is_our_network_for_certain(name: str, family: int) -> None:
    report = judge(replace(_evidence(name, family), canary=None))
    assert report.reason == _reason((name, family))
    assert report.reason != "connect.egress-filtered" or report.confidence is not Confidence.CERTAIN


# --- evidence from before --------------------------------------------------------------------------


@every(("name", "family"), RECORDINGS)
def test_evidence_from_before_the_path_was_searched_gives_the_plain_reason(name: str, family: int) -> None:
    old: dict[str, Any] = msgspec.to_builtins(_evidence(name, family))
    _leave_out(old, "canary")
    _leave_out(old["options"], "trace", "fast")
    for host in old["hosts"]:
        _leave_out(host, "path")
        for session in host["sessions"]:
            _leave_out(session, "tcp", "soft_error")
            _leave_out(session["connect"], "notices", "tcp")
        host["sessions"] = [s for s in host["sessions"] if s["purpose"] != "small-segments"]
    report = judge(decode_evidence(msgspec.json.encode(old), "old.json"))
    assert report.reason == _plain((name, family))
    assert report.hosts[0].network is None


def _leave_out(table: dict[str, Any], *keys: str) -> None:
    for key in keys:
        del table[key]


def _plain(recording: tuple[str, int]) -> str:
    outcome = _evidence(*recording).hosts[0].sessions[0].connect.outcome
    reason = _reason(recording)
    return PLAIN_OUTCOME.get(outcome, PLAIN.get(reason, reason))
