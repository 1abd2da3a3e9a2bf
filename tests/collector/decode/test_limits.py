"""What the caps cut, what they never cut, and what invalid UTF-8 costs."""

from __future__ import annotations

import json
import random
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from collector.decode import Decoded, DecodeLimits, Request, decode_requests
from collector.errors import MalformedRequest, RequestTooLarge
from collector.limits import MAX_STRUCTURED_NODES, MAX_VALUE_DEPTH, TRUNCATION_MARK
from tests.collector.decode.reference import actual, random_request
from tests.support.wire import field

USAGE = "gen_ai.usage.input_tokens"


def _span(request: ExportTraceServiceRequest, name: str = "n") -> Span:
    resource_spans = request.resource_spans[0] if request.resource_spans else request.resource_spans.add()
    scope_spans = resource_spans.scope_spans[0] if resource_spans.scope_spans else resource_spans.scope_spans.add()
    number = len(scope_spans.spans) + 1
    span: Span = scope_spans.spans.add(trace_id=b"t" * 16, span_id=number.to_bytes(8, "big"), name=name)
    return span


def _decode(request: ExportTraceServiceRequest, limits: DecodeLimits | None = None) -> Decoded:
    return decode_requests([Request(request.SerializeToString(), "o")], limits or DecodeLimits())


def _attributes(decoded: Decoded) -> dict[str, Any]:
    return {row["key"]: row["string_value"] for row in decoded.batch.attributes.to_pylist()}


def test_long_text_is_cut_at_a_character_and_marked() -> None:
    """A multi-byte character is never split; text at the cap is whole; the cuts are counted."""
    request = ExportTraceServiceRequest()
    span = _span(request)
    for key, text in {"fits": "x" * 100, "long": "x" * 99 + "é" * 50, "short": "x"}.items():
        span.attributes.add(key=key).value.string_value = text
    decoded = _decode(request, DecodeLimits(max_string_bytes=100))
    assert _attributes(decoded) == {"fits": "x" * 100, "long": "x" * 99 + TRUNCATION_MARK, "short": "x"}
    assert decoded.truncated_values == 1


@pytest.mark.parametrize("key", ["listed.key", "llm.usage.details", "ai.model.id", "gen_ai.provider.name"])
def test_what_usage_and_cost_are_read_from_is_never_cut(key: str) -> None:
    """By the list of keys that dialects read, and by the sound of the name."""
    request = ExportTraceServiceRequest()
    _span(request).attributes.add(key=key).value.string_value = "x" * 500
    limits = DecodeLimits(max_string_bytes=100, essential_keys=frozenset({"listed.key"}))
    decoded = _decode(request, limits)
    assert _attributes(decoded) == {key: "x" * 500}
    assert decoded.truncated_values == 0


def test_a_span_with_too_many_attributes_keeps_usage_and_then_the_first() -> None:
    """Usage survives though it was sent last; the loss is added to the span's own count; neighbours lose nothing."""
    request = ExportTraceServiceRequest()
    _span(request, "before").attributes.add(key="mine").value.int_value = 1
    span = _span(request, "large")
    span.dropped_attributes_count = 5
    for index in range(100):
        span.attributes.add(key=f"messages.{index}").value.string_value = "text"
    span.attributes.add(key=USAGE).value.int_value = 42
    _span(request, "after").attributes.add(key="mine").value.int_value = 2
    decoded = _decode(request, DecodeLimits(max_attributes_per_span=10))
    rows = [(row["owner_index"], row["key"], row["int_value"]) for row in decoded.batch.attributes.to_pylist()]
    kept = [(1, f"messages.{index}", None) for index in range(9)]
    assert rows == [(0, "mine", 1), *kept, (1, USAGE, 42), (2, "mine", 2)]
    assert decoded.batch.spans.column("dropped_attributes_count").to_pylist() == [0, 96, 0]
    assert decoded.dropped_attributes == 91


def test_events_and_links_beyond_the_cap_are_left_out_and_counted() -> None:
    """The first ones stay; the count of dropped ones grows by the rest."""
    request = ExportTraceServiceRequest()
    span = _span(request)
    span.dropped_events_count = 1
    for index in range(5):
        span.events.add(name=str(index))
    decoded = _decode(request, DecodeLimits(max_events_per_span=2))
    events = json.loads(decoded.batch.spans.column("events")[0].as_py())
    assert [event["name"] for event in events] == ["0", "1"]
    dropped = {row["key"]: row["int_value"] for row in decoded.batch.attributes.to_pylist()}
    assert dropped == {"otel.dropped_events_count": 4}


@pytest.mark.parametrize(
    "limits",
    [
        DecodeLimits(max_spans_per_request=2),
        DecodeLimits(max_attributes_per_request=2),
        DecodeLimits(max_events_per_request=2),
    ],
    ids=["spans", "attributes", "events"],
)
def test_a_request_above_a_count_is_too_large_and_its_neighbours_are_not(limits: DecodeLimits) -> None:
    """The cap is per request, not per group of requests."""
    small, large = ExportTraceServiceRequest(), ExportTraceServiceRequest()
    for request, count in ((small, 2), (large, 3)):
        for _ in range(count):
            span = _span(request)
            span.attributes.add(key="k")
            span.events.add(name="e")
    bodies = [request.SerializeToString() for request in (small, large, small, small)]
    decoded = decode_requests([Request(body, "o") for body in bodies], limits)
    assert [type(outcome.error) for outcome in decoded.outcomes] == [type(None), RequestTooLarge, *[type(None)] * 2]
    assert decoded.batch.spans.num_rows == 6


def test_deep_and_wide_values_are_cut_and_stay_json() -> None:
    """Depth, number of elements, and size each have a cap, and the rest of the span is untouched."""
    request = ExportTraceServiceRequest()
    span = _span(request)
    value = span.attributes.add(key="deep").value
    for _ in range(MAX_VALUE_DEPTH + 5):
        value = value.array_value.values.add()
    wide = span.attributes.add(key="wide").value.array_value
    for _ in range(MAX_STRUCTURED_NODES + 10):
        wide.values.add()
    heavy = span.attributes.add(key="heavy").value.kvlist_value
    heavy.values.add(key="k").value.string_value = "x" * 2_000_000
    span.attributes.add(key="text in array").value.array_value.values.add().string_value = "y" * 100_000
    texts = _attributes(_decode(request))
    assert len(json.loads(texts["wide"])) == MAX_STRUCTURED_NODES
    assert TRUNCATION_MARK in texts["deep"]
    assert json.loads(texts["heavy"]).endswith(TRUNCATION_MARK)
    assert json.loads(texts["text in array"])[0].endswith(TRUNCATION_MARK)


def test_values_that_nest_beyond_what_protobuf_reads_cost_the_span() -> None:
    """protobuf's parser refuses them; here the other spans stay."""

    def array(inner: bytes) -> bytes:
        return field(5, field(1, inner))

    value = b""
    for _ in range(500):
        value = array(value)
    deep = field(9, field(1, b"k") + field(2, value))
    spans = [field(1, b"t" * 16) + field(2, bytes([1, *[0] * 7])), field(1, b"t" * 16) + field(2, b"s" * 8) + deep]
    body = field(1, field(2, b"".join(field(2, span) for span in spans)))
    decoded = decode_requests([Request(body, "o")])
    assert decoded.outcomes[0].accepted_spans == 1
    assert decoded.outcomes[0].reason == "1x attribute is not valid UTF-8 or does not parse"


def _spoiled(part: str) -> bytes:
    """Two resources of two spans; `part` of the first has a byte that is not UTF-8."""
    request = ExportTraceServiceRequest()
    for _ in range(2):
        resource_spans = request.resource_spans.add(schema_url="schema")
        resource_spans.resource.attributes.add(key="resource").value.string_value = "resource"
        scope_spans = resource_spans.scope_spans.add()
        scope_spans.scope.name = "scope"
        for name in ("first", "second"):
            span = scope_spans.spans.add(trace_id=b"t" * 16, span_id=b"s" * 8, name=name, trace_state="state")
            span.attributes.add(key=f"key of {name}").value.string_value = f"value of {name}"
            span.events.add(name=f"event of {name}")
            span.status.message = f"status of {name}"
    data = bytearray(request.SerializeToString())
    data[data.index(part.encode()) + 1] = 0xFF
    return bytes(data)


@pytest.mark.parametrize(
    ("part", "lost"),
    [
        ("first", 1),
        ("state", 1),
        ("key of first", 1),
        ("value of second", 1),
        ("event of first", 1),
        ("status of second", 1),
        ("scope", 2),
        ("resource", 2),
        ("schema", 2),
    ],
)
def test_text_that_is_not_utf8_costs_the_spans_that_carry_it(part: str, lost: int) -> None:
    """A span for its own text, all spans of a resource or scope for theirs; the others stay."""
    decoded = decode_requests([Request(_spoiled(part), "o")])
    outcome = decoded.outcomes[0]
    assert (outcome.accepted_spans, outcome.rejected_spans) == (4 - lost, lost)
    assert "not valid UTF-8" in outcome.reason
    decoded.batch.spans.validate(full=True)
    assert decoded.batch.spans.num_rows == 4 - lost


def test_a_request_of_which_nothing_can_be_read_is_malformed() -> None:
    """No span is left: that is a bad request, not a partial success."""
    request = ExportTraceServiceRequest()
    _span(request, "spoil")
    body = request.SerializeToString().replace(b"spoil", b"spo\xffl")
    outcome = decode_requests([Request(body, "o")]).outcomes[0]
    assert isinstance(outcome.error, MalformedRequest)
    assert outcome.accepted_spans == outcome.rejected_spans == 0


def test_slices_change_nothing() -> None:
    """Large batches are decoded in pieces; the result is the same to the last field."""
    rng = random.Random(3)
    requests = [Request(random_request(rng).SerializeToString(), "o") for _ in range(30)]
    whole = decode_requests(requests)
    for limits in (DecodeLimits(part_bytes=50, slice_bytes=50), DecodeLimits(part_bytes=2_000, slice_bytes=2_000)):
        sliced = decode_requests(requests, limits)
        assert actual(sliced.batch) == actual(whole.batch)
        assert sliced.outcomes == whole.outcomes


def test_what_the_caps_cut_is_counted_over_all_parts() -> None:
    """Requests that are decoded one after the other count as if they had been decoded together."""
    request = ExportTraceServiceRequest()
    span = _span(request)
    for index in range(3):
        span.attributes.add(key=f"k{index}").value.string_value = "x" * 20
    requests = [Request(request.SerializeToString(), "o")] * 4
    decoded = decode_requests(requests, DecodeLimits(max_string_bytes=10, max_attributes_per_span=2, part_bytes=1))
    assert (decoded.truncated_values, decoded.dropped_attributes) == (12, 4)


def test_threads_may_decode_at_once() -> None:
    """The collector and an import may run in one process."""
    rng = random.Random(4)
    bodies = [random_request(rng).SerializeToString() for _ in range(40)]
    wanted = [actual(decode_requests([Request(body, "o")]).batch) for body in bodies]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda body: actual(decode_requests([Request(body, "o")]).batch), bodies))
    assert found == wanted
