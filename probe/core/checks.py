"""The checks of `probe-sender doctor`: their ids, what each can find, and the mend of it. A table.

A check is one question; its `state`, which `health.py` works out, picks the row. Ids and results never change their
meaning. `{ipv}` stands for 4 or 6 in the checks that are made for each address family.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


class Result(StrEnum):
    """What a check came to; only `fail` says that something of ours is wrong."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    UNTESTED = "untested"


class Finding(Struct, frozen=True):
    """One row: a state of a check, what it comes to, the sentence about it, and the mend (None when it is well)."""

    check: str
    state: str
    result: Result
    says: str
    mend: str | None = None


OK, WARN, FAIL, UNTESTED = Result.OK, Result.WARN, Result.FAIL, Result.UNTESTED

CHECKS = {
    "resolver-answers": "Does each configured name server answer, and how fast?",
    "resolver-root": "Do they know the root of the DNS, so that they are whole resolvers?",
    "resolver-nxdomain": "Do they deny a name that cannot exist (a random one under .invalid, RFC 6761 6.4)?",
    "resolver-tcp": "Do they answer over TCP too (RFC 7766), for what is too large for a datagram?",
    "helo-name": "Which name do we give in EHLO, where is it from, and is it fully qualified (RFC 5321 4.1.4)?",
    "helo-generic": "Does that name look like one that a provider gives to every address?",
    "helo-address": "Does that name resolve to an address (RFC 5321 2.3.5), and is it ours?",
    "address-ipv4": "From which IPv4 address do we connect, and is it public?",
    "address-ipv6": "From which IPv6 address do we connect, and is it public?",
    "ptr-ipv4": "Does that address have a name that leads back to it, and one of its own?",
    "ptr-ipv6": "The same over IPv6.",
    "outbound-ipv4": "Does a mail host known to be up (the canary) answer us on port 25?",
    "outbound-ipv6": "The same over IPv6.",
    "icmp-errors": "Does this system tell us the ICMP errors that routers send, and who sent them?",
    "tcp-info": "Does this system tell us the state of a TCP connection?",
    "ping": "May we ping?",
    "clock": "Is the clock plausible, and does the date in the canary's greeting agree?",
}
"""Every check in the order of the report, with the question that it answers."""

TIME_UP = "time-up"
"""The state of every check whose observation was not made when --timeout ended."""

_RESOLVER = "use another name server (--dns-server, /etc/resolv.conf)"

FINDINGS = (
    Finding("resolver-answers", "all", OK, "{good}"),
    Finding(
        "resolver-answers",
        "slow",
        WARN,
        "{good}; that is slow",
        f"find out why, or {_RESOLVER}: a callout makes several look-ups",
    ),
    Finding(
        "resolver-answers",
        "some",
        WARN,
        "{good}; no answer from {bad}",
        "repair {bad}, or take it out of /etc/resolv.conf: whoever asks it first waits in vain",
    ),
    Finding(
        "resolver-answers",
        "none",
        FAIL,
        "no answer from {bad}",
        "let this host reach its name server on UDP and TCP port 53, or " + _RESOLVER,
    ),
    Finding("resolver-root", "known", OK, "the root of the DNS is known to {good}"),
    Finding(
        "resolver-root",
        "unknown",
        FAIL,
        "asked for the root of the DNS, {bad}",
        "have it recurse for this host and reach the root name servers, or " + _RESOLVER,
    ),
    Finding("resolver-root", "silent", UNTESTED, "no name server answers, see resolver-answers"),
    Finding("resolver-nxdomain", "honest", OK, "a name that cannot exist is denied (NXDOMAIN) by {good}"),
    Finding(
        "resolver-nxdomain",
        "lies",
        FAIL,
        "asked for a name that cannot exist, {bad}: a sender domain that is gone would look alive",
        "switch off its redirection of unknown names, or " + _RESOLVER,
    ),
    Finding(
        "resolver-nxdomain",
        "odd",
        WARN,
        "asked for a name that cannot exist, {bad} instead of NXDOMAIN",
        "have it deny what does not exist, or " + _RESOLVER,
    ),
    Finding("resolver-nxdomain", "silent", UNTESTED, "no name server answers, see resolver-answers"),
    Finding("resolver-tcp", "answers", OK, "TCP is answered by {good}"),
    Finding(
        "resolver-tcp",
        "fails",
        WARN,
        "asked over TCP, {bad}: what is too large for a datagram is lost",
        "let TCP port 53 through to it",
    ),
    Finding("resolver-tcp", "silent", UNTESTED, "no name server answers, see resolver-answers"),
    Finding("helo-name", "given", OK, "{helo}, as --helo says"),
    Finding("helo-name", "host", OK, "{helo}, the name of this host"),
    Finding(
        "helo-name",
        "literal",
        WARN,
        "{helo} is an address literal, which many mail hosts refuse",
        "give --helo the fully qualified name that the address resolves to",
    ),
    Finding(
        "helo-name",
        "unqualified",
        FAIL,
        "this host calls itself {host_name!r}, which names no host on the Internet; an address literal is given",
        "give this host a fully qualified name (hostnamectl set-hostname mail.example.com), or use --helo",
    ),
    Finding("helo-generic", "own", OK, "{helo} looks like a name of its own"),
    Finding(
        "helo-generic",
        "generic",
        WARN,
        "{helo} looks like a provider's name for every address of a range ({why}); many mail hosts refuse those",
        "give --helo, and the PTR record, a name under your own domain",
    ),
    Finding("helo-generic", "no-name", UNTESTED, "there is no name to look at, see helo-name"),
    Finding("helo-address", "ours", OK, "{helo} has {addresses}, which we connect from"),
    Finding(
        "helo-address",
        "hidden",
        OK,
        "{helo} has {addresses}; we connect from no public address, so whether it is ours cannot be told",
    ),
    Finding(
        "helo-address",
        "another",
        WARN,
        "{helo} has {addresses}, and we connect from {ours}",
        "publish {ours} for {helo}, or give --helo a name that has it",
    ),
    Finding(
        "helo-address",
        "none",
        FAIL,
        "{helo} has no address ({outcome}); mail hosts that look it up refuse us",
        "publish an A or AAAA record for {helo}, or give --helo a name that has one",
    ),
    Finding(
        "helo-address", "failed", UNTESTED, "the look-up of {helo} failed ({outcome}), see resolver-answers"
    ),
    Finding("helo-address", "no-name", UNTESTED, "there is no name to look up, see helo-name"),
    Finding("address", "public", OK, "{ip}, public"),
    Finding(
        "address",
        "not-public",
        WARN,
        "{ip} is not public ({scope}): mail hosts see another address, which is not known here (NAT)",
        "look up the address that mail hosts see, and check its PTR record and its standing",
    ),
    Finding("address", "no-ipv6", OK, "no route to IPv6; mail hosts are asked over IPv4"),
    Finding(
        "address",
        "no-ipv4",
        WARN,
        "no route to IPv4, which is all that many mail hosts have",
        "give this host an IPv4 address and a default route",
    ),
    Finding(
        "address",
        "none",
        FAIL,
        "no route to IPv{ipv}, and no other family to use",
        "give this host an address and a default route; `ip route` shows those it has",
    ),
    Finding(
        "address", "excluded", UNTESTED, "not asked for", "leave -{other} or --source away to have it checked"
    ),
    Finding("ptr", "confirmed", OK, "{ip} is {name}, which leads back to it"),
    Finding(
        "ptr",
        "generic",
        WARN,
        "{ip} is {name}, which looks like a provider's name for every address of a range ({why})",
        "ask the provider of {ip} to set its PTR record to the name of your mail server",
    ),
    Finding(
        "ptr",
        "unconfirmed",
        FAIL,
        "{ip} is {name}, which has {addresses}: many mail hosts refuse a name that does not lead back",
        "publish {ip} for {name}, or have the PTR record of {ip} set to a name that has it",
    ),
    Finding(
        "ptr",
        "missing",
        FAIL,
        "{ip} has no PTR record ({outcome}); many mail hosts refuse such a client",
        "ask the provider of {ip} to set its PTR record to the name of your mail server",
    ),
    Finding(
        "ptr",
        "broken",
        WARN,
        "the look-up of the PTR record of {ip} failed ({outcome}), and so it will for mail hosts",
        "repair the reverse zone of {ip}, or have its owner repair it; see resolver-answers first",
    ),
    Finding(
        "ptr",
        "failed",
        UNTESTED,
        "the name of {ip} could not be looked up ({outcome}), see resolver-answers",
    ),
    Finding(
        "ptr",
        "not-public",
        UNTESTED,
        "{ip} is not public; the PTR record that counts is that of the address that mail hosts see",
    ),
    Finding("ptr", "no-address", UNTESTED, "there is no IPv{ipv} address to look at, see address-ipv{ipv}"),
    Finding("outbound", "answered", OK, "{canary} answers after {lapse}"),
    Finding(
        "outbound",
        "turned-away",
        WARN,
        "{canary} answers, and turns us away: {banner}",
        "look up the standing of our address with it and with the blocklists that it names",
    ),
    Finding(
        "outbound",
        "inspected",
        WARN,
        "{canary} answers, and somebody has blotted out its greeting: {banner}",
        "switch off the SMTP inspection (fixup) of the firewall that we go out through",
    ),
    Finding(
        "outbound",
        "odd",
        WARN,
        "{canary} answers, and not as a mail host: {banner}",
        "ask whoever runs the firewall or proxy that we go out through whether it answers for others",
    ),
    Finding(
        "outbound",
        "mute",
        WARN,
        "{canary} takes the connection and never greets, as a firewall or proxy of ours may make it",
        "try another one with --canary HOST; if that is mute too, ask whoever runs the firewall or proxy",
    ),
    Finding(
        "outbound",
        "silent",
        FAIL,
        "{canary} does not answer within {lapse}: outgoing port {port} is blocked, unless that host is down",
        "see first whether this host's own firewall drops it (nft list ruleset), else ask your provider to open TCP"
        " port {port}; --canary HOST tries another",
    ),
    Finding(
        "outbound",
        "refused",
        FAIL,
        "the connection to {canary} is refused ({detail}): by somebody on the way, unless that host is down",
        "see first whether this host's own firewall drops it (nft list ruleset), else ask your provider to open TCP"
        " port {port}; --canary HOST tries another",
    ),
    Finding(
        "outbound",
        "untested",
        UNTESTED,
        "nobody could be called: {detail}",
        "name a mail host known to be up with --canary HOST",
    ),
    Finding("outbound", "untried", UNTESTED, "{canary} could not be tried: {detail}; see address-ipv{ipv}"),
    Finding("outbound", "no-address", UNTESTED, "nobody was called over IPv{ipv}, see address-ipv{ipv}"),
    Finding("outbound", "unwanted", UNTESTED, "no canary was to be called", "leave --no-canary away"),
    Finding("icmp-errors", "told", OK, "this system tells who sent an ICMP error (seen on loopback)"),
    Finding(
        "icmp-errors",
        "hidden",
        WARN,
        "this system does not tell who sent an ICMP error, so the place of a filter cannot be named",
        "run it on Linux, outside a sandbox such as gVisor",
    ),
    Finding("tcp-info", "told", OK, "this system tells the state of a TCP connection (TCP_INFO)"),
    Finding(
        "tcp-info",
        "hidden",
        WARN,
        "this system does not tell the state of a TCP connection, so a drop of our own is not told from others",
        "run it on Linux, outside a sandbox such as gVisor",
    ),
    Finding("ping", "permitted", OK, "permitted"),
    Finding(
        "ping",
        "denied",
        WARN,
        "not permitted; UDP has to do where a ping would show whether a host is up",
        'allow it with sysctl -w net.ipv4.ping_group_range="0 2147483647"',
    ),
    Finding("clock", "agrees", OK, "{date}; the greeting of {canary} agrees to {lapse}"),
    Finding(
        "clock",
        "differs",
        WARN,
        "{date}; the greeting of {canary} differs by {lapse}",
        "set the clock (timedatectl set-ntp true): transcripts and logs could not be held against theirs",
    ),
    Finding(
        "clock",
        "early",
        FAIL,
        "{date} is before this program was made",
        "set the clock (timedatectl set-ntp true): certificates and logs cannot be judged with it",
    ),
    Finding(
        "clock",
        "alone",
        UNTESTED,
        "{date} is plausible; no greeting carried a date to hold it against",
        "`timedatectl` tells whether the clock is kept by NTP",
    ),
)
"""Every row. The checks of an address family stand here without `-ipv4` or `-ipv6`."""

ROWS = {(finding.check, finding.state): finding for finding in FINDINGS}
