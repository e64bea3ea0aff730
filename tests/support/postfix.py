"""A real Postfix that is unpacked and not installed, run inside a network namespace.

Debian's packages of Postfix and Exim exclude each other, so `.ci/run` unpacks the one of Postfix into PREFIX.
Everything it writes lies in a temporary folder, it runs as users that every Debian has, and it ends with its
context manager: nothing of it stays on the machine.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

import pytest
from msgspec import Struct
from msgspec.structs import replace

from probe.cli import main
from probe.codec import decode_evidence
from probe.core import postfix
from probe.core.address import parse
from probe.core.fold import judge_host
from probe.core.route import route
from probe.lab.world import LabThread
from tests.support import cases, netns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from io import BufferedReader

    from probe.core.model import Evidence
    from tests.support.cases import Case
    from tests.support.netns import Namespace

PREFIX = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "probe-sender" / "postfix"
"""Where the package is unpacked; `.ci/run` puts it there."""
_LIBRARIES = PREFIX / "usr" / "lib" / "postfix"

ADDRESS = "127.9.9.9"
"""Where it listens: an address of the loopback that no case uses, so that no mail host is taken for itself."""
PORT = 25
CLIENT = "relay.example.net"
"""What the relay says in EHLO."""
RECIPIENT = "bob@example.org"
"""A mailbox that this Postfix delivers itself."""

_SETTINGS = {
    "compatibility_level": "3.6",
    "config_directory": "{home}/etc",
    "queue_directory": "{home}/spool",
    "data_directory": "{home}/data",
    "command_directory": f"{PREFIX}/usr/sbin",
    "daemon_directory": f"{_LIBRARIES}/sbin",
    "shlib_directory": str(_LIBRARIES),
    "import_environment": "MAIL_CONFIG LANG=C LD_LIBRARY_PATH",
    "maillog_file": "{home}/log",
    "maillog_file_prefixes": "{home}",
    # Three users that Debian has and that differ, as Postfix demands.
    "mail_owner": "daemon",
    "setgid_group": "mail",
    "default_privs": "nobody",
    "myhostname": "verifier.example.net",
    "myorigin": "$myhostname",
    "mydestination": "example.org",
    "mynetworks": "",
    "local_recipient_maps": "",
    "alias_maps": "",
    "alias_database": "",
    "inet_interfaces": ADDRESS,
    "smtpd_peername_lookup": "no",
    "smtpd_relay_restrictions": "reject_unauth_destination",
    "smtpd_sender_restrictions": "reject_unverified_sender",
}
"""What makes it run here; whatever decides about a sender is as Postfix has it by default."""

FAST = {
    "smtp_connect_timeout": "1s",
    "smtp_helo_timeout": "1s",
    "smtp_mail_timeout": "1s",
    "smtp_rcpt_timeout": "1s",
    "smtp_quit_timeout": "1s",
    "smtp_rset_timeout": "1s",
    "address_verify_poll_count": "1",
    "smtp_address_preference": "ipv6",
    "smtp_randomize_addresses": "no",
}
"""Short limits, as the mail hosts of the cases are silent for ever; no waiting for the first verdict; and hosts of
equal preference in one order, where Postfix draws one each time."""

_SERVICES = f"""\
{ADDRESS}:{PORT} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
local unix - n n - - local
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
tlsmgr unix - - n 1000? 1 tlsmgr
postlog unix-dgram n - n - 1 postlogd
"""
_QUEUES = (
    *("active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "private", "saved"),
    "trace",
)
_TRY = 0.02
_LIMIT = 30.0
"""Seconds after which whatever is waited for ought to have come."""


def need() -> None:
    """Skip the test when this machine lacks root, namespaces or the unpacked Postfix."""
    netns.need()
    if not (_LIBRARIES / "sbin" / "master").is_file():
        pytest.skip(f"needs Postfix unpacked in {PREFIX}, as .ci/run does it")


class Postfix:
    """One Postfix that verifies senders, as a context manager; `settings` go into its main.cf."""

    def __init__(self, namespace: Namespace, settings: dict[str, str] = FAST) -> None:
        self._namespace = namespace
        self._settings = settings
        self._stack = contextlib.ExitStack()
        self._home = Path()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            # Not under pytest's own folder, which is closed to the users that Postfix becomes.
            self._home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="postfix-")))
            self._lay_out()
            self._namespace.ip(f"address add {ADDRESS}/32 dev lo")
            master = subprocess.Popen(
                self._namespace.command(
                    str(_LIBRARIES / "sbin" / "master"), "-d", "-c", str(self._home / "etc")
                ),
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=stack.enter_context((self._home / "output").open("wb")),
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            stack.callback(self._end, master)
            self._wait_for("a listening smtpd", lambda: self._listens(master))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    # --- what a relay sees -------------------------------------------------------------------------

    def mail(self, sender: str) -> str:
        """Offer mail of this sender; return the answer to RCPT."""
        utf8 = "" if sender.isascii() else " SMTPUTF8"
        before = self._goodbyes()
        with self._namespace.entered(), socket.create_connection((ADDRESS, PORT), _LIMIT) as relay:
            lines = relay.makefile("rb")
            _reply(lines)
            said = []
            for command in (
                f"EHLO {CLIENT}",
                f"MAIL FROM:<{sender}>{utf8}",
                f"RCPT TO:<{RECIPIENT}>",
                "QUIT",
            ):
                relay.sendall(f"{command}\r\n".encode())
                said.append(_reply(lines))
        assert said[1].startswith("250"), said
        # What smtpd logged before may come later than its answer: another process writes the log.
        self._wait_for("end of the session in the log", lambda: self._goodbyes() > before)
        return said[2]

    def _goodbyes(self) -> int:
        return sum(": disconnect from " in line for line in self.log())

    # --- what its administrator sees ---------------------------------------------------------------

    def log(self) -> list[str]:
        """Return the lines of the mail log, each from behind its time and host."""
        path = self._home / "log"
        text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
        return [line.split(None, 4)[4] for line in text.splitlines()]

    def probed(self, limit: float = _LIMIT, times: int = 1) -> bool:
        """Wait until a probe has ended, or so many; tell whether that was within `limit` seconds."""
        with contextlib.suppress(TimeoutError):
            self._wait_for("", lambda: sum(" status=" in line for line in self.log()) >= times, limit)
            return True
        return False

    def reload(self) -> None:
        """Do what `postfix reload` does, which needs an installed Postfix for it."""
        os.kill(int((self._home / "spool" / "pid" / "master.pid").read_text()), signal.SIGHUP)

    @property
    def verify_cache(self) -> str:
        """The database of verify(8), as `postmap` wants it named."""
        return f"btree:{self._home}/data/verify_cache"

    def map(self, *words: str) -> str:
        """Run `postmap` with these arguments; return what it prints."""
        done = self._run("postmap", *words)
        return done.stdout + done.stderr

    def _run(self, name: str, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self._namespace.command(str(PREFIX / "usr" / "sbin" / name), *words),
            env=self._environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=_LIMIT,
        )

    # --- its life ----------------------------------------------------------------------------------

    def _environment(self) -> dict[str, str]:
        return os.environ | {"MAIL_CONFIG": str(self._home / "etc"), "LD_LIBRARY_PATH": str(_LIBRARIES)}

    def _lay_out(self) -> None:
        """Make what the package's own set-up would make: the folders of the queue, and the configuration."""
        home = self._home
        home.chmod(0o755)
        for folder in ("etc", "data", "spool/pid", "spool/public", "spool/maildrop"):
            (home / folder).mkdir(parents=True)
        for queue in _QUEUES:
            (home / "spool" / queue).mkdir(mode=0o700)
        for folder in ("data", *(f"spool/{queue}" for queue in (*_QUEUES, "public", "maildrop"))):
            shutil.chown(home / folder, _SETTINGS["mail_owner"])
        settings = _SETTINGS | self._settings
        text = "".join(f"{key} = {value.format(home=home)}\n" for key, value in settings.items())
        for name, content in (("main.cf", text), ("master.cf", _SERVICES)):
            file = home / "etc" / name
            file.write_text(content, encoding="ascii")
            os.utime(file, (0, 0))  # it waits two seconds for whoever may still be writing

    def _listens(self, master: subprocess.Popen[bytes]) -> bool:
        assert master.poll() is None, (self._home / "output").read_text() + "\n".join(self.log())
        with self._namespace.entered(), socket.socket() as relay:
            return relay.connect_ex((ADDRESS, PORT)) == 0

    @staticmethod
    def _end(master: subprocess.Popen[bytes]) -> None:
        master.send_signal(signal.SIGTERM)  # it ends its daemons
        with contextlib.suppress(subprocess.TimeoutExpired):
            master.wait(5)
        with contextlib.suppress(ProcessLookupError):  # they are of the session that it began
            os.killpg(master.pid, signal.SIGKILL)
        master.wait()

    @staticmethod
    def _wait_for(what: str, happened: Callable[[], bool], limit: float = _LIMIT) -> None:
        end = time.monotonic() + limit
        while not happened():
            if time.monotonic() > end:
                raise TimeoutError(f"no {what} within {limit} s")
            time.sleep(_TRY)


def _reply(lines: BufferedReader) -> str:
    """Read a reply, of which only that to EHLO has more than one line; return the last."""
    while True:
        line = lines.readline().decode("latin-1").rstrip("\r\n")
        assert line, "it hung up"
        if line[3:4] != "-":
            return line


# --- the cases -------------------------------------------------------------------------------------

TLS = FAST | {"smtp_tls_security_level": "may"}
"""As Debian sets it up."""
_ENDED = 8.0
"""Seconds in which the probe of a case ends, or never does."""


class Said(Struct, frozen=True):
    """What a real Postfix did with the sender of a case: its log, and its answers before and after its probe."""

    first: str
    again: str
    log: tuple[str, ...]


@contextlib.contextmanager
def played(case: Case) -> Iterator[Namespace]:
    """Play the hosts and names of a case in a namespace of its own, on the real ports.

    A script that waits for `MAIL FROM:<>` takes any sender: Postfix has one of its own.
    """
    hosts = {
        ip: cases._host(ip, replace(setup, script=setup.script.replace("C: MAIL FROM:<>", "C: MAIL FROM:")))
        for ip, setup in case.peers.items()
    }
    with netns.Namespace() as namespace:
        namespace.ip("link set lo up")
        namespace.resolve_here()
        with LabThread(netns.NamespaceLab(namespace, case.zone, hosts, case.dns)):
            yield namespace


def ask(case: Case, settings: dict[str, str] = FAST) -> Said:
    """Let Postfix verify the sender of a case, and ask it again once its probe has ended."""
    mailbox = parse(case.address).mailbox
    with played(case) as namespace, Postfix(namespace, settings) as postfix:
        first = postfix.mail(mailbox)
        postfix.probed(_ENDED)
        again = postfix.mail(mailbox)
        return Said(first, again, tuple(postfix.log()))


def evidence(case: Case) -> Evidence:
    """Probe the sender of a case from the same place."""
    options = ["--helo", "verifier.example.net", *(["--allow-private"] if case.allow_private else [])]
    buffer = io.BytesIO()
    with (
        played(case) as namespace,
        namespace.entered(),
        io.TextIOWrapper(buffer, encoding="utf-8", write_through=True) as output,
        contextlib.redirect_stdout(output),
    ):
        main(["--json", *options, "--dns-server", "127.0.0.1", *case.options, case.address])
        return decode_evidence(buffer.getvalue(), case.address)


# --- comparing -------------------------------------------------------------------------------------

_NOT_ABOUT_IT = re.compile(
    "enabling PIX workarounds|response longer than|offers SMTPUTF8 support|numeric domain name|valid_ipv4_hostaddr"
    "|SSL_connect error|TLS library problem|Cannot start TLS|non-ESMTP response|turn off command pipelining"
)
"""Lines of the SMTP client beside those that tell how its probe goes."""
_SURE = 1900
"""Characters of a line that are compared: where the log cuts it off depends on what no evidence knows."""
_UNKNOWN = (
    (re.compile(r"^postfix/(\w+)\[\d+\]"), r"postfix/\1[<pid>]"),
    (re.compile(r"^(\S+ )[0-9A-F]{8,}:"), r"\1<id>:"),
    (re.compile(r"delay=[\d.]+, delays=[\d./]+"), "delay=<n>, delays=<n>"),
    (re.compile(r"(?<=reject: RCPT from )\S+(?=:)"), "<relay>"),
    (
        re.compile(rf"(?<=to=<){re.escape(RECIPIENT)}> proto=ESMTP helo=<[^>]*"),
        "recipient> proto=ESMTP helo=<name",
    ),
)
"""What no evidence can know, and what stands for it in a prediction."""


def told(log: Iterable[str]) -> list[str]:
    """Keep of a log what it says about a sender, in the form of a prediction."""
    kept = []
    for line in log:
        if re.match(r"postfix/(smtp|error)\[|postfix/smtpd\[\d+\]: NOQUEUE", line) is None:
            continue
        if _NOT_ABOUT_IT.search(line) is None:
            kept.append(line)
    for unknown, stands in _UNKNOWN:
        kept = [unknown.sub(stands, line) for line in kept]
    return [line[:_SURE] for line in kept]


def found(seen: Evidence) -> postfix.Probe | None:
    """Predict the probe from our evidence."""
    options = seen.options
    way = route(
        seen.address, seen.dns, seed=seen.seed, families=options.families, allow_private=options.allow_private
    )
    return postfix.probe(seen, way, tuple(judge_host(n, host, seen) for n, host in enumerate(seen.hosts)))


def predicted(seen: Evidence) -> list[str] | None:
    """Give what the log ought to say of a relay that comes once before and once after the probe has ended."""
    probe = found(seen)
    if probe is None:
        return None
    lines = [*probe.log]
    for where, reply in (
        (0, postfix.answer(seen.address, None)),
        (len(lines) + 1, postfix.answer(seen.address, probe)),
    ):
        if reply is not None:
            lines.insert(where, postfix.rejected(seen.address, reply))
    return [line.encode("latin-1").decode("utf-8", "replace")[:_SURE] for line in lines]
