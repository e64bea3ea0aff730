"""`probe-sender schema`: what each command really prints fits the schema that it gives for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from probe.cli import main
from probe.cli.schema import DOCUMENTS
from tests.cli.program import run

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.program import World

PAGE = (Path(__file__).parents[2] / "docs" / "report.md").read_text()
LOG = (
    "2026-11-22 03:14:07 H=relay1.example.com (relay1.example.com) [192.0.2.59]:36752 sender verify defer for"
    " <a@dead.example>: could not connect to mx.dead.example [127.0.0.4]: Connection timed out\n"
    "2026-11-22 03:14:07 H=relay1.example.com (relay1.example.com) [192.0.2.59]:36752 F=<a@dead.example>"
    " temporarily rejected RCPT <b@example.net>: Could not complete sender verify callout\n"
)
LIST = "# probe-sender 192.0.2.59 sender=<a@good.example> added=2026-01-01 until=2026-02-01\n192.0.2.59\n10.0.0.0/8\n"


def schema_of(name: str, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert main(["schema", name]) == 0
    described: dict[str, Any] = json.loads(capsys.readouterr().out)
    return described


@pytest.mark.parametrize("name", DOCUMENTS)
def test_it_is_a_schema_and_requires_every_key(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    described = schema_of(name, capsys)
    jsonschema.Draft202012Validator.check_schema(described)
    assert described["title"] == f"probe-sender {name}"
    for definition in described["$defs"].values():
        if definition.get("type") == "object":
            assert definition["required"] == list(definition["properties"])


def test_without_a_name_it_is_that_of_the_report(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    assert json.loads(capsys.readouterr().out) == schema_of("report", capsys)


def saved(world: World, tmp_path: Path) -> str:
    run(*world.arguments("--no-store", "--no-trace", f"--save={tmp_path / 'e.json'}", "a@good.example"))
    return (tmp_path / "e.json").read_text()


def of_batch(world: World, tmp_path: Path, *more: str) -> str:
    (tmp_path / "in.txt").write_text("a@good.example\nb@gone.example\nc@none.example\n")
    names = world.arguments(f"--store={tmp_path / 'store'}", "--no-trace", "--gap=0", *more)
    return run("batch", *names, str(tmp_path / "in.txt")).stdout


def twice(world: World, tmp_path: Path) -> str:
    return of_batch(world, tmp_path) + of_batch(world, tmp_path)  # asked, and out of the store


def log(world: World, tmp_path: Path, *more: str) -> str:
    (tmp_path / "main.log").write_text(LOG)
    names = world.arguments("--no-store", "--no-trace", "--connect-timeout=1", "--probe", *more)
    done = run("log", *names, str(tmp_path / "main.log"))
    assert done.returncode == 1, done.stderr
    return done.stdout


def audit(world: World, tmp_path: Path) -> str:
    (tmp_path / "list").write_text(LIST)
    return run("audit", *world.arguments("--no-trace", "--json"), str(tmp_path / "list")).stdout


REAL: dict[str, Callable[[World, Path], str]] = {
    "report": lambda world, _: run(*world.arguments("--no-store", "--json", "a@dead.example")).stdout,
    "evidence": saved,
    "batch": twice,
    "plan": lambda world, tmp_path: of_batch(world, tmp_path, "--dry-run", "--json"),
    "log": lambda world, tmp_path: log(world, tmp_path, "--json"),
    "group": lambda world, tmp_path: log(world, tmp_path, "--format=jsonl"),
    "preflight": lambda world, _: (
        run(
            "preflight",
            *world.arguments("--no-trace", "--timeout=3", "--json"),
            "192.0.2.59",
            "a@dead.example",
        ).stdout
    ),
    "audit": audit,
    "doctor": lambda world, _: (
        run(
            "doctor", "--json", "--no-canary", "--timeout=2", f"--dns-server=127.0.0.1:{world.lab.dns_port}"
        ).stdout
    ),
}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_what_is_printed_fits(
    name: str, world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    described = schema_of(name, capsys)
    validator = jsonschema.Draft202012Validator(described)
    text = REAL[name](world, tmp_path)
    documents = (
        [json.loads(line) for line in text.splitlines()] if name in {"batch", "group"} else [json.loads(text)]
    )
    assert documents
    keys = described["$defs"][described["$ref"].rpartition("/")[2]]["properties"]
    for document in documents:
        validator.validate(document)
        assert list(document) == list(keys)  # nothing is printed that the schema leaves out
        first = next(iter(keys))
        assert not validator.is_valid({key: value for key, value in document.items() if key != first})
        if first == "schema":
            assert not validator.is_valid({**document, "schema": 2})


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_document_is_in_the_page(name: str) -> None:
    assert f"`{name}`" in PAGE.partition("## The other documents")[2]
