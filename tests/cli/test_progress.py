"""The status line: for a person at a terminal, and gone before the report."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import pty
import re
import struct
import sys
import termios
from argparse import Namespace
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from probe.cli import progress
from tests.cli.program import CLEAN, start

if TYPE_CHECKING:
    import pytest

    from tests.cli.program import World

TERMINAL = CLEAN | {"TERM": "xterm"}


def watch(*arguments: str, columns: int = 80, **environment: str) -> tuple[str, str]:
    """Run the program with a terminal as standard error; give standard output, and what the terminal got."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    try:
        process = start(*arguments, stderr=slave, env=TERMINAL | environment)
        os.close(slave)
        shown = b""
        while data := _read(master):
            shown += data
        assert process.stdout is not None
        out = process.stdout.read()
        process.stdout.close()
        process.wait(10)
    finally:
        os.close(master)
    return out, shown.decode()


def _read(master: int) -> bytes:
    try:
        return os.read(master, 4096)
    except OSError as error:
        if error.errno == errno.EIO:  # nobody holds the other end any more
            return b""
        raise


def test_it_says_what_is_waited_for_and_vanishes(world: World) -> None:
    out, shown = watch(*world.arguments("--reply-timeout=2.4", "a@silent.example"))
    assert out.startswith("a@silent.example: firewall-timeout")
    lines = shown.split("\r\x1b[K")
    assert lines[0] == lines[-1] == ""
    assert len(lines) > 3
    for line in lines[1:-1]:
        assert re.fullmatch(r"waiting for the greeting of mx\.silent\.example \[127\.0\.0\.3\] \d+ s", line)


def test_of_several_it_counts(world: World) -> None:
    addresses = ("a@good.example", "b@dead.example")
    out, shown = watch(*world.arguments("--connect-timeout=2", *addresses))
    assert re.search(r"1 of 2 done, connecting to mx\.dead\.example \[127\.0\.0\.4\] \d+ s", shown)
    assert out.index("a@good.example") < out.index("b@dead.example")


def test_it_fits_the_terminal(world: World) -> None:
    _, shown = watch(*world.arguments("--reply-timeout=1.5", "a@silent.example"), columns=40)
    assert max(len(line) for line in shown.split("\r\x1b[K")) < 40


def test_a_quick_answer_shows_none(capsys: pytest.CaptureFixture[str]) -> None:
    async def answer() -> None:
        line = progress.Progress(lambda: "looking up example.com MX")
        await asyncio.sleep(0)
        line.clear()
        line.stop()

    asyncio.run(answer())
    assert capsys.readouterr().err == ""


def test_it_is_for_people_and_real_terminals_only(world: World) -> None:
    """All at once, because each has to wait for as long as the line would take to come."""

    def shown(chosen: tuple[str, str]) -> str:
        option, terminal = chosen
        arguments = world.arguments("--reply-timeout=1.6", option, "a@silent.example")
        return watch(*arguments, TERM=terminal)[1]

    quiet = [(option, "xterm") for option in ("--json", "-q", "--format=csv", "--save=-")]
    quiet.append(("--format=text", "dumb"))
    with ThreadPoolExecutor(len(quiet)) as pool:
        assert dict(zip(quiet, pool.map(shown, quiet), strict=True)) == dict.fromkeys(quiet, "")


def test_names_from_the_dns_do_not_reach_the_terminal_as_they_are(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "PATIENCE", 0.0)

    async def show() -> None:
        line = progress.Progress(lambda: "connecting to \x1b[2Jevil\r\n")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        line.stop()

    asyncio.run(show())
    shown = capsys.readouterr().err.replace("\r\x1b[K", "")
    assert shown == r"connecting to \x1b[2Jevil\x0d\x0a 0 s"


def test_a_terminal_that_goes_away_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(_: str) -> None:
        raise OSError(errno.EIO, "gone")

    monkeypatch.setattr(progress, "PATIENCE", 0.0)
    monkeypatch.setattr(sys, "stderr", Namespace(write=gone, fileno=lambda: -1, flush=lambda: None))

    async def show() -> None:
        line = progress.Progress(lambda: "x")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        line.stop()

    asyncio.run(show())
