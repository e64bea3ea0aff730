"""Exim's callout up to 4.88, all in verify.c: one message form for every stage, and 5xx before MAIL cached too.

Read in the source of about 4.84 and 4.87; that 4.69 is alike rests on its log lines of 2008. None could be run here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from probe.core.exim.cache import REJECTS_NULL
from probe.core.exim.reply import Fate, printing
from probe.core.exim.talk import Talk
from probe.core.exim.words import RANDOM, Blame
from probe.core.model import MtaOutcome, Stage

if TYPE_CHECKING:
    from typing import NoReturn

    from probe.core.exim.reply import Heard


class ClassicTalk(Talk):
    """One host's callout by 4.88 or earlier."""

    def not_connected(self, error: str) -> NoReturn:
        """End without a connection."""
        self.message = f"could not connect to {self.where}: {error}"
        self.end(MtaOutcome.DEFER)

    def not_greeted(self, command: str, heard: Heard) -> NoReturn:
        """End up to MAIL: a 5xx counts for the whole domain, whatever the command."""
        if heard.fate is Fate.REFUSED:
            # It notes "reject" first and overwrites that at once, because the sender is null.
            self.learn(domain=REJECTS_NULL)
        self._refused(command, heard, Blame.SETUP)

    def not_greeted_twice(self, command: str, heard: Heard, ehlo: str) -> NoReturn:  # noqa: ARG002 - not quoted
        """End at HELO as anywhere else."""
        self.not_greeted(command, heard)

    def without_tls(self) -> None:
        """Log the failed handshake (4.86 to 4.88)."""
        self.log.append(
            f"TLS session failure: delivering unencrypted to {self.where} (not in hosts_require_tls)"
        )

    def transact(self, ehlo: str) -> NoReturn:
        """Say MAIL and RCPT, one after the other."""
        heard = self.take(Stage.MAIL)
        if heard.fate is not Fate.POSITIVE:
            self.not_greeted(self.mail_command(ehlo), heard)
        self.learn(domain="accept")
        if self.callout.random:
            self._ask_random()
        command = f"RCPT TO:<{self.mailbox}>"
        heard = self.take(Stage.RCPT)
        if heard.fate is not Fate.POSITIVE:
            if heard.fate is Fate.REFUSED:
                self.learn(address=False)
            self._refused(command, heard)
        self.learn(address=True)
        if self.callout.asks_postmaster:
            self._ask_postmaster()
        self.accepted(command, heard.text)

    def _refused(self, command: str, heard: Heard, blame: Blame = Blame.ADDRESS) -> NoReturn:
        """End at a reply; a time-out, a reset and a malformed reply leave no message."""
        said = heard.text if heard.fate in {Fate.REFUSED, Fate.OTHER} else ""
        if heard.fate is Fate.CLOSED:
            said = "connection dropped"
        if said:
            self.message = f'response to "{command}" from {self.where} was: {printing(said)}'
        self.failed(command, heard, blame)

    def _ask_random(self) -> None:
        """Ask for a mailbox that cannot exist; whatever is said to it but 2xx, the real one is asked for next."""
        heard = self.random()
        command = f"RCPT TO:<{RANDOM}@{self.domain}>"
        if heard.fate is Fate.POSITIVE:
            self.learn(random=True)
            self.accepted(command, heard.text)
        if heard.fate is Fate.REFUSED:
            self.learn(random=False)
        elif heard.fate not in {Fate.OTHER, Fate.UNTOLD}:
            self._refused(command, heard)

    def _ask_postmaster(self) -> None:
        """Ask for the postmaster of a domain whose mailbox was accepted."""
        command, heard = "RSET", self.reset()
        if heard.fate is Fate.POSITIVE:
            command = f"RCPT TO:<postmaster@{self.domain}>"
            heard = self.audited(Stage.RCPT_POSTMASTER, Stage.RCPT_POSTMASTER_AGAIN)
            if heard.fate is Fate.POSITIVE:
                self.learn(postmaster=True)
                return
            if self.callout.fullpostmaster and heard.fate is not Fate.UNTOLD:
                self.notes.append(
                    f"{self.where}: Exim goes on to ask for <postmaster> without a domain; we did not."
                )
                self.end(None)
        if heard.fate is Fate.REFUSED:
            self.learn(postmaster=False)
        self._refused(command, heard, Blame.POSTMASTER)
