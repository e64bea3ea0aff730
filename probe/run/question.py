"""What is asked of every mail host of an address, and how the evidence tells the settings that shaped it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from probe.core.conversation import Plan
from probe.core.model import AddressForm, HeloSource, Options

if TYPE_CHECKING:
    from probe.core.model import Address
    from probe.settings import Settings


def callout_plan(address: Address, settings: Settings, *, helo: str | None, seed: int) -> Plan:
    """Give the callout for an address; `seed` names the random mailbox of --catch-all."""
    local = f"probe-{seed:08x}"
    return Plan(
        helo=helo,
        mail_from=settings.mail_from,
        rcpt=address.mailbox,
        random_rcpt=f"{local}@{address.domain}" if settings.catch_all else None,
        tls=settings.tls,
        utf8=AddressForm.UTF8 in address.forms,
        banner_timeout=settings.reply_timeout,
        reply_timeout=settings.reply_timeout,
        quit_timeout=settings.quit_timeout,
    )


def options_of(settings: Settings, *, helo: str | None) -> Options:
    """Record the settings; `helo` is the name that we give, None for the address literal of each connection."""
    source = HeloSource.OPTION if settings.helo else HeloSource.HOST if helo else HeloSource.LITERAL
    return Options(
        timeout=settings.timeout,
        connect_timeout=settings.connect_timeout,
        reply_timeout=settings.reply_timeout,
        quit_timeout=settings.quit_timeout,
        dns_timeout=settings.dns_timeout,
        stagger=settings.stagger,
        port=settings.port,
        helo=helo,
        helo_source=source,
        mail_from=settings.mail_from,
        families=settings.families,
        source=settings.source,
        tls=settings.tls,
        catch_all=settings.catch_all,
        all_hosts=settings.all_hosts,
        allow_private=settings.allow_private,
        dns_servers=settings.dns_servers,
        trace=settings.trace,
        fast=settings.fast,
        audit=settings.audit,
    )
