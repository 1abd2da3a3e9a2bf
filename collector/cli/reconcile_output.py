"""A reconciliation for people, and the same for scripts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from rich.console import Console
from rich.text import Text

from collector.analysis.reconcile import SAYS, Cause, Part, Parts, Reconciliation, Row
from collector.analysis.reconcile_bill import WIDE, Bill
from collector.analysis.reconcile_cells import Sides
from collector.cli.amounts import MIN_DECIMALS, count, decimals_for, exact, percent, usd
from collector.cli.table import Column, print_table, printable

_LEDGER_COUNTS = (
    *("calls", "unpriced_calls", "partial_calls", "estimated_calls", "missing_usage_calls", "aborted_calls"),
    *("input_tokens", "output_tokens"),
)
_BILL_COUNTS = ("requests", "input_tokens", "output_tokens")


@dataclass(frozen=True, slots=True)
class Shown:
    """What is shown: the result, and what it is of."""

    found: Reconciliation
    bill: Bill
    sides: Sides
    by: tuple[str, ...]
    first: date
    last: date


def digits(amount: Decimal) -> str:
    """All digits of an exact amount, at least two decimals, no exponent: a bill may have more than twelve."""
    whole, _, fraction = f"{WIDE.normalize(amount or Decimal(0)):f}".partition(".")
    return f"{whole}.{fraction.ljust(MIN_DECIMALS, '0')}"


def difference_of(row: Row) -> Decimal:
    """Bill less ledger, where the bill has amounts; a side that has nothing is 0."""
    return WIDE.subtract(row.bill_usd or Decimal(0), row.ledger_usd)


def print_reconciliation(out: Console, shown: Shown) -> None:
    """The rows, then all causes together, then what was not compared."""
    what = "costs" if shown.found.has_amounts else "usage"
    title = f"Bill ({shown.bill.format}, {what}) and ledger, {shown.first} to {shown.last}"
    out.print(Text(title, style="bold"))
    if shown.found.has_amounts:
        _print_costs(out, shown)
        _print_causes(out, shown.found.total.parts)
    else:
        _print_usage(out, shown)
    for note in _notes(shown):
        out.print(Text(note, style="yellow"))


def _labels(shown: Shown) -> list[Column]:
    columns = []
    for place, name in enumerate(shown.by):
        cells = ["-" if values[place] is None else printable(str(values[place])) for values, _ in shown.found.rows]
        columns.append(Column(name, cells, ("total" if place == 0 else "",), left=True, least=10))
    return columns


def _print_costs(out: Console, shown: Shown) -> None:
    rows, total = [row for _, row in shown.found.rows], shown.found.total
    every = [*rows, total]
    billed, booked = [row.bill_usd for row in every], [row.ledger_usd for row in every]
    gaps = [difference_of(row) for row in every]
    decimals = decimals_for([*billed, *booked])

    def column(title: str, texts: list[str], rank: int = 0) -> Column:
        return Column(title, texts[:-1], texts[-1:], rank)

    print_table(
        out,
        [
            *_labels(shown),
            column("bill", ["-" if amount is None else usd(amount, decimals) for amount in billed]),
            column("ledger", [usd(amount, decimals) for amount in booked]),
            column("difference", [usd(gap, decimals) for gap in gaps]),
            column("calls", [count(row.ledger_sum("calls")) for row in every], 2),
            Column("why", [_why(row.parts, decimals) for row in rows], ("",), 1, left=True, least=24),
        ],
    )


def _why(parts: Parts, decimals: int) -> str:
    """The causes, the largest first; one alone needs no amount."""
    ordered = sorted(parts.items(), key=lambda each: abs(each[1].amount_usd or Decimal(0)), reverse=True)
    said = []
    for cause, part in ordered:
        amount = f" {usd(part.amount_usd, decimals)}" if len(ordered) > 1 and part.amount_usd is not None else ""
        said.append(f"{cause.value}{_detail(part)}{amount}")
    return ", ".join(said)


def _detail(part: Part) -> str:
    if part.ratio is not None:
        return f" x{part.ratio.normalize():f}"
    return f" ({count(part.calls)})" if part.calls else ""


def _print_causes(out: Console, parts: Parts) -> None:
    if not parts:
        out.print(Text("bill and ledger agree", style="green"))
        return
    ordered = [(cause, parts[cause]) for cause in Cause if cause in parts]
    amounts = [part.amount_usd or Decimal(0) for _, part in ordered]
    decimals = decimals_for(amounts)
    total = WIDE.create_decimal(0)
    for amount in amounts:
        total = WIDE.add(total, amount)
    print_table(
        out,
        [
            Column("cause", [cause.value for cause, _ in ordered], ("difference",), left=True, least=16),
            Column("amount", [_about(part, decimals) for _, part in ordered], (usd(total, decimals),)),
            Column("calls", [count(part.calls) if part.calls else "-" for _, part in ordered], ("",), 2),
            Column("of what was said", [_ratio(part) for _, part in ordered], ("",), 3),
            Column("which is", [SAYS[cause] for cause, _ in ordered], ("",), 1, left=True, least=24),
        ],
    )


def _about(part: Part, decimals: int) -> str:
    text = usd(part.amount_usd, decimals)
    return f"about {text}" if part.estimated else text


def _ratio(part: Part) -> str:
    return "-" if part.ratio is None else percent(part.ratio, 2)


def _print_usage(out: Console, shown: Shown) -> None:
    every = [*(row for _, row in shown.found.rows), shown.found.total]

    def column(title: str, numbers: Sequence[int | None], rank: int = 0) -> Column:
        texts = [count(number) for number in numbers]
        return Column(title, texts[:-1], texts[-1:], rank)

    columns = _labels(shown)
    for name, title in (("input_tokens", "in"), ("output_tokens", "out")):
        columns.append(column(f"bill {title}", [row.bill_sum(name) for row in every]))
        columns.append(column(f"ledger {title}", [row.ledger_sum(name) for row in every]))
    columns.append(column("bill requests", [row.bill_sum("requests") for row in every], 3))
    columns.append(column("ledger calls", [row.ledger_sum("calls") for row in every], 2))
    why = [_why(row.parts, MIN_DECIMALS) for row in every]
    columns.append(Column("why", why[:-1], ("",), 1, left=True, least=24))
    print_table(out, columns)


def _notes(shown: Shown) -> list[str]:
    sides = shown.sides
    notes = []
    if shown.bill.goes_on:
        notes.append("the last page says has_more: the bill goes on, fetch the next pages and give them too")
    if not sides.says_models:
        notes.append(
            "the bill says no models, so days are compared as a whole: group the export by line item or description"
        )
    if sides.outside_lines:
        notes.append(f"{count(sides.outside_lines)} lines of the bill are of other days")
    if sides.other_providers_calls:
        cost = usd(sides.other_providers_usd, decimals_for([sides.other_providers_usd]))
        notes.append(f"{count(sides.other_providers_calls)} calls ({cost}) of other providers are not on this bill")
    if any(part.estimated for part in shown.found.total.parts.values()):
        notes.append("about: shared out by what a call or a token costs on average; the sum is exact")
    return notes


def as_json(shown: Shown) -> dict[str, Any]:
    """The documented shape (docs/reconcile.md): money as decimal text, counts as numbers, unknown as null."""
    sides = shown.sides
    return {
        "format": shown.bill.format,
        "first_day": shown.first.isoformat(),
        "last_day": shown.last.isoformat(),
        "by": list(shown.by),
        "bill_has_amounts": shown.found.has_amounts,
        "bill_says_models": sides.says_models,
        "bill_goes_on": shown.bill.goes_on,
        "bill_lines_of_other_days": sides.outside_lines,
        "calls_of_other_providers": sides.other_providers_calls,
        "cost_of_other_providers_usd": exact(sides.other_providers_usd),
        "rows": [_json_row(shown, row, values) for values, row in shown.found.rows],
        "total": _json_row(shown, shown.found.total, ()),
    }


def _json_row(shown: Shown, row: Row, values: tuple[object, ...]) -> dict[str, Any]:
    gap = difference_of(row) if shown.found.has_amounts else None
    return {
        **{
            name: value.isoformat() if isinstance(value, date) else value
            for name, value in zip(shown.by, values, strict=False)
        },
        "bill_usd": None if row.bill_usd is None else digits(row.bill_usd),
        "ledger_usd": digits(row.ledger_usd),
        "difference_usd": None if gap is None else digits(gap),
        "causes": [_json_part(cause, row.parts[cause]) for cause in Cause if cause in row.parts],
        "bill": {name: row.bill_sum(name) for name in _BILL_COUNTS},
        "ledger": {name: row.ledger_sum(name) for name in _LEDGER_COUNTS},
    }


def _json_part(cause: Cause, part: Part) -> dict[str, Any]:
    return {
        "cause": cause.value,
        "amount_usd": None if part.amount_usd is None else digits(part.amount_usd),
        "calls": part.calls,
        "estimated": part.estimated,
        "ratio": None if part.ratio is None else digits(part.ratio),
    }
