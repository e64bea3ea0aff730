"""What kind of address an IP is: public, or one of those that no mail host on the Internet can have."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from probe.core.model import Scope

IP = IPv4Address | IPv6Address

# IANA special-purpose registries (RFC 6890 and after), the first match counts. What is left of IPv4 is
# public; of IPv6 only 2000::/3 is handed out.
_SCOPES = tuple(
    (ip_network(network), scope)
    for network, scope in (
        ("0.0.0.0/32", Scope.UNSPECIFIED),
        ("0.0.0.0/8", Scope.RESERVED),
        ("10.0.0.0/8", Scope.PRIVATE),
        ("100.64.0.0/10", Scope.SHARED),
        ("127.0.0.0/8", Scope.LOOPBACK),
        ("169.254.0.0/16", Scope.LINK_LOCAL),
        ("172.16.0.0/12", Scope.PRIVATE),
        ("192.0.0.0/24", Scope.RESERVED),
        ("192.0.2.0/24", Scope.DOCUMENTATION),
        ("192.88.99.0/24", Scope.RESERVED),
        ("192.168.0.0/16", Scope.PRIVATE),
        ("198.18.0.0/15", Scope.RESERVED),
        ("198.51.100.0/24", Scope.DOCUMENTATION),
        ("203.0.113.0/24", Scope.DOCUMENTATION),
        ("224.0.0.0/4", Scope.MULTICAST),
        ("240.0.0.0/4", Scope.RESERVED),
        ("::/128", Scope.UNSPECIFIED),
        ("::1/128", Scope.LOOPBACK),
        ("64:ff9b:1::/48", Scope.PRIVATE),
        ("2001:db8::/32", Scope.DOCUMENTATION),
        ("2001::/23", Scope.RESERVED),
        ("3fff::/20", Scope.DOCUMENTATION),
        ("2000::/3", Scope.PUBLIC),
        ("fc00::/7", Scope.PRIVATE),
        ("fe80::/10", Scope.LINK_LOCAL),
        ("fec0::/10", Scope.PRIVATE),
        ("ff00::/8", Scope.MULTICAST),
        ("::/0", Scope.RESERVED),
    )
)
_NAT64 = ip_network("64:ff9b::/96")
_COMPATIBLE = ip_network("::/96")
_BROADCAST = IPv4Address("255.255.255.255")
_LONGEST = 64
"""Characters of the longest address that is remembered: 45 of IPv6, and a zone."""
_KNOWN = 1024
"""Addresses that are remembered: those of the mail hosts that a batch talks with at a time."""


@lru_cache(maxsize=_KNOWN)  # 28 networks to compare with, several times in each judgement
def scope(ip: IP) -> Scope:
    """Say what kind of address this is.

    Forms that carry an IPv4 address are judged by it, because that is where the packets go: IPv4-mapped,
    6to4 (RFC 3056) and NAT64 (RFC 6052). The deprecated IPv4-compatible form (RFC 4291 2.5.5.1) takes a
    non-public scope from inside and is reserved otherwise. Teredo is reserved.
    """
    inner = _inner(ip)
    if inner is not None:
        return scope(inner)
    if ip.version == 6 and ip in _COMPATIBLE and int(ip) > 1:
        compatible = scope(IPv4Address(int(ip)))
        return Scope.RESERVED if compatible is Scope.PUBLIC else compatible
    return next((kind for network, kind in _SCOPES if ip in network), Scope.PUBLIC)


def may_be_connected_to(ip: IP) -> bool:
    """Say whether a connection can mean anything: not to a group, "this host" or the broadcast address."""
    return scope(ip) not in {Scope.MULTICAST, Scope.UNSPECIFIED} and (_inner(ip) or ip) != _BROADCAST


def read_ip(text: str) -> IP | None:
    """Read an IPv4 or IPv6 address, or nothing."""
    if ":" not in text and not text[-1:].isdigit():
        return None  # a name, as most of what is asked about; to find that out by parsing costs more
    # What is longer is no address, and a peer's words must not fill the memory of those that are.
    return _read_short(text) if len(text) <= _LONGEST else _read(text)


def _read(text: str) -> IP | None:
    try:
        return ip_address(text)
    except ValueError:
        return None


_read_short = lru_cache(maxsize=_KNOWN)(_read)  # those of one mail host are read again and again


def _inner(ip: IP) -> IPv4Address | None:
    """Find the IPv4 address that packets to this IPv6 address end up at."""
    if isinstance(ip, IPv4Address):
        return None
    if ip in _NAT64:
        return IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour
