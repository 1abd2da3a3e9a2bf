"""`otel-cost demo`: a ledger full of made-up history, to look around in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from collector.cli.amounts import count
from collector.cli.ledger import Ledger
from collector.cli.table import console
from collector.errors import StartupError, StoreUnavailable
from collector.receive.senders import DEFAULT_ORGANIZATION

if TYPE_CHECKING:
    from collector.cli.demo_filling import Progress as Told
    from collector.sample.history import Plan

DEFAULT_DB = "otel-cost-demo.duckdb"


@click.command(name="demo", short_help="fill a ledger with made-up history, to look around in")
@click.option("--days", type=click.IntRange(1, 730), default=60, show_default=True, help="How far back it reaches.")
@click.option("--calls-per-day", type=click.IntRange(10, 200_000), default=1_500, show_default=True, help="About.")
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed and end make the same spans.")
@click.option("--end", help="Date or time, UTC, that the history ends at.  [default: now]")
@click.option(
    "--organization",
    "organizations",
    multiple=True,
    default=(DEFAULT_ORGANIZATION,),
    show_default=True,
    help="Whose spans they are; repeat for several, which share the calls.",
)
@click.option(
    "--db",
    type=click.Path(path_type=Path, dir_okay=False),
    default=DEFAULT_DB,
    show_default=True,
    help="The ledger file; the config that fits it is put beside it, as .yaml.",
)
@click.option("--force", is_flag=True, help="Add to a ledger that exists; what is in it stays.")
@click.option("--json", "json_output", is_flag=True, help="One JSON object with what was stored.")
def command(
    days: int,
    calls_per_day: int,
    seed: int,
    end: str | None,
    organizations: tuple[str, ...],
    db: Path,
    force: bool,
    json_output: bool,
) -> None:
    """Fill a new ledger with the history of a made-up company, to look around in.

    Five services with their daily and weekly rhythm, growth, agents in runs, retries, cached tokens, models without a
    price, budgets. Four things happened to its bill: the price of a model rose, an agent was moved to a dearer model,
    an agent did not stop, and a prompt grew.

    Spans go through the collector's own pipeline; no collector may be running on that ledger.

    \b
    Examples:
      otel-cost demo
      otel-cost demo --days 90 --calls-per-day 5000 --db try.duckdb
      otel-cost demo --organization acme --organization globex

    \b
    Exit codes:
      0  done
      1  the ledger exists, a collector holds it, or it cannot be written
      2  a wrong option
    """
    from collector.cli.demo_filling import fill  # the whole pipeline, which --help does not need
    from collector.config import load
    from collector.sample.config_text import config_text
    from collector.sample.history import Plan

    plan = Plan(_end(end), days, calls_per_day, seed, tuple(dict.fromkeys(organizations)))
    config_file = db.with_suffix(".yaml")
    _check_free(db, config_file, force)
    config_file.write_text(config_text(plan, db, config_file), encoding="utf-8")
    try:
        with _progress(plan) as told:
            spans = fill(db, load(config_file), plan, told)
    except (StartupError, StoreUnavailable) as error:
        raise click.ClickException(str(error)) from None
    _tell(spans, plan, db, config_file, json_output)


def _end(text: str | None) -> datetime:
    if text is None:
        return datetime.now(UTC).replace(microsecond=0)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(f"{text!r} is no date or time, such as 2026-11-01", param_hint="--end") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC).replace(microsecond=0)


def _check_free(db: Path, config_file: Path, force: bool) -> None:
    """Nobody's data or config is touched unasked, and a config that somebody wrote not at all."""
    from collector.sample.config_text import MARK
    from collector.store.layout import Layout

    if not force and (db.exists() or Layout.of(db).folder.exists()):
        raise click.ClickException(
            f"{db} exists. Choose another file with --db, or add the made-up calls to it with --force."
        )
    if config_file.exists() and not config_file.read_text(encoding="utf-8", errors="replace").startswith(MARK):
        raise click.ClickException(f"{config_file} exists and was not made by this command. Choose another --db.")


@contextmanager
def _progress(plan: Plan) -> Iterator[Told]:
    """A bar of the days on stderr, on a terminal only."""
    err = console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, disable=not err.is_terminal, transient=True) as bars:
        task = bars.add_task("days of history", total=(plan.end - plan.start).total_seconds())
        yield lambda until: bars.update(task, completed=(until - plan.start).total_seconds())


def _tell(spans: int, plan: Plan, db: Path, config_file: Path, json_output: bool) -> None:
    calls = Ledger(db)("SELECT count(*) AS calls FROM calls", {}).column("calls")[0].as_py()
    if json_output:
        said = {"ledger": str(db), "config": str(config_file), "stored_spans": spans, "calls": calls, "seed": plan.seed}
        said |= {"since": plan.start.isoformat(), "until": plan.end.isoformat()}
        click.echo(json.dumps(said, indent=2))
        return
    click.echo(f"{count(spans)} spans stored in {db}, which has {count(calls)} calls")
    click.echo("Look around:")
    click.echo(f"  otel-cost report --by agent --since 30d --db {db}")
    click.echo(f"  otel-cost projections --db {db}")
    click.echo(f"  otel-cost anomalies --db {db}")
    click.echo(f"  otel-cost collect --config {config_file}      # then open http://127.0.0.1:8321/")
