"""What mail servers do with the sender, for people: one sentence, or all that is known of it.

    Effect now  Exim rejects (550 Sender verify failed; "Callback setup failed while verifying
                <user@example.com>") and remembers that for the whole domain for 3 h (cPanel: 1 h),
                Postfix accepts

and in the long form

    Exim        4.96 with callout=30s rejects it
      asks      1. mx1.example.com [192.0.2.25]: response to "MAIL FROM:<>" was: 550 no (reject)
      answers   550-Callback setup failed while verifying <user@example.com>
      logs      sender verify fail for <user@example.com>: mx1.example.com [192.0.2.25] : ...
      keeps     reject_mfnull under example.com, for the whole domain, for 3 h
      forgets   exim_fixdb ...

Nothing here is safe to show yet; the views see to that.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from probe.core.model import Covers, MtaOutcome
from probe.show.wording import seconds

if TYPE_CHECKING:
    from probe.core.model import CacheRecord, Mta, MtaView

DOES = {MtaOutcome.ACCEPT: "accepts", MtaOutcome.REJECT: "rejects", MtaOutcome.DEFER: "defers"}
FORGETS = "  forgets"
"""Labels the command that clears a cache: the one line of the long form that is for a shell."""
_PLAIN = "Verification failed"
"""How Exim's reply begins where the address itself was refused."""
_CODE = re.compile("[2-5][0-9]{2}(?= |$)")


def predicted(mta: Mta) -> list[tuple[str, MtaView]]:
    """Give the servers of which it is told what they do, each with its name."""
    views = (("Exim", mta.exim), ("Postfix", mta.postfix))
    return [(program, view) for program, view in views if view is not None]


def brief(mta: Mta) -> str:
    """Say in one sentence what Exim and Postfix do with the sender."""
    told = predicted(mta)
    if len(told) == 2 and all(view.outcome is MtaOutcome.ACCEPT for _, view in told):
        return "Exim and Postfix accept it"
    parts = []
    if (exim := mta.exim) is not None:
        parts.append(f"Exim {DOES[exim.outcome]}{_exim_says(exim)}{_remembers(exim)}")
    if (postfix := mta.postfix) is not None:
        # Its reply quotes the peer's, which the report has shown already.
        code = _CODE.match(postfix.reply or "")
        parts.append(f"Postfix {DOES[postfix.outcome]}" + (f" ({code[0]})" if code else ""))
    return ", ".join(parts)


def _exim_says(view: MtaView) -> str:
    """Give the last line of its reply, and the first where that says more than whom it verified."""
    if not view.reply:
        return ""
    first = view.reply_lines[0][4:] if len(view.reply_lines) > 1 else ""
    return f" ({view.reply})" if not first or first.startswith(_PLAIN) else f' ({view.reply}; "{first}")'


def _remembers(view: MtaView) -> str:
    """Say for how long a refusal outlasts its cause; what expires is believed until then."""
    if view.outcome is MtaOutcome.ACCEPT:
        return ""
    kept = [record for record in view.cache if "reject" in record.holds]
    if not kept:
        return ""
    widest = next((record for record in kept if record.covers is Covers.DOMAIN), kept[0])
    return f" and remembers that {_covers(widest)} for {duration(widest.seconds)}{_on_cpanel(widest)}"


def _covers(record: CacheRecord) -> str:
    return "for the whole domain" if record.covers is Covers.DOMAIN else "of the address"


def _on_cpanel(record: CacheRecord) -> str:
    other = record.cpanel_seconds
    return f" (cPanel: {duration(other)})" if other is not None and other != record.seconds else ""


def full(mta: Mta) -> list[tuple[str, list[str]]]:
    """Give all that is known, as labels of at most eleven characters and the lines beside them."""
    parts: list[tuple[str, list[str]]] = []
    for program, view in predicted(mta):
        after = "" if view.seconds is None else f", after {seconds(view.seconds)}"
        parts.append((program, [f"{view.version} with {view.settings} {DOES[view.outcome]} it{after}"]))
        asked = [
            f"{number}. {host.name} [{host.ip}]: {host.why} ({host.outcome})"
            for number, host in enumerate(view.asked, 1)
        ]
        answers = list(view.reply_lines) or ([view.reply] if view.reply else [])
        kept = [
            f"{record.holds} under {record.key}, {_covers(record)}, for {duration(record.seconds)}"
            f"{_on_cpanel(record)}"
            for record in view.cache
        ]
        forgets = [view.clear] if view.clear else []
        parts += [
            (label, lines)
            for label, lines in (
                ("  asks", asked),
                ("  answers", answers),
                ("  logs", list(view.log)),
                ("  keeps", kept),
                (FORGETS, forgets),
                ("  beware", list(view.notes)),
            )
            if lines
        ]
    return parts


def duration(lapse: float) -> str:
    """Give a long lapse in the largest unit that it fills: `3 h`, `7 d`, `90 s`."""
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        number, rest = divmod(lapse, length)
        # A day is said in hours, as everybody does of caches.
        if not rest and number and (unit != "d" or number > 1):
            return f"{number:.0f} {unit}"
    return seconds(lapse)
