"""Refusals at the end of a connection: an address that was taken is asked for once more, and vouches for them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from probe.core.model import Cause
from probe.core.politeness import FIRST, LONGEST, Limits, Sign
from probe.lab.world import Lab
from probe.net import spool
from probe.run.lane import REFUSALS
from tests.run.test_batch import UNKNOWN, Forgetful, Results, everybody, run, runs, settings, users, zone
from tests.run.test_batch_hostile import CLOSE, Teller, usual
from tests.support.counting import CountingHost

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.counting import Visit

A = "127.0.0.2"
TOLD = "an address that had been taken was asked for once more, and taken"
TAKEN, MISSING, HELD_BACK = "rcpt.accepted", "rcpt.user-unknown", "host.held-back"


@pytest.fixture(autouse=True)
def _short_back_off(monkeypatch: pytest.MonkeyPatch) -> None:
    for sign in Sign:
        monkeypatch.setitem(FIRST, sign, 0.02)
        monkeypatch.setitem(LONGEST, sign, 0.02)


def unknown(*locals_: str) -> dict[str, str]:
    return dict.fromkeys(locals_, UNKNOWN)


def reasons(results: Results) -> list[str]:
    """Give them in the order of the addresses."""
    return [results.reasons[mailbox] for mailbox in sorted(results.reasons)]


def told(results: Results, mailbox: str) -> list[str]:
    (host,) = results.reports[mailbox].evidence.hosts
    return [entry.data for entry in host.sessions[0].tape]


# --- who is asked ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("missing", "asked"),
    [
        ((), ["u0", "u1", "u2"]),
        (("u1",), ["u0", "u1", "u2"]),
        (("u2",), ["u0", "u1", "u2", "u1"]),
        (("u1", "u2"), ["u0", "u1", "u2", "u0"]),
        (("u0", "u2"), ["u0", "u1", "u2", "u1"]),
    ],
    ids=lambda names: ",".join(names) or "nobody",
)
@runs
async def test_who_is_asked_for_once_more(missing: tuple[str, ...], asked: list[str]) -> None:
    host = everybody(A, **unknown(*missing))
    async with Lab(zone(1, 1), {A: host}) as lab:
        results = await run(lab, users(3))
    assert [visit.asked for visit in host.visits] == [[f"{name}@d0.example" for name in asked]]
    assert host.visits[0].said_quit
    assert reasons(results) == [MISSING if f"u{n}" in missing else TAKEN for n in range(3)]


@runs
async def test_one_that_was_taken_over_an_earlier_connection_vouches_too() -> None:
    host = everybody(A, **unknown("u2", "u3"))
    async with Lab(zone(1, 1), {A: host}) as lab:
        results = await run(lab, users(4), per_connection=2)
    first, second = [[name.partition("@")[0] for name in visit.asked] for visit in host.visits]
    assert (first, second) == (["u0", "u1"], ["u2", "u3", "u1"])
    assert reasons(results) == [TAKEN, TAKEN, MISSING, MISSING]


@runs
async def test_where_nobody_is_taken_all_are_asked_alone() -> None:
    names = [f"u{n}" for n in range(6)]
    host = everybody(A, **unknown(*names))
    async with Lab(zone(1, 1), {A: host}) as lab:
        results = await run(lab, users(6), per_connection=3)
    asked = [[name.partition("@")[0] for name in visit.asked] for visit in host.visits]
    assert sorted(asked) == [["u0", "u1", "u2"], ["u1"], ["u2"], ["u3"], ["u4"], ["u5"]]
    assert reasons(results) == [MISSING] * 6


@runs
async def test_who_lies_from_the_third_recipient_on_and_has_taken_nobody() -> None:
    host = CountingHost(A, Forgetful("u0", "u1", "u3", knows=2))
    async with Lab(zone(1, 1), {A: host}) as lab:
        results = await run(lab, users(4))
    assert reasons(results) == [MISSING, MISSING, TAKEN, MISSING]


@runs
async def test_a_liar_that_is_found_out_is_not_believed_about_the_next_either() -> None:
    host = CountingHost(A, Forgetful("u0", "u3", "u5", knows=1))
    async with Lab(zone(1, 1), {A: host}) as lab:
        results = await run(lab, users(6), per_connection=3)
    assert reasons(results) == [MISSING, TAKEN, TAKEN, MISSING, TAKEN, MISSING]


@runs
async def test_a_liar_that_takes_nobody_at_first_is_found_out_too() -> None:
    """It greylists whom it knows, so nobody is ever taken."""
    knows = Forgetful("u0", "u3", knows=1)

    def answer(number: int, line: str) -> str | None:
        return knows(number, line) or ("451 4.7.1 Greylisted, try again" if line.startswith("RCPT") else None)

    host = CountingHost(A, answer)
    async with Lab(zone(1, 1), {A: host}) as lab:
        results = await run(lab, users(6), per_connection=3)
    assert reasons(results)[0] == reasons(results)[3] == MISSING
    assert {*reasons(results)[1:3], *reasons(results)[4:]} == {"rcpt.greylisted"}


@runs
async def test_a_harvester_that_has_not_forgotten_us_is_believed_of_nobody_by_the_next_run() -> None:
    known = dict.fromkeys(users(8), spool.OPEN) | {"u0@d0.example": spool.TAKEN}
    host = CountingHost(A, lambda _, line: UNKNOWN if line.startswith("RCPT") else None)
    async with Lab(zone(1, 1), {A: host}) as lab:
        results = await run(lab, users(8), known=known)
    assert reasons(results) == [HELD_BACK] * 7


@runs
async def test_one_whom_an_earlier_run_has_found_vouches_too() -> None:
    host = everybody(A, **unknown("u1", "u2"))
    async with Lab(zone(1, 1), {A: host}) as lab:
        results = await run(lab, users(3), known={"u0@d0.example": spool.TAKEN})
    assert [visit.asked for visit in host.visits] == [["u1@d0.example", "u2@d0.example", "u0@d0.example"]]
    assert reasons(results) == [MISSING, MISSING]


@runs
async def test_so_many_refusals_and_no_more() -> None:
    names = [f"u{n}" for n in range(1, 20)]
    host = everybody(A, **unknown(*names))
    async with Lab(zone(1, 1), {A: host}) as lab:
        await run(lab, users(20))
    longest = max(len(visit.asked) for visit in host.visits)
    assert len(host.visits[0].asked) == longest == 1 + REFUSALS + 1
    assert [visit.asked[-1] for visit in host.visits] == ["u0@d0.example"] * 4
    assert sum(len(visit.asked) for visit in host.visits) == 20 + 4


# --- what stands in the evidence ---------------------------------------------------------------------


@runs
async def test_the_tape_says_so_before_the_farewell_and_names_nobody() -> None:
    host = everybody(A, **unknown("u1", "u2"))
    async with Lab(zone(1, 1), {A: host}) as lab:
        results = await run(lab, users(3))
    for missing in ("u1@d0.example", "u2@d0.example"):
        tape = told(results, missing)
        assert tape[-3:] == [TOLD, "QUIT\r\n", "221 2.0.0 Bye\r\n"]
        assert not [data for data in tape for other in users(3) if other != missing and other in data]
    assert TOLD not in told(results, "u0@d0.example")


# --- hosts that do not stand by what they said -------------------------------------------------------


@pytest.mark.parametrize("missing", [(), ("u8",), ("u0",), ("u3", "u8")], ids=",".join)
@runs
async def test_who_refuses_whoever_comes_after_too_many(missing: tuple[str, ...]) -> None:
    async with Lab(zone(1, 1), {A: CountingHost(A, Forgetful(*missing))}) as lab:
        results = await run(lab, users(9))
    assert reasons(results) == [MISSING if f"u{n}" in missing else TAKEN for n in range(9)]


@runs
async def test_who_takes_nobody_in_a_group_is_not_believed_about_one() -> None:
    """Of the one that does not exist nothing can be said: whom the host takes, it refuses behind him as well."""

    def tell(lines: list[str], _: Visit) -> list[str]:
        unknown_to_it = ["u4"] if len(lines) == 1 else ["u0", "u1", "u2", "u3", "u4"]
        return [usual(line, *unknown_to_it) for line in lines]

    async with Lab(zone(1, 1), {A: Teller(A, tell)}) as lab:
        results = await run(lab, users(5))
    assert reasons(results) == [TAKEN] * 4 + [HELD_BACK]


class Harvested:
    """A host that refuses everybody for some seconds, in the words of an unknown user, once it has met two of these."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._met = 0
        self._since = 0.0

    def __call__(self, _: int, line: str) -> str | None:
        if not line.startswith("RCPT"):
            return None
        if self._met == 2:
            if time.monotonic() - self._since < self._seconds:
                return UNKNOWN
            self._met = 3
        missing = line.startswith(("RCPT TO:<u1@", "RCPT TO:<u2@"))
        if missing and self._met < 2:
            self._met += 1
            self._since = time.monotonic()
        return UNKNOWN if missing else None


@runs
async def test_who_takes_us_for_a_harvester_is_believed_of_nobody() -> None:
    host = CountingHost(A, Harvested(1000.0))
    async with Lab(zone(1, 1), {A: host}) as lab:
        results = await run(lab, users(8))
    assert reasons(results) == [TAKEN] + [HELD_BACK] * 7
    assert results.reports["u7@d0.example"].cause is Cause.INCONCLUSIVE


@runs
async def test_who_is_over_it_when_we_come_back_is_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FIRST, Sign.LATER, 0.6)
    monkeypatch.setitem(LONGEST, Sign.LATER, 0.6)
    host = CountingHost(A, Harvested(0.3))
    async with Lab(zone(1, 1), {A: host}) as lab:
        results = await run(lab, users(8))
    assert reasons(results) == [TAKEN, MISSING, MISSING] + [TAKEN] * 5
    began = sorted(visit.began for visit in host.visits)
    assert began[1] - began[0] >= 0.6


@runs
async def test_a_second_mail_host_does_not_speak_while_the_first_is_held_back() -> None:
    two = "d0.example. 300 MX 10 mx1.example.\nd0.example. 300 MX 20 mx2.example.\n"
    two += f"mx1.example. 300 A {A}\nmx2.example. 300 A 127.0.0.3"
    hosts = {
        A: CountingHost(A, Harvested(1000.0)),
        "127.0.0.3": everybody("127.0.0.3", **unknown("u1", "u2")),
    }
    async with Lab(two, hosts) as lab:
        results = await run(lab, users(5))
    assert reasons(results) == [TAKEN] + [HELD_BACK] * 4
    assert hosts["127.0.0.3"].visits == []


# --- controls that bring no answer -------------------------------------------------------------------


def ending(what: str) -> Callable[[list[str], Visit], list[str]]:
    """Make a host that knows u0 alone, and says `what` to the second question about him."""

    def tell(lines: list[str], visit: Visit) -> list[str]:
        said = []
        for line in lines:
            again = line.startswith("RCPT TO:<u0@") and visit.asked.count("u0@d0.example") > 1
            said.append(what if again else usual(line, "u1", "u2"))
        return [*said, CLOSE] if any(one.startswith("421") for one in said) else said

    return tell


@pytest.mark.parametrize("what", [CLOSE, "421 4.7.0 Enough\r\n", "451 4.3.0 Later\r\n", "250 Ok\r\n"])
@runs
async def test_a_control_without_a_clear_answer_makes_them_be_asked_alone(what: str) -> None:
    host = Teller(A, ending(what))
    async with Lab(zone(1, 1), {A: host}) as lab:
        results = await run(lab, users(3), chosen=settings(lab), limits=Limits(gap=0.0))
    assert reasons(results) == [TAKEN, MISSING, MISSING]
    alone = [visit.asked for visit in host.visits[1:]]
    assert sorted(alone) == ([] if what.startswith("250") else [["u1@d0.example"], ["u2@d0.example"]])


@runs
async def test_a_host_that_hangs_up_after_an_unknown_user_is_believed() -> None:
    def tell(lines: list[str], _: Visit) -> list[str]:
        said = [usual(line, "u1") for line in lines]
        return [*said, CLOSE] if f"{UNKNOWN}\r\n" in said else said

    host = Teller(A, tell)
    async with Lab(zone(1, 1), {A: host}) as lab:
        results = await run(lab, users(3))
    assert reasons(results) == [TAKEN, MISSING, TAKEN]


# --- what an adversary found ---------------------------------------------------------------------------


@pytest.mark.parametrize("what", [CLOSE, "421 4.7.0 Enough\r\n"])
@runs
async def test_a_host_that_cuts_off_the_control_is_not_given_up(what: str) -> None:
    """Honest, and it leaves whoever asks for an unknown user: twelve domains in a row, each [known, unknown]."""

    def tell(lines: list[str], visit: Visit) -> list[str]:
        met = any("<bad" in command for command in visit.commands[: -len(lines)])
        return [what, CLOSE] if met and lines != ["QUIT"] else [usual(line, "bad") for line in lines]

    backup = Teller("127.0.0.3", lambda lines, _: [usual(line, "ok", "bad") for line in lines])
    names = "".join(
        f"d{n}.example. 300 MX 10 mx1.example.\nd{n}.example. 300 MX 20 mx2.example.\n" for n in range(12)
    )
    names += f"mx1.example. 300 A {A}\nmx2.example. 300 A {backup.ip}"
    senders = [f"{local}@d{n}.example" for n in range(12) for local in ("ok", "bad")]
    async with Lab(names, {A: Teller(A, tell), backup.ip: backup}) as lab:
        results = await run(lab, senders)
    for sender in senders:
        assert results.reasons[sender] == (TAKEN if sender.startswith("ok") else MISSING)


@runs
async def test_in_a_domain_of_which_a_doubted_host_has_taken_nobody_nobody_is_missing() -> None:
    host = CountingHost(A, Harvested(1000.0))
    names = f"{zone(1, 1)}\nd1.example. 300 MX 10 mx0.h0.example."
    async with Lab(names, {A: host}) as lab:
        results = await run(lab, [*users(4), *users(3, "d1.example")], concurrency=1)
    d1 = [results.reasons[mailbox] for mailbox in users(3, "d1.example")]
    assert MISSING not in d1


@pytest.mark.parametrize("silence", ["", "451 4.3.0 Later\r\n", "421 4.7.0 Enough\r\n"])
@runs
async def test_where_a_doubted_host_answers_no_control_nobody_is_missing(silence: str) -> None:
    """It refuses whom it has taken, and from then on says nothing clear about him."""
    refused = 0

    def tell(lines: list[str], visit: Visit) -> list[str]:
        nonlocal refused
        said = []
        for line in lines:
            again = line.startswith("RCPT TO:<u1@") and "u2@d0.example" in visit.asked
            refused += again
            said.append(silence if again and refused > 1 else usual(line, "u2", *(["u1"] if again else [])))
        return [*said, CLOSE] if any(one.startswith("421") for one in said) else said

    async with Lab(zone(1, 1), {A: Teller(A, tell)}) as lab:
        results = await run(lab, users(3), chosen=settings(lab, reply_timeout=0.3))
    assert reasons(results) == [TAKEN, TAKEN, HELD_BACK]


@pytest.mark.parametrize("number", [1, 2])
@runs
async def test_who_counts_unknown_users_and_says_so_is_believed(number: int) -> None:
    def answer(connection: int, line: str) -> str | None:
        heard = host.visits[connection - 1].asked
        if line.startswith("RCPT") and sum("<bad" in f"<{mailbox}" for mailbox in heard[:-1]) >= number:
            return "550 5.7.1 Too many invalid recipients"
        return UNKNOWN if line.startswith("RCPT TO:<bad") else None

    host = CountingHost(A, answer)
    senders = [f"{local}{n}@d0.example" for n in range(4) for local in ("ok", "bad")]
    async with Lab(zone(1, 1), {A: host}) as lab:
        results = await run(lab, senders)
    for sender in senders:
        assert results.reasons[sender] == (TAKEN if sender.startswith("ok") else MISSING)


@runs
async def test_one_that_is_unknown_does_not_answer_for_those_before_it() -> None:
    names = [f"u{n}" for n in range(10) if n != 8]
    async with Lab(zone(1, 1), {A: CountingHost(A, Forgetful(*names))}) as lab:
        results = await run(lab, users(10))
    assert reasons(results) == [MISSING] * 8 + [TAKEN, MISSING]


@pytest.mark.parametrize("role", ["postmaster", "Abuse"])
@pytest.mark.parametrize("before", [[], ["a"]], ids=",".join)
@runs
async def test_a_mailbox_that_is_taken_from_everybody_vouches_for_nobody(
    role: str, before: list[str]
) -> None:
    """It takes the role before it looks at anything, and calls everybody unknown behind two unknown users."""
    forgetful = Forgetful("u1", "u2", knows=2 + len(before))
    host = CountingHost(A, lambda number, line: None if f"<{role}@" in line else forgetful(number, line))
    async with Lab(zone(1, 1), {A: host}) as lab:
        senders = [f"{local}@d0.example" for local in (*before, "u1", "u2", role, "u3")]
        results = await run(lab, senders)
    for sender in senders:
        assert results.reasons[sender] == (MISSING if sender[:2] in {"u1", "u2"} else TAKEN)
    roles = [visit.asked.count(f"{role}@d0.example") for visit in host.visits]
    assert sum(roles) == 1


@pytest.mark.parametrize("second", ["450 4.3.0 Later", "421 4.7.0 Enough", "554 5.7.1 No"])
@runs
async def test_who_is_found_out_beside_another_connection_is_not_believed_over_that_one(second: str) -> None:
    """From the second unknown user on it lies to everybody; the third connection is under way when that shows."""
    met = 0

    def answer(_: int, line: str) -> str | None:
        nonlocal met
        if not line.startswith("RCPT"):
            return None
        if line.startswith("RCPT TO:<m"):
            met += 1
        return second if line.startswith("RCPT TO:<t") else UNKNOWN if met >= 2 or "<m" in line else None

    waits = {"RCPT TO:<e2@d0.example>": 0.3, "RCPT TO:<t3@d0.example>": 0.6}
    host = CountingHost(A, answer, delay=lambda number, line: waits.get(line, 0.0) if number == 3 else 0.0)
    senders = [f"{local}@d0.example" for local in ("e0", "e1", "m1", "m2", "e2", "t3")]
    async with Lab(zone(1, 1), {A: host}) as lab:
        results = await run(lab, senders, per_connection=2)
    assert host.visits[2].asked[:2] == ["e2@d0.example", "t3@d0.example"]
    assert MISSING not in results.reasons.values()


@pytest.mark.parametrize("gone", ["u0", "u9"])
@runs
async def test_whom_another_host_took_or_an_earlier_run_does_not_make_a_liar_of_a_host(gone: str) -> None:
    """u0 was taken by the backup while the first host was busy, u9 by an earlier run; the first knows neither."""
    two = "d0.example. 300 MX 10 mx1.example.\nd0.example. 300 MX 20 mx2.example.\n"
    two += f"mx1.example. 300 A {A}\nmx2.example. 300 A 127.0.0.3\nd1.example. 300 MX 10 mx1.example."
    busy = "451 4.3.0 Busy" if gone == "u0" else None

    def answer(number: int, line: str) -> str | None:
        if not line.startswith("RCPT"):
            return None
        return busy if number == 1 and busy else UNKNOWN

    hosts = {A: CountingHost(A, answer), "127.0.0.3": everybody("127.0.0.3")}
    known = {"u9@d0.example": spool.TAKEN} if gone == "u9" else {}
    senders = [*users(4), "u9@d0.example", "x@d1.example"]
    async with Lab(two, hosts) as lab:
        results = await run(lab, senders, known=known, per_connection=3, concurrency=1)
    wanted = MISSING if gone == "u0" else HELD_BACK
    assert {results.reasons[f"u{n}@d0.example"] for n in range(1, 4)} == {wanted}
    assert results.reasons["x@d1.example"] == MISSING


@runs
async def test_a_refusal_in_clear_words_counts_although_the_host_hangs_up_behind_it() -> None:
    """Six 421 in a row, and the host is given up; its backup takes everybody, and is not asked."""
    two = "d0.example. 300 MX 10 mx1.example.\nd0.example. 300 MX 20 mx2.example.\n"
    two += f"mx1.example. 300 A {A}\nmx2.example. 300 A 127.0.0.3"

    def tell(lines: list[str], _: Visit) -> list[str]:
        for number, line in enumerate(lines):
            if line.startswith("RCPT TO:<u"):
                return [*map(usual, lines[:number]), f"{UNKNOWN}\r\n421 4.7.0 Bye\r\n", CLOSE]
        return list(map(usual, lines))

    backup = everybody("127.0.0.3")
    async with Lab(two, {A: Teller(A, tell), backup.ip: backup}) as lab:
        results = await run(lab, ["known@d0.example", *users(8)])
    assert set(reasons(results)) == {TAKEN, MISSING, HELD_BACK}
    assert reasons(results)[:5] == [TAKEN] + [MISSING] * 4
    assert backup.visits == []
