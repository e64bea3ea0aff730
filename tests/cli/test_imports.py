"""What is not needed is not loaded: seen in a fresh interpreter."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from probe.cli import main

if TYPE_CHECKING:
    from tests.cli.program import World

NETWORK = {"asyncio", "ssl", "socket", "dns", "aiosmtplib"}
SCRIPT = """
import sys
from probe.cli import main
code = main(sys.argv[1:])
print("loaded:", *sys.modules)
"""


def loaded(*argv: str) -> set[str]:
    """Give the names of all packages and modules that a run of the program has loaded."""
    ran = subprocess.run([sys.executable, "-c", SCRIPT, *argv], check=True, capture_output=True, text=True)
    *_, last = ran.stdout.splitlines()
    return set(last.split()[1:])


@pytest.fixture
def one_host(world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """Save the evidence of a domain with one mail host."""
    saved = str(tmp_path / "e.json")
    main(world.arguments("--save", saved, "a@gone.example"))
    capsys.readouterr()
    return saved


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_loads_next_to_nothing(option: str) -> None:
    assert not loaded(option) & {
        *NETWORK,
        "msgspec",
        "tabulate",
        "json",
        "difflib",
        "typing",
        "tempfile",
        "shutil",
    }


@pytest.mark.parametrize(
    "command",
    [
        ["explain"],
        ["explain", "temporary"],
        ["explain", "rcpt.greylisted"],
        ["explain", "policy-block"],
        ["explain", "rcpt-greylisted"],
        ["explain", "audit"],
        ["schema"],
    ],
)
def test_what_needs_no_network_loads_none(command: list[str]) -> None:
    assert not loaded(*command) & {*NETWORK, "tabulate"}


@pytest.mark.parametrize("options", [[], ["-v"], ["--json"], ["-q"], ["--format=csv"]])
def test_judging_again_loads_no_network_and_no_tables(one_host: str, options: list[str]) -> None:
    assert not loaded("explain", *options, one_host) & {*NETWORK, "tabulate"}


def test_a_table_loads_tabulate_only_when_it_is_drawn() -> None:
    two_hosts = str(Path(__file__).parents[2] / "fixtures" / "recorded" / "two-hosts" / "evidence.json")
    assert "tabulate" in loaded("explain", two_hosts)
    assert not loaded("explain", "--json", two_hosts) & {*NETWORK, "tabulate"}


def test_without_a_store_no_database_is_loaded(world: World) -> None:
    asked = world.arguments("a@good.example")
    assert "sqlite3" not in loaded("--no-store", *asked)
    assert "sqlite3" in loaded(*asked)


@pytest.mark.parametrize("command", [["--help"], ["explain", "temporary"], ["schema"]])
def test_what_keeps_nothing_loads_no_database(command: list[str]) -> None:
    assert not {"sqlite3", "platformdirs"} & loaded(*command)
