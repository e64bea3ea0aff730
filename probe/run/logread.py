"""From log files to what `core.triage` puts together: the shell of `probe-sender log`."""

from __future__ import annotations

import time
from collections import deque
from itertools import islice, pairwise
from typing import TYPE_CHECKING

from msgspec.structs import replace

from probe.core.date import read_log_stamp
from probe.core.log.line import mentions, parse
from probe.core.log.memo import Memo
from probe.core.log.prefix import join_records, read_prefix
from probe.core.model import MtaOutcome
from probe.net.logfile import LINE_LIMIT, LogFileError, blocks, in_order, written_until
from probe.net.sift import Watch, find, spans, taken, whole_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from probe.core.log.event import LogEvent
    from probe.core.log.triage import Triage
    from probe.net.sift import Lines

PASTED = 1 << 18
"""Octets up to which a whole input may be what somebody pasted, with all that a ticket does to log lines."""
SAMPLES = 10
"""Lines that were not understood and are kept to be shown."""
_SAMPLE = 500
"""Characters of such a line."""
WINDOW = 30_000
"""Lines within --since that are held back until the last stamp is known."""
_TEXT = 1000
"""Characters of what a line says that are kept of it; a reply has 512 a line (RFC 5321 4.5.3.1.5)."""
_STAMPLESS = 100
"""Lines without a stamp that may end a block: the headers that Exim's reject log repeats."""
_SEEN = 100_000
"""Lines by which the same record in another file (main and reject log) is known again."""
_GAP = 86400.0
"""Seconds without a line after which some are missing: servers write of their queue every hour or so."""
_MAIL_TAKEN = (b" <= ", b": client=", b"status=sent")
"""One of these stands in every log that names the mail that was taken: a reject log does not, nor what grep left."""
_WATCHED = 20_000
"""Senders that are watched before it is asked which of them still matter."""


class LogReader:
    """Reads logs into a triage. `lines`, `not_understood` and `samples` are what the report needs besides."""

    def __init__(
        self,
        triage: Triage,
        warn: Callable[[str], None],
        *,
        since: float | None = None,
        after: float | None = None,
    ) -> None:
        """`since` keeps the last so many seconds of the log; `after` what is later than that moment of it."""
        self.lines = 0
        self.not_understood = 0
        self.samples: list[str] = []
        self.left_out = 0
        self.shows_mail = False
        self._triage = triage
        self._warn = warn
        self._since = since
        self._after = after
        self._window: deque[LogEvent] = deque()
        self._latest = 0.0
        self._watch = Watch()
        self._memo = Memo()
        self._watched = _WATCHED
        self._until = 0.0
        self._year = 0
        self.dated("-")
        self._several = False
        self._before: dict[int, int] = {}
        self._here: dict[int, int] = {}

    def read(self, names: list[str]) -> int:
        """Read these files, oldest first; how many of them could be read."""
        self._several = len(names) > 1
        good = 0
        for name in in_order(names):
            self.dated(name)
            try:
                self._read(name)
                good += 1
            except LogFileError as error:
                self._warn(str(error))
            self._turn_over()
        return good

    def dated(self, name: str) -> None:
        """Learn from a source which year stamps without one are of; `-` stands for now."""
        self._until = written_until(name)
        self._year = time.gmtime(self._until).tm_year

    def _read(self, name: str) -> None:
        begun: list[Lines] | None = []
        size = 0
        for lines in blocks(name, self._warn):
            if begun is None:
                self.take(lines)
                continue
            begun.append(lines)
            size += lines.end - lines.begin
            if size > PASTED:
                for early in begun:
                    self.take(early)
                begun = None
        if begun is not None:
            self._take_pasted(b"".join(lines.data[lines.begin : lines.end] for lines in begun))

    def take(self, lines: Lines) -> None:
        """Read some lines of a log."""
        for part in self._whole_parts(lines):
            self._take(part)

    def _whole_parts(self, lines: Lines) -> Iterator[Lines]:
        """Part lines between which others are missing; only where a block reaches beyond a day are all looked at."""
        first, last = self._first_stamp(_forwards(lines)), self._first_stamp(_backwards(lines))
        if first is None or last is None or last - first <= _GAP:
            yield lines
            return
        texts = lines.data[lines.begin : lines.end].split(b"\n")[:-1]
        gaps = self._gaps(text[:_SAMPLE].decode("latin-1") for text in texts)
        for begin, end in pairwise([0, *gaps, len(texts)]):
            yield whole_lines(b"\n".join([*texts[begin:end], b""]))

    def _take(self, lines: Lines) -> None:
        self.lines += lines.total
        if not self.shows_mail:
            self.shows_mail = any(find(lines.data, word, lines.begin) >= 0 for word in _MAIL_TAKEN)
        self._look_for_gap(_forwards(lines))
        self._look_at_clock(_backwards(lines))
        texts = _texts(lines, spans(lines))
        events = list(self._events(texts if lines.exim else join_records(texts)))
        self._note_senders(events)
        if self._watch.senders and (more := taken(lines, self._watch)):
            # In the order of time: a message that was taken before the refusal is another one.
            events += self._events(_texts(lines, more))
            events.sort(key=lambda event: event.at or 0.0)
        self._feed(events)

    def _take_pasted(self, text: bytes) -> None:
        from probe.core.log.pasted import mend

        lines = text.decode("latin-1").split("\n")[:-1]
        self.lines += len(lines)
        records = mend(lines)
        self.shows_mail = self.shows_mail or any(word in text for word in _MAIL_TAKEN)
        for begin, end in pairwise([0, *self._gaps(records), len(records)]):
            part = records[begin:end]
            self._look_for_gap(part)
            self._look_at_clock(reversed(part))
            self._feed(self._events(part))

    def _look_at_clock(self, backwards: Iterable[str]) -> None:
        """Learn from the last lines how far the log reaches: what it does not show after that proves nothing."""
        at = self._first_stamp(backwards)
        if at is not None:
            self._latest = max(self._latest, at)
            self._triage.reached(at)

    def _look_for_gap(self, lines: Iterable[str]) -> None:
        """Learn from the first lines whether some are missing before them."""
        if self._latest and (at := self._first_stamp(lines)) is not None and at - self._latest > _GAP:
            self._triage.misses(self._latest)

    def _gaps(self, records: Iterable[str]) -> Iterator[int]:
        """Find the lines before which some are missing, by every stamp."""
        before = None
        for number, record in enumerate(records):
            at = self._first_stamp((record,))
            if at is None:
                continue
            if before is not None and at - before > _GAP:
                yield number
            before = at

    def _first_stamp(self, lines: Iterable[str]) -> float | None:
        """Give the first time among the lines, in seconds since 1970; None where the next ones have no stamp."""
        for line in islice(lines, _STAMPLESS):
            if stamp := read_prefix(line[:_SAMPLE]).stamp:
                at = read_log_stamp(stamp, self._year)
                if at is not None and at > self._until:
                    at = read_log_stamp(stamp, self._year - 1)
                if at is not None:
                    return at
        return None

    def _events(self, lines: Iterable[str]) -> Iterator[LogEvent]:
        read, until, several = self._memo.parse, self._until, self._several
        for line in lines:
            event = read(line, self._year)
            if event is None:
                if mentions(line) and not self._is_known(line):
                    self.not_understood += 1
                    if len(self.samples) < SAMPLES:
                        self.samples.append(line[:_SAMPLE])
                continue
            if event.at is not None and event.at > until:
                event = parse(line, self._year - 1) or event  # a stamp without a year, from before New Year
            if not (several and self._is_known(line)):
                yield event if len(event.text) <= _TEXT else _shortened(event)

    def _is_known(self, line: str) -> bool:
        """Whether an earlier file had this record as well: Exim writes refusals to the main and the reject log."""
        if not self._several:
            return False
        key = hash(line)
        if len(self._here) < _SEEN:
            self._here[key] = self._here.get(key, 0) + 1
        return 0 < self._here.get(key, 0) <= self._before.get(key, 0)

    def _turn_over(self) -> None:
        """Go on to the next file; a record may stand in one file twice and be another try each time."""
        for key, number in self._here.items():
            self._before[key] = max(number, self._before.get(key, 0))
        while len(self._before) > _SEEN:
            del self._before[next(iter(self._before))]
        self._here = {}

    def _note_senders(self, events: list[LogEvent]) -> None:
        """Keep in mind the senders that a relay will bring again."""
        if self._since is None and len(self._watch.senders) > self._watched:
            self._watch = Watch(self._triage.watched)
            self._watched = len(self._watch.senders) + _WATCHED
        self._watch.update(
            event.sender.encode("latin-1", "replace")
            for event in events
            if event.sender and event.outcome is MtaOutcome.DEFER
        )

    def _feed(self, events: Iterable[LogEvent]) -> None:
        if self._since is None and self._after is None:
            add = self._triage.add
            for event in events:
                add(event)
            return
        for event in events:
            if event.at is not None and self._after is not None and event.at < self._after:
                continue
            if self._since is None:
                self._triage.add(event)
            else:
                self._window.append(event)
        if self._since is not None:
            self._slide(self._latest - self._since)

    def _slide(self, begin: float) -> None:
        window = self._window
        while window and (window[0].at or begin) < begin:
            window.popleft()
        while len(window) > WINDOW:
            window.popleft()
            self.left_out += 1

    def finish(self) -> None:
        """Hand over what was held back for --since."""
        begin = self._latest - (self._since or 0.0)
        while self._window:  # emptied on the way: the triage needs the room
            event = self._window.popleft()
            if (event.at or begin) >= begin:
                self._triage.add(event)


def _shortened(event: LogEvent) -> LogEvent:
    """Cut what is as long as no server's reply, so that thousands of them find room."""
    return replace(event, text=event.text[:_TEXT], said=event.said and event.said[:_TEXT])


def _backwards(lines: Lines) -> Iterator[str]:
    data, begin, end, _ = lines
    while end > begin:
        start = data.rfind(b"\n", begin, end - 1) + 1 or begin
        yield data[start : min(end, start + LINE_LIMIT)].decode("latin-1")
        end = start


def _forwards(lines: Lines) -> Iterator[str]:
    data, begin, end, _ = lines
    while begin < end:
        stop = data.index(b"\n", begin)
        yield data[begin : min(stop, begin + LINE_LIMIT)].decode("latin-1")
        begin = stop + 1


def _texts(lines: Lines, found: dict[int, int]) -> Iterator[str]:
    for start in sorted(found):
        yield lines.data[start : found[start]].decode("latin-1")
