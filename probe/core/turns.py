"""The sessions of one connection that serves several mailboxes: whose evidence is what.

Each mailbox gets a session that stands alone: the opening of the connection, which all share, its own exchanges, and
the farewell. Marks are places on the tape (`Recorder.mark`), or in the list of exchanges.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from probe.core.model import Direction, Exchange, Session, Stage, Tape

if TYPE_CHECKING:
    from probe.core.model import Connect, Purpose, TcpInfo, Tls
    from probe.core.tape import Recorder


class Around(NamedTuple):
    """What the sessions of one connection have in common besides their exchanges (see `Session`)."""

    purpose: Purpose
    connect: Connect
    tls: Tls | None
    tcp: TcpInfo | None
    soft_error: str | None


class _Turn(NamedTuple):
    """What belongs to one mailbox that was asked for before the present one."""

    mailbox: str
    exchanges: tuple[Exchange, ...]
    tape: tuple[int, int]


class Turns:
    """The mailboxes of one connection, in turn. It is made when the first transaction begins: so far all share.

    It is false until the second one's turn begins.
    """

    __slots__ = ("_began", "_opening", "_opening_tape", "_parted", "_past", "_tape")

    def __init__(self, tape: Recorder, exchanges: list[Exchange]) -> None:
        self._tape = tape
        self._past: list[_Turn] = []
        self._opening = len(exchanges)
        self._opening_tape = self._began = tape.mark()  # where the tape of the present mailbox begins
        self._parted: int | None = None  # where the farewell begins, once there is one

    def __bool__(self) -> bool:
        return bool(self._past)

    def turn(self, mailbox: str, exchanges: list[Exchange]) -> None:
        """End the turn of a mailbox, and take its exchanges out of the list."""
        begin = self._tape.mark()
        self._past.append(_Turn(mailbox, tuple(exchanges[self._opening :]), (self._began, begin)))
        del exchanges[self._opening :]
        self._tape.renew()
        self._began = begin

    def part(self) -> None:
        """Take it that the farewell begins, or whatever else ended the connection."""
        if self._past and self._parted is None:
            self._parted = self._tape.mark()

    def sessions(
        self, around: Around, present: str | None, exchanges: tuple[Exchange, ...]
    ) -> tuple[tuple[str, Session], ...]:
        """Return each mailbox with its session; `present` is None if the last one was not asked for after all."""
        tape, dropped = self._tape, self._tape.dropped
        purpose, connect, tls, tcp, soft_error = around
        shared, shared_tape = exchanges[: self._opening], tape.entries(0, self._opening_tape)
        own = exchanges[self._opening :]
        farewell = _farewell(own)
        parted = self._parted if self._parted is not None else tape.mark()
        if present is None:
            parted = self._began
            turns = self._past
        else:
            asked = tuple([exchange for exchange in own if exchange.stage not in _FAREWELL])
            turns = [*self._past, _Turn(present, asked, (self._began, parted))]
        last_words = tape.entries(parted)
        found = []
        for number, (mailbox, part, span) in enumerate(turns):
            entries = tape.entries(*span)
            told = (*shared, *part, *farewell)
            taped = (*shared_tape, *_between(number, entries), *entries, *last_words)
            session = Session(purpose, connect, told, tls, taped, dropped, tcp, soft_error, number)
            found.append((mailbox, session))
        return tuple(found)


_FAREWELL = frozenset({Stage.QUIT, Stage.EXTRA})


def _farewell(own: tuple[Exchange, ...]) -> tuple[Exchange, ...]:
    """Return how a connection of several mailboxes ended, as it stands in the session of each.

    A reply too many may belong to any of them, whenever it came: it stands behind QUIT. 421 may come unasked.
    """
    ends = [exchange for exchange in own if exchange.stage in _FAREWELL]
    at = next((n for n, exchange in enumerate(ends) if exchange.stage is Stage.QUIT), 0)
    early = [(e, e.reply is not None and e.reply.code == 421) for e in ends[:at]]
    goodbyes = [exchange for exchange, goodbye in early if goodbye]
    return (*goodbyes, *ends[at:], *(exchange for exchange, goodbye in early if not goodbye))


def _between(number: int, tape: tuple[Tape, ...]) -> tuple[Tape, ...]:
    """Say on the tape of a mailbox that others were asked for before it, between the opening and its own part."""
    if not number or not tape:
        return ()
    others = "1 other address" if number == 1 else f"{number} other addresses"
    return (Tape(tape[0].t, tape[0].t, Direction.NOTE, f"after {others}", tape[0].secure),)
