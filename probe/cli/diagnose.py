"""`probe-sender ADDRESS ...`: the main job."""

from __future__ import annotations

import os
import time
from collections import deque

from probe.cli import (
    COMMANDS,
    EXIT_INTERRUPTED,
    EXIT_USAGE,
    UsageError,
    complain,
    interrupt_gently,
    report_bug,
)
from probe.cli.options import check_view
from probe.cli.parsers import diagnosis
from probe.cli.probing import callout_of, check_store

TYPE_CHECKING = False  # not from typing: it would cost --help 10 ms
if TYPE_CHECKING:
    import asyncio
    from argparse import Namespace
    from collections.abc import Callable

    from probe.cli.keeping import Keeper
    from probe.cli.output import Printer
    from probe.cli.saving import Saver
    from probe.core.callout import Callout
    from probe.core.model import Address, Earlier, Evidence
    from probe.net.early import EarlyQuery
    from probe.run.engine import Engine
    from probe.settings import Settings

    Observed = tuple[Evidence, Earlier | None]

AT_ONCE = 8
"""Addresses of one command line that are probed at the same time."""
HEAD_START = 0.05
"""Seconds before the store is loaded: by then a probe has loaded what it needs, and waits for the network."""
FAST_ABOVE = 20
"""More addresses than this and uvloop, where it is installed, has earned the time that loading it takes."""


def diagnose(argv: list[str]) -> int:
    """Probe every address of the command line, print the reports, give the exit code of the worst."""
    end = argv.index("--") if "--" in argv else len(argv)
    args = diagnosis().parse_intermixed_args(argv[:end])  # options may stand between the addresses
    args.addresses += argv[end + 1 :]
    check_view(args)
    check_store(args)
    if not args.addresses:
        raise UsageError("no address given; try: probe-sender user@example.com, or probe-sender --help")
    started = time.monotonic()
    early = _first_query(args) if len(args.addresses) == 1 else None
    # From here on the first look-up travels while the rest of the program is loaded.
    try:
        return _probe_all(args, started, early)
    finally:
        if early is not None:
            early.close()


def _first_query(args: Namespace) -> EarlyQuery | None:
    """Send the MX query of a plain address before anything heavy is imported; None on any doubt."""
    from probe.core.endpoint import parse_endpoint
    from probe.net.early import fire, system_servers

    domain = args.addresses[0].rpartition("@")[2].strip(" <>\t")
    server = parse_endpoint(args.dns_server[0]) if args.dns_server else next(iter(system_servers()), None)
    return fire(domain, server) if server else None


def _probe_all(args: Namespace, started: float, early: EarlyQuery | None) -> int:
    import asyncio
    import gc
    from contextlib import ExitStack

    settings = settings_of(args)
    callout = callout_of(args)
    saver = _saver(args.save)
    addresses = _addresses(args.addresses, settings)
    if not addresses:
        return EXIT_USAGE
    keeper = _keeper(args, callout)
    run = _Run(args, settings, callout, saver, keeper, started, early)
    gc.freeze()  # the modules are here to stay (see `console`); what the probes leave is collected as usual
    gc.enable()
    with ExitStack() as kept:  # whatever ended the run: what was finished is kept
        if keeper is not None:
            kept.callback(keeper.finish)
        if saver is not None:
            kept.callback(saver.finish)
        with asyncio.Runner(loop_factory=_loop_factory(len(addresses))) as runner:
            runner.get_loop()
            interrupt_gently()  # from here on there is something that can end in good order
            runner.run(run.run(addresses))
    if run.interrupted:
        return EXIT_INTERRUPTED
    if len(addresses) < len(args.addresses):
        return EXIT_USAGE
    from probe.core.reasons import WORST_FIRST

    return min(run.codes, key=WORST_FIRST.index)


def _saver(name: str | None) -> Saver | None:
    if name is None or name == "-":
        return None
    from probe.cli.saving import Saver

    return Saver(name)


def _keeper(args: Namespace, callout: Callout) -> Keeper | None:
    if args.no_store:
        return None
    from probe.cli.keeping import Keeper

    return Keeper(args, callout)


def _loop_factory(addresses: int) -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Give the loop of uvloop for many addresses where the extra `fast` is installed, else asyncio's own."""
    if addresses > FAST_ABOVE:
        try:
            import uvloop
        except ImportError:
            return None
        return uvloop.new_event_loop
    return None


def _addresses(texts: list[str], settings: Settings) -> list[Address]:
    """Read the addresses; a bad one is said and left out, and does not cost the others their results."""
    from probe.core.address import AddressError

    good: list[Address] = []
    for number, text in enumerate(texts, 1):
        try:
            good.append(_address(text, settings.helo))
        except AddressError as error:
            which = f"address {number}: " if len(texts) > 1 else ""
            if sender := _sender_in_log_line(text):
                complain(f"{which}this is a log line and no address; the sender in it: probe-sender {sender}")
                continue
            mend = f"; a command goes first: probe-sender {text} ..." if text in COMMANDS else ""
            complain(f"{which}{error}{mend}")
    return good


def _sender_in_log_line(text: str) -> str | None:
    """Find the sender that a pasted line of an Exim or Postfix log names, to say it as the mend."""
    import re

    found = re.search(r"(?:sender verify (?:defer|fail) for |\bF=|\bfrom=)<([!-;=?-~]{1,320})>", text[:10000])
    return found[1] if found and "@" in found[1] else None


def _address(text: str, helo: str | None) -> Address:
    from probe.core.address import AddressError, parse

    address = parse(text)
    if helo is not None and helo.lower().rstrip(".") == address.domain:
        raise AddressError(
            f"--helo: {helo} is the domain that is probed; give the name of the host that asks"
        )
    return address


def settings_of(args: Namespace) -> Settings:
    """Make the settings of a run from its options, or refuse in one line what cannot work."""
    from probe.core.address import AddressError, parse
    from probe.core.model import TlsMode
    from probe.settings import DNS_TIMEOUT, DNS_TRIES, DNS_TRY_TIMEOUT, Settings

    if args.canaries and not args.trace:
        raise UsageError("--canary: not together with --no-trace, which calls none; leave one of them away")
    mail_from = ""
    if args.mail_from not in {"", "<>"}:
        try:
            mail_from = parse(args.mail_from).mailbox
        except AddressError as error:
            raise UsageError(f"--mail-from: {error}") from None
    # Half of the overall limit for one question, so that a dead resolver is told from a run cut short.
    dns_timeout = min(DNS_TIMEOUT, args.timeout / 2)
    return usable(
        lambda: Settings(
            timeout=args.timeout,
            dns_timeout=dns_timeout,
            dns_try_timeout=min(DNS_TRY_TIMEOUT, dns_timeout / DNS_TRIES),
            connect_timeout=args.connect_timeout,
            reply_timeout=args.reply_timeout,
            helo=args.helo,
            mail_from=mail_from,
            port=args.port,
            families=args.family or families_of(args.source),
            source=args.source,
            dns_servers=tuple(args.dns_server),
            tls=TlsMode(args.tls),
            catch_all=args.catch_all,
            all_hosts=args.all_hosts,
            allow_private=args.allow_private,
            trace=args.trace,
            fast=args.fast,
            audit=args.audit,
            canaries=None if args.canaries is None else tuple(args.canaries),
        )
    )


def usable(make: Callable[[], Settings]) -> Settings:
    """Make settings, or refuse what cannot work in one line."""
    from probe.settings import SettingsError

    try:
        settings = make()
    except SettingsError as error:
        raise UsageError(str(error)) from None
    if settings.source is not None:
        check_ours(settings.source)
    return settings


def families_of(source: str | None) -> tuple[int, ...]:
    """Give the address families that can be used: from one address only its own."""
    if source is None:
        return (4, 6)
    return (6,) if ":" in source else (4,)


def check_ours(source: str) -> None:
    """Refuse a --source that no interface of this host has, before every connection fails for it."""
    import socket

    family = socket.AF_INET6 if ":" in source else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as sock:
            sock.bind((source, 0))
    except OSError:
        raise UsageError(
            f"--source: {source} is no address of this host; `ip address` lists those that are"
        ) from None


def _load_all() -> None:
    """Load what a report needs before many sockets are open: a file to import is a descriptor, too."""
    from importlib import import_module

    for name in ("probe.net.wire", "probe.core.classify", "probe.codec", "probe.show.text"):
        import_module(name)


class _Run:
    """The probes of one command line: at most `AT_ONCE` at a time, printed in the order given."""

    def __init__(
        self,
        args: Namespace,
        settings: Settings,
        callout: Callout,
        saver: Saver | None,
        keeper: Keeper | None,
        started: float,
        early: EarlyQuery | None,
    ) -> None:
        self.interrupted = False
        self.codes: list[int] = []
        self._args = args
        self.settings_of = settings
        self._callout = callout
        self._saver = saver
        self._keeper = keeper
        # What was before is for whoever reads a report, and is in no other form of the result.
        self._tells_before = args.save != "-" and not (args.quiet or args.letter or args.format == "csv")
        self._started = started
        self._early = early

    async def run(self, addresses: list[Address]) -> None:
        """Probe them all; an interrupt ends every probe early, and what is known is printed."""
        from contextlib import aclosing

        from probe.run.engine import Engine

        async with aclosing(Engine(self.settings_of)) as engine:
            await self._probe(engine, addresses)

    async def _probe(self, engine: Engine, addresses: list[Address]) -> None:
        import asyncio

        from probe.cli.output import Printer
        from probe.cli.progress import Progress, wanted

        gate = asyncio.Semaphore(AT_ONCE)

        async def one(address: Address) -> Observed:
            async with gate:
                self._prepare(engine, address)
                evidence = await engine.collect(
                    address,
                    seed=int.from_bytes(os.urandom(4)),
                    started=self._started if len(addresses) == 1 else None,
                    early=self._early,
                )
            if self._keeper is None or not self._tells_before:
                return evidence, None
            return evidence, await self._keeper.earlier(evidence)

        waiting = deque((address, asyncio.create_task(one(address))) for address in addresses)
        total = len(waiting)
        if total > 1:
            _load_all()

        def status() -> str:
            done = total - sum(not task.done() for _, task in waiting)
            return f"{done} of {total} done, {engine.status()}" if total > 1 else engine.status()

        printer = Printer(self._args, several=len(self._args.addresses) > 1, machine=self._args.save == "-")
        progress = Progress(status) if wanted(self._args) else None
        while waiting and not (printer.unread and self._saver is None):  # else nobody wants the rest
            address, task = waiting[0]
            observed = None
            try:
                observed = await self._result(task, [other for _, other in waiting])
            except Exception as bug:  # noqa: BLE001  # it is told, and must not cost the others their results
                if progress is not None:
                    progress.clear()
                self.codes.append(report_bug(bug, f"{ascii(address.mailbox)[1:-1]}: "))
            if progress is not None:
                progress.clear()
            if observed is not None:
                self._finish(*observed, printer)
            waiting.popleft()  # and with it the evidence: of many addresses not all can be kept
        if progress is not None:
            progress.stop()

    def _prepare(self, engine: Engine, address: Address) -> None:
        """Have the store asked while the network is waited for."""
        if self._keeper is None:
            return
        import asyncio

        from probe.run.question import options_of

        keeper = self._keeper

        def ask() -> None:
            keeper.ask(address, options_of(engine.settings, helo=engine.own_name()))

        asyncio.get_running_loop().call_later(HEAD_START, ask if self._tells_before else keeper.begin)

    async def _result(
        self, task: asyncio.Task[Observed], tasks: list[asyncio.Task[Observed]]
    ) -> Observed | None:
        """Wait for one probe, or for what an interrupted one knows; None when it had not begun."""
        import asyncio

        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            self.interrupted = True
            for other in tasks:
                other.cancel()
            if not task.cancelled():
                await asyncio.wait([task])
            return None if task.cancelled() else task.result()

    def _finish(self, evidence: Evidence, earlier: Earlier | None, printer: Printer) -> None:
        from msgspec.structs import replace

        from probe.core.classify import judge
        from probe.core.reasons import CAUSES

        if self._saver is not None:
            self._saver.save(evidence)
        report = replace(judge(evidence, self._callout), earlier=earlier)
        self.codes.append(CAUSES[report.cause][0])
        if self._args.save == "-":
            from probe.codec import encode

            printer.write(encode(evidence).decode() + "\n")
        else:
            printer.show(report)
        if self._keeper is not None and not evidence.interrupted:
            self._keeper.record(evidence)
