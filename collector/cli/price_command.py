"""`otel-cost price`: what a call costs, without a collector."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO

import click
from rich.console import Console
from rich.text import Text

from collector.cli.held_cards import overrides_of
from collector.cli.pricing_input import InputError, PriceRequest, parse_json, request_from, unknown_units
from collector.cli.table import Column, console, print_table, printable
from otel_cost.pricing import Cost, Line, RateCard, Status, default_card, price
from otel_cost.pricing.money import PPM, format_usd
from otel_cost.pricing.overrides import Cards
from otel_cost.pricing.units import ROUTER_FEE, UNITS

EXIT_BAD_INPUT = 2
STATUS_ERROR = "error"
"""Status of an output line whose input line could not be read; `reason` says why, the cost is null."""

_HELP = """
Price one call, or many from a file, without a collector.

Usage keys are genai-prices' unit names; input_tokens includes the cached ones, output_tokens the reasoning. The rules
are in docs/pricing.md.

\b
Examples:
  otel-cost price --provider openai --model gpt-4o --usage '{"input_tokens": 1000, "output_tokens": 50}'
  otel-cost price --model claude-sonnet-4-5 --at 2026-03-01 --usage '{"input_tokens": 9000, "cache_read_tokens": 8000}'
  otel-cost price --provider openai --model gpt-5 --usage '{"input_tokens": 10}' --context '{"service_tier": "flex"}'
  otel-cost price --config my.yaml --provider azure --model my-deployment --usage '{"input_tokens": 1000}'
  otel-cost price --jsonl calls.jsonl > priced.jsonl     # one object per line in, one out, in order; - is stdin

\b
Exit codes:
  0  done (an unpriced call is an answer, not a failure)
  2  the input could not be read; with --jsonl, some line could not: its output line has status "error"
"""


@click.command(name="price", help=_HELP)
@click.option("--provider", help="As on spans, e.g. openai, azure.ai.openai, aws.bedrock.  [default: from the model]")
@click.option("--model", help="The model's name as requested or answered.")
@click.option("--at", "at", help="ISO date or time of the call; UTC unless it has an offset.  [default: now]")
@click.option("--usage", help="JSON object: unit -> quantity.")
@click.option("--context", help="JSON object: service_tier, processing, speed, ...")
@click.option(
    "--jsonl", type=click.File("rb"), help="Price every line of a file: {provider, model, at, usage, context}."
)
@click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path),
    help="A collector's config: with its discounts, own prices, aliases, plans (processors.cost).",
)
@click.option("--json", "json_output", is_flag=True, help="One JSON object; money as exact decimal text.")
def command(
    provider: str | None,
    model: str | None,
    at: str | None,
    usage: str | None,
    context: str | None,
    jsonl: BinaryIO | None,
    config_file: Path | None,
    json_output: bool,
) -> None:
    cards = Cards(default_card(), overrides_of(config_file))
    if jsonl is not None:
        if any(option is not None for option in (provider, model, at, usage, context)):
            raise click.UsageError("--jsonl takes its calls from the file: leave --provider, --model, ... out")
        _price_lines(jsonl, cards)
        return
    if model is None or usage is None:
        raise click.UsageError("--model and --usage are needed (or --jsonl)")
    try:
        raw = {"provider": provider, "model": model, "at": at}
        request = request_from(raw | {"usage": _option("usage", usage), "context": _option("context", context)})
    except InputError as error:
        raise click.UsageError(str(error)) from error
    for remark in unknown_units(request.usage):
        click.echo(remark, err=True)
    cost = price_request(request, cards)
    if json_output:
        click.echo(_dump(as_json(cost)))
    else:
        _print(console(), request, cost)


def _option(name: str, text: str | None) -> Any:
    try:
        return None if text is None else parse_json(text)
    except InputError as error:
        raise InputError(f"--{name}: {error}") from error


def _price_lines(lines: BinaryIO, cards: Cards) -> None:
    bad = 0
    for number, answer in priced_lines(lines, cards):
        if answer["status"] == STATUS_ERROR:
            bad += 1
            click.echo(f"{getattr(lines, 'name', 'input')}: line {number}: {answer['reason']}", err=True)
        click.echo(_dump(answer))
    if bad:
        click.echo(f"{bad} line{'s' if bad != 1 else ''} could not be read", err=True)
        sys.exit(EXIT_BAD_INPUT)


def priced_lines(lines: Iterable[bytes], cards: Cards) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line number, answer) for each line that is not blank, in order; one that cannot be read answers as "error"."""
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            yield number, as_json(price_request(request_from(parse_json(line)), cards))
        except InputError as error:
            yield number, _error(str(error), cards.card())


def _error(reason: str, card: RateCard) -> dict[str, Any]:
    return {
        "status": STATUS_ERROR,
        "cost_usd": None,
        "model": None,
        "card": card.digest,
        "receipt": [],
        "reason": reason,
    }


def price_request(request: PriceRequest, cards: Cards) -> Cost:
    """Price one request, at the card of what its context says of customer, team, organization, ..."""
    cost = price(
        provider=request.provider,
        request_model=request.model,
        response_model=None,
        at_ns=request.at_ns,
        usage=request.usage,
        context=request.context,
        card=cards.card_for(request.context),
    )
    return cost._replace(model=request.model) if cost.model and "*" in cost.model else cost


def as_json(cost: Cost) -> dict[str, Any]:
    """A price as scripts read it: money as exact decimal text, quantities in natural units."""
    return {
        "status": cost.status.value,
        "cost_usd": None if cost.total_pico_usd is None else format_usd(cost.total_pico_usd),
        "model": cost.model,
        "card": cost.card,
        "receipt": [_line(line) for line in cost.lines],
        "reason": cost.reason,
    }


def _line(line: Line) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "class": line.unit,
        "quantity": natural(line),
        "rate_pico_usd": line.rate_pico_usd,
        "per": line.per // UNITS[line.unit].quantum,
    }
    if line.multiplier_ppm != PPM:
        shown["multiplier_ppm"] = line.multiplier_ppm
    return {**shown, "cost_usd": format_usd(line.cost_pico_usd)}


def natural(line: Line) -> int | float:
    """A line's quantity in natural units: whole, or with the six decimals that a quantum leaves."""
    quantum = UNITS[line.unit].quantum
    whole, rest = divmod(line.quantity, quantum)
    return whole if not rest else float(Decimal(line.quantity) / quantum)


def _dump(answer: dict[str, Any]) -> str:
    return json.dumps(answer, ensure_ascii=False)


def _print(out: Console, request: PriceRequest, cost: Cost) -> None:
    total = "unpriced" if cost.total_pico_usd is None else f"{format_usd(cost.total_pico_usd)} USD"
    title = Text(printable(cost.model or request.model or "?"), style="bold")
    out.print(title.append(f"  {total}  ({cost.status.value})"))
    if cost.lines:
        lines = cost.lines
        print_table(
            out,
            [
                Column("class", [line.unit for line in lines], ("total",), left=True),
                Column("quantity", [_quantity(line) for line in lines], ("",)),
                Column("rate USD", [_rate(line) for line in lines], ("",)),
                Column("cost USD", [format_usd(line.cost_pico_usd) for line in lines], (format_usd(_sum(lines)),)),
            ],
        )
    if cost.reason:
        style = "yellow" if cost.status in (Status.UNPRICED, Status.PARTIAL) else "dim"
        out.print(Text(printable(cost.reason), style=style))
    out.print(Text(f"card {cost.card}" + (f", row {printable(cost.rate_row)}" if cost.rate_row else ""), style="dim"))


def _sum(lines: Iterable[Line]) -> int:
    return sum(line.cost_pico_usd for line in lines)


def _quantity(line: Line) -> str:
    return format_usd(line.quantity) if line.unit == ROUTER_FEE else f"{natural(line):,}"


def _rate(line: Line) -> str:
    multiplier = f" x {Decimal(line.multiplier_ppm) / PPM:f}" if line.multiplier_ppm != PPM else ""
    return _list_rate(line) + multiplier


def _list_rate(line: Line) -> str:
    """Dollars per what people quote: a million tokens or characters, an hour, a thousand calls."""
    unit = UNITS[line.unit]
    if line.unit == ROUTER_FEE:
        return f"{Decimal(line.rate_pico_usd) / 10_000:f}%"
    if unit.per == 1 and unit.family in ("tokens", "characters"):
        return f"{format_usd(line.rate_pico_usd * 1_000_000)} / 1M"
    return f"{format_usd(line.rate_pico_usd)} / {line.per // unit.quantum:,}"
