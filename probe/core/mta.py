"""What Exim and Postfix do with mail from this sender now, from the same evidence.

The cause says what is true; this says what it costs. Each server has a room of its own: `exim` and `postfix`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from probe.core import exim, postfix
from probe.core.model import Mta

if TYPE_CHECKING:
    from probe.core.callout import Callout
    from probe.core.fold import Judged
    from probe.core.model import Evidence
    from probe.core.route import Route


def predict(evidence: Evidence, way: Route, judged: tuple[Judged, ...], callout: Callout) -> Mta | None:
    """Predict both servers; None where what was seen tells of neither (cut short, nothing tried)."""
    views = Mta(exim.predict(evidence, way, judged, callout), postfix.predict(evidence, way, judged))
    return None if views.exim is None and views.postfix is None else views
