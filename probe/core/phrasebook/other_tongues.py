"""What mail hosts say in other languages than English: rows of the phrase table, in the places that it names.

German, French, Spanish, Portuguese, Italian, Dutch, Polish, Czech, Swedish, Danish, Norwegian, Hungarian,
Romanian, Turkish, Russian, Chinese (both scripts), Japanese and Korean. Each row holds one meaning in all of
them, so that a meaning has one weight whatever the language.

What is said to be missing must be named as a mailbox, a user or an address: `existiert nicht` by itself may be
said of our domain. A word for the sender, our address or a list makes a text doubtful, as it does in English.
"""

from __future__ import annotations

from probe.core.model import About
from probe.core.phrasebook.phrase import Row

# What a phrase may call a mailbox or its owner, by language. Where a word also stands for a host or a person
# who sends, it is left out.
_DE = "benutzer*/empfanger*/empfaenger*/postfach*/mailbox/adresse/emailadresse/mailadresse/konto/teilnehmer*/nutzer*"
_FR = "utilisateur/destinataire*/adresse/boite/compte/bal/abonne"
_ES = "usuario/destinatario*/buzon/cuenta/direccion/casilla/correo"
_PT = "usuario/utilizador/destinatario*/caixa/conta/endereco"
_IT = "utente/destinatario*/casella/indirizzo/account"
_NL = "account/gebruiker*/ontvanger*/adres/mailbox/postbus/postvak/geadresseerde"
_PL = "uzytkownik*/odbiorc*/adres/skrzynk*/konto/adresat*"
_TR = "kullanici*/alici*/adres/adresi/kutu*/hesap*/hesab*"
_CS = "uzivatel*/prijemce*/prijemca/adresat*/schrank*/adresa/ucet"
_SV = (
    "anvandare*/mottagare*/modtager*/mottaker*/bruger*/bruker*/adressen/brevlada*/postkasse*/"
    "konto/kontot/kontoen"
)
_HU = "felhasznalo/cimzett/postafiok/cim"
_RO = "utilizator*/destinatar/destinatarul/casuta/adresa/contul"
_RU = "пользовател*/получател*/адрес/адреса/ящик*/аккаунт*/адресат*/абонент*"
_ZH = (
    "用户/用戶/使用者/收件人/收件者/收信人/邮箱/郵箱/信箱/邮箱地址/邮件地址/郵件地址/地址/帐户/账户/帳戶/"
    "帐号/账号/帳號"
)
_JA = "ユーザー/ユーザ/宛先/あて先/受信者/メールアドレス/アドレス/メールボックス/アカウント"
_KO = "사용자/수신자/메일함/편지함/계정/주소"

GREYLISTED: tuple[Row, ...] = (
    Row(
        "greylist-in-other-tongues",
        About.GREYLIST,
        """
        liste/lista grise/gris/grigia/cinza
        graue/grauen liste
        серый/сером/серого список/списке/списка
        灰名单/灰名單/グレーリスト
        """,
        "451 Vous etes dans la liste grise",
        "French mail hosts",
        codes=("4",),
    ),
)

LISTED: tuple[Row, ...] = (
    Row(
        "listed-in-other-tongues",
        About.BLOCKLIST,
        """
        liste noire/noir
        lista negra/nera
        schwarze/schwarzen/schwarzer liste
        sperrliste/sperrlisten
        zwarte lijst
        czarnej/czarna liscie/lista
        kara liste/listede/listeye
        черный/черном/черного/черные список/списке/списка/списки
        黑名单/黑名單/ブラックリスト/블랙리스트
        """,
        "550 Su servidor esta en una lista negra",
        "Spanish mail hosts",
    ),
)

RATE: tuple[Row, ...] = (
    Row(
        "rate-in-other-tongues",
        About.RATE,
        """
        trop de
        zu viele
        demasiados/demasiadas/demais
        troppe/troppi
        te veel
        zbyt wiele
        cok fazla
        слишком много/часто
        发送频率/發送頻率/发送配额/发送限制/发送数量/频率过高/连接数过多/過於頻繁/过于频繁
        quota/limite/cuota/cota .. envoi/envio/invio
        """,
        "421 Zu viele Verbindungen",
        "German mail hosts",
    ),
)

RELAY: tuple[Row, ...] = (
    Row(
        "relay-denied-in-other-tongues",
        About.RELAY,
        """
        relay/relais/relaying .. nicht/verweigert/verboten
        relay/relais/relaying .. interdit*/refuse/pas
        relay/relaying .. no/negado/denegad*/prohibid*/proibid*/permitido/permitida
        relay/relaying .. negato/vietato/non/niet/nie/geweigerd/zabronion*
        no/non/nao se? permite/consentito/permitido .. relay
        weiterleitung .. nicht/verweigert
        релей*/пересылк* .. запрещ*/не
        中继/中繼/转发 .. 禁止/拒绝/拒絕/不允许/不允許
        禁止/拒绝/拒絕/不允许/不允許 .. 中继/中繼/转发
        中継 .. 禁止/拒否/許可
        """,
        "550 Relay nicht erlaubt",
        "German mail hosts",
    ),
)

SENDER_REFUSED: tuple[Row, ...] = (
    Row(
        "sender-refused-in-other-tongues",
        About.OUR_SENDER,
        """
        absender* .. unbekannt*/nicht/ungultig*/ungueltig*/abgelehnt/gesperrt
        unbekannt*/ungultig*/ungueltig* absender*
        expediteur .. inconnu*/refuse/rejete/invalide/pas
        remitente .. rechazad*/desconocid*/invalido/no
        remetente .. rejeitad*/desconhecid*/invalido/nao/recusad*
        mittente .. sconosciut*/rifiutat*/non
        afzender .. onbekend*/geweigerd/niet
        nadawc* .. nieznan*/odrzucon*/nie
        gonderen* .. reddedildi/gecersiz
        отправител* .. не/неизвест*/отклонен*/заблокирован*
        неизвест* отправител*
        发件人/发件者/發件人/寄件人/寄件者/发信人/發信人/发送者/发送方/发件地址 .. 不存在/无效/無效/被拒绝/拒绝/拒絕
        送信者/送信元/差出人/発信者/差出元 .. 存在しません/不明/無効/拒否/拒否されました
        발신자/보낸 .. 존재/거부
        """,
        "550 Der Absender ist unbekannt",
        "German mail hosts",
    ),
)

CLIENT_REFUSED: tuple[Row, ...] = (
    Row(
        "client-refused-in-other-tongues",
        About.POLICY,
        """
        ip .. gesperrt/blockiert/abgelehnt/verweigert/zuruckgewiesen
        ip .. bloque*/refusee/rejetee/interdit*/rechazad*/bloccat*/rifiutat*/rejeitad*
        ip .. geblokkeerd/geweigerd/zablokowan*/odrzucon*/engellendi/engellenmistir
        ip .. заблокирован*/запрещ*/отклонен*
        ip .. 拒绝/被拒绝/拒絕/被拒絕/屏蔽/封禁/封锁/封鎖/禁止/拒否/拒否されました/ブロック/차단
        拒绝/拒絕/禁止/屏蔽/封禁 .. ip
        serveur/servidor/server/сервер .. bloque*/gesperrt/bloccat*/заблокирован*
        """,
        "554 Votre adresse IP est bloquée",
        "French mail hosts",
    ),
)

FULL: tuple[Row, ...] = (
    Row(
        "mailbox-full-in-other-tongues",
        About.FULL,
        f"""
        {_DE} .. voll/uberfullt/ueberfuellt/ausgelastet
        {_FR} .. pleine/plein/saturee/sature/depasse*
        {_ES} .. lleno/llena/saturado/saturada
        {_PT} .. cheia/cheio/lotada/lotado
        {_IT} .. piena/pieno
        {_NL} .. vol
        {_PL} .. pelna/pelny/pelne/przepelnion*
        {_TR} .. dolu/doldu
        {_RU} .. переполнен*/заполнен*/полон
        {_ZH} .. 已满/已滿/满了/容量不足/空间不足/空間不足
        {_JA} .. いっぱい/一杯/満杯
        {_KO} .. 가득
        quota .. depasse*/superad*/uberschritten/excedid*/superata/erreicht/overschreden/przekroczon*
        quota/kota .. asildi/doldu
        speicherplatz .. uberschritten/erschopft/aufgebraucht
        cuota .. excedid*/superad*
        cota .. excedid*
        espacio/espaco/spazio .. insuficiente/agotado/esaurito/insufficiente
        sin espacio
        sem espaco
        квот* .. превышен*/исчерпан*
        превышен* .. квот*
        нет места
        超过/超出/超過 .. 配额/配額/容量
        配额/配額 .. 已满/已滿/超出/超过/不足
        容量 .. 超えて/超過/オーバー/一杯/いっぱい
        {_CS} .. plna/plny/preplnen*
        {_SV} .. full/fuld
        {_HU} .. megtelt/tele
        speichervolumen/speicherplatz/quota .. uberschritten/ueberschritten/erschopft/erschoepft
        zuviele mails/nachrichten
        superato/superata/supero .. quota/limite/spazio
        """,
        "552 Das Postfach ist voll",
        "German mail hosts",
    ),
)

DISABLED: tuple[Row, ...] = (
    Row(
        "mailbox-disabled-in-other-tongues",
        About.DISABLED,
        f"""
        {_DE} .. gesperrt/deaktiviert/geschlossen/geloscht/geloescht/stillgelegt/inaktiv
        {_FR} .. desactiv*/suspendu*/ferme/fermee/bloque*/inactif/inactive/archive/archivee/supprime/supprimee
        {_ES} .. deshabilitad*/suspendid*/desactiv*/inactiva/inactivo/bloque*/cancelada/eliminada
        {_PT} .. desativad*/suspens*/bloque*/inativa/inativo/cancelada/encerrada
        {_IT} .. disabilitat*/sospes*/bloccat*/disattivat*/inattiv*
        {_NL} .. uitgeschakeld/geblokkeerd/opgeheven/inactief/afgesloten
        {_PL} .. zablokowan*/wylaczon*/nieaktywn*/zawieszon*/usuniet*
        {_TR} .. kapatil*/pasif/devre
        {_RU} .. заблокирован*/отключен*/неактив*/приостановлен*/деактивирован*/удален*
        {_ZH} .. 已禁用/被禁用/已被禁用/禁用/已停用/停用/已冻结/冻结/已凍結/已注销/注销/已锁定/已过期/已关闭
        {_JA} .. 停止/停止中/凍結/無効化
        {_KO} .. 정지/비활성
        """,
        "550 Ce compte est desactive",
        "French mail hosts",
    ),
)

DOUBT: tuple[Row, ...] = (
    Row(
        "doubt-in-other-tongues",
        About.OTHER,
        """
        absender*/expediteur/remitente/remetente/mittente/afzender
        nadawc*/gonderen*/gonderici*/отправител*
        发件人/发件者/發件人/寄件人/寄件者/发信人/發信人/发送者/发送方/发件地址/来信方
        送信者/送信元/差出人/発信者/差出元/발신자
        ihre/ihr/deine adresse/mailadresse/emailadresse/konto/mailbox/domain/server/mailserver/benutzer*
        ihre/deine email adresse
        votre adresse/boite/compte/domaine/serveur
        su/tu direccion/cuenta/buzon/dominio/servidor
        seu/sua/suo/tuo/tua/vostro endereco/conta/dominio/servidor/indirizzo/account/casella/server
        uw/je adres/mailbox/domein/server
        ваш/ваша/вашего/ваше/вашей
        您的地址/您的邮箱/您的域名/您的服务器/您的账户/你的地址/你的域名/贵方/お使いの
        richtlinie/richtlinien/politique/politica/politicas/политик*/策略/政策/ポリシー
        垃圾邮件/垃圾郵件/スパム/迷惑メール/спам*/anfrage
        黑名单/黑名單/屏蔽/封禁/ブラックリスト/拒绝/拒絕/拒否/拒否されました
        spater/spaeter/tarde/tardi/позже/позднее/pozniej/稍后/稍候/暂时/暫時/しばらく/一時的
        plus tard
        temporairement/temporalmente/temporariamente/temporaneamente/vorubergehend/временно/tijdelijk/tymczasowo
        verbindung/connexion/conexion/conexao/connessione/соединени*
        avsandar*/afsender*/avsender*/odesilatel*/odosielatel*/felado*/expeditor*/lahettaja*
        din/ditt/deres/vase/vasa/vas/dumneavoastra/dvs
        """,
        "550 Ihre Adresse existiert nicht",
        "whoever else may be meant, as in the row of the English words",
    ),
)

UNKNOWN: tuple[Row, ...] = (
    Row(
        "user-unknown-in-other-tongues",
        About.MISSING_MAILBOX,
        f"""
        {_DE} .. unbekannt*/ungultig*/ungueltig*/inexistent
        {_DE} .. nicht gefunden/bekannt/vorhanden/existent/vergeben
        {_DE} .. existiert .. nicht
        {_DE} .. gibt es .. nicht
        existiert .. {_DE} .. nicht
        unbekannt*/ungultig*/ungueltig*/falsche/falscher {_DE}
        kein/keine solche/solcher/solches/gultiger/gultige/gultiges? {_DE}
        {_FR} .. inconnu*/inexistant/inexistante/invalide/introuvable
        {_FR} .. existe pas/plus
        {_FR} .. non trouve/trouvee/reconnu/reconnue
        aucun/aucune {_FR}
        {_ES} .. desconocid*/inexistente/invalido/invalida
        {_ES} .. no .. existe/existen/encontrad*/valido/valida/reconocid*
        no existe .. {_ES}
        no se .. encontro/encuentra .. {_ES}
        {_PT} .. desconhecid*/inexistente/invalido
        {_PT} .. nao .. existe/encontrad*/cadastrad*/valido/valida/localizad*
        nao existe .. {_PT}
        {_IT} .. sconosciut*/inesistente/errato/errata
        {_IT} .. non .. esiste/esistente/trovato/trovata/valido/valida/presente
        non esiste .. {_IT}
        {_NL} .. onbekend*/ongeldig*
        {_NL} .. bestaat niet
        {_NL} .. niet gevonden/bekend
        onbekend*/ongeldig* {_NL}
        {_PL} .. nieznan*/nieprawidlow*
        {_PL} .. nie istnieje/znalezion*/odnalezion*
        nieznan*/nieprawidlow* {_PL}
        brak .. uzytkownik*/odbiorc*/skrzynk*/adresat*
        nie ma .. uzytkownik*/skrzynk*/odbiorc*
        {_TR} .. bulunamadi/gecersiz/bilinmiyor/bulunmamaktadir
        boyle bir {_TR} yok
        {_TR} .. mevcut degil
        bilinmeyen/gecersiz {_TR}
        {_RU} .. не найден*/существует/зарегистрирован*/известен/обнаружен*
        {_RU} .. отсутству*
        такого/такой {_RU} .. нет/не
        нет такого/такой {_RU}
        неизвест*/несуществующ*/неверный/недействительн* {_RU}
        {_ZH} .. 未开通/未注册/没有开通/不存在/未找到/找不到/查無此人/查无此人
        {_ZH} 无效/無效/未知/错误/有误
        未知/无效/無效/错误 的? {_ZH}
        没有/沒有/无/無/找不到/未找到/不存在 此/该/該/这个/這個? {_ZH}
        查无此人/查無此人
        {_JA} .. 存在しません/存在しない/見つかりません/見つからない/不明/間違って
        無効な/不明な/存在しない {_JA}
        {_KO} .. 존재하지/찾을
        존재하지 .. {_KO}
        {_CS} .. neexistuje/neznam*/nenalezen*/nenajden*
        neznam*/neexistujici {_CS}
        {_SV} .. finns/findes/finnes/existerar/eksisterer inte/ikke
        {_SV} .. okand*/ukendt*/ukjent*
        okand*/ukendt*/ukjent* {_SV}
        {_HU} .. nem letezik/talalhato
        {_HU} .. ismeretlen
        ismeretlen {_HU}
        {_RO} .. necunoscut*/inexistent/inexistenta
        {_RO} nu exista
        """,
        "550 5.1.1 <user@example.com>: Destinataire inconnu",
        "French mail hosts",
    ),
)

TRY_LATER: tuple[Row, ...] = (
    Row(
        "try-later-in-other-tongues",
        About.TEMPORARY,
        """
        spater/spaeter .. erneut/wieder/nochmal/versuchen
        vorubergehend/temporairement/temporalmente/temporariamente/temporaneamente/tijdelijk/tymczasowo
        plus tard
        reessayer/reessayez
        mas/mais tarde
        piu tardi
        later .. opnieuw
        daha sonra
        sprobuj .. pozniej
        позже/позднее/временно
        稍后/稍候/请重试/請稍後/稍後/暂时/暫時/系统繁忙/系统忙/重试
        しばらく/後ほど/一時的
        나중에/잠시
        """,
        "451 Bitte versuchen Sie es später erneut",
        "German mail hosts",
    ),
)

REFUSED = """
        gesperrt/blockiert/verweigert/abgelehnt/zuruckgewiesen
        bloque*/interdit*/refuse/refusee/rejete/rejetee
        denegad*/prohibid*/proibid*/recusad*/negado/rechazad*/rejeitad*
        bloccat*/negato/vietato/rifiutat*
        geblokkeerd/geweigerd
        zablokowan*/odrzucon*/zabronion*
        engellendi/reddedildi
        заблокирован*/запрещ*/отклонен*/отказано
        拒绝/拒絕/禁止/屏蔽/封禁/拒否/拒否されました/禁止されて/거부/차단
        垃圾邮件/垃圾郵件/反垃圾
"""
"""Vague words of refusal: phrases of the row that has the English ones, because it is known by its id."""
