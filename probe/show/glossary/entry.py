"""One meaning of one word, and how it is shown: as text, as Markdown, as JSON."""

from __future__ import annotations

import textwrap
from enum import StrEnum

from msgspec import Struct

from probe.show.printable import code, inline, visible

WIDTH = 80
"""Columns of text, whatever the terminal has."""
LABEL = 10
"""Columns of a label such as `Reference`."""


class Kind(StrEnum):
    """What a word can be."""

    CAUSE = "cause"
    REASON = "reason"
    READING = "reading"
    ROW = "row"
    REQUIREMENT = "requirement"
    RULE = "rule"


class Item(Struct, frozen=True):
    """One line of a list: a word or name, and sentences about it, each on a line of its own."""

    head: str
    says: tuple[str, ...] = ()


class Section(Struct, frozen=True):
    """A list under a heading; `numbered` where the order is what it says.

    `apart` is what a page of many entries leaves out: words with entries of their own there, and details that
    are looked up word by word.
    """

    title: str
    items: tuple[Item, ...]
    numbered: bool = False
    apart: bool = False


class Entry(Struct, frozen=True, kw_only=True):
    """One meaning of one word.

    `heading` stands in parentheses behind the word; `example` is what was seen, or said, in a typical case;
    `facts` are short lines with a label. `brief` is what a list says of it, `fields` what JSON says beside
    all this.
    """

    kind: Kind
    word: str
    heading: str
    means: str
    example: str
    facts: tuple[tuple[str, str], ...] = ()
    sections: tuple[Section, ...] = ()
    brief: tuple[str, ...] = ()
    fields: dict[str, object]


class Group(Struct, frozen=True):
    """Some words of a list under a heading; `lead` is the word that they belong to."""

    title: str
    entries: tuple[Entry, ...]
    lead: Entry | None = None


class Listing(Struct, frozen=True, kw_only=True):
    """All words of a kind, in groups, under what is said `about` them."""

    title: str
    about: str
    groups: tuple[Group, ...]

    @property
    def entries(self) -> list[Entry]:
        """Every entry, each behind the one that it belongs to."""
        return [
            entry
            for group in self.groups
            for entry in ((group.lead, *group.entries) if group.lead else group.entries)
        ]


# --- text ----------------------------------------------------------------------------------------------


def as_text(entries: list[Entry]) -> str:
    """Give the meanings of one word, each under its own heading."""
    return "\n".join("".join(f"{line}\n" for line in _entry_lines(entry)) for entry in entries)


def listing_as_text(listing: Listing) -> str:
    """Give a list of words."""
    blocks = [_wrapped(listing.about, 0)]
    for group in listing.groups:
        items = tuple(Item(entry.word, entry.brief) for entry in group.entries)
        blocks.append(_section_lines(Section(group.title, items)))
    return "\n".join("".join(f"{line}\n" for line in block) for block in blocks)


def _entry_lines(entry: Entry) -> list[str]:
    lines = [f"{entry.word} ({entry.heading})", "", *_wrapped(f"  {entry.means}", 2), ""]
    for label, says in (*entry.facts, ("Example", entry.example)):
        lines += _wrapped(f"{label:{LABEL}} {says}", LABEL + 1)
    for section in entry.sections:
        lines += ["", *_section_lines(section)]
    return lines


def _section_lines(section: Section) -> list[str]:
    lines = _wrapped(section.title, 4)
    if section.numbered:
        for number, item in enumerate(section.items, 1):
            lines += _wrapped(f"  {number}. {item.head}: {' '.join(item.says)}", 5)
        return lines
    width = max((len(item.head) for item in section.items if item.says), default=0)
    for item in section.items:
        head = item.head
        for says in item.says:
            lines += _wrapped(f"  {head:{width}}  {says}", width + 4)
            head = ""
        if not item.says:
            lines += _wrapped(f"  {head}", 6)
    return lines


def _wrapped(line: str, indent: int) -> list[str]:
    """Break a line for 80 columns, its continuations set in by `indent`; never inside a word or option."""
    return textwrap.wrap(
        visible(line), WIDTH, subsequent_indent=" " * indent, break_on_hyphens=False, break_long_words=False
    )


# --- Markdown ------------------------------------------------------------------------------------------


def listing_as_markdown(listing: Listing) -> str:
    """Give the page of a list: what is said above it, and every entry."""
    out = [f"# {listing.title}", "", listing.about, ""]
    for group in listing.groups:
        out += _markdown(group.lead, 2) if group.lead else [f"## {inline(group.title)}", ""]
        for entry in group.entries:
            out += _markdown(entry, 3)
    return "\n".join(out)


def as_markdown(entries: list[Entry]) -> str:
    """Give the meanings of one word."""
    return "\n".join(line for entry in entries for line in _markdown(entry, 2, whole=True))


def _markdown(entry: Entry, level: int, *, whole: bool = False) -> list[str]:
    out = [f"{'#' * level} `{entry.word}` ({inline(entry.heading)})", "", inline(entry.means), ""]
    out += [f"* Example: {code(entry.example)}"]
    out += [f"* {label}: {inline(says)}" for label, says in entry.facts]
    for section in entry.sections:
        if section.apart and not whole:
            continue
        out += ["", inline(section.title), ""]
        for number, item in enumerate(section.items, 1):
            says = inline(" ".join(item.says))
            mark, head = (f"{number}.", f"**{item.head}**") if section.numbered else ("*", code(item.head))
            out.append(f"{mark} {head}: {says}" if says else f"{mark} {head}")
    return [*out, ""]


# --- JSON ----------------------------------------------------------------------------------------------


def as_object(entries: list[Entry]) -> dict[str, object]:
    """Give the first meaning of a word with a key for all it says; what else the word means is in its `also`."""
    first, *others = entries
    return {**_object(first), "also": [_object(entry) for entry in others]}


def listing_as_objects(listing: Listing) -> list[dict[str, object]]:
    """Give the entries of a list."""
    return [_object(entry) for entry in listing.entries]


def _object(entry: Entry) -> dict[str, object]:
    return {
        "kind": entry.kind,
        "word": entry.word,
        **entry.fields,
        "means": entry.means,
        "example": entry.example,
    }
