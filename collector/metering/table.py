"""The metrics of money: what calls cost, budgets, and what is expected."""

from __future__ import annotations

from typing import NamedTuple

from collector.exposition import Metric

DEFAULT_LABELS = ("provider", "model", "agent", "team")
LABELS = {
    **{name: name for name in DEFAULT_LABELS},
    **{name: name for name in ("customer", "feature", "project", "environment", "operation")},
    "service": "service_name",
    "organization": "org_id",
}
"""Label -> column of `calls`. Runs, conversations, users and traces are no labels: each would be a series for ever."""

SPEND = Metric(
    "otel_cost_spend_usd_total",
    "counter",
    "Cost of counted calls, without those that have no price; as priced when they came.",
    DEFAULT_LABELS,
)
RETRY_SPEND = Metric(
    "otel_cost_retry_spend_usd_total", "counter", "Part of the spend: calls that repeat a failed one.", DEFAULT_LABELS
)
WASTED_SPEND = Metric(
    "otel_cost_wasted_spend_usd_total",
    "counter",
    "Part of the spend: calls that failed and were billed.",
    DEFAULT_LABELS,
)
ESTIMATED_SPEND = Metric(
    "otel_cost_estimated_spend_usd_total",
    "counter",
    "Part of the spend: calls whose tokens were estimated, for no provider reported them.",
    DEFAULT_LABELS,
)
CALLS = Metric(
    "otel_cost_calls_total", "counter", "Counted calls: each once, however many spans tell of it.", DEFAULT_LABELS
)
UNPRICED_CALLS = Metric(
    "otel_cost_unpriced_calls_total", "counter", "Counted calls whose cost is not known: no price fits.", DEFAULT_LABELS
)
PARTIAL_CALLS = Metric(
    "otel_cost_partial_calls_total",
    "counter",
    "Counted calls of whose cost only a part is known: no price fits one of their units.",
    DEFAULT_LABELS,
)
FAILED_CALLS = Metric("otel_cost_failed_calls_total", "counter", "Counted calls that failed.", DEFAULT_LABELS)
RETRIES = Metric("otel_cost_retry_calls_total", "counter", "Counted calls that repeat a failed one.", DEFAULT_LABELS)
TOKENS = Metric(
    "otel_cost_tokens_total",
    "counter",
    "Tokens of counted calls, by type: input (cached ones included) or output (reasoning included).",
    (*DEFAULT_LABELS, "type"),
)
CACHE_TOKENS = Metric(
    "otel_cost_cache_tokens_total",
    "counter",
    "Part of the input tokens: read from a cache, or written to it.",
    (*DEFAULT_LABELS, "type"),
)
REASONING_TOKENS = Metric(
    "otel_cost_reasoning_tokens_total", "counter", "Part of the output tokens: reasoning.", DEFAULT_LABELS
)
CALL_COST = Metric(
    "otel_cost_call_cost_usd",
    "histogram",
    "Cost of one priced call, as it was counted first.",
    ("provider",),
    (0.00001, 0.0001, 0.001, 0.01, 0.1, 1.0, 10.0, 100.0),
)
SPEND_SERIES = Metric(
    "otel_cost_spend_series",
    "gauge",
    "Combinations of label values that have series of their own, and the bound.",
    ("of",),
)
SPEND_OTHER_CALLS = Metric(
    "otel_cost_other_calls_total",
    "counter",
    "Counted calls that are shown under a label value other, for the bound on series was reached.",
)

PERIOD_SPEND = Metric(
    "otel_cost_period_spend_usd", "gauge", "Spend in the ledger since the period began: today, month, all.", ("period",)
)
PERIOD_CALLS = Metric("otel_cost_period_calls", "gauge", "Counted calls in the ledger, likewise.", ("period",))
PERIOD_UNPRICED = Metric(
    "otel_cost_period_unpriced_calls", "gauge", "Those of them whose cost is not known, or not wholly.", ("period",)
)
PROJECTED = Metric(
    "otel_cost_projected_spend_usd", "gauge", "What the whole day, week or month is expected to cost.", ("period",)
)
PROJECTED_LOW = Metric("otel_cost_projected_spend_low_usd", "gauge", "Lower end of the band of it.", ("period",))
PROJECTED_HIGH = Metric("otel_cost_projected_spend_high_usd", "gauge", "Upper end of the band of it.", ("period",))
PROJECTION_ERROR = Metric(
    "otel_cost_projection_error_ratio",
    "gauge",
    "Median absolute error of this projection over past periods, as a share of what they cost.",
    ("period",),
)
FIGURES_READ_AT = Metric(
    "otel_cost_figures_read_timestamp_seconds",
    "gauge",
    "When the gauges of periods and projections were last read from the ledger, Unix time; 0 if never.",
)

BUDGET_LIMIT = Metric(
    "otel_cost_budget_limit", "gauge", "Limit of a budget in its unit, raises included.", ("budget", "scope", "unit")
)
BUDGET_SPENT = Metric(
    "otel_cost_budget_spent", "gauge", "What counts in its window of now, in its unit.", ("budget", "scope", "unit")
)
BUDGET_LEASED = Metric(
    "otel_cost_budget_leased",
    "gauge",
    "What is set aside for calls that are about to be made, in its unit.",
    ("budget", "scope", "unit"),
)
BUDGET_RATIO = Metric("otel_cost_budget_spent_ratio", "gauge", "Spent, as a share of the limit.", ("budget", "scope"))
BUDGET_HIGHEST = Metric(
    "otel_cost_budget_highest_spent_ratio", "gauge", "The highest share spent of all scopes of a budget.", ("budget",)
)
BUDGET_WARN_AT = Metric(
    "otel_cost_budget_warn_ratio", "gauge", "The first threshold of a budget, as a share of the limit.", ("budget",)
)
BUDGET_SCOPES = Metric(
    "otel_cost_budget_scopes",
    "gauge",
    "Scope values of a budget that have spent anything in the window of now, by state: ok, warning, exceeded.",
    ("budget", "state"),
)
BUDGET_RESETS_AT = Metric(
    "otel_cost_budget_reset_timestamp_seconds", "gauge", "When the window of now ends, Unix time.", ("budget",)
)
BUDGET_HIT_AT = Metric(
    "otel_cost_budget_projected_hit_timestamp_seconds",
    "gauge",
    "When a budget is expected to reach its limit, Unix time; absent when it is not.",
    ("budget", "scope"),
)
BUDGET_LEASES = Metric(
    "otel_cost_budget_leases", "gauge", "Leases that are open, or closed and awaiting the spans of their calls."
)
BUDGET_EVENTS = Metric(
    "otel_cost_budget_events_total", "counter", "Thresholds crossed, by kind: warn, exceed.", ("budget", "kind")
)
BUDGET_DELIVERIES = Metric(
    "otel_cost_budget_deliveries_total",
    "counter",
    "Tries to tell somebody of a budget event, by outcome: delivered, pending (it is tried again), dead (given up).",
    ("channel", "outcome"),
)
BUDGET_DEAD_LETTERS = Metric(
    "otel_cost_budget_dead_letters", "gauge", "Messages that were given up and not tried again since.", ("channel",)
)


class Quantity(NamedTuple):
    """One number that is kept per combination of label values, and the metric that shows it."""

    name: str  # column of a group (`collector.metering.groups`)
    metric: Metric
    kind: str | None = None  # value of its label `type`
    is_money: bool = False  # whole pico-USD


QUANTITIES = (
    Quantity("cost", SPEND, is_money=True),
    Quantity("retry_cost", RETRY_SPEND, is_money=True),
    Quantity("wasted_cost", WASTED_SPEND, is_money=True),
    Quantity("estimated_cost", ESTIMATED_SPEND, is_money=True),
    Quantity("calls", CALLS),
    Quantity("unpriced_calls", UNPRICED_CALLS),
    Quantity("partial_calls", PARTIAL_CALLS),
    Quantity("failed_calls", FAILED_CALLS),
    Quantity("retries", RETRIES),
    Quantity("input_tokens", TOKENS, "input"),
    Quantity("output_tokens", TOKENS, "output"),
    Quantity("cache_read_tokens", CACHE_TOKENS, "read"),
    Quantity("cache_write_tokens", CACHE_TOKENS, "write"),
    Quantity("reasoning_tokens", REASONING_TOKENS),
)
"""In the order of a series' numbers."""

METRICS: tuple[Metric, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Metric))
