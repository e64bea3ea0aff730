"""No view obeys, loses its shape over, or fails on anything that a report may hold."""

from __future__ import annotations

import csv
import io
import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from probe.core.model import Report
from probe.show import history, letter, markdown, spreadsheet, text
from probe.show.letters import Reader
from tests.show import samples
from tests.support.arbitrary import HOSTILE, examples, poisoned, struct
from tests.support.every import every

if TYPE_CHECKING:
    from collections.abc import Callable

SGR = re.compile(r"\x1b\[[0-9;]+m")
FENCE = re.compile(r"^(`{3,})text\n.*?^\1$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"(?<!`)(`+)(?!`).*?(?<!`)\1(?!`)")

VIEWS: dict[str, Callable[[Report], str]] = {
    "text": text.render,
    "verbose": lambda report: text.render(report, verbose=True),
    "colour": lambda report: SGR.sub("", text.render(report, verbose=True, color=True)),
    # Its own tabs are the one control character that a view writes besides the line feed.
    "quiet": lambda report: text.quiet(report).replace("\t", ""),
    "markdown": markdown.render,
    "csv": spreadsheet.row,
    "history": lambda report: history.render([report]),
    "support": lambda report: letter.render(report, Reader.SUPPORT),
    "customer": lambda report: letter.render(report, Reader.CUSTOMER, redact=True),
    "postmaster": lambda report: letter.render(report, Reader.POSTMASTER),
}


def check(report: Report) -> None:
    for name, view in VIEWS.items():
        page = view(report)
        assert page.endswith("\n"), name
        assert page.replace("\n", "").isprintable(), name
    check_quiet(text.quiet(report))
    check_csv(spreadsheet.row(report))
    check_markdown(markdown.render(report))


def check_quiet(line: str) -> None:
    assert line.count("\n") == 1
    assert line.count("\t") == 4


def check_csv(line: str) -> None:
    (fields,) = csv.reader(io.StringIO(line))
    assert len(fields) == len(spreadsheet.COLUMNS)
    for delimiter in ",;\t":
        (fields,) = csv.reader(io.StringIO(line), delimiter=delimiter)
        assert all(field.lstrip(' "')[:1] not in tuple("=+-@\t\r＝＋－＠") for field in fields)


def check_markdown(page: str) -> None:
    unfenced = FENCE.sub("", page)
    outside = CODE.sub("", unfenced)
    assert not set(outside) & set("`<>[]{}_~\\&@$^")
    # Our own marks are headings, bold names, lists and the table; none of them begins inside a line.
    assert all(re.match(r"#{2,3} ", line) for line in outside.splitlines() if "#" in line)
    rows = [line for line in unfenced.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in rows} <= {5}


@settings(max_examples=examples(0.6), deadline=None, suppress_health_check=list(HealthCheck))
@given(struct(Report))
def test_every_view_shows_any_report(report: Report) -> None:
    check(report)


@settings(max_examples=examples(0.6), deadline=None)
@given(HOSTILE, st.sampled_from(samples.ALL))
def test_one_text_in_every_string(poison: str, sample: Callable[[], Report]) -> None:
    check(poisoned(sample(), poison))


@settings(max_examples=examples(0.6), deadline=None)
@given(st.binary(max_size=80))
def test_any_bytes_of_a_peer_in_every_string(data: bytes) -> None:
    check(poisoned(samples.everything(), data.decode("latin-1")))


@every(
    "attack",
    [
        "\x1b[2J\x1b]0;owned\x07",
        "\x9b2J",
        "\xc2\x9b2J",
        "\r\nFake: line",
        "\u202emoc.elpmaxe",
        "=cmd|' /C calc'!A0",
        "<script>alert(1)</script>",
        "![x](http://example.com/x.png)",
        "| a | b |",
        "````\nout of the fence\n````",
        "@everyone #1 http://example.com/",
    ],
)
@pytest.mark.parametrize("sample", samples.ALL)
def test_known_attacks(sample: Callable[[], Report], attack: str) -> None:
    check(poisoned(sample(), attack))


@settings(max_examples=examples(0.6), deadline=None)
@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=400), st.integers(72, 160))
def test_ascii_text_never_passes_the_width(poison: str, width: int) -> None:
    report = poisoned(samples.everything(), poison)
    assert max(map(len, text.render(report, verbose=True, width=width).splitlines())) <= width


@pytest.mark.parametrize("sample", samples.ALL)
def test_views_are_pure(sample: Callable[[], Report]) -> None:
    for name, view in VIEWS.items():
        assert view(sample()) == view(sample()), name
