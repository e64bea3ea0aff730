"""The rules of the decision table, and the verdicts that rest on no single host: when each holds, what it says."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from probe.core.fold import fold, judge_host
from probe.core.log.event import LogEvent, LogFault, LogKind, LogProgram
from probe.core.log.verdict import judge_event
from probe.core.model import Skip
from probe.core.reasons import CAUSES, REASONS
from probe.core.route import Route, RouteState
from probe.core.rules import HOST_RULES
from probe.show.glossary import case
from probe.show.glossary.causes import GENERAL
from probe.show.glossary.columns import conditions
from probe.show.glossary.entry import Entry, Group, Item, Kind, Listing, Section
from probe.show.printable import inline
from probe.show.wording import SIDES

if TYPE_CHECKING:
    from probe.core.fold import Verdict
    from probe.core.model import Confidence, Side
    from probe.core.rule import Rule


class _Shown(Struct, frozen=True):
    """A rule as it is shown, whichever table it comes from. `side` is None where the reason says who acts."""

    id: str
    reason: str
    confidence: Confidence
    says: str
    when: tuple[tuple[str, str], ...]
    side: Side | None = None


def words() -> list[str]:
    """List the rules by id, those of hosts in the order of the table."""
    return [*_by_host(), *_by_domain()]


def rule(word: str) -> Entry | None:
    """Explain a rule; None where there is none of that id."""
    found = _by_host().get(word)
    if found is not None:
        when = tuple(conditions(found)) or (("Always", "it is the last rule, and matches everything"),)
        return _entry(
            _Shown(found.id, found.reason, found.confidence, case.sentence(found), when, found.side)
        )
    shown = _by_domain().get(word)
    return _entry(shown) if shown else None


def listing() -> Listing:
    """List the rules."""
    return Listing(
        title="Rules of the decision",
        about="The rules by which a report is judged. Those of a mail host are tried in this order, and the first that"
        " matches wins; `fired` of a report names all that match. `probe-sender explain ID` says when each holds.",
        groups=(
            Group("Rules of a mail host", tuple(filter(None, map(rule, _by_host())))),
            Group("Verdicts on the domain or the run", tuple(filter(None, map(rule, _by_domain())))),
        ),
    )


def page() -> str:
    """Give the rules as a table in Markdown, which shows their order better than an entry for each."""
    found = listing()
    out = [f"# {found.title}", "", found.about, ""]
    for group in found.groups:
        out += [f"## {group.title}", "", "| rule | when | reason | confidence |", "|---|---|---|---|"]
        for entry in group.entries:
            (conditions,) = entry.sections
            when = "; ".join(f"{item.head}: {' '.join(item.says)}" for item in conditions.items)
            cells = (entry.word, when, str(entry.fields["reason"]), str(entry.fields["confidence"]))
            out.append(f"| {' | '.join(inline(cell) for cell in cells)} |")
        out.append("")
    return "\n".join(out)


@cache
def _by_host() -> dict[str, Rule]:
    return {each.id: each for each in HOST_RULES}


@cache
def _by_domain() -> dict[str, _Shown]:
    """Collect what the fold concludes where no host decides, by asking it in a case of each kind."""
    stopped = (
        (replace(case.EVIDENCE, cut_short=True), "The run was ended by --timeout"),
        (replace(case.EVIDENCE, interrupted=True), "The run was ended by Ctrl-C"),
    )
    found = [
        (fold((), Route(state), case.EVIDENCE), f"The look-ups of the domain end as: {state}")
        for state in RouteState
        if state not in {RouteState.ASKING, RouteState.READY, RouteState.CUT_SHORT}
    ]
    found += [(fold((), Route(RouteState.CUT_SHORT), evidence), when) for evidence, when in stopped]
    found += [
        (
            fold((), Route(RouteState.READY), case.EVIDENCE),
            "The look-ups of the domain give mail hosts, and none was asked",
        ),
        (
            _partly_asked(),
            "Every mail host that was asked takes no mail for the domain, and not every one could be asked",
        ),
        (
            _held_back(),
            "A batch has left a mail host alone, out of politeness, and none that is its equal said yes",
        ),
    ]
    shown = [
        _Shown(verdict.rule, verdict.reason, verdict.confidence, verdict.says, (("No host decides", when),))
        for verdict, when in found
    ]
    return {each.id: each for each in (*shown, _of_a_log())}


def _of_a_log() -> _Shown:
    """Conclude from a line that tells nothing more than that it failed."""
    event = LogEvent(
        program=LogProgram.EXIM, kind=LogKind.VERIFY, fault=LogFault.SEVERAL, sender="user@example.com"
    )
    verdict = judge_event(event)
    when = (("A line of a log says", "that the verification failed, and not why"),)
    return _Shown(verdict.rule, verdict.reason, verdict.confidence, verdict.says, when)


def _partly_asked() -> Verdict:
    """Conclude from one host that does not serve the domain, where IPv6 was left out."""
    evidence = replace(case.EVIDENCE, options=replace(case.OPTIONS, families=(4,)))
    denied = next(rule for rule in HOST_RULES if rule.reason == "rcpt.domain-not-served")
    return fold((judge_host(0, case.host(denied), evidence),), Route(RouteState.READY), evidence)


def _held_back() -> Verdict:
    """Conclude from one host that politeness kept us from asking."""
    left_alone = replace(case.host(HOST_RULES[0]), skipped=Skip.HELD_BACK, sessions=())
    return fold((judge_host(0, left_alone, case.EVIDENCE),), Route(RouteState.READY), case.EVIDENCE)


def _entry(shown: _Shown) -> Entry:
    row = REASONS[shown.reason]
    code, _ = CAUSES[row.cause]
    side = shown.side or row.side
    return Entry(
        kind=Kind.RULE,
        word=shown.id,
        heading="rule",
        means=f"It makes the reason {row.word}. {row.means.format_map(GENERAL)}",
        example=shown.says,
        facts=(
            ("Cause", f"{row.cause} (exit code {code})"),
            ("Reason", row.word),
            ("Confidence", shown.confidence),
            ("Who acts", SIDES[side]),
            ("Reference", row.ref),
        ),
        sections=(
            Section(
                "It matches when all of this holds:",
                tuple(Item(label, (says,)) for label, says in shown.when),
            ),
        ),
        brief=(row.word,),
        fields={
            "rule": shown.id,
            "reason": row.word,
            "cause": row.cause,
            "exit": code,
            "confidence": shown.confidence,
            "side": side,
            "reference": row.ref,
            "when": [{"column": label, "is": says} for label, says in shown.when],
        },
    )
