"""The options of the diagnosis that every other command that probes has too, in groups."""

from __future__ import annotations

from probe.cli import UsageError
from probe.cli.options import one_of, port, seconds

TYPE_CHECKING = False  # not from typing: it would cost --help 10 ms
if TYPE_CHECKING:
    import argparse

    from probe.core.callout import Callout


def probe_options(parser: argparse.ArgumentParser) -> argparse._ActionsContainer:
    """Add all but `server_options`; give the last group, for what more a command asks.

    `probe.cli.diagnose.settings_of` makes settings of them. Another command has to set `catch_all` and `audit`.
    """
    limits = parser.add_argument_group("limits of a probe, in seconds")
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
    our_options(who)
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
    network_options(where)
    where.add_argument(
        "--allow-private", action="store_true", help="also connect to addresses that are not public"
    )
    failed = parser.add_argument_group("when a connection fails")
    canary_options(failed)
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
        "--all-hosts", action="store_true", help="talk to every mail host, not only until a definite answer"
    )
    return how


def our_options(group: argparse._ActionsContainer) -> None:
    """Add what we call ourselves and where we come from."""
    group.add_argument(
        "--helo",
        metavar="NAME",
        help="name for EHLO (default: this host's fully qualified name, else its address literal)",
    )
    group.add_argument("--source", metavar="IP", help="connect from this local address")


def network_options(group: argparse._ActionsContainer) -> None:
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


def canary_options(group: argparse._ActionsContainer) -> None:
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


STORE = "PROBE_SENDER_STORE"
"""Environment variable that names the store, where --store does not."""


def store_options(parser: argparse.ArgumentParser, *, answers: bool = False) -> None:
    """Add where evidence is kept from one run to the next; `answers` says that some is answered from there.

    `probe.cli.keeping` opens what they name.
    """
    group = parser.add_argument_group("what is kept from one run to the next")
    choice = group.add_mutually_exclusive_group()
    store_option(choice)
    neither = "neither answer from the store nor keep anything there" if answers else "keep nothing"
    choice.add_argument("--no-store", action="store_true", help=neither)
    if answers:
        group.add_argument("--fresh", action="store_true", help="ask anew what the store still knows")
    else:
        parser.set_defaults(fresh=False)


def store_option(group: argparse._ActionsContainer) -> None:
    """Add which store is meant."""
    group.add_argument(
        "--store",
        metavar="PATH",
        help=f"the file of the store (default: what {STORE} names, else one in the state directory of the user)",
    )


def check_store(args: argparse.Namespace) -> None:
    """Refuse what `store_options` cannot have together."""
    if args.store == "":
        raise UsageError("--store: the name is empty; give the name of a file, or --no-store")
    if args.no_store and args.fresh:
        raise UsageError("--fresh: without a store everything is asked anew; leave it away")


def server_options(parser: argparse.ArgumentParser) -> None:
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
