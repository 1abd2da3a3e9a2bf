"""What is added to forwarded spans."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.decode.columns import ATTRIBUTION_SCHEMA, LEDGER_SCHEMA
from collector.forward.costs import added_attributes
from collector.forward.job import ForwardJob, with_attributes

TRACE, CALL, WRAPPER, PLAIN = "0a" * 16, "01" * 8, "02" * 8, "03" * 8


def table(schema: pa.Schema, *rows: dict[str, Any]) -> pa.Table:
    """Rows of a schema; columns that are not named are empty or zero."""
    zero = {pa.int64(): 0, pa.int32(): 0, pa.bool_(): False}
    columns = []
    for field in schema:
        default = None if field.nullable else zero.get(field.type, "")
        columns.append(pa.array([row.get(field.name, default) for row in rows]).cast(field.type))
    return pa.table(columns, schema=schema)


def ledger() -> pa.Table:
    """A priced call, an agent span around it that repeats its usage, and a span that is no call."""
    return table(
        LEDGER_SCHEMA,
        {"trace_id": TRACE, "span_id": CALL, "call_kind": "leaf", "cost_pico_usd": 7_536_000_000,
         "cost_status": "priced", "card": "abc"},
        {"trace_id": TRACE, "span_id": WRAPPER, "call_kind": "aggregate", "cost_pico_usd": 7_536_000_000,
         "cost_status": "priced", "card": "abc"},
        {"trace_id": TRACE, "span_id": PLAIN},
    )  # fmt: skip


def verdicts() -> pa.Table:
    """The call counts and belongs to an agent that only its parent names; the wrapper does not count."""
    return table(
        ATTRIBUTION_SCHEMA,
        {"trace_id": TRACE, "span_id": CALL, "counted": True, "agent": "writer", "customer": "c7"},
        {"trace_id": TRACE, "span_id": WRAPPER, "counted": False, "not_counted_reason": "wrapper", "agent": "writer"},
        {"trace_id": "0b" * 16, "span_id": CALL, "counted": True, "agent": "another trace"},
    )


def key(span_id: str) -> tuple[bytes, bytes]:
    """A span's key on the wire."""
    return bytes.fromhex(TRACE), bytes.fromhex(span_id)


def test_a_counted_call_gets_its_exact_cost_and_who_pays() -> None:
    """Cost as an exact decimal, status, card, and owners resolved over the whole trace."""
    assert added_attributes(ledger(), [verdicts()])[key(CALL)] == {
        "otel_cost.cost_usd": "0.007536",
        "otel_cost.cost_status": "priced",
        "otel_cost.card": "abc",
        "otel_cost.agent": "writer",
        "otel_cost.customer": "c7",
    }


def test_a_wrapper_gets_no_cost_so_that_adding_up_spans_stays_right() -> None:
    """A span that repeats another's usage says why it has none."""
    assert added_attributes(ledger(), [verdicts()])[key(WRAPPER)] == {
        "otel_cost.cost_status": "wrapper",
        "otel_cost.agent": "writer",
    }


def test_an_unpriced_call_gets_a_status_and_never_a_zero() -> None:
    """Unknown is not free."""
    unpriced = table(
        LEDGER_SCHEMA, {"trace_id": TRACE, "span_id": CALL, "call_kind": "leaf", "cost_status": "unpriced"}
    )
    assert added_attributes(unpriced, []) == {key(CALL): {"otel_cost.cost_status": "unpriced"}}


def test_only_model_calls_are_touched() -> None:
    """Other spans are passed on as they came."""
    assert set(added_attributes(ledger(), [verdicts()])) == {key(CALL), key(WRAPPER)}


def body() -> bytes:
    """A request with the three spans; the call already has a cost from the app."""
    request = ExportTraceServiceRequest()
    spans = request.resource_spans.add().scope_spans.add().spans
    for span_id in (CALL, WRAPPER, PLAIN):
        span = spans.add(trace_id=bytes.fromhex(TRACE), span_id=bytes.fromhex(span_id), name=span_id)
        attribute = span.attributes.add(key="otel_cost.cost_usd")
        attribute.value.double_value = 1.5
    return bytes(request.SerializeToString())


def test_the_ledgers_cost_replaces_what_the_app_wrote() -> None:
    """The collector is the authority: its value stands, under the same key, once."""
    sent = ExportTraceServiceRequest.FromString(with_attributes(body(), {key(CALL): {"otel_cost.cost_usd": "0.5"}}))
    call, wrapper, plain = sent.resource_spans[0].scope_spans[0].spans
    assert [(pair.key, pair.value.string_value) for pair in call.attributes] == [("otel_cost.cost_usd", "0.5")]
    assert wrapper.attributes[0].value.double_value == 1.5
    assert plain.attributes[0].value.double_value == 1.5


def test_a_request_without_calls_is_passed_on_byte_for_byte() -> None:
    """Nothing is parsed where nothing is added, and bytes that protobuf refuses are left to the target."""
    added = {key(CALL): {"otel_cost.cost_usd": "0.5"}}
    assert ForwardJob(b"any bytes", 1, {}).payload() == b"any bytes"
    assert ForwardJob(b"\x0a\xff", 1, added).payload() == b"\x0a\xff"
    with pytest.raises(DecodeError):
        with_attributes(b"\x0a\xff", added)


def test_attributes_are_added_once_for_all_exporters() -> None:
    """A job that two exporters share gives both the same bytes, and counts in queues as it was received."""
    job = ForwardJob(body(), 3, {key(PLAIN): {"otel_cost.agent": "writer"}})
    assert job.payload() is job.payload()
    assert len(job.payload()) > job.size_bytes == len(body())


def test_the_draft_cost_attributes_are_never_written() -> None:
    """`gen_ai.usage.cost.*` on a span is its emitter's word; the collector adds its own keys only."""
    for added in added_attributes(ledger(), [verdicts()]).values():
        assert {name.partition(".")[0] for name in added} == {"otel_cost"}
