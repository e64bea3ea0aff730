"""`probe-sender schema [DOCUMENT]`: the JSON Schema of what a command prints."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from probe.cli import say
from probe.cli.options import RawPage, one_of
from probe.cli.parsers import plain

if TYPE_CHECKING:
    from msgspec import Struct

DOCUMENTS = {
    "report": ("a report: --json, explain FILE --json, history --json", "probe.core.model", "Report"),
    "evidence": ("what --save writes, and explain reads", "probe.core.model", "Evidence"),
    "batch": ("a line of batch, which is a report", "probe.core.model", "Report"),
    "plan": ("batch --dry-run --json", "probe.run.forecast", "Forecast"),
    "log": ("log --json", "probe.core.log.report", "LogReport"),
    "group": ("a line of log --format jsonl", "probe.core.log.report", "Group"),
    "preflight": ("preflight --json", "probe.core.exemption.relay", "Preflight"),
    "audit": ("audit --json", "probe.core.exemption.listing", "ListReport"),
    "doctor": ("doctor --json", "probe.core.observations", "Health"),
}
"""What is printed as JSON: where, and its type by module and name, because each is loaded only for itself."""
NUMBERS = {
    "Report": "REPORT_SCHEMA",
    "Evidence": "EVIDENCE_SCHEMA",
    "LogReport": "LOG_SCHEMA",
    "Preflight": "PREFLIGHT_SCHEMA",
    "ListReport": "LIST_SCHEMA",
    "Health": "HEALTH_SCHEMA",
}
"""Where the module of a type keeps its schema number; a group is a part of a document, and a plan is read at once."""


def schema(argv: list[str]) -> int:
    """Print the JSON Schema of a document."""
    parser = plain("schema", "Print the JSON Schema (2020-12) of a document that is printed with --json.")
    parser.usage = "probe-sender schema [DOCUMENT]"
    parser.formatter_class = RawPage
    parser.epilog = "documents:\n" + "".join(
        f"  {name:10} {what}\n" for name, (what, *_) in DOCUMENTS.items()
    )
    parser.add_argument(
        "document",
        nargs="?",
        type=one_of(*DOCUMENTS),
        default="report",
        metavar="DOCUMENT",
        help="which one (default report)",
    )
    import json

    say(json.dumps(described(parser.parse_args(argv).document), indent=2) + "\n")
    return 0


def described(name: str) -> dict[str, object]:
    """Give the schema of one of `DOCUMENTS`."""
    from probe.codec import schema as schema_of

    _, where, kind = DOCUMENTS[name]
    module = import_module(where)
    document: type[Struct] = getattr(module, kind)
    number: int | None = getattr(module, NUMBERS[kind]) if kind in NUMBERS else None
    return schema_of(document, number, name)
