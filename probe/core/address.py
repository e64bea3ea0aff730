"""One address as typed or pasted -> the mailbox that a callout would ask about.

The grammar is the Mailbox of RFC 5321 4.1.2 with the non-ASCII of RFC 6531, because that is what can stand
in an envelope; RFC 5322 comments and folding cannot. Around the mailbox everything that people and log lines
put there is tolerated: a display name, angle brackets, `mailto:`, a source route, a trailing comma.

Two rules stand above the grammar. What could end a line or deceive a reader's eye is refused wherever it
stands, since the text becomes an SMTP command and is shown on terminals. And the local part is nobody's
business but its own host's (RFC 5321 2.3.11): case, quoting and tags are recognised, and never rewritten.

Work is bounded by `PASTE_LIMIT`, so no input, however long, costs more than a look at its length.
"""

from __future__ import annotations

import ipaddress
import re

from probe.core.model import Address, AddressForm, AddressKind

# Patterns are compiled when they are first used (the re module keeps them), because all together they would cost the
# first look-up 8 ms. The one of the common address is needed always.

PASTE_LIMIT = 998
"""Characters of one input. No line of mail has more (RFC 5322 2.1.1), so no address is pasted longer."""
LOCAL_LIMIT = 64
"""Octets of a local part (RFC 5321 4.5.3.1.1), its quotes included."""
DOMAIN_LIMIT = 255
"""Octets of a domain (RFC 5321 4.5.3.1.2), in its A-label form."""
LABEL_LIMIT = 63
"""Octets of one label of a domain (RFC 1035 2.3.4)."""
PATH_LIMIT = 256
"""Octets of a path, with its `<` and `>` (RFC 5321 4.5.3.1.3)."""


class AddressError(ValueError):
    """Text that is no mailbox; the message is one printable line that names what is wrong and the mend."""


_ROLES = frozenset({"postmaster", "abuse", "hostmaster", "webmaster", "mailer-daemon", "noreply", "no-reply"})
"""RFC 5321 4.5.1 and RFC 2142, and what mail is sent from that nobody may answer."""


def parse(text: str) -> Address:
    """Read one mailbox out of what a person typed or pasted.

    Raises `AddressError` for everything that is not exactly one mailbox with a full domain name or an
    address literal, and for the null sender, which has nothing to verify.
    """
    return _plain(text) or _read(text)


def is_role(mailbox: str) -> bool:
    """Whether many hosts take this mailbox before they look at anything else, so that to be taken tells nothing."""
    return mailbox.rpartition("@")[0].lower() in _ROLES


def _plain(text: str) -> Address | None:
    """Read the common address, bare and in ASCII, a fifth as long as `_read` takes; None for any other.

    Whatever this pattern takes, `_read` takes too and makes the same of it: it looks for nothing but the limits and
    the shapes that the pattern leaves out.
    """
    found = _PLAIN.fullmatch(text)
    if found is None or len(text) > _PLAIN_LIMIT:
        return None
    local, named = found.groups()
    domain = named.lower()
    if len(local) > LOCAL_LIMIT or "xn--" in domain:
        return None
    mailbox = text if domain == named else f"{local}@{domain}"
    small = local.lower()
    shaped = "+" in local or "srs" in small or "reply" in small  # what is left of the marks of `_forms`
    forms = _forms(local, domain) if shaped else ()
    return Address(text, mailbox, local, domain, domain, AddressKind.DOMAIN, None, forms)


_PLAIN_LIMIT = 250
"""Characters within which no limit of the path, the paste or the domain can be passed."""
_PLAIN = re.compile(
    r"([A-Za-z0-9_+-]++(?:\.[A-Za-z0-9_+-]++)*+)@"
    r"((?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)++[A-Za-z](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)"
)


def _read(text: str) -> Address:
    """Read any address."""
    if len(text) > PASTE_LIMIT:
        raise AddressError(
            f"the text has {len(text)} characters, no address is that long; "
            "give one address, such as user@example.com"
        )
    given = text.strip(_BLANKS)
    _refuse_unsendable(given)
    path = _unwrap(given)
    if path in {"", '""'}:
        raise AddressError(
            "<> or nothing is the null sender, which needs no verification (RFC 5321 4.5.5); "
            "give the address of a mailbox, such as user@example.com"
        )
    local, at_domain = _split(path)
    _check_local(local)
    if at_domain.startswith("["):
        kind = AddressKind.LITERAL
        domain, ip = _literal(at_domain)
        unicode_domain = domain
    else:
        kind = AddressKind.DOMAIN
        domain, unicode_domain = _domain(at_domain)
        ip = None
    mailbox = f"{local}@{domain}"
    octets = len(mailbox.encode()) + len("<>")
    if octets > PATH_LIMIT:
        raise AddressError(
            f"the address takes {octets} octets with its <>, the limit is {PATH_LIMIT} "
            "(RFC 5321 4.5.3.1.3); check it for text pasted twice"
        )
    return Address(
        given=given,
        mailbox=mailbox,
        local=local,
        domain=domain,
        unicode_domain=unicode_domain,
        kind=kind,
        ip=ip,
        forms=_forms(local, domain),
    )


# --- characters ------------------------------------------------------------------------------------

_BLANKS = " \t\r\n\u00a0\u3000"
"""What may surround a paste: the blanks of keyboards, spreadsheets and web pages."""
_SPACES = frozenset("\u00a0\u1680\u202f\u205f\u3000").union(map(chr, range(0x2000, 0x200B)))
"""Spaces that `str.isprintable` refuses and a display name may hold; in an address each rule refuses them."""
_JOINERS = frozenset("\u200c\u200d")
"""Names in Persian or Sinhala need these two; in a domain idna judges each by its neighbours (RFC 5892 A)."""


def _refuse_unsendable(text: str) -> None:
    """Refuse controls, bidirectional and format characters, line separators, surrogates, private use."""
    for at, char in enumerate(text, 1):
        if char.isprintable() or char in _SPACES or char in _JOINERS:
            continue
        code = f"U+{ord(char):04X}"
        if 0xD800 <= ord(char) <= 0xDFFF:
            # What Python makes of a command line argument's byte that is not UTF-8 (PEP 383).
            raise AddressError(
                f"character {at} is {code}, a byte that is not UTF-8; type the address in UTF-8"
            )
        raise AddressError(
            f"character {at} is {code}, which no address may hold; delete it or type the address anew"
        )


def _show(text: str) -> str:
    """Quote a piece of the input for a message: printable whatever it holds, at most 60 characters."""
    shown = repr(text[:61])
    return shown if len(shown) <= 60 else f"{shown[:59]}…"


# --- around the mailbox ----------------------------------------------------------------------------

_TAIL = f"{_BLANKS},;:"
_OPENING = r'(?:"(?:[^"\\]|\\.)*+"|[^"<])*+<'
"""A display name, in quotes or not, up to the `<` of its path. A `<` inside quotes does not count."""
_HOP = r"@(?:\[[^\]]*\]|[^\s@,:\[\]]+)"
_ROUTE = rf"{_HOP}(?:,{_HOP})*:"
_MAILTO = r"(?i:mailto):([^?]*)"
_PERCENT = rb"%([0-9A-Fa-f]{2})"


def _unwrap(given: str) -> str:
    """Take off what is not the mailbox: name, brackets (also a lone one), URL scheme, route, punctuation."""
    text = given.rstrip(_TAIL)
    if opening := re.match(_OPENING, text):
        text = text[opening.end() :]
    text = text.rstrip(f"{_TAIL}>").strip(_BLANKS)
    if mailto := re.match(_MAILTO, text):
        text = _decode_percent(mailto[1])
    if route := re.match(_ROUTE, text):
        # A-d-l: "SHOULD be ignored" (RFC 5321 4.1.1.3, appendix C).
        text = text[route.end() :]
    return text


def _decode_percent(text: str) -> str:
    """Undo the percent encoding of a mailto URL (RFC 6068 2), and look at what it hid."""
    octets = re.sub(_PERCENT, lambda pair: bytes.fromhex(pair[1].decode()), text.encode())
    try:
        decoded = octets.decode()
    except UnicodeDecodeError:
        raise AddressError(
            "the mailto: link does not decode to UTF-8 (RFC 6068 2); type the address itself"
        ) from None
    _refuse_unsendable(decoded)
    return decoded


# --- local part ------------------------------------------------------------------------------------

_QUOTED = r'"(?:[^"\\]|\\.)*+"'
_QUOTED_SMTP = r'"(?:[^"\\]|\\[ -~])*+"'
"""quoted-pairSMTP has printable ASCII after its backslash (RFC 5321 4.1.2), also under RFC 6531."""
_NOT_ATEXT = r"[^A-Za-z0-9!#$%&'*+/=?^_`{|}~.\x80-\U0010FFFF-]"


def _split(path: str) -> tuple[str, str]:
    """Cut at the `@` that is outside quotes: (local part, what follows)."""
    if path.startswith('"'):
        quoted = re.match(_QUOTED, path)
        if quoted is None:
            raise AddressError('the quoted local part is not closed; write "local part"@example.com')
        local, rest = quoted[0], path[quoted.end() :]
        if not rest.startswith("@"):
            raise AddressError(
                'no @ follows the quoted local part; quote all of it: "local part"@example.com'
            )
        domain = rest[1:]
    else:
        local, at, domain = path.partition("@")
        if not at:
            raise AddressError(f"{_show(path)} has no @; give a full address, such as user@example.com")
    if not local:
        raise AddressError(
            f"{_show(path)} has nothing before the @; give a full address, such as user@example.com"
        )
    if "@" in domain:
        if re.search(r"[\s,;]", domain):
            raise AddressError("the text holds more than one address; give them one by one")
        raise AddressError(
            'the address has more than one @; a local part that holds one is written "a@b"@example.com'
        )
    if not domain:
        raise AddressError(
            f"{_show(path)} has no domain after the @; give a full address, such as user@example.com"
        )
    return local, domain


def _check_local(local: str) -> None:
    """Refuse what is neither a dot-atom nor a quoted-string, or is too long."""
    octets = len(local.encode())
    if octets > LOCAL_LIMIT:
        raise AddressError(
            f"the local part takes {octets} octets, the limit is {LOCAL_LIMIT} (RFC 5321 4.5.3.1.1); "
            "check it for text pasted twice"
        )
    for char in local:
        if not char.isprintable():
            raise AddressError(f"the local part holds U+{ord(char):04X}, which cannot be seen; delete it")
    if local.startswith('"'):
        if not re.fullmatch(_QUOTED_SMTP, local):
            raise AddressError(
                "a backslash in the quoted local part stands before a non-ASCII character; delete it"
            )
        return
    if bad := re.search(_NOT_ATEXT, local):
        what = "a space" if bad[0] == " " else _show(bad[0])
        raise AddressError(
            f"the local part {_show(local)} holds {what}, which must be quoted; "
            'delete it or write "local part"@example.com'
        )
    if local.startswith(".") or local.endswith(".") or ".." in local:
        raise AddressError(
            f"the local part {_show(local)} has a dot at an end or two in a row; "
            'correct it, or quote it if it is really so: "a..b"@example.com'
        )


# --- domain ----------------------------------------------------------------------------------------

_IPV6_TAG = "ipv6:"
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?"
"""Letters, digits, hyphen; and the underscore, which the DNS allows and real envelope senders have."""
_NOT_LABEL = r"[^a-z0-9_-]"


def _literal(text: str) -> tuple[str, str]:
    """Read an address literal (RFC 5321 4.1.3): its canonical form with brackets, and the IP in it."""
    if not text.endswith("]"):
        raise AddressError(f"the address literal {_show(text)} does not end with ]; write [192.0.2.1]")
    inner = text[1:-1]
    tagged = inner[: len(_IPV6_TAG)].lower() == _IPV6_TAG
    try:
        ip = ipaddress.ip_address(inner[len(_IPV6_TAG) :] if tagged else inner)
    except ValueError:
        raise AddressError(
            f"{_show(text)} is no address literal of IPv4 or IPv6; write [192.0.2.1] or [IPv6:2001:db8::1]"
        ) from None
    if "%" in inner:
        raise AddressError(
            f"{_show(text)} has a zone, which means nothing to another host; write [IPv6:2001:db8::1]"
        )
    if tagged != (ip.version == 6):
        raise AddressError(f"{_show(text)} has the wrong tag for IPv{ip.version}; write {_bracket(ip)}")
    return _bracket(ip), str(ip)


def _bracket(ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    return f"[IPv6:{ip}]" if ip.version == 6 else f"[{ip}]"


def _domain(text: str) -> tuple[str, str]:
    """Read a domain name: the A-label form that goes on the wire, and the U-label form for people."""
    name = text.lower() if text.isascii() else _map(text)
    _refuse_bare_ip(name)
    pairs = [_label(label) for label in name.removesuffix(".").split(".")]
    wire = ".".join(a_label for a_label, _ in pairs)
    if len(wire) > DOMAIN_LIMIT:
        raise AddressError(
            f"the domain takes {len(wire)} octets, the limit is {DOMAIN_LIMIT} (RFC 5321 4.5.3.1.2); "
            "check it for text pasted twice"
        )
    if len(pairs) == 1:
        raise AddressError(
            f"{_show(wire)} is not a full domain name; give all of it, as in user@mail.example.com"
        )
    if pairs[-1][0].isdigit():
        raise AddressError(f"no top-level domain is all digits, as in {_show(wire)}; correct the domain")
    return wire, ".".join(u_label for _, u_label in pairs)


def _refuse_bare_ip(name: str) -> None:
    try:
        ip = ipaddress.ip_address(name.removesuffix(".").partition("%")[0])
    except ValueError:
        return
    raise AddressError(f"{_show(name)} is an IP address without brackets; write {_bracket(ip)}")


def _map(text: str) -> str:
    """Apply the mapping of UTS 46: case, width, normal form, and the dots of other scripts."""
    import idna  # noqa: PLC0415 - its tables cost 15 ms, and most domains are ASCII

    try:
        return idna.uts46_remap(text, std3_rules=False)
    except idna.IDNAError as error:
        raise _bad_idn(text, error) from None


def _label(label: str) -> tuple[str, str]:
    """Check one label: (A-label, U-label), the same twice for an ASCII one."""
    if not label:
        raise AddressError(
            "the domain has an empty label (two dots in a row, or one at an end); delete the extra dot"
        )
    if not label.isascii():
        return _encode(label), label
    if bad := re.search(_NOT_LABEL, label):
        what = "a space" if bad[0] == " " else _show(bad[0])
        raise AddressError(
            f"the domain holds {what} in {_show(label)}; correct it to letters, digits, hyphens and dots"
        )
    if len(label) > LABEL_LIMIT:
        raise AddressError(
            f"{_show(label)} has {len(label)} octets, the limit for one label of a domain is {LABEL_LIMIT} "
            "(RFC 1035 2.3.4); correct it"
        )
    if not re.fullmatch(_LABEL, label):
        raise AddressError(
            f"{_show(label)} begins or ends with a hyphen, which no label may; correct the domain"
        )
    return label, _decode(label) if label.startswith("xn--") else label


def _encode(label: str) -> str:
    import idna  # noqa: PLC0415 - as above

    try:
        return idna.alabel(label).decode("ascii")
    except idna.IDNAError as error:
        raise _bad_idn(label, error) from None


def _decode(a_label: str) -> str:
    """Decode an A-label for people.

    One that decodes to characters which IDNA 2008 forbids stays as it is: such names (emoji, old
    registrations) exist in the DNS, a mail server asks for them, and so do we. One that does not decode
    at all is a typing error.
    """
    import idna  # noqa: PLC0415 - as above

    try:
        return idna.ulabel(a_label)
    except (idna.InvalidCodepoint, idna.InvalidCodepointContext, idna.IDNABidiError):
        return a_label
    except idna.IDNAError:
        raise AddressError(f"{_show(a_label)} does not decode to a name (RFC 3492); correct it") from None


def _bad_idn(name: str, error: UnicodeError) -> AddressError:
    detail = "".join(char for char in str(error) if char.isprintable())[:60]
    return AddressError(
        f"{_show(name)} is no valid domain name ({detail}); correct it, or write its xn-- form"
    )


# --- shapes of a local part ------------------------------------------------------------------------

_TAGGED = (
    # draft-levine-smtp-batv: prvs=TAG=local, and the older prvs=local/TAG. The draft's tag has ten
    # characters; products in the field make it shorter and longer.
    (AddressForm.BATV, "=", r"(?i:prvs=(?:[0-9a-z]{6,16}=.+|.+/[0-9a-z]{6,16}))"),
    # The Sender Rewriting Scheme, with any of its three separators; user+SRS=... is Exchange Online's.
    (AddressForm.SRS, "srs", r"(?i:(?:SRS[01][=+-]|.*\+SRS=).+)"),
    # A recipient written into the return path: list-bounces+user=example.org, owner-news-user=example.org.
    (AddressForm.VERP, "=", r".+[+-][^+=]+=(?:[\w-]+\.)+[\w-]+"),
    # RFC 5233. Some hosts use other separators, which cannot be told from an ordinary name.
    (AddressForm.SUBADDRESS, "+", r"[^+]+\+.+"),
)
_NULL_LIKE = r"(?i:(?:^|.*[._+=-])(?:no|do[._-]?not|dont)[._-]?reply(?:$|[._+=\d-].*))"


def _forms(local: str, domain: str) -> tuple[AddressForm, ...]:
    """List the shapes in the order of `AddressForm`; of SRS, VERP and `+tag` only the first is said."""
    quoted = local.startswith('"')
    content = local[1:-1] if quoted else local
    found = {
        form for form, mark, shape in _TAGGED if mark in content.lower() and re.fullmatch(shape, content)
    }
    if AddressForm.SRS in found:
        found -= {AddressForm.VERP, AddressForm.SUBADDRESS}
    if AddressForm.VERP in found:
        found.discard(AddressForm.SUBADDRESS)
    if quoted:
        found.add(AddressForm.QUOTED)
    if not local.isascii():
        found.add(AddressForm.UTF8)
    if any(label.startswith("xn--") for label in domain.split(".")):
        found.add(AddressForm.IDN)
    if "reply" in content.lower() and re.fullmatch(_NULL_LIKE, content):
        found.add(AddressForm.NULL_LIKE)
    return tuple(form for form in AddressForm if form in found)
