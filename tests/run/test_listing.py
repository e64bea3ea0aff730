"""For whom the entries of a list are, by comments and by a log, and that those senders are called once each."""

from __future__ import annotations

import asyncio

from probe.core.exemption.iplist import parse
from probe.core.exemption.preflight_rules import Need
from probe.core.log.event import LogEvent, LogKind, LogProgram
from probe.lab.world import ClosedHost, Lab
from probe.run.listing import PER_ENTRY, LogView, known_senders, probe
from probe.settings import Settings

ENTRIES = parse(
    "# probe-sender 192.0.2.59 sender=<a@good.example>\n192.0.2.59\n198.51.100.0/24\n203.0.113.9\nno.address.example\n"
    "# sender=<not an address>\n203.0.113.10\n"
)


def event(ip: str | None, sender: str | None) -> LogEvent:
    return LogEvent(program=LogProgram.EXIM, kind=LogKind.RECEIVED, relay_ip=ip, sender=sender)


def test_the_log_tells_who_sends_from_a_relay() -> None:
    view = LogView(ENTRIES)
    for _ in range(3):
        view.take(event("198.51.100.7", "often@closed.example"))
    view.take(event("198.51.100.8", "once@closed.example"))
    view.take(event("192.0.2.59", ""))  # a bounce
    view.take(event("192.0.2.60", "other@closed.example"))
    view.take(event("nonsense", "x@y.example"))
    view.take(event(None, "x@y.example"))
    assert view.senders() == {3: ("often@closed.example", "once@closed.example"), 2: ()}
    assert view.unseen() == {4, 7}


def test_lines_of_a_log_are_found_by_the_relays_of_the_list() -> None:
    lines = b"".join(
        b"2026-11-22 07:47:14 1xV2MN-00069O-18 <= %s H=relay.example.net [%s] P=esmtps S=1000\n" % line
        for line in (
            (b"one@good.example", b"192.0.2.59"),
            (b"two@good.example", b"192.0.2.5"),
            (b"three@good.example", b"198.51.100.200"),
            (b"four@good.example", b"198.51.10.1"),
            (b"five@good.example", b"2001:db8::59"),
        )
    )
    view = LogView((*ENTRIES, *parse('"2001:db8::/32"')))
    view.read(b"[192.0.2.59 half a line\n" + lines + b"[198.51.100.1", 0, len(lines) + 24)
    assert view.senders() == {2: ("one@good.example",), 3: ("three@good.example",), 1: ("five@good.example",)}
    nothing = LogView(())
    nothing.read(lines, 0, len(lines))
    assert nothing.senders() == {}
    many = LogView(parse("\n".join(f"198.51.{n >> 8}.{n & 255}" for n in range(100 * 256, 103 * 256))))
    many.read(lines, 0, len(lines))
    assert len(many.senders()) == 1
    everything = LogView(parse("0.0.0.0/0"))
    everything.read(lines, 0, len(lines))
    assert len(everything._senders[1]) == 4


def test_a_mailing_with_a_thousand_senders_is_bounded() -> None:
    view = LogView(ENTRIES)
    for number in range(3000):
        view.take(event("192.0.2.59", f"bounce-{number}@news.example"))
    assert len(view.senders()[2]) == PER_ENTRY
    assert len(view._senders[2]) == 1000


def test_senders_of_comments_and_log_are_put_together() -> None:
    log = {2: ("a@good.example", "<B@good.example>"), 3: ("a@good.example", "\u0000", "x" * 400)}
    by_line, addresses = known_senders(ENTRIES, log)
    assert by_line == {2: ("a@good.example", "B@good.example"), 3: ("a@good.example",)}
    assert [address.mailbox for address in addresses] == ["a@good.example", "B@good.example"]


def test_every_sender_is_called_once() -> None:
    zone = (
        "good.example. 60 MX 1 mx.good.example.\nmx.good.example. 60 A 127.0.0.2\n"
        "closed.example. 60 MX 1 mx.closed.example.\nmx.closed.example. 60 A 127.0.0.3\n"
    )

    async def run() -> tuple[dict[str, Need], int, list[str]]:
        async with Lab(zone, {"127.0.0.2": "*good", "127.0.0.3": ClosedHost("127.0.0.3")}) as lab:
            settings = Settings(
                dns_servers=(f"127.0.0.1:{lab.dns_port}",),
                port=lab.port,
                helo="verifier.example.net",
                allow_private=True,
                trace=False,
                canaries=(),
            )
            kept: list[str] = []
            said: list[str] = []
            _, addresses = known_senders(ENTRIES, {3: ("b@closed.example",)})
            found = await probe(
                addresses,
                settings,
                keep=lambda evidence: kept.append(evidence.address.mailbox),
                watch=lambda status: said.append(status()),
            )
            assert said == ["0 of 2 senders probed, starting"]
            return (
                {name: sender.need for name, sender in found.items()},
                len(lab.peers["127.0.0.2"].connections),
                sorted(kept),
            )

    needs, connections, kept = asyncio.run(run())
    assert needs == {"a@good.example": Need.WORKS, "b@closed.example": Need.FAILS}
    assert connections == 1
    assert kept == ["a@good.example", "b@closed.example"]
