"""Which form an export has, and the bill that it is."""

from __future__ import annotations

from collections.abc import Sequence

from collector.analysis import reconcile_anthropic as anthropic
from collector.analysis import reconcile_csv as plain
from collector.analysis import reconcile_openai as openai
from collector.analysis.reconcile_bill import Bill, BillError
from collector.analysis.reconcile_json import Node, documents

AUTO = "auto"
FORMATS = (AUTO, openai.FORMAT, anthropic.FORMAT, plain.FORMAT)
_OF_A_PAGE = "pages with data: buckets with start_time (OpenAI) or starting_at (Anthropic)"


def read_bill(name: str, text: str, form: str = AUTO) -> Bill:
    """An export as a bill.

    Args:
        name: of the file, for messages.
        form: one of `FORMATS`.

    Raises:
        BillError: the text is of no such form, or a value in it is wrong; where, what was found, what is allowed.
    """
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    if not text.strip():
        raise BillError(f"{name}, line 1", "nothing", "an export of OpenAI or Anthropic, or a plain CSV")
    if text.lstrip()[0] in "{[":
        return _json(name, text, form)
    columns = plain.header(text)
    if form in (AUTO, openai.FORMAT) and "start_time" in columns:
        usage = "amount_value" not in columns and "num_model_requests" in columns
        return openai.read_usage_csv(name, text) if usage else openai.read_costs_csv(name, text)
    if form in (AUTO, anthropic.FORMAT) and "usage_date_utc" in columns:
        tokens = "cost_usd" not in columns and "model_version" in columns
        return anthropic.read_token_csv(name, text) if tokens else anthropic.read_cost_csv(name, text)
    if form == openai.FORMAT:
        return openai.read_costs_csv(name, text)  # says which columns are missing
    if form == anthropic.FORMAT:
        return anthropic.read_cost_csv(name, text)
    return plain.read(name, text)


def _json(name: str, text: str, form: str) -> Bill:
    if form == plain.FORMAT:
        raise BillError(f"{name}, line 1", "JSON", f"comma-separated values with {', '.join(plain.REQUIRED)}")
    pages = documents(name, text)
    if not pages:
        raise BillError(f"{name}, line 1", "no page", _OF_A_PAGE)
    return (_readers[form] if form != AUTO else _readers[_form(pages)])(pages)


def _form(pages: Sequence[Node]) -> str:
    """Whose pages these are, by how their buckets say when they begin."""
    for page in pages:
        buckets = list(page.get("data").items()) if page.has("data") else [page]
        for bucket in buckets:
            if bucket.has("start_time"):
                return openai.FORMAT
            if bucket.has("starting_at"):
                return anthropic.FORMAT
    first = pages[0]
    names = ", ".join(sorted(map(str, first.value))) if isinstance(first.value, dict) else type(first.value).__name__
    raise BillError(first.where(), names or "nothing", f"{_OF_A_PAGE}; --format says whose export it is")


_readers = {openai.FORMAT: openai.read_pages, anthropic.FORMAT: anthropic.read_pages}
