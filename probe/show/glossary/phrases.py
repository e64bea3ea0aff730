"""The rows by which a reply is read: what each looks for, and what it then reads."""

from __future__ import annotations

import re

from probe.core import phrases
from probe.core.model import About, Basis, Reading, Reply, Stage
from probe.core.phrasebook import BASIC, ENHANCED, TABLE
from probe.core.phrasebook.phrase import CLASSES, Row
from probe.core.reasons import ABOUT_SAYS
from probe.show.glossary.entry import Entry, Item, Kind, Section

_ANSWERS = {
    Stage.BANNER: "connection",
    Stage.EHLO: "EHLO mail.example.net",
    Stage.STARTTLS: "STARTTLS",
    Stage.MAIL: "MAIL FROM:<>",
    Stage.RCPT: "RCPT TO:<user@example.com>",
}
"""What an example answers."""

_BASES = {
    Basis.WORDS: "words",
    Basis.KEY: "words: a key of one provider, which nobody else uses",
    Basis.ENHANCED: "the enhanced code, where the words say nothing",
    Basis.BASIC: "the reply code, or words that say no more than it",
    Basis.NONE: "nothing",
}

_SPECIAL = {
    "^": "<start>",
    "$": "<end>",
    ".": "<end of sentence>",
    "..": "...",
    "@": "<mail address>",
    "#ip": "<IP address>",
    "#host": "<host name>",
    "#dnsbl": "<host of a blocklist>",
    "#ours": "<our address or HELO name>",
    "#sender": "<our sender>",
    "#outlook": "<host of Exchange Online>",
}
"""How the special words of the phrase language are shown."""

_PHRASES = (
    "Its phrases - (x, y): one of these words, [x]: may be missing, ...: up to seven words, x*: what begins so,"
    " CAPITALS: a class of words:"
)

NEUTRAL = "Sorry"
"""A text that says nothing, so that codes are all that is read."""

_COMPUTED: dict[str, tuple[str, About, Basis, Stage, str]] = {
    "no-refusal": (
        "The reply refuses nothing, or has no code, so nothing is read from it.",
        About.OTHER,
        Basis.NONE,
        Stage.RCPT,
        "250 2.1.5 Ok",
    ),
    "none": (
        "Neither the words nor the codes of the refusal say what it is about.",
        About.OTHER,
        Basis.NONE,
        Stage.RCPT,
        f"550 {NEUTRAL}",
    ),
    "cut": (
        (
            f"What is read would end the matter, but the reply is longer than the {phrases.TEXT_LIMIT} characters that"
            " are read, and what is left out may be about us."
        ),
        About.OTHER,
        Basis.NONE,
        Stage.RCPT,
        f"550 5.1.1 User unknown{' and so on' * 500}",
    ),
    "code-before-mail": (
        "A refusal before MAIL whose words say nothing: nobody has been named yet, so it means us, or everybody.",
        About.POLICY,
        Basis.BASIC,
        Stage.BANNER,
        f"554 {NEUTRAL}",
    ),
}
"""What the reader gives where no row of the table and no code decides."""


def row(row: Row) -> Entry:
    """Explain a row of the table of phrases."""
    lines = [_readable(line) for line in row.phrases.splitlines() if line.strip()]
    classes = {name: words for name, words in CLASSES.items() if f"{{{name}}}" in row.phrases}
    sections = [Section(_PHRASES, tuple(Item(line) for line in lines), apart=True)]
    if classes:
        items = tuple(
            Item(name.upper(), (", ".join(_SPECIAL.get(word, word) for word in words.split()),))
            for name, words in classes.items()
        )
        sections.append(Section("Its classes:", items, apart=True))
    codes = (("Codes", f"only {' and '.join(_codes(code) for code in row.codes)}"),) if row.codes else ()
    return Entry(
        kind=Kind.ROW,
        word=row.id,
        heading="row of the phrasebook",
        means=f"Such words are read as {row.about}: {ABOUT_SAYS[row.about]}.",
        example=answer(row.at, row.example),
        facts=(("Source", row.source), ("Read by", _BASES[row.basis]), *codes),
        sections=tuple(sections),
        brief=(_said(row.example),),
        fields={
            "row": row.id,
            "reads_as": row.about,
            "basis": row.basis,
            "codes": list(row.codes),
            "source": row.source,
            "phrases": lines,
            "classes": {name.upper(): words.split() for name, words in classes.items()},
        },
    )


def computed(word: str) -> Entry | None:
    """Explain what stands for a row where a code decides or nothing does; None if the reader gives no such word."""
    if word in _COMPUTED:
        means, about, basis, stage, reply = _COMPUTED[word]
        return _computed(
            word, "row of the reader", means, (about, basis, stage, reply), "probe/core/phrases.py"
        )
    if found := re.fullmatch(r"enhanced-([0-7])\.([0-9]{1,3})", word):
        code = f"X.{found[1]}.{found[2]}"
        means = f"The enhanced code {code} of a reply whose words say nothing."
        tries = [(Stage.RCPT, f"{c}50 {c}{code[1:]} {NEUTRAL}") for c in _digits(code[2:])]
        source = f"RFC 3463 and its registry: {code}"
        heading = "enhanced code"
    elif found := re.fullmatch(r"code-([45][0-9]{2})", word):
        means = f"The reply code {found[1]}, where neither words nor an enhanced code say more."
        tries = [(Stage.RCPT, f"{found[1]} {NEUTRAL}"), (Stage.BANNER, f"{found[1]} mx.example.com")]
        source = {"521": "RFC 7504 3", "556": "RFC 7504 4"}.get(found[1], "RFC 5321 4.2.1 to 4.2.3")
        heading = "reply code"
    else:
        return None
    for stage, reply in tries:
        reading = read(reply, stage)
        if reading.row == word:
            return _computed(word, heading, means, (reading.about, reading.basis, stage, reply), source)
    return None


def read(reply: str, stage: Stage) -> Reading:
    """Read an example as a reply is read; the lines of one are separated by line ends."""
    return phrases.read(as_received(reply), stage, ("mail.example.net",))


def as_received(text: str) -> Reply:
    """Give a reply as it comes off the wire: its bytes as latin-1, and no code where its last line has none."""
    lines = tuple(line.encode().decode("latin-1") for line in text.split("\n"))
    first = lines[-1][:3]
    return Reply(int(first) if first.isdigit() else None, lines, (), 0.1, 0.2)


def entries(about: About) -> tuple[Entry, ...]:
    """Give every row that reads this, the weightiest first."""
    rows = [row(each) for each in TABLE if each.about is about]
    words = [*(f"enhanced-{detail}" for detail in ENHANCED), *(f"code-{code}" for code in CODES), *_COMPUTED]
    more = [
        entry for entry in map(computed, words) if entry is not None and entry.fields["reads_as"] == about
    ]
    return (*rows, *more)


CODES = (*BASIC, 521, 556)
"""Reply codes that are read; every other 4xx is read as `temporary`."""


def words() -> list[str]:
    """List the rows by name; a few codes beside these are known to `computed`."""
    return [
        *(each.id for each in TABLE),
        *(f"enhanced-{detail}" for detail in ENHANCED),
        *(f"code-{code}" for code in CODES),
        *_COMPUTED,
    ]


def _computed(
    word: str, heading: str, means: str, reading: tuple[About, Basis, Stage, str], source: str
) -> Entry:
    about, basis, stage, reply = reading
    return Entry(
        kind=Kind.ROW,
        word=word,
        heading=heading,
        means=f"{means} It is read as {about}: {ABOUT_SAYS[about]}.",
        example=answer(stage, reply),
        facts=(("Source", source), ("Read by", _BASES[basis])),
        brief=(_said(reply),),
        fields={"row": word, "reads_as": about, "basis": basis, "codes": [], "source": source},
    )


def answer(stage: Stage, reply: str) -> str:
    """Write a reply behind what it answers, on one line."""
    return f"{_ANSWERS.get(stage, stage)} -> {_said(reply)}"


def _said(reply: str) -> str:
    text = " / ".join(reply.splitlines())
    return text if len(text) <= 400 else f"{text[:60]}... ({len(text)} characters)"


def _digits(detail: str) -> str:
    """Give the classes of an enhanced code (RFC 3463 2), that in which it is likelier to be seen first."""
    return "45" if ENHANCED.get(detail) in {About.TEMPORARY, About.RATE} else "54"


def _codes(first: str) -> str:
    """Write the first digits of a code as people do: 4xx, 55x."""
    return first.ljust(3, "x")


def _readable(line: str) -> str:
    """Write a phrase so that it reads without knowing its little language."""
    return " ".join(_element(element) for element in line.split())


def _element(element: str) -> str:
    if element.startswith("!"):
        return f"(not after: {_alternatives(element[1:])})"
    if len(element) > 1 and element.endswith("?"):
        return f"[{_alternatives(element[:-1])}]"
    shown = _SPECIAL.get(element) or _alternatives(element)
    return f"({shown})" if "/" in element else shown


def _alternatives(element: str) -> str:
    words = element.split("/")
    return ", ".join(
        word[1:-1].upper() if word.startswith("{") else _SPECIAL.get(word, word) for word in words
    )
