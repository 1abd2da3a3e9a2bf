"""CSV exports: rows that know their line; and the plain form, for bills of anybody else."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from difflib import get_close_matches
from io import StringIO

from collector.analysis import reconcile_bill as bill
from collector.analysis.reconcile_bill import Bill, BillError, BillLine, decimals_of
from otel_cost.pricing.providers import canonical_provider

FORMAT = "csv"
REQUIRED = ("day", "model")
AMOUNT, LIST = "amount_usd", "list_usd"
COUNTS = ("input_tokens", "output_tokens", "requests")
COLUMNS = (*REQUIRED, AMOUNT, LIST, "provider", "item", *COUNTS)
"""Of the plain form: docs/reconcile.md, "A plain CSV"."""


@dataclass(frozen=True, slots=True)
class Row:
    """Cells by column, and where they stand."""

    name: str
    line: int
    cells: dict[str, str]

    def where(self, column: str) -> Callable[[], str]:
        return lambda: f"{self.name}, line {self.line}, column {column}"

    def get(self, column: str) -> str | None:
        """The text of a cell; None where it is empty or there is no such column."""
        return self.cells.get(column, "").strip() or None

    def amount(self, column: str) -> Decimal | None:
        text = self.get(column)
        return None if text is None else bill.amount(text, self.where(column))

    def whole(self, column: str) -> int | None:
        text = self.get(column)
        return None if text is None else bill.whole(text, self.where(column))

    def iso_day(self, column: str) -> date:
        return bill.iso_day(self.cells.get(column, ""), self.where(column))

    def epoch_day(self, column: str) -> date:
        return bill.epoch_day(self.cells.get(column, ""), self.where(column))


def header(text: str) -> list[str]:
    """The columns that the first line names, in lower case; none if it is too long for one."""
    first = text.lstrip().partition("\n")[0]
    try:
        return [cell.strip().lower() for cell in next(csv.reader([first], delimiter=_delimiter(first)), [])]
    except csv.Error:
        return []


def _delimiter(first: str) -> str:
    return "\t" if "\t" in first and "," not in first else ","


def rows(name: str, text: str, required: Sequence[str]) -> Iterator[Row]:
    """The rows under the header; blank lines are skipped.

    Raises:
        BillError: the header lacks a required column, or a row has more cells than the header.
    """
    columns = header(text)
    missing = [column for column in required if column not in columns]
    if missing:
        near = [match for column in missing for match in get_close_matches(column, columns, n=1, cutoff=0.5)]
        guess = f"; did you mean {', '.join(near)}?" if near else ""
        raise BillError(
            f"{name}, line 1", f"the columns {', '.join(columns) or 'nothing'}", f"{', '.join(required)}{guess}"
        )
    reader = csv.reader(StringIO(text.lstrip()), delimiter=_delimiter(text.lstrip().partition("\n")[0]))
    skipped = text[: len(text) - len(text.lstrip())].count("\n")
    try:
        for cells in reader:
            line = reader.line_num + skipped
            if line == 1 + skipped or not any(cell.strip() for cell in cells):
                continue
            if len(cells) > len(columns):
                raise BillError(f"{name}, line {line}", f"{len(cells)} cells", f"{len(columns)}, as in the header")
            yield Row(name, line, dict(zip(columns, cells, strict=False)))
    except csv.Error as error:
        raise BillError(f"{name}, line {reader.line_num + skipped}", str(error), "comma-separated values") from None


def read(name: str, text: str) -> Bill:
    """A bill in the plain form.

    Raises:
        BillError: a column that the form does not have, none with amounts or counts, a value that is none.
    """
    columns = header(text)
    for column in columns:
        if column not in COLUMNS:
            near = get_close_matches(column, COLUMNS, n=1, cutoff=0.5)
            guess = f"; did you mean {near[0]}?" if near else ""
            raise BillError(f"{name}, line 1", f"the column {column!r}", f"{', '.join(COLUMNS)}{guess}")
    if not {AMOUNT, *COUNTS} & set(columns):
        raise BillError(f"{name}, line 1", f"the columns {', '.join(columns)}", f"at least {AMOUNT}, or counts as well")
    lines = []
    for row in rows(name, text, REQUIRED):
        lines.append(_line(row))
        if (lines[-1].provider is None) != (lines[0].provider is None):
            raise BillError(row.where("provider")(), "a provider in some rows only", "one in every row, or in none")
    amounts = [decimals_of(line.amount_usd) for line in lines if line.amount_usd is not None]
    days = [line.day for line in lines]
    return Bill(FORMAT, tuple(lines), min(days, default=None), max(days, default=None), max(amounts, default=0))


def _line(row: Row) -> BillLine:
    said = row.get("provider")
    provider = None if said is None else canonical_provider(said.lower()) or said.lower()
    found = BillLine(
        day=row.iso_day("day"),
        provider=provider,
        model=row.get("model"),
        item=row.get("item"),
        amount_usd=row.amount(AMOUNT),
        list_usd=row.amount(LIST),
        input_tokens=row.whole("input_tokens"),
        output_tokens=row.whole("output_tokens"),
        requests=row.whole("requests"),
    )
    if found.amount_usd is None and (found.input_tokens, found.output_tokens, found.requests) == (None, None, None):
        raise BillError(
            f"{row.name}, line {row.line}", "neither an amount nor counts", f"{AMOUNT}, or {', '.join(COUNTS)}"
        )
    return found
