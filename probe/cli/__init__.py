"""Floor 4: arguments, wiring, exit codes. Nothing heavy is imported before it is known to be needed."""

from __future__ import annotations

import os
import sys

COMMANDS = ("demo", "explain", "schema")
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130


class UsageError(Exception):
    """Bad input. Its text is one line that names what is wrong and the mend; exit code 2."""


def main(argv: list[str]) -> int:
    """Run the program with these arguments and give its exit code."""
    try:
        return _dispatch(argv)
    except UsageError as error:
        print(f"probe-sender: {error}", file=sys.stderr)
        return EXIT_USAGE
    except KeyboardInterrupt:
        print("probe-sender: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader has gone (`| head`). Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _dispatch(argv: list[str]) -> int:
    first = argv[0] if argv else ""
    if first in COMMANDS:
        if first == "schema":
            from probe.cli.explain import schema

            return schema(argv[1:])
        if first == "explain":
            from probe.cli.explain import explain

            return explain(argv[1:])
        from probe.cli.demo import demo

        return demo(argv[1:])
    if first and first[0] not in "-<\"'" and "@" not in first:
        raise UsageError(_unknown(first))
    from probe.cli.diagnose import diagnose

    return diagnose(argv)


def _unknown(word: str) -> str:
    import difflib

    shown = ascii(word)[:60]
    near = difflib.get_close_matches(word, COMMANDS, 1)
    mend = f"did you mean {near[0]!r}?" if near else f"the commands are {', '.join(COMMANDS)}"
    return f"{shown} is no address (it has no @) and no command; {mend}"


def console() -> None:
    """Entry point of the console script."""
    sys.exit(main(sys.argv[1:]))
