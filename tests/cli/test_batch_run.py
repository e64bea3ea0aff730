"""`batch` from end to end, against a lab: results, resume after kill -9, interrupts, and what it refuses."""

from __future__ import annotations

import asyncio
import csv
import gzip
import io
import json
import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from probe.cli import UsageError, bar, batch, batchoptions, main
from probe.core.politeness import Limits
from probe.core.tally import Tally
from tests.cli.program import CLEAN, run, start
from tests.cli.test_interrupt import until
from tests.cli.test_progress import watch

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.program import World

GOOD, GONE = "a@good.example", "b@gone.example"
DOCS = Path(__file__).resolve().parents[2] / "docs"


def arguments(world: World, *more: str) -> list[str]:
    return ["batch", *world.arguments("--no-store", "--no-trace", "--gap=0", *more)]


def given(tmp_path: Path, *lines: str) -> str:
    path = tmp_path / "in.txt"
    path.write_text("".join(f"{line}\n" for line in lines))
    return str(path)


def causes(text: str) -> dict[str, str]:
    found = [json.loads(line) for line in text.splitlines()]
    return {report["address"]: report["cause"] for report in found}


def test_each_address_has_a_line_and_the_table_is_at_the_end(world: World, tmp_path: Path) -> None:
    done = run(*arguments(world, given(tmp_path, GOOD, GONE, GOOD, "c@none.example")))
    assert causes(done.stdout) == {
        GOOD: "sender-exists",
        GONE: "missing-sender",
        "c@none.example": "missing-sender",
    }
    assert done.returncode == 0
    table = done.stderr.splitlines()
    assert table[0].split() == ["cause", "addresses", "share", "most", "frequent", "reason"]
    assert table[2].split()[:3] == ["missing-sender", "2", "66.7%"]
    assert "1 duplicate left out" in table


def test_quiet_says_nothing_beside(world: World, tmp_path: Path) -> None:
    done = run(*arguments(world, "-q", given(tmp_path, GOOD)))
    assert (done.returncode, done.stderr) == (0, "")


def test_lines_that_are_no_addresses_are_told_and_counted(world: World, tmp_path: Path) -> None:
    done = run(*arguments(world, given(tmp_path, *[f"nobody{at}" for at in range(30)], GOOD, "x\x1b@y")))
    assert causes(done.stdout) == {GOOD: "sender-exists"}
    assert done.returncode == 2
    told = [line for line in done.stderr.splitlines() if line.startswith("probe-sender: ")]
    assert len(told) == 21
    assert "in.txt, line 1: 'nobody0' has no @" in told[0]
    assert told[20].endswith("in.txt: 11 more lines are no addresses")
    assert "31 lines left out: no address" in done.stderr
    assert "\x1b" not in done.stderr


def test_one_is_no_plural(world: World, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    wrong = [f"nobody{at}" for at in range(21)]
    command = arguments(world, "-o", str(out), given(tmp_path, *wrong, GOOD, GOOD))
    for done in (run(*command), run(*command)):
        assert "in.txt: 1 more line is no address" in done.stderr
        assert "1 duplicate left out" in done.stderr
    assert "1 had its result in the output file already" in done.stderr


@pytest.mark.parametrize(
    ("lines", "says"),
    [((), "it is empty"), (("# nothing",), "it is empty"), (("nobody",), "none of its lines")],
)
def test_an_input_without_an_address(world: World, tmp_path: Path, lines: tuple[str, ...], says: str) -> None:
    done = run(*arguments(world, given(tmp_path, *lines)))
    assert (done.returncode, done.stdout) == (2, "")
    assert says in done.stderr.splitlines()[-1]


def test_a_table_from_standard_input_also_compressed(world: World, tmp_path: Path) -> None:
    table = f"id,who\n1,{GOOD}\n".encode()
    (tmp_path / "in.csv.gz").write_bytes(gzip.compress(table))
    with (tmp_path / "in.csv.gz").open("rb") as file:
        done = run(*arguments(world, "-q", "--column=who", "-"), stdin=file)
    assert causes(done.stdout) == {GOOD: "sender-exists"}
    (tmp_path / "torn.gz").write_bytes(gzip.compress(table)[:-9])
    done = run(*arguments(world, "-q", "--column=who", str(tmp_path / "torn.gz")))
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "the compressed data is damaged" in done.stderr


def test_it_begins_before_the_input_ends(world: World) -> None:
    process = start(*arguments(world, "-q", "-"), stdin=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{GOOD}\n")
    process.stdin.flush()
    assert json.loads(process.stdout.readline())["address"] == GOOD
    out, err = process.communicate(f"{GONE}\n", timeout=10)
    assert (list(causes(out)), err, process.returncode) == ([GONE], "", 0)


def test_a_table_as_the_result_in_the_order_given(world: World, tmp_path: Path) -> None:
    addresses = [f"{at}@{domain}.example" for at in range(3) for domain in ("none", "good", "gone")]
    done = run(*arguments(world, "--format=csv", "--ordered", given(tmp_path, *addresses)))
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [row["address"] for row in rows] == addresses
    assert rows[0].keys() >= {"cause", "reason", "confidence", "side", "host", "reply", "summary", "age"}


def test_a_summary_for_a_ticket(world: World, tmp_path: Path) -> None:
    done = run(*arguments(world, "--format=markdown", given(tmp_path, GOOD, GONE)))
    assert done.stdout.startswith("## Sender verification: 2 results\n")
    assert "| `gone.example` |" in done.stdout
    assert "| `b@gone.example` | missing-sender | `rcpt.user-unknown` |" in done.stdout
    assert (done.returncode, done.stderr) == (0, "")


def test_a_plan_asks_no_mail_host(world: World, tmp_path: Path) -> None:
    before = world.connections("127.0.0.2")
    name = given(tmp_path, GOOD, "b@good.example", GONE, "c@none.example")
    done = run(*arguments(world, "--dry-run", name))
    assert done.stdout.splitlines()[-2].startswith("addresses: 3, mail hosts: 2, connections: 2, about ")
    plan = json.loads(run(*arguments(world, "--dry-run", "--json", name)).stdout)
    assert [(host["ip"], host["addresses"]) for host in plan["hosts"]] == [("127.0.0.2", 2), ("127.0.0.5", 1)]
    assert world.connections("127.0.0.2") == before


# --- resume ----------------------------------------------------------------------------------------------


def test_the_same_command_again_asks_nobody_twice(world: World, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    command = arguments(world, "-o", str(out), given(tmp_path, GOOD, GONE))
    assert run(*command).returncode == 0
    first, before = out.read_bytes(), world.connections("127.0.0.2")
    done = run(*command)
    assert (done.returncode, done.stdout, out.read_bytes()) == (0, "", first)
    assert "2 had their result in the output file already" in done.stderr
    assert world.connections("127.0.0.2") == before


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_after_kill_9_nothing_is_lost_or_doubled(world: World, tmp_path: Path, form: str) -> None:
    addresses = [f"{at}@d{at % 60}.none.example" for at in range(600)]
    out = tmp_path / "out"
    command = arguments(world, "-q", f"--format={form}", "-o", str(out), given(tmp_path, *addresses))
    chance = random.Random(7)  # noqa: S311  # moments, the same in every run
    for _ in range(4):
        process = start(*command)
        time.sleep(chance.uniform(0.3, 0.7))
        process.kill()
        process.communicate()
        if chance.random() < 0.5 and out.exists():  # as a power loss in the middle of a line
            with out.open("r+b") as file:
                file.truncate(max(0, out.stat().st_size - chance.randrange(300)))
    assert run(*command).returncode == 0
    text = out.read_text()
    if form == "csv":
        found = [row["address"] for row in csv.DictReader(io.StringIO(text))]
    else:
        found = [json.loads(line)["address"] for line in text.splitlines()]
    assert sorted(found) == sorted(addresses)


def test_no_room_on_the_disk_keeps_what_is_finished_and_goes_on_later(world: World, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    addresses = [f"{at}@d{at}.none.example" for at in range(30)]
    command = arguments(world, "-q", "-o", str(out), given(tmp_path, *addresses))

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))

    done = run(*command, preexec_fn=limited)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "what is in it is whole: make room, and the same command goes on" in done.stderr
    assert out.read_bytes().endswith(b"\n")
    assert 0 < len(causes(out.read_text())) < 30
    assert run(*command).returncode == 0
    assert sorted(causes(out.read_text())) == sorted(addresses)


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_who_was_held_back_is_asked_when_it_may_be_and_no_line_is_doubled(
    world: World, tmp_path: Path, form: str
) -> None:
    out = tmp_path / "out"
    addresses = [f"{at}@good.example" for at in range(3)]
    name = given(tmp_path, *addresses, GONE)
    common = ("--no-trace", "--gap=0", "--per-connection=1", "--ordered", f"--format={form}", "-o", str(out))
    command = ["batch", *world.arguments(f"--store={tmp_path / 'store'}", *common, name)]

    def reasons() -> list[tuple[str, str]]:
        if form == "csv":
            return [(row["address"], row["reason"]) for row in csv.DictReader(io.StringIO(out.read_text()))]
        found = [json.loads(line) for line in out.read_text().splitlines()]
        return [(report["address"], report["reason"]) for report in found]

    done = run(*command, "--per-day=1")
    held_back = [address for address, reason in reasons() if reason == "host.held-back"]
    assert (done.returncode, len(reasons()), len(held_back)) == (0, 4, 2)
    assert "2 addresses held back, out of politeness; the same command tomorrow asks again" in done.stderr
    first = out.read_bytes()
    done = run(*command, "--per-day=1")
    assert (done.returncode, out.read_bytes()) == (0, first)
    assert "2 addresses held back" in done.stderr
    done = run(*command, "--per-day=9")
    assert done.returncode == 0
    assert out.read_bytes().startswith(first)
    assert reasons()[4:] == [(address, "rcpt.accepted") for address in held_back]
    assert "held back" not in done.stderr
    assert "sender-exists" in done.stderr
    whole = out.read_bytes()
    done = run(*command, "--per-day=9")
    assert (done.returncode, out.read_bytes()) == (0, whole)
    assert "4 had their result in the output file already" in done.stderr


def _delete(path: Path) -> None:
    path.unlink()


def _replace(path: Path) -> None:
    path.unlink()
    path.touch()


def _move(path: Path) -> None:
    path.rename(path.with_name("moved"))


def _empty(path: Path) -> None:
    path.write_bytes(b"")


TAKEN = [
    (_delete, "was deleted while it was written to"),
    (_replace, "was deleted while it was written to"),
    (_move, "was moved or replaced while it was written to; move it back"),
    (_empty, "was cut short by somebody else"),
]


@pytest.mark.parametrize(("take", "says"), TAKEN, ids=[take.__name__ for take, _ in TAKEN])
def test_an_output_file_that_is_taken_away_ends_it_and_it_can_be_resumed(
    world: World, tmp_path: Path, take: Callable[[Path], None], says: str
) -> None:
    out = tmp_path / "out.jsonl"
    command = arguments(world, "-q", "-o", str(out), given(tmp_path, GOOD, "a@silent.example"))
    process = start(*command, "--reply-timeout=20")
    until(lambda: out.exists() and out.read_bytes().count(b"\n") == 1)
    take(out)
    _, err = process.communicate(timeout=10)
    assert (process.returncode, err.count("\n")) == (2, 1)
    assert f"probe-sender: -o: {str(out)!a} {says}" in err
    assert run(*command, "--reply-timeout=1").returncode == 0
    written = causes(out.read_text())
    assert set(written) == {GOOD, "a@silent.example"}


@pytest.mark.parametrize("take", [_delete, _replace, _move])
def test_a_store_that_is_taken_away_ends_it(
    world: World, tmp_path: Path, take: Callable[[Path], None]
) -> None:
    out, store = tmp_path / "out.jsonl", tmp_path / "store"
    more = ("-q", "--no-trace", "-o", str(out), f"--store={store}", given(tmp_path, GOOD, "a@silent.example"))
    process = start("batch", *world.arguments(*more))
    until(lambda: out.exists() and out.read_bytes().count(b"\n") == 1)
    take(store)
    _, err = process.communicate(timeout=10)
    assert (process.returncode, err.count("\n")) == (2, 1)
    assert "it was deleted or replaced while this ran" in err
    assert causes(out.read_text())[GOOD] == "sender-exists"


def test_an_output_file_that_is_taken_away_at_the_last_moment(world: World, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    process = start(*arguments(world, "-q", "-o", str(out), "-"), stdin=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(f"{GOOD}\n")
    process.stdin.flush()
    until(lambda: out.exists() and out.read_bytes().count(b"\n") == 1)
    out.unlink()
    _, err = process.communicate(timeout=10)
    assert (process.returncode, err.count("\n")) == (2, 1)
    assert "was deleted" in err


def test_a_moment_later_the_store_answers_and_says_how_old_it_is(world: World, tmp_path: Path) -> None:
    store = ("--no-trace", f"--store={tmp_path / 'store.db'}", given(tmp_path, GOOD, GONE))
    first = run("batch", *world.arguments(*store))
    before = world.connections("127.0.0.2")
    again = run("batch", *world.arguments(*store))
    assert causes(again.stdout) == causes(first.stdout) == {GOOD: "sender-exists", GONE: "missing-sender"}
    assert all(0 <= json.loads(line)["stored"]["age"] < 60 for line in again.stdout.splitlines())
    assert "2 answered by the store, without asking anybody" in again.stderr
    assert world.connections("127.0.0.2") == before
    rows = list(csv.DictReader(io.StringIO(run("batch", *world.arguments("--format=csv", *store)).stdout)))
    assert all(0 <= int(row["age"]) < 60 for row in rows)
    fresh = run("batch", *world.arguments("--fresh", *store))
    assert all(json.loads(line)["stored"] is None for line in fresh.stdout.splitlines())
    assert world.connections("127.0.0.2") > before


def test_a_store_that_is_damaged_is_one_line_before_anybody_is_asked(world: World, tmp_path: Path) -> None:
    (tmp_path / "store.db").write_bytes(b"no database at all" * 1000)
    done = run("batch", *world.arguments(f"--store={tmp_path / 'store.db'}", given(tmp_path, GOOD)))
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)


# --- interrupts and streams ------------------------------------------------------------------------------


@pytest.mark.parametrize("which", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_keeps_what_is_finished_and_says_how_to_go_on(
    world: World, tmp_path: Path, which: signal.Signals
) -> None:
    out = tmp_path / "out.jsonl"
    name = given(tmp_path, GOOD, "a@silent.example")
    before = world.connections("127.0.0.3")
    process = start(*arguments(world, "-q", "-o", str(out), name))
    until(lambda: out.exists() and out.read_bytes().count(b"\n") == 1)
    until(lambda: world.connections("127.0.0.3") > before)
    process.send_signal(which)
    _, err = process.communicate(timeout=10)
    assert process.returncode == 130
    assert err == (
        "probe-sender: interrupted; 1 of 2 addresses have their result, the same command goes on with the others\n"
    )
    assert causes(out.read_text()) == {GOOD: "sender-exists"}


def test_an_interrupt_while_the_input_is_still_open(world: World) -> None:
    process = start(*arguments(world, "-q", "-"), stdin=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{GOOD}\n")
    process.stdin.flush()
    assert json.loads(process.stdout.readline())["address"] == GOOD
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == 130
    process.communicate()


def test_a_reader_that_goes_away_ends_it_quietly(world: World, tmp_path: Path) -> None:
    name = given(tmp_path, *[f"{at}@d{at}.none.example" for at in range(400)])
    process = start(*arguments(world, "-q", name))
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(20) == 0
    assert process.stderr is not None
    assert process.stderr.read() == ""
    process.stderr.close()


def test_standard_output_that_is_full(world: World, tmp_path: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        done = run(*arguments(world, "-q", given(tmp_path, GOOD)), stdout=full)
    assert (done.returncode, done.stderr) == (
        2,
        "probe-sender: standard output could not be written: No space left on device; print to another place\n",
    )


def test_a_bar_for_a_person_and_gone_before_the_table(world: World, tmp_path: Path) -> None:
    name = given(tmp_path, GOOD, GONE, "a@silent.example")
    more = ("--reply-timeout=2", "-o", str(tmp_path / "out.jsonl"), name)
    out, shown = watch(*arguments(world, *more), columns=120)
    assert out == ""
    bars = [text for text in shown.split("\r") if "addresses/s" in text]
    assert any("2/3" in text and "sender-exists 1" in text for text in bars)
    rest = shown.replace("\r\n", "\n").split("\r")[-1]
    assert rest.startswith("cause ")
    assert "addresses/s" not in rest


def test_a_bar_that_has_one_address(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    tally, ended = Tally(), False

    async def show() -> None:
        nonlocal ended
        made = bar.Bar(tally, lambda: 2, lambda: ended)
        for _ in range(2):
            tally.add("sender-exists", "rcpt.accepted")
            made._show()
        ended = True
        made._show()
        made.stop()

    asyncio.run(show())
    shown = terminal.getvalue()
    assert "1 address [" in shown
    assert "2 addresses [" in shown
    assert "| 2/2 [" in shown


def test_no_bar_where_the_results_are_shown(world: World, tmp_path: Path) -> None:
    args = batchoptions.options().parse_args(["x"])
    assert not bar.wanted(args)
    _, shown = watch(*arguments(world, "-q", "--format=markdown", given(tmp_path, GOOD)))
    assert shown == ""


def test_an_interrupted_plan(world: World) -> None:
    process = start(*arguments(world, "--dry-run", "-"), stdin=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stderr is not None
    process.stdin.write("nobody\n")
    process.stdin.flush()
    assert "line 1" in process.stderr.readline()
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 130  # its standard input is still open
    assert process.communicate() == ("", "probe-sender: interrupted\n")


# --- options, loops, limits ------------------------------------------------------------------------------


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_either_loop(world: World, tmp_path: Path, loop: str) -> None:
    done = run(*arguments(world, "-q", given(tmp_path, GOOD)), env=CLEAN | {batch.LOOP: loop})
    assert causes(done.stdout) == {GOOD: "sender-exists"}


def test_a_loop_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(batch.LOOP, "trio")
    with pytest.raises(UsageError, match="set it to asyncio or uvloop"):
        batch._loop_factory()


def test_few_descriptors_lower_the_concurrency(world: World, tmp_path: Path) -> None:
    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (128, 128))

    done = run(*arguments(world, "-q", given(tmp_path, GOOD)), preexec_fn=limited)
    assert causes(done.stdout) == {GOOD: "sender-exists"}
    assert done.stderr == (
        "probe-sender: this process may open 128 files, enough for 14 probes at once and not 500;"
        " ulimit -n raises it\n"
    )


@pytest.mark.parametrize(
    "wrong",
    [
        ["--gap=-1"],
        ["--gap=nan"],
        ["--per-host=0"],
        ["--concurrency=many"],
        ["--no-store", "--store=x"],
        ["--no-store", "--fresh"],
        ["--format=markdown", "-o", "x"],
        ["--format=markdown", "--ordered"],
        ["--format=text"],
        ["--dry-run", "-o", "x"],
        ["--dry-run", "--format=csv"],
    ],
)
def test_what_cannot_be_is_refused_in_one_line(
    tmp_path: Path, wrong: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(["batch", *wrong, given(tmp_path, GOOD)])
    said = capsys.readouterr()
    assert (code, said.out, said.err.count("\n")) == (2, "", 1)
    assert "; " in said.err


def test_the_defaults_are_those_of_politeness() -> None:
    limits = Limits()
    ours = (batchoptions.PER_HOST, batchoptions.GAP, batchoptions.PER_PROVIDER, batchoptions.PER_DAY)
    assert ours == (limits.per_host, limits.gap, limits.per_provider, limits.per_day)


def test_every_option_has_help_and_stands_in_the_page() -> None:
    page, common = (DOCS / "batch.md").read_text(), (DOCS / "options.md").read_text()
    for action in batchoptions.options()._actions:
        assert action.help, action.option_strings
        for option in action.option_strings:
            assert f"`{option}" in page or f"`{option}" in common, option
