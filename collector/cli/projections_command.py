"""`otel-cost projections`: what today, this week and this month will come to, and when budgets will be hit."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import click

from collector.cli.ledger import Ledger, db_option
from collector.cli.outlook import budgets, selected
from collector.cli.outlook_output import as_json, budget_json, print_outlook
from collector.cli.report_command import conditions
from collector.cli.table import console
from collector.cli.window import window


@click.command(name="projections", short_help="what today, this week, this month will come to; when budgets are hit")
@click.option(
    "--where",
    multiple=True,
    metavar="KEY=VALUE",
    callback=conditions,
    help="Only calls with this value of a dimension or attribute; repeat for several. Budgets count all of theirs.",
)
@click.option(
    "--tz", default="UTC", show_default=True, metavar="AREA/CITY", help="Time zone of days, weeks and months."
)
@click.option("--budgets", "most", type=click.IntRange(0, 50), default=10, show_default=True, help="Budgets shown.")
@db_option
@click.option("--json", "json_output", is_flag=True, help="One JSON object; money as exact decimal text.")
def command(where: tuple[tuple[str, str], ...], tz: str, most: int, db: Path, json_output: bool) -> None:
    """What today, this week and this month will have cost at their end, and the day on which each budget will be hit.

    With the bounds between which it will be, and how far such forecasts were off in the past.

    Of too little history nothing is forecast. docs/projections.md has the methods and their measured errors.

    \b
    Examples:
      otel-cost projections
      otel-cost projections --tz Europe/Berlin --where team=platform
      otel-cost projections --json

    \b
    Exit codes:
      0  done, also when there is too little history
      1  there is no ledger, or it cannot be read
      2  a wrong option
    """
    from collector.questions.outlook import projections

    ledger, now = Ledger(db), datetime.now(UTC)
    chosen = window("all", None, tz)
    found = projections(ledger, selected(chosen, where), now, budgets(ledger, now, chosen.zone))
    if json_output:
        periods = {name: as_json(getattr(found, name)) for name in ("day", "week", "month", "daily")}
        said = {**ledger.as_of(), "tz": tz, **periods, "budgets": [budget_json(each) for each in found.budgets]}
        click.echo(json.dumps(said, indent=2, ensure_ascii=False))
    else:
        print_outlook(console(), found, chosen.zone, most)
