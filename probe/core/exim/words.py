"""The words of Exim: what its log says of a sender verification, and what it tells the relay.

The formats are those of smtp_in.c (smtp_handle_acl_fail) and verify.c; what stands in them is given as of the
version that is asked for. `RECIPIENT` stands for the recipient, which no evidence knows.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from probe.core.callout import Callout

RECIPIENT = "<recipient>"
"""Where the log names the recipient of the mail, in angle brackets as it does."""
LIBRARY = "<words of the TLS library>"
"""What stands for the words that Exim's TLS library has for an error."""
TLS_WORDS = f"(gnutls_handshake): {LIBRARY}"
"""What stands for the error of a TLS handshake."""
RANDOM = "<name of the mail server>-<time>-testing"
"""What stands for the local part that the option `random` makes (`callout_random_local_part`)."""

INCOMPLETE = "Could not complete sender verify callout"
_FAILED = "Sender verify failed"
_TEMPORARY = "Temporary local problem - please try later"


class Blame(StrEnum):
    """Which of its texts Exim gives a refused relay."""

    ADDRESS = "address"
    SETUP = "setup"
    POSTMASTER = "postmaster"


_HEAD = {
    Blame.ADDRESS: "Verification failed for <{}>",
    Blame.SETUP: "Callback setup failed while verifying <{}>",
    Blame.POSTMASTER: "Postmaster verification failed while checking <{}>",
}
_TAIL = {
    Blame.ADDRESS: (),
    Blame.SETUP: (
        "The initial connection, or a HELO or MAIL FROM:<> command was",
        "rejected. Refusing MAIL FROM:<> does not help fight spam, disregards",
        "RFC requirements, and stops you from receiving standard bounce",
        "messages. This host does not accept mail from domains whose servers",
        "refuse bounces.",
    ),
    Blame.POSTMASTER: (
        "Several RFCs state that you are required to have a postmaster",
        "mailbox for each mail domain. This host does not accept mail",
        "from domains whose servers reject the postmaster address.",
    ),
}


class Told(Struct, frozen=True):
    """What is said: to the relay, line by line, and in the log, each line from behind its time stamp and host."""

    reply: tuple[str, ...] = ()
    log: tuple[str, ...] = ()


def refused(mailbox: str, detail: str, explained: tuple[str, ...], blame: Blame = Blame.ADDRESS) -> Told:
    """Say that the sender is refused; `explained` is what the relay is told beside, empty for nothing."""
    lines = (_HEAD[blame].format(mailbox), *explained, *_TAIL[blame]) if explained else ()
    reply = (*(f"550-{line}" for line in lines), f"550 {_FAILED}")
    log = (
        *f"sender verify fail for <{mailbox}>: {detail}".split("\n"),
        f"F=<{mailbox}> rejected RCPT {RECIPIENT}: {_FAILED}",
    )
    return Told(reply, log)


def deferred(mailbox: str, detail: str, *, routing: bool = False) -> Told:
    """Say that the sender could not be verified now: at the callout, or before it in the DNS (`routing`)."""
    what = "Could not complete sender verify" if routing else INCOMPLETE
    log = (
        # A remote reply to EHLO that is quoted after a broken HELO keeps its line ends (smtp.c, EHLOHELO_FAILED).
        *f"sender verify defer for <{mailbox}>: {detail}".split("\n"),
        f"F=<{mailbox}> temporarily rejected RCPT {RECIPIENT}: {what}",
    )
    return Told((f"451 {_TEMPORARY if routing else INCOMPLETE}",), log)


def explain(ip: str, sent: str, response: str, callout: Callout) -> tuple[str, ...]:
    """Give the lines that tell the relay which command of the callout was refused, and how."""
    if callout.cuts_replies:
        end = next((n for n, c in enumerate(response) if not (" " <= c <= "~" or c in "\t\n")), None)
        response = response if end is None else f"{response[:end]}(truncated)"
    first, *rest = response.split("\n")
    return (
        f"Called:   {ip}",
        f"Sent:     {sent}",
        f"Response: {first}",
        *(row.lstrip() for row in rest if row),
    )
