"""A preflight for a terminal and for a ticket: the advice, the checks, the ways to exempt with what each costs.

    justified: 192.0.2.59 for administrator@customer.example.com

      192.0.2.59 may be exempted for mail of customer.example.com: ...

    pass      diagnosis                   firewall-timeout, connect.timeout ...
    warn      spf                         customer.example.com has no SPF record ...

Every text may quote a peer, so all of it passes through `printable`.
"""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from probe.core.exemption.relay import Advice, Result
from probe.core.exemption.relay_checks import CHECKS
from probe.show.printable import code, fence, inline, safe

if TYPE_CHECKING:
    from collections.abc import Iterator

    from probe.core.exemption.relay import Exemption, Preflight

_COLOURS = {Result.PASS: "32", Result.WARN: "33", Result.FAIL: "1;31", Result.UNTESTED: "2"}
_ADVICE = {
    Advice.JUSTIFIED: "1;32",
    Advice.NOT_NEEDED: "1;32",
    Advice.USELESS: "1;33",
    Advice.CANNOT_TELL: "1;33",
    Advice.DANGEROUS: "1;31",
}
_RESULT = max(map(len, Result)) + 2
_NAME = max(map(len, CHECKS)) + 2
_LABEL = 10
_NARROWEST = 60
_SENTENCE = 800
"""Characters of one sentence that are shown, so that no quoted reply scrolls the rest away."""


def render(report: Preflight, *, verbose: bool = False, color: bool = False, width: int = 80) -> str:
    """Show a preflight in lines of at most `width` columns; what is to be copied is not wrapped.

    `verbose` adds the whole diagnosis of the sender.
    """
    width = max(width, _NARROWEST)
    heading = f"{report.advice}: {safe(report.relay_ip)} for {safe(report.address, width=_SENTENCE)}"
    lines = [_painted(heading, _ADVICE[report.advice], color=color), ""]
    for sentence in report.because[:1]:
        lines += [*_wrapped(sentence, "  ", width), ""]
    margin = " " * (_RESULT + _NAME)
    for check in report.checks:
        says = _wrapped(check.says, margin, width)
        result = _painted(f"{check.result:<{_RESULT}}", _COLOURS[check.result], color=color)
        lines += [f"{result}{check.id:<{_NAME}}{says[0][len(margin) :]}", *says[1:]]
    if report.exemptions:
        review = report.exemptions[0].review_after
        title = f"Ways to exempt, the narrowest first; look at it again after {review}:"
        lines += ["", *_wrapped(title, "", width)]
        for number, way in enumerate(report.exemptions, 1):
            lines += ["", *_way(number, way, width)]
    if report.avoid:
        lines += ["", "Not these lists:"]
        for avoid in report.avoid:
            lines += _wrapped(f"{avoid.file}: {avoid.why}", "    ", width, first="  ")
    if verbose:
        from probe.show.text import render as diagnosis  # noqa: PLC0415  # only when it is wanted

        whole = diagnosis(report.report, verbose=True, color=color, width=width)
        lines += ["", "The diagnosis of the sender:", "", *whole.splitlines()]
    return "".join(f"{line}\n" for line in lines)


def _way(number: int, way: Exemption, width: int) -> Iterator[str]:
    yield f"{number}. {safe(way.mta)}: {safe(way.file)}"
    for label, text in (("where", way.where), ("bypasses", way.bypasses), ("risk", way.risk)):
        if label == "bypasses":
            yield from _copied("line", [way.line])
            yield from _copied("setup", list(way.setup))
        yield from _wrapped(text, " " * (_LABEL + 3), width, first=f"   {label:<{_LABEL}}")
    yield from _copied("undo", [way.undo])


def _copied(label: str, texts: list[str]) -> Iterator[str]:
    # Not wrapped: it is copied into a file or a shell.
    for text in texts:
        yield f"   {label:<{_LABEL}}{safe(text, width=_SENTENCE)}"
        label = ""


def quiet(report: Preflight) -> str:
    """Show a preflight in one line: advice, relay, address, the rule that decided and its sentence."""
    fields = (report.advice, report.relay_ip, report.address, report.rule, *report.because[:1])
    return "\t".join(safe(field, width=_SENTENCE) for field in fields) + "\n"


def markdown(report: Preflight) -> str:
    """Show a preflight for a ticket, as CommonMark; nothing in it is formatted, linked or mentioned."""
    blocks = [
        f"## {report.advice}: {code(report.relay_ip)} for {code(report.address)}",
        "\n\n".join(_prose(says) for says in report.because[:1]),
        "## Checks",
        "\n".join(f"- **{check.result}** {code(check.id)}: {_prose(check.says)}" for check in report.checks),
    ]
    if report.exemptions:
        review = code(report.exemptions[0].review_after)
        blocks += ["## Ways to exempt", f"The narrowest first; look at it again after {review}."]
        blocks += [_way_markdown(number, way) for number, way in enumerate(report.exemptions, 1)]
    if report.avoid:
        blocks += ["## Not these lists"]
        blocks += ["\n".join(f"- {code(avoid.file)}: {_prose(avoid.why)}" for avoid in report.avoid)]
    return "\n\n".join(blocks) + "\n"


def _way_markdown(number: int, way: Exemption) -> str:
    lines = [f"### {number}. {code(way.mta)}: {code(way.file)}", ""]
    lines += [f"- Where: {_prose(way.where)}", f"- Bypasses: {_prose(way.bypasses)}"]
    lines += [f"- Risk: {_prose(way.risk)}", f"- Undo: {code(way.undo)}", ""]
    lines += fence([safe(way.line)])
    if way.setup:
        lines += ["", "Needed once:", "", *fence([safe(line) for line in way.setup])]
    return "\n".join(lines)


def _prose(text: str) -> str:
    return inline(text, width=_SENTENCE)


def _painted(text: str, sgr: str, *, color: bool) -> str:
    return f"\x1b[{sgr}m{text}\x1b[0m" if color else text


def _wrapped(text: str, margin: str, width: int, *, first: str | None = None) -> list[str]:
    # Host names hold hyphens: breaking there would spoil them for copying.
    return textwrap.wrap(
        safe(text, width=_SENTENCE),
        width,
        initial_indent=margin if first is None else first,
        subsequent_indent=margin,
        break_on_hyphens=False,
    ) or [margin]
