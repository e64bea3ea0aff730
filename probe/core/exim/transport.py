"""Exim's callout since 4.89, which shares the code of the smtp transport (smtp.c under verify.c).

What its log says by accident is said here too, because an admin will look for those words: MAIL deferred leaves
no message at all (`NULL`), a message that an earlier host left is not replaced at MAIL, and the relay is told of
`QUIT` where the greeting was refused. All of it was seen in the log of 4.96.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from probe.core.exim.cache import REJECTS_NULL
from probe.core.exim.reply import Fate, after_helo, offers, printing
from probe.core.exim.talk import Talk
from probe.core.exim.words import RANDOM, TLS_WORDS, Blame
from probe.core.model import MtaOutcome, Stage

if TYPE_CHECKING:
    from typing import NoReturn

    from probe.core.exim.reply import Heard


class TransportTalk(Talk):
    """One host's callout by 4.89 or later."""

    def not_connected(self, error: str) -> NoReturn:
        """End without a connection: the error is all that is said."""
        self.message = error
        self.end(MtaOutcome.DEFER)

    def not_greeted(self, command: str, heard: Heard) -> NoReturn:
        """End before MAIL (check_response)."""
        what = f"{'pipelined ' if self.pipelining else ''}{command}"
        text = printing(heard.text.lstrip())
        if heard.fate is Fate.TIMEOUT:
            self.message = f"SMTP timeout after {what}"
        elif heard.fate in {Fate.CLOSED, Fate.RESET} and not text:
            self.message = f"Remote host closed connection in response to {what}"
        elif heard.fate is Fate.MALFORMED:
            empty = "" if text else "(an empty line) "
            self.message = f"Malformed SMTP reply {empty}in response to {what}" + (
                f": {text}" if text else ""
            )
        else:
            self.message = f"SMTP error from remote mail server after {what}: {text}"
        # Its QUIT has taken the place of the command by the time it tells the relay.
        self.failed("QUIT", heard)

    def not_greeted_twice(self, command: str, heard: Heard, ehlo: str) -> NoReturn:
        """End at HELO; where the host hung up there, what it said to EHLO is quoted, line ends and all."""
        if heard.fate in {Fate.CLOSED, Fate.RESET} and not heard.text:
            self.message = (
                f"Remote host closed connection in response to {command} (EHLO response was: {ehlo})"
            )
            self.end(MtaOutcome.DEFER)
        self.not_greeted(command, replace(heard, text=after_helo(ehlo, heard.text) if heard.text else ""))

    def without_tls(self) -> None:
        """Leave the message of the failed handshake behind."""
        self.message = f"TLS session: {TLS_WORDS}"
        self.log.append(f"{self.message}: callout unencrypted to {self.where} (not in hosts_require_tls)")

    def transact(self, ehlo: str) -> NoReturn:
        """Say MAIL and RCPT (smtp_write_mail_and_rcpt_cmds, sync_responses)."""
        self.pipelining = offers(ehlo, "PIPELINING")
        self.learn(domain="accept")
        command = self.mail_command(ehlo)
        heard = self.take(Stage.MAIL)
        if heard.fate is not Fate.POSITIVE:
            self._mail_failed(command, heard)
        told = not self.callout.random or self._ask_random()
        command = f"RCPT TO:<{self.mailbox}>"
        heard = self.take(Stage.RCPT)
        if heard.fate not in {Fate.POSITIVE, Fate.REFUSED}:
            # Whoever does not answer for the mailbox has not answered for the random one before it either.
            self._rcpt_failed(command if told else self._random_command(), heard)
        known = heard.fate is Fate.POSITIVE
        self.learn(address=known)
        if not known:
            self._say_of_rcpt(command, heard)
        if self.callout.asks_postmaster:
            self._ask_postmaster(known=known)
        if known:
            self.accepted(command, heard.text)
        self.failed(command, heard)

    def _mail_failed(self, command: str, heard: Heard) -> NoReturn:
        deferred = heard.fate is Fate.OTHER and heard.text.startswith("4")
        if heard.fate in {Fate.CLOSED, Fate.REFUSED, Fate.OTHER} and not deferred:
            self._say_if_silent(
                f'response to "{command}" was: {printing(heard.text) or "connection dropped"}'
            )
        if heard.fate is not Fate.REFUSED or self.callout.random:
            # Where a random mailbox was to be asked for first, it forgets that this was MAIL.
            self.failed(command, heard)
        self.learn(domain=REJECTS_NULL)
        self.failed(command, heard, Blame.SETUP)

    def _rcpt_failed(self, command: str, heard: Heard) -> NoReturn:
        self._say_of_rcpt(command, heard)
        self.failed(command, heard)

    def _say_of_rcpt(self, command: str, heard: Heard) -> None:
        if heard.fate is Fate.TIMEOUT:
            self.message = f"SMTP timeout after {command}"
        elif heard.fate in {Fate.REFUSED, Fate.OTHER}:
            self.message = f"SMTP error from remote mail server after {command}: {printing(heard.text)}"
        elif heard.fate is Fate.CLOSED:
            self._say_if_silent(f'response to "{command}" was: connection dropped')

    def _say_if_silent(self, message: str) -> None:
        """Take a message only where none is left of what failed before (`if (!addr->message)` of verify.c)."""
        if self.message is None:
            self.message = message

    def _random_command(self) -> str:
        return f"RCPT TO:<{RANDOM}@{self.domain}>"

    def _ask_random(self) -> bool:
        """Ask for a mailbox that cannot exist, before the real one; return whether it is known what that gives."""
        heard = self.random()
        if heard.fate is Fate.UNTOLD:
            return False
        if heard.fate is Fate.POSITIVE:
            self.learn(random=True)
            self.accepted(self._random_command(), heard.text)
        if heard.fate is not Fate.REFUSED:
            self._rcpt_failed(self._random_command(), heard)
        self.learn(random=False)
        return True

    def _ask_postmaster(self, *, known: bool) -> NoReturn:
        """Ask for the postmaster, whether the mailbox is `known` or was refused; that answer then decides.

        Where the mailbox was refused and the postmaster is accepted, the refusal stands, and the relay is told of
        the wrong command.
        """
        reset = self.reset()
        if reset.fate is not Fate.POSITIVE:
            if reset.fate in {Fate.REFUSED, Fate.OTHER, Fate.CLOSED}:
                self._say_if_silent(f'response to "RSET" was: {printing(reset.text) or "connection dropped"}')
            self.failed("RSET", reset)
        command = f"RCPT TO:<postmaster@{self.domain}>"
        heard = self.audited(Stage.RCPT_POSTMASTER, Stage.RCPT_POSTMASTER_AGAIN)
        if heard.fate is Fate.POSITIVE:
            self.learn(postmaster=True)
            if known:
                self.accepted(command, heard.text)
            self.end(MtaOutcome.REJECT, sent=command, response=heard.text)
        if self.callout.fullpostmaster and heard.fate is not Fate.UNTOLD:
            self.notes.append(
                f"{self.where}: Exim goes on to ask for <postmaster> without a domain; we did not."
            )
            self.end(None)
        self._say_of_rcpt(command, heard)
        if heard.fate is Fate.REFUSED:
            self.learn(postmaster=False)
        self.failed(command, heard, Blame.POSTMASTER)
