"""What the report predicts of Postfix, held against what a real Postfix does with the same mail hosts.

Postfix is asked twice: before its probe of the sender has ended, and after. What its log says of both, and of the
probe, must be what we predict, line by line, but for process and queue ids, times and the names of the relay.
"""

from __future__ import annotations

import re
import shlex
import time
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from probe.core.classify import judge
from probe.core.model import MtaOutcome, MtaView
from tests.support import cases, postfix, postfix_cases
from tests.support.cases import HostSetup

if TYPE_CHECKING:
    from probe.core.model import Evidence

pytestmark = pytest.mark.full


@pytest.fixture(autouse=True)
def _needs() -> None:
    postfix.need()


def _view(seen: Evidence) -> MtaView:
    mta = judge(seen).mta
    assert mta is not None
    assert mta.postfix is not None
    return mta.postfix


@pytest.mark.parametrize("name", postfix_cases.comparable())
def test_prediction_is_what_postfix_does(name: str) -> None:
    said, seen = postfix_cases.observe(name)
    assert postfix.predicted(seen) == postfix.told(said.log)
    view, probe = _view(seen), postfix.found(seen)
    assert probe is not None
    late = probe.seconds > 6.0
    accepts = said.again.startswith("250") and not late
    assert view.outcome is (MtaOutcome.ACCEPT if accepts else MtaOutcome.DEFER)
    answer = (said.first if late else said.again).encode("latin-1").decode("utf-8", "replace")
    assert view.reply == (None if accepts else answer)


@pytest.mark.parametrize("name", sorted(postfix_cases.UNPREDICTED))
def test_nothing_is_predicted_of_what_was_not_heard(name: str) -> None:
    mta = judge(postfix.evidence(postfix_cases.load(name))).mta
    assert mta is None or mta.postfix is None


def test_every_exception_is_a_case() -> None:
    exceptions = [*postfix_cases.UNPREDICTED, *postfix_cases.INCOMPARABLE]
    assert len(exceptions) == len(set(exceptions))
    assert set(exceptions) <= set(postfix_cases.names())


@pytest.mark.parametrize(
    ("pause", "waits", "accepts"),
    [(0, 3, True), (4, 6, True), (8, 6, False)],
    ids=["at-once", "within-the-second-poll", "too-late"],
)
def test_the_relay_waits_as_long_as_predicted(pause: float, waits: float, *, accepts: bool) -> None:
    slow = HostSetup(f"*sleep {pause}\n*good")
    case = replace(postfix_cases.MORE["more-pipelining"], peers={"127.0.0.2": slow})
    view = _view(postfix.evidence(case))
    with postfix.played(case) as namespace, postfix.Postfix(namespace, {}) as running:
        began = time.monotonic()
        answer = running.mail(case.address)
        took = time.monotonic() - began
    assert view.seconds == waits
    assert waits <= took < waits + 2
    assert (view.reply or "250 2.1.5 Ok") == answer
    assert (view.outcome is MtaOutcome.ACCEPT) is accepts


def test_the_other_code_is_told() -> None:
    case = cases.load("said-unknown-postfix")
    (note,) = (note for note in _view(postfix.evidence(case)).notes if "550" in note[:60])
    settings = postfix.FAST | {"unverified_sender_reject_code": "550"}
    assert note.endswith(f": {postfix.ask(case, settings).again}")


def test_the_cache_holds_what_is_predicted_until_it_is_cleared() -> None:
    case = postfix_cases.MORE["more-quoted-unknown"]
    view = _view(postfix.evidence(case))
    assert view.clear is not None
    reload, _, command = view.clear.partition(" && ")
    assert reload == "postfix reload"
    with postfix.played(case) as namespace, postfix.Postfix(namespace) as running:
        running.mail(case.address)
        assert running.probed()
        running.reload()
        (record,) = (line for line in running.map("-s", running.verify_cache).splitlines() if "@" in line)
        assert re.match(rf"{re.escape(view.cache[0].key)}\t2:0:\d+:host ", record)
        program, *words, database = shlex.split(command)
        assert (program, database) == ("postmap", "btree:/var/lib/postfix/verify_cache")
        assert running.map(*words, running.verify_cache) == ""
        assert "@" not in running.map("-s", running.verify_cache)
        running.mail(case.address)
        assert running.probed(times=2)
