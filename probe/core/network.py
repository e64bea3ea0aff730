"""What the packets to a mail host tell, in a few small enums: the columns of `Facts` about the network.

Where the packets of a silent port end, who refuses, who answers instead of the host, what the connection did
while SMTP was silent. `network_facts.py` reads them off the evidence, `network_rules.py` says what follows.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

FAST_VERDICT = 2.1
"""Seconds after the first SYN at which --fast says "filtered": Linux has repeated it after 1 and 2 s."""
FULL_VERDICT = 3.4
"""Seconds after the first SYN at which "filtered" is said. A router that gets no answer to ARP or ND from the
host says so after 3.05 s (three requests, a second apart): nobody is called filtered who is down."""
SLOW_VERDICT = 7.0
"""Seconds that are waited where controls were lost: two more repetitions of the SYN, after 4 and 5 s."""
REPEATED_AFTER = 0.9
"""Seconds after which an answer to a connect is one to its repetition: the kernel waits for one."""
SILENT_ENOUGH = 2.0
"""Seconds of silence below which nothing is concluded from it: fewer than three SYNs were on their way."""
ALIVE_WITHIN = 3.0
"""A peer whose TCP answered within this many seconds is alive: keepalives go out every second."""
DEAD_AFTER = 6.0
"""A peer whose TCP has not answered for so long, to a keepalive each second, is no longer reached."""
SMALL_SEGMENT = {4: 536, 6: 1220}
"""Octets of a segment that passes any path: what IPv4 takes without asking (RFC 9293 3.7.1), and what is left of
the 1280 of every IPv6 link (RFC 8200 5)."""
OWN_EDGE = 1
"""The last hop that counts as our own network: a port that ends there ends for every mail host alike."""
ARP_GIVES_UP = 2.5
"""Seconds after which "host unreachable" from our own address comes from ARP or ND, and not from a firewall."""


class Silence(StrEnum):
    """Where the packets of a port without any answer end.

    `loosely` is a place with hops in it that say nothing; `up-to-host` such a one that goes on to the host itself. The
    last four are not silent for all of them: a router answers some with an ICMP error, and not the SYN that waits.
    """

    UNTESTED = "untested"
    OWN_OUTPUT = "own-output"
    OWN_LINK = "own-link"
    NEAR = "near"
    NEAR_LOOSELY = "near-loosely"
    BETWEEN = "between"
    BETWEEN_LOOSELY = "between-loosely"
    UP_TO_HOST = "up-to-host"
    FAR_END = "far-end"
    SOMEWHERE = "somewhere"
    HOST_SILENT = "host-silent"
    ALL_SILENT = "all-silent"
    LOSSY = "lossy"
    PORT_UNREACHABLE = "port-unreachable"
    HOST_UNREACHABLE = "host-unreachable"
    NET_UNREACHABLE = "net-unreachable"
    PROHIBITED = "prohibited"


class Refuser(StrEnum):
    """Who refused the connection; `doubtful` is a RST that may come from nearer than the host."""

    UNTESTED = "untested"
    OURSELVES = "ourselves"
    OWN_LINK = "own-link"
    FIRST_HOP = "first-hop"
    MIDDLEBOX = "middlebox"
    ROUTER = "router"
    HOST = "host"
    DOUBTFUL = "doubtful"
    LOOP = "loop"


class Ports(StrEnum):
    """Whether a refusal meets the mail port only."""

    UNTESTED = "untested"
    THIS_ONE = "this-one"
    EVERY = "every"


class Us(StrEnum):
    """Whether another mail host, known to be up, can be reached from here."""

    UNTESTED = "untested"
    OPEN = "open"
    SILENT = "silent"


class After(StrEnum):
    """What the connection itself did while the peer's SMTP was silent.

    `small-segments-helped` is a second connection with small segments that got the missing reply;
    `small-segments-proved` the same where the first one had seen segments arrive behind a gap.
    """

    UNTESTED = "untested"
    ALIVE = "alive"
    DEAD = "dead"
    REJECTED = "rejected"
    SMALL_HELPED = "small-segments-helped"
    SMALL_PROVED = "small-segments-proved"


class Nearer(StrEnum):
    """Whether something answers the mail port that is nearer than the host.

    On our half of the way it is a stranger to the mail host (`probably`, where no other port was seen to pass it).
    On the other half it may well be its own: a gateway or load balancer that takes the mail, and lets other
    packets pass to the machine behind it.
    """

    UNTESTED = "untested"
    NO = "no"
    AT_ITS_DOOR = "at-its-door"
    PROBABLY = "probably"
    YES = "yes"


class Elsewhere(Struct, frozen=True):
    """Whether the port is open for us at another mail host, and which one says so."""

    us: Us = Us.UNTESTED
    name: str | None = None


class Columns(Struct, frozen=True, kw_only=True):
    """The columns of `Facts` that come from the network."""

    silence: Silence = Silence.UNTESTED
    refuser: Refuser = Refuser.UNTESTED
    ports: Ports = Ports.UNTESTED
    us: Us = Us.UNTESTED
    after: After = After.UNTESTED
    nearer: Nearer = Nearer.UNTESTED


class Path(Columns, frozen=True, kw_only=True):
    """The columns, and the hops and addresses that sentences name.

    `reached` is the last hop that the port's packets reached (0: none, they end at this host's door), `beyond`
    the next one that a control reached; `distance` the hop of the host itself. `control` is what of the host
    did answer, `refuser` who refused and `refuser_hop` where that is.
    """

    reached: int | None = None
    reached_router: str | None = None
    beyond: int | None = None
    beyond_router: str | None = None
    distance: int | None = None
    control: str | None = None
    refuser_ip: str | None = None
    refuser_hop: int | None = None
    loop: tuple[str, ...] = ()
    canary: str | None = None
