"""How long a reply asks us to wait, where it names a time. Pure, and linear in the text.

Only a time that is governed by a word of waiting counts: `Greylisted for 5 minutes`, `try again in 300 seconds`,
`retry in 00:04:59`. A time that belongs to a limit (`10 messages per 60 minutes`, `in the last hour`) or to the
past (`timed out after 30 seconds`) does not. Of several times the longest is taken: who waits so long has waited
long enough for all of them.
"""

from __future__ import annotations

import re
from functools import cache

from probe.core.words import fold

SHORTEST = 1.0
LONGEST = 7 * 86400.0
"""Seconds beyond which a named time is no time to wait: nobody keeps a callout's result or a mail so long."""

_NEAR = 48
"""Characters on each side of a time that are searched for the word that governs it."""

_SECONDS = {
    1.0: "seconds second secs sec s sekunden sekunde secondes seconde segundos segundo secondi secondo sekund "
    "seconden saniye секунд секунды секунду сек 秒 秒钟 秒鐘 秒間 초",
    60.0: "minutes minute mins min m minuten minuti minuto minutos minut minuty minuut dakika минут минуты минуту "
    "мин 分 分钟 分鐘 分間 분",
    3600.0: "hours hour hrs hr h stunden stunde heures heure horas hora ore ora godzin godziny uur saat часов часа "
    "час 小时 小時 時間 시간",
    86400.0: "days day tage tagen tag jours jour dias dia giorni giorno dni dagen gun дней дня день 天 日 일",
}
_UNITS = {unit: seconds for seconds, units in _SECONDS.items() for unit in units.split()}
_NUMBERS = {
    "a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8,
    "nine": 9, "ten": 10, "fifteen": 15, "twenty": 20, "thirty": 30, "forty": 40, "sixty": 60,
}  # fmt: skip


def _any(words: object) -> str:
    return "|".join(sorted(words, key=len, reverse=True))  # type: ignore[call-overload]


@cache
def _time() -> re.Pattern[str]:
    """Match `00:04:59`, `5 minutes`, `1h30m`, `5-10 min`, `an hour`, or the bare number of `retry-after: 300`."""
    return re.compile(
        rf"""
        (?<![\d.:])(?P<clock>\d{{1,2}}:\d\d:\d\d)(?![\d.:])
        | (?<![a-z0-9_.:-])(?P<number>(?:\d{{1,6}}[ ]?(?:-|–|to|bis)[ ]?)?\d{{1,6}}|{_any(_NUMBERS)})
          [ -]?(?P<unit>{_any(_UNITS)})
          (?:[ ]?(?:and[ ])?(?P<more>\d{{1,4}})[ ]?(?P<less>{_any(_UNITS)}))?
          (?:(?<=[^\W\d_a-z])|(?![^\W\d_]))
        | retry-after[ :=]{{1,3}}(?P<bare>\d{{1,6}})(?![\w.])
        """,
        re.VERBOSE,
    )


@cache
def _asked_before() -> re.Pattern[str]:
    """Match the words in front of a time by which it is a time to wait, with nothing between but small words."""
    return re.compile(
        r"""(?:try|trying|tries|retry|retries|retrying|again|wait|waiting|back|later|resend|reconnect|resubmit
        |gr[ea]y-?[ ]?list(?:ed|ing)?|deferred|defer|delayed|delay|rejected|blocked|throttled|suspended
        |reessaye[rz]|patiente[rz]|attende[rz]|attende|reprova|riprova(?:re)?|aspetta(?:re)?|intente(?:lo)?|intentar
        |reintente|espere|tente|tentar|aguarde|warten|versuchen|wieder|erneut|probeer|wacht|sprobuj|odczekaj
        |повторите|подождите|через|请|請|等待|稍后)
        (?:[ ,]?(?:again|later|please|in|for|after|within|about|at|least|another|approximately|approx|around|next
        |the|any|sooner|than|until|temporarily|time|period|is|of|von|nach|fur|dans|apres|en|de|por|dentro|fra|tra
        |nuevo|novo|novamente|pendant|durante|minimum|min|ca|через|после|на|over|op|za|po|do|be|to|connection|it
        |sie|em|sending|message|mail|this|your|email|connecting|delivery|moment|retry|more|greylisted|greylist))*
        [ ]?[:(,=]?[ ]?$""",
        re.VERBOSE,
    )


@cache
def _asked_behind() -> re.Pattern[str]:
    """Match the words behind a time by which it is one, as `in 5 Minuten erneut versuchen`."""
    return re.compile(
        r"""^\)?[ ]?
        (?:(?:and|then|before|until|please|later|bitte|you|may|can|remaining|left|nochmals?|noch|einmal)[ ])*
        (?:try|trying|retry|retrying|resend|reconnect|resubmit|wait|remaining|remain|left|to[ ]go|erneut|wieder
        |versuchen|warten|後|后|以后|之后|之後|以後|おいて|待|후)""",
        re.VERBOSE,
    )


def named_wait(text: str) -> float | None:
    """Return the seconds that a text asks to wait, between one second and seven days; None if it names none."""
    folded = fold(text)
    if not any(map(str.isdigit, folded)) and not any(unit in folded for unit in ("minute", "hour")):
        return None  # the patterns below are not free to make
    asked = [
        seconds
        for found in _time().finditer(folded)
        if SHORTEST <= (seconds := _seconds(found)) <= LONGEST
        and (
            found["bare"]
            or _asked_before().search(folded[max(0, found.start() - _NEAR) : found.start()])
            or _asked_behind().search(folded[found.end() : found.end() + _NEAR])
        )
    ]
    return max(asked, default=None)


def _seconds(found: re.Match[str]) -> float:
    if found["clock"]:
        hours, minutes, seconds = map(int, found["clock"].split(":"))
        return 3600.0 * hours + 60 * minutes + seconds
    if found["bare"]:
        return float(found["bare"])
    number = found["number"]
    value = _NUMBERS.get(number) or int(re.findall(r"\d+", number)[-1])
    more = int(found["more"]) * _UNITS[found["less"]] if found["more"] else 0.0
    return value * _UNITS[found["unit"]] + more
