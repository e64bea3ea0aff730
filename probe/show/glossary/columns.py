"""The columns of the decision table in words: what a rule asks of the evidence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from probe.core.facts import Codes, Ended, Got, Grip, Real, Sender, Step
from probe.core.model import About, TlsMode
from probe.core.network import After, Nearer, Ports, Refuser, Silence, Us
from probe.core.reasons import ABOUT_SAYS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from probe.core.rule import Rule

COLUMNS: dict[str, tuple[str, dict[str, str]]] = {
    "got": (
        "Decided at",
        {
            Got.NOTHING: "nothing: no connection was tried",
            Got.CONNECT: "the connection",
            Got.BANNER: "the greeting",
            Got.HELO: "EHLO or HELO",
            Got.TLS: "STARTTLS",
            Got.MAIL: "MAIL",
            Got.RCPT: "RCPT",
        },
    ),
    "ended": (
        "What came",
        {
            Ended.UNTESTED: "not tested",
            Ended.ACCEPTED: "a 2xx that accepts",
            Ended.NOT_VERIFIED: "251 or 252, which accept without a promise",
            Ended.REFUSED: "a 5xx",
            Ended.DEFERRED: "a 4xx",
            Ended.ODD_CODE: "a code that means nothing there",
            Ended.MALFORMED: "something that is no SMTP reply",
            Ended.TIMEOUT: "nothing within the limit",
            Ended.CLOSED: "the end of the connection",
            Ended.RESET: "a reset of the connection",
            Ended.ENDLESS: "a reply without end",
            Ended.TLS_FAILED: "a TLS handshake that failed",
            Ended.NO_SMTPUTF8: "no offer of SMTPUTF8, which the address needs",
            Ended.NO_STARTTLS: "no offer of STARTTLS, which --tls require needs",
            Ended.CUT_SHORT: "nothing before the run ended",
            Ended.SILENT: "nothing for a second or more, before the run ended",
            Ended.PORT_CLOSED: "connection refused",
            Ended.HOST_UNREACHABLE: "host unreachable",
            Ended.NET_UNREACHABLE: "network unreachable",
            Ended.PROHIBITED: "communication prohibited",
            Ended.NO_ROUTE: "no route from this host",
            Ended.LOCAL: "an error of this host",
        },
    ),
    "about": ("The reply is about", {about: f"{about} ({ABOUT_SAYS[about]})" for about in About}),
    "grip": (
        "It was read by",
        {
            Grip.UNTESTED: "nothing",
            Grip.WORDS: "its words",
            Grip.VAGUE: "words that do not say whom they refuse",
            Grip.ENHANCED: "its enhanced code",
            Grip.LOOSE: "no more than its basic code",
        },
    ),
    "real": (
        "A second try with a real sender",
        {
            Real.UNTESTED: "was not made",
            Real.ACCEPTED: "was accepted",
            Real.MAIL_ACCEPTED: "was taken at MAIL, with no verdict at RCPT",
            Real.MAIL_REFUSED: "was refused at MAIL",
            Real.RCPT_MISSING: "was told in words that the mailbox is missing",
            Real.RCPT_MISSING_BY_CODE: "was told by a code that the mailbox is missing",
            Real.RCPT_BLOCKED: "was refused at RCPT in words about us",
            Real.RCPT_REFUSED: "was refused at RCPT, in words that leave open why",
            Real.UNCLEAR: "told nothing",
        },
    ),
    "step": (
        "Replies and commands",
        {
            Step.UNTESTED: "were not compared",
            Step.IN_STEP: "are as many as each other",
            Step.OUT_OF_STEP: "are not as many as each other",
        },
    ),
    "codes": (
        "The codes of its lines",
        {
            Codes.UNTESTED: "are not known",
            Codes.ONE_CLASS: "are of one class",
            Codes.CONTRADICT: "contradict each other",
        },
    ),
    "sender": (
        "We gave",
        {Sender.NULL: "the null sender <>", Sender.REAL: "a sender of our own (--mail-from)"},
    ),
    "tls": ("--tls", {TlsMode.AUTO: "auto", TlsMode.NEVER: "never", TlsMode.REQUIRE: "require"}),
    "silence": (
        "The port's packets",
        {
            Silence.UNTESTED: "were not followed",
            Silence.OWN_OUTPUT: "never left this host",
            Silence.OWN_LINK: "end on our own link, where the next hop does not answer ARP or ND",
            Silence.NEAR: "end at the edge of our own network",
            Silence.NEAR_LOOSELY: "end at the edge of our own network or a little behind it, at hops that say nothing",
            Silence.BETWEEN: "end between two routers",
            Silence.BETWEEN_LOOSELY: "end between two routers with hops that say nothing between them",
            Silence.UP_TO_HOST: "end somewhere among hops that say nothing, up to the host",
            Silence.FAR_END: "come as far as the host's door",
            Silence.SOMEWHERE: "end at a place that no router tells",
            Silence.HOST_SILENT: "have no answer, nor does anything else that is sent to the host",
            Silence.ALL_SILENT: "have no answer, nor does anything else that we send to anybody",
            Silence.LOSSY: "are answered now and then",
            Silence.PORT_UNREACHABLE: "are now and then called undeliverable to the port by a router",
            Silence.HOST_UNREACHABLE: "are now and then called undeliverable to the host by a router",
            Silence.NET_UNREACHABLE: "are now and then called undeliverable to the network by a router",
            Silence.PROHIBITED: "are now and then called prohibited by a router",
        },
    ),
    "refuser": (
        "Refused by",
        {
            Refuser.UNTESTED: "somebody, it was not tested who",
            Refuser.OURSELVES: "this host itself",
            Refuser.OWN_LINK: "this host, because nobody on its own link answers ARP or ND",
            Refuser.FIRST_HOP: "something before the first hop",
            Refuser.MIDDLEBOX: "something on the way, in the name of the host",
            Refuser.ROUTER: "a router on the way, in its own name",
            Refuser.HOST: "the host",
            Refuser.DOUBTFUL: "the host or something before it, which cannot be told",
            Refuser.LOOP: "routers that send the packets to each other",
        },
    ),
    "ports": (
        "The refusal meets",
        {
            Ports.UNTESTED: "this port; others were not tested",
            Ports.THIS_ONE: "this port only",
            Ports.EVERY: "every port that was tried",
        },
    ),
    "us": (
        "Another mail host on this port",
        {Us.UNTESTED: "was not called", Us.OPEN: "answers us", Us.SILENT: "is silent too"},
    ),
    "after": (
        "The connection itself",
        {
            After.UNTESTED: "was not watched",
            After.ALIVE: "is alive: the peer's TCP answers",
            After.DEAD: "is dead: the peer's TCP does not answer either",
            After.REJECTED: "is rejected by an ICMP error",
            After.SMALL_HELPED: "brings the reply once segments are small",
            After.SMALL_PROVED: "loses large segments, and brings the reply once they are small",
        },
    ),
    "nearer": (
        "The port is answered",
        {
            Nearer.UNTESTED: "by somebody, it was not tested how far away",
            Nearer.NO: "by the host",
            Nearer.AT_ITS_DOOR: "nearer than the host, on its half of the way",
            Nearer.PROBABLY: "nearer than the host, on our half of the way; no other port was seen to pass there",
            Nearer.YES: "nearer than the host, on our half of the way, where other ports pass",
        },
    ),
}
"""Of each column: how it is called, and what each of its words means."""


def conditions(rule: Rule) -> list[tuple[str, str]]:
    """Say what a rule asks, column by column; nothing for the rule that matches everything."""
    found = []
    for name, (label, meanings) in COLUMNS.items():
        wanted: Iterable[str] | None = getattr(rule, name)
        if wanted is not None:
            found.append(
                (label, ", or ".join(meaning for word, meaning in meanings.items() if word in wanted))
            )
    return found
