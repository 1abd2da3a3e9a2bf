"""OTLP/JSON: the same spans as protobuf, in every form that exporters write, and errors that name their place."""

from __future__ import annotations

import base64
import json
import random
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.decode import Request, decode_requests
from collector.decode.otlp_json import to_protobuf
from collector.errors import MalformedRequest
from collector.limits import MAX_VALUE_DEPTH, TRUNCATION_MARK
from tests.collector.decode.reference import random_request

TESTDATA = Path(__file__).parents[2] / "testdata" / "otlp"


def _hex_ids(data: Any) -> Any:
    """protobuf's own JSON has base64 ids; OTLP's has hex."""
    if isinstance(data, list):
        return [_hex_ids(item) for item in data]
    if not isinstance(data, dict):
        return data
    ids = {"traceId", "spanId", "parentSpanId"}
    return {
        key: base64.b64decode(value).hex() if key in ids and isinstance(value, str) else _hex_ids(value)
        for key, value in data.items()
    }


@pytest.mark.parametrize("seed", range(30))
def test_json_and_protobuf_forms_of_a_request_are_the_same_bytes(seed: int) -> None:
    """Random valid requests, written by protobuf's JSON writer with OTLP's ids."""
    request = random_request(random.Random(seed))
    data = _hex_ids(json_format.MessageToDict(request))
    read = ExportTraceServiceRequest.FromString(to_protobuf(json.dumps(data).encode()))
    assert repr(read) == repr(request)


def test_every_form_of_a_field_is_read() -> None:
    """Numbers and strings, enum names and numbers, both spellings of field names, unknown fields, null."""
    body = (TESTDATA / "valid" / "every_form.json").read_bytes()
    batch = decode_requests([Request(to_protobuf(body), "o")]).batch
    first, second = batch.spans.to_pylist()
    assert first["trace_id"] == second["trace_id"] == "5b8efff798038103d269b633813fc60c"
    assert (first["kind"], first["status_code"], first["status_message"]) == (3, 2, "failed")
    assert (second["kind"], second["status_code"]) == (3, 1)
    assert first["start_time_ns"] == second["start_time_ns"] == 1544712660000000000
    assert first["dropped_attributes_count"] == 2
    assert json.loads(first["events"]) == [{"time_ns": 1544712660500000000, "name": "e", "attributes": {"k": 1}}]
    assert json.loads(first["links"])[0]["span_id"] == "eee19b7ec3c1b175"
    texts = {row["key"]: row["string_value"] for row in batch.attributes.to_pylist()}
    assert texts["array"] == '["a",1,null]'
    assert texts["map"] == '{"in":1.0}'
    assert texts["bytes"] == "aGVsbG8="
    assert texts["nothing"] == texts["null"] == "null"


@pytest.mark.parametrize("path", sorted((TESTDATA / "invalid").glob("*.json")), ids=lambda path: path.stem)
def test_errors_name_their_place(path: Path) -> None:
    """Each file holds a body and the message that it must give."""
    case = json.loads(path.read_text())
    with pytest.raises(MalformedRequest) as caught:
        to_protobuf(json.dumps(case["body"]).encode())
    assert str(caught.value) == case["error"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{", "not JSON"),
        (b"\xff\xfe\xfd", "not JSON"),
        (b'"\xff"', "not JSON"),
        (b"[]", "body: expected an object"),
        (b"[" * 100_000, "nested too deep"),
        (b'{"a":' * 100_000, "nested too deep"),
        (b'{"resourceSpans":' + b"9" * 5000 + b"}", "not JSON"),
    ],
)
def test_what_is_no_request_is_malformed(body: bytes, message: str) -> None:
    """Truncated, not UTF-8, of the wrong type, nested to break a parser, a number to break one."""
    with pytest.raises(MalformedRequest, match=message):
        to_protobuf(body)


def _span_with(value: object) -> bytes:
    span = {"traceId": "01" * 16, "spanId": "02" * 8, "attributes": [{"key": "k", "value": value}]}
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}).encode()


def test_values_nested_too_deep_are_cut_and_the_span_is_kept() -> None:
    """A mark stands where the rest was."""
    value: dict[str, object] = {"stringValue": "bottom"}
    for _ in range(MAX_VALUE_DEPTH * 2):
        value = {"arrayValue": {"values": [value]}}
    batch = decode_requests([Request(to_protobuf(_span_with(value)), "o")]).batch
    assert batch.spans.num_rows == 1
    text = batch.attributes.column("string_value")[0].as_py()
    assert text == "[" * MAX_VALUE_DEPTH + json.dumps(TRUNCATION_MARK, ensure_ascii=False) + "]" * MAX_VALUE_DEPTH


def test_half_an_emoji_becomes_the_replacement_character() -> None:
    """JavaScript cuts strings inside surrogate pairs; that must not cost a batch."""
    body = _span_with({"stringValue": "ok \ud83c"})
    assert b"\\ud83c" in body
    batch = decode_requests([Request(to_protobuf(body), "o")]).batch
    assert batch.attributes.column("string_value").to_pylist() == ["ok \N{REPLACEMENT CHARACTER}"]


def test_an_empty_body_is_an_empty_request() -> None:
    """As in protobuf."""
    assert to_protobuf(b"") == to_protobuf(b"{}") == b""
