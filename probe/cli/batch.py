"""`probe-sender batch FILE|-`: thousands of addresses at once, resumable."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
import time
from contextlib import ExitStack, aclosing, closing, suppress
from typing import TYPE_CHECKING

from probe.cli import EXIT_BUG, EXIT_INTERRUPTED, EXIT_USAGE, UsageError, complain, interrupt_gently, say
from probe.cli.bar import Bar, wanted
from probe.cli.batchfeed import Feed
from probe.cli.batchoptions import check, options
from probe.cli.diagnose import settings_of
from probe.cli.keeping import Watched, path_of
from probe.cli.probing import callout_of
from probe.cli.results import Results
from probe.cli.resume import OutputFile
from probe.core.classify import judge
from probe.core.expiry import HELD_BACK
from probe.core.politeness import Limits
from probe.core.tally import Tally
from probe.net.ledger import MemoryLedger, StoreLedger
from probe.net.spool import OPEN, Spool, SpoolError
from probe.net.store import Store, StoreError
from probe.net.store_writer import StoreWriter
from probe.run.batch import Batch
from probe.run.engine import Engine
from probe.run.memory import Memory
from probe.run.question import options_of
from probe.show import tally as view

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Coroutine, Iterator

    from probe.core.callout import Callout
    from probe.net.ledger import Ledger
    from probe.settings import Settings

LOOP = "PROBE_SENDER_LOOP"
"""Environment variable that forces a loop: `asyncio` or `uvloop`; else uvloop is taken where it is installed."""
OF_A_SEARCH = 50
"""Descriptors of one search of the path to a silent host at its worst: a socket for each packet."""
SEARCHES = 200
"""Such searches at once, if the descriptors allow them; a probe beside them is one connection."""
LEAST_SEARCHES = 1
"""Such searches that are possible at once, however few descriptors there are."""
SPARE = 64
"""Descriptors of everything else: streams, store, spool, modules, name servers."""
COLLECT = 200_000, 20, 20
"""When to look for garbage in cycles. A batch has some hundred records of each address at hand and leaves none of
them in a cycle, so Python's own 700 would look again and again at what is still in use."""
WORST = 20
"""Domains that a summary names."""
LATER = "probe.net.path", "probe.show.table"
"""Modules that a batch needs at its end: for the searches of paths, and for the table of causes."""
LOOK_EVERY = 1.0
"""Seconds between two looks at whether the output file and the store are still where they were."""


def batch(argv: list[str]) -> int:
    """Ask about every address of a file. Exit code 0 when each line has its result, whatever it is."""
    args = options().parse_intermixed_args(argv)
    check(args)
    settings = settings_of(args)
    callout = callout_of(args)
    loop_factory = _loop_factory()
    args.concurrency, args.searches = _affordable(args.concurrency)
    with ExitStack() as stack:
        try:
            run = _Run(args, settings, callout, stack)
            gc.freeze()  # the modules are here to stay (see `probe.cli.console`)
            gc.set_threshold(*COLLECT)
            gc.enable()
            with asyncio.Runner(loop_factory=loop_factory) as runner:
                runner.get_loop()
                interrupt_gently()
                runner.run(run.run())
        except (SpoolError, StoreError) as error:
            raise UsageError(str(error)) from None
        return run.code()


class _Run:
    """One run, from the file to the summary."""

    def __init__(self, args: Namespace, settings: Settings, callout: Callout, stack: ExitStack) -> None:
        self._args = args
        self._settings = settings
        self._callout = callout
        self._tally = Tally()
        self._output = None
        self._began = time.monotonic()
        self._interrupted = False
        self._stopped = False
        self._results: Results | None = None
        self._bar: Bar | None = None
        self._task: asyncio.Task[None] | None = None
        if args.output is not None:
            self._output = stack.enter_context(closing(OutputFile(args.output, args.format)))
        self._spool = stack.enter_context(closing(Spool(self._output.key) if self._output else Spool()))
        self._feed = Feed(args.file, self._spool, column=args.column, helo=args.helo)
        # Not without the store that was wanted: it keeps several runs from asking one host at once.
        self._store = None if args.no_store else stack.enter_context(closing(Store.open(path_of(args))))
        self._watched = None if self._store is None else Watched(self._store.path, os.stat(self._store.path))
        if self._output is not None:
            self._resume(self._output)

    def _resume(self, output: OutputFile) -> None:
        """Learn what the output file has, so that it is neither asked nor written again."""

        def answers() -> Iterator[tuple[str, int]]:
            for earlier in output.earlier():
                if earlier.answer != OPEN:
                    self._tally.add(earlier.cause, earlier.reason)
                yield earlier.key, earlier.answer

        self._spool.know(answers())
        self._tally.earlier = self._tally.done

    # --- the run -----------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Feed and ask at the same time until both are done, or one of them fails, or somebody interrupts."""
        task = self._task = asyncio.current_task()
        assert task is not None  # noqa: S101  # a coroutine runs in one
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:  # `nohup` wants it to go on
                asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        args = self._args
        limits = Limits(
            per_host=args.per_host, gap=args.gap, per_provider=args.per_provider, per_day=args.per_day
        )
        try:
            async with aclosing(Engine(self._settings, later=LATER)) as engine:
                ledger = MemoryLedger(limits) if self._store is None else StoreLedger(self._store, limits)
                with closing(ledger), ExitStack() as stack:
                    batch, results = self._batch(engine, limits, ledger, stack)
                    await (self._plan(batch, limits) if args.dry_run else self._ask(batch, results))
        except asyncio.CancelledError:
            self._interrupted = not self._stopped

    def _batch(
        self, engine: Engine, limits: Limits, ledger: Ledger, stack: ExitStack
    ) -> tuple[Batch, Results]:
        args, zero, memory = self._args, time.monotonic(), self._memory(engine)
        if memory is not None:
            stack.enter_context(closing(memory))
        results = self._results = Results(
            self._spool,
            self._callout,
            self._tally,
            form=args.format,
            ordered=args.ordered,
            output=self._output,
            keep=None if memory is None else memory.record,
            stop=self._stop,
        )
        batch = Batch(
            engine,
            self._spool,
            results,
            limits=limits,
            ledger=ledger,
            memory=memory,
            per_connection=args.per_connection,
            concurrency=args.concurrency,
            searches=args.searches,
            seed=int.from_bytes(os.urandom(4)),
            zero=zero,
        )
        return batch, results

    async def _ask(self, batch: Batch, results: Results) -> None:
        if wanted(self._args):
            self._bar = Bar(self._tally, self._total, lambda: self._feed.ended)
        results.begin()
        watch = asyncio.create_task(self._watch())
        try:
            await _together(self._fill(batch), batch.run())
        finally:
            watch.cancel()
            if self._bar is not None:
                self._bar.stop()
            results.close()
            self._check_files()

    def _stop(self) -> None:
        """End the run for a reason that is told at its end."""
        self._stopped = True
        if self._task is not None:
            self._task.cancel()

    async def _watch(self) -> None:
        """End the run when what it writes is taken away from it; in a thread, for a disk may let us wait."""
        while True:
            await asyncio.sleep(LOOK_EVERY)
            try:
                await asyncio.to_thread(self._check_files)
            except UsageError:
                self._stop()
                return

    def _check_files(self) -> None:
        """Raise `UsageError` when the output file or the store was deleted, moved or replaced."""
        if self._output is not None:
            self._output.check(0 if self._results is None else self._results.written)
        if self._watched is not None and self._store is not None and not self._watched.is_there():
            raise UsageError(
                f"store {ascii(self._store.path)[1:-1]}: it was deleted or replaced while this ran, with what was"
                " asked; the same command goes on with a new one"
            )

    def _memory(self, engine: Engine) -> Memory | None:
        if self._store is None:
            return None
        loop = asyncio.get_running_loop()

        def failed(_: StoreError) -> None:
            with suppress(RuntimeError):  # the loop has ended, and whoever closes is told
                loop.call_soon_threadsafe(self._stop)

        return Memory(
            self._store,
            StoreWriter(self._store.path, failed),
            options_of(self._settings, helo=engine.own_name()),
            engine.servers,
            lambda evidence: judge(evidence, self._callout),
            now=time.time,
            zero=time.time(),
            fresh=self._args.fresh,
        )

    async def _fill(self, batch: Batch) -> None:
        await self._feed.run(batch.more, self._say)
        batch.ended()

    def _total(self) -> int:
        counts = self._spool.counts()
        return self._tally.earlier + counts.distinct - counts.known

    def _say(self, text: str) -> None:
        if self._bar is not None:
            self._bar.say(text)
        else:
            complain(text)

    # --- the plan ----------------------------------------------------------------------------------------

    async def _plan(self, batch: Batch, limits: Limits) -> None:
        """Read all of the input, look the mail hosts up, and print whom a run would ask."""
        from probe.run.forecast import forecast

        args = self._args
        await self._feed.run(lambda: None, self._say)
        plan = await forecast(
            batch.domains, limits, per_connection=args.per_connection, concurrency=args.concurrency
        )
        if args.format == "jsonl":
            from probe.codec import pretty

            say(pretty(plan) + "\n")
        else:
            say(view.plan(plan))

    # --- the end -----------------------------------------------------------------------------------------

    def code(self) -> int:
        """Say what came of it; the exit code."""
        counts = self._spool.counts()
        if not self._interrupted and not counts.distinct:
            what = "none of its lines is an address" if self._feed.invalid else "it is empty"
            raise UsageError(f"{self._feed.shown}: {what}; give one address a line, or name a --column")
        if self._args.format == "markdown" and not self._args.dry_run:
            say(view.markdown(self._tally, self._spool.worst(WORST), self._remarks()))
        elif not (self._args.quiet or self._args.dry_run):
            self._print_causes()
        if self._interrupted:
            complain(self._how_to_go_on())
            return EXIT_INTERRUPTED
        if self._results is not None and self._results.lost:
            return EXIT_BUG
        return EXIT_USAGE if self._feed.invalid else 0

    def _print_causes(self) -> None:
        try:
            sys.stderr.write(view.causes(self._tally))
            sys.stderr.write("".join(f"{text}\n" for text in self._remarks()))
            sys.stderr.flush()
        except OSError:
            pass  # nobody listens

    def _remarks(self) -> list[str]:
        tally, counts = self._tally, self._spool.counts()
        lapse = max(time.monotonic() - self._began, 0.001)
        now = tally.done - tally.earlier
        remarks = [f"{_count(now, 'address')} in {lapse:.1f} s, {now / lapse:,.0f} a second"]
        if tally.earlier:
            whose = "its" if tally.earlier == 1 else "their"
            remarks.append(f"{tally.earlier:,} had {whose} result in the output file already")
        if tally.recalled:
            remarks.append(f"{tally.recalled:,} answered by the store, without asking anybody")
        if held_back := tally.having(HELD_BACK):
            remarks.append(
                f"{_count(held_back, 'address')} held back, out of politeness; the same command tomorrow asks again"
            )
        if counts.duplicates:
            remarks.append(f"{_count(counts.duplicates, 'duplicate')} left out")
        if self._feed.invalid:
            remarks.append(f"{_count(self._feed.invalid, 'line')} left out: no address")
        if self._results is not None and self._results.lost:
            remarks.append(
                f"{_count(self._results.lost, 'address')} without a result, through a fault of ours"
            )
        return remarks

    def _how_to_go_on(self) -> str:
        if self._args.dry_run:
            return "interrupted"
        total = self._total()
        have = "has its" if total == 1 else "have their"
        left = f"interrupted; {self._tally.done:,} of {_count(total, 'address')} {have} result"
        if self._output is not None:
            return f"{left}, the same command goes on with the others"
        if self._store is not None:
            return f"{left}, which the same command will take from the store"
        return f"{left}; with -o FILE the next run could be continued"


def _count(number: int, noun: str) -> str:
    plural = f"{noun}es" if noun.endswith("s") else f"{noun}s"
    return f"{number:,} {noun if number == 1 else plural}"


async def _together(*coroutines: Coroutine[None, None, None]) -> None:
    """Run these at the same time; when one fails, end the others and raise what it raised."""
    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in tasks:
        if not task.cancelled():
            task.result()


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Give the loop that is forced, else that of uvloop where the extra `fast` is installed."""
    forced = os.environ.get(LOOP, "")
    if forced not in {"", "asyncio", "uvloop"}:
        raise UsageError(f"{LOOP}: {forced[:40]!a} is no loop; set it to asyncio or uvloop, or not at all")
    if forced == "asyncio":
        return None
    try:
        import uvloop
    except ImportError:
        if forced:
            raise UsageError(f"{LOOP}: uvloop is not installed; install probe-sender[fast]") from None
        return None
    return uvloop.new_event_loop


def _affordable(concurrency: int) -> tuple[int, int]:
    """Give how many probes the descriptors of this process allow, and how many searches beside them.

    The soft limit is raised as far as that takes, or as the hard one lets it.
    """
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    wanted_ones = SPARE + concurrency + SEARCHES * OF_A_SEARCH
    limit = soft
    if soft != unlimited and soft < wanted_ones:
        limit = wanted_ones if hard == unlimited else min(hard, wanted_ones)
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
        except (OSError, ValueError):
            limit = soft
    if limit == unlimited or limit >= wanted_ones:
        return concurrency, SEARCHES
    affordable = min(concurrency, max(1, limit - SPARE - LEAST_SEARCHES * OF_A_SEARCH))
    if affordable < concurrency:
        complain(
            f"this process may open {limit} files, enough for {_count(affordable, 'probe')} at once"
            f" and not {concurrency}; ulimit -n raises it"
        )
    return affordable, max(1, min(SEARCHES, (limit - SPARE - affordable) // OF_A_SEARCH))
