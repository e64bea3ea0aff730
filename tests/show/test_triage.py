"""What `log` found, as a page, as Markdown and as CSV."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from probe.core.classify import TOOL
from probe.core.log.line import parse
from probe.core.log.report import Group, LogReport, Now
from probe.core.log.triage import Triage
from probe.core.model import Cause, MtaOutcome
from probe.show import triage as view
from tests.support import make

STORY = Path(__file__).parents[2] / "fixtures" / "logs" / "story.log"
PAGE = """\
1 group of failing senders: 3 lines read, 3 about sender verification,
2008-11-17 15:02:27

administrator@customer.example.com: firewall-timeout (probable), connect.timeout
  The mail server could not connect to customer.example.com [163.112.75.15]:
  timed out.
  Relay     67.26.151.59 relay1.example.com is the IP that an exemption would
            name, and not 163.112.75.15, the mail host that was called
  Effect    deferred (451), not rejected: 1 try for 1 message to
            raam@mydomain.com at 2008-11-17 15:02:27; 1 transaction ended
            without a message
  Fate      not known: the log ends with the last try
"""


@pytest.fixture(scope="module")
def report() -> LogReport:
    triage = Triage()
    for line in STORY.read_text().splitlines():
        event = parse(line)
        assert event is not None
        triage.add(event)
    return triage.report(lines=3, not_understood=0, samples=(), limit=None, tool=TOOL)


def changed(whole: LogReport, /, **fields: object) -> LogReport:
    return replace(whole, groups=(replace(whole.groups[0], **fields),))


def test_the_story(report: LogReport) -> None:
    page = view.render(report)
    assert page.startswith(PAGE)
    assert page.endswith(
        "  Next      probe-sender administrator@customer.example.com\n"
        "            probe-sender preflight 67.26.151.59 administrator@customer.example.com\n"
    )


@pytest.mark.parametrize("width", [60, 80, 100])
def test_no_line_is_wider_than_the_page_but_a_command(report: LogReport, width: int) -> None:
    for line in view.render(report, verbose=True, width=width).splitlines():
        assert len(line) <= width or "probe-sender " in line


def test_verbose_quotes_the_log(report: LogReport) -> None:
    page = view.render(report, verbose=True)
    assert "Log says  could not connect to" in page
    assert "Shows     " in page


def test_colour_changes_nothing_else(report: LogReport) -> None:
    page = view.render(report, color=True)
    assert "\x1b[1m" in page
    for sequence in ("\x1b[1m", "\x1b[2m", "\x1b[0m"):
        page = page.replace(sequence, "")
    assert page == view.render(report)


def test_what_is_missing_needs_no_exemption(report: LogReport) -> None:
    assert "preflight" not in view.render(changed(report, cause=Cause.MISSING_SENDER))
    assert "preflight" not in view.render(changed(report, relay_ip=None))


def test_a_line_that_names_nobody(report: LogReport) -> None:
    page = view.render(changed(report, sender=None, domain=None, relay_ip=None))
    assert "a sender that the lines do not name" in page
    assert "the IP in brackets" in page


def test_a_rejection(report: LogReport) -> None:
    assert "rejected (550): 1 try" in view.render(changed(report, outcome=MtaOutcome.REJECT))


def test_many_senders_and_recipients(report: LogReport) -> None:
    names = tuple(f"{number}@local.example" for number in range(20))
    page = view.render(changed(report, recipients=names, more_recipients=5, count=25, messages=25), width=100)
    assert (
        "25 tries for 25 messages to 0@local.example, 1@local.example, 2@local.example and 17 or more others"
        in " ".join(page.split())
    )


@pytest.mark.parametrize(("number", "others"), [(4, "1 other"), (5, "2 others")])
def test_how_many_others(report: LogReport, number: int, others: str) -> None:
    names = tuple(f"{n}@local.example" for n in range(number))
    page = view.render(changed(report, recipients=names), width=100)
    assert f"2@local.example and {others} " in " ".join(page.split())


def test_what_the_probe_says_now(report: LogReport) -> None:
    page = view.render(changed(report, report=make.report(cause=Cause.SENDER_EXISTS), now=Now.FIXED))
    assert "probe-sender preflight" not in page
    assert "Now       fixed since: sender-exists" in page


def test_what_was_left_out(report: LogReport) -> None:
    more = replace(report, failing=4, not_understood=2, samples=("one\x1b", "two"), notes=("a note",))
    page = view.render(more, verbose=True)
    assert page.endswith(
        "3 more groups with --limit 4\na note\n2 lines about sender verification in no form that is known\n"
        "  one\\x1b\n  two\n"
    )
    assert "-v shows some" in view.render(more)
    assert "```text\none\\x1b\ntwo\n```" in view.markdown(more, verbose=True)


def test_csv_has_a_field_for_each_column(report: LogReport) -> None:
    rows = list(csv.DictReader(io.StringIO(view.header() + view.row(report.groups[0]))))
    assert len(rows) == 1
    assert tuple(rows[0]) == view.COLUMNS
    assert (rows[0]["relay_ip"], rows[0]["outcome"], rows[0]["unknown"]) == ("67.26.151.59", "defer", "1")


HOSTILE = st.text(st.characters(codec="utf-8"), max_size=30) | st.sampled_from(
    [
        "\x1b[2J",
        "=cmd|' /C calc'!A0",
        "a\r\nb",
        "\u202egpj.exe",
        "`x` [y](http://z) @name #1",
        "$(reboot)@x",
        "-x@y",
    ]
)


@given(st.data())
def test_nothing_of_a_peer_is_obeyed(report: LogReport, data: st.DataObject) -> None:
    text = {
        name: data.draw(HOSTILE)
        for name in (
            "sender",
            "domain",
            "relay_name",
            "helo",
            "called_host",
            "said",
            "says",
            "proves",
            "leaves_open",
        )
    }
    hostile = changed(report, **text, recipients=(data.draw(HOSTILE),), first=data.draw(HOSTILE))
    group: Group = hostile.groups[0]
    for shown in (
        view.render(hostile, verbose=True),
        view.group(group),
        view.markdown(hostile, verbose=True),
        view.row(group),
    ):
        assert all(char.isprintable() or char == "\n" for char in shown)
    assert view.row(group).count("\n") == 1
    assert not next(csv.reader(io.StringIO(view.row(group))))[0].startswith(("=", "+", "-", "@"))


def test_a_sender_with_a_hyphen_is_no_option_of_preflight_either(report: LogReport) -> None:
    told = view.commands(changed(report, sender="-v@x.example").groups[0])
    assert told[1] == "probe-sender preflight -- 67.26.151.59 -v@x.example"


@pytest.mark.parametrize(
    ("sender", "command"),
    [
        ("$(reboot)@x.example", "probe-sender '$(reboot)@x.example'"),
        ("-v@x.example", "probe-sender -- -v@x.example"),
        ('"a b"@x.example', "probe-sender '\"a b\"@x.example'"),
    ],
)
def test_a_command_can_be_copied_into_a_shell(report: LogReport, sender: str, command: str) -> None:
    assert view.commands(changed(report, sender=sender).groups[0])[0] == command
