"""Every golden case, played on loopback."""

from __future__ import annotations

import msgspec
import pytest

from tests.support import cases


@pytest.mark.parametrize("name", cases.names())
def test_case(name: str) -> None:
    case = cases.load(name)
    if case.needs == "ipv6" and not cases.ipv6_here():
        pytest.skip("this machine has no IPv6 loopback address")
    outcome = cases.play(case)
    wrong = list(cases.disagreements(case, outcome))
    assert not wrong, f"{case.title}: {case.why}\n{cases.transcript(outcome)}"


def test_there_are_enough_cases_and_each_says_what_it_proves() -> None:
    loaded = [cases.load(name) for name in cases.names()]
    assert len(loaded) >= 90
    assert len({case.title for case in loaded}) == len(loaded)
    assert all(case.why.endswith(".") for case in loaded)


def test_a_wrong_expectation_is_noticed_in_every_part() -> None:
    case = cases.load("rcpt-accepted")
    wrong = cases.Expectation(
        cause="missing-sender",
        reason=["rcpt.user-unknown"],
        exit=1,
        confidence="uncertain",
        side="ours",
        catch_all=True,
        hosts=[cases.HostExpectation("127.0.0.9"), cases.HostExpectation("127.0.0.2", "unreachable", "x")],
        summary_has=["no such words"],
        violations=["no-such-violation"],
        connections={"127.0.0.2": 2},
        sent=["QUIT", "EHLO probe.example.net"],
        max_seconds=0.0,
    )
    outcome = cases.play(case)
    outcome.seen["127.0.0.2"][0].complaints.append("DATA was sent")
    said = list(cases.disagreements(msgspec.structs.replace(case, expect=wrong), outcome))
    assert len(said) == 14, "\n".join(said)
    assert not list(cases.disagreements(case, cases.play(case)))
