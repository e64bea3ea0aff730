from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.core import phrases
from probe.core.model import About, Basis, Reading, Reply, Stage
from probe.core.phrasebook import BASIC, ENHANCED, TABLE
from probe.core.phrasebook.phrase import CLASSES, Row, parse
from probe.core.phrases import ABOUT_MAILBOX, AT_RCPT, read
from probe.core.words import cut
from tests.support.every import every

OURS = ("192.0.2.1", "probe.example.net")


def said(text: str) -> Reply:
    """Build the reply whose lines `text` holds, as a peer's bytes are kept."""
    lines = text.encode().decode("latin-1").split("\n")
    return Reply(int(lines[-1][:3]), tuple(lines), (), 0.0, 0.0)


def about(text: str, stage: Stage = Stage.RCPT) -> About:
    return read(said(text), stage, OURS).about


# --- the table -----------------------------------------------------------------------------------------


@every("row", TABLE, ids=lambda row: row.id)
def test_every_row_wins_on_its_own_example(row: Row) -> None:
    reading = read(said(row.example), row.at, ("mail.example.net",))
    assert (reading.row, reading.about, reading.basis) == (row.id, row.about, row.basis)
    assert row.source


def test_row_ids_are_unique() -> None:
    assert len({row.id for row in TABLE}) == len(TABLE)


SPECIAL = {"<>", "@", "#ip", "#host", "#dnsbl", "#ours", "#sender", "#outlook", "^", "$", "."}


def test_phrases_are_written_in_the_words_that_a_text_is_cut_into() -> None:
    known = phrases.index().words
    for row in TABLE:
        for line in filter(str.strip, row.phrases.splitlines()):
            phrase = parse(line)
            first, optional, gap = phrase.steps[0]
            assert first
            assert not optional, (row.id, line)
            assert not gap, (row.id, line)
            for word in set().union(*(options for options, _, _ in phrase.steps)) - SPECIAL:
                if word.startswith(("p=", "c=")):
                    assert word[2:].isalnum(), (row.id, line, word)
                    continue
                assert [cut_word for cut_word, _, _ in cut(word.removesuffix("*"), (), known)] == [
                    "^",
                    word,
                    "$",
                ], (
                    row.id,
                    line,
                    word,
                )


def test_no_word_or_stem_begins_with_another_stem() -> None:
    known = phrases.index().words
    for stem in known.stems:
        begins = stem.removesuffix("*")
        assert not [word for word in known.words if word.startswith(begins)], stem
        assert not [other for other in known.stems - {stem} if other.startswith(begins)], stem


def test_word_classes_have_no_word_twice() -> None:
    for name, words in CLASSES.items():
        assert len(words.split()) == len(set(words.split())), name


@every("detail", ENHANCED)
def test_an_enhanced_code_is_read_on_neutral_words(detail: str) -> None:
    reading = read(said(f"550 5.{detail} Sorry"), Stage.RCPT)
    assert (reading.about, reading.basis, reading.row) == (
        ENHANCED[detail],
        Basis.ENHANCED,
        f"enhanced-{detail}",
    )


@pytest.mark.parametrize("detail", ["0.0", "1.0", "3.0", "5.0", "7.0", "7.1", "7.504"])
def test_enhanced_codes_that_are_used_for_anything_say_nothing(detail: str) -> None:
    assert about(f"550 5.{detail} Sorry") is About.OTHER


@pytest.mark.parametrize("code", BASIC)
def test_a_reply_code_is_read_where_nothing_else_speaks(code: int) -> None:
    reading = read(said(f"{code} Sorry"), Stage.RCPT)
    assert (reading.about, reading.basis, reading.row) == (BASIC[code], Basis.BASIC, f"code-{code}")


# --- the worst error -----------------------------------------------------------------------------------

REFUSALS_OF_US = [
    "550 5.1.1 Sender address rejected: User unknown in virtual mailbox table",
    "550 5.1.1 <probe.example.net[192.0.2.1]>: Client host rejected: no such user is trusted",
    "550 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org",
    "550 5.1.1 rejected because 192.0.2.1 is in a black list at bl.example.org",
    "550 5.2.1 Mailbox unavailable. Your IP address 192.0.2.1 is blacklisted using example",
    "550-Requested action not taken: mailbox unavailable\n550 Reject due to policy restrictions",
    "554 5.7.1 The recipient does not exist for hosts listed in https://www.spamhaus.org/sbl/",
    "550 Your mail server is not allowed to ask whether the user exists",
    "550 5.1.1 Too many unknown users from 192.0.2.1",
    "550 5.7.1 Unable to deliver to recipient: no PTR record, address not found",
    "550 5.1.8 Sender address does not exist",
    "550 Sender verify failed: no such user",
    "550 5.7.606 Access denied, banned sending IP [192.0.2.1]",
    "550 5.1.1 Recipient rejected: SPF check failed",
    "550 Administrative prohibition: unknown recipient",
    "550 5.1.1 <a@example.com>: Recipient address rejected: blocked using bl.example.org; no such user",
    "550 unknown user agent in EHLO",
    "550 5.1.1 poor reputation, mailbox not available to you",
]


@pytest.mark.parametrize("text", REFUSALS_OF_US)
def test_a_refusal_of_us_is_never_a_missing_mailbox(text: str) -> None:
    assert about(text) not in ABOUT_MAILBOX


OF_SOMEBODY_ELSE = [
    "550 No such user allowed from your host",
    "550 client host not found in DNS",
    "550 <postmaster@probe.example.net>: unknown user",
    "550 Sender user unknown",
    "550 invalid address in MAIL FROM",
    "550 Reply address not found",
    "550 unknown or unroutable originator address",
    "550 sender callout verification failed: 550 5.1.1 User unknown",
    "550-Called: 203.0.113.9\n550-Response: 550 No such user\n550 Sender verify failed",
    "550 Your account has been suspended for abuse",
    "550 mailbox of sender is over quota",
    "552 Quota exceeded for your IP address",
    "550 5.2.2 Daily quota for 192.0.2.1 exceeded",
    "550 connection quota exceeded",
    "550 5.1.1 dictionary attack detected",
    "550 5.1.1 Directory harvest attack detected: user unknown",
    "550 5.1.1 Address verification is not permitted",
    "550 User unknown; rejected by content filter",
    "550 invalid recipient or sender",
    "550-Requested action not taken: mailbox unavailable\n550 invalid DNS MX or A/AAAA resource record",
    "550 Connection from unknown address",
    "550 your address is unknown",
    "550 no MX for your domain",
    "550 You are not our customer",
    "550 you do not have an account here",
    "550 Invalid user or password",
    "550 Your IP address is not listed in our whitelist",
    "550 Absender existiert nicht",
    "550 Votre adresse IP est inconnue",
    "550 Adresse de l'expéditeur inconnue",
    "550 Su dirección IP no es válida",
    "550 Indirizzo mittente sconosciuto",
    "550 5.1.8 Domain not found",
    "550 5.1.7 Invalid address",
    "550 5.7.27 null MX",
    "550 Your domain has a null MX",
    "550 5.7.606 user unknown",
    "554 HL:IPB user not found",
    "550 5.1.1 rejected by policy; this mailbox has been disabled",
    "550 5.7.0 Blocked - see https://ipcheck.example.com/ No such user",
    "550 Email has been blocked",
    "550 user is blocked",
    "550 temporary failure: could not look up user, user unknown",
    "550 database error: no such user",
    "550 service unavailable; user not found",
    "556 Please try again later",
]


@every("text", OF_SOMEBODY_ELSE)
def test_words_about_the_mailbox_do_not_count_beside_somebody_else(text: str) -> None:
    assert about(text) not in ABOUT_MAILBOX


@pytest.mark.parametrize(
    "text",
    ["550 Host not found", "550 Invalid domain", "550 domain not found", "550 no MX", "550 Host unknown"],
)
def test_a_host_or_domain_that_may_be_ours_has_no_weight(text: str) -> None:
    reading = read(said(text), Stage.RCPT, OURS)
    assert (reading.about, reading.basis) == (About.MISSING_DOMAIN, Basis.BASIC)


def test_an_enhanced_code_about_us_outweighs_words_about_the_mailbox() -> None:
    assert read(said("550 5.1.8 No such domain"), Stage.RCPT) == Reading(
        About.OUR_SENDER, Basis.ENHANCED, "enhanced-1.8", "5.1.8", About.MISSING_DOMAIN
    )


@pytest.mark.parametrize(
    "text",
    [
        "550 5.1.1 User unknown, closing connection",
        "550 Your message to <a@example.com> was not delivered: user unknown",
        "550 User unknown; please check your recipient's address",
        "550 this user has been removed from our system",
        "550-Callout verification failed:\n550 550 5.1.1 User unknown",
        "550 5.2.1 This mailbox has been blocked due to inactivity",
        "553 sorry, this recipient is not in my validrcptto list (#5.7.1)",
    ],
)
def test_a_missing_mailbox_keeps_its_certainty_beside_harmless_words(text: str) -> None:
    reading = read(said(text), Stage.RCPT, OURS)
    assert reading.about in {About.MISSING_MAILBOX, About.DISABLED}
    assert reading.basis is Basis.WORDS


@given(
    st.sampled_from(REFUSALS_OF_US),
    st.sampled_from(["user unknown", "No such user here", "5.1.1 unknown user"]),
)
def test_words_about_the_mailbox_do_not_outweigh_words_about_us(text: str, more: str) -> None:
    assert about(f"{text} {more}") not in ABOUT_MAILBOX
    assert about(f"{text[:3]}-{more}\n{text}") not in ABOUT_MAILBOX


def test_a_text_that_names_us_and_denies_the_mailbox_is_open() -> None:
    assert read(said("550 No such user [192.0.2.1]"), Stage.RCPT, OURS) == Reading(
        About.OTHER, Basis.WORDS, "names-us", "192.0.2.1", About.MISSING_MAILBOX
    )
    assert about("550 No such user [203.0.113.9]") is About.MISSING_MAILBOX
    assert about("550 probe.example.net: go on") is About.POLICY


@every("stage", sorted(set(Stage) - AT_RCPT))
@every("text", ["550 5.1.1 User unknown", "552 5.2.2 mailbox full", "550 account disabled"])
def test_before_rcpt_nothing_is_about_the_mailbox(stage: Stage, text: str) -> None:
    assert about(text, stage) not in ABOUT_MAILBOX


@given(st.text(max_size=200), st.sampled_from(sorted(set(Stage) - AT_RCPT)), st.integers(400, 599))
def test_before_rcpt_no_text_is_about_the_mailbox(text: str, stage: Stage, code: int) -> None:
    assert about(f"{code} {text}".replace("\n", " "), stage) not in ABOUT_MAILBOX


@given(st.integers(400, 599), st.binary(max_size=300))
def test_without_words_or_their_own_code_nothing_is_missing(code: int, noise: bytes) -> None:
    text = noise.translate(None, bytes(range(0x30, 0x7B)))  # neither letters nor digits of ASCII
    reply = Reply(code, (f"{code} " + text.decode("latin-1"),), (), 0.0, 0.0)
    assert read(reply, Stage.RCPT).about not in {About.MISSING_MAILBOX, About.MISSING_DOMAIN, About.DISABLED}


# --- who is refused ------------------------------------------------------------------------------------


@every(
    ("text", "expected"),
    [
        ("554 5.7.1 <a@example.com>: Recipient address rejected: Access denied", About.OTHER),
        ("550 5.1.1 <a@example.com>: Recipient address rejected: User unknown", About.MISSING_MAILBOX),
        ("554 5.7.1 <a@example.com>: Recipient address rejected: Throttling limit reached", About.RATE),
        ("550 5.7.1 <a@example.com>: Recipient address rejected: SPF fail", About.OUR_SENDER),
        ("554 5.7.1 <>: Sender address rejected: Access denied", About.NULL_SENDER),
        ("450 4.1.8 <p@example.net>: Sender address rejected: Domain not found", About.OUR_SENDER),
        ("554 5.7.1 <x[192.0.2.1]>: Client host rejected: cannot find your reverse hostname", About.RDNS),
        ("504 5.5.2 <x>: Helo command rejected: Host not found", About.HELO),
        ("454 4.7.1 <a@example.com>: Relay access denied", About.RELAY),
        ("550 relay not permitted", About.RELAY),
        ("550 we do not relay for strangers", About.RELAY),
        ("550 address not found in relay recipient table", About.MISSING_MAILBOX),
        ("553 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)", About.RELAY),
        ("550 5.7.25 Sorry", About.RDNS),
        ("550 5.7.511 Sorry", About.POLICY),
        ("550 blocked, see https://www.backscatterer.org/?ip=192.0.2.1", About.BLOCKLIST),
        ("550 backscatter is refused", About.NULL_SENDER),
        ("550 The message has been rejected by BATV defense", About.NULL_SENDER),
        ("530 5.7.0 Must issue a STARTTLS command first", About.TLS),
        ("530 5.7.0 Authentication required", About.AUTH),
        ("503 5.5.1 bad sequence of commands", About.PROTOCOL),
        ("552 mailbox for user is full", About.FULL),
        ("452 4.2.2 over quota", About.FULL),
        ("552 Requested mail action aborted", About.FULL),
        ("450 4.1.1 <a@example.com>: Recipient address rejected: User unknown", About.MISSING_MAILBOX),
        ("450 4.1.1 <a@example.com>: Recipient address rejected: unverified address", About.TEMPORARY),
        ("451 4.7.1 come again", About.TEMPORARY),
        ("550 5.7.1 Sorry", About.OTHER),
        ("550 Denied", About.POLICY),
        ("556 5.1.10 no", About.NO_MAIL_DOMAIN),
        ("550 sorry, no mailbox here by that name (#5.7.1)", About.MISSING_MAILBOX),
        ("550 user.does.not.exist@example.com: sorry", About.OTHER),
        ("550 see https://example.com/user-unknown/no-such-user", About.OTHER),
        ("550 This address does not exist.Please check it", About.MISSING_MAILBOX),
        ("550 Unbekannter Empfänger", About.MISSING_MAILBOX),
        ("550 Postfach ist voll", About.FULL),
        ("550 L'utilisateur n'existe pas", About.MISSING_MAILBOX),
        ("550 Boîte aux lettres pleine", About.FULL),
        ("550 El buzón está lleno", About.FULL),
        ("550 Usuario desconocido", About.MISSING_MAILBOX),
        ("550 A caixa de correio está cheia", About.FULL),
        ("550 Usuário não existe", About.MISSING_MAILBOX),
        ("550 Utente sconosciuto", About.MISSING_MAILBOX),
        ("550 La casella è piena", About.FULL),
        ("550 Ihre IP-Adresse ist gesperrt", About.POLICY),
    ],
)  # fmt: skip
def test_whose_refusal_it_is(text: str, expected: About) -> None:
    assert about(text) is expected


@pytest.mark.parametrize(
    ("text", "stage", "expected"),
    [
        ("521 mail.example.com", Stage.BANNER, About.NO_MAIL_HOST),
        ("521 5.7.1 blocked using zen.spamhaus.org", Stage.BANNER, About.BLOCKLIST),
        ("521 this host does not accept mail", Stage.BANNER, About.NO_MAIL_HOST),
        ("521 not accepting mail from your network", Stage.BANNER, About.POLICY),
        ("521 this host does not accept mail from you", Stage.BANNER, About.POLICY),
        ("521 Server not accepting mail at this time", Stage.BANNER, About.POLICY),
        ("521 Go and see your administrator", Stage.BANNER, About.POLICY),
        ("521 mail.example.com ESMTP", Stage.BANNER, About.NO_MAIL_HOST),
        ("521 mail.example.com", Stage.RCPT, About.OTHER),
        ("556 no", Stage.MAIL, About.OTHER),
        ("554 no", Stage.BANNER, About.POLICY),
        ("421 busy", Stage.BANNER, About.TEMPORARY),
        ("550 sender blocked", Stage.EHLO, About.POLICY),
        ("550 Sender address rejected", Stage.MAIL, About.OUR_SENDER),
        ("550 no", Stage.MAIL, About.OTHER),
        ("501 5.1.7 Invalid null sender", Stage.MAIL, About.NULL_SENDER),
    ],
)
def test_what_the_stage_makes_of_it(text: str, stage: Stage, expected: About) -> None:
    assert about(text, stage) is expected


def test_a_quoted_reply_is_read_by_the_innermost() -> None:
    outer = "550 5.1.351 Remote server returned unknown recipient or mailbox unavailable -> "
    assert about(outer + "550 5.7.1 Client host rejected: Access denied") is About.POLICY
    assert about(outer + "552 5.2.2 over quota") is About.FULL
    head = (
        "550 <a@example.com>: Recipient address rejected: undeliverable address: host mx[203.0.113.9] said: "
    )
    assert about(head + "550 5.1.1 User unknown (in reply to RCPT TO command)") is About.MISSING_MAILBOX
    assert (
        about(head + "550 5.7.1 blocked using zen.spamhaus.org (in reply to RCPT TO command)")
        is About.BLOCKLIST
    )


def test_a_quotation_behind_words_about_us_does_not_count() -> None:
    head = "550 5.1.0 <p@example.net>: Sender address rejected: undeliverable address: host mx said: "
    assert about(head + "550 5.1.1 User unknown") is About.OUR_SENDER


def test_a_sentence_may_be_broken_over_the_lines_of_a_reply() -> None:
    assert (
        about("550-5.1.1 The account that you tried to reach does\n550 5.1.1 not exist.")
        is About.MISSING_MAILBOX
    )


def test_a_reading_tells_its_words_as_received_and_the_next_best() -> None:
    reading = read(said("550 5.2.1 Der Empfänger ist unbekannt"), Stage.RCPT)
    assert reading == Reading(
        About.MISSING_MAILBOX,
        Basis.WORDS,
        "user-unknown-in-other-tongues",
        "Empfänger ist unbekannt".encode().decode("latin-1"),
        About.DISABLED,
    )


def test_a_text_in_latin_1_is_read_too() -> None:
    reply = Reply(550, ("550 Empf\xe4nger unbekannt",), (), 0.0, 0.0)
    assert read(reply, Stage.RCPT).words == "Empf\xe4nger unbekannt"


@pytest.mark.parametrize("line", ["250 no such user", "354 no such user", "no such user"])
def test_what_refuses_nothing_is_not_read(line: str) -> None:
    code = int(line[:3]) if line[:3].isdigit() else None
    reading = read(Reply(code, (line,), (), 0.0, 0.0), Stage.RCPT)
    assert (reading.about, reading.basis, reading.words) == (About.OTHER, Basis.NONE, None)


# --- untrusted text ------------------------------------------------------------------------------------


@given(st.integers(0, 999), st.lists(st.binary(max_size=300), min_size=1, max_size=4), st.sampled_from(Stage))
def test_no_bytes_raise(code: int, lines: list[bytes], stage: Stage) -> None:
    reply = Reply(code, tuple(f"{code}-" + line.decode("latin-1") for line in lines), (), 0.0, 0.0)
    reading = read(reply, stage, OURS)
    assert len(reading.words or "") <= phrases.WORDS_LIMIT


@given(st.text(max_size=300), st.sampled_from(["İ", "ß", "ﬁ", "ŉ", ""]))
def test_letters_that_change_their_length_raise_nothing(text: str, letter: str) -> None:
    about("550 " + (letter + text + letter).replace("\n", " "))


@pytest.mark.parametrize(
    "unit", ["user ", "a", "a.", "1.", "<", "@", "a@", "said: 550 ", "host a", "https://", "not "]
)
def test_only_the_first_4_kib_are_read(unit: str) -> None:
    flood = (unit * 4096)[: phrases.TEXT_LIMIT]
    assert read(said(f"550 {flood} no such user"), Stage.RCPT).about is About.OTHER


def test_importing_parses_no_phrase() -> None:
    code = (
        "from probe.core.phrases import index as i; from probe.core.words import _word as w; "
        "print(i.cache_info(), w.cache_info())"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.count("currsize=0") == 2


# --- wordings that nobody has quoted yet ------------------------------------------------------------------

CALLED = [
    "user", "mailbox", "mail box", "recipient", "address", "e-mail address", "email account", "mail account",
    "local part", "user name", "username", "userid", "user id", "alias", "addressee", "recipient address",
    "destination address", "local user", "user account", "recipient mailbox",
]  # fmt: skip
MISSING = [
    "{} unknown", "{} is unknown", "{} not found", "{} could not be found", "{} does not exist", "{} doesn't exist",
    "{} no longer exists", "{} is not valid", "{} invalid", "{} not known here", "{} not recognised",
    "{} is non-existent", "{} not registered", "{} cannot be resolved", "{} not in our database",
    "{} didn't match any account", "unknown {}: user", "there is no such {}", "invalid {}", "bad {}",
    "non-existent {}", "unrecognized {}", "not a valid {}", "no {} by that name", "unable to find {}",
    "couldn't find {}", "undeliverable {}", "unresolvable {}", "no matching {}", "this {} does not exist",
    "{} you are trying to reach does not exist", "sorry, {} unknown",
]  # fmt: skip
FULL = [
    "{} full", "{} is over quota", "{} quota exceeded", "{} has exceeded the storage limit", "{} storage full",
    "insufficient space in {}", "{} has no space left", "{} has reached its quota", "{} is temporarily full",
]  # fmt: skip
DISABLED = [
    "{} disabled", "{} has been suspended", "{} is inactive", "{} not active", "{} is locked", "{} closed",
    "{} has expired", "disabled {}", "this {} is disabled", "{} is currently suspended",
]  # fmt: skip


@pytest.mark.parametrize("called", CALLED)
def test_whatever_the_mailbox_is_called_it_is_missing(called: str) -> None:
    for wording in MISSING:
        assert about(f"550 {wording.format(called)}") is About.MISSING_MAILBOX, wording


@pytest.mark.parametrize("called", ["mailbox", "mail box", "user", "account", "inbox", "email account"])
def test_whatever_the_mailbox_is_called_it_is_full_or_disabled(called: str) -> None:
    for wording in FULL:
        assert about(f"552 {wording.format(called)}") is About.FULL, wording
    for wording in DISABLED:
        assert about(f"550 {wording.format(called)}") is About.DISABLED, wording


@pytest.mark.parametrize(
    "traffic", ["messages", "connections", "emails", "recipients", "requests", "sessions"]
)
def test_whatever_is_counted_it_is_a_rate(traffic: str) -> None:
    for wording in ("too many {}", "{} limit exceeded", "number of {} exceeds limit", "limit on {} exceeded"):
        assert about(f"451 {wording.format(traffic)}") is About.RATE, wording


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("550 5.4.1 Recipient address rejected: Access denied", About.MISSING_MAILBOX),
        ("550 5.7.1 Recipient address rejected: Access denied", About.OTHER),
        ("550 Recipient address rejected: Access denied", About.OTHER),
        ("451 4.7.1 Try again later", About.GREYLIST),
        ("451 4.3.0 Try again later", About.TEMPORARY),
        ("451 4.7.500 Server busy. Please try again later from [192.0.2.9]", About.POLICY),
        ("450 4.1.8 Try again later", About.OUR_SENDER),
        ("550 5.7.501 Access denied, spam abuse detected", About.POLICY),
        ("452 4.2.2 User is over the quota. You can try again later.", About.FULL),
        ("450 4.1.1 user unknown, try later", About.TEMPORARY),
        ("550 5.1.1 user unknown, try later", About.OTHER),
    ],
)
def test_the_codes_tell_apart_what_is_worded_alike(text: str, expected: About) -> None:
    assert about(text) is expected
