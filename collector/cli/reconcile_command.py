"""`otel-cost reconcile`: the ledger beside a provider's bill, and every difference by its cause."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import click
from rich.text import Text

from collector.analysis.reconcile import reconcile
from collector.analysis.reconcile_bill import Bill, BillError
from collector.analysis.reconcile_cells import sides
from collector.analysis.reconcile_formats import AUTO, FORMATS, read_bill
from collector.cli.held_cards import overrides_of
from collector.cli.ledger import Ledger, ledger_option
from collector.cli.prices_folder import NEWEST, card_named
from collector.cli.reconcile_output import Shown, as_json, print_reconciliation
from collector.cli.table import console
from collector.store.layout import Layout
from collector.store.statements import query
from otel_cost.pricing.overrides import Cards, Overrides

BY = ("day", "provider", "model")


def _fields(_: click.Context, __: click.Parameter, text: str) -> tuple[str, ...]:
    fields = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    for field in fields:
        if field not in BY:
            raise click.BadParameter(f"{field!r} is none of {', '.join(BY)}")
    if not fields:
        raise click.BadParameter(f"names none of {', '.join(BY)}")
    return fields


def _day(_: click.Context, __: click.Parameter, text: str | None) -> date | None:
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(f"{text!r} is not a day such as 2026-11-01") from None


@click.command(name="reconcile", short_help="the ledger beside a provider's bill, and why they differ")
@click.argument(
    "files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, dir_okay=False)
)
@ledger_option
@click.option("--since", callback=_day, metavar="DAY", help="First day, UTC.  [default: the bill's]")
@click.option("--until", callback=_day, metavar="DAY", help="Day after the last one, UTC.  [default: after the bill's]")
@click.option(
    "--format", "form", type=click.Choice(FORMATS), default=AUTO, show_default=True, help="Whose export it is."
)
@click.option("--by", callback=_fields, default="day,model", show_default=True, help=f"Some of {', '.join(BY)}.")
@click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A collector's config: its names of models hold here too.",
)
@click.option("--json", "json_output", is_flag=True, help="One JSON object; money as exact decimal text.")
def command(
    files: tuple[Path, ...],
    db: Path,
    since: date | None,
    until: date | None,
    form: str,
    by: tuple[str, ...],
    config_file: Path | None,
    json_output: bool,
) -> None:
    """The ledger beside the cost or usage export of OpenAI or Anthropic, or a plain CSV: by day and model, with causes.

    Several files of one provider are one bill: pages of an API, or its costs and its usage. Days are UTC, as providers
    book them. Every difference is taken apart into causes that add up to it exactly. Nothing is changed.

    \b
    Examples:
      otel-cost reconcile costs.json
      otel-cost reconcile costs.json usage.json --by model
      otel-cost reconcile claude_api_cost_2026_11.csv --ledger prod.duckdb --json
      otel-cost reconcile invoice.csv --format csv --since 2026-11-01 --until 2026-12-01

    \b
    Exit codes:
      0  done, whether or not there are differences
      1  there is no ledger, or it cannot be read
      2  a wrong option, or a file that cannot be read: where, what was found, what is allowed
    """
    bill = _read(files, form)
    first, last = _period(bill, since, until)
    ledger = Ledger(db)
    ends = {"since": _midnight(first), "until": _midnight(last + timedelta(days=1))}
    lines = ledger(query("reconcile_ledger"), ends).to_pylist()
    overrides = overrides_of(config_file) if config_file else Overrides()
    card = Cards(card_named(Layout.of(db).prices, NEWEST), overrides).card()
    compared = sides(bill, lines, card, first, last)
    shown = Shown(reconcile(bill, compared, by), bill, compared, by, first, last)
    if json_output:
        said = as_json(shown) | {"files": [str(file) for file in files]} | ledger.as_of()
        click.echo(json.dumps(said, indent=2, ensure_ascii=False))
    elif shown.found.rows:
        print_reconciliation(console(), shown)
    else:
        console().print(Text(f"Neither the bill nor {db} has anything from {first} to {last}."))


def _read(files: Sequence[Path], form: str) -> Bill:
    """All files as one bill; exit code 2 for what cannot be read, and for files of several providers."""
    found: Bill | None = None
    for file in files:
        try:
            bill = read_bill(str(file), file.read_text(encoding="utf-8-sig"), form)
        except BillError as error:
            raise click.BadParameter(str(error), param_hint="FILE") from None
        except UnicodeDecodeError as error:
            raise click.BadParameter(
                f"{file}: found bytes that are no UTF-8 ({error.reason})", param_hint="FILE"
            ) from None
        except OSError as error:
            raise click.BadParameter(f"{file}: {error.strerror}", param_hint="FILE") from None
        if found is not None and found.format != bill.format:
            said = f"{file} is of {bill.format}, the files before it of {found.format}"
            raise click.BadParameter(f"{said}; reconcile one bill at a time", param_hint="FILE")
        found = bill if found is None else found.joined(bill)
    assert found is not None  # click asks for one file at least
    return found


def _period(bill: Bill, since: date | None, until: date | None) -> tuple[date, date]:
    """First and last day: those asked for, else the bill's."""
    first = since or bill.first_day
    last = until - timedelta(days=1) if until else bill.last_day
    if first is None or last is None:
        raise click.UsageError("the bill has no days: --since and --until say which are meant")
    if last < first:
        raise click.BadParameter(f"{last + timedelta(days=1)} is not after {first}", param_hint="--until")
    return first, last


def _midnight(day: date) -> datetime:
    """Naive UTC, as the ledger keeps time."""
    return datetime.combine(day, time(), UTC).replace(tzinfo=None)
