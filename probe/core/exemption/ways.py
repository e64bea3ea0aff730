"""Every way to exempt a sender from verification, the narrowest first, and the ways to stay away from. Tables.

What the files of cPanel do is known from its published documentation and from what Exim does with them; the Exim
lines were tried with Exim 4.96. In the texts `{key}` is the relay's address as that file writes it, `{pattern}` the
same as a pattern of sed(1), `{domain}` the sender's domain.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from probe.core.exemption.relay import Avoid


class Style(StrEnum):
    """How a file is read.

    `iplsearch`: by Exim's lookup of that name (WHM's lists too), for which a colon ends a key that is not quoted.
    `pairs`: the same with the sender's domains behind the colon. `hosts`: as a host list of Exim that stands in a
    file (Debian's). `cidr`: as Postfix's cidr_table(5).
    """

    IPLSEARCH = "iplsearch"
    PAIRS = "pairs"
    HOSTS = "hosts"
    CIDR = "cidr"


class Way(Struct, frozen=True, kw_only=True):
    """One way to exempt.

    `everybody` is true where every customer of a shared relay would be covered too; `cures_deferrals` where only
    callouts that end in a deferral are let through, not those that are refused.
    """

    id: str
    mta: str
    file: str
    where: str
    line: str
    bypasses: str
    risk: str
    undo: str
    setup: tuple[str, ...] = ()
    style: Style = Style.IPLSEARCH
    everybody: bool = True
    cures_deferrals: bool = False


_SED = "sed -i --follow-symlinks -e '/^# probe-sender {pattern} /d' -e '/^{pattern}{end}/d' {file}"
"""The line, and the comment that --write put above it."""

WAYS = (
    Way(
        id="exim-relay-and-domain",
        mta="exim",
        file="/etc/exim/sender_verify_pairs",
        where="one line for each relay, its sender domains behind the colon; Exim reads the file for every message, and"
        " defers mail where the ACL names a file that does not exist",
        line="{key}: {domain}",
        style=Style.PAIRS,
        setup=(
            "# in the RCPT ACL, instead of: require verify = sender/callout=30s",
            "deny !sender_domains = \\",
            "       ${{lookup{{$sender_host_address}}iplsearch{{/etc/exim/sender_verify_pairs}}{{$value}}}}",
            "     !verify = sender/callout=30s",
        ),
        bypasses="sender verification, for senders of {domain} from {ip} only",
        risk="whoever can send through {ip} may use any address of {domain}, also one that does not exist",
        undo=_SED.replace("{end}", ":").replace("{file}", "/etc/exim/sender_verify_pairs"),
        everybody=False,
    ),
    Way(
        id="cpanel-senderverifybypasshosts",
        mta="cpanel",
        file="/etc/senderverifybypasshosts",
        where="WHM > Service Configuration > Exim Configuration Manager > Basic Editor > Access Lists >"
        " Sender verification bypass IP addresses; or append the line to the file, which Exim reads for every message",
        line="{key}",
        bypasses="sender verification, for every sender from {ip}, and nothing else",
        risk="forged and dead sender addresses from {ip} are accepted; blocklists and spam filters still look at them",
        undo=_SED.replace("{end}", "$").replace("{file}", "/etc/senderverifybypasshosts"),
    ),
    Way(
        id="exim-host-list",
        mta="exim",
        file="/etc/exim/sender_verify_exempt",
        where="a file of addresses and networks; Exim reads it for every message, and defers mail where there is none",
        line="{key}",
        setup=(
            "# in the main section",
            "hostlist sender_verify_exempt = net-iplsearch;/etc/exim/sender_verify_exempt",
            "# in the RCPT ACL, instead of: require verify = sender/callout=30s",
            "deny !hosts = +sender_verify_exempt",
            "     !verify = sender/callout=30s",
        ),
        bypasses="sender verification, for every sender from {ip}, and nothing else",
        risk="forged and dead sender addresses from {ip} are accepted; later checks of the ACL still look at them",
        undo=_SED.replace("{end}", "$").replace("{file}", "/etc/exim/sender_verify_exempt"),
    ),
    Way(
        id="postfix-client-access",
        mta="postfix",
        file="/etc/postfix/sav_clients",
        where="a cidr table (no postmap), then: postfix reload. Its check has to stand before reject_unverified_sender;"
        " in smtpd_recipient_restrictions also behind reject_unauth_destination, or {ip} may relay",
        line="{key} OK",
        setup=(
            "# in main.cf",
            "smtpd_sender_restrictions = permit_mynetworks, permit_sasl_authenticated,",
            "    check_client_access cidr:/etc/postfix/sav_clients,",
            "    reject_unverified_sender",
        ),
        bypasses="every sender restriction behind that check, for every sender from {ip}",
        risk="forged and dead sender addresses from {ip} are accepted; relay control stays in smtpd_relay_restrictions",
        undo=_SED.replace("{end}", " ").replace("{file}", "/etc/postfix/sav_clients && postfix reload"),
        style=Style.CIDR,
    ),
    Way(
        id="debian-sender-callout",
        mta="debian-exim4",
        file="/etc/exim4/local_sender_callout",
        where="above every line that matches the sender: the first match in the file counts",
        line="!*@{domain}",
        bypasses="callouts for every sender of {domain}, from whatever host; the look-up of the domain stays",
        risk="anybody can write such a sender address, also one that does not exist",
        undo="sed -i --follow-symlinks -e '/^!\\*@{domain_pattern}$/d' /etc/exim4/local_sender_callout",
        everybody=False,
    ),
    Way(
        id="debian-deny-exceptions",
        mta="debian-exim4",
        file="/etc/exim4/host_local_deny_exceptions",
        where="one address a line; Exim reads it for every message",
        line="{key}",
        bypasses="sender verification, recipient callouts, SPF, the local blocklists of senders and hosts, and"
        " checks of headers, for every mail from {ip}",
        risk="far more than sender verification is switched off for {ip}",
        undo=_SED.replace("{end}", "$").replace("{file}", "/etc/exim4/host_local_deny_exceptions"),
        style=Style.HOSTS,
    ),
    Way(
        id="exim-defer-ok",
        mta="exim",
        file="the Exim configuration",
        where="in the RCPT ACL, at the sender verification that is there; then reload Exim",
        line="require verify = sender/callout=30s,defer_ok",
        bypasses="callouts that end in a deferral (time-outs, refused connections, 4xx), for every sender and relay;"
        " refusals (5xx) still reject",
        risk="a sender address that does not exist is accepted while its mail host is down; it cures every firewalled"
        " sender at once, and no list has to be kept",
        undo="take ,defer_ok out again and reload Exim",
        everybody=False,
        cures_deferrals=True,
    ),
    Way(
        id="postfix-defer-code",
        mta="postfix",
        file="main.cf of Postfix",
        where="then: postfix reload",
        line="unverified_sender_defer_code = 250",
        bypasses="probes that end in a deferral or are not back in time, for every sender and relay; those that bounce"
        " still reject",
        risk="a sender address that does not exist is accepted while its mail host is down, and at its first mail",
        undo="postconf -X unverified_sender_defer_code && postfix reload",
        everybody=False,
        cures_deferrals=True,
    ),
)

AVOID = (
    Avoid(
        "/etc/skipsmtpcheckhosts",
        'WHM "Trusted SMTP IP addresses", in 2008 "Whitelist: Bypass all SMTP time recipient/sender/spam/relay checks":'
        " it lets the relay send to anybody through this server, unfiltered",
    ),
    Avoid(
        "/etc/trustedmailhosts",
        'WHM "Only-verify-recipient": it is read after sender verification has refused the mail, so it does not help,'
        " and it switches the spam checks off",
    ),
    Avoid(
        "/etc/exim4/white-blocks.conf",
        "HestiaCP: it is read at connect and for blocklists; sender verification comes before it and still refuses",
    ),
)
