"""Which hosts take the mail of an address, as far as the DNS answers so far tell.

`route` is called again and again while answers come in: it names the questions that are still open and the
targets that are known already, in the order in which Exim would try them. It asks nothing itself and keeps
nothing between calls, so the same answers give the same route, in whatever order they came.

Two rules stand above the rest. An A/AAAA record of the domain makes an implicit MX only when the DNS said
that there is no MX (RFC 5321 5.1), and **a DNS failure never becomes a missing sender**: where "does not
exist" and "could not be found out" are mixed, the route has failed, it is not empty.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from probe.core.chain import Question, canonical, follow, index
from probe.core.model import AddressKind, DnsOutcome, Origin, Scope, Skip
from probe.core.scope import may_be_connected_to, read_ip, scope

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from probe.core.model import Address, DnsAnswer, DnsRecord
    from probe.core.scope import IP

MAX_EXCHANGES = 20
"""Exchanges whose addresses are looked up. Real domains have fewer than ten; hostile ones list thousands."""
MAX_TARGETS = 32
"""Mail host addresses that are tried at most, and addresses of one family that are read of one host."""


# --- what a route says -------------------------------------------------------------------------------


class RouteState(StrEnum):
    """How far the routing is. Everything but `asking` and `ready` is final: no host can be connected to.

    The words from `servfail` on are those of `DnsOutcome`, for the MX question itself.
    """

    ASKING = "asking"
    READY = "ready"
    NULL_MX = "null-mx"
    NO_MAIL_HOST = "no-mail-host"
    DANGLING = "dangling"
    MX_IS_ADDRESS = "mx-is-address"
    ONLY_PRIVATE = "only-private"
    FAMILY_EXCLUDED = "family-excluded"
    EXCHANGES_FAILED = "exchanges-failed"
    NXDOMAIN = "nxdomain"
    SERVFAIL = "servfail"
    REFUSED = "refused"
    TIMEOUT = "timeout"
    MALFORMED = "malformed"
    LAME = "lame"
    OTHER_RCODE = "other-rcode"
    CNAME_LOOP = "cname-loop"
    UNREACHABLE = "unreachable"
    CUT_SHORT = "cut-short"
    CUT_OFF = "cut-off"


class ExchangeKind(StrEnum):
    """What the data of an MX record is: a host name, an IP address (forbidden), the root, or one too many."""

    HOST = "host"
    LITERAL = "literal"
    NULL = "null"
    OVER_LIMIT = "over-limit"


class MailExchange(Struct, frozen=True):
    """One exchange of the domain's MX records; of one that is listed twice the better preference counts.

    `cname` is the canonical name when the exchange is an alias (RFC 2181 10.3 forbids it, Exim follows it).
    `ipv4` and `ipv6` say how its A and AAAA look-up ended: `None` means not asked, or no answer yet.
    """

    name: str
    preference: int
    kind: ExchangeKind
    cname: str | None = None
    ipv4: DnsOutcome | None = None
    ipv6: DnsOutcome | None = None

    @property
    def dangling(self) -> bool:
        """The DNS said that this host has no address, of either family."""
        return _has_no_address({4: self.ipv4, 6: self.ipv6})


class Target(Struct, frozen=True):
    """One address of a mail host; `skipped` says why it may not be connected to."""

    name: str
    ip: str
    preference: int | None
    origin: Origin
    scope: Scope
    skipped: Skip | None


class Route(Struct, frozen=True):
    """What the answers so far say; complete when `questions` is empty.

    `cname_at_domain`: the domain of the address is an alias (allowed, RFC 5321 5.1; the alias's MX count).
    `null_mx_beside_others`: a `.` exchange stands beside others, which RFC 7505 3 forbids.
    """

    state: RouteState
    questions: tuple[Question, ...] = ()
    targets: tuple[Target, ...] = ()
    exchanges: tuple[MailExchange, ...] = ()
    cname_at_domain: bool = False
    null_mx_beside_others: bool = False


# --- the routing -------------------------------------------------------------------------------------

_TYPES = {6: "AAAA", 4: "A"}
_DEFINITE = frozenset({DnsOutcome.ANSWER, DnsOutcome.NODATA, DnsOutcome.NXDOMAIN})


def route(
    address: Address,
    answers: Iterable[DnsAnswer],
    *,
    seed: int,
    families: tuple[int, ...],
    allow_private: bool,
) -> Route:
    """Say what to ask next and whom to try, from the answers so far.

    Targets come by MX preference; equal preferences in an order drawn from `seed`; within one preference all
    IPv6 addresses before all IPv4, as Exim sorts them (host.c, host_find_bydns). Names and addresses that
    repeat are dropped. `families` (4, 6) are those that may be used; the others are not asked for, and what
    is missing for that reason is `family-excluded`, never "no such host". Of several answers to one question
    the first counts. A hostile zone costs at most MAX_EXCHANGES look-ups a family.
    """
    usable = _Usable(families, allow_private)
    if address.kind is AddressKind.LITERAL:
        return _literal_route(address, usable)
    known = index(answers)
    way = _domain_route(address, known, seed, usable)
    implicit = any(target.origin is Origin.IMPLICIT for target in way.targets)
    return _checked(way, known) if implicit or way.state in _ABSENT else way


_ABSENT = frozenset({RouteState.NXDOMAIN, RouteState.NO_MAIL_HOST, RouteState.DANGLING})
_DENIALS = frozenset({DnsOutcome.NXDOMAIN, DnsOutcome.NODATA})
_ROOT = Question(".", "NS")


def _checked(way: Route, known: Mapping[Question, DnsAnswer]) -> Route:
    """Believe that something does not exist only from a resolver that knows what does.

    A denial carries the SOA record of the zone that denies (RFC 2308 3). Many forwarders strip it, and so does
    a resolver that is cut off from the Internet, or a captive portal, and denies everything. The root of the
    DNS tells them apart: who cannot name its servers cannot know that a domain is missing, or that it has no MX
    and takes its mail itself.
    """
    if all(answer.soa_minimum is not None for answer in known.values() if answer.outcome in _DENIALS):
        return way
    root = known.get(Question(canonical(_ROOT.name), _ROOT.type))
    if root is None:
        return replace(way, state=RouteState.ASKING, questions=(*way.questions, _ROOT), targets=())
    if root.outcome is DnsOutcome.ANSWER:
        return way
    return replace(way, state=RouteState.CUT_OFF, questions=(), targets=())


def _domain_route(address: Address, known: Mapping[Question, DnsAnswer], seed: int, usable: _Usable) -> Route:
    families = usable.families
    domain = canonical(address.domain)
    mx = follow(known, domain, "MX")
    aliased = mx.owner != domain
    if mx.question is not None:
        return Route(RouteState.ASKING, questions=(mx.question,), cname_at_domain=aliased)
    if mx.outcome is DnsOutcome.NODATA:
        return _implicit_route(known, domain, usable, aliased=aliased)
    if mx.outcome is not DnsOutcome.ANSWER:
        return Route(RouteState(mx.outcome.value), cname_at_domain=aliased)
    listed = _exchanges(mx.records, seed)
    kinds = {exchange.kind for exchange in listed}
    if not listed:
        return Route(RouteState.MALFORMED, cname_at_domain=aliased)
    if kinds == {ExchangeKind.NULL}:
        return Route(RouteState.NULL_MX, exchanges=listed, cname_at_domain=aliased)
    hosts = {
        exchange.name: _look_up(known, exchange.name, exchange.preference, families)
        for exchange in listed
        if exchange.kind is ExchangeKind.HOST
    }
    return _route_over(
        tuple(hosts.values()),
        Origin.MX,
        usable,
        unasked=ExchangeKind.OVER_LIMIT in kinds,
        nothing=RouteState.MX_IS_ADDRESS if ExchangeKind.LITERAL in kinds else RouteState.DANGLING,
        exchanges=tuple(_described(exchange, hosts.get(exchange.name)) for exchange in listed),
        cname_at_domain=aliased,
    )


def _literal_route(address: Address, usable: _Usable) -> Route:
    """RFC 5321 4.1.3: the address names its host itself, so there is nothing to ask."""
    ip = read_ip(address.ip or "")
    if ip is None:
        return Route(RouteState.MALFORMED)
    target = _target(address.domain, ip, None, Origin.LITERAL, usable)
    state = RouteState.READY
    if target.skipped is not None:
        excluded = target.skipped is Skip.FAMILY
        state = RouteState.FAMILY_EXCLUDED if excluded else RouteState.ONLY_PRIVATE
    return Route(state, targets=(target,))


def _implicit_route(
    known: Mapping[Question, DnsAnswer], domain: str, usable: _Usable, *, aliased: bool
) -> Route:
    """RFC 5321 5.1: without any MX the domain itself is its mail host."""
    host = _look_up(known, domain, None, usable.families)
    return _route_over(
        (host,),
        Origin.IMPLICIT,
        usable,
        unasked=False,
        nothing=RouteState.NO_MAIL_HOST,
        exchanges=(),
        cname_at_domain=aliased or host.cname is not None,
    )


def _route_over(
    hosts: Sequence[_Host],
    origin: Origin,
    usable: _Usable,
    *,
    unasked: bool,
    nothing: RouteState,
    exchanges: tuple[MailExchange, ...],
    cname_at_domain: bool,
) -> Route:
    # Each question once: two exchanges may be aliases of one host.
    questions = tuple(dict.fromkeys(question for host in hosts for question in host.questions))
    targets = _targets(hosts, origin, usable)
    if any(target.skipped is None for target in targets):
        state = RouteState.READY
    elif questions:
        state = RouteState.ASKING
    # From here on nobody can be connected to, and the order is the argument: a failed look-up, or an exchange
    # that was not asked for, may hide a mail host, so they come before every word that says there is none.
    elif unasked or any(host.failed for host in hosts):
        state = RouteState.EXCHANGES_FAILED
    elif targets:
        state = RouteState.ONLY_PRIVATE
    elif all(_has_no_address(host.outcomes) for host in hosts):
        state = nothing
    else:
        state = RouteState.FAMILY_EXCLUDED
    return Route(
        state,
        questions=questions,
        targets=targets,
        exchanges=exchanges,
        cname_at_domain=cname_at_domain,
        null_mx_beside_others=any(exchange.kind is ExchangeKind.NULL for exchange in exchanges),
    )


# --- one host ----------------------------------------------------------------------------------------


class _Host(Struct, frozen=True):
    """The A and AAAA look-ups of one mail host, as far as they are."""

    name: str
    preference: int | None
    cname: str | None
    outcomes: dict[int, DnsOutcome | None]
    addresses: tuple[IP, ...]
    questions: tuple[Question, ...]

    @property
    def failed(self) -> bool:
        """Some look-up ended without telling whether there is an address."""
        return any(outcome not in _DEFINITE for outcome in self.outcomes.values())


def _look_up(
    known: Mapping[Question, DnsAnswer], name: str, preference: int | None, families: tuple[int, ...]
) -> _Host:
    outcomes: dict[int, DnsOutcome | None] = {}
    addresses: list[IP] = []
    questions: list[Question] = []
    cname = None
    for version, rdtype in _TYPES.items():
        if version not in families:
            continue
        found = follow(known, name, rdtype)
        if found.owner != name:
            cname = found.owner
        if found.question is not None:
            questions.append(found.question)
            outcomes[version] = None
            continue
        ips = _addresses(found.records, version)
        addresses += ips
        empty = found.outcome is DnsOutcome.ANSWER and not ips
        outcomes[version] = DnsOutcome.MALFORMED if empty else found.outcome
    return _Host(name, preference, cname, outcomes, tuple(addresses), tuple(questions))


def _addresses(records: Sequence[DnsRecord], version: int) -> list[IP]:
    """Read the first addresses of a host; beyond MAX_TARGETS none of them could be tried anyway."""
    ips = (read_ip(record.data) for record in records[:MAX_TARGETS])
    return [ip for ip in ips if ip is not None and ip.version == version]


def _has_no_address(outcomes: Mapping[int, DnsOutcome | None]) -> bool:
    """Whether the DNS denied both families.

    NXDOMAIN ought to speak for every type (RFC 8020 2), but servers exist that say it of a type only, so a
    family that was not asked for is not denied.
    """
    return all(outcomes.get(version) in _DENIALS for version in _TYPES)


# --- targets -----------------------------------------------------------------------------------------


class _Usable(Struct, frozen=True):
    """Which addresses the user lets us connect to."""

    families: tuple[int, ...]
    allow_private: bool

    def skip(self, ip: IP, kind: Scope) -> Skip | None:
        """Say why this address is left alone. Multicast and the like stay so whatever the user allows."""
        if ip.version not in self.families:
            return Skip.FAMILY
        if kind is Scope.PUBLIC or (self.allow_private and may_be_connected_to(ip)):
            return None
        return Skip.NOT_PUBLIC


def _targets(hosts: Sequence[_Host], origin: Origin, usable: _Usable) -> tuple[Target, ...]:
    rows = [(host, ip) for host in hosts for ip in host.addresses]
    if len(rows) > 1:
        # The sort is stable: hosts keep their drawn order within one preference and one family.
        rows.sort(key=lambda row: (row[0].preference or 0, -row[1].version))
    targets: dict[IP, Target] = {}
    room = MAX_TARGETS
    for host, ip in rows:
        if ip in targets:
            continue
        target = _target(host.name, ip, host.preference, origin, usable)
        if target.skipped is None:
            room -= 1
            target = target if room >= 0 else replace(target, skipped=Skip.LIMIT)
        targets[ip] = target
    return tuple(targets.values())


def _target(name: str, ip: IP, preference: int | None, origin: Origin, usable: _Usable) -> Target:
    kind = scope(ip)
    return Target(name, str(ip), preference, origin, kind, usable.skip(ip, kind))


# --- MX records --------------------------------------------------------------------------------------


def _exchanges(records: Sequence[DnsRecord], seed: int) -> tuple[MailExchange, ...]:
    """List the exchanges, each once, in the order in which they are tried."""
    best: dict[str, int] = {}
    for record in records:
        if record.preference is not None and record.target is not None:
            name = canonical(record.target)
            best[name] = min(record.preference, best.get(name, record.preference))
    room = MAX_EXCHANGES
    listed: list[MailExchange] = []
    for preference, _, name in sorted((number, _draw(seed, name), name) for name, number in best.items()):
        kind = _kind(name)
        if kind is ExchangeKind.HOST:
            if room == 0:
                kind = ExchangeKind.OVER_LIMIT
            else:
                room -= 1
        listed.append(MailExchange(name, preference, kind))
    return tuple(listed)


def _kind(name: str) -> ExchangeKind:
    if not name:
        return ExchangeKind.NULL
    # In presentation form the dots inside one label are escaped: `192\.0\.2\.1` is an address as well.
    text = name.replace("\\.", ".").removeprefix("[").removesuffix("]")
    return ExchangeKind.HOST if read_ip(text) is None else ExchangeKind.LITERAL


def _described(exchange: MailExchange, host: _Host | None) -> MailExchange:
    if host is None:
        return exchange
    ipv4, ipv6 = host.outcomes.get(4), host.outcomes.get(6)
    return MailExchange(exchange.name, exchange.preference, exchange.kind, host.cname, ipv4, ipv6)


_WORD = (1 << 64) - 1


def _draw(seed: int, name: str) -> int:
    """Draw a lot for an exchange from the seed and its name only, so that late answers do not reshuffle.

    The name is folded to a number and mixed with the finaliser of SplitMix64 (Steele, Lea and Flood 2014);
    nothing here has to resist an attacker, it has to spread load as RFC 5321 5.1 asks.
    """
    folded = int.from_bytes(name.encode("utf-8", "surrogatepass")) % ((1 << 61) - 1)
    z = (folded ^ (seed * 0x9E3779B97F4A7C15)) & _WORD
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _WORD
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _WORD
    return z ^ (z >> 31)
