"""Evidence moved to another start keeps every duration, and no moment is forgotten."""

from __future__ import annotations

import pathlib
import typing
from typing import Any

import pytest
from msgspec import Struct, structs

from probe import codec
from probe.core import model
from probe.core.rebase import PARTS, TIMES, shift

RECORDED = sorted(pathlib.Path("fixtures/recorded").glob("*/evidence.json"))
DURATIONS = {"last_ack", "last_data", "rtt"}


def _structs(hint: object) -> list[type[Struct]]:
    found = [hint] if isinstance(hint, type) and issubclass(hint, Struct) else []
    for part in typing.get_args(hint):
        found += _structs(part)
    return found


@pytest.mark.parametrize("kind", list(TIMES))
def test_every_moment_and_every_part_is_in_the_tables(kind: type[Struct]) -> None:
    hints = typing.get_type_hints(kind, vars(model))
    moments = {name for name, hint in hints.items() if hint is float} - DURATIONS
    assert set(TIMES[kind]) == moments
    timed = {name for name, hint in hints.items() if any(part in TIMES for part in _structs(hint))}
    assert set(PARTS.get(kind, ())) == timed


def _moments(record: Any) -> list[float]:
    found = [getattr(record, name) for name in TIMES[type(record)]]
    for name in PARTS.get(type(record), ()):
        part = getattr(record, name)
        for item in part if isinstance(part, tuple) else [part] if part is not None else []:
            found += _moments(item)
    return found


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.parent.name)
def test_every_moment_is_moved_and_nothing_else(path: pathlib.Path) -> None:
    evidence = codec.decode_evidence(path.read_bytes(), path.name)
    for record in (*evidence.dns, *evidence.hosts):
        moved = shift(record, -100.0)
        assert _moments(moved) == [moment - 100.0 for moment in _moments(record)]
        assert structs.replace(moved) == moved
        back = shift(moved, 100.0)
        assert _moments(back) == pytest.approx(_moments(record))
        assert type(back) is type(record)
