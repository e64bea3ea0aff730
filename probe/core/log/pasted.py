"""Log lines as they arrive in a ticket, a mail or from a web page -> lines of a log again.

What happens to them on the way: a mail quotes them (`> > `) and wraps them at 70 to 80 columns; a terminal wraps them
in the middle of a word; a chat makes list items or a code block of them; an editor numbers them, `grep -n` too; a word
processor bends the quotes and hyphens; HTML leaves entities and no-break spaces, and makes links of addresses. What it
eats, `<...>` and `[...]`, is gone: `parse` reads the line without it.

A line of a log is known by its beginning: a stamp, with what may stand before it. Lines behind it belong to it where
the next word would not have fitted into the line before, as whoever wrapped them saw it. What belongs to no record, the
words of the person who wrote the ticket, stays as it is.

Text may come as latin-1, each byte one character, as logs are read; then it leaves as latin-1 again.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from probe.core.log.event import LogFault
from probe.core.log.line import LINE_LIMIT, parse
from probe.core.log.prefix import MESSAGE, STAMP, SYSLOG_STAMP, join_records

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

NARROWEST, WIDEST = 50, 132
"""Columns at which lines are wrapped by mail programs and terminals; a longer line was not wrapped."""
LONGEST_RECORD = 120
"""Lines that one record may be wrapped into: those of Exim's longest, 8 KiB."""

_NOTHING = dict.fromkeys(map(ord, "\ufeff\u200b\u200c\u200d\u2060\u00ad\u200e\u200f"))
_BLANKS = dict.fromkeys(
    map(ord, "\t\u00a0\u1680\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))), " "
)
# What a word processor bends. A reply may hold such characters of its own, so only where the log writes the plain ones.
_DASH = re.compile(r"(?<=[^\W_])[\u2010-\u2015\u2212](?=[^\W_])")
_CURLY = re.compile(r"response to [\u201c-\u201f]")
_STRAIGHT = dict.fromkeys(map(ord, "\u201c\u201d\u201e\u201f"), '"')
_DOTS = re.compile(r"(?<= )\u2026(?= )")
_TRANSLATED = {**_NOTHING, **_BLANKS}

_ENTITY = re.compile(r"&(?:(lt|gt|amp|quot|apos|nbsp|lsqb|rsqb)|#([0-9]{1,5})|#[xX]([0-9A-Fa-f]{1,5}));")
_ENTITIES = {
    "lt": "<", "gt": ">", "amp": "&", "quot": '"', "apos": "'", "nbsp": " ", "lsqb": "[", "rsqb": "]",
}  # fmt: skip
_TAG = re.compile(
    r"</?(?:a|b|i|u|em|strong|tt|p|br|hr|pre|code|div|span|font|li|ul|ol|td|tr|table|blockquote)"
    r"(?: [a-z-]{1,20}=[^<>]{0,500}| ?/)?>",
    re.IGNORECASE,
)
# A mail program makes links of what looks like one, and shows them in plain text beside it.
_LINK = re.compile(r"(?<=\S)<(?:mailto|https?)(?::|%3A)[^<>\s]{1,1200}>", re.IGNORECASE)
_MARKDOWN_LINK = re.compile(r"\[([^\[\]]{1,400})\]\((?:mailto:|https?://)[^()\s]{1,1200}\)", re.IGNORECASE)
_MARKDOWN_ESCAPE = re.compile(r"\\([\[\]<>_*`|~])")
_FENCE = re.compile(r"[ >|]*(?:`{3,}|~{3,})\w{0,20}\s*$")

_QUOTES = re.compile(r"(?:[ ]{0,3}[>|])*+ ?")
_MARKER = r"(?:[-*\u2022\u00b7\u25cf] +|[0-9]{1,7}[.:)|\]]? *|[\w./+-]{1,200}:(?:[0-9]{1,9}:)? ?|[\"'`]+|\*\*|\.\.\. ?)"
_WHEN = rf"(?:{STAMP}|{SYSLOG_STAMP})"
_TAG_ALONE = r"[a-z][\w.-]{0,60}/[\w/-]{1,60}\[[0-9]{1,10}\]: "
_BEGINNING = re.compile(
    rf" *(?:{_MARKER}){{0,3}}?"
    rf"(?P<record>(?P<stamp>{_WHEN}(?= |$)|{_TAG_ALONE})|H=\S{{0,300}} ?[(\[]|F=<|NOQUEUE: (?:reject|reject_warning): )"
)
# Behind words of a person, the stamp alone is not enough: a date may stand in any sentence.
_AFTER_WORDS = re.compile(
    rf"(?P<record>(?P<stamp>{_WHEN})(?: \S{{1,255}} \S{{1,100}}:(?: \[[0-9/\\]{{3,9}}\])?)?(?: {STAMP})?"
    rf"(?: \[[0-9]{{1,10}}\])?(?: (?:{MESSAGE}))? {{1,2}}(?:(?:DS ?)?H=|F=<|<= |NOQUEUE: ))"
)
_SEARCHED = 400
"""Characters of a line in which a record may begin."""
# The header of a refused message, which Exim's reject log repeats: `P Received:`, `  Subject:`, `F From:`.
_HEADER = re.compile(r"[A-Z* ] [A-Z][A-Za-z-]{1,40}: |Envelope-(?:from|to): ")

# What a record has one of, so that another belongs to another record.
_TOLD = re.compile(r"\bsender verify |\bF=|\brejected |incomplete transaction|NOQUEUE: ")


class _Piece(NamedTuple):
    """One line as it came, clean, blanks at its end kept."""

    text: str
    start: int = 0  # where a record begins in it
    quotes: int = 0  # quotation marks before that
    begins: bool = False  # whether a record begins with it
    stamped: bool = False  # and surely, with its stamp

    @property
    def width(self) -> int:
        """Columns that it took."""
        return len(self.text.rstrip(" "))


_EMPTY = _Piece("")
"""An empty line, or one that begins or ends a block of code."""


def mend(lines: Iterable[str]) -> list[str]:
    """Give the records among the lines, whole again, and everything else in its place, clean of what a page adds.

    Lines of a log that nothing has happened to come back as they were, without their line ends, and without what no
    log holds: blanks that do not break, characters without width.
    """
    groups: list[list[_Piece]] = []
    for block in _blocks(map(_piece, lines)):
        width = max((piece.width for piece in block if piece.width <= WIDEST), default=0)
        groups.append([block[0]])
        for piece in block[1:]:
            if groups[-1][0].begins and not piece.stamped and _goes_on(groups[-1], piece, width):
                groups[-1].append(piece)
            else:
                groups.append([piece])
    words = [_joined(group, " ") for group in groups]
    letters = [_joined(group, "") for group in groups]
    # Whether a line was cut between words or anywhere, the records show: read the wrong way they make less sense.
    wrapped = [n for n, group in enumerate(groups) if len(group) > 1]
    anywhere = sum(_sense(letters[n]) - _sense(words[n]) for n in wrapped) > 0
    return list(join_records(letters if anywhere else words))


def _blocks(pieces: Iterable[_Piece]) -> Iterator[list[_Piece]]:
    """Give the runs of lines between empty ones: no record goes on across those."""
    block: list[_Piece] = []
    for piece in pieces:
        quoted = bool(block) and block[0].text.lstrip(" ").startswith((">", "|"))
        if piece.text.strip(" >|" if quoted else " "):
            block.append(piece)
        elif block:
            yield block
            block = []
    if block:
        yield block


def _piece(line: str) -> _Piece:
    text, is_latin1 = _clean(line[:LINE_LIMIT].rstrip("\r\n"))
    if _FENCE.match(text):
        return _EMPTY
    text = text.removesuffix("`")
    marks = _QUOTES.match(text)
    quoted = marks.end() if marks else 0
    found = _BEGINNING.match(text, quoted) or _AFTER_WORDS.search(text, quoted, quoted + _SEARCHED)
    start = found.start("record") if found else 0
    marked = text[:quoted]
    if is_latin1:
        start = len(_as_latin1(text[:start]))
        text = _as_latin1(text)
    if found is None:
        return _Piece(text)
    return _Piece(
        text, start, marked.count(">") + marked.count("|"), begins=True, stamped=found["stamp"] is not None
    )


def _as_latin1(text: str) -> str:
    return text.encode("utf-8", "surrogatepass").decode("latin-1")


def _clean(line: str) -> tuple[str, bool]:
    """Take off what a page or a mail program has added; say whether the line came as bytes in latin-1."""
    is_latin1 = False
    if not line.isascii():
        try:
            line = line.encode("latin-1").decode()
            is_latin1 = True
        except UnicodeError:  # decoded already, or true latin-1
            pass
        line = _plain(line)
    elif "\t" in line:
        line = line.replace("\t", " ")
    if "&" in line:
        line = _plain(_ENTITY.sub(_entity, line))
    if "<" in line or "](" in line:
        line = _MARKDOWN_LINK.sub(r"\1", _LINK.sub("", _TAG.sub("", line)))
    if "\\" in line:
        line = _MARKDOWN_ESCAPE.sub(r"\1", line)
    return line, is_latin1


def _plain(text: str) -> str:
    text = _DOTS.sub("...", _DASH.sub("-", text.translate(_TRANSLATED)))
    return text.translate(_STRAIGHT) if _CURLY.search(text) else text


def _entity(found: re.Match[str]) -> str:
    name, decimal, hexadecimal = found.groups()
    if name:
        return _ENTITIES[name]
    code = int(decimal) if decimal else int(hexadecimal, 16)
    return chr(code) if 0x20 <= code < 0xD800 or 0xE000 <= code < 0x110000 else found[0]


# --- wrapped lines -----------------------------------------------------------------------------------


def _goes_on(record: list[_Piece], piece: _Piece, width: int) -> bool:
    """Whether a line is the rest of the record before it, because its first word did not fit there."""
    before = record[-1].width
    if width < NARROWEST or before > width or len(record) >= LONGEST_RECORD or _HEADER.match(piece.text):
        return False
    if piece.begins and any(_TOLD.search(told.text) for told in record):
        return False
    rest = _unquoted(piece.text, record[0].quotes)
    word = rest.strip(" ").partition(" ")[0]
    if not word:
        return False
    return before == width or before + 1 + len(word) > width - (len(piece.text) - len(rest))


def _unquoted(text: str, quotes: int) -> str:
    """Take off as many quotation marks as the record began with, and no more: the rest may begin with one itself."""
    found = re.match(rf"(?:[ ]{{0,3}}[>|]){{0,{quotes}}} ?", text) if quotes else None
    return text[found.end() :] if found else text


def _joined(group: list[_Piece], between: str) -> str:
    first, *rest = group
    head = first.text[first.start :]
    if not rest:
        return head.rstrip(" ")
    texts = [head, *(_unquoted(piece.text, first.quotes) for piece in rest)]
    if between:
        texts = [text.strip(" ") for text in texts]
    return between.join(texts).rstrip(" ")


_MAILBOX = re.compile(r"[^\s<>@]{1,300}@[\w.-]{1,255}|\"[^<>]{1,300}\"@[\w.-]{1,255}")
_IP = re.compile(r"[0-9.]{7,15}|[0-9A-Fa-f:.]{2,45}")


def _sense(line: str) -> int:
    """Count what a line tells that has its right form."""
    event = parse(line)
    if event is None:
        return 0
    mailboxes = (event.sender, event.recipient)
    ips = (event.relay_ip, event.host_ip)
    named = sum(text is not None and _MAILBOX.fullmatch(text) is not None for text in mailboxes)
    named += sum(text is not None and _IP.fullmatch(text) is not None for text in ips)
    named += event.helo is not None and " " not in event.helo
    told = event.fault is not None and event.fault is not LogFault.UNKNOWN
    return 1 + named + told + (event.stage is not None) + (event.text in _FINAL_WORDS)


_FINAL_WORDS = frozenset(
    {"Sender verify failed", "Could not complete sender verify", "Could not complete sender verify callout"}
)
