"""Why a bill and the ledger differ: every difference is taken apart into named causes that add up to it exactly."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

from collector.analysis.reconcile_bill import WIDE, Bill
from collector.analysis.reconcile_cells import ZERO, Billed, Booked, Cell, Key, Sides

PICO = Decimal("1e-12")
LEAST_DAYS = 2
"""Days on which a model's bill must be the same part of the ledger, to be called a discount and no coincidence."""


class Cause(StrEnum):
    """Why the bill says something else than the ledger (docs/reconcile.md)."""

    UNPRICED = "unpriced"
    PARTIAL = "partial"
    ESTIMATED = "estimated"
    MISSING_USAGE = "missing_usage"
    ABORTED = "aborted"
    DISCOUNT = "discount"
    SURCHARGE = "surcharge"
    BILL_ONLY = "bill_only"
    NO_MODEL = "no_model"
    LEDGER_ONLY = "ledger_only"
    PRICE = "price_difference"
    UNEXPLAINED = "unexplained"
    ROUNDING = "rounding"


_CALLS = {
    Cause.UNPRICED: "unpriced_calls",
    Cause.PARTIAL: "partial_calls",
    Cause.ESTIMATED: "estimated_calls",
    Cause.MISSING_USAGE: "missing_usage_calls",
    Cause.ABORTED: "aborted_calls",
}
_SILENT = (Cause.MISSING_USAGE, Cause.ABORTED)
"""Causes whose tokens are on the bill and not in the ledger."""

_COUNTED = tuple(cause for cause in _CALLS if cause not in _SILENT)


@dataclass(slots=True)
class Part:
    """What one cause makes of a difference. `amount_usd` None: the bill has no amounts."""

    amount_usd: Decimal | None
    calls: int = 0  # of the ledger, or requests that only the bill has
    estimated: bool = False  # shared out by the average cost of a call or a token
    ratios: frozenset[Decimal] = frozenset()  # of discounts: what is paid of what the ledger says

    @property
    def ratio(self) -> Decimal | None:
        """The ratio, if it is one."""
        return next(iter(self.ratios)) if len(self.ratios) == 1 else None

    def add(self, other: Part) -> None:
        if other.amount_usd is not None:
            self.amount_usd = WIDE.add(self.amount_usd or ZERO, other.amount_usd)
        self.calls += other.calls
        self.estimated = self.estimated or other.estimated
        self.ratios |= other.ratios


Parts = dict[Cause, Part]


@dataclass(slots=True)
class Row:
    """Some cells together. The parts add up to the difference exactly."""

    cells: list[tuple[Key, Cell]] = field(default_factory=list)
    parts: Parts = field(default_factory=dict)

    @property
    def bill_usd(self) -> Decimal | None:
        amounts = [cell.bill.amount_usd for _, cell in self.cells if cell.bill and cell.bill.amount_usd is not None]
        return _sum(amounts) if amounts else None

    @property
    def ledger_usd(self) -> Decimal:
        return _sum(cell.ledger.cost_usd for _, cell in self.cells if cell.ledger)

    def bill_sum(self, name: str) -> int | None:
        """Counts of the bill; None where it has none."""
        found = [getattr(cell.bill, name) for _, cell in self.cells if cell.bill]
        return sum(count or 0 for count in found) if any(count is not None for count in found) else None

    def ledger_sum(self, name: str) -> int:
        return sum(getattr(cell.ledger, name) for _, cell in self.cells if cell.ledger)


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """Rows in order, and all of them together."""

    rows: tuple[tuple[tuple[object, ...], Row], ...]  # (values of `by`, row)
    total: Row
    has_amounts: bool


def _sum(amounts: Iterable[Decimal]) -> Decimal:
    total = ZERO
    for amount in amounts:
        total = WIDE.add(total, amount)
    return total


def reconcile(bill: Bill, found: Sides, by: Sequence[str] = ("day", "model")) -> Reconciliation:
    """Take every difference apart, by day and model, and add the parts up by the fields of `Key` in `by`."""
    has_amounts = any(line.amount_usd is not None for line in bill.lines)
    step = PICO.max(Decimal(1).scaleb(-max(2, bill.decimals)))
    terms = _terms(found.cells, step)
    rows: dict[tuple[object, ...], Row] = {}
    total = Row()
    for key in sorted(found.cells, key=lambda key: tuple(("" if value is None else str(value)) for value in key)):
        cell = found.cells[key]
        if has_amounts:
            parts = _Gap(
                cell, _tolerance(cell, step), terms.get(key[1:], _Terms()), found.says_models and key.model is None
            ).parts
        else:
            parts = _gap_of_counts(cell)
        values = tuple(getattr(key, name) for name in by)
        for row in (rows.setdefault(values, Row()), total):
            row.cells.append((key, cell))
            for cause, part in parts.items():
                row.parts.setdefault(cause, Part(None)).add(part)
    return Reconciliation(tuple(rows.items()), total, has_amounts)


def _tolerance(cell: Cell, step: Decimal) -> Decimal:
    """What rounding can make: half a step per line of the bill, half a pico-dollar per call."""
    lines = cell.bill.lines if cell.bill else 0
    calls = cell.ledger.calls if cell.ledger else 0
    return (lines * step + calls * PICO) / 2


def _same_usage(bill: Billed, ledger: Booked) -> bool | None:
    """Whether both count the same tokens; None if the bill counts none."""
    if bill.input_tokens is None or bill.output_tokens is None:
        return None
    return (bill.input_tokens, bill.output_tokens) == (ledger.input_tokens, ledger.output_tokens)


@dataclass(frozen=True, slots=True)
class _Terms:
    """How a model's bill relates to the ledger on days on which the ledger knows the whole cost."""

    ratio: Fraction | None = None  # the same on all those days
    contract_known: bool = False  # the ledger is nearer to what was paid than to the bill's list prices


def _terms(cells: Mapping[Key, Cell], step: Decimal) -> dict[tuple[str | None, str | None], _Terms]:
    series: dict[tuple[str | None, str | None], list[tuple[Billed, Booked, Decimal]]] = {}
    for key, cell in cells.items():
        bill, ledger = cell.bill, cell.ledger
        if bill is None or ledger is None or bill.amount_usd is None or not ledger.cost_usd or not ledger.known:
            continue
        if _same_usage(bill, ledger) is not False:
            series.setdefault(key[1:], []).append((bill, ledger, _tolerance(cell, step)))
    return {name: _terms_of(days) for name, days in series.items()}


def _terms_of(days: Sequence[tuple[Billed, Booked, Decimal]]) -> _Terms:
    paid = [(bill.amount_usd or ZERO, ledger.cost_usd, slack) for bill, ledger, slack in days]
    off_paid = sum(abs(amount - cost) for amount, cost, _ in paid)
    off_list = sum(abs((bill.list_usd or ZERO) - ledger.cost_usd) for bill, ledger, _ in days)
    return _Terms(_constant(paid), off_paid <= off_list)


def _constant(days: Sequence[tuple[Decimal, Decimal, Decimal]]) -> Fraction | None:
    """The ratio of bill to ledger, if it is the same on days enough on which the two differ."""
    ratio = Fraction(sum(Fraction(paid) for paid, _, _ in days)) / sum(Fraction(said) for _, said, _ in days)
    telling = [day for day in days if abs(day[0] - day[1]) > day[2]]
    even = all(abs(Fraction(paid) - ratio * Fraction(said)) <= 2 * Fraction(slack) for paid, said, slack in days)
    return ratio if even and ratio > 0 and len(telling) >= LEAST_DAYS else None


class _Gap:
    """One cell's difference, taken apart step by step; what is left of it is in `_rest`."""

    def __init__(self, cell: Cell, tolerance: Decimal, terms: _Terms, without_model: bool) -> None:
        self.parts: Parts = {}
        self._bill, self._ledger, self._tolerance = cell.bill or Billed(), cell.ledger or Booked(), tolerance
        paid = self._bill.amount_usd or ZERO
        self._rest = WIDE.subtract(paid, self._ledger.cost_usd)
        if cell.bill is None:
            self._take(Cause.LEDGER_ONLY, self._rest, self._ledger.calls)
        elif cell.ledger is None:
            self._take(Cause.NO_MODEL if without_model else Cause.BILL_ONLY, self._rest, self._bill.requests or 0)
        elif not self._rounding():
            self._discount(paid, terms)
            if not self._rounding():
                self._usage()
                self._rest_of_calls(_CALLS if self._same is None else _COUNTED)
                if not self._rounding():
                    self._take(Cause.UNEXPLAINED if self._same is None else Cause.PRICE, self._rest)

    @property
    def _same(self) -> bool | None:
        return _same_usage(self._bill, self._ledger)

    def _take(self, cause: Cause, amount: Decimal, calls: int = 0, *, estimated: bool = False) -> None:
        if amount or calls:
            self.parts.setdefault(cause, Part(ZERO)).add(Part(amount, calls, estimated))
        self._rest = WIDE.subtract(self._rest, amount)

    def _rounding(self) -> bool:
        """Whether what is left is no more than rounding."""
        if abs(self._rest) > self._tolerance:
            return False
        self._take(Cause.ROUNDING, self._rest)
        return True

    def _discount(self, paid: Decimal, terms: _Terms) -> None:
        before = self._bill.list_usd
        if before and before != paid and not terms.contract_known:
            self._reduce(Cause.DISCOUNT, WIDE.subtract(paid, before), Fraction(paid) / Fraction(before))
        elif terms.ratio is not None:
            cause = Cause.DISCOUNT if terms.ratio < 1 else Cause.SURCHARGE
            self._reduce(cause, _rounded((terms.ratio - 1) * Fraction(self._ledger.cost_usd)), terms.ratio)

    def _reduce(self, cause: Cause, amount: Decimal, ratio: Fraction) -> None:
        self._take(cause, amount)
        if cause in self.parts:
            self.parts[cause].ratios = frozenset({_rounded(ratio)})

    def _usage(self) -> None:
        """Tokens that one side has and the other has not, at what the bill charges for them on average."""
        if self._same is not False:
            return
        extra = self._extra_usd()
        if extra * self._rest > 0:  # averages make no more of it than there is
            extra = min(extra, self._rest, key=abs)
        if extra < 0:
            self._take(Cause.LEDGER_ONLY, extra, estimated=True)
        elif extra > 0:
            extra -= self._share_out(_SILENT, extra)
            requests = max((self._bill.requests or 0) - self._ledger.calls, 0)
            self._take(Cause.BILL_ONLY, extra, requests if extra else 0, estimated=True)

    def _extra_usd(self) -> Decimal:
        bill, ledger = self._bill, self._ledger
        tokens = ((bill.input_tokens or 0, ledger.input_tokens), (bill.output_tokens or 0, ledger.output_tokens))
        if bill.input_usd is not None and bill.output_usd is not None and all(billed for billed, _ in tokens):
            costs = (bill.input_usd, bill.output_usd)
            each = (
                Fraction(cost) * (billed - booked) / billed
                for cost, (billed, booked) in zip(costs, tokens, strict=True)
            )
            return _rounded(sum(each, Fraction(0)))
        billed, booked = (sum(side) for side in zip(*tokens, strict=True))
        return _rounded(Fraction(bill.amount_usd or ZERO) * (billed - booked) / billed) if billed else ZERO

    def _rest_of_calls(self, causes: Iterable[Cause]) -> None:
        """What the bill has more goes to calls of ours whose cost is not known."""
        if self._rest > 0:
            self._share_out(causes, self._rest)

    def _share_out(self, causes: Iterable[Cause], amount: Decimal) -> Decimal:
        """Give calls of unknown cost their part of an amount: at most what as many average calls cost. Returns it."""
        ledger = self._ledger
        counts = {cause: count for cause in causes if (count := getattr(ledger, _CALLS[cause]))}
        number = sum(counts.values())
        if not number:
            return ZERO
        most = amount
        if ledger.priced_calls > 0 and ledger.cost_usd:
            most = min(amount, _rounded(Fraction(ledger.cost_usd) * number / ledger.priced_calls))
        left, calls = most, number
        for cause, count in counts.items():
            part = left if count == calls else _rounded(Fraction(left) * count / calls)
            self._take(cause, part, count, estimated=len(counts) > 1 or ledger.priced_calls > 0)
            left, calls = WIDE.subtract(left, part), calls - count
        return most


def _rounded(value: Fraction) -> Decimal:
    """To a pico-dollar, half to even."""
    scaled = round(value * 10**12)
    return Decimal(scaled).scaleb(-12, WIDE) if scaled else ZERO


def _gap_of_counts(cell: Cell) -> Parts:
    """Causes where the bill is a usage report: only which, and how many calls."""
    bill, ledger = cell.bill, cell.ledger
    if bill is None or ledger is None:
        cause, calls = (
            (Cause.LEDGER_ONLY, ledger.calls if ledger else 0) if bill is None else (Cause.BILL_ONLY, bill.requests)
        )
        return {cause: Part(None, calls or 0)}
    if _same_usage(bill, ledger) is not False:
        return {}
    more = (bill.input_tokens or 0) + (bill.output_tokens or 0) - ledger.input_tokens - ledger.output_tokens
    if more < 0:
        return {Cause.LEDGER_ONLY: Part(None, max(ledger.calls - bill.requests, 0) if bill.requests is not None else 0)}
    parts = {cause: Part(None, count) for cause in _SILENT if (count := getattr(ledger, _CALLS[cause]))}
    requests = max(bill.requests - ledger.calls, 0) if bill.requests is not None else 0
    if requests or not parts:
        parts[Cause.BILL_ONLY] = Part(None, requests)
    return parts


SAYS: Mapping[Cause, str] = {
    Cause.UNPRICED: "calls without a price",
    Cause.PARTIAL: "calls priced in part",
    Cause.ESTIMATED: "calls with estimated tokens",
    Cause.MISSING_USAGE: "calls that say no usage",
    Cause.ABORTED: "failed or aborted calls without usage",
    Cause.DISCOUNT: "discount",
    Cause.SURCHARGE: "surcharge",
    Cause.BILL_ONLY: "only on the bill: not ours, or not instrumented",
    Cause.NO_MODEL: "lines of the bill without a model: tools, storage",
    Cause.LEDGER_ONLY: "only in the ledger",
    Cause.PRICE: "another price for the same tokens",
    Cause.UNEXPLAINED: "another price, or other calls: the bill counts no tokens",
    Cause.ROUNDING: "rounding",
}
"""For people."""
