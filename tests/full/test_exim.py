"""What the report predicts of Exim, held against what a real Exim does: on the golden cases, the same mail hosts.

Each case is played twice, for Exim and for us, in two namespaces of its own where the name server stands on
port 53 and the mail hosts on 25, so that Exim routes by DNS as on any mail server.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from probe.cli import main
from probe.core.address import parse
from probe.lab.world import LabThread
from tests.support import cases
from tests.support.netns import Namespace, NamespaceLab, need, tool

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.full

EXIM = tool("exim4") or "exim4"
CONFIGURATION = """\
primary_hostname = verifier.example.net
spool_directory = {spool}
log_file_path = {spool}/%slog
keep_environment =
smtp_enforce_sync = false
allow_domain_literals = true
domainlist local = example.org
acl_smtp_rcpt = verify_sender

begin acl
verify_sender:
  require verify = sender/callout=1s,no_cache
  accept

begin routers
literals:
  driver = ipliteral
  domains = !+local
  transport = smtp
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
  hosts_try_fastopen =
"""
"""Exim's defaults but for what follows.

The limit is 30 s in a stock Exim, and address literals are refused at MAIL. `self = send` because the mail
hosts of the cases are on loopback. TCP Fast Open would not change an answer, but a silent host would cost twice
the limit."""

ACCEPT = "250 Accepted"
REJECT = "550 Sender verify failed"
CALLOUT = "451 Could not complete sender verify callout"
ROUTING = "451 Temporary local problem - please try later"
OUTCOMES = {"2": "accept", "4": "defer", "5": "reject"}

EXPECTED = {
    # The mailbox.
    "rcpt-accepted": ACCEPT,
    "said-251": ACCEPT,
    "said-252": ACCEPT,
    "said-unknown-postfix": REJECT,
    "said-full-552": REJECT,
    "said-full-452": CALLOUT,
    "said-greylisted": CALLOUT,
    "said-blocklisted": REJECT,
    "rcpt-odd-code": CALLOUT,
    "rcpt-timeout": CALLOUT,
    "rcpt-close": CALLOUT,
    "rcpt-malformed": CALLOUT,
    "rcpt-mixed-no-yes": REJECT,  # the first digit of the first line decides
    "rcpt-mixed-yes-no": ACCEPT,
    "rcpt-no-separator": CALLOUT,  # "250Ok" is no reply
    "rcpt-two-ehlo-replies": ACCEPT,  # it takes the spare reply for the next answer, and falls out of step
    # Before it.
    "banner-554": REJECT,
    "banner-421": CALLOUT,
    "banner-timeout": CALLOUT,
    "banner-close": CALLOUT,
    "banner-ssh": CALLOUT,
    "ehlo-5xx-helo-good": ACCEPT,
    "helo-5xx": REJECT,
    "mail-null-refused": REJECT,
    "mail-4xx": CALLOUT,
    "mail-close": CALLOUT,
    "tls-handshake-fails": ACCEPT,  # it goes on in clear
    "tls-demanded-handshake-fails": REJECT,
    # Several hosts: a refusal at any stage ends it, anything else moves on, but not past four times the limit.
    "connect-refused": CALLOUT,
    "connect-refused-then-good": ACCEPT,
    "connect-dead-then-good": ACCEPT,
    "connect-seven-dead-one-good": CALLOUT,
    "hosts-4xx-then-250": ACCEPT,
    "hosts-554-then-250": REJECT,
    "hosts-all-4xx": CALLOUT,
    # The DNS.
    "dns-nxdomain": REJECT,
    "dns-nodata": REJECT,
    "dns-null-mx": REJECT,
    "dns-mx-all-dangling": REJECT,
    "dns-mx-one-dangling": ACCEPT,
    "dns-mx-is-address": REJECT,
    "dns-servfail": ROUTING,
    "dns-refused": ROUTING,
    "dns-timeout": ROUTING,
    "dns-exchange-servfail": ROUTING,
    "dns-implicit-mx": ACCEPT,
}
"""The last line of what Exim 4.96 says to RCPT, written down from its source before the run (verify.c, smtp_in.c)."""

UNPREDICTED = {
    "domain-only-private": "we do not connect",
    "domain-only-private-rfc1918": "we do not connect",
    "family-4-excluded": "-4 leaves us nothing to connect to",
    "family-6-excluded": "-6 leaves us nothing to connect to",
    "run-cut-short": "--timeout ends our run before the host has answered",
    "rcpt-smtputf8-not-offered": "Exim sends the address all the same, so it hears what we did not",
}
"""Golden cases that do not show what Exim would hear, so that nothing may be predicted, and why."""

INCOMPARABLE = {
    "rcpt-drip-lines": "the reply takes one second in all, which is Exim's limit here and not ours",
    "tls-require-handshake-fails": "this Exim does not demand TLS",
    "tls-require-not-offered": "this Exim does not demand TLS",
    "tls-injected-plaintext": "it takes that for a failed handshake; on a second connection the host starts over",
    "hosts-disagree-equal": "which of two equal hosts is asked first is drawn anew each time",
    "dns-edns-formerr": "how the C library asks the DNS is not Exim's doing",
    "dns-edns-dropped": "how the C library asks the DNS is not Exim's doing",
    "dns-lame": "the C library takes a referral for an empty answer",
    "dns-bad-rdata": "the C library does not look into the records",
}
"""Golden cases in which Exim and we are not asked the same thing, or not told the same, and why."""


@pytest.fixture(scope="module")
def configuration() -> Iterator[Path]:
    """Write the configuration of an Exim that verifies senders and does nothing else."""
    need("exim4")
    # Not under pytest's own folder, which is closed to the user that Exim becomes.
    with tempfile.TemporaryDirectory(prefix="exim-") as spool:
        path = Path(spool, "exim.conf")
        path.write_text(CONFIGURATION.format(spool=spool), encoding="ascii")
        said = subprocess.run(
            [EXIM, "-C", path, "-bP", "exim_user"], capture_output=True, text=True, check=True
        )
        shutil.chown(spool, said.stdout.split()[-1])
        yield path


@pytest.mark.parametrize("name", sorted(set(cases.names()) - UNPREDICTED.keys() - INCOMPARABLE.keys()))
def test_prediction_is_what_exim_does(name: str, configuration: Path) -> None:
    case = cases.load(name)
    with ThreadPoolExecutor(1) as beside:  # half the time where a limit has to pass
        answer = beside.submit(_exim, case, configuration)
        report = _report(case)
    said = answer.result()
    assert said[-1] == EXPECTED.get(name, said[-1]), said
    outcome = OUTCOMES[said[-1][0]]
    exim = report["mta"]["exim"]
    assert exim == {"outcome": outcome, "reply": None if outcome == "accept" else said[-1]}, said


@pytest.mark.parametrize("name", UNPREDICTED)
def test_nothing_is_predicted_of_what_was_not_heard(name: str) -> None:
    need()
    assert _report(cases.load(name))["mta"] is None


def test_every_case_has_at_most_one_expectation() -> None:
    named = [*EXPECTED, *UNPREDICTED, *INCOMPARABLE]
    assert len(named) == len(set(named))
    assert set(named) <= set(cases.names())


@contextlib.contextmanager
def _played(case: cases.Case) -> Iterator[Namespace]:
    hosts = {ip: cases._host(ip, setup) for ip, setup in case.peers.items()}
    with Namespace() as namespace:
        namespace.ip("link set lo up")
        namespace.resolve_here()
        with LabThread(NamespaceLab(namespace, case.zone, hosts, case.dns)):
            yield namespace


def _exim(case: cases.Case, configuration: Path) -> list[str]:
    """Return the lines that Exim answers to RCPT when the address of the case is the sender."""
    mailbox = parse(case.address).mailbox
    utf8 = "" if mailbox.isascii() else " SMTPUTF8"
    script = f"EHLO relay.example.net\r\nMAIL FROM:<{mailbox}>{utf8}\r\nRCPT TO:<bob@example.org>\r\nQUIT\r\n"
    with _played(case) as namespace:
        done = namespace.run(
            EXIM, "-C", str(configuration), "-bhc", "203.0.113.77", given=script.encode().decode("latin-1")
        )
    replies: list[list[str]] = [[]]
    for line in done.stdout.splitlines():
        if re.match(r"\d{3}[ -]", line):
            replies[-1].append(line)
            if line[3] == " ":
                replies.append([])
    assert len(replies) == 6, f"not five replies: {done.stdout}\n{done.stderr}"
    return replies[3]


def _report(case: cases.Case) -> dict[str, Any]:
    options = [
        "--json",
        "--helo",
        "verifier.example.net",
        *(["--allow-private"] if case.allow_private else []),
    ]
    buffer = io.BytesIO()
    with (
        _played(case) as namespace,
        namespace.entered(),
        io.TextIOWrapper(buffer, encoding="utf-8", write_through=True) as output,
        contextlib.redirect_stdout(output),
    ):
        main([*options, "--dns-server", "127.0.0.1", *case.options, case.address])
        report: dict[str, Any] = json.loads(buffer.getvalue())
    return report
