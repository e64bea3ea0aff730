"""The command lines of the main job, of `doctor` and of `explain`: what can be said, its defaults and its help."""

from __future__ import annotations

from probe.cli.options import Page, Parser, RawPage, color_option, one_of, port, seconds, view_options
from probe.cli.probing import (
    canary_options,
    network_options,
    our_options,
    probe_options,
    server_options,
    store_option,
    store_options,
)
from probe.version import __version__

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
  probe-sender log /var/log/exim_mainlog
      which senders fail verification, why, and what became of their mail
  probe-sender batch senders.txt -o results.jsonl
      thousands of senders, politely; may be stopped and continued
  probe-sender history user@example.com
      what it showed before, judged by the rules of today
  probe-sender preflight 192.0.2.59 user@example.com
      may that relay be exempted for this sender, how narrowly, and where?
  probe-sender doctor
      is it us? our name server, our name, our address, our way out on port 25
  probe-sender demo
      every cause on loopback, without a network

exit codes:
  0 sender-exists      3 inconclusive        6 unreachable         9 dns-failure
  1 missing-sender     4 temporary           7 rfc-noncompliant  130 interrupted
  2 usage error        5 firewall-timeout    8 policy-refusal
"""


def diagnosis() -> Parser:
    """Give the parser of the main job."""
    parser = Parser(
        prog="probe-sender",
        usage="probe-sender [options] ADDRESS [ADDRESS ...]\n"
        "       probe-sender explain FILE|-|WORD\n"
        "       probe-sender log [options] [FILE ... | -]\n"
        "       probe-sender batch [options] FILE|-\n"
        "       probe-sender history [options] ADDRESS\n"
        "       probe-sender preflight [options] RELAY_IP ADDRESS\n"
        "       probe-sender audit [options] FILE\n"
        "       probe-sender doctor [options]\n"
        "       probe-sender demo\n"
        "       probe-sender schema [DOCUMENT]",
        description="Why would a sender-verify callout to this address fail? A firewall time-out,\n"
        "RFC 2821 non-compliance, a genuinely missing sender, or one of the honest\n"
        "others; with the evidence.",
        epilog=EXAMPLES,
        formatter_class=RawPage,
        allow_abbrev=False,
    )
    parser.add_argument(
        "addresses",
        nargs="*",
        metavar="ADDRESS",
        help="the envelope sender, as in the log; <...> and Name <...> are accepted",
    )
    parser.add_argument("--version", action="version", version=f"probe-sender {__version__}")
    view_options(parser)
    how = probe_options(parser)
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
        "--save",
        metavar="FILE",
        help="write the evidence to FILE; - for standard output, instead of the report",
    )
    store_options(parser)
    server_options(parser)
    return parser


def doctor() -> Parser:
    """Give the parser of `doctor`."""
    parser = Parser(
        prog="probe-sender doctor",
        usage="probe-sender doctor [options]",
        description="Is it us? Examine our name servers, our HELO name, our address and its PTR record,"
        " whether port 25 is open to the outside (one connection to a large mail host for each address"
        " family), what this system can tell about a network, and the clock."
        " Exit code 0 when nothing of ours is wrong, 3 when something is.",
        formatter_class=Page,
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
    our_options(parser.add_argument_group("who we are"))
    where = parser.add_argument_group("where to ask")
    network_options(where)
    where.add_argument(
        "--port", type=port, default=25, metavar="N", help="port that has to be open (default 25)"
    )
    canary_options(where)
    return parser


def explanation() -> Parser:
    """Give the parser of `explain`."""
    parser = Parser(
        prog="probe-sender explain",
        usage="probe-sender explain [options] FILE|-|WORD\n       probe-sender explain --all [options]",
        description="Judge saved evidence again, without a network; or explain a word of a report: a cause, reason,"
        " reading, requirement or rule. `readings`, `rules` and `audit` (the requirements) list those;"
        " without an argument, causes and reasons are listed.",
        formatter_class=Page,
        allow_abbrev=False,
    )
    parser.add_argument(
        "what",
        nargs="?",
        metavar="FILE|-|WORD",
        help="a file made with --save or --json (- for standard input), or a word such as firewall-timeout",
    )
    view_options(parser)
    kept = parser.add_argument_group("what is kept")
    kept.add_argument(
        "--all",
        action="store_true",
        help="judge the latest evidence of every address in the store again, one line for each: as -q, --json (JSON"
        " Lines) or --format csv",
    )
    store_option(kept)
    server_options(parser)
    return parser


def past() -> Parser:
    """Give the parser of `history`."""
    parser = Parser(
        prog="probe-sender history",
        usage="probe-sender history [options] ADDRESS",
        description="What the store has of an address, newest first, and where it changed. Each evidence is judged by"
        " the rules of today; nobody is asked. Exit code 0, or 1 where nothing is known of the address.",
        formatter_class=Page,
        allow_abbrev=False,
    )
    parser.add_argument("address", metavar="ADDRESS", help="the sender, as for a diagnosis")
    output = parser.add_argument_group("output")
    output.add_argument(
        "--json",
        action="store_const",
        const="jsonl",
        default="text",
        dest="format",
        help="JSON Lines: one report for each time it was asked",
    )
    output.add_argument(
        "--format",
        type=one_of("text", "jsonl", "csv"),
        default="text",
        metavar="text|jsonl|csv",
        help="how to print it (default text)",
    )
    store_option(parser.add_argument_group("what is kept"))
    server_options(parser)
    return parser


def plain(name: str, description: str) -> Parser:
    """Give the parser of a command without arguments of its own."""
    return Parser(
        prog=f"probe-sender {name}", description=description, formatter_class=Page, allow_abbrev=False
    )
