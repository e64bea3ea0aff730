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
    number: int | None
    if source is not None and _family(source) != _family(ip):
        number = errno.EAFNOSUPPORT
        return Connect(started, clock(), ConnectOutcome.NO_ROUTE, number, errno_name(number)), None
    sock: socket.socket | None = None
    at_once = True
    try:
        sock = socket.socket(_family(ip), socket.SOCK_STREAM)
        sock.setblocking(False)
        if source is not None:
            sock.bind((source, 0))
        number = sock.connect_ex((ip, port))
        if number == errno.EINPROGRESS:
            at_once = False
            number = await _established(sock, limit=timeout)
        local_ip = _local_ip(sock)
        if number == 0:
            return Connect(started, clock(), ConnectOutcome.CONNECTED, local_ip=local_ip), sock
    except OSError as error:  # no descriptor left, no IPv6 in this kernel, a source that is not ours
        number, local_ip = error.errno or errno.EIO, None
    except BaseException:
        if sock is not None:
            sock.close()
        raise
    if sock is not None:
        sock.close()
    outcome = ConnectOutcome.TIMEOUT if number is None else connect_outcome(number, at_once=at_once)
    return Connect(started, clock(), outcome, number, errno_name(number), local_ip), None


def _family(ip: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in ip else socket.AF_INET


async def _established(sock: socket.socket, *, limit: float) -> int | None:
    """Wait until the handshake of TCP ends; return its errno, 0 for success, None when our own time is up."""
    loop = asyncio.get_running_loop()
    writable = asyncio.Event()
    loop.add_writer(sock, writable.set)
    try:
        async with asyncio.timeout(limit):
            await writable.wait()
    except TimeoutError:
        return None
    finally:
        loop.remove_writer(sock)  # before close: a reused descriptor would inherit the callback
    return sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)


def _local_ip(sock: socket.socket) -> str | None:
    ip: str = sock.getsockname()[0]
    return None if ip in {"0.0.0.0", "::"} else ip  # noqa: S104 - compared, not bound: the kernel chose none
