"""One visit of a batch: what it asks of each address, and what it may leave out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from probe.core.address import parse
from probe.core.conversation import follow_up
from probe.core.fold import cause_of
from probe.core.route import Target
from probe.net.spool import Entry
from probe.run.agenda import Asked
from probe.run.engine import Engine
from probe.run.heard import _said, leaves_nothing_open
from probe.run.lane import Lanes, _Lane
from probe.run.question import callout_plan, options_of
from probe.settings import Settings
from tests.support import make, record

if TYPE_CHECKING:
    from probe.core.model import Evidence

TARGET = make.host()
CHOSEN = Settings(catch_all=True, helo="probe.example.net")
JUDGED: dict[str, Evidence] = {name: record.judged(name).evidence for name in record.WORLDS}


def lane(*addresses: str, with_random: bool) -> _Lane:
    class Always:
        async def again(self) -> bool:
            return True

    engine = Engine(CHOSEN)
    target = Target(TARGET.name, TARGET.ip, TARGET.preference, TARGET.origin, TARGET.scope, None)
    asked = [Asked(Entry(text, text, parse(text).domain), parse(text)) for text in addresses]
    lanes = Lanes(engine, options_of(CHOSEN, helo=CHOSEN.helo), seed=7)
    return _Lane(lanes, target, asked, lambda: 0.0, Always(), with_random=with_random)


def test_the_random_mailbox_comes_with_the_first_address_and_only_where_it_is_wanted() -> None:
    two = ("a@example.com", "b@example.com")
    randoms = [
        lane(*two, with_random=wanted)._plan(number).random_rcpt
        for wanted in (True, False)
        for number in (0, 1)
    ]
    assert randoms == ["probe-00000007@example.com", None, None, None]


def test_each_address_has_the_plan_that_it_would_have_alone() -> None:
    made = lane("a@example.com", "\u00fc@example.com", with_random=False)
    assert [made._plan(number).utf8 for number in (0, 1)] == [False, True]
    assert [made._plan(number).rcpt for number in (0, 1)] == ["a@example.com", "\u00fc@example.com"]


@pytest.mark.parametrize("name", JUDGED)
def test_whatleaves_nothing_open_is_never_followed(name: str) -> None:
    evidence = JUDGED[name]
    plan = callout_plan(evidence.address, Settings(), helo="probe.example.net", seed=1)
    for host in evidence.hosts:
        for session in host.sessions:
            if leaves_nothing_open(session):
                assert follow_up(plan, session) is None


def test_the_same_words_have_the_same_cause() -> None:
    causes: dict[object, set[str]] = {}
    for evidence in JUDGED.values():
        for host in evidence.hosts:
            if len(host.sessions) == 1 and host.path is None and (said := _said(host.sessions[0])):
                causes.setdefault((said, evidence.options), set()).add(cause_of(host, evidence.options))
    assert causes
    assert all(len(found) == 1 for found in causes.values())
