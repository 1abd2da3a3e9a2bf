"""What OpenAI exports: the Costs API, the Usage API, and the CSVs of the dashboard with the same fields.

Sources: OpenAI's API reference, "Usage" (`GET /v1/organization/costs` and `/v1/organization/usage/...`; OpenAPI
document 2.3.0, `CostsResult`, `UsageCompletionsResult`); line items as integrations have published them: a model, then
what of it is billed (`gpt-4o-mini-2024-07-18, cached input`), perhaps after a service (`evals | gpt-4o, input`), or a
tool without a model (`web search tool calls`). Days are UTC. Usage need not agree with costs; costs agree with the
invoice.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import date
from decimal import Decimal

from collector.analysis import reconcile_bill as bill
from collector.analysis.reconcile_bill import INPUT, OUTPUT, Bill, BillError, BillLine, decimals_of
from collector.analysis.reconcile_csv import Row, rows
from collector.analysis.reconcile_json import Node

FORMAT = PROVIDER = "openai"
COSTS, USAGE = "organization.costs.result", "organization.usage."
AMOUNT_COLUMNS = ("start_time", "amount_value", "amount_currency", "line_item")
USAGE_COLUMNS = ("start_time", "num_model_requests", "model")

_LINE_ITEM = re.compile(r"(?:[^|,]+\|\s*)?(?P<model>[^\s|,]+)(?P<modality>\s+\w+)?,\s*(?P<what>.+)")
_INPUTS = ("input", "cached input", "cache writes", "cache write")


def read_pages(pages: Sequence[Node]) -> Bill:
    """The pages of an answer. Raises BillError for what is neither costs nor usage."""
    lines: list[BillLine] = []
    days = []
    for page in pages:
        buckets = list(page.get("data").items()) if page.has("data") else [page]
        for bucket in buckets:
            day = bucket.get("start_time").epoch_day()
            days.append(day)
            key = "results" if bucket.has("results") else "result"
            lines += [_line(result, day) for result in bucket.get(key).items()] if bucket.has(key) else []
    return _bill(lines, days, any(page.has("has_more") and page.get("has_more").value is True for page in pages[-1:]))


def _bill(lines: Sequence[BillLine], days: Sequence[date], goes_on: bool = False) -> Bill:
    decimals = max((decimals_of(line.amount_usd) for line in lines if line.amount_usd is not None), default=0)
    return Bill(FORMAT, tuple(lines), min(days, default=None), max(days, default=None), decimals, goes_on)


def _line(result: Node, day: date) -> BillLine:
    kind = result.get("object").text()
    if kind == COSTS:
        item = result.text_or_none("line_item")
        money = result.get("amount")
        bill.in_usd(money.get("currency").value, money.get("currency").where)
        quantity = result.whole_or_none("quantity") if _counts_tokens(item) else None
        return _cost_line(day, item, money.get("value").amount(), quantity)
    if kind.startswith(USAGE):
        return BillLine(
            day,
            PROVIDER,
            result.text_or_none("model"),
            kind.removeprefix(USAGE).removesuffix(".result"),
            input_tokens=result.whole_or_none("input_tokens"),
            output_tokens=result.whole_or_none("output_tokens"),
            requests=result.whole_or_none("num_model_requests"),
        )
    raise BillError(result.get("object").where(), repr(kind), f"{COSTS}, or {USAGE}completions.result and its like")


def _parts(item: str | None) -> tuple[str | None, str | None]:
    """The model of a line item, and what of it is billed."""
    found = _LINE_ITEM.fullmatch(item.strip()) if item else None
    return (found["model"], found["what"].strip().lower()) if found else (None, item)


def _counts_tokens(item: str | None) -> bool:
    model, what = _parts(item)
    return model is not None and _side((what or "").partition(",")[0]) is not None


def _cost_line(day: date, item: str | None, amount: Decimal, quantity: int | None) -> BillLine:
    model, what = _parts(item)
    kind = (what or "").partition(",")[0] if model else ""
    return BillLine(
        day,
        PROVIDER,
        model,
        what,
        amount,
        input_tokens=quantity if kind in _INPUTS else None,
        output_tokens=quantity if kind == OUTPUT else None,
        side=_side(kind),
    )


def _side(kind: str) -> str | None:
    return INPUT if kind in _INPUTS else OUTPUT if kind == OUTPUT else None


def read_costs_csv(name: str, text: str) -> Bill:
    """The dashboard's export of costs. A day without costs has a row without an amount."""
    found = list(rows(name, text, AMOUNT_COLUMNS))
    return _bill(list(_cost_rows(found)), [row.epoch_day("start_time") for row in found])


def _cost_rows(found: Sequence[Row]) -> Iterator[BillLine]:
    for row in found:
        amount = row.amount("amount_value")
        if amount is not None:
            bill.in_usd(row.get("amount_currency"), row.where("amount_currency"))
            item = row.get("line_item")
            quantity = row.whole("quantity") if _counts_tokens(item) else None
            yield _cost_line(row.epoch_day("start_time"), item, amount, quantity)


def read_usage_csv(name: str, text: str) -> Bill:
    """The dashboard's export of usage."""
    found = list(rows(name, text, USAGE_COLUMNS))
    lines = [
        BillLine(
            row.epoch_day("start_time"),
            PROVIDER,
            row.get("model"),
            input_tokens=row.whole("input_tokens"),
            output_tokens=row.whole("output_tokens"),
            requests=row.whole("num_model_requests"),
        )
        for row in found
        if row.get("num_model_requests") is not None
    ]
    return _bill(lines, [row.epoch_day("start_time") for row in found])
