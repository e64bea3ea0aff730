"""What the checks of a preflight come to: the decision table. Ordered; the first row that fits wins.

Ids never change their meaning. A relay that SPF forbids is dangerous whatever else is true, so that row stands
before those that would call an exemption merely useless or not needed.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from probe.core.exemption.relay import Advice


class Need(StrEnum):
    """What the diagnosis says of the need for an exemption."""

    FAILS = "fails"
    REFUSES_US = "refuses-us"
    WORKS = "works"
    MISSING = "missing"
    WAIT = "wait"
    OURS = "ours"
    DNS = "dns"
    UNCLEAR = "unclear"


class Facts(Struct, frozen=True):
    """The state of each check that decides."""

    diagnosis: str
    address: str
    mx: str
    spf: str
    relation: str
    shared: str
    listed: bool


class Rule(Struct, frozen=True):
    """One row. Each column is a set of states, or None for any; `says` is its sentence."""

    id: str
    advice: Advice
    says: str
    diagnosis: frozenset[str] | None = None
    address: frozenset[str] | None = None
    mx: frozenset[str] | None = None
    spf: frozenset[str] | None = None
    relation: frozenset[str] | None = None
    shared: frozenset[str] | None = None
    listed: frozenset[bool] | None = None

    def matches(self, facts: Facts) -> bool:
        """Whether every named column holds."""
        columns = self.__struct_fields__[3:]
        return all(
            allowed is None or getattr(facts, column) in allowed
            for column in columns
            if (allowed := getattr(self, column)) is not None
        )


def _any(*states: str) -> frozenset[str]:
    return frozenset(states)


RULES = (
    Rule(
        "relay-not-public",
        Advice.USELESS,
        "{ip} is a {scope} address: no relay on the Internet has it. If your log names it after H=, the mail comes from"
        " your own network, which belongs into relay_from_hosts (Exim) or mynetworks (Postfix).",
        address=_any("not-public"),
    ),
    Rule(
        "wrong-address",
        Advice.USELESS,
        "This is the wrong address: {ip} is {host}, the mail host that your server calls, and exempting it changes"
        " nothing. The relay is the IP after H= in your log. If that is this very address, say so with --is-relay.",
        mx=_any("same"),
    ),
    Rule(
        "spf-forbids",
        Advice.DANGEROUS,
        "Do not exempt {ip}: the owner of {domain} has published that it may not send mail in its name. An exemption"
        " would let forged mail in; if this is a forwarder, exempt its users' forwarding and not the sender.",
        spf=_any("fail"),
    ),
    Rule(
        "sender-missing",
        Advice.USELESS,
        "{mailbox} cannot receive mail, so the callout tells the truth, and an exemption of the relay mends nothing:"
        " bounces and answers would still be lost. The sender has to use an address that exists.",
        diagnosis=_any(Need.MISSING),
    ),
    Rule(
        "callouts-work",
        Advice.NOT_NEEDED,
        "A callout to {mailbox} succeeds now, so there is nothing to exempt. If your log still refuses the sender, its"
        " callout cache remembers an earlier failure for some hours.",
        diagnosis=_any(Need.WORKS),
    ),
    Rule(
        "sender-temporary",
        Advice.CANNOT_TELL,
        "The mail host asks to come back later, which says nothing about the sender; servers that try again get"
        " through. Run this again after the time that it names, or in an hour.",
        diagnosis=_any(Need.WAIT),
    ),
    Rule(
        "fault-is-ours",
        Advice.CANNOT_TELL,
        "The fault is on our side, so every sender fails the same way: mend that first (probe-sender doctor), and"
        " exempt nobody for it.",
        diagnosis=_any(Need.OURS),
    ),
    Rule(
        "sender-dns-fails",
        Advice.CANNOT_TELL,
        "The DNS gives no usable answer about {domain}: neither the sender nor what it says of the relay can be"
        " checked.",
        diagnosis=_any(Need.DNS),
    ),
    Rule(
        "diagnosis-unclear",
        Advice.CANNOT_TELL,
        "Whether {mailbox} exists cannot be told from here, so there is no ground for an exemption yet.",
        diagnosis=_any(Need.UNCLEAR),
    ),
    Rule(
        "shared-relay",
        Advice.DANGEROUS,
        "Do not exempt {ip} as a whole: {provider} sends from it for all its customers, and for all of them sender"
        " verification would be off. Exempt the sender's domain from this relay only, or let deferrals pass.",
        shared=_any("listed"),
    ),
    Rule(
        "relay-listed",
        Advice.DANGEROUS,
        "Do not exempt {ip}: a blocklist that you chose names it as a source of unwanted mail.",
        listed=frozenset({True}),
    ),
    Rule(
        "relay-unrelated",
        Advice.DANGEROUS,
        "Do not exempt {ip}: nothing ties it to {domain}, neither its name nor an SPF record. Whoever runs it could"
        " write any sender address. Ask the sender's admin whether it is theirs, and to publish it in SPF.",
        relation=_any("none", "nameless", "provider"),
    ),
    Rule(
        "spf-unknown",
        Advice.CANNOT_TELL,
        "Whether {domain} forbids {ip} to send its mail cannot be told now, because its SPF record cannot be evaluated."
        " Try again, or with another name server.",
        spf=_any("temperror", "time-up"),
    ),
    Rule(
        "relay-unknown",
        Advice.CANNOT_TELL,
        "The DNS does not tell whose {ip} is, so it may be anybody's. Try again, or with another name server.",
        relation=_any("unknown"),
    ),
    Rule(
        "refuses-us",
        Advice.JUSTIFIED,
        "{ip} may be exempted: the sender's mail host refuses us and not the sender. Mend the cause first, because it"
        " meets every sender of that host; the exemption helps this relay only.",
        diagnosis=_any(Need.REFUSES_US),
    ),
    Rule(
        "justified-hosted",
        Advice.JUSTIFIED,
        "{ip} may be exempted for mail of {domain}, best for that domain only: the callout fails for a reason that says"
        " nothing against the sender, but the relay is of another organisation, and whoever else sends through it would"
        " be exempted too.",
        shared=_any("authorised", "hosted"),
    ),
    Rule(
        "justified",
        Advice.JUSTIFIED,
        "{ip} may be exempted for mail of {domain}: the callout fails for a reason that says nothing against the"
        " sender, and the relay is the sender's.",
    ),
)


def decide(facts: Facts) -> Rule:
    """Find the first row that fits; the last one has no columns, so there is one."""
    return next(rule for rule in RULES if rule.matches(facts))
