"""A hostile network against the running engine: every limit holds, nothing is left behind, nobody is missing.

Each peer does one thing that could make a client wait, swell or trip. The engine is run as the command runs it,
over real sockets; time limits are a fraction of a second, so that a limit that fails shows.
"""

from __future__ import annotations

import asyncio
import gc
import json
import resource
import socket
import struct
import subprocess
import sys
import time
import warnings
from typing import TYPE_CHECKING, Any

import pytest
import uvloop

from probe.core.address import parse
from probe.core.classify import judge
from probe.core.model import Cause
from probe.lab.world import Lab, LabThread
from probe.run.engine import PER_HOST, Engine
from probe.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from probe.core.model import Evidence, Report

    Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

IP = "127.0.0.1"
LIMIT = 0.2
"""Seconds for each reply."""
GRACE = 0.5
"""Seconds that a run may take beyond its limits."""
SETTLE = 0.25
"""The silence that a peer is given which talks unasked."""


class Host:
    """A mail host that does whatever its handler does, and counts."""

    def __init__(self, handler: Handler, ip: str = IP) -> None:
        self.ip = ip
        self.live = 0
        self.most = 0
        self.connections: list[bytearray] = []
        self._handler = handler
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, port: int = 0) -> int:
        """Listen."""
        self._server = await asyncio.start_server(self._serve, self.ip, port)
        bound: int = self._server.sockets[0].getsockname()[1]
        return bound

    async def stop(self) -> None:
        """End what is under way."""
        if self._server is not None:
            self._server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        heard = bytearray()
        self.connections.append(heard)
        feed = reader.feed_data

        def tap(data: Any) -> None:
            heard.extend(data)
            feed(data)

        reader.feed_data = tap  # type: ignore[method-assign]  # what is never read has been heard too
        self.live += 1
        self.most = max(self.most, self.live)
        try:
            await self._handler(reader, writer)
        except (OSError, asyncio.CancelledError):
            pass  # the client has gone, or the test is over
        finally:
            self.live -= 1
            writer.transport.abort()


# --- what the hosts do ----------------------------------------------------------------------------------

GREETING = b"220 mx.d.example ESMTP\r\n"
TLS = b"250-mx.d.example\r\n250-STARTTLS\r\n250 STARTTLS\r\n"


def says(greeting: bytes = GREETING, *, ending: str = "", **answers: bytes) -> Handler:
    """Greet, and answer each verb with these bytes, else as a good host; `ending` names a verb to stop at."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        while line := await reader.readline():
            verb = line.split()[0].decode("latin-1") if line.strip() else ""
            usual = b"221 bye\r\n" if verb == "QUIT" else b"250 ok\r\n"
            writer.write(answers.get(verb, usual))
            if verb == ending:
                await reader.read()
        await writer.drain()

    return handler


def floods(data: bytes, *, at: str = "", ready: bytes = b"") -> Handler:
    """Send the same without end, once a command starts with `at`."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if at:
            writer.write(GREETING)
            while not (line := await reader.readline()).startswith(at.encode()):
                if not line:
                    return
                writer.write(TLS if at == "STARTTLS" else b"250 ok\r\n")
        writer.write(ready)
        while True:
            writer.write(data * (1 + 65536 // len(data)))
            await writer.drain()
            await asyncio.sleep(0)

    return handler


def drips(data: bytes, interval: float) -> Handler:
    """Send the same now and then."""

    async def handler(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(GREETING if b"\n" in data else b"")
        while True:
            writer.write(data)
            await writer.drain()
            await asyncio.sleep(interval)

    return handler


async def half_closes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Greet, send FIN, and read on."""
    writer.write(GREETING)
    writer.write_eof()
    await reader.read()


async def resets(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send RST instead of a greeting."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def never_reads(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Greet, and leave what comes where it is."""
    writer.transport.pause_reading()  # type: ignore[attr-defined]  # typeshed gives the base class
    writer.write(GREETING)
    await asyncio.sleep(60)


PEERS: dict[str, tuple[Handler, float]] = {
    # what the host does, and how long the limits let it go on
    "accepts and says nothing": (says(b""), LIMIT),
    "a byte a millisecond": (drips(b"2", 0.001), LIMIT),
    "an unasked reply now and then": (drips(b"250 well\r\n", 0.1), LIMIT + SETTLE),
    "an endless line": (floods(b"x"), 0),
    "endless line ends": (floods(b"\n"), 0),
    "endless NUL": (floods(b"\0"), 0),
    "an endless greeting": (floods(b"220-x\r\n"), 0),
    "endless greetings": (floods(b"220 x\r\n"), 0),
    "an endless reply": (floods(b"250-x\r\n", at="EHLO"), 0),
    "endless replies": (floods(b"250 x\r\n", at="EHLO"), 0),
    "endless refusals": (floods(b"550 x\r\n", at="RCPT"), 0),
    "endless farewells": (floods(b"221 x\r\n", at="QUIT"), 0),
    "a line of a MiB": (says(b"220 " + b"x" * 2**20 + b"\r\n"), 0),
    "a line of 64 KiB without an end": (says(b"220 " + b"x" * 65500), LIMIT),
    "a line of 64 KiB": (says(b"220 " + b"x" * 65500 + b"\r\n"), 0),
    "FIN behind the greeting": (half_closes, 0),
    "RST for a greeting": (resets, 0),
    "never reads": (never_reads, LIMIT),
    "answers before the questions": (says(GREETING + b"250 a\r\n", ending="EHLO"), 2 * SETTLE),
    "stays after 221": (says(ending="QUIT"), 0),
    "says more than 221": (says(QUIT=b"221 bye\r\n250 more\r\n", ending="QUIT"), LIMIT),
    "STARTTLS without an answer": (says(EHLO=TLS, STARTTLS=b""), LIMIT),
    "220 and no handshake": (says(EHLO=TLS, STARTTLS=b"220 go\r\n", ending="STARTTLS"), LIMIT),
    "a record that never ends": (
        says(EHLO=TLS, STARTTLS=b"220 go\r\n\x16\x03\x03\x40\x00", ending="STARTTLS"),
        LIMIT,
    ),
    "a flood for a handshake": (floods(b"\x16\x03\x03\x40\x00", at="STARTTLS", ready=b"220 go\r\n"), LIMIT),
}
EVERY_PEER = pytest.mark.parametrize("name", PEERS)


def settings(dns: int, smtp: int, **more: Any) -> Settings:
    """Give the settings of a run against a lab."""
    chosen: dict[str, Any] = {
        "timeout": 10.0,
        "reply_timeout": LIMIT,
        "connect_timeout": LIMIT,
        "quit_timeout": LIMIT,
        "dns_timeout": 2 * LIMIT,
        "dns_try_timeout": LIMIT,
        "helo": "probe.example.net",
        "families": (4,),
        "port": smtp,
        "dns_servers": (f"{IP}:{dns}",),
        "allow_private": True,
    }
    return Settings(**chosen | more)


def zone(*ips: str) -> str:
    """Give a domain whose one mail host has these addresses."""
    return "d.example. 300 MX 10 mx.d.example.\n" + "".join(f"mx.d.example. 300 A {ip}\n" for ip in ips)


class Run:
    """Probes of addresses of `d.example` against hosts, and what could be seen of them."""

    def __init__(self, handler: Handler, *ips: str) -> None:
        self.hosts = [Host(handler, ip) for ip in ips or (IP,)]
        self.seconds = 0.0
        self.evidence: list[Evidence] = []
        self.trouble: list[str] = []

    @property
    def reports(self) -> list[Report]:
        """What the evidence is judged to mean."""
        return [judge(evidence) for evidence in self.evidence]

    async def probe(self, count: int = 1, *, cancel_after: float | None = None, **more: Any) -> None:
        """Probe so many addresses at once."""
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _loop, context: self.trouble.append(str(context)))
        hosts = {host.ip: host for host in self.hosts}
        async with Lab(zone(*hosts), hosts) as lab:
            engine = Engine(settings(lab.dns_port, lab.port, **more))
            started = time.monotonic()
            tasks = [
                asyncio.create_task(engine.collect(parse(f"user{n}@d.example"), seed=n)) for n in range(count)
            ]
            if cancel_after is not None:
                await asyncio.wait(tasks, timeout=cancel_after)
                for task in tasks:
                    task.cancel()
            self.evidence = list(await asyncio.gather(*tasks))
            self.seconds = time.monotonic() - started

    def check(self, *, within: float) -> None:
        """Assert what holds whatever a peer does."""
        assert self.seconds < within
        assert not self.trouble
        for host in self.hosts:
            assert host.most <= PER_HOST
            assert len(host.connections) <= 3 * len(self.evidence)
            assert not any(b"DATA" in heard.upper() for heard in host.connections)
        for report in self.reports:
            assert report.cause is not Cause.MISSING_SENDER


def play(run: Run, factory: Callable[[], asyncio.AbstractEventLoop] | None = None, **how: Any) -> Run:
    """Probe in a loop of its own; a socket or a task that is left behind fails the test."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(run.probe(**how))
        gc.collect()  # what nobody closed complains now
    return run


# --- one host, every trick ------------------------------------------------------------------------------


@EVERY_PEER
def test_limits_hold(name: str) -> None:
    handler, allowed = PEERS[name]
    play(Run(handler)).check(within=allowed + GRACE)


@EVERY_PEER
def test_the_limit_of_the_whole_run_holds(name: str) -> None:
    run = play(Run(PEERS[name][0]), timeout=0.15)
    run.check(within=0.15 + GRACE / 2)


@EVERY_PEER
def test_an_interrupt_ends_it_at_once(name: str) -> None:
    run = play(Run(PEERS[name][0]), cancel_after=0.05)
    run.check(within=0.05 + GRACE / 2)


@pytest.mark.parametrize("name", ["an endless line", "220 and no handshake", "RST for a greeting"])
def test_uvloop_is_as_patient_and_as_clean(name: str) -> None:
    handler, allowed = PEERS[name]
    play(Run(handler), uvloop.new_event_loop, count=3).check(within=3 * allowed + GRACE)


# --- many hosts, many addresses -------------------------------------------------------------------------

MANY = tuple(f"127.0.1.{n}" for n in range(1, 34))


def test_a_domain_with_too_many_hosts_that_all_flood() -> None:
    run = play(Run(floods(b"220-x\r\n"), *MANY), all_hosts=True)
    run.check(within=3.0)
    assert sum(len(host.connections) for host in run.hosts) == 32


def test_a_domain_with_too_many_hosts_that_all_are_silent_ends_with_the_run() -> None:
    run = play(Run(says(b""), *MANY), all_hosts=True, timeout=0.4)
    run.check(within=0.4 + GRACE / 2)
    assert run.evidence[0].cut_short


def test_many_addresses_share_the_turns_at_a_host() -> None:
    run = play(Run(says(b"")), count=4)
    run.check(within=2 * LIMIT + GRACE)
    assert run.hosts[0].most == PER_HOST
    assert [report.cause for report in run.reports] == [Cause.FIREWALL_TIMEOUT] * 4


# --- the whole program ----------------------------------------------------------------------------------


def program(lab: Lab, *arguments: str) -> list[str]:
    return [
        sys.executable, "-X", "dev", "-W", "error", "-m", "probe",
        "--dns-server", f"{IP}:{lab.dns_port}", "--port", str(lab.port), "--allow-private", "-4",
        "--helo", "probe.example.net", "--reply-timeout", "0.3", "--json", *arguments,
    ]  # fmt: skip


def test_without_free_descriptors_nobody_is_missing() -> None:
    def few() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (14, 14))

    addresses = [f"user{n}@d.example" for n in range(5)]
    with LabThread(Lab(zone(IP), {IP: "*good"})) as lab:
        done = subprocess.run(
            program(lab, *addresses), capture_output=True, text=True, preexec_fn=few, check=False, timeout=20
        )
    causes = {json.loads(line)["cause"] for line in done.stdout.splitlines()}
    assert causes <= {"sender-exists", "dns-failure", "inconclusive"}
    assert "Traceback" not in done.stderr


def test_terminal_sequences_of_the_dns_are_escaped_everywhere() -> None:
    hostile = r"d.example. 300 MX 10 \027[2J\007\155\200.mx.d.example."
    with LabThread(Lab(hostile, {IP: "*good"})) as lab:
        shown = subprocess.run(
            [word for word in program(lab, "user@d.example") if word != "--json"],
            capture_output=True,
            check=False,
            timeout=20,
        ).stdout
        told = subprocess.run(
            program(lab, "user@d.example"), capture_output=True, check=False, timeout=20
        ).stdout
    for output in (shown, told):
        assert not any(octet < 0x20 and octet != 0x0A for octet in output)
        assert b"\x7f" not in output
    assert json.loads(told)["cause"] in {"missing-sender", "inconclusive"}
