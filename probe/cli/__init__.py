"""Floor 4: arguments, wiring, exit codes. Nothing heavy is imported before it is known to be needed."""

from __future__ import annotations

import gc
import os
import signal
import sys
from contextlib import suppress

COMMANDS = ("audit", "batch", "demo", "doctor", "explain", "history", "log", "preflight", "schema")
EXIT_USAGE = 2
EXIT_BUG = 3
"""Nothing can be told, and the fault is ours: the exit code of `inconclusive`."""
EXIT_INTERRUPTED = 130
DEBUG = "PROBE_SENDER_DEBUG"
"""Environment variable; when it holds anything, a bug shows its traceback too."""


class UsageError(Exception):
    """Bad input. Its text is one line that names what is wrong and the mend; exit code 2."""


def main(argv: list[str]) -> int:
    """Run the program with these arguments and give its exit code."""
    try:
        try:
            return _dispatch(argv)
        except SystemExit as done:  # argparse has printed --help or --version
            say("")
            return int(done.code or 0)
    except UsageError as error:
        complain(str(error))
        return EXIT_USAGE
    except KeyboardInterrupt:
        complain("interrupted")
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader of a page has seen enough (`--help | head`); who prints verdicts sees to it himself.
        return 0
    except Exception as error:  # noqa: BLE001  # the last line of defence: a user never sees a traceback
        return report_bug(error)


def say(text: str) -> None:
    """Print text on standard output, at once, so that nothing finished is lost.

    Raises `BrokenPipeError` when the reader has gone, and `UsageError` when the disk or device takes no more.
    """
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        # Let what is still printed vanish: Python would complain once more when it flushes at exit.
        try:  # noqa: SIM105  # contextlib would cost --help a millisecond
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        except OSError:
            pass  # it is no file
        if isinstance(error, BrokenPipeError):
            raise
        raise UsageError(
            f"standard output could not be written: {error.strerror}; print to another place"
        ) from None


def complain(text: str) -> None:
    """Say one line on standard error, if there is anybody to hear it."""
    try:  # noqa: SIM105  # as above
        print(f"probe-sender: {text}", file=sys.stderr, flush=True)
    except OSError:
        pass  # it is closed or full, and there is no other place to say so


def report_bug(error: Exception, about: str = "") -> int:
    """Say in one line that the fault is ours, with the traceback for whoever asked for it; the exit code."""
    shown = ascii(str(error))[1:-1][:200]
    mend = "please report this line"
    if os.environ.get(DEBUG):
        import traceback

        traceback.print_exception(error)
    else:
        mend += f" and what {DEBUG}=1 shows"
    complain(f"{about}this is a bug of probe-sender, {type(error).__name__}: {shown}; {mend}")
    return EXIT_BUG


def _dispatch(argv: list[str]) -> int:
    first = argv[0] if argv else ""
    if first == "schema":
        from probe.cli.schema import schema

        return schema(argv[1:])
    if first == "explain":
        from probe.cli.explain import explain

        return explain(argv[1:])
    if first == "demo":
        from probe.cli.demo import demo

        return demo(argv[1:])
    if first == "doctor":
        from probe.cli.doctor import doctor

        return doctor(argv[1:])
    if first == "preflight":
        from probe.cli.preflight import preflight

        return preflight(argv[1:])
    if first == "audit":
        from probe.cli.audit import audit

        return audit(argv[1:])
    if first == "batch":
        from probe.cli.batch import batch

        return batch(argv[1:])
    if first == "history":
        from probe.cli.history import history

        return history(argv[1:])
    if first == "log":
        from probe.cli.log import log

        return log(argv[1:])
    if first and first[0] not in "-<\"'" and "@" not in first:
        raise UsageError(_unknown(first))
    from probe.cli.diagnose import diagnose

    return diagnose(argv)


def _unknown(word: str) -> str:
    import difflib

    shown = ascii(word)[:60]
    near = difflib.get_close_matches(word.lower(), [*COMMANDS, "help", "version"], 1)
    if near:
        meant = near[0] if near[0] in COMMANDS else f"--{near[0]}"
        mend = f"did you mean probe-sender {meant}?"
    elif "." in word.strip("."):
        mend = f"give the whole address of the sender, such as user@{shown[1:-1]}"
    else:
        mend = f"give an address such as user@example.com; the commands are {', '.join(COMMANDS)}"
    return f"{shown} is no address (it has no @) and no command; {mend}"


def _interrupted_early(_signal: int, _frame: object) -> None:
    complain("interrupted")
    os._exit(EXIT_INTERRUPTED)


def interrupt_gently() -> None:
    """Let Ctrl-C raise KeyboardInterrupt again, or cancel what asyncio runs; see `console`."""
    if signal.getsignal(signal.SIGINT) is _interrupted_early:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def console() -> None:
    """Entry point of the console script."""
    for stream in ("stdout", "stderr"):
        if getattr(sys, stream) is None:
            # The caller closed it (`>&-`): the exit code is wanted, and no socket may take its number.
            setattr(sys, stream, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115  # it stays open
    # While modules are loaded a KeyboardInterrupt may come out of any of them, or be lost in a C extension.
    signal.signal(signal.SIGINT, _interrupted_early)
    gc.disable()  # what is loaded stays; going through it again and again costs a tenth of the start
    code = main(sys.argv[1:])
    # Straight out. Taking all modules apart takes longer than many a look-up, and nothing in them needs it:
    # sockets are closed, files are in place, and `main` has flushed.
    with suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)
