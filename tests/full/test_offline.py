"""Evidence that was saved is judged again, with the same verdict, where there is no network at all."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from probe.lab.world import ClosedHost, DeadHost, Lab, LabThread
from tests.full.command import LIMIT, run
from tests.support.netns import Namespace, need

if TYPE_CHECKING:
    from pathlib import Path

    from probe.lab.world import Host

pytestmark = pytest.mark.full

ZONE = "d.example. 300 MX 10 mx.d.example.\nmx.d.example. 300 A 127.0.0.2\n"
HOSTS: dict[str, Host | str] = {
    "exists": "*good",
    "unknown": r"*good RCPT=550-5.1.1 No such user here\r\n550 5.1.1 Sorry",
    "null-sender": "*good MAIL<>=550 5.7.1 We take no bounces here",
    "greylisted": "*good RCPT=450 4.2.0 Greylisted, try again in 300 seconds",
    "hostile": r"S> 220 \e]0;owned\x07\x9b5m\xff\x00 mail.example\r\n" + "\n*close",
    "dead": DeadHost("127.0.0.2"),
    "closed": ClosedHost("127.0.0.2"),
}

WATCH = """
import os, sys

def refuse(event, arguments):
    if event.startswith("socket."):
        os.write(2, event.encode())
        os._exit(99)

sys.addaudithook(refuse)
from probe.cli import main
sys.exit(main(sys.argv[1:]))
"""
"""Runs the program and ends it, past every handler, at its first call of anything that is a socket's."""


@pytest.mark.parametrize("name", HOSTS)
def test_same_verdict_without_any_interface(name: str, tmp_path: Path) -> None:
    need()
    saved = str(tmp_path / "e.json")
    with LabThread(Lab(ZONE, {"127.0.0.2": HOSTS[name]})) as lab:
        first = run(*_reaching(lab), "--json", "--connect-timeout", "0.4", "--save", saved)
    with Namespace() as nowhere:
        assert nowhere.run("ip", "-o", "link", "show", "up").stdout == ""
        again = run("explain", "--json", saved, inside=nowhere)
        words = run("explain", saved, inside=nowhere)
    assert (again.code, again.report, again.errors) == (first.code, first.report, b"")
    assert first.report["cause"].encode() in words.output
    assert words.code == first.code


def test_explain_opens_no_socket(tmp_path: Path) -> None:
    saved = str(tmp_path / "e.json")
    with LabThread(Lab(ZONE, {"127.0.0.2": "*good"})) as lab:
        assert run(*_reaching(lab), "--save", saved).code == 0
    for arguments in (["explain", saved], ["explain", "--format", "markdown", saved], ["schema"]):
        done = _watched(*arguments)
        assert (done.returncode, done.stderr) == (0, "")


def test_the_watch_on_sockets_works() -> None:
    done = _watched("--dns-server", "127.0.0.1:9", "--timeout", "5", "user@d.example")
    assert done.returncode == 99
    assert done.stderr.startswith("socket.")


def _reaching(lab: Lab) -> list[str]:
    server, port = f"127.0.0.1:{lab.dns_port}", str(lab.port)
    helo = "probe.example.net"
    return ["--dns-server", server, "--port", port, "--allow-private", "--helo", helo, "user@d.example"]


def _watched(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", WATCH, *arguments], capture_output=True, text=True, check=False, timeout=LIMIT
    )
