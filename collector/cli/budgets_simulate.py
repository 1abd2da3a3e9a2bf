"""`otel-cost budgets simulate`: what proposed rules would have done to the calls in the ledger."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import click
import numpy as np
import pyarrow as pa
from rich.progress import Progress
from rich.text import Text

from collector.budgets.counting import Ints, WorstRates
from collector.budgets.model import Rule, Unpriced, WindowKind
from collector.budgets.simulate import Simulated, Simulation
from collector.budgets.windows import window_at
from collector.budgets.worst import dearest
from collector.cli.budgets_api import EXIT_WRONG
from collector.cli.budgets_ledger import AFTER_ALL_NS, NO_TIME_NS, calls_between
from collector.cli.budgets_proposed import read_rules_file
from collector.cli.budgets_simulated import as_json, print_simulated
from collector.cli.ledger import Ledger, db_option
from collector.cli.prices_folder import card_named
from collector.cli.table import console
from collector.cli.window import Window, window
from collector.comparing import most_on
from collector.config import ConfigError
from collector.repricing import PriceAgain
from collector.store.layout import Layout
from otel_cost.pricing import RateCard
from otel_cost.pricing.overrides import Cards, Overrides


@click.command(name="simulate", short_help="what proposed rules would have done to past calls")
@click.option(
    "--rules",
    "file",
    required=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="The rules: a list of them in YAML, or a collector's config.",
)
@click.option("--since", default="30d", show_default=True, help="Age (90m, 24h, 7d, 2w), date, time, or all.")
@click.option("--until", help="The same; the end itself is excluded.  [default: now]")
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True, help="Rows of each table.")
@db_option
@click.option("--json", "json_output", is_flag=True, help="One JSON object; money as exact decimal text.")
def command(file: Path, since: str, until: str | None, limit: int, db: Path, json_output: bool) -> None:
    """Replay the calls in the ledger against proposed rules: when each threshold would have fired, what would have been
    refused or made with a cheaper model, what that would have saved, and how many warnings would have been needless.

    A refused call is taken as not made, as if nobody had tried again. Each call is judged by what it cost in the end.
    Nothing is changed.

    \b
    Examples:
      otel-cost budgets simulate --rules proposed.yaml
      otel-cost budgets simulate --rules otel-collector-config.yaml --since 90d --json

    \b
    Exit codes:
      0  done, also when nothing would have happened
      1  there is no ledger, or it cannot be read
      2  a wrong option, or rules that are wrong; every problem is printed
    """
    chosen = window(since, until, "UTC")
    try:
        rules = read_rules_file(file)
    except ConfigError as error:
        click.echo(str(error), err=True)
        sys.exit(EXIT_WRONG)
    ledger = Ledger(db)
    found = simulate(ledger, rules, chosen, show_progress=not json_output)
    if json_output:
        click.echo(json.dumps(as_json(found, ledger.as_of(), chosen), indent=2, ensure_ascii=False))
    elif found.total.calls:
        print_simulated(console(), found, chosen, limit)
    else:
        console().print(Text(f"No calls {chosen.describe()} in {db}: try --since all."))


def simulate(ledger: Ledger, rules: Sequence[Rule], chosen: Window, *, show_progress: bool = False) -> Simulated:
    """Replay the calls of a time, and of whatever their windows hold before it."""
    from_ns = NO_TIME_NS if chosen.since is None else _ns(chosen.since.timestamp())
    until_ns = AFTER_ALL_NS if chosen.until is None else _ns(chosen.until.timestamp())
    prices = _Prices(card_named(Layout.of(ledger.path).prices, "newest"), rules)
    worst = prices.worst if any(rule.unpriced is Unpriced.WORST_CASE for rule in rules) else WorstRates()
    simulation = Simulation(rules, prices, from_ns, worst)
    first_ns = min((_first_ns(rule, from_ns) for rule in rules), default=from_ns)
    total = ledger(
        "SELECT count(*) AS calls FROM calls WHERE start_time >= make_timestamp_ns($first) AND "
        "start_time < make_timestamp_ns($last)",
        {"first": first_ns, "last": until_ns},
    )
    with Progress(console=console(stderr=True), transient=True, disable=not show_progress) as progress:
        task = progress.add_task("replaying calls", total=total.column("calls")[0].as_py())
        for calls in calls_between(ledger, rules, first_ns, until_ns, prices.columns):
            simulation.feed(calls)
            progress.advance(task, calls.num_rows)
    return simulation.result()


def _ns(seconds: float) -> int:
    return int(seconds) * 10**9


def _first_ns(rule: Rule, from_ns: int) -> int:
    """When the windows of a time begin. Runs that had begun are counted from that time on."""
    if from_ns == NO_TIME_NS or rule.window.kind is WindowKind.RUN:
        return from_ns
    if rule.window.kind is WindowKind.TOTAL:
        return rule.from_ns or NO_TIME_NS
    return window_at(rule.window, min(from_ns, time.time_ns())).start_ns


class _Prices:
    """What calls would have cost with the models that rules name in place of theirs."""

    def __init__(self, card: RateCard, rules: Sequence[Rule]) -> None:
        self._card = card
        self._price = PriceAgain(Cards(card, Overrides()))
        self.columns = tuple(dict.fromkeys((*self._price.columns, "model"))) if any(r.cheaper for r in rules) else ()

    @property
    def worst(self) -> WorstRates:
        """The dearest rates of the card."""
        return dearest(self._card)

    def __call__(self, rows: pa.Table, model: str) -> Ints:
        from collector.analysis.compare_models import target_of

        target = target_of(self._card, model)
        return np.full(rows.num_rows, -1) if target is None else most_on(rows, target, self._price)
