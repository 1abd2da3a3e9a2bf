"""What a price run changes, and the list of runs, for people."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
from rich.console import Console
from rich.text import Text

from collector.cli.amounts import count, decimals_for, exact, short_count, usd
from collector.cli.table import Column, print_table, printable

SHOWN_ROWS = 20
_TITLES = {"model": "by model", "day": "by day (UTC)", "customer": "by customer"}


def print_answer(out: Console, answer: dict[str, Any]) -> None:
    """The tables of a dry run, a run or an undone run, and a sentence that says what it is."""
    total = answer["total"]
    if not total["calls"] and not answer["archived_spans"]:
        out.print("No calls there that could be priced again.")
        return
    for dimension, title in _TITLES.items() if total["changed_calls"] else ():
        print_changes(out, title, answer[dimension], total)
        out.print()
    for line in _statuses(answer["status"]):
        out.print(printable(line), markup=False, highlight=False)
    if answer["archived_spans"]:
        note = f"{count(answer['archived_spans'])} spans lie in archived files that may hold such calls: they stay"
        out.print(Text(note, style="yellow"))
    out.print(Text(_sentence(answer), style="bold"), soft_wrap=True)


def print_changes(out: Console, title: str, lines: Sequence[dict[str, Any]], total: dict[str, Any]) -> None:
    """One dimension: what changes most comes first; what does not change at all is one row."""
    shown = [line for line in lines if line["changed_calls"]][:SHOWN_ROWS]
    names = [_name(line) for line in shown]
    if rest := [line for line in lines if line not in shown]:
        names.append(f"other ({sum(line.get('others', 1) for line in rest):,} more)")
        shown.append(_rest(rest))
    out.print(Text(title, style="bold"))
    columns = [Column(title.split()[1], names, ["total"], left=True)]
    for head, key in (("before", "before_usd"), ("after", "after_usd"), ("delta", "delta_usd")):
        amounts = [Decimal(line[key]) for line in (*shown, total)]
        decimals = decimals_for(amounts)
        texts = [usd(amount, decimals) for amount in amounts]
        columns.append(Column(head, texts[:-1], texts[-1:], 0))
    for rank, (head, key) in enumerate(
        (
            ("calls", "calls"),
            ("changed", "changed_calls"),
            ("unpriced before", "unpriced_before"),
            ("after", "unpriced_after"),
        ),
        1,
    ):
        texts = [short_count(line[key]) for line in (*shown, total)]
        columns.append(Column(head, texts[:-1], texts[-1:], rank))
    print_table(out, columns)


def _name(line: dict[str, Any]) -> str:
    if "others" in line:
        return f"other ({line['others']:,} more)"
    keys = [key for key in ("provider", "model", "day", "customer") if key in line]
    said = [printable(line[key]) if line[key] is not None else f"(no {key})" for key in keys]
    return " ".join(said)


def _rest(lines: Sequence[dict[str, Any]]) -> dict[str, Any]:
    amounts = ("before_usd", "after_usd", "delta_usd")
    counts = ("calls", "changed_calls", "unpriced_before", "unpriced_after")
    return {
        **{key: sum((Decimal(line[key]) for line in lines), Decimal(0)) for key in amounts},
        **{key: sum(line[key] for line in lines) for key in counts},
    }


def _statuses(lines: Sequence[dict[str, Any]]) -> list[str]:
    """Calls whose status changes, such as from unpriced to priced."""
    return [
        f"{count(line['calls'])} calls: {line['status_before']} -> {line['status_after']}"
        for line in lines
        if line["status_before"] != line["status_after"]
    ]


def _sentence(answer: dict[str, Any]) -> str:
    total = answer["total"]
    change = f"{count(total['changed_calls'])} of {count(total['calls'])} calls, {_signed(Decimal(total['delta_usd']))}"
    if answer["action"] == "dry-run":
        return f"By card {answer['card']}: {change}. Nothing was changed; --apply does it."
    if answer["action"] == "undo":
        return f"{answer['name']} is undone: {change}."
    if answer["name"] is None:
        return f"By card {answer['card']} every call is what it was: nothing to do."
    return (
        f"{answer['name']}: {change}, by card {answer['card']}. Take it back: otel-cost reprice undo {answer['name']}"
    )


def _signed(amount: Decimal) -> str:
    return f"{'-' if amount < 0 else '+'}{exact(abs(amount))} USD"


def as_runs(table: pa.Table) -> list[dict[str, Any]]:
    """Price runs as JSON: money as exact text, times as ISO 8601 in UTC."""
    return [{key: _json(value) for key, value in run.items() if key != "batch"} for run in table.to_pylist()]


def _json(value: Any) -> Any:
    if isinstance(value, Decimal):
        return exact(value)
    return f"{value.isoformat()}Z" if isinstance(value, datetime) else value


def print_runs(out: Console, runs: Sequence[dict[str, Any]]) -> None:
    """One row per run."""
    if not runs:
        out.print("No price runs: every call has the price it was stored with.")
        return
    state = [f"undone {run['undone_at'][:16]}" if run["undone_at"] else "in force" for run in runs]
    columns = [
        Column("run", [printable(run["name"]) for run in runs], left=True),
        Column("applied (UTC)", [run["applied_at"][:16] for run in runs], rank=1),
        Column("by", [printable(run["applied_by"]) for run in runs], rank=5, left=True),
        Column("card", [run["card"] for run in runs], rank=3),
        Column("calls", [short_count(run["calls"]) for run in runs], rank=4),
        Column("changed", [short_count(run["changed_calls"]) for run in runs], rank=2),
        Column("delta USD", [run["delta_usd"] for run in runs]),
        Column("state", state, left=True),
    ]
    print_table(out, columns)
