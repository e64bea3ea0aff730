"""What Postfix does with mail from this sender now, where it has `reject_unverified_sender` (smtpd_check.c, verify(8)).

It sends a probe message from `double-bounce@$myorigin`, not from the null sender, through its own queue, and lets
the relay wait for the outcome: it looks at once, after 3 s and after 6 s (`address_verify_poll_count`, `_delay`).
What the probe found by then is its answer, otherwise 450 "Address verification in progress", and the verdict is
there when the relay comes again. 450 is also the answer to a sender that was refused for good: a site has to set
`unverified_sender_reject_code` for another one.

The order of hosts is that of Exim, but hosts of equal preference are drawn anew each time; five addresses are
tried at most (`smtp_mx_address_limit`), and two that took EHLO (`smtp_mx_session_limit`). What one connection
brings is said by `client`, what the DNS alone decides by `dns`.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from probe.core.mail_hosts import addresses_of, asked
from probe.core.model import (
    AddressKind,
    AskedHost,
    CacheRecord,
    Covers,
    DnsOutcome,
    MtaOutcome,
    MtaView,
)
from probe.core.postfix.client import Result, Talk, named, printable, talk
from probe.core.postfix.dns import loops, without_host
from probe.core.postfix.notes import beside
from probe.core.route import ExchangeKind, RouteState
from probe.core.scope import read_ip
from probe.core.sentences import seconds_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from probe.core.fold import Judged
    from probe.core.model import Address, Evidence, HostEvidence
    from probe.core.route import Route

VERSION = "3.7"
"""The version whose behaviour was checked against the running program."""
SETTINGS = "reject_unverified_sender"

POLLS = (3.0, 6.0)
"""Seconds after which smtpd looks whether the probe has ended (`address_verify_poll_delay` 3s, `_count` 3)."""
IN_PROGRESS = "Address verification in progress"
ADDRESS_LIMIT = 5
"""`smtp_mx_address_limit`."""
SESSION_LIMIT = 2
"""`smtp_mx_session_limit`."""
REASON_LIMIT = 250
"""Octets of the reason that the relay is told."""
REPLY_LIMIT = 510
"""Octets of the whole reply (RFC 5321 4.5.3.1.5)."""
LOG_LIMIT = 2000
"""Octets of one message in the log."""
TAKEN_SECONDS = 7.0 * 86400
"""`address_verify_positive_refresh_time`."""
REFUSED_SECONDS = 3.0 * 3600
"""`address_verify_negative_refresh_time`."""
RESOLVER_SECONDS = 10.0
"""What a name server that does not answer costs: two tries of five seconds each (resolv.conf(5))."""
LOST_SECONDS = 1000.0
"""After this a probe that has not ended counts as lost (verify.c, PROBE_TTL)."""


class Probe(Struct, frozen=True, kw_only=True):
    """What Postfix's own probe finds, once it has ended; text as latin-1, like all of a peer.

    `seconds` is how long it takes, infinite where a host never stops sending. `log` are the lines of its SMTP
    client, `<pid>`, `<id>` and `<n>` standing for what no evidence knows.
    """

    result: Result
    why: str
    seconds: float
    log: tuple[str, ...]
    asked: tuple[AskedHost, ...] = ()
    notes: tuple[str, ...] = ()


def predict(evidence: Evidence, way: Route, judged: tuple[Judged, ...]) -> MtaView | None:
    """Predict Postfix's answer to the first mail from this sender; None when what was seen does not tell.

    `seconds` of the cache is the time until Postfix asks again. It does not forget by then: a sender that was
    taken stays so for 31 days, whatever a probe finds meanwhile, and one that was refused for 3 days, or until a
    probe is answered otherwise.
    """
    found = probe(evidence, way, judged)
    if found is None:
        return None
    address = evidence.address
    in_time = next((poll for poll in POLLS if found.seconds <= poll), None)
    reply = later = answer(address, found)
    if in_time is None:
        reply = answer(address, None)
    log = found.log
    if reply is not None:
        told = rejected(address, reply)
        log = (told, *log) if in_time is None else (*log, told)
    return MtaView(
        outcome=MtaOutcome.ACCEPT if reply is None else MtaOutcome.DEFER,
        reply=None if reply is None else _text(reply),
        version=VERSION,
        settings=SETTINGS,
        reply_lines=() if reply is None else (_text(reply),),
        log=tuple(map(_text, log)),
        asked=found.asked,
        cache=_remembered(address, found),
        clear=_CLEAR.format(_text(_key(address)).replace("'", "'\\''")),
        seconds=in_time or POLLS[-1],
        notes=(*(() if in_time else (_late(found, later),)), *_harder(address, found), *found.notes),
    )


def answer(address: Address, found: Probe | None) -> str | None:
    """Give the reply that the relay gets after this probe, or before it has ended; None where it is accepted.

    It is latin-1, as a peer's words are in it.
    """
    if found is not None and found.result is Result.TAKEN:
        return None
    why = IN_PROGRESS if found is None or found.seconds == float("inf") else found.why
    subject = f"{_subject(address)} unverified address: {why[:REASON_LIMIT]}"
    return _reply(f"450 4.1.7 {subject}")


def rejected(address: Address, reply: str) -> str:
    """Give the line that smtpd(8) logs of such a reply."""
    return _line("smtpd", _REJECT.format(reply=reply, sender=_external(address)))


# --- the probe -------------------------------------------------------------------------------------


def probe(evidence: Evidence, way: Route, judged: tuple[Judged, ...]) -> Probe | None:
    """Say what its probe finds; None when what was seen does not tell (cut short, nothing tried)."""
    address = evidence.address
    if ":" in address.mailbox:
        # It writes `_` for `:` in the key of its cache (verify.c), and then sends the probe to that.
        if address.kind is not AddressKind.LITERAL:
            return None
        return _ended(address, Result.HARD, "5.1.3", "bad address syntax", notes=(_LITERAL,), by="error")
    if way.state is not RouteState.READY or way.null_mx_beside_others:
        nowhere = without_host(evidence, way)
        if nowhere is None:
            return None
        spent = sum(
            RESOLVER_SECONDS if look.outcome is DnsOutcome.TIMEOUT else look.ended - look.asked
            for look in evidence.dns
        )
        lines = tuple(_line("smtp", f"warning: {warning}") for warning in nowhere.warnings)
        result = Result.SOFT if nowhere.dsn[0] == "4" else Result.HARD
        return _ended(address, result, nowhere.dsn, nowhere.why, before=lines, seconds=spent)
    return _walk(evidence, way, judged)


def _walk(evidence: Evidence, way: Route, judged: tuple[Judged, ...]) -> Probe | None:
    """Ask host after host, as smtp_connect.c does."""
    hosts = _at_most_five(_tries(evidence, way, judged))
    addresses = [each.preference for each in way.exchanges if each.kind is ExchangeKind.LITERAL]
    literal = min(addresses) if addresses else None
    talks: list[tuple[HostEvidence, Talk]] = []
    lines = [_line("smtp", f"warning: {warning}") for warning in loops(evidence, way)]
    greeted = 0
    for number, item in enumerate(hosts, 1):
        host = item.host
        if literal is not None and literal <= (host.preference or 0):
            return None  # it connects to the address in the MX record, and we did not
        said = talk(item, evidence)
        if said is None:
            return None
        talks.append((host, said))
        greeted += said.greeted
        if not said.connected:
            lines.append(_line("smtp", said.why))
            continue
        final = number == len(hosts) or greeted == SESSION_LIMIT
        gone = f"<id>: lost connection with {named(host, evidence)} while sending RCPT TO"
        behind = (_line("smtp", gone),) if said.hung_up and not final else ()
        if said.result is Result.SOFT and not final:
            lines += [_line("smtp", f"<id>: {said.why}"), *behind]
            continue
        relay = f"{named(host, evidence)}:{host.port}"
        found = _told(evidence, judged, talks, tuple(lines), relay)
        return replace(found, log=(*found.log, *behind))
    if not talks or literal is not None:
        return None
    return _told(evidence, judged, talks, tuple(lines), "none")


def _tries(evidence: Evidence, way: Route, judged: tuple[Judged, ...]) -> tuple[Judged, ...]:
    """List the addresses in the order in which they are tried: once for each MX record that leads there.

    We connect to an address once, so what we heard there stands for every try under another name.
    """
    hosts = asked(judged)
    if len(way.exchanges) == 1 and all(item.host.name == way.exchanges[0].name for item in hosts):
        return hosts  # there is no other name
    heard = {item.host.ip: item for item in hosts}
    again = []
    for exchange in way.exchanges:
        for rdtype in ("AAAA", "A"):
            for record in addresses_of(exchange.name, rdtype, evidence).records:
                item = heard.get(str(read_ip(record.data)))
                if item is not None and exchange.name != item.host.name:
                    host = replace(item.host, name=exchange.name, preference=exchange.preference)
                    again.append(replace(item, host=host))
    if not again:
        return hosts
    return tuple(
        sorted((*hosts, *again), key=lambda item: (item.host.preference or 0, ":" not in item.host.ip))
    )


def _at_most_five(hosts: tuple[Judged, ...]) -> tuple[Judged, ...]:
    """Keep five addresses, and of neither family so many that the other has none (smtp_balance_inet_protocols)."""
    versions = [4 if ":" not in item.host.ip else 6 for item in hosts]
    four, six = versions.count(4), versions.count(6)
    if not four or not six or four + six <= ADDRESS_LIMIT:
        return hosts[:ADDRESS_LIMIT]
    half = ADDRESS_LIMIT // 2
    if six <= half:
        room = {6: six, 4: ADDRESS_LIMIT - six}
    elif four <= half:
        room = {4: four, 6: ADDRESS_LIMIT - four}
    else:
        room = {4: (ADDRESS_LIMIT + (versions[0] == 4)) // 2}
        room[6] = ADDRESS_LIMIT - room[4]
    kept = []
    for item, version in zip(hosts, versions, strict=True):
        if room[version]:
            room[version] -= 1
            kept.append(item)
    return tuple(kept)


def _told(
    evidence: Evidence,
    judged: tuple[Judged, ...],
    talks: list[tuple[HostEvidence, Talk]],
    before: tuple[str, ...],
    relay: str,
) -> Probe:
    last = talks[-1][1]
    return _ended(
        evidence.address,
        last.result,
        last.dsn,
        last.why,
        before=before,
        relay=relay,
        seconds=sum(said.seconds for _, said in talks),
        hosts=tuple(
            AskedHost(
                host.name,
                host.ip,
                MtaOutcome.ACCEPT if said.result is Result.TAKEN else MtaOutcome.DEFER,
                _text(said.why) or _ENDLESS,
            )
            for host, said in talks
        ),
        notes=tuple(beside(evidence, judged, talks)),
    )


def _ended(
    address: Address,
    result: Result,
    dsn: str,
    why: str,
    *,
    before: tuple[str, ...] = (),
    relay: str = "none",
    seconds: float = 0.0,
    hosts: tuple[AskedHost, ...] = (),
    notes: tuple[str, ...] = (),
    by: str = "smtp",
) -> Probe:
    status = "deliverable" if result is Result.TAKEN else "undeliverable"
    line = _line(
        by,
        f"<id>: to=<{_external(address).replace(':', '_')}>, relay={relay}, delay=<n>, delays=<n>,"
        f" dsn={dsn}, status={status} ({why})",
    )
    log = before if seconds == float("inf") else (*before, line)
    return Probe(result=result, why=why, seconds=seconds, log=log, asked=hosts, notes=notes)


# --- notes -----------------------------------------------------------------------------------------

_LITERAL = (
    "Postfix cannot verify an IPv6 address literal: it replaces the colons for its cache and then probes an address"
    " that is none."
)
_ENDLESS = "sends without end"


def _late(found: Probe, later: str | None) -> str:
    if found.seconds == float("inf"):
        return (
            f"The probe does not end, because a host sends without end; after {LOST_SECONDS:.0f} s Postfix sends"
            " another, and the relay is told the same each time."
        )
    then = "accepted" if later is None else f"told {_text(later)}"
    return (
        f"The probe takes about {seconds_text(found.seconds)} s, and the relay waits for {POLLS[-1]:.0f} s of it; when"
        f" it comes again afterwards, it is {then}."
    )


def _harder(address: Address, found: Probe) -> Iterable[str]:
    if found.result is Result.HARD:
        said = _reply(f"550 5.1.7 {_subject(address)} undeliverable address: {found.why}")
        yield f"Where unverified_sender_reject_code is 550, the relay is told: {_text(said)}"


# --- words -----------------------------------------------------------------------------------------

_REJECT = (
    "NOQUEUE: reject: RCPT from <relay>: {reply}; from=<{sender}> to=<recipient> proto=ESMTP helo=<name>"
)
_CLEAR = "postfix reload && postmap -fd '{}' btree:/var/lib/postfix/verify_cache"
"""verify(8) holds a lock on its file for as long as it runs, and `-f` keeps `postmap` from folding upper case."""
_ATOM = re.compile(r"[^\x00- \x7f()<>@,;:\\\".\[\]]+(?:\.[^\x00- \x7f()<>@,;:\\\".\[\]]+)*")


def _line(by: str, text: str) -> str:
    """Give a line of the log, which is cut off behind so many octets (msg_output.c)."""
    return f"postfix/{by}[<pid>]: {text[:LOG_LIMIT]}"


def _reply(text: str) -> str:
    return printable(text[:REPLY_LIMIT], " ")


def _subject(address: Address) -> str:
    return f"<{_internal(address)}>: Sender address rejected:"


def _internal(address: Address) -> str:
    """Give the address without quotes, as Postfix keeps it, in octets."""
    mailbox = address.mailbox
    octets = mailbox if mailbox.isascii() else mailbox.encode().decode("latin-1")
    local, _, domain = octets.rpartition("@")
    if local.startswith('"'):
        local = re.sub(r"\\(.)", r"\1", local[1:-1])
    return f"{local}@{domain}"


def _external(address: Address) -> str:
    """Give the address as Postfix logs it, quoted where it has to be."""
    local, _, domain = _internal(address).rpartition("@")
    if _ATOM.fullmatch(local) is None:
        local = '"' + re.sub(r'([\\"])', r"\\\1", local) + '"'
    return f"{local}@{domain}"


def _key(address: Address) -> str:
    return _internal(address).replace(":", "_")


def _remembered(address: Address, found: Probe) -> tuple[CacheRecord, ...]:
    if found.seconds == float("inf"):
        return ()
    taken = found.result is Result.TAKEN
    return (
        CacheRecord(
            Covers.ADDRESS,
            _text(_key(address)),
            "deliverable" if taken else "undeliverable",
            TAKEN_SECONDS if taken else REFUSED_SECONDS,
        ),
    )


def _text(octets: str) -> str:
    """Read octets as UTF-8 where they are that."""
    if octets.isascii():
        return octets
    with suppress(UnicodeError):
        return octets.encode("latin-1").decode()
    return octets
