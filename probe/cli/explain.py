"""`probe-sender explain` and `probe-sender schema`: what needs no network."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from probe.cli import UsageError, say
from probe.cli.options import explanation, plain
from probe.core.model import Cause

if TYPE_CHECKING:
    from argparse import Namespace

    from probe.core.reasons import ReasonRow


def schema(argv: list[str]) -> int:
    """Print the JSON Schema of the report."""
    plain("schema", "Print the JSON Schema of the report that --json prints.").parse_args(argv)
    import json

    from probe.codec import schema as report_schema

    say(json.dumps(report_schema(), indent=2) + "\n")
    return 0


def explain(argv: list[str]) -> int:
    """Judge saved evidence again, or explain a word."""
    args = explanation().parse_args(argv)
    what = args.what
    if what is None:
        say(f"{_everything()}\n")
        return 0
    # A word is one even where a file has its name: that one can be written ./WORD, the word not otherwise.
    if what == "-" or (not _is_word(what) and os.path.exists(what)):
        return _judge_again(what, args)
    if "/" in what or what.endswith((".json", ".jsonl")):
        raise UsageError(f"{ascii(what)[:200]}: there is no such file; give one made with --save or --json")
    return _explain_word(what, args)


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
        codes.append(CAUSES[report.cause][0])
        printer.show(report)
    return min(codes, key=WORST_FIRST.index)


def _read(name: str) -> bytes:
    from probe.codec import SIZE_LIMIT

    if name == "-" and sys.stdin is None:
        raise UsageError("standard input is closed; give the name of a file, or pipe the evidence in")
    try:
        if name == "-":
            return sys.stdin.buffer.read(SIZE_LIMIT + 1)
        with open(name, "rb") as file:
            return file.read(SIZE_LIMIT + 1)
    except OSError as error:
        shown = "standard input" if name == "-" else ascii(name)
        mend = "give a file made with --save or --json"
        raise UsageError(f"{shown} cannot be read: {error.strerror}; {mend}") from None


def _is_word(what: str) -> bool:
    from probe.core.reasons import REASONS

    return what.lower() in REASONS or what.lower() in set(Cause)


def _explain_word(word: str, args: Namespace) -> int:
    from probe.core.reasons import REASONS

    if args.quiet or args.format not in {"text", "json", "jsonl"}:
        raise UsageError("a word is explained as text or with --json; leave the other output options away")
    known = word.lower()
    if known not in REASONS and known not in set(Cause):
        import difflib

        near = difflib.get_close_matches(known, [*REASONS, *Cause], 1)
        mend = f"did you mean {near[0]}?" if near else "`probe-sender explain` lists the words"
        raise UsageError(f"{ascii(word)[:80]} is no file, no cause and no reason; {mend}")
    if args.format == "text":
        say(_reason(REASONS[known]) if known in REASONS else _cause(Cause(known)))
        return 0
    import json

    say(json.dumps(_entry(known), ensure_ascii=True) + "\n")
    return 0


def _entry(word: str) -> dict[str, object]:
    """Give a cause or reason as JSON."""
    from probe.core.reasons import CAUSES, REASONS

    if word not in REASONS:
        code, means = CAUSES[Cause(word)]
        words = [row.word for row in REASONS.values() if row.cause == word]
        return {"cause": word, "exit": code, "means": means, "reasons": words}
    row = REASONS[word]
    return {
        "reason": word,
        "cause": row.cause,
        "exit": CAUSES[row.cause][0],
        "means": row.means.format_map(GENERAL),
        "side": row.side,
        "reference": row.ref,
        "next_steps": [{"who": who, "do": what.format_map(GENERAL)} for who, what in row.steps],
    }


def _cause(cause: Cause) -> str:
    from probe.core.reasons import CAUSES, REASONS

    code, means = CAUSES[cause]
    lines = [f"{cause} (exit code {code})", "", *_wrapped(f"  {means}", 2), "", "Reasons:"]
    for row in REASONS.values():
        if row.cause is cause:
            lines += _wrapped(f"  {row.word:30}  {row.means.format_map(GENERAL)}", 34)
    return "\n".join([*lines, ""])


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
    "awaited": "the answer",
    "reply": "the reply",
    "refuser": "the router that rejects",
    "refuser_at": "the hop that answers",
    "loop": "the routers in the loop",
}
"""What stands for the values of a case where a reason is explained without one."""


def _reason(row: ReasonRow) -> str:
    from probe.core.reasons import CAUSES
    from probe.show.wording import SIDES, WHO

    code, means = CAUSES[row.cause]
    lines = [
        row.word,
        "",
        *_wrapped(f"  {row.means.format_map(GENERAL)}", 2),
        "",
        *_wrapped(f"Cause      {row.cause} (exit code {code}): {means}", 11),
        f"Who acts   {SIDES[row.side]}",
        *_wrapped(f"Reference  {row.ref}", 11),
        "",
        "Next steps:",
    ]
    for number, (who, what) in enumerate(row.steps, 1):
        lines += _wrapped(f"  {number}. {WHO[who]}: {what.format_map(GENERAL)}", 5)
    return "\n".join([*lines, ""])


def _wrapped(line: str, indent: int) -> list[str]:
    """Break a line for 80 columns, its continuations set in by `indent`; never inside a word or option."""
    import textwrap

    return textwrap.wrap(line, 80, subsequent_indent=" " * indent, break_on_hyphens=False)


def _everything() -> str:
    from probe.core.reasons import CAUSES, REASONS

    lines = []
    for cause, (code, means) in CAUSES.items():
        lines.append(f"{cause} (exit code {code}): {means}")
        lines.extend(f"    {row.word}" for row in REASONS.values() if row.cause is cause)
    return "\n".join(lines)
