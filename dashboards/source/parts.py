"""Panels and queries as all dashboards make them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from grafana_foundation_sdk.builders import bargauge, common, dashboard, prometheus, stat, table, timeseries
from grafana_foundation_sdk.cog import builder as cog
from grafana_foundation_sdk.cog import variants
from grafana_foundation_sdk.models import common as common_models
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.common import GraphDrawStyle, LegendDisplayMode, LegendPlacement, StackingMode
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

PROMETHEUS = models.DataSourceRef(type_val="prometheus", uid="${prometheus}")
LEDGER = models.DataSourceRef(type_val="yesoreyeram-infinity-datasource", uid="${ledger}")
TAGS = ["otel-cost"]
FILTER = 'provider=~"$provider",model=~"$model",agent=~"$agent",team=~"$team"'
"""The filters of a dashboard, in a selector of spend."""
JAEGER_TRACE = "${jaeger}/trace/${__data.fields.trace_id}"
PAGE_TRACE = "${page}/?view=runs&trace_id=${__data.fields.trace_id}"
WIDTH = 24
USD = "currencyUSD"


class Query(NamedTuple):
    """A PromQL expression and the name of its series."""

    expr: str
    legend: str = ""
    exemplars: bool = False


class Column(NamedTuple):
    """A column of an SQL result: its name in the result, and its kind: string, number or timestamp."""

    name: str
    kind: str = "string"


class LedgerQuery(variants.Dataquery):
    """An SQL statement, asked of the collector's API through the Infinity data source.

    The API answers with rows as lists; the root selector (JSONata) gives each value its column's name. Grafana fills
    in `${__from:date:iso}` and `${__to:date:iso}`.
    """

    def __init__(self, sql: str, columns: Sequence[Column]) -> None:
        self.sql = " ".join(sql.split())
        self.columns = tuple(columns)

    def to_json(self) -> dict[str, object]:
        named = ", ".join(f'"{column.name}": $row[{place}]' for place, column in enumerate(self.columns))
        return {
            "refId": "A",
            "datasource": LEDGER,
            "type": "json",
            "source": "url",
            "format": "table",
            "parser": "backend",
            "url": "/api/v1/sql",
            "url_options": {
                "method": "POST",
                "body_type": "raw",
                "body_content_type": "application/json",
                "data": json.dumps({"sql": self.sql, "limit": 1000}),
            },
            "root_selector": f"$map(rows, function($row) {{{{{named}}}}})",
            "columns": [{"selector": column.name, "text": column.name, "type": column.kind} for column in self.columns],
        }


class _Built(cog.Builder[variants.Dataquery]):
    def __init__(self, query: LedgerQuery) -> None:
        self._query = query

    def build(self) -> variants.Dataquery:
        return self._query


def graph(
    title: str, queries: Sequence[Query], unit: str, *, why: str = "", stacked: bool = False, width: int = 12
) -> timeseries.Panel:
    """Lines over time, or bars that add up."""
    panel = (
        timeseries.Panel()
        .title(title)
        .description(why)
        .datasource(PROMETHEUS)
        .unit(unit)
        .min(0)
        .height(8)
        .span(width)
        .line_width(1)
        .show_points(common_models.VisibilityMode.NEVER)
        .fill_opacity(60 if stacked else 8)
        .draw_style(GraphDrawStyle.BARS if stacked else GraphDrawStyle.LINE)
        .legend(
            common.VizLegendOptions()
            .display_mode(LegendDisplayMode.LIST)
            .placement(LegendPlacement.BOTTOM)
            .show_legend(True)
        )
    )
    if stacked:
        panel.stacking(common.StackingConfig().mode(StackingMode.NORMAL))
    for place, query in enumerate(queries):
        target = prometheus.Dataquery().expr(query.expr).range().legend_format(query.legend).ref_id(chr(65 + place))
        panel.with_target(target.exemplar(True) if query.exemplars else target)
    return panel


def number(
    title: str, expr: str, unit: str, *, why: str = "", red_from: float | None = None, decimals: int | None = None
) -> stat.Panel:
    """One number; red from a bound on."""
    panel = (
        stat.Panel()
        .title(title)
        .description(why)
        .datasource(PROMETHEUS)
        .unit(unit)
        .height(4)
        .span(4)
        .graph_mode(common_models.BigValueGraphMode.NONE)
        .thresholds(_thresholds([(None, "green"), (red_from, "red")] if red_from is not None else [(None, "blue")]))
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .with_target(prometheus.Dataquery().expr(expr).instant().ref_id("A"))
    )
    return panel if decimals is None else panel.decimals(decimals)


def bars(title: str, expr: str, legend: str, *, why: str = "", width: int = 12) -> bargauge.Panel:
    """Shares of a limit: yellow at 80 %, red at 100 %."""
    return (
        bargauge.Panel()
        .title(title)
        .description(why)
        .datasource(PROMETHEUS)
        .unit("percentunit")
        .min(0)
        .max(1)
        .height(8)
        .span(width)
        .orientation(common_models.VizOrientation.HORIZONTAL)
        .thresholds(_thresholds([(None, "green"), (0.8, "yellow"), (1.0, "red")]))
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .with_target(prometheus.Dataquery().expr(expr).instant().legend_format(legend).ref_id("A"))
    )


def listed(title: str, expr: str, unit: str, *, why: str = "", width: int = 12) -> table.Panel:
    """A table of the labels and the value of an instant query."""
    hidden: dict[str, Any] = {"excludeByName": {"Time": True}}
    return (
        table.Panel()
        .title(title)
        .description(why)
        .datasource(PROMETHEUS)
        .height(8)
        .span(width)
        .override_by_name("Value", [models.DynamicConfigValue(id_val="unit", value=unit)])
        .with_transformation(models.DataTransformerConfig(id_val="organize", options=hidden))
        .with_target(prometheus.Dataquery().expr(expr).instant().format(PromQueryFormat.TABLE).ref_id("A"))
    )


def ledger(
    title: str, sql: str, columns: Sequence[Column], *, why: str = "", width: int = 24, units: Mapping[str, str] = {}
) -> table.Panel:
    """A table that the ledger itself answers. A column `trace_id` leads to Jaeger and to the page."""
    panel = (
        table.Panel()
        .title(title)
        .description(why)
        .datasource(LEDGER)
        .height(9)
        .span(width)
        .with_target(_Built(LedgerQuery(sql, columns)))
    )
    for name, unit in units.items():
        panel.override_by_name(name, [models.DynamicConfigValue(id_val="unit", value=unit)])
    if "trace_id" in {column.name for column in columns}:
        links = [
            {"title": "Trace in Jaeger", "url": JAEGER_TRACE, "targetBlank": True},
            {"title": "Spans and receipts", "url": PAGE_TRACE, "targetBlank": True},
        ]
        panel.override_by_name("trace_id", [models.DynamicConfigValue(id_val="links", value=links)])
    return panel


def board(uid: str, title: str, why: str, *, filters: bool = False, has_ledger: bool = False) -> dashboard.Dashboard:
    """An empty dashboard with its variables."""
    made = (
        dashboard.Dashboard(title)
        .uid(uid)
        .description(why)
        .tags(TAGS)
        .refresh("30s")
        .time("now-6h", "now")
        .timezone("browser")
        .readonly()
        .link(
            dashboard.DashboardLink("otel-cost")
            .type(models.DashboardLinkType.DASHBOARDS)
            .tags(TAGS)
            .as_dropdown(True)
            .keep_time(True)
            .include_vars(True)
        )
        .with_variable(dashboard.DatasourceVariable("prometheus").label("Prometheus").type("prometheus"))
    )
    if has_ledger:
        made.with_variable(dashboard.DatasourceVariable("ledger").label("Ledger").type(str(LEDGER.type_val)))
        for name, label, address in (
            ("jaeger", "Jaeger", "http://127.0.0.1:16686"),
            ("page", "Page of the collector", "http://127.0.0.1:8321"),
        ):
            made.with_variable(dashboard.TextBoxVariable(name).label(label).default_value(address))
    for name in ("provider", "model", "agent", "team") if filters else ():
        made.with_variable(
            dashboard.QueryVariable(name)
            .label(name.capitalize())
            .datasource(PROMETHEUS)
            .query(f"label_values(otel_cost_spend_usd_total, {name})")
            .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
            .sort(models.VariableSort.ALPHABETICAL_ASC)
            .multi(True)
            .include_all(True)
            .all_value(".*")
        )
    return made


def _thresholds(steps: Sequence[tuple[float | None, str]]) -> dashboard.ThresholdsConfig:
    return (
        dashboard.ThresholdsConfig()
        .mode(models.ThresholdsMode.ABSOLUTE)
        .steps([models.Threshold(value=value, color=color) for value, color in steps])
    )
