"""What the kernel knows of a connection whose peer says nothing, and when waiting longer is in vain.

A mail host may be silent for many reasons and for half a minute: it looks us up, it is busy, it keeps spammers
waiting. None of them keeps its TCP from answering. So the kernel is told to ask (keep-alive), and TCP_INFO tells
whether anything comes back. The wait is ended early in two cases only, in which no reply can come any more:

* The path is dead. For `GIVE_UP_AFTER` seconds not one segment has come, neither an answer to what we sent nor to
  the question whether anybody is there, although `UNANSWERED` of them went out. TCP alone would give up after
  a quarter of an hour (RFC 9293 3.8.3). Half of all packets may be lost on a path that is merely bad, and it
  would still be called dead in one case out of sixty-four.
* The reply is stuck. Its end lies in the kernel and its beginning has not come for `STUCK_AFTER` seconds, in
  which the sender repeated it several times: those segments are too large for the path, and the ICMP errors
  that should tell the sender are lost too (RFC 2923 2.1). What is missing will not come on this connection.

An ICMP error that comes meanwhile is noted and ends nothing by itself (RFC 1122 4.2.3.9): the path may mend.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from probe.net import tcp

if TYPE_CHECKING:
    import socket

    from probe.core.model import TcpInfo

GIVE_UP_AFTER = 8.0
"""Seconds in which nothing at all has come."""
UNANSWERED = 6
"""Segments of ours that went out in that time and got no answer."""
STUCK_AFTER = 3.0
"""Seconds since the last byte that could be read, with later ones waiting. From a round trip of 0.1 seconds on a
sender has repeated what is missing three times by then (RFC 6298 5), on a shorter one more often."""


class Watch:
    """The watch over one established connection. It costs nothing until the first `look`.

    `soft_error` is the name of the errno that an ICMP error left (seen once, kept), `ended_by` the error with
    which the connection was found to have ended.
    """

    __slots__ = ("_asking", "_silence", "_sock", "ended_by", "soft_error")

    def __init__(self, sock: socket.socket) -> None:
        self.soft_error: str | None = None
        self.ended_by: OSError | None = None
        self._sock = sock
        self._asking = False
        self._silence = Silence()

    def tcp_info(self, now: float) -> TcpInfo | None:
        """Return the state of the connection; None once it is closed, and where the system does not tell."""
        return tcp.tcp_info(self._sock, now)

    def look(self, now: float) -> str | None:
        """Look at a peer that has been silent for a while; return why no answer can come, None if it can."""
        if not tcp.LINUX:
            return None
        if not self._asking:
            self._asking = True
            tcp.keep_alive(self._sock)
        self._take_error(now)
        info = tcp.tcp_info(self._sock, now)
        if info is None or self.ended_by is not None:
            return None
        stuck = info.out_of_order > 0 and tcp.holds_back(self._sock)
        return self._silence.in_vain(info, stuck=stuck)

    def _take_error(self, now: float) -> None:
        name = tcp.soft_error(self._sock)
        if name is None:
            return
        info = tcp.tcp_info(self._sock, now)
        if info is not None and info.state == tcp.CLOSE:
            # Not soft, then: the reset came between two events of the loop, and now nobody else can read it.
            self.ended_by = OSError(getattr(errno, name), name)
        else:
            self.soft_error = name


class Silence:
    """The judgement alone, from one look to the next."""

    __slots__ = ("_came", "_repeated", "_went")

    def __init__(self) -> None:
        self._came: int | None = None  # segments, until the first look since the last of them
        self._went = 0  # likewise, and those of a time-out that had begun by then
        self._repeated = 0

    def in_vain(self, info: TcpInfo, *, stuck: bool) -> str | None:
        """Return why no answer can come, None if it can; `stuck` when bytes wait behind a gap."""
        if info.segs_in != self._came:
            self._came, self._went, self._repeated = info.segs_in, info.segs_out, info.retransmits
        if stuck and info.last_data >= STUCK_AFTER:
            return f"the end of the reply is here, and its beginning has not come for {info.last_data:.1f} s"
        # A time-out means two segments without an answer: the one that was sent, and its repetition.
        before = self._repeated + 1 if self._repeated else 0
        unanswered = info.segs_out - self._went + before
        if info.last_ack >= GIVE_UP_AFTER and unanswered >= UNANSWERED:
            return f"{unanswered} segments got no answer of any kind in {info.last_ack:.1f} s"
        return None
