"""errno and TLS error words -> one closed word each: tables.

Numbers are those of the system that runs us; the meanings are those of Linux, whose kernel turns ICMP into
errno (net/ipv4/icmp.c `icmp_err_convert`, net/ipv6/icmp.c `tab_unreach`). Two meanings of one number are told
apart by when it came: what `connect()` returns at once was found out on this host, what comes a round trip
later was said by somebody else. Over loopback "at once" is also when a peer answers.
"""

from __future__ import annotations

import errno

from probe.core.model import ConnectOutcome

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
