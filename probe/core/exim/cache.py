"""What Exim's callout cache keeps of a verification, for how long, and what makes it forget (verify.c, hintsdb).

A record of the domain is written as soon as a host took MAIL, whatever came of it; one of the address only when
RCPT was answered by 2xx or 5xx. What was deferred, timed out or failed in the DNS is never kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from probe.core.callout import DOMAIN_NEGATIVE, DOMAIN_POSITIVE, NEGATIVE, POSITIVE
from probe.core.model import CacheRecord, Covers

if TYPE_CHECKING:
    from probe.core.callout import Callout
    from probe.core.exim.met import Learnt
    from probe.core.model import Address

CPANEL_NEGATIVE = 3600.0
"""Seconds for either kind of refusal in cPanel's configuration."""
SPOOL = "/var/spool/exim4"
"""The spool directory of Debian."""
CPANEL_SPOOL = "/var/spool/exim"

REJECTS_NULL = "reject_mfnull"
"""Exim's own word for a domain that refuses `MAIL FROM:<>`; exim_dumpdb shows it as `callout=unknown`."""


def records(address: Address, learnt: Learnt, callout: Callout) -> tuple[CacheRecord, ...]:
    """Give the records that the callout leaves behind, that of the domain first."""
    if callout.no_cache or learnt.domain is None:
        return ()
    holds = learnt.domain
    for name, result in (("postmaster", learnt.postmaster), ("random", learnt.random)):
        if result is not None:
            holds += f" {name}={_word(result)}"
    # The key of a domain is in lower case, also that of an address literal (seen).
    domain = _record(Covers.DOMAIN, address.domain.lower(), holds, callout)
    if learnt.address is None:
        return (domain,)
    return (domain, _record(Covers.ADDRESS, address.mailbox, _word(learnt.address), callout))


_KEPT = {
    (Covers.DOMAIN, True): DOMAIN_POSITIVE,
    (Covers.DOMAIN, False): DOMAIN_NEGATIVE,
    (Covers.ADDRESS, True): POSITIVE,
    (Covers.ADDRESS, False): NEGATIVE,
}


def _record(covers: Covers, key: str, holds: str, callout: Callout) -> CacheRecord:
    """Make a record; one of a domain counts as negative for a refused postmaster too."""
    good = holds.startswith("accept") and "postmaster=reject" not in holds
    seconds = _KEPT[covers, good]
    if good:
        return CacheRecord(covers, key, holds, seconds)
    if callout.cpanel:
        return CacheRecord(covers, key, holds, CPANEL_NEGATIVE)
    return CacheRecord(covers, key, holds, seconds, cpanel_seconds=CPANEL_NEGATIVE)


def _word(result: bool) -> str:
    return "accept" if result else "reject"


def clear(kept: tuple[CacheRecord, ...], callout: Callout) -> str | None:
    """Give the command that makes Exim forget these records, None where there is nothing to forget.

    exim_fixdb reads a key and then `d`, which deletes its record; it locks the database itself, so Exim may run.
    A key with a space in it (a quoted local part) means something else there; then everything is forgotten.
    """
    if not kept:
        return None
    spool = CPANEL_SPOOL if callout.cpanel else SPOOL
    keys = [record.key for record in kept]
    if " " in "".join(keys):
        return f"exim_tidydb -t 0s {spool} callout"
    script = "".join([rf"{_quoted(key)}\nd\n" for key in keys])
    return f"printf '{script}' | exim_fixdb {spool} callout"


def _quoted(key: str) -> str:
    r"""Write a key for printf inside single quotes: `%`, `\` and `'` mean something there."""
    return key.replace("\\", r"\\").replace("%", "%%").replace("'", r"'\''")
