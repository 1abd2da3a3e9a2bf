"""`otel-cost prices show`: a model's dated rows, and where each comes from."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.text import Text

from collector.catalogue.describe import describe, nearest
from collector.cli.prices_folder import card_named, card_option, folder_options, moment_ns, prices_folder
from collector.cli.table import Column, console, print_table, printable
from otel_cost.pricing import units

_COMMON = {
    "input": units.INPUT,
    "cached": units.CACHE_READ,
    "write": units.CACHE_WRITE,
    "write 1h": units.CACHE_WRITE_1H,
    "output": units.OUTPUT,
}
"""Column -> the rate that nearly every model has; others stand together in one column."""

_HELP = """
The dated prices of MODEL, which variants, sizes and regions they are for, and where they come from.

MODEL is any name by which a call may have named it. Prices are USD per million tokens unless another quantity is said.

\b
Examples:
  otel-cost prices show gpt-4o
  otel-cost prices show claude-sonnet-4-5 --provider aws.bedrock
  otel-cost prices show o3 --at 2025-06-01          # only what was billed then
  otel-cost prices show gpt-5 --card 2026-11-01     # as it was known then
  otel-cost prices show gpt-5 --json

\b
Exit codes:
  0  done
  1  no model has that name (the nearest names are shown), or the card cannot be read
  2  a wrong option
"""


@click.command(name="show", help=_HELP)
@click.argument("model")
@click.option("--provider", help="As on spans, e.g. openai, azure.ai.openai, aws.bedrock.  [default: from the model]")
@click.option("--at", help="Only rows that hold at this ISO date or time; UTC unless it has an offset.")
@card_option
@folder_options
@click.option("--json", "json_output", is_flag=True, help="One JSON object; prices as exact decimal text.")
def command(
    model: str,
    provider: str | None,
    at: str | None,
    card_name: str,
    ledger: Path | None,
    folder: Path | None,
    json_output: bool,
) -> None:
    card = card_named(prices_folder(ledger, folder), card_name)
    found = describe(card, provider, model, None if at is None else moment_ns(at))
    if found is None:
        _explain_unknown(model, provider, nearest(card, provider, model), json_output)
        raise SystemExit(1)
    if json_output:
        click.echo(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        _print(console(), found)


def _explain_unknown(model: str, provider: str | None, near: list[str], json_output: bool) -> None:
    where = f" at {provider}" if provider else ""
    if json_output:
        click.echo(json.dumps({"error": f"no model {model!r}{where}", "nearest": near}, ensure_ascii=False))
        return
    guess = f"; nearest names: {', '.join(near)}" if near else "; no name is like it: otel-cost prices list"
    click.echo(f"Error: the card has no model {printable(model)!r}{where}{guess}", err=True)


def _print(out: Console, found: dict[str, Any]) -> None:
    title = Text(printable(f"{found['provider']} / {found['model']}"), style="bold")
    out.print(title.append(f"   card {found['card']}, found by {found['found_by']}", style="dim"))
    if found["rows"]:
        _print_rows(out, found["rows"])
    else:
        out.print(Text("no price: calls are unpriced", style="yellow"))
    for label, text in _remarks(found):
        out.print(Text(f"{label}: ", style="dim").append(Text(printable(text), style="")))


def _print_rows(out: Console, rows: Sequence[dict[str, Any]]) -> None:
    rates = [{rate["class"]: rate for rate in row["rates"]} for row in rows]
    other = [_others(found) for found in rates]
    shared = len(set(other)) == 1
    print_table(
        out,
        [
            Column("variant", [row["variant"] for row in rows], left=True, least=8),
            Column("from", [row["from"] or "-" for row in rows], left=True, least=10),
            Column("to", [row["to"] or "-" for row in rows], left=True, least=10),
            Column("input above", [_size(row) for row in rows], rank=1),
            Column("hours UTC", [row["hours_utc"] or "-" for row in rows], rank=1, left=True),
            Column("times", [row["multiplier"] or "-" for row in rows], rank=1),
            *(
                Column(title, [found[key]["usd"] if key in found else "-" for found in rates], rank=rank)
                for rank, (title, key) in zip((0, 0, 1, 2, 0), _COMMON.items(), strict=True)
            ),
            *([] if shared else [Column("other", other, rank=3, left=True, least=16)]),
            Column("source", [row["source"] for row in rows], rank=4, left=True, least=12),
        ],
    )
    if shared and other[0] != "-":
        out.print(Text("all rows: ", style="dim").append(Text(other[0], style="")))


def _size(row: dict[str, Any]) -> str:
    above = row["input_tokens_above"]
    return "-" if above is None else f"{above:,}"


def _others(rates: dict[str, dict[str, Any]]) -> str:
    return ", ".join(rate_text(rate) for key, rate in rates.items() if key not in _COMMON.values()) or "-"


def rate_text(rate: dict[str, Any]) -> str:
    """`web_searches 10 / 1,000`."""
    return f"{rate['class']} {rate['usd']}" + (f" / {rate['per']:,}" if rate["per"] != 1_000_000 else " / 1M")


def _remarks(found: dict[str, Any]) -> Iterable[tuple[str, str]]:
    """What stands beside the rows, each with a label; nothing that is empty."""
    uplifts = ", ".join(f"{place} x{factor}" for place, factor in found["uplifts"].items())
    least = ", ".join(f"{unit} {quantity}" for unit, quantity in found["least_billed"].items())
    remarks = [
        ("flags", ", ".join(found["flags"])),
        ("region", found["region"] or ""),
        ("regional uplifts", uplifts),
        ("router fees", ", ".join(rate_text(fee) for fee in found["fees"])),
        ("least billed", least),
        ("bills only", ", ".join(found["bills_only"])),
        ("names", ", ".join(found["names"])),
        ("patterns", ", ".join(found["patterns"])),
        ("dated names", ", ".join(name for each in found["dated_names"] for name in each["names"])),
        ("also listed by", ", ".join(found["also_listed_by"])),
        ("source", f"{found['source']} ({_catalogues(found['catalogues'])})"),
        *(("correction", f"{each['why']} ({each['source']})") for each in found["corrections"]),
        ("price pages", " ".join(found["price_pages"])),
    ]
    return [(label, text) for label, text in remarks if text]


def _catalogues(sources: dict[str, str]) -> str:
    return ", ".join(f"{name} {said}" for name, said in sources.items() if not name.endswith("sha256"))
