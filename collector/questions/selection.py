"""Which calls a question is about: one organisation, a span of time in a time zone, and filters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

import pyarrow as pa

from otel_cost.call import DIMENSIONS

Ask = Callable[[str, Mapping[str, object]], pa.Table]
"""Runs one read-only statement over the public views, with its named parameters. Raises StoreUnavailable."""

OWNERS = DIMENSIONS
"""run, agent, customer, feature, team, user, project, environment, conversation: who pays."""
FACTS = (
    "provider",
    "model",
    "request_model",
    "response_model",
    "operation",
    "service_tier",
    "service_name",
    "cost_status",
)
"""What a call says of itself."""
COLUMNS = (*OWNERS, *FACTS)
"""Names that calls can be grouped and filtered by; any other name is an attribute of the call's span."""
TIMES = ("minute", "hour", "day", "week", "month")
STATUSES = ("ok", "error", "retry", "wasted", "cached")
"""ok, error: how the call ended; retry: it repeats another; wasted: it bought nothing; cached: it read a cache."""


@dataclass(frozen=True, slots=True)
class Window:
    """Instants in UTC (aware), start included, end excluded; None: open. `zone` says where days begin."""

    since: datetime | None
    until: datetime | None
    zone: ZoneInfo


@dataclass(frozen=True, slots=True)
class Filter:
    """Calls whose `key` is one of `values`; None: has none.

    `key`: of `COLUMNS`, `status`, `trace_id`; else an attribute of the call's span, or of its resource. An attribute
    that is named like one of those is meant with `attr.` before it.
    """

    key: str
    values: tuple[str | None, ...]


@dataclass(frozen=True, slots=True)
class Selection:
    """Calls that pass all filters. `org_id` None means every organisation: only for whoever may see all of them."""

    org_id: str | None
    window: Window
    filters: tuple[Filter, ...] = field(default=())
    as_billed: bool = False
    """With the prices of when calls arrived, whatever price runs have changed since."""
