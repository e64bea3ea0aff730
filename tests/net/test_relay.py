"""What is looked up about a relay, against a name server that answers, fails and lies."""

from __future__ import annotations

import asyncio
import time
from ipaddress import ip_address
from typing import TYPE_CHECKING

import pytest

from probe.core.address import parse
from probe.core.exemption.preflight import SHOWN
from probe.core.model import DnsOutcome
from probe.core.spf.macro import Identity
from probe.core.spf.record import SpfResult
from probe.lab.nameserver import BEHAVIOURS, NameServer
from probe.net import relay
from probe.net.organisation import organisational_domains
from probe.net.relay import RelayLook, evaluate
from probe.net.resolve import Resolver

if TYPE_CHECKING:
    from collections.abc import Mapping

    from probe.core.exemption.relay import RelaySeen

RELAY = "192.0.2.59"
ZONE = """\
customer.example.com.      300 TXT "v=spf1 a:%{l}.users.example.com include:spf.example.net -all"
customer.example.com.      300 TXT "some verification"
spf.example.net.           300 CNAME spf2.example.net.
spf2.example.net.          300 TXT "v=spf1 " "ip4:192.0.2" ".59 mx -all"
59.2.0.192.in-addr.arpa.   300 PTR relay1.example.com.
59.2.0.192.in-addr.arpa.   300 PTR liar.example.org.
relay1.example.com.        300 CNAME real.example.com.
real.example.com.          300 A 192.0.2.59
liar.example.org.          300 A 192.0.2.1
59.2.0.192.bl.example.org. 300 A 127.0.0.2
59.2.0.192.no.example.org. 300 A 127.255.255.254
"""


def look(
    sender: str = "a@customer.example.com",
    *zones: str,
    zone: str = ZONE,
    behaviours: Mapping[str, str] | None = None,
    timeout: float = 1.0,
    limit: float = 5.0,
) -> tuple[RelaySeen, list[tuple[str, str, str]]]:
    async def run() -> tuple[RelaySeen, list[tuple[str, str, str]]]:
        names = NameServer(zone, behaviours)
        port = await names.start()
        resolver = Resolver(
            (("127.0.0.1", port),), clock=time.monotonic, timeout=timeout, try_timeout=timeout / 2, tries=2
        )
        looking = RelayLook(resolver, ip_address(RELAY), parse(sender), zones)
        try:
            async with asyncio.timeout(limit):
                await looking.run()
        except TimeoutError:
            pass
        finally:
            await resolver.aclose()
            await names.stop()
        return looking.seen, names.queries

    return asyncio.run(run())


def test_everything_is_looked_up_once() -> None:
    seen, queries = look("a@customer.example.com", "bl.example.org", "no.example.org", "clean.example.org")
    assert seen.names is not None
    assert {record.data for record in seen.names.records} == {"relay1.example.com.", "liar.example.org."}
    assert {found.records[0].data for found in seen.addresses} == {"192.0.2.59", "192.0.2.1"}
    assert seen.spf is not None
    assert (seen.spf.result, seen.spf.term, seen.spf.domain) == ("pass", "ip4:192.0.2.59", "spf.example.net")
    assert {listing.zone: listing.found.outcome for listing in seen.listings} == {
        "bl.example.org": DnsOutcome.ANSWER,
        "no.example.org": DnsOutcome.ANSWER,
        "clean.example.org": DnsOutcome.NXDOMAIN,
    }
    assert len(queries) == len(set(queries))


def test_no_blocklist_is_asked_unless_it_is_named() -> None:
    _, queries = look()
    assert not [name for name, _, _ in queries if "bl." in name or "no." in name]


def test_a_local_part_in_quotes_is_what_it_stands_for() -> None:
    _, queries = look(r'"a\"b c"@customer.example.com')
    assert any(name.startswith('a\\"b\\032c.users') for name, _, _ in queries)


def test_an_address_literal_has_no_record() -> None:
    seen, queries = look("a@[203.0.113.15]")
    assert seen.spf is None
    assert not [query for query in queries if query[1] == "TXT"]


@pytest.mark.parametrize("behaviour", sorted(BEHAVIOURS))
def test_whatever_the_name_server_does(behaviour: str) -> None:
    began = time.monotonic()
    seen, _ = look(
        "a@customer.example.com", "bl.example.org", behaviours={"*": behaviour}, timeout=0.2, limit=2
    )
    assert time.monotonic() - began < 2.5
    assert seen.names is not None
    assert seen.spf is not None
    assert seen.spf.result is not SpfResult.FAIL


def test_a_check_that_takes_too_long_is_a_temporary_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "TIME_LIMIT", 0.2)
    seen, _ = look(behaviours={"customer.example.com. TXT": "drop"}, timeout=3.0)
    assert seen.spf is not None
    assert seen.spf.result is SpfResult.TEMPERROR
    assert "RFC 7208 4.6.4" in (seen.spf.problem or "")


def test_when_the_time_is_up_what_is_known_is_kept() -> None:
    seen, _ = look(behaviours={"customer.example.com. TXT": "drop"}, timeout=3.0, limit=0.5)
    assert seen.names is not None
    assert seen.spf is None


def test_a_thousand_names_are_not_all_looked_up() -> None:
    zone = "\n".join(f"59.2.0.192.in-addr.arpa. 60 PTR n{number}.example.com." for number in range(200))
    seen, queries = look(zone=zone)
    assert len(seen.addresses) == SHOWN
    assert len([query for query in queries if query[1] == "A"]) == SHOWN


def test_the_limits_of_spf_hold_on_the_wire() -> None:
    """A record that sends us round in circles costs eleven look-ups of records, and no more."""
    zone = 'loop.example. 60 TXT "v=spf1 include:loop.example include:%{i}.loop.example -all"'

    async def run() -> tuple[SpfResult, int]:
        names = NameServer(zone)
        port = await names.start()
        resolver = Resolver((("127.0.0.1", port),), clock=time.monotonic, timeout=1, try_timeout=0.5, tries=2)
        spf = await evaluate(resolver, Identity(ip_address(RELAY), "a", "loop.example", "unknown"))
        await resolver.aclose()
        await names.stop()
        return spf.result, len(names.queries)

    assert asyncio.run(run()) == (SpfResult.PERMERROR, 1)


def test_organisations() -> None:
    found = organisational_domains(
        [
            "Relay1.Example.COM.",
            "a.b.example.co.uk",
            "co.uk",
            "github.io",
            "x.github.io",
            "[203.0.113.15]",
            "",
            "192.0.2.1",
            "mx.example.xn--55qx5d.cn",
            "mx.example.公司.cn",
        ]
    )
    assert found == {
        "relay1.example.com": "example.com",
        "a.b.example.co.uk": "example.co.uk",
        "x.github.io": "x.github.io",
        "mx.example.xn--55qx5d.cn": "example.xn--55qx5d.cn",
        "mx.example.公司.cn": "example.公司.cn",
    }
