"""The words in which Exim and Postfix say why a sender could not be verified -> what went wrong, where and when.

Exim has worded a callout in two ways. Up to 4.88 (verify.c, do_callout):

    could not connect to H [I]: STRERROR
    response to "COMMAND" from H [I] was: REPLY

and since 4.89, when the callout became an ordinary connection (verify.c, smtp.c, check_response):

    H [I] : SMTP error from remote mail server after COMMAND: REPLY
    H [I] : response to "COMMAND" was: REPLY
    H [I] : STRERROR, or `NULL`, or `H [I]` once more where the error got lost

with `Could not complete sender verify callout: ` before it where the result is "not now". What no callout was
needed for are the texts of the routers (host.c, dnslookup.c). Postfix quotes the reason of its probe
(smtp_proto.c, smtp_connect.c, smtp_addr.c).

Text of a peer stands behind these words, so each pattern names its end as well as its beginning, and none may look
further than an address or a command is long.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from probe.core.log.event import LogFault
from probe.core.model import Stage


class Why(NamedTuple):
    """Why: the fault, the host that was called, what was waited for, the reply, and the address in the command.

    `asked` is what stood in RCPT, None where that was not the command.
    """

    fault: LogFault
    host: str | None = None
    ip: str | None = None
    stage: Stage | None = None
    said: str | None = None
    asked: str | None = None


INCOMPLETE = "Could not complete sender verify callout"
_AT = r"(\S{1,255}) \[([^\]\s]{0,60})\](?::[0-9]{1,5})?"

_PREFIXED = re.compile(r"Could not complete (?:sender|recipient) verify callout(?:: |$)")
_HOST = re.compile(rf"{_AT} : ?(.*)", re.DOTALL)
_NO_CONNECTION = re.compile(rf"could not connect to {_AT}: (.*)", re.DOTALL)
_RESPONSE = re.compile(rf'response to "(.{{0,1200}}?)"(?: from {_AT})? was: (.*)', re.DOTALL)
_ERROR = re.compile(
    r"SMTP error from remote mail server after (?:pipelined )?(.{1,1200}?):(?: (?=[1-9][0-9]{2}\b)|$)(.*)",
    re.DOTALL,
)
_EARLY = re.compile(
    r"SMTP timeout (?:while connected to .{1,330}? )?after (?:pipelined )?(.{1,1200})", re.DOTALL
)
_CLOSED = re.compile(
    r"Remote host (?:.{1,330}? )?closed connection in response to (?:pipelined )?(.{1,1200}?)"
    r"(?: \(EHLO response was: (.*)|$)",
    re.DOTALL,
)
_MALFORMED = re.compile(
    r"Malformed SMTP reply (?:from .{1,330}? )?(?:\(an empty line\) )?in response to (?:pipelined )?"
    r"(initial connection|(?:EHLO|HELO|LHLO)(?: [^\s:]{0,255})?|(?:MAIL FROM|RCPT TO):<.{0,1100}?>"
    r"|[A-Z-]{4,15}[^:]{0,60})"
    r"(?:: ?(.*)|$)",
    re.DOTALL,
)
_SENDING = re.compile(rf"smtp send to {_AT} failed: (.*)", re.DOTALL)
_ITSELF = re.compile(rf"{_AT}$")
_TLS = ("TLS session", "TLS error", "a TLS session is required", "DANE error", "(SSL_", "(gnutls_")

_ESCAPE = re.compile(r"\\([nrt]|[0-3][0-7]{2})")
_CONTROL = {"n": "\n", "r": "\r", "t": "\t"}


def unescaped(text: str) -> str:
    r"""Undo Exim's way to print what is not printable (string.c, string_printing): `\n`, `\303`."""
    if "\\" not in text:
        return text
    return _ESCAPE.sub(lambda found: _CONTROL.get(found[1]) or chr(int(found[1], 8)), text)


_ERRORS: tuple[tuple[str, LogFault], ...] = (
    ("Connection timed out", LogFault.TIMEOUT),
    ("Operation timed out", LogFault.TIMEOUT),  # the same, on BSD
    ("Connection refused", LogFault.REFUSED),
    ("No route to host", LogFault.NO_ROUTE),
    ("Host is down", LogFault.NO_ROUTE),
    ("Host is unreachable", LogFault.NO_ROUTE),
    ("Network is unreachable", LogFault.NET_UNREACHABLE),
    ("Network is down", LogFault.LOCAL),
    ("Connection reset by peer", LogFault.RESET),
    ("Software caused connection abort", LogFault.RESET),
    ("Broken pipe", LogFault.CLOSED),
    ("Permission denied", LogFault.PROHIBITED),
    ("Protocol not available", LogFault.PROHIBITED),
    ("Operation not permitted", LogFault.LOCAL),
    ("Cannot assign requested address", LogFault.LOCAL),
    ("Can't assign requested address", LogFault.LOCAL),
    ("Address family not supported", LogFault.LOCAL),
    ("Address already in use", LogFault.LOCAL),
    ("Too many open files", LogFault.LOCAL),
    ("Resource temporarily unavailable", LogFault.LOCAL),
    ("Invalid argument", LogFault.LOCAL),
)
"""strerror(3) of the systems that these mail servers run on."""

_ROUTERS: tuple[tuple[str, LogFault], ...] = (
    ("Unrouteable address", LogFault.NXDOMAIN),
    ("unrouteable mail domain", LogFault.NXDOMAIN),
    ("host lookup did not complete", LogFault.DNS),
    ("an MX or SRV record indicated no SMTP service", LogFault.NULL_MX),
    (
        "all relevant MX records point to non-existent hosts or (invalidly) to IP addresses",
        LogFault.MX_IS_ADDRESS,
    ),
    ("all relevant MX records point to non-existent hosts", LogFault.DANGLING),
    ("missing MX, or all MXs point to missing A records", LogFault.DANGLING),
    ("lowest numbered MX record points to local host", LogFault.SELF),
    ("remote host address is the local host", LogFault.SELF),
    # cPanel's own router says it in these words, in place of the first and of the dangling MX.
    ("The mail server does not recognize ", LogFault.NXDOMAIN),
    ("The mail server could not deliver mail to ", LogFault.NXDOMAIN),
    ("Previous (cached) callout verification failure", LogFault.CACHED),
)


def _by_start(text: str, table: tuple[tuple[str, LogFault], ...]) -> LogFault | None:
    return next((fault for start, fault in table if text.startswith(start)), None)


def error_of(text: str) -> LogFault | None:
    """Read an error of the system; None for other words."""
    return _by_start(text, _ERRORS)


# --- Exim ------------------------------------------------------------------------------------------


def exim_why(text: str, sender: str | None = None) -> Why:
    """Read what Exim says behind the address. `sender` is that address: a callout may ask about others too."""
    if not text:
        return Why(LogFault.CACHED)
    prefix = _PREFIXED.match(text)
    if prefix is not None:
        text = text[prefix.end() :]
        if not text:
            return Why(LogFault.SEVERAL)
    fault = _by_start(text, _ROUTERS)
    if fault is not None:
        return Why(fault)
    found = _HOST.match(text)
    if found is not None:
        why = _of_host(found[3], sender)
        return why if why.host is not None else why._replace(host=found[1], ip=found[2] or None)
    found = _NO_CONNECTION.match(text)
    if found is not None:
        fault = error_of(found[3]) or LogFault.UNKNOWN
        return Why(fault, found[1], found[2] or None, Stage.CONNECT)
    return _of_host(text, sender)


def _of_host(text: str, sender: str | None) -> Why:
    """Read what is said of one host."""
    if text == "NULL":
        return Why(LogFault.NULL)
    if found := _ERROR.match(text):
        return _reply(found[1], found[2], sender)
    if found := _RESPONSE.match(text):
        why = _reply(found[1], found[4], sender)
        return why._replace(host=found[2], ip=found[3] or None) if found[2] else why
    if found := _EARLY.match(text):
        stage, asked = _command(found[1], sender)
        return Why(_timeout(stage), stage=stage, asked=asked)
    if found := _CLOSED.match(text):
        said = unescaped(found[2].removesuffix(")")) if found[2] else None
        if said and said.startswith("421"):  # it said before that it would close (RFC 5321 3.8)
            return Why(LogFault.SAID, stage=Stage.EHLO, said=said)
        stage, asked = _command(found[1], sender)
        return Why(LogFault.CLOSED, stage=stage, said=said, asked=asked)
    if found := _MALFORMED.match(text):
        stage, asked = _command(found[1], sender)
        return Why(LogFault.MALFORMED, stage=stage, said=unescaped(found[2] or ""), asked=asked)
    if found := _SENDING.match(text):
        return Why(error_of(found[3]) or LogFault.CLOSED, found[1], found[2] or None)
    fault = error_of(text)
    if fault is not None:
        return Why(fault, stage=Stage.CONNECT)
    if text.startswith(_TLS):
        return Why(LogFault.TLS, stage=Stage.TLS)
    if _ITSELF.match(text):
        return Why(LogFault.UNREACHABLE, stage=Stage.CONNECT)
    return Why(LogFault.UNKNOWN)


def _timeout(stage: Stage | None) -> LogFault:
    return LogFault.SILENT if stage is Stage.BANNER else LogFault.REPLY_TIMEOUT


def _reply(command: str, reply: str, sender: str | None) -> Why:
    stage, asked = _command(command, sender)
    if reply.startswith("connection dropped"):
        return Why(LogFault.CLOSED, stage=stage, asked=asked)
    fault = LogFault.SAID if reply[:3].isdigit() else LogFault.MALFORMED
    return Why(fault, stage=stage, said=unescaped(reply), asked=asked)


def _command(command: str, sender: str | None) -> tuple[Stage | None, str | None]:
    """Name the stage that a command stands for, and the address in RCPT.

    Beside the sender, a callout may ask for a random address before (`random`) and for the postmaster after it
    (`postmaster`): what is said of them is not said of the sender.
    """
    if command.startswith("RCPT TO:"):
        asked = command[8:].strip().removeprefix("<").removesuffix(">")
        return _recipient(asked, sender), asked or None
    if command.startswith("MAIL FROM:"):
        # The sender of a callout is the null sender; the postmaster alone is asked for in the name of another.
        null = command[10:].strip().startswith("<>") or not command[10:].strip()  # SMTPUTF8 may follow
        return Stage.MAIL if null else Stage.MAIL_AGAIN, None
    return _COMMANDS.get(command.partition(" ")[0].partition(":")[0]), None


def _recipient(asked: str, sender: str | None) -> Stage:
    is_sender = not asked or (sender is not None and asked.lower() == sender.lower())
    if is_sender:
        return Stage.RCPT
    local = asked.lower().rpartition("@")[0] or asked.lower()
    if local == "postmaster":
        return Stage.RCPT_POSTMASTER
    # The default of callout_random_local_part ends so; one of an administrator's own is not known by its look.
    return Stage.RCPT_RANDOM if local.endswith("-testing") else Stage.RCPT


_COMMANDS = {
    "initial": Stage.BANNER,
    "EHLO": Stage.EHLO,
    "LHLO": Stage.EHLO,
    "HELO": Stage.HELO,
    "STARTTLS": Stage.STARTTLS,
    "SSL-on-connect": Stage.TLS,
    "RSET": Stage.RSET,
    "QUIT": Stage.QUIT,
}

# --- Postfix ---------------------------------------------------------------------------------------

_PEER = r"(\S{1,255}?)\[([^\]\s]{0,60})\](?::[0-9]{1,5})?"
_SAID = re.compile(rf"host {_PEER} said: (.*)", re.DOTALL)
_IN_REPLY = " (in reply to "
_TURNED_AWAY = re.compile(rf"host {_PEER} refused to talk to me: (.*)", re.DOTALL)
_CONNECTING = re.compile(rf"connect to {_PEER}: (.*)", re.DOTALL)
_LOST = re.compile(rf"lost connection with {_PEER} while (.{{1,80}})", re.DOTALL)
_SLOW = re.compile(rf"conversation with {_PEER} timed out while (.{{1,80}})", re.DOTALL)
_NAME = re.compile(
    r"(?:Host or domain name not found\. )?Name service error for name=(\S{1,255}) type=([A-Z]{1,5}):? ?(.*)",
    re.DOTALL,
)
_TAKEN = re.compile(r"(?:delivered to .{1,60}|)(2[0-9]{2}[ -].*)", re.DOTALL)

_POSTFIX: tuple[tuple[str, LogFault], ...] = (
    ("Address verification in progress", LogFault.IN_PROGRESS),
    ("TLS is required", LogFault.TLS),
    ("Cannot start TLS", LogFault.TLS),
    ("Server certificate not", LogFault.TLS),
    ("SMTPUTF8 is required", LogFault.SMTPUTF8),
    ("Name server loop for ", LogFault.DNS),
)
_DOING: tuple[tuple[str, Stage], ...] = (
    ("receiving the initial", Stage.BANNER),
    ("performing the EHLO", Stage.EHLO),
    ("performing the LHLO", Stage.EHLO),
    ("performing the HELO", Stage.HELO),
    ("performing the initial protocol handshake", Stage.HELO),
    ("sending MAIL", Stage.MAIL),
    ("sending RCPT", Stage.RCPT),
    ("MAIL FROM", Stage.MAIL),
    ("RCPT TO", Stage.RCPT),
    ("EHLO", Stage.EHLO),
    ("HELO", Stage.HELO),
    ("STARTTLS", Stage.STARTTLS),
)


def _doing(text: str | None) -> Stage | None:
    return next((stage for start, stage in _DOING if text and text.startswith(start)), None)


def postfix_why(text: str, sender: str | None = None) -> Why:
    """Read the reason that Postfix gives for a sender, or for the end of a probe."""
    fault = _by_start(text, _POSTFIX)
    if fault is not None:
        return Why(fault)
    if found := _SAID.match(text):
        reply, _, command = found[3].rpartition(_IN_REPLY)  # the last one: the reply may quote another
        said = _rows(reply) if command and reply else _rows(found[3])
        return Why(LogFault.SAID, found[1], found[2] or None, _doing(command), said)
    if found := _TURNED_AWAY.match(text):  # said to the greeting and to EHLO alike
        return Why(LogFault.SAID, found[1], found[2] or None, Stage.BANNER, _rows(found[3]))
    if found := _CONNECTING.match(text):
        return Why(error_of(found[3]) or LogFault.UNKNOWN, found[1], found[2] or None, Stage.CONNECT)
    if found := _LOST.match(text):
        return Why(LogFault.CLOSED, found[1], found[2] or None, _doing(found[3]))
    if found := _SLOW.match(text):
        return Why(LogFault.REPLY_TIMEOUT, found[1], found[2] or None, _doing(found[3]))
    if found := _NAME.match(text):
        return Why(_name_fault(found[1], found[2], found[3], sender))
    if "(nullMX)" in text[:400]:
        return Why(LogFault.NULL_MX)
    if "loops back to myself" in text[:400]:
        return Why(LogFault.SELF)
    return Why(LogFault.UNKNOWN)


def _name_fault(name: str, kind: str, text: str, sender: str | None) -> LogFault:
    if "try again" in text or not text.startswith("Host "):
        return LogFault.DNS
    domain = (sender or "").rpartition("@")[2].lower()
    # The look-up that failed last is that of a mail host where its name is not the domain's.
    mail_host = kind in {"A", "AAAA"} and domain and name.lower() != domain
    return LogFault.DANGLING if mail_host else LogFault.NXDOMAIN


def taken(text: str) -> str | None:
    """Give the reply by which a host took an address, out of the reason of a probe that succeeded."""
    found = _TAKEN.match(text)
    return _rows(found[1]) if found else None


def _rows(reply: str) -> str:
    """Give the lines of a reply back, which Postfix logs with a blank between them."""
    code = reply[:3]
    if reply[3:4] != "-" or not (code.isascii() and code.isdigit()):
        return reply
    # Numbers stand in any text, so another code begins a line only where the reply would not end otherwise.
    begins = code if f" {code} " in reply or reply.endswith(f" {code}") else "[2-5][0-9][0-9]"
    return re.sub(rf" (?={begins}[ -])", "\n", reply)
