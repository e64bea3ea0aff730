"""errno, ICMP errors and TLS error words -> one closed word each: tables.

Numbers are those of the system that runs us; the meanings are those of Linux, whose kernel turns ICMP into
errno (net/ipv4/icmp.c `icmp_err_convert`, net/ipv6/icmp.c `tab_unreach`). Two meanings of one number are told
apart by when it came: what `connect()` returns at once was found out on this host, what comes a round trip
later was said by somebody else. Over loopback "at once" is also when a peer answers.

The ICMP error itself, where the system shows it, says more than the errno made of it: EHOSTUNREACH stands for
"administratively prohibited" (IPv4 only), for a routing loop and for a host that is down. Who sent it is for
others to look at: one from our own address is a firewall or a neighbour table of ours.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from probe.core.model import Answer, ConnectOutcome, NoticeOrigin

if TYPE_CHECKING:
    from probe.core.model import Notice

# Whoever says it, and whenever, these mean the same.
_ALWAYS: dict[int, ConnectOutcome] = {
    errno.ECONNREFUSED: ConnectOutcome.REFUSED,
    errno.ECONNRESET: ConnectOutcome.RESET,
    errno.ETIMEDOUT: ConnectOutcome.TIMEOUT,
}

# Returned by connect() itself: no packet left this host.
_HERE: dict[int, ConnectOutcome] = {
    errno.ENETUNREACH: ConnectOutcome.NO_ROUTE,  # no route, or an `unreachable` one; also IPv6 without any
    errno.EHOSTUNREACH: ConnectOutcome.NO_ROUTE,  # an `unreachable` route
    errno.EAFNOSUPPORT: ConnectOutcome.NO_ROUTE,  # no IPv6 in this kernel, or a source of the other family
}

# Came later, by ICMP (or from ARP and ND, which the kernel reports in the same words).
_THERE: dict[int, ConnectOutcome] = {
    errno.EHOSTUNREACH: ConnectOutcome.HOST_UNREACHABLE,  # ICMP 3/1, 3/13 (prohibited), 11/0; ICMPv6 1/3
    errno.EHOSTDOWN: ConnectOutcome.HOST_UNREACHABLE,  # ICMP 3/7
    errno.ENONET: ConnectOutcome.HOST_UNREACHABLE,  # ICMP 3/8
    errno.ENETUNREACH: ConnectOutcome.NET_UNREACHABLE,  # ICMP 3/0, 3/6, 3/9; ICMPv6 1/0
    errno.ENOPROTOOPT: ConnectOutcome.PROHIBITED,  # ICMP 3/2: the host is there and has TCP filtered out
    errno.EACCES: ConnectOutcome.PROHIBITED,  # ICMPv6 1/1, 1/5, 1/6
}


def connect_outcome(number: int, *, at_once: bool) -> ConnectOutcome:
    """Return what an errno of connect() means; `at_once` when the call itself returned it.

    What stands in no table is a fault of this host: no descriptors left (EMFILE), an address that it does not
    own (EADDRNOTAVAIL), a firewall or policy of its own (EPERM, EACCES).
    """
    if number in _ALWAYS:
        return _ALWAYS[number]
    return (_HERE if at_once else _THERE).get(number, ConnectOutcome.LOCAL)


# Destination unreachable: type 3 of RFC 792, with the codes of RFC 1122 3.2.2.1 (6 to 12) and RFC 1812 5.2.7.1
# (13 to 15). Fragmentation needed (4) is no answer to a packet as small as a SYN.
_UNREACHABLE: dict[int, Answer] = {
    0: Answer.NET_UNREACHABLE,
    1: Answer.HOST_UNREACHABLE,
    2: Answer.PROHIBITED,  # protocol unreachable: every host has TCP, so it is shut off there
    3: Answer.PORT_UNREACHABLE,
    5: Answer.HOST_UNREACHABLE,  # source route failed
    6: Answer.NET_UNREACHABLE,  # network unknown
    7: Answer.HOST_UNREACHABLE,  # host unknown
    8: Answer.HOST_UNREACHABLE,  # source host isolated
    9: Answer.PROHIBITED,  # network administratively prohibited
    10: Answer.PROHIBITED,  # host administratively prohibited
    11: Answer.NET_UNREACHABLE,  # for this type of service
    12: Answer.HOST_UNREACHABLE,  # for this type of service
    13: Answer.PROHIBITED,  # communication administratively prohibited
    14: Answer.PROHIBITED,  # host precedence violation
    15: Answer.PROHIBITED,  # precedence cut-off in effect
}

# The same in IPv6: type 1 of RFC 4443 3.1, with the codes of RFC 6550 (7) and RFC 8883 (8).
_UNREACHABLE6: dict[int, Answer] = {
    0: Answer.NET_UNREACHABLE,  # no route to destination
    1: Answer.PROHIBITED,  # communication administratively prohibited
    2: Answer.HOST_UNREACHABLE,  # beyond the scope of our address
    3: Answer.HOST_UNREACHABLE,  # address unreachable
    4: Answer.PORT_UNREACHABLE,
    5: Answer.PROHIBITED,  # our address failed an ingress or egress policy
    6: Answer.PROHIBITED,  # reject route
    7: Answer.HOST_UNREACHABLE,  # error in source routing header
    8: Answer.HOST_UNREACHABLE,  # headers too long
}

# Types whose code adds nothing here. A router that cannot read our header (parameter problem) forwards nothing.
_TYPES: dict[tuple[NoticeOrigin, int], Answer] = {
    (NoticeOrigin.ICMP, 11): Answer.TIME_EXCEEDED,  # RFC 792
    (NoticeOrigin.ICMP, 12): Answer.HOST_UNREACHABLE,
    (NoticeOrigin.ICMP6, 3): Answer.TIME_EXCEEDED,  # RFC 4443 3.3
    (NoticeOrigin.ICMP6, 4): Answer.HOST_UNREACHABLE,  # RFC 4443 3.4
}

_ATTEMPT: dict[Answer, ConnectOutcome] = {
    Answer.PORT_UNREACHABLE: ConnectOutcome.REFUSED,
    Answer.HOST_UNREACHABLE: ConnectOutcome.HOST_UNREACHABLE,
    Answer.NET_UNREACHABLE: ConnectOutcome.NET_UNREACHABLE,
    Answer.PROHIBITED: ConnectOutcome.PROHIBITED,
    Answer.TIME_EXCEEDED: ConnectOutcome.HOST_UNREACHABLE,  # at full hop limit: it went round in circles
}


def icmp_answer(notice: Notice) -> Answer | None:
    """Return what an ICMP error says of the packet it answers; None for one that says nothing about it.

    Those are errors of this host (`NoticeOrigin.LOCAL`), "packet too big", and types and codes that no RFC has.
    """
    if notice.origin is NoticeOrigin.ICMP and notice.type == 3:
        return _UNREACHABLE.get(notice.code)
    if notice.origin is NoticeOrigin.ICMP6 and notice.type == 1:
        return _UNREACHABLE6.get(notice.code)
    return _TYPES.get((notice.origin, notice.type))


def notice_outcome(notices: tuple[Notice, ...]) -> ConnectOutcome | None:
    """Return how ICMP errors ended a connection attempt; None if none does."""
    notice = telling(notices)
    answer = None if notice is None else icmp_answer(notice)
    return None if answer is None else _ATTEMPT[answer]


def telling(notices: tuple[Notice, ...]) -> Notice | None:
    """Give the ICMP error that decides: the first that means an end. Others, such as 3/4, are advice."""
    return next((notice for notice in notices if icmp_answer(notice) is not None), None)


def errno_name(number: int | None) -> str | None:
    """Return the name of an errno, such as ECONNREFUSED; None for a number that has none."""
    return None if number is None else errno.errorcode.get(number)


# The words of OpenSSL (its reason, without the library's prefix) in the order they are looked for. Alerts are
# what the peer said (RFC 8446 6); the others are what we found.
_TLS_WORDS: tuple[tuple[str, str], ...] = (
    ("ALERT_HANDSHAKE_FAILURE", "the peer found no common parameters (alert handshake_failure)"),
    ("ALERT_PROTOCOL_VERSION", "the peer speaks no common protocol version (alert protocol_version)"),
    ("ALERT_INSUFFICIENT_SECURITY", "the peer wants stronger ciphers (alert insufficient_security)"),
    ("ALERT_INTERNAL_ERROR", "the peer failed inside (alert internal_error)"),
    ("ALERT_UNRECOGNIZED_NAME", "the peer knows no certificate for this name (alert unrecognized_name)"),
    ("UNRECOGNIZED_NAME", "the peer knows no certificate for this name (alert unrecognized_name)"),
    ("ALERT_CERTIFICATE_REQUIRED", "the peer wants a client certificate (alert certificate_required)"),
    ("ALERT_NO_CERTIFICATE", "the peer wants a client certificate (alert no_certificate)"),
    ("ALERT_ACCESS_DENIED", "the peer refuses us (alert access_denied)"),
    ("ALERT_DECODE_ERROR", "the peer could not read our handshake (alert decode_error)"),
    ("ALERT_ILLEGAL_PARAMETER", "the peer could not read our handshake (alert illegal_parameter)"),
    ("ALERT_UNEXPECTED_MESSAGE", "the peer expected another message (alert unexpected_message)"),
    ("ALERT_CLOSE_NOTIFY", "the peer ended the handshake (alert close_notify)"),
    ("WRONG_VERSION_NUMBER", "what came back is not TLS, or of a version that we cannot speak"),
    ("RECORD_LAYER_FAILURE", "what came back is not TLS, or a broken record"),
    ("HTTP_REQUEST", "what came back is not TLS"),
    ("PACKET_LENGTH_TOO_LONG", "what came back is not TLS, or a broken record"),
    ("UNSUPPORTED_PROTOCOL", "the peer speaks only a protocol version that is too old"),
    ("NO_CIPHERS", "our own TLS library has no cipher left to offer"),
    ("DH_KEY_TOO_SMALL", "the peer's Diffie-Hellman key is too small"),
    ("UNSAFE_LEGACY_RENEGOTIATION", "the peer lacks secure renegotiation (RFC 5746)"),
    ("UNEXPECTED_EOF", "the peer closed the connection during the handshake"),
)


def tls_error(reason: str | None, text: str) -> str:
    """Return one sentence for a handshake that failed, with OpenSSL's own word behind it.

    `reason` is `ssl.SSLError.reason`, None for errors that are not OpenSSL's; then `text` stands for itself.
    """
    if reason is None:
        return text
    upper = reason.upper()
    for word, says in _TLS_WORDS:
        if word in upper:
            return f"{says}: {reason}"
    return f"{text}: {reason}" if reason not in text else text
