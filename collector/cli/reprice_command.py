"""`otel-cost reprice`: price stored calls again, look at what that changes before it does, and take it back."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from collector.cli import EXIT_INTERRUPTED
from collector.cli.ledger import Ledger, db_option
from collector.cli.reprice_output import as_runs, print_answer, print_runs
from collector.cli.table import console
from collector.cli.window import Window, window

if TYPE_CHECKING:
    from collector.reprice_request import Action, Answer, Wanted

_HELP = """
Price calls again that are in the ledger: by another version of the rate card, or by the same one after a contract or a
correction was added.

--dry-run shows what would change, by model, day and customer, and changes nothing. --apply does it in one transaction,
as a price run that has a name, is listed, and can be undone. Whatever interrupts it leaves the ledger as it was. A
collector that runs on the ledger does the work itself and goes on receiving; otherwise it is done here.

\b
Examples:
  otel-cost reprice --since 30d --dry-run
  otel-cost reprice --since 2026-11-01 --model gpt-5.1 --card 2026-11-20 --apply --name november
  otel-cost reprice list
  otel-cost reprice undo november

\b
Exit codes:
  0  done, also when there was nothing to change
  1  it could not be done; nothing was changed
  2  a wrong option
  130  interrupted; nothing was changed
"""


def config_option(function: Any) -> Any:
    """The config whose contract prices hold when no collector runs."""
    option = click.option(
        "--config",
        "config_file",
        type=click.Path(path_type=Path, exists=True, dir_okay=False),
        help="The collector's config, for its prices; a collector that runs uses its own.",
    )
    return option(function)


@click.group(help=_HELP, invoke_without_command=True)
@click.option("--since", metavar="TIME", help="Age (90m, 24h, 7d, 2w), date, time, or all: when the calls started.")
@click.option("--until", help="The same; the end itself is excluded.  [default: now]")
@click.option("--tz", default="UTC", show_default=True, metavar="AREA/CITY", help="Time zone of dates.")
@click.option("--model", "models", multiple=True, help="Only calls of this model; repeat for several.")
@click.option("--provider", "providers", multiple=True, help="Only calls of this provider; repeat for several.")
@click.option("--org", "organizations", multiple=True, help="Only calls of this organisation; repeat for several.")
@click.option("--card", default="current", show_default=True, metavar="VERSION|DATE", help="The card to price with.")
@click.option("--name", help="What the run is called.  [default: reprice-DATE-NUMBER]")
@click.option("--dry-run", "action", flag_value="dry-run", help="Show what would change; change nothing.")
@click.option("--apply", "action", flag_value="apply", help="Do it.")
@config_option
@db_option
@click.option("--json", "json_output", is_flag=True, help="One JSON object; money as exact decimal text.")
@click.pass_context
def command(context: click.Context, /, action: str | None, **options: Any) -> None:
    if context.invoked_subcommand is not None:
        return
    if options["since"] is None:
        raise click.UsageError("say which calls: --since 30d, a date, or --since all")
    if action is None:
        raise click.UsageError("say --dry-run to see what would change, or --apply to do it")
    chosen = window(options["since"], options["until"] or "0m", options["tz"])
    wanted = _wanted(action, chosen, options)
    _tell(_done(options["db"], wanted, options["config_file"]), json_output=options["json_output"])


@command.command(name="list")
@db_option
@click.option("--json", "json_output", is_flag=True, help="A JSON array.")
def list_runs(db: Path, json_output: bool) -> None:
    """Price runs, the newest first."""
    runs = as_runs(Ledger(db)("SELECT * FROM price_runs ORDER BY batch DESC", {}))
    if json_output:
        click.echo(json.dumps(runs, indent=2, ensure_ascii=False))
    else:
        print_runs(console(), runs)


@command.command(name="undo")
@click.argument("name")
@config_option
@db_option
@click.option("--json", "json_output", is_flag=True, help="One JSON object.")
def undo(name: str, config_file: Path | None, db: Path, json_output: bool) -> None:
    """Give the calls of a price run the figures that they had before it: every byte of them."""
    from collector.reprice_request import Wanted
    from collector.reprice_serving import whoever

    _tell(_done(db, Wanted("undo", whoever(), name=name), config_file), json_output=json_output)


def _wanted(action: str, chosen: Window, options: dict[str, Any]) -> Wanted:
    from collector.reprice_request import Wanted
    from collector.reprice_serving import whoever

    return Wanted(
        action=cast("Action", action),
        by=whoever(),
        since_ns=_ns(chosen.since),
        until_ns=_ns(chosen.until),
        models=options["models"],
        providers=options["providers"],
        organizations=options["organizations"],
        card=options["card"],
        name=options["name"],
    )


def _ns(instant: datetime | None) -> int | None:
    if instant is None:
        return None
    return int(instant.timestamp()) * 10**9 + instant.microsecond * 1000


def _done(db: Path, wanted: Wanted, config_file: Path | None) -> Answer:
    """By the collector that holds the ledger, or here. Exits when it could not be done."""
    from collector.errors import CollectorError
    from collector.reprice_alone import NoLedger, do

    try:
        answer = do(db, wanted, config_file)
    except NoLedger:
        Ledger(db)("SELECT 1", {})  # says what to do
        raise
    except CollectorError as error:
        raise click.ClickException(str(error)) from None
    if answer.get("cancelled"):
        click.echo("interrupted; nothing was changed", err=True)
        raise SystemExit(EXIT_INTERRUPTED)
    if not answer["ok"]:
        raise click.ClickException(answer["error"])
    return answer


def _tell(answer: Answer, *, json_output: bool) -> None:
    if json_output:
        click.echo(json.dumps(answer, indent=2, ensure_ascii=False))
    else:
        print_answer(console(), answer)
