"""Log lines as tickets, mails and pages mangle them: whole again, they say what they said before."""

from __future__ import annotations

import re
import textwrap
from functools import cache
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.core.log.event import LogEvent, LogFault, LogKind
from probe.core.log.line import parse
from probe.core.log.pasted import mend

if TYPE_CHECKING:
    from collections.abc import Callable

LOGS = Path(__file__).parents[2] / "fixtures" / "logs"
FILES = sorted(path for path in LOGS.glob("*log") if path.is_file())
DEEPER = sorted(path for path in LOGS.glob("*/*log") if path.is_file())
YEAR = 2026


def lines_of(path: Path) -> list[str]:
    """Give the lines that somebody would paste, as text: no words of 4 KiB, no half characters."""
    lines = path.read_text("utf-8", errors="replace").splitlines()
    return [line for line in lines if "\ufffd" not in line and all(len(word) < 70 for word in line.split())]


def events_of(lines: list[str]) -> list[LogEvent]:
    return [event for line in lines if (event := parse(line, YEAR)) is not None]


def wrapped(width: int) -> Callable[[list[str]], list[str]]:
    """Wrap as a mail program does, between words."""

    def wrap(lines: list[str]) -> list[str]:
        rows = (textwrap.wrap(line, width, break_long_words=False, break_on_hyphens=False) for line in lines)
        return [row for part in rows for row in part]

    return wrap


def cut(width: int) -> Callable[[list[str]], list[str]]:
    """Wrap as a terminal does, wherever its edge is."""
    return lambda lines: [line[n : n + width] for line in lines for n in range(0, len(line), width)]


def each(change: Callable[[str], str]) -> Callable[[list[str]], list[str]]:
    return lambda lines: [change(line) for line in lines]


def escaped(line: str) -> str:
    return line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


MANGLINGS: dict[str, Callable[[list[str]], list[str]]] = {
    "quoted": each(lambda line: "> " + line),
    "quoted-twice": each(lambda line: "> > " + line),
    "quoted-tightly": each(lambda line: ">>" + line),
    "bullets": each(lambda line: "- " + line),
    "stars": each(lambda line: "  * " + line),
    "dots": each(lambda line: "\u2022 " + line),
    "numbered": lambda lines: [f"{n:5}  {line}" for n, line in enumerate(lines, 1)],
    "numbered-with-dots": lambda lines: [f"{n}. {line}" for n, line in enumerate(lines, 1)],
    "grep": lambda lines: [f"/var/log/exim_mainlog.1:{n}:{line}" for n, line in enumerate(lines, 1)],
    "fenced": lambda lines: ["```text", *lines, "```"],
    "entities": each(escaped),
    "numeric-entities": each(lambda line: line.replace("&", "&#38;").replace("<", "&#60;").replace(">", "&#x3E;")),
    "paragraphs": each(lambda line: f"<p>{escaped(line)}</p>"),
    "breaks": each(lambda line: f"<code>{escaped(line)}</code><br />"),
    "no-break-spaces": each(lambda line: line.replace(" ", "\u00a0")),
    "no-break-entities": each(lambda line: line.replace(" ", "&nbsp;")),
    "tabs": each(lambda line: line.replace(" ", "\t", 3)),
    "crlf": each(lambda line: line + "\r\n"),
    "bom": lambda lines: ["\ufeff" + lines[0], *lines[1:]],
    "bom-as-bytes": lambda lines: ["\u00ef\u00bb\u00bf" + lines[0], *lines[1:]],
    "zero-width": each(lambda line: line.replace(".", ".\u200b").replace("@", "\u2060@")),
    "curly": each(
        lambda line: re.sub(r"(?<=\w)-(?=\w)", "\u2011", re.sub('(response to )"(.*?)"', "\\1\u201c\\2\u201d", line))
    ),
    "links": each(lambda line: line.replace("> temp", "<mailto:x@example.com>> temp")),
    "backquoted": each(lambda line: f"`{line}`"),
    "in-quotes": each(lambda line: f'"{line}'),
    "said-before": each(lambda line: "The log has: " + line if " H=" in line[:120] else line),
    "prose": lambda lines: ["Dear all,", "", "our log says", "", *lines, "", "Shall I whitelist it?", "", "Bob"],
    **{f"wrapped-{width}": wrapped(width) for width in (70, 72, 74, 76, 78, 80)},
    **{f"cut-{width}": cut(width) for width in (72, 80, 100, 132)},
    "wrapped-and-quoted": lambda lines: ["> " + row for row in wrapped(72)(lines)],
    "wrapped-in-bullets": lambda lines: [
        ("- " if n == 0 else "  ") + row for line in lines for n, row in enumerate(wrapped(74)([line]))
    ],
    "wrapped-entities": lambda lines: [escaped(row) for row in wrapped(76)(lines)],
    "quoted-and-cut": lambda lines: ["> " + row for row in cut(76)(lines)],
    "as-utf8-bytes": each(
        lambda line: ("\u00a0" + line).encode().decode("latin-1") if line.isascii() else line
    ),
}  # fmt: skip
# A page shows several blanks as one, so a text that has them comes back with one.
ONE_BLANK = "  "


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_whole_logs_say_what_they_said(path: Path) -> None:
    lines = [line for line in lines_of(path) if ONE_BLANK not in line[20:]]
    clean = events_of(mend(lines))
    for name, mangle in MANGLINGS.items():
        assert events_of(mend(mangle(lines))) == clean, name


@cache
def deeper() -> list[tuple[str, list[str], list[str]]]:
    """Give of every log its name, its lines and what they say."""
    logs = [(path.name, lines_of(path)) for path in DEEPER]
    return [(name, lines, list(map(repr, events_of(mend(lines))))) for name, lines in logs]


@pytest.mark.parametrize("name", MANGLINGS)
def test_logs_of_every_case_say_what_they_said(name: str) -> None:
    """In so short a log a record may be cut once only, in the middle of a word where no one can tell."""
    blanks = "" if name.startswith("cut-") else " "
    for log, lines, clean in deeper():
        mended = map(repr, events_of(mend(MANGLINGS[name](lines))))
        assert [event.replace(" ", blanks) for event in mended] == [
            event.replace(" ", blanks) for event in clean
        ], log


def test_a_clean_log_stays_as_it_is() -> None:
    for path in [*FILES, *DEEPER]:
        lines = [line for line in path.read_text("latin-1").splitlines() if "[1/" not in line]
        assert mend(lines) == [line.rstrip() for line in lines], path.name


ONE_LINE = [
    line
    for path in FILES
    for line in lines_of(path)
    if " sender verify " in line and ONE_BLANK not in line[20:]
]


@given(
    st.sampled_from(ONE_LINE), st.integers(70, 80), st.sampled_from(["", "> ", "> > ", ">> "]), st.booleans()
)
def test_one_line_wrapped_and_quoted(line: str, width: int, mark: str, entities: bool) -> None:
    rows = [mark + (escaped(row) if entities else row) for row in wrapped(width)([line])]
    assert events_of(mend(["Look:", "", *rows, "", "Regards"])) == events_of([line])


@given(st.sampled_from(ONE_LINE), st.sampled_from(sorted(MANGLINGS)))
def test_one_line_mangled(line: str, name: str) -> None:
    """A single line, cut once, says less of how it was cut: what it tells is told, words may be parted."""
    [event] = events_of([line])
    told = events_of(mend(MANGLINGS[name]([line])))
    # Where the cut goes through a quoted local part, nobody can tell whether there was a blank.
    whole = [
        (one.sender and one.sender.replace(" ", ""), one.relay_ip, one.kind, one.outcome) for one in told
    ]
    assert whole == [
        (event.sender and event.sender.replace(" ", ""), event.relay_ip, event.kind, event.outcome)
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_the_story_as_a_blog_has_it(encoding: str) -> None:
    rows = mend((LOGS / "story-mangled.txt").read_text(encoding).splitlines(keepends=True))
    verify, rejected, incomplete = events_of(rows)
    assert (verify.kind, verify.sender, verify.fault) == (LogKind.VERIFY, None, LogFault.TIMEOUT)
    assert (verify.relay_ip, verify.host_ip) == ("67.26.151.59", "163.112.75.15")
    assert (rejected.pid, rejected.relay_ip, rejected.relay_port) == (
        verify.pid,
        verify.relay_ip,
        verify.relay_port,
    )
    assert rejected.sender == incomplete.sender == "administrator@customer.example.com"
    assert "Should I whitelist the IP?" in rows


def test_words_of_a_person_are_not_the_peers() -> None:
    line = (
        "2026-11-22 07:47:14 H=relay.example.net [203.0.113.77] sender verify fail for <u@d.example>: mx [192.0.2.9] :"
        " SMTP error from remote mail server after RCPT TO:<u@d.example>: 550 5.7.1 go away"
    )
    rows = mend([*wrapped(76)([line]), "That user is unknown to me."])
    assert rows == [line, "That user is unknown to me."]


def test_the_headers_of_a_refused_message_stay_apart() -> None:
    lines = [
        "2026-11-22 07:51:39 1xV2MN-00069O-18 H=a.example [203.0.113.77] F=<u@d.example> rejected after DATA: no valid",
        "Envelope-from: <u@d.example>",
        "Envelope-to: <a@b.example>",
        "P Received: from relay.example.net",
        "  Subject: hello",
        "F From: someone",
    ]
    assert mend(lines) == lines


def test_a_record_that_syslog_cut_is_whole_again() -> None:
    head = "Nov 22 07:52:58 mx exim[28198]: "
    rows = mend(
        ["> " + head + "[1/2] H=a [192.0.2.1] sender verify fail", "> " + head + "[2/2]  for <u@d.example>"]
    )
    assert rows == [head + "H=a [192.0.2.1] sender verify fail for <u@d.example>"]


@given(st.lists(st.text(st.characters(exclude_categories=()), max_size=120), max_size=8))
def test_no_text_makes_it_fail(lines: list[str]) -> None:
    mend(lines)


@given(st.lists(st.binary(max_size=120).map(lambda data: data.decode("latin-1")), max_size=8))
def test_bytes_stay_bytes(lines: list[str]) -> None:
    """What came as latin-1 leaves as latin-1, unless an entity names a character beyond it."""
    for row in mend([line.replace("&", "") for line in lines]):
        row.encode("latin-1")


@given(st.lists(st.sampled_from([*ONE_LINE[:20], "", "words", "> ", "```", "x" * 79]), max_size=8), st.data())
def test_pieces_in_any_order(lines: list[str], data: st.DataObject) -> None:
    rows = [row[: data.draw(st.integers(0, 200))] for row in lines]
    mend(rows)


@pytest.mark.parametrize(
    "part", ["> ", "1. ", "- ", "&lt;", "<p ", "](", "a:1:", "2026-11-22 07:47:14 ", "\\[", "\u200b", "`"]
)
def test_time_grows_with_the_text_and_no_faster(part: str) -> None:
    def cost(size: int) -> float:
        line = part * (size // len(part))
        best = float("inf")
        for _ in range(5):
            began = perf_counter()
            mend([line, line])
            best = min(best, perf_counter() - began)
        return best

    small, large = cost(16384), cost(65536)
    assert large < 12 * small + 0.1, "four times the text, about four times the work"
    assert large < 0.5
