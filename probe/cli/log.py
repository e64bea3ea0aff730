"""`probe-sender log [FILE ... | -]`: what a mail server's log says about sender verification."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from probe.cli import EXIT_INTERRUPTED, EXIT_USAGE, UsageError, complain, interrupt_gently
from probe.cli.logoptions import SHOWN, options
from probe.cli.options import check_view
from probe.cli.probing import callout_of, check_store

if TYPE_CHECKING:
    from argparse import Namespace
    from contextlib import ExitStack

    from probe.cli.output import Printer
    from probe.core.log.report import Group, LogReport
    from probe.core.log.triage import Triage
    from probe.core.model import Report
    from probe.run.engine import Engine
    from probe.run.logread import LogReader
    from probe.run.memory import Memory
    from probe.settings import Settings


def log(argv: list[str]) -> int:
    """Read logs, print the groups of failing senders. Exit code 0 when there is none, 1 when there are some."""
    args = options().parse_intermixed_args(argv)
    check_view(args)
    files = args.files or ["-"]
    if not args.files and sys.stdin is not None and sys.stdin.isatty():
        raise UsageError("give a log file, such as /var/log/exim_mainlog, or - for lines that you paste")
    if args.follow:
        from probe.cli.follow import follow

        return follow(args, files)
    check_store(args)
    if args.probe:
        _settings(args)  # what cannot work is said before the log is read
    elif args.fresh or args.no_store or args.store is not None:
        raise UsageError("--store, --no-store, --fresh: they are for --probe; add it, or leave them away")
    return _read(args, files)


def _read(args: Namespace, files: list[str]) -> int:
    from probe.run.logread import LogReader

    triage = triage_of(args)
    reader = LogReader(triage, complain, since=args.since)
    interrupted = False
    interrupt_gently()
    good = 0
    try:
        good = reader.read(files)
    except KeyboardInterrupt:
        interrupted = True
        complain("interrupted; this is what was read until then")
    if not good and not interrupted:
        return EXIT_USAGE
    reader.finish()
    report = report_of(args, triage, reader)
    if args.probe and not interrupted:
        report, interrupted = _probe(args, report)
    show(args, report)
    if interrupted:
        return EXIT_INTERRUPTED
    return 1 if report.failing else 0


def triage_of(args: Namespace, *, telling: bool = False) -> Triage:
    """Make the triage of what was asked for; with `telling`, one that tells of each new sender."""
    from probe.core.log.triage import Triage, Wanted

    return Triage(
        Wanted(
            sender=args.sender and args.sender.strip("<>").lower(),
            relay=args.relay,
            domain=args.domain and args.domain.lower().lstrip("@"),
        ),
        telling=telling,
    )


def report_of(args: Namespace, triage: Triage, reader: LogReader) -> LogReport:
    """Sum up what was read."""
    import msgspec

    from probe.core.classify import TOOL

    limit = args.limit
    if limit is None and (args.format in {"text", "markdown"} or args.probe):
        limit = SHOWN
    report = triage.report(
        lines=reader.lines,
        not_understood=reader.not_understood,
        samples=tuple(reader.samples),
        limit=limit or None,
        tool=TOOL,
        shows_mail=reader.shows_mail,
    )
    if reader.left_out:
        note = f"--since holds more lines than are kept: the {reader.left_out} oldest were left out"
        report = msgspec.structs.replace(report, notes=(*report.notes, note))
    return report


# --- what is printed ---------------------------------------------------------------------------------


def show(args: Namespace, report: LogReport) -> None:
    """Print a report in the form that was asked for."""
    from probe.show import triage as view

    printer = printer_of(args)
    if args.format == "json":
        from probe.codec import pretty

        printer.write(pretty(report) + "\n")
    elif args.format in {"jsonl", "csv"}:
        for piece in rows(args, report.groups):
            printer.write(piece)
    elif args.letter:
        from probe.show import letter
        from probe.show.letters import Reader

        letters = (letter.render(group, Reader(args.letter), redact=args.redact) for group in report.groups)
        printer.write(letter.BETWEEN.join(letters))
    elif args.format == "markdown":
        printer.write(view.markdown(report, verbose=args.verbose))
    else:
        from probe.cli.output import wants_color, width

        printer.write(view.render(report, verbose=args.verbose, color=wants_color(args.color), width=width()))


def rows(args: Namespace, groups: tuple[Group, ...], *, first: bool = True) -> list[str]:
    """Give the groups as lines of a machine."""
    if args.format == "csv":
        from probe.show import triage as view

        return [view.header(), *map(view.row, groups)] if first else list(map(view.row, groups))
    from probe.codec import encode

    return [encode(group).decode() + "\n" for group in groups]


def printer_of(args: Namespace) -> Printer:
    """Give what prints on standard output."""
    from probe.cli.output import Printer

    return Printer(args, several=False)


# --- --probe -----------------------------------------------------------------------------------------


def _settings(args: Namespace) -> Settings:
    from probe.cli.diagnose import settings_of

    return settings_of(args)


def _probe(args: Namespace, report: LogReport) -> tuple[LogReport, bool]:
    """Probe the sender of each group; the report with what came of it, and whether it was interrupted."""
    import asyncio

    import msgspec

    from probe.core.log.recheck import compare

    collect_garbage()
    reports: dict[str, Report] = {}
    try:
        asyncio.run(_reprobe(args, report, reports))
        interrupted = False
    except KeyboardInterrupt:
        interrupted = True
        complain("interrupted; the senders that were not probed yet show only what the log says")
    groups = tuple(
        msgspec.structs.replace(group, report=found, now=compare(group, found))
        if (found := reports.get(group.sender or "")) is not None
        else group
        for group in report.groups
    )
    return msgspec.structs.replace(report, groups=groups), interrupted


async def _reprobe(args: Namespace, report: LogReport, reports: dict[str, Report]) -> None:
    from contextlib import ExitStack, aclosing

    from probe.cli.progress import Progress, wanted
    from probe.run.engine import Engine
    from probe.run.reprobe import Reprobe

    senders = dict.fromkeys(group.sender for group in report.groups if group.sender)
    async with aclosing(Engine(_settings(args))) as engine:
        with ExitStack() as opened:
            run = Reprobe(
                engine,
                callout_of(args),
                reports,
                seed=int.from_bytes(os.urandom(4)),
                memory=_memory(args, engine, opened),
                tells=lambda sender, known: _tells(report, sender, known),
            )
            progress = Progress(run.status) if wanted(args) else None
            try:
                await run.run(senders)
            finally:
                if progress is not None:
                    progress.stop()
                for remark in run.remarks.values():
                    complain(remark)


def _memory(args: Namespace, engine: Engine, opened: ExitStack) -> Memory | None:
    """Give what the store remembers; None without one."""
    import time

    from probe.cli.keeping import closing_quietly, not_kept, open_store
    from probe.core.classify import judge
    from probe.net.store import StoreError
    from probe.net.store_writer import StoreWriter
    from probe.run.memory import Memory
    from probe.run.question import options_of

    store = open_store(args)
    if store is None:
        return None
    opened.callback(closing_quietly, store)
    try:
        writer = StoreWriter(store.path, lambda _: None)  # whoever closes it is told as well
    except StoreError as error:
        complain(not_kept(error))
        return None
    callout = callout_of(args)
    return Memory(
        store,
        writer,
        options_of(engine.settings, helo=engine.own_name()),
        engine.servers,
        lambda evidence: judge(evidence, callout),
        now=time.time,
        zero=time.time(),
        fresh=args.fresh,
    )


def _tells(report: LogReport, sender: str, known: Report) -> bool:
    """Whether a report out of the store can tell what became of each failure of a sender."""
    import time

    from probe.core.log.recheck import compare
    from probe.core.log.report import Now
    from probe.run.reprobe import stamped_at

    now = time.time()
    seen = now - (known.stored.age if known.stored else 0.0)
    offset = float(time.localtime(now).tm_gmtoff)
    for group in report.groups:
        if group.sender != sender or compare(group, known) is Now.STILL_SO:
            continue
        failed = stamped_at(group.last, now=now, offset=offset)
        if failed is None or seen <= failed:
            return False
    return True


def collect_garbage() -> None:
    """Collect it again from here on (see `probe.cli.console`): this may take long, and leaves cycles."""
    import gc

    gc.freeze()
    gc.enable()
