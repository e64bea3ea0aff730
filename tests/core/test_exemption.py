"""The ways to exempt: their order, that each can be undone by the command it names, and the comment on a line."""

from __future__ import annotations

import subprocess
from ipaddress import ip_address
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.core.exemption import Remark, comment, exemptions, general_cures, key_of, line_of, read_comment
from probe.core.exemption.iplist import parse
from probe.core.exemption.ways import WAYS, Style

if TYPE_CHECKING:
    from pathlib import Path

    from probe.core.exemption.relay import Exemption
    from probe.core.scope import IP

V4, V6 = ip_address("192.0.2.59"), ip_address("2001:db8::59")
DOMAIN, UNTIL = "customer.example.com", "2027-02-20"


def ways(ip: IP = V4, domain: str = DOMAIN) -> tuple[Exemption, ...]:
    return exemptions(ip, domain, UNTIL, everybody=True, deferred=("exim", "postfix"))


def test_the_narrowest_comes_first_and_what_is_for_everybody_last() -> None:
    assert [way.mta for way in ways()] == [
        "exim", "cpanel", "exim", "postfix", "debian-exim4", "debian-exim4", "exim", "postfix",
    ]  # fmt: skip
    assert all(way.review_after == UNTIL for way in ways())
    assert [way.line for way in ways()][:4] == [
        "192.0.2.59: customer.example.com", "192.0.2.59", "192.0.2.59", "192.0.2.59 OK",
    ]  # fmt: skip


def test_a_colon_ends_the_key_of_iplsearch_unless_it_is_quoted() -> None:
    lines = [way.line for way in ways(V6)]
    assert lines[:4] == [
        '"2001:db8::59": customer.example.com',
        '"2001:db8::59"',
        '"2001:db8::59"',
        "2001:db8::59 OK",
    ]
    assert lines[5] == "2001:db8::59"  # a host list in a file has no such rule


def test_an_address_literal_is_in_no_list_of_domains() -> None:
    assert not [way for way in ways(domain="[203.0.113.15]") if "[203.0.113.15]" in way.line]


def test_deferrals_are_let_pass_only_where_there_are_some() -> None:
    assert not [
        way for way in exemptions(V4, DOMAIN, UNTIL, everybody=True, deferred=()) if "defer" in way.line
    ]
    assert [way.mta for way in general_cures(V4, DOMAIN, UNTIL, ("exim",))] == ["exim"]
    assert all(not way.everybody for way in WAYS if way.cures_deferrals)


@pytest.mark.parametrize("ip", [V4, V6])
@pytest.mark.parametrize("number", range(6))
def test_every_line_is_undone_by_its_command(ip: IP, number: int, tmp_path: Path) -> None:
    way = ways(ip)[number]
    file = tmp_path / "list with spaces"
    kept = '192.0.2.5\n192.0.2.590\n1920.2.59\n"2001:db8::5"\n# 192.0.2.59 is theirs\n192.0.2.60: a.example\n'
    said = comment(Remark(key=way.line.split(": ")[0].split(" ")[0], sender="a@b.example", until=UNTIL))
    file.write_text(f"{kept}{said}\n{way.line}\n")
    undo = way.undo.partition(" && ")[0].replace(way.file, f"'{file}'")
    subprocess.run(["sh", "-c", undo], check=True)
    # The way of Debian that names no relay has no comment to take along.
    assert file.read_text() == (kept if str(ip) in way.line else f"{kept}{said}\n")


@pytest.mark.parametrize("style", Style)
@pytest.mark.parametrize("ip", [V4, V6])
def test_what_is_written_is_read_back(ip: IP, style: Style) -> None:
    said = Remark(
        key=key_of(ip, style),
        sender='"a > b"@example.com',
        by="joe",
        added="2026-11-22",
        until=UNTIL,
        why="x",
    )
    (entry,) = parse(f"{comment(said)}\n{line_of(ip, DOMAIN, style)}\n")
    assert entry.network is not None
    assert entry.network.network_address == ip
    assert entry.remark == said


words = st.text(
    st.characters(exclude_categories=["C", "Z"], exclude_characters="<>\"'\\="), min_size=1, max_size=20
)


@given(words, words, st.text(st.characters(exclude_categories=["C", "Zl", "Zp"]), max_size=60))
def test_a_remark_comes_back(local: str, by: str, why: str) -> None:
    said = Remark(
        key="192.0.2.59",
        sender=f"{local}@example.com",
        by=by,
        added="2026-11-22",
        until=UNTIL,
        why=why.strip() or None,
    )
    assert read_comment(comment(said)) == said


@given(st.text(max_size=300))
def test_no_comment_raises(text: str) -> None:
    read_comment(text)
    read_comment(f"# probe-sender {text}")


def test_what_a_person_wrote_counts_too() -> None:
    assert read_comment("## until=2026-12-31 for sender=<bob@example.com>") == Remark(
        sender="bob@example.com", until="2026-12-31"
    )
    assert read_comment("# ask joe") is None
    forged = Remark(
        key="192.0.2.1", sender='"a why=x until=2099-12-31 by=eve"@d.example', by="joe", until="2027-02-20"
    )
    assert read_comment(comment(forged)) == forged
    assert read_comment("# until=soon") is None
