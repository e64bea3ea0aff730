"""`probe-sender doctor`: its JSON, its exit codes, its page, in a lab that stands for the world."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from probe.cli import doctor as command
from probe.cli import main
from probe.cli.parsers import doctor as options
from probe.core.checks import CHECKS, Result
from probe.lab.world import Lab, LabThread
from tests.cli.program import run

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "doctor.md").read_text()
ZONE = """\
.                   300 NS a.root-servers.example.
mail.example.com.   300 A 192.0.2.25
mx.up.example.      300 A 127.0.0.2
"""


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """Give a world with a root, our name, and a canary that greets."""
    with LabThread(Lab(ZONE, {"127.0.0.2": "S: 220 mx \\x1b[31m ESMTP"})) as made:
        yield made


def arguments(lab: Lab, *more: str) -> list[str]:
    """Give a command line that reaches the lab and nothing else."""
    return [
        "doctor", f"--dns-server=127.0.0.1:{lab.dns_port}", f"--port={lab.port}", "--timeout=5",
        "--helo=mail.example.com", *more,
    ]  # fmt: skip


def checks(capsys: pytest.CaptureFixture[str]) -> dict[str, dict[str, Any]]:
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == 1
    assert list(document) == ["schema", "checks"]
    return {check["id"]: check for check in document["checks"]}


def test_the_document_and_its_exit_code(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(arguments(lab, "--json", "-4", "--canary=mx.up.example"))
    found = checks(capsys)
    assert list(found) == list(CHECKS)
    for check in found.values():
        assert list(check) == ["id", "result", "says", "mend"]
        assert check["result"] in {*Result}
        assert check["mend"] is None or check["result"] != "ok"
    assert found["outbound-ipv4"]["result"] == "ok"
    assert found["resolver-nxdomain"]["result"] == "ok"
    failed = [check for check in found.values() if check["result"] == "fail"]
    assert code == (3 if failed else 0)


def test_something_of_ours_is_wrong(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments(lab, "--json", "--no-canary", "--helo=gone.example.com")) == 3
    found = checks(capsys)
    assert (found["helo-address"]["result"], found["outbound-ipv4"]["result"]) == ("fail", "untested")
    assert "gone.example.com has no address (nxdomain)" in found["helo-address"]["says"]


def test_a_dead_name_server_is_no_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--dns-server=127.0.0.1:9", "--timeout=2", "--json"]) == 3
    found = checks(capsys)
    assert found["resolver-answers"]["result"] == "fail"
    assert found["outbound-ipv4"]["result"] == "untested"  # no name resolves, which proves no blocked port


@pytest.mark.parametrize("color", ["never", "always"])
def test_the_page(lab: Lab, color: str, capsys: pytest.CaptureFixture[str]) -> None:
    main(arguments(lab, "--canary", "mx.up.example", f"--color={color}"))
    out, err = capsys.readouterr()
    assert err == ""
    assert ("\x1b[" in out) is (color == "always")
    plain = re.sub(r"\x1b\[[0-9;]*m", "", out)
    assert re.sub(r"[^\n -~]", "?", plain) == plain
    for name in CHECKS:
        assert re.search(rf"^(?=.{{10}}{name} )(ok|warn|fail|untested) +{name} ", plain, re.MULTILINE)


def test_the_options_are_passed_on(lab: Lab) -> None:
    given = arguments(lab, "--source=127.0.0.1", "--canary=a.b.example", "--canary=c.example:26")[1:]
    settings = command._settings(options().parse_args(given))
    assert settings.families == (4,)
    assert settings.canaries == ("a.b.example", "c.example:26")
    assert (settings.timeout, settings.dns_timeout) == (5.0, 5.0 / 3)
    assert command._settings(options().parse_args(["--no-canary"])).canaries == ()
    assert command._settings(options().parse_args([])).canaries is None


def test_a_full_disk_is_said(lab: Lab) -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123 - a device
        ran = run(*arguments(lab, "--no-canary"), stdout=full)
    assert (ran.returncode, ran.stderr.count("\n")) == (2, 1)
    assert "standard output could not be written" in ran.stderr


@pytest.mark.parametrize("name", list(CHECKS))
def test_every_check_is_documented(name: str) -> None:
    assert re.search(rf"^\| `{name}` \| {re.escape(CHECKS[name])} \|", PAGE, re.MULTILINE)


def test_every_option_is_documented_and_has_help() -> None:
    for action in options()._actions:
        assert action.help
        for option in action.option_strings:
            assert f"`{option}" in PAGE, option
