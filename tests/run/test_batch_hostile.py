"""Mail hosts that mislead: a batch says of nobody that he exists, or is missing, where one probe would not."""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from probe import codec
from probe.core.address import parse
from probe.core.classify import judge
from probe.core.model import Cause, Confidence, Report, Skip, TlsMode
from probe.core.politeness import FIRST, LONGEST, Limits, Sign
from probe.lab.world import ClosedHost, Lab
from probe.net.ledger import StoreLedger
from probe.net.store import Store
from probe.net.store_writer import StoreWriter
from probe.run.engine import Engine
from probe.run.memory import Memory
from probe.run.question import options_of
from tests.run.test_batch import UNKNOWN, Results, run, runs, settings, users, zone
from tests.support.counting import CountingHost, Visit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from probe.core.model import Evidence
    from probe.lab.world import Host
    from probe.net.spool import Entry
    from probe.settings import Settings

A, B, C = "127.0.0.2", "127.0.0.3", "127.0.0.4"
ONE = zone(1, 1)
TWO = f"""d0.example. 300 MX 10 mx1.example.
d0.example. 300 MX 20 mx2.example.
mx1.example. 300 A {A}
mx2.example. 300 A {B}"""
SETTLED = {Cause.SENDER_EXISTS, Cause.MISSING_SENDER}
CLOSE, RESET = "CLOSE", "RESET"


@pytest.fixture(autouse=True)
def _short_back_off(monkeypatch: pytest.MonkeyPatch) -> None:
    for sign in Sign:
        monkeypatch.setitem(FIRST, sign, 0.02)
        monkeypatch.setitem(LONGEST, sign, 0.02)


class Teller:
    """A mail host that is given whole segments: `tell` makes of the lines of one what is written, in pieces."""

    def __init__(self, ip: str, tell: Callable[[list[str], Visit], Iterable[str]]) -> None:
        self.ip = ip
        self.visits: list[Visit] = []
        self._tell = tell
        self._server: asyncio.Server

    async def start(self, port: int = 0) -> int:
        self._server = await asyncio.start_server(self._serve, self.ip, port)
        taken: int = self._server.sockets[0].getsockname()[1]
        return taken

    async def stop(self) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        visit = Visit()
        self.visits.append(visit)
        lines, rest = [""], b""
        try:
            while True:
                for piece in self._tell(lines, visit):
                    if piece == RESET:
                        taken = writer.get_extra_info("socket")
                        taken.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    if piece in {CLOSE, RESET}:
                        return
                    writer.write(piece.encode())
                    await asyncio.sleep(0.001)
                received = await reader.read(4096)
                if not received or "QUIT" in lines:
                    return
                *whole, rest = (rest + received).split(b"\r\n")
                lines = [line.decode() for line in whole]
                visit.commands += lines
        except ConnectionError:
            pass
        finally:
            visit.ended = time.monotonic()
            writer.close()


def usual(line: str, *unknown: str) -> str:
    """Answer as an honest host that offers PIPELINING and does not know some local parts."""
    if not line:
        return "220 mail.example ESMTP\r\n"
    if line.startswith("EHLO"):
        return "250-mail.example\r\n250 PIPELINING\r\n"
    if line == "QUIT":
        return "221 2.0.0 Bye\r\n"
    return (
        f"{UNKNOWN}\r\n" if line.startswith(tuple(f"RCPT TO:<{name}@" for name in unknown)) else "250 Ok\r\n"
    )


def table(**answers: str) -> Callable[[int, str], str | None]:
    """Make what a CountingHost says from the beginnings of commands; `banner` is the greeting."""

    def answer(_: int, line: str) -> str | None:
        for begin, reply in answers.items():
            if (begin == "banner" and not line) or (line and line.replace(" ", "_").startswith(begin)):
                return reply
        return None

    return answer


async def single(address: str, chosen: Settings) -> Report:
    engine = Engine(chosen)
    report = judge(await engine.collect(parse(address), seed=1))
    await engine.aclose()
    return report


async def both(
    names: str,
    hosts: Callable[[], Mapping[str, Host]],
    addresses: list[str],
    *,
    behaviours: dict[str, str] | None = None,
    **more: object,
) -> tuple[dict[str, Report], Results]:
    """Ask one by one, and in a batch, in the same world; the batch may say less of an address, and no other thing."""
    async with Lab(names, hosts(), behaviours) as lab:
        alone = {}
        for address in addresses:
            alone[parse(address).mailbox] = await single(address, settings(lab, **more))
    async with Lab(names, hosts(), behaviours) as lab:
        together = await run(lab, addresses, chosen=settings(lab, **more))
    for mailbox, report in together.reports.items():
        if report.cause in SETTLED:
            assert report.cause is alone[mailbox].cause, mailbox
    return alone, together


# --- answers that are too many, too few, or in the wrong place ---------------------------------------

PIPELINES: dict[str, Callable[[list[str]], list[str]]] = {
    "in one segment": lambda said: ["".join(said)],
    "byte by byte": lambda said: list("".join(said)),
    "LF alone": lambda said: ["".join(said).replace("\r\n", "\n")],
    "in reverse": lambda said: said[::-1],
    "the last two exchanged": lambda said: [*said[:-2], *said[:-3:-1]],
    "the first alone": lambda said: said[:1],
    "the last alone": lambda said: said[-1:],
    "the last dropped": lambda said: said[:-1],
    "the second dropped": lambda said: [said[0], *said[2:]],
    "the first twice": lambda said: [said[0], *said],
    "in one line": lambda said: [" ".join(one.strip() for one in said) + "\r\n"],
    "all but the first out of sequence": lambda said: [
        said[0],
        *["503 5.5.1 Bad sequence\r\n"] * (len(said) - 1),
    ],
    "one more": lambda said: [*said, "250 Ok\r\n"],
    "one more of the other class": lambda said: [*said, f"{UNKNOWN}\r\n"],
}


@pytest.mark.parametrize("unknown", [("u1",), ("u0", "u2")])
@pytest.mark.parametrize("how", PIPELINES)
@runs
async def test_pipelined_replies(how: str, unknown: tuple[str, ...]) -> None:
    def tell(lines: list[str], _: Visit) -> list[str]:
        said = [usual(line, *unknown) for line in lines]
        return said if len(said) == 1 else PIPELINES[how](said)

    await both(ONE, lambda: {A: Teller(A, tell)}, users(3), reply_timeout=0.2, quit_timeout=0.2)


@pytest.mark.parametrize("unknown", [(), ("u1",), ("u0", "u2")])
@pytest.mark.parametrize("how", PIPELINES)
@runs
async def test_a_host_that_is_not_up_to_a_group(how: str, unknown: tuple[str, ...]) -> None:
    """It is asked again one by one, and then gives the answer that a diagnosis gets."""

    def tell(lines: list[str], _: Visit) -> list[str]:
        said = [usual(line, *unknown) for line in lines]
        return said if len(said) == 1 else PIPELINES[how](said)

    alone, together = await both(
        ONE, lambda: {A: Teller(A, tell)}, users(4), reply_timeout=0.5, quit_timeout=0.2
    )
    assert together.reasons == {mailbox: report.reason for mailbox, report in alone.items()}


@pytest.mark.parametrize("goodbye", ["221 Bye\r\n", "250 Ok\r\n", CLOSE])
@runs
async def test_a_host_that_answers_mail_twice_in_a_group_and_takes_its_time(goodbye: str) -> None:
    """The answer to RCPT comes behind the next command, and so passes for the one to RSET or QUIT."""

    def tell(lines: list[str], _: Visit) -> Iterable[str]:
        for line in lines:
            said = goodbye if line == "QUIT" else usual(line, "u1", "u3")
            for _again in range(2 if line.startswith("MAIL") and len(lines) > 1 else 1):
                yield said
                time.sleep(
                    0.03
                )  # this loop is also ours: it comes to the next piece when we have heard this one

    alone, together = await both(ONE, lambda: {A: Teller(A, tell)}, users(5), quit_timeout=0.2)
    assert together.reasons == {mailbox: report.reason for mailbox, report in alone.items()}


class Stammerer:
    """A mail host that answers MAIL twice from the second on, slowly, and is gone behind so many recipients."""

    def __init__(self, ip: str, unknown: str, recipients: int, *, pipelining: bool, hangs_up: bool) -> None:
        self.ip = ip
        self._unknown = unknown
        self._recipients = recipients
        self._pipelining = pipelining
        self._hangs_up = hangs_up

    async def start(self, port: int = 0) -> int:
        self._server = await asyncio.start_server(self._serve, self.ip, port)
        taken: int = self._server.sockets[0].getsockname()[1]
        return taken

    async def stop(self) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        replies: asyncio.Queue[str] = asyncio.Queue()
        speaking = asyncio.create_task(self._speak(replies, writer))
        mails = recipients = 0
        try:
            replies.put_nowait(usual(""))
            while (line := (await reader.readline()).decode().rstrip("\r\n")) and line != "QUIT":
                mails += line.startswith("MAIL")
                recipients += line.startswith("RCPT")
                if recipients > self._recipients:
                    continue
                reply = usual(line, self._unknown)
                if line.startswith("EHLO") and not self._pipelining:
                    reply = "250 mail.example\r\n"
                for _again in range(2 if line.startswith("MAIL") and mails > 1 else 1):
                    replies.put_nowait(reply)
                if recipients == self._recipients and self._hangs_up:
                    break
            replies.put_nowait(CLOSE if recipients >= self._recipients else usual("QUIT"))
            replies.put_nowait(CLOSE)
            await speaking
        except ConnectionError:
            pass
        finally:
            speaking.cancel()
            writer.close()

    @staticmethod
    async def _speak(replies: asyncio.Queue[str], writer: asyncio.StreamWriter) -> None:
        while (reply := await replies.get()) != CLOSE:
            writer.write(reply.encode())
            await asyncio.sleep(0.003)


@pytest.mark.parametrize("pipelining", [True, False])
@pytest.mark.parametrize("hangs_up", [True, False])
@pytest.mark.parametrize(("recipients", "unknown"), [(3, "u2"), (5, "u3"), (6, "u2")])
@runs
async def test_a_host_that_shifts_its_answers_and_says_no_goodbye(
    recipients: int, unknown: str, *, hangs_up: bool, pipelining: bool
) -> None:
    def host() -> dict[str, Stammerer]:
        return {A: Stammerer(A, unknown, recipients, pipelining=pipelining, hangs_up=hangs_up)}

    alone, together = await both(ONE, host, users(7), reply_timeout=0.2, quit_timeout=0.2)
    assert together.reasons == {mailbox: report.reason for mailbox, report in alone.items()}


@pytest.mark.parametrize("lost", [1, 2, 3])
@runs
async def test_a_host_that_loses_what_comes_in_a_group_costs_one_time_out(lost: int) -> None:
    hosts: list[Teller] = []

    def tell(lines: list[str], _: Visit) -> list[str]:
        return [usual(line, "u1") for line in (lines[:-lost] if len(lines) > 1 else lines)]

    def made() -> dict[str, Host]:
        hosts.append(Teller(A, tell))
        return {A: hosts[-1]}

    _, together = await both(ONE, made, users(8), reply_timeout=0.5)
    assert set(together.reasons.values()) == {"rcpt.accepted", "rcpt.user-unknown"}
    in_groups = [visit for visit in hosts[-1].visits if "RSET" in visit.commands]
    assert len(in_groups) == 1


@pytest.mark.parametrize("what", [CLOSE, RESET])
@runs
async def test_a_host_that_hangs_up_on_a_group(what: str) -> None:
    def tell(lines: list[str], _: Visit) -> list[str]:
        return [what] if len(lines) > 1 else [usual(line, "u1") for line in lines]

    alone, together = await both(ONE, lambda: {A: Teller(A, tell)}, users(3))
    assert together.reasons == {mailbox: report.reason for mailbox, report in alone.items()}


@runs
async def test_a_refused_null_sender_names_nobody_to_the_others() -> None:
    """RCPT stands behind MAIL in one write, and what was learned of the host holds for all."""
    hosts = {A: CountingHost(A, table(MAIL="550 5.7.1 No"))}
    async with Lab(ONE, hosts) as lab:
        together = await run(lab, users(3), chosen=settings(lab))
    for mailbox, report in together.reports.items():
        tapes = [entry.data for host in report.evidence.hosts for s in host.sessions for entry in s.tape]
        assert any("MAIL FROM:<>" in data for data in tapes)
        assert not [data for data in tapes for other in users(3) if other != mailbox and other in data]


@pytest.mark.parametrize("stage", ["RSET", "MAIL", "RCPT"])
@pytest.mark.parametrize("what", ["421 4.7.0 Bye\r\n", "502 5.5.1 No\r\n", "554 No\r\n", CLOSE, RESET])
@runs
async def test_a_connection_that_ends_in_the_middle(stage: str, what: str) -> None:
    def tell(lines: list[str], visit: Visit) -> list[str]:
        said: list[str] = []
        for line in lines:
            again = sum(command.startswith(stage) for command in visit.commands) >= (
                1 if stage == "RSET" else 2
            )
            said.append(what if line.startswith(stage) and again else usual(line, "u1"))
        return [*said, CLOSE] if any(piece.startswith("421") for piece in said) else said

    alone, together = await both(ONE, lambda: {A: Teller(A, tell)}, users(4))
    assert together.reasons == {mailbox: report.reason for mailbox, report in alone.items()}


@pytest.mark.parametrize(
    "words",
    [
        "550 5.7.1 Too many recipients",
        "550 5.1.1 Too many invalid recipients",
        "550 5.5.3 Too many recipients",
        "550 Too many errors",
        "550 Requested action not taken: mailbox unavailable",
        "554 5.7.1 Service unavailable",
        "503 5.5.1 Need MAIL",
        "452 4.5.3 Too many recipients",
        "450 4.7.1 Slow down",
        "451 4.3.0 Try again later",
        "421 4.7.0 Too many commands",
    ],
)
@runs
async def test_enough_after_the_third_recipient(words: str) -> None:
    def host() -> CountingHost:
        def answer(number: int, line: str) -> str | None:
            if not line.startswith("RCPT"):
                return None
            return (
                words if len(made.visits[number - 1].asked) > 3 else table(RCPT_TO_u1=UNKNOWN)(number, line)
            )

        made = CountingHost(A, answer)
        return made

    alone, together = await both(ONE, lambda: {A: host()}, users(7))
    assert together.reasons == {mailbox: report.reason for mailbox, report in alone.items()}


@runs
async def test_our_network_dies_in_the_middle() -> None:
    heard = 0

    def tell(lines: list[str], _: Visit) -> list[str]:
        nonlocal heard
        heard += sum(line.startswith("RCPT") for line in lines)
        return [] if heard > 4 else [usual(line, "u1") for line in lines]

    hosts = {ip: Teller(ip, tell) for ip in (A, B, C)}
    async with Lab(zone(6, 3), hosts) as lab:
        addresses = [f"u{n}@d{domain}.example" for domain in range(6) for n in range(3)]
        results = await run(lab, addresses, chosen=settings(lab, reply_timeout=0.3, trace=False))
    for mailbox, report in results.reports.items():
        if report.cause in SETTLED:
            assert (report.cause is Cause.MISSING_SENDER) == mailbox.startswith("u1@")
        else:
            assert report.cause is Cause.FIREWALL_TIMEOUT


# --- hosts that refuse everybody, and several hosts --------------------------------------------------

RELAY = "550 5.7.1 Relaying denied"
PAIRS: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "unknown, accepted": ({"RCPT": UNKNOWN}, {}),
    "accepted, unknown": ({}, {"RCPT": UNKNOWN}),
    "relay, accepted": ({"RCPT": RELAY}, {}),
    "relay, relay": ({"RCPT": RELAY}, {"RCPT": RELAY}),
    "later, relay": ({"RCPT": "451 4.3.0 Later"}, {"RCPT": RELAY}),
    "null sender refused, accepted": ({"MAIL_FROM:<>": "550 5.7.1 Null sender refused"}, {}),
    "our sender refused, unknown": ({"MAIL": "550 5.7.1 Rejected"}, {"RCPT": UNKNOWN}),
    "no greeting, some": ({"banner": "554 5.7.1 Go away"}, {"RCPT_TO:<u1@": UNKNOWN}),
    "busy, some": ({"banner": "421 4.3.2 Busy"}, {"RCPT_TO:<u1@": UNKNOWN}),
    "TLS wanted, some": ({"MAIL": "530 5.7.0 Must issue STARTTLS first"}, {"RCPT_TO:<u1@": UNKNOWN}),
    "no mail here, accepted": ({"banner": "521 No mail here"}, {}),
    "both take no mail": ({"banner": "521 No mail here"}, {"banner": "521 No mail here"}),
    "blocked, unknown": ({"RCPT": "550 5.7.1 Blocked using bl.example.org"}, {"RCPT": UNKNOWN}),
}


@pytest.mark.parametrize("every", [False, True], ids=["until one settles it", "--all-hosts"])
@pytest.mark.parametrize("pair", PAIRS)
@runs
async def test_two_mail_hosts_that_disagree(pair: str, *, every: bool) -> None:
    first, second = (table(**answers) for answers in PAIRS[pair])
    alone, together = await both(
        TWO, lambda: {A: CountingHost(A, first), B: CountingHost(B, second)}, users(3), all_hosts=every
    )
    assert together.reasons == {mailbox: report.reason for mailbox, report in alone.items()}


@runs
async def test_the_null_sender_refused_says_nothing_of_a_mailbox_that_was_not_named() -> None:
    answers = table(**{"MAIL_FROM:<>": "550 5.7.1 Null sender refused", "RCPT_TO:<u1@": UNKNOWN})
    alone, together = await both(ONE, lambda: {A: CountingHost(A, answers)}, users(3))
    assert alone["u1@d0.example"].reason == "rcpt.user-unknown"
    assert set(together.reasons.values()) == {"mail.null-sender-refused"}
    assert together.reports["u2@d0.example"].confidence is not Confidence.CERTAIN


# --- names and the DNS -------------------------------------------------------------------------------


@pytest.mark.parametrize("offers", [True, False])
@runs
async def test_odd_addresses_among_others(*, offers: bool) -> None:
    def answer(_: int, line: str) -> str | None:
        if line.startswith("EHLO") and offers:
            return "250-mail.example\r\n250-PIPELINING\r\n250 SMTPUTF8"
        return UNKNOWN if line.startswith(('RCPT TO:<"a b"@', "RCPT TO:<u@", "RCPT TO:<j")) else None

    odd = ['"a b"@d0.example', '"a\\"b"@d0.example', "o'b@D0.Example", "jörg@d0.example", "ü@bücher.example"]
    odd += ["u@bücher.example", "w@xn--bcher-kva.example", f"u@[{A}]", f"v@[{A}]", "u@d0.example"]
    names = f"{ONE}\nxn--bcher-kva.example. 300 MX 10 mx0.h0.example."
    alone, together = await both(names, lambda: {A: CountingHost(A, answer)}, odd)
    assert together.reasons == {mailbox: report.reason for mailbox, report in alone.items()}


@runs
async def test_domains_that_share_their_hosts_and_domains_without_any() -> None:
    names = f"""d0.example. 300 MX 10 mx1.example.
d0.example. 300 MX 10 mx2.example.
mx1.example. 300 A {A}
d1.example. 300 MX 0 .
d2.example. 300 MX 10 nowhere.example.
d3.example. 300 A {A}
d4.example. 300 MX 10 {A}.
d5.example. 300 CNAME d0.example.
d6.example. 300 MX 10 mx1.example.
d6.example. 300 MX 20 mx3.example.
d7.example. 300 MX 10 mx3.example.
d7.example. 300 MX 20 mx1.example.
mx3.example. 300 A {B}
mx3.example. 300 A {C}
d8.example. 300 MX 10 fail.example.
d9.example. 300 MX 10 fail.example.
d9.example. 300 MX 20 mx1.example."""

    def hosts() -> dict[str, Host]:
        third = table(**{"RCPT_TO:<u2@": UNKNOWN, "RCPT_TO:<u0@": "451 4.3.0 Later"})
        first = table(**{"RCPT_TO:<u1@": UNKNOWN})
        return {A: CountingHost(A, first), B: ClosedHost(B), C: CountingHost(C, third)}

    addresses = [f"u{n}@d{domain}.example" for domain in range(10) for n in range(3)]
    addresses += ["u@broken.example", "v@broken.example", "u@missing.example"]
    broken = {"fail.example": "servfail", "broken.example": "servfail"}
    alone, together = await both(names, hosts, addresses, behaviours=broken)
    assert together.reasons == {mailbox: report.reason for mailbox, report in alone.items()}


# --- the store ---------------------------------------------------------------------------------------


class Diary:
    """A store across batches that begin `later` seconds after the first."""

    def __init__(self, path: Path) -> None:
        self._path = str(path)
        self._later = 0.0
        self._memory: Memory

    def _open(self, engine: Engine) -> Memory:
        store, options = (
            Store.open(self._path, now=self._now),
            options_of(engine.settings, helo=engine.own_name()),
        )
        writer = StoreWriter(self._path, lambda _: None)
        self._memory = Memory(store, writer, options, engine.servers, judge, now=self._now, zero=self._now())
        return self._memory

    def _now(self) -> float:
        return time.time() + self._later

    async def run(self, lab: Lab, later: float, *addresses: str, **more: object) -> Results:
        self._later = later
        diary = self

        class Recording(Results):
            def evidence(self, entry: Entry, evidence: Evidence) -> None:
                super().evidence(entry, evidence)
                began = datetime.fromisoformat(evidence.began) + timedelta(seconds=later)
                kept = replace(evidence, began=began.isoformat(timespec="milliseconds"))
                diary._memory.record(kept, codec.encode(kept))

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("tests.run.test_batch.Results", Recording)
            results = await run(lab, addresses, chosen=settings(lab, **more), memory=self._open)
        self._memory.close()
        return results


@runs
async def _recall(path: Path) -> None:
    host = CountingHost(A, table(**{"RCPT_TO:<u1@": UNKNOWN, "RCPT_TO:<u3@": "451 4.3.0 Later"}))
    u0, u1, u2, u3 = users(4)
    async with Lab(ONE, {A: host}) as lab:
        diary = Diary(path)
        await diary.run(lab, 0, u0, u1, u3)
        assert (await diary.run(lab, 290, u0, u1, u3)).stored == {u0, u1, u3}
        assert (await diary.run(lab, 310, u3)).stored == set()
        # What was heard of the others says nothing of a mailbox that nobody has asked for.
        assert (await diary.run(lab, 7000, u0, u1, u2)).stored == {u0, u1}
        assert (await diary.run(lab, 7300, u0, u1)).stored == {u0}
        assert (await diary.run(lab, 86300, u0)).stored == {u0}
        assert (await diary.run(lab, 86500, u0)).stored == set()


def test_the_store_answers_for_as_long_as_exim_would(tmp_path: Path) -> None:
    _recall(tmp_path / "store.db")


@runs
async def _recall_of_a_domain(path: Path) -> None:
    host = CountingHost(
        A, table(**{"MAIL_FROM:<>": "550 5.7.1 Null sender refused", "RCPT_TO:<u1@": UNKNOWN})
    )
    u0, u1, u2 = users(3)
    async with Lab(ONE, {A: host}) as lab:
        diary = Diary(path)
        await diary.run(lab, 0, u0)
        later = await diary.run(lab, 100, u1, u2)
        assert later.stored == {u1, u2}
        assert set(later.reasons.values()) == {"mail.null-sender-refused"}
        assert (await diary.run(lab, 10700, u1)).stored == {u1}
        assert (await diary.run(lab, 10750, "jörg@d0.example")).stored == set()
        assert (await diary.run(lab, 10900, u1)).stored == set()


def test_what_a_domain_says_to_all_is_believed_for_three_hours(tmp_path: Path) -> None:
    _recall_of_a_domain(tmp_path / "store.db")


# --- as the host sees it -----------------------------------------------------------------------------


@runs
async def _budget(path: Path) -> None:
    host = CountingHost(A)
    limits = Limits(gap=0.0, per_day=3)
    reasons: list[str] = []
    async with Lab(zone(4, 1), {A: host}) as lab:
        for local in "ab":  # as two processes would
            ledger = StoreLedger(Store.open(str(path)), limits)
            results = await run(
                lab, [f"{local}@d{n}.example" for n in range(2)], limits=limits, ledger=ledger
            )
            ledger.close()
            reasons += results.reasons.values()
    assert len(host.visits) == 3
    assert sorted(reasons) == ["host.held-back", *["rcpt.accepted"] * 3]


def test_the_budget_of_a_day_holds_over_two_runs(tmp_path: Path) -> None:
    _budget(tmp_path / "store.db")


@runs
async def test_behind_a_host_that_is_held_back_nobody_is_missing() -> None:
    names = f"{TWO}\nd1.example. 300 MX 10 mx1.example."
    hosts = {A: CountingHost(A), B: CountingHost(B, table(RCPT=UNKNOWN))}
    async with Lab(names, hosts) as lab:
        results = await run(lab, ["u@d1.example", "u@d0.example"], limits=Limits(gap=0.0, per_day=1))
    waited = [
        r
        for r in results.reports.values()
        if any(host.skipped is Skip.HELD_BACK for host in r.evidence.hosts)
    ]
    assert len(waited) == 1
    assert (waited[0].cause, waited[0].reason) == (Cause.INCONCLUSIVE, "host.held-back")


@runs
async def test_a_second_connection_for_the_same_address_is_spaced_and_counted() -> None:
    def tell(lines: list[str], _: Visit) -> list[str]:
        if lines[0].startswith("EHLO"):
            return ["250-mail.example\r\n250 STARTTLS\r\n"]
        if lines[0] == "STARTTLS":
            return ["220 Ready\r\n", "This is no TLS\r\n", CLOSE]
        return [usual(line, "u1") for line in lines]

    host = Teller(A, tell)
    async with Lab(ONE, {A: host}) as lab:
        results = await run(lab, users(2), limits=Limits(gap=0.1))
    assert results.reasons == {"u0@d0.example": "rcpt.accepted", "u1@d0.example": "rcpt.user-unknown"}
    began = [visit.began for visit in host.visits]
    assert all(after - before >= 0.09 for before, after in pairwise(began))
    assert not any(command.startswith("DATA") for visit in host.visits for command in visit.commands)


@runs
async def test_a_handshake_that_fails_by_one_name_says_nothing_of_another() -> None:
    """The server is told the name it is called by, and may have a certificate for one of them only (RFC 6066 3)."""

    def tell(lines: list[str], _: Visit) -> list[str]:
        if lines[0].startswith("EHLO"):
            return ["250-mail.example\r\n250 STARTTLS\r\n"]
        return (
            ["220 Ready\r\n", "This is no TLS\r\n", CLOSE] if lines[0] == "STARTTLS" else [*map(usual, lines)]
        )

    names = "\n".join(f"d{n}.example. 300 MX 10 mx{n % 2}.example." for n in range(4))
    names += f"\nmx0.example. 300 A {A}\nmx1.example. 300 A {A}"
    host = Teller(A, tell)
    async with Lab(names, {A: host}) as lab:
        required = settings(lab, tls=TlsMode.REQUIRE)
        results = await run(lab, [f"u@d{n}.example" for n in range(4)], chosen=required, concurrency=1)
    assert set(results.reasons.values()) == {"tls.not-available"}
    assert len(host.visits) == 2
