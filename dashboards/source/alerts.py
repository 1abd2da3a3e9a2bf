"""Alert rules, once as a file of Prometheus and once as Grafana provisions them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple


class Alert(NamedTuple):
    """It fires when `expr` (PromQL) has had a result for `for_minutes`."""

    name: str
    expr: str
    for_minutes: int
    severity: str  # info, warning, critical
    summary: str
    description: str


ALERTS: Sequence[Alert] = (
    Alert(
        "OtelCostBudgetNearLimit",
        "otel_cost_budget_highest_spent_ratio >= 0.8 and otel_cost_budget_highest_spent_ratio < 1",
        0,
        "warning",
        "Budget {{ $labels.budget }} is at {{ $value | humanizePercentage }} of its limit",
        "80 % are spent in the window of now, by the scope value that is worst off.",
    ),
    Alert(
        "OtelCostBudgetExceeded",
        "otel_cost_budget_highest_spent_ratio >= 1",
        0,
        "critical",
        "Budget {{ $labels.budget }} is used up ({{ $value | humanizePercentage }})",
        "The limit is reached. What then happens to calls is in the rule's on_exceed.",
    ),
    Alert(
        "OtelCostBudgetWillBeExceeded",
        "otel_cost_budget_projected_hit_timestamp_seconds - time() < 86400 "
        "and otel_cost_budget_projected_hit_timestamp_seconds > time()",
        30,
        "warning",
        "Budget {{ $labels.budget }} ({{ $labels.scope }}) will be used up in {{ $value | humanizeDuration }}",
        "As its calls of the last weeks go.",
    ),
    Alert(
        "OtelCostUnpricedCalls",
        "sum by (provider, model) (otel_cost_unpriced_calls_total) - "
        "(sum by (provider, model) (otel_cost_unpriced_calls_total offset 1h) "
        "or sum by (provider, model) (otel_cost_unpriced_calls_total) * 0) > 0",
        0,
        "warning",
        "{{ $value }} calls of {{ $labels.provider }} {{ $labels.model }} in an hour have no price",
        "Spend is higher than shown. The view `unpriced` says why, and what to write into overrides. A difference and "
        "not increase(): that does not see the first calls of a model, and these counters go on over restarts.",
    ),
    Alert(
        "OtelCostBudgetMessagesGivenUp",
        "otel_cost_budget_dead_letters > 0",
        0,
        "warning",
        "Messages to {{ $labels.channel }} about budgets were given up",
        "`otel-cost budgets deliveries` lists them; each can be tried again.",
    ),
    Alert(
        "OtelCostCollectorDown",
        'up{job="otel-cost"} == 0',
        2,
        "critical",
        "The collector at {{ $labels.instance }} does not answer",
        "Apps keep spans for a short while only.",
    ),
    Alert(
        "OtelCostCollectorUnhealthy",
        "otel_cost_healthy == 0",
        2,
        "critical",
        "The collector refuses spans or cannot apply them",
        "Its health check says why; see docs/faults.md.",
    ),
    Alert(
        "OtelCostLedgerLags",
        "otel_cost_apply_lag_seconds > 30",
        2,
        "warning",
        "The ledger is {{ $value | humanizeDuration }} behind what is acknowledged",
        "Nothing is lost: the disk is full or too slow.",
    ),
    Alert(
        "OtelCostRequestsRefused",
        'sum by (reason) (rate(otel_cost_requests_refused_total{reason=~"store|queue_full|internal"}[5m])) > 0',
        5,
        "warning",
        "Trace requests are refused: {{ $labels.reason }}",
        "Senders are told to try again (store, queue_full), or a fault was met (internal): the log says which.",
    ),
    Alert(
        "OtelCostQuarantine",
        "otel_cost_quarantined_requests > 0",
        0,
        "critical",
        "{{ $value }} acknowledged requests lie in quarantine",
        "They could not be applied and are kept beside the reason; see docs/faults.md.",
    ),
    Alert(
        "OtelCostPublicationIsOld",
        "time() - otel_cost_last_publish_timestamp_seconds > 60",
        5,
        "warning",
        "Reports are {{ $value | humanizeDuration }} behind the ledger",
        "The published file is not refreshed; the log says why.",
    ),
    Alert(
        "OtelCostPricesAreOld",
        "increase(otel_cost_prices_failures_total[3d]) > 2",
        0,
        "warning",
        "Price catalogues cannot be read",
        "Calls are priced by the card of before; the log says why.",
    ),
    Alert(
        "OtelCostForwardingDrops",
        "sum by (exporter) (rate(otel_cost_forward_dropped_spans_total[5m])) > 0",
        5,
        "warning",
        "Spans to {{ $labels.exporter }} are dropped",
        "The target is down or too slow; the ledger has the spans.",
    ),
)


def prometheus_rules() -> dict[str, Any]:
    """The content of a rule file of Prometheus."""
    rules = [
        {
            "alert": alert.name,
            "expr": alert.expr,
            "for": f"{alert.for_minutes}m",
            "labels": {"severity": alert.severity},
            "annotations": {"summary": alert.summary, "description": alert.description},
        }
        for alert in ALERTS
    ]
    return {"groups": [{"name": "otel-cost", "rules": rules}]}


def grafana_rules(datasource_uid: str) -> dict[str, Any]:
    """The same for Grafana's own alerting, as a provisioning file."""
    rules = [
        {
            "uid": alert.name.lower(),
            "title": alert.name,
            "condition": "A",
            "for": f"{alert.for_minutes}m",
            "noDataState": "OK",
            "execErrState": "Error",
            "labels": {"severity": alert.severity},
            "annotations": {
                "summary": _grafana(alert.summary),
                "description": alert.description,
            },
            "data": [
                {
                    "refId": "A",
                    "relativeTimeRange": {"from": 600, "to": 0},
                    "datasourceUid": datasource_uid,
                    "model": {"refId": "A", "expr": alert.expr, "instant": True, "range": False},
                }
            ],
        }
        for alert in ALERTS
    ]
    group = {"orgId": 1, "name": "otel-cost", "folder": "otel-cost", "interval": "1m", "rules": rules}
    return {"apiVersion": 1, "groups": [group]}


def _grafana(summary: str) -> str:
    """Grafana keeps the value of each query apart."""
    return summary.replace("$value", "$values.A.Value")
