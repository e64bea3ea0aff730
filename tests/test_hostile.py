"""Hostile and broken mail hosts, name servers and files: never a missing sender without a word that says so.

The worst error of this program is to call a sender missing when in truth we were blocked, timed out, or never
got to RCPT; the next worst is to call one existing who was refused. Here is what was tried to make it err,
first against the pure part with an oracle that is slow and obviously right, then on real sockets.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from probe import codec
from probe.core.classify import judge
from probe.core.conversation import Close, Conversation, Plan, StartTls, follow_up
from probe.core.model import (
    About,
    Basis,
    Cause,
    Connect,
    ConnectOutcome,
    Evidence,
    ExchangeOutcome,
    Purpose,
    Reply,
    Stage,
)
from probe.core.phrases import FINAL, TEXT_LIMIT, read
from tests.support import make
from tests.support.cases import Case, Expectation, HostSetup, play, transcript

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from probe.core.conversation import Action
    from probe.core.model import Session

# --- the oracle -----------------------------------------------------------------------------------------

ABOUT_US = (
    "blocked using zen.spamhaus.org",
    "Client host rejected: Access denied",
    f"your IP {make.OUR_IP} is not welcome",
    "Sender address rejected",
    "rejected by policy",
    "Helo command rejected",
    "too many connections from your host",
    "greylisted, come back later",
    "Sender verify failed",
    "authentication required",
    "poor reputation",
    "Must issue a STARTTLS command first",
    "cannot find your reverse hostname",
    f"<postmaster@{make.OUR_HELO}>",
    "SPF check failed",
    "the client is unknown",
    "IP frequency limited",
    "spam is not accepted",
    "directory harvest attack detected",
    "Absender unbekannt",
    "this mailbox does not accept mail from you",
    "your domain is unknown",
    "temporary lookup failure",
)
"""Whatever else stands beside one of these, the mailbox is not what was refused, or nobody can tell."""
ABOUT_MAILBOX = (
    "User unknown",
    "No such user here",
    "mailbox does not exist",
    "User unknown in local recipient table",
    "unknown or illegal alias",
    "Unrouteable address",
    "sorry, no mailbox here by that name",
    "Empfänger unbekannt",
    "this account has been disabled",
)
NEUTRAL = ("Sorry", "Requested action not taken", "see https://d.example/help?id=9", "<user@d.example>", "#77", "")
CODES_OF_MAILBOXES = ("5.1.1", "5.1.2", "5.1.10", "5.2.1")
OTHER_CODES = ("", "5.7.1", "5.1.8", "5.7.606", "5.0.0", "5.4.1")


class Refusal(NamedTuple):
    """A reply that was put together, and whether anything in it can mean the mailbox."""

    text: str
    may_be_missing: bool


@st.composite
def refusals(draw: st.DrawFn) -> Refusal:
    """Put a refusal together from fragments whose meaning is known, on one line or several."""
    us = draw(st.lists(st.sampled_from(ABOUT_US), max_size=1))
    mailbox = draw(st.lists(st.sampled_from(ABOUT_MAILBOX), max_size=2))
    fragments = draw(st.permutations([*us, *mailbox, draw(st.sampled_from(NEUTRAL))]))
    code = draw(st.sampled_from(["550", "554", "553", "450"]))
    enhanced = draw(st.sampled_from(CODES_OF_MAILBOXES + OTHER_CODES))
    glue = draw(st.sampled_from(["; ", ", ", ". ", ": ", " - ", "\n", "\r\n"]))
    lines = glue.join(fragments).replace("\r\n", "\n").split("\n")
    lines = [f"{code}-{enhanced} {line}".rstrip() for line in lines]
    lines[-1] = f"{code} {lines[-1][4:]}"
    named = bool(mailbox) or enhanced in CODES_OF_MAILBOXES
    return Refusal("\r\n".join(lines) + "\r\n", named and not us and code[0] == "5")


def reply(text: str) -> Reply:
    """Make the reply of a refusal, its bytes kept as the program keeps them."""
    lines = text.encode().decode("latin-1").splitlines()
    return Reply(int(lines[-1][:3]), tuple(lines), (), 0.0, 0.0)


@settings(max_examples=400)
@given(refusals())
def test_words_about_anybody_else_leave_no_mailbox(refusal: Refusal) -> None:
    reading = read(reply(refusal.text), Stage.RCPT, (make.OUR_IP, make.OUR_HELO))
    firm = reading.basis is not Basis.BASIC or reading.about in {About.FULL, About.NO_MAIL_DOMAIN}
    if reading.about in FINAL and firm and refusal.text[0] == "5":
        assert refusal.may_be_missing, reading
