"""A reply's text -> the words that phrases are compared with. Pure, and linear in the text.

What is not a word is left out; what only stands for something is replaced by what it stands for: an IP address
becomes `#ip`, a host name `#host` (so `unknown-user.example.com` says nothing of a user), a mail address `@`, our
own address or name `#ours`. A link gives its site and the key of its help page, never the words of its path.

Chinese, Japanese and Korean write without blanks, or with the ending stuck to the word: a run of such letters
is cut into the words that the table knows, the longest first, and what lies between them is one word each. In
the other scripts a word may be known by its beginning alone, for languages that decline.
"""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

Word = tuple[str, int, int]
"""A word of the text as it is compared, and where it stands."""

STEM_LEAST = 3
"""Letters that a stem has at least."""
COMPOUNDS = {
    ("e", "mail"): "email",
    ("e", "mails"): "emails",
    ("mail", "box"): "mailbox",
    ("mail", "boxes"): "mailboxes",
    ("local", "part"): "localpart",
    ("user", "name"): "username",
    ("user", "names"): "usernames",
    ("user", "id"): "userid",
}
"""Words that are also written apart, so that a phrase need not name both spellings."""


class Vocabulary(NamedTuple):
    """The words that the table knows: whole ones, and beginnings, written `inconnu*`."""

    words: frozenset[str]
    stems: frozenset[str]
    dnsbl_labels: frozenset[str]
    """Labels of host names that give a blocklist away."""


# Letters that are written without blanks between the words: kana, Han, Hangul.
_RUN = "\u3005\u3041-\u3096\u30a1-\u30fa\u30fc-\u30fe\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3"
_RUN_LONGEST = 10
"""Letters of the longest word that is looked for in a run."""

# Bounded counts keep the worst case linear: nothing is scanned again for more than one local part.
_WORD = rf"""
  (?P<url>(?:https?://|www\.)[^\s<>"]+)
| (?P<null><[ ]?>)
| (?P<address>[^\s<>()\[\]:;,"@]{{1,64}}@[^\s<>()\[\]:;,"@]{{1,255}})
| (?P<ip>(?<![\w.])\d{{1,3}}(?:\.\d{{1,3}}){{3}}(?![\w.]*\w)|\b[0-9a-f]{{3,4}}(?:::?[0-9a-f]{{1,4}}){{2,7}}\b)
| (?P<host>(?<![\w.-])[a-z0-9_][a-z0-9_-]{{0,62}}(?:\.[a-z0-9_-]{{1,63}}){{0,8}}\.[a-z][a-z0-9-]{{1,62}}(?![\w-]))
| (?P<run>[{_RUN}]+)
| (?P<word>[^\W_{_RUN}]+(?:['’´`][^\W_{_RUN}]+)?)
| (?P<stop>[.;!?](?=\s|$)|[。！？；])
"""
_ELIDED = frozenset({"l", "d", "n", "s", "c", "qu", "dell", "nell", "sull", "dall"})
"""French and Italian words that lose their vowel before another word."""
_FOLD = str.maketrans(
    "àáâãäåāçèéêëēìíîïñòóôõöøùúûüýÿßąćęłńśźżšžčřğışěůďťňľőűășțÀÁÂÃÄÅÇÈÉÊËÌÍÎÏÑÒÓÔÕÖØÙÚÛÜÝŁŚŻİŠŽČŘёЁ",
    "aaaaaaaceeeeeiiiinoooooouuuuyysacelnszzszcrgiseudtnlouastaaaaaaceeeeiiiinoooooouuuuylsziszcrее",
)
"""Letters that lose their accent. One for one, so that places in the text stay the same."""


@cache
def _word() -> re.Pattern[str]:
    return re.compile(_WORD, re.VERBOSE)


@cache
def _escape() -> re.Pattern[str]:
    """Match a control sequence of ECMA-48 5.4."""
    return re.compile(r"\x1b\[[0-?]{0,30}[ -/]{0,3}[@-~]")


def decode(raw: str) -> tuple[str, bool]:
    """Return the text that the bytes mean, and whether they were UTF-8 beyond ASCII.

    Bytes in another encoding (GBK, Shift JIS, KOI8-R) stay what they are, one letter each: they make no word of
    the table, and so say nothing. To guess an encoding would be to guess a verdict.
    """
    if raw.isascii():
        return raw, False
    try:
        return raw.encode("latin-1").decode(), True
    except UnicodeDecodeError:
        return raw, False


def fold(text: str) -> str:
    """Return the text in lower case and without accents, letter for letter."""
    folded = text.translate(_FOLD).lower()
    return (
        folded if len(folded) == len(text) else text
    )  # an exotic letter grew: places matter more than its case


def cut(text: str, ours: tuple[str, ...], known: Vocabulary) -> list[Word]:
    """Cut a text into its words, between a `^` and a `$`."""
    if "\x1b" in text:  # a terminal would not show these, and "31m" must not stick to the word behind it
        text = _escape().sub(lambda found: " " * len(found[0]), text)
    words: list[Word] = [("^", 0, 0)]
    for found in _word().finditer(fold(text)):
        kind, start, end = found.lastgroup, found.start(), found.end()
        whole = found[0]
        if kind == "word":
            word = _plain(whole if whole.isalnum() else _joined(whole), known)
            if compound := _compound(words, word, start):
                start = words.pop()[1]
            words.append((compound or word, start, end))
        elif kind == "run":
            words.extend(_cut_run(whole, start, known.words))
        elif kind == "host":
            _add_host(words, whole, text[start:end], start, ours, known)
        elif kind == "url":
            words.extend((word, start, end) for word in _url_words(whole, known))
        elif kind == "ip":
            words.append(("#ours" if whole in ours else "#ip", start, end))
        elif kind == "address":
            words.append(("#sender" if _is_our_sender(whole, ours) else "@", start, end))
        else:
            words.append(("<>" if kind == "null" else ".", start, end))
    words.append(("$", len(text), len(text)))
    return words


def _compound(words: list[Word], word: str, start: int) -> str | None:
    """Return the word that this one makes with the word before it, a blank or a hyphen between them."""
    before, _, end = words[-1]
    return COMPOUNDS.get((before, word)) if start == end + 1 else None


def _joined(word: str) -> str:
    """Return `doesn't` as `doesnt`, but `l'adresse` as `adresse`: the elided word is a word of its own."""
    elided = next((word[n + 1 :] for n in (1, 2, 4) if word[:n] in _ELIDED and not word[n].isalnum()), word)
    return "".join(filter(str.isalnum, elided))


def _plain(word: str, known: Vocabulary) -> str:
    """Return the word, or the longest stem that it begins with."""
    if word not in known.words:
        for length in range(min(len(word), 16), STEM_LEAST - 1, -1):
            if (stem := word[:length] + "*") in known.stems:
                return stem
    return word


def _cut_run(run: str, start: int, known: frozenset[str]) -> list[Word]:
    words: list[Word] = []
    at = unknown = 0
    while at < len(run):
        length = next(
            (n for n in range(_RUN_LONGEST, 0, -1) if run[at : at + n] in known and at + n <= len(run)), 0
        )
        if length:
            if unknown < at:
                words.append((run[unknown:at], start + unknown, start + at))
            words.append((run[at : at + length], start + at, start + at + length))
            unknown = at + length
        at += length or 1
    if unknown < len(run):
        words.append((run[unknown:], start + unknown, start + len(run)))
    return words


def _is_our_sender(address: str, ours: tuple[str, ...]) -> bool:
    """Whether this is the sender that we gave, or the postmaster of the second try."""
    return address.rstrip(".").removeprefix("postmaster@") in ours


def _add_host(
    words: list[Word], host: str, raw: str, start: int, ours: tuple[str, ...], known: Vocabulary
) -> None:
    """Add a host name, or the words of a sentence end without a blank behind it (`exist.Please`)."""
    if host in ours:
        words.append(("#ours", start, start + len(host)))
    elif (last := raw.rpartition(".")[2]) not in {last.lower(), last.upper()}:
        for part in host.split("."):
            words.extend(((part, start, start + len(part)), (".", start + len(part), start + len(part))))
            start += len(part) + 1
    else:
        words.append((_host_word(host, known), start, start + len(host)))


def _host_word(host: str, known: Vocabulary) -> str:
    labels = host.split(".")
    if not known.dnsbl_labels.isdisjoint(labels[:-1]):
        return "#dnsbl"
    return "#outlook" if labels[-2:] == ["outlook", "com"] else "#host"


def _url_words(url: str, known: Vocabulary) -> list[str]:
    """Return what a link tells: whose site it is, and the key of the help page; never its path."""
    site, _, rest = url.removeprefix("http://").removeprefix("https://").partition("/")
    words = [_host_word(site.partition(":")[0], known)]
    _, _, query = rest.partition("?")
    for pair in query.split("&"):
        if pair[:2] in {"p=", "c="}:
            key = re.match(r"\w+", pair[2:])
            words += [pair[:2] + key[0]] if key else []
    return words
