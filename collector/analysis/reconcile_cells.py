"""A bill and the ledger side by side: sums by day, provider and model, under one name of each model."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple

from collector.analysis.reconcile_bill import INPUT, OUTPUT, WIDE, Bill, BillLine
from otel_cost.pricing.card import RateCard
from otel_cost.pricing.match import resolve
from otel_cost.pricing.providers import canonical_provider

ZERO = Decimal(0)


class Key(NamedTuple):
    """What is compared with what. `provider` None: the bill is of all; `model` None: a line without one, or of all."""

    day: date
    provider: str | None
    model: str | None


@dataclass(slots=True)
class Billed:
    """Lines of a bill. Amounts and counts are None where no line has any."""

    lines: int = 0
    amount_usd: Decimal | None = None
    list_usd: Decimal | None = None  # of lines without a list price, what they cost
    input_usd: Decimal | None = None  # of the lines for input alone
    output_usd: Decimal | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    requests: int | None = None

    def add(self, line: BillLine, counted: bool) -> None:
        """`counted`: whether the line's counts are to be added, not only its amount."""
        if line.amount_usd is not None:
            self.lines += 1
            self.amount_usd = _plus(self.amount_usd, line.amount_usd)
            before = line.amount_usd if line.list_usd is None else line.list_usd
            self.list_usd = _plus(self.list_usd, before)
            if line.side == INPUT:
                self.input_usd = _plus(self.input_usd, line.amount_usd)
            elif line.side == OUTPUT:
                self.output_usd = _plus(self.output_usd, line.amount_usd)
        if counted:
            for name in ("input_tokens", "output_tokens", "requests"):
                count = getattr(line, name)
                if count is not None:
                    setattr(self, name, (getattr(self, name) or 0) + count)


def _plus(sum_: Decimal | None, more: Decimal) -> Decimal:
    return more if sum_ is None else WIDE.add(sum_, more)


@dataclass(slots=True)
class Booked:
    """Calls of the ledger: what they cost, and why that may not be all."""

    calls: int = 0
    cost_usd: Decimal = ZERO
    unpriced_calls: int = 0  # have usage and no price
    partial_calls: int = 0  # a class of their tokens has no price
    estimated_calls: int = 0  # their tokens are an estimate
    missing_usage_calls: int = 0  # succeeded, and say nothing of their usage
    aborted_calls: int = 0  # failed, and say nothing of their usage
    input_tokens: int = 0
    output_tokens: int = 0

    def add(self, line: dict[str, Any]) -> None:
        for name in self.__slots__:
            if name != "cost_usd":
                setattr(self, name, getattr(self, name) + line[name])
        self.cost_usd = WIDE.add(self.cost_usd, line["cost_usd"])

    @property
    def priced_calls(self) -> int:
        """Calls whose cost is known, in full."""
        unknown: int = sum(getattr(self, name) for name in _NOT_KNOWN)
        return self.calls - unknown

    @property
    def known(self) -> bool:
        """Whether the cost is that of all calls but those that failed."""
        return self.calls - self.aborted_calls == self.priced_calls


_NOT_KNOWN = ("unpriced_calls", "partial_calls", "estimated_calls", "missing_usage_calls", "aborted_calls")


@dataclass(slots=True)
class Cell:
    """Both sides of a key; None: that side has nothing."""

    bill: Billed | None = None
    ledger: Booked | None = None


@dataclass(slots=True)
class Sides:
    """Everything that is compared, and what is not."""

    cells: dict[Key, Cell] = field(default_factory=dict)
    outside_lines: int = 0  # of the bill, on other days than those asked for
    other_providers_calls: int = 0  # of the ledger, that this bill is not about
    other_providers_usd: Decimal = ZERO
    says_models: bool = True


def sides(bill: Bill, ledger: Iterable[dict[str, Any]], card: RateCard, first: date, last: date) -> Sides:
    """Put lines of a bill beside lines of the ledger (`reconcile_ledger.sql`), both from `first` to `last` day.

    Models go by the name of the card, else by the name that was said. Where no line with an amount has a model, days
    are compared as a whole. Where a usage report is there as well, counts are its, not those of cost lines.
    """
    found = Sides()
    money = [line for line in bill.lines if line.amount_usd is not None]
    found.says_models = any(line.model for line in money or bill.lines)
    usage_days = {(line.day, line.provider) for line in bill.lines if line.amount_usd is None}
    providers = {line.provider for line in bill.lines} or {bill.format if bill.format != "csv" else None}
    names = Names(card)
    for line in bill.lines:
        if not first <= line.day <= last:
            found.outside_lines += 1
            continue
        model = names.model(line.provider, line.model) if line.model and found.says_models else None
        cell = found.cells.setdefault(Key(line.day, line.provider, model), Cell())
        cell.bill = cell.bill or Billed()
        cell.bill.add(line, line.amount_usd is None or (line.day, line.provider) not in usage_days)
    for said in ledger:
        provider, model = names.of_call(said)
        if None in providers:
            provider = None
        elif provider not in providers:
            found.other_providers_calls += said["calls"]
            found.other_providers_usd = WIDE.add(found.other_providers_usd, said["cost_usd"])
            continue
        cell = found.cells.setdefault(Key(said["day"], provider, model if found.says_models else None), Cell())
        cell.ledger = cell.ledger or Booked()
        cell.ledger.add(said)
    return found


class Names:
    """One name for each model, however it is called: `gpt-4o-2024-08-06`, `GPT-4o`, `Claude Sonnet 4.5`."""

    def __init__(self, card: RateCard) -> None:
        self._card = card

    def model(self, provider: str | None, said: str) -> str:
        """The card's name of a model that a bill names, else what the bill says, in small letters."""
        name = "-".join(said.lower().split())
        if name.startswith("ft-"):  # as OpenAI's bill writes what the API calls ft:BASE:org::id
            name = f"ft:{name[3:]}"
        found = resolve(self._card, provider, name, None).model
        return found.model if found is not None else name

    def of_call(self, said: dict[str, Any]) -> tuple[str | None, str | None]:
        """Who bills a call, and the name of its model."""
        provider, request, response = said["provider"], said["request_model"], said["response_model"]
        found = resolve(self._card, provider, request, response).model
        billed_by = canonical_provider(provider.lower()) if provider else None
        name = response or request or said["model"]
        return (
            billed_by or (found.provider if found is not None else None) or provider,
            found.model if found is not None else (name.lower() if name else None),
        )
