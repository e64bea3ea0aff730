from __future__ import annotations

import asyncio
import socket
import time

import dns.flags
import dns.message
import dns.rcode
import pytest

from probe.lab.nameserver import BEHAVIOURS, NameServer

ZONE = """
; two domains, and what hangs below them
customer.example.com. 300 MX 10 mail.customer.example.com.
mail.customer.example.com 300 A 192.0.2.1
customer.example.com 300 SOA ns.example.com. host.example.com. 1 2 3 4 77
alias.example 60 CNAME alias2.example.
alias2.example 60 CNAME mail.customer.example.com.
broken.example 60 CNAME gone.example.
round.example 60 CNAME about.example.
about.example 60 CNAME round.example.
deep.empty.example 60 A 192.0.2.2
"""


def ask(
    question: str,
    behaviours: dict[str, str] | None = None,
    *,
    tcp: bool = False,
    wait: float = 0.2,
    edns: bool = False,
    zone: str = ZONE,
) -> bytes | None:
    """Send one query by plain sockets; None when no answer came."""

    def exchange(port: int) -> bytes | None:
        name, rdtype = question.split()
        wire = dns.message.make_query(name, rdtype, id=7, use_edns=0 if edns else False).to_wire()
        kind = socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM
        with socket.socket(socket.AF_INET, kind) as sock:
            sock.settimeout(wait)
            sock.connect(("127.0.0.1", port))
            sock.sendall((len(wire).to_bytes(2) if tcp else b"") + wire)
            try:
                return sock.recv(65535)[2 if tcp else 0 :]
            except TimeoutError:
                return None

    async def run() -> bytes | None:
        server = NameServer(zone, behaviours)
        port = await server.start()
        try:
            answer = await asyncio.to_thread(exchange, port)
        finally:
            await server.stop()
        name, rdtype = question.split()
        assert server.queries == [(name.lower().rstrip("."), rdtype, "tcp" if tcp else "udp")]
        return answer

    return asyncio.run(run())


def parsed(
    question: str, behaviours: dict[str, str] | None = None, *, tcp: bool = False
) -> dns.message.Message:
    wire = ask(question, behaviours, tcp=tcp)
    assert wire is not None
    return dns.message.from_wire(wire)


def types(message: dns.message.Message) -> list[str]:
    return [rrset.to_text().split()[3] for rrset in message.answer]


def test_it_answers_as_a_resolver_over_udp_and_tcp() -> None:
    for tcp in (False, True):
        message = parsed("Customer.Example.com. MX", tcp=tcp)
        assert message.flags & dns.flags.RA
        assert (message.rcode(), types(message)) == (dns.rcode.NOERROR, ["MX"])


@pytest.mark.parametrize(
    ("question", "rcode", "minimum"),
    [
        ("customer.example.com A", dns.rcode.NOERROR, 77),
        ("no.customer.example.com A", dns.rcode.NXDOMAIN, 77),
        ("empty.example A", dns.rcode.NOERROR, 60),
        ("example MX", dns.rcode.NOERROR, 60),
        ("other.test MX", dns.rcode.NXDOMAIN, 60),
    ],
)
def test_absence_comes_with_a_soa(question: str, rcode: dns.rcode.Rcode, minimum: int) -> None:
    message = parsed(question)
    assert (message.rcode(), message.answer) == (rcode, [])
    assert message.authority[0][0].minimum == minimum


def test_aliases_are_followed() -> None:
    assert types(parsed("alias.example A")) == ["CNAME", "CNAME", "A"]
    assert types(parsed("alias.example CNAME")) == ["CNAME"]
    gone = parsed("broken.example A")
    assert (gone.rcode(), types(gone)) == (dns.rcode.NXDOMAIN, ["CNAME"])
    assert types(parsed("round.example A")) == ["CNAME", "CNAME"]


def test_the_closest_behaviour_counts() -> None:
    behaviours = {"*": "servfail", "customer.example.com": "refused", "CUSTOMER.example.com. mx": "empty"}
    assert parsed("customer.example.com MX", behaviours).rcode() == dns.rcode.NOERROR
    assert parsed("customer.example.com A", behaviours).rcode() == dns.rcode.REFUSED
    assert parsed("alias.example A", behaviours).rcode() == dns.rcode.SERVFAIL


@pytest.mark.parametrize("behaviour", ["drop", "drop-edns", "truncate-tcp-drop"])
def test_silence(behaviour: str) -> None:
    tcp = behaviour == "truncate-tcp-drop"
    assert ask("alias.example A", {"*": behaviour}, tcp=tcp, edns=True, wait=0.1) is None


def test_slow() -> None:
    began = time.monotonic()
    assert ask("alias.example A", {"*": "slow:0.1"}, wait=1.0) is not None
    assert time.monotonic() - began > 0.1


def test_tcp_trickle_sends_one_octet() -> None:
    assert parsed("alias.example A", {"*": "tcp-trickle"}).flags & dns.flags.TC
    # The first read holds the first octet of the length, or with luck the second one too.
    assert ask("alias.example A", {"*": "tcp-trickle"}, tcp=True) == b""


def test_what_is_too_long_for_udp_is_truncated() -> None:
    zone = "".join(f"many.example 60 MX 10 host{number}.many.example.\n" for number in range(200))
    wire = ask("many.example MX", zone=zone)
    assert wire is not None
    assert len(wire) <= 512
    assert dns.message.from_wire(wire).flags & dns.flags.TC


@pytest.mark.parametrize(
    "behaviour", ["garbage", "wrong-id", "wrong-question", "compression-loop", "bad-rdata"]
)
def test_what_no_reader_takes(behaviour: str) -> None:
    wire = ask("customer.example.com MX", {"*": behaviour})
    assert wire is not None
    query = dns.message.make_query("customer.example.com", "MX", id=7)
    try:
        assert not query.is_response(dns.message.from_wire(wire))
    except dns.exception.DNSException:
        assert behaviour in {"garbage", "compression-loop", "bad-rdata"}


def test_every_behaviour_is_known_and_others_are_refused() -> None:
    for word in BEHAVIOURS:
        NameServer("", {"*": word.replace("SECONDS", "0.5")})
    for word in ("sulk", "slow", "slow:", "slow:x", ""):
        with pytest.raises(ValueError, match="is no behaviour"):
            NameServer("", {"*": word})


@pytest.mark.parametrize(
    "line", ["customer.example.com 300 MX", "x 1 NOTYPE y", "x one A 192.0.2.1", "x 1 A y"]
)
def test_a_bad_zone_line_is_named(line: str) -> None:
    with pytest.raises(ValueError, match="zone line 2"):
        NameServer(f"\n{line}\n")


def test_stop_drops_what_is_under_way() -> None:
    async def run() -> None:
        server = NameServer(ZONE, {"*": "slow:9"})
        port = await server.start()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        wire = dns.message.make_query("alias.example", "A").to_wire()
        writer.write(len(wire).to_bytes(2) + wire)
        await asyncio.sleep(0.05)
        await server.stop()
        assert await reader.read() == b""
        writer.close()

    asyncio.run(run())
