"""What the ingest benchmark sends is what it says that it sends."""

from __future__ import annotations

from itertools import chain
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from benchmarks.ingest import expected
from benchmarks.ingest.payload import BLOCK_SPANS, MINUTE_NS, SPANS_PER_TRACE, Payload, Shape, Usage
from benchmarks.ingest.spans import MODELS

MODEL_BY_NAME = {response_model: number for number, (_, _, response_model) in enumerate(MODELS)}


def _spans(bodies: list[bytes]) -> list[Any]:
    resources = chain.from_iterable(ExportTraceServiceRequest.FromString(body).resource_spans for body in bodies)
    return [span for resource in resources for scope in resource.scope_spans for span in scope.spans]


def _attributes(span: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in span.attributes}


def _usage(spans: list[Any]) -> dict[tuple[int, int], tuple[int, ...]]:
    """Calls and tokens by (model, minute), read from the spans themselves."""
    sums: dict[tuple[int, int], tuple[int, ...]] = {}
    for span in spans:
        said = _attributes(span)
        if "gen_ai.usage.input_tokens" in said:
            key = MODEL_BY_NAME[said["gen_ai.response.model"]], span.start_time_unix_nano // MINUTE_NS
            kinds = ("input_tokens", "output_tokens", "cache_read.input_tokens")
            own = (1, *(said[f"gen_ai.usage.{kind}"] for kind in kinds))
            sums[key] = tuple(map(sum, zip(sums.get(key, (0, 0, 0, 0)), own, strict=True)))
    return sums


@pytest.mark.parametrize(
    ("spans_per_request", "shape"), [(512, "trace"), (512, "half"), (1, "flat"), (1, "trace"), (64, "flat")]
)
def test_every_request_is_valid_and_every_span_has_twenty_attributes(spans_per_request: int, shape: Shape) -> None:
    """Requests parse, hold the spans asked for, of about 790 bytes each, and no id twice."""
    bodies, _ = Payload(spans_per_request=spans_per_request, shape=shape).take(BLOCK_SPANS // spans_per_request * 2)
    assert {len(_spans([body])) for body in bodies} == {spans_per_request}
    spans = _spans(bodies)
    assert {len(span.attributes) for span in spans} == {20}
    assert 700 < sum(len(span.SerializeToString()) for span in spans) / len(spans) < 830
    assert len({span.span_id for span in spans}) == len(spans)
    group = 1 if shape == "flat" else SPANS_PER_TRACE
    assert len({span.trace_id for span in spans}) == len(spans) // group
    responses = [_attributes(span).get("gen_ai.response.id") for span in spans]
    assert len({one for one in responses if one}) == sum(1 for one in responses if one)


def test_a_trace_is_seven_calls_under_the_agent_that_ends_last() -> None:
    """Children come first and name the root, which says nothing of usage that would be counted."""
    spans = _spans(Payload(spans_per_request=512).block().bodies)
    for first in range(0, len(spans), SPANS_PER_TRACE):
        *calls, root = spans[first : first + SPANS_PER_TRACE]
        assert {span.parent_span_id for span in calls} == {root.span_id}
        assert {span.trace_id for span in calls} == {root.trace_id}
        assert not root.parent_span_id
        assert not any(key.startswith("gen_ai.usage.") for key in _attributes(root))


def test_half_of_the_spans_are_calls_and_customers_as_many_as_asked_for() -> None:
    """Every second span is an agent, the last one the root; customers are drawn from all there are."""
    bodies, usage = Payload(spans_per_request=512, shape="half", customers=10_000).take(8)
    spans = _spans(bodies)
    assert [any(key.startswith("gen_ai.usage.") for key in _attributes(span)) for span in spans] == [True, False] * (
        len(spans) // 2
    )
    assert sum(calls for calls, *_ in usage.sums.values()) == len(spans) // 2
    assert len({span.trace_id for span in spans}) == len(spans) // SPANS_PER_TRACE
    customers = [_attributes(span)["customer.id"] for span in spans]
    assert len(set(customers)) > 3_000
    assert max(customers) > "cust9900"


@pytest.mark.parametrize("shape", ["trace", "half", "flat"])
def test_the_usage_that_is_reported_is_what_the_spans_say(shape: Shape) -> None:
    """Sums by model and minute equal those read back from the bytes; cached tokens are never more than input."""
    bodies, usage = Payload(spans_per_request=8, shape=shape, seed=3).take(192)
    spans = _spans(bodies)
    assert {key: value for key, value in usage.sums.items() if value[0]} == _usage(spans)
    for said in map(_attributes, spans):
        assert said.get("gen_ai.usage.cache_read.input_tokens", 0) <= said.get("gen_ai.usage.input_tokens", 0)


def test_runs_share_values_and_no_ids() -> None:
    """The same seed draws the same tokens; ids come from the run."""
    one, two = (Payload(spans_per_request=512, seed=5, run=run).block() for run in (1, 2))
    ids = [{span.span_id for span in _spans(block.bodies)} for block in (one, two)]
    assert not ids[0] & ids[1]
    tokens = [
        [_attributes(span).get("gen_ai.usage.input_tokens") for span in _spans(block.bodies)] for block in (one, two)
    ]
    assert tokens[0] == tokens[1]


def test_expected_cost_is_the_sum_of_calls_priced_one_by_one() -> None:
    """Pricing sums of tokens gives to the pico-dollar what pricing each call gives."""
    bodies, usage = Payload(spans_per_request=512, seed=9).take(2)
    alone = 0
    for span in _spans(bodies):
        said = _attributes(span)
        if "gen_ai.usage.input_tokens" in said:
            alone += expected.scalar_pico_usd(
                MODEL_BY_NAME[said["gen_ai.response.model"]],
                span.start_time_unix_nano,
                said["gen_ai.usage.input_tokens"],
                said["gen_ai.usage.output_tokens"],
                said["gen_ai.usage.cache_read.input_tokens"],
            )
    assert expected.cost_pico_usd(usage) == alone
    assert expected.calls(usage) == len(_spans(bodies)) * 7 // 8


def test_a_sample_that_is_not_priced_in_proportion_is_an_error() -> None:
    """Sums may stand for calls only while prices have no steps: a call in the dear tier shows it."""
    now_ns = Payload(spans_per_request=512).block().usage.samples[0][1]
    dear = next(number for number, (_, name, _) in enumerate(MODELS) if name == "gemini-2.5-pro")
    with pytest.raises(ValueError, match="in proportion"):
        expected.cost_pico_usd(Usage({}, [(dear, now_ns, 300_000, 10, 0)]))
