"""A road of five hosts, a mail host beside it, and things that can go wrong on the way.

    client --- r1 --- r2 --- r3 --- target
                      |
                    other                          IPv4 and IPv6, documentation addresses

`target` is the mail host that is asked about: SMTP on 25, something on 443, UDP closed. `other` is a second mail
host, the canary. The routers limit their ICMP errors as Linux does by default: 6 at once to one address over
IPv4, then one a second. So every run has a client address of its own (`new_client`); what one run used up would
be missing in the next.
"""

from __future__ import annotations

import contextlib
import itertools
import re
import socket
import socketserver
import threading
import time
from typing import TYPE_CHECKING, Protocol, Self

from probe.lab.world import LabThread
from tests.support.netns import Namespace, NamespaceLab

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from probe.lab.world import Host, Lab

HOPS: dict[int, tuple[str, ...]] = {
    4: ("198.51.100.1", "192.0.2.2", "192.0.2.18", "203.0.113.10"),
    6: ("2001:db8:1::1", "2001:db8:12::2", "2001:db8:23::2", "2001:db8:34::10"),
}
"""Who stands at hop 1, 2, 3 and 4 on the way from the client to the target: each with its address towards us."""
TARGET = {family: hops[-1] for family, hops in HOPS.items()}
OTHER = {4: "203.0.113.138", 6: "2001:db8:25::10"}
ABSENT = {4: "203.0.113.13", 6: "2001:db8:34::dead"}
"""An address on the target's link that no machine has."""
NEAR = {4: "198.51.100.254", 6: "2001:db8:1::dead"}
"""An address on the client's own link that no machine has."""
CANARY = "canary.example"
ZONE = f"""\
d.example. 300 MX 10 mx.d.example.
mx.d.example. 300 A {TARGET[4]}
mx.d.example. 300 AAAA {TARGET[6]}
two.example. 300 MX 10 mx.d.example.
two.example. 300 MX 20 {CANARY}.
{CANARY}. 300 A {OTHER[4]}
{CANARY}. 300 AAAA {OTHER[6]}
absent.example. 300 A {ABSENT[4]}
absent.example. 300 AAAA {ABSENT[6]}
near.example. 300 A {NEAR[4]}
near.example. 300 AAAA {NEAR[6]}
"""

_ENDS = {
    # whose: {towards whom: the addresses of this end of the link}
    "client": {"r1": ("198.51.100.2/24", "2001:db8:1::2/64")},
    "r1": {"client": (f"{HOPS[4][0]}/24", f"{HOPS[6][0]}/64"), "r2": ("192.0.2.1/28", "2001:db8:12::1/64")},
    "r2": {
        "r1": (f"{HOPS[4][1]}/28", f"{HOPS[6][1]}/64"),
        "r3": ("192.0.2.17/28", "2001:db8:23::1/64"),
        "other": ("203.0.113.129/28", "2001:db8:25::1/64"),
    },
    "r3": {"r2": (f"{HOPS[4][2]}/28", f"{HOPS[6][2]}/64"), "target": ("203.0.113.1/28", "2001:db8:34::1/64")},
    "target": {"r3": (f"{TARGET[4]}/28", f"{TARGET[6]}/64")},
    "other": {"r2": (f"{OTHER[4]}/28", f"{OTHER[6]}/64")},
}
_ROUTES = {
    "client": ("default via 198.51.100.1", "default via 2001:db8:1::1"),
    "r1": ("default via 192.0.2.2", "default via 2001:db8:12::2"),
    "r2": (
        "198.51.100.0/24 via 192.0.2.1",
        "2001:db8:1::/64 via 2001:db8:12::1",
        "203.0.113.0/28 via 192.0.2.18",
        "2001:db8:34::/64 via 2001:db8:23::2",
    ),
    "r3": ("default via 192.0.2.17", "default via 2001:db8:23::1"),
    "target": ("default via 203.0.113.1", "default via 2001:db8:34::1"),
    "other": ("default via 203.0.113.129", "default via 2001:db8:25::1"),
}
_MTU = 1500
_OBSTACLE = re.compile(r"(\w+) (\w+): (.+)")
_SETTLE_LIMIT = 10.0
"""Seconds after which the road ought to carry packets of both families; it takes about one."""
_SETTLE_TRY = 0.1


class Link(Protocol):
    """What joins two namespaces in place of a pair of virtual Ethernet devices."""

    def join(self, one: Namespace, device: str, other: Namespace, other_device: str) -> None:
        """Make a device in each namespace such that what enters one leaves the other."""

    def close(self) -> None:
        """Stop carrying packets."""


class Road:
    """The six hosts, their links, a name server and what listens on 443, as a context manager.

    `middle` is the link between `r2` and `r3`, if it is to be a special one.
    """

    def __init__(self, middle: Link | None = None) -> None:
        self.hosts = {name: Namespace() for name in _ENDS}
        self.client_ips = {4: "198.51.100.2", 6: "2001:db8:1::2"}
        self._middle = middle
        self._clients = itertools.count(10)
        self._stack = contextlib.ExitStack()

    @property
    def client(self) -> Namespace:
        """The host that probes."""
        return self.hosts["client"]

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            for name, namespace in self.hosts.items():
                stack.enter_context(namespace)
                # Nobody else is on these links: IPv6 need not spend a second on looking for duplicates.
                namespace.sysctl(ipv6__conf__default__accept_dad="0", ipv6__conf__default__dad_transmits="0")
                if name.startswith("r"):
                    _make_router(namespace)
            self._build(stack)
            self._settle()
            self.client.resolve_here()
            stack.enter_context(LabThread(NamespaceLab(self.client, ZONE, {})))
            stack.enter_context(_listening(self.hosts["target"], 443))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def new_client(self) -> dict[int, str]:
        """Let the client use addresses that no router has answered yet; returns that of each family."""
        number, old = next(self._clients), self.client_ips
        self.client_ips = {4: f"198.51.100.{number}", 6: f"2001:db8:1::{number}"}
        self.client.ip(
            f"address delete {old[4]}/24 dev r1",
            f"address delete {old[6]}/64 dev r1",
            f"address add {self.client_ips[4]}/24 dev r1",
            f"address add {self.client_ips[6]}/64 dev r1 nodad",
            *(f"route replace {route}" for route in _ROUTES["client"]),  # the first one went with its address
        )
        return self.client_ips

    @contextlib.contextmanager
    def obstructed(self, *obstacles: str) -> Iterator[None]:
        """Put obstacles in the way, and take them away again. Each reads `HOST KIND: WHAT`.

        r2 forward: tcp dport 25 drop       a firewall rule, KIND being the hook (see `Namespace.filters`)
        r3 route: blackhole 203.0.113.10    a route more
        r3 mtu: r2 1400                     a small MTU on the way from r3 to r2
        """
        filters: dict[str, dict[str, list[str]]] = {}
        with contextlib.ExitStack() as undo:
            for obstacle in obstacles:
                found = _OBSTACLE.fullmatch(obstacle)
                assert found, obstacle
                name, kind, what = found.groups()
                host = self.hosts[name]
                if kind == "route":
                    host.ip(f"route add {what}")
                    undo.callback(host.ip, f"route delete {what}")
                elif kind == "mtu":
                    device, size = what.split()
                    host.ip(f"link set {device} mtu {size}")
                    undo.callback(host.ip, f"link set {device} mtu {_MTU}")
                else:
                    filters.setdefault(name, {}).setdefault(kind, []).append(what)
            for name, chains in filters.items():
                self.hosts[name].filters(chains)
                undo.callback(self.hosts[name].unfilter)
            yield

    @contextlib.contextmanager
    def serving(self, name: str, host: str | Callable[[str], Host]) -> Iterator[Lab]:
        """Let something stand at port 25 of a host, on its addresses towards the client.

        That is a script of `probe.lab.script`, or whatever `host` makes of an address.
        """
        addresses = {"target": TARGET, "other": OTHER, "r2": {4: HOPS[4][1], 6: HOPS[6][1]}}[name].values()
        lab = NamespaceLab(
            self.hosts[name], "", {ip: host if isinstance(host, str) else host(ip) for ip in addresses}
        )
        with LabThread(lab):
            yield lab

    def _build(self, stack: contextlib.ExitStack) -> None:
        for one, other in (("client", "r1"), ("r1", "r2"), ("r2", "other"), ("r3", "target")):
            self._join(one, other)
        if self._middle is None:
            self._join("r2", "r3")
        else:
            self._middle.join(self.hosts["r2"], "r3", self.hosts["r3"], "r2")
            stack.callback(self._middle.close)
        for name, ends in _ENDS.items():
            lines = ["link set lo up"]
            for device, (over_4, over_6) in ends.items():
                lines += [f"address add {over_4} dev {device}", f"address add {over_6} dev {device} nodad"]
                lines.append(f"link set {device} up")
            self.hosts[name].ip(*lines, *(f"route add {route}" for route in _ROUTES[name]))
        # A network card that leaves it to TCP to cut its segments: virtual Ethernet would carry, and lose, a
        # whole reply as one packet.
        self.hosts["target"].ip("link set r3 gso_max_segs 1")

    def _join(self, one: str, other: str) -> None:
        self.hosts[one].ip(
            f"link add {other} mtu {_MTU} type veth peer name {one} mtu {_MTU} netns {self.hosts[other].name}"
        )

    def _settle(self) -> None:
        """Wait until both ends answer: the kernel tells IPv6 of a new link with delay."""
        end = time.monotonic() + _SETTLE_LIMIT
        with self.client.entered():
            for ip in (*TARGET.values(), *OTHER.values()):
                while not _refuses(ip):
                    if time.monotonic() > end:
                        raise OSError(f"{ip} cannot be reached {_SETTLE_LIMIT} s after the set-up")


def _make_router(namespace: Namespace) -> None:
    namespace.sysctl(
        ipv4__ip_forward="1",
        ipv6__conf__all__forwarding="1",
        # Where packets come from and go to is the tests' business, also in a loop. A redirect would count
        # against the same limit as the errors.
        **{f"ipv4__conf__{which}__rp_filter": "0" for which in ("all", "default")},
        **{f"ipv4__conf__{which}__send_redirects": "0" for which in ("all", "default")},
    )


def _refuses(ip: str) -> bool:
    kind = socket.AF_INET6 if ":" in ip else socket.AF_INET
    with socket.socket(kind, socket.SOCK_STREAM) as probe:
        probe.settimeout(_SETTLE_TRY)
        try:
            probe.connect((ip, 25))
        except ConnectionRefusedError:
            return True
        except OSError:
            pass
    return False


class _Listener(socketserver.TCPServer):
    """Accepts connections over both families and closes each."""

    address_family = socket.AF_INET6
    request_queue_size = 128


@contextlib.contextmanager
def _listening(namespace: Namespace, port: int) -> Iterator[None]:
    with namespace.entered():
        server = _Listener(("::", port), socketserver.BaseRequestHandler)
    with server:
        thread = threading.Thread(
            target=server.serve_forever, kwargs={"poll_interval": 0.05}, name="listener"
        )
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()
