"""What cannot work is refused in one line that names the option and the mend."""

from __future__ import annotations

from typing import Any

import pytest

from probe.settings import Settings, SettingsError


def test_the_defaults_work() -> None:
    assert Settings().port == 25


@pytest.mark.parametrize(
    ("option", "wrong"),
    [
        ("--timeout", {"timeout": 0.0}),
        ("--timeout", {"timeout": float("nan")}),
        ("--connect-timeout", {"connect_timeout": -1.0}),
        ("--reply-timeout", {"reply_timeout": 3601.0}),
        ("--port", {"port": 0}),
        ("--port", {"port": 65536}),
        ("families", {"families": ()}),
        ("families", {"families": (5,)}),
        ("--helo", {"helo": "localhost"}),
        ("--helo", {"helo": "192.0.2.1"}),
        ("--helo", {"helo": "[192.0.2]"}),
        ("--helo", {"helo": "mail"}),
        ("--mail-from", {"mail_from": "nobody"}),
        ("--mail-from", {"mail_from": "a@example.com\r\nDATA"}),
        ("--mail-from", {"mail_from": "<a@example.com>"}),
        ("--source", {"source": "mail.example.com"}),
        ("--source", {"source": "2001:db8::1", "families": (4,)}),
        ("--dns-server", {"dns_servers": ("dns.example.com",)}),
        ("--dns-server", {"dns_servers": ("192.0.2.53:0",)}),
    ],
)
def test_what_cannot_work(option: str, wrong: dict[str, Any]) -> None:
    with pytest.raises(SettingsError) as refused:
        Settings(**wrong)
    assert str(refused.value).startswith(f"{option}: ")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "right",
    [
        {"helo": "mail.example.com"},
        {"helo": "[192.0.2.1]"},
        {"helo": "[IPv6:2001:db8::1]"},
        {"mail_from": "check@example.com"},
        {"source": "192.0.2.25", "families": (4,)},
        {"dns_servers": ("192.0.2.53", "[2001:db8::53]:5353")},
    ],
)
def test_what_works(right: dict[str, Any]) -> None:
    name, value = next(iter(right.items()))
    assert getattr(Settings(**right), name) == value
