"""GenAI client metrics, read back from a real meter provider."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from opentelemetry.context import Context
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from otel_cost.instrument import call_span
from otel_cost.instrument.metrics import MAX_WAITING, SECONDS_BOUNDARIES, TOKENS_BOUNDARIES, Metrics, by_modality
from otel_cost.instrument.observe import begin
from otel_cost.instrument.wire.types import Request

Series = tuple[str, str, str | None, str | None, str | None]

SERIES: Series = ("chat", "openai", "gpt-4o", "gpt-4o-2024-08-06", "api.openai.com")
USAGE = {"input_tokens": 1000, "output_tokens": 50, "cache_read_tokens": 800, "output_reasoning_tokens": 20}


def _ended(
    metrics: Metrics,
    *,
    series: Series = SERIES,
    error_type: str | None = None,
    duration_seconds: float = 0.1,
    first_chunk_seconds: float | None = None,
    usage: Mapping[str, int] = USAGE,
) -> None:
    metrics.record(series, error_type, duration_seconds, first_chunk_seconds, usage, Context())


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemoryMetricReader]:
    found = InMemoryMetricReader()
    provider = MeterProvider([found], shutdown_on_exit=False)
    monkeypatch.setattr("opentelemetry.metrics.get_meter", provider.get_meter)
    yield found
    provider.shutdown()


def points(reader: InMemoryMetricReader) -> Mapping[str, list[Any]]:
    data = reader.get_metrics_data()
    assert data is not None
    return {
        metric.name: list(metric.data.data_points)
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }


def test_a_call_is_in_every_metric_that_it_says_something_of(reader: InMemoryMetricReader) -> None:
    _ended(Metrics(), duration_seconds=0.5, first_chunk_seconds=0.1)
    found = points(reader)
    assert {name: getattr(at[0], "sum", None) or at[0].value for name, at in found.items()} == {
        "gen_ai.client.inference.duration": 0.5,
        "gen_ai.client.inference.time_to_first_chunk": 0.1,
        "gen_ai.client.inference.operation.input_tokens": 1000,
        "gen_ai.client.inference.operation.output_tokens": 50,
        "gen_ai.client.inference.usage.input_tokens": 1000,
        "gen_ai.client.inference.usage.output_tokens": 50,
        "gen_ai.client.inference.usage.cache_read.input_tokens": 800,
        "gen_ai.client.inference.usage.reasoning.output_tokens": 20,
    }
    duration = found["gen_ai.client.inference.duration"][0]
    assert dict(duration.attributes) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.response.model": "gpt-4o-2024-08-06",
        "server.address": "api.openai.com",
    }
    assert list(duration.explicit_bounds) == SECONDS_BOUNDARIES


def test_only_a_stream_has_a_first_chunk(reader: InMemoryMetricReader, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some libraries hand every body on in chunks."""
    monkeypatch.setattr(call_span, "_METRICS", Metrics())
    monkeypatch.setattr("opentelemetry.metrics.get_meter_provider", lambda: MeterProvider(shutdown_on_exit=False))
    asked = Request("POST", "https://api.openai.com/v1/chat/completions", {}, b'{"model": "gpt-4o"}')
    choice = {"index": 0, "delta": {"content": "Hello"}}
    body = json.dumps(
        {"model": "gpt-4o", "choices": [choice], "usage": {"prompt_tokens": 5, "completion_tokens": 1}}
    ).encode()
    for content_type, data in (("application/json", body), ("text/event-stream", b"data: " + body + b"\n\n")):
        exchange = begin(asked, "aiohttp")
        assert exchange is not None
        exchange.leave()
        exchange.responded(200, {"content-type": content_type}, None)
        exchange.chunk(data)
        exchange.ended()
    found = points(reader)
    assert found["gen_ai.client.inference.duration"][0].count == 2
    assert found["gen_ai.client.inference.time_to_first_chunk"][0].count == 1


def test_buckets_are_those_of_the_conventions() -> None:
    assert [round(bound, 2) for bound in SECONDS_BOUNDARIES] == [
        *(0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
    ]
    assert TOKENS_BOUNDARIES[:3] == [1, 4, 16]
    assert TOKENS_BOUNDARIES[-1] == 67_108_864


def test_a_failed_call_has_a_duration_and_its_error_and_no_tokens(reader: InMemoryMetricReader) -> None:
    _ended(Metrics(), duration_seconds=1.5, error_type="429", usage={})
    found = points(reader)
    assert list(found) == ["gen_ai.client.inference.duration"]
    assert found["gen_ai.client.inference.duration"][0].attributes["error.type"] == "429"


def test_embeddings_have_metrics_of_their_own(reader: InMemoryMetricReader) -> None:
    _ended(Metrics(), series=("embeddings", *SERIES[1:]), usage={"input_tokens": 8})
    assert set(points(reader)) == {
        "gen_ai.client.embeddings.duration",
        "gen_ai.client.embeddings.operation.input_tokens",
    }


def test_calls_that_wait_are_all_recorded_once_from_many_threads(reader: InMemoryMetricReader) -> None:
    """Some are recorded by the call that finds too many waiting, the rest when a reader collects."""
    metrics = Metrics()

    def work() -> None:
        for _ in range(3 * MAX_WAITING + 1):
            _ended(metrics)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    calls = 8 * (3 * MAX_WAITING + 1)
    for _ in range(2):  # the second collection finds nothing new
        found = points(reader)
        assert found["gen_ai.client.inference.duration"][0].count == calls
        assert found["gen_ai.client.inference.operation.input_tokens"][0].count == calls
        assert found["gen_ai.client.inference.usage.input_tokens"][0].value == 1000 * calls


def test_a_forked_child_does_not_record_what_its_parent_will(reader: InMemoryMetricReader) -> None:
    metrics = Metrics()
    _ended(metrics)
    metrics.forget()
    _ended(metrics)
    assert points(reader)["gen_ai.client.inference.duration"][0].count == 1


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ({}, [("unknown", 100)]),
        ({"input_audio_tokens": 60}, [("audio", 60), ("text", 40)]),
        ({"input_audio_tokens": 0}, [("text", 100)]),
        ({"input_audio_tokens": 60, "input_image_tokens": 40}, [("audio", 60), ("image", 40)]),
    ],
)
def test_tokens_add_up_over_modalities(counts: Mapping[str, int], expected: list[tuple[str, int]]) -> None:
    """Those of which nothing is said are text where another modality is told, else unknown."""
    assert list(by_modality(counts, 100, "input")) == expected
