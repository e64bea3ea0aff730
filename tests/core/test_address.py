"""Addresses: what is read, what is refused, and what no input can do."""

from __future__ import annotations

import contextlib
import subprocess
import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from probe.core.address import LOCAL_LIMIT, PASTE_LIMIT, PATH_LIMIT, AddressError, parse
from probe.core.model import AddressForm, AddressKind
from tests.support.every import every

# --- accepted --------------------------------------------------------------------------------------

ACCEPTED = [
    # As it stands.
    ("user@example.com", "user@example.com"),
    ("User.Name@EXAMPLE.Com", "User.Name@example.com"),
    ("a@b.example", "a@b.example"),
    ("!#$%&'*+-/=?^_`{|}~@example.com", "!#$%&'*+-/=?^_`{|}~@example.com"),
    ("user@example.com.", "user@example.com"),
    ("user@_bounce.example.com", "user@_bounce.example.com"),
    ("user@1.2.example", "user@1.2.example"),
    ("user@3com.example", "user@3com.example"),
    ("user@a--b.example", "user@a--b.example"),
    ("user@" + "a" * 63 + ".example", "user@" + "a" * 63 + ".example"),
    ("x" * 64 + "@example.com", "x" * 64 + "@example.com"),
    # Quoted local parts stay as given.
    ('"user"@example.com', '"user"@example.com'),
    ('"a b"@example.com', '"a b"@example.com'),
    ('"a@b"@example.com', '"a@b"@example.com'),
    ('"a..b"@example.com', '"a..b"@example.com'),
    (r'"a\"b"@example.com', r'"a\"b"@example.com'),
    (r'"a\\"@example.com', r'"a\\"@example.com'),
    ('"a\\\\\u00fc"@example.com', '"a\\\\\u00fc"@example.com'),
    ('"<a>"@example.com', '"<a>"@example.com'),
    ('"a,b;c:d"@example.com', '"a,b;c:d"@example.com'),
    # As pasted.
    ("  user@example.com \r\n", "user@example.com"),
    ("\u00a0user@example.com\u3000", "user@example.com"),
    ("<user@example.com>", "user@example.com"),
    ("< user@example.com >", "user@example.com"),
    ("<user@example.com>:", "user@example.com"),
    ("<user@example.com", "user@example.com"),
    ("user@example.com>", "user@example.com"),
    ("user@example.com,", "user@example.com"),
    ("user@example.com; ", "user@example.com"),
    ("user@example.com:", "user@example.com"),
    ("Name <user@example.com>", "user@example.com"),
    ("Na\u00efve\u00a0Name <user@example.com>,", "user@example.com"),
    ("\U0001f469\u200d\U0001f4bb Dev <user@example.com>", "user@example.com"),
    ('"Some, Name" <user@example.com>', "user@example.com"),
    ('"A <a@example.org>" <user@example.com>', "user@example.com"),
    (r'"A \"B\" <c" <user@example.com>', "user@example.com"),
    ('Name <"a b"@example.com>', '"a b"@example.com'),
    ("mailto:user@example.com", "user@example.com"),
    ("MAILTO:user@example.com?subject=Hello", "user@example.com"),
    ("<mailto:user@example.com>", "user@example.com"),
    ("mailto:user%2Btag@example.com", "user+tag@example.com"),
    ("mailto:%22a%20b%22@example.com", '"a b"@example.com'),
    ("mailto:100%@example.com", "100%@example.com"),
    # Source routes are ignored.
    ("<@a.example:user@example.com>", "user@example.com"),
    ("@a.example,@b.example:user@example.com", "user@example.com"),
    ("<@[IPv6:2001:db8::2]:user@example.com>", "user@example.com"),
    # Address literals.
    ("user@[192.0.2.1]", "user@[192.0.2.1]"),
    ("<user@[192.0.2.1]>", "user@[192.0.2.1]"),
    ("user@[IPv6:2001:db8::1]", "user@[IPv6:2001:db8::1]"),
    ("user@[ipv6:2001:0DB8:0:0:0:0:0:1]", "user@[IPv6:2001:db8::1]"),
    # Other alphabets.
    ("user@b\u00fccher.example", "user@xn--bcher-kva.example"),
    ("user@B\u00dcCHER.example", "user@xn--bcher-kva.example"),
    ("user@bu\u0308cher.example", "user@xn--bcher-kva.example"),
    ("user@XN--BCHER-KVA.example", "user@xn--bcher-kva.example"),
    ("user@fa\u00df.example", "user@xn--fa-hia.example"),
    ("user@\u4f8b\u3048\u3002\u30c6\u30b9\u30c8", "user@xn--r8jz45g.xn--zckzah"),
    ("user@\u4f8b\u3048\u3002\u30c6\u30b9\u30c8\u3002", "user@xn--r8jz45g.xn--zckzah"),
    ("user@\uff45\uff58\uff41\uff4d\uff50\uff4c\uff45\uff0e\uff43\uff4f\uff4d", "user@example.com"),
    ("user@_x.b\u00fccher.example", "user@_x.xn--bcher-kva.example"),
    ("user@\u0dc1\u0dca\u200d\u0dbb\u0dd3.example", "user@xn--10cl1a0b660p.example"),
    ("user@xn--ls8h.example", "user@xn--ls8h.example"),
    ("j\u00f6rg@example.com", "j\u00f6rg@example.com"),
    ("\u7528\u6237@\u4f8b\u3048.example", "\u7528\u6237@xn--r8jz45g.example"),
]


@every(("text", "mailbox"), ACCEPTED)
def test_is_read_as(text: str, mailbox: str) -> None:
    assert parse(text).mailbox == mailbox


def test_every_part_of_a_domain_address() -> None:
    address = parse(" <J\u00f6rg+x@B\u00fccher.Example> ")
    assert address.given == "<J\u00f6rg+x@B\u00fccher.Example>"
    assert address.mailbox == "J\u00f6rg+x@xn--bcher-kva.example"
    assert address.local == "J\u00f6rg+x"
    assert address.domain == "xn--bcher-kva.example"
    assert address.unicode_domain == "b\u00fccher.example"
    assert address.kind is AddressKind.DOMAIN
    assert address.ip is None
    assert address.forms == (AddressForm.SUBADDRESS, AddressForm.UTF8, AddressForm.IDN)


def test_every_part_of_a_literal() -> None:
    address = parse("user@[IPv6:2001:DB8::0:1]")
    assert address.kind is AddressKind.LITERAL
    assert (address.domain, address.unicode_domain) == ("[IPv6:2001:db8::1]",) * 2
    assert address.ip == "2001:db8::1"


def test_an_a_label_beyond_idna_2008_is_shown_as_it_is() -> None:
    assert parse("user@xn--ls8h.example").unicode_domain == "xn--ls8h.example"


def test_an_a_label_is_decoded_for_people() -> None:
    assert parse("user@xn--bcher-kva.example").unicode_domain == "b\u00fccher.example"


# --- shapes ----------------------------------------------------------------------------------------

BATV, SRS, VERP, SUB = AddressForm.BATV, AddressForm.SRS, AddressForm.VERP, AddressForm.SUBADDRESS
QUOTED, UTF8, IDN, NULL = AddressForm.QUOTED, AddressForm.UTF8, AddressForm.IDN, AddressForm.NULL_LIKE

SHAPES: list[tuple[str, tuple[AddressForm, ...]]] = [
    ("user", ()),
    ("user-name", ()),
    ("a=b", ()),
    ("prvs", ()),
    ("prvs=1234abcdef=user", (BATV,)),
    ("PRVS=0123456789=User", (BATV,)),
    ("prvs=user/1234abcdef", (BATV,)),
    ("prvs=1234abcdef=user+tag", (BATV, SUB)),
    ("prvs=1234abcdef=bounce+user=example.org", (BATV, VERP)),
    ("SRS0=HHH=TT=example.org=user", (SRS,)),
    ("srs0+HHH=TT=example.org=user", (SRS,)),
    ("SRS0-HHH=TT=example.org=user", (SRS,)),
    ("SRS1=HHH=relay.example==HHH=TT=example.org=user", (SRS,)),
    ("bounces+SRS=abcde=XY", (SRS,)),
    ("SRS2=HHH=TT=example.org=user", ()),
    ("bounce+user=example.com", (VERP,)),
    ("list-bounces+user=example.org", (VERP,)),
    ("owner-list-user=example.com", (VERP,)),
    ("bounces+123-ab-user=mail.example.com", (VERP,)),
    ("user+tag", (SUB,)),
    ("user+a+b", (SUB,)),
    ("+tag", ()),
    ("user+", ()),
    ('"user+tag"', (SUB, QUOTED)),
    ('"a b"', (QUOTED,)),
    ("j\u00f6rg", (UTF8,)),
    ('"j\u00f6rg"', (QUOTED, UTF8)),
    ("noreply", (NULL,)),
    ("No-Reply", (NULL,)),
    ("no_reply", (NULL,)),
    ("donotreply", (NULL,)),
    ("do-not-reply", (NULL,)),
    ("shop-noreply", (NULL,)),
    ("noreply123", (NULL,)),
    ("noreply+news", (SUB, NULL)),
    ("noreplying", ()),
    ("casinoreply", ()),
]


@every(("local", "forms"), SHAPES)
def test_shape_is_recognised_and_the_local_part_left_alone(
    local: str, forms: tuple[AddressForm, ...]
) -> None:
    address = parse(f"{local}@example.com")
    assert address.forms == forms
    assert address.local == local


def test_an_international_domain_is_a_form() -> None:
    assert parse("user@b\u00fccher.example").forms == (IDN,)
    assert parse("user@\uff45x.example").forms == ()


# --- refused ---------------------------------------------------------------------------------------

LONG_DOMAIN = ".".join(["a" * 62] * 4)

NULL_SENDER = (
    "<> or nothing is the null sender, which needs no verification (RFC 5321 4.5.5); "
    "give the address of a mailbox, such as user@example.com"
)

TWICE = "check it for text pasted twice"
QUOTE = 'delete it or write "local part"@example.com'
DOTS = 'correct it, or quote it if it is really so: "a..b"@example.com'
ANEW = "which no address may hold; delete it or type the address anew"

REFUSED = [
    # The null sender.
    ("", NULL_SENDER),
    ("  ", NULL_SENDER),
    ("<>", NULL_SENDER),
    ('""', NULL_SENDER),
    ("Name <>", NULL_SENDER),
    # Not an address.
    ("user", "'user' has no @; give a full address, such as user@example.com"),
    ("Name <user>", "'user' has no @; give a full address, such as user@example.com"),
    (
        "@example.com",
        "'@example.com' has nothing before the @; give a full address, such as user@example.com",
    ),
    ("user@", "'user@' has no domain after the @; give a full address, such as user@example.com"),
    ("<@a.example:>", "'@a.example' has nothing before the @; give a full address, such as user@example.com"),
    (
        "x" * 999,
        "the text has 999 characters, no address is that long; give one address, such as user@example.com",
    ),
    ("a@example.com, b@example.com", "the text holds more than one address; give them one by one"),
    ("a@example.com b@example.com", "the text holds more than one address; give them one by one"),
    (
        "a@b@example.com",
        'the address has more than one @; a local part that holds one is written "a@b"@example.com',
    ),
    # Characters that could end a command or deceive a reader.
    ("us\rer@example.com", "character 3 is U+000D, " + ANEW),
    ("us\ner@example.com", "character 3 is U+000A, " + ANEW),
    ("us\0er@example.com", "character 3 is U+0000, " + ANEW),
    ("us\ter@example.com", "character 3 is U+0009, " + ANEW),
    ("\x1b[2J@example.com", "character 1 is U+001B, " + ANEW),
    ("user\x7f@example.com", "character 5 is U+007F, " + ANEW),
    ("user\x9b@example.com", "character 5 is U+009B, " + ANEW),
    ("user@example\u202e.com", "character 13 is U+202E, " + ANEW),
    ("user@example\u2028.com", "character 13 is U+2028, " + ANEW),
    ("\ufeffuser@example.com", "character 1 is U+FEFF, " + ANEW),
    ("us\u200ber@example.com", "character 3 is U+200B, " + ANEW),
    ("\x00 <user@example.com>", "character 1 is U+0000, " + ANEW),
    ("us\udcffer@example.com", "character 3 is U+DCFF, a byte that is not UTF-8; type the address in UTF-8"),
    ("mailto:us%0D%0Aer@example.com", "character 3 is U+000D, " + ANEW),
    (
        "mailto:us%FFer@example.com",
        "the mailto: link does not decode to UTF-8 (RFC 6068 2); type the address itself",
    ),
    # Local parts.
    (
        "x" * 65 + "@example.com",
        "the local part takes 65 octets, the limit is 64 (RFC 5321 4.5.3.1.1); " + TWICE,
    ),
    (
        "\u00f6" * 33 + "@example.com",
        "the local part takes 66 octets, the limit is 64 (RFC 5321 4.5.3.1.1); " + TWICE,
    ),
    ("a b@example.com", "the local part 'a b' holds a space, which must be quoted; " + QUOTE),
    ("a,b@example.com", "the local part 'a,b' holds ',', which must be quoted; " + QUOTE),
    ('a"b@example.com', "the local part 'a\"b' holds '\"', which must be quoted; " + QUOTE),
    ("us\u200der@example.com", "the local part holds U+200D, which cannot be seen; delete it"),
    ('"us\u00a0er"@example.com', "the local part holds U+00A0, which cannot be seen; delete it"),
    (".user@example.com", "the local part '.user' has a dot at an end or two in a row; " + DOTS),
    ("us..er@example.com", "the local part 'us..er' has a dot at an end or two in a row; " + DOTS),
    ('"user@example.com', 'the quoted local part is not closed; write "local part"@example.com'),
    ('"us"er@example.com', 'no @ follows the quoted local part; quote all of it: "local part"@example.com'),
    (
        '"us\\\u00f6er"@example.com',
        "a backslash in the quoted local part stands before a non-ASCII character; delete it",
    ),
    # Domains.
    ("user@localhost", "'localhost' is not a full domain name; give all of it, as in user@mail.example.com"),
    (
        "user@example..com",
        "the domain has an empty label (two dots in a row, or one at an end); delete the extra dot",
    ),
    (
        "user@.example.com",
        "the domain has an empty label (two dots in a row, or one at an end); delete the extra dot",
    ),
    ("user@-a.example", "'-a' begins or ends with a hyphen, which no label may; correct the domain"),
    (
        "user@exa mple.com",
        "the domain holds a space in 'exa mple'; correct it to letters, digits, hyphens and dots",
    ),
    (
        "user@example.com/x",
        "the domain holds '/' in 'com/x'; correct it to letters, digits, hyphens and dots",
    ),
    (
        "<user@example.com> said",
        "the domain holds '>' in 'com> said'; correct it to letters, digits, hyphens and dots",
    ),
    (
        "user@" + "a" * 64 + ".example",
        "'"
        + "a" * 58
        + "\u2026 has 64 octets, the limit for one label of a domain is 63 (RFC 1035 2.3.4); correct it",
    ),
    (f"u@{LONG_DOMAIN}.abcd", "the domain takes 256 octets, the limit is 255 (RFC 5321 4.5.3.1.2); " + TWICE),
    (
        f"user@{LONG_DOMAIN}",
        "the address takes 258 octets with its <>, the limit is 256 (RFC 5321 4.5.3.1.3); " + TWICE,
    ),
    ("user@example.123", "no top-level domain is all digits, as in 'example.123'; correct the domain"),
    ("user@192.0.2.1", "'192.0.2.1' is an IP address without brackets; write [192.0.2.1]"),
    ("user@2001:db8::1", "'2001:db8::1' is an IP address without brackets; write [IPv6:2001:db8::1]"),
    ("user@xn--0.example", "'xn--0' does not decode to a name (RFC 3492); correct it"),
    # Address literals.
    (
        "user@[192.0.2.256]",
        "'[192.0.2.256]' is no address literal of IPv4 or IPv6; write [192.0.2.1] or [IPv6:2001:db8::1]",
    ),
    (
        "user@[tag:content]",
        "'[tag:content]' is no address literal of IPv4 or IPv6; write [192.0.2.1] or [IPv6:2001:db8::1]",
    ),
    ("user@[192.0.2.1", "the address literal '[192.0.2.1' does not end with ]; write [192.0.2.1]"),
    ("user@[2001:db8::1]", "'[2001:db8::1]' has the wrong tag for IPv6; write [IPv6:2001:db8::1]"),
    ("user@[IPv6:192.0.2.1]", "'[IPv6:192.0.2.1]' has the wrong tag for IPv4; write [192.0.2.1]"),
    (
        "user@[IPv6:fe80::1%eth0]",
        "'[IPv6:fe80::1%eth0]' has a zone, which means nothing to another host; write [IPv6:2001:db8::1]",
    ),
]


@every(("text", "message"), REFUSED)
def test_is_refused_with_the_mend(text: str, message: str) -> None:
    with pytest.raises(AddressError) as caught:
        parse(text)
    assert str(caught.value) == message
    assert len(message) <= 200


@pytest.mark.parametrize(
    ("label", "culprit"),
    [("i\u2764", "U+2764"), ("exa\u200dmple", "U+200D"), ("\u05d0a", ""), ("-\u00fc", "")],
)
def test_a_bad_international_label_is_named(label: str, culprit: str) -> None:
    """What stands in the brackets is idna's own wording, which may change with its version."""
    with pytest.raises(AddressError) as caught:
        parse(f"user@{label}.example")
    message = str(caught.value)
    assert message.startswith(f"{label!r} is no valid domain name (")
    assert culprit in message
    assert message.endswith("); correct it, or write its xn-- form")


@every("code", [*range(0x20), *range(0x7F, 0xA0), 0x061C, *range(0x202A, 0x202F), 0x2066])
def test_no_control_passes_anywhere(code: int) -> None:
    for text in (
        f"us{chr(code)}er@example.com",
        f"user@exa{chr(code)}mple.com",
        f"N{chr(code)} <u@example.com>",
    ):
        with pytest.raises(AddressError, match=rf"U\+{code:04X}"):
            parse(text)


@pytest.mark.parametrize(
    "unit", ["a", "@", '"', "\\", ".", "<", "a@", '"\\', "\u00fc.", "%41", "\u0308", " "]
)
def test_megabytes_are_refused_at_once(unit: str) -> None:
    with pytest.raises(AddressError, match="no address is that long"):
        parse(unit * 3_000_000)


@pytest.mark.parametrize("unit", ["a", '"', '"\\', "a@", "a.", "@a,", "<", "\u00fc", "+a=", "no-", "\u0e33"])
def test_the_longest_text_that_is_looked_at_is_cheap(unit: str) -> None:
    """Whatever the shape, the work is that of about a thousand characters; pytest's time-out is the judge."""
    body = (unit * PASTE_LIMIT)[: PASTE_LIMIT - 12]
    for text in (body, f"{body}@example.com", f"user@{body}", f'"{body}"@example.com', f"mailto:{body}"):
        with contextlib.suppress(AddressError):
            parse(text)


def test_idna_is_imported_only_for_an_international_domain() -> None:
    code = (
        "import sys; from probe.core.address import parse; parse('user@example.com'); "
        "assert 'idna' not in sys.modules; parse('user@b\\xfccher.example'); assert 'idna' in sys.modules; "
        "assert not {'socket', 'asyncio', 'ssl'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# --- what holds for every text ---------------------------------------------------------------------

PIECES = st.sampled_from(
    [
        *'@<>"\\.,;:[]() %+=-_?\t\r\n\0\x1b\x85',
        *"\u00a0\u200b\u200d\u202e\u2028\u3002\ufeff\udcff\u00fc\u00df\u0130",
        *(
            "a",
            "B",
            "0",
            "xn--",
            "mailto:",
            "IPv6:",
            "::1",
            "192.0.2.1",
            "example.com",
            "%0D",
            "%C3%BC",
            "noreply",
        ),
        *("SRS0=", "prvs=", "\u05d0", "\u0661", "\u2764", "\u0dca\u200d\u0dbb", "a" * 63),
    ]
)
TEXTS = st.text() | st.lists(PIECES, max_size=12).map("".join)
LOCALS = st.text(st.sampled_from("abcXYZ019!#+-=_~\u00fc\u7528"), min_size=1, max_size=20) | st.text(
    st.sampled_from("ab @<>,.\u00fc"), max_size=12
).map('"{}"'.format)
LABELS = st.from_regex(r"[a-z0-9_]([a-z0-9_]{0,20}[a-z0-9_])?", fullmatch=True) | st.text(
    st.sampled_from("\u00fc\u00e9\u4f8b\u30c6z"), min_size=1, max_size=8
)
DOMAINS = st.lists(LABELS, min_size=1, max_size=3).map(lambda labels: ".".join([*labels, "example"])) | (
    st.ip_addresses(v=4).map("[{}]".format) | st.ip_addresses(v=6).map("[IPv6:{}]".format)
)


@given(TEXTS)
@example("user@\u0130.example")
@example('"\\')
@example("<" * 40)
def test_no_text_raises_anything_else_and_every_message_is_one_printable_line(text: str) -> None:
    try:
        address = parse(text)
    except AddressError as refused:
        message = str(refused)
        assert message.isprintable()
        assert 0 < len(message) <= 200
    else:
        assert address.mailbox.isprintable()
        assert f"{address.local}@{address.domain}" == address.mailbox
        assert address.domain.isascii()
        assert len(address.local.encode()) <= LOCAL_LIMIT
        assert len(address.mailbox.encode()) + 2 <= PATH_LIMIT
        assert address.given.strip(" \t\r\n\u00a0\u3000") == address.given
        assert not any(ord(char) < 0x20 or 0x7F <= ord(char) < 0xA0 for char in address.given)
        assert parse(address.mailbox).mailbox == address.mailbox


@given(LOCALS, DOMAINS)
def test_what_the_grammar_allows_is_accepted_and_reads_back_the_same(local: str, domain: str) -> None:
    address = parse(f"{local}@{domain}")
    again = parse(address.mailbox)
    assert address.local == local
    assert again.mailbox == address.mailbox
    assert (again.domain, again.unicode_domain, again.ip, again.forms) == (
        address.domain,
        address.unicode_domain,
        address.ip,
        address.forms,
    )


@given(LOCALS, DOMAINS)
def test_wrapping_changes_nothing(local: str, domain: str) -> None:
    mailbox = parse(f"{local}@{domain}").mailbox
    for text in (
        f"<{mailbox}>",
        f"Name <{mailbox}>,",
        f'"N, <m>" <{mailbox}>:',
        f"  {mailbox}\n",
        f"{mailbox};",
    ):
        assert parse(text).mailbox == mailbox
