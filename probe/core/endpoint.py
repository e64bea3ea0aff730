"""`IP`, `IP:PORT` or `[IPv6]:PORT` of a name server. Light: it is read before anything heavy is loaded."""

from __future__ import annotations

import ipaddress

DNS_PORT = 53


def parse_endpoint(text: str) -> tuple[str, int] | None:
    """Give (IP, port), or None when the text is neither; the port is 53 when it is not given."""
    host, port = text, str(DNS_PORT)
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        if rest and not rest.startswith(":"):
            return None
        port = rest[1:] or port if rest else port
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return None
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and 0 < int(port) < 65536):
        return None
    return host, int(port)
