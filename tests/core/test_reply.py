from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.core.model import Oddity, Reply
from probe.core.reply import REPLY_LIMIT, ReplyReader, enhanced_code, keywords, text_of


def feed(*chunks: bytes) -> list[Reply]:
    """Read chunks that arrive at 0.0, 1.0, 2.0 ... seconds."""
    reader = ReplyReader()
    return [reply for now, chunk in enumerate(chunks) for reply in reader.feed(chunk, float(now))]


def one(data: bytes) -> Reply:
    (reply,) = feed(data)
    return reply


def reply_of(*lines: str) -> Reply:
    return Reply(250, lines, (), 0.0, 0.0)


def test_a_reply_keeps_its_lines_and_the_times_of_its_first_and_last_byte() -> None:
    (reply,) = feed(b"25", b"0-mx.example.com\r", b"\n250 SIZE 1000\r\n")
    assert reply == Reply(250, ("250-mx.example.com", "250 SIZE 1000"), (), 0.0, 2.0)


def test_two_replies_in_one_segment_are_two() -> None:
    first, second = feed(b"250 first\r\n550 second\r\n")
    assert (first.code, second.code) == (250, 550)


@pytest.mark.parametrize(
    ("data", "code", "oddities"),
    [
        (b"220 mx.example.com\n", 220, {Oddity.BARE_LF}),
        (b"250Ok\r\n", 250, {Oddity.NO_SEPARATOR}),
        (b"250\r\n", 250, {Oddity.NO_TEXT}),
        (b"250 \r\n", 250, {Oddity.NO_TEXT}),
        (b"SSH-2.0-OpenSSH_9.2\r\n", None, {Oddity.NO_CODE}),
        (b"\r\n", None, {Oddity.NO_CODE}),
        (b"2500 too many digits\r\n", None, {Oddity.NO_CODE}),
        (b"25\r\n", None, {Oddity.NO_CODE}),
        ("²²² not ASCII".encode("latin-1") + b"\r\n", None, {Oddity.NO_CODE, Oddity.EIGHT_BIT}),
        (b"250-a\r\n251 b\r\n", 251, {Oddity.MIXED_CODES}),
        (b"250-a\r\nno code\r\n250 b\r\n", 250, {Oddity.NO_CODE}),
        (b"199 early\r\n", 199, {Oddity.BAD_CODE}),
        (b"600 late\r\n", 600, {Oddity.BAD_CODE}),
        (b"354 go on\r\n", 354, set()),
        (b"250 " + b"x" * 506 + b"\r\n", 250, set()),
        (b"250 " + b"x" * 507 + b"\r\n", 250, {Oddity.LONG_LINE}),
        (b"250 \xe9t\xe9\r\n", 250, {Oddity.EIGHT_BIT}),
        (b"250 a\tb\r\n", 250, set()),
        (b"250 a\x1b[31mb\r\n", 250, {Oddity.CONTROL}),
        (b"250 a\rb\r\n", 250, {Oddity.CONTROL}),
        (b"250 a\x00b\r\n", 250, {Oddity.CONTROL}),
        (b"220 ****************2******0***\r\n", 220, {Oddity.MASKED}),
        (b"220 *** welcome to mx.example.com ***\r\n", 220, set()),
    ],
)
def test_oddities_are_recorded_and_never_raised(data: bytes, code: int | None, oddities: set[Oddity]) -> None:
    reply = one(data)
    assert (reply.code, set(reply.oddities)) == (code, oddities)


def test_every_byte_of_a_line_is_kept() -> None:
    every = bytes(b for b in range(256) if b != 0x0A)
    assert one(b"250 " + every + b"\r\n").lines == ("250 " + every.decode("latin-1"),)


def test_what_a_close_leaves_unfinished() -> None:
    reader = ReplyReader()
    assert not reader.pending
    assert reader.flush(1.0) is None
    assert reader.feed(b"250-one\r\n250 tw", 1.0) == []
    assert reader.pending
    assert reader.flush(2.0) == Reply(250, ("250-one", "250 tw"), (Oddity.UNTERMINATED,), 1.0, 2.0)
    assert not reader.pending
    assert reader.feed(b"250 fresh\r\n", 3.0)[0].lines == ("250 fresh",)


def test_plaintext_behind_the_reply_to_starttls_can_be_dropped() -> None:
    reader = ReplyReader()
    assert [r.code for r in reader.feed(b"220 go\r\n250-inj", 0.0)] == [220]
    assert reader.discard() == len(b"250-inj")
    assert reader.discard() == 0
    assert reader.feed(b"250 protected\r\n", 1.0)[0].lines == ("250 protected",)


def test_a_line_without_end_costs_no_more_than_the_limit() -> None:
    reader = ReplyReader()
    for _ in range(160):
        assert reader.feed(b"x" * 65536, 0.0) == []
        assert len(reader._line) <= REPLY_LIMIT
    assert reader.overflowed
    reply = reader.flush(1.0)
    assert reply is not None
    assert sum(map(len, reply.lines)) == REPLY_LIMIT
    assert {Oddity.TOO_LONG, Oddity.UNTERMINATED} <= set(reply.oddities)
    assert not reader.overflowed


def test_a_reply_without_a_last_line_ends_at_the_limit() -> None:
    reader = ReplyReader(limit=1000)
    for _ in range(1000):
        assert reader.feed(b"250-x\r\n" * 3, 0.0) == []
    assert reader.overflowed
    reply = reader.flush(1.0)
    assert reply is not None
    assert reply.code == 250
    assert Oddity.TOO_LONG in reply.oddities
    assert len(reply.lines) == 143  # 142 whole lines of 7 octets, and the 6 octets that were left


def test_a_reply_of_exactly_the_limit_is_whole() -> None:
    data = b"250 " + b"x" * 10 + b"\r\n"
    assert ReplyReader(limit=len(data)).feed(data, 0.0)[0].oddities == ()
    short = ReplyReader(limit=len(data) - 1)
    assert short.feed(data, 0.0) == []
    assert short.overflowed


SMTP_LIKE = st.lists(
    st.one_of(
        st.sampled_from(
            [
                b"250",
                b"550",
                b"220",
                b"999",
                b"-",
                b" ",
                b"\r\n",
                b"\n",
                b"\r",
                b"ok",
                b"*" * 9,
                b"\x00",
                b"\xff",
                b"5",
            ]
        ),
        st.binary(max_size=8),
    ),
    max_size=60,
).map(b"".join)


@given(SMTP_LIKE, st.lists(st.integers(0, 300)), st.integers(1, 80))
def test_any_split_gives_the_same_replies(data: bytes, cuts: list[int], limit: int) -> None:
    def everything(chunks: list[bytes]) -> tuple[list[Reply | None], bool]:
        reader = ReplyReader(limit=limit)
        replies: list[Reply | None] = [reply for chunk in chunks for reply in reader.feed(chunk, 0.0)]
        overflowed = reader.overflowed
        return [*replies, reader.flush(0.0)], overflowed

    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    parts = [data[a:b] for a, b in pairwise(edges)]
    assert everything(parts) == everything([data]) == everything([bytes([b]) for b in data])


@given(SMTP_LIKE)
def test_no_octet_is_lost_but_the_line_ends(data: bytes) -> None:
    reader = ReplyReader()
    replies = [*reader.feed(data, 0.0), reader.flush(0.0)]
    read = "".join(line for reply in replies if reply for line in reply.lines)
    assert read.replace("\r", "") == data.decode("latin-1").replace("\r", "").replace("\n", "")


@given(SMTP_LIKE)
def test_everything_that_looks_at_a_reply_takes_any(data: bytes) -> None:
    for reply in feed(data):
        text_of(reply)
        enhanced_code(reply)
        keywords(reply)


def test_text_of_joins_the_lines_without_codes() -> None:
    reply = reply_of("550-5.1.1 No", "550-", "550-such ", "stray", "550user")
    assert text_of(reply) == "5.1.1 No such stray user"


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("550 5.1.1 User unknown", "5.1.1"),
        ("550 5.1.1", "5.1.1"),
        ("550 #5.1.0 Address rejected.", "5.1.0"),
        ("451 4.7.650 The mail server has been limited", "4.7.650"),
        ("550 sorry, no mailbox here by that name (#5.7.1)", "5.7.1"),
        ("511 sorry, no mailbox here by that name (#5.1.1 - chkuser)", "5.1.1"),
        ("550 5.8.1 the subject is at most 7", None),
        ("550 3.1.1 the class is 2, 4 or 5", None),
        ("550 5.1.1.9 is an address", None),
        ("550 5.1.1.example.com is a name", None),
        ("554 30 Sorry (554.30)", None),
        ("554 Message [#4.16.5]", None),
        ("550 User 5.1.1 in the middle", None),
    ],
)
def test_enhanced_code(line: str, code: str | None) -> None:
    assert enhanced_code(reply_of(line)) == code


def test_enhanced_code_on_a_later_line() -> None:
    assert enhanced_code(reply_of("550-Sorry", "550 5.1.1 no such user")) == "5.1.1"


def test_keywords() -> None:
    reply = reply_of(
        "250-mx.example.com PIPELINING", "250-size 1000", "250-AUTH PLAIN LOGIN", "250-SIZE 5", "250 STARTTLS"
    )
    assert keywords(reply) == {"SIZE": "1000", "AUTH": "PLAIN LOGIN", "STARTTLS": ""}


def test_a_refused_ehlo_offers_nothing() -> None:
    assert keywords(Reply(502, ("502-no", "502 STARTTLS"), (), 0.0, 0.0)) == {}
