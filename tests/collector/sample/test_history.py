"""The made-up history: always the same for a plan, in the order of time, with the rhythm that it claims."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from collector.sample.history import Plan, parts
from collector.sample.seasons import OFFICE, WORKDAYS, Season, poisson

END = datetime(2026, 3, 13, 15, 30, tzinfo=UTC)  # a Friday
PLAN = Plan(END, days=15, calls_per_day=150)


def spans_of(plan: Plan) -> list[tuple[str, Span]]:
    """With their organisations."""
    return [
        (organization, span)
        for part in parts(plan)
        for organization, body in part.requests
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def calls_of(plan: Plan) -> list[Span]:
    return [span for _, span in spans_of(plan) if span.kind == Span.SPAN_KIND_CLIENT]


def test_the_same_plan_makes_the_same_bytes() -> None:
    assert [part.requests for part in parts(PLAN)] == [part.requests for part in parts(PLAN)]


def test_another_seed_makes_other_spans() -> None:
    one, other = (spans_of(Plan(END, days=1, calls_per_day=100, seed=seed)) for seed in (1, 2))
    assert not {span.span_id for _, span in one} & {span.span_id for _, span in other}


def test_nothing_starts_outside_of_the_time_and_parts_follow_each_other() -> None:
    since_ns = PLAN.start.timestamp() * 1e9
    for part in parts(PLAN):
        until_ns = part.until.timestamp() * 1e9
        for _, body in part.requests:
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                roots = [span for span in resource.scope_spans[0].spans if not span.parent_span_id]
                assert all(since_ns <= span.start_time_unix_nano < until_ns + 1e9 for span in roots)
        since_ns = until_ns
    assert part.until == END


def test_there_are_about_as_many_calls_as_wanted() -> None:
    assert len(calls_of(Plan(END, days=14, calls_per_day=200))) / 14.6 == pytest.approx(200, rel=0.35)


def test_weekends_and_nights_are_quieter() -> None:
    season = Season(OFFICE, WORKDAYS, 0)
    monday = datetime(2026, 3, 9, 14, tzinfo=UTC)
    assert season.share(monday) > 4 * season.share(monday + timedelta(days=5))
    assert season.share(monday) > 20 * season.share(monday - timedelta(hours=11))
    week = sum(season.share(monday + timedelta(hours=hour)) for hour in range(168))
    assert week == pytest.approx(7)


def test_organisations_share_the_calls_and_no_trace() -> None:
    spans = spans_of(Plan(END, days=3, calls_per_day=400, organizations=("acme", "globex")))
    count = Counter(organization for organization, _ in spans)
    assert count["acme"] > count["globex"] > 0
    traces = {organization: {s.trace_id for org, s in spans if org == organization} for organization in count}
    assert not traces["acme"] & traces["globex"]


@pytest.mark.parametrize("mean", [0.0, 0.3, 4, 70])
def test_counts_scatter_around_their_mean(mean: float) -> None:
    random = Random(7)
    drawn = [poisson(random, mean) for _ in range(2_000)]
    assert sum(drawn) / len(drawn) == pytest.approx(mean, abs=0.12 + mean * 0.02)
