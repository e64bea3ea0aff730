"""Preflights in a lab: the cases that the issue names, from the network to the advice."""

from __future__ import annotations

import asyncio
import time
from datetime import date
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

import pytest

from probe.core.address import parse
from probe.core.callout import Callout
from probe.core.exemption.relay import Advice, Asked, Result
from probe.lab.world import ClosedHost, DeadHost, Lab
from probe.run import preflight as shell
from probe.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from probe.core.exemption.relay import Preflight
    from probe.lab.world import Host

RELAY = "192.0.2.59"
MAIL_HOSTS: dict[str, Host | str] = {
    "127.0.0.2": "*good",
    "127.0.0.3": "*reply MAIL<> 550 5.7.1 Null sender is not accepted here\n*good",
    "127.0.0.4": "*good RCPT=550 5.1.1 User unknown",
}
ZONE = """\
good.example.com.         300 MX 10 mx.good.example.com.
mx.good.example.com.      300 A 127.0.0.2
shy.example.com.          300 MX 10 mx.shy.example.com.
mx.shy.example.com.       300 A 127.0.0.3
gone.example.com.         300 MX 10 mx.gone.example.com.
mx.gone.example.com.      300 A 127.0.0.4
silent.example.com.       300 MX 10 mx.silent.example.com.
mx.silent.example.com.    300 A 127.0.0.5
closed.example.com.       300 MX 10 mx.closed.example.com.
mx.closed.example.com.    300 A 127.0.0.6
strict.example.com.       300 MX 10 mx.closed.example.com.
strict.example.com.       300 TXT "v=spf1 ip4:198.51.100.0/24 -all"
open.example.org.         300 MX 10 mx.open.example.org.
mx.open.example.org.      300 A 127.0.0.6
59.2.0.192.in-addr.arpa.  300 PTR relay1.example.com.
relay1.example.com.       300 A 192.0.2.59
"""


def examine(
    sender: str,
    relay: str = RELAY,
    asked: Asked = Asked(allow_private=True),  # noqa: B008  # frozen
    behaviours: Mapping[str, str] | None = None,
    **settings: Any,
) -> Preflight:
    async def run() -> Preflight:
        hosts = MAIL_HOSTS | {"127.0.0.5": DeadHost("127.0.0.5"), "127.0.0.6": ClosedHost("127.0.0.6")}
        async with Lab(ZONE, hosts, behaviours) as lab:
            given: dict[str, Any] = {
                "timeout": 10.0, "connect_timeout": 0.5, "dns_timeout": 1.0, "dns_try_timeout": 0.5, "canaries": (),
                "helo": "verifier.example.net", "dns_servers": (f"127.0.0.1:{lab.dns_port}",), "port": lab.port,
                "allow_private": asked.allow_private, "trace": False,
            }  # fmt: skip
            return await shell.examine(
                ip_address(relay),
                parse(sender),
                Settings(**given | settings),
                Callout(),
                asked,
                review_after="2027-02-20",
            )

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("sender", "advice", "rule"),
    [
        ("a@silent.example.com", Advice.JUSTIFIED, "justified"),
        ("a@closed.example.com", Advice.JUSTIFIED, "justified"),
        ("a@shy.example.com", Advice.JUSTIFIED, "justified"),
        ("a@gone.example.com", Advice.USELESS, "sender-missing"),
        ("a@nowhere.example.com", Advice.USELESS, "sender-missing"),
        ("a@good.example.com", Advice.NOT_NEEDED, "callouts-work"),
        ("a@strict.example.com", Advice.DANGEROUS, "spf-forbids"),
        ("a@open.example.org", Advice.DANGEROUS, "relay-unrelated"),
    ],
)
def test_the_cases_of_the_issue(sender: str, advice: Advice, rule: str) -> None:
    report = examine(sender)
    assert (report.advice, report.rule) == (advice, rule), report.because


def test_the_address_of_the_mail_host() -> None:
    report = examine("a@closed.example.com", "127.0.0.6")
    assert (report.advice, report.rule) == (Advice.USELESS, "wrong-address")
    assert "wrong address" in report.because[0]


def test_a_relay_that_is_not_public() -> None:
    assert examine("a@closed.example.com", "10.1.2.3", Asked()).rule == "relay-not-public"


def test_the_relay_is_looked_up_while_the_sender_is_probed() -> None:
    """A name server that is slow for the relay does not hold up the probe, and --timeout holds for both."""
    began = time.monotonic()
    report = examine(
        "a@silent.example.com",
        behaviours={"59.2.0.192.in-addr.arpa. PTR": "drop", "silent.example.com. TXT": "drop"},
        timeout=2.0,
        dns_timeout=30.0,
        dns_try_timeout=15.0,
    )
    assert time.monotonic() - began < 4
    results = {check.id: check.result for check in report.checks}
    assert (results["reverse-dns"], results["spf"]) == (Result.UNTESTED, Result.UNTESTED)
    assert report.advice is Advice.CANNOT_TELL


def test_the_dates() -> None:
    today = date.fromisoformat(shell.today())
    assert (date.fromisoformat(shell.review_date()) - today).days in {89, 90, 91}
