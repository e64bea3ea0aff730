"""`probe-sender ADDRESS ...`: the main job."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from probe.cli import EXIT_INTERRUPTED, EXIT_USAGE, UsageError
from probe.cli.options import diagnosis
from probe.cli.output import Printer
from probe.core.endpoint import parse_endpoint
from probe.net.early import fire, system_servers

if TYPE_CHECKING:
    from argparse import Namespace

    from probe.cli.saving import Saver
    from probe.core.model import Address, Evidence
    from probe.net.early import EarlyQuery
    from probe.settings import Settings

AT_ONCE = 8
"""Addresses of one command line that are probed at the same time."""


def diagnose(argv: list[str]) -> int:
    """Probe every address of the command line, print the reports, give the exit code of the worst."""
    args = diagnosis().parse_args(argv)
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
    domain = args.addresses[0].rpartition("@")[2].strip(" <>\t")
    if args.dns_server:
        server = parse_endpoint(args.dns_server[0])
    else:
        server = next(iter(system_servers()), None)
    return fire(domain, server) if server else None


def _probe_all(args: Namespace, started: float, early: EarlyQuery | None) -> int:
    import asyncio

    from probe.cli.saving import Saver

    settings = _settings(args)
    addresses, bad = _addresses(args.addresses, settings)
    if not addresses:
        return EXIT_USAGE
    saver = Saver(args.save)
    runner = _Run(args, settings, saver, started, early)
    codes = asyncio.run(runner.run(addresses))
    saver.finish()
    from probe.core.reasons import WORST_FIRST

    if runner.interrupted:
        return EXIT_INTERRUPTED
    return EXIT_USAGE if bad else min(codes, key=WORST_FIRST.index)


def _addresses(texts: list[str], settings: Settings) -> tuple[list[Address], int]:
    """Parse the addresses; a bad one is said and counted, and does not cost the others their results."""
    from probe.core.address import AddressError, parse

    good: list[Address] = []
    bad = 0
    for text in texts:
        try:
            address = parse(text)
        except AddressError as error:
            bad += 1
            print(f"probe-sender: {error}", file=sys.stderr)
            continue
        if settings.helo and settings.helo.lower().rstrip(".") == address.domain:
            raise UsageError(
                f"--helo: {settings.helo} is the domain that is probed; give the name of the host that asks"
            )
        good.append(address)
    return good, bad


def _settings(args: Namespace) -> Settings:
    from probe.core.address import AddressError, parse
    from probe.core.model import TlsMode
    from probe.settings import DNS_TIMEOUT, DNS_TRIES, DNS_TRY_TIMEOUT, Settings, SettingsError

    mail_from = ""
    if args.mail_from not in {"", "<>"}:
        try:
            mail_from = parse(args.mail_from).mailbox
        except AddressError as error:
            raise UsageError(f"--mail-from: {error}") from None
    # Half of the overall limit for one question, so that a dead resolver is told from a run cut short.
    dns_timeout = min(DNS_TIMEOUT, args.timeout / 2)
    try:
        return Settings(
            timeout=args.timeout,
            dns_timeout=dns_timeout,
            dns_try_timeout=min(DNS_TRY_TIMEOUT, dns_timeout / DNS_TRIES),
            connect_timeout=args.connect_timeout,
            reply_timeout=args.reply_timeout,
            helo=args.helo,
            mail_from=mail_from,
            port=args.port,
            families=args.family or (4, 6),
            source=args.source,
            dns_servers=tuple(args.dns_server),
            tls=TlsMode(args.tls),
            catch_all=args.catch_all,
            all_hosts=args.all_hosts,
            allow_private=args.allow_private,
        )
    except SettingsError as error:
        raise UsageError(str(error)) from None


class _Run:
    """The probes of one command line: at most `AT_ONCE` at a time, printed in the order given."""

    def __init__(
        self, args: Namespace, settings: Settings, saver: Saver, started: float, early: EarlyQuery | None
    ) -> None:
        self.interrupted = False
        self._args = args
        self._settings = settings
        self._saver = saver
        self._started = started
        self._early = early

    async def run(self, addresses: list[Address]) -> list[int]:
        """Probe them all; an interrupt ends every probe early, and what is known is printed."""
        import asyncio
        import secrets

        from probe.run.engine import Engine

        engine = Engine(self._settings)
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(address: Address) -> Evidence:
            async with gate:
                alone = len(addresses) == 1
                return await engine.collect(
                    address,
                    seed=secrets.randbits(32),
                    started=self._started if alone else None,
                    early=self._early,
                )

        tasks = [asyncio.create_task(one(address)) for address in addresses]
        printer = Printer(self._args, several=len(self._args.addresses) > 1)
        codes: list[int] = []
        for task in tasks:
            try:
                evidence = await asyncio.shield(task)
            except asyncio.CancelledError:
                self.interrupted = True
                for other in tasks:
                    other.cancel()
                if not task.cancelled():
                    await asyncio.wait([task])
                if task.cancelled():
                    continue  # it had not begun
                evidence = task.result()
            codes.append(self._finish(evidence, printer))
        return codes

    def _finish(self, evidence: Evidence, printer: Printer) -> int:
        from probe.core.classify import judge
        from probe.core.reasons import CAUSES

        report = judge(evidence)
        self._saver.save(evidence)
        if not self._saver.to_stdout:
            printer.show(report)
        return CAUSES[report.cause][0]
