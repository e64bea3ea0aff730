"""Which words `explain` knows, and where each is explained. What a word does not need is not loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from probe.core.model import About, Cause
from probe.core.reasons import REASONS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from probe.show.glossary.entry import Entry, Listing

LISTS = {
    "readings": "what a refusal can be about, and its phrases",
    "rules": "the rules that judge a mail host and a domain",
    "audit": "the requirements of RFC 2821/5321, as a table",
}
"""Words that list others."""


def listing(name: str | None) -> Listing:
    """Give a list of words by its name; without one, that of the causes and reasons."""
    if name == "readings":
        from probe.show.glossary import readings

        return readings.listing()
    if name == "rules":
        from probe.show.glossary import rules

        return rules.listing()
    if name == "audit":
        from probe.show.glossary import requirements

        return requirements.listing()
    from probe.show.glossary import causes

    return causes.listing()


def meanings(word: str) -> list[Entry]:
    """Give all that a word means, in lower case; nothing where it is not known.

    A cause and a reason are looked up without the other tables. `words` and a test see to it that no table
    uses their words again; only a reading may have the name of a cause (`temporary`).
    """
    if word in REASONS:
        from probe.show.glossary import causes

        return [causes.reason(REASONS[word])]
    if word in set(Cause):
        from probe.show.glossary import causes

        return [causes.cause(Cause(word)), *_reading(word)]
    from probe.core.rfc.requirements import REQUIREMENTS
    from probe.show.glossary import requirements, rules

    asked = REQUIREMENTS.get(word)
    rule = rules.rule(word)
    return [
        *_reading(word),
        *_row(word),
        *([requirements.requirement(asked)] if asked else []),
        *([rule] if rule else []),
    ]


def words() -> Iterator[str]:
    """List every word; one that means several things is given several times."""
    from probe.core.rfc.requirements import REQUIREMENTS
    from probe.show.glossary import phrases, rules

    yield from Cause
    yield from REASONS
    yield from About
    yield from phrases.words()
    yield from REQUIREMENTS
    yield from rules.words()


def _reading(word: str) -> list[Entry]:
    if word not in set(About):
        return []
    from probe.show.glossary import readings

    return [readings.reading(About(word))]


def _row(word: str) -> list[Entry]:
    from probe.core.phrasebook import TABLE
    from probe.show.glossary import phrases

    found = [phrases.row(row) for row in TABLE if row.id == word]
    computed = phrases.computed(word)
    return [*found, *([computed] if computed else [])]
