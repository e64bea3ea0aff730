"""A log that grows, read as it is written, through both ways of rotation.

After a rename the old file is read to its end and then the new one from its start; after copytruncate, which
empties the file under the writer, it is read from the start again. That is seen by the size, and by the
first octets of the file, because a busy server may have written more than before by the time we look. What is
written between our last look and the truncation is lost to us, as logrotate(8) says it may be to everybody.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from probe.net.logfile import BLOCK, LINE_LIMIT, LogFileError, open_log

if TYPE_CHECKING:
    from io import RawIOBase

_MARK = 64
"""Octets at the start of a file by which it is known again: a stamp and what follows it."""


class Follower:
    """One growing file. `poll` looks once and never waits; `close` gives the file back."""

    def __init__(self, name: str, *, from_start: bool) -> None:
        """Open the file, at its end unless `from_start`; raises `LogFileError` when that cannot be."""
        self._name = name
        self._rest = b""
        self._skipping = False
        self._open(open_log(name))
        if not from_start:
            self._at = self._size()
            self._skipping = self._at > 0 and os.pread(self._file.fileno(), 1, self._at - 1) != b"\n"

    def poll(self) -> bytes:
        """Give the lines that were written since the last look, each with its line feed; none is empty."""
        if self._was_truncated():
            self._at, self._mark = 0, b""
            self._rest, self._skipping = b"", False
        lines = self._whole_lines()
        if not lines and self._at >= self._size() and self._was_renamed():
            last = self._rest + b"\n" if self._rest else b""
            self._switch()
            return last
        return lines

    def close(self) -> None:
        """Give the file back."""
        self._file.close()

    def _open(self, file: RawIOBase) -> None:
        self._file = file
        self._at = 0
        self._mark = os.pread(file.fileno(), _MARK, 0)

    def _size(self) -> int:
        return os.fstat(self._file.fileno()).st_size

    def _was_truncated(self) -> bool:
        if self._size() < self._at:
            return True
        begins = os.pread(self._file.fileno(), _MARK, 0)
        known, self._mark = self._mark, begins
        return not begins.startswith(known)

    def _was_renamed(self) -> bool:
        """Whether another file has the name now; while none has, the old one is kept."""
        try:
            named = Path(self._name).stat()
        except OSError:
            return False
        ours = os.fstat(self._file.fileno())
        return (named.st_dev, named.st_ino) != (ours.st_dev, ours.st_ino)

    def _switch(self) -> None:
        try:
            new = open_log(self._name)
        except LogFileError:
            return  # gone again, or not yet ours to read: the next look will tell
        self._file.close()
        self._rest, self._skipping = b"", False
        self._open(new)

    def _whole_lines(self) -> bytes:
        data = os.pread(self._file.fileno(), BLOCK, self._at)
        self._at += len(data)
        if self._skipping:
            cut = data.find(b"\n") + 1
            if not cut:
                return b""
            data, self._skipping = data[cut:], False
        end = data.rfind(b"\n") + 1
        lines = self._rest + data[:end] if end else b""
        self._rest = data[end:] if end else self._rest + data
        if len(self._rest) > LINE_LIMIT:
            lines += self._rest[:LINE_LIMIT] + b"\n"
            self._rest, self._skipping = b"", True
        return lines
