"""One line of Exim's main or reject log -> what it says about sender verification.

The formats are those of smtp_in.c (smtp_handle_acl_fail, incomplete_transaction_log), host.c (host_and_ident),
acl.c, verify.c and receive.c. They have hardly changed since 4.69; what came later are fields between the client and
the text. A field that is not known is passed over. Where the client's fields hold what should not be there (a blank in
an ident answer, say), the line is read from the next thing that Exim itself writes.

Pages and tickets eat what stands in angle brackets, as HTML would: `sender verify defer for : ...` and `[]` are read,
without an address.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from probe.core.log.event import LogEvent, LogFault, LogKind, LogProgram
from probe.core.log.words import INCOMPLETE, Why, error_of, exim_why
from probe.core.model import MtaOutcome, Stage

if TYPE_CHECKING:
    from probe.core.log.prefix import Prefix

# H=relay1.example.com (helo) [192.0.2.1]:36752: a name in parentheses is what the client said of itself.
_CLIENT = (
    r"(?:([^\s(\[]\S{0,299}) )?(?:\((.{0,500}?)\) (?=\[))?\[([^\]\s]{0,60})\](?::([0-9]{1,5}))?(?![^\s])"
)
_FIELD = (
    r"(?! F=)(?: (?:I=\[[^\]\s]{0,60}\](?::[0-9]{1,5})?|[A-Za-z]{1,4}=(?:\"(?:[^\"\\]|\\.)*+\"|\S*)|\.\.\.))"
)
_HOST = re.compile(rf" ?(?:DS ?)?H= ?{_CLIENT}((?:{_FIELD})*+)", re.DOTALL)
_LOCAL = re.compile(rf"U=\S*(?:{_FIELD})*+", re.DOTALL)
_BARE = re.compile(rf"{_CLIENT}((?:{_FIELD})*+)", re.DOTALL)
_VERBS = re.compile(
    r" (?:sender verify (?:defer|fail)\b|F=|(?:temporarily )?rejected |incomplete transaction \(|Warning: )"
)

_ADDRESS = r"(?:<([^<>]{0,1100}|.{0,1100}?)>(?=[:\s]|$)|(?!&)([^\s<>:]{1,900}@[^\s<>:]{1,255}))?"
_VERIFY = re.compile(rf" ?sender verify (defer|fail) for ?{_ADDRESS} ?(?::(?: |$)(.*)|$)?", re.DOTALL)
_FROM = re.compile(r" ?F=(?:<(.{0,1100}?)>(?= )|(\S{0,1100}))(?: A=\S*)?")
_REFUSED = re.compile(r" ?(temporarily )?rejected ")
_COMMAND = re.compile(
    r"(RCPT|MAIL)(?: (?:TO:|FROM:)? ?(?:<(.{0,1100}?)>|([^\s<>:]{0,1100})))?(?=[:\s]|$)", re.IGNORECASE
)
_ABOUT_SENDERS = re.compile(
    r"sender.{0,60}\bverif|verif.{0,60}\bsender|sender callout|callback.{0,60}sender|in (?:any|a) header line",
    re.IGNORECASE | re.DOTALL,
)
_UNDONE = re.compile(r" ?incomplete transaction(?: \(([^)]{0,100})\))?")
_UNDONE_FROM = re.compile(
    r" from (?:<([^<>]{0,1100}|.{0,1100}?)>|([^\s<>]{0,1100}))(?= for |\s*$)", re.DOTALL
)
_TAKEN = re.compile(r"<= (<>|\"(?:[^\"\\]|\\.){0,300}\"@\S{1,255}|\S{1,1100})(?= |$)")
_CLEAR = re.compile(r"(.{0,2000}?): callout unencrypted to (\S{1,255}) \[([^\]\s]{0,60})\]", re.DOTALL)
_SELF = re.compile(
    r"(lowest numbered MX record points to local host|remote host address is the local host): (\S{1,255})"
    r"(?: \(while verifying <(.{0,1100}?)>(?: from host (.{0,1000}))?\))?"
)
_MAKING = re.compile(
    r"(?:sender|recipient) verify (defer|fail) \(making cal+o+ut connection\): T=\S{1,100} (.{0,400})",
    re.DOTALL,
)
_WENT = re.compile(
    r"(?:unexpected (?:disconnection|EOF) while reading SMTP command(?: \([^)]{0,100}\))? from"
    r"|SMTP (?:command|data) timeout(?: \([^)]{0,100}\))? on connection from|SMTP connection from) (.*)",
    re.DOTALL,
)
_LOST = re.compile(r" lost\b")

_ANOTHER_CLIENT = re.compile(
    r"\) \[[^\]\s]{1,60}\](?::[0-9]{1,5})? (?:[A-Za-z]{1,4}=|sender verify |(?:temporarily )?rejected |incomplete"
    r" |Warning: )"
)
"""What Exim writes behind the name of HELO: where it stands twice, the first end of that name may be a part of it."""

_OUTCOME = {"defer": MtaOutcome.DEFER, "fail": MtaOutcome.REJECT}
_OVERFLOW = "**** log string overflowed log buffer ****"


class _Client(NamedTuple):
    """Who the line is about, as fields of the event, and where its text goes on."""

    known: dict[str, Any]
    end: int


def read_exim(line: str, prefix: Prefix, at: float | None) -> LogEvent | None:
    """Read a line of Exim behind its prefix; None where it is about something else."""
    line, overflowed, _ = line.partition(_OVERFLOW)
    head: dict[str, Any] = {
        "program": LogProgram.EXIM,
        "when": prefix.stamp,
        "at": at,
        "pid": prefix.pid,
        "server": prefix.server,
        "cut": prefix.part == 1 or bool(overflowed),
    }
    start = prefix.end
    if line.startswith("<= ", start):
        return _received(line[start:], head, prefix.message)
    client = _client(line, start)
    if client is None:
        return _without_client(line[start:], head)
    head |= client.known
    text = line[client.end :]
    event = _about(text, head, prefix.message)
    if event is not None:
        return event
    found = _VERBS.search(text)
    # Another address between the client and the text: the client's own name holds the first one, to be taken for it.
    if found is None or not found.start() or "[" in text[: found.start()]:
        return None
    return _about(text[found.start() :], head, prefix.message)


def _about(text: str, head: dict[str, Any], message: str | None) -> LogEvent | None:
    """Read what a line says of its client."""
    if text.startswith(("sender verify ", " sender verify ")):
        return _verify(text, head)
    if text.startswith(("incomplete ", " incomplete ")):
        return _incomplete(text, head)
    if text.startswith(("Warning: ", " Warning: ")):
        return _warning(text.lstrip(" ").removeprefix("Warning: "), head)
    return _rejected(text, head, message)


def _client(line: str, start: int) -> _Client | None:
    found = _HOST.match(line, start)
    if found is not None:
        return None if _is_forged(line, found) else _Client(_named(found), found.end())
    if (local := _LOCAL.match(line, start)) is not None:  # handed in on this host, not by SMTP
        return _Client({}, local.end())
    # A line of a page may begin in the middle, with what it is about.
    return _Client({}, start) if line.startswith(("F=<", "sender verify "), start) else None


def _is_forged(line: str, found: re.Match[str]) -> bool:
    """Whether the client may have written all of this into HELO, as `helo_accept_junk_hosts` allows: who knows."""
    return found[2] is not None and _ANOTHER_CLIENT.search(line, found.end(3)) is not None


def _named(found: re.Match[str]) -> dict[str, Any]:
    name, helo, ip, port, fields = found.groups()
    known: dict[str, Any] = {
        "relay_ip": ip or None,
        "relay_port": int(port) if port else None,
        "relay_name": name or None,
        "helo": helo or None,
    }
    if "Ci=" in fields:
        known["connection"] = fields.partition("Ci=")[2].partition(" ")[0]
    return known


def _verify(text: str, head: dict[str, Any]) -> LogEvent | None:
    found = _VERIFY.match(text)
    if found is None:
        return None
    verdict, inside, bare, words = found.groups()
    sender = inside or bare
    words = (words or "").rstrip()
    if not words and found.end() < len(text):  # neither a colon nor the end: what follows is not Exim's
        return None
    return _because(LogKind.VERIFY, exim_why(words, sender), words, head, sender, _OUTCOME[verdict])


def _because(
    kind: LogKind, why: Why, words: str, head: dict[str, Any], sender: str | None, outcome: MtaOutcome | None
) -> LogEvent:
    if sender is None and why.stage is Stage.RCPT:
        sender = why.asked  # the callout names whom it asks for
    return LogEvent(
        kind=kind,
        sender=sender,
        outcome=outcome,
        fault=why.fault,
        host=why.host,
        host_ip=why.ip,
        stage=why.stage,
        said=why.said,
        text=words,
        **head,
    )


def _rejected(text: str, head: dict[str, Any], message: str | None) -> LogEvent | None:
    sender, start = None, 0
    if (found := _FROM.match(text)) is not None:
        sender, start = found[1] or found[2] or None, found.end()
    found = _REFUSED.match(text, start)
    if found is None:
        return None
    rest = text[found.end() :]
    temporary = found[1] is not None
    command = _COMMAND.match(rest)
    recipient = None
    if command is not None:
        address = command[2] or command[3] or None
        if command[1].upper() == "RCPT":
            recipient = address
        else:
            sender = sender or address
        rest = rest[command.end() :]
    # A command is quoted up to 100 characters, and then the text may stand behind half an address.
    words = rest.partition(": ")[2] or rest.removeprefix(":")
    if not _ABOUT_SENDERS.search(words[:400]):
        return None
    return LogEvent(
        kind=LogKind.REJECTED,
        sender=sender,
        recipient=recipient,
        outcome=MtaOutcome.DEFER if temporary else MtaOutcome.REJECT,
        fault=_of_rejection(words),
        message=message,
        text=words.rstrip(),
        **head,
    )


def _of_rejection(words: str) -> LogFault:
    if "header line" in words[:200]:
        return LogFault.HEADER
    # Without "callout" it was the routing that did not come to its end (acl.c, acl_verify).
    return LogFault.DNS if words.strip() == "Could not complete sender verify" else LogFault.UNKNOWN


def _incomplete(text: str, head: dict[str, Any]) -> LogEvent | None:
    found = _UNDONE.match(text)
    if found is None:
        return None
    sender = None
    rest = text[found.end() :]
    if (envelope := _UNDONE_FROM.match(rest)) is not None:
        sender, rest = envelope[1] or envelope[2] or None, rest[envelope.end() :]
    return LogEvent(
        kind=LogKind.INCOMPLETE,
        sender=sender,
        recipients=_recipients(rest.removeprefix(" for ")),
        text=found[1] or "",
        **head,
    )


def _warning(words: str, head: dict[str, Any]) -> LogEvent | None:
    """Read what the verb `warn` left: the mail goes on, so there is no outcome."""
    if words.startswith("sender verify failed"):
        words = words.removeprefix("sender verify failed").removeprefix(":").strip()
        return _because(LogKind.VERIFY, exim_why(words), words, head, None, None)
    if INCOMPLETE in words[:400]:
        return LogEvent(kind=LogKind.VERIFY, fault=LogFault.UNKNOWN, text=words.rstrip(), **head)
    if _ABOUT_SENDERS.search(words[:400]):
        return LogEvent(kind=LogKind.REMARK, text=words.rstrip(), **head)
    return None


def _received(text: str, head: dict[str, Any], message: str | None) -> LogEvent | None:
    found = _TAKEN.match(text)
    if found is None:
        return None
    at = text.find(" H=", found.end())
    client = _HOST.match(text, at) if at >= 0 else None
    if client is not None and _is_forged(text, client):
        return None
    named = _named(client) if client is not None else {}
    tail = text.rpartition(" for ")[2] if " for " in text else ""
    return LogEvent(
        kind=LogKind.RECEIVED,
        sender="" if found[1] == "<>" else found[1],
        recipients=_recipients(tail) if '"' not in tail else (),
        message=message,
        **(head | named),
    )


def _recipients(text: str | None) -> tuple[str, ...]:
    return tuple(word.strip("<>,") for word in text.split() if "@" in word) if text else ()


def _without_client(text: str, head: dict[str, Any]) -> LogEvent | None:
    """Read the lines that Exim writes from beside a conversation."""
    if ": callout unencrypted to " in text and (found := _CLEAR.match(text)):
        return LogEvent(
            kind=LogKind.REMARK,
            fault=LogFault.TLS,
            host=found[2],
            host_ip=found[3] or None,
            stage=Stage.TLS,
            text=found[1],
            **head,
        )
    if found := _SELF.match(text):
        client = _BARE.match(found[4]) if found[4] else None
        head |= _named(client) if client is not None else {}
        return LogEvent(
            kind=LogKind.REMARK,
            sender=found[3] or None,
            host=found[2],
            fault=LogFault.SELF,
            text=found[1],
            **head,
        )
    if found := _MAKING.match(text):
        # From 4.98 on "sender" and "recipient" stand for each other here, so the word says nothing.
        fault = error_of(found[2]) or LogFault.UNKNOWN
        return LogEvent(kind=LogKind.REMARK, fault=fault, stage=Stage.CONNECT, text=found[2].rstrip(), **head)
    return _lost(text, head)


def _lost(text: str, head: dict[str, Any]) -> LogEvent | None:
    found = _WENT.match(text)
    if found is None:
        return None
    client = _BARE.match(found[1].removeprefix("H="))
    if client is None:
        return None
    rest = found[1][client.end() :]
    if text.startswith("SMTP connection from ") and not _LOST.match(rest):
        return None
    head |= _named(client)
    envelope = _FROM.match(rest)
    sender = envelope[1] or None if envelope else None
    return LogEvent(kind=LogKind.LOST, sender=sender, text=text[: found.start(1)].rstrip(), **head)
