"""Host names that look like those which a provider gives to every address of a range.

Many mail hosts refuse clients with such names, because a mail server that somebody runs on purpose has a name
of its own. It is a guess by design, here as there: what is said is what made the name look so.
"""

from __future__ import annotations

import re

from probe.core.scope import read_ip

_RANGES = frozenset(
    {
        "adsl", "broadband", "cable", "dhcp", "dial", "dialin", "dialup", "dsl", "dyn", "dynamic",
        "dynip", "ftth", "hsi", "pool", "ppp", "pppoe", "rdns", "rev", "reverse", "sdsl",
        "unassigned", "unused", "vdsl", "wifi", "wlan",
    }
)  # fmt: skip
"""Words that stand for a range of addresses wherever they are a part of a label."""
_TENANTS = frozenset(
    {
        "client", "clients", "cloud", "compute", "cust", "customer", "customers", "ec2", "host",
        "hosted", "hosts", "ip", "server", "srv", "static", "user", "users", "vm", "vps",
    }
)  # fmt: skip
"""Words that a mail host of its own may have too; together with two numbers they are a provider's."""
_WORD = re.compile("ec2|[a-z]+")
_NUMBER = re.compile("[0-9]+")
_OWN = 2
"""Labels at the end that are the provider's domain, and say nothing about the address."""


def why_generic(name: str, ip: str | None = None) -> str | None:
    """Say what makes a name look generic, None when nothing does; `ip` is the address that has it, if known.

    The time is linear in the length of the name, of which no more than the 255 octets of RFC 1035 are read.
    """
    host = ".".join(name[:255].lower().rstrip(".").split(".")[:-_OWN])
    if ip is not None and _spells(host, ip):
        return "it spells the address"
    words = _WORD.findall(host)
    if (sort := next(filter(_RANGES.__contains__, words), None)) is not None:
        return f"it says {sort!r}"
    numbers = _NUMBER.findall(host)
    if len(numbers) >= 4 and all(len(number) <= 3 and int(number) <= 255 for number in numbers[:4]):
        return "it spells an address"
    if len(numbers) >= 2 and (tenant := next(filter(_TENANTS.__contains__, words), None)) is not None:
        return f"it says {tenant!r} and numbers"
    return None


def _spells(host: str, ip: str) -> bool:
    """Tell whether an address stands in a name: its octets either way round, or its hexadecimal digits."""
    read = read_ip(ip)
    if read is None:
        return False
    digits = read.packed.hex()
    joined = host.replace("-", "").replace(".", "")
    if digits in joined or digits[::-1] in joined:  # the latter as under ip6.arpa
        return True
    if read.version == 6:
        return str(read).replace(":", "-") in host
    octets = list(read.packed)
    numbers = [int(number) for number in _NUMBER.findall(host) if len(number) <= 3]
    runs = (numbers[at : at + 4] for at in range(len(numbers) - 3))
    return (
        any(run in (octets, octets[::-1]) for run in runs)
        or "".join(f"{each:03}" for each in octets) in joined
    )
