"""Log files as blocks of whole lines: plain or compressed, rotated, from a pipe; in constant memory.

What is wrong with a file is one line for a person and never costs the rest: a file that cannot be read at all
raises `LogFileError`, one that ends early or holds a monstrous line gives what it has, and `warn` says so.
"""

from __future__ import annotations

import io
import re
import stat
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

from probe.net.sift import whole_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from probe.net.sift import Lines

    _Plain = io.BufferedReader[io.RawIOBase]

BLOCK = 1 << 20
"""Octets that are read at once: so many that the cost of a block does not show, so few that they stay in the cache."""
LINE_LIMIT = 64 * 1024
"""Octets of a line that are kept. Exim ends a record at 8 KiB, syslog far earlier."""
_SAMPLE = 4096
"""Octets at the start of a file by which its kind is told."""
_BINARY = 0.03
"""Share of control characters from which a file is no text: of random octets 11 % are, of a log next to none."""
_STRAY = 16
"""Control characters that even a short text may hold."""
_CONTROLS = bytes({*range(32), 127} - set(b"\t\n\r\f\x1b"))
_HEAD_OF_FILE = 64 * 1024
"""Octets in which the first stamp of a file is looked for."""
_DAY = 86400.0

_DATED = re.compile(
    rb"^(?:[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \S+ \S+: )?(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)",
    re.MULTILINE,
)
_ROTATED = re.compile(r"[.-](?P<number>\d{1,10})(?:\.(?:gz|zst|bz2|xz|Z|log))*$")


class LogFileError(Exception):
    """A file that cannot be read at all. Its text is one line: the name, what is wrong, the mend."""


def open_log(name: str) -> io.RawIOBase:
    """Open a file, a pipe, or with `-` standard input; raise `LogFileError` when that cannot be."""
    if name == "-":
        if sys.stdin is None:
            raise LogFileError("standard input is closed; give the name of a file, or pipe the log in")
        # Not its buffer, which would wait for a whole block of what comes slowly.
        return cast("io.RawIOBase", getattr(sys.stdin.buffer, "raw", sys.stdin.buffer))
    try:
        return Path(name).open("rb", buffering=0)
    except IsADirectoryError:
        mend = f"give the files in it, such as {shown(name).rstrip('/')}/*"
        raise LogFileError(f"{shown(name)} is a directory; {mend}") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        why = getattr(error, "strerror", None) or "no file can have that name"
        raise LogFileError(f"{shown(name)} cannot be read: {why}; give a log file, or - for input") from None


def shown(name: str) -> str:
    """Give the name of a source as messages show it."""
    return "standard input" if name == "-" else ascii(name)[1:-1][:300]


def blocks(name: str, warn: Callable[[str], None]) -> Iterator[Lines]:
    """Give the lines of a source, many at a time.

    Raises `LogFileError` before the first block when there is nothing to read; what happens later (a file
    cut short, an error of the disk, a line beyond `LINE_LIMIT`) ends or shortens what is given and is told
    to `warn`.
    """
    opened = open_log(name)
    try:
        plain = io.BufferedReader(opened, BLOCK)
        yield from _blocks(plain, name, warn)
    finally:
        if name != "-":
            opened.close()


def _blocks(plain: _Plain, name: str, warn: Callable[[str], None]) -> Iterator[Lines]:
    where = shown(name)
    try:
        head = plain.peek(_SAMPLE)[:_SAMPLE]
    except OSError as error:
        raise LogFileError(f"{where} cannot be read: {error.strerror}; give a log file") from None
    if not head:
        raise LogFileError(f"{where} is empty; there is nothing to read")
    packing = next((kind for magic, kind in _PACKED.items() if head.startswith(magic)), None)
    source = _PACKINGS[packing](plain, where) if packing else _Source(plain.read1)
    first = b""
    if packing:
        first, trouble = _read(source)
        if not first:
            raise LogFileError(f"{where}: {trouble or 'the file inside is empty'}; give it uncompressed")
        head = first[:_SAMPLE]
    if why := _no_text(head):
        raise LogFileError(f"{where} {why}")
    overlong = 0
    rest, skipping = b"", False
    while True:
        data, trouble = (first, None) if first else _read(source)
        first = b""
        if not data:
            break
        begin = data.find(b"\n") + 1
        if not begin:
            rest = rest if skipping else rest + data
        else:
            # The line that began in the last block gets a small one of its own, so that this one is not copied.
            if rest:
                yield whole_lines(rest + data[:begin])
            end = data.rfind(b"\n") + 1
            start = begin if rest or skipping else 0
            if start < end:
                yield whole_lines(data, start, end)
            rest, skipping = data[end:], False
        if len(rest) > LINE_LIMIT:
            yield whole_lines(rest[:LINE_LIMIT] + b"\n")
            rest, skipping = b"", True
            overlong += 1
    if rest:
        yield whole_lines(rest + b"\n")
    if trouble:
        warn(f"{where}: {trouble}; what came before was read")
    if overlong:
        what = "a line" if overlong == 1 else f"{overlong} lines"
        warn(f"{where}: {what} of more than {LINE_LIMIT >> 10} KiB, which no mail server writes, cut there")


def _read(source: _Source) -> tuple[bytes, str | None]:
    """Read some octets; at the end of what can be read, none and, where that came too soon, why."""
    try:
        return source.read(BLOCK), None
    except EOFError:
        return b"", "the compressed data ends too soon"
    except source.damage:
        return b"", "the compressed data is damaged"
    except OSError as error:
        # The modules for compressed files raise it with a text of their own and no errno.
        return b"", error.strerror or "the compressed data is damaged"


def _no_text(head: bytes) -> str | None:
    """Say why this is no log, judged by the start of it."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "is UTF-16; save it as UTF-8 and give it again"
    controls = len(head) - len(head.translate(None, _CONTROLS))
    if controls > max(_BINARY * len(head), _STRAY):
        return "is binary and no log; give the log file itself"
    return None


# --- compressed files --------------------------------------------------------------------------------


class _Source(NamedTuple):
    """What is read from: gives up to so many octets, none at the end; and what it raises at damaged data."""

    read: Callable[[int], bytes]
    damage: tuple[type[Exception], ...] = ()


# Each module is loaded only for a file that needs it.


def _gzip(file: _Plain, _where: str) -> _Source:
    import gzip  # noqa: PLC0415
    import zlib  # noqa: PLC0415

    return _Source(gzip.GzipFile(fileobj=file).read1, (zlib.error,))


def _bzip2(file: _Plain, _where: str) -> _Source:
    import bz2  # noqa: PLC0415

    return _Source(bz2.BZ2File(file).read1)


def _xz(file: _Plain, _where: str) -> _Source:
    import lzma  # noqa: PLC0415

    return _Source(lzma.LZMAFile(file).read1, (lzma.LZMAError,))


def _zstd(file: _Plain, where: str) -> _Source:
    try:
        import zstandard  # noqa: PLC0415
    except ImportError:
        raise LogFileError(
            f"{where} is compressed with zstd, and the library zstandard is not installed;"
            " install probe-sender[zstd], or pipe it in: zstdcat FILE | probe-sender log -"
        ) from None
    stream = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True)
    return _Source(stream.read1, (zstandard.ZstdError,))


_PACKINGS = {"gzip": _gzip, "zstd": _zstd, "bzip2": _bzip2, "xz": _xz}
_PACKED = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"BZh": "bzip2", b"\xfd7zXZ\x00": "xz"}
"""The first octets of each kind: the name of a file proves nothing."""


# --- rotated sets ------------------------------------------------------------------------------------


def in_order(names: list[str]) -> list[str]:
    """Put the files of a rotated set into the order of time, oldest first.

    By the first dated stamp in each (syslog's own names no year), else by the numbers that
    logrotate gives (`mainlog.2.gz` is older than `mainlog.1`, `mainlog-20261121` older than `mainlog-20261122`,
    and the file without one is the newest). What cannot be looked into beforehand, such as a pipe, leaves the
    order to the user.
    """
    if len(names) < 2 or any(map(_flows, names)):
        return names
    stamps = {name: first_stamp(name) for name in names}
    if any(stamps.values()):
        return sorted(names, key=lambda name: stamps[name] or b"")
    return sorted(names, key=_age)


def first_stamp(name: str) -> bytes | None:
    """Find the first stamp with a year near the start of a file; None where there is none."""
    try:
        for lines in blocks(name, lambda _: None):
            found = _DATED.search(lines.data[lines.begin : lines.end][:_HEAD_OF_FILE])
            return found[1] + b" " + found[2] if found else None
    except LogFileError:
        pass  # it will be told when its turn comes
    return None


def _flows(name: str) -> bool:
    """Whether what is read of it is gone: a pipe, a socket, a terminal."""
    path = Path(name)
    try:
        return name == "-" or path.is_fifo() or path.is_socket() or path.is_char_device()
    except OSError:
        return False  # nobody can read it


def _age(name: str) -> tuple[int, int]:
    """Sort key: dated names ascending, then numbers descending, then the live file."""
    found = _ROTATED.search(name)
    if found is None:
        return (2, 0)
    number = int(found["number"])
    return (0, number) if len(found["number"]) >= 6 else (1, -number)


def written_until(name: str) -> float:
    """Give the time (seconds since 1970) of the last line that a source can hold: its file's, else now.

    It tells the year of stamps without one, which are never later. A compressed file keeps the time of the
    log that went into it, because gzip and logrotate set it.
    """
    try:
        status = Path(name).stat() if name != "-" else None
    except (OSError, ValueError):
        status = None
    if status is None or not stat.S_ISREG(status.st_mode):
        return time.time() + _DAY
    return status.st_mtime + _DAY  # a day of grace: the stamps are local time of any zone
