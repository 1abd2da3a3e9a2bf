"""Histograms bound to their attributes say what the SDK's own say, whatever readers, views and exemplars there are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from opentelemetry import metrics, trace
from opentelemetry.context import Context
from opentelemetry.sdk.metrics import AlwaysOffExemplarFilter, AlwaysOnExemplarFilter, Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader
from opentelemetry.sdk.metrics.view import DropAggregation, ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.trace import TracerProvider

from otel_cost.instrument.bound_histogram import BoundHistogram
from otel_cost.instrument.guard import STATS

SETS: Mapping[str, Mapping[str, str]] = {
    "chat": {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o", "server.address": "api.openai.com"},
    "mini": {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o-mini"},
    "none": {},
}
VALUES: Sequence[tuple[str, list[float]]] = [
    *(("chat", [0.3, 0.02, 5.0]), ("mini", [7.5]), ("none", [1.0, 1.0]), ("chat", [200.0]), ("mini", [0.0, 3.0])),
]
DELTA: dict[type, AggregationTemporality] = {Histogram: AggregationTemporality.DELTA}

Value = tuple[float, Context]
Write = Callable[[str, list[Value]], None]
Made = tuple[MeterProvider, list[InMemoryMetricReader]]


def _plain() -> Made:
    readers = [InMemoryMetricReader()]
    return MeterProvider(readers, shutdown_on_exit=False), readers


def _delta_beside_cumulative() -> Made:
    readers = [InMemoryMetricReader(DELTA), InMemoryMetricReader()]
    return MeterProvider(readers, shutdown_on_exit=False), readers


def _views() -> Made:
    readers = [InMemoryMetricReader()]
    views = [
        View(instrument_name="seconds", name="by_model", attribute_keys={"gen_ai.request.model"}),
        View(instrument_name="seconds", name="exponential", aggregation=ExponentialBucketHistogramAggregation()),
        View(instrument_name="seconds", name="dropped", aggregation=DropAggregation()),
        View(instrument_name="seconds", name="few", aggregation_cardinality_limit=1),
    ]
    return MeterProvider(readers, views=views, shutdown_on_exit=False), readers


def _with_every_exemplar() -> Made:
    readers = [InMemoryMetricReader()]
    return MeterProvider(readers, exemplar_filter=AlwaysOnExemplarFilter(), shutdown_on_exit=False), readers


def _without_exemplars() -> Made:
    readers = [InMemoryMetricReader()]
    return MeterProvider(readers, exemplar_filter=AlwaysOffExemplarFilter(), shutdown_on_exit=False), readers


def _points(readers: Sequence[InMemoryMetricReader]) -> list[Any]:
    """All that was measured, without the times of it."""
    found = []
    for number, reader in enumerate(readers):
        data = reader.get_metrics_data()
        for metric in data.resource_metrics[0].scope_metrics[0].metrics if data else ():
            told: Any = metric.data
            for point in told.data_points:
                exemplars = [(one.value, one.span_id, one.filtered_attributes) for one in point.exemplars]
                counts = getattr(point, "bucket_counts", None) or point.positive.bucket_counts
                said = (point.count, point.sum, point.min, point.max, list(counts), exemplars)
                found.append((number, metric.name, told.aggregation_temporality, dict(point.attributes), said))
    return found


@pytest.mark.parametrize("made", [_plain, _delta_beside_cumulative, _views, _with_every_exemplar, _without_exemplars])
def test_bound_or_not_the_same_is_measured(made: Callable[[], Made]) -> None:
    span = TracerProvider(shutdown_on_exit=False).get_tracer("app").start_span("run")
    contexts = [Context(), trace.set_span_in_context(span, Context())]

    def measured(record: Callable[[Histogram], Write]) -> list[Any]:
        provider, readers = made()
        histogram: Any = provider.get_meter("app").create_histogram("seconds", "s")
        write = record(histogram)
        found: list[list[Any]] = []
        for _ in range(3):  # between collections, of which one finds nothing new
            for name, values in VALUES if len(found) != 1 else []:
                write(name, [(value, contexts[number % 2]) for number, value in enumerate(values)])
            found.append(_points(readers))
        provider.shutdown()
        return found

    def bound(histogram: Histogram) -> Write:
        of = BoundHistogram(histogram)
        return lambda name, values: of.record([one[0] for one in values], [one[1] for one in values], name, SETS[name])

    def unbound(histogram: Histogram) -> Write:
        def write(name: str, values: list[Value]) -> None:
            for value, context in values:
                histogram.record(value, SETS[name], context)

        return write

    failures = STATS.snapshot()
    expected = measured(unbound)
    assert any(expected)
    assert measured(bound) == expected
    assert STATS.snapshot() == failures


def test_a_reader_that_is_added_later_gets_what_comes_after() -> None:
    provider, readers = _plain()
    of = BoundHistogram(provider.get_meter("app").create_histogram("seconds", "s"))
    of.record([1.0], [Context()], "chat", SETS["chat"])
    late = InMemoryMetricReader()
    provider.add_metric_reader(late)
    of.record([2.0], [Context()], "chat", SETS["chat"])
    assert [point[4][0] for point in _points([*readers, late])] == [2, 1]


def test_a_histogram_of_another_kind_gets_its_values_through_the_api() -> None:
    """One of the API alone, and one of an SDK that is built otherwise, which is found out at the first value."""
    got: list[tuple[float, Mapping[str, str]]] = []

    class Other(metrics.Histogram):
        def __init__(self) -> None:
            self._measurement_consumer = object()

        def record(self, amount: float, attributes: Any = None, context: Context | None = None) -> None:
            got.append((amount, attributes))

    BoundHistogram(metrics.NoOpMeter("app").create_histogram("seconds")).record(
        [1.0], [Context()], "chat", SETS["chat"]
    )
    of = BoundHistogram(Other())
    for value in (1.0, 2.0):
        of.record([value], [Context()], "chat", SETS["chat"])
    assert got == [(1.0, SETS["chat"]), (2.0, SETS["chat"])]


def test_a_negative_value_is_left_out() -> None:
    """As of a clock that was set back; the SDK's own would warn each time."""
    provider, readers = _plain()
    of = BoundHistogram(provider.get_meter("app").create_histogram("seconds"))
    of.record([-1.0], [Context()], "chat", SETS["chat"])
    assert _points(readers) == []
    of.record([-1.0, 2.0], [Context(), Context()], "chat", SETS["chat"])
    assert [point[4][:2] for point in _points(readers)] == [(1, 2.0)]
