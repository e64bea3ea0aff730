"""The first MX query, sent before anything heavy is imported.

asyncio, dnspython and msgspec take longer to load than a name server takes to answer, so a front end may
`fire` the query of its first address as soon as it knows the domain, and hand the socket to
`probe.net.resolve.Resolver`, which finds the answer waiting. This module therefore imports nothing but
`os`, `socket`, `struct` and `time`, and writes the few bytes by hand.

It is an optimisation and nothing else: on any doubt `fire` gives None and the resolver asks as usual.
"""

from __future__ import annotations

import os
import socket
import struct
import time

TYPE_CHECKING = False  # what `typing` would say, without importing it
if TYPE_CHECKING:
    from collections.abc import Iterator

PAYLOAD = 1232
"""UDP size that we offer by EDNS (RFC 6891 6.2.3): the largest that is not fragmented over IPv6, as agreed
for the DNS flag day of 2020."""

_HEADER = struct.Struct("!HHHHHH")
_FLAGS = 0x0120
"""RD, and AD to be told whether the resolver validated (RFC 6840 5.7)."""
_MX, _IN, _OPT = 15, 1, 41
_MAX_SERVERS = 3
"""MAXNS of the C library."""
_MAX_FILE = 65536


class EarlyQuery:
    """An MX query that is under way. Whoever takes it over owns `sock` and has to close it.

    `sent` is a `time.monotonic()` value, because the run's own clock is not made yet.
    """

    __slots__ = ("id", "name", "sent", "server", "sock", "wire")

    def __init__(
        self, sock: socket.socket, name: str, server: tuple[str, int], wire: bytes, sent: float
    ) -> None:
        self.sock = sock
        self.name = name
        self.server = server
        self.wire = wire
        self.id = int.from_bytes(wire[:2])
        self.sent = sent

    def close(self) -> None:
        """Give the query up."""
        self.sock.close()


def fire(domain: str, server: tuple[str, int]) -> EarlyQuery | None:
    """Ask a name server for the MX of a plain ASCII domain, and do not wait.

    None when the domain is anything but letters, digits and hyphens with dots between, when the server is not
    an IP address, or when the system does not let us send.
    """
    name = domain.lower().removesuffix(".")
    labels = name.split(".")
    if len(name) > 253 or not all(map(_is_plain, labels)):
        return None
    question = b"".join(bytes((len(label),)) + label.encode() for label in labels) + b"\0"
    wire = (
        _HEADER.pack(int.from_bytes(os.urandom(2)), _FLAGS, 1, 0, 0, 1)
        + question
        + struct.pack("!HH", _MX, _IN)
        # OPT (RFC 6891 6.1.2): root owner, type, UDP size as class, version 0 without flags, no options.
        + struct.pack("!BHHIH", 0, _OPT, PAYLOAD, 0, 0)
    )
    try:
        sock = connected_udp(server)
    except OSError:
        return None
    try:
        sent = time.monotonic()
        sock.send(wire)
    except OSError:
        sock.close()
        return None
    return EarlyQuery(sock, name, server, wire, sent)


def connected_udp(server: tuple[str, int]) -> socket.socket:
    """Open a non-blocking UDP socket to a server from a port that the kernel draws; raises OSError.

    Connected, the kernel drops what comes from anybody else, and hands us the server's ICMP errors.
    """
    family, address = numeric(server)
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        sock.connect(address)
    except OSError:
        sock.close()
        raise
    return sock


def numeric(
    server: tuple[str, int],
) -> tuple[socket.AddressFamily, tuple[str, int] | tuple[str, int, int, int]]:
    """Turn an IP (with a scope, as in `fe80::1%eth0`) and port into a socket address; never asks the DNS.

    Raises OSError when the text is no address, or its scope names no interface of this host.
    """
    host, port = server
    # As bytes: a str would load Python's IDNA codec, which costs more than the rest of this module.
    found = socket.getaddrinfo(host.encode(), port, type=socket.SOCK_DGRAM, flags=socket.AI_NUMERICHOST)
    family, _, _, _, address = found[0]
    return family, address  # type: ignore[return-value]  # typeshed adds a form for Python without IPv6


def system_servers(path: str = "/etc/resolv.conf") -> tuple[tuple[str, int], ...]:
    """Read the name servers of this host, as the C library does (resolv.conf(5)).

    The first three `nameserver` lines that hold an address count; without any, or without the file, the
    server is the one on this host. Other lines are passed over: search domains have no place here, because
    a mail domain is always complete.
    """
    try:
        with open(path, encoding="latin-1") as file:  # noqa: PTH123  # pathlib is not imported yet
            text = file.read(_MAX_FILE)
    except OSError:
        text = ""
    servers = dict.fromkeys(_nameservers(text))
    return tuple(servers)[:_MAX_SERVERS] or (("127.0.0.1", 53),)


def _nameservers(text: str) -> Iterator[tuple[str, int]]:
    for line in text.split("\n"):
        words = line.split()
        if len(words) > 1 and words[0] == "nameserver" and _is_address(words[1]):
            yield words[1], 53


def _is_address(text: str) -> bool:
    # A scope may name an interface that is down just now, so only the address before it is looked at.
    address, percent, _ = text.partition("%")
    try:
        socket.inet_pton(socket.AF_INET6 if percent or ":" in address else socket.AF_INET, address)
    except OSError:
        return False
    return True


def _is_plain(label: str) -> bool:
    return (
        0 < len(label) < 64
        and label.isascii()
        and label.replace("-", "").isalnum()
        and not label.startswith("-")
        and not label.endswith("-")
    )
