"""Bad input: one line on standard error that names what is wrong and the mend, exit code 2, nothing else."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.cli import UsageError, main
from probe.cli.parsers import diagnosis, doctor, explanation, plain
from probe.cli.saving import Saver
from tests.support.every import every

if TYPE_CHECKING:
    from pathlib import Path

    from probe.cli.options import Parser

ADDRESS = "user@example.com"

WRONG: list[tuple[list[str], list[str]]] = [
    # Nothing, or something else than an address.
    ([], ["no address given", "--help"]),
    (["-q"], ["no address given"]),
    (["example.com"], ["'example.com' is no address", "user@example.com"]),
    (["dmeo"], ["'dmeo'", "did you mean probe-sender demo?"]),
    (["Explain"], ["did you mean probe-sender explain?"]),
    (["help"], ["did you mean probe-sender --help?"]),
    (["version"], ["did you mean probe-sender --version?"]),
    (
        ["nothing-like-it"],
        ["the commands are audit, batch, demo, doctor, explain, history, log, preflight, schema"],
    ),
    (["-v", "explain", ADDRESS, "--dns-server=x"], ["--dns-server"]),
    (["<>"], ["null sender", "needs no verification"]),
    ([""], ["null sender"]),
    (
        ["H=r.example [192.0.2.59]:36752 sender verify defer for <a@d.example>: timed out"],
        ["this is a log line", "probe-sender a@d.example"],
    ),
    (
        ["H=r.example F=<a@d.example> temporarily rejected RCPT <b@e.example>: no"],
        ["probe-sender a@d.example"],
    ),
    (["a@b"], ["'b' is not a full domain name"]),
    (["a\r\nRCPT@example.com"], ["U+000D"]),
    # Options.
    (["--jsn", ADDRESS], ["unknown option '--jsn'", "did you mean --json?"]),
    (["--conn", "3", ADDRESS], ["unknown option '--conn'", "did you mean --connect-timeout?"]),
    (["explain", "temporary", "--format", "csv"], ["text or with --json"]),
    (["explain", "temporary", "-q"], ["text or with --json"]),
    (["--", "-v"], ["'-v'", "@"]),
    (["-x", ADDRESS], ["unknown option '-x'", "probe-sender --help"]),
    (["--json=1", ADDRESS], ["--json", "takes no value"]),
    (["--helo"], ["--helo", "needs a value", "--helo NAME"]),
    (["--timeout", "-1", ADDRESS], ["--timeout", "needs a value", "hyphen"]),
    (["--timeout=-1", ADDRESS], ["--timeout: -1 is not a time", "above 0"]),
    (["--timeout", "0", ADDRESS], ["--timeout: 0 is not a time"]),
    (["--timeout", "nan", ADDRESS], ["--timeout: nan is not a time"]),
    (["--connect-timeout", "inf", ADDRESS], ["--connect-timeout: inf is not a time", "3600"]),
    (["--reply-timeout", "5s", ADDRESS], ["--reply-timeout: '5s' is no number of seconds", "2.5"]),
    (["--exim-version", "5.0", ADDRESS], ["--exim-version: '5.0' is no version of Exim 4", "exim -bV"]),
    (["--exim-version", "4.20", ADDRESS], ["--exim-version: '4.20' is older than 4.69", "give 4.69"]),
    (["--callout", "30", "--callout", "soon", ADDRESS], ["--callout: 'soon' is no option", "defer_ok"]),
    (["--callout", "maxwait=0s", ADDRESS], ["--callout: 'maxwait=0s'", "1m30s"]),
    (["--redact", ADDRESS], ["--redact: it is for letters", "--letter postmaster"]),
    (["--letter", "boss", ADDRESS], ["--letter: 'boss' is not known", "postmaster"]),
    (["--letter", "support", "--json", ADDRESS], ["--letter", "leave --json"]),
    (["--letter", "support", "-v", ADDRESS], ["--letter", "-v"]),
    (["--no-trace", "--canary", "mx.example.net", ADDRESS], ["--canary", "--no-trace", "leave one"]),
    (["--port", "0", ADDRESS], ["--port: 0 is not a TCP port", "65535"]),
    (["--port", "65536", ADDRESS], ["--port"]),
    (["--port", "abc", ADDRESS], ["--port: 'abc' is no port number", "65535"]),
    (["--port", "\u0662\u0665", ADDRESS], ["--port", "no port number"]),
    (["-4", "-6", ADDRESS], ["-6: not together with -4"]),
    (["--format", "xml", ADDRESS], ["--format: 'xml'", "text, json, jsonl, markdown, csv"]),
    (["--color", "pink", ADDRESS], ["--color: 'pink'", "auto, always, never"]),
    (["--tls", "maybe", ADDRESS], ["--tls: 'maybe'", "auto, never, require"]),
    (["--helo", "localhost", ADDRESS], ["--helo: 'localhost'", "give the name"]),
    (["--helo", "EXAMPLE.com.", ADDRESS], ["--helo: EXAMPLE.com. is the domain that is probed"]),
    (["--mail-from", "me", ADDRESS], ["--mail-from: 'me' has no @"]),
    (["--source", "192.0.2", ADDRESS], ["--source: '192.0.2' is not an IP address"]),
    (["--source", "192.0.2.99", ADDRESS], ["--source: 192.0.2.99 is no address of this host"]),
    (["-4", "--source", "::1", ADDRESS], ["--source: ::1 is IPv6"]),
    (["--dns-server", "ns.example.com", ADDRESS], ["--dns-server: 'ns.example.com'", "192.0.2.53:5353"]),
    (["--dns-server", "127.0.0.1:0", ADDRESS], ["--dns-server"]),
    (["--canary", "mx", ADDRESS], ["--canary: 'mx' is no mail host", "mx.example.com", "[2001:db8::25]:25"]),
    (["--canary", "mx.example.com:0", ADDRESS], ["--canary: 'mx.example.com:0'"]),
    (["--canary", "mx.example.com:smtp", ADDRESS], ["--canary"]),
    (["--canary", "", ADDRESS], ["--canary: ''"]),
    (["--canary", "192.0.2", ADDRESS], ["--canary: '192.0.2' is no mail host"]),
    (["--canary", "224.0.0.1", ADDRESS], ["--canary: '224.0.0.1' is the address of no host"]),
    (["--canary", "\x1b[31m.example.com", ADDRESS], ["--canary"]),
    (["--canary", "mx.example.com", "--no-canary", ADDRESS], ["--no-canary: not together with --canary"]),
    (["--no-canary", "--canary", "mx.example.com", ADDRESS], ["--canary: not together with --no-canary"]),
    (["--no-canary=x", ADDRESS], ["--no-canary: it takes no value"]),
    (["--save", "", ADDRESS], ["--save", "empty"]),
    (["--save", "missing/e.json", ADDRESS], ["--save: there is no directory 'missing'"]),
    (["--save", ".", ADDRESS], ["--save: '.' is a directory"]),
    # The other commands.
    (["explain", "--vrbose"], ["did you mean --verbose?"]),
    (["explain", "one", "two"], ["'two' is one argument too many", "probe-sender explain --help"]),
    (["explain", "rcpt.greylistet"], ["'rcpt.greylistet'", "did you mean rcpt.greylisted?"]),
    (["explain", "zzz"], ["`probe-sender explain` lists the words"]),
    (["explain", "zzz.json"], ["'zzz.json': there is no such file"]),
    (["explain", "."], ["'.' cannot be read", "--save"]),
    (["schema", "more"], ["DOCUMENT: 'more' is not known; give one of report, evidence, batch"]),
    (["schema", "log", "more"], ["'more' is one argument too many"]),
    (["doctr"], ["'doctr'", "did you mean probe-sender doctor?"]),
    (["doctor", ADDRESS], ["is one argument too many", "probe-sender doctor --help"]),
    (["doctor", "--jsn"], ["did you mean --json?"]),
    (["doctor", "--canary", "mx"], ["--canary: 'mx' is no mail host"]),
    (["doctor", "--canary", "mx.example.com", "--no-canary"], ["not together with --canary"]),
    (["doctor", "--helo", "localhost"], ["--helo: 'localhost'"]),
    (["doctor", "--timeout", "0"], ["--timeout: 0 is not a time"]),
    (["doctor", "--source", "192.0.2.99"], ["--source: 192.0.2.99 is no address of this host"]),
    (["doctor", "-4", "--source", "::1"], ["--source: ::1 is IPv6"]),
    (["doctor", "--dns-server", "ns.example.com"], ["--dns-server"]),
    (["demo", "--fast"], ["unknown option '--fast'", "probe-sender demo --help"]),
]


@every(("argv", "says"), WRONG)
def test_a_usage_error_is_one_line(
    argv: list[str],
    says: list[str],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(argv) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("probe-sender: ")
    assert err.count("\n") == 1
    assert err[:-1].isprintable()
    for word in says:
        assert word in err


def test_of_several_addresses_the_bad_ones_are_numbered(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["a@b", "explain", "--", "-x"]) == 2
    assert [line.partition(":")[2][:11] for line in capsys.readouterr().err.splitlines()] == [
        " address 1:",
        " address 2:",
        " address 3:",
    ]


def test_a_command_after_an_option_is_told_where_it_goes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-v", "explain"]) == 2
    assert "a command goes first: probe-sender explain" in capsys.readouterr().err


def test_a_file_that_may_not_be_written_is_refused_before_anything_is_probed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = tmp_path / "kept.json"
    kept.write_text("mine")
    forbidden = {str(kept.resolve())}
    monkeypatch.setattr(os, "access", lambda path, _: str(path) not in forbidden)  # root may write anything
    assert main(["--save", str(kept), ADDRESS]) == 2
    assert "permission denied; choose another file" in capsys.readouterr().err
    forbidden = {str(tmp_path.resolve())}
    assert main(["--save", str(tmp_path / "new.json"), ADDRESS]) == 2
    assert "permission denied" in capsys.readouterr().err
    assert kept.read_text() == "mine"
    Saver("/dev/null")


def test_options_may_stand_between_the_addresses(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["a@b", "-4", "c@d", "--", "-x@y"]) == 2
    assert [line.rpartition(" is not")[0][-3:] for line in capsys.readouterr().err.splitlines()] == [
        "'b'",
        "'d'",
        "'y'",
    ]


def test_help_and_version_are_results(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("probe-sender ")
    for command in ([], ["explain"], ["schema"], ["demo"], ["doctor"]):
        assert main([*command, "--help"]) == 0
        out, err = capsys.readouterr()
        assert "usage: probe-sender" in out
        assert err == ""


@pytest.mark.parametrize("parser", [diagnosis(), doctor(), explanation(), plain("demo", "Show.")])
def test_help_fits_80_columns(parser: Parser) -> None:
    assert max(map(len, parser.format_help().splitlines())) <= 80


@given(
    st.lists(st.text(max_size=20) | st.sampled_from(["--port", "--helo", "-4", "-6", "--", "-"]), max_size=4)
)
def test_no_arguments_make_the_parser_fail_otherwise(argv: list[str]) -> None:
    said = ""
    try:
        diagnosis().parse_intermixed_args(
            [word for word in argv if not word.startswith(("-h", "--h", "--v"))]
        )
    except UsageError as error:
        said = str(error)
    assert said.isprintable()


def test_two_hyphens_end_the_options(capsys: pytest.CaptureFixture[str]) -> None:
    # The second is an address that looks like an option; the resolver at port 9 does not exist.
    code = main(["-q", "--timeout", "2", "--dns-server", "127.0.0.1:9", "--", "-x@b.example", "-v@b.example"])
    lines = capsys.readouterr().out.splitlines()
    assert code == 9
    assert [line.partition("\t")[0] for line in lines] == ["-x@b.example", "-v@b.example"]


@pytest.mark.parametrize(("word", "key"), [("rcpt.greylisted", "reason"), ("temporary", "cause")])
def test_a_word_is_explained_as_json_too(word: str, key: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", word, "--json"]) == 0
    entry = json.loads(capsys.readouterr().out)
    assert (entry[key], entry["exit"]) == (word, 4)
