"""What one connection to a mail host shall try, and what another connection could still tell.

A `Plan` is everything that the conversation may not decide by itself. `follow_up` looks at a finished session
and plans the next one where Exim would reconnect (a TLS handshake that failed, spec.txt `hosts_require_tls`),
where the peer hung up before the second try with a real sender was answered, or where its answer may have been
too large for the path.
"""

from __future__ import annotations

import re

from msgspec import Struct, structs

from probe.core import phrases
from probe.core.model import (
    About,
    Basis,
    Exchange,
    ExchangeOutcome,
    Purpose,
    Reading,
    Reply,
    Session,
    Stage,
    TlsMode,
)
from probe.core.network import ALIVE_WITHIN

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

SMALL_REPLY_TIMEOUT = 5.0
"""Seconds for each reply over small segments: a path that lets them through does so in one round trip."""
SHORTEST_PATIENCE = 3.0
"""Seconds. With less for a reply, silence is a setting of ours, and the path deserves no second look."""


class Plan(Struct, frozen=True, kw_only=True):
    """One callout to one mail host address. Times in seconds, each for one whole reply (Exim does the same).

    `helo` None means the address literal of our own address (RFC 5321 4.1.4). `mail_from` is the sender that
    a callout uses, "" for the null sender, which has a second try with `real_sender` where a refusal leaves
    open what is refused; the plan of a connection of its own for it has that sender as `mail_from`.
    `random_rcpt` is the mailbox that cannot exist, for --catch-all. `offer_tls` False keeps the connection in
    clear although `tls` would allow more: a handshake has failed before. `utf8` says that the mailbox needs
    SMTPUTF8 (RFC 6531). A control character in any of the texts is a bug of the caller: `ValueError`.
    """

    rcpt: str
    banner_timeout: float
    reply_timeout: float
    quit_timeout: float
    purpose: Purpose = Purpose.CALLOUT
    helo: str | None = None
    mail_from: str = ""
    random_rcpt: str | None = None
    tls: TlsMode = TlsMode.AUTO
    offer_tls: bool = True
    utf8: bool = False

    def __post_init__(self) -> None:
        """Keep CR and LF, and with them a second command, out of every command line."""
        for text in (self.rcpt, self.helo, self.mail_from, self.random_rcpt):
            # The regex is for text of which the quick look says nothing: not everything unprintable is a control.
            if text and not text.isprintable() and _CONTROL.search(text):
                raise ValueError(f"a control character cannot be part of an SMTP command: {text!r}")


def helo_argument(plan: Plan, local_ip: str | None) -> str:
    """Return the argument of EHLO and HELO: the name, or the address literal where there is none."""
    if plan.helo is not None:
        return plan.helo
    ip = (local_ip or "127.0.0.1").partition("%")[0]  # a zone (RFC 4007) means nothing to the peer
    return f"[IPv6:{ip}]" if ":" in ip else f"[{ip}]"


def real_sender(plan: Plan, local_ip: str | None) -> str:
    """Return the mailbox of the second try; every mail domain has a postmaster (RFC 5321 4.5.1)."""
    return f"postmaster@{helo_argument(plan, local_ip)}"


def ours(plan: Plan, local_ip: str | None) -> tuple[str, ...]:
    """Return the words that name us in a reply, in lower case: our address and our HELO argument."""
    return tuple(word.lower() for word in (local_ip, helo_argument(plan, local_ip)) if word)


# Refusals after `MAIL FROM:<>` that do not say whether the mailbox or the null sender is meant. `OUR_SENDER`
# is among them because that sender is `<>`: Postfix says "<>: Sender address rejected" only at RCPT.
_OPEN = frozenset({About.OTHER, About.NULL_SENDER, About.PROTOCOL, About.OUR_SENDER})
_FIRM = frozenset({Basis.WORDS, Basis.KEY})


def leaves_open(reply: Reply, stage: Stage, words: tuple[str, ...]) -> bool:
    """Whether a refusal of the null sender's transaction asks for a second try with a real sender.

    A 5xx to `MAIL FROM:<>` does, unless it wants TLS or a login, which no sender would change: only the
    second answer tells the null sender from ourselves. At RCPT it depends on the reading. Words about us or
    about the mailbox settle it, and so does a code for the mailbox; x.7.1 alone does not, because it stands
    before refusals of every kind, and neither do words such as "refused". `words`: see `ours`.
    """
    if reply.code is None or reply.code // 100 != 5:
        return False
    return opens(phrases.read(reply, stage, words), stage)


def opens(reading: Reading, stage: Stage) -> bool:
    """Say what `leaves_open` says, of a 5xx that has been read."""
    if stage is Stage.MAIL:
        return reading.about not in {About.TLS, About.AUTH}
    vague = reading.basis not in _FIRM or reading.row == phrases.VAGUE
    return reading.about in _OPEN or (reading.about is About.POLICY and vague)


_ABOUT_RECIPIENT = phrases.ABOUT_MAILBOX | {About.RELAY}


def spares_us(reading: Reading) -> bool:
    """Whether a refusal at RCPT is about that recipient alone, so that the next one may be asked without offence."""
    return reading.about in _ABOUT_RECIPIENT


def follow_up(plan: Plan, session: Session) -> Plan | None:
    """Return the plan of another connection to the same host that would tell more, or None.

    At most two follow one callout. `CLEAR`, when the TLS handshake failed and --tls allows to go on without
    (what Exim does, with a line in its main log). And, after either of them, one that nothing follows:
    `SMALL_SEGMENTS`, when the answer seems to be stuck on a path whose MTU is smaller than both ends believe
    (RFC 2923 2.1), or `REAL_SENDER`, when the peer hung up, by 421 or without a word, between refusing the
    null sender and answering the real one.
    """
    if plan.purpose in {Purpose.REAL_SENDER, Purpose.SMALL_SEGMENTS, Purpose.AUDIT}:
        return None
    if _stuck(plan, session):
        return structs.replace(
            plan,
            purpose=Purpose.SMALL_SEGMENTS,
            banner_timeout=min(plan.banner_timeout, _to_banner(session) + SMALL_REPLY_TIMEOUT),
            reply_timeout=min(plan.reply_timeout, SMALL_REPLY_TIMEOUT),
        )
    if plan.tls is TlsMode.AUTO and plan.offer_tls and session.tls is not None and not session.tls.ok:
        return structs.replace(plan, purpose=Purpose.CLEAR, offer_tls=False)
    if not plan.mail_from and _real_untold(plan, session):
        return structs.replace(
            plan,
            purpose=Purpose.REAL_SENDER,
            mail_from=real_sender(plan, session.connect.local_ip),
            random_rcpt=None,
        )
    return None


# Replies that are long enough for it without further signs: those with a line for each extension. The others
# are a line that fits any segment, and a TLS handshake that is not answered has its own second try.
_LONG = frozenset({Stage.EHLO, Stage.HELO})


def _stuck(plan: Plan, session: Session) -> bool:
    """Whether a reply never came, or not to its end, from a peer whose TCP was there all the while.

    Full segments may then have been lost again and again, while shorter ones came through. Segments behind a
    gap show it; without them (the reply was one full segment) it is a chance that one connection can settle.
    """
    tcp = session.tcp
    if tcp is None or not session.exchanges or plan.reply_timeout < SHORTEST_PATIENCE:
        return False
    last = session.exchanges[-1]
    if last.outcome is not ExchangeOutcome.TIMEOUT:
        return False
    behind_gap = tcp.out_of_order > 0
    begun = last.stage is Stage.BANNER and last.reply is not None
    return behind_gap or ((begun or last.stage in _LONG) and tcp.last_ack < ALIVE_WITHIN)


def _to_banner(session: Session) -> float:
    """Return the seconds until the greeting began; one that waits on purpose will do so again."""
    first = session.exchanges[0]
    return (first.ended if first.reply is None else first.reply.started) - first.sent


_SECOND_TRY = frozenset({Stage.RSET, Stage.MAIL_REAL, Stage.RCPT_REAL})


def _real_untold(plan: Plan, session: Session) -> bool:
    words = ours(plan, session.connect.local_ip)
    refused = any(
        exchange.reply is not None and leaves_open(exchange.reply, exchange.stage, words)
        for exchange in session.exchanges
        if exchange.stage in {Stage.MAIL, Stage.RCPT} and exchange.outcome is ExchangeOutcome.REPLY
    )
    if not refused:
        return False
    steps = [exchange for exchange in session.exchanges if exchange.stage in _SECOND_TRY]
    return not steps or _cut_off(steps[-1])


def _cut_off(last: Exchange) -> bool:
    """Whether the second try ended here because the peer left, and not because it answered or fell silent."""
    if last.outcome in {ExchangeOutcome.CLOSED, ExchangeOutcome.RESET}:
        return True
    if last.outcome is not ExchangeOutcome.REPLY or last.reply is None:
        return False  # time-out, flood: a second connection would only cost the same again
    # A refused RSET leaves no way to a second transaction in this connection (RFC 5321 4.1.1.5 forbids it).
    return last.reply.code == 421 or last.stage is Stage.RSET
