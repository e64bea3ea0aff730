"""The command line: what can be said, its defaults and its help."""

from __future__ import annotations

import argparse
import re

from probe.cli import UsageError, say
from probe.version import __version__

TYPE_CHECKING = False  # not from typing: it would cost --help 10 ms
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

    from probe.core.callout import Callout

FORMATS = ("text", "json", "jsonl", "markdown", "csv")
READERS = ("support", "customer", "postmaster")

EXAMPLES = """\
examples:
  probe-sender administrator@customer.example.com
      why would a callout to this address fail?
  probe-sender -v user@example.com
      with the look-ups and the whole conversation
  probe-sender --source 192.0.2.25 --helo mail.example.net user@example.com
      as your mail server would ask
  probe-sender --json user@example.com | jq .cause
      for scripts; the exit code says the cause too
  probe-sender --format markdown user@example.com
      to paste into a ticket
  probe-sender --save e.json user@example.com
      keep the evidence; `probe-sender explain e.json` judges it again
  probe-sender explain rcpt.greylisted
      what a word of a report means
  probe-sender doctor
      is it us? our name server, our name, our address, our way out on port 25
  probe-sender demo
      every cause on loopback, without a network

exit codes:
  0 sender-exists      3 inconclusive        6 unreachable         9 dns-failure
  1 missing-sender     4 temporary           7 rfc-noncompliant  130 interrupted
  2 usage error        5 firewall-timeout    8 policy-refusal
"""


class _Page(argparse.HelpFormatter):
    """Help for 80 columns. Left to measure the terminal, argparse would load shutil, in every run."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=80)


class _RawPage(_Page, argparse.RawDescriptionHelpFormatter):
    """The same, with description and examples as they are written."""


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line with the mend."""

    def error(self, message: str) -> NoReturn:
        """Refuse in our words: argparse says what it expected, a person wants to know what to write."""
        if message.startswith("unrecognized arguments: "):
            raise UsageError(
                self._unknown(message.removeprefix("unrecognized arguments: ").partition(" ")[0])
            )
        if found := _ARGUMENT.fullmatch(message):
            raise UsageError(ascii(self._about(found["option"], found["what"]))[1:-1][:300])
        raise UsageError(f"{ascii(message)[1:-1][:200]}; see {self.prog} --help")

    def _print_message(self, message: str, file: object = None) -> None:  # noqa: ARG002  # all of it is result
        """Print help and version like every other result; the versions of argparse differ on a full disk."""
        say(message)

    def _unknown(self, word: str) -> str:
        shown = ascii(word)[:60]
        if not word.startswith("-"):
            return f"{shown} is one argument too many; see {self.prog} --help"
        import difflib

        known = [name for action in self._actions for name in action.option_strings]
        name = word.partition("=")[0]
        begun = [option for option in known if len(name) > 2 and option.startswith(name)]
        near = begun[:1] or difflib.get_close_matches(name, known, 1)
        mend = f"did you mean {near[0]}?" if near else f"see {self.prog} --help"
        return f"unknown option {shown}; {mend}"

    def _about(self, option: str, what: str) -> str:
        if what == "expected one argument":
            return (
                f"{option}: it needs a value that begins with no hyphen; write {option} {self._value(option)}"
            )
        if extra := _EXTRA.fullmatch(what):
            return f"{option}: it takes no value; leave {extra[1]} away"
        if other := _EXCLUDES.fullmatch(what):
            return f"{option}: not together with {other[1]}; give one of them, or neither"
        return f"{option}: {what}"

    def _value(self, option: str) -> str:
        """Give what stands for the value of an option in the help."""
        metavars = {name: action.metavar for action in self._actions for name in action.option_strings}
        return str(metavars.get(option.partition("/")[0]) or "VALUE")


_ARGUMENT = re.compile("argument (?P<option>[^:]+): (?P<what>.+)", re.DOTALL)
_EXTRA = re.compile("ignored explicit argument (.+)", re.DOTALL)
_EXCLUDES = re.compile("not allowed with argument (.+)")


def seconds(text: str) -> float:
    """Read a time in seconds; whether it is in range is for `Settings` to say."""
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text[:40]!r} is no number of seconds; give one such as 30 or 2.5"
        ) from None


def port(text: str) -> int:
    """Read a port number; whether it is in range is for `Settings` to say."""
    if text.isascii() and text.isdigit() and len(text) <= 9:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text[:40]!r} is no port number; give 1 to 65535 (mail hosts use 25)")


def one_of(*words: str) -> Callable[[str], str]:
    """Give a reader of one of these words. As `choices` of argparse they would be refused in its words."""

    def read(text: str) -> str:
        if text in words:
            return text
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is not known; give one of {', '.join(words)}")

    return read


def _view_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("output")
    group.add_argument(
        "--json",
        action="store_const",
        const="json",
        default="text",
        dest="format",
        help="one JSON document (JSON Lines for several addresses)",
    )
    group.add_argument(
        "--format",
        type=one_of(*FORMATS),
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
        "--letter",
        type=one_of(*READERS),
        metavar="|".join(READERS),
        help="instead of the report: a letter about it to a colleague, to the customer who complained, or to the"
        " postmaster of the other side",
    )
    group.add_argument(
        "--redact",
        action="store_true",
        help="in the letter, replace local parts and internal hosts, the same by the same",
    )
    color_option(group)


def check_view(args: argparse.Namespace) -> None:
    """Refuse ways to print the result that exclude each other."""
    if args.redact and not args.letter:
        raise UsageError("--redact: it is for letters; add --letter postmaster, or leave it away")
    if args.letter and (args.format != "text" or args.quiet or args.verbose):
        raise UsageError("--letter: a letter is text of its own; leave --json, --format, -v and -q away")


def color_option(group: argparse._ActionsContainer) -> None:
    """Add --color, which every command that shows a report has."""
    group.add_argument(
        "--color",
        type=one_of("auto", "always", "never"),
        default="auto",
        metavar="auto|always|never",
        help="colour (default auto: on a terminal, unless NO_COLOR is set)",
    )


def _server_options(parser: argparse.ArgumentParser) -> None:
    """Add how the Exim verifies of which the report says what it does."""
    group = parser.add_argument_group("your mail server")
    group.add_argument(
        "--exim-version",
        default="",
        metavar="V",
        help="say what this Exim does and logs: 4.69 (2008) and later (default 4.96)",
    )
    group.add_argument(
        "--callout",
        default="",
        metavar="OPTION[,OPTION...]",
        help="as behind callout= in its ACL: a time, connect=TIME, maxwait=TIME, defer_ok, random, postmaster,"
        " fullpostmaster, no_cache; or cpanel, for what cPanel sets (default 30s)",
    )


def callout_of(args: argparse.Namespace) -> Callout:
    """Read how that Exim verifies, or refuse in one line."""
    from probe.core.callout import Callout, CalloutError, parse_options, parse_version

    option = "--exim-version"
    try:
        version = parse_version(args.exim_version) if args.exim_version else Callout().version
        option = "--callout"
        return parse_options(args.callout, version)
    except CalloutError as error:
        raise UsageError(f"{option}: {ascii(str(error))[1:-1]}") from None


def diagnosis() -> Parser:
    """Give the parser of the main job."""
    parser = Parser(
        prog="probe-sender",
        usage="probe-sender [options] ADDRESS [ADDRESS ...]\n"
        "       probe-sender explain FILE|-|WORD\n"
        "       probe-sender doctor [options]\n"
        "       probe-sender demo | schema",
        description="Why would a sender-verify callout to this address fail? A firewall time-out,\n"
        "RFC 2821 non-compliance, a genuinely missing sender, or one of the honest\n"
        "others; with the evidence.",
        epilog=EXAMPLES,
        formatter_class=_RawPage,
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
    _our_options(who)
    who.add_argument(
        "--mail-from",
        default="<>",
        metavar="ADDR",
        help="envelope sender of the probe (default <>, as a callout sends)",
    )
    where = parser.add_argument_group("where to ask")
    where.add_argument(
        "--port", type=port, default=25, metavar="N", help="port of the mail hosts (default 25)"
    )
    _network_options(where)
    where.add_argument(
        "--allow-private", action="store_true", help="also connect to addresses that are not public"
    )
    failed = parser.add_argument_group("when a connection fails")
    _canary_options(failed)
    failed.add_argument(
        "--no-trace",
        dest="trace",
        action="store_false",
        help="do not look for the place on the path where it fails, and call no canary",
    )
    failed.add_argument(
        "--fast", action="store_true", help='say "filtered" after 2.1 s instead of 3.4 s, on less evidence'
    )
    how = parser.add_argument_group("how much to ask")
    how.add_argument(
        "--tls",
        type=one_of("auto", "never", "require"),
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
        "--audit",
        action="store_true",
        help="test more of RFC 2821/5321 than a callout needs: one more connection to each mail host that"
        " hears us out, ten commands at most, no DATA",
    )
    how.add_argument(
        "--all-hosts", action="store_true", help="talk to every mail host, not only until a definite answer"
    )
    how.add_argument(
        "--save",
        metavar="FILE",
        help="write the evidence to FILE; - for standard output, instead of the report",
    )
    _server_options(parser)
    return parser


def _our_options(group: argparse._ActionsContainer) -> None:
    """Add what we call ourselves and where we come from."""
    group.add_argument(
        "--helo",
        metavar="NAME",
        help="name for EHLO (default: this host's fully qualified name, else its address literal)",
    )
    group.add_argument("--source", metavar="IP", help="connect from this local address")


def _network_options(group: argparse._ActionsContainer) -> None:
    """Add the address family and the name servers."""
    family = group.add_mutually_exclusive_group()
    family.add_argument("-4", dest="family", action="store_const", const=(4,), help="IPv4 only")
    family.add_argument("-6", dest="family", action="store_const", const=(6,), help="IPv6 only")
    group.add_argument(
        "--dns-server",
        action="append",
        default=[],
        metavar="IP[:PORT]",
        help="ask this resolver (repeatable; default: the system's)",
    )


def _canary_options(group: argparse._ActionsContainer) -> None:
    """Add which mail host known to be up may be called; None is the list that comes with the program."""
    canary = group.add_mutually_exclusive_group()
    canary.add_argument(
        "--canary",
        dest="canaries",
        action="append",
        metavar="HOST[:PORT]",
        help="a mail host known to be up, to call once as a check on our own network"
        " (repeatable, the first that resolves is called; default: one of a list of large ones)",
    )
    canary.add_argument(
        "--no-canary", dest="canaries", action="store_const", const=(), help="call no such host"
    )


def doctor() -> Parser:
    """Give the parser of `doctor`."""
    parser = Parser(
        prog="probe-sender doctor",
        usage="probe-sender doctor [options]",
        description="Is it us? Examine our name servers, our HELO name, our address and its PTR record,"
        " whether port 25 is open to the outside (one connection to a large mail host for each address"
        " family), what this system can tell about a network, and the clock."
        " Exit code 0 when nothing of ours is wrong, 3 when something is.",
        formatter_class=_Page,
        allow_abbrev=False,
    )
    output = parser.add_argument_group("output")
    output.add_argument(
        "--json", action="store_const", const="json", default="text", dest="format", help="as JSON"
    )
    color_option(output)
    parser.add_argument(
        "--timeout", type=seconds, default=15.0, metavar="S", help="overall limit in seconds (default 15)"
    )
    _our_options(parser.add_argument_group("who we are"))
    where = parser.add_argument_group("where to ask")
    _network_options(where)
    where.add_argument(
        "--port", type=port, default=25, metavar="N", help="port that has to be open (default 25)"
    )
    _canary_options(where)
    return parser


def explanation() -> Parser:
    """Give the parser of `explain`."""
    parser = Parser(
        prog="probe-sender explain",
        usage="probe-sender explain [options] FILE|-|WORD",
        description="Judge saved evidence again, without a network; or explain a word of a report: a cause, reason,"
        " reading, requirement or rule. `readings`, `rules` and `audit` (the requirements) list those;"
        " without an argument, causes and reasons are listed.",
        formatter_class=_Page,
        allow_abbrev=False,
    )
    parser.add_argument(
        "what",
        nargs="?",
        metavar="FILE|-|WORD",
        help="a file made with --save or --json (- for standard input), or a word such as firewall-timeout",
    )
    _view_options(parser)
    _server_options(parser)
    return parser


def plain(name: str, description: str) -> Parser:
    """Give the parser of a command without arguments of its own."""
    return Parser(
        prog=f"probe-sender {name}", description=description, formatter_class=_Page, allow_abbrev=False
    )
