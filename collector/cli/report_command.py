"""`otel-cost report`: what the calls cost, grouped by whatever pays."""

from __future__ import annotations

import json
from difflib import get_close_matches
from pathlib import Path

import click
from rich.text import Text

from collector.cli.ledger import Ledger, db_option
from collector.cli.report import CALL_DIMENSIONS, CURRENT, PRICES, TIMES, Report, Selection, attribute_keys, build
from collector.cli.report_output import as_json, explain_nothing, print_report
from collector.cli.table import console, printable
from collector.cli.window import Window, window


def conditions(_: click.Context, __: click.Parameter, texts: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """`key=value` texts as pairs."""
    pairs = []
    for text in texts:
        key, separator, wanted = text.partition("=")
        key = key.strip()
        if not separator or not key:
            raise click.BadParameter(f"{text!r} is not of the form key=value")
        if key in TIMES:
            raise click.BadParameter(f"{key} cannot be compared with; use --since and --until")
        pairs.append((key, wanted))
    return tuple(pairs)


@click.command(name="report", short_help="cost by run, agent, provider, model, customer or any attribute")
@click.option(
    "--by",
    default="model",
    show_default=True,
    metavar="DIMENSION",
    help=f"{', '.join(CALL_DIMENSIONS)}, day, hour, or any attribute key of the calls.",
)
@click.option("--since", default="7d", show_default=True, help="Age (90m, 24h, 7d, 2w), date, time, or all.")
@click.option("--until", help="The same; the end itself is excluded.  [default: now]")
@click.option(
    "--where",
    multiple=True,
    metavar="KEY=VALUE",
    callback=conditions,
    help="Only calls with this value of a dimension or attribute; repeat for several.",
)
@click.option("--tz", default="UTC", show_default=True, metavar="AREA/CITY", help="Time zone of days, hours and dates.")
@click.option(
    "--limit", type=click.IntRange(1, 10_000), default=20, show_default=True, help="Rows; the rest is one row."
)
@click.option(
    "--prices",
    type=click.Choice(list(PRICES)),
    default=CURRENT,
    show_default=True,
    help="What calls cost by the last price run, or what they cost when they arrived.",
)
@db_option
@click.option("--json", "json_output", is_flag=True, help="One JSON object; money as exact decimal text.")
def command(
    by: str,
    since: str,
    until: str | None,
    where: tuple[tuple[str, str], ...],
    tz: str,
    limit: int,
    prices: str,
    db: Path,
    json_output: bool,
) -> None:
    """Cost, calls, tokens, retry cost and unpriced calls, grouped by one dimension.

    Each model call is counted once, whatever reported it. Calls without a price are never counted as zero: every
    total says how many there are behind it.

    \b
    Examples:
      otel-cost report --by agent
      otel-cost report --by run --since 24h --where customer=acme
      otel-cost report --by day --since 2026-11-01 --tz Europe/Berlin
      otel-cost report --by deployment.region --json
      otel-cost report --by customer --prices as-billed

    \b
    Exit codes:
      0  done, also when there is nothing to show
      1  there is no ledger, or it cannot be read
      2  a wrong option, or a --by that no call has
    """
    ledger = Ledger(db)
    selection = Selection(by, window(since, until, tz), where, limit, prices)
    report = build(ledger, selection)
    _check_attribute(ledger, selection, report)
    if json_output:
        click.echo(json.dumps(as_json(report, selection, ledger.as_of()), indent=2, ensure_ascii=False))
    elif report.total.calls:
        print_report(console(), report, selection)
    else:
        console().print(Text(explain_nothing(ledger, selection)))


def _check_attribute(ledger: Ledger, selection: Selection, report: Report) -> None:
    """A `--by` that no call carries is most often a slip of the pen."""
    if not selection.by_attribute or any(row.value is not None for row in report.rows):
        return
    everything = Selection(selection.by, Window(None, None, selection.window.zone), (), 1)
    keys = attribute_keys(ledger)
    if not keys or any(row.value is not None for row in build(ledger, everything).rows):
        return
    known = [*CALL_DIMENSIONS, *TIMES, *dict.fromkeys(keys)]
    near = get_close_matches(selection.by, known, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"attributes here: {', '.join(known[:12])}"
    raise click.BadParameter(
        f"{selection.by!r} is neither a dimension nor an attribute of any call; {printable(hint)}", param_hint="--by"
    )
