"""The values that a sentence about a host may hold, and how a peer's words are quoted in it."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from probe.core.model import Origin, Stage
from probe.core.network import Nearer, Path

if TYPE_CHECKING:
    from probe.core.facts import Grounds
    from probe.core.model import Evidence, HostEvidence, Reading

MAX_QUOTE = 200
"""Characters of a peer's words that a sentence quotes; the whole reply is in the evidence."""


def values(evidence: Evidence, host: HostEvidence | None, grounds: Grounds | None) -> dict[str, str]:
    """Give every field that a sentence of `rules.py` or `reasons.py` may name, as text."""
    options, address = evidence.options, evidence.address
    connect = grounds.connect if grounds else None
    local_ip = (connect.local_ip if connect else None) or options.source or "this host"
    reply = grounds.reply if grounds else None
    said = f'"{quote(" / ".join(reply.lines))}"' if reply else None
    return {
        "mailbox": address.mailbox,
        "domain": address.domain,
        "host": _name(host) if host else address.domain,
        "ip": host.ip if host else "the mail host",
        "port": str(host.port if host else options.port),
        "seconds": seconds_text(grounds.seconds if grounds else 0.0),
        "reply": said or "nothing",
        "wait": _wait(grounds.reading if grounds else None),
        "errno": (grounds.detail if grounds else None) or said or "no detail",
        "awaited": _AWAITED.get(grounds.stage or Stage.CONNECT, "the answer")
        if grounds
        else "the connection",
        "local_ip": local_ip,
        "helo": options.helo or f"[{local_ip}]",
        "mail_from": options.mail_from,
        **_places(grounds.path if grounds else Path()),
    }


def _wait(reading: Reading | None) -> str:
    """Say after which time to come back: the one that the reply names, else what greylisting commonly takes."""
    if reading is None or reading.delay is None:
        return "5 to 15 minutes"
    minutes, seconds = divmod(reading.delay, 60)
    named = f"{minutes:.0f} min" if minutes and not seconds else f"{seconds_text(reading.delay)} s"
    return f"{named}, the time that it names"


def _places(path: Path) -> dict[str, str]:
    """Name the hops and addresses that the packets showed."""
    return {
        "after": hop_text(path.reached, path.reached_router),
        "before": beyond_text(path),
        "so_far": f"come as far as {hop_text(path.reached, path.reached_router)}, the last hop before the host,"
        if path.reached
        else "leave this host, which is next to it,",
        "target": "further away" if path.distance is None else f"at hop {path.distance}",
        "control": "the same packets to other ports pass"
        if path.control is None
        else _ANSWERS.format(path.control),
        "refuser": path.refuser_ip or _NO_ADDRESS,
        "refuser_at": refuser_text(path),
        "loop": " and ".join(path.loop),
        "canary": path.canary or "no other mail host",
    }


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
    with suppress(UnicodeError):  # not UTF-8, or text of ours: it is shown as it is
        text = text.encode("latin-1").decode()
    return text if len(text) <= limit else text[: limit - 3] + "..."


def seconds_text(seconds: float) -> str:
    """Give a duration for people: 10, 2.5, 0.3."""
    return f"{seconds:.0f}" if seconds >= 10 else f"{seconds:.1f}".removesuffix(".0")
