"""The decision table: one row of facts in, one reason out.

Ordered: the first rule that matches wins, and every rule that matches is kept in the report (`fired`). A
rule names the columns that it needs; a column that it does not name may be anything. The last rule matches
everything and is inconclusive, so the table is total. Rule ids never change their meaning: a new meaning is
a new id, and `RULES_VERSION` grows with every change of the table.

Why this order. A reply to RCPT that cannot be paired with its command, or that contradicts itself, says
nothing (first rules). What the second try with a real sender showed is stronger than any wording, but for a
blocklist's. Wording about us is stronger than wording about the mailbox, which `phrases.py` sees to. What is
left is never "missing".
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from probe.core.facts import Codes, Ended, Facts, Got, Grip, Real, Sender, Step
from probe.core.model import About, TlsMode
from probe.core.network_rules import CONNECTION_RULES, PATH_RULES
from probe.core.rule import CERTAIN, PROBABLE, UNCERTAIN, Rule
from probe.core.rule import any_of as _set

if TYPE_CHECKING:
    from collections.abc import Iterable

RULES_VERSION = 2

ANSWERS = _set(Ended.ACCEPTED, Ended.NOT_VERIFIED, Ended.REFUSED, Ended.DEFERRED, Ended.ODD_CODE)
NEGATIVE = _set(Ended.REFUSED, Ended.DEFERRED)
FIRM = _set(Grip.WORDS, Grip.ENHANCED)

AT_RCPT = _set(Got.RCPT)
AT_MAIL = _set(Got.MAIL)

_READING_RULES = (
    # Replies that cannot be trusted come first: they would look like an answer.
    Rule(
        "rcpt-out-of-step",
        "rcpt.out-of-step",
        UNCERTAIN,
        "{host} sent more replies than it got commands, so {reply} may answer another command than RCPT.",
        got=AT_RCPT,
        ended=ANSWERS,
        step=_set(Step.OUT_OF_STEP),
    ),
    Rule(
        "rcpt-mixed-codes",
        "rcpt.mixed-reply",
        UNCERTAIN,
        "The lines of one reply of {host} to RCPT carry contradicting codes: {reply}.",
        got=AT_RCPT,
        ended=ANSWERS,
        codes=_set(Codes.CONTRADICT),
    ),
    # Accepted.
    Rule(
        "rcpt-accepted",
        "rcpt.accepted",
        CERTAIN,
        "{host} [{ip}] accepts {mailbox}: {reply}.",
        got=AT_RCPT,
        ended=_set(Ended.ACCEPTED),
        step=_set(Step.IN_STEP),
    ),
    Rule(
        "rcpt-accepted-unconfirmed",
        "rcpt.accepted",
        PROBABLE,
        "{host} [{ip}] accepts {mailbox}: {reply}; it did not answer QUIT as it should, which would confirm it.",
        got=AT_RCPT,
        ended=_set(Ended.ACCEPTED),
    ),
    Rule(
        "rcpt-accepted-not-verified",
        "rcpt.accepted-not-verified",
        CERTAIN,
        "{host} [{ip}] takes {mailbox} without a promise: {reply}.",
        got=AT_RCPT,
        ended=_set(Ended.NOT_VERIFIED),
    ),
    # A list of those who send bounces or callouts (backscatterer.org) is used against the null sender only,
    # so that a real sender is taken: it is still our address that is listed.
    Rule(
        "mail-blocklisted",
        "mail.blocklisted",
        CERTAIN,
        "{host} [{ip}] refused MAIL FROM:<{mail_from}> because of a blocklist or reputation: {reply}.",
        got=AT_MAIL,
        ended=NEGATIVE,
        about=_set(About.BLOCKLIST),
        grip=FIRM,
    ),
    # The second try with a real sender, where it was made, outweighs wording.
    Rule(
        "rcpt-null-refused-real-accepted",
        "rcpt.null-sender-refused",
        CERTAIN,
        "{host} [{ip}] refuses {mailbox} to the null sender ({reply}) and accepts it from a real one.",
        got=AT_RCPT,
        ended=_set(Ended.REFUSED),
        real=_set(Real.ACCEPTED),
    ),
    Rule(
        "rcpt-real-says-missing",
        "rcpt.user-unknown",
        CERTAIN,
        "{host} [{ip}] refuses {mailbox} to the null sender ({reply}), and names it unknown to a real one.",
        got=AT_RCPT,
        ended=_set(Ended.REFUSED),
        real=_set(Real.RCPT_MISSING),
    ),
    Rule(
        "rcpt-real-says-missing-by-code",
        "rcpt.user-unknown",
        PROBABLE,
        "{host} [{ip}] refuses {mailbox} to the null sender ({reply}), and to a real one as unknown, by its code.",
        got=AT_RCPT,
        ended=_set(Ended.REFUSED),
        real=_set(Real.RCPT_MISSING_BY_CODE),
    ),
    Rule(
        "mail-real-says-missing",
        "rcpt.user-unknown",
        CERTAIN,
        "{host} [{ip}] refuses MAIL FROM:<>, and to a real sender it names {mailbox} unknown.",
        got=AT_MAIL,
        ended=_set(Ended.REFUSED),
        real=_set(Real.RCPT_MISSING),
    ),
    Rule(
        "mail-real-says-missing-by-code",
        "rcpt.user-unknown",
        PROBABLE,
        "{host} [{ip}] refuses MAIL FROM:<>, and to a real sender {mailbox} as unknown, by its code.",
        got=AT_MAIL,
        ended=_set(Ended.REFUSED),
        real=_set(Real.RCPT_MISSING_BY_CODE),
    ),
    *(
        Rule(
            f"{stage}-real-blocked",
            f"{stage}.refused",
            PROBABLE,
            "{host} [{ip}] refuses the null sender ({reply}), and a real one in words about us.",
            got=_set(got),
            ended=_set(Ended.REFUSED),
            real=_set(Real.RCPT_BLOCKED),
        )
        for got, stage in ((Got.MAIL, "mail"), (Got.RCPT, "rcpt"))
    ),
    Rule(
        "mail-null-refused-real-accepted",
        "mail.null-sender-refused",
        CERTAIN,
        "{host} [{ip}] refuses MAIL FROM:<> ({reply}) and takes a real sender.",
        got=AT_MAIL,
        ended=_set(Ended.REFUSED),
        real=_set(Real.ACCEPTED),
    ),
    Rule(
        "mail-null-refused-real-taken",
        "mail.null-sender-refused",
        PROBABLE,
        "{host} [{ip}] refuses MAIL FROM:<> ({reply}) and takes MAIL from a real sender.",
        got=AT_MAIL,
        ended=_set(Ended.REFUSED),
        real=_set(Real.MAIL_ACCEPTED, Real.RCPT_REFUSED),
    ),
    # What the words say of the mailbox and the domain.
    Rule(
        "rcpt-full",
        "rcpt.mailbox-full",
        CERTAIN,
        "{host} [{ip}] says that the mailbox {mailbox} is full, so it exists: {reply}.",
        got=AT_RCPT,
        ended=NEGATIVE,
        about=_set(About.FULL),
        grip=FIRM,
    ),
    Rule(
        "rcpt-full-by-code",
        "rcpt.mailbox-full",
        PROBABLE,
        "{host} [{ip}] answers with the code of a full mailbox: {reply}.",
        got=AT_RCPT,
        ended=NEGATIVE,
        about=_set(About.FULL),
    ),
    Rule(
        "rcpt-user-unknown",
        "rcpt.user-unknown",
        CERTAIN,
        "{host} [{ip}] says that {mailbox} does not exist: {reply}.",
        got=AT_RCPT,
        ended=_set(Ended.REFUSED),
        about=_set(About.MISSING_MAILBOX),
        grip=_set(Grip.WORDS),
    ),
    Rule(
        "rcpt-user-unknown-by-code",
        "rcpt.user-unknown",
        PROBABLE,
        "{host} [{ip}] refuses {mailbox} with the code of an unknown mailbox: {reply}.",
        got=AT_RCPT,
        ended=_set(Ended.REFUSED),
        about=_set(About.MISSING_MAILBOX),
        grip=_set(Grip.ENHANCED),
    ),
    Rule(
        "rcpt-user-disabled",
        "rcpt.user-disabled",
        CERTAIN,
        "{host} [{ip}] says that the mailbox {mailbox} is disabled: {reply}.",
        got=AT_RCPT,
        ended=_set(Ended.REFUSED),
        about=_set(About.DISABLED),
        grip=_set(Grip.WORDS),
    ),
    Rule(
        "rcpt-user-disabled-by-code",
        "rcpt.user-disabled",
        PROBABLE,
        "{host} [{ip}] refuses {mailbox} with the code of a disabled mailbox: {reply}.",
        got=AT_RCPT,
        ended=_set(Ended.REFUSED),
        about=_set(About.DISABLED),
        grip=_set(Grip.ENHANCED),
    ),
    Rule(
        "rcpt-domain-takes-no-mail",
        "rcpt.domain-takes-no-mail",
        CERTAIN,
        "{host} [{ip}] says that the domain {domain} takes no mail: {reply}.",
        got=AT_RCPT,
        ended=_set(Ended.REFUSED),
        about=_set(About.NO_MAIL_DOMAIN),
    ),
    Rule(
        "rcpt-domain-not-served",
        "rcpt.domain-not-served",
        CERTAIN,
        "{host} [{ip}] says that it does not take mail for {domain}: {reply}.",
        got=AT_RCPT,
        ended=_set(Ended.REFUSED),
        about=_set(About.MISSING_DOMAIN),
        grip=_set(Grip.WORDS),
    ),
    Rule(
        "rcpt-relay-denied",
        "rcpt.domain-not-served",
        PROBABLE,
        "{host} [{ip}] does not relay to {domain}, so it is not its mail host: {reply}.",
        got=AT_RCPT,
        ended=_set(Ended.REFUSED),
        about=_set(About.RELAY, About.MISSING_DOMAIN),
        grip=FIRM,
    ),
    Rule(
        "rcpt-unknown-for-now",
        "rcpt.unknown-for-now",
        PROBABLE,
        "{host} [{ip}] says that {mailbox} is unknown, but only for now: {reply}.",
        got=AT_RCPT,
        ended=_set(Ended.DEFERRED),
        about=_set(About.MISSING_MAILBOX, About.DISABLED, About.MISSING_DOMAIN),
    ),
    Rule(
        "rcpt-greylisted",
        "rcpt.greylisted",
        CERTAIN,
        "{host} [{ip}] greylists: {reply}.",
        got=AT_RCPT,
        ended=NEGATIVE,
        about=_set(About.GREYLIST),
    ),
    Rule(
        "rcpt-null-sender-words",
        "rcpt.null-sender-refused",
        PROBABLE,
        "{host} [{ip}] refuses {mailbox} to the null sender, by its words: {reply}.",
        got=AT_RCPT,
        ended=_set(Ended.REFUSED),
        about=_set(About.NULL_SENDER),
        real=_set(Real.UNTESTED, Real.UNCLEAR, Real.MAIL_ACCEPTED),
        sender=_set(Sender.NULL),
    ),
    Rule(
        "mail-null-sender-words",
        "mail.null-sender-refused",
        PROBABLE,
        "{host} [{ip}] refuses the null sender, by its words: {reply}.",
        got=AT_MAIL,
        ended=_set(Ended.REFUSED),
        about=_set(About.NULL_SENDER),
        real=_set(Real.UNTESTED, Real.UNCLEAR),
        sender=_set(Sender.NULL),
    ),
    *(
        Rule(
            f"{stage}-null-sender-by-postfix",
            f"{stage}.null-sender-refused",
            PROBABLE,
            "{host} [{ip}] refuses the sender, which was the null sender: {reply}.",
            got=_set(got),
            ended=_set(Ended.REFUSED),
            about=_set(About.OUR_SENDER),
            real=_set(Real.UNTESTED, Real.UNCLEAR),
            sender=_set(Sender.NULL),
        )
        for got, stage in ((Got.MAIL, "mail"), (Got.RCPT, "rcpt"))
    ),
    Rule(
        "mail-refused-to-real-sender-too",
        "mail.refused",
        PROBABLE,
        "{host} [{ip}] refuses the null sender ({reply}) and a real sender too, so it refuses us.",
        got=AT_MAIL,
        ended=_set(Ended.REFUSED),
        about=_set(About.OUR_SENDER, About.NULL_SENDER),
        real=_set(Real.MAIL_REFUSED),
    ),
    Rule(
        "banner-host-takes-no-mail",
        "banner.host-takes-no-mail",
        PROBABLE,
        "{host} [{ip}] greets with 521, it never takes mail: {reply}.",
        got=_set(Got.BANNER),
        ended=_set(Ended.REFUSED),
        about=_set(About.NO_MAIL_HOST),
    ),
)

_STAGE_WORDS = {
    Got.BANNER: ("banner", "the connection"),
    Got.HELO: ("helo", "our EHLO and HELO"),
    Got.MAIL: ("mail", "MAIL FROM:<{mail_from}>"),
    Got.RCPT: ("rcpt", "RCPT TO:<{mailbox}>"),
}


def _about_us() -> Iterable[Rule]:
    """Give the rules for refusals of us, the same at every stage.

    Before MAIL no sender has been named that could be refused.
    """
    for got, (stage, what) in _STAGE_WORDS.items():
        at = _set(got)
        for name, reason, about, says in (
            ("blocklisted", "blocklisted", _set(About.BLOCKLIST), "because of a blocklist or reputation"),
            ("rdns", "rdns-required", _set(About.RDNS), "because of the reverse name of our address"),
            ("helo-name", "helo-rejected", _set(About.HELO), "because of our HELO name"),
            ("auth", "authentication-required", _set(About.AUTH), "because we did not log in"),
            ("our-sender", "sender-refused", _set(About.OUR_SENDER), "because of the sender we gave"),
            ("policy", "refused", _set(About.POLICY), "by policy"),
        ):
            if (stage, name) == ("mail", "blocklisted"):
                continue  # it stands further up
            if name == "our-sender" and got in {Got.BANNER, Got.HELO}:
                continue
            yield Rule(
                f"{stage}-{name}",
                f"{stage}.{reason}",
                CERTAIN,
                f"{{host}} [{{ip}}] refused {what} {says}: {{reply}}.",
                got=at,
                ended=NEGATIVE,
                about=about,
                grip=FIRM,
            )
        yield Rule(
            f"{stage}-policy-vague",
            f"{stage}.refused",
            PROBABLE if got is Got.RCPT else CERTAIN,  # before RCPT nobody else can be meant
            f"{{host}} [{{ip}}] refused {what} in words that name nobody: {{reply}}.",
            got=at,
            ended=NEGATIVE,
            about=_set(About.POLICY),
            grip=_set(Grip.VAGUE),
        )
        yield Rule(
            f"{stage}-rate-limited",
            f"{stage}.rate-limited",
            CERTAIN,
            f"{{host}} [{{ip}}] put {what} off, we ask too often: {{reply}}.",
            got=at,
            ended=NEGATIVE,
            about=_set(About.RATE),
        )


_TLS_RULES = (
    Rule(
        "tls-needed-but-off",
        "tls.needed-but-off",
        CERTAIN,
        "{host} [{ip}] wants TLS ({reply}), and --tls never forbade it.",
        got=_set(Got.MAIL, Got.RCPT, Got.HELO),
        ended=NEGATIVE,
        about=_set(About.TLS),
        tls=_set(TlsMode.NEVER),
    ),
    Rule(
        "tls-required-by-peer",
        "mail.tls-required",
        CERTAIN,
        "{host} [{ip}] refuses mail without TLS, and TLS could not be had: {reply}.",
        got=_set(Got.MAIL, Got.RCPT),
        ended=NEGATIVE,
        about=_set(About.TLS),
    ),
    Rule(
        "tls-not-offered",
        "tls.not-available",
        CERTAIN,
        "{host} [{ip}] offers no STARTTLS, and --tls require was given.",
        ended=_set(Ended.NO_STARTTLS),
    ),
    Rule(
        "tls-required-and-failed",
        "tls.not-available",
        CERTAIN,
        "STARTTLS with {host} [{ip}] failed ({errno}), and --tls require was given.",
        got=_set(Got.TLS),
        tls=_set(TlsMode.REQUIRE),
        ended=_set(
            Ended.TLS_FAILED, Ended.TIMEOUT, Ended.CLOSED, Ended.RESET, Ended.MALFORMED, Ended.ENDLESS,
            Ended.REFUSED, Ended.DEFERRED, Ended.ODD_CODE,
        ),
    ),
    Rule(
        "tls-failed",
        "tls.failed",
        PROBABLE,
        "STARTTLS with {host} [{ip}] failed: {errno}.",
        got=_set(Got.TLS),
        ended=_set(
            Ended.TLS_FAILED, Ended.TIMEOUT, Ended.CLOSED, Ended.RESET, Ended.MALFORMED, Ended.ENDLESS,
            Ended.REFUSED, Ended.DEFERRED, Ended.ODD_CODE,
        ),
    ),
    Rule(
        "smtputf8-not-offered",
        "rcpt.smtputf8-not-offered",
        CERTAIN,
        "{host} [{ip}] does not offer SMTPUTF8, without which {mailbox} cannot be sent.",
        ended=_set(Ended.NO_SMTPUTF8),
    ),
)  # fmt: skip


def _plain() -> Iterable[Rule]:
    """Give the rules for what needs no wording: plain codes, silence, closes, garbage."""
    yield Rule(
        "banner-refused",
        "banner.refused",
        UNCERTAIN,
        "{host} [{ip}] refuses the connection before anything was said: {reply}.",
        got=_set(Got.BANNER),
        ended=_set(Ended.REFUSED),
    )
    yield Rule(
        "helo-refused",
        "helo.refused",
        UNCERTAIN,
        "{host} [{ip}] refuses EHLO and HELO: {reply}.",
        got=_set(Got.HELO),
        ended=_set(Ended.REFUSED),
    )
    yield Rule(
        "mail-refused-to-any-sender",
        "mail.refused",
        PROBABLE,
        "{host} [{ip}] refuses the null sender ({reply}) and a real sender too, so it refuses us.",
        got=AT_MAIL,
        ended=_set(Ended.REFUSED),
        real=_set(Real.MAIL_REFUSED),
    )
    yield Rule(
        "mail-refused-chosen-sender",
        "mail.sender-refused",
        PROBABLE,
        "{host} [{ip}] refuses MAIL FROM:<{mail_from}>: {reply}.",
        got=AT_MAIL,
        ended=_set(Ended.REFUSED),
        sender=_set(Sender.REAL),
    )
    yield Rule(
        "mail-refused-unread",
        "mail.unattributed",
        UNCERTAIN,
        "{host} [{ip}] refuses MAIL FROM:<>, and what it says to a real sender is not known: {reply}.",
        got=AT_MAIL,
        ended=_set(Ended.REFUSED),
    )
    yield Rule(
        "rcpt-refused-to-real-sender-too",
        "rcpt.unattributed",
        UNCERTAIN,
        "{host} [{ip}] refuses {mailbox} to the null sender and to a real one, in words that leave open why: {reply}.",
        got=AT_RCPT,
        ended=_set(Ended.REFUSED),
        real=_set(Real.MAIL_REFUSED, Real.RCPT_REFUSED),
    )
    yield Rule(
        "rcpt-refused-unread",
        "rcpt.unattributed",
        UNCERTAIN,
        "{host} [{ip}] refuses {mailbox} in words that leave open who is meant: {reply}.",
        got=AT_RCPT,
        ended=_set(Ended.REFUSED),
    )
    for got, reason, what in (
        (Got.BANNER, "banner.busy", "greets with"),
        (Got.HELO, "helo.deferred", "answers EHLO and HELO with"),
        (Got.MAIL, "mail.deferred", "answers MAIL with"),
        (Got.RCPT, "rcpt.deferred", "answers the address with"),
    ):
        yield Rule(
            reason.replace(".", "-"),
            reason,
            CERTAIN,
            f"{{host}} [{{ip}}] {what} a not-now: {{reply}}.",
            got=_set(got),
            ended=_set(Ended.DEFERRED),
        )
    for got, (stage, what) in _STAGE_WORDS.items():
        at = _set(got)
        due = "its greeting" if got is Got.BANNER else f"its answer to {what}"
        yield Rule(
            f"{stage}-timeout",
            f"{stage}.timeout",
            PROBABLE if got is Got.BANNER else UNCERTAIN,
            f"{{host}} [{{ip}}] took the connection, but {due} did not come within {{seconds}} s.",
            got=at,
            ended=_set(Ended.TIMEOUT),
        )
        yield Rule(
            f"{stage}-closed",
            f"{stage}.closed",
            PROBABLE,
            f"{{host}} [{{ip}}] closed the connection before {due}.",
            got=at,
            ended=_set(Ended.CLOSED),
        )
        yield Rule(
            f"{stage}-reset",
            f"{stage}.reset",
            UNCERTAIN,
            f"The connection to {{host}} [{{ip}}] was reset before {due}.",
            got=at,
            ended=_set(Ended.RESET),
        )
        yield Rule(
            f"{stage}-malformed",
            "banner.not-smtp" if got is Got.BANNER else f"{stage}.malformed",
            CERTAIN,
            f"What {{host}} [{{ip}}] sent instead of {due} is no SMTP reply: {{reply}}.",
            got=at,
            ended=_set(Ended.MALFORMED),
        )
        yield Rule(
            f"{stage}-endless",
            f"{stage}.endless",
            CERTAIN,
            f"{{host}} [{{ip}}] sent without end instead of {due}.",
            got=at,
            ended=_set(Ended.ENDLESS),
        )
        yield Rule(
            f"{stage}-odd-code",
            f"{stage}.odd-code",
            CERTAIN,
            f"{{host}} [{{ip}}] answered {what} with a code that has no meaning there: {{reply}}.",
            got=at,
            ended=_set(Ended.ODD_CODE, Ended.NOT_VERIFIED),
        )


_LAST = (
    Rule(
        "cut-short",
        "run.cut-short",
        UNCERTAIN,
        "The run ended {seconds} s into the wait for {awaited} of {host} [{ip}].",
        ended=_set(Ended.CUT_SHORT, Ended.UNTESTED),
    ),
    Rule(
        "no-rule",
        "evidence.unexpected",
        UNCERTAIN,
        "The evidence about {host} [{ip}] has a shape that no rule knows.",
    ),
)
"""What is left when nothing was seen to its end."""


HOST_RULES: tuple[Rule, ...] = (
    *PATH_RULES,
    *_READING_RULES,
    *_about_us(),
    *_TLS_RULES,
    *_plain(),
    *CONNECTION_RULES,
    *_LAST,
)
"""The table, in order."""


ROWS = 512
"""Rows that are remembered. A batch meets some dozens of the many that there could be."""


@lru_cache(maxsize=ROWS)  # the row is all that the table sees, and equal rows get equal answers
def decide(facts: Facts) -> tuple[Rule, tuple[str, ...]]:
    """Give the rule that wins, and the ids of all that match, the winner first."""
    fired = [rule for rule in HOST_RULES if rule.matches(facts)]
    return fired[0], tuple(rule.id for rule in fired)
