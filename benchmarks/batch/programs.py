"""The C programs of the benchmark: built into a folder, and the sink started there and asked for its counts."""

from __future__ import annotations

import shutil
import socket
import subprocess
from pathlib import Path
from typing import Self

import msgspec

COMPILER = "cc"
LIMIT = 20.0
"""Seconds for the sink to tell something, which takes milliseconds."""


class NoCompiler(Exception):  # noqa: N818  # it is no error of ours, it is what this machine lacks
    """This machine has no C compiler; the text says how to get one."""


class Counts(msgspec.Struct, frozen=True):
    """What the sink saw at one mail host; at all of them together where `host` is None.

    `gap_ms` is the least time between two starts of connections to one host, None where there was only one;
    `without_quit` counts connections that the client ended without QUIT, `early` what it sent before it was greeted,
    `data` DATA and BDAT, `turned_away` the connections that were greeted with 421.
    """

    host: str | None
    connections: int
    open: int
    at_once: int
    gap_ms: float | None
    rcpts: int
    rcpts_per_connection: int
    without_quit: int
    early: int
    data: int
    turned_away: int


def build(name: str, folder: Path) -> Path:
    """Compile `sink` or `client` into the folder; `NoCompiler` when that cannot be done here."""
    program = folder / name
    if not program.exists():
        if shutil.which(COMPILER) is None:
            raise NoCompiler(f"needs a C compiler, {COMPILER} (Debian: apt-get install gcc libc6-dev)")
        source = Path(__file__).with_name(f"{name}.c")
        subprocess.run([COMPILER, "-O2", "-o", program, source, "-lm"], check=True)
    return program


class Sink:
    """A running sink as a context manager; its options stand at the head of sink.c."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.port = 0
        self._command = [str(build("sink", folder)), *options]
        self._control = 0

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="ascii"
        )
        assert self._process.stdout
        line = self._process.stdout.readline().split()
        if len(line) != 2:
            self.__exit__()
            raise OSError("the sink did not start; it says why on standard error")
        self.port, self._control = map(int, line)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()  # which is how it is told to end
        self._process.stdout.close()
        self._process.wait()

    def counts(self) -> dict[str | None, Counts]:
        """Ask what it saw so far, at each host by its address, and at all of them by None."""
        with (
            socket.create_connection(("127.0.0.1", self._control), LIMIT) as control,
            control.makefile() as told,
        ):
            each = [msgspec.json.decode(line, type=Counts) for line in told]
        return {counts.host: counts for counts in each}

    def total(self) -> Counts:
        """Ask what it saw so far at all hosts together."""
        return self.counts()[None]
