"""Ctrl-C at several moments: what is known is printed, JSON stays valid, the exit code is 130."""

from __future__ import annotations

import fcntl
import json
import signal
import socket
import subprocess
import sys
import termios
import time
from typing import TYPE_CHECKING

import pytest

from tests.cli.program import start

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.program import World

PATIENCE = 10.0


def until(happened: Callable[[], bool]) -> None:
    """Wait for what another process or thread does."""
    limit = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < limit, "it never happened"
        time.sleep(0.01)


def interrupt(process: subprocess.Popen[str]) -> tuple[str, str]:
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert "Traceback" not in err
    return out, err


def test_while_it_waits_for_a_greeting(world: World, tmp_path: Path) -> None:
    before, saved = world.connections("127.0.0.3"), tmp_path / "e.json"
    process = start(*world.arguments("--json", "--save", str(saved), "a@silent.example"))
    until(lambda: world.connections("127.0.0.3") > before)
    out, err = interrupt(process)
    report = json.loads(out)
    assert (report["reason"], report["evidence"]["interrupted"]) == ("run.interrupted", True)
    assert json.loads(saved.read_bytes())["interrupted"] is True
    assert err == ""


def test_as_text(world: World) -> None:
    before = world.connections("127.0.0.3")
    process = start(*world.arguments("a@silent.example"))
    until(lambda: world.connections("127.0.0.3") > before)
    out, _ = interrupt(process)
    assert out.startswith("a@silent.example: inconclusive (uncertain)\n")
    assert "interrupted" in out


def test_of_several_the_finished_ones_are_printed(world: World, tmp_path: Path) -> None:
    saved = tmp_path / "e.jsonl"
    silent = [f"{number}@silent.example" for number in range(9)]
    before = world.connections("127.0.0.3")
    process = start(
        *world.arguments("--json", "--save", str(saved), "a@good.example", *silent, "b@good.example")
    )
    assert process.stdout is not None
    first = process.stdout.readline()
    until(lambda: world.connections("127.0.0.3") > before)
    out, _ = interrupt(process)
    reports = [json.loads(line) for line in (first, *out.splitlines())]
    assert reports[0]["cause"] == "sender-exists"
    assert {report["reason"] for report in reports[1:]} == {"run.interrupted"}
    # Those that had not begun are not reported.
    assert 1 < len(reports) < 11
    assert len(saved.read_bytes().splitlines()) == len(reports)


def test_while_the_program_is_still_loading() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(PATIENCE)
        process = start("--json", f"--dns-server=127.0.0.1:{server.getsockname()[1]}", "a@example.com")
        server.recv(512)  # sent before anything heavy is loaded
        out, err = interrupt(process)
    assert err in {"", "probe-sender: interrupted\n"}
    if not err:
        assert json.loads(out)["reason"] == "run.interrupted"


def test_while_it_waits_for_the_dns() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(PATIENCE)
        process = start(
            "--json", "--timeout=1.6", f"--dns-server=127.0.0.1:{server.getsockname()[1]}", "a@example.com"
        )
        server.recv(512)
        server.recv(512)  # it asks again, so it is in the middle of the look-up
        out, err = interrupt(process)
    report = json.loads(out)
    assert (report["reason"], report["hosts"]) == ("run.interrupted", [])
    assert err == ""


@pytest.mark.parametrize("times", [2, 3])
def test_more_than_once_ends_it_at_once(world: World, times: int) -> None:
    before = world.connections("127.0.0.3")
    process = start(*world.arguments("a@silent.example"))
    until(lambda: world.connections("127.0.0.3") > before)
    for _ in range(times - 1):
        process.send_signal(signal.SIGINT)
    _, err = interrupt(process)
    assert err.count("\n") <= 1


def test_while_it_reads_standard_input() -> None:
    process = start("explain", "-", stdin=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write("{")
    process.stdin.flush()
    pipe = process.stdin.fileno()
    until(lambda: _unread(pipe) == 0)
    out, err = interrupt(process)
    assert (out, err) == ("", "probe-sender: interrupted\n")


def _unread(pipe: int) -> int:
    """Count the bytes in a pipe that its reader has not taken yet (ioctl_pipe(2))."""
    return int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)), sys.byteorder)
