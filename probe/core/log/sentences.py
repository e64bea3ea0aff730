"""What a log line means, in sentences: what it says, what that proves, and what it leaves open."""

from __future__ import annotations

from typing import NamedTuple

from probe.core.log.event import LogEvent, LogFault, LogKind
from probe.core.model import Cause, Stage
from probe.core.sentences import quote

AFTERWARDS = frozenset({Stage.RSET, Stage.MAIL_AGAIN, Stage.RCPT_POSTMASTER})
"""What Exim sends after it has asked for the sender, to ask for the postmaster too (verify.c, do_callout)."""


class Sentences(NamedTuple):
    """The three sentences about a line; nothing may be left open."""

    says: str
    proves: str
    leaves_open: str | None


_NEVER_ASKED = "Whether the address exists: it was never asked for."

_TEXTS: dict[LogFault, Sentences] = {
    LogFault.TIMEOUT: Sentences(
        "The mail server could not connect to {host}: timed out.",
        "{host} neither took nor refused the connection within the limit.",
        "Whether a firewall of theirs or of ours drops the packets, or the host is down. " + _NEVER_ASKED,
    ),
    LogFault.SILENT: Sentences(
        "No greeting of {host} came within the limit.",
        "Nothing that {host} may have said reached the mail server.",
        "A dropped SYN (with TCP Fast Open) and a host that never greets look the same in Exim's log. " + _NEVER_ASKED,
    ),
    LogFault.REPLY_TIMEOUT: Sentences(
        "The mail server waited in vain for {due} from {host}.",
        "{host} took the connection, and {due} did not come within the limit.",
        "Whether {host} is slow, or something on the way loses what it sends.",
    ),
    LogFault.REFUSED: Sentences(
        "{host} refused the connection.",
        "A RST, or the like, answered the connection to {host}.",
        "Whether the host itself refused, or a firewall in its name. " + _NEVER_ASKED,
    ),
    LogFault.NO_ROUTE: Sentences(
        "{host} cannot be reached: no route to host.",
        "A router, or the mail server's own network, says that {host} cannot be reached.",
        'Who says so, and whether by a fault or by a filter (ICMP "prohibited" has the same words). ' + _NEVER_ASKED,
    ),
    LogFault.NET_UNREACHABLE: Sentences(
        "There is no way to the network of {host}.",
        "The mail server had no route to {host}, or was told that there is none.",
        "Whether the mail server itself lacks a route (for IPv6 often), or a router on the way. " + _NEVER_ASKED,
    ),
    LogFault.PROHIBITED: Sentences(
        "The connection to {host} is not permitted.",
        "Something forbids the connection to {host}.",
        "Whether a rule of the mail server's own host, or a router on the way. " + _NEVER_ASKED,
    ),
    LogFault.RESET: Sentences(
        "The connection to {host} was reset.",
        "The connection to {host} was reset before anything was said.",
        "Whether the host itself reset it, or a firewall. " + _NEVER_ASKED,
    ),
    LogFault.LOCAL: Sentences(
        "The mail server could not even try to connect to {host}.",
        "The connection to {host} failed on the mail server's own host: {text}.",
        _NEVER_ASKED,
    ),
    LogFault.UNREACHABLE: Sentences(
        "{host} cannot be reached, and the log does not say why.",
        "The connection to {host} was answered with an error.",
        'Which error: with TCP Fast Open Exim loses it; most often it is ICMP "unreachable" or "prohibited". '
        + _NEVER_ASKED,
    ),
    LogFault.SAID: Sentences(
        "{host} did not take {sender}{reply}.",
        "{host} was reached, and answered.",
        "What that answers: the line does not say.",
    ),
    LogFault.CLOSED: Sentences(
        "{host} closed the connection before {due}.",
        "{host} was reached, and the connection ended before {due} came.",
        "Why it did: its policy, a fault, or something on the way.",
    ),
    LogFault.MALFORMED: Sentences(
        "What {host} sent for {due} is no SMTP reply{reply}.",
        "{host} was reached, and does not speak SMTP as it should.",
        None,
    ),
    LogFault.TLS: Sentences(
        "TLS with {host} failed, and the mail server may not go on without it.",
        "{host} was reached, and TLS could not be had: {text}.",
        "Whether their TLS is at fault, or what our mail server asks of it. " + _NEVER_ASKED,
    ),
    LogFault.SMTPUTF8: Sentences(
        "{sender} is not ASCII, and its mail host does not offer SMTPUTF8.",
        "The mail host was reached, and the address could not be sent.",
        _NEVER_ASKED,
    ),
    LogFault.NULL: Sentences(
        "{host} did not take the callout, and the log keeps none of its reply.",
        "{host} greeted and took EHLO or HELO; it did not say yes to MAIL FROM:<> or RCPT.",
        "A 4xx, an unreadable answer or none to MAIL FROM:<>, and an unreadable or broken one to RCPT, all leave NULL"
        " in Exim's log.",
    ),
    LogFault.CACHED: Sentences(
        "The mail server reused an earlier result for {sender}.",
        "An earlier verification failed, within the time for which it is kept (Exim 3 h at most, cPanel 1 h).",
        "Why it failed: the reason stands in an earlier line for this address, or, where MAIL FROM:<> was refused, for"
        " another one of its domain.",
    ),
    LogFault.SEVERAL: Sentences(
        "No mail host of {sender} took the callout, and the log does not say why.",
        "Several mail hosts were asked, and none of them said a final yes or no.",
        "Why: Exim keeps no reason where there are several hosts (up to 4.88 also where one fell silent in"
        " mid-conversation).",
    ),
    LogFault.NXDOMAIN: Sentences(
        "The domain of {sender} has no mail host: {text}.",
        "The mail server found no way to deliver to {sender}.",
        "Whether the domain does not exist or only has no mail host, and whether a setting of this server made it so.",
    ),
    LogFault.NULL_MX: Sentences(
        "The domain of {sender} publishes a null MX: it takes no mail.",
        "The domain's own record says that nobody can answer {sender}.",
        "Whether other MX records stand beside it, against RFC 7505: Postfix then uses none of them, Exim the others.",
    ),
    LogFault.DANGLING: Sentences(
        "No mail host that the MX records of {sender} name has an address.",
        "The domain's MX records lead nowhere.",
        None,
    ),
    LogFault.MX_IS_ADDRESS: Sentences(
        "The MX record of {sender} names an IP address instead of a host.",
        "The domain's MX record is invalid, so Exim does not use it (allow_mx_to_ip).",
        "Whether the mailbox exists: other mail servers may deliver to it.",
    ),
    LogFault.DNS: Sentences(
        "The mail hosts of {sender} could not be looked up.",
        "The DNS gave no answer that could be used, neither yes nor no.",
        "SERVFAIL, REFUSED and no answer look the same; so does, in the line of the rejection, an MX record that points"
        " back at this server. " + _NEVER_ASKED,
    ),
    LogFault.SELF: Sentences(
        "The MX record of {sender} points to this mail server, which does not take the domain for its own.",
        "Mail for the domain is routed to the verifying server itself.",
        "Whether the domain belongs on this server, or its MX record is out of date.",
    ),
    LogFault.HEADER: Sentences(
        "An address of a header line could not be verified.",
        "The envelope was taken, and the verification of a sender in the header failed.",
        "Which address, and why: the line says neither.",
    ),
    LogFault.IN_PROGRESS: Sentences(
        "The verification of {sender} was not done when the relay was answered.",
        "Postfix put the mail off while its probe was on its way.",
        "How it ended: the line of the probe says so (status=deliverable or undeliverable).",
    ),
    LogFault.UNKNOWN: Sentences(
        "{sender} could not be verified, and the line does not say why.",
        "The mail server's verification did not succeed.",
        "Why: the line of the verification itself is missing, or in words of this server's own settings.",
    ),
}  # fmt: skip
"""For each fault: what the line says, what that proves, and what it leaves open."""

_NOTHING = Sentences(
    "The line tells nothing of how {sender} was verified.", "Nothing about the sender.", None
)
_ACCEPTED = Sentences(
    "{host} takes {sender}.",
    "{host} accepted the address when it was asked.",
    "Whether it takes the null sender of a callout too: Postfix asks in the name of a sender of its own.",
)
_IN_CLEAR = Sentences(
    "TLS with {host} failed, and the callout went on in clear.",
    "{host} was reached, and TLS could not be had: {text}.",
    "How the callout ended: another line says so, or, where this is its last one, the log has lost it.",
)
_ONE_OF_THEM = "That is one mail host of the domain, and does not speak for the others."
_OTHERS = "What the other mail hosts of the domain say: the first 5xx ends the callout."
_POSTMASTER = Sentences(
    "{host} did not take the postmaster of the domain, whom the mail server asks for too{reply}.",
    "The mail server's verification includes the postmaster (RFC 5321 4.5.1), and that is where it ended.",
    "Whether {sender} was taken: the answer for the postmaster has replaced that for the sender.",
)
_RANDOM = "The refusal was given to a random address that Exim tried first, not to the sender."

_OPEN: dict[Cause, str] = {
    Cause.MISSING_SENDER: "Whether another mail host of the domain takes the address: the first 5xx ends the callout.",
    Cause.SENDER_EXISTS: "Whether the address takes mail again.",
    Cause.TEMPORARY: "What it answers later.",
    Cause.POLICY_REFUSAL: "Whether the address exists: the refusal is about the verifying server.",
    Cause.RFC_NONCOMPLIANT: "Whether the address exists: a sender that is not empty was not tried.",
}
_OPEN_ELSE = "Whether the mailbox, the sender of the callout or the verifying server is meant."

_COMMANDS = {
    Stage.BANNER: "the connection",
    Stage.EHLO: "EHLO",
    Stage.HELO: "HELO",
    Stage.STARTTLS: "STARTTLS",
    Stage.MAIL: "MAIL FROM",
    Stage.RCPT: "RCPT TO",
    Stage.RCPT_RANDOM: "RCPT TO of a random address",
}


def sentences(event: LogEvent, by_reply: str | None, cause: Cause) -> Sentences:
    """Say what a line means. `by_reply` is the sentence of the rule that read the reply, where one was read."""
    if by_reply is not None:
        proves = f"{_name(event)} answered {_command(event)} with {_quoted(event)}."
        return Sentences(by_reply, _sentence(proves), _left_open(event, cause))
    texts = _texts(event)
    fields = {
        "host": _name(event),
        "sender": event.sender or "the sender",
        "due": "its greeting" if event.stage is Stage.BANNER else f"its answer to {_command(event)}",
        "text": quote(event.text).rstrip(".") or "it does not say more",
        "reply": f": {_quoted(event)}" if event.said else "",
    }
    leaves_open = texts.leaves_open
    return Sentences(
        _sentence(texts.says.format_map(fields)),
        _sentence(texts.proves.format_map(fields)),
        None if leaves_open is None else _sentence(leaves_open.format_map(fields)),
    )


def tls_was_tried(event: LogEvent) -> bool:
    """Whether the text is the error of the TLS library; Exim then tries in clear (smtp.c, smtp_setup_conn)."""
    return event.kind is LogKind.REMARK or "TLS session: " in event.text[:1000]


def of_one_host(told: Sentences) -> Sentences:
    """Say of a host's word about its domain that it is not the word of the domain."""
    return told._replace(says=f"{told.says} {_ONE_OF_THEM}", leaves_open=_OTHERS)


def _texts(event: LogEvent) -> Sentences:
    if event.stage in AFTERWARDS:
        return _POSTMASTER
    if event.fault is LogFault.TLS and tls_was_tried(event):
        return _IN_CLEAR
    if event.fault is None:
        return _ACCEPTED if event.kind is LogKind.PROBE else _NOTHING
    return _TEXTS[event.fault]


def _left_open(event: LogEvent, cause: Cause) -> str:
    if event.stage is Stage.RCPT_RANDOM:
        return _RANDOM
    return _OPEN.get(cause, _OPEN_ELSE) if event.stage in {None, Stage.MAIL, Stage.RCPT} else _NEVER_ASKED


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] if text.startswith("the ") else text


def _name(event: LogEvent) -> str:
    if event.host is None:
        return f"the mail host [{event.host_ip}]" if event.host_ip else "the mail host"
    return f"{event.host} [{event.host_ip}]" if event.host_ip else event.host


def _command(event: LogEvent) -> str:
    return _COMMANDS.get(event.stage or Stage.CONNECT, "a command")


def _quoted(event: LogEvent) -> str:
    return f'"{quote(" / ".join((event.said or "").split(chr(10))))}"'
