"""probe-sender says why a sender-verify callout to an address fails.

`await probe_sender("user@example.com")` gives a `Report`; `Settings` holds the options of the command.
Names are loaded on first use, so that `probe-sender --help` does not pay for the network.
"""

from __future__ import annotations

from probe.version import __version__

TYPE_CHECKING = False  # not from typing: it would cost --help 10 ms
if TYPE_CHECKING:
    from probe.core.classify import judge
    from probe.core.model import Evidence, Report
    from probe.run.engine import probe_sender
    from probe.settings import Settings

__all__ = ["Evidence", "Report", "Settings", "__version__", "judge", "probe_sender"]

_HOMES = {
    "Evidence": "probe.core.model",
    "Report": "probe.core.model",
    "Settings": "probe.settings",
    "judge": "probe.core.classify",
    "probe_sender": "probe.run.engine",
}


def __getattr__(name: str) -> object:
    """Load a public name on first use (PEP 562)."""
    if name in _HOMES:
        from importlib import import_module  # noqa: PLC0415  # --help has no use for it

        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
