"""Which entries of a list of exempted relays are still needed, and what is wrong with the others. Pure.

First the list alone is looked at (`examine`), then what the callouts to the senders showed is put to it (`conclude`).
"""

from __future__ import annotations

from enum import StrEnum
from ipaddress import IPv6Network
from typing import TYPE_CHECKING

from msgspec import Struct

from probe.core.exemption.iplist import Form, Index, is_exempting
from probe.core.exemption.preflight_rules import Need
from probe.core.exemption.ways import Style
from probe.core.model import Scope
from probe.core.scope import scope

if TYPE_CHECKING:
    from collections.abc import Mapping

    from probe.core.exemption.iplist import Entry, Network

LIST_SCHEMA = 1
WIDEST = {4: 24, 6: 64}
"""The shortest prefix of a network that counts as one mail system's: what a provider gives to one customer."""
SHOWN = 3
"""Senders of one sentence."""


class Finding(StrEnum):
    """What is wrong with an entry, the gravest first; the last two are none."""

    DEAD = "dead"
    DUPLICATE = "duplicate"
    COVERED = "covered"
    TOO_BROAD = "too-broad"
    PRIVATE = "private"
    NEGATED = "negated"
    PAST_REVIEW = "past-review"
    NOT_NEEDED = "not-needed"
    UNSEEN = "unseen"
    OK = "ok"


ORDER = tuple(Finding)
_WITHOUT_EFFECT = frozenset({Finding.DEAD, Finding.DUPLICATE, Finding.COVERED})
"""Findings that say that the list would do the same without the entry."""
_TO_MEND = frozenset(Finding) - {Finding.OK, Finding.UNSEEN, Finding.NEGATED}


class ListEntry(Struct, frozen=True):
    """One entry of the report: `finding` is the gravest of `findings`, `says` the sentences about all of them.

    `needed` is false where the list would do the same without it or the callouts work again, true where a callout
    fails that the entry is for, null where that is not known. `senders` are those that it is known to be for.
    """

    entry: str
    line: int
    finding: Finding
    needed: bool | None
    says: str
    findings: tuple[Finding, ...]
    senders: tuple[str, ...]


class ListReport(Struct, frozen=True):
    """The report of `probe-sender audit`."""

    schema: int
    entries: tuple[ListEntry, ...]

    @property
    def in_order(self) -> bool:
        """Whether nothing in the list has to be changed."""
        return not any(entry.needed is False or _TO_MEND & set(entry.findings) for entry in self.entries)


class Sender(Struct, frozen=True):
    """What the probe of a known sender showed: what it means for an exemption, and its summary."""

    mailbox: str
    need: Need
    says: str


class Draft(Struct, frozen=True):
    """An entry with what is wrong with it by itself: each finding with its sentence."""

    entry: Entry
    findings: tuple[tuple[Finding, str], ...]


def examine(entries: tuple[Entry, ...], style: Style, today: str) -> tuple[Draft, ...]:
    """Look at the list alone; `today` is a date (ISO 8601)."""
    index = Index(tuple(filter(_counts, entries)))
    return tuple(Draft(entry, tuple(_findings(entry, style, index, today))) for entry in entries)


def _counts(entry: Entry) -> bool:
    """Whether an entry may make another one superfluous."""
    return is_exempting(entry) and not entry.negated and not entry.conditional


def _findings(entry: Entry, style: Style, index: Index, today: str) -> list[tuple[Finding, str]]:
    if (why := _why_dead(entry, style)) is not None:
        return [(Finding.DEAD, why)]
    found: list[tuple[Finding, str]] = []
    network = entry.network
    if network is not None:
        if entry.negated:
            found.append((Finding.NEGATED, "an exception from the lines below it"))
        elif not entry.conditional:
            found += _covered(entry, network, index)
        found += _about(network)
    until = entry.remark.until if entry.remark is not None else None
    if until is not None and until < today:
        found.append((Finding.PAST_REVIEW, f"its review was due on {until}"))
    return found


def _why_dead(entry: Entry, style: Style) -> str | None:
    """Say why no relay ever matches the entry, None where one may."""
    if entry.form is Form.UNREADABLE:
        return "it is neither an address nor a network, so no relay matches it"
    if entry.form is Form.NAME:
        return (
            None
            if style is Style.HOSTS
            else "it is a host name, and such a list is searched for addresses only"
        )
    if style is Style.CIDR:
        if entry.form is not Form.CIDR:
            return "it names no action, so Postfix skips it; write OK behind it"
        if entry.host_bits:
            return "the address is not the first of its network, so Postfix skips it"
        if entry.quoted:
            return "Postfix knows no quotes around an address"
        if not is_exempting(entry):
            return f"its action {(entry.value or '')[:40]} exempts nobody; OK does"
    elif (
        style in {Style.IPLSEARCH, Style.PAIRS}
        and isinstance(entry.network, IPv6Network)
        and not entry.quoted
    ):
        return (
            "Exim's iplsearch ends the key at its first colon; write it in double quotes (a host list, --form hosts,"
            " needs none)"
        )
    elif style is Style.PAIRS and entry.value is None:
        return "it names no domain behind a colon, so no sender matches it"
    elif style is Style.HOSTS and entry.quoted:
        return "a host list knows no quotes around an address"
    return None


def _covered(entry: Entry, network: Network, index: Index) -> list[tuple[Finding, str]]:
    for other in index.covering(network):
        if other.line == entry.line:
            continue
        if other.network == network:
            return [(Finding.DUPLICATE, f"line {other.line} says the same; the first one counts")]
        if other.value in {None, entry.value} or other.form is Form.CIDR:
            return [(Finding.COVERED, f"line {other.line} ({other.key}) covers it already")]
    return []


def _about(network: Network) -> list[tuple[Finding, str]]:
    found: list[tuple[Finding, str]] = []
    if network.prefixlen < WIDEST[network.version]:
        found.append(
            (
                Finding.TOO_BROAD,
                f"it covers {_size(network)}, more than one mail system has; name the relays that are meant",
            )
        )
    kind = scope(network.network_address)
    if kind is not Scope.PUBLIC and kind is scope(network.broadcast_address):
        found.append(
            (
                Finding.PRIVATE,
                f"{kind} addresses are no relays on the Internet; your own belong into relay_from_hosts or mynetworks",
            )
        )
    return found


def _size(network: Network) -> str:
    if network.version == 4:
        return f"{network.num_addresses} addresses"
    return f"a /{network.prefixlen} of IPv6"


def conclude(
    drafts: tuple[Draft, ...],
    senders: Mapping[int, tuple[str, ...]],
    probed: Mapping[str, Sender],
    *,
    unseen: frozenset[int] = frozenset(),
) -> ListReport:
    """Put what is known of the senders to the entries.

    `senders` are those known for the entry of a line, `probed` what came of those that were probed; `unseen` are
    the lines whose relays a log does not name at all.
    """
    return ListReport(
        LIST_SCHEMA,
        tuple(
            _concluded(draft, senders.get(draft.entry.line, ()), probed, unseen=draft.entry.line in unseen)
            for draft in drafts
        ),
    )


def _concluded(
    draft: Draft, senders: tuple[str, ...], probed: Mapping[str, Sender], *, unseen: bool
) -> ListEntry:
    findings = list(draft.findings)
    kinds = {finding for finding, _ in findings}
    needed, about = _needed(senders, probed)
    if kinds & _WITHOUT_EFFECT:
        needed, about = False, []
    elif needed is False:
        findings.append((Finding.NOT_NEEDED, about.pop(0)))
    if unseen and not kinds & _WITHOUT_EFFECT:
        findings.append((Finding.UNSEEN, "no line of the log names a relay of it"))
    findings.sort(key=lambda item: ORDER.index(item[0]))
    words = tuple(dict.fromkeys(finding for finding, _ in findings))
    says = [says for _, says in findings] + about
    return ListEntry(
        entry=draft.entry.text,
        line=draft.entry.line,
        finding=words[0] if words else Finding.OK,
        needed=needed,
        says="; ".join(says),
        findings=words,
        senders=senders,
    )


def _needed(senders: tuple[str, ...], probed: Mapping[str, Sender]) -> tuple[bool | None, list[str]]:
    """Say whether an entry is needed for these senders, and why."""
    known = [probed[mailbox] for mailbox in senders if mailbox in probed]
    if not senders:
        return None, ["for which sender it was made is not known"]
    if not known:
        return None, [f"not probed: {_some(list(senders))}"]
    failing = [sender for sender in known if sender.need in {Need.FAILS, Need.REFUSES_US}]
    if failing:
        return True, [f"a callout to {failing[0].mailbox} still fails: {failing[0].says}"]
    open_ones = [sender for sender in known if sender.need not in {Need.WORKS, Need.MISSING}]
    if open_ones:
        return None, [f"it cannot be told now for {open_ones[0].mailbox}: {open_ones[0].says}"]
    if len(known) < len(senders):
        return None, [
            f"callouts work for {_some([sender.mailbox for sender in known])}; other senders of it were not probed"
        ]
    missing = [sender for sender in known if sender.need is Need.MISSING]
    if missing:
        return False, [
            f"{missing[0].mailbox} cannot receive mail ({missing[0].says}); no exemption mends that"
        ]
    return False, [f"callouts to {_some([sender.mailbox for sender in known])} work again; take it out"]


def _some(items: list[str]) -> str:
    more = f" and {len(items) - SHOWN} more" if len(items) > SHOWN else ""
    return ", ".join(items[:SHOWN]) + more
