"""What a real Exim did, recorded beside what we saw of the same mail hosts: for tests without root and without Exim.

    fixtures/logs/exim-4.96.jsonl   one line for each comparison of tests/full/test_exim.py

    python -m tests.support.record_exim          play all of them anew (as root, with exim4, about two minutes)
    python -m tests.support.record_exim NAME ... play those of these cases

A line holds the case, the options of either side, the relay's answer, the lines of Exim's main log, what its hints
database then held, and our evidence. Nothing is changed by hand. From the evidence the tape is left out where no
part of a report reads it, and times are rounded to a tenth of a millisecond.
"""

from __future__ import annotations

import multiprocessing
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from probe.codec import decode_evidence
from probe.core.model import Oddity, Session, Stage
from tests.support import exim
from tests.support.exim_scenarios import PLAYS, Play, case_of

if TYPE_CHECKING:
    from probe.core.model import Evidence

RECORDED = Path(__file__).parents[2] / "fixtures" / "logs" / "exim-4.96.jsonl"
AT_ONCE = 4
"""Comparisons at a time: most of their time is waiting."""


class Recording(Struct, frozen=True):
    """One line of the file."""

    play: Play
    answer: exim.Answer
    cache: dict[str, str]
    evidence: msgspec.Raw

    def seen(self) -> Evidence:
        """Give the evidence."""
        return decode_evidence(bytes(self.evidence), str(self.play))


def load() -> list[Recording]:
    """Read every recording."""
    return [msgspec.json.decode(line, type=Recording) for line in RECORDED.read_bytes().splitlines()]


def record(play: Play) -> Recording:
    """Play a comparison."""
    evidence, real = exim.both(case_of(play.name), play.callout, *play.options)
    answer = replace(real.answers[0], seconds=round(real.answers[0].seconds, 2))
    return Recording(play, answer, real.cache, msgspec.Raw(msgspec.json.encode(_rounded(_lean(evidence)))))


def _lean(evidence: Evidence) -> Evidence:
    """Leave the tape out where every reply came to its end and STARTTLS was not said."""
    hosts = tuple(
        replace(
            host, sessions=tuple(replace(s, tape=s.tape if _reads_tape(s) else ()) for s in host.sessions)
        )
        for host in evidence.hosts
    )
    return replace(evidence, hosts=hosts)


def _reads_tape(session: Session) -> bool:
    return any(
        item.stage is Stage.STARTTLS
        or (item.reply is not None and Oddity.UNTERMINATED in item.reply.oddities)
        for item in session.exchanges
    )


def _rounded(value: Any) -> Any:
    value = msgspec.to_builtins(value)
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(item) for item in value]
    return round(value, 4) if isinstance(value, float) else value


def main(names: list[str]) -> None:
    """Play what is named, or everything, and rewrite the file in the order of `PLAYS`."""
    known = {item.play: item for item in load()} if names else {}
    wanted = [play for play in PLAYS if not names or play.name in names]
    with multiprocessing.get_context("spawn").Pool(AT_ONCE) as pool:
        known |= {item.play: item for item in pool.imap_unordered(record, wanted)}
    lines = [msgspec.json.encode(known[play]) + b"\n" for play in PLAYS if play in known]
    RECORDED.write_bytes(b"".join(lines))


if __name__ == "__main__":
    main(sys.argv[1:])
