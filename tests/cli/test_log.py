"""The command `log`: what is asked for, what comes out, exit codes, probing, following."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from probe.cli import main
from probe.cli.logoptions import SHOWN, options
from probe.core.log.report import Counted, Fate, Group, LogReport, Now
from tests.cli.program import run, start

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.program import World

LOGS = Path(__file__).parents[2] / "fixtures" / "logs"
STORY = str(LOGS / "story.log")
MANGLED = str(LOGS / "story-mangled.txt")
PATIENCE = 10.0


def line(minute: int, sender: str, relay: str = "203.0.113.77", why: str = "Connection timed out") -> str:
    stamp = f"2026-11-22 {minute // 60:02d}:{minute % 60:02d}:00 H=relay.example.net [{relay}]"
    told = "temporarily rejected RCPT <bob@local.example>: Could not complete sender verify callout"
    domain = sender.partition("@")[2]
    return (
        f"{stamp} sender verify defer for <{sender}>: Could not complete sender verify callout:"
        f" mx.{domain} [192.0.2.1] : {why}\n{stamp} F=<{sender}> {told}\n"
    )


def document(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 1) -> Any:
    assert main(["log", "--json", *arguments]) == code
    return json.loads(capsys.readouterr().out)


@pytest.fixture
def mainlog(tmp_path: Path) -> Path:
    path = tmp_path / "mainlog"
    path.write_text(line(0, "a@one.example") + line(300, "b@two.example", "203.0.113.78"))
    return path


def test_what_became_of_mail_is_told_from_a_whole_log_only(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What grep left, a reject log, and a set with a hole prove no loss: the mail may have come meanwhile."""
    other = "{0} {1:02d}:30:00 1xV2MN-00069O-18 <= x@three.example H=h [192.0.2.7] P=esmtp S=1\n"
    days = [line(0, "a@one.example").replace("-22 ", f"-{day} ") for day in (18, 20)]
    hours = "".join(other.format(f"2026-11-{day}", hour) for day in (18, 19) for hour in (1, 23))
    path = tmp_path / "mainlog"
    for text, lost in (
        ("".join(days), 0),
        (other.format("2026-11-18", 1).join(days), 0),
        (hours.join(days), 1),
    ):
        for more in (0, 10_000):  # beyond what somebody may have pasted
            path.write_text("2026-11-18 00:00:00 Start queue run: pid=7\n" * more + text)
            (group,) = document(capsys, str(path))["groups"]
            assert (group["fate"]["lost"], group["messages"]) == (lost, 2)


# --- the story ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("story", [STORY, MANGLED])
@pytest.mark.parametrize("by", ["name", "standard input"])
def test_the_story(story: str, by: str) -> None:
    with open(story, "rb") as file:  # noqa: PTH123
        done = run("log", *([story] if by == "name" else ["-"]), stdin=file)
    assert (done.returncode, done.stderr) == (1, "")
    for words in (
        "administrator@customer.example.com: firewall-timeout",
        "67.26.151.59 relay1.example.com is the IP that an exemption would",
        "not 163.112.75.15",
        "could not connect to",
        "timed out",
        "deferred (451), not rejected",
        "probe-sender administrator@customer.example.com\n",
        "probe-sender preflight 67.26.151.59 administrator@customer.example.com\n",
    ):
        assert words in " ".join(done.stdout.split("  ")).replace("\n ", " ") or words in done.stdout


# --- forms -------------------------------------------------------------------------------------------


def test_json_has_the_keys_of_the_contract(capsys: pytest.CaptureFixture[str]) -> None:
    report = document(capsys, STORY)
    assert {"schema", "lines", "understood", "not_understood", "groups"} <= set(report)
    assert (report["schema"], report["lines"], report["understood"], report["not_understood"]) == (1, 3, 3, 0)
    (group,) = report["groups"]
    assert {
        "sender", "domain", "relay_ip", "relay_name", "helo", "called_host", "called_ip", "outcome", "cause", "reason",
        "confidence", "count", "messages", "first", "last", "recipients", "fate", "said", "report",
    } <= set(group)  # fmt: skip
    assert (group["outcome"], group["report"]) == ("defer", None)


def test_json_lines_and_csv(mainlog: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["log", "--format=jsonl", str(mainlog)]) == 1
    groups = [json.loads(each) for each in capsys.readouterr().out.splitlines()]
    assert [group["sender"] for group in groups] == ["a@one.example", "b@two.example"]
    assert main(["log", "--format=csv", str(mainlog)]) == 1
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["relay_ip"] for row in rows] == ["203.0.113.77", "203.0.113.78"]


def test_markdown(mainlog: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["log", "--format=markdown", str(mainlog)]) == 1
    assert "### `a@one.example`: " in capsys.readouterr().out


def test_all_files_of_the_real_exim_are_understood(capsys: pytest.CaptureFixture[str]) -> None:
    for path in LOGS.glob("exim-*log"):
        report = document(capsys, str(path))
        assert report["not_understood"] == 0
        mentioned = sum("sender verify" in each for each in path.read_text("latin-1").splitlines())
        assert report["understood"] >= mentioned


def test_what_was_not_understood_is_counted_and_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "x").write_text(line(0, "a@one.example") + "2026-11-22 00:00:00 sender verify \x1b[2J?\n")
    assert main(["log", "-v", str(tmp_path / "x")]) == 1
    out = capsys.readouterr().out
    assert "1 line about sender verification in no form that is known" in out
    assert r"sender verify \x1b[2J?" in out
    assert "\x1b" not in out


def test_more_groups_than_a_page_holds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x").write_text("".join(line(number, f"a@{number}.example") for number in range(SHOWN + 5)))
    assert main(["log", str(tmp_path / "x")]) == 1
    out = capsys.readouterr().out
    assert out.count("\n  Next ") == SHOWN
    assert f"5 more groups with --limit {SHOWN + 5}" in out
    assert len(document(capsys, str(tmp_path / "x"))["groups"]) == SHOWN + 5
    assert len(document(capsys, "--limit=3", str(tmp_path / "x"))["groups"]) == 3
    assert main(["log", "--limit=0", str(tmp_path / "x")]) == 1
    assert capsys.readouterr().out.count("\n  Next ") == SHOWN + 5


# --- which lines -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("option", "senders"),
    [
        ("--since=1h", ["b@two.example"]),
        ("--since=1d", ["a@one.example", "b@two.example"]),
        ("--since=4h59m", ["b@two.example"]),
        ("--sender=A@one.example", ["a@one.example"]),
        ("--sender=<b@two.example>", ["b@two.example"]),
        ("--relay=203.0.113.78", ["b@two.example"]),
        ("--relay=[203.0.113.78]", ["b@two.example"]),
        ("--domain=one.example", ["a@one.example"]),
    ],
)
def test_only_what_was_asked_for(
    mainlog: Path, capsys: pytest.CaptureFixture[str], option: str, senders: list[str]
) -> None:
    assert [group["sender"] for group in document(capsys, option, str(mainlog))["groups"]] == senders


def test_since_is_before_the_last_line_of_the_log_whatever_it_is_about(
    mainlog: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with mainlog.open("a") as file:
        file.write("2026-11-22 22:00:00 1xV2MN-00069O-18 Completed\n")
    report = document(capsys, "--since=1h", str(mainlog), code=0)
    assert report["groups"] == []
    assert "the log ends 17 hours after" in document(capsys, str(mainlog))["groups"][1]["fate"]["says"]


def test_nothing_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x").write_text("2026-11-22 22:00:00 1xV2MN-00069O-18 Completed\n")
    assert main(["log", str(tmp_path / "x")]) == 0
    assert capsys.readouterr().out == "no sender fails: 1 line read, 0 about sender verification\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--since=soon"], "--since: 'soon' is no lapse; give one such as 30m"),
        (["--limit=many"], "--limit: 'many' is no number"),
        (["--relay=relay.example.net"], "--relay: 'relay.example.net' is no IP address"),
        (["--folow"], "did you mean --follow?"),
        (["--follow"], "--follow: give the one log file"),
        (["--follow", "a", "b"], "--follow: give the one log file"),
        (["--follow", "--probe", "a"], "--follow: not together with --probe"),
        (["--follow", "/nonexistent/x"], "/nonexistent/x cannot be read"),
        (["--probe", "--timeout=0", STORY], "--timeout"),
    ],
)
def test_usage(capsys: pytest.CaptureFixture[str], arguments: list[str], words: str) -> None:
    assert main(["log", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert words in err
    assert err.count("\n") == 1


# --- files -------------------------------------------------------------------------------------------


def test_a_rotated_set_with_bad_files_among_it(tmp_path: Path) -> None:
    (tmp_path / "mainlog").write_text(line(300, "a@one.example"))
    (tmp_path / "mainlog.1").write_text(line(200, "a@one.example"))
    (tmp_path / "mainlog.2.gz").write_bytes(gzip.compress(line(100, "a@one.example").encode()))
    (tmp_path / "mainlog.3.gz").write_bytes(gzip.compress(line(0, "a@one.example").encode() * 99)[:-9])
    (tmp_path / "binary").write_bytes(os.urandom(9000))
    (tmp_path / "empty").touch()
    names = sorted(str(path) for path in tmp_path.iterdir())
    done = run("log", "--json", *names, str(tmp_path), str(tmp_path / "none"))
    group = json.loads(done.stdout)["groups"][0]
    assert done.returncode == 1
    assert (group["messages"], group["first"], group["last"]) == (
        1,
        "2026-11-22 00:00:00",
        "2026-11-22 05:00:00",
    )
    told = done.stderr.splitlines()
    assert len(told) == 5
    assert all(each.startswith("probe-sender: ") for each in told)


@pytest.mark.parametrize("what", ["none", "", "binary", "empty"])
def test_when_nothing_could_be_read(tmp_path: Path, what: str, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "binary").write_bytes(os.urandom(9000))
    (tmp_path / "empty").touch()
    assert main(["log", str(tmp_path / what)]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)


def test_main_and_reject_log_of_one_server_are_counted_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    both = line(0, "a@one.example") + line(9, "a@one.example")
    (tmp_path / "mainlog").write_text(both)
    (tmp_path / "rejectlog").write_text(both)
    report = document(capsys, str(tmp_path / "mainlog"), str(tmp_path / "rejectlog"))
    assert (report["groups"][0]["count"], report["understood"], report["lines"]) == (2, 4, 8)


def test_a_large_log_is_read_like_a_small_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = "2026-11-22 00:00:00 1xV2MN-00069O-18 Completed\n" * 40_000
    taken = (
        "2026-11-22 01:00:00 1xV2MN-00069O-18 <= a@one.example H=relay.example.net [203.0.113.77] P=esmtp S=1"
        " for bob@local.example\n"
    )
    (tmp_path / "x").write_text(line(0, "a@one.example") + other + line(30, "a@one.example") + other + taken)
    report = document(capsys, str(tmp_path / "x"))
    (group,) = report["groups"]
    assert (report["lines"], group["count"], group["messages"]) == (80_005, 2, 1)
    assert group["fate"] == {
        "delayed": 1, "lost": 0, "unknown": 0, "minutes": 60.0, "says": "accepted later, delayed by 60 minutes",
    }  # fmt: skip


def test_the_year_of_syslog_is_that_of_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def reject(stamp: str) -> str:
        return (
            f"{stamp} mx postfix/smtpd[1]: NOQUEUE: reject: RCPT from relay.example.net[203.0.113.77]: 450 4.1.7"
            " <u@d.example>: Sender address rejected: unverified address: connect to mx.d.example[192.0.2.9]:25:"
            " Connection timed out; from=<u@d.example> to=<bob@local.example> proto=ESMTP helo=<x>\n"
        )

    path = tmp_path / "mail.log"
    path.write_text(reject("Dec 31 23:50:00") + reject("Jan  1 00:20:00"))
    os.utime(path, (1798763000, 1798763000))  # 2027-01-01 00:23:20
    (group,) = document(capsys, str(path))["groups"]
    assert (group["count"], group["messages"]) == (2, 1)


# --- probing -----------------------------------------------------------------------------------------


def test_each_sender_is_probed_and_compared(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "x").write_text(
        line(0, "a@good.example")
        + line(1, "a@gone.example")
        + line(2, "a@dead.example", why="Connection refused")
        + line(3, "not an address@", why="Connection refused")
    )
    arguments = world.arguments(
        "--probe", "--connect-timeout=0.3", "--no-trace", "--no-canary", str(tmp_path / "x")
    )
    report = document(capsys, *arguments)
    now = {
        group["sender"]: (group["now"], group["report"] and group["report"]["cause"])
        for group in report["groups"]
    }
    assert now["a@good.example"] == ("fixed-since", "sender-exists")
    assert now["a@gone.example"] == ("different-now", "missing-sender")
    assert now["not an address@"] == (None, None)
    assert main(["log", *arguments]) == 1
    out, err = capsys.readouterr()
    assert "Now       fixed since: sender-exists" in out
    assert err == ""


def test_the_same_sender_is_probed_once(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    relays = [f"203.0.113.{number}" for number in range(5)]
    (tmp_path / "x").write_text("".join(line(0, "a@good.example", relay) for relay in relays))
    before = world.connections("127.0.0.2")
    report = document(capsys, *world.arguments("--probe", str(tmp_path / "x")))
    assert [group["now"] for group in report["groups"]] == ["fixed-since"] * 5
    assert world.connections("127.0.0.2") == before + 1


# --- interrupts --------------------------------------------------------------------------------------


def until(happened: Callable[[], bool]) -> None:
    limit = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < limit, "it never happened"
        time.sleep(0.01)


def test_an_interrupt_while_probing_keeps_what_the_log_says(world: World, tmp_path: Path) -> None:
    (tmp_path / "x").write_text(line(0, "a@silent.example"))
    before = world.connections("127.0.0.3")
    process = start("log", *world.arguments("--probe", "--json", str(tmp_path / "x")))
    until(lambda: world.connections("127.0.0.3") > before)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert json.loads(out)["groups"][0]["report"] is None
    assert err.count("\n") == 1


def test_an_interrupt_while_reading_shows_what_was_read() -> None:
    process = start("log", "--json", "-", stdin=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(line(0, "a@one.example") * 3000)
    process.stdin.flush()
    time.sleep(0.5)  # what it has read of a pipe cannot be seen from here
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert "interrupted" in err
    assert json.loads(out)["groups"][0]["count"] > 0


# --- following ---------------------------------------------------------------------------------------


def follow(path: Path, *options: str) -> subprocess.Popen[str]:
    """Follow a log, and wait until it is open."""
    process = start("log", "--follow", *options, str(path))
    links = Path(f"/proc/{process.pid}/fd")

    def is_open() -> bool:
        try:
            return any(link.resolve() == path for link in links.iterdir())
        except OSError:
            return False

    until(is_open)
    return process


@pytest.mark.parametrize("rotation", ["rename", "copytruncate"])
def test_a_log_is_followed_through_rotation(tmp_path: Path, rotation: str) -> None:
    path = (tmp_path / "mainlog").resolve()
    path.write_text(line(0, "old@zero.example"))
    process = follow(path, "--format=jsonl")
    assert process.stdout is not None

    def write(text: str) -> None:
        with path.open("a") as file:
            file.write(text)

    def told() -> str:
        assert process.stdout is not None
        return str(json.loads(process.stdout.readline())["sender"])

    time.sleep(0.2)  # it has the file open, but may not have looked where it ends
    write(line(1, "a@one.example"))
    assert told() == "a@one.example"
    if rotation == "rename":
        path.rename(path.with_suffix(".1"))
    else:
        os.truncate(path, 0)
    write(line(2, "a@one.example") + line(3, "b@two.example"))
    assert told() == "b@two.example"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out, err) == (130, "", "")


def test_the_end_of_following_sums_up(tmp_path: Path) -> None:
    path = (tmp_path / "mainlog").resolve()
    stamp = time.strftime("%Y-%m-%d %H:%M:%S")
    path.write_text(
        line(0, "old@zero.example") + line(0, "a@one.example").replace("2026-11-22 00:00:00", stamp)
    )
    process = follow(path, "--since=1h")
    assert process.stdout is not None
    assert process.stdout.readline().startswith("a@one.example: firewall-timeout")
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert "1 group of failing senders" in out
    assert "zero.example" not in out


# --- habits ------------------------------------------------------------------------------------------

PAGE = (Path(__file__).parents[2] / "docs" / "log.md").read_text()


def test_every_option_has_help_and_is_in_its_page() -> None:
    for action in options()._actions:
        assert action.help, action.option_strings
        for option in action.option_strings:
            assert f"`{option}`" in PAGE, option


def test_every_json_field_is_in_the_page() -> None:
    for kind in (LogReport, Group, Fate, Counted):
        for field in kind.__struct_fields__:
            assert f"`{field}`" in PAGE, field
    for word in Now:
        assert f"`{word}`" in PAGE


def test_the_example_of_the_page_is_what_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    main(["log", STORY])
    assert capsys.readouterr().out in PAGE


def test_reading_loads_no_network() -> None:
    script = "import sys; from probe.cli import main; main(sys.argv[1:]); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script, "log", STORY], check=True, capture_output=True, text=True
    )
    loaded = set(done.stdout.splitlines()[-1].split())
    assert not loaded & {"asyncio", "ssl", "socket", "dns", "aiosmtplib", "tabulate", "gzip", "zstandard"}
