"""Names of a provider's range, and names of a mail host's own."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.core.generic import why_generic


@pytest.mark.parametrize(
    ("name", "ip"),
    [
        ("ec2-192-0-2-7.compute-1.example.com", "192.0.2.7"),
        ("static.7.2.0.192.clients.example.net", "192.0.2.7"),
        ("host-192.0.2.7.example.net", None),
        ("host-007-002-000-192.example.net", None),
        ("ipc0000207.example.net", "192.0.2.7"),
        ("192000002007.example.net.", "192.0.2.7"),
        ("2001-db8--7.v6.example.net", "2001:db8::7"),
        ("x20010db8000000000000000000000007.example.net", "2001:db8::7"),
        ("7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.example.net", "2001:db8::7"),
        ("DSL-1.example.net", None),
        ("cpe.dynamic.example.net", None),
        ("a.pool12.example.net", None),
        ("vps-12-3.example.net", None),
        ("customer-10-20.example.net", None),
    ],
)
def test_generic(name: str, ip: str | None) -> None:
    assert why_generic(name, ip)


@pytest.mark.parametrize(
    "name",
    [
        "mail.example.com",
        "example.com",
        "mx1.customer.example.com",
        "mail-wr1-f41.example.com",
        "smtp12.static.example.com",
        "relay-3.mx.example.com",
        "dynamic.com",  # the domain itself says nothing about the address
        "",
        ".",
    ],
)
def test_a_name_of_its_own(name: str) -> None:
    assert why_generic(name, "192.0.2.7") is None
    assert why_generic(name) is None


@given(st.text(max_size=400), st.sampled_from([None, "192.0.2.7", "2001:db8::7", "x"]))
def test_no_name_makes_it_fail(name: str, ip: str | None) -> None:
    why_generic(name, ip)


def test_a_long_name_takes_no_time() -> None:
    began = time.process_time()
    for piece in ("1-", "a1", "ec", "0.", "-"):
        why_generic(piece * 500_000, "192.0.2.7")
    assert time.process_time() - began < 1.0
