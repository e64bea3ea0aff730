"""Documentation cannot rot: every flag, cause, reason, exit code and JSON field is documented.

The pages of words in `docs` are made from the tables: `python -m tests.test_docs` writes them anew.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from probe.cli.parsers import diagnosis, explanation
from probe.codec import schema
from probe.core.reasons import CAUSES
from probe.show.glossary import causes, readings, requirements, rules
from probe.show.glossary.entry import listing_as_markdown

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()


PAGES = {
    "reasons.md": lambda: listing_as_markdown(causes.listing()),
    "readings.md": lambda: listing_as_markdown(readings.listing()),
    "requirements.md": lambda: listing_as_markdown(requirements.listing()),
    "rules.md": rules.page,
}
"""Pages that are made from the tables; `probe-sender explain` says the same of each word."""


def fields(node: object) -> Iterator[str]:
    """Give every property name of a JSON Schema."""
    if isinstance(node, dict):
        yield from node.get("properties", {})
        for value in node.values():
            yield from fields(value)
    elif isinstance(node, list):
        for value in node:
            yield from fields(value)


@pytest.mark.parametrize("name", PAGES)
def test_the_pages_of_words_are_those_of_the_tables(name: str) -> None:
    assert (ROOT / "docs" / name).read_text() == PAGES[name]()


def test_every_cause_and_exit_code_is_in_the_readme() -> None:
    for cause, (code, _) in CAUSES.items():
        assert re.search(rf"^\| `{cause}` \|.*\| {code} \|$", README, re.MULTILINE)


@pytest.mark.parametrize("parser", [diagnosis(), explanation()], ids=["diagnose", "explain"])
def test_every_option_has_help(parser: object) -> None:
    for action in parser._actions:  # type: ignore[attr-defined]  # argparse has no public list of them
        assert action.help, action.option_strings


def test_every_option_of_the_diagnosis_is_in_the_page_of_options() -> None:
    page = (ROOT / "docs" / "options.md").read_text()
    for action in diagnosis()._actions:
        for option in action.option_strings:
            assert f"`{option}" in page, option


def test_every_json_field_is_in_the_page_of_the_report() -> None:
    page = (ROOT / "docs" / "report.md").read_text()
    missing = sorted({name for name in fields(schema()) if f"`{name}`" not in page})
    assert missing == []


if __name__ == "__main__":
    for page, text in PAGES.items():
        (ROOT / "docs" / page).write_text(text())
