"""The stories of `probe-sender demo`: one for every cause, each a small mail world on loopback."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from probe.core.model import Cause
from probe.lab.world import ClosedHost, DeadHost, Lab

if TYPE_CHECKING:
    from probe.lab.world import Host


class Story(Struct, frozen=True):
    """One case: who is asked, what the world is like, and the cause that the report must give."""

    title: str
    address: str
    cause: Cause
    zone: str
    scripts: dict[str, str] = {}
    dead: tuple[str, ...] = ()
    closed: tuple[str, ...] = ()
    behaviours: dict[str, str] = {}

    def lab(self) -> Lab:
        """Build the world of this story; it is used as an async context manager."""
        hosts: dict[str, Host | str] = dict(self.scripts)
        hosts |= {ip: DeadHost(ip) for ip in self.dead}
        hosts |= {ip: ClosedHost(ip) for ip in self.closed}
        return Lab(self.zone, hosts, self.behaviours)


STORIES: tuple[Story, ...] = (
    Story(
        title="The ticket: a firewall drops port 25, and Exim says only that verification could not be completed.",
        address="administrator@customer.example.com",
        cause=Cause.FIREWALL_TIMEOUT,
        zone="customer.example.com. 300 A 127.0.0.2",
        dead=("127.0.0.2",),
    ),
    Story(
        title="A genuinely missing sender.",
        address="nobody@shop.example",
        cause=Cause.MISSING_SENDER,
        zone="shop.example. 300 MX 10 mx.shop.example.\nmx.shop.example. 300 A 127.0.0.2",
        scripts={
            "127.0.0.2": "*good RCPT=550 5.1.1 <nobody@shop.example>: Recipient address rejected: User unknown"
        },
    ),
    Story(
        title="RFC 2821 non-compliance: the mail host refuses the null sender of every bounce.",
        address="sales@strict.example",
        cause=Cause.RFC_NONCOMPLIANT,
        zone="strict.example. 300 MX 10 mx.strict.example.\nmx.strict.example. 300 A 127.0.0.2",
        scripts={"127.0.0.2": "*reply MAIL<> 550 5.7.1 Empty sender is not accepted here\n*good"},
    ),
    Story(
        title="The first mail host is dead, the second takes the mail: the sender exists.",
        address="user@two.example",
        cause=Cause.SENDER_EXISTS,
        zone="two.example. 300 MX 10 mx1.two.example.\ntwo.example. 300 MX 20 mx2.two.example.\n"
        "mx1.two.example. 300 A 127.0.0.2\nmx2.two.example. 300 A 127.0.0.3",
        scripts={"127.0.0.3": "*good"},
        dead=("127.0.0.2",),
    ),
    Story(
        title="They refuse us and not the sender: a blocklist, said in a reply to RCPT.",
        address="user@wary.example",
        cause=Cause.POLICY_REFUSAL,
        zone="wary.example. 300 MX 10 mx.wary.example.\nmx.wary.example. 300 A 127.0.0.2",
        scripts={
            "127.0.0.2": "*good RCPT=554 5.7.1 Service unavailable; Client host [127.0.0.1] blocked using"
            " bl.example.org"
        },
    ),
    Story(
        title="Greylisting: come back later.",
        address="user@grey.example",
        cause=Cause.TEMPORARY,
        zone="grey.example. 300 MX 10 mx.grey.example.\nmx.grey.example. 300 A 127.0.0.2",
        scripts={
            "127.0.0.2": "*good RCPT=450 4.2.0 <user@grey.example>: Greylisted, try again in 300 seconds"
        },
    ),
    Story(
        title="Nothing listens on the port.",
        address="user@closed.example",
        cause=Cause.UNREACHABLE,
        zone="closed.example. 300 MX 10 mx.closed.example.\nmx.closed.example. 300 A 127.0.0.2",
        closed=("127.0.0.2",),
    ),
    Story(
        title="The name servers of the domain are broken. That never means that the sender is missing.",
        address="user@broken.example",
        cause=Cause.DNS_FAILURE,
        zone="broken.example. 300 MX 10 mx.broken.example.",
        behaviours={"*": "servfail"},
    ),
    Story(
        title="A refusal that does not say who is meant: honestly, it cannot be told.",
        address="user@vague.example",
        cause=Cause.INCONCLUSIVE,
        zone="vague.example. 300 MX 10 mx.vague.example.\nmx.vague.example. 300 A 127.0.0.2",
        scripts={"127.0.0.2": "*good RCPT=550 Requested action not taken"},
    ),
)
"""In the order they are told: the story of the README first."""
