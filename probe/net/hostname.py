"""What this host calls itself, for HELO."""

from __future__ import annotations

import socket
import threading

from probe.settings import SettingsError, check_helo

PATIENCE = 1.0
"""The look-up of one's own name is local on a well-kept host; where it hangs on the DNS we go on without."""


def own_name() -> str | None:
    """Give this host's fully qualified name, or None when it has none that could be used as HELO.

    RFC 5321 4.1.4 wants the fully qualified name, else an address literal. `localhost` and single labels
    are no such name. The host name itself is taken when it has a dot; otherwise the resolver of the system
    is asked for the canonical name (as `hostname -f` does), for `PATIENCE` seconds at the most.
    """
    name = socket.gethostname()
    if "." not in name:
        name = _canonical(name)
    try:
        check_helo(name)
    except SettingsError:
        return None
    return name.rstrip(".")


def _canonical(name: str) -> str:
    found: list[str] = []

    def look_up() -> None:
        try:
            infos = socket.getaddrinfo(name, None, flags=socket.AI_CANONNAME)
        except (OSError, UnicodeError):
            return
        found.extend(info[3] for info in infos if info[3])

    # getaddrinfo has no time limit of its own; a daemon thread may be left behind.
    thread = threading.Thread(target=look_up, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    return next((entry for entry in found if "." in entry), name)
