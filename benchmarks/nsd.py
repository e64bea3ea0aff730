"""NSD on loopback, for the benchmarks that need a name server faster than what they measure (Debian package nsd)."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

READY_WITHIN = 60.0
"""Seconds that reading the zone may take."""
_STEP = 0.05
_BINDS = 5
"""Attempts at a port that nobody else takes between our look at it and NSD's."""
_CONFIGURATION = """\
server:
    ip-address: 127.0.0.1@{port}
    username: ""
    chroot: ""
    zonesdir: "{folder}"
    database: ""
    zonelistfile: "{folder}/zone.list"
    xfrdfile: "{folder}/xfrd.state"
    xfrdir: "{folder}"
    pidfile: "{folder}/nsd.pid"
    logfile: "{folder}/nsd.log"
    server-count: 1
    tcp-count: 200
    rrl-ratelimit: 0
remote-control:
    control-enable: no
zone:
    name: "."
    zonefile: "{folder}/root.zone"
"""
_QUERY = b"\x2a\x2a\x01\0\0\x01\0\0\0\0\0\0" + b"\0" + b"\0\x06\0\x01"
"""The SOA of the root: id, RD, one question, and that question (RFC 1035 4.1)."""
_APEX = """\
. 300 IN SOA ns.invalid. hostmaster.invalid. 1 3600 600 86400 60
. 300 IN NS ns.invalid.
"""


class NsdError(Exception):
    """NSD is not installed, or does not start; the text says which, with what it wrote into its log."""


@contextmanager
def nsd(zone_lines: Iterable[str]) -> Iterator[int]:
    """Serve the zone `.` with these records over UDP and TCP, and give the port on 127.0.0.1.

    The lines are of a master file (RFC 1035 5), each with its owner, absolute: `d.example. 300 MX 10 mx.d.example.`
    SOA and NS of the zone are there already; absence holds for 60 s. One process serves, without rate limit. It is
    ended, and its files are removed, when the block is left. Raises `NsdError`.
    """
    program = shutil.which("nsd", path="/usr/sbin:/usr/local/sbin:/sbin") or shutil.which("nsd")
    if program is None:
        raise NsdError("nsd is not installed (Debian: apt-get install nsd)")
    with tempfile.TemporaryDirectory(prefix="nsd-") as name:
        folder = Path(name)
        with (folder / "root.zone").open("w", encoding="ascii") as file:
            file.write(_APEX)
            file.writelines(f"{line}\n" for line in zone_lines)
        process, port = _started(program, folder)
        try:
            yield port
        finally:
            process.terminate()
            process.wait()


def _started(program: str, folder: Path) -> tuple[subprocess.Popen[bytes], int]:
    configuration = folder / "nsd.conf"
    for _ in range(_BINDS):
        port = _free_port()
        configuration.write_text(_CONFIGURATION.format(port=port, folder=folder))
        process = subprocess.Popen(
            [program, "-d", "-c", str(configuration)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        if _answers(process, port):
            return process, port
        process.terminate()
        process.wait()
    with suppress(OSError):
        raise NsdError("nsd does not start: " + (folder / "nsd.log").read_text(errors="replace")[-2000:])
    raise NsdError("nsd does not start, and wrote no log")


def _answers(process: subprocess.Popen[bytes], port: int) -> bool:
    deadline = time.monotonic() + READY_WITHIN
    while process.poll() is None and time.monotonic() < deadline:
        with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(1.0)
            sock.connect(("127.0.0.1", port))
            sock.send(_QUERY)
            if sock.recv(512)[:2] == _QUERY[:2]:
                return True
        time.sleep(_STEP)
    return False


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port
