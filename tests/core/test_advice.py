"""The next steps, as what the mail server does changes them."""

from __future__ import annotations

from collections import defaultdict

from probe.core.advice import next_steps
from probe.core.classify import judge
from probe.core.model import MtaOutcome, Who
from probe.core.reasons import EXEMPT, REASONS
from tests.support import make
from tests.support.every import every

FIELDS: defaultdict[str, str] = defaultdict(lambda: "value")


def said(reason: str, outcome: MtaOutcome) -> str:
    steps = next_steps(REASONS[reason], FIELDS, make.mta(outcome), on_the_way=False)
    return " ".join(step.do for step in steps)


@every("reason", [row.word for row in REASONS.values() if EXEMPT in row.steps])
def test_defer_ok_is_advised_where_exim_defers_and_not_where_it_rejects(reason: str) -> None:
    assert "callout=30s,defer_ok" in said(reason, MtaOutcome.DEFER)
    assert "defer_ok would not help" in said(reason, MtaOutcome.REJECT)


def test_a_sender_that_exists_and_is_refused_needs_another_mend() -> None:
    assert "mail hosts" in said("rcpt.accepted", MtaOutcome.REJECT)
    assert "defer_ok would not help" in said("rcpt.accepted", MtaOutcome.REJECT)
    assert "exempt" not in said("rcpt.accepted", MtaOutcome.ACCEPT)


def test_a_full_mailbox_is_mended_by_its_owner_and_not_by_other_mail_hosts() -> None:
    assert "Make room" in said("rcpt.mailbox-full", MtaOutcome.REJECT)
    assert "MX records" not in said("rcpt.mailbox-full", MtaOutcome.REJECT)


def test_what_is_on_the_way_is_not_for_their_admin_first() -> None:
    steps = next_steps(REASONS["connect.port-filtered"], FIELDS, make.mta(MtaOutcome.DEFER), on_the_way=True)
    assert steps[0].who is not Who.THEIR_ADMIN
    assert "exempt the relay" in steps[-1].do


def test_a_delay_that_is_named_is_repeated() -> None:
    session = make.session(*make.conversation("450 4.2.0 Greylisted, come back in 300 seconds"))
    steps = judge(make.evidence(make.host(session))).next_steps
    assert steps[0].do == "Probe again from the same address after 5 min, the time that it names."
    session = make.session(*make.conversation("450 4.2.0 Greylisted"))
    steps = judge(make.evidence(make.host(session))).next_steps
    assert steps[0].do == "Probe again from the same address after 5 to 15 minutes."
