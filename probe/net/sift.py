"""The few lines of a log that are looked at, found at the speed of a search and not of a parser.

Of a busy log one line in a hundred is about sender verification. The others are never cut apart, decoded or
matched: a block of lines is searched for words that stand in every line of interest, and only the lines
around what was found come out. StringZilla (of the extra `fast`) searches with SIMD instructions, about ten
times as fast as `bytes.find`; the result is the same.
"""

from __future__ import annotations

import re
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Search = Callable[[bytes, bytes, int], int]
    Tally = Callable[[bytes, bytes], int]
    Split = Callable[[bytes, bytes], Iterable[bytes]]
    Piece = Callable[[bytes], bytes]


def _search_functions() -> tuple[Search, Tally, Split, Piece]:
    try:
        fast = import_module("stringzilla")
    except ImportError:
        return bytes.find, bytes.count, bytes.split, bytes
    # What its `split` gives are no bytes but views of them: sliced, hashed and compared alike, each with its own kind.
    return fast.find, fast.count, fast.split, fast.Str


find, tally, split, piece_of = _search_functions()

_EXIM_STAMP = re.compile(rb"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")
_SAMPLES = 8
"""Lines of a block that are looked at to tell whose log it is."""

_EXIM = (b"verif", b"sender in any header line", b"incomplete transaction (", b"callout unencrypted to")
"""One of these stands in every line of Exim about the verification of a sender."""
_ANY = (*_EXIM, b"deliverable", b": [")
"""The same for Postfix, and for what syslog or journald wrote for either, which may have cut a record in parts."""
_TAKEN = b" <= "
"""Stands in the line that Exim writes for each message it takes, before the sender."""
_QUEUED = b": from=<"
"""Stands in that of Postfix, which names the client in a line of its own, under the same queue id."""
_PATH_LIMIT = 512
"""Octets in which a sender ends; RFC 5321 4.5.3.1.3 allows 256."""
_BEGINNING = 8
"""Octets of a sender by which most are told from those that are watched, without looking where they end."""


class Lines(NamedTuple):
    """Whole lines in a buffer, each with its line feed: from `begin` up to `end`. The buffer may hold more.

    `exim` says that all of them are Exim's own, so that nothing else needs to be looked for.
    """

    data: bytes
    begin: int
    end: int
    exim: bool

    @property
    def total(self) -> int:
        """How many they are; beyond their end the buffer holds no line feed, before their start one at most."""
        return tally(self.data, b"\n") - (self.begin > 0)


def whole_lines(data: bytes, begin: int = 0, end: int | None = None) -> Lines:
    """Give a part of a buffer that holds whole lines; without `end`, all from `begin` on."""
    end = len(data) if end is None else end
    return Lines(data, begin, end, _is_exim(data, begin, end))


class Watch:
    """Senders of whom later mail matters, as bytes of the log. One of less than five octets is nobody."""

    def __init__(self, senders: Iterable[bytes] = ()) -> None:
        self.senders: set[bytes] = set()
        self.beginnings: set[bytes] = set()
        self.update(senders)

    def update(self, senders: Iterable[bytes]) -> None:
        """Watch these as well."""
        for sender in senders:
            if sender not in self.senders and len(sender) >= _BEGINNING - len(b" H="):
                self.senders.add(sender)
                self.beginnings.add(piece_of((sender + b" H=")[:_BEGINNING]))


def spans(lines: Lines) -> dict[int, int]:
    """Find the lines that may be about a verification: where each begins, and where its line feed is.

    The lines about mail that was taken are left to `taken`.
    """
    found: dict[int, int] = {}
    block, begin, end, exim = lines
    for word in _EXIM if exim else _ANY:
        at = find(block, word, begin)
        while 0 <= at < end:
            feed = block.index(b"\n", at)
            found[block.rfind(b"\n", begin, at) + 1 or begin] = feed
            at = find(block, word, feed)
    return found


def taken(lines: Lines, watch: Watch) -> dict[int, int]:
    """Find the lines by which a message from one of these senders was taken, as `spans` does."""
    found: dict[int, int] = {}
    block, start, end, exim = lines
    watched = watch.beginnings
    # Every message that was taken goes through here, and most fail: this is all that is done for them.
    beginnings = {begin for piece in split(block, _TAKEN) if (begin := piece[:_BEGINNING]) in watched}
    for beginning in beginnings:
        mark = _TAKEN + bytes(beginning)
        at = find(block, mark, start)
        while 0 <= at < end:
            at += len(_TAKEN)
            if block[at : block.find(b" ", at, at + _PATH_LIMIT)] in watch.senders:
                found[block.rfind(b"\n", start, at) + 1 or start] = block.index(b"\n", at)
            at = find(block, mark, at)
    if not exim:
        _queued(lines, watch, found)
    return found


def _queued(lines: Lines, watch: Watch, found: dict[int, int]) -> None:
    block, start, end, _ = lines
    at = find(block, _QUEUED, start)
    while 0 <= at < end:
        begin = at + len(_QUEUED)
        if block[begin : block.find(b">", begin, begin + _PATH_LIMIT)] in watch.senders:
            found[block.rfind(b"\n", start, at) + 1 or start] = block.index(b"\n", at)
            message = block[block.rfind(b" ", start, at) + 1 : at]
            client = block.rfind(message + b": client=", start, at)
            if client >= 0:
                found[block.rfind(b"\n", start, client) + 1 or start] = block.index(b"\n", client)
        at = find(block, _QUEUED, begin)


def _is_exim(block: bytes, begin: int, end: int) -> bool:
    """Whether the lines begin with Exim's own stamp, judged by some of them from the first to the last."""
    step = max((end - 1 - begin) // _SAMPLES, 1)
    return all(
        _EXIM_STAMP.match(block, block.rfind(b"\n", begin, at) + 1 or begin) for at in range(begin, end, step)
    )
