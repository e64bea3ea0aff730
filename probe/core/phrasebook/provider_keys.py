"""Codes and fixed texts by which single providers and programs say what they mean: rows of the phrase table.

A key is a word that its owner gives one meaning, such as the `?p=NoSuchUser` of Gmail's help links or the
`[TSS04]` of Yahoo. It says more than the sentence around it, and stays the same when the sentence is rewritten.

    DECISIVE            about us, or about the host's state: they win over every wording
    OF_THE_SENDER       fixed texts of mail servers whose first words say that the sender is refused
    ABOUT_THE_MAILBOX   they win over vague words of refusal, but not over words about us
    VAGUE               as weak as the reply code, for texts that RFC 5321 gives to several meanings
"""

from __future__ import annotations

from probe.core.model import About, Basis, Stage
from probe.core.phrasebook.phrase import Row


def _key(name: str, about: About, phrases: str, example: str, source: str, *, at: Stage = Stage.RCPT) -> Row:
    return Row(name, about, phrases, example, source, basis=Basis.KEY, at=at)


DECISIVE: tuple[Row, ...] = (
    # --- Gmail: p= in the help link ---------------------------------------------------------------
    _key(
        "gmail-policy",
        About.POLICY,
        """
        p=unsolicitedmessageerror/p=unsolicitedipmessage/p=notauthorizederror
        p=unauthenticatedmessage/p=unauthorizedsender/p=ipv6autherror
        p=unsolicitedratelimiterror/p=spamratelimiterror
        """,
        "550 5.7.1 Please visit https://support.google.com/mail/?p=UnsolicitedMessageError abc123.1 - gsmtp",
        "Gmail: the key of the help link",
    ),
    _key(
        "gmail-content",
        About.CONTENT,
        "p=blockedmessage",
        "552 5.7.0 Please visit https://support.google.com/mail/?p=BlockedMessage abc123.1 - gsmtp",
        "Gmail: the key of the help link",
    ),
    _key(
        "gmail-closing",
        About.POLICY,
        "^ try again later closing connection",
        "421 4.7.0 Try again later, closing connection.",
        "Gmail documentation: its protocol limits the address that connects",
        at=Stage.BANNER,
    ),
    _key(
        "gmail-rdns",
        About.RDNS,
        "p=badptr/p=ptrrecordmissing",
        "550 5.7.25 Please visit https://support.google.com/mail/?p=BadPtr abc123.1 - gsmtp",
        "Gmail: the key of the help link",
    ),
    # --- Microsoft: the bracketed id behind the text ----------------------------------------------
    _key(
        "microsoft-block-list",
        About.BLOCKLIST,
        """
        s3140/s3150/as3140/as3150
        as16012611/as16012609
        sc 001/002/003/004
        dy 001/002
        ou 001/002
        """,
        "550 SC-001 (BAY004-MC1F1) Unfortunately, messages from 192.0.2.1 weren't sent.",
        "outlook.com and Exchange Online: ids of the block lists, and the older codes of Hotmail",
        at=Stage.MAIL,
    ),
    _key(
        "microsoft-reputation",
        About.POLICY,
        """
        s775/s843/s844
        rp 001/002/003
        """,
        "451 4.7.650 The mail server [192.0.2.1] has been temporarily rate limited. See (S775)",
        "outlook.com: the rate follows from the reputation of the address",
        at=Stage.MAIL,
    ),
    _key(
        "microsoft-tenant-relay",
        About.RELAY,
        "tenantattribution .? relay access? denied",
        "550 5.7.64 TenantAttribution; Relay Access Denied [mx.prod.outlook.com]",
        "Exchange Online: the domain belongs to no customer of that address",
    ),
    _key(
        "microsoft-no-subscription",
        About.TEMPORARY,
        "attr5",
        "451 4.4.4 Mail received as unauthenticated, incoming to a recipient domain configured in a hosted "
        "tenant which has no mail-enabled subscriptions. ATTR5",
        "Exchange Online",
    ),
    # --- Yahoo and AOL ----------------------------------------------------------------------------
    _key(
        "yahoo-deferred",
        About.POLICY,
        """
        ts01/ts02/ts03/ts04
        tss01/tss02/tss03/tss04/tss05/tss06/tss07/tss09/tss11
        """,
        "421 4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred; see https://postmaster.example.com/",
        "Yahoo: the code in brackets",
        at=Stage.MAIL,
    ),
    _key(
        "yahoo-block-list",
        About.BLOCKLIST,
        "bl21/bl23",
        "553 5.7.1 [BL21] Connections will not be accepted from 192.0.2.1",
        "Yahoo: the code in brackets",
        at=Stage.MAIL,
    ),
    _key(
        "yahoo-greylist",
        About.GREYLIST,
        "gl01",
        "421 4.7.1 [GL01] Message from (192.0.2.1) temporarily deferred",
        "Yahoo: the code in brackets",
        at=Stage.MAIL,
    ),
    _key(
        "aol-policy",
        About.POLICY,
        """
        hvu/con/rly/cnd b1/b2/b3/b4/b5
        rtr bl/bb/bg/ch/du/ge/rd
        dyn t1/t2/t3
        """,
        "521 5.2.1 :  (CON:B1)  https://postmaster.example.com/errors/554conb1.html",
        "AOL: the code in brackets",
    ),
    _key(
        "aol-rdns",
        About.RDNS,
        "dns nr",
        "421 4.7.0 Service unavailable - (DNS:NR) https://postmaster.example.com/errors/554dnsnr.html",
        "AOL: the code in brackets",
        at=Stage.BANNER,
    ),
    # --- Apple ------------------------------------------------------------------------------------
    _key(
        "icloud-content",
        About.CONTENT,
        "cs01",
        "550 5.7.1 [CS01] Message rejected due to local policy.",
        "iCloud: the code in brackets",
    ),
    # --- GMX, WEB.DE, 1&1, IONOS: c= in the help link ---------------------------------------------
    _key(
        "gmx-blocked",
        About.BLOCKLIST,
        "c=bl/c=bip/c=r0301",
        "554 Transaction failed, see https://postmaster.gmx.net/en/error-messages?ip=192.0.2.1&c=bl",
        "GMX documentation",
    ),
    _key(
        "gmx-rdns",
        About.RDNS,
        "c=rdns",
        "554 Transaction failed, see https://postmaster.web.de/error-messages?ip=192.0.2.1&c=rdns",
        "GMX documentation",
    ),
    _key(
        "gmx-policy",
        About.POLICY,
        """
        c=hi
        reject due to policy restrictions
        """,
        "550-Requested action not taken: mailbox unavailable\n"
        "550-Reject due to policy restrictions.\n"
        "550 For explanation visit https://postmaster.gmx.net/en/case?c=hi&i=ip&v=192.0.2.1",
        "GMX documentation: its last lines decide, whatever the first one says",
    ),
    # --- France: Orange, SFR, Free, La Poste ------------------------------------------------------
    _key(
        "orange-blocked",
        About.POLICY,
        """
        ofr*/lpn* 102/103/501/510/513/515/519/521
        adresse ip source bloque*
        """,
        "550 mwinf5c04 ME Mail refuse. OFR006_102 [102]",
        "Orange, Wanadoo and La Poste: OFR and LPN codes",
    ),
    _key(
        "orange-rate",
        About.RATE,
        "ofr*/lpn* 104/105/402/403/405",
        "421 mwinf5c04 ME Service refuse. Veuillez essayer plus tard. OFR005_104 [104]",
        "Orange, Wanadoo and La Poste: OFR and LPN codes",
        at=Stage.BANNER,
    ),
    _key(
        "orange-spam",
        About.CONTENT,
        "ofr*/lpn* 506/507",
        "550 5.7.1 Mail rejete. Mail rejected. OFR_506 [506]",
        "Orange, Wanadoo and La Poste: OFR and LPN codes",
    ),
    # --- Germany: T-Online --------------------------------------------------------------------------
    _key(
        "t-online-blocked",
        About.POLICY,
        "ip #ip/#ours .. problem/reputation/dialup/transient/mailgateway",
        "554 IP=192.0.2.1 - A problem occurred. (Ask your postmaster for help or to contact "
        "tosa@rx.example.com to clarify.) (BL)",
        "T-Online",
        at=Stage.BANNER,
    ),
    # --- GoDaddy: the code at the end -----------------------------------------------------------------
    _key(
        "godaddy-blocked",
        About.POLICY,
        "ib103/ib104/ib105/ib106/ib110/ib113",
        "554 Connection refused, for this IP has been seen. IB104",
        "GoDaddy: the code at the end",
    ),
    _key(
        "godaddy-rdns",
        About.RDNS,
        "ib108",
        "421 Temporarily rejected. IB108",
        "GoDaddy: the code at the end",
        at=Stage.BANNER,
    ),
    _key(
        "godaddy-rate",
        About.RATE,
        "ib605/ib607",
        "550 Come back in an hour. IB607",
        "GoDaddy: the code at the end",
    ),
    # --- United States: AT&T, Comcast; Cloudmark, which filters for several ------------------------------
    _key(
        "att-blocked",
        About.BLOCKLIST,
        """
        dnsbl attrbl/rbl
        521 .. is? blocked
        """,
        "553 5.3.0 mx132 DNSBL:ATTRBL 521< 192.0.2.1 >_is_blocked.For assistance forward this error",
        "AT&T, BellSouth, Prodigy",
        at=Stage.MAIL,
    ),
    _key(
        "comcast-blocked",
        About.BLOCKLIST,
        """
        comcast block for spam
        comcast .. found on .. dnsbls
        """,
        "554 mx1.example.com comcast 192.0.2.1 Comcast block for spam.",
        "Comcast",
        at=Stage.BANNER,
    ),
    _key(
        "cloudmark-refused",
        About.POLICY,
        "aup in/out/bl/cxcnct/cxmjto/cdrbl/snd",
        "554 cmgw cloudmark 192.0.2.1 Connection refused. AUP#CXCNCT",
        "Cloudmark gateways (Charter, Cox and others): the code behind AUP#",
        at=Stage.BANNER,
    ),
    # --- Filters: Mimecast, Proofpoint, Barracuda, MessageLabs, MailChannels ---------------------------
    _key(
        "mimecast-reputation",
        About.BLOCKLIST,
        "poor reputation sender",
        "550 csi.example.com Poor Reputation Sender. - https://community.example.com/docs/DOC-1369#550",
        "Mimecast",
    ),
    _key(
        "mimecast-envelope",
        About.POLICY,
        "administrative prohibition .? envelope blocked",
        "550 Administrative prohibition - envelope blocked - https://community.example.com/docs/DOC-1369#550",
        "Mimecast",
    ),
    _key(
        "barracuda-blocked",
        About.POLICY,
        "permanent failure for one or more recipients @ blocked",
        "550 permanent failure for one or more recipients (user@example.com:blocked)",
        "Barracuda",
    ),
    _key(
        "mimecast-content",
        About.CONTENT,
        "^ email rejected due to security policies",
        "554 Email rejected due to security policies - https://community.example.com/docs/DOC-1369#554",
        "Mimecast: its scan of the content",
    ),
    _key(
        "messagelabs-relay",
        About.RELAY,
        "you are trying to use me .. as a relay",
        "553-you are trying to use me [server-1.tower-1.example.com] as a relay, but I have not been\n"
        "553 configured to let you [192.0.2.1, mail.example.net] do this.",
        "MessageLabs",
    ),
    # --- China: QQ, NetEase and other users of Coremail -------------------------------------------------
    _key(
        "qq-rate",
        About.RATE,
        "ip/domain/sender/connection frequency limited",
        "550 Ip frequency limited. https://service.example.com/cgi-bin/help?subtype=1",
        "QQ",
    ),
    _key(
        "qq-refused",
        About.POLICY,
        """
        mail is rejected by recipients
        suspected spam sender
        """,
        "550 Mail is rejected by recipients [xxx IP: 192.0.2.1]",
        "QQ",
    ),
    _key(
        "coremail-refused",
        About.POLICY,
        """
        hl rep/mep/icc/ifc/ipb/ihu
        wm bli/blu
        dt rbl/spf
        mi spf/spb
        ip is rejected/hangup/suspended
        ip/user in blacklist
        requested mail action not taken invalid/fake ip/sender
        """,
        "550 MI:SPB 163 mx31,QMCowECpA0qTiftVaeB3Cg--.872S2 1442548128",
        "NetEase (163.com, 126.com) and Coremail: two letters and three",
    ),
    _key(
        "coremail-rate",
        About.RATE,
        """
        mi cel/dmc/ccl/sfq/stc
        rp cel/drc/ccl/qrc/rcl/trc
        """,
        "450 RP:DRC 163 smtp3,QMCowECpA0qTiftVaeB3Cg--.872S2 1442548128",
        "NetEase (163.com, 126.com) and Coremail: a sender's or a client's count for the connection or the day",
    ),
    _key(
        "coremail-content",
        About.CONTENT,
        "dt spm/sum/vir",
        "554 DT:SPM 163 mx5,QsCowECpA0qTiftVaeB3Cg--.872S2 1442548128",
        "NetEase (163.com, 126.com) and Coremail: two letters and three",
    ),
    # --- Exim, Postfix ----------------------------------------------------------------------------------
    _key(
        "exim-callback-setup",
        About.OUR_SENDER,
        "callback setup failed while verifying",
        "550-Callback setup failed while verifying <probe@example.net>\n"
        "550-The initial connection, or a HELO or MAIL FROM:<> command was\n"
        "550 rejected. Refusing MAIL FROM:<> does not help fight spam.",
        "Exim: our sender's own host refused the callout of the peer",
    ),
    Row(
        "rspamd-greylist",
        About.GREYLIST,
        "^ try again later .? $",
        "451 4.7.1 Try again later",
        "rspamd: its greylisting says this and no more",
        codes=("4.7.1",),
        basis=Basis.KEY,
    ),
    _key(
        "postfix-too-busy",
        About.TEMPORARY,
        "all server ports are busy",
        "421 4.3.2 All server ports are busy",
        "Postfix postscreen",
        at=Stage.BANNER,
    ),
)
"""Keys that win over every wording."""

OF_THE_SENDER: tuple[Row, ...] = (
    _key(
        "postfix-sender-rejected",
        About.OUR_SENDER,
        "sender address rejected",
        "550 5.1.0 <probe@example.net>: Sender address rejected: mailbox disabled",
        "Postfix smtpd: the word before `rejected` says who is meant, whatever the tail says",
    ),
    _key(
        "exim-sender-verify",
        About.OUR_SENDER,
        "sender verify failed",
        "550-Verification failed for <probe@example.net>\n550-Unrouteable address\n550 Sender verify failed",
        "Exim",
    ),
)
"""Texts that name the sender first and then say of it what is also said of mailboxes."""

ABOUT_THE_MAILBOX: tuple[Row, ...] = (
    _key(
        "gmail-no-such-user",
        About.MISSING_MAILBOX,
        "p=nosuchuser",
        "550-5.1.1 The email account that you tried to reach does not exist. Please try\n"
        "550 5.1.1 https://support.google.com/mail/?p=NoSuchUser abc123.1 - gsmtp",
        "Gmail documentation",
    ),
    _key(
        "gmail-disabled",
        About.DISABLED,
        "p=disableduser",
        "550 5.2.1 The email account that you tried to reach is disabled. "
        "https://support.google.com/mail/?p=DisabledUser",
        "Gmail documentation",
    ),
    _key(
        "gmail-full",
        About.FULL,
        "p=overquotatemp/p=overquotaperm/p=overquota",
        "452 4.2.2 The recipient's inbox is out of storage space. "
        "https://support.google.com/mail/?p=OverQuotaTemp",
        "Gmail documentation",
    ),
    _key(
        "gmail-rate",
        About.RATE,
        "p=receivingrate/p=receivingrateperm",
        "450 4.2.1 The user you are trying to contact is busy. "
        "https://support.google.com/mail/?p=ReceivingRate",
        "Gmail documentation",
    ),
    _key(
        "exchange-edge-blocking",
        About.MISSING_MAILBOX,
        """
        recipient address rejected access denied .? .. #outlook
        recipientnotfound/recipnotfound/exrecipnotfound
        """,
        "550 5.4.1 Recipient address rejected: Access denied. "
        "[AM5EUR02FT012.eop-EUR02.prod.protection.outlook.com]",
        "Exchange Online, directory-based edge blocking",
    ),
    Row(
        "exchange-edge-blocking-by-code",
        About.MISSING_MAILBOX,
        "recipient address rejected access denied",
        "550 5.4.1 <user@example.com>: Recipient address rejected: Access denied",
        "Exchange Online: no other host gives these words such a code",
        codes=("5.4.1", "5.7.504"),
        basis=Basis.KEY,
    ),
    _key(
        "orange-unknown",
        About.MISSING_MAILBOX,
        """
        ofr*/lpn* 416
        adresse d au moins un destinataire* invalide
        """,
        "550 5.5.0 Adresse d au moins un destinataire invalide. OFR_416 [416]",
        "Orange, Wanadoo and La Poste: OFR and LPN codes",
    ),
    _key(
        "orange-full",
        About.FULL,
        "ofr*/lpn* 417",
        "552 5.1.1 Boite du destinataire pleine. Recipient overquota. OFR_417 [417]",
        "Orange, Wanadoo and La Poste: OFR and LPN codes",
    ),
    _key(
        "yahoo-no-account",
        About.MISSING_MAILBOX,
        """
        this user doesnt have a #host account
        delivery error dd .. {not} a valid recipient
        """,
        "554 delivery error: dd This user doesn't have a yahoo.com account (user@example.com) [0]",
        "Yahoo",
    ),
    _key(
        "coremail-suspended",
        About.DISABLED,
        "user/rcpt suspended/hangup",
        "550 User suspended",
        "NetEase (163.com, 126.com) and Coremail",
    ),
    _key(
        "mail-ru-mailbox",
        About.MISSING_MAILBOX,
        "local mailbox @ is unavailable user {not} found",
        "550 Message was not accepted -- invalid mailbox. Local mailbox user@example.com is unavailable: "
        "user not found",
        "Mail.ru",
    ),
    _key(
        "mail-ru-disabled",
        About.DISABLED,
        "local mailbox @ is unavailable account/user is {closed}",
        "550 Message was not accepted -- invalid mailbox. Local mailbox user@example.com is unavailable: "
        "user is terminated",
        "Mail.ru",
    ),
)
"""Keys that win over vague words of refusal."""

VAGUE: tuple[Row, ...] = (
    Row(
        "outlook-mailbox-unavailable",
        About.MISSING_MAILBOX,
        """
        requested action not taken mailbox unavailable .. #outlook
        requested action not taken mailbox unavailable s2017062302
        """,
        "550 5.5.0 Requested action not taken: mailbox unavailable (S2017062302). [mx.prod.outlook.com]",
        "outlook.com",
        codes=("5",),
        basis=Basis.KEY,
    ),
)
"""Keys as weak as the reply code."""
