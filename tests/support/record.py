"""Recorded runs: evidence that the program saved in a world of `fixtures/cases`, and what is made of it.

    fixtures/recorded/NAME/evidence.json   what the program saved; nothing in it was changed by hand
                           verdict.json    the verdict on it
                           report.txt      the report on it, as `probe-sender explain` prints it

    python -m tests.support.record          judge every evidence again, rewrite verdicts and reports
    python -m tests.support.record NAME ... record these anew: other ports, times and TTLs

A change of wording or of rules shows up as a difference in these files, to be read before it is committed.
Evidence is recorded anew only when its schema changes: an old run that is still judged as it was is the point.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from probe.codec import decode_evidence, pretty
from probe.core.classify import judge
from probe.show import text
from tests.support import cases

if TYPE_CHECKING:
    from probe.core.model import Report

RECORDED = Path(__file__).parents[2] / "fixtures" / "recorded"

WORLDS = {
    "firewall": "connect-dead",
    "two-hosts": "connect-dead-then-good",
    "user-unknown-tls": "tls-unknown-user",
    "null-sender-refused": "mail-null-refused",
    "blocklisted": "said-blocklisted",
    "greylisted": "said-greylisted",
    "dns-servfail": "dns-servfail",
    "escapes-in-reply": "rcpt-escapes-unknown",
}
"""Which case each of them plays."""


def record(name: str) -> None:
    """Play the case and keep the evidence as `--save` wrote it, indented for whoever reads it."""
    case = cases.load(WORLDS[name])
    folder = RECORDED / name
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "evidence.json"
    cases.play(msgspec.structs.replace(case, options=[*case.options, "--save", str(file)]))
    file.write_text(pretty(decode_evidence(file.read_bytes(), str(file))) + "\n", encoding="utf-8")


def judged(name: str) -> Report:
    """Judge a recorded run."""
    file = RECORDED / name / "evidence.json"
    return judge(decode_evidence(file.read_bytes(), str(file)))


def verdict(report: Report) -> str:
    """Give what was concluded, without the argument, as JSON."""
    said = {
        "cause": report.cause,
        "reason": report.reason,
        "confidence": report.confidence,
        "side": report.side,
        "rule": report.rule,
        "summary": report.summary,
        "catch_all": report.catch_all,
        "hosts": [{"ip": host.ip, "reason": host.reason, "rule": host.rule} for host in report.hosts],
        "violations": [violation.id for violation in report.violations],
        "mta": report.mta,
    }
    return msgspec.json.format(msgspec.json.encode(said), indent=2).decode() + "\n"


def main(names: list[str]) -> None:
    """Record the runs that are named, and write what is made of all of them."""
    for name in names:
        record(name)
    for name in WORLDS:
        report = judged(name)
        (RECORDED / name / "verdict.json").write_text(verdict(report), encoding="utf-8")
        (RECORDED / name / "report.txt").write_text(text.render(report), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
