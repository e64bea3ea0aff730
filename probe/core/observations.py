"""What `probe-sender doctor` looks at, and the report that it makes of it: types only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from probe.core.checks import Result

if TYPE_CHECKING:
    from probe.core.chain import Found
    from probe.core.model import Canary, DnsAnswer, HeloSource

HEALTH_SCHEMA = 1


class Server(Struct, frozen=True):
    """One configured name server, asked alone: the root (NS of "."), a name that cannot exist, the root over TCP."""

    endpoint: str
    root: DnsAnswer | None = None
    invalid: DnsAnswer | None = None
    tcp: DnsAnswer | None = None


class End(Struct, frozen=True):
    """This host over one address family: its address (None without a route), its names, and the canary's call.

    `names` is what the PTR look-up found, `addresses` what the look-up of each of these names found.
    """

    family: int
    ip: str | None
    names: Found | None = None
    addresses: tuple[Found, ...] = ()
    canary: Canary | None = None


class Observations(Struct, frozen=True):
    """Everything that the checks are judged by.

    `ends` are those of the address families that were to be looked at; `helo_source` is None until our name is
    known, `helo` None when this host has none; `helo_addresses` are the look-ups of A and AAAA. `icmp_errors`,
    `tcp_info` and `ping` are what this system tells and permits. `began` is the wall clock (RFC 3339, UTC) at
    time 0.0.
    """

    began: str
    servers: tuple[Server, ...]
    host_name: str
    ends: tuple[End, ...]
    canary_wanted: bool = True
    helo: str | None = None
    helo_source: HeloSource | None = None
    helo_addresses: tuple[Found, ...] = ()
    icmp_errors: bool | None = None
    tcp_info: bool | None = None
    ping: bool | None = None


class Check(Struct, frozen=True):
    """One line of the report; `mend` is null where all is well, or another check says what to do."""

    id: str
    result: Result
    says: str
    mend: str | None


class Health(Struct, frozen=True):
    """The report of `probe-sender doctor`."""

    schema: int
    checks: tuple[Check, ...]

    @property
    def sound(self) -> bool:
        """Whether nothing of ours was found to be wrong; a warning is no such finding."""
        return all(check.result is not Result.FAIL for check in self.checks)
