"""`otel-cost prices list`: models with their current prices."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from collector.catalogue.describe import current_rows
from collector.cli.prices_folder import card_named, card_option, folder_options, moment_ns, prices_folder
from collector.cli.table import Column, console, print_table
from otel_cost.pricing import units

_HELP = """
Models with their standard price, in USD per million tokens. TEXT: only models whose name contains it.

\b
Examples:
  otel-cost prices list gpt-5
  otel-cost prices list --provider anthropic
  otel-cost prices list --provider openai --at 2025-01-01
  otel-cost prices list --json > prices.json
"""
_SHOWN = {"input": units.INPUT, "cached": units.CACHE_READ, "output": units.OUTPUT}
_UNLISTED = "unpriced"


@click.command(name="list", help=_HELP)
@click.argument("text", default="")
@click.option("--provider", help="Only this provider, by its name in the card.")
@click.option("--at", help="Prices at this ISO date or time.  [default: now]")
@card_option
@folder_options
@click.option("--json", "json_output", is_flag=True, help="A list of objects; prices as exact decimal text.")
def command(
    text: str,
    provider: str | None,
    at: str | None,
    card_name: str,
    ledger: Path | None,
    folder: Path | None,
    json_output: bool,
) -> None:
    card = card_named(prices_folder(ledger, folder), card_name)
    if provider is not None and provider not in card.provider_ids:
        raise click.BadParameter(f"{provider!r} is none of {', '.join(card.provider_ids)}", param_hint="--provider")
    found = list(current_rows(card, moment_ns(at), text, provider))
    if json_output:
        click.echo(json.dumps(found, indent=1, ensure_ascii=False))
        return
    if not found:
        click.echo(f"no model of card {card.digest} has {text!r} in its name", err=True)
        return
    rates = [{rate["class"]: rate["usd"] for rate in each["rates"]} for each in found]
    print_table(
        console(),
        [
            Column("provider", [each["provider"] for each in found], left=True, least=8),
            Column("model", [each["entry"] for each in found], left=True),
            *(
                Column(title, [_price(each, own, key) for each, own in zip(found, rates, strict=True)])
                for title, key in _SHOWN.items()
            ),
            Column("variants", [", ".join(_variants(each)) or "-" for each in found], rank=2, left=True, least=8),
            Column("source", [each["source"] for each in found], rank=1, left=True, least=8),
        ],
    )


def _price(each: dict[str, Any], rates: dict[str, str], key: str) -> str:
    if not each["priced"]:
        return _UNLISTED if key == units.INPUT else "-"
    return rates.get(key, "-")


def _variants(each: dict[str, Any]) -> list[str]:
    return [variant for variant in each["variants"] if variant != "standard"]
