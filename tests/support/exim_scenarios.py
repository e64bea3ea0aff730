"""Mail hosts that show how Exim reads and says things, beside the golden cases, which show what is true of a sender.

Each is a world as in `tests.support.cases`; what Exim makes of it is not written down here but asked of a real
Exim (tests/full/test_exim.py) and of its recorded answers (tests/core/test_exim.py).
"""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from tests.support import cases
from tests.support.cases import Case, Expectation, HostSetup

SHORT = "callout=1s"
"""The callout of nearly every comparison: the default of 30 s would tell nothing more."""


class Play(Struct, frozen=True):
    """One comparison: a case by name, the options of Exim's callout and those of our program."""

    name: str
    callout: str = SHORT
    options: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Name it for a list of tests."""
        return " ".join((self.name, self.callout.removeprefix("callout="), *self.options))


ADDRESS = "user@d.example"
_ZONE = """\
d.example. 300 MX 10 mx1.d.example.
mx1.d.example. 300 A 127.0.0.2
"""
_SECOND = """\
d.example. 300 MX 20 mx2.d.example.
mx2.d.example. 300 A 127.0.0.3
"""


def world(
    *scripts: str,
    address: str = ADDRESS,
    zone: str | None = None,
    options: tuple[str, ...] = (),
    tls: bool = False,
) -> Case:
    """Make a domain with one mail host, or two by preference: each a script, or `dead` or `closed`."""
    peers = {
        f"127.0.0.{2 + number}": HostSetup(state=script)
        if script in {"dead", "closed"}
        else HostSetup(script=script, tls=tls)
        for number, script in enumerate(scripts)
    }
    if zone is None:
        zone = _ZONE + (_SECOND if len(scripts) > 1 else "")
    nothing = Expectation(cause="", reason="", exit=0)
    return Case(
        title="", why="", address=address, options=list(options), zone=zone, expect=nothing, peers=peers
    )


def _talk(*lines: str) -> str:
    return "\n".join(lines)


_UP_TO_MAIL = _talk("S: 220 mx ESMTP", "C: EHLO", "S: 250 mx", "C: MAIL")
_UP_TO_RCPT = _talk(_UP_TO_MAIL, "S: 250 ok", "C: RCPT")
_PIPELINING = r"*reply EHLO 250-mx\r\n250 PIPELINING"
_PIPELINED = _talk("S: 220 mx ESMTP", "C: EHLO", r"S> 250-mx\r\n250 PIPELINING\r\n", "C: MAIL")
_OFFERS_TLS = _talk("S: 220 mx ESMTP", "C: EHLO", r"S> 250-mx\r\n250 STARTTLS\r\n", "C: STARTTLS")
_NO_TLS = _talk(_OFFERS_TLS, "S: 220 go", "*tls-garbage", "=== connection 2")
_IN_TLS = _talk(_OFFERS_TLS, "S: 220 go", "*tls", "C: EHLO")
_LATER = "*good RCPT=451 later"
_NO_NULL = "*good MAIL=550 no null sender"

_CIRCLE = """\
d.example. 300 MX 20 mx0.d.example.
mx0.d.example. 300 CNAME mx9.d.example.
mx9.d.example. 300 CNAME mx0.d.example.
"""


def _alias(name: str, target: str) -> str:
    """Give a zone in which the mail host `name` is another name of `target`."""
    return _ZONE.replace(f"{name} 300 A", f"{name} 300 CNAME {target}\n{target} 300 A")


_REFUSED_TO_HELO = _talk("S: 220 mx", "C: EHLO", "S: 502 I do not know what that may be", "C: HELO")
_SHORT_REFUSAL = _talk("S: 220 mx", "C: EHLO", "S: 502 no", "C: HELO")
_IMPATIENT = ("--reply-timeout", "1")

SCENARIOS: dict[str, Case] = {
    # What an earlier host leaves behind: its message, and the word "pipelined".
    "left-4xx-then-null-refused": world(_LATER, _NO_NULL),
    "left-closed-port-then-null-refused": world("closed", _NO_NULL),
    "left-mail-4xx-then-null-refused": world("*good MAIL=451 later", _NO_NULL),
    "left-4xx-then-mail-closed": world(_LATER, _talk(_UP_TO_MAIL, "*close")),
    "left-4xx-then-banner-554": world(_LATER, "S: 554 no"),
    "left-4xx-then-rcpt-closed": world(_LATER, _talk(_UP_TO_RCPT, "*close")),
    "left-pipelining-then-banner-554": world(_talk(_PIPELINING, _LATER), "S: 554 no"),
    "left-421-then-dead": world("S: 421 no", "dead"),
    # PIPELINING: MAIL and RCPT in one packet.
    "pipelined-mail-550": world(_talk(_PIPELINING, "*good MAIL=550 no")),
    "pipelined-mail-451": world(_talk(_PIPELINING, "*good MAIL=451 no")),
    "pipelined-rcpt-550": world(_talk(_PIPELINING, "*good RCPT=550 no")),
    "pipelined-mail-550-closed": world(_talk(_PIPELINED, "S: 550 no", "*close")),
    "pipelined-mail-closed": world(_talk(_PIPELINED, "*close")),
    "pipelined-mail-silent": world(_talk(_PIPELINED, "*silence"), options=("--reply-timeout", "1")),
    # RCPT is read first: with octets left unread the close would be a reset, now and then.
    "pipelined-rcpt-closed": world(_talk(_PIPELINED, "S: 250 ok", "C: RCPT", "*close")),
    "pipelined-rcpt-reset": world(_talk(_PIPELINED, "S: 250 ok", "C: RCPT", "*reset")),
    "pipelined-rcpt-silent": world(
        _talk(_PIPELINED, "S: 250 ok", "C: RCPT", "*silence"), options=("--reply-timeout", "1")
    ),
    # Replies that break off.
    "unfinished-rcpt-550": world(_talk(_UP_TO_RCPT, "S: 550-no such", "*close")),
    "unfinished-rcpt-250": world(_talk(_UP_TO_RCPT, "S: 250-yes", "*close")),
    "unfinished-rcpt-550-line": world(_talk(_UP_TO_RCPT, r"S> 550-no such\r\n550-us", "*close")),
    "unfinished-rcpt-550-reset": world(_talk(_UP_TO_RCPT, "S: 550-no such", "*reset")),
    "unfinished-rcpt-550-silent": world(
        _talk(_UP_TO_RCPT, "S: 550-no such", "*silence"), options=("--reply-timeout", "1")
    ),
    "unfinished-mail-550": world(_talk(_UP_TO_MAIL, "S: 550-no", "*close")),
    "unfinished-banner-554": world(_talk("S: 554-no", "*close")),
    "unfinished-ehlo-550": world(_talk("S: 220 mx", "C: EHLO", "S: 550-no", "*close")),
    "unfinished-banner-550-reset": world(_talk("S: 550-no", "*sleep 0.1", "*reset")),
    "unfinished-ehlo-250-reset": world(_talk("S: 220 mx", "C: EHLO", "S: 250-mx", "*reset")),
    "unfinished-helo-550-reset": world(_talk(_REFUSED_TO_HELO, "S: 550-no", "*reset")),
    # A host that is silent behind its refusal is not waited for before MAIL, and is afterwards.
    "banner-554-silent": world(_talk("S: 554 no", "*silence"), options=_IMPATIENT),
    "helo-550-silent": world(_talk(_REFUSED_TO_HELO, "S: 550 no", "*silence"), options=_IMPATIENT),
    "mail-550-silent": world(_talk(_UP_TO_MAIL, "S: 550 no", "*silence"), options=_IMPATIENT),
    "mail-550-twice-silent": world(
        _talk(_UP_TO_MAIL, r"S> 550 no\r\n550 no\r\n", "*silence"), options=_IMPATIENT
    ),
    # Replies that are malformed, or hold what a log must not.
    "malformed-second-line": world(
        _talk(_UP_TO_RCPT, "S: 550-no such", "S: oops", "*silence"), options=("--reply-timeout", "1")
    ),
    "empty-rcpt": world(_talk(_UP_TO_RCPT, r"S> \r\n", "*silence"), options=("--reply-timeout", "1")),
    "empty-banner": world(_talk(r"S> \r\n", "*silence"), options=("--reply-timeout", "1")),
    "blank-banner": world(_talk(r"S>    \r\n", "*silence"), options=("--reply-timeout", "1")),
    "indented-banner": world(_talk(r"S>   hello  \r\n", "*silence"), options=("--reply-timeout", "1")),
    "tab": world(r"*good RCPT=550 5.1.1 no\tsuch user"),
    "carriage-return": world(r"*good RCPT=550 5.1.1 no\rsuch user"),
    "nul": world(r"*good RCPT=550 5.1.1 no\x00such user"),
    "backslash": world(r"*good RCPT=550 5.1.1 no \\ such <user> %s"),
    "eight-bit-first-line": world(r"*good RCPT=550-5.1.1 caf\xe9 x\r\n550-second\r\n550 third"),
    "eight-bit-second-line": world(r"*good RCPT=550-5.1.1 first\r\n550-caf\xe9 x\r\n550 third"),
    "spaces": world(r"*good RCPT=550-5.1.1 first\r\n550-   indented\r\n550  third  "),
    # The buffer of 4 KiB.
    "long-4084": world(f"*good RCPT=550 {'x' * 4080}"),
    "long-4092": world(f"*good RCPT=550 {'x' * 4088}"),
    "long-4092-bare": world(_talk(_UP_TO_MAIL, rf"S> 550 {'x' * 4088}\n", "*good")),
    "long-two-lines": world(rf"*good RCPT=550-{'x' * 2000}\r\n550 {'y' * 2080}"),
    # HELO after a refused EHLO: both replies share a buffer.
    "ehlo-lines-then-helo-closed": world(
        _talk("S: 220 mx", "C: EHLO", "S: 550-first", "S: 550 second", "C: HELO", "*close")
    ),
    "ehlo-lines-then-helo-554": world(
        _talk("S: 220 mx", "C: EHLO", "S: 550-first and long", "S: 550 second", "C: HELO", "S: 554 no")
    ),
    "ehlo-then-helo-4084": world(_talk(_SHORT_REFUSAL, f"S: 550 {'x' * 4080}", "*good")),
    "ehlo-then-helo-4085": world(_talk(_SHORT_REFUSAL, f"S: 550 {'x' * 4081}", "*good")),
    # STARTTLS.
    "starttls-closed": world(_talk(_OFFERS_TLS, "*close")),
    "starttls-malformed": world(_talk(_OFFERS_TLS, "S: oops", "*silence"), options=("--reply-timeout", "1")),
    "starttls-silent": world(_talk(_OFFERS_TLS, "*silence"), options=("--reply-timeout", "1")),
    "tls-fails-then-unknown": world(_talk(_NO_TLS, "*good RCPT=550 5.1.1 unknown")),
    "tls-fails-then-closed": world(_talk(_NO_TLS, "*close")),
    "tls-fails-then-mail-451": world(_talk(_NO_TLS, "*good MAIL=451 later")),
    "tls-fails-then-rcpt-closed": world(_talk(_NO_TLS, _UP_TO_RCPT, "*close")),
    "tls-mail-550": world(_talk(_IN_TLS, "S: 250 mx", "C: MAIL", "S: 550 no"), tls=True),
    "tls-mail-reset": world(_talk(_IN_TLS, "S: 250 mx", "C: MAIL", "*reset"), tls=True),
    "tls-rcpt-reset": world(
        _talk(_IN_TLS, "S: 250 mx", "C: MAIL", "S: 250 ok", "C: RCPT", "*reset"), tls=True
    ),
    "tls-rcpt-close": world(
        _talk(_IN_TLS, "S: 250 mx", "C: MAIL", "S: 250 ok", "C: RCPT", "*close"), tls=True
    ),
    # Addresses.
    "literal-550": world("*good RCPT=550 no", address="user@[127.0.0.2]"),
    "literal-closed": world("closed", address="user@[127.0.0.2]"),
    "mixed-case": world("*good RCPT=550 no", address="User.Name@D.Example"),
    "quoted-550": world("*good RCPT=550 no", address='"a b"@d.example'),
    "utf8-550": world(
        _talk(r"*reply EHLO 250-mx\r\n250 SMTPUTF8", "*good RCPT=550 no"), address="jürgen@d.example"
    ),
    "utf8-mail-550": world(
        _talk(r"*reply EHLO 250-mx\r\n250 SMTPUTF8", "*good MAIL=550 no"), address="jürgen@d.example"
    ),
    # The DNS.
    "alias-of-domain": world(
        "*good", zone=_ZONE.replace("d.example.", "e.example.", 1) + "d.example. 300 CNAME e.example.\n"
    ),
    "mx-address-and-dangling": world(
        "*good", zone="d.example. 300 MX 10 192.0.2.1.\nd.example. 300 MX 20 nothere.d.example.\n"
    ),
    "mx-in-capitals": world("*good RCPT=550 no", zone=_ZONE.replace("10 mx1.d", "10 MX1.D")),
    "mx-alias": world("*good RCPT=550 no", zone=_alias("mx1.d.example.", "Real.D.example.")),
    "implicit-alias": world(
        "*good RCPT=550 no", zone="d.example. 300 CNAME e.example.\ne.example. 300 A 127.0.0.2\n"
    ),
    "mx-dangling-and-address": world(
        "*good", zone="d.example. 300 MX 10 nothere.d.example.\nd.example. 300 MX 20 192.0.2.1.\n"
    ),
    "mx-dangling-and-4xx": world(_LATER, zone=f"{_ZONE}d.example. 300 MX 20 nothere.d.example.\n"),
    "mx-servfail-and-4xx": replace(
        world(_LATER, zone=f"{_ZONE}d.example. 300 MX 5 mx0.d.example.\n"), dns={"mx0.d.example": "servfail"}
    ),
    "mx-circle-and-4xx": world(_LATER, zone=_ZONE + _CIRCLE),
    "mx-circle-and-good": world("*good", zone=_ZONE + _CIRCLE),
    "two-names-one-address-4xx": world(_LATER, zone=_ZONE + _SECOND.replace(".0.3", ".0.2")),
    "late-banner": world(_talk("*sleep 0.6", "S: 220 mx", "*good")),
    # What the options random and postmaster ask.
    "rset-refused": world("*good RSET=502 no"),
    "postmaster-550": world("*good RCPT<postmaster@d.example>=550 5.1.1 no postmaster"),
    "postmaster-450": world("*good RCPT<postmaster@d.example>=450 later"),
    "random-450": world(_talk("*reply RCPT 450 later", "*good RCPT<user@d.example>=250 ok")),
    "random-550": world(_talk("*reply RCPT 550 unknown", "*good RCPT<user@d.example>=250 ok")),
    "random-all-550": world("*good RCPT=550 unknown"),
    "user-550": world("*good RCPT<user@d.example>=550 blocked"),
    "user-550-twice": world(r"*good RCPT=550 no\r\n550 no"),
    "postmaster-450-then-good": world(
        "*reply RCPT<postmaster@d.example> 450 later\n*good RCPT=550 no", "*good"
    ),
    "user-451": world("*good RCPT<user@d.example>=451 later"),
}

UNPREDICTED = {
    "tls-never-demanded": "--tls never keeps us from what Exim would hear after STARTTLS",
    "tls-injected-plaintext": "Exim takes that for a failed handshake and asks again in clear, which we did not",
    "tls-require-handshake-fails": "--tls require keeps us from asking in clear, as Exim does",
    "tls-require-not-offered": "--tls require keeps us from asking in clear, as Exim does",
    "domain-only-private": "we do not connect",
    "domain-only-private-rfc1918": "we do not connect",
    "family-4-excluded": "-4 leaves us nothing to connect to",
    "family-6-excluded": "-6 leaves us nothing to connect to",
    "run-cut-short": "--timeout ends our run before the host has answered",
    "rcpt-smtputf8-not-offered": "Exim sends the address all the same, so it hears what we did not",
}
"""Golden cases that do not show what Exim would hear, so that nothing may be predicted, and why."""

INCOMPARABLE = {
    "rcpt-drip-lines": "the reply takes one second in all, which is Exim's limit here and not ours",
    "hosts-disagree-equal": "which of two equal hosts is asked first is drawn anew each time",
    "dns-edns-formerr": "how the C library asks the DNS is not Exim's doing",
    "dns-edns-dropped": "how the C library asks the DNS is not Exim's doing",
    "dns-lame": "the C library takes a referral for an empty answer",
    "dns-bad-rdata": "the C library does not look into the records",
}
"""Golden cases in which Exim and we are not asked the same thing, or not told the same, and why."""

INEXACT = {
    "ehlo-endless": "log: Exim's buffer holds more of the flood than we read",
    "banner-drip": "seconds: of a reply in pieces Exim counts its limit in whole seconds of the clock",
}
"""Golden cases in which a text cannot be predicted to the letter, and why; the outcome and the reply are.

In every case the words of the TLS library and the random local part are left open (`exim.as_predicted`)."""

GOLDEN = sorted(set(cases.names()) - UNPREDICTED.keys() - INCOMPARABLE.keys())

# Options of the callout, each on mail hosts for which it matters and on some for which it must not.
RANDOM = (
    *("rcpt-accepted", "catch-all-true", "catch-all-false", "catch-all-undecided", "tls-good"),
    *("mail-null-refused", "mail-4xx", "mail-close", "banner-554", "helo-5xx", "dns-null-mx", "dns-servfail"),
    *("hosts-554-then-250", "hosts-4xx-then-250", "connect-refused-then-good", "random-450", "random-550"),
    *("left-4xx-then-null-refused", "pipelined-mail-550"),
)
POSTMASTER = (
    *("mail-own-sender-good", "catch-all-false", "catch-all-undecided", "said-unknown-exim", "said-full-552"),
    *("said-greylisted", "mail-null-refused", "banner-554", "tls-good", "connect-refused-then-good"),
    *("rset-refused", "postmaster-550", "postmaster-450", "user-550", "random-all-550", "literal-550"),
    *("user-550-twice", "postmaster-450-then-good"),
    *("unfinished-rcpt-550", "eight-bit-second-line", "said-neutral-closed-then-accepted"),
)
DEFER_OK = (
    *("connect-refused", "connect-dead", "banner-timeout", "mail-4xx", "rcpt-4xx", "hosts-all-4xx"),
    *("dns-servfail", "mail-null-refused", "said-unknown-511"),
)
FULL_POSTMASTER = ("tls-good", "mail-null-refused", "user-550")
OPTIONS = [
    *(Play(name, f"{SHORT},random", ("--catch-all",)) for name in RANDOM),
    *(Play(name, f"{SHORT},postmaster", ("--audit",)) for name in POSTMASTER),
    *(Play(name, f"{SHORT},fullpostmaster", ("--audit",)) for name in FULL_POSTMASTER),
    *(Play(name, f"{SHORT},defer_ok") for name in DEFER_OK),
    *(Play(name, f"{SHORT},random", ("--audit",)) for name in ("user-550", "random-all-550", "user-451")),
    Play("postmaster-450-then-good", f"{SHORT},random,postmaster", ("--catch-all", "--audit")),
    Play("said-unknown-511", f"{SHORT},no_cache"),
    Play("connect-dead-then-good", f"{SHORT},maxwait=1s"),
    Play("banner-timeout", "callout=2s,connect=1s"),
]

PLAYS = [*(Play(name) for name in GOLDEN), *(Play(name) for name in SCENARIOS), *OPTIONS]
"""Every comparison that is recorded."""


def case_of(name: str) -> Case:
    """Find a golden case, or a scenario of Exim's own."""
    return SCENARIOS.get(name) or cases.load(name)
