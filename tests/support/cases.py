"""Golden cases: a folder of `fixtures/cases` is loaded, played on loopback and held against what it expects.

A case is one `case.toml`; its expectation was written by hand, from the contract and the facts, before the
program could be run.

    title, why          what happens, and what the case proves
    address, options    the command line; `allow_private` (default true) adds --allow-private
    needs               "ipv6" when `::1` must exist
    zone, [dns]         what the name server knows, and how it misbehaves (probe.lab.nameserver)
    [peers.IP]          `script` (probe.lab.script), with `tls = true` for a certificate; or `state`
    [expect]            see `Expectation`
"""

from __future__ import annotations

import contextlib
import io
import json
import socket
import ssl
import time
import tomllib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import msgspec
import trustme

from probe import codec
from probe.cli import main
from probe.core.classify import judge
from probe.lab.peer import HUNG_UP, Peer
from probe.lab.world import ClosedHost, DeadHost, Lab, LabThread

if TYPE_CHECKING:
    from collections.abc import Iterator

    from probe.lab.peer import Seen
    from probe.lab.world import Host

CASES = Path(__file__).parents[2] / "fixtures" / "cases"
HELO = "probe.example.net"
UNDECIDED = "undecided"
"""TOML has no null: this stands for `catch_all: null`."""


class HostExpectation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is said of one mail host; `None` says only that it is listed."""

    ip: str
    cause: str | None = None
    reason: str | None = None


class Expectation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the report and the hosts must show; a list allows any of its words, `None` leaves it open.

    `violations` must be reported, `keeps` must not: the peer was put to the test there, and passed. `connections`
    counts them by host, `sent` are commands that some host must have seen, in this order and
    letter by letter, `quit` (default true) demands QUIT wherever a host waited for a command, and
    `max_seconds` limits the whole run.
    """

    cause: str
    reason: str | list[str]
    exit: int
    confidence: str | list[str] | None = None
    side: str | list[str] | None = None
    catch_all: bool | str | None = None
    hosts: list[HostExpectation] = []
    summary_has: list[str] = []
    violations: list[str] = []
    keeps: list[str] = []
    connections: dict[str, int] = {}
    sent: list[str] = []
    quit: bool = True
    max_seconds: float = 5.0


class HostSetup(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What stands at one address: a scripted peer, or a host that is `dead` or `closed`."""

    script: str = ""
    state: str = "scripted"
    tls: bool = False


class Case(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One `case.toml`."""

    title: str
    why: str
    address: str
    options: list[str]
    zone: str
    expect: Expectation
    allow_private: bool = True
    needs: str | None = None
    dns: dict[str, str] = {}
    peers: dict[str, HostSetup] = {}


class Outcome(msgspec.Struct, frozen=True):
    """What one run brought."""

    exit: int
    report: dict[str, Any]
    printed: bytes
    errors: str
    seconds: float
    seen: dict[str, list[Seen]]


def names() -> list[str]:
    """Name every case, in order."""
    return sorted(folder.name for folder in CASES.iterdir() if (folder / "case.toml").is_file())


def load(name: str) -> Case:
    """Read a case; a key that is misspelt is an error, not an expectation that is never checked."""
    data = tomllib.loads((CASES / name / "case.toml").read_text(encoding="utf-8"))
    return msgspec.convert(data, Case)


def ipv6_here() -> bool:
    """Tell whether this machine has an IPv6 loopback address."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
        probe.bind(("::1", 0))
        return True
    return False


@cache
def _server_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("mail.example").configure_cert(context)
    return context


def _host(ip: str, setup: HostSetup) -> Host:
    if setup.state == "dead":
        return DeadHost(ip)
    if setup.state == "closed":
        return ClosedHost(ip)
    return Peer(setup.script, ip=ip, tls=_server_context() if setup.tls else None)


def play(case: Case) -> Outcome:
    """Run the program on the case, in this process and on real sockets."""
    lab = Lab(case.zone, {ip: _host(ip, setup) for ip, setup in case.peers.items()}, case.dns)
    buffer, errors = io.BytesIO(), io.StringIO()
    with LabThread(lab), io.TextIOWrapper(buffer, encoding="utf-8", write_through=True) as output:
        arguments = ["--json", "--dns-server", f"127.0.0.1:{lab.dns_port}", "--port", str(lab.port)]
        arguments += ["--helo", HELO, *(["--allow-private"] if case.allow_private else [])]
        began = time.monotonic()
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
            code = main([*arguments, *case.options, case.address])
        seconds = time.monotonic() - began
        printed = buffer.getvalue()
    seen = {ip: peer.connections for ip, peer in lab.peers.items()}
    return Outcome(code, json.loads(printed), printed, errors.getvalue(), seconds, seen)


def disagreements(case: Case, outcome: Outcome) -> Iterator[str]:
    """Say, one by one, where the outcome is not what the case expects."""
    expect, report = case.expect, outcome.report
    for key in ("cause", "reason", "confidence", "side"):
        wanted = getattr(expect, key)
        if wanted is not None and report[key] not in ([wanted] if isinstance(wanted, str) else wanted):
            yield f"{key}: {report[key]!r} instead of {wanted!r}"
    if outcome.exit != expect.exit:
        yield f"exit: {outcome.exit} instead of {expect.exit}"
    if expect.catch_all is not None:
        wanted = None if expect.catch_all == UNDECIDED else expect.catch_all
        if report["catch_all"] is not wanted:
            yield f"catch_all: {report['catch_all']} instead of {wanted}"
    yield from (f"summary lacks {text!r}" for text in expect.summary_has if text not in report["summary"])
    broken = {violation["id"] for violation in report["violations"]}
    yield from (f"violation {name} is not reported" for name in expect.violations if name not in broken)
    yield from (f"violation {name} is reported" for name in expect.keeps if name in broken)
    if outcome.seconds > expect.max_seconds:
        yield f"took {outcome.seconds:.2f} s, limit {expect.max_seconds} s"
    if outcome.errors:
        yield f"standard error: {outcome.errors!r}"
    yield from _about_hosts(expect, report)
    yield from _about_connections(expect, outcome.seen)
    yield from _about_documents(outcome)


def _about_hosts(expect: Expectation, report: dict[str, Any]) -> Iterator[str]:
    hosts = {host["ip"]: host for host in report["hosts"]}
    for wanted in expect.hosts:
        host = hosts.get(wanted.ip)
        if host is None:
            yield f"host {wanted.ip} is not in the report"
        elif wanted.cause is not None and (host["cause"], host["reason"]) != (wanted.cause, wanted.reason):
            yield f"host {wanted.ip}: {host['cause']} {host['reason']}, not {wanted.cause} {wanted.reason}"


def _about_connections(expect: Expectation, seen: dict[str, list[Seen]]) -> Iterator[str]:
    for ip, count in expect.connections.items():
        if len(seen[ip]) != count:
            yield f"{ip} had {len(seen[ip])} connections instead of {count}"
    for ip, connections in seen.items():
        for number, each in enumerate(connections, 1):
            for complaint in each.complaints:
                if expect.quit or complaint != HUNG_UP:
                    yield f"{ip} complains of connection {number}: {complaint}"
    if expect.sent and not any(
        _in_order(expect.sent, [line for each in connections for line in each.commands])
        for connections in seen.values()
    ):
        yield f"no host saw {expect.sent}"


def _in_order(wanted: list[str], commands: list[str]) -> bool:
    left = iter(commands)
    return all(command in left for command in wanted)


def _about_documents(outcome: Outcome) -> Iterator[str]:
    """Hold the report against its schema, and against what its evidence alone leads to."""
    for error in _validator().iter_errors(outcome.report):
        yield f"schema: {error.json_path}: {error.message[:200]}"
    again = json.loads(codec.encode(judge(codec.decode_evidence(outcome.printed, "the report"))))
    yield from (
        f"judged again, {key} is different: {again[key]!r}"
        for key in outcome.report
        if again[key] != outcome.report[key]
    )


@cache
def _validator() -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(codec.schema())


def transcript(outcome: Outcome) -> str:
    """Tell what the hosts saw and what was said of them, for a failing test."""
    report = outcome.report
    lines = [f"{report['cause']} {report['reason']} {report['confidence']}: {report['summary']}"]
    lines += [
        f"  {host['ip']} {host['cause']} {host['reason']} by {host['rule']}" for host in report["hosts"]
    ]
    for host in report["evidence"]["hosts"]:
        for session in host["sessions"]:
            lines.append(f"  {host['ip']} {session['purpose']}: {session['connect']['outcome']}")
            for each in session["exchanges"]:
                said = each["reply"]["lines"] if each["reply"] else ""
                lines.append(f"    {each['stage']} {each['command']!r} -> {each['outcome']} {said}")
    return "\n".join(lines)
