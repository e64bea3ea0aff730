"""How the Exim verifies senders whose behaviour is predicted: its version and the options of its callout.

What a user gives is Exim's own wording, as it stands behind `callout=` in an ACL (spec.txt, "Callout
verification"), so that it can be copied from a configuration.
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


class CalloutError(ValueError):
    """A version or an option that Exim does not have; the text is one line with the mend."""


class Callout(Struct, frozen=True, kw_only=True):
    """`verify = sender/callout=...` of one Exim. Times in seconds.

    `connect` and `maxwait` follow from `seconds` where they are None, as in Exim. `cpanel` says that the cache
    keeps refusals as cPanel's configuration has it, for one hour each.
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


_FLAGS = ("defer_ok", "no_cache", "random", "postmaster", "fullpostmaster")
_TIME = re.compile(r"(?=\d)(?:(\d{1,4})h)?(?:(\d{1,5})m)?(?:(\d{1,6})s)?", re.ASCII)
_VERSION = re.compile(r"(?:exim )?4\.(\d{2,3})(?:\.\d{1,3})?", re.ASCII | re.IGNORECASE)


def parse_version(text: str) -> Version:
    """Read a version such as 4.96 or 4.94.2; the third number changes nothing that is predicted."""
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
    """Read the options of a callout, separated by commas: `60s,defer_ok,maxwait=2m`, or `cpanel` for its own."""
    given = text.strip().removeprefix("callout=")
    changes: dict[str, float | bool] = {}
    for word in (word.strip() for word in given.split(",") if word.strip()):
        name, equals, value = word.partition("=")
        if name in {"connect", "maxwait"} and equals:
            changes[name] = _seconds(value, word)
        elif word in _FLAGS:
            changes[word] = True
        elif word == "cpanel":
            changes |= {"cpanel": True, "seconds": changes.get("seconds", CPANEL_SECONDS)}
        elif word[:1].isdigit():
            changes["seconds"] = _seconds(word, word)
        else:
            raise CalloutError(
                f"{word[:40]!r} is no option of a sender callout that is known here; give a time such as 30s,"
                f" connect=TIME, maxwait=TIME, cpanel, {', '.join(_FLAGS)}"
            )
    return structs.replace(Callout(version=version), **changes)


def _seconds(text: str, word: str) -> float:
    found = _TIME.fullmatch(text.strip() + ("s" if text.strip().isdigit() else ""))
    hours, minutes, seconds = (int(part or 0) for part in found.groups()) if found else (0, 0, 0)
    total = 3600 * hours + 60 * minutes + seconds
    if not 0 < total <= 86400:
        raise CalloutError(f"{word[:40]!r} has no time from 1s to 24h; give one such as 30s or 1m30s")
    return float(total)


def _time_text(seconds: float) -> str:
    """Write a time as Exim does: 30s, 1m30s."""
    hours, rest = divmod(int(seconds), 3600)
    minutes, left = divmod(rest, 60)
    parts = ((hours, "h"), (minutes, "m"), (left, "s"))
    return "".join(f"{number}{unit}" for number, unit in parts if number) or "0s"
