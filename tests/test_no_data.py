"""No message can leave this program: nothing in the core or the adapters can say DATA."""

from __future__ import annotations

import io
import re
import tokenize
from pathlib import Path

import pytest

import probe
from tests.support.every import every

ROOT = Path(probe.__file__).parent
FILES = sorted(path for part in ("core", "net") for path in (ROOT / part).rglob("*.py"))

# What an SMTP server would take for the command, and the calls of aiosmtplib and smtplib that send it.
VERB = re.compile(r"\b(?:DATA|BDAT)\b")
CALLS = {"execute_data_command", "sendmail", "send_message"}


def ways_to_send(source: str) -> list[str]:
    """List the tokens of a source that could send a message; comments and docstrings are not among them."""
    found = []
    fresh = True  # at the start of a statement, where a string is a docstring
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.STRING and not fresh and VERB.search(token.string):
            found.append(f"line {token.start[0]}: {token.string}")
        if token.type == tokenize.NAME and token.string in CALLS:
            found.append(f"line {token.start[0]}: {token.string}")
        if token.type not in {tokenize.COMMENT, tokenize.NL}:
            fresh = token.type in {tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENCODING}
    return found


@every("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_nothing_can_send_a_message(path: Path) -> None:
    assert ways_to_send(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "source",
    [
        'send(b"DATA\\r\\n")',
        "COMMAND = 'DATA'",
        "await client.sendmail(a, b, c)",
        "protocol.execute_data_command(message)",
        "client.send_message(m)",
        'wire.write(b"BDAT 10 LAST")',
    ],
)
def test_the_search_finds_what_it_looks_for(source: str) -> None:
    assert ways_to_send(source)


def test_prose_is_no_way_to_send() -> None:
    assert ways_to_send('"""There is no DATA here."""\n# DATA\nx = 1\n"""Nor DATA here."""\n') == []
