"""A table that is checked in one test says which of its rows fail."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.every import every

if TYPE_CHECKING:
    from pathlib import Path


def test_each_row_that_fails_is_named() -> None:
    @every(("big", "small"), [(2, 1), (1, 2), (4, 3), (5, 6)])
    def check(big: int, small: int) -> None:
        assert big > small

    with pytest.raises(ExceptionGroup, match="2 of 4 rows") as failed:
        check()
    assert [error.__notes__ for error in failed.value.exceptions] == [
        ["of big, small = (1, 2)"],
        ["of big, small = (5, 6)"],
    ]


def test_a_table_without_rows_is_a_failure() -> None:
    @every("row", [])
    def check(row: int) -> None:
        raise AssertionError(row)

    with pytest.raises(AssertionError, match="there is nothing to check"):
        check()


@every("n", [1, 2])
@every("letter", "ab", ids=str.upper)
def test_it_stands_beside_fixtures_and_another_table(n: int, letter: str, tmp_path: Path) -> None:
    (tmp_path / f"{letter}{n}").touch(exist_ok=False)
    assert {file.name for file in tmp_path.iterdir()} <= {"a1", "b1", "a2", "b2"}


def test_with_two_tables_both_rows_are_named() -> None:
    @every("n", [1, 2])
    @every("letter", "ab", ids=str.upper)
    def check(n: int, letter: str) -> None:
        assert (n, letter) != (2, "b")

    with pytest.raises(ExceptionGroup) as failed:
        check()
    (outer,) = failed.value.exceptions
    assert isinstance(outer, ExceptionGroup)
    assert (outer.__notes__, outer.exceptions[0].__notes__) == (["of n = 2"], ["of letter = B"])
