"""`probe-sender log --follow FILE`: each sender as it begins to fail, until Ctrl-C."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from probe.cli import EXIT_INTERRUPTED, UsageError, complain, interrupt_gently
from probe.cli.log import collect_garbage, printer_of, report_of, rows, show, triage_of

if TYPE_CHECKING:
    from argparse import Namespace

    from probe.cli.output import Printer
    from probe.core.log.report import Group

LOOK = 0.5
"""Seconds between two looks at a log that is followed."""


def follow(args: Namespace, files: list[str]) -> int:
    """Report each sender that begins to fail, until Ctrl-C; then the groups of all that was seen."""
    from probe.net.follow import Follower
    from probe.net.logfile import LogFileError
    from probe.net.sift import whole_lines
    from probe.run.logread import LogReader

    if args.probe:
        raise UsageError("--follow: not together with --probe; probe the senders that it reports")
    if len(files) > 1 or files == ["-"]:
        raise UsageError("--follow: give the one log file that grows, such as /var/log/exim_mainlog")
    collect_garbage()
    triage = triage_of(args, telling=True)
    after = None if args.since is None else _wall_clock() - args.since
    reader = LogReader(triage, complain, after=after)
    try:
        follower = Follower(files[0], from_start=args.since is not None)
    except LogFileError as error:
        raise UsageError(str(error)) from None
    printer = printer_of(args)
    told = 0
    interrupt_gently()
    try:
        while not printer.unread:
            block = follower.poll()
            if block:
                reader.dated("-")
                reader.take(whole_lines(block))
            else:
                triage.settle()
            for group in triage.fresh():
                told = _tell(args, printer, group, told)
            if not block:
                time.sleep(LOOK)
    except KeyboardInterrupt:
        triage.settle()
        for group in triage.fresh():
            told = _tell(args, printer, group, told)
        if args.format in {"text", "markdown"}:
            printer.write("\n")
            show(args, report_of(args, triage, reader))
        return EXIT_INTERRUPTED
    finally:
        follower.close()
    return 1 if told else 0


def _tell(args: Namespace, printer: Printer, group: Group, told: int) -> int:
    """Print a sender that is new; how many there have been."""
    if args.format == "text":
        from probe.cli.output import wants_color, width
        from probe.show import triage as view

        shown = view.group(group, color=wants_color(args.color), width=width())
        printer.write(("\n" if told else "") + shown)
    elif args.format == "markdown":
        from probe.show import triage as view

        printer.write(("\n" if told else "") + view.markdown_group(group) + "\n")
    else:
        printer.write("".join(rows(args, (group,), first=not told)))
    return told + 1


def _wall_clock() -> float:
    """Give the time of our clock as a log without zones has it: local time, read as UTC."""
    import calendar

    return float(calendar.timegm(time.localtime()))
