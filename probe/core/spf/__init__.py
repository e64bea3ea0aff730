"""Which hosts a domain lets send in its name: `check_host` of RFC 7208, without a network.

The evaluation is a generator. It yields the questions that it needs answered and is sent what the DNS found; what
it returns is the result. So the program's one resolver asks, with its limits and its memory, and a test answers
from a dictionary.

    checking = check_host(who)
    question = next(checking)
    question = checking.send(found)     # until StopIteration, whose value is the `Spf`

pyspf was tried for this first: its latest release (2.0.14) is of January 2020, it asks the DNS in a blocking
function of the module that all checks share, and what a check costs is not bounded from outside.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from probe.core.chain import Question, canonical
from probe.core.model import DnsOutcome
from probe.core.scope import read_ip
from probe.core.spf.macro import SpfSyntaxError, asks_for_name, expand
from probe.core.spf.record import Mechanism, SpfResult, is_spf, parse, text_of

if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import TypeAlias, TypeVar

    from probe.core.chain import Found
    from probe.core.model import DnsRecord
    from probe.core.spf.macro import Identity

    T = TypeVar("T")
    Asking: TypeAlias = Generator[Question, Found, T]

MAX_TERMS = 10
"""Terms that cost look-ups: include, a, mx, ptr, exists, redirect, in all records together (RFC 7208 4.6.4)."""
MAX_VOID = 2
"""Look-ups that may find nothing (RFC 7208 4.6.4)."""
MAX_NAMES = 10
"""Mail hosts of one `mx`, and names of one address, that are looked up (RFC 7208 4.6.4)."""
TIME_LIMIT = 20.0
"""Seconds of a whole check, after which it is `temperror` (RFC 7208 4.6.4); for whoever drives the generator."""

_ABSENT = frozenset({DnsOutcome.NXDOMAIN, DnsOutcome.NODATA, DnsOutcome.CNAME_LOOP})
_LOOKING_UP = frozenset({"include", "a", "mx", "ptr", "exists"})


class Spf(Struct, frozen=True, kw_only=True):
    """The result for one client and sender, and what led to it.

    `domain` is whose record decided, which is another than the sender's behind `include` and `redirect=`; `term`
    the mechanism of it that matched, None where none did; `record` the sender domain's own record; `problem` what
    is wrong, for `permerror` and `temperror`. `terms` and `voids` are what it cost of the limits.
    """

    result: SpfResult
    domain: str
    term: str | None = None
    record: str | None = None
    problem: str | None = None
    terms: int = 0
    voids: int = 0


class _Ended(Exception):  # noqa: N818  # no error of ours: the result of the whole check
    def __init__(self, result: SpfResult, problem: str) -> None:
        super().__init__(problem)
        self.result = result


class _Match(Struct, frozen=True):
    """The result of one record: whose mechanism gave it."""

    result: SpfResult
    domain: str
    term: str | None = None


def check_host(who: Identity) -> Asking[Spf]:
    """Check whether `who.ip` may send mail of `who.local`@`who.domain`. Total: it returns for whatever it is sent."""
    inner = who.ip.ipv4_mapped if who.ip.version == 6 else None
    check = _Check(who if inner is None else replace(who, ip=inner))
    try:
        match = yield from check.host(who.domain)
    except _Ended as ended:
        match = _Match(ended.result, check.current)
        problem = str(ended)
    else:
        problem = ""
    return Spf(
        result=match.result,
        domain=match.domain,
        term=match.term,
        record=check.record,
        problem=problem or None,
        terms=check.terms,
        voids=check.voids,
    )


class _Check:
    """One check: what it has cost so far, in all records together."""

    def __init__(self, who: Identity) -> None:
        self._who = who
        self._names: list[str] | None = None
        self.record: str | None = None
        self.current = who.domain
        self.terms = 0
        self.voids = 0

    def host(self, domain: str) -> Asking[_Match]:
        """Evaluate the record of a domain; raises `_Ended` where an error ends the whole check."""
        if not _is_host_name(domain):
            return _Match(SpfResult.NONE, domain)
        self.current = domain
        texts = [text_of(record.data) for record in (yield from self._ask(domain, "TXT", may_be_void=True))]
        records = [text for text in texts if is_spf(text)]
        if not records:
            return _Match(SpfResult.NONE, domain)
        if len(records) > 1:
            raise _Ended(SpfResult.PERMERROR, f"{domain} has {len(records)} SPF records")
        if self.record is None:
            self.record = records[0]
        try:
            record = parse(records[0])
        except SpfSyntaxError as error:
            raise _Ended(SpfResult.PERMERROR, f"in the record of {domain}, {error}") from None
        for mechanism in record.mechanisms:
            self.current = domain
            match = yield from self._match(mechanism, domain)
            if match is not None:
                return match
        self.current = domain
        if record.redirect is None:
            return _Match(SpfResult.NEUTRAL, domain)
        self._count_term()
        target = yield from self._expanded(record.redirect, domain)
        match = yield from self.host(target)
        if match.result is SpfResult.NONE:
            raise _Ended(SpfResult.PERMERROR, f"redirect={target} leads to no SPF record")
        return match

    def _match(self, mechanism: Mechanism, domain: str) -> Asking[_Match | None]:
        """Say what the mechanism comes to, None where it does not match."""
        if mechanism.name in _LOOKING_UP:
            self._count_term()
        matched = _Match(mechanism.means, domain, mechanism.text)
        match mechanism.name:
            case "all":
                return matched
            case "ip4" | "ip6":
                network = mechanism.network
                return matched if network is not None and self._who.ip in network else None
            case "include":
                return (yield from self._include(mechanism, domain))
        target = domain
        if mechanism.domain is not None:
            target = yield from self._expanded(mechanism.domain, domain)
        match mechanism.name:
            case "exists":
                hit = bool((yield from self._ask(target, "A")))
            case "a":
                hit = yield from self._is_among(target, mechanism)
            case "mx":
                hit = yield from self._is_mail_host(target, mechanism)
            case _:
                hit = yield from self._is_named(target)
        return matched if hit else None

    def _include(self, mechanism: Mechanism, domain: str) -> Asking[_Match | None]:
        target = yield from self._expanded(mechanism.domain or "", domain)
        inner = yield from self.host(target)
        if inner.result is SpfResult.NONE:
            self.current = domain
            raise _Ended(SpfResult.PERMERROR, f"{mechanism.text} leads to no SPF record")
        if inner.result is not SpfResult.PASS:
            return None
        # Whose mechanism it was tells more than the include, unless this one turns the meaning round.
        if mechanism.means is SpfResult.PASS:
            return inner
        return _Match(mechanism.means, domain, mechanism.text)

    def _is_among(self, name: str, mechanism: Mechanism) -> Asking[bool]:
        bits = mechanism.bits4 if self._who.ip.version == 4 else mechanism.bits6
        shift = self._who.ip.max_prefixlen - bits
        records = yield from self._ask(name, self._rdtype)
        addresses = (read_ip(record.data) for record in records)
        return any(
            address is not None and int(address) >> shift == int(self._who.ip) >> shift
            for address in addresses
        )

    def _is_mail_host(self, name: str, mechanism: Mechanism) -> Asking[bool]:
        records = yield from self._ask(name, "MX")
        if len(records) > MAX_NAMES:
            raise _Ended(SpfResult.PERMERROR, f"{mechanism.text} leads to more than {MAX_NAMES} mail hosts")
        for record in sorted(records, key=lambda one: one.preference or 0):
            if (yield from self._is_among(canonical(record.target or record.data), mechanism)):
                return True
        return False

    def _is_named(self, target: str) -> Asking[bool]:
        names = yield from self._validated()
        wanted = canonical(target)
        return any(name == wanted or name.endswith(f".{wanted}") for name in names)

    def _validated(self) -> Asking[list[str]]:
        """Give the names of the client that lead back to it (RFC 7208 5.5); what fails is left out."""
        if self._names is not None:
            return self._names
        self._names = []
        try:
            records = yield from self._ask(self._who.ip.reverse_pointer, "PTR")
        except _Ended as ended:
            if ended.result is SpfResult.PERMERROR:
                raise
            return self._names
        whole = Mechanism("ptr", SpfResult.PASS, "ptr")
        for record in records[:MAX_NAMES]:
            name = canonical(record.data)
            try:
                leads_back = yield from self._is_among(name, whole)
            except _Ended as ended:
                if ended.result is SpfResult.PERMERROR:
                    raise
                continue
            if leads_back:
                self._names.append(name)
        return self._names

    def _expanded(self, text: str, domain: str) -> Asking[str]:
        name = "unknown"
        if asks_for_name(text):
            names = yield from self._validated()
            # The domain itself, then a name below it, then any (RFC 7208 7.3).
            current = canonical(domain)
            own = [each for each in names if each == current or each.endswith(f".{current}")]
            name = min(own, key=len) if own else next(iter(names), "unknown")
        return expand(text, domain, self._who, name)

    def _ask(self, name: str, rdtype: str, *, may_be_void: bool = False) -> Asking[tuple[DnsRecord, ...]]:
        """Look up; a name that no DNS message can hold has no records (RFC 7208 4.8 leaves it to us)."""
        if not _is_askable(name):
            return ()
        found = yield Question(_presentation(canonical(name)), rdtype)
        if found.outcome is DnsOutcome.ANSWER:
            return found.records
        if found.outcome not in _ABSENT:
            raise _Ended(SpfResult.TEMPERROR, f"the DNS has no answer for {name} {rdtype} ({found.outcome})")
        if not may_be_void:
            self.voids += 1
            if self.voids > MAX_VOID:
                raise _Ended(
                    SpfResult.PERMERROR,
                    f"more than {MAX_VOID} look-ups find nothing (RFC 7208 4.6.4), the last for {name} {rdtype}",
                )
        return ()

    def _count_term(self) -> None:
        self.terms += 1
        if self.terms > MAX_TERMS:
            raise _Ended(SpfResult.PERMERROR, f"more than {MAX_TERMS} terms cost look-ups (RFC 7208 4.6.4)")

    @property
    def _rdtype(self) -> str:
        return "A" if self._who.ip.version == 4 else "AAAA"


_LABEL_OCTETS, _NAME_OCTETS = 63, 253
_PLAIN = re.compile(r"[A-Za-z0-9_.-]*", re.ASCII)
_SPECIAL = frozenset('"();\\@$')


def _is_askable(name: str) -> bool:
    """Whether a DNS message can hold the name: no empty label, none above 63 octets (RFC 1035 2.3.4)."""
    labels = [label.encode() for label in name.removesuffix(".").split(".")]
    return all(0 < len(label) <= _LABEL_OCTETS for label in labels) and len(name.encode()) <= _NAME_OCTETS + 1


def _is_host_name(domain: str) -> bool:
    """Whether `check_host` may be asked about the domain at all: several labels, no address literal (RFC 7208 4.3)."""
    return "." in domain.strip(".") and not domain.startswith("[") and _is_askable(domain)


def _presentation(name: str) -> str:
    """Write a name as the resolver reads it, where a macro has put other characters into it (RFC 4343 2.1)."""
    if _PLAIN.fullmatch(name):
        return name
    return "".join(map(_escaped, name))


def _escaped(char: str) -> str:
    if _PLAIN.fullmatch(char):
        return char
    if char in _SPECIAL:
        return f"\\{char}"
    return "".join(f"\\{octet:03d}" for octet in char.encode())
