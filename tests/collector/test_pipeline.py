"""The stages together over a real ledger: what is stored, what is answered, what is passed on."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from collector import telemetry as metrics
from collector.attribute import attribute
from collector.decode.columns import LEDGER_SCHEMA, WITHOUT_LEASES
from collector.decode.request import DecodeLimits, Request
from collector.errors import MalformedRequest, StoreUnavailable
from collector.forward.job import ForwardJob
from collector.limits import TRUNCATION_MARK
from collector.pipeline import Pipeline
from collector.store import Appended, Store, StoreConfig
from collector.store.attribution import Attribute
from collector.store.whole_attributes import with_whole_attributes
from collector.telemetry import Telemetry
from otel_cost.attributes import OTEL_COST_LEASE
from otel_cost.pricing import default_card
from otel_cost.pricing.overrides import Cards

START_NS = 1_767_225_600_000_000_000
CHAT = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-4o"}
USAGE = {"gen_ai.usage.input_tokens": 1_000, "gen_ai.usage.output_tokens": 100}
COST_USD = "0.0035"  # 1,000 x 2.50 USD + 100 x 10.00 USD per million


class Forwarded:
    """A forwarder that keeps what it is offered."""

    def __init__(self) -> None:
        self.jobs: list[ForwardJob] = []

    def offer(self, job: ForwardJob) -> None:
        """Keep it."""
        self.jobs.append(job)

    def spans(self) -> list[Span]:
        """All spans as a target would see them."""
        requests = [ExportTraceServiceRequest.FromString(job.payload()) for job in self.jobs]
        return [span for request in requests for span in request.resource_spans[0].scope_spans[0].spans]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A ledger."""
    store = Store(StoreConfig(tmp_path / "costs.duckdb"))
    store.start()
    yield store
    store.stop()


def pipeline(store: Store, *forwarders: Forwarded) -> tuple[Pipeline, Telemetry]:
    """A pipeline over the ledger with the shipped rate card."""
    telemetry = Telemetry()
    return Pipeline(store, Cards(default_card()), DecodeLimits(), forwarders, telemetry), telemetry


def request(*spans: dict[str, Any], org_id: str = "default") -> Request:
    """A request of spans given as `id`, `parent` and attributes; a bad id is taken as it is."""
    message = ExportTraceServiceRequest()
    resource = message.resource_spans.add()
    resource.resource.attributes.add(key="service.name").value.string_value = "shop"
    out = resource.scope_spans.add().spans
    for content in spans:
        values = dict(content)
        span = out.add(trace_id=b"\x01" * 16, span_id=values.pop("id"), parent_span_id=values.pop("parent", b""))
        span.name = values.pop("name", "chat gpt-4o")
        span.start_time_unix_nano, span.end_time_unix_nano = START_NS, START_NS + 10**9
        for key, value in values.items():
            attribute = span.attributes.add(key=key).value
            if isinstance(value, int):
                attribute.int_value = value
            else:
                attribute.string_value = value
    return Request(message.SerializeToString(), org_id)


def call(number: int, **attributes: Any) -> dict[str, Any]:
    """A model call."""
    return {"id": number.to_bytes(8, "big"), **CHAT, **USAGE, **attributes}


def of_trace(number: int, *spans: dict[str, Any]) -> Request:
    """A request whose spans are all of one trace."""
    message = ExportTraceServiceRequest.FromString(request(*spans).body)
    for span in message.resource_spans[0].scope_spans[0].spans:
        span.trace_id = number.to_bytes(16, "big")
    return Request(message.SerializeToString(), "default")


def rows(store: Store, sql: str) -> list[tuple[Any, ...]]:
    """The answer of the ledger itself."""
    return store.read(lambda reader: reader.rows(sql))


def stored_tables(store: Store, monkeypatch: pytest.MonkeyPatch) -> list[pa.Table]:
    """The tables that are handed to the store from now on."""
    seen: list[pa.Table] = []
    submit = store.submit

    def noted(batch: pa.Table, attribute: Attribute, journal: int = 0) -> Future[Appended]:
        seen.append(batch)
        return submit(batch, attribute, journal)

    monkeypatch.setattr(store, "submit", noted)
    return seen


def test_a_call_is_stored_with_its_exact_cost(store: Store) -> None:
    """Bytes in, one row with money out, in the same call."""
    stages, telemetry = pipeline(store)
    outcomes = stages.process([request(call(1))])
    assert [(outcome.accepted_spans, outcome.error) for outcome in outcomes] == [(1, None)]
    found = rows(store, "SELECT model, CAST(cost_usd AS VARCHAR), input_tokens, cost_status FROM calls")
    assert found == [("gpt-4o", "0.003500000000", 1_000, "priced")]
    assert telemetry.value(metrics.SPANS_STORED) == 1
    assert telemetry.value(metrics.CALLS, "priced") == 1


def test_every_column_of_the_ledger_reaches_it(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the stages hand to the store has exactly the ledger's schema."""
    seen = stored_tables(store, monkeypatch)
    stages, _ = pipeline(store)
    stages.process([request(call(1), {"id": b"\x02" * 8, "name": "GET /"})])
    assert [table.schema for table in seen] == [LEDGER_SCHEMA]


def test_attributes_and_units_without_a_column_are_kept_as_json(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that an app says is lost; a span without further units has none, not an empty object."""
    seen = stored_tables(store, monkeypatch)
    stages, _ = pipeline(store)
    audio = call(1, **{"gen_ai.usage.audio.input_tokens": 7, "app.note": 'a "quote"'})
    stages.process([request(audio, call(2))])
    first, second = with_whole_attributes(seen[0]).select(["usage_json", "attributes", "resource"]).to_pylist()
    assert json.loads(first["usage_json"])["input_audio_tokens"] == 7
    assert second["usage_json"] is None
    assert json.loads(first["attributes"])["app.note"] == 'a "quote"'
    assert json.loads(first["resource"]) == {"service.name": "shop"}


def test_a_request_sent_twice_is_acknowledged_twice_and_stored_once(store: Store) -> None:
    """A resend after a lost answer costs nothing."""
    stages, telemetry = pipeline(store)
    for _ in range(2):
        assert [outcome.accepted_spans for outcome in stages.process([request(call(1))])] == [1]
    assert rows(store, "SELECT count(*) FROM spans") == [(1,)]
    assert telemetry.value(metrics.SPANS_DUPLICATE) == 1


def test_requests_of_a_group_are_judged_one_by_one(store: Store) -> None:
    """Garbage beside a good request is refused, the good one stored; a bad span costs one span."""
    stages, telemetry = pipeline(store)
    half_good = request(call(1), {**call(2), "id": b"short"})
    good, bad, partial = stages.process([request(call(3)), Request(b"\xff\xff garbage", "default"), half_good])
    assert (good.accepted_spans, good.error) == (1, None)
    assert isinstance(bad.error, MalformedRequest)
    assert (partial.accepted_spans, partial.rejected_spans) == (1, 1)
    assert partial.reason
    assert rows(store, "SELECT count(*) FROM spans") == [(2,)]
    assert telemetry.value(metrics.SPANS_REJECTED) == 1


def test_a_group_of_garbage_needs_no_transaction(store: Store) -> None:
    """Where nothing is accepted nothing is written."""
    stages, telemetry = pipeline(store)
    (outcome,) = stages.process([Request(b"\xff", "default")])
    assert isinstance(outcome.error, MalformedRequest)
    assert store.position.batch == 0
    assert telemetry.value(metrics.GROUP_SPANS) == 0


def test_the_same_span_id_of_two_organisations_is_two_spans(store: Store) -> None:
    """Organisations share nothing."""
    stages, _ = pipeline(store)
    stages.process([request(call(1), org_id="a"), request(call(1), org_id="b")])
    assert rows(store, "SELECT org_id FROM spans ORDER BY 1") == [("a",), ("b",)]


def test_a_closed_store_is_reported_as_retryable(tmp_path: Path) -> None:
    """When the ledger cannot commit the pipeline says so, and forwards nothing."""
    forwarded = Forwarded()
    store = Store(StoreConfig(tmp_path / "costs.duckdb"))
    stages, _ = pipeline(store, forwarded)
    with pytest.raises(StoreUnavailable):
        stages.process([request(call(1))])
    assert forwarded.jobs == []


def test_forwarded_calls_carry_cost_and_owners_and_other_spans_are_untouched(store: Store) -> None:
    """Every forwarder gets every span once: calls with what the ledger says, an agent around them without a cost."""
    first, second = Forwarded(), Forwarded()
    stages, _ = pipeline(store, first, second)
    agent = {"id": b"\x0a" * 8, "name": "invoke_agent writer", "gen_ai.operation.name": "invoke_agent",
             "gen_ai.agent.name": "writer", **USAGE}  # fmt: skip
    plain = {"id": b"\x0b" * 8, "name": "GET /", "http.request.method": "GET"}
    stages.process([request(agent, {**call(1), "parent": b"\x0a" * 8}, plain), Request(b"\xff", "default")])
    assert [job.span_count for job in first.jobs] == [job.span_count for job in second.jobs] == [3]
    by_name = {span.name: {pair.key: pair.value for pair in span.attributes} for span in first.spans()}
    priced = by_name["chat gpt-4o"]
    assert priced["otel_cost.cost_usd"].string_value == COST_USD
    assert priced["otel_cost.cost_status"].string_value == "priced"
    assert priced["otel_cost.agent"].string_value == "writer"
    assert "otel_cost.cost_usd" not in by_name["invoke_agent writer"]
    assert by_name["invoke_agent writer"]["otel_cost.cost_status"].string_value == "wrapper"
    assert set(by_name["GET /"]) == {"http.request.method"}


def test_a_fault_of_attribution_refuses_nothing_and_is_made_good_by_the_next_span(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A trace on which the rules fail is counted span by span, others as ever; repaired rules repair its verdicts."""
    poisonous = f"{2:032x}"

    def failing(skeleton: pa.Table) -> pa.Table:
        if poisonous in skeleton.column("trace_id").to_pylist() and skeleton.num_rows > 1:
            raise ZeroDivisionError("a fault of ours")
        return attribute(skeleton)

    stages, telemetry = pipeline(store)
    wrapper = {"id": b"\x0a" * 8, "name": "agent", **USAGE, "gen_ai.operation.name": "invoke_agent",
               "gen_ai.agent.name": "writer"}  # fmt: skip
    inner = {**call(1), "parent": b"\x0a" * 8}
    stages.process([of_trace(2, inner)])
    monkeypatch.setattr("collector.pipeline.attribute", failing)
    others = [of_trace(number, wrapper, inner) for number in (1, 3, 4)]
    outcomes = stages.process([*others, of_trace(2, wrapper, {**call(2), "parent": b"\x0a" * 8})])
    assert [(outcome.accepted_spans, outcome.error) for outcome in outcomes] == [(2, None)] * 4
    counted = "SELECT CAST(trace_id AS BIGINT), count(*), count(agent) FROM calls GROUP BY ALL ORDER BY ALL"
    assert rows(store, counted) == [(1, 1, 1), (2, 2, 0), (3, 1, 1), (4, 1, 1)]
    assert telemetry.value(metrics.TRACES_UNJUDGED) == 1
    assert [(poisonous in record.message, record.exc_info is not None) for record in caplog.records] == [(True, True)]
    monkeypatch.setattr("collector.pipeline.attribute", attribute)
    stages.process([of_trace(2, {"id": b"\x0c" * 8, "name": "late"})])
    assert rows(store, counted) == [(1, 1, 1), (2, 2, 2), (3, 1, 1), (4, 1, 1)]


def test_a_fault_in_forwarding_does_not_refuse_what_is_stored(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    """The spans are on disk, so their sender is told so."""

    class Broken(Forwarded):
        def offer(self, job: ForwardJob) -> None:
            raise ZeroDivisionError

    stages, _ = pipeline(store, Broken())
    (outcome,) = stages.process([request(call(1))])
    assert (outcome.accepted_spans, outcome.error) == (1, None)
    assert "cannot be forwarded" in caplog.text


def test_a_span_that_comes_again_with_other_content_is_counted(store: Store) -> None:
    """The first one is kept: money does not change because a sender reuses ids. The counter shows that it happens."""
    stages, telemetry = pipeline(store)
    stages.process([request(call(1))])
    stages.process([request(call(1))])
    assert telemetry.value(metrics.SPANS_CHANGED) == 0
    stages.process([request(call(1, **{"gen_ai.usage.output_tokens": 7}))])
    assert telemetry.value(metrics.SPANS_CHANGED) == 1
    assert rows(store, "SELECT output_tokens FROM calls") == [(100,)]


def test_names_of_any_length_are_stored_cut(store: Store) -> None:
    """A model name of megabytes costs its sender the end of the name; others and the usage are as ever."""
    stages, _ = pipeline(store)
    long = {"gen_ai.request.model": "é" * 1_000_000, "gen_ai.response.id": "x" * 1025, "user.id": "y" * 1024}
    stages.process([request(call(1), call(2, **long))])
    (short, cut) = rows(
        store, 'SELECT request_model, model, response_id, "user", input_tokens FROM calls ORDER BY span_id'
    )
    assert short == ("gpt-4o", "gpt-4o", None, None, 1_000)
    name = "é" * 256 + TRUNCATION_MARK
    assert cut == (name, name, "x" * 256 + TRUNCATION_MARK, "y" * 1024, 1_000)


def test_spans_priced_in_parts_are_those_priced_together(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """How many spans are taken at once changes memory, never a value; the batches are let go on the way."""
    subject, _ = pipeline(store)
    sent = [
        request({"id": bytes([number] * 8), **CHAT, **USAGE, "gen_ai.request.model": f"gpt-{number}", "n": number})
        for number in range(1, 8)
    ]
    batches = deque(subject.decode([one]).batch for one in sent)
    together = subject.ledger(deque(batches))
    monkeypatch.setattr("collector.pipeline.PART_SPANS", 3)
    parts = subject.ledger(batches)
    assert not batches
    assert parts.schema == LEDGER_SCHEMA
    assert parts.to_pylist() == together.to_pylist()
    assert parts.num_rows == 7
    assert {column.num_chunks for column in parts.drop_columns("attributes").columns} == {1}


@pytest.mark.parametrize("leased", [None, 1, 4, 7])
def test_a_group_is_without_leases_only_if_every_part_is(
    store: Store, monkeypatch: pytest.MonkeyPatch, leased: int | None
) -> None:
    """What the table says of leases spares a look through all texts: it must be true of the last span too."""
    subject, _ = pipeline(store)
    sent = [
        request({"id": bytes([number] * 8), **CHAT, **({OTEL_COST_LEASE: "l/1"} if number == leased else {})})
        for number in range(1, 8)
    ]
    for part_spans in (3, 100):
        monkeypatch.setattr("collector.pipeline.PART_SPANS", part_spans)
        ledger = subject.ledger(deque(subject.decode([one]).batch for one in sent))
        assert (WITHOUT_LEASES in (ledger.schema.metadata or {})) is (leased is None)
