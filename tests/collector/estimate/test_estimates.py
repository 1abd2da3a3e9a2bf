"""Calls without reported usage, from OTLP requests to the ledger: tokens from captured text, flagged, apart."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from collector import telemetry as metrics
from collector.attribute import attribute
from collector.decode.request import DecodeLimits
from collector.estimate.counting import by_ratio
from collector.limits import CALIBRATION_SPANS, MAX_STRING_BYTES
from collector.pipeline import Pipeline
from collector.repricing import PriceAgain
from collector.store import Store, StoreConfig
from collector.store.reprice import Order
from collector.store.reprice_selection import Selection
from collector.telemetry import Telemetry
from otel_cost.call import Flag
from otel_cost.pricing import default_card
from otel_cost.pricing.overrides import Cards
from tests.collector.cli.scenario import run
from tests.collector.priced_ledger import changed_card, times
from tests.collector.test_pipeline import CHAT, USAGE, request, rows

HELLO = json.dumps([{"role": "user", "parts": [{"type": "text", "content": "Hello"}]}])
HI = json.dumps([{"role": "assistant", "parts": [{"type": "text", "content": "Hi there!"}]}])
SAID = {"gen_ai.input.messages": HELLO, "gen_ai.output.messages": HI}
CLAUDE = {"gen_ai.provider.name": "anthropic", "gen_ai.request.model": "claude-sonnet-4-5"}
COLUMNS = "input_tokens, output_tokens, cost_status, cost_reason"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A ledger."""
    store = Store(StoreConfig(tmp_path / "costs.duckdb"))
    store.start()
    yield store
    store.stop()


def stages(store: Store, *, estimates: bool = True) -> tuple[Pipeline, Telemetry]:
    """A pipeline over the ledger."""
    telemetry = Telemetry()
    limits = DecodeLimits()
    return Pipeline(store, Cards(default_card()), limits, (), telemetry, estimates=estimates), telemetry


def silent(number: int, **attributes: Any) -> dict[str, Any]:
    """A call that says no usage."""
    return {"id": number.to_bytes(8, "big"), **CHAT, **attributes}


def stored(store: Store, *spans: dict[str, Any], estimates: bool = True) -> list[tuple[Any, ...]]:
    """What the ledger says of the spans, in their order."""
    stages(store, estimates=estimates)[0].process([request(*spans)])
    return rows(store, f"SELECT {COLUMNS} FROM spans ORDER BY span_id")


def test_a_silent_call_is_estimated_by_the_models_tokenizer(store: Store) -> None:
    """Hello is a token, its message adds 3 and a role, the reply 3; "Hi there!" is 3 tokens."""
    assert stored(store, silent(1, **SAID)) == [(8, 3, "estimated", "tokens estimated by tokenizer:o200k")]
    (found,) = rows(store, "SELECT cost_usd, flags FROM calls")
    assert found[0] == Decimal("0.00005")  # 8 x 2.50 + 3 x 10.00 USD per million
    assert Flag(found[1]) == Flag.ESTIMATED | Flag.USAGE_MISSING


def test_every_message_adds_its_role_and_format(store: Store) -> None:
    """User "Hello" and assistant "Hi there!" are 15 tokens: the vector of tokencost's own tests."""
    conversation = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi there!"}]
    (found,) = stored(store, silent(1, **{"gen_ai.input.messages": json.dumps(conversation)}))
    assert found == (15, None, "estimated", "tokens estimated by tokenizer:o200k, no output text")


def test_estimates_stand_apart_in_rollups(store: Store) -> None:
    """What rests on estimated tokens is a sum of its own beside the priced calls."""
    stored(store, silent(1, **SAID), {**silent(2), **USAGE}, silent(3))
    sums = "sum(calls), sum(estimated_calls), sum(unpriced_calls), sum(estimated_cost_usd), sum(cost_usd)"
    (found,) = rows(store, f"SELECT {sums} FROM models")
    assert found == (3, 1, 1, Decimal("0.00005"), Decimal("0.00355"))


def test_every_dialects_content_is_read(store: Store) -> None:
    """OpenLLMetry and OpenInference number their messages, deprecated OpenTelemetry names hold them all."""
    openllmetry = {
        "gen_ai.prompt.0.role": "user",
        "gen_ai.prompt.0.content": "Hello",
        "gen_ai.completion.0.role": "assistant",
        "gen_ai.completion.0.content": "Hi there!",
    }
    openinference = {
        "openinference.span.kind": "LLM",
        "llm.model_name": "gpt-4o",
        "llm.provider": "openai",
        "llm.input_messages.0.message.role": "user",
        "llm.input_messages.0.message.content": "Hello",
        "llm.output_messages.0.message.content": "Hi there!",
    }
    found = stored(
        store,
        silent(1, **openllmetry),
        {"id": (2).to_bytes(8, "big"), **openinference},
        silent(3, **{"gen_ai.prompt": HELLO, "gen_ai.completion": HI}),
        silent(4, **SAID, **openllmetry),  # the same said twice counts once
        silent(5, **{"gen_ai.operation.name": "embeddings", "gen_ai.prompt": "Hello"}),
    )
    assert [line[:3] for line in found] == [*[(8, 3, "estimated")] * 4, (1, None, "estimated")]


def test_only_what_is_silent_and_says_something_is_estimated(store: Store) -> None:
    """Reported usage and reported costs win; failures, other operations and calls without content stay as they are."""
    found = stored(
        store,
        {**silent(1, **SAID), **USAGE},
        silent(2, **SAID, **{"gen_ai.usage.cost": "0.5", "litellm.cost.total": "0.5"}),
        silent(3, **SAID, **{"error.type": "timeout"}),
        silent(4, **SAID, **{"gen_ai.operation.name": "image_generation"}),
        silent(5),
        silent(6, **SAID, **{"gen_ai.usage.input_tokens": "many"}),
        silent(7, **SAID, **{"gen_ai.operation.name": "invoke_agent"}),
    )
    assert "estimated" not in [line[2] for line in found]
    assert [line[0] for line in found] == [1_000, None, None, None, None, None, None]
    assert found[4] == (None, None, "unpriced", "no usage reported")


def test_estimating_can_be_switched_off(store: Store) -> None:
    """Then a silent call is unpriced, whatever it says."""
    assert stored(store, silent(1, **SAID), estimates=False) == [(None, None, "unpriced", "no usage reported")]


def test_one_side_is_estimated_alone_and_says_so(store: Store) -> None:
    """So it does of text that was cut when it arrived, and of an unknown model."""
    long = "a b " * MAX_STRING_BYTES
    found = stored(
        store,
        silent(1, **{"gen_ai.output.messages": HI}),
        silent(2, **SAID | {"gen_ai.input.messages": long}),
        silent(3, **SAID, **{"gen_ai.response.model": "house-1", "gen_ai.request.model": "house-1"}),
    )
    assert found[0] == (None, 3, "estimated", "tokens estimated by tokenizer:o200k, no input text")
    assert found[1][3] == "tokens estimated by tokenizer:o200k, text was cut"
    assert found[2][2] == "unpriced"
    assert found[2][3].endswith("; tokens estimated by ratio:script")


def test_without_a_tokenizer_the_ratio_is_used(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra is optional."""
    monkeypatch.setattr("collector.estimate.estimator.tokenizer", lambda encoding: None)
    assert stored(store, silent(1, **SAID)) == [(9, 2, "estimated", "tokens estimated by ratio:script")]


def test_ratios_are_learned_from_calls_that_say_both(store: Store) -> None:
    """After enough calls of a model its own tokens per character are used, what the provider adds included."""
    pipeline, _ = stages(store)
    said = {**SAID, **CLAUDE}
    pipeline.process([request(silent(1, **said))])
    for number in range(CALIBRATION_SPANS):
        used = {"gen_ai.usage.input_tokens": 50, "gen_ai.usage.output_tokens": 18}
        pipeline.process([request({**silent(100 + number, **said), **used})])
    pipeline.process([request(silent(2, **said))])
    found = rows(store, f"SELECT {COLUMNS} FROM spans WHERE cost_status = 'estimated' ORDER BY span_id")
    assert found == [
        (7 + by_ratio("claude", ["Hello"]), 3, "estimated", "tokens estimated by ratio:claude"),
        (50, 18, "estimated", "tokens estimated by calibrated"),
    ]


def test_estimates_do_not_depend_on_how_spans_are_batched(tmp_path: Path) -> None:
    """Together, one by one, and beside other spans, a call has the same tokens and cost."""
    spans = [
        silent(
            number,
            **{"gen_ai.input.messages": f"question {number} " * number, "gen_ai.output.messages": "日本" * number},
        )
        for number in range(1, 20)
    ]
    found = []
    for size in (1, 7, 19):
        store = Store(StoreConfig(tmp_path / f"{size}.duckdb"))
        store.start()
        pipeline, _ = stages(store)
        for start in range(0, len(spans), size):
            pipeline.process([request(*spans[start : start + size])])
        found.append(rows(store, f"SELECT {COLUMNS}, cost_usd FROM spans ORDER BY span_id"))
        store.stop()
    assert found[0] == found[1] == found[2]
    assert {line[2] for line in found[0]} == {"estimated"}


def test_an_estimate_never_makes_two_calls_of_one(store: Store) -> None:
    """A framework's silent span around a measured call is that call still, whatever its text would count to."""
    outer = {**silent(1, **SAID), "name": "framework"}
    inner = {**silent(2), **USAGE, "parent": outer["id"]}
    stored(store, outer, inner)
    assert rows(store, "SELECT count(*), sum(input_tokens) FROM calls") == [(1, 1_000)]


def test_a_resend_with_another_estimate_is_no_changed_span(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Calibration may say something else by then; the span said the same."""
    pipeline, telemetry = stages(store)
    pipeline.process([request(silent(1, **SAID))])
    monkeypatch.setattr("collector.estimate.estimator.tokenizer", lambda encoding: None)
    pipeline.process([request(silent(1, **SAID))])
    assert telemetry.value(metrics.SPANS_DUPLICATE) == 1
    assert telemetry.value(metrics.SPANS_CHANGED) == 0
    assert rows(store, f"SELECT {COLUMNS} FROM spans") == [(8, 3, "estimated", "tokens estimated by tokenizer:o200k")]


def test_a_failure_is_counted_and_costs_only_the_estimate(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The span is stored as if there were no estimating."""

    class Broken:
        def count(self, text: str) -> int:
            raise ValueError(text)

    monkeypatch.setattr("collector.estimate.estimator.tokenizer", lambda encoding: Broken())
    pipeline, telemetry = stages(store)
    pipeline.process([request(silent(1, **SAID), silent(2, **SAID, **CLAUDE))])
    assert telemetry.value(metrics.ESTIMATE_FAILURES) == 1
    assert rows(store, "SELECT cost_status FROM spans ORDER BY span_id") == [("unpriced",), ("estimated",)]


def test_pricing_again_keeps_the_estimated_tokens_and_how_they_came_about(store: Store, tmp_path: Path) -> None:
    """The tokens are stored; no text is read again. Only the rates change."""
    before = stored(store, silent(1, **SAID), silent(2, **SAID, **CLAUDE))
    reprice(store, Cards(default_card()))
    assert rows(store, f"SELECT {COLUMNS} FROM spans ORDER BY span_id") == before
    doubled = "SELECT 2 * cost_usd FROM spans ORDER BY span_id"
    twice = rows(store, doubled)
    reprice(store, Cards(changed_card(tmp_path / "card", {"openai": times(2), "anthropic": times(2)})))
    assert rows(store, f"SELECT {COLUMNS} FROM spans ORDER BY span_id") == before
    assert rows(store, doubled.replace("2 * ", "")) == twice


def reprice(store: Store, cards: Cards) -> None:
    """Price all stored calls again."""
    store.repricing(attribute).apply(
        Order(Selection(), PriceAgain(cards), "test", cards.card().digest[:8]), lambda: False
    )


@pytest.mark.parametrize(("written", "status"), [("true", "estimated"), ("false", "unpriced")])
def test_an_import_does_as_the_config_says(tmp_path: Path, written: str, status: str) -> None:
    """Files take the collector's own way, switches included."""
    config, spans, ledger = (tmp_path / name for name in ("config.yaml", "spans.binpb", "costs.duckdb"))
    config.write_text(f"processors: {{cost: {{estimate: {written}}}}}")
    spans.write_bytes(request(silent(1, **SAID)).body)
    assert run("import", str(spans), "--db", str(ledger), "--config", str(config)).exit_code == 0
    store = Store(StoreConfig(ledger))
    store.start()
    assert rows(store, "SELECT cost_status FROM calls") == [(status,)]
    store.stop()
