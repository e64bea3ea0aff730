"""The picture of the path against pictures that were drawn by hand."""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import dedent, indent

import pytest
from msgspec.structs import replace

from probe.core.model import Answer, Canary, CanaryOutcome, Hop, Network, Report
from probe.core.reasons import REASONS
from probe.show import markdown, path, text
from tests.show import samples
from tests.support import make

ROOT = Path(__file__).parents[2]
PASSED = Answer.TIME_EXCEEDED
LONG = "2001:db8:1234:5678:9abc:def0:1234:567{}"


def drawn(*hops: Hop, ends: str | None = None, width: int = 66) -> str:
    return "\n".join(path.picture(make.network(*hops, ends=ends), 25, width=width))


def picture(expected: str) -> str:
    return dedent(expected).strip("\n")


def reported(*reasons: str, network: Network | None = None, verbose: bool = False) -> str:
    network = make.network() if network is None else network
    hosts = [
        make.host_report(f"mx{number}.customer.example.com", reason=reason, network=network)
        for number, reason in enumerate(reasons, 1)
    ]
    return text.render(make.report(*hosts, reason=reasons[0]), verbose=verbose)


# --- the picture -----------------------------------------------------------------------------------


def test_a_filter_on_the_way() -> None:
    page = text.render(samples.filtered())
    assert page == dedent("""\
        administrator@customer.example.com: firewall-timeout (probable)
          Port 25 of mx1.customer.example.com [203.0.113.15] is filtered between hop 2
          (198.51.100.1) and hop 3 (198.51.100.9).
          Why         Hop 3 answers UDP, and stays silent for port 25.
          Whose move  the path (a firewall or a network between us and them)
          Notes       Called to compare: mx.example.net [198.51.100.25] answered on port
                      25 after 30 ms.
          Path        to mx1.customer.example.com [203.0.113.15]
                      hop  router        port 25    udp
                        1  192.0.2.1     0.3 ms     0.3 ms
                        2  198.51.100.1  8 ms       8 ms
                        3  198.51.100.9  no answer  9 ms
                        4  203.0.113.15  no answer  10 ms
                      ends: between hop 2 (198.51.100.1) and hop 3 (198.51.100.9)
          took 3.5 s; more: probe-sender explain connect.port-filtered
    """)


def test_the_page_about_the_network_shows_this_picture() -> None:
    page = (ROOT / "docs" / "network.md").read_text()
    (_, network), *_ = path.shown(samples.filtered())
    assert indent("\n".join(path.picture(network, 25, width=66)), " " * 14) in page


def test_the_page_about_the_network_names_reasons_that_exist() -> None:
    named = re.findall(r"`((?:connect|banner|reply)\.[a-z-]+)`", (ROOT / "docs" / "network.md").read_text())
    assert named
    assert set(named) <= set(REASONS)


def test_neighbours_with_the_same_silence_share_a_line() -> None:
    assert drawn(
        make.hop(1, "192.0.2.1", PASSED, PASSED),
        make.hop(2),
        make.hop(3),
        make.hop(4),
        make.hop(5, None, None, None),
        make.hop(6, None, None, None),
        make.hop(7),
        make.hop(9),
        make.hop(10, "203.0.113.15", Answer.SILENT, Answer.PORT_UNREACHABLE),
    ) == picture("""
         hop  router        port 25    udp
           1  192.0.2.1     8 ms       8 ms
         2-4  ?             no answer  no answer
         5-6  ?             -          -
           7  ?             no answer  no answer
           9  ?             no answer  no answer
          10  203.0.113.15  no answer  8 ms
    """)


def test_a_hop_with_a_name_is_never_hidden_in_a_range() -> None:
    page = drawn(make.hop(1), make.hop(2, "198.51.100.1"), make.hop(3))
    assert "198.51.100.1  no answer" in page
    assert "1-" not in page


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Answer.CONNECTED, "connected"),
        (Answer.RESET, "refused"),
        (Answer.PROHIBITED, "prohibited"),
        (Answer.HOST_UNREACHABLE, "host unreachable"),
        (Answer.PORT_UNREACHABLE, "port unreachable"),
        (Answer.LOCAL, "not sent"),
        (Answer.SILENT, "no answer"),
        (PASSED, "8 ms"),
        (None, "-"),
    ],
)
def test_an_answer_of_the_port_is_named_unless_it_only_says_how_far(answer: Answer | None, said: str) -> None:
    _, (_, _, on_port, _) = path.table(make.network(make.hop(4, "203.0.113.15", answer, PASSED)), 25)
    assert on_port == said


@pytest.mark.parametrize(
    ("control", "answer", "said"),
    [
        ("udp", Answer.PORT_UNREACHABLE, "8 ms"),
        ("icmp", Answer.ECHO, "8 ms"),
        ("tcp/443", Answer.CONNECTED, "connected"),
        ("tcp/443", Answer.PORT_UNREACHABLE, "port unreachable"),
        ("udp", Answer.PROHIBITED, "prohibited"),
    ],
)
def test_the_end_of_a_trace_is_a_time_and_a_refusal_a_word(control: str, answer: Answer, said: str) -> None:
    _, row = path.table(make.network(make.hop(4, None, None, answer, control=control)), 25)
    assert row.control == said


def test_the_commonest_control_is_the_title_and_another_is_named_beside_its_answer() -> None:
    assert drawn(
        make.hop(2, "198.51.100.1", PASSED, PASSED),
        make.hop(3, "198.51.100.9", Answer.SILENT, PASSED),
        make.hop(4, "203.0.113.15", Answer.SILENT, Answer.CONNECTED, control="tcp/443"),
    ) == picture("""
        hop  router        port 25    udp
          2  198.51.100.1  8 ms       8 ms
          3  198.51.100.9  no answer  8 ms
          4  203.0.113.15  no answer  connected (port 443)
    """)


def test_without_any_control_there_is_still_its_column() -> None:
    assert drawn(make.hop(1, "192.0.2.1", Answer.PROHIBITED, None)) == picture("""
        hop  router     port 25     control
          1  192.0.2.1  prohibited  -
    """)


def test_a_long_ipv6_path_stays_within_the_width() -> None:
    assert drawn(
        make.hop(2, LONG.format(1), PASSED, PASSED),
        make.hop(3, LONG.format(2), Answer.HOST_UNREACHABLE, Answer.HOST_UNREACHABLE),
        ends=f"at hop 3 ({LONG.format(2)})",
    ) == picture("""
        hop  router                               port 25      udp
          2  2001:db8:1234:5678:9abc:def0:1234:5  8 ms         8 ms
             671
          3  2001:db8:1234:5678:9abc:def0:1234:5  host         host
             672                                  unreachable  unreachable
        ends: at hop 3 (2001:db8:1234:5678:9abc:def0:1234:5672)
    """)


def test_answers_give_way_before_addresses_do() -> None:
    page = drawn(
        make.hop(3, "2001:db8::1:2:3:4:5:6", Answer.HOST_UNREACHABLE, Answer.NET_UNREACHABLE), width=55
    )
    assert "  3  2001:db8::1:2:3:4:5:6  host         net\n" in page


# --- which of them, and what is said beside --------------------------------------------------------


@pytest.mark.parametrize(
    ("reason", "is_shown"),
    [
        ("connect.port-filtered", True),
        ("connect.refused", True),
        ("banner.timeout", True),
        ("banner.path-dead", True),
        ("reply.pmtu-blackhole", True),
        ("connect.intercepted", True),
        ("helo.timeout", False),
        ("rcpt.user-unknown", False),
    ],
)
def test_the_short_form_shows_the_path_where_the_verdict_is_about_it(reason: str, is_shown: bool) -> None:
    assert ("  Path  " in reported(reason)) is is_shown
    assert "  Path  " in reported(reason, verbose=True)


def test_without_hops_there_is_no_picture() -> None:
    nothing = replace(make.network(), hops=())
    assert "  Path  " not in reported("connect.timeout", network=nothing, verbose=True)


def test_the_short_form_draws_two_and_counts_the_rest() -> None:
    reasons = ("connect.port-filtered",) * 3 + ("rcpt.accepted",)
    short, long = reported(*reasons), reported(*reasons, verbose=True)
    assert short.count("  Path  ") == 2
    assert "; 1 more path with -v; " in short
    assert long.count("  Path  ") == 4


def test_the_pictures_follow_the_table_of_hosts() -> None:
    page = reported("connect.port-filtered", "rcpt.accepted")
    assert page.index("  Pref  ") < page.index("  Path        to mx1.customer.example.com [203.0.113.15]\n")


def noted(network: Network, *, verbose: bool = False) -> list[str]:
    report = make.report(
        make.host_report(reason="connect.timeout", network=network),
        make.host_report(reason="connect.timeout", network=network),
    )
    return path.remarks(report, verbose=verbose)


def test_what_this_system_cannot_tell_is_said_once() -> None:
    network = make.network(lacking=("icmp-errors", "ping", "carrier-pigeon"))
    (said,) = noted(network)
    assert said.startswith("This system does not report ICMP errors to unprivileged programs")
    assert noted(network, verbose=True)[0] == said
    assert noted(network, verbose=True)[2] == "This system does not tell: carrier-pigeon."


@pytest.mark.parametrize(
    ("canary", "said"),
    [
        (
            make.canary(banner="220 mx.example.net ESMTP\n220 more"),
            (
                "Called to compare: mx.example.net [198.51.100.25] answered on port 25 after 30 ms"
                " (220 mx.example.net ESMTP)."
            ),
        ),
        (
            make.canary(CanaryOutcome.SILENT, ended=3.4),
            "Called to compare: mx.example.net [198.51.100.25] did not answer on port 25 within 2.4 s.",
        ),
        (
            make.canary(CanaryOutcome.REFUSED, detail="ECONNREFUSED"),
            "Called to compare: mx.example.net [198.51.100.25] refused port 25 (ECONNREFUSED).",
        ),
        (
            make.canary(CanaryOutcome.UNTESTED, name="", ip=None, detail="there is no canary to call"),
            "No other mail host could be called to compare: there is no canary to call.",
        ),
    ],
)
def test_the_call_to_another_mail_host_is_one_sentence(canary: Canary, said: str) -> None:
    report = make.report(observed=replace(make.evidence(), canary=canary))
    assert path.remarks(report) == [said]
    assert " ".join(said.split()[:3]) in text.render(report)


# --- Markdown --------------------------------------------------------------------------------------


def test_a_ticket_has_the_path_as_a_table_under_the_hosts() -> None:
    page = markdown.render(samples.filtered())
    assert page[page.index("### Path") : page.index("### Transcript")] == dedent("""\
        ### Path to `mx1.customer.example.com [203.0.113.15]`

        |   hop | router       | port 25   | udp    |
        |------:|:-------------|:----------|:-------|
        |     1 | 192.0.2.1    | 0.3 ms    | 0.3 ms |
        |     2 | 198.51.100.1 | 8 ms      | 8 ms   |
        |     3 | 198.51.100.9 | no answer | 9 ms   |
        |     4 | 203.0.113.15 | no answer | 10 ms  |

        ends: between hop 2 (198.51.100.1) and hop 3 (198.51.100.9)

    """)


# --- size ------------------------------------------------------------------------------------------


def eight_dead_hosts() -> Report:
    """Make a report of eight hosts with forty packets each, as when all of a domain is filtered."""
    probes = tuple(make.path_probe(ttl, sent=1.0 + ttl / 1000) for ttl in range(1, 41))
    network = make.network(
        make.hop(1, "192.0.2.1", PASSED, PASSED),
        *(make.hop(number) for number in range(2, 30)),
        make.hop(30, "203.0.113.15", Answer.SILENT, Answer.PORT_UNREACHABLE),
    )
    hosts = [
        make.host_report(f"mx{number}.customer.example.com", reason="connect.port-filtered", network=network)
        for number in range(8)
    ]
    return make.report(
        *hosts,
        reason="connect.port-filtered",
        observed=make.evidence(*[make.host(make.session(), probes=probes) for _ in hosts]),
    )


def test_a_report_of_many_dead_hosts_stays_readable() -> None:
    report = eight_dead_hosts()
    assert len(text.render(report).splitlines()) < 50
    page = text.render(report, verbose=True)
    assert len(page.splitlines()) < 8 * 50 + 80
    assert indent("2-29  ?             no answer  no answer\n", " " * 14) in page
