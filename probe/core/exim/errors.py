"""The words of the C library for a connection that failed, as Exim logs them (strerror)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from probe.core.model import ConnectOutcome

if TYPE_CHECKING:
    from probe.core.model import Connect

TIMED_OUT = "Connection timed out"
"""For a connection that did not come about in time."""

_STRERROR = {
    "ECONNREFUSED": "Connection refused",
    "ETIMEDOUT": TIMED_OUT,
    "EHOSTUNREACH": "No route to host",
    "ENETUNREACH": "Network is unreachable",
    "EACCES": "Permission denied",
    "EPERM": "Operation not permitted",
    "EADDRNOTAVAIL": "Cannot assign requested address",
    "ECONNRESET": "Connection reset by peer",
    "EAFNOSUPPORT": "Address family not supported by protocol",
}
_ERRNO = {
    ConnectOutcome.REFUSED: "ECONNREFUSED",
    ConnectOutcome.HOST_UNREACHABLE: "EHOSTUNREACH",
    ConnectOutcome.NET_UNREACHABLE: "ENETUNREACH",
    ConnectOutcome.NO_ROUTE: "ENETUNREACH",
    ConnectOutcome.PROHIBITED: "EACCES",
    ConnectOutcome.RESET: "ECONNRESET",
    ConnectOutcome.LOCAL: "EADDRNOTAVAIL",
}
"""The errno of an outcome for which the system gave none."""


def error_of(connect: Connect) -> str:
    """Give the words for a connection that failed at once."""
    return _STRERROR.get(connect.errno_name or "", _STRERROR[_ERRNO[connect.outcome]])
