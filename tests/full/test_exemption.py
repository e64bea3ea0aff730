"""The whole way with a real Exim: deferred, exempted as `preflight` says, accepted, and no longer needed."""

from __future__ import annotations

import contextlib
import io
import json
import re
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from probe.cli import main
from probe.lab.world import ClosedHost, LabThread
from tests.support.exim import CONFIGURATION, RELAY, Exim, prepare
from tests.support.netns import Namespace, NamespaceLab, need

if TYPE_CHECKING:
    from pathlib import Path

    from probe.lab.world import Host

pytestmark = pytest.mark.full

SENDER, OTHER = "administrator@customer.example.com", "somebody@other.example.com"
MAIL_HOST = "127.0.0.4"
POINTER = ".".join(reversed(RELAY.split("."))) + ".in-addr.arpa"
ZONE = f"""\
customer.example.com.     300 MX 10 mx.customer.example.com.
customer.example.com.     300 TXT "v=spf1 ip4:{RELAY} -all"
mx.customer.example.com.  300 A {MAIL_HOST}
other.example.com.        300 MX 10 mx.customer.example.com.
{POINTER}.                300 PTR relay1.example.com.
relay1.example.com.       300 A {RELAY}
"""
HOST_LIST, PAIRS = "/etc/exim/sender_verify_exempt", "/etc/exim/sender_verify_pairs"
"""The files that preflight names for an Exim that was set up by hand."""
DEFERRED = "451 Could not complete sender verify callout"
ACCEPTED = "250 Accepted"


class ExemptingExim(Exim):
    """An Exim that can be given the configuration that preflight prints, with its files in the spool."""

    def __init__(self) -> None:
        super().__init__("callout=5s,no_cache")

    def file(self, named: str) -> Path:
        """Give the place of a file that preflight names, an empty one until it is written."""
        place = self.spool / named.rpartition("/")[2]
        place.touch()
        return place

    def configure(self, setup: list[str], named: str) -> None:
        """Put the printed lines where they say they belong."""
        lines = [line.replace(named, str(self.file(named))) for line in setup]
        at = next(number for number, line in enumerate(lines) if "RCPT ACL" in line)
        main_section, acl = "\n".join(lines[:at]), "\n".join(lines[at:])
        text = CONFIGURATION.format(spool=self.spool, callout=self._callout)
        text = text.replace("begin acl", f"{main_section}\n\nbegin acl")
        text = re.sub(r"^  require verify = .*$", lambda _: acl, text, flags=re.MULTILINE)
        assert text.count("verify = sender") == 2, "the line itself, and the comment that names the old one"
        self._configuration.write_text(text, encoding="ascii")


def world(namespace: Namespace, host: Host | str) -> LabThread:
    return LabThread(NamespaceLab(namespace, ZONE, {MAIL_HOST: host}))


def run(namespace: Namespace, *arguments: str) -> tuple[int, dict[str, Any]]:
    """Run a command in the namespace; its exit code and its document."""
    buffer = io.BytesIO()
    with (
        namespace.entered(),
        io.TextIOWrapper(buffer, encoding="utf-8", write_through=True) as output,
        contextlib.redirect_stdout(output),
    ):
        code = main(
            [
                arguments[0], "--json", "--allow-private", "--no-trace", "--dns-server=127.0.0.1",
                "--helo=verifier.example.net", *arguments[1:],
            ]
        )  # fmt: skip
        return code, json.loads(buffer.getvalue())


def said(exim: Exim, namespace: Namespace, sender: str = SENDER) -> str:
    return exim.verify(namespace, sender)[0].reply[-1]


def test_from_the_deferral_to_the_exemption_and_back() -> None:
    need("exim4")
    with Namespace() as namespace, ExemptingExim() as exim:
        prepare(namespace)
        namespace.resolve_here()
        with world(namespace, ClosedHost(MAIL_HOST)):
            assert said(exim, namespace) == DEFERRED

            code, report = run(namespace, "preflight", RELAY, SENDER)
            assert (code, report["advice"]) == (0, "justified"), report["because"]
            ways = {way["file"]: way for way in report["exemptions"]}

            # This relay, for every sender: the list that --write keeps holds the line that was printed.
            way = ways[HOST_LIST]
            exim.configure(way["setup"], HOST_LIST)
            assert said(exim, namespace) == DEFERRED
            listed = exim.file(HOST_LIST)
            code, _ = run(namespace, "preflight", f"--write={listed}", "--reason=ticket 4711", RELAY, SENDER)
            assert code == 0
            assert listed.read_text().splitlines()[-1] == way["line"]
            assert said(exim, namespace) == ACCEPTED
            assert said(exim, namespace, OTHER) == ACCEPTED

            # This relay, for this domain only.
            narrow = ways[PAIRS]
            assert report["exemptions"][0] == narrow
            exim.configure(narrow["setup"], PAIRS)
            assert said(exim, namespace) == DEFERRED
            exim.file(PAIRS).write_text(f"{narrow['line']}\n")
            assert said(exim, namespace) == ACCEPTED
            assert said(exim, namespace, OTHER) == DEFERRED

            code, listing = run(namespace, "audit", str(listed))
            assert [(entry["entry"], entry["needed"]) for entry in listing["entries"]] == [(RELAY, True)]

        # Their firewall has been mended.
        with world(namespace, "*good"):
            code, listing = run(namespace, "audit", str(listed))
            (entry,) = listing["entries"]
            assert (code, entry["needed"], entry["senders"]) == (1, False, [SENDER])
            assert f"callouts to {SENDER} work again" in entry["says"]

            exim.configure(way["setup"], HOST_LIST)
            undo = way["undo"].replace(HOST_LIST, str(listed))
            subprocess.run(["sh", "-c", undo], check=True)
            assert listed.read_text() == ""
            assert said(exim, namespace) == ACCEPTED


def test_the_narrowest_way_of_debian() -> None:
    """A negated line above the others, in the list of senders for which Debian calls."""
    need("exim4")
    with Namespace() as namespace, Exim("callout=5s,no_cache") as exim:
        prepare(namespace)
        namespace.resolve_here()
        senders = exim.spool / "local_sender_callout"
        text = exim._configuration.read_text("ascii")
        text = text.replace("  require verify", f"  deny senders = {senders}\n    !verify")
        exim._configuration.write_text(text, encoding="ascii")
        with world(namespace, ClosedHost(MAIL_HOST)):
            _, report = run(namespace, "preflight", RELAY, SENDER)
            (line,) = [
                way["line"] for way in report["exemptions"] if way["file"].endswith("local_sender_callout")
            ]
            senders.write_text("*\n")
            assert said(exim, namespace) == DEFERRED
            senders.write_text(f"{line}\n*\n")
            assert said(exim, namespace) == ACCEPTED
            assert said(exim, namespace, OTHER) == DEFERRED
