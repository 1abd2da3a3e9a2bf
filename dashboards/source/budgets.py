"""Budgets: how much of each is spent, when it will be, and who was told."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard

from dashboards.source.parts import USD, Column, Query, bars, board, graph, ledger, listed, number

EVENTS = """
SELECT CAST(happened_at AS VARCHAR) AS happened_at, budget, scope_value, event,
    CAST(threshold_percent AS DOUBLE) AS threshold_percent, CAST(spent_usd AS DOUBLE) AS spent_usd,
    CAST(limit_usd AS DOUBLE) AS limit_usd, CAST(spent_count AS DOUBLE) AS spent_count,
    CAST(limit_count AS DOUBLE) AS limit_count, unit
FROM budget_events
WHERE happened_at >= CAST('${__from:date:iso}' AS TIMESTAMP) AND happened_at < CAST('${__to:date:iso}' AS TIMESTAMP)
ORDER BY budget_events.happened_at DESC LIMIT 200
"""


def build() -> dashboard.Dashboard:
    """Dashboard."""
    why = "Budgets as their counters stand. Rules by run, user or conversation appear by their highest share only."
    made = board("otel-cost-budgets", "otel-cost / Budgets", why, has_ledger=True)
    for panel in (
        number("Scopes over their limit", 'sum(otel_cost_budget_scopes{state="exceeded"})', "short", red_from=1),
        number("Scopes near their limit", 'sum(otel_cost_budget_scopes{state="warning"})', "short", red_from=1),
        number("Highest share spent", "max(otel_cost_budget_highest_spent_ratio)", "percentunit", red_from=1),
        number(
            "Leases", "otel_cost_budget_leases", "short", why="Slices of budgets that apps hold for their next calls."
        ),
        number(
            "Next limit is hit in",
            "min(otel_cost_budget_projected_hit_timestamp_seconds) - time()",
            "s",
            why="As things go. Empty: none is expected to be.",
        ),
        number("Messages given up", "sum(otel_cost_budget_dead_letters)", "short", red_from=1),
    ):
        made.with_panel(panel)
    made.with_panel(
        bars(
            "Spent of each budget, by scope",
            "topk(30, otel_cost_budget_spent_ratio)",
            "{{budget}} · {{scope}}",
            why="Yellow from 80 %, red at the limit.",
        )
    )
    made.with_panel(bars("Highest share of each budget", "otel_cost_budget_highest_spent_ratio", "{{budget}}"))
    made.with_panel(
        graph(
            "Share spent",
            [
                Query("topk(15, otel_cost_budget_spent_ratio)", "{{budget}} · {{scope}}"),
                Query("min(otel_cost_budget_warn_ratio)", "first threshold"),
            ],
            "percentunit",
        )
    )
    made.with_panel(
        graph(
            "Money: spent, limit, set aside",
            [
                Query('topk(10, otel_cost_budget_spent{unit="usd"})', "{{budget}} · {{scope}} spent"),
                Query('topk(10, otel_cost_budget_limit{unit="usd"})', "{{budget}} · {{scope}} limit"),
                Query('topk(10, otel_cost_budget_leased{unit="usd"} > 0)', "{{budget}} · {{scope}} set aside"),
            ],
            USD,
        )
    )
    made.with_panel(
        listed(
            "Days until a limit is hit",
            "sort((otel_cost_budget_projected_hit_timestamp_seconds - time()) / 86400)",
            "none",
            why="By each budget's own calls of the last weeks.",
        )
    )
    made.with_panel(
        listed("Hours until a window ends", "sort((otel_cost_budget_reset_timestamp_seconds - time()) / 3600)", "none")
    )
    made.with_panel(
        graph(
            "Thresholds crossed, per hour",
            [Query("sum by (budget, kind) (increase(otel_cost_budget_events_total[1h]))", "{{budget}} {{kind}}")],
            "short",
        )
    )
    made.with_panel(
        graph(
            "Messages, per hour",
            [
                Query(
                    "sum by (channel, outcome) (increase(otel_cost_budget_deliveries_total[1h]))",
                    "{{channel}} {{outcome}}",
                )
            ],
            "short",
        )
    )
    made.with_panel(
        ledger(
            "Events",
            EVENTS,
            [
                Column("happened_at"),
                Column("budget"),
                Column("scope_value"),
                Column("event"),
                Column("threshold_percent", "number"),
                Column("spent_usd", "number"),
                Column("limit_usd", "number"),
                Column("spent_count", "number"),
                Column("limit_count", "number"),
                Column("unit"),
            ],
            units={"spent_usd": USD, "limit_usd": USD},
        )
    )
    return made
