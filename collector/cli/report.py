"""What the ledger's calls cost, grouped: from the options of a report to exact figures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Any

import pyarrow as pa

from collector.cli.amounts import ratio
from collector.cli.window import Window
from collector.store.statements import query as statement
from otel_cost.attributes import OTEL_COST_TAG_PREFIX
from otel_cost.call import DIMENSIONS

Ask = Callable[[str, Mapping[str, object]], pa.Table]
"""Runs one read-only statement over the published ledger, with its named parameters."""

CALL_DIMENSIONS = (*DIMENSIONS, "provider", "model", "operation")
TIMES = ("day", "hour")
CURRENT, AS_BILLED = "current", "as-billed"
PRICES = {CURRENT: "calls", AS_BILLED: "calls_as_billed"}
"""Whose prices -> the view that has them: those of the last price run, or those of when the calls arrived."""
_PRICE_RUNS_SINCE = 3  # schema version
BEFORE_ALL, AFTER_ALL = "1678-01-01", "2262-01-01"  # the range of a TIMESTAMP_NS


@dataclass(frozen=True, slots=True)
class Measures:
    """Figures of a group of counted calls. Tokens are None where no call says, `executions` where not additive."""

    calls: int
    cost_usd: Decimal
    unpriced_calls: int
    partial_calls: int
    estimated_calls: int
    estimated_cost_usd: Decimal
    reported_calls: int
    retries: int
    retry_cost_usd: Decimal
    wasted_cost_usd: Decimal
    input_tokens: int | None
    output_tokens: int | None
    cache_read_tokens: int | None
    cache_write_tokens: int | None
    reasoning_tokens: int | None
    useful_output_tokens: int
    executions: int | None

    @property
    def cost_per_execution_usd(self) -> Decimal | None:
        return ratio(self.cost_usd, Decimal(self.executions)) if self.executions else None

    @property
    def cost_per_1k_useful_output_tokens_usd(self) -> Decimal | None:
        return ratio(self.cost_usd * 1000, Decimal(self.useful_output_tokens)) if self.useful_output_tokens else None


@dataclass(frozen=True, slots=True)
class AgentShare:
    """One agent's part of a run."""

    agent: str | None
    cost_usd: Decimal
    unpriced_calls: int


@dataclass(frozen=True, slots=True)
class Row:
    """One group; `value` None: the calls that have no such value."""

    value: str | None
    measures: Measures
    agents: tuple[AgentShare, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """Rows by cost (by time: newest first); rows and `other` together are exactly `total`."""

    by: str
    rows: tuple[Row, ...]
    other: Measures | None
    other_groups: int
    total: Measures
    price_runs: int = 0
    """Those in force: what calls cost now may differ from what they cost when they arrived."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which calls, grouped by what, and how many groups."""

    by: str
    window: Window
    where: tuple[tuple[str, str], ...]
    limit: int
    prices: str = CURRENT

    @property
    def by_attribute(self) -> bool:
        """Whether `by` is none of the ledger's own columns."""
        return self.by not in (*CALL_DIMENSIONS, *TIMES)


def build(ask: Ask, selection: Selection) -> Report:
    """Ask the ledger. An empty ledger gives no rows and a total of nothing."""
    text, parameters = _filled("report_groups", selection, value=True)
    lines = ask(text, {**parameters, "limit": selection.limit}).to_pylist()
    total, groups = _measures(lines[0]), int(lines[0]["groups"])
    values = [line["value"] for line in lines[1:]]
    shares = _agent_shares(ask, selection, values) if selection.by == "run" and values else {}
    rows = tuple(Row(line["value"], _measures(line), shares.get(line["value"], ())) for line in lines[1:])
    other = _subtract(total, [row.measures for row in rows]) if groups > len(rows) else None
    return Report(selection.by, rows, other, groups - len(rows), total, _price_runs(ask))


def _price_runs(ask: Ask) -> int:
    """None where the file was published by a version that did not know them."""
    version = ask(statement("report_schema_version"), {}).column(0)[0].as_py()
    if version < _PRICE_RUNS_SINCE:
        return 0
    return int(ask(statement("report_price_runs"), {}).column(0)[0].as_py())


def attribute_keys(ask: Ask) -> list[str]:
    """Keys that calls carry, most frequent first; free tags under the name that the app gave them."""
    keys = ask(statement("report_keys"), {}).column("key").to_pylist()
    return [str(key).removeprefix(OTEL_COST_TAG_PREFIX) for key in keys]


def extent(ask: Ask) -> dict[str, Any]:
    """How much there is at all: `spans`, `calls`, `first_call`, `last_call`."""
    line: dict[str, Any] = ask(statement("report_extent"), {}).to_pylist()[0]
    return line


def _filled(name: str, selection: Selection, *, value: bool = False) -> tuple[str, dict[str, object]]:
    """A statement with its grouping and its conditions in place; all texts of the caller travel as parameters."""
    since, until = selection.window.since, selection.window.until
    parameters: dict[str, object] = {
        "since": since.replace(tzinfo=None).isoformat() if since else BEFORE_ALL,
        "until": until.replace(tzinfo=None).isoformat() if until else AFTER_ALL,
    }
    conditions = []
    for position, (key, wanted) in enumerate(selection.where):
        expression = _expression(key, f"where_{position}", selection, parameters)
        conditions.append(f"{expression} = $wanted_{position}")
        parameters[f"wanted_{position}"] = wanted
    parts = {
        "value": _expression(selection.by, "by", selection, parameters) if value else "",
        "where": " AND ".join(conditions) or "TRUE",
        "order": "value DESC" if selection.by in TIMES else "cost_usd DESC, calls DESC",
        "calls": PRICES[selection.prices],
    }
    joins = any("spans." in part for part in parts.values())
    return statement(name).format(**parts, spans=statement("report_join_spans") if joins else ""), parameters


def _expression(key: str, name: str, selection: Selection, parameters: dict[str, object]) -> str:
    """The SQL for one key: a column of `calls`, a time bucket, or an attribute whose key becomes a parameter."""
    if key in CALL_DIMENSIONS:
        return f'calls."{key}"'
    if key in TIMES:
        parameters["tz"] = selection.window.zone.key
        return statement(f"report_value_{key}")
    parameters[name] = _json_path(key)
    parameters[f"{name}_tag"] = _json_path(OTEL_COST_TAG_PREFIX + key)
    return statement("report_value_attribute").format(name=name)


def _json_path(key: str) -> str:
    escaped = key.replace("\\", "\\\\").replace('"', '\\"')
    return f'$."{escaped}"'


def _agent_shares(
    ask: Ask, selection: Selection, runs: Sequence[str | None]
) -> dict[str | None, tuple[AgentShare, ...]]:
    text, parameters = _filled("report_agents", selection)
    parameters["runs"] = [run for run in runs if run is not None]
    found: dict[str | None, list[AgentShare]] = {}
    for line in ask(text, parameters).to_pylist():
        share = AgentShare(line["agent"], line["cost_usd"], line["unpriced_calls"])
        found.setdefault(line["value"], []).append(share)
    return {run: tuple(shares) for run, shares in found.items()}


def _measures(line: Mapping[str, Any]) -> Measures:
    return Measures(**{field.name: line[field.name] for field in fields(Measures)})


def _subtract(total: Measures, rows: Sequence[Measures]) -> Measures:
    """What the rows leave of the total, figure by figure."""
    left: dict[str, Any] = {"executions": None}
    for field in fields(Measures):
        if field.name not in left:
            whole = getattr(total, field.name)
            parts = (getattr(row, field.name) or 0 for row in rows)
            left[field.name] = None if whole is None else whole - sum(parts)
    return Measures(**left)
