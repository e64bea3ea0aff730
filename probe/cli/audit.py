"""`probe-sender audit FILE`: which entries of a list of exempted relays are still needed."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

from probe.cli import UsageError, complain, interrupt_gently
from probe.cli.diagnose import settings_of
from probe.cli.listfile import decode, read
from probe.cli.options import Parser, RawPage
from probe.cli.output import Printer, wants_color, width
from probe.cli.preflight import form_option, saver_of, sender_options, view_options
from probe.core.exemption.iplist import MAX_TEXT, parse, style_of
from probe.core.exemption.listing import conclude, examine
from probe.core.exemption.ways import Style
from probe.run.listing import LogView, known_senders, probe
from probe.run.preflight import today

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable

    from probe.cli.progress import Progress
    from probe.core.exemption.iplist import Entry
    from probe.core.exemption.listing import ListReport, Sender
    from probe.core.model import Address
    from probe.settings import Settings

LIMIT = 100
"""Senders that are probed unless --limit says otherwise."""
EXAMPLES = """\
examples:
  probe-sender audit /etc/senderverifybypasshosts
      what is wrong in the list, and which entries that --write made are no
      longer needed
  probe-sender audit --log /var/log/exim_mainlog /etc/senderverifybypasshosts
      the senders of each relay from the log, and a callout to each of them
  probe-sender audit --no-probe --json sav_clients
      the list alone, for a script

exit codes:
  0 every entry is still needed, as far as can be told, and none is wrong
  1 some are not, or something in the list is to be changed
  2 bad input   130 interrupted
"""


def options() -> Parser:
    """Give the parser of `audit`."""
    parser = Parser(
        prog="probe-sender audit",
        usage="probe-sender audit [options] FILE|-",
        description="Read a list of relays that are exempted from sender verification (WHM's and\n"
        "Exim's lists, Postfix's cidr tables), find what is dead, double, covered, too\n"
        "broad, private or past its review, and call the senders again that the entries\n"
        "are for: those of the comments that preflight --write made, and with --log\n"
        "those that a log names. Nothing is edited.",
        epilog=EXAMPLES,
        formatter_class=RawPage,
        allow_abbrev=False,
    )
    parser.add_argument("file", metavar="FILE", help="the list; - for standard input")
    view_options(parser)
    reading = parser.add_argument_group("what to read")
    reading.add_argument(
        "--log",
        action="append",
        default=[],
        metavar="LOG",
        help="a log of Exim or Postfix, also compressed: who sends from these relays (repeatable)",
    )
    form_option(reading)
    probing = parser.add_argument_group("whom to call")
    probing.add_argument("--no-probe", action="store_true", help="call nobody; look at the list alone")
    probing.add_argument(
        "--limit", type=_number, default=LIMIT, metavar="N", help=f"senders to call at most (default {LIMIT})"
    )
    sender_options(parser)
    return parser


def audit(argv: list[str]) -> int:
    """Read a list, call its senders, print what was found. Exit code 0 when nothing is to be changed, 1 otherwise."""
    args = options().parse_args(argv)
    settings = settings_of(args)
    entries = parse(_text(args.file))
    style = Style(args.form) if args.form else style_of(entries, args.file)
    log = _log(args.log, entries)
    by_line, addresses = known_senders(entries, log.senders() if log is not None else {})
    probed = _probe(args, addresses, settings)
    drafts = examine(entries, style, today())
    report = conclude(drafts, by_line, probed, unseen=log.unseen() if log is not None else frozenset())
    _print(args, report)
    return 0 if report.in_order else 1


def _text(name: str) -> str:
    if name != "-":
        return read(name, "audit")[1]
    if sys.stdin is None:
        raise UsageError("audit: standard input is closed; give the name of a file")
    return decode(sys.stdin.buffer.read(MAX_TEXT + 1), "standard input", "audit")


def _log(names: list[str], entries: tuple[Entry, ...]) -> LogView | None:
    """Read the logs for the senders of the relays. One that cannot be read is said, and does not cost the others."""
    if not names:
        return None
    from probe.net.logfile import LogFileError, blocks

    view = LogView(entries)
    unread = 0
    for name in names:
        try:
            for lines in blocks(name, complain):
                view.read(lines.data, lines.begin, lines.end)
        except LogFileError as error:
            complain(str(error))
            unread += 1
    if unread == len(names):
        raise UsageError("--log: no log could be read; give one that can be, or leave --log away")
    return view


def _probe(args: Namespace, addresses: list[Address], settings: Settings) -> dict[str, Sender]:
    saver = saver_of(args)
    if args.no_probe or not addresses:
        return {}
    if len(addresses) > args.limit:
        more = len(addresses) - args.limit
        what = "sender is" if more == 1 else "senders are"
        complain(f"{more} {what} not probed; --limit allows {args.limit}")
    interrupt_gently()
    keep = None if saver is None else saver.save
    try:
        return asyncio.run(_watched(args, addresses[: args.limit], settings, keep))
    finally:
        if saver is not None:
            saver.finish()


async def _watched(
    args: Namespace, addresses: list[Address], settings: Settings, keep: Callable[..., None] | None
) -> dict[str, Sender]:
    from probe.cli.progress import Progress, wanted

    progress: list[Progress] = []

    def watch(status: Callable[[], str]) -> None:
        if wanted(args):
            progress.append(Progress(status))

    try:
        return await probe(addresses, settings, keep=keep, watch=watch)
    finally:
        for line in progress:
            line.clear()
            line.stop()


def _print(args: Namespace, report: ListReport) -> None:
    printer = Printer(args, several=False)
    if args.format == "json":
        from probe.codec import pretty

        printer.write(pretty(report) + "\n")
        return
    from probe.show import listing as show

    if args.format == "markdown":
        printer.write(show.markdown(report))
    elif args.quiet:
        printer.write(show.quiet(report))
    else:
        printer.write(show.render(report, color=wants_color(args.color), width=width()))


def _number(text: str) -> int:
    from argparse import ArgumentTypeError

    if text.isascii() and text.isdigit() and len(text) <= 6 and int(text) > 0:
        return int(text)
    raise ArgumentTypeError(f"{text[:40]!r} is no number of senders; give 1 or more")
