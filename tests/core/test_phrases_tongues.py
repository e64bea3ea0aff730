"""What is read in other languages than English, and how their scripts are cut into words."""

from __future__ import annotations

import pytest

from probe.core import phrases
from probe.core.model import About, Basis, Reply, Stage
from probe.core.phrases import read
from probe.core.words import cut
from tests.support.every import every

OURS = ("192.0.2.1", "probe.example.net")


def said(text: str) -> Reply:
    """Build the reply whose text this is, as a peer's bytes are kept."""
    return Reply(int(text[:3]), (text.encode().decode("latin-1"),), (), 0.0, 0.0)


MISSING = """
    Empfänger unbekannt · Unbekannter Benutzer · Diese E-Mail-Adresse existiert nicht · Kein solcher Benutzer ·
    Empfaenger unbekannt · Das Postfach existiert leider nicht · Ungültige Adresse ·
    Utilisateur inconnu · L'adresse n'existe pas · Boîte aux lettres inexistante · Aucun utilisateur de ce nom ·
    Utilisateur non trouvé · Adresse inconnue sur ce domaine ·
    Usuario desconocido · El buzón no existe · No existe ese usuario · La cuenta no ha sido encontrada ·
    Usuário desconhecido · Destinatário não encontrado · A conta não existe ·
    Utente sconosciuto · L'indirizzo non esiste · Casella inesistente ·
    Onbekende gebruiker · Het adres bestaat niet · Nieznany użytkownik · Użytkownik nie istnieje ·
    Brak takiego użytkownika · Kullanıcı bulunamadı · Geçersiz alıcı ·
    Пользователь не найден · Неизвестный получатель · Такого пользователя нет · Почтовый ящик не существует ·
    Нет такого пользователя · Адресат не обнаружен ·
    用户不存在 · 该邮箱不存在 · 收件人地址不存在 · 没有此用户 · 查无此人 · 無效的郵箱 · 使用者不存在 · 找不到该用户 ·
    宛先のメールアドレスは存在しません · ユーザーが見つかりません · 不明なユーザー · 存在しない宛先です ·
    사용자를 찾을 수 없습니다 · 존재하지 않는 계정입니다
"""
FULL = """
    Das Postfach ist voll · Quota überschritten · La boîte est pleine · Quota dépassé · El buzón está lleno ·
    Cuota excedida · A caixa de correio está cheia · La casella è piena · Postvak vol · Skrzynka jest pełna ·
    Kutusu dolu · Почтовый ящик переполнен · Превышена квота · 邮箱已满 · 收件人邮箱空间不足 · 超过邮箱容量 ·
    メールボックスがいっぱいです · 容量を超えています · 메일함이 가득 찼습니다
"""
DISABLED = """
    Das Konto ist gesperrt · Compte désactivé · La cuenta está suspendida · Conta desativada · Casella disabilitata ·
    Het account is geblokkeerd · Konto zablokowane · Аккаунт заблокирован · 用户已被禁用 · 该帐户已停用 ·
    アカウントは停止されています
"""
ABOUT_US = """
    Ihre IP-Adresse ist gesperrt · Votre adresse IP est bloquée · Su dirección IP ha sido bloqueada ·
    Seu IP está bloqueado · Il tuo indirizzo IP è bloccato · Uw IP adres is geweigerd · Ваш IP заблокирован ·
    您的IP地址被拒绝 · 发件人IP在黑名单中 · お使いのIPアドレスは拒否されました · 블랙리스트에 등록된 서버입니다 ·
    Su servidor está en una lista negra · Der Absender ist unbekannt · L'adresse de l'expéditeur n'existe pas ·
    La dirección del remitente no existe · O remetente não existe · L'indirizzo del mittente non esiste ·
    Afzender bestaat niet · Nadawca nie istnieje · Отправитель не найден · 发件人不存在 · 寄件人地址不存在 ·
    送信者のメールアドレスは存在しません · Relay nicht erlaubt · 禁止中继 · Zugriff verweigert · 拒绝访问 · アクセス拒否
"""
OPEN = """
    Ihre Adresse existiert nicht · Votre compte n'existe pas · Su dirección no existe · Sua conta não existe ·
    Ваш адрес не найден · 您的邮箱地址不存在 · 您的域名不存在 · 没有权限向此用户发送 · 用户凭证无效 ·
    ユーザーへの送信は許可されていません · ユーザーにはアクセス権がありません · 사용자 권한이 없습니다 ·
    Existiert nicht · N'existe pas · No existe · 不存在 · Пользователь временно не найден
"""
LATER = """
    Bitte versuchen Sie es später erneut · Veuillez réessayer plus tard · Intente más tarde · Tente mais tarde ·
    Riprova più tardi · Probeer het later opnieuw · Daha sonra deneyin · Повторите попытку позже · 请稍后再试 ·
    しばらくしてからもう一度お試しください
"""


def texts(block: str) -> list[str]:
    return [" ".join(text.split()) for text in block.split("·")]


@every("text", texts(MISSING))
def test_a_missing_mailbox(text: str) -> None:
    reading = read(said(f"550 {text}"), Stage.RCPT, OURS)
    assert (reading.about, reading.basis) == (About.MISSING_MAILBOX, Basis.WORDS)


@every("text", texts(FULL))
def test_a_full_mailbox(text: str) -> None:
    assert read(said(f"550 {text}"), Stage.RCPT, OURS).about is About.FULL


@pytest.mark.parametrize("text", texts(DISABLED))
def test_a_disabled_mailbox(text: str) -> None:
    assert read(said(f"550 {text}"), Stage.RCPT, OURS).about is About.DISABLED


@every("text", texts(ABOUT_US))
def test_a_refusal_of_us(text: str) -> None:
    assert read(said(f"550 {text}"), Stage.RCPT, OURS).about in phrases.ABOUT_US


@every("text", texts(OPEN))
def test_what_may_be_said_of_us_is_not_said_of_the_mailbox(text: str) -> None:
    assert read(said(f"550 {text}"), Stage.RCPT, OURS).about not in phrases.ABOUT_MAILBOX


@pytest.mark.parametrize("text", texts(LATER))
def test_a_wish_to_try_later(text: str) -> None:
    assert read(said(f"451 {text}"), Stage.RCPT, OURS).about is About.TEMPORARY


@pytest.mark.parametrize(
    "text", ["Sie stehen auf der grauen Liste", "您已被列入灰名单", "Vous êtes en liste grise"]
)
def test_greylisting(text: str) -> None:
    assert read(said(f"451 {text}"), Stage.RCPT, OURS).about is About.GREYLIST


def test_a_run_without_blanks_is_cut_by_the_words_of_the_table() -> None:
    known = phrases.index().words
    assert [word for word, _, _ in cut("您的IP：用户名不存在。", (), known)] == [
        "^", "您", "的", "ip", "用户", "名", "不存在", ".", "$",
    ]  # fmt: skip


def test_what_is_cut_keeps_its_place() -> None:
    known = phrases.index().words
    text = "该邮箱地址不存在 (l'adresse)"
    for word, start, end in cut(text, (), known)[1:-1]:
        assert text[start:end].endswith(word)


def test_the_words_of_a_reading_are_the_bytes_of_the_peer() -> None:
    reading = read(said("550 对不起，该用户不存在"), Stage.RCPT, OURS)
    assert reading.words == "用户不存在".encode().decode("latin-1")
