"""`probe-sender audit`: its document, exit codes and formats, from the file to the sender that works again."""

from __future__ import annotations

import gzip
import io
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from probe.cli import main
from probe.cli.audit import options
from probe.core.exemption.listing import Finding
from tests.cli.program import World, run

if TYPE_CHECKING:
    from collections.abc import Sequence

PAGE = (Path(__file__).parents[2] / "docs" / "preflight.md").read_text()
LIST = """\
# probe-sender 8.8.8.8 sender=<a@good.example> by=joe added=2026-01-01 until=2999-01-01 why=x
8.8.8.8
# probe-sender 8.8.4.4 sender=<a@dead.example> by=joe added=2026-01-01 until=2020-01-01 why=x
8.8.4.4
9.9.9.9
"""
LOG = (
    "2026-11-22 07:47:14 1xV2MN-00069O-18 <= often@good.example H=relay.example.net [9.9.9.9] P=esmtps S=1000\n"
    "2026-11-22 07:47:15 nothing of interest\n"
)
KEYS = ["entry", "line", "finding", "needed", "says", "findings", "senders"]


def audit(world: World, *more: str) -> int:
    return main(["audit", *world.arguments("--no-trace", "--no-canary", "--connect-timeout=0.5", *more)])


def entries(
    world: World, capsys: pytest.CaptureFixture[str], *more: str
) -> tuple[int, Sequence[dict[str, Any]]]:
    code = audit(world, "--json", *more)
    document = json.loads(capsys.readouterr().out)
    assert list(document) == ["schema", "entries"]
    assert document["schema"] == 1
    assert all(list(entry) == KEYS for entry in document["entries"])
    return code, document["entries"]


@pytest.fixture
def listed(tmp_path: Path) -> str:
    file = tmp_path / "list"
    file.write_text(LIST)
    return str(file)


def test_what_is_still_needed(world: World, listed: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, found = entries(world, capsys, listed)
    assert code == 1
    assert [(entry["line"], entry["needed"], entry["finding"]) for entry in found] == [
        (2, False, "not-needed"), (4, True, "past-review"), (5, None, "ok"),
    ]  # fmt: skip
    assert found[0]["senders"] == ["a@good.example"]


@pytest.mark.parametrize("packed", [False, True])
def test_senders_from_a_log(
    world: World, listed: str, packed: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "mainlog.gz"
    log.write_bytes(gzip.compress(LOG.encode()) if packed else LOG.encode())
    code, found = entries(world, capsys, f"--log={log}", listed)
    assert code == 1
    assert (found[2]["senders"], found[2]["needed"]) == (["often@good.example"], False)
    assert found[0]["findings"] == ["not-needed", "unseen"]


def test_the_list_alone(world: World, listed: str, capsys: pytest.CaptureFixture[str]) -> None:
    before = world.connections("127.0.0.2")
    code, found = entries(world, capsys, "--no-probe", listed)
    assert (code, [entry["needed"] for entry in found]) == (1, [None, None, None])
    assert world.connections("127.0.0.2") == before


def test_a_limit_of_calls_is_said(world: World, listed: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert audit(world, "--limit=1", "--json", listed) == 1
    out, err = capsys.readouterr()
    assert [entry["needed"] for entry in json.loads(out)["entries"]] == [False, None, None]
    assert "1 sender is not probed" in err


def test_all_is_well(world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "list"
    file.write_text("# sender=<a@dead.example> until=2999-01-01\n8.8.8.8\n")
    code, found = entries(world, capsys, str(file))
    assert (code, found[0]["needed"], found[0]["finding"]) == (0, True, "ok")
    file.write_text("")
    assert audit(world, str(file)) == 0
    assert capsys.readouterr().out == "the list holds no entry\n"


@pytest.mark.parametrize("form", ["text", "markdown", "json"])
def test_the_formats(world: World, form: str, listed: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path(listed).write_text(LIST + "\x1b[2J \u202e evil\n")
    assert audit(world, f"--format={form}", "--no-probe", listed) == 1
    out = capsys.readouterr().out
    assert "8.8.4.4" in out
    assert out.replace("\n", "").isprintable()


def test_quiet(world: World, listed: str, capsys: pytest.CaptureFixture[str]) -> None:
    audit(world, "-q", listed)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("\t") for line in lines] == [
        ["2", "8.8.8.8", "not-needed", "not needed"],
        ["4", "8.8.4.4", "past-review", "needed"],
    ]


def test_standard_input() -> None:
    ran = run("audit", "--no-probe", "--json", "-", stdin=None, input="8.8.8.8\n8.8.8.8\n")
    assert ran.returncode == 1
    assert [entry["finding"] for entry in json.loads(ran.stdout)["entries"]] == ["ok", "duplicate"]
    assert run("audit", "-", preexec_fn=None).returncode == 0  # an empty one


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["/nonexistent/list"], "cannot be read"),
        (["."], "is a directory"),
        ([], "FILE"),
        (["--limit=0", "x"], "--limit"),
        (["--log=/nonexistent", "LIST"], "--log"),
        (["--save=-", "LIST"], "--save"),
        (["a", "b"], "one argument too many"),
    ],
)
def test_bad_input_is_one_line(
    given: list[str], said: str, listed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["audit", *(listed if word == "LIST" else word for word in given)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err.splitlines()[-1]
    assert all(line.isprintable() for line in err.splitlines())


def test_one_unreadable_log_does_not_cost_the_others(
    world: World, listed: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "mainlog"
    log.write_text(LOG)
    assert audit(world, "--json", "--log=/nonexistent", f"--log={log}", listed) == 1
    out, err = capsys.readouterr()
    assert json.loads(out)["entries"][2]["senders"] == ["often@good.example"]
    assert "/nonexistent" in err


def test_binary_and_endless_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    binary = tmp_path / "binary"
    binary.write_bytes(bytes(range(256)) * 100)
    assert main(["audit", str(binary)]) == 2
    assert "no text" in capsys.readouterr().err
    assert main(["audit", "/dev/zero"]) == 2
    assert "16 MiB" in capsys.readouterr().err


# --- the page ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("finding", list(Finding))
def test_every_finding_is_documented(finding: Finding) -> None:
    assert re.search(rf"^\| `{finding}` \|", PAGE, re.MULTILINE)


def test_every_option_and_key_is_documented() -> None:
    for action in options()._actions:
        assert action.help, action.dest
        for option in action.option_strings:
            assert f"`{option}" in PAGE, option
    for key in KEYS:
        assert f"`{key}`" in PAGE, key


def test_a_closed_standard_input(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stdin", None)
    assert main(["audit", "-"]) == 2
    assert "standard input is closed" in capsys.readouterr().err
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"8.8.8.8\n")))
    assert main(["audit", "--no-probe", "-"]) == 0
