"""A table whose rows are checked in one test, where pytest's own cost for a test would exceed that of the check."""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Test = Callable[..., None]


def every(
    names: str | tuple[str, ...], rows: Iterable[Any], *, ids: Callable[[Any], object] = repr
) -> Callable[[Test], Test]:
    """Call the test with every row, as `pytest.mark.parametrize` does, and fail once with all that fails.

    For pure checks of a table of hundreds: in a test of its own each row costs some milliseconds of collecting in
    every worker and of reporting, the check itself often a tenth of one. Each failure says of which row it is.
    Other fixtures are shared by the rows. A table without a row is a failure.
    """
    table = list(rows)

    def decorate(test: Test) -> Test:
        signature = inspect.signature(test)
        wanted = (names,) if isinstance(names, str) else names

        @functools.wraps(test)
        def check(**fixtures: Any) -> None:
            wrong = []
            for row in table:
                values = (row,) if isinstance(names, str) else row
                try:
                    test(**fixtures, **dict(zip(wanted, values, strict=True)))
                except Exception as error:  # noqa: BLE001  # a check may fail with anything
                    error.add_note(f"of {', '.join(wanted)} = {ids(row)}")
                    wrong.append(error)
            assert table, "there is nothing to check"
            if wrong:
                raise ExceptionGroup(f"{len(wrong)} of {len(table)} rows", wrong)

        others = [each for each in signature.parameters.values() if each.name not in wanted]
        # What pytest reads to find the fixtures.
        check.__signature__ = signature.replace(parameters=others)  # type: ignore[attr-defined]
        return check

    return decorate
