"""The checks of `probe-sender doctor` for a terminal: one line each, with the mend under it where there is one.

ok        resolver-tcp       TCP is answered by 192.0.2.53:53
fail      ptr-ipv4           192.0.2.25 has no PTR record (nxdomain); many mail
                             hosts refuse such a client
                             -> ask the provider of 192.0.2.25 to set its PTR
                             record to the name of your mail server
"""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from probe.core.checks import CHECKS, Result
from probe.show.printable import safe
from probe.show.wording import count

if TYPE_CHECKING:
    from probe.core.observations import Health

_COLOURS = {Result.OK: "32", Result.WARN: "33", Result.FAIL: "1;31", Result.UNTESTED: "2"}
_RESULT = max(map(len, Result)) + 2
_NAME = max(map(len, CHECKS)) + 2
_NARROWEST = 60
_SENTENCE = 600
"""Characters of one sentence that are shown, so that no quoted greeting scrolls the rest away."""


def render(health: Health, *, color: bool = False, width: int = 80) -> str:
    """Show the checks in lines of at most `width` columns, and what they come to in the last one."""
    margin = " " * (_RESULT + _NAME)
    lines: list[str] = []
    for check in health.checks:
        says = _wrapped(check.says, margin, width)
        mend = _wrapped(f"-> {check.mend}", margin, width) if check.mend is not None else []
        result = f"{check.result:<{_RESULT}}"
        if color:
            result = f"\x1b[{_COLOURS[check.result]}m{result}\x1b[0m"
        lines += [f"{result}{check.id:<{_NAME}}{says[0][len(margin) :]}", *says[1:], *mend]
    lines += ["", _summary(health)]
    return "".join(f"{line}\n" for line in lines)


def _wrapped(text: str, margin: str, width: int) -> list[str]:
    # Host names hold hyphens: breaking there would spoil them for copying.
    return textwrap.wrap(
        safe(text, width=_SENTENCE),
        max(width, _NARROWEST),
        initial_indent=margin,
        subsequent_indent=margin,
        break_on_hyphens=False,
    ) or [margin]


def _summary(health: Health) -> str:
    results = [check.result for check in health.checks]
    told = ", ".join(
        f"{results.count(result)} {word}"
        for result, word in ((Result.OK, "ok"), (Result.WARN, "to look at"), (Result.UNTESTED, "untested"))
    )
    failed = results.count(Result.FAIL)
    verdict = f"{count(failed, 'thing')} of ours to mend" if failed else "nothing of ours is wrong"
    return f"{verdict}; {told}"
