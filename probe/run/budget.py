"""How many path searches the routers near us can stand: they are the same for all hosts of a run."""

from __future__ import annotations

import asyncio
import time

BURST = 5.0
"""Packets with one hop limit that the searches of a run may send at once. A Linux router answers six to one
address (`icmp_ratelimit`), then one a second; what it does not answer looks like a packet that was dropped."""
REFILL = 1.0
"""Packets a second after that."""
COST = 2.0
"""Packets of one search that end at the same near router: one to the mail port and one control."""
LONGEST_WAIT = 1.5
"""Seconds that a search waits for its turn. After that its verdict would be late; it goes without the routers."""


class RouterBudget:
    """The packets that the searches of a run may let expire at the first routers, over one address family."""

    def __init__(self) -> None:
        self._left = BURST
        self._as_of = time.monotonic()

    async def turn(self) -> bool:
        """Wait until the routers may be asked again; false, at once, when that would take too long."""
        now = time.monotonic()
        self._left = min(BURST, self._left + (now - self._as_of) * REFILL)
        self._as_of = now
        wait = max(0.0, (COST - self._left) / REFILL)
        if wait > LONGEST_WAIT:
            return False
        self._left -= COST
        await asyncio.sleep(wait)
        return True
