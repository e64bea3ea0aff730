"""How fast a path of 30 hops is traced: `python -m benchmarks.longpath [ROUNDS]`, as root.

Thirty hops over IPv4 in namespaces: 29 routers with the ICMP limits of a stock Linux, the first link with a
round trip of 40 ms, and port 25 dropped at the last router. Prints the lapse of the trace of the mail port, from
its first packet with a small hop limit to the last answer to one of them, less one round trip; the same for the
whole search, which first asks the host for its distance and afterwards asks the hops around the last one again;
and the packets that this cost. The figures come from the evidence that `--save -` writes.
"""

from __future__ import annotations

import compileall
import json
import statistics
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

import probe
from benchmarks.measure import PROBE, environment
from probe.lab.world import LabThread
from tests.full.command import NOBODY
from tests.support.netns import Namespace, NamespaceLab
from tests.support.relay import Relay

if TYPE_CHECKING:
    from collections.abc import Iterator

HOPS = 30
"""Hops to the mail host: one more than there are routers."""
TRIP = 0.04
"""Round trip in seconds, all of it on the first link, so that every answer takes it."""
BEYOND = 0.05
"""Seconds that the trace may take beyond one round trip."""
CLIENT, FIRST, HOST = "198.51.100.2", "198.51.100.1", "203.0.113.10"
ZONE = f"d.example. 300 MX 10 mx.d.example.\nmx.d.example. 300 A {HOST}"


class Timing(Struct, frozen=True):
    """One search: seconds of the trace and of all of it, each less a round trip, and what it cost and found."""

    trace: float
    search: float
    packets: int
    reached: int


@contextmanager
def _long_road() -> Iterator[Namespace]:
    """Build the path; gives the client."""
    with ExitStack() as stack:
        hosts = [stack.enter_context(Namespace()) for _ in range(HOPS + 1)]
        client, *routers, target = hosts
        relay = Relay(TRIP / 2)
        relay.join(client, "next", routers[0], "back")
        stack.callback(relay.close)
        client.ip(
            "link set lo up", f"address add {CLIENT}/24 dev next", "link set next up",
            f"route add default via {FIRST}",
        )  # fmt: skip
        for router in routers:
            router.sysctl(ipv4__ip_forward="1")
        for number, (near, far) in enumerate(zip(routers, hosts[2:], strict=True)):
            here, there = f"192.0.2.{2 * number}", f"192.0.2.{2 * number + 1}"
            if far is target:
                here, there = "203.0.113.1", HOST
            size = 24 if far is target else 31
            near.ip(
                f"link add next type veth peer name back netns {far.name}",
                f"address add {here}/{size} dev next",
            )
            near.ip("link set next up")
            far.ip("link set lo up", f"address add {there}/{size} dev back", "link set back up")
            far.ip(f"route add {'default' if far is target else '198.51.100.0/24'} via {here}")
            if far is not target:
                near.ip(f"route add default via {there}")
        routers[0].ip("link set lo up", f"address add {FIRST}/24 dev back", "link set back up")
        routers[-1].filter("forward", "tcp dport 25 drop")
        client.resolve_here()
        stack.enter_context(LabThread(NamespaceLab(client, ZONE, {})))
        yield client


def _timing(client: Namespace) -> Timing:
    words = [*NOBODY, *PROBE, "-4", "--save", "-", "--allow-private", "--helo", "probe.example.net",
             "--no-canary", "user@d.example"]  # fmt: skip
    done = subprocess.run(
        client.command(*words), capture_output=True, check=False, env=environment(), timeout=60
    )
    if not done.stdout:
        sys.exit(done.stderr.decode())
    probes: list[dict[str, Any]] = json.loads(done.stdout)["hosts"][0]["path"]["probes"]
    answered = [one for one in probes if one["answer"] not in {"silent", "local"}]
    traced = [one for one in answered if one["port"] == 25 and one["ttl"] is not None]
    return Timing(
        max(one["ended"] for one in traced) - min(one["sent"] for one in traced) - TRIP,
        max(one["ended"] for one in answered) - min(one["sent"] for one in probes) - TRIP,
        len(probes),
        max(one["ttl"] for one in traced),
    )


def main() -> int:
    """Measure and print; exit code 1 when the goal is missed."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    compileall.compile_dir(Path(probe.__file__).parent, quiet=1)  # `nobody` could not keep it
    with _long_road() as client:
        _timing(client)  # the neighbours get to know each other
        timings = [_timing(client) for _ in range(rounds)]
    trace = statistics.median(one.trace for one in timings)
    search = statistics.median(one.search for one in timings)
    met = trace <= BEYOND
    print(f"{HOPS} hops, round trip {TRIP * 1000:.0f} ms, median of {rounds}, beyond one round trip:")
    print(
        f"  trace of the mail port {trace * 1000:6.1f} ms  goal {BEYOND * 1000:g}  {'ok' if met else 'MISSED'}"
    )
    print(f"  the whole search       {search * 1000:6.1f} ms")
    print(
        f"  packets {sorted(one.packets for one in timings)}, last hop {sorted(one.reached for one in timings)}"
    )
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
