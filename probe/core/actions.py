"""What a conversation has its driver do, in the order given."""

from __future__ import annotations

from msgspec import Struct


class Send(Struct, frozen=True):
    """Write this command line, CRLF included; with PIPELINING several."""

    line: bytes


class StartTls(Struct, frozen=True):
    """Send STARTTLS; once its 220 has come (the state is then `Stage.TLS`) negotiate and tell `tls_done`."""


class Close(Struct, frozen=True):
    """Close the connection; with `abort` at once, without reading or writing anything more."""

    abort: bool


Action = Send | StartTls | Close
