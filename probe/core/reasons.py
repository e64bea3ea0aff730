"""The reasons: one row for each word that a report can give, with its cause and what to do about it.

A reason is public API (users script against it, `explain WORD` documents it), so a word never changes its
meaning. The words are `stage.what`. Sentences may hold the fields of `sentences.values` in
braces.
"""

from __future__ import annotations

from msgspec import Struct

from probe.core.model import About, Cause, Side, Who

SUPPORT, OUR_ADMIN, THEIR_ADMIN, SENDER = Who.SUPPORT, Who.OUR_ADMIN, Who.THEIR_ADMIN, Who.SENDER


class ReasonRow(Struct, frozen=True):
    """What one reason means. `steps` are (who, what) in the order they should be taken.

    `example` is what was seen in a typical case, in one line: what we sent, an arrow, and what came back. The
    lines of a reply are separated by ` / `.
    """

    word: str
    cause: Cause
    side: Side
    means: str
    steps: tuple[tuple[Who, str], ...]
    ref: str
    example: str


def _row(
    word: str, cause: Cause, side: Side, means: str, *steps: tuple[Who, str], ref: str, example: str
) -> ReasonRow:
    return ReasonRow(word, cause, side, means, steps, ref, example)


EXEMPT = (
    OUR_ADMIN,
    (
        "If the mail is wanted meanwhile, exempt the relay (the IP after H= in your log, not {ip}) from verification,"
        " or use callout=30s,defer_ok."
    ),
)
_WAIT = (
    SUPPORT,
    "Wait and probe again; a sending server retries by itself for days, so the mail is late and not lost.",
)
_ASK_UNBLOCK = (
    THEIR_ADMIN,
    "Let the verifying server's address {local_ip} through, or say under which name and address it is listed.",
)
_SAME_PLACE = (
    SUPPORT,
    "Run this on the mail server whose log shows the failure (or with --source): another address may be treated otherwise.",
)

_EXISTS = [
    _row(
        "rcpt.accepted",
        Cause.SENDER_EXISTS,
        Side.UNKNOWN,
        "Exim and Postfix, asking this host the same question, get the same answer.",
        (
            SUPPORT,
            (
                "This mail host takes the callout. If your log shows a failure all the same, compare its time and"
                " called host, and clear the cached answer (Exim keeps one up to 3 h, cPanel 1 h)."
            ),
        ),
        ref="RFC 5321 3.3",
        example="RCPT TO:<user@example.com> -> 250 2.1.5 Ok",
    ),
    _row(
        "rcpt.accepted-not-verified",
        Cause.SENDER_EXISTS,
        Side.UNKNOWN,
        "The mail host took the address with 251 or 252: it will forward, or does not check, but it accepts.",
        (SUPPORT, "The callout works from here; the mail host makes no promise that the mailbox exists."),
        ref="RFC 5321 3.5.3, 4.2.3",
        example="RCPT TO:<user@example.com> -> 252 2.0.0 Cannot verify the user, but will take mail for it",
    ),
    _row(
        "rcpt.mailbox-full",
        Cause.SENDER_EXISTS,
        Side.THEIRS,
        "The mailbox exists and is over its quota. Exim counts the 552 as a failed verification all the same.",
        (SENDER, "Make room in the mailbox {mailbox}; until then bounces and callouts to it are refused."),
        EXEMPT,
        ref="RFC 5321 4.2.3 (552, 452), RFC 3463 X.2.2",
        example="RCPT TO:<user@example.com> -> 552 5.2.2 Mailbox full",
    ),
]

_NO_ADDRESS_STEPS = (
    (SENDER, "Use an envelope sender that exists, or have the mailbox or an alias {mailbox} made."),
    (SUPPORT, "Do not whitelist the relay: the address takes no bounces, so the refusal is right."),
)
_DOMAIN_STEPS = (
    (
        THEIR_ADMIN,
        "Publish an MX record of a host that takes mail for {domain}, or send with another domain.",
    ),
    (SUPPORT, "Do not whitelist the relay: nobody can answer or bounce to {domain}."),
)

_MISSING = [
    _row(
        "rcpt.user-unknown",
        Cause.MISSING_SENDER,
        Side.THEIRS,
        "The mail host says that there is no such mailbox.",
        *_NO_ADDRESS_STEPS,
        ref="RFC 5321 3.3, 4.2.3 (550); RFC 3463 X.1.1",
        example="RCPT TO:<user@example.com> -> 550 5.1.1 <user@example.com>: User unknown",
    ),
    _row(
        "rcpt.user-disabled",
        Cause.MISSING_SENDER,
        Side.THEIRS,
        "The mail host says that the mailbox is disabled, suspended or closed.",
        (SENDER, "Have the mailbox {mailbox} enabled again, or send from one that takes mail."),
        (SUPPORT, "Do not whitelist the relay for this: the address takes no bounces."),
        ref="RFC 3463 X.2.1",
        example="RCPT TO:<user@example.com> -> 550 5.2.1 This mailbox is disabled",
    ),
    _row(
        "rcpt.domain-not-served",
        Cause.MISSING_SENDER,
        Side.THEIRS,
        "Every mail host that answered says that it does not take mail for this domain.",
        (THEIR_ADMIN, "Configure {domain} on the host that its MX record names, or point the MX elsewhere."),
        _DOMAIN_STEPS[1],
        ref="RFC 5321 3.6.2, RFC 3463 X.1.2, X.7.1",
        example="RCPT TO:<user@example.com> -> 550 5.7.1 Relaying denied (and the same from every other mail host)",
    ),
    _row(
        "rcpt.domain-takes-no-mail",
        Cause.MISSING_SENDER,
        Side.THEIRS,
        "The mail host answered 556: the domain accepts no mail.",
        *_DOMAIN_STEPS,
        ref="RFC 7504 4, RFC 7505 4.1",
        example="RCPT TO:<user@example.com> -> 556 5.1.10 Recipient address has null MX",
    ),
    _row(
        "banner.host-takes-no-mail",
        Cause.MISSING_SENDER,
        Side.THEIRS,
        "The host greets with 521: it never accepts mail, for anybody.",
        *_DOMAIN_STEPS,
        ref="RFC 7504 3",
        example="connection -> 521 mx.example.com",
    ),
    _row(
        "domain.nxdomain",
        Cause.MISSING_SENDER,
        Side.DNS,
        "The domain does not exist in the DNS.",
        (SENDER, "Check the spelling of {domain}, and whether its registration has lapsed."),
        _DOMAIN_STEPS[1],
        ref="RFC 5321 5.1, RFC 2308 2.1",
        example="MX of example.com -> NXDOMAIN",
    ),
    _row(
        "domain.no-mail-host",
        Cause.MISSING_SENDER,
        Side.DNS,
        "The domain exists, but it has neither an MX record nor an address, so no host takes its mail.",
        *_DOMAIN_STEPS,
        ref="RFC 5321 5.1",
        example="MX, A and AAAA of example.com -> no records",
    ),
    _row(
        "domain.null-mx",
        Cause.MISSING_SENDER,
        Side.DNS,
        "The domain publishes a null MX: it says itself that it takes no mail.",
        *_DOMAIN_STEPS,
        ref="RFC 7505 3",
        example="MX of example.com -> 0 .",
    ),
    _row(
        "domain.mx-dangling",
        Cause.MISSING_SENDER,
        Side.DNS,
        "Every mail host that the MX records name has no address.",
        *_DOMAIN_STEPS,
        ref="RFC 5321 5.1",
        example="MX of example.com -> 10 mx.example.com, and A and AAAA of mx.example.com -> NXDOMAIN",
    ),
]

_CANNOT_TELL = [
    _row(
        "rcpt.unattributed",
        Cause.INCONCLUSIVE,
        Side.UNKNOWN,
        "The address was refused in words that do not say whether the mailbox, the null sender or we are meant.",
        (
            SUPPORT,
            (
                "Next test: ask from another network (--source); a missing mailbox is refused everywhere, a block of us"
                " is not."
            ),
        ),
        EXEMPT,
        ref="RFC 5321 4.2.3 (550 says mailbox or policy)",
        example="RCPT TO:<user@example.com> -> 550 Requested action not taken: mailbox unavailable",
    ),
    _row(
        "rcpt.mixed-reply",
        Cause.INCONCLUSIVE,
        Side.THEIRS,
        "The lines of one reply carry codes that contradict each other, so Exim and Postfix read it differently.",
        (THEIR_ADMIN, "Send one code on every line of a reply."),
        (SUPPORT, "Next test: probe again with -v and see which line is meant."),
        ref="RFC 5321 4.2.1",
        example="RCPT TO:<user@example.com> -> 550-5.1.1 User unknown / 250 2.1.5 Ok",
    ),
    _row(
        "rcpt.out-of-step",
        Cause.INCONCLUSIVE,
        Side.THEIRS,
        "The mail host sent more replies than it got commands, so it cannot be told which answers the address.",
        (THEIR_ADMIN, "Send exactly one reply to each command."),
        (SUPPORT, "Next test: probe again with -v and pair commands and replies by their times."),
        ref="RFC 5321 4.2",
        example="RCPT TO:<user@example.com> -> 250 2.1.0 Ok, and 550 5.1.1 User unknown: two replies to one command",
    ),
    _row(
        "rcpt.odd-code",
        Cause.INCONCLUSIVE,
        Side.THEIRS,
        "The address was answered with a code that means neither yes nor no here.",
        (SUPPORT, "Next test: probe again with -v; Exim defers on such a reply."),
        EXEMPT,
        ref="RFC 5321 4.2.1, 4.3.2",
        example="RCPT TO:<user@example.com> -> 354 Go ahead",
    ),
    _row(
        "rcpt.some-hosts-deny",
        Cause.INCONCLUSIVE,
        Side.UNKNOWN,
        "The mail hosts that answered do not take mail for this domain, but the domain has others that could not be asked.",
        (
            SUPPORT,
            "Next test: probe again with --all-hosts, without -4 or -6, once the other mail hosts answer.",
        ),
        (THEIR_ADMIN, "Take the hosts that do not serve {domain} out of its MX records."),
        ref="RFC 5321 5.1, 3.6.2",
        example="RCPT TO:<user@example.com> -> 550 5.7.1 Relaying denied from mx1.example.com; mx2.example.com has IPv6 only and -4 was given",
    ),
    _row(
        "rcpt.smtputf8-not-offered",
        Cause.INCONCLUSIVE,
        Side.THEIRS,
        "The local part is not ASCII and the mail host does not offer SMTPUTF8, so it cannot be asked.",
        (SENDER, "Use an ASCII address as envelope sender, or a mail host that offers SMTPUTF8."),
        (SUPPORT, "Next test: probe the address that the same person uses in ASCII."),
        ref="RFC 6531 3.2, 3.3",
        example="EHLO mail.example.net -> 250-mx.example.com / 250 8BITMIME, and the local part is not ASCII",
    ),
    _row(
        "mail.unattributed",
        Cause.INCONCLUSIVE,
        Side.UNKNOWN,
        "MAIL FROM:<> was refused, and it could not be tested whether a real sender is taken.",
        (
            SUPPORT,
            (
                "Next test: probe again with --mail-from set to an address of yours that exists; if that is taken,"
                " they refuse the null sender."
            ),
        ),
        EXEMPT,
        ref="RFC 5321 4.5.5, RFC 1123 5.2.9",
        example="MAIL FROM:<> -> 550 5.5.0 Refused, and the connection was closed before a real sender was tried",
    ),
    _row(
        "mail.odd-code",
        Cause.INCONCLUSIVE,
        Side.THEIRS,
        "MAIL was answered with a code that means neither yes nor no here.",
        (SUPPORT, "Next test: probe again with -v; Exim defers on such a reply."),
        EXEMPT,
        ref="RFC 5321 4.2.1, 4.3.2",
        example="MAIL FROM:<> -> 354 Go ahead",
    ),
    _row(
        "tls.needed-but-off",
        Cause.INCONCLUSIVE,
        Side.OURS,
        "The mail host wants TLS and --tls never forbade it.",
        (SUPPORT, "Next test: probe again without --tls never."),
        (
            OUR_ADMIN,
            "If your mail server has TLS off for callouts (hosts_verify_avoid_tls in Exim), turn it on.",
        ),
        ref="RFC 3207 4",
        example="MAIL FROM:<> -> 530 5.7.0 Must issue a STARTTLS command first",
    ),
    _row(
        "tls.not-available",
        Cause.INCONCLUSIVE,
        Side.OURS,
        "--tls require was given, and the mail host offers no STARTTLS or the handshake failed.",
        (SUPPORT, "Next test: probe again without --tls require, as a callout does."),
        ref="RFC 3207 4, 4.1",
        example="EHLO mail.example.net -> 250-mx.example.com / 250 8BITMIME, without STARTTLS",
    ),
    _row(
        "tls.failed",
        Cause.INCONCLUSIVE,
        Side.THEIRS,
        "The mail host offers STARTTLS, which failed, and without TLS the callout did not get any further.",
        (THEIR_ADMIN, "Mend STARTTLS, which fails as shown, or do not offer it."),
        (SUPPORT, "Next test: probe again with --tls never."),
        ref="RFC 3207 4.1",
        example="STARTTLS -> 220 2.0.0 Ready to start TLS, then an alert: handshake failure",
    ),
    _row(
        "domain.only-private",
        Cause.INCONCLUSIVE,
        Side.THEIRS,
        "The mail hosts of the domain have no public address, so they cannot be reached from the Internet.",
        (SUPPORT, "Next test: if this host is inside that network, probe again with --allow-private."),
        (THEIR_ADMIN, "Publish the public address of a mail host for {domain}."),
        ref="RFC 5735, RFC 6890, RFC 4193",
        example="A of mx.example.com -> a private address (RFC 1918), and it is the only mail host",
    ),
    _row(
        "domain.family-excluded",
        Cause.INCONCLUSIVE,
        Side.OURS,
        "The mail hosts have no address of the family that -4, -6 or --source leaves.",
        (SUPPORT, "Next test: probe again without -4, -6 and --source."),
        ref="RFC 5321 5.1",
        example="A of mx.example.com -> 192.0.2.25, AAAA -> no records, and -6 was given",
    ),
    _row(
        "connect.local-error",
        Cause.INCONCLUSIVE,
        Side.OURS,
        "This host could not even try to connect.",
        (
            OUR_ADMIN,
            "Mend what the error names ({errno}): the --source address, a local firewall rule or a limit.",
        ),
        (SUPPORT, "Next test: probe again from another host."),
        ref="connect(2), bind(2)",
        example="bind to --source 198.51.100.7 -> EADDRNOTAVAIL, which is no address of this host",
    ),
    _row(
        "connect.no-route",
        Cause.INCONCLUSIVE,
        Side.OURS,
        "This host has no route to the mail host's address.",
        (OUR_ADMIN, "Give this host a route (for IPv6 often: none is configured), or probe with -4."),
        (SUPPORT, "Next test: probe again from the mail server itself."),
        ref="connect(2) ENETUNREACH",
        example="SYN to 2001:db8::25 port 25 -> ENETUNREACH from this host itself",
    ),
    _row(
        "connect.own-firewall",
        Cause.INCONCLUSIVE,
        Side.OURS,
        "A firewall on this host stops the packets before they leave it (where they are reset at once: it, or the first router), so nothing is known of the mail host.",
        (
            OUR_ADMIN,
            "Let outgoing TCP port {port} pass in this host's own firewall (nft list ruleset, iptables -L OUTPUT; on cPanel also SMTP Restrictions and CSF's SMTP_BLOCK).",
        ),
        (
            SUPPORT,
            "Next test: probe again after that, or from the mail server itself, as the user that it runs as.",
        ),
        ref="tcp(7) TCP_INFO, nft(8) output hook",
        example="SYN to 192.0.2.25 port 25 sent three times, and none left this host",
    ),
    _row(
        "connect.offline",
        Cause.INCONCLUSIVE,
        Side.OURS,
        "Neither the mail host nor a router on the way nor a mail host known to be up answers: our own connectivity fails.",
        (
            OUR_ADMIN,
            "See whether this host reaches anything over this address family (probe-sender doctor tells).",
        ),
        (SUPPORT, "Next test: probe again from another host, or with -4 or -6."),
        ref="RFC 9293 3.8.3",
        example="SYN to 192.0.2.25 port 25 -> no answer; no router answers UDP with a small hop limit; another mail host is silent too",
    ),
    _row(
        "connect.intercepted",
        Cause.INCONCLUSIVE,
        Side.PATH,
        "A transparent proxy or an inspecting firewall on the way answers port {port} in the name of the mail host, so"
        " neither its yes nor its no is the word of the mail host. (A provider that routes mail another, shorter way looks"
        " the same.)",
        (
            OUR_ADMIN,
            "Find out who runs what answers at {refuser_at} (your own firewall, hosting company or provider) and have {local_ip} exempted from its SMTP inspection.",
        ),
        (
            SUPPORT,
            "Next test: probe again from another network; if that gets another answer, the proxy is on our side.",
        ),
        ref="RFC 5321 4.5.1, RFC 9293 3.8.3",
        example="SYN to 192.0.2.25 port 25 -> SYN-ACK from hop 2; UDP -> port unreachable from 192.0.2.25 at hop 9",
    ),
    _row(
        "run.cut-short",
        Cause.INCONCLUSIVE,
        Side.OURS,
        "The overall limit ended the probe before anything definite was known.",
        (SUPPORT, "Next test: probe again with a larger --timeout."),
        ref="--timeout",
        example="RCPT TO:<user@example.com> -> no answer yet when --timeout 60 ended the run",
    ),
    _row(
        "run.interrupted",
        Cause.INCONCLUSIVE,
        Side.OURS,
        "The probe was interrupted before anything definite was known.",
        (SUPPORT, "Next test: probe again and let it finish."),
        ref="SIGINT",
        example="Ctrl-C 4 s after EHLO mail.example.net",
    ),
    _row(
        "host.held-back",
        Cause.INCONCLUSIVE,
        Side.OURS,
        "The mail host was left alone: it has told us too often to come back later, it has been asked as often as one"
        " day allows, or it refused an address that it had taken a moment before, so that its refusals tell nothing.",
        (SUPPORT, "Next test: the same batch tomorrow, or probe-sender {mailbox}, which asks once and now."),
        ref="--per-day",
        example="1,000 connections to 192.0.2.25 today, and 40 of its addresses are left",
    ),
    _row(
        "log.untold",
        Cause.INCONCLUSIVE,
        Side.UNKNOWN,
        "The log tells that the verification failed, and not why: several mail hosts were asked, an earlier result was"
        " reused, or it had not come to an end.",
        (SUPPORT, "Next test: probe-sender {mailbox}, which asks each mail host and shows what it says."),
        ref="Exim verify.c (do_callout), Postfix verify(8)",
        example="sender verify defer for <user@example.com>: Could not complete sender verify callout",
    ),
    _row(
        "evidence.unexpected",
        Cause.INCONCLUSIVE,
        Side.UNKNOWN,
        "The evidence has a shape that no rule knows.",
        (SUPPORT, "Next test: probe again with --save and send the file to the authors of probe-sender."),
        ref="probe/core/rules.py",
        example="a saved file that was edited: a session ends after EHLO -> 250 and does not say why",
    ),
]

_SKIPPED = [
    _row(
        f"skipped.{word}",
        Cause.INCONCLUSIVE,
        side,
        means,
        (SUPPORT, f"Next test: {test}"),
        ref=ref,
        example=example,
    )
    for word, side, means, test, ref, example in (
        (
            "not-public",
            Side.THEIRS,
            "This mail host was not talked to: its address is not public.",
            "if this host is inside that network, probe again with --allow-private.",
            "RFC 6890",
            "A of mx.example.com -> a private address (RFC 1918); mx2.example.com is asked instead",
        ),
        (
            "family",
            Side.OURS,
            "This mail host was not talked to: -4, -6 or --source excludes its address.",
            "probe again without -4, -6 and --source.",
            "-4, -6",
            "AAAA of mx.example.com -> 2001:db8::25, and -4 was given",
        ),
        (
            "definite-answer",
            Side.UNKNOWN,
            "This mail host was not needed: another one had given a definite answer.",
            "probe again with --all-hosts.",
            "--all-hosts",
            "mx2.example.com is not called: mx1.example.com has answered RCPT with 250 2.1.5 Ok",
        ),
        (
            "limit",
            Side.THEIRS,
            "This mail host was not talked to: the domain has more of them than are tried.",
            "probe the address literal of that host.",
            "probe/core/route.py",
            "MX of example.com -> 40 mail hosts; this is the 33rd address",
        ),
        (
            "cut-short",
            Side.OURS,
            "This mail host was not talked to: the run ended before its turn.",
            "probe again with a larger --timeout.",
            "--timeout",
            "mx2.example.com is not called: --timeout 60 was over while mx1.example.com was silent",
        ),
        (
            "held-back",
            Side.OURS,
            "This mail host was not talked to, out of politeness: it has told us to come back later, or had its share.",
            "the same batch tomorrow.",
            "--per-day",
            "mx1.example.com has answered 421 six times in a row; its other addresses are left alone",
        ),
    )
]
"""Reasons of a host that was not tried; they never decide about the address."""

_TEMPORARY = [
    _row(
        "banner.busy",
        Cause.TEMPORARY,
        Side.THEIRS,
        "The mail host greets with a 4xx: not now.",
        _WAIT,
        EXEMPT,
        ref="RFC 5321 3.1, 4.3.2 (421)",
        example="connection -> 421 4.3.2 Service not available, try again later",
    ),
    _row(
        "helo.deferred",
        Cause.TEMPORARY,
        Side.THEIRS,
        "EHLO and HELO were answered with a 4xx: not now.",
        _WAIT,
        EXEMPT,
        ref="RFC 5321 4.2.1",
        example="EHLO mail.example.net and HELO mail.example.net -> 451 4.3.0 Temporary local problem",
    ),
    _row(
        "mail.deferred",
        Cause.TEMPORARY,
        Side.THEIRS,
        "MAIL was answered with a 4xx: not now. Exim logs only NULL here.",
        _WAIT,
        EXEMPT,
        ref="RFC 5321 4.2.1",
        example="MAIL FROM:<> -> 451 4.3.0 Temporary local problem",
    ),
    _row(
        "rcpt.deferred",
        Cause.TEMPORARY,
        Side.THEIRS,
        "The address was answered with a 4xx: not now.",
        _WAIT,
        EXEMPT,
        ref="RFC 5321 4.2.1",
        example="RCPT TO:<user@example.com> -> 451 4.3.0 Temporary local problem",
    ),
    _row(
        "rcpt.greylisted",
        Cause.TEMPORARY,
        Side.THEIRS,
        "The mail host greylists: it defers the first contact and expects the same client to come back.",
        (SUPPORT, "Probe again from the same address after {wait}."),
        (
            OUR_ADMIN,
            (
                "If it never passes, their greylisting does not learn null-sender callouts: verify with defer_ok,"
                " or exempt the connecting relay."
            ),
        ),
        ref="RFC 6647 2, RFC 5321 4.2.1",
        example="RCPT TO:<user@example.com> -> 450 4.2.0 Greylisted, come back in 300 seconds",
    ),
    _row(
        "rcpt.unknown-for-now",
        Cause.TEMPORARY,
        Side.THEIRS,
        "The words say that the user is unknown, but the code is a 4xx: not final. Probably missing.",
        (SUPPORT, "Probe again in an hour; if it stays so, have the sender check the address {mailbox}."),
        (THEIR_ADMIN, "Answer 550 if the mailbox does not exist; a 4xx makes every sender retry for days."),
        ref="RFC 5321 4.2.1 (4yz is transient)",
        example="RCPT TO:<user@example.com> -> 450 4.1.1 User unknown",
    ),
]

_STAGES = {
    "banner": "the connection",
    "helo": "our greeting (EHLO/HELO)",
    "mail": "the MAIL command",
    "rcpt": "the address",
}
_SAID = {
    "banner": "connection",
    "helo": "EHLO mail.example.net",
    "mail": "MAIL FROM:<>",
    "rcpt": "RCPT TO:<user@example.com>",
}
"""What an example answers at each stage."""
_SAID_BY_US = {
    "mail": "MAIL FROM:<probe@example.net>",
    "rcpt": "MAIL FROM:<probe@example.net>, RCPT TO:<user@example.com>",
}
"""The same where --mail-from gave a sender that can be refused."""

_FIREWALL = [
    _row(
        "connect.timeout",
        Cause.FIREWALL_TIMEOUT,
        Side.PATH,
        "No connection and no refusal: typically a firewall drops the packets.",
        (
            THEIR_ADMIN,
            "Let TCP port {port} of {ip} in from {local_ip}.",
        ),
        (
            OUR_ADMIN,
            "Try other mail hosts on port {port} from here: if none answers, your own network or provider blocks it.",
        ),
        EXEMPT,
        ref="RFC 5321 4.5.3.2, RFC 9293 3.8.3",
        example="SYN to 192.0.2.25 port 25 -> no answer in 10 s, and nothing more is known of the path",
    ),
    _row(
        "connect.port-filtered",
        Cause.FIREWALL_TIMEOUT,
        Side.PATH,
        "Packets to the port vanish while other packets to the same host pass: a firewall drops them.",
        (
            THEIR_ADMIN,
            "If the path ends at or near {ip}: let TCP port {port} in from {local_ip} there; if the host's own port is open, see whether its accept queue overflows (nstat -az TcpExtListenOverflows).",
        ),
        (
            OUR_ADMIN,
            "If the path ends between two routers: ask whoever runs them (whois) why TCP port {port} to {ip} is dropped there, and send the path picture.",
        ),
        EXEMPT,
        ref="RFC 5321 4.5.3.2, RFC 9293 3.8.3, listen(2)",
        example="SYN to 192.0.2.25 port 25 -> no answer from behind hop 6 (203.0.113.6); UDP -> port unreachable from 192.0.2.25 at hop 9",
    ),
    _row(
        "connect.egress-filtered",
        Cause.FIREWALL_TIMEOUT,
        Side.OURS,
        "Our own network or provider drops outgoing packets to the port: it is the same for every mail host, and not the fault of this one.",
        (
            OUR_ADMIN,
            "Have outgoing TCP port {port} from {local_ip} opened by your hosting company or in your own edge firewall; cloud and consumer networks block it by default.",
        ),
        (
            SUPPORT,
            "Until then judge no sender by this machine: probe from the mail server itself, or with --source.",
        ),
        ref="RFC 5321 4.5.3.2, RFC 5068 3.1",
        example="SYN to 192.0.2.25 port 25 -> no answer from behind hop 1; SYN to port 443 -> SYN-ACK; port 25 of another mail host -> no answer",
    ),
    _row(
        "connect.host-silent",
        Cause.FIREWALL_TIMEOUT,
        Side.UNKNOWN,
        "No port of the host is answered, and no router says why: a host that is down, one that filters everything and a route that ends on the way look the same.",
        (
            THEIR_ADMIN,
            "See whether {ip} is up and reachable from {local_ip}; else take it out of the MX records.",
        ),
        (
            SUPPORT,
            "Next test: probe again from another network; if it answers there, the path from here is at fault.",
        ),
        EXEMPT,
        ref="RFC 1122 3.2.2.1, RFC 5321 4.5.3.2",
        example="SYN to ports 25, 80 and 443, UDP and ping to 192.0.2.25 -> no answer; the last router is hop 7",
    ),
    _row(
        "connect.lossy",
        Cause.FIREWALL_TIMEOUT,
        Side.PATH,
        "The port is open, but packets are lost on the way, so that the connection did not open within the limit.",
        (SUPPORT, "Probe again, with a larger --connect-timeout; compare how often it fails."),
        (OUR_ADMIN, "Look for loss on the way (mtr to {ip}), beginning with your own link."),
        EXEMPT,
        ref="RFC 9293 3.8.1, RFC 6298 5",
        example="SYN to 192.0.2.25 port 25 -> no answer in 10 s; a later SYN to the same port -> SYN-ACK",
    ),
    _row(
        "banner.path-dead",
        Cause.FIREWALL_TIMEOUT,
        Side.PATH,
        "The connection opens, and then not even the peer's TCP answers any more: a stateful firewall that drops what follows the handshake, or one that opens connections in the name of a host that it cannot reach.",
        (
            THEIR_ADMIN,
            "Look at the firewall before {ip}: it lets the handshake from {local_ip} through and then drops the connection (SYN proxy, inspection, asymmetric routing).",
        ),
        EXEMPT,
        ref="RFC 9293 3.8.4, RFC 4987 3.7",
        example="SYN to 192.0.2.25 port 25 -> SYN-ACK in 20 ms; then keepalives for 30 s -> no ACK, and no greeting",
    ),
    _row(
        "reply.path-dead",
        Cause.FIREWALL_TIMEOUT,
        Side.PATH,
        "In mid-conversation the peer's TCP stopped answering: something on the way forgot the connection or began to drop it.",
        (
            SUPPORT,
            "Probe again; if it dies at the same command, a firewall on the way objects to what is said there.",
        ),
        (
            THEIR_ADMIN,
            "Look at the firewalls before {ip} for inspection of SMTP, and for time-outs of idle connections.",
        ),
        EXEMPT,
        ref="RFC 9293 3.8.3, 3.8.4",
        example="MAIL FROM:<> -> no answer, and no ACK to a keepalive each second for 30 s",
    ),
    _row(
        "reply.pmtu-blackhole",
        Cause.FIREWALL_TIMEOUT,
        Side.PATH,
        "Large segments of the mail host are lost on the way and no router may tell it so: a path MTU black hole.",
        (
            THEIR_ADMIN,
            "Let ICMP 'fragmentation needed' (ICMPv6 'packet too big') reach {ip}, or clamp the MSS (iptables --clamp-mss-to-pmtu), or set net.ipv4.tcp_mtu_probing=1.",
        ),
        (
            OUR_ADMIN,
            "As a cure on your side: a route with a smaller advmss towards {ip} (ip route replace ... advmss 1220).",
        ),
        EXEMPT,
        ref="RFC 2923 2.1, RFC 1191 4, RFC 8201 4",
        example="EHLO mail.example.net -> no answer in 30 s; again with segments of 536 octets -> 250-mx.example.com",
    ),
    _row(
        "banner.intercepted",
        Cause.FIREWALL_TIMEOUT,
        Side.PATH,
        "A transparent proxy or an inspecting firewall on the way takes the connection in the name of the mail host, and gives no greeting.",
        (
            OUR_ADMIN,
            "Find out who runs what answers at {refuser_at} (your own firewall, hosting company or provider) and have {local_ip} exempted from its SMTP inspection.",
        ),
        (
            SUPPORT,
            "Next test: probe again from another network; if that gets another answer, the proxy is on our side.",
        ),
        EXEMPT,
        ref="RFC 5321 4.5.3.2.1, 4.5.1",
        example="SYN to 192.0.2.25 port 25 -> SYN-ACK from hop 2 and no greeting in 30 s; UDP -> port unreachable from 192.0.2.25 at hop 9",
    ),
    _row(
        "banner.timeout",
        Cause.FIREWALL_TIMEOUT,
        Side.PATH,
        "The connection opens, but the greeting never comes: a firewall that eats data, an overloaded or a"
        " deliberately slow server.",
        (
            SUPPORT,
            (
                "Probe again with --reply-timeout 300 --timeout 900, the patience of RFC 5321: a greeting that comes"
                " late tells a slow server from a firewall."
            ),
        ),
        (
            THEIR_ADMIN,
            (
                "See whether {ip} got the connection from {local_ip}, and greet within 30 s: verifying servers"
                " do not wait longer."
            ),
        ),
        EXEMPT,
        ref="RFC 5321 4.5.3.2.1",
        example="connection -> no greeting in 30 s",
    ),
    *(
        _row(
            f"{stage}.timeout",
            Cause.FIREWALL_TIMEOUT,
            Side.PATH,
            f"The conversation began, then no answer to {what} came within the limit.",
            (
                SUPPORT,
                (
                    "Probe again with --reply-timeout 300 --timeout 900, the patience of RFC 5321: an answer that comes"
                    " late tells a slow server from a lossy path."
                ),
            ),
            (
                THEIR_ADMIN,
                "Answer within 30 s; see whether the mail host waits for a DNS or directory look-up.",
            ),
            EXEMPT,
            ref="RFC 5321 4.5.3.2",
            example=f"{_SAID[stage]} -> no answer in 30 s",
        )
        for stage, what in _STAGES.items()
        if stage != "banner"
    ),
]

_UNREACHABLE = [
    _row(
        "reply.rejected-midway",
        Cause.UNREACHABLE,
        Side.PATH,
        "A router or firewall on the way began to reject the connection after it had opened.",
        (
            OUR_ADMIN,
            "Ask whoever runs {refuser} why it rejects packets to {ip}; a rule or route changed in the meantime.",
        ),
        (SUPPORT, "Probe again: the next connection shows whether it still does."),
        EXEMPT,
        ref="RFC 1122 4.2.3.9, RFC 5461 2",
        example="RCPT TO:<user@example.com> -> ICMP communication administratively prohibited from 203.0.113.6",
    ),
    *(
        _row(
            f"connect.{word}",
            Cause.UNREACHABLE,
            side,
            means,
            *steps,
            EXEMPT,
            ref=ref,
            example=f"SYN to 192.0.2.25 port 25 -> {example}",
        )
        for word, side, means, steps, ref, example in (
            (
                "refused",
                Side.THEIRS,
                "The host answers that nothing listens on the port, or a firewall rejects in its name.",
                ((THEIR_ADMIN, "Start the mail server on {ip}, or point the MX at the host where it runs."),),
                "RFC 9293 3.5.2 (RST)",
                "RST from 192.0.2.25",
            ),
            (
                "refused-by-middlebox",
                Side.PATH,
                "A firewall on the way refuses in the name of the host, which is further away and never saw the packet.",
                (
                    (
                        OUR_ADMIN,
                        "Find out who runs the hop that refuses; if it is near you, your own network or provider forbids port {port}.",
                    ),
                    (THEIR_ADMIN, "If it is near {ip}, let TCP port {port} in from {local_ip} there."),
                ),
                "RFC 9293 3.5.2 (RST), RFC 1812 5.2.7.1",
                "RST from hop 4; UDP -> port unreachable from 192.0.2.25 at hop 9",
            ),
            (
                "own-link",
                Side.OURS,
                "The next hop on this host's own link (its gateway, or the mail host itself if that is a neighbour) does not answer ARP or ND.",
                (
                    (
                        OUR_ADMIN,
                        "See whether the gateway towards {ip} is up and right (ip route get {ip}; ip neigh), or the host itself if it is on your own link.",
                    ),
                ),
                "RFC 826, RFC 4861 7.3, RFC 1122 2.3.2.2",
                "not sent: ARP for the gateway 198.51.100.1 has no answer",
            ),
            (
                "routing-loop",
                Side.PATH,
                "Routers on the way send the packets to each other until their hop limit is used up.",
                ((OUR_ADMIN, "Report the loop to whoever runs {loop}, with the path picture."),),
                "RFC 1812 5.3.1, RFC 4443 3.3",
                "time exceeded from 203.0.113.5, 203.0.113.6, 203.0.113.5, 203.0.113.6 at hops 5 to 8",
            ),
            (
                "host-unreachable",
                Side.THEIRS,
                "A router on the way answers that the host cannot be reached.",
                ((THEIR_ADMIN, "Bring {ip} back on line, or take it out of the MX records."),),
                "RFC 792, RFC 1812 5.2.7.1",
                "ICMP host unreachable (code 1) from 203.0.113.6",
            ),
            (
                "net-unreachable",
                Side.PATH,
                "A router on the way answers that it has no route to the network.",
                ((OUR_ADMIN, "Ask your provider for the route to {ip}; other networks may reach it."),),
                "RFC 792, RFC 1812 5.2.7.1",
                "ICMP net unreachable (code 0) from 203.0.113.6",
            ),
            (
                "prohibited",
                Side.PATH,
                "A firewall answers that the connection is prohibited: on the way, or that of the host itself.",
                (
                    (
                        THEIR_ADMIN,
                        "If {refuser_at} is the host or near it: let TCP port {port} of {ip} in from {local_ip} there.",
                    ),
                    (
                        OUR_ADMIN,
                        "If it is near us: have whoever runs it, our own network or provider, let TCP port {port} through.",
                    ),
                ),
                "RFC 1812 5.2.7.1 (code 13)",
                "ICMP communication administratively prohibited (code 13) from 203.0.113.6",
            ),
        )
    ),
]

_BROKEN = [
    _row(
        f"{stage}.{word}",
        Cause.RFC_NONCOMPLIANT,
        Side.THEIRS,
        means.format(what="the greeting was due" if stage == "banner" else f"{what} was to be answered"),
        (THEIR_ADMIN, mend),
        EXEMPT,
        ref=ref,
        example=f"{_SAID[stage]} -> {example}",
    )
    for stage, what in _STAGES.items()
    for word, means, mend, ref, example in (
        (
            "closed",
            "The mail host closed the connection when {what}.",
            (
                "Answer each command, and close only after QUIT or with a 421; see the mail host's log for why it hangs up on"
                " {local_ip}."
            ),
            "RFC 5321 3.8",
            "the connection is closed, without a 421",
        ),
        (
            "reset",
            "The connection was reset when {what}: by the mail host or by a firewall in its name.",
            "See whether the mail host or a firewall before it resets connections from {local_ip}.",
            "RFC 5321 3.8, RFC 9293 3.5.2",
            "RST",
        ),
        (
            "malformed",
            "What came when {what} is no SMTP reply: it does not begin with a three-digit code.",
            "Let a mail server answer on this port: a reply is three digits, a space or hyphen, and text.",
            "RFC 5321 4.2",
            "Welcome, and go ahead",
        ),
        (
            "endless",
            "The reply that came when {what} did not end within 64 KiB.",
            "End each reply with a line whose code is followed by a space.",
            "RFC 5321 4.2.1, 4.5.3.1.5",
            "64 KiB of lines that begin with a code and a hyphen",
        ),
    )
    if (stage, word) != ("banner", "malformed")  # that one is banner.not-smtp
]

_NONCOMPLIANT = [
    *_BROKEN,
    _row(
        "banner.not-smtp",
        Cause.RFC_NONCOMPLIANT,
        Side.THEIRS,
        "What answers on the port is another service and no mail server.",
        (
            THEIR_ADMIN,
            "Let the mail server listen on port {port} of {ip}, or point the MX at the host where it runs.",
        ),
        EXEMPT,
        ref="RFC 5321 3.1, 4.2",
        example="connection -> SSH-2.0-OpenSSH_9.2",
    ),
    *(
        _row(
            f"{stage}.odd-code",
            Cause.RFC_NONCOMPLIANT,
            Side.THEIRS,
            f"The reply code to {what} is none that SMTP knows at this point.",
            (THEIR_ADMIN, "Greet with 220, and answer EHLO or HELO with 250."),
            EXEMPT,
            ref="RFC 5321 4.2.1, 4.3.2",
            example=f"{_SAID[stage]} -> 354 Go ahead",
        )
        for stage, what in (("banner", "the connection"), ("helo", "our greeting"))
    ),
    *(
        _row(
            f"{stage}.null-sender-refused",
            Cause.RFC_NONCOMPLIANT,
            Side.THEIRS,
            means,
            (
                THEIR_ADMIN,
                (
                    "Accept MAIL FROM:<> for {mailbox}, as RFC 1123 5.2.9 and RFC 2821/5321 4.5.5 and 6.1 require: bounces"
                    " and callouts use it, and refusing it does not stop spam."
                ),
            ),
            EXEMPT,
            (
                SENDER,
                "If the address is signed with BATV or the like, an unsigned callout to it is refused on purpose.",
            ),
            ref="RFC 1123 5.2.9, RFC 2821/5321 4.5.5 and 6.1",
            example=f"{_SAID[stage]} -> {example}",
        )
        for stage, means, example in (
            (
                "mail",
                "The mail host refuses MAIL FROM:<>, the null sender of bounces and callouts.",
                "553 5.7.1 Null sender is not allowed",
            ),
            (
                "rcpt",
                "The address is refused to the null sender only; a real sender may write to it.",
                "550 5.7.1 No bounces accepted here",
            ),
        )
    ),
    _row(
        "mail.tls-required",
        Cause.RFC_NONCOMPLIANT,
        Side.THEIRS,
        "The mail host refuses mail without TLS, and TLS could not be had; a public mail host must not require it.",
        (THEIR_ADMIN, "Accept mail without STARTTLS on a public mail host, or offer a STARTTLS that works."),
        EXEMPT,
        ref="RFC 3207 4",
        example="MAIL FROM:<> -> 530 5.7.0 Must issue a STARTTLS command first, and EHLO had not offered it",
    ),
    _row(
        "domain.mx-is-address",
        Cause.RFC_NONCOMPLIANT,
        Side.DNS,
        "The MX record names an IP address instead of a host name. Exim and Postfix do not use it.",
        (
            THEIR_ADMIN,
            "Give the mail host a name with an address record, and put that name into the MX record of {domain}.",
        ),
        (
            SUPPORT,
            "Do not whitelist the relay before this is mended: no bounce can be delivered to {domain}.",
        ),
        ref="RFC 5321 5.1, RFC 1035 3.3.9",
        example="MX of example.com -> 10 192.0.2.25",
    ),
]

_POLICY = [
    _row(
        f"{stage}.{word}",
        Cause.POLICY_REFUSAL,
        Side.OURS if ours else Side.THEIRS,
        means.replace("{what}", what),
        *steps,
        ref=ref,
        example=f"{_SAID_BY_US[stage] if word == 'sender-refused' else _SAID[stage]} -> {example}",
    )
    for stage, what in _STAGES.items()
    for word, ours, means, steps, ref, example in (
        (
            "refused",
            False,
            "The mail host refuses us, whoever the sender is: {what} was refused by policy.",
            (_SAME_PLACE, _ASK_UNBLOCK, EXEMPT),
            "RFC 5321 7.9, 3.1",
            "550 5.7.1 Rejected by our local policy",
        ),
        (
            "blocklisted",
            True,
            "The mail host refuses our address because of a blocklist or its reputation; {what} was refused for it.",
            (
                (
                    OUR_ADMIN,
                    "Look up {local_ip} in the list that the reply names, and ask for its removal there.",
                ),
                _SAME_PLACE,
                EXEMPT,
            ),
            "RFC 5321 7.9, RFC 5782 2",
            "554 5.7.1 Client host [198.51.100.7] blocked using dnsbl.example",
        ),
        (
            "rdns-required",
            True,
            "The mail host wants our address to have a reverse name that fits; {what} was refused for it.",
            (
                (
                    OUR_ADMIN,
                    "Give {local_ip} a PTR record whose name resolves back to it, and use that name as HELO.",
                ),
                _SAME_PLACE,
                EXEMPT,
            ),
            "RFC 5321 4.1.4, RFC 1912 2.1",
            "550 5.7.25 Client host rejected: cannot find your hostname, [198.51.100.7]",
        ),
        (
            "helo-rejected",
            True,
            "The mail host does not accept the name that we greet with ({helo}); {what} was refused for it.",
            (
                (
                    OUR_ADMIN,
                    (
                        "Use the fully qualified name that the address resolves to: --helo here, primary_hostname or"
                        " helo_data in Exim, smtp_helo_name in Postfix."
                    ),
                ),
                EXEMPT,
            ),
            "RFC 5321 4.1.1.1, 4.1.4",
            "550 5.7.1 Helo command rejected: Host not found",
        ),
        (
            "authentication-required",
            False,
            "The mail host wants us to log in; {what} was refused for it. Its port takes submission only.",
            (
                (
                    THEIR_ADMIN,
                    "Take mail for your own domain without authentication on a host that an MX record names.",
                ),
                EXEMPT,
            ),
            "RFC 4954 6 (530)",
            "530 5.7.0 Authentication required",
        ),
        (
            "sender-refused",
            True,
            "The mail host refuses the sender address that the probe used; {what} was refused for it.",
            (
                (
                    SUPPORT,
                    (
                        "If the probe gave a --mail-from, probe again without it (a callout uses <>), or with one that"
                        " exists and may be sent from here."
                    ),
                ),
                EXEMPT,
            ),
            "RFC 5321 7.9, RFC 7208 8.4",
            "550 5.1.8 Sender address rejected: Domain not found",
        ),
    )
    if word != "sender-refused" or stage in {"mail", "rcpt"}  # before MAIL no sender has been named
]

_RATE = [
    _row(
        f"{stage}.rate-limited",
        Cause.TEMPORARY,
        Side.THEIRS,
        f"The mail host limits how often we may ask; {what} was put off for it.",
        (SUPPORT, "Wait an hour before the next probe, and probe less often."),
        EXEMPT,
        ref="RFC 5321 3.8, 4.2.1",
        example=f"{_SAID[stage]} -> 450 4.7.1 Too many connections from your address, slow down",
    )
    for stage, what in _STAGES.items()
]

_DNS_STEPS = (
    (
        SUPPORT,
        (
            "Probe again with --dns-server and a resolver of another network: the same failure there means that the"
            " domain's own name servers are broken."
        ),
    ),
    (THEIR_ADMIN, "Mend the name servers of {domain}; every mail server that looks it up is told the same."),
)
_DNS = [
    _row(
        f"dns.{word}",
        Cause.DNS_FAILURE,
        side,
        means,
        *(steps or _DNS_STEPS),
        ref=ref,
        example=example,
    )
    for word, side, means, steps, ref, example in (
        (
            "servfail",
            Side.DNS,
            "The resolver answers that it failed (SERVFAIL): broken delegation, DNSSEC or name servers.",
            (),
            "RFC 1035 4.1.1, RFC 5321 5.1",
            "MX of example.com -> SERVFAIL",
        ),
        (
            "refused",
            Side.OURS,
            "The resolver refuses to answer us.",
            ((OUR_ADMIN, "Use a resolver that serves this host: /etc/resolv.conf, or --dns-server here."),),
            "RFC 1035 4.1.1",
            "MX of example.com -> REFUSED",
        ),
        (
            "timeout",
            Side.DNS,
            "No resolver answered in time.",
            (
                (
                    OUR_ADMIN,
                    "Check that the resolvers in /etc/resolv.conf run and that port 53 (UDP and TCP) reaches them.",
                ),
                *_DNS_STEPS,
            ),
            "RFC 1035 4.2.1, RFC 5321 5.1",
            "MX of example.com, asked of 203.0.113.53 -> no answer in 10 s",
        ),
        (
            "malformed",
            Side.DNS,
            "The answers of the DNS cannot be read.",
            (),
            "RFC 1035 4.1",
            "MX of example.com -> a message that ends in the middle of a record",
        ),
        (
            "lame",
            Side.DNS,
            "The name server answers without knowing the domain (lame delegation).",
            (),
            "RFC 1912 2.8",
            "MX of example.com -> no answer, not authoritative, and a referral to the root",
        ),
        (
            "other-rcode",
            Side.DNS,
            "The resolver answers with an error code of its own.",
            (),
            "RFC 6895 2.3",
            "MX of example.com -> NOTIMP",
        ),
        (
            "cname-loop",
            Side.DNS,
            "The alias of the domain leads in a circle or too far.",
            ((THEIR_ADMIN, "Let the CNAME of {domain} end at a name with MX records."),),
            "RFC 1034 3.6.2, 5.2.2",
            "MX of example.com -> CNAME www.example.com, whose CNAME is example.com",
        ),
        (
            "unreachable",
            Side.OURS,
            "No resolver can be reached from this host.",
            ((OUR_ADMIN, "Check the network of this host and the addresses in /etc/resolv.conf."),),
            "RFC 1035 4.2.1",
            "MX of example.com, asked of 203.0.113.53 -> ENETUNREACH from this host itself",
        ),
        (
            "cut-off",
            Side.OURS,
            (
                "The resolver denies everything, even the root of the DNS: it is cut off from the Internet, or a captive"
                " portal. What it says of the domain means nothing."
            ),
            (
                (
                    OUR_ADMIN,
                    "Use a resolver that reaches the Internet: /etc/resolv.conf, or --dns-server here.",
                ),
            ),
            "RFC 2308 3 (a denial carries an SOA record)",
            "MX of example.com -> NXDOMAIN without an SOA record, and NS of the root -> NXDOMAIN too",
        ),
        (
            "exchanges-failed",
            Side.DNS,
            "The MX records are known, but the addresses of the mail hosts cannot be looked up.",
            (),
            "RFC 5321 5.1",
            "MX of example.com -> 10 mx.example.com, and A and AAAA of mx.example.com -> SERVFAIL",
        ),
    )
]

REASONS: dict[str, ReasonRow] = {
    row.word: row
    for row in (
        *_EXISTS,
        *_MISSING,
        *_CANNOT_TELL,
        *_SKIPPED,
        *_TEMPORARY,
        *_RATE,
        *_FIREWALL,
        *_UNREACHABLE,
        *_NONCOMPLIANT,
        *_POLICY,
        *_DNS,
    )
}
"""Every reason by its word."""

CAUSES: dict[Cause, tuple[int, str]] = {
    Cause.SENDER_EXISTS: (0, "The callout is accepted: the mail host takes mail for this address."),
    Cause.MISSING_SENDER: (
        1,
        "The mailbox or the domain does not take mail; the refusal of your mail server is right.",
    ),
    Cause.INCONCLUSIVE: (
        3,
        "It cannot be told, or the fault is ours; the next step names the single test that would tell.",
    ),
    Cause.TEMPORARY: (4, "The mail host asks to come back: greylisting, a rate limit, busy."),
    Cause.FIREWALL_TIMEOUT: (
        5,
        "Packets vanish: a connection, greeting or reply never comes within the limit.",
    ),
    Cause.UNREACHABLE: (6, "The network or the host answers that it will not connect."),
    Cause.RFC_NONCOMPLIANT: (7, "The mail host breaks RFC 2821/5321 in a way that defeats verification."),
    Cause.POLICY_REFUSAL: (
        8,
        "The mail host refuses us, whoever the sender is: blocklist, reputation, reverse DNS, HELO.",
    ),
    Cause.DNS_FAILURE: (9, "The DNS gives no usable answer. This never means that the sender is missing."),
}
"""Exit code and meaning of each cause."""

TYPICAL: dict[Cause, str] = {
    Cause.SENDER_EXISTS: "rcpt.accepted",
    Cause.MISSING_SENDER: "rcpt.user-unknown",
    Cause.INCONCLUSIVE: "rcpt.unattributed",
    Cause.TEMPORARY: "rcpt.greylisted",
    Cause.FIREWALL_TIMEOUT: "connect.port-filtered",
    Cause.UNREACHABLE: "connect.refused",
    Cause.RFC_NONCOMPLIANT: "mail.null-sender-refused",
    Cause.POLICY_REFUSAL: "rcpt.blocklisted",
    Cause.DNS_FAILURE: "dns.servfail",
}
"""The reason whose example stands for each cause."""

WORST_FIRST = (3, 9, 5, 6, 7, 8, 4, 1, 0)
"""Order of exit codes when several addresses are probed: the worst one is given."""

ABOUT_SAYS: dict[About, str] = {
    About.MISSING_MAILBOX: "no such mailbox",
    About.MISSING_DOMAIN: "no such domain at this host",
    About.DISABLED: "the mailbox is disabled",
    About.FULL: "the mailbox is full",
    About.POLICY: "a policy against us",
    About.BLOCKLIST: "our address is on a blocklist or has a bad reputation",
    About.RATE: "we ask too often",
    About.GREYLIST: "greylisting",
    About.NULL_SENDER: "the null sender is not wanted",
    About.RELAY: "the host does not take mail for this domain",
    About.TLS: "TLS is wanted",
    About.AUTH: "we ought to log in",
    About.HELO: "our HELO name is not liked",
    About.RDNS: "the reverse name of our address is not liked",
    About.OUR_SENDER: "the sender that we gave is refused",
    About.TEMPORARY: "not now",
    About.PROTOCOL: "a command is not understood or out of order",
    About.CONTENT: "the content or size of a message",
    About.NO_MAIL_HOST: "this host never takes mail",
    About.NO_MAIL_DOMAIN: "this domain never takes mail",
    About.OTHER: "nothing in particular",
}
"""How a reading is said to people."""
