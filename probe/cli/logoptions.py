"""The command line of `probe-sender log`."""

from __future__ import annotations

import re

from probe.cli.options import FORMATS, Parser, RawPage, color_option, letter_options, one_of
from probe.cli.probing import probe_options, server_options, store_options

SHOWN = 20
"""Groups of a page, and senders that --probe asks for, unless --limit says otherwise."""
_EXAMPLES = """\
examples:
  probe-sender log /var/log/exim_mainlog
      who fails, why, through which relay, and what became of the mail
  probe-sender log --since 2h --probe /var/log/exim4/mainlog
      the last two hours, and whether it is still so
  probe-sender log mainlog mainlog.1 mainlog.2.gz --domain customer.example.com
      a rotated set, one domain
  probe-sender log -
      lines pasted from a ticket, a mail or a web page; end with Ctrl-D
  probe-sender log --follow /var/log/exim_mainlog
      each sender as it begins to fail, until Ctrl-C

exit codes:
  0 no sender fails   1 some do   2 nothing could be read   130 interrupted
"""
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_LAPSE = re.compile(r"(?:[0-9]{1,6}(?:\.[0-9]{1,3})?[smhdw])+")
_LAPSE_PART = re.compile(r"([0-9.]+)([smhdw])")


def options() -> Parser:
    """Give the parser of `log`."""
    parser = Parser(
        prog="probe-sender log",
        usage="probe-sender log [options] [FILE ... | -]",
        description="Which senders fail verification, why, through which relay, and what became of\n"
        "the mail: from Exim's main and reject logs, Postfix's log, or lines pasted from\na ticket.\n"
        "Plain, gzip, bzip2, xz or zstd; rotated sets in any order.",
        epilog=_EXAMPLES,
        formatter_class=RawPage,
        allow_abbrev=False,
    )
    parser.add_argument(
        "files", nargs="*", metavar="FILE", help="log files; - for standard input (default, when it is piped)"
    )
    which = parser.add_argument_group("which lines")
    which.add_argument(
        "--since",
        type=lapse,
        metavar="LAPSE",
        help="only the last 2h, 30m, 1d ... before the last line that is about verification"
        " (with --follow: before now)",
    )
    which.add_argument("--sender", metavar="ADDRESS", help="only this sender")
    which.add_argument("--relay", type=ip, metavar="IP", help="only what came through this relay")
    which.add_argument("--domain", metavar="DOMAIN", help="only senders of this domain")
    which.add_argument(
        "--follow",
        action="store_true",
        help="wait for more, through rotation, and report each sender that begins to fail",
    )
    _output_options(parser)
    _probing_options(parser)
    return parser


def _output_options(parser: Parser) -> None:
    output = parser.add_argument_group("output")
    output.add_argument(
        "--limit",
        type=limit,
        metavar="N",
        help=f"at most N groups, those with the most messages; 0 for all"
        f" (default {SHOWN} on a page and with --probe, else all)",
    )
    output.add_argument(
        "--json",
        action="store_const",
        const="json",
        default="text",
        dest="format",
        help="one JSON document (with --follow: JSON Lines)",
    )
    output.add_argument(
        "--format",
        type=one_of(*FORMATS),
        default="text",
        metavar="|".join(FORMATS),
        help="how to print the result (default text); jsonl and csv: one line for each group",
    )
    output.add_argument(
        "-v", "--verbose", action="store_true", help="also some of the lines that were not understood"
    )
    letter_options(output)
    color_option(output)


def _probing_options(parser: Parser) -> None:
    probing = parser.add_argument_group("probing")
    probing.add_argument(
        "--probe", action="store_true", help="also probe the sender of each group: still so, or fixed since?"
    )
    probe_options(parser)
    store_options(parser, answers=True)
    server_options(parser)
    parser.set_defaults(catch_all=False, audit=False, save=None, quiet=False)


def lapse(text: str) -> float:
    """Read a lapse such as 2h, 90m or 1d12h, in seconds."""
    from argparse import ArgumentTypeError

    if not _LAPSE.fullmatch(text):
        raise ArgumentTypeError(f"{text[:40]!r} is no lapse; give one such as 30m, 2h, 1d or 1d12h")
    return sum(float(number) * _UNITS[unit] for number, unit in _LAPSE_PART.findall(text))


def ip(text: str) -> str:
    """Read an IP address, in the form in which logs have it."""
    from argparse import ArgumentTypeError

    from probe.core.scope import read_ip

    address = read_ip(text.strip("[] "))
    if address is None:
        raise ArgumentTypeError(f"{text[:60]!r} is no IP address; give the one in brackets after H=")
    return str(address)


def limit(text: str) -> int:
    """Read how many groups are wanted; 0 is all."""
    from argparse import ArgumentTypeError

    if text.isascii() and text.isdigit() and len(text) <= 9:
        return int(text)
    raise ArgumentTypeError(f"{text[:40]!r} is no number of groups; give one such as 20, or 0 for all")
