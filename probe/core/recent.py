"""What was met lately, by key, within a bound."""

from __future__ import annotations

from typing import Generic, TypeVar

Value = TypeVar("Value")


class Recent(Generic[Value]):
    """Remembers at most `limit` values, and at least the half of them that was wanted last.

    It is two dictionaries, and the older one is dropped whole when the younger one is full: so what is wanted
    again and again costs one look into the younger one.
    """

    def __init__(self, limit: int) -> None:
        self._half = limit // 2
        self._young: dict[object, Value] = {}
        self._old: dict[object, Value] = {}

    def __len__(self) -> int:
        """How many are remembered."""
        return len(self._young) + len(self._old)

    def get(self, key: object) -> Value | None:
        """Give what was put there; None when that was never done, or long ago."""
        value = self._young.get(key)
        if value is None and (value := self._old.pop(key, None)) is not None:
            self.put(key, value)
        return value

    def put(self, key: object, value: Value) -> None:
        """Remember a value."""
        if len(self._young) >= self._half and key not in self._young:
            self._old, self._young = self._young, {}
        self._young[key] = value
