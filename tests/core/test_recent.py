"""What is wanted again is remembered, and the rest within a bound."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from probe.core.recent import Recent


@given(st.lists(st.integers(0, 12)))
def test_no_more_than_the_limit_and_the_last_half_of_it(keys: list[int]) -> None:
    recent = Recent[str](8)
    wanted: list[int] = []
    for key in keys:
        if recent.get(key) is None:
            recent.put(key, str(key))
        wanted = [*(k for k in wanted if k != key), key]
        assert len(recent) <= 8
        assert {recent.get(k) for k in wanted[-1:]} == {str(key)}
    last = wanted[-4:]
    assert [recent.get(key) for key in last] == list(map(str, last))


def test_a_value_is_replaced() -> None:
    recent = Recent[str](2)
    recent.put("a", "one")
    recent.put("a", "two")
    assert (recent.get("a"), len(recent)) == ("two", 1)
    recent.put("b", "three")
    assert (recent.get("a"), recent.get("b"), recent.get("c")) == ("two", "three", None)
