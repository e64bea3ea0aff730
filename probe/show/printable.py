r"""Untrusted text made safe to show: on a terminal, in a spreadsheet cell, in a ticket.

Nearly every string of a report may quote a peer, so the views pass all of them through here. What comes
out holds no control character, no line break and nothing that reorders or hides text; what was there is
shown as an escape: `\x1b`, `\u202e`. A backslash of the peer's own is doubled where it could be taken
for such an escape, and left alone everywhere else, so the output has one reading only.

Bytes of a peer are kept as latin-1, one character each. Where they form valid UTF-8 they are shown
decoded. That is done run by run, because one of our sentences may hold both a quoted reply and an
international domain name.
"""

from __future__ import annotations

import re
from itertools import groupby

# Well-formed UTF-8 of two to four bytes, as latin-1 characters (RFC 3629 4): no overlong forms, no
# surrogates, nothing above U+10FFFF.
_UTF8 = re.compile(
    "[\xc2-\xdf][\x80-\xbf]|\xe0[\xa0-\xbf][\x80-\xbf]|[\xe1-\xec\xee\xef][\x80-\xbf]{2}|\xed[\x80-\x9f][\x80-\xbf]"
    "|\xf0[\x90-\xbf][\x80-\xbf]{2}|[\xf1-\xf3][\x80-\xbf]{3}|\xf4[\x80-\x8f][\x80-\xbf]{2}"
)

# A backslash before a backslash, before what reads like an escape, or before what will become one.
_AMBIGUOUS = re.compile(r"\\(?=\\|x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8}|[^ -~])")

# Letters, marks and selectors that Unicode counts as printable although nothing is seen of them:
# joiners, Hangul and Khmer fillers, the blank Braille cell, variation selectors.
_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0\ufe00-\ufe0f\U000e0100-\U000e01ef]"
)

_TORN_ESCAPE = re.compile(r"\\+(?:[xuU][0-9a-f]{0,8})?$")

# Where a spreadsheet would find a formula: at the start of a cell, and after a semicolon, at which it
# splits in locales that write 1,5 for 1.5, whatever the quotes around. With the full-width and small forms.
_FORMULA = re.compile("(^|;)(?=[ \"']*[=+@\uff1d\uff0b\uff0d\uff20\ufe66\ufe62\ufe63\ufe6b\u2212-])")

# A word that no Markdown dialect or ticket system gives a meaning to: letters, or a number such as 550,
# 5.1.1 or 192.0.2.1, with ordinary punctuation about it. Letters mixed with digits are left out on
# purpose: `GH-12`, `JIRA-7` and commit hashes become links.
_PROSE = re.compile(r"""["'(]*(?:[^\W\d_]+(?:['-][^\W\d_]+)*|[0-9]+(?:\.[0-9]+)*)[)"'.,;:?!]*""")
_LIST_NUMBER = re.compile(r"[0-9]+[.)]+")
_BACKTICKS = re.compile("`+")


def visible(text: str) -> str:
    """Give Unicode text with all that a terminal would obey, or not show, escaped.

    For text that never was bytes of a peer, such as an address that the user typed. Escaped are controls
    (C0, C1, DEL), formats (bidi, zero width), separators but the ASCII space, surrogates, private use and
    unassigned code points: what `str.isprintable` leaves out, and the invisible ones it does not.
    """
    text = _AMBIGUOUS.sub(r"\\\\", text)
    if text.isascii() and text.isprintable():
        return text
    return "".join(char if _shows(char) else _escape(char) for char in text)


def safe(text: str, *, width: int | None = None) -> str:
    """Give text that may quote a peer, decoded where it is UTF-8, in the form of `visible`.

    With `width` the result has at most that many characters and ends in `...` where it was cut; an escape
    is never cut in two.
    """
    shown = visible(_UTF8.sub(_decode, text))
    return shown if width is None else _cut(shown, width)


def cell(text: str) -> str:
    """Give text for a CSV cell: `safe`, and what would be read as a formula defused with an apostrophe.

    What has one already gets another, so that two texts never become one. Tabs and line ends, which a spreadsheet
    may skip or split at, are escapes by then.
    """
    return _FORMULA.sub(r"\1'", safe(text))


def inline(text: str, *, width: int | None = None) -> str:
    """Give text for a line of Markdown in which nothing is formatted, linked, loaded or mentioned.

    Escaping is not enough for a ticket system: it looks for `@names`, issue numbers and addresses in what
    it has rendered already. Inside a code span it does not look. So a word that is plain prose stays as
    it is, and everything else is shown as code.
    """
    words = safe(text, width=width).split()
    parts = []
    for plain, run in groupby(enumerate(words), key=_is_prose):
        shown = " ".join(word for _, word in run)
        if not plain:
            # What ends a clause stays outside, or an address would be copied with its colon.
            end = len(shown.rstrip(".,;:"))
            if end == 0 or _LIST_NUMBER.fullmatch(shown):
                end = len(shown)
            shown = _span(shown[:end]) + shown[end:]
        parts.append(shown)
    return " ".join(parts)


def code(text: str, *, width: int | None = None) -> str:
    """Give text as one Markdown code span, in which it is shown letter by letter; nothing for no text."""
    shown = safe(text, width=width).strip()
    return _span(shown) if shown else ""


def fence(lines: list[str]) -> list[str]:
    """Put safe lines into a Markdown code block, its fence longer than any run of backticks inside."""
    marks = "`" * max(3, 1 + max((_longest_run(line) for line in lines), default=0))
    return [f"{marks}text", *lines, marks]


def _cut(shown: str, width: int) -> str:
    """Shorten what `safe` gave to at most `width` characters, the last three of them `...`."""
    if len(shown) <= width:
        return shown
    kept = shown[: max(width - 3, 0)]
    return _TORN_ESCAPE.sub("", kept) + "..."[: max(width, 0)]


def _is_prose(numbered: tuple[int, str]) -> bool:
    place, word = numbered
    if place == 0 and _LIST_NUMBER.fullmatch(word):
        return False  # `1.` at the start of a line would begin a list
    return _PROSE.fullmatch(word) is not None


def _span(shown: str) -> str:
    """Quote with one backtick more than the longest run inside (CommonMark 6.1)."""
    run = _longest_run(shown)
    marks = "`" * (run + 1)
    pad = " " if run else ""
    return f"{marks}{pad}{shown}{pad}{marks}"


def _longest_run(shown: str) -> int:
    return max((len(run) for run in _BACKTICKS.findall(shown)), default=0)


def _decode(found: re.Match[str]) -> str:
    return found[0].encode("latin-1").decode("utf-8")


def _shows(char: str) -> bool:
    return char.isprintable() and not _INVISIBLE.match(char)


def _escape(char: str) -> str:
    number = ord(char)
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
