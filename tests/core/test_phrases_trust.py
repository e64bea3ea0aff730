"""Never wrong about a sender: a refusal of us, however it is worded, is no missing mailbox."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.core import phrases, wait, words
from probe.core.model import About, Reply, Stage
from probe.core.phrasebook.phrase import Phrase
from probe.core.phrases import ABOUT_MAILBOX, read
from tests.support.every import every

if TYPE_CHECKING:
    from collections.abc import Callable

    from probe.core.words import Word

OURS = ("192.0.2.1", "probe.example.net")


def said(text: str) -> Reply:
    """Build the reply whose lines `text` holds, as a peer's bytes are kept."""
    lines = text.encode().decode("latin-1").split("\n")
    return Reply(int(lines[-1][:3]), tuple(lines), (), 0.0, 0.0)


def about(text: str, stage: Stage = Stage.RCPT) -> About:
    return read(said(text), stage, OURS).about


NOT_ABOUT_THE_MAILBOX = [
    "550 unknown connection; address not registered",
    "550 Address not registered in our relay list",
    "550 mailbox not found for relay access",
    "550 connection not known; account does not exist",
    "550 unknown-user.example.com[192.0.2.1]: Client host rejected",
    "550 Access denied for unknown-user.example.com",
    "550 <unknown.user.example.com>: rejected",
    "550 5.7.1 Rejected, see https://example.com/errors/user-unknown/no-such-mailbox",
    "550 see www.example.com/user_unknown.html?reason=mailbox+not+found",
    '550 Blocked. Our tool said "user unknown" would be the answer for spammers',
    '550 5.7.1 Message to "no such user" lists is not accepted from your network',
    "550 Sender <probe@example.net> does not exist",
    "550 Sender probe@example.net: no such user",
    "550 sender mailbox not found",
    "550 The sender's mailbox does not exist",
    "550 originator unknown",
    "550 MAIL FROM: user unknown",
    "550 5.1.1 Return-path mailbox does not exist",
    "550 reply-to address not found",
    "550 From address does not exist",
    "550 The address you are sending from does not exist",
    "550 recipient's server unknown",
    "550 Recipient's mail server does not know you",
    "550 No such user probe.example.net",
    "550 probe.example.net does not exist",
    "550 host probe.example.net not found",
    "550 HELO name not found: no such host",
    "550 5.1.1 no such user: access from 192.0.2.1 is blocked",
    "550-user unknown\n550-This message is for legal information only.\n550 Your IP 192.0.2.1 is not welcome",
    "550-We do not accept mail from dynamic addresses\n550 user unknown",
    "550-No such user here\n550 Message rejected due to spam filter",
    "550-Rejected: user unknown or sender blocked\n550 contact postmaster",
    "550 user unknown or you are blocked",
    "550 mailbox does not exist or your host is not trusted",
    "550 Your account does not exist on this server",
    "550 Your user name is unknown",
    "550 Unknown user name or bad password",
    "550 your mailbox is full",
    "552 your quota is exceeded",
    "550 Your email address is not in our directory",
    "550 You are not in our address book",
    "550 your address has been disabled",
    "550 Your mail account is suspended",
    "550 Invalid address: your HELO must be a valid address",
    "550 Address 192.0.2.1 not found",
    "550 Address [192.0.2.1] does not exist in DNS",
    "550 IP address not found in reverse zone",
    "550 The address 192.0.2.1 is unknown to us",
    "550 Unknown client address",
    "550 unknown client user",
    "550 client not known here",
    "550 Domain of sender address probe@example.net does not exist",
    "550 sender domain not found",
    "550 user authentication failed: unknown user",
    "550 LDAP error: user lookup failed",
    "550 Verification of recipient failed: timeout, user unknown",
    "550 5.1.1 harvesting: too many unknown users",
    "550 Too many invalid recipients",
    "550 unknown recipients limit reached",
    "550 user unknown (greylisted)",
    "550 The recipient has blocked you; for you this user does not exist",
    "550 user unknown to Spamhaus",
    "550 User not found in whitelist",
    "550 recipient not found in sender's allow list",
    "550 Recipient not in your list of permitted recipients",
    "550 mailbox not available to your domain",
    "550 mailbox unavailable for external senders",
    "550 address not accepting mail from external",
    "550 5.7.1 no such user is allowed to relay",
    "550 relay: user unknown",
    "550 Relay denied: no such user here",
    "550 Not a user of this relay",
    "550 DMARC: recipient unknown",
    "550 5.1.1 SPF: no such user",
    "550 5.7.1 PTR does not exist for address",
    "550 address does not exist in PTR",
    "550 Callout to your host failed: user unknown",
    "550 we verified your address and it does not exist",
    "550 address verification of probe@example.net failed: user unknown",
    "550 unable to verify sender: no such user",
    "550 5.1.1 bounce refused: user unknown",
    "550 null sender to unknown user",
    "550 5.1.1 bounces to this address do not exist, no mail was sent by this user",
    "550 BATV: no such address",
    "550 prvs address invalid",
    "550 this address never sends mail, does not accept bounces",
    "550 Absender unbekannt: Adresse existiert nicht",
    "550 Ihre Adresse existiert nicht",
    "550 Ihre IP Adresse ist unbekannt",
    "550 Votre compte n'existe pas",
    "550 L'adresse de l'expéditeur n'existe pas",
    "550 Votre domaine n'existe pas",
    "550 La dirección del remitente no existe",
    "550 Su dirección de correo no existe",
    "550 Sua conta não existe",
    "550 O endereço do remetente não existe",
    "550 Il mittente non esiste",
    "550 L'indirizzo del mittente è sconosciuto",
    "550 Отправитель не найден",
    "550 Адрес отправителя не существует",
    "550 Ваш адрес не найден",
    "550 发件人地址不存在",
    "550 发件人不存在",
    "550 您的域名不存在",
    "550 IP地址不存在",
    "550 您的邮箱地址不存在",
    "550 送信者のメールアドレスは存在しません",
    "550 差出人アドレスが見つかりません",
    "550 送信元ドメインが見つかりません",
    "550 Nadawca nie istnieje",
    "550 Adres nadawcy nie istnieje",
    "550 Afzender bestaat niet",
    "550 Gönderen adresi bulunamadı",
    "550 service: user unknown at this time, database error",
    "550 internal error: recipient not found",
    "550 User unknown, try again later",
    "550 5.7.1 TLS client certificate: user unknown",
    "550 certificate user not found",
    "550 EHLO unknown user",
    "550 X-Mailer unknown user agent",
    "550 message-id address invalid",
    "550 Header From address does not exist",
    "550 From: header mailbox does not exist",
    "550 no valid recipient in To: header",
    "550 Domain not allowed; address unknown to policy",
    "550 5.7.606 recipient unknown",
    "550 5.7.511 no such user",
    "550 5.7.1 banned: user unknown",
    "550 user unknown in blacklist",
    "550 connection from unknown address",
    "550 Address not registered in our SPF",
    "550 MX of your domain does not exist",
    "550 Host/domain of your address is not valid",
    "550 unknown user: spam trap",
    "550 this mailbox does not exist; it is a spam trap and you are listed",
    "550 your IP is in the unknown users list",
    "550 access denied user invalid",
    "550 The user you are logging in as does not exist",
    "550 Mailbox of the sending user is full",
    "552 sender mailbox is full, bounces would fail",
    "550 sending account disabled",
    "550 remote account is suspended",
    "550 Customer account of your provider is suspended",
    "550 Your hosting account has been suspended",
    "550 5.1.1 is not a local relay user: 203.0.113.9",
    "550 Not a member of this list",
    "550 you're not a subscriber of the list",
    "550 Non-member post refused: subscriber not found",
    "550 address not found in member list",
    "550 Mailing list does not exist for your domain",
    "550 You do not have an existing email account with us",
    "550 The account you are using does not exist",
    "550 Unknown senders not accepted by this mailbox",
    "550 we could not find that domain in your SPF",
    "550 Unable to find recipient domain's approval for your IP",
    "550 unable to route: your network is unreachable",
    "550 unable to route mail from your domain",
    "550 MX lookup failed for your domain",
    "550 5.4.1 Recipient address rejected: Access denied for your IP",
    "550 5.1.10 recipient not found on allowlist",
    "550 we do not recognise that address as an authorised sender",
    "550 Unknown adress 203.0.113.4",
    "550 unknown user from host 203.0.113.4",
    "550 exceeded your disk space",
    "550 You exceeded the storage limit of your account",
    "550 User unknown? We do not tell probes",
    "550 We do not disclose whether the user exists",
    "550 We will not tell you if this user does not exist",
    "550 invalid user (spamtrap hit)",
    "550 Your ISP's mail user does not exist",
    "550 5.1.1 Guest user unknown, authenticate",
    "550 Mailbox not found for authenticated user",
    "550 no user sends from there",
    "550 5.1.1 User rejected you",
    "550 mailbox not found for relaying",
    "550 no such e-mail address, access denied",
    "550 recipient is not accepting mail from your network",
    "550 Adressen finns inte i vår lista över godkända avsändare",
    "550 Avsändaren finns inte",
    "550 Din e-postadress finns inte",
    "550 Afsender ukendt",
    "550 Adresa odesílatele neexistuje",
    "550 Vaše adresa neexistuje",
    "550 A feladó cím nem létezik",
    "550 Adresa expeditorului nu exista",
    "550 Adresa dvs nu exista",
]


@every("text", NOT_ABOUT_THE_MAILBOX)
def test_words_about_somebody_else_make_no_mailbox_missing(text: str) -> None:
    assert about(text) not in ABOUT_MAILBOX


@pytest.mark.parametrize("enhanced", ["5.1.1", "5.1.10", "5.2.1", "5.2.2", "4.1.1"])
@pytest.mark.parametrize("stage", [Stage.RCPT, Stage.MAIL, Stage.BANNER])
def test_no_stage_and_no_enhanced_code_makes_it_so(stage: Stage, enhanced: str) -> None:
    for text in NOT_ABOUT_THE_MAILBOX:
        if text[4:].startswith("5.") or read(said(text), Stage.RCPT, OURS).row == "none":
            continue  # it has a code of its own, or its words say nothing: then the code may speak
        first, *more = text.split("\n")
        coded = "\n".join([f"{first[:4]}{enhanced} {first[4:]}", *more])
        assert about(coded, stage) not in ABOUT_MAILBOX, coded


@pytest.mark.parametrize(
    "text",
    [
        "550 5.1.1 <user@example.com>: user unknown (unknown-user.example.com)",
        "550-No such user here\n550-This system is for authorised use only.\n550 Goodbye",
        "550 User unknown. See https://example.com/blocked/spam-policy?sender=denied",
        "550 'user@example.com': no such user",
        '550 User "user" not found',
    ],
)
def test_what_surrounds_a_missing_mailbox_harmlessly_leaves_it_missing(text: str) -> None:
    assert about(text) is About.MISSING_MAILBOX


ABOUT_A_MAILBOX = [
    "user unknown",
    "no such user",
    "mailbox not found",
    "recipient address does not exist",
    "invalid recipient",
    "unknown e-mail address",
    "unrecognized user",
    "address cannot be resolved",
    "no matching account",
    "account disabled",
    "domain not found",
    "undeliverable address",
    "mail box unavailable",
    "is not a valid email account",
]
ABOUT_SOMEBODY_ELSE = [
    "your IP is blocked", "blocked by spamhaus", "from 192.0.2.4", "for mail from your host", "for your domain",
    "in SPF record", "of the sender", "in our whitelist", "see our anti-spam policy", "(blacklisted)",
    "or sender rejected", "because you are not authorized", "unless authenticated", "at your provider",
    "for relay", "in mailing list", "for HELO name", "in reverse DNS", "too many attempts", "try again later",
    "temporarily", "greylisted", "bounce refused", "null sender", "callout refused", "verification not allowed",
    "TLS required", "login required", "due to poor reputation", "spam", "access denied", "you are banned",
    "rate limit exceeded", "DMARC policy", "in the From header", "server error", "lookup timed out",
    "for mail from you", "from your location", "dynamic IP", "unknown client", "not in DNS", "Return-Path",
]  # fmt: skip


@every("other", ABOUT_SOMEBODY_ELSE)
def test_no_words_about_a_mailbox_outweigh_words_about_somebody_else(other: str) -> None:
    for mailbox in ABOUT_A_MAILBOX:
        for text in (
            f"550 {mailbox} {other}",
            f"550 {other}: {mailbox}",
            f"550 {other}, {mailbox}",
            f"550-{mailbox}.\n550 {other}",
            f"550 5.1.1 {mailbox} ({other})",
            f"550 5.7.1 {other}; {mailbox}",
        ):
            assert about(text) not in ABOUT_MAILBOX, text


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("用户不存在", "gbk"),
        ("發件人不存在", "big5"),
        ("ユーザーが見つかりません", "shift_jis"),
        ("メールアドレスは存在しません", "euc_jp"),
        ("Пользователь не найден", "koi8_r"),
        ("Ваш IP заблокирован", "cp1251"),
        ("사용자를 찾을 수 없습니다", "euc_kr"),
    ],
)
def test_bytes_that_are_not_utf_8_say_nothing(text: str, encoding: str) -> None:
    reply = Reply(550, ("550 " + text.encode(encoding).decode("latin-1"),), (), 0.0, 0.0)
    assert read(reply, Stage.RCPT, OURS).about in {About.OTHER, About.POLICY}


@given(st.binary(min_size=1, max_size=400), st.sampled_from(["gbk", "shift_jis", "koi8_r", "utf-16"]))
def test_no_bytes_of_another_encoding_make_a_mailbox_missing(noise: bytes, encoding: str) -> None:
    text = noise.decode(encoding, "ignore").encode(encoding).decode("latin-1").replace("\n", " ")
    plain = "".join(letter for letter in text if not letter.isascii())
    reply = Reply(550, ("550 " + plain,), (), 0.0, 0.0)
    assert read(reply, Stage.RCPT, OURS).about not in ABOUT_MAILBOX


# --- linear time ---------------------------------------------------------------------------------------

UNITS = [
    "user ", "user not ", "not ", "mailbox is not address in our ", "your ip address is not blocked from client ",
    "no such ", "a", "a.", "1.", "<", "@", "a@", "said: 550 ", "host a", "https://", "1-", "::", "aa'", "用户", "不",
    "wait 5 minutes ", "5 ", "try again in ", "again in for after ", "p=a&", "http://a?p=", "пользователь ", "\x1b[",
]  # fmt: skip


@pytest.mark.parametrize("unit", UNITS)
def test_twice_the_text_is_at_most_twice_the_comparisons(unit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = 0
    walk: Callable[[Phrase, list[Word], int, int], int] = Phrase._end

    def counted(self: Phrase, words: list[Word], at: int, step: int) -> int:
        nonlocal steps
        steps += 1
        return walk(self, words, at, step)

    monkeypatch.setattr(Phrase, "_end", counted)
    counts = []
    for size in (phrases.TEXT_LIMIT // 2, phrases.TEXT_LIMIT):
        steps = 0
        raw = (unit * size).encode().decode("latin-1")[:size]
        read(Reply(550, ("550 " + raw,), (), 0.0, 0.0), Stage.RCPT, OURS)
        counts.append(steps)
    assert counts[1] <= 2.5 * counts[0] + 100
    assert counts[1] <= 4 * phrases.TEXT_LIMIT


@pytest.mark.parametrize("unit", UNITS)
def test_the_cutter_and_the_clock_are_linear(unit: str) -> None:
    """Eight times the text: linear is a factor of 8, quadratic of 64; between them is room for a busy machine."""
    known = phrases.index().words

    def cost(work: Callable[[str], object], size: int) -> float:
        text = (unit * size)[:size] + "9"
        spent = []
        for _ in range(3):
            began = time.process_time()
            work(text)
            spent.append(time.process_time() - began)
        return min(spent)

    def cut(text: str) -> object:
        return words.cut(text, OURS, known)

    for work in (cut, wait.named_wait):
        assert cost(work, 16000) <= 24 * cost(work, 2000) + 0.003
