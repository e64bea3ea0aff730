"""`--save FILE`: the evidence, one document, or JSON Lines for several addresses."""

from __future__ import annotations

import os
import sys
import tempfile
from typing import TYPE_CHECKING

from probe.cli import UsageError

if TYPE_CHECKING:
    from probe.core.model import Evidence


class Saver:
    """Writes evidence as it comes. A file is replaced whole at the end, so that it is never half a document.

    Raises `UsageError` at once when the file cannot be written: before anything is probed.
    """

    def __init__(self, name: str | None) -> None:
        self.to_stdout = name == "-"
        self._name = name
        self._lines: list[bytes] = []
        self._temporary: str | None = None
        if name is not None and not self.to_stdout:
            self._check(name)

    def _check(self, name: str) -> None:
        folder = os.path.dirname(name) or "."
        if os.path.isdir(name):
            raise UsageError(f"--save: {ascii(name)} is a directory; give the name of a file")
        if os.path.exists(name) and not os.path.isfile(name):
            target = name  # a device or a pipe: it is written as it is
        elif not os.path.isdir(folder):
            raise UsageError(
                f"--save: there is no directory {ascii(folder)}; make it, or save somewhere else"
            )
        else:
            target = folder
        if not os.access(target, os.W_OK):
            raise UsageError(
                f"--save: {ascii(name)} cannot be written: permission denied; choose another file"
            )

    def save(self, evidence: Evidence) -> None:
        """Take one evidence document."""
        if self._name is None:
            return
        from probe.codec import encode

        line = encode(evidence) + b"\n"
        if self.to_stdout:
            sys.stdout.write(line.decode())
            sys.stdout.flush()
        else:
            self._lines.append(line)

    def finish(self) -> None:
        """Put the file in place. Raises `UsageError` when the disk says no; the reports are printed by then."""
        if self._name is None or self.to_stdout or not self._lines:
            return
        try:
            if os.path.exists(self._name) and not os.path.isfile(self._name):
                with open(self._name, "wb") as device:
                    device.writelines(self._lines)
                return
            with tempfile.NamedTemporaryFile(
                dir=os.path.dirname(self._name) or ".", prefix=".probe-sender-", delete=False
            ) as file:
                self._temporary = file.name
                file.writelines(self._lines)
            os.chmod(self._temporary, 0o644 & ~_umask())
            os.replace(self._temporary, self._name)
        except OSError as error:
            if self._temporary is not None and os.path.exists(self._temporary):
                os.unlink(self._temporary)
            raise UsageError(
                f"--save: {ascii(self._name)} could not be written: {error.strerror}; the report above is complete"
            ) from None


def _umask() -> int:
    """Read the umask; the system only tells it by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
