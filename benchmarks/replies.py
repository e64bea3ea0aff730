"""How well refusals are read: `python benchmarks/replies.py FILE.jsonl [-v]`.

The file holds one labelled reply per line, as JSON with the keys text, code, enhanced, stage and label.
A code of null means that the text is a fragment without its code: it is then read as a 550, or as a 450 if
its enhanced code says so, with that code in front. `unknown` and `data` are read as RCPT, because a callout
has no DATA and hosts give the same refusals there; `connect` is the banner.

Printed are the figures that matter and the confusion table: labels down, readings across under the same
numbers. `-v` adds the replies that were misread. Exit code 0; 2 when the file cannot be read.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple, TypedDict

from probe.core import phrases
from probe.core.model import About, Reading, Reply, Stage

STAGES = {
    "connect": Stage.BANNER,
    "helo": Stage.EHLO,
    "mail": Stage.MAIL,
    "rcpt": Stage.RCPT,
    "data": Stage.RCPT,
    "unknown": Stage.RCPT,
}
LABELS = {
    About.MISSING_MAILBOX: "missing_mailbox",
    About.MISSING_DOMAIN: "missing_domain",
    About.NO_MAIL_DOMAIN: "missing_domain",
    About.NO_MAIL_HOST: "missing_domain",
    About.DISABLED: "mailbox_disabled",
    About.FULL: "mailbox_full",
    About.POLICY: "policy_block",
    About.BLOCKLIST: "policy_block",
    About.OUR_SENDER: "policy_block",
    About.RATE: "rate_limited",
    About.GREYLIST: "greylisted",
    About.NULL_SENDER: "null_sender_refused",
    About.RELAY: "relay_denied",
    About.TLS: "tls_required",
    About.AUTH: "auth_required",
    About.HELO: "helo_rejected",
    About.RDNS: "rdns_required",
    About.TEMPORARY: "temporary_failure",
    About.PROTOCOL: "protocol_error",
    About.CONTENT: "content_or_size",
    About.OTHER: "other",
}
MISSING = "missing_mailbox"
POLICY = "policy_block"


class Case(NamedTuple):
    """One labelled reply and how it was read."""

    text: str
    label: str
    reading: Reading

    @property
    def read_as(self) -> str:
        """The reading in the words of the labels."""
        return LABELS[self.reading.about]


class Row(TypedDict):
    """One labelled reply, as the file has it."""

    text: str
    code: int | None
    enhanced: str | None
    stage: str
    label: str


def reply_of(row: Row) -> Reply:
    """Build the reply of one labelled row."""
    text, code, enhanced = row["text"], row["code"], row["enhanced"]
    if code is None:
        code = 450 if (enhanced or "5").startswith("4") else 550
        if enhanced and enhanced not in text:
            text = f"{enhanced} {text}"
    if not text.startswith(str(code)):
        text = f"{code} {text}"
    lines = tuple(line.encode().decode("latin-1") for line in re.split(r"\r?\n", text))
    return Reply(code, lines, (), 0.0, 0.0)


def share(part: int, whole: int) -> str:
    """Write a share with its counts."""
    return f"{100 * part / whole:5.1f} %  ({part} of {whole})" if whole else "    -"


def figures(cases: list[Case]) -> str:
    """Sum the cases up: recall and precision of a missing mailbox, policy called missing, exact share."""
    missing = [c for c in cases if c.label == MISSING]
    called = [c for c in cases if c.read_as == MISSING]
    policy = [c for c in cases if c.label == POLICY]
    hit = sum(c.read_as == MISSING for c in missing)
    rows = (
        ("recall of missing mailbox", hit, len(missing)),
        ("precision of missing mailbox", hit, len(called)),
        ("policy blocks called missing", sum(c.read_as == MISSING for c in policy), len(policy)),
        ("exact label", sum(c.read_as == c.label for c in cases), len(cases)),
    )
    return "\n".join(f"{name:30}{share(part, whole)}" for name, part, whole in rows)


def confusion(cases: list[Case]) -> str:
    """Draw the table of labels (down) against readings (across, by number)."""
    names = sorted({c.label for c in cases} | {c.read_as for c in cases})
    counts = Counter((c.label, c.read_as) for c in cases)
    head = " " * 24 + "".join(f"{number:>4}" for number in range(1, len(names) + 1))
    lines = [head]
    for number, label in enumerate(names, 1):
        cells = "".join(f"{counts[label, name] or '.':>4}" for name in names)
        lines.append(f"{number:>3} {label:20}{cells}")
    return "\n".join(lines)


def main(argv: list[str]) -> int:
    """Read the file, read the replies, print what came of it."""
    parser = argparse.ArgumentParser(description="Measure how well labelled refusals are read.")
    parser.add_argument("file", type=Path, metavar="FILE.jsonl")
    parser.add_argument("-v", "--verbose", action="store_true", help="list the replies that were misread")
    options = parser.parse_args(argv)
    try:
        rows: list[Row] = [
            json.loads(line) for line in options.file.read_text("utf-8").splitlines() if line.strip()
        ]
        replies = [(row, reply_of(row), STAGES[row["stage"]]) for row in rows]
    except (OSError, ValueError, KeyError, TypeError) as error:
        print(f"replies: {options.file}: {error}", file=sys.stderr)
        return 2
    began = time.perf_counter()
    cases = [Case(row["text"], row["label"], phrases.read(reply, stage)) for row, reply, stage in replies]
    spent = time.perf_counter() - began
    print(figures(cases), "", confusion(cases), "", sep="\n")
    print(f"{len(cases)} replies read in {1000 * spent:.0f} ms, the table parsed")
    if options.verbose:
        for case in cases:
            if case.label != case.read_as:
                print(f"\n{case.label} read as {case.read_as} by {case.reading.row} ({case.reading.words!r})")
                print(f"    {case.text}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
