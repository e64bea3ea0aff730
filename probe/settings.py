"""Timeouts, limits and choices of a run, as one frozen value.

Every limit says why it is what it is. Times are seconds. `Settings` is what a front end hands to
`probe.run.collect`; it raises `SettingsError`, one line that names the option and the mend, when a value
cannot be used. Nothing here reads the environment, a file or a clock.
"""

from __future__ import annotations

import re

from msgspec import Struct

from probe.core.address import AddressError, parse
from probe.core.endpoint import SMTP_PORT, parse_endpoint, split_endpoint
from probe.core.model import TlsMode
from probe.core.scope import may_be_connected_to, read_ip

# Fixed limits, with their reasons.
QUIT_TIMEOUT = 1.0
"""Exim waits one second for the reply to QUIT; the verdict never depends on it."""
DNS_TRY_TIMEOUT = 2.5
"""One try of one server. A busy resolver that recurses answers within two seconds or not at all."""
DNS_TRIES = 2
"""Rounds over the list of servers, as the C library's resolver makes them."""
DNS_TIMEOUT = 10.0
"""All tries of one question."""
STAGGER = 0.25
"""Head start of the first mail host before the next one is tried too: the default of RFC 8305 5."""
STAGGER_NEXT = 0.15
"""Head start of the others. Once one is silent the next may be too, and the eighth address of a domain has to
be reached within three seconds; RFC 8305 5 allows 100 ms."""
PATIENCE = 5.0
"""A connected mail host that has not answered within this no longer holds up the next one."""


class SettingsError(ValueError):
    """A setting that cannot be used; the text is one line that names it and the mend."""


class Settings(Struct, frozen=True, kw_only=True):
    """What the user chose; the defaults are those of `--help`.

    `canaries` are mail hosts known to be up, as HOST or HOST:PORT; None stands for the list that comes with
    the program, an empty one for none.
    """

    timeout: float = 60.0
    connect_timeout: float = 10.0
    reply_timeout: float = 30.0
    helo: str | None = None
    mail_from: str = ""
    port: int = 25
    families: tuple[int, ...] = (4, 6)
    source: str | None = None
    dns_servers: tuple[str, ...] = ()
    tls: TlsMode = TlsMode.AUTO
    catch_all: bool = False
    all_hosts: bool = False
    allow_private: bool = False
    trace: bool = True
    fast: bool = False
    audit: bool = False
    canaries: tuple[str, ...] | None = None
    seed: int | None = None

    quit_timeout: float = QUIT_TIMEOUT
    dns_timeout: float = DNS_TIMEOUT
    dns_try_timeout: float = DNS_TRY_TIMEOUT
    stagger: float = STAGGER
    stagger_next: float = STAGGER_NEXT
    patience: float = PATIENCE

    def __post_init__(self) -> None:
        """Refuse what cannot work, each with its own sentence."""
        for option, value in (
            ("--timeout", self.timeout),
            ("--connect-timeout", self.connect_timeout),
            ("--reply-timeout", self.reply_timeout),
        ):
            if not 0 < value <= 3600:
                raise SettingsError(f"{option}: {value:g} is not a time; give seconds above 0, up to 3600")
        if not 0 < self.port < 65536:
            raise SettingsError(f"--port: {self.port} is not a TCP port; give 1 to 65535 (mail hosts use 25)")
        if not self.families or not {4, 6}.issuperset(self.families):
            raise SettingsError(f"families: {self.families!r} are not IP versions; give (4, 6), (4,) or (6,)")
        if self.helo is not None:
            check_helo(self.helo)
        if self.mail_from:
            self._check_mail_from(self.mail_from)
        if self.source is not None:
            self._check_source(self.source)
        for server in self.dns_servers:
            parse_server(server)
        for canary in self.canaries or ():
            parse_canary(canary)

    def _check_source(self, source: str) -> None:
        ip = read_ip(source)
        if ip is None:
            raise SettingsError(f"--source: {source!r} is not an IP address; give one that this host owns")
        if ip.version not in self.families:
            raise SettingsError(f"--source: {source} is IPv{ip.version}, which -{self.families[0]} rules out")

    def _check_mail_from(self, sender: str) -> None:
        try:
            mailbox = parse(sender).mailbox
        except AddressError as error:
            raise SettingsError(f"--mail-from: {error}") from None
        if mailbox != sender:
            raise SettingsError(f"--mail-from: {sender[:60]!r} is not how it is sent; write {mailbox}")


_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})+\.?", re.ASCII)


def check_helo(name: str) -> None:
    """Refuse a HELO argument that is no fully qualified name and no address literal (RFC 5321 4.1.4)."""
    if name.startswith("[") and name.endswith("]"):
        inner = name[1:-1]
        inner = inner[5:] if inner[:5].lower() == "ipv6:" else inner
        if read_ip(inner) is None:
            raise SettingsError(f"--helo: {name!r} is not an address literal; write [192.0.2.1]")
        return
    if read_ip(name) is not None:
        literal = f"[IPv6:{name}]" if ":" in name else f"[{name}]"
        raise SettingsError(f"--helo: {name} is an address; as a literal it is written {literal}")
    if name.lower().rstrip(".").rsplit(".", 1)[-1] in {"localhost", "localdomain"}:
        raise SettingsError(
            f"--helo: {name!r} names no host on the Internet; give the name that this host's IP resolves to"
        )
    if len(name) > 255 or not _NAME.fullmatch(name):
        raise SettingsError(f"--helo: {name!r} is not a fully qualified name; give one like mail.example.com")


def parse_server(text: str) -> tuple[str, int]:
    """Read the address and port of a name server, or refuse with the mend."""
    endpoint = parse_endpoint(text)
    if endpoint is None:
        raise SettingsError(
            f"--dns-server: {text[:60]!r} is no name server; give IP or IP:PORT,"
            " such as 192.0.2.53, 192.0.2.53:5353 or [2001:db8::53]:53"
        )
    return endpoint


def _is_host_name(text: str) -> bool:
    # No top-level domain is a number (RFC 3696 2): such a name is a mistyped address.
    return (
        len(text) <= 255 and bool(_NAME.fullmatch(text)) and not text.rstrip(".").rsplit(".", 1)[-1].isdigit()
    )


def parse_canary(text: str, port: int = SMTP_PORT) -> tuple[str, int]:
    """Read the name or IP of a mail host and its port (`port` when it is not given), or refuse with the mend."""
    endpoint = split_endpoint(text, port)
    if endpoint is not None:
        host, given = endpoint
        ip = read_ip(host)
        if ip is not None and not may_be_connected_to(ip):
            raise SettingsError(
                f"--canary: {host[:60]!r} is the address of no host; give a mail host known to be up"
            )
        if ip is not None or _is_host_name(host):
            return host.rstrip("."), given
    raise SettingsError(
        f"--canary: {text[:60]!r} is no mail host; give HOST or HOST:PORT with a fully qualified name or an IP,"
        " such as mx.example.com, 192.0.2.25:25 or [2001:db8::25]:25"
    )
