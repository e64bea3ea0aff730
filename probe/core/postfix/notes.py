"""What the reader of a prediction for Postfix should know beside: where our probe saw what Postfix would not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from probe.core.mail_hosts import asked
from probe.core.model import Skip, Stage
from probe.core.postfix.client import CONNECT_SECONDS, REPLY_SECONDS
from probe.core.sentences import seconds_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from probe.core.fold import Judged
    from probe.core.model import Evidence, HostEvidence
    from probe.core.postfix.client import Talk


def beside(
    evidence: Evidence, judged: tuple[Judged, ...], talks: list[tuple[HostEvidence, Talk]]
) -> Iterable[str]:
    """Say where our probe saw what Postfix would not, or the other way round."""
    for host, said in talks:
        where = f"{host.name} [{host.ip}]"
        if said.masked:
            yield f"Postfix says HELO to such a greeting; what {where} said to our EHLO stands for the answer."
        if said.real:
            yield (
                f"{where} refused the null sender, with which Postfix does not ask: what it said to a sender of"
                " ours stands for its answer to Postfix's."
            )
        if said.silent is not None:
            options, early = evidence.options, said.silent is Stage.CONNECT
            ours = options.connect_timeout if early else options.reply_timeout
            theirs = CONNECT_SECONDS if early else REPLY_SECONDS
            yield (
                f"We waited {seconds_text(ours)} s for {where} {_AWAITED[said.silent]}; Postfix waits"
                f" {seconds_text(theirs)} s."
            )
        if said.unrouted:
            yield f"This host has no route to {where}; a mail server that has one is answered otherwise."
        if said.secure:
            yield (
                f"{where} was asked over TLS, as Postfix does with smtp_tls_security_level = may (Debian's setting);"
                " its own default is to go without."
            )
    for item in judged:
        if item.host.skipped in _LEFT_OUT:
            yield f"{item.host.name} [{item.host.ip}] was not asked by us; Postfix would try it."
    if _drawn(judged):
        yield (
            "Hosts of equal preference do not answer alike, and Postfix draws their order each time, so another try"
            " may end otherwise."
        )
    if any(said.greeted and not said.real for _, said in talks):
        yield (
            f"Postfix asks as double-bounce@ its own domain, and we asked as <{evidence.options.mail_from}>; a host"
            " that tells the two apart answers it otherwise."
        )


_LEFT_OUT = frozenset({Skip.NOT_PUBLIC, Skip.FAMILY})
_AWAITED = {
    Stage.CONNECT: "to take the connection",
    Stage.BANNER: "to greet",
    Stage.EHLO: "to answer EHLO",
    Stage.HELO: "to answer HELO",
    Stage.MAIL: "to answer MAIL",
    Stage.RCPT: "to answer RCPT",
}


def _drawn(judged: tuple[Judged, ...]) -> bool:
    """Whether two hosts of one preference ended otherwise."""
    if len(judged) < 2:
        return False
    ends: dict[int | None, set[tuple[object, object]]] = {}
    for item in asked(judged):
        if item.tried:
            ends.setdefault(item.host.preference, set()).add((item.facts.got, item.facts.ended))
    return any(len(kinds) > 1 for kinds in ends.values())
