"""Results: in the order finished or given, on disk while nobody takes them, and none is lost."""

from __future__ import annotations

import asyncio
import json
import os
import threading
import time
from typing import TYPE_CHECKING

import pytest

from probe.cli import UsageError, results
from probe.cli.results import Results
from probe.cli.resume import OutputFile
from probe.codec import decode_evidence
from probe.core.alike import Judge, Line
from probe.core.callout import Callout
from probe.core.tally import Tally
from probe.net.spool import Entry, Spool
from tests.support import make

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from probe.core.model import Evidence


class Run:
    """Results with a file, or with a pipe that nobody reads."""

    def __init__(self, output: OutputFile, *, form: str = "jsonl", ordered: bool = False) -> None:
        self.spool = Spool()
        self.tally = Tally()
        self.stopped = asyncio.Event()
        self.kept: list[tuple[Evidence, bytes]] = []
        self.results = Results(
            self.spool,
            Callout(),
            self.tally,
            form=form,
            ordered=ordered,
            output=output,
            keep=lambda evidence, data: self.kept.append((evidence, data)),
            stop=self.stopped.set,
        )
        self.results.begin()

    def deliver(self, number: int) -> None:
        address = f"{number}@example.com"
        entry = Entry(address, address, "example.com", number)
        self.results.evidence(entry, make.evidence(make.host(), to=make.address(address)))


def numbers(path: Path) -> list[int]:
    return [int(json.loads(line)["address"].partition("@")[0]) for line in path.read_bytes().splitlines()]


def run(
    path: Path, body: Callable[[Run], Awaitable[None]], *, form: str = "jsonl", ordered: bool = False
) -> Run:
    async def go() -> Run:
        output = OutputFile(str(path), form)
        list(output.earlier())
        made = Run(output, form=form, ordered=ordered)
        try:
            await body(made)
        finally:
            made.results.close()
            output.close()
        return made

    return asyncio.run(go())


def test_in_the_order_finished(tmp_path: Path) -> None:
    async def body(made: Run) -> None:
        for number in (3, 1, 2):
            made.deliver(number)

    made = run(tmp_path / "out", body)
    assert numbers(tmp_path / "out") == [3, 1, 2]
    assert [(share.count, share.cause) for share in made.tally.shares()] == [
        (3, made.tally.shares()[0].cause)
    ]


def test_in_the_order_given_each_as_soon_as_it_can(tmp_path: Path) -> None:
    path = tmp_path / "out"

    async def body(made: Run) -> None:
        for number in (3, 1, 2):
            made.deliver(number)
        await until(lambda: path.read_bytes().count(b"\n") == 3)
        made.deliver(5)

    run(path, body, ordered=True)
    # What stands behind a gap when the run ends is finished all the same.
    assert numbers(path) == [1, 2, 3, 5]


async def until(happened: Callable[[], bool]) -> None:
    """Wait for what the thread of the writer does."""
    limit = time.monotonic() + 10
    while not happened():
        assert time.monotonic() < limit, "it never happened"
        await asyncio.sleep(0.01)


def test_a_line_is_written_within_a_moment(tmp_path: Path) -> None:
    path = tmp_path / "out"

    async def body(made: Run) -> None:
        made.deliver(1)
        await until(lambda: path.read_bytes().count(b"\n") == 1)

    run(path, body)


@pytest.mark.parametrize("ordered", [False, True])
def test_while_nobody_takes_them_they_wait_on_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ordered: bool
) -> None:
    monkeypatch.setattr(results, "BACKLOG", 20000)
    gate, real_write = threading.Event(), os.write

    def write(descriptor: int, data: memoryview) -> int:
        assert gate.wait(10)
        return real_write(descriptor, data)

    async def body(made: Run) -> None:
        monkeypatch.setattr(os, "write", write)
        for number in range(1, 101):
            made.deliver(number)
        assert made.results._held > 50
        assert made.results._size + made.results._writer.backlog < 100000
        gate.set()
        await until(lambda: not made.results._held)

    run(tmp_path / "out", body, ordered=ordered)
    assert numbers(tmp_path / "out") == list(range(1, 101))


def test_a_full_disk_stops_the_run_and_is_told_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(_descriptor: int, _data: memoryview) -> int:
        raise OSError(28, "No space left on device")

    async def body(made: Run) -> None:
        monkeypatch.setattr(os, "write", write)
        made.deliver(1)
        await asyncio.wait_for(made.stopped.wait(), 10)
        made.deliver(2)

    with pytest.raises(UsageError, match="No space left on device; what is in it is whole: make room"):
        run(tmp_path / "out", body)


def test_evidence_is_kept_and_encoded_once(tmp_path: Path) -> None:
    async def body(made: Run) -> None:
        made.deliver(1)

    made = run(tmp_path / "out", body)
    ((evidence, data),) = made.kept
    assert decode_evidence(data, "test") == evidence
    assert data in (tmp_path / "out").read_bytes()


def test_a_fault_of_ours_costs_one_result_and_not_the_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = Judge.line

    def broken(self: Judge, evidence: Evidence, data: bytes) -> Line:
        if evidence.address.local == "2":
            raise ZeroDivisionError("by nothing")
        return plain(self, evidence, data)

    async def body(made: Run) -> None:
        monkeypatch.setattr(Judge, "line", broken)
        for number in (2, 3, 1):
            made.deliver(number)

    made = run(tmp_path / "out", body, ordered=True)
    assert numbers(tmp_path / "out") == [1, 3]
    assert made.results.lost == 1
    assert "2@example.com: this is a bug" in capsys.readouterr().err


def test_a_table_has_one_header_also_when_it_is_continued(tmp_path: Path) -> None:
    async def first(made: Run) -> None:
        made.deliver(1)

    async def second(made: Run) -> None:
        made.deliver(2)

    run(tmp_path / "out", first, form="csv")
    run(tmp_path / "out", second, form="csv")
    lines = (tmp_path / "out").read_text().splitlines()
    assert [line.partition(",")[0] for line in lines] == ["address", "1@example.com", "2@example.com"]


def test_a_summary_names_the_failing_and_counts_their_domains(tmp_path: Path) -> None:
    async def body(made: Run) -> None:
        for number in range(1, 4):
            made.deliver(number)

    made = run(tmp_path / "out", body, form="markdown")
    assert (tmp_path / "out").read_bytes() == b""
    assert [failing.address for failing in made.tally.failing] == [
        "1@example.com",
        "2@example.com",
        "3@example.com",
    ]
    assert [(trouble.domain, trouble.failing) for trouble in made.spool.worst(9)] == [("example.com", 3)]
