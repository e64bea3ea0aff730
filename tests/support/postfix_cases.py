"""What a real Postfix is asked about: the golden cases, and some more where it goes its own way.

fixtures/logs/postfix-3.7/NAME.log         what Postfix logged of a case, from behind time stamp and host
fixtures/logs/postfix-3.7/evidence.jsonl   what we saw of the same hosts and names, without bytes and PEM

python -m tests.support.postfix_cases [NAME ...]     as root: record all of RECORDED, or these, anew
"""

from __future__ import annotations

import json
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from probe import codec
from tests.support import cases, postfix
from tests.support.cases import HostSetup

if TYPE_CHECKING:
    from probe.core.model import Evidence
    from tests.support.cases import Case
    from tests.support.postfix import Said

FOLDER = Path(__file__).parents[2] / "fixtures" / "logs" / "postfix-3.7"
_EVIDENCE = FOLDER / "evidence.jsonl"

_HOSTS = "".join(
    f"d.example. 300 MX {number}0 mx{number}.d.example.\nmx{number}.d.example. 300 A 127.0.0.{number + 1}\n"
    for number in (1, 2, 3)
)
_LATER = "*good RCPT=451 4.3.0 Try again later"
_PIPELINING = """\
S: 220 mx1.d.example ESMTP
C: EHLO
S> 250-mx1.d.example\\r\\n250 PIPELINING\\r\\n
C: MAIL
S: 250 2.1.0 Ok
C: RCPT
S: 550 5.1.1 No such user here
*silence
"""


_PIPELINES = "*reply EHLO 250-mx1.d.example\\r\\n250 PIPELINING\n"


def _hosts(*scripts: str, address: str = "user@d.example") -> Case:
    """Give a case with one mail host for each script, in the order of preference."""
    zone = "\n".join(_HOSTS.splitlines()[: 2 * len(scripts)]) + "\n"
    peers = {f"127.0.0.{number}": HostSetup(script) for number, script in enumerate(scripts, 2)}
    return replace(cases.load("rcpt-accepted"), address=address, zone=zone, peers=peers)


def _in_zone(zone: str, *scripts: str) -> Case:
    """Give such a case with records of its own; there are three names, and what has no script is unreachable."""
    return replace(_hosts(*scripts), zone=zone)


MORE = {
    "more-three-hosts-4xx": _hosts(_LATER, _LATER, "*good"),  # two sessions are enough for it
    "more-helo-5xx-then-good": _hosts("*reply EHLO 502 no\n*good HELO=554 5.7.1 no", "*good"),
    "more-ehlo-421-then-good": _hosts("*good EHLO=421 4.3.2 Later", "*good"),
    "more-rcpt-354-then-good": _hosts("*good RCPT=354 go ahead", "*good"),
    "more-mail-4xx-then-unknown": _hosts(
        "*good MAIL=451 4.3.0 Later", "*good RCPT=550 5.1.1 No such user here"
    ),
    "more-closed-then-4xx": _hosts("*close", _LATER),
    "more-4xx-then-refused-connection": replace(
        _hosts(_LATER, "*good"),
        peers={"127.0.0.2": HostSetup(_LATER), "127.0.0.3": HostSetup(state="closed")},
    ),
    "more-pipelining": _hosts(_PIPELINING),
    "more-codes-at-odds": _hosts("*good RCPT=550 4.1.1 No such user here"),
    "more-real-sender-4xx": _hosts(
        "*reply RCPT from <> 550 5.7.1 Rejected\n*reply RCPT 451 4.7.1 Try again later\n*good"
    ),
    "more-batv": _hosts("*reply RCPT from <> 550 5.7.1 Bounce without a valid BATV signature refused\n*good"),
    "more-quoted-unknown": _hosts("*good RCPT=550 5.1.1 No such user here", address='"a b"@d.example'),
    "more-utf8-unknown": _hosts("*good RCPT=550 5.1.1 No such user here", address="jürgen@d.example"),
    "more-very-long": _hosts("*good RCPT=550-5.1.1 " + "no " * 100 + "\\r\\n550 5.1.1 " + "yes " * 60),
    "more-cut-in-a-character": _hosts("*good RCPT=550 5.1.1 " + "\\xe2\\x82\\xac" * 80),
    "more-a-servfail-aaaa-nodata": replace(_hosts("*good"), dns={"mx1.d.example A": "servfail"}),
    "more-mx-in-capitals": _in_zone(_HOSTS.replace("mx", "MX", 1), "*good RCPT=550 5.1.1 No such user here"),
    "more-two-names-one-address": _in_zone(
        _HOSTS.replace("A 127.0.0.3", "A 127.0.0.2"), _LATER, "*good", "*good"
    ),
    "more-circle": _in_zone(_HOSTS.replace("A 127.0.0.2", "CNAME mx1.d.example."), "*good", _LATER),
    "more-tab-behind-the-code": _hosts(r"*good RCPT=550 5.1.1\tNo such user here"),
    "more-longer-than-the-log": _hosts("*good RCPT=550 5.1.1 " + "no " * 900),
    "more-pipelined-421-then-good": _hosts(_PIPELINES + "*good MAIL=421 4.3.2 Later", "*good"),
    "more-pipelined-421": _hosts(_PIPELINES + "*good MAIL=421 4.3.2 Later"),
    "more-pipelined-550-closed": _hosts(
        _PIPELINING[: _PIPELINING.index("S: 250")] + "S: 550 5.7.1 No\n*close\n", "*good"
    ),
    "more-pipelined-no-code": _hosts(_PIPELINES + "*good RCPT=5.1.1 No such user here"),
    "more-code-only-greeting": _hosts("S: 220\n*good RCPT=550 5.1.1 No such user here"),
    "more-colon": _hosts("*good", address='"a:b"@d.example'),
}
"""Where Postfix does what no golden case shows."""

RECORDED = (
    *("banner-421", "banner-554", "banner-close", "banner-endless", "banner-http", "banner-masked"),
    *("banner-odd-code", "banner-ssh", "banner-timeout"),
    *(
        "connect-all-dead",
        "connect-all-refused",
        "connect-dead",
        "connect-dead-then-good",
        "connect-ipv6-literal",
    ),
    *("connect-ipv6-refused-ipv4-good", "connect-refused-then-good", "connect-seven-dead-one-good"),
    *(
        "dns-bad-rdata",
        "dns-cname-loop",
        "dns-dangling-and-servfail",
        "dns-exchange-servfail",
        "dns-implicit-mx",
    ),
    *("dns-mx-all-dangling", "dns-nodata", "dns-null-mx", "dns-null-mx-beside-others", "dns-nxdomain"),
    *("dns-servfail", "dns-timeout"),
    *("ehlo-421", "ehlo-5xx", "ehlo-5xx-helo-good", "ehlo-close", "ehlo-malformed"),
    *("helo-4xx", "helo-5xx", "helo-close", "helo-timeout"),
    *(
        "hosts-4xx-then-250",
        "hosts-554-then-250",
        "hosts-all-4xx",
        "hosts-all-blocked",
        "hosts-backup-denies-relay",
    ),
    *("hosts-silent-then-good", "hosts-two-addresses"),
    *("mail-4xx", "mail-both-refused", "mail-close", "mail-null-refused", "mail-odd-code", "mail-timeout"),
    *(name for name in MORE if name not in {"more-colon", "more-pipelined-no-code"}),
    *(
        "rcpt-8bit-unknown",
        "rcpt-accepted",
        "rcpt-close",
        "rcpt-endless",
        "rcpt-escapes-unknown",
        "rcpt-malformed",
    ),
    *("rcpt-mixed-no-yes", "rcpt-mixed-yes-no", "rcpt-no-separator", "rcpt-odd-code", "rcpt-out-of-step"),
    *("rcpt-smtputf8", "rcpt-smtputf8-not-offered", "rcpt-timeout"),
    *("said-252", "said-full-452", "said-full-552", "said-greylisted", "said-neutral-then-unknown"),
    *("said-null-sender", "said-unknown-gmail", "said-unknown-postfix", "said-unverified"),
    *("tls-demanded-handshake-fails", "tls-good"),
)
"""Cases of which evidence and log are kept: every way in which a probe of Postfix ends."""

UNPREDICTED = {
    "dns-mx-is-address": "Postfix connects to the address in an MX record, and we do not",
    "dns-mx-is-address-beside-good": "Postfix connects to the address in an MX record, and we do not",
    "domain-only-private": "we do not connect",
    "domain-only-private-rfc1918": "we do not connect",
    "family-4-excluded": "-4 leaves us nothing to connect to",
    "family-6-excluded": "-6 leaves us nothing to connect to",
    "more-pipelined-no-code": "Postfix takes the answer to its next command for the end of that reply",
    "more-colon": "Postfix makes another address of it before it asks",
    "run-cut-short": "--timeout ends our run before the host has answered",
    "said-backscatterer": "a list of those who send bounces says nothing of another sender",
    "tls-require-handshake-fails": "we do not go on without TLS",
    "tls-require-not-offered": "we do not go on without TLS",
}
"""Cases that do not show what Postfix would hear, so that nothing may be predicted, and why."""

INCOMPARABLE = {
    "banner-drip": "the greeting takes longer than our limit here",
    "dns-garbage": "the C library waits for another answer",
    "dns-wrong-id": "the C library waits for another answer",
    "family-4-only": "-4 leaves one of two equal addresses out",
    "hosts-disagree-equal": "which of two equal hosts is asked first is drawn",
    "mail-null-refused-closed": "the script refuses the first connection, whoever the sender is",
    "mail-null-refused-closed-neutral": "the script refuses the first connection, whoever the sender is",
    "rcpt-code-only": "the script waits for EHLO, and Postfix says HELO to such a greeting",
    "rcpt-drip-lines": "the reply takes longer than our limit here",
    "said-neutral-closed-then-accepted": "the script refuses the first connection, whoever the sender is",
}
"""Cases in which Postfix and we are not asked the same thing, or not told the same, and why."""


def load(name: str) -> Case:
    """Give a case by its name."""
    return MORE[name] if name in MORE else cases.load(name)


def names() -> list[str]:
    """Name every case, whether it can be compared or not."""
    return [*cases.names(), *MORE]


def comparable() -> list[str]:
    """Name the cases in which Postfix does what our evidence shows."""
    return [name for name in names() if name not in UNPREDICTED and name not in INCOMPARABLE]


def observe(name: str) -> tuple[Said, Evidence]:
    """Play a case to Postfix and to us, at the same time in two worlds."""
    case = load(name)
    with_tls = name.startswith("tls-") and not name.startswith("tls-never")
    with ThreadPoolExecutor(1) as beside:
        asking = beside.submit(postfix.ask, case, postfix.TLS if with_tls else postfix.FAST)
        seen = postfix.evidence(case)
    return asking.result(), seen


# --- what is kept ----------------------------------------------------------------------------------


@cache
def _kept() -> dict[str, Evidence]:
    lines = _EVIDENCE.read_text(encoding="utf-8").splitlines() if _EVIDENCE.exists() else []
    rows = (json.loads(line) for line in lines)
    return {
        row["case"]: codec.decode_evidence(json.dumps(row["evidence"]).encode(), row["case"]) for row in rows
    }


def recorded() -> list[str]:
    """Name the cases of which evidence and log are kept."""
    return sorted(_kept())


def recording(name: str) -> tuple[list[str], Evidence]:
    """Give the log that is kept of a case, and our evidence."""
    return (FOLDER / f"{name}.log").read_text(encoding="utf-8").splitlines(), _kept()[name]


def _slim(seen: Evidence) -> Evidence:
    """Leave out what no prediction reads: packets and bytes, and the certificate that is new each time."""
    hosts = tuple(
        replace(
            host,
            path=None,
            sessions=tuple(
                replace(
                    session, tape=(), tcp=None, tls=session.tls and replace(session.tls, certificate=None)
                )
                for session in host.sessions
            ),
        )
        for host in seen.hosts
    )
    return replace(seen, hosts=hosts, dns=tuple(replace(look, tries=()) for look in seen.dns))


_SCRATCH = re.compile(r"/[\w/.-]*/postfix-\w+")
"""Where the Postfix of a run lives: another folder each time, and nobody's business."""


def record(chosen: list[str]) -> None:
    """Record these cases anew, and keep the others."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    kept = {name: seen for name, seen in _kept().items() if name in RECORDED}
    kept |= {name: _slim(_record(name)) for name in chosen}
    rows = [{"case": name, "evidence": kept[name]} for name in sorted(kept)]
    _EVIDENCE.write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in rows))


def _record(name: str) -> Evidence:
    said, seen = observe(name)
    lines = (_SCRATCH.sub("/scratch/postfix", line) for line in said.log)
    (FOLDER / f"{name}.log").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return seen


if __name__ == "__main__":
    record(sys.argv[1:] or list(RECORDED))
