"""The values that a sentence about a host may hold, and how a peer's words are quoted in it."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from probe.core.model import Origin, Stage
from probe.core.network import Nearer, Path

if TYPE_CHECKING:
    from collections.abc import Callable

    from probe.core.facts import Grounds
    from probe.core.model import Evidence, HostEvidence, Reading

MAX_QUOTE = 200
"""Characters of a peer's words that a sentence quotes; the whole reply is in the evidence."""


def values(evidence: Evidence, host: HostEvidence | None, grounds: Grounds | None) -> dict[str, str]:
    """Give every field that a sentence of `rules.py` or `reasons.py` may name, as text."""
    return _Values(evidence, host, grounds)


class _Values(dict[str, str]):
    """The fields by name, each put into words when a sentence names it: most name three of two dozen."""

    def __init__(self, evidence: Evidence, host: HostEvidence | None, grounds: Grounds | None) -> None:
        self.evidence = evidence
        self.host = host
        self.grounds = grounds

    def __missing__(self, name: str) -> str:
        worded = self[name] = _WORDED[name](self)
        return worded

    @property
    def path(self) -> Path:
        return self.grounds.path if self.grounds else _NOWHERE


_NOWHERE = Path()


def _address_of_ours(of: _Values) -> str:
    connect = of.grounds.connect if of.grounds else None
    return (connect.local_ip if connect else None) or of.evidence.options.source or "this host"


def _said(of: _Values) -> str | None:
    reply = of.grounds.reply if of.grounds else None
    return f'"{quote(" / ".join(reply.lines))}"' if reply else None


def _awaited(of: _Values) -> str:
    if not of.grounds:
        return "the connection"
    return _AWAITED.get(of.grounds.stage or Stage.CONNECT, "the answer")


def _wait(reading: Reading | None) -> str:
    """Say after which time to come back: the one that the reply names, else what greylisting commonly takes."""
    if reading is None or reading.delay is None:
        return "5 to 15 minutes"
    minutes, seconds = divmod(reading.delay, 60)
    named = f"{minutes:.0f} min" if minutes and not seconds else f"{seconds_text(reading.delay)} s"
    return f"{named}, the time that it names"


def _so_far(path: Path) -> str:
    if not path.reached:
        return "leave this host, which is next to it,"
    return f"come as far as {hop_text(path.reached, path.reached_router)}, the last hop before the host,"


_ANSWERS = "{} of the same host answers"
_NO_ADDRESS = "its address is not known"


def hop_text(hop: int | None, router: str | None) -> str:
    """Name a hop, with its router where that said who it is."""
    if hop is None:
        return "an unknown hop"
    if hop == 0:
        return "this host"
    return f"hop {hop} ({router})" if router else f"hop {hop}"


def beyond_text(path: Path) -> str:
    """Name the far side of a place: the next hop that a control reached, or the host where none is known."""
    return "the host" if path.beyond is None else hop_text(path.beyond, path.beyond_router)


def refuser_text(path: Path) -> str:
    """Name the place of whoever refused the connection, or answered it in place of the host."""
    if path.refuser_hop is not None:
        return hop_text(path.refuser_hop, path.refuser_ip)
    if path.nearer in {Nearer.YES, Nearer.PROBABLY, Nearer.AT_ITS_DOOR}:
        return f"one of the hops {(path.reached or 0) + 1} to {path.beyond}"
    return path.refuser_ip or _NO_ADDRESS


_AWAITED = {
    Stage.CONNECT: "the connection",
    Stage.BANNER: "the greeting",
    Stage.EHLO: "the answer to EHLO",
    Stage.HELO: "the answer to HELO",
    Stage.MAIL: "the answer to MAIL",
    Stage.RCPT: "the answer to RCPT",
}
_WORDED: dict[str, Callable[[_Values], str]] = {
    "mailbox": lambda of: of.evidence.address.mailbox,
    "domain": lambda of: of.evidence.address.domain,
    "host": lambda of: _name(of.host) if of.host else of.evidence.address.domain,
    "ip": lambda of: of.host.ip if of.host else "the mail host",
    "port": lambda of: str(of.host.port if of.host else of.evidence.options.port),
    "seconds": lambda of: seconds_text(of.grounds.seconds if of.grounds else 0.0),
    "reply": lambda of: _said(of) or "nothing",
    "wait": lambda of: _wait(of.grounds.reading if of.grounds else None),
    "errno": lambda of: (of.grounds.detail if of.grounds else None) or _said(of) or "no detail",
    "awaited": _awaited,
    "local_ip": _address_of_ours,
    "helo": lambda of: of.evidence.options.helo or f"[{_address_of_ours(of)}]",
    "mail_from": lambda of: of.evidence.options.mail_from,
    # The hops and addresses that the packets showed.
    "after": lambda of: hop_text(of.path.reached, of.path.reached_router),
    "before": lambda of: beyond_text(of.path),
    "so_far": lambda of: _so_far(of.path),
    "target": lambda of: "further away" if of.path.distance is None else f"at hop {of.path.distance}",
    "control": lambda of: (
        "the same packets to other ports pass"
        if of.path.control is None
        else _ANSWERS.format(of.path.control)
    ),
    "refuser": lambda of: of.path.refuser_ip or _NO_ADDRESS,
    "refuser_at": lambda of: refuser_text(of.path),
    "loop": lambda of: " and ".join(of.path.loop),
    "canary": lambda of: of.path.canary or "no other mail host",
}
"""How each field is worded."""


def _name(host: HostEvidence) -> str:
    """Name a host; one that is known by its address only is named by the address beside it."""
    return "The mail host" if host.origin is Origin.LITERAL else host.name


def fill(sentence: str, fields: dict[str, str]) -> str:
    """Put the fields into a sentence of ours. Braces inside a field stay what they are."""
    return sentence.format_map(fields).replace(" The mail host [", " the mail host [")


def quote(text: str, limit: int = MAX_QUOTE) -> str:
    """Shorten a peer's words for a sentence, and read their bytes as UTF-8 where they are that.

    What they hold is made safe by the views; the bytes themselves stay in the evidence.
    """
    if not text.isascii():
        with suppress(UnicodeError):  # not UTF-8, or text of ours: it is shown as it is
            text = text.encode("latin-1").decode()
    return text if len(text) <= limit else text[: limit - 3] + "..."


def seconds_text(seconds: float) -> str:
    """Give a duration for people: 10, 2.5, 0.3."""
    return f"{seconds:.0f}" if seconds >= 10 else f"{seconds:.1f}".removesuffix(".0")
