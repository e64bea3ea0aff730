"""Standard output holds the result and nothing else; whatever happens to the streams, there is no traceback."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from argparse import Namespace
from typing import TYPE_CHECKING

import pytest

from probe.cli import main
from probe.cli.output import wants_color
from tests.cli.program import CLEAN, PROBE, run

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.program import World

GOOD, GONE = "a@good.example", "b@gone.example"


@pytest.mark.parametrize("pasted", [f"<{GOOD}>", f"Name <{GOOD}>", f"{GOOD},", f"F=<{GOOD}>", f" {GOOD} "])
def test_an_address_is_taken_as_pasted(world: World, capsys: pytest.CaptureFixture[str], pasted: str) -> None:
    assert main(world.arguments("--json", pasted)) == 0
    assert json.loads(capsys.readouterr().out)["evidence"]["address"]["mailbox"] == GOOD


def test_one_bad_address_does_not_lose_the_others(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(world.arguments("--json", GOOD, "nobody", GONE, "<>")) == 2
    out, err = capsys.readouterr()
    assert [json.loads(line)["cause"] for line in out.splitlines()] == ["sender-exists", "missing-sender"]
    assert [line[:25] for line in err.splitlines()] == [
        "probe-sender: address 2: ",
        "probe-sender: address 4: ",
    ]


def test_the_worst_of_several_gives_the_exit_code(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(world.arguments("-q", GOOD, GONE)) == 1
    assert [line.split("\t")[1] for line in capsys.readouterr().out.splitlines()] == [
        "sender-exists",
        "missing-sender",
    ]


def test_csv_has_one_header(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    main(world.arguments("--format", "csv", GOOD, GONE))
    rows = list(csv.reader(io.StringIO(capsys.readouterr().out)))
    assert [row[0] for row in rows] == ["address", GOOD, GONE]


def test_pages_of_several_are_apart(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    main(world.arguments(GOOD, GONE))
    assert f"\n\n{GONE}: missing-sender" in capsys.readouterr().out
    main(world.arguments("--format", "markdown", GOOD, GONE))
    assert f"\n\n## `{GONE}`: missing-sender" in capsys.readouterr().out


def test_save_to_standard_output_is_json_whatever_the_locale(world: World) -> None:
    ran = run(
        *world.arguments("--save", "-", "j\u00f6rg@good.example"), env=CLEAN | {"PYTHONIOENCODING": "ascii"}
    )
    assert json.loads(ran.stdout)["address"]["local"] == "j\u00f6rg"
    again = run("explain", "-q", "-", input=ran.stdout, stdin=None)
    assert again.stdout.startswith("j\u00f6rg@good.example\t")
    assert again.returncode == ran.returncode


@pytest.mark.parametrize("name", ["text", "markdown", "csv"])
def test_what_the_locale_cannot_show_is_escaped(world: World, name: str) -> None:
    ran = run(*world.arguments("--format", name, GONE), env=CLEAN | {"PYTHONIOENCODING": "ascii"})
    assert (ran.returncode, ran.stderr) == (1, "")
    assert ran.stdout.isascii()
    assert r"caf\xe9" in ran.stdout
    assert (
        "caf\u00e9" in run(*world.arguments("--format", name, GONE), env=CLEAN | {"LC_ALL": "C.UTF-8"}).stdout
    )


def test_lang_c_does_no_harm(world: World) -> None:
    ran = run(*world.arguments(GONE), env=CLEAN | {"LC_ALL": "C"})
    assert (ran.returncode, ran.stderr) == (1, "")


def test_json_is_utf_8_whatever_the_locale(world: World) -> None:
    ran = run(
        *world.arguments("--json", "j\u00f6rg@good.example"), env=CLEAN | {"PYTHONIOENCODING": "latin-1"}
    )
    assert json.loads(ran.stdout)["address"] == "j\u00f6rg@good.example"


def test_a_reader_that_leaves_changes_no_exit_code(world: World, tmp_path: Path) -> None:
    saved = tmp_path / "e.json"
    head, write = os.pipe()
    os.close(head)  # as when `true` has ended before the first line came
    try:
        ran = run(*world.arguments("--save", str(saved), GONE, GOOD), stdout=write)
    finally:
        os.close(write)
    assert (ran.returncode, ran.stderr) == (1, "")
    assert len(saved.read_bytes().splitlines()) == 2


@pytest.mark.parametrize("command", [["--help"], ["schema"], ["explain"], ["explain", "temporary"]])
def test_a_page_that_nobody_reads_is_no_error(command: list[str]) -> None:
    head, write = os.pipe()
    os.close(head)
    try:
        ran = run(*command, stdout=write)
    finally:
        os.close(write)
    assert (ran.returncode, ran.stderr) == (0, "")


@pytest.mark.parametrize("command", [["--help"], ["schema"], ["explain"], ["demo"]])
def test_a_full_disk_is_said(command: list[str]) -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123  # a device
        ran = run(*command, stdout=full)
    assert ran.returncode == 2
    assert ran.stderr == (
        "probe-sender: standard output could not be written: No space left on device; print to another place\n"
    )


def test_a_full_disk_does_not_lose_the_evidence(world: World, tmp_path: Path) -> None:
    saved = tmp_path / "e.json"
    with open("/dev/full", "w") as full:  # noqa: PTH123  # a device
        ran = run(*world.arguments("--save", str(saved), GOOD), stdout=full)
    assert ran.returncode == 2
    assert ran.stderr.count("\n") == 1
    assert json.loads(saved.read_bytes())["address"]["mailbox"] == GOOD


def test_closed_streams_leave_the_exit_code(world: World) -> None:
    closed = " ".join([*PROBE, *world.arguments(GONE), ">&-", "2>&-", "<&-"])
    ran = subprocess.run(["sh", "-c", closed], check=False, timeout=30)
    assert ran.returncode == 1
    ran = subprocess.run(
        ["sh", "-c", f"{' '.join(PROBE)} explain - <&-"], check=False, timeout=30, capture_output=True
    )
    assert (ran.returncode, ran.stdout) == (2, b"")
    assert ran.stderr.startswith(b"probe-sender: standard input is closed")


@pytest.mark.parametrize(
    ("choice", "environment", "terminal", "colour"),
    [
        ("auto", {}, True, True),
        ("auto", {}, False, False),
        ("auto", {"NO_COLOR": "1"}, True, False),
        ("auto", {"NO_COLOR": ""}, True, True),
        ("auto", {"TERM": "dumb"}, True, False),
        ("always", {"NO_COLOR": "1", "TERM": "dumb"}, False, True),
        ("never", {}, True, False),
    ],
)
def test_colour(
    choice: str, environment: dict[str, str], terminal: bool, colour: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "stdout", Namespace(isatty=lambda: terminal))
    assert wants_color(choice) is colour
