"""Straight from the ledger: customers, days, what has no price, and how fresh it all is."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard

from dashboards.source.agents import IN_TIME
from dashboards.source.parts import USD, Column, board, ledger

CUSTOMERS = f"""
SELECT customer, count(*) AS calls, count(*) FILTER (WHERE cost_usd IS NULL) AS unpriced_calls,
    CAST(sum(cost_usd) AS DOUBLE) AS cost_usd, CAST(sum(input_tokens) AS BIGINT) AS input_tokens,
    CAST(sum(output_tokens) AS BIGINT) AS output_tokens
FROM calls WHERE {IN_TIME}
GROUP BY customer ORDER BY cost_usd DESC NULLS LAST LIMIT 200
"""
DAYS = """
SELECT CAST(day AS VARCHAR) AS day, calls, unpriced_calls, CAST(cost_usd AS DOUBLE) AS cost_usd,
    CAST(retry_cost_usd AS DOUBLE) AS retry_cost_usd, CAST(wasted_cost_usd AS DOUBLE) AS wasted_cost_usd
FROM (SELECT day, sum(calls) AS calls, sum(unpriced_calls) AS unpriced_calls, sum(cost_usd) AS cost_usd,
    sum(retry_cost_usd) AS retry_cost_usd, sum(wasted_cost_usd) AS wasted_cost_usd FROM daily GROUP BY day) AS days
ORDER BY days.day DESC LIMIT 366
"""
UNPRICED = """
SELECT provider, coalesce(response_model, request_model) AS model, cost_reason, CAST(sum(calls) AS BIGINT) AS calls,
    CAST(max(last_call_at) AS VARCHAR) AS last_call_at, any_value(suggested_override) AS suggested_override
FROM unpriced GROUP BY ALL ORDER BY calls DESC LIMIT 200
"""
FRESH = "SELECT CAST(published_at AS VARCHAR) AS published_at, last_seq FROM publication"


def build() -> dashboard.Dashboard:
    """Dashboard."""
    why = "Exact figures, asked of the collector's API with SQL (docs/sql.md); amounts are floats only to be shown."
    made = board("otel-cost-ledger", "otel-cost / Ledger", why, has_ledger=True)
    made.with_panel(
        ledger(
            "Customers",
            CUSTOMERS,
            [
                Column("customer"),
                Column("calls", "number"),
                Column("unpriced_calls", "number"),
                Column("cost_usd", "number"),
                Column("input_tokens", "number"),
                Column("output_tokens", "number"),
            ],
            units={"cost_usd": USD},
        )
    )
    made.with_panel(
        ledger(
            "Days (UTC)",
            DAYS,
            [
                Column("day"),
                *(
                    Column(name, "number")
                    for name in ("calls", "unpriced_calls", "cost_usd", "retry_cost_usd", "wasted_cost_usd")
                ),
            ],
            units={"cost_usd": USD, "retry_cost_usd": USD, "wasted_cost_usd": USD},
            width=12,
        )
    )
    made.with_panel(
        ledger(
            "Without a (whole) price",
            UNPRICED,
            [
                Column("provider"),
                Column("model"),
                Column("cost_reason"),
                Column("calls", "number"),
                Column("last_call_at"),
                Column("suggested_override"),
            ],
            width=12,
            why="What to write into processors.cost.overrides is in the last column.",
        )
    )
    made.with_panel(ledger("Read from", FRESH, [Column("published_at"), Column("last_seq", "number")], width=12))
    return made
