"""`otel-cost compare`: the same usage on other models."""

from __future__ import annotations

import json
import time
from pathlib import Path

import click
from rich.text import Text

from collector.analysis.compare_models import Target, target_of
from collector.analysis.compare_scores import Wanted
from collector.catalogue.benchmark_scores import benchmarks
from collector.catalogue.describe import nearest
from collector.cli.compare_output import as_json, print_comparison
from collector.cli.compare_scored import Scores
from collector.cli.held_cards import overrides_of
from collector.cli.ledger import Ledger, ledger_option
from collector.cli.prices_folder import card_named, card_option
from collector.cli.table import console, printable
from collector.cli.window import window
from collector.comparing import BY, Usage, compare, good_enough, usage_of
from collector.store.layout import Layout
from otel_cost.pricing import RateCard
from otel_cost.pricing.overrides import Cards, Overrides


@click.command(name="compare", short_help="what the same usage would cost on other models")
@ledger_option
@click.option("--since", default="7d", show_default=True, help="Age (90m, 24h, 7d, 2w), date, time, or all.")
@click.option("--until", help="The same; the end itself is excluded.  [default: now]")
@click.option("--by", type=click.Choice(BY), help="One row for each of these, and one for all.")
@click.option(
    "--models",
    metavar="A,B,...",
    help="Models to compare with, also as provider/model.  [default: some cheaper and some dearer ones]",
)
@click.option(
    "--benchmark",
    type=click.Choice(benchmarks(), case_sensitive=False),
    help="Show what models score in it, where their provider says so.",
)
@click.option(
    "--min-score",
    type=click.FloatRange(0, 100),
    metavar="PERCENT",
    help="Only models that score so much in --benchmark; unknown is never enough.",
)
@card_option
@click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A collector's config: its discounts and own prices hold here too.",
)
@click.option(
    "--limit", type=click.IntRange(1, 10_000), default=20, show_default=True, help="Rows of the table by --by."
)
@click.option("--json", "json_output", is_flag=True, help="One JSON object; money as exact decimal text.")
def command(
    db: Path,
    since: str,
    until: str | None,
    by: str | None,
    models: str | None,
    benchmark: str | None,
    min_score: float | None,
    card_name: str,
    config_file: Path | None,
    limit: int,
    json_output: bool,
) -> None:
    """Stored calls, priced as if another model had done them: cost, difference, and which model is the cheapest.

    Each call is priced by the rules of ingestion, at the time at which it was made, with the other model's long-context
    tiers and cache prices. Where the other model counts tokens differently, the cost is a range. Nothing is changed.

    \b
    Examples:
      otel-cost compare
      otel-cost compare --by agent --since 30d
      otel-cost compare --models gpt-5-mini,claude-haiku-4-5,gemini-2.5-flash,deepseek-v4-flash
      otel-cost compare --by feature --models openai/gpt-5,anthropic/claude-sonnet-4-5 --json
      otel-cost compare --benchmark "GPQA Diamond" --min-score 70

    \b
    Exit codes:
      0  done, also when there is nothing to compare
      1  there is no ledger, or it cannot be read
      2  a wrong option, or a model that the card does not price
    """
    if min_score is not None and benchmark is None:
        raise click.BadParameter(f"needs --benchmark: {', '.join(benchmarks())}", param_hint="--min-score")
    wanted = None if benchmark is None else Wanted(benchmark, min_score)
    chosen = window(since, until, "UTC")
    ledger = Ledger(db)
    overrides = overrides_of(config_file) if config_file else Overrides()
    card = card_named(Layout.of(db).prices, card_name)
    priced = Cards(card, overrides).card()
    asked = _targets(priced, models) if models is not None else []
    usage = usage_of(ledger, chosen)
    targets, screened = good_enough(priced, usage.used, time.time_ns(), asked, wanted)
    scores = None if wanted is None else Scores(wanted, screened)
    found = compare(ledger, usage, card, overrides, by, targets)
    if json_output:
        shown = as_json(found, usage, targets, by, chosen, card.digest, scores) | ledger.as_of()
        click.echo(json.dumps(shown, indent=2, ensure_ascii=False))
    elif found.total.calls:
        print_comparison(console(), found, usage, by, chosen, limit, scores)
    else:
        console().print(Text(_nothing(db, usage, chosen.describe())))


def _targets(card: RateCard, models: str) -> list[Target]:
    """The models that a text names, in its order.

    Raises:
        click.BadParameter: the card has no price for one; it says which, and what is like it.
    """
    found = []
    for name in filter(None, (each.strip() for each in models.split(","))):
        target = target_of(card, name)
        if target is None:
            provider, _, rest = name.rpartition("/")
            near = nearest(card, provider or None, rest) or nearest(card, None, rest)
            guess = f"did you mean {', '.join(near)}?" if near else "otel-cost prices list shows all"
            raise click.BadParameter(f"the card has no price for {printable(name)!r}; {guess}", param_hint="--models")
        found.append(target)
    if not found:
        raise click.BadParameter("names no model", param_hint="--models")
    return list(dict.fromkeys(found))


def _nothing(db: Path, usage: Usage, when: str) -> str:
    if not usage.left_out:
        return f"No calls {when} in {db}: try --since all."
    why = ", ".join(f"{calls:,} {reason}" for reason, (calls, _) in usage.left_out.items())
    return f"No calls to compare {when} in {db}; left out: {why}."
