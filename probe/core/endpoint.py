"""`HOST`, `HOST:PORT` or `[IPv6]:PORT` as the user writes it. Light: it is read before anything heavy is loaded."""

from __future__ import annotations

import ipaddress

DNS_PORT = 53
SMTP_PORT = 25


def parse_endpoint(text: str) -> tuple[str, int] | None:
    """Give (IP, port) of a name server, or None when the text is neither; the port is 53 when it is not given."""
    endpoint = split_endpoint(text, DNS_PORT)
    return endpoint if endpoint is not None and is_ip(endpoint[0]) else None


def split_endpoint(text: str, default: int) -> tuple[str, int] | None:
    """Divide `HOST`, `HOST:PORT`, `[IPv6]` or `[IPv6]:PORT`; None when the brackets or the port are no such thing.

    What stands for the host is not looked at, but for an IPv6 address without brackets, which keeps its colons.
    """
    host, port = text, str(default)
    if text.startswith("["):
        host, closed, rest = text[1:].partition("]")
        if not closed or rest[:1] not in {"", ":"}:
            return None
        port = rest[1:] or port
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and 0 < int(port) < 65536):
        return None
    return host, int(port)


def is_ip(text: str) -> bool:
    """Tell whether a text is an IPv4 or IPv6 address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
