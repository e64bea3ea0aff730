"""Hypothesis strategies for any record of the model, and a way to put one text into every string of it."""

from __future__ import annotations

import types
from enum import Enum
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec
from hypothesis import settings
from hypothesis import strategies as st

S = TypeVar("S", bound=msgspec.Struct)


HOSTILE = st.one_of(
    st.sampled_from(
        (
            "\x1b]0;owned\x07\x1b[2J",
            "\x9b31m",
            "250 ok\r\n550 no\n",
            "\u202egnp.exe\u2069",
            "=1+1",
            "\uff1dHYPERLINK(1)",
            "<img src=x onerror=alert(1)>",
            "![x](http://example.com/x.png) @everyone | `` ` ``",
            "b\xc3\xbccher \xe2\x80\xae \xff",
            "\\x1b\\",
            "1. # -",
            "a" * 300,
        )
    ),
    st.text(st.characters(exclude_categories=()), max_size=30),
    st.binary(max_size=30).map(lambda data: data.decode("latin-1")),
)
"""Text that a view must not obey: sequences chosen by hand, any code points, any bytes of a peer."""


def examples(factor: float) -> int:
    """Give so many times the examples of the profile that is in force (tests/conftest.py)."""
    return round(factor * settings().max_examples)


def struct(kind: type[S], **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[S]:
    """Build any record of a kind: every string hostile, tuples of two at most, numbers unrestricted.

    `fields` are those that a test knows better; nothing is drawn for them in vain.
    """
    hints = get_type_hints(kind)
    drawn = {name: _values(hints[name]) for name in kind.__struct_fields__ if name not in fields}
    return st.builds(kind, **drawn, **fields)


def _values(hint: Any) -> st.SearchStrategy[Any]:
    origin, args = get_origin(hint), get_args(hint)
    if origin in {Union, types.UnionType}:
        return st.one_of([st.none() if arg is type(None) else _values(arg) for arg in args])
    if origin is tuple:
        return st.lists(_values(args[0]), max_size=2).map(tuple)
    if issubclass(hint, Enum):
        return st.sampled_from(list(hint))
    if issubclass(hint, msgspec.Struct):
        return struct(hint)
    return {str: HOSTILE, bool: st.booleans(), int: st.integers(), float: st.floats()}[hint]


def poisoned(value: Any, text: str) -> Any:
    """Give a copy of a record in which every string that is not an enum's is `text`."""
    if isinstance(value, Enum):
        return value
    if isinstance(value, str):
        return text
    if isinstance(value, tuple):
        return tuple(poisoned(item, text) for item in value)
    if isinstance(value, msgspec.Struct):
        fields = {name: poisoned(getattr(value, name), text) for name in value.__struct_fields__}
        return type(value)(**fields)
    return value
