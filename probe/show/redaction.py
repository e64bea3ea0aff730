"""Text without the names of people and of hosts inside a network, the same replaced by the same everywhere."""

from __future__ import annotations

import re

from probe.core.model import Scope
from probe.core.scope import read_ip, scope

_LOCAL_PART = re.compile(
    r'("[^"\r\n]{1,256}"|[^\s<>()\[\]",;:\\@&]{1,256})(@|%40|&#(?:64|x40);|&commat;)(?=[\w\[])', re.IGNORECASE
)
_QUAD = r"\d{1,3}(?:\.\d{1,3}){3}"
_IP = re.compile(
    rf"(?:(?<![\w.:])|(?<=IPv6:))(?:[0-9a-f]{{0,4}}:){{2,7}}(?:{_QUAD}|[0-9a-f]{{0,4}})(?!\w|:[\w:])"
    rf"|(?<![\w.]){_QUAD}(?!\w|\.\d)",
    re.IGNORECASE | re.ASCII,
)
_INTERNAL_NAME = re.compile(
    r"\b[\w-]{1,63}(?:\.[\w-]{1,63}){0,8}\.(?:local|localdomain|lan|internal|intranet|corp|home|private|home\.arpa)\b",
    re.IGNORECASE,
)
_INTERNAL = frozenset({Scope.PRIVATE, Scope.LOOPBACK, Scope.SHARED, Scope.LINK_LOCAL})
_TELLING = 3
"""Characters of a local part from which on it is taken out of running text too; shorter ones are words."""


class Redaction:
    """Replaces local parts and internal hosts, the same by the same everywhere.

    A postmaster stays one, because he is no person; internal are addresses that are not public, and names under
    domains that are not in the DNS (RFC 6762, RFC 8375, and usage).
    """

    def __init__(self, mailbox: str) -> None:
        self._users: dict[str, str] = {}
        self._hosts: dict[str, str] = {}
        self._ips: dict[str, str] = {}
        local = mailbox.rpartition("@")[0]
        bare = re.escape(local.strip('"'))
        self._known = self._user(local)
        telling = len(local) >= _TELLING and self._known != local
        # As a label of a domain the same word is no secret.
        self._bare = re.compile(rf"(?<!\w)(?<!\w\.){bare}(?!\w|[.-]\w)", re.IGNORECASE) if telling else None

    def __call__(self, text: str) -> str:
        """Give the text without what is nobody's business."""
        text = _LOCAL_PART.sub(lambda found: f"{self._user(found[1])}{found[2]}", text)
        if self._bare is not None:
            text = self._bare.sub(self._known, text)
        text = _IP.sub(lambda found: self._ip(found[0]), text)
        return _INTERNAL_NAME.sub(lambda found: _number(self._hosts, found[0].lower(), "internal-host"), text)

    def _user(self, local: str) -> str:
        plain = local.strip('"').lower()
        return local if plain == "postmaster" else _number(self._users, plain, "user")

    def _ip(self, text: str) -> str:
        ip, colon = read_ip(text), ""
        if ip is None and text.endswith(":"):  # what comes behind the address begins with it
            ip, colon = read_ip(text[:-1]), ":"
        return _number(self._ips, str(ip), "internal-ip") + colon if ip and scope(ip) in _INTERNAL else text


def _number(known: dict[str, str], word: str, prefix: str) -> str:
    return known.setdefault(word, f"{prefix}{len(known) + 1}")
