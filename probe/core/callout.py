"""How the Exim verifies senders whose behaviour is predicted: its version and the options of its callout.

What a user gives is Exim's own wording, as it stands behind `callout=` in an ACL (spec.txt, "Callout
verification"), so that it can be copied from a configuration. What changed from version to version is named
here once, as a property of `Callout`, with the release that brought it (Exim's ChangeLog and source).
"""

from __future__ import annotations

import re

from msgspec import Struct, structs

Version = tuple[int, int]

NEWEST: Version = (4, 96)
"""The version whose behaviour was checked against the running program; later ones verify alike."""
OLDEST: Version = (4, 69)
"""The version of 2008; nothing older is known here."""

CALLOUT_SECONDS = 30.0
"""Exim's default for each reply of a callout, and for the connection (acl.c)."""
CPANEL_SECONDS = 60.0
"""The time that cPanel's configuration gives."""
POSITIVE = 86400.0
"""Seconds that an accepted address is kept in Exim's cache (callout_positive_expire)."""
NEGATIVE = 7200.0
"""Seconds that a refused address is kept (callout_negative_expire)."""
DOMAIN_POSITIVE = 604800.0
"""Seconds that a domain whose hosts take MAIL is kept (callout_domain_positive_expire)."""
DOMAIN_NEGATIVE = 10800.0
"""Seconds that a domain is kept which refuses the null sender or its postmaster (callout_domain_negative_expire)."""
LONGEST = 86400
"""Seconds that a time may have: a day is longer than any mail server waits."""


class CalloutError(ValueError):
    """A version or an option that Exim does not have; the text is one line with the mend."""


class Callout(Struct, frozen=True, kw_only=True):
    """`verify = sender/callout=...` of one Exim. Times in seconds.

    `connect` and `maxwait` follow from `seconds` where they are None, as in Exim. `fullpostmaster` implies
    `postmaster`. `cpanel` says that the cache keeps refusals as cPanel's configuration has it, for one hour each.
    """

    version: Version = NEWEST
    seconds: float = CALLOUT_SECONDS
    connect: float | None = None
    maxwait: float | None = None
    defer_ok: bool = False
    no_cache: bool = False
    random: bool = False
    postmaster: bool = False
    fullpostmaster: bool = False
    cpanel: bool = False

    @property
    def connect_seconds(self) -> float:
        """The limit for one connection (`connect=`)."""
        return self.seconds if self.connect is None else self.connect

    @property
    def maxwait_seconds(self) -> float:
        """After this no further host is asked: four times the callout time, unless `maxwait=` says otherwise."""
        return 4 * self.seconds if self.maxwait is None else self.maxwait

    @property
    def asks_postmaster(self) -> bool:
        """Whether the postmaster of the domain is asked for too, by either option."""
        return self.postmaster or self.fullpostmaster

    @property
    def text(self) -> str:
        """The option as it stands in an ACL."""
        words = [_time_text(self.seconds)]
        words += [
            f"{name}={_time_text(value)}"
            for name, value in (("connect", self.connect), ("maxwait", self.maxwait))
            if value is not None
        ]
        words += [flag for flag in _FLAGS if getattr(self, flag)]
        return f"callout={','.join(words)}" + (" (cPanel)" if self.cpanel else "")

    @property
    def version_text(self) -> str:
        """The version as Exim prints it."""
        return f"{self.version[0]}.{self.version[1]:02}"

    # What came with which version.

    @property
    def says_ehlo(self) -> bool:
        """EHLO first and HELO to whoever refuses it, since 4.82; before, HELO only."""
        return self.version >= (4, 82)

    @property
    def starts_tls(self) -> bool:
        """STARTTLS where it is offered, since 4.86 (`hosts_verify_avoid_tls` was `*` before)."""
        return self.version >= (4, 86)

    @property
    def shares_transport(self) -> bool:
        """The callout is made by the code of the smtp transport, since 4.89: other texts, pipelining."""
        return self.version >= (4, 89)

    @property
    def fast_open(self) -> bool:
        """TCP Fast Open to every host, since 4.93 (`hosts_try_fastopen` is `*`)."""
        return self.version >= (4, 93)

    @property
    def cuts_replies(self) -> bool:
        """What the relay is told of a remote reply ends before its first unprintable character, since 4.93."""
        return self.version >= (4, 93)

    @property
    def logs_connection_errors(self) -> bool:
        """A line of its own for a connection that this host itself could not make, since 4.98."""
        return self.version >= (4, 98)


_FLAGS = ("defer_ok", "no_cache", "random", "postmaster", "fullpostmaster")
_UNMODELLED = {
    "use_sender": "is for recipient callouts only",
    "use_postmaster": "is for recipient callouts only",
    "hold": "is for recipient callouts only",
    "mailfrom": "is for header_sender only",
    "postmaster_mailfrom": "is not modelled; postmaster, with the null sender, is the nearest",
}
"""Options that Exim has and that make no sender callout which is known here, and why."""
_TIME = re.compile(r"(?=\d)(?:(\d{1,4})h)?(?:(\d{1,5})m)?(?:(\d{1,6})s)?", re.ASCII)
# As a user knows it, as `exim -bV` prints it, and with the suffix of a package or a release candidate.
_VERSION = re.compile(
    r"(?:exim )?(?:version )?4\.(\d{2,3})(?:\.\d{1,3})?(?:[-+~_#: ][ -~]{0,60})?", re.ASCII | re.IGNORECASE
)


def parse_version(text: str) -> Version:
    """Read a version such as 4.96 or 4.94.2; the third number changes nothing that is predicted.

    Raises `CalloutError` for what is no version of Exim 4, and for one that is older than `OLDEST`.
    """
    found = _VERSION.fullmatch(text.strip())
    if found is None:
        raise CalloutError(
            f"{text[:40]!r} is no version of Exim 4; give one such as 4.96 (`exim -bV` prints it)"
        )
    version = (4, int(found[1]))
    if version < OLDEST:
        raise CalloutError(
            f"{text[:40]!r} is older than 4.69 of 2008, the oldest that is known here; give 4.69"
        )
    return version


def parse_options(text: str, version: Version = NEWEST) -> Callout:
    """Read the options of a callout, separated by commas: `60s,defer_ok,maxwait=2m`, or `cpanel` for its own.

    As in Exim the last of two times counts. Raises `CalloutError` for an option or a time that cannot be read.
    """
    changes: dict[str, float | bool] = {}
    for word in (word.strip() for word in text.strip().removeprefix("callout=").split(",")):
        name, equals, value = word.partition("=")
        name = name.rstrip()
        if not word:
            continue
        if name in {"connect", "maxwait"} and equals:
            changes[name] = _seconds(value, word)
        elif word in _FLAGS:
            changes[word] = True
        elif word == "cpanel":
            changes |= {"cpanel": True, "seconds": changes.get("seconds", CPANEL_SECONDS)}
        elif word[:1].isdigit():
            changes["seconds"] = _seconds(word, word)
        elif name in _UNMODELLED:
            raise CalloutError(f"{name} {_UNMODELLED[name]}; leave it out of a sender callout")
        else:
            raise CalloutError(
                f"{word[:40]!r} is no option of a sender callout that is known here; give a time such as 30s,"
                f" connect=TIME, maxwait=TIME, cpanel, {', '.join(_FLAGS)}"
            )
    return structs.replace(Callout(version=version), **changes)


def _seconds(text: str, word: str) -> float:
    bare = text.strip()
    found = _TIME.fullmatch(bare + ("s" if bare.isascii() and bare.isdigit() else ""))
    hours, minutes, seconds = (int(part or 0) for part in found.groups()) if found else (0, 0, 0)
    total = 3600 * hours + 60 * minutes + seconds
    if not 0 < total <= LONGEST:
        raise CalloutError(f"{word[:40]!r} has no time from 1s to 24h; give one such as 30s or 1m30s")
    return float(total)


def _time_text(seconds: float) -> str:
    """Write a time as Exim does: 30s, 1m30s."""
    hours, rest = divmod(int(seconds), 3600)
    minutes, left = divmod(rest, 60)
    parts = ((hours, "h"), (minutes, "m"), (left, "s"))
    return "".join(f"{number}{unit}" for number, unit in parts if number) or "0s"
