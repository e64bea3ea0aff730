"""What mail servers do, in one sentence and in full."""

from __future__ import annotations

import pytest
from msgspec import structs

from probe.core.model import AskedHost, CacheRecord, Covers, Mta, MtaOutcome, MtaView
from probe.show import servers
from tests.support import make

REFUSED = CacheRecord(Covers.ADDRESS, "user@example.com", "reject", 7200.0, 3600.0)
NO_BOUNCES = CacheRecord(Covers.DOMAIN, "example.com", "reject_mfnull", 10800.0, 3600.0)
TAKEN = CacheRecord(Covers.DOMAIN, "example.com", "accept", 604800.0)


@pytest.mark.parametrize(
    ("exim", "postfix", "said"),
    [
        (None, None, "Exim rejects, Postfix rejects"),
        ("550 No", "450 4.1.7 <a@b>: so", "Exim rejects (550 No), Postfix rejects (450)"),
        ("550 No", "no code", "Exim rejects (550 No), Postfix rejects"),
        (None, "450", "Exim rejects, Postfix rejects (450)"),
    ],
)
def test_the_effect_in_one_sentence(exim: str | None, postfix: str | None, said: str) -> None:
    assert servers.brief(make.mta(MtaOutcome.REJECT, exim=exim, postfix=postfix)) == said


def test_two_that_accept_are_one() -> None:
    assert servers.brief(make.mta(MtaOutcome.ACCEPT)) == "Exim and Postfix accept it"


def exim(*cache: CacheRecord, lines: tuple[str, ...] = ()) -> MtaView:
    return MtaView(
        MtaOutcome.REJECT,
        "550 Sender verify failed",
        "4.96",
        "callout=30s",
        reply_lines=(*lines, "550 Sender verify failed"),
        log=("sender verify fail for <user@example.com>: no", "F=<user@example.com> rejected RCPT"),
        asked=(AskedHost("mx.example.com", "192.0.2.25", MtaOutcome.REJECT, "550 no"),),
        cache=cache,
        clear="exim_fixdb",
        seconds=0.5,
        notes=("It waits shorter.",),
    )


def test_what_is_remembered_is_said_with_its_time() -> None:
    lines = ("550-Verification failed for <user@example.com>",)
    assert servers.brief(Mta(exim(TAKEN, REFUSED, lines=lines), None)) == (
        "Exim rejects (550 Sender verify failed) and remembers that of the address for 2 h (cPanel: 1 h)"
    )


def test_a_refusal_of_the_whole_domain_is_said_with_its_words() -> None:
    lines = ("550-Callback setup failed while verifying <user@example.com>",)
    assert servers.brief(Mta(exim(REFUSED, NO_BOUNCES, lines=lines), None)) == (
        'Exim rejects (550 Sender verify failed; "Callback setup failed while verifying <user@example.com>")'
        " and remembers that for the whole domain for 3 h (cPanel: 1 h)"
    )


def test_all_that_is_known() -> None:
    assert servers.full(Mta(exim(NO_BOUNCES, lines=("550-Because",)), None)) == [
        ("Exim", ["4.96 with callout=30s rejects it, after 500 ms"]),
        ("  asks", ["1. mx.example.com [192.0.2.25]: 550 no (reject)"]),
        ("  answers", ["550-Because", "550 Sender verify failed"]),
        ("  logs", ["sender verify fail for <user@example.com>: no", "F=<user@example.com> rejected RCPT"]),
        ("  keeps", ["reject_mfnull under example.com, for the whole domain, for 3 h (cPanel: 1 h)"]),
        ("  forgets", ["exim_fixdb"]),
        ("  beware", ["It waits shorter."]),
    ]


def test_what_is_not_known_is_not_listed() -> None:
    accepting = make.mta(MtaOutcome.ACCEPT)
    assert servers.full(structs.replace(accepting, exim=None)) == [
        ("Postfix", ["3.7 with reject_unverified_sender accepts it"])
    ]


@pytest.mark.parametrize(
    ("lapse", "said"),
    [
        (7200.0, "2 h"),
        (86400.0, "24 h"),
        (604800.0, "7 d"),
        (2678400.0, "31 d"),
        (90.0, "90 s"),
        (300.0, "5 min"),
    ],
)
def test_long_times(lapse: float, said: str) -> None:
    assert servers.duration(lapse) == said
