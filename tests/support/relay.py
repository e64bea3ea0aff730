"""A link with a delay: two TUN devices, joined by a thread that holds every packet for a while."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import struct
import threading
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.support.netns import Namespace

TUN = Path("/dev/net/tun")
_TUNSETIFF = 0x400454CA
_IFF_TUN, _IFF_NO_PI = 0x0001, 0x1000
_LARGEST = 65535
"""Octets of the largest packet that a device may hand over."""


class Relay:
    """Joins two namespaces (see `tests.support.road.Link`); `delay` is in seconds, one way."""

    def __init__(self, delay: float) -> None:
        self._delay = delay
        self._ends: list[int] = []
        self._over, self._end_it = os.pipe()
        self._thread = threading.Thread(target=self._carry, name="relay")

    def join(self, one: Namespace, device: str, other: Namespace, other_device: str) -> None:
        """Make `device` in one namespace and `other_device` in the other, and begin to carry packets."""
        for namespace, name in ((one, device), (other, other_device)):
            with namespace.entered():
                end = os.open(TUN, os.O_RDWR | os.O_NONBLOCK)
                self._ends.append(end)
                fcntl.ioctl(end, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _IFF_TUN | _IFF_NO_PI))
        self._thread.start()

    def close(self) -> None:
        """Stop, and take both devices away; what is on its way is lost."""
        os.close(self._end_it)
        self._thread.join()
        for descriptor in (self._over, *self._ends):
            os.close(descriptor)

    def _carry(self) -> None:
        across = dict(zip(self._ends, reversed(self._ends), strict=True))
        held: deque[tuple[float, int, bytes]] = (
            deque()
        )  # in the order of their time, as the delay is the same
        while True:
            patience = max(0.0, held[0][0] - time.monotonic()) if held else None
            readable, _, _ = select.select([self._over, *self._ends], [], [], patience)
            if self._over in readable:
                return
            for end in readable:
                held.append((time.monotonic() + self._delay, across[end], os.read(end, _LARGEST)))
            while held and held[0][0] <= time.monotonic():
                _, end, packet = held.popleft()
                with contextlib.suppress(OSError):  # EIO: that end is not up yet, so the packet is lost
                    os.write(end, packet)
