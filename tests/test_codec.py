"""JSON in and out: nothing is lost, nothing is obeyed by a terminal, and no file makes the core raise."""

from __future__ import annotations

import contextlib
import copy
import json
import subprocess
import sys
import types
from enum import StrEnum
from typing import Any, get_args, get_origin, get_type_hints

import jsonschema
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from probe import codec
from probe.codec import EvidenceError, decode_evidence, decode_many, encode, pretty, schema
from probe.core.address import parse
from probe.core.model import (
    Connect,
    ConnectOutcome,
    Direction,
    DnsAnswer,
    DnsOutcome,
    DnsRecord,
    DnsTry,
    Evidence,
    Exchange,
    ExchangeOutcome,
    HeloSource,
    HostEvidence,
    Oddity,
    Options,
    Origin,
    Purpose,
    Reply,
    Report,
    Scope,
    Session,
    Stage,
    Tape,
    Tls,
    TlsMode,
    Tool,
)
from tests.support.arbitrary import examples

TOOL = Tool(name="probe-sender", version="0.1.0", rules_version=1)

SAMPLE = Evidence(
    schema=1,
    tool=TOOL,
    began="2025-01-02T03:04:05Z",
    seed=7,
    address=parse("user@b\u00fccher.example"),
    options=Options(
        timeout=60.0,
        connect_timeout=10.0,
        reply_timeout=30.0,
        quit_timeout=1.0,
        dns_timeout=10.0,
        stagger=0.2,
        port=25,
        helo="mail.example.com",
        helo_source=HeloSource.OPTION,
        mail_from="",
        families=(4, 6),
        source=None,
        tls=TlsMode.AUTO,
        catch_all=False,
        all_hosts=False,
        allow_private=False,
        dns_servers=("192.0.2.53",),
    ),
    dns=(
        DnsAnswer(
            name="xn--bcher-kva.example",
            type="MX",
            asked=0.0,
            ended=0.02,
            outcome=DnsOutcome.ANSWER,
            rcode="NOERROR",
            authenticated=False,
            records=(DnsRecord("xn--bcher-kva.example", "MX", 300, "10 mx.example.", 10, "mx.example"),),
            soa_minimum=None,
            tries=(DnsTry("192.0.2.53", "udp", 0.0, 0.02, DnsOutcome.ANSWER),),
        ),
    ),
    hosts=(
        HostEvidence(
            name="mx.example",
            ip="192.0.2.25",
            port=25,
            preference=10,
            origin=Origin.MX,
            scope=Scope.DOCUMENTATION,
            skipped=None,
            sessions=(
                Session(
                    purpose=Purpose.CALLOUT,
                    connect=Connect(0.03, 0.05, ConnectOutcome.CONNECTED, local_ip="198.51.100.1"),
                    exchanges=(
                        Exchange(
                            stage=Stage.BANNER,
                            command=None,
                            sent=0.05,
                            ended=0.06,
                            outcome=ExchangeOutcome.REPLY,
                            reply=Reply(220, ("220 \x1b[2J\x9b\xff",), (Oddity.EIGHT_BIT,), 0.06, 0.06),
                        ),
                    ),
                    tls=Tls(started=0.07, ended=0.08, ok=False, error="handshake failure"),
                    tape=(Tape(0.06, 0.06, Direction.RECEIVED, "220 \x1b[2J\x7f\x9b\xad\xff\r\n"),),
                    dropped=0,
                ),
            ),
        ),
    ),
    ended=0.1,
    interrupted=False,
    cut_short=False,
)


# --- strategies, one for every type of the model ---------------------------------------------------

octets = st.text(st.characters(max_codepoint=0xFF), max_size=12)
ips = st.ip_addresses().map(str)
SPECIAL: dict[tuple[type, str], st.SearchStrategy[Any]] = {
    (Evidence, "schema"): st.just(1),
    (Report, "schema"): st.just(1),
    (Evidence, "tool"): st.just(TOOL),
    (Report, "tool"): st.just(TOOL),
    (Evidence, "address"): st.sampled_from(
        ["user@example.com", "J\u00f6rg+x@b\u00fccher.example", '"a b"@[192.0.2.1]', "u@[IPv6:2001:db8::1]"]
    ).map(parse),
    (Options, "families"): st.sampled_from([(4, 6), (4,), (6,)]),
    (Connect, "local_ip"): st.none() | ips,
    (HostEvidence, "ip"): ips,
    (Reply, "code"): st.none() | st.integers(0, 999),
    (Reply, "lines"): st.lists(octets, max_size=3).map(tuple),
    (Tape, "data"): octets,
    (Exchange, "command"): st.none() | octets,
    (Exchange, "detail"): st.none() | octets,
}
PLAIN: dict[Any, st.SearchStrategy[Any]] = {
    str: st.text(max_size=12),
    int: st.integers(0, 65535),
    float: st.floats(0, 1e9),
    bool: st.booleans(),
    types.NoneType: st.none(),
}


def values(kind: Any) -> st.SearchStrategy[Any]:
    """Generate values of a type of the model, by its hints."""
    if kind in PLAIN:
        return PLAIN[kind]
    if get_origin(kind) is tuple:
        return st.lists(values(get_args(kind)[0]), max_size=3).map(tuple)
    if get_origin(kind) is types.UnionType:
        return st.one_of(*map(values, get_args(kind)))
    if issubclass(kind, StrEnum):
        return st.sampled_from(list(kind))
    fields = get_type_hints(kind).items()
    return st.builds(kind, **{name: SPECIAL.get((kind, name), values(hint)) for name, hint in fields})


EVIDENCE: st.SearchStrategy[Evidence] = values(Evidence)
REPORTS: st.SearchStrategy[Report] = values(Report)
roomy = settings(
    max_examples=examples(0.4), suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


# --- out -------------------------------------------------------------------------------------------


@roomy
@given(EVIDENCE)
def test_evidence_survives_the_way_out_and_in(evidence: Evidence) -> None:
    assert decode_evidence(encode(evidence), "e.json") == evidence
    assert decode_evidence(pretty(evidence).encode(), "e.json") == evidence


@roomy
@given(REPORTS)
def test_a_report_gives_back_its_evidence_and_fits_the_schema(report: Report) -> None:
    line = encode(report)
    assert decode_evidence(line, "r.json") == report.evidence
    jsonschema.Draft202012Validator(schema()).validate(json.loads(line))


@roomy
@given(EVIDENCE)
def test_what_is_written_is_one_line_that_no_terminal_obeys(evidence: Evidence) -> None:
    line = encode(evidence).decode()
    assert not any(ord(char) < 0x20 or 0x7F <= ord(char) < 0xA0 for char in line)
    assert not set("\u2028\u2029\u202e\u2066\ufeff").intersection(line)
    assert json.loads(line) == json.loads(pretty(evidence))


def test_every_byte_of_a_peer_survives_escaped() -> None:
    everything = "".join(map(chr, range(256)))
    evidence = with_tape(everything)
    line = encode(evidence)
    assert b"\\u007f\\u0080" in line
    assert b"\\u009f" in line
    assert decode_evidence(line, "e.json").hosts[0].sessions[0].tape[0].data == everything


def test_a_character_beyond_the_first_plane_is_escaped_as_a_pair() -> None:
    evidence = msgspec.structs.replace(SAMPLE, began="\U000e0041\u202e\U0001f600")
    assert b'"\\udb40\\udc41\\u202e\xf0\x9f\x98\x80"' in encode(evidence)
    assert decode_evidence(encode(evidence), "e.json") == evidence


def test_pretty_is_indented_by_two() -> None:
    assert pretty(SAMPLE).startswith('{\n  "schema": 1,\n  "tool": {\n    "name": "probe-sender",\n')


def with_tape(data: str) -> Evidence:
    host = SAMPLE.hosts[0]
    session = msgspec.structs.replace(host.sessions[0], tape=(Tape(0.0, 0.0, Direction.RECEIVED, data),))
    return msgspec.structs.replace(SAMPLE, hosts=(msgspec.structs.replace(host, sessions=(session,)),))


# --- schema ----------------------------------------------------------------------------------------


def test_the_schema_is_a_schema_and_requires_every_key() -> None:
    described: Any = schema()
    jsonschema.Draft202012Validator.check_schema(described)
    assert described["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert described["title"] == "probe-sender report"
    assert "$id" not in described
    objects = [one for one in described["$defs"].values() if one.get("type") == "object"]
    assert len(objects) > 15
    for one in objects:
        assert one["required"] == list(one["properties"])
        assert "additionalProperties" not in one
        assert not any("default" in key for key in one["properties"].values())
    assert described["$defs"]["Cause"]["description"].startswith("What is true of the sender")


def test_the_schema_rejects_a_missing_key_a_wrong_word_and_another_number() -> None:
    evidence_schema = {**schema(), "$ref": "#/$defs/Evidence"}
    validator = jsonschema.Draft202012Validator(evidence_schema)
    good = json.loads(encode(SAMPLE))
    validator.validate(good)
    validator.validate({**good, "key of a later version": 1})
    for path, value in [
        (("seed",), None),
        (("hosts", 0, "sessions", 0, "connect", "errno"), None),  # has a default, and is written nevertheless
        (("dns", 0, "outcome"), "perhaps"),
        (("schema",), 2),
    ]:
        bad = edited(path, value)
        with pytest.raises(jsonschema.ValidationError):
            validator.validate(bad)


def edited(path: tuple[str | int, ...], value: Any) -> Any:
    """Give the sample as JSON with one value changed, or its key taken out when the value is `None`."""
    document = copy.deepcopy(json.loads(encode(SAMPLE)))
    inner = document
    for step in path[:-1]:
        inner = inner[step]
    if value is None:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return document


# --- refused ---------------------------------------------------------------------------------------

FOREIGN = "give a file that probe-sender wrote with --save or --json"
MEND = "save it anew or correct it there"

BROKEN = [
    (b"", f"e.json: there is nothing in it; {FOREIGN}"),
    (b" \n", f"e.json: there is nothing in it; {FOREIGN}"),
    (b"\xff\xfe{", "e.json: line 1, column 1: byte 0xFF is not UTF-8; save it as UTF-8"),
    (b'{\n"\xc3\xbc": "\xff"}', "e.json: line 2, column 7: byte 0xFF is not UTF-8; save it as UTF-8"),
    (b'{"schema": 1,\n "seed": }', f"e.json: line 2, column 10: broken JSON, invalid character; {MEND}"),
    (b'{"schema": 1}\n{}', f"e.json: line 2, column 1: broken JSON, trailing characters; {MEND}"),
    (b"{'schema': 1}", f"e.json: line 1, column 2: broken JSON, object keys must be strings; {MEND}"),
    (
        b'{"schema": 1,\n',
        "e.json: line 1, column 14: the JSON ends too soon, the file was cut short; save it anew",
    ),
    (b'{"seed": NaN}', "e.json: line 1, column 10: NaN is not JSON; write a number or null"),
    (b'{"seed": Infinity}', "e.json: line 1, column 10: Infinity is not JSON; write a number or null"),
    (b'{"seed": -Infinity}', "e.json: line 1, column 10: -Infinity is not JSON; write a number or null"),
    (b"[]", f"e.json: it holds no JSON object; {FOREIGN}"),
    (b"null", f"e.json: it holds no JSON object; {FOREIGN}"),
    (b'{"a": ' * 99_999, f"e.json: it is nested deeper than any evidence; {FOREIGN}"),
    (b"{}", f"e.json: it is no evidence and no report of probe-sender; {FOREIGN}"),
    (b'{"schema": 1, "tool": "x"}', f"e.json: it is no evidence and no report of probe-sender; {FOREIGN}"),
    (
        b'{"schema": 1, "tool": {"name": "swaks"}}',
        f"e.json: it is no evidence and no report of probe-sender; {FOREIGN}",
    ),
    (
        b'{"schema": 1, "tool": {"name": "probe-sender"}, "evidence": {}}',
        f"e.json: $.evidence is no evidence and no report of probe-sender; {FOREIGN}",
    ),
    (
        b'{"schema": 1, "tool": {"name": "probe-sender"}, "evidence": null}',
        f"e.json: $.evidence: expected `object`, got `null`; {MEND}",
    ),
    (
        b'{"schema": 9, "tool": {"name": "probe-sender"}, "evidence": {}}',
        "e.json: written by a newer probe-sender, schema 9; this one reads 1: upgrade it",
    ),
]

WRONG: list[tuple[tuple[str | int, ...], Any, str]] = [
    (("schema",), None, "$.schema is missing"),
    (("schema",), 0, "$.schema is no schema number"),
    (("schema",), -1, "$.schema is no schema number"),
    (("schema",), True, "$.schema is no schema number"),
    (("schema",), "1", "$.schema is no schema number"),
    (("seed",), None, "$.seed is missing"),
    (("seed",), 1.5, "$.seed: expected `int`, got `float`"),
    (("address", "local"), None, "$.address.local is missing"),
    (("address", "local"), 5, "$.address.local: expected `str`, got `int`"),
    (("address", "forms"), ["\x1b[2J"], r"$.address.forms[0]: invalid enum value '\x1b[2J'"),
    (("ended",), -1, "$.ended is below 0"),
    (("seed",), 2**64, "$.seed is above 18446744073709551615"),
    (("ended",), 1e300, "$.ended is above 18446744073709551615"),
    (("hosts", 0, "port"), 65536, "$.hosts[0].port is above 65535"),
    (("hosts", 0, "ip"), "mx.example", "$.hosts[0].ip is not an IP address"),
    (
        ("hosts", 0, "sessions", 0, "tape", 0, "data"),
        "\u20ac",
        "$.hosts[0].sessions[0].tape[0].data holds U+20AC, bytes are kept as U+0000 to U+00FF",
    ),
    (
        ("hosts", 0, "sessions", 0, "exchanges", 0, "reply", "lines"),
        ["220 a", "220 \u2028"],
        "$.hosts[0].sessions[0].exchanges[0].reply.lines[1] holds U+2028, bytes are kept as U+0000 to U+00FF",
    ),
    (
        ("hosts", 0, "sessions", 0, "exchanges", 0, "reply", "code"),
        1000,
        "$.hosts[0].sessions[0].exchanges[0].reply.code is above 999",
    ),
    (("options", "families"), [4, 5], "$.options.families names other IP versions than 4 and 6"),
    (("options", "families"), [], "$.options.families names other IP versions than 4 and 6"),
    (
        ("address", "mailbox"),
        "other@example.com",
        "$.address.mailbox is not its local and domain, joined by @",
    ),
    (("address", "kind"), "literal", "$.address.ip belongs to an address literal, and only to one"),
]


def refusal(data: bytes, where: str = "e.json") -> str:
    with pytest.raises(EvidenceError) as caught:
        decode_evidence(data, where)
    message = str(caught.value)
    assert message.isprintable()
    assert len(message) < 600
    return message


@pytest.mark.parametrize(("data", "message"), BROKEN)
def test_a_file_that_is_no_evidence_is_refused_with_its_place(data: bytes, message: str) -> None:
    assert refusal(data) == message


@pytest.mark.parametrize(("path", "value", "fault"), WRONG)
def test_a_wrong_value_is_refused_with_its_path(path: tuple[str | int, ...], value: Any, fault: str) -> None:
    evidence = edited(path, value)
    assert refusal(json.dumps(evidence).encode()) == f"e.json: {fault}; {MEND}"


def test_in_a_report_the_path_begins_at_the_report() -> None:
    report = {"schema": 1, "tool": {"name": "probe-sender"}, "evidence": edited(("ended",), -1)}
    assert refusal(json.dumps(report).encode()) == f"e.json: $.evidence.ended is below 0; {MEND}"
    report["evidence"] = edited(("ended",), "soon")
    message = refusal(json.dumps(report).encode())
    assert message == f"e.json: $.evidence.ended: expected `float`, got `str`; {MEND}"


def test_a_report_with_evidence_of_a_newer_schema_says_so() -> None:
    report = {"schema": 1, "tool": {"name": "probe-sender"}, "evidence": edited(("schema",), 2)}
    message = refusal(json.dumps(report).encode())
    assert message == "e.json: written by a newer probe-sender, schema 2; this one reads 1: upgrade it"


@pytest.mark.parametrize(
    ("path", "limit"),
    [
        (("dns",), 1024),
        (("hosts",), 256),
        (("hosts", 0, "sessions"), 16),
        (("hosts", 0, "sessions", 0, "exchanges"), 4096),
    ],
)
def test_too_many_of_anything_is_refused(path: tuple[str | int, ...], limit: int) -> None:
    inner = json.loads(encode(SAMPLE))
    for step in path:
        inner = inner[step]
    at = "$" + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    decode_evidence(json.dumps(edited(path, inner * limit)).encode(), "e.json")
    message = refusal(json.dumps(edited(path, inner * (limit + 1))).encode())
    assert message == f"e.json: {at} has {limit + 1} entries, the limit is {limit}; {MEND}"


def test_a_file_above_the_limit_is_refused_before_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec, "SIZE_LIMIT", 2**20)
    assert refusal(b" " * (2**20 + 1)) == f"e.json: more than 1 MiB, no evidence is that large; {FOREIGN}"


def test_a_hostile_file_name_and_a_hostile_word_stay_printable_and_short() -> None:
    message = refusal(b"[]", "a\x1b]0;\n\u202eb\udcff")
    assert message == f"a\\x1b]0;\\n\\u202eb\\udcff: it holds no JSON object; {FOREIGN}"
    evidence = edited(("options", "tls"), "x" * 100_000)
    assert len(refusal(json.dumps(evidence).encode(), "n" * 5000)) < 600


def test_a_byte_order_mark_is_tolerated() -> None:
    assert decode_evidence(b"\xef\xbb\xbf" + encode(SAMPLE), "e.json") == SAMPLE


def test_a_key_of_a_later_version_is_ignored() -> None:
    assert decode_evidence(json.dumps(edited(("later",), [1])).encode(), "e.json") == SAMPLE


@given(st.binary(max_size=60) | st.text().map(str.encode))
def test_no_bytes_raise_anything_else(data: bytes) -> None:
    refusal(data)
    with pytest.raises(EvidenceError):
        decode_many(data, "e.jsonl")


@settings(max_examples=examples(2))
@given(st.data())
def test_no_damage_to_a_good_file_raises_anything_else(data: st.DataObject) -> None:
    line = encode(SAMPLE)
    begin = data.draw(st.integers(0, len(line)))
    end = data.draw(st.integers(begin, min(len(line), begin + 20)))
    instead = data.draw(
        st.sampled_from([b"", b"null", b"-1", b"1e999", b'"\\u20ac"', b"{}", b"[]", b"\xff", b"NaN", b'"'])
    )
    with contextlib.suppress(EvidenceError):
        decode_evidence(line[:begin] + instead + line[end:], "e.json")


# --- JSON Lines ------------------------------------------------------------------------------------


def test_json_lines_are_read_one_by_one() -> None:
    other = msgspec.structs.replace(SAMPLE, seed=8)
    data = encode(SAMPLE) + b"\r\n\n" + encode(other) + b"\n"
    assert decode_many(data, "e.jsonl") == [SAMPLE, other]


def test_one_document_over_many_lines_will_do() -> None:
    assert decode_many(pretty(SAMPLE).encode(), "e.json") == [SAMPLE]
    assert decode_many(encode(SAMPLE), "e.json") == [SAMPLE]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"schema": }', f"e.jsonl: line 3, column 12: broken JSON, invalid character; {MEND}"),
        (b"{}", f"e.jsonl: line 3: it is no evidence and no report of probe-sender; {FOREIGN}"),
    ],
)
def test_an_error_in_json_lines_names_the_line(line: bytes, message: str) -> None:
    with pytest.raises(EvidenceError) as caught:
        decode_many(encode(SAMPLE) + b"\n\n" + line + b"\n" + encode(SAMPLE), "e.jsonl")
    assert str(caught.value) == message


# --- weight ----------------------------------------------------------------------------------------


def test_importing_the_codec_loads_nothing_heavy() -> None:
    code = (
        "import sys, probe.codec; "
        "heavy = {'asyncio', 'dns', 'ssl', 'socket', 'json', 'jsonschema', 'idna', 'aiosmtplib'}; "
        "sys.exit(', '.join(sorted(heavy & set(sys.modules))) or None)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
