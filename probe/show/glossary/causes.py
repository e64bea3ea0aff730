"""The causes and the reasons: what each means, what was typically seen, and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from probe.core.reasons import CAUSES, REASONS, TYPICAL
from probe.show.glossary.entry import Entry, Group, Item, Kind, Listing, Section
from probe.show.wording import SIDES, WHO

if TYPE_CHECKING:
    from probe.core.model import Cause
    from probe.core.reasons import ReasonRow

GENERAL = {
    "wait": "the time it names, or after 5 to 15 minutes",
    "mailbox": "the sender's address",
    "domain": "the sender's domain",
    "host": "the mail host",
    "ip": "the mail host's IP",
    "port": "25",
    "local_ip": "our IP",
    "helo": "our HELO name",
    "mail_from": "our sender",
    "errno": "the error",
    "seconds": "some",
    "awaited": "the answer",
    "reply": "the reply",
    "refuser": "the router that rejects",
    "refuser_at": "the hop that answers",
    "loop": "the routers in the loop",
}
"""What stands for the values of a case where a reason is explained without one."""


def cause(word: Cause) -> Entry:
    """Explain a cause."""
    code, means = CAUSES[word]
    rows = [row for row in REASONS.values() if row.cause is word]
    reasons = tuple(Item(row.word, (row.means.format_map(GENERAL),)) for row in rows)
    return Entry(
        kind=Kind.CAUSE,
        word=word,
        heading=f"exit code {code}",
        means=means,
        example=REASONS[TYPICAL[word]].example,
        sections=(Section("Reasons:", reasons, apart=True),),
        fields={"cause": word, "exit": code, "reasons": [row.word for row in rows]},
    )


def reason(row: ReasonRow) -> Entry:
    """Explain a reason."""
    code, means = CAUSES[row.cause]
    steps = [(who, what.format_map(GENERAL)) for who, what in row.steps]
    return Entry(
        kind=Kind.REASON,
        word=row.word,
        heading="reason",
        means=row.means.format_map(GENERAL),
        example=row.example,
        facts=(
            ("Cause", f"{row.cause} (exit code {code}): {means}"),
            ("Who acts", SIDES[row.side]),
            ("Reference", row.ref),
        ),
        sections=(
            Section("Next steps:", tuple(Item(WHO[who], (what,)) for who, what in steps), numbered=True),
        ),
        fields={
            "reason": row.word,
            "cause": row.cause,
            "exit": code,
            "side": row.side,
            "reference": row.ref,
            "next_steps": [{"who": who, "do": what} for who, what in steps],
        },
    )


def listing() -> Listing:
    """List the causes, each with its reasons."""
    groups = []
    for word, (code, means) in CAUSES.items():
        reasons = tuple(reason(row) for row in REASONS.values() if row.cause is word)
        groups.append(Group(f"{word} (exit code {code}): {means}", reasons, cause(word)))
    return Listing(
        title="Causes and reasons",
        about="The causes, each with its exit code and its reasons. `probe-sender explain WORD` says more of each.",
        groups=tuple(groups),
    )
