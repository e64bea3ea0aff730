"""What cannot work is refused in one line that names the option and the mend."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.settings import Settings, SettingsError, parse_canary


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
        ("--canary", {"canaries": ("mail",)}),
        ("--canary", {"canaries": ("mail.example.com", "[2001:db8::25")}),
        ("--canary", {"canaries": ("2001:db8::25:smtp",)}),
        ("--canary", {"canaries": ("ff02::1",)}),
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
        {"canaries": ()},
        {
            "canaries": (
                "mx.example.com",
                "mx.example.com.:26",
                "192.0.2.25:26",
                "2001:db8::25",
                "[2001:db8::25]:26",
            )
        },
    ],
)
def test_what_works(right: dict[str, Any]) -> None:
    name, value = next(iter(right.items()))
    assert getattr(Settings(**right), name) == value


@pytest.mark.parametrize(
    ("text", "endpoint"),
    [
        ("mx.example.com", ("mx.example.com", 25)),
        ("mx.example.com.:26", ("mx.example.com", 26)),
        ("192.0.2.25", ("192.0.2.25", 25)),
        ("192.0.2.25:26", ("192.0.2.25", 26)),
        ("2001:db8::25", ("2001:db8::25", 25)),
        ("[2001:db8::25]", ("2001:db8::25", 25)),
        ("[2001:db8::25]:26", ("2001:db8::25", 26)),
    ],
)
def test_a_canary(text: str, endpoint: tuple[str, int]) -> None:
    assert parse_canary(text) == endpoint


@given(st.text(max_size=300) | st.from_regex(r"[\[\]:.%a-f0-9]{0,20}"))
def test_whatever_is_given_for_a_canary(text: str) -> None:
    said = ""
    try:
        host, port = parse_canary(text)
    except SettingsError as error:
        said = str(error)
    else:
        assert host
        assert 0 < port < 65536
    assert said.isprintable()
