"""`batch -o FILE`: the file to which results are appended, and what an earlier run has written into it."""

from __future__ import annotations

import csv
import fcntl
import os
import stat
from typing import TYPE_CHECKING

import msgspec

from probe.cli import UsageError
from probe.cli.keeping import Watched
from probe.codec import SIZE_LIMIT
from probe.core.expiry import HELD_BACK
from probe.core.model import Cause
from probe.net.spool import FINAL, OPEN, TAKEN
from probe.show.printable import cell
from probe.show.tally import csv_header

if TYPE_CHECKING:
    from collections.abc import Iterator

    from probe.net.spool import Waiting

_BLOCK = 1 << 20
_START = b'{"schema":'
"""How a result begins as JSON."""


class Earlier(msgspec.Struct, frozen=True):
    """A result that was there: its key (see `OutputFile.key`), cause and reason."""

    key: str
    cause: str
    reason: str

    @property
    def answer(self) -> int:
        """What it says of the address, in the words of the spool."""
        if self.reason == HELD_BACK:
            return OPEN
        return TAKEN if self.cause == Cause.SENDER_EXISTS else FINAL


class OutputFile:
    """The file of -o, locked while it is open. Raises `UsageError` when it cannot be used, and changes nothing then."""

    def __init__(self, name: str, form: str) -> None:
        """`form` is `jsonl` or `csv`."""
        self.name = name
        self._csv = form == "csv"
        self.descriptor = _open(name)
        self.is_empty = True
        self._size = 0
        self._watched = Watched(name, os.fstat(self.descriptor))

    def key(self, row: Waiting) -> str:
        """Give that by which an address is found in the file: its mailbox, in CSV its cell."""
        return cell(row.given) if self._csv else row.mailbox

    def earlier(self) -> Iterator[Earlier]:
        """Give the results that are in the file; then cut off a last line that was written only in part.

        The file is read line by line. When a line is not one of our results nothing is changed.
        """
        whole = 0
        header = csv_header().encode()
        with open(self.descriptor, "rb", buffering=_BLOCK, closefd=False) as file:
            for number, line in enumerate(iter(lambda: file.readline(SIZE_LIMIT), b""), 1):
                if len(line) == SIZE_LIMIT:
                    raise self._foreign(number)
                if self._csv and number == 1:
                    if line != header and not (_is_torn(line) and header.startswith(line.rstrip(b"\0"))):
                        raise self._foreign(number)
                elif _is_torn(line):
                    self._check_torn(number, line)
                else:
                    yield self._read(number, line)
                if not _is_torn(line):
                    whole += len(line)
        os.ftruncate(self.descriptor, whole)
        self._size = whole
        os.lseek(self.descriptor, 0, os.SEEK_END)
        self.is_empty = whole == 0

    def check(self, written: int) -> None:
        """Raise `UsageError` when somebody has taken the file, or results in it, away from us.

        `written` are the octets that this run had written into it before.
        """
        seen = os.fstat(self.descriptor)
        if stat.S_ISREG(seen.st_mode) and seen.st_size < self._size + written:
            raise UsageError(
                f"-o: {self.name!a} was cut short by somebody else while it was written to;"
                " the same command asks again what is missing in it"
            )
        if self._watched.is_there():
            return
        if seen.st_nlink:
            raise UsageError(
                f"-o: {self.name!a} was moved or replaced while it was written to; move it back,"
                " and the same command goes on from there"
            )
        raise UsageError(
            f"-o: {self.name!a} was deleted while it was written to, with the results in it; the same command"
            " asks again, apart from what the store knows"
        )

    def close(self) -> None:
        """Close the file, and let others have it."""
        os.close(self.descriptor)

    def _read(self, number: int, line: bytes) -> Earlier:
        found = _from_csv(line) if self._csv else _from_json(line)
        if found is None:
            raise self._foreign(number)
        return found

    def _check_torn(self, number: int, line: bytes) -> None:
        """Refuse to cut off what we have not begun to write; a power loss may leave NULs behind it."""
        written = line.rstrip(b"\0")
        ours = self._csv or written.startswith(_START) or _START.startswith(written)
        if not ours:
            raise self._foreign(number)

    def _foreign(self, number: int) -> UsageError:
        kind = "CSV" if self._csv else "JSON Lines"
        return UsageError(
            f"-o: line {number} of {self.name!a} is no result of this command as {kind}; nothing was changed:"
            " give the file of the same command, or a new one"
        )


def _is_torn(line: bytes) -> bool:
    return not line.endswith(b"\n")


class _Address(msgspec.Struct):
    mailbox: str


class _Evidence(msgspec.Struct):
    address: _Address


class _Result(msgspec.Struct):
    """What is read of a result; the rest is skipped unread."""

    cause: Cause
    reason: str
    evidence: _Evidence


_RESULT = msgspec.json.Decoder(_Result)


def _from_json(line: bytes) -> Earlier | None:
    try:
        found = _RESULT.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return Earlier(found.evidence.address.mailbox, found.cause, found.reason)


def _from_csv(line: bytes) -> Earlier | None:
    try:
        fields = next(csv.reader([line.decode()]))
    except (csv.Error, UnicodeDecodeError, StopIteration):
        return None
    if len(fields) < 3 or fields[1] not in Cause.__members__.values():
        return None
    return Earlier(fields[0], fields[1], fields[2])


def _open(name: str) -> int:
    """Open the file for appending, locked."""
    if not name or "\0" in name:
        raise UsageError("-o: that is no name of a file; give one, such as ./results.jsonl")
    try:
        descriptor = os.open(name, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NONBLOCK, 0o666)
    except OSError as error:
        raise UsageError(f"-o: {name!a} cannot be written: {error.strerror}; give another file") from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise UsageError(f"-o: {name!a} is no regular file; leave -o away to print the results")
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise UsageError(
            f"-o: another run is writing to {name!a}; wait for it, or give another file"
        ) from None
    except OSError:
        pass  # a file system without locks; nobody can tell there
    return descriptor
