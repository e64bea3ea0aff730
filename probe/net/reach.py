"""TCP connect to an IP literal, with what the system said about it.

Our own sockets and our own timer: `create_connection` closes a socket that fails, and the reason with it. The
socket is waited for with `add_writer`, which works the same under uvloop, and SO_ERROR is read exactly once,
because reading it clears it.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from typing import TYPE_CHECKING

from probe.core.failures import connect_outcome, errno_name
from probe.core.model import Connect, ConnectOutcome

if TYPE_CHECKING:
    from collections.abc import Callable


async def connect(
    ip: str,
    port: int,
    *,
    timeout: float,  # noqa: ASYNC109 - its end is an outcome here, which a caller's cancellation is not
    source: str | None,
    clock: Callable[[], float],
) -> tuple[Connect, socket.socket | None]:
    """Open a connection to `ip`, from `source` if given, within `timeout` seconds of `clock`.

    Returns the record and, only with `ConnectOutcome.CONNECTED`, a non-blocking socket that the caller now
    owns. Whatever the system or the network does is an outcome; nothing but cancellation raises.
    """
    started = clock()
    sock: socket.socket | None = None
    number = errno.EAFNOSUPPORT if source is not None and _family(source) != _family(ip) else 0
    at_once = True
    try:
        if number == 0:
            sock = socket.socket(_family(ip), socket.SOCK_STREAM)
            sock.setblocking(False)
            if source is not None:
                sock.bind((source, 0))
            number = sock.connect_ex((ip, port))
        if sock is not None and number == errno.EINPROGRESS:
            at_once = False
            number = await _established(sock, limit=timeout)
        record = _record(number, started, clock(), sock, at_once=at_once)
    except OSError as error:  # no descriptor left, no IPv6 in this kernel, a source that is not ours
        record = _record(error.errno or errno.EIO, started, clock(), None, at_once=True)
    except BaseException:
        if sock is not None:
            sock.close()
        raise
    if record.outcome is ConnectOutcome.CONNECTED:
        return record, sock
    if sock is not None:
        sock.close()
    return record, None


def _family(ip: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in ip else socket.AF_INET


async def _established(sock: socket.socket, *, limit: float) -> int:
    """Wait until the handshake of TCP ends; return its errno, 0 for success."""
    loop = asyncio.get_running_loop()
    writable = asyncio.Event()
    loop.add_writer(sock, writable.set)
    try:
        async with asyncio.timeout(limit):
            await writable.wait()
    except TimeoutError:
        return errno.ETIMEDOUT
    finally:
        loop.remove_writer(sock)  # before close: a reused descriptor would inherit the callback
    return sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)


def _record(
    number: int, started: float, ended: float, sock: socket.socket | None, *, at_once: bool
) -> Connect:
    local_ip = None
    if sock is not None:
        local_ip = sock.getsockname()[0]
        if local_ip in {"0.0.0.0", "::"}:  # noqa: S104 - compared, not bound: the kernel chose none
            local_ip = None
    if number == 0:
        return Connect(started, ended, ConnectOutcome.CONNECTED, local_ip=local_ip)
    outcome = connect_outcome(number, at_once=at_once)
    return Connect(started, ended, outcome, number, errno_name(number), local_ip)
