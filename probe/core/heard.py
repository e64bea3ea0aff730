"""What a mail server would have heard in our place: shared by the predictions of Exim and Postfix."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from probe.core.model import Skip
from probe.core.route import Route, RouteState

if TYPE_CHECKING:
    from probe.core.fold import Judged


class Way(StrEnum):
    """What the DNS tells a mail server."""

    HOSTS = "hosts"
    NO_HOSTS = "no-hosts"
    BROKEN = "broken"
    UNTOLD = "untold"


_NO_HOSTS = frozenset(
    {
        RouteState.NXDOMAIN,
        RouteState.NO_MAIL_HOST,
        RouteState.NULL_MX,
        RouteState.DANGLING,
        RouteState.MX_IS_ADDRESS,
    }
)
_UNTOLD = frozenset(
    {
        RouteState.ASKING,
        RouteState.CUT_SHORT,
        RouteState.ONLY_PRIVATE,
        RouteState.FAMILY_EXCLUDED,
        RouteState.UNREACHABLE,
        RouteState.CUT_OFF,
    }
)


def asked(judged: tuple[Judged, ...]) -> tuple[Judged, ...]:
    """List the hosts that a mail server would ask, in its order."""
    return tuple(
        item for item in judged if item.host.skipped not in {Skip.NOT_PUBLIC, Skip.FAMILY, Skip.LIMIT}
    )


def way_of(route: Route, judged: tuple[Judged, ...]) -> Way:
    """Say what the DNS tells a mail server."""
    if route.state in _NO_HOSTS:
        return Way.NO_HOSTS
    if route.state is RouteState.READY or asked(judged):
        return Way.HOSTS
    return Way.UNTOLD if route.state in _UNTOLD else Way.BROKEN
