"""`otel-cost plans`: what flat plans cost, and who used them."""

from __future__ import annotations

import json
import re
import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.text import Text

from collector.cli.amounts import count, exact, exact_usd, percent, ratio
from collector.cli.ledger import Ledger, db_option
from collector.cli.plans import Month, PlanMonth, months, shared_out
from collector.cli.report import CALL_DIMENSIONS
from collector.cli.table import Column, console, print_table, printable
from collector.config import Config, ConfigError, load
from collector.store.statements import query as statement

EXIT_WRONG = 2
_MONTH = re.compile(r"(20\d\d)-(0[1-9]|1[0-2])")


def _month(_: click.Context, parameter: click.Parameter, text: str | None) -> str:
    if text is None:
        return f"{datetime.now(UTC):%Y-%m}" if parameter.name == "until" else ""
    if not _MONTH.fullmatch(text):
        raise click.BadParameter(f"{text!r} is not a month such as 2026-11")
    return text


@click.command(name="plans", short_help="fees of flat plans, shared out among those who used them")
@click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path),
    required=True,
    help="The collector's config, which has the plans.",
)
@click.option(
    "--by",
    type=click.Choice(CALL_DIMENSIONS),
    default="customer",
    show_default=True,
    help="Who shares the fee.",
)
@click.option("--since", callback=_month, metavar="MONTH", help="First month, as 2026-11.  [default: --until]")
@click.option("--until", callback=_month, metavar="MONTH", is_eager=True, help="Last month.  [default: this one]")
@db_option
@click.option("--json", "json_output", is_flag=True, help="One JSON object; money as exact decimal text.")
def command(config_file: Path, by: str, since: str, until: str, db: Path, json_output: bool) -> None:
    """What flat plans cost per calendar month (UTC), and whose part it is: by tokens, or by requests.

    Calls of a plan are free in every other report: nothing more is paid for one more of them. Here the fees of
    `processors.cost.plans` are shared out among the calls that the plans priced. Shares add up to the fee exactly.

    \b
    Examples:
      otel-cost plans --config otel-collector-config.yaml
      otel-cost plans --config otel-collector-config.yaml --by team --since 2026-09 --until 2026-11
      otel-cost plans --config otel-collector-config.yaml --by agent --json

    \b
    Exit codes:
      0  done, also when there is nothing to show
      1  there is no ledger, or it cannot be read
      2  a wrong option, or a wrong config
    """
    first = since or until
    if first > until:
        raise click.BadParameter(f"{first} is after --until {until}", param_hint="--since")
    plans = _config(config_file).overrides.plans
    if not plans:
        raise click.UsageError(f"{config_file} has no processors.cost.plans")
    periods, ledger = months(first, until), Ledger(db)
    found = shared_out(plans, periods, _used(ledger, [plan.target.name for plan in plans], periods, by))
    if json_output:
        click.echo(json.dumps(_as_json(found, by, ledger.as_of()), indent=2, ensure_ascii=False))
    else:
        _print(console(), found, by)


def _config(file: Path) -> Config:
    try:
        return load(file)
    except ConfigError as error:
        click.echo(str(error), err=True)
        sys.exit(EXIT_WRONG)


def _used(ledger: Ledger, names: list[str], periods: list[Month], by: str) -> list[dict[str, Any]]:
    since, until = (f"{datetime.fromtimestamp(at_ns // 10**9, UTC):%Y-%m-%d}" for at_ns in _ends(periods))
    text = statement("plan_shares").format(value=f'"{by}"')
    lines: list[dict[str, Any]] = ledger(text, {"since": since, "until": until, "plans": names}).to_pylist()
    return lines


def _ends(periods: list[Month]) -> tuple[int, int]:
    return periods[0].start_ns, periods[-1].end_ns


def _as_json(found: list[PlanMonth], by: str, as_of: dict[str, Any]) -> dict[str, Any]:
    return {
        "by": by,
        **as_of,
        "plans": [
            {
                "plan": each.plan,
                "provider": each.provider,
                "month": each.month,
                "share_by": each.share_by,
                "fee_usd": exact(each.fee_usd),
                "unallocated_usd": exact(each.unallocated_usd),
                "shares": [
                    {
                        "value": share.value,
                        "calls": share.calls,
                        "tokens": share.tokens,
                        "share": _text(ratio(share.fee_usd, each.fee_usd)),
                        "fee_usd": exact(share.fee_usd),
                    }
                    for share in each.shares
                ],
            }
            for each in found
        ],
    }


def _text(share: Decimal | None) -> str | None:
    return None if share is None else f"{share:f}"


def _print(out: Console, found: list[PlanMonth], by: str) -> None:
    for each in found:
        title = Text(f"{printable(each.plan)}  {each.month}  {exact_usd(each.fee_usd)}", style="bold")
        out.print(title.append(f"  by {each.share_by}"))
        if not each.shares:
            out.print(Text("no calls: nobody has used it, the fee is paid all the same", style="yellow"))
            continue
        print_table(
            out,
            [
                Column(by, [printable(share.value or "-") for share in each.shares], ("total",), left=True),
                Column("calls", [count(share.calls) for share in each.shares], (count(_sum(each, "calls")),), 2),
                Column("tokens", [count(share.tokens) for share in each.shares], (count(_sum(each, "tokens")),), 1),
                Column("share", [percent(ratio(share.fee_usd, each.fee_usd)) for share in each.shares], ("100.0%",), 3),
                Column("fee USD", [exact(share.fee_usd) for share in each.shares], (exact(each.fee_usd),)),
            ],
        )
    if not found:
        out.print(Text("no plan holds in these months"))


def _sum(each: PlanMonth, field: str) -> int:
    return sum(getattr(share, field) for share in each.shares)
