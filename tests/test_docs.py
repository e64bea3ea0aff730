"""Documentation cannot rot: every flag, cause, reason, exit code and JSON field is documented.

`docs/reasons.md` is made from the table of reasons: `python -m tests.test_docs` writes it anew.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from probe.cli.explain import GENERAL
from probe.cli.options import diagnosis, explanation
from probe.codec import schema
from probe.core.reasons import CAUSES, REASONS

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()


def reasons_page() -> str:
    """Give the page as it has to be."""
    out = ["# Causes and reasons", ""]
    out += ["Made from `probe/core/reasons.py`; `probe-sender explain WORD` says the same.", ""]
    for cause, (code, means) in CAUSES.items():
        out += [f"## {cause} (exit code {code})", "", means, ""]
        for row in REASONS.values():
            if row.cause is cause:
                out += [f"### `{row.word}`", "", row.means.format_map(GENERAL), ""]
                out += [f"Who acts: {row.side}. Reference: {row.ref}.", ""]
                steps = enumerate(row.steps, 1)
                out += [f"{n}. **{who}**: {what.format_map(GENERAL)}" for n, (who, what) in steps]
                out += [""]
    return "\n".join(out)


def fields(node: object) -> Iterator[str]:
    """Give every property name of a JSON Schema."""
    if isinstance(node, dict):
        yield from node.get("properties", {})
        for value in node.values():
            yield from fields(value)
    elif isinstance(node, list):
        for value in node:
            yield from fields(value)


def test_the_page_of_reasons_is_that_of_the_table() -> None:
    assert (ROOT / "docs" / "reasons.md").read_text() == reasons_page()


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
    (ROOT / "docs" / "reasons.md").write_text(reasons_page())
