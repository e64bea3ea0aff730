"""What keeping a result costs: `python -m benchmarks.store [ROWS [ROUNDS]]`, default 20000 and 5.

Each round writes the same rows of 5 KiB of JSON, in batches of 64, once into a store and once as JSON Lines appended
to a file; printed are the medians of the CPU time per row, and of the ratios within a round. Then what a single probe
pays: opening a store that is there, recording one result and closing it, in milliseconds of wall time; and a turn
asked for and given back in the ledger. Exit code 1 when the goal is missed.
"""

from __future__ import annotations

import random
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from probe.core.politeness import Limits
from probe.net.ledger import StoreLedger
from probe.net.store import Kept, KeptAnswer, Store

if TYPE_CHECKING:
    from collections.abc import Callable

GOAL = 45.0
"""Microseconds of CPU per row."""
BATCH = 64
SIZE = 5120
ASKS = 32
"""Hosts asked for in one transaction."""


def rows_of(count: int) -> list[Kept]:
    """Make rows as a batch records them: domain after domain in no order, four addresses each."""
    rnd = random.Random(6)
    began = time.time()
    rows = []
    domain = ""
    for number in range(count):
        if number % 4 == 0:
            domain = f"d{rnd.randrange(10**6)}.example.com"
        text = "".join(f'"{rnd.getrandbits(32):08x}",' for _ in range(SIZE // 11))
        data = f'{{"evidence":[{text}0]}}'.encode()
        rows.append(
            Kept(
                f"user{rnd.randrange(10**6)}@{domain}", domain, "0123456789abcdef", began + number / 1e3, data
            )
        )
    return rows


def cpu(work: Callable[[], None], count: int) -> float:
    """Give the microseconds of CPU that each of `count` things of a piece of work took."""
    began = time.process_time()
    work()
    return (time.process_time() - began) / count * 1e6


def stored(rows: list[Kept], path: Path) -> None:
    """Record everything, closing included."""
    held = Store.open(str(path))
    for at in range(0, len(rows), BATCH):
        held.record(rows[at : at + BATCH])
    held.close()


def appended(rows: list[Kept], path: Path) -> None:
    """Write JSON Lines, a batch at a time."""
    with path.open("ab", buffering=0) as file:
        for at in range(0, len(rows), BATCH):
            file.write(b"".join(row.data + b"\n" for row in rows[at : at + BATCH]))


def single(row: Kept, path: Path) -> float:
    """Give the milliseconds that a single probe spends on its store."""
    began = time.perf_counter()
    held = Store.open(str(path))
    list(held.history(row.mailbox))
    held.record([row])
    held.close()
    return (time.perf_counter() - began) * 1e3


def answers(rows: list[Kept], path: Path) -> None:
    """Keep a DNS answer for each row."""
    held = Store.open(str(path))
    now = time.time()
    for at in range(0, len(rows), BATCH):
        held.put_answers(
            [
                KeptAnswer("127.0.0.1:53", f"n{at + n}.{row.domain}", "MX", now, now + 300, row.data[:900])
                for n, row in enumerate(rows[at : at + BATCH])
            ]
        )
    held.close()


def turns(path: Path, count: int) -> None:
    """Ask for turns and give them back."""
    held = Store.open(str(path))
    ledger = StoreLedger(held, Limits())
    hosts = [(f"192.0.2.{n % 256}/{n // 256}", f"d{n}.example.com") for n in range(count)]
    for at in range(0, count, ASKS):
        asked = hosts[at : at + ASKS]
        assert not any(ledger.take(asked))
        ledger.give_back([(ip, provider, None) for ip, provider in asked])
    ledger.close()
    held.close()


def main() -> int:
    """Measure and print."""
    count, rounds = (
        int(sys.argv[n]) if len(sys.argv) > n else default for n, default in ((1, 20000), (2, 5))
    )
    rows = rows_of(count)
    costs: dict[str, list[float]] = {
        name: [] for name in ("store", "append", "ratio", "single", "dns", "turn")
    }
    for _ in range(rounds):
        with tempfile.TemporaryDirectory(dir=".") as folder:
            place = Path(folder)
            ours = cpu(lambda: stored(rows, place / "store"), count)  # noqa: B023  # called at once
            theirs = cpu(lambda: appended(rows, place / "lines"), count)  # noqa: B023
            costs["store"].append(ours)
            costs["append"].append(theirs)
            costs["ratio"].append(ours / theirs)
            costs["single"].append(statistics.median(single(row, place / "store") for row in rows[:20]))
            costs["dns"].append(cpu(lambda: answers(rows, place / "store"), count))  # noqa: B023
            costs["turn"].append(cpu(lambda: turns(place / "store", 4096), 4096))  # noqa: B023
    middle = {name: statistics.median(taken) for name, taken in costs.items()}
    print(f"{count} rows of {SIZE} octets, {BATCH} a transaction, medians of {rounds} rounds")
    print(f"record              {middle['store']:6.1f} us of CPU a row (goal: {GOAL:.0f})")
    print(
        f"JSON Lines appended {middle['append']:6.1f} us, so the store costs {middle['ratio']:.1f} times that"
    )
    print(f"DNS answer          {middle['dns']:6.1f} us each")
    print(f"turn at a host      {middle['turn']:6.1f} us to ask for and give back, {ASKS} at a time")
    print(f"single probe        {middle['single']:6.2f} ms to open, read its history, record and close")
    return int(middle["store"] > GOAL)


if __name__ == "__main__":
    sys.exit(main())
