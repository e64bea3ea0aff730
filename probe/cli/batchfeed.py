"""The input of a batch on its way into the spool, while the first of its addresses are asked already."""

from __future__ import annotations

import asyncio
import gzip
import io
import sys
import threading
import zlib
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING

from probe.cli import UsageError, complain
from probe.core.batch_input import InputError, Reader
from probe.net.spool import Waiting

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from probe.core.batch_input import Row
    from probe.net.spool import Spool

PIECE = 64 * 1024
"""Octets that are read at once."""
AHEAD = 2
"""Pieces that wait to be looked at."""
SLICE = 400
"""Rows between two looks at the network: some milliseconds of work. Those of one domain cost less together."""
TOLD = 20
"""Invalid lines that are told one by one; the rest is counted."""
_GZIP = b"\x1f\x8b"


class Feed:
    """Reads a file into a spool. `tell` takes one line about each address that is none."""

    def __init__(self, name: str, spool: Spool, *, column: str | None, helo: str | None) -> None:
        """Open the file, or raise `UsageError`. `helo` is what we call ourselves, which nobody's domain may be."""
        self.invalid = 0
        self.ended = False
        self.shown = "standard input" if name == "-" else ascii(name)[1:-1][:300]
        self._spool = spool
        self._reader = Reader(column)
        self._helo = None if helo is None else helo.lower().rstrip(".")
        self._source = _open(name)

    async def run(self, more: Callable[[], None], tell: Callable[[str], None]) -> None:
        """Read to the end; `more` is called when the spool has got something. Raises `UsageError`."""
        try:
            async for piece in _pieces(self._source):
                await self._take(self._reader.feed(piece), more, tell)
            await self._take(self._reader.end(), more, tell)
        except InputError as error:
            raise UsageError(f"{self.shown}: {error}") from None
        except (OSError, EOFError, zlib.error) as error:
            why = getattr(error, "strerror", None) or "the compressed data is damaged"
            raise UsageError(f"{self.shown} cannot be read to the end: {why}; give a whole file") from None
        if self.invalid > TOLD:
            rest = self.invalid - TOLD
            what = "line is no address" if rest == 1 else "lines are no addresses"
            tell(f"{self.shown}: {rest:,} more {what}")
        self.ended = True

    async def _take(self, rows: Iterator[Row], more: Callable[[], None], tell: Callable[[str], None]) -> None:
        while some := list(islice(rows, SLICE)):
            new = []
            for row in some:
                if row.address is None:
                    self._refuse(row.line, row.wrong, tell)
                elif row.address.domain == self._helo:
                    self._refuse(row.line, "its domain is our own name of --helo", tell)
                else:
                    new.append(Waiting(row.address.given, row.address.mailbox, row.address.domain))
            if new and self._spool.add(new):
                more()
            await asyncio.sleep(0)

    def _refuse(self, line: int, wrong: str, tell: Callable[[str], None]) -> None:
        self.invalid += 1
        if self.invalid <= TOLD:
            tell(f"{self.shown}, line {line}: {wrong}")


def _open(name: str) -> io.BufferedReader[io.FileIO]:
    if name == "-":
        if sys.stdin is None:
            raise UsageError("standard input is closed; give the name of a file, or pipe the addresses in")
        if sys.stdin.isatty():
            complain("reading addresses from the terminal; Ctrl-D ends them")
        return io.BufferedReader(io.FileIO(sys.stdin.fileno(), closefd=False), PIECE)
    try:
        return io.BufferedReader(io.FileIO(name), PIECE)
    except IsADirectoryError:
        raise UsageError(f"{name!a} is a directory; give a file with addresses") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        why = getattr(error, "strerror", None) or "no file can have that name"
        raise UsageError(
            f"{name!a} cannot be read: {why}; give another file, or - for standard input"
        ) from None


async def _pieces(source: io.BufferedReader[io.FileIO]) -> AsyncIterator[bytes]:
    """Give what a thread reads, as it comes. The thread is a daemon, because nobody can end a read of a pipe."""
    loop = asyncio.get_running_loop()
    pieces: asyncio.Queue[bytes | Exception] = asyncio.Queue()
    room = threading.Semaphore(AHEAD)

    def read() -> None:
        with suppress(RuntimeError):  # the run is over, and its loop closed
            for piece in _blocking(source):
                room.acquire()
                loop.call_soon_threadsafe(pieces.put_nowait, piece)

    threading.Thread(target=read, name="input", daemon=True).start()
    while piece := await pieces.get():
        if isinstance(piece, Exception):
            raise piece
        yield piece
        room.release()


def _blocking(source: io.BufferedReader[io.FileIO]) -> Iterator[bytes | Exception]:
    """Read pieces, unpacked; the last is empty, or why there are no more."""
    try:
        packed = source.peek(len(_GZIP)).startswith(_GZIP)
        read = gzip.GzipFile(fileobj=source).read1 if packed else source.read1
        while piece := read(PIECE):
            yield piece
        yield b""
    except (OSError, EOFError, zlib.error) as error:
        yield error
