"""errno, ICMP and TLS words: each number has one meaning for each way in which it came."""

from __future__ import annotations

import errno

import pytest

from probe.core.failures import connect_outcome, errno_name, icmp_answer, notice_outcome, tls_error
from probe.core.model import Answer, ConnectOutcome, Notice, NoticeOrigin


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


def notice(origin: NoticeOrigin, kind: int, code: int) -> Notice:
    return Notice(0.1, origin, kind, code, "192.0.2.254")


@pytest.mark.parametrize(
    ("origin", "kind", "code", "outcome"),
    [
        (NoticeOrigin.ICMP, 3, 0, ConnectOutcome.NET_UNREACHABLE),
        (NoticeOrigin.ICMP, 3, 1, ConnectOutcome.HOST_UNREACHABLE),
        (NoticeOrigin.ICMP, 3, 3, ConnectOutcome.REFUSED),
        (NoticeOrigin.ICMP, 3, 9, ConnectOutcome.PROHIBITED),
        (NoticeOrigin.ICMP, 3, 10, ConnectOutcome.PROHIBITED),
        (NoticeOrigin.ICMP, 3, 13, ConnectOutcome.PROHIBITED),  # errno says EHOSTUNREACH
        (NoticeOrigin.ICMP, 11, 0, ConnectOutcome.HOST_UNREACHABLE),
        (NoticeOrigin.ICMP6, 1, 0, ConnectOutcome.NET_UNREACHABLE),
        (NoticeOrigin.ICMP6, 1, 1, ConnectOutcome.PROHIBITED),
        (NoticeOrigin.ICMP6, 1, 3, ConnectOutcome.HOST_UNREACHABLE),
        (NoticeOrigin.ICMP6, 1, 4, ConnectOutcome.REFUSED),
        (NoticeOrigin.ICMP6, 1, 5, ConnectOutcome.PROHIBITED),
        (NoticeOrigin.ICMP6, 1, 6, ConnectOutcome.PROHIBITED),
        (NoticeOrigin.ICMP6, 3, 0, ConnectOutcome.HOST_UNREACHABLE),
        (NoticeOrigin.ICMP, 3, 4, None),  # fragmentation needed
        (NoticeOrigin.ICMP6, 2, 0, None),  # packet too big
        (NoticeOrigin.LOCAL, 3, 1, None),  # not ICMP, whatever the numbers
        (NoticeOrigin.ICMP6, 11, 0, None),  # the number is that of ICMP for IPv4
    ],
)
def test_icmp_decides(origin: NoticeOrigin, kind: int, code: int, outcome: ConnectOutcome | None) -> None:
    assert notice_outcome((notice(origin, kind, code),)) is outcome


def test_the_first_icmp_error_that_says_something_decides() -> None:
    loop, refused = notice(NoticeOrigin.ICMP, 11, 0), notice(NoticeOrigin.ICMP, 3, 3)
    assert icmp_answer(loop) is Answer.TIME_EXCEEDED
    assert notice_outcome(()) is None
    assert notice_outcome((notice(NoticeOrigin.ICMP, 3, 4), loop, refused)) is ConnectOutcome.HOST_UNREACHABLE


def test_every_icmp_error_has_an_answer_or_none() -> None:
    for origin in NoticeOrigin:
        for kind in range(20):
            for code in range(20):
                found = notice(origin, kind, code)
                assert (icmp_answer(found) is None) == (notice_outcome((found,)) is None)


def test_tls_error_keeps_the_library_s_word() -> None:
    said = tls_error("SSLV3_ALERT_HANDSHAKE_FAILURE", "alert")
    assert (
        said == "the peer found no common parameters (alert handshake_failure): SSLV3_ALERT_HANDSHAKE_FAILURE"
    )
    assert tls_error("WRONG_VERSION_NUMBER", "x").startswith("what came back is not TLS")
    assert tls_error("SOMETHING_NEW", "failed") == "failed: SOMETHING_NEW"
    assert tls_error("NEW", "[SSL: NEW] new") == "[SSL: NEW] new"
    assert tls_error(None, "timed out") == "timed out"
