"""`probe-sender history ADDRESS`: what the store has of an address, judged by the rules of today."""

from __future__ import annotations

from typing import TYPE_CHECKING

from probe.cli import EXIT_USAGE, UsageError, complain
from probe.cli.parsers import past
from probe.cli.probing import callout_of

if TYPE_CHECKING:
    from argparse import Namespace

    from probe.core.model import Report

EXIT_UNKNOWN = 1
"""Nothing is known of the address."""


def history(argv: list[str]) -> int:
    """Print what is kept of an address, newest first. Exit code 1 where that is nothing."""
    args = past().parse_args(argv)
    reports, lost = _reports(args)
    if not reports and not lost:
        complain(f"nothing is kept of {args.address!a}; probe-sender {ascii(args.address)[1:-1]} asks")
        return EXIT_UNKNOWN
    from probe.cli.output import Printer, width

    args.letter = None
    args.quiet = args.verbose = False
    printer = Printer(args, several=True)
    if args.format != "text":
        for report in reports:
            printer.show(report)
    elif reports:
        from probe.show import history as view

        printer.write(view.render(reports, width=width()))
    return EXIT_USAGE if lost else 0


def _reports(args: Namespace) -> tuple[list[Report], bool]:
    """Give what can be read, newest first, each with what came before it; and whether some cannot be."""
    from contextlib import closing

    from msgspec.structs import replace

    from probe.cli.keeping import earlier_of, kept, open_existing, report_of
    from probe.core.address import AddressError, parse
    from probe.core.expiry import key
    from probe.net.store import StoreError

    try:
        mailbox = parse(args.address).mailbox
    except AddressError as error:
        raise UsageError(str(error)) from None
    callout = callout_of(args)
    store = open_existing(args)
    if store is None:
        return [], False
    try:
        with closing(store):
            rows = list(kept(store.history(mailbox)))
    except StoreError as error:  # not of one evidence, which `kept` leaves out: of the tables
        raise UsageError(str(error)) from None
    found = [None if row is None else report_of(row, store.path, callout) for row in rows]
    reports: list[Report] = []
    before: dict[str, Report] = {}
    for report in reversed([report for report in found if report is not None]):
        asked = key(report.evidence.options)  # another question is no change of the answer
        reports.append(replace(report, earlier=earlier_of(before[asked]) if asked in before else None))
        before[asked] = report
    return reports[::-1], None in found
