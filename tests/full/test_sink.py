"""The mail sink of `benchmarks/batch` counts what other tests and the benchmark believe of it."""

from __future__ import annotations

import contextlib
import shutil
import socket
import time
from typing import TYPE_CHECKING, Self

import pytest

from benchmarks.batch.programs import COMPILER, Sink

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.batch.programs import Counts

pytestmark = pytest.mark.full

HOST, OTHER = "127.16.0.1", "127.16.0.2"
LIMIT = 10.0
EHLO = "250-sink.example\r\n250-PIPELINING\r\n250-SIZE 10485760\r\n250 ENHANCEDSTATUSCODES\r\n"


class Client:
    """A connection to the sink, as a context manager that ends without QUIT."""

    def __init__(self, sink: Sink, host: str = HOST) -> None:
        self._socket = socket.create_connection((host, sink.port), LIMIT)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, text: str) -> None:
        self._socket.sendall(text.encode())

    def read(self, ends: str = "\r\n") -> str:
        """Read until what came ends so."""
        text = ""
        while not text.endswith(ends):
            data = self._socket.recv(65536)
            assert data, f"closed after {text!r}"
            text += data.decode()
        return text

    def is_closed(self) -> bool:
        return not self._socket.recv(1)

    def ask(self, text: str, ends: str = "\r\n") -> str:
        self.send(text)
        return self.read(ends)


@contextlib.contextmanager
def running(folder: Path, *options: str) -> Iterator[Sink]:
    if shutil.which(COMPILER) is None:
        pytest.skip(f"needs {COMPILER}")
    with Sink(folder, *options) as sink:
        yield sink


def test_it_counts_each_host_and_all_of_them(tmp_path: Path) -> None:
    with running(tmp_path) as sink:
        with Client(sink) as one, Client(sink) as two, Client(sink, OTHER) as other:
            for client in (one, two, other):
                assert client.read() == "220 sink.example ESMTP\r\n"
            assert (sink.counts()[HOST].open, sink.total().open) == (2, 3)
            assert one.ask("EHLO probe.example.net\r\n", EHLO) == EHLO
            accepted = "250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n550 5.1.1 <missing@d.example>: user unknown\r\n"
            asked = "MAIL FROM:<>\r\nRCPT TO:<u@d.example>\r\nRCPT TO:<missing@d.example>\r\n"
            assert one.ask(asked, accepted) == accepted
            assert two.ask("DATA\r\n").startswith("554 ")
            assert one.ask("QUIT\r\n") == "221 2.0.0 Bye\r\n"
            assert one.is_closed()
        with Client(sink) as third:
            time.sleep(0.1)
            assert third.ask("QUIT\r\n", "Bye\r\n").endswith("221 2.0.0 Bye\r\n")
        counts = until(sink, connections=4, open=0)
    assert counts.keys() == {HOST, OTHER, None}
    host, all_hosts = counts[HOST], counts[None]
    assert (host.connections, host.at_once, host.without_quit, host.data) == (3, 2, 1, 1)
    assert (host.rcpts, host.rcpts_per_connection) == (2, 2)
    assert host.gap_ms is not None
    assert counts[OTHER].gap_ms is None
    assert (all_hosts.connections, all_hosts.at_once, all_hosts.without_quit) == (4, 3, 2)
    assert (all_hosts.gap_ms, all_hosts.early, all_hosts.turned_away) == (host.gap_ms, 0, 0)


def test_commands_may_come_split_or_together_and_rset_begins_anew(tmp_path: Path) -> None:
    with running(tmp_path, "--plain") as sink, Client(sink) as client:
        client.read()
        for character in "EHLO probe.example.net\r":
            client.send(character)
        assert client.ask("\n") == "250 sink.example\r\n"
        asked = "MAIL FROM:<>\r\nRCPT TO:<u@d.example>\r\nRSET\r\n" * 50
        assert client.ask(f"{asked}RCPT TO:<u@d.example>\r\n", "command\r\n").count("250 ") == 150
        assert client.ask("MAIL FROM:<>\r\n") == "250 2.1.0 Ok\r\n"
        assert client.ask("MAIL FROM:<>\r\n").startswith("503 ")
        assert client.ask("RCPT TO:<later@d.example>\r\n").startswith("450 ")
        assert client.ask("RCPT TO:<busy@d.example>\r\n").startswith("421 ")
        assert client.is_closed()
        assert until(sink, open=0)[HOST].rcpts_per_connection == 53
        assert sink.total().without_quit == 0


def test_answers_come_late_and_what_is_said_before_the_greeting_is_counted(tmp_path: Path) -> None:
    with running(tmp_path, "--delay", "50", "--slow", "300") as sink:
        began = time.monotonic()
        with Client(sink) as client, Client(sink) as hasty:
            hasty.send("EHLO probe.example.net\r\n")
            assert client.read() == "220 sink.example ESMTP\r\n"
            assert client.ask("MAIL FROM:<>\r\n") == "250 2.1.0 Ok\r\n"
            assert time.monotonic() - began >= 0.1
            began = time.monotonic()
            assert client.ask("RCPT TO:<slow@d.example>\r\n") == "250 2.1.5 Ok\r\n"
            assert time.monotonic() - began >= 0.3
        assert until(sink, open=0)[HOST].early == 1


def test_a_mute_host_never_greets(tmp_path: Path) -> None:
    with running(tmp_path, "--mute") as sink, Client(sink) as client:
        client.send("EHLO probe.example.net\r\n")
        assert until(sink, early=1)[None].open == 1
        client._socket.settimeout(0.2)
        with pytest.raises(TimeoutError):
            client.read()


def test_a_busy_host_turns_the_third_connection_away(tmp_path: Path) -> None:
    with running(tmp_path, "--busy", "3/0.5") as sink:
        greetings = []
        for host in (HOST, HOST, HOST, OTHER):
            with Client(sink, host) as client:
                greetings.append(client.read()[:3])
        time.sleep(0.6)
        with Client(sink) as client:
            greetings.append(client.read()[:3])
        counts = until(sink, open=0)
    assert greetings == ["220", "220", "421", "220", "220"]
    assert (counts[HOST].turned_away, counts[None].turned_away, counts[None].without_quit) == (1, 1, 4)


def until(sink: Sink, **expected: int) -> dict[str | None, Counts]:
    """Ask until the sink has seen so much in all: it may not have read yet what a client sent before it closed."""
    end = time.monotonic() + LIMIT
    while True:
        counts = sink.counts()
        if all(getattr(counts[None], name) == value for name, value in expected.items()):
            return counts
        assert time.monotonic() < end, counts
        time.sleep(0.01)
