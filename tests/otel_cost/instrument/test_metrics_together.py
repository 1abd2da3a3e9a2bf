"""Calls that are recorded together are recorded as each by itself, whatever they have in common."""

from __future__ import annotations

import itertools
import random
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from opentelemetry.context import Context
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from otel_cost.instrument import metrics as module
from otel_cost.instrument.metrics import MAX_WAITING, Metrics

USAGES: Sequence[Mapping[str, int]] = (
    {"input_tokens": 1000, "output_tokens": 50, "cache_read_tokens": 800},
    {"input_tokens": 3, "output_tokens": 0},
    {"output_tokens": 7, "input_tokens": 0},
    {"input_tokens": 90, "input_audio_tokens": 60},
    {"images": 2},
    {},
)


def _calls(chance: random.Random) -> list[tuple[Any, ...]]:
    """Some calls of one run, alike or not in models, errors, first chunks, units, and numbers."""
    models = chance.choice((("gpt-4o",), ("gpt-4o", "gpt-5", None)))
    errors = chance.choice(((None,), (None, "429")))
    firsts = chance.choice(((None,), (0.25,), (None, 0.5, 30.0)))
    usages = chance.choice((USAGES[:1], USAGES[5:], USAGES))
    operations = chance.choice((("chat",), ("chat", "embeddings")))
    return [
        (
            (chance.choice(operations), "openai", chance.choice(models), chance.choice(models), "api.openai.com"),
            chance.choice(errors),
            chance.choice((0.5, 0.0, 2.0, 4096.0, -1.0)),
            chance.choice(firsts),
            chance.choice(usages),
            Context(),
        )
        for _ in range(chance.randrange(1, MAX_WAITING))
    ]


def _recorded(monkeypatch: pytest.MonkeyPatch, calls: Sequence[tuple[Any, ...]], at_once: int) -> object:
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], shutdown_on_exit=False)
    monkeypatch.setattr("opentelemetry.metrics.get_meter", provider.get_meter)
    monkeypatch.setattr(module, "MAX_WAITING", at_once)
    metrics = Metrics()
    for call in calls:
        metrics.record(*call)
    data = reader.get_metrics_data()
    provider.shutdown()
    points = [
        (metric.name, tuple(sorted((point.attributes or {}).items())), _numbers(point))
        for resource in (data.resource_metrics if data is not None else ())
        for scope in resource.scope_metrics
        for metric in scope.metrics
        for point in metric.data.data_points
    ]
    return sorted(points)


def _numbers(point: Any) -> tuple[Any, ...]:
    if hasattr(point, "bucket_counts"):
        return (point.count, point.sum, point.min, point.max, tuple(point.bucket_counts))
    return (point.value,)


@pytest.mark.parametrize("seed", range(30))
def test_together_is_as_one_by_one(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """Numbers that are exact in binary: their sums do not depend on the order."""
    calls = _calls(random.Random(seed))
    together = _recorded(monkeypatch, calls, MAX_WAITING)
    assert together == _recorded(monkeypatch, calls, 1)
    assert together


def test_what_was_taken_before_another_thread_was_faster_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    class _Robbed(deque[Any]):
        """Somebody else takes what comes after the second."""

        taken = itertools.count(1)

        def popleft(self) -> Any:
            if next(self.taken) > 2:
                self.clear()
            return super().popleft()

    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], shutdown_on_exit=False)
    monkeypatch.setattr("opentelemetry.metrics.get_meter", provider.get_meter)
    metrics = Metrics()
    metrics._waiting = _Robbed()
    for _ in range(5):
        metrics.record(("chat", "openai", "gpt-5", None, None), None, 0.5, None, {}, Context())
    metrics.flush()
    data = reader.get_metrics_data()
    assert data is not None
    [duration] = data.resource_metrics[0].scope_metrics[0].metrics
    [point] = duration.data.data_points
    assert getattr(point, "count", None) == 2
