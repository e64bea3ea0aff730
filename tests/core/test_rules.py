"""The decision table, enumerated: total, no dead row, and the worst error nowhere in it."""

from __future__ import annotations

from functools import cache
from itertools import product
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probe.core import phrases
from probe.core.facts import Codes, Ended, Facts, Got, Grip, Real, Sender, Step
from probe.core.model import About, Cause, Reply, Stage, TlsMode
from probe.core.network import After, Nearer, Ports, Refuser, Silence, Us
from probe.core.phrasebook import BASIC, ENHANCED, TABLE
from probe.core.reasons import CAUSES, REASONS, WORST_FIRST
from probe.core.rules import HOST_RULES, decide
from tests.support.arbitrary import examples
from tests.support.every import every

if TYPE_CHECKING:
    from collections.abc import Iterator

    from probe.core.rule import Rule

FIELDS = {
    "wait",
    "mailbox", "domain", "host", "ip", "port", "seconds", "reply", "errno", "awaited", "local_ip", "helo", "mail_from",
    "after", "before", "so_far", "target", "control", "refuser", "refuser_at", "loop", "canary",
}  # fmt: skip


COLUMNS: dict[str, tuple[object, ...]] = {
    "got": tuple(Got),
    "ended": tuple(Ended),
    "about": (None, *About),
    "grip": tuple(Grip),
    "real": tuple(Real),
    "step": tuple(Step),
    "codes": tuple(Codes),
    "sender": tuple(Sender),
    "tls": tuple(TlsMode),
    "silence": tuple(Silence),
    "refuser": tuple(Refuser),
    "ports": tuple(Ports),
    "us": tuple(Us),
    "after": tuple(After),
    "nearer": tuple(Nearer),
}


def rows_of(rule: Rule) -> Iterator[Facts]:
    """Give every combination of the columns that this rule matches; the first columns vary fastest."""
    names = tuple(reversed(COLUMNS))
    for values in product(*(getattr(rule, name) or COLUMNS[name] for name in names)):
        yield Facts(**dict(zip(names, values, strict=True)))


def row(**columns: object) -> Facts:
    base: dict[str, object] = {
        "got": Got.RCPT,
        "ended": Ended.REFUSED,
        "about": About.OTHER,
        "grip": Grip.LOOSE,
        "real": Real.UNTESTED,
        "step": Step.IN_STEP,
        "codes": Codes.ONE_CLASS,
        "sender": Sender.NULL,
        "tls": TlsMode.AUTO,
    }
    return Facts(**(base | columns))  # type: ignore[arg-type]  # the columns are checked by the callers' names


@every("rule", HOST_RULES, ids=lambda rule: rule.id)
def test_every_rule_wins_somewhere(rule: Rule) -> None:
    """No dead row: some combination of the columns is decided by it, and by no rule above it."""
    above = HOST_RULES[: HOST_RULES.index(rule)]
    assert any(not any(other.matches(facts) for other in above) for facts in rows_of(rule))


def test_the_last_row_takes_whatever_is_left() -> None:
    assert all(getattr(HOST_RULES[-1], name) is None for name in COLUMNS)


@given(st.builds(Facts, **{name: st.sampled_from(values) for name, values in COLUMNS.items()}))
@settings(max_examples=examples(3))
def test_every_combination_is_decided(facts: Facts) -> None:
    rule, fired = decide(facts)
    assert fired[0] == rule.id
    assert fired[-1] == "no-rule"


STAGES = {
    Got.BANNER: Stage.BANNER,
    Got.HELO: Stage.EHLO,
    Got.TLS: Stage.STARTTLS,
    Got.MAIL: Stage.MAIL,
    Got.RCPT: Stage.RCPT,
}


@cache
def readings() -> set[tuple[Got, About]]:
    """Read every example of the phrase book, and every code that it knows, at every stage."""
    texts = [row.example for row in TABLE]
    texts += [f"{code} x" for code in (*BASIC, 450, 521, 556)] + [f"550 5.{detail} x" for detail in ENHANCED]
    replies = [Reply(int(text[:3]), (text,), (), 0.0, 0.0) for text in texts]
    return {(got, phrases.read(reply, stage).about) for got, stage in STAGES.items() for reply in replies}


@every("rule", [rule for rule in HOST_RULES if rule.about], ids=lambda rule: rule.id)
def test_what_a_rule_wants_to_read_can_be_read_there(rule: Rule) -> None:
    """No rule waits for words that the reading of replies never gives at its stage."""
    wanted = set(product(rule.got or STAGES, rule.about or ()))
    assert wanted <= readings()


def test_the_last_rule_is_inconclusive_and_matches_anything() -> None:
    last = HOST_RULES[-1]
    assert REASONS[last.reason].cause is Cause.INCONCLUSIVE
    assert all(getattr(last, column) is None for column in COLUMNS)


def test_ids_are_unique() -> None:
    ids = [rule.id for rule in HOST_RULES]
    assert len(ids) == len(set(ids))


@every("rule", HOST_RULES, ids=lambda rule: rule.id)
def test_every_rule_has_its_reason_and_a_sentence_that_can_be_filled(rule: Rule) -> None:
    assert rule.reason in REASONS
    rule.says.format_map(dict.fromkeys(FIELDS, "x"))
    assert rule.says.endswith(".")


def test_nothing_is_missing_unless_the_peer_named_the_mailbox_or_domain_at_rcpt() -> None:
    """The worst error, excluded over the whole table and not by example."""
    allowed = {About.MISSING_MAILBOX, About.DISABLED, About.MISSING_DOMAIN, About.RELAY, About.NO_MAIL_DOMAIN}
    for rule in HOST_RULES:
        if REASONS[rule.reason].cause is not Cause.MISSING_SENDER:
            continue
        if rule.id == "banner-host-takes-no-mail":  # RFC 7504: the host says it of itself
            assert rule.about == frozenset({About.NO_MAIL_HOST})
            continue
        assert rule.ended == frozenset({Ended.REFUSED})
        second_try = {Real.RCPT_MISSING, Real.RCPT_MISSING_BY_CODE}
        assert (rule.real is not None and rule.real <= second_try) or (
            rule.about is not None and rule.about <= allowed
        )
        if rule.about is not None and rule.about != frozenset({About.NO_MAIL_DOMAIN}):
            assert rule.grip is not None
            assert rule.grip <= {Grip.WORDS, Grip.ENHANCED}


@every(
    "about",
    [About.POLICY, About.BLOCKLIST, About.RATE, About.GREYLIST, About.RDNS, About.HELO, About.AUTH, About.TLS,
     About.NULL_SENDER, About.OUR_SENDER, About.TEMPORARY, About.PROTOCOL, About.CONTENT, About.OTHER],
)  # fmt: skip
@every("grip", list(Grip))
@every("ended", list(Ended))
def test_words_that_are_not_about_the_mailbox_never_make_it_missing(
    about: About, grip: Grip, ended: Ended
) -> None:
    rule, _ = decide(row(about=about, grip=grip, ended=ended))
    assert REASONS[rule.reason].cause is not Cause.MISSING_SENDER


@every("got", [Got.CONNECT, Got.BANNER, Got.HELO, Got.TLS, Got.MAIL])
@every("about", [About.MISSING_MAILBOX, About.DISABLED, About.MISSING_DOMAIN, About.RELAY])
def test_before_rcpt_no_words_make_the_mailbox_missing(got: Got, about: About) -> None:
    rule, _ = decide(row(got=got, about=about, grip=Grip.WORDS))
    assert REASONS[rule.reason].cause is not Cause.MISSING_SENDER


# Pairs whose order matters: with the rows swapped the case on the right would change its verdict.
@pytest.mark.parametrize(
    ("facts", "wins", "also"),
    [
        (row(ended=Ended.ACCEPTED, step=Step.OUT_OF_STEP), "rcpt-out-of-step", "rcpt-accepted-unconfirmed"),
        (row(ended=Ended.ACCEPTED, codes=Codes.CONTRADICT), "rcpt-mixed-codes", "rcpt-accepted"),
        (
            row(about=About.MISSING_MAILBOX, grip=Grip.WORDS, real=Real.ACCEPTED),
            "rcpt-null-refused-real-accepted",
            "rcpt-user-unknown",
        ),
        (row(about=About.BLOCKLIST, grip=Grip.WORDS), "rcpt-blocklisted", "rcpt-refused-unread"),
        (
            row(got=Got.MAIL, about=About.OTHER, real=Real.ACCEPTED),
            "mail-null-refused-real-accepted",
            "mail-refused-unread",
        ),
        (row(about=About.TLS, tls=TlsMode.NEVER), "tls-needed-but-off", "tls-required-by-peer"),
    ],
)
def test_order_decides_where_two_rules_match(facts: Facts, wins: str, also: str) -> None:
    rule, fired = decide(facts)
    assert rule.id == wins
    assert also in fired


def test_causes_have_the_exit_codes_of_the_contract() -> None:
    assert {str(cause): code for cause, (code, _) in CAUSES.items()} == {
        "sender-exists": 0,
        "missing-sender": 1,
        "inconclusive": 3,
        "temporary": 4,
        "firewall-timeout": 5,
        "unreachable": 6,
        "rfc-noncompliant": 7,
        "policy-refusal": 8,
        "dns-failure": 9,
    }
    assert WORST_FIRST == (3, 9, 5, 6, 7, 8, 4, 1, 0)
    assert set(CAUSES) == set(Cause)


@every("word", sorted(REASONS))
def test_every_reason_has_meaning_reference_and_steps_that_can_be_filled(word: str) -> None:
    reason = REASONS[word]
    assert reason.word == word
    assert reason.means
    assert reason.ref
    assert reason.steps
    for _, step in reason.steps:
        step.format_map(dict.fromkeys(FIELDS, "x"))
    reason.means.format_map(dict.fromkeys(FIELDS, "x"))
    if reason.cause is Cause.INCONCLUSIVE and not word.startswith("evidence"):
        assert any("Next test" in step for _, step in reason.steps), "says which single test would tell"
