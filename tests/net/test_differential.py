"""On mail hosts that keep the rules, we read what aiosmtplib's own client reads."""

from __future__ import annotations

import asyncio
import socket
import time
from typing import TYPE_CHECKING

import aiosmtplib
import pytest
from aiosmtpd.controller import Controller

from probe.core.conversation import Plan, in_step
from probe.core.model import Stage, TlsMode
from probe.core.reply import text_of
from probe.net.smtp import Call
from tests.net.test_smtp import Host, host

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aiosmtpd.smtp import SMTP, Envelope
    from aiosmtpd.smtp import Session as ServerSession

SENDER = "administrator@customer.example.com"
COMMANDS = {
    Stage.EHLO: "EHLO probe.example.com",
    Stage.MAIL: "MAIL FROM:<check@example.net>",
    Stage.RCPT: f"RCPT TO:<{SENDER}>",
    Stage.QUIT: "QUIT",
}

Read = dict[Stage, tuple[int | None, str]]


async def their_reading(port: int) -> Read:
    client = aiosmtplib.SMTP(hostname="127.0.0.1", port=port, start_tls=False, timeout=5)
    banner = await client.connect()
    read: Read = {Stage.BANNER: (banner.code, " ".join(banner.message.split()))}
    for stage, command in COMMANDS.items():
        reply = await client.execute_command(*command.encode().split(b" "))
        read[stage] = (reply.code, " ".join(reply.message.split()))
    client.close()
    return read


async def our_reading(port: int) -> Read:
    plan = Plan(
        rcpt=SENDER,
        helo="probe.example.com",
        tls=TlsMode.NEVER,
        mail_from="check@example.net",  # a refused null sender would be tried again as another
        banner_timeout=5,
        reply_timeout=5,
        quit_timeout=1,
    )
    call = Call("127.0.0.1", port, plan, connect_timeout=2, source=None, clock=time.monotonic)
    session = await call.run()
    assert in_step(session) is True
    return {e.stage: (e.reply.code, " ".join(text_of(e.reply).split())) for e in session.exchanges if e.reply}


PEERS = {
    "one line each": (b"220 hi\r\n", b"250 mx\r\n", b"250 ok\r\n", b"250 ok\r\n"),
    "several lines each": (
        b"220-mx.example.com ESMTP\r\n220 no spam\r\n",
        b"250-mx.example.com hello\r\n250-PIPELINING\r\n250-SIZE 52428800\r\n250 SMTPUTF8\r\n",
        b"250 2.1.0 sender ok\r\n",
        b"550-5.1.1 The account does not exist.\r\n550 5.1.1 Look at https://mx.example.com/help\r\n",
    ),
    "codes without text": (b"220 hi\r\n", b"250-mx\r\n250 8BITMIME\r\n", b"250\r\n", b"451\r\n"),
    "greylisted": (
        b"220 hi\r\n",
        b"250 mx\r\n",
        b"250 ok\r\n",
        b"450 4.2.0 Greylisted, see you in 300 s\r\n",
    ),
}


@pytest.mark.parametrize("name", PEERS)
def test_scripted_peers(name: str) -> None:
    def peer() -> Host:
        return host(*PEERS[name], b"221 2.0.0 bye\r\n")

    async def main() -> tuple[Read, Read]:
        async with peer().open() as first:
            theirs = await their_reading(first.port)
        async with peer().open() as second:
            return theirs, await our_reading(second.port)

    theirs, ours = asyncio.run(main())
    assert ours == theirs


class Mailboxes:
    """A handler for aiosmtpd that knows one mailbox."""

    def __init__(self, known: str) -> None:
        self._known = known

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name for it
        self,
        _server: SMTP,
        _session: ServerSession,
        envelope: Envelope,
        address: str,
        _options: list[str],
    ) -> str:
        if address != self._known:
            return "550 5.1.1 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 ok"


@pytest.fixture(params=[SENDER, "someone.else@customer.example.com"])
def aiosmtpd_port(request: pytest.FixtureRequest) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    controller = Controller(Mailboxes(request.param), hostname="127.0.0.1", port=port)
    controller.start()
    try:
        yield port
    finally:
        controller.stop()


def test_aiosmtpd(aiosmtpd_port: int) -> None:
    theirs = asyncio.run(their_reading(aiosmtpd_port))
    assert asyncio.run(our_reading(aiosmtpd_port)) == theirs
    assert theirs[Stage.RCPT][0] in {250, 550}
