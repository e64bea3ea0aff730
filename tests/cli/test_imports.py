"""What is not needed is not loaded: seen in a fresh interpreter."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import probe
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


def test_plain_answers_of_the_dns_load_no_dnspython(world: World, tmp_path: Path) -> None:
    addresses = tmp_path / "addresses.txt"
    addresses.write_text("a@good.example\na@gone.example\n")
    assert "dns" not in loaded("--no-store", *world.arguments("a@good.example"))
    assert "dns" not in loaded("batch", "--no-store", str(addresses), *world.arguments())


@pytest.mark.parametrize("command", [["--help"], ["explain", "temporary"], ["schema"]])
def test_what_keeps_nothing_loads_no_database(command: list[str]) -> None:
    assert not {"sqlite3", "platformdirs"} & loaded(*command)


# --- in several threads ----------------------------------------------------------------------------------

IN_THREADS = (
    "probe.net.wire probe.core.classify probe.show.text probe.net.store probe.codec probe.core.expiry"
)
"""What is loaded beside the main thread: while a mail host is waited for, and to ask the store."""


def imports(path: Path) -> list[str]:
    """Give the modules that a file imports, in its order, but for those that only a type checker reads."""
    found = []

    def look(node: ast.AST) -> None:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            return
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            found.append(node.module)
        for child in ast.iter_child_nodes(node):
            look(child)

    look(ast.parse(path.read_bytes()))
    return found


def test_no_two_threads_wait_for_each_others_modules() -> None:
    """A package that loads its own modules is loaded before one of these.

    Whoever imports the module alone holds it while it waits for the package, and another thread, which loads the
    package, waits for the module: Python then raises in either of them.
    """
    script = f"import {IN_THREADS.replace(' ', ', ')}, sys; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    root = Path(probe.__file__).parent
    packages = {}
    for name in ran.stdout.split():
        home = root.parent.joinpath(*name.split("."), "__init__.py")
        if name.startswith("probe.") and home.exists() and imports(home):
            packages[name] = home.parent
    assert {"probe.core.exim", "probe.core.phrasebook"} <= packages.keys()
    wrong = []
    for path in root.rglob("*.py"):
        named = imports(path)
        for package, folder in packages.items():
            inside = [n for n, module in enumerate(named) if module.startswith(f"{package}.")]
            if inside and not path.is_relative_to(folder) and package not in named[: inside[0]]:
                wrong.append(f"{path.relative_to(root)}: {named[inside[0]]}")
    assert not wrong
