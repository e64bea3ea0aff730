"""The spool: each waiting address is given out once, whatever happens in between."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.core.tally import Trouble
from probe.net.spool import FINAL, OPEN, TAKEN, Counts, Entry, Spool, SpoolError, Waiting

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def spool() -> Iterator[Spool]:
    made = Spool()
    yield made
    made.close()


def waiting(address: str, given_as: str | None = None) -> Waiting:
    return Waiting(given_as or address, address, address.rpartition("@")[2])


def rows(*addresses: str) -> list[Waiting]:
    return [waiting(address) for address in addresses]


def taken(spool: Spool, domain: str, limit: int = 50) -> list[str]:
    return [entry.mailbox for entry in spool.addresses(domain, limit)]


def test_domains_come_in_the_order_of_their_first_address_and_once(spool: Spool) -> None:
    spool.add(rows("1@b.example", "2@a.example", "3@b.example"))
    assert spool.domains(1) == ["b.example"]
    assert spool.domains(9) == ["a.example"]
    assert spool.domains(9) == []


def test_addresses_come_in_the_order_given_as_they_were_given(spool: Spool) -> None:
    spool.add([waiting("1@a.example", "Name <1@a.example>"), waiting("2@b.example"), waiting("3@a.example")])
    assert spool.addresses("a.example", 1) == [Entry("Name <1@a.example>", "1@a.example", "a.example", 1)]
    assert spool.addresses("a.example", 9) == [Entry("3@a.example", "3@a.example", "a.example", 3)]
    assert spool.addresses("a.example", 9) == []
    assert spool.addresses("unheard-of.example", 9) == []


def test_duplicates_are_counted_and_local_parts_keep_their_case(spool: Spool) -> None:
    assert spool.add(rows("a@a.example", "A@a.example", "a@a.example")) == 2
    assert spool.add([waiting("a@a.example", "<a@a.example>")]) == 0
    assert spool.counts() == Counts(distinct=2, duplicates=2, known=0, waiting=2)


def test_a_domain_that_gets_more_while_it_is_out_stays_out_until_it_is_idle(spool: Spool) -> None:
    spool.add(rows("1@a.example"))
    assert spool.domains(9) == ["a.example"]
    spool.add(rows("2@a.example"))
    assert spool.domains(9) == []
    assert taken(spool, "a.example") == ["1@a.example", "2@a.example"]
    assert taken(spool, "a.example") == []  # idle from here on
    spool.add(rows("3@a.example"))
    assert spool.domains(9) == ["a.example"]


def test_what_is_added_after_the_last_was_taken_is_found_by_who_has_the_domain(spool: Spool) -> None:
    spool.add(rows("1@a.example"))
    assert spool.domains(9) == ["a.example"]
    assert taken(spool, "a.example") == ["1@a.example"]
    spool.add(rows("2@a.example"))
    assert spool.domains(9) == []  # it is out
    assert taken(spool, "a.example") == ["2@a.example"]
    assert taken(spool, "a.example") == []


def test_what_is_given_back_waits_in_its_old_place(spool: Spool) -> None:
    spool.add(rows("1@a.example", "2@a.example", "3@a.example"))
    spool.domains(1)
    first = spool.addresses("a.example", 2)
    spool.give_back(first)
    assert spool.counts().waiting == 3
    assert taken(spool, "a.example") == ["1@a.example", "2@a.example", "3@a.example"]
    assert taken(spool, "a.example") == []
    spool.give_back(first[1:])
    assert spool.domains(9) == ["a.example"]


def test_a_parked_domain_is_given_out_again_for_its_provider_only(spool: Spool) -> None:
    spool.add(rows("1@a.example", "2@b.example", "3@c.example"))
    spool.domains(9)
    for domain, provider in (
        ("a.example", "big.example"),
        ("c.example", "big.example"),
        ("b.example", "x.example"),
    ):
        spool.park(domain, provider)
    assert spool.domains(9) == []
    assert spool.parked("big.example", 1) == ["a.example"]
    spool.add(rows("4@a.example", "5@c.example"))
    assert spool.domains(9) == []  # one is out, the other still parked
    assert spool.parked("big.example", 9) == ["c.example"]
    assert spool.parked("big.example", 9) == []


def test_what_is_known_is_not_asked_whatever_it_is_spelt_like(spool: Spool) -> None:
    spool.know([("1@a.example", FINAL), ("elsewhere@a.example", FINAL)])
    assert (
        spool.add([waiting("1@a.example"), waiting("1@a.example", "<1@a.example>"), waiting("2@a.example")])
        == 1
    )
    assert spool.counts() == Counts(distinct=2, duplicates=1, known=1, waiting=1)
    assert [entry.position for entry in spool.addresses("a.example", 9)] == [1]


def test_what_is_known_may_be_told_by_another_key() -> None:
    spool = Spool(lambda row: row.given.upper())
    spool.know([("<1@A.EXAMPLE>", FINAL)])
    assert (
        spool.add([waiting("1@a.example", "<1@a.example>"), waiting("1@a.example"), waiting("2@a.example")])
        == 1
    )
    assert spool.counts() == Counts(distinct=2, duplicates=1, known=1, waiting=1)


def test_lines_are_released_without_a_gap_and_drained_with_one(spool: Spool) -> None:
    for position in (5, 3, 2, 7):
        spool.hold(position, b"%d" % position)
    assert spool.release(1) == []
    assert spool.release(2, 1) == [b"2"]
    assert spool.release(3) == [b"3"]
    assert spool.drain(1) == [b"5"]
    assert spool.drain() == [b"7"]
    assert spool.drain() == []


def test_the_worst_domains_with_what_most_of_them_have(spool: Spool) -> None:
    for domain, cause in (("a.example", "x"), ("b.example", "y"), ("b.example", "z"), ("b.example", "z")):
        spool.fail(domain, cause)
    assert spool.worst(9) == [Trouble("b.example", 3, "z"), Trouble("a.example", 1, "x")]
    assert spool.worst(1) == [Trouble("b.example", 3, "z")]


def test_a_full_disk_is_one_line_with_the_mend(spool: Spool) -> None:
    (pages,) = spool._db.execute("PRAGMA page_count").fetchone()
    spool._db.execute(f"PRAGMA max_page_count={pages}")  # as a disk that is full
    many = rows(*(f"{number}@a.example" for number in range(10000)))
    with pytest.raises(SpoolError, match=r"full; .* TMPDIR=") as caught:
        spool.add(many)
    assert "\n" not in str(caught.value)
    assert not isinstance(caught.value.__cause__, sqlite3.Error)


_DOMAINS = st.sampled_from(["a.example", "b.example", "c.example"])
_STEPS = st.one_of(
    st.tuples(st.just("add"), _DOMAINS, st.integers(0, 8)),
    st.tuples(st.just("take"), _DOMAINS, st.integers(1, 3)),
    st.tuples(st.just("back"), _DOMAINS, st.integers(1, 3)),
    st.tuples(st.just("park"), _DOMAINS, st.integers(1, 2)),
)


@given(st.lists(_STEPS, max_size=40))
def test_whatever_happens_each_address_is_asked_once(steps: list[tuple[str, str, int]]) -> None:
    spool = Spool()
    added: set[str] = set()
    asked: list[str] = []
    out: set[str] = set()
    for what, domain, number in steps:
        if what == "add":
            new = [f"{at}@{domain}" for at in range(number)]
            assert spool.add(rows(*new)) == len(set(new) - added)
            added.update(new)
        elif what == "park":
            for name in sorted(out)[:number]:
                spool.park(name, "provider.example")
                out.discard(name)
        else:
            out.update(spool.domains(1))
            if domain in out:
                entries = spool.addresses(domain, number)
                if what == "take":
                    asked += [entry.mailbox for entry in entries]
                else:
                    spool.give_back(entries)
                if not entries:
                    out.discard(domain)
    while True:
        out.update([*spool.domains(9), *spool.parked("provider.example", 9)])
        if not out:
            break
        name = out.pop()
        while entries := spool.addresses(name, 2):
            asked += [entry.mailbox for entry in entries]
    assert sorted(asked) == sorted(added)
    assert spool.counts().waiting == 0
    spool.close()


def test_who_has_no_final_answer_is_asked_again_unless_one_follows(spool: Spool) -> None:
    spool.know([("1@a.example", OPEN), ("2@a.example", OPEN), ("2@a.example", FINAL)])
    assert not spool.is_asked_again(waiting("2@a.example"))
    assert not spool.is_asked_again(waiting("3@a.example"))
    assert spool.is_asked_again(waiting("1@a.example"))
    assert spool.add([waiting("1@a.example"), waiting("2@a.example")]) == 1
    assert [entry.mailbox for entry in spool.addresses("a.example", 9)] == ["1@a.example"]


def test_one_that_an_earlier_run_took_is_known_by_its_domain() -> None:
    spool = Spool()
    assert spool.taken("a.example") is None
    spool.know(
        [("1@a.example", FINAL), ("2@a.example", TAKEN), ("\u00fc@b.example", TAKEN), ("3@c.example", OPEN)]
    )
    rows = ("1@a.example", "2@a.example", "\u00fc@b.example", "3@c.example")
    assert spool.add([Waiting(row, row, row.partition("@")[2]) for row in rows]) == 1
    assert [spool.taken(f"{name}.example") for name in "abcd"] == ["2@a.example", None, None, None]
    spool.close()
