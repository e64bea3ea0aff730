"""What the report predicts of Exim, held against what a real Exim does: on the same mail hosts, at the same time.

Each case is played twice, for Exim and for us, in two namespaces of its own where the name server stands on
port 53 and the mail hosts on 25, so that Exim routes by DNS as on any mail server. A relay speaks SMTP with it
over TCP. What it is told line by line, what the main log on disk says, what the hints database then holds and
how long it took are all predicted, and all of it has to agree; `tests.support.exim` says how.
"""

from __future__ import annotations

import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from probe.core.exim.cache import SPOOL
from probe.core.model import Covers, MtaOutcome
from tests.support import cases, exim
from tests.support.exim_scenarios import (
    GOLDEN,
    INCOMPARABLE,
    INEXACT,
    OPTIONS,
    SCENARIOS,
    SHORT,
    UNPREDICTED,
    Play,
    case_of,
    world,
)
from tests.support.netns import need
from tests.support.road import TARGET, Road
from tests.support.scenarios import ALONE
from tests.support.scenarios import SCENARIOS as OBSTACLES
from tests.support.scenarios import played as on_the_road

if TYPE_CHECKING:
    from collections.abc import Iterator

    from probe.core.model import Evidence
    from tests.support.exim import Verified

pytestmark = pytest.mark.full

ACCEPT = "250 Accepted"
REJECT = "550 Sender verify failed"
CALLOUT = "451 Could not complete sender verify callout"
ROUTING = "451 Temporary local problem - please try later"

EXPECTED = {
    # The mailbox.
    "rcpt-accepted": ACCEPT,
    "said-251": ACCEPT,
    "said-252": ACCEPT,
    "said-unknown-postfix": REJECT,
    "said-full-552": REJECT,
    "said-full-452": CALLOUT,
    "said-greylisted": CALLOUT,
    "said-blocklisted": REJECT,
    "rcpt-odd-code": CALLOUT,
    "rcpt-timeout": CALLOUT,
    "rcpt-close": CALLOUT,
    "rcpt-malformed": CALLOUT,
    "rcpt-mixed-no-yes": REJECT,  # the first digit of the first line decides
    "rcpt-mixed-yes-no": ACCEPT,
    "rcpt-no-separator": CALLOUT,  # "250Ok" is no reply
    "rcpt-two-ehlo-replies": ACCEPT,  # it takes the spare reply for the next answer, and falls out of step
    # Before it.
    "banner-554": REJECT,
    "banner-421": CALLOUT,
    "banner-timeout": CALLOUT,
    "banner-close": CALLOUT,
    "banner-ssh": CALLOUT,
    "ehlo-5xx-helo-good": ACCEPT,
    "helo-5xx": REJECT,
    "mail-null-refused": REJECT,
    "mail-4xx": CALLOUT,
    "mail-close": CALLOUT,
    "tls-handshake-fails": ACCEPT,  # it goes on in clear
    "tls-demanded-handshake-fails": REJECT,
    # Several hosts: a refusal at any stage ends it, anything else moves on, but not past four times the limit.
    "connect-refused": CALLOUT,
    "connect-refused-then-good": ACCEPT,
    "connect-dead-then-good": ACCEPT,
    "connect-seven-dead-one-good": CALLOUT,
    "hosts-4xx-then-250": ACCEPT,
    "hosts-554-then-250": REJECT,
    "hosts-all-4xx": CALLOUT,
    # The DNS.
    "dns-nxdomain": REJECT,
    "dns-nodata": REJECT,
    "dns-null-mx": REJECT,
    "dns-mx-all-dangling": REJECT,
    "dns-mx-one-dangling": ACCEPT,
    "dns-mx-is-address": REJECT,
    "dns-servfail": ROUTING,
    "dns-refused": ROUTING,
    "dns-timeout": ROUTING,
    "dns-exchange-servfail": ROUTING,
    "dns-implicit-mx": ACCEPT,
}
"""The last line of what Exim 4.96 says to RCPT, written down from its source before the run (verify.c, smtp_in.c)."""

CACHED = (
    *("rcpt-accepted", "said-unknown-postfix", "said-full-552", "mail-null-refused", "mail-authentication"),
    *("rcpt-mixed-no-yes", "tls-unknown-user", "hosts-closed-then-unknown", "literal-550", "mixed-case"),
    *("utf8-550", "quoted-550", "said-greylisted", "banner-554"),
)
"""Cases that are verified twice: the second time from the cache, or again where nothing was kept."""

ROAD = (
    "open",
    "rst",
    "t_drop",
    "r2_adminprohib",
    "r2_portunreach",
    "r3_noroute",
    "r3_unreachable",
    "c_noroute",
)
"""What stands in the way of a packet, on links where an answer takes its time: there TCP Fast Open shows."""


def compare(evidence: Evidence, real: Verified, callout: str, name: str = "", *, timed: bool = True) -> None:
    """Hold a prediction against the first answer of a real Exim."""
    view = exim.predict(evidence, callout)
    found = list(exim.disagreements(view, real.answers[0], real.cache if len(real.answers) == 1 else None))
    if not timed:
        found = [text for text in found if not text.startswith("seconds")]
    found = [text for text in found if not INEXACT.get(name, "").startswith(text.split("\n")[0])]
    notes = "\n".join(view.notes) if view is not None else ""
    assert not found, "\n".join([*found, "notes", notes])


@pytest.mark.parametrize("name", GOLDEN)
def test_prediction_is_what_exim_does(name: str) -> None:
    evidence, real = exim.both(cases.load(name), SHORT)
    for _ in range(2):
        view = exim.predict(evidence, SHORT)
        if view is None or not any("another try may end as a time-out" in note for note in view.notes):
            break
        evidence, real = exim.both(
            cases.load(name), SHORT
        )  # by whole seconds Exim may have been a hair too late
    said = real.answers[0].reply
    assert said[-1] == EXPECTED.get(name, said[-1]), said
    compare(evidence, real, SHORT, name)


@pytest.mark.parametrize("name", SCENARIOS)
def test_how_exim_reads_and_speaks(name: str) -> None:
    evidence, real = exim.both(SCENARIOS[name], SHORT)
    compare(evidence, real, SHORT)


@pytest.mark.parametrize("play", OPTIONS, ids=str)
def test_options_of_the_callout(play: Play) -> None:
    evidence, real = exim.both(case_of(play.name), play.callout, *play.options)
    compare(evidence, real, play.callout)


@pytest.mark.parametrize("name", CACHED)
def test_the_second_time_comes_from_the_cache(name: str) -> None:
    case = case_of(name)
    evidence, real = exim.both(case, SHORT, recipients=2)
    compare(evidence, real, SHORT)
    view = exim.predict(evidence, SHORT)
    assert view is not None
    assert exim.as_dumped(view) == real.cache
    first, second = real.answers
    kept = {record.covers: record.holds for record in view.cache}
    if view.outcome is MtaOutcome.ACCEPT:
        assert second.reply == first.reply
    elif kept.get(Covers.ADDRESS) == "reject":
        assert second.reply[1:-1] == ("550-Previous (cached) callout verification failure",)
        assert second.log[0].endswith(">"), "a line without a reason"
    elif kept.get(Covers.DOMAIN) == "reject_mfnull":
        assert second.reply[1] == "550-(result of an earlier callout reused)."
        assert second.log[0].endswith(">"), "a line without a reason"
    else:
        assert second.log == first.log, "asked again"


@pytest.mark.parametrize("name", ["said-unknown-511", "mail-null-refused", "rcpt-accepted"])
def test_the_command_makes_it_forget(name: str) -> None:
    case = cases.load(name)
    view = exim.predict(exim.observe(case), SHORT)
    assert view is not None
    assert view.clear is not None
    with exim.Exim(SHORT) as real, exim.played(case) as namespace:
        real.verify(namespace, case.address)
        assert real.cache()
        command = view.clear.replace(SPOOL, str(real.spool))
        subprocess.run(command, shell=True, check=True, capture_output=True)  # noqa: S602 - as an admin would
        assert real.cache() == {}


@pytest.mark.parametrize("name", UNPREDICTED)
def test_nothing_is_predicted_of_what_was_not_heard(name: str) -> None:
    need()
    assert exim.predict(exim.observe(cases.load(name)), SHORT) is None


def test_it_breaks_down_where_tls_begins_with_an_address_literal() -> None:
    """Exim 4.96 hangs up on the relay without a word; nothing is predicted there."""
    case = world("*good", address="user@[127.0.0.2]", tls=True)
    with pytest.raises(AssertionError, match="Exim closed the connection"):
        exim.verify(case, SHORT)
    assert exim.predict(exim.observe(case), SHORT) is None


@pytest.fixture(scope="module")
def road() -> Iterator[Road]:
    need(exim.PROGRAM, "nft")
    with Road() as road:
        exim.prepare(road.client)
        yield road


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("name", ROAD)
def test_what_fast_open_makes_of_an_obstacle(road: Road, name: str, family: int) -> None:
    road.new_client()
    address = f"user@[{TARGET[4]}]" if family == 4 else f"user@[IPv6:{TARGET[6]}]"
    with on_the_road(road, OBSTACLES[name]), exim.Exim(SHORT) as real:
        with ThreadPoolExecutor(1) as beside, road.client.entered():
            answers = beside.submit(real.verify, road.client, address)
            evidence = exim.probed(*ALONE, "--no-trace", "--no-canary", address)
        verified = exim.Verified(tuple(answers.result()), real.cache())
    # A router of this machine answers before the SYN is out, which makes the kernel send another a second later.
    compare(evidence, verified, SHORT, timed=False)


def test_every_case_has_at_most_one_expectation() -> None:
    named = [*EXPECTED, *UNPREDICTED, *INCOMPARABLE]
    assert len(named) == len(set(named))
    assert set(named) | set(INEXACT) <= set(cases.names())
    assert not set(SCENARIOS) & set(cases.names())


def test_enough_is_compared() -> None:
    assert len(GOLDEN) + len(SCENARIOS) >= 200
    assert len(OPTIONS) + len(CACHED) >= 50
