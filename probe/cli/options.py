"""What command lines are made of: the parser, readers of values, and the options of what is printed."""

from __future__ import annotations

import argparse
import re

from probe.cli import UsageError, say

TYPE_CHECKING = False  # not from typing: it would cost --help 10 ms
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

FORMATS = ("text", "json", "jsonl", "markdown", "csv")
READERS = ("support", "customer", "postmaster")


class Page(argparse.HelpFormatter):
    """Help for 80 columns. Left to measure the terminal, argparse would load shutil, in every run."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=80)


class RawPage(Page, argparse.RawDescriptionHelpFormatter):
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


def view_options(parser: argparse.ArgumentParser) -> None:
    """Add how a report is printed."""
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
    letter_options(group)
    color_option(group)


def letter_options(group: argparse._ActionsContainer) -> None:
    """Add the letter that may stand for a report."""
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
