"""Exports as they are documented, read exactly; and every way in which they can be wrong, with its place."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.analysis.reconcile_bill import BillError, BillLine
from collector.analysis.reconcile_formats import FORMATS, read_bill
from collector.analysis.reconcile_json import documents

BILLS = Path(__file__).parents[2] / "testdata" / "reconcile"
FIRST, SECOND, THIRD = date(2026, 11, 2), date(2026, 11, 3), date(2026, 11, 4)


def lines(name: str) -> list[BillLine]:
    return list(read_bill(name, (BILLS / name).read_text()).lines)


def test_costs_of_openai() -> None:
    """Numbers, texts of many digits and an exponent that no float has are all exact; a service before a model goes."""
    found = lines("openai_costs.json")
    assert found[1] == BillLine(
        FIRST, "openai", "gpt-4o-2024-08-06", "output", Decimal("0.002"), output_tokens=200, side="output"
    )
    assert (found[2].item, found[2].amount_usd, found[2].input_tokens) == ("cached input", Decimal(0), 0)
    assert (found[7].model, found[7].item, found[7].amount_usd) == (None, "web search tool calls", Decimal("0.01"))
    assert (found[-1].model, found[-1].item) == ("gpt-4.1-mini-2025-04-14", "input")


@pytest.mark.parametrize(
    ("item", "model", "side"),
    [
        ("gpt-5.5-2026-04-23, cached input", "gpt-5.5-2026-04-23", "input"),
        ("priority | gpt-5.6-sol, output, long context", "gpt-5.6-sol", "output"),
        ("gpt-image-2-2026-04-21 image, output", "gpt-image-2-2026-04-21", "output"),
        ("gpt-5.6-luna, cache writes", "gpt-5.6-luna", "input"),
        ("ft-gpt-4o-2024-08-06, input", "ft-gpt-4o-2024-08-06", "input"),
        ("whisper-1, audio", "whisper-1", None),
        ("assistants api | file search", None, None),
        ("web search tool calls", None, None),
        (None, None, None),
    ],
)
def test_line_items_of_openai(item: str | None, model: str | None, side: str | None) -> None:
    """The model, and which side of its tokens is billed."""
    result = {"object": "organization.costs.result", "amount": {"value": "1", "currency": "usd"}, "line_item": item}
    (line,) = read_bill("costs.json", json.dumps({"data": [{"start_time": 1793577600, "results": [result]}]})).lines
    assert (line.model, line.side) == (model, side)


def test_usage_of_openai() -> None:
    found = lines("openai_usage.json")
    assert found[0] == BillLine(
        FIRST, "openai", "gpt-4o-2024-08-06", "completions", input_tokens=2000, output_tokens=200, requests=2
    )


def test_csvs_of_openais_dashboard() -> None:
    """A day without costs has a row and no line, and is covered all the same; tabs are as good as commas."""
    bill = read_bill("openai_costs.csv", (BILLS / "openai_costs.csv").read_text())
    assert [line.amount_usd for line in bill.lines] == [Decimal("0.007"), Decimal("0.0105")]
    assert (bill.first_day, bill.last_day) == (FIRST, THIRD)
    assert [(line.day, line.input_tokens, line.requests) for line in lines("openai_usage.csv")] == [
        (FIRST, 2000, 2),
        (SECOND, 3000, 3),
    ]


def test_the_cost_report_of_anthropic_is_in_cents() -> None:
    found = lines("anthropic_cost_report.json")
    assert (found[0].amount_usd, found[0].side, found[0].model) == (
        Decimal("0.0054"),
        "input",
        "claude-sonnet-4-5-20250929",
    )
    assert (found[-1].amount_usd, found[-1].model, found[-1].item) == (Decimal("0.02"), None, "Web Search Usage")


def test_the_usage_report_of_anthropic_counts_all_input() -> None:
    """Uncached 1,500, written 300 and 100, read 100."""
    assert [(line.input_tokens, line.output_tokens) for line in lines("anthropic_usage_report.json")] == [
        (2000, 200),
        (2000, 200),
        (4000, 400),
    ]


def test_csvs_of_the_console() -> None:
    cost, tokens = lines("claude_api_cost.csv")[1], lines("claude_api_tokens.csv")[0]
    assert (cost.model, cost.amount_usd, cost.list_usd, cost.side) == (
        "Claude Sonnet 4.5",
        Decimal("0.0027"),
        Decimal("0.003"),
        "output",
    )
    assert (tokens.model, tokens.input_tokens, tokens.output_tokens) == ("claude-sonnet-4-5-20250929", 2000, 200)


def test_the_plain_form() -> None:
    assert lines("plain.csv")[0] == BillLine(
        FIRST, "openai", "gpt-4o", None, Decimal("0.007"), input_tokens=2000, output_tokens=200, requests=2
    )


@pytest.mark.parametrize("mark", ["\ufeff", "\n\n"])
def test_a_byte_order_mark_and_blank_lines_are_no_content(mark: str) -> None:
    text = (BILLS / "plain.csv").read_text()
    assert read_bill("plain.csv", mark + text).lines == read_bill("plain.csv", text).lines


def test_pages_in_an_array_or_one_after_the_other_are_one_bill() -> None:
    page = json.loads((BILLS / "openai_usage.json").read_text())
    texts = [json.dumps([page, page]), json.dumps(page) + "\n" + json.dumps(page), json.dumps(page["data"] * 2)]
    for text in texts:
        assert len(read_bill("usage.json", text).lines) == 2 * len(lines("openai_usage.json"))


def test_amounts_in_floats_are_read_as_they_are_written() -> None:
    """0.1 + 0.2 of a file is 0.3."""
    results = [
        {"object": "organization.costs.result", "amount": {"value": value, "currency": "usd"}, "line_item": None}
        for value in (0.1, 0.2)
    ]
    found = read_bill("c.json", json.dumps({"data": [{"start_time": 1793577600, "results": results}]})).lines
    assert sum(line.amount_usd or 0 for line in found) == Decimal("0.3")


PLAIN = "day,model,amount_usd\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "line 1: found nothing; allowed: an export"),
        ("day,modell,amount_usd\n", "line 1: found the column 'modell'; allowed: day, model, amount_usd"),
        ("day,amount_usd\n", "line 1: found the columns day, amount_usd; allowed: day, model"),
        ("day,model\n", "line 1: found the columns day, model; allowed: at least amount_usd"),
        (PLAIN + "2026-11-02,m,\n", "line 2: found neither an amount nor counts"),
        (PLAIN + "2026-11-02,m,1e99\n", "line 2, column amount_usd: found '1e99'; allowed: a decimal number"),
        (PLAIN + "2026-11-02,m,NaN\n", "line 2, column amount_usd: found 'NaN'"),
        (PLAIN + "\n2026-11-02,m,1\nyesterday,m,1\n", "line 4, column day: found 'yesterday'; allowed: a day such as"),
        (PLAIN + '"2026-11-02\n', "bill, line 2"),
        ("day,model,amount_usd,provider\n2026-11-02,m,1,openai\n2026-11-02,m,1,\n", "line 3, column provider"),
        ("{", "line 1: found the end of the file; allowed: JSON"),
        ("[]", "line 1: found no page"),
        ('{"a": 1}', "line 1: found a; allowed: pages with data"),
        ('{"data": [\n{"start_time": true, "results": []}]}', "line 2, data[0].start_time: found True"),
        (
            '{"data": [{"start_time": 1793577600,\n"results": [{"object": "x"}]}]}',
            "line 2, data[0].results[0].object: found 'x'",
        ),
        ('{"data": [{"start_time": 1793577600, "results": 7}]}', "data[0].results: found 7; allowed: an array"),
        (
            '{"data": [{"starting_at": "2026-11-02",\n\n"results": [{"model": "m"}]}]}',
            "line 3, data[0].results[0]: found model",
        ),
        (
            '{"data": [{"starting_at": "2026-11-02", "results": [{"amount": "1", "model": "m"}]}]}',
            "data[0].results[0]: found no currency (but amount, model); allowed: an object with currency",
        ),
        (
            '{"data": [{"starting_at": "2026-11-02", "results": [{"output_tokens": 1.5}]}]}',
            "data[0].results[0].output_tokens: found 1.5; allowed: a whole number",
        ),
    ],
)
def test_what_is_wrong_is_named_with_its_place(text: str, said: str) -> None:
    """Where, what was found, what is allowed."""
    with pytest.raises(BillError) as caught:
        read_bill("bill", text)
    assert said in str(caught.value)
    assert "allowed: " in str(caught.value)


@pytest.mark.parametrize("form", [form for form in FORMATS if form != "csv"])
def test_a_forced_form_is_not_taken_for_another(form: str) -> None:
    if form != "auto":
        with pytest.raises(BillError):
            read_bill("bill", (BILLS / "plain.csv").read_text(), form)
    with pytest.raises(BillError):
        read_bill("bill", (BILLS / "openai_costs.json").read_text(), "csv")


_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**6), 10**6) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=12,
)


def _paths(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(deeper for key, each in children for deeper in _paths(each, (*path, key)))]


@given(_json.map(lambda value: {"top": value}))
def test_the_line_of_every_value_is_that_on_which_it_begins(value: dict[str, Any]) -> None:
    """By the indented form: as many values before it as line breaks, but for closing brackets."""
    text = json.dumps(value, indent=1)
    (node,) = documents("f", text)
    for path in _paths(value):
        line = int(node.document.where(path).split("line ")[1].split(",")[0])
        shown = text.splitlines()[line - 1].strip()
        found: Any = value
        for step in path:
            found = found[step]
        begins = json.dumps(found, indent=1).splitlines()[0]
        assert begins in shown


@given(st.text(max_size=200))
def test_no_text_breaks_the_reader(text: str) -> None:
    """It is a bill, or an error that says where."""
    said = ""
    try:
        read_bill("f", text)
    except BillError as error:
        said = str(error)
    assert not said or said.startswith("f, line ")
