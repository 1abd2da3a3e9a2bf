"""The whole history: requests in the order of time, some hours of one organisation at a time."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import NamedTuple

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

from collector.sample.seasons import SHOULDER, Happenings, poisson
from collector.sample.trace import Trace, key_values
from collector.sample.workloads import WORKLOADS, Scene, Workload, at_ns

PART_HOURS = 6
"""Hours that are stored together: so fine are the times at which thresholds of budgets were crossed."""
REQUEST_SPANS = 512
ORGANIZATION = "default"
"""Of a ledger that nobody shares."""
SCOPE = InstrumentationScope(name="otel-cost-demo", version="1")


@dataclass(frozen=True, slots=True)
class Plan:
    """What history to make. `end` (aware) is excluded; the organisations share the calls, the first has the most."""

    end: datetime
    days: int = 60
    calls_per_day: int = 1_500
    seed: int = 1
    organizations: Sequence[str] = (ORGANIZATION,)

    @property
    def start(self) -> datetime:
        """Midnight UTC of the first day."""
        first = self.end.astimezone(UTC) - timedelta(days=self.days)
        return first.replace(hour=0, minute=0, second=0, microsecond=0)

    def share(self, place: int) -> float:
        """Of the calls, for the organisation at that place."""
        many = len(self.organizations)
        return (many - place) * 2 / many / (many + 1)


class Part(NamedTuple):
    """Some hours. `requests` are OTLP protobuf, by organisation."""

    until: datetime
    requests: list[tuple[str, bytes]]


def parts(plan: Plan) -> Iterator[Part]:
    """All of the plan, oldest first."""
    end = plan.end.astimezone(UTC)
    happenings = Happenings.before(end)
    moment = plan.start
    while moment < end:
        until = min(moment + timedelta(hours=PART_HOURS), end)
        requests: list[tuple[str, bytes]] = []
        for place, organization in enumerate(plan.organizations):
            for workload in WORKLOADS:
                spans = _spans(plan, workload, organization, plan.share(place), moment, until, happenings)
                requests += [(organization, body) for body in _requests(workload, spans)]
        yield Part(until, requests)
        moment = until


def _spans(
    plan: Plan,
    workload: Workload,
    organization: str,
    share: float,
    since: datetime,
    until: datetime,
    happenings: Happenings,
) -> list[Span]:
    """What one service of one organisation sent between two times, which may cut the last hour short."""
    spans: list[Span] = []
    hour = since
    while hour < until:
        random = Random(f"{plan.seed} {organization} {workload.service} {hour.isoformat()}")
        day = Random(f"{plan.seed} {organization} {workload.service} {hour.date()}").gauss(0, SHOULDER)
        wanted = plan.calls_per_day * share * workload.share * workload.season.share(hour)
        wanted *= workload.season.growth(hour.date(), plan.end.date()) * math.exp(day)
        starts = sorted(random.random() * 3600 for _ in range(poisson(random, wanted / workload.calls)))
        for start in starts:
            moment = hour + timedelta(seconds=start)
            if moment >= until:
                break
            trace = Trace(random, at_ns(moment) + random.randrange(1_000_000_000))
            workload.script(trace, Scene(moment, happenings))
            spans += trace.spans
        hour += timedelta(hours=1)
    return spans


def _requests(workload: Workload, spans: Sequence[Span]) -> Iterator[bytes]:
    resource = Resource(attributes=key_values(workload.resource))
    for first in range(0, len(spans), REQUEST_SPANS):
        scope = ScopeSpans(scope=SCOPE, spans=spans[first : first + REQUEST_SPANS])
        request = ExportTraceServiceRequest(resource_spans=[ResourceSpans(resource=resource, scope_spans=[scope])])
        yield request.SerializeToString()
