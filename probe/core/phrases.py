"""Reply wording and codes -> what a refusal is about. Pure, and linear in the text.

The worst error is to read a refusal of *us* as a missing mailbox. So the evidence is weighed in this order:

1. The stage. Before RCPT no mailbox has been named, whatever the code and the words say. The reverse does not
   hold: Postfix delays the refusal of a client, a HELO name or a sender to RCPT (smtpd_delay_reject).
2. The rows of `phrasebook.TABLE` in their order: words about us, keys of providers, words about the mailbox,
   vague refusals.
3. The enhanced code (RFC 3463), where real hosts use it for what the registry says.
4. The reply code, where it means one thing.
5. Nothing: `About.OTHER`.

A reply that quotes another one (`host x said: 550 ...`) is read by the innermost, unless the words in front
of the quotation are about us already, or only ask us to wait. The words give the class of a refusal; whether
it is for good is the reply code's to say, and the caller's to keep.

What is read about the mailbox must stand alone. If the text also names somebody else (the rows of `DOUBTS`:
a sender, a client, an IP address, us), if its enhanced code is about us, or if it goes on beyond what is read,
then either reading may be wrong, and the reply is read as neither.

The text is cut into words once; each word leads to the phrases that begin with it, and a phrase is compared
word by word, over gaps of at most seven. The table is parsed when the first refusal is read, so that a run in
which nobody refuses does not pay for it.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import NamedTuple

from probe.core.model import About, Basis, Oddity, Reading, Reply, Stage
from probe.core.phrasebook import BASIC, DNSBL_LABELS, ENHANCED, TABLE
from probe.core.phrasebook.phrase import Phrase, Row, parse
from probe.core.reply import enhanced_code, strip_enhanced, texts_of
from probe.core.wait import named_wait
from probe.core.words import Vocabulary, cut, decode

TEXT_LIMIT = 4096
"""Characters of a reply's text that are read. A real refusal has a few hundred; Exim reads no more either."""
KNOWN = 256
"""Replies whose reading is remembered: a host refuses every address in the same words, and each judgement reads
a reply three times, for the verdict, for the RFCs and for Postfix."""
KNOWN_LIMIT = 1024
"""Characters of a reply that is remembered."""
WORDS_LIMIT = 80
"""Characters of the matched words that a reading quotes."""
BARE = 2
"""Words of a greeting that are a host's name and its protocol; with more, a reason is given."""

AT_RCPT = frozenset(
    {
        Stage.RCPT,
        Stage.RCPT_REAL,
        Stage.RCPT_RANDOM,
        Stage.RCPT_POSTMASTER,
        Stage.RCPT_POSTMASTER_AGAIN,
        Stage.RCPT_LONG,
    }
)
AT_MAIL = frozenset({Stage.MAIL, Stage.MAIL_REAL, Stage.MAIL_AGAIN})
ABOUT_MAILBOX = frozenset(
    {About.MISSING_MAILBOX, About.MISSING_DOMAIN, About.DISABLED, About.FULL, About.NO_MAIL_DOMAIN}
)
"""What can only be said of a recipient, so only in answer to RCPT."""
FINAL = ABOUT_MAILBOX | {About.NO_MAIL_HOST}
"""Readings that end the matter, and so are given up at the first doubt."""
ABOUT_ENVELOPE = frozenset({About.NULL_SENDER, About.OUR_SENDER, About.RELAY})
"""What can only be said once a sender is named; before MAIL the same words are about us."""
ABOUT_US = frozenset(
    {
        About.POLICY,
        About.BLOCKLIST,
        About.RDNS,
        About.HELO,
        About.AUTH,
        About.TLS,
        About.RATE,
        *ABOUT_ENVELOPE,
    }
)
"""What is said of the client, its HELO name, its sender or what it asks for."""

DOUBTS = frozenset({"doubt", "doubt-for-now", "doubt-in-other-tongues"})
"""The rows that say nothing by themselves, but take the certainty from a reading that is `FINAL`."""
FOR_NOW = "doubt-for-now"
"""Of these the one that does not speak against a full mailbox: its owner may make room by and by."""
VAGUE = "refusal"
"""The row of words that refuse and do not say whom; most often it is us."""
FULL_OUTRIGHT = "mailbox-full-outright"
"""The row that says of the mailbox, and not only of some quota, that it is full."""
NAMES_US = "names-us"
"""The row that matches our own address or HELO name."""


class Candidate(NamedTuple):
    """One way to read a reply, before it is weighed against the others."""

    about: About
    basis: Basis
    row: str
    words: str | None


def read(reply: Reply, stage: Stage, ours: tuple[str, ...] = ()) -> Reading:
    """Read what a refusal at `stage` is about.

    `ours` are our IP address and HELO name, in lower case: a text that names them is about us, not about the
    mailbox. A reply that refuses nothing gives `About.OTHER` with `Basis.NONE`. `delay` has the seconds to wait
    that a 4xx names (`wait.py`); a 5xx asks nobody to come back.
    """
    code = reply.code
    if code is None or not 400 <= code < 600:
        return Reading(About.OTHER, Basis.NONE, "no-refusal", None, None)
    look = _known_reading if sum(map(len, reply.lines)) <= KNOWN_LIMIT else _reading
    return look(code, reply.lines, Oddity.UNTERMINATED in reply.oddities, stage, ours)


def _reading(
    code: int, lines: tuple[str, ...], unterminated: bool, stage: Stage, ours: tuple[str, ...]
) -> Reading:
    """Read a refusal by all that a reading depends on: when it came, and what else is odd about it, does not count."""
    reply = Reply(code, lines, (), 0.0, 0.0)
    # The enhanced code is repeated on every line; left in, it would stand in the middle of a phrase.
    raw = " ".join(strip_enhanced(line) for line in texts_of(reply))
    text, is_utf8 = decode(raw[:TEXT_LIMIT])
    candidates = _innermost(text, stage, ours) or _candidates(text, code, enhanced_code(reply), stage, ours)
    # A reply without an end is no verdict whatever it says; of the others, what is cut off may be about us.
    whole = len(raw) <= TEXT_LIMIT or unterminated
    reading = _choose(candidates, whole=whole, for_good=code >= 500)
    words, delay = reading.words, None
    if is_utf8 and words:  # the model keeps a peer's bytes as latin-1 text
        words = words.encode().decode("latin-1")[:WORDS_LIMIT]
    if code < 500:
        delay = named_wait(text)
    return Reading(reading.about, reading.basis, reading.row, words, reading.runner_up, delay)


_known_reading = lru_cache(maxsize=KNOWN)(_reading)


# --- weighing ------------------------------------------------------------------------------------------


def _choose(candidates: list[Candidate], *, whole: bool, for_good: bool) -> Reading:
    """Take the weightiest candidate, and name the next of another class."""
    best = next(c for c in candidates if c.row not in DOUBTS)
    if best.about in {About.TEMPORARY, About.CONTENT} and best.basis is Basis.WORDS:
        # The words say when or what, and the code whom: Exchange Online asks a sender it bans to come back.
        best = next((c for c in candidates if c.basis is Basis.ENHANCED and c.about in ABOUT_US), best)
    final = next((c for c in candidates if c.about in FINAL), None)
    if final is not None and (final is best or best.row == NAMES_US):
        doubts = DOUBTS - {FOR_NOW} if final.row == FULL_OUTRIGHT else DOUBTS
        doubt = next((c for c in candidates if c.row in doubts or c.row == NAMES_US), None)
        if doubt is not None:
            # Code and words agree that it is a matter of time: then that is what is said.
            about = About.TEMPORARY if doubt.row == FOR_NOW and not for_good else About.OTHER
            return Reading(about, doubt.basis, doubt.row, doubt.words, final.about)
        if not whole:
            return Reading(About.OTHER, Basis.NONE, "cut", None, final.about)
        if best.basis is not Basis.KEY:
            coded = (c for c in candidates if c.basis is Basis.ENHANCED and c.about in ABOUT_US)
            best = next(coded, best)
    others = (c.about for c in candidates if c.about is not best.about and c.row not in DOUBTS)
    return Reading(best.about, best.basis, best.row, best.words, next(others, None))


def _innermost(text: str, stage: Stage, ours: tuple[str, ...]) -> list[Candidate]:
    """Read the last reply that the text quotes; empty if there is none, or if it decides nothing."""
    quotations = list(_quotation().finditer(text))
    if not quotations:
        return []
    quoted = quotations[-1]
    before = _by_words(text[: quoted.start()], (550, None), stage, ours)
    if any(c.about in ABOUT_US | {About.TEMPORARY, About.GREYLIST} or c.row in DOUBTS for c in before):
        return []
    code, inner = int(quoted[1]), text[quoted.end() :]
    enhanced = enhanced_code(Reply(None, (inner,), (), 0.0, 0.0))
    candidates = _candidates(strip_enhanced(inner), code, enhanced, stage, ours)
    return [] if any(c.basis is Basis.NONE for c in candidates) else candidates


def _candidates(
    text: str, code: int, enhanced: str | None, stage: Stage, ours: tuple[str, ...]
) -> list[Candidate]:
    """List every reading of one text, the weightiest first; never empty."""
    by_words = _by_words(text, (code, enhanced), stage, ours)
    if all(c.about in FINAL or c.row in DOUBTS for c in by_words) and (
        by_rfc7504 := _by_rfc7504(code, stage, bare=not by_words and len(text.split()) <= BARE)
    ):
        return [by_rfc7504, *by_words]
    # A row that only repeats what the RFC says of the code has the code's weight, not that of words.
    firm = [c for c in by_words if c.basis is not Basis.BASIC]
    loose = [c for c in by_words if c.basis is Basis.BASIC]
    found = [*firm, *_by_enhanced(enhanced, stage), *loose]
    return found if any(c.row not in DOUBTS for c in found) else [*found, _by_code(code, stage)]


def _by_words(
    text: str, codes: tuple[int, str | None], stage: Stage, ours: tuple[str, ...]
) -> list[Candidate]:
    found: dict[int, tuple[int, int]] = {}
    phrases, known = index()
    words = cut(text, ours, known)
    present = {word for word, _, _ in words}
    for at, (word, _, _) in enumerate(words):
        for number, phrase in phrases.get(word, ()):
            if phrase.needs.isdisjoint(present) or number in found:
                continue
            if (end := phrase.end(words, at)) >= 0:
                found[number] = (words[at][1], words[end - 1][2])
    candidates = []
    for number in sorted(found):
        row = TABLE[number]
        about = _gated(row.about, stage)
        if about and _counts(row, codes):
            start, end = found[number]
            candidates.append(Candidate(about, row.basis, row.id, text[start:end][:WORDS_LIMIT]))
    return candidates


def _counts(row: Row, codes: tuple[int, str | None]) -> bool:
    code, enhanced = codes
    return not row.codes or str(code).startswith(row.codes) or enhanced in row.codes


def _gated(about: About, stage: Stage) -> About | None:
    """Say what a reading means at a stage: the same, something about us, or nothing."""
    if about is About.NO_MAIL_HOST:
        return about if stage is Stage.BANNER else None
    if stage in AT_RCPT:
        return about
    if about in ABOUT_MAILBOX:
        return None
    return About.POLICY if about in ABOUT_ENVELOPE and stage not in AT_MAIL else about


def _by_enhanced(enhanced: str | None, stage: Stage) -> list[Candidate]:
    if enhanced is None:
        return []
    detail = enhanced[2:]
    about = ENHANCED.get(detail)
    if about is None and detail.startswith("7.") and 500 <= int(detail[2:]) < 800:
        # Exchange Online's own block of codes. 5.7.504 and 505 refuse the recipient, all others the sender.
        about = None if detail in {"7.504", "7.505"} else About.POLICY
    gated = about and _gated(about, stage)
    return [Candidate(gated, Basis.ENHANCED, f"enhanced-{detail}", enhanced)] if gated else []


def _by_rfc7504(code: int, stage: Stage, *, bare: bool) -> Candidate | None:
    """Read the two codes of RFC 7504: a host and a domain that take no mail from anybody.

    Real hosts greet with 521 whom they do not like, so words that are not understood go against it.
    """
    if code == 521 and stage is Stage.BANNER and bare:
        return Candidate(About.NO_MAIL_HOST, Basis.BASIC, "code-521", "521")
    if code == 556 and stage in AT_RCPT:
        return Candidate(About.NO_MAIL_DOMAIN, Basis.BASIC, "code-556", "556")
    return None


def _by_code(code: int, stage: Stage) -> Candidate:
    """Read the reply code alone."""
    about = BASIC.get(code)
    if about is None and code < 500:
        about = About.TEMPORARY
    gated = about and _gated(about, stage)
    if gated:
        return Candidate(gated, Basis.BASIC, f"code-{code}", str(code))
    if stage not in AT_RCPT and stage not in AT_MAIL:
        # Nobody has been named yet, so it is us or everybody.
        return Candidate(About.POLICY, Basis.BASIC, "code-before-mail", str(code))
    return Candidate(About.OTHER, Basis.NONE, "none", None)


# --- the table, parsed ---------------------------------------------------------------------------------


class Index(NamedTuple):
    """The table as it is searched."""

    phrases: dict[str, list[tuple[int, Phrase]]]
    """First word -> the phrases that begin with it, each with its row's number."""
    words: Vocabulary


@cache
def index() -> Index:
    """Parse the table."""
    phrases: dict[str, list[tuple[int, Phrase]]] = {}
    words: set[str] = set()
    for number, row in enumerate(TABLE):
        for line in row.phrases.splitlines():
            if line.strip():
                phrase = parse(line)
                for word in phrase.steps[0][0]:
                    phrases.setdefault(word, []).append((number, phrase))
                words.update(*(options for options, _, _ in phrase.steps))
    stems = frozenset(word for word in words if word.endswith("*"))
    return Index(phrases, Vocabulary(frozenset(words) - stems, stems, DNSBL_LABELS))


@cache
def _quotation() -> re.Pattern[str]:
    return re.compile(
        r"(?:\bhost \S{1,300} )?(?:\b(?:said|says|responded|replied|response|reply|was)\b:?|->)"
        r" ?\"?([45]\d\d)[ -]",
        re.ASCII,
    )
