"""What Anthropic exports: the cost report, the usage report, and the CSVs of the Console.

Sources: Anthropic's API reference, "Get Cost Report" (`/v1/organizations/cost_report`: `amount` is a decimal text in
the lowest unit of the currency, so "123.45" is $1.2345; `model` only when grouped by description) and "Get Messages
Usage Report" (`/v1/organizations/usage_report/messages`); the columns of `claude_api_cost_*.csv` and
`claude_api_tokens_*.csv` as integrations have published them. Days are UTC. Models are called by id, in the cost CSV by
title ("Claude Sonnet 4.5").
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal

from collector.analysis import reconcile_bill as bill
from collector.analysis.reconcile_bill import INPUT, OUTPUT, WIDE, Bill, BillError, BillLine, decimals_of
from collector.analysis.reconcile_csv import Row, rows
from collector.analysis.reconcile_json import Node

FORMAT = PROVIDER = "anthropic"
_CENT = Decimal("0.01")

COST_COLUMNS = ("usage_date_utc", "model", "cost_usd")
TOKEN_COLUMNS = ("usage_date_utc", "model_version", "usage_output_tokens")
_INPUT_COLUMNS = (
    "usage_input_tokens_no_cache",
    "usage_input_tokens_cache_write_5m",
    "usage_input_tokens_cache_write_1h",
    "usage_input_tokens_cache_read",
)
_CACHE_CREATION = ("ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens")


def read_pages(pages: Sequence[Node]) -> Bill:
    """The pages of a report. Raises BillError for what is neither costs nor usage."""
    lines: list[BillLine] = []
    days = []
    for page in pages:
        for bucket in page.get("data").items() if page.has("data") else [page]:
            day = bucket.get("starting_at").iso_day()
            days.append(day)
            lines += [_line(result, day) for result in bucket.get("results").items()]
    return _bill(lines, days, any(page.has("has_more") and page.get("has_more").value is True for page in pages[-1:]))


def _bill(lines: Sequence[BillLine], days: Sequence[date], goes_on: bool = False) -> Bill:
    decimals = max((decimals_of(line.amount_usd) for line in lines if line.amount_usd is not None), default=0)
    return Bill(FORMAT, tuple(lines), min(days, default=None), max(days, default=None), decimals, goes_on)


def _line(result: Node, day: date) -> BillLine:
    model = result.text_or_none("model")
    if result.has("amount"):
        bill.in_usd(result.get("currency").value, result.get("currency").where)
        cents = result.get("amount").amount()
        kind = next(
            (text for key in ("token_type", "description", "cost_type") if (text := result.text_or_none(key))), None
        )
        return BillLine(
            day, PROVIDER, model, kind, WIDE.normalize(WIDE.multiply(cents, _CENT)) or Decimal(0), side=_side(kind)
        )
    if result.has("uncached_input_tokens") or result.has("output_tokens"):
        parts = [result.whole_or_none(key) for key in ("uncached_input_tokens", "cache_read_input_tokens")]
        if result.has("cache_creation"):
            parts += [result.get("cache_creation").whole_or_none(key) for key in _CACHE_CREATION]
        given = [part for part in parts if part is not None]
        return BillLine(
            day,
            PROVIDER,
            model,
            "messages",
            input_tokens=sum(given) if given else None,
            output_tokens=result.whole_or_none("output_tokens"),
        )
    names = ", ".join(sorted(result.value)) if isinstance(result.value, dict) else type(result.value).__name__
    raise BillError(result.where(), names, "a result with amount, or with uncached_input_tokens and output_tokens")


def _side(token_type: str | None) -> str | None:
    """By the report's names (`cache_read_input_tokens`, `output_tokens`) or the Console's (`input_no_cache`)."""
    words = (token_type or "").split("_")
    return OUTPUT if words[0] == OUTPUT else INPUT if INPUT in words else None


def read_cost_csv(name: str, text: str) -> Bill:
    """The Console's export of costs."""
    found = list(rows(name, text, COST_COLUMNS))
    lines = [
        BillLine(
            row.iso_day("usage_date_utc"),
            PROVIDER,
            row.get("model"),
            row.get("token_type") or row.get("cost_type"),
            _amount(row),
            row.amount("list_price_usd"),
            side=_side(row.get("token_type")),
        )
        for row in found
    ]
    return _bill(lines, [line.day for line in lines])


def _amount(row: Row) -> Decimal:
    found = row.amount("cost_usd")
    if found is None:
        raise BillError(row.where("cost_usd")(), "nothing", "a decimal number such as 0.0123")
    return found


def read_token_csv(name: str, text: str) -> Bill:
    """The Console's export of tokens."""
    lines = []
    for row in rows(name, text, TOKEN_COLUMNS):
        given = [count for column in _INPUT_COLUMNS if (count := row.whole(column)) is not None]
        lines.append(
            BillLine(
                row.iso_day("usage_date_utc"),
                PROVIDER,
                row.get("model_version"),
                row.get("usage_type"),
                input_tokens=sum(given) if given else None,
                output_tokens=row.whole("usage_output_tokens"),
            )
        )
    return _bill(lines, [line.day for line in lines])
