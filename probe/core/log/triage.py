"""The lines of a log about sender verification -> groups of senders that fail alike.

A line alone says little: Exim writes what the callout found on one line and whom it turned away on the next,
and what became of the mail hours later. Here they are put together, one after the other as they come, in bounded
memory:

- the `verify` line and the `rejected` line of the same connection are one **try**;
- tries for the same sender, recipient and relay, less than a day apart, are one **message** that the relay
  tries again (`fates`);
- a bare `sender verify fail for <a>` repeats what the cache of the mail server remembers, so it counts for the
  failure that is on record for that sender;
- Postfix's "Address verification in progress" waits for what its probe finds.

Times are those of the lines. They run backwards now and then (several processes write), never far.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from msgspec import structs

from probe.core.log.event import LogFault, LogKind
from probe.core.log.fates import Ledger, Tally, fate
from probe.core.log.join import OPEN, Join, partner, remember
from probe.core.log.report import LOG_SCHEMA, Counted, Group, LogReport
from probe.core.log.verdict import judge_event
from probe.core.model import MtaOutcome

if TYPE_CHECKING:
    from probe.core.log.event import LogEvent, LogVerdict
    from probe.core.model import Tool

GROUPS = 5000
"""Groups in memory; beyond that those with the fewest tries go."""
TOLD = 50_000
"""Senders that are not told of again."""
NAMES = 20
"""Recipients and senders of one group that are kept by name."""
EARLIER = 600.0
"""Seconds after a refusal within which the relay ends the transaction."""
CACHED = 3 * 3600.0
"""Seconds for which Exim remembers a failure (callout_domain_negative_expire; that of an address is shorter)."""
KNOWN = 2 * OPEN
"""Senders of whom the last failure is kept."""
_ADDRESS_SAYS = ("rcpt.",)
"""Reasons about one mailbox begin so; all others are about its host or domain."""
_NULL_SENDER = "mail.null-sender-refused"
_TOKEN = re.compile(r"(?<![\w.+/=-])[A-Za-z_.+/=-]*+[0-9][\w.+/=-]*+", re.ASCII)
"""A word with a digit in it."""
_CODE = re.compile("[2-5][0-9]{2}|[245](?:[.][0-9]{1,3}){2}")
"""A reply code (RFC 5321 4.2), or an enhanced one (RFC 3463 2)."""


class Wanted(NamedTuple):
    """What the user asked for, in lower case; None is everything."""

    sender: str | None = None
    relay: str | None = None
    domain: str | None = None

    def admits(self, sender: str | None, relay: str | None, domain: str | None) -> bool:
        """Whether a try belongs to it."""
        return (
            (self.sender is None or (sender or "").lower() == self.sender)
            and (self.relay is None or relay == self.relay)
            and (self.domain is None or domain == self.domain)
        )


class _Known(NamedTuple):
    """The last failure of a sender: when, through which relay, the line that says why, and its group."""

    at: float
    relay: str | None
    event: LogEvent
    group: _Group


class _Group:
    """A group that grows."""

    __slots__ = (
        "beside",
        "cached",
        "count",
        "event",
        "first",
        "incomplete",
        "last",
        "recipients",
        "senders",
        "since",
        "tally",
        "until",
    )

    def __init__(self, event: LogEvent, beside: LogEvent | None, at: float) -> None:
        self.event = event
        self.beside = beside
        self.tally = Tally()
        self.count = self.cached = self.incomplete = 0
        self.first = self.last = event.when
        self.since = self.until = at
        self.senders: dict[str | None, int] = {}
        self.recipients: dict[str | None, int] = {}


class Triage:
    """The lines of a log so far: `add` each in turn, then `report`."""

    def __init__(self, wanted: Wanted | None = None, *, telling: bool = False) -> None:
        """With `telling`, `fresh` gives what is new."""
        self.understood = 0
        self._wanted = wanted or Wanted()
        self._filtered = self._wanted != Wanted()
        self._now = 0.0
        self._first: str | None = None
        self._last: str | None = None
        self._join = Join(self._count)
        self._known: dict[str, _Known] = {}
        self._clients: dict[str, str | None] = {}
        self._verdicts: dict[tuple[object, ...], LogVerdict] = {}
        self._groups: dict[tuple[object, ...], _Group] = {}
        self._ledger = Ledger()
        self._telling = telling
        self._told_of: dict[str | None, None] = {}
        self._fresh: list[tuple[str | None, _Group]] = []
        self._warned = 0
        self._crowded_out = 0
        self._takes = {
            LogKind.VERIFY: self._verified,
            LogKind.REJECTED: self._rejected,
            LogKind.RECEIVED: self._received,
            LogKind.INCOMPLETE: self._incomplete,
            LogKind.PROBE: self._probed,
            LogKind.REMARK: self._understand,
            LogKind.LOST: self._ignore,
        }

    @property
    def watched(self) -> set[bytes]:
        """The senders of which lines about mail that was taken matter."""
        return self._ledger.watched

    def add(self, event: LogEvent) -> None:
        """Take the next line that was understood."""
        at = event.at
        if at is not None and at > self._now:
            self._now = at
        self._takes[event.kind](event)

    def reached(self, at: float) -> None:
        """Learn how far the log reaches, from a line about anything."""
        self._now = max(self._now, at)

    def misses(self, until: float) -> None:
        """Learn that the log says nothing between `until` and the next line: files are missing, or lines."""
        self._join.settle(probes=True)
        self._ledger.forget(until)

    def settle(self) -> None:
        """Count what still waits for a partner line: for now none comes."""
        self._join.settle(probes=False)

    def fresh(self) -> list[Group]:
        """Give each sender that began to fail since the last call, once, as a group that names it."""
        fresh, self._fresh = self._fresh, []
        return [structs.replace(self._told(group), sender=sender) for sender, group in fresh]

    def report(
        self,
        *,
        lines: int,
        not_understood: int,
        samples: tuple[str, ...],
        limit: int | None,
        tool: Tool,
        shows_mail: bool = True,
    ) -> LogReport:
        """Sum up; `limit` is how many groups are given at most.

        Without `shows_mail` the log names no mail that was taken, so that a message may have come through unseen.
        """
        self._join.settle(probes=True)
        self._ledger.close(self._now)
        if not shows_mail:
            self._unlose()
        groups = sorted(self._groups.values(), key=lambda group: (-group.tally.messages, -group.count))
        return LogReport(
            schema=LOG_SCHEMA,
            lines=lines,
            understood=self.understood,
            not_understood=not_understood,
            groups=tuple(map(self._told, groups[:limit])),
            failing=len(groups),
            first=self._first,
            last=self._last,
            notes=tuple(self._notes()),
            samples=samples,
            tool=tool,
        )

    # --- lines -------------------------------------------------------------------------------------

    def _understand(self, event: LogEvent) -> None:
        self.understood += 1
        if event.when:
            self._last = event.when
            if self._first is None:
                self._first = event.when

    def _ignore(self, event: LogEvent) -> None:
        """Leave out a line of which nothing follows."""

    def _time(self, event: LogEvent) -> float:
        return self._now if event.at is None else event.at

    def _verified(self, event: LogEvent) -> None:
        self._understand(event)
        if event.outcome is None:
            self._warned += 1
            return
        self._join.verified(event, self._time(event))

    def _rejected(self, event: LogEvent) -> None:
        self._understand(event)
        self._join.rejected(event, self._time(event))

    def _probed(self, event: LogEvent) -> None:
        self._understand(event)
        self._join.probed(event, self._time(event))

    def _incomplete(self, event: LogEvent) -> None:
        known = self._known.get(event.sender or "")
        if known is None or known.relay != event.relay_ip:
            return
        if abs(self._time(event) - known.at) <= EARLIER:
            self._understand(event)
            known.group.incomplete += 1

    def _received(self, event: LogEvent) -> None:
        relay, sender = event.relay_ip, event.sender
        if event.message is not None:
            # Postfix tells it in pieces: the client, then the sender, under the same queue id.
            if sender is None:
                if relay is not None:
                    remember(self._clients, event.message, relay)
                return
            if relay is None:
                relay = self._clients.pop(event.message, None)
        if sender:
            self._ledger.received(sender, relay, event.recipients, self._time(event))

    # --- tries -------------------------------------------------------------------------------------

    def _count(self, told: LogEvent, turned_away: LogEvent) -> None:
        """Count a try, of which one line says why and one who was turned away."""
        sender = told.sender or turned_away.sender
        relay = turned_away.relay_ip
        domain = sender.rpartition("@")[2].lower() if sender else None
        if self._filtered and not self._wanted.admits(sender, relay, domain):
            return
        at = self._time(turned_away)
        outcome = turned_away.outcome or told.outcome or MtaOutcome.DEFER
        cached = told.fault is LogFault.CACHED
        if cached and (earlier := self._on_record(sender, domain, at)) is not None:
            told = earlier.event
        verdict = self._judge(told, partner(told, turned_away), sender)
        group = self._group(told, turned_away, verdict, sender, domain, outcome)
        group.count += 1
        group.cached += cached
        if at >= group.until:
            group.until, group.last = at, turned_away.when
        elif at < group.since:
            group.since, group.first = at, turned_away.when
        if self._telling and sender not in self._told_of:
            remember(self._told_of, sender, None, TOLD)
            self._fresh.append((sender, group))
        _tick(group.senders, sender)
        recipient = turned_away.recipient
        _tick(group.recipients, recipient)
        self._ledger.tried(
            sender or "", (relay, recipient, group.tally), at, final=outcome is MtaOutcome.REJECT
        )
        if not cached and sender:
            known = _Known(at, relay, told, group)
            remember(self._known, sender, known, KNOWN)
            if verdict.reason == _NULL_SENDER and domain:
                remember(self._known, domain, known, KNOWN)

    def _on_record(self, sender: str | None, domain: str | None, at: float) -> _Known | None:
        """Find what the cache of the mail server repeats: an answer about the address, or about all of its domain."""
        for key in (sender, domain):
            known = self._known.get(key or "")
            if known is not None and known.event.outcome is MtaOutcome.REJECT and at - known.at <= CACHED:
                return known
        return None

    def _judge(self, told: LogEvent, beside: LogEvent | None, sender: str | None) -> LogVerdict:
        """Judge a try, once for all of which the log says the same but for names and numbers.

        The sentences are about the first of them; for the groups that are shown, `_told` has their own made.
        """
        key = (
            told.program, told.kind, told.cut, told.outcome, told.fault, told.stage, ":" in (told.host_ip or ""),
            _alike(told.said, sender), beside and (beside.outcome, beside.fault),
        )  # fmt: skip
        verdict = self._verdicts.get(key)
        if verdict is None:
            verdict = judge_event(told, beside)
            remember(self._verdicts, key, verdict)
        return verdict

    def _group(
        self,
        told: LogEvent,
        turned_away: LogEvent,
        verdict: LogVerdict,
        sender: str | None,
        domain: str | None,
        outcome: MtaOutcome,
    ) -> _Group:
        about_address = verdict.reason.startswith(_ADDRESS_SAYS) or told.host_ip is None
        key = (
            sender if about_address else domain,
            turned_away.relay_ip,
            told.host_ip,
            verdict.reason,
            outcome,
        )
        group = self._groups.get(key)
        if group is None:
            if len(self._groups) >= GROUPS:
                self._make_room()
            shown = structs.replace(
                told,
                sender=sender,
                relay_ip=turned_away.relay_ip,
                relay_name=turned_away.relay_name or told.relay_name,
                helo=turned_away.helo or told.helo,
                when=turned_away.when or told.when,
                outcome=outcome,
            )
            group = self._groups[key] = _Group(shown, partner(told, turned_away), self._time(turned_away))
        return group

    def _unlose(self) -> None:
        """Take back that deferred messages were lost: their next try may have been taken, and not logged here."""
        for group in self._groups.values():
            if group.event.outcome is not MtaOutcome.REJECT:
                group.tally.unseen += group.tally.lost
                group.tally.lost = 0

    def _make_room(self) -> None:
        least = sorted(self._groups, key=lambda key: (self._groups[key].count, self._groups[key].until))
        for key in least[: GROUPS // 4]:
            self._crowded_out += self._groups.pop(key).count

    # --- what is told ------------------------------------------------------------------------------

    def _told(self, group: _Group) -> Group:
        event, tally = group.event, group.tally
        verdict = judge_event(event, group.beside)
        senders = sorted(group.senders.items(), key=lambda item: -item[1])
        named = [(address, number) for address, number in senders if address]
        recipients = sorted(group.recipients.items(), key=lambda item: -item[1])
        told = [(address, number) for address, number in recipients if address]
        sender = named[0][0] if named else None
        outcome = event.outcome or MtaOutcome.DEFER
        return Group(
            sender=sender,
            domain=sender.rpartition("@")[2].lower() if sender else None,
            relay_ip=event.relay_ip,
            relay_name=event.relay_name,
            helo=event.helo,
            called_host=event.host,
            called_ip=event.host_ip,
            outcome=outcome,
            cause=verdict.cause,
            reason=verdict.reason,
            confidence=verdict.confidence,
            count=group.count,
            messages=tally.messages,
            first=group.first,
            last=group.last,
            recipients=tuple(address for address, _ in told),
            fate=fate(tally, final=outcome is MtaOutcome.REJECT, last=group.until, until=self._now),
            said=event.said or event.text,
            report=None,
            program=event.program,
            rule=verdict.rule,
            says=verdict.says,
            proves=verdict.proves,
            leaves_open=verdict.leaves_open,
            senders=tuple(Counted(address, number) for address, number in named),
            more_senders=group.count - sum(group.senders.values()),
            more_recipients=group.count - sum(group.recipients.values()),
            cached=group.cached,
            incomplete=group.incomplete,
            now=None,
        )

    def _notes(self) -> list[str]:
        notes = []
        if self._warned:
            notes.append(
                f"failed verifications without a consequence (a warning only), in no group: {self._warned}"
            )
        if self._crowded_out:
            notes.append(
                f"more than {GROUPS} groups: {self._crowded_out} tries of those with the fewest were left out"
            )
        if self._ledger.overflowed:
            notes.append("more messages than are remembered: of the oldest the fate is not known")
        return notes


@lru_cache(maxsize=KNOWN)
def _alike(said: str | None, sender: str | None) -> str | None:
    """Give a reply without what differs from one message to the next: the sender, ids, addresses, numbers."""
    if not said:
        return said
    return _TOKEN.sub(_code_only, said.replace(sender, "") if sender else said)


def _code_only(found: re.Match[str]) -> str:
    return found[0] if _CODE.fullmatch(found[0]) else ""


def _tick(counts: dict[str | None, int], name: str | None) -> None:
    """Count a name, unless it is one too many."""
    number = counts.get(name)
    if number is not None:
        counts[name] = number + 1
    elif len(counts) < NAMES:
        counts[name] = 1
