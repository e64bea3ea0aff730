"""A small name server on loopback that answers like a resolver, and misbehaves on request.

It knows one zone text, for any number of domains, and acts as a resolver that has looked everything up:
recursion is available, aliases are followed, what is not in the text does not exist. `behaviours` make it
fail for a name, or for everything, in the ways in which real servers fail.
"""

from __future__ import annotations

import asyncio
import struct
from typing import TYPE_CHECKING

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dns.message import Message
    from dns.name import Name
    from dns.rdatatype import RdataType

_IN = dns.rdataclass.IN
_SOA = dns.rdatatype.SOA
_CNAME = dns.rdatatype.CNAME
_TRICKLE = 0.05
"""Seconds between two octets of `tcp-trickle`."""
_BINDS = 20
"""Attempts at a port that is free for UDP and TCP."""
_DEFAULT_SOA = "ns.lab.example. hostmaster.lab.example. 1 3600 600 86400 60"

BEHAVIOURS = {
    "servfail": "answer SERVFAIL",
    "refused": "answer REFUSED",
    "formerr": "answer FORMERR",
    "notimp": "answer NOTIMP",
    "nxdomain": "answer NXDOMAIN, without SOA",
    "empty": "answer NOERROR with no record at all",
    "lame": "answer with a referral, recursion not available",
    "cname-only": "give the first alias and do not follow it",
    "drop": "never answer",
    "slow:SECONDS": "answer late",
    "formerr-edns": "answer FORMERR to a query with EDNS",
    "drop-edns": "never answer a query with EDNS",
    "truncate": "answer truncated over UDP, whole over TCP",
    "truncate-tcp-drop": "answer truncated over UDP, never over TCP",
    "tcp-trickle": "answer truncated over UDP, one octet at a time over TCP",
    "garbage": "send text that is no DNS message",
    "wrong-id": "answer with another id",
    "wrong-question": "answer another question",
    "compression-loop": "answer with a name that points to itself",
    "bad-rdata": "answer with data too short for its type",
}
"""What the server can be made to do, and what that is."""

_RCODES = {
    "servfail": dns.rcode.SERVFAIL,
    "refused": dns.rcode.REFUSED,
    "formerr": dns.rcode.FORMERR,
    "notimp": dns.rcode.NOTIMP,
    "nxdomain": dns.rcode.NXDOMAIN,
    "empty": dns.rcode.NOERROR,
}
_TRUNCATING = {"truncate", "truncate-tcp-drop", "tcp-trickle"}


class NameServer:
    """A name server for one zone text of lines `name ttl TYPE data`; empty lines and `;` comments may stand.

    `behaviours` maps `"name. TYPE"`, `"name."` or `"*"`, the first of them that fits, to a key of BEHAVIOURS.
    `queries` lists what was asked, as (name without trailing dot, type, "udp" or "tcp"). Raises ValueError
    for a line or a behaviour that it cannot read.
    """

    def __init__(self, zone: str, behaviours: Mapping[str, str] | None = None) -> None:
        self.queries: list[tuple[str, str, str]] = []
        self._zone = _Zone(zone)
        self._behaviours = {_key(key): _checked(value) for key, value in (behaviours or {}).items()}
        self._datagrams: asyncio.DatagramTransport | None = None
        self._streams: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> int:
        """Listen on one port for UDP and TCP, and return it; raises OSError when there is none."""
        loop = asyncio.get_running_loop()
        for left in reversed(range(_BINDS)):
            datagrams, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(self), (host, port))
            chosen: int = datagrams.get_extra_info("sockname")[1]
            try:
                self._streams = await asyncio.start_server(self._serve_stream, host, chosen)
            except OSError:
                # Another program has this port for TCP; the kernel draws us another one.
                datagrams.close()
                if port or not left:
                    raise
            else:
                self._datagrams = datagrams
                return chosen
        raise AssertionError  # the loop returns or raises

    async def stop(self) -> None:
        """Close the port and drop what is under way."""
        if self._datagrams is not None:
            self._datagrams.close()
        if self._streams is not None:
            self._streams.close()
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._streams is not None:
            await self._streams.wait_closed()

    def serve_datagram(self, wire: bytes, peer: tuple[str, int]) -> None:
        """Answer one datagram, now or later."""
        task = asyncio.get_running_loop().create_task(self._reply_to(wire, peer))
        self._keep(task)

    async def _reply_to(self, wire: bytes, peer: tuple[str, int]) -> None:
        reply = await self._reply(wire, "udp")
        if reply is not None and self._datagrams is not None:
            self._datagrams.sendto(reply[0], peer)

    async def _serve_stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._keep(task)
        try:
            while True:
                (size,) = struct.unpack("!H", await reader.readexactly(2))
                reply = await self._reply(await reader.readexactly(size), "tcp")
                if reply is None:
                    await reader.read()
                    return
                wire, behaviour = reply
                framed = struct.pack("!H", len(wire)) + wire
                step = 1 if behaviour == "tcp-trickle" else len(framed)
                for start in range(0, len(framed), step):
                    writer.write(framed[start : start + step])
                    await writer.drain()
                    if step == 1:
                        await asyncio.sleep(_TRICKLE)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            # The client has what it wanted or `stop` was called. Python 3.11 logs a cancelled stream
            # handler as an error, so the cancellation ends here.
            return
        finally:
            writer.close()

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _reply(self, wire: bytes, transport: str) -> tuple[bytes, str] | None:
        """Make the reply to one query and name the behaviour that shaped it; None for silence."""
        try:
            query = dns.message.from_wire(wire)
            question = query.question[0]
        except (dns.exception.DNSException, IndexError):
            return None
        name, rdtype = question.name.canonicalize(), question.rdtype
        behaviour = self._behaviour(name, rdtype)
        self.queries.append((_text(name), dns.rdatatype.to_text(rdtype), transport))
        if behaviour.startswith("slow:"):
            await asyncio.sleep(float(behaviour[5:]))
        silent = behaviour == "drop" or (behaviour == "drop-edns" and query.edns >= 0)
        if silent or (behaviour == "truncate-tcp-drop" and transport == "tcp"):
            return None
        return self._shaped(query, name, rdtype, behaviour, transport), behaviour

    def _behaviour(self, name: Name, rdtype: RdataType) -> str:
        owner = name.to_text()
        keys = (f"{owner} {dns.rdatatype.to_text(rdtype)}", owner, "*")
        return next((self._behaviours[key] for key in keys if key in self._behaviours), "")

    def _shaped(self, query: Message, name: Name, rdtype: RdataType, behaviour: str, transport: str) -> bytes:
        if behaviour == "garbage":
            return b"this is not a DNS message\r\n"
        response = dns.message.make_response(query, recursion_available=True)
        if behaviour in _RCODES:
            response.set_rcode(_RCODES[behaviour])
        elif behaviour == "formerr-edns" and query.edns >= 0:
            response.use_edns(False)
            response.set_rcode(dns.rcode.FORMERR)
        elif behaviour == "lame":
            response.flags &= ~dns.flags.RA
            response.authority.append(dns.rrset.from_text(dns.name.root, 60, _IN, "NS", "ns.lab.example."))
        elif behaviour in {"compression-loop", "bad-rdata"}:
            return _broken(response, behaviour)
        elif behaviour in _TRUNCATING and transport == "udp":
            response.flags |= dns.flags.TC
        else:
            self._zone.fill(response, name, rdtype, follow=behaviour != "cname-only")
        if behaviour == "wrong-question":
            response.question[0].name = dns.name.from_text("other.lab.example.")
        if behaviour == "wrong-id":
            response.id ^= 0xFFFF
        limit = 65535 if transport == "tcp" else max(512, query.payload)
        try:
            return response.to_wire(max_size=limit, want_shuffle=False)
        except dns.exception.TooBig:
            short = dns.message.make_response(query, recursion_available=True)
            short.flags |= dns.flags.TC
            return short.to_wire()


class _Datagrams(asyncio.DatagramProtocol):
    """Hands datagrams to the server."""

    def __init__(self, server: NameServer) -> None:
        self._server = server

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Answer beside other queries, because a slow one must not hold them up."""
        self._server.serve_datagram(data, addr)


class _Zone:
    """The records, and what their absence means."""

    def __init__(self, text: str) -> None:
        self._records: dict[Name, dict[RdataType, dns.rrset.RRset]] = {}
        self._existing: set[Name] = set()
        for number, line in enumerate(text.splitlines(), 1):
            if line.split(";")[0].strip():
                try:
                    self._add(line)
                except (ValueError, dns.exception.DNSException) as error:
                    raise ValueError(f"zone line {number}: {line.strip()!r}: {error}") from None

    def _add(self, line: str) -> None:
        owner, ttl, kind, data = line.split(maxsplit=3)
        name = dns.name.from_text(owner).canonicalize()
        rdtype = dns.rdatatype.from_text(kind)
        rdata = dns.rdata.from_text(_IN, rdtype, data, dns.name.root, relativize=False)
        rrset = self._records.setdefault(name, {}).setdefault(rdtype, dns.rrset.RRset(name, _IN, rdtype))
        rrset.add(rdata, int(ttl))
        # An ancestor of an owner exists too, without records (an empty non-terminal, RFC 8020 2).
        self._existing.update(_ancestors(name))

    def fill(self, response: Message, name: Name, rdtype: RdataType, *, follow: bool) -> None:
        """Put the answer in, with the aliases that lead to it; a circle of them is given once around."""
        seen = {name}
        while True:
            records = self._records.get(name, {})
            if rdtype in records:
                response.answer.append(records[rdtype])
                return
            if _CNAME not in records:
                break
            response.answer.append(records[_CNAME])
            name = records[_CNAME][0].target.canonicalize()
            if not follow or name in seen:
                return
            seen.add(name)
        if name not in self._existing:
            response.set_rcode(dns.rcode.NXDOMAIN)
        response.authority.append(self._soa(name))

    def _soa(self, name: Name) -> dns.rrset.RRset:
        for apex in _ancestors(name):
            if _SOA in self._records.get(apex, {}):
                return self._records[apex][_SOA]
        return dns.rrset.from_text(dns.name.root, 60, _IN, "SOA", _DEFAULT_SOA)


def _ancestors(name: Name) -> Iterator[Name]:
    yield name
    while name != dns.name.root:
        name = name.parent()
        yield name


def _broken(response: Message, behaviour: str) -> bytes:
    """Add one answer record by hand that no reader can take."""
    question = response.question[0]
    response.use_edns(False)
    wire = response.to_wire()
    header = struct.unpack("!6H", wire[:12])
    # The owner points at the question's name, or, for the loop, at itself, the first octet after it.
    owner = 0xC000 | (len(wire) if behaviour == "compression-loop" else 12)
    record = struct.pack("!HHHIH", owner, question.rdtype, _IN, 60, 1) + b"\0"
    return struct.pack("!6H", *header[:3], 1, 0, 0) + wire[12:] + record


def _key(key: str) -> str:
    if key == "*":
        return key
    name, _, rdtype = key.partition(" ")
    return f"{name.lower().rstrip('.')}. {rdtype.upper()}".rstrip()


def _checked(behaviour: str) -> str:
    if behaviour in BEHAVIOURS:
        return behaviour
    word, _, seconds = behaviour.partition(":")
    if word != "slow" or not seconds.replace(".", "", 1).isdigit():
        raise ValueError(f"{behaviour!r} is no behaviour; known are {', '.join(BEHAVIOURS)}")
    return behaviour


def _text(name: Name) -> str:
    return name.to_text(omit_final_dot=True)
