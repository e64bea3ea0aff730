"""Bytes from a mail host -> lines -> SMTP replies (RFC 5321 4.2). Oddities are recorded, nothing is raised.

What makes a reply here is what real clients act on, not only what the grammar allows:

- LF ends a line, and one CR before it belongs to the line end. A line without that CR is read all the same
  (`Oddity.BARE_LF`); every other CR is a character of the line.
- `NNN-text` says that more lines follow; `NNN text` and `NNN` end the reply; so does `NNNtext`, because a
  client that waits for more after it waits for ever.
- A line without a code, where a reply should begin, is a reply of its own: the peer may speak another
  protocol, and then no code will ever come. Inside a multi-line reply it is kept, and the reply goes on.

The reader counts octets, not chunks, so that the same bytes give the same replies however TCP split them.
One reply may not pass a limit: what a peer can make us keep is bounded even if it never ends a line.
"""

from __future__ import annotations

import re
from functools import lru_cache

from probe.core.model import Oddity, Reply

REPLY_LIMIT = 65536
"""Octets of one reply, line ends included. Large EHLO replies have about one KiB; Exim gives up near four."""
LINE_LIMIT = 512
"""Octets of one reply line with its CRLF (RFC 5321 4.5.3.1.5); a longer one is read and noted."""
LINES_LIMIT = 250
"""Lines of one reply: as text objects, thousands of short ones take ten times the memory of their octets."""
MASK_LEAST = 8
"""So many asterisks, and more than half of the text, are the work of a firewall that rewrites banners."""

_TEXT = rb"[!-)+-~][\t -)+-~]{0,505}"  # no asterisk: those are counted
_REGULAR = re.compile(rb"([2-5]\d\d)(?:-" + _TEXT + rb"\r\n\1)* " + _TEXT + rb"\r\n")
"""A whole reply with nothing odd about it, as nearly all are: such a one needs no reading line by line."""
_REGULAR_LIMIT = 1024
"""Octets up to which a reply is looked for in this way; it cannot reach the limits above."""

_CONTROLS = bytes(c for c in range(0x20) if c not in b"\t") + b"\x7f"
_ENHANCED = r"([245]\.[0-7]\.\d{1,3})(?!\.?\w)"
# RFC 2034 puts the enhanced code first; IronPort writes `#` before it, and qmail `(#5.1.1)` behind the text.
_ENHANCED_FIRST = re.compile(r"\s*#?" + _ENHANCED, re.ASCII)
_ENHANCED_LAST = re.compile(r"\(#" + _ENHANCED, re.ASCII)


class ReplyReader:
    """The replies in a stream of bytes. One reader serves one connection, also across STARTTLS."""

    __slots__ = (
        "_code",
        "_limit",
        "_line",
        "_lines",
        "_oddities",
        "_regular_limit",
        "_size",
        "_started",
        "overflowed",
    )

    def __init__(self, limit: int = REPLY_LIMIT) -> None:
        self.overflowed = False
        """The reply in progress passed a limit; further bytes are dropped until `flush` or `discard`."""
        self._limit = limit
        self._regular_limit = min(_REGULAR_LIMIT, limit)
        self._size = 0  # octets of the reply in progress, line ends included
        # Of it, once it has begun; most replies come whole, and need none of this:
        self._started: float
        self._line: bytearray  # the line that has not ended yet
        self._lines: list[str]
        self._oddities: list[Oddity]  # each as often as it was met
        self._code: int | None

    def _begin(self, now: float) -> None:
        self._started = now
        self._line = bytearray()
        self._lines = []
        self._oddities = []
        self._code = None

    def _reset(self) -> None:
        self.overflowed = False
        self._size = 0

    @property
    def pending(self) -> bool:
        """Whether bytes of an unfinished reply are buffered."""
        return self._size > 0

    def feed(self, data: bytes, now: float) -> list[Reply]:
        """Take the bytes that arrived at `now` (seconds); return the replies that they complete, in order."""
        size = len(data)
        if not self._size and size <= self._regular_limit:
            regular = _regular(data)
            if regular is not None:
                return [Reply(code, lines, (), now, now) for code, lines in regular]
        replies: list[Reply] = []
        start = 0
        while start < size and not self.overflowed:
            if not self._size:
                self._begin(now)
            newline = data.find(b"\n", start)
            stop = size if newline < 0 else newline + 1
            if stop - start > self._limit - self._size:
                stop = start + self._limit - self._size
                newline = -1
                self.overflowed = True
            self._size += stop - start
            if newline < 0:
                self._line += data[start:stop]
            else:
                line = data[start:newline]
                if self._line:
                    line = bytes(self._line) + line
                    self._line.clear()
                if line.endswith(b"\r"):
                    line = line[:-1]
                else:
                    self._oddities.append(Oddity.BARE_LF)
                if self._take(line):
                    replies.append(self._finish(now))
                elif len(self._lines) >= LINES_LIMIT:
                    self.overflowed = True
            start = stop
        return replies

    def flush(self, now: float) -> Reply | None:
        """Return what was left unfinished when the peer closed or time ran out, at `now`; None if nothing.

        Such a reply ends when it is given up. It carries `UNTERMINATED`, and `TOO_LONG` if it is the limit
        that ended it.
        """
        if not self._size:
            return None
        self._oddities.append(Oddity.UNTERMINATED)
        if self.overflowed:
            self._oddities.append(Oddity.TOO_LONG)
        if self._line:
            self._take(bytes(self._line).removesuffix(b"\r"))
        return self._finish(now)

    def discard(self) -> int:
        """Drop the unfinished reply and return its size in octets.

        For the moment after the 220 to STARTTLS: plaintext that is already here was not protected by the TLS
        layer and must not be read as if it had been (RFC 3207 4.2).
        """
        size = self._size
        self._reset()
        return size

    def _take(self, raw: bytes) -> bool:
        """Add one line to the reply in progress; whether it is the last."""
        line = raw.decode("latin-1")
        self._lines.append(line)
        if len(raw) > LINE_LIMIT - 2:
            self._oddities.append(Oddity.LONG_LINE)
        if not raw.isascii():
            self._oddities.append(Oddity.EIGHT_BIT)
        if len(raw.translate(None, _CONTROLS)) != len(raw):
            self._oddities.append(Oddity.CONTROL)
        code, separator, _ = _split(line)
        if code is None:
            self._oddities.append(Oddity.NO_CODE)
            return len(self._lines) == 1
        if self._code is not None and self._code != code:
            self._oddities.append(Oddity.MIXED_CODES)
        if not 200 <= code < 600:
            self._oddities.append(Oddity.BAD_CODE)
        if separator is None:
            self._oddities.append(Oddity.NO_SEPARATOR)
        self._code = code
        return separator != "-"

    def _finish(self, now: float) -> Reply:
        reply = Reply(self._code, tuple(self._lines), (), self._started, now)
        text = text_of(reply)
        if not text and self._code is not None:
            self._oddities.append(Oddity.NO_TEXT)
        stars = text.count("*")
        if stars >= MASK_LEAST and stars * 2 > len(text):
            self._oddities.append(Oddity.MASKED)
        # In the order of the enum, and each once: the same bytes must give the same reply.
        oddities = tuple(o for o in Oddity if o in self._oddities) if self._oddities else ()
        self._reset()
        return Reply(reply.code, reply.lines, oddities, reply.started, reply.ended)


@lru_cache(maxsize=256)
def _regular(data: bytes) -> tuple[tuple[int, tuple[str, ...]], ...] | None:
    """Read bytes that are whole replies with nothing odd about them, as code and lines; None for any others.

    What is said to one callout is said to thousands, and kept once.
    """
    replies = []
    start = 0
    while start < len(data):
        regular = _REGULAR.match(data, start)
        if regular is None:
            return None
        end = regular.end()
        replies.append((int(regular[1]), tuple(data[start : end - 2].decode("latin-1").split("\r\n"))))
        start = end
    return tuple(replies)


def _split(line: str) -> tuple[int | None, str | None, str]:
    """Divide a line into code, separator (`-`, space, empty at the line's end, None if missing) and text."""
    digits = line[:3]
    if len(digits) < 3 or not (digits.isascii() and digits.isdigit()):
        return None, None, line
    separator = line[3:4]
    if separator in {"", " ", "-"}:
        return int(digits), separator, line[4:]
    if separator.isascii() and separator.isdigit():  # four digits are a number, not a code
        return None, None, line
    return int(digits), None, line[3:]


def codes_of(reply: Reply) -> set[int]:
    """Return the codes of the lines that have one; they ought to be the same (RFC 5321 4.2.1)."""
    return {code for line in reply.lines if (code := _split(line)[0]) is not None}


def texts_of(reply: Reply) -> list[str]:
    """Return the text of each line, code and separator stripped, without blanks at the ends."""
    return [_split(line)[2].strip(" \t") for line in reply.lines]


def text_of(reply: Reply) -> str:
    """Return the text of all lines, code and separator stripped, joined with one space."""
    return " ".join(filter(None, texts_of(reply)))


def enhanced_code(reply: Reply) -> str | None:
    """Return the enhanced status code (RFC 3463), such as `5.1.1`, if the reply carries one.

    It stands at the start of a line's text (RFC 2034), or behind the text in the manner of qmail: `(#5.1.1)`.
    The class is 2, 4 or 5 and the subject 0 to 7, which keeps IP addresses and house numbers out.
    """
    look = _known_code if sum(map(len, reply.lines)) <= LINE_LIMIT else _enhanced_code
    return look(reply.lines)


def _enhanced_code(lines: tuple[str, ...]) -> str | None:
    texts = [_split(line)[2].strip(" \t") for line in lines]
    for text in texts:
        if found := _ENHANCED_FIRST.match(text):
            return found[1]
    for text in reversed(texts):
        if found := _ENHANCED_LAST.search(text):
            return found[1]
    return None


_known_code = lru_cache(maxsize=256)(
    _enhanced_code
)  # most hosts say what many say, and each judgement asks thrice


def strip_enhanced(text: str) -> str:
    """Return the text of one line without the enhanced code at its start."""
    found = _ENHANCED_FIRST.match(text)
    return text[found.end() :].lstrip() if found else text


def keywords(reply: Reply) -> dict[str, str]:
    """Return the service extensions of an EHLO reply: keyword in upper case -> its parameters.

    The first line holds the domain and a greeting and is skipped (RFC 5321 4.1.1.1). Where a keyword comes
    twice the first counts. A refusal offers nothing. Who is told the same gets the same dict: it is to be read only.
    """
    if reply.code is None or reply.code // 100 != 2:
        return {}
    look = _known_keywords if sum(map(len, reply.lines)) <= LINE_LIMIT else _keywords
    return look(reply.lines)


def _keywords(lines: tuple[str, ...]) -> dict[str, str]:
    offered: dict[str, str] = {}
    for line in lines[1:]:
        text = _split(line)[2]
        keyword, _, parameters = text.strip(" \t").partition(" ")
        if keyword:
            offered.setdefault(keyword.upper(), parameters.strip())
    return offered


_known_keywords = lru_cache(maxsize=256)(_keywords)  # as `_known_code`
