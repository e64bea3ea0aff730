"""The checks of `probe-sender preflight`: their ids, and what each can find. A table.

The `state` that `preflight.py` works out picks the row. Ids and states never change their meaning.
"""

from __future__ import annotations

from msgspec import Struct

from probe.core.exemption.relay import Result

CHECKS = {
    "diagnosis": "Does a callout to the sender fail, and in a way that an exemption cures?",
    "relay-address": "Is the relay's address one that a host on the Internet can have?",
    "relay-is-not-the-called-mx": "Is it the relay that sends, and not the mail host that the callout calls?",
    "reverse-dns": "Does the relay have a name that leads back to it, and one of its own?",
    "spf": "Does the sender's domain let the relay send mail in its name (RFC 7208)?",
    "relation": "Does the relay belong to the sender's organisation, or to the one that runs its mail host?",
    "shared-provider": "Does the relay send for others too, all of whom an exemption would cover?",
    "dnsbl": "Is the relay on a blocklist that --dnsbl names?",
}
"""Every check in the order of the report, with the question that it answers."""


class Finding(Struct, frozen=True):
    """One row: a state of a check, what it comes to, and the sentence about it."""

    check: str
    state: str
    result: Result
    says: str


PASS, WARN, FAIL, UNTESTED = Result.PASS, Result.WARN, Result.FAIL, Result.UNTESTED

FINDINGS = (
    Finding("diagnosis", "fails", PASS, "{cause}, {reason} ({confidence}): {summary}"),
    Finding(
        "diagnosis",
        "refuses-us",
        WARN,
        "{cause}, {reason} ({confidence}): {summary} That meets every sender there until we mend it.",
    ),
    Finding("diagnosis", "works", WARN, "callouts work: {summary}"),
    Finding("diagnosis", "missing", FAIL, "{cause}, {reason} ({confidence}): {summary}"),
    Finding("diagnosis", "wait", UNTESTED, "{cause}, {reason}: {summary}"),
    Finding("diagnosis", "ours", UNTESTED, "{cause}, {reason}: {summary} The fault is ours."),
    Finding("diagnosis", "dns", UNTESTED, "{cause}, {reason}: {summary}"),
    Finding("diagnosis", "unclear", UNTESTED, "{cause}, {reason}: {summary}"),
    Finding("relay-address", "public", PASS, "{ip} is a public address"),
    Finding("relay-address", "allowed", WARN, "{ip} is a {scope} address, which --allow-private lets pass"),
    Finding(
        "relay-address", "not-public", FAIL, "{ip} is a {scope} address: no relay on the Internet has it"
    ),
    Finding(
        "relay-is-not-the-called-mx", "other", PASS, "{ip} is none of the mail hosts that a callout calls"
    ),
    Finding(
        "relay-is-not-the-called-mx",
        "same",
        FAIL,
        "{ip} is {host}, the mail host that the callout calls; the relay is the IP after H= in your log",
    ),
    Finding(
        "relay-is-not-the-called-mx",
        "both",
        WARN,
        "{ip} is {host}, the mail host that the callout calls; --is-relay says that it sends as well",
    ),
    Finding(
        "relay-is-not-the-called-mx",
        "unknown",
        UNTESTED,
        "the mail hosts of {domain} are not known, so {ip} may be one of them",
    ),
    Finding("reverse-dns", "confirmed", PASS, "{ip} is {name}, which leads back to it"),
    Finding(
        "reverse-dns",
        "generic",
        WARN,
        "{ip} is {name}, which leads back to it and looks like a name that a provider gives to every address: {why}",
    ),
    Finding(
        "reverse-dns",
        "unconfirmed",
        WARN,
        "{ip} claims to be {name}, which does not lead back to it ({addresses}); the name proves nothing",
    ),
    Finding("reverse-dns", "missing", WARN, "{ip} has no name (PTR: {outcome})"),
    Finding("reverse-dns", "failed", UNTESTED, "the DNS does not tell the name of {ip} ({outcome})"),
    Finding("reverse-dns", "time-up", UNTESTED, "our time was up"),
    Finding("spf", "pass", PASS, '{domain} lets {ip} send: "{term}" in the SPF record of {by}'),
    Finding(
        "spf",
        "open",
        WARN,
        '{domain} lets every host of the Internet send ("{term}" in the SPF record of {by}); that proves nothing',
    ),
    Finding(
        "spf",
        "fail",
        FAIL,
        '{domain} forbids {ip} to send: "{term}" in the SPF record of {by}. Such mail is forged, or was forwarded.',
    ),
    Finding(
        "spf",
        "softfail",
        WARN,
        '{domain} says that {ip} is probably not its own: "{term}" in the SPF record of {by}',
    ),
    Finding("spf", "neutral", WARN, "the SPF record of {by} says nothing about {ip} (neutral)"),
    Finding("spf", "none", WARN, "{domain} has no SPF record, so it does not say which relays are its own"),
    Finding("spf", "permerror", WARN, "the SPF record of {domain} is broken, so it says nothing: {problem}"),
    Finding("spf", "temperror", UNTESTED, "SPF could not be evaluated: {problem}"),
    Finding("spf", "literal", UNTESTED, "{domain} is an address literal, which has no SPF record"),
    Finding("spf", "time-up", UNTESTED, "our time was up"),
    Finding("relation", "own", PASS, "{name} and the sender both belong to {organisation}"),
    Finding("relation", "mail-host", PASS, "{name} belongs to {organisation}, as the mail host {host} does"),
    Finding(
        "relation",
        "authorised",
        PASS,
        "nothing in the name says so, but the sender's SPF record names the relay",
    ),
    Finding(
        "relation",
        "provider",
        FAIL,
        "{name} is a host of {provider}, which sends for anybody: nothing ties it to {domain}",
    ),
    Finding("relation", "none", FAIL, "{name} belongs to {organisation}: nothing ties it to {domain}"),
    Finding(
        "relation", "nameless", FAIL, "{ip} has no name that could be trusted: nothing ties it to {domain}"
    ),
    Finding("relation", "unknown", UNTESTED, "the DNS did not tell enough about {ip}"),
    Finding("shared-provider", "own", PASS, "no sign that {ip} sends for others"),
    Finding(
        "shared-provider",
        "listed",
        FAIL,
        "{name} is an outbound host of {provider}: an exemption of {ip} would cover every customer that it sends for",
    ),
    Finding(
        "shared-provider",
        "authorised",
        WARN,
        "{domain} lets it send through the SPF record of {by}, another organisation, which may send for others too",
    ),
    Finding(
        "shared-provider",
        "hosted",
        WARN,
        "it belongs to {organisation}, which runs the sender's mail host and may send for other customers too",
    ),
    Finding("shared-provider", "unknown", UNTESTED, "the name of {ip} is not known"),
    Finding("dnsbl", "not-asked", UNTESTED, "no blocklist was to be asked (--dnsbl ZONE)"),
    Finding("dnsbl", "clean", PASS, "{ip} is not on {zone}"),
    Finding("dnsbl", "listed", FAIL, "{ip} is on {zone} ({codes})"),
    Finding(
        "dnsbl",
        "refused",
        UNTESTED,
        "{zone} refuses to answer this name server ({codes}), which is no listing; ask another one (--dns-server)",
    ),
    Finding(
        "dnsbl",
        "odd",
        UNTESTED,
        "{zone} answers {codes}, which no blocklist does (RFC 5782 2.1): it is gone, or the name server lies",
    ),
    Finding("dnsbl", "failed", UNTESTED, "{zone} does not answer ({outcome})"),
)
ROWS = {(finding.check, finding.state): finding for finding in FINDINGS}
