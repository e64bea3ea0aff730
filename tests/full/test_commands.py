"""The installed command against hosts that are dead, slow or hostile: time limits and what reaches the screen."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import unicodedata
from typing import TYPE_CHECKING

import pytest

from probe.lab.world import DeadHost, Lab, LabThread
from tests.full.command import LIMIT, PROGRAM, run

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.full

ZONE = """\
d.example.      300 MX 10 mx1.d.example.
d.example.      300 MX 20 mx2.d.example.
mx1.d.example.  300 A 127.0.0.2
mx2.d.example.  300 A 127.0.0.3
one.example.    300 MX 10 mx1.d.example.
"""
HOSTILE = r"\e]0;owned\x07 \e[2J \e[5m \x9b5m \xc2\x9b5m \x00 \x7f \x08 \r \xe2\x80\xae owned"
"""Title, clear screen, blink in all three spellings, NUL, DEL, backspace, bare CR, right-to-left override."""
VIEWS = {
    "text": [],
    "verbose": ["-v"],
    "quiet": ["-q"],
    "coloured": ["-v", "--color", "always"],
    "markdown": ["--format", "markdown"],
    "csv": ["--format", "csv"],
    "json": ["--json"],
    "jsonl": ["--format", "jsonl"],
}
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def test_dead_first_host_is_named_and_costs_little() -> None:
    with LabThread(Lab(ZONE, {"127.0.0.2": DeadHost("127.0.0.2"), "127.0.0.3": "*good"})) as lab:
        ended = run(*_reaching(lab), "user@d.example")
        told = run(*_reaching(lab), "--json", "user@d.example").report["hosts"]
    assert ended.code == 0
    assert ended.seconds < 6  # benchmarks.deadhosts holds the goal; here a busy machine must not fail
    assert re.search(rb"mx1\.d\.example\W+127\.0\.0\.2\W+firewall-timeout", ended.output)
    assert [(host["ip"], host["cause"]) for host in told] == [
        ("127.0.0.2", "firewall-timeout"),
        ("127.0.0.3", "sender-exists"),
    ]


@pytest.mark.parametrize("script", ["*drip 1 220 mx1.d.example ESMTP", "S: 220-a\n*drip 1 220 b"])
def test_greeting_of_one_byte_a_second_ends_within_the_limit(script: str) -> None:
    with LabThread(Lab(ZONE, {"127.0.0.2": script})) as lab:
        ended = run(*_reaching(lab), "--reply-timeout", "2", "--json", "user@one.example")
    assert (ended.code, ended.report["reason"]) == (5, "banner.timeout")
    assert 2 <= ended.seconds < 5


@pytest.fixture(params=["banner", "refusal"])
def hostile(request: pytest.FixtureRequest) -> Iterator[Lab]:
    script = (
        rf"S> 220 {HOSTILE}\r\n" + "\n*good" if request.param == "banner" else f"*good RCPT=550 {HOSTILE}"
    )
    with LabThread(Lab(ZONE, {"127.0.0.2": script})) as lab:
        yield lab


@pytest.mark.parametrize("view", VIEWS)
def test_escapes_reach_no_output(hostile: Lab, view: str) -> None:
    ended = run(*_reaching(hostile), *VIEWS[view], "user@one.example")
    assert ended.output
    output = ended.output.decode()
    assert "\x1b[5m" not in output
    _check_harmless(COLOUR.sub("", output) if view == "coloured" else output)
    _check_harmless(ended.errors.decode())


def test_escapes_reach_no_terminal(hostile: Lab) -> None:
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [PROGRAM, *_reaching(hostile), "-v", "user@one.example"], stdin=theirs, stdout=theirs, stderr=theirs
    ) as probe:
        os.close(theirs)
        output = b"".join(_read_terminal(ours)).decode()
        probe.wait(LIMIT)
    os.close(ours)
    assert "mx1.d.example" in output
    assert "\x1b[5m" not in output
    _check_harmless(COLOUR.sub("", output))


def _reaching(lab: Lab) -> list[str]:
    server, port = f"127.0.0.1:{lab.dns_port}", str(lab.port)
    return ["--dns-server", server, "--port", port, "--allow-private", "--helo", "probe.example.net"]


def _read_terminal(descriptor: int) -> Iterator[bytes]:
    while True:
        try:
            data = os.read(descriptor, 65536)
        except OSError:  # EIO: Linux's end of file, when the last program on the terminal has gone
            return
        if not data:
            return
        yield data


def _check_harmless(text: str) -> None:
    """Assert that nothing in here but line ends and tabs steers a terminal, or turns its text around."""
    steering = {unicodedata.category(sign) for sign in text if sign not in "\n\t\r"} & {"Cc", "Cf"}
    assert not steering, ascii(text)
    assert not re.search(r"\r(?!\n)", text), ascii(text)
