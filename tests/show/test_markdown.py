"""The Markdown view against a ticket written by hand."""

from __future__ import annotations

from textwrap import dedent

from probe.core.model import Cause, ConnectOutcome, Side, Stage, Who
from probe.show import markdown
from tests.show import samples
from tests.support import make


def test_a_ticket_from_top_to_bottom() -> None:
    refused = make.connect(ConnectOutcome.REFUSED, errno=111, errno_name="ECONNREFUSED")
    report = make.report(
        make.host_report(
            cause=Cause.UNREACHABLE, reason="connect.refused", stage=Stage.CONNECT, rule="refused"
        ),
        cause=Cause.UNREACHABLE,
        reason="connect.refused",
        side=Side.THEIRS,
        summary="mx1.customer.example.com [203.0.113.15] refused the connection.",
        because=("Port 25 answered with RST.",),
        next_steps=(make.step("Ask @them to open port 25."), make.step("Open it.", Who.THEIR_ADMIN)),
        catch_all=False,
        violations=(make.violation(saw="no `banner`"),),
        notes=("Tried once.",),
        rule="refused",
        observed=make.evidence(make.host(make.session(connected=refused)), dns=()),
    )
    assert markdown.render(report) == dedent("""\
        ## `administrator@customer.example.com`: unreachable (certain)

        `mx1.customer.example.com [203.0.113.15]` refused the connection.

        - Reason: `connect.refused`
        - Whose move: theirs (their mail host, or its policy)
        - Catch-all: no, the host refuses an address that was made up, so acceptance means something

        ### Why

        - Port 25 answered with RST.

        ### Next steps

        1. **support:** Ask `@them` to open port 25.
        2. **their admin:** Open it.

        ### RFC violations

        - `null-sender-refused` (RFC 5321 4.5.5, RFC 2821 3.7, defeats verification) \
at `mx1.customer.example.com`: `` no `banner` ``

        ### Notes

        - Tried once.

        ### Mail hosts

        |   Pref | Host                       | Address      | Verdict                        |
        |-------:|:---------------------------|:-------------|:-------------------------------|
        |     10 | `mx1.customer.example.com` | 203.0.113.15 | unreachable, `connect.refused` |

        ### Transcript

        ```text

        mx1.customer.example.com [203.0.113.15] port 25, callout
           0.060    +0.020   = connection refused (ECONNREFUSED)

        (> sent, < received, = happened; s: over TLS; seconds since the start)
        ```

        `probe-sender 0.1.0`, rules 1, rule `refused`; observed `2026-01-15T09:30:00Z`, took 500 ms
    """)


def test_what_mail_servers_do_is_a_list_of_two() -> None:
    page = markdown.render(samples.firewall())
    assert (
        "- **Exim** 4.96 with `callout=30s` defers it\n  - answers: `451 Could not complete sender verify callout`\n"
        "- **Postfix** 3.7 with `reject_unverified_sender` defers it\n  - answers: `450 4.1.7"
    ) in page


def test_without_hosts_there_is_no_table() -> None:
    assert "Mail hosts" not in markdown.render(samples.dns_failure())


def test_a_pipe_in_a_cell_is_shown_as_an_escape() -> None:
    report = make.report(make.host_report(reply="550 a|b"))
    assert r"sender-exists, `rcpt.accepted`: 550 `a\x7cb` |" in markdown.render(report)


def test_the_fence_outgrows_backticks_in_the_conversation() -> None:
    exchanges = make.conversation("550 ```` no")
    page = markdown.render(make.report(observed=make.evidence(make.host(make.session(*exchanges)))))
    assert "\n`````text\n" in page
    assert page.count("`````") == 2


def test_what_was_before_stands_with_the_verdict() -> None:
    verdict = markdown.render(samples.remembered()).partition("###")[0]
    assert "\n- Before: Asked about " in verdict
    assert "\n- Before: Changed: 3 hours ago it was temporary `(rcpt.greylisted)`.\n" in verdict
