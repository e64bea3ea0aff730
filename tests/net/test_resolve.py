from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.core.model import DnsAnswer, DnsOutcome, DnsRecord
from probe.lab.nameserver import NameServer
from probe.net.dns_message import make_query, make_question, read_response
from probe.net.early import EarlyQuery, connected_udp, fire, system_servers
from probe.net.resolve import MAX_STRAYS, Resolver

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Mapping
    from pathlib import Path

NAME = "customer.example.com"
ZONE = """
customer.example.com 300 MX 10 Mx1.Customer.example.com.
customer.example.com 300 MX 20 mx2.customer.example.com.
mx1.customer.example.com 60 A 192.0.2.1
mx1.customer.example.com 60 AAAA 2001:db8::1
www.customer.example.com 60 CNAME mx1.customer.example.com.
round.example 60 CNAME about.example.
about.example 60 CNAME round.example.
null.example 60 MX 0 .
"""
ANSWER, NODATA, NXDOMAIN = DnsOutcome.ANSWER, DnsOutcome.NODATA, DnsOutcome.NXDOMAIN
TIMEOUT, MALFORMED, UNREACHABLE = DnsOutcome.TIMEOUT, DnsOutcome.MALFORMED, DnsOutcome.UNREACHABLE


def resolver(
    *ports: int,
    timeout: float = 0.8,
    try_timeout: float = 0.15,
    tries: int = 1,
    early: EarlyQuery | None = None,
) -> Resolver:
    began = time.monotonic()
    return Resolver(
        tuple(("127.0.0.1", port) for port in ports),
        clock=lambda: time.monotonic() - began,
        timeout=timeout,
        try_timeout=try_timeout,
        tries=tries,
        early=early,
    )


def served[T](
    use: Callable[[NameServer, int], Awaitable[T]],
    behaviours: Mapping[str, str] | None = None,
    zone: str = ZONE,
) -> T: ...
