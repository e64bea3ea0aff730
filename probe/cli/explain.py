"""`probe-sender explain` and `probe-sender schema`: what needs no network."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from probe.cli import UsageError
from probe.cli.options import explanation, plain
from probe.core.model import Cause

if TYPE_CHECKING:
    from argparse import Namespace

    from probe.core.reasons import ReasonRow

MAX_FILE = 64 * 2**20
"""Evidence of one address is some tens of KiB; a larger file than this is something else."""


def schema(argv: list[str]) -> int:
    """Print the JSON Schema of the report."""
    plain("schema", "Print the JSON Schema of the report that --json prints.").parse_args(argv)
    import json

    from probe.codec import schema as report_schema

    print(json.dumps(report_schema(), indent=2))
    return 0


def explain(argv: list[str]) -> int:
    """Judge saved evidence again, or explain a word."""
    args = explanation().parse_args(argv)
    what = args.what
    if what is None:
        print(_everything())
        return 0
    if what != "-" and not os.path.exists(what):
        return _explain_word(what)
    return _judge_again(what, args)


def _judge_again(name: str, args: Namespace) -> int:
    from probe.cli.output import Printer
    from probe.codec import EvidenceError, decode_many
    from probe.core.classify import judge
    from probe.core.reasons import CAUSES, WORST_FIRST

    where = "standard input" if name == "-" else name
    try:
        documents = decode_many(_read(name), where)
    except EvidenceError as error:
        raise UsageError(str(error)) from None
    printer = Printer(args, several=len(documents) > 1)
    codes = []
    for evidence in documents:
        report = judge(evidence)
        printer.show(report)
        codes.append(CAUSES[report.cause][0])
    return min(codes, key=WORST_FIRST.index)


def _read(name: str) -> bytes:
    try:
        if name == "-":
            return sys.stdin.buffer.read(MAX_FILE + 1)
        with open(name, "rb") as file:
            return file.read(MAX_FILE + 1)
    except OSError as error:
        raise UsageError(f"{ascii(name)} cannot be read: {error.strerror}") from None


def _explain_word(word: str) -> int:
    from probe.core.reasons import CAUSES, REASONS

    if word in REASONS:
        print(_reason(REASONS[word]))
        return 0
    if word in {str(cause) for cause in Cause}:
        cause = Cause(word)
        code, means = CAUSES[cause]
        words = [row for row in REASONS.values() if row.cause is cause]
        lines = [f"{cause} (exit code {code})", "", f"  {means}", "", "Reasons:"]
        lines += [f"  {row.word:32} {row.means}" for row in words]
        print("\n".join(lines))
        return 0
    import difflib

    near = difflib.get_close_matches(word, [*REASONS, *Cause], 1)
    mend = f"did you mean {near[0]}?" if near else "`probe-sender explain` lists the words"
    raise UsageError(f"{ascii(word)[:80]} is no file, no cause and no reason; {mend}")


GENERAL = {
    "mailbox": "the sender's address",
    "domain": "the sender's domain",
    "host": "the mail host",
    "ip": "the mail host's IP",
    "port": "25",
    "local_ip": "our IP",
    "helo": "our HELO name",
    "mail_from": "our sender",
    "errno": "the error",
    "seconds": "some",
    "reply": "the reply",
}
"""What stands for the values of a case where a reason is explained without one."""


def _reason(row: ReasonRow) -> str:
    from probe.core.reasons import CAUSES
    from probe.core.sentences import fill

    code, means = CAUSES[row.cause]
    lines = [
        f"{row.word}",
        "",
        f"  {row.means.format_map(GENERAL)}",
        "",
        f"Cause      {row.cause} (exit code {code}): {means}",
        f"Who acts   {row.side}",
        f"Reference  {row.ref}",
        "",
        "Next steps:",
        *(f"  {n}. {who}: {fill(what, GENERAL)}" for n, (who, what) in enumerate(row.steps, 1)),
    ]
    return "\n".join(lines)


def _everything() -> str:
    from probe.core.reasons import CAUSES, REASONS

    lines = []
    for cause, (code, means) in CAUSES.items():
        lines.append(f"{cause} (exit code {code}): {means}")
        lines.extend(f"    {row.word}" for row in REASONS.values() if row.cause is cause)
    return "\n".join(lines)
