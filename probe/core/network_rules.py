"""The rules about the network: who dropped it, who refused it, and where.

The rows follow the decision table that was measured for Linux. The order within a section is from what this
host proves about itself, over what a router or the host says, to what silence leaves open. "Filtered" is said
only beside a control that was answered; where nothing was, the words stay "did not answer".

Places in a sentence: `{after}` is the last hop that the port's packets reached, `{before}` the next one that
only a control reached, `{target}` the hop of the host itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from probe.core.facts import Ended, Got
from probe.core.model import Side
from probe.core.network import After, Nearer, Ports, Refuser, Silence, Us
from probe.core.rule import CERTAIN, PROBABLE, UNCERTAIN, Rule, any_of

if TYPE_CHECKING:
    from collections.abc import Iterable

_TALKED = any_of(Got.BANNER, Got.HELO, Got.TLS, Got.MAIL, Got.RCPT)
_NOT_YET = any_of(Got.CONNECT)
_SILENT = any_of(Ended.TIMEOUT, Ended.SILENT)
_NO_WAY = any_of(Ended.HOST_UNREACHABLE, Ended.NET_UNREACHABLE, Ended.PROHIBITED)
_REFUSED = any_of(Ended.PORT_CLOSED, *_NO_WAY)

PATH_RULES = (
    # Somebody else answered for the host: what it said, yes or no, is not the host's word.
    Rule(
        "banner-intercepted",
        "banner.intercepted",
        PROBABLE,
        "Something at {refuser_at} takes the connections to port {port} of {host} [{ip}], which is {target}, and sends"
        " no greeting.",
        got=any_of(Got.BANNER),
        ended=any_of(Ended.TIMEOUT),
        nearer=any_of(Nearer.YES, Nearer.PROBABLY),
    ),
    Rule(
        "connect-intercepted",
        "connect.intercepted",
        PROBABLE,
        "Something at {refuser_at} answers port {port} in the name of {host} [{ip}], which is {target}: a transparent"
        " proxy or an inspecting firewall. What it said ({reply}) is not the word of the mail host.",
        got=_TALKED,
        nearer=any_of(Nearer.YES),
    ),
    Rule(
        "connect-intercepted-probably",
        "connect.intercepted",
        UNCERTAIN,
        "Something at {refuser_at} seems to answer port {port} in the name of {host} [{ip}], which is {target}; no other port"
        " was seen to pass it. What it said ({reply}) may not be the word of the mail host.",
        got=_TALKED,
        nearer=any_of(Nearer.PROBABLY),
    ),
    Rule(
        "reply-pmtu-blackhole",
        "reply.pmtu-blackhole",
        CERTAIN,
        "Only a second connection with small segments brought {awaited} of {host} [{ip}]; on the first one later"
        " segments arrived and the large ones were lost.",
        got=_TALKED,
        ended=any_of(Ended.TIMEOUT),
        after=any_of(After.SMALL_PROVED),
    ),
    Rule(
        "reply-pmtu-blackhole-by-retry",
        "reply.pmtu-blackhole",
        PROBABLE,
        "Only a second connection with small segments brought {awaited} of {host} [{ip}].",
        got=_TALKED,
        ended=any_of(Ended.TIMEOUT),
        after=any_of(After.SMALL_HELPED),
    ),
    Rule(
        "reply-rejected-midway",
        "reply.rejected-midway",
        CERTAIN,
        "A router ({refuser}) began to reject the connection to {host} [{ip}] while {awaited} was due.",
        got=_TALKED,
        ended=any_of(Ended.TIMEOUT),
        after=any_of(After.REJECTED),
    ),
    Rule(
        "banner-path-dead",
        "banner.path-dead",
        PROBABLE,
        "{host} [{ip}] took the connection, and after that nothing came back any more, not even an ACK, for"
        " {seconds} s.",
        got=any_of(Got.BANNER),
        ended=any_of(Ended.TIMEOUT),
        after=any_of(After.DEAD),
    ),
    Rule(
        "reply-path-dead",
        "reply.path-dead",
        PROBABLE,
        "In mid-conversation nothing came back from {host} [{ip}] any more, not even an ACK, for {seconds} s.",
        got=_TALKED,
        ended=any_of(Ended.TIMEOUT),
        after=any_of(After.DEAD),
    ),
    Rule(
        "banner-timeout-alive",
        "banner.timeout",
        PROBABLE,
        "{host} [{ip}] took the connection and its TCP answers, but its greeting did not come within {seconds} s.",
        got=any_of(Got.BANNER),
        ended=any_of(Ended.TIMEOUT),
        after=any_of(After.ALIVE),
    ),
)
"""What the packets showed of a connection that stood."""


def _silent() -> Iterable[Rule]:
    """Give the rules for a port that did not answer at all."""
    yield Rule(
        "connect-own-output-drops",
        "connect.own-firewall",
        CERTAIN,
        "This host itself drops its packets to port {port} of {host} [{ip}]: every repetition of the SYN was refused by"
        " its own network stack.",
        got=_NOT_YET,
        ended=_SILENT,
        silence=any_of(Silence.OWN_OUTPUT),
    )
    yield Rule(
        "connect-own-link-silent",
        "connect.own-link",
        PROBABLE,
        "The SYN to {host} [{ip}] never left this host: the next hop on its own link does not answer ARP or ND.",
        got=_NOT_YET,
        ended=_SILENT,
        silence=any_of(Silence.OWN_LINK),
    )
    yield Rule(
        "connect-lossy",
        "connect.lossy",
        UNCERTAIN,
        "{host} [{ip}] did not answer on port {port} within {seconds} s, but it did answer another packet to the same"
        " port: packets are lost on the way, and the port is not filtered.",
        got=_NOT_YET,
        ended=_SILENT,
        silence=any_of(Silence.LOSSY),
    )
    for silence, reason, what in (
        (
            Silence.PORT_UNREACHABLE,
            "connect.refused-by-middlebox",
            "port {port} of {host} [{ip}] is unreachable",
        ),
        (Silence.PROHIBITED, "connect.prohibited", "connections to {host} [{ip}] are prohibited"),
        (Silence.HOST_UNREACHABLE, "connect.host-unreachable", "{host} [{ip}] cannot be reached"),
        (
            Silence.NET_UNREACHABLE,
            "connect.net-unreachable",
            "there is no way to the network of {host} [{ip}]",
        ),
    ):
        yield Rule(
            f"connect-silent-{silence.value}",
            reason,
            PROBABLE,
            f"The router at {{refuser_at}} answers other packets that {what}; the connection heard nothing for {{seconds}} s,"
            " because routers send only so many of these errors in a second.",
            got=_NOT_YET,
            ended=_SILENT,
            silence=any_of(silence),
        )
    near = "Port {port} is blocked close to us, between {after} and {before}, while {control}."
    for name, silence, us, reason, confidence, says in (
        (
            "near-canary-silent",
            Silence.NEAR,
            Us.SILENT,
            "connect.egress-filtered",
            CERTAIN,
            f"{near} {{canary}}, another mail host, is silent on port {{port}} too: our own network or provider blocks it.",
        ),
        (
            "near-loosely-canary-silent",
            Silence.NEAR_LOOSELY,
            Us.SILENT,
            "connect.egress-filtered",
            PROBABLE,
            f"{near} {{canary}}, another mail host, is silent on port {{port}} too: our own network or provider blocks it.",
        ),
        (
            "near",
            Silence.NEAR,
            Us.UNTESTED,
            "connect.egress-filtered",
            PROBABLE,
            f"{near} So close to us it is probably our own network or provider; no other mail host was tested.",
        ),
        (
            "near-loosely",
            Silence.NEAR_LOOSELY,
            Us.UNTESTED,
            "connect.egress-filtered",
            UNCERTAIN,
            f"{near} So close to us it is probably our own network or provider; no other mail host was tested.",
        ),
    ):
        yield Rule(
            f"connect-silent-{name}",
            reason,
            confidence,
            says,
            got=_NOT_YET,
            ended=_SILENT,
            silence=any_of(silence),
            us=any_of(us),
        )
    yield Rule(
        "connect-silent-up-to-host-canary-silent",
        "connect.port-filtered",
        UNCERTAIN,
        "Port {port} of {host} [{ip}] is silent: its packets come as far as {after}, perhaps further, and get no answer,"
        " while {control}; {canary}, another mail host, is silent too. A filter between there and {before} and one that"
        " drops the answers on their way back to us cannot be told apart.",
        got=_NOT_YET,
        ended=_SILENT,
        silence=any_of(Silence.UP_TO_HOST),
        us=any_of(Us.SILENT),
        side=Side.UNKNOWN,
    )
    between = "Port {port} of {host} [{ip}] is filtered between {after} and {before}: silence for {seconds} s, while {control}."
    for name, silences, us_words, confidence, more in (
        (
            "between-canary-silent",
            (Silence.BETWEEN,),
            (Us.SILENT,),
            CERTAIN,
            " {canary}, another mail host, is silent too.",
        ),
        (
            "between-canary-open",
            (Silence.BETWEEN, Silence.NEAR),
            (Us.OPEN,),
            CERTAIN,
            " {canary}, another mail host, answers on port {port}: it is this path only.",
        ),
        ("between", (Silence.BETWEEN,), None, CERTAIN, ""),
        (
            "between-loosely-canary-open",
            (Silence.BETWEEN_LOOSELY, Silence.NEAR_LOOSELY, Silence.UP_TO_HOST),
            (Us.OPEN,),
            PROBABLE,
            " {canary}, another mail host, answers on port {port}: it is this path only.",
        ),
        ("between-loosely", (Silence.BETWEEN_LOOSELY, Silence.UP_TO_HOST), None, PROBABLE, ""),
    ):
        yield Rule(
            f"connect-silent-{name}",
            "connect.port-filtered",
            confidence,
            between + more,
            got=_NOT_YET,
            ended=_SILENT,
            silence=any_of(*silences),
            us=any_of(*us_words) if us_words else None,
        )
    yield Rule(
        "connect-silent-far-end-canary-silent",
        "connect.port-filtered",
        UNCERTAIN,
        "Port {port} of {host} [{ip}] is silent: its packets {so_far} and get no answer, while {control}; {canary}, another"
        " mail host, is silent too. A filter at the far end and one that drops the answers on their way back to us"
        " cannot be told apart.",
        got=_NOT_YET,
        ended=_SILENT,
        silence=any_of(Silence.FAR_END),
        us=any_of(Us.SILENT),
        side=Side.UNKNOWN,
    )
    yield Rule(
        "connect-silent-far-end",
        "connect.port-filtered",
        PROBABLE,
        "Port {port} of {host} [{ip}] is filtered at the far end: its packets {so_far} and get no answer in {seconds} s, while"
        " {control}. A firewall there and a full accept queue of the host cannot be told apart.",
        got=_NOT_YET,
        ended=_SILENT,
        silence=any_of(Silence.FAR_END),
        side=Side.THEIRS,
    )
    yield Rule(
        "connect-silent-somewhere",
        "connect.port-filtered",
        UNCERTAIN,
        "Port {port} of {host} [{ip}] is filtered somewhere: silence for {seconds} s, while {control}. No router was seen"
        " to answer, so the place is not known.",
        got=_NOT_YET,
        ended=_SILENT,
        silence=any_of(Silence.SOMEWHERE),
    )
    yield Rule(
        "connect-host-silent-canary-silent",
        "connect.host-silent",
        UNCERTAIN,
        "Nothing of {host} [{ip}] answers: neither port {port} nor any other that was tried; packets come as far as {after}. {canary}, another mail host, is silent too, so the fault may be on our side. A host that is down, one that filters everything and a route that ends there cannot be told apart.",
        got=_NOT_YET,
        ended=_SILENT,
        silence=any_of(Silence.HOST_SILENT),
        us=any_of(Us.SILENT),
    )
    yield Rule(
        "connect-host-silent",
        "connect.host-silent",
        PROBABLE,
        "Nothing of {host} [{ip}] answers: neither port {port} nor any other that was tried; packets come as far as {after}. A host that is down, one"
        " that filters everything and a route that ends there cannot be told apart.",
        got=_NOT_YET,
        ended=_SILENT,
        silence=any_of(Silence.HOST_SILENT),
    )
    yield Rule(
        "connect-offline",
        "connect.offline",
        UNCERTAIN,
        "Nothing further away answers: not {host} [{ip}], no router on the way to it, and not {canary}, another mail host.",
        got=_NOT_YET,
        ended=_SILENT,
        silence=any_of(Silence.ALL_SILENT),
    )
    yield Rule(
        "connect-timeout",
        "connect.timeout",
        PROBABLE,
        "{host} [{ip}] did not answer on port {port} within {seconds} s.",
        got=_NOT_YET,
        ended=any_of(Ended.TIMEOUT),
    )
    yield Rule(
        "connect-silent-so-far",
        "connect.timeout",
        UNCERTAIN,
        "{host} [{ip}] had not answered on port {port} after {seconds} s, when the probe ended.",
        got=_NOT_YET,
        ended=any_of(Ended.SILENT),
    )


def _refused() -> Iterable[Rule]:
    """Give the rules for a connection that somebody refused aloud."""
    for name, refuser, confidence, says in (
        (
            "connect-own-firewall-rejects",
            Refuser.OURSELVES,
            CERTAIN,
            "This host itself rejects its packets to port {port} of {host} [{ip}] ({errno}).",
        ),
        (
            "connect-reset-at-once",
            Refuser.FIRST_HOP,
            PROBABLE,
            "Packets to port {port} of {host} [{ip}] are reset before the first hop, and the host is {target}: our own firewall, or the first router, rejects them.",
        ),
    ):
        yield Rule(
            name,
            "connect.own-firewall",
            confidence,
            says,
            got=_NOT_YET,
            ended=_REFUSED,
            refuser=any_of(refuser),
        )
    yield Rule(
        "connect-reset-on-the-way",
        "connect.refused-by-middlebox",
        PROBABLE,
        "The RST for port {port} of {host} [{ip}] comes from between {after} and {before}, and the host is {target}: a"
        " firewall on the way refuses in its name.",
        got=_NOT_YET,
        ended=any_of(Ended.PORT_CLOSED),
        refuser=any_of(Refuser.MIDDLEBOX),
    )
    yield Rule(
        "connect-refused-by-router",
        "connect.refused-by-middlebox",
        CERTAIN,
        "The router at {refuser_at} answers that port {port} of {host} [{ip}] is unreachable: a firewall on the way, not the host.",
        got=_NOT_YET,
        ended=any_of(Ended.PORT_CLOSED),
        refuser=any_of(Refuser.ROUTER),
    )
    yield Rule(
        "connect-refused-by-whom",
        "connect.refused",
        PROBABLE,
        "Connections to port {port} of {host} [{ip}] are refused; it was not seen whether by the host, which is {target}, or"
        " by a firewall before it.",
        got=_NOT_YET,
        ended=any_of(Ended.PORT_CLOSED),
        refuser=any_of(Refuser.DOUBTFUL),
        side=Side.UNKNOWN,
    )
    yield Rule(
        "connect-refused",
        "connect.refused",
        CERTAIN,
        "{host} [{ip}] refused the connection to port {port}.",
        got=_NOT_YET,
        ended=any_of(Ended.PORT_CLOSED),
    )
    yield Rule(
        "connect-rejected-once",
        "connect.host-unreachable",
        UNCERTAIN,
        "An ICMP error from {refuser_at} ended the connection to {host} [{ip}], but another packet to port {port} was taken:"
        " the error came by chance, or is forged.",
        got=_NOT_YET,
        ended=_NO_WAY,
        refuser=any_of(Refuser.DOUBTFUL),
        side=Side.UNKNOWN,
    )
    yield Rule(
        "connect-routing-loop",
        "connect.routing-loop",
        CERTAIN,
        "The packets to {host} [{ip}] go round in a circle between {loop} until their hop limit is used up.",
        got=_NOT_YET,
        ended=_NO_WAY,
        refuser=any_of(Refuser.LOOP),
    )
    yield Rule(
        "connect-own-link-dead",
        "connect.own-link",
        CERTAIN,
        "The next hop towards {host} [{ip}] on this host's own link does not answer ARP or ND ({errno}).",
        got=_NOT_YET,
        ended=any_of(Ended.HOST_UNREACHABLE),
        refuser=any_of(Refuser.OWN_LINK),
    )
    yield Rule(
        "connect-unreachable-behind-host",
        "connect.host-unreachable",
        CERTAIN,
        "{host} [{ip}] itself answers that what it passes port {port} on to cannot be reached.",
        got=_NOT_YET,
        ended=any_of(Ended.HOST_UNREACHABLE),
        refuser=any_of(Refuser.HOST),
        side=Side.THEIRS,
    )
    yield Rule(
        "connect-prohibited-by-host",
        "connect.prohibited",
        CERTAIN,
        "{host} [{ip}] itself answers that connections to port {port} are prohibited.",
        got=_NOT_YET,
        ended=any_of(Ended.PROHIBITED, Ended.NET_UNREACHABLE),
        refuser=any_of(Refuser.HOST),
        side=Side.THEIRS,
    )
    yield Rule(
        "connect-port-prohibited-by-router",
        "connect.prohibited",
        CERTAIN,
        "The router at {refuser_at} rejects port {port} of {host} [{ip}], and only that, while {control}: a filter rule.",
        got=_NOT_YET,
        ended=_NO_WAY,
        refuser=any_of(Refuser.ROUTER),
        ports=any_of(Ports.THIS_ONE),
    )
    for ended, reason, what, how in (
        (
            Ended.PROHIBITED,
            "connect.prohibited",
            "connections to {host} [{ip}] are prohibited",
            "answers on every port that",
        ),
        (
            Ended.HOST_UNREACHABLE,
            "connect.host-unreachable",
            "{host} [{ip}] cannot be reached",
            "answers, for every port, that",
        ),
        (
            Ended.NET_UNREACHABLE,
            "connect.net-unreachable",
            "there is no way to the network of {host} [{ip}]",
            "answers, for every port, that",
        ),
    ):
        word = reason.replace(".", "-")
        yield Rule(
            f"{word}-on-every-port",
            reason,
            CERTAIN,
            f"The router at {{refuser_at}} {how} {what}.",
            got=_NOT_YET,
            ended=any_of(ended),
            refuser=any_of(Refuser.ROUTER),
            ports=any_of(Ports.EVERY),
        )
        yield Rule(
            f"{word}-by-router",
            reason,
            CERTAIN,
            f"The router at {{refuser_at}} answers that {what}.",
            got=_NOT_YET,
            ended=any_of(ended),
            refuser=any_of(Refuser.ROUTER),
        )
        yield Rule(
            word,
            reason,
            CERTAIN,
            f"The network answers that {what} ({{errno}}).",
            got=_NOT_YET,
            ended=any_of(ended),
        )
    yield Rule(
        "connect-no-route",
        "connect.no-route",
        CERTAIN,
        "This host has no route to {host} [{ip}] ({errno}).",
        got=_NOT_YET,
        ended=any_of(Ended.NO_ROUTE),
    )
    yield Rule(
        "connect-local-error",
        "connect.local-error",
        CERTAIN,
        "This host could not try to connect to {host} [{ip}]: {errno}.",
        got=_NOT_YET,
        ended=any_of(Ended.LOCAL),
    )


CONNECTION_RULES: tuple[Rule, ...] = (*_silent(), *_refused())
"""What the packets showed of a connection that never stood."""
NETWORK_RULES = frozenset(rule.id for rule in (*PATH_RULES, *CONNECTION_RULES))
"""Ids of the rules that rest on packets and not on replies."""
