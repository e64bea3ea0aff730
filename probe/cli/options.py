"""The command line: what can be said, its defaults and its help."""

from __future__ import annotations

import argparse
import difflib
from typing import NoReturn

from probe.cli import UsageError
from probe.version import __version__

FORMATS = ("text", "json", "jsonl", "markdown", "csv")

EXAMPLES = """\
examples:
  probe-sender administrator@customer.example.com        why would a callout to this address fail?
  probe-sender -v user@example.com                       with the look-ups and the whole conversation
  probe-sender --json user@example.com | jq .cause       for scripts; the exit code says the cause too
  probe-sender --format markdown user@example.com        to paste into a ticket
  probe-sender --source 192.0.2.25 --helo mail.example.net user@example.com
                                                         as your mail server would ask
  probe-sender --save e.json user@example.com            keep the evidence; `explain e.json` judges it again
  probe-sender explain rcpt.greylisted                   what a word of a report means
  probe-sender demo                                      every cause on loopback, without a network

exit codes:
  0 sender-exists   1 missing-sender   2 usage error       3 inconclusive     4 temporary   5 firewall-timeout
  6 unreachable     7 rfc-noncompliant 8 policy-refusal    9 dns-failure    130 interrupted
"""


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line with the mend."""

    def error(self, message: str) -> NoReturn:
        """Refuse, and name the nearest option where one was mistyped."""
        if message.startswith("unrecognized arguments: "):
            word = message.removeprefix("unrecognized arguments: ").split()[0]
            known = [name for action in self._actions for name in action.option_strings]
            near = difflib.get_close_matches(word.partition("=")[0], known, 1)
            mend = f"did you mean {near[0]}?" if near else "see probe-sender --help"
            raise UsageError(f"unknown option {ascii(word)[:60]}; {mend}")
        raise UsageError(f"{ascii(message)[1:-1][:200]}; see probe-sender --help")


def seconds(text: str) -> float:
    """Read a time in seconds."""
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text[:40]!r} is no number of seconds, such as 30 or 2.5"
        ) from None


def _view_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("output")
    group.add_argument(
        "--json",
        action="store_const",
        const="json",
        dest="format",
        help="one JSON document (JSON Lines for several addresses)",
    )
    group.add_argument(
        "--format",
        choices=FORMATS,
        default="text",
        metavar="|".join(FORMATS),
        help="how to print the result (default text)",
    )
    group.add_argument(
        "-v",
        "--verbose",
        action="store_true",
        help="also the look-ups and the transcript, with the lapse of each reply",
    )
    group.add_argument(
        "-q",
        "--quiet",
        action="store_true",
        help="one line per address: address, cause, reason, confidence, summary, tab separated",
    )
    group.add_argument(
        "--color",
        choices=("auto", "always", "never"),
        default="auto",
        metavar="auto|always|never",
        help="colour (default auto: on a terminal, unless NO_COLOR is set)",
    )


def diagnosis() -> Parser:
    """Give the parser of the main job."""
    parser = Parser(
        prog="probe-sender",
        usage="probe-sender [options] ADDRESS [ADDRESS ...]\n       probe-sender explain FILE|-|WORD   |   schema   |   demo",
        description="Why would a sender-verify callout to this address fail? A firewall time-out, RFC 2821"
        " non-compliance, a genuinely missing sender, or one of the honest others; with the evidence.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "addresses",
        nargs="*",
        metavar="ADDRESS",
        help="the envelope sender, as in the log; <...> and Name <...> are accepted",
    )
    parser.add_argument("--version", action="version", version=f"probe-sender {__version__}")
    _view_options(parser)
    limits = parser.add_argument_group("limits, in seconds")
    limits.add_argument(
        "--timeout",
        type=seconds,
        default=60.0,
        metavar="S",
        help="overall limit for one address (default 60)",
    )
    limits.add_argument(
        "--connect-timeout", type=seconds, default=10.0, metavar="S", help="for one connection (default 10)"
    )
    limits.add_argument(
        "--reply-timeout",
        type=seconds,
        default=30.0,
        metavar="S",
        help="for the greeting and for each reply (default 30, as Exim's callout)",
    )
    who = parser.add_argument_group("who we are")
    who.add_argument(
        "--helo",
        metavar="NAME",
        help="name for EHLO (default: this host's fully qualified name, else its address literal)",
    )
    who.add_argument(
        "--mail-from",
        default="<>",
        metavar="ADDR",
        help="envelope sender of the probe (default <>, as a callout sends)",
    )
    who.add_argument("--source", metavar="IP", help="connect from this local address")
    where = parser.add_argument_group("where to ask")
    where.add_argument(
        "--port", type=int, default=25, metavar="N", help="port of the mail hosts (default 25)"
    )
    family = where.add_mutually_exclusive_group()
    family.add_argument("-4", dest="family", action="store_const", const=(4,), help="IPv4 only")
    family.add_argument("-6", dest="family", action="store_const", const=(6,), help="IPv6 only")
    where.add_argument(
        "--dns-server",
        action="append",
        default=[],
        metavar="IP[:PORT]",
        help="ask this resolver (repeatable; default: the system's)",
    )
    where.add_argument(
        "--allow-private", action="store_true", help="also connect to addresses that are not public"
    )
    how = parser.add_argument_group("how much to ask")
    how.add_argument(
        "--tls",
        choices=("auto", "never", "require"),
        default="auto",
        metavar="auto|never|require",
        help="STARTTLS (default auto: when offered; certificates are recorded, not enforced)",
    )
    how.add_argument(
        "--catch-all",
        action="store_true",
        help="also try a random local part (off: it costs the prober reputation)",
    )
    how.add_argument(
        "--all-hosts", action="store_true", help="talk to every mail host, not only until a definite answer"
    )
    how.add_argument(
        "--save",
        metavar="FILE",
        help="write the evidence to FILE; - for standard output, instead of the report",
    )
    return parser


def explanation() -> Parser:
    """Give the parser of `explain`."""
    parser = Parser(
        prog="probe-sender explain",
        usage="probe-sender explain [options] FILE|-|WORD",
        description="Judge saved evidence again, without a network; or explain a cause or reason of a report."
        " Without an argument: list them all.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "what",
        nargs="?",
        metavar="FILE|-|WORD",
        help="a file made with --save or --json (- for standard input), or a word such as firewall-timeout",
    )
    _view_options(parser)
    return parser


def plain(name: str, description: str) -> Parser:
    """Give the parser of a command without arguments of its own."""
    return Parser(prog=f"probe-sender {name}", description=description, allow_abbrev=False)
