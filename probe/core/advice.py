"""What to do next: the steps of a reason with the values of this case filled in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from probe.core.model import Cause, MtaOutcome, NextStep, Who
from probe.core.reasons import EXEMPT
from probe.core.sentences import fill

if TYPE_CHECKING:
    from probe.core.model import Mta
    from probe.core.reasons import ReasonRow


def next_steps(
    row: ReasonRow, fields: dict[str, str], mta: Mta | None, *, on_the_way: bool
) -> tuple[NextStep, ...]:
    """Give the steps in the order they should be taken.

    `on_the_way` is whether the fault lies between us and them, so that their admin can do least about it.

    A sender that exists may be refused all the same: Exim takes another mail host's 5xx as final, and gives up
    after four silent ones. Then "it works from here" would not help, and the steps say what would; a full mailbox
    has steps that do. Where Exim
    rejects, `defer_ok` in its callout changes nothing, so it is not advised.
    """
    steps = row.steps
    exim = mta.exim.outcome if mta is not None and mta.exim is not None else None
    if row.cause is Cause.SENDER_EXISTS and EXEMPT not in steps and exim not in {MtaOutcome.ACCEPT, None}:
        steps = (_MEND_THE_OTHERS, EXEMPT)
    elif on_the_way:
        steps = tuple(sorted(steps, key=lambda step: (step is EXEMPT, step[0] is Who.THEIR_ADMIN)))
    if exim is MtaOutcome.REJECT:
        steps = tuple(_EXEMPT_ONLY if step is EXEMPT else step for step in steps)
    return tuple(NextStep(who, fill(what, fields)) for who, what in steps)


_EXEMPT_ONLY = (
    EXEMPT[0],
    (
        "If the mail is wanted meanwhile, exempt the relay (the IP after H= in your log, not {ip}) from verification;"
        " defer_ok would not help, because Exim takes a refusal as final."
    ),
)
_MEND_THE_OTHERS = (
    Who.THEIR_ADMIN,
    (
        "Mend the mail hosts of {domain} that do not accept as {host} does, or take them out of its MX records: Exim"
        " stops at the first refusal, at what it cannot read, and after four silent ones."
    ),
)
