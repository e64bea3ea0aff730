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

What is read about the mailbox must stand alone. If the text also names somebody else (the row `doubt`: a
sender, a client, an IP address, us), if its enhanced code is about us, or if it goes on beyond what is read,
then either reading may be wrong, and the reply is read as neither.

The text is cut into words once; each word leads to the phrases that begin with it, and a phrase is compared
word by word, over gaps of at most seven. The table is parsed when the first refusal is read, so that a run in
which nobody refuses does not pay for it.
"""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

from probe.core.model import About, Basis, Oddity, Reading, Reply, Stage
from probe.core.phrasebook import BASIC, CLASSES, DNSBL_LABELS, ENHANCED, TABLE
from probe.core.reply import enhanced_code, strip_enhanced, texts_of

TEXT_LIMIT = 4096
"""Characters of a reply's text that are read. A real refusal has a few hundred; Exim reads no more either."""
WORDS_LIMIT = 80
"""Characters of the matched words that a reading quotes."""
BARE = 2
"""Words of a greeting that are a host's name and its protocol; with more, a reason is given."""
GAP = 7
"""Words that `..` in a phrase may stand for."""

AT_RCPT = frozenset({Stage.RCPT, Stage.RCPT_REAL, Stage.RCPT_RANDOM})
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

DOUBT = "doubt"
"""The row that says nothing by itself, but takes the certainty from a reading that is `FINAL`."""
VAGUE = "refusal"
"""The row of words that refuse and do not say whom; most often it is us."""
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
    mailbox. A reply that refuses nothing gives `About.OTHER` with `Basis.NONE`.
    """
    code = reply.code
    if code is None or not 400 <= code < 600:
        return Reading(About.OTHER, Basis.NONE, "no-refusal", None, None)
    # The enhanced code is repeated on every line; left in, it would stand in the middle of a phrase.
    raw = " ".join(strip_enhanced(line) for line in texts_of(reply))
    text, is_utf8 = _decode(raw[:TEXT_LIMIT])
    candidates = _innermost(text, stage, ours) or _candidates(text, code, enhanced_code(reply), stage, ours)
    # A reply without an end is no verdict whatever it says; of the others, what is cut off may be about us.
    reading = _choose(candidates, whole=len(raw) <= TEXT_LIMIT or Oddity.UNTERMINATED in reply.oddities)
    if is_utf8 and reading.words:  # the model keeps a peer's bytes as latin-1 text
        words = reading.words.encode().decode("latin-1")[:WORDS_LIMIT]
        return Reading(reading.about, reading.basis, reading.row, words, reading.runner_up)
    return reading


# --- weighing ------------------------------------------------------------------------------------------


def _choose(candidates: list[Candidate], *, whole: bool) -> Reading:
    """Take the weightiest candidate, and name the next of another class."""
    best = next(c for c in candidates if c.row != DOUBT)
    final = next((c for c in candidates if c.about in FINAL), None)
    if final is not None and (final is best or best.row == NAMES_US):
        doubt = next((c for c in candidates if c.row in {DOUBT, NAMES_US}), None)
        if doubt is not None:
            return Reading(About.OTHER, doubt.basis, doubt.row, doubt.words, final.about)
        if not whole:
            return Reading(About.OTHER, Basis.NONE, "cut", None, final.about)
        if best.basis is not Basis.KEY:
            coded = (c for c in candidates if c.basis is Basis.ENHANCED and c.about in ABOUT_US)
            best = next(coded, best)
    others = (c.about for c in candidates if c.about is not best.about and c.row != DOUBT)
    return Reading(best.about, best.basis, best.row, best.words, next(others, None))


def _innermost(text: str, stage: Stage, ours: tuple[str, ...]) -> list[Candidate]:
    """Read the last reply that the text quotes; empty if there is none, or if it decides nothing."""
    quotations = list(_quotation().finditer(text))
    if not quotations:
        return []
    quoted = quotations[-1]
    before = _by_words(text[: quoted.start()], 550, stage, ours)
    if any(c.about in ABOUT_US | {About.TEMPORARY, About.GREYLIST} or c.row == DOUBT for c in before):
        return []
    code, inner = int(quoted[1]), text[quoted.end() :]
    enhanced = enhanced_code(Reply(None, (inner,), (), 0.0, 0.0))
    candidates = _candidates(strip_enhanced(inner), code, enhanced, stage, ours)
    return [] if any(c.basis is Basis.NONE for c in candidates) else candidates


def _candidates(
    text: str, code: int, enhanced: str | None, stage: Stage, ours: tuple[str, ...]
) -> list[Candidate]:
    """List every reading of one text, the weightiest first; never empty."""
    by_words = _by_words(text, code, stage, ours)
    if all(c.about in FINAL or c.row == DOUBT for c in by_words) and (
        by_rfc7504 := _by_rfc7504(code, stage, bare=not by_words and len(text.split()) <= BARE)
    ):
        return [by_rfc7504, *by_words]
    # A row that only repeats what the RFC says of the code has the code's weight, not that of words.
    firm = [c for c in by_words if c.basis is not Basis.BASIC]
    loose = [c for c in by_words if c.basis is Basis.BASIC]
    found = [*firm, *_by_enhanced(enhanced, stage), *loose]
    return found if any(c.row != DOUBT for c in found) else [*found, _by_code(code, stage)]


def _by_words(text: str, code: int, stage: Stage, ours: tuple[str, ...]) -> list[Candidate]:
    found: dict[int, tuple[int, int]] = {}
    words = _words(text, ours)
    present = {word for word, _, _ in words}
    index = _index()
    for at, (word, _, _) in enumerate(words):
        for number, phrase in index.get(word, ()):
            if phrase.needs.isdisjoint(present) or number in found:
                continue
            if (end := phrase.end(words, at)) >= 0:
                found[number] = (words[at][1], words[end - 1][2])
    candidates = []
    for number in sorted(found):
        row = TABLE[number]
        about = _gated(row.about, stage)
        if about and (not row.codes or str(code).startswith(row.codes)):
            start, end = found[number]
            candidates.append(Candidate(about, row.basis, row.id, text[start:end][:WORDS_LIMIT]))
    return candidates


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


# --- phrases -------------------------------------------------------------------------------------------

Word = tuple[str, int, int]
"""A word of the text as it is compared, and where it stands."""


class Phrase(NamedTuple):
    """One phrase of the table, ready to be compared."""

    unless: frozenset[str]  # words that must not stand before it
    steps: tuple[tuple[frozenset[str], bool, bool], ...]  # words, may be missing, after a gap
    needs: frozenset[str]  # the words of its last step that may not be missing: a cheap look before the walk

    def end(self, words: list[Word], at: int) -> int:
        """Return where the phrase ends if it begins at word `at`, else -1."""
        if self.unless and at and words[at - 1][0] in self.unless:
            return -1
        return self._end(words, at + 1, 1)

    def _end(self, words: list[Word], at: int, step: int) -> int:
        if step == len(self.steps):
            return at
        options, optional, gap = self.steps[step]
        for here in range(at, min(at + GAP + 1, len(words))):
            word = words[here][0]
            if word in options and (end := self._end(words, here + 1, step + 1)) >= 0:
                return end
            if word == "." or not gap:
                break
        return self._end(words, at, step + 1) if optional else -1


@cache
def _index() -> dict[str, list[tuple[int, Phrase]]]:
    """Parse the table: first word -> the phrases that begin with it, each with its row's number."""
    index: dict[str, list[tuple[int, Phrase]]] = {}
    for number, row in enumerate(TABLE):
        for line in row.phrases.splitlines():
            if line.strip():
                phrase = parse(line)
                for word in phrase.steps[0][0]:
                    index.setdefault(word, []).append((number, phrase))
    return index


def parse(line: str) -> Phrase:
    """Parse one line of the phrase language that `phrasebook` describes."""
    unless: frozenset[str] = frozenset()
    steps: list[tuple[frozenset[str], bool, bool]] = []
    gap = False
    for element in line.split():
        if element == "..":
            gap = True
        elif element.startswith("!"):
            unless = _options(element[1:])
        else:
            optional = element.endswith("?")
            steps.append((_options(element.removesuffix("?")), optional, gap))
            gap = False
    needs = next(options for options, optional, _ in reversed(steps) if not optional)
    return Phrase(unless, tuple(steps), needs)


@cache
def _options(element: str) -> frozenset[str]:
    """Resolve `a/b` and `{class}` to the words that they stand for."""
    words: set[str] = set()
    for word in element.split("/"):
        words.update(CLASSES[word[1:-1]].split() if word.startswith("{") else (word,))
    return frozenset(words)


# --- words ---------------------------------------------------------------------------------------------

# Bounded counts keep the worst case linear: nothing is scanned again for more than one local part.
_WORD = r"""
  (?P<url>(?:https?://|www\.)[^\s<>"]+)
| (?P<null><[ ]?>)
| (?P<address>[^\s<>()\[\]:;,"@]{1,64}@[^\s<>()\[\]:;,"@]{1,255})
| (?P<ip>(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w.]*\w)|\b[0-9a-f]{3,4}(?:::?[0-9a-f]{1,4}){2,7}\b)
| (?P<host>(?<![\w.-])[a-z0-9_][a-z0-9_-]{0,62}(?:\.[a-z0-9_-]{1,63}){0,8}\.[a-z][a-z0-9-]{1,62}(?![\w-]))
| (?P<word>[^\W_]+(?:['’´`][^\W_]+)?)
| (?P<stop>[.;!?](?=\s|$))
"""
_FOLD = str.maketrans(
    "àáâãäåāçèéêëēìíîïñòóôõöøùúûüýÿßąćęłńśźżšžčřğışÀÁÂÃÄÅÇÈÉÊËÌÍÎÏÑÒÓÔÕÖØÙÚÛÜÝİ",
    "aaaaaaaceeeeeiiiinoooooouuuuyysacelnszzszcrgisaaaaaaceeeeiiiinoooooouuuuyi",
)
"""Letters that lose their accent. One for one, so that places in the text stay the same."""


@cache
def _word() -> re.Pattern[str]:
    return re.compile(_WORD, re.VERBOSE)


@cache
def _quotation() -> re.Pattern[str]:
    return re.compile(
        r"(?:\bhost \S{1,300} )?(?:\b(?:said|says|responded|replied|response|reply|was)\b:?|->)"
        r" ?\"?([45]\d\d)[ -]",
        re.ASCII,
    )


@cache
def _escape() -> re.Pattern[str]:
    """Match a control sequence of ECMA-48 5.4."""
    return re.compile(r"\x1b\[[0-?]{0,30}[ -/]{0,3}[@-~]")


def _decode(raw: str) -> tuple[str, bool]:
    """Return the text that the bytes mean, and whether they were UTF-8 beyond ASCII."""
    if raw.isascii():
        return raw, False
    try:
        return raw.encode("latin-1").decode(), True
    except UnicodeDecodeError:
        return raw, False


def _words(text: str, ours: tuple[str, ...]) -> list[Word]:
    """Cut a text into the words that phrases are made of; what is not a word is left out."""
    if "\x1b" in text:  # a terminal would not show these, and "31m" must not stick to the word behind it
        text = _escape().sub(lambda found: " " * len(found[0]), text)
    folded = text.translate(_FOLD).lower()
    if len(folded) != len(text):  # an exotic letter grew: places matter more than its case
        folded = text
    words: list[Word] = [("^", 0, 0)]
    for found in _word().finditer(folded):
        kind, start, end = found.lastgroup, found.start(), found.end()
        whole = found[0]
        if kind == "word":
            words.append((whole if whole.isalnum() else _bare(whole), start, end))
        elif kind == "host":
            _add_host(words, whole, text[start:end], start, ours)
        elif kind == "url":
            words.extend((word, start, end) for word in _url_words(whole))
        elif kind == "ip":
            words.append(("#ours" if whole in ours else "#ip", start, end))
        elif kind == "address":
            words.append(("#sender" if _is_our_sender(whole, ours) else "@", start, end))
        else:
            words.append(("<>" if kind == "null" else ".", start, end))
    words.append(("$", len(text), len(text)))
    return words


def _bare(word: str) -> str:
    return "".join(filter(str.isalnum, word))


def _is_our_sender(address: str, ours: tuple[str, ...]) -> bool:
    """Whether this is the sender that we gave, or the postmaster of the second try."""
    return address.rstrip(".").removeprefix("postmaster@") in ours


def _add_host(words: list[Word], host: str, raw: str, start: int, ours: tuple[str, ...]) -> None:
    """Add a host name, or the words of a sentence end without a blank behind it (`exist.Please`)."""
    if host in ours:
        words.append(("#ours", start, start + len(host)))
    elif (last := raw.rpartition(".")[2]) not in {last.lower(), last.upper()}:
        for part in host.split("."):
            words.extend(((part, start, start + len(part)), (".", start + len(part), start + len(part))))
            start += len(part) + 1
    else:
        words.append((_host_word(host), start, start + len(host)))


def _host_word(host: str) -> str:
    labels = host.split(".")
    if not DNSBL_LABELS.isdisjoint(labels[:-1]):
        return "#dnsbl"
    return "#outlook" if labels[-2:] == ["outlook", "com"] else "#host"


def _url_words(url: str) -> list[str]:
    """Return what a link tells: whose site it is, and the key of the help page; never its path."""
    site, _, rest = url.removeprefix("http://").removeprefix("https://").partition("/")
    words = [_host_word(site.partition(":")[0])]
    _, _, query = rest.partition("?")
    for pair in query.split("&"):
        if pair[:2] in {"p=", "c="}:
            key = re.match(r"\w+", pair[2:])
            words += [pair[:2] + key[0]] if key else []
    return words
