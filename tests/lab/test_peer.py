"""The scripted mail host: its language, what it does on the wire, and what it complains about."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING

import pytest
import trustme
from hypothesis import event, given
from hypothesis import strategies as st

from probe.lab.peer import Peer, ScriptError, parse_script
from probe.lab.script import LAST, Act

if TYPE_CHECKING:
    from collections.abc import Sequence


async def talk(peer: Peer, *sends: bytes, wait_for_greeting: bool = True, close: bool = True) -> bytes:
    """Connect, send each item after the line before it was answered, return all that came until EOF."""
    port = await peer.start()
    reader, writer = await asyncio.open_connection(peer.ip, port)
    got = b""
    try:
        if wait_for_greeting:
            got += await reader.readline()
        for data in sends:
            writer.write(data)
            got += await reader.readline()
        if close:
            writer.write_eof()
        got += await reader.read()
    except ConnectionResetError:
        got += b"<reset>"
    finally:
        writer.close()
        await peer.stop()
    return got


def heard(script: str, *sends: bytes, wait_for_greeting: bool = True) -> tuple[bytes, Peer]:
    peer = Peer(script)
    return asyncio.run(talk(peer, *sends, wait_for_greeting=wait_for_greeting)), peer


# --- the language ---


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        ("S: 220 hi\nspeak", "line 2: 'speak' is no step"),
        ("*dance", "line 1: '\\*dance' is no step"),
        ("S:", ""),
        ("*sleep", "line 1: '' is not a number of seconds"),
        ("*sleep -1", "line 1: -1 seconds are outside"),
        ("*sleep nan", "line 1: nan seconds are outside"),
        ("*close now", "line 1: \\*close takes no argument"),
        ("*close\nS: 220 hi", "line 2: nothing can follow \\*close of line 1"),
        ("S: 220 hi\n*reply RCPT 550 no", "line 2: \\*reply is of use only before \\*good"),
        ("*reply 550\n*good", "line 1: '550' should read"),
        ("S> \\q", "line 1: .* is no escape"),
        ("S> end\\", "line 1: .* is no escape"),
        ("*good\n=== connection 3\n*good", "line 2: connection 3 stands where connection 2 is due"),
        ("=== the second", "line 1: .* should read '=== connection N'"),
    ],
)
def test_script_error_names_the_line(script: str, problem: str) -> None:
    if not problem:
        parse_script(script)
        return
    with pytest.raises(ScriptError, match=problem):
        parse_script(script)


def test_sections_comments_and_blank_lines() -> None:
    script = parse_script("# a comment\n\n  S: 220 hi (#5.1.1)\r\n*close\n=== connection 2\n*good\n")
    assert [[step.act for step in section] for section in script.sections] == [
        [Act.SEND, Act.CLOSE],
        [Act.GOOD],
    ]
    assert script.sections[0][0].data == b"220 hi (#5.1.1)\r\n"


def test_escapes_are_single_octets_and_other_text_is_utf8() -> None:
    (step,) = parse_script(r"S> 220 \e[2J\x00\xe9é\\\r\n").sections[0]
    assert step.data == b"220 \x1b[2J\x00\xe9\xc3\xa9\\\r\n"


PIECES = [
    "S:",
    "S>",
    "C:",
    *Act,
    "=== connection 2",
    " ",
    "\n",
    "\\",
    "x41",
    "RCPT",
    "<",
    ">",
    "=",
    "0.1",
    "é",
    "#",
]


@given(st.lists(st.sampled_from(PIECES), max_size=20).map("".join) | st.text(max_size=40))
def test_any_text_is_a_script_or_a_script_error(text: str) -> None:
    try:
        script = parse_script(text)
    except ScriptError as error:
        event(str(error).partition(":")[2][:20])
        return
    assert all(step.act not in LAST for section in script.sections for step in section[:-1])


# --- on the wire ---


def test_a_script_is_followed_and_quit_is_answered_at_its_end() -> None:
    got, peer = heard("S: 220 hi\nC: ehlo\nS: 250 mail", b"EHLO me.example.net\r\n", b"QUIT\r\n")
    assert got == b"220 hi\r\n250 mail\r\n221 2.0.0 Bye\r\n"
    (seen,) = peer.connections
    assert seen.received == b"EHLO me.example.net\r\nQUIT\r\n"
    assert seen.commands == ["EHLO me.example.net", "QUIT"]
    assert seen.said_quit
    assert not seen.complaints


def test_unexpected_command_is_a_complaint_and_ends_it() -> None:
    got, peer = heard("S: 220 hi\nC: EHLO\nS: 250 mail", b"HELO me\r\n")
    assert got == b"220 hi\r\n500 5.5.1 unexpected\r\n"
    assert peer.complaints == ["expected EHLO, got HELO me"]


@pytest.mark.parametrize("command", [b"DATA\r\n", b"data\r\n", b"BDAT 5 LAST\r\n"])
def test_every_host_complains_of_data(command: bytes) -> None:
    _, peer = heard("*good", command, b"QUIT\r\n")
    assert len(peer.complaints) == 1
    assert "a callout never sends mail" in peer.complaints[0]


def test_talking_before_the_greeting_is_a_complaint() -> None:
    _, peer = heard("*sleep 0.05\n*good", b"EHLO me\r\n", b"QUIT\r\n", wait_for_greeting=False)
    assert peer.complaints == ["talked before the greeting: b'EHLO me\\r\\n'"]


def test_hanging_up_without_quit_is_a_complaint_where_quit_was_possible() -> None:
    assert heard("*good", b"EHLO me\r\n")[1].complaints == ["hung up without QUIT"]
    assert heard("S: 220 hi\nC: EHLO")[1].complaints == ["hung up without QUIT"]
    assert not heard("S: 220 hi\n*silence")[1].complaints
    assert not heard("S: 220 hi\n*sleep 5")[1].complaints


def test_close_reset_drip_and_flood() -> None:
    assert heard("S: 220 hi\n*close")[0] == b"220 hi\r\n"
    assert heard("*reset")[0] == b"<reset>"
    assert heard("*drip 0.001 220 hi\n*close")[0] == b"220 hi\r\n"

    async def flooded() -> bytes:
        peer = Peer("*flood 250-more")
        reader, writer = await asyncio.open_connection(peer.ip, await peer.start())
        got = await reader.readexactly(100_000)
        writer.close()
        await peer.stop()
        assert not peer.complaints
        return got

    assert set(asyncio.run(flooded()).split(b"\r\n")[:-1]) == {b"250-more"}


def test_each_connection_has_its_section_and_the_last_one_stays() -> None:
    peer = Peer("S: 421 busy\n*close\n=== connection 2\nS: 220 hi\n*close")

    async def three_times() -> list[bytes]:
        port = await peer.start()
        got = []
        for _ in range(3):
            reader, writer = await asyncio.open_connection(peer.ip, port)
            got.append(await reader.read())
            writer.close()
        await peer.stop()
        return got

    assert asyncio.run(three_times()) == [b"421 busy\r\n", b"220 hi\r\n", b"220 hi\r\n"]
    assert len(peer.connections) == 3


def test_a_connection_left_open_is_a_complaint() -> None:
    async def leave_open() -> Peer:
        peer = Peer("*good")
        reader, writer = await asyncio.open_connection(peer.ip, await peer.start())
        await reader.readline()
        await peer.stop()
        writer.close()
        return peer

    assert asyncio.run(leave_open()).complaints == ["the connection was still open when the host was stopped"]


# --- the well-behaved server ---


def replies(script: str, *commands: str) -> list[str]:
    got, peer = heard(script, *(f"{command}\r\n".encode() for command in commands))
    assert not peer.complaints
    return got.decode().split("\r\n")[1:-1]


def codes(script: str, *commands: str) -> Sequence[str]:
    return [line[:3] for line in replies(script, *commands)]


def test_good_accepts_everything_in_order() -> None:
    sent = ["EHLO me", "MAIL FROM:<>", "RCPT TO:<a@b.example>", "RSET", "NOOP", "VRFY x", "QUIT"]
    assert codes("*good", *sent) == ["250", "250", "250", "250", "250", "252", "221"]


def test_good_keeps_the_order_of_commands() -> None:
    assert codes("*good", "EHLO me", "RCPT TO:<a@b.example>", "QUIT") == ["250", "503", "221"]
    assert codes("*good", "EHLO me", "MAIL FROM:<>", "MAIL FROM:<>", "QUIT") == ["250", "250", "503", "221"]


def test_the_most_specific_override_answers() -> None:
    script = """
        *reply RCPT 550 5.1.1 No such user
        *reply RCPT<user@d.example> 250 Ok
        *reply RCPT from <> 554 bounces are not accepted
        *reply EHLO 250-mail.example\\r\\n250 SMTPUTF8
        *good VRFY=502 no
    """
    assert replies(script, "EHLO me", "NOOP", "QUIT")[:2] == ["250-mail.example", "250 SMTPUTF8"]
    mail, rcpt = "MAIL FROM:<p@me.example>", "RCPT TO:<USER@d.example>"
    other = "RCPT TO:<x@d.example>"
    assert codes(script, "VRFY x", mail, rcpt, other, "QUIT") == ["502", "250", "250", "550", "221"]
    assert codes(script, "MAIL FROM:<>", other, "QUIT") == ["250", "554", "221"]


def test_good_closes_after_a_421_of_its_own() -> None:
    assert codes("*good MAIL=421 4.3.2 going down", "EHLO me", "MAIL FROM:<>") == ["250", "421"]


# --- TLS ---


def contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("mail.example").configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    return server, client


def test_good_offers_tls_when_it_can_and_serves_it() -> None:
    server, client = contexts()
    peer = Peer("*good", tls=server)

    async def upgrade() -> list[bytes]:
        reader, writer = await asyncio.open_connection(peer.ip, await peer.start())
        got = [await reader.readline()]
        writer.write(b"EHLO me\r\n")
        got += [await reader.readline(), await reader.readline()]
        writer.write(b"STARTTLS\r\n")
        got.append(await reader.readline())
        await writer.start_tls(client, server_hostname="mail.example")
        writer.write(b"EHLO me\r\nQUIT\r\n")
        got += [await reader.readline(), await reader.readline()]
        writer.close()
        await peer.stop()
        return got

    got = asyncio.run(upgrade())
    assert [line[:4] for line in got] == [b"220 ", b"250-", b"250 ", b"220 ", b"250 ", b"221 "]
    assert peer.connections[0].commands == ["EHLO me", "STARTTLS", "EHLO me", "QUIT"]
    assert not peer.complaints


def test_clear_text_behind_starttls_is_a_complaint() -> None:
    peer = Peer("*good", tls=contexts()[0])
    asyncio.run(talk(peer, b"STARTTLS\r\nEHLO me\r\n"))
    assert "in clear behind STARTTLS" in peer.complaints[0]


def test_tls_garbage_is_sent_after_the_first_bytes_of_a_handshake() -> None:
    script = "S: 220 hi\nC: STARTTLS\nS: 220 go\n*tls-garbage"
    got, peer = heard(script, b"STARTTLS\r\n", b"\x16\x03\x01\x00\x00")
    assert got == b"220 hi\r\n220 go\r\nI do not speak TLS\r\n"
    assert peer.connections[0].commands == ["STARTTLS"]


def test_tls_without_a_context_is_a_complaint() -> None:
    _, peer = heard("S: 220 hi\n*tls")
    assert peer.complaints == ["the script asks for TLS, but the host was given no context"]
