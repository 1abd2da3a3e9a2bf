"""`otel-cost trace` over a real ledger."""

from __future__ import annotations

import json
from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from collector.questions.tree import receipt, span_of
from otel_cost.pricing import default_card
from tests.collector.cli.scenario import (
    CRITIC,
    HELPER,
    HELPER_TRACE,
    NOTE_TRACE,
    OPENAI_SCOPE,
    PLANNER,
    RETRY,
    UNKNOWN_TRACE,
    WASTED,
    WRITER,
    Trace,
    call,
    run,
    run_json,
    usage,
)


def spans(ledger: str, trace_id: str) -> dict[str, Any]:
    """Spans of a trace by name; of spans with one name the last."""
    answer = run_json("trace", trace_id, "--db", ledger)
    return {span["name"]: span for span in answer["spans"]}


def test_a_span_costs_what_its_calls_cost_and_nothing_twice(ledger: str) -> None:
    answer = run_json("trace", NOTE_TRACE, "--db", ledger)
    inclusive = {span["name"]: Decimal(span["inclusive_cost_usd"]) for span in answer["spans"]}
    assert inclusive["design note"] == Decimal(answer["cost_usd"]) == PLANNER + WRITER + CRITIC
    assert (inclusive["planner"], inclusive["writer"], inclusive["critic"]) == (PLANNER, WRITER, CRITIC)
    own = [Decimal(span["self_cost_usd"]) for span in answer["spans"]]
    assert sum(own) == PLANNER + WRITER + CRITIC
    assert answer["calls"] == 4


def test_spans_come_in_tree_order_with_their_depth(ledger: str) -> None:
    answer = run_json("trace", NOTE_TRACE, "--db", ledger)
    assert [(span["depth"], span["name"]) for span in answer["spans"]] == [
        (0, "design note"),
        (1, "planner"),
        (2, "chat gpt-4o"),
        (1, "writer"),
        (2, "chat claude-haiku-4-5"),
        (3, "anthropic.messages.create"),
        (1, "critic"),
        (2, "chat gpt-4o-mini"),
        (2, "chat gpt-4o-mini"),
        (2, "GET /health"),
    ]


def test_a_receipt_lists_each_class_with_its_rate_and_adds_up(ledger: str) -> None:
    receipt = spans(ledger, NOTE_TRACE)["chat gpt-4o"]["receipt"]
    assert [(line["class"], line["quantity"], line["rate_usd"], line["cost_usd"]) for line in receipt] == [
        ("input_tokens", "600", "0.0000025", "0.0015"),
        ("cache_read_tokens", "400", "0.00000125", "0.0005"),
        ("output_tokens", "100", "0.00001", "0.001"),
    ]
    text = run("trace", NOTE_TRACE, "--db", ledger).stdout
    assert "400 cache_read_tokens x $1.25 per 1M  = $0.0005" in text


def test_receipts_can_be_left_out(ledger: str) -> None:
    assert "per 1M" not in run("trace", NOTE_TRACE, "--no-receipts", "--db", ledger).stdout
    answer = run_json("trace", NOTE_TRACE, "--no-receipts", "--db", ledger)
    assert all(span["receipt"] is None for span in answer["spans"])


def test_a_second_span_of_one_call_is_marked_and_not_counted(ledger: str) -> None:
    found = spans(ledger, NOTE_TRACE)
    pair = [found["chat claude-haiku-4-5"], found["anthropic.messages.create"]]
    assert sorted(span["counted"] for span in pair) == [False, True]
    (left_out,) = (span for span in pair if not span["counted"])
    (kept,) = (span for span in pair if span["counted"])
    assert left_out["duplicate_of"] == kept["span_id"]
    assert "counted once, there" in run("trace", NOTE_TRACE, "--db", ledger).stdout


def test_a_retry_names_the_attempt_before_it(ledger: str) -> None:
    answer = run_json("trace", NOTE_TRACE, "--db", ledger)
    first, second = (span for span in answer["spans"] if span["name"] == "chat gpt-4o-mini")
    assert (first["failed"], first["attempt"], Decimal(first["self_cost_usd"])) == (True, 1, WASTED)
    assert (second["attempt"], second["retry_of"]) == (2, first["span_id"])
    assert Decimal(answer["retry_cost_usd"]) == RETRY
    text = run("trace", NOTE_TRACE, "--db", ledger).stdout
    assert "failed: the stream broke off" in text
    assert "attempt 2, after chat gpt-4o-mini" in text


def test_a_wrapper_that_says_more_than_its_calls_is_shown_and_not_added(ledger: str) -> None:
    wrapper = spans(ledger, HELPER_TRACE)["invoke_agent helper"]
    assert wrapper["wrapper"] == {"tokens": 59_798, "call_tokens": 29_899, "agrees": False}
    assert (Decimal(wrapper["self_cost_usd"]), Decimal(wrapper["inclusive_cost_usd"])) == (Decimal(0), HELPER)
    text = run("trace", HELPER_TRACE, "--db", ledger).stdout
    assert "wrapper says 59,798 tokens, its calls say 29,899" in text


def test_an_unpriced_call_says_why(ledger: str) -> None:
    (span,) = spans(ledger, UNKNOWN_TRACE).values()
    assert (span["self_cost_usd"], span["cost_status"]) == (None, "unpriced")
    text = run("trace", UNKNOWN_TRACE, "--db", ledger).stdout
    assert "+ 1 unpriced" in text
    assert "no-such-model-9" in text.split("unpriced:")[1]


def test_a_unique_beginning_of_an_id_is_enough(ledger: str) -> None:
    assert run_json("trace", "b", "--db", ledger)["trace_id"] == UNKNOWN_TRACE
    assert run_json("trace", "0xA1A1", "--db", ledger)["trace_id"] == NOTE_TRACE


def test_latest_is_the_trace_of_the_most_recent_call(ledger: str) -> None:
    assert run_json("trace", "latest", "--db", ledger)["trace_id"] == UNKNOWN_TRACE


@pytest.mark.parametrize(
    ("text", "exit_code", "message"),
    [("a", 1, "several traces begin with a"), ("ff", 1, "no trace"), ("trace-1", 2, "is not a trace id")],
)
def test_an_id_that_names_no_single_trace_is_refused(ledger: str, text: str, exit_code: int, message: str) -> None:
    result = run("trace", text, "--db", ledger)
    assert result.exit_code == exit_code
    assert message in result.stderr


def test_spans_without_calls_are_left_out_unless_asked_for(ledger: str) -> None:
    assert "GET /health" not in run("trace", NOTE_TRACE, "--db", ledger).stdout
    assert "GET /health" in run("trace", NOTE_TRACE, "--all", "--db", ledger).stdout


def test_a_tree_fits_80_columns_and_carries_no_colours_when_piped(ledger: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    text = run("trace", NOTE_TRACE, "--db", ledger).stdout
    assert max(map(len, text.splitlines())) <= 80
    assert "\x1b" not in text


def test_spans_that_are_each_others_parents_are_drawn_once_with_their_cost(tmp_path: Path) -> None:
    """No correct sender makes such a trace; its money is not lost for that."""
    trace = Trace("c5" * 16, 1_767_268_800_000_000_000, {})
    said = call("openai", "gpt-4o", "planner", **usage(600, 100))
    first = trace.add("first", scope=OPENAI_SCOPE, attributes=said)
    second = trace.add("second", first)
    trace.spans[0]["spans"][0]["parentSpanId"] = second
    file, ledger = tmp_path / "spans.json", str(tmp_path / "ledger.duckdb")
    file.write_text(json.dumps(trace.request()))
    run_json("import", str(file), "--db", ledger)
    answer = run_json("trace", trace.trace_id, "--db", ledger)
    assert [(span["depth"], span["name"]) for span in answer["spans"]] == [(0, "first"), (1, "second")]
    assert Decimal(answer["cost_usd"]) == Decimal("0.0025")


def test_a_price_that_these_rates_do_not_give_has_no_receipt() -> None:
    """It was made with another card: lines that add up to something else would explain nothing."""
    line = defaultdict[str, Any](lambda: None, start_time_ns=0, end_time_ns=0, input_tokens=600, output_tokens=100)
    line |= {"cost_usd": Decimal("0.0025"), "rate_row": "openai|gpt-4o|standard||"}
    lines = receipt(span_of(line), default_card())
    assert lines is not None
    assert sum(each.cost_usd for each in lines) == Decimal("0.0025")
    assert receipt(span_of(line | {"cost_usd": Decimal("0.0026")}), default_card()) is None
    assert receipt(span_of(line | {"rate_row": "openai|gone|standard||"}), default_card()) is None
