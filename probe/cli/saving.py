"""`--save FILE`: the evidence, one document, or JSON Lines for several addresses."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from probe.cli import UsageError

if TYPE_CHECKING:
    from probe.core.model import Evidence


class Saver:
    """Keeps evidence for a file, which is put in place whole at the end: it is never half a document.

    Raises `UsageError` at once when the file cannot be written: before anything is probed.
    """

    def __init__(self, name: str) -> None:
        _check(name)
        self._name = name
        self._lines: list[bytes] = []

    def save(self, evidence: Evidence) -> None:
        """Take one evidence document."""
        from probe.codec import encode

        self._lines.append(encode(evidence) + b"\n")

    def finish(self) -> None:
        """Put the file in place. Raises `UsageError` when the disk says no; the reports are printed by then."""
        if not self._lines:
            return
        # A link stays one: what it points to is replaced.
        name = os.path.realpath(self._name)
        try:
            if os.path.exists(name) and not os.path.isfile(name):
                with open(name, "wb") as device:
                    device.writelines(self._lines)
            else:
                self._replace(name)
        except OSError as error:
            raise UsageError(
                f"--save: {self._name!a} could not be written: {error.strerror};"
                " the result is complete, save to another place next time"
            ) from None

    def _replace(self, name: str) -> None:
        # Not tempfile: it would load 20 modules into every probe.
        temporary = f"{name}.{os.getpid()}.tmp"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            with open(descriptor, "wb") as file:
                file.writelines(self._lines)
            if os.path.exists(name):
                os.chmod(temporary, os.stat(name).st_mode & 0o777)
            os.replace(temporary, name)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise


def _check(name: str) -> None:
    """Refuse a file that cannot be written, as far as can be told beforehand."""
    target = os.path.realpath(name)
    folder = os.path.dirname(target)
    if not name:
        raise UsageError("--save: the name is empty; give the name of a file, or - for standard output")
    if os.path.isdir(target):
        raise UsageError(f"--save: {name!a} is a directory; give the name of a file")
    if not os.path.isdir(folder):
        shown = ascii(os.path.dirname(name) or folder)
        raise UsageError(f"--save: there is no directory {shown}; make it, or save somewhere else")
    # A file is replaced, so its directory has to be writable as well; a device or a pipe is written as it is.
    needed = [target] if os.path.exists(target) else []
    needed += [folder] if not needed or os.path.isfile(target) else []
    if not all(os.access(path, os.W_OK) for path in needed):
        raise UsageError(f"--save: {name!a} cannot be written: permission denied; choose another file")
