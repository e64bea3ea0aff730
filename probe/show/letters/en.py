"""The letters in English."""

from __future__ import annotations

from probe.core.model import Cause, MtaOutcome
from probe.show.letters import Reader, Texts

TEXTS = Texts(
    subject={
        Reader.SUPPORT: "Sender verification of {mailbox}: {cause}",
        Reader.CUSTOMER: "Why mail from {mailbox} was not accepted",
        Reader.POSTMASTER: "Sender verification of {mailbox} at {host}",
    },
    greeting={
        Reader.SUPPORT: "Hello,",
        Reader.CUSTOMER: "Hello,",
        Reader.POSTMASTER: "Dear postmaster of {domain},",
    },
    opening={
        Reader.SUPPORT: (
            "This is what a test of the sender verification of {mailbox} showed. In one sentence: {summary}"
        ),
        Reader.CUSTOMER: (
            "Thank you for telling us about the mail from {mailbox}. Before our mail server takes a"
            " message, it asks the mail server of the sender whether the sender's address exists,"
            " because most forged mail fails that test. We have repeated the question by hand, and"
            " this is what came of it."
        ),
        Reader.POSTMASTER: (
            "Our mail server verifies the sender of a message before it takes it: it connects to a"
            " mail host of the sender's domain, says MAIL FROM:<> and RCPT TO:<sender>, and QUIT. It"
            " never sends a message that way. We have repeated that test for {mailbox} by hand; below"
            " is what we saw."
        ),
    },
    opening_log={
        Reader.SUPPORT: (
            "This is what the log of our mail server says about the sender verification of {mailbox}. In one"
            " sentence: {summary}"
        ),
        Reader.CUSTOMER: (
            "Thank you for telling us about the mail from {mailbox}. Before our mail server takes a message, it"
            " asks the mail server of the sender whether the sender's address exists, because most forged mail"
            " fails that test. This is what came of it, by our log."
        ),
        Reader.POSTMASTER: (
            "Our mail server verifies the sender of a message before it takes it: it connects to a mail host of"
            " the sender's domain, says MAIL FROM:<> and RCPT TO:<sender>, and QUIT. It never sends a message that"
            " way. This is what its log shows for {mailbox}."
        ),
    },
    trouble="As long as it fails, mail from this address is {effect} by us and by others who verify senders.",
    ours={
        Reader.SUPPORT: "The fault is on our side: our server, its network or its settings.",
        Reader.CUSTOMER: (
            "The fault is on our side, and the address itself may be perfectly good. We are seeing to"
            " it; there is nothing that you or the sender need to do."
        ),
        Reader.POSTMASTER: (
            "As far as we can tell the fault is on our side, and we are seeing to it. There is"
            " nothing that you need to change, unless you can see from your side that it is"
            " otherwise."
        ),
    },
    meaning={
        Reader.SUPPORT: {
            Cause.SENDER_EXISTS: (
                "The address verifies now. If a log shows a failure, it is over, or it was a cached result."
            ),
            Cause.MISSING_SENDER: "The refusal was right: the mailbox or the domain does not take mail.",
            Cause.INCONCLUSIVE: (
                "The test did not decide it. Nothing here says that the sender does not exist."
            ),
            Cause.TEMPORARY: "The mail host asks us to come back later. That is a delay and no refusal.",
            Cause.FIREWALL_TIMEOUT: (
                "Packets to the mail host, or its answers, are lost on the way. That says nothing about"
                " the sender's address."
            ),
            Cause.UNREACHABLE: (
                "The network or the host turned the connection away. That says nothing about the sender's"
                " address."
            ),
            Cause.RFC_NONCOMPLIANT: (
                "The mail host breaks a rule of SMTP on which the verification rests. The address may"
                " well exist."
            ),
            Cause.POLICY_REFUSAL: (
                "The mail host refuses our server, whoever the sender is. That says nothing about the"
                " sender's address."
            ),
            Cause.DNS_FAILURE: (
                "The DNS gave no usable answer for the domain. That does not mean that the sender is missing."
            ),
        },
        Reader.CUSTOMER: {
            Cause.SENDER_EXISTS: (
                "The address is in order now: the other side's mail server confirms it. Whatever stood in"
                " the way has been mended, or our server still remembered an earlier failure, which it"
                " forgets after a few hours."
            ),
            Cause.MISSING_SENDER: (
                "The other side's mail server says that it takes no mail for this address, so nobody"
                " could answer the message, and no error report could be delivered. Our server was right"
                " to refuse it."
            ),
            Cause.INCONCLUSIVE: (
                "The test did not settle the matter, and for the moment it is not known on whose side the"
                " fault lies. It does not mean that the address is wrong."
            ),
            Cause.TEMPORARY: (
                "The other side's mail server asked us to try again later, as many do with those they do"
                " not know yet. The sending server will repeat the message by itself, so it is late, and"
                " not lost."
            ),
            Cause.FIREWALL_TIMEOUT: (
                "Our server got no answer from the other side's mail server: somewhere between the two,"
                " most often in a firewall, the connection is dropped. The address itself may be"
                " perfectly good."
            ),
            Cause.UNREACHABLE: (
                "The other side's mail server, or the network before it, turned our connection away. The"
                " address itself may be perfectly good."
            ),
            Cause.RFC_NONCOMPLIANT: (
                "The other side's mail server does not keep a rule of Internet mail that the test needs."
                " The address may be perfectly good, but its server would lose error reports in the same"
                " way."
            ),
            Cause.POLICY_REFUSAL: (
                "The other side's mail server does not talk to ours, for a reason that has nothing to do"
                " with this address: a blocklist, for example."
            ),
            Cause.DNS_FAILURE: (
                "The directory entries (DNS) of the sender's domain could not be read, so its mail server"
                " could not be found. That does not mean that the address is wrong."
            ),
        },
        Reader.POSTMASTER: {
            Cause.SENDER_EXISTS: (
                "The test succeeds now, so there is nothing to mend; we write only to say so."
            ),
            Cause.MISSING_SENDER: (
                "Your side says that it takes no mail for this address. If that is right, mail that is"
                " sent in its name cannot be answered, and we shall go on refusing it."
            ),
            Cause.INCONCLUSIVE: (
                "The test did not settle the matter, and we cannot say yet on whose side the fault lies."
                " We do not claim that it is yours."
            ),
            Cause.TEMPORARY: (
                "Your host asks us to come back later. Where it greylists, the delay falls on all bounces"
                " and verifications too."
            ),
            Cause.FIREWALL_TIMEOUT: (
                "Our packets to your host, or its answers, are lost before the test is complete. In most"
                " cases a firewall drops the connection without a word."
            ),
            Cause.UNREACHABLE: "Our connection to your host was turned away before it could greet us.",
            Cause.RFC_NONCOMPLIANT: (
                "Your host does not do what RFC 5321 (and RFC 2821 before it) requires at this point. The"
                " same fault keeps bounces and delivery reports from reaching your own users."
            ),
            Cause.POLICY_REFUSAL: (
                "Your host refuses our server before the sender's address has been looked at, or for"
                " reasons that are not the address. If we are on a list of yours, we should like to know"
                " which, and why."
            ),
            Cause.DNS_FAILURE: (
                "The name servers of {domain} gave us no usable answer, so no mail host could be found."
            ),
        },
    },
    asking={
        Reader.SUPPORT: dict.fromkeys(Cause, "The next steps, in this order:"),
        Reader.CUSTOMER: {
            Cause.SENDER_EXISTS: (
                "Please ask for the message to be sent again. If it fails once more, tell us the time."
            ),
            Cause.MISSING_SENDER: (
                "Please ask the sender to use an address that exists, or to have it set up. We would"
                " rather not make an exception, because the same exception would let forged mail in."
            ),
            Cause.INCONCLUSIVE: (
                "We are looking into it and will write again. There is nothing that you need to do."
            ),
            Cause.TEMPORARY: (
                "Please wait for some hours. If the message has not come by tomorrow, write to us again."
            ),
            Cause.FIREWALL_TIMEOUT: (
                "Please pass the facts below on to the sender's mail administrator. Until it is mended we"
                " can exempt the server that sends you this mail from the test; tell us if you want that."
            ),
            Cause.UNREACHABLE: (
                "Please pass the facts below on to the sender's mail administrator. Until it is mended we"
                " can exempt the server that sends you this mail from the test; tell us if you want that."
            ),
            Cause.RFC_NONCOMPLIANT: (
                "Please pass the facts below on to the sender's mail administrator. Until it is mended we"
                " can exempt the server that sends you this mail from the test; tell us if you want that."
            ),
            Cause.POLICY_REFUSAL: (
                "We are asking the other side to let our server through. Until then we can exempt the"
                " server that sends you this mail from the test; tell us if you want that."
            ),
            Cause.DNS_FAILURE: (
                "If it lasts longer than a day, please tell the sender, whose provider has to mend it."
                " Until then the sending server will repeat the message by itself."
            ),
        },
        Reader.POSTMASTER: {
            Cause.SENDER_EXISTS: "No change is asked for.",
            Cause.MISSING_SENDER: "If the address ought to exist, please have it set up:",
            Cause.INCONCLUSIVE: (
                "If you can see our attempt in your log, please tell us how it ended and why, or mend it:"
            ),
            Cause.TEMPORARY: "Please let our server through, or exempt the null sender <> from greylisting:",
            Cause.FIREWALL_TIMEOUT: "Please let TCP connections from our address to your mail host through:",
            Cause.UNREACHABLE: "Please let TCP connections from our address to your mail host through:",
            Cause.RFC_NONCOMPLIANT: "Please change this:",
            Cause.POLICY_REFUSAL: (
                "Please let our server through, or tell us what we have to mend on our side:"
            ),
            Cause.DNS_FAILURE: "Please have the name servers of your domain looked at:",
        },
    },
    refused_meaning={
        Reader.SUPPORT: "The address exists, and mail servers that verify it refuse its mail all the same.",
        Reader.CUSTOMER: (
            "The address exists, but the other side does not take every message for it at present, so the test"
            " fails all the same."
        ),
        Reader.POSTMASTER: (
            "The address exists, but your side does not take every message for it at present, and that is enough"
            " for the verification to fail."
        ),
    },
    refused_asking={
        Reader.SUPPORT: "The next steps, in this order:",
        Reader.CUSTOMER: (
            "Please pass the facts below on to the sender. Until it is mended we can exempt the server that sends"
            " you this mail from the test; tell us if you want that."
        ),
        Reader.POSTMASTER: "Please see to this:",
    },
    testing={
        Cause.MISSING_SENDER: "RCPT TO:<{mailbox}> after MAIL FROM:<> has to be answered with 250.",
        Cause.INCONCLUSIVE: "RCPT TO:<{mailbox}> after MAIL FROM:<> has to be answered with 250.",
        Cause.TEMPORARY: (
            "RCPT TO:<{mailbox}> after MAIL FROM:<> has to be answered with 250 at the first attempt."
        ),
        Cause.FIREWALL_TIMEOUT: (
            "From outside your network: a TCP connection to {ip}, port {port}, has to be greeted with 220."
        ),
        Cause.UNREACHABLE: (
            "From outside your network: a TCP connection to {ip}, port {port}, has to be greeted with 220."
        ),
        Cause.RFC_NONCOMPLIANT: (
            "Say to {ip}, port {port}: EHLO, MAIL FROM:<>, RCPT TO:<{mailbox}>, QUIT. Each has to be"
            " answered with one reply that begins with 2."
        ),
        Cause.POLICY_REFUSAL: (
            "From {our_ip}: RCPT TO:<{mailbox}> after MAIL FROM:<> has to be answered with 250."
        ),
        Cause.DNS_FAILURE: "dig MX {domain} has to give an answer from every one of its name servers.",
    },
    closing={
        Reader.SUPPORT: "Made by probe-sender; the whole evidence can be had with --save.",
        Reader.CUSTOMER: "With kind regards",
        Reader.POSTMASTER: (
            "Thank you for your help. We gladly test again as soon as you tell us.\n\nWith kind regards"
        ),
    },
    effect={
        MtaOutcome.ACCEPT: "accepted",
        MtaOutcome.REJECT: "rejected",
        MtaOutcome.DEFER: "deferred and, if it lasts, lost",
    },
    labels={
        "facts": "What we saw",
        "time": "Time",
        "we": "Our server",
        "we_unknown": "(to be filled in: the log names neither its IP nor its HELO)",
        "clock": "by the clock of our server",
        "they": "Mail host",
        "sender": "Sender",
        "cause": "Finding",
        "dialogue": "Dialogue",
        "rules": "The rule",
        "testing": "How to test it",
        "servers": "Effect",
        "relay": "Relay",
        "log": "Our log",
        "fate": "The mail",
        "advice": "Preflight",
        "exemption": "Exemption",
        "subject": "Subject",
        "helo": "HELO",
    },
)
