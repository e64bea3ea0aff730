"""Bytes of a file with many addresses -> one row for each. Pure, and for any split of the bytes the same.

Three forms are read. *Lines*: one address each, with whatever people put around it; a line that begins with `{` is
an object of JSON Lines, also one of our own results or of `log --format jsonl`. *CSV*: when a column is named, or
when the first line is a header in which one is called like an address. A blank line is nothing, and a `#` at the
start of a line (but not of one of CSV) makes it a comment.

Nothing here raises because of a line: what is wrong with one is its `wrong`, a printable sentence. Only a file that
as a whole is something else raises `InputError`.
"""

from __future__ import annotations

import csv
import re
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from probe.core.address import AddressError, parse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from probe.core.model import Address

LINE_LIMIT = 4 * 1024 * 1024
"""Octets of a line. One of our own results has some KiB and at most a MiB or two."""
RECORD_LIMIT = 64 * 1024
"""Octets of a record of CSV that quotes stretch over several lines. More is a quote that nobody closed."""
SAMPLE = 4096
"""Octets of the first line by which a file is told that is no text."""
NEAR = 60
"""Characters of a name by which it is compared with one that was mistyped."""
LOOKED_AT = 1000
"""Columns among which the one that was meant is looked for."""
NAMES = ("address", "sender", "email", "e-mail", "email address", "e-mail address", "mailbox", "mail", "from")
"""What a column of addresses is called, the likeliest first; letters of either case."""
_KEYS = ("address", "sender", "email")
"""The same for an object of JSON; our own documents have the first two."""

_DELIMITERS = ",;\t"
_CONTROLS = bytes({*range(32), 127} - set(b"\t\n\v\f\r"))
_BINARY = 0.05
"""Share of control characters from which a file is no text: of random octets 11 % are."""
_STRAY = 4
"""Control characters that the first line of a text may hold; such lines are refused one by one."""
_BLANKS = b" \t\r\x0b\x0c"
_BOM = b"\xef\xbb\xbf"
_FOREIGN = {
    b"\xff\xfe": "it is UTF-16; save it as UTF-8",
    b"\xfe\xff": "it is UTF-16; save it as UTF-8",
    b"PK\x03\x04": "it is a spreadsheet or an archive; save it as CSV, or unpack it",
    b"\x1f\x8b": "it is compressed more than once; unpack it",
    b"BZh": "it is compressed; pipe it in: bzcat FILE | probe-sender batch -",
    b"\xfd7zXZ": "it is compressed; pipe it in: xzcat FILE | probe-sender batch -",
    b"\x28\xb5\x2f\xfd": "it is compressed; pipe it in: zstdcat FILE | probe-sender batch -",
}


class InputError(ValueError):
    """A file that cannot be read as addresses at all. The text is one line: what it is instead, and the mend."""


class Row(Struct, frozen=True):
    """What stands in one line (the first is 1): an address, or what is wrong."""

    line: int
    address: Address | None
    wrong: str = ""


class Reader:
    """Reads addresses out of bytes as they come."""

    def __init__(self, column: str | None = None) -> None:
        """`column` is the name of a column or of a JSON key, or the number of a column, from 1."""
        self._column = column
        self._rest = bytearray()
        self._line = 0
        self._overlong = False
        self._begun = False
        self._table: _Table | None = None
        self._settled = False

    def feed(self, data: bytes) -> Iterator[Row]:
        """Give the rows that these bytes complete. Raises `InputError` when the file is something else."""
        self._rest += data
        if not self._begun:
            if len(self._rest) < SAMPLE and b"\n" not in data:
                return  # too little to tell what it is; `end` will look at it
            self._begin()
            data = bytes(self._rest)
        if b"\n" in data:
            *lines, self._rest = self._rest.split(b"\n")
            for line in lines:
                yield from self._take(bytes(line))
        if len(self._rest) > LINE_LIMIT:
            self._overlong = True
            self._rest.clear()

    def end(self) -> Iterator[Row]:
        """Give the rest, when no more bytes come."""
        if not self._begun:
            self._begin()
        if self._rest or self._overlong:
            yield from self._take(bytes(self._rest))
        if self._table is not None:
            yield from self._table.end()

    def _begin(self) -> None:
        self._begun = True
        # Not more than the first line, so that the pieces in which the bytes come make no difference.
        head = bytes(self._rest[:SAMPLE]).partition(b"\n")[0]
        for magic, what in _FOREIGN.items():
            if head.startswith(magic):
                raise InputError(what)
        controls = len(head) - len(head.translate(None, _CONTROLS))
        if controls > max(_BINARY * len(head), _STRAY):
            raise InputError("it is binary; give a text with one address a line")
        if head.startswith(_BOM):
            del self._rest[: len(_BOM)]

    def _take(self, line: bytes) -> Iterator[Row]:
        """Read one line, without its line feed."""
        self._line += 1
        if self._overlong or len(line) > LINE_LIMIT:
            self._overlong = False
            yield Row(
                self._line, None, f"the line has more than {LINE_LIMIT >> 20} MiB; no address is that long"
            )
            return
        line = line.rstrip(_BLANKS)
        bare = line.lstrip(_BLANKS)
        if self._table is not None:
            yield from self._table.record(self._line, line)
        elif bare and not bare.startswith(b"#"):
            if not self._settled:
                self._settled = True
                self._table = _table(_text(line), self._column)
                if self._table is not None:
                    yield from self._table.head(self._line)
                    return
            yield (
                _from_json(self._line, bare, self._column)
                if bare.startswith(b"{")
                else _row(self._line, _text(bare))
            )


def _text(line: bytes) -> str:
    """Decode a line: UTF-8, or else latin-1, in which old lists have the names of people."""
    try:
        return line.decode()
    except UnicodeDecodeError:
        return line.decode("latin-1")


def _row(line: int, text: str) -> Row:
    try:
        return Row(line, parse(text))
    except AddressError as error:
        return Row(line, None, str(error))


def _from_json(line: int, data: bytes, column: str | None) -> Row:
    try:
        found = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        what = (
            "a document of JSON that stretches over several lines; give JSON Lines, one object a line"
            if data.count(b"{") > data.count(b"}")
            else "no valid JSON; give one object a line"
        )
        return Row(line, None, f"the line is {what}")
    for key in _KEYS if column is None else (column,):
        if key in found:
            try:
                return _row(line, msgspec.json.decode(found[key], type=str))
            except (msgspec.DecodeError, UnicodeDecodeError):
                return Row(line, None, f"the value of {_show(key)} is no string")
    wanted = _show(column) if column is not None else "address or sender"
    return Row(line, None, f"the object has no {wanted}; name the key with --column")


# --- CSV -------------------------------------------------------------------------------------------------


def _table(first: str, column: str | None) -> _Table | None:
    """Tell by the first line, and by what the user said, whether this is CSV; None when it is lines."""
    if first.lstrip().startswith("{"):
        return None
    delimiter = max(_DELIMITERS, key=first.count)
    names = [name.strip().casefold() for name in _fields(first, delimiter)]
    if column is None:
        place = next((names.index(name) for name in NAMES if name in names), None)
        return None if place is None else _Table(delimiter, place, "")
    if column.isascii() and column.isdigit():
        place = int(column[:6]) - 1
        if not 0 <= place < len(names):
            raise InputError(f"--column: the first line has {_columns(names)}, and no column {_show(column)}")
        return _Table(delimiter, place, "" if "@" not in names[place] else first)
    if column.strip().casefold() not in names:
        raise InputError(f"--column: the first line names no column {_show(column)}; {_meant(column, names)}")
    return _Table(delimiter, names.index(column.strip().casefold()), "")


def _meant(column: str, names: list[str]) -> str:
    import difflib  # noqa: PLC0415  # only who mistypes needs it

    near = difflib.get_close_matches(
        column.strip().casefold()[:NEAR], (name[:NEAR] for name in names[:LOOKED_AT]), 1
    )
    known = ", ".join(_show(name) for name in names[:20])
    return f"did you mean {_show(near[0])}? It has {known}" if near else f"it has {known}"


def _fields(record: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([record], delimiter=delimiter), [])
    except csv.Error:
        return []


class _Table:
    """The records of CSV (RFC 4180), of which one column is wanted; also with semicolons or tabs."""

    def __init__(self, delimiter: str, place: int, first: str) -> None:
        """`first` is the first line when it is a record, and empty when it is the header."""
        self._delimiter = delimiter
        self._place = place
        self._first = first
        self._open: list[bytes] = []
        self._opened = 0
        self._size = 0

    def head(self, line: int) -> Iterator[Row]:
        """Give the row of the first line, unless it is the header."""
        if self._first:
            yield from self.record(line, self._first.encode())

    def record(self, number: int, line: bytes) -> Iterator[Row]:
        """Take a line; a record goes on while a quote is open, which is when their number is odd."""
        quotes = line.count(b'"') % 2
        if not self._open and not quotes:
            yield from self._read(number, line)
            return
        if not self._open:
            self._opened = number
        self._open.append(line)
        self._size += len(line) + 1
        if quotes and len(self._open) > 1:
            whole = b"\n".join(self._open)
            self._clear()
            yield from self._read(self._opened, whole)
        elif self._size > RECORD_LIMIT:
            yield from self._unclosed()

    def end(self) -> Iterator[Row]:
        """Give what stands behind a quote that was never closed."""
        if self._open:
            yield from self._unclosed()

    def _unclosed(self) -> Iterator[Row]:
        """Give up on the line with the open quote. Those after it hold none, or an even number: they are read."""
        rest = self._open[1:]
        self._clear()
        yield Row(self._opened, None, "a quote is opened here and not closed; close it, or write it twice")
        for number, line in enumerate(rest, self._opened + 1):
            yield from self._read(number, line)

    def _clear(self) -> None:
        self._open = []
        self._size = 0

    def _read(self, line: int, record: bytes) -> Iterator[Row]:
        fields = _fields(_text(record), self._delimiter)
        if not any(field.strip() for field in fields):
            return
        if self._place >= len(fields):
            yield Row(
                line, None, f"the line has {_columns(fields)}; the address is in column {self._place + 1}"
            )
        elif not fields[self._place].strip():
            yield Row(line, None, f"column {self._place + 1} is empty")
        else:
            yield _row(line, fields[self._place])


def _columns(fields: list[str]) -> str:
    return "1 column" if len(fields) == 1 else f"{len(fields)} columns"


_UNPRINTABLE = re.compile(r"[^ -~]")


def _show(text: str) -> str:
    """Quote a name of the input for a message: printable, and not long."""
    return "'" + _UNPRINTABLE.sub("?", text[:40]) + "'"
