r"""The language in which `probe.lab.peer` is told what a mail host does on a connection.

One step a line, executed from the top. Blank lines and lines that start with `#` are skipped.

    S: TEXT              send TEXT and CRLF
    S> TEXT              send TEXT as it is; `\r \n \t \e \\ \xHH` are escapes, no line end is added
    C: PREFIX            wait for a command that starts with PREFIX (any case); an empty one takes any
    *sleep SECONDS       do nothing for a while
    *drip SECONDS TEXT   send TEXT and CRLF one byte per interval
    *flood TEXT          send TEXT and CRLF again and again until the client goes
    *tls                 be the server of a TLS handshake, with the context given to `Peer`
    *tls-garbage         wait for the first bytes of a handshake, answer with what is not TLS, close
    *close               end the connection with FIN
    *reset               end it with RST
    *silence             read on and never answer, until the client goes
    *reply VERB[<ARG>] [from <SENDER>] TEXT
                         what `*good` answers to VERB: for one argument only, or only while the mail
                         transaction has that reverse-path; TEXT knows the escapes of `S>`
    *good [VERB[<ARG>]=TEXT]
                         from here on be a server that keeps RFC 5321 and accepts everything, but for the
                         `*reply` lines above; it greets when nothing has been sent yet, offers STARTTLS
                         when it has a TLS context, and closes after QUIT or after a 421 of its own

`=== connection 2` starts the script of the second connection, and so on; the last section serves every
further one.
"""

from __future__ import annotations

import re
from enum import StrEnum

from msgspec import Struct


class ScriptError(ValueError):
    """A script that cannot be read; the text names the line and what is wrong with it."""


class Act(StrEnum):
    """What a step does; the words of the script language."""

    SEND = "S:"
    EXPECT = "C:"
    SLEEP = "*sleep"
    DRIP = "*drip"
    FLOOD = "*flood"
    TLS = "*tls"
    TLS_GARBAGE = "*tls-garbage"
    CLOSE = "*close"
    RESET = "*reset"
    SILENCE = "*silence"
    REPLY = "*reply"
    GOOD = "*good"


LAST = frozenset({Act.FLOOD, Act.TLS_GARBAGE, Act.CLOSE, Act.RESET, Act.SILENCE, Act.GOOD})
"""Steps after which the connection is over, so that nothing can follow them."""
BARE = frozenset({Act.TLS, Act.TLS_GARBAGE, Act.CLOSE, Act.RESET, Act.SILENCE})
"""Steps without an argument."""


class Override(Struct, frozen=True):
    """One answer of a `*good` server; `argument` and `sender` narrow it, `None` leaves them open."""

    verb: str
    argument: str | None
    sender: str | None
    reply: bytes

    def fits(self, verb: str, argument: str, sender: str | None) -> bool:
        """Tell whether this answers the command, `sender` being that of the open transaction."""
        return (
            self.verb == verb
            and self.argument in {None, argument.lower()}
            and (self.sender is None or self.sender == (None if sender is None else sender.lower()))
        )


class Step(Struct, frozen=True):
    """One line of a script: `data` is what is sent, `prefix` what is awaited, `seconds` an interval."""

    act: Act
    line: int
    data: bytes = b""
    prefix: str = ""
    seconds: float = 0.0
    override: Override | None = None


class Script(Struct, frozen=True):
    """The steps of the first, the second ... connection; the last section serves all further ones."""

    sections: tuple[tuple[Step, ...], ...]


_SECTION = re.compile(r"===\s*connection\s+(\d+)\s*")
_OVERRIDE = re.compile(r"([A-Za-z]+)(?:<([^>]*)>)?(?:\s+from\s+<([^>]*)>)?(?:\s+|=)(\S.*)", re.DOTALL)
_ESCAPE = re.compile(rb"\\(x[0-9A-Fa-f]{2}|.?)", re.DOTALL)
_ESCAPES = {b"r": b"\r", b"n": b"\n", b"t": b"\t", b"e": b"\x1b", b"\\": b"\\"}


def parse_script(text: str) -> Script:
    """Read a script; raises `ScriptError` with the number of the line that cannot be understood."""
    sections: list[list[Step]] = [[]]
    for number, raw in enumerate(text.split("\n"), 1):
        line = raw.removesuffix("\r").lstrip()
        if not line or line.startswith("#"):
            continue
        try:
            if line.startswith("==="):
                _open_section(line, sections)
            else:
                _check_place(sections[-1])
                sections[-1].append(_step(line, number))
        except ScriptError as error:
            raise ScriptError(f"line {number}: {error}") from None
    for steps in sections:
        if steps and steps[-1].act is Act.REPLY:
            raise ScriptError(f"line {steps[-1].line}: *reply is of use only before *good")
    return Script(tuple(tuple(steps) for steps in sections))


def _open_section(line: str, sections: list[list[Step]]) -> None:
    found = _SECTION.fullmatch(line)
    if not found:
        raise ScriptError(f"{line!r} should read '=== connection N'")
    if found[1] == "1" and sections == [[]]:
        return
    if int(found[1]) != len(sections) + 1:
        raise ScriptError(f"connection {found[1]} stands where connection {len(sections) + 1} is due")
    sections.append([])


def _check_place(steps: list[Step]) -> None:
    if steps and steps[-1].act in LAST:
        raise ScriptError(f"nothing can follow {steps[-1].act} of line {steps[-1].line}")


def _step(line: str, number: int) -> Step:
    if line.startswith("S:"):
        return Step(Act.SEND, number, data=line[2:].removeprefix(" ").encode() + b"\r\n")
    if line.startswith("S>"):
        return Step(Act.SEND, number, data=_unescape(line[2:].removeprefix(" ")))
    if line.startswith("C:"):
        return Step(Act.EXPECT, number, prefix=line[2:].strip().upper())
    word, _, rest = line.partition(" ")
    try:
        act = Act(word)
    except ValueError:
        raise ScriptError(f"{word!r} is no step; steps are S> {' '.join(Act)}") from None
    if act in BARE and rest.strip():
        raise ScriptError(f"{act} takes no argument")
    if act is Act.SLEEP:
        return Step(act, number, seconds=_seconds(rest))
    if act is Act.DRIP:
        interval, _, text = rest.partition(" ")
        return Step(act, number, seconds=_seconds(interval), data=text.encode() + b"\r\n")
    if act is Act.FLOOD:
        return Step(act, number, data=rest.encode() + b"\r\n")
    if act is Act.REPLY or (act is Act.GOOD and rest.strip()):
        return Step(act, number, override=_override(rest.strip()))
    return Step(act, number)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        raise ScriptError(f"{text!r} is not a number of seconds") from None
    if not 0 <= seconds <= 3600:
        raise ScriptError(f"{text} seconds are outside 0 to 3600")
    return seconds


def _override(text: str) -> Override:
    found = _OVERRIDE.fullmatch(text)
    if not found:
        raise ScriptError(f"{text!r} should read VERB TEXT, VERB<ARG> TEXT or VERB from <SENDER> TEXT")
    verb, argument, sender, reply = found.groups()
    return Override(
        verb.upper(),
        None if argument is None else argument.lower(),
        None if sender is None else sender.lower(),
        _unescape(reply) + b"\r\n",
    )


def _unescape(text: str) -> bytes:
    """Read the escapes of `S>`; as bytes, so that an escape is one octet while other text stays UTF-8."""

    def value(found: re.Match[bytes]) -> bytes:
        word = found[1]
        if word in _ESCAPES:
            return _ESCAPES[word]
        if len(word) == 3:
            return bytes.fromhex(word[1:].decode())
        escape = found[0].decode(errors="replace")
        raise ScriptError(f"{escape} is no escape; there are \\r \\n \\t \\e \\\\ \\xHH")

    return _ESCAPE.sub(value, text.encode())
