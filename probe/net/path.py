"""The path search on real sockets: sends what `probe.core.search` asks for, and hands it what comes back."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

from msgspec.structs import replace

from probe.core.model import Answer, PathEvidence
from probe.core.search import Aim, Search, plan
from probe.net import packet, tcp
from probe.net.packet import Packet

if TYPE_CHECKING:
    from collections.abc import Callable

    from probe.core.model import Notice, PathProbe
    from probe.core.search import Step

KNOWN_HOPS = 3
"""Hops that the searches of a run share: the way out of our own network is the same for all."""


class PathSearch:
    """The search for the place on the way to `ip` where the packets to `port` end.

    `first_hops` (hop -> router) belongs to all searches of a run and family: it is read, and added to. `rtt`
    is the round trip in seconds if the connection showed it, `notice` the ICMP error that refused it, `first`
    an earlier search of the same host that is gone on with. Without `routers` only the host is asked, because
    other searches have just asked those on the way as much as they answer. Nothing but cancellation raises.
    """

    def __init__(
        self,
        ip: str,
        port: int,
        aim: Aim,
        *,
        source: str | None,
        clock: Callable[[], float],
        first_hops: dict[int, str],
        rtt: float | None = None,
        first: PathEvidence | None = None,
        notice: Notice | None = None,
        routers: bool = True,
    ) -> None:
        self._family = tcp.family_of(ip)
        self._source = source
        self._clock = clock
        self._first_hops = first_hops
        self._first = first
        self._packets: list[Packet] = []
        self._lacking: tuple[str, ...] = first.lacking if first is not None else ()
        self._routers = routers
        self._news = asyncio.Event()
        self._ended: float | None = None
        self._search = Search(
            ip=socket.inet_ntop(self._family, socket.inet_pton(self._family, ip)),  # as senders are written
            port=port,
            aim=aim,
            started=clock(),
            first_hops=frozenset(first_hops),
            rtt=rtt,
            notice=notice,
        )

    async def run(self) -> None:
        """Search until sending teaches nothing more; silence (`Aim.SILENT`) is listened to for 30 s."""
        if self._source is not None and tcp.family_of(self._source) != self._family:
            return
        try:
            await self._prepare()
            while not (step := self._step()).done:
                await self._until(step.wake)
        finally:
            for sent in self._packets:
                self._close(sent)
            self._ended = self._clock()

    def evidence(self) -> PathEvidence:
        """Give every packet so far, those of the earlier search first; at any moment."""
        now = self._clock() if self._ended is None else self._ended
        started = self._search.started if self._first is None else self._first.started
        probes = tuple(
            replace(sent.probe, ended=now) if sent.sock is not None else sent.probe for sent in self._packets
        )
        return PathEvidence(started, now, self._earlier + probes, self._lacking)

    @property
    def _earlier(self) -> tuple[PathProbe, ...]:
        return () if self._first is None else self._first.probes

    async def _prepare(self) -> None:
        able = {
            "icmp-errors": await packet.reports_errors(self._family),
            "ping": packet.ping_kind(self._family) is not None,
            "tcp-info": packet.has_tcp_info(),
        }
        self._lacking = tuple(name for name, present in able.items() if not present)
        if not self._routers:
            self._lacking += ("routers",)
        asks_routers = able["icmp-errors"] and self._routers
        self._search = replace(self._search, ping=able["ping"], icmp_errors=asks_routers)

    def _step(self) -> Step:
        seen = (*self._earlier, *(sent.probe for sent in self._packets))
        step = plan(self._search, seen, self._clock())
        for index in step.close:
            if index >= len(self._earlier):
                self._close(self._packets[index - len(self._earlier)])
        for wanted in step.send:
            sent = Packet(wanted, self._search.ip, self._source, self._clock)
            self._packets.append(sent)
            self._listen(sent)
        return step

    def _listen(self, sent: Packet) -> None:
        if sent.sock is None:
            self._news.set()  # answered, or refused by this host, before anybody could wait
            return
        loop = asyncio.get_running_loop()
        # An entry in the error queue wakes either.
        (loop.add_writer if sent.waits_to_write else loop.add_reader)(sent.sock, self._woken, sent)

    def _woken(self, sent: Packet) -> None:
        self._ignore(sent)  # before it is closed: a reused descriptor would inherit the callback
        sent.read()
        if sent.sock is not None:
            self._listen(sent)  # what woke it was no answer to this packet
            return
        probe = sent.probe
        if probe.answer is Answer.TIME_EXCEEDED and probe.sender and probe.ttl and probe.ttl <= KNOWN_HOPS:
            self._first_hops.setdefault(probe.ttl, probe.sender)
        self._news.set()

    def _close(self, sent: Packet) -> None:
        self._ignore(sent)
        sent.close()

    @staticmethod
    def _ignore(sent: Packet) -> None:
        if sent.sock is not None:
            loop = asyncio.get_running_loop()
            (loop.remove_writer if sent.waits_to_write else loop.remove_reader)(sent.sock)

    async def _until(self, t: float | None) -> None:
        """Wait for an answer, or until `t`."""
        loop = asyncio.get_running_loop()
        timer = None if t is None else loop.call_later(max(0.0, t - self._clock()), self._news.set)
        try:
            await self._news.wait()
        finally:
            if timer is not None:
                timer.cancel()
        self._news.clear()
