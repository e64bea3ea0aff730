"""`probe-sender preflight RELAY_IP ADDRESS`: whether this relay may be exempted, how narrowly, and where."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

from probe.cli import UsageError, complain, interrupt_gently
from probe.cli.diagnose import settings_of
from probe.cli.options import Parser, RawPage, check_view, color_option, letter_options, one_of
from probe.cli.output import Printer, wants_color, width
from probe.cli.probing import callout_of, probe_options, server_options
from probe.core.exemption.relay import Advice, Asked
from probe.core.scope import read_ip
from probe.run.preflight import examine, review_date, today

if TYPE_CHECKING:
    import argparse
    from argparse import ArgumentParser, Namespace

    from probe.cli.listfile import Appender
    from probe.cli.saving import Saver
    from probe.core.callout import Callout
    from probe.core.exemption import Remark
    from probe.core.exemption.relay import Preflight
    from probe.core.model import Address
    from probe.core.scope import IP
    from probe.run.engine import Engine
    from probe.settings import Settings

EXIT_CODES = {
    Advice.JUSTIFIED: 0,
    Advice.NOT_NEEDED: 1,
    Advice.USELESS: 1,
    Advice.CANNOT_TELL: 3,
    Advice.DANGEROUS: 4,
}
FORMATS = ("text", "json", "markdown")
EXAMPLES = """\
examples:
  probe-sender preflight 192.0.2.59 administrator@customer.example.com
      may the relay 192.0.2.59 (the IP after H= in the log) be exempted?
  probe-sender preflight --dnsbl zen.spamhaus.org 192.0.2.59 user@example.com
      also ask a blocklist about it
  probe-sender preflight --write ./senderverifybypasshosts \\
      --reason "ticket 4711" 192.0.2.59 user@example.com
      append the line to that file, if the exemption is justified

exit codes:
  0 justified   1 not needed, or useless   2 bad input   3 cannot be told
  4 dangerous   130 interrupted
"""


def options() -> Parser:
    """Give the parser of `preflight`."""
    parser = Parser(
        prog="probe-sender preflight",
        usage="probe-sender preflight [options] RELAY_IP ADDRESS",
        description="Before whitelisting: diagnose the sender, look the relay up (reverse DNS, SPF,\n"
        "whose it is, who else sends from it), and say whether it may be exempted from\n"
        "sender verification, how narrowly, for how long, and in which file. Nothing is\n"
        "edited, except that --write appends one line to the file that it names.",
        epilog=EXAMPLES,
        formatter_class=RawPage,
        allow_abbrev=False,
    )
    parser.add_argument(
        "relay", metavar="RELAY_IP", help="the sending relay: the IP in brackets after H= in the log"
    )
    parser.add_argument("address", metavar="ADDRESS", help="the envelope sender, as in the log")
    letter_options(view_options(parser))
    relay = parser.add_argument_group("the relay")
    relay.add_argument(
        "--is-relay",
        action="store_true",
        help="the log names RELAY_IP after H=, although it is a mail host of the sender's domain as well",
    )
    relay.add_argument(
        "--dnsbl",
        action="append",
        default=[],
        metavar="ZONE",
        help="ask this blocklist about the relay (repeatable; default: none)",
    )
    writing = parser.add_argument_group("the exemption")
    writing.add_argument(
        "--write",
        metavar="FILE",
        help="append the line to FILE below a comment, if the exemption is justified; FILE must be a regular file, or"
        " not exist yet",
    )
    writing.add_argument(
        "--by", metavar="NAME", help="who exempts, for the comment (default: the login name)"
    )
    writing.add_argument(
        "--reason", metavar="TEXT", help="why, for the comment: a ticket number, for example"
    )
    writing.add_argument(
        "--until",
        type=_date,
        metavar="DATE",
        help="when the exemption is to be looked at again, as 2027-02-20 (default: in 90 days)",
    )
    form_option(writing)
    sender_options(parser)
    return parser


def sender_options(parser: ArgumentParser) -> None:
    """Add how the sender is probed; what --catch-all and --audit show does not change the advice."""
    how = probe_options(parser)
    how.add_argument("--save", metavar="FILE", help="also write the evidence to FILE")
    server_options(parser)
    parser.set_defaults(catch_all=False, audit=False)


def view_options(parser: ArgumentParser) -> argparse._ActionsContainer:
    """Add how to print the result; give the group."""
    group = parser.add_argument_group("output")
    group.add_argument(
        "--json", action="store_const", const="json", default="text", dest="format", help="one JSON document"
    )
    group.add_argument(
        "--format",
        type=one_of(*FORMATS),
        default="text",
        metavar="|".join(FORMATS),
        help="how to print the result (default text)",
    )
    group.add_argument("-v", "--verbose", action="store_true", help="everything that was looked at")
    group.add_argument("-q", "--quiet", action="store_true", help="one line, tab separated")
    color_option(group)
    return group


def form_option(group: argparse._ActionsContainer) -> None:
    """Add how a list is read."""
    group.add_argument(
        "--form",
        type=one_of("iplsearch", "pairs", "hosts", "cidr"),
        metavar="iplsearch|pairs|hosts|cidr",
        help="how FILE is read: by Exim's iplsearch (WHM's lists), the same with sender domains"
        " behind the key, as a host list of Exim (Debian's), or as a cidr"
        " table of Postfix (default: told by its lines and name)",
    )


def preflight(argv: list[str]) -> int:
    """Examine a sender and its relay, and print what that comes to; the exit code says the advice."""
    args = options().parse_args(argv)
    check_view(args)
    ip = _relay(args.relay)
    address = _address(args.address)
    settings, callout = settings_of(args), callout_of(args)
    asked = Asked(
        allow_private=args.allow_private, is_relay=args.is_relay, zones=tuple(map(_zone, args.dnsbl))
    )
    until = args.until or review_date()
    appender = _appender(args, ip, address)
    saver = saver_of(args)
    interrupt_gently()
    report = asyncio.run(_examine(args, ip, address, settings, callout, asked, until))
    if saver is not None:
        saver.save(report.report.evidence)
        saver.finish()
    _print(args, report)
    if appender is not None:
        if report.advice is not Advice.JUSTIFIED:
            complain(f"--write: nothing was written, because the advice is {report.advice}")
        else:
            number, line = appender.append(_remark(args, report, until))
            complain(
                f"--write: line {number} of {args.write!a} is {line}, to be looked at again after {until}"
            )
    return EXIT_CODES[report.advice]


async def _examine(
    args: Namespace,
    ip: IP,
    address: Address,
    settings: Settings,
    callout: Callout,
    asked: Asked,
    until: str,
) -> Preflight:
    from probe.cli.progress import Progress, wanted

    progress: list[Progress] = []

    def watch(engine: Engine) -> None:
        if wanted(args):
            progress.append(Progress(engine.status))

    try:
        return await examine(ip, address, settings, callout, asked, review_after=until, watch=watch)
    finally:
        for line in progress:
            line.clear()
            line.stop()


def _print(args: Namespace, report: Preflight) -> None:
    printer = Printer(args, several=False)
    if args.format == "json":
        from probe.codec import pretty

        printer.write(pretty(report) + "\n")
        return
    if args.letter:
        from probe.show import letter
        from probe.show.letters import Reader

        printer.write(letter.render(report, Reader(args.letter), redact=args.redact))
        return
    from probe.show import preflight as show

    if args.format == "markdown":
        printer.write(show.markdown(report))
    elif args.quiet:
        printer.write(show.quiet(report))
    else:
        printer.write(show.render(report, verbose=args.verbose, color=wants_color(args.color), width=width()))


# --- what was given ------------------------------------------------------------------------------------

_IN_LOG = re.compile(r"(?:H=)?(?:[^\s\[]{0,255}\s?)?\[(?:IPv6:)?([^\]\s]+)\](?::\d{1,5})?")
"""A relay as a log writes it: `[192.0.2.59]:36752`, `relay.example.com [192.0.2.59]`."""


def _relay(text: str) -> IP:
    pasted = _IN_LOG.fullmatch(text.strip())
    given = pasted[1] if pasted else text.strip()
    if (ip := read_ip(given)) is not None and "%" not in given:
        # A mail server that listens on IPv6 logs and looks up the IPv4 address inside (RFC 4291 2.5.5.2).
        return (ip.ipv4_mapped if ip.version == 6 else None) or ip
    shown = ascii(text)[:60]
    if "@" in text:
        raise UsageError(
            f"{shown} is an address; the relay goes first: probe-sender preflight RELAY_IP ADDRESS"
        )
    if "/" in text:
        raise UsageError(
            f"{shown} is a network, and an exemption of it covers more than the relay; give the one IP after H= in"
            " your log"
        )
    raise UsageError(f"{shown} is no IP address; give the one in brackets after H= in your log")


def _address(text: str) -> Address:
    from probe.core.address import AddressError, parse

    try:
        return parse(text)
    except AddressError as error:
        raise UsageError(str(error)) from None


def _zone(text: str) -> str:
    if len(text) <= 200 and _ZONE.fullmatch(text):
        return text.lower().rstrip(".")
    raise UsageError(f"--dnsbl: {text[:60]!a} is no zone of the DNS; give one such as bl.example.org")


_ZONE = re.compile(
    r"(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)+[a-z][a-z0-9-]{0,62}\.?", re.IGNORECASE | re.ASCII
)


def _date(text: str) -> str:
    from argparse import ArgumentTypeError
    from datetime import date

    try:
        given = date.fromisoformat(text).isoformat()
    except ValueError:
        raise ArgumentTypeError(f"{text[:40]!r} is no date; write it as {review_date()}") from None
    if given <= today():
        raise ArgumentTypeError(
            f"{given} is not after today; give a day on which it is to be looked at again"
        )
    return given


def _appender(args: Namespace, ip: IP, address: Address) -> Appender | None:
    if args.write is None:
        for option, value in (("--by", args.by), ("--reason", args.reason), ("--form", args.form)):
            if value is not None:
                raise UsageError(
                    f"{option}: only together with --write FILE; give that too, or leave it away"
                )
        return None
    for option, value in (("--by", args.by), ("--reason", args.reason)):
        if value is not None and not (value.isprintable() and len(value) <= _MAX_WORDS):
            raise UsageError(f"{option}: it has to be one line of at most {_MAX_WORDS} printable characters")
    from probe.cli.listfile import Appender
    from probe.core.exemption.ways import Style

    return Appender(args.write, ip, address.domain, None if args.form is None else Style(args.form))


_MAX_WORDS = 200


def _remark(args: Namespace, report: Preflight, until: str) -> Remark:
    """Say who exempts for whom, until when and why. The name loses its spaces, so that it can be read back."""
    from probe.core.exemption import Remark

    why = "; ".join(filter(None, [f"{report.report.cause} ({report.report.reason})", args.reason]))
    return Remark(
        sender=report.report.evidence.address.mailbox,
        by="-".join((args.by or _login()).split())[:64],
        added=today(),
        until=until,
        why=why,
    )


def _login() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may run a user that has no name
        return "unknown"


def saver_of(args: Namespace) -> Saver | None:
    """Give what --save needs; standard output is taken by the report."""
    if args.save is None:
        return None
    if args.save == "-":
        raise UsageError("--save: standard output is for the report here; give the name of a file")
    from probe.cli.saving import Saver

    return Saver(args.save)
