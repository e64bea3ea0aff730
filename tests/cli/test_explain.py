"""`explain`: saved evidence is judged again, words are explained, and a file that is no evidence says why."""

from __future__ import annotations

import io
import json
import re
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from probe.cli import main
from probe.cli.glossary import LISTS, meanings, words
from probe.core.model import About, Cause
from probe.core.reasons import REASONS
from probe.core.rfc.requirements import REQUIREMENTS
from tests.support.every import every

if TYPE_CHECKING:
    from collections.abc import Iterable
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


@every("word", sorted(set(words())))
def test_every_word_is_explained_with_an_example_in_80_columns(
    word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", word]) == 0
    page = capsys.readouterr().out
    assert page.startswith(f"{word} (")
    examples = re.findall(r"^Example    \S", page, re.MULTILINE)
    assert len(examples) == len(meanings(word))
    assert not re.search(r"\{[a-z_]+\}", page)
    # What cannot be broken, such as a long host name, stays whole.
    assert all(len(line) <= 80 or " " not in line.strip() for line in page.splitlines())


def test_what_the_terminal_cannot_show_is_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(raw, encoding="ascii"))
    assert main(["explain", "readings"]) == 0
    assert raw.getvalue().isascii()


def test_only_a_reading_may_have_the_name_of_a_cause_or_reason() -> None:
    counted = Counter(words())
    shared = {word for word in (*Cause, *REASONS) if counted[word] > 1}
    assert shared == set(Cause) & set(About)
    assert not counted.keys() & LISTS.keys()


def test_a_reason(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "rcpt.greylisted"]) == 0
    assert (
        capsys.readouterr().out
        == """\
rcpt.greylisted (reason)

  The mail host greylists: it defers the first contact and expects the same
  client to come back.

Cause      temporary (exit code 4): The mail host asks to come back:
           greylisting, a rate limit, busy.
Who acts   theirs (their mail host, or its policy)
Reference  RFC 6647 2, RFC 5321 4.2.1
Example    RCPT TO:<user@example.com> -> 450 4.2.0 Greylisted, come back in 300
           seconds

Next steps:
  1. support: Probe again from the same address after the time it names, or
     after 5 to 15 minutes.
  2. our admin: If it never passes, their greylisting does not learn null-sender
     callouts: verify with defer_ok, or exempt the connecting relay.
"""
    )


def test_a_rule(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "rcpt-relay-denied"]) == 0
    assert (
        capsys.readouterr().out
        == """\
rcpt-relay-denied (rule)

  It makes the reason rcpt.domain-not-served. Every mail host that answered says
  that it does not take mail for this domain.

Cause      missing-sender (exit code 1)
Reason     rcpt.domain-not-served
Confidence probable
Who acts   theirs (their mail host, or its policy)
Reference  RFC 5321 3.6.2, RFC 3463 X.1.2, X.7.1
Example    mx.example.com [192.0.2.25] does not relay to example.com, so it is
           not its mail host: "554 5.7.1 <user@example.com>: Relay access
           denied".

It matches when all of this holds:
  Decided at          RCPT
  What came           a 5xx
  The reply is about  missing-domain (no such domain at this host), or
                      relay-denied (the host does not take mail for this domain)
  It was read by      its words, or its enhanced code
"""
    )


def test_a_code_that_stands_for_a_row(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "enhanced-1.1"]) == 0
    assert (
        capsys.readouterr().out
        == """\
enhanced-1.1 (enhanced code)

  The enhanced code X.1.1 of a reply whose words say nothing. It is read as
  missing-mailbox: no such mailbox.

Source     RFC 3463 and its registry: X.1.1
Read by    the enhanced code, where the words say nothing
Example    RCPT TO:<user@example.com> -> 550 5.1.1 Sorry
"""
    )


def test_a_code_that_no_table_lists(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "code-450"]) == 0
    assert "It is\n  read as temporary: not now." in capsys.readouterr().out
    assert main(["explain", "code-599"]) == 2
    assert main(["explain", "enhanced-7.999"]) == 2


def test_a_word_that_means_several_things_has_them_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "null-sender"]) == 0
    headings = re.findall(r"^null-sender \((.*)\)$", capsys.readouterr().out, re.MULTILINE)
    assert headings == ["what a refusal is about", "row of the phrasebook", "requirement"]
    assert main(["explain", "--json", "null-sender"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["kind"] == "reading"
    assert [each["kind"] for each in told["also"]] == ["row", "requirement"]


def test_the_keys_of_a_cause_and_a_reason(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "--json", "temporary"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told.keys() == {"kind", "word", "cause", "exit", "means", "reasons", "example", "also"}
    assert (told["cause"], told["exit"], told["also"][0]["kind"]) == ("temporary", 4, "reading")
    assert main(["explain", "--json", "connect.refused"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told.keys() == {
        "kind", "word", "reason", "cause", "exit", "means", "side", "reference", "next_steps", "example", "also",
    }  # fmt: skip
    assert told["also"] == []
    assert told["next_steps"][0] == {
        "who": "their-admin",
        "do": "Start the mail server on the mail host's IP, or point the MX at the host where it runs.",
    }


def test_case_does_not_matter_and_a_word_is_one_even_where_a_file_has_its_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "temporary").touch()
    assert main(["explain", "Temporary"]) == 0
    assert capsys.readouterr().out.startswith("temporary (exit code 4)")
    assert main(["explain", "./temporary"]) == 2
    assert "there is nothing in it" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("rcpt.greylistd", "rcpt.greylisted"),
        ("polcy-block", "policy-block"),
        ("rcpt-user-unkown", "rcpt-user-unknown"),
        ("null-mx-alon", "null-mx-alone"),
        ("adit", "audit"),
    ],
)
def test_a_misspelt_word(typed: str, meant: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", typed]) == 2
    assert f"did you mean {meant}?" in capsys.readouterr().err


def test_without_a_word_causes_and_reasons_are_listed_and_the_other_lists_named(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["explain"]) == 0
    page = capsys.readouterr().out
    assert all(word in page for word in [*Cause, *REASONS])
    assert all(f"probe-sender explain {name} " in page for name in LISTS)
    assert max(map(len, page.splitlines())) <= 80


def test_the_table_of_the_audit(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "audit"]) == 0
    page = capsys.readouterr().out
    assert max(map(len, page.splitlines())) <= 80
    for row in REQUIREMENTS.values():
        (line,) = re.findall(rf"^  {row.id}  .*(?:\n {{10,}}.*)*", page, re.MULTILINE)
        assert row.level in line
        assert row.says in " ".join(line.split())
        assert ("[--audit]" in line) is row.audit
    assert page.index("Defeats verification (") < page.index("Risky (")


@pytest.mark.parametrize(
    ("name", "some"), [("readings", About), ("rules", ["no-rule"]), ("audit", REQUIREMENTS)]
)
def test_lists_as_json_and_markdown(
    name: str, some: Iterable[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", "--json", name]) == 0
    told = json.loads(capsys.readouterr().out)
    assert {each["word"] for each in told} >= set(some)
    assert main(["explain", "--format", "jsonl", name]) == 0
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == told
    assert main(["explain", "--format", "markdown", name]) == 0
    page = capsys.readouterr().out
    assert all(f"## `{word}` (" in page for word in some)


def test_a_word_as_markdown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "--format", "markdown", "greylist"]) == 0
    page = capsys.readouterr().out
    assert page.startswith("## `greylist` (what a refusal is about)\n")
    assert "\n## `greylist` (row of the phrasebook)\n" in page


@pytest.mark.parametrize("options", [["-q"], ["--format", "csv"]])
@pytest.mark.parametrize("word", ["temporary", "audit"])
def test_words_are_not_for_a_spreadsheet(
    options: list[str], word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", *options, word]) == 2
    assert capsys.readouterr().err.count("\n") == 1
