"""Bytes of a file -> addresses: three forms, any split, and what is wrong with a line."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from probe.core import batch_input
from probe.core.batch_input import InputError, Reader


def read(data: bytes, column: str | None = None, *, piece: int = 1 << 20) -> list[tuple[int, str]]:
    """Give line number and mailbox, or what is wrong, of each row."""
    reader = Reader(column)
    rows = []
    for at in range(0, len(data), piece):
        rows += list(reader.feed(data[at : at + piece]))
    rows += list(reader.end())
    return [(row.line, row.address.mailbox if row.address is not None else row.wrong) for row in rows]


def test_one_address_a_line_with_what_people_put_around_it() -> None:
    text = b"\xef\xbb\xbf# senders\r\na@example.com\r\n\r\n  Ann <b@Example.com>,\n\t# c@example.com\n<c@example.com>"
    assert read(text) == [(2, "a@example.com"), (4, "b@example.com"), (6, "c@example.com")]


def test_an_old_list_in_latin_1() -> None:
    assert read("Jürgen Groß <a@example.com>\n".encode("latin-1")) == [(1, "a@example.com")]
    assert read("é@example.com\n".encode("latin-1")) == [(1, "é@example.com")]
    assert read("é@example.com\n".encode()) == [(1, "é@example.com")]


def test_what_is_no_address_is_told_with_its_line_and_costs_nothing_else() -> None:
    rows = read(b"a@example.com\nnobody\n\x1b[31m@x\na\0b@example.com\n<>\nb@example.com\n")
    assert [line for line, _ in rows] == [1, 2, 3, 4, 5, 6]
    assert (rows[0][1], rows[5][1]) == ("a@example.com", "b@example.com")
    assert all("\x1b" not in text and "\0" not in text for _, text in rows)
    assert "has no @" in rows[1][1]
    assert "U+0000" in rows[3][1]


@pytest.mark.parametrize("header", ["address", "E-Mail", "id,Sender,name", '"Email Address";id', "id\tfrom"])
def test_a_header_makes_it_a_table(header: str) -> None:
    delimiter = next((char for char in ",;\t" if char in header), ",")
    names = [name.strip('"').lower() for name in header.split(delimiter)]
    place = next(at for at, name in enumerate(names) if name in batch_input.NAMES)
    line = delimiter.join("a@example.com" if at == place else "x" for at in range(len(names)))
    assert read(f"{header}\n{line}\n".encode()) == [(2, "a@example.com")]


def test_a_first_line_with_a_comma_is_no_header() -> None:
    assert read(b'"Doe, Ann" <a@example.com>,\nb@example.com\n') == [
        (1, "a@example.com"),
        (2, "b@example.com"),
    ]


def test_a_column_by_name_or_number_with_a_header_or_without() -> None:
    table = b"id,who\n1,a@example.com\n"
    assert read(table, "WHO") == read(table, "2") == [(2, "a@example.com")]
    assert read(b"1;a@example.com\n2;b@example.com\n", "2") == [(1, "a@example.com"), (2, "b@example.com")]


def test_the_column_that_was_meant_is_named_also_among_many() -> None:
    header = ",".join([f"c{number}" for number in range(30)] + ["Sender Address"]).encode()
    with pytest.raises(
        InputError, match=r"no column 'sender adress'; did you mean 'sender address\'\? It has 'c0'"
    ):
        read(header + b"\n", "sender adress")


@pytest.mark.parametrize("column", ["3", "0", "mail", "999999999999"])
def test_a_column_that_is_not_there(column: str) -> None:
    with pytest.raises(InputError, match="--column: the first line"):
        read(b"id,who\n1,a@example.com\n", column)


def test_a_quoted_field_may_hold_line_ends_and_the_rest_keeps_its_numbers() -> None:
    table = b'note,address\n"one\n""two""\n",a@example.com\nx,b@example.com\n'
    assert read(table) == [(2, "a@example.com"), (5, "b@example.com")]


def test_a_quote_that_nobody_closes_costs_its_own_line() -> None:
    table = b'note,address\n"x,a@example.com\ny,b@example.com\n'
    assert read(table) == [
        (2, "a quote is opened here and not closed; close it, or write it twice"),
        (3, "b@example.com"),
    ]
    long = b'note,address\n"x,a@example.com\n' + b"y,b@example.com\n" * 9000
    rows = read(long)
    assert (len(rows), rows[1], rows[-1]) == (9001, (3, "b@example.com"), (9002, "b@example.com"))


def test_a_row_that_is_short_or_empty() -> None:
    table = b"id,address\n1\n,\n2,\n3,a@example.com\n"
    assert read(table) == [
        (2, "the line has 1 column; the address is in column 2"),
        (4, "column 2 is empty"),
        (5, "a@example.com"),
    ]


def test_json_lines_of_ours_and_of_others() -> None:
    lines = [
        {"schema": 1, "address": "a@example.com", "sender": "x@example.com"},
        {"sender": "b@example.com"},
        {"from": "c@example.com"},
        {"address": None},
    ]
    text = "".join(f"{json.dumps(line)}\n" for line in lines).encode() + b"d@example.com\n{\n"
    assert read(text) == [
        (1, "a@example.com"),
        (2, "b@example.com"),
        (3, "the object has no address or sender; name the key with --column"),
        (4, "the value of 'address' is no string"),
        (5, "d@example.com"),
        (
            6,
            "the line is a document of JSON that stretches over several lines; give JSON Lines, one object a line",
        ),
    ]
    assert read(text, "from")[2] == (3, "c@example.com")
    assert read(b"{]}\n") == [(1, "the line is no valid JSON; give one object a line")]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ("a@example.com\n".encode("utf-16"), "it is UTF-16"),
        (b"PK\x03\x04rest", "it is a spreadsheet or an archive"),
        (b"BZh91AY", "bzcat FILE"),
        (bytes(range(256)) * 20, "it is binary"),
    ],
)
def test_a_file_that_is_something_else(data: bytes, says: str) -> None:
    with pytest.raises(InputError, match=says):
        read(data)


def test_a_monstrous_line_is_one_row_and_is_not_kept() -> None:
    reader = Reader()
    rows = list(reader.feed(b"a@example.com\n"))
    for _ in range(160):
        rows += list(reader.feed(b"x" * 65536))
        assert len(reader._rest) <= batch_input.LINE_LIMIT
    rows += list(reader.feed(b"\nb@example.com\n"))
    assert [(row.line, row.wrong[:27]) for row in rows] == [
        (1, ""),
        (2, "the line has more than 4 Mi"),
        (3, ""),
    ]
    reader = Reader()
    assert list(reader.feed(b"\n" + b"x" * (batch_input.LINE_LIMIT + 1))) == []
    assert [row.line for row in reader.end()] == [2]


def test_nothing_is_nothing() -> None:
    assert read(b"") == read(b"\n\n# nothing\n") == read(b"address\n") == []


_LINES = st.lists(
    st.one_of(
        st.sampled_from(
            [
                b"a@example.com",
                b"# c",
                b"",
                b'"x',
                b'"',
                b"id,address",
                b"1,b@example.com",
                b'{"sender":"c@example.com"}',
                b"{",
                b"\r",
            ]
        ),
        st.binary(max_size=30),
    ),
    max_size=8,
)


@given(_LINES, st.sampled_from([None, "1", "2", "address"]), st.integers(1, 40))
@example([b"address", b'"a', b'b"'], None, 1)
def test_any_split_gives_the_same_rows_and_nothing_else_is_raised(
    lines: list[bytes], column: str | None, piece: int
) -> None:
    data = b"\n".join(lines)

    def outcome(size: int) -> list[tuple[int, str]]:
        try:
            return read(data, column, piece=size)
        except InputError as error:
            return [(0, str(error))]

    whole = outcome(1 << 20)
    assert outcome(piece) == whole
    assert all(text.isprintable() for _, text in whole)
