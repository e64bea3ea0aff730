"""Untrusted text: what is escaped, what is left alone, and that nothing is lost or obeyed."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.show.printable import cell, code, fence, inline, safe, visible
from tests.support.arbitrary import HOSTILE

ANY = st.one_of(HOSTILE, st.text(st.characters(exclude_categories=()), max_size=200))


def unescape(shown: str) -> str:
    """Read escapes back, as a person would who knows the rules."""
    return re.sub(
        r"\\(?:(\\)|x([0-9a-f]{2})|u([0-9a-f]{4})|U([0-9a-f]{8}))",
        lambda found: found[1] or chr(int(found[2] or found[3] or found[4], 16)),
        shown,
    )


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("250 2.1.5 Ok", "250 2.1.5 Ok"),
        ("", ""),
        ("\x1b[31m", r"\x1b[31m"),
        ("a\r\nb\tc\x00\x7f", r"a\x0d\x0ab\x09c\x00\x7f"),
        ("\x9b31m", r"\x9b31m"),
        ("b\xc3\xbccher", "bücher"),
        ("b\xfccher", "bücher"),
        ("b\xc3\xbccher \xff", "bücher ÿ"),
        ("\xc3", "Ã"),
        ("\xc2\x9b", r"\x9b"),
        ("\xe2\x80\xae", r"\u202e"),
        ("\u202e\u2066\ufeff\u200b\u2028", r"\u202e\u2066\ufeff\u200b\u2028"),
        ("\xed\xa0\x80", r"í\xa0\x80"),
        ("\ud800\ue000\U000e0041", r"\ud800\ue000\U000e0041"),
        ("\u3164\ufe0f", r"\u3164\ufe0f"),
        ("\xf0\x9f\x93\xa7", "📧"),
        ('"a\\"b"@example.com', '"a\\"b"@example.com'),
        ("DOMAIN\\xavier", "DOMAIN\\xavier"),
        (r"\x1b", r"\\x1b"),
        ("\\\x1b", r"\\\x1b"),
        ("\\\\", "\\\\\\"),
    ],
)
def test_safe_shows(text: str, shown: str) -> None:
    assert safe(text) == shown


def test_visible_does_not_decode_what_was_never_bytes() -> None:
    assert visible("Ã©") == "Ã©"
    assert safe("Ã©") == "é"


@given(ANY)
def test_only_printable_characters_survive(text: str) -> None:
    shown = safe(text)
    assert shown.isprintable()
    assert not {unicodedata.category(char) for char in shown} & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


@given(ANY)
def test_an_escape_has_one_reading(text: str) -> None:
    assert unescape(visible(text)) == text


@given(st.text(st.characters(exclude_categories=("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))))
def test_utf8_of_a_peer_reads_as_the_peer_meant_it(meant: str) -> None:
    kept = meant.encode().decode("latin-1")
    assert safe(kept) == visible(meant)


@given(ANY, st.integers(0, 60))
def test_cut_text_is_no_longer_than_asked_and_says_so(text: str, width: int) -> None:
    shown = safe(text, width=width)
    assert len(shown) <= width
    if len(safe(text)) > width:
        assert shown.endswith("..."[:width])
    else:
        assert shown == safe(text)


@pytest.mark.parametrize(
    ("width", "shown"),
    [
        (14, r"abc\x1b-defghi"),
        (13, r"abc\x1b-de..."),
        (10, "abc..."),
        (9, "abc..."),
        (7, "abc..."),
        (2, ".."),
    ],
)
def test_an_escape_is_not_cut_in_two(width: int, shown: str) -> None:
    assert safe("abc\x1b-defghi", width=width) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("250 Ok", "250 Ok"),
        ("=1+1", "'=1+1"),
        ("+cmd|' /C calc'!A0", "'+cmd|' /C calc'!A0"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("  =1", "'  =1"),
        ("\t=1", r"\x09=1"),
        ("\r=1", r"\x0d=1"),
        ("\uff1d1", "'\uff1d1"),
        ("\xef\xbc\x9d1", "'\uff1d1"),
        ("a=1", "a=1"),
        ("a;=1", "a;'=1"),
        ('a; "-1', "a;' \"-1"),
        ('"=1', "'\"=1"),
        ("'=1", "''=1"),
        ("' =1", "'' =1"),
        ("'a", "'a"),
        ("a; b", "a; b"),
    ],
)
def test_cell_defuses(text: str, shown: str) -> None:
    assert cell(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("The mailbox exists.", "The mailbox exists."),
        ('It said "no", twice (550, 5.1.1).', 'It said "no", twice (550, 5.1.1).'),
        ("mx1.example.com [192.0.2.1] is down", "`mx1.example.com [192.0.2.1]` is down"),
        ("ask @admin or user@example.com", "ask `@admin` or `user@example.com`"),
        ("see http://example.com/?a|b now", "see `http://example.com/?a|b` now"),
        ("<b>no</b> ![x](y)", "`<b>no</b> ![x](y)`"),
        ("# no", "`#` no"),
        ("1. no", "`1.` no"),
        ("- no", "`-` no"),
        ("*no* _no_ ~no~ $no$", "`*no* _no_ ~no~ $no$`"),
        ("issue #12 and GH-12", "issue `#12` and `GH-12`"),
        ("a `b` c", "a `` `b` `` c"),
        ("``` no", "```` ``` ```` no"),
        ("two\nlines", r"`two\x0alines`"),
        ("", ""),
        ("&lt; 10%", "`&lt; 10%`"),
        ("user-unknown", "user-unknown"),
    ],
)
def test_inline_is_prose_or_code(text: str, shown: str) -> None:
    assert inline(text) == shown


@given(ANY)
def test_outside_of_code_inline_has_no_character_with_a_meaning(text: str) -> None:
    outside = re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "", inline(text))
    assert not set(outside) & set("`<>[]{}*_~#|\\&@$^=/+%")


@given(ANY)
def test_a_code_span_ends_where_it_should(text: str) -> None:
    span = code(text)
    if span:
        marks = re.match("`+", span)
        assert marks is not None
        inside = span[len(marks[0]) : -len(marks[0])]
        assert marks[0] not in {found[0] for found in re.finditer("`+", inside)}
        assert inside.strip() == safe(text).strip()


@given(st.lists(st.text("`~ a", max_size=12), max_size=4))
def test_a_fence_is_longer_than_any_run_inside(lines: list[str]) -> None:
    first, *inside, last = fence(lines)
    assert inside == lines
    assert first == f"{last}text"
    assert not any(last in line for line in lines)
