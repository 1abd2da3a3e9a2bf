"""`otel-cost budgets verify`: all budgets counted again from the calls in the ledger, beside what the counters hold."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import click
from rich.text import Text

from collector.budgets.model import CounterKey, Rule, Spent, Unit, WindowKind
from collector.budgets.recount import Difference, differences, held_of, recount
from collector.budgets.windows import bucket_ns
from collector.cli.budgets_ledger import NO_BUDGETS, Budgets, budgets_of, calls_between
from collector.cli.budgets_words import as_text, local_time, shown
from collector.cli.ledger import Ledger, db_option
from collector.cli.table import Column, console, print_table, printable
from collector.store.publisher import PUBLISHED_COUNTERS

SHOWN_ROWS = 50
EXIT_DIFFERENT = 1
_EPOCH = datetime(1970, 1, 1)
_OLDEST = """
SELECT (SELECT min(CAST(start_time AS TIMESTAMP)) FROM calls) AS oldest, expired_spans, missing_spans FROM publication
"""

Held = Mapping[str, Mapping[CounterKey, Spent]]


@dataclass(frozen=True, slots=True)
class Verified:
    """What was compared, and what is not the same."""

    compared: int
    differences: Sequence[Difference]
    left_out: Mapping[str, int]  # why -> counters


@click.command(name="verify", short_help="count all budgets again from the calls, and compare")
@click.option("--rule", "names", multiple=True, metavar="RULE", help="Only this budget; repeat for several.")
@db_option
@click.option("--json", "json_output", is_flag=True, help="One JSON object.")
def command(names: tuple[str, ...], db: Path, json_output: bool) -> None:
    """Count every budget again from the calls in the ledger. Counters move in the transaction of the calls that they
    count, so both are always the same; this proves it. Nothing is changed.

    \b
    Examples:
      otel-cost budgets verify
      otel-cost budgets verify --rule per-customer --json

    \b
    Exit codes:
      0  no differences
      1  differences, or there is no ledger
      2  a wrong option
    """
    budgets = budgets_of(Ledger(db))
    rules = [budgets.rule(name) for name in names] or list(budgets.rules)
    found = verify(budgets, rules)
    if json_output:
        click.echo(json.dumps(_as_json(budgets, rules, found), indent=2, ensure_ascii=False))
    elif not rules:
        console().print(Text(NO_BUDGETS))
    else:
        _print(found, {rule.name: rule for rule in rules})
    sys.exit(EXIT_DIFFERENT if found.differences else 0)


def verify(budgets: Budgets, rules: Sequence[Rule]) -> Verified:
    """Compare what the published file has of counters and of calls: both are of one moment."""
    if not rules:
        return Verified(0, (), {})
    as_of = budgets.ledger.as_of()["as_of"]
    rows = budgets.rows()
    held = held_of(rules, rows)
    counted = recount(rules, calls_between(budgets.ledger, rules, None, None), budgets.worst)
    if budgets.ledger.as_of()["as_of"] != as_of:  # published anew in between: once more, from one state
        return verify(budgets, rules)
    state = budgets.ledger(_OLDEST, {}).to_pylist()[0]
    left_out: dict[str, int] = {}
    is_cut = rows.num_rows >= PUBLISHED_COUNTERS
    oldest_ns = (state["oldest"] - _EPOCH) // timedelta(microseconds=1) * 1000 if state["oldest"] else time.time_ns()
    gone = bool(state["expired_spans"] or state["missing_spans"])
    compared: dict[str, dict[CounterKey, Spent]] = {}
    for rule in rules:
        keys = held[rule.name].keys() | counted[rule.name].keys()
        mine = compared[rule.name] = {}
        for key in keys:
            why = _why_not(rule, key, key in held[rule.name], is_cut, oldest_ns if gone else None)
            if why is None:
                mine[key] = counted[rule.name].get(key, Spent())
            elif why:
                left_out[why] = left_out.get(why, 0) + 1
    total = sum(len(each) for each in compared.values())
    ours = {name: {key: held[name].get(key, Spent()) for key in each} for name, each in compared.items()}
    return Verified(total, differences(ours, compared), left_out)


def _why_not(rule: Rule, key: CounterKey, is_held: bool, is_cut: bool, oldest_ns: int | None) -> str | None:
    """Why a counter cannot be compared; None: it can; empty: nobody has to know."""
    window = rule.window
    counts_since_ns = time.time_ns() - window.rolling_ns + bucket_ns(window)
    if window.kind is WindowKind.ROLLING and key.window_start_ns <= counts_since_ns:
        return ""  # a bucket that counts no more, or only until just now
    if is_cut and not is_held:
        return "older than what the published file has of counters"
    if oldest_ns is not None and key.window_start_ns < oldest_ns:
        return "of windows whose calls have expired, or are missing"
    return None


def _as_json(budgets: Budgets, rules: Sequence[Rule], found: Verified) -> dict[str, Any]:
    units = {rule.name: rule.unit for rule in rules}
    return {
        **budgets.ledger.as_of(),
        "rules": [rule.name for rule in rules],
        "compared_counters": found.compared,
        "left_out": dict(found.left_out),
        "differences": [
            {
                "rule": each.key.rule,
                "org": each.key.org_id,
                "scope_value": each.key.scope_value,
                "window_start_ns": each.key.window_start_ns,
                "unit": str(units[each.key.rule]),
                "held": _spent(each.held),
                "counted": _spent(each.counted),
            }
            for each in found.differences
        ],
    }


def _spent(spent: Spent) -> dict[str, Any]:
    cost = as_text(spent.cost_pico_usd, Unit.USD)
    return {"cost_usd": cost, "tokens": spent.tokens, "calls": spent.calls, "unpriced_calls": spent.unpriced_calls}


def _print(found: Verified, rules: Mapping[str, Rule]) -> None:
    out = console()
    each = found.differences[:SHOWN_ROWS]
    if each:
        units = [rules[one.key.rule].unit for one in each]
        columns = [
            Column("budget", [one.key.rule for one in each], left=True, least=12),
            Column("for", [printable(one.key.scope_value) for one in each], left=True, least=12),
            Column("window", [_window(rules[one.key.rule], one.key) for one in each], rank=1, left=True, least=16),
            Column("counter", [shown(one.held.of(unit), unit) for one, unit in zip(each, units, strict=True)]),
            Column("calls say", [shown(one.counted.of(unit), unit) for one, unit in zip(each, units, strict=True)]),
            Column("counted calls", [f"{one.held.calls:,}" for one in each], rank=2),
            Column("calls", [f"{one.counted.calls:,}" for one in each], rank=2),
        ]
        print_table(out, columns)
    for why, count in found.left_out.items():
        out.print(Text(f"{count:,} counters {why}: not compared", style="yellow"))
    out.print(Text(f"{len(found.differences):,} differences in {found.compared:,} counters of {len(rules)} budgets"))


def _window(rule: Rule, key: CounterKey) -> str:
    return local_time(key.window_start_ns, rule.window.time_zone) if key.window_start_ns else str(rule.window.kind)
