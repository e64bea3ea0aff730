"""`explain`: saved evidence is judged again, words are explained, and a file that is no evidence says why."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING

import pytest

from probe.cli import main
from probe.core.model import Cause
from probe.core.reasons import REASONS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.program import World


def saved(
    world: World, folder: Path, capsys: pytest.CaptureFixture[str], *addresses: str
) -> tuple[Path, str]:
    """Probe and save; give the file and what was printed."""
    file = folder / "e.json"
    main(world.arguments("-q", "--save", str(file), *addresses))
    return file, capsys.readouterr().out


def test_it_gives_the_same_verdict_and_exit_code(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, printed = saved(world, tmp_path, capsys, "a@good.example", "b@gone.example")
    assert main(["explain", "-q", str(file)]) == 1
    assert capsys.readouterr().out == printed
    assert main(["explain", "--json", str(file)]) == 1
    assert len([json.loads(line) for line in capsys.readouterr().out.splitlines()]) == 2


def test_a_report_and_standard_input_will_do(
    world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    main(world.arguments("--json", "b@gone.example"))
    printed = capsys.readouterr().out
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(printed.encode())))
    assert main(["explain", "--json", "-"]) == 1
    assert json.loads(capsys.readouterr().out) == json.loads(printed)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda text: text[: len(text) // 2], "cut short"),
        (lambda text: text.replace('"schema":1', '"schema":99', 1), "upgrade it"),
        (lambda text: text.replace('"probe-sender"', '"other"', 1), "no evidence and no report"),
        (lambda text: text.replace('"seed":', '"seed":"x",', 1), "broken JSON"),
        (lambda _: "From: a@example.com\n\nHello", "JSON"),
        (lambda _: "[]", "holds no JSON object"),
        (lambda _: "", "there is nothing in it"),
    ],
)
def test_what_cannot_be_judged_says_why(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str], change: object, says: str
) -> None:
    file, _ = saved(world, tmp_path, capsys, "a@good.example")
    file.write_text(change(file.read_text()))  # type: ignore[operator]  # a function of the text
    assert main(["explain", str(file)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert says in err
    assert "e.json" in err


def test_an_unreadable_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "e.json"
    file.touch()

    def forbidden(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", forbidden)
    assert main(["explain", str(file)]) == 2
    assert "cannot be read: Permission denied; give a file" in capsys.readouterr().err


@pytest.mark.parametrize("word", [*Cause, *REASONS])
def test_every_word_is_explained_in_80_columns(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", word]) == 0
    page = capsys.readouterr().out
    assert page.startswith(word)
    assert page.isascii()
    assert "{" not in page
    assert max(map(len, page.splitlines())) <= 80


def test_case_does_not_matter_and_a_word_is_one_even_where_a_file_has_its_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "temporary").touch()
    assert main(["explain", "Temporary"]) == 0
    assert capsys.readouterr().out.startswith("temporary (exit code 4)")
    assert main(["explain", "./temporary"]) == 2


def test_without_a_word_all_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain"]) == 0
    page = capsys.readouterr().out
    assert all(word in page for word in [*Cause, *REASONS])
