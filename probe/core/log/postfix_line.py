"""One line of Postfix's log -> what it says about address verification.

The formats are those of smtpd_check.c (log_whatsup, reject_unverified_address), log_adhoc.c, smtp_connect.c and
smtpd.c. A line of `smtpd` says both why a sender could not be verified and what the relay was told; the probe itself
is a message that never is sent, and ends as `deliverable` or `undeliverable`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from probe.core.log.event import LogEvent, LogFault, LogKind, LogProgram
from probe.core.log.words import Why, postfix_why, taken
from probe.core.model import MtaOutcome, Stage

if TYPE_CHECKING:
    from probe.core.log.prefix import Prefix

_CLIENT = r"(\S{1,255}?)\[([^\]\s]{0,60})\](?::([0-9]{1,5}))?"
_QUEUE = r"(NOQUEUE|[0-9A-Za-z]{4,32})"
_REFUSED = re.compile(
    rf"{_QUEUE}: (reject|reject_warning): [A-Z]{{1,12}} from {_CLIENT}: ([45])[0-9]{{2}} (?:[0-9.]{{5,12}} )?"
    r"<(.{0,1100}?)>: Sender address rejected: "
    r"(?:(unverified|undeliverable) address|(address verification problem))(?:: ?|(?=;)|$)",
    re.DOTALL,
)
_TAIL = re.compile(
    r"; from=<(.{0,1100}?)>(?: to=<(.{0,1100}?)>)?(?: proto=\S{1,20})?(?: helo=<(.{0,500}?)>)?(?=[ ;]|$)"
)
_ENDED = re.compile(
    rf"{_QUEUE}: to=<(.{{0,1100}}?)>,(?: orig_to=<.{{0,1100}}?>,)?(?: relay=(\S{{1,400}}),)?.{{0,200}}?"
    r" status=(deliverable|undeliverable(?:-but-not-cached)?|sent) ?(.*)",
    re.DOTALL,
)
_CAME_FROM = re.compile(rf"{_QUEUE}: client={_CLIENT}(?=[,\s]|$)")
_QUEUED = re.compile(rf"{_QUEUE}: from=<(.{{0,1100}}?)>, size=")
_HOST_SAYS = re.compile(rf"{_QUEUE}: (?=host |lost connection with |conversation with )")
_CONNECTING = re.compile(r"connect to \S{1,255}?\[[^\]\s]{0,60}\](?::[0-9]{1,5})?: ")
_WENT = re.compile(
    rf"((?:lost connection|timeout) after \S{{1,20}}(?: \([0-9]{{1,9}} bytes\))?) from {_CLIENT}"
)
_RELAY = re.compile(r"(\S{1,255}?)\[([^\]\s]{0,60})\]")
_PROBER = "double-bounce@"
"""The sender of Postfix's own probes (address_verify_sender)."""


def read_postfix(line: str, prefix: Prefix, at: float | None) -> LogEvent | None:
    """Read a line of Postfix behind its prefix; None where it is about something else."""
    text = line[prefix.end :]
    head: dict[str, Any] = {
        "program": LogProgram.POSTFIX,
        "when": prefix.stamp,
        "at": at,
        "pid": prefix.pid,
        "server": prefix.server,
        "cut": False,
    }
    if ": Sender address rejected: " in text:
        return _refused(text, head)
    if " status=" in text:
        return _ended(text, head)
    if found := _CAME_FROM.match(text):
        return LogEvent(kind=LogKind.RECEIVED, message=found[1], **head, **_client(found, 2))
    if found := _QUEUED.match(text):
        if found[2].startswith(_PROBER):
            return None
        return LogEvent(kind=LogKind.RECEIVED, message=found[1], sender=found[2], **head)
    if found := _HOST_SAYS.match(text):  # one host of several; the next one is tried
        words = text[found.end() :]
        return _told(LogKind.REMARK, postfix_why(words), words, head, message=found[1])
    if _CONNECTING.match(text):
        return _told(LogKind.REMARK, postfix_why(text), text, head)
    if found := _WENT.match(text):
        return LogEvent(kind=LogKind.LOST, text=found[1], **head, **_client(found, 2))
    return None


def _client(found: re.Match[str], first: int) -> dict[str, Any]:
    name, ip, port = found.group(first, first + 1, first + 2)
    return {
        "relay_name": None if name == "unknown" else name,
        "relay_ip": ip if ip and ip != "unknown" else None,
        "relay_port": int(port) if port else None,
    }


def _told(kind: LogKind, why: Why, text: str, head: dict[str, Any], **more: Any) -> LogEvent:  # noqa: ANN401 - fields of the event
    if why.fault is LogFault.SAID and why.stage is None:
        # The reason is cut at 250 characters (smtpd_check.c), and with it goes the command that was answered.
        head = {**head, "cut": True}
    return LogEvent(
        kind=kind,
        fault=why.fault,
        host=why.host,
        host_ip=why.ip,
        stage=why.stage,
        said=why.said,
        text=text.rstrip(),
        **head,
        **more,
    )


def _refused(text: str, head: dict[str, Any]) -> LogEvent | None:
    found = _REFUSED.match(text)
    if found is None:
        return None
    _, verb, _, _, _, digit, sender, _, problem = found.groups()
    rest = text[found.end() :]
    # The reason quotes the mail host and `helo=` the relay, and both may say anything: the fields are those behind
    # the last "; from=" that names the sender whom the line is about.
    own = rest.rfind(f"; from=<{sender}>")
    fields = _TAIL.search(rest, own if own >= 0 else max(rest.rfind("; from=<"), 0))
    words = rest[: fields.start()] if fields else rest
    sender, recipient, helo = (fields[1] or sender, fields[2], fields[3]) if fields else (sender, None, None)
    why = Why(LogFault.UNKNOWN) if problem else postfix_why(words, sender)
    outcome = MtaOutcome.REJECT if digit == "5" else MtaOutcome.DEFER
    return _told(
        LogKind.VERIFY,
        why,
        problem or words,
        head,
        sender=sender or None,
        recipient=recipient or None,
        helo=helo or None,
        outcome=None if verb == "reject_warning" else outcome,  # warn_if_reject: the mail goes on
        **_client(found, 3),
    )


def _ended(text: str, head: dict[str, Any]) -> LogEvent | None:
    found = _ENDED.match(text)
    if found is None:
        return None
    message, address, relay, status, words = found.groups()
    if words.startswith("("):  # a long reason ends before its bracket does
        words = words[1:].removesuffix(")")
    if status == "sent":
        return LogEvent(kind=LogKind.RECEIVED, message=message, recipient=address, **head)
    if status == "deliverable":
        host = _RELAY.match(relay or "")
        return LogEvent(
            kind=LogKind.PROBE,
            message=message,
            sender=address,
            host=host[1] if host else None,
            host_ip=(host[2] or None) if host else None,
            stage=Stage.RCPT,
            said=taken(words),
            text=words.rstrip(),
            **head,
        )
    return _told(LogKind.PROBE, postfix_why(words, address), words, head, sender=address, message=message)
