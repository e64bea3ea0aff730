"""One mail host as a callout of Exim meets it, by the version that is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from probe.core.exim.classic import ClassicTalk
from probe.core.exim.transport import TransportTalk

if TYPE_CHECKING:
    from probe.core.callout import Callout
    from probe.core.exim.met import Left, Met
    from probe.core.model import Evidence, HostEvidence


def meet(host: HostEvidence, evidence: Evidence, callout: Callout, left: Left) -> Met:
    """Follow Exim's callout to one host, after what earlier hosts of the same callout left behind."""
    generation = TransportTalk if callout.shares_transport else ClassicTalk
    return generation(host, evidence, callout, left).met()
