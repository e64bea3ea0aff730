"""What a batch remembers from run to run: the store, asked in the words of a batch.

Evidence answers for as long as `probe.core.expiry` says, judged by the rules of today; what is learned is kept. New
rows are written together, twice a second, by a thread: a commit costs as much for one row as for a hundred.

A row that is damaged, or that cannot be read as evidence, is not known: it is asked anew, and the new row is the one
that counts from then on.
"""

from __future__ import annotations

from datetime import datetime
from math import inf
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from probe import codec
from probe.core.callout import DOMAIN_POSITIVE
from probe.core.everybody import for_another, random_exchange
from probe.core.expiry import dns_ttl, for_domain, key, lasts
from probe.core.model import DnsAnswer, Stored
from probe.core.rebase import shift
from probe.net.store import FUTURE, DamagedRowError, Kept, KeptAnswer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from probe.core.model import Address, Evidence, Exchange, Options, Report
    from probe.net.store import Store
    from probe.net.store_writer import StoreWriter

WRITE_EVERY = 0.5
"""Seconds between two writes: what a killed process loses of the store, and asks again."""
WRITE_ABOVE = 250
"""Rows that are written at once, however soon."""


class Memory:
    """The store as a batch sees it.

    `store` is read, `writer` writes to the same file. `zero` is the epoch time at which the batch's clock showed
    0.0; with `fresh` nothing is answered from the store. Raises `StoreError` when it can no longer be used.
    """

    def __init__(
        self,
        store: Store,
        writer: StoreWriter,
        options: Options,
        servers: Sequence[tuple[str, int]],
        judge: Callable[[Evidence], Report],
        *,
        now: Callable[[], float],
        zero: float,
        fresh: bool = False,
    ) -> None:
        self._store = store
        self._writer = writer
        self._key = key(options)
        self._servers = " ".join(f"{host}:{port}" for host, port in servers)
        self._judge = judge
        self._now = now
        self._zero = zero
        self._fresh = fresh
        self._rows: list[Kept] = []
        self._answers: list[KeptAnswer] = []
        self._written = now()
        self._answer = msgspec.json.Decoder(DnsAnswer)

    def reports(self, addresses: Sequence[Address]) -> dict[str, Report]:
        """Give the reports that the store has for these addresses of one domain, by mailbox."""
        if self._fresh or not addresses:
            return {}
        found = {}
        kept = self._latest([address.mailbox for address in addresses])
        for address in addresses:
            if (row := kept.get(address.mailbox)) is not None:
                report = self._report(row, address)
                if report is not None:
                    found[address.mailbox] = report
        if len(found) < len(addresses):
            found |= self._of_the_domain([address for address in addresses if address.mailbox not in found])
        return found

    def random(self, domain: str) -> tuple[float, Exchange] | None:
        """Give what is known of the random mailbox of a domain, and the zero of its times in the batch's clock."""
        row = None if self._fresh else self._latest_of_domain(domain)
        evidence = None if row is None else _read(row)
        exchange = None if evidence is None else random_exchange(evidence)
        if row is None or evidence is None or exchange is None:
            return None
        began = row.seen - evidence.ended
        # Its own age: evidence may hold an answer that was known before.
        return (
            None if self._now() - began - exchange.ended > DOMAIN_POSITIVE else (began - self._zero, exchange)
        )

    def record(self, evidence: Evidence, data: bytes) -> None:
        """Keep evidence of this run, with its encoded form."""
        address = evidence.address
        seen = datetime.fromisoformat(evidence.began).timestamp() + evidence.ended
        self._rows.append(Kept(address.mailbox, address.domain, self._key, seen, data))
        self._write_in_time()

    # --- DNS: `Lookups` asks before the network, in the batch's clock ----------------------------------

    def recall(self, name: str, rdtype: str) -> DnsAnswer | None:
        """Give the answer to a question of the DNS, as long as its TTL lasts."""
        if self._fresh:
            return None
        try:
            row = self._store.answer(self._servers, name, rdtype)
            if row is None or not row.seen <= self._now() < row.expires:
                return None
            return shift(self._answer.decode(row.data), row.seen - self._zero)
        except (DamagedRowError, msgspec.DecodeError, UnicodeDecodeError):
            return None

    def keep(self, answer: DnsAnswer) -> None:
        """Keep an answer that was just given."""
        ttl = dns_ttl(answer)
        if ttl > 0:
            seen = self._zero + answer.ended
            data = codec.encode(shift(answer, -answer.ended))
            self._answers.append(KeptAnswer(self._servers, answer.name, answer.type, seen, seen + ttl, data))
            self._write_in_time()

    def write(self) -> None:
        """Hand what is new to the thread that writes."""
        if self._rows:
            rows, self._rows = self._rows, []
            self._writer.write(rows)
        if self._answers:
            answers, self._answers = self._answers, []
            self._writer.write(answers)
        self._written = self._now()

    def close(self) -> None:
        """Wait until everything is on the disk."""
        self.write()
        self._writer.close()

    def _write_in_time(self) -> None:
        late = not 0.0 <= self._now() - self._written < WRITE_EVERY
        if late or len(self._rows) + len(self._answers) >= WRITE_ABOVE:
            self.write()

    # --- from a row to a report --------------------------------------------------------------------------

    def _age(self, row: Kept) -> float:
        age = self._now() - row.seen
        # What was seen in the future was seen by a clock that has been set back since, who knows how long ago.
        return max(0.0, age) if age > -FUTURE else inf

    def _latest(self, mailboxes: list[str]) -> dict[str, Kept]:
        try:
            return self._store.latest_many(mailboxes, self._key)
        except DamagedRowError:
            if len(mailboxes) == 1:
                return {}
        # One of them: the others are still good for an answer.
        found: dict[str, Kept] = {}
        for mailbox in mailboxes:
            found |= self._latest([mailbox])
        return found

    def _latest_of_domain(self, domain: str) -> Kept | None:
        try:
            return self._store.latest_of_domain(domain, self._key)
        except DamagedRowError:
            return None

    def _report(self, row: Kept, address: Address) -> Report | None:
        evidence = _read(row)
        if evidence is None:
            return None
        report = self._judge(replace(evidence, address=address))
        age = self._age(row)
        return replace(report, stored=Stored(age, row.mailbox)) if age < lasts(report) else None

    def _of_the_domain(self, addresses: list[Address]) -> dict[str, Report]:
        row = self._latest_of_domain(addresses[0].domain)
        evidence = None if row is None else _read(row)
        if row is None or evidence is None:
            return {}
        age = self._age(row)
        if age >= for_domain(self._judge(evidence)):
            return {}
        found = {}
        for address in addresses:
            other = for_another(evidence, address)
            if other is not None and age < for_domain(report := self._judge(other)):
                found[address.mailbox] = replace(report, stored=Stored(age, row.mailbox))
        return found


def _read(row: Kept) -> Evidence | None:
    try:
        return codec.decode_evidence(row.data, "the store")
    except codec.EvidenceError:
        return None
