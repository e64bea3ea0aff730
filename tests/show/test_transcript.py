"""The transcript against lines written by hand."""

from __future__ import annotations

from msgspec.structs import replace

from probe.core.model import (
    Answer,
    ConnectOutcome,
    Direction,
    Evidence,
    ExchangeOutcome,
    Notice,
    NoticeOrigin,
    Oddity,
    Protocol,
    Session,
    Skip,
    Stage,
    Tape,
    Tls,
)
from probe.show import transcript
from tests.support import make


def talk(session: Session, width: int = 80) -> list[str]:
    ((_, lines),) = transcript.sessions(make.evidence(make.host(session)), width=width)
    return lines


def look_up(evidence: Evidence, width: int = 80) -> list[str]:
    return transcript.lookups(evidence, width=width)


def test_a_refused_connection_names_the_errno() -> None:
    refused = make.connect(ConnectOutcome.REFUSED, errno=111, errno_name="ECONNREFUSED")
    assert talk(make.session(connected=refused)) == [
        "   0.060    +0.020   = connection refused (ECONNREFUSED)",
    ]


def test_the_router_that_refused_is_named_before_the_outcome() -> None:
    notice = Notice(t=0.05, origin=NoticeOrigin.ICMP, type=3, code=13, sender="198.51.100.1")
    prohibited = make.connect(ConnectOutcome.PROHIBITED, errno=113, errno_name="EHOSTUNREACH")
    assert talk(make.session(connected=replace(prohibited, notices=(notice,))), width=100) == [
        "   0.050             = ICMP 3/13 from 198.51.100.1",
        "   0.060    +0.020   = connection prohibited by a router or firewall (EHOSTUNREACH)",
    ]


def test_a_flood_of_icmp_errors_is_cut() -> None:
    notices = tuple(Notice(0.05, NoticeOrigin.ICMP6, 1, 4, None) for _ in range(1000))
    connected = replace(make.connect(ConnectOutcome.REFUSED), notices=notices)
    shown = talk(make.session(connected=connected))
    assert shown[0] == "   0.050             = ICMPv6 1/4"
    assert shown.count(shown[0]) == 10
    assert shown[10] == "   0.050             = ... 990 more ICMP errors"


def test_an_error_that_did_not_end_the_connection_stands_at_its_end() -> None:
    silent = make.exchange(Stage.BANNER, None, sent=0.06, ended=30.06, outcome=ExchangeOutcome.TIMEOUT)
    assert talk(replace(make.session(silent), soft_error="EHOSTUNREACH"), width=100)[-1] == (
        "  30.060             = an ICMP error had come and not ended the connection (EHOSTUNREACH)"
    )


def test_every_packet_of_a_path_search_is_a_line() -> None:
    notice = Notice(t=1.0, origin=NoticeOrigin.ICMP, type=3, code=13, sender="198.51.100.1")
    exceeded = replace(notice, type=11, code=0)
    udp = make.path_probe(
        3, Answer.TIME_EXCEEDED, protocol=Protocol.UDP, port=33436, sender="198.51.100.9", notice=exceeded
    )
    host = make.host(
        probes=(
            udp,
            make.path_probe(3),
            make.path_probe(2, Answer.PROHIBITED, sender="198.51.100.1", notice=notice, ended=1.0003),
            make.path_probe(None, Answer.RESET, port=443, sender="203.0.113.15", arrived_ttl=61),
            make.path_probe(None, Answer.ECHO, protocol=Protocol.ICMP, port=None, sender="203.0.113.15"),
        )
    )
    ((title, lines),) = transcript.sessions(make.evidence(host), width=80)
    assert title == "mx1.customer.example.com [203.0.113.15] port 25, path: 5 packets"
    assert lines == [
        "   1.000      8 ms  udp/33436  ttl 3    time exceeded from 198.51.100.9",
        "   1.000     2.4 s  tcp/25     ttl 3    no answer",
        "   1.000    0.3 ms  tcp/25     ttl 2    prohibited from 198.51.100.1 (ICMP 3/13)",
        "   1.000      8 ms  tcp/443             refused from 203.0.113.15, arrived with",
        "                                        ttl 61",
        "   1.000      8 ms  icmp                echo from 203.0.113.15",
    ]


def test_a_path_search_that_sent_nothing_has_no_title() -> None:
    assert transcript.sessions(make.evidence(make.host(probes=())), width=80) == []


def test_silence_says_how_long() -> None:
    silent = make.exchange(Stage.BANNER, None, sent=0.06, ended=30.06, outcome=ExchangeOutcome.TIMEOUT)
    assert talk(make.session(silent)) == [
        "   0.060    +0.020   = connected from 192.0.2.10",
        "  30.060   +30.000   = banner: no complete reply after 30 s",
    ]


def test_what_came_before_the_close_is_shown_before_it() -> None:
    closed = make.exchange(
        Stage.MAIL,
        "MAIL FROM:<>",
        "250-2.1.0",
        sent=0.5,
        ended=0.7,
        outcome=ExchangeOutcome.CLOSED,
        oddities=(Oddity.UNTERMINATED, Oddity.BARE_LF),
        detail="EOF",
    )
    assert talk(make.session(closed))[1:] == [
        "   0.500             > MAIL FROM:<>",
        "   0.700    +0.200   < 250-2.1.0",
        "   0.700             = unusual: unterminated, bare-lf",
        "   0.700    +0.200   = mail: the peer closed the connection after 200 ms (EOF)",
    ]


def test_lines_after_the_handshake_are_marked_as_secure() -> None:
    session = make.session(
        make.exchange(Stage.STARTTLS, "STARTTLS", "220 Go", sent=0.1, ended=0.2),
        make.exchange(Stage.EHLO, "EHLO probe.example.net", "250 mx1", sent=0.3, ended=0.4),
        tls=Tls(started=0.2, ended=0.3, ok=True, version="TLSv1.3", cipher="AES256", certificate="x"),
    )
    assert talk(session)[1:] == [
        "   0.100             > STARTTLS",
        "   0.200    +0.100   < 220 Go",
        "   0.300    +0.100   = TLS established, TLSv1.3, AES256, certificate not checked",
        "   0.300            s> EHLO probe.example.net",
        "   0.400    +0.100  s< 250 mx1",
    ]


def test_a_failed_handshake_is_told_and_the_rest_is_in_clear() -> None:
    session = make.session(
        make.exchange(Stage.EHLO, "EHLO a", "250 mx1", sent=0.3, ended=0.4),
        tls=Tls(started=0.2, ended=0.3, ok=False, error="wrong version number"),
    )
    assert talk(session)[1:3] == [
        "   0.300    +0.100   = TLS failed: wrong version number",
        "   0.300             > EHLO a",
    ]


def test_an_unasked_reply_has_no_lapse() -> None:
    unasked = make.exchange(Stage.EXTRA, None, "421 bye", sent=0.1, ended=0.2)
    assert talk(make.session(unasked))[1:] == ["   0.200             < 421 bye"]


def test_a_long_reply_is_counted_and_keeps_its_last_line() -> None:
    lines = [f"250-{number}" for number in range(99)] + ["250 end"]
    shown = talk(make.session(make.exchange(Stage.EHLO, "EHLO a", *lines, sent=0.1, ended=0.2)))
    assert len(shown) == 1 + 1 + 10 + 1 + 1
    assert shown[-2:] == ["                     < ... 89 more lines ...", "                     < 250 end"]


def test_one_line_too_many_is_not_worth_a_count() -> None:
    lines = [f"250-{number}" for number in range(11)] + ["250 end"]
    shown = talk(make.session(make.exchange(Stage.EHLO, "EHLO a", *lines)))
    assert not any("more" in line for line in shown)


def test_a_long_line_is_wrapped_under_itself_and_cut_at_512() -> None:
    shown = talk(make.session(make.exchange(Stage.RCPT, None, "550 " + "word " * 500, sent=0.1, ended=0.2)))
    assert all(line.startswith(" " * 25 + "word") for line in shown[2:])
    assert max(map(len, shown)) <= 80
    assert shown[-1].endswith("...")


def test_notes_of_the_tape_stand_at_their_time() -> None:
    session = make.session(
        make.exchange(Stage.BANNER, None, "220 mx1", sent=0.06, ended=0.3),
        tape=(Tape(t=0.2, until=0.2, direction=Direction.NOTE, data="halfway"),),
        dropped=1,
    )
    assert talk(session)[1:] == [
        "   0.200             = halfway",
        "   0.300    +0.240   < 220 mx1",
        "   0.300             = 1 more byte of the peer were counted and not kept",
    ]


def test_a_note_beside_an_outcome_is_not_repeated() -> None:
    session = make.session(
        make.exchange(
            Stage.RCPT, None, sent=0.2, ended=0.2, outcome=ExchangeOutcome.RESET, detail="ECONNRESET"
        ),
        tape=(Tape(t=0.2, until=0.2, direction=Direction.NOTE, data="reset by the peer: ECONNRESET"),),
    )
    assert talk(session)[1:] == [
        "   0.200    +0.000   = rcpt: the peer reset the connection (ECONNRESET)",
    ]


def test_a_failed_handshake_is_told_once() -> None:
    session = make.session(
        make.exchange(
            Stage.TLS, None, sent=0.2, ended=0.3, outcome=ExchangeOutcome.TLS_FAILED, detail="alert"
        ),
        tls=Tls(started=0.2, ended=0.3, ok=False, error="alert"),
        tape=(Tape(t=0.3, until=0.3, direction=Direction.NOTE, data="TLS failed: alert"),),
    )
    assert talk(session)[1:] == ["   0.300    +0.100   = TLS failed: alert"]


def test_a_skipped_host_has_a_title_that_says_why() -> None:
    evidence = make.evidence(make.host(ip="10.0.0.1", skipped=Skip.NOT_PUBLIC))
    assert transcript.sessions(evidence, width=80) == [
        ("mx1.customer.example.com [10.0.0.1] port 25, not asked: its address is not public", [])
    ]


def test_an_answer_names_other_owners_and_counts_the_rest() -> None:
    many = make.answer("example.com", "A", *["192.0.2.1"] * 25)
    alias = replace(many.records[0], name="www.example.com", type="CNAME", data="example.com.")
    shown = look_up(make.evidence(dns=(replace(many, records=(alias, *many.records)),)))
    assert shown[0] == "   0.000  example.com A: answer, 20 ms, 192.0.2.53:53 udp"
    assert shown[1] == "          www.example.com CNAME example.com., TTL 300"
    assert shown[2] == "          A 192.0.2.1, TTL 300"
    assert shown[-1] == "          ... 6 more records"


def test_a_question_that_was_never_sent_has_no_server() -> None:
    assert look_up(make.evidence(dns=(make.answer(tries=()),))) == [
        "   0.000  customer.example.com MX: nodata, 20 ms"
    ]
