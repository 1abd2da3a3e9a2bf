"""`otel-cost budgets events`: thresholds that were crossed, and decisions on approvals."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.text import Text

from collector.budgets.model import Event
from collector.cli.budgets_ledger import budgets_of
from collector.cli.budgets_words import as_text, local_time, shown, utc
from collector.cli.ledger import Ledger, db_option
from collector.cli.table import Column, console, print_table, printable
from collector.cli.window import window
from collector.config.written_rule import written_share


@click.command(name="events", short_help="thresholds that were crossed, and decisions")
@click.option("--rule", "name", metavar="RULE", help="Only of this budget.")
@click.option("--since", default="7d", show_default=True, help="Age (90m, 24h, 7d, 2w), date, time, or all.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="Rows of the table.")
@db_option
@click.option("--json", "json_output", is_flag=True, help="One JSON object; money as exact decimal text.")
def command(name: str | None, since: str, limit: int, db: Path, json_output: bool) -> None:
    """What happened to budgets, the newest first. Each threshold is crossed once per counter and window.

    \b
    Examples:
      otel-cost budgets events
      otel-cost budgets events --rule per-customer --since 24h --json

    \b
    Exit codes:
      0  done, also when there is nothing to show
      1  there is no ledger, or it cannot be read
      2  a wrong option
    """
    chosen = window(since, None, "UTC")
    budgets = budgets_of(Ledger(db))
    since_ns = int(chosen.since.timestamp()) * 10**9 if chosen.since else -(2**63)
    events = [
        event
        for event in reversed(budgets.events() if budgets.rules else [])
        if event.happened_at_ns >= since_ns and name in (None, event.key.rule)
    ]
    if json_output:
        said = {**budgets.ledger.as_of(), "events": [as_json(event) for event in events]}
        click.echo(json.dumps(said, indent=2, ensure_ascii=False))
    elif events:
        print_events(console(), events[:limit], len(events))
    else:
        console().print(Text(f"No events {chosen.describe()}."))


def as_json(event: Event) -> dict[str, Any]:
    """One event as JSON carries it."""
    return {
        "id": event.event_id,
        "rule": event.key.rule,
        "org": event.key.org_id,
        "scope_value": event.key.scope_value,
        "event": str(event.kind),
        "threshold": written_share(event.threshold_ppm),
        "at": utc(event.happened_at_ns),
        "unit": str(event.unit),
        "spent": as_text(event.spent, event.unit),
        "limit": as_text(event.limit, event.unit),
        "window_starts_at": utc(event.key.window_start_ns) if event.key.window_start_ns else None,
        "detail": event.detail,
    }


def print_events(out: Console, events: Sequence[Event], of: int, zone: str = "UTC") -> None:
    """A table, and how many there are besides."""
    columns = [
        Column("at", [local_time(event.happened_at_ns, zone) for event in events], left=True, least=16),
        Column("budget", [event.key.rule for event in events], left=True, least=12),
        Column("for", [printable(event.key.scope_value) for event in events], left=True, least=12),
        Column("event", [str(event.kind) for event in events], left=True, least=8),
        Column("at share", [written_share(event.threshold_ppm) for event in events], rank=2),
        Column("spent", [shown(event.spent, event.unit) for event in events]),
        Column("limit", [shown(event.limit, event.unit) for event in events], rank=1),
        Column("detail", [printable(event.detail) for event in events], rank=3, left=True),
    ]
    print_table(out, columns)
    if of > len(events):
        out.print(Text(f"{of - len(events):,} more", style="dim"))
