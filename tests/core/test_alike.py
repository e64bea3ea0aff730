"""What is judged once for many is what the plain judgement says of each."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from probe.codec import encode
from probe.core import address, alike, likeness
from probe.core.address import AddressError, parse
from probe.core.alike import Judge
from probe.core.callout import Callout, parse_options
from probe.core.classify import judge
from probe.core.looked_up import LookUps
from probe.core.model import (
    Answer,
    Evidence,
    Exchange,
    ExchangeOutcome,
    HostEvidence,
    Oddity,
    Origin,
    Protocol,
    Scope,
    Session,
    Stage,
    TlsMode,
)
from probe.core.scope import read_ip, scope
from tests.support import make, record
from tests.support.arbitrary import examples

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from probe.core.model import DnsAnswer, Options

CALLOUTS = tuple(
    parse_options(options, version)
    for options, version in (
        ("", (4, 96)),
        ("60s,cpanel", (4, 96)),
        ("5s,connect=2s,maxwait=7s", (4, 90)),
        ("defer_ok,no_cache", (4, 84)),
        ("", (4, 72)),
        ("", (4, 98)),
        ("random,postmaster", (4, 96)),
        ("2s", (4, 96)),
        ("1s", (4, 96)),
    )
)
BYE = make.exchange(Stage.QUIT, "QUIT", "221 2.0.0 Bye", sent=0.5, ended=0.6)
RESET = make.exchange(Stage.RSET, "RSET", "250 Ok", sent=0.5, ended=0.6)
OPEN = partial(make.evidence, chosen=make.options(allow_private=True))
"""The addresses of documentation are no public ones, so that nobody would be predicted to ask them."""


def seen(*rcpt: str, last: Exchange = BYE, **changes: object) -> Evidence:
    """Make a callout that ended with these words to RCPT."""
    return OPEN(make.host(replace(make.session(*make.conversation(*rcpt), last), **changes)))


WAITS = {
    "accepted": seen("250 2.1.5 Ok"),
    "accepted, and the connection used again": seen("250 2.1.5 Ok", last=RESET),
    "unknown": seen("550 5.1.1 User unknown"),
    "unknown, by name": seen(f"550 5.1.1 <{make.SENDER}>: Recipient address rejected: User unknown"),
    "long": seen(
        "550-5.1.1 " + "The email account that you tried to reach does not exist. " * 8, "550 5.1.1 no"
    ),
    "deferred": seen("450 4.2.0 Greylisted for 5 minutes"),
    "full": seen("552 5.2.2 Mailbox full"),
    "policy": seen("554 5.7.1 Client host blocked"),
    "other": seen("250 Ok", last=make.exchange(Stage.EXTRA, None, "550 no", sent=0.5, ended=0.5)),
    "time-out": seen("250 Ok", last=make.exchange(Stage.QUIT, "QUIT", outcome=ExchangeOutcome.TIMEOUT)),
    "odd": OPEN(
        make.host(
            make.session(
                *make.conversation(), make.exchange(Stage.QUIT, "QUIT", "221 x", oddities=(Oddity.BARE_LF,))
            )
        )
    ),
    "slow": OPEN(
        make.host(
            make.session(
                *make.conversation()[:3],
                make.exchange(Stage.RCPT, f"RCPT TO:<{make.SENDER}>", "250 Ok", sent=0.36, ended=2.46),
                make.exchange(Stage.QUIT, "QUIT", "221 Bye", sent=2.46, ended=2.5),
            )
        )
    ),
    "no host": OPEN(),
    "a search": OPEN(
        make.host(
            make.session(*make.conversation("550 5.1.1 User unknown"), BYE),
            probes=(
                make.path_probe(
                    None, Answer.PORT_UNREACHABLE, protocol=Protocol.UDP, port=33434, sender=make.MX_IP
                ),
            ),
        )
    ),
}
"""Evidence by hand, in which each wait is a tenth of a second, but for one."""
EVIDENCE = WAITS | {name: record.judged(name).evidence for name in record.WORLDS}
SIMPLE = st.from_regex(r"[A-Za-z0-9_+=-]{1,12}(\.[A-Za-z0-9_+=-]{1,12}){0,2}", fullmatch=True)
LOCALS = st.one_of(
    SIMPLE,
    st.sampled_from(("o'hara", "50%off", '"two words"', "{ip}", "a" * 64, "verify-match", likeness.MODEL)),
)
STRETCHES = st.sampled_from((0.0, 0.01, 1.0, 7.0, 60.0, 400.0))


def another(evidence: Evidence, local: str, stretch: float, shift: float, before: int) -> Evidence:
    """Give the evidence of another mailbox of the domain, with other times."""
    old = evidence.address
    mailbox = f"{local}@{old.domain}"

    def of(exchange: Exchange) -> Exchange:
        reply = exchange.reply and replace(
            exchange.reply,
            started=shift + exchange.reply.started * stretch,
            ended=shift + exchange.reply.ended * stretch,
        )
        command = exchange.command and exchange.command.replace(f"<{old.mailbox}>", f"<{mailbox}>")
        sent, ended = shift + exchange.sent * stretch, shift + exchange.ended * stretch
        return replace(exchange, command=command, sent=sent, ended=ended, reply=reply)

    def over(session: Session) -> Session:
        return replace(
            session, exchanges=tuple(of(exchange) for exchange in session.exchanges), before=before
        )

    def at(host: HostEvidence) -> HostEvidence:
        return replace(host, sessions=tuple(over(session) for session in host.sessions))

    return replace(
        evidence,
        address=replace(old, given=f"<{mailbox}>", mailbox=mailbox, local=local),
        dns=tuple(replace(each, asked=each.asked - shift, ended=each.ended - shift) for each in evidence.dns),
        hosts=tuple(at(host) for host in evidence.hosts),
        ended=evidence.ended + stretch,
    )


@pytest.mark.parametrize("name", EVIDENCE)
@given(
    callout=st.sampled_from(CALLOUTS),
    mailboxes=st.lists(
        st.tuples(LOCALS, STRETCHES, st.sampled_from((0.0, 3.25)), st.integers(0, 1)), min_size=4, max_size=6
    ),
)
@settings(max_examples=examples(0.2))
def test_many_are_judged_as_each_alone(
    name: str, callout: Callout, mailboxes: list[tuple[str, float, float, int]]
) -> None:
    shared = Judge(callout)
    for local, stretch, shift, before in mailboxes:
        evidence = another(EVIDENCE[name], local, stretch, shift, before)
        assert msgspec.json.encode(shared.judge(evidence)) == msgspec.json.encode(judge(evidence, callout))


@pytest.mark.parametrize("name", EVIDENCE)
@given(
    callout=st.sampled_from(CALLOUTS),
    mailboxes=st.lists(
        st.tuples(LOCALS, STRETCHES, st.sampled_from((0.0, 3.25)), st.integers(0, 1), st.booleans()),
        min_size=4,
        max_size=6,
    ),
)
@settings(max_examples=examples(0.2))
def test_lines_from_pieces_are_the_encoded_reports(
    name: str, callout: Callout, mailboxes: list[tuple[str, float, float, int, bool]]
) -> None:
    shared = Judge(callout, encode)
    for local, stretch, shift, before, bare in mailboxes:
        evidence = another(EVIDENCE[name], local, stretch, shift, before)
        if bare:
            evidence = replace(evidence, address=replace(evidence.address, given=evidence.address.mailbox))
        report = judge(evidence, callout)
        line = shared.line(evidence, encode(evidence))
        assert line.data == encode(report)
        assert (line.cause, line.reason) == (report.cause, report.reason)


MOMENTS = st.sampled_from((-3.0, -0.1, 0.0, 0.1, 0.15, 0.2, 0.35, 0.7, 9.0))


@given(
    times=st.lists(st.tuples(MOMENTS, MOMENTS), min_size=3, max_size=3),
    connects=st.lists(st.tuples(MOMENTS, st.sampled_from((0.0, 0.1, 0.3))), min_size=4, max_size=6),
)
def test_look_ups_are_summed_up_for_all_who_share_them(
    times: list[tuple[float, float]], connects: list[tuple[float, float]]
) -> None:
    """Also where they last into the connection, or are not in order at all, as in a document of somebody else."""
    shared = Judge()
    dns = tuple(
        replace(answer, asked=asked, ended=ended)
        for answer, (asked, ended) in zip(WAITS["accepted"].dns, times, strict=True)
    )
    for number, (started, lapse) in enumerate(connects):
        evidence = replace(another(WAITS["accepted"], f"u{number}", 1.0, 0.0, 0), dns=dns)
        host = evidence.hosts[0]
        session = host.sessions[0]
        connect = replace(session.connect, started=started, ended=started + lapse)
        host = replace(host, sessions=(replace(session, connect=connect),))
        evidence = replace(evidence, hosts=(host,))
        assert msgspec.json.encode(shared.judge(evidence)) == msgspec.json.encode(judge(evidence))


def spelled(evidence: Evidence, local: str, words: str) -> Evidence:
    """Give the evidence with the address as it is in an envelope, and with these words to RCPT."""
    evidence = another(evidence, local, 1.0, 0.0, 0)
    session = evidence.hosts[0].sessions[0]
    exchanges = tuple(
        replace(each, reply=replace(each.reply, lines=(words,)))
        if each.stage is Stage.RCPT and each.reply
        else each
        for each in session.exchanges
    )
    host = replace(evidence.hosts[0], sessions=(replace(session, exchanges=exchanges),))
    address = replace(evidence.address, given=evidence.address.mailbox)
    return replace(evidence, address=address, hosts=(host,))


@pytest.mark.parametrize(
    "words",
    [
        "250 2.1.5 Ok",
        '250 "zq--timing--qz"',
        '250 2.1.5 "zq--evidence--qz" \\"zq--seconds--qz\\"',
        f"250 {likeness.MODEL} %b %(x)s",
        "250 caf\u00e9 \x7f\x85",
        "550 5.1.1 User unknown \x9b",
    ],
)
def test_no_words_get_between_the_pieces(words: str) -> None:
    shared = Judge(None, encode)
    for number in range(5):
        evidence = spelled(WAITS["accepted"], f"user{number}", words)
        assert shared.line(evidence, encode(evidence)).data == encode(judge(evidence))


def test_a_line_of_a_known_shape_needs_no_report(monkeypatch: pytest.MonkeyPatch) -> None:
    shared = Judge(None, encode)
    evidence = spelled(WAITS["accepted"], "user", "250 2.1.5 Ok")
    for _ in range(3):
        shared.line(evidence, encode(evidence))
    monkeypatch.setattr(alike._Shape, "report", None)
    monkeypatch.setattr(shared, "_encode", None)
    assert shared.line(evidence, b"{}").data.count(b'"evidence":{}') == 1


@pytest.mark.full  # they need nothing, but ten seconds
@pytest.mark.parametrize("callout", CALLOUTS, ids=lambda callout: f"{callout.version_text} {callout.text}")
@pytest.mark.parametrize("name", WAITS)
def test_every_length_of_the_waits(name: str, callout: Callout) -> None:
    shared = Judge(callout)
    for number, stretch in enumerate(
        (1.0, 1.0, 0.01, 2.0, 6.0, 6.3, 7.0, 9.5, 14.0, 40.0, 290.0, 310.0, 700.0)
    ):
        for before in range(2):
            evidence = another(WAITS[name], f"user{number}", stretch, 0.0, before)
            assert shared.judge(evidence) == judge(evidence, callout)


def judged_plainly(
    monkeypatch: pytest.MonkeyPatch, evidence: Evidence, change: Callable[[int], Evidence]
) -> int:
    """Count how many of ten that differ so from some evidence are judged plainly."""
    asked: list[Evidence] = []

    def counted(each: Evidence, callout: Callout) -> object:
        asked.append(each)
        return judge(each, callout)

    monkeypatch.setattr(alike, "judge", counted)
    shared = Judge()
    shared.judge(evidence)
    shared.judge(evidence)
    asked.clear()
    for number in range(10):
        shared.judge(change(number))
    return len(asked)


@pytest.mark.parametrize(
    "name", ["accepted", "accepted, and the connection used again", "unknown", "policy", "a search"]
)
def test_another_mailbox_and_other_times_cost_no_judgement(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    evidence = WAITS[name]
    assert (
        judged_plainly(monkeypatch, evidence, lambda n: another(evidence, f"user{n}", 1.0 + n / 10, 0.0, 0))
        == 0
    )


def test_what_may_matter_is_judged_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    evidence = WAITS["accepted"]

    def slow(number: int) -> Evidence:
        return another(evidence, "user", 7.0 + number, 0.0, 0)

    def quoted(number: int) -> Evidence:
        return another(evidence, f'"a {number}"', 1.0, 0.0, 0)

    assert judged_plainly(monkeypatch, evidence, slow) == 10
    assert judged_plainly(monkeypatch, evidence, quoted) == 10
    assert judged_plainly(monkeypatch, evidence, lambda n: replace(evidence, seed=n)) >= 9


def test_the_memory_is_bounded() -> None:
    shared = Judge()
    for seed in range(3 * alike.SHAPES):
        shared.judge(replace(WAITS["accepted"], seed=seed))
    assert alike.SHAPES // 2 <= len(shared._shapes) <= alike.SHAPES


def test_the_time_for_other_addresses_is_none_of_postfix() -> None:
    alone = WAITS["accepted"]
    late = another(alone, "user", 1.0, 90.0, 1)
    report = judge(late)
    assert report.mta is not None
    assert report.mta.postfix is not None
    assert report.mta.postfix.seconds == 3.0


# --- different domains -----------------------------------------------------------------------------

LABELS = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)
DOMAINS = st.one_of(
    st.sampled_from(("d.example", "mx.d.example", "example.com", "Upper.Example", "xn--bcher-kva.example")),
    st.sampled_from(("user-unknown.example", "blocked.no-such-user.example", "a.b", "192-0-2-1.example")),
    st.builds("{}.example".format, LABELS),
)
HOSTS = st.one_of(
    DOMAINS,
    st.sampled_from(
        ("mx1.d.example", "starttls.example", "xxxx.example", "localhost", "10.0.0.1", "a_b.example")
    ),
    st.just(".".join(["host"] * 19) + ".example"),
    st.just(".".join(["host"] * 24) + ".example"),
)
IPS = st.sampled_from(
    (
        "203.0.113.15",
        "127.0.0.2",
        "127.0.0.3",
        "10.1.2.3",
        "9.9.9.9",
        "8.8.8.8",
        "224.0.0.1",
        "255.255.255.255",
        "0.0.0.0",
        "2a00::1",
        "2A00:0::1",
        "::ffff:9.9.9.9",
        "64:ff9b::909:909",
        "fe80::1",
    )
)
GREETINGS = st.sampled_from(
    (
        "{host}",
        "{host} ESMTP",
        "{host}.",
        "{host}x ESMTP",
        "mail.elsewhere.example ESMTP",
        "ESMTP {host}",
        "{host} {domain} {ip}",
        "[{ip}] ESMTP",
        likeness.MODEL_HOST,
        "",
    )
)
RCPTS = st.sampled_from(
    (
        "250 2.1.5 Ok",
        "250 Ok",
        "250 {host} takes it",
        "250 <{mailbox}> Ok",
        "251 moved",
        "550 5.1.1 unknown",
        "450 no",
    )
)
QUITS = st.sampled_from(("221 Bye", "221 {host} closing connection", "221 2.0.0 {host}", "500 {host} what"))


def of_domain(
    local: str, domain: str, name: str, ip: str, words: tuple[str, str, str, str], chosen: Options
) -> Evidence:
    """Give the evidence of a mailbox whose domain has one mail host, which says these words."""
    mailbox = f"{local}@{domain}"
    fields = {"host": name, "domain": domain, "ip": ip, "mailbox": mailbox}
    banner, ehlo, rcpt, bye = (each.format(**fields) for each in words)
    taken = make.conversation(rcpt, sender=mailbox)
    assert taken[0].reply is not None
    assert taken[1].reply is not None
    told = (
        replace(taken[0], reply=replace(taken[0].reply, lines=(f"220 {banner}",))),
        replace(taken[1], reply=replace(taken[1].reply, lines=(f"250-{ehlo}", *taken[1].reply.lines[1:]))),
        *taken[2:],
        make.exchange(Stage.QUIT, "QUIT", bye, sent=0.5, ended=0.6),
    )
    ipv6 = ":" in ip
    found = make.answer(name, "AAAA" if ipv6 else "A", ip, asked=0.02, ended=0.04)
    none = make.answer(name, "A" if ipv6 else "AAAA", asked=0.02, ended=0.04)
    read = read_ip(ip)
    assert read is not None
    return make.evidence(
        make.host(make.session(*told), name=name, ip=ip, scope=scope(read)),
        to=make.address(mailbox),
        dns=(make.answer(domain, "MX", f"10 {name}."), found, none),
        chosen=chosen,
    )


@given(
    callout=st.sampled_from(CALLOUTS),
    words=st.tuples(GREETINGS, GREETINGS, RCPTS, QUITS),
    who=st.lists(st.tuples(SIMPLE, DOMAINS, HOSTS, IPS), min_size=4, max_size=8),
    allow_private=st.booleans(),
)
@settings(max_examples=examples(3))
def test_domains_are_judged_as_each_alone(
    callout: Callout,
    words: tuple[str, str, str, str],
    who: list[tuple[str, str, str, str]],
    *,
    allow_private: bool,
) -> None:
    shared = Judge(callout, encode)
    chosen = make.options(allow_private=allow_private)
    for local, domain, name, ip in who:
        evidence = of_domain(local, domain, name, ip, words, chosen)
        report = judge(evidence, callout)
        assert shared.line(evidence, encode(evidence)).data == encode(report)
        assert shared.judge(evidence) == report


PLAIN_WORDS = ("{host} ESMTP", "{host}", "250 2.1.5 Ok", "221 {host} closing connection")


def of_number(number: int, words: tuple[str, str, str, str] = PLAIN_WORDS) -> Evidence:
    domain = f"d{number}.example"
    chosen = make.options(allow_private=True)
    return of_domain(f"user{number}", domain, f"mx.{domain}", f"127.0.0.{number}", words, chosen)


def test_another_domain_costs_no_judgement(monkeypatch: pytest.MonkeyPatch) -> None:
    assert judged_plainly(monkeypatch, of_number(100), of_number) == 0


def test_the_same_answers_are_another_thing_for_another_host() -> None:
    look_ups = LookUps()
    evidence = of_number(1)
    domain, host = evidence.address.domain, evidence.hosts[0]
    own = look_ups.of(evidence.dns, domain, host.name, host.ip)
    assert own.plain is not None
    assert look_ups.of(evidence.dns, domain, host.name, host.ip) is own
    for other in ((domain, "mx.elsewhere.example", host.ip), (domain, host.name, "9.9.9.9")):
        assert look_ups.of(evidence.dns, *other).plain is None
    assert look_ups.of(evidence.dns, "elsewhere.example", host.name, host.ip).plain is None


@pytest.mark.parametrize(
    "words",
    [
        (*PLAIN_WORDS[:2], "550 5.1.1 User unknown", PLAIN_WORDS[3]),
        (*PLAIN_WORDS[:2], "250 Ok, {host}", PLAIN_WORDS[3]),
        ("ESMTP {host}", *PLAIN_WORDS[1:]),
    ],
)
def test_words_that_may_be_about_a_domain_are_read_for_each(
    monkeypatch: pytest.MonkeyPatch, words: tuple[str, str, str, str]
) -> None:
    assert judged_plainly(monkeypatch, of_number(100, words), lambda n: of_number(n, words)) == 10


def test_a_domain_that_no_dns_has_is_written_as_it_is() -> None:
    shared = Judge(None, encode)
    for domain in ("100%.example", "%(ip)b.example", "a(b.example", 'q".example', "caf\u00e9.example"):
        for number in range(4):
            evidence = of_domain(
                f"user{number}", domain, "mx.d.example", "127.0.0.9", PLAIN_WORDS, OPEN().options
            )
            assert shared.line(evidence, encode(evidence)).data == encode(judge(evidence))


def spelt_by_the_dns(evidence: Evidence, data: str) -> Evidence:
    """Give the evidence with this data in the MX record."""
    answer, *others = evidence.dns
    answer = replace(answer, records=(replace(answer.records[0], data=data),))
    return replace(evidence, dns=(answer, *others))


def odd_ones() -> Iterator[Evidence]:
    """Give evidence in which a name is unlike any other, or two of them are alike."""
    chosen = make.options(allow_private=True)
    for domain in ("d.example", "D.example", "other.example", "example"):
        for name in ("mx.d.example", "d.example", "MX.d.example", "mx_1.d.example"):
            yield of_domain("user", domain, name, "127.0.0.9", PLAIN_WORDS, chosen)
    plain = of_number(200)
    for data in ("10 MX.D200.example.", "10 mx.d200.example", "10 mx.other.example.", "9 mx.d200.example."):
        yield spelt_by_the_dns(plain, data)
    found = plain.dns[1]
    elsewhere = replace(found, records=(replace(found.records[0], data="127.0.0.7"),))
    yield replace(plain, dns=(plain.dns[0], found, found))
    yield replace(plain, dns=(plain.dns[0], elsewhere, plain.dns[2]))
    yield replace(
        plain, dns=(plain.dns[0], make.answer("www.d200.example", "A", "127.0.0.200"), plain.dns[2])
    )
    yield replace(plain, hosts=(replace(plain.hosts[0], scope=Scope.PUBLIC),))
    yield replace(plain, hosts=(replace(plain.hosts[0], ip="127.0.0.201"),))
    yield replace(plain, hosts=(replace(plain.hosts[0], origin=Origin.IMPLICIT, preference=None),))
    yield replace(plain, address=replace(plain.address, unicode_domain="d\u00e9.example"))


def renamed(evidence: Evidence, local: str) -> Evidence:
    """Give the evidence of another mailbox of the domain, as it stands in an envelope."""
    evidence = another(evidence, local, 1.0, 0.0, 0)
    return replace(evidence, address=replace(evidence.address, given=evidence.address.mailbox))


@pytest.mark.parametrize("odd", tuple(odd_ones()))
@pytest.mark.parametrize("first", ["odd", "plain"])
def test_names_that_are_unusual_pass_for_no_others(odd: Evidence, first: str) -> None:
    shared = Judge(None, encode)
    odds = [renamed(odd, f"user{number}") for number in range(4)]
    plain = [of_number(number) for number in range(4)]
    for evidence in [*odds, *plain] if first == "odd" else [*plain, *odds]:
        assert shared.line(evidence, encode(evidence)).data == encode(judge(evidence))


# --- what once passed for alike, and was not --------------------------------------------------------


DOMAIN = make.SENDER.partition("@")[2]


def called(*exchanges: Exchange, mailbox: str, dns: tuple[DnsAnswer, ...] | None = None) -> Evidence:
    """Make a callout of these exchanges to a mailbox."""
    return OPEN(make.host(make.session(*exchanges)), to=make.address(mailbox), dns=dns)


def before_rcpt(
    *answers: tuple[Stage, str | None, tuple[str, ...]], quit_took: float = 0.1
) -> list[Exchange]:
    """Make a conversation of these answers, a tenth of a second each, and QUIT."""
    found = [
        make.exchange(stage, command, *lines, sent=0.1 * number, ended=0.1 * number + 0.1)
        for number, (stage, command, lines) in enumerate(answers, 1)
    ]
    sent = 0.1 * len(answers) + 0.1
    return [*found, make.exchange(Stage.QUIT, "QUIT", "500 what", sent=sent, ended=sent + quit_took)]


def mailboxes() -> list[str]:
    return [f"u{'x' * length}@{DOMAIN}" for length in range(5)]


def at_two_names() -> tuple[DnsAnswer, ...]:
    """Two mail hosts of one address, which Postfix asks by both names."""
    names = [f"mx{number}.{DOMAIN}" for number in (1, 2)]
    exchanges = make.answer(DOMAIN, "MX", *(f"{10 * n} {name}." for n, name in enumerate(names, 1)))
    return (exchanges, *(make.answer(name, "A", make.MX_IP) for name in names))


def beside_a_null_mx(ended: float) -> tuple[DnsAnswer, ...]:
    name = f"mx1.{DOMAIN}"
    exchanges = make.answer(DOMAIN, "MX", f"10 {name}.", "0 .", ended=ended)
    return (exchanges, make.answer(name, "A", make.MX_IP, asked=ended, ended=ended + 0.02))


def slower(evidence: Evidence, times: float) -> Evidence:
    """Let everything over the connection take so many times as long."""
    host = evidence.hosts[0]
    session = host.sessions[0]
    exchanges = tuple(
        replace(
            each,
            sent=each.sent * times,
            ended=each.ended * times,
            reply=each.reply and replace(each.reply, started=each.ended * times, ended=each.ended * times),
        )
        for each in session.exchanges
    )
    return replace(evidence, hosts=(replace(host, sessions=(replace(session, exchanges=exchanges),)),))


def long_ehlo(number: int) -> Evidence:
    """Make a callout that ends for want of TLS, at a host whose name is so much longer than others."""
    domain = f"d{number}.example"
    name, ip = f"m{'x' * number}.{domain}", f"127.0.0.{number + 2}"
    session = make.session(
        make.exchange(Stage.BANNER, None, f"220 {name}"),
        make.exchange(Stage.EHLO, "EHLO p.example", f"250-{name}", *["250-KEYWORD"] * 30, "250 SIZE"),
        make.exchange(Stage.QUIT, "QUIT", "221 bye"),
    )
    return make.evidence(
        make.host(session, name=name, ip=ip, scope=Scope.LOOPBACK),
        to=make.address(f"u@{domain}"),
        dns=(make.answer(domain, "MX", f"10 {name}."), make.answer(name, "A", ip), make.answer(name, "AAAA")),
        chosen=make.options(allow_private=True, tls=TlsMode.REQUIRE),
    )


GREETED = (Stage.BANNER, None, ("220 mx1.customer.example.com",))
HELO_REFUSED = (
    GREETED,
    (Stage.EHLO, "EHLO p.example", ("502 what",)),
    (Stage.HELO, "HELO p.example", ("550 " + "word " * 90,)),
)
LONG_GREETING = ((Stage.BANNER, None, (*["554-" + "x" * 480] * 4, "554 end")),)
TURNED_AWAY = (GREETED, (Stage.EHLO, "EHLO p.example", ("554 go away",)))
EARLIER = make.connect(started=-3.0, ended=-2.9)
DIFFER = {
    "nobody was asked for, and a long reply is cut": [long_ehlo(number) for number in range(5)],
    "learned for another address": [
        OPEN(
            make.host(
                make.session(
                    make.exchange(Stage.BANNER, None, "554 no", sent=-2.9, ended=-2.8),
                    make.exchange(Stage.QUIT, "QUIT", "221 x", sent=-2.8, ended=-2.7),
                    connected=EARLIER,
                )
            ),
            to=make.address(mailbox),
        )
        for mailbox in mailboxes()
    ],
    "two names of one address": [
        slower(called(*make.conversation("450 4.2.0 later", sender=mailbox), mailbox=mailbox, dns=at_two_names()), k)
        for mailbox, k in zip(mailboxes(), (1, 1, 1, 5, 5), strict=True)
    ],
    "a null MX beside another, found slowly": [
        called(*make.conversation("550 5.1.1 no", sender=mailbox), mailbox=mailbox, dns=beside_a_null_mx(ended))
        for mailbox, ended in zip(mailboxes(), (0.1, 0.1, 0.1, 3.5, 6.5), strict=True)
    ],
    "HELO refused in many words": [
        called(*before_rcpt(*HELO_REFUSED), mailbox=mailbox) for mailbox in mailboxes()
    ],
    "turned away in many words": [
        called(*before_rcpt(*LONG_GREETING), mailbox=mailbox) for mailbox in mailboxes()
    ],
    "QUIT answered late": [
        called(*before_rcpt(*TURNED_AWAY, quit_took=took), mailbox=mailbox)
        for mailbox, took in zip(mailboxes(), (0.1, 0.1, 0.1, 4.0, 6.5), strict=True)
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", DIFFER)
def test_what_differs_by_more_than_names_is_judged_as_each_alone(name: str) -> None:
    shared, lines = Judge(None, encode), Judge(None, encode)
    for evidence in DIFFER[name]:
        plain = judge(evidence)
        assert shared.judge(evidence) == plain
        assert lines.line(evidence, encode(evidence)).data == encode(plain)


# --- the short way of an address -------------------------------------------------------------------

NEARLY_PLAIN = st.from_regex(
    r"<?[A-Za-z0-9_+=.'-]{0,70}@?([A-Za-z0-9_-]{0,64}\.){0,5}([A-Za-z]{1,5}|xn--[a-z0-9]{1,6}|[0-9]{1,3})[.>, ]?",
    fullmatch=True,
)


def outcome(read: Callable[[str], object], text: str) -> object:
    try:
        return read(text)
    except AddressError as error:
        return str(error)


@given(st.one_of(NEARLY_PLAIN, st.emails(), st.text(max_size=40).map(lambda local: f"{local}@example.com")))
def test_the_short_way_leads_where_the_long_one_does(text: str) -> None:
    assert outcome(parse, text) == outcome(address._read, text)


@pytest.mark.parametrize(
    "text",
    [
        "user@example.com",
        "First.Last@Mail.EXAMPLE.com",
        "no-reply@example.com",
        "list+tag@example.com",
        "SRS0+x@a.example",
        "a" * 64 + "@example.com",
        "a" * 65 + "@example.com",
        "u@" + "a" * 63 + ".example",
        "u@" + "a" * 64 + ".example",
        "u@" + "a." * 130 + "example",
        "u@192.0.2.1",
        "u@1.example",
        "u@a--b.example",
        "u@-a.example",
        "u@example",
        "u@example.com.",
        "u@xn--bcher-kva.example",
        "u@XN--bcher-kva.example",
        ".u@example.com",
        "u..u@example.com",
        "u@example.c-",
        "mailto:u@example.com",
    ],
)
def test_either_way_gives_the_same_at_the_edges(text: str) -> None:
    assert outcome(parse, text) == outcome(address._read, text)
