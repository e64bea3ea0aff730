"""Network namespaces with real links and real firewall rules, for tests that run as root.

    client (198.51.100.2) --- router --- server (203.0.113.x)          and the same in 2001:db8::/32

Everything is made by a context manager and deleted at its end, also when the test fails. Names hold the process
id, so that the workers of pytest-xdist do not meet. Inside a namespace the real ports are free: a lab that
stands there listens on 53 and 25, and commands find its name server in their own /etc/resolv.conf.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import itertools
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

import pytest

from probe.lab.world import Lab

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from probe.lab.world import Host

DNS_PORT = 53
SMTP_PORT = 25
CLIENT = {4: "198.51.100.2", 6: "2001:db8:1::2"}
"""The client's address of each family."""

_CLONE_NEWNET = 0x40000000
_NETNS = Path("/run/netns")
_RESOLV_CONF = Path("/etc/netns")
_NUMBERS = itertools.count(1)
_SETTLE_LIMIT = 10.0
"""Seconds after which a chain of namespaces ought to carry packets of both families; it takes about one."""
_SETTLE_TRY = 0.1
_COMMAND_LIMIT = 40
"""Seconds for any command: below the limit of a test, so that the test can say which command it was."""


def server_ip(family: int, number: int) -> str:
    """Give the address of mail host `number` (10 to 99) in the server's namespace."""
    return f"203.0.113.{number}" if family == 4 else f"2001:db8:2::{number}"


def tool(name: str) -> str | None:
    """Find a program of the system, also in the directories that a user's PATH leaves out."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def need(*tools: str) -> None:
    """Skip the test when this machine lacks root, namespaces or one of the `tools`; say which."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    missing = [name for name in ("ip", *tools) if tool(name) is None]
    if missing:
        pytest.skip(f"needs {', '.join(missing)}")
    # A container may give root without the right to make namespaces.
    if subprocess.run(["unshare", "--net", "true"], capture_output=True, check=False).returncode:
        pytest.skip("needs the right to make network namespaces")


class Namespace:
    """A network namespace without any interface but a loopback that is down, as a context manager."""

    def __init__(self) -> None:
        self.name = f"probe-{os.getpid()}-{next(_NUMBERS)}"

    def __enter__(self) -> Self:
        _run("ip", "netns", "add", self.name)
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(_RESOLV_CONF / self.name, ignore_errors=True)
        _run("ip", "netns", "delete", self.name)

    def command(self, *words: str) -> list[str]:
        """Give the command line that runs `words` in here."""
        return ["ip", "netns", "exec", self.name, *words]

    def run(self, *words: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command in here, with `given` on its standard input; its exit code is the caller's matter.

        What it prints is taken as latin-1 (no byte is wrong or lost), because Exim prints a peer's bytes.
        """
        return subprocess.run(
            self.command(*words),
            input=given,
            capture_output=True,
            encoding="latin-1",
            check=False,
            timeout=_COMMAND_LIMIT,
        )

    def ip(self, *lines: str) -> None:
        """Run lines of `ip -batch` in here."""
        _run("ip", "-n", self.name, "-batch", "-", given="\n".join(lines))

    def filter(self, hook: str, *rules: str) -> None:
        """Replace all firewall rules of this namespace by these nft rules, which meet IPv4 and IPv6 packets."""
        self.filters({hook: rules})

    def filters(self, chains: Mapping[str, Iterable[str]]) -> None:
        """Replace all firewall rules of this namespace by a chain of nft rules for each hook.

        The hook `redirect` stands for the place where rules may turn packets to another port or host.
        """
        text = ["flush ruleset", "table inet test {"]
        for hook, rules in chains.items():
            place = "nat hook prerouting" if hook == "redirect" else f"filter hook {hook}"
            text += [f"chain on_{hook} {{", f"type {place} priority 0; policy accept", *rules, "}"]
        _run(*self.command("nft", "-f", "-"), given="\n".join([*text, "}\n"]))

    def unfilter(self) -> None:
        """Take all firewall rules of this namespace away."""
        _run(*self.command("nft", "flush", "ruleset"))

    def sysctl(self, **settings: str) -> None:
        """Set values under /proc/sys/net; a double underscore stands for a slash."""
        with self.entered():  # what stands in /proc/sys/net is that of the thread which opens it
            for key, value in settings.items():
                Path("/proc/sys/net", key.replace("__", "/")).write_text(value, encoding="ascii")

    def resolve_here(self) -> None:
        """Let the commands in here ask a name server on the loopback of this namespace."""
        folder = _RESOLV_CONF / self.name  # `ip netns exec` mounts its files over those of /etc
        folder.mkdir(parents=True)
        text = "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n"
        (folder / "resolv.conf").write_text(text, encoding="ascii")

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """Make the sockets of this thread, and of the threads it starts, belong to this namespace."""
        with Path("/proc/thread-self/ns/net").open("rb") as home, (_NETNS / self.name).open("rb") as there:
            _enter(there.fileno())
            try:
                yield
            finally:
                _enter(home.fileno())


class NamespaceLab(Lab):
    """A lab inside a namespace, on the real ports: its name server on 127.0.0.1:53, its mail hosts on 25."""

    def __init__(
        self,
        namespace: Namespace,
        zone: str,
        hosts: Mapping[str, Host | str],
        behaviours: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(zone, hosts, behaviours)
        self._namespace = namespace

    async def __aenter__(self) -> Self:
        with self._namespace.entered():
            try:
                self.dns_port = await self._names.start("127.0.0.1", DNS_PORT)
                for host in self.hosts.values():
                    await host.start(SMTP_PORT)
                self.port = SMTP_PORT
            except BaseException:
                await self._stop()
                raise
        return self


class Chain:
    """Three namespaces in a row, as a context manager; `hosts` are the numbers of the server's mail hosts."""

    def __init__(self, hosts: tuple[int, ...]) -> None:
        self.client, self.router, self.server = Namespace(), Namespace(), Namespace()
        self._hosts = hosts
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            for namespace in (self.client, self.router, self.server):
                stack.enter_context(namespace)
                namespace.sysctl(
                    # A limit of one ICMP error a second would make one test see what another one used up.
                    ipv4__icmp_ratelimit="0",
                    ipv6__icmp__ratelimit="0",
                    # Nobody else is on these links: IPv6 need not spend a second on looking for duplicates.
                    ipv6__conf__default__accept_dad="0",
                    ipv6__conf__default__dad_transmits="0",
                )
            self._connect()
            self._settle()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def open(self) -> None:
        """Take every firewall rule away."""
        for namespace in (self.client, self.router, self.server):
            namespace.unfilter()

    def _connect(self) -> None:
        self.router.sysctl(ipv4__ip_forward="1", ipv6__conf__all__forwarding="1")
        self.client.resolve_here()
        self.client.ip(
            "link set lo up",
            f"link add router type veth peer name client netns {self.router.name}",
            f"address add {CLIENT[4]}/24 dev router",
            f"address add {CLIENT[6]}/64 dev router nodad",
            "link set router up",
        )
        self.server.ip(
            "link set lo up",
            f"link add router type veth peer name server netns {self.router.name}",
            "address add 203.0.113.2/24 dev router",
            "address add 2001:db8:2::2/64 dev router nodad",
            *(f"address add {server_ip(4, number)}/24 dev router" for number in self._hosts),
            *(f"address add {server_ip(6, number)}/64 dev router nodad" for number in self._hosts),
            "link set router up",
        )
        self.router.ip(
            "address add 198.51.100.1/24 dev client",
            "address add 2001:db8:1::1/64 dev client nodad",
            "address add 203.0.113.1/24 dev server",
            "address add 2001:db8:2::1/64 dev server nodad",
            "link set client up",
            "link set server up",
        )
        self.client.ip("route add default via 198.51.100.1", "route add default via 2001:db8:1::1")
        self.server.ip("route add default via 203.0.113.1", "route add default via 2001:db8:2::1")

    def _settle(self) -> None:
        """Wait until a closed port of the server answers: the kernel tells IPv6 of a new link with delay."""
        end = time.monotonic() + _SETTLE_LIMIT
        with self.client.entered():
            for family, kind in ((4, socket.AF_INET), (6, socket.AF_INET6)):
                while time.monotonic() < end:
                    with socket.socket(kind, socket.SOCK_STREAM) as probe:
                        probe.settimeout(_SETTLE_TRY)
                        if (
                            probe.connect_ex((server_ip(family, self._hosts[0]), SMTP_PORT))
                            == errno.ECONNREFUSED
                        ):
                            break
                else:
                    raise OSError(
                        f"the server cannot be reached over IPv{family} {_SETTLE_LIMIT} s after the set-up"
                    )


def _enter(descriptor: int) -> None:
    # os.setns came with Python 3.12.
    if ctypes.CDLL(None, use_errno=True).setns(descriptor, _CLONE_NEWNET):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _run(*words: str, given: str | None = None) -> None:
    done = subprocess.run(
        words, input=given, capture_output=True, text=True, check=False, timeout=_COMMAND_LIMIT
    )
    assert done.returncode == 0, f"{' '.join(words)}: {done.stderr.strip()}\n{given or ''}"
