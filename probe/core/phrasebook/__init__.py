"""What mail hosts say when they refuse, as a table: data for `phrases.py`, which explains how it is read.

The rows stand in the order of their weight, and the first one that matches wins. So the order is the
argument: what the peer says about us comes before what it says about the mailbox, explicit words before vague
ones. The keys of single providers (`provider_keys.py`) and the languages other than English
(`other_tongues.py`) have files of their own and take their places in the same order. `phrase.py` describes the
rows and the language of their phrases.
"""

from __future__ import annotations

from probe.core.model import About, Basis, Stage
from probe.core.phrasebook import other_tongues, provider_keys
from probe.core.phrasebook.phrase import Row

TABLE: tuple[Row, ...] = (
    # --- What decides before everything else: an answer that is no verdict ------------------------
    *provider_keys.DECISIVE,
    Row(
        "greylist",
        About.GREYLIST,
        """
        greylist/greylisted/greylisting/graylist/graylisted/graylisting/greylists/postgrey
        grey/gray list/listed/listing
        """,
        "450 4.2.0 <user@example.com>: Recipient address rejected: Greylisted, see "
        "http://postgrey.example.org/",
        "Postfix with postgrey",
    ),
    *other_tongues.GREYLISTED,
    Row(
        "greylist-in-effect",
        About.GREYLIST,
        """
        intentional policy rejection please? try again
        recipient address rejected service is unavailable
        triplet/tuple
        first time/attempt .. try/retry
        first time sender/connection
        {not} yet authorized/authorised/known/seen
        this {mail} is temporarily denied
        """,
        "451 4.7.1 <user@example.com>: Recipient address rejected: Intentional policy rejection, "
        "please try again later",
        "policy daemons of Postfix",
        codes=("4",),
    ),
    Row(
        "unverified-address",
        About.TEMPORARY,
        """
        unverified address
        address verification in progress
        callout/verification .. in progress
        could not complete recipient verify/verification
        unable/failed to complete recipient verification/verify
        """,
        "450 4.1.1 <user@example.com>: Recipient address rejected: unverified address: "
        "Address verification in progress",
        "Postfix smtpd",
    ),
    Row(
        "delivery-given-up",
        About.TEMPORARY,
        """
        {mail}/delivery time? expired
        {not} answer from host/server
        bad connection
        connection dropped/lost/timed
        """,
        "550 5.4.300 Message expired",
        "Exchange documentation: a relay behind the host could not reach the next one in time",
    ),
    Row(
        "helo-first",
        About.PROTOCOL,
        """
        say/send/issue/expecting/expected a/an/your? helo/ehlo/hello first?
        need/require/requires/want/missing/without a/an/your? helo/ehlo/hello first?
        helo/ehlo/hello or? helo/ehlo/hello? required/first/before/missing/needed
        no helo/ehlo/hello
        mail/rcpt first/before
        need mail/rcpt
        bad sequence
        out of order/sequence
        nested mail
        sender already
        duplicate/second/repeated helo/ehlo
        """,
        "503 5.5.1 Error: send HELO/EHLO first",
        "Postfix smtpd",
        at=Stage.MAIL,
    ),
    Row(
        "out-of-turn",
        About.PROTOCOL,
        """
        protocol violation
        synchronization/synchronisation
        before .. greeting/banner
        """,
        "554 SMTP synchronization error",
        "Exim: we spoke before it was our turn",
        at=Stage.BANNER,
    ),
    Row(
        "smtputf8",
        About.PROTOCOL,
        """
        smtputf8
        non ascii address/addresses/recipient/characters
        """,
        "553 5.6.7 Must declare SMTPUTF8 to send unicode address",
        "sendmail; RFC 6531",
    ),
    # --- About us: how we connect -----------------------------------------------------------------
    Row(
        "spf-of-helo",
        About.POLICY,
        """
        helo/ehlo .. spf
        spf .. helo/ehlo
        """,
        "550 5.7.1 SPF check of HELO mail.example.net failed",
        "SPF policy daemons",
    ),
    Row(
        "helo",
        About.HELO,
        """
        helo/ehlo/helos
        impersonating/impersonate .. me/us/host/domain
        you are not me/us
        """,
        "504 5.5.2 <probe>: Helo command rejected: need fully-qualified hostname",
        "Postfix smtpd, reject_non_fqdn_helo_hostname",
    ),
    Row(
        "helo-name",
        About.HELO,
        """
        {wrong} domain/host/hostname/name name? .? $
        """,
        "501 5.0.0 Invalid domain name",
        "sendmail; 501 is its answer to EHLO or HELO",
        codes=("501",),
        at=Stage.EHLO,
    ),
    Row(
        "reverse-dns",
        About.RDNS,
        """
        rdns/fcrdns/iprev
        reverse/backward dns/lookup/name/names/hostname/host/resolution/mapping/record/entry
        ptr
        forward confirmed
        cannot/cant find your hostname
        cannot/cant/unable/failed/could/couldnt not? to? resolve your ip/host/hostname/address
        hostname .. {not} resolve
        ip .. {not} .. hostname
        ip .. hostname/hostnames .. {not}
        dns/hostname/hostnames .. {not} match
        client .. {not} .. hostname
        """,
        "450 4.7.25 Client host rejected: cannot find your hostname, [192.0.2.1]",
        "Postfix smtpd, reject_unknown_client_hostname",
    ),
    Row(
        "tls-not-now",
        About.PROTOCOL,
        """
        starttls/tls .. already
        tls/ssl .. handshake/negotiation/error/failed/failure
        tls {not} available
        starttls command? {not} supported/implemented/allowed/recognized/available
        """,
        "503 5.5.1 Error: TLS already active",
        "Postfix smtpd",
        at=Stage.STARTTLS,
    ),
    Row(
        "starttls",
        About.TLS,
        """
        starttls
        tls/ssl/encryption .. required/needed/mandatory
        requires/require/required/need/needs/must/only .. tls/ssl/encryption/encrypted
        {not} {allowed} .. without tls/ssl/encryption
        unencrypted/cleartext/plaintext .. {not} {allowed}
        encrypted session/connection/channel
        tls/ssl
        """,
        "530 5.7.0 Must issue a STARTTLS command first",
        "Postfix smtpd; RFC 3207",
        at=Stage.MAIL,
    ),
    # --- About our sender: the null one first -----------------------------------------------------
    Row(
        "null-sender",
        About.NULL_SENDER,
        """
        null/empty/blank/<> envelope/return/reverse? sender/senders/from/path/address/mailfrom/originator
        sender/from/path/mailfrom .. null/empty/blank
        <> sender/from .. {refused}
        {mail}/{sender} from? <>
        bouncedeny/bouncedenied
        batv/prvs
        backscatter/backscattering
        bounce/bounces/bounced {mail}? {not}/{refused}
        bounce/bounces/bounced .. {not} {allowed}
        {not} .. accept/send/receive/take/allow/want any? bounces/bounce/dsn/dsns
        no bounces/bounce
        bounce address/verification/tag .. {refused}/{wrong}/failed/missing
        {wrong} bounce/bounces/backscatter
        bounces are {wrong}
        dsn/dsns/ndr/ndrs {not}/{refused}/are
        delivery status notifications/notification .. {not}/{refused}
        {not} .. delivery status notifications/notification
        non delivery reports/report/notifications
        never sent/sends {mail}
        bounces/dsns/ndrs are? {refused}
        """,
        "553 5.7.1 Null sender is not allowed",
        "NetEase and others",
        at=Stage.MAIL,
    ),
    # --- About us: lists and reputation -----------------------------------------------------------
    Row(
        "blocked-using",
        About.BLOCKLIST,
        """
        #dnsbl
        spamhaus/spamcop/sorbs/uceprotect/backscatterer/abusix/mailspike/spamrats/surbl/uribl/barracudacentral
        blocked/rejected/refused/denied/listed using/by/via/at #host
        blocked using
        """,
        "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org",
        "Postfix smtpd, reject_rbl_client",
    ),
    Row(
        "not-listed",
        About.MISSING_MAILBOX,
        """
        {box}/users/person .. {not} listed in
        {box} .. {not} .. directory/ldap
        """,
        "550 5.1.1 user@example.com... User not listed in the directory",
        "directory servers",
    ),
    Row(
        "listed",
        About.BLOCKLIST,
        """
        rbl/rbls/dnsbl/dnsbls/dnsrbl/uribl/surbl/drbl
        blacklist/blacklisted/blacklists/blacklisting/blocklist/blocklisted/blocklists/denylist/denylisted
        black/block/deny/reject list/listed/lists
        !not/isnt listed in/on/at/by/as
        {your} {us} address? is listed
        {ip} .. listed/listing
        reputation
        exploits/policy/spam/block/realtime list/blocklist/blackhole
        senderbase/senderscore/talos/cloudmark
        """,
        "554 5.7.1 Your IP address is listed in the block list of our provider",
        "many",
    ),
    *other_tongues.LISTED,
    Row(
        "login-failed",
        About.AUTH,
        """
        authentication/auth/login/credentials/password failed/failure/unsuccessful/invalid/incorrect
        incorrect/invalid/bad authentication/credentials/password/login/username
        username/password/user/login .. {not} {allowed}/match/valid
        """,
        "535 5.7.8 Error: authentication failed",
        "Postfix smtpd, RFC 4954",
        codes=("53",),
        at=Stage.MAIL,
    ),
    Row(
        "auth-of-sender",
        About.OUR_SENDER,
        """
        spf
        sender policy framework
        sender id
        purported responsible
        {not} {allowed}/designated .. sender/mailer/send .. domain
        """,
        "550 5.7.23 The message was rejected because of Sender Policy Framework violation",
        "Exchange Online documentation",
    ),
    Row(
        "dmarc",
        About.POLICY,
        """
        dmarc/dkim/domainkeys
        authentication checks/results/information/failed/failure
        authenticate with
        {sender}/{mail} .. unauthenticated
        unauthenticated {mail}
        {not}/fails/failed pass/passed/to .. authentication
        sender .. authenticate/authentication
        authentication level/requirement/requirements/policy/status
        """,
        "550 5.7.26 Unauthenticated email from example.net is not accepted due to domain's DMARC policy",
        "Gmail documentation",
    ),
    Row(
        "relay-denied-outright",
        About.RELAY,
        """
        !rejected relay/relaying access? denied/prohibited/refused/rejected
        relay/relaying to @/#host? denied/prohibited/refused/rejected
        """,
        "550 5.7.1 <user@example.com>... Relaying denied. Proper authentication required.",
        "sendmail: authentication is named as a way out, but what is refused is to relay",
    ),
    Row(
        "sender-unknown-to-recipient",
        About.POLICY,
        "sender was/is? not authenticated by/for/when/to",
        "550 5.7.134 Sender was not authenticated for mailbox",
        "Exchange documentation: the mailbox exists and takes only senders of its organization",
    ),
    Row(
        "authentication",
        About.AUTH,
        """
        authentication .. required/needed/mandatory/first/necessary
        require/requires/required/need/needs .. authentication/authenticate/authenticated
        must/please/use/without/turn/enable .. authentication/authenticate/authenticated
        must/first/before .. auth/authenticate/login
        auth/authentication/login/authorization first/required/needed
        smtp auth/authentication
        {not} authenticated/logged
        unauthenticated/anonymous
        pop before
        log in first/before
        must login/authenticate
        must log in/on
        {not} {allowed} to send .. without
        """,
        "530 5.7.0 Authentication required",
        "submission servers; RFC 4954",
        at=Stage.MAIL,
    ),
    Row(
        "syntax",
        About.PROTOCOL,
        """
        syntax
        unrecognized/unrecognised/unknown command/parameter/argument/arguments/option
        invalid/unimplemented/bad/unexpected command/parameter/argument/arguments/option
        command/parameter/argument/parameters/option .. {not} recognized/recognised/implemented
        command/parameter/argument/parameters/option .. {not} understood/supported/known
        command/parameter unrecognized/unrecognised/unknown/unimplemented
        unrecognized/unrecognised/unknown/invalid/bad .. parameters
        {not} implemented
        pipelining
        protocol error
        argument/arguments/parameter/parameters/option {not} {allowed}
        need/needs/must .. fully qualified
        {not} fully qualified
        missing/unmatched/unbalanced .. colon/bracket/brackets/domain
        command .. {not}/disabled/refused
        too many .. errors/commands
        bare lf/cr/linefeed/newline
        wrong protocol
        stray newline/newlines
        malformed address/recipient/path
        """,
        "501 5.1.3 Bad recipient address syntax",
        "Postfix smtpd",
    ),
    *provider_keys.OF_THE_SENDER,
    Row(
        "mailbox-full-outright",
        About.FULL,
        """
        mailbox/inbox/maildir/maildrop/user/account/recipient is? too/temporarily? full
        mailbox/user/account/recipient/inbox is? over quota/overquota
        mailbox/user/inbox quota/size/storage limit? is? exceeded
        {box} @? .. over quota/overquota
        {box} @? is? over the/its/their/his quota
        {box} has too much/many {mail}
        insufficient/{not} .. space/storage/room/quota in/for/on .. mailbox/user/recipient/account/inbox
        """,
        "452 4.2.2 <user@example.com>: Mailbox full, too many messages",
        "Dovecot, Cyrus and others",
    ),
    Row(
        "message-size",
        About.CONTENT,
        """
        {mail}/file/maximum/max size
        !mailbox/user/account/quota/inbox size limit/limits
        size of .. {mail}
        {mail}/header/headers/line/lines/body/attachment .. too {size}
        {mail} is? larger/bigger than
        line length/limit
        mailsize/messagesize
        message/mail length
        """,
        "552 5.3.4 Message size exceeds fixed limit",
        "Postfix; RFC 1870",
    ),
    # --- About us: how often ----------------------------------------------------------------------
    Row(
        "spam-by-content",
        About.CONTENT,
        """
        {mail} .. classified/identified/detected/flagged/marked/recognized/recognised/regarded/considered as spam
        detected your? {mail} as spam
        {mail} .. looks/look/appears .. spam
        probability/likelihood/score/level of spam
        spam score/probability/points/level/filter/content
        """,
        "550 This message was classified as SPAM",
        "content filters: it is the message, and not its sender, that is called so",
        codes=("5",),
    ),
    Row(
        "bad-traffic",
        About.POLICY,
        """
        {your}/this {us} address? has/have been .. {refused}
        messages from .. werent sent
        unusual/suspicious/high/unexpected/excessive .. unsolicited/spam/complaints/abuse
        unusual/suspicious/unexpected rate/volume/amount/activity/traffic
        unsolicited {mail} .. originating/ip
        user complaints
        spamming/spammer/spammers
        sending/sends/sent/source .. spam
        {ip}/sender/host/server .. spam
        spam .. {ip}/sender
        spam .. from {your} {us}
        known spam
        harvest/harvesting/harvester attack/attacks/detected/attempt/attempts/from/is
        dictionary/enumeration/scanning attack/attacks/detected
        spam source/sender/senders/host/site
        """,
        "421 4.7.28 Our system has detected an unusual rate of unsolicited mail originating from "
        "your IP address",
        "Gmail documentation",
    ),
    Row(
        "rate",
        About.RATE,
        """
        too many/much connections/messages/message/mail/mails
        too many/much email/emails/recipients/requests/sessions/concurrent
        too many/much invalid/unknown/bad/failed/unrecognized rcpt/recipients/users/addresses/attempts
        too many/much simultaneous/different/smtp/from/to/this/attempts/envelopes
        !not {rate} exceeded/exceeds/reached .. connections/messages/hour/minute/recipients
        rate/frequency/throttle/throttling limit/limits/limited/limiting/control/exceeded/exceeds
        throttled/throttling/throttle/ratelimit/ratelimited
        exceed/exceeds/exceeded/exceeding/reached/over .. rate/frequency/connections
        exceed/exceeds/exceeded/exceeding/reached/over .. connection/messages/hourly/daily
        maximum number of? .. connections/messages/recipients
        connection/connections/message/messages/recipient rate/limit/limits/frequency/count exceeded?
        limit on .. number/messages/recipients/connections
        maximum/max sessions/connections
        messaging limits/limit/rate
        sending/receiving/recipient/recipients/sender rate/limit/limits/frequency
        {mail} at a rate
        daily/hourly/connection/connections/sending/sender/smtp/outgoing/outbound quota
        daily/hourly/sending/outgoing/outbound limit/limits
        {not} .. so/as fast/quickly/often/frequently
        slow down
        too fast/quickly/frequent/frequently/often/rapidly
        concurrent/simultaneous connections/sessions
        too many .. mails/messages/connections/recipients/rcpts/sessions
        per hour/minute/second/day/connection/session
        submission rate/quota/limit/limits
        out of .. rcpt/recipients
        thread/relay limit
        limit exceeded for customer
        number of {traffic} exceeds/exceeded/over
        maximum/max/excessive/limit number? of? {traffic}
        {traffic} rate/limit/limits too? high/exceeded/reached
        daily/hourly {traffic} limit/limits
        limit on {traffic}
        """,
        "421 4.7.0 Too many concurrent SMTP connections; please try again later",
        "Exim, sendmail and others",
    ),
    *other_tongues.RATE,
    # --- About us: relaying (the recipient's domain is not served there) --------------------------
    Row(
        "relay-denied",
        About.RELAY,
        """
        relay/relaying/relayed access? .. {refused}
        relay/relaying access? {not}
        {not} a/an/to/we? relay
        {not} {allowed} .. relay
        {not} .. relaying/relayed
        {refused}/unable/unauthorized to? relay/relaying
        {not} a/an/our/your/my? relay/gateway
        cannot/cant accept for relay
        open relay
        list of allowed rcpthosts/domains/hosts
        rcpthosts
        relay/relaying access? is {not}/disabled
        relay/relaying to/for .. is {not}
        relay/relaying disabled
        """,
        "550 relay not permitted",
        "Exim",
    ),
    *other_tongues.RELAY,
    Row(
        "restricted-recipient",
        About.POLICY,
        """
        allowed/approved/accepted/safe/permitted senders/sender list
        sender {not} {allowed}/authenticated for/to/by
        {not} {allowed} .. to .. this/that/the recipient/group/mailbox/list/address
        only accepts/accept .. from
        only members/subscribers
        delivery .. restricted
        {refused} your {mail}
        list of permitted/approved/authorized/accepted
        accepts {mail} only from
        restricted .. senders/recipient/group/internal
        """,
        "550 5.7.129 RESOLVER.RST.RestrictedToRecipientsPermission; sender not authorized for recipient",
        "Exchange documentation: the mailbox exists and takes only certain senders",
    ),
    Row(
        "mailbox-disabled-outright",
        About.DISABLED,
        """
        mailbox is/was/has been? blocked/disabled/suspended/closed/deleted/deactivated/locked
        mailbox disabled/suspended/inactive/deactivated/locked/closed/blocked
        recipient/user account/mailbox? is/was/has been? disabled/suspended/closed/deleted/deactivated/locked
        mailbox/user/account/recipient/inbox is? {not} accepting/receiving {mail} .? $
        !your/sender account is/was/has been? disabled/suspended/closed/deleted/deactivated/locked
        """,
        "554 5.2.1 <user@example.com>: mailbox disabled, not accepting messages",
        "RFC 3463, in the words of many",
    ),
    # --- About our sender: one with a name --------------------------------------------------------
    Row(
        "sender-refused",
        About.OUR_SENDER,
        """
        sender address/domain/email? .. {refused}/{wrong}/{not}
        sender verify/verification/validation .. failed/failure/fail/rejected
        verification/validation failed for sender/#sender
        sender callout/callback .. failed/failure/fail/rejected
        {not} verify sender/#sender
        #sender .. {refused}/{wrong}/{not}/unknown
        sender .. {not} exist/exists/found/known/verified/valid/verify
        {wrong}/unknown/unroutable/unrouteable/unverified/undeliverable sender/senders/mailfrom
        sender is? {wrong}/unknown/unroutable/unverified/rejected/denied/refused
        domain of/in your? sender/senders/from/mailfrom
        sender/senders/mailfrom/return/sending domain/host/path/address
        from domain/path/address
        mail from domain/address/command? .. {refused}/{wrong}/{not}
        envelope from/sender .. {refused}/{wrong}/{not}
        domain .. sender/senders .. {not}
        unresolvable .. domain
        {wrong} dns mx/record/records/resource
        return path .. {refused}/{wrong}/{not}
        badmailfrom
        sender/senders address? must/should
        could not complete sender verify/verification
        unable/failed to complete sender verification/verify
        """,
        "553 5.1.8 <probe@example.net>... Domain of sender address probe@example.net does not exist",
        "sendmail",
    ),
    *other_tongues.SENDER_REFUSED,
    # --- About the mailbox, in a key that stands before vague words of refusal ---------------------
    *provider_keys.ABOUT_THE_MAILBOX,
    Row(
        "host-takes-no-mail",
        About.NO_MAIL_HOST,
        """
        {not} {allowed}/receive/receives/receiving/handle any? network? {mail} $/./here
        no {mail} here/service
        """,
        "521 mail.example.com does not accept mail",
        "RFC 7504",
        codes=("521",),
        at=Stage.BANNER,
    ),
    # --- About us: outright -----------------------------------------------------------------------
    Row(
        "client-refused",
        About.POLICY,
        """
        client host/address/name? .. {refused}/rejected
        {your} {us} address/addresses? .. {refused}
        {your} {us} address/addresses? .. {not} {allowed}
        {refused} .. {your} {us}
        {not} {allowed} .. {your} {us}
        this ip/range/network .. {refused}
        this ip/range/network .. {not} {allowed}
        your mail {us} .. {refused}/{not}
        {ip} .. {refused}
        {ip} is/has .. {not}
        {refused} for/from? {ip}
        mail/mails/email/message/connect/connection/connections/connecting from .. {refused}
        mail/mails/email/message/connect/connection/connections/connecting from {your} {us}
        from your location
        {mail} from {ip} .. deferred/delayed
        connection/connections/{mail} .. {not} be? {allowed} from
        ip .. in .. list/lists
        connection/connections/connect/session/envelope {refused}
        {not} {allowed} to connect/send/deliver/talk/submit
        {not} {allowed} {mail} from
        {not} accepting connections/smtp
        administrative/administratively prohibition/prohibited/denied/rejected/blocked
        banned/dynamic/dialup/residential .. ip/host/address/sender/network/range/proxy
        infected/compromised/abusive/open .. ip/host/address/sender/network/range/proxy
        sender address? is? blocked/banned
        suspected spam sender
        sender {refused}
        {refused} sender
        delivery {not} {allowed}
        block/blocked senders/sender
        blocked by/for/due/because/temporarily
        delist/delisting/delisted/unblock/unblocked/removal
        rejected/refused/blocked by .. recipient/recipients/administrator/user/owner
        no access for/to/from .. ip/domain/host/user/network/sender/you
        whois
        {wrong} ip
        smtp server/relay of your
        hl ipb/rep/icc/ifc
        no smtp service
        black/blacklisted/blocked/bad ip/ips
        host/server/system denies
        {ip}/ip {not} in/on .. whitelist/allowlist/list
        {not} have permission/permissions/rights to send/deliver/relay/connect
        spam ip/ips
        outgoing/outbound mail .. suspended/disabled/{refused}
        """,
        "554 5.7.1 <mail.example.net[192.0.2.1]>: Client host rejected: Access denied",
        "Postfix smtpd, check_client_access",
    ),
    *other_tongues.CLIENT_REFUSED,
    Row(
        "callout-refused",
        About.POLICY,
        """
        callout/callouts/callback/callbacks .. {not}/{refused}
        verify/verification/verifications .. {not} {allowed}/supported/permitted/welcome/answered
        """,
        "550 Address verification is not permitted here",
        "hosts that know a callout when they see one",
    ),
    Row(
        "policy",
        About.POLICY,
        """
        policy/policies reason/reasons/restriction/restrictions/violation/violations
        policy/policies rejection/rejections/reject/refusal/block/blocked
        policy/policies
        violates/violation .. policy
        against our
        """,
        "550 5.7.1 Message rejected due to local policy",
        "many",
    ),
    Row(
        "null-mx",
        About.NO_MAIL_DOMAIN,
        """
        null mx
        nullmx
        """,
        "550 5.1.10 Recipient address has a null MX",
        "RFC 7505",
    ),
    # --- About the mailbox ------------------------------------------------------------------------
    Row(
        "mailbox-full",
        About.FULL,
        """
        {box}/users/storage/quota/inbox .. is? full
        {full} mailbox/inbox
        overquota
        over .. quota/limit/allocation
        quota .. exceeded/exceeds/exceed/reached/full/violation/exhausted
        exceed/exceeds/exceeded/exceeding/reached/over/above .. quota/allocation/storage
        {box} .. exceed/exceeds/exceeded .. size/limit/space/maximum
        {box} .. size/limit .. exceeded/reached
        storage allocation
        out of .. storage/space/quota
        {not} enough/sufficient .. space/storage/quota .. mailbox/account/user/recipient
        {box} .. {not} enough/sufficient .. space/storage/quota
        {box} .. insufficient .. space/storage/quota
        insufficient quota
        {box} .. too large/big
        {box} .. has too/no many/room/space
        mailbox/maildir/inbox storage exceeded
        exceed/exceeds/exceeded/exhausted/exceeding .. storage/disk/space/allotment
        {box} .. reached .. maximum/limit/capacity/size
        {box} .. capacity exceeded/reached
        """,
        "552 5.2.2 <user@example.com>: The user you wrote to has exceeded the storage quota",
        "Dovecot, Cyrus and others",
    ),
    *other_tongues.FULL,
    Row(
        "recipient-domain-disabled",
        About.TEMPORARY,
        "domain .. temporarily disabled/unavailable/suspended",
        "450 4.2.1 Recipient domain is temporarily unavailable",
        "hosting providers",
        codes=("4",),
    ),
    Row(
        "mailbox-busy",
        About.TEMPORARY,
        """
        {box} .. busy
        {box} .. is/currently? locked/in use by another
        {box} temporarily locked
        """,
        "450 4.2.1 Requested mail action not taken: mailbox busy",
        "RFC 5321 4.2.3",
        codes=("4",),
    ),
    Row(
        "mailbox-disabled",
        About.DISABLED,
        """
        {box} .. is/are/has/was/been/currently/temporarily/now/permanently {closed}
        {box} @? {closed}
        @ is/was/has been? {closed}
        {box} .. {closed}
        {box}/email .. {not} .. active/use/enabled/activated
        {box} .. retired/dormant/abandoned/stopped
        {box} is/has/been/was been? deleted/removed
        account/accounts/inbox is/has/been/was been? blocked
        !or disabled/suspended/inactive/deactivated/locked/frozen/expired/terminated {kind}? {box}
        {box} .. on hold
        {not} longer active
        {box} .. {not} .. activated/enabled/accepting
        {not} accepting/receiving/receive {mail}? .. {box}
        is now? disabled
        """,
        "550 Account <user@example.com> is inactive",
        "many",
    ),
    *other_tongues.DISABLED,
    Row(
        "names-us",
        About.POLICY,
        "#ours",
        "550 No thanks, mail.example.net",
        "the address or the name under which we came",
    ),
    Row(
        "doubt",
        About.OTHER,
        """
        sender/senders/originator/originators/mailfrom/#sender
        client/clients/peer/connecting/originating
        ip/ips/#ours
        mail from
        from you/your/#ip/external/outside/unknown
        connection/connections/sent from
        unknown/unregistered/bad/invalid connection/connections
        connection/connections {not}
        relay access/list/host/hosts/client/network
        reply/return/reverse address/path/domain/lookup
        !check/verify/correct/recheck/checking/verifying your mail/email? address/account/domain/server/host/quota
        your mail/email? {us}
        !sure you {not}
        you are/were/do/have {not}
        for/to you
        for/of sending
        sending {us}/{box}/domain/system/site
        sending from
        or you/your
        you are/were blocked/listed/banned/using/connecting
        logging/logged in/as
        your user/users/username/mailbox/mailboxes/inbox/hosting
        remote/foreign/hosting {box}
        recipients mail? server/host/system/provider
        reply to address
        address/addresses #ip
        address verification
        bounce/bounces/dsn/dsns
        in dns
        whitelist/whitelisted/allowlist/safelist
        ^ access/relay/relaying
        to/this relay
        certificate/header/headers
        message id
        user agent
        policy/policies/reputation/prohibition/prohibited/banned/blacklisted
        spam/spammer/spammers/spamming/junk/unsolicited/virus
        filter/filters/filtering/filtered
        suspicious/untrusted/attack/attacks/harvest/harvesting/probing/scanning
        password/passwords/login/credentials/authentication
        ^ blocked/denied
        database/internal/server/ldap/lookup error/failure/failed
        service unavailable
        {refused} you
        members/membership
        member list/of
        non member
        mailing list/lists
        this list
        of list
        exceed/exceeds/exceeded your
        {not} tell/disclose/reveal/confirm
        will never
        spamtrap/spamtraps/trap/traps/honeypot
        your isps/providers/network
        authenticate/authenticated/guest
        from host
        sends
        adress #ip
        relay user/users
        for relay/relaying
        !rejected access denied
        """,
        "550 Invalid recipient or sender",
        "whoever else may be meant: of the labelled refusals of mailboxes none says any of these",
    ),
    Row(
        "doubt-for-now",
        About.OTHER,
        """
        temporary/timeout/later
        temporarily unavailable/deferred/rejected/unable
        at this time
        temporarily ./$
        ^ temporarily
        timed out
        """,
        "550 No such user at this time",
        "words that make it a matter of time: a mailbox that does not exist is not missing for now",
    ),
    *other_tongues.DOUBT,
    Row(
        "domain-unknown",
        About.MISSING_DOMAIN,
        """
        domain/domains .. {not} exist/exists/here/hosted/served/handled/local/configured/accepted/managed
        {box} .. domain {not}? found
        {not} such domain
        unknown/invalid/nonexistent/unrouteable/unroutable recipient/destination/mail domain/host
        nonexistentdomain
        all relevant mx
        bad destination system/domain/host
        {not} .. mail/messages? for that/this/the/your? domain
        {not} a? local/valid/known/hosted/our domain
        {not} {allowed}/handle/host/serve {mail}? for .. domain
        {not} host/serve/handle the/that/this/recipient/destination? domain
        recipient/destination domain is? unknown
        {not} such recipient/destination/that/this domain
        recipient/destination domain {not} {here}
        {not}/unable .. find .. recipient domain
        unable/failed to route
        mx lookup failed/failure
        """,
        "550 5.1.2 <user@example.com>: Recipient address rejected: Domain not found",
        "Postfix smtpd, reject_unknown_recipient_domain",
    ),
    Row(
        "user-unknown",
        About.MISSING_MAILBOX,
        """
        {box} is/are? unknown
        {box} .. unknown
        unknown {kind}? {box}
        unknown or/and? illegal/invalid/{closed}? {kind}? {box}
        {box} {not} a? local
        localpart .. {wrong}
        {not} such {kind}? {box}
        {not} such local? {box}/person/name/customer/member/email/mail/recepient/recipent
        nosuchuser
        ^ no {box} .? $
        ^ {not} known/found here .? $
        {not} such .. user/mailbox/recipient/address/account
        {not} our/my {box}
        is {not} a/an {box}
        {not} one by/with/of/named/called/at that/this
        nobody/noone here? by/with/of/named/called that/this/the
        anyone/anybody/somebody by/with/named/called that/this
        {box}/email .. {not} .. in/on our/my/the/this system/database/records/directory/table/file/server/host/machine
        {not} in/on our/my local list/users/recipients
        {box}/email {not} in/on .. system/database/directory/file/record/office
        @ is? unknown
        @ {not} exist/found/known/valid
        @ is {not} valid/known/recognized
        @ is? {not} longer
        {not} longer works/working/employed/employee
        {not} longer with us/this/the/our
        left the/this/our company/organization/organisation
        user/person/employee/@ has left
        {not} longer a/an/our customer/user/member/client/subscriber
        {not} the/an address of
        {not} resolve to .. mailbox/user/account
        unresolvable {kind}? {box}
        {not} {kind}? {box} .. {here}/by/with/named/available/called/like/for/matching/matches
        {not} a? {here}/active {kind}? {box}
        {not} a/an/our/one? .. known/valid/active/existing {kind}? {box}/customer/email/username
        {not} a/an/our/one? .. real/current/legitimate/registered/deliverable {box}/customer/email/username
        !sender {box}/email .. {not} .. {here}
        !sender {box}/email .. {not} be? {here}
        {box}/email .. nonexistent/nonexisting/inexistent/nonexistant/inexistant
        nonexistent/nonexisting/unexisting/nonexistant {kind}? {box}/email
        {box}/email .. {not} longer
        {box} has/have moved
        unable/failed to find/locate .. {box}/email
        {not} find .. {box}/email
        {not} our customer
        {not} a? customer
        {not} have/has an? .. account/mailbox/inbox
        {not} have/has a/an/any {box}
        {not} in my/our/the? validrcptto/rcptto/recipient list/table/map
        {not} a/an/one? user/customer/recipient of
        is {not} a/an/our? local/hosted/mail/email {box}
        unrecognized/unrecognised/unregistered/unidentified {kind}? {box}
        !sender {box} .. {not} be? resolved
        {box} does? {not} resolve .? $
        {not} match/matching any/an/existing? {kind}? {box}
        {box} .. {not} match any {kind}? {box}
        @ is/was/could/does/has? {not} be? {here}
        @ nonexistent
        person is? unknown
        {not} existent/existing {kind}? {box}
        {not} exist/exists/know/recognize/recognise that/this/the/such {box}
        unavailable {kind}? user
        {box} {not} in/on our/the? route/routing list/table
        """,
        "550 5.1.1 <user@example.com>: Recipient address rejected: User unknown in local recipient table",
        "Postfix smtpd",
    ),
    Row(
        "address-invalid",
        About.MISSING_MAILBOX,
        """
        invalid/bad/illegal/incorrect/wrong/misspelled {kind}? {kind}? {box}
        invalid/bad destination .. {box}
        !sender {box} is? marked? as? invalid
        !sender {box}/email .. invalid/misspelled
        {box} .. {not} be? delivered/deliverable
        !sender {box}/email .. is wrong/incorrect/misspelled/bad
        address error
        unrouteable/unroutable/undeliverable {kind}? {box}
        @ is? undeliverable
        unrouteable/unroutable
        {not} route to .. {box}
        cannot/could route to
        address .. undeliverable
        user {not} exist
        """,
        "550 Unrouteable address",
        "Exim",
    ),
    Row(
        "recipient-unverified",
        About.MISSING_MAILBOX,
        """
        recipient/recipients/address/mailbox .. {not} be? verified/validated
        {not} verify/validate recipient/recipients/mailbox
        recipient/mailbox verify/verification/validation failed/failure
        {not} complete recipient verification
        """,
        "550 The recipient cannot be verified",
        "cPanel and others: the recipient fails the host's own look-up",
        codes=("5",),
    ),
    *other_tongues.UNKNOWN,
    # --- What refuses without saying whom: only a neutral class, never the mailbox ----------------
    Row(
        "recipient-access-map",
        About.OTHER,
        """
        recipient address/addresses rejected access denied
        """,
        "554 5.7.1 <user@example.com>: Recipient address rejected: Access denied",
        "Postfix smtpd, check_recipient_access: an administrator's list, about the mailbox or about us",
    ),
    Row(
        "loop",
        About.OTHER,
        """
        too many hops
        mail loop
        hop/hops count/limit?
        exceeded .. hops
        """,
        "554 5.4.6 Too many hops",
        "sendmail",
    ),
    # --- About what is sent: cannot happen in a callout, and must not be read as anything else ----
    Row(
        "content",
        About.CONTENT,
        """
        {mail} .. unsolicited
        {mail} exceeds/exceeded/exceed
        line .. limit/length/long
        virus/viruses/malware/trojan/phishing/infected
        spam/spamassassin/antispam
        content/contents
        header/headers
        attachment/attachments
        subject
        rfc 2822/5322/822
        body
        html
        url/urls/links
        conversion/media
        """,
        "554 5.6.0 Message rejected as spam by content filtering",
        "content filters",
    ),
    Row(
        "wait-and-retry",
        About.GREYLIST,
        """
        come back .. minutes/seconds/later
        try/retry again? in/after .. minutes/seconds/hour/hours
        wait .. minutes/seconds
        """,
        "451 4.7.1 <user@example.com>: Recipient address rejected: Please try again in 300 seconds",
        "policy daemons of Postfix: who names the time to wait has a list of who has come before",
        codes=("4",),
    ),
    Row(
        "try-later",
        About.TEMPORARY,
        """
        !and try/retry again/shortly/soon
        try/retry again? later
        temporary .. error/errors/failure/failures/problem/problems/condition
        temporarily unavailable/deferred/rejected
        insufficient system? resources/storage/memory/space/disk
        system/server/internal/local/database/configuration error/errors/failure/problem
        {mail} could not be stored/saved/queued
        error/failed/failure writing/reading/storing
        """,
        "451 4.3.0 Temporary lookup failure",
        "Postfix smtpd",
    ),
    Row(
        "out-of-resources",
        About.TEMPORARY,
        """
        insufficient/not/no .. disk/system/storage/memory/resources/space
        out of .. memory/resources/disk
        disk full/space
        low on
        server/system/host/load .. busy/overloaded/high
        too busy
        please retry/try
        temporary/temporarily/temporaire/temporal/temporaneo/vorubergehend/tempfail
        resources/internal/local/system/configuration/server/database/ldap/mysql error/errors/failure/problem
        error in processing
        service/services .. {not} available
        service/services unavailable/shutting
        timeout/timed
        unable to verify/check/lookup
        {not} .. verified/verify/checked
        lookup failure/failed/error
        in progress
        later
        currently
        """,
        "452 4.3.1 Server too busy",
        "sendmail, Exim",
        codes=("4",),
    ),
    # --- Vague refusal: about us, most often ------------------------------------------------------
    *other_tongues.TRY_LATER,
    Row(
        "refusal",
        About.POLICY,
        """
        blocked/denied/banned/prohibited/forbidden/disallowed/unauthorized/unauthorised/barred/blacklists
        {not} {allowed}
        refused/refuse/refuses
        service .. {not} available
        service unavailable
        unsolicited/abuse/complaints/abusive/whitelist/whitelisted/allowlist
        go away
        ask your postmaster/administrator/provider/isp
        unwelcome
        ^ command/sender rejected/denied
        """
        + other_tongues.REFUSED,
        "550 5.7.1 Access denied",
        "many",
        codes=("51", "52", "53", "54", "55", "57", "59"),
    ),
    # --- Vague about the mailbox ------------------------------------------------------------------
    *provider_keys.VAGUE,
    Row(
        "mailbox-unavailable",
        About.MISSING_MAILBOX,
        """
        mailbox/mailboxes unavailable
        mailbox .. {not} available
        {box} .. {not} available
        {box}/email unavailable
        """,
        "550 Requested action not taken: mailbox unavailable",
        "the text that RFC 5321 4.2.3 gives to 550, which it also gives to policy",
        codes=("55",),
        basis=Basis.BASIC,
    ),
    Row(
        "recipient-refused",
        About.MISSING_MAILBOX,
        """
        ^ @? recipient/address/rcpt/user @? rejected/refused @? .? $
        ^ rejected/refused recipient/address/rcpt/user @? .? $
        """,
        "550 #5.1.0 Address rejected.",
        "AsyncOS of IronPort; no reason is given",
        codes=("55",),
        basis=Basis.BASIC,
    ),
    Row(
        "host-unknown",
        About.MISSING_DOMAIN,
        """
        {not} such host
        domain .. {not} {here}
        domain found
        host/domain is? unknown
        unknown/invalid/nonexistent/unrouteable/unroutable mail? host/domain
        host .. {not} found
        domain is? {wrong}/unknown/nonexistent
        name or service not known
        no mx/exchanger/exchangers
        no mail hosts/servers
        mail exchanger/exchangers
        """,
        "550 Host unknown",
        "sendmail; said of the recipient's domain as well as of our HELO name and our sender's",
        basis=Basis.BASIC,
    ),
)
"""The rows, by weight."""

ENHANCED: dict[str, About] = {
    # Codes that real hosts use for what the registry says. 5.7.1, 5.1.0, 5.5.0 and 5.3.0 stand for anything.
    "1.1": About.MISSING_MAILBOX,
    "1.2": About.MISSING_DOMAIN,
    "1.7": About.OUR_SENDER,
    "1.8": About.OUR_SENDER,
    "1.10": About.MISSING_MAILBOX,  # Exchange: unknown; RFC 7505 (null MX) adds the code 556
    "2.1": About.DISABLED,
    "2.2": About.FULL,
    "2.3": About.CONTENT,
    "3.1": About.TEMPORARY,
    "3.2": About.TEMPORARY,
    "3.4": About.CONTENT,
    "4.5": About.TEMPORARY,
    "4.6": About.OTHER,
    "5.1": About.PROTOCOL,
    "5.2": About.PROTOCOL,
    "5.3": About.RATE,
    "5.4": About.PROTOCOL,
    "5.5": About.PROTOCOL,
    "6.0": About.CONTENT,
    "6.1": About.CONTENT,
    "6.2": About.CONTENT,
    "6.3": About.CONTENT,
    "6.7": About.PROTOCOL,
    "7.8": About.AUTH,
    "7.9": About.AUTH,
    "7.10": About.TLS,
    "7.11": About.TLS,
    "7.20": About.POLICY,
    "7.21": About.POLICY,
    "7.22": About.POLICY,
    "7.23": About.OUR_SENDER,
    "7.24": About.OUR_SENDER,
    "7.25": About.RDNS,
    "7.26": About.POLICY,
    "7.27": About.OUR_SENDER,  # RFC 7505: our sender's domain has a null MX
    "7.28": About.RATE,
    "7.29": About.POLICY,
}
"""Subject and detail of an enhanced code (RFC 3463 and its registry) that is read on neutral words."""

BASIC: dict[int, About] = {
    421: About.TEMPORARY,
    500: About.PROTOCOL,
    501: About.PROTOCOL,
    502: About.PROTOCOL,
    503: About.PROTOCOL,
    504: About.PROTOCOL,
    530: About.AUTH,
    535: About.AUTH,
    552: About.FULL,  # at RCPT nothing has been sent that could be too large
    555: About.PROTOCOL,
}
"""Reply codes that mean one thing when the words say nothing."""

DNSBL_LABELS = frozenset(
    {
        "abuseat", "abusix", "backscatterer", "barracudacentral", "blacklist", "blocklist", "cbl", "dnsbl",
        "dnsrbl", "drbl", "invaluement", "junkemailfilter", "lashback", "mailspike", "njabl", "pbl", "psbl",
        "rbl", "sbl", "senderbase", "senderscore", "sorbs", "spamcop", "spameatingmonkey", "spamhaus",
        "spamrats", "spfbl", "surbl", "surriel", "talosintelligence", "uceprotect", "uribl", "wpbl", "xbl",
        "zen",
    }
)  # fmt: skip
"""Labels of host names that give a blocklist or a reputation service away; backscatterer.org is one of them.

Vendors whose customers' mail hosts bear the vendor's name are left out: they also stand in other replies.
"""
