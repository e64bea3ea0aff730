"""The command line of `batch`: what can be said, its defaults and its help."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from probe.cli import UsageError
from probe.cli.options import Parser, RawPage, one_of, seconds
from probe.cli.probing import check_store, probe_options, server_options, store_options

if TYPE_CHECKING:
    from collections.abc import Callable

CONCURRENCY = 500
PER_HOST = 2
GAP = 0.5
PER_PROVIDER = 10
PER_CONNECTION = 50
PER_DAY = 1000

EXAMPLES = """\
examples:
  probe-sender batch senders.txt -o results.jsonl
      one address a line; the same command again goes on where it was stopped
  probe-sender batch --column Sender --format csv export.csv > results.csv
      a column of a table, and a table as the result
  probe-sender log --format jsonl exim_mainlog | probe-sender batch - --fresh
      the senders that a log names, asked anew
  probe-sender batch --format markdown senders.txt > ticket.md
      a summary for a ticket
  probe-sender batch --dry-run senders.txt
      whom it would ask, how often, and how long that takes

exit codes:
  0 every line has its result, whatever it is
  2 bad input: nothing to ask, a line that is no address, a file that cannot be
    read or written
  3 an address has no result through a fault of this program
  130 interrupted; what was finished is written
"""


def options() -> Parser:
    """Give the parser of `batch`."""
    parser = Parser(
        prog="probe-sender batch",
        usage="probe-sender batch [options] FILE|-",
        description="Why would callouts to these addresses fail? Asks thousands at a time, politely:\n"
        "few connections to each mail host, and none again for what the store still knows.\n"
        "The file has one address a line, or is a table (CSV with a header, or --column),\n"
        "or JSON Lines, also compressed with gzip.",
        epilog=EXAMPLES,
        formatter_class=RawPage,
        allow_abbrev=False,
    )
    parser.add_argument("file", metavar="FILE", help="the addresses; - for standard input")
    parser.add_argument(
        "--column",
        metavar="NAME|N",
        help="the column with the addresses, or the key of JSON Lines (default: one called address, sender, email"
        " or the like)",
    )
    _output_options(parser)
    how = probe_options(parser)
    how.add_argument(
        "--catch-all",
        action="store_true",
        help="also try a random local part, once for each domain (off: it costs the prober reputation)",
    )
    _pace_options(parser)
    store_options(parser, answers=True)
    server_options(parser)
    parser.set_defaults(audit=False, save=None, verbose=False)
    return parser


def _output_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("output")
    group.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        help="append the results to FILE; addresses that have one there are not asked again",
    )
    group.add_argument(
        "--format",
        type=one_of("jsonl", "csv", "markdown"),
        metavar="jsonl|csv|markdown",
        help="JSON Lines, a table, or a summary of all (default jsonl)",
    )
    group.add_argument(
        "--json", action="store_const", const="jsonl", dest="format", help="the same as --format jsonl"
    )
    group.add_argument(
        "--ordered",
        action="store_true",
        help="results in the order of the input, not in that in which they come",
    )
    group.add_argument(
        "--dry-run", action="store_true", help="only look up the mail hosts and print the plan"
    )
    group.add_argument(
        "-q", "--quiet", action="store_true", help="no progress and no table of causes at the end"
    )


def _pace_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("how fast (mail hosts see these limits together, whatever runs here)")
    for name, default, most, what in (
        ("--concurrency", CONCURRENCY, 20000, "probes at once"),
        ("--per-host", PER_HOST, 100, "connections to one mail host address at once"),
        ("--per-provider", PER_PROVIDER, 1000, "connections to the mail hosts of one organisation at once"),
        ("--per-connection", PER_CONNECTION, 1000, "addresses asked over one connection"),
        ("--per-day", PER_DAY, 1000000, "connections to one mail host address in a day"),
    ):
        group.add_argument(
            name, type=_number(most), default=default, metavar="N", help=f"{what} (default {default})"
        )
    group.add_argument(
        "--gap",
        type=seconds,
        default=GAP,
        metavar="S",
        help=f"least time between two connections to one mail host address (default {GAP})",
    )


def check(args: argparse.Namespace) -> None:
    """Refuse what cannot be together, or makes no sense; and settle the format."""
    if not 0 <= args.gap <= 3600:
        raise UsageError(f"--gap: {args.gap:g} is no such time; give seconds from 0 to 3600")
    check_store(args)
    if args.output is not None and args.format == "markdown":
        raise UsageError(
            "--format markdown: a summary is not appended to; leave -o away and print it: > FILE"
        )
    if args.ordered and args.format == "markdown":
        raise UsageError("--ordered: a summary has no order; leave it away")
    if args.dry_run and args.format not in {None, "jsonl"}:
        raise UsageError("--dry-run: the plan is text, or JSON with --json; leave --format away")
    if args.dry_run and (args.output is not None or args.ordered):
        raise UsageError("--dry-run: there are no results to write; leave -o and --ordered away")
    if args.format is None and not args.dry_run:
        args.format = "jsonl"


def _number(most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if text.isascii() and text.isdigit() and len(text) <= 9 and 1 <= int(text) <= most:
            return int(text)
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is no number that can be used; give 1 to {most}")

    return read
