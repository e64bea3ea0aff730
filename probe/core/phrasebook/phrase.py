"""The rows of the phrase table, and the little language that their phrases are written in.

One phrase stands on a line, in lower-case words without accents, apostrophes and hyphens:

    user unknown            these words, side by side
    user/mailbox            one word or the other
    {box}                   one word of a class in `CLASSES`
    the?                    may be missing
    inconnu*                a word that begins so, for languages that decline
    ..                      up to seven words of the same sentence
    !not {listed}           only first: the word before must not be this one
    ^  $  .                 start of the text, its end, end of a sentence

and the special words: `<>` the empty path, `@` a mail address, `#ip` an IP address, `#host` a host name,
`#dnsbl` a host of a DNS blocklist, `#ours` our own address or HELO name, `#sender` the sender we gave,
`#outlook` a host of Exchange Online, `p=...` and `c=...` the keys in the help links of Google and of GMX,
WEB.DE and 1&1. `words.py` says how a text is cut into such words.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from msgspec import Struct

from probe.core.model import About, Basis, Stage

if TYPE_CHECKING:
    from probe.core.words import Word

GAP = 7
"""Words that `..` in a phrase may stand for."""


class Row(Struct, frozen=True):
    """One way to say one thing.

    `phrases` has one phrase a line. `example` is a reply that this row must win, at the stage `at`; `source`
    says whose wording it is. `codes` are the first digits of the reply codes for which the row counts (`52`
    means 520 to 529), or whole enhanced codes (`5.4.1`); empty means any. An `id` never changes its meaning;
    a new meaning is a new id.
    """

    id: str
    about: About
    phrases: str
    example: str
    source: str
    codes: tuple[str, ...] = ()
    basis: Basis = Basis.WORDS
    at: Stage = Stage.RCPT


CLASSES = {
    # Who gets mail. `name` and `person` are not here: they also stand for hosts and senders.
    "box": "user users username userid mailbox mailboxes mailaccount account accounts recipient recipients "
    "rcpt address addresses adress addressee addressees inbox alias maildrop subscriber localpart userpart "
    "mailaddress emailaddress emailaccount mailuser emailuser",
    "kind": "email mail local recipient destination final delivery",
    "not": "not no never cannot isnt arent wasnt werent doesnt dont didnt cant couldnt hasnt havent wont non",
    "here": "exist exists existing existent existed found known recognized recognised registered located "
    "valid defined there here real",
    # Who connects: us. `sender` is a class of its own, because it may mean the envelope.
    "us": "ip ips client host hostname server mta machine mailserver network netblock subnet connection "
    "connections gateway provider isp range country",
    "your": "your sending senders source originating connecting remote client clients peer #ip #ours",
    "ip": "#ip #ours",
    "refused": "rejected rejecting blocked denied denies deny refused refuses banned prohibited barred "
    "forbidden disallowed blackholed untrusted unwelcome suspicious",
    "allowed": "allowed authorized authorised permitted accepted accept accepting welcome "
    "allow permit trusted",
    "mail": "mail mails email emails message messages",
    "sender": "sender senders from mailfrom originator",
    "wrong": "invalid bad malformed fake forged faked illegal bogus incorrect improper "
    "unacceptable wrong unresolvable",
    "traffic": "messages mails emails connections recipients rcpts requests sessions deliveries",
    "rate": "rate rates frequency limit limits quota throttle volume",
    "closed": "disabled suspended inactive deactivated locked frozen expired closed terminated discontinued "
    "cancelled canceled inactivated",
    "full": "full overquota",
    "size": "large big long",
}
"""Classes of words, by the name that stands for them in a phrase."""


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


def parse(line: str) -> Phrase:
    """Parse one line of the language."""
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
