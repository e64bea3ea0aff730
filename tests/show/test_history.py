"""The history of an address, for a terminal."""

from __future__ import annotations

from msgspec.structs import replace

from probe.core.model import Confidence, Earlier, Report, Stored
from probe.show import history
from tests.show import samples

ADDRESS = "administrator@customer.example.com"


def aged(report: Report, age: float, earlier: Report | None = None) -> Report:
    before = earlier and Earlier(
        earlier.evidence.began, age + 7200, earlier.cause, earlier.reason, earlier.summary
    )
    return replace(report, stored=Stored(age, ADDRESS), earlier=before)


def test_newest_first_with_what_changed() -> None:
    missing = replace(samples.missing(), confidence=Confidence.CERTAIN)
    shown = history.render(
        [aged(missing, 2400.0, samples.firewall()), aged(samples.firewall(), 9600.0)], width=100
    )
    began = missing.evidence.began[:16].replace("T", " ")
    assert shown.splitlines() == [
        f"{ADDRESS} was asked 2 times:",
        f"  {began} UTC, 40 minutes ago: missing-sender (certain), rcpt.user-unknown",
        "    mx1.customer.example.com says that there is no such mailbox.",
        "    Changed: 2 hours ago it was firewall-timeout (connect.timeout).",
        f"  {began} UTC, 2 hours ago: firewall-timeout (probable), connect.timeout",
        f"    {samples.firewall().summary}",
    ]


def test_what_stayed_the_same_is_not_said_to_have_changed() -> None:
    assert "Changed" not in history.render([aged(samples.missing(), 2400.0, samples.missing())])
