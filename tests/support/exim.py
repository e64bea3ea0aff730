"""A real Exim that verifies senders: started for one SMTP connection, as inetd would, in a namespace of a test.

Its routing, its callout, its log on disk and its hints database are those of any mail server; what differs from
Exim's defaults is in `CONFIGURATION`, with the reason for each.
"""

from __future__ import annotations

import contextlib
import io
import re
import shutil
import socket
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Self

from msgspec import Struct

from probe.cli import main
from probe.codec import decode_evidence
from probe.core.address import parse
from probe.core.callout import parse_options
from probe.core.classify import judge
from probe.core.exim.cache import REJECTS_NULL
from probe.core.exim.words import LIBRARY, RANDOM, TLS_WORDS
from probe.lab.world import LabThread
from tests.support import cases
from tests.support.netns import Namespace, NamespaceLab, need, tool

if TYPE_CHECKING:
    from collections.abc import Iterator

    from probe.core.model import Evidence, MtaView

PROGRAM = "exim4"
HELO = "verifier.example.net"
"""The name by which it calls mail hosts."""
RELAY, HERE = "203.0.113.77", "203.0.113.25"
"""The addresses of the sending relay and of this Exim, both on the loopback of the namespace."""
RECIPIENT = "bob@example.org"
LIMIT = 30.0
"""Seconds that the relay waits for one reply; a callout of one second and a few hosts takes less than ten."""

_STAMP = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ")

CONFIGURATION = """\
primary_hostname = verifier.example.net
spool_directory = {spool}
log_file_path = {spool}/%slog
keep_environment =
smtp_accept_queue = 0
# A stock Exim refuses address literals at MAIL, and addresses with UTF-8.
allow_domain_literals = true
smtputf8_advertise_hosts = *
domainlist local = example.org
acl_smtp_rcpt = verify_sender

begin acl
verify_sender:
  require verify = sender/{callout}
  accept

begin routers
literals:
  driver = ipliteral
  domains = !+local
  transport = smtp
  # The mail hosts of the cases are on loopback, which a stock Exim takes for itself.
  self = send
mail_hosts:
  driver = dnslookup
  domains = !+local
  transport = smtp
  self = send
here:
  driver = accept
  domains = +local
  transport = smtp

begin transports
smtp:
  driver = smtp
"""


class Answer(Struct, frozen=True):
    """What the relay was told to RCPT, line by line, what the main log got meanwhile, and how long it took."""

    reply: tuple[str, ...]
    log: tuple[str, ...]
    seconds: float


class Verified(Struct, frozen=True):
    """What a real Exim made of a case: its answers to one RCPT after the other, and what its cache then holds."""

    answers: tuple[Answer, ...]
    cache: dict[str, str]


class Exim:
    """An Exim with a spool of its own, as a context manager; `callout` is what stands behind `verify = sender/`."""

    def __init__(self, callout: str) -> None:
        self._callout = callout
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self.spool = Path()

    def __enter__(self) -> Self:
        need(PROGRAM)
        # Not under pytest's own folder, which is closed to the user that Exim becomes.
        self._folder = tempfile.TemporaryDirectory(prefix="exim-")
        self.spool = Path(self._folder.name)
        self._configuration = self.spool / "exim.conf"
        text = CONFIGURATION.format(spool=self.spool, callout=self._callout)
        self._configuration.write_text(text, encoding="ascii")
        shutil.chown(self.spool, _user())
        return self

    def __exit__(self, *_: object) -> None:
        if self._folder is not None:
            self._folder.cleanup()

    def verify(self, namespace: Namespace, mailbox: str, recipients: int = 1) -> list[Answer]:
        """Send MAIL with this sender and RCPT as often as told; give what came of each RCPT.

        The relay is a TCP client in the namespace, so that Exim logs its address as that of any host.
        """
        utf8 = "" if mailbox.isascii() else " SMTPUTF8"
        answers = []
        with namespace.entered(), socket.socket() as listener, socket.socket() as relay:
            listener.bind((HERE, 0))
            listener.listen(1)
            relay.bind((RELAY, 0))
            relay.settimeout(LIMIT)
            relay.connect(listener.getsockname())
            accepted, _ = listener.accept()
            command = namespace.command(str(tool(PROGRAM)), "-C", str(self._configuration), "-bs")
            with (
                accepted,
                subprocess.Popen(command, stdin=accepted.fileno(), stdout=accepted.fileno()) as exim,
            ):
                accepted.close()
                with relay.makefile("rwb", buffering=0) as wire:
                    _reply(wire)
                    for line in ("EHLO relay.example.net", f"MAIL FROM:<{mailbox}>{utf8}"):
                        _say(wire, line)
                    for _ in range(recipients):
                        seen, began = len(self.log()), time.monotonic()
                        reply = _say(wire, f"RCPT TO:<{RECIPIENT}>")
                        answers.append(Answer(reply, self.log()[seen:], time.monotonic() - began))
                    _say(wire, "QUIT")
                exim.wait(LIMIT)
        return answers

    def log(self) -> tuple[str, ...]:
        """Give the main log, line by line, without the time stamps."""
        file = self.spool / "mainlog"
        if not file.exists():
            return ()
        return tuple(_STAMP.sub("", line) for line in file.read_text("latin-1").split("\n")[:-1])

    def cache(self) -> dict[str, str]:
        """Give what `exim_dumpdb` shows of the callout cache: by address or domain, without the times."""
        done = subprocess.run(
            [str(tool("exim_dumpdb")), str(self.spool), "callout"],
            capture_output=True,
            text=True,
            check=False,
        )
        rows = (re.fullmatch(r"\S+ \S+ (.+) (callout=.*)", line) for line in done.stdout.splitlines())
        return {row[1]: re.sub(r" \(.*?\)", "", row[2]) for row in rows if row is not None}


def prepare(namespace: Namespace) -> None:
    """Give the namespace the addresses of the relay and of this Exim."""
    namespace.ip("link set lo up", *(f"address add {ip}/32 dev lo" for ip in (RELAY, HERE)))


def _user() -> str:
    done = subprocess.run(
        [str(tool(PROGRAM)), "-bP", "exim_user"], capture_output=True, text=True, check=True
    )
    return done.stdout.split()[-1]


def _say(wire: socket.SocketIO, line: str) -> tuple[str, ...]:
    wire.write(f"{line}\r\n".encode())
    return _reply(wire)


def _reply(wire: socket.SocketIO) -> tuple[str, ...]:
    lines: list[str] = []
    while not lines or lines[-1][3:4] == "-":
        line = wire.readline().decode("latin-1")
        assert line, f"Exim closed the connection after {lines}"
        lines.append(line.rstrip("\r\n"))
    return tuple(lines)


# --- a case, played for Exim and for us ------------------------------------------------------------


@contextlib.contextmanager
def played(case: cases.Case) -> Iterator[Namespace]:
    """Let the name server of the case stand on port 53 of a namespace of its own, and its mail hosts on 25."""
    hosts = {ip: cases._host(ip, setup) for ip, setup in case.peers.items()}
    with Namespace() as namespace:
        prepare(namespace)
        namespace.resolve_here()
        with LabThread(NamespaceLab(namespace, case.zone, hosts, case.dns)):
            yield namespace


def verify(case: cases.Case, callout: str, recipients: int = 1) -> Verified:
    """Let Exim verify the address of a case."""
    with Exim(callout) as exim, played(case) as namespace:
        answers = exim.verify(namespace, parse(case.address).mailbox, recipients)
        return Verified(tuple(answers), exim.cache())


def observe(case: cases.Case, *options: str) -> Evidence:
    """Let our program look at the same case."""
    with played(case) as namespace, namespace.entered():
        private = ["--allow-private"] if case.allow_private else []
        return probed("--dns-server", "127.0.0.1", *private, *options, *case.options, case.address, helo=HELO)


def probed(*arguments: str, helo: str = HELO) -> Evidence:
    """Run our program here and keep its evidence."""
    buffer = io.BytesIO()
    with (
        io.TextIOWrapper(buffer, encoding="utf-8", write_through=True) as output,
        contextlib.redirect_stdout(output),
    ):
        main(["--json", "--helo", helo, *arguments])
        return decode_evidence(buffer.getvalue(), "the report")


def both(case: cases.Case, callout: str, *options: str, recipients: int = 1) -> tuple[Evidence, Verified]:
    """Play a case twice at once: half the time where a limit has to pass."""
    with ThreadPoolExecutor(1) as beside:
        answer = beside.submit(verify, case, callout, recipients)
        evidence = observe(case, *options)
        return evidence, answer.result()


def predict(evidence: Evidence, callout: str) -> MtaView | None:
    """Say what our program predicts."""
    servers = judge(evidence, parse_options(callout)).mta
    return None if servers is None else servers.exim


# --- the two held against each other ---------------------------------------------------------------

OUTCOMES = {"2": "accept", "4": "defer", "5": "reject"}
SECONDS_APART = 0.9
"""Seconds by which the predicted time may be wrong: Exim counts whole ones, and its machine is busy."""
_HOST = f"H=(relay.example.net) [{RELAY}] "
_OF_TLS = re.compile(r"TLS session: (?:\(\w+\): .*?|[^:]*?)(?=: callout unencrypted|$)")
_OF_RESET = re.compile(r"(?<=TLS error on connection \((?:recv|send)\): ).*")
_OF_RANDOM = re.compile(rf"{re.escape(HELO)}-\d+-testing")


def as_predicted(log: tuple[str, ...]) -> list[str]:
    """Write Exim's log as the prediction does: from behind the host, and with what nobody can foresee left open."""
    lines = (line.removeprefix(_HOST).replace(f"<{RECIPIENT}>", "<recipient>") for line in log)
    lines = (_OF_RESET.sub(LIBRARY, _OF_TLS.sub(f"TLS session: {TLS_WORDS}", line)) for line in lines)
    return [_OF_RANDOM.sub(RANDOM, line).encode("latin-1").decode() for line in lines]


def as_dumped(view: MtaView) -> dict[str, str]:
    """Write the predicted cache as exim_dumpdb does."""
    dumped = {}
    for record in view.cache:
        result, *tests = record.holds.split()
        known = dict(test.split("=") for test in tests)
        text = f"callout={'unknown' if result == REJECTS_NULL else result}"
        if record.covers == "domain":
            text += "".join(f" {test}={known.get(test, 'unknown')}" for test in ("postmaster", "random"))
        dumped[record.key] = text
    return dumped


def disagreements(view: MtaView | None, answer: Answer, cache: dict[str, str] | None) -> Iterator[str]:
    """Say, one by one, where a prediction is not what Exim did; each shows both sides. None: no cache to compare."""
    outcome = OUTCOMES[answer.reply[-1][0]]
    if view is None:
        yield f"nothing is predicted; Exim: {outcome}, {answer.reply}, {answer.log}"
        return
    reply = () if outcome == "accept" else tuple(line.encode("latin-1").decode() for line in answer.reply)
    sides = {
        "outcome": (view.outcome.value, outcome),
        "reply": (view.reply_lines, reply),
        "last line": (view.reply, reply[-1] if reply else None),
        "log": (list(view.log), as_predicted(answer.log)),
        "cache": (as_dumped(view) if cache is not None else None, cache),
    }
    for what, (ours, real) in sides.items():
        if ours != real:
            yield f"{what}\n  predicted {ours}\n  Exim      {real}"
    if view.seconds is not None and abs(view.seconds - answer.seconds) > SECONDS_APART:
        yield f"seconds\n  predicted {view.seconds:.2f}\n  Exim      {answer.seconds:.2f}"
