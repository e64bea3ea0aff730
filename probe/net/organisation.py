"""To which organisation does a host name belong? The Public Suffix List, as the package publicsuffixlist carries it."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from probe.core.chain import canonical

if TYPE_CHECKING:
    from collections.abc import Iterable

    from publicsuffixlist import PublicSuffixList


def organisational_domains(names: Iterable[str]) -> dict[str, str]:
    """Give the organisational domain (RFC 7489 3.2) of each name, in canonical form; a public suffix has none.

    The private part of the list counts too: what is below `github.io` belongs to different people.
    """
    found = {}
    for name in map(canonical, names):
        # An address literal is not a name, and the list would take its last numbers for one.
        if name and not name.startswith("[") and not name.rpartition(".")[2].isdigit():
            domain = _suffixes(encoded="xn--" in name).privatesuffix(name)
            if domain is not None:
                found[name] = domain
    return found


@cache
def _suffixes(*, encoded: bool) -> PublicSuffixList:
    """Give the list; `encoded` with its names in A-labels (RFC 5890 2.3.2.1) too, which takes 40 ms longer."""
    from publicsuffixlist import PublicSuffixList  # noqa: PLC0415  # 20 ms, and few commands need it

    return PublicSuffixList(accept_encoded_idn=encoded)
