"""The texts of the letters, one module a language; `letter` puts the facts of a case into them."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from probe.core.model import Cause, MtaOutcome


class Reader(StrEnum):
    """To whom a letter is written: a colleague, the customer who complained, the other side's postmaster."""

    SUPPORT = "support"
    CUSTOMER = "customer"
    POSTMASTER = "postmaster"


class Texts(Struct, frozen=True):
    """Everything that a letter says, in one language. Braces name the fields of `letter.Matter`.

    `opening` says that we have tested it, `opening_log` that a log says so. `meaning` is the paragraph that explains
    a cause to a reader, `asking` what he is asked to do about it; `ours` stands for both where the fault is ours, and
    `refused_meaning` and `refused_asking` where the sender exists and is refused all the same. An `asking` that ends
    in a colon is read without it where no step follows.
    `trouble` tells a postmaster what it costs him, with the word of `effect` for what mail servers that verify senders
    do with the mail. `labels` name the rows of the facts and the titles of the parts.
    """

    subject: dict[Reader, str]
    greeting: dict[Reader, str]
    opening: dict[Reader, str]
    opening_log: dict[Reader, str]
    trouble: str
    ours: dict[Reader, str]
    meaning: dict[Reader, dict[Cause, str]]
    asking: dict[Reader, dict[Cause, str]]
    refused_meaning: dict[Reader, str]
    refused_asking: dict[Reader, str]
    testing: dict[Cause, str]
    closing: dict[Reader, str]
    effect: dict[MtaOutcome, str]
    labels: dict[str, str]
