"""What a refusal can be about: what each class means, what follows from it, and what is read as it."""

from __future__ import annotations

from msgspec import Struct

from probe.core.model import About, Stage
from probe.core.reasons import ABOUT_SAYS
from probe.core.rules import HOST_RULES
from probe.show.glossary import phrases
from probe.show.glossary.entry import Entry, Group, Item, Kind, Listing, Section

_NO_VERDICT = "It says nothing about the mailbox, and is never read as a missing sender."


class _Class(Struct, frozen=True):
    """What a class means, what follows from it, and a reply that is read as it, with whose wording that is."""

    means: str
    follows: str
    reply: str
    source: str
    at: Stage = Stage.RCPT


_CLASSES: dict[About, _Class] = {
    About.MISSING_MAILBOX: _Class(
        "The mail host says that it has no such mailbox.",
        (
            "With a 5xx to RCPT the sender is missing; with a 4xx that is not final. Before RCPT no mailbox has been"
            " named, so it is never read there."
        ),
        "550 5.1.1 <user@example.com>: Recipient address rejected: User unknown in local recipient table",
        "Postfix smtpd",
    ),
    About.MISSING_DOMAIN: _Class(
        "The mail host says that it does not know the domain of the address.",
        "The sender is missing only where every mail host of the domain was asked and says so.",
        "550 5.1.2 <user@example.com>: Recipient address rejected: Domain not found",
        "Postfix smtpd",
    ),
    About.DISABLED: _Class(
        "The mail host says that the mailbox is disabled, suspended or closed.",
        "It takes no bounces, so the sender is missing, with a 5xx to RCPT.",
        "550 5.2.1 The email account that you tried to reach is disabled",
        "Gmail",
    ),
    About.FULL: _Class(
        "The mail host says that the mailbox is over its quota.",
        "It exists, so the sender does. Exim counts a 552 as a failed verification all the same.",
        "552 5.2.2 Mailbox full",
        "Dovecot, Cyrus and others",
    ),
    About.POLICY: _Class(
        "A rule of the mail host is against us: our address, our network, or what we do, whoever the sender is.",
        _NO_VERDICT,
        "550 5.7.1 Message rejected due to local policy",
        "many",
    ),
    About.BLOCKLIST: _Class(
        "Our address is on a blocklist that the mail host uses, or has a bad reputation there.",
        f"{_NO_VERDICT} It outweighs that a real sender is taken: some lists are used against <> only.",
        "554 5.7.1 Service unavailable; Client host [198.51.100.7] blocked using dnsbl.example",
        "Postfix smtpd, reject_rbl_client",
    ),
    About.RATE: _Class(
        "The mail host finds that we ask too often, or have too many connections.",
        f"{_NO_VERDICT} A later try may be answered.",
        "421 4.7.0 Too many concurrent SMTP connections; please try again later",
        "Exim, sendmail and others",
    ),
    About.GREYLIST: _Class(
        "The mail host defers whom it sees for the first time, and expects the same client to come back.",
        "It says nothing about the mailbox; a later try from the same address is answered.",
        "450 4.2.0 <user@example.com>: Recipient address rejected: Greylisted",
        "Postfix with postgrey",
    ),
    About.NULL_SENDER: _Class(
        "The mail host does not take the null sender <> of bounces and callouts, or takes no bounces.",
        "It breaks RFC 5321 4.5.5. A second try with a real sender shows whether it is only that.",
        "553 5.7.1 Null sender is not allowed",
        "NetEase and others",
        Stage.MAIL,
    ),
    About.RELAY: _Class(
        "The mail host says that it does not take mail for this domain from us.",
        "The sender is missing only where every mail host of the domain was asked and says so.",
        "554 5.7.1 <user@example.com>: Relay access denied",
        "Postfix smtpd, reject_unauth_destination",
    ),
    About.TLS: _Class(
        "The mail host takes nothing without TLS.",
        "A public mail host must not ask for that (RFC 3207 4), unless we forbade TLS ourselves.",
        "530 5.7.0 Must issue a STARTTLS command first",
        "Postfix smtpd; RFC 3207 4",
        Stage.MAIL,
    ),
    About.AUTH: _Class(
        "The mail host wants us to log in, as on a port for submission.",
        _NO_VERDICT,
        "530 5.7.0 Authentication required",
        "RFC 4954 6",
        Stage.MAIL,
    ),
    About.HELO: _Class(
        "The mail host does not like the name that we gave with EHLO or HELO.",
        _NO_VERDICT,
        "504 5.5.2 <probe>: Helo command rejected: need fully-qualified hostname",
        "Postfix smtpd, reject_non_fqdn_helo_hostname",
    ),
    About.RDNS: _Class(
        "The mail host misses a PTR record of our address, or one whose name resolves back to it.",
        _NO_VERDICT,
        "450 4.7.25 Client host rejected: cannot find your hostname, [198.51.100.7]",
        "Postfix smtpd, reject_unknown_client_hostname",
    ),
    About.OUR_SENDER: _Class(
        "The mail host refuses the sender that we gave: its domain, its SPF record, or the address itself.",
        f"{_NO_VERDICT} If we gave the null sender, it is that which is refused.",
        "450 4.1.8 <probe@example.net>: Sender address rejected: Domain not found",
        "Postfix smtpd, reject_unknown_sender_domain",
    ),
    About.TEMPORARY: _Class(
        "The mail host cannot or will not say now: busy, a look-up that failed, a verification of its own in progress.",
        "It says nothing about the mailbox; a later try may be answered.",
        "451 4.3.0 Temporary lookup failure",
        "Postfix smtpd",
    ),
    About.PROTOCOL: _Class(
        "The mail host does not understand the command, or finds it out of order.",
        _NO_VERDICT,
        "503 5.5.1 Error: send HELO/EHLO first",
        "Postfix smtpd",
        Stage.MAIL,
    ),
    About.CONTENT: _Class(
        "The words are about the content or the size of a message, and a callout sends none.",
        _NO_VERDICT,
        "554 5.6.0 Message rejected as spam by content filtering",
        "content filters",
    ),
    About.NO_MAIL_HOST: _Class(
        "The host greets with 521: it never takes mail, from anybody.",
        "The sender is missing only where every mail host of the domain was asked and says so.",
        "521 mx.example.com does not accept mail",
        "RFC 7504 3",
        Stage.BANNER,
    ),
    About.NO_MAIL_DOMAIN: _Class(
        "The mail host says that the domain takes no mail, from anybody.",
        "The sender is missing.",
        "556 5.1.10 Recipient address has null MX",
        "RFC 7504 4, RFC 7505 4.1",
    ),
    About.OTHER: _Class(
        "The refusal says nothing that is known here, or names two at once who may be meant.",
        "Nothing follows from it. A second try with a real sender may tell; else it stays open who is refused.",
        "550 Invalid recipient or sender",
        "many",
    ),
}
"""The classes; a test reads the reply of each."""

REPLIES = tuple(each.reply for each in _CLASSES.values())
"""A typical reply of every class."""


def reading(about: About) -> Entry:
    """Explain a class of readings."""
    return _class(about, phrases.entries(about))


def listing() -> Listing:
    """List the classes, each with its rows."""
    groups = []
    for about in About:
        rows = phrases.entries(about)
        groups.append(Group(f"{about}: {ABOUT_SAYS[about]}", rows, _class(about, rows)))
    return Listing(
        title="How a refusal is read",
        about="What a refusal can be about, and by which rows of the phrasebook it is read so. The rows stand in the"
        " order of their weight within a class. `probe-sender explain WORD` says more of each, of a row its phrases.",
        groups=tuple(groups),
    )


def _class(about: About, rows: tuple[Entry, ...]) -> Entry:
    told = _CLASSES[about]
    leads: dict[str, list[str]] = {}
    for rule in HOST_RULES:
        if rule.about and about in rule.about:
            leads.setdefault(rule.reason, []).append(rule.id)
    sections = [
        Section("What it can lead to, by which rules:", tuple(Item(*_lead(each)) for each in leads.items())),
        Section("What is read so:", tuple(Item(row.word, row.brief) for row in rows), apart=True),
    ]
    return Entry(
        kind=Kind.READING,
        word=about,
        heading="what a refusal is about",
        means=told.means,
        example=phrases.answer(told.at, told.reply),
        facts=(("Follows", told.follows), ("Source", told.source)),
        sections=tuple(section for section in sections if section.items),
        fields={
            "reading": about,
            "follows": told.follows,
            "source": told.source,
            "leads_to": leads,
            "rows": [row.word for row in rows],
        },
    )


def _lead(pair: tuple[str, list[str]]) -> tuple[str, tuple[str, ...]]:
    reason, rules = pair
    return reason, (", ".join(rules),)
