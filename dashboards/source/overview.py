"""What is spent, on what, and what it will come to."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard

from dashboards.source.parts import FILTER, USD, Query, board, graph, listed, number


def _by(label: str, metric: str) -> str:
    return f"sum by ({label}) (rate({metric}{{{FILTER}}}[$__rate_interval])) * 3600"


def build() -> dashboard.Dashboard:
    """Dashboard."""
    why = "Spend of AI calls. Graphs are rates, estimated; today, month and projection are read from the ledger."
    made = board("otel-cost-overview", "otel-cost / Overview", why, filters=True)
    for panel in (
        number("Today", 'otel_cost_period_spend_usd{period="today"}', USD, why="Of the ledger, without filters."),
        number(
            "Month to date", 'otel_cost_period_spend_usd{period="month"}', USD, why="Of the ledger, without filters."
        ),
        number(
            "Projected month",
            'otel_cost_projected_spend_usd{period="month"}',
            USD,
            why="Empty until there is enough history; see docs/metrics.md.",
        ),
        number("Calls today", 'otel_cost_period_calls{period="today"}', "short"),
        number(
            "Not (wholly) priced today",
            'otel_cost_period_unpriced_calls{period="today"}',
            "short",
            why="Calls whose cost is not known. The view `unpriced` of the ledger says which models.",
            red_from=1,
        ),
        number(
            "Spend per hour now",
            f"sum(rate(otel_cost_spend_usd_total{{{FILTER}}}[5m])) * 3600",
            USD,
            why="Over the last five minutes.",
        ),
    ):
        made.with_panel(panel)
    made.with_panel(
        graph(
            "Spend per hour by provider",
            [Query(_by("provider", "otel_cost_spend_usd_total"), "{{provider}}", exemplars=True)],
            USD,
            stacked=True,
            why="Points are single calls; they lead to their trace.",
        )
    )
    made.with_panel(
        graph(
            "Spend per hour by model",
            [Query(f"topk(10, {_by('model', 'otel_cost_spend_usd_total')})", "{{model}}")],
            USD,
            stacked=True,
        )
    )
    made.with_panel(
        graph(
            "Month: so far and expected",
            [
                Query('otel_cost_period_spend_usd{period="month"}', "so far"),
                Query('otel_cost_projected_spend_usd{period="month"}', "expected"),
                Query('otel_cost_projected_spend_low_usd{period="month"}', "low"),
                Query('otel_cost_projected_spend_high_usd{period="month"}', "high"),
            ],
            USD,
        )
    )
    made.with_panel(
        graph(
            "Cost of a call",
            [
                Query(
                    f"histogram_quantile({share}, sum by (le) "
                    '(rate(otel_cost_call_cost_usd_bucket{provider=~"$provider"}[$__rate_interval])))',
                    name,
                    exemplars=share == 0.95,
                )
                for share, name in ((0.5, "half of all cost less"), (0.95, "95 % cost less"))
            ],
            USD,
        )
    )
    made.with_panel(
        graph(
            "Tokens per second",
            [
                Query(
                    f"sum by (type) (rate(otel_cost_tokens_total{{{FILTER}}}[$__rate_interval]))",
                    "{{type}}",
                ),
                Query(
                    f'sum(rate(otel_cost_cache_tokens_total{{type="read",{FILTER}}}[$__rate_interval]))',
                    "read from a cache (part of input)",
                ),
            ],
            "short",
        )
    )
    made.with_panel(
        graph(
            "Calls that failed, or have no price",
            [
                Query(
                    f"sum(rate(otel_cost_failed_calls_total{{{FILTER}}}[$__rate_interval])) * 3600", "failed per hour"
                ),
                Query(
                    f"sum(rate(otel_cost_unpriced_calls_total{{{FILTER}}}[$__rate_interval])) * 3600",
                    "unpriced per hour",
                ),
                Query(
                    f"sum(rate(otel_cost_partial_calls_total{{{FILTER}}}[$__rate_interval])) * 3600", "in part per hour"
                ),
            ],
            "short",
        )
    )
    made.with_panel(
        listed(
            "Spend by model in this time",
            f"sort_desc(sum by (provider, model) (increase(otel_cost_spend_usd_total{{{FILTER}}}[$__range])))",
            USD,
        )
    )
    made.with_panel(
        graph(
            "Spend per hour that bought nothing",
            [
                Query(f"sum(rate(otel_cost_retry_spend_usd_total{{{FILTER}}}[$__rate_interval])) * 3600", "retries"),
                Query(
                    f"sum(rate(otel_cost_wasted_spend_usd_total{{{FILTER}}}[$__rate_interval])) * 3600",
                    "failed and billed",
                ),
            ],
            USD,
        )
    )
    return made
