"""Commands that go out in one write (RFC 2920), and what becomes of their replies.

The replies come in the order of the commands. After one that the walk does not expect, the rest are to commands that
have become pointless. They are waited for and passed over, so that none passes for the answer to what is said
next. But 421 may be the last word (RFC 5321 3.8: the server closes): then nothing is waited for, QUIT follows at
once, and what still comes before the 221 is passed over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from probe.core.model import Reply, Stage


def written(command: str) -> tuple[bytes, str]:
    """Return a command line, and its text as bytes are kept everywhere: an SMTPUTF8 mailbox has others."""
    line = command.encode()
    return line + b"\r\n", command if len(line) == len(command) else line.decode("latin-1")


class Group:
    """The commands behind the one whose reply is waited for, as `ahead`, in order, each with its stage.

    `unread` counts the replies to come that hold back what is next.
    """

    __slots__ = ("_owed", "ahead", "unread")

    def __init__(self) -> None:
        self.unread = 0
        self.ahead: list[tuple[Stage, str]] = []
        self._owed = 0  # as `unread`, after 421

    def add(self, stage: Stage, command: str) -> None:
        """Take a command that goes out with those before it."""
        self.ahead.append((stage, command))

    def follow(self, after: Stage | None, reply: Reply) -> str | None:
        """Return the next command, whose reply is due now, if it is what follows `reply`; else give up the rest."""
        stage, command = self.ahead.pop(0)
        if after is stage:
            return command
        rest = len(self.ahead) + 1
        self.ahead.clear()
        if reply.code == 421:
            self._owed = rest
        else:
            self.unread = rest
        return None

    def passes_over(self, reply: Reply) -> bool:
        """Whether a reply belongs to one of the rest."""
        if self._owed and reply.code != 221:
            self._owed -= 1
            return True
        if not self.unread:
            return False
        self.unread -= 1
        if reply.code == 421:
            self._owed, self.unread = self.unread, 0
        return True
