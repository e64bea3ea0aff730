"""Is it us? What was observed of this host -> the checks of `probe-sender doctor`.

The shell (`probe.run.doctor`) looks, and this decides: each check has a function here that works out its state and
the values of its sentence; the sentences and what they come to are the table in `checks.py`. An observation
that is None was not made before --timeout ended; its check is untested, never well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from probe.core.chain import canonical
from probe.core.checks import CHECKS, ROWS, TIME_UP, Result
from probe.core.date import find_mail_date, read_stamp
from probe.core.generic import why_generic
from probe.core.model import CanaryOutcome, DnsOutcome, HeloSource, Scope
from probe.core.observations import HEALTH_SCHEMA, Check, Health
from probe.core.scope import read_ip, scope
from probe.version import RELEASED

if TYPE_CHECKING:
    from collections.abc import Callable

    from probe.core.chain import Found
    from probe.core.model import Canary, DnsAnswer
    from probe.core.observations import End, Observations, Server

SLOW = 1.0
"""Seconds of one answer. What is in the cache takes milliseconds; the root is in every cache."""
CLOCK_TOLERANCE = 300
"""Seconds between our clock and a greeting: what Kerberos allows, and more than NTP ever leaves."""
SHOWN = 3
"""Addresses, names or servers of one sentence."""
_QUOTE = 100
"""Characters of a peer's words in a sentence."""

_ABSENT = frozenset({DnsOutcome.NXDOMAIN, DnsOutcome.NODATA})
_SILENT = frozenset({DnsOutcome.TIMEOUT, DnsOutcome.UNREACHABLE, DnsOutcome.CUT_SHORT, DnsOutcome.MALFORMED})
"""Outcomes by which no name server has answered: they say nothing about the name."""


State = tuple[str, dict[str, str]]
"""A state of a check, as `checks.py` names it, and the values of its sentence."""


def judge(seen: Observations) -> Health:
    """Make the report: every check of `CHECKS`, in that order."""
    return Health(HEALTH_SCHEMA, tuple(_check(name, seen) for name in CHECKS))


def _check(name: str, seen: Observations) -> Check:
    general, _, ipv = name.partition("-ipv")
    state, values = _BY_FAMILY[general](seen, int(ipv)) if ipv else _ONCE[name](seen)
    if state == TIME_UP:
        return Check(name, Result.UNTESTED, "our time was up", "give more with --timeout")
    row = ROWS[general, state]
    values = {"ipv": ipv, "other": "4" if ipv == "6" else "6", **values}
    return Check(
        name,
        row.result,
        row.says.format_map(values),
        None if row.mend is None else row.mend.format_map(values),
    )


# --- the name servers --------------------------------------------------------------------------------


def _answers(seen: Observations) -> State:
    asked = [(server.endpoint, server.root) for server in seen.servers if server.root is not None]
    if len(asked) < len(seen.servers):
        return TIME_UP, {}
    good = [(endpoint, _last_lapse(root)) for endpoint, root in asked if _spoke(root)]
    values = {
        "good": _some([f"{endpoint} answers within {_seconds(lapse)}" for endpoint, lapse in good]),
        "bad": _some([endpoint for endpoint, root in asked if not _spoke(root)]),
    }
    if not good:
        return "none", values
    if values["bad"]:
        return "some", values
    return ("slow" if max(lapse for _, lapse in good) > SLOW else "all"), values


def _root(seen: Observations) -> State:
    return _each(
        [(server.endpoint, server.root) for server in seen.servers if not _is_silent(server)],
        lambda root: None if root.outcome is DnsOutcome.ANSWER else _reported(root),
        well="known",
        wrong="unknown",
        silent=_all_silent(seen),
    )


def _nxdomain(seen: Observations) -> State:
    asked = [(server.endpoint, server.invalid) for server in seen.servers if not _is_silent(server)]
    lies = any(answer is not None and answer.outcome is DnsOutcome.ANSWER for _, answer in asked)
    return _each(
        asked,
        lambda answer: None if answer.outcome is DnsOutcome.NXDOMAIN else _reported(answer),
        well="honest",
        wrong="lies" if lies else "odd",
        silent=_all_silent(seen),
    )


def _tcp(seen: Observations) -> State:
    return _each(
        [(server.endpoint, server.tcp) for server in seen.servers if not _is_silent(server)],
        lambda answer: None if _spoke(answer) else _reported(answer),
        well="answers",
        wrong="fails",
        silent=_all_silent(seen),
    )


def _each(
    asked: list[tuple[str, DnsAnswer | None]],
    trouble: Callable[[DnsAnswer], str | None],
    *,
    well: str,
    wrong: str,
    silent: bool,
) -> State:
    """Judge what each server answered; `trouble` gives what is wrong with an answer, None when nothing is."""
    if silent:
        return "silent", {}
    troubles = [(endpoint, trouble(answer)) for endpoint, answer in asked if answer is not None]
    if len(troubles) < len(asked):
        return TIME_UP, {}
    bad = [f"{endpoint} {what}" for endpoint, what in troubles if what is not None]
    if bad:
        return wrong, {"bad": _some(bad)}
    return well, {"good": _some([endpoint for endpoint, _ in troubles])}


def _is_silent(server: Server) -> bool:
    return server.root is not None and not _spoke(server.root)


def _all_silent(seen: Observations) -> bool:
    return all(map(_is_silent, seen.servers))


def _spoke(answer: DnsAnswer) -> bool:
    return answer.outcome not in _SILENT


def _last_lapse(answer: DnsAnswer) -> float:
    return answer.tries[-1].ended - answer.tries[-1].sent if answer.tries else 0.0


def _reported(answer: DnsAnswer) -> str:
    if answer.outcome is DnsOutcome.ANSWER:
        return f"gives {_some([_quoted(record.data) for record in answer.records]) or 'an answer'}"
    return f"gives no answer ({answer.outcome})" if answer.outcome in _SILENT else f"answers {answer.outcome}"


# --- our name ----------------------------------------------------------------------------------------


def _helo_name(seen: Observations) -> State:
    if seen.helo_source is None:
        return TIME_UP, {}
    if seen.helo is None:
        return "unqualified", {"host_name": _quoted(seen.host_name)}
    if seen.helo.startswith("["):
        return "literal", {"helo": seen.helo}
    return ("given" if seen.helo_source is HeloSource.OPTION else "host"), {"helo": seen.helo}


def _helo_generic(seen: Observations) -> State:
    if seen.helo_source is None:
        return TIME_UP, {}
    if seen.helo is None or seen.helo.startswith("["):
        return "no-name", {}
    whys = [why_generic(seen.helo, ip) for ip in (None, *_own(seen))]
    why = next(filter(None, whys), None)
    return ("own", {"helo": seen.helo}) if why is None else ("generic", {"helo": seen.helo, "why": why})


def _helo_address(seen: Observations) -> State:
    if seen.helo_source is None:
        return TIME_UP, {}
    if seen.helo is None or seen.helo.startswith("["):
        return "no-name", {}
    if not seen.helo_addresses:
        return TIME_UP, {}
    addresses = [record.data for found in seen.helo_addresses for record in found.records]
    values = {"helo": seen.helo, "addresses": _some(addresses), "ours": _some(_own(seen))}
    if not addresses:
        outcomes = sorted({found.outcome for found in seen.helo_addresses})
        absent = _ABSENT.issuperset(outcomes)
        return ("none" if absent else "failed"), {**values, "outcome": ", ".join(outcomes)}
    if any(_is_among(ip, addresses) for ip in _own(seen)):
        return "ours", values
    return ("another" if any(map(_is_public, _own(seen))) else "hidden"), values


def _own(seen: Observations) -> list[str]:
    return [end.ip for end in seen.ends if end.ip is not None]


# --- our addresses -----------------------------------------------------------------------------------


def _address(seen: Observations, family: int) -> State:
    end = _end(seen, family)
    if end is None:
        return "excluded", {}
    if end.ip is None:
        return (f"no-ipv{family}" if _own(seen) else "none"), {}
    read = read_ip(end.ip)
    kind = Scope.RESERVED if read is None else scope(read)
    return ("public" if kind is Scope.PUBLIC else "not-public"), {"ip": end.ip, "scope": kind}


def _ptr(seen: Observations, family: int) -> State:
    end = _end(seen, family)
    if end is None or end.ip is None:
        return "no-address", {}
    values = {"ip": end.ip}
    if not _is_public(end.ip):
        return "not-public", values
    if end.names is None:
        return TIME_UP, {}
    values["outcome"] = end.names.outcome
    if end.names.outcome in _ABSENT:
        return "missing", values
    if end.names.outcome is not DnsOutcome.ANSWER:
        return ("failed" if end.names.outcome in _SILENT else "broken"), values
    if not end.addresses:
        return TIME_UP, {}
    names = pointed_names(end.names)
    confirmed = [
        name
        for name, found in zip(names, end.addresses, strict=False)
        if _is_among(end.ip, [record.data for record in found.records])
    ]
    values["name"] = _some(confirmed or names)
    if confirmed:
        whys = [why_generic(name, end.ip) for name in confirmed]
        return ("confirmed", values) if None in whys else ("generic", {**values, "why": whys[0] or ""})
    unanswered = [found.outcome for found in end.addresses if found.outcome in _SILENT]
    if unanswered:
        return "failed", {**values, "outcome": unanswered[0]}
    others = _some([record.data for found in end.addresses for record in found.records])
    return "unconfirmed", {**values, "addresses": others or "no address"}


def pointed_names(found: Found) -> list[str]:
    """Give the names that a PTR look-up found and that are looked at, in presentation form: the first few."""
    return [canonical(record.data) for record in found.records[:SHOWN]]


def _end(seen: Observations, family: int) -> End | None:
    return next((end for end in seen.ends if end.family == family), None)


def _is_public(ip: str) -> bool:
    read = read_ip(ip)
    return read is not None and scope(read) is Scope.PUBLIC


def _is_among(ip: str, addresses: list[str]) -> bool:
    return read_ip(ip) in {read_ip(address) for address in addresses}


# --- the way out -------------------------------------------------------------------------------------


def _outbound(seen: Observations, family: int) -> State:
    if not seen.canary_wanted:
        return "unwanted", {}
    end = _end(seen, family)
    if end is None:
        return "no-address", {}
    canary = end.canary
    if canary is None:
        return TIME_UP, {}
    banner = canary.banner or ""
    values = {
        "canary": _called(canary),
        "port": str(canary.port),
        "lapse": _seconds(canary.ended - canary.started),
        "detail": canary.detail or "no detail",
        "banner": f'"{_quoted(banner)}"',
    }
    if canary.outcome is CanaryOutcome.UNTESTED and canary.ip is not None:
        return "untried", values
    if canary.outcome is not CanaryOutcome.ANSWERED:
        return canary.outcome, values
    if not banner:
        return "mute", values
    if banner.count("*") >= _BLOTS:
        return "inspected", values
    return _GREETINGS.get(banner[:1], "odd"), values


_GREETINGS = {"2": "answered", "4": "turned-away", "5": "turned-away"}
"""What the first digit of a greeting says (RFC 5321 4.2.1)."""
_BLOTS = 8
"""Asterisks that are the work of a firewall that rewrites greetings."""


def _called(canary: Canary) -> str:
    return canary.name if canary.ip in {None, canary.name} else f"{canary.name} [{canary.ip}]"


# --- the system --------------------------------------------------------------------------------------


def _icmp_errors(seen: Observations) -> State:
    return _told(seen.icmp_errors)


def _tcp_info(seen: Observations) -> State:
    return _told(seen.tcp_info)


def _told(observed: bool | None) -> State:
    if observed is None:
        return TIME_UP, {}
    return ("told" if observed else "hidden"), {}


def _ping(seen: Observations) -> State:
    if seen.ping is None:
        return TIME_UP, {}
    return ("permitted" if seen.ping else "denied"), {}


def _clock(seen: Observations) -> State:
    values = {"date": seen.began[:19] + "Z"}
    began = read_stamp(seen.began)
    if began is None or began < (read_stamp(RELEASED) or 0.0):
        return "early", values
    differences = [
        (abs(began + canary.ended - date), _called(canary))
        for canary in (end.canary for end in seen.ends)
        if canary is not None and (date := find_mail_date(canary.banner or "")) is not None
    ]
    if not differences:
        return "alone", values
    least, canary_name = min(differences)
    state = "agrees" if least <= CLOCK_TOLERANCE else "differs"
    return state, {**values, "canary": canary_name, "lapse": f"{least:.0f} s"}


# --- words -------------------------------------------------------------------------------------------


def _some(items: list[str]) -> str:
    """Join the first few of what may be many."""
    more = f" and {len(items) - SHOWN} more" if len(items) > SHOWN else ""
    return ", ".join(items[:SHOWN]) + more


def _quoted(text: str) -> str:
    return text if len(text) <= _QUOTE else f"{text[:_QUOTE]}..."


def _seconds(lapse: float) -> str:
    return f"{lapse * 1000:.0f} ms" if lapse < 1 else f"{lapse:.1f} s"


_ONCE: dict[str, Callable[[Observations], State]] = {
    "resolver-answers": _answers,
    "resolver-root": _root,
    "resolver-nxdomain": _nxdomain,
    "resolver-tcp": _tcp,
    "helo-name": _helo_name,
    "helo-generic": _helo_generic,
    "helo-address": _helo_address,
    "icmp-errors": _icmp_errors,
    "tcp-info": _tcp_info,
    "ping": _ping,
    "clock": _clock,
}
_BY_FAMILY: dict[str, Callable[[Observations, int], State]] = {
    "address": _address,
    "ptr": _ptr,
    "outbound": _outbound,
}
