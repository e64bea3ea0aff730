"""errno and TLS words: each number has one meaning for each way in which it came."""

from __future__ import annotations

import errno

import pytest

from probe.core.failures import connect_outcome, errno_name, tls_error
from probe.core.model import ConnectOutcome


@pytest.mark.parametrize(
    ("number", "at_once", "outcome"),
    [
        (errno.ECONNREFUSED, True, ConnectOutcome.REFUSED),  # loopback answers before connect() returns
        (errno.ECONNREFUSED, False, ConnectOutcome.REFUSED),
        (errno.ECONNRESET, False, ConnectOutcome.RESET),
        (errno.ETIMEDOUT, False, ConnectOutcome.TIMEOUT),
        (errno.ENETUNREACH, True, ConnectOutcome.NO_ROUTE),
        (errno.ENETUNREACH, False, ConnectOutcome.NET_UNREACHABLE),
        (errno.EHOSTUNREACH, True, ConnectOutcome.NO_ROUTE),
        (errno.EHOSTUNREACH, False, ConnectOutcome.HOST_UNREACHABLE),
        (errno.EACCES, True, ConnectOutcome.LOCAL),
        (errno.EACCES, False, ConnectOutcome.PROHIBITED),
        (errno.EPERM, True, ConnectOutcome.LOCAL),
        (errno.EPERM, False, ConnectOutcome.LOCAL),
        (errno.EADDRNOTAVAIL, True, ConnectOutcome.LOCAL),
        (errno.EMFILE, True, ConnectOutcome.LOCAL),
        (errno.EINVAL, True, ConnectOutcome.LOCAL),  # a black-hole route of ours
    ],
)
def test_connect_outcome(number: int, at_once: bool, outcome: ConnectOutcome) -> None:
    assert connect_outcome(number, at_once=at_once) is outcome


def test_every_errno_has_an_outcome_and_a_name() -> None:
    for number, name in errno.errorcode.items():
        assert connect_outcome(number, at_once=True) in ConnectOutcome
        assert connect_outcome(number, at_once=False) in ConnectOutcome
        assert errno_name(number) == name
    assert errno_name(None) is None
    assert errno_name(99999) is None


def test_tls_error_keeps_the_library_s_word() -> None:
    said = tls_error("SSLV3_ALERT_HANDSHAKE_FAILURE", "alert")
    assert (
        said == "the peer found no common parameters (alert handshake_failure): SSLV3_ALERT_HANDSHAKE_FAILURE"
    )
    assert tls_error("WRONG_VERSION_NUMBER", "x").startswith("what came back is not TLS")
    assert tls_error("SOMETHING_NEW", "failed") == "failed: SOMETHING_NEW"
    assert tls_error("NEW", "[SSL: NEW] new") == "[SSL: NEW] new"
    assert tls_error(None, "timed out") == "timed out"
