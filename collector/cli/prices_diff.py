"""`otel-cost prices diff`: what changed between two card versions, and what it does to recent spend."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.text import Text

from collector.catalogue.compare import Change, Difference, compare
from collector.catalogue.describe import hours, iso, quoted
from collector.cli.amounts import decimals_for
from collector.cli.amounts import usd as shown_usd
from collector.cli.prices_folder import card_named, folder_options, prices_folder
from collector.cli.table import Column, console, print_table, printable
from collector.config import ConfigError, load
from otel_cost.pricing.overrides import Overrides

if TYPE_CHECKING:
    from collector.cli.prices_spend import Amounts, Spend

SHOWN_CHANGES = 50
DEFAULT_DAYS = 30

_HELP = f"""
What changed from card OLD to card NEW: models that came, and every rate that differs, with the period in which it does.

A card is `newest`, `shipped`, a digest (or its beginning), or a day: the newest version made until then.

With --ledger the counted calls of the last {DEFAULT_DAYS} days are priced by both cards, which shows what the change
does to your spend. The stored figures do not change: that is what otel-cost reprice is for.

\b
Examples:
  otel-cost prices diff shipped newest
  otel-cost prices diff 2026-11-01 2026-11-22 --ledger prod.duckdb
  otel-cost prices diff 4288b80f newest --ledger prod.duckdb --days 90 --config collector.yaml --json

\b
Exit codes:
  0  done, also when nothing differs
  1  a card or the ledger cannot be read
  2  a wrong option or config
"""


@click.command(name="diff", help=_HELP)
@click.argument("old")
@click.argument("new")
@folder_options
@click.option("--days", type=click.IntRange(1, 3_660), default=DEFAULT_DAYS, show_default=True, help="Of spend.")
@click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A collector's config: its discounts and own prices go over both cards.",
)
@click.option("--json", "json_output", is_flag=True, help="One JSON object; money as exact decimal text.")
def command(
    old: str,
    new: str,
    ledger: Path | None,
    folder: Path | None,
    days: int,
    config_file: Path | None,
    json_output: bool,
) -> None:
    place = prices_folder(ledger, folder)
    before, after = card_named(place, old), card_named(place, new)
    difference = compare(before, after)
    spend = None
    if ledger is not None:
        from collector.cli.prices_spend import spend_by

        spend = spend_by(ledger, before, after, _overrides(config_file), days)
    if json_output:
        click.echo(json.dumps(_as_json(before.digest, after.digest, difference, spend), indent=1, ensure_ascii=False))
    else:
        _print(console(), before.digest, after.digest, difference)
        if spend is not None:
            _print_spend(console(), spend, days)


def _overrides(config_file: Path | None) -> Overrides:
    if config_file is None:
        return Overrides()
    try:
        return load(config_file).overrides
    except ConfigError as error:
        raise click.UsageError(str(error)) from None


def _as_json(old: str, new: str, difference: Difference, spend: Spend | None) -> dict[str, Any]:
    found: dict[str, Any] = {
        "old": old,
        "new": new,
        "models_added": [{"provider": provider, "model": model} for provider, model in difference.added],
        "models_removed": [{"provider": provider, "model": model} for provider, model in difference.removed],
        "changes": [_change_json(change) for change in difference.changes],
    }
    if spend is not None:
        from collector.cli.prices_spend import as_json

        found["spend"] = as_json(spend)
    return found


def _change_json(change: Change) -> dict[str, Any]:
    return {
        "provider": change.provider,
        "model": change.model,
        "variant": change.variant,
        "input_tokens_above": None if change.input_tokens_above < 0 else change.input_tokens_above,
        "hours_utc": None if change.window is None else hours(change.window),
        "class": change.rate_key,
        "from": iso(change.from_ns),
        "to": iso(change.to_ns),
        "change": _kind(change),
        "old_usd": _price(change.rate_key, change.old_pico_usd),
        "new_usd": _price(change.rate_key, change.new_pico_usd),
        "per": quoted(change.rate_key, 0)[1],
    }


def _kind(change: Change) -> str:
    if change.old_pico_usd is None:
        return "added"
    return "removed" if change.new_pico_usd is None else "changed"


def _price(rate_key: str, pico_usd: int | None) -> str | None:
    return None if pico_usd is None else quoted(rate_key, pico_usd)[0]


def _print(out: Console, old: str, new: str, difference: Difference) -> None:
    changes = difference.changes
    if not (changes or difference.added or difference.removed):
        out.print(f"cards {old} and {new}: no price differs")
        return
    kinds = Counter(map(_kind, changes))
    said = [f"{count} rates {kind}" for kind, count in kinds.items()]
    said += [f"{len(difference.added)} models added"] if difference.added else []
    said += [f"{len(difference.removed)} models removed"] if difference.removed else []
    out.print(Text(f"card {old} to {new}: {', '.join(said)}", style="bold"))
    if changes:
        _print_changes(out, changes[:SHOWN_CHANGES])
    if len(changes) > SHOWN_CHANGES:
        out.print(Text(f"first {SHOWN_CHANGES} of {len(changes)} changes; --json gives all", style="dim"))
    for label, models in (("added", difference.added), ("removed", difference.removed)):
        if models:
            names = ", ".join(f"{provider}/{model}" for provider, model in models[:SHOWN_CHANGES])
            more = f" and {len(models) - SHOWN_CHANGES} more" if len(models) > SHOWN_CHANGES else ""
            out.print(Text(f"{label}: ", style="dim").append(Text(printable(names + more), style="")))


def _print_changes(out: Console, changes: tuple[Change, ...]) -> None:
    print_table(
        out,
        [
            Column("model", [f"{change.provider}/{change.model}" for change in changes], left=True),
            Column("variant", [change.variant for change in changes], rank=1, left=True, least=8),
            Column("input above", [_size(change) for change in changes], rank=3),
            Column("class", [change.rate_key for change in changes], left=True, least=13),
            Column("from", [iso(change.from_ns) or "-" for change in changes], left=True, least=10),
            Column("to", [iso(change.to_ns) or "-" for change in changes], rank=2, left=True, least=10),
            Column("old USD", [_price(change.rate_key, change.old_pico_usd) or "-" for change in changes]),
            Column("new USD", [_price(change.rate_key, change.new_pico_usd) or "-" for change in changes]),
            Column("per", [f"{quoted(change.rate_key, 0)[1]:,}" for change in changes], rank=1),
        ],
    )


def _size(change: Change) -> str:
    return "-" if change.input_tokens_above < 0 else f"{change.input_tokens_above:,}"


def _print_spend(out: Console, spend: Spend, days: int) -> None:
    from collector.cli.prices_spend import usd

    total = spend.total
    changed = {model: amounts for model, amounts in spend.models.items() if amounts.changed}
    if not changed:
        out.print(f"the {total.calls} counted calls of the last {days} days cost the same by both cards")
        return
    ordered = sorted(changed.items(), key=lambda each: -abs(each[1].new_pico_usd - each[1].old_pico_usd))

    def column(figure: str) -> tuple[list[str], tuple[str]]:
        def amount(amounts: Amounts) -> int:
            if figure == "difference":
                return amounts.new_pico_usd - amounts.old_pico_usd
            return amounts.old_pico_usd if figure == "old" else amounts.new_pico_usd

        found = [usd(amount(amounts)) for _, amounts in ordered]
        decimals = decimals_for(found)
        return [shown_usd(value, decimals) for value in found], (shown_usd(usd(amount(total)), decimals),)

    out.print(Text(f"counted calls of the last {days} days, if the new card had priced them", style="bold"))
    print_table(
        out,
        [
            Column(
                "model", [printable(model) for model, _ in ordered], (f"all {len(spend.models)} models",), left=True
            ),
            Column("calls", [f"{amounts.calls:,}" for _, amounts in ordered], (f"{total.calls:,}",)),
            *(Column(title, *column(title)) for title in ("old", "new", "difference")),
            Column("unpriced", [_unpriced(amounts) for _, amounts in ordered], (_unpriced(total),), rank=1),
        ],
    )


def _unpriced(amounts: Amounts) -> str:
    if amounts.old_unpriced == amounts.new_unpriced:
        return f"{amounts.new_unpriced:,}" if amounts.new_unpriced else "-"
    return f"{amounts.old_unpriced:,} -> {amounts.new_unpriced:,}"
