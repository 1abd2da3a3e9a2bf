"""What is asked for in the checked-in dashboards and alert rules."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

ROOT = Path(__file__).parent.parent.parent / "dashboards"
INFINITY = "yesoreyeram-infinity-datasource"

_METRIC = re.compile(r"\b(?:otel_cost|process)_[a-z_]+")
_MATCHER = re.compile(r"([a-z_]+)\s*(?:=~|!~|!=|=)\s*\"")
_BY = re.compile(r"\b(?:by|without)\s*\(([^)]*)\)")
_LEGEND = re.compile(r"{{\s*([a-z_]+)\s*}}")
_ALERT_LABEL = re.compile(r"\$labels\.([a-z_]+)")
_SUFFIX = re.compile(r"_(bucket|sum|count)$")


class Asked(NamedTuple):
    """One PromQL expression and where it stands."""

    where: str
    expr: str
    shown: str  # legend or text with label names

    @property
    def metrics(self) -> set[str]:
        return {_SUFFIX.sub("", name) for name in _METRIC.findall(self.expr)}

    @property
    def labels(self) -> set[str]:
        listed = {name.strip() for names in _BY.findall(self.expr) for name in names.split(",")}
        shown = {*_LEGEND.findall(self.shown), *_ALERT_LABEL.findall(self.shown)}
        return {*_MATCHER.findall(self.expr), *listed, *shown} - {""}

    def at_range(self, seconds: int) -> str:
        """As Grafana asks it: variables filled in."""
        text = re.sub(r"\$__(rate_interval|range)", f"{seconds}s", self.expr)
        return re.sub(r"\$(provider|model|agent|team)\b", ".*", text)


class LedgerAsked(NamedTuple):
    """One SQL statement and the columns that the panel expects."""

    where: str
    sql: str
    columns: tuple[str, ...]
    root_selector: str


def dashboards() -> dict[str, Any]:
    return {path.stem: json.loads(path.read_text()) for path in sorted((ROOT / "grafana").glob("*.json"))}


def panels() -> Iterator[tuple[str, dict[str, Any]]]:
    for name, board in dashboards().items():
        for panel in board["panels"]:
            yield f"{name}: {panel['title']}", panel


def panel_queries() -> list[Asked]:
    return [
        Asked(where, target["expr"], target.get("legendFormat") or "")
        for where, panel in panels()
        for target in panel["targets"]
        if "expr" in target
    ]


def alerts() -> list[Asked]:
    groups = yaml.safe_load((ROOT / "alerts.yml").read_text())["groups"]
    return [
        Asked(rule["alert"], rule["expr"], " ".join(rule["annotations"].values()))
        for group in groups
        for rule in group["rules"]
    ]


def ledger_queries() -> list[LedgerAsked]:
    found = []
    for where, panel in panels():
        for target in panel["targets"]:
            if target.get("type") == "json":
                body = json.loads(target["url_options"]["data"])
                columns = tuple(column["selector"] for column in target["columns"])
                found.append(LedgerAsked(where, body["sql"], columns, target["root_selector"]))
    return found
