"""What this host is, found out without sending a packet to anybody."""

from __future__ import annotations

import socket

FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}
_FAR = {4: ("198.41.0.4", 53), 6: ("2001:503:ba3e::2:30", 53)}
"""An address that every route to the Internet leads to (a.root-servers.net). It is never sent anything."""


def source_address(family: int, source: str | None = None) -> str | None:
    """Give the address from which this host would reach the Internet over IPv4 or IPv6; None without a route.

    `source` is an address to start from. Connecting a UDP socket only has the kernel choose a route.
    """
    try:
        with socket.socket(FAMILIES[family], socket.SOCK_DGRAM) as sock:
            if source is not None:
                sock.bind((source, 0))
            sock.connect(_FAR[family])
            ip: str = sock.getsockname()[0]
            return ip
    except OSError:  # no route, no such family in this kernel, or a source that cannot reach it
        return None


def host_name() -> str:
    """Give what this host calls itself, whatever that is worth; see `probe.net.hostname.own_name`."""
    return socket.gethostname()
