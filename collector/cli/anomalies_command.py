"""`otel-cost anomalies`: the days that cost more than they should have, and why."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.text import Text

from collector.cli.ledger import Ledger, db_option
from collector.cli.outlook import selected
from collector.cli.outlook_output import as_json, print_spikes
from collector.cli.report_command import conditions
from collector.cli.table import console
from collector.cli.window import window


@click.command(name="anomalies", short_help="days that cost more than they should have, and why")
@click.option("--since", default="30d", show_default=True, help="Age (90m, 24h, 7d, 2w), date, time, or all.")
@click.option("--until", help="The same; the end itself is excluded.  [default: now]")
@click.option(
    "--where",
    multiple=True,
    metavar="KEY=VALUE",
    callback=conditions,
    help="Only calls with this value of a dimension or attribute; repeat for several.",
)
@click.option("--tz", default="UTC", show_default=True, metavar="AREA/CITY", help="Time zone of days.")
@db_option
@click.option("--json", "json_output", is_flag=True, help="One JSON object; money as exact decimal text.")
def command(
    since: str, until: str | None, where: tuple[tuple[str, str], ...], tz: str, db: Path, json_output: bool
) -> None:
    """Days that cost more than such days usually do, whose calls those were, and why.

    More calls, longer calls, other models, other prices: the four parts add up to the difference exactly.

    A new price and a new model are told on the day on which they begin. Two weeks of history are needed.

    \b
    Examples:
      otel-cost anomalies
      otel-cost anomalies --since 90d --where environment=production
      otel-cost anomalies --json

    \b
    Exit codes:
      0  done, also when nothing was odd
      1  there is no ledger, or it cannot be read
      2  a wrong option
    """
    from collector.questions.spikes import anomalies

    ledger, chosen = Ledger(db), window(since, until, tz)
    found = anomalies(ledger, selected(chosen, where), datetime.now(UTC))
    if json_output:
        said = {**ledger.as_of(), "tz": tz, "spikes": as_json(found)}
        click.echo(json.dumps(said, indent=2, ensure_ascii=False))
    elif found:
        print_spikes(console(), found, chosen.describe())
    else:
        console().print(Text(f"Nothing odd {chosen.describe()}: no day far beyond what such days usually cost."))
