"""A bug of ours is said in one line, with exit code 3; the traceback is for whoever asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from probe.cli import DEBUG, main
from probe.run import engine

if TYPE_CHECKING:
    from probe.core.model import Address, Evidence
    from tests.cli.program import World


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every probe of bug@... fail in a way that nobody foresaw."""
    right = engine.Engine.collect

    async def collect(self: engine.Engine, address: Address, **options: object) -> Evidence:
        if address.local == "bug":
            raise ZeroDivisionError("oops\x1b[2J\nsecond line")
        return await right(self, address, **options)  # type: ignore[arg-type]  # handed on as it came

    monkeypatch.setattr(engine.Engine, "collect", collect)


@pytest.mark.usefixtures("broken")
def test_it_is_one_line_and_loses_nothing(
    world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(DEBUG, raising=False)
    assert main(world.arguments("-q", "a@good.example", "bug@good.example", "b@good.example")) == 3
    out, err = capsys.readouterr()
    assert [line.split("\t")[0] for line in out.splitlines()] == ["a@good.example", "b@good.example"]
    assert err == (
        "probe-sender: bug@good.example: this is a bug of probe-sender, ZeroDivisionError:"
        " oops\\x1b[2J\\nsecond line; please report this line and what PROBE_SENDER_DEBUG=1 shows\n"
    )


@pytest.mark.usefixtures("broken")
def test_the_traceback_is_there_for_whoever_asks(
    world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(DEBUG, "1")
    assert main(world.arguments("bug@good.example")) == 3
    err = capsys.readouterr().err
    assert err.startswith("Traceback")
    assert err.endswith("; please report this line\n")


def test_outside_of_a_probe_too(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(DEBUG, raising=False)
    monkeypatch.setattr("probe.cli.explain.explain", lambda _: 1 // 0)
    assert main(["explain", "temporary"]) == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("probe-sender: this is a bug of probe-sender, ZeroDivisionError: ")
    assert err.count("\n") == 1
