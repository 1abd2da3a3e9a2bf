"""What a change of prices does to recent spend: stored calls, priced by both cards with the rules of ingestion."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from collector.cli.ledger import Ledger
from collector.repricing import PriceAgain
from collector.store.statements import query
from otel_cost.pricing import RateCard
from otel_cost.pricing.overrides import Cards, Overrides

CALLS_AT_A_TIME = 100_000
"""Of the ledger: their columns take about a kilobyte each while they are priced by two cards."""


@dataclass(slots=True)
class Amounts:
    """Calls of a model: what each card makes of them in pico-USD, and how many have no price by it."""

    calls: int = 0
    old_pico_usd: int = 0
    new_pico_usd: int = 0
    old_unpriced: int = 0
    new_unpriced: int = 0

    def add(self, other: Amounts) -> None:
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    @property
    def changed(self) -> bool:
        return self.old_pico_usd != self.new_pico_usd or self.old_unpriced != self.new_unpriced


@dataclass(frozen=True, slots=True)
class Spend:
    """Counted calls since `since`, by model as the new card (else the old one, else the span) calls it."""

    since: datetime
    until: datetime
    models: dict[str, Amounts] = field(default_factory=dict)

    @property
    def total(self) -> Amounts:
        total = Amounts()
        for amounts in self.models.values():
            total.add(amounts)
        return total


def spend_by(path: Path, old: RateCard, new: RateCard, overrides: Overrides, days: int) -> Spend:
    """Price the counted calls of the last days by two cards, with the same overrides over both.

    Raises:
        click.ClickException: there is no ledger, or it cannot answer.
    """
    ledger = Ledger(path)
    until = datetime.now(UTC).replace(tzinfo=None)
    spend = Spend(until - timedelta(days=days), until)
    prices = (PriceAgain(Cards(old, overrides)), PriceAgain(Cards(new, overrides)))
    sql = query("calls_to_price").format(columns=", ".join(f'"{name}"' for name in prices[0].columns))
    for since, end in _parts(ledger, spend):
        _add(spend.models, ledger(sql, {"since": since, "until": end}), prices)
    return spend


def _parts(ledger: Ledger, spend: Spend) -> Iterator[tuple[datetime, datetime]]:
    """Periods of whole hours that hold so many calls as are read at a time, or one hour that holds more."""
    hours = ledger(query("calls_by_hour"), {"since": spend.since, "until": spend.until}).to_pylist()
    start, held = spend.since, 0
    for each in hours:
        if held and held + each["calls"] > CALLS_AT_A_TIME:
            yield start, each["hour"]
            start, held = each["hour"], 0
        held += each["calls"]
    if held:
        yield start, spend.until


def _add(models: dict[str, Amounts], rows: pa.Table, prices: tuple[PriceAgain, PriceAgain]) -> None:
    old, new = (price(rows) for price in prices)
    names = pc.coalesce(*(table.column("model").cast(pa.string()) for table in (new, old)), pa.scalar("(no model)"))
    facts = pa.table({"model": names, "old": old.column("cost_pico_usd"), "new": new.column("cost_pico_usd")})
    nulls = pc.CountOptions(mode="only_null")
    grouped = facts.group_by("model").aggregate(
        [([], "count_all"), ("old", "sum"), ("new", "sum"), ("old", "count", nulls), ("new", "count", nulls)]
    )
    for model, calls, *figures in zip(*(column.to_pylist() for column in _columns(grouped)), strict=True):
        models.setdefault(model, Amounts()).add(Amounts(calls, *(figure or 0 for figure in figures)))


def _columns(grouped: pa.Table) -> list[pa.ChunkedArray]:
    order = ("model", "count_all", "old_sum", "new_sum", "old_count", "new_count")
    return [grouped.column(name) for name in order]


def usd(pico_usd: int) -> Decimal:
    """Exact dollars."""
    return Decimal(pico_usd).scaleb(-12) if pico_usd else Decimal(0)


def as_json(spend: Spend) -> dict[str, Any]:
    """Money as exact decimal text; only models whose figures change are listed."""
    changed = {model: amounts for model, amounts in sorted(spend.models.items()) if amounts.changed}
    return {
        "since": spend.since.replace(tzinfo=UTC).isoformat(),
        "until": spend.until.replace(tzinfo=UTC).isoformat(),
        "total": _amounts_json(spend.total),
        "models": [{"model": model, **_amounts_json(amounts)} for model, amounts in changed.items()],
    }


def _amounts_json(amounts: Amounts) -> dict[str, Any]:
    old, new = usd(amounts.old_pico_usd), usd(amounts.new_pico_usd)
    return {
        "calls": amounts.calls,
        "old_usd": f"{old:f}",
        "new_usd": f"{new:f}",
        "difference_usd": f"{usd(amounts.new_pico_usd - amounts.old_pico_usd):f}",
        "old_unpriced_calls": amounts.old_unpriced,
        "new_unpriced_calls": amounts.new_unpriced,
    }
