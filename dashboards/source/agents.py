"""Agents from Prometheus, runs and single calls from the ledger."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard

from dashboards.source.parts import FILTER, USD, Column, Query, board, graph, ledger, listed

IN_TIME = "start_time >= CAST('${__from:date:iso}' AS TIMESTAMP) AND start_time < CAST('${__to:date:iso}' AS TIMESTAMP)"
"""The dashboard's time; the ledger keeps UTC, and Grafana writes UTC."""

RUNS = f"""
SELECT run, any_value(trace_id) AS trace_id, CAST(min(start_time) AS VARCHAR) AS started_at,
    string_agg(DISTINCT agent, ', ' ORDER BY agent) AS agents, count(*) AS calls,
    count(*) FILTER (WHERE cost_usd IS NULL) AS unpriced_calls,
    CAST(sum(cost_usd) AS DOUBLE) AS cost_usd,
    CAST(sum(cost_usd) FILTER (WHERE attempt > 1) AS DOUBLE) AS retry_cost_usd
FROM calls WHERE {IN_TIME}
GROUP BY run ORDER BY cost_usd DESC NULLS LAST LIMIT 100
"""
AGENTS = f"""
SELECT agent, count(DISTINCT run) AS runs, count(*) AS calls, CAST(sum(cost_usd) AS DOUBLE) AS cost_usd,
    CAST(sum(cost_usd) AS DOUBLE) / count(DISTINCT run) AS cost_per_run_usd,
    CAST(sum(output_tokens) AS BIGINT) AS output_tokens,
    count(*) FILTER (WHERE failed) / count(*) AS failed_ratio
FROM calls WHERE {IN_TIME}
GROUP BY agent ORDER BY cost_usd DESC NULLS LAST LIMIT 200
"""
DEAREST = f"""
SELECT CAST(start_time AS VARCHAR) AS started_at, trace_id, agent, provider, model, input_tokens, output_tokens,
    CAST(cost_usd AS DOUBLE) AS cost_usd, cost_status
FROM calls WHERE {IN_TIME} AND cost_usd IS NOT NULL
ORDER BY calls.cost_usd DESC LIMIT 50
"""


def build() -> dashboard.Dashboard:
    """Dashboard."""
    why = "Which agents spend, and in which runs. Tables of runs and calls are answered by the ledger over the API."
    made = board("otel-cost-agents", "otel-cost / Agents and runs", why, filters=True, has_ledger=True)
    rate = "[$__rate_interval]"
    made.with_panel(
        graph(
            "Spend per hour by agent",
            [
                Query(
                    f"topk(15, sum by (agent) (rate(otel_cost_spend_usd_total{{{FILTER}}}{rate})) * 3600)",
                    "{{agent}}",
                    exemplars=True,
                )
            ],
            USD,
            stacked=True,
        )
    )
    made.with_panel(
        graph(
            "Cost of a call by agent",
            [
                Query(
                    f"sum by (agent) (rate(otel_cost_spend_usd_total{{{FILTER}}}{rate})) / "
                    f"sum by (agent) (rate(otel_cost_calls_total{{{FILTER}}}{rate}))",
                    "{{agent}}",
                )
            ],
            USD,
        )
    )
    made.with_panel(
        graph(
            "Share of calls that failed",
            [
                Query(
                    f"sum by (agent) (rate(otel_cost_failed_calls_total{{{FILTER}}}{rate})) / "
                    f"sum by (agent) (rate(otel_cost_calls_total{{{FILTER}}}{rate}))",
                    "{{agent}}",
                )
            ],
            "percentunit",
        )
    )
    made.with_panel(
        listed(
            "Spend by team and agent in this time",
            f"sort_desc(sum by (team, agent) (increase(otel_cost_spend_usd_total{{{FILTER}}}[$__range])))",
            USD,
        )
    )
    made.with_panel(
        ledger(
            "Agents, exactly",
            AGENTS,
            [
                Column("agent"),
                Column("runs", "number"),
                Column("calls", "number"),
                Column("cost_usd", "number"),
                Column("cost_per_run_usd", "number"),
                Column("output_tokens", "number"),
                Column("failed_ratio", "number"),
            ],
            units={"cost_usd": USD, "cost_per_run_usd": USD, "failed_ratio": "percentunit"},
            why="Of the whole ledger: the filters above belong to Prometheus.",
        )
    )
    made.with_panel(
        ledger(
            "Dearest runs",
            RUNS,
            [
                Column("run"),
                Column("trace_id"),
                Column("started_at"),
                Column("agents"),
                Column("calls", "number"),
                Column("unpriced_calls", "number"),
                Column("cost_usd", "number"),
                Column("retry_cost_usd", "number"),
            ],
            units={"cost_usd": USD, "retry_cost_usd": USD},
            why="A run's trace id leads to its trace in Jaeger, and to its spans with receipts.",
        )
    )
    made.with_panel(
        ledger(
            "Dearest calls",
            DEAREST,
            [
                Column("started_at"),
                Column("trace_id"),
                Column("agent"),
                Column("provider"),
                Column("model"),
                Column("input_tokens", "number"),
                Column("output_tokens", "number"),
                Column("cost_usd", "number"),
                Column("cost_status"),
            ],
            units={"cost_usd": USD},
        )
    )
    return made
