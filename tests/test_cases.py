"""Every golden case, played on loopback."""

from __future__ import annotations

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
