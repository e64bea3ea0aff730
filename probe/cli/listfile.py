"""A list of exempted relays in a file: read it, and append an entry that was asked for.

The file is replaced whole, so that a mail server that reads it meets the old list or the new one, and never half a
line. It has to be a regular file that the user named himself: of a symbolic link its target is to be named, because
replacing the link would leave the target as it was.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from typing import TYPE_CHECKING

from probe.cli import UsageError
from probe.core.exemption import comment, key_of, line_of
from probe.core.exemption.iplist import MAX_TEXT, Index, is_exempting, parse, style_of
from probe.core.exemption.ways import Style

if TYPE_CHECKING:
    from collections.abc import Iterator

    from probe.core.exemption import Remark
    from probe.core.exemption.iplist import Entry, Network
    from probe.core.scope import IP


class Appender:
    """Appends one entry to the file that --write names. Raises `UsageError` for whatever stands against it.

    It looks at the file twice: at once, so that nobody waits for a probe in vain, and under a lock when it writes.
    """

    def __init__(self, name: str, ip: IP, domain: str, style: Style | None) -> None:
        """`style` is how the file is read, None to tell it by its lines and name."""
        self._name = name
        self._ip = ip
        self._domain = domain
        self._wanted = style
        _check(name)
        self._entries()

    def append(self, remark: Remark) -> tuple[int, str]:
        """Write the entry below a comment; its line number and text."""
        folder = os.path.dirname(self._name) or "."
        try:
            with _locked(folder):
                _check(self._name)
                before, entries = self._entries()
                style = self._wanted or style_of(entries, self._name)
                line = line_of(self._ip, self._domain, style)
                gap = b"" if not before or before.endswith(b"\n") else b"\n"
                added = f"{comment(_keyed(remark, key_of(self._ip, style)))}\n{line}\n"
                after = before + gap + added.encode("utf-8", "surrogateescape")
                _replace(self._name, after)
        except OSError as error:
            raise UsageError(f"--write: {self._name!a} could not be written: {error.strerror}") from None
        return after.count(b"\n"), line

    def _entries(self) -> tuple[bytes, tuple[Entry, ...]]:
        """Read the list, and refuse when it has the relay already."""
        if not os.path.exists(self._name):
            return b"", ()
        data, text = read(self._name, "--write")
        entries = parse(text)
        index = Index(tuple(entry for entry in entries if is_exempting(entry) and not entry.negated))
        for entry in index.covering(_network(self._ip)):
            what = "has" if entry.network == _network(self._ip) else f"exempts {entry.key} and so"
            raise UsageError(
                f"--write: line {entry.line} of {self._name!a} {what} {self._ip} already; nothing was written"
            )
        self._check_order(entries, self._wanted or style_of(entries, self._name))
        return data, entries

    def _check_order(self, entries: tuple[Entry, ...], style: Style) -> None:
        """Refuse where a line above would decide for the relay first, and not let it pass."""
        for entry in entries:
            stops = {Style.CIDR: not is_exempting(entry), Style.HOSTS: entry.negated}.get(style, False)
            negated_pattern = style is Style.CIDR and entry.negated  # matches what is outside of the network
            if entry.network is None or entry.conditional or negated_pattern or not stops:
                continue
            if self._ip in entry.network:
                raise UsageError(
                    f"--write: line {entry.line} of {self._name!a} ({ascii(entry.text)[1:-1][:60]}) decides for"
                    f" {self._ip} before a line at the end is read; put the new one above it by hand"
                )


def read(name: str, option: str) -> tuple[bytes, str]:
    """Read a list whole; `option` is named in the error. Raises `UsageError` when that cannot be."""
    try:
        if os.path.isdir(name):
            raise UsageError(f"{option}: {name!a} is a directory; give the name of a file")
        with open(name, "rb") as file:
            data = file.read(MAX_TEXT + 1)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "no file can have that name"
        raise UsageError(f"{option}: {name!a} cannot be read: {why}; give another file") from None
    return data, decode(data, name, option)


def decode(data: bytes, name: str, option: str) -> str:
    """Give the text of a list; raise `UsageError` for what is none."""
    if len(data) > MAX_TEXT:
        raise UsageError(f"{option}: {name!a} has more than {MAX_TEXT >> 20} MiB; no such list is that long")
    if b"\0" in data:
        raise UsageError(f"{option}: {name!a} is no text; give a list of addresses, one a line")
    return data.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape").replace("\r\n", "\n")


def _network(ip: IP) -> Network:
    from ipaddress import ip_network

    return ip_network(ip)


def _keyed(remark: Remark, key: str) -> Remark:
    from msgspec.structs import replace

    return replace(remark, key=key)


@contextlib.contextmanager
def _locked(folder: str) -> Iterator[None]:
    """Hold a lock on the directory: the file itself is replaced, so a lock on it would keep nobody out."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _check(name: str) -> None:
    """Refuse what is no regular file, or cannot be replaced, as far as can be told."""
    if not name or "\0" in name:
        raise UsageError("--write: that is no name of a file; give one, such as ./senderverifybypasshosts")
    folder = os.path.dirname(name) or "."
    try:
        found = os.lstat(name)
    except FileNotFoundError:
        if not os.path.isdir(folder):
            raise UsageError(
                f"--write: there is no directory {folder!a}; make it, or name another file"
            ) from None
        found = None
    except OSError as error:
        raise UsageError(f"--write: {name!a} cannot be used: {error.strerror}; name another file") from None
    if found is not None:
        _check_kind(name, found)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UsageError(
            f"--write: {folder!a} is not writable for us; run this as the user who keeps the list"
        )


def _check_kind(name: str, found: os.stat_result) -> None:
    if stat.S_ISLNK(found.st_mode):
        target = os.path.realpath(name)
        raise UsageError(f"--write: {name!a} is a symbolic link; name the file itself: {target!a}")
    if stat.S_ISDIR(found.st_mode):
        raise UsageError(f"--write: {name!a} is a directory; give the name of a file")
    if not stat.S_ISREG(found.st_mode):
        raise UsageError(f"--write: {name!a} is no regular file; give the name of one")
    if found.st_nlink > 1:
        raise UsageError(
            f"--write: {name!a} has another name too (a hard link), which would keep the old list"
        )
    # The superuser may write it all the same, but somebody has taken the right away on purpose.
    if not found.st_mode & 0o222 or not os.access(name, os.W_OK):
        raise UsageError(f"--write: {name!a} is read-only; make it writable, or name another file")


def _replace(name: str, data: bytes) -> None:
    """Put a new file in the place of the old one, with its owner and mode. Raises `OSError`."""
    temporary = f"{name}.{os.getpid()}.tmp"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    try:
        with open(descriptor, "wb") as file:
            if os.path.exists(name):
                old = os.stat(name)
                if (old.st_uid, old.st_gid) != (os.geteuid(), os.getegid()):
                    os.fchown(descriptor, old.st_uid, old.st_gid)
                os.fchmod(descriptor, stat.S_IMODE(old.st_mode))
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        os.replace(temporary, name)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
