"""`probe-sender explain`: evidence judged again, and what a word means; without a network."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from probe.cli import EXIT_USAGE, UsageError
from probe.cli.options import check_view
from probe.cli.parsers import explanation
from probe.cli.probing import callout_of

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Sequence

    from probe.show.glossary.entry import Entry


def explain(argv: list[str]) -> int:
    """Judge saved evidence again, or explain a word."""
    args = explanation().parse_args(argv)
    check_view(args)
    if args.all:
        return _judge_all(args)
    if args.store is not None:
        raise UsageError("--store: it is for --all; a file of evidence is given by its name alone")
    from probe.cli.glossary import LISTS, meanings

    what = args.what
    if what is None or what.lower() in LISTS:
        _say_list(what.lower() if what else None, args)
        return 0
    if what == "-":
        return _judge_again(what, args)
    is_file = "/" in what or what.endswith((".json", ".jsonl"))
    # A word is one even where a file has its name: that one can be written ./WORD, the word not otherwise.
    entries = [] if is_file else meanings(what.lower())
    if not entries and os.path.exists(what):
        return _judge_again(what, args)
    if is_file:
        raise UsageError(f"{ascii(what)[:200]}: there is no such file; give one made with --save or --json")
    if not entries:
        raise UsageError(_unknown(what))
    _say_word(entries, args)
    return 0


def _judge_again(name: str, args: Namespace) -> int:
    from probe.cli.output import Printer
    from probe.codec import EvidenceError, decode_many
    from probe.core.classify import judge
    from probe.core.reasons import CAUSES, WORST_FIRST

    callout = callout_of(args)
    where = "standard input" if name == "-" else name
    try:
        documents = decode_many(_read(name), where)
    except EvidenceError as error:
        raise UsageError(str(error)) from None
    printer = Printer(args, several=len(documents) > 1)
    codes = []
    for evidence in documents:
        report = judge(evidence, callout)
        codes.append(CAUSES[report.cause][0])
        printer.show(report)
    return min(codes, key=WORST_FIRST.index)


def _judge_all(args: Namespace) -> int:
    """Judge the latest evidence of every address in the store, one after the other: there may be a million."""
    if args.what is not None:
        raise UsageError(f"--all: not together with {ascii(args.what)[:80]}; give one of them")
    if args.verbose or args.letter or args.format == "markdown":
        raise UsageError("--all: one line for each address; leave -v, --letter and --format markdown away")
    from contextlib import closing

    from probe.cli.keeping import kept, open_existing, path_of, report_of
    from probe.cli.log import collect_garbage
    from probe.cli.output import Printer

    callout = callout_of(args)
    store = open_existing(args)
    if store is None:
        raise UsageError(
            f"there is no store {path_of(args)!a} yet; a probe begins one, or name one with --store"
        )
    args.quiet = True
    printer = Printer(args, several=True)
    collect_garbage()
    lost = False
    with closing(store):
        for row in kept(store.everything()):
            report = None if row is None else report_of(row, store.path, callout)
            if report is None:
                lost = True
                continue
            printer.show(report)
            if printer.unread:
                break
    return EXIT_USAGE if lost else 0


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


def _say_word(entries: list[Entry], args: Namespace) -> None:
    """Print all that a word means."""
    from probe.cli.output import Printer
    from probe.show.glossary import entry

    form = _form(args)
    if form == "text":
        text = entry.as_text(entries)
    elif form == "markdown":
        text = entry.as_markdown(entries)
    else:
        text = _json([entry.as_object(entries)])
    Printer(args, several=False).write(text)


def _say_list(name: str | None, args: Namespace) -> None:
    """Print a list of words; without a name, that of causes and reasons."""
    from probe.cli.glossary import LISTS, listing
    from probe.cli.output import Printer
    from probe.show.glossary import entry

    form = _form(args)
    found = listing(name)
    if form == "text":
        text = entry.listing_as_text(found)
        if name is None:
            more = (f"  probe-sender explain {word:10} {what}\n" for word, what in LISTS.items())
            text += f"\nOther words:\n{''.join(more)}"
    elif form == "markdown":
        text = entry.listing_as_markdown(found)
    else:
        objects = entry.listing_as_objects(found)
        text = _json([objects] if form == "json" else objects)
    Printer(args, several=form == "jsonl").write(text)


def _json(documents: Sequence[object]) -> str:
    """Give one document a line."""
    import json

    return "".join(f"{json.dumps(document)}\n" for document in documents)


def _form(args: Namespace) -> str:
    """Give the format in which words are explained."""
    form: str = args.format
    if args.quiet or form == "csv":
        raise UsageError(
            "words are explained as text or with --json, jsonl or markdown; leave -q and csv away"
        )
    return form


def _unknown(word: str) -> str:
    import difflib

    from probe.cli.glossary import LISTS, words

    near = difflib.get_close_matches(word.lower(), [*words(), *LISTS], 1)
    mend = f"did you mean {near[0]}?" if near else "`probe-sender explain` lists the words"
    return f"{ascii(word)[:80]} is no file and no word that is known here; {mend}"
