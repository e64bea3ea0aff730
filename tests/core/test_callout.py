"""The options and versions of Exim as a user types them: read, or refused in one line with the mend."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.core.callout import (
    CPANEL_SECONDS,
    LONGEST,
    NEWEST,
    OLDEST,
    Callout,
    CalloutError,
    parse_options,
    parse_version,
)

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("4.96", (4, 96)),
        ("4.69", (4, 69)),
        ("4.94.2", (4, 94)),
        (" Exim 4.97.1 ", (4, 97)),
        ("Exim version 4.96 #2 built 27-May-2026 16:52:26", (4, 96)),
        ("4.96-15+deb12u7", (4, 96)),
        ("4.98-RC1", (4, 98)),
        ("4.100", (4, 100)),
    ],
)
def test_versions(text: str, version: tuple[int, int]) -> None:
    assert parse_version(text) == version


@pytest.mark.parametrize(
    "text", ["", "5.0", "4", "4.9", "4.x", "3.36", "4.96 ü", "4.1000", "postfix 3.7", "4.96\n4.97"]
)
def test_no_version(text: str) -> None:
    with pytest.raises(CalloutError, match="is no version of Exim 4"):
        parse_version(text)


def test_older_than_anything_known() -> None:
    with pytest.raises(CalloutError, match=r"older than 4\.69"):
        parse_version("4.68")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", Callout()),
        ("callout=", Callout()),
        ("60s", Callout(seconds=60)),
        ("45", Callout(seconds=45)),
        ("callout=1m30s,defer_ok", Callout(seconds=90, defer_ok=True)),
        ("30s, connect=5s , maxwait = 2m", Callout(connect=5, maxwait=120)),
        (
            "random,postmaster,fullpostmaster,no_cache",
            Callout(random=True, postmaster=True, fullpostmaster=True, no_cache=True),
        ),
        ("cpanel", Callout(seconds=CPANEL_SECONDS, cpanel=True)),
        ("20s,cpanel", Callout(seconds=20, cpanel=True)),
        ("cpanel,20s", Callout(seconds=20, cpanel=True)),
        ("10s,20s", Callout(seconds=20)),
        ("24h", Callout(seconds=LONGEST)),
        (",,30s,,", Callout()),
    ],
)
def test_options(text: str, expected: Callout) -> None:
    assert parse_options(text) == expected
    assert parse_options(text, OLDEST).version == OLDEST


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("30x", "has no time"),
        ("0s", "has no time"),
        ("25h", "has no time"),
        ("s", "is no option"),
        ("connect=", "has no time"),
        ("maxwait=soon", "has no time"),
        ("connect", "is no option"),
        ("defer_OK", "is no option"),
        ("defer_ok=yes", "is no option"),
        ("use_sender", "recipient callouts only"),
        ("hold", "recipient callouts only"),
        ("mailfrom=a@b", "header_sender only"),
        ("postmaster_mailfrom=a@b", "postmaster, with the null sender"),
        ("sender/callout=30s", "is no option"),
        ("٣s", "has no time"),
        ("1٣s", "has no time"),
    ],
)
def test_no_options(text: str, says: str) -> None:
    with pytest.raises(CalloutError, match=says):
        parse_options(text)


@pytest.mark.parametrize(
    ("callout", "text"),
    [
        (Callout(), "callout=30s"),
        (
            Callout(seconds=90, connect=5, maxwait=7200, defer_ok=True),
            "callout=1m30s,connect=5s,maxwait=2h,defer_ok",
        ),
        (Callout(seconds=60, cpanel=True, random=True), "callout=1m,random (cPanel)"),
    ],
)
def test_text(callout: Callout, text: str) -> None:
    assert callout.text == text


TIME = st.integers(1, LONGEST).map(float)


@given(
    st.builds(
        Callout,
        seconds=TIME,
        connect=st.none() | TIME,
        maxwait=st.none() | TIME,
        defer_ok=st.booleans(),
        no_cache=st.booleans(),
        random=st.booleans(),
        postmaster=st.booleans(),
        fullpostmaster=st.booleans(),
    )
)
def test_what_is_written_can_be_read(callout: Callout) -> None:
    assert parse_options(callout.text) == callout


WORDS = st.lists(
    st.sampled_from(["30s", "connect=", "maxwait=1m", "defer_ok", "cpanel", "callout=", "=", "1h1h", "hold"])
    | st.text(max_size=20)
).map(",".join)


def refusal(read: Callable[[str], object], text: str) -> str | None:
    """Give the words with which a text is refused, None where it is read."""
    try:
        read(text)
    except CalloutError as error:
        return str(error)
    return None


@given(WORDS | st.text())
def test_anything_is_read_or_refused_in_one_line(text: str) -> None:
    refused = refusal(parse_options, text)
    if refused is None:
        callout = parse_options(text)
        assert 0 < callout.seconds <= LONGEST
        assert callout.connect_seconds > 0
        assert callout.maxwait_seconds > 0
    else:
        assert refused.isprintable()
        assert "; " in refused, "the mend"


@given(st.text() | st.from_regex(r"(exim )?\d\.\d{1,4}(\.\d)?([-+ ].*)?"))
def test_any_version_is_read_or_refused_in_one_line(text: str) -> None:
    refused = refusal(parse_version, text)
    assert parse_version(text) >= OLDEST if refused is None else refused.isprintable()


def test_every_generation_has_its_ways() -> None:
    def ways(version: tuple[int, int]) -> str:
        callout = Callout(version=version)
        known = {
            "ehlo": callout.says_ehlo,
            "tls": callout.starts_tls,
            "transport": callout.shares_transport,
            "fast": callout.fast_open,
            "cuts": callout.cuts_replies,
            "errors": callout.logs_connection_errors,
        }
        return " ".join(word for word, has in known.items() if has)

    assert ways(OLDEST) == ways((4, 81)) == ""
    assert ways((4, 82)) == ways((4, 85)) == "ehlo"
    assert ways((4, 86)) == ways((4, 88)) == "ehlo tls"
    assert ways((4, 89)) == ways((4, 92)) == "ehlo tls transport"
    assert ways((4, 93)) == ways(NEWEST) == "ehlo tls transport fast cuts"
    assert ways((4, 98)) == "ehlo tls transport fast cuts errors"
