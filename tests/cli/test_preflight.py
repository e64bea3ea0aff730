"""`probe-sender preflight`: its document, exit codes, formats, what it refuses, and its page."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from probe.cli import main
from probe.cli.preflight import EXIT_CODES, options
from probe.codec import decode_evidence
from probe.core.exemption.preflight_rules import RULES
from probe.core.exemption.relay import Advice, Result
from probe.core.exemption.relay_checks import CHECKS
from probe.core.exemption.ways import AVOID
from probe.lab.world import ClosedHost, Lab, LabThread
from probe.run.preflight import review_date
from tests.cli.program import World, run

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = (Path(__file__).parents[2] / "docs" / "preflight.md").read_text()
RELAY, SENDER = "192.0.2.59", "administrator@customer.example.com"
ZONE = """\
customer.example.com.      300 MX 10 mx.customer.example.com.
mx.customer.example.com.   300 A 127.0.0.3
strict.example.com.        300 MX 10 mx.customer.example.com.
strict.example.com.        300 TXT "v=spf1 -all"
broken.example.com.        300 MX 10 mx.broken.example.com.
good.example.com.          300 MX 10 mx.good.example.com.
mx.good.example.com.       300 A 127.0.0.2
59.2.0.192.in-addr.arpa.   300 PTR relay1.example.com.
relay1.example.com.        300 A 192.0.2.59
1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa. 300 PTR relay6.example.com.
relay6.example.com.        300 AAAA 2001:db8::1
59.2.0.192.bl.example.org. 300 A 127.0.0.2
"""
KEYS = [
    "schema",
    "advice",
    "relay_ip",
    "address",
    "because",
    "checks",
    "exemptions",
    "avoid",
    "rule",
    "report",
]


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    behaviours = {"mx.broken.example.com.": "servfail"}
    hosts: dict[str, Any] = {"127.0.0.2": "*good", "127.0.0.3": ClosedHost("127.0.0.3")}
    with LabThread(Lab(ZONE, hosts, behaviours)) as lab:
        yield World(lab)


def arguments(world: World, *more: str) -> list[str]:
    return ["preflight", *world.arguments("--no-trace", "--timeout=5", *more)]


def report(world: World, capsys: pytest.CaptureFixture[str], *more: str) -> tuple[int, dict[str, Any]]:
    code = main(arguments(world, "--json", *more))
    return code, json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(
    ("relay", "sender", "code", "advice"),
    [
        (RELAY, SENDER, 0, "justified"),
        (RELAY, "a@good.example.com", 1, "not-needed"),
        (RELAY, "a@gone.example.com", 1, "useless"),
        ("127.0.0.3", SENDER, 1, "useless"),
        (RELAY, "a@broken.example.com", 3, "cannot-tell"),
        (RELAY, "a@strict.example.com", 4, "dangerous"),
        ("2001:db8::1", SENDER, 0, "justified"),
    ],
)
def test_advice_and_exit_code(
    world: World, relay: str, sender: str, code: int, advice: str, capsys: pytest.CaptureFixture[str]
) -> None:
    exit_code, document = report(world, capsys, relay, sender)
    assert (exit_code, document["advice"]) == (code, advice), document["because"]
    assert list(document) == KEYS
    assert (document["schema"], document["relay_ip"], document["address"]) == (1, relay, sender)
    assert document["because"]
    assert {check["id"] for check in document["checks"]} == set(CHECKS)
    assert all(list(check) == ["id", "result", "says"] for check in document["checks"])
    assert all(check["result"] in {*Result} for check in document["checks"])
    for way in document["exemptions"]:
        assert list(way)[:8] == ["mta", "file", "where", "line", "bypasses", "risk", "undo", "review_after"]
        assert way["review_after"] == review_date()
    assert document["report"]["evidence"]["address"]["mailbox"] == sender


def test_every_advice_has_an_exit_code() -> None:
    assert set(EXIT_CODES) == set(Advice)


@pytest.mark.parametrize(
    "relay",
    [
        "[192.0.2.59]",
        "[192.0.2.59]:36752",
        "H=relay1.example.com [192.0.2.59]:36752",
        " 192.0.2.59 ",
        "::ffff:192.0.2.59",
    ],
)
def test_a_relay_as_a_log_writes_it(world: World, relay: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert report(world, capsys, relay, SENDER)[1]["relay_ip"] == RELAY


def test_the_options(world: World, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    saved = tmp_path / "e.json"
    code, document = report(
        world,
        capsys,
        "--dnsbl",
        "BL.example.org.",
        "--dnsbl=no.example.org",
        "--until=2999-01-01",
        f"--save={saved}",
        RELAY,
        SENDER,
    )
    lists = [check["result"] for check in document["checks"] if check["id"] == "dnsbl"]
    assert (code, sorted(lists)) == (4, ["fail", "pass"])
    assert decode_evidence(saved.read_bytes(), "e").address.mailbox == SENDER
    code, document = report(world, capsys, "--until=2999-01-01", "--is-relay", "127.0.0.3", SENDER)
    assert document["rule"] == "relay-unrelated"


@pytest.mark.parametrize("form", ["text", "markdown", "json"])
def test_the_formats(world: World, form: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments(world, f"--format={form}", RELAY, SENDER)) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "/etc/senderverifybypasshosts" in out
    assert "/etc/skipsmtpcheckhosts" in out
    assert re.sub(r"[^\n -~]", "?", out) == out


def test_quiet_and_verbose(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    main(arguments(world, "-q", RELAY, SENDER))
    out = capsys.readouterr().out
    assert out.split("\t")[:4] == ["justified", RELAY, SENDER, "justified"]
    assert out.count("\n") == 1
    main(arguments(world, "-v", "--color=always", RELAY, SENDER))
    out = capsys.readouterr().out
    assert "The diagnosis of the sender:" in out
    assert "\x1b[1;32mjustified" in out


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["192.0.2.0/24", SENDER], "a network"),
        ([SENDER, RELAY], "the relay goes first"),
        (["relay1.example.com", SENDER], "is no IP address"),
        (["fe80::1%eth0", SENDER], "is no IP address"),
        (["\x1b[2J", SENDER], "is no IP address"),
        ([RELAY, "nobody"], "nobody"),
        ([RELAY], "ADDRESS"),
        (["--dnsbl=not a zone", RELAY, SENDER], "--dnsbl"),
        (["--dnsbl=" + "a." * 120 + "example", RELAY, SENDER], "--dnsbl"),
        (["--until=tomorrow", RELAY, SENDER], "--until"),
        (["--until=2020-01-01", RELAY, SENDER], "after today"),
        (["--by=joe", RELAY, SENDER], "--write"),
        (["--reason=x", RELAY, SENDER], "--write"),
        (["--form=cidr", RELAY, SENDER], "--write"),
        (["--write=x", "--reason=a\nb", RELAY, SENDER], "one line"),
        (["--write=x", "--by=" + "a" * 300, RELAY, SENDER], "one line"),
        (["--write=", RELAY, SENDER], "no name of a file"),
        (["--save=-", RELAY, SENDER], "--save"),
        (["--timeout=0", RELAY, SENDER], "--timeout"),
        (["--form=x", RELAY, SENDER], "iplsearch, pairs, hosts, cidr"),
        (["--format=csv", RELAY, SENDER], "text, json, markdown"),
    ],
)
def test_bad_input_is_one_line(given: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["preflight", *given]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert said in err
    assert err[:-1].isprintable()


def test_it_runs_as_a_program(world: World) -> None:
    ran = run(*arguments(world, "--json", RELAY, SENDER))
    assert (ran.returncode, ran.stderr) == (0, "")
    assert json.loads(ran.stdout)["advice"] == "justified"


def test_a_full_disk_is_said(world: World) -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123 - a device
        ran = run(*arguments(world, RELAY, SENDER), stdout=full)
    assert (ran.returncode, ran.stderr.count("\n")) == (2, 1)


# --- the page ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(CHECKS))
def test_every_check_is_documented(name: str) -> None:
    assert re.search(rf"^\| `{name}` \| {re.escape(CHECKS[name])} \|", PAGE, re.MULTILINE)


@pytest.mark.parametrize("rule", [rule.id for rule in RULES])
def test_every_rule_is_documented(rule: str) -> None:
    advice = next(each.advice for each in RULES if each.id == rule)
    assert re.search(rf"^\| `{rule}` \| {advice} \|", PAGE, re.MULTILINE)


def test_every_option_and_key_is_documented() -> None:
    for action in options()._actions:
        assert action.help, action.dest
        for option in action.option_strings:
            assert f"`{option}" in PAGE, option
    for key in KEYS:
        assert f"`{key}`" in PAGE, key
    for avoid in AVOID:
        assert f"`{avoid.file}`" in PAGE
